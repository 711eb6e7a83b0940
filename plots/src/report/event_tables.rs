//! The report's tables of storms, idle connections, outages, and highest sustained rates.

use measure::{
    BrokerRun, KneeAttempt, KneePhase, KneeResult, OutageResult, RunRecord, StormResult,
};

use super::tables::{Detail, dash, percentiles_or_standing, standing_words};
use crate::promises::short;
use crate::quantity::{Quantity, grouped};

/// A row for each result of each broker.
fn rows_of<'a, T>(
    record: &'a RunRecord,
    results: fn(&'a BrokerRun) -> &'a [T],
    row: impl Fn(&'a BrokerRun, &'a T) -> Vec<String>,
) -> Vec<Vec<String>> {
    let brokers = record.brokers.iter();
    let pairs = brokers.flat_map(|broker| results(broker).iter().map(move |it| (broker, it)));
    pairs.map(|(broker, result)| row(broker, result)).collect()
}

/// A broker's name, and what it promises.
fn subject(broker: &BrokerRun) -> [String; 2] {
    [broker.name.clone(), short(broker.guarantee).to_owned()]
}

fn time(time_ns: u64) -> String {
    Quantity::LatencyNs.figure(time_ns as f64)
}

fn rate(per_s: f64) -> String {
    format!("{}/s", Quantity::Rate.figure(per_s))
}

/// How brokers greet many connections.
pub(super) fn storms(record: &RunRecord) -> Detail {
    let row = |broker, result: &StormResult| {
        let mut row = subject(broker).to_vec();
        row.extend([
            grouped(u64::from(result.connections)),
            result.offered_per_s.map_or_else(|| "at once".to_owned(), rate),
            grouped(u64::from(result.accepted)),
            grouped(u64::from(result.refused)),
            time(result.duration_ns),
        ]);
        let summary = &result.handshake.summary;
        let figures = [summary.p50_ns, summary.p99_ns, summary.max_ns];
        row.extend(percentiles_or_standing(&result.verdict, figures));
        row.push(standing_words(&result.verdict));
        row
    };
    Detail {
        id: "storms",
        caption: "Storms: many connections opened at once, or at a rate; the time is from opening \
                  one to the broker's greeting",
        words: 2,
        columns: &[
            "broker",
            "guarantee",
            "connections",
            "opened",
            "greeted",
            "refused",
            "took",
            "p50",
            "p99",
            "max",
            "verdict",
        ],
        rows: rows_of(record, |broker| &broker.storms, row),
    }
}

/// What idle connections cost.
pub(super) fn idles(record: &RunRecord) -> Detail {
    Detail {
        id: "idles",
        caption: "Connections that do nothing: resident memory of the broker for each",
        words: 2,
        columns: &[
            "broker",
            "guarantee",
            "connections",
            "held",
            "for each",
            "resident before",
            "after",
            "dropped",
        ],
        rows: rows_of(
            record,
            |broker| &broker.idles,
            |broker, result| {
                let mut row = subject(broker).to_vec();
                row.extend([
                    grouped(u64::from(result.connections)),
                    time(result.held_ms.saturating_mul(1_000_000)),
                    Quantity::Bytes.figure(result.bytes_per_connection),
                    Quantity::Bytes.figure(result.resident_before_bytes as f64),
                    Quantity::Bytes.figure(result.resident_after_bytes as f64),
                    grouped(u64::from(result.dropped)),
                ]);
                row
            },
        ),
    }
}

/// How long brokers take to be back, and what became of the messages.
pub(super) fn outages(record: &RunRecord) -> Detail {
    let row = |broker, result: &OutageResult| {
        let mut row = subject(broker).to_vec();
        row.extend([
            result.stop.to_string(),
            time(result.down_ns),
            time(result.ready_ns),
            result.recovered_ns.map_or_else(|| "never".to_owned(), time),
        ]);
        let OutageResult { sent, acknowledged, lost, duplicated, reordered, corrupted, .. } =
            *result;
        row.extend([sent, acknowledged, lost, duplicated, reordered, corrupted].map(grouped));
        row
    };
    Detail {
        id: "outages-ledger",
        caption: "Outages: stopped under load and started again; recovered is from the signal to \
                  the first delivery after it, and lost are acknowledged messages that never came",
        words: 3,
        columns: &[
            "broker",
            "guarantee",
            "stop",
            "down",
            "start to ready",
            "recovered",
            "sent",
            "acknowledged",
            "lost",
            "duplicated",
            "reordered",
            "corrupted",
        ],
        rows: rows_of(record, |broker| &broker.outages, row),
    }
}

/// The highest rates that met an objective.
pub(super) fn knees(record: &RunRecord) -> Detail {
    let row = |broker, result: &KneeResult| {
        let mut row = subject(broker).to_vec();
        row.extend([
            result.label.clone(),
            result.objective.clone(),
            result.rate_per_s.map_or_else(|| "none met it".to_owned(), rate),
            result.confirmed.map_or_else(
                || result.answer.clone(),
                |[met, missed]| format!("{} to {}", rate(met), rate(missed)),
            ),
            confirmations(result),
            grouped(result.attempts.len() as u64),
        ]);
        row
    };
    Detail {
        id: "highest-rates",
        caption: "The highest rate that met the objective, in messages offered per second",
        words: 4,
        columns: &[
            "broker",
            "guarantee",
            "stream",
            "objective",
            "highest rate",
            "it lies within",
            "confirmations met",
            "rates tried",
        ],
        rows: rows_of(record, |broker| &broker.knees, row),
    }
}

/// `3 of 3`: how many repeats at what was found met the objective.
fn confirmations(result: &KneeResult) -> String {
    let confirmations = result.attempts.iter().filter(|it| it.phase == KneePhase::Confirm);
    match confirmations.clone().count() {
        0 => dash(),
        all => format!("{} of {all}", confirmations.filter(|attempt| attempt.met).count()),
    }
}

/// Every rate that was tried on the way.
pub(super) fn knee_attempts(record: &RunRecord) -> Detail {
    let rows = record.brokers.iter().flat_map(|broker| {
        broker.knees.iter().flat_map(move |knee| {
            let subject = move || [broker.name.clone(), knee.label.clone(), knee.objective.clone()];
            let attempts = knee.attempts.iter();
            attempts
                .map(move |attempt| subject().into_iter().chain(attempt_figures(attempt)).collect())
        })
    });
    Detail {
        id: "knee-attempts",
        caption: "All rates tried in the search for the highest",
        words: 4,
        columns: &[
            "broker",
            "stream",
            "objective",
            "phase",
            "offered",
            "delivered",
            "response p99",
            "objective met",
            "verdict",
        ],
        rows: rows.collect(),
    }
}

fn attempt_figures(attempt: &KneeAttempt) -> [String; 6] {
    let phase = match attempt.phase {
        KneePhase::Climb => "climb",
        KneePhase::Bisect => "bisect",
        KneePhase::Confirm => "confirm",
    };
    [
        phase.to_owned(),
        rate(attempt.rate_per_s),
        rate(attempt.delivered_per_s),
        attempt.response_p99_ns.map_or_else(dash, time),
        if attempt.met { "yes" } else { "no" }.to_owned(),
        attempt.standing.to_string(),
    ]
}
