//! Acknowledgements, backlogs and restarts as tables of text.

use super::{
    Column, Rows, bytes, cpu_each, faults, percentiles_of, rate_and_ratio, standing_line,
    stream_head, time,
};
use measure::{
    Acknowledged, BacklogDrain, BacklogPass, BacklogResult, BrokerRun, DeliveryFaults,
    RestartResult, RunRecord, StreamResult,
};
use std::collections::BTreeSet;

/// A broker's cells, by the head of their row.
type Cells = Vec<(Vec<String>, String)>;

/// Streams whose publishers wait for acknowledgements.
pub(super) fn acknowledged_table(record: &RunRecord) -> Option<String> {
    let title = "Acknowledged streams: messages (× disk), bytes, p50 / p99 to the acknowledgement, \
                 broker CPU a delivery, deliveries, faults, doubts";
    table(record, title, &["stream"], |broker| {
        let streams = broker.streams.iter();
        let acked = streams.filter_map(|stream| Some((stream, stream.acknowledged.as_ref()?)));
        acked.map(|(stream, acks)| acknowledged_cell(stream, acks)).collect()
    })
}

fn acknowledged_cell(stream: &StreamResult, acks: &Acknowledged) -> (Vec<String>, String) {
    let head = vec![stream_head(stream)];
    let latency = stream.latencies.acknowledgement.as_ref().map(|latency| &latency.summary);
    let mut lines = vec![
        rate_and_ratio(acks.per_s, acks.ratio_to_disk),
        format!("{}/s", bytes(acks.bytes_per_s)),
    ];
    lines.extend(percentiles_of(&stream.verdict, latency));
    lines.extend(cpu_each(stream));
    if stream.shape.subscribers > 0 {
        lines.push(format!("{} delivered", rate_and_ratio(stream.delivered_per_s, None)));
    }
    lines.extend(faults([stream.lost, stream.duplicated, stream.reordered, stream.corrupted]));
    lines.extend(standing_line(&stream.verdict));
    (head, lines.join("\n"))
}

/// Backlogs, with a row for each way through them.
pub(super) fn backlogs_table(record: &RunRecord) -> Option<String> {
    let title = "Backlogs: messages (× disk), bytes, most resident memory (and before), faults";
    table(record, title, &["backlog", "pass"], |broker| {
        broker.backlogs.iter().flat_map(backlog_cells).collect()
    })
}

fn backlog_cells(backlog: &BacklogResult) -> Cells {
    let head = |pass: String| vec![pile(backlog.messages, backlog.payload_bytes), pass];
    let build = pass_lines(&backlog.build, backlog.resident_bytes_before);
    let drains = backlog.drains.iter().map(|BacklogDrain { cache, pass, faults: found }| {
        let mut lines = pass_lines(pass, None);
        lines.extend(delivery_faults(*found));
        (head(format!("{cache} drain")), lines.join("\n"))
    });
    std::iter::once((head("build".to_owned()), build.join("\n"))).chain(drains).collect()
}

fn pass_lines(pass: &BacklogPass, resident_bytes_before: Option<u64>) -> Vec<String> {
    let mut lines = vec![
        rate_and_ratio(pass.per_s, pass.ratio_to_disk),
        format!("{}/s", bytes(pass.bytes_per_s)),
    ];
    let before = resident_bytes_before.map(|before| format!(" ({})", bytes(before as f64)));
    lines.extend(pass.resident_bytes_max.map(|resident_bytes| {
        format!("{}{}", bytes(resident_bytes as f64), before.unwrap_or_default())
    }));
    lines
}

/// Restarts, one row each.
pub(super) fn restarts_table(record: &RunRecord) -> Option<String> {
    let title = "Restarts: median time until ready, the same for each GiB, median time to stop, \
                 stored, resident, faults";
    table(record, title, &["backlog", "stop"], |broker| {
        broker.restarts.iter().map(restart_cell).collect()
    })
}

fn restart_cell(restart: &RestartResult) -> (Vec<String>, String) {
    let head = vec![pile(restart.messages, restart.payload_bytes), restart.stop.to_string()];
    let mut stops = restart.stop_ns.clone();
    stops.sort_unstable();
    let stop_ns = stops.get(stops.len() / 2).copied().unwrap_or_default();
    let mut lines = vec![
        format!("ready in {}", time(restart.ready_ns_median())),
        format!("{}/GiB", time(restart.ready_ns_per_gib() as u64)),
        format!("stopped in {}", time(stop_ns)),
        format!("{} stored", bytes(restart.stored_bytes as f64)),
        format!("{} resident", bytes(restart.resident_bytes_max as f64)),
    ];
    lines.extend(delivery_faults(restart.faults));
    (head, lines.join("\n"))
}

/// Which file systems the brokers kept their messages on.
pub(super) fn places(record: &RunRecord) -> Option<String> {
    let places: BTreeSet<String> = record
        .brokers
        .iter()
        .filter_map(|broker| Some(broker.data_place.as_ref()?.to_string()))
        .collect();
    let named: Vec<_> = places.into_iter().collect();
    (!named.is_empty()).then(|| format!("Messages were kept in files of {}.\n", named.join(", ")))
}

/// `None`: no broker has any cells.
pub(super) fn table(
    record: &RunRecord,
    title: &str,
    head_names: &[&str],
    cells_of: impl Fn(&BrokerRun) -> Cells,
) -> Option<String> {
    let columns: Vec<(&BrokerRun, Cells)> = record
        .brokers
        .iter()
        .map(|broker| (broker, cells_of(broker)))
        .filter(|(_, cells)| !cells.is_empty())
        .collect();
    if columns.is_empty() {
        return None;
    }
    let heads = columns.iter().flat_map(|(_, cells)| cells.iter().map(|(head, _)| head.clone()));
    let rows = Rows::of(heads);
    let columns: Vec<Column<'_>> =
        columns.into_iter().map(|(broker, cells)| (broker, cells.into_iter().collect())).collect();
    Some(format!("{title}\n{}\n", rows.tables(head_names, &columns)))
}

fn delivery_faults(found: DeliveryFaults) -> impl Iterator<Item = String> {
    faults([found.lost, found.duplicated, found.reordered, found.corrupted])
}

fn pile(messages: u64, payload_bytes: u64) -> String {
    let total = bytes((messages * payload_bytes) as f64);
    format!("{messages} × {payload_bytes} B\n{total}")
}
