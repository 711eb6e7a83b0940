//! From what was observed of a measurement to whether it may be believed.

use super::pass::Passed;
use crate::config::{BrokerConfig, LagPolicyChoice};
use crate::engine::{OperationOutcome, StreamOutcome};
use crate::plan::StreamCell;
use crate::schedule::LoadModel;
use crate::validity::{
    BacklogPoint, Lateness, Loss, Observations, Pacing, Subject, Verdict, judge,
};
use measure::{BrokerKind, rate_per_s};

/// The verdict on a round of a stream.
pub(super) fn of_stream(
    broker: &BrokerConfig,
    cell: &StreamCell,
    passed: &Passed<StreamOutcome>,
    ceiling_per_s: Option<f64>,
    model: Option<&LoadModel>,
) -> Verdict {
    let outcome = &passed.outcome;
    let duration_s = outcome.sending_ns as f64 / 1e9;
    let offered_per_s = model.map(|model| model.messages_in(outcome.sending_ns) / duration_s);
    let broker_cpu_ns = passed.resources.as_ref().map(|used| used.cpu_user_ns + used.cpu_system_ns);
    let mean_interval_ns = offered_per_s
        .map(|per_s| (1e9 * f64::from(cell.config.publishers) / per_s.max(1e-9)) as u64);
    let p99_ns = outcome.lateness.quantile_ns(0.99);
    let observations = Observations {
        subject: subject(broker),
        pacing: if model.is_some() { Pacing::Open } else { Pacing::Closed },
        measured_ns: outcome.sending_ns,
        lateness: p99_ns
            .zip(mean_interval_ns)
            .map(|(p99_ns, mean_interval_ns)| Lateness { p99_ns, mean_interval_ns }),
        offered_per_s,
        sent_per_s: rate_per_s(outcome.sent, outcome.sending_ns),
        delivered_per_s: rate_per_s(outcome.received, outcome.duration_ns),
        ceiling_per_s,
        latency_samples: outcome.response.count() + outcome.acknowledgement.count(),
        clock_errors: outcome.clock_errors,
        faults: outcome.faults,
        loss: match cell.config.lag_policy {
            LagPolicyChoice::Hold => Loss::Forbidden,
            LagPolicyChoice::Skip => Loss::Allowed,
        },
        backlog: backlog(outcome, cell.config.subscribers),
        halves_per_s: if is_even(model) { halves_per_s(outcome) } else { None },
        ..Observations::default()
    };
    judge(&observations.with_generator(&passed.generator, broker_cpu_ns))
}

/// The verdict on a round of an operation.
pub(super) fn of_operation(broker: &BrokerConfig, passed: &Passed<OperationOutcome>) -> Verdict {
    let outcome = &passed.outcome;
    let errors = outcome.errors.values().sum();
    let broker_cpu_ns = passed.resources.as_ref().map(|used| used.cpu_user_ns + used.cpu_system_ns);
    let per_s = rate_per_s(outcome.count, outcome.duration_ns);
    let observations = Observations {
        subject: subject(broker),
        measured_ns: outcome.duration_ns,
        sent_per_s: per_s,
        delivered_per_s: per_s,
        requests: outcome.count + errors,
        errors,
        latency_samples: outcome.count,
        ..Observations::default()
    };
    judge(&observations.with_generator(&passed.generator, broker_cpu_ns))
}

/// Whether a load is meant to be the same throughout.
fn is_even(model: Option<&LoadModel>) -> bool {
    matches!(model, None | Some(LoadModel::Open { .. }))
}

fn subject(broker: &BrokerConfig) -> Subject {
    match broker.driver.broker_kind() {
        BrokerKind::Broker => Subject::Broker,
        BrokerKind::Ceiling => Subject::Ceiling,
    }
}

/// What was sent and not delivered yet, at the end of each interval in which anything was sent.
fn backlog(outcome: &StreamOutcome, subscribers: u32) -> Option<Vec<BacklogPoint>> {
    if subscribers == 0 || outcome.timeline.sent.is_empty() {
        return None;
    }
    let (mut sent, mut received) = (0, 0);
    let points = outcome.timeline.sent.iter().zip(1u64..).map(|(own_sent, end)| {
        sent += own_sent * u64::from(subscribers);
        let own = outcome.timeline.received.get(end as usize - 1);
        received += own.map_or(0, |interval| interval.received);
        let t_ns = end * outcome.timeline.interval_ns;
        BacklogPoint { t_ns, outstanding: sent.saturating_sub(received) }
    });
    Some(points.collect())
}

/// Deliveries per second in the first and the second half of the intervals in which all was sent.
fn halves_per_s(outcome: &StreamOutcome) -> Option<[f64; 2]> {
    /// Halves of fewer intervals say little.
    const INTERVALS_MIN: usize = 4;
    // The last interval may have begun just before the end.
    let whole = outcome.timeline.sent.len().checked_sub(1)?;
    let received = outcome.timeline.received.get(..whole)?;
    if whole < INTERVALS_MIN {
        return None;
    }
    let (first, second) = received.split_at(whole / 2);
    let per_s = |part: &[crate::intake::Interval]| {
        let received: u64 = part.iter().map(|interval| interval.received).sum();
        rate_per_s(received, part.len() as u64 * outcome.timeline.interval_ns)
    };
    Some([per_s(first), per_s(second)])
}
