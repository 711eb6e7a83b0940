//! Where things are in a journal, and how safe they are there.

use std::fmt;
use std::ops::{Add, Sub};

/// A byte address in the journal. It grows for ever and is never used twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position(u64);

impl Position {
    /// The address where a journal's first segment begins.
    pub const ZERO: Self = Self(0);

    /// The position that has this value.
    #[must_use]
    pub const fn new(value: u64) -> Self {
        Self(value)
    }

    /// Its value, for whoever stores it.
    #[must_use]
    pub const fn value(self) -> u64 {
        self.0
    }
}

impl Add<u64> for Position {
    type Output = Self;

    /// The position so many bytes on. Past the end of all addresses there is none, and the result
    /// stays at the last.
    fn add(self, bytes: u64) -> Self {
        Self(self.0.saturating_add(bytes))
    }
}

impl Sub for Position {
    type Output = u64;

    /// Bytes from `earlier` to here; 0 if it is not earlier.
    fn sub(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Where a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The first address of the segment that holds it.
    pub segment: Position,
    /// The first address of its frame.
    pub position: Position,
    /// The whole frame: header, body and padding.
    pub bytes: u32,
}

impl Place {
    /// Where the next frame may be.
    #[must_use]
    pub fn end(self) -> Position {
        self.position + u64::from(self.bytes)
    }
}

/// What has to happen to a record before it counts as done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// It was given to the operating system: it outlives this process, not the machine. It is
    /// synced too, but only [`sync_ms_max`](crate::Options::sync_ms_max) later or with others.
    Written,
    /// It was synced to the medium: it outlives a loss of power.
    Synced,
}

/// How far a journal has come. Both only ever grow, and stand still once it has failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reached {
    /// All before this position was given to the operating system, and can be read.
    pub written: Position,
    /// All before this position was synced to the medium.
    pub synced: Position,
}

impl Reached {
    /// Whether a record that ends at `end` has what `level` asks.
    #[must_use]
    pub fn has(self, end: Position, level: Level) -> bool {
        match level {
            Level::Written => end <= self.written,
            Level::Synced => end <= self.synced,
        }
    }
}
