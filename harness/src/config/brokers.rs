//! Brokers as they take effect.

use super::GuaranteeClass;
use crate::drivers::{DriverKind, MqttTerms};
use crate::process::DATA_DIR_PLACEHOLDER;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// One subject of a run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BrokerConfig {
    /// In tables and legends.
    pub name: String,
    /// Who speaks to it.
    pub driver: DriverKind,
    /// How to start it, one argument each; `None` where it is not to be started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<Vec<String>>,
    /// What is in the configuration file that its command names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config_file: Option<String>,
    /// Where it runs already.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<SocketAddr>,
    /// What an acknowledgement promises.
    pub guarantee: GuaranteeClass,
    /// Whether each repeat has a process and a directory of its own.
    pub fresh_each_round: bool,
    /// How it is spoken to, if by MQTT.
    #[serde(flatten)]
    pub mqtt: Option<MqttTerms>,
    /// Where JetStream keeps a stream, if it is spoken to by that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jetstream_storage: Option<JetStreamStorage>,
    /// What kind of queue is declared, if it is spoken to by AMQP.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub amqp_queue: Option<AmqpQueue>,
    /// Topics that exist beside those that are used.
    #[serde(skip_serializing_if = "is_zero")]
    pub idle_topics: u32,
    /// Subscriptions to each stream's topic that never read.
    #[serde(skip_serializing_if = "is_zero")]
    pub idle_subscriptions: u32,
    /// Variables of its environment, beside the harness's own; values may have placeholders.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub environment: BTreeMap<String, String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands it a reference")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

impl BrokerConfig {
    /// Whether each start of it is given a directory.
    #[must_use]
    pub fn has_data_dir(&self) -> bool {
        let texts = self.command.iter().flatten().chain(&self.config_file);
        let mut texts = texts.chain(self.environment.values());
        self.driver.needs_data_dir() || texts.any(|text| text.contains(DATA_DIR_PLACEHOLDER))
    }
}

/// Where NATS JetStream keeps a stream's messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum JetStreamStorage {
    /// In memory.
    Memory,
    /// In files.
    #[default]
    File,
}

/// The kinds of queue that an AMQP 0.9.1 broker such as RabbitMQ has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AmqpQueue {
    /// On one node.
    #[default]
    Classic,
    /// Replicated by Raft, and synced.
    Quorum,
}
