//! A batch of messages: the bytes that a publication, the log and a delivery share.
//!
//! ```text
//! batch   := record*
//! record  := length (u32, little-endian) | payload (length bytes)
//!
//!   0        4                4+length
//!   +--------+----------------+--------+-----
//!   | length | payload        | length | ...
//!   +--------+----------------+--------+-----
//! ```
//!
//! The two highest bits of `length` are reserved and zero, so a payload is shorter than 1 GiB.
//! Offsets are not written: the record at index `i` of a batch that begins at offset `b` has
//! the offset `b + i`.

use crate::{Code, Refusal};

/// Bytes before each payload.
pub const RECORD_HEADER_BYTES: usize = 4;

/// The longest payload that a record's length can say.
pub const PAYLOAD_BYTES_MAX: usize = (1 << 30) - 1;

/// A run of whole records, checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batch<'a> {
    bytes: &'a [u8],
    count: u32,
}

impl<'a> Batch<'a> {
    /// Checks that `bytes` are exactly `count` records, each payload at most `payload_bytes_max`.
    ///
    /// # Errors
    /// [`Code::MalformedFrame`] where a record runs past the end or the count is another;
    /// [`Code::MessageTooLarge`] where a payload is over the limit.
    pub fn check(bytes: &'a [u8], count: u32, payload_bytes_max: usize) -> Result<Self, Refusal> {
        let mut rest = bytes;
        let mut found = 0u32;
        while let Some((header, tail)) = rest.split_first_chunk::<RECORD_HEADER_BYTES>() {
            let length = u32::from_le_bytes(*header) as usize;
            if length > payload_bytes_max {
                return Err(too_large(length, payload_bytes_max));
            }
            let Some(next) = tail.get(length..) else {
                return Err(cut_short(found, length, tail.len()));
            };
            rest = next;
            found += 1;
        }
        if !rest.is_empty() {
            return Err(cut_short(found, RECORD_HEADER_BYTES, rest.len()));
        }
        if found != count {
            return Err(Refusal::new(
                Code::MalformedFrame,
                format!("expected {count} records as the frame says, found {found}"),
            ));
        }
        Ok(Self { bytes, count })
    }

    /// Takes bytes that were checked before, such as a piece of the log.
    #[must_use]
    pub fn trusted(bytes: &'a [u8], count: u32) -> Self {
        debug_assert_eq!(Self::check(bytes, count, PAYLOAD_BYTES_MAX).map(|b| b.count), Ok(count));
        Self { bytes, count }
    }

    /// How many messages it holds.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.count
    }

    /// Its bytes as they travel.
    #[must_use]
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The payloads, oldest first.
    #[must_use]
    pub fn payloads(&self) -> Payloads<'a> {
        payloads(self.bytes)
    }
}

/// The payloads in `bytes`, whole records that were checked before.
#[must_use]
pub fn payloads(bytes: &[u8]) -> Payloads<'_> {
    Payloads { rest: bytes }
}

/// Iterates over the payloads of a [`Batch`].
#[derive(Clone, Debug)]
pub struct Payloads<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Payloads<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        let (header, tail) = self.rest.split_first_chunk::<RECORD_HEADER_BYTES>()?;
        let (payload, rest) = tail.split_at_checked(u32::from_le_bytes(*header) as usize)?;
        self.rest = rest;
        Some(payload)
    }
}

/// How far into `bytes`, whole records, one may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prefix {
    /// Bytes of the whole records taken.
    pub bytes: usize,
    /// How many records these are.
    pub count: u32,
}

/// The longest run of whole records at the start of `bytes` that is at most `bytes_max` bytes
/// and `count_max` records.
#[must_use]
pub fn prefix(bytes: &[u8], bytes_max: usize, count_max: u32) -> Prefix {
    let mut taken = Prefix { bytes: 0, count: 0 };
    while taken.count < count_max {
        let Some((header, _)) = bytes[taken.bytes..].split_first_chunk::<RECORD_HEADER_BYTES>()
        else {
            break;
        };
        let end = taken.bytes + RECORD_HEADER_BYTES + u32::from_le_bytes(*header) as usize;
        if end > bytes_max || end > bytes.len() {
            break;
        }
        taken = Prefix { bytes: end, count: taken.count + 1 };
    }
    taken
}

