//! The JSON Schema of `run.json`, for programs that are not written in Rust.

use schemars::generate::SchemaSettings;
use serde_json::{Value, json};

use crate::{FORMAT_VERSION, RunRecord};

/// The schema as it is published: [`run_schema`] in a file of its own.
pub const RUN_SCHEMA: &str = include_str!("../run.schema.json");

/// The JSON Schema (draft 2020-12) that every run record of this version satisfies.
///
/// Numbers that are not finite are `null` in JSON, and no record that satisfies the schema has any.
#[must_use]
pub fn run_schema() -> Value {
    let generator = SchemaSettings::draft2020_12().into_generator();
    let mut schema = generator.into_root_schema_for::<RunRecord>().to_value();
    schema["title"] = json!("A Tandem benchmark run, run.json");
    schema["properties"]["format_version"]["const"] = json!(FORMAT_VERSION);
    schema
}
