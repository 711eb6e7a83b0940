//! What a session wrote, read with the protocol's decoders.

use crate::payload::Payload;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use protocol::native::{
    BROKER_GREETING_BYTES, BrokerGreeting, FrameDecoder, FrameStep, decode_response,
};
use protocol::{Batch, Code, Info, Response};
use serde::Deserialize;
use std::collections::VecDeque;

/// What a connection speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tongue {
    Json,
    Native,
}

/// One thing that a broker said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    Greeting { accepted: bool },
    Reply { correlation: u32, reply: Reply },
    Deliver { number: u32, base_offset: u64, payloads: Vec<Payload> },
    Lost { number: u32, count: u64, next_offset: u64 },
    Ended { number: u32, code: Code },
}

/// An answer to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    /// In JSON lines also the answer to SUBSCRIBE and PING.
    Done,
    Published {
        base_offset: u64,
        count: u32,
    },
    Subscribed {
        next_offset: u64,
    },
    Messages(Pulled),
    Topics(Vec<String>),
    Subscribers(Vec<String>),
    Pong,
    Info(Info),
    Refused(Code),
}

/// What a PULL gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pulled {
    /// JSON lines do not tell.
    pub(crate) base_offset: Option<u64>,
    pub(crate) lost: u64,
    pub(crate) remaining: u64,
    pub(crate) payloads: Vec<Payload>,
}

/// Reads all that one call into a session wrote, with the number of bytes that each thing took.
pub(crate) fn read(tongue: Tongue, bytes: &[u8], greeted: bool) -> VecDeque<(usize, Said)> {
    match tongue {
        Tongue::Json => read_lines(bytes),
        Tongue::Native if greeted || bytes.is_empty() => read_frames(bytes),
        // One that was not heard yet is told in text why it has to go.
        Tongue::Native if bytes.starts_with(b"{") => read_lines(bytes),
        Tongue::Native => read_greeting(bytes),
    }
}

fn read_greeting(bytes: &[u8]) -> VecDeque<(usize, Said)> {
    let greeting = BrokerGreeting::decode(bytes).expect("the magic").expect("a whole greeting");
    let mut all = read_frames(&bytes[BROKER_GREETING_BYTES..]);
    all.push_front((BROKER_GREETING_BYTES, Said::Greeting { accepted: greeting.accepted }));
    all
}

fn read_frames(mut bytes: &[u8]) -> VecDeque<(usize, Said)> {
    let mut all = VecDeque::new();
    let mut decoder = FrameDecoder::new(usize::MAX);
    while !bytes.is_empty() {
        let FrameStep::Frame { consumed, frame } = decoder.next(bytes) else {
            panic!("expected whole frames, found {} bytes more: {bytes:02x?}", bytes.len());
        };
        let number = frame.correlation;
        let response = decode_response(frame).expect("a response");
        all.push_back((consumed, from_response(response, number)));
        bytes = &bytes[consumed..];
    }
    all
}

fn from_response(response: Response<'_>, number: u32) -> Said {
    let reply = match response {
        Response::Deliver { base_offset, batch } => {
            return Said::Deliver { number, base_offset, payloads: owned(batch) };
        }
        Response::Leased { .. } | Response::Redeliver { .. } => {
            panic!("nothing is acknowledged individually, found {response:?}")
        }
        Response::Lost { count, next_offset } => return Said::Lost { number, count, next_offset },
        Response::Ended(refusal) => return Said::Ended { number, code: refusal.code },
        Response::Done => Reply::Done,
        Response::Published { base_offset, count } => Reply::Published { base_offset, count },
        Response::Subscribed { next_offset } => Reply::Subscribed { next_offset },
        Response::Messages { base_offset, lost, remaining, batch } => Reply::Messages(Pulled {
            base_offset: Some(base_offset),
            lost,
            remaining,
            payloads: owned(batch),
        }),
        Response::Topics(names) => Reply::Topics(names.into_iter().map(str::to_owned).collect()),
        Response::Subscribers(ids) => {
            Reply::Subscribers(ids.into_iter().map(str::to_owned).collect())
        }
        Response::Pong => Reply::Pong,
        Response::Info(text) => Reply::Info(serde_json::from_str(text).expect("an INFO object")),
        Response::Refused(refusal) => Reply::Refused(refusal.code),
    };
    Said::Reply { correlation: number, reply }
}

fn owned(batch: Batch<'_>) -> Vec<Payload> {
    batch.payloads().map(|payload| Payload::from(payload.to_vec())).collect()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    status: String,
    error: Option<ErrorKeys>,
    offset: Option<u64>,
    next_offset: Option<u64>,
    messages: Option<Vec<Message>>,
    #[serde(default)]
    lost: u64,
    #[serde(default)]
    remaining: u64,
    topics: Option<Vec<String>>,
    subscribers: Option<Vec<String>>,
    count: Option<usize>,
    info: Option<Info>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ErrorKeys {
    code: String,
    #[serde(rename = "message")]
    _message: String,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Message {
    Text(String),
    Bytes { base64: String },
}

fn read_lines(bytes: &[u8]) -> VecDeque<(usize, Said)> {
    let lines = bytes.split_inclusive(|byte| *byte == b'\n');
    let read = |line: &[u8]| {
        assert!(line.ends_with(b"\n"), "expected whole lines, found {line:?}");
        let line_bytes = line.len();
        let line: Line = serde_json::from_slice(line).expect("a response line");
        (line_bytes, Said::Reply { correlation: 0, reply: from_line(line) })
    };
    lines.map(read).collect()
}

fn from_line(line: Line) -> Reply {
    if let Some(ErrorKeys { code, .. }) = line.error {
        assert_eq!(line.status, "error");
        let known = Code::ALL.iter().find(|known| known.name() == code);
        return Reply::Refused(*known.expect("a known code"));
    }
    assert_eq!(line.status, "ok");
    if let Some(base_offset) = line.offset {
        return Reply::Published { base_offset, count: 1 };
    }
    if let Some(next_offset) = line.next_offset {
        return Reply::Subscribed { next_offset };
    }
    if let Some(messages) = line.messages {
        let payloads = messages.into_iter().map(Message::into_payload).collect();
        let Line { lost, remaining, .. } = line;
        return Reply::Messages(Pulled { base_offset: None, lost, remaining, payloads });
    }
    if let Some(ids) = line.subscribers {
        assert_eq!(line.count, Some(ids.len()));
        return Reply::Subscribers(ids);
    }
    match (line.topics, line.info) {
        (Some(names), _) => Reply::Topics(names),
        (None, Some(info)) => Reply::Info(info),
        (None, None) => Reply::Done,
    }
}

impl Message {
    fn into_payload(self) -> Payload {
        Payload::from(match self {
            Self::Text(text) => text.into_bytes(),
            Self::Bytes { base64 } => STANDARD.decode(base64).expect("base64"),
        })
    }
}
