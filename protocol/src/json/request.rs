//! Requests as lines.

use crate::{Code, Delivery, Messages, PublishAck, Refusal, Request, Retention};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use std::borrow::Cow;

const COMMANDS: &str = "CREATE, DELETE, PUBLISH, SUBSCRIBE, UNSUBSCRIBE, PULL, LIST_TOPICS, \
                        GET_SUBSCRIBERS, PING or INFO";

/// The keys that any command takes, as they stand in the line.
#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow)]
    command: Option<&'a RawValue>,
    #[serde(borrow)]
    topic: Option<&'a RawValue>,
    #[serde(borrow)]
    message: Option<&'a RawValue>,
    #[serde(borrow)]
    sid: Option<&'a RawValue>,
    #[serde(borrow)]
    max: Option<&'a RawValue>,
    #[serde(borrow)]
    retention: Option<&'a RawValue>,
}

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

/// Reads a request from a line. `Ok(None)`: the line is blank.
///
/// # Errors
/// [`Code::InvalidUtf8`], [`Code::InvalidJson`], [`Code::UnknownCommand`], [`Code::MissingKey`],
/// [`Code::MistypedKey`], [`Code::InvalidValue`]; each leaves the stream in step.
pub fn decode_request(line: &[u8]) -> Result<Option<Request<'_>>, Refusal> {
    let text = std::str::from_utf8(line).map_err(|error| {
        Refusal::new(
            Code::InvalidUtf8,
            format!(
                "expected a line in UTF-8, found another byte at {}; send such bytes as {{\"base64\":\"…\"}}",
                error.valid_up_to()
            ),
        )
    })?;
    if text.trim_ascii().is_empty() {
        return Ok(None);
    }
    let keys: Line<'_> = serde_json::from_str(text).map_err(|error| {
        Refusal::new(
            Code::InvalidJson,
            format!("expected one JSON object with a key \"command\": {error}"),
        )
    })?;
    keys.request().map(Some)
}

impl<'a> Line<'a> {
    fn request(&self) -> Result<Request<'a>, Refusal> {
        let command = text(self.command, "command")?;
        Ok(match command.as_ref() {
            "PUBLISH" => Request::Publish {
                topic: self.topic()?,
                messages: Messages::One(message(self.message)?),
                ack: PublishAck::Wanted,
            },
            "PULL" => Request::Pull {
                topic: self.topic()?,
                subscriber: self.subscriber()?,
                count_max: count_max(self.max)?,
            },
            "CREATE" => {
                Request::Create { topic: self.topic()?, retention: retention(self.retention)? }
            }
            "DELETE" => Request::Delete { topic: self.topic()? },
            "SUBSCRIBE" => Request::Subscribe {
                topic: self.topic()?,
                subscriber: self.subscriber()?,
                delivery: Delivery::Pull,
            },
            "UNSUBSCRIBE" => {
                Request::Unsubscribe { topic: self.topic()?, subscriber: self.subscriber()? }
            }
            "LIST_TOPICS" => Request::ListTopics,
            "GET_SUBSCRIBERS" => Request::Subscribers { topic: self.topic()? },
            "PING" => Request::Ping,
            "INFO" => Request::Info,
            other => {
                let shown: String = other.chars().take(64).collect();
                return Err(Refusal::new(
                    Code::UnknownCommand,
                    format!("expected a command of {COMMANDS}, found {shown:?}"),
                ));
            }
        })
    }

    fn topic(&self) -> Result<Cow<'a, str>, Refusal> {
        text(self.topic, "topic")
    }

    fn subscriber(&self) -> Result<Cow<'a, str>, Refusal> {
        text(self.sid, "sid")
    }
}

fn text<'a>(value: Option<&'a RawValue>, key: &'static str) -> Result<Cow<'a, str>, Refusal> {
    let raw = value.ok_or_else(|| missing(key, "a string"))?;
    let text: Result<Text<'a>, _> = serde_json::from_str(raw.get());
    text.map(|text| text.0).map_err(|error| not_text(key, raw, &error))
}

fn message<'a>(value: Option<&'a RawValue>) -> Result<Cow<'a, [u8]>, Refusal> {
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

