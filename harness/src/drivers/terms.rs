//! How a broker is spoken to, where its protocol leaves a choice.

use protocol::mqtt::{QoS, Version};
use serde::{Deserialize, Serialize, Serializer};

/// How an MQTT broker is spoken to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct MqttTerms {
    /// Which version of the standard.
    #[serde(rename = "mqtt_version")]
    pub version: MqttVersion,
    /// With what quality of service streams are published and delivered; whoever wants
    /// acknowledgements publishes with 1 all the same.
    #[serde(serialize_with = "as_number")]
    pub qos: QoS,
}

/// A version of the standard, as configurations name it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum MqttVersion {
    /// MQTT 3.1.1.
    #[default]
    #[serde(rename = "3.1.1")]
    V311,
    /// MQTT 5.0.
    #[serde(rename = "5.0")]
    V5,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands it a reference")]
fn as_number<S: Serializer>(qos: &QoS, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u8(qos.number())
}

impl MqttVersion {
    pub(crate) fn on_wire(self) -> Version {
        match self {
            Self::V311 => Version::V311,
            Self::V5 => Version::V5,
        }
    }
}
