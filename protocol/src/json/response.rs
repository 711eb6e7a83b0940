//! Responses as lines.

use crate::{Info, Refusal};
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

/// Answers PULL with `payloads`, oldest first.
pub fn encode_messages<'a>(
    payloads: impl Iterator<Item = &'a [u8]>,
    tail: MessagesTail,
    out: &mut impl BufMut,
) {
    out.put_slice(b"{\"status\":\"ok\",\"messages\":[");
    for (index, payload) in payloads.enumerate() {
        if index > 0 {
            out.put_u8(b',');
        }
        put_message(out, payload);
    }
    out.put_u8(b']');
    for (key, count) in [("lost", tail.lost), ("remaining", tail.remaining)] {
        if count > 0 {
            out.put_slice(format!(",\"{key}\":{count}").as_bytes());
        }
    }
    end(out);
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
    use crate::Code;
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
        let all_read = MessagesTail { lost: 0, remaining: 0 };
        let found = line(|out| encode_messages(payloads.into_iter(), all_read, out));
        let expected = json!({"status": "ok", "messages": ["a\"\n", "é", {"base64": "/wA="}]});
        assert_eq!(found, expected);
    }

    #[test]
    fn what_was_lost_and_what_remains_is_told() {
        let tail = MessagesTail { lost: 3, remaining: 4 };
        let found = line(|out| encode_messages(std::iter::empty(), tail, out));
        assert_eq!(found, json!({"status": "ok", "messages": [], "lost": 3, "remaining": 4}));
    }

    #[test]
    fn a_refusal_has_its_code_and_sentence() {
        let found = line(|out| encode_refusal(&Refusal::new(Code::TopicExists, "it \"is\""), out));
        let error = json!({"code": "topic_exists", "message": "it \"is\""});
        assert_eq!(found, json!({"status": "error", "error": error}));
    }
}
