//! Crowds of connections, over rounds.

use super::Logged;
use crate::config::{IdleConfig, StormConfig};
use crate::engine::CrowdOutcome;
use measure::{
    CellResources, HistogramSet, HistogramTag, IdleResult, Latency, LatencyHistogram, StormResult,
    Verdict,
};
use std::time::Duration;

/// One round of a storm.
#[derive(Clone, Debug)]
pub struct StormRound {
    /// What came of it.
    pub outcome: CrowdOutcome,
    /// When it began and ended, since the run began.
    pub times: [Duration; 2],
    /// What the broker used.
    pub resources: Option<CellResources>,
}

/// One round of a crowd at rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdleRound {
    /// Connections that were let in.
    pub accepted: u64,
    /// Connections that were not, or were closed while they were at rest.
    pub dropped: u64,
    /// Resident memory of the broker before the first.
    pub resident_bytes_before: u64,
    /// Resident memory when all were at rest.
    pub resident_bytes_held: u64,
}

/// A storm's rounds, as a result.
pub(super) fn storm_result(
    rounds: &[StormRound],
    cell: &StormConfig,
    broker: &str,
    histograms: &mut HistogramSet,
) -> Option<StormResult> {
    let (first, last) = (rounds.first()?, rounds.last()?);
    let mut handshake = LatencyHistogram::new();
    let (mut accepted, mut refused, mut duration_ns) = (0, 0, 0);
    for round in rounds {
        handshake.merge(&round.outcome.handshake);
        accepted += round.outcome.accepted;
        refused += round.outcome.refused;
        duration_ns += round.outcome.duration_ns;
    }
    let summary = handshake.summary();
    let tag = HistogramTag::new(broker).part(&cell.label()).part("handshake");
    let mut log = Logged { histograms, times: [first.times[0], last.times[1]] };
    let mut verdict = Verdict::default();
    if refused > 0 {
        verdict.degrade(
            measure::Standing::Suspect,
            format!(
                "expected every connection to be let in, found {refused} refused; see the \
                 broker's limits on connections and files"
            ),
        );
    }
    let rounds = rounds.len() as u32;
    Some(StormResult {
        connections: cell.connections,
        offered_per_s: cell.rate_per_s,
        accepted: u32::try_from(accepted / u64::from(rounds)).unwrap_or(u32::MAX),
        refused: u32::try_from(refused).unwrap_or(u32::MAX),
        duration_ns: duration_ns / u64::from(rounds),
        handshake: Latency { summary, histogram: log.add(tag, handshake) },
        verdict,
        resources: super::resources(std::iter::once(first.resources.as_ref()), accepted),
    })
}

/// A crowd's rounds, as a result: the median cost, and the worst of what was dropped.
pub(super) fn idle_result(rounds: &[IdleRound], cell: &IdleConfig) -> Option<IdleResult> {
    let cost = |round: &IdleRound| {
        let bytes = round.resident_bytes_held.saturating_sub(round.resident_bytes_before);
        bytes as f64 / round.accepted.max(1) as f64
    };
    let mut by_cost: Vec<&IdleRound> = rounds.iter().collect();
    by_cost.sort_by(|left, right| cost(left).total_cmp(&cost(right)));
    let middle = by_cost.get(by_cost.len() / 2)?;
    let dropped = rounds.iter().map(|round| round.dropped).max().unwrap_or(0);
    Some(IdleResult {
        connections: cell.connections,
        held_ms: cell.hold_ms,
        bytes_per_connection: cost(middle),
        resident_before_bytes: middle.resident_bytes_before,
        resident_after_bytes: middle.resident_bytes_held,
        dropped: u32::try_from(dropped).unwrap_or(u32::MAX),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cost_of_a_connection_is_the_median_of_its_rounds() {
        let cell = IdleConfig { connections: 100, hold_ms: 1 };
        let round = |held| IdleRound {
            accepted: 100,
            dropped: 0,
            resident_bytes_before: 1000,
            resident_bytes_held: held,
        };
        let result = idle_result(&[round(9000), round(2000), round(3000)], &cell).unwrap();
        assert_eq!(result.bytes_per_connection, 20.0);
        assert_eq!(idle_result(&[], &cell), None);
    }
}
