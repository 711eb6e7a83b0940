//! From frames to requests.

use super::super::fields::{Fields, malformed};
use super::super::frame::Frame;
use super::{DELAY_BACKOFF, RANGE_BYTES, flag, kind, start};
use crate::{
    AckMode, AckTerms, Batch, Code, Delivery, Durability, LagPolicy, Lifetime, Messages,
    OffsetRange, PublishAck, PublishTerms, PublisherId, PublisherSequence, Push, Refusal, Request,
    Retention, SettleAnswer, SettleTarget, Start, StorageClass, TopicOptions, Verdict,
};
use std::borrow::Cow;

/// Reads a request from a frame. Messages over `message_bytes_max` are refused.
///
/// # Errors
/// [`Code::UnknownCommand`] for a kind that no request has, [`Code::MalformedFrame`],
/// [`Code::InvalidUtf8`], [`Code::InvalidValue`], [`Code::MessageTooLarge`].
#[inline]
pub fn decode_request(frame: Frame<'_>, message_bytes_max: usize) -> Result<Request<'_>, Refusal> {
    let mut fields = Fields::new(frame.body);
    if frame.kind == kind::PUBLISH {
        let ack = match frame.flags & flag::PUBLISH_ACK {
            0 => PublishAck::Unwanted,
            _ => PublishAck::Wanted,
        };
        let topic = Cow::Borrowed(fields.text("topic")?);
        let terms = match frame.flags & !flag::PUBLISH_ACK {
            0 => PublishTerms::default(),
            flags => decode_terms(flags, &mut fields)?,
        };
        let count = fields.u32("count")?;
        let messages = Messages::Batch(Batch::check(fields.rest(), count, message_bytes_max)?);
        return Ok(Request::Publish { topic, messages, ack, terms });
    }
    let request = decode_rare(frame, &mut fields)?;
    fields.end()?;
    Ok(request)
}

#[inline(never)]
fn decode_terms(flags: u8, fields: &mut Fields<'_>) -> Result<PublishTerms, Refusal> {
    let durability = match flags & !flag::PUBLISH_SEQUENCE {
        0 => None,
        flag::PUBLISH_OS => Some(Durability::Os),
        flag::PUBLISH_SYNC => Some(Durability::Sync),
        _ => return Err(unknown_flags(flags)),
    };
    let sequence = match flags & flag::PUBLISH_SEQUENCE {
        0 => None,
        _ => Some(PublisherSequence {
            publisher: PublisherId(fields.u128("publisher")?),
            sequence: fields.u64("sequence")?,
        }),
    };
    Ok(PublishTerms { durability, sequence })
}

fn decode_rare<'a>(frame: Frame<'a>, fields: &mut Fields<'a>) -> Result<Request<'a>, Refusal> {
    let Frame { kind, flags, .. } = frame;
    if flags & !known_flags(kind) != 0 {
        return Err(unknown_flags(flags));
    }
    Ok(match kind {
        kind::CREATE => Request::Create {
            topic: decode_name(fields, "topic")?,
            options: decode_options(fields)?,
        },
        kind::DELETE => Request::Delete { topic: decode_name(fields, "topic")? },
        kind::SUBSCRIBE => decode_subscribe(flags, fields)?,
        kind::UNSUBSCRIBE => Request::Unsubscribe {
            topic: decode_name(fields, "topic")?,
            subscriber: decode_name(fields, "subscriber")?,
        },
        kind::DETACH => Request::Detach { subscription: fields.u32("subscription")? },
        kind::CREDIT => Request::Credit {
            subscription: fields.u32("subscription")?,
            bytes: fields.u32("bytes")?,
        },
        kind::ACK => Request::Ack {
            subscription: fields.u32("subscription")?,
            offset: fields.u64("offset")?,
            answer: settle_answer(flags & flag::ACK_ANSWER),
        },
        kind::SETTLE => {
            let target = SettleTarget::Attached { subscription: fields.u32("subscription")? };
            decode_settle(target, settle_answer(flags & flag::SETTLE_ANSWER), flags, fields)?
        }
        kind::SETTLE_NAMED => {
            let target = SettleTarget::Named {
                topic: decode_name(fields, "topic")?,
                subscriber: decode_name(fields, "subscriber")?,
            };
            decode_settle(target, SettleAnswer::Wanted, flags, fields)?
        }
        kind::SEEK => Request::Seek {
            topic: decode_name(fields, "topic")?,
            subscriber: decode_name(fields, "subscriber")?,
            to: decode_start(fields)?,
        },
        kind::PULL => Request::Pull {
            topic: decode_name(fields, "topic")?,
            subscriber: decode_name(fields, "subscriber")?,
            count_max: Some(fields.u32("count_max")?).filter(|count| *count > 0),
        },
        kind::LIST_TOPICS => Request::ListTopics,
        kind::GET_SUBSCRIBERS => Request::Subscribers { topic: decode_name(fields, "topic")? },
        kind::PING => Request::Ping,
        kind::INFO => Request::Info,
        other => {
            return Err(Refusal::new(
                Code::UnknownCommand,
                format!("expected a request's kind, 0x01 to 0x10, found {other:#04x}"),
            ));
        }
    })
}

/// The flags that a kind may have. What an unknown kind has is not looked at.
fn known_flags(kind: u8) -> u8 {
    match kind {
        kind::SUBSCRIBE => {
            flag::SUBSCRIBE_PUSH
                | flag::SUBSCRIBE_CUMULATIVE_ACKS
                | flag::SUBSCRIBE_CONNECTION
                | flag::SUBSCRIBE_INDIVIDUAL_ACKS
        }
        kind::ACK => flag::ACK_ANSWER,
        kind::SETTLE => flag::SETTLE_NEGATIVE | flag::SETTLE_ANSWER,
        kind::SETTLE_NAMED => flag::SETTLE_NEGATIVE,
        kind::PUBLISH..=kind::SEEK => 0,
        _ => u8::MAX,
    }
}

fn unknown_flags(flags: u8) -> Refusal {
    malformed(format!("expected flags that the frame's kind has, found {flags:#04x}"))
}

fn decode_name<'a>(fields: &mut Fields<'a>, name: &'static str) -> Result<Cow<'a, str>, Refusal> {
    fields.text(name).map(Cow::Borrowed)
}

fn decode_options(fields: &mut Fields<'_>) -> Result<TopicOptions, Refusal> {
    let mut limit = |name| fields.u64(name).map(|value| Some(value).filter(|value| *value > 0));
    let retention = Retention {
        bytes_max: limit("bytes")?,
        messages_max: limit("messages")?,
        age_ms_max: limit("age")?,
    };
    let storage = match fields.u8("storage")? {
        0 => None,
        1 => Some(StorageClass::Memory),
        2 => Some(StorageClass::Disk),
        other => return Err(invalid("a storage of 0 (default), 1 (memory) or 2 (disk)", other)),
    };
    let durability = match fields.u8("durability")? {
        0 => None,
        1 => Some(Durability::Os),
        2 => Some(Durability::Sync),
        other => return Err(invalid("a durability of 0 (default), 1 (os) or 2 (sync)", other)),
    };
    Ok(TopicOptions { retention, storage, durability })
}

fn decode_subscribe<'a>(flags: u8, fields: &mut Fields<'a>) -> Result<Request<'a>, Refusal> {
    let topic = decode_name(fields, "topic")?;
    let subscriber = decode_name(fields, "subscriber")?;
    let delivery = decode_delivery(flags, fields)?;
    let start = decode_start(fields)?;
    let acks = match flags & flag::SUBSCRIBE_INDIVIDUAL_ACKS {
        0 => None,
        _ => Some(decode_acks(fields)?),
    };
    Ok(Request::Subscribe { topic, subscriber, delivery, start, acks })
}

