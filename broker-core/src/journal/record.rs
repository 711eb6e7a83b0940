//! Journal records: durable state is what applying them in order makes of nothing.
//!
//! All integers are little-endian; text is a `u16` length and UTF-8.
//!
//! | kind | record | body |
//! |---|---|---|
//! | 1 | topic created | topic `u64`, durability `u8`, bytes `u64`, messages `u64`, age in ms `u64`, name text; `u64::MAX` is no limit |
//! | 2 | topic deleted | topic `u64` |
//! | 3 | messages | see below |
//! | 4 | messages moved forward | as 3, of messages that were stored before |
//! | 5 | subscribed | topic `u64`, subscription `u64`, next offset `u64`, acks `u8` (0 none, 1 individual), if individual: ack timeout, in flight, deliveries, backoff least and most `u32` each, dead-letter topic text; name text |
//! | 6 | unsubscribed | topic `u64`, subscription `u64` |
//! | 7 | cursor moved | topic `u64`, subscription `u64`, next offset `u64` |
//! | 8 | settled | topic `u64`, subscription `u64`, (first `u64`, count `u32`)* |
//! | 9 | broker state | next topic `u64` |
//! | 10 | retained | topic `u64`, the record of the message, or nothing where there is none any more |
//!
//! Those of MQTT clients are in `client_record.rs`.
//!
//! In snapshots only:
//!
//! | kind | record | body |
//! |---|---|---|
//! | 32 | topic state | topic `u64`, position up to which it is told `u64`, first offset `u64`, next offset `u64`, next subscription `u64`, time of the newest message `u64` |
//! | 33 | stored runs | topic `u64`, (base offset `u64`, segment `u64`, position `u64`, time `u64`, count `u32`, bytes `u32`, live bytes `u32`, payload bytes `u32`)* |
//! | 34 | publisher | topic `u64`, publisher `u128`, (sequence `u64`, base offset `u64`, count `u32`)* |
//! | 35 | delivered | topic `u64`, subscription `u64`, first `u64`, count `u32`, deliveries `u32` |
//!
//! ```text
//! messages
//! 0       8             16         24      28      32
//! +-------+-------------+----------+-------+-------+---------------------------+---------
//! | topic | base offset | unix ms  | count | flags | publisher, sequence (24)  | records
//! +-------+-------------+----------+-------+-------+---------------------------+---------
//! ```
//!
//! Flag 1: the publication goes on in the topic's next record, and counts only with it. Flag 2:
//! publisher `u128` and sequence `u64` are there. Flag 4: behind them, MQTT client `u64` and packet
//! identifier `u16` are there: the client's publication of quality of service 2 is so received.

use super::ClientNumber;
use super::client_record::{self, ClientRecord};
use super::fields::{Fields, put_text};
use crate::publishers;
use bytes::BufMut;
use protocol::{Durability, PublisherId, PublisherSequence};
use thiserror::Error;

/// A topic, by a number that no other ever had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct TopicId(pub(crate) u64);

/// What a stored topic keeps, and how safely.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TopicTerms {
    pub(crate) durability: Durability,
    pub(crate) bytes_max: u64,
    pub(crate) messages_max: u64,
    pub(crate) age_ms_max: u64,
}

/// The terms of individual acknowledgements, nothing left open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LeaseTerms {
    pub(crate) ack_timeout_ms: u32,
    pub(crate) in_flight_max: u32,
    pub(crate) deliveries_max: u32,
    pub(crate) backoff_ms_min: u32,
    pub(crate) backoff_ms_max: u32,
    pub(crate) dead_letter: String,
}

/// Whether a record is a publication's last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Last,
    /// The publication goes on in the topic's next record.
    More,
}

/// A publication of quality of service 2 that a client is told once to have been received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Receipt {
    pub(crate) client: ClientNumber,
    pub(crate) packet_id: u16,
}

/// Messages as they are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Publication<'a> {
    pub(crate) topic: TopicId,
    pub(crate) base_offset: u64,
    pub(crate) unix_ms: u64,
    pub(crate) count: u32,
    pub(crate) part: Part,
    pub(crate) sequence: Option<PublisherSequence>,
    pub(crate) receipt: Option<Receipt>,
    pub(crate) records: &'a [u8],
}

