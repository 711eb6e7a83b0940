//! The published JSON Schema is the record's, and records satisfy it.

mod synthetic;

use std::fs;
use std::path::Path;

use jsonschema::Validator;
use measure::{RUN_SCHEMA, run_schema};
use serde_json::{Value, json};
use synthetic::synthetic_run;

/// Set to write the schema anew instead of comparing it.
const UPDATE: &str = "UPDATE_RUN_SCHEMA";

fn published() -> Validator {
    let schema: Value = serde_json::from_str(RUN_SCHEMA).expect("JSON");
    jsonschema::validator_for(&schema).expect("a JSON Schema")
}

fn record() -> Value {
    serde_json::to_value(synthetic_run().0).expect("a record is JSON")
}

#[test]
fn the_published_schema_is_that_of_the_types() {
    let mut generated = serde_json::to_string_pretty(&run_schema()).unwrap();
    generated.push('\n');
    if std::env::var_os(UPDATE).is_some() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("run.schema.json");
        fs::write(path, &generated).unwrap();
        return;
    }
    assert!(
        generated == RUN_SCHEMA,
        "expected measure/run.schema.json to be the schema of RunRecord, found another; \
         if the change is meant, run `{UPDATE}=1 cargo test -p measure --test schema` and commit \
         the file, with a new FORMAT_VERSION where older records no longer satisfy it"
    );
}

#[test]
fn a_record_with_a_result_of_every_kind_satisfies_the_schema() {
    let (schema, record) = (published(), record());
    let faults: Vec<String> = schema.iter_errors(&record).map(|error| error.to_string()).collect();
    assert_eq!(faults, Vec::<String>::new());
}

#[test]
fn what_is_no_record_does_not_satisfy_the_schema() {
    let schema = published();
    let check = |damage: &dyn Fn(&mut Value)| {
        let mut damaged = record();
        damage(&mut damaged);
        assert!(!schema.is_valid(&damaged));
    };
    check(&|record| record["format_version"] = json!(1));
    check(&|record| record["brokers"][0]["guarantee"] = json!("in memory"));
    check(&|record| record["brokers"][0]["streams"][0]["load"] = json!({"rate_per_s": 5}));
    check(&|record| {
        record.as_object_mut().unwrap().remove("machine");
    });
}
