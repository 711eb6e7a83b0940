//! What clients ask, and how it goes onto the wire.

use crate::payload::Payload;
use crate::said::Tongue;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use protocol::native::{client_greeting, encode_request};
use protocol::{BatchBuilder, Code, Messages, PublishAck, PublishTerms, Request};
use serde_json::{Value, json};
use std::borrow::Cow;

/// One thing that a client sends.
#[derive(Clone, Debug)]
pub(crate) enum Ask {
    /// The native greeting.
    Greet,
    Publish {
        topic: String,
        payloads: Vec<Payload>,
        ack: PublishAck,
    },
    Request(Request<'static>),
    /// Bytes that are to be refused.
    Wrong {
        bytes: Payload,
        code: Code,
        /// Whether the connection ends.
        is_fatal: bool,
    },
    /// Bytes that say nothing.
    Blank,
}

/// An ask on its way, and where it stands in the stream of bytes.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) ask: Ask,
    pub(crate) correlation: u32,
    pub(crate) start: u64,
    pub(crate) end: u64,
}

impl Ask {
    pub(crate) fn encode(&self, tongue: Tongue, correlation: u32) -> Vec<u8> {
        match (self, tongue) {
            (Self::Wrong { bytes, .. }, _) => bytes.to_vec(),
            (Self::Blank, _) => b" \r\n".to_vec(),
            (Self::Greet, _) => client_greeting().to_vec(),
            (Self::Publish { topic, payloads, .. }, Tongue::Json) => {
                let [payload] = &payloads[..] else {
                    panic!("a line publishes one message, not {}", payloads.len());
                };
                line(&json!({"command": "PUBLISH", "topic": topic, "message": message(payload)}))
            }
            (Self::Publish { topic, payloads, ack }, Tongue::Native) => {
                encode_publish(topic, payloads, *ack, correlation)
            }
            (Self::Request(request), Tongue::Json) => line(&keys(request)),
            (Self::Request(request), Tongue::Native) => {
                let mut out = Vec::new();
                encode_request(request, correlation, &mut out);
                out
            }
        }
    }
}

fn encode_publish(topic: &str, payloads: &[Payload], ack: PublishAck, correlation: u32) -> Vec<u8> {
    let mut builder = BatchBuilder::new();
    for payload in payloads {
        builder.push(payload).expect("short enough for a record");
    }
    let messages = Messages::Batch(builder.batch());
    let request = Request::Publish {
        topic: Cow::Borrowed(topic),
        messages,
        ack,
        terms: PublishTerms::default(),
    };
    let mut out = Vec::new();
    encode_request(&request, correlation, &mut out);
    out
}

fn line(keys: &Value) -> Vec<u8> {
    format!("{keys}\n").into_bytes()
}

fn message(payload: &[u8]) -> Value {
    match std::str::from_utf8(payload) {
        Ok(text) => json!(text),
        Err(_) => json!({"base64": STANDARD.encode(payload)}),
    }
}

fn keys(request: &Request<'_>) -> Value {
    match request {
        Request::Create { topic, options } => {
            let retention = options.retention;
            let mut limits = serde_json::Map::new();
            let keys = [
                ("bytes", retention.bytes_max),
                ("messages", retention.messages_max),
                ("age_ms", retention.age_ms_max),
            ];
            for (key, value) in keys {
                limits.extend(value.map(|value| (key.to_owned(), json!(value))));
            }
            json!({"command": "CREATE", "topic": topic, "retention": limits})
        }
        Request::Delete { topic } => json!({"command": "DELETE", "topic": topic}),
        Request::Subscribe { topic, subscriber, .. } => {
            json!({"command": "SUBSCRIBE", "topic": topic, "sid": subscriber})
        }
        Request::Unsubscribe { topic, subscriber } => {
            json!({"command": "UNSUBSCRIBE", "topic": topic, "sid": subscriber})
        }
        Request::Pull { topic, subscriber, count_max: None } => {
            json!({"command": "PULL", "topic": topic, "sid": subscriber})
        }
        Request::Pull { topic, subscriber, count_max: Some(max) } => {
            json!({"command": "PULL", "topic": topic, "sid": subscriber, "max": max})
        }
        Request::ListTopics => json!({"command": "LIST_TOPICS"}),
        Request::Subscribers { topic } => json!({"command": "GET_SUBSCRIBERS", "topic": topic}),
        Request::Ping => json!({"command": "PING"}),
        Request::Info => json!({"command": "INFO"}),
        Request::Publish { .. }
        | Request::Detach { .. }
        | Request::Credit { .. }
        | Request::Ack { .. }
        | Request::Settle { .. }
        | Request::Seek { .. } => panic!("no line says {request:?}"),
    }
}
