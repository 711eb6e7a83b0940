//! Keeps the journal short: snapshots, so that a restart has little to read; removal of what
//! nobody needs; and a bound on all of it.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use broker_core::{Broker, Limits, Now, Wakes};
use journal::{SegmentState, SnapshotError};

use super::Carry;
use super::adapter::FileJournal;
use super::room::Call;
use crate::Clock;

/// How often it looks whether there is something to do.
const TICK: Duration = Duration::from_millis(250);

/// How long segments without anything live may wait for a snapshot that lets them go, at least.
const RECLAIM_MS_MIN: u64 = 10_000;

/// How long a full journal is left alone that nothing more could be taken from.
const FULL_MS: u64 = 1000;

/// Snapshots for the sake of space take at most one part in so many of the time.
const SNAPSHOT_TIME_SHARE: u64 = 20;

/// A segment of which at most one part in so many is live is moved forward.
const LIVE_SHARE: u64 = 4;

/// As [`LIVE_SHARE`], where three quarters of the journal's bound are taken.
const LIVE_SHARE_WHEN_SHORT: u64 = 2;

/// Where the journal is full, one part in so many of it is freed at once, or else a segment.
const FREED_SHARE: u64 = 16;

/// Moving adds at most one part in so many to what is written between two snapshots.
const MOVED_SHARE: u64 = 4;

/// Does the journal's upkeep.
#[derive(Debug)]
pub(super) struct Keeper {
    pub(super) broker: Arc<Broker>,
    pub(super) store: Arc<FileJournal>,
    pub(super) clock: Clock,
    snapshot_bytes: u64,
    journal_bytes_max: u64,
    segment_bytes_max: u64,
    schedule: Mutex<Schedule>,
}

#[derive(Debug, Default)]
struct Schedule {
    /// No snapshot is taken before for the sake of segments without anything live.
    reclaim_from: Now,
    /// Nothing is done before about a journal that is full.
    full_from: Now,
}

impl Keeper {
    pub(super) fn new(
        broker: Arc<Broker>,
        store: Arc<FileJournal>,
        clock: Clock,
        limits: &Limits,
    ) -> Self {
        Self {
            broker,
            store,
            clock,
            snapshot_bytes: limits.journal_snapshot_bytes,
            journal_bytes_max: limits.journal_bytes_max,
            segment_bytes_max: limits.journal_segment_bytes_max,
            schedule: Mutex::default(),
        }
    }

    /// Keeps the journal until it is stopped, or the journal has failed.
    pub(super) fn run(&self, carry: &Carry) {
        while self.store.journal.failure().is_none() {
            let mut wakes = Wakes::new();
            if let Err(error) = self.keep(&mut wakes) {
                tracing::error!(%error, "the journal could not be kept short");
                self.put_off_reclaiming(RECLAIM_MS_MIN);
                self.schedule().full_from = self.clock.now().plus_ms(FULL_MS);
            }
            if self.store.room.let_go_on(&self.store.journal) {
                self.broker.handle_progress(&mut wakes);
            }
            carry(&mut wakes);
            if self.store.room.wait_for_call(TICK) == Call::Stop {
                break;
            }
        }
    }

    pub(super) fn stop(&self) {
        self.store.room.stop();
    }

    /// Does what is to be done now.
    fn keep(&self, wakes: &mut Wakes) -> Result<(), SnapshotError> {
        let journal = &self.store.journal;
        let is_due = journal.end() - journal.snapshot_position() >= self.snapshot_bytes;
        if is_due || self.may_reclaim() && self.has_dead_segments() {
            self.snapshot()?;
            self.move_forward();
        }
        // Publishers go on meanwhile, so what was freed may be taken again.
        while self.surplus() > 0 && self.clock.now() >= self.schedule().full_from {
            if self.give_up_oldest(wakes)? == 0 {
                // What is left is not yet durable.
                self.schedule().full_from = self.clock.now().plus_ms(FULL_MS);
            }
        }
        Ok(())
    }

    /// Writes a snapshot, and removes the segments that it makes superfluous. Gives how many those
    /// were.
    pub(super) fn snapshot(&self) -> Result<usize, SnapshotError> {
        let (journal, started) = (&self.store.journal, self.clock.now());
        // Each topic is told as it is when its turn comes, and says itself up to where that is. So
        // this position, which is before them all, is no later than it may be.
        let position = journal.end();
        journal.write_snapshot(position, &mut |sink| {
            let mut result = Ok(());
            let told = self.broker.snapshot(&mut |kind, body| {
                if result.is_ok() {
                    result = sink.put(kind, &[body]);
                }
            });
            result?;
            told.map_err(|failed| SnapshotError::Caller(failed.into()))?;
            // It speaks of records that came in the meantime: it counts only once they are safe.
            journal.sync()?;
            Ok(())
        })?;
        let removed = journal.remove_dead()?;
        let took_ms = self.clock.now().ms_since(started);
        self.put_off_reclaiming(RECLAIM_MS_MIN.max(took_ms.saturating_mul(SNAPSHOT_TIME_SHARE)));
        tracing::debug!(%position, took_ms, removed_segments = removed.len(), "took a snapshot");
        Ok(removed.len())
    }

