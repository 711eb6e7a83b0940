//! MQTT 3.1, 3.1.1 and 5.0 from bytes put together by hand, with none of the broker's own codec.
//!
//! A [`Packet`] is whatever bytes a test wants, [`Connect`] and [`Publish`] are the two packets with
//! many fields, and [`MqttClient`] holds a conversation, within a [WebSocket](web_socket) or
//! not. What is received is read strictly: a reserved bit that is set, a length that is not the
//! shortest or a byte too many fails the test.

mod client;
mod connect;
mod cursor;
mod ending;
mod packet;
mod property;
mod publish;
mod received;
mod talk;
pub mod web_socket;

pub use client::MqttClient;
pub use connect::{Connect, Will};
pub use ending::{Ending, MustEnd};
pub use packet::{
    Packet, disconnect, packet, pingreq, puback, pubcomp, pubrec, pubrel, subscribe, unsubscribe,
};
pub use property::Property;
pub use publish::Publish;
pub use received::{Ack, Codes, Connack, Received};

/// A version of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// MQTT 3.1, named `MQIsdp` on the wire.
    V31,
    /// MQTT 3.1.1.
    V311,
    /// MQTT 5.0.
    V5,
}

impl Version {
    /// Every version, the oldest first.
    pub const ALL: [Self; 3] = [Self::V31, Self::V311, Self::V5];

    /// What CONNECT says as the protocol's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        if self == Self::V31 { "MQIsdp" } else { "MQTT" }
    }

    /// What CONNECT says as the protocol's level.
    #[must_use]
    pub fn level(self) -> u8 {
        match self {
            Self::V31 => 3,
            Self::V311 => 4,
            Self::V5 => 5,
        }
    }
}

/// Reason codes of MQTT 5.0 §2.4 that tests name.
pub mod reason {
    #![expect(missing_docs, reason = "the names are those of the standard")]
    pub const SUCCESS: u8 = 0x00;
    pub const DISCONNECT_WITH_WILL: u8 = 0x04;
    pub const NO_SUBSCRIPTION_EXISTED: u8 = 0x11;
    pub const NO_MATCHING_SUBSCRIBERS: u8 = 0x10;
    pub const UNSPECIFIED: u8 = 0x80;
    pub const MALFORMED: u8 = 0x81;
    pub const PROTOCOL_ERROR: u8 = 0x82;
    pub const UNSUPPORTED_VERSION: u8 = 0x84;
    pub const CLIENT_ID_INVALID: u8 = 0x85;
    pub const SHUTTING_DOWN: u8 = 0x8B;
    pub const BAD_AUTHENTICATION_METHOD: u8 = 0x8C;
    pub const KEEP_ALIVE_TIMEOUT: u8 = 0x8D;
    pub const SESSION_TAKEN_OVER: u8 = 0x8E;
    pub const FILTER_INVALID: u8 = 0x8F;
    pub const TOPIC_NAME_INVALID: u8 = 0x90;
    pub const ID_IN_USE: u8 = 0x91;
    pub const ID_NOT_FOUND: u8 = 0x92;
    pub const RECEIVE_MAXIMUM_EXCEEDED: u8 = 0x93;
    pub const TOPIC_ALIAS_INVALID: u8 = 0x94;
    pub const PACKET_TOO_LARGE: u8 = 0x95;
}

/// Bytes for a human: in hexadecimal, with the text among them beside it.
pub(crate) fn shown(bytes: &[u8]) -> String {
    const BYTES_SHOWN_MAX: usize = 64;
    let head = &bytes[..bytes.len().min(BYTES_SHOWN_MAX)];
    let hex: Vec<String> = head.iter().map(|byte| format!("{byte:02x}")).collect();
    let more = bytes.len() - head.len();
    let more = if more > 0 { format!(" and {more} bytes more") } else { String::new() };
    format!("[{}{more}] \"{}\"", hex.join(" "), head.escape_ascii())
}
