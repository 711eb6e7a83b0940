//! Backlogs and restarts as flat CSV tables.

use std::io::Write;

use crate::tables::write_rows;
use crate::{BacklogPass, DeliveryFaults, MeasureError, PageCache, RunRecord};

/// Writes a row for each broker, backlog and pass over it, under a header.
///
/// # Errors
/// [`MeasureError::Encode`] if the writer fails.
pub fn write_backlogs_csv(record: &RunRecord, out: impl Write) -> Result<(), MeasureError> {
    let rows = record.brokers.iter().flat_map(|broker| {
        broker.backlogs.iter().flat_map(move |backlog| {
            let build = ("build", None, &backlog.build, None);
            let drains = backlog
                .drains
                .iter()
                .map(|drain| ("drain", Some(drain.cache), &drain.pass, Some(drain.faults)));
            std::iter::once(build).chain(drains).map(move |(pass, cache, figures, faults)| {
                let subject = (&broker.name, broker.kind, &broker.driver, broker.guarantee.name());
                let backlog = (
                    backlog.publishers,
                    backlog.payload_bytes,
                    backlog.messages,
                    backlog.resident_bytes_before,
                );
                (subject, backlog, pass_columns(pass, cache, figures), fault_columns(faults))
            })
        })
    });
    write_rows("backlogs.csv", &BACKLOG_COLUMNS, rows, out)
}

/// Writes a row for each broker, restart and round, under a header.
///
/// # Errors
/// [`MeasureError::Encode`] if the writer fails.
pub fn write_restarts_csv(record: &RunRecord, out: impl Write) -> Result<(), MeasureError> {
    let rows = record.brokers.iter().flat_map(|broker| {
        broker.restarts.iter().flat_map(move |restart| {
            restart.ready_ns.iter().enumerate().map(move |(round, ready_ns)| {
                let subject = (&broker.name, broker.kind, &broker.driver, broker.guarantee.name());
                let backlog = (restart.stop, restart.payload_bytes, restart.messages);
                let times = (round, restart.stop_ns.get(round), ready_ns);
                let sizes = (restart.stored_bytes, restart.resident_bytes_max);
                (subject, backlog, times, sizes, fault_columns(Some(restart.faults)))
            })
        })
    });
    write_rows("restarts.csv", &RESTART_COLUMNS, rows, out)
}

const BACKLOG_COLUMNS: [&str; 20] = [
    "broker",
    "kind",
    "driver",
    "guarantee",
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

const RESTART_COLUMNS: [&str; 16] = [
    "broker",
    "kind",
    "driver",
    "guarantee",
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

type PassColumns = (&'static str, Option<PageCache>, u64, u64, f64, f64, Option<u64>, Option<f64>);

fn pass_columns(name: &'static str, cache: Option<PageCache>, pass: &BacklogPass) -> PassColumns {
    (
        name,
        cache,
        pass.messages,
        pass.duration_ns,
        pass.per_s,
        pass.bytes_per_s,
        pass.resident_bytes_max,
        pass.ratio_to_disk,
    )
}

/// Four columns, empty where nothing was delivered.
fn fault_columns(faults: Option<DeliveryFaults>) -> [Option<u64>; 4] {
    match faults {
        None => [None; 4],
        Some(DeliveryFaults { lost, duplicated, reordered, corrupted }) => {
            [lost, duplicated, reordered, corrupted].map(Some)
        }
    }
}
