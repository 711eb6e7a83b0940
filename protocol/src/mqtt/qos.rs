//! How surely a message arrives, and the number that names it on its way.

use std::num::NonZeroU16;

/// Quality of service (MQTT 5.0 §4.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum QoS {
    /// Not acknowledged: may be lost.
    #[default]
    AtMostOnce = 0,
    /// Acknowledged by PUBACK: may come twice.
    AtLeastOnce = 1,
    /// Acknowledged in two steps, by PUBREC and PUBCOMP.
    ExactlyOnce = 2,
}

impl QoS {
    /// The level that `number` names, if one does.
    #[inline]
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        match number {
            0 => Some(Self::AtMostOnce),
            1 => Some(Self::AtLeastOnce),
            2 => Some(Self::ExactlyOnce),
            _ => None,
        }
    }

    /// Its number on the wire.
    #[inline]
    #[must_use]
    pub fn number(self) -> u8 {
        self as u8
    }
}

/// Names a packet until it is acknowledged (MQTT 5.0 §2.2.1). Never zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PacketId(NonZeroU16);

impl PacketId {
    /// The id of this number; zero is none.
    #[inline]
    #[must_use]
    pub fn new(number: u16) -> Option<Self> {
        NonZeroU16::new(number).map(Self)
    }

    /// Its number on the wire.
    #[inline]
    #[must_use]
    pub fn get(self) -> u16 {
        self.0.get()
    }
}
