//! Whether a backlog only grows: then nothing that was measured on it lasts.
//!
//! The test is that of Mann and Kendall: over all pairs of moments it counts how often the later
//! backlog was greater, less how often it was smaller. It needs no model of the backlog, and one
//! burst or a few wild values do not sway it. Its τ is 1 for what only grows, 0 for what goes up and
//! down, and 0.5 for one step up that stays. (H. B. Mann, Nonparametric tests against trend,
//! Econometrica 13, 1945; the slope is that of P. K. Sen, JASA 63, 1968.)

use super::limits::BACKLOG_POINTS_MIN;

/// Of a standard normal deviate, one-sided: one in a thousand backlogs without a trend exceeds it.
const DEVIATE_MIN: f64 = 3.09;

/// A step up that stays has 0.5; a backlog that is stable for half the time and then grows 0.75.
const TAU_MIN: f64 = 0.6;

/// By Little's law a backlog that grew by this many nanoseconds' worth of deliveries makes the last
/// message wait so much longer than the first.
const GROWTH_NS_MIN: f64 = 10e6;

/// Fewer messages may be one batch more under way.
const GROWTH_MESSAGES_MIN: f64 = 20.0;

/// A backlog that has come down further than this from its height is on the way back.
const HEIGHT_FRACTION_MIN: f64 = 0.7;

/// The pairs grow with the square; longer series are thinned to medians.
const POINTS_MAX: usize = 200;

/// Messages sent and not delivered yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BacklogPoint {
    /// Since the measured phase began.
    pub t_ns: u64,
    /// Sent less delivered, over all subscribers.
    pub outstanding: u64,
}

/// Where a backlog goes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Trend {
    /// Too few moments to say.
    Unknown,
    /// No way in particular: it is stable, goes up and down, or a burst was worked off.
    Steady,
    /// It was there at the start, and goes.
    Draining,
    /// It only grows.
    Growing {
        /// How fast, the median over all pairs of moments.
        messages_per_s: f64,
        /// By how much over the whole time.
        messages: f64,
    },
}

/// Where a backlog goes, deliveries being at `delivered_per_s`.
///
/// Moments are to be in order of time and far enough apart, 50 ms and more, that a queue has
/// changed in between: neighbours that are alike for that reason look like a trend.
///
/// ```
/// use harness::validity::{BacklogPoint, Trend, trend};
///
/// let every_100_ms = |outstanding: fn(u64) -> u64| -> Vec<BacklogPoint> {
///     (0..50).map(|i| BacklogPoint { t_ns: i * 100_000_000, outstanding: outstanding(i) }).collect()
/// };
/// assert_eq!(trend(&every_100_ms(|i| 40 + i % 7), 10_000.0), Trend::Steady);
/// assert!(matches!(trend(&every_100_ms(|i| 40 + 25 * i), 10_000.0), Trend::Growing { .. }));
/// ```
#[must_use]
pub fn trend(points: &[BacklogPoint], delivered_per_s: f64) -> Trend {
    if points.len() < BACKLOG_POINTS_MIN {
        return Trend::Unknown;
    }
    let points = thinned(points);
    let Kendall { tau, deviate } = kendall(&points);
    if tau <= -TAU_MIN && deviate <= -DEVIATE_MIN {
        return Trend::Draining;
    }
    if tau < TAU_MIN || deviate < DEVIATE_MIN || !is_near_its_height(&points) {
        return Trend::Steady;
    }
    let span_ns = points.last().map_or(0.0, |last| last.0) - points[0].0;
    let per_ns = median_slope(&points);
    let messages = per_ns * span_ns;
    let growth_ns = messages / delivered_per_s.max(f64::MIN_POSITIVE) * 1e9;
    match messages >= GROWTH_MESSAGES_MIN && growth_ns >= GROWTH_NS_MIN {
        true => Trend::Growing { messages_per_s: per_ns * 1e9, messages },
        false => Trend::Steady,
    }
}

/// Time and backlog, medians of as many neighbours each as bring them to [`POINTS_MAX`].
fn thinned(points: &[BacklogPoint]) -> Vec<(f64, f64)> {
    let neighbours = points.len().div_ceil(POINTS_MAX);
    points
        .chunks(neighbours)
        .map(|chunk| {
            let mut outstanding: Vec<u64> = chunk.iter().map(|point| point.outstanding).collect();
            outstanding.sort_unstable();
            let middle = chunk.len() / 2;
            (chunk[middle].t_ns as f64, outstanding[middle] as f64)
        })
        .collect()
}

struct Kendall {
    /// In -1..=1.
    tau: f64,
    /// The standard normal deviate of the sum, corrected for ties.
    deviate: f64,
}

fn kendall(points: &[(f64, f64)]) -> Kendall {
    let mut sum = 0i64;
    for (index, (_, earlier)) in points.iter().enumerate() {
        for (_, later) in &points[index + 1..] {
            sum += i64::from(later > earlier) - i64::from(later < earlier);
        }
    }
    let n = points.len() as f64;
    let term = |n: f64| n * (n - 1.0) * (2.0 * n + 5.0);
    let mut values: Vec<f64> = points.iter().map(|(_, outstanding)| *outstanding).collect();
    values.sort_by(f64::total_cmp);
    let ties: f64 =
        values.chunk_by(|left, right| left == right).map(|tied| term(tied.len() as f64)).sum();
    let variance = (term(n) - ties) / 18.0;
    // The sum goes in steps, the normal distribution does not: half a step of 2 is taken off.
    let corrected = sum - sum.signum();
    let deviate = if variance > 0.0 { corrected as f64 / variance.sqrt() } else { 0.0 };
    Kendall { tau: sum as f64 / (n * (n - 1.0) / 2.0), deviate }
}

