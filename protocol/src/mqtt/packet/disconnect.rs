//! DISCONNECT and AUTH (MQTT 5.0 §3.14 and §3.15).
//!
//! ```text
//! 0        1
//! +--------+-----------------+------------+
//! | reason | property length | properties |
//! +--------+-----------------+------------+
//! ```
//!
//! Properties that are none may be left out with their length, and then a reason that is success
//! as well. Before 5.0 DISCONNECT has no body, and there is no AUTH.

use super::super::error::violation;
use super::super::fields::Fields;
use super::super::property::PropertySet;
use super::super::reason::allowed;
use super::super::{PacketError, Properties, ReasonCode, Version};
use super::Body;
use super::ack::{put_reason, reason_bytes};
use bytes::BytesMut;

/// One side goes. Before 5.0 only clients say so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Disconnect<'a> {
    /// Why; before 5.0 always a normal disconnection, [`ReasonCode::Success`].
    pub reason: ReasonCode,
    /// More about it.
    pub properties: Properties<'a>,
}

/// A step of authentication (MQTT 5.0 §4.12).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Auth<'a> {
    /// Which step.
    pub reason: ReasonCode,
    /// The method, and its data.
    pub properties: Properties<'a>,
}

impl<'a> Disconnect<'a> {
    pub(in super::super) fn decode(body: &'a [u8], version: Version) -> Result<Self, PacketError> {
        let mut fields = Fields::new(body);
        let (reason, properties) = match version {
            Version::V31 | Version::V311 => (ReasonCode::Success, Properties::default()),
            Version::V5 => decode_reason(
                &mut fields,
                "DISCONNECT",
                allowed::DISCONNECT,
                PropertySet::DISCONNECT,
            )?,
        };
        fields.end()?;
        Ok(Self { reason, properties })
    }
}

impl<'a> Auth<'a> {
    pub(in super::super) fn decode(body: &'a [u8]) -> Result<Self, PacketError> {
        let mut fields = Fields::new(body);
        let (reason, properties) =
            decode_reason(&mut fields, "AUTH", allowed::AUTH, PropertySet::AUTH)?;
        fields.end()?;
        // §3.15.2.2.2 wants a method always, §3.15.2.1 allows an empty body: success, and no more.
        if !body.is_empty() && properties.authentication_method().is_none() {
            return Err(violation("expected AUTH with an authentication method, found none"));
        }
        Ok(Self { reason, properties })
    }
}

fn decode_reason<'a>(
    fields: &mut Fields<'a>,
    packet: &'static str,
    allowed: &[u8],
    properties: PropertySet,
) -> Result<(ReasonCode, Properties<'a>), PacketError> {
    if fields.is_empty() {
        return Ok((ReasonCode::Success, Properties::default()));
    }
    let reason = fields.reason(packet, allowed)?;
    if fields.is_empty() {
        return Ok((reason, Properties::default()));
    }
    Ok((reason, fields.properties(Version::V5, properties)?))
}

impl Body for Disconnect<'_> {
    fn body_bytes(&self, version: Version) -> usize {
        reason_bytes(self.reason, self.properties, version)
    }

    fn put_body(&self, version: Version, out: &mut BytesMut) {
        put_reason(self.reason, self.properties, version, out);
    }
}

impl Body for Auth<'_> {
    fn body_bytes(&self, version: Version) -> usize {
        reason_bytes(self.reason, self.properties, version)
    }

    fn put_body(&self, version: Version, out: &mut BytesMut) {
        put_reason(self.reason, self.properties, version, out);
    }
}
