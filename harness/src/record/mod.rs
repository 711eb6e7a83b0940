//! From what was measured, over all rounds, to the record that is kept.

mod ceilings;
mod piles;

pub use ceilings::{relate_to_ceiling, relate_to_disk};
pub use piles::{BacklogRound, PassRound, RestartRound};

use crate::config::{LagPolicyChoice, LoadChoice};
use crate::ledger::Faults;
use crate::load::{AckOutcome, OperationOutcome, StreamOutcome};
use crate::plan::{BrokerPlan, OperationCell, StreamCell};
use crate::process::ProcessSamples;
use measure::{
    Acknowledged, BrokerRun, DataPlace, GeneratorFigures, HistogramSet, Latency, LatencyHistogram,
    LoggedHistogram, OperationResult, StreamLatencies, StreamLoad, StreamResult, Verdict,
    rate_per_s,
};
use piles::{BacklogSum, RestartSum};
use std::time::Duration;

/// Everything measured of one broker so far.
#[derive(Debug, Default)]
pub struct Measured {
    /// How it was started.
    pub command_line: Vec<String>,
    /// Its own version.
    pub version: String,
    /// Where its files were; `None` if it had no directory.
    pub data_place: Option<DataPlace>,
    /// One for each cell of its plan; `None` until it was measured.
    pub operations: Vec<Option<Timed<OperationSum>>>,
    /// One for each cell of its plan; `None` until it was measured.
    pub streams: Vec<Option<Timed<StreamSum>>>,
    /// One for each cell of its plan; `None` until it was measured.
    pub backlogs: Vec<Option<BacklogSum>>,
    /// One for each cell of its plan; `None` until it was measured.
    pub restarts: Vec<Option<RestartSum>>,
    /// Its process over time.
    pub samples: ProcessSamples,
}

/// A sum over rounds, and when its first round began and its last one ended.
#[derive(Debug)]
pub struct Timed<T> {
    /// The sum.
    pub sum: T,
    /// Since the run began.
    pub start: Duration,
    /// Since the run began.
    pub end: Duration,
}

/// An operation's outcomes, summed over rounds.
#[derive(Debug)]
pub struct OperationSum {
    outcome: OperationOutcome,
}

/// A stream's outcomes, summed over rounds.
#[derive(Debug)]
pub struct StreamSum {
    outcome: StreamOutcome,
}

impl Measured {
    /// Room for what the plan will measure.
    #[must_use]
    pub fn of(plan: &BrokerPlan<'_>) -> Self {
        Self {
            operations: plan.operations.iter().map(|_| None).collect(),
            streams: plan.streams.iter().map(|_| None).collect(),
            backlogs: plan.backlogs.iter().map(|_| None).collect(),
            restarts: plan.restarts.iter().map(|_| None).collect(),
            ..Self::default()
        }
    }

    /// Adds a round of an operation.
    pub fn add_operation(&mut self, cell: usize, outcome: OperationOutcome, times: [Duration; 2]) {
        let [start, end] = times;
        match &mut self.operations[cell] {
            Some(timed) => {
                timed.sum.add(outcome);
                timed.end = end;
            }
            empty => *empty = Some(Timed { sum: OperationSum { outcome }, start, end }),
        }
    }

    /// Adds a round of a stream.
    pub fn add_stream(&mut self, cell: usize, outcome: StreamOutcome, times: [Duration; 2]) {
        let [start, end] = times;
        match &mut self.streams[cell] {
            Some(timed) => {
                timed.sum.add(&outcome);
                timed.end = end;
            }
            empty => *empty = Some(Timed { sum: StreamSum { outcome }, start, end }),
        }
    }

    /// Whether anything was measured.
    #[must_use]
    pub fn has_any(&self) -> bool {
        self.operations.iter().any(Option::is_some)
            || self.streams.iter().any(Option::is_some)
            || self.backlogs.iter().any(Option::is_some)
            || self.restarts.iter().any(Option::is_some)
    }

