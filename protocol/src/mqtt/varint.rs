//! Variable byte integers (MQTT 5.0 §1.5.5): seven bits a byte, the lowest first.
//!
//! ```text
//! 0                1                2                3                4
//! +---+------------+---+------------+---+------------+---+------------+
//! | m | bits 0-6   | m | bits 7-13  | m | bits 14-20 | 0 | bits 21-27 |
//! +---+------------+---+------------+---+------------+---+------------+
//! m: another byte follows
//! ```

use bytes::BufMut;

/// The largest number that four bytes hold.
pub(super) const VARINT_MAX: u32 = (1 << 28) - 1;

/// What a number starts with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Varint {
    /// A number, and how many bytes it took.
    Number { value: u32, bytes: usize },
    /// The last byte there says that another follows.
    Short,
    /// The fourth byte says that another follows.
    Long,
}

impl Varint {
    #[inline]
    pub(super) fn read(input: &[u8]) -> Self {
        match input {
            [byte @ 0..=0x7F, ..] => Self::Number { value: u32::from(*byte), bytes: 1 },
            _ => Self::read_long(input),
        }
    }

    fn read_long(input: &[u8]) -> Self {
        let mut value = 0;
        for (index, byte) in input.iter().take(4).enumerate() {
            value |= u32::from(byte & 0x7F) << (7 * index);
            if byte & 0x80 == 0 {
                return Self::Number { value, bytes: index + 1 };
            }
        }
        if input.len() < 4 { Self::Short } else { Self::Long }
    }
}

/// Bytes that `value` takes.
#[inline]
pub(super) fn varint_bytes(value: u32) -> usize {
    match value {
        0..=0x7F => 1,
        0x80..=0x3FFF => 2,
        0x4000..=0x001F_FFFF => 3,
        _ => 4,
    }
}

/// The bytes of `value`, and how many of them count.
///
/// # Panics
/// If `value` is over [`VARINT_MAX`]: no packet is that large.
#[inline]
pub(super) fn varint(value: u32) -> ([u8; 4], usize) {
    assert!(value <= VARINT_MAX, "expected a number of at most {VARINT_MAX}, found {value}");
    let count = varint_bytes(value);
    let mut bytes = [0; 4];
    for (index, byte) in bytes.iter_mut().enumerate().take(count) {
        let more = if index + 1 < count { 0x80 } else { 0 };
        *byte = (value >> (7 * index)) as u8 & 0x7F | more;
    }
    (bytes, count)
}

pub(super) fn put_varint(out: &mut impl BufMut, value: u32) {
    let (bytes, count) = varint(value);
    out.put_slice(&bytes[..count]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_take_the_bytes_that_the_standard_gives_them() {
        let cases: [(u32, &[u8]); 9] = [
            (0, &[0]),
            (127, &[0x7F]),
            (128, &[0x80, 0x01]),
            (321, &[0xC1, 0x02]),
            (16_383, &[0xFF, 0x7F]),
            (16_384, &[0x80, 0x80, 0x01]),
            (2_097_151, &[0xFF, 0xFF, 0x7F]),
            (2_097_152, &[0x80, 0x80, 0x80, 0x01]),
            (VARINT_MAX, &[0xFF, 0xFF, 0xFF, 0x7F]),
        ];
        for (value, expected) in cases {
            let mut bytes = Vec::new();
            put_varint(&mut bytes, value);
            assert_eq!(bytes, expected, "{value}");
            let count = bytes.len();
            assert_eq!(varint_bytes(value), count, "{value}");
            assert_eq!(Varint::read(&bytes), Varint::Number { value, bytes: count });
            assert_eq!(Varint::read(&bytes[..count - 1]), Varint::Short, "{value}");
        }
    }

    #[test]
    fn a_fifth_byte_is_too_many() {
        assert_eq!(Varint::read(&[0xFF; 4]), Varint::Long);
        assert_eq!(Varint::read(&[0xFF; 3]), Varint::Short);
    }
}
