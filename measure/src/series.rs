//! What was measured of one broker: acknowledged operations, and streams.

use std::borrow::Cow;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    CellResources, GeneratorFigures, HistogramTag, Latency, LatencySummary, OperationRound, Round,
    StreamLatencies, StreamLoad, TimelinePoint, Verdict,
};

/// `count` things in `duration_ns`, as a rate per second; 0 if no time passed.
#[must_use]
pub fn rate_per_s(count: u64, duration_ns: u64) -> f64 {
    if duration_ns == 0 {
        return 0.0;
    }
    count as f64 * 1e9 / duration_ns as f64
}

/// The name of an operation that a client asks of a broker and waits for.
///
/// The usual ones are constants here; a driver may measure others.
#[derive(
    Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(transparent)]
pub struct OperationName(Cow<'static, str>);

impl OperationName {
    /// Creating a topic.
    pub const CREATE: Self = Self(Cow::Borrowed("create"));
    /// Publishing one message and waiting for its acknowledgement.
    pub const PUBLISH: Self = Self(Cow::Borrowed("publish"));
    /// Subscribing to a topic.
    pub const SUBSCRIBE: Self = Self(Cow::Borrowed("subscribe"));
    /// Asking for waiting messages.
    pub const PULL: Self = Self(Cow::Borrowed("pull"));
    /// Deleting a topic.
    pub const DELETE: Self = Self(Cow::Borrowed("delete"));

    /// An operation of another name.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self(Cow::Owned(name.into()))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for OperationName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// One operation at one number of clients, each with one request outstanding.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OperationResult {
    /// What was asked of the broker.
    pub operation: OperationName,
    /// How many clients asked at the same time.
    pub clients: u32,
    /// How many requests were answered with success.
    pub count: u64,
    /// How many were answered with an error, or not at all.
    pub errors: u64,
    /// From the first request to the last answer.
    pub duration_ns: u64,
    /// Successful requests per second; see [`rate_per_s`].
    pub throughput_per_s: f64,
    /// From sending a request to receiving its answer.
    pub latency: LatencySummary,
    /// The histogram behind `latency`, in `histograms.hlog`.
    pub histogram: HistogramTag,
    /// Whether the result may be believed.
    pub verdict: Verdict,
    /// What the broker used; `None` without a process.
    pub resources: Option<CellResources>,
    /// Its repeats, one by one.
    pub rounds: Vec<OperationRound>,
}

/// How a stream's publishers and subscribers are arranged.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub enum StreamPattern {
    /// One publisher, one subscriber.
    #[serde(rename = "1→1")]
    OneToOne,
    /// One publisher, many subscribers that each receive everything.
    #[serde(rename = "1→N")]
    OneToMany,
    /// Many publishers, one subscriber.
    #[serde(rename = "N→1")]
    ManyToOne,
    /// Many publishers, many subscribers.
    #[serde(rename = "N→N")]
    ManyToMany,
}

/// A stream's arrangement with its numbers.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub struct StreamShape {
    /// The arrangement; follows from the numbers.
    pub pattern: StreamPattern,
    /// How many connections publish.
    pub publishers: u32,
    /// How many connections subscribe.
    pub subscribers: u32,
}

impl StreamShape {
    /// The shape with these numbers of connections.
    #[must_use]
    pub fn new(publishers: u32, subscribers: u32) -> Self {
        let pattern = match (publishers, subscribers) {
            (0..=1, 0..=1) => StreamPattern::OneToOne,
            (0..=1, _) => StreamPattern::OneToMany,
            (_, 0..=1) => StreamPattern::ManyToOne,
            _ => StreamPattern::ManyToMany,
        };
        Self { pattern, publishers, subscribers }
    }
}

impl fmt::Display for StreamShape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}→{}", self.publishers, self.subscribers))
    }
}

