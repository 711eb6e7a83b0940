//! How hard a stream's publishers push, and when.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The load model of a stream. Rates are over all publishers.
///
/// *Open* and *closed* as in queueing theory (Schroeder, Wierman and Harchol-Balter, "Open Versus
/// Closed: A Cautionary Tale", NSDI 2006): in an open system messages arrive whatever the broker
/// does; in a closed one the next is sent when an earlier one is answered.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StreamLoad {
    /// As fast as the broker takes it.
    Saturating,
    /// Each publisher keeps so many publications under way, and sends the next when one is
    /// acknowledged.
    Closed {
        /// Publications of each publisher.
        in_flight: u32,
    },
    /// Messages are due at a rate, whatever the broker does.
    Open {
        /// Messages per second.
        rate_per_s: f64,
        /// How they are spread over time.
        arrivals: Arrivals,
    },
    /// One open, constant rate after the other.
    Steps {
        /// Messages per second, in this order.
        rates_per_s: Vec<f64>,
        /// How long each goes on.
        step_ms: u64,
    },
    /// An open rate that changes evenly from one to another over the measured phase.
    Ramp {
        /// Messages per second at its beginning.
        from_per_s: f64,
        /// Messages per second at its end.
        to_per_s: f64,
    },
    /// An open, constant rate, and bursts on top of it.
    Burst {
        /// Messages per second between and during bursts.
        rate_per_s: f64,
        /// Messages of one burst, all due at once.
        burst_messages: u64,
        /// From one burst to the next.
        every_ms: u64,
    },
}

/// How the messages of an open load are spread over time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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

    /// The load in a sentence's part, e.g. `publishers send at 10000 messages/s in all, …`.
    #[must_use]
    pub fn sentence(&self) -> String {
        match self {
            Self::Saturating => {
                "publishers send as fast as the broker takes it (saturating), which measures \
                 throughput and not latency"
                    .to_owned()
            }
            Self::Closed { in_flight } => format!(
                "each publisher keeps {in_flight} publications under way and sends the next when \
                 one is acknowledged (closed loop)"
            ),
            Self::Open { rate_per_s, arrivals: Arrivals::Constant } => format!(
                "{rate_per_s} messages/s over all publishers at equal distances, whatever the \
                 broker does (open loop), timed from when each was due"
            ),
            Self::Open { rate_per_s, arrivals: Arrivals::Poisson } => format!(
                "{rate_per_s} messages/s over all publishers at random distances (open loop, \
                 Poisson arrivals), timed from when each was due"
            ),
            Self::Steps { rates_per_s, step_ms } => format!(
                "{} messages/s over all publishers, each rate for {step_ms} ms (open loop)",
                joined(rates_per_s, ", then ")
            ),
            Self::Ramp { from_per_s, to_per_s } => format!(
                "from {from_per_s} to {to_per_s} messages/s over all publishers, changing evenly \
                 over the measured phase (open loop)"
            ),
            Self::Burst { rate_per_s, burst_messages, every_ms } => format!(
                "{rate_per_s} messages/s over all publishers, and {burst_messages} more at once \
                 every {every_ms} ms (open loop)"
            ),
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
