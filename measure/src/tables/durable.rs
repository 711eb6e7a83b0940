//! Backlogs and restarts.

use std::io::Write;

use super::{Of, SUBJECT_COLUMNS, Table, maybe, text, write_rows};
use crate::{BacklogPass, DeliveryFaults, MeasureError, PageCache, RunRecord};

pub(super) const BACKLOGS: Table = Table {
    file_name: "backlogs.csv",
    row: "each way through each backlog",
    write: |record, out| write_backlogs(record, out),
};

pub(super) const RESTARTS: Table = Table {
    file_name: "restarts.csv",
    row: "each round of each restart",
    write: |record, out| write_restarts(record, out),
};

fn write_backlogs(record: &RunRecord, out: impl Write) -> Result<(), MeasureError> {
    let rows = Of::each(record, |broker| &broker.backlogs).flat_map(|of| {
        let backlog = of.result;
        let build = ("build", None, &backlog.build, None);
        let drains = backlog
            .drains
            .iter()
            .map(|drain| ("drain", Some(drain.cache), &drain.pass, Some(drain.faults)));
        std::iter::once(build).chain(drains).map(move |(pass, cache, figures, faults)| {
            let pile = [
                text(backlog.publishers),
                text(backlog.payload_bytes),
                text(backlog.messages),
                maybe(backlog.resident_bytes_before),
            ];
            let pass = pass_columns(pass, cache, figures);
            let head = of.subject().into_iter().chain(pile);
            head.chain(pass).chain(fault_columns(faults)).collect()
        })
    });
    let names = SUBJECT_COLUMNS.into_iter().chain(BACKLOG_COLUMNS);
    write_rows("backlogs.csv", names, rows, out)
}

fn write_restarts(record: &RunRecord, out: impl Write) -> Result<(), MeasureError> {
    let rows = Of::each(record, |broker| &broker.restarts).flat_map(|of| {
        let restart = of.result;
        restart.ready_ns.iter().enumerate().map(move |(round, ready_ns)| {
            let figures = [
                text(restart.stop),
                text(restart.payload_bytes),
                text(restart.messages),
                text(round),
                maybe(restart.stop_ns.get(round)),
                text(ready_ns),
                text(restart.stored_bytes),
                text(restart.resident_bytes_max),
            ];
            let head = of.subject().into_iter().chain(figures);
            head.chain(fault_columns(Some(restart.faults))).collect()
        })
    });
    let names = SUBJECT_COLUMNS.into_iter().chain(RESTART_COLUMNS);
    write_rows("restarts.csv", names, rows, out)
}

const BACKLOG_COLUMNS: [&str; 16] = [
    "publishers",
    "payload_bytes",
    "backlog_messages",
    "resident_bytes_before",
    // "build" or "drain".
    "pass",
    // Empty for a build.
    "cache",
    "messages",
    "duration_ns",
    "per_s",
    "bytes_per_s",
    "resident_bytes_max",
    "ratio_to_disk",
    "lost",
    "duplicated",
    "reordered",
    "corrupted",
];

const RESTART_COLUMNS: [&str; 12] = [
    "stop",
    "payload_bytes",
    "messages",
    "round",
    "stop_ns",
    "ready_ns",
    // These are over all rounds.
    "stored_bytes",
    "resident_bytes_max",
    "lost",
    "duplicated",
    "reordered",
    "corrupted",
];

fn pass_columns(name: &str, cache: Option<PageCache>, pass: &BacklogPass) -> [String; 8] {
    [
        name.to_owned(),
        maybe(cache),
        text(pass.messages),
        text(pass.duration_ns),
        text(pass.per_s),
        text(pass.bytes_per_s),
        maybe(pass.resident_bytes_max),
        maybe(pass.ratio_to_disk),
    ]
}

/// Four columns, empty where nothing was delivered.
fn fault_columns(faults: Option<DeliveryFaults>) -> [String; 4] {
    let counts = match faults {
        None => [None; 4],
        Some(DeliveryFaults { lost, duplicated, reordered, corrupted }) => {
            [lost, duplicated, reordered, corrupted].map(Some)
        }
    };
    counts.map(maybe)
}
