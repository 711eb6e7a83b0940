//! SUBACK and UNSUBACK (MQTT 5.0 §3.9 and §3.11).
//!
//! ```text
//! 0           2
//! +-----------+- - - - - - - - -+- - - - - - +--------+---
//! | packet id | property length | properties | reason | …
//! +-----------+- - - - - - - - -+- - - - - - +--------+---
//!               5.0 only                       one for each filter, in order
//! ```
//!
//! Before 5.0, SUBACK's only failure is 0x80, and UNSUBACK has no reasons.

use super::super::error::violation;
use super::super::fields::{Fields, bad_reason, properties_bytes, put_properties};
use super::super::property::PropertySet;
use super::super::reason::allowed;
use super::super::{PacketError, PacketId, Properties, ReasonCode, Version};
use super::Body;
use bytes::{BufMut, BytesMut};

/// The server's answer to SUBSCRIBE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SubAck<'a> {
    /// Which SUBSCRIBE it answers.
    pub packet_id: PacketId,
    /// More about it.
    pub properties: Properties<'a>,
    /// A [`ReasonCode`]'s number for each filter, in order.
    pub reasons: &'a [u8],
}

/// The server's answer to UNSUBSCRIBE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnsubAck<'a> {
    /// Which UNSUBSCRIBE it answers.
    pub packet_id: PacketId,
    /// More about it.
    pub properties: Properties<'a>,
    /// A [`ReasonCode`]'s number for each filter, in order; none before 5.0.
    pub reasons: &'a [u8],
}

impl<'a> SubAck<'a> {
    pub(in super::super) fn decode(body: &'a [u8], version: Version) -> Result<Self, PacketError> {
        let mut fields = Fields::new(body);
        let allowed = match version {
            Version::V31 | Version::V311 => allowed::SUBACK_BEFORE_V5,
            Version::V5 => allowed::SUBACK,
        };
        Ok(Self {
            packet_id: fields.packet_id()?,
            properties: fields.properties(version, PropertySet::ACK)?,
            reasons: decode_reasons(fields, "SUBACK", allowed)?,
        })
    }
}

impl<'a> UnsubAck<'a> {
    pub(in super::super) fn decode(body: &'a [u8], version: Version) -> Result<Self, PacketError> {
        let mut fields = Fields::new(body);
        let packet_id = fields.packet_id()?;
        let properties = fields.properties(version, PropertySet::ACK)?;
        if !version.is_v5() {
            fields.end()?;
            return Ok(Self { packet_id, properties, reasons: &[] });
        }
        let reasons = decode_reasons(fields, "UNSUBACK", allowed::UNSUBACK)?;
        Ok(Self { packet_id, properties, reasons })
    }
}

fn decode_reasons<'a>(
    fields: Fields<'a>,
    packet: &'static str,
    allowed: &[u8],
) -> Result<&'a [u8], PacketError> {
    let reasons = fields.rest();
    if reasons.is_empty() {
        return Err(violation(format!("expected {packet} with at least one reason, found none")));
    }
    match reasons.iter().find(|reason| !allowed.contains(reason)) {
        None => Ok(reasons),
        Some(reason) => Err(bad_reason(packet, *reason)),
    }
}

impl Body for SubAck<'_> {
    fn body_bytes(&self, version: Version) -> usize {
        2 + properties_bytes(version, self.properties) + self.reasons.len()
    }

    fn put_body(&self, version: Version, out: &mut BytesMut) {
        out.put_u16(self.packet_id.get());
        put_properties(out, version, self.properties);
        if version.is_v5() {
            out.put_slice(self.reasons);
            return;
        }
        let failure = ReasonCode::UnspecifiedError.number();
        out.extend(self.reasons.iter().map(|reason| *reason.min(&failure)));
    }
}

impl Body for UnsubAck<'_> {
    fn body_bytes(&self, version: Version) -> usize {
        let reasons_bytes = if version.is_v5() { self.reasons.len() } else { 0 };
        2 + properties_bytes(version, self.properties) + reasons_bytes
    }

    fn put_body(&self, version: Version, out: &mut BytesMut) {
        out.put_u16(self.packet_id.get());
        put_properties(out, version, self.properties);
        if version.is_v5() {
            out.put_slice(self.reasons);
        }
    }
}
