//! What stands under a request's keys, each taken for what it should be.

use crate::{AckTerms, Code, Durability, OffsetRange, Refusal, Retention, Start, StorageClass};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// A string, borrowed where it holds no escape.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// Bytes that are not UTF-8.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Base64<'a> {
    #[serde(borrow)]
    base64: Text<'a>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RetentionKeys {
    bytes: Option<u64>,
    messages: Option<u64>,
    age_ms: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StartKeys {
    offset: Option<u64>,
    time_ms: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AckKeys {
    timeout_ms: Option<u64>,
    in_flight: Option<u64>,
    deliveries: Option<u64>,
    backoff_ms: Option<u64>,
    backoff_ms_max: Option<u64>,
    dead_letter: Option<String>,
}

pub(super) fn text<'a>(
    value: Option<&'a RawValue>,
    key: &'static str,
) -> Result<Cow<'a, str>, Refusal> {
    let raw = value.ok_or_else(|| missing(key, "a string"))?;
    let text: Result<Text<'a>, _> = serde_json::from_str(raw.get());
    text.map(|text| text.0).map_err(|error| not_text(key, raw, &error))
}

pub(super) fn message<'a>(value: Option<&'a RawValue>) -> Result<Cow<'a, [u8]>, Refusal> {
    let raw = value.ok_or_else(|| missing("message", "a string"))?;
    if !raw.get().starts_with('{') {
        return text(value, "message").map(|text| match text {
            Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
            Cow::Owned(text) => Cow::Owned(text.into_bytes()),
        });
    }
    let Ok(Base64 { base64 }) = serde_json::from_str(raw.get()) else {
        return Err(mistyped("message", "a string, or {\"base64\":\"…\"}", raw));
    };
    STANDARD.decode(base64.0.as_bytes()).map(Cow::Owned).map_err(|error| {
        Refusal::new(
            Code::InvalidValue,
            format!("expected base64 with padding (RFC 4648 §4) in \"message\": {error}"),
        )
    })
}

pub(super) fn count_max(value: Option<&RawValue>) -> Result<Option<u32>, Refusal> {
    let Some(raw) = value else { return Ok(None) };
    let count: u64 = parse(raw, "max", "a whole number of at least 1")?;
    if count == 0 {
        return Err(Refusal::new(
            Code::InvalidValue,
            "expected \"max\" of at least 1, found 0; leave it out to pull all",
        ));
    }
    Ok(Some(clamp(count)))
}

pub(super) fn retention(value: Option<&RawValue>) -> Result<Retention, Refusal> {
    let Some(raw) = value else { return Ok(Retention::default()) };
    let expected = "an object of \"bytes\", \"messages\" and \"age_ms\", each a whole number";
    let keys: RetentionKeys = parse(raw, "retention", expected)?;
    if [keys.bytes, keys.messages, keys.age_ms].contains(&Some(0)) {
        return Err(Refusal::new(
            Code::InvalidValue,
            "expected limits of at least 1 in \"retention\", found 0; leave a key out to have the default",
        ));
    }
    Ok(Retention { bytes_max: keys.bytes, messages_max: keys.messages, age_ms_max: keys.age_ms })
}

pub(super) fn storage(value: Option<&RawValue>) -> Result<Option<StorageClass>, Refusal> {
    word(value, "storage", [StorageClass::Memory, StorageClass::Disk], StorageClass::name)
}

pub(super) fn durability(value: Option<&RawValue>) -> Result<Option<Durability>, Refusal> {
    word(value, "durability", [Durability::Os, Durability::Sync], Durability::name)
}

/// One of two words.
fn word<T: Copy>(
    value: Option<&RawValue>,
    key: &'static str,
    choices: [T; 2],
    name: impl Fn(T) -> &'static str,
) -> Result<Option<T>, Refusal> {
    if value.is_none() {
        return Ok(None);
    }
    let found = text(value, key)?;
    if let Some(choice) = choices.into_iter().find(|choice| name(*choice) == found) {
        return Ok(Some(choice));
    }
    let [first, second] = choices.map(name);
    let expected = format!("\"{first}\" or \"{second}\"");
    Err(invalid(key, &expected, &format!("{found:.64?}")))
}

