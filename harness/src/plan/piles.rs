//! What backlogs and restarts come to.

use super::BrokerPlan;
use crate::config::{BacklogConfig, PileConfig, RestartConfig};
use crate::drivers::Support;
use measure::{PageCache, StopKind};

/// Guesses for how fast a disk takes, and gives back, what piles up.
const BUILD_BYTES_PER_S_GUESS: u64 = 100_000_000;
const DRAIN_BYTES_PER_S_GUESS: u64 = 500_000_000;

/// Messages that pile up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PileCell {
    /// Over all publishers.
    pub messages: u64,
    /// Size of each payload.
    pub payload_bytes: usize,
    /// Connections that publish.
    pub publishers: u32,
    /// Messages in one publication, at most.
    pub batch: u32,
    /// Publications of each publisher under way at once.
    pub acks: u32,
}

/// One backlog, built once and read as often as asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BacklogCell {
    /// What piles up.
    pub pile: PileCell,
    /// How it is read, in this order.
    pub drains: Vec<PageCache>,
}

/// One restart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RestartCell {
    /// What has piled up before.
    pub pile: PileCell,
    /// How the broker is stopped.
    pub stop: StopKind,
}

impl BrokerPlan<'_> {
    pub(super) fn add_backlogs(&mut self, asked: &[BacklogConfig]) {
        if asked.is_empty() {
            return;
        }
        if let Support::Meaningless(reason) = self.broker.driver.backlogs() {
            return self.skip("backlogs", reason);
        }
        let cells = asked.iter().flat_map(|backlog| {
            let drains = self.drains(&backlog.drains);
            pile_cells(&backlog.pile).map(move |pile| BacklogCell { pile, drains: drains.clone() })
        });
        let cells: Vec<_> = cells.collect();
        self.backlogs.extend(cells);
    }

    pub(super) fn add_restarts(&mut self, asked: &[RestartConfig]) {
        if asked.is_empty() {
            return;
        }
        if let Support::Meaningless(reason) = self.restartable() {
            return self.skip("restarts", reason);
        }
        self.restarts.extend(asked.iter().flat_map(|restart| {
            let piles = pile_cells(&restart.pile);
            piles.flat_map(|pile| restart.stops.iter().map(move |&stop| RestartCell { pile, stop }))
        }));
    }

    /// Where the broker has no files, nothing can be read from them.
    fn drains(&self, asked: &[PageCache]) -> Vec<PageCache> {
        match self.has_data_dir() {
            true => asked.to_vec(),
            false => vec![PageCache::Warm],
        }
    }

    pub(super) fn restartable(&self) -> Support {
        if !self.broker.driver.needs_process() {
            return Support::Meaningless("there is no process to stop");
        }
        match (self.broker.driver.backlogs(), &self.broker.command) {
            (Support::Measured, None) => {
                Support::Meaningless("the harness restarts only what it has started")
            }
            (Support::Measured, Some(_)) if !self.has_data_dir() => Support::Meaningless(
                "it is started without {data_dir}, so nothing is left when it has ended",
            ),
            (support, _) => support,
        }
    }

    /// Whether each start of the broker is given a directory.
    #[must_use]
    pub fn has_data_dir(&self) -> bool {
        self.broker.has_data_dir()
    }
}

fn pile_cells(pile: &PileConfig) -> impl Iterator<Item = PileCell> {
    pile.payload_bytes.iter().map(|&payload_bytes| PileCell {
        messages: pile.messages(payload_bytes),
        payload_bytes,
        publishers: pile.publishers,
        batch: pile.batch,
        acks: pile.acks,
    })
}

impl PileCell {
    /// Payload bytes of all messages.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.messages * self.payload_bytes as u64
    }

    fn label(&self) -> String {
        let Self { messages, payload_bytes, publishers, .. } = self;
        match publishers {
            1 => format!("{messages} × {payload_bytes} B"),
            _ => format!("{messages} × {payload_bytes} B by {publishers}"),
        }
    }

    fn build_ms(&self) -> u64 {
        self.bytes() * 1000 / BUILD_BYTES_PER_S_GUESS
    }

    fn drain_ms(&self) -> u64 {
        self.bytes() * 1000 / DRAIN_BYTES_PER_S_GUESS
    }
}

impl BacklogCell {
    /// In progress and phase marks, e.g. `backlog, 1000000 × 100 B`.
    #[must_use]
    pub fn label(&self) -> String {
        format!("backlog, {}", self.pile.label())
    }

    /// The label, and how it is read.
    #[must_use]
    pub fn describe(&self) -> String {
        let drains: Vec<_> = self.drains.iter().map(ToString::to_string).collect();
        format!("{}, then read {}", self.label(), drains.join(" and "))
    }

    /// About how long it takes.
    #[must_use]
    pub fn estimated_ms(&self) -> u64 {
        self.pile.build_ms() + self.drains.len() as u64 * self.pile.drain_ms()
    }
}

impl RestartCell {
    /// In progress and phase marks, e.g. `clean restart, 1000000 × 100 B`.
    #[must_use]
    pub fn label(&self) -> String {
        format!("{} restart, {}", self.stop, self.pile.label())
    }

    /// About how long it takes.
    #[must_use]
    pub fn estimated_ms(&self) -> u64 {
        self.pile.build_ms() + 2 * self.pile.drain_ms()
    }
}
