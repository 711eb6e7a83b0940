//! Requests as frames.

use super::fields::{Fields, malformed, put_text, text_bytes};
use super::frame::{Frame, put_header};
use crate::batch::RECORD_HEADER_BYTES;
use crate::{
    AckMode, Batch, Code, Delivery, LagPolicy, Lifetime, Messages, PublishAck, Push, Refusal,
    Request, Retention, batch,
};
use bytes::BufMut;
use std::borrow::Cow;

mod kind {
    pub(super) const PUBLISH: u8 = 0x01;
    pub(super) const CREATE: u8 = 0x02;
    pub(super) const DELETE: u8 = 0x03;
    pub(super) const SUBSCRIBE: u8 = 0x04;
    pub(super) const UNSUBSCRIBE: u8 = 0x05;
    pub(super) const DETACH: u8 = 0x06;
    pub(super) const CREDIT: u8 = 0x07;
    pub(super) const ACK: u8 = 0x08;
    pub(super) const PULL: u8 = 0x09;
    pub(super) const LIST_TOPICS: u8 = 0x0A;
    pub(super) const GET_SUBSCRIBERS: u8 = 0x0B;
    pub(super) const PING: u8 = 0x0C;
    pub(super) const INFO: u8 = 0x0D;
}

mod flag {
    pub(super) const PUBLISH_ACK: u8 = 1;
    pub(super) const SUBSCRIBE_PUSH: u8 = 1;
    pub(super) const SUBSCRIBE_EXPLICIT_ACKS: u8 = 2;
    pub(super) const SUBSCRIBE_CONNECTION: u8 = 4;
}

