//! What searches for the highest rate came to.

use super::figures::StreamFigures;
use super::streams::{StreamRound, StreamSum};
use crate::objectives::Objective;
use crate::plan::StreamCell;
use measure::{HistogramSet, KneeAttempt, KneeResult};

/// A search that is over.
#[derive(Clone, Debug)]
pub struct Knee {
    /// What was to be met.
    pub objective: String,
    /// What was tried, in this order.
    pub attempts: Vec<KneeAttempt>,
    /// The highest rate that met it, confirmed.
    pub rate_per_s: Option<f64>,
    /// That rate, and the lowest that missed it.
    pub confirmed: Option<[f64; 2]>,
    /// All that in words.
    pub answer: String,
}

impl Knee {
    /// The highest rate that met the objectives, confirmed.
    #[must_use]
    pub fn rate_per_s(&self) -> Option<f64> {
        self.rate_per_s
    }

    pub(super) fn result(self, cell: &StreamCell) -> KneeResult {
        KneeResult {
            label: cell.label(),
            objective: self.objective,
            attempts: self.attempts,
            rate_per_s: self.rate_per_s,
            confirmed: self.confirmed,
            answer: self.answer,
        }
    }
}

/// Whether one round of a stream meets all objectives; what was not measured is not met.
#[must_use]
pub fn stream_meets(
    round: &StreamRound,
    cell: &StreamCell,
    broker: &str,
    objectives: &[Objective],
) -> bool {
    let mut histograms = HistogramSet::new();
    let mut sum = StreamSum::default();
    sum.add(round.clone());
    let result = sum.result(cell, broker, &mut histograms);
    let figures = StreamFigures { result: &result, histograms: &histograms };
    objectives.iter().all(|objective| objective.evaluate(&figures).is_met())
}
