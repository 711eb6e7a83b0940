//! PUBACK, PUBREC, PUBREL and PUBCOMP (MQTT 5.0 §3.4 to §3.7).
//!
//! ```text
//! 0           2        3
//! +-----------+--------+-----------------+------------+
//! | packet id | reason | property length | properties |
//! +-----------+--------+-----------------+------------+
//! ```
//!
//! In 5.0, properties that are none may be left out with their length, and then a reason that is
//! success as well. Before 5.0 there is the packet id only.

use super::super::fields::{Fields, properties_bytes, put_properties};
use super::super::property::PropertySet;
use super::super::{PacketError, PacketId, Properties, ReasonCode, Version};
use super::Body;
use bytes::{BufMut, BytesMut};

/// The body of PUBACK, PUBREC, PUBREL and PUBCOMP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ack<'a> {
    /// Which publication it is about.
    pub packet_id: PacketId,
    /// How it went; before 5.0 always success.
    pub reason: ReasonCode,
    /// More about it.
    pub properties: Properties<'a>,
}

impl<'a> Ack<'a> {
    /// An acknowledgement that all went well.
    #[must_use]
    pub fn success(packet_id: PacketId) -> Self {
        Self { packet_id, reason: ReasonCode::Success, properties: Properties::default() }
    }

    pub(in super::super) fn decode(
        body: &'a [u8],
        version: Version,
        packet: &'static str,
        allowed: &[u8],
    ) -> Result<Self, PacketError> {
        let mut fields = Fields::new(body);
        let mut ack = Self::success(fields.packet_id()?);
        if version.is_v5() && !fields.is_empty() {
            ack.reason = fields.reason(packet, allowed)?;
            if !fields.is_empty() {
                ack.properties = fields.properties(version, PropertySet::ACK)?;
            }
        }
        fields.end()?;
        Ok(ack)
    }
}

impl Body for Ack<'_> {
    fn body_bytes(&self, version: Version) -> usize {
        2 + reason_bytes(self.reason, self.properties, version)
    }

    fn put_body(&self, version: Version, out: &mut BytesMut) {
        out.put_u16(self.packet_id.get());
        put_reason(self.reason, self.properties, version, out);
    }
}

/// Bytes that [`put_reason`] writes.
pub(super) fn reason_bytes(
    reason: ReasonCode,
    properties: Properties<'_>,
    version: Version,
) -> usize {
    match (version.is_v5(), reason, properties.is_empty()) {
        (false, ..) | (true, ReasonCode::Success, true) => 0,
        (true, _, true) => 1,
        (true, _, false) => 1 + properties_bytes(version, properties),
    }
}

/// Writes a reason and properties at a body's end, as far as they say anything.
pub(super) fn put_reason(
    reason: ReasonCode,
    properties: Properties<'_>,
    version: Version,
    out: &mut BytesMut,
) {
    if reason_bytes(reason, properties, version) > 0 {
        out.put_u8(reason.number());
        if !properties.is_empty() {
            put_properties(out, version, properties);
        }
    }
}
