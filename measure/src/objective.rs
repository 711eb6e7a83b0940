//! What a run was to show, and whether it did; and what the load generator itself can do.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An assertion of the configuration about one measurement, and what came of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ObjectiveOutcome {
    /// The broker.
    pub broker: String,
    /// The measurement's label.
    pub cell: String,
    /// What was asserted, e.g. `response.p99 < 10ms`.
    pub assertion: String,
    /// What was found: a latency in nanoseconds, a rate per second, a size in bytes, else in the
    /// unit of its name; `None` where nothing was measured.
    pub observed: Option<f64>,
    /// What was found, for people, e.g. `2.5ms`; where nothing was measured, why.
    pub found: String,
    /// Whether it is so.
    pub standing: ObjectiveStanding,
}

/// Whether an objective was met.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum ObjectiveStanding {
    /// It was.
    Met,
    /// It was not.
    Missed,
    /// What it is about was not measured, or cannot be believed.
    NotMeasured,
}

impl fmt::Display for ObjectiveStanding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Met => "met",
            Self::Missed => "missed",
            Self::NotMeasured => "not measured",
        })
    }
}

/// How fast a driver of the load generator is against nothing: no broker can be seen to be faster.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DriverCeiling {
    /// The driver.
    pub driver: String,
    /// The measurement's label.
    pub cell: String,
    /// Deliveries per second, summed over all subscribers.
    pub deliveries_per_s: f64,
}
