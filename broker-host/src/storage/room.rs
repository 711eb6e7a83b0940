//! How much the journal's files take, and what happens when that is more than they may.
//!
//! The files are looked at whenever a segment is begun. Where they take more than their bound, the
//! keeper is called; where it does not free enough before two more segments are begun, publishers
//! are held until it has.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::Duration;

use broker_core::Limits;
use journal::{Journal, Position};

/// Segments beyond the bound that may be begun before publishers are held.
const SEGMENTS_BEYOND: u64 = 2;

/// Knows how much the files take.
#[derive(Debug)]
pub(super) struct Room {
    journal_bytes_max: u64,
    segment_bytes_max: u64,
    /// The last segment that was seen to be begun.
    newest_segment: AtomicU64,
    /// Publishers are held.
    is_exceeded: AtomicBool,
    calls: Mutex<Calls>,
    called: Condvar,
}

/// What the keeper is called for.
#[derive(Debug, Default)]
struct Calls {
    to_stop: bool,
    to_free: bool,
}

/// Whether the keeper goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Call {
    GoOn,
    Stop,
}

impl Room {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            journal_bytes_max: limits.journal_bytes_max,
            segment_bytes_max: limits.journal_segment_bytes_max,
            newest_segment: AtomicU64::new(0),
            is_exceeded: AtomicBool::new(false),
            calls: Mutex::default(),
            called: Condvar::new(),
        }
    }

    /// A record was appended that lies in `segment`.
    pub(super) fn note_appended(&self, journal: &Journal, segment: Position) {
        let segment = segment.value();
        if segment > self.newest_segment.load(Ordering::Relaxed)
            && segment > self.newest_segment.fetch_max(segment, Ordering::Relaxed)
        {
            let surplus = self.surplus(journal);
            if surplus > self.surplus_max() {
                self.is_exceeded.store(true, Ordering::SeqCst);
            }
            if surplus > 0 {
                self.lock().to_free = true;
                self.called.notify_all();
            }
        }
    }

    /// Lets publishers go on where there is room again. Gives whether they were held: the caller
    /// wakes them.
    pub(super) fn let_go_on(&self, journal: &Journal) -> bool {
        let has_room = self.surplus(journal) <= self.surplus_max();
        has_room && self.is_exceeded.swap(false, Ordering::SeqCst)
    }

    /// Beyond it publishers are held.
    fn surplus_max(&self) -> u64 {
        SEGMENTS_BEYOND * self.segment_bytes_max
    }

    /// Whether publishers are held.
    pub(super) fn is_exceeded(&self) -> bool {
        self.is_exceeded.load(Ordering::SeqCst)
    }

    /// Bytes that the files take beyond their bound.
    pub(super) fn surplus(&self, journal: &Journal) -> u64 {
        self.file_bytes(journal).saturating_sub(self.journal_bytes_max)
    }

    /// Bytes of all segments, the one that is made ahead among them.
    pub(super) fn file_bytes(&self, journal: &Journal) -> u64 {
        let bytes: u64 = journal.segments().iter().map(|segment| segment.file_bytes).sum();
        bytes + self.segment_bytes_max
    }

    /// Waits until the keeper is called, or `at_most`.
    pub(super) fn wait_for_call(&self, at_most: Duration) -> Call {
        let calls = self.lock();
        let waits = |calls: &mut Calls| !calls.to_stop && !calls.to_free;
        let (mut calls, _) = self.called.wait_timeout_while(calls, at_most, waits).expect(LOCK);
        calls.to_free = false;
        if calls.to_stop { Call::Stop } else { Call::GoOn }
    }

    /// Calls the keeper to stop.
    pub(super) fn stop(&self) {
        self.lock().to_stop = true;
        self.called.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Calls> {
        self.calls.lock().expect(LOCK)
    }
}

const LOCK: &str = "no thread panics while it calls the keeper";