    /// The record of the broker; its histograms are added to `histograms`.
    #[must_use]
    pub fn record(self, plan: &BrokerPlan<'_>, histograms: &mut HistogramSet) -> BrokerRun {
        let broker = plan.broker;
        let mut operations = Vec::new();
        for (cell, timed) in plan.operations.iter().zip(self.operations) {
            let Some(timed) = timed else { continue };
            operations.push(timed.sum.result(cell, &broker.name));
            let logged = logged(timed.sum.outcome.latencies, timed.start, timed.end);
            histograms.add(cell.tag(&broker.name), logged);
        }
        let mut streams = Vec::new();
        for (cell, timed) in plan.streams.iter().zip(self.streams) {
            let Some(timed) = timed else { continue };
            streams.push(timed.sum.result(cell, &broker.name));
            let StreamOutcome { latencies, acknowledged, .. } = timed.sum.outcome;
            if cell.shape.subscribers > 0 {
                let logged = logged(latencies, timed.start, timed.end);
                histograms.add(cell.tag(&broker.name), logged);
            }
            if let Some(acknowledged) = acknowledged {
                let logged = logged(acknowledged.latencies, timed.start, timed.end);
                histograms.add(cell.acks_tag(&broker.name), logged);
            }
        }
        let backlogs = plan.backlogs.iter().zip(self.backlogs);
        let backlogs = backlogs.filter_map(|(cell, sum)| Some(sum?.result(cell))).collect();
        let restarts = plan.restarts.iter().zip(self.restarts);
        let restarts = restarts.filter_map(|(cell, sum)| Some(sum?.result(cell))).collect();
        BrokerRun {
            name: broker.name.clone(),
            kind: broker.driver.broker_kind(),
            version: self.version,
            command_line: self.command_line,
            driver: broker.driver.name().to_owned(),
            guarantee: broker.guarantee,
            config_text: broker.config_file.clone(),
            data_place: self.data_place,
            operations,
            streams,
            backlogs,
            restarts,
            storms: vec![],
            idles: vec![],
            outages: vec![],
            knees: vec![],
            resources: self.samples.resources,
            marks: self.samples.marks,
        }
    }

    /// Errors that were counted, one sentence for each cell that had any.
    #[must_use]
    pub fn error_warnings(&self, plan: &BrokerPlan<'_>) -> Vec<String> {
        let cells = plan.operations.iter().zip(&self.operations);
        cells
            .filter_map(|(cell, timed)| {
                let errors = &timed.as_ref()?.sum.outcome.errors;
                let counted: Vec<_> =
                    errors.iter().map(|(code, count)| format!("{count} × {code}")).collect();
                let label = cell.label();
                (!counted.is_empty()).then(|| {
                    format!("{}: {label}: errors: {}", plan.broker.name, counted.join(", "))
                })
            })
            .collect()
    }

    /// Measurements in which messages did not come as promised, one sentence each.
    #[must_use]
    pub fn breaches(&self, plan: &BrokerPlan<'_>) -> Vec<String> {
        let streams = plan.streams.iter().zip(&self.streams).filter_map(|(cell, timed)| {
            let faults = timed.as_ref()?.sum.outcome.faults;
            breach(faults, cell.lag_policy).map(|breach| format!("{}: {breach}", cell.label()))
        });
        let found = streams.chain(self.pile_breaches(plan));
        found.map(|breach| format!("{}: {breach}", plan.broker.name)).collect()
    }
}

fn logged(histogram: LatencyHistogram, start: Duration, end: Duration) -> LoggedHistogram {
    LoggedHistogram { start, interval: end.saturating_sub(start), histogram }
}

/// Which promise was broken; a stream that may skip may lose.
fn breach(faults: Faults, lag_policy: LagPolicyChoice) -> Option<String> {
    let allowed = match lag_policy {
        LagPolicyChoice::Hold => Faults::default(),
        LagPolicyChoice::Skip => Faults { lost: faults.lost, ..Faults::default() },
    };
    let Faults { lost, duplicated, reordered, corrupted } = faults;
    (faults != allowed).then(|| {
        format!(
            "expected every message once, whole and in order; found {lost} lost, \
             {duplicated} duplicated, {reordered} reordered, {corrupted} corrupted"
        )
    })
}

