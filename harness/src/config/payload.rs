//! How large a stream's messages are, or what is in them.

use serde::{Serialize, Serializer};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Sizes that are drawn where only the mean of a distribution is wanted.
const DRAWS_FOR_MEAN: usize = 4_096;

/// What a stream's publishers put into their messages.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub enum Payload {
    /// The same size each.
    #[serde(rename = "payload_bytes")]
    Fixed(usize),
    /// Sizes, or texts, that vary.
    #[serde(rename = "payload")]
    Varied(Variation),
}

/// How payloads vary.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Variation {
    /// Every size from the first to the second, each as likely as any other.
    Uniform(usize, usize),
    /// Sizes around a mean, normally distributed.
    Normal(Bell),
    /// Sizes whose logarithm is normally distributed: many small ones and a long tail.
    Lognormal(Bell),
    /// Some sizes, each as likely as its part of the weights' sum.
    #[serde(serialize_with = "with_text_keys")]
    Weights(BTreeMap<usize, f64>),
    /// The lines of a file, one payload each, over and over.
    File(PathBuf),
}

/// A bell curve cut off at both ends; its mean and deviation are those of the sizes before cutting.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Bell {
    /// Mean size in bytes.
    pub mean: f64,
    /// Standard deviation in bytes.
    pub sd: f64,
    /// The smallest size: smaller ones become it.
    pub min: usize,
    /// The largest size: larger ones become it.
    pub max: usize,
}

/// TOML's keys are texts.
fn with_text_keys<S: Serializer>(
    weights: &BTreeMap<usize, f64>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_map(weights.iter().map(|(bytes, weight)| (bytes.to_string(), weight)))
}

impl Payload {
    /// The largest size, in bytes; `None` where a file has it.
    #[must_use]
    pub fn bytes_max(&self) -> Option<usize> {
        match self {
            Self::Fixed(bytes) => Some(*bytes),
            Self::Varied(Variation::Uniform(_, max)) => Some(*max),
            Self::Varied(Variation::Normal(bell) | Variation::Lognormal(bell)) => Some(bell.max),
            Self::Varied(Variation::Weights(weights)) => weights.keys().next_back().copied(),
            Self::Varied(Variation::File(_)) => None,
        }
    }

    /// `count` sizes in bytes, the same ones for the same `seed`; `None` where a file has them.
    #[must_use]
    pub fn draw_bytes(&self, seed: u64, count: usize) -> Option<Vec<usize>> {
        let mut random = fastrand::Rng::with_seed(seed);
        let sizes = match self {
            Self::Fixed(bytes) => vec![*bytes; count],
            Self::Varied(Variation::File(_)) => return None,
            Self::Varied(Variation::Uniform(min, max)) => {
                (0..count).map(|_| random.usize(*min..=*max)).collect()
            }
            Self::Varied(Variation::Normal(bell)) => {
                (0..count).map(|_| bell.cut(bell.mean + bell.sd * normal(&mut random))).collect()
            }
            Self::Varied(Variation::Lognormal(bell)) => {
                // The parameters of the logarithm that give the sizes this mean and deviation.
                let variance = (1.0 + (bell.sd / bell.mean).powi(2)).ln();
                let mean = bell.mean.ln() - variance / 2.0;
                let deviation = variance.sqrt();
                (0..count)
                    .map(|_| bell.cut((mean + deviation * normal(&mut random)).exp()))
                    .collect()
            }
            Self::Varied(Variation::Weights(weights)) => {
                (0..count).map(|_| weighted(weights, random.f64())).collect()
            }
        };
        Some(sizes)
    }

    /// The mean size in bytes, about; `None` where a file has it.
    #[must_use]
    pub fn bytes_mean(&self) -> Option<f64> {
        let drawn = self.draw_bytes(0, DRAWS_FOR_MEAN)?;
        Some(drawn.iter().sum::<usize>() as f64 / drawn.len() as f64)
    }

    /// The payload in labels, e.g. `100 B` or `normal 1000±200 B`.
    #[must_use]
    pub fn label(&self) -> String {
        match self {
            Self::Fixed(bytes) => format!("{bytes} B"),
            Self::Varied(Variation::Uniform(min, max)) => format!("uniform {min}–{max} B"),
            Self::Varied(Variation::Normal(bell)) => format!("normal {}±{} B", bell.mean, bell.sd),
            Self::Varied(Variation::Lognormal(bell)) => {
                format!("lognormal {}±{} B", bell.mean, bell.sd)
            }
            Self::Varied(Variation::Weights(weights)) => {
                let each = weights.iter().map(|(bytes, weight)| format!("{bytes} B×{weight}"));
                each.collect::<Vec<_>>().join(" ")
            }
            Self::Varied(Variation::File(path)) => format!("file {}", path.display()),
        }
    }
}

impl Bell {
    fn cut(&self, bytes: f64) -> usize {
        // Both ends are checked to be sizes, so what lies between them is one.
        bytes.round().clamp(self.min as f64, self.max as f64) as usize
    }
}

/// A draw from the standard normal distribution (Box and Muller, 1958).
fn normal(random: &mut fastrand::Rng) -> f64 {
    let radius = (-2.0 * (1.0 - random.f64()).ln()).sqrt();
    radius * (std::f64::consts::TAU * random.f64()).cos()
}

/// The size at which the weights up to it reach the part `at` of their sum.
fn weighted(weights: &BTreeMap<usize, f64>, at: f64) -> usize {
    let mut left = at * weights.values().sum::<f64>();
    let mut last = 0;
    for (&bytes, &weight) in weights {
        last = bytes;
        left -= weight;
        if left < 0.0 {
            break;
        }
    }
    last
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The mean of many draws is near `mean`, every draw is within the ends, and a seed repeats.
    fn check(variation: Variation, mean: f64, ends: [usize; 2]) {
        let payload = Payload::Varied(variation);
        let drawn = payload.draw_bytes(7, 20_000).unwrap();
        let found = drawn.iter().sum::<usize>() as f64 / drawn.len() as f64;
        assert!((found - mean).abs() < mean * 0.05, "expected about {mean}, found {found}");
        assert!(drawn.iter().all(|bytes| (ends[0]..=ends[1]).contains(bytes)));
        assert_eq!(payload.draw_bytes(7, 20_000).unwrap(), drawn);
        assert_ne!(payload.draw_bytes(8, 20_000).unwrap(), drawn);
    }

    #[test]
    fn drawn_sizes_have_the_mean_that_was_asked_for() {
        check(Variation::Uniform(100, 300), 200.0, [100, 300]);
        let bell = Bell { mean: 1000.0, sd: 200.0, min: 16, max: 10_000 };
        check(Variation::Normal(bell), 1000.0, [16, 10_000]);
        check(Variation::Lognormal(bell), 1000.0, [16, 10_000]);
        check(Variation::Weights([(64, 9.0), (1024, 1.0)].into()), 160.0, [64, 1024]);
    }

    #[test]
    fn what_lies_beyond_an_end_becomes_the_end() {
        let bell = Bell { mean: 1000.0, sd: 900.0, min: 900, max: 1100 };
        let drawn = Payload::Varied(Variation::Normal(bell)).draw_bytes(1, 1_000).unwrap();
        assert!(drawn.contains(&900) && drawn.contains(&1100));
    }
}