fn is_near_its_height(points: &[(f64, f64)]) -> bool {
    let of = |points: &[(f64, f64)]| median(points.iter().map(|point| point.1).collect());
    let (first, last) = (of(&points[..3]), of(&points[points.len() - 3..]));
    let height = points.iter().map(|point| point.1).fold(first, f64::max);
    last - first >= HEIGHT_FRACTION_MIN * (height - first)
}

fn median_slope(points: &[(f64, f64)]) -> f64 {
    let mut slopes = Vec::with_capacity(points.len() * points.len() / 2);
    for (index, (from_ns, from)) in points.iter().enumerate() {
        let later = points[index + 1..].iter().filter(|(to_ns, _)| to_ns > from_ns);
        slopes.extend(later.map(|(to_ns, to)| (to - from) / (to_ns - from_ns)));
    }
    median(slopes)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const DELIVERED_PER_S: f64 = 10_000.0;

    fn points(outstanding: impl IntoIterator<Item = u64>) -> Vec<BacklogPoint> {
        let moments = (0u64..).map(|i| i * 100_000_000);
        moments
            .zip(outstanding)
            .map(|(t_ns, outstanding)| BacklogPoint { t_ns, outstanding })
            .collect()
    }

    fn grows(outstanding: impl IntoIterator<Item = u64>) -> bool {
        matches!(trend(&points(outstanding), DELIVERED_PER_S), Trend::Growing { .. })
    }

    /// Values in `0..below` that look like chance.
    fn noise(i: u64, below: u64) -> u64 {
        (i.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40) % below
    }

    #[test]
    fn what_is_stable_drains_or_comes_back_does_not_grow() {
        assert!(!grows([500; 100]), "constant");
        assert!(!grows((0..100).map(|i| 500 + noise(i, 400))), "stable with noise");
        assert!(!grows((0..100).map(|i| i % 20 * 100)), "sawtooth");
        assert!(!grows((0..100).map(|i| i % 70 * 100)), "sawtooth of one and a half teeth");
        assert!(!grows((0..100).map(|i| 10_000 - i * 100)), "draining");
        let burst = |i: u64| if i < 30 { i * 300 } else { 9_000u64.saturating_sub((i - 30) * 300) };
        assert!(!grows((0..100).map(burst)), "burst then recovery");
        let late = |i: u64| if i < 90 { i * 100 } else { 9_000 - (i - 90) * 900 };
        assert!(!grows((0..100).map(late)), "recovery at the very end");
        assert!(!grows((0..100).map(|i| if i < 50 { 100 } else { 5_000 })), "a step that stays");
        assert!(!grows((0..100).map(|i| 100 + i / 10)), "ten messages in ten seconds");
        assert!(!grows((0..9).map(|i| i * 1000)), "too few moments");
    }

    #[test]
    fn what_only_grows_is_found_through_noise_and_from_the_middle_on() {
        assert!(grows((0..100).map(|i| i * 50)), "linear");
        assert!(grows((0..10).map(|i| i * 500)), "ten moments");
        assert!(grows((0..100).map(|i| i * 50 + noise(i, 1000))), "linear with noise");
        assert!(grows((0..100).map(|i| i * i)), "ever faster");
        let late = |i: u64| 100 + noise(i, 50) + i.saturating_sub(50) * 100;
        assert!(grows((0..100).map(late)), "stable half the time, then linear");
        assert!(grows((0..100_000).map(|i| i / 10 + noise(i, 500))), "a long run");
    }

    #[test]
    fn growth_is_told_in_messages_and_draining_by_name() {
        let Trend::Growing { messages_per_s, messages } =
            trend(&points((0..101).map(|i| i * 50)), DELIVERED_PER_S)
        else {
            panic!("it grows")
        };
        assert!((messages_per_s - 500.0).abs() < 1e-6 && (messages - 5_000.0).abs() < 1e-6);
        let draining = points((0..100).map(|i| 10_000 - i * 100));
        assert_eq!(trend(&draining, DELIVERED_PER_S), Trend::Draining);
        assert_eq!(trend(&[], DELIVERED_PER_S), Trend::Unknown);
    }

    #[test]
    fn growth_that_makes_nobody_wait_longer_is_none() {
        let small = points((0..100).map(|i| 100 + i));
        assert_eq!(trend(&small, 1e6), Trend::Steady);
        assert!(matches!(trend(&small, 1e3), Trend::Growing { .. }));
    }

    proptest! {
        #[test]
        fn a_backlog_of_chance_alone_does_not_grow(
            outstanding in proptest::collection::vec(0u64..100_000, 40..120),
        ) {
            prop_assert!(!grows(outstanding));
        }

        #[test]
        fn more_at_all_times_changes_nothing(
            outstanding in proptest::collection::vec(0u64..1000, 0..60),
            slope in 0u64..100, more in 0u64..1_000_000,
        ) {
            let sloped: Vec<u64> =
                (0u64..).zip(outstanding).map(|(i, outstanding)| outstanding + i * slope).collect();
            prop_assert_eq!(grows(sloped.clone()), grows(sloped.iter().map(|n| n + more)));
        }

        #[test]
        fn what_never_falls_and_rises_enough_grows(
            rises in proptest::collection::vec(20u64..1000, 10..300),
        ) {
            let mut sum = 0;
            let outstanding = rises.iter().map(|rise| { sum += rise; sum });
            prop_assert!(grows(outstanding));
        }
    }
}
