//! Answers, before and after they are put into a dialect.

use super::mqtt::Told;
use crate::topic::Pulled;
use crate::{AttachmentId, Output};
use bytes::Bytes;
use protocol::batch::records;
use protocol::json::{self, Lease, MessagesTail};
use protocol::native::{MessagesHead, encode_leased_head, encode_messages_head, encode_response};
use protocol::{Info, Refusal, Response};
use std::sync::Arc;

/// What a request is answered with.
#[derive(Debug)]
pub(super) enum Answer {
    Done,
    Published {
        base_offset: u64,
        count: u32,
    },
    Subscribed {
        next_offset: u64,
    },
    /// Subscribed, and pushed to the connection under this number.
    Attached {
        number: u32,
        attachment: AttachmentId,
        next_offset: u64,
    },
    Messages(Pulled),
    Topics(Vec<Arc<str>>),
    Subscribers(Vec<Arc<str>>),
    Pong,
    /// MQTT packets, written already, and what follows when they have left.
    Packets {
        packets: Bytes,
        then: Option<Told>,
    },
    Info(Info),
    Refused(Refusal),
}

impl Answer {
    /// Bytes of the messages in it.
    pub(super) fn messages_bytes(&self) -> usize {
        match self {
            Self::Messages(pulled) => pulled.fetched.bytes,
            Self::Packets { packets, .. } => packets.len(),
            _ => 0,
        }
    }

    pub(super) fn write_json(self, out: &mut Output) {
        match self {
            Self::Done | Self::Pong => out.put(json::encode_done),
            Self::Subscribed { next_offset } | Self::Attached { next_offset, .. } => {
                out.put(|out| json::encode_subscribed(next_offset, out));
            }
            Self::Published { base_offset, .. } => {
                out.put(|out| json::encode_published(base_offset, out));
            }
            Self::Messages(pulled) => write_messages_json(&pulled, out),
            Self::Topics(names) => out.put(|out| json::encode_topics(&borrowed(&names), out)),
            Self::Subscribers(ids) => out.put(|out| json::encode_subscribers(&borrowed(&ids), out)),
            Self::Packets { packets, .. } => out.push(packets),
            Self::Info(info) => out.put(|out| json::encode_info(&info, out)),
            Self::Refused(refusal) => out.put(|out| json::encode_refusal(&refusal, out)),
        }
    }

    pub(super) fn write_native(self, correlation: u32, out: &mut Output) {
        let mut write = |response: &Response<'_>| {
            out.put(|out| encode_response(response, correlation, out));
        };
        match self {
            Self::Done => write(&Response::Done),
            Self::Published { base_offset, count } => {
                write(&Response::Published { base_offset, count });
            }
            Self::Subscribed { next_offset } | Self::Attached { next_offset, .. } => {
                write(&Response::Subscribed { next_offset });
            }
            Self::Messages(pulled) => write_messages_native(pulled, correlation, out),
            Self::Topics(names) => write(&Response::Topics(borrowed(&names))),
            Self::Subscribers(ids) => write(&Response::Subscribers(borrowed(&ids))),
            Self::Pong => write(&Response::Pong),
            Self::Packets { packets, .. } => out.push(packets),
            Self::Info(info) => {
                let json = serde_json::to_string(&info).expect("numbers and strings are JSON");
                write(&Response::Info(&json));
            }
            Self::Refused(refusal) => write(&Response::Refused(refusal)),
        }
    }
}

fn borrowed(names: &[Arc<str>]) -> Vec<&str> {
    names.iter().map(AsRef::as_ref).collect()
}

fn write_messages_json(pulled: &Pulled, out: &mut Output) {
    let tail = MessagesTail { lost: pulled.fetched.lost, remaining: pulled.remaining };
    let records = pulled.fetched.spans.iter().flat_map(|span| records(span));
    let base_offset = pulled.fetched.base_offset;
    match pulled.deliveries {
        None => out.put(|out| json::encode_messages(records, tail, out)),
        Some(deliveries) => {
            let lease = Lease { base_offset, deliveries };
            out.put(|out| json::encode_leased(records, lease, tail, out));
        }
    }
}

fn write_messages_native(pulled: Pulled, correlation: u32, out: &mut Output) {
    let fetched = pulled.fetched;
    let head = MessagesHead {
        base_offset: fetched.base_offset,
        lost: fetched.lost,
        remaining: pulled.remaining,
        count: fetched.count,
        records_bytes: fetched.bytes,
    };
    match pulled.deliveries {
        None => out.put(|out| encode_messages_head(head, correlation, out)),
        Some(deliveries) => {
            out.put(|out| encode_leased_head(head, deliveries, correlation, out));
        }
    }
    for span in fetched.spans {
        out.push(span);
    }
}
