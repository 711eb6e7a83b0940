//! The load model of a stream: how hard its publishers push, and when.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How hard a stream's publishers push. Rates are messages per second over all publishers.
///
/// *Open* and *closed* as in queueing theory: in an open system messages arrive whatever the broker
/// does; in a closed one the next is sent when an earlier one is answered (Schroeder, Wierman and
/// Harchol-Balter, "Open Versus Closed: A Cautionary Tale", NSDI 2006).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StreamLoad {
    /// As fast as the broker takes it.
    Saturating,
    /// Each publisher keeps so many publications under way.
    Closed {
        /// Publications of each publisher.
        in_flight: u32,
    },
    /// Messages are due at a rate, whatever the broker does.
    Open {
        /// Messages per second.
        rate_per_s: f64,
        /// How they are spread over time.
        #[serde(default)]
        arrivals: Arrivals,
    },
    /// One open rate after the other.
    Steps {
        /// Messages per second, in this order.
        rates_per_s: Vec<f64>,
        /// How long each goes on.
        step_ms: u64,
    },
    /// An open rate that changes evenly over the measured phase.
    Ramp {
        /// Messages per second at its beginning.
        from_per_s: f64,
        /// Messages per second at its end.
        to_per_s: f64,
    },
    /// An open rate, and bursts on top of it.
    Burst {
        /// Messages per second besides the bursts.
        rate_per_s: f64,
        /// Messages of one burst, all due at once.
        burst_messages: u64,
        /// From one burst to the next.
        every_ms: u64,
    },
}

/// How the messages of an open load are spread over time.
#[derive(
    Debug,
    Clone,
    Copy,
    Default,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Arrivals {
    /// At equal distances.
    #[default]
    Constant,
    /// At distances drawn from an exponential distribution: a Poisson process, as many independent
    /// senders come to.
    Poisson,
}

impl StreamLoad {
    /// An open, constant rate.
    #[must_use]
    pub fn at_rate(rate_per_s: f64) -> Self {
        Self::Open { rate_per_s, arrivals: Arrivals::Constant }
    }

    /// The mean rate that is offered over the measured phase, in messages per second; `None` where
    /// the broker's pace decides.
    #[must_use]
    pub fn offered_per_s(&self) -> Option<f64> {
        match self {
            Self::Saturating | Self::Closed { .. } => None,
            Self::Open { rate_per_s, .. } => Some(*rate_per_s),
            Self::Steps { rates_per_s, .. } => {
                Some(rates_per_s.iter().sum::<f64>() / rates_per_s.len().max(1) as f64)
            }
            Self::Ramp { from_per_s, to_per_s } => Some(f64::midpoint(*from_per_s, *to_per_s)),
            Self::Burst { rate_per_s, burst_messages, every_ms } => {
                Some(rate_per_s + *burst_messages as f64 * 1e3 / (*every_ms).max(1) as f64)
            }
        }
    }

    /// The load as a part of a histogram's tag, e.g. `10000-per-s`.
    #[must_use]
    pub fn tag_part(&self) -> String {
        match self {
            Self::Saturating => "saturating".to_owned(),
            Self::Closed { in_flight } => format!("closed-{in_flight}"),
            Self::Open { rate_per_s, arrivals: Arrivals::Constant } => {
                format!("{rate_per_s}-per-s")
            }
            Self::Open { rate_per_s, arrivals: Arrivals::Poisson } => {
                format!("{rate_per_s}-per-s-poisson")
            }
            Self::Steps { rates_per_s, step_ms } => {
                format!("steps-{}-per-s-of-{step_ms}-ms", joined(rates_per_s, "-"))
            }
            Self::Ramp { from_per_s, to_per_s } => format!("ramp-{from_per_s}-to-{to_per_s}-per-s"),
            Self::Burst { rate_per_s, burst_messages, every_ms } => {
                format!("{rate_per_s}-per-s-and-{burst_messages}-every-{every_ms}-ms")
            }
        }
    }
}

impl fmt::Display for StreamLoad {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::Saturating => "saturating".to_owned(),
            Self::Closed { in_flight } => format!("closed, {in_flight} in flight"),
            Self::Open { rate_per_s, arrivals: Arrivals::Constant } => {
                format!("{rate_per_s} msgs/s")
            }
            Self::Open { rate_per_s, arrivals: Arrivals::Poisson } => {
                format!("{rate_per_s} msgs/s Poisson")
            }
            Self::Steps { rates_per_s, step_ms } => {
                format!("steps {} msgs/s of {step_ms} ms", joined(rates_per_s, ", "))
            }
            Self::Ramp { from_per_s, to_per_s } => format!("ramp {from_per_s}–{to_per_s} msgs/s"),
            Self::Burst { rate_per_s, burst_messages, every_ms } => {
                format!("{rate_per_s} msgs/s + {burst_messages} every {every_ms} ms")
            }
        };
        f.pad(&text)
    }
}

fn joined(rates_per_s: &[f64], between: &str) -> String {
    rates_per_s.iter().map(f64::to_string).collect::<Vec<_>>().join(between)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loads_read_as_words_or_tables_in_json() {
        let json = |load| serde_json::to_string(&load).unwrap();
        assert_eq!(json(StreamLoad::Saturating), r#""saturating""#);
        assert_eq!(json(StreamLoad::Closed { in_flight: 8 }), r#"{"closed":{"in_flight":8}}"#);
        assert_eq!(
            json(StreamLoad::at_rate(10_000.0)),
            r#"{"open":{"rate_per_s":10000.0,"arrivals":"constant"}}"#
        );
    }

    #[test]
    fn the_offered_rate_is_the_mean_over_the_measured_phase() {
        let check = |load: StreamLoad, mean| assert_eq!(load.offered_per_s(), mean, "{load}");
        check(StreamLoad::Saturating, None);
        check(StreamLoad::Closed { in_flight: 1 }, None);
        check(StreamLoad::at_rate(5.0), Some(5.0));
        check(StreamLoad::Steps { rates_per_s: vec![1.0, 3.0], step_ms: 10 }, Some(2.0));
        check(StreamLoad::Ramp { from_per_s: 10.0, to_per_s: 20.0 }, Some(15.0));
        let burst = StreamLoad::Burst { rate_per_s: 1.0, burst_messages: 5, every_ms: 500 };
        check(burst, Some(11.0));
    }
}