impl OperationSum {
    fn add(&mut self, round: OperationOutcome) {
        let sum = &mut self.outcome;
        sum.count += round.count;
        sum.duration_ns += round.duration_ns;
        sum.latencies.merge(&round.latencies);
        for (code, count) in round.errors {
            *sum.errors.entry(code).or_default() += count;
        }
    }

    fn result(&self, cell: &OperationCell, broker: &str) -> OperationResult {
        let outcome = &self.outcome;
        OperationResult {
            operation: cell.operation.name(),
            clients: cell.clients,
            count: outcome.count,
            errors: outcome.errors.values().sum(),
            duration_ns: outcome.duration_ns,
            throughput_per_s: rate_per_s(outcome.count, outcome.duration_ns),
            latency: outcome.latencies.summary(),
            histogram: cell.tag(broker),
            verdict: Verdict::default(),
            resources: None,
            rounds: vec![],
        }
    }
}

impl StreamSum {
    fn add(&mut self, round: &StreamOutcome) {
        let sum = &mut self.outcome;
        sum.sent += round.sent;
        sum.expected += round.expected;
        sum.received += round.received;
        sum.faults += round.faults;
        sum.duration_ns += round.duration_ns;
        sum.latencies.merge(&round.latencies);
        if let (Some(sum), Some(round)) = (&mut sum.acknowledged, &round.acknowledged) {
            sum.messages += round.messages;
            sum.duration_ns += round.duration_ns;
            sum.latencies.merge(&round.latencies);
        }
    }

    fn result(&self, cell: &StreamCell, broker: &str) -> StreamResult {
        let outcome = &self.outcome;
        let delivered_per_s = rate_per_s(outcome.received, outcome.duration_ns);
        let load = StreamLoad::from(cell.load);
        StreamResult {
            label: cell.label(),
            shape: cell.shape,
            topics: 1,
            wildcard: false,
            slow_subscribers: 0,
            payload_bytes: cell.payload_bytes as u64,
            offered_per_s: load.offered_per_s(),
            load,
            late_sends: 0,
            messages_sent: outcome.sent,
            messages_expected: outcome.expected,
            messages_received: outcome.received,
            lost: outcome.faults.lost,
            duplicated: outcome.faults.duplicated,
            reordered: outcome.faults.reordered,
            corrupted: outcome.faults.corrupted,
            late: 0,
            pairs: vec![],
            pairs_left_off: 0,
            duration_ns: outcome.duration_ns,
            sent_per_s: rate_per_s(outcome.sent, outcome.duration_ns),
            delivered_per_s,
            delivered_bytes_per_s: delivered_per_s * cell.payload_bytes as f64,
            latencies: self.latencies(cell, broker),
            ratio_to_ceiling: None,
            acknowledged: outcome
                .acknowledged
                .as_ref()
                .zip(cell.acks)
                .map(|(acks, in_flight)| acknowledged(acks, in_flight, cell)),
            verdict: Verdict::default(),
            resources: None,
            generator: GeneratorFigures::default(),
            timeline: vec![],
            rounds: vec![],
        }
    }

    /// At a fixed rate deliveries are timed from when messages were due, otherwise from when they
    /// were sent.
    fn latencies(&self, cell: &StreamCell, broker: &str) -> StreamLatencies {
        let outcome = &self.outcome;
        let delivery = (cell.shape.subscribers > 0)
            .then(|| Latency { summary: outcome.latencies.summary(), histogram: cell.tag(broker) });
        let (service, response) = match cell.load {
            LoadChoice::Saturating => (delivery, None),
            LoadChoice::RatePerS(_) => (None, delivery),
        };
        let acknowledgement = outcome.acknowledged.as_ref().map(|acks| Latency {
            summary: acks.latencies.summary(),
            histogram: cell.acks_tag(broker),
        });
        StreamLatencies { acknowledgement, service, response, ..StreamLatencies::default() }
    }
}

