//! The read buffer: grows under load, shrinks at rest, and gives records away without a copy.

use bytes::{Buf, Bytes, BytesMut};

/// Space offered to a read at rest.
const READ_BYTES_MIN: usize = 4 * 1024;

/// Space offered to a read under load.
const READ_BYTES_MAX: usize = 256 * 1024;

/// Small reads in a row after which the buffer shrinks.
const SMALL_READS_MAX: u32 = 256;

/// Records given away up to this size are copied, so that keeping them keeps no large buffer.
const COPY_BYTES_MAX: usize = 2 * 1024;

/// Received bytes that were not consumed yet.
///
/// ```text
/// 0          start         filled          bytes.len()
/// | consumed | received    | zeroed, free  |
/// ```
///
/// All of `bytes` is initialised, so that a read needs no zeroing before it; it is moved to the
/// front instead of zeroing more wherever no one holds a part of it.
#[derive(Debug)]
pub(super) struct Input {
    bytes: BytesMut,
    start: usize,
    filled: usize,
    read_bytes: usize,
    small_reads: u32,
    wanted_bytes: usize,
    records_bytes: usize,
}

impl Input {
    pub(super) fn new() -> Self {
        Self {
            bytes: BytesMut::new(),
            start: 0,
            filled: 0,
            read_bytes: READ_BYTES_MIN,
            small_reads: 0,
            wanted_bytes: 0,
            records_bytes: 0,
        }
    }

    /// What was received and not consumed.
    #[inline]
    pub(super) fn received(&self) -> &[u8] {
        &self.bytes[self.start..self.filled]
    }

    /// Forgets all that was received.
    pub(super) fn clear(&mut self) {
        (self.start, self.filled, self.wanted_bytes, self.records_bytes) = (0, 0, 0, 0);
    }

    /// Says how many received bytes the frame in progress needs to be whole.
    #[inline]
    pub(super) fn want(&mut self, bytes: usize) {
        self.wanted_bytes = bytes;
    }

    /// Consumes a frame, the last `records_bytes` of which are records that may be asked for
    /// until the next read.
    #[inline]
    pub(super) fn consume(&mut self, bytes: usize, records_bytes: usize) {
        self.start += bytes;
        self.records_bytes = records_bytes;
        self.wanted_bytes = 0;
    }

    /// The records of the frame consumed last.
    pub(super) fn records(&self) -> &[u8] {
        &self.bytes[self.start - self.records_bytes..self.start]
    }

    /// Takes the records of the frame consumed last out of the buffer; there are none after.
    pub(super) fn take_records(&mut self) -> Bytes {
        let length = std::mem::take(&mut self.records_bytes);
        if length <= COPY_BYTES_MAX {
            return Bytes::copy_from_slice(&self.bytes[self.start - length..self.start]);
        }
        let mut consumed = self.bytes.split_to(self.start);
        self.filled -= self.start;
        self.start = 0;
        consumed.split_off(consumed.len() - length).freeze()
    }

    /// Where the next bytes go.
    pub(super) fn space(&mut self) -> &mut [u8] {
        self.records_bytes = 0;
        if self.start == self.filled {
            (self.start, self.filled) = (0, 0);
            if self.small_reads >= SMALL_READS_MAX && self.bytes.len() > READ_BYTES_MIN {
                self.bytes = BytesMut::new();
                (self.read_bytes, self.small_reads) = (READ_BYTES_MIN, 0);
            }
        }
        let free_bytes = self.bytes.len() - self.filled;
        let too_small =
            self.bytes.len() < self.read_bytes || self.bytes.len() - self.start < self.wanted_bytes;
        if free_bytes < self.read_bytes / 2 || too_small {
            self.make_room();
        }
        &mut self.bytes[self.filled..]
    }

    /// Takes in `bytes` that were read into the space.
    pub(super) fn fill(&mut self, bytes: usize) {
        self.filled += bytes;
        debug_assert!(self.filled <= self.bytes.len());
        if self.filled == self.bytes.len() {
            self.read_bytes = (self.read_bytes * 2).min(READ_BYTES_MAX);
        }
        if bytes < self.read_bytes / 8 {
            self.small_reads = self.small_reads.saturating_add(1);
        } else {
            self.small_reads = 0;
        }
    }

    fn make_room(&mut self) {
        let held_bytes = self.filled - self.start;
        // A frame may claim any length: room for it grows no faster than it comes.
        let frame_bytes = self.wanted_bytes.min(2 * held_bytes + READ_BYTES_MAX);
        let needed_bytes = frame_bytes.max(held_bytes + self.read_bytes);
        if self.bytes.len() >= needed_bytes {
            self.bytes.copy_within(self.start..self.filled, 0);
        } else {
            self.bytes.advance(self.start);
            self.bytes.truncate(held_bytes);
            self.bytes.reserve(needed_bytes - held_bytes);
            self.bytes.resize(needed_bytes, 0);
        }
        (self.start, self.filled) = (0, held_bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn receive(input: &mut Input, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let space = input.space();
            let taken = space.len().min(bytes.len());
            space[..taken].copy_from_slice(&bytes[..taken]);
            input.fill(taken);
            bytes = &bytes[taken..];
        }
    }

    #[test]
    fn what_was_received_comes_out_in_order_whoever_holds_a_part() {
        let mut input = Input::new();
        let sent: Vec<u8> = (0..2_000_000u32).map(|i| (i % 251) as u8).collect();
        let (mut found, mut kept) = (Vec::new(), Vec::new());
        for (round, piece) in sent.chunks(70_001).enumerate() {
            receive(&mut input, piece);
            while input.received().len() >= 9_000 {
                input.consume(9_000, 5_000);
                let all = &input.bytes[input.start - 9_000..input.start];
                found.extend_from_slice(all);
                let records = input.records().to_vec();
                if round % 2 == 0 {
                    kept.push((input.take_records(), records));
                }
            }
        }
        found.extend_from_slice(input.received());
        assert!(found == sent, "no byte is lost, doubled or moved");
        assert!(kept.iter().all(|(taken, records)| taken == records), "what is held stays");
    }

    #[test]
    fn the_buffer_grows_under_load_and_shrinks_at_rest() {
        let mut input = Input::new();
        assert_eq!(input.space().len(), READ_BYTES_MIN);
        for _ in 0..16 {
            let space = input.space().len();
            input.fill(space);
            input.consume(space, 0);
        }
        assert_eq!(input.space().len(), READ_BYTES_MAX);
        for _ in 0..=SMALL_READS_MAX {
            input.space();
            input.fill(10);
            input.consume(10, 0);
        }
        assert_eq!(input.space().len(), READ_BYTES_MIN);
    }

    #[test]
    fn a_long_frame_gets_room_as_it_comes_and_not_as_it_claims() {
        let mut input = Input::new();
        input.space();
        input.fill(12);
        input.want(1 << 30);
        assert!(input.space().len() <= 2 * READ_BYTES_MAX);
    }
}
