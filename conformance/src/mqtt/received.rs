//! Packets as they were received, and what the short ones say.

use super::cursor::{Cursor, variable};
use super::{Property, Publish, Version, shown};
use std::fmt;

/// A whole packet, not looked into.
#[derive(Clone, PartialEq, Eq)]
pub struct Received {
    /// Its type and flags.
    pub first: u8,
    /// All that follows its length.
    pub body: Vec<u8>,
}

/// What a CONNACK says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Connack {
    /// Whether the session was there before.
    pub session_present: bool,
    /// The return code, or the reason code.
    pub code: u8,
    /// Its properties.
    pub properties: Vec<Property>,
}

/// What a PUBACK, PUBREC, PUBREL, PUBCOMP or DISCONNECT says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ack {
    /// The first byte of the packet.
    pub first: u8,
    /// The packet identifier; 0 in a DISCONNECT.
    pub id: u16,
    /// The reason code, 0 where there is none.
    pub code: u8,
    /// Its properties.
    pub properties: Vec<Property>,
}

/// What a SUBACK or UNSUBACK says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Codes {
    /// The packet identifier.
    pub id: u16,
    /// A code for each filter; none in an UNSUBACK of 3.1.1.
    pub codes: Vec<u8>,
    /// Its properties.
    pub properties: Vec<Property>,
}

impl fmt::Debug for Received {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} {:#04x} {}", self.name(), self.first, shown(&self.body))
    }
}

impl Received {
    /// The packet that `bytes` begin with and how long it is; `None` where more bytes are needed.
    #[track_caller]
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<(Self, usize)> {
        let (first, rest) = bytes.split_first()?;
        let (length, taken) = variable(rest)?;
        let body = rest.get(taken..taken + length)?.to_vec();
        Some((Self { first: *first, body }, 1 + taken + length))
    }

    /// The name of its type.
    #[must_use]
    pub fn name(&self) -> &'static str {
        const NAMES: [&str; 16] = [
            "reserved 0",
            "CONNECT",
            "CONNACK",
            "PUBLISH",
            "PUBACK",
            "PUBREC",
            "PUBREL",
            "PUBCOMP",
            "SUBSCRIBE",
            "SUBACK",
            "UNSUBSCRIBE",
            "UNSUBACK",
            "PINGREQ",
            "PINGRESP",
            "DISCONNECT",
            "AUTH",
        ];
        NAMES[usize::from(self.first >> 4)]
    }

    /// Whether it is a PUBLISH.
    #[must_use]
    pub fn is_publish(&self) -> bool {
        self.first >> 4 == 3
    }

    /// It as a PUBLISH, which it must be.
    #[track_caller]
    #[must_use]
    pub fn publish(&self, version: Version) -> Publish {
        assert!(self.is_publish(), "expected PUBLISH, found {self:?}");
        Publish::read(self, version)
    }

    /// It as a CONNACK, which it must be.
    #[track_caller]
    #[must_use]
    pub fn connack(&self, version: Version) -> Connack {
        assert_eq!(self.first, 0x20, "expected CONNACK, found {self:?}");
        let mut from = Cursor::new(&self.body);
        let flags = from.u8();
        assert!(flags <= 1, "expected reserved bits of 0, found {self:?}");
        let code = from.u8();
        let properties = if version == Version::V5 { from.properties() } else { Vec::new() };
        from.end();
        let session_present = flags == 1;
        assert!(code == 0 || !session_present, "no session with a refusal: {self:?}");
        Connack { session_present, code, properties }
    }

    /// It as an acknowledgement of the type that `first` says, which it must be.
    #[track_caller]
    #[must_use]
    pub fn ack(&self, first: u8, version: Version) -> Ack {
        assert_eq!(self.first, first, "expected the type of {first:#04x}, found {self:?}");
        let mut from = Cursor::new(&self.body);
        let id = from.u16();
        let (code, properties) = reason(&mut from, version);
        Ack { first, id, code, properties }
    }

    /// It as a DISCONNECT of MQTT 5.0, which it must be.
    #[track_caller]
    #[must_use]
    pub fn disconnect(&self) -> Ack {
        assert_eq!(self.first, 0xE0, "expected DISCONNECT, found {self:?}");
        let (code, properties) = reason(&mut Cursor::new(&self.body), Version::V5);
        let expiry = |property: &Property| matches!(property, Property::SessionExpiry(_));
        assert!(!properties.iter().any(expiry), "no expiry from a broker: {self:?}");
        Ack { first: self.first, id: 0, code, properties }
    }

    /// It as a SUBACK, which it must be.
    #[track_caller]
    #[must_use]
    pub fn suback(&self, version: Version) -> Codes {
        assert_eq!(self.first, 0x90, "expected SUBACK, found {self:?}");
        self.codes(version)
    }

    /// It as an UNSUBACK, which it must be.
    #[track_caller]
    #[must_use]
    pub fn unsuback(&self, version: Version) -> Codes {
        assert_eq!(self.first, 0xB0, "expected UNSUBACK, found {self:?}");
        let codes = self.codes(version);
        assert!(version == Version::V5 || codes.codes.is_empty(), "no payload: {self:?}");
        codes
    }

    #[track_caller]
    fn codes(&self, version: Version) -> Codes {
        let mut from = Cursor::new(&self.body);
        let id = from.u16();
        let properties = if version == Version::V5 { from.properties() } else { Vec::new() };
        Codes { id, codes: from.rest().to_vec(), properties }
    }
}

/// A reason code and properties, both of which may be left out.
#[track_caller]
fn reason(from: &mut Cursor<'_>, version: Version) -> (u8, Vec<Property>) {
    if version < Version::V5 {
        from.end();
    }
    let code = if from.is_empty() { 0 } else { from.u8() };
    let properties = if from.is_empty() { Vec::new() } else { from.properties() };
    from.end();
    (code, properties)
}
