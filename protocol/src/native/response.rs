//! Responses as frames.

use super::fields::{Fields, malformed, put_text, put_texts, text_bytes, texts_bytes, utf8};
use super::frame::{FRAME_HEADER_BYTES, Frame, put_header};
use crate::batch::PAYLOAD_BYTES_MAX;
use crate::{Batch, Code, Refusal, Response};
use bytes::BufMut;

mod kind {
    pub(super) const OK: u8 = 0x80;
    pub(super) const PUBLISHED: u8 = 0x81;
    pub(super) const SUBSCRIBED: u8 = 0x82;
    pub(super) const MESSAGES: u8 = 0x83;
    pub(super) const TOPICS: u8 = 0x84;
    pub(super) const SUBSCRIBERS: u8 = 0x85;
    pub(super) const PONG: u8 = 0x86;
    pub(super) const INFO: u8 = 0x87;
    pub(super) const ERROR: u8 = 0x88;
    pub(super) const DELIVER: u8 = 0x89;
    pub(super) const LOST: u8 = 0x8A;
    pub(super) const ENDED: u8 = 0x8B;
    pub(super) const LEASED: u8 = 0x8C;
    pub(super) const REDELIVER: u8 = 0x8D;
}

const DELIVER_FIELDS_BYTES: usize = 12;
const MESSAGES_FIELDS_BYTES: usize = 28;
const LEASED_FIELDS_BYTES: usize = 32;
const REDELIVER_FIELDS_BYTES: usize = 16;

/// Bytes of a DELIVER frame before its records.
pub const DELIVER_HEADER_BYTES: usize = FRAME_HEADER_BYTES + DELIVER_FIELDS_BYTES;

/// Writes the head of a DELIVER frame; `records_bytes` of records, `count` in all, must follow.
#[inline]
pub fn encode_deliver_head(
    subscription: u32,
    base_offset: u64,
    count: u32,
    records_bytes: usize,
    out: &mut impl BufMut,
) {
    put_header(out, kind::DELIVER, 0, subscription, DELIVER_FIELDS_BYTES + records_bytes);
    out.put_u64_le(base_offset);
    out.put_u32_le(count);
}

/// Bytes of a REDELIVER frame before its records.
pub const REDELIVER_HEADER_BYTES: usize = FRAME_HEADER_BYTES + REDELIVER_FIELDS_BYTES;

/// What a REDELIVER frame says before its records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RedeliverHead {
    /// Offset of the first message.
    pub base_offset: u64,
    /// How often each of them was delivered, this time included.
    pub deliveries: u32,
    /// How many records follow.
    pub count: u32,
    /// Of how many bytes.
    pub records_bytes: usize,
}

/// Writes the head of a REDELIVER frame; the records must follow.
pub fn encode_redeliver_head(head: RedeliverHead, subscription: u32, out: &mut impl BufMut) {
    let body_bytes = REDELIVER_FIELDS_BYTES + head.records_bytes;
    put_header(out, kind::REDELIVER, 0, subscription, body_bytes);
    out.put_u64_le(head.base_offset);
    out.put_u32_le(head.deliveries);
    out.put_u32_le(head.count);
}

/// What a MESSAGES frame says before its records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MessagesHead {
    /// Offset of the first message.
    pub base_offset: u64,
    /// How many messages retention took before they were read.
    pub lost: u64,
    /// How many are still unread.
    pub remaining: u64,
    /// How many records follow.
    pub count: u32,
    /// Of how many bytes.
    pub records_bytes: usize,
}

/// Writes the head of a MESSAGES frame; the records must follow.
pub fn encode_messages_head(head: MessagesHead, correlation: u32, out: &mut impl BufMut) {
    let body_bytes = MESSAGES_FIELDS_BYTES + head.records_bytes;
    put_header(out, kind::MESSAGES, 0, correlation, body_bytes);
    out.put_u64_le(head.base_offset);
    out.put_u64_le(head.lost);
    out.put_u64_le(head.remaining);
    out.put_u32_le(head.count);
}

/// Writes the head of a LEASED frame, whose messages were each delivered `deliveries` times; the
/// records must follow.
pub fn encode_leased_head(
    head: MessagesHead,
    deliveries: u32,
    correlation: u32,
    out: &mut impl BufMut,
) {
    let body_bytes = LEASED_FIELDS_BYTES + head.records_bytes;
    put_header(out, kind::LEASED, 0, correlation, body_bytes);
    out.put_u64_le(head.base_offset);
    out.put_u64_le(head.lost);
    out.put_u64_le(head.remaining);
    out.put_u32_le(deliveries);
    out.put_u32_le(head.count);
}