fn acknowledged(outcome: &AckOutcome, in_flight: u32, cell: &StreamCell) -> Acknowledged {
    let per_s = rate_per_s(outcome.messages, outcome.duration_ns);
    Acknowledged {
        in_flight,
        messages: outcome.messages,
        duration_ns: outcome.duration_ns,
        per_s,
        bytes_per_s: per_s * cell.payload_bytes as f64,
        ratio_to_disk: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::plan::Plan;

    fn config(lag_policy: &str) -> Config {
        Config::parse(&format!(
            "name = \"r\"\n[[brokers]]\nname = \"n\"\ndriver = \"null\"\n\
             [operations]\nlist = [\"publish\"]\nclients = [1]\ncount = 1\n\
             [[streams]]\npublishers = 1\nsubscribers = 1\npayload_bytes = [16]\n\
             messages = 1\nlag_policy = \"{lag_policy}\"\n"
        ))
        .unwrap()
    }

    fn operation(count: u64, errors: &[(&str, u64)]) -> OperationOutcome {
        let mut latencies = LatencyHistogram::new();
        latencies.record_ns_n(1000, count);
        let errors = errors.iter().map(|(code, count)| ((*code).to_owned(), *count)).collect();
        OperationOutcome { count, errors, duration_ns: 1_000_000_000, latencies }
    }

    fn stream(faults: Faults) -> StreamOutcome {
        StreamOutcome {
            sent: 10,
            expected: 10,
            received: 10,
            faults,
            duration_ns: 1_000_000_000,
            latencies: LatencyHistogram::new(),
            acknowledged: None,
        }
    }

    const TIMES: [Duration; 2] = [Duration::ZERO, Duration::from_secs(1)];

    #[test]
    fn rounds_are_summed_and_errors_named() {
        let config = config("hold");
        let plan = Plan::of(&config).brokers.remove(0);
        let mut measured = Measured::of(&plan);
        measured.add_operation(0, operation(100, &[("topic_exists", 2)]), TIMES);
        measured.add_operation(0, operation(50, &[("topic_exists", 1)]), TIMES);
        let warnings = measured.error_warnings(&plan);
        assert_eq!(warnings, ["n: publish, 1 client: errors: 3 × topic_exists"]);
        let mut histograms = HistogramSet::new();
        let record = measured.record(&plan, &mut histograms);
        let result = &record.operations[0];
        assert_eq!((result.count, result.errors, result.throughput_per_s), (150, 3, 75.0));
        assert_eq!(histograms.histogram(&result.histogram).unwrap().count(), 150);
        assert!(record.streams.is_empty(), "what did not run is not there");
    }

    #[test]
    fn only_a_stream_that_may_skip_may_lose() {
        let lost = Faults { lost: 1, ..Faults::default() };
        let doubled = Faults { duplicated: 1, ..Faults::default() };
        for (lag_policy, faults, breaches) in
            [("hold", lost, 1), ("skip", lost, 0), ("skip", doubled, 1), ("hold", doubled, 1)]
        {
            let config = config(lag_policy);
            let plan = Plan::of(&config).brokers.remove(0);
            let mut measured = Measured::of(&plan);
            measured.add_stream(0, stream(faults), TIMES);
            assert_eq!(measured.breaches(&plan).len(), breaches, "{lag_policy}, {faults:?}");
        }
    }

    #[test]
    fn streams_are_related_to_the_same_stream_of_the_ceiling() {
        let config = config("hold");
        let plan = Plan::of(&config).brokers.remove(0);
        let run = |received| {
            let mut measured = Measured::of(&plan);
            let outcome = StreamOutcome { received, ..stream(Faults::default()) };
            measured.add_stream(0, outcome, TIMES);
            measured.record(&plan, &mut HistogramSet::new())
        };
        let mut brokers = [run(20), run(10)];
        brokers[1].driver = "broker".to_owned();
        relate_to_ceiling(&mut brokers, "null");
        assert_eq!(brokers[1].streams[0].ratio_to_ceiling, Some(0.5));
    }
}
