//! The journal as its callers see it.

use crate::committer::Medium;
use crate::frame::{BodySum, KIND_MAX, Seed};
use crate::preparation::Preparation;
use crate::recovery::{self, OpenReport, RecoverMode, Recovered};
use crate::segment::segment_name;
use crate::segments::{SegmentState, Segments};
use crate::storage::{Lock, Storage};
use crate::tail::{Record, Tail};
use crate::{
    AppendError, JournalFailed, JournalId, Level, OpenError, Options, Place, Position, Reached,
    SegmentMissing, VisitError,
};
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Instant;

/// One append-only sequence of records. See the [crate's page](crate) for its promises.
///
/// All of its methods may be called by any thread at any time. Dropping it writes nothing: what was
/// not committed is lost, as it would be in a crash; [`close`](Self::close) is the orderly end.
#[derive(Debug)]
pub struct Journal {
    storage: Arc<dyn Storage>,
    options: Options,
    id: JournalId,
    seed: Seed,
    tail: Mutex<Tail>,
    work: Condvar,
    medium: Mutex<Medium>,
    preparation: Preparation,
    segments: Segments,
    /// Held while `written` and `synced` change, so that they stand still after a failure.
    failure: Mutex<Option<JournalFailed>>,
    has_failed: AtomicBool,
    end: AtomicU64,
    written: AtomicU64,
    synced: AtomicU64,
    sealed: AtomicU64,
    pub(crate) snapshot_position: AtomicU64,
    /// Held while a snapshot is written or dead segments are removed.
    pub(crate) upkeep: Mutex<()>,
    _lock: Box<dyn Lock>,
}

