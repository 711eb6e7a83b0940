//! What a search comes to.

use std::fmt;

/// What a search comes to. All rates are over all publishers.
///
/// ```
/// use harness::find_max::Answer;
///
/// let knee = Answer::Knee { rate_per_s: 41_000.0, missed_per_s: 42_500.0 };
/// assert_eq!(knee.to_string(), "41000 per second; 42500 is missed");
/// assert_eq!(knee.rate_per_s(), Some(41_000.0));
/// assert_eq!(knee.interval_per_s(), Some([41_000.0, 42_500.0]));
///
/// let at_least = Answer::AtLeast { rate_per_s: 2e6 };
/// assert_eq!(at_least.to_string(), ">= 2000000 per second, bounded by the generator");
/// assert_eq!(at_least.interval_per_s(), None);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// The knee, confirmed.
    Knee {
        /// The highest rate that is met.
        rate_per_s: f64,
        /// The lowest that is missed, within the tolerance above it.
        missed_per_s: f64,
    },
    /// Everything that the generator can do is met, confirmed.
    AtLeast {
        /// The highest rate that the generator can do.
        rate_per_s: f64,
    },
    /// Nothing is met.
    NeverMet {
        /// The lowest rate that was tried.
        missed_per_s: f64,
    },
    /// It is not known.
    Unsettled {
        /// The highest rate, below all that were missed, that was met, unconfirmed.
        met_per_s: Option<f64>,
        /// The lowest rate that was missed.
        missed_per_s: Option<f64>,
        /// Why it is not known.
        reason: Unsettled,
    },
}

/// Why a search has no answer.
///
/// ```
/// use harness::find_max::Unsettled;
///
/// let reason = Unsettled::Invalid { rate_per_s: 5000.0, attempts: 3 };
/// assert_eq!(reason.to_string(), "all of 3 attempts in a row at 5000 per second were invalid");
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Unsettled {
    /// It took too many attempts: so many.
    AttemptsSpent(u32),
    /// Measurements of a rate said nothing.
    Invalid {
        /// The rate.
        rate_per_s: f64,
        /// How many of them, in a row.
        attempts: u32,
    },
}

impl Answer {
    /// The highest rate that is met, if it is confirmed.
    #[must_use]
    pub fn rate_per_s(&self) -> Option<f64> {
        match self {
            Self::Knee { rate_per_s, .. } | Self::AtLeast { rate_per_s } => Some(*rate_per_s),
            Self::NeverMet { .. } | Self::Unsettled { .. } => None,
        }
    }

    /// Between which rates the knee lies: one that is met, confirmed, and one that is missed.
    #[must_use]
    pub fn interval_per_s(&self) -> Option<[f64; 2]> {
        match self {
            Self::Knee { rate_per_s, missed_per_s } => Some([*rate_per_s, *missed_per_s]),
            _ => None,
        }
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Knee { rate_per_s, missed_per_s } => {
                write!(f, "{rate_per_s} per second; {missed_per_s} is missed")
            }
            Self::AtLeast { rate_per_s } => {
                write!(f, ">= {rate_per_s} per second, bounded by the generator")
            }
            Self::NeverMet { missed_per_s } => {
                write!(f, "never met, down to {missed_per_s} per second")
            }
            Self::Unsettled { met_per_s, missed_per_s, reason } => {
                write!(f, "unsettled: {reason}")?;
                if let Some(met_per_s) = met_per_s {
                    write!(f, "; {met_per_s} per second was met, unconfirmed")?;
                }
                if let Some(missed_per_s) = missed_per_s {
                    write!(f, "; {missed_per_s} per second was missed")?;
                }
                Ok(())
            }
        }
    }
}

impl fmt::Display for Unsettled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AttemptsSpent(attempts) => write!(f, "{attempts} attempts did not suffice"),
            Self::Invalid { rate_per_s, attempts } => write!(
                f,
                "all of {attempts} attempts in a row at {rate_per_s} per second were invalid"
            ),
        }
    }
}
