//! Confidence intervals of medians and of their ratio, by resampling.

use fastrand::Rng;
use serde::{Deserialize, Serialize};

use super::sample::{is_usable, median_of, quantile_of_sorted};

/// From one value to another, both included.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// Its lower end.
    pub low: f64,
    /// Its upper end.
    pub high: f64,
}

impl Interval {
    /// Whether the value lies within.
    #[must_use]
    pub fn contains(&self, value: f64) -> bool {
        (self.low..=self.high).contains(&value)
    }
}

/// A figure, and how far off it may be.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The figure.
    pub value: f64,
    /// Where it lies with the bootstrap's confidence.
    pub interval: Interval,
}

/// The percentile bootstrap: the sample is drawn anew from itself, with replacement, many times;
/// the interval is what holds the middle part of the figures that come of it (Efron, Tibshirani,
/// "An Introduction to the Bootstrap", 1993, chapter 13).
///
/// Not its refinement BCa: that needs the jackknife, which fails for medians (ibid., §11.6).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Bootstrap {
    /// How often the sample is drawn anew; at least 1.
    pub resamples: u32,
    /// The part of the figures that lies within the interval, e.g. 0.95.
    pub confidence: f64,
}

impl Default for Bootstrap {
    /// 10 000 times, for 95 %.
    fn default() -> Self {
        Self { resamples: 10_000, confidence: 0.95 }
    }
}

impl Bootstrap {
    /// The median of a sample. `None` if the sample is empty or holds a value that is not finite.
    #[must_use]
    pub fn median(&self, sample: &[f64], random: &mut Rng) -> Option<Estimate> {
        let mut drawn = sample.to_vec();
        is_usable(sample).then(|| Estimate {
            value: median_of(&mut sample.to_vec()),
            interval: self.interval(|| median_of_redrawn(sample, &mut drawn, random)),
        })
    }

    /// The median of `b` over that of `a`. `None` as for [`median`](Self::median), and if either
    /// sample holds a value that is not above zero: a ratio to zero says nothing.
    #[must_use]
    pub fn ratio_of_medians(&self, a: &[f64], b: &[f64], random: &mut Rng) -> Option<Estimate> {
        if !is_usable(a) || !is_usable(b) || a.iter().chain(b).any(|value| *value <= 0.0) {
            return None;
        }
        let (mut drawn_a, mut drawn_b) = (a.to_vec(), b.to_vec());
        Some(Estimate {
            value: median_of(&mut b.to_vec()) / median_of(&mut a.to_vec()),
            interval: self.interval(|| {
                let median_a = median_of_redrawn(a, &mut drawn_a, random);
                median_of_redrawn(b, &mut drawn_b, random) / median_a
            }),
        })
    }

    fn interval(&self, mut figure: impl FnMut() -> f64) -> Interval {
        let mut figures: Vec<f64> = (0..self.resamples.max(1)).map(|_| figure()).collect();
        figures.sort_by(f64::total_cmp);
        let beyond = (1.0 - self.confidence) / 2.0;
        Interval {
            low: quantile_of_sorted(&figures, beyond),
            high: quantile_of_sorted(&figures, 1.0 - beyond),
        }
    }
}

/// Fills `drawn` from `sample`, with replacement, and takes its median.
fn median_of_redrawn(sample: &[f64], drawn: &mut [f64], random: &mut Rng) -> f64 {
    drawn.fill_with(|| sample[random.usize(..sample.len())]);
    median_of(drawn)
}

#[cfg(test)]
mod tests {
    use super::*;
    use fastrand::Rng;
    use proptest::prelude::*;

    /// Survival in days of treated mice and of others (Efron and Tibshirani, table 2.1).
    const TREATED: [f64; 7] = [94.0, 197.0, 16.0, 38.0, 99.0, 141.0, 23.0];
    const CONTROL: [f64; 9] = [52.0, 104.0, 146.0, 10.0, 51.0, 30.0, 40.0, 27.0, 46.0];

    const A: [f64; 10] = [100.2, 97.9, 103.1, 99.4, 101.8, 98.6, 102.5, 100.9, 96.7, 99.9];
    const B: [f64; 10] = [90.1, 88.3, 93.6, 89.9, 91.7, 87.5, 92.2, 90.8, 86.9, 91.1];

    fn check(estimate: Estimate, value: f64, low: f64, high: f64, tolerance: f64) {
        let Estimate { value: found, interval } = estimate;
        assert!((found - value).abs() < 1e-9, "{found}, not {value}");
        assert!((interval.low - low).abs() <= tolerance, "{interval:?}, not from {low}");
        assert!((interval.high - high).abs() <= tolerance, "{interval:?}, not to {high}");
    }

