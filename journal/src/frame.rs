//! Frames: a header of 16 bytes, a body, and zeros up to the next multiple of 8.
//!
//! ```text
//!  0       4       8      12     14   15   16            16+length
//!  | length| crc   | lag   |check |kind| 0  | body ...    | zeros to a multiple of 8 |
//! ```
//!
//! All numbers are little-endian.
//!
//! | field | meaning |
//! |---|---|
//! | `length` | bytes of the body |
//! | `crc` | CRC-32C over the journal's id, the frame's position, `length`, `lag`, `kind` and the body's CRC-32C |
//! | `lag` | the frame's position less the position that was known to be synced when it was made; `u32::MAX` says nothing |
//! | `check` | 16 bits over the journal's id, the frame's position and the other fields: tells a header from other bytes without its body |
//! | `kind` | 1 to 0x7F are the caller's; 0xFD, 0xFE and 0xFF the journal's own |
//!
//! The id and the position are part of both sums and stand in neither: bytes of another journal,
//! or of another place, are no frame here. Nobody who does not know the id can make a body that
//! holds a frame.

use crate::Position;

/// Bytes of a frame before its body.
pub const FRAME_HEADER_BYTES: usize = 16;

/// Frames begin at multiples of this.
pub const FRAME_ALIGNMENT: usize = 8;

/// The highest kind that is the caller's; the lowest is 1.
pub const KIND_MAX: u8 = 0x7F;

/// Its segment ends here. The body is the position of the segment that follows, a u64.
pub(crate) const KIND_SEGMENT_END: u8 = 0xFF;

/// Records were lost here. A body of 8 bytes or more begins with the position where they go on, a
/// u64; with a shorter one they go on where the frame ends.
pub(crate) const KIND_GAP: u8 = 0xFE;

/// All before it is synced, as its lag says. It has no body.
pub(crate) const KIND_SEAL: u8 = 0xFD;

/// A lag that says nothing of what is synced.
pub(crate) const LAG_UNKNOWN: u32 = u32::MAX;

/// Bytes of the frame that ends a segment.
pub(crate) const SEGMENT_END_BYTES: usize = FRAME_HEADER_BYTES + 8;

/// Bytes of a whole frame whose body has so many.
pub(crate) const fn frame_bytes(body_bytes: usize) -> usize {
    FRAME_HEADER_BYTES + body_bytes.next_multiple_of(FRAME_ALIGNMENT)
}

/// What all sums of one file sequence start from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seed(u32);

impl Seed {
    /// The seed of a journal's segments.
    pub(crate) fn of_journal(id: &[u8; 16]) -> Self {
        Self(crc32c::crc32c(id))
    }

    /// The seed of a snapshot, which is no other snapshot's and no segment's.
    pub(crate) fn of_snapshot(id: &[u8; 16], position: Position) -> Self {
        let sum = crc32c::crc32c_append(crc32c::crc32c(id), b"snapshot");
        Self(crc32c::crc32c_append(sum, &position.value().to_le_bytes()))
    }
}

/// The fields of a frame's header that mean something to its reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FrameHeader {
    pub(crate) length: u32,
    pub(crate) lag: u32,
    pub(crate) kind: u8,
    crc: u32,
}

impl FrameHeader {
    /// The header of a frame that is being made.
    pub(crate) fn new(
        seed: Seed,
        position: Position,
        kind: u8,
        lag: u32,
        body: BodySum,
    ) -> FrameHeader {
        let mut header = Self { length: body.length, lag, kind, crc: 0 };
        header.crc = header.sum(seed, position, body.crc);
        header
    }

    /// The header's bytes, for its position.
    pub(crate) fn encode(&self, seed: Seed, position: Position) -> [u8; FRAME_HEADER_BYTES] {
        let mut bytes = [0; FRAME_HEADER_BYTES];
        bytes[0..4].copy_from_slice(&self.length.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.crc.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.lag.to_le_bytes());
        bytes[12..14].copy_from_slice(&self.check(seed, position).to_le_bytes());
        bytes[14] = self.kind;
        bytes
    }

    /// The header that these bytes are at this position, if they are one.
    pub(crate) fn decode(
        bytes: &[u8; FRAME_HEADER_BYTES],
        seed: Seed,
        position: Position,
    ) -> Option<Self> {
        let [l0, l1, l2, l3, c0, c1, c2, c3, g0, g1, g2, g3, k0, k1, kind, zero] = *bytes;
        if zero != 0 || !is_kind(kind) {
            return None;
        }
        let header = Self {
            length: u32::from_le_bytes([l0, l1, l2, l3]),
            lag: u32::from_le_bytes([g0, g1, g2, g3]),
            kind,
            crc: u32::from_le_bytes([c0, c1, c2, c3]),
        };
        (header.check(seed, position) == u16::from_le_bytes([k0, k1])).then_some(header)
    }

    /// Bytes of the whole frame.
    pub(crate) fn frame_bytes(&self) -> usize {
        frame_bytes(self.length as usize)
    }