/// Writes a response as a frame.
pub fn encode_response(response: &Response<'_>, correlation: u32, out: &mut impl BufMut) {
    match response {
        Response::Done => put_header(out, kind::OK, 0, correlation, 0),
        Response::Published { base_offset, count } => {
            put_header(out, kind::PUBLISHED, 0, correlation, 12);
            out.put_u64_le(*base_offset);
            out.put_u32_le(*count);
        }
        Response::Subscribed { next_offset } => {
            put_header(out, kind::SUBSCRIBED, 0, correlation, 8);
            out.put_u64_le(*next_offset);
        }
        Response::Messages { base_offset, lost, remaining, batch } => {
            let head = MessagesHead {
                base_offset: *base_offset,
                lost: *lost,
                remaining: *remaining,
                count: batch.count(),
                records_bytes: batch.bytes().len(),
            };
            encode_messages_head(head, correlation, out);
            out.put_slice(batch.bytes());
        }
        Response::Leased { base_offset, lost, remaining, deliveries, batch } => {
            let head = MessagesHead {
                base_offset: *base_offset,
                lost: *lost,
                remaining: *remaining,
                count: batch.count(),
                records_bytes: batch.bytes().len(),
            };
            encode_leased_head(head, *deliveries, correlation, out);
            out.put_slice(batch.bytes());
        }
        Response::Topics(names) => {
            put_header(out, kind::TOPICS, 0, correlation, texts_bytes(names));
            put_texts(out, names);
        }
        Response::Subscribers(ids) => {
            put_header(out, kind::SUBSCRIBERS, 0, correlation, texts_bytes(ids));
            put_texts(out, ids);
        }
        Response::Pong => put_header(out, kind::PONG, 0, correlation, 0),
        Response::Info(json) => {
            put_header(out, kind::INFO, 0, correlation, json.len());
            out.put_slice(json.as_bytes());
        }
        Response::Refused(refusal) => put_refusal(kind::ERROR, refusal, correlation, out),
        Response::Deliver { base_offset, batch } => {
            let bytes = batch.bytes();
            encode_deliver_head(correlation, *base_offset, batch.count(), bytes.len(), out);
            out.put_slice(bytes);
        }
        Response::Redeliver { base_offset, deliveries, batch } => {
            let head = RedeliverHead {
                base_offset: *base_offset,
                deliveries: *deliveries,
                count: batch.count(),
                records_bytes: batch.bytes().len(),
            };
            encode_redeliver_head(head, correlation, out);
            out.put_slice(batch.bytes());
        }
        Response::Lost { count, next_offset } => {
            put_header(out, kind::LOST, 0, correlation, 16);
            out.put_u64_le(*count);
            out.put_u64_le(*next_offset);
        }
        Response::Ended(refusal) => put_refusal(kind::ENDED, refusal, correlation, out),
    }
}

fn put_refusal(kind: u8, refusal: &Refusal, correlation: u32, out: &mut impl BufMut) {
    put_header(out, kind, 0, correlation, 2 + text_bytes(&refusal.message));
    out.put_u16_le(refusal.code.number());
    put_text(out, &refusal.message);
}

/// Reads a response from a frame.
///
/// # Errors
/// [`Code::UnknownCommand`] for a kind that no response has, [`Code::MalformedFrame`],
/// [`Code::InvalidUtf8`].
#[inline]
pub fn decode_response(frame: Frame<'_>) -> Result<Response<'_>, Refusal> {
    if frame.flags != 0 {
        return Err(malformed(format!("expected no flags, found {:#04x}", frame.flags)));
    }
    let mut fields = Fields::new(frame.body);
    let response = match frame.kind {
        kind::DELIVER => Response::Deliver {
            base_offset: fields.u64("base offset")?,
            batch: decode_batch(&mut fields)?,
        },
        kind::OK => Response::Done,
        kind::PUBLISHED => Response::Published {
            base_offset: fields.u64("base offset")?,
            count: fields.u32("count")?,
        },
        kind::SUBSCRIBED => Response::Subscribed { next_offset: fields.u64("next offset")? },
        kind::MESSAGES => Response::Messages {
            base_offset: fields.u64("base offset")?,
            lost: fields.u64("lost")?,
            remaining: fields.u64("remaining")?,
            batch: decode_batch(&mut fields)?,
        },
        kind::LEASED => Response::Leased {
            base_offset: fields.u64("base offset")?,
            lost: fields.u64("lost")?,
            remaining: fields.u64("remaining")?,
            deliveries: fields.u32("deliveries")?,
            batch: decode_batch(&mut fields)?,
        },
        kind::REDELIVER => Response::Redeliver {
            base_offset: fields.u64("base offset")?,
            deliveries: fields.u32("deliveries")?,
            batch: decode_batch(&mut fields)?,
        },
        kind::TOPICS => Response::Topics(fields.texts("topics")?),
        kind::SUBSCRIBERS => Response::Subscribers(fields.texts("subscribers")?),
        kind::PONG => Response::Pong,
        kind::INFO => Response::Info(utf8(fields.rest(), "info")?),
        kind::ERROR => Response::Refused(decode_refusal(&mut fields)?),
        kind::LOST => {
            Response::Lost { count: fields.u64("count")?, next_offset: fields.u64("next offset")? }
        }
        kind::ENDED => Response::Ended(decode_refusal(&mut fields)?),
        other => {
            return Err(Refusal::new(
                Code::UnknownCommand,
                format!("expected a response's kind, 0x80 to 0x8d, found {other:#04x}"),
            ));
        }
    };
    fields.end()?;
    Ok(response)
}

#[inline]
fn decode_batch<'a>(fields: &mut Fields<'a>) -> Result<Batch<'a>, Refusal> {
    let count = fields.u32("count")?;
    Batch::check(fields.rest(), count, PAYLOAD_BYTES_MAX)
}

fn decode_refusal(fields: &mut Fields<'_>) -> Result<Refusal, Refusal> {
    let number = fields.u16("code")?;
    let message = fields.text("message")?.to_owned();
    match Code::from_number(number) {
        Some(code) => Ok(Refusal::new(code, message)),
        None => Err(malformed(format!("expected a known code, found {number} ({message})"))),
    }
}
