//! Properties: what MQTT 5.0 lets a packet say besides its own fields.
//!
//! ```text
//! 0            1
//! +------------+-------+------------+-------+---
//! | identifier | value | identifier | value | …
//! +------------+-------+------------+-------+---
//! ```
//!
//! An identifier is a variable byte integer, but all that exist take one byte. What follows is a
//! byte, a `u16`, a `u32`, a variable byte integer, binary data, a text or two texts, as
//! [`Property`] has it for each.

mod check;
mod getters;
mod run;
mod set;

pub(super) use check::check_properties;
pub use run::Properties;
pub(super) use set::PropertySet;

use super::PacketError;
use super::error::malformed;
use super::fields::{Fields, binary_bytes, put_binary, put_text, text_bytes};
use super::varint::{put_varint, varint_bytes};
use bytes::BufMut;

/// One property (MQTT 5.0 §2.2.2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Property<'a> {
    /// Whether the payload is text, 1, or just bytes, 0 (§3.3.2.3.2).
    PayloadFormatIndicator(u8),
    /// How long the message matters, in seconds (§3.3.2.3.3).
    MessageExpiryIntervalS(u32),
    /// What the payload is, such as a MIME type (§3.3.2.3.9).
    ContentType(&'a str),
    /// Where the answer is expected (§3.3.2.3.5).
    ResponseTopic(&'a str),
    /// What tells which request an answer is for (§3.3.2.3.6).
    CorrelationData(&'a [u8]),
    /// The number that a subscription was given by its client (§3.8.2.1.2).
    SubscriptionIdentifier(u32),
    /// How long the session outlives its connection, in seconds (§3.1.2.11.2).
    SessionExpiryIntervalS(u32),
    /// The client id that the server chose (§3.2.2.3.7).
    AssignedClientIdentifier(&'a str),
    /// The keep-alive that the server wants, in seconds (§3.2.2.3.14).
    ServerKeepAliveS(u16),
    /// How the client proves who it is (§3.1.2.11.9).
    AuthenticationMethod(&'a str),
    /// What the method defines (§3.1.2.11.10).
    AuthenticationData(&'a [u8]),
    /// Whether the client wants to be told reasons (§3.1.2.11.7).
    RequestProblemInformation(bool),
    /// How long the will waits, in seconds (§3.1.3.2.2).
    WillDelayIntervalS(u32),
    /// Whether the client wants response information (§3.1.2.11.6).
    RequestResponseInformation(bool),
    /// What response topics may start with (§3.2.2.3.15).
    ResponseInformation(&'a str),
    /// Which server to use instead (§3.2.2.3.16).
    ServerReference(&'a str),
    /// Why, for people to read (§3.2.2.3.9).
    ReasonString(&'a str),
    /// How many publications may be unacknowledged (§3.1.2.11.3).
    ReceiveMaximum(u16),
    /// The largest topic alias that the sender takes (§3.1.2.11.5).
    TopicAliasMaximum(u16),
    /// The number that stands for a topic name (§3.3.2.3.4).
    TopicAlias(u16),
    /// The highest QoS that the server takes, 0 or 1 (§3.2.2.3.4).
    MaximumQoS(u8),
    /// Whether the server retains messages (§3.2.2.3.5).
    RetainAvailable(bool),
    /// A name and a value of the application's own (§3.1.2.11.8).
    UserProperty(&'a str, &'a str),
    /// The largest packet that the sender takes (§3.1.2.11.4).
    MaximumPacketSize(u32),
    /// Whether the server has wildcard subscriptions (§3.2.2.3.11).
    WildcardSubscriptionAvailable(bool),
    /// Whether the server has subscription identifiers (§3.2.2.3.12).
    SubscriptionIdentifiersAvailable(bool),
    /// Whether the server has shared subscriptions (§3.2.2.3.13).
    SharedSubscriptionAvailable(bool),
}

/// The identifiers (MQTT 5.0 §2.2.2.2, table 2-4).
mod id {
    pub(super) const PAYLOAD_FORMAT_INDICATOR: u8 = 1;
    pub(super) const MESSAGE_EXPIRY_INTERVAL: u8 = 2;
    pub(super) const CONTENT_TYPE: u8 = 3;
    pub(super) const RESPONSE_TOPIC: u8 = 8;
    pub(super) const CORRELATION_DATA: u8 = 9;
    pub(super) const SUBSCRIPTION_IDENTIFIER: u8 = 11;
    pub(super) const SESSION_EXPIRY_INTERVAL: u8 = 17;
    pub(super) const ASSIGNED_CLIENT_IDENTIFIER: u8 = 18;
    pub(super) const SERVER_KEEP_ALIVE: u8 = 19;
    pub(super) const AUTHENTICATION_METHOD: u8 = 21;
    pub(super) const AUTHENTICATION_DATA: u8 = 22;
    pub(super) const REQUEST_PROBLEM_INFORMATION: u8 = 23;
    pub(super) const WILL_DELAY_INTERVAL: u8 = 24;
    pub(super) const REQUEST_RESPONSE_INFORMATION: u8 = 25;
    pub(super) const RESPONSE_INFORMATION: u8 = 26;
    pub(super) const SERVER_REFERENCE: u8 = 28;
    pub(super) const REASON_STRING: u8 = 31;
    pub(super) const RECEIVE_MAXIMUM: u8 = 33;
    pub(super) const TOPIC_ALIAS_MAXIMUM: u8 = 34;
    pub(super) const TOPIC_ALIAS: u8 = 35;
    pub(super) const MAXIMUM_QOS: u8 = 36;
    pub(super) const RETAIN_AVAILABLE: u8 = 37;
    pub(super) const USER_PROPERTY: u8 = 38;
    pub(super) const MAXIMUM_PACKET_SIZE: u8 = 39;
    pub(super) const WILDCARD_SUBSCRIPTION_AVAILABLE: u8 = 40;
    pub(super) const SUBSCRIPTION_IDENTIFIERS_AVAILABLE: u8 = 41;
    pub(super) const SHARED_SUBSCRIPTION_AVAILABLE: u8 = 42;
}

impl<'a> Property<'a> {
    /// Its identifier.
    fn id(&self) -> u8 {
        match self {
            Self::PayloadFormatIndicator(_) => id::PAYLOAD_FORMAT_INDICATOR,
            Self::MessageExpiryIntervalS(_) => id::MESSAGE_EXPIRY_INTERVAL,
            Self::ContentType(_) => id::CONTENT_TYPE,
            Self::ResponseTopic(_) => id::RESPONSE_TOPIC,
            Self::CorrelationData(_) => id::CORRELATION_DATA,
            Self::SubscriptionIdentifier(_) => id::SUBSCRIPTION_IDENTIFIER,
            Self::SessionExpiryIntervalS(_) => id::SESSION_EXPIRY_INTERVAL,
            Self::AssignedClientIdentifier(_) => id::ASSIGNED_CLIENT_IDENTIFIER,
            Self::ServerKeepAliveS(_) => id::SERVER_KEEP_ALIVE,
            Self::AuthenticationMethod(_) => id::AUTHENTICATION_METHOD,
            Self::AuthenticationData(_) => id::AUTHENTICATION_DATA,
            Self::RequestProblemInformation(_) => id::REQUEST_PROBLEM_INFORMATION,
            Self::WillDelayIntervalS(_) => id::WILL_DELAY_INTERVAL,
            Self::RequestResponseInformation(_) => id::REQUEST_RESPONSE_INFORMATION,
            Self::ResponseInformation(_) => id::RESPONSE_INFORMATION,
            Self::ServerReference(_) => id::SERVER_REFERENCE,
            Self::ReasonString(_) => id::REASON_STRING,
            Self::ReceiveMaximum(_) => id::RECEIVE_MAXIMUM,
            Self::TopicAliasMaximum(_) => id::TOPIC_ALIAS_MAXIMUM,
            Self::TopicAlias(_) => id::TOPIC_ALIAS,
            Self::MaximumQoS(_) => id::MAXIMUM_QOS,
            Self::RetainAvailable(_) => id::RETAIN_AVAILABLE,
            Self::UserProperty(..) => id::USER_PROPERTY,
            Self::MaximumPacketSize(_) => id::MAXIMUM_PACKET_SIZE,
            Self::WildcardSubscriptionAvailable(_) => id::WILDCARD_SUBSCRIPTION_AVAILABLE,
            Self::SubscriptionIdentifiersAvailable(_) => id::SUBSCRIPTION_IDENTIFIERS_AVAILABLE,
            Self::SharedSubscriptionAvailable(_) => id::SHARED_SUBSCRIPTION_AVAILABLE,
        }
    }

    /// Reads the value of property `id`. What it may be is for [`check_properties`] to say, but
    /// a flag is 0 or 1.
    fn read(id: u8, fields: &mut Fields<'a>) -> Result<Self, PacketError> {
        Ok(match id {
            id::PAYLOAD_FORMAT_INDICATOR => {
                Self::PayloadFormatIndicator(fields.u8("payload format indicator")?)
            }
            id::MESSAGE_EXPIRY_INTERVAL => {
                Self::MessageExpiryIntervalS(fields.u32("message expiry interval")?)
            }
            id::CONTENT_TYPE => Self::ContentType(fields.text("content type")?),
            id::RESPONSE_TOPIC => Self::ResponseTopic(fields.text("response topic")?),
            id::CORRELATION_DATA => Self::CorrelationData(fields.binary("correlation data")?),
            id::SUBSCRIPTION_IDENTIFIER => {
                Self::SubscriptionIdentifier(fields.varint("subscription identifier")?)
            }
            id::SESSION_EXPIRY_INTERVAL => {
                Self::SessionExpiryIntervalS(fields.u32("session expiry interval")?)
            }
            id::ASSIGNED_CLIENT_IDENTIFIER => {
                Self::AssignedClientIdentifier(fields.text("assigned client identifier")?)
            }
            id::SERVER_KEEP_ALIVE => Self::ServerKeepAliveS(fields.u16("server keep alive")?),
            id::AUTHENTICATION_METHOD => {
                Self::AuthenticationMethod(fields.text("authentication method")?)
            }
            id::AUTHENTICATION_DATA => {
                Self::AuthenticationData(fields.binary("authentication data")?)
            }
            id::REQUEST_PROBLEM_INFORMATION => {
                Self::RequestProblemInformation(flag(fields, "request problem information")?)
            }
            id::WILL_DELAY_INTERVAL => Self::WillDelayIntervalS(fields.u32("will delay interval")?),
            id::REQUEST_RESPONSE_INFORMATION => {
                Self::RequestResponseInformation(flag(fields, "request response information")?)
            }
            id::RESPONSE_INFORMATION => {
                Self::ResponseInformation(fields.text("response information")?)
            }
            id::SERVER_REFERENCE => Self::ServerReference(fields.text("server reference")?),
            id::REASON_STRING => Self::ReasonString(fields.text("reason string")?),
            id::RECEIVE_MAXIMUM => Self::ReceiveMaximum(fields.u16("receive maximum")?),
            id::TOPIC_ALIAS_MAXIMUM => Self::TopicAliasMaximum(fields.u16("topic alias maximum")?),
            id::TOPIC_ALIAS => Self::TopicAlias(fields.u16("topic alias")?),
            id::MAXIMUM_QOS => Self::MaximumQoS(fields.u8("maximum QoS")?),
            id::RETAIN_AVAILABLE => Self::RetainAvailable(flag(fields, "retain available")?),
            id::USER_PROPERTY => Self::UserProperty(
                fields.text("user property name")?,
                fields.text("user property value")?,
            ),
            id::MAXIMUM_PACKET_SIZE => Self::MaximumPacketSize(fields.u32("maximum packet size")?),
            id::WILDCARD_SUBSCRIPTION_AVAILABLE => Self::WildcardSubscriptionAvailable(flag(
                fields,
                "wildcard subscription available",
            )?),
            id::SUBSCRIPTION_IDENTIFIERS_AVAILABLE => Self::SubscriptionIdentifiersAvailable(flag(
                fields,
                "subscription identifiers available",
            )?),
            id::SHARED_SUBSCRIPTION_AVAILABLE => {
                Self::SharedSubscriptionAvailable(flag(fields, "shared subscription available")?)
            }
            other => {
                return Err(malformed(format!("expected a property's identifier, found {other}")));
            }
        })
    }

    /// Writes its identifier and its value. What is longer than 65535 bytes is cut.
    ///
    /// # Panics
    /// If it is a subscription identifier over 268 435 455, which no client can have sent.
    pub fn encode(&self, out: &mut impl BufMut) {
        out.put_u8(self.id());
        match *self {
            Self::PayloadFormatIndicator(number) | Self::MaximumQoS(number) => out.put_u8(number),
            Self::RequestProblemInformation(flag)
            | Self::RequestResponseInformation(flag)
            | Self::RetainAvailable(flag)
            | Self::WildcardSubscriptionAvailable(flag)
            | Self::SubscriptionIdentifiersAvailable(flag)
            | Self::SharedSubscriptionAvailable(flag) => out.put_u8(u8::from(flag)),
            Self::ServerKeepAliveS(number)
            | Self::ReceiveMaximum(number)
            | Self::TopicAliasMaximum(number)
            | Self::TopicAlias(number) => out.put_u16(number),
            Self::MessageExpiryIntervalS(number)
            | Self::SessionExpiryIntervalS(number)
            | Self::WillDelayIntervalS(number)
            | Self::MaximumPacketSize(number) => out.put_u32(number),
            Self::SubscriptionIdentifier(number) => put_varint(out, number),
            Self::CorrelationData(bytes) | Self::AuthenticationData(bytes) => {
                put_binary(out, bytes);
            }
            Self::ContentType(text)
            | Self::ResponseTopic(text)
            | Self::AssignedClientIdentifier(text)
            | Self::AuthenticationMethod(text)
            | Self::ResponseInformation(text)
            | Self::ServerReference(text)
            | Self::ReasonString(text) => put_text(out, text),
            Self::UserProperty(name, value) => {
                put_text(out, name);
                put_text(out, value);
            }
        }
    }

    /// Bytes that [`Property::encode`] writes.
    #[must_use]
    pub fn encoded_bytes(&self) -> usize {
        1 + match *self {
            Self::PayloadFormatIndicator(_)
            | Self::MaximumQoS(_)
            | Self::RequestProblemInformation(_)
            | Self::RequestResponseInformation(_)
            | Self::RetainAvailable(_)
            | Self::WildcardSubscriptionAvailable(_)
            | Self::SubscriptionIdentifiersAvailable(_)
            | Self::SharedSubscriptionAvailable(_) => 1,
            Self::ServerKeepAliveS(_)
            | Self::ReceiveMaximum(_)
            | Self::TopicAliasMaximum(_)
            | Self::TopicAlias(_) => 2,
            Self::MessageExpiryIntervalS(_)
            | Self::SessionExpiryIntervalS(_)
            | Self::WillDelayIntervalS(_)
            | Self::MaximumPacketSize(_) => 4,
            Self::SubscriptionIdentifier(number) => varint_bytes(number),
            Self::CorrelationData(bytes) | Self::AuthenticationData(bytes) => binary_bytes(bytes),
            Self::ContentType(text)
            | Self::ResponseTopic(text)
            | Self::AssignedClientIdentifier(text)
            | Self::AuthenticationMethod(text)
            | Self::ResponseInformation(text)
            | Self::ServerReference(text)
            | Self::ReasonString(text) => text_bytes(text),
            Self::UserProperty(name, value) => text_bytes(name) + text_bytes(value),
        }
    }
}

/// A byte that is 0 or 1; anything else is a protocol error wherever the standard has a flag.
fn flag(fields: &mut Fields<'_>, name: &'static str) -> Result<bool, PacketError> {
    match fields.u8(name)? {
        0 => Ok(false),
        1 => Ok(true),
        other => Err(check::out_of_range(name, "0 or 1", other.into())),
    }
}
