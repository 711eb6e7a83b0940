//! Versions of the standard, as CONNECT names them.

/// A version of MQTT.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Version {
    /// MQTT 3.1: as 3.1.1 on the wire, but for the protocol's name.
    V31,
    /// MQTT 3.1.1.
    V311,
    /// MQTT 5.0.
    V5,
}

impl Version {
    /// Whether packets have properties and reason codes.
    #[inline]
    #[must_use]
    pub fn is_v5(self) -> bool {
        self == Self::V5
    }

    /// The protocol level (MQTT 3.1.1 §3.1.2.2), which 5.0 calls protocol version.
    #[must_use]
    pub fn level(self) -> u8 {
        match self {
            Self::V31 => 3,
            Self::V311 => 4,
            Self::V5 => 5,
        }
    }

    /// The protocol name (MQTT 5.0 §3.1.2.1).
    #[must_use]
    pub fn protocol_name(self) -> &'static str {
        match self {
            Self::V31 => "MQIsdp",
            Self::V311 | Self::V5 => "MQTT",
        }
    }

    /// The version whose name and level these are.
    pub(super) fn named(name: &str, level: u8) -> Option<Self> {
        [Self::V31, Self::V311, Self::V5]
            .into_iter()
            .find(|version| version.protocol_name() == name && version.level() == level)
    }
}
