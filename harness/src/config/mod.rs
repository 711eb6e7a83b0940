//! Configurations: what to measure, on which brokers, with which load.
//!
//! A configuration is TOML, and strict: a key that does not exist and a value that cannot be are
//! errors that name the key and its line.
//!
//! ```toml
//! name = "example"              # names the results directory
//! description = "What it shows"
//! repeat = 1                    # rounds over all brokers; figures are over all rounds
//! # seed = 1                    # random arrivals, sizes and topics begin here
//! # data_root = "/var/tmp"      # where brokers' directories are made; the system's for
//! #                             # temporary files otherwise
//! # memory_at_hand_bytes = 2_147_483_648 # so much memory is touched and let go of before each
//! #                             # measurement, where a host may have taken it back
//!
//! [generator]                   # the load generator itself
//! # threads = 2                 # all connections are shared among them; the cores otherwise
//! # spin_us = 0                 # so long before a message is due the clock is watched
//!
//! [phases]                      # what comes around each measured phase
//! # warmup_ms = 100             # unless it is said at the load itself
//! # drain_ms_max = 3000
//! # connect_ms_max = 10_000
//!
//! # [baseline]
//! # results = "results/DIR"     # an earlier run, which results are compared with
//!
//! [[brokers]]
//! name = "tandem-mio"
//! driver = "tandem-native"      # `harness list` shows all of them
//! command = ["broker-mio", "--listen", "127.0.0.1:0"]
//! # address = "127.0.0.1:8080"  # instead of a command: one that runs already
//! # guarantee = "in-memory"     # what an acknowledgement promises; or "at-most-once",
//! #                             # "operating-system", "synced", "replicated"
//! # environment = { RUST_LOG = "warn" } # beside the harness's own; with placeholders
//! # fresh_each_round = true     # each repeat has a process and a directory of its own
//! # idle_topics = 100_000       # topics that exist beside those that are used
//! # idle_subscriptions = 10_000 # subscriptions to each stream's topic that never read
//!
//! [[brokers]]
//! name = "tandem-mio-disk"
//! driver = "tandem-native"
//! # "{data_dir}" is a fresh directory for each start, and "{port}" a free port.
//! command = ["broker-mio", "--data", "{data_dir}", "--listen", "127.0.0.1:0"]
//! guarantee = "synced"          # brokers are ranked only among those with the same one
//!
//! [[brokers]]
//! name = "mosquitto"
//! driver = "mqtt"               # or any other broker of MQTT, Tandem's among them
//! # "{config_file}" is a file with the text below, in which "{port}" is a free port as well.
//! command = ["mosquitto", "-c", "{config_file}"]
//! config_file = "listener {port} 127.0.0.1"
//! # mqtt_version = "3.1.1"      # or "5.0"
//! # qos = 0                     # of streams; 1 and 2: acknowledged by brokers and subscribers
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
//! [[streams]]                   # every combination of what is listed is a stream
//! publishers = [1, 10]
//! subscribers = 50
//! payload_bytes = [16, 100, 1000]
//! batch = 64                    # messages in one write; a list as well
//! duration_ms = 2000            # or: messages = 1_000_000, over all publishers
//! warmup_ms = 200
//! load = "saturating"           # or one of these, or a list of them, over all publishers:
//! # load = { rate_per_s = 10_000 }         # short for { open = { rate_per_s = 10_000 } }
//! # load = { closed = { in_flight = 8 } }  # the next when one is acknowledged
//! # load = { open = { rate_per_s = [1000, 10_000], arrivals = "poisson" } } # or "constant"
//! # load = { steps = { rates_per_s = [1000, 2000, 4000], step_ms = 500 } }
//! # load = { ramp = { from_per_s = 1000, to_per_s = 100_000 } }
//! # load = { burst = { rate_per_s = 1000, burst_messages = 500, every_ms = 100 } }
//! lag_policy = "hold"           # or "skip": then lost messages are no breach
//! objectives = ["p99 < 5ms", "lost == 0"] # what must hold, or the exit code says so
//! # brokers = ["tandem-*"]      # only these are measured by it
//!
//! [[streams]]
//! publishers = 1
//! subscribers = 10
//! payload = { lognormal = { mean = 1000, sd = 500, min = 64, max = 65_536 } }
//! # payload = { uniform = [64, 1024] }
//! # payload = { normal = { mean = 1000, sd = 200, min = 64, max = 2000 } }
//! # payload = { weights = { "64" = 0.9, "1024" = 0.1 } }
//! # payload = { file = "messages.txt" }    # its lines, over and over
//! duration_ms = 2000
//! topics = 100
//! topic_choice = { zipf = 1.1 } # or "uniform"
//! wildcard = true               # subscribers name all topics by one pattern
//! slow_subscribers = 1          # of the ten
//! slow_bytes_per_s = 100_000
//! churn = { every_ms = 100, subscribers = 5 } # five more come and go
//!
//! [[streams]]
//! publishers = 1
//! subscribers = 0               # nobody reads: only where publishers want acknowledgements
//! payload_bytes = [1000]
//! acks = [1, 64]                # publications of each publisher under way, acknowledged each
//! duration_ms = 2000
//!
//! [[streams]]                   # the highest rate at which the objective is met
//! publishers = 1
//! subscribers = 1
//! payload_bytes = 100
//! duration_ms = 2000            # of each attempt
//! find_max = { objective = ["p99 < 5ms"], from_per_s = 1000, to_per_s = 5_000_000 }
//! # and in it: tolerance_percent = 5, confirm = 3, arrivals = "constant"
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
//!
//! [[storms]]                    # connections that are all made at once
//! connections = [100, 1000]
//! # rate_per_s = 500            # or so many in a second; a list as well
//!
//! [[idles]]                     # connections that are made and then at rest
//! connections = [1000]
//! hold_ms = 1000
//!
//! [[outages]]                   # a stream under which the broker is stopped and started again
//! rate_per_s = 1000
//! kill_after_ms = 1000
//! down_ms = 500
//! duration_ms = 4000
//! # publishers = 1, subscribers = 1, payload_bytes = 100, acks = 64, stop = "crash"
//!
//! [[objectives]]                # what must hold of the results
//! broker = "tandem-*"           # both may be left out: then it is any
//! cell = "stream 1→1, 100 B*"
//! assert = "p99 < 5ms"
//! ```
//!
//! Operations and streams run one after the other in one process of the broker; each backlog,
//! restart, storm, crowd at rest and outage has a process and a directory of its own, so that none
//! pays for another's messages or connections.

