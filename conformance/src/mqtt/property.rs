//! The properties of MQTT 5.0 §2.2.2.2.

use super::cursor::Cursor;
use super::packet::{push_binary, push_variable};

/// A property with its value.
#[expect(missing_docs, reason = "the names are those of the standard")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Property {
    PayloadFormat(u8),
    MessageExpiry(u32),
    ContentType(String),
    ResponseTopic(String),
    CorrelationData(Vec<u8>),
    SubscriptionId(u32),
    SessionExpiry(u32),
    AssignedClientId(String),
    ServerKeepAlive(u16),
    AuthenticationMethod(String),
    AuthenticationData(Vec<u8>),
    RequestProblemInformation(u8),
    WillDelay(u32),
    RequestResponseInformation(u8),
    ResponseInformation(String),
    ServerReference(String),
    ReasonString(String),
    ReceiveMaximum(u16),
    TopicAliasMaximum(u16),
    TopicAlias(u16),
    MaximumQos(u8),
    RetainAvailable(u8),
    User(String, String),
    MaximumPacketSize(u32),
    WildcardAvailable(u8),
    SubscriptionIdAvailable(u8),
    SharedAvailable(u8),
}

impl Property {
    /// A user property.
    #[must_use]
    pub fn user(key: &str, value: &str) -> Self {
        Self::User(key.to_owned(), value.to_owned())
    }

    pub(crate) fn push_to(&self, bytes: &mut Vec<u8>) {
        bytes.push(self.id());
        match self {
            Self::PayloadFormat(value)
            | Self::RequestProblemInformation(value)
            | Self::RequestResponseInformation(value)
            | Self::MaximumQos(value)
            | Self::RetainAvailable(value)
            | Self::WildcardAvailable(value)
            | Self::SubscriptionIdAvailable(value)
            | Self::SharedAvailable(value) => bytes.push(*value),
            Self::ServerKeepAlive(value)
            | Self::ReceiveMaximum(value)
            | Self::TopicAliasMaximum(value)
            | Self::TopicAlias(value) => bytes.extend_from_slice(&value.to_be_bytes()),
            Self::MessageExpiry(value)
            | Self::SessionExpiry(value)
            | Self::WillDelay(value)
            | Self::MaximumPacketSize(value) => bytes.extend_from_slice(&value.to_be_bytes()),
            Self::SubscriptionId(value) => push_variable(bytes, *value as usize),
            Self::ContentType(text)
            | Self::ResponseTopic(text)
            | Self::AssignedClientId(text)
            | Self::AuthenticationMethod(text)
            | Self::ResponseInformation(text)
            | Self::ServerReference(text)
            | Self::ReasonString(text) => push_binary(bytes, text.as_bytes()),
            Self::CorrelationData(data) | Self::AuthenticationData(data) => {
                push_binary(bytes, data);
            }
            Self::User(key, value) => {
                push_binary(bytes, key.as_bytes());
                push_binary(bytes, value.as_bytes());
            }
        }
    }

    /// Its identifier on the wire.
    #[must_use]
    pub fn id(&self) -> u8 {
        match self {
            Self::PayloadFormat(_) => 0x01,
            Self::MessageExpiry(_) => 0x02,
            Self::ContentType(_) => 0x03,
            Self::ResponseTopic(_) => 0x08,
            Self::CorrelationData(_) => 0x09,
            Self::SubscriptionId(_) => 0x0B,
            Self::SessionExpiry(_) => 0x11,
            Self::AssignedClientId(_) => 0x12,
            Self::ServerKeepAlive(_) => 0x13,
            Self::AuthenticationMethod(_) => 0x15,
            Self::AuthenticationData(_) => 0x16,
            Self::RequestProblemInformation(_) => 0x17,
            Self::WillDelay(_) => 0x18,
            Self::RequestResponseInformation(_) => 0x19,
            Self::ResponseInformation(_) => 0x1A,
            Self::ServerReference(_) => 0x1C,
            Self::ReasonString(_) => 0x1F,
            Self::ReceiveMaximum(_) => 0x21,
            Self::TopicAliasMaximum(_) => 0x22,
            Self::TopicAlias(_) => 0x23,
            Self::MaximumQos(_) => 0x24,
            Self::RetainAvailable(_) => 0x25,
            Self::User(..) => 0x26,
            Self::MaximumPacketSize(_) => 0x27,
            Self::WildcardAvailable(_) => 0x28,
            Self::SubscriptionIdAvailable(_) => 0x29,
            Self::SharedAvailable(_) => 0x2A,
        }
    }

    #[track_caller]
    pub(crate) fn read(from: &mut Cursor<'_>) -> Self {
        match from.u8() {
            0x01 => Self::PayloadFormat(from.u8()),
            0x02 => Self::MessageExpiry(from.u32()),
            0x03 => Self::ContentType(from.text()),
            0x08 => Self::ResponseTopic(from.text()),
            0x09 => Self::CorrelationData(from.binary()),
            0x0B => Self::SubscriptionId(u32::try_from(from.variable()).expect("28 bits")),
            0x11 => Self::SessionExpiry(from.u32()),
            0x12 => Self::AssignedClientId(from.text()),
            0x13 => Self::ServerKeepAlive(from.u16()),
            0x15 => Self::AuthenticationMethod(from.text()),
            0x16 => Self::AuthenticationData(from.binary()),
            0x17 => Self::RequestProblemInformation(from.u8()),
            0x18 => Self::WillDelay(from.u32()),
            0x19 => Self::RequestResponseInformation(from.u8()),
            0x1A => Self::ResponseInformation(from.text()),
            0x1C => Self::ServerReference(from.text()),
            0x1F => Self::ReasonString(from.text()),
            0x21 => Self::ReceiveMaximum(from.u16()),
            0x22 => Self::TopicAliasMaximum(from.u16()),
            0x23 => Self::TopicAlias(from.u16()),
            0x24 => Self::MaximumQos(from.u8()),
            0x25 => Self::RetainAvailable(from.u8()),
            0x26 => Self::User(from.text(), from.text()),
            0x27 => Self::MaximumPacketSize(from.u32()),
            0x28 => Self::WildcardAvailable(from.u8()),
            0x29 => Self::SubscriptionIdAvailable(from.u8()),
            0x2A => Self::SharedAvailable(from.u8()),
            other => panic!("expected a property of MQTT 5.0, found {other:#04x}: {from}"),
        }
    }
}
