//! Journal records of MQTT clients: their sessions, and what of each delivery of quality of service
//! 2 may not be forgotten.
//!
//! | kind | record | body |
//! |---|---|---|
//! | 64 | session begun, or its expiry changed | client `u64`, expiry in s `u32` (`u32::MAX`: never), client identifier text |
//! | 65 | session left | client `u64`, Unix time in ms `u64`: from then on it expires |
//! | 66 | session ended | client `u64` |
//! | 67 | subscribed | client `u64`, options `u8`, subscription identifier `u32` (0: none), filter text |
//! | 68 | unsubscribed | client `u64`, filter text |
//! | 69 | sent | client `u64`, packet identifier `u16`, topic `u64`, offset `u64`, quality of service `u8`, filter text: of the shared subscription that gave it, or empty |
//! | 70 | released | client `u64`, packet identifier `u16`: PUBREC came, PUBREL goes |
//! | 71 | completed | client `u64`, packet identifier `u16` |
//! | 72 | forgotten | client `u64`, packet identifier `u16`: PUBREL came for what was received |
//!
//! In snapshots only:
//!
//! | kind | record | body |
//! |---|---|---|
//! | 80 | session state | client `u64`, position up to which it is told `u64`, (packet identifier `u16`)* of what was received |
//!
//! That a publication was received is told with its messages: see `record.rs`. Options are those of
//! MQTT 5.0 §3.8.3.1, as they travel.

use super::RecordError;
use super::fields::{Fields, put_text};
use super::record::TopicId;
use bytes::BufMut;

/// A client's session, by a number that no other has at the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct ClientNumber(pub(crate) u64);

/// A message that was given a packet identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Delivery {
    pub(crate) topic: TopicId,
    pub(crate) offset: u64,
    /// 1 or 2.
    pub(crate) qos: u8,
}

/// The terms of a subscription, as they travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FilterTerms {
    pub(crate) options: u8,
    /// 0: none.
    pub(crate) identifier: u32,
}

