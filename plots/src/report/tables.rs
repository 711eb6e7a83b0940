//! The report's tables: broker against broker first, then every figure.

use measure::{
    BrokerKind, BrokerRun, LatencySummary, OperationResult, RunRecord, Standing, StreamResult,
    Verdict,
};
use serde::Serialize;

use crate::judged::clients_label;
use crate::promises::Promises;
use crate::quantity::{Quantity, grouped};
use crate::series::{
    StreamKey, distinct, operation_in, standing_label, stream_faults, stream_keys,
};

/// A broker that delivers less than this share of a fixed rate has not kept up.
const KEPT_UP_SHARE: f64 = 0.99;

/// A table with a column for each broker.
#[derive(Debug, Serialize)]
pub(super) struct Matrix {
    pub(super) brokers: Vec<Head>,
    pub(super) rows: Vec<MatrixRow>,
}

/// A column's broker.
#[derive(Debug, Serialize)]
pub(super) struct Head {
    name: String,
    /// What it promises, where others promise something else.
    guarantee: Option<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct MatrixRow {
    pub(super) label: String,
    /// One for each broker; `None` where it was not measured.
    pub(super) cells: Vec<Option<Cell>>,
}

/// One broker's result in one row.
#[derive(Debug, Serialize)]
pub(super) struct Cell {
    pub(super) figure: String,
    pub(super) note: String,
    /// What makes the figure worth less than it looks.
    pub(super) fault: Option<String>,
    /// Whether it is the best of the row's faultless brokers that promise the same.
    pub(super) best: bool,
    /// What is best is highest; `None` does not compete.
    #[serde(skip)]
    pub(super) rank: Option<f64>,
}

/// A table of plain text.
#[derive(Debug, Serialize)]
pub(super) struct Detail {
    pub(super) id: &'static str,
    pub(super) caption: &'static str,
    /// How many columns at the left are words; the others are figures.
    pub(super) words: usize,
    pub(super) columns: &'static [&'static str],
    pub(super) rows: Vec<Vec<String>>,
}

/// Streams at full load: deliveries per second and the ratio to the ceiling.
pub(super) fn full_load(record: &RunRecord) -> Matrix {
    let mut streams = stream_keys(&record.brokers);
    streams.retain(StreamKey::is_at_full_load);
    stream_matrix(record, &streams, StreamKey::to_string, |_, result| Cell {
        figure: format!("{}/s", Quantity::Rate.figure(result.delivered_per_s)),
        note: match result.ratio_to_ceiling {
            Some(ratio) => format!("{} ceiling", Quantity::Ratio.figure(ratio)),
            None => "no ceiling measured".to_owned(),
        },
        fault: unranked(&result.verdict).or_else(|| stream_faults(result)),
        best: false,
        rank: Some(result.delivered_per_s),
    })
}

/// Streams at a fixed rate: median and 99th percentile latency.
pub(super) fn fixed_rate(record: &RunRecord) -> Matrix {
    let mut streams = stream_keys(&record.brokers);
    streams.retain(StreamKey::is_paced);
    let label = |stream: &StreamKey| format!("{stream} at {}", stream.load_label());
    stream_matrix(record, &streams, label, |stream, result| Cell {
        figure: p99_or_standing(&result.verdict, of_deliveries(result)),
        note: match result.verdict.standing {
            Standing::Unsustainable => String::new(),
            _ => format!("p50 {}", latency(of_deliveries(result).and_then(|it| it.p50_ns))),
        },
        fault: invalid(&result.verdict)
            .or_else(|| stream_faults(result))
            .or_else(|| fell_behind(stream, result)),
        best: false,
        // The best has the lowest latency.
        rank: of_deliveries(result)
            .and_then(|it| it.p99_ns)
            .and_then(|latency_ns| ranked(&result.verdict, -(latency_ns as f64))),
    })
}

/// Operations at every number of clients: throughput and 99th percentile latency.
pub(super) fn operations(record: &RunRecord) -> Matrix {
    let brokers: Vec<&BrokerRun> =
        record.brokers.iter().filter(|broker| !broker.operations.is_empty()).collect();
    let results = || brokers.iter().flat_map(|broker| &broker.operations);
    let mut rows = Vec::new();
    for operation in distinct(results().map(|result| result.operation.clone())) {
        let same_operation = results().filter(|result| result.operation == operation);
        let mut client_counts: Vec<u32> = same_operation.map(|result| result.clients).collect();
        client_counts.sort_unstable();
        client_counts.dedup();
        for clients in client_counts {
            let cell =
                |broker: &BrokerRun| operation_in(broker, &operation, clients).map(operation_cell);
            rows.push(row(format!("{operation} · {}", clients_label(clients)), &brokers, cell));
        }
    }
    Matrix { brokers: heads(record, &brokers), rows }
}