fn decode_delivery(flags: u8, fields: &mut Fields<'_>) -> Result<Delivery, Refusal> {
    let credit_bytes = fields.u32("credit")?;
    let lag_policy = match fields.u8("lag policy")? {
        0 => LagPolicy::Skip,
        1 => LagPolicy::Disconnect,
        2 => LagPolicy::Hold,
        other => {
            return Err(invalid("a lag policy of 0 (skip), 1 (disconnect) or 2 (hold)", other));
        }
    };
    let is_push = flags & flag::SUBSCRIBE_PUSH != 0;
    let is_cumulative = flags & flag::SUBSCRIBE_CUMULATIVE_ACKS != 0;
    let is_individual = flags & flag::SUBSCRIBE_INDIVIDUAL_ACKS != 0;
    if !is_push && flags & !flag::SUBSCRIBE_INDIVIDUAL_ACKS == 0 {
        return Ok(Delivery::Pull);
    }
    if !is_push || (is_cumulative && is_individual) {
        return Err(unknown_flags(flags));
    }
    let ack_mode = if is_cumulative { AckMode::Cumulative } else { AckMode::OnSend };
    let lifetime = match flags & flag::SUBSCRIBE_CONNECTION {
        0 => Lifetime::Named,
        _ => Lifetime::Connection,
    };
    Ok(Delivery::Push(Push { credit_bytes, ack_mode, lag_policy, lifetime }))
}

