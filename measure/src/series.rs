//! What was measured of one broker: acknowledged operations, and streams.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{HistogramTag, LatencySummary};

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
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
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
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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
}

/// How a stream's publishers and subscribers are arranged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
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

/// How hard a stream's publishers push.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StreamLoad {
    /// As fast as the broker takes it.
    Saturating,
    /// At this many messages per second over all publishers, whatever the broker does.
    RatePerS(f64),
}

impl fmt::Display for StreamLoad {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Saturating => f.pad("saturating"),
            Self::RatePerS(rate) => f.pad(&format!("{rate} msgs/s")),
        }
    }
}

/// One stream of messages from publishers to subscribers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StreamResult {
    /// Who sends to whom.
    pub shape: StreamShape,
    /// The size of each payload.
    pub payload_bytes: u64,
    /// How hard the publishers pushed.
    pub load: StreamLoad,
    /// Messages that the publishers sent.
    pub messages_sent: u64,
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
    /// From the first message sent to the last delivery, or, where there are no subscribers, to
    /// the last acknowledgement.
    pub duration_ns: u64,
    /// Messages sent per second.
    pub sent_per_s: f64,
    /// Deliveries per second, summed over all subscribers.
    pub delivered_per_s: f64,
    /// Payload bytes delivered per second, summed over all subscribers.
    pub delivered_bytes_per_s: f64,
    /// From sending a message, or from when it was due at a fixed rate, to its delivery.
    pub latency: LatencySummary,
    /// The histogram behind `latency`, in `histograms.hlog`.
    pub histogram: HistogramTag,
    /// `delivered_per_s` over that of the byte pipe in the same run; `None` if it did not run.
    pub ratio_to_ceiling: Option<f64>,
    /// What the publishers were told, if they asked; `None` if they did not.
    #[serde(default)]
    pub acknowledged: Option<Acknowledged>,
}

/// The acknowledgements of a stream whose publishers want them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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
    /// From sending a message to its acknowledgement.
    pub latency: LatencySummary,
    /// The histogram behind `latency`, in `histograms.hlog`.
    pub histogram: HistogramTag,
    /// `per_s` over that of the disk alone in the same run; `None` if that was not measured.
    pub ratio_to_disk: Option<f64>,
}

impl StreamResult {
    /// Whether every message arrived once, whole and in order.
    #[must_use]
    pub fn is_faultless(&self) -> bool {
        self.lost == 0 && self.duplicated == 0 && self.reordered == 0 && self.corrupted == 0
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
    fn loads_read_as_words_or_rates_in_json() {
        let json = |load| serde_json::to_string(&load).unwrap();
        assert_eq!(json(StreamLoad::Saturating), r#""saturating""#);
        assert_eq!(json(StreamLoad::RatePerS(10_000.0)), r#"{"rate_per_s":10000.0}"#);
    }

    #[test]
    fn no_time_makes_no_rate() {
        assert_eq!(rate_per_s(5, 0), 0.0);
        assert_eq!(rate_per_s(5, 500_000_000), 10.0);
    }
}
