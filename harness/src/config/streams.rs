//! Streams as they take effect: one for each combination of what was listed.

use super::{Arrivals, Payload, StreamLoad};
use crate::objectives::Objective;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;
use wildmatch::WildMatch;

/// Messages in one write, unless the configuration says otherwise; labels leave it out.
pub(super) const BATCH_DEFAULT: u32 = 64;

/// One stream.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StreamConfig {
    /// Connections that publish.
    pub publishers: u32,
    /// Connections that each receive everything.
    pub subscribers: u32,
    /// Messages in one write, at most.
    pub batch: u32,
    /// Publications of each publisher that are under way at once and acknowledged each; `None`:
    /// no acknowledgements are wanted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acks: Option<u32>,
    /// How long it goes on.
    #[serde(flatten)]
    pub extent: StreamExtent,
    /// How long it goes on beforehand, unrecorded.
    pub warmup_ms: u64,
    /// What the broker is to do when a subscriber falls behind.
    pub lag_policy: LagPolicyChoice,
    /// Topics that messages are spread over.
    pub topics: u32,
    /// Which of the topics a message goes to.
    pub topic_choice: TopicChoice,
    /// Whether subscribers name the topics by one pattern.
    pub wildcard: bool,
    /// What must hold of its result, e.g. `p99 < 5ms`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub objectives: Vec<Objective>,
    /// Which brokers it is for, by name, `*` standing for any characters; none: all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub brokers: Vec<String>,
    /// What is published.
    #[serde(flatten)]
    pub payload: Payload,
    /// Subscribers among the others that read slowly.
    #[serde(flatten)]
    pub slow: Option<SlowSubscribers>,
    /// Subscribers that come and go beside the others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub churn: Option<Churn>,
    /// How hard the publishers push.
    #[serde(flatten)]
    pub drive: Drive,
}

/// How long a stream goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StreamExtent {
    /// So long.
    DurationMs(u64),
    /// Until so many messages were sent, over all publishers.
    Messages(u64),
}

/// What the broker is to do when a subscriber falls behind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LagPolicyChoice {
    /// Hold publishers back: nothing may be lost.
    #[default]
    Hold,
    /// Skip what the topic no longer holds: losses are counted, and allowed.
    Skip,
}

/// Which of a stream's topics a message goes to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TopicChoice {
    /// Each is as likely as any other.
    #[default]
    Uniform,
    /// The k-th is chosen in proportion to k to the power of minus this exponent (Zipf's law): few
    /// topics have most of the messages.
    Zipf(f64),
}

/// Subscribers that read slowly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct SlowSubscribers {
    /// How many of the stream's subscribers.
    #[serde(rename = "slow_subscribers")]
    pub subscribers: u32,
    /// What each of them reads in a second at most.
    #[serde(rename = "slow_bytes_per_s")]
    pub bytes_per_s: u64,
}

/// Subscribers that come and go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Churn {
    /// From one change to the next: then all of them leave, and as many come.
    pub every_ms: u64,
    /// How many, beside the stream's own.
    pub subscribers: u32,
}

/// How hard a stream's publishers push.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Drive {
    /// So hard.
    Load(StreamLoad),
    /// As hard as they may while the objectives are met: the rate is searched for.
    FindMax(FindMax),
}

/// The search for the highest rate at which objectives are met.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FindMax {
    /// What must hold, e.g. `p99 < 5ms`.
    pub objective: Vec<Objective>,
    /// The first rate, over all publishers; the search climbs from it by doubling.
    pub from_per_s: f64,
    /// The highest rate that is tried.
    pub to_per_s: f64,
    /// How near a rate that meets them and one that does not must come, in percent of the rate.
    pub tolerance_percent: f64,
    /// Repeats at the rate that was found, which must meet them too.
    pub confirm: u32,
    /// How messages are spread over time.
    pub arrivals: Arrivals,
}

impl StreamConfig {
    /// Tells the stream from every other in the configuration, e.g. `stream 1→50, 100 B, saturating`.
    /// What is as usual is left out.
    #[must_use]
    pub fn label(&self) -> String {
        let Self { publishers, subscribers, payload, drive, .. } = self;
        let mut label = format!("stream {publishers}→{subscribers}, {}, {drive}", payload.label());
        if let Some(acks) = self.acks {
            label += &format!(", {acks} in flight");
        }
        if self.batch != BATCH_DEFAULT {
            label += &format!(", batch {}", self.batch);
        }
        match (self.topics, self.topic_choice) {
            (1, _) => {}
            (topics, TopicChoice::Uniform) => label += &format!(", {topics} topics"),
            (topics, TopicChoice::Zipf(exponent)) => {
                label += &format!(", {topics} topics Zipf {exponent}");
            }
        }
        if self.wildcard {
            label += ", wildcard";
        }
        if let Some(slow) = self.slow {
            label += &format!(", {} slow at {} B/s", slow.subscribers, slow.bytes_per_s);
        }
        if let Some(churn) = self.churn {
            label += &format!(", churn {} every {} ms", churn.subscribers, churn.every_ms);
        }
        label
    }

    /// Whether a broker is to be measured by it.
    #[must_use]
    pub fn is_for(&self, broker: &str) -> bool {
        let mut patterns = self.brokers.iter().map(|pattern| WildMatch::new(pattern));
        self.brokers.is_empty() || patterns.any(|pattern| pattern.matches(broker))
    }

    /// Publications of each publisher under way at once, where each is acknowledged.
    #[must_use]
    pub fn in_flight(&self) -> Option<u32> {
        match self.drive {
            Drive::Load(StreamLoad::Closed { in_flight }) => Some(in_flight),
            _ => self.acks,
        }
    }

    /// The load that it runs with; a search has many, and none of its own.
    #[must_use]
    pub fn load(&self) -> Option<&StreamLoad> {
        match &self.drive {
            Drive::Load(load) => Some(load),
            Drive::FindMax(_) => None,
        }
    }
}

impl FindMax {
    /// All that must hold, e.g. `response.p99 < 5ms and lost == 0`.
    #[must_use]
    pub fn objectives_in_words(&self) -> String {
        let objectives: Vec<_> = self.objective.iter().map(Objective::to_string).collect();
        objectives.join(" and ")
    }

    /// The load of one attempt.
    #[must_use]
    pub fn load_at(&self, rate_per_s: f64) -> StreamLoad {
        StreamLoad::Open { rate_per_s, arrivals: self.arrivals }
    }
}

impl fmt::Display for Drive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Load(load) => load.fmt(f),
            Self::FindMax(search) => {
                let arrivals = match search.arrivals {
                    Arrivals::Constant => "",
                    Arrivals::Poisson => " Poisson",
                };
                f.pad(&format!("most with {}{arrivals}", search.objectives_in_words()))
            }
        }
    }
}
