//! The measurements of a run that were judged, and those in which messages went wrong.

use measure::{BrokerRun, CellResources, DeliveryFaults, OutageResult, RunRecord, Verdict};

use crate::piles::{backlog_keys, delivery_faults, restart_keys};
use crate::quantity::grouped;
use crate::series::stream_faults;

/// A measurement and how far it may be believed.
pub(crate) struct Judged<'a> {
    pub(crate) broker: &'a BrokerRun,
    pub(crate) label: String,
    pub(crate) verdict: &'a Verdict,
    pub(crate) resources: Option<&'a CellResources>,
}

/// Every operation, stream and storm, in the order of the record.
pub(crate) fn judged(record: &RunRecord) -> impl Iterator<Item = Judged<'_>> {
    record.brokers.iter().flat_map(|broker| {
        let operations = broker.operations.iter().map(move |result| Judged {
            broker,
            label: format!("{}, {}", result.operation, clients_label(result.clients)),
            verdict: &result.verdict,
            resources: result.resources.as_ref(),
        });
        let streams = broker.streams.iter().map(move |result| Judged {
            broker,
            label: result.label.clone(),
            verdict: &result.verdict,
            resources: result.resources.as_ref(),
        });
        let storms = broker.storms.iter().map(move |result| Judged {
            broker,
            label: format!("storm, {} connections", grouped(u64::from(result.connections))),
            verdict: &result.verdict,
            resources: result.resources.as_ref(),
        });
        operations.chain(streams).chain(storms)
    })
}

/// A measurement in which messages went wrong.
pub(crate) struct Faulty<'a> {
    pub(crate) broker: &'a BrokerRun,
    pub(crate) label: String,
    /// What went wrong, in words.
    pub(crate) faults: String,
}

/// Every stream, backlog, restart and outage in which messages were lost, duplicated, reordered or
/// corrupted.
pub(crate) fn faulty(record: &RunRecord) -> Vec<Faulty<'_>> {
    let (backlogs, restarts) = (backlog_keys(&record.brokers), restart_keys(&record.brokers));
    let mut found = Vec::new();
    for broker in &record.brokers {
        let mut add = |label: String, faults: Option<String>| {
            found.extend(faults.map(|faults| Faulty { broker, label, faults }));
        };
        for result in &broker.streams {
            add(result.label.clone(), stream_faults(result));
        }
        for key in &backlogs {
            add(format!("backlog {key}"), key.result_in(broker).and_then(|(_, faults)| faults));
        }
        for key in &restarts {
            let result = key.result_in(broker);
            let faults = result.and_then(|it| delivery_faults(it.faults, it.messages));
            add(format!("restart {key}"), faults);
        }
        for result in &broker.outages {
            add(format!("outage, {} stop", result.stop), outage_faults(result));
        }
    }
    found
}

/// What is wrong with an outage's deliveries, most serious first; `None` if nothing is.
pub(crate) fn outage_faults(result: &OutageResult) -> Option<String> {
    let OutageResult { lost, duplicated, reordered, corrupted, .. } = *result;
    delivery_faults(DeliveryFaults { lost, duplicated, reordered, corrupted }, result.acknowledged)
}

/// `1 client`, `50 clients`.
pub(crate) fn clients_label(clients: u32) -> String {
    if clients == 1 { "1 client".to_owned() } else { format!("{clients} clients") }
}
