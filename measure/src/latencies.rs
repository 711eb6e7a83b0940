//! The latencies of a stream: what each is measured from and to.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{HistogramTag, LatencySummary};

/// A latency's figures, and where its histogram is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Latency {
    /// Its figures.
    pub summary: LatencySummary,
    /// The histogram behind them, in `histograms.hlog`.
    pub histogram: HistogramTag,
}

/// The latencies of one stream; each is `None` where it was not measured.
///
/// *Service* time is how long the broker took once it had the message; *response* time is what who
/// wanted the message sent had to wait, and differs where the sender fell behind its schedule. Only
/// the latter is free of coordinated omission (Tene, "How NOT to Measure Latency", 2013).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StreamLatencies {
    /// From when a message was due to when it was sent.
    pub lateness: Option<Latency>,
    /// From when a message was sent to its acknowledgement.
    pub acknowledgement: Option<Latency>,
    /// From when a message was sent to its delivery.
    pub service: Option<Latency>,
    /// From when a message was due to its delivery.
    pub response: Option<Latency>,
    /// As `response`, of the other subscribers where a slow one was among them.
    pub healthy_response: Option<Latency>,
    /// Deliveries whose time could not be told, because a clock went backwards between sender and
    /// receiver; they are in no histogram.
    pub clock_errors: u64,
}

impl StreamLatencies {
    /// The latency of deliveries to compare brokers by: from when messages were due where they were
    /// due at a time, from when they were sent otherwise.
    #[must_use]
    pub fn delivery(&self) -> Option<&Latency> {
        self.response.as_ref().or(self.service.as_ref())
    }

    /// Each latency that was measured, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &Latency)> {
        let all = [
            ("lateness", &self.lateness),
            ("acknowledgement", &self.acknowledgement),
            ("service", &self.service),
            ("response", &self.response),
            ("healthy response", &self.healthy_response),
        ];
        all.into_iter().filter_map(|(name, latency)| Some((name, latency.as_ref()?)))
    }
}
