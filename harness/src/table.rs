//! The summary that is printed when a run is over.

use crate::load::Phase;
use crate::run::phase_label;
use comfy_table::{CellAlignment, Table, presets};
use measure::{
    BrokerRun, LatencySummary, OperationResult, ResourceSample, RunRecord, StreamResult,
};
use std::collections::BTreeMap;

/// What stands where nothing was measured.
const NOT_MEASURED: &str = "–";

/// The record as tables of text: operations, then streams, brokers side by side.
///
/// `ceiling_driver` is the driver of the broker that the others are put in relation to.
#[must_use]
pub fn summary(record: &RunRecord, ceiling_driver: &str) -> String {
    let ceiling = record.brokers.iter().find(|broker| broker.driver == ceiling_driver);
    let mut parts = Vec::new();
    parts.extend(operations_table(record, ceiling));
    parts.extend(streams_table(record));
    for skipped in &record.skipped {
        parts.push(format!("skipped: {}: {}", skipped.name, skipped.reason));
    }
    for warning in &record.warnings {
        parts.push(format!("warning: {warning}"));
    }
    parts.join("\n")
}

/// Rows that brokers have in common, in the order of their first appearance.
struct Rows {
    order: BTreeMap<Vec<String>, usize>,
    heads: Vec<Vec<String>>,
}

impl Rows {
    fn of(heads: impl Iterator<Item = Vec<String>>) -> Self {
        let mut rows = Self { order: BTreeMap::new(), heads: Vec::new() };
        for head in heads {
            if !rows.order.contains_key(&head) {
                rows.order.insert(head.clone(), rows.heads.len());
                rows.heads.push(head);
            }
        }
        rows
    }

    /// Lays out `columns`, each a broker's name and its cells by the head of their row.
    fn table(
        self,
        head_names: &[&str],
        columns: &[(&str, BTreeMap<Vec<String>, String>)],
    ) -> Table {
        let mut table = Table::new();
        table.load_style(presets::UTF8_FULL);
        let names = columns.iter().map(|(name, _)| *name);
        table.set_header(head_names.iter().copied().chain(names));
        for head in self.heads {
            let cells: Vec<String> = columns
                .iter()
                .map(|(_, cells)| {
                    cells.get(&head).cloned().unwrap_or_else(|| NOT_MEASURED.to_owned())
                })
                .collect();
            table.add_row(head.into_iter().chain(cells));
        }
        for column in table.column_iter_mut().skip(head_names.len()) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        table
    }
}

fn operations_table(record: &RunRecord, ceiling: Option<&BrokerRun>) -> Option<String> {
    let head =
        |result: &OperationResult| vec![result.operation.to_string(), result.clients.to_string()];
    let brokers: Vec<_> = record.brokers.iter().filter(|b| !b.operations.is_empty()).collect();
    if brokers.is_empty() {
        return None;
    }
    let ceilings: BTreeMap<_, _> = ceiling
        .iter()
        .flat_map(|broker| &broker.operations)
        .map(|result| (head(result), result.throughput_per_s))
        .collect();
    let columns: Vec<_> = brokers
        .iter()
        .map(|broker| {
            let cells = broker.operations.iter().map(|result| {
                let ratio = ceilings.get(&head(result)).map(|c| result.throughput_per_s / c);
                (head(result), operation_cell(result, ratio))
            });
            (broker.name.as_str(), cells.collect())
        })
        .collect();
    let rows = Rows::of(brokers.iter().flat_map(|broker| broker.operations.iter().map(head)));
    let table = rows.table(&["operation", "clients"], &columns);
    Some(format!("Operations: rate (× byte pipe), p50 / p99, errors\n{table}\n"))
}

fn operation_cell(result: &OperationResult, ratio: Option<f64>) -> String {
    let mut lines =
        vec![rate_and_ratio(result.throughput_per_s, ratio), percentiles(&result.latency)];
    if result.errors > 0 {
        lines.push(format!("{} errors", result.errors));
    }
    lines.join("\n")
}

