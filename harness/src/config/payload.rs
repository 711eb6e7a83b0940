//! How large a stream's messages are, or what is in them.

use serde::{Serialize, Serializer};
use std::collections::BTreeMap;
use std::path::PathBuf;

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

    /// The mean size in bytes, about: what is cut off at the ends is not counted. `None` where a
    /// file has it.
    #[must_use]
    pub fn bytes_mean(&self) -> Option<f64> {
        match self {
            Self::Fixed(bytes) => Some(*bytes as f64),
            Self::Varied(Variation::Uniform(min, max)) => {
                Some(f64::midpoint(*min as f64, *max as f64))
            }
            Self::Varied(Variation::Normal(bell) | Variation::Lognormal(bell)) => {
                Some(bell.mean.clamp(bell.min as f64, bell.max as f64))
            }
            Self::Varied(Variation::Weights(weights)) => {
                let sum: f64 = weights.values().sum();
                let weighted = weights.iter().map(|(&bytes, weight)| bytes as f64 * weight);
                Some(weighted.sum::<f64>() / sum)
            }
            Self::Varied(Variation::File(_)) => None,
        }
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
    /// The median in bytes, and the standard deviation of the logarithm, of the lognormal
    /// distribution that has this mean and deviation.
    #[must_use]
    pub fn log_median_and_sigma(&self) -> (f64, f64) {
        let spread = 1.0 + (self.sd / self.mean).powi(2);
        (self.mean / spread.sqrt(), spread.ln().sqrt())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The payload's mean size is `mean`.
    fn check(payload: &Payload, mean: Option<f64>) {
        assert_eq!(payload.bytes_mean(), mean, "{}", payload.label());
    }

    #[test]
    fn the_mean_size_is_known_unless_a_file_has_it() {
        let bell = Bell { mean: 1000.0, sd: 200.0, min: 16, max: 900 };
        check(&Payload::Fixed(100), Some(100.0));
        check(&Payload::Varied(Variation::Uniform(100, 300)), Some(200.0));
        check(&Payload::Varied(Variation::Normal(bell)), Some(900.0));
        let weights = [(64, 9.0), (1024, 1.0)].into();
        check(&Payload::Varied(Variation::Weights(weights)), Some(160.0));
        check(&Payload::Varied(Variation::File("x".into())), None);
    }

    #[test]
    fn a_lognormal_distributions_parameters_give_its_mean_and_deviation_back() {
        let bell = Bell { mean: 1000.0, sd: 500.0, min: 16, max: 10_000 };
        let (median, sigma) = bell.log_median_and_sigma();
        let mean = median * (sigma * sigma / 2.0).exp();
        let sd = mean * (sigma * sigma).exp_m1().sqrt();
        assert!((mean - 1000.0).abs() < 1e-6 && (sd - 500.0).abs() < 1e-6, "{mean}, {sd}");
    }
}
