//! Messages in memory: batches appended at the end, read at any number of cursors, taken away at
//! the front.
//!
//! They are a row of pieces, each a run of records that lie together in memory. The last piece is
//! open: it grows until it is read or full. Reading closes it and hands out a reference, so that
//! no message is copied on its way from the log to a socket, however many read it.

use super::times::Times;
use super::{Cursor, FetchLimit, Fetched};
use crate::Now;
use bytes::{Buf, Bytes, BytesMut};
use protocol::batch;
use std::collections::VecDeque;

/// What a piece costs beside its records: its entry here, and its share of an allocation.
const PIECE_OVERHEAD_BYTES: usize = 64;

/// Memory taken for the first open piece of a log; each further one doubles it.
const OPEN_BYTES_MIN: usize = 512;

/// Memory taken for an open piece at most, unless a batch is larger. A read takes whole pieces
/// where it can, so several fit into what is read at once.
const OPEN_BYTES_MAX: usize = 64 * 1024;

/// Memory of pieces taken away that is kept for the next ones, in pieces.
const SPARES_MAX: usize = 2;

/// A log is made of at least so many pieces, so that taking one away takes only a part.
const PIECES_MIN: usize = 8;

/// A closed piece.
#[derive(Debug)]
struct Piece {
    base_offset: u64,
    count: u32,
    /// Records not taken away yet.
    bytes: Bytes,
    /// Bytes taken away from its front.
    trimmed: usize,
    appended_at: Now,
}

impl Piece {
    fn end_offset(&self) -> u64 {
        self.base_offset + u64::from(self.count)
    }
}

/// The row.
#[derive(Debug)]
pub(super) struct Pieces {
    pieces: VecDeque<Piece>,
    /// The number of the first piece, counted from the log's beginning.
    first_piece: u64,
    open: BytesMut,
    open_base_offset: u64,
    open_count: u32,
    open_since: Now,
    open_last: Now,
    /// Memory of pieces that were taken away, for the next open ones. A full log so goes round in
    /// the same memory, whichever threads append to it.
    spares: Vec<BytesMut>,
    /// Memory to take for the next open piece.
    open_bytes_next: usize,
    open_bytes_max: usize,
    /// Records' bytes and pieces' overhead.
    bytes: usize,
    /// When messages came.
    times: Times,
}

impl Pieces {
    /// An empty row that is meant to hold `bytes_max`, and whose first message has `offset`.
    pub(super) fn new(bytes_max: usize, offset: u64) -> Self {
        let open_bytes_max = (bytes_max / PIECES_MIN).clamp(OPEN_BYTES_MIN, OPEN_BYTES_MAX);
        Self {
            pieces: VecDeque::new(),
            first_piece: 0,
            open: BytesMut::new(),
            open_base_offset: offset,
            open_count: 0,
            open_since: Now::default(),
            open_last: Now::default(),
            spares: Vec::new(),
            open_bytes_next: OPEN_BYTES_MIN,
            open_bytes_max,
            bytes: 0,
            times: Times::default(),
        }
    }

    /// Offset of the oldest message held, or of the next one where none is.
    pub(super) fn first_offset(&self) -> u64 {
        self.pieces.front().map_or(self.open_base_offset, |piece| piece.base_offset)
    }

    /// Offset that the next message gets.
    pub(super) fn next_offset(&self) -> u64 {
        self.open_base_offset + u64::from(self.open_count)
    }

    /// Bytes held, with what keeping them costs.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// A cursor at the oldest message held.
    pub(super) fn earliest(&self) -> Cursor {
        let byte = self.pieces.front().map_or(0, |piece| piece.trimmed);
        Cursor { offset: self.first_offset(), piece: self.first_piece, byte }
    }