/// One record of a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ClientRecord<'a> {
    Begun { client: ClientNumber, expiry_s: u32, id: &'a str },
    Left { client: ClientNumber, unix_ms: u64 },
    Ended { client: ClientNumber },
    Subscribed { client: ClientNumber, terms: FilterTerms, filter: &'a str },
    Unsubscribed { client: ClientNumber, filter: &'a str },
    Sent { client: ClientNumber, packet_id: u16, delivery: Delivery, share: &'a str },
    Released { client: ClientNumber, packet_id: u16 },
    Completed { client: ClientNumber, packet_id: u16 },
    Forgotten { client: ClientNumber, packet_id: u16 },
    State { client: ClientNumber, as_of: u64, received: Vec<u16> },
}

mod kind {
    pub(super) const BEGUN: u8 = 64;
    pub(super) const LEFT: u8 = 65;
    pub(super) const ENDED: u8 = 66;
    pub(super) const SUBSCRIBED: u8 = 67;
    pub(super) const UNSUBSCRIBED: u8 = 68;
    pub(super) const SENT: u8 = 69;
    pub(super) const RELEASED: u8 = 70;
    pub(super) const COMPLETED: u8 = 71;
    pub(super) const FORGOTTEN: u8 = 72;
    pub(super) const STATE: u8 = 80;
}

/// Whether records of this kind are of clients.
pub(super) fn is_client(kind: u8) -> bool {
    (kind::BEGUN..=kind::STATE).contains(&kind)
}

impl<'a> ClientRecord<'a> {
    /// The client that it concerns.
    pub(crate) fn client(&self) -> ClientNumber {
        match self {
            Self::Begun { client, .. }
            | Self::Left { client, .. }
            | Self::Ended { client }
            | Self::Subscribed { client, .. }
            | Self::Unsubscribed { client, .. }
            | Self::Sent { client, .. }
            | Self::Released { client, .. }
            | Self::Completed { client, .. }
            | Self::Forgotten { client, .. }
            | Self::State { client, .. } => *client,
        }
    }

    /// Gives the record's kind, and writes its body.
    pub(super) fn encode(&self, out: &mut Vec<u8>) -> u8 {
        out.put_u64_le(self.client().0);
        match self {
            Self::Begun { expiry_s, id, .. } => {
                out.put_u32_le(*expiry_s);
                put_text(out, id);
                kind::BEGUN
            }
            Self::Left { unix_ms, .. } => {
                out.put_u64_le(*unix_ms);
                kind::LEFT
            }
            Self::Ended { .. } => kind::ENDED,
            Self::Subscribed { terms, filter, .. } => {
                out.put_u8(terms.options);
                out.put_u32_le(terms.identifier);
                put_text(out, filter);
                kind::SUBSCRIBED
            }
            Self::Unsubscribed { filter, .. } => {
                put_text(out, filter);
                kind::UNSUBSCRIBED
            }
            Self::Sent { packet_id, delivery, share, .. } => {
                out.put_u16_le(*packet_id);
                out.put_u64_le(delivery.topic.0);
                out.put_u64_le(delivery.offset);
                out.put_u8(delivery.qos);
                put_text(out, share);
                kind::SENT
            }
            Self::Released { packet_id, .. } => put_id(out, *packet_id, kind::RELEASED),
            Self::Completed { packet_id, .. } => put_id(out, *packet_id, kind::COMPLETED),
            Self::Forgotten { packet_id, .. } => put_id(out, *packet_id, kind::FORGOTTEN),
            Self::State { as_of, received, .. } => {
                out.put_u64_le(*as_of);
                received.iter().for_each(|packet_id| out.put_u16_le(*packet_id));
                kind::STATE
            }
        }
    }

    /// Reads a record of a kind that [`is_client`].
    pub(super) fn decode(kind: u8, fields: &mut Fields<'a>) -> Result<Self, RecordError> {
        let client = ClientNumber(fields.u64()?);
        Ok(match kind {
            kind::BEGUN => Self::Begun { client, expiry_s: fields.u32()?, id: fields.text()? },
            kind::LEFT => Self::Left { client, unix_ms: fields.u64()? },
            kind::ENDED => Self::Ended { client },
            kind::SUBSCRIBED => {
                let terms = FilterTerms { options: fields.u8()?, identifier: fields.u32()? };
                Self::Subscribed { client, terms, filter: fields.text()? }
            }
            kind::UNSUBSCRIBED => Self::Unsubscribed { client, filter: fields.text()? },
            kind::SENT => Self::Sent {
                client,
                packet_id: fields.u16()?,
                delivery: Delivery {
                    topic: TopicId(fields.u64()?),
                    offset: fields.u64()?,
                    qos: fields.u8()?,
                },
                share: fields.text()?,
            },
            kind::RELEASED => Self::Released { client, packet_id: fields.u16()? },
            kind::COMPLETED => Self::Completed { client, packet_id: fields.u16()? },
            kind::FORGOTTEN => Self::Forgotten { client, packet_id: fields.u16()? },
            kind::STATE => {
                Self::State { client, as_of: fields.u64()?, received: fields.all(Fields::u16)? }
            }
            _ => return Err(RecordError { kind, found: "another kind" }),
        })
    }
}

fn put_id(out: &mut Vec<u8>, packet_id: u16, kind: u8) -> u8 {
    out.put_u16_le(packet_id);
    kind
}

impl std::fmt::Display for ClientRecord<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Begun { expiry_s, id, .. } => match *expiry_s {
                u32::MAX => write!(f, "session of {id:?}, without end"),
                seconds => write!(f, "session of {id:?}, for {seconds} s after it is left"),
            },
            Self::Left { unix_ms, .. } => write!(f, "left at {unix_ms} ms"),
            Self::Ended { .. } => write!(f, "session over"),
            Self::Subscribed { terms, filter, .. } => write!(
                f,
                "subscribed to {filter:?}, options {:#04x}, identifier {}",
                terms.options, terms.identifier
            ),
            Self::Unsubscribed { filter, .. } => write!(f, "unsubscribed from {filter:?}"),
            Self::Sent { packet_id, delivery: Delivery { topic, offset, qos }, share, .. } => {
                let topic = topic.0;
                write!(f, "sent as packet {packet_id}: offset {offset} of topic {topic}, ")?;
                write!(f, "quality of service {qos}")?;
                if share.is_empty() { Ok(()) } else { write!(f, ", by {share:?}") }
            }
            Self::Released { packet_id, .. } => write!(f, "packet {packet_id} released"),
            Self::Completed { packet_id, .. } => write!(f, "packet {packet_id} completed"),
            Self::Forgotten { packet_id, .. } => write!(f, "received packet {packet_id} forgotten"),
            Self::State { as_of, received, .. } => {
                write!(f, "received packets {received:?} at position {as_of}")
            }
        }
    }
}