/// A run of records that lie together in the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) base_offset: u64,
    pub(crate) segment: u64,
    pub(crate) position: u64,
    /// When its first message was published.
    pub(crate) unix_ms: u64,
    pub(crate) count: u32,
    /// From its first record to its last, those of others between them included.
    pub(crate) bytes: u32,
    /// Of its own records alone.
    pub(crate) live_bytes: u32,
    /// Of its messages' records, as they travel.
    pub(crate) records_bytes: u32,
}

impl Run {
    pub(crate) fn end_offset(&self) -> u64 {
        self.base_offset + u64::from(self.count)
    }
}

/// One record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Record<'a> {
    TopicCreated {
        topic: TopicId,
        terms: TopicTerms,
        name: &'a str,
    },
    TopicDeleted {
        topic: TopicId,
    },
    Messages(Publication<'a>),
    Moved(Publication<'a>),
    Subscribed {
        topic: TopicId,
        subscription: u64,
        next_offset: u64,
        leases: Option<LeaseTerms>,
        name: &'a str,
    },
    Unsubscribed {
        topic: TopicId,
        subscription: u64,
    },
    Cursor {
        topic: TopicId,
        subscription: u64,
        next_offset: u64,
    },
    Settled {
        topic: TopicId,
        subscription: u64,
        ranges: Vec<(u64, u32)>,
    },
    Delivered {
        topic: TopicId,
        subscription: u64,
        first: u64,
        count: u32,
        deliveries: u32,
    },
    TopicState {
        topic: TopicId,
        as_of: u64,
        first_offset: u64,
        next_offset: u64,
        next_subscription: u64,
        newest_unix_ms: u64,
    },
    Runs {
        topic: TopicId,
        runs: Vec<Run>,
    },
    Publisher {
        topic: TopicId,
        publisher: PublisherId,
        publications: Vec<publishers::Publication>,
    },
    BrokerState {
        next_topic: u64,
    },
    /// The topic's retained message, as a record of a batch; empty where there is none.
    Retained {
        topic: TopicId,
        record: &'a [u8],
    },
    Client(ClientRecord<'a>),
}

mod kind {
    pub(super) const TOPIC_CREATED: u8 = 1;
    pub(super) const TOPIC_DELETED: u8 = 2;
    pub(super) const MESSAGES: u8 = 3;
    pub(super) const MOVED: u8 = 4;
    pub(super) const SUBSCRIBED: u8 = 5;
    pub(super) const UNSUBSCRIBED: u8 = 6;
    pub(super) const CURSOR: u8 = 7;
    pub(super) const SETTLED: u8 = 8;
    pub(super) const DELIVERED: u8 = 35;
    pub(super) const TOPIC_STATE: u8 = 32;
    pub(super) const RUNS: u8 = 33;
    pub(super) const PUBLISHER: u8 = 34;
    pub(super) const BROKER_STATE: u8 = 9;
    pub(super) const RETAINED: u8 = 10;
}

pub(super) const FLAG_MORE: u32 = 1;
pub(super) const FLAG_SEQUENCE: u32 = 2;
pub(super) const FLAG_RECEIPT: u32 = 4;

/// Bytes of a publication before its records, at most.
pub(crate) const PUBLICATION_HEAD_BYTES_MAX: usize = 66;

impl Publication<'_> {
    /// Offset after its last message.
    pub(crate) fn end_offset(&self) -> u64 {
        self.base_offset + u64::from(self.count)
    }

    /// Writes what comes before the records into `head`; gives the record's kind and what was
    /// written.
    pub(crate) fn encode_head_in<'h>(
        &self,
        head: &'h mut [u8; PUBLICATION_HEAD_BYTES_MAX],
    ) -> (u8, &'h [u8]) {
        let mut rest = &mut head[..];
        self.encode_head(&mut rest);
        let bytes = PUBLICATION_HEAD_BYTES_MAX - rest.len();
        (kind::MESSAGES, &head[..bytes])
    }

    fn encode_head(&self, out: &mut impl BufMut) {
        let more = if self.part == Part::More { FLAG_MORE } else { 0 };
        let sequence = if self.sequence.is_some() { FLAG_SEQUENCE } else { 0 };
        out.put_u64_le(self.topic.0);
        out.put_u64_le(self.base_offset);
        out.put_u64_le(self.unix_ms);
        out.put_u32_le(self.count);
        let receipt = if self.receipt.is_some() { FLAG_RECEIPT } else { 0 };
        out.put_u32_le(more | sequence | receipt);
        if let Some(PublisherSequence { publisher, sequence }) = self.sequence {
            out.put_u128_le(publisher.0);
            out.put_u64_le(sequence);
        }
        if let Some(Receipt { client, packet_id }) = self.receipt {
            out.put_u64_le(client.0);
            out.put_u16_le(packet_id);
        }
    }
}

