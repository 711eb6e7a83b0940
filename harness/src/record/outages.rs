//! Outages, over rounds.

use super::{Logged, Measured};
use crate::config::OutageConfig;
use crate::engine::OutageOutcome;
use crate::ledger::Faults;
use crate::plan::BrokerPlan;
use measure::{
    GuaranteeClass, HistogramSet, HistogramTag, Latency, LatencyHistogram, OutageResult,
};
use std::time::Duration;

/// One round of an outage.
#[derive(Clone, Debug)]
pub struct OutageRound {
    /// What came of it.
    pub outcome: OutageOutcome,
    /// When it began and ended, since the run began.
    pub times: [Duration; 2],
}

impl Measured {
    /// Outages that broke a promise, one sentence each.
    pub(super) fn outage_breaches(&self, plan: &BrokerPlan<'_>) -> Vec<String> {
        let outages = plan.outages.iter().zip(&self.outages);
        let breaches = outages.filter_map(|(cell, rounds)| {
            let breach = breach(rounds, plan.broker.guarantee)?;
            Some(format!("{}: {breach}", cell.label()))
        });
        breaches.collect()
    }
}

/// The rounds as a result: times and timeline of the round whose recovery is the median, counts of
/// all.
pub(super) fn result(
    rounds: &[OutageRound],
    cell: &OutageConfig,
    broker: &str,
    histograms: &mut HistogramSet,
) -> Option<OutageResult> {
    let (first, last) = (rounds.first()?, rounds.last()?);
    let mut by_recovery: Vec<&OutageOutcome> = rounds.iter().map(|round| &round.outcome).collect();
    // One that did not recover took longest.
    by_recovery.sort_by_key(|outcome| outcome.recovered_ns.unwrap_or(u64::MAX));
    let middle = by_recovery.get(by_recovery.len() / 2)?;
    let faults = faults(rounds);
    let count =
        |of: fn(&OutageOutcome) -> u64| rounds.iter().map(|round| of(&round.outcome)).sum::<u64>();
    let mut response = LatencyHistogram::new();
    rounds.iter().for_each(|round| response.merge(&round.outcome.response));
    let tag = HistogramTag::new(broker).part(&cell.label()).part("response");
    let mut log = Logged { histograms, times: [first.times[0], last.times[1]] };
    Some(OutageResult {
        label: cell.label(),
        stop: cell.stop,
        stop_ns: middle.stop_ns,
        down_ns: middle.down_ns,
        ready_ns: middle.ready_ns,
        recovered_ns: middle.recovered_ns,
        acknowledged_again_ns: middle.acknowledged_again_ns,
        unavailable_ns: middle.unavailable_ns,
        recoveries_ns: rounds.iter().map(|round| round.outcome.recovered_ns).collect(),
        sent: count(|outcome| outcome.sent),
        acknowledged: count(|outcome| outcome.acknowledged),
        resent: count(|outcome| outcome.resent),
        lost: faults.lost,
        duplicated: faults.duplicated,
        reordered: faults.reordered,
        corrupted: faults.corrupted,
        response: (response.count() > 0)
            .then(|| Latency { summary: response.summary(), histogram: log.add(tag, response) }),
        timeline: middle.timeline.clone(),
    })
}

fn faults(rounds: &[OutageRound]) -> Faults {
    let mut sum = Faults::default();
    rounds.iter().for_each(|round| sum += round.outcome.faults);
    sum
}

/// Which promise was broken. Messages are sent again, so some come twice: that is at least once.
/// Where acknowledged messages end with the process they may be lost, and with them a client's way
/// back.
fn breach(rounds: &[OutageRound], guarantee: GuaranteeClass) -> Option<String> {
    let Faults { lost, reordered, corrupted, .. } = faults(rounds);
    let survives = guarantee.outlives_process();
    if corrupted > 0 || reordered > 0 || (lost > 0 && survives) {
        return Some(format!(
            "expected {} whole and in order after the outage, found {lost} lost, {reordered} \
             reordered, {corrupted} corrupted",
            if survives { "every acknowledged message" } else { "what was not lost" },
        ));
    }
    let stranded = rounds.iter().find(|round| round.outcome.recovered_ns.is_none())?;
    let reason = stranded.outcome.complaint.as_deref().unwrap_or("nothing was delivered");
    Some(format!("expected deliveries after the outage, found none: {reason}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use measure::StopKind;

    fn round(recovered_ns: Option<u64>, lost: u64) -> OutageRound {
        let outcome = OutageOutcome {
            stop_ns: 1,
            down_ns: 2,
            ready_ns: 3,
            recovered_ns,
            acknowledged_again_ns: None,
            unavailable_ns: None,
            sent: 10,
            acknowledged: 9,
            resent: 1,
            faults: Faults { lost, duplicated: 1, ..Faults::default() },
            response: LatencyHistogram::new(),
            timeline: Vec::new(),
            complaint: None,
        };
        OutageRound { outcome, times: [Duration::ZERO; 2] }
    }

    fn config() -> OutageConfig {
        OutageConfig {
            publishers: 1,
            subscribers: 1,
            rate_per_s: 10.0,
            payload_bytes: 100,
            acks: 1,
            kill_after_ms: 1,
            down_ms: 1,
            stop: StopKind::Crash,
            duration_ms: 10,
        }
    }

    #[test]
    fn the_times_are_those_of_the_median_recovery_and_the_counts_of_all_rounds() {
        let rounds = [round(None, 2), round(Some(7), 0), round(Some(9), 0)];
        let found = result(&rounds, &config(), "x", &mut HistogramSet::default()).unwrap();
        assert_eq!(found.recovered_ns, Some(9));
        assert_eq!(found.recoveries_ns, [None, Some(7), Some(9)]);
        assert_eq!((found.sent, found.acknowledged, found.lost), (30, 27, 2));
        assert_eq!(result(&[], &config(), "x", &mut HistogramSet::default()), None);
    }

    #[test]
    fn a_loss_breaks_only_a_promise_that_was_given() {
        let check = |rounds: &[OutageRound], guarantee, is_breach| {
            let found = breach(rounds, guarantee);
            assert_eq!(found.is_some(), is_breach, "{guarantee}: {found:?}");
        };
        for guarantee in GuaranteeClass::ALL {
            check(&[round(Some(7), 0)], guarantee, false);
            check(&[round(Some(7), 1)], guarantee, guarantee.outlives_process());
            check(&[round(None, 0)], guarantee, true);
        }
    }
}
