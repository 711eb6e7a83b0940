//! Whether a measurement may be believed: what was observed of it becomes a verdict, with reasons.
//!
//! | standing | what it says |
//! |---|---|
//! | VALID | nothing speaks against the figures |
//! | SUSPECT | they may be off by some per cent; each reason says why |
//! | UNSUSTAINABLE | the broker did not keep up with the rate: percentiles would tell how long it was measured |
//! | INVALID | something else than the broker was measured |
//!
//! The worst finding gives the standing, in this order. What the generator did wrong outranks what
//! the broker did, since a generator that fails makes brokers look bad. All limits are in
//! [`limits`].

mod backlog;
mod broker;
mod generator;
pub mod limits;
mod surroundings;
mod timeline;

pub use backlog::{BacklogPoint, Trend, trend};
pub use timeline::{backlog_of, halves_per_s};

use crate::generator_watch::{GeneratorUse, ThreadUse};
use crate::ledger::Faults;
use measure::{Standing, StreamLoad, Verdict};

/// How publishers decide when to send the next message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pacing {
    /// When there is room: as fast as they can, or so many unacknowledged. A thread of the generator
    /// may well be busy all the time then.
    #[default]
    Closed,
    /// When it is due by a schedule, whatever the broker does.
    Open,
}

impl From<&StreamLoad> for Pacing {
    fn from(load: &StreamLoad) -> Self {
        match load {
            StreamLoad::Saturating | StreamLoad::Closed { .. } => Self::Closed,
            StreamLoad::Open { .. }
            | StreamLoad::Steps { .. }
            | StreamLoad::Ramp { .. }
            | StreamLoad::Burst { .. } => Self::Open,
        }
    }
}

/// What is measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Subject {
    /// A message broker.
    #[default]
    Broker,
    /// What bounds brokers, such as the driver against nothing; it measures the generator, and is to.
    Ceiling,
}

/// Where broker and generator run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Cores {
    /// On the same cores, where each takes from the other.
    #[default]
    Shared,
    /// On cores or machines of their own.
    Apart,
}

/// Whether the subscription may lose messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Loss {
    /// It may not.
    #[default]
    Forbidden,
    /// It may, as its lag policy or its guarantee says.
    Allowed,
}

/// How late messages were sent, by the schedule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lateness {
    /// The 99th percentile of the time from when a message was due to when it was sent.
    pub p99_ns: u64,
    /// Between two messages of one publisher, on average.
    pub mean_interval_ns: u64,
}

/// What was observed of one measurement. What is not known is left as by default, and judged as
/// if nothing spoke against it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Observations {
    /// What is measured.
    pub subject: Subject,
    /// How it is sent.
    pub pacing: Pacing,
    /// Where.
    pub cores: Cores,
    /// Length of the measured phase.
    pub measured_ns: u64,
    /// The generator's threads over the measured phase.
    pub threads: Vec<ThreadUse>,
    /// By the schedule, if there is one.
    pub lateness: Option<Lateness>,
    /// What the schedule asked for, over all publishers, if there is one.
    pub offered_per_s: Option<f64>,
    /// What was sent.
    pub sent_per_s: f64,
    /// What was received, over all subscribers.
    pub delivered_per_s: f64,
    /// What this driver delivers against nothing.
    pub ceiling_per_s: Option<f64>,
    /// What was asked of the broker, with success or not.
    pub requests: u64,
    /// What was answered with an error, or not at all.
    pub errors: u64,
    /// Latencies that the percentiles rest on.
    pub latency_samples: u64,
    /// Messages received before they were sent, by their stamps.
    pub clock_errors: u64,
    /// What the ledgers found.
    pub faults: Faults,
    /// Whether messages may be lost.
    pub loss: Loss,
    /// Sent less delivered at intervals over the measured phase; `None` where nothing is delivered.
    /// See [`backlog_of`].
    pub backlog: Option<Vec<BacklogPoint>>,
    /// Deliveries per second in the first and in the second half of the measured phase. See
    /// [`halves_per_s`].
    pub halves_per_s: Option<[f64; 2]>,
    /// How often the broker started anew in the measured phase.
    pub broker_restarts: u32,
    /// The part of the machine's time that other machines on its host took, in 0..=1.
    pub steal: Option<f64>,
    /// The part that processes other than generator and broker used, in 0..=1.
    pub others: Option<f64>,
    /// The processors' mean clock at the start and at the end.
    pub clock_mhz: Option<[f64; 2]>,
}

impl Observations {
    /// With what a watch saw of the generator and the machine. `broker_cpu_ns` is what the broker
    /// used of this machine in the same time, 0 where it is on another; without it, what others used
    /// cannot be told from what the broker did.
    #[must_use]
    pub fn with_generator(self, used: &GeneratorUse, broker_cpu_ns: Option<u64>) -> Self {
        Self {
            threads: used.threads.clone(),
            steal: used.steal,
            others: broker_cpu_ns.and_then(|broker_cpu_ns| used.others(broker_cpu_ns)),
            clock_mhz: used.clock_mhz,
            ..self
        }
    }
}

/// What speaks against a measurement.
#[derive(Clone, Debug, PartialEq)]
struct Finding {
    standing: Standing,
    /// A sentence with the figure, the limit, and what to do.
    reason: String,
}

impl Finding {
    fn new(standing: Standing, reason: String) -> Self {
        Self { standing, reason }
    }
}

/// A rule looks at what was observed, and finds something or not.
type Rule = fn(&Observations) -> Option<Finding>;

const RULES: [Rule; 15] = [
    generator::busy,
    generator::late,
    generator::behind,
    generator::at_ceiling,
    generator::clock_errors,
    broker::restarted,
    broker::faults,
    broker::losses,
    broker::errors,
    broker::backlog,
    broker::drift,
    broker::few_samples,
    surroundings::steal,
    surroundings::others,
    surroundings::processor_clock,
];

/// Judges a measurement. The reasons are in order of weight.
///
/// ```
/// use harness::validity::{Lateness, Observations, Pacing, judge};
/// use measure::Standing;
///
/// let good = Observations {
///     pacing: Pacing::Open,
///     measured_ns: 10_000_000_000,
///     offered_per_s: Some(1_000.0),
///     sent_per_s: 1_000.0,
///     delivered_per_s: 1_000.0,
///     latency_samples: 10_000,
///     lateness: Some(Lateness { p99_ns: 80_000, mean_interval_ns: 1_000_000 }),
///     ..Observations::default()
/// };
/// assert_eq!(judge(&good).standing, Standing::Valid);
///
/// let stolen = Observations { steal: Some(0.08), ..good };
/// let verdict = judge(&stolen);
/// assert_eq!(verdict.standing, Standing::Invalid);
/// assert!(verdict.reasons[0].contains("8.0 %"));
/// ```
#[must_use]
pub fn judge(observations: &Observations) -> Verdict {
    let mut findings: Vec<Finding> = RULES.iter().filter_map(|rule| rule(observations)).collect();
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.standing));
    let standing = findings.first().map_or(Standing::Valid, |worst| worst.standing);
    Verdict { standing, reasons: findings.into_iter().map(|finding| finding.reason).collect() }
}

/// A fraction in per cent, for a reason.
fn percent(fraction: f64) -> String {
    match fraction {
        small if small > 0.0 && small < 0.0005 => "less than 0.1 %".to_owned(),
        fraction => format!("{:.1} %", fraction * 100.0),
    }
}

/// A rate, for a reason.
fn rate(per_s: f64) -> String {
    format!("{per_s:.0}/s")
}

#[cfg(test)]
mod tests;
