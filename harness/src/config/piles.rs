//! Backlogs and restarts as they take effect.

use measure::{PageCache, StopKind};
use serde::Serialize;

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
