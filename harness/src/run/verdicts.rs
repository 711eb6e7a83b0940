//! From what was observed of a measurement to whether it may be believed.

use super::pass::Passed;
use crate::config::BrokerConfig;
use crate::engine::{OperationOutcome, StreamOutcome};
use crate::plan::StreamCell;
use crate::schedule::LoadModel;
use crate::validity::{
    BacklogPoint, Lateness, Observations, Pacing, Subject, backlog_of, halves_per_s, judge,
};
use measure::{BrokerKind, TimelinePoint, Verdict, rate_per_s};

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
    let broker_cpu_ns = passed.resources.as_ref().map(|used| used.cpu_ns());
    let mean_interval_ns = offered_per_s
        .map(|per_s| (1e9 * f64::from(cell.config.publishers) / per_s.max(1e-9)) as u64);
    let p99_ns = outcome.lateness.quantile_ns(0.99);
    let sending = sending(outcome);
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
        loss: cell.loss(broker),
        backlog: backlog(&sending, cell.config.subscribers),
        halves_per_s: if is_even(model) { halves(&sending) } else { None },
        ..Observations::default()
    };
    judge(&observations.with_generator(&passed.generator, broker_cpu_ns))
}

/// The verdict on a round of an operation.
pub(super) fn of_operation(broker: &BrokerConfig, passed: &Passed<OperationOutcome>) -> Verdict {
    let outcome = &passed.outcome;
    let errors = outcome.errors.values().sum();
    let broker_cpu_ns = passed.resources.as_ref().map(|used| used.cpu_ns());
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

/// The whole intervals in which messages were sent: the last may have begun just before the end.
fn sending(outcome: &StreamOutcome) -> Vec<TimelinePoint> {
    let mut points = outcome.timeline_points();
    points.truncate(outcome.timeline.sent.len().saturating_sub(1));
    points
}

/// What was sent and not delivered yet; `None` where nothing is delivered.
fn backlog(points: &[TimelinePoint], subscribers: u32) -> Option<Vec<BacklogPoint>> {
    (subscribers > 0 && !points.is_empty()).then(|| backlog_of(points, subscribers))
}

/// Deliveries per second in each half; halves of fewer than two intervals say little.
fn halves(points: &[TimelinePoint]) -> Option<[f64; 2]> {
    (points.len() >= 4).then(|| halves_per_s(points)).flatten()
}
