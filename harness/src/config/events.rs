//! What happens to a broker beside streams: crowds that connect, crowds that wait, and outages.

use measure::StopKind;
use serde::Serialize;

/// A storm: many connections are made, each through its handshake.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct StormConfig {
    /// How many.
    pub connections: u32,
    /// How many begin in a second; `None`: as fast as the broker takes them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate_per_s: Option<f64>,
}

/// Connections that are made and then at rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct IdleConfig {
    /// How many.
    pub connections: u32,
    /// How long they stay.
    pub hold_ms: u64,
}

/// A stream under which the broker is stopped and started again.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct OutageConfig {
    /// Connections that publish.
    pub publishers: u32,
    /// Connections that each receive everything.
    pub subscribers: u32,
    /// Messages per second over all publishers, at equal distances.
    pub rate_per_s: f64,
    /// Size of each payload.
    pub payload_bytes: usize,
    /// Publications of each publisher under way at once, acknowledged each.
    pub acks: u32,
    /// From the stream's beginning to the stop.
    pub kill_after_ms: u64,
    /// From the stop to the start of the next process.
    pub down_ms: u64,
    /// How the broker is stopped.
    pub stop: StopKind,
    /// How long the stream goes on in all.
    pub duration_ms: u64,
}

impl StormConfig {
    /// In progress and reports, e.g. `storm, 1000 connections`.
    #[must_use]
    pub fn label(&self) -> String {
        match self.rate_per_s {
            None => format!("storm, {} connections", self.connections),
            Some(rate) => format!("storm, {} connections, {rate}/s", self.connections),
        }
    }
}

impl IdleConfig {
    /// In progress and reports, e.g. `10000 connections at rest for 1000 ms`.
    #[must_use]
    pub fn label(&self) -> String {
        format!("{} connections at rest for {} ms", self.connections, self.hold_ms)
    }
}

impl OutageConfig {
    /// In progress and reports, e.g. `crash outage, 1→1, 100 B, 1000 msgs/s, 500 ms down`.
    #[must_use]
    pub fn label(&self) -> String {
        let Self { publishers, subscribers, payload_bytes, rate_per_s, down_ms, stop, .. } = self;
        format!(
            "{stop} outage, {publishers}→{subscribers}, {payload_bytes} B, {rate_per_s} msgs/s, \
             {down_ms} ms down"
        )
    }
}