    /// The expected intervals are numpy's, of a million resamples.
    #[test]
    fn intervals_are_those_of_a_million_resamples_elsewhere() {
        let bootstrap = Bootstrap::default();
        let random = &mut Rng::with_seed(1);
        check(bootstrap.median(&TREATED, random).unwrap(), 94.0, 23.0, 141.0, 0.0);
        check(bootstrap.median(&CONTROL, random).unwrap(), 46.0, 27.0, 104.0, 0.0);
        check(bootstrap.median(&A, random).unwrap(), 100.05, 98.6, 101.8, 0.11);
        let ratio = bootstrap.ratio_of_medians(&A, &B, random).unwrap();
        check(ratio, 0.904_047_976, 0.878_170, 0.923_232, 0.001);
    }

    #[test]
    fn the_spread_of_resampled_medians_is_the_book_s() {
        let random = &mut Rng::with_seed(2);
        let spread = |sample: &[f64], random: &mut Rng| {
            let mut drawn = sample.to_vec();
            let medians: Vec<f64> =
                (0..100_000).map(|_| median_of_redrawn(sample, &mut drawn, random)).collect();
            let mean = medians.iter().sum::<f64>() / medians.len() as f64;
            let squares = medians.iter().map(|median| (median - mean).powi(2));
            (squares.sum::<f64>() / medians.len() as f64).sqrt()
        };
        assert!((spread(&TREATED, random) - 37.83).abs() < 0.4);
        assert!((spread(&CONTROL, random) - 13.08).abs() < 0.2);
    }

    #[test]
    fn one_seed_gives_one_interval() {
        let interval = |seed| Bootstrap::default().median(&A, &mut Rng::with_seed(seed));
        assert_eq!(interval(7), interval(7));
    }

    #[test]
    fn a_ratio_to_zero_or_to_nothing_is_none() {
        let ratio = |a: &[f64], b: &[f64]| {
            Bootstrap::default().ratio_of_medians(a, b, &mut Rng::with_seed(1))
        };
        assert_eq!(ratio(&[0.0, 1.0], &[1.0]), None);
        assert_eq!(ratio(&[], &[1.0]), None);
        assert_eq!(ratio(&[1.0], &[f64::NAN]), None);
    }

    /// How often intervals of samples of ten hold the true median, which is 1.
    #[test]
    fn about_95_of_100_intervals_hold_the_true_median() {
        let random = &mut Rng::with_seed(3);
        let bootstrap = Bootstrap { resamples: 500, ..Bootstrap::default() };
        let held = (0..400)
            .filter(|_| {
                // The log-logistic distribution is skewed, has a long tail, and a median of 1.
                let sample: Vec<f64> = (0..10)
                    .map(|_| {
                        let uniform = random.f64().clamp(1e-9, 1.0 - 1e-9);
                        (uniform / (1.0 - uniform)).powf(0.2)
                    })
                    .collect();
                bootstrap.median(&sample, random).unwrap().interval.contains(1.0)
            })
            .count();
        assert!((364..=396).contains(&held), "{held} of 400");
    }

    proptest! {
        #[test]
        fn intervals_lie_within_the_sample_and_hold_its_median(
            sample in prop::collection::vec(0.1..1e9, 1..30),
            seed: u64,
        ) {
            let bootstrap = Bootstrap { resamples: 400, ..Bootstrap::default() };
            let estimate = bootstrap.median(&sample, &mut Rng::with_seed(seed)).unwrap();
            let Interval { low, high } = estimate.interval;
            let min = sample.iter().copied().fold(f64::INFINITY, f64::min);
            let max = sample.iter().copied().fold(0.0, f64::max);
            prop_assert!(min <= low && low <= high && high <= max);
            prop_assert!(estimate.interval.contains(estimate.value));
        }

        #[test]
        fn scaling_a_sample_scales_its_interval(
            sample in prop::collection::vec(0.1..1e3, 2..20),
            seed: u64,
        ) {
            let bootstrap = Bootstrap { resamples: 200, ..Bootstrap::default() };
            // A power of two: nothing is rounded.
            let scaled: Vec<f64> = sample.iter().map(|value| value * 4.0).collect();
            let once = bootstrap.median(&sample, &mut Rng::with_seed(seed)).unwrap().interval;
            let fourfold = bootstrap.median(&scaled, &mut Rng::with_seed(seed)).unwrap().interval;
            prop_assert_eq!((once.low * 4.0, once.high * 4.0), (fourfold.low, fourfold.high));
        }
    }
}
