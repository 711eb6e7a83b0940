//! The one monotonic clock that every time in a run is read from.

use std::time::{Duration, Instant};

/// Nanoseconds since the clock was made, the same on every thread that holds a copy.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    origin: Instant,
}

impl Clock {
    /// A clock that begins at 0 now.
    #[must_use]
    pub fn start() -> Self {
        Self { origin: Instant::now() }
    }

    /// Nanoseconds since the start.
    #[inline]
    #[must_use]
    pub fn now_ns(&self) -> u64 {
        duration_ns(self.origin.elapsed())
    }
}

/// A duration as whole nanoseconds; 584 years at most.
#[inline]
#[must_use]
pub fn duration_ns(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
