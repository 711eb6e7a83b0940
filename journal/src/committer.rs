//! Group commit: all that waits is written in one go and synced once.

use crate::frame::{BodySum, KIND_SEAL};
use crate::grouping::Grouping;
use crate::journal::Journal;
use crate::segment::segment_name;
use crate::segments::Span;
use crate::storage::{StorageFile, write_all_at};
use crate::tail::{Batch, Record};
use crate::{JournalFailed, Level, Position, Reached};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A batch shorter than this has zeros written behind it, so that those after it overwrite blocks
/// that were written before: syncing these changes nothing but their content, which costs a third
/// less than syncing blocks that are written for the first time.
const ZEROS_BATCH_BYTES_MAX: usize = 64 << 10;

/// So many zeros, and on to the next whole block.
const ZEROS_BYTES: u64 = 256 << 10;

/// What zeros are written up to a multiple of.
const BLOCK_BYTES: u64 = 4096;

/// What only one commit at a time may touch.
#[derive(Debug)]
pub(crate) struct Medium {
    /// The segment that is written to.
    pub(crate) segment: Span,
    pub(crate) file: Arc<dyn StorageFile>,
    /// Up to here the segment's blocks were written, if only with zeros.
    filled: Position,
    /// The buffer that the next commit gives to those who append.
    spare: Vec<u8>,
    pub(crate) grouping: Grouping,
}

impl Medium {
    pub(crate) fn new(
        segment: Span,
        file: Arc<dyn StorageFile>,
        end: Position,
        buffer_bytes: usize,
    ) -> Self {
        let spare = Vec::with_capacity(buffer_bytes);
        Self { segment, file, filled: end, spare, grouping: Grouping::default() }
    }
}

/// Whether a commit syncs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sync {
    /// If a record of the batch asks for it.
    AsAsked,
    /// In any case.
    Always,
}

type OnProgress<'a> = &'a mut dyn FnMut(Reached, Option<JournalFailed>);

/// Tells the caller of `run` how far the journal has come, once for each step.
struct Reporter<'a> {
    reported: Reached,
    on_progress: OnProgress<'a>,
}

impl Reporter<'_> {
    fn report(&mut self, reached: Reached) {
        if self.reported != reached {
            self.reported = reached;
            (self.on_progress)(reached, None);
        }
    }
}

/// What the committer has to do next.
#[derive(Debug, PartialEq, Eq)]
enum Work {
    Commit(Sync),
    Seal,
    Report,
    End,
}

impl Journal {
    /// One group commit: writes all that was appended, and syncs it if any record in it asks so.
    ///
    /// # Errors
    /// When the medium fails, after which the journal has failed for good.
    pub fn commit(&self) -> Result<Reached, JournalFailed> {
        self.commit_with(Sync::AsAsked, &mut |_| {})
    }

    /// Writes all that was appended, and syncs it whatever the records ask.
    ///
    /// # Errors
    /// When the medium fails, after which the journal has failed for good.
    pub fn sync(&self) -> Result<Reached, JournalFailed> {
        self.commit_with(Sync::Always, &mut |_| {})
    }

    /// The committer's loop: commits as records are appended, and ends once the journal is closed
    /// or has failed.
    ///
    /// `on_progress` is called, in this thread, whenever the journal has reached further, and once
    /// with the failure if there is one.
    pub fn run(&self, mut on_progress: impl FnMut(Reached, Option<JournalFailed>)) {
        std::thread::scope(|scope| {
            scope.spawn(|| self.attend_preparation());
            let _end = EndPreparation(self);
            self.run_committer(&mut on_progress);
        });
    }

