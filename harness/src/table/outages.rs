//! Outages as a table of text.

use super::durable::table;
use super::{NOT_MEASURED, faults, time};
use measure::{OutageResult, RunRecord};

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
