//! What is compared of a cell: its metrics, their units, and which way is better.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// One figure of a cell's repeats.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Metric {
    /// Deliveries per second, over all subscribers.
    DeliveredPerS,
    /// Messages acknowledged per second.
    AcknowledgedPerS,
    /// Median from sending a message to receiving it.
    ServiceP50,
    /// 99th percentile from sending a message to receiving it.
    ServiceP99,
    /// Median from when a message was due to receiving it.
    ResponseP50,
    /// 99th percentile from when a message was due to receiving it.
    ResponseP99,
    /// Median from sending a message to its acknowledgement.
    AcknowledgementP50,
    /// 99th percentile from sending a message to its acknowledgement.
    AcknowledgementP99,
    /// Processor time of the broker for each delivery, or each message where nobody subscribes.
    CpuUsPerDelivery,
    /// Resident memory of the broker, at most.
    ResidentBytes,
    /// Successful requests per second.
    ThroughputPerS,
    /// Median from a request to its answer.
    LatencyP50,
    /// 99th percentile from a request to its answer.
    LatencyP99,
    /// Processor time of the broker for each request.
    CpuUsPerOperation,
}

/// Which way a metric is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// More is better.
    HigherIsBetter,
    /// Less is better.
    LowerIsBetter,
}

/// What a metric is counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unit {
    /// Things per second.
    PerS,
    /// Nanoseconds.
    Ns,
    /// Microseconds.
    Us,
    /// Bytes.
    Bytes,
}

impl Metric {
    /// Every metric, in the order they are shown.
    pub const ALL: [Self; 14] = [
        Self::DeliveredPerS,
        Self::AcknowledgedPerS,
        Self::ServiceP50,
        Self::ServiceP99,
        Self::ResponseP50,
        Self::ResponseP99,
        Self::AcknowledgementP50,
        Self::AcknowledgementP99,
        Self::ThroughputPerS,
        Self::LatencyP50,
        Self::LatencyP99,
        Self::CpuUsPerDelivery,
        Self::CpuUsPerOperation,
        Self::ResidentBytes,
    ];

    /// The name on the command line and in JSON, e.g. `response-p99`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::DeliveredPerS => "delivered-per-s",
            Self::AcknowledgedPerS => "acknowledged-per-s",
            Self::ServiceP50 => "service-p50",
            Self::ServiceP99 => "service-p99",
            Self::ResponseP50 => "response-p50",
            Self::ResponseP99 => "response-p99",
            Self::AcknowledgementP50 => "acknowledgement-p50",
            Self::AcknowledgementP99 => "acknowledgement-p99",
            Self::CpuUsPerDelivery => "cpu-us-per-delivery",
            Self::ResidentBytes => "resident-bytes",
            Self::ThroughputPerS => "throughput-per-s",
            Self::LatencyP50 => "latency-p50",
            Self::LatencyP99 => "latency-p99",
            Self::CpuUsPerOperation => "cpu-us-per-operation",
        }
    }

    /// The name for people, e.g. `response p99`.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::DeliveredPerS => "delivered",
            Self::AcknowledgedPerS => "acknowledged",
            Self::ServiceP50 => "service p50",
            Self::ServiceP99 => "service p99",
            Self::ResponseP50 => "response p50",
            Self::ResponseP99 => "response p99",
            Self::AcknowledgementP50 => "acknowledgement p50",
            Self::AcknowledgementP99 => "acknowledgement p99",
            Self::CpuUsPerDelivery => "CPU per delivery",
            Self::ResidentBytes => "resident memory",
            Self::ThroughputPerS => "throughput",
            Self::LatencyP50 => "latency p50",
            Self::LatencyP99 => "latency p99",
            Self::CpuUsPerOperation => "CPU per operation",
        }
    }

    /// What it is counted in.
    #[must_use]
    pub fn unit(self) -> Unit {
        match self {
            Self::DeliveredPerS | Self::AcknowledgedPerS | Self::ThroughputPerS => Unit::PerS,
            Self::ServiceP50
            | Self::ServiceP99
            | Self::ResponseP50
            | Self::ResponseP99
            | Self::AcknowledgementP50
            | Self::AcknowledgementP99
            | Self::LatencyP50
            | Self::LatencyP99 => Unit::Ns,
            Self::CpuUsPerDelivery | Self::CpuUsPerOperation => Unit::Us,
            Self::ResidentBytes => Unit::Bytes,
        }
    }

    /// Whether it is a latency of messages, which mean nothing where the broker did not keep up.
    pub(super) fn is_stream_latency(self) -> bool {
        matches!(
            self,
            Self::ServiceP50
                | Self::ServiceP99
                | Self::ResponseP50
                | Self::ResponseP99
                | Self::AcknowledgementP50
                | Self::AcknowledgementP99
        )
    }

    /// Which way is better: rates high, all else low.
    #[must_use]
    pub fn direction(self) -> Direction {
        match self.unit() {
            Unit::PerS => Direction::HigherIsBetter,
            Unit::Ns | Unit::Us | Unit::Bytes => Direction::LowerIsBetter,
        }
    }

    /// A value with its unit, to three digits, e.g. `1.04 ms`.
    #[must_use]
    pub fn show(self, value: f64) -> String {
        match self.unit() {
            Unit::PerS => {
                format!("{}/s", scaled(value, &[(1e6, " M"), (1e3, " k"), (1.0, "")]))
            }
            Unit::Ns => scaled(value, &TIME_UNITS),
            Unit::Us => scaled(value * 1e3, &TIME_UNITS),
            Unit::Bytes => scaled(value, &[(1e9, " GB"), (1e6, " MB"), (1e3, " kB"), (1.0, " B")]),
        }
    }
}