/// Every figure of every stream without acknowledgements.
pub(super) fn stream_details(record: &RunRecord) -> Detail {
    let rows = stream_keys(&record.brokers).into_iter().flat_map(|stream| {
        record.brokers.iter().filter_map(move |broker| {
            let result = stream.result_in(broker)?;
            let mut row = vec![
                stream.to_string(),
                stream.load_label(),
                broker.name.clone(),
                format!("{}/s", Quantity::Rate.figure(result.sent_per_s)),
                format!("{}/s", Quantity::Rate.figure(result.delivered_per_s)),
                format!("{}/s", Quantity::Bytes.figure(result.delivered_bytes_per_s)),
                result.ratio_to_ceiling.map_or_else(dash, |ratio| Quantity::Ratio.figure(ratio)),
                grouped(result.messages_expected),
                grouped(result.lost),
                grouped(result.duplicated),
                grouped(result.reordered),
                grouped(result.corrupted),
            ];
            row.extend(latency_figures(&result.verdict, of_deliveries(result)));
            row.push(standing_words(&result.verdict));
            Some(row)
        })
    });
    Detail {
        id: "stream-details",
        caption: "All streams",
        words: 3,
        columns: &[
            "stream",
            "load",
            "broker",
            "sent",
            "delivered",
            "payload",
            "of ceiling",
            "expected",
            "lost",
            "duplicated",
            "reordered",
            "corrupted",
            "mean",
            "p50",
            "p90",
            "p99",
            "p99.9",
            "p99.99",
            "max",
            "verdict",
        ],
        rows: rows.collect(),
    }
}

/// Every figure of every operation.
pub(super) fn operation_details(record: &RunRecord) -> Detail {
    let results = record.brokers.iter().flat_map(|broker| &broker.operations);
    let operations = distinct(results.map(|result| result.operation.clone()));
    let rows = operations.into_iter().flat_map(|operation| {
        record.brokers.iter().flat_map(move |broker| {
            let operation = operation.clone();
            let results =
                broker.operations.iter().filter(move |result| result.operation == operation);
            results.map(|result| {
                let mut row = vec![
                    result.operation.to_string(),
                    broker.name.clone(),
                    grouped(u64::from(result.clients)),
                    grouped(result.count),
                    grouped(result.errors),
                    format!("{}/s", Quantity::Rate.figure(result.throughput_per_s)),
                ];
                row.extend(latency_figures(&result.verdict, Some(&result.latency)));
                row.push(standing_words(&result.verdict));
                row
            })
        })
    });
    Detail {
        id: "operation-details",
        caption: "All operations",
        words: 2,
        columns: &[
            "operation",
            "broker",
            "clients",
            "requests",
            "errors",
            "throughput",
            "mean",
            "p50",
            "p90",
            "p99",
            "p99.9",
            "p99.99",
            "max",
            "verdict",
        ],
        rows: rows.collect(),
    }
}

fn stream_matrix(
    record: &RunRecord,
    streams: &[StreamKey],
    label: impl Fn(&StreamKey) -> String,
    cell: impl Fn(&StreamKey, &StreamResult) -> Cell,
) -> Matrix {
    let measured =
        |broker: &&BrokerRun| streams.iter().any(|stream| stream.result_in(broker).is_some());
    let brokers: Vec<&BrokerRun> = record.brokers.iter().filter(measured).collect();
    let rows = streams.iter().map(|stream| {
        row(label(stream), &brokers, |broker| {
            stream.result_in(broker).map(|result| cell(stream, result))
        })
    });
    Matrix { rows: rows.collect(), brokers: heads(record, &brokers) }
}

/// Fills a row, and marks the best of its faultless brokers, of each guarantee one; ceilings do not
/// compete.
pub(super) fn row(
    label: String,
    brokers: &[&BrokerRun],
    cell: impl Fn(&BrokerRun) -> Option<Cell>,
) -> MatrixRow {
    let mut cells: Vec<Option<Cell>> = brokers.iter().map(|broker| cell(broker)).collect();
    for guarantee in distinct(brokers.iter().map(|broker| &broker.guarantee)) {
        let competing = brokers.iter().zip(&mut cells).filter_map(|(broker, cell)| {
            let cell = cell.as_mut()?;
            let is_peer = broker.kind == BrokerKind::Broker && broker.guarantee == *guarantee;
            (is_peer && cell.fault.is_none() && cell.rank.is_some()).then_some(cell)
        });
        let order = |a: &&mut Cell, b: &&mut Cell| a.rank.partial_cmp(&b.rank);
        let best = competing.max_by(|a, b| order(a, b).unwrap_or(std::cmp::Ordering::Equal));
        if let Some(best) = best {
            best.best = true;
        }
    }
    MatrixRow { label, cells }
}

