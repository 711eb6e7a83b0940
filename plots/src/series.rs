//! What results have in common across brokers: the streams and operations that can be compared.

use std::fmt;

use measure::{
    Arrivals, BrokerRun, OperationName, OperationResult, StreamLoad, StreamResult, StreamShape,
};

use crate::quantity::{Quantity, grouped};

/// What makes two stream results comparable.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct StreamKey {
    pub(crate) label: String,
    pub(crate) shape: StreamShape,
    pub(crate) payload_bytes: u64,
    pub(crate) load: StreamLoad,
    /// Publications under way at once; `None` where none are acknowledged.
    pub(crate) acks_in_flight: Option<u32>,
}

impl StreamKey {
    pub(crate) fn of(result: &StreamResult) -> Self {
        Self {
            label: result.label.clone(),
            shape: result.shape,
            payload_bytes: result.payload_bytes,
            load: result.load.clone(),
            acks_in_flight: result.acknowledged.as_ref().map(|acks| acks.in_flight),
        }
    }

    /// This stream's result with the given broker.
    pub(crate) fn result_in<'a>(&self, broker: &'a BrokerRun) -> Option<&'a StreamResult> {
        broker.streams.iter().find(|result| Self::of(result) == *self)
    }

    pub(crate) fn load_label(&self) -> String {
        match &self.load {
            StreamLoad::Saturating => "full load".to_owned(),
            StreamLoad::Open { rate_per_s: rate, arrivals: Arrivals::Constant } => {
                format!("{}/s", Quantity::Rate.tick(*rate))
            }
            other => other.to_string(),
        }
    }
}

/// Shape and payload, e.g. `1→50 · 100 B`, and what is under way, e.g. ` · 64 in flight`.
impl fmt::Display for StreamKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} · {} B", self.shape, grouped(self.payload_bytes))?;
        match self.acks_in_flight {
            Some(in_flight) => write!(f, " · {in_flight} in flight"),
            None => Ok(()),
        }
    }
}

/// Every stream without acknowledgements that any of the brokers was measured at, in order of
/// appearance.
pub(crate) fn stream_keys(brokers: &[BrokerRun]) -> Vec<StreamKey> {
    let mut keys = all_stream_keys(brokers);
    keys.retain(|key| key.acks_in_flight.is_none());
    keys
}

/// Every stream with acknowledgements that any of the brokers was measured at, in order of
/// appearance.
pub(crate) fn acknowledged_stream_keys(brokers: &[BrokerRun]) -> Vec<StreamKey> {
    let mut keys = all_stream_keys(brokers);
    keys.retain(|key| key.acks_in_flight.is_some());
    keys
}

fn all_stream_keys(brokers: &[BrokerRun]) -> Vec<StreamKey> {
    distinct(brokers.iter().flat_map(|broker| broker.streams.iter().map(StreamKey::of)))
}

/// An operation's result with the given broker at a number of clients.
pub(crate) fn operation_in<'a>(
    broker: &'a BrokerRun,
    operation: &OperationName,
    clients: u32,
) -> Option<&'a OperationResult> {
    broker
        .operations
        .iter()
        .find(|result| result.operation == *operation && result.clients == clients)
}

/// What is wrong with a stream's deliveries, most serious first; `None` if nothing is.
pub(crate) fn stream_faults(result: &StreamResult) -> Option<String> {
    let counts = [result.corrupted, result.lost, result.duplicated, result.reordered];
    faults_in_words(counts, result.messages_expected)
}

/// Counts of corrupted, lost, duplicated and reordered messages; `None` if all are 0.
pub(crate) fn faults_in_words(counts: [u64; 4], expected: u64) -> Option<String> {
    let names = ["corrupted", "lost", "duplicated", "reordered"];
    let faults: Vec<String> = names
        .into_iter()
        .zip(counts)
        .filter(|(_, count)| *count > 0)
        .map(|(fault, count)| format!("{} {fault}", share(count, expected)))
        .collect();
    (!faults.is_empty()).then(|| faults.join(", "))
}

fn share(count: u64, of: u64) -> String {
    let percent = count as f64 * 100.0 / of.max(1) as f64;
    if percent >= 0.1 { format!("{percent:.1}%") } else { grouped(count) }
}

/// The items without repetitions, in order of appearance.
pub(crate) fn distinct<T: PartialEq>(items: impl Iterator<Item = T>) -> Vec<T> {
    let mut seen = Vec::new();
    for item in items {
        if !seen.contains(&item) {
            seen.push(item);
        }
    }
    seen
}
