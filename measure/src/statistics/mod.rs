//! Statistics of a few repeats: medians, rank tests, effect sizes, and how much is noise.
//!
//! Everything here is pure: randomness is passed in, so that the same seed gives the same figures.
//! A sample is the same figure of each repeat, in the order the repeats ran. Benchmarks give few of
//! them, skewed and with outliers; so medians and ranks are used throughout, and no normal
//! distribution of the figures is assumed (Georges, Buytaert, Eeckhout, "Statistically rigorous
//! Java performance evaluation", OOPSLA 2007, says what goes wrong otherwise).

mod autocorrelation;
mod bootstrap;
mod effect;
mod holm;
mod noise;
mod rank_test;
mod sample;

pub use autocorrelation::Autocorrelation;
pub use bootstrap::{Bootstrap, Estimate, Interval};
pub use effect::{EffectMagnitude, cliffs_delta};
pub use holm::holm_adjusted;
pub use noise::{Drift, noise_floor_ratio};
pub use rank_test::{EXACT_SAMPLES_MAX, MannWhitney, PMethod, mann_whitney, p_min_apart};
pub use sample::{median, quantile};
