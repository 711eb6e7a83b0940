//! Which topics a damaged journal concerns, for the message that says why the broker did not start.

use std::fmt;
use std::sync::Arc;

use broker_core::journal::{self as core, Missing, Place, Recovery};
use broker_core::{Identity, Limits, Now, Settings};
use journal::inspect::{Item, inspect};
use journal::storage::Storage;
use protocol::Durability;

/// Topics that a message names at most.
const TOPICS_NAMED_MAX: usize = 8;

/// Topics with missing messages, as a message names them.
#[derive(Debug)]
pub(crate) struct TopicsConcerned(Vec<Missing>);

impl fmt::Display for TopicsConcerned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return write!(
                f,
                "no topic has a gap, so that the newest messages of some, or what subscriptions \
                 were done with, may be missing"
            );
        }
        let named = self.0.iter().take(TOPICS_NAMED_MAX).map(|missing| {
            let Missing { topic, first_offset, end_offset } = missing;
            format!("{topic:?} offsets {first_offset} to {}", end_offset - 1)
        });
        write!(f, "missing are, of topics, {}", named.collect::<Vec<_>>().join(", "))?;
        match self.0.len().saturating_sub(TOPICS_NAMED_MAX) {
            0 => Ok(()),
            more => write!(f, ", and {more} more"),
        }
    }
}

/// Applies all that is sound, without changing anything, and looks for what is missing between.
/// What cannot be read names no topics.
pub(super) fn topics_concerned(storage: &dyn Storage, limits: &Limits) -> TopicsConcerned {
    let Ok(inspection) = inspect(storage, &mut |_| {}) else { return TopicsConcerned(Vec::new()) };
    let snapshots = inspection.snapshots.iter().filter_map(|copy| copy.state);
    let start = snapshots.map(|(position, _)| position).max().unwrap_or_default();
    let mut recovery = Recovery::new(limits.clone());
    let visited = inspect(storage, &mut |item| {
        // What no broker wrote is damage of its own, and is told by the recovery proper.
        let _ = match item {
            Item::Snapshot { kind, body } => recovery.apply_snapshot(kind, body),
            Item::Record { position, kind, body } if position >= start => {
                let position = position.value();
                recovery.apply(Place { segment: position, position, bytes: 0 }, kind, body)
            }
            Item::Record { .. } | Item::Own { .. } => Ok(()),
        };
    });
    if visited.is_err() {
        return TopicsConcerned(Vec::new());
    }
    let identity = Identity { backend: "none", version: "none" };
    let (_, report) =
        recovery.finish(identity, Settings::default(), Arc::new(NoJournal), Now::default());
    TopicsConcerned(report.missing)
}

/// A journal of which nothing is wanted.
#[derive(Debug)]
struct NoJournal;

impl NoJournal {
    fn failed() -> core::JournalFailed {
        core::JournalFailed { reason: "it is only looked at".to_owned() }
    }
}

impl core::Journal for NoJournal {
    fn append(
        &self,
        _: u8,
        _: &[&[u8]],
        _: Durability,
    ) -> Result<core::Place, core::JournalFailed> {
        Err(Self::failed())
    }

    fn reached(&self) -> core::Reached {
        core::Reached::default()
    }

    fn failure(&self) -> Option<core::JournalFailed> {
        Some(Self::failed())
    }

    fn is_congested(&self) -> bool {
        false
    }

    fn read(
        &self,
        _: u64,
        _: usize,
        _: &mut dyn FnMut(core::Stored),
    ) -> Result<(), core::ReadFailed> {
        Err(core::ReadFailed { reason: Self::failed().reason })
    }

    fn end(&self) -> u64 {
        0
    }

    fn retain(&self, _: u64, _: u64) {}

    fn release(&self, _: u64, _: u64) {}
}