/// Builds a batch, message by message.
#[derive(Clone, Debug, Default)]
pub struct BatchBuilder {
    bytes: Vec<u8>,
    count: u32,
}

impl BatchBuilder {
    /// An empty batch.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a message.
    ///
    /// # Errors
    /// [`Code::MessageTooLarge`] past [`PAYLOAD_BYTES_MAX`].
    pub fn push(&mut self, payload: &[u8]) -> Result<(), Refusal> {
        if payload.len() > PAYLOAD_BYTES_MAX {
            return Err(too_large(payload.len(), PAYLOAD_BYTES_MAX));
        }
        self.bytes.extend_from_slice(&record_header(payload.len()));
        self.bytes.extend_from_slice(payload);
        self.count += 1;
        Ok(())
    }

    /// The batch so far.
    #[must_use]
    pub fn batch(&self) -> Batch<'_> {
        Batch { bytes: &self.bytes, count: self.count }
    }

    /// Empties it, keeping its memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.count = 0;
    }
}

/// The header of a record whose payload is `length` bytes, at most [`PAYLOAD_BYTES_MAX`].
#[must_use]
pub fn record_header(length: usize) -> [u8; RECORD_HEADER_BYTES] {
    debug_assert!(length <= PAYLOAD_BYTES_MAX);
    (length as u32).to_le_bytes()
}

/// The refusal of a message over a limit.
#[must_use]
pub fn too_large(length: usize, payload_bytes_max: usize) -> Refusal {
    Refusal::new(
        Code::MessageTooLarge,
        format!(
            "expected a message of at most {payload_bytes_max} bytes, found {length}; split it, or raise message_bytes_max"
        ),
    )
}

fn cut_short(index: u32, expected: usize, found: usize) -> Refusal {
    Refusal::new(
        Code::MalformedFrame,
        format!(
            "record {index} of the batch is cut short: expected {expected} bytes, found {found}"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn built(payloads: &[Vec<u8>]) -> BatchBuilder {
        let mut builder = BatchBuilder::new();
        for payload in payloads {
            builder.push(payload).expect("small");
        }
        builder
    }

    proptest! {
        #[test]
        fn what_was_pushed_comes_out(payloads: Vec<Vec<u8>>) {
            let builder = built(&payloads);
            let batch = builder.batch();
            prop_assert_eq!(Batch::check(batch.bytes(), batch.count(), 1 << 20), Ok(batch));
            let found: Vec<_> = batch.payloads().map(<[u8]>::to_vec).collect();
            prop_assert_eq!(found, payloads);
        }

        #[test]
        fn a_prefix_is_whole_records_within_both_limits(
            payloads: Vec<Vec<u8>>, bytes_max in 0usize..4096, count_max in 0u32..64,
        ) {
            let builder = built(&payloads);
            let all = builder.batch();
            let taken = prefix(all.bytes(), bytes_max, count_max);
            prop_assert!(taken.bytes <= bytes_max && taken.count <= count_max);
            let head = Batch::check(&all.bytes()[..taken.bytes], taken.count, 1 << 20);
            prop_assert!(head.is_ok());
            let next = prefix(all.bytes(), usize::MAX, taken.count + 1);
            let could_take_more = next.count > taken.count
                && next.bytes <= bytes_max && next.count <= count_max;
            prop_assert!(!could_take_more);
        }

        #[test]
        fn no_bytes_make_the_check_panic(bytes: Vec<u8>, count: u32) {
            if let Ok(batch) = Batch::check(&bytes, count, 1 << 20) {
                prop_assert_eq!(batch.payloads().count(), count as usize);
            }
        }
    }

    #[test]
    fn a_wrong_batch_is_named() {
        let builder = built(&[vec![1, 2, 3], vec![]]);
        let bytes = builder.batch().bytes();
        let code = |bytes, count, max| Batch::check(bytes, count, max).expect_err("wrong").code;
        assert_eq!(code(bytes, 3, 100), Code::MalformedFrame);
        assert_eq!(code(&bytes[..bytes.len() - 1], 2, 100), Code::MalformedFrame);
        assert_eq!(code(bytes, 2, 2), Code::MessageTooLarge);
    }
}
