//! Why bytes are no packet.

use super::{ReasonCode, Version};
use std::borrow::Cow;

/// Bytes that the standard does not allow. The connection must close (MQTT 5.0 §4.13).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct PacketError {
    /// What a DISCONNECT, or a CONNACK, would say.
    pub reason: ReasonCode,
    /// What was expected, and what was found.
    pub message: Cow<'static, str>,
    /// The version of a CONNECT that got so far as to say it, so that it can be answered; where
    /// its level is unknown, the nearest one. Otherwise none.
    pub version: Option<Version>,
}

impl PacketError {
    pub(super) fn new(reason: ReasonCode, message: impl Into<Cow<'static, str>>) -> Self {
        Self { reason, message: message.into(), version: None }
    }

    /// The same, of a CONNECT that said its version.
    pub(super) fn of_version(self, version: Version) -> Self {
        Self { version: Some(version), ..self }
    }
}

/// What cannot be parsed (MQTT 5.0 §1.2, Malformed Packet).
#[cold]
pub(super) fn malformed(message: impl Into<Cow<'static, str>>) -> PacketError {
    PacketError::new(ReasonCode::MalformedPacket, message)
}

/// What can be parsed, but is not allowed (MQTT 5.0 §1.2, Protocol Error).
#[cold]
pub(super) fn violation(message: impl Into<Cow<'static, str>>) -> PacketError {
    PacketError::new(ReasonCode::ProtocolError, message)
}
