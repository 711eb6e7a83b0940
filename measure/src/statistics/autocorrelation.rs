//! How much repeats are like their neighbours, and how much less they tell for it.

use serde::{Deserialize, Serialize};

use super::sample::is_usable;

/// Values more alike than this are taken to be this much alike: what they tell nears nothing as
/// the autocorrelation nears 1.
const AUTOCORRELATION_MAX: f64 = 0.9;

/// A sample needs so many values for its neighbours to be compared.
const NEIGHBOURED_SAMPLES_MIN: usize = 4;

/// The correlation of each repeat with the next, from 0 to 0.9.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Autocorrelation(f64);

impl Autocorrelation {
    /// Of repeats that have nothing to do with each other.
    pub const NONE: Self = Self(0.0);

    /// The mean over all samples. One sample of ten tells it only within ±0.3; but all metrics of a
    /// run drift with one machine, and together they tell it well.
    ///
    /// Each sample's bias of −(1 + 4ρ) / n is taken back (Kendall, "Note on bias in the estimation
    /// of autocorrelation", Biometrika 41, 1954). Negative correlations count as none. Samples that
    /// never change, that are too small or that hold what is not finite are passed over.
    #[must_use]
    pub fn of_all<'a>(samples: impl IntoIterator<Item = &'a [f64]>) -> Self {
        let known: Vec<f64> = samples.into_iter().filter_map(of_one).collect();
        let mean = known.iter().sum::<f64>() / known.len().max(1) as f64;
        // A sum of nothing is −0.
        Self(mean.clamp(0.0, AUTOCORRELATION_MAX).abs())
    }

    /// The correlation itself.
    #[must_use]
    pub fn value(self) -> f64 {
        self.0
    }

    /// By how much the variance of a mean or median of such repeats exceeds that of as many
    /// independent ones: (1 + ρ) / (1 − ρ), as of an autoregressive process of order one.
    #[must_use]
    pub fn variance_inflation(self) -> f64 {
        (1.0 + self.0) / (1.0 - self.0)
    }
}

fn of_one(sample: &[f64]) -> Option<f64> {
    if sample.len() < NEIGHBOURED_SAMPLES_MIN || !is_usable(sample) {
        return None;
    }
    let count = sample.len() as f64;
    let mean = sample.iter().sum::<f64>() / count;
    let squares: f64 = sample.iter().map(|value| (value - mean).powi(2)).sum();
    if squares <= 0.0 {
        return None;
    }
    let products = sample.windows(2).map(|pair| (pair[0] - mean) * (pair[1] - mean));
    let raw = products.sum::<f64>() / squares;
    Some(raw + (1.0 + 4.0 * raw) / count)
}

#[cfg(test)]
mod tests {
    use super::*;
    use fastrand::Rng;

    #[test]
    fn a_slope_is_alike_and_a_zigzag_is_not() {
        let slope: Vec<f64> = (0..40).map(f64::from).collect();
        assert!(Autocorrelation::of_all([&slope[..]]).value() > 0.89);
        let zigzag: Vec<f64> = (0..40).map(|step| f64::from(step % 2)).collect();
        assert_eq!(Autocorrelation::of_all([&zigzag[..]]), Autocorrelation::NONE);
    }

    #[test]
    fn independent_samples_together_are_hardly_alike() {
        let random = &mut Rng::with_seed(1);
        let samples: Vec<Vec<f64>> =
            (0..400).map(|_| (0..10).map(|_| random.f64()).collect()).collect();
        let alike = Autocorrelation::of_all(samples.iter().map(Vec::as_slice));
        assert!(alike.value() < 0.05, "{alike:?}");
    }

    #[test]
    fn samples_that_tell_nothing_are_passed_over() {
        let alike = Autocorrelation::of_all([&[1.0; 9][..], &[1.0, 2.0], &[f64::NAN; 9], &[]]);
        assert_eq!(alike, Autocorrelation::NONE);
    }

    #[test]
    fn half_alike_is_three_times_the_variance() {
        assert_eq!(Autocorrelation(0.5).variance_inflation(), 3.0);
        assert_eq!(Autocorrelation::NONE.variance_inflation(), 1.0);
    }
}
