//! CONNACK (MQTT 5.0 §3.2).
//!
//! ```text
//! 0                 1        2
//! +-----------------+--------+-----------------+------------+
//! | session present | reason | property length | properties |   properties in 5.0 only
//! +-----------------+--------+-----------------+------------+
//! ```

use super::super::error::{malformed, violation};
use super::super::fields::{Fields, properties_bytes, put_properties};
use super::super::property::PropertySet;
use super::super::reason::allowed;
use super::super::{PacketError, Properties, ReasonCode, Version};
use super::Body;
use bytes::{BufMut, BytesMut};

/// The server's answer to CONNECT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnAck<'a> {
    /// Whether the server goes on with a session it had.
    pub session_present: bool,
    /// Whether the client is taken in. Before 5.0 it is written as a return code, the nearest of
    /// six ([`ReasonCode::connack_return_code`]).
    pub reason: ReasonCode,
    /// The terms.
    pub properties: Properties<'a>,
}

impl<'a> ConnAck<'a> {
    pub(in super::super) fn decode(body: &'a [u8], version: Version) -> Result<Self, PacketError> {
        let mut fields = Fields::new(body);
        let flags = fields.u8("connect acknowledge flags")?;
        // [MQTT-3.2.2-1].
        if flags & !1 != 0 {
            return Err(malformed(format!(
                "expected connect acknowledge flags 0 or 1, found {flags:#04x}"
            )));
        }
        let ack = Self {
            session_present: flags == 1,
            reason: decode_reason(&mut fields, version)?,
            properties: fields.properties(version, PropertySet::CONNACK)?,
        };
        fields.end()?;
        // [MQTT-3.2.2-6].
        if ack.session_present && ack.reason != ReasonCode::Success {
            return Err(violation("expected no session with a refusal, found session present"));
        }
        Ok(ack)
    }
}

fn decode_reason(fields: &mut Fields<'_>, version: Version) -> Result<ReasonCode, PacketError> {
    if version.is_v5() {
        return fields.reason("CONNACK", allowed::CONNACK);
    }
    let code = fields.u8("return code")?;
    ReasonCode::from_connack_return_code(code)
        .ok_or_else(|| violation(format!("expected a return code from 0 to 5, found {code}")))
}

impl Body for ConnAck<'_> {
    fn body_bytes(&self, version: Version) -> usize {
        2 + properties_bytes(version, self.properties)
    }

    fn put_body(&self, version: Version, out: &mut BytesMut) {
        let reason = match version {
            Version::V31 | Version::V311 => self.reason.connack_return_code(),
            Version::V5 => self.reason.number(),
        };
        out.put_slice(&[u8::from(self.session_present), reason]);
        put_properties(out, version, self.properties);
    }
}