    /// The body within `after`, which is what follows the header in its frame, if it is what the
    /// header says and zeros pad it.
    pub(crate) fn body<'a>(
        &self,
        seed: Seed,
        position: Position,
        after: &'a [u8],
    ) -> Option<&'a [u8]> {
        let (body, padding) = after.split_at_checked(self.length as usize)?;
        let is_padding_zero = padding.iter().all(|byte| *byte == 0);
        let is_sum_right = self.sum(seed, position, crc32c::crc32c(body)) == self.crc;
        (is_padding_zero && is_sum_right).then_some(body)
    }

    /// All before this position was synced when the frame at `position` was made.
    pub(crate) fn synced_before(&self, position: Position) -> Position {
        match self.lag {
            LAG_UNKNOWN => Position::ZERO,
            lag => Position::new(position.value().saturating_sub(u64::from(lag))),
        }
    }

    fn sum(&self, seed: Seed, position: Position, body_crc: u32) -> u32 {
        let mut bytes = [0; 24];
        bytes[0..8].copy_from_slice(&position.value().to_le_bytes());
        bytes[8..12].copy_from_slice(&self.length.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.lag.to_le_bytes());
        bytes[16..20].copy_from_slice(&body_crc.to_le_bytes());
        bytes[20] = self.kind;
        crc32c::crc32c_append(seed.0, &bytes)
    }

    fn check(&self, seed: Seed, position: Position) -> u16 {
        let mut bytes = [0; 24];
        bytes[0..8].copy_from_slice(&position.value().to_le_bytes());
        bytes[8..12].copy_from_slice(&self.length.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.lag.to_le_bytes());
        bytes[16..20].copy_from_slice(&self.crc.to_le_bytes());
        bytes[20] = self.kind;
        // Tells this sum from the one above, which is over as many bytes.
        bytes[21] = 1;
        let sum = crc32c::crc32c_append(seed.0, &bytes);
        (sum ^ (sum >> 16)) as u16
    }
}

/// What a frame's sums need of its body: made before its position is known.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BodySum {
    pub(crate) length: u32,
    crc: u32,
}

impl BodySum {
    /// The sum of a body in pieces; `None` if it is longer than a frame can say.
    pub(crate) fn of(body: &[&[u8]]) -> Option<Self> {
        let length = body.iter().try_fold(0_usize, |sum, piece| sum.checked_add(piece.len()))?;
        let crc = body.iter().fold(0, |crc, piece| crc32c::crc32c_append(crc, piece));
        Some(Self { length: u32::try_from(length).ok()?, crc })
    }
}

/// Appends a whole frame to `out`.
pub(crate) fn put_frame(
    out: &mut Vec<u8>,
    seed: Seed,
    position: Position,
    header: &FrameHeader,
    body: &[&[u8]],
) {
    let end = out.len() + header.frame_bytes();
    out.extend_from_slice(&header.encode(seed, position));
    for piece in body {
        out.extend_from_slice(piece);
    }
    out.resize(end, 0);
}

fn is_kind(kind: u8) -> bool {
    matches!(kind, 1..=KIND_MAX | KIND_SEGMENT_END | KIND_GAP | KIND_SEAL)
}

#[cfg(test)]
mod tests {
    use super::*;

    const POSITION: Position = Position::new(4096);

    fn seed() -> Seed {
        Seed::of_journal(&[7; 16])
    }

    fn frame(body: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let sum = BodySum::of(&[body]).unwrap();
        let header = FrameHeader::new(seed(), POSITION, 5, 96, sum);
        put_frame(&mut bytes, seed(), POSITION, &header, &[body]);
        bytes
    }

    /// The body of the frame that `bytes` are at `position`, if they are one.
    fn check(bytes: &[u8], seed: Seed, position: Position) -> Option<Vec<u8>> {
        let (header, after) = bytes.split_first_chunk()?;
        let header = FrameHeader::decode(header, seed, position)?;
        let after = after.get(..header.frame_bytes().checked_sub(FRAME_HEADER_BYTES)?)?;
        header.body(seed, position, after).map(<[u8]>::to_vec)
    }

    #[test]
    fn a_frame_is_read_as_it_was_made() {
        for body in [&b""[..], b"a", b"eight by", b"and one.!"] {
            let bytes = frame(body);
            assert_eq!(bytes.len() % FRAME_ALIGNMENT, 0);
            assert_eq!(check(&bytes, seed(), POSITION).as_deref(), Some(body));
        }
    }

    #[test]
    fn a_frame_with_any_bit_flipped_is_none() {
        for body in [&b""[..], b"thirteen bytes"] {
            let bytes = frame(body);
            for bit in 0..bytes.len() * 8 {
                let mut bytes = bytes.clone();
                bytes[bit / 8] ^= 1 << (bit % 8);
                assert_eq!(check(&bytes, seed(), POSITION), None, "bit {bit}");
            }
        }
    }

    #[test]
    fn a_frame_of_another_place_or_journal_is_none() {
        let bytes = frame(b"body");
        assert_eq!(check(&bytes, seed(), POSITION + 8), None);
        assert_eq!(check(&bytes, Seed::of_journal(&[8; 16]), POSITION), None);
    }

    #[test]
    fn zeros_are_no_frame() {
        assert_eq!(check(&[0; 64], seed(), POSITION), None);
    }

    #[test]
    fn a_lag_too_long_to_be_told_proves_nothing() {
        let body = BodySum::of(&[b""]).unwrap();
        let position = Position::new(1 << 40);
        let told = FrameHeader::new(seed(), position, 1, 64, body);
        assert_eq!(told.synced_before(position), Position::new((1 << 40) - 64));
        let untold = FrameHeader::new(seed(), position, 1, LAG_UNKNOWN, body);
        assert_eq!(untold.synced_before(position), Position::ZERO);
    }
}
