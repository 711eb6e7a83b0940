//! The journal's end: where the next record goes, and the records that wait to be written.

use crate::frame::{
    BodySum, FrameHeader, KIND_SEGMENT_END, LAG_UNKNOWN, SEGMENT_END_BYTES, Seed, frame_bytes,
    put_frame,
};
use crate::segment::SEGMENT_HEADER_BYTES;
use crate::segments::Span;
use crate::{Level, Options, Place, Position};

/// Frames that are written together.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    pub(crate) bytes: Vec<u8>,
    /// The segments that they go to, in order.
    pub(crate) pieces: Vec<Piece>,
    /// How many records ask to be synced.
    pub(crate) syncs_wanted: u32,
    /// Whether a record is done once it is written.
    pub(crate) wants_write: bool,
}

/// The frames of a batch that go to one segment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Piece {
    pub(crate) segment: Span,
    /// Where the first of them goes.
    pub(crate) position: Position,
    /// Where they begin among the batch's bytes.
    pub(crate) start: usize,
}

/// The journal's end.
#[derive(Debug)]
pub(crate) struct Tail {
    /// The segment that the last frame is in.
    pub(crate) segment: Span,
    /// Where the next frame goes.
    pub(crate) end: Position,
    pub(crate) batch: Batch,
    pub(crate) is_closed: bool,
    /// Whether the committer has to be woken when there is something to write. Waking costs a
    /// system call, so it is only done then, and once: whoever does says that it sleeps no more,
    /// since it takes a while to run and many may append until then.
    pub(crate) committer_sleeps: bool,
    /// It waits for so many records that ask to be synced, and is not woken for less.
    pub(crate) syncs_awaited: u32,
}

impl Tail {
    /// Whether the caller has to wake the committer for what was appended.
    pub(crate) fn wakes_committer(&mut self) -> bool {
        let has_group = self.batch.syncs_wanted >= self.syncs_awaited;
        let is_due = has_group || self.batch.wants_write;
        is_due && std::mem::take(&mut self.committer_sleeps)
    }
}

impl Batch {
    pub(crate) fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// Where a piece's bytes end.
    pub(crate) fn piece_end(&self, index: usize) -> usize {
        self.pieces.get(index + 1).map_or(self.bytes.len(), |next| next.start)
    }
}

/// A record on its way into the journal.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Record<'a> {
    pub(crate) kind: u8,
    pub(crate) body: &'a [&'a [u8]],
    pub(crate) sum: BodySum,
    pub(crate) level: Level,
}

impl Tail {
    pub(crate) fn new(segment: Span, end: Position, buffer_bytes: usize) -> Self {
        let bytes = Vec::with_capacity(buffer_bytes);
        let batch = Batch { bytes, ..Batch::default() };
        Self { segment, end, batch, is_closed: false, committer_sleeps: false, syncs_awaited: 0 }
    }

    /// Appends a record, in a new segment if this one has no room for it. `synced` is known to be
    /// synced.
    pub(crate) fn append(
        &mut self,
        record: Record<'_>,
        seed: Seed,
        synced: Position,
        options: &Options,
    ) -> Place {
        let bytes = frame_bytes(record.sum.length as usize);
        if self.end + (bytes + SEGMENT_END_BYTES) as u64 > self.segment.end() {
            self.begin_segment(record.sum.length as usize, seed, synced, options);
        }
        match record.level {
            Level::Written => self.batch.wants_write = true,
            Level::Synced => self.batch.syncs_wanted += 1,
        }
        let position = self.put(record.kind, record.sum, record.body, seed, synced);
        Place { segment: self.segment.base, position, bytes: bytes as u32 }
    }

    fn begin_segment(
        &mut self,
        body_bytes: usize,
        seed: Seed,
        synced: Position,
        options: &Options,
    ) {
        let base = self.segment.end();
        let body = base.value().to_le_bytes();
        let sum = BodySum::of(&[&body]).expect("a position is short");
        self.put(KIND_SEGMENT_END, sum, &[&body], seed, synced);
        let bytes = options.segment_bytes_after(self.segment.bytes, body_bytes);
        self.segment = Span { base, bytes };
        self.end = base + SEGMENT_HEADER_BYTES as u64;
        self.begin_piece();
    }

    fn begin_piece(&mut self) {
        let start = self.batch.bytes.len();
        self.batch.pieces.push(Piece { segment: self.segment, position: self.end, start });
    }

    fn put(
        &mut self,
        kind: u8,
        sum: BodySum,
        body: &[&[u8]],
        seed: Seed,
        synced: Position,
    ) -> Position {
        if self.batch.is_empty() {
            self.begin_piece();
        }
        let position = self.end;
        let lag = u32::try_from(position - synced).unwrap_or(LAG_UNKNOWN);
        let header = FrameHeader::new(seed, position, kind, lag, sum);
        put_frame(&mut self.batch.bytes, seed, position, &header, body);
        self.end = position + header.frame_bytes() as u64;
        position
    }
}
