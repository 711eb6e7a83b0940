//! When a message that was not acknowledged is delivered again, and how often at most.

/// What becomes of the messages that come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Redelivery {
    /// Deliveries after which a message that comes back is dead; at least 1.
    pub(crate) deliveries_max: u32,
    pub(crate) backoff: Backoff,
}

/// How long a message waits for its next delivery: twice as long each time, within bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Backoff {
    /// After the first delivery.
    pub(crate) ms_min: u32,
    /// Never longer than this, be `ms_min` as it may.
    pub(crate) ms_max: u32,
}

impl Backoff {
    /// How long a message waits that was delivered so often.
    pub(crate) fn delay_ms(self, deliveries: u32) -> u32 {
        let doublings = deliveries.saturating_sub(1).min(u32::BITS);
        let delay_ms = (u64::from(self.ms_min) << doublings).min(u64::from(self.ms_max));
        u32::try_from(delay_ms).expect("it is at most ms_max, which is a u32")
    }
}

/// How long messages that a consumer gave back wait for their next delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Delay {
    /// As long as [`Backoff`] says for their number of deliveries.
    Backoff,
    /// As long as the consumer asked for.
    Ms(u32),
}

impl Delay {
    pub(super) fn ms(self, deliveries: u32, backoff: Backoff) -> u64 {
        match self {
            Self::Backoff => u64::from(backoff.delay_ms(deliveries)),
            Self::Ms(ms) => u64::from(ms),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delays_ms(ms_min: u32, ms_max: u32, deliveries: &[u32]) -> Vec<u32> {
        deliveries.iter().map(|count| Backoff { ms_min, ms_max }.delay_ms(*count)).collect()
    }

    #[test]
    fn a_backoff_doubles_from_the_least_to_the_most() {
        assert_eq!(delays_ms(100, 1000, &[1, 2, 3, 4, 5, 6]), [100, 200, 400, 800, 1000, 1000]);
    }

    #[test]
    fn a_backoff_after_any_number_of_deliveries_is_within_bounds() {
        assert_eq!(
            delays_ms(1, u32::MAX, &[0, 32, 33, 34, u32::MAX]),
            [1, 1 << 31, u32::MAX, u32::MAX, u32::MAX]
        );
        assert_eq!(delays_ms(u32::MAX, u32::MAX, &[u32::MAX]), [u32::MAX]);
        assert_eq!(delays_ms(0, 1000, &[1, 40]), [0, 0]);
        assert_eq!(delays_ms(500, 200, &[1, 2]), [200, 200], "the most wins over the least");
    }
}