impl Record<'_> {
    /// The topic that it concerns; none of the broker's own state and of clients.
    pub(crate) fn topic(&self) -> Option<TopicId> {
        match self {
            Self::Messages(publication) | Self::Moved(publication) => Some(publication.topic),
            Self::TopicCreated { topic, .. }
            | Self::TopicDeleted { topic }
            | Self::Subscribed { topic, .. }
            | Self::Unsubscribed { topic, .. }
            | Self::Cursor { topic, .. }
            | Self::Settled { topic, .. }
            | Self::Delivered { topic, .. }
            | Self::TopicState { topic, .. }
            | Self::Runs { topic, .. }
            | Self::Publisher { topic, .. }
            | Self::Retained { topic, .. } => Some(*topic),
            Self::BrokerState { .. } | Self::Client(_) => None,
        }
    }

    /// Whether a record of this kind holds messages.
    pub(crate) fn is_publication(kind: u8) -> bool {
        matches!(kind, kind::MESSAGES | kind::MOVED)
    }

    /// Gives the record's kind, and writes its body.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) -> u8 {
        let put_ids = |out: &mut Vec<u8>, topic: TopicId, subscription: u64| {
            out.put_u64_le(topic.0);
            out.put_u64_le(subscription);
        };
        match self {
            Self::TopicCreated { topic, terms, name } => {
                out.put_u64_le(topic.0);
                out.put_u8(durability_number(terms.durability));
                for limit in [terms.bytes_max, terms.messages_max, terms.age_ms_max] {
                    out.put_u64_le(limit);
                }
                put_text(out, name);
                kind::TOPIC_CREATED
            }
            Self::TopicDeleted { topic } => {
                out.put_u64_le(topic.0);
                kind::TOPIC_DELETED
            }
            Self::Messages(publication) | Self::Moved(publication) => {
                out.reserve(PUBLICATION_HEAD_BYTES_MAX + publication.records.len());
                publication.encode_head(out);
                out.put_slice(publication.records);
                if matches!(self, Self::Moved(_)) { kind::MOVED } else { kind::MESSAGES }
            }
            Self::Subscribed { topic, subscription, next_offset, leases, name } => {
                put_ids(out, *topic, *subscription);
                out.put_u64_le(*next_offset);
                put_lease_terms(out, leases.as_ref());
                put_text(out, name);
                kind::SUBSCRIBED
            }
            Self::Unsubscribed { topic, subscription } => {
                put_ids(out, *topic, *subscription);
                kind::UNSUBSCRIBED
            }
            Self::Cursor { topic, subscription, next_offset } => {
                put_ids(out, *topic, *subscription);
                out.put_u64_le(*next_offset);
                kind::CURSOR
            }
            Self::Settled { topic, subscription, ranges } => {
                put_ids(out, *topic, *subscription);
                for (first, count) in ranges {
                    out.put_u64_le(*first);
                    out.put_u32_le(*count);
                }
                kind::SETTLED
            }
            Self::Delivered { topic, subscription, first, count, deliveries } => {
                put_ids(out, *topic, *subscription);
                out.put_u64_le(*first);
                out.put_u32_le(*count);
                out.put_u32_le(*deliveries);
                kind::DELIVERED
            }
            Self::TopicState {
                topic,
                as_of,
                first_offset,
                next_offset,
                next_subscription,
                newest_unix_ms,
            } => {
                let (first, next) = (*first_offset, *next_offset);
                for number in [topic.0, *as_of, first, next, *next_subscription, *newest_unix_ms] {
                    out.put_u64_le(number);
                }
                kind::TOPIC_STATE
            }
            Self::Runs { topic, runs } => {
                out.put_u64_le(topic.0);
                runs.iter().for_each(|run| put_run(out, run));
                kind::RUNS
            }
            Self::Publisher { topic, publisher, publications } => {
                out.put_u64_le(topic.0);
                out.put_u128_le(publisher.0);
                for publishers::Publication { sequence, base_offset, count } in publications {
                    out.put_u64_le(*sequence);
                    out.put_u64_le(*base_offset);
                    out.put_u32_le(*count);
                }
                kind::PUBLISHER
            }
            Self::BrokerState { next_topic } => {
                out.put_u64_le(*next_topic);
                kind::BROKER_STATE
            }
            Self::Retained { topic, record } => {
                out.put_u64_le(topic.0);
                out.put_slice(record);
                kind::RETAINED
            }
            Self::Client(record) => record.encode(out),
        }
    }
}

