//! When the messages of a paced publisher are due.

use crate::load::Extent;

const NS_PER_S: f64 = 1e9;

/// The schedule of one of several publishers that share an aggregate rate.
///
/// The publishers take turns: publisher `p` of `n` is due `p` places later in the common rhythm,
/// so that the aggregate is even and not `n` bursts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pace {
    start_ns: u64,
    first_due_ns: u64,
    interval_ns: f64,
}

impl Pace {
    /// The schedule of publisher `publisher` of `publishers`, which share `rate_per_s` from
    /// `start_ns` on.
    #[must_use]
    pub fn new(rate_per_s: f64, publisher: u16, publishers: u32, start_ns: u64) -> Self {
        let place_ns = NS_PER_S / rate_per_s;
        Self {
            start_ns,
            first_due_ns: start_ns + (place_ns * f64::from(publisher)) as u64,
            interval_ns: place_ns * f64::from(publishers),
        }
    }

    /// When message `index` is due.
    #[must_use]
    pub fn due_ns(&self, index: u64) -> u64 {
        self.first_due_ns + (self.interval_ns * index as f64) as u64
    }

    /// How many messages there are in all.
    #[must_use]
    pub fn messages_in(&self, extent: Extent) -> u64 {
        match extent {
            Extent::Count(messages) => messages,
            Extent::DurationNs(duration_ns) => {
                let lead_ns = self.first_due_ns - self.start_ns;
                (duration_ns.saturating_sub(lead_ns) as f64 / self.interval_ns).ceil() as u64
            }
        }
    }

    /// The time between two messages.
    #[must_use]
    pub fn spacing_ns(&self) -> u64 {
        self.interval_ns as u64
    }

    /// How many messages, `sent` being out already, are due at `now_ns`; at most `batch_max`.
    #[must_use]
    pub fn due_count(&self, sent: u64, now_ns: u64, batch_max: u32) -> u32 {
        let Some(elapsed_ns) = now_ns.checked_sub(self.first_due_ns) else { return 0 };
        // Rounding can put the last one a hair into the future; then it is left for later.
        let due = (elapsed_ns as f64 / self.interval_ns) as u64 + 1;
        let due = if self.due_ns(due - 1) > now_ns { due - 1 } else { due };
        u32::try_from(due.saturating_sub(sent)).unwrap_or(u32::MAX).min(batch_max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn publishers_take_turns_in_one_rhythm() {
        let due = |publisher, index| Pace::new(1000.0, publisher, 4, 500).due_ns(index);
        assert_eq!([due(0, 0), due(1, 0), due(2, 0)], [500, 1_000_500, 2_000_500]);
        assert_eq!(due(0, 1), 4_000_500);
    }

    #[test]
    fn what_is_late_is_sent_at_once_but_no_more_than_a_batch() {
        let pace = Pace::new(1000.0, 0, 1, 0);
        assert_eq!(pace.due_count(0, 0, 64), 1);
        assert_eq!(pace.due_count(1, 999_999, 64), 0);
        assert_eq!(pace.due_count(1, 5_000_000, 64), 5);
        assert_eq!(pace.due_count(0, 1_000_000_000, 64), 64);
        assert_eq!(Pace::new(1000.0, 0, 1, 10).due_count(0, 9, 64), 0);
    }

    #[test]
    fn a_duration_holds_what_is_due_before_its_end() {
        let messages = |publisher| {
            Pace::new(1000.0, publisher, 2, 77).messages_in(Extent::DurationNs(1_000_000_000))
        };
        assert_eq!(messages(0) + messages(1), 1000);
        assert_eq!(Pace::new(10.0, 1, 2, 0).messages_in(Extent::DurationNs(1)), 0);
    }

    proptest! {
        #[test]
        fn nothing_is_sent_before_it_is_due(
            rate_per_s in 1.0f64..5e6, now_ns in 0u64..10_000_000_000, sent in 0u64..1000,
        ) {
            let pace = Pace::new(rate_per_s, 0, 1, 0);
            let count = pace.due_count(sent, now_ns, 64);
            if count > 0 {
                prop_assert!(pace.due_ns(sent + u64::from(count) - 1) <= now_ns);
            }
        }
    }
}
