//! Lines of answers, and of requests.

use crate::drivers::DriverError;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use protocol::json::{LineDecoder, LineStep};
use serde::de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fmt;

/// The longest answer that is read.
const LINE_BYTES_MAX: usize = 64 * 1024 * 1024;

/// What most answers begin with, which need not be parsed where nothing else of them is wanted.
const OK_START: &[u8] = b"{\"status\":\"ok\"";

/// A request.
#[derive(Default, Serialize)]
pub(super) struct Line<'a> {
    pub(super) command: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) topic: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) message: Option<Message<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) sid: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) start: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) max: Option<usize>,
}

/// A message as a string, or as base64 where it is not text.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Message<'a> {
    Text(&'a str),
    Bytes { base64: String },
}

impl<'a> Message<'a> {
    pub(super) fn new(payload: &'a [u8]) -> Self {
        match std::str::from_utf8(payload) {
            Ok(text) => Self::Text(text),
            Err(_) => Self::Bytes { base64: STANDARD.encode(payload) },
        }
    }
}

impl Line<'_> {
    /// Appends the line, its end included.
    pub(super) fn append(&self, output: &mut Vec<u8>) {
        serde_json::to_writer(&mut *output, self).expect("a line has only strings and numbers");
        output.push(b'\n');
    }
}

/// Reads answers.
pub(super) struct Answers {
    decoder: LineDecoder,
    scratch: Vec<u8>,
}

impl Answers {
    pub(super) fn new() -> Self {
        Self { decoder: LineDecoder::new(LINE_BYTES_MAX), scratch: Vec::new() }
    }

    /// The line that the input begins with, and how many bytes it takes.
    #[inline]
    pub(super) fn next_line<'a>(
        &mut self,
        input: &'a [u8],
    ) -> Result<Option<(&'a [u8], usize)>, DriverError> {
        match self.decoder.next(input) {
            LineStep::Line { consumed, line } => Ok(Some((line, consumed))),
            LineStep::NeedMore => Ok(None),
            LineStep::TooLong { refusal, .. } => Err(refusal.into()),
            step @ LineStep::Discarded { .. } => {
                Err(DriverError::unexpected("an answer line", &step))
            }
        }
    }

    /// Checks that an answer is no refusal.
    #[inline]
    pub(super) fn check(&mut self, line: &[u8]) -> Result<(), DriverError> {
        if line.starts_with(OK_START) { Ok(()) } else { self.take(line, |_| {}).map(|_| ()) }
    }

    /// Hands over the messages of an answer; how many there are.
    pub(super) fn take(
        &mut self,
        line: &[u8],
        take: impl FnMut(&[u8]),
    ) -> Result<u32, DriverError> {
        let mut sink = Sink { take, scratch: &mut self.scratch, messages: 0 };
        let mut json = serde_json::Deserializer::from_slice(line);
        let read = AnswerSeed(&mut sink).deserialize(&mut json);
        let Ok(Answer { is_ok, error }) = read.and_then(|answer| json.end().map(|()| answer))
        else {
            let found = String::from_utf8_lossy(line);
            return Err(DriverError::unexpected("an answer in JSON", &found));
        };
        match (is_ok, error) {
            (true, _) => Ok(sink.messages),
            (false, Some(error)) => Err(DriverError::Refused {
                code: error.code.into_owned(),
                message: error.message.into_owned(),
            }),
            (false, None) => {
                let found = String::from_utf8_lossy(line);
                Err(DriverError::unexpected("a status of \"ok\", or an error", &found))
            }
        }
    }
}

/// Takes messages one by one, so that none is kept.
struct Sink<'s, F> {
    take: F,
    scratch: &'s mut Vec<u8>,
    messages: u32,
}

struct Answer<'de> {
    is_ok: bool,
    error: Option<ErrorKeys<'de>>,
}

#[derive(Deserialize)]
struct ErrorKeys<'a> {
    #[serde(borrow)]
    code: Cow<'a, str>,
    #[serde(borrow)]
    message: Cow<'a, str>,
}

