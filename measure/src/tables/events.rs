//! Storms, idle connections, outages, knees, objectives and ceilings.

use super::{Column, Of, SUBJECT_COLUMNS, Table, maybe, text, write_results, write_rows};
use crate::{IdleResult, KneePhase, OutageResult, StormResult};

pub(super) const STORMS: Table = Table {
    file_name: "storms.csv",
    row: "each storm of connections",
    write: |record, out| {
        let rows = Of::each(record, |broker| &broker.storms);
        write_results("storms.csv", &STORM_COLUMNS, rows, out)
    },
};

pub(super) const IDLES: Table = Table {
    file_name: "idles.csv",
    row: "each number of idle connections",
    write: |record, out| {
        let rows = Of::each(record, |broker| &broker.idles);
        write_results("idles.csv", &IDLE_COLUMNS, rows, out)
    },
};

pub(super) const OUTAGES: Table = Table {
    file_name: "outages.csv",
    row: "each outage under load",
    write: |record, out| {
        let rows = Of::each(record, |broker| &broker.outages);
        write_results("outages.csv", &OUTAGE_COLUMNS, rows, out)
    },
};

pub(super) const KNEES: Table = Table {
    file_name: "knees.csv",
    row: "each rate that was tried in search of the highest one sustained",
    write: |record, out| {
        let names = SUBJECT_COLUMNS.into_iter().chain(KNEE_COLUMNS);
        let rows = Of::each(record, |broker| &broker.knees).flat_map(|of| {
            of.result.attempts.iter().map(move |attempt| {
                let knee = [of.result.label.clone(), of.result.objective.clone()];
                let [low, high] = of.result.confirmed.map_or([None; 2], |pair| pair.map(Some));
                let figures = [
                    text(attempt.rate_per_s),
                    phase_name(attempt.phase).to_owned(),
                    text(attempt.met),
                    maybe(attempt.response_p99_ns),
                    text(attempt.delivered_per_s),
                    text(attempt.standing),
                    maybe(of.result.rate_per_s),
                    maybe(low),
                    maybe(high),
                ];
                of.subject().into_iter().chain(knee).chain(figures).collect()
            })
        });
        write_rows("knees.csv", names, rows, out)
    },
};

pub(super) const OBJECTIVES: Table = Table {
    file_name: "objectives.csv",
    row: "each objective",
    write: |record, out| {
        let names = ["broker", "cell", "assertion", "observed", "standing"].into_iter();
        let rows = record.objectives.iter().map(|it| {
            let (cell, observed) = (it.cell.clone(), maybe(it.observed));
            vec![it.broker.clone(), cell, it.assertion.clone(), observed, text(it.standing)]
        });
        write_rows("objectives.csv", names, rows, out)
    },
};

pub(super) const CEILINGS: Table = Table {
    file_name: "ceilings.csv",
    row: "each measurement of the load generator against nothing",
    write: |record, out| {
        let names = ["driver", "cell", "deliveries_per_s"].into_iter();
        let rows = record.ceilings.iter();
        let rows =
            rows.map(|it| vec![it.driver.clone(), it.cell.clone(), text(it.deliveries_per_s)]);
        write_rows("ceilings.csv", names, rows, out)
    },
};

const STORM_COLUMNS: [Column<StormResult>; 12] = [
    ("connections", |it| text(it.connections)),
    ("offered_per_s", |it| maybe(it.offered_per_s)),
    ("accepted", |it| text(it.accepted)),
    ("refused", |it| text(it.refused)),
    ("duration_ns", |it| text(it.duration_ns)),
    ("standing", |it| text(it.verdict.standing)),
    ("reasons", |it| it.verdict.reasons.join("; ")),
    ("handshake_p50_ns", |it| maybe(it.handshake.summary.p50_ns)),
    ("handshake_p99_ns", |it| maybe(it.handshake.summary.p99_ns)),
    ("handshake_max_ns", |it| maybe(it.handshake.summary.max_ns)),
    ("histogram", |it| text(&it.handshake.histogram)),
    ("resident_bytes_max", |it| maybe(it.resources.as_ref().map(|used| used.resident_bytes_max))),
];

const IDLE_COLUMNS: [Column<IdleResult>; 6] = [
    ("connections", |it| text(it.connections)),
    ("held_ms", |it| text(it.held_ms)),
    ("bytes_per_connection", |it| text(it.bytes_per_connection)),
    ("resident_before_bytes", |it| text(it.resident_before_bytes)),
    ("resident_after_bytes", |it| text(it.resident_after_bytes)),
    ("dropped", |it| text(it.dropped)),
];

const OUTAGE_COLUMNS: [Column<OutageResult>; 15] = [
    ("label", |it| it.label.clone()),
    ("stop", |it| text(it.stop)),
    ("stop_ns", |it| text(it.stop_ns)),
    ("down_ns", |it| text(it.down_ns)),
    ("ready_ns", |it| text(it.ready_ns)),
    ("recovered_ns", |it| maybe(it.recovered_ns)),
    ("acknowledged_again_ns", |it| maybe(it.acknowledged_again_ns)),
    ("unavailable_ns", |it| maybe(it.unavailable_ns)),
    ("sent", |it| text(it.sent)),
    ("acknowledged", |it| text(it.acknowledged)),
    ("resent", |it| text(it.resent)),
    ("lost", |it| text(it.lost)),
    ("duplicated", |it| text(it.duplicated)),
    ("reordered", |it| text(it.reordered)),
    ("corrupted", |it| text(it.corrupted)),
];

const KNEE_COLUMNS: [&str; 11] = [
    "label",
    "objective",
    "rate_per_s",
    "phase",
    "met",
    "response_p99_ns",
    "delivered_per_s",
    "standing",
    // These are the search's results.
    "knee_per_s",
    "confirmed_from_per_s",
    "confirmed_to_per_s",
];

fn phase_name(phase: KneePhase) -> &'static str {
    match phase {
        KneePhase::Climb => "climb",
        KneePhase::Bisect => "bisect",
        KneePhase::Confirm => "confirm",
    }
}
