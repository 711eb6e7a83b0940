//! A client that speaks JSON lines with nothing but a socket and a JSON parser.

use crate::speaks::code_of;
use crate::{Answer, Connection, Headers, Leased, Pulled, Speaks};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use protocol::{AckTerms, Code, Durability, Info, Refusal, Start, TopicOptions, Verdict};
use serde_json::{Map, Value, json};
use std::net::SocketAddr;

/// A client that speaks JSON lines.
#[derive(Debug)]
pub struct JsonClient {
    /// The connection, for what no client would send.
    pub connection: Connection,
}

impl JsonClient {
    /// Sends `request` as one line.
    #[track_caller]
    pub fn send(&mut self, request: &Value) {
        self.connection.send(format!("{request}\n").as_bytes());
    }

    /// Reads one answer.
    #[track_caller]
    pub fn read(&mut self) -> Value {
        let line = self.connection.take_line().expect("an answer, not the end of the connection");
        serde_json::from_slice(&line).unwrap_or_else(|error| {
            panic!("expected JSON, found {:?}: {error}", String::from_utf8_lossy(&line))
        })
    }

    /// Sends `request` and reads its answer.
    #[track_caller]
    pub fn ask(&mut self, request: &Value) -> Value {
        self.send(request);
        self.read()
    }

    /// Reads one answer as the client sees it: what it says, or why it was refused.
    #[track_caller]
    pub fn read_answer(&mut self) -> Answer<Map<String, Value>> {
        answer(self.read())
    }

    /// Sends `line` with its newline, and gives the code that it must be refused with.
    #[track_caller]
    pub fn refusal_of(&mut self, line: impl AsRef<[u8]>) -> Code {
        self.connection.send(line.as_ref());
        self.connection.send(b"\n");
        self.read_answer().expect_err("a refusal")
    }

    #[track_caller]
    fn say(&mut self, request: &Value) -> Answer<Map<String, Value>> {
        answer(self.ask(request))
    }

    /// Sends SUBSCRIBE or SEEK, and gives the next offset.
    #[track_caller]
    fn go_on(&mut self, request: &Value) -> Answer<u64> {
        let said = self.say(request)?;
        assert_eq!(said.len(), 1, "expected the next offset and nothing else, found {said:?}");
        Ok(said["next_offset"].as_u64().expect("an offset"))
    }

    #[track_caller]
    fn do_it(&mut self, request: &Value) -> Answer<()> {
        let said = self.say(request)?;
        assert!(said.is_empty(), "expected nothing but ok, found {said:?}");
        Ok(())
    }
}

impl Speaks for JsonClient {
    fn open(address: SocketAddr) -> Self {
        Self { connection: Connection::open(address) }
    }

    fn refused_at_once(address: SocketAddr) -> Code {
        let mut client = Self::open(address);
        // Fails where the broker has told and closed already.
        let _ = client.connection.try_send(b"{\"command\":\"PING\"}\n");
        client.closing_refusal()
    }

    fn create_as(&mut self, topic: &str, options: TopicOptions) -> Answer<()> {
        let TopicOptions { retention, storage, durability } = options;
        let mut request = json!({"command": "CREATE", "topic": topic});
        let limits = [
            ("bytes", retention.bytes_max),
            ("messages", retention.messages_max),
            ("age_ms", retention.age_ms_max),
        ];
        for (key, limit) in limits {
            if let Some(limit) = limit {
                request["retention"][key] = limit.into();
            }
        }
        if let Some(storage) = storage {
            request["storage"] = storage.name().into();
        }
        if let Some(durability) = durability {
            request["durability"] = durability.name().into();
        }
        self.do_it(&request)
    }

    fn delete(&mut self, topic: &str) -> Answer<()> {
        self.do_it(&json!({"command": "DELETE", "topic": topic}))
    }

    fn publish_as(
        &mut self,
        topic: &str,
        message: impl AsRef<[u8]>,
        durability: Option<Durability>,
    ) -> Answer<u64> {
        let message = message_value(message.as_ref());
        let mut request = json!({"command": "PUBLISH", "topic": topic, "message": message});
        if let Some(durability) = durability {
            request["durability"] = durability.name().into();
        }
        Ok(self.say(&request)?["offset"].as_u64().expect("an offset"))
    }

    fn subscribe_as(
        &mut self,
        topic: &str,
        subscriber: &str,
        start: Start,
        acks: Option<&AckTerms<'_>>,
    ) -> Answer<u64> {
        let mut request = json!({"command": "SUBSCRIBE", "topic": topic, "sid": subscriber});
        if start != Start::default() {
            request["start"] = start_value(start);
        }
        if let Some(acks) = acks {
            request["acks"] = acks_value(acks);
        }
        self.go_on(&request)
    }

    fn seek(&mut self, topic: &str, subscriber: &str, to: Start) -> Answer<u64> {
        let to = start_value(to);
        self.go_on(&json!({"command": "SEEK", "topic": topic, "sid": subscriber, "to": to}))
    }

    fn unsubscribe(&mut self, topic: &str, subscriber: &str) -> Answer<()> {
        self.do_it(&json!({"command": "UNSUBSCRIBE", "topic": topic, "sid": subscriber}))
    }

    fn pull_max(
        &mut self,
        topic: &str,
        subscriber: &str,
        count_max: Option<u32>,
    ) -> Answer<Pulled> {
        Ok(pulled(&self.say(&pull_request(topic, subscriber, count_max))?))
    }

