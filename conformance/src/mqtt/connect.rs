//! CONNECT, and the will in it.

use super::{Packet, Property, Version, packet};

/// A CONNECT, for a test to vary.
#[derive(Clone, Debug)]
pub struct Connect {
    version: Version,
    client_id: Vec<u8>,
    clean: bool,
    keep_alive_s: u16,
    properties: Vec<Property>,
    will: Option<Will>,
    user_name: Option<Vec<u8>>,
    password: Option<Vec<u8>>,
}

/// A will, for a test to vary.
#[derive(Clone, Debug)]
pub struct Will {
    topic: Vec<u8>,
    payload: Vec<u8>,
    qos: u8,
    retain: bool,
    properties: Vec<Property>,
}

impl Connect {
    /// A clean start that keeps nothing.
    #[must_use]
    pub fn new(version: Version, client_id: &str) -> Self {
        Self {
            version,
            client_id: client_id.into(),
            clean: true,
            keep_alive_s: 60,
            properties: Vec::new(),
            will: None,
            user_name: None,
            password: None,
        }
    }

    /// Goes on with the session that is there, and leaves it there: without clean session in 3.1.1,
    /// without clean start and with an expiry of an hour in 5.0.
    #[must_use]
    pub fn persistent(version: Version, client_id: &str) -> Self {
        let connect = Self::new(version, client_id).resuming();
        if version == Version::V5 { connect.expiry(3600) } else { connect }
    }

    /// Without clean start.
    #[must_use]
    pub fn resuming(mut self) -> Self {
        self.clean = false;
        self
    }

    /// With clean start.
    #[must_use]
    pub fn clean(mut self) -> Self {
        self.clean = true;
        self
    }

    /// Its session outlives the connection by so much. In 5.0 only.
    #[must_use]
    pub fn expiry(mut self, expiry_s: u32) -> Self {
        self.properties.retain(|property| !matches!(property, Property::SessionExpiry(_)));
        self.property(Property::SessionExpiry(expiry_s))
    }

    /// With another keep-alive; 0 is none.
    #[must_use]
    pub fn keep_alive(mut self, keep_alive_s: u16) -> Self {
        self.keep_alive_s = keep_alive_s;
        self
    }

    /// With a property more.
    #[must_use]
    pub fn property(mut self, property: Property) -> Self {
        self.properties.push(property);
        self
    }

    /// With a will.
    #[must_use]
    pub fn will(mut self, will: Will) -> Self {
        self.will = Some(will);
        self
    }

    /// With a user name.
    #[must_use]
    pub fn user_name(mut self, user_name: impl Into<Vec<u8>>) -> Self {
        self.user_name = Some(user_name.into());
        self
    }

    /// With a password.
    #[must_use]
    pub fn password(mut self, password: impl Into<Vec<u8>>) -> Self {
        self.password = Some(password.into());
        self
    }

    /// With a client identifier that need not be text.
    #[must_use]
    pub fn raw_client_id(mut self, client_id: &[u8]) -> Self {
        self.client_id = client_id.to_vec();
        self
    }

    /// The version that it asks for.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }

    /// The flags that say what is in it.
    #[must_use]
    pub fn flags(&self) -> u8 {
        let mut flags = u8::from(self.clean) << 1;
        if let Some(will) = &self.will {
            flags |= 0x04 | will.qos << 3 | u8::from(will.retain) << 5;
        }
        flags |= u8::from(self.password.is_some()) << 6;
        flags | u8::from(self.user_name.is_some()) << 7
    }

    /// The packet, with the flags that tell the truth.
    #[must_use]
    pub fn packet(&self) -> Packet {
        self.packet_with(self.version.name(), self.version.level(), self.flags())
    }

    /// The packet with a protocol name, a level and flags of the test's choice.
    #[must_use]
    pub fn packet_with(&self, name: &str, level: u8, flags: u8) -> Packet {
        let start = packet(0x10).text(name).u8(level).u8(flags).u16(self.keep_alive_s);
        let mut packet =
            start.properties_in(self.version, &self.properties).binary(&self.client_id);
        if let Some(will) = &self.will {
            packet = packet.properties_in(self.version, &will.properties);
            packet = packet.binary(&will.topic).binary(&will.payload);
        }
        let credentials = [&self.user_name, &self.password];
        credentials.into_iter().flatten().fold(packet, |packet, data| packet.binary(data))
    }
}

impl Will {
    /// A will at QoS 0 that is not retained.
    #[must_use]
    pub fn new(topic: &str, payload: impl Into<Vec<u8>>) -> Self {
        let (topic, payload) = (topic.into(), payload.into());
        Self { topic, payload, qos: 0, retain: false, properties: Vec::new() }
    }

    /// At another QoS.
    #[must_use]
    pub fn qos(mut self, qos: u8) -> Self {
        self.qos = qos;
        self
    }

    /// To be retained.
    #[must_use]
    pub fn retained(mut self) -> Self {
        self.retain = true;
        self
    }

    /// With a property more.
    #[must_use]
    pub fn property(mut self, property: Property) -> Self {
        self.properties.push(property);
        self
    }

    /// With a topic that need not be text.
    #[must_use]
    pub fn raw_topic(mut self, topic: &[u8]) -> Self {
        self.topic = topic.to_vec();
        self
    }
}
