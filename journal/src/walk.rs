//! Going through the frames of one file, in bounded memory.

use crate::Position;
use crate::frame::{FRAME_ALIGNMENT, FRAME_HEADER_BYTES, FrameHeader, Seed};
use crate::storage::{StorageFile, read_up_to};
use std::io;
use std::sync::Arc;

/// Read at once, unless a frame is longer.
const CHUNK_BYTES: usize = 1 << 20;

/// A frame as it was found.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Frame<'a> {
    pub(crate) position: Position,
    pub(crate) kind: u8,
    pub(crate) body: &'a [u8],
    /// Where the next one may be.
    pub(crate) end: Position,
    /// All before this was synced when the frame was made, by what it says itself.
    pub(crate) synced_before: Position,
}

/// Bytes that are not zero: from the first of them to behind the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Litter {
    pub(crate) from: Position,
    pub(crate) until: Position,
}

/// Goes through the frames of one file.
#[derive(Debug)]
pub(crate) struct Walk {
    file: Arc<dyn StorageFile>,
    seed: Seed,
    /// The position of the file's first byte.
    base: Position,
    /// Bytes of the file that may hold frames.
    bytes: u64,
    /// What was read last, and where in the file that begins.
    window: Vec<u8>,
    window_at: u64,
}

impl Walk {
    /// A walk through the first `bytes` of a file, which has that many.
    pub(crate) fn new(file: Arc<dyn StorageFile>, seed: Seed, base: Position, bytes: u64) -> Self {
        Self { file, seed, base, bytes, window: Vec::new(), window_at: 0 }
    }

    /// The frame at this position, if a sound one is there.
    pub(crate) fn frame_at(&mut self, position: Position) -> io::Result<Option<Frame<'_>>> {
        let offset = position - self.base;
        let Some(header) = self.header_at(offset)? else { return Ok(None) };
        let frame_bytes = header.frame_bytes();
        if frame_bytes as u64 > self.bytes - offset {
            return Ok(None);
        }
        let seed = self.seed;
        let frame = self.load(offset, frame_bytes)?;
        let body = header.body(seed, position, &frame[FRAME_HEADER_BYTES..]);
        Ok(body.map(|body| Frame {
            position,
            kind: header.kind,
            body,
            end: position + frame_bytes as u64,
            synced_before: header.synced_before(position),
        }))
    }

    /// Where the first sound frame at or after `from` is, wherever it is aligned as one.
    pub(crate) fn next_frame(&mut self, from: Position) -> io::Result<Option<Position>> {
        let mut offset = from - self.base;
        while offset + FRAME_HEADER_BYTES as u64 <= self.bytes {
            if self.header_at(offset)?.is_some() {
                let position = self.base + offset;
                if self.frame_at(position)?.is_some() {
                    return Ok(Some(position));
                }
            }
            offset += FRAME_ALIGNMENT as u64;
        }
        Ok(None)
    }

    /// What is not zero from `from` to the end.
    pub(crate) fn litter(&mut self, from: Position) -> io::Result<Option<Litter>> {
        let mut offset = from - self.base;
        let mut found: Option<Litter> = None;
        while offset < self.bytes {
            let chunk_bytes = (self.bytes - offset).min(CHUNK_BYTES as u64) as usize;
            let base = self.base + offset;
            let chunk = self.load(offset, chunk_bytes)?;
            if let Some((first, behind)) = nonzero(chunk) {
                let from = found.map_or(base + first as u64, |litter| litter.from);
                found = Some(Litter { from, until: base + behind as u64 });
            }
            offset += chunk_bytes as u64;
        }
        Ok(found)
    }

    fn header_at(&mut self, offset: u64) -> io::Result<Option<FrameHeader>> {
        if offset + FRAME_HEADER_BYTES as u64 > self.bytes {
            return Ok(None);
        }
        let (seed, position) = (self.seed, self.base + offset);
        let bytes = self.load(offset, FRAME_HEADER_BYTES)?;
        let header = bytes.first_chunk().expect("as many bytes were asked for");
        Ok(FrameHeader::decode(header, seed, position))
    }

    /// So many bytes at this offset, all of them within the file.
    fn load(&mut self, offset: u64, bytes: usize) -> io::Result<&[u8]> {
        let window_end = self.window_at + self.window.len() as u64;
        if offset < self.window_at || offset + bytes as u64 > window_end {
            self.read(offset, bytes)?;
        }
        let start = (offset - self.window_at) as usize;
        Ok(&self.window[start..start + bytes])
    }

    #[cold]
    fn read(&mut self, offset: u64, bytes: usize) -> io::Result<()> {
        let kept = offset.checked_sub(self.window_at).filter(|at| *at < self.window.len() as u64);
        match kept {
            Some(passed) => drop(self.window.drain(..passed as usize)),
            None => self.window.clear(),
        }
        self.window_at = offset;
        let have = self.window.len();
        let left = (self.bytes - offset) as usize - have;
        let more = (bytes.max(CHUNK_BYTES) - have).min(left);
        read_up_to(&*self.file, offset + have as u64, more, &mut self.window)?;
        if self.window.len() < bytes {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(())
    }
}

/// The first byte that is not zero, and the one behind the last.
fn nonzero(bytes: &[u8]) -> Option<(usize, usize)> {
    const ZEROS: [u8; 4096] = [0; 4096];
    // Comparing blocks is many times faster than looking at bytes, and most are zeros.
    let is_zero = |block: &[u8]| *block == ZEROS[..block.len()];
    let first_block = bytes.chunks(ZEROS.len()).position(|block| !is_zero(block))?;
    let start = first_block * ZEROS.len();
    let first = start + bytes[start..].iter().position(|byte| *byte != 0)?;
    let last_block = bytes.chunks(ZEROS.len()).rposition(|block| !is_zero(block))?;
    let end = bytes.len().min((last_block + 1) * ZEROS.len());
    let last = bytes[..end].iter().rposition(|byte| *byte != 0)?;
    Some((first, last + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_zero_is_found_wherever_it_is() {
        assert_eq!(nonzero(&[0; 10_000]), None);
        for (first, last) in [(0, 0), (5, 4095), (4096, 4096), (1, 9_999), (9_999, 9_999)] {
            let mut bytes = vec![0; 10_000];
            (bytes[first], bytes[last]) = (1, 1);
            assert_eq!(nonzero(&bytes), Some((first, last + 1)));
        }
    }
}
