//! Segment files: their names, and the header they begin with.
//!
//! ```text
//!  0          8        12       16        24        32               48             60     64
//!  | TANDEMJL | version | zeros  | base    | bytes   | journal id     | zeros        | crc  |
//!  | frame | frame | ...                                      | zeros to the file's end |
//! ```
//!
//! `base` is the position of the file's first byte, and also its name in 20 digits; `bytes` is the
//! file's length, which it has from the start. So byte `n` of the file is position `base + n`, and
//! the next segment has the base `base + bytes`. `crc` is the CRC-32C of what precedes it.

use crate::frame::{SEGMENT_END_BYTES, frame_bytes};
use crate::options::SEGMENT_BYTES_LIMIT;
use crate::{JournalId, Position};

/// The version of the format of segments and snapshots that this crate writes, and reads.
pub const FORMAT_VERSION: u32 = 1;

/// Bytes of a segment before its first frame.
pub const SEGMENT_HEADER_BYTES: usize = 64;

/// Segments are whole multiples of this, which is a file system's usual block.
pub(crate) const SEGMENT_ALIGNMENT: u64 = 4096;

/// No journal gets here: at 10 GB/s it would take 14 years. So what is added to a position cannot
/// overflow.
pub(crate) const POSITION_LIMIT: u64 = 1 << 62;

const MAGIC: [u8; 8] = *b"TANDEMJL";
const NAME_DIGITS: usize = 20;
const NAME_ENDING: &str = ".segment";
const CRC_AT: usize = SEGMENT_HEADER_BYTES - 4;

/// What a segment says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    pub(crate) base: Position,
    pub(crate) bytes: u64,
    pub(crate) id: JournalId,
}

/// Why bytes are no segment's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HeaderFault {
    Damaged,
    Version(u32),
}

impl std::fmt::Display for SegmentHeader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&segment_name(self.base))
    }
}

impl SegmentHeader {
    pub(crate) fn end(&self) -> Position {
        self.base + self.bytes
    }

    pub(crate) fn encode(&self) -> [u8; SEGMENT_HEADER_BYTES] {
        let mut bytes = [0; SEGMENT_HEADER_BYTES];
        bytes[0..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.base.value().to_le_bytes());
        bytes[24..32].copy_from_slice(&self.bytes.to_le_bytes());
        bytes[32..48].copy_from_slice(&self.id.0);
        let crc = crc32c::crc32c(&bytes[..CRC_AT]);
        bytes[CRC_AT..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, HeaderFault> {
        let bytes: &[u8; SEGMENT_HEADER_BYTES] = bytes.first_chunk().ok_or(HeaderFault::Damaged)?;
        let number = |at: usize| u64::from_le_bytes(std::array::from_fn(|n| bytes[at + n]));
        let crc = u32::from_le_bytes(std::array::from_fn(|n| bytes[CRC_AT + n]));
        if bytes[0..8] != MAGIC || crc != crc32c::crc32c(&bytes[..CRC_AT]) {
            return Err(HeaderFault::Damaged);
        }
        let version = number(8) as u32;
        if version != FORMAT_VERSION {
            return Err(HeaderFault::Version(version));
        }
        let header = Self {
            base: Position::new(number(16)),
            bytes: number(24),
            id: JournalId(std::array::from_fn(|n| bytes[32 + n])),
        };
        let is_sound = (SEGMENT_ALIGNMENT..=SEGMENT_BYTES_LIMIT).contains(&header.bytes)
            && header.base.value().checked_add(header.bytes).is_some()
            && header.base.value().is_multiple_of(SEGMENT_ALIGNMENT)
            && header.bytes.is_multiple_of(SEGMENT_ALIGNMENT);
        if is_sound { Ok(header) } else { Err(HeaderFault::Damaged) }
    }
}

/// The name of the segment that begins at `base`.
pub(crate) fn segment_name(base: Position) -> String {
    format!("{:0NAME_DIGITS$}{NAME_ENDING}", base.value())
}

/// Where the segment of this name begins; `None` if it is no segment's name.
pub(crate) fn parse_segment_name(name: &str) -> Option<Position> {
    let digits = name.strip_suffix(NAME_ENDING)?;
    let is_number = digits.len() == NAME_DIGITS && digits.bytes().all(|byte| byte.is_ascii_digit());
    let base = digits.parse().ok().filter(|_| is_number)?;
    let is_base = u64::is_multiple_of(base, SEGMENT_ALIGNMENT) && base < POSITION_LIMIT;
    is_base.then_some(Position::new(base))
}

/// Bytes of the smallest segment that takes a frame with this body.
pub(crate) const fn segment_bytes_for(body_bytes: usize) -> u64 {
    let frames = frame_bytes(body_bytes) + SEGMENT_END_BYTES;
    ((SEGMENT_HEADER_BYTES + frames) as u64).next_multiple_of(SEGMENT_ALIGNMENT)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: SegmentHeader =
        SegmentHeader { base: Position::new(8192), bytes: 4096, id: JournalId([3; 16]) };

    #[test]
    fn a_header_is_read_as_it_was_written() {
        assert_eq!(SegmentHeader::decode(&HEADER.encode()), Ok(HEADER));
    }

    #[test]
    fn a_header_with_any_bit_flipped_is_damaged() {
        for bit in 0..SEGMENT_HEADER_BYTES * 8 {
            let mut bytes = HEADER.encode();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(SegmentHeader::decode(&bytes), Err(HeaderFault::Damaged), "bit {bit}");
        }
    }

    #[test]
    fn a_header_of_another_version_is_told_apart() {
        let mut bytes = HEADER.encode();
        bytes[8] = 9;
        let crc = crc32c::crc32c(&bytes[..CRC_AT]);
        bytes[CRC_AT..].copy_from_slice(&crc.to_le_bytes());
        assert_eq!(SegmentHeader::decode(&bytes), Err(HeaderFault::Version(9)));
    }

    #[test]
    fn a_segment_is_named_after_its_base() {
        let name = segment_name(Position::new(4096));
        assert_eq!(name, "00000000000000004096.segment");
        assert_eq!(parse_segment_name(&name), Some(Position::new(4096)));
        for other in ["4096.segment", "00000000000000004096.segment.new", "lock", "snapshot.a"] {
            assert_eq!(parse_segment_name(other), None, "{other}");
        }
    }
}
