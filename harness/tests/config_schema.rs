//! The published schema of configurations is the one of the code, and configurations keep to it.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests to clippy only inside them")]

use harness::config::{Config, schema};
use jsonschema::Validator;
use std::path::{Path, PathBuf};

const CONFIGS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../configs");

/// What tells editors where the schema is (taplo, Even Better TOML).
const SCHEMA_LINE: &str = "#:schema ./harness.schema.json\n";

fn validator() -> Validator {
    jsonschema::validator_for(&serde_json::from_str(&schema()).unwrap()).unwrap()
}

fn benchmarks() -> impl Iterator<Item = (PathBuf, String)> {
    let files = std::fs::read_dir(CONFIGS).unwrap().map(|entry| entry.unwrap().path());
    let files = files.filter(|path| path.extension().is_some_and(|end| end == "toml"));
    let texts = files.map(|path| (path.clone(), std::fs::read_to_string(path).unwrap()));
    texts.filter(|(_, text)| text.contains("[[brokers]]"))
}

fn check(validator: &Validator, text: &str, expected: bool) {
    let value: serde_json::Value = toml::from_str(text).unwrap();
    let errors: Vec<_> = validator.iter_errors(&value).map(|error| error.to_string()).collect();
    assert_eq!(errors.is_empty(), expected, "{text}\n{errors:#?}");
}

#[test]
fn the_committed_schema_is_that_of_the_code() {
    let path = Path::new(CONFIGS).join("harness.schema.json");
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    if committed != schema() {
        panic!(
            "{} is not what `cargo run -p harness -- schema` prints; write it anew with\n\
             cargo run -p harness -- schema > configs/harness.schema.json",
            path.display()
        );
    }
}

#[test]
fn every_configuration_names_the_schema_keeps_to_it_and_can_be_read() {
    let validator = validator();
    let mut number = 0;
    for (path, text) in benchmarks() {
        number += 1;
        assert!(text.starts_with(SCHEMA_LINE), "{} begins with {SCHEMA_LINE}", path.display());
        check(&validator, &text, true);
        let config = Config::read(&path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
        check(&validator, &config.to_toml(), true);
    }
    assert!(number > 0, "there are configurations in {CONFIGS}");
}

#[test]
fn the_schema_tells_wrong_keys_names_and_types() {
    let validator = validator();
    let good = "name = \"x\"\n[[brokers]]\nname = \"n\"\ndriver = \"null\"\n\
                [[streams]]\npublishers = [1, 2]\nsubscribers = 1\npayload_bytes = 16\n\
                messages = 1\nload = { rate_per_s = 5 }\n";
    check(&validator, good, true);
    for (from, to) in [
        ("name = \"x\"", "nmae = \"x\""),
        ("driver = \"null\"", "driver = \"nul\""),
        ("[1, 2]", "[1, \"two\"]"),
        ("[1, 2]", "[]"),
        ("rate_per_s = 5", "rate = 5"),
        ("{ rate_per_s = 5 }", "\"saturated\""),
    ] {
        check(&validator, &good.replacen(from, to, 1), false);
    }
}
