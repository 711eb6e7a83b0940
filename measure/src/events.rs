//! What was measured of a broker beside steady load: storms, idle connections, and outages.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{CellResources, Latency, StopKind, TimelinePoint, Verdict};

/// Many connections that are opened at once, or at a rate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StormResult {
    /// How many were opened.
    pub connections: u32,
    /// How many each second; `None`: as fast as the broker accepts them.
    pub offered_per_s: Option<f64>,
    /// How many the broker greeted.
    pub accepted: u32,
    /// How many it refused, or never greeted.
    pub refused: u32,
    /// From when connecting began to the last greeting.
    pub duration_ns: u64,
    /// From opening a connection, or at a rate from when that was due, to the broker's greeting.
    pub handshake: Latency,
    /// Whether it may be believed.
    pub verdict: Verdict,
    /// What the broker used; `None` without a process.
    pub resources: Option<CellResources>,
}

/// Connections that are open and do nothing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct IdleResult {
    /// How many were open.
    pub connections: u32,
    /// For how long.
    pub held_ms: u64,
    /// Resident memory of the broker for each that it let in: `resident_after_bytes` less
    /// `resident_before_bytes`, over their number.
    pub bytes_per_connection: f64,
    /// Resident memory of the broker before the first was opened.
    pub resident_before_bytes: u64,
    /// The most resident memory of the broker while they were held.
    pub resident_after_bytes: u64,
    /// How many the broker refused, or closed while they were held.
    pub dropped: u32,
}

/// A broker that is stopped under load and started again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OutageResult {
    /// What was asked, e.g. `crash outage, 1→1, 100 B, 1000 msgs/s, 500 ms down`.
    #[serde(default)]
    pub label: String,
    /// How it was stopped.
    pub stop: StopKind,
    /// From the signal to the end of the process.
    #[serde(default)]
    pub stop_ns: u64,
    /// From the signal to the start of the next process.
    pub down_ns: u64,
    /// From the start of that process to when it was ready.
    pub ready_ns: u64,
    /// From the signal to the first delivery over a connection made after it; `None` if there was
    /// none.
    pub recovered_ns: Option<u64>,
    /// From the signal to the first acknowledgement over a connection made after it; `None` if
    /// there was none.
    #[serde(default)]
    pub acknowledged_again_ns: Option<u64>,
    /// The longest that a publisher went without an acknowledgement: from its last one before the
    /// stop to its first one after it; `None` if one had none afterwards.
    #[serde(default)]
    pub unavailable_ns: Option<u64>,
    /// `recovered_ns` of each round; the times and the timeline are those of the round whose
    /// recovery is the median.
    #[serde(default)]
    pub recoveries_ns: Vec<Option<u64>>,
    /// Messages sent, each counted once however often it was. These and all counts below are of
    /// all rounds.
    pub sent: u64,
    /// Messages acknowledged.
    pub acknowledged: u64,
    /// Messages sent again, since the connection ended before their acknowledgement.
    #[serde(default)]
    pub resent: u64,
    /// Deliveries of acknowledged messages that never came, over all subscribers.
    pub lost: u64,
    /// Deliveries of a message that had been delivered before; some are expected wherever messages
    /// are sent again.
    pub duplicated: u64,
    /// Deliveries that came after a later message of the same publisher.
    pub reordered: u64,
    /// Deliveries whose payload was not the one sent.
    pub corrupted: u64,
    /// From when messages were due to their delivery, so that what waited for the broker shows; what
    /// was lost is not in it.
    #[serde(default)]
    pub response: Option<Latency>,
    /// Progress before, during and after it; its errors are connections lost and not made.
    pub timeline: Vec<TimelinePoint>,
}