/// Reads a request from a frame. Messages over `message_bytes_max` are refused.
///
/// # Errors
/// [`Code::UnknownCommand`] for a kind that no request has, [`Code::MalformedFrame`],
/// [`Code::InvalidUtf8`], [`Code::InvalidValue`], [`Code::MessageTooLarge`].
#[inline]
pub fn decode_request(frame: Frame<'_>, message_bytes_max: usize) -> Result<Request<'_>, Refusal> {
    let mut fields = Fields::new(frame.body);
    if frame.kind == kind::PUBLISH {
        let ack = match frame.flags {
            0 => PublishAck::Unwanted,
            flag::PUBLISH_ACK => PublishAck::Wanted,
            other => return Err(unknown_flags(other)),
        };
        let topic = Cow::Borrowed(fields.text("topic")?);
        let count = fields.u32("count")?;
        let messages = Messages::Batch(Batch::check(fields.rest(), count, message_bytes_max)?);
        return Ok(Request::Publish { topic, messages, ack });
    }
    let request = decode_rare(frame, &mut fields)?;
    fields.end()?;
    Ok(request)
}

fn decode_rare<'a>(frame: Frame<'a>, fields: &mut Fields<'a>) -> Result<Request<'a>, Refusal> {
    if frame.kind != kind::SUBSCRIBE && frame.flags != 0 {
        return Err(unknown_flags(frame.flags));
    }
    Ok(match frame.kind {
        kind::CREATE => Request::Create {
            topic: Cow::Borrowed(fields.text("topic")?),
            retention: decode_retention(fields)?,
        },
        kind::DELETE => Request::Delete { topic: Cow::Borrowed(fields.text("topic")?) },
        kind::SUBSCRIBE => Request::Subscribe {
            topic: Cow::Borrowed(fields.text("topic")?),
            subscriber: Cow::Borrowed(fields.text("subscriber")?),
            delivery: decode_delivery(frame.flags, fields)?,
        },
        kind::UNSUBSCRIBE => Request::Unsubscribe {
            topic: Cow::Borrowed(fields.text("topic")?),
            subscriber: Cow::Borrowed(fields.text("subscriber")?),
        },
        kind::DETACH => Request::Detach { subscription: fields.u32("subscription")? },
        kind::CREDIT => Request::Credit {
            subscription: fields.u32("subscription")?,
            bytes: fields.u32("bytes")?,
        },
        kind::ACK => Request::Ack {
            subscription: fields.u32("subscription")?,
            offset: fields.u64("offset")?,
        },
        kind::PULL => Request::Pull {
            topic: Cow::Borrowed(fields.text("topic")?),
            subscriber: Cow::Borrowed(fields.text("subscriber")?),
            count_max: Some(fields.u32("count_max")?).filter(|count| *count > 0),
        },
        kind::LIST_TOPICS => Request::ListTopics,
        kind::GET_SUBSCRIBERS => {
            Request::Subscribers { topic: Cow::Borrowed(fields.text("topic")?) }
        }
        kind::PING => Request::Ping,
        kind::INFO => Request::Info,
        other => {
            return Err(Refusal::new(
                Code::UnknownCommand,
                format!("expected a request's kind, 0x01 to 0x0d, found {other:#04x}"),
            ));
        }
    })
}

fn unknown_flags(flags: u8) -> Refusal {
    malformed(format!("expected flags that the frame's kind has, found {flags:#04x}"))
}

fn decode_retention(fields: &mut Fields<'_>) -> Result<Retention, Refusal> {
    let mut limit = |name| fields.u64(name).map(|value| Some(value).filter(|value| *value > 0));
    Ok(Retention {
        bytes_max: limit("bytes")?,
        messages_max: limit("messages")?,
        age_ms_max: limit("age")?,
    })
}

fn decode_delivery(flags: u8, fields: &mut Fields<'_>) -> Result<Delivery, Refusal> {
    let credit_bytes = fields.u32("credit")?;
    let lag_policy = match fields.u8("lag policy")? {
        0 => LagPolicy::Skip,
        1 => LagPolicy::Disconnect,
        2 => LagPolicy::Hold,
        other => {
            return Err(Refusal::new(
                Code::InvalidValue,
                format!(
                    "expected a lag policy of 0 (skip), 1 (disconnect) or 2 (hold), found {other}"
                ),
            ));
        }
    };
    if flags == 0 {
        return Ok(Delivery::Pull);
    }
    let all = flag::SUBSCRIBE_PUSH | flag::SUBSCRIBE_EXPLICIT_ACKS | flag::SUBSCRIBE_CONNECTION;
    if flags & flag::SUBSCRIBE_PUSH == 0 || flags & !all != 0 {
        return Err(unknown_flags(flags));
    }
    let ack_mode = match flags & flag::SUBSCRIBE_EXPLICIT_ACKS {
        0 => AckMode::OnSend,
        _ => AckMode::Explicit,
    };
    let lifetime = match flags & flag::SUBSCRIBE_CONNECTION {
        0 => Lifetime::Named,
        _ => Lifetime::Connection,
    };
    Ok(Delivery::Push(Push { credit_bytes, ack_mode, lag_policy, lifetime }))
}

/// Writes a request as a frame.
///
/// Texts longer than 65 535 bytes are cut; no broker keeps such names.
pub fn encode_request(request: &Request<'_>, correlation: u32, out: &mut impl BufMut) {
    match request {
        Request::Publish { topic, messages, ack } => {
            encode_publish(topic, messages, *ack, correlation, out);
        }
        Request::Create { topic, retention } => {
            put_header(out, kind::CREATE, 0, correlation, text_bytes(topic) + 24);
            put_text(out, topic);
            for limit in [retention.bytes_max, retention.messages_max, retention.age_ms_max] {
                out.put_u64_le(limit.unwrap_or(0));
            }
        }
        Request::Delete { topic } => encode_texts(kind::DELETE, &[topic], correlation, out),
        Request::Subscribe { topic, subscriber, delivery } => {
            encode_subscribe(topic, subscriber, *delivery, correlation, out);
        }
        Request::Unsubscribe { topic, subscriber } => {
            encode_texts(kind::UNSUBSCRIBE, &[topic, subscriber], correlation, out);
        }
        Request::Detach { subscription } => {
            put_header(out, kind::DETACH, 0, correlation, 4);
            out.put_u32_le(*subscription);
        }
        Request::Credit { subscription, bytes } => {
            put_header(out, kind::CREDIT, 0, correlation, 8);
            out.put_u32_le(*subscription);
            out.put_u32_le(*bytes);
        }
        Request::Ack { subscription, offset } => {
            put_header(out, kind::ACK, 0, correlation, 12);
            out.put_u32_le(*subscription);
            out.put_u64_le(*offset);
        }
        Request::Pull { topic, subscriber, count_max } => {
            let body_bytes = text_bytes(topic) + text_bytes(subscriber) + 4;
            put_header(out, kind::PULL, 0, correlation, body_bytes);
            put_text(out, topic);
            put_text(out, subscriber);
            out.put_u32_le(count_max.unwrap_or(0));
        }
        Request::ListTopics => put_header(out, kind::LIST_TOPICS, 0, correlation, 0),
        Request::Subscribers { topic } => {
            encode_texts(kind::GET_SUBSCRIBERS, &[topic], correlation, out);
        }
        Request::Ping => put_header(out, kind::PING, 0, correlation, 0),
        Request::Info => put_header(out, kind::INFO, 0, correlation, 0),
    }
}

fn encode_texts(kind: u8, texts: &[&str], correlation: u32, out: &mut impl BufMut) {
    let body_bytes = texts.iter().map(|text| text_bytes(text)).sum();
    put_header(out, kind, 0, correlation, body_bytes);
    for text in texts {
        put_text(out, text);
    }
}

fn encode_publish(
    topic: &str,
    messages: &Messages<'_>,
    ack: PublishAck,
    correlation: u32,
    out: &mut impl BufMut,
) {
    let flags = match ack {
        PublishAck::Wanted => flag::PUBLISH_ACK,
        PublishAck::Unwanted => 0,
    };
    let (count, records_bytes) = match messages {
        Messages::One(payload) => (1, RECORD_HEADER_BYTES + payload.len()),
        Messages::Batch(batch) => (batch.count(), batch.bytes().len()),
    };
    let body_bytes = text_bytes(topic) + 4 + records_bytes;
    put_header(out, kind::PUBLISH, flags, correlation, body_bytes);
    put_text(out, topic);
    out.put_u32_le(count);
    match messages {
        Messages::One(payload) => {
            out.put_slice(&batch::record_header(payload.len()));
            out.put_slice(payload);
        }
        Messages::Batch(batch) => out.put_slice(batch.bytes()),
    }
}

fn encode_subscribe(
    topic: &str,
    subscriber: &str,
    delivery: Delivery,
    correlation: u32,
    out: &mut impl BufMut,
) {
    let (flags, credit_bytes, lag_policy) = match delivery {
        Delivery::Pull => (0, 0, LagPolicy::Skip),
        Delivery::Push(push) => {
            let acks = match push.ack_mode {
                AckMode::OnSend => 0,
                AckMode::Explicit => flag::SUBSCRIBE_EXPLICIT_ACKS,
            };
            let lifetime = match push.lifetime {
                Lifetime::Named => 0,
                Lifetime::Connection => flag::SUBSCRIBE_CONNECTION,
            };
            (flag::SUBSCRIBE_PUSH | acks | lifetime, push.credit_bytes, push.lag_policy)
        }
    };
    let body_bytes = text_bytes(topic) + text_bytes(subscriber) + 5;
    put_header(out, kind::SUBSCRIBE, flags, correlation, body_bytes);
    put_text(out, topic);
    put_text(out, subscriber);
    out.put_u32_le(credit_bytes);
    out.put_u8(match lag_policy {
        LagPolicy::Skip => 0,
        LagPolicy::Disconnect => 1,
        LagPolicy::Hold => 2,
    });
}