/// One stream of messages from publishers to subscribers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StreamResult {
    /// Its name in tables, the same for every broker, e.g. `stream 1→50, 100 B, saturating`.
    pub label: String,
    /// Who sends to whom.
    pub shape: StreamShape,
    /// How many topics the messages were spread over.
    pub topics: u32,
    /// Whether subscribers subscribed by a wildcard.
    pub wildcard: bool,
    /// How many of the subscribers read slowly on purpose.
    pub slow_subscribers: u32,
    /// Subscribers that came and went beside the stream's own, whose deliveries are in no other
    /// figure; `None` where none were asked for.
    #[serde(default)]
    pub churn: Option<Churned>,
    /// The size of each payload; the mean where sizes differ.
    pub payload_bytes: u64,
    /// How hard the publishers pushed.
    pub load: StreamLoad,
    /// The mean rate that was to be sent; `None` where the broker's pace decided.
    pub offered_per_s: Option<f64>,
    /// Messages that the publishers sent.
    pub messages_sent: u64,
    /// Messages sent more than 1 ms after they were due.
    pub late_sends: u64,
    /// Deliveries that would have been right: messages sent, once for each of their subscribers.
    pub messages_expected: u64,
    /// Deliveries that arrived, duplicates included.
    pub messages_received: u64,
    /// Expected deliveries that never arrived.
    pub lost: u64,
    /// Deliveries of a message that had already been delivered to that subscriber.
    pub duplicated: u64,
    /// Deliveries that came after a later message of the same publisher.
    pub reordered: u64,
    /// Deliveries whose payload was not the one sent.
    pub corrupted: u64,
    /// Deliveries that came only after the time that was given to them.
    pub late: u64,
    /// Which publishers' messages went wrong at which subscribers; only pairs with faults, and at
    /// most [`FAULTY_PAIRS_MAX`].
    pub pairs: Vec<PairFaults>,
    /// Pairs with faults beyond those.
    pub pairs_left_off: u64,
    /// From the first message sent to the last delivery, or, where there are no subscribers, to
    /// the last acknowledgement.
    pub duration_ns: u64,
    /// Messages sent per second.
    pub sent_per_s: f64,
    /// Deliveries per second, summed over all subscribers.
    pub delivered_per_s: f64,
    /// Payload bytes delivered per second, summed over all subscribers.
    pub delivered_bytes_per_s: f64,
    /// From when, and to when, messages took how long.
    pub latencies: StreamLatencies,
    /// `delivered_per_s` over that of the byte pipe in the same run; `None` if it did not run.
    pub ratio_to_ceiling: Option<f64>,
    /// What the publishers were told, if they asked; `None` if they did not.
    pub acknowledged: Option<Acknowledged>,
    /// Whether the result may be believed.
    pub verdict: Verdict,
    /// What the broker used; `None` without a process.
    pub resources: Option<CellResources>,
    /// What the load generator used.
    pub generator: GeneratorFigures,
    /// Its progress.
    pub timeline: Vec<TimelinePoint>,
    /// Its repeats, one by one.
    pub rounds: Vec<Round>,
}

/// Pairs of publisher and subscriber that a [`StreamResult`] names.
pub const FAULTY_PAIRS_MAX: usize = 100;

/// What went wrong between one publisher and one subscriber; the counts are those of
/// [`StreamResult`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PairFaults {
    /// The publisher, from 0.
    pub producer: u32,
    /// The subscriber, from 0.
    pub subscriber: u32,
    /// Expected deliveries that never arrived.
    pub lost: u64,
    /// Deliveries of a message that had already been delivered.
    pub duplicated: u64,
    /// Deliveries that came after a later message.
    pub reordered: u64,
    /// Deliveries whose payload was not the one sent.
    pub corrupted: u64,
    /// Deliveries that came only after the time that was given to them.
    pub late: u64,
}

/// The acknowledgements of a stream whose publishers want them; how long they took is
/// [`StreamLatencies::acknowledgement`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Acknowledged {
    /// Publications that each publisher had under way at once.
    pub in_flight: u32,
    /// Messages acknowledged.
    pub messages: u64,
    /// From the first message sent to the last acknowledgement.
    pub duration_ns: u64,
    /// Messages acknowledged per second.
    pub per_s: f64,
    /// Payload bytes acknowledged per second.
    pub bytes_per_s: f64,
    /// `per_s` over that of the disk alone in the same run; `None` if that was not measured.
    pub ratio_to_disk: Option<f64>,
}

/// Subscribers that come and go while a stream goes on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Churned {
    /// How many connected and subscribed, over all changes and rounds.
    pub comings: u64,
    /// How many were not let in before they were to leave, or were cut off.
    pub failures: u64,
}

impl StreamResult {
    /// Whether every message arrived once, whole and in order.
    #[must_use]
    pub fn is_faultless(&self) -> bool {
        self.lost == 0 && self.duplicated == 0 && self.reordered == 0 && self.corrupted == 0
    }

    /// The latency to compare brokers by: of deliveries, or, where nobody read, of acknowledgements.
    #[must_use]
    pub fn headline(&self) -> Option<&Latency> {
        self.latencies.delivery().or(self.latencies.acknowledgement.as_ref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pattern_follows_from_the_numbers() {
        let check = |publishers, subscribers, pattern| {
            assert_eq!(StreamShape::new(publishers, subscribers).pattern, pattern);
        };
        check(1, 1, StreamPattern::OneToOne);
        check(1, 50, StreamPattern::OneToMany);
        check(50, 1, StreamPattern::ManyToOne);
        check(8, 8, StreamPattern::ManyToMany);
    }

    #[test]
    fn no_time_makes_no_rate() {
        assert_eq!(rate_per_s(5, 0), 0.0);
        assert_eq!(rate_per_s(5, 500_000_000), 10.0);
    }
}
