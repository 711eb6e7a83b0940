//! Operations, streams and resources as flat CSV tables, for spreadsheets and data frames.

use std::io::Write;

use serde::Serialize;

use crate::{BrokerKind, Latency, LatencySummary, MeasureError, RunRecord, StreamResult};

/// Writes a row for each broker, operation and number of clients, under a header.
///
/// # Errors
/// [`MeasureError::Encode`] if the writer fails.
pub fn write_operations_csv(record: &RunRecord, out: impl Write) -> Result<(), MeasureError> {
    let rows = record.brokers.iter().flat_map(|broker| {
        broker.operations.iter().map(|result| OperationRow {
            broker: &broker.name,
            kind: broker.kind,
            driver: &broker.driver,
            guarantee: broker.guarantee.name(),
            operation: result.operation.as_str(),
            clients: result.clients,
            count: result.count,
            errors: result.errors,
            duration_ns: result.duration_ns,
            throughput_per_s: result.throughput_per_s,
            latency: LatencyColumns::of_summary(&result.latency),
            histogram: result.histogram.as_str(),
        })
    });
    write_rows("operations.csv", &OPERATION_COLUMNS, rows, out)
}

/// Writes a row for each broker and stream, under a header.
///
/// # Errors
/// [`MeasureError::Encode`] if the writer fails.
pub fn write_streams_csv(record: &RunRecord, out: impl Write) -> Result<(), MeasureError> {
    let rows = record.brokers.iter().flat_map(|broker| {
        broker.streams.iter().map(|result| StreamRow {
            broker: &broker.name,
            kind: broker.kind,
            driver: &broker.driver,
            guarantee: broker.guarantee.name(),
            publishers: result.shape.publishers,
            subscribers: result.shape.subscribers,
            payload_bytes: result.payload_bytes,
            load_per_s: result.load.offered_per_s(),
            messages_sent: result.messages_sent,
            messages_expected: result.messages_expected,
            messages_received: result.messages_received,
            lost: result.lost,
            duplicated: result.duplicated,
            reordered: result.reordered,
            corrupted: result.corrupted,
            duration_ns: result.duration_ns,
            sent_per_s: result.sent_per_s,
            delivered_per_s: result.delivered_per_s,
            delivered_bytes_per_s: result.delivered_bytes_per_s,
            ratio_to_ceiling: result.ratio_to_ceiling,
            latency: LatencyColumns::of(result.latencies.delivery()),
            histogram: result.latencies.delivery().map(|latency| latency.histogram.as_str()),
            acknowledged: AcknowledgedColumns::of(result),
        })
    });
    write_rows("streams.csv", &STREAM_COLUMNS, rows, out)
}

/// Writes a row for each broker and resource sample, under a header.
///
/// # Errors
/// [`MeasureError::Encode`] if the writer fails.
pub fn write_resources_csv(record: &RunRecord, out: impl Write) -> Result<(), MeasureError> {
    let rows = record.brokers.iter().flat_map(|broker| {
        broker.resources.iter().map(|sample| {
            (
                &broker.name,
                sample.t_ns,
                sample.cpu_user_ns,
                sample.cpu_system_ns,
                sample.resident_bytes,
                sample.threads,
            )
        })
    });
    write_rows("resources.csv", &RESOURCE_COLUMNS, rows, out)
}

const OPERATION_COLUMNS: [&str; 20] = [
    "broker",
    "kind",
    "driver",
    "guarantee",
    "operation",
    "clients",
    "count",
    "errors",
    "duration_ns",
    "throughput_per_s",
    "latency_count",
    "mean_ns",
    "min_ns",
    "p50_ns",
    "p90_ns",
    "p99_ns",
    "p99_9_ns",
    "p99_99_ns",
    "max_ns",
    "histogram",
];

const STREAM_COLUMNS: [&str; 38] = [
    "broker",
    "kind",
    "driver",
    "guarantee",
    "publishers",
    "subscribers",
    "payload_bytes",
    // Empty where the stream was saturating.
    "load_per_s",
    "messages_sent",
    "messages_expected",
    "messages_received",
    "lost",
    "duplicated",
    "reordered",
    "corrupted",
    "duration_ns",
    "sent_per_s",
    "delivered_per_s",
    "delivered_bytes_per_s",
    "ratio_to_ceiling",
    "latency_count",
    "mean_ns",
    "min_ns",
    "p50_ns",
    "p90_ns",
    "p99_ns",
    "p99_9_ns",
    "p99_99_ns",
    "max_ns",
    "histogram",
    // These are empty where the publishers wanted no acknowledgements.
    "acks_in_flight",
    "acknowledged",
    "acknowledged_per_s",
    "acknowledged_bytes_per_s",
    "ack_p50_ns",
    "ack_p99_ns",
    "ack_p99_9_ns",
    "ratio_to_disk",
];