/// Where a subscription begins or goes on.
pub(super) fn start(value: Option<&RawValue>, key: &'static str) -> Result<Option<Start>, Refusal> {
    let Some(raw) = value else { return Ok(None) };
    let expected = "\"earliest\", \"latest\", {\"offset\":…} or {\"time_ms\":…}";
    if raw.get().starts_with('"') {
        return match text(value, key)?.as_ref() {
            "earliest" => Ok(Some(Start::Earliest)),
            "latest" => Ok(Some(Start::Latest)),
            other => Err(invalid(key, expected, &format!("{other:.64?}"))),
        };
    }
    let keys: StartKeys = parse(raw, key, expected)?;
    match (keys.offset, keys.time_ms) {
        (Some(offset), None) => Ok(Some(Start::Offset(offset))),
        (None, Some(unix_ms)) => Ok(Some(Start::Time { unix_ms })),
        (None, None) => Err(invalid(key, expected, "neither key")),
        (Some(_), Some(_)) => Err(invalid(key, expected, "both keys")),
    }
}

pub(super) fn ack_terms(raw: &RawValue) -> Result<AckTerms<'static>, Refusal> {
    let expected = "an object of \"timeout_ms\", \"in_flight\", \"deliveries\", \"backoff_ms\" and \
                    \"backoff_ms_max\", each a whole number, and \"dead_letter\", a topic";
    let keys: AckKeys = parse(raw, "acks", expected)?;
    let numbers =
        [keys.timeout_ms, keys.in_flight, keys.deliveries, keys.backoff_ms, keys.backoff_ms_max];
    if numbers.contains(&Some(0)) || keys.dead_letter.as_deref() == Some("") {
        return Err(Refusal::new(
            Code::InvalidValue,
            "expected numbers of at least 1 and a topic's name in \"acks\"; leave a key out to have the default",
        ));
    }
    let [ack_timeout_ms, in_flight_max, deliveries_max, backoff_ms_min, backoff_ms_max] =
        numbers.map(|number| number.map_or(0, clamp));
    Ok(AckTerms {
        ack_timeout_ms,
        in_flight_max,
        deliveries_max,
        backoff_ms_min,
        backoff_ms_max,
        dead_letter: keys.dead_letter.map(Cow::Owned),
    })
}

/// The offsets of ACK and NACK, in as few ranges as they make in their order.
pub(super) fn offset_ranges(
    offset: Option<&RawValue>,
    offsets: Option<&RawValue>,
) -> Result<Vec<OffsetRange>, Refusal> {
    let offsets: Vec<u64> = match (offset, offsets) {
        (Some(raw), None) => vec![parse(raw, "offset", "a whole number")?],
        (None, Some(raw)) => parse(raw, "offsets", "an array of whole numbers")?,
        (None, None) => return Err(missing("offset", "a whole number")),
        (Some(_), Some(_)) => {
            return Err(invalid("offset", "only one of \"offset\" and \"offsets\"", "both"));
        }
    };
    let mut ranges = Vec::new();
    for offset in &offsets {
        OffsetRange::add(&mut ranges, *offset);
    }
    if ranges.is_empty() {
        return Err(invalid("offsets", "at least one offset", "none"));
    }
    ranges.into_iter().map(OffsetRange::check).collect()
}

pub(super) fn delay_ms(value: Option<&RawValue>) -> Result<Option<u32>, Refusal> {
    let Some(raw) = value else { return Ok(None) };
    let delay: u64 = parse(raw, "delay_ms", "a whole number")?;
    Ok(Some(clamp(delay).min(u32::MAX - 1)))
}

fn clamp(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn invalid(key: &'static str, expected: &str, found: &str) -> Refusal {
    Refusal::new(
        Code::InvalidValue,
        format!("expected {expected} under the key \"{key}\", found {found}"),
    )
}

fn parse<T: DeserializeOwned>(
    raw: &RawValue,
    key: &'static str,
    expected: &'static str,
) -> Result<T, Refusal> {
    serde_json::from_str(raw.get()).map_err(|_| mistyped(key, expected, raw))
}

pub(super) fn missing(key: &'static str, expected: &'static str) -> Refusal {
    Refusal::new(
        Code::MissingKey,
        format!("expected {expected} under the key \"{key}\", found no such key"),
    )
}

/// A string can be of the right type and still wrong, by half a surrogate pair.
fn not_text(key: &'static str, raw: &RawValue, error: &serde_json::Error) -> Refusal {
    if raw.get().starts_with('"') {
        return Refusal::new(Code::InvalidJson, format!("the string under \"{key}\": {error}"));
    }
    mistyped(key, "a string", raw)
}

fn mistyped(key: &'static str, expected: &'static str, raw: &RawValue) -> Refusal {
    let found = match raw.get().as_bytes().first() {
        Some(b'"') => "a string",
        Some(b'{') => "an object",
        Some(b'[') => "an array",
        Some(b't' | b'f') => "true or false",
        Some(b'n') => "null",
        _ => "a number",
    };
    Refusal::new(
        Code::MistypedKey,
        format!("expected {expected} under the key \"{key}\", found {found}"),
    )
}
