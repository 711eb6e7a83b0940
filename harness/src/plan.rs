//! What a configuration comes to: every measurement of every broker, in order, and how long it
//! will take.

mod piles;

pub use piles::{BacklogCell, PileCell, RestartCell};

use crate::config::{
    Arrivals, BrokerConfig, Config, Drive, LagPolicyChoice, LoadChoice, OperationsConfig,
    OperationsExtent, Payload, StreamConfig, StreamExtent, StreamLoad,
};
use crate::drivers::{Operation, StreamDemand, Support};
use measure::{HistogramTag, SkippedBroker, StreamShape};
use std::fmt::Write as _;

/// Guesses for loads that are given as a number and not as a time.
const REQUESTS_PER_S_GUESS: f64 = 30_000.0;
const DELIVERIES_PER_S_GUESS: f64 = 2_000_000.0;

/// Guesses for what comes around a measurement.
const BROKER_START_MS_GUESS: u64 = 200;
const OPERATION_SETUP_MS_GUESS: u64 = 60;
const STREAM_DRAIN_MS_GUESS: u64 = 60;
const REPORT_MS_GUESS: u64 = 2_000;

/// Everything that a run will do.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan<'a> {
    /// Rounds over all brokers.
    pub rounds: u32,
    /// In order.
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

/// One stream at one size of payload.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StreamCell {
    /// Who sends to whom.
    pub shape: StreamShape,
    /// Size of each payload.
    pub payload_bytes: usize,
    /// Messages in one write, at most.
    pub batch: u32,
    /// Publications of each publisher under way at once; `None`: none are acknowledged.
    pub acks: Option<u32>,
    /// For how long.
    pub extent: StreamExtent,
    /// How long beforehand, unrecorded.
    pub warmup_ms: u64,
    /// What the broker is to do when a subscriber falls behind.
    pub lag_policy: LagPolicyChoice,
    /// How hard the publishers push.
    pub load: LoadChoice,
}

impl<'a> Plan<'a> {
    /// The plan of a configuration.
    #[must_use]
    pub fn of(config: &'a Config) -> Self {
        let brokers = config.brokers.iter().enumerate();
        let brokers =
            brokers.map(|(index, broker)| BrokerPlan::of(config, index, broker)).collect();
        Self { rounds: config.repeat, brokers }
    }

    /// Measurements in all rounds.
    #[must_use]
    pub fn cells(&self) -> u64 {
        let once: u64 = self.brokers.iter().map(BrokerPlan::cells).sum();
        once * u64::from(self.rounds)
    }

    /// About how long it takes, building brokers aside.
    #[must_use]
    pub fn estimated_ms(&self) -> u64 {
        let round: u64 = self.brokers.iter().map(BrokerPlan::estimated_ms).sum();
        round * u64::from(self.rounds) + REPORT_MS_GUESS
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
                let _ = writeln!(text, "  {}, {} a write", cell.label(), cell.batch);
            }
            for cell in &plan.backlogs {
                let _ = writeln!(text, "  {}", cell.describe());
            }
            for cell in &plan.restarts {
                let _ = writeln!(text, "  {}", cell.label());
            }
            for skipped in &plan.skipped {
                let _ = writeln!(text, "  skipped: {}: {}", skipped.name, skipped.reason);
            }
        }
        let rounds = match self.rounds {
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
            skipped: Vec::new(),
        };
        if let Some(operations) = &config.operations {
            plan.add_operations(operations);
        }
        plan.add_streams(&config.streams);
        plan.add_backlogs(&config.backlogs);
        plan.add_restarts(&config.restarts);
        for (what, is_asked) in [
            ("storms", !config.storms.is_empty()),
            ("idles", !config.idles.is_empty()),
            ("outages", !config.outages.is_empty()),
        ] {
            if is_asked {
                plan.skip(what, NOT_DRIVEN);
            }
        }
        plan
    }

    /// Measurements in one round.
    #[must_use]
    pub fn cells(&self) -> u64 {
        let in_one_process = self.operations.len() + self.streams.len();
        (in_one_process + self.backlogs.len() + self.restarts.len()) as u64
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
        for stream in asked {
            let reason = match (self.broker.driver.stream(demand(stream)), stream_cell(stream)) {
                (Support::Meaningless(reason), _) => reason,
                (Support::Measured, None) => NOT_DRIVEN,
                (Support::Measured, Some(cell)) => {
                    self.streams.push(cell);
                    continue;
                }
            };
            if !reasons.contains(&reason) {
                reasons.push(reason);
            }
        }
        for reason in reasons {
            self.skip("streams", reason);
        }
    }

    fn skip(&mut self, what: &str, reason: &str) {
        let name = format!("{}: {what}", self.broker.name);
        self.skipped.push(SkippedBroker { name, reason: reason.to_owned() });
    }

    fn estimated_ms(&self) -> u64 {
        let operations: u64 = self.operations.iter().map(OperationCell::estimated_ms).sum();
        let streams: u64 = self.streams.iter().map(StreamCell::estimated_ms).sum();
        let backlogs: u64 = self.backlogs.iter().map(BacklogCell::estimated_ms).sum();
        let restarts: u64 = self.restarts.iter().map(RestartCell::estimated_ms).sum();
        let starts = 1 + self.backlogs.len() as u64 + 2 * self.restarts.len() as u64;
        starts * BROKER_START_MS_GUESS + operations + streams + backlogs + restarts
    }
}