    /// A cursor at the message of `offset`, at most the next one. Where that message is gone, the
    /// next read tells how many were lost.
    pub(super) fn seek(&self, offset: u64) -> Cursor {
        if offset < self.first_offset() {
            return Cursor { offset, piece: self.first_piece, byte: 0 };
        }
        let offset = offset.min(self.next_offset());
        let index = self.pieces.partition_point(|piece| piece.end_offset() <= offset);
        let (base_offset, bytes, trimmed) = match self.pieces.get(index) {
            Some(piece) => (piece.base_offset, piece.bytes.as_ref(), piece.trimmed),
            None => (self.open_base_offset, self.open.as_ref(), 0),
        };
        let before = (offset - base_offset) as u32;
        let byte = trimmed + batch::prefix(bytes, usize::MAX, before).bytes;
        Cursor { offset, piece: self.first_piece + index as u64, byte }
    }

    /// Appends `count` records, the concatenation of `spans`, and gives the first one's offset.
    pub(super) fn append(&mut self, spans: &[&[u8]], count: u32, now: Now) -> u64 {
        let base_offset = self.next_offset();
        if count == 0 {
            return base_offset;
        }
        let bytes = spans.iter().map(|span| span.len()).sum();
        self.make_open(bytes);
        self.times.note(base_offset, bytes, now);
        if self.open_count == 0 {
            self.bytes += PIECE_OVERHEAD_BYTES;
            self.open_since = now;
        }
        for span in spans {
            self.open.extend_from_slice(span);
        }
        self.open_count += count;
        self.open_last = now;
        self.bytes += bytes;
        base_offset
    }

    /// Makes room for `bytes` in the open piece.
    fn make_open(&mut self, bytes: usize) {
        if self.open.capacity() - self.open.len() >= bytes {
            return;
        }
        self.close();
        let taken = self.open_bytes_next.min(self.open_bytes_max);
        self.open_bytes_next = (taken * 2).min(self.open_bytes_max);
        let spare = self.spares.pop().filter(|spare| spare.capacity() >= bytes);
        self.open = spare.unwrap_or_else(|| BytesMut::with_capacity(taken.max(bytes)));
    }

    /// Closes the open piece; what memory it has left serves the next.
    fn close(&mut self) {
        if self.open_count == 0 {
            return;
        }
        let piece = Piece {
            base_offset: self.open_base_offset,
            count: self.open_count,
            bytes: self.open.split().freeze(),
            trimmed: 0,
            appended_at: self.open_last,
        };
        self.open_base_offset = piece.end_offset();
        self.open_count = 0;
        self.pieces.push_back(piece);
    }

    /// Reads at `cursor` and moves it on.
    pub(super) fn fetch(&mut self, cursor: &mut Cursor, limit: FetchLimit) -> Fetched {
        let mut fetched = Fetched::default();
        if cursor.offset < self.first_offset() || cursor.piece < self.first_piece {
            fetched.lost = self.first_offset() - cursor.offset;
            *cursor = self.earliest();
        }
        fetched.base_offset = cursor.offset;
        while fetched.bytes < limit.bytes_max && fetched.count < limit.count_max {
            let index = (cursor.piece - self.first_piece) as usize;
            if index == self.pieces.len() {
                self.close();
            }
            let Some(piece) = self.pieces.get(index) else { break };
            let unread = piece.bytes.slice(cursor.byte - piece.trimmed..);
            let whole = (piece.end_offset() - cursor.offset) as u32;
            let taken = fetched.room(&unread, whole, limit);
            if taken.count == 0 && whole > 0 {
                break;
            }
            cursor.offset += u64::from(taken.count);
            cursor.byte += taken.bytes;
            fetched.count += taken.count;
            fetched.bytes += taken.bytes;
            if taken.count == whole {
                *cursor = Cursor { offset: cursor.offset, piece: cursor.piece + 1, byte: 0 };
            }
            if taken.bytes > 0 {
                fetched.spans.push(unread.slice(..taken.bytes));
            }
        }
        fetched
    }

    /// The offset up to which messages would be gone if the oldest piece were.
    pub(super) fn first_piece_end(&self) -> u64 {
        self.pieces.front().map_or(self.next_offset(), Piece::end_offset)
    }

