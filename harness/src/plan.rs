//! What a configuration comes to: every measurement of every broker, in order, and how long it
//! will take.

mod outages;
mod piles;
mod rounds;
mod streams;

pub use piles::{BacklogCell, PileCell, RestartCell};
pub use rounds::rounds_order;
pub use streams::StreamCell;
pub(crate) use streams::model as load_model;

use crate::config::{
    BrokerConfig, Config, IdleConfig, OperationsConfig, OperationsExtent, OutageConfig,
    StormConfig, StreamConfig,
};
use crate::drivers::{Operation, Support};
use measure::{HistogramTag, SkippedBroker};
use std::fmt::Write as _;

/// Guesses for loads that are given as a number and not as a time.
const REQUESTS_PER_S_GUESS: f64 = 30_000.0;
const CONNECTIONS_PER_S_GUESS: u64 = 5_000;

/// Guesses for what comes around a measurement.
const BROKER_START_MS_GUESS: u64 = 200;
const OPERATION_SETUP_MS_GUESS: u64 = 60;
const REPORT_MS_GUESS: u64 = 2_000;

/// Everything that a run will do.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan<'a> {
    /// The order of the brokers in each round: their places in `brokers`.
    pub rounds: Vec<Vec<usize>>,
    /// As configured.
    pub brokers: Vec<BrokerPlan<'a>>,
}

/// Everything that is measured of one broker, in one round.
#[derive(Clone, Debug, PartialEq)]
pub struct BrokerPlan<'a> {
    /// Its place among the plan's brokers.
    pub index: usize,
    /// Which.
    pub broker: &'a BrokerConfig,
    /// Operations, in order.
    pub operations: Vec<OperationCell>,
    /// Streams, in order, after the operations.
    pub streams: Vec<StreamCell>,
    /// Backlogs, in order, each in a process of its own.
    pub backlogs: Vec<BacklogCell>,
    /// Restarts, in order, each in a process of its own.
    pub restarts: Vec<RestartCell>,
    /// Crowds that connect, in order, each to a process of its own.
    pub storms: Vec<StormConfig>,
    /// Crowds at rest, in order, each on a process of its own.
    pub idles: Vec<IdleConfig>,
    /// Outages, in order, each of a process of its own.
    pub outages: Vec<OutageConfig>,
    /// What is asked for and cannot be measured.
    pub skipped: Vec<SkippedBroker>,
}

/// One operation at one number of clients.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OperationCell {
    /// Which.
    pub operation: Operation,
    /// By how many at the same time.
    pub clients: u32,
    /// For how long.
    pub extent: OperationsExtent,
    /// How long beforehand, unrecorded.
    pub warmup_ms: u64,
    /// Size of a message.
    pub payload_bytes: usize,
}

impl<'a> Plan<'a> {
    /// The plan of a configuration.
    #[must_use]
    pub fn of(config: &'a Config) -> Self {
        let brokers = config.brokers.iter().enumerate();
        let brokers: Vec<_> =
            brokers.map(|(index, broker)| BrokerPlan::of(config, index, broker)).collect();
        let rounds = rounds_order(config.repeat, brokers.len(), config.seed);
        Self { rounds, brokers }
    }

    /// Measurements in all rounds.
    #[must_use]
    pub fn cells(&self) -> u64 {
        let once: u64 = self.brokers.iter().map(BrokerPlan::cells).sum();
        once * self.rounds.len() as u64
    }

    /// About how long it takes, building brokers aside.
    #[must_use]
    pub fn estimated_ms(&self) -> u64 {
        let round: u64 = self.brokers.iter().map(BrokerPlan::estimated_ms).sum();
        round * self.rounds.len() as u64 + REPORT_MS_GUESS
    }

