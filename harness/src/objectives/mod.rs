//! What a measurement has to reach: a small language for configurations.
//!
//! An objective is a figure, a comparison and a bound.
//!
//! ```text
//! p99 < 5ms                    response.p99.9 <= 20ms       service.p50 < 200us
//! acknowledgement.p99 < 3ms    handshake.max < 50ms         lost == 0
//! delivered_per_s >= 100k      cpu_us_per_delivery < 2      resident_bytes < 200MB
//! ready_ms < 1000              ratio_to_ceiling >= 0.8
//! ```
//!
//! Latencies are `response`, `service`, `acknowledgement`, `lateness`, `healthy_response` and
//! `handshake`, each with a percentile above `p0`, or `max`; a percentile alone is the response's,
//! which counts the wait of a message that was sent late. They are given with a unit: ns, us, ms,
//! s. Other figures are [`Metric`]s: counts and rates, in which k, M and G are powers of 1000;
//! bytes in B, kB, MB, GB, KiB, MiB and GiB; and numbers whose unit is in their name.
//!
//! ```
//! use harness::objectives::{Figure, Figures, LatencyKind, Metric, Objective, Outcome};
//!
//! struct Measured;
//!
//! impl Figures for Measured {
//!     fn figure(&self, figure: Figure) -> Result<f64, String> {
//!         match figure {
//!             Figure::Latency(LatencyKind::Response, _) => Ok(7_300_000.0),
//!             Figure::Metric(Metric::Lost) => Ok(0.0),
//!             _ => Err(format!("this measurement has no {figure}")),
//!         }
//!     }
//! }
//!
//! let objective: Objective = "p99<5.0 ms".parse()?;
//! assert_eq!(objective.to_string(), "response.p99 < 5ms");
//! assert_eq!(objective.evaluate(&Measured), Outcome::Missed { observed: 7_300_000.0 });
//! assert_eq!(objective.written(7_300_000.0), "7.3ms");
//!
//! let lossless: Objective = "lost == 0".parse()?;
//! assert_eq!(lossless.evaluate(&Measured), Outcome::Met { observed: 0.0 });
//!
//! let cheap: Objective = "cpu_us_per_delivery < 2".parse()?;
//! let reason = "this measurement has no cpu_us_per_delivery".to_owned();
//! assert_eq!(cheap.evaluate(&Measured), Outcome::NotMeasured { reason });
//! # Ok::<(), harness::objectives::ParseError>(())
//! ```

mod figure;
mod parse;
mod quantity;
#[cfg(test)]
mod tests;

pub use figure::{Figure, LatencyKind, Metric, Percentile};
pub use parse::ParseError;

use quantity::Quantity;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// An objective; see the [module](self) for how it is written.
///
/// What it is written as can be read back to the same objective.
///
/// ```
/// use harness::objectives::{Comparison, Objective};
///
/// let objective: Objective = "resident_bytes < 209_715_200".parse()?;
/// assert_eq!(objective.to_string(), "resident_bytes < 200MiB");
/// assert_eq!(objective.comparison(), Comparison::Below);
/// assert_eq!(objective.bound(), 209_715_200.0);
/// # Ok::<(), harness::objectives::ParseError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Objective {
    figure: Figure,
    comparison: Comparison,
    bound: Quantity,
}

/// How a figure is to compare with its bound.
///
/// ```
/// use harness::objectives::Comparison;
///
/// assert!(Comparison::AtLeast.holds(5.0, 5.0) && !Comparison::Above.holds(5.0, 5.0));
/// assert_eq!(Comparison::AtLeast.sign(), ">=");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Comparison {
    /// `<`
    Below,
    /// `<=`
    AtMost,
    /// `==`
    Equal,
    /// `>=`
    AtLeast,
    /// `>`
    Above,
}

/// What was measured, for objectives to look at.
///
/// ```
/// use harness::objectives::{Figure, Figures, Metric};
///
/// struct OnlyLosses(u64);
///
/// impl Figures for OnlyLosses {
///     fn figure(&self, figure: Figure) -> Result<f64, String> {
///         match figure {
///             Figure::Metric(Metric::Lost) => Ok(self.0 as f64),
///             _ => Err("only losses were counted".to_owned()),
///         }
///     }
/// }
///
/// assert_eq!(OnlyLosses(3).figure(Figure::Metric(Metric::Lost)), Ok(3.0));
/// ```
pub trait Figures {
    /// The figure: a latency in nanoseconds, a rate per second, a size in bytes, and what else has
    /// a unit in the unit of its name.
    ///
    /// # Errors
    /// Why it was not measured, for people.
    fn figure(&self, figure: Figure) -> Result<f64, String>;
}

