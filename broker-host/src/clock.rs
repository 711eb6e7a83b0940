//! The broker's clock: the one place that reads the time.

use std::time::{Instant, SystemTime};

use broker_core::Now;

/// Measures the time since the broker started. It never goes back and does not
/// follow changes of the date, which is read once, at the start.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    started: Instant,
    started_unix_ms: u64,
}

impl Clock {
    /// Starts a clock at zero. A broker has one; its copies tell the same time.
    #[expect(clippy::new_without_default, reason = "starting a clock is an act, not a default")]
    pub fn new() -> Self {
        let unix_time = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        // A machine whose date is before 1970 has no idea of it: it is taken for 1970.
        let unix_ms = unix_time.unwrap_or_default().as_millis();
        let started_unix_ms = u64::try_from(unix_ms).unwrap_or(u64::MAX);
        Self { started: Instant::now(), started_unix_ms }
    }

    /// The date and time when the clock was started, in milliseconds since 1970 (Unix time).
    pub fn started_unix_ms(&self) -> u64 {
        self.started_unix_ms
    }

    /// The time since the clock was started, as the core takes it.
    pub fn now(&self) -> Now {
        Now::from_uptime(self.started.elapsed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_tell_the_same_time_and_it_does_not_go_back() {
        let clock = Clock::new();
        let copy = clock;
        let first = clock.now();
        let second = copy.now();
        assert!(clock.now() >= second && second >= first);
    }

    #[test]
    fn the_date_is_that_of_the_start() {
        let unix_ms = || SystemTime::UNIX_EPOCH.elapsed().expect("a date after 1970").as_millis();
        let before = unix_ms();
        let clock = Clock::new();
        let started = u128::from(clock.started_unix_ms());
        assert!((before..=unix_ms()).contains(&started), "{started}");
    }
}
