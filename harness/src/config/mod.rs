//! Configurations: what to measure, on which brokers, with which load.
//!
//! A configuration is TOML, and strict: a key that does not exist and a value that cannot be are
//! errors that name the key and its line.
//!
//! ```toml
//! name = "example"              # names the results directory
//! description = "What it shows"
//! repeat = 1                    # rounds over all brokers; figures are over all rounds
//!
//! [[brokers]]
//! name = "tandem-mio"
//! driver = "tandem-native"      # `harness list` shows all of them
//! command = ["broker-mio", "--listen", "127.0.0.1:0"]
//! # address = "127.0.0.1:8080"  # instead of a command: one that runs already
//! # guarantee = "in memory"     # what an acknowledgement promises
//! # idle_topics = 100_000       # topics that exist beside those that are used
//! # idle_subscriptions = 10_000 # subscriptions to each stream's topic that never read
//!
//! [operations]
//! list = ["create", "publish", "subscribe", "pull", "delete"]
//! clients = [1, 2, 5, 10, 20, 50]
//! duration_ms = 1000            # or: count = 10_000, of each client
//! warmup_ms = 100
//! payload_bytes = 100
//!
//! [[streams]]
//! publishers = 1
//! subscribers = 50
//! payload_bytes = [16, 100, 1000]
//! batch = 64                    # messages in one write
//! duration_ms = 2000            # or: messages = 1_000_000, over all publishers
//! warmup_ms = 200
//! load = "saturating"           # or: load = { rate_per_s = 10_000 }, over all publishers
//! lag_policy = "hold"           # or "skip": then lost messages are no breach
//! ```

mod checks;
mod error;
mod keys;

pub use error::ConfigError;

use crate::drivers::{DriverKind, Operation};
use measure::StreamLoad;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::path::Path;

/// A configuration as it takes effect, defaults filled in.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Config {
    /// Names the results directory.
    pub name: String,
    /// What it shows, for people.
    pub description: String,
    /// Rounds over all brokers.
    pub repeat: u32,
    /// What is measured, in this order.
    pub brokers: Vec<BrokerConfig>,
    /// Acknowledged operations.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operations: Option<OperationsConfig>,
    /// Streams.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub streams: Vec<StreamConfig>,
}

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
    /// Where it runs already.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<SocketAddr>,
    /// What an acknowledgement promises.
    pub guarantee: String,
    /// Topics that exist beside those that are used.
    #[serde(skip_serializing_if = "is_zero")]
    pub idle_topics: u32,
    /// Subscriptions to each stream's topic that never read.
    #[serde(skip_serializing_if = "is_zero")]
    pub idle_subscriptions: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands it a reference")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// Which operations, by how many clients, for how long.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct OperationsConfig {
    /// Which.
    pub list: Vec<Operation>,
    /// Numbers of clients, one measurement each.
    pub clients: Vec<u32>,
    /// How long each measurement goes on.
    #[serde(flatten)]
    pub extent: OperationsExtent,
    /// How long each goes on beforehand, unrecorded.
    pub warmup_ms: u64,
    /// Size of a message.
    pub payload_bytes: usize,
}

/// How long one measurement of operations goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OperationsExtent {
    /// So long.
    DurationMs(u64),
    /// So many requests of each client.
    Count(u64),
}

/// A stream, at one or more sizes of payload.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StreamConfig {
    /// Connections that publish.
    pub publishers: u32,
    /// Connections that each receive everything.
    pub subscribers: u32,
    /// Sizes of payload, one stream each.
    pub payload_bytes: Vec<usize>,
    /// Messages in one write, at most.
    pub batch: u32,
    /// How long it goes on.
    #[serde(flatten)]
    pub extent: StreamExtent,
    /// How long it goes on beforehand, unrecorded.
    pub warmup_ms: u64,
    /// What the broker is to do when a subscriber falls behind.
    pub lag_policy: LagPolicyChoice,
    /// How hard the publishers push.
    pub load: StreamLoad,
}

/// How long a stream goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StreamExtent {
    /// So long.
    DurationMs(u64),
    /// Until so many messages were sent, over all publishers.
    Messages(u64),
}

/// What the broker is to do when a subscriber falls behind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LagPolicyChoice {
    /// Hold publishers back: nothing may be lost.
    #[default]
    Hold,
    /// Skip what the topic no longer holds: losses are counted, and allowed.
    Skip,
}

impl Config {
    /// Reads a configuration from a file.
    ///
    /// # Errors
    /// Any [`ConfigError`].
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
        Self::parse(&text)
    }

    /// Reads a configuration from TOML.
    ///
    /// # Errors
    /// [`ConfigError::Malformed`] and [`ConfigError::Impossible`].
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let keys = toml::from_str(text).map_err(|error| ConfigError::malformed(text, &error))?;
        checks::check(text, keys)
    }

    /// The configuration as TOML that [`parse`](Self::parse) reads back.
    ///
    /// # Panics
    /// Never: every value of the type has a place in TOML.
    #[must_use]
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("every configuration can be written as TOML")
    }
}
