//! Whether the broker did what the figures say that it did.

use super::limits::{BACKLOG_POINTS_MIN, DRIFT_SUSPECT, ERRORS_INVALID, SAMPLES_SUSPECT};
use super::{Finding, Loss, Observations, Pacing, Standing, Subject, Trend, percent, rate, trend};

pub(super) fn restarted(observations: &Observations) -> Option<Finding> {
    let count = observations.broker_restarts;
    (count > 0).then(|| {
        Finding::new(
            Standing::Invalid,
            format!(
                "the broker started anew within the measured phase ({count} times; the limit is 0): \
                 read its log, and measure again"
            ),
        )
    })
}

/// What may happen under no guarantee that the harness asks for.
pub(super) fn faults(observations: &Observations) -> Option<Finding> {
    let faults = observations.faults;
    let lost = if observations.loss == Loss::Forbidden { faults.lost } else { 0 };
    let sum = lost + faults.duplicated + faults.reordered + faults.corrupted;
    (sum > 0).then(|| {
        Finding::new(
            Standing::Invalid,
            format!(
                "messages were lost ({lost}), came twice ({}), out of order ({}) or damaged ({}), \
                 where none may be: the broker did less than it was asked to, so do not compare it; \
                 see which pairs of publisher and subscriber it was",
                faults.duplicated, faults.reordered, faults.corrupted
            ),
        )
    })
}

pub(super) fn losses(observations: &Observations) -> Option<Finding> {
    let lost = observations.faults.lost;
    let is_told = observations.loss == Loss::Allowed && lost > 0;
    is_told.then(|| {
        let messages = lost + observations.latency_samples;
        let part = lost as f64 / messages as f64;
        Finding::new(
            Standing::Suspect,
            format!(
                "{lost} of {messages} messages were passed over, {} and the limit is 0, as this \
                 subscription allows: latencies are of those delivered only; compare it with streams \
                 that may lose as much",
                percent(part)
            ),
        )
    })
}

pub(super) fn errors(observations: &Observations) -> Option<Finding> {
    let errors = observations.errors;
    if errors == 0 {
        return None;
    }
    let requests = observations.requests.max(errors);
    let part = errors as f64 / requests as f64;
    let (standing, limit) = match part >= ERRORS_INVALID {
        true => (Standing::Invalid, ERRORS_INVALID),
        false => (Standing::Suspect, 0.0),
    };
    Some(Finding::new(
        standing,
        format!(
            "{errors} of {requests} requests failed, {}, and the limit is {}; their times are in no \
             percentile: read the broker's log for why",
            percent(part),
            percent(limit)
        ),
    ))
}

pub(super) fn backlog(observations: &Observations) -> Option<Finding> {
    let points = observations.backlog.as_deref()?;
    match (trend(points, observations.delivered_per_s), observations.pacing) {
        // What was passed over is never delivered, and another rule tells of it.
        (Trend::Growing { messages, .. }, _)
            if observations.loss == Loss::Allowed
                && messages <= observations.faults.lost as f64 =>
        {
            None
        }
        (Trend::Growing { messages_per_s, messages }, pacing) => {
            let told = format!(
                "the backlog only grew, by {} and {messages:.0} messages in all, while {} were \
                 delivered, and it may not grow without end",
                rate(messages_per_s),
                rate(observations.delivered_per_s)
            );
            Some(match (pacing, observations.subject) {
                (Pacing::Open, Subject::Broker) => Finding::new(
                    Standing::Unsustainable,
                    format!(
                        "{told}: every percentile would tell only how long it was measured; offer a \
                         lower rate, or measure longer if the backlog comes back"
                    ),
                ),
                _ => Finding::new(
                    Standing::Suspect,
                    format!(
                        "{told}: the broker takes in more than it gives out, and latencies grow with \
                         the time measured; read the throughput, and bound what is under way for \
                         latencies"
                    ),
                ),
            })
        }
        (Trend::Unknown, Pacing::Open) => Some(Finding::new(
            Standing::Suspect,
            format!(
                "the backlog was looked at {} times, and {BACKLOG_POINTS_MIN} are needed to see \
                 whether it grows: measure longer",
                points.len()
            ),
        )),
        _ => None,
    }
}

/// Without a schedule the rate is what the broker makes of it, and is to be the same throughout.
pub(super) fn drift(observations: &Observations) -> Option<Finding> {
    let [first, second] =
        observations.halves_per_s.filter(|_| observations.pacing == Pacing::Closed)?;
    let drift = (second - first) / ((first + second) / 2.0).max(f64::MIN_POSITIVE);
    if drift.abs() <= DRIFT_SUSPECT {
        return None;
    }
    let advice = match drift > 0.0 {
        true => "it was still warming up; set a longer warmup_ms",
        false => "it slowed down as it went; measure longer, until it is steady",
    };
    Some(Finding::new(
        Standing::Suspect,
        format!(
            "{} were delivered in the first half of the measured phase and {} in the second, {} \
             apart, more than {}: {advice}",
            rate(first),
            rate(second),
            percent(drift.abs()),
            percent(DRIFT_SUSPECT)
        ),
    ))
}

pub(super) fn few_samples(observations: &Observations) -> Option<Finding> {
    let samples = observations.latency_samples;
    let (standing, told) = match samples {
        0 => (Standing::Invalid, "no latency was measured at all".to_owned()),
        samples if samples < SAMPLES_SUSPECT => {
            (Standing::Suspect, format!("percentiles rest on {samples} latencies"))
        }
        _ => return None,
    };
    Some(Finding::new(
        standing,
        format!(
            "{told}, and with fewer than {SAMPLES_SUSPECT} the 99th percentile is chance: measure \
             longer, or at a higher rate"
        ),
    ))
}