struct AnswerSeed<'a, 's, F>(&'a mut Sink<'s, F>);

impl<'de, F: FnMut(&[u8])> DeserializeSeed<'de> for AnswerSeed<'_, '_, F> {
    type Value = Answer<'de>;

    fn deserialize<D: serde::Deserializer<'de>>(self, json: D) -> Result<Answer<'de>, D::Error> {
        json.deserialize_map(self)
    }
}

impl<'de, F: FnMut(&[u8])> Visitor<'de> for AnswerSeed<'_, '_, F> {
    type Value = Answer<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an answer")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Answer<'de>, A::Error> {
        let mut answer = Answer { is_ok: false, error: None };
        while let Some(key) = map.next_key::<&str>()? {
            match key {
                "status" => answer.is_ok = map.next_value::<&str>()? == "ok",
                "error" => answer.error = Some(map.next_value()?),
                "messages" => map.next_value_seed(MessagesSeed(&mut *self.0))?,
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(answer)
    }
}

struct MessagesSeed<'a, 's, F>(&'a mut Sink<'s, F>);

impl<'de, F: FnMut(&[u8])> DeserializeSeed<'de> for MessagesSeed<'_, '_, F> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_seq(self)
    }
}

impl<'de, F: FnMut(&[u8])> Visitor<'de> for MessagesSeed<'_, '_, F> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("messages")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut messages: A) -> Result<(), A::Error> {
        while messages.next_element_seed(MessageSeed(&mut *self.0))?.is_some() {}
        Ok(())
    }
}

struct MessageSeed<'a, 's, F>(&'a mut Sink<'s, F>);

impl<'de, F: FnMut(&[u8])> DeserializeSeed<'de> for MessageSeed<'_, '_, F> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de, F: FnMut(&[u8])> Visitor<'de> for MessageSeed<'_, '_, F> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a string, or an object with base64")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<(), E> {
        (self.0.take)(text.as_bytes());
        self.0.messages += 1;
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Some(("base64", text)) = map.next_entry::<&str, &str>()? else {
            return Err(A::Error::custom("expected the key base64"));
        };
        let scratch = &mut *self.0.scratch;
        scratch.clear();
        STANDARD.decode_vec(text, scratch).map_err(A::Error::custom)?;
        (self.0.take)(scratch);
        self.0.messages += 1;
        match map.next_key::<&str>()? {
            None => Ok(()),
            Some(_) => Err(A::Error::custom("expected nothing beside base64")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(line: &[u8]) -> Result<Vec<Vec<u8>>, DriverError> {
        let mut messages = Vec::new();
        let count = Answers::new().take(line, |message| messages.push(message.to_vec()))?;
        assert_eq!(count as usize, messages.len());
        Ok(messages)
    }

    #[test]
    fn an_answer_brings_messages_as_strings_and_as_base64() {
        assert!(taken(br#"{"status":"ok"}"#).unwrap().is_empty());
        assert!(taken(br#"{"status":"ok","messages":[],"lost":7}"#).unwrap().is_empty());
        let line = br#"{"status":"ok","messages":["a\n",{"base64":"AP8="},"b"],"remaining":7}"#;
        assert_eq!(taken(line).unwrap(), [&b"a\n"[..], &[0, 255], b"b"]);
    }

    #[test]
    fn an_error_keeps_its_code_and_its_words() {
        let line = br#"{"status":"error","error":{"code":"topic_exists","message":"it \"does\""}}"#;
        let error = Answers::new().check(line).unwrap_err();
        assert_eq!(error.code(), "topic_exists");
        assert!(error.to_string().contains("it \"does\""), "{error}");
    }

    #[test]
    fn what_is_no_answer_is_said_to_be_none() {
        for line in [
            &b"{}"[..],
            b"[]",
            b"{\"status\":\"ok\",\"messages\":[7]}",
            b"{\"status\":\"ok\",\"messages\":[{\"base64\":\"*\"}]}",
            b"{\"status\":\"ok\"} more",
        ] {
            assert_eq!(taken(line).unwrap_err().code(), "unexpected_answer", "{line:?}");
        }
    }
}