fn put_lease_terms(out: &mut Vec<u8>, terms: Option<&LeaseTerms>) {
    let Some(terms) = terms else { return out.put_u8(0) };
    out.put_u8(1);
    for number in [
        terms.ack_timeout_ms,
        terms.in_flight_max,
        terms.deliveries_max,
        terms.backoff_ms_min,
        terms.backoff_ms_max,
    ] {
        out.put_u32_le(number);
    }
    put_text(out, &terms.dead_letter);
}

fn put_run(out: &mut Vec<u8>, run: &Run) {
    for number in [run.base_offset, run.segment, run.position, run.unix_ms] {
        out.put_u64_le(number);
    }
    for number in [run.count, run.bytes, run.live_bytes, run.records_bytes] {
        out.put_u32_le(number);
    }
}

fn durability_number(durability: Durability) -> u8 {
    match durability {
        Durability::Os => 1,
        Durability::Sync => 2,
    }
}

/// A record that no version of the broker writes.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("expected a record of kind {kind} as this version writes it, found {found}")]
pub struct RecordError {
    /// The kind that the record says it is of.
    pub kind: u8,
    /// What is wrong with it.
    pub found: &'static str,
}

impl<'a> Record<'a> {
    /// Reads a record.
    ///
    /// # Errors
    /// Where the kind is unknown, or the body is not of its form.
    pub(crate) fn decode(kind: u8, body: &'a [u8]) -> Result<Self, RecordError> {
        let mut fields = Fields { kind, rest: body };
        let record = Self::decode_fields(kind, &mut fields)?;
        match fields.rest {
            [] => Ok(record),
            _ => Err(RecordError { kind, found: "bytes after its end" }),
        }
    }

    fn decode_fields(kind: u8, fields: &mut Fields<'a>) -> Result<Self, RecordError> {
        if kind == kind::BROKER_STATE {
            return Ok(Self::BrokerState { next_topic: fields.u64()? });
        }
        if client_record::is_client(kind) {
            return ClientRecord::decode(kind, fields).map(Self::Client);
        }
        let topic = TopicId(fields.u64()?);
        Ok(match kind {
            kind::MESSAGES => Self::Messages(fields.publication(topic)?),
            kind::MOVED => Self::Moved(fields.publication(topic)?),
            kind::TOPIC_CREATED => {
                Self::TopicCreated { topic, terms: fields.topic_terms()?, name: fields.text()? }
            }
            kind::TOPIC_DELETED => Self::TopicDeleted { topic },
            kind::SUBSCRIBED => Self::Subscribed {
                topic,
                subscription: fields.u64()?,
                next_offset: fields.u64()?,
                leases: fields.lease_terms()?,
                name: fields.text()?,
            },
            kind::UNSUBSCRIBED => Self::Unsubscribed { topic, subscription: fields.u64()? },
            kind::CURSOR => {
                Self::Cursor { topic, subscription: fields.u64()?, next_offset: fields.u64()? }
            }
            kind::SETTLED => Self::Settled {
                topic,
                subscription: fields.u64()?,
                ranges: fields.all(|fields| Ok((fields.u64()?, fields.u32()?)))?,
            },
            kind::DELIVERED => Self::Delivered {
                topic,
                subscription: fields.u64()?,
                first: fields.u64()?,
                count: fields.u32()?,
                deliveries: fields.u32()?,
            },
            kind::TOPIC_STATE => Self::TopicState {
                topic,
                as_of: fields.u64()?,
                first_offset: fields.u64()?,
                next_offset: fields.u64()?,
                next_subscription: fields.u64()?,
                newest_unix_ms: fields.u64()?,
            },
            kind::RUNS => Self::Runs { topic, runs: fields.all(Fields::run)? },
            kind::PUBLISHER => Self::Publisher {
                topic,
                publisher: PublisherId(fields.u128()?),
                publications: fields.all(Fields::remembered)?,
            },
            kind::RETAINED => Self::Retained { topic, record: std::mem::take(&mut fields.rest) },
            _ => return Err(RecordError { kind, found: "another kind" }),
        })
    }
}

#[cfg(test)]
mod tests;