fn decode_start(fields: &mut Fields<'_>) -> Result<Start, Refusal> {
    let number = fields.u8("start")?;
    let value = fields.u64("start value")?;
    match number {
        start::EARLIEST | start::LATEST if value != 0 => {
            Err(malformed(format!("expected zero behind a start of {number}, found {value}")))
        }
        start::EARLIEST => Ok(Start::Earliest),
        start::LATEST => Ok(Start::Latest),
        start::OFFSET => Ok(Start::Offset(value)),
        start::TIME => Ok(Start::Time { unix_ms: value }),
        other => Err(invalid("a start of 0 (earliest), 1 (latest), 2 (offset) or 3 (time)", other)),
    }
}

fn decode_acks<'a>(fields: &mut Fields<'a>) -> Result<AckTerms<'a>, Refusal> {
    Ok(AckTerms {
        ack_timeout_ms: fields.u32("ack timeout")?,
        in_flight_max: fields.u32("in flight")?,
        deliveries_max: fields.u32("deliveries")?,
        backoff_ms_min: fields.u32("shortest backoff")?,
        backoff_ms_max: fields.u32("longest backoff")?,
        dead_letter: Some(decode_name(fields, "dead-letter topic")?)
            .filter(|topic| !topic.is_empty()),
    })
}

fn settle_answer(flag: u8) -> SettleAnswer {
    match flag {
        0 => SettleAnswer::Unwanted,
        _ => SettleAnswer::Wanted,
    }
}

fn decode_settle<'a>(
    target: SettleTarget<'a>,
    answer: SettleAnswer,
    flags: u8,
    fields: &mut Fields<'_>,
) -> Result<Request<'a>, Refusal> {
    let delay_ms = fields.u32("delay")?;
    let verdict = match flags & flag::SETTLE_NEGATIVE {
        0 if delay_ms == 0 => Verdict::Ack,
        0 => {
            return Err(malformed(format!(
                "expected no delay of a positive acknowledgement, found {delay_ms}"
            )));
        }
        _ => Verdict::Nack { delay_ms: Some(delay_ms).filter(|delay| *delay != DELAY_BACKOFF) },
    };
    let ranges = decode_ranges(fields)?;
    Ok(Request::Settle { target, ranges, verdict, answer })
}

fn decode_ranges(fields: &mut Fields<'_>) -> Result<Vec<OffsetRange>, Refusal> {
    let count = fields.u32("ranges")? as usize;
    if count == 0 {
        return Err(invalid("at least 1 range of offsets", 0));
    }
    // A false count cannot reserve more than the frame holds.
    let mut ranges = Vec::with_capacity(count.min(fields.left_bytes() / RANGE_BYTES));
    for _ in 0..count {
        let range = OffsetRange { first: fields.u64("offset")?, count: fields.u32("count")? };
        ranges.push(range.check()?);
    }
    Ok(ranges)
}

fn invalid(expected: &str, found: u8) -> Refusal {
    Refusal::new(Code::InvalidValue, format!("expected {expected}, found {found}"))
}