fn streams_table(record: &RunRecord) -> Option<String> {
    let head = |result: &StreamResult| {
        vec![
            result.shape.to_string(),
            format!("{} B", result.payload_bytes),
            result.load.to_string(),
        ]
    };
    let brokers: Vec<_> = record.brokers.iter().filter(|b| !b.streams.is_empty()).collect();
    if brokers.is_empty() {
        return None;
    }
    let columns: Vec<_> = brokers
        .iter()
        .map(|broker| {
            let cells =
                broker.streams.iter().map(|result| (head(result), stream_cell(broker, result)));
            (broker.name.as_str(), cells.collect())
        })
        .collect();
    let rows = Rows::of(brokers.iter().flat_map(|broker| broker.streams.iter().map(head)));
    let table = rows.table(&["stream", "payload", "load"], &columns);
    let title = "Streams: deliveries (× byte pipe), p50 / p99, broker CPU a delivery, faults";
    Some(format!("{title}\n{table}\n"))
}

fn stream_cell(broker: &BrokerRun, result: &StreamResult) -> String {
    let mut lines = vec![
        rate_and_ratio(result.delivered_per_s, result.ratio_to_ceiling),
        percentiles(&result.latency),
    ];
    if let Some(cpu_ns) = cpu_ns_of_stream(broker, result)
        && result.messages_received > 0
    {
        let each_us = cpu_ns as f64 / 1e3 / result.messages_received as f64;
        lines.push(format!("CPU {each_us:.3} µs"));
    }
    let faults = [
        (result.lost, "lost"),
        (result.duplicated, "duplicated"),
        (result.reordered, "reordered"),
        (result.corrupted, "corrupted"),
    ];
    lines.extend(
        faults
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, what)| format!("{count} {what}")),
    );
    lines.join("\n")
}

/// Processor time of the broker between the marks of the stream's beginning and end, over all
/// rounds.
fn cpu_ns_of_stream(broker: &BrokerRun, result: &StreamResult) -> Option<u64> {
    let label = format!("stream {}, {} B, {}", result.shape, result.payload_bytes, result.load);
    let used_at = |wanted: String| {
        let marks = broker.marks.iter().filter(move |mark| mark.label == wanted);
        marks.filter_map(|mark| {
            let sample = broker.resources.iter().find(|sample| sample.t_ns == mark.t_ns)?;
            Some(cpu_ns(sample))
        })
    };
    let starts = used_at(phase_label(&label, Phase::Measured));
    let ends = used_at(phase_label(&label, Phase::Over));
    starts.zip(ends).map(|(start, end)| end.saturating_sub(start)).reduce(|sum, next| sum + next)
}

fn cpu_ns(sample: &ResourceSample) -> u64 {
    sample.cpu_user_ns + sample.cpu_system_ns
}

fn rate_and_ratio(rate_per_s: f64, ratio: Option<f64>) -> String {
    let rate = format!("{}/s", with_prefix(rate_per_s, &[(1e6, " M"), (1e3, " k"), (1.0, " ")]));
    match ratio {
        Some(ratio) => format!("{rate} ({ratio:.2}×)"),
        None => rate,
    }
}

fn percentiles(latency: &LatencySummary) -> String {
    let shown = |latency_ns: Option<u64>| match latency_ns {
        Some(latency_ns) => {
            let units = [(1e9, " s"), (1e6, " ms"), (1e3, " µs"), (1.0, " ns")];
            with_prefix(latency_ns as f64, &units)
        }
        // Too few samples lie beyond it to speak of a percentile.
        None => NOT_MEASURED.to_owned(),
    };
    format!("{} / {}", shown(latency.p50_ns), shown(latency.p99_ns))
}

