//! What was measured of a broker that keeps messages: backlogs, and restarts.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

const BYTES_PER_GIB: f64 = (1_u64 << 30) as f64;

/// Where a broker kept its messages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DataPlace {
    /// The directory that a fresh one was made in for each start.
    pub root: String,
    /// The file system there, e.g. `ext4`.
    pub file_system: String,
    /// What it is on, e.g. `/dev/vda`.
    pub device: String,
}

impl fmt::Display for DataPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{} on {}", self.file_system, self.device))
    }
}

/// What was wrong with deliveries.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DeliveryFaults {
    /// Acknowledged messages that never came.
    pub lost: u64,
    /// Messages that had come before.
    pub duplicated: u64,
    /// Messages that came after a later one of the same publisher.
    pub reordered: u64,
    /// Payloads that are not what was sent.
    pub corrupted: u64,
}

impl DeliveryFaults {
    /// Whether there are none.
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

/// Messages that pile up with nobody reading, and are then read from the first to the last.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BacklogResult {
    /// How many connections published.
    pub publishers: u32,
    /// The size of each payload.
    pub payload_bytes: u64,
    /// Messages in the backlog.
    pub messages: u64,
    /// Resident memory of the broker before the first message; `None` without a process.
    pub resident_bytes_before: Option<u64>,
    /// Publishing it, to the last acknowledgement.
    pub build: BacklogPass,
    /// Reading it, each time by a new subscriber.
    pub drains: Vec<BacklogDrain>,
}

impl BacklogResult {
    /// Payload bytes in the backlog.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.messages * self.payload_bytes
    }
}

/// A backlog written, or read, once from end to end. Over several rounds, counts and times are sums.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BacklogPass {
    /// Messages acknowledged, or delivered.
    pub messages: u64,
    /// From the first to the last.
    pub duration_ns: u64,
    /// Messages per second.
    pub per_s: f64,
    /// Payload bytes per second.
    pub bytes_per_s: f64,
    /// The most resident memory of the broker meanwhile; `None` without a process.
    pub resident_bytes_max: Option<u64>,
    /// `per_s` over that of the disk alone in the same run; `None` if that was not measured.
    pub ratio_to_disk: Option<f64>,
}

/// A backlog read once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BacklogDrain {
    /// Where the backlog was before.
    pub cache: PageCache,
    /// How fast it was read.
    #[serde(flatten)]
    pub pass: BacklogPass,
    /// What was wrong with what was read.
    #[serde(flatten)]
    pub faults: DeliveryFaults,
}

/// Whether the kernel's page cache holds what is about to be read.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum PageCache {
    /// As much as fits: it was written or read just before.
    Warm,
    /// Nothing: the kernel was asked to let it go.
    Cold,
}

impl fmt::Display for PageCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Warm => "warm",
            Self::Cold => "cold",
        })
    }
}

/// How a broker was stopped.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum StopKind {
    /// By SIGTERM, to end by itself.
    Clean,
    /// By SIGKILL.
    Crash,
}

impl fmt::Display for StopKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Clean => "clean",
            Self::Crash => "crash",
        })
    }
}

/// A broker stopped with a backlog, and started again on the same directory.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RestartResult {
    /// How it was stopped.
    pub stop: StopKind,
    /// The size of each payload.
    pub payload_bytes: u64,
    /// Messages in the backlog.
    pub messages: u64,
    /// From the signal to the end of the process, once for each round.
    pub stop_ns: Vec<u64>,
    /// From the start of the new process to its word that it is ready, once for each round.
    pub ready_ns: Vec<u64>,
    /// What the directory's files occupied between stop and start, at most.
    pub stored_bytes: u64,
    /// Resident memory of the broker when it was ready, at most.
    pub resident_bytes_max: u64,
    /// What was wrong with what was read afterwards; lost are those that had been acknowledged.
    #[serde(flatten)]
    pub faults: DeliveryFaults,
}

impl RestartResult {
    /// Payload bytes in the backlog.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.messages * self.payload_bytes
    }

    /// The median over rounds of [`ready_ns`](Self::ready_ns), the later one of two; 0 of none.
    #[must_use]
    pub fn ready_ns_median(&self) -> u64 {
        let mut sorted = self.ready_ns.clone();
        sorted.sort_unstable();
        sorted.get(sorted.len() / 2).copied().unwrap_or_default()
    }

    /// The median time to be ready, for each GiB of payload in the backlog.
    #[must_use]
    pub fn ready_ns_per_gib(&self) -> f64 {
        self.ready_ns_median() as f64 * BYTES_PER_GIB / self.bytes().max(1) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn restart(ready_ns: &[u64]) -> RestartResult {
        RestartResult {
            stop: StopKind::Crash,
            payload_bytes: 1 << 10,
            messages: 1 << 19,
            stop_ns: vec![],
            ready_ns: ready_ns.to_vec(),
            stored_bytes: 0,
            resident_bytes_max: 0,
            faults: DeliveryFaults::default(),
        }
    }

    #[test]
    fn the_median_restart_counts_for_each_gib() {
        assert_eq!(restart(&[90, 30, 50]).ready_ns_median(), 50);
        assert_eq!(restart(&[90, 30, 50]).ready_ns_per_gib(), 100.0);
        assert_eq!(restart(&[]).ready_ns_median(), 0);
    }

    #[test]
    fn faults_lie_beside_the_other_keys_in_json() {
        let json = serde_json::to_value(restart(&[1])).unwrap();
        assert_eq!((&json["stop"], &json["lost"]), (&"crash".into(), &0.into()));
        assert_eq!(serde_json::from_value::<RestartResult>(json).unwrap(), restart(&[1]));
    }
}
