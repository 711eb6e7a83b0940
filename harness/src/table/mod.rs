//! The summary that is printed when a run is over.

mod durable;
mod events;

use comfy_table::{CellAlignment, Table, presets};
use measure::{
    BrokerRun, GuaranteeClass, LatencySummary, OperationResult, RunRecord, Standing, StreamResult,
    Verdict,
};
use std::collections::{BTreeMap, BTreeSet};

/// What stands where nothing was measured.
const NOT_MEASURED: &str = "–";

/// The record as tables of text: operations, streams, and what was kept; brokers side by side.
///
/// `ceiling_drivers` are the drivers of those that the others are put in relation to; in operations
/// to the first of them that ran, and only those whose promise is that ceiling's, if it has any.
#[must_use]
pub fn summary(record: &RunRecord, ceiling_drivers: &[&str]) -> String {
    let ceiling = ceiling_drivers
        .iter()
        .find_map(|driver| record.brokers.iter().find(|broker| broker.driver == *driver));
    let mut parts = Vec::new();
    parts.extend(operations_table(record, ceiling));
    parts.extend(streams_table(record));
    parts.extend(durable::acknowledged_table(record));
    parts.extend(durable::backlogs_table(record));
    parts.extend(durable::restarts_table(record));
    parts.extend(events::knees_table(record));
    parts.extend(events::storms_table(record));
    parts.extend(events::idles_table(record));
    parts.extend(events::outages_table(record));
    parts.extend(durable::places(record));
    for skipped in &record.skipped {
        parts.push(format!("skipped: {}: {}", skipped.name, skipped.reason));
    }
    for warning in &record.warnings {
        parts.push(format!("warning: {warning}"));
    }
    parts.join("\n")
}

/// Brokers side by side in one table, at most.
const COLUMNS_MAX: usize = 6;

/// A broker and its cells, by the head of their row.
type Column<'a> = (&'a BrokerRun, BTreeMap<Vec<String>, String>);

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

    /// Lays out `columns`, each a broker and its cells by the head of their row: side by side where
    /// they have room, else in one table after the other, those that promise the same together. What
    /// the brokers promise is said where they do not all promise the same.
    fn tables(self, head_names: &[&str], columns: &[Column<'_>]) -> String {
        let mut ordered: Vec<&Column<'_>> = columns.iter().collect();
        let guarantees: BTreeSet<GuaranteeClass> =
            columns.iter().map(|(broker, _)| broker.guarantee).collect();
        if ordered.len() > COLUMNS_MAX {
            ordered.sort_by_key(|(broker, _)| broker.guarantee);
        }
        let says_guarantee = guarantees.len() > 1;
        let tables = side_by_side(&ordered)
            .map(|columns| self.table(head_names, columns, says_guarantee).to_string());
        tables.collect::<Vec<_>>().join("\n")
    }

    fn table(&self, head_names: &[&str], columns: &[&Column<'_>], says_guarantee: bool) -> Table {
        let mut table = Table::new();
        table.load_style(presets::UTF8_FULL);
        let names = columns.iter().map(|(broker, _)| match says_guarantee {
            false => broker.name.clone(),
            true => format!("{}\n{}", broker.name, broker.guarantee),
        });
        table.set_header(head_names.iter().map(|name| (*name).to_owned()).chain(names));
        let has_any =
            |head: &&Vec<String>| columns.iter().any(|(_, cells)| cells.contains_key(*head));
        for head in self.heads.iter().filter(has_any) {
            let cells = columns.iter().map(|(_, cells)| {
                cells.get(head).cloned().unwrap_or_else(|| NOT_MEASURED.to_owned())
            });
            table.add_row(head.iter().cloned().chain(cells));
        }
        for column in table.column_iter_mut().skip(head_names.len()) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        table
    }
}

/// As many columns as have room, and no more of them than are of one guarantee where they are many.
fn side_by_side<'a, 'b>(
    columns: &'a [&'b Column<'b>],
) -> impl Iterator<Item = &'a [&'b Column<'b>]> {
    let is_many = columns.len() > COLUMNS_MAX;
    columns
        .chunk_by(move |(left, _), (right, _)| !is_many || left.guarantee == right.guarantee)
        .flat_map(|alike| alike.chunks(COLUMNS_MAX))
}