fn count_max(value: Option<&RawValue>) -> Result<Option<u32>, Refusal> {
    let Some(raw) = value else { return Ok(None) };
    let count: u64 = parse(raw, "max", "a whole number of at least 1")?;
    if count == 0 {
        return Err(Refusal::new(
            Code::InvalidValue,
            "expected \"max\" of at least 1, found 0; leave it out to pull all",
        ));
    }
    Ok(Some(u32::try_from(count).unwrap_or(u32::MAX)))
}

fn retention(value: Option<&RawValue>) -> Result<Retention, Refusal> {
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

fn parse<T: DeserializeOwned>(
    raw: &RawValue,
    key: &'static str,
    expected: &'static str,
) -> Result<T, Refusal> {
    serde_json::from_str(raw.get()).map_err(|_| mistyped(key, expected, raw))
}

fn missing(key: &'static str, expected: &'static str) -> Refusal {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, expected: Code) {
        match decode_request(line.as_bytes()) {
            Err(refusal) => assert_eq!(refusal.code, expected, "{line}: {}", refusal.message),
            Ok(request) => panic!("{line}: expected {expected}, found {request:?}"),
        }
    }

    #[test]
    fn each_wrong_line_has_its_code() {
        check("nonsense", Code::InvalidJson);
        check("[1]", Code::InvalidJson);
        check("{\"command\":\"PING\"} {}", Code::InvalidJson);
        check("{}", Code::MissingKey);
        check("{\"command\":null}", Code::MissingKey);
        check("{\"command\":1}", Code::MistypedKey);
        check("{\"command\":\"STOP\"}", Code::UnknownCommand);
        check("{\"command\":\"CREATE\"}", Code::MissingKey);
        check("{\"command\":\"CREATE\",\"topic\":[]}", Code::MistypedKey);
        check("{\"command\":\"PUBLISH\",\"topic\":\"a\"}", Code::MissingKey);
        check("{\"command\":\"PUBLISH\",\"topic\":\"a\",\"message\":7}", Code::MistypedKey);
        check("{\"command\":\"PUBLISH\",\"topic\":\"a\",\"message\":{}}", Code::MistypedKey);
        check(
            "{\"command\":\"PUBLISH\",\"topic\":\"a\",\"message\":{\"base64\":\"*\"}}",
            Code::InvalidValue,
        );
        check("{\"command\":\"PULL\",\"topic\":\"a\",\"sid\":\"s\",\"max\":0}", Code::InvalidValue);
        check("{\"command\":\"PULL\",\"topic\":\"a\",\"sid\":\"s\",\"max\":-1}", Code::MistypedKey);
        check(
            "{\"command\":\"CREATE\",\"topic\":\"a\",\"retention\":{\"byte\":1}}",
            Code::MistypedKey,
        );
        check("{\"command\":\"CREATE\",\"topic\":\"\\ud800\"}", Code::InvalidJson);
    }

    #[test]
    fn bytes_that_are_not_utf8_are_refused() {
        let refusal = decode_request(b"{\"command\":\"\xFF\"}").expect_err("not UTF-8");
        assert_eq!(refusal.code, Code::InvalidUtf8);
    }

    #[test]
    fn a_blank_line_asks_nothing() {
        assert_eq!(decode_request(b" \t"), Ok(None));
    }

    #[test]
    fn a_publication_without_escapes_is_borrowed() {
        let line = br#"{"command": "PUBLISH", "topic": "News", "message": "Hi", "pid": "p"}"#;
        let Ok(Some(Request::Publish { topic, messages, .. })) = decode_request(line) else {
            panic!("expected a publication");
        };
        assert!(matches!(topic, Cow::Borrowed("News")));
        assert!(matches!(messages, Messages::One(Cow::Borrowed(b"Hi"))));
    }

    #[test]
    fn escapes_and_base64_are_undone() {
        let payload = |message: &str| {
            let line = format!(r#"{{"command":"PUBLISH","topic":"t","message":{message}}}"#);
            match decode_request(line.as_bytes()) {
                Ok(Some(Request::Publish { messages: Messages::One(payload), .. })) => {
                    payload.into_owned()
                }
                other => panic!("expected a publication, found {other:?}"),
            }
        };
        assert_eq!(payload(r#""a\nb\u00e9""#), "a\nbé".as_bytes());
        assert_eq!(payload(r#"{"base64":"/wA="}"#), [0xFF, 0x00]);
    }
}