/// Three significant digits in the largest unit that the value reaches.
fn with_prefix(value: f64, units: &[(f64, &str)]) -> String {
    let smallest = units.last().copied().unwrap_or((1.0, ""));
    let (scale, unit) =
        units.iter().copied().find(|(scale, _)| value >= *scale).unwrap_or(smallest);
    let scaled = value / scale;
    let digits = match scaled {
        _ if scaled >= 99.95 => 0,
        _ if scaled >= 9.995 => 1,
        _ => 2,
    };
    format!("{scaled:.digits$}{unit}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use measure::{
        BrokerKind, FORMAT_VERSION, HistogramTag, LatencyHistogram, MachineFacts, OperationName,
        PhaseMark, SkippedBroker, StreamLoad, StreamShape,
    };

    fn latency(p50_us: u64, p99_us: u64) -> LatencySummary {
        let mut histogram = LatencyHistogram::new();
        histogram.record_ns_n(p50_us * 1000, 9_800);
        histogram.record_ns_n(p99_us * 1000, 200);
        histogram.summary()
    }

    fn operation(clients: u32, throughput_per_s: f64, errors: u64) -> OperationResult {
        OperationResult {
            operation: OperationName::PUBLISH,
            clients,
            count: 10_000,
            errors,
            duration_ns: 1_000_000_000,
            throughput_per_s,
            latency: latency(24, 1_040),
            histogram: HistogramTag::new("t"),
        }
    }

    fn stream(delivered_per_s: f64, lost: u64, ratio_to_ceiling: Option<f64>) -> StreamResult {
        StreamResult {
            shape: StreamShape::new(1, 50),
            payload_bytes: 100,
            load: StreamLoad::Saturating,
            messages_sent: 20_000,
            messages_expected: 1_000_000,
            messages_received: 1_000_000 - lost,
            lost,
            duplicated: 0,
            reordered: 0,
            corrupted: 0,
            duration_ns: 1_000_000_000,
            sent_per_s: 20_000.0,
            delivered_per_s,
            delivered_bytes_per_s: delivered_per_s * 100.0,
            latency: latency(800, 9_700),
            histogram: HistogramTag::new("t"),
            ratio_to_ceiling,
        }
    }

    fn broker(name: &str, driver: &str) -> BrokerRun {
        BrokerRun {
            name: name.to_owned(),
            kind: BrokerKind::Broker,
            version: "0.1.0".to_owned(),
            command_line: vec![],
            driver: driver.to_owned(),
            guarantee: "in memory".to_owned(),
            operations: vec![],
            streams: vec![],
            resources: vec![],
            marks: vec![],
        }
    }

    fn record() -> RunRecord {
        let mut pipe = broker("byte-pipe", "byte-pipe");
        pipe.operations = vec![operation(1, 50_000.0, 0)];
        pipe.streams = vec![stream(9_550_000.0, 0, Some(1.0))];
        let mut tandem = broker("tandem-mio", "tandem-native");
        tandem.operations = vec![operation(1, 41_234.0, 0), operation(50, 85_700.0, 3)];
        tandem.streams = vec![stream(8_130_000.0, 2, Some(0.851))];
        let label = "stream 1→50, 100 B, saturating";
        let marks = [(5, label.to_owned()), (9, format!("{label}, over"))];
        for (t_ns, label) in marks {
            let cpu_user_ns = t_ns * 20_000_000;
            let sample = ResourceSample {
                t_ns,
                cpu_user_ns,
                cpu_system_ns: 0,
                resident_bytes: 1,
                threads: 1,
            };
            tandem.resources.push(sample);
            tandem.marks.push(PhaseMark { t_ns, label });
        }
        let reason = "redis-server is not installed; `apt-get install redis-server` does it";
        RunRecord {
            format_version: FORMAT_VERSION,
            run_id: "r".to_owned(),
            started_at_unix_ms: 0,
            tandem_version: "0.1.0".to_owned(),
            config_name: "c".to_owned(),
            config_toml: String::new(),
            machine: MachineFacts {
                cpu_model: "unknown".to_owned(),
                architecture: "x86_64".to_owned(),
                logical_cores: 2,
                memory_bytes: 1,
                kernel: "Linux".to_owned(),
                os: "unknown".to_owned(),
            },
            brokers: vec![tandem, pipe],
            skipped: vec![SkippedBroker { name: "redis".to_owned(), reason: reason.to_owned() }],
            warnings: vec!["the machine was busy".to_owned()],
        }
    }

    #[test]
    fn brokers_stand_side_by_side_with_their_ratio_to_the_byte_pipe() {
        insta::assert_snapshot!(summary(&record(), "byte-pipe"));
    }

    #[test]
    fn values_have_three_significant_digits() {
        let units = [(1e6, " M"), (1e3, " k"), (1.0, " ")];
        let shown: Vec<_> = [0.0, 1.0, 9.996, 999.4, 1000.0, 41_234.0, 999_600.0, 8.13e6]
            .iter()
            .map(|value| with_prefix(*value, &units))
            .collect();
        assert_eq!(
            shown,
            ["0.00 ", "1.00 ", "10.0 ", "999 ", "1.00 k", "41.2 k", "1000 k", "8.13 M"]
        );
    }
}
