//! The broker's clock: the one place that reads the time.

use std::time::Instant;

use broker_core::Now;

/// Measures the time since the broker started, which is all the time that the
/// core knows. It never goes back and does not follow changes of the date.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    started: Instant,
}

impl Clock {
    /// Starts a clock at zero. A broker has one; its copies tell the same time.
    #[expect(clippy::new_without_default, reason = "starting a clock is an act, not a default")]
    pub fn new() -> Self {
        Self { started: Instant::now() }
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
}
