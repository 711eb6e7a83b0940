//! What streams come to.

use crate::config::{BrokerConfig, Drive, LagPolicyChoice, StreamConfig, StreamExtent};
use crate::drivers::{DriverKind, StreamDemand, Support};
use crate::schedule::{self, LoadModel};
use crate::validity::Loss;
use crate::wire::Selection;
use measure::{BrokerKind, GuaranteeClass, HistogramTag, StreamLoad, StreamShape};

const DELIVERIES_PER_S_GUESS: f64 = 2_000_000.0;
const DRAIN_MS_GUESS: u64 = 100;
const CEILING_MS_GUESS: u64 = 150;

/// What a search measures, at most, as a guess.
const ATTEMPTS_GUESS: u64 = 20;

const NS_PER_MS: u64 = 1_000_000;

/// One stream.
#[derive(Clone, Debug, PartialEq)]
pub struct StreamCell {
    /// Its place among the configuration's streams.
    pub index: usize,
    /// What is asked.
    pub config: StreamConfig,
}

impl StreamCell {
    pub(super) fn new(index: usize, config: &StreamConfig) -> Self {
        Self { index, config: config.clone() }
    }

    /// Who sends to whom.
    #[must_use]
    pub fn shape(&self) -> StreamShape {
        StreamShape::new(self.config.publishers, self.config.subscribers)
    }

    /// As the configuration has it.
    #[must_use]
    pub fn label(&self) -> String {
        self.config.label()
    }

    /// The label, and what it does not say.
    #[must_use]
    pub fn describe(&self) -> String {
        format!("{}, {} a write", self.label(), self.config.batch)
    }

    /// How its loads are recorded; that of a search is what it found.
    #[must_use]
    pub fn load_at(&self, rate_per_s: Option<f64>) -> StreamLoad {
        match (&self.config.drive, rate_per_s) {
            (Drive::Load(load), _) => load.clone(),
            (Drive::FindMax(search), rate) => search.load_at(rate.unwrap_or(0.0)),
        }
    }

    /// When its messages are due; `None`: as fast as the broker takes them.
    #[must_use]
    pub fn model(&self) -> Option<LoadModel> {
        let duration_ms = match self.config.extent {
            StreamExtent::DurationMs(duration_ms) => duration_ms,
            StreamExtent::Messages(_) => 1000,
        };
        self.config.load().and_then(|load| model(load, duration_ms))
    }

    /// Whether messages may be lost: where subscribers may skip, or a broker promises no more than
    /// to deliver a message at most once. What is a ceiling must not.
    #[must_use]
    pub fn loss(&self, broker: &BrokerConfig) -> Loss {
        let (kind, class) = (broker.driver.broker_kind(), broker.guarantee);
        match (self.config.lag_policy, kind, class) {
            (LagPolicyChoice::Skip, _, _) | (_, BrokerKind::Broker, GuaranteeClass::AtMostOnce) => {
                Loss::Allowed
            }
            (LagPolicyChoice::Hold, _, _) => Loss::Forbidden,
        }
    }

    /// Its histograms' place in the log.
    #[must_use]
    pub fn tag(&self, broker: &str) -> HistogramTag {
        HistogramTag::new(broker).part(&self.label())
    }

    /// About how long it takes.
    #[must_use]
    pub fn estimated_ms(&self) -> u64 {
        let config = &self.config;
        let measured_ms = match (config.extent, config.load().and_then(StreamLoad::offered_per_s)) {
            (StreamExtent::DurationMs(duration_ms), _) => duration_ms,
            (StreamExtent::Messages(messages), Some(rate)) => {
                (messages as f64 / rate * 1000.0) as u64
            }
            (StreamExtent::Messages(messages), None) => {
                let deliveries = messages as f64 * f64::from(config.subscribers.max(1));
                (deliveries / DELIVERIES_PER_S_GUESS * 1000.0) as u64
            }
        };
        let once = config.warmup_ms + measured_ms + DRAIN_MS_GUESS;
        match config.drive {
            Drive::Load(_) => once + CEILING_MS_GUESS,
            Drive::FindMax(_) => once * ATTEMPTS_GUESS + CEILING_MS_GUESS,
        }
    }
}

/// Whether a driver can measure a stream.
pub(super) fn support(driver: DriverKind, stream: &StreamConfig) -> Support {
    let demand = match (stream.in_flight(), stream.subscribers) {
        (None, _) => StreamDemand::Delivered,
        (Some(_), 0) => StreamDemand::Acknowledged,
        (Some(_), _) => StreamDemand::DeliveredAndAcknowledged,
    };
    if stream.churn.is_some() && !driver.needs_process() {
        return Support::Meaningless("nobody connects to it, so nobody comes and goes");
    }
    if driver == DriverKind::Null && !is_plain(stream) {
        return Support::Meaningless(
            "the load generator by itself follows no schedule, and its subscribers only read",
        );
    }
    let selection = if stream.wildcard { Selection::Wildcard } else { Selection::Names };
    match driver.stream(demand) {
        Support::Measured => driver.topics(stream.topics, selection),
        meaningless @ Support::Meaningless(_) => meaningless,
    }
}

/// Whether publishers send as fast as they can, and subscribers all read so.
fn is_plain(stream: &StreamConfig) -> bool {
    stream.load() == Some(&StreamLoad::Saturating) && stream.slow.is_none()
}

/// A configured load as a schedule over a phase of so long.
pub(crate) fn model(load: &StreamLoad, duration_ms: u64) -> Option<LoadModel> {
    match load.clone() {
        StreamLoad::Saturating | StreamLoad::Closed { .. } => None,
        StreamLoad::Open { rate_per_s, arrivals } => {
            let arrivals = match arrivals {
                measure::Arrivals::Constant => schedule::Arrivals::Constant,
                measure::Arrivals::Poisson => schedule::Arrivals::Poisson,
            };
            Some(LoadModel::Open { rate_per_s, arrivals })
        }
        StreamLoad::Steps { rates_per_s, step_ms } => {
            Some(LoadModel::Steps { rates_per_s, step_ns: step_ms * NS_PER_MS })
        }
        StreamLoad::Ramp { from_per_s, to_per_s } => {
            Some(LoadModel::Ramp { from_per_s, to_per_s, over_ns: duration_ms * NS_PER_MS })
        }
        StreamLoad::Burst { rate_per_s, burst_messages, every_ms } => {
            Some(LoadModel::Burst { rate_per_s, burst_messages, every_ns: every_ms * NS_PER_MS })
        }
    }
}
