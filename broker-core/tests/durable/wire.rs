//! What clients send and what they are told, in both dialects.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use protocol::batch::records;
use protocol::native::{
    BROKER_GREETING_BYTES, BrokerGreeting, FrameDecoder, FrameStep, client_greeting,
    decode_response, encode_request,
};
use protocol::{
    AckTerms, BatchBuilder, Code, Messages, OffsetRange, PublishAck, PublishTerms, Request,
    Response, SettleTarget, Start, TopicOptions, Verdict,
};
use serde_json::{Map, Value, json};
use std::fmt;
use std::ops::Deref;
use std::rc::Rc;

/// Letters of a payload that are told at most.
const LETTERS_MAX: usize = 16;

/// What a message holds.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Payload(Rc<[u8]>);

impl From<&[u8]> for Payload {
    fn from(bytes: &[u8]) -> Self {
        Self(Rc::from(bytes))
    }
}

impl Deref for Payload {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.split(|byte| *byte == b'.').next().unwrap_or_default();
        let name = &name[..name.len().min(LETTERS_MAX)];
        write!(f, "{} {} B", name.escape_ascii(), self.len())
    }
}

/// What a connection speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tongue {
    Json,
    Native,
}

/// One thing that a client sends.
#[derive(Clone, Debug)]
pub(crate) enum Ask {
    Greet,
    Publish { topic: String, payloads: Vec<Payload>, ack: PublishAck, terms: PublishTerms },
    Request(Request<'static>),
}

impl Ask {
    pub(crate) fn encode(&self, tongue: Tongue, correlation: u32) -> Vec<u8> {
        let mut out = Vec::new();
        match (self, tongue) {
            (Self::Greet, _) => out.extend_from_slice(&client_greeting()),
            (Self::Publish { topic, payloads, terms, .. }, Tongue::Json) => {
                let message = text_or_base64(&payloads[0]);
                let mut keys = json!({"command": "PUBLISH", "topic": topic, "message": message});
                if let Some(durability) = terms.durability {
                    keys["durability"] = json!(durability.name());
                }
                out = line(&keys);
            }
            (Self::Publish { topic, payloads, ack, terms }, Tongue::Native) => {
                let mut batch = BatchBuilder::new();
                payloads.iter().for_each(|payload| batch.push(payload).expect("a short one"));
                let messages = Messages::Batch(batch.batch());
                let topic = topic.as_str().into();
                let request = Request::Publish { topic, messages, ack: *ack, terms: *terms };
                encode_request(&request, correlation, &mut out);
            }
            (Self::Request(request), Tongue::Json) => out = line(&keys(request)),
            (Self::Request(request), Tongue::Native) => {
                encode_request(request, correlation, &mut out);
            }
        }
        out
    }
}

fn line(keys: &Value) -> Vec<u8> {
    format!("{keys}\n").into_bytes()
}

fn text_or_base64(bytes: &[u8]) -> Value {
    match std::str::from_utf8(bytes) {
        Ok(text) => json!(text),
        Err(_) => json!({"base64": STANDARD.encode(bytes)}),
    }
}

fn keys(request: &Request<'_>) -> Value {
    match request {
        Request::Create { topic, options } => {
            let mut keys = json!({"command": "CREATE", "topic": topic});
            put_options(&mut keys, *options);
            keys
        }
        Request::Delete { topic } => json!({"command": "DELETE", "topic": topic}),
        Request::Subscribe { topic, subscriber, start, acks, .. } => {
            let mut keys = json!({"command": "SUBSCRIBE", "topic": topic, "start": begin(*start)});
            keys[if acks.is_some() { "group" } else { "sid" }] = json!(subscriber);
            if let Some(acks) = acks {
                keys["acks"] = terms(acks);
            }
            keys
        }
        Request::Unsubscribe { topic, subscriber } => {
            json!({"command": "UNSUBSCRIBE", "topic": topic, "sid": subscriber})
        }
        Request::Seek { topic, subscriber, to } => {
            json!({"command": "SEEK", "topic": topic, "sid": subscriber, "to": begin(*to)})
        }
        Request::Pull { topic, subscriber, count_max } => {
            let mut keys = json!({"command": "PULL", "topic": topic, "sid": subscriber});
            if let Some(max) = count_max {
                keys["max"] = json!(max);
            }
            keys
        }
        Request::Settle {
            target: SettleTarget::Named { topic, subscriber },
            ranges,
            verdict,
            ..
        } => {
            let (command, delay) = match verdict {
                Verdict::Ack => ("ACK", None),
                Verdict::Nack { delay_ms } => ("NACK", *delay_ms),
            };
            let offsets: Vec<u64> = offsets(ranges).collect();
            let mut keys =
                json!({"command": command, "topic": topic, "sid": subscriber, "offsets": offsets});
            if let Some(delay_ms) = delay {
                keys["delay_ms"] = json!(delay_ms);
            }
            keys
        }
        Request::ListTopics => json!({"command": "LIST_TOPICS"}),
        Request::Subscribers { topic } => json!({"command": "GET_SUBSCRIBERS", "topic": topic}),
        other => panic!("no line says {other:?}"),
    }
}

fn put_options(keys: &mut Value, options: TopicOptions) {
    let retention = options.retention;
    let limits = [
        ("bytes", retention.bytes_max),
        ("messages", retention.messages_max),
        ("age_ms", retention.age_ms_max),
    ];
    let given = limits.into_iter().filter_map(|(key, limit)| Some((key.to_owned(), json!(limit?))));
    keys["retention"] = Value::Object(given.collect());
    if let Some(storage) = options.storage {
        keys["storage"] = json!(storage.name());
    }
    if let Some(durability) = options.durability {
        keys["durability"] = json!(durability.name());
    }
}

fn begin(start: Start) -> Value {
    match start {
        Start::Earliest => json!("earliest"),
        Start::Latest => json!("latest"),
        Start::Offset(offset) => json!({"offset": offset}),
        Start::Time { unix_ms } => json!({"time_ms": unix_ms}),
    }
}

fn terms(acks: &AckTerms<'_>) -> Value {
    let numbers = [
        ("timeout_ms", acks.ack_timeout_ms),
        ("in_flight", acks.in_flight_max),
        ("deliveries", acks.deliveries_max),
        ("backoff_ms", acks.backoff_ms_min),
        ("backoff_ms_max", acks.backoff_ms_max),
    ];
    let given = numbers.into_iter().filter(|(_, number)| *number > 0);
    let mut keys: Map<_, _> = given.map(|(key, number)| (key.to_owned(), json!(number))).collect();
    if let Some(topic) = &acks.dead_letter {
        keys.insert("dead_letter".to_owned(), json!(topic));
    }
    Value::Object(keys)
}

/// One thing that a broker said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    Greeting,
    Reply { correlation: u32, reply: Reply },
    Deliver { number: u32, given: Given },
    Lost { number: u32, count: u64, next_offset: u64 },
    Ended { number: u32, code: Code },
}

