//! When a lost connection is tried again.

use std::time::Duration;

/// Whether and how a lost connection is made again.
///
/// The delay before attempt `n` is drawn between half and all of `delay_min * 2^n`, at most
/// `delay_max`, so that clients that lost the same broker do not come back all at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reconnect {
    /// Attempts before giving up; 0 is never to reconnect.
    pub attempts_max: u32,
    /// The longest delay before the first attempt.
    pub delay_min: Duration,
    /// The longest delay before any.
    pub delay_max: Duration,
}

impl Default for Reconnect {
    fn default() -> Self {
        Self {
            attempts_max: 8,
            delay_min: Duration::from_millis(50),
            delay_max: Duration::from_secs(2),
        }
    }
}

impl Reconnect {
    /// A lost connection stays lost.
    #[must_use]
    pub fn never() -> Self {
        Self { attempts_max: 0, ..Self::default() }
    }
}

/// Counts the attempts to make one connection again.
#[derive(Clone, Debug)]
pub(crate) struct Backoff {
    policy: Reconnect,
    attempts: u32,
}

impl Backoff {
    pub(crate) fn new(policy: Reconnect) -> Self {
        Self { policy, attempts: 0 }
    }

    /// How long to wait before the next attempt, `None` to give up.
    /// `random` is drawn evenly from 0 to 1.
    pub(crate) fn next_delay(&mut self, random: f64) -> Option<Duration> {
        if self.attempts >= self.policy.attempts_max {
            return None;
        }
        let doubled = 1u32.checked_shl(self.attempts).unwrap_or(u32::MAX);
        let longest = self.policy.delay_min.saturating_mul(doubled).min(self.policy.delay_max);
        self.attempts += 1;
        Some(longest.mul_f64(0.5 + random.clamp(0.0, 1.0) / 2.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_the_longest_and_then_end() {
        let policy = Reconnect {
            attempts_max: 40,
            delay_min: Duration::from_millis(10),
            delay_max: Duration::from_millis(65),
        };
        let mut backoff = Backoff::new(policy);
        let delays: Vec<_> = std::iter::from_fn(|| backoff.next_delay(1.0)).collect();
        assert_eq!(delays.len(), 40);
        let ms: Vec<_> = delays.iter().take(5).map(Duration::as_millis).collect();
        assert_eq!(ms, [10, 20, 40, 65, 65]);
        assert!(delays.iter().all(|delay| *delay <= policy.delay_max));
    }

    #[test]
    fn half_of_a_delay_is_chance() {
        let policy = Reconnect::default();
        assert_eq!(Backoff::new(policy).next_delay(0.0), Some(policy.delay_min / 2));
        assert_eq!(Backoff::new(Reconnect::never()).next_delay(0.0), None);
    }
}