/// What became of an objective. Observed figures are in the units of [`Figures::figure`].
///
/// ```
/// use harness::objectives::Outcome;
///
/// assert_eq!(Outcome::Missed { observed: 2.5 }.observed(), Some(2.5));
/// assert!(!Outcome::NotMeasured { reason: "no subscribers".to_owned() }.is_met());
/// ```
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// It was reached.
    Met {
        /// What was measured.
        observed: f64,
    },
    /// It was not reached.
    Missed {
        /// What was measured.
        observed: f64,
    },
    /// Nobody knows.
    NotMeasured {
        /// Why not.
        reason: String,
    },
}

impl Objective {
    /// What it is about.
    #[must_use]
    pub fn figure(&self) -> Figure {
        self.figure
    }

    /// How the figure is to compare with the bound.
    #[must_use]
    pub fn comparison(&self) -> Comparison {
        self.comparison
    }

    /// The bound, in the unit of [`Figures::figure`].
    #[must_use]
    pub fn bound(&self) -> f64 {
        self.bound.number()
    }

    /// Whether the figures reach it. A figure that is not a number counts as not measured.
    #[must_use]
    pub fn evaluate(&self, figures: &dyn Figures) -> Outcome {
        match figures.figure(self.figure) {
            Ok(observed) if observed.is_nan() => {
                Outcome::NotMeasured { reason: format!("{} is not a number", self.figure) }
            }
            Ok(observed) if self.comparison.holds(observed, self.bound()) => {
                Outcome::Met { observed }
            }
            Ok(observed) => Outcome::Missed { observed },
            Err(reason) => Outcome::NotMeasured { reason },
        }
    }

    /// An observed figure for people, with a unit as the bound has, in four significant digits.
    #[must_use]
    pub fn written(&self, observed: f64) -> String {
        if !observed.is_finite() || observed <= 0.0 {
            return if observed == 0.0 { "0".to_owned() } else { observed.to_string() };
        }
        let step = 10f64.powi(observed.log10().floor() as i32 - 3);
        // In whole steps, or in whole parts of a step where those are what can be written.
        let rounded = if step >= 1.0 {
            (observed / step).round() * step
        } else {
            (observed * step.recip().round()).round() / step.recip().round()
        };
        Quantity::nearest(rounded).write(self.figure.kind())
    }
}

impl Comparison {
    const ALL: [Self; 5] = [Self::Below, Self::AtMost, Self::Equal, Self::AtLeast, Self::Above];

    /// How it is written.
    #[must_use]
    pub fn sign(self) -> &'static str {
        match self {
            Self::Below => "<",
            Self::AtMost => "<=",
            Self::Equal => "==",
            Self::AtLeast => ">=",
            Self::Above => ">",
        }
    }

    /// Whether a figure compares so with a bound.
    #[must_use]
    pub fn holds(self, observed: f64, bound: f64) -> bool {
        match self {
            Self::Below => observed < bound,
            Self::AtMost => observed <= bound,
            Self::Equal => observed == bound,
            Self::AtLeast => observed >= bound,
            Self::Above => observed > bound,
        }
    }
}

impl Outcome {
    /// Whether the objective was reached.
    #[must_use]
    pub fn is_met(&self) -> bool {
        matches!(self, Self::Met { .. })
    }

    /// What was measured.
    #[must_use]
    pub fn observed(&self) -> Option<f64> {
        match self {
            Self::Met { observed } | Self::Missed { observed } => Some(*observed),
            Self::NotMeasured { .. } => None,
        }
    }
}

impl FromStr for Objective {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        parse::parse(text)
    }
}

impl TryFrom<String> for Objective {
    type Error = ParseError;

    fn try_from(text: String) -> Result<Self, ParseError> {
        text.parse()
    }
}

impl From<Objective> for String {
    fn from(objective: Objective) -> Self {
        objective.to_string()
    }
}

impl fmt::Display for Objective {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { figure, comparison, bound } = self;
        write!(f, "{figure} {} {}", comparison.sign(), bound.write(figure.kind()))
    }
}
