//! The segments there are: where each begins and ends, how much of it is live, and its open file.

use crate::segment::segment_name;
use crate::storage::{Access, Storage, StorageFile};
use crate::{Position, SegmentMissing};
use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, RwLock};

/// Files that are kept open for reading; past it, all are closed and opened as they are read.
const FILES_OPEN_MAX: usize = 256;

/// A segment, and its file.
pub(crate) type OpenSegment = (Span, Arc<dyn StorageFile>);

/// From where to where a segment is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) base: Position,
    pub(crate) bytes: u64,
}

impl Span {
    pub(crate) fn end(self) -> Position {
        self.base + self.bytes
    }

    pub(crate) fn holds(self, position: Position) -> bool {
        (self.base..self.end()).contains(&position)
    }
}

/// What is known of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentState {
    /// Where it begins.
    pub base: Position,
    /// Where its records end: behind its last byte, or at the journal's end.
    pub end: Position,
    /// Bytes of frames that were retained and not released.
    pub live_bytes: u64,
    /// Bytes that it takes on the medium.
    pub file_bytes: u64,
}

#[derive(Debug)]
struct Segment {
    span: Span,
    live_bytes: AtomicU64,
    /// The last snapshot that was begun before live bytes were last released, counted.
    released_after: AtomicU64,
    file: Mutex<Option<Arc<dyn StorageFile>>>,
}

/// All segments that hold records.
#[derive(Debug)]
pub(crate) struct Segments {
    table: RwLock<BTreeMap<Position, Arc<Segment>>>,
    /// Snapshots begun; the one that was found counts as the first.
    snapshots_begun: AtomicU64,
    /// The last snapshot that was written, in the same count.
    snapshot_written: AtomicU64,
}

impl Default for Segments {
    fn default() -> Self {
        Self {
            table: RwLock::default(),
            snapshots_begun: AtomicU64::new(1),
            snapshot_written: AtomicU64::new(1),
        }
    }
}

impl Segments {
    /// Adds a segment. Its file need not be made yet: nobody reads from it before it is written.
    pub(crate) fn insert(&self, span: Span) {
        let segment = Segment {
            span,
            live_bytes: AtomicU64::new(0),
            released_after: AtomicU64::new(0),
            file: Mutex::new(None),
        };
        self.table_mut().insert(span.base, Arc::new(segment));
    }

    /// Says which file is a segment's.
    pub(crate) fn give_file(&self, span: Span, file: Arc<dyn StorageFile>) {
        if let Some(segment) = self.table().get(&span.base) {
            *lock(&segment.file) = Some(file);
        }
    }

    /// The segment that holds a position, and its file.
    pub(crate) fn open(
        &self,
        storage: &dyn Storage,
        position: Position,
    ) -> Result<Option<OpenSegment>, (Span, io::Error)> {
        let Some(segment) = self.holding(position) else { return Ok(None) };
        let mut file = lock(&segment.file);
        if let Some(file) = &*file {
            return Ok(Some((segment.span, Arc::clone(file))));
        }
        let name = segment_name(segment.span.base);
        let opened = storage.open(&name, Access::Read).map_err(|error| (segment.span, error))?;
        *file = Some(Arc::clone(&opened));
        drop(file);
        self.close_some();
        Ok(Some((segment.span, opened)))
    }

    pub(crate) fn retain(&self, segment: Position, bytes: u64) -> Result<(), SegmentMissing> {
        let table = self.table();
        let segment = table.get(&segment).ok_or(SegmentMissing(segment))?;
        segment.live_bytes.fetch_add(bytes, Ordering::Relaxed);
        Ok(())
    }

    pub(crate) fn release(&self, segment: Position, bytes: u64) -> Result<(), SegmentMissing> {
        let table = self.table();
        let segment = table.get(&segment).ok_or(SegmentMissing(segment))?;
        // Before the bytes go, so that whoever finds it empty knows since when.
        let begun = self.snapshots_begun.load(Ordering::SeqCst);
        segment.released_after.fetch_max(begun, Ordering::SeqCst);
        let before = segment.live_bytes.fetch_sub(bytes, Ordering::SeqCst);
        assert!(before >= bytes, "no more is released than was retained");
        Ok(())
    }

    /// A snapshot begins, whose records do not name what was released before. Gives its number.
    pub(crate) fn begin_snapshot(&self) -> u64 {
        self.snapshots_begun.fetch_add(1, Ordering::SeqCst) + 1
    }

    /// The snapshot of this number is written.
    pub(crate) fn end_snapshot(&self, number: u64) {
        self.snapshot_written.store(number, Ordering::SeqCst);
    }

    pub(crate) fn states(&self, journal_end: Position) -> Vec<SegmentState> {
        let state = |segment: &Arc<Segment>| SegmentState {
            base: segment.span.base,
            end: segment.span.end().min(journal_end).max(segment.span.base),
            live_bytes: segment.live_bytes.load(Ordering::Relaxed),
            file_bytes: segment.span.bytes,
        };
        self.table().values().map(state).collect()
    }

    /// Takes out the segments that end at or before `position`, that of the last snapshot, and
    /// hold nothing live, and did not when it was begun.
    pub(crate) fn take_dead(&self, position: Position) -> Vec<Span> {
        let written = self.snapshot_written.load(Ordering::SeqCst);
        let mut dead = Vec::new();
        self.table_mut().retain(|_, segment| {
            let is_empty = segment.live_bytes.load(Ordering::SeqCst) == 0;
            // What was released later may be named by it.
            let was_empty = segment.released_after.load(Ordering::SeqCst) < written;
            let is_dead = segment.span.end() <= position && is_empty && was_empty;
            if is_dead {
                dead.push(segment.span);
            }
            !is_dead
        });
        dead
    }

    fn holding(&self, position: Position) -> Option<Arc<Segment>> {
        let table = self.table();
        let (_, segment) = table.range(..=position).next_back()?;
        segment.span.holds(position).then(|| Arc::clone(segment))
    }

    /// Whoever reads from a file that is closed here keeps it until he is done.
    fn close_some(&self) {
        let table = self.table();
        let open = table.values().filter(|segment| lock(&segment.file).is_some()).count();
        if open > FILES_OPEN_MAX {
            for segment in table.values() {
                *lock(&segment.file) = None;
            }
        }
    }

    fn table(&self) -> std::sync::RwLockReadGuard<'_, BTreeMap<Position, Arc<Segment>>> {
        self.table.read().expect("nothing panics while it changes the table")
    }

    fn table_mut(&self) -> std::sync::RwLockWriteGuard<'_, BTreeMap<Position, Arc<Segment>>> {
        self.table.write().expect("nothing panics while it changes the table")
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().expect("nothing panics under this lock")
}
