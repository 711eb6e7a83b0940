//! Responses as lines.

use crate::{Headers, Info, Record, Refusal};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::BufMut;
use serde::Serialize;

/// What a PULL's answer says behind its messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MessagesTail {
    /// How many messages retention took before they were read.
    pub lost: u64,
    /// How many are still unread.
    pub remaining: u64,
}

/// Answers that it is done.
pub fn encode_done(out: &mut impl BufMut) {
    out.put_slice(b"{\"status\":\"ok\"}\n");
}

/// Answers PUBLISH.
pub fn encode_published(offset: u64, out: &mut impl BufMut) {
    out.put_slice(b"{\"status\":\"ok\",\"offset\":");
    put_json(out, &offset);
    end(out);
}

/// Answers SUBSCRIBE and SEEK.
pub fn encode_subscribed(next_offset: u64, out: &mut impl BufMut) {
    out.put_slice(b"{\"status\":\"ok\",\"next_offset\":");
    put_json(out, &next_offset);
    end(out);
}

/// Answers PULL with `records`, oldest first.
pub fn encode_messages<'a>(
    records: impl Iterator<Item = Record<'a>> + Clone,
    tail: MessagesTail,
    out: &mut impl BufMut,
) {
    put_records(records, out);
    put_tail(tail, out);
    end(out);
}

/// What a PULL took of a subscription whose messages are acknowledged individually.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Offset of the first message; the others follow it without a gap.
    pub base_offset: u64,
    /// How often each of them was delivered, this time included.
    pub deliveries: u32,
}

/// Answers PULL of a subscription whose messages are acknowledged individually with `records`,
/// oldest first.
pub fn encode_leased<'a>(
    records: impl Iterator<Item = Record<'a>> + Clone,
    lease: Lease,
    tail: MessagesTail,
    out: &mut impl BufMut,
) {
    let count = put_records(records, out);
    out.put_slice(b",\"offsets\":[");
    for index in 0..count {
        put_comma(index, out);
        put_json(out, &lease.base_offset.saturating_add(index));
    }
    out.put_slice(b"],\"deliveries\":");
    put_json(out, &lease.deliveries);
    put_tail(tail, out);
    end(out);
}

/// Begins an answer with messages, and their headers where one of them has any; gives how many.
fn put_records<'a>(
    records: impl Iterator<Item = Record<'a>> + Clone,
    out: &mut impl BufMut,
) -> u64 {
    out.put_slice(b"{\"status\":\"ok\",\"messages\":[");
    let (mut count, mut any_headers) = (0, false);
    for record in records.clone() {
        put_comma(count, out);
        put_message(out, record.payload);
        any_headers |= !record.headers.is_empty();
        count += 1;
    }
    out.put_u8(b']');
    if any_headers {
        put_all_headers(records, out);
    }
    count
}

#[cold]
fn put_all_headers<'a>(records: impl Iterator<Item = Record<'a>>, out: &mut impl BufMut) {
    out.put_slice(b",\"headers\":[");
    for (index, record) in (0..).zip(records) {
        put_comma(index, out);
        put_headers(record.headers, out);
    }
    out.put_u8(b']');
}

/// An object's keys are different: of headers with the same key the last is written.
fn put_headers(headers: Headers<'_>, out: &mut impl BufMut) {
    if headers.is_empty() {
        out.put_slice(b"null");
        return;
    }
    let mut written = 0;
    let mut left = headers;
    while let Some((key, value)) = left.next() {
        if left.value_of(key).is_some() {
            continue;
        }
        out.put_u8(if written == 0 { b'{' } else { b',' });
        put_json(out, key);
        out.put_u8(b':');
        put_message(out, value);
        written += 1;
    }
    out.put_u8(b'}');
}

fn put_tail(tail: MessagesTail, out: &mut impl BufMut) {
    for (key, count) in [("lost", tail.lost), ("remaining", tail.remaining)] {
        if count > 0 {
            out.put_slice(format!(",\"{key}\":{count}").as_bytes());
        }
    }
}

fn put_comma(index: u64, out: &mut impl BufMut) {
    if index > 0 {
        out.put_u8(b',');
    }
}

/// Answers LIST_TOPICS.
pub fn encode_topics(topics: &[&str], out: &mut impl BufMut) {
    out.put_slice(b"{\"status\":\"ok\",\"topics\":");
    put_json(out, topics);
    end(out);
}

