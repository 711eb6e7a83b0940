//! PUBLISH (MQTT 5.0 §3.3).
//!
//! ```text
//! first byte   7   6   5   4   3     2   1   0
//!              0   0   1   1   DUP   QoS     retain
//!
//! 0            2 + n
//! +------------+- - - - - -+- - - - - - - - -+- - - - - - +---------
//! | topic text | packet id | property length | properties | payload
//! +------------+- - - - - -+- - - - - - - - -+- - - - - - +---------
//!               QoS 1 and 2  5.0 only
//! ```
//!
//! The payload is all that is left.

use super::super::error::{malformed, violation};
use super::super::fields::{
    Fields, fitting_text, properties_bytes, put_properties, utf8, zero_character,
};
use super::super::header::{header_bytes, kind, remaining_varint};
use super::super::property::PropertySet;
use super::super::{PacketError, PacketId, Properties, QoS, ReasonCode, Version};
use bytes::{BufMut, BytesMut};

/// A message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Publish<'a> {
    /// Whether it may have been sent before. Not written for QoS 0, which is never sent again.
    pub dup: bool,
    /// How surely it is delivered.
    pub qos: QoS,
    /// To a server: whether it is retained. To a client: whether it was.
    pub retain: bool,
    /// Where it is published; empty where a topic alias stands for it.
    pub topic: &'a str,
    /// What its acknowledgement names; there is one exactly for QoS 1 and 2.
    pub packet_id: Option<PacketId>,
    /// More about it. Not written before 5.0.
    pub properties: Properties<'a>,
    /// The message.
    pub payload: &'a [u8],
}

mod flag {
    pub(super) const RETAIN: u8 = 1;
    pub(super) const QOS_SHIFT: u8 = 1;
    pub(super) const DUP: u8 = 1 << 3;
}

impl<'a> Publish<'a> {
    #[inline]
    pub(in super::super) fn decode(
        flags: u8,
        body: &'a [u8],
        version: Version,
        known_topic: &'a str,
    ) -> Result<Self, PacketError> {
        let qos = QoS::from_number(flags >> flag::QOS_SHIFT & 0b11).ok_or_else(no_such_qos)?;
        let dup = flags & flag::DUP != 0;
        if dup && qos == QoS::AtMostOnce {
            return Err(duplicate_at_most_once());
        }
        let mut fields = Fields::new(body);
        let topic = fields.binary("topic")?;
        // What was checked before need not be again.
        let is_known = topic == known_topic.as_bytes() && !topic.is_empty();
        let topic = if is_known { known_topic } else { utf8(topic, "topic")? };
        let packet_id = match qos {
            QoS::AtMostOnce => None,
            QoS::AtLeastOnce | QoS::ExactlyOnce => Some(fields.packet_id()?),
        };
        let properties = fields.properties(version, PropertySet::PUBLISH)?;
        if !is_known && (!topic.is_empty() || properties.topic_alias().is_none()) {
            check_topic_name(topic, version)?;
        }
        let retain = flags & flag::RETAIN != 0;
        Ok(Self { dup, qos, retain, topic, packet_id, properties, payload: fields.rest() })
    }

    /// The packet's first byte.
    #[inline]
    fn first_byte(&self) -> u8 {
        let dup = match (self.dup, self.qos) {
            (false, _) | (true, QoS::AtMostOnce) => 0,
            (true, _) => flag::DUP,
        };
        kind::PUBLISH << 4 | dup | self.qos.number() << flag::QOS_SHIFT | u8::from(self.retain)
    }

    /// Bytes after the fixed header, with a payload of so many.
    #[inline]
    fn remaining_bytes(&self, payload_bytes: usize, version: Version) -> usize {
        let packet_id_bytes = if self.qos == QoS::AtMostOnce { 0 } else { 2 };
        2 + fitting_text(self.topic).len()
            + packet_id_bytes
            + properties_bytes(version, self.properties)
            + payload_bytes
    }
}

/// Checks a topic name that is UTF-8 ([MQTT-3.3.2-2], [MQTT-4.7.3-1], [MQTT-4.7.3-2]), in one
/// pass over its bytes.
#[inline]
pub(super) fn check_topic_name(topic: &str, version: Version) -> Result<(), PacketError> {
    match memchr::memchr3(b'+', b'#', 0, topic.as_bytes()) {
        None if !topic.is_empty() => Ok(()),
        found => Err(bad_topic_name(topic, found, version)),
    }
}

#[cold]
fn bad_topic_name(topic: &str, found: Option<usize>, version: Version) -> PacketError {
    let Some(at) = found else {
        return violation("expected a topic name of at least one character, found none");
    };
    if topic.as_bytes()[at] == 0 {
        return zero_character("topic name");
    }
    let reason = match version {
        Version::V31 | Version::V311 => ReasonCode::ProtocolError,
        Version::V5 => ReasonCode::TopicNameInvalid,
    };
    let message = format!("expected a topic name without wildcards, found one at byte {at}");
    PacketError::new(reason, message)
}

/// [MQTT-3.3.1-4].
#[cold]
fn no_such_qos() -> PacketError {
    malformed("expected QoS 0, 1 or 2, found both QoS bits set")
}

/// [MQTT-3.3.1-2].
#[cold]
fn duplicate_at_most_once() -> PacketError {
    violation("expected no DUP flag with QoS 0, found one")
}

/// Writes a message behind what `out` holds. Before 5.0 its properties are left out.
///
/// # Panics
/// If more than 268 435 455 bytes would follow the fixed header, or if the QoS is not 0 and
/// there is no packet id.
#[inline]
pub fn encode_publish(publish: &Publish<'_>, version: Version, out: &mut BytesMut) {
    out.reserve(publish_bytes(publish, version));
    encode_publish_head(publish, publish.payload.len(), version, out);
    out.extend_from_slice(publish.payload);
}

/// Writes all of a message but its payload, of which `payload_bytes` must follow; the payload
/// that `publish` has is not looked at. So a large one can follow by reference.
///
/// # Panics
/// As [`encode_publish`].
#[inline]
pub fn encode_publish_head(
    publish: &Publish<'_>,
    payload_bytes: usize,
    version: Version,
    out: &mut BytesMut,
) {
    let topic = fitting_text(publish.topic);
    let (length, count) = remaining_varint(publish.remaining_bytes(payload_bytes, version));
    // First byte, remaining length and the topic's length, in one piece.
    let mut head = [publish.first_byte(), length[0], length[1], length[2], length[3], 0, 0];
    head[1 + count..3 + count].copy_from_slice(&(topic.len() as u16).to_be_bytes());
    out.extend_from_slice(&head[..3 + count]);
    out.extend_from_slice(topic.as_bytes());
    if publish.qos != QoS::AtMostOnce {
        let packet_id = publish.packet_id.expect("a message of QoS 1 or 2 has a packet id");
        out.put_u16(packet_id.get());
    }
    put_properties(out, version, publish.properties);
}

/// Bytes that [`encode_publish`] writes.
#[inline]
#[must_use]
pub fn publish_bytes(publish: &Publish<'_>, version: Version) -> usize {
    let remaining = publish.remaining_bytes(publish.payload.len(), version);
    header_bytes(remaining) + remaining
}