fn operation_cell(result: &OperationResult) -> Cell {
    Cell {
        figure: format!("{}/s", Quantity::Rate.figure(result.throughput_per_s)),
        note: p99_or_standing(&result.verdict, Some(&result.latency)),
        fault: invalid(&result.verdict).or_else(|| match result.errors {
            0 => None,
            1 => Some("1 error".to_owned()),
            errors => Some(format!("{} errors", grouped(errors))),
        }),
        best: false,
        rank: ranked(&result.verdict, result.throughput_per_s),
    }
}

fn fell_behind(stream: &StreamKey, result: &StreamResult) -> Option<String> {
    let rate = stream.load.offered_per_s()?;
    let due_per_s = rate * f64::from(stream.shape.subscribers.max(1));
    (result.delivered_per_s < due_per_s * KEPT_UP_SHARE)
        .then(|| format!("only {}/s", Quantity::Rate.figure(result.delivered_per_s)))
}

/// The heads of columns.
pub(super) fn heads(record: &RunRecord, brokers: &[&BrokerRun]) -> Vec<Head> {
    let promises = Promises::of(record);
    let head = |broker: &&BrokerRun| Head {
        name: broker.name.clone(),
        guarantee: promises.of_broker(broker).map(str::to_owned),
    };
    brokers.iter().map(head).collect()
}

/// The word for what keeps a result out of every ranking; the verdict says why.
fn unranked(verdict: &Verdict) -> Option<String> {
    let standing = verdict.standing;
    standing_label(standing).filter(|_| !standing.may_be_ranked()).map(str::to_owned)
}

/// The same, where the percentiles say that a result is unsustainable.
pub(super) fn invalid(verdict: &Verdict) -> Option<String> {
    unranked(verdict).filter(|_| verdict.standing == Standing::Invalid)
}

/// What a result is ranked by, if it may be.
pub(super) fn ranked(verdict: &Verdict, rank: f64) -> Option<f64> {
    verdict.standing.may_be_ranked().then_some(rank)
}

/// `p99 4.20 ms`, or the word that stands in place of percentiles that mean nothing.
pub(super) fn p99_or_standing(verdict: &Verdict, summary: Option<&LatencySummary>) -> String {
    match verdict.standing {
        Standing::Unsustainable => "UNSUSTAINABLE".to_owned(),
        _ => format!("p99 {}", latency(summary.and_then(|it| it.p99_ns))),
    }
}

/// Latencies, or dashes where a broker that did not keep up makes them mean nothing.
pub(super) fn percentiles_or_standing<const N: usize>(
    verdict: &Verdict,
    latencies_ns: [Option<u64>; N],
) -> [String; N] {
    match verdict.standing {
        Standing::Unsustainable => std::array::from_fn(|_| dash()),
        _ => latencies_ns.map(latency),
    }
}

/// A verdict in one word.
pub(super) fn standing_words(verdict: &Verdict) -> String {
    standing_label(verdict.standing).unwrap_or("valid").to_owned()
}

pub(super) fn latency(latency_ns: Option<u64>) -> String {
    latency_ns.map_or_else(dash, |ns| Quantity::LatencyNs.figure(ns as f64))
}

fn of_deliveries(result: &StreamResult) -> Option<&LatencySummary> {
    result.latencies.delivery().map(|latency| &latency.summary)
}

pub(super) fn latency_figures(verdict: &Verdict, summary: Option<&LatencySummary>) -> [String; 7] {
    let summary = summary.filter(|_| verdict.standing != Standing::Unsustainable);
    let Some(summary) = summary else { return std::array::from_fn(|_| dash()) };
    [
        summary.mean_ns.map_or_else(dash, |ns| Quantity::LatencyNs.figure(ns)),
        latency(summary.p50_ns),
        latency(summary.p90_ns),
        latency(summary.p99_ns),
        latency(summary.p99_9_ns),
        latency(summary.p99_99_ns),
        latency(summary.max_ns),
    ]
}

pub(super) fn dash() -> String {
    "–".to_owned()
}
