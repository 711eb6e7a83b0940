//! Configurations: what to measure, on which brokers, with which load.
//!
//! A configuration is TOML, and strict: a key that does not exist and a value that cannot be are
//! errors that name the key and its line.
//!
//! ```toml
//! name = "example"              # names the results directory
//! description = "What it shows"
//! repeat = 1                    # rounds over all brokers; figures are over all rounds
//! # data_root = "/var/tmp"      # where brokers' directories are made; the system's for
//! #                             # temporary files otherwise
//! # memory_at_hand_bytes = 2_147_483_648 # so much memory is touched and let go of before each
//! #                             # measurement, where a host may have taken it back
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
//! [[brokers]]
//! name = "tandem-mio-disk"
//! driver = "tandem-native"
//! # "{data_dir}" is a fresh directory for each start, and "{port}" a free port.
//! command = ["broker-mio", "--data", "{data_dir}", "--listen", "127.0.0.1:0"]
//! guarantee = "after fdatasync" # brokers are ranked only among those with the same one
//!
//! [[brokers]]
//! name = "mosquitto"
//! driver = "mqtt"               # or any other broker of MQTT, Tandem's among them
//! # "{config_file}" is a file with the text below, in which "{port}" is a free port as well.
//! command = ["mosquitto", "-c", "{config_file}"]
//! config_file = "listener {port} 127.0.0.1"
//! # mqtt_version = "3.1.1"      # or "5.0"
//! # qos = 0                     # of streams; 1: acknowledged by brokers and subscribers
//!
//! [[brokers]]
//! name = "disk"                 # the ceiling of any broker that writes to the same disk
//! driver = "disk"
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
//!
//! [[streams]]
//! publishers = 1
//! subscribers = 0               # nobody reads: only where publishers want acknowledgements
//! payload_bytes = [1000]
//! acks = 64                     # publications of each publisher under way, acknowledged each
//! duration_ms = 2000
//!
//! [[backlogs]]                  # published with nobody reading, then read from the beginning
//! payload_bytes = [1000]
//! bytes = 1_073_741_824         # or: messages = 1_000_000
//! publishers = 1
//! batch = 64
//! acks = 64
//! drains = ["cold", "warm"]     # without, and with, what the kernel's page cache can hold
//!
//! [[restarts]]                  # stopped with a backlog, and started again
//! payload_bytes = [1000]
//! bytes = 1_073_741_824         # these five as for backlogs
//! stops = ["clean", "crash"]    # SIGTERM, SIGKILL
//! ```
//!
//! Operations and streams run one after the other in one process of the broker; each backlog and
//! each restart has a process and a directory of its own, so that none pays for another's messages.

mod checks;
mod error;
mod keys;

pub use error::ConfigError;

use crate::drivers::{DriverKind, MqttTerms, Operation};
use measure::{PageCache, StopKind, StreamLoad};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::SocketAddr;
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};

/// A configuration as it takes effect, defaults filled in.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Config {
    /// Names the results directory.
    pub name: String,
    /// What it shows, for people.
    pub description: String,
    /// Rounds over all brokers.
    pub repeat: u32,
    /// Where brokers' directories are made; `None` is the system's place for temporary files.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_root: Option<PathBuf>,
    /// Memory that is touched and let go of before each measurement.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_at_hand_bytes: Option<NonZeroU64>,
    /// What is measured, in this order.
    pub brokers: Vec<BrokerConfig>,
    /// Acknowledged operations.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operations: Option<OperationsConfig>,
    /// Streams.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub streams: Vec<StreamConfig>,
    /// Backlogs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub backlogs: Vec<BacklogConfig>,
    /// Restarts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub restarts: Vec<RestartConfig>,
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
    /// What is in the configuration file that its command names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config_file: Option<String>,
    /// Where it runs already.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<SocketAddr>,
    /// What an acknowledgement promises.
    pub guarantee: String,
    /// How it is spoken to, if by MQTT.
    #[serde(flatten)]
    pub mqtt: Option<MqttTerms>,
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
    /// Publications of each publisher that are under way at once and acknowledged each; `None`:
    /// no acknowledgements are wanted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acks: Option<u32>,
    /// How long it goes on.
    #[serde(flatten)]
    pub extent: StreamExtent,
    /// How long it goes on beforehand, unrecorded.
    pub warmup_ms: u64,
    /// What the broker is to do when a subscriber falls behind.
    pub lag_policy: LagPolicyChoice,
    /// How hard the publishers push.
    pub load: LoadChoice,
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

/// Messages that pile up, at one or more sizes of payload.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PileConfig {
    /// Sizes of payload, one backlog each.
    pub payload_bytes: Vec<usize>,
    /// How much.
    #[serde(flatten)]
    pub size: PileSize,
    /// Connections that publish.
    pub publishers: u32,
    /// Messages in one publication, at most.
    pub batch: u32,
    /// Publications of each publisher that are under way at once.
    pub acks: u32,
}

/// How much piles up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PileSize {
    /// So many messages.
    Messages(u64),
    /// So many bytes of payload.
    Bytes(u64),
}

/// A backlog: published with nobody reading, then read.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BacklogConfig {
    /// What piles up.
    #[serde(flatten)]
    pub pile: PileConfig,
    /// How it is read, once each, in this order.
    pub drains: Vec<PageCache>,
}

/// A restart with a backlog.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RestartConfig {
    /// What has piled up before.
    #[serde(flatten)]
    pub pile: PileConfig,
    /// How the broker is stopped, once each.
    pub stops: Vec<StopKind>,
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

/// How hard a stream's publishers push.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LoadChoice {
    /// As fast as the broker takes it.
    Saturating,
    /// At this many messages per second over all publishers, whatever the broker does.
    RatePerS(f64),
}

impl From<LoadChoice> for StreamLoad {
    fn from(choice: LoadChoice) -> Self {
        match choice {
            LoadChoice::Saturating => Self::Saturating,
            LoadChoice::RatePerS(rate_per_s) => Self::at_rate(rate_per_s),
        }
    }
}

impl fmt::Display for LoadChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        StreamLoad::from(*self).fmt(f)
    }
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

impl PileConfig {
    /// How many messages pile up at one of its sizes of payload; at least one.
    #[must_use]
    pub fn messages(&self, payload_bytes: usize) -> u64 {
        match self.size {
            PileSize::Messages(messages) => messages,
            PileSize::Bytes(bytes) => bytes.div_ceil(payload_bytes.max(1) as u64),
        }
    }
}
