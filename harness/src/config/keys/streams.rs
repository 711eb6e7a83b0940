//! The keys of `[[streams]]`.

use super::{OneOrMany, Placed};
use crate::config::{Arrivals, LagPolicyChoice, TopicChoice};
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Streams: messages from publishers to subscribers, or only to the broker. Where a key has a
/// list, every combination is measured.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Stream")]
pub(in crate::config) struct StreamKeys {
    /// Connections that publish.
    pub(in crate::config) publishers: Placed<OneOrMany<u32>>,
    /// Connections that each receive everything; 0 only with `acks`.
    pub(in crate::config) subscribers: Placed<OneOrMany<u32>>,
    /// Sizes of payload.
    pub(in crate::config) payload_bytes: Option<Placed<OneOrMany<u64>>>,
    /// Payloads that vary; in place of, or beside, `payload_bytes`.
    pub(in crate::config) payload: Option<Placed<OneOrMany<PayloadKeys>>>,
    /// Messages in one write, at most [default: 64].
    pub(in crate::config) batch: Option<Placed<OneOrMany<u32>>>,
    /// Publications of each publisher under way at once, acknowledged each; without it none are.
    pub(in crate::config) acks: Option<Placed<OneOrMany<u32>>>,
    /// How long each goes on; or `messages`.
    pub(in crate::config) duration_ms: Option<Placed<u64>>,
    /// How many messages each sends, over all publishers; or `duration_ms`.
    pub(in crate::config) messages: Option<Placed<u64>>,
    /// How long each goes on beforehand, unrecorded [default: that of `phases`].
    pub(in crate::config) warmup_ms: Option<Placed<u64>>,
    /// How hard the publishers push, and when [default: "saturating"].
    pub(in crate::config) load: Option<Placed<OneOrMany<LoadKeys>>>,
    /// What the broker is to do when a subscriber falls behind [default: "hold"].
    pub(in crate::config) lag_policy: Option<LagPolicyChoice>,
    /// Topics that messages are spread over [default: 1].
    pub(in crate::config) topics: Option<Placed<u32>>,
    /// Which of the topics a message goes to [default: "uniform"].
    pub(in crate::config) topic_choice: Option<Placed<TopicChoice>>,
    /// Whether subscribers name the topics by one pattern [default: false].
    pub(in crate::config) wildcard: Option<Placed<bool>>,
    /// How many of the subscribers read slowly [default: 0].
    pub(in crate::config) slow_subscribers: Option<Placed<u32>>,
    /// What each slow subscriber reads in a second [default: 100000].
    pub(in crate::config) slow_bytes_per_s: Option<Placed<u64>>,
    /// Subscribers that come and go beside the others.
    pub(in crate::config) churn: Option<Placed<ChurnKeys>>,
    /// What must hold of the results, e.g. "p99 < 5ms" or "lost == 0".
    pub(in crate::config) objectives: Option<Vec<Placed<String>>>,
    /// Which brokers it is for, by name; `*` stands for any characters [default: all].
    pub(in crate::config) brokers: Option<Vec<Placed<String>>>,
    /// Searches for the highest rate at which objectives are met; in place of `load`.
    pub(in crate::config) find_max: Option<Placed<FindMaxKeys>>,
}

/// How hard publishers push, and when. Rates are messages per second over all publishers.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "Load")]
pub(in crate::config) enum LoadKeys {
    /// As fast as the broker takes it.
    Saturating,
    /// At this rate, at equal distances, whatever the broker does: short for `open`.
    RatePerS(OneOrMany<f64>),
    /// The next is sent when an earlier one is acknowledged.
    Closed(ClosedKeys),
    /// At a rate, whatever the broker does.
    Open(OpenKeys),
    /// One constant rate after the other.
    Steps(StepsKeys),
    /// From one rate to another over the measured phase.
    Ramp(RampKeys),
    /// A constant rate, and bursts on top of it.
    Burst(BurstKeys),
}

#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Closed")]
pub(in crate::config) struct ClosedKeys {
    /// Publications of each publisher under way at once.
    pub(in crate::config) in_flight: OneOrMany<u32>,
}

#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Open")]
pub(in crate::config) struct OpenKeys {
    /// Messages per second over all publishers.
    pub(in crate::config) rate_per_s: OneOrMany<f64>,
    /// How they are spread over time.
    #[serde(default)]
    pub(in crate::config) arrivals: Arrivals,
}

#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Steps")]
pub(in crate::config) struct StepsKeys {
    /// Messages per second over all publishers, in this order.
    pub(in crate::config) rates_per_s: Vec<f64>,
    /// How long each goes on.
    pub(in crate::config) step_ms: u64,
}

#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Ramp")]
pub(in crate::config) struct RampKeys {
    /// Messages per second at the beginning of the measured phase.
    pub(in crate::config) from_per_s: f64,
    /// Messages per second at its end.
    pub(in crate::config) to_per_s: f64,
}

#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Burst")]
pub(in crate::config) struct BurstKeys {
    /// Messages per second beside the bursts; 0: bursts only.
    pub(in crate::config) rate_per_s: f64,
    /// Messages of one burst, all due at once.
    pub(in crate::config) burst_messages: u64,
    /// From one burst to the next.
    pub(in crate::config) every_ms: u64,
}

/// Payloads that vary. Sizes are in bytes.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "Payload")]
pub(in crate::config) enum PayloadKeys {
    /// Every size from the first to the second, each as likely as any other.
    Uniform([u64; 2]),
    /// Sizes around a mean, normally distributed.
    Normal(BellKeys),
    /// Many small sizes and a long tail.
    Lognormal(BellKeys),
    /// Some sizes, each with its weight.
    Weights(BTreeMap<String, f64>),
    /// The lines of a file, one payload each, over and over.
    File(PathBuf),
}

#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Bell")]
pub(in crate::config) struct BellKeys {
    /// Mean size.
    pub(in crate::config) mean: f64,
    /// Standard deviation.
    pub(in crate::config) sd: f64,
    /// The smallest size: smaller ones become it.
    pub(in crate::config) min: u64,
    /// The largest size: larger ones become it.
    pub(in crate::config) max: u64,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Churn")]
pub(in crate::config) struct ChurnKeys {
    /// From one change to the next: then all of them leave, and as many come.
    pub(in crate::config) every_ms: Placed<u64>,
    /// How many, beside the stream's own.
    pub(in crate::config) subscribers: Placed<u32>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "FindMax")]
pub(in crate::config) struct FindMaxKeys {
    /// What must hold, e.g. ["p99 < 5ms"].
    pub(in crate::config) objective: Placed<OneOrMany<String>>,
    /// The first rate, over all publishers; the search climbs from it by doubling.
    pub(in crate::config) from_per_s: Placed<f64>,
    /// The highest rate that is tried.
    pub(in crate::config) to_per_s: Placed<f64>,
    /// How near a rate that meets them and one that does not must come [default: 5].
    pub(in crate::config) tolerance_percent: Option<Placed<f64>>,
    /// Repeats at the rate that was found, which must meet them too [default: 3].
    pub(in crate::config) confirm: Option<Placed<u32>>,
    /// How messages are spread over time [default: "constant"].
    pub(in crate::config) arrivals: Option<Arrivals>,
}