    fn run_committer(&self, on_progress: OnProgress<'_>) {
        let mut reporter = Reporter { reported: Reached::default(), on_progress };
        let mut unsynced_since = None;
        loop {
            // What fails is found again by the next wait.
            match self.wait_for_work(reporter.reported, unsynced_since) {
                Work::Commit(sync) => drop(self.commit_with(sync, &mut |at| reporter.report(at))),
                Work::Seal => drop(self.seal()),
                Work::Report => {}
                Work::End => break,
            }
            let reached = self.reached();
            reporter.report(reached);
            if reached.written == reached.synced {
                unsynced_since = None;
            } else {
                unsynced_since = unsynced_since.or_else(|| Some(Instant::now()));
            }
        }
        reporter.report(self.reached());
        if let Some(failed) = self.failure() {
            (reporter.on_progress)(self.reached(), Some(failed));
        }
    }

    /// Waits until there is something to do: a batch to commit, a sync or a seal that is due.
    fn wait_for_work(&self, reported: Reached, unsynced_since: Option<Instant>) -> Work {
        let options = self.options();
        let sync_due = unsynced_since.map(|at| at + Duration::from_millis(options.sync_ms_max));
        let seal_due = Instant::now() + Duration::from_millis(options.seal_idle_ms);
        let grouping = self.medium().grouping;
        let mut group_due = None;
        let mut tail = self.tail();
        loop {
            if self.has_failed() {
                return Work::End;
            }
            let is_sync_due = || sync_due.is_some_and(|due| due <= Instant::now());
            let is_group_awaited = !tail.batch.is_empty()
                && !tail.batch.wants_write
                && tail.batch.syncs_wanted < grouping.size_awaited()
                && *group_due.get_or_insert_with(|| Instant::now() + grouping.wait_max())
                    > Instant::now();
            if !tail.batch.is_empty() && (!is_group_awaited || tail.is_closed) {
                return Work::Commit(if is_sync_due() { Sync::Always } else { Sync::AsAsked });
            }
            if tail.is_closed {
                return Work::End;
            }
            if is_sync_due() {
                return Work::Commit(Sync::Always);
            }
            if self.reached() != reported {
                return Work::Report;
            }
            let due = match sync_due {
                _ if is_group_awaited => group_due,
                Some(due) => Some(due),
                None if self.is_sealed(tail.end) => None,
                None if seal_due <= Instant::now() => return Work::Seal,
                None => Some(seal_due),
            };
            tail.syncs_awaited = if is_group_awaited { grouping.size_awaited() } else { 0 };
            tail.committer_sleeps = true;
            tail = self.sleep(tail, due);
            tail.committer_sleeps = false;
        }
    }

    fn commit_with(
        &self,
        sync: Sync,
        on_written: &mut dyn FnMut(Reached),
    ) -> Result<Reached, JournalFailed> {
        let reached = self.commit_to(&mut self.medium(), sync, on_written)?;
        // Whoever commits instead of the committer leaves it to tell.
        self.wake_committer();
        Ok(reached)
    }

    fn commit_to(
        &self,
        medium: &mut Medium,
        sync: Sync,
        on_written: &mut dyn FnMut(Reached),
    ) -> Result<Reached, JournalFailed> {
        if let Some(failed) = self.failure() {
            return Err(failed);
        }
        let (mut batch, end) = {
            let mut tail = self.tail();
            let spare = Batch { bytes: std::mem::take(&mut medium.spare), ..Batch::default() };
            (std::mem::replace(&mut tail.batch, spare), tail.end)
        };
        self.write(medium, &mut batch)?;
        self.advance_written(end);
        let wants_sync = batch.syncs_wanted > 0 || sync == Sync::Always;
        if wants_sync && self.reached().synced != end {
            if batch.wants_write {
                on_written(self.reached());
            }
            let began = Instant::now();
            self.sync_file(medium)?;
            self.advance_synced(end);
            if batch.syncs_wanted > 0 {
                medium.grouping.note(batch.syncs_wanted, began.elapsed());
            }
        }
        self.keep_buffer(medium, batch.bytes);
        Ok(self.reached())
    }