/// What its figures are worth, if that is not all that they say.
fn standing_line(verdict: &Verdict) -> Option<String> {
    (verdict.standing != Standing::Valid).then(|| verdict.standing.to_string())
}

/// Percentiles, unless the backlog only grew: then they tell how long it was measured.
fn percentiles_of(verdict: &Verdict, latency: Option<&LatencySummary>) -> Option<String> {
    (verdict.standing != Standing::Unsustainable).then(|| percentiles(latency))
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
                let ratio = ratio.filter(|_| ceiling.is_some_and(|it| promise_alike(it, broker)));
                (head(result), operation_cell(result, ratio))
            });
            (*broker, cells.collect())
        })
        .collect();
    let rows = Rows::of(brokers.iter().flat_map(|broker| broker.operations.iter().map(head)));
    let table = rows.tables(&["operation", "clients"], &columns);
    let related = ceiling.map_or(String::new(), |ceiling| format!(" (× {})", ceiling.name));
    Some(format!("Operations: rate{related}, p50 / p99, errors, doubts\n{table}\n"))
}

/// Whether a ceiling bounds a broker: it promises the same, or, as a byte pipe, nothing at all.
fn promise_alike(ceiling: &BrokerRun, broker: &BrokerRun) -> bool {
    ceiling.guarantee == GuaranteeClass::AtMostOnce || ceiling.guarantee == broker.guarantee
}

fn operation_cell(result: &OperationResult, ratio: Option<f64>) -> String {
    let mut lines = vec![rate_and_ratio(result.throughput_per_s, ratio)];
    lines.extend(percentiles_of(&result.verdict, Some(&result.latency)));
    if result.errors > 0 {
        lines.push(format!("{} errors", result.errors));
    }
    lines.extend(standing_line(&result.verdict));
    lines.join("\n")
}

fn streams_table(record: &RunRecord) -> Option<String> {
    let head = |result: &StreamResult| vec![stream_head(result)];
    let brokers: Vec<_> =
        record.brokers.iter().filter(|broker| delivered(broker).next().is_some()).collect();
    if brokers.is_empty() {
        return None;
    }
    let columns: Vec<_> = brokers
        .iter()
        .map(|broker| {
            let cells = delivered(broker).map(|result| (head(result), stream_cell(result)));
            (*broker, cells.collect())
        })
        .collect();
    let rows = Rows::of(brokers.iter().flat_map(|broker| delivered(broker).map(head)));
    let table = rows.tables(&["stream"], &columns);
    let title = "Streams: deliveries (× byte pipe), response p50 / p99, broker CPU a delivery, \
                 faults, doubts";
    Some(format!("{title}\n{table}\n"))
}

/// Streams whose publishers want no acknowledgements; the others are in a table of their own.
fn delivered(broker: &BrokerRun) -> impl Iterator<Item = &StreamResult> {
    broker.streams.iter().filter(|stream| stream.acknowledged.is_none())
}

fn stream_cell(result: &StreamResult) -> String {
    let latency = result.latencies.delivery().map(|latency| &latency.summary);
    let mut lines = vec![rate_and_ratio(result.delivered_per_s, result.ratio_to_ceiling)];
    lines.extend(percentiles_of(&result.verdict, latency));
    lines.extend(cpu_each(result));
    lines.extend(faults([result.lost, result.duplicated, result.reordered, result.corrupted]));
    lines.extend(standing_line(&result.verdict));
    lines.join("\n")
}

/// What tells a stream from the others, each part on a line of its own.
fn stream_head(result: &StreamResult) -> String {
    result.label.strip_prefix("stream ").unwrap_or(&result.label).replace(", ", "\n")
}

/// What was wrong, a line for each fault.
fn faults(counts: [u64; 4]) -> impl Iterator<Item = String> {
    let names = ["lost", "duplicated", "reordered", "corrupted"];
    let faults = counts.into_iter().zip(names).filter(|(count, _)| *count > 0);
    faults.map(|(count, name)| format!("{count} {name}"))
}

/// The broker's processor time for each delivery, or for each acknowledgement where nobody reads.
fn cpu_each(result: &StreamResult) -> Option<String> {
    let cpu_us = result.resources.as_ref()?.cpu_us_per_delivery?;
    Some(format!("CPU {cpu_us:.3} µs"))
}

