//! What backlogs and restarts have in common across brokers.

use std::fmt;

use measure::{
    BacklogPass, BacklogResult, BrokerRun, DeliveryFaults, PageCache, RestartResult, StopKind,
};

use crate::quantity::{Quantity, grouped};
use crate::series::{distinct, faults_in_words};

/// What piles up.
#[derive(Debug, Clone, Copy, PartialEq)]
struct PileKey {
    messages: u64,
    payload_bytes: u64,
}

/// E.g. `1 000 000 × 100 B (100 MB)`.
impl fmt::Display for PileKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { messages, payload_bytes } = *self;
        let bytes = Quantity::Bytes.tick((messages * payload_bytes) as f64);
        write!(f, "{} × {} B ({bytes})", grouped(messages), grouped(payload_bytes))
    }
}

/// What makes two ways through a backlog comparable.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct BacklogKey {
    pile: PileKey,
    publishers: u32,
    /// `None`: it is built.
    drain: Option<PageCache>,
}

impl BacklogKey {
    fn all_of(result: &BacklogResult) -> impl Iterator<Item = Self> {
        let pile = PileKey { messages: result.messages, payload_bytes: result.payload_bytes };
        let publishers = result.publishers;
        let drains = result.drains.iter().map(|drain| Some(drain.cache));
        std::iter::once(None).chain(drains).map(move |drain| Self { pile, publishers, drain })
    }

    /// How fast the given broker was, and what was wrong.
    pub(crate) fn result_in<'a>(
        &self,
        broker: &'a BrokerRun,
    ) -> Option<(&'a BacklogPass, Option<String>)> {
        let found =
            broker.backlogs.iter().find(|result| Self::all_of(result).any(|key| key == *self))?;
        let Some(cache) = self.drain else { return Some((&found.build, None)) };
        let drain = found.drains.iter().find(|drain| drain.cache == cache)?;
        Some((&drain.pass, delivery_faults(drain.faults, found.messages)))
    }
}

impl fmt::Display for BacklogKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.pile)?;
        match (self.drain, self.publishers) {
            (Some(PageCache::Warm), _) => f.write_str(" · read, cache warm"),
            (Some(PageCache::Cold), _) => f.write_str(" · read, cache cold"),
            (None, 1) => f.write_str(" · written"),
            (None, publishers) => write!(f, " · written by {publishers}"),
        }
    }
}

/// Every way through a backlog that any of the brokers was measured at, in order of appearance.
pub(crate) fn backlog_keys(brokers: &[BrokerRun]) -> Vec<BacklogKey> {
    distinct(brokers.iter().flat_map(|broker| broker.backlogs.iter().flat_map(BacklogKey::all_of)))
}

/// What makes two restarts comparable.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct RestartKey {
    pile: PileKey,
    stop: StopKind,
}

impl RestartKey {
    fn of(result: &RestartResult) -> Self {
        let pile = PileKey { messages: result.messages, payload_bytes: result.payload_bytes };
        Self { pile, stop: result.stop }
    }

    /// This restart's result with the given broker.
    pub(crate) fn result_in<'a>(&self, broker: &'a BrokerRun) -> Option<&'a RestartResult> {
        broker.restarts.iter().find(|result| Self::of(result) == *self)
    }
}

impl fmt::Display for RestartKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} · {}", self.pile, self.stop)
    }
}

/// Every restart that any of the brokers was measured at, in order of appearance.
pub(crate) fn restart_keys(brokers: &[BrokerRun]) -> Vec<RestartKey> {
    distinct(brokers.iter().flat_map(|broker| broker.restarts.iter().map(RestartKey::of)))
}

/// What is wrong with deliveries, most serious first; `None` if nothing is.
pub(crate) fn delivery_faults(faults: DeliveryFaults, expected: u64) -> Option<String> {
    let DeliveryFaults { lost, duplicated, reordered, corrupted } = faults;
    faults_in_words([corrupted, lost, duplicated, reordered], expected)
}
