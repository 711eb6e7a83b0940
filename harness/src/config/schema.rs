//! The JSON Schema of configurations, for editors: completion, descriptions, and errors as one types.

use super::guarantee::FORMER_TEXTS;
use super::keys::ConfigKeys;
use crate::drivers::{DriverKind, MqttVersion, Operation};
use measure::GuaranteeClass;
use schemars::generate::SchemaSettings;
use schemars::transform::RecursiveTransform;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};
use std::borrow::Cow;

/// The schema (JSON Schema 2020-12) of what [`Config::parse`](super::Config::parse) reads, as text.
///
/// It knows keys, types and names; what only the whole configuration shows, such as ranges and
/// which keys go together, is left to reading it.
///
/// # Panics
/// Never: every schema can be written as JSON.
#[must_use]
pub fn schema() -> String {
    let mut settings = SchemaSettings::draft2020_12();
    settings.transforms.push(Box::new(RecursiveTransform(without_null)));
    let schema = settings.into_generator().into_root_schema_for::<ConfigKeys>();
    serde_json::to_string_pretty(&schema).expect("a schema can be written as JSON") + "\n"
}

/// TOML has no null: a key that may be left out is not there.
fn without_null(schema: &mut Schema) {
    let Some(object) = schema.as_object_mut() else { return };
    if let Some(Value::Array(types)) = object.get_mut("type") {
        types.retain(|name| name != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            object.insert("type".to_owned(), only);
        }
    }
    if let Some(Value::Array(choices)) = object.get_mut("anyOf") {
        choices.retain(|choice| choice.get("type").is_none_or(|name| name != "null"));
        if let [Value::Object(only)] = choices.as_slice() {
            let only = only.clone();
            object.remove("anyOf");
            // What is said at the key goes before what is said of its type.
            for (name, value) in only {
                object.entry(name).or_insert(value);
            }
        }
    }
}

/// Values with what each means, which editors show beside them.
fn one_of<'a>(values: impl IntoIterator<Item = (&'a str, &'a str)>) -> Schema {
    let values: Vec<Value> = values
        .into_iter()
        .map(|(name, means)| json!({ "const": name, "description": means }))
        .collect();
    json_schema!({ "oneOf": values })
}

impl JsonSchema for DriverKind {
    fn schema_name() -> Cow<'static, str> {
        "Driver".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        one_of(Self::ALL.map(|kind| (kind.name(), kind.summary())))
    }
}

impl JsonSchema for Operation {
    fn schema_name() -> Cow<'static, str> {
        "Operation".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let names = Self::ALL.map(Self::name);
        one_of(
            names
                .iter()
                .zip(Self::ALL)
                .map(|(name, operation)| (name.as_str(), operation.summary())),
        )
    }
}

impl JsonSchema for MqttVersion {
    fn schema_name() -> Cow<'static, str> {
        "MqttVersion".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "enum": ["3.1.1", "5.0"] })
    }
}

/// How `measure::GuaranteeClass` is written.
pub(super) struct GuaranteeName;

impl JsonSchema for GuaranteeName {
    fn schema_name() -> Cow<'static, str> {
        "Guarantee".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let classes = GuaranteeClass::ALL.map(|class| (class.name(), class.label()));
        // Texts that configurations had before there were classes.
        let texts = FORMER_TEXTS.map(|(text, _)| (text, "the name that it had before"));
        one_of(classes.into_iter().chain(texts))
    }
}

/// How `measure::PageCache` is written.
pub(super) struct PageCacheName;

impl JsonSchema for PageCacheName {
    fn schema_name() -> Cow<'static, str> {
        "PageCache".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        one_of([
            ("cold", "the kernel's page cache is emptied of it before"),
            ("warm", "the kernel's page cache has what it can hold"),
        ])
    }
}

/// How `measure::StopKind` is written.
pub(super) struct StopKindName;

impl JsonSchema for StopKindName {
    fn schema_name() -> Cow<'static, str> {
        "Stop".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        one_of([("clean", "SIGTERM, and time to end"), ("crash", "SIGKILL")])
    }
}