    fn write(&self, medium: &mut Medium, batch: &mut Batch) -> Result<(), JournalFailed> {
        for index in 0..batch.pieces.len() {
            let piece = batch.pieces[index];
            let next = batch.pieces.get(index + 1).map(|next| next.segment);
            // The segment that follows exists, durably, before the frame that points there.
            let next = match next {
                Some(span) => Some((span, self.next_segment(span)?)),
                None => None,
            };
            let end = batch.piece_end(index);
            let written = end - piece.start;
            if next.is_none() && written < ZEROS_BATCH_BYTES_MAX {
                put_zeros(medium, batch, piece.position + written as u64);
            }
            let end = if next.is_none() { batch.bytes.len() } else { end };
            let bytes = &batch.bytes[piece.start..end];
            let offset = piece.position - medium.segment.base;
            write_all_at(&*medium.file, offset, bytes)
                .map_err(|error| self.fail("write", segment_name(medium.segment.base), error))?;
            medium.filled = medium.filled.max(piece.position + bytes.len() as u64);
            if let Some((span, file)) = next {
                // Nothing is written to a segment before the one it follows is synced, so that
                // whatever is found there proves that nothing may be missing here.
                self.sync_file(medium)?;
                medium.filled = span.base;
                medium.segment = span;
                medium.file = Arc::clone(&file);
                self.segments_table().give_file(span, file);
            }
        }
        self.want_next_segment(medium, batch);
        Ok(())
    }

    /// Has the next segment made once this one is half full.
    fn want_next_segment(&self, medium: &Medium, batch: &Batch) {
        let Some(last) = batch.pieces.last() else { return };
        let is_half_full = last.position - medium.segment.base > medium.segment.bytes / 2;
        if is_half_full {
            let bytes = self.options().usual_segment_bytes_after(medium.segment.bytes);
            self.preparation().want(Span { base: medium.segment.end(), bytes });
        }
    }

    fn sync_file(&self, medium: &Medium) -> Result<(), JournalFailed> {
        medium
            .file
            .sync_data()
            .map_err(|error| self.fail("sync", segment_name(medium.segment.base), error))
    }

    fn keep_buffer(&self, medium: &mut Medium, mut buffer: Vec<u8>) {
        let usual = self.options().buffer_bytes_max;
        if buffer.capacity() > usual.saturating_mul(2) {
            buffer = Vec::with_capacity(usual);
        }
        buffer.clear();
        medium.spare = buffer;
    }

    /// Writes a seal if nothing was appended since the last sync, and there is none yet.
    pub(crate) fn seal(&self) -> Result<(), JournalFailed> {
        let mut medium = self.medium();
        self.commit_to(&mut medium, Sync::Always, &mut |_| {})?;
        {
            let mut tail = self.tail();
            let synced = self.reached().synced;
            if tail.end != synced || self.is_sealed(tail.end) {
                return Ok(());
            }
            let sum = BodySum::of(&[]).expect("nothing is short");
            let record = Record { kind: KIND_SEAL, body: &[], sum, level: Level::Synced };
            self.append_to(&mut tail, record, synced);
            self.note_sealed(tail.end);
        }
        self.commit_to(&mut medium, Sync::Always, &mut |_| {})?;
        self.give_memory_back(&mut medium);
        Ok(())
    }

    /// A journal at rest needs no memory for a burst that is over.
    fn give_memory_back(&self, medium: &mut Medium) {
        let bytes = self.options().buffer_bytes_max;
        medium.spare = Vec::with_capacity(bytes);
        let mut tail = self.tail();
        if tail.batch.is_empty() {
            tail.batch.bytes = Vec::with_capacity(bytes);
        }
    }
}

/// Appends zeros to a batch that ends at `end` with a block that was never written.
fn put_zeros(medium: &Medium, batch: &mut Batch, end: Position) {
    if end <= medium.filled {
        return;
    }
    let offset = end - medium.segment.base;
    let until = (offset + ZEROS_BYTES).next_multiple_of(BLOCK_BYTES).min(medium.segment.bytes);
    let zeros = until.saturating_sub(offset);
    batch.bytes.resize(batch.bytes.len() + zeros as usize, 0);
}

struct EndPreparation<'a>(&'a Journal);

impl Drop for EndPreparation<'_> {
    fn drop(&mut self) {
        self.0.preparation().end();
    }
}
