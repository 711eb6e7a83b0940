//! What the broker says on the native wire, in values that a test can keep and compare.

use crate::speaks::code_of;
use crate::{Headers, Pulled};
use protocol::{Batch, Code, Response};

/// One frame from the broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// The request that it answers, or the subscription that it belongs to.
    pub correlation: u32,
    /// What it says.
    pub reply: Reply,
}

/// What a frame from the broker says: a [`Response`] that owns its parts.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is the response of the same name, field by field")]
pub enum Reply {
    Done,
    Published { base_offset: u64, count: u32 },
    Subscribed { next_offset: u64 },
    Messages { base_offset: u64, pulled: Pulled },
    Leased { base_offset: u64, deliveries: u32, pulled: Pulled },
    Topics(Vec<String>),
    Subscribers(Vec<String>),
    Pong,
    Info(String),
    Refused(Code),
    Deliver(Delivered),
    Redeliver { deliveries: u32, delivered: Delivered },
    Lost { count: u64, next_offset: u64 },
    Ended(Code),
}

/// What one DELIVER or REDELIVER frame brought.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delivered {
    /// Offset of the first message.
    pub base_offset: u64,
    /// The messages, oldest first.
    pub messages: Vec<Vec<u8>>,
    /// The headers of each.
    pub headers: Vec<Headers>,
    /// Bytes of the records, as credit counts them.
    pub records_bytes: usize,
}

impl Reply {
    /// Takes a copy of what a response says.
    #[must_use]
    pub fn from_response(response: &Response<'_>) -> Self {
        match response {
            Response::Done => Self::Done,
            Response::Published { base_offset, count } => {
                Self::Published { base_offset: *base_offset, count: *count }
            }
            Response::Subscribed { next_offset } => Self::Subscribed { next_offset: *next_offset },
            Response::Messages { base_offset, lost, remaining, batch } => {
                let pulled = pulled(*batch, *lost, *remaining);
                Self::Messages { base_offset: *base_offset, pulled }
            }
            Response::Leased { base_offset, lost, remaining, deliveries, batch } => {
                let pulled = pulled(*batch, *lost, *remaining);
                Self::Leased { base_offset: *base_offset, deliveries: *deliveries, pulled }
            }
            Response::Topics(names) => Self::Topics(owned(names)),
            Response::Subscribers(ids) => Self::Subscribers(owned(ids)),
            Response::Pong => Self::Pong,
            Response::Info(text) => Self::Info((*text).to_owned()),
            Response::Refused(refusal) => Self::Refused(code_of(refusal)),
            Response::Deliver { base_offset, batch } => {
                Self::Deliver(Delivered::new(*base_offset, *batch))
            }
            Response::Redeliver { base_offset, deliveries, batch } => Self::Redeliver {
                deliveries: *deliveries,
                delivered: Delivered::new(*base_offset, *batch),
            },
            Response::Lost { count, next_offset } => {
                Self::Lost { count: *count, next_offset: *next_offset }
            }
            Response::Ended(refusal) => Self::Ended(code_of(refusal)),
        }
    }

    /// Whether it comes unasked.
    pub(crate) fn is_pushed(&self) -> bool {
        matches!(
            self,
            Self::Deliver(_) | Self::Redeliver { .. } | Self::Lost { .. } | Self::Ended(_)
        )
    }
}

impl Delivered {
    fn new(base_offset: u64, batch: Batch<'_>) -> Self {
        Self {
            base_offset,
            messages: payloads(batch),
            headers: headers(batch),
            records_bytes: batch.bytes().len(),
        }
    }
}

fn pulled(batch: Batch<'_>, lost: u64, remaining: u64) -> Pulled {
    Pulled { messages: payloads(batch), headers: headers(batch), lost, remaining }
}

fn headers(batch: Batch<'_>) -> Vec<Headers> {
    let owned = |(key, value): (&str, &[u8])| (key.to_owned(), value.to_vec());
    batch.records().map(|record| record.headers.map(owned).collect()).collect()
}

fn payloads(batch: Batch<'_>) -> Vec<Vec<u8>> {
    batch.payloads().map(<[u8]>::to_vec).collect()
}

fn owned(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}
