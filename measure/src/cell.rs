//! What was observed beside a measurement: resources, the generator, progress, and single rounds.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Standing;

/// What the broker, with its child processes, used within the measured phase.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CellResources {
    /// Processor time in user mode.
    pub cpu_user_ns: u64,
    /// Processor time in kernel mode.
    pub cpu_system_ns: u64,
    /// Processor time for each delivery, or for each acknowledgement where nobody read.
    pub cpu_us_per_delivery: Option<f64>,
    /// The most resident memory.
    pub resident_bytes_max: u64,
    /// The most threads.
    pub threads_max: u32,
    /// The most open file descriptors; `None` where they may not be read.
    pub file_descriptors_max: Option<u32>,
    /// How often its threads gave up a processor to wait.
    pub context_switches_voluntary: u64,
    /// How often a processor was taken from its threads.
    pub context_switches_involuntary: u64,
    /// Bytes that it caused to be written to storage; `None` where the kernel does not tell.
    pub disk_written_bytes: Option<u64>,
    /// Flushes of the device that its data is on; `None` where the kernel does not tell.
    pub disk_flushes: Option<u64>,
}

impl CellResources {
    /// Processor time in both modes.
    #[must_use]
    pub fn cpu_ns(&self) -> u64 {
        self.cpu_user_ns + self.cpu_system_ns
    }
}

/// What the load generator used within the measured phase: near its own limits, it measures itself.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct GeneratorFigures {
    /// Its threads.
    pub threads: Vec<GeneratorThread>,
    /// The fraction of the machine's processor time that its host gave to others, 0 to 1.
    pub steal: f64,
    /// Deliveries per second that the same driver reaches against nothing; `None` where unknown.
    pub ceiling_per_s: Option<f64>,
}

impl GeneratorFigures {
    /// The busiest thread.
    #[must_use]
    pub fn busiest(&self) -> Option<&GeneratorThread> {
        self.threads.iter().max_by(|a, b| a.busy.total_cmp(&b.busy))
    }
}

/// One thread of the load generator.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct GeneratorThread {
    /// Its name, e.g. `load 0`.
    pub name: String,
    /// Processor time within the measured phase.
    pub cpu_ns: u64,
    /// The fraction of the measured phase that it was on a processor, 0 to 1.
    pub busy: f64,
}

/// What happened in one interval of a measured phase.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TimelinePoint {
    /// When it began, since the measured phase did.
    pub t_ns: u64,
    /// How long it was.
    pub interval_ns: u64,
    /// Messages sent.
    pub sent: u64,
    /// Deliveries.
    pub delivered: u64,
    /// Errors.
    pub errors: u64,
    /// The median response time of its deliveries; `None` of too few.
    pub response_p50_ns: Option<u64>,
    /// The 99th percentile of the response time of its deliveries; `None` of too few.
    pub response_p99_ns: Option<u64>,
}

/// One repeat of a stream, on a fresh broker. A figure is `None` where it was not measured, or of
/// too few samples.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Round {
    /// Deliveries per second, summed over all subscribers.
    pub delivered_per_s: Option<f64>,
    /// Messages sent per second.
    pub sent_per_s: Option<f64>,
    /// Messages acknowledged per second.
    pub acknowledged_per_s: Option<f64>,
    /// Median service time.
    pub service_p50_ns: Option<f64>,
    /// 99th percentile of service time.
    pub service_p99_ns: Option<f64>,
    /// Median response time.
    pub response_p50_ns: Option<f64>,
    /// 99th percentile of response time.
    pub response_p99_ns: Option<f64>,
    /// Median time to an acknowledgement.
    pub acknowledgement_p50_ns: Option<f64>,
    /// 99th percentile of the time to an acknowledgement.
    pub acknowledgement_p99_ns: Option<f64>,
    /// Processor time of the broker for each delivery.
    pub cpu_us_per_delivery: Option<f64>,
    /// The most resident memory of the broker.
    pub resident_bytes_max: Option<f64>,
    /// Whether the repeat may be believed.
    pub verdict: Standing,
}

/// One repeat of an operation, on a fresh broker. A figure is `None` where it was not measured, or
/// of too few samples.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OperationRound {
    /// Successful requests per second.
    pub throughput_per_s: Option<f64>,
    /// Median latency.
    pub p50_ns: Option<f64>,
    /// 99th percentile of latency.
    pub p99_ns: Option<f64>,
    /// Processor time of the broker for each request.
    pub cpu_us_per_operation: Option<f64>,
    /// Whether the repeat may be believed.
    pub verdict: Standing,
}
