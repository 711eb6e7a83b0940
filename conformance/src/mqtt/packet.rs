//! Packets put together byte by byte, and those that have few fields by name.

use super::{Property, Version};

/// A packet in the making: its first byte, and all that follows the length. The length is put in
/// when it is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    first: u8,
    body: Vec<u8>,
}

/// A packet with nothing behind its fixed header.
#[must_use]
pub fn packet(first: u8) -> Packet {
    Packet { first, body: Vec::new() }
}

impl Packet {
    /// Then a byte.
    #[must_use]
    pub fn u8(self, value: u8) -> Self {
        self.raw(&[value])
    }

    /// Then a two byte integer.
    #[must_use]
    pub fn u16(self, value: u16) -> Self {
        self.raw(&value.to_be_bytes())
    }

    /// Then bytes as they are.
    #[must_use]
    pub fn raw(mut self, bytes: &[u8]) -> Self {
        self.body.extend_from_slice(bytes);
        self
    }

    /// Then binary data: its length in two bytes, and the data.
    #[must_use]
    pub fn binary(mut self, data: &[u8]) -> Self {
        push_binary(&mut self.body, data);
        self
    }

    /// Then a string, which travels as binary data does.
    #[must_use]
    pub fn text(self, text: &str) -> Self {
        self.binary(text.as_bytes())
    }

    /// Then properties, behind their length.
    #[must_use]
    pub fn properties(self, properties: &[Property]) -> Self {
        let mut encoded = Vec::new();
        for property in properties {
            property.push_to(&mut encoded);
        }
        self.raw_properties(&encoded)
    }

    /// Then properties as the test spells them, behind their length.
    #[must_use]
    pub fn raw_properties(mut self, encoded: &[u8]) -> Self {
        push_variable(&mut self.body, encoded.len());
        self.raw(encoded)
    }

    /// Then properties where the version has them.
    #[must_use]
    pub(crate) fn properties_in(self, version: Version, properties: &[Property]) -> Self {
        if version == Version::V5 {
            return self.properties(properties);
        }
        assert!(properties.is_empty(), "only MQTT 5.0 has properties");
        self
    }

    /// The same packet with another first byte.
    #[must_use]
    pub fn with_first(mut self, first: u8) -> Self {
        self.first = first;
        self
    }

    /// What follows the fixed header.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// The packet as it travels.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = vec![self.first];
        push_variable(&mut bytes, self.body.len());
        bytes.extend_from_slice(&self.body);
        bytes
    }
}

/// PUBACK.
#[must_use]
pub fn puback(id: u16) -> Packet {
    packet(0x40).u16(id)
}

/// PUBREC.
#[must_use]
pub fn pubrec(id: u16) -> Packet {
    packet(0x50).u16(id)
}

/// PUBREL.
#[must_use]
pub fn pubrel(id: u16) -> Packet {
    packet(0x62).u16(id)
}

/// PUBCOMP.
#[must_use]
pub fn pubcomp(id: u16) -> Packet {
    packet(0x70).u16(id)
}

/// SUBSCRIBE to filters, each with its options byte, in which QoS is the lowest two bits.
#[must_use]
pub fn subscribe(
    version: Version,
    id: u16,
    filters: &[(&str, u8)],
    properties: &[Property],
) -> Packet {
    let start = packet(0x82).u16(id).properties_in(version, properties);
    filters.iter().fold(start, |packet, (filter, options)| packet.text(filter).u8(*options))
}

/// UNSUBSCRIBE from filters.
#[must_use]
pub fn unsubscribe(version: Version, id: u16, filters: &[&str]) -> Packet {
    let start = packet(0xA2).u16(id).properties_in(version, &[]);
    filters.iter().fold(start, |packet, filter| packet.text(filter))
}

/// PINGREQ.
#[must_use]
pub fn pingreq() -> Packet {
    packet(0xC0)
}

/// DISCONNECT without a reason, which is a normal one.
#[must_use]
pub fn disconnect() -> Packet {
    packet(0xE0)
}

/// Appends `value` as a variable byte integer.
pub(crate) fn push_variable(bytes: &mut Vec<u8>, value: usize) {
    let mut rest = value;
    loop {
        let low = u8::try_from(rest & 0x7F).expect("seven bits");
        rest >>= 7;
        bytes.push(if rest > 0 { low | 0x80 } else { low });
        if rest == 0 {
            return;
        }
    }
}

/// Appends `data` behind its length.
pub(crate) fn push_binary(bytes: &mut Vec<u8>, data: &[u8]) {
    let length = u16::try_from(data.len()).expect("a length of two bytes");
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.extend_from_slice(data);
}
