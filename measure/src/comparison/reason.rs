//! Why two measurements cannot be compared.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One of the two sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Side {
    /// What is compared with: the baseline.
    A,
    /// What is compared: the candidate.
    B,
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::A => "A",
            Self::B => "B",
        })
    }
}

/// A fact that is not the same on both sides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FactDifference {
    /// What it is a fact of, e.g. `payload` or `kernel`.
    pub fact: String,
    /// What it is in A.
    pub a: String,
    /// What it is in B.
    pub b: String,
}

impl fmt::Display for FactDifference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is {} in A and {} in B", self.fact, self.a, self.b)
    }
}

/// Why two measurements cannot be compared. In words it also says what would help.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Incomparable {
    /// The runs took place on different machines, or on one that was changed.
    Machine {
        /// What is different.
        differences: Vec<FactDifference>,
    },
    /// What an acknowledgement promised differs.
    Guarantee {
        /// The promise in A.
        a: String,
        /// The promise in B.
        b: String,
    },
    /// What was measured differs.
    Configuration {
        /// What is different.
        differences: Vec<FactDifference>,
    },
    /// No repeat of one side is valid.
    Invalid {
        /// Which.
        side: Side,
        /// What the run found wrong with it.
        reasons: Vec<String>,
    },
    /// One side did not measure this.
    NotMeasured {
        /// Which.
        side: Side,
    },
    /// One side did not keep up with the offered rate: its latencies say how long the measurement
    /// went on, and nothing else.
    Unsustainable {
        /// Which.
        side: Side,
    },
    /// So few repeats are valid that nothing can be said.
    TooFewRepeats {
        /// Valid repeats in A.
        a: u32,
        /// Valid repeats in B.
        b: u32,
        /// How many each side needs.
        needed: u32,
    },
    /// A value is not above zero, so that there is no ratio.
    NoRatio {
        /// Where it is.
        side: Side,
    },
    /// The difference exceeds the noise, but so few repeats could not have shown any difference to
    /// be significant.
    TestTooWeak {
        /// The smallest p that repeats of these numbers can reach.
        p_min: f64,
        /// The same, corrected for all tests of the comparison.
        p_min_adjusted: f64,
        /// How many tests there are.
        tests: u32,
        /// How many repeats each side needs.
        needed: u32,
    },
}

impl fmt::Display for Incomparable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Machine { differences } => {
                write!(f, "the machines differ: {}; run both on one machine", listed(differences))
            }
            Self::Guarantee { a, b } => write!(
                f,
                "the guarantees differ: {a} in A and {b} in B; compare only what promises the same"
            ),
            Self::Configuration { differences } => write!(
                f,
                "the configurations differ: {}; run both with one configuration",
                listed(differences)
            ),
            Self::Invalid { side, reasons } if reasons.is_empty() => {
                write!(f, "{side} is invalid; run it again")
            }
            Self::Invalid { side, reasons } => {
                write!(f, "{side} is invalid: {}; mend that and run it again", reasons.join("; "))
            }
            Self::NotMeasured { side } => write!(f, "{side} did not measure this"),
            Self::Unsustainable { side } => write!(
                f,
                "{side} did not keep up with the offered rate, so its latencies mean nothing; \
                 compare at a rate that both sustain"
            ),
            Self::TooFewRepeats { a, b, needed } => write!(
                f,
                "too few repeats to tell: {} of {needed} ({a} valid in A, {b} in B); \
                 set repeat to {needed} or more",
                a.min(b)
            ),
            Self::NoRatio { side } => {
                write!(f, "a value in {side} is not above zero, so there is no ratio")
            }
            Self::TestTooWeak { p_min, p_min_adjusted, tests, needed } => write!(
                f,
                "too few repeats to tell: p could not fall below {}, which over {tests} tests is \
                 {}; set repeat to {needed} or more, or name fewer metrics",
                show_p(*p_min),
                show_p(*p_min_adjusted),
            ),
        }
    }
}

/// A p value to two digits, e.g. `0.0079` or `1.1e-5`.
#[must_use]
pub fn show_p(p: f64) -> String {
    match p {
        p if p >= 0.095 => format!("{p:.2}"),
        p if p >= 0.0095 => format!("{p:.3}"),
        p if p >= 0.00095 => format!("{p:.4}"),
        p => format!("{p:.1e}"),
    }
}

fn listed(differences: &[FactDifference]) -> String {
    differences.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p_values_keep_two_digits() {
        let check = |p, shown| assert_eq!(show_p(p), shown);
        check(1.0, "1.00");
        check(0.031_7, "0.032");
        check(2.0 / 252.0, "0.0079");
        check(1.082e-5, "1.1e-5");
    }
}
