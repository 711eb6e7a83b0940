//! Streams, operations, and the figures of every latency histogram.

use std::io::Write;

use super::{Column, Of, SUBJECT_COLUMNS, Table, maybe, text, write_results, write_rows};
use crate::{
    Acknowledged, CellResources, LatencySummary, MeasureError, OperationResult, RunRecord,
    StreamResult,
};

pub(super) const STREAMS: Table = Table {
    file_name: "streams.csv",
    row: "each stream of each broker",
    write: |record, out| {
        let rows = Of::each(record, |broker| &broker.streams);
        write_results("streams.csv", &STREAM_COLUMNS, rows, out)
    },
};

pub(super) const OPERATIONS: Table = Table {
    file_name: "operations.csv",
    row: "each operation of each broker at each number of clients",
    write: |record, out| {
        let rows = Of::each(record, |broker| &broker.operations);
        write_results("operations.csv", &OPERATION_COLUMNS, rows, out)
    },
};

pub(super) const LATENCIES: Table = Table {
    file_name: "latencies.csv",
    row: "each latency histogram of each measurement",
    write: |record, out| write_latencies(record, out),
};

const STREAM_COLUMNS: [Column<StreamResult>; 49] = [
    ("label", |it| it.label.clone()),
    ("publishers", |it| text(it.shape.publishers)),
    ("subscribers", |it| text(it.shape.subscribers)),
    ("topics", |it| text(it.topics)),
    ("wildcard", |it| text(it.wildcard)),
    ("slow_subscribers", |it| text(it.slow_subscribers)),
    ("churn_comings", |it| maybe(it.churn.map(|churn| churn.comings))),
    ("churn_failures", |it| maybe(it.churn.map(|churn| churn.failures))),
    ("payload_bytes", |it| text(it.payload_bytes)),
    ("load", |it| text(&it.load)),
    ("offered_per_s", |it| maybe(it.offered_per_s)),
    ("standing", |it| text(it.verdict.standing)),
    ("reasons", |it| it.verdict.reasons.join("; ")),
    ("messages_sent", |it| text(it.messages_sent)),
    ("late_sends", |it| text(it.late_sends)),
    ("messages_expected", |it| text(it.messages_expected)),
    ("messages_received", |it| text(it.messages_received)),
    ("lost", |it| text(it.lost)),
    ("duplicated", |it| text(it.duplicated)),
    ("reordered", |it| text(it.reordered)),
    ("corrupted", |it| text(it.corrupted)),
    ("late", |it| text(it.late)),
    ("duration_ns", |it| text(it.duration_ns)),
    ("sent_per_s", |it| text(it.sent_per_s)),
    ("delivered_per_s", |it| text(it.delivered_per_s)),
    ("delivered_bytes_per_s", |it| text(it.delivered_bytes_per_s)),
    ("ratio_to_ceiling", |it| maybe(it.ratio_to_ceiling)),
    ("acks_in_flight", |it| of_acks(it, |acks| text(acks.in_flight))),
    ("acknowledged", |it| of_acks(it, |acks| text(acks.messages))),
    ("acknowledged_per_s", |it| of_acks(it, |acks| text(acks.per_s))),
    ("acknowledged_bytes_per_s", |it| of_acks(it, |acks| text(acks.bytes_per_s))),
    ("ratio_to_disk", |it| of_acks(it, |acks| maybe(acks.ratio_to_disk))),
    ("clock_errors", |it| text(it.latencies.clock_errors)),
    // The latency to compare brokers by; latencies.csv has all of them.
    ("headline_p50_ns", |it| headline(it, |latency| latency.p50_ns)),
    ("headline_p99_ns", |it| headline(it, |latency| latency.p99_ns)),
    ("headline_p99_9_ns", |it| headline(it, |latency| latency.p99_9_ns)),
    ("headline_max_ns", |it| headline(it, |latency| latency.max_ns)),
    ("histogram", |it| maybe(it.headline().map(|latency| &latency.histogram))),
    ("cpu_user_ns", |it| of_broker(it, |used| text(used.cpu_user_ns))),
    ("cpu_system_ns", |it| of_broker(it, |used| text(used.cpu_system_ns))),
    ("cpu_us_per_delivery", |it| of_broker(it, |used| maybe(used.cpu_us_per_delivery))),
    ("resident_bytes_max", |it| of_broker(it, |used| text(used.resident_bytes_max))),
    ("threads_max", |it| of_broker(it, |used| text(used.threads_max))),
    ("file_descriptors_max", |it| of_broker(it, |used| maybe(used.file_descriptors_max))),
    ("disk_written_bytes", |it| of_broker(it, |used| maybe(used.disk_written_bytes))),
    ("disk_flushes", |it| of_broker(it, |used| maybe(used.disk_flushes))),
    ("generator_busiest", |it| maybe(it.generator.busiest().map(|thread| thread.busy))),
    ("generator_steal", |it| text(it.generator.steal)),
    ("generator_ceiling_per_s", |it| maybe(it.generator.ceiling_per_s)),
];

