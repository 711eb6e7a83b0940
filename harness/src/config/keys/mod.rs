//! The keys of a configuration as they are written, each with its place in the text. What is
//! written beside them here is what editors show.

mod one_or_many;
mod placed;
mod streams;

pub(super) use one_or_many::OneOrMany;
pub(super) use placed::Placed;
pub(super) use streams::{
    BellKeys, BurstKeys, ChurnKeys, FindMaxKeys, LoadKeys, PayloadKeys, RampKeys, StepsKeys,
    StreamKeys,
};

use super::brokers::{AmqpQueue, JetStreamStorage};
use super::schema::{GuaranteeName, PageCacheName, StopKindName};
use crate::drivers::{DriverKind, MqttVersion, Operation};
use measure::{PageCache, StopKind};
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::num::NonZeroU64;
use std::path::PathBuf;

/// What to measure, on which brokers, with which load.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Benchmark configuration")]
pub(super) struct ConfigKeys {
    /// Names the results directory: letters, digits, "-", "_" and ".".
    pub(super) name: Placed<String>,
    /// What it shows, for people.
    #[serde(default)]
    pub(super) description: String,
    /// Rounds over all brokers [default: 1].
    pub(super) repeat: Option<Placed<u32>>,
    /// Where random arrivals, sizes and topics begin: the same seed draws the same [default: 1].
    pub(super) seed: Option<Placed<u64>>,
    /// Where brokers' directories are made [default: the system's place for temporary files].
    pub(super) data_root: Option<Placed<PathBuf>>,
    /// So much memory is touched and let go of before each measurement, where a host may have
    /// taken it back.
    pub(super) memory_at_hand_bytes: Option<NonZeroU64>,
    /// The load generator itself.
    #[serde(default)]
    pub(super) generator: GeneratorKeys,
    /// What comes around each measured phase.
    #[serde(default)]
    pub(super) phases: PhasesKeys,
    /// What results are compared with.
    pub(super) baseline: Option<BaselineKeys>,
    /// What is measured, in this order.
    #[serde(default)]
    pub(super) brokers: Vec<Placed<BrokerKeys>>,
    /// Acknowledged operations, one request at a time for each client.
    pub(super) operations: Option<Placed<OperationsKeys>>,
    #[serde(default)]
    pub(super) streams: Vec<Placed<StreamKeys>>,
    #[serde(default)]
    pub(super) backlogs: Vec<Placed<BacklogKeys>>,
    #[serde(default)]
    pub(super) restarts: Vec<Placed<RestartKeys>>,
    #[serde(default)]
    pub(super) storms: Vec<Placed<StormKeys>>,
    #[serde(default)]
    pub(super) idles: Vec<Placed<IdleKeys>>,
    #[serde(default)]
    pub(super) outages: Vec<Placed<OutageKeys>>,
    #[serde(default)]
    pub(super) objectives: Vec<Placed<ObjectiveKeys>>,
}

#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Generator")]
pub(super) struct GeneratorKeys {
    /// Threads that all connections are shared among [default: the machine's cores].
    pub(super) threads: Option<Placed<u32>>,
    /// How long before a message is due a thread stops sleeping and watches the clock instead:
    /// more exact, for more processor time [default: 0].
    pub(super) spin_us: Option<Placed<u32>>,
}

