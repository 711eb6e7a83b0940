//! The limits of a journal, in one place.

use crate::OpenError;
use crate::segment::{SEGMENT_ALIGNMENT, segment_bytes_for};

/// Tells the segments of one journal from those of all others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JournalId(
    /// 16 random bytes.
    pub [u8; 16],
);

/// The limits of a journal.
#[derive(Clone, Debug)]
pub struct Options {
    /// The id of a journal that is made new. It has to be random; one that exists keeps its own.
    pub new_journal_id: JournalId,
    /// Bytes of a new journal's first segment. Each one after it is twice as large, up to
    /// [`segment_bytes_max`](Self::segment_bytes_max).
    pub segment_bytes_first: u64,
    /// Bytes of a segment at most, except for one that a single larger record fills.
    pub segment_bytes_max: u64,
    /// Bytes of a record's body at most.
    pub record_bytes_max: u32,
    /// Bytes that wait to be written, from which on the journal is congested. Nothing is refused
    /// at this limit: whoever appends has to look at
    /// [`is_congested`](crate::Journal::is_congested).
    pub buffer_bytes_max: usize,
    /// How long a record that asked for [`Written`](crate::Level::Written) may wait for its sync.
    pub sync_ms_max: u64,
    /// How long nothing happens before a seal is written, which lets the next recovery prove all
    /// that precedes it.
    pub seal_idle_ms: u64,
}

impl Default for Options {
    /// Limits for a server, with an id that is not random.
    fn default() -> Self {
        Self {
            new_journal_id: JournalId([0; 16]),
            segment_bytes_first: 4 << 20,
            segment_bytes_max: 64 << 20,
            record_bytes_max: 128 << 20,
            buffer_bytes_max: 16 << 20,
            sync_ms_max: 100,
            seal_idle_ms: 500,
        }
    }
}

/// A record is never longer than this, whatever the options say; so a segment has an upper bound.
const RECORD_BYTES_LIMIT: u32 = 1 << 30;

/// Segments are never longer than this, whatever the options say.
pub(crate) const SEGMENT_BYTES_LIMIT: u64 = 1 << 32;

const _: () = assert!(segment_bytes_for(RECORD_BYTES_LIMIT as usize) <= SEGMENT_BYTES_LIMIT);

impl Options {
    pub(crate) fn check(&self) -> Result<(), OpenError> {
        let segments = [self.segment_bytes_first, self.segment_bytes_max];
        let are_whole = segments
            .iter()
            .all(|bytes| *bytes >= SEGMENT_ALIGNMENT && bytes.is_multiple_of(SEGMENT_ALIGNMENT));
        if !are_whole || segments[0] > segments[1] || segments[1] > SEGMENT_BYTES_LIMIT {
            return Err(OpenError::Options(format!(
                "expected segment_bytes_first and segment_bytes_max to be multiples of \
                 {SEGMENT_ALIGNMENT}, the first no larger than the second, which is at most \
                 {SEGMENT_BYTES_LIMIT}; found {} and {}",
                segments[0], segments[1]
            )));
        }
        if self.record_bytes_max > RECORD_BYTES_LIMIT {
            return Err(OpenError::Options(format!(
                "expected record_bytes_max of at most {RECORD_BYTES_LIMIT}, found {}",
                self.record_bytes_max
            )));
        }
        Ok(())
    }

    /// Bytes of the segment that follows one of `previous` bytes and must take a body of
    /// `body_bytes`.
    pub(crate) fn segment_bytes_after(&self, previous: u64, body_bytes: usize) -> u64 {
        self.usual_segment_bytes_after(previous).max(segment_bytes_for(body_bytes))
    }

    /// Bytes of the segment that follows one of `previous` bytes, if nothing large comes.
    pub(crate) fn usual_segment_bytes_after(&self, previous: u64) -> u64 {
        (previous.saturating_mul(2)).clamp(self.segment_bytes_first, self.segment_bytes_max)
    }
}