const OPERATION_COLUMNS: [Column<OperationResult>; 21] = [
    ("operation", |it| text(&it.operation)),
    ("clients", |it| text(it.clients)),
    ("standing", |it| text(it.verdict.standing)),
    ("reasons", |it| it.verdict.reasons.join("; ")),
    ("count", |it| text(it.count)),
    ("errors", |it| text(it.errors)),
    ("duration_ns", |it| text(it.duration_ns)),
    ("throughput_per_s", |it| text(it.throughput_per_s)),
    ("latency_count", |it| text(it.latency.count)),
    ("mean_ns", |it| maybe(it.latency.mean_ns)),
    ("min_ns", |it| maybe(it.latency.min_ns)),
    ("p50_ns", |it| maybe(it.latency.p50_ns)),
    ("p90_ns", |it| maybe(it.latency.p90_ns)),
    ("p99_ns", |it| maybe(it.latency.p99_ns)),
    ("p99_9_ns", |it| maybe(it.latency.p99_9_ns)),
    ("p99_99_ns", |it| maybe(it.latency.p99_99_ns)),
    ("max_ns", |it| maybe(it.latency.max_ns)),
    ("histogram", |it| text(&it.histogram)),
    ("cpu_user_ns", |it| maybe(it.resources.as_ref().map(|used| used.cpu_user_ns))),
    ("cpu_system_ns", |it| maybe(it.resources.as_ref().map(|used| used.cpu_system_ns))),
    ("resident_bytes_max", |it| maybe(it.resources.as_ref().map(|used| used.resident_bytes_max))),
];

fn of_acks(stream: &StreamResult, field: impl Fn(&Acknowledged) -> String) -> String {
    stream.acknowledged.as_ref().map(field).unwrap_or_default()
}

fn of_broker(stream: &StreamResult, field: impl Fn(&CellResources) -> String) -> String {
    stream.resources.as_ref().map(field).unwrap_or_default()
}

fn headline(stream: &StreamResult, figure: impl Fn(&LatencySummary) -> Option<u64>) -> String {
    maybe(stream.headline().and_then(|latency| figure(&latency.summary)))
}

/// The figures of one histogram.
const SUMMARY_COLUMNS: [Column<LatencySummary>; 10] = [
    ("count", |it| text(it.count)),
    ("saturated", |it| text(it.saturated)),
    ("mean_ns", |it| maybe(it.mean_ns)),
    ("min_ns", |it| maybe(it.min_ns)),
    ("p50_ns", |it| maybe(it.p50_ns)),
    ("p90_ns", |it| maybe(it.p90_ns)),
    ("p99_ns", |it| maybe(it.p99_ns)),
    ("p99_9_ns", |it| maybe(it.p99_9_ns)),
    ("p99_99_ns", |it| maybe(it.p99_99_ns)),
    ("max_ns", |it| maybe(it.max_ns)),
];

fn write_latencies(record: &RunRecord, out: impl Write) -> Result<(), MeasureError> {
    let names = SUBJECT_COLUMNS.into_iter().chain(["cell", "latency"]);
    let names = names.chain(SUMMARY_COLUMNS.iter().map(|(name, _)| *name)).chain(["histogram"]);
    let row = |subject: [String; 4], cell: String, name: &str, summary, tag: String| {
        let figures = SUMMARY_COLUMNS.iter().map(|(_, figure)| figure(summary));
        let head = subject.into_iter().chain([cell, name.to_owned()]);
        head.chain(figures).chain([tag]).collect::<Vec<_>>()
    };
    let operations = Of::each(record, |broker| &broker.operations).map(|of| {
        let OperationResult { operation, clients, latency, histogram, .. } = of.result;
        let cell = format!("{operation}, {clients} clients");
        row(of.subject(), cell, "operation", latency, text(histogram))
    });
    let streams = Of::each(record, |broker| &broker.streams).flat_map(|of| {
        of.result.latencies.iter().map(move |(name, latency)| {
            let (cell, tag) = (of.result.label.clone(), text(&latency.histogram));
            row(of.subject(), cell, name, &latency.summary, tag)
        })
    });
    let storms = Of::each(record, |broker| &broker.storms).map(|of| {
        let (cell, latency) = (format!("storm of {}", of.result.connections), &of.result.handshake);
        row(of.subject(), cell, "handshake", &latency.summary, text(&latency.histogram))
    });
    write_rows("latencies.csv", names, operations.chain(streams).chain(storms), out)
}