const TIME_UNITS: [(f64, &str); 4] = [(1e9, " s"), (1e6, " ms"), (1e3, " µs"), (1.0, " ns")];

/// Three digits in the largest unit that the value reaches once it is rounded, or in the smallest.
fn scaled(value: f64, units: &[(f64, &str)]) -> String {
    let reached = units.iter().find(|(scale, _)| value / scale >= 0.9995).or(units.last());
    let (scale, unit) = reached.copied().unwrap_or((1.0, ""));
    let value = value / scale;
    let decimals = match value.abs() {
        size if size >= 99.95 => 0,
        size if size >= 9.995 => 1,
        _ => 2,
    };
    format!("{value:.decimals$}{unit}")
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The text is no metric's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected a metric ({}), found `{found}`", names())]
pub struct UnknownMetric {
    /// The text.
    pub found: String,
}

fn names() -> String {
    Metric::ALL.map(Metric::name).join(", ")
}

impl FromStr for Metric {
    type Err = UnknownMetric;

    fn from_str(text: &str) -> Result<Self, UnknownMetric> {
        let mut metrics = Self::ALL.into_iter();
        metrics
            .find(|metric| metric.name() == text)
            .ok_or_else(|| UnknownMetric { found: text.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_is_found_by_its_name_which_is_that_of_json() {
        for metric in Metric::ALL {
            assert_eq!(metric.name().parse(), Ok(metric));
            assert_eq!(serde_json::to_value(metric).unwrap(), metric.name());
        }
    }

    #[test]
    fn an_unknown_name_is_answered_with_the_known_ones() {
        let error = "speed".parse::<Metric>().unwrap_err().to_string();
        assert!(error.contains("response-p99") && error.contains("`speed`"), "{error}");
    }

    #[test]
    fn values_are_shown_with_their_unit() {
        assert_eq!(Metric::DeliveredPerS.show(412_345.0), "412 k/s");
        assert_eq!(Metric::DeliveredPerS.show(999_960.0), "1.00 M/s");
        assert_eq!(Metric::ResponseP99.show(1_040_000.0), "1.04 ms");
        assert_eq!(Metric::CpuUsPerDelivery.show(0.823), "823 ns");
        assert_eq!(Metric::CpuUsPerDelivery.show(1.5), "1.50 µs");
        assert_eq!(Metric::ResidentBytes.show(14.25e6), "14.2 MB");
        assert_eq!(Metric::ServiceP50.show(0.25), "0.25 ns");
    }
}
