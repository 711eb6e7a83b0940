//! From requests to frames.

use super::super::fields::{put_text, text_bytes};
use super::super::frame::put_header;
use super::{DELAY_BACKOFF, RANGE_BYTES, flag, kind, start};
use crate::batch::{self, RECORD_HEADER_BYTES};
use crate::{
    AckMode, AckTerms, Delivery, Durability, LagPolicy, Lifetime, Messages, OffsetRange,
    PublishAck, PublishTerms, Request, SettleAnswer, SettleTarget, Start, StorageClass,
    TopicOptions, Verdict,
};
use bytes::BufMut;

const OPTIONS_BYTES: usize = 3 * 8 + 2;
const SEQUENCE_BYTES: usize = 16 + 8;
const DELIVERY_BYTES: usize = 4 + 1;
const START_BYTES: usize = 1 + 8;
const ACK_NUMBERS_BYTES: usize = 5 * 4;

/// Writes a request as a frame.
///
/// Texts longer than 65 535 bytes are cut; no broker keeps such names.
pub fn encode_request(request: &Request<'_>, correlation: u32, out: &mut impl BufMut) {
    match request {
        Request::Publish { topic, messages, ack, terms } => {
            encode_publish(topic, messages, *ack, *terms, correlation, out);
        }
        Request::Create { topic, options } => {
            put_header(out, kind::CREATE, 0, correlation, text_bytes(topic) + OPTIONS_BYTES);
            put_text(out, topic);
            put_options(options, out);
        }
        Request::Delete { topic } => encode_texts(kind::DELETE, &[topic], correlation, out),
        Request::Subscribe { topic, subscriber, delivery, start, acks } => {
            let names = [topic.as_ref(), subscriber.as_ref()];
            encode_subscribe(names, *delivery, *start, acks.as_ref(), correlation, out);
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
        Request::Ack { subscription, offset, answer } => {
            let flags = answer_flag(*answer, flag::ACK_ANSWER);
            put_header(out, kind::ACK, flags, correlation, 12);
            out.put_u32_le(*subscription);
            out.put_u64_le(*offset);
        }
        Request::Settle { target, ranges, verdict, answer } => {
            encode_settle(target, ranges, *verdict, *answer, correlation, out);
        }
        Request::Seek { topic, subscriber, to } => {
            let body_bytes = text_bytes(topic) + text_bytes(subscriber) + START_BYTES;
            put_header(out, kind::SEEK, 0, correlation, body_bytes);
            put_text(out, topic);
            put_text(out, subscriber);
            put_start(*to, out);
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
    terms: PublishTerms,
    correlation: u32,
    out: &mut impl BufMut,
) {
    let ack_flag = match ack {
        PublishAck::Wanted => flag::PUBLISH_ACK,
        PublishAck::Unwanted => 0,
    };
    let durability_flag = match terms.durability {
        None => 0,
        Some(Durability::Os) => flag::PUBLISH_OS,
        Some(Durability::Sync) => flag::PUBLISH_SYNC,
    };
    let (sequence_flag, sequence_bytes) = match terms.sequence {
        None => (0, 0),
        Some(_) => (flag::PUBLISH_SEQUENCE, SEQUENCE_BYTES),
    };
    let (count, records_bytes) = match messages {
        Messages::One(payload) => (1, RECORD_HEADER_BYTES + payload.len()),
        Messages::Batch(batch) => (batch.count(), batch.bytes().len()),
    };
    let flags = ack_flag | durability_flag | sequence_flag;
    let body_bytes = text_bytes(topic) + sequence_bytes + 4 + records_bytes;
    put_header(out, kind::PUBLISH, flags, correlation, body_bytes);
    put_text(out, topic);
    if let Some(sequence) = terms.sequence {
        out.put_u128_le(sequence.publisher.0);
        out.put_u64_le(sequence.sequence);
    }
    out.put_u32_le(count);
    match messages {
        Messages::One(payload) => {
            out.put_slice(&batch::record_header(payload.len()));
            out.put_slice(payload);
        }
        Messages::Batch(batch) => out.put_slice(batch.bytes()),
    }
}

fn put_options(options: &TopicOptions, out: &mut impl BufMut) {
    let retention = options.retention;
    for limit in [retention.bytes_max, retention.messages_max, retention.age_ms_max] {
        out.put_u64_le(limit.unwrap_or(0));
    }
    out.put_u8(match options.storage {
        None => 0,
        Some(StorageClass::Memory) => 1,
        Some(StorageClass::Disk) => 2,
    });
    out.put_u8(match options.durability {
        None => 0,
        Some(Durability::Os) => 1,
        Some(Durability::Sync) => 2,
    });
}

fn encode_subscribe(
    names: [&str; 2],
    delivery: Delivery,
    start: Start,
    acks: Option<&AckTerms<'_>>,
    correlation: u32,
    out: &mut impl BufMut,
) {
    let (push_flags, credit_bytes, lag_policy) = match delivery {
        Delivery::Pull => (0, 0, LagPolicy::Skip),
        Delivery::Push(push) => {
            let ack_flag = match push.ack_mode {
                AckMode::Cumulative if acks.is_none() => flag::SUBSCRIBE_CUMULATIVE_ACKS,
                AckMode::OnSend | AckMode::Cumulative => 0,
            };
            let lifetime_flag = match push.lifetime {
                Lifetime::Named => 0,
                Lifetime::Connection => flag::SUBSCRIBE_CONNECTION,
            };
            let flags = flag::SUBSCRIBE_PUSH | ack_flag | lifetime_flag;
            (flags, push.credit_bytes, push.lag_policy)
        }
    };
    let (acks_flag, acks_bytes) = match acks {
        None => (0, 0),
        Some(acks) => {
            let dead_letter_bytes = text_bytes(acks.dead_letter.as_deref().unwrap_or(""));
            (flag::SUBSCRIBE_INDIVIDUAL_ACKS, ACK_NUMBERS_BYTES + dead_letter_bytes)
        }
    };
    let names_bytes: usize = names.iter().map(|name| text_bytes(name)).sum();
    let body_bytes = names_bytes + DELIVERY_BYTES + START_BYTES + acks_bytes;
    put_header(out, kind::SUBSCRIBE, push_flags | acks_flag, correlation, body_bytes);
    for name in names {
        put_text(out, name);
    }
    out.put_u32_le(credit_bytes);
    out.put_u8(match lag_policy {
        LagPolicy::Skip => 0,
        LagPolicy::Disconnect => 1,
        LagPolicy::Hold => 2,
    });
    put_start(start, out);
    if let Some(acks) = acks {
        put_acks(acks, out);
    }
}

fn put_start(start: Start, out: &mut impl BufMut) {
    let (number, value) = match start {
        Start::Earliest => (start::EARLIEST, 0),
        Start::Latest => (start::LATEST, 0),
        Start::Offset(offset) => (start::OFFSET, offset),
        Start::Time { unix_ms } => (start::TIME, unix_ms),
    };
    out.put_u8(number);
    out.put_u64_le(value);
}

fn put_acks(acks: &AckTerms<'_>, out: &mut impl BufMut) {
    out.put_u32_le(acks.ack_timeout_ms);
    out.put_u32_le(acks.in_flight_max);
    out.put_u32_le(acks.deliveries_max);
    out.put_u32_le(acks.backoff_ms_min);
    out.put_u32_le(acks.backoff_ms_max);
    put_text(out, acks.dead_letter.as_deref().unwrap_or(""));
}

fn encode_settle(
    target: &SettleTarget<'_>,
    ranges: &[OffsetRange],
    verdict: Verdict,
    answer: SettleAnswer,
    correlation: u32,
    out: &mut impl BufMut,
) {
    let (negative_flag, delay_ms) = match verdict {
        Verdict::Ack => (0, 0),
        Verdict::Nack { delay_ms: None } => (flag::SETTLE_NEGATIVE, DELAY_BACKOFF),
        Verdict::Nack { delay_ms: Some(delay_ms) } => {
            (flag::SETTLE_NEGATIVE, delay_ms.min(DELAY_BACKOFF - 1))
        }
    };
    let settled_bytes = 4 + 4 + ranges.len() * RANGE_BYTES;
    match target {
        SettleTarget::Attached { subscription } => {
            let flags = negative_flag | answer_flag(answer, flag::SETTLE_ANSWER);
            put_header(out, kind::SETTLE, flags, correlation, 4 + settled_bytes);
            out.put_u32_le(*subscription);
        }
        SettleTarget::Named { topic, subscriber } => {
            let body_bytes = text_bytes(topic) + text_bytes(subscriber) + settled_bytes;
            put_header(out, kind::SETTLE_NAMED, negative_flag, correlation, body_bytes);
            put_text(out, topic);
            put_text(out, subscriber);
        }
    }
    out.put_u32_le(delay_ms);
    out.put_u32_le(ranges.len() as u32);
    for range in ranges {
        out.put_u64_le(range.first);
        out.put_u32_le(range.count);
    }
}

fn answer_flag(answer: SettleAnswer, flag: u8) -> u8 {
    match answer {
        SettleAnswer::Wanted => flag,
        SettleAnswer::Unwanted => 0,
    }
}
