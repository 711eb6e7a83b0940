//! What two codecs found in the same bytes, in words that can be compared.
//!
//! Tests and a fuzz target use this alike. Where `rumqttc` differs from the standard, words are
//! chosen that both can say: an empty user name and none are one to it, and so are empty
//! passwords.

mod v4;
mod v5;
mod v5_properties;

use bytes::BytesMut;
use protocol::mqtt::{Ack, Connect, Packet, Properties, Publish, ReasonCode, Version};
use std::fmt::Debug;

/// A packet in words: its name and its fields in order, then its properties, sorted.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Facts(Vec<String>);

/// A packet as `rumqttc` has it.
pub(crate) enum Oracle {
    V4(Box<rumqttc::mqttbytes::v4::Packet>),
    V5(Box<rumqttc::v5::mqttbytes::v5::Packet>),
}

impl Oracle {
    /// What `bytes` are to it, if they are a packet to it at all.
    pub(crate) fn read(bytes: &[u8], version: Version) -> Option<Self> {
        let mut bytes = BytesMut::from(bytes);
        match version {
            Version::V31 => None,
            Version::V311 => rumqttc::mqttbytes::v4::Packet::read(&mut bytes, usize::MAX)
                .map(|packet| Self::V4(Box::new(packet)))
                .ok(),
            Version::V5 => rumqttc::v5::mqttbytes::v5::Packet::read(&mut bytes, None)
                .map(|packet| Self::V5(Box::new(packet)))
                .ok(),
        }
    }

    pub(crate) fn facts(&self) -> Facts {
        match self {
            Self::V4(packet) => v4::facts(packet),
            Self::V5(packet) => v5::facts(packet),
        }
    }

    /// The packet as it writes it.
    pub(crate) fn write(&self) -> BytesMut {
        let mut bytes = BytesMut::new();
        match self {
            Self::V4(packet) => packet.write(&mut bytes, usize::MAX).expect("any size is allowed"),
            Self::V5(packet) => packet.write(&mut bytes, None).expect("any size is allowed"),
        };
        bytes
    }
}

impl Facts {
    fn new(packet: &str) -> Self {
        Self(vec![packet.to_owned()])
    }

    fn say(mut self, name: &str, value: impl Debug) -> Self {
        self.0.push(format!("{name}: {value:?}"));
        self
    }

    fn say_properties(mut self, name: &str, properties: impl Iterator<Item: Debug>) -> Self {
        let mut words: Vec<_> =
            properties.map(|property| format!("{name} property {property:?}")).collect();
        words.sort();
        self.0.extend(words);
        self
    }

    /// What `packet` says in `version`.
    pub(crate) fn of(packet: &Packet<'_>, version: Version) -> Self {
        match packet {
            Packet::Connect(connect) => Self::of_connect(connect),
            Packet::ConnAck(ack) => {
                let facts = Self::new("CONNACK").say("session present", ack.session_present);
                let facts = match version {
                    Version::V31 | Version::V311 => {
                        facts.say("code", ack.reason.connack_return_code())
                    }
                    Version::V5 => facts.say("reason", ack.reason.number()),
                };
                facts.say_own(ack.properties)
            }
            Packet::Publish(publish) => Self::of_publish(publish),
            Packet::PubAck(ack) => Self::of_ack("PUBACK", ack),
            Packet::PubRec(ack) => Self::of_ack("PUBREC", ack),
            Packet::PubRel(ack) => Self::of_ack("PUBREL", ack),
            Packet::PubComp(ack) => Self::of_ack("PUBCOMP", ack),
            Packet::Subscribe(subscribe) => {
                let facts = Self::new("SUBSCRIBE").say("id", subscribe.packet_id.get());
                let facts = subscribe.filters.iter().fold(facts, |facts, (filter, options)| {
                    facts
                        .say("filter", filter)
                        .say("qos", options.qos.number())
                        .say("no local", options.no_local)
                        .say("retain as published", options.retain_as_published)
                        .say("retain handling", options.retain_handling as u8)
                });
                facts.say_own(subscribe.properties)
            }
            Packet::SubAck(ack) => Self::new("SUBACK")
                .say("id", ack.packet_id.get())
                .say("reasons", ack.reasons)
                .say_own(ack.properties),
            Packet::Unsubscribe(unsubscribe) => Self::new("UNSUBSCRIBE")
                .say("id", unsubscribe.packet_id.get())
                .say("filters", unsubscribe.filters.iter().collect::<Vec<_>>())
                .say_own(unsubscribe.properties),
            Packet::UnsubAck(ack) => {
                let reasons = ack.reasons.iter().map(|number| ReasonCode::from_number(*number));
                Self::new("UNSUBACK")
                    .say("id", ack.packet_id.get())
                    .say("reasons", reasons.flatten().collect::<Vec<_>>())
                    .say_own(ack.properties)
            }
            Packet::PingReq => Self::new("PINGREQ"),
            Packet::PingResp => Self::new("PINGRESP"),
            Packet::Disconnect(disconnect) => Self::new("DISCONNECT")
                .say("reason", disconnect.reason.number())
                .say_own(disconnect.properties),
            Packet::Auth(_) => Self::new("AUTH"),
        }
    }

    fn say_own(self, properties: Properties<'_>) -> Self {
        self.say_properties("its", properties.iter())
    }

    fn of_connect(connect: &Connect<'_>) -> Self {
        let mut facts = Self::new("CONNECT")
            .say("clean start", connect.clean_start)
            .say("keep-alive", connect.keep_alive_s)
            .say("client", connect.client_id)
            .say("user", connect.user_name.unwrap_or_default())
            .say("password", connect.password.unwrap_or_default());
        if let Some(will) = &connect.will {
            facts = facts
                .say("will qos", will.qos.number())
                .say("will retain", will.retain)
                .say("will topic", will.topic.as_bytes())
                .say("will payload", will.payload)
                .say_properties("will", will.properties.iter());
        }
        facts.say_own(connect.properties)
    }

    fn of_publish(publish: &Publish<'_>) -> Self {
        Self::new("PUBLISH")
            .say("dup", publish.dup)
            .say("qos", publish.qos.number())
            .say("retain", publish.retain)
            .say("topic", publish.topic.as_bytes())
            .say("id", publish.packet_id.map_or(0, |id| id.get()))
            .say("payload", publish.payload)
            .say_own(publish.properties)
    }

    fn of_ack(packet: &str, ack: &Ack<'_>) -> Self {
        Self::new(packet)
            .say("id", ack.packet_id.get())
            .say("reason", ack.reason)
            .say_own(ack.properties)
    }
}