impl Journal {
    /// Opens the journal that is in `storage`, or makes one there.
    ///
    /// `visit` is given the records of the last snapshot, then those that were appended after it,
    /// in order. When the end was torn by a loss of power, the torn part is cut, and the report
    /// says so; nothing that was ever synced is cut.
    ///
    /// # Errors
    /// When the journal is in use, when the medium fails, when `visit` refuses a record, or when
    /// what was durable is not as it was written. [`RecoverMode::Quarantine`] sets aside what is
    /// damaged instead.
    pub fn open(
        storage: Arc<dyn Storage>,
        options: Options,
        mode: RecoverMode,
        visit: &mut dyn FnMut(Recovered<'_>) -> Result<(), VisitError>,
    ) -> Result<(Self, OpenReport), OpenError> {
        options.check()?;
        let lock = recovery::lock(&*storage)?;
        let restored = recovery::restore(&storage, &options, mode, visit)?;
        let (span, end, buffer_bytes) =
            (restored.current, restored.report.end, options.buffer_bytes_max);
        let segments = Segments::default();
        for segment in &restored.segments {
            segments.insert(*segment);
        }
        let sealed = if restored.report.was_sealed { end } else { Position::ZERO };
        let journal = Self {
            id: restored.id,
            seed: Seed::of_journal(&restored.id.0),
            tail: Mutex::new(Tail::new(span, end, buffer_bytes)),
            work: Condvar::new(),
            medium: Mutex::new(Medium::new(span, restored.file, end, buffer_bytes)),
            preparation: Preparation::new(span, restored.next),
            segments,
            failure: Mutex::new(None),
            has_failed: AtomicBool::new(false),
            end: AtomicU64::new(end.value()),
            written: AtomicU64::new(end.value()),
            synced: AtomicU64::new(end.value()),
            sealed: AtomicU64::new(sealed.value()),
            snapshot_position: AtomicU64::new(restored.report.snapshot_position.value()),
            upkeep: Mutex::new(()),
            storage,
            options,
            _lock: lock,
        };
        Ok((journal, restored.report))
    }

    /// Appends a record whose body is these pieces, one after the other. It waits for no medium:
    /// the record is in a buffer when this returns, and durable once [`reached`](Self::reached)
    /// says so.
    ///
    /// # Errors
    /// When the journal has failed or was closed, or when the record is none it takes.
    pub fn append(&self, kind: u8, body: &[&[u8]], level: Level) -> Result<Place, AppendError> {
        if !(1..=KIND_MAX).contains(&kind) {
            return Err(AppendError::Kind(kind));
        }
        let limit = self.options.record_bytes_max;
        let sum = BodySum::of(body).filter(|sum| sum.length <= limit).ok_or_else(|| {
            AppendError::TooLarge {
                bytes: body.iter().map(|piece| piece.len() as u64).sum(),
                limit,
            }
        })?;
        let record = Record { kind, body, sum, level };
        let (place, wakes_committer) = {
            let mut tail = self.tail();
            if let Some(failed) = self.failure() {
                return Err(failed.into());
            }
            if tail.is_closed {
                return Err(AppendError::Closed);
            }
            let synced = self.synced_position();
            (self.append_to(&mut tail, record, synced), tail.wakes_committer())
        };
        if wakes_committer {
            self.work.notify_all();
        }
        Ok(place)
    }

    /// How far the journal has come.
    pub fn reached(&self) -> Reached {
        // In this order, so that `synced` is never past `written`.
        let synced = self.synced_position();
        let written = Position::new(self.written.load(Ordering::Acquire));
        Reached { written, synced }
    }

    /// Why the journal has failed, if it has.
    pub fn failure(&self) -> Option<JournalFailed> {
        if self.has_failed() { self.failure_slot().clone() } else { None }
    }

    /// Whether so much waits to be written that no more should be appended for now.
    pub fn is_congested(&self) -> bool {
        let waiting = self.end() - Position::new(self.written.load(Ordering::Acquire));
        waiting > self.options.buffer_bytes_max as u64
    }

    /// The position after the last record. All that is appended later is at or behind it.
    pub fn end(&self) -> Position {
        Position::new(self.end.load(Ordering::Acquire))
    }

    /// Counts a record as live: its segment is kept until it is released.
    ///
    /// # Errors
    /// When there is no such segment.
    pub fn retain(&self, place: Place) -> Result<(), SegmentMissing> {
        self.segments.retain(place.segment, u64::from(place.bytes))
    }

    /// Counts so many bytes of a segment as live no more.
    ///
    /// # Errors
    /// When there is no such segment.
    ///
    /// # Panics
    /// When more is released than was retained.
    pub fn release(&self, segment: Position, bytes: u64) -> Result<(), SegmentMissing> {
        self.segments.release(segment, bytes)
    }

    /// All segments, in order.
    pub fn segments(&self) -> Vec<SegmentState> {
        self.segments.states(self.end())
    }

    /// Removes the segments that end at or before the last snapshot's position and hold nothing
    /// live, nor did when it was begun: a snapshot may name what was released later. Gives what
    /// they were.
    ///
    /// # Errors
    /// When the medium fails, after which the journal has failed for good.
    pub fn remove_dead(&self) -> Result<Vec<SegmentState>, JournalFailed> {
        let _upkeep = self.upkeep.lock().expect("nothing panics during upkeep");
        if let Some(failed) = self.failure() {
            return Err(failed);
        }
        let dead = self.segments.take_dead(self.snapshot_position());
        for span in &dead {
            let name = segment_name(span.base);
            self.storage.remove(&name).map_err(|error| self.fail("remove", name, error))?;
        }
        if !dead.is_empty() {
            self.sync_dir()?;
        }
        let state = |span: crate::segments::Span| SegmentState {
            base: span.base,
            end: span.end(),
            live_bytes: 0,
            file_bytes: span.bytes,
        };
        Ok(dead.into_iter().map(state).collect())
    }

    /// The position of the last snapshot; that of the first record if there is none.
    pub fn snapshot_position(&self) -> Position {
        Position::new(self.snapshot_position.load(Ordering::Acquire))
    }

    /// Commits all that was appended, syncs it, and writes a seal, which proves at the next opening
    /// that nothing is missing. Nothing can be appended any more; [`run`](Self::run) ends.
    ///
    /// # Errors
    /// When the journal has failed, or fails now.
    pub fn close(&self) -> Result<Reached, JournalFailed> {
        self.tail().is_closed = true;
        let sealed = self.seal();
        self.work.notify_all();
        sealed.map(|()| self.reached())
    }

    pub(crate) fn storage(&self) -> &dyn Storage {
        &*self.storage
    }

    pub(crate) fn options(&self) -> &Options {
        &self.options
    }

    pub(crate) fn id(&self) -> JournalId {
        self.id
    }

    pub(crate) fn seed(&self) -> Seed {
        self.seed
    }

    pub(crate) fn preparation(&self) -> &Preparation {
        &self.preparation
    }

    pub(crate) fn segments_table(&self) -> &Segments {
        &self.segments
    }

    pub(crate) fn tail(&self) -> MutexGuard<'_, Tail> {
        self.tail.lock().expect("nothing panics while it appends")
    }

