//! A number of bytes as people write it: `65536`, `64KiB`, `8MiB`, `1GiB`.

use std::fmt;
use std::str::FromStr;

use serde::de::{self, Deserialize, Deserializer, Visitor};
use thiserror::Error;

/// The largest size taken: what a file may hold, so that adding a small margin to
/// any size cannot overflow.
const BYTES_MAX: u64 = i64::MAX as u64;

/// The suffixes, largest first, with the bytes that one of each stands for.
const SUFFIXES: [(&str, u64); 3] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];

/// A number of bytes, written plainly or with KiB, MiB or GiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ByteSize(u64);

/// A text that is no byte size.
#[derive(Debug, Error, PartialEq, Eq)]
pub(crate) enum ByteSizeError {
    /// It is not digits and a known suffix.
    #[error(
        "expected a number of bytes, plain or with KiB, MiB or GiB, \
         but found {found:?}; write 65536 or 64KiB, for example"
    )]
    Malformed {
        /// The text as given.
        found: String,
    },
    /// It is more than a file can be.
    #[error("expected at most {BYTES_MAX} bytes, but found {found:?}; give less")]
    TooLarge {
        /// The text as given.
        found: String,
    },
}

impl From<u64> for ByteSize {
    fn from(bytes: u64) -> Self {
        Self(bytes)
    }
}

impl From<usize> for ByteSize {
    fn from(bytes: usize) -> Self {
        Self(bytes as u64)
    }
}

impl From<ByteSize> for u64 {
    fn from(size: ByteSize) -> Self {
        size.0
    }
}

impl From<ByteSize> for usize {
    /// A size of memory: no more than one allocation may hold.
    fn from(size: ByteSize) -> Self {
        Self::try_from(size.0).unwrap_or(usize::MAX).min(isize::MAX as Self)
    }
}

impl FromStr for ByteSize {
    type Err = ByteSizeError;

    fn from_str(text: &str) -> Result<Self, ByteSizeError> {
        let malformed = || ByteSizeError::Malformed { found: text.to_owned() };
        let too_large = || ByteSizeError::TooLarge { found: text.to_owned() };

        let digits_len = text.bytes().take_while(u8::is_ascii_digit).count();
        let (digits, suffix) = text.split_at(digits_len);
        if digits.is_empty() {
            return Err(malformed());
        }
        let unit = match suffix {
            "" => 1,
            _ => SUFFIXES.iter().find(|(name, _)| *name == suffix).ok_or_else(malformed)?.1,
        };
        // Digits alone can only fail to parse by being too many.
        let count: u64 = digits.parse().map_err(|_| too_large())?;
        let bytes = count.checked_mul(unit).filter(|bytes| *bytes <= BYTES_MAX);
        bytes.map(Self).ok_or_else(too_large)
    }
}

impl fmt::Display for ByteSize {
    /// Writes the size with the largest suffix that divides it, so that it reads back the same.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.0;
        match SUFFIXES.iter().find(|(_, unit)| bytes > 0 && bytes.is_multiple_of(*unit)) {
            Some((name, unit)) => write!(f, "{}{name}", bytes / unit),
            None => write!(f, "{bytes}"),
        }
    }
}

impl<'de> Deserialize<'de> for ByteSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ByteSizeVisitor)
    }
}

struct ByteSizeVisitor;

impl Visitor<'_> for ByteSizeVisitor {
    type Value = ByteSize;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number of bytes such as 65536, or a string such as \"64KiB\"")
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<ByteSize, E> {
        number.to_string().parse().map_err(E::custom)
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<ByteSize, E> {
        number.to_string().parse().map_err(E::custom)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<ByteSize, E> {
        text.parse().map_err(E::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(text: &str, bytes: u64) {
        assert_eq!(text.parse(), Ok(ByteSize(bytes)), "{text}");
    }

    #[test]
    fn plain_numbers_and_suffixes_are_taken() {
        check("0", 0);
        check("65536", 65536);
        check("64KiB", 64 << 10);
        check("8MiB", 8 << 20);
        check("2GiB", 2 << 30);
    }

    #[test]
    fn anything_else_is_refused_with_the_text_and_an_example() {
        for text in ["", "KiB", "-1", "1.5MiB", "64MB", "64kib", "64 KiB", "64KiBs", "+1", "é"] {
            let error = text.parse::<ByteSize>().expect_err(text).to_string();
            assert!(error.contains(&format!("found {text:?}")), "{error}");
            assert!(error.contains("64KiB, for example"), "{error}");
        }
    }

    #[test]
    fn a_size_past_what_a_file_can_be_is_too_large() {
        for text in ["9223372036854775808", "99999999999999999999999", "9007199254740993KiB"] {
            let found = text.to_owned();
            assert_eq!(text.parse::<ByteSize>(), Err(ByteSizeError::TooLarge { found }));
        }
    }

    proptest! {
        #[test]
        fn every_size_reads_back_as_it_was_written(bytes in 0..=BYTES_MAX) {
            prop_assert_eq!(ByteSize(bytes).to_string().parse(), Ok(ByteSize(bytes)));
        }

        #[test]
        fn every_suffix_multiplies(count in 0_u64..1 << 30, pick in 0..SUFFIXES.len()) {
            let (name, unit) = SUFFIXES[pick];
            let size = format!("{count}{name}").parse();
            prop_assert_eq!(size, Ok(ByteSize(count * unit)));
        }

        #[test]
        fn no_text_panics(text in ".*") {
            let _ = text.parse::<ByteSize>();
        }
    }
}
