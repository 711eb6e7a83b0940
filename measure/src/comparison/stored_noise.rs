//! Noise as a comparison of like with like found it.

use super::cell::Cell;
use super::metric::Metric;
use super::outcome::Comparison;

/// A comparison of two runs of the same thing: whatever it found to differ is noise.
pub(super) struct StoredNoise<'a>(&'a Comparison);

impl<'a> StoredNoise<'a> {
    pub(super) fn of(comparison: &'a Comparison) -> Self {
        Self(comparison)
    }

    /// The far end, from 1, of the interval of the ratio of this broker's metric in the same cell;
    /// `None` if that was not compared.
    pub(super) fn floor_ratio(&self, cell: &Cell, metric: Metric) -> Option<f64> {
        let stored = self
            .0
            .cells
            .iter()
            .find(|stored| stored.broker_a == cell.broker && stored.facts == cell.facts)?;
        let stored = stored.metrics.iter().find(|stored| stored.metric == metric)?;
        let interval = stored.difference?.ratio.interval;
        let furthest = interval.low.ln().abs().max(interval.high.ln().abs());
        furthest.is_finite().then(|| furthest.exp())
    }
}