    pub(crate) fn medium(&self) -> MutexGuard<'_, Medium> {
        self.medium.lock().expect("nothing panics while it commits")
    }

    pub(crate) fn append_to(&self, tail: &mut Tail, record: Record<'_>, synced: Position) -> Place {
        let segment = tail.segment;
        let place = tail.append(record, self.seed, synced, &self.options);
        if tail.segment != segment {
            self.segments.insert(tail.segment);
        }
        self.end.store(tail.end.value(), Ordering::Release);
        place
    }

    /// Sleeps until somebody appends, closes or fails, or until `due`.
    pub(crate) fn sleep<'a>(
        &self,
        tail: MutexGuard<'a, Tail>,
        due: Option<Instant>,
    ) -> MutexGuard<'a, Tail> {
        let poisoned = "nothing panics while it appends";
        match due {
            None => self.work.wait(tail).expect(poisoned),
            Some(due) => {
                let timeout = due.saturating_duration_since(Instant::now());
                self.work.wait_timeout(tail, timeout).expect(poisoned).0
            }
        }
    }

    /// Wakes the committer, so that it looks around.
    pub(crate) fn wake_committer(&self) {
        if std::mem::take(&mut self.tail().committer_sleeps) {
            self.work.notify_all();
        }
    }

    pub(crate) fn note_sealed(&self, end: Position) {
        self.sealed.store(end.value(), Ordering::Release);
    }

    pub(crate) fn is_sealed(&self, end: Position) -> bool {
        self.sealed.load(Ordering::Acquire) == end.value()
    }

    pub(crate) fn has_failed(&self) -> bool {
        self.has_failed.load(Ordering::Acquire)
    }

    /// Moves `written` to `end`, unless the journal has failed in the meantime.
    pub(crate) fn advance_written(&self, end: Position) {
        if self.failure_slot().is_none() {
            self.written.store(end.value(), Ordering::Release);
        }
    }

    /// Moves `synced` to `end`, unless the journal has failed in the meantime.
    pub(crate) fn advance_synced(&self, end: Position) {
        if self.failure_slot().is_none() {
            self.synced.store(end.value(), Ordering::Release);
        }
    }

    /// The journal has failed; the first reason stays.
    pub(crate) fn fail(
        &self,
        action: &'static str,
        file: String,
        source: io::Error,
    ) -> JournalFailed {
        let failed = JournalFailed { action, file, source: Arc::new(source) };
        let first = self.failure_slot().get_or_insert(failed).clone();
        if !self.has_failed.swap(true, Ordering::AcqRel) {
            tracing::error!(error = %first, "the journal has failed");
        }
        self.wake_committer();
        first
    }

    pub(crate) fn sync_dir(&self) -> Result<(), JournalFailed> {
        self.storage.sync_dir().map_err(|error| self.fail("sync", self.storage.describe(), error))
    }

    fn failure_slot(&self) -> MutexGuard<'_, Option<JournalFailed>> {
        self.failure.lock().expect("nothing panics under this lock")
    }

    fn synced_position(&self) -> Position {
        Position::new(self.synced.load(Ordering::Acquire))
    }
}
