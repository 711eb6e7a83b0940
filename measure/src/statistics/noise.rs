//! How far two runs of the same thing would lie apart: what a difference must exceed to mean
//! anything.

use fastrand::Rng;
use serde::{Deserialize, Serialize};

use super::autocorrelation::Autocorrelation;
use super::sample::{is_usable, median_of, quantile_of_sorted};

/// How often a sample is split in two at random.
const SPLITS: usize = 400;

/// The part of the random splits whose halves lie no further apart than the floor.
const SPLIT_QUANTILE: f64 = 0.95;

/// A sample needs so many values for its halves to have medians worth the name.
const SPLIT_SAMPLES_MIN: usize = 4;

/// What the machine's slow changes do to a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Drift {
    /// The repeats of both sides took turns within one run: what drifts, drifts for both.
    Shared,
    /// Each side ran at a time of its own, and has a drift of its own, by which neighbouring
    /// repeats are so much alike.
    Separate(Autocorrelation),
}

impl Drift {
    /// How much the repeats to be compared are like their neighbours; what both sides share does
    /// not count.
    #[must_use]
    pub fn autocorrelation(self) -> Autocorrelation {
        match self {
            Self::Shared => Autocorrelation::NONE,
            Self::Separate(alike) => alike,
        }
    }
}

/// The ratio, at least 1, that the medians of two samples may have, either way round, though
/// nothing differs. `None` if a sample is too small to be split (fewer than four values), or holds
/// a value that is not above zero and finite.
///
/// The larger of both samples' own spread counts: each is split at random into halves again and
/// again, and 95 % of the ratios of their medians lie below the floor. Halves hold half the values,
/// and so spread √2 as wide as whole samples do; that is taken back.
///
/// Random splits destroy what a drift does. With [`Drift::Separate`] the halves that are contiguous
/// in time count too, all of them and at their full width, and the floor is widened for what
/// neighbours have in common.
///
/// A drift as slow as a run is long cannot be seen from within one. Of 100 simulated comparisons of
/// like with like, ten repeats each, 1 found a difference where repeats were independent, 6 to 8
/// where a drift with an autocorrelation of 0.5 was as large as the noise, and 14 where it was 0.8:
/// so let both sides take turns in one run, or measure the noise between runs with a third.
#[must_use]
pub fn noise_floor_ratio(a: &[f64], b: &[f64], drift: Drift, random: &mut Rng) -> Option<f64> {
    let (a, b) = (logarithms(a)?, logarithms(b)?);
    let at_random = spread_at_random(&a, random).max(spread_at_random(&b, random));
    let floor = match drift {
        Drift::Shared => at_random,
        Drift::Separate(alike) => {
            let in_time = spread_in_time(&a).max(spread_in_time(&b));
            at_random.max(in_time) * alike.variance_inflation().sqrt()
        }
    };
    Some(floor.exp())
}

/// Medians commute with the logarithm but for the mean of two middles, which is near enough; and
/// ratios become differences.
fn logarithms(sample: &[f64]) -> Option<Vec<f64>> {
    let is_fit = sample.len() >= SPLIT_SAMPLES_MIN && is_usable(sample);
    (is_fit && sample.iter().all(|value| *value > 0.0))
        .then(|| sample.iter().map(|value| value.ln()).collect())
}

/// How far apart the medians of both halves are; puts each half into another order.
fn halves_apart(sample: &mut [f64]) -> f64 {
    let (left, right) = sample.split_at_mut(sample.len() / 2);
    (median_of(left) - median_of(right)).abs()
}

fn spread_at_random(sample: &[f64], random: &mut Rng) -> f64 {
    let mut mixed = sample.to_vec();
    let mut apart: Vec<f64> = (0..SPLITS)
        .map(|_| {
            random.shuffle(&mut mixed);
            halves_apart(&mut mixed)
        })
        .collect();
    apart.sort_by(f64::total_cmp);
    quantile_of_sorted(&apart, SPLIT_QUANTILE) / std::f64::consts::SQRT_2
}

/// The largest distance of two halves of which one is contiguous in time, and the other is the
/// rest.
fn spread_in_time(sample: &[f64]) -> f64 {
    let rotations = (0..sample.len()).map(|from| {
        let mut rotated = sample.to_vec();
        rotated.rotate_left(from);
        halves_apart(&mut rotated)
    });
    rotations.fold(0.0, f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;
    use fastrand::Rng;
    use proptest::prelude::*;

    fn floor(a: &[f64], b: &[f64], drift: Drift) -> f64 {
        noise_floor_ratio(a, b, drift, &mut Rng::with_seed(1)).unwrap()
    }

    #[test]
    fn what_never_changes_has_no_noise() {
        assert_eq!(floor(&[7.0; 6], &[9.0; 6], Drift::Separate(Autocorrelation::NONE)), 1.0);
    }

    #[test]
    fn the_noisier_side_sets_the_floor() {
        let calm = [100.0, 100.1, 99.9, 100.05, 99.95, 100.0];
        let noisy = [100.0, 120.0, 85.0, 110.0, 92.0, 101.0];
        let both = floor(&calm, &noisy, Drift::Shared);
        assert!((1.1..1.35).contains(&both), "{both}");
        assert!(floor(&calm, &calm, Drift::Shared) < 1.002);
    }

    #[test]
    fn a_drift_of_its_own_raises_the_floor_and_a_shared_one_does_not() {
        let drifting: Vec<f64> = (0..10).map(|step| 100.0 * 1.02_f64.powi(step)).collect();
        let mut mixed = drifting.clone();
        Rng::with_seed(4).shuffle(&mut mixed);
        let shared = floor(&drifting, &drifting, Drift::Shared);
        let alike = Autocorrelation::of_all([&drifting[..]]);
        let separate = floor(&drifting, &drifting, Drift::Separate(alike));
        assert!(separate > 1.15, "{separate}");
        let of_mixed = floor(&mixed, &mixed, Drift::Shared);
        assert!((shared / of_mixed - 1.0).abs() < 0.02, "{shared}, {of_mixed}");
    }

    #[test]
    fn few_values_and_zeros_have_no_floor() {
        let none = |a: &[f64]| noise_floor_ratio(a, &[1.0; 9], Drift::Shared, &mut Rng::new());
        assert_eq!(none(&[1.0; 3]), None);
        assert_eq!(none(&[1.0, 1.0, 0.0, 1.0]), None);
        assert_eq!(none(&[1.0, 1.0, f64::NAN, 1.0]), None);
    }

    proptest! {
        #[test]
        fn the_floor_lies_between_one_and_the_whole_spread(
            a in prop::collection::vec(1.0..1e3, 4..15),
            b in prop::collection::vec(1.0..1e3, 4..15),
            seed: u64,
        ) {
            let random = &mut Rng::with_seed(seed);
            let floor = noise_floor_ratio(&a, &b, Drift::Shared, random).unwrap();
            prop_assert!((1.0..=1e3).contains(&floor));
        }
    }
}
