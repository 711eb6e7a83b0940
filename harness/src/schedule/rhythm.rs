//! An even rate in whole numbers: nothing is lost to rounding, however many messages there are.
//!
//! A rate is a binary fraction, and so the time of a message is a fraction of two integers. It is
//! carried on from one message to the next as a quotient and a remainder, as Bresenham's line is:
//! two additions for each message, and after 10¹² of them still the nearest nanosecond.

/// One message, in the fixed-point numbers that count them.
pub(super) const MESSAGE: u128 = 1 << FRACTION_BITS;

const FRACTION_BITS: u32 = 32;

/// A number of messages in fixed point as the nearest `f64`.
pub(super) fn messages_of(fixed: u128) -> f64 {
    fixed as f64 / MESSAGE as f64
}

/// A time, or a time between two: `ns + parts / rhythm.parts`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Moment {
    pub(super) ns: u64,
    parts: u64,
}

/// An even rate: one message each `interval / parts` nanoseconds.
///
/// With rates from 2⁻¹⁰ to 10⁹ per second, `interval` is below 2⁹³ and `parts` below 2⁵³, which
/// keeps every product here within 128 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rhythm {
    interval: u128,
    parts: u64,
}

impl Rhythm {
    /// The rhythm of exactly this rate; `None` for no messages at all.
    ///
    /// # Panics
    /// If the rate is beyond what [`LoadModel::check`](super::LoadModel::check) lets pass.
    pub(super) fn of(rate_per_s: f64) -> Option<Self> {
        const NS_PER_S: u128 = 1_000_000_000;
        if rate_per_s <= 0.0 {
            return None;
        }
        assert!((super::RATE_PER_S_MIN..=super::RATE_PER_S_MAX).contains(&rate_per_s));
        let bits = rate_per_s.to_bits();
        // A normal number: (2^52 + fraction) * 2^(exponent - 1075), IEEE 754-2019 §3.4.
        let (significand, exponent) =
            (bits & ((1 << 52) - 1) | 1 << 52, (bits >> 52) as i32 - 1075);
        let spare = significand.trailing_zeros();
        let (odd, exponent) = (significand >> spare, exponent + spare as i32);
        Some(match exponent {
            0.. => Self { interval: NS_PER_S, parts: odd << exponent },
            _ => Self { interval: NS_PER_S << -exponent, parts: odd },
        })
    }

    /// The time that so many messages take; at most `u64::MAX` nanoseconds.
    pub(super) fn step(&self, messages: u32) -> Moment {
        self.moment(u128::from(messages) * self.interval)
    }

    /// When something is due that is so many messages after the beginning, rounded to the nearest
    /// nanosecond in [`Moment::ns`], and so in all that are reached from it by [`step`](Self::step).
    pub(super) fn place(&self, messages: u128) -> Moment {
        let (whole, fraction) = (messages / MESSAGE, messages % MESSAGE);
        let fraction = (fraction * self.interval) >> FRACTION_BITS;
        self.moment(whole * self.interval + fraction + u128::from(self.parts / 2))
    }

    /// How many messages a time holds, in fixed point.
    pub(super) fn messages_in(&self, duration_ns: u64) -> u128 {
        let parts = u128::from(duration_ns) * u128::from(self.parts);
        let (whole, rest) = (parts / self.interval, parts % self.interval);
        whole * MESSAGE + (rest << FRACTION_BITS) / self.interval
    }

    /// `at`, and `step` later.
    #[inline]
    pub(super) fn add(&self, at: Moment, step: Moment) -> Moment {
        let parts = at.parts + step.parts;
        let (carry, parts) = if parts >= self.parts { (1, parts - self.parts) } else { (0, parts) };
        Moment { ns: at.ns.saturating_add(step.ns).saturating_add(carry), parts }
    }

    fn moment(&self, parts: u128) -> Moment {
        let own = u128::from(self.parts);
        Moment { ns: u64::try_from(parts / own).unwrap_or(u64::MAX), parts: (parts % own) as u64 }
    }
}
