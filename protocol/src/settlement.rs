//! How a consumer tells what became of messages that it was given.

use crate::{Code, Refusal};
use std::borrow::Cow;

/// Which subscription is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SettleTarget<'a> {
    /// A push delivery of this connection.
    Attached {
        /// The correlation id of the SUBSCRIBE that began it.
        subscription: u32,
    },
    /// Any, by its name.
    Named {
        /// The topic's name.
        topic: Cow<'a, str>,
        /// Who subscribed.
        subscriber: Cow<'a, str>,
    },
}

/// A run of offsets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OffsetRange {
    /// The first offset.
    pub first: u64,
    /// How many; at least 1.
    pub count: u32,
}

impl OffsetRange {
    /// A single offset.
    #[must_use]
    pub fn one(offset: u64) -> Self {
        Self { first: offset, count: 1 }
    }

    /// The offset behind the last.
    #[must_use]
    pub fn end(self) -> u64 {
        self.first.saturating_add(u64::from(self.count))
    }

    /// Whether `offset` is one of them.
    #[must_use]
    pub fn contains(self, offset: u64) -> bool {
        (self.first..self.end()).contains(&offset)
    }

    /// Adds `offset` to `ranges`, to the last of them where it follows that.
    pub fn add(ranges: &mut Vec<Self>, offset: u64) {
        match ranges.last_mut() {
            Some(last) if last.end() == offset && last.count < u32::MAX => last.count += 1,
            _ => ranges.push(Self::one(offset)),
        }
    }

    /// Checks a range that came over the wire.
    ///
    /// # Errors
    /// [`Code::InvalidValue`] where it is empty or runs past the largest offset.
    pub(crate) fn check(self) -> Result<Self, Refusal> {
        if self.count > 0 && self.first.checked_add(u64::from(self.count)).is_some() {
            return Ok(self);
        }
        Err(Refusal::new(
            Code::InvalidValue,
            format!(
                "expected a range of at least 1 offset that ends below 2^64, found {} from {}",
                self.count, self.first
            ),
        ))
    }
}

/// What became of messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// They are done with.
    Ack,
    /// They are to be delivered again.
    Nack {
        /// How long to wait before; `None` is the subscription's backoff. Below [`u32::MAX`].
        delay_ms: Option<u32>,
    },
}

/// Whether a successful acknowledgement is answered, once it is as durable as the topic. A
/// refused one always is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SettleAnswer {
    /// It is.
    Wanted,
    /// It is not.
    Unwanted,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_that_follow_each_other_share_a_range() {
        let mut ranges = Vec::new();
        for offset in [3, 4, 5, 9, 8, 9] {
            OffsetRange::add(&mut ranges, offset);
        }
        let expected = [(3, 3), (9, 1), (8, 2)].map(|(first, count)| OffsetRange { first, count });
        assert_eq!(ranges, expected);
    }

    #[test]
    fn a_range_has_an_offset_and_an_end() {
        assert!(OffsetRange { first: u64::MAX - 1, count: 1 }.check().is_ok());
        for (first, count) in [(0, 0), (u64::MAX, 1), (u64::MAX - 4, 5)] {
            let refusal = OffsetRange { first, count }.check().expect_err("no range");
            assert_eq!(refusal.code, Code::InvalidValue, "{count} from {first}");
        }
    }
}