    /// Moves what is live in mostly dead segments to the journal's end, the emptiest first. The
    /// next snapshot lets the segments go. Gives how many bytes were moved.
    fn move_forward(&self) -> u64 {
        let snapshot_position = self.store.journal.snapshot_position();
        let file_bytes = self.store.room.file_bytes(&self.store.journal);
        let is_short = file_bytes > self.journal_bytes_max / 4 * 3;
        let share = if is_short { LIVE_SHARE_WHEN_SHORT } else { LIVE_SHARE };
        let mut mostly_dead: Vec<SegmentState> = self
            .closed_segments()
            .into_iter()
            .filter(|segment| segment.end <= snapshot_position)
            .filter(|segment| (1..=segment.file_bytes / share).contains(&segment.live_bytes))
            .collect();
        mostly_dead.sort_by_key(|segment| segment.live_bytes);
        let (mut left, mut moved) = (self.snapshot_bytes / MOVED_SHARE, 0);
        for segment in mostly_dead {
            if segment.live_bytes > left || self.store.journal.is_congested() {
                break;
            }
            left -= segment.live_bytes;
            match self.broker.move_stored(segment.base.value()) {
                Ok(moved_bytes) => {
                    moved += moved_bytes;
                    tracing::debug!(segment = %segment.base, moved_bytes, "moved messages forward");
                }
                Err(error) => {
                    tracing::warn!(segment = %segment.base, %error, "messages stay where they are");
                }
            }
        }
        moved
    }

    /// Brings the journal below its bound: with what nobody needs if that is enough, with the
    /// segments that little is needed of, or else with the oldest messages. Gives how many
    /// segments were removed.
    fn give_up_oldest(&self, wakes: &mut Wakes) -> Result<usize, SnapshotError> {
        let mut removed = 0;
        if self.has_dead_segments() {
            removed += self.snapshot()?;
        }
        if self.surplus() > 0 && self.move_forward() > 0 {
            // The old places of what moved are let go of once the new ones are written.
            self.store.journal.sync()?;
            self.broker.handle_progress(wakes);
            removed += self.snapshot()?;
        }
        let Some(position) = self.position_to_keep() else { return Ok(removed) };
        let messages = self.broker.drop_stored_before(position, wakes);
        if messages > 0 {
            tracing::warn!(
                messages,
                journal_bytes_max = self.journal_bytes_max,
                "gave up the oldest messages of all topics, since the journal is full; raise \
                 journal_bytes_max, or have topics keep less"
            );
        }
        removed += self.snapshot()?;
        Ok(removed)
    }

    /// The position before which all has to go, if anything has to.
    fn position_to_keep(&self) -> Option<u64> {
        let mut surplus = Some(self.surplus()).filter(|surplus| *surplus > 0)?;
        surplus += self.segment_bytes_max.max(self.journal_bytes_max / FREED_SHARE);
        let closed = self.closed_segments();
        for segment in &closed {
            surplus = surplus.saturating_sub(segment.file_bytes);
            if surplus == 0 {
                return Some(segment.base.value() + segment.file_bytes);
            }
        }
        closed.last().map(|last| last.base.value() + last.file_bytes)
    }

    fn has_dead_segments(&self) -> bool {
        self.closed_segments().iter().any(|segment| segment.live_bytes == 0)
    }

    /// All segments but the one that is written to.
    fn closed_segments(&self) -> Vec<SegmentState> {
        let mut segments = self.store.journal.segments();
        segments.pop();
        segments
    }

    fn surplus(&self) -> u64 {
        self.store.room.surplus(&self.store.journal)
    }

    fn may_reclaim(&self) -> bool {
        self.clock.now() >= self.schedule().reclaim_from
    }

    fn put_off_reclaiming(&self, ms: u64) {
        self.schedule().reclaim_from = self.clock.now().plus_ms(ms);
    }

    fn schedule(&self) -> MutexGuard<'_, Schedule> {
        self.schedule.lock().expect("no thread panics while it holds the schedule")
    }
}
