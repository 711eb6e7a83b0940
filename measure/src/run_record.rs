//! The record of one benchmark run: what ran, on what, and what was measured.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    BacklogResult, DataPlace, DriverCeiling, GuaranteeClass, IdleResult, KneeResult, MachineFacts,
    ObjectiveOutcome, OperationResult, OutageResult, RestartResult, StormResult, StreamResult,
};

/// The version of the record's format that this crate writes and reads.
pub const FORMAT_VERSION: u32 = 2;

/// One benchmark run, as stored in `run.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RunRecord {
    /// Always [`FORMAT_VERSION`] in a record that this crate read.
    pub format_version: u32,
    /// The run's unique name, chosen by whoever ran it.
    pub run_id: String,
    /// When the run started, in milliseconds since the Unix epoch.
    pub started_at_unix_ms: u64,
    /// The Tandem version that measured.
    pub tandem_version: String,
    /// The name of the configuration.
    pub config_name: String,
    /// The configuration as it took effect, with defaults filled in, in TOML.
    pub config_toml: String,
    /// The machine that everything ran on.
    pub machine: MachineFacts,
    /// What was measured, in the order it ran.
    pub brokers: Vec<BrokerRun>,
    /// What was asked for but did not run.
    pub skipped: Vec<SkippedBroker>,
    /// What a reader must know to trust the figures, e.g. that the generator was the bottleneck.
    pub warnings: Vec<String>,
    /// What the configuration asserts, and what came of it.
    pub objectives: Vec<ObjectiveOutcome>,
    /// How fast the load generator's drivers are against nothing.
    pub ceilings: Vec<DriverCeiling>,
}

/// Whether a run's subject is a broker or a bound to compare brokers with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BrokerKind {
    /// A message broker.
    Broker,
    /// A process that does less than any broker must, e.g. the byte pipe.
    Ceiling,
}

/// Everything measured of one broker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BrokerRun {
    /// The name in tables and legends, unique within the run, e.g. `tandem-mio`.
    pub name: String,
    /// Broker or ceiling.
    pub kind: BrokerKind,
    /// The broker's own version.
    pub version: String,
    /// How it was started, one argument each.
    pub command_line: Vec<String>,
    /// The driver that spoke to it, e.g. `tandem-native` or `mqtt`.
    pub driver: String,
    /// What an acknowledgement promised.
    pub guarantee: GuaranteeClass,
    /// The whole configuration file that it ran with; `None` if it had none.
    pub config_text: Option<String>,
    /// Where it kept its messages; `None` if it had no directory.
    pub data_place: Option<DataPlace>,
    /// Acknowledged operations.
    pub operations: Vec<OperationResult>,
    /// Streams.
    pub streams: Vec<StreamResult>,
    /// Backlogs.
    pub backlogs: Vec<BacklogResult>,
    /// Restarts.
    pub restarts: Vec<RestartResult>,
    /// Storms of connections.
    pub storms: Vec<StormResult>,
    /// Idle connections.
    pub idles: Vec<IdleResult>,
    /// Outages under load.
    pub outages: Vec<OutageResult>,
    /// Searches for the highest rate that it sustains.
    pub knees: Vec<KneeResult>,
    /// The broker process over time.
    pub resources: Vec<ResourceSample>,
    /// When its phases began.
    pub marks: Vec<PhaseMark>,
}

/// The broker process at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ResourceSample {
    /// Since this broker's run started.
    pub t_ns: u64,
    /// Processor time in user mode since the process started.
    pub cpu_user_ns: u64,
    /// Processor time in kernel mode since the process started.
    pub cpu_system_ns: u64,
    /// Resident memory.
    pub resident_bytes: u64,
    /// Threads.
    pub threads: u32,
}

/// The moment a phase of the run began.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PhaseMark {
    /// Since this broker's run started.
    pub t_ns: u64,
    /// The phase, e.g. `publish, 50 clients`.
    pub label: String,
}

/// A broker that was asked for but did not run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SkippedBroker {
    /// Its name.
    pub name: String,
    /// Why it did not run, and what would make it run.
    pub reason: String,
}