#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Phases")]
pub(super) struct PhasesKeys {
    /// How long load goes on beforehand, unrecorded, unless it says so itself [default: 100].
    pub(super) warmup_ms: Option<Placed<u64>>,
    /// How long messages that are still under way are waited for [default: 3000].
    pub(super) drain_ms_max: Option<Placed<u64>>,
    /// How long all connections of a measurement may take to be made [default: 10000].
    pub(super) connect_ms_max: Option<Placed<u64>>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Baseline")]
pub(super) struct BaselineKeys {
    /// A results directory of an earlier run.
    pub(super) results: Placed<PathBuf>,
}

/// A broker, or a ceiling to compare brokers with.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Broker")]
pub(super) struct BrokerKeys {
    /// In tables and legends: letters, digits, "-", "_" and ".".
    pub(super) name: Placed<String>,
    /// Who speaks to it.
    pub(super) driver: DriverKind,
    /// How to start it, one argument each. {data_dir}, {config_file} and {port} stand for a fresh
    /// directory, a file with the text of `config_file`, and a free port.
    pub(super) command: Option<Placed<Vec<String>>>,
    /// What is in the file that {config_file} stands for; {port} and {data_dir} stand in it too.
    pub(super) config_file: Option<Placed<String>>,
    /// Where it runs already, in place of `command`.
    pub(super) address: Option<Placed<String>>,
    /// What an acknowledgement promises; brokers are ranked only among those with the same.
    #[schemars(with = "Option<GuaranteeName>")]
    pub(super) guarantee: Option<Placed<String>>,
    /// Variables of its environment; placeholders stand in their values as in `command`.
    pub(super) environment: Option<Placed<BTreeMap<String, String>>>,
    /// Whether each repeat has a process and a directory of its own [default: true].
    pub(super) fresh_each_round: Option<bool>,
    /// Which version of MQTT is spoken [default: "3.1.1"].
    pub(super) mqtt_version: Option<Placed<MqttVersion>>,
    /// MQTT's quality of service of streams: 0, 1 or 2 [default: 0].
    pub(super) qos: Option<Placed<u8>>,
    /// Where JetStream keeps a stream [default: "file"].
    pub(super) jetstream_storage: Option<Placed<JetStreamStorage>>,
    /// What kind of queue is declared by AMQP [default: "classic"].
    pub(super) amqp_queue: Option<Placed<AmqpQueue>>,
    /// Topics that exist beside those that are used [default: 0].
    pub(super) idle_topics: Option<Placed<u32>>,
    /// Subscriptions to each stream's topic that never read [default: 0].
    pub(super) idle_subscriptions: Option<Placed<u32>>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Operations")]
pub(super) struct OperationsKeys {
    /// Which [default: all].
    pub(super) list: Option<Placed<Vec<Operation>>>,
    /// Numbers of clients, one measurement each.
    pub(super) clients: Placed<Vec<u32>>,
    /// How long each measurement goes on; or `count`.
    pub(super) duration_ms: Option<Placed<u64>>,
    /// Requests of each client; or `duration_ms`.
    pub(super) count: Option<Placed<u64>>,
    /// How long each goes on beforehand, unrecorded [default: that of `phases`].
    pub(super) warmup_ms: Option<Placed<u64>>,
    /// Size of a message [default: 100].
    pub(super) payload_bytes: Option<Placed<u64>>,
}

/// A backlog: published with nobody reading, then read from the beginning.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Backlog")]
pub(super) struct BacklogKeys {
    /// Sizes of payload, one backlog each.
    pub(super) payload_bytes: Placed<Vec<u64>>,
    /// How many messages; or `bytes`.
    pub(super) messages: Option<Placed<u64>>,
    /// How many bytes of payload; or `messages`.
    pub(super) bytes: Option<Placed<u64>>,
    /// Connections that publish [default: 1].
    pub(super) publishers: Option<Placed<u32>>,
    /// Messages in one publication, at most [default: 64].
    pub(super) batch: Option<Placed<u32>>,
    /// Publications of each publisher under way at once [default: 64].
    pub(super) acks: Option<Placed<u32>>,
    /// How it is read, once each: without and with what the kernel's page cache can hold
    /// [default: both].
    #[schemars(with = "Option<Vec<PageCacheName>>")]
    pub(super) drains: Option<Placed<Vec<PageCache>>>,
}

/// A broker that is stopped with a backlog, and started again.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Restart")]
pub(super) struct RestartKeys {
    /// Sizes of payload, one restart each.
    pub(super) payload_bytes: Placed<Vec<u64>>,
    /// How many messages; or `bytes`.
    pub(super) messages: Option<Placed<u64>>,
    /// How many bytes of payload; or `messages`.
    pub(super) bytes: Option<Placed<u64>>,
    /// Connections that publish [default: 1].
    pub(super) publishers: Option<Placed<u32>>,
    /// Messages in one publication, at most [default: 64].
    pub(super) batch: Option<Placed<u32>>,
    /// Publications of each publisher under way at once [default: 64].
    pub(super) acks: Option<Placed<u32>>,
    /// How the broker is stopped, once each: SIGTERM, SIGKILL [default: both].
    #[schemars(with = "Option<Vec<StopKindName>>")]
    pub(super) stops: Option<Placed<Vec<StopKind>>>,
}

/// A storm: many connections are made, each through its handshake.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Storm")]
pub(super) struct StormKeys {
    /// How many, one storm each.
    pub(super) connections: Placed<OneOrMany<u32>>,
    /// How many begin in a second [default: as many as the broker takes].
    pub(super) rate_per_s: Option<Placed<OneOrMany<f64>>>,
}

/// Connections that are made and then at rest.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Idle")]
pub(super) struct IdleKeys {
    /// How many, one measurement each.
    pub(super) connections: Placed<OneOrMany<u32>>,
    /// How long they stay.
    pub(super) hold_ms: Placed<u64>,
}

/// A stream under which the broker is stopped and started again.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Outage")]
pub(super) struct OutageKeys {
    /// Connections that publish [default: 1].
    pub(super) publishers: Option<Placed<u32>>,
    /// Connections that each receive everything [default: 1].
    pub(super) subscribers: Option<Placed<u32>>,
    /// Messages per second over all publishers.
    pub(super) rate_per_s: Placed<f64>,
    /// Size of each payload [default: 100].
    pub(super) payload_bytes: Option<Placed<u64>>,
    /// Publications of each publisher under way at once, acknowledged each [default: 64].
    pub(super) acks: Option<Placed<u32>>,
    /// From the stream's beginning to the stop.
    pub(super) kill_after_ms: Placed<u64>,
    /// From the stop to the start of the next process.
    pub(super) down_ms: Placed<u64>,
    /// How the broker is stopped: SIGTERM, SIGKILL [default: "crash"].
    #[schemars(with = "Option<StopKindName>")]
    pub(super) stop: Option<StopKind>,
    /// How long the stream goes on in all.
    pub(super) duration_ms: Placed<u64>,
}

/// What must hold of the results.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Objective")]
pub(super) struct ObjectiveKeys {
    /// Which brokers, by name; * stands for any characters and ? for any one [default: "*"].
    pub(super) broker: Option<Placed<String>>,
    /// Which measurements, by their labels in progress and reports, likewise [default: "*"].
    pub(super) cell: Option<Placed<String>>,
    /// What must hold, e.g. "p99 < 5ms" or "lost == 0".
    pub(super) assert: Placed<String>,
}