/// An answer to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    Done,
    Published { base_offset: u64 },
    Subscribed { next_offset: u64 },
    Pulled { given: Given, lost: u64, remaining: u64 },
    Names(Vec<String>),
    Refused(Code),
}

/// Messages that were given to a reader.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Given {
    /// JSON lines do not tell it of a cursor's messages.
    pub(crate) base_offset: Option<u64>,
    /// `None`: they are not acknowledged individually, or it is the first time.
    pub(crate) deliveries: Option<u32>,
    pub(crate) payloads: Vec<Payload>,
    /// Of each message.
    pub(crate) headers: Vec<Vec<(String, String)>>,
}

/// Reads all that one call into a session wrote.
pub(crate) fn read(tongue: Tongue, mut bytes: &[u8], greeted: bool) -> Vec<Said> {
    if tongue == Tongue::Json {
        return bytes.split_inclusive(|byte| *byte == b'\n').map(read_line).collect();
    }
    let mut all = Vec::new();
    if !greeted && !bytes.is_empty() {
        BrokerGreeting::decode(bytes).expect("the magic").expect("a whole greeting");
        bytes = &bytes[BROKER_GREETING_BYTES..];
        all.push(Said::Greeting);
    }
    let mut decoder = FrameDecoder::new(usize::MAX);
    while !bytes.is_empty() {
        let FrameStep::Frame { consumed, frame } = decoder.next(bytes) else {
            panic!("expected whole frames, found {} bytes more", bytes.len());
        };
        let number = frame.correlation;
        all.push(from_response(decode_response(frame).expect("a response"), number));
        bytes = &bytes[consumed..];
    }
    all
}