    /// The offset at which the second half of the pieces begins.
    pub(super) fn middle_offset(&self) -> u64 {
        let middle = self.pieces.get(self.pieces.len() / 2 + 1);
        middle.map_or(self.open_base_offset, |piece| piece.base_offset)
    }

    /// Takes away the oldest piece.
    pub(super) fn drop_first_piece(&mut self) {
        if self.pieces.is_empty() {
            self.close();
        }
        if let Some(piece) = self.pieces.pop_front() {
            self.first_piece += 1;
            self.bytes -= piece.bytes.len() + PIECE_OVERHEAD_BYTES;
            self.times.trim_before(piece.base_offset + u64::from(piece.count));
            self.keep_spare(piece.bytes);
        }
    }

    /// Keeps the memory of a piece that was taken away, if nobody reads it and it is of the size
    /// that the next ones have.
    fn keep_spare(&mut self, bytes: Bytes) {
        if self.spares.len() >= SPARES_MAX || self.pieces.is_empty() {
            return;
        }
        if let Ok(mut spare) = bytes.try_into_mut() {
            spare.clear();
            if spare.try_reclaim(self.open_bytes_max) {
                self.spares.push(spare);
            }
        }
    }

    /// Takes away all messages before `offset`.
    pub(super) fn trim_before(&mut self, offset: u64) {
        let offset = offset.min(self.next_offset());
        while self.first_offset() < offset && self.first_piece_end() <= offset {
            self.drop_first_piece();
        }
        if self.first_offset() >= offset {
            return;
        }
        if self.pieces.is_empty() {
            self.close();
        }
        let piece = self.pieces.front_mut().expect("the message before `offset` is in a piece");
        let count = (offset - piece.base_offset) as u32;
        let taken = batch::prefix(&piece.bytes, usize::MAX, count);
        piece.bytes.advance(taken.bytes);
        piece.trimmed += taken.bytes;
        piece.base_offset = offset;
        piece.count -= count;
        self.bytes -= taken.bytes;
    }

    /// Offset of the first message that came at `since` or later, or of one a little before it.
    pub(super) fn offset_at(&self, since: Now) -> u64 {
        self.times.offset_at(since).clamp(self.first_offset(), self.next_offset())
    }

