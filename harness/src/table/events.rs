//! Searches, crowds of connections and outages as tables of text.

use super::durable::table;
use super::{NOT_MEASURED, bytes, faults, percentiles_of, rate_and_ratio, standing_line, time};
use measure::{IdleResult, KneeResult, OutageResult, RunRecord, StormResult};

/// Searches for the highest rate, one row each.
pub(super) fn knees_table(record: &RunRecord) -> Option<String> {
    let title = "Highest rates that met the objective, in messages offered: the rate, and the lowest \
                 that missed it";
    table(record, title, &["stream"], |broker| broker.knees.iter().map(knee_cell).collect())
}

fn knee_cell(knee: &KneeResult) -> (Vec<String>, String) {
    let head = knee.label.strip_prefix("stream ").unwrap_or(&knee.label).replace(", ", "\n");
    let cell = match (knee.rate_per_s, knee.confirmed) {
        (Some(rate_per_s), Some([_, missed_per_s])) => {
            let [met, missed] = [rate_per_s, missed_per_s].map(|it| rate_and_ratio(it, None));
            format!("{met}\nmissed at {missed}")
        }
        _ => knee.answer.replace("; ", "\n"),
    };
    (vec![head], format!("{cell}\n{} attempts", knee.attempts.len()))
}

/// Storms, one row each.
pub(super) fn storms_table(record: &RunRecord) -> Option<String> {
    let title = "Storms: connections let in per second, p50 / p99 of a handshake, refused, doubts";
    table(record, title, &["connections", "offered"], |broker| {
        broker.storms.iter().map(storm_cell).collect()
    })
}

fn storm_cell(storm: &StormResult) -> (Vec<String>, String) {
    let offered = storm.offered_per_s.map_or("all at once".to_owned(), |it| format!("{it}/s"));
    let per_s = measure::rate_per_s(u64::from(storm.accepted), storm.duration_ns);
    let mut lines = vec![rate_and_ratio(per_s, None)];
    lines.extend(percentiles_of(&storm.verdict, Some(&storm.handshake.summary)));
    if storm.refused > 0 {
        lines.push(format!("{} refused", storm.refused));
    }
    lines.extend(standing_line(&storm.verdict));
    (vec![storm.connections.to_string(), offered], lines.join("\n"))
}

/// Connections at rest, one row each.
pub(super) fn idles_table(record: &RunRecord) -> Option<String> {
    let title = "Connections at rest: the broker's memory for each, resident with all, dropped";
    table(record, title, &["connections", "held"], |broker| {
        broker.idles.iter().map(idle_cell).collect()
    })
}

fn idle_cell(idle: &IdleResult) -> (Vec<String>, String) {
    let held = time(idle.held_ms.saturating_mul(1_000_000));
    let mut lines = vec![
        format!("{} each", bytes(idle.bytes_per_connection)),
        format!("{} resident", bytes(idle.resident_after_bytes as f64)),
    ];
    if idle.dropped > 0 {
        lines.push(format!("{} dropped", idle.dropped));
    }
    (vec![idle.connections.to_string(), held], lines.join("\n"))
}

/// Outages, one row each.
pub(super) fn outages_table(record: &RunRecord) -> Option<String> {
    let title = "Outages: from the signal to the first delivery and to the first acknowledgement \
                 after it, the longest that a publisher went without one, start to ready, \
                 messages sent again, faults";
    table(record, title, &["outage"], |broker| broker.outages.iter().map(outage_cell).collect())
}

fn outage_cell(outage: &OutageResult) -> (Vec<String>, String) {
    let after = |ns: Option<u64>| ns.map_or_else(|| NOT_MEASURED.to_owned(), time);
    let mut lines = vec![
        format!("delivers after {}", after(outage.recovered_ns)),
        format!("acknowledges after {}", after(outage.acknowledged_again_ns)),
        format!("without for {}", after(outage.unavailable_ns)),
        format!("ready in {}", time(outage.ready_ns)),
        format!("{} resent", outage.resent),
    ];
    lines.extend(faults([outage.lost, outage.duplicated, outage.reordered, outage.corrupted]));
    (vec![outage.label.replace(", ", "\n")], lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use measure::StopKind;

    #[test]
    fn a_search_says_between_which_rates_the_knee_lies_or_why_that_is_not_known() {
        let mut knee = KneeResult {
            label: "stream 1→1, 100 B, most with response.p99 < 5ms".to_owned(),
            objective: "response.p99 < 5ms".to_owned(),
            attempts: vec![],
            rate_per_s: Some(125_000.0),
            confirmed: Some([125_000.0, 131_000.0]),
            answer: "125000 per second; 131000 is missed".to_owned(),
        };
        let (head, cell) = knee_cell(&knee);
        assert_eq!(head, ["1→1\n100 B\nmost with response.p99 < 5ms"]);
        assert_eq!(cell, "125 k/s\nmissed at 131 k/s\n0 attempts");
        knee.confirmed = None;
        knee.answer = ">= 125000 per second, bounded by the generator".to_owned();
        assert!(knee_cell(&knee).1.starts_with(">= 125000 per second"));
    }

    #[test]
    fn connections_at_rest_say_what_each_costs() {
        let idle = IdleResult {
            connections: 1000,
            held_ms: 1000,
            bytes_per_connection: 386.0,
            resident_before_bytes: 1,
            resident_after_bytes: 8_000_000,
            dropped: 2,
        };
        let (head, cell) = idle_cell(&idle);
        assert_eq!(head, ["1000", "1.00 s"]);
        assert_eq!(cell, "386 B each\n8.00 MB resident\n2 dropped");
    }

    #[test]
    fn an_outage_says_when_clients_were_served_again_and_what_it_cost() {
        let outage = OutageResult {
            label: "crash outage, 1→1, 100 B, 1000 msgs/s, 500 ms down".to_owned(),
            stop: StopKind::Crash,
            stop_ns: 3_000_000,
            down_ns: 500_000_000,
            ready_ns: 20_000_000,
            recovered_ns: Some(530_000_000),
            acknowledged_again_ns: None,
            unavailable_ns: None,
            recoveries_ns: vec![Some(530_000_000)],
            sent: 10,
            acknowledged: 9,
            resent: 4,
            lost: 0,
            duplicated: 3,
            reordered: 0,
            corrupted: 0,
            response: None,
            timeline: vec![],
        };
        let (head, cell) = outage_cell(&outage);
        assert_eq!(head, ["crash outage\n1→1\n100 B\n1000 msgs/s\n500 ms down"]);
        let expected = "delivers after 530 ms\nacknowledges after –\nwithout for –\nready in 20.0 ms\n\
                        4 resent\n3 duplicated";
        assert_eq!(cell, expected);
    }
}
