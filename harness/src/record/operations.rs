//! Operations, over rounds.

use super::Logged;
use crate::engine::OperationOutcome;
use crate::plan::OperationCell;
use measure::{
    CellResources, HistogramSet, LatencyHistogram, OperationResult, Verdict, rate_per_s,
};
use std::collections::BTreeMap;
use std::time::Duration;

/// One round of an operation, judged.
#[derive(Clone, Debug)]
pub struct OperationRound {
    /// What came of it.
    pub outcome: OperationOutcome,
    /// What the broker used in the measured phase.
    pub resources: Option<CellResources>,
    /// Whether it may be believed.
    pub verdict: Verdict,
}

/// An operation's rounds, and when the first began and the last ended.
#[derive(Debug)]
pub struct OperationSum {
    rounds: Vec<OperationRound>,
    times: [Duration; 2],
}

impl OperationSum {
    /// The first round.
    #[must_use]
    pub fn new(round: OperationRound, times: [Duration; 2]) -> Self {
        Self { rounds: vec![round], times }
    }

    /// Adds a round.
    pub fn add(&mut self, round: OperationRound, times: [Duration; 2]) {
        self.rounds.push(round);
        self.times[1] = times[1];
    }

    /// Errors by code.
    #[must_use]
    pub fn errors(&self) -> BTreeMap<&str, u64> {
        let mut errors = BTreeMap::new();
        for (code, count) in self.rounds.iter().flat_map(|round| &round.outcome.errors) {
            *errors.entry(code.as_str()).or_default() += count;
        }
        errors
    }

    pub(super) fn result(
        self,
        cell: &OperationCell,
        broker: &str,
        histograms: &mut HistogramSet,
    ) -> OperationResult {
        let mut latencies = LatencyHistogram::new();
        let (mut count, mut duration_ns) = (0, 0);
        for round in &self.rounds {
            count += round.outcome.count;
            duration_ns += round.outcome.duration_ns;
            latencies.merge(&round.outcome.latencies);
        }
        let latency = latencies.summary();
        let errors = self.errors().values().sum();
        let mut log = Logged { histograms, times: self.times };
        OperationResult {
            operation: cell.operation.name(),
            clients: cell.clients,
            count,
            errors,
            duration_ns,
            throughput_per_s: rate_per_s(count, duration_ns),
            latency,
            histogram: log.add(cell.tag(broker), latencies),
            verdict: super::verdict(self.rounds.iter().map(|round| &round.verdict)),
            resources: super::resources(
                self.rounds.iter().map(|round| round.resources.as_ref()),
                count,
            ),
            rounds: self.rounds.iter().map(round_figures).collect(),
        }
    }
}

fn round_figures(round: &OperationRound) -> measure::OperationRound {
    let outcome = &round.outcome;
    let percentile = |percent| outcome.latencies.percentile_ns(percent).map(|ns| ns as f64);
    let used = super::resources([round.resources.as_ref()].into_iter(), outcome.count);
    measure::OperationRound {
        throughput_per_s: Some(rate_per_s(outcome.count, outcome.duration_ns)),
        p50_ns: percentile(50.0),
        p99_ns: percentile(99.0),
        cpu_us_per_operation: used.and_then(|used| used.cpu_us_per_delivery),
        verdict: round.verdict.standing,
    }
}
