//! The journal's files as the core sees them.

use std::sync::Arc;

use broker_core::Limits;
use broker_core::journal as core;
use journal::{AppendError, Journal, Level, Place, Position};
use protocol::Durability;

use super::room::Room;

/// A journal in files, for the core to append to and to read from.
#[derive(Debug)]
pub(super) struct FileJournal {
    pub(super) journal: Arc<Journal>,
    pub(super) room: Room,
}

impl FileJournal {
    pub(super) fn new(journal: Arc<Journal>, limits: &Limits) -> Self {
        Self { journal, room: Room::new(limits) }
    }
}

impl core::Journal for FileJournal {
    fn append(
        &self,
        kind: u8,
        body: &[&[u8]],
        durability: Durability,
    ) -> Result<core::Place, core::JournalFailed> {
        let level = match durability {
            Durability::Os => Level::Written,
            Durability::Sync => Level::Synced,
        };
        match self.journal.append(kind, body, level) {
            Ok(place) => {
                self.room.note_appended(&self.journal, place.segment);
                Ok(place_in_core(place))
            }
            Err(AppendError::Kind(kind)) => {
                unreachable!("the core's kinds are a caller's, and {kind} is not")
            }
            Err(error) => Err(core::JournalFailed { reason: error.to_string() }),
        }
    }

    fn reached(&self) -> core::Reached {
        let reached = self.journal.reached();
        core::Reached { written: reached.written.value(), synced: reached.synced.value() }
    }

    fn failure(&self) -> Option<core::JournalFailed> {
        let failed = self.journal.failure()?;
        Some(core::JournalFailed { reason: failed.to_string() })
    }

    fn is_congested(&self) -> bool {
        self.journal.is_congested()
    }

    fn has_room(&self) -> bool {
        !self.is_congested() && !self.room.is_exceeded()
    }

    fn read(
        &self,
        position: u64,
        bytes: usize,
        visit: &mut dyn FnMut(core::Stored),
    ) -> Result<(), core::ReadFailed> {
        let position = Position::new(position);
        let read = self.journal.read(position, bytes, &mut |position, kind, body| {
            visit(core::Stored { position: position.value(), kind, body });
        });
        read.map_err(|error| {
            tracing::error!(%error, "stored messages cannot be read back");
            core::ReadFailed { reason: error.to_string() }
        })
    }

    fn end(&self) -> u64 {
        self.journal.end().value()
    }

    fn retain(&self, segment: u64, bytes: u64) {
        let segment = Position::new(segment);
        let mut left = bytes;
        while left > 0 {
            // A place counts no more than this at once.
            let bytes = u32::try_from(left).unwrap_or(u32::MAX);
            if let Err(error) = self.journal.retain(Place { segment, position: segment, bytes }) {
                tracing::error!(%error, "messages are kept that lie nowhere");
                return;
            }
            left -= u64::from(bytes);
        }
    }

    fn release(&self, segment: u64, bytes: u64) {
        if let Err(error) = self.journal.release(Position::new(segment), bytes) {
            tracing::warn!(%error, "messages were let go of that lay nowhere");
        }
    }
}

pub(super) fn place_in_core(place: journal::Place) -> core::Place {
    core::Place {
        segment: place.segment.value(),
        position: place.position.value(),
        bytes: place.bytes,
    }
}
