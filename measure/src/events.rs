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
    /// From the first to the last greeting.
    pub duration_ns: u64,
    /// From opening a connection to the broker's greeting.
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
    /// Resident memory of the broker for each of them: `resident_after_bytes` less
    /// `resident_before_bytes`, over `connections`.
    pub bytes_per_connection: f64,
    /// Resident memory of the broker before the first was opened.
    pub resident_before_bytes: u64,
    /// Resident memory of the broker when they had been held.
    pub resident_after_bytes: u64,
    /// How many the broker closed.
    pub dropped: u32,
}

/// A broker that is stopped under load and started again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OutageResult {
    /// How it was stopped.
    pub stop: StopKind,
    /// From the signal to the start of the next process.
    pub down_ns: u64,
    /// From the start of that process to when it was ready.
    pub ready_ns: u64,
    /// From the signal to the first delivery after it; `None` if there was none.
    pub recovered_ns: Option<u64>,
    /// Messages sent.
    pub sent: u64,
    /// Messages acknowledged.
    pub acknowledged: u64,
    /// Acknowledged messages that never came.
    pub lost: u64,
    /// Deliveries of a message that had been delivered before.
    pub duplicated: u64,
    /// Deliveries that came after a later message of the same publisher.
    pub reordered: u64,
    /// Deliveries whose payload was not the one sent.
    pub corrupted: u64,
    /// Progress before, during and after it.
    pub timeline: Vec<TimelinePoint>,
}
