//! PUBLISH, as it is sent and as it is received.

use super::cursor::Cursor;
use super::{Packet, Property, Received, Version, packet};

/// A PUBLISH.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publish {
    /// Whether it may have been sent before.
    pub dup: bool,
    /// Its quality of service.
    pub qos: u8,
    /// To be retained, or retained before.
    pub retain: bool,
    /// Its topic's name.
    pub topic: String,
    /// Its packet identifier; 0 where it has none.
    pub id: u16,
    /// Its properties, in order.
    pub properties: Vec<Property>,
    /// The message.
    pub payload: Vec<u8>,
}

impl Publish {
    /// A message at QoS 0 that is not retained.
    #[must_use]
    pub fn new(topic: &str, payload: impl Into<Vec<u8>>) -> Self {
        Self {
            dup: false,
            qos: 0,
            retain: false,
            topic: topic.to_owned(),
            id: 0,
            properties: Vec::new(),
            payload: payload.into(),
        }
    }

    /// At another QoS; above 0 with the packet identifier 1 if it has none yet.
    #[must_use]
    pub fn qos(mut self, qos: u8) -> Self {
        self.qos = qos;
        self.id = if qos > 0 { self.id.max(1) } else { 0 };
        self
    }

    /// With a packet identifier.
    #[must_use]
    pub fn id(mut self, id: u16) -> Self {
        self.id = id;
        self
    }

    /// To be retained.
    #[must_use]
    pub fn retained(mut self) -> Self {
        self.retain = true;
        self
    }

    /// Sent before, perhaps.
    #[must_use]
    pub fn again(mut self) -> Self {
        self.dup = true;
        self
    }

    /// With a property more.
    #[must_use]
    pub fn property(mut self, property: Property) -> Self {
        self.properties.push(property);
        self
    }

    /// The message as text.
    #[track_caller]
    #[must_use]
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.payload).expect("the test published text")
    }

    /// The subscription identifiers in it, in ascending order.
    #[must_use]
    pub fn subscription_ids(&self) -> Vec<u32> {
        let mut ids: Vec<u32> = self.properties.iter().filter_map(subscription_id).collect();
        ids.sort_unstable();
        ids
    }

    /// Its message expiry interval.
    #[must_use]
    pub fn expiry_s(&self) -> Option<u32> {
        self.properties.iter().find_map(|property| match property {
            Property::MessageExpiry(expiry_s) => Some(*expiry_s),
            _ => None,
        })
    }

    /// Its topic alias.
    #[must_use]
    pub fn alias(&self) -> Option<u16> {
        self.properties.iter().find_map(|property| match property {
            Property::TopicAlias(alias) => Some(*alias),
            _ => None,
        })
    }

    /// The packet, in a version.
    #[must_use]
    pub fn packet(&self, version: Version) -> Packet {
        let flags = u8::from(self.dup) << 3 | self.qos << 1 | u8::from(self.retain);
        let mut packet = packet(0x30 | flags).text(&self.topic);
        if self.qos > 0 {
            packet = packet.u16(self.id);
        }
        packet.properties_in(version, &self.properties).raw(&self.payload)
    }

    #[track_caller]
    pub(crate) fn read(received: &Received, version: Version) -> Self {
        let flags = received.first & 0x0F;
        let qos = flags >> 1 & 0x03;
        assert!(qos < 3, "expected a QoS, found 3 in {received:?}");
        let mut from = Cursor::new(&received.body);
        let topic = from.text();
        assert!(!topic.contains(['+', '#']), "no wildcard in a topic name: {received:?}");
        let id = if qos > 0 { from.u16() } else { 0 };
        assert!(qos == 0 || id > 0, "expected a packet identifier, found 0 in {received:?}");
        let properties = if version == Version::V5 { from.properties() } else { Vec::new() };
        let aliased = properties.iter().any(|property| matches!(property, Property::TopicAlias(_)));
        assert!(aliased || !topic.is_empty(), "expected a topic name in {received:?}");
        let payload = from.rest().to_vec();
        let (dup, retain) = (flags & 0x08 != 0, flags & 0x01 != 0);
        assert!(qos > 0 || !dup, "expected no DUP at QoS 0, found it in {received:?}");
        Self { dup, qos, retain, topic, id, properties, payload }
    }
}

fn subscription_id(property: &Property) -> Option<u32> {
    match property {
        Property::SubscriptionId(id) => Some(*id),
        _ => None,
    }
}
