//! When messages came: sparse marks, so that a reader can begin at a time.

use crate::Now;
use std::collections::VecDeque;

/// A mark is set where so many bytes came since the last one, or so much time passed.
const MARK_BYTES_MIN: usize = 4096;
const MARK_MS_MIN: u64 = 10;

#[derive(Clone, Copy, Debug)]
struct Mark {
    offset: u64,
    at: Now,
}

/// Offsets and when they came, oldest first.
#[derive(Debug, Default)]
pub(super) struct Times {
    marks: VecDeque<Mark>,
    /// Bytes that came since the last mark.
    bytes: usize,
}

impl Times {
    /// Messages of so many bytes came, the first at `offset`.
    #[inline]
    pub(super) fn note(&mut self, offset: u64, bytes: usize, now: Now) {
        if let Some(last) = self.marks.back() {
            let ms = now.ms_since(last.at);
            if ms < MARK_MS_MIN && (ms == 0 || self.bytes < MARK_BYTES_MIN) {
                self.bytes += bytes;
                return;
            }
        }
        self.bytes = bytes;
        self.marks.push_back(Mark { offset, at: now });
    }

    /// An offset such that every message that came at `since` or later is there or behind it,
    /// and few others are.
    pub(super) fn offset_at(&self, since: Now) -> u64 {
        let later = self.marks.partition_point(|mark| mark.at < since);
        let Some(mark) = self.marks.get(later) else {
            return self.marks.back().map_or(0, |last| self.after(last, since));
        };
        match later.checked_sub(1).map(|earlier| self.marks[earlier]) {
            // What came without a mark after that one may have come just after `since`.
            Some(last) if mark.at > since && since.ms_since(last.at) < MARK_MS_MIN => last.offset,
            _ => mark.offset,
        }
    }

    fn after(&self, last: &Mark, since: Now) -> u64 {
        if since.ms_since(last.at) >= MARK_MS_MIN { u64::MAX } else { last.offset }
    }

    /// Forgets what is before `offset`, but the last mark there.
    pub(super) fn trim_before(&mut self, offset: u64) {
        while self.marks.get(1).is_some_and(|second| second.offset <= offset) {
            self.marks.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn no_message_of_the_time_asked_for_is_passed_over(
            gaps_ms in proptest::collection::vec(0u64..30, 1..200), since_ms in 0u64..3000,
        ) {
            let mut times = Times::default();
            let mut now_ms = 0;
            let mut came = Vec::new();
            for (offset, gap_ms) in (0u64..).zip(gaps_ms) {
                now_ms += gap_ms;
                times.note(offset, 1000, Now::from_micros(now_ms * 1000));
                came.push(now_ms);
            }
            let found = times.offset_at(Now::from_micros(since_ms * 1000));
            let first = came.iter().position(|ms| *ms >= since_ms).unwrap_or(came.len()) as u64;
            prop_assert!(found.min(came.len() as u64) <= first);
            let early = came.get(found as usize).is_some_and(|ms| ms + MARK_MS_MIN + 30 < since_ms);
            prop_assert!(!early, "{found} came much too early");
        }
    }
}