    /// The plan in words.
    #[must_use]
    pub fn describe(&self) -> String {
        let mut text = String::new();
        for plan in &self.brokers {
            let _ = writeln!(text, "{}: {}", plan.broker.name, how_started(plan.broker));
            for cell in &plan.operations {
                let _ = writeln!(text, "  {}", cell.label());
            }
            for cell in &plan.streams {
                let _ = writeln!(text, "  {}", cell.describe());
            }
            for cell in &plan.backlogs {
                let _ = writeln!(text, "  {}", cell.describe());
            }
            for cell in &plan.restarts {
                let _ = writeln!(text, "  {}", cell.label());
            }
            for cell in &plan.storms {
                let _ = writeln!(text, "  {}", cell.label());
            }
            for cell in &plan.idles {
                let _ = writeln!(text, "  {}", cell.label());
            }
            for cell in &plan.outages {
                let _ = writeln!(text, "  {}", cell.label());
            }
            for skipped in &plan.skipped {
                let _ = writeln!(text, "  skipped: {}: {}", skipped.name, skipped.reason);
            }
        }
        let rounds = match self.rounds.len() {
            1 => String::new(),
            rounds => format!(" in {rounds} rounds"),
        };
        let seconds = self.estimated_ms().div_ceil(1000);
        let _ = writeln!(text, "{} measurements{rounds}, about {seconds} s", self.cells());
        text
    }
}

fn how_started(broker: &BrokerConfig) -> String {
    let driver = broker.driver.name();
    match (&broker.command, broker.address) {
        (Some(command), _) => format!("start `{}`, speak {driver}", command.join(" ")),
        (None, Some(address)) => format!("running at {address}, speak {driver}"),
        (None, None) => format!("no process, {driver}"),
    }
}

impl<'a> BrokerPlan<'a> {
    fn of(config: &Config, index: usize, broker: &'a BrokerConfig) -> Self {
        let mut plan = Self {
            index,
            broker,
            operations: Vec::new(),
            streams: Vec::new(),
            backlogs: Vec::new(),
            restarts: Vec::new(),
            storms: Vec::new(),
            idles: Vec::new(),
            outages: Vec::new(),
            skipped: Vec::new(),
        };
        if let Some(operations) = &config.operations {
            plan.add_operations(operations);
        }
        plan.add_streams(&config.streams);
        plan.add_backlogs(&config.backlogs);
        plan.add_restarts(&config.restarts);
        plan.add_events(config);
        plan
    }

    /// Measurements in one round.
    #[must_use]
    pub fn cells(&self) -> u64 {
        let in_one_process = self.operations.len() + self.streams.len();
        let piles = self.backlogs.len() + self.restarts.len();
        let events = self.storms.len() + self.idles.len() + self.outages.len();
        (in_one_process + piles + events) as u64
    }

    fn add_operations(&mut self, asked: &OperationsConfig) {
        let mut meaningless: Vec<(&'static str, Vec<String>)> = Vec::new();
        for &operation in &asked.list {
            match self.broker.driver.operation(operation) {
                Support::Measured => {
                    self.operations.extend(asked.clients.iter().map(|&clients| OperationCell {
                        operation,
                        clients,
                        extent: asked.extent,
                        warmup_ms: asked.warmup_ms,
                        payload_bytes: asked.payload_bytes,
                    }));
                }
                Support::Meaningless(reason) => {
                    let name = operation.name().to_string();
                    match meaningless.iter_mut().find(|(known, _)| *known == reason) {
                        Some((_, names)) => names.push(name),
                        None => meaningless.push((reason, vec![name])),
                    }
                }
            }
        }
        self.skipped.extend(meaningless.into_iter().map(|(reason, names)| SkippedBroker {
            name: format!("{}: {}", self.broker.name, names.join(", ")),
            reason: reason.to_owned(),
        }));
    }

    fn add_streams(&mut self, asked: &[StreamConfig]) {
        let mut reasons = Vec::new();
        let own = |(_, stream): &(usize, &StreamConfig)| stream.is_for(&self.broker.name);
        for (index, stream) in asked.iter().enumerate().filter(own) {
            match streams::support(self.broker.driver, stream) {
                Support::Measured => self.streams.push(StreamCell::new(index, stream)),
                Support::Meaningless(reason) if !reasons.contains(&reason) => reasons.push(reason),
                Support::Meaningless(_) => {}
            }
        }
        for reason in reasons {
            self.skip("streams", reason);
        }
    }

    fn add_events(&mut self, config: &Config) {
        let is_process = self.broker.driver.needs_process();
        let crowds = !config.storms.is_empty() || !config.idles.is_empty();
        match is_process {
            true => {
                self.storms.clone_from(&config.storms);
                self.idles.clone_from(&config.idles);
            }
            false if crowds => self.skip("crowds", "there is no process to connect to"),
            false => {}
        }
        if config.outages.is_empty() {
            return;
        }
        match self.outages_support() {
            Support::Measured => self.outages.clone_from(&config.outages),
            Support::Meaningless(reason) => self.skip("outages", reason),
        }
    }

    fn skip(&mut self, what: &str, reason: &str) {
        let name = format!("{}: {what}", self.broker.name);
        self.skipped.push(SkippedBroker { name, reason: reason.to_owned() });
    }

    /// About how long it takes.
    #[must_use]
    pub fn estimated_ms(&self) -> u64 {
        let operations: u64 = self.operations.iter().map(OperationCell::estimated_ms).sum();
        let streams: u64 = self.streams.iter().map(StreamCell::estimated_ms).sum();
        let backlogs: u64 = self.backlogs.iter().map(BacklogCell::estimated_ms).sum();
        let restarts: u64 = self.restarts.iter().map(RestartCell::estimated_ms).sum();
        let connections = self.storms.iter().map(|storm| storm.connections);
        let connections = connections.chain(self.idles.iter().map(|idle| idle.connections));
        let connecting = connections.map(u64::from).sum::<u64>() * 1000 / CONNECTIONS_PER_S_GUESS;
        let held: u64 = self.idles.iter().map(|idle| idle.hold_ms).sum();
        let outages: u64 = self.outages.iter().map(|outage| outage.duration_ms).sum();
        let alone = self.backlogs.len() + self.storms.len() + self.idles.len();
        let restarted = self.restarts.len() + self.outages.len();
        let starts = 1 + alone as u64 + 2 * restarted as u64;
        let piles = backlogs + restarts;
        let events = connecting + held + outages;
        starts * BROKER_START_MS_GUESS + operations + streams + piles + events
    }
}

impl OperationCell {
    /// In progress and phase marks, e.g. `publish, 50 clients`.
    #[must_use]
    pub fn label(&self) -> String {
        let plural = if self.clients == 1 { "client" } else { "clients" };
        format!("{}, {} {plural}", self.operation.name(), self.clients)
    }

