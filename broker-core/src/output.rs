//! Bytes on their way to a socket, gathered so that they leave in few large writes.

use bytes::{Buf, Bytes, BytesMut};
use std::collections::VecDeque;
use std::io::IoSlice;

/// Shorter pieces are copied, so that a write is not made of many small ones.
const COPY_BYTES_MAX: usize = 4096;

/// Memory that an empty output may keep.
const REST_BYTES_MAX: usize = 1024;

/// What is to be written to one connection, in order.
#[derive(Debug, Default)]
pub struct Output {
    /// What comes first; pieces of topics' logs are here by reference.
    pieces: VecDeque<Bytes>,
    /// What comes last, still growing.
    tail: BytesMut,
    /// Bytes in all.
    bytes: usize,
}

impl Output {
    /// Nothing to write.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Bytes to write.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes
    }

    /// Whether there is nothing to write.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// Appends what `encode` writes.
    #[inline]
    pub fn put<T>(&mut self, encode: impl FnOnce(&mut BytesMut) -> T) -> T {
        let before = self.tail.len();
        let result = encode(&mut self.tail);
        self.bytes += self.tail.len() - before;
        result
    }

    /// Appends `piece`, by reference where it is long.
    pub fn push(&mut self, piece: Bytes) {
        self.bytes += piece.len();
        if piece.len() <= COPY_BYTES_MAX {
            self.tail.extend_from_slice(&piece);
            return;
        }
        if !self.tail.is_empty() {
            self.pieces.push_back(self.tail.split().freeze());
        }
        self.pieces.push_back(piece);
    }

    /// Appends all of another.
    pub(crate) fn append(&mut self, mut other: Self) {
        for piece in other.pieces.drain(..) {
            self.push(piece);
        }
        if !other.tail.is_empty() {
            self.push(other.tail.freeze());
        }
    }

    /// Fills `slices` with what comes first, for one gathering write, and says how many it took.
    pub fn slices<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let pieces = self.pieces.iter().map(|piece| piece.as_ref());
        let tail = Some(self.tail.as_ref()).filter(|tail| !tail.is_empty());
        let mut taken = 0;
        for (slice, bytes) in slices.iter_mut().zip(pieces.chain(tail)) {
            *slice = IoSlice::new(bytes);
            taken += 1;
        }
        taken
    }

    /// Takes off `written` bytes, which were written.
    pub fn advance(&mut self, mut written: usize) {
        self.bytes -= written;
        while let Some(first) = self.pieces.front_mut() {
            if written < first.len() {
                first.advance(written);
                return;
            }
            written -= first.len();
            self.pieces.pop_front();
        }
        self.tail.advance(written);
        if self.tail.is_empty() {
            self.tail.clear();
        }
    }

    /// Gives back the memory that an output at rest has no use for.
    pub fn rest(&mut self) {
        if self.bytes == 0 && self.tail.capacity() > REST_BYTES_MAX {
            *self = Self::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_went_in_comes_out_in_order_however_it_is_written(
            pieces in proptest::collection::vec((any::<bool>(), 0usize..10_000), 0..20),
            writes in proptest::collection::vec(1usize..20_000, 1..50),
        ) {
            let mut output = Output::new();
            let mut expected = Vec::new();
            for (index, (by_reference, length)) in pieces.into_iter().enumerate() {
                let bytes = vec![index as u8; length];
                expected.extend_from_slice(&bytes);
                match by_reference {
                    true => output.push(Bytes::from(bytes)),
                    false => output.put(|tail| tail.extend_from_slice(&bytes)),
                }
            }
            prop_assert_eq!(output.len(), expected.len());
            let mut found = Vec::new();
            let mut writes = writes.iter().cycle();
            while !output.is_empty() {
                let mut slices = [IoSlice::new(&[]); 4];
                let taken = output.slices(&mut slices);
                let offered: Vec<u8> =
                    slices[..taken].iter().flat_map(|slice| slice.iter().copied()).collect();
                let written = offered.len().min(*writes.next().expect("a cycle"));
                found.extend_from_slice(&offered[..written]);
                output.advance(written);
            }
            prop_assert_eq!(found, expected);
        }
    }
}