/// Answers GET_SUBSCRIBERS.
pub fn encode_subscribers(subscribers: &[&str], out: &mut impl BufMut) {
    out.put_slice(b"{\"status\":\"ok\",\"subscribers\":");
    put_json(out, subscribers);
    out.put_slice(b",\"count\":");
    put_json(out, &subscribers.len());
    end(out);
}

/// Answers INFO.
pub fn encode_info(info: &Info, out: &mut impl BufMut) {
    out.put_slice(b"{\"status\":\"ok\",\"info\":");
    put_json(out, info);
    end(out);
}

/// Answers that it is refused.
pub fn encode_refusal(refusal: &Refusal, out: &mut impl BufMut) {
    out.put_slice(b"{\"status\":\"error\",\"error\":{\"code\":\"");
    out.put_slice(refusal.code.name().as_bytes());
    out.put_slice(b"\",\"message\":");
    put_json(out, refusal.message.as_ref());
    out.put_u8(b'}');
    end(out);
}

fn end(out: &mut impl BufMut) {
    out.put_slice(b"}\n");
}

fn put_message(out: &mut impl BufMut, payload: &[u8]) {
    match std::str::from_utf8(payload) {
        Ok(text) => put_json(out, text),
        Err(_) => {
            out.put_slice(b"{\"base64\":\"");
            out.put_slice(STANDARD.encode(payload).as_bytes());
            out.put_slice(b"\"}");
        }
    }
}

fn put_json<T: Serialize + ?Sized>(out: &mut impl BufMut, value: &T) {
    serde_json::to_writer(out.writer(), value)
        .expect("memory takes all that is written, and the value's keys are strings");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::records;
    use crate::{BatchBuilder, Code};
    use serde_json::{Value, json};

    fn line(encode: impl FnOnce(&mut Vec<u8>)) -> Value {
        let mut out = Vec::new();
        encode(&mut out);
        assert_eq!(out.pop(), Some(b'\n'));
        assert!(!out.contains(&b'\n'), "one line only");
        serde_json::from_slice(&out).expect("JSON")
    }

    #[test]
    fn messages_are_plain_strings_and_other_bytes_base64() {
        let payloads: [&[u8]; 3] = [b"a\"\n", "é".as_bytes(), b"\xFF\x00"];
        let found = line(|out| encode_messages(built(&payloads).batch().records(), ALL_READ, out));
        let expected = json!({"status": "ok", "messages": ["a\"\n", "é", {"base64": "/wA="}]});
        assert_eq!(found, expected);
    }

    const ALL_READ: MessagesTail = MessagesTail { lost: 0, remaining: 0 };

    fn built(payloads: &[&[u8]]) -> BatchBuilder {
        let mut builder = BatchBuilder::new();
        payloads.iter().for_each(|payload| builder.push(payload).expect("small"));
        builder
    }

    #[test]
    fn headers_stand_beside_the_messages_where_there_are_any() {
        let mut builder = built(&[b"plain"]);
        let headers: [(&str, &[u8]); 3] = [("k", b"first"), ("b", b"\xFF\x00"), ("k", b"last")];
        builder.push_with_headers(headers, b"rich").expect("small");
        let found = line(|out| encode_messages(builder.batch().records(), ALL_READ, out));
        let headers = json!([null, {"b": {"base64": "/wA="}, "k": "last"}]);
        let messages = json!(["plain", "rich"]);
        assert_eq!(found, json!({"status": "ok", "messages": messages, "headers": headers}));
    }

    #[test]
    fn leased_messages_have_their_offsets_and_deliveries() {
        let builder = built(&[b"a", b"b"]);
        let lease = Lease { base_offset: 7, deliveries: 2 };
        let tail = MessagesTail { lost: 0, remaining: 1 };
        let found = line(|out| encode_leased(builder.batch().records(), lease, tail, out));
        let expected = json!({
            "status": "ok", "messages": ["a", "b"], "offsets": [7, 8], "deliveries": 2,
            "remaining": 1,
        });
        assert_eq!(found, expected);
    }

    #[test]
    fn what_was_lost_and_what_remains_is_told() {
        let tail = MessagesTail { lost: 3, remaining: 4 };
        let found = line(|out| encode_messages(records(&[]), tail, out));
        assert_eq!(found, json!({"status": "ok", "messages": [], "lost": 3, "remaining": 4}));
    }

    #[test]
    fn a_refusal_has_its_code_and_sentence() {
        let found = line(|out| encode_refusal(&Refusal::new(Code::TopicExists, "it \"is\""), out));
        let error = json!({"code": "topic_exists", "message": "it \"is\""});
        assert_eq!(found, json!({"status": "error", "error": error}));
    }
}