    /// Its histogram's place in the log.
    #[must_use]
    pub fn tag(&self, broker: &str) -> HistogramTag {
        HistogramTag::for_operation(broker, &self.operation.name(), self.clients)
    }

    /// About how long it takes.
    #[must_use]
    pub fn estimated_ms(&self) -> u64 {
        let measured_ms = match self.extent {
            OperationsExtent::DurationMs(duration_ms) => duration_ms,
            OperationsExtent::Count(count) => {
                let requests = count as f64 * f64::from(self.clients);
                (requests / REQUESTS_PER_S_GUESS * 1000.0) as u64
            }
        };
        // Topics that are created must be deleted again, and the other way round.
        let undone_ms = match self.operation {
            Operation::Create | Operation::Delete => measured_ms,
            Operation::Publish | Operation::Subscribe | Operation::Pull => 0,
        };
        OPERATION_SETUP_MS_GUESS + self.warmup_ms + measured_ms + undone_ms
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> Config {
        Config::parse(
            r#"
            name = "plan"
            repeat = 2
            [[brokers]]
            name = "nothing"
            driver = "null"
            [[brokers]]
            name = "pipe"
            driver = "byte-pipe"
            command = ["byte-pipe"]
            [[brokers]]
            name = "json"
            driver = "tandem-json"
            address = "127.0.0.1:8080"
            [operations]
            list = ["publish", "pull"]
            clients = [1, 50]
            duration_ms = 1000
            [[streams]]
            publishers = 1
            subscribers = 50
            payload_bytes = [16, 100]
            messages = 1_000_000
            load = { rate_per_s = 100_000 }
            "#,
        )
        .unwrap()
    }

    #[test]
    fn the_plan_says_what_will_run_what_not_and_how_long() {
        insta::assert_snapshot!(Plan::of(&config()).describe());
    }

    #[test]
    fn the_estimate_counts_rounds_and_undoing() {
        let config = config();
        let plan = Plan::of(&config);
        assert_eq!(plan.cells(), 2 * (4 + (2 + 2) + (4 + 2)));
        let cell = plan.brokers[0].operations[0];
        let create = OperationCell { operation: Operation::Create, ..cell };
        assert_eq!(create.estimated_ms(), cell.estimated_ms() + 1000);
        assert!(plan.brokers[1].streams[0].estimated_ms() > 10_000 + 100);
    }
}
