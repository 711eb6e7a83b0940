//! Time, as the broker is told it.

use std::time::Duration;

/// A moment: microseconds since the broker started, on a clock that never goes back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Now(u64);

impl Now {
    /// The moment so many microseconds after the start.
    #[must_use]
    pub fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// The moment so long after the start.
    #[must_use]
    pub fn from_uptime(uptime: Duration) -> Self {
        Self(u64::try_from(uptime.as_micros()).unwrap_or(u64::MAX))
    }

    /// Milliseconds since the start.
    #[must_use]
    pub fn millis(self) -> u64 {
        self.0 / 1000
    }

    /// The moment so many milliseconds later.
    #[must_use]
    pub fn plus_ms(self, ms: u64) -> Self {
        Self(self.0.saturating_add(ms.saturating_mul(1000)))
    }

    /// Milliseconds since `earlier`; 0 where that is later.
    #[must_use]
    pub fn ms_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0) / 1000
    }

    /// How long it is from `self` until `later`; nothing where that is past.
    #[must_use]
    pub fn until(self, later: Self) -> Duration {
        Duration::from_micros(later.0.saturating_sub(self.0))
    }
}
