//! The highest rate that a broker sustains: the knee of latency against load.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Standing;

/// A search for the highest offered rate at which a stream still meets an objective.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct KneeResult {
    /// The stream.
    pub label: String,
    /// What was to be met, e.g. `response.p99 < 10ms`.
    pub objective: String,
    /// What was tried, in this order.
    pub attempts: Vec<KneeAttempt>,
    /// The highest rate that met the objective, in messages per second; `None` if none did.
    pub rate_per_s: Option<f64>,
    /// The interval in messages per second that repeats confirmed the rate to lie in, from the
    /// highest one met to the lowest one missed; `None` without repeats.
    pub confirmed: Option<[f64; 2]>,
    /// What the search came to, in words; that it is at least the generator's ceiling, for one.
    pub answer: String,
}

/// One rate that was tried.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct KneeAttempt {
    /// Messages offered per second over all publishers.
    pub rate_per_s: f64,
    /// Whether the objective was met.
    pub met: bool,
    /// The 99th percentile of response time; `None` of too few samples.
    pub response_p99_ns: Option<u64>,
    /// Deliveries per second, summed over all subscribers.
    pub delivered_per_s: f64,
    /// Whether the attempt may be believed.
    pub standing: Standing,
    /// What it was tried for.
    pub phase: KneePhase,
}

/// The part of the search that a rate was tried in.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum KneePhase {
    /// Upwards, until the objective is missed.
    Climb,
    /// Halving the distance between the highest rate met and the lowest missed.
    Bisect,
    /// Once more at what was found.
    Confirm,
}