    /// Takes away messages older than `age_ms_max`, in runs that were appended within an eighth
    /// of it of each other.
    pub(super) fn trim_older(&mut self, age_ms_max: u64, now: Now) {
        if self.open_count > 0 && now.ms_since(self.open_since) > age_ms_max / 8 {
            self.close();
        }
        while self.pieces.front().is_some_and(|piece| now.ms_since(piece.appended_at) > age_ms_max)
        {
            self.drop_first_piece();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use protocol::{Batch, BatchBuilder};

    #[derive(Clone, Debug)]
    enum Step {
        Append(Vec<u8>),
        Fetch { bytes_max: usize, count_max: u32 },
        DropPiece,
        TrimBefore(u64),
        Seek(u64),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => proptest::collection::vec(0u8..200, 0..20).prop_map(Step::Append),
            4 => (1usize..2000, 1u32..30)
                .prop_map(|(bytes_max, count_max)| Step::Fetch { bytes_max, count_max }),
            1 => Just(Step::DropPiece),
            1 => (0u64..300).prop_map(Step::TrimBefore),
            1 => (0u64..300).prop_map(Step::Seek),
        ]
    }

    fn append(log: &mut Pieces, batch: Batch<'_>) -> u64 {
        log.append(&[batch.bytes()], batch.count(), Now::default())
    }

    fn append_one(log: &mut Pieces, payload: &[u8], now: Now) {
        log.append(&[&batch::record_header(payload.len()), payload], 1, now);
    }

    /// Message `offset` of any log in these tests.
    fn payload(offset: u64, length: u8) -> Vec<u8> {
        vec![offset as u8; usize::from(length)]
    }

    fn payloads(fetched: &Fetched) -> Vec<Vec<u8>> {
        let spans: Vec<u8> = fetched.spans.concat();
        assert_eq!(spans.len(), fetched.bytes);
        let batch = Batch::check(&spans, fetched.count, usize::MAX).expect("whole records");
        batch.payloads().map(<[u8]>::to_vec).collect()
    }

    proptest! {
        #[test]
        fn the_log_agrees_with_a_row_of_messages(steps in proptest::collection::vec(step(), 0..80)) {
            let mut log = Pieces::new(4096, 0);
            let mut model: Vec<Vec<u8>> = Vec::new();
            let mut cursor = log.earliest();
            for step in steps {
                match step {
                    Step::Append(lengths) => {
                        let mut builder = BatchBuilder::new();
                        let base = model.len() as u64;
                        for (offset, length) in (base..).zip(lengths) {
                            model.push(payload(offset, length));
                            builder.push(model.last().expect("just pushed")).expect("small");
                        }
                        prop_assert_eq!(append(&mut log, builder.batch()), base);
                    }
                    Step::Fetch { bytes_max, count_max } => {
                        let before = cursor.offset();
                        let fetched = log.fetch(&mut cursor, FetchLimit { bytes_max, count_max });
                        let start = before.max(log.first_offset());
                        prop_assert_eq!(fetched.lost, start - before);
                        prop_assert_eq!(fetched.base_offset, start);
                        let end = start + u64::from(fetched.count);
                        prop_assert_eq!(cursor.offset(), end);
                        prop_assert_eq!(&payloads(&fetched)[..], &model[start as usize..end as usize]);
                        prop_assert!(fetched.count <= count_max);
                        prop_assert!(fetched.bytes <= bytes_max || fetched.count == 1);
                        let held: usize = model[start as usize..].iter().map(|m| m.len() + 4).sum();
                        let roomy = held < bytes_max && model.len() as u64 - start < u64::from(count_max);
                        prop_assert!(fetched.count > 0 || end == log.next_offset());
                        prop_assert!(!roomy || end == log.next_offset());
                    }
                    Step::DropPiece => log.drop_first_piece(),
                    Step::TrimBefore(offset) => {
                        log.trim_before(offset);
                        prop_assert!(log.first_offset() >= offset.min(log.next_offset()));
                    }
                    Step::Seek(offset) => {
                        cursor = log.seek(offset);
                        prop_assert_eq!(cursor.offset(), offset.min(log.next_offset()));
                    }
                }
                prop_assert_eq!(log.next_offset(), model.len() as u64);
                let held: usize = model[log.first_offset() as usize..].iter().map(|m| m.len() + 4).sum();
                let pieces = log.pieces.len() + usize::from(log.open_count > 0);
                prop_assert_eq!(log.bytes(), held + pieces * PIECE_OVERHEAD_BYTES);
            }
        }
    }

    #[test]
    fn old_messages_go_and_new_ones_stay() {
        let mut log = Pieces::new(4096, 0);
        let at = |ms: u64| Now::from_micros(ms * 1000);
        append_one(&mut log, b"old", at(0));
        log.trim_older(800, at(700));
        append_one(&mut log, b"new", at(700));
        log.trim_older(800, at(900));
        let fetched = log.fetch(&mut log.earliest(), FetchLimit::ALL);
        assert_eq!(payloads(&fetched), [b"new".to_vec()]);
    }

    #[test]
    fn a_log_in_many_pieces_stays_in_as_few_allocations_as_it_has_bytes_for() {
        let mut log = Pieces::new(1 << 20, 0);
        let mut cursor = log.earliest();
        for _ in 0..100 {
            append_one(&mut log, b"x", Now::default());
            assert_eq!(log.fetch(&mut cursor, FetchLimit::ALL).count, 1);
        }
        assert_eq!(log.pieces.len(), 100);
        assert_eq!(log.open_bytes_next, 2 * OPEN_BYTES_MIN, "one allocation of OPEN_BYTES_MIN");
    }
}
