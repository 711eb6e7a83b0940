//! The report's tables of what brokers keep: acknowledgements, backlogs, restarts.

use measure::{BacklogPass, BrokerRun, LatencySummary, RestartResult, RunRecord, StreamResult};

use super::tables::{
    Cell, Detail, Matrix, dash, heads, invalid, latency_figures, p99_or_standing, ranked, row,
    standing_words,
};
use crate::piles::{BacklogKey, RestartKey, backlog_keys, delivery_faults, restart_keys};
use crate::promises::short;
use crate::quantity::{Quantity, grouped};
use crate::series::{StreamKey, acknowledged_stream_keys, stream_faults};

/// Acknowledged streams: messages per second and the latency of acknowledgements.
pub(super) fn acknowledged(record: &RunRecord) -> Matrix {
    let is_acknowledged =
        |broker: &BrokerRun| broker.streams.iter().any(|stream| stream.acknowledged.is_some());
    matrix(
        record,
        is_acknowledged,
        &acknowledged_stream_keys(&record.brokers),
        |stream: &StreamKey, broker| {
            let result = stream.result_in(broker)?;
            let acknowledged = result.acknowledged.as_ref()?;
            let bytes_per_s = Quantity::Bytes.figure(acknowledged.bytes_per_s);
            Some(Cell {
                figure: format!("{}/s", Quantity::Rate.figure(acknowledged.per_s)),
                note: format!(
                    "{bytes_per_s}/s, {}",
                    p99_or_standing(&result.verdict, of_acks(result))
                ),
                fault: invalid(&result.verdict).or_else(|| stream_faults(result)),
                best: false,
                rank: ranked(&result.verdict, acknowledged.per_s),
            })
        },
    )
}

/// Backlogs: bytes per second of each way through them, and the most resident memory.
pub(super) fn backlogs(record: &RunRecord) -> Matrix {
    let keys = backlog_keys(&record.brokers);
    matrix(
        record,
        |broker| !broker.backlogs.is_empty(),
        &keys,
        |key: &BacklogKey, broker| {
            let (pass, fault) = key.result_in(broker)?;
            let resident = pass.resident_bytes_max;
            Some(Cell {
                figure: format!("{}/s", Quantity::Bytes.figure(pass.bytes_per_s)),
                note: match resident {
                    Some(bytes) => format!("{} resident", Quantity::Bytes.figure(bytes as f64)),
                    None => "no process".to_owned(),
                },
                fault,
                best: false,
                rank: Some(pass.bytes_per_s),
            })
        },
    )
}

/// Restarts: how long until ready, and how long for each GiB.
pub(super) fn restarts(record: &RunRecord) -> Matrix {
    let keys = restart_keys(&record.brokers);
    matrix(
        record,
        |broker| !broker.restarts.is_empty(),
        &keys,
        |key: &RestartKey, broker| {
            let result = key.result_in(broker)?;
            let ready_ns = result.ready_ns_median() as f64;
            let ns_per_gib = result.ready_ns_per_gib();
            Some(Cell {
                figure: Quantity::LatencyNs.figure(ready_ns),
                note: format!("{} each GiB", Quantity::LatencyNs.figure(ns_per_gib)),
                fault: delivery_faults(result.faults, result.messages),
                best: false,
                // The best is the first that is ready.
                rank: Some(-ready_ns),
            })
        },
    )
}

/// How long a stream's acknowledgements took.
fn of_acks(result: &StreamResult) -> Option<&LatencySummary> {
    result.latencies.acknowledgement.as_ref().map(|latency| &latency.summary)
}

fn matrix<K: ToString>(
    record: &RunRecord,
    is_shown: impl Fn(&BrokerRun) -> bool,
    keys: &[K],
    cell: impl Fn(&K, &BrokerRun) -> Option<Cell>,
) -> Matrix {
    let brokers: Vec<&BrokerRun> =
        record.brokers.iter().filter(|broker| is_shown(broker)).collect();
    let rows = keys.iter().map(|key| row(key.to_string(), &brokers, |broker| cell(key, broker)));
    Matrix { rows: rows.collect(), brokers: heads(record, &brokers) }
}

