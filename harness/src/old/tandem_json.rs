//! Tandem's brokers over JSON lines: one request line, one response line.

use super::connection::Connection;
use super::{Driver, DriverError, OperationClient, StreamPublisher, StreamSpec, StreamSubscriber};
use protocol::json::{LineDecoder, LineStep};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::net::SocketAddr;

/// The longest answer that is read.
const LINE_BYTES_MAX: usize = 16 * 1024 * 1024;

/// A broker that speaks JSON lines.
#[derive(Debug)]
pub(super) struct TandemJson {
    address: SocketAddr,
}

impl TandemJson {
    pub(super) fn new(address: SocketAddr) -> Self {
        Self { address }
    }

    fn client(&self) -> Result<JsonClient, DriverError> {
        Ok(JsonClient {
            connection: Connection::open(self.address)?,
            decoder: LineDecoder::new(LINE_BYTES_MAX),
            output: Vec::new(),
        })
    }
}

impl Driver for TandemJson {
    fn check(&self) -> Result<(), DriverError> {
        self.client()?.ask(&Line { command: "PING", ..Line::default() }).map(|_| ())
    }

    fn operation_client(&self) -> Result<Box<dyn OperationClient>, DriverError> {
        Ok(Box::new(self.client()?))
    }

    fn prepare_stream(&self, _spec: &StreamSpec) -> Result<(), DriverError> {
        no_streams()
    }

    fn end_stream(&self, _spec: &StreamSpec) -> Result<(), DriverError> {
        no_streams()
    }

    fn stream_publisher(
        &self,
        _spec: &StreamSpec,
        _producer: u16,
    ) -> Result<Box<dyn StreamPublisher>, DriverError> {
        no_streams()
    }

    fn stream_subscriber(
        &self,
        _spec: &StreamSpec,
        _index: u32,
    ) -> Result<Box<dyn StreamSubscriber>, DriverError> {
        no_streams()
    }
}

fn no_streams<T>() -> Result<T, DriverError> {
    Err(DriverError::Unexpected {
        expected: "a stream over a wire with push delivery",
        found: "one over JSON lines".to_owned(),
    })
}

/// A request.
#[derive(Default, Serialize)]
struct Line<'a> {
    command: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    topic: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sid: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max: Option<u32>,
}

/// An answer, as far as it is looked at.
#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    status: Cow<'a, str>,
    #[serde(borrow)]
    error: Option<ErrorKeys<'a>>,
    #[serde(borrow)]
    messages: Option<Vec<Cow<'a, str>>>,
}

#[derive(Deserialize)]
struct ErrorKeys<'a> {
    #[serde(borrow)]
    code: Cow<'a, str>,
    #[serde(borrow)]
    message: Cow<'a, str>,
}

struct JsonClient {
    connection: Connection,
    decoder: LineDecoder,
    output: Vec<u8>,
}

impl JsonClient {
    /// Sends a line and reads its answer; how many messages came with it.
    fn ask(&mut self, line: &Line<'_>) -> Result<u32, DriverError> {
        self.output.clear();
        serde_json::to_writer(&mut self.output, line)
            .map_err(|error| DriverError::unexpected("a request that JSON can hold", &error))?;
        self.output.push(b'\n');
        self.connection.send(&self.output)?;
        loop {
            match self.decoder.next(self.connection.input()) {
                LineStep::Line { consumed, line } => {
                    let read = read_answer(line);
                    self.connection.consume(consumed);
                    return read;
                }
                LineStep::NeedMore => {
                    let input_bytes = self.connection.input().len() + 1;
                    self.connection.fill("an answer", input_bytes)?;
                }
                step => return Err(DriverError::unexpected("an answer line", &step)),
            }
        }
    }
}

fn read_answer(line: &[u8]) -> Result<u32, DriverError> {
    let answer: Answer<'_> = serde_json::from_slice(line).map_err(|_| {
        DriverError::unexpected("an answer in JSON", &String::from_utf8_lossy(line))
    })?;
    match (answer.status.as_ref(), answer.error) {
        ("ok", _) => {
            let messages = answer.messages.map_or(0, |messages| messages.len());
            Ok(u32::try_from(messages).unwrap_or(u32::MAX))
        }
        (_, Some(error)) => Err(DriverError::Refused {
            code: error.code.into_owned(),
            message: error.message.into_owned(),
        }),
        (_, None) => {
            let found = String::from_utf8_lossy(line);
            Err(DriverError::unexpected("a status of \"ok\", or an error", &found))
        }
    }
}

impl OperationClient for JsonClient {
    fn create(&mut self, topic: &str) -> Result<(), DriverError> {
        self.ask(&Line { command: "CREATE", topic: Some(topic), ..Line::default() }).map(|_| ())
    }

    fn publish(&mut self, topic: &str, payload: &[u8]) -> Result<(), DriverError> {
        let message = std::str::from_utf8(payload)
            .map_err(|error| DriverError::unexpected("a payload of text", &error))?;
        let (topic, message) = (Some(topic), Some(message));
        self.ask(&Line { command: "PUBLISH", topic, message, ..Line::default() }).map(|_| ())
    }

    fn subscribe(&mut self, topic: &str, subscriber: &str) -> Result<(), DriverError> {
        let (topic, sid) = (Some(topic), Some(subscriber));
        self.ask(&Line { command: "SUBSCRIBE", topic, sid, ..Line::default() }).map(|_| ())
    }

    fn pull_one(&mut self, topic: &str, subscriber: &str) -> Result<u32, DriverError> {
        let (topic, sid, max) = (Some(topic), Some(subscriber), Some(1));
        self.ask(&Line { command: "PULL", topic, sid, max, ..Line::default() })
    }

    fn delete(&mut self, topic: &str) -> Result<(), DriverError> {
        self.ask(&Line { command: "DELETE", topic: Some(topic), ..Line::default() }).map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_says_how_many_messages_came() {
        assert_eq!(read_answer(br#"{"status":"ok"}"#).unwrap(), 0);
        assert_eq!(read_answer(br#"{"status":"ok","messages":["a\n","b"]}"#).unwrap(), 2);
    }

    #[test]
    fn an_error_keeps_its_code() {
        let line = br#"{"status":"error","error":{"code":"topic_exists","message":"it does"}}"#;
        assert_eq!(read_answer(line).unwrap_err().code(), "topic_exists");
        assert_eq!(read_answer(b"{}").unwrap_err().code(), "unexpected_answer");
    }
}