pub(crate) fn rate_and_ratio(rate_per_s: f64, ratio: Option<f64>) -> String {
    let rate = format!("{}/s", with_prefix(rate_per_s, &[(1e6, " M"), (1e3, " k"), (1.0, " ")]));
    match ratio {
        Some(ratio) => format!("{rate} ({ratio:.2}×)"),
        None => rate,
    }
}

fn bytes(bytes: f64) -> String {
    with_prefix(bytes, &[(1e9, " GB"), (1e6, " MB"), (1e3, " kB"), (1.0, " B")])
}

fn time(time_ns: u64) -> String {
    let units = [(1e9, " s"), (1e6, " ms"), (1e3, " µs"), (1.0, " ns")];
    with_prefix(time_ns as f64, &units)
}

pub(crate) fn percentiles(latency: Option<&LatencySummary>) -> String {
    let shown = |latency_ns: Option<u64>| match latency_ns {
        Some(latency_ns) => time(latency_ns),
        // Too few samples lie beyond it to speak of a percentile.
        None => NOT_MEASURED.to_owned(),
    };
    let [p50_ns, p99_ns] = latency.map_or([None; 2], |latency| [latency.p50_ns, latency.p99_ns]);
    format!("{} / {}", shown(p50_ns), shown(p99_ns))
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
        Acknowledged, BacklogDrain, BacklogPass, BacklogResult, BrokerKind, CellResources,
        DataPlace, DeliveryFaults, FORMAT_VERSION, GeneratorFigures, HistogramTag, Latency,
        LatencyHistogram, MachineFacts, OperationName, PageCache, RestartResult, SkippedBroker,
        StopKind, StreamLatencies, StreamLoad, StreamShape,
    };

    fn latency(p50_us: u64, p99_us: u64) -> LatencySummary {
        let mut histogram = LatencyHistogram::new();
        histogram.record_ns_n(p50_us * 1000, 9_800);
        histogram.record_ns_n(p99_us * 1000, 200);
        histogram.summary()
    }

    fn timed(p50_us: u64, p99_us: u64) -> Latency {
        Latency { summary: latency(p50_us, p99_us), histogram: HistogramTag::new("t") }
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
            verdict: Verdict::default(),
            resources: None,
            rounds: vec![],
        }
    }

    fn stream(delivered_per_s: f64, lost: u64, ratio_to_ceiling: Option<f64>) -> StreamResult {
        StreamResult {
            label: "stream 1→50, 100 B, saturating".to_owned(),
            shape: StreamShape::new(1, 50),
            topics: 1,
            wildcard: false,
            slow_subscribers: 0,
            churn: None,
            payload_bytes: 100,
            load: StreamLoad::Saturating,
            offered_per_s: None,
            late_sends: 0,
            messages_sent: 20_000,
            messages_expected: 1_000_000,
            messages_received: 1_000_000 - lost,
            lost,
            duplicated: 0,
            reordered: 0,
            corrupted: 0,
            late: 0,
            pairs: vec![],
            pairs_left_off: 0,
            duration_ns: 1_000_000_000,
            sent_per_s: 20_000.0,
            delivered_per_s,
            delivered_bytes_per_s: delivered_per_s * 100.0,
            latencies: StreamLatencies {
                service: Some(timed(800, 9_700)),
                ..StreamLatencies::default()
            },
            ratio_to_ceiling,
            acknowledged: None,
            verdict: Verdict::default(),
            resources: None,
            generator: GeneratorFigures::default(),
            timeline: vec![],
            rounds: vec![],
        }
    }

    fn broker(name: &str, driver: &str) -> BrokerRun {
        BrokerRun {
            name: name.to_owned(),
            kind: BrokerKind::Broker,
            version: "0.1.0".to_owned(),
            command_line: vec![],
            driver: driver.to_owned(),
            guarantee: GuaranteeClass::InMemory,
            config_text: None,
            data_place: None,
            operations: vec![],
            streams: vec![],
            backlogs: vec![],
            restarts: vec![],
            storms: vec![],
            idles: vec![],
            outages: vec![],
            knees: vec![],
            resources: vec![],
            marks: vec![],
        }
    }

    fn record() -> RunRecord {
        let mut pipe = broker("byte-pipe", "byte-pipe");
        pipe.guarantee = GuaranteeClass::AtMostOnce;
        pipe.operations = vec![operation(1, 50_000.0, 0)];
        pipe.streams = vec![stream(9_550_000.0, 0, Some(1.0))];
        let mut tandem = broker("tandem-mio", "tandem-native");
        tandem.operations = vec![operation(1, 41_234.0, 0), operation(50, 85_700.0, 3)];
        tandem.streams = vec![stream(8_130_000.0, 2, Some(0.851))];
        let cpu_us_per_delivery = Some(0.08);
        tandem.streams[0].resources =
            Some(CellResources { cpu_us_per_delivery, ..CellResources::default() });
        tandem.operations[1].verdict.degrade(Standing::Suspect, "the machine was busy");
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
            objectives: vec![],
            ceilings: vec![],
        }
    }

    #[test]
    fn brokers_stand_side_by_side_with_their_ratio_to_the_byte_pipe() {
        insta::assert_snapshot!(summary(&record(), &["byte-pipe"]));
    }

    #[test]
    fn of_many_brokers_those_that_promise_the_same_stand_together() {
        let mut record = record();
        let classes = [GuaranteeClass::Synced, GuaranteeClass::InMemory];
        record.brokers = (0..9)
            .map(|index| {
                let mut broker = broker(&format!("broker-{index}"), "tandem-native");
                broker.guarantee = classes[index % 2];
                broker.operations = vec![operation(1, 1000.0 * (index + 1) as f64, 0)];
                broker
            })
            .collect();
        let summary = summary(&record, &[]);
        let heads: Vec<_> = summary.lines().filter(|line| line.contains("broker-")).collect();
        assert_eq!(heads.len(), 2, "{summary}");
        assert!(heads[0].contains("broker-7") && !heads[0].contains("broker-8"), "{summary}");
        assert_eq!(heads[1].matches("broker-").count(), 5, "{summary}");
    }

    fn pass(per_s: f64, ratio_to_disk: Option<f64>) -> BacklogPass {
        BacklogPass {
            messages: 1_000_000,
            duration_ns: 1,
            per_s,
            bytes_per_s: per_s * 1000.0,
            resident_bytes_max: Some(14 << 20),
            ratio_to_disk,
        }
    }

    fn backlog() -> BacklogResult {
        let drain = |cache, lost| BacklogDrain {
            cache,
            pass: pass(1_200_000.0, None),
            faults: DeliveryFaults { lost, ..DeliveryFaults::default() },
        };
        BacklogResult {
            publishers: 1,
            payload_bytes: 1000,
            messages: 1_000_000,
            resident_bytes_before: Some(8 << 20),
            build: pass(250_000.0, Some(0.61)),
            drains: vec![drain(PageCache::Cold, 0), drain(PageCache::Warm, 2)],
        }
    }

    fn restart(stop: StopKind) -> RestartResult {
        RestartResult {
            stop,
            payload_bytes: 1000,
            messages: 1_000_000,
            stop_ns: vec![2_000_000],
            ready_ns: vec![120_000_000, 180_000_000, 150_000_000],
            stored_bytes: 1_100_000_000,
            resident_bytes_max: 20 << 20,
            faults: DeliveryFaults::default(),
        }
    }

    #[test]
    fn what_is_kept_has_tables_of_its_own_and_says_what_is_promised() {
        let mut tandem = broker("tandem-mio-disk", "tandem-native");
        tandem.guarantee = GuaranteeClass::Synced;
        let (file_system, device) = ("ext4".to_owned(), "/dev/vda".to_owned());
        tandem.data_place = Some(DataPlace { root: "/tmp".to_owned(), file_system, device });
        tandem.backlogs = vec![backlog()];
        tandem.restarts = vec![restart(StopKind::Clean), restart(StopKind::Crash)];
        let mut acknowledged = stream(0.0, 0, None);
        acknowledged.shape = StreamShape::new(1, 0);
        acknowledged.acknowledged = Some(Acknowledged {
            in_flight: 64,
            messages: 1_000_000,
            duration_ns: 1,
            per_s: 1_500_000.0,
            bytes_per_s: 150e6,
            ratio_to_disk: Some(0.4),
        });
        acknowledged.latencies.acknowledgement = Some(timed(700, 2_100));
        tandem.streams = vec![acknowledged.clone()];
        let mut memory = broker("tandem-mio", "tandem-native");
        memory.streams = vec![acknowledged];
        let brokers = vec![tandem, memory];
        let record = RunRecord { brokers, skipped: vec![], warnings: vec![], ..record() };
        insta::assert_snapshot!(summary(&record, &["disk"]));
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
