//! What is retained in segments that the journal has yet to make.
//!
//! A record has its place when it is appended, and its segment is made when it is written. The
//! journal counts what is live in the segments that there are; until then it is counted here.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard};

use journal::{Journal, Place, Position};

/// Live bytes of segments that are not made yet.
#[derive(Debug, Default)]
pub(super) struct EarlyBytes {
    /// By the base of their segment.
    retained: Mutex<BTreeMap<u64, u64>>,
    /// Whether there may be any; there hardly ever are.
    some: AtomicBool,
}

impl EarlyBytes {
    pub(super) fn retain(&self, journal: &Journal, segment: u64, bytes: u64) {
        if tell_retained(journal, segment, bytes) {
            return;
        }
        let mut retained = self.lock();
        *retained.entry(segment).or_default() += bytes;
        self.some.store(true, Ordering::Release);
    }

    pub(super) fn release(&self, journal: &Journal, segment: u64, bytes: u64) {
        if self.some.load(Ordering::Acquire) {
            let mut retained = self.lock();
            if let Some(early) = retained.get_mut(&segment) {
                if !tell_retained(journal, segment, *early) {
                    *early = early.saturating_sub(bytes);
                    return;
                }
                retained.remove(&segment);
            }
        }
        if let Err(error) = journal.release(Position::new(segment), bytes) {
            tracing::warn!(%error, "messages were let go of that lay nowhere");
        }
    }

    /// Tells the journal what is retained in segments that it has made by now.
    pub(super) fn settle(&self, journal: &Journal) {
        if !self.some.load(Ordering::Acquire) {
            return;
        }
        let mut retained = self.lock();
        retained.retain(|segment, bytes| !tell_retained(journal, *segment, *bytes));
        self.some.store(!retained.is_empty(), Ordering::Release);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, u64>> {
        self.retained.lock().expect("no thread panics while it counts bytes")
    }
}

/// Tells the journal that bytes of a segment are needed. Gives whether it has that segment.
fn tell_retained(journal: &Journal, segment: u64, bytes: u64) -> bool {
    let segment = Position::new(segment);
    let mut left = bytes;
    while left > 0 {
        // A place counts no more than this at once.
        let bytes = u32::try_from(left).unwrap_or(u32::MAX);
        if journal.retain(Place { segment, position: segment, bytes }).is_err() {
            return false;
        }
        left -= u64::from(bytes);
    }
    true
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use journal::storage::SimulatedDisk;
    use journal::{Level, Options, RecoverMode};

    use super::*;

    const SEGMENT_BYTES: u64 = 4096;

    fn journal() -> Journal {
        let options = Options {
            segment_bytes_first: SEGMENT_BYTES,
            segment_bytes_max: SEGMENT_BYTES,
            ..Options::default()
        };
        let disk = Arc::new(SimulatedDisk::new(1 << 20));
        let opened = Journal::open(disk, options, RecoverMode::Refuse, &mut |_| Ok(()));
        opened.expect("a new journal").0
    }

    #[track_caller]
    fn check_live(journal: &Journal, expected: &[(u64, u64)]) {
        let live = journal.segments().into_iter().map(|at| (at.base.value(), at.live_bytes));
        assert_eq!(live.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn what_is_retained_before_its_segment_is_made_is_told_afterwards() {
        let (journal, early) = (journal(), EarlyBytes::default());
        let body = [0; 3000];
        let places = [0, 1].map(|_| {
            let place = journal.append(1, &[&body], Level::Synced).expect("appended");
            early.retain(&journal, place.segment.value(), u64::from(place.bytes));
            place
        });
        let bytes = u64::from(places[0].bytes);
        assert_eq!(places[1].segment.value(), SEGMENT_BYTES, "the second has no room in the first");
        check_live(&journal, &[(0, bytes)]);
        early.settle(&journal);
        check_live(&journal, &[(0, bytes)]);
        journal.commit().expect("committed");
        early.settle(&journal);
        check_live(&journal, &[(0, bytes), (SEGMENT_BYTES, bytes)]);
        early.settle(&journal);
        check_live(&journal, &[(0, bytes), (SEGMENT_BYTES, bytes)]);
    }

    #[test]
    fn what_is_released_before_or_after_its_segment_is_made_is_not_counted() {
        let (journal, early) = (journal(), EarlyBytes::default());
        journal.append(1, &[&[0; 3000]], Level::Synced).expect("appended");
        let place = journal.append(1, &[&[0; 3000]], Level::Synced).expect("appended");
        let (segment, bytes) = (place.segment.value(), u64::from(place.bytes));
        early.retain(&journal, segment, bytes);
        early.release(&journal, segment, bytes - 8);
        journal.commit().expect("committed");
        early.release(&journal, segment, 8);
        early.settle(&journal);
        check_live(&journal, &[(0, 0), (SEGMENT_BYTES, 0)]);
    }
}
