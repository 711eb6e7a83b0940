//! A run of offsets, and how often its messages were delivered.

/// The messages from `first` up to `end`, which is not among them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Offsets {
    pub(crate) first: u64,
    pub(crate) end: u64,
}

impl Offsets {
    /// The messages from `first` up to `end`; none where that is not after `first`.
    pub(crate) fn new(first: u64, end: u64) -> Self {
        Self { first, end: end.max(first) }
    }

    /// So many messages from `first` on, fewer where offsets come to their end.
    pub(crate) fn counted(first: u64, count: u64) -> Self {
        Self { first, end: first.saturating_add(count) }
    }

    pub(crate) fn count(self) -> u64 {
        self.end - self.first
    }

    pub(crate) fn is_empty(self) -> bool {
        self.first == self.end
    }

    /// The part of them that comes before `offset`.
    pub(crate) fn before(self, offset: u64) -> Self {
        Self::new(self.first, self.end.min(offset))
    }

    /// The part of them from `offset` on.
    pub(crate) fn from(self, offset: u64) -> Self {
        Self::new(self.first.max(offset), self.end)
    }
}

/// Messages that were all delivered equally often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) offsets: Offsets,
    /// How often each of them was given to a consumer, at least once.
    pub(crate) deliveries: u32,
}