/// Every figure of every acknowledged stream.
pub(super) fn acknowledged_details(record: &RunRecord) -> Detail {
    let keys = acknowledged_stream_keys(&record.brokers);
    let rows = keys.into_iter().flat_map(|stream| {
        record.brokers.iter().filter_map(move |broker| {
            let result = stream.result_in(broker)?;
            let acknowledged = result.acknowledged.as_ref()?;
            let mut row = vec![
                stream.to_string(),
                broker.name.clone(),
                short(broker.guarantee).to_owned(),
                format!("{}/s", Quantity::Rate.figure(acknowledged.per_s)),
                format!("{}/s", Quantity::Bytes.figure(acknowledged.bytes_per_s)),
                Quantity::Ratio.figure_or_dash(acknowledged.ratio_to_disk),
                grouped(acknowledged.messages),
                match result.shape.subscribers {
                    0 => dash(),
                    _ => format!("{}/s", Quantity::Rate.figure(result.delivered_per_s)),
                },
            ];
            row.extend(latency_figures(&result.verdict, of_acks(result)));
            row.push(standing_words(&result.verdict));
            Some(row)
        })
    });
    Detail {
        id: "acknowledged-details",
        caption: "All acknowledged streams",
        words: 3,
        columns: &[
            "stream",
            "broker",
            "guarantee",
            "acknowledged",
            "payload",
            "of the disk",
            "messages",
            "delivered",
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

/// Every figure of every backlog.
pub(super) fn backlog_details(record: &RunRecord) -> Detail {
    let rows = backlog_keys(&record.brokers).into_iter().flat_map(|key| {
        record.brokers.iter().filter_map(move |broker| {
            let (pass, fault) = key.result_in(broker)?;
            let subject =
                [key.to_string(), broker.name.clone(), short(broker.guarantee).to_owned()];
            Some(subject.into_iter().chain(pass_figures(pass, fault)).collect())
        })
    });
    Detail {
        id: "backlog-details",
        caption: "All backlogs",
        words: 3,
        columns: &[
            "backlog",
            "broker",
            "guarantee",
            "messages",
            "payload",
            "of the disk",
            "resident",
            "faults",
        ],
        rows: rows.collect(),
    }
}

fn pass_figures(pass: &BacklogPass, fault: Option<String>) -> [String; 5] {
    [
        format!("{}/s", Quantity::Rate.figure(pass.per_s)),
        format!("{}/s", Quantity::Bytes.figure(pass.bytes_per_s)),
        Quantity::Ratio.figure_or_dash(pass.ratio_to_disk),
        Quantity::Bytes.figure_or_dash(pass.resident_bytes_max.map(|bytes| bytes as f64)),
        fault.unwrap_or_else(|| "none".to_owned()),
    ]
}

/// Every figure of every restart.
pub(super) fn restart_details(record: &RunRecord) -> Detail {
    let rows = restart_keys(&record.brokers).into_iter().flat_map(|key| {
        record.brokers.iter().filter_map(move |broker| {
            let result = key.result_in(broker)?;
            let subject =
                [key.to_string(), broker.name.clone(), short(broker.guarantee).to_owned()];
            Some(subject.into_iter().chain(restart_figures(result)).collect())
        })
    });
    Detail {
        id: "restart-details",
        caption: "All restarts",
        words: 3,
        columns: &[
            "restart",
            "broker",
            "guarantee",
            "ready, median",
            "least",
            "most",
            "each GiB",
            "to stop, most",
            "stored",
            "resident",
            "faults",
        ],
        rows: rows.collect(),
    }
}

fn restart_figures(result: &RestartResult) -> [String; 8] {
    let time = |time_ns: Option<&u64>| {
        Quantity::LatencyNs.figure_or_dash(time_ns.map(|time_ns| *time_ns as f64))
    };
    [
        time(Some(&result.ready_ns_median())),
        time(result.ready_ns.iter().min()),
        time(result.ready_ns.iter().max()),
        Quantity::LatencyNs.figure(result.ready_ns_per_gib()),
        time(result.stop_ns.iter().max()),
        Quantity::Bytes.figure(result.stored_bytes as f64),
        Quantity::Bytes.figure(result.resident_bytes_max as f64),
        delivery_faults(result.faults, result.messages).unwrap_or_else(|| "none".to_owned()),
    ]
}