mod brokers;
mod checks;
mod error;
mod events;
mod guarantee;
mod keys;
mod load;
mod payload;
mod piles;
mod schema;
mod streams;
mod suggest;

pub use brokers::{AmqpQueue, BrokerConfig, JetStreamStorage};
pub use error::ConfigError;
pub use events::{IdleConfig, OutageConfig, StormConfig};
pub use load::sentence;
pub use measure::{Arrivals, GuaranteeClass, StreamLoad};
pub use payload::{Bell, Payload, Variation};
pub use piles::{BacklogConfig, PileConfig, PileSize, RestartConfig};
pub use schema::schema;
pub use streams::{
    Churn, Drive, FindMax, LagPolicyChoice, SlowSubscribers, StreamConfig, StreamExtent,
    TopicChoice,
};

use crate::drivers::Operation;
use crate::objectives::Objective;
use serde::Serialize;
use std::num::{NonZeroU32, NonZeroU64};
use std::path::{Path, PathBuf};

/// A configuration as it takes effect, defaults filled in and lists multiplied out.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Config {
    /// Names the results directory.
    pub name: String,
    /// What it shows, for people.
    pub description: String,
    /// Rounds over all brokers.
    pub repeat: u32,
    /// Where random arrivals, sizes and topics begin.
    pub seed: u64,
    /// Where brokers' directories are made; `None` is the system's place for temporary files.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_root: Option<PathBuf>,
    /// Memory that is touched and let go of before each measurement.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_at_hand_bytes: Option<NonZeroU64>,
    /// The load generator itself.
    pub generator: GeneratorConfig,
    /// What comes around each measured phase.
    pub phases: PhasesConfig,
    /// What results are compared with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub baseline: Option<BaselineConfig>,
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
    /// Storms.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub storms: Vec<StormConfig>,
    /// Connections at rest.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub idles: Vec<IdleConfig>,
    /// Outages.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub outages: Vec<OutageConfig>,
    /// What must hold of the results.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub objectives: Vec<ObjectiveConfig>,
}

/// The load generator itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct GeneratorConfig {
    /// Threads that all connections are shared among; `None`: as many as there are cores.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threads: Option<NonZeroU32>,
    /// How long before a message is due a thread watches the clock, in place of sleeping.
    pub spin_us: u32,
}

/// What comes around each measured phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct PhasesConfig {
    /// How long load goes on beforehand, unless it says so itself.
    pub warmup_ms: u64,
    /// How long messages that are still under way are waited for.
    pub drain_ms_max: u64,
    /// How long all connections of a measurement may take to be made.
    pub connect_ms_max: u64,
}

/// What results are compared with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BaselineConfig {
    /// The results directory of an earlier run.
    pub results: PathBuf,
}

/// What must hold of some results.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ObjectiveConfig {
    /// Which brokers, by name; `*` stands for any characters, `?` for any one.
    pub broker: String,
    /// Which measurements, by label, likewise.
    pub cell: String,
    /// What must hold.
    pub assert: Objective,
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

impl GeneratorConfig {
    /// How many threads there are: as configured, or one for each core.
    #[must_use]
    pub fn threads_or_cores(&self) -> usize {
        let cores = || std::thread::available_parallelism().map_or(1, usize::from);
        self.threads.map_or_else(cores, |threads| threads.get() as usize)
    }
}

impl ObjectiveConfig {
    /// Whether it is about a broker's measurement.
    #[must_use]
    pub fn is_about(&self, broker: &str, cell: &str) -> bool {
        let fits = |pattern: &str, name| wildmatch::WildMatch::new(pattern).matches(name);
        fits(&self.broker, broker) && fits(&self.cell, cell)
    }
}