    fn lease(&mut self, topic: &str, group: &str, count_max: Option<u32>) -> Answer<Leased> {
        let said = self.say(&pull_request(topic, group, count_max))?;
        let offsets = said["offsets"].as_array().expect("offsets");
        let offset = |offset: &Value| offset.as_u64().expect("an offset");
        let deliveries = said["deliveries"].as_u64().expect("a count of deliveries");
        let leased = Leased {
            pulled: pulled(&said),
            offsets: offsets.iter().map(offset).collect(),
            deliveries: u32::try_from(deliveries).expect("few deliveries"),
        };
        assert_eq!(leased.offsets.len(), leased.pulled.messages.len(), "an offset each");
        Ok(leased)
    }

    fn settle(
        &mut self,
        topic: &str,
        group: &str,
        offsets: &[u64],
        verdict: Verdict,
    ) -> Answer<()> {
        let (command, delay_ms) = match verdict {
            Verdict::Ack => ("ACK", None),
            Verdict::Nack { delay_ms } => ("NACK", delay_ms),
        };
        let mut request = json!({"command": command, "topic": topic, "group": group});
        match offsets {
            [offset] => request["offset"] = (*offset).into(),
            offsets => request["offsets"] = offsets.into(),
        }
        if let Some(delay_ms) = delay_ms {
            request["delay_ms"] = delay_ms.into();
        }
        self.do_it(&request)
    }

    fn topics(&mut self) -> Answer<Vec<String>> {
        Ok(texts(&self.say(&json!({"command": "LIST_TOPICS"}))?["topics"]))
    }

    fn subscribers(&mut self, topic: &str) -> Answer<Vec<String>> {
        let said = self.say(&json!({"command": "GET_SUBSCRIBERS", "topic": topic}))?;
        let subscribers = texts(&said["subscribers"]);
        assert_eq!(said["count"], subscribers.len(), "count tells how many there are");
        Ok(subscribers)
    }

    fn ping(&mut self) -> Answer<()> {
        self.do_it(&json!({"command": "PING"}))
    }

    fn info(&mut self) -> Answer<Info> {
        let mut said = self.say(&json!({"command": "INFO"}))?;
        Ok(serde_json::from_value(said["info"].take()).expect("the fields of INFO"))
    }

    fn closing_refusal(&mut self) -> Code {
        let code = self.read_answer().expect_err("a refusal before the end");
        self.connection.assert_ended();
        code
    }
}

/// An answer without its `status`, which must agree with the rest.
#[track_caller]
fn answer(answer: Value) -> Answer<Map<String, Value>> {
    let Value::Object(mut keys) = answer else { panic!("expected an object, found {answer}") };
    match keys.remove("status").as_ref().and_then(Value::as_str) {
        Some("ok") => Ok(keys),
        Some("error") => {
            let error = &keys["error"];
            let name = error["code"].as_str().expect("a code");
            let message = error["message"].as_str().expect("a message").to_owned();
            let code = Code::ALL.iter().find(|code| code.name() == name);
            let code = *code.unwrap_or_else(|| panic!("expected a known code, found {name}"));
            Err(code_of(&Refusal::new(code, message)))
        }
        other => panic!("expected a status of ok or error, found {other:?}"),
    }
}

fn pull_request(topic: &str, subscriber: &str, count_max: Option<u32>) -> Value {
    let mut request = json!({"command": "PULL", "topic": topic, "sid": subscriber});
    if let Some(count_max) = count_max {
        request["max"] = count_max.into();
    }
    request
}

/// What an answer to PULL says of any subscription.
fn pulled(said: &Map<String, Value>) -> Pulled {
    let messages = said["messages"].as_array().expect("messages");
    let count = |key| said.get(key).map_or(0, |count| count.as_u64().expect("a count"));
    let headers = match said.get("headers") {
        None => vec![Headers::new(); messages.len()],
        Some(all) => all.as_array().expect("headers").iter().map(headers).collect(),
    };
    assert_eq!(headers.len(), messages.len(), "headers, or null, for each message");
    Pulled {
        messages: messages.iter().map(message_bytes).collect(),
        headers,
        lost: count("lost"),
        remaining: count("remaining"),
    }
}

fn headers(value: &Value) -> Headers {
    match value {
        Value::Null => Headers::new(),
        Value::Object(keys) => {
            keys.iter().map(|(key, value)| (key.clone(), message_bytes(value))).collect()
        }
        other => panic!("expected an object or null, found {other}"),
    }
}

fn start_value(start: Start) -> Value {
    match start {
        Start::Earliest => "earliest".into(),
        Start::Latest => "latest".into(),
        Start::Offset(offset) => json!({"offset": offset}),
        Start::Time { unix_ms } => json!({"time_ms": unix_ms}),
    }
}

/// Only what is not the broker's default is said.
fn acks_value(acks: &AckTerms<'_>) -> Value {
    let mut value = json!({});
    let numbers = [
        ("timeout_ms", acks.ack_timeout_ms),
        ("in_flight", acks.in_flight_max),
        ("deliveries", acks.deliveries_max),
        ("backoff_ms", acks.backoff_ms_min),
        ("backoff_ms_max", acks.backoff_ms_max),
    ];
    for (key, number) in numbers.into_iter().filter(|(_, number)| *number > 0) {
        value[key] = number.into();
    }
    if let Some(topic) = &acks.dead_letter {
        value["dead_letter"] = topic.as_ref().into();
    }
    value
}

fn message_value(message: &[u8]) -> Value {
    match std::str::from_utf8(message) {
        Ok(text) => text.into(),
        Err(_) => json!({"base64": STANDARD.encode(message)}),
    }
}

fn message_bytes(message: &Value) -> Vec<u8> {
    match message {
        Value::String(text) => text.clone().into_bytes(),
        other => {
            let base64 = other["base64"].as_str().expect("a string, or base64");
            STANDARD.decode(base64).expect("base64")
        }
    }
}

fn texts(value: &Value) -> Vec<String> {
    serde_json::from_value(value.clone()).expect("an array of strings")
}