const RESOURCE_COLUMNS: [&str; 6] =
    ["broker", "t_ns", "cpu_user_ns", "cpu_system_ns", "resident_bytes", "threads"];

#[derive(Serialize)]
struct OperationRow<'a> {
    broker: &'a str,
    kind: BrokerKind,
    driver: &'a str,
    guarantee: &'a str,
    operation: &'a str,
    clients: u32,
    count: u64,
    errors: u64,
    duration_ns: u64,
    throughput_per_s: f64,
    latency: LatencyColumns,
    histogram: &'a str,
}

#[derive(Serialize)]
struct StreamRow<'a> {
    broker: &'a str,
    kind: BrokerKind,
    driver: &'a str,
    guarantee: &'a str,
    publishers: u32,
    subscribers: u32,
    payload_bytes: u64,
    load_per_s: Option<f64>,
    messages_sent: u64,
    messages_expected: u64,
    messages_received: u64,
    lost: u64,
    duplicated: u64,
    reordered: u64,
    corrupted: u64,
    duration_ns: u64,
    sent_per_s: f64,
    delivered_per_s: f64,
    delivered_bytes_per_s: f64,
    ratio_to_ceiling: Option<f64>,
    latency: LatencyColumns,
    histogram: Option<&'a str>,
    acknowledged: AcknowledgedColumns,
}

#[derive(Default, Serialize)]
struct AcknowledgedColumns {
    acks_in_flight: Option<u32>,
    acknowledged: Option<u64>,
    acknowledged_per_s: Option<f64>,
    acknowledged_bytes_per_s: Option<f64>,
    ack_p50_ns: Option<u64>,
    ack_p99_ns: Option<u64>,
    ack_p99_9_ns: Option<u64>,
    ratio_to_disk: Option<f64>,
}

impl AcknowledgedColumns {
    fn of(stream: &StreamResult) -> Self {
        let Some(acknowledged) = &stream.acknowledged else { return Self::default() };
        let latency = stream.latencies.acknowledgement.as_ref().map(|latency| &latency.summary);
        Self {
            acks_in_flight: Some(acknowledged.in_flight),
            acknowledged: Some(acknowledged.messages),
            acknowledged_per_s: Some(acknowledged.per_s),
            acknowledged_bytes_per_s: Some(acknowledged.bytes_per_s),
            ack_p50_ns: latency.and_then(|latency| latency.p50_ns),
            ack_p99_ns: latency.and_then(|latency| latency.p99_ns),
            ack_p99_9_ns: latency.and_then(|latency| latency.p99_9_ns),
            ratio_to_disk: acknowledged.ratio_to_disk,
        }
    }
}

#[derive(Default, Serialize)]
struct LatencyColumns {
    latency_count: Option<u64>,
    mean_ns: Option<f64>,
    min_ns: Option<u64>,
    p50_ns: Option<u64>,
    p90_ns: Option<u64>,
    p99_ns: Option<u64>,
    p99_9_ns: Option<u64>,
    p99_99_ns: Option<u64>,
    max_ns: Option<u64>,
}

impl LatencyColumns {
    fn of(latency: Option<&Latency>) -> Self {
        latency.map_or_else(Self::default, |latency| Self::of_summary(&latency.summary))
    }

    fn of_summary(summary: &LatencySummary) -> Self {
        Self {
            latency_count: Some(summary.count),
            mean_ns: summary.mean_ns,
            min_ns: summary.min_ns,
            p50_ns: summary.p50_ns,
            p90_ns: summary.p90_ns,
            p99_ns: summary.p99_ns,
            p99_9_ns: summary.p99_9_ns,
            p99_99_ns: summary.p99_99_ns,
            max_ns: summary.max_ns,
        }
    }
}

/// Writes the header even above no rows, so that an empty table still says what it would hold.
pub(crate) fn write_rows<R: Serialize>(
    table: &str,
    columns: &[&str],
    rows: impl Iterator<Item = R>,
    out: impl Write,
) -> Result<(), MeasureError> {
    let failed = |error: &dyn ToString| MeasureError::encode(table, &error.to_string());
    // The derived header cannot see through the nested latency columns, hence the explicit one.
    let mut writer = csv::WriterBuilder::new().has_headers(false).from_writer(out);
    writer.write_record(columns).map_err(|error| failed(&error))?;
    for row in rows {
        writer.serialize(row).map_err(|error| failed(&error))?;
    }
    writer.flush().map_err(|error| failed(&error))
}