fn demand(stream: &StreamConfig) -> StreamDemand {
    match (stream.in_flight(), stream.subscribers) {
        (None, _) => StreamDemand::Delivered,
        (Some(_), 0) => StreamDemand::Acknowledged,
        (Some(_), _) => StreamDemand::DeliveredAndAcknowledged,
    }
}

/// What the load engine does not do is said, and not done in some other way.
const NOT_DRIVEN: &str = "the load engine of this version does not drive them";

/// A stream that the load engine can drive.
fn stream_cell(stream: &StreamConfig) -> Option<StreamCell> {
    let load = match &stream.drive {
        Drive::Load(StreamLoad::Saturating) => LoadChoice::Saturating,
        Drive::Load(StreamLoad::Open { rate_per_s, arrivals: Arrivals::Constant })
            if stream.acks.is_none() =>
        {
            LoadChoice::RatePerS(*rate_per_s)
        }
        _ => return None,
    };
    let Payload::Fixed(payload_bytes) = stream.payload else { return None };
    if stream.topics > 1 || stream.wildcard || stream.slow.is_some() || stream.churn.is_some() {
        return None;
    }
    Some(StreamCell {
        shape: StreamShape::new(stream.publishers, stream.subscribers),
        payload_bytes,
        batch: stream.batch,
        acks: stream.acks,
        extent: stream.extent,
        warmup_ms: stream.warmup_ms,
        lag_policy: stream.lag_policy,
        load,
    })
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

    fn estimated_ms(&self) -> u64 {
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

impl StreamCell {
    /// In progress and phase marks, e.g. `stream 1→50, 100 B, saturating`, or with
    /// acknowledgements `stream 1→0, 100 B, saturating, 64 in flight`.
    #[must_use]
    pub fn label(&self) -> String {
        let Self { shape, payload_bytes, load, .. } = self;
        match self.acks {
            None => format!("stream {shape}, {payload_bytes} B, {load}"),
            Some(acks) => format!("stream {shape}, {payload_bytes} B, {load}, {acks} in flight"),
        }
    }

    /// The place in the log of the histogram of its deliveries.
    #[must_use]
    pub fn tag(&self, broker: &str) -> HistogramTag {
        let payload_bytes = self.payload_bytes as u64;
        let tag = HistogramTag::for_stream(broker, self.shape, payload_bytes, &self.load.into());
        match self.acks {
            None => tag,
            Some(acks) => tag.part(&format!("{acks}-in-flight")),
        }
    }

    /// The place in the log of the histogram of its acknowledgements.
    #[must_use]
    pub fn acks_tag(&self, broker: &str) -> HistogramTag {
        self.tag(broker).part("acks")
    }

    fn estimated_ms(&self) -> u64 {
        let measured_ms = match (self.extent, self.load) {
            (StreamExtent::DurationMs(duration_ms), _) => duration_ms,
            (StreamExtent::Messages(messages), LoadChoice::RatePerS(rate)) => {
                (messages as f64 / rate * 1000.0) as u64
            }
            (StreamExtent::Messages(messages), LoadChoice::Saturating) => {
                let deliveries = messages as f64 * f64::from(self.shape.subscribers.max(1));
                (deliveries / DELIVERIES_PER_S_GUESS * 1000.0) as u64
            }
        };
        self.warmup_ms + measured_ms + STREAM_DRAIN_MS_GUESS
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
        assert_eq!(plan.cells(), 2 * (4 + 2 + 2 + 2 + 4));
        let cell = plan.brokers[0].operations[0];
        let create = OperationCell { operation: Operation::Create, ..cell };
        assert_eq!(create.estimated_ms(), cell.estimated_ms() + 1000);
        let stream = plan.brokers[0].streams[0];
        assert_eq!(stream.estimated_ms(), 10_000 + 100 + STREAM_DRAIN_MS_GUESS);
    }
}