fn from_response(response: Response<'_>, number: u32) -> Said {
    let reply = match response {
        Response::Deliver { base_offset, batch } => {
            return Said::Deliver { number, given: given(base_offset, None, batch.bytes()) };
        }
        Response::Redeliver { base_offset, deliveries, batch } => {
            let given = given(base_offset, Some(deliveries), batch.bytes());
            return Said::Deliver { number, given };
        }
        Response::Lost { count, next_offset } => return Said::Lost { number, count, next_offset },
        Response::Ended(refusal) => return Said::Ended { number, code: refusal.code },
        Response::Done | Response::Pong => Reply::Done,
        Response::Published { base_offset, .. } => Reply::Published { base_offset },
        Response::Subscribed { next_offset } => Reply::Subscribed { next_offset },
        Response::Messages { base_offset, lost, remaining, batch } => {
            Reply::Pulled { given: given(base_offset, None, batch.bytes()), lost, remaining }
        }
        Response::Leased { base_offset, lost, remaining, deliveries, batch } => {
            let given = given(base_offset, Some(deliveries), batch.bytes());
            Reply::Pulled { given, lost, remaining }
        }
        Response::Topics(names) | Response::Subscribers(names) => {
            Reply::Names(names.into_iter().map(str::to_owned).collect())
        }
        Response::Info(_) => panic!("nobody asked for INFO"),
        Response::Refused(refusal) => Reply::Refused(refusal.code),
    };
    Said::Reply { correlation: number, reply }
}

fn given(base_offset: u64, deliveries: Option<u32>, bytes: &[u8]) -> Given {
    let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
    let mut given = Given { base_offset: Some(base_offset), deliveries, ..Given::default() };
    for record in records(bytes) {
        given.payloads.push(Payload::from(record.payload));
        let headers = record.headers.map(|(key, value)| (key.to_owned(), text(value)));
        given.headers.push(headers.collect());
    }
    given
}

fn read_line(line: &[u8]) -> Said {
    assert!(line.ends_with(b"\n"), "expected whole lines");
    let line: Value = serde_json::from_slice(line).expect("a response line");
    Said::Reply { correlation: 0, reply: from_line(&line) }
}

fn from_line(line: &Value) -> Reply {
    if let Some(name) = line["error"]["code"].as_str() {
        let code = Code::ALL.iter().find(|code| code.name() == name);
        return Reply::Refused(*code.expect("a known code"));
    }
    assert_eq!(line["status"], "ok");
    let number = |key: &str| line[key].as_u64();
    if let Some(base_offset) = number("offset") {
        return Reply::Published { base_offset };
    }
    if let Some(next_offset) = number("next_offset") {
        return Reply::Subscribed { next_offset };
    }
    if let Some(names) = line["topics"].as_array().or(line["subscribers"].as_array()) {
        let names = names.iter().map(|name| name.as_str().expect("a name").to_owned());
        return Reply::Names(names.collect());
    }
    let Some(messages) = line["messages"].as_array() else { return Reply::Done };
    let payloads: Vec<Payload> = messages.iter().map(payload).collect();
    let given = Given {
        base_offset: line["offsets"][0].as_u64(),
        deliveries: number("deliveries").map(|deliveries| deliveries as u32),
        headers: vec![Vec::new(); payloads.len()],
        payloads,
    };
    let (lost, remaining) = (number("lost").unwrap_or(0), number("remaining").unwrap_or(0));
    Reply::Pulled { given, lost, remaining }
}

fn payload(message: &Value) -> Payload {
    match message.as_str() {
        Some(text) => Payload::from(text.as_bytes()),
        None => {
            let text = message["base64"].as_str().expect("text or base64");
            Payload::from(&STANDARD.decode(text).expect("base64")[..])
        }
    }
}

/// All offsets of some ranges.
pub(crate) fn offsets(ranges: &[OffsetRange]) -> impl Iterator<Item = u64> {
    ranges.iter().flat_map(|range| range.first..range.end())
}
