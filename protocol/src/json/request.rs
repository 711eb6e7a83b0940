//! Requests as lines.

use super::values::{
    ack_terms, count_max, delay_ms, durability, message, missing, offset_ranges, retention, start,
    storage, text,
};
use crate::{
    AckTerms, Code, Delivery, Messages, PublishAck, PublishTerms, Refusal, Request, SettleAnswer,
    SettleTarget, Start, TopicOptions, Verdict,
};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;

const COMMANDS: &str = "CREATE, DELETE, PUBLISH, SUBSCRIBE, UNSUBSCRIBE, SEEK, PULL, ACK, NACK, \
                        LIST_TOPICS, GET_SUBSCRIBERS, PING or INFO";

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
    #[serde(borrow)]
    storage: Option<&'a RawValue>,
    #[serde(borrow)]
    durability: Option<&'a RawValue>,
    #[serde(borrow)]
    group: Option<&'a RawValue>,
    #[serde(borrow)]
    start: Option<&'a RawValue>,
    #[serde(borrow)]
    acks: Option<&'a RawValue>,
    #[serde(borrow)]
    to: Option<&'a RawValue>,
    #[serde(borrow)]
    offset: Option<&'a RawValue>,
    #[serde(borrow)]
    offsets: Option<&'a RawValue>,
    #[serde(borrow)]
    delay_ms: Option<&'a RawValue>,
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
                terms: PublishTerms { durability: durability(self.durability)?, sequence: None },
            },
            "PULL" => Request::Pull {
                topic: self.topic()?,
                subscriber: self.subscriber()?,
                count_max: count_max(self.max)?,
            },
            "ACK" => self.settle(Verdict::Ack)?,
            "NACK" => self.settle(Verdict::Nack { delay_ms: delay_ms(self.delay_ms)? })?,
            "CREATE" => Request::Create { topic: self.topic()?, options: self.options()? },
            "DELETE" => Request::Delete { topic: self.topic()? },
            "SUBSCRIBE" => Request::Subscribe {
                topic: self.topic()?,
                subscriber: self.subscriber()?,
                delivery: Delivery::Pull,
                start: start(self.start, "start")?.unwrap_or_default(),
                acks: self.acks()?,
            },
            "UNSUBSCRIBE" => {
                Request::Unsubscribe { topic: self.topic()?, subscriber: self.subscriber()? }
            }
            "SEEK" => Request::Seek {
                topic: self.topic()?,
                subscriber: self.subscriber()?,
                to: self.to()?,
            },
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

    /// The subscription's name: `sid`, or `group` in its place.
    fn subscriber(&self) -> Result<Cow<'a, str>, Refusal> {
        if self.group.is_none() {
            return text(self.sid, "sid");
        }
        let group = text(self.group, "group")?;
        if self.sid.is_some() && text(self.sid, "sid")? != group {
            return Err(Refusal::new(
                Code::InvalidValue,
                "expected the same name under \"sid\" and \"group\", found two; leave one out",
            ));
        }
        Ok(group)
    }

    fn options(&self) -> Result<TopicOptions, Refusal> {
        Ok(TopicOptions {
            retention: retention(self.retention)?,
            storage: storage(self.storage)?,
            durability: durability(self.durability)?,
        })
    }

    /// A group's messages are acknowledged individually, and so are those of a subscription that
    /// says how.
    fn acks(&self) -> Result<Option<AckTerms<'static>>, Refusal> {
        match self.acks {
            Some(acks) => ack_terms(acks).map(Some),
            None => Ok(self.group.map(|_| AckTerms::default())),
        }
    }

    fn to(&self) -> Result<Start, Refusal> {
        start(self.to, "to")?.ok_or_else(|| missing("to", "where the subscription is to go on"))
    }

    fn settle(&self, verdict: Verdict) -> Result<Request<'a>, Refusal> {
        Ok(Request::Settle {
            target: SettleTarget::Named { topic: self.topic()?, subscriber: self.subscriber()? },
            ranges: offset_ranges(self.offset, self.offsets)?,
            verdict,
            answer: SettleAnswer::Wanted,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Durability, StorageClass};

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

    fn request(keys: &str) -> Request<'_> {
        match decode_request(keys.as_bytes()) {
            Ok(Some(request)) => request,
            other => panic!("{keys}: expected a request, found {other:?}"),
        }
    }

    #[test]
    fn a_topic_says_where_and_how_well_it_is_kept() {
        let line =
            r#"{"command":"CREATE","topic":"t","storage":"disk","durability":"os","retention":{}}"#;
        let options = TopicOptions {
            storage: Some(StorageClass::Disk),
            durability: Some(Durability::Os),
            ..TopicOptions::default()
        };
        assert_eq!(request(line), Request::Create { topic: "t".into(), options });
        check(r#"{"command":"CREATE","topic":"t","storage":"tape"}"#, Code::InvalidValue);
        check(r#"{"command":"CREATE","topic":"t","durability":1}"#, Code::MistypedKey);
        check(
            r#"{"command":"PUBLISH","topic":"t","message":"","durability":"a"}"#,
            Code::InvalidValue,
        );
    }

    #[test]
    fn a_subscription_says_where_it_begins() {
        let check_start = |value: &str, expected: Start| {
            for (command, key) in [("SUBSCRIBE", "start"), ("SEEK", "to")] {
                let line =
                    format!(r#"{{"command":"{command}","topic":"t","sid":"s","{key}":{value}}}"#);
                let (Request::Subscribe { start: found, .. } | Request::Seek { to: found, .. }) =
                    request(&line)
                else {
                    panic!("{line}");
                };
                assert_eq!(found, expected, "{line}");
            }
        };
        check_start(r#""earliest""#, Start::Earliest);
        check_start(r#""latest""#, Start::Latest);
        check_start(r#"{"offset":0}"#, Start::Offset(0));
        check_start(r#"{"time_ms":1700000000000}"#, Start::Time { unix_ms: 1_700_000_000_000 });
        let wrong = |value: &str, code| {
            let line = format!(r#"{{"command":"SEEK","topic":"t","sid":"s","to":{value}}}"#);
            check(&line, code);
        };
        wrong(r#""newest""#, Code::InvalidValue);
        wrong("{}", Code::InvalidValue);
        wrong(r#"{"offset":1,"time_ms":1}"#, Code::InvalidValue);
        wrong(r#"{"offset":-1}"#, Code::MistypedKey);
        wrong("7", Code::MistypedKey);
        wrong("null", Code::MissingKey);
    }

    #[test]
    fn a_group_is_a_subscription_with_individual_acks() {
        let check_acks = |keys: &str, expected: Option<AckTerms<'static>>| {
            let line = format!(r#"{{"command":"SUBSCRIBE","topic":"t",{keys}}}"#);
            let Request::Subscribe { subscriber, acks, .. } = request(&line) else {
                panic!("{line}");
            };
            assert_eq!((subscriber.as_ref(), acks), ("g", expected), "{line}");
        };
        check_acks(r#""sid":"g""#, None);
        check_acks(r#""group":"g""#, Some(AckTerms::default()));
        check_acks(r#""sid":"g","acks":{}"#, Some(AckTerms::default()));
        let acks = r#"{"timeout_ms":1,"in_flight":2,"deliveries":3,"backoff_ms":4,
                       "backoff_ms_max":5000000000,"dead_letter":"d"}"#;
        let terms = AckTerms {
            ack_timeout_ms: 1,
            in_flight_max: 2,
            deliveries_max: 3,
            backoff_ms_min: 4,
            backoff_ms_max: u32::MAX,
            dead_letter: Some("d".into()),
        };
        check_acks(&format!(r#""sid":"g","group":"g","acks":{acks}"#), Some(terms));
        let wrong = |keys: &str, code| {
            check(&format!(r#"{{"command":"SUBSCRIBE","topic":"t",{keys}}}"#), code);
        };
        wrong(r#""sid":"g","group":"h""#, Code::InvalidValue);
        wrong(r#""group":"g","acks":{"timeout":1}"#, Code::MistypedKey);
        wrong(r#""group":"g","acks":{"in_flight":0}"#, Code::InvalidValue);
        wrong(r#""group":"g","acks":{"dead_letter":""}"#, Code::InvalidValue);
        wrong(r#""acks":{}"#, Code::MissingKey);
    }

    #[test]
    fn offsets_are_settled_in_ranges() {
        let check_settled = |line: &str, expected: &[(u64, u32)], expected_verdict: Verdict| {
            let Request::Settle { target, ranges, verdict, answer } = request(line) else {
                panic!("{line}");
            };
            let named = SettleTarget::Named { topic: "t".into(), subscriber: "g".into() };
            assert_eq!((target, answer), (named, SettleAnswer::Wanted), "{line}");
            let ranges: Vec<_> = ranges.iter().map(|range| (range.first, range.count)).collect();
            assert_eq!((&ranges[..], verdict), (expected, expected_verdict), "{line}");
        };
        let ack = r#"{"command":"ACK","topic":"t","group":"g","offset":7}"#;
        check_settled(ack, &[(7, 1)], Verdict::Ack);
        let acks = r#"{"command":"ACK","topic":"t","sid":"g","offsets":[4,5,6,9,1]}"#;
        check_settled(acks, &[(4, 3), (9, 1), (1, 1)], Verdict::Ack);
        let nack = r#"{"command":"NACK","topic":"t","sid":"g","offset":7}"#;
        check_settled(nack, &[(7, 1)], Verdict::Nack { delay_ms: None });
        let later = r#"{"command":"NACK","topic":"t","sid":"g","offset":7,"delay_ms":5000000000}"#;
        check_settled(later, &[(7, 1)], Verdict::Nack { delay_ms: Some(u32::MAX - 1) });
        let wrong = |keys: &str, code| {
            check(&format!(r#"{{"command":"ACK","topic":"t","sid":"g"{keys}}}"#), code);
        };
        wrong("", Code::MissingKey);
        wrong(r#","offset":"1""#, Code::MistypedKey);
        wrong(r#","offsets":[]"#, Code::InvalidValue);
        wrong(r#","offset":1,"offsets":[1]"#, Code::InvalidValue);
        wrong(r#","offset":18446744073709551615"#, Code::InvalidValue);
    }
}
