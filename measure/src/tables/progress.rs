//! Rounds, progress, resources over time, the generator's threads, and pairs with faults.

use std::io::Write;

use super::{Column, Of, SUBJECT_COLUMNS, Table, maybe, text, write_results, write_rows};
use crate::{MeasureError, ResourceSample, RunRecord, TimelinePoint};

pub(super) const ROUNDS: Table = Table {
    file_name: "rounds.csv",
    row: "each repeat of each stream and operation",
    write: |record, out| write_rounds(record, out),
};

pub(super) const TIMELINE: Table = Table {
    file_name: "timeline.csv",
    row: "each interval of each stream and outage",
    write: |record, out| write_timeline(record, out),
};

pub(super) const RESOURCES: Table = Table {
    file_name: "resources.csv",
    row: "each sample of each broker's process",
    write: |record, out| {
        let rows = Of::each(record, |broker| &broker.resources);
        write_results("resources.csv", &RESOURCE_COLUMNS, rows, out)
    },
};

pub(super) const GENERATOR: Table = Table {
    file_name: "generator.csv",
    row: "each thread of the load generator in each stream",
    write: |record, out| {
        let names = SUBJECT_COLUMNS.into_iter().chain(["cell", "thread", "cpu_ns", "busy"]);
        let rows = Of::each(record, |broker| &broker.streams).flat_map(|of| {
            of.result.generator.threads.iter().map(move |thread| {
                let cell = of.result.label.clone();
                let figures = [cell, thread.name.clone(), text(thread.cpu_ns), text(thread.busy)];
                of.subject().into_iter().chain(figures).collect()
            })
        });
        write_rows("generator.csv", names, rows, out)
    },
};

pub(super) const PAIR_FAULTS: Table = Table {
    file_name: "faults.csv",
    row: "each pair of publisher and subscriber with faults",
    write: |record, out| {
        let names = SUBJECT_COLUMNS.into_iter().chain(PAIR_COLUMNS);
        let rows = Of::each(record, |broker| &broker.streams).flat_map(|of| {
            of.result.pairs.iter().map(move |pair| {
                let ends = [of.result.label.clone(), text(pair.producer), text(pair.subscriber)];
                let counts =
                    [pair.lost, pair.duplicated, pair.reordered, pair.corrupted, pair.late];
                of.subject().into_iter().chain(ends).chain(counts.map(text)).collect()
            })
        });
        write_rows("faults.csv", names, rows, out)
    },
};

const PAIR_COLUMNS: [&str; 8] =
    ["cell", "producer", "subscriber", "lost", "duplicated", "reordered", "corrupted", "late"];

const RESOURCE_COLUMNS: [Column<ResourceSample>; 5] = [
    ("t_ns", |it| text(it.t_ns)),
    ("cpu_user_ns", |it| text(it.cpu_user_ns)),
    ("cpu_system_ns", |it| text(it.cpu_system_ns)),
    ("resident_bytes", |it| text(it.resident_bytes)),
    ("threads", |it| text(it.threads)),
];

const ROUND_COLUMNS: [&str; 14] = [
    "cell",
    "round",
    "standing",
    // Requests per second in an operation's rows.
    "delivered_per_s",
    "sent_per_s",
    "acknowledged_per_s",
    "service_p50_ns",
    "service_p99_ns",
    "response_p50_ns",
    "response_p99_ns",
    // From request to answer in an operation's rows.
    "acknowledgement_p50_ns",
    "acknowledgement_p99_ns",
    "cpu_us_each",
    "resident_bytes_max",
];

fn write_rounds(record: &RunRecord, out: impl Write) -> Result<(), MeasureError> {
    let names = SUBJECT_COLUMNS.into_iter().chain(ROUND_COLUMNS);
    let streams = Of::each(record, |broker| &broker.streams).flat_map(|of| {
        of.result.rounds.iter().enumerate().map(move |(index, round)| {
            let head = [of.result.label.clone(), text(index), text(round.verdict)];
            let figures = [
                round.delivered_per_s,
                round.sent_per_s,
                round.acknowledged_per_s,
                round.service_p50_ns,
                round.service_p99_ns,
                round.response_p50_ns,
                round.response_p99_ns,
                round.acknowledgement_p50_ns,
                round.acknowledgement_p99_ns,
                round.cpu_us_per_delivery,
                round.resident_bytes_max,
            ];
            of.subject().into_iter().chain(head).chain(figures.map(maybe)).collect()
        })
    });
    let operations = Of::each(record, |broker| &broker.operations).flat_map(|of| {
        of.result.rounds.iter().enumerate().map(move |(index, round)| {
            let cell = format!("{}, {} clients", of.result.operation, of.result.clients);
            let head = [cell, text(index), text(round.verdict)];
            let mut figures = [None; 11];
            (figures[0], figures[9]) = (round.throughput_per_s, round.cpu_us_per_operation);
            (figures[7], figures[8]) = (round.p50_ns, round.p99_ns);
            of.subject().into_iter().chain(head).chain(figures.map(maybe)).collect()
        })
    });
    write_rows("rounds.csv", names, streams.chain(operations), out)
}

const TIMELINE_COLUMNS: [&str; 8] = [
    "cell",
    "t_ns",
    "interval_ns",
    "sent",
    "delivered",
    "errors",
    "response_p50_ns",
    "response_p99_ns",
];

fn write_timeline(record: &RunRecord, out: impl Write) -> Result<(), MeasureError> {
    let names = SUBJECT_COLUMNS.into_iter().chain(TIMELINE_COLUMNS);
    let streams = Of::each(record, |broker| &broker.streams).flat_map(|of| {
        let points = of.result.timeline.iter();
        points.map(move |point| timeline_row(of.subject(), of.result.label.clone(), point))
    });
    let outages = Of::each(record, |broker| &broker.outages).flat_map(|of| {
        let points = of.result.timeline.iter();
        points.map(move |point| {
            timeline_row(of.subject(), format!("outage, {}", of.result.stop), point)
        })
    });
    write_rows("timeline.csv", names, streams.chain(outages), out)
}

fn timeline_row(subject: [String; 4], cell: String, point: &TimelinePoint) -> Vec<String> {
    let counts = [point.t_ns, point.interval_ns, point.sent, point.delivered, point.errors];
    let percentiles = [point.response_p50_ns, point.response_p99_ns].map(maybe);
    subject.into_iter().chain([cell]).chain(counts.map(text)).chain(percentiles).collect()
}
