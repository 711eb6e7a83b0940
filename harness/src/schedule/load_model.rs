//! How hard publishers push, over all of them, whatever the broker does.

use super::rhythm::{Rhythm, messages_of};
use super::{NS_PER_S, ScheduleError};

/// The lowest rate, other than none: one message in a thousand seconds.
pub const RATE_PER_S_MIN: f64 = 1e-3;

/// The highest rate: one message each nanosecond.
pub const RATE_PER_S_MAX: f64 = 1e9;

/// Steps of one load, at most.
pub const STEPS_MAX: usize = 10_000;

/// An open load: its messages have times of their own, and do not wait for the broker
/// (Schroeder, Wierman and Harchol-Balter, "Open Versus Closed: A Cautionary Tale", NSDI 2006).
///
/// Every rate is over all publishers, however many threads and publishers there are.
///
/// ```
/// use harness::schedule::{Arrivals, LoadModel};
///
/// let steps = LoadModel::Steps { rates_per_s: vec![1000.0, 3000.0], step_ns: 1_000_000_000 };
/// assert_eq!(steps.first_rate_per_s(), 1000.0);
/// assert_eq!(steps.messages_in(1_500_000_000), 2500.0);
/// // Beyond its last step it stays where it is.
/// assert_eq!(steps.messages_in(3_000_000_000), 7000.0);
///
/// let none = LoadModel::Open { rate_per_s: 0.0, arrivals: Arrivals::Poisson };
/// assert!(none.check().is_err());
/// ```
#[derive(Clone, Debug, PartialEq)]
pub enum LoadModel {
    /// One rate throughout.
    Open {
        /// Messages per second.
        rate_per_s: f64,
        /// How messages follow each other.
        arrivals: Arrivals,
    },
    /// One even rate after the other; the last one stays.
    Steps {
        /// Messages per second, in turn; 0 is a pause.
        rates_per_s: Vec<f64>,
        /// How long each lasts.
        step_ns: u64,
    },
    /// A rate that changes evenly from one to another, and stays there.
    Ramp {
        /// Messages per second at the beginning.
        from_per_s: f64,
        /// Messages per second at the end, and from then on.
        to_per_s: f64,
        /// How long the change takes.
        over_ns: u64,
    },
    /// An even rate, and beside it so many messages at once every so often, the first of them one
    /// such interval after the beginning: what came before shows the broker at rest.
    Burst {
        /// Messages per second between bursts; may be 0.
        rate_per_s: f64,
        /// Messages in each burst, over all publishers.
        burst_messages: u64,
        /// From one burst to the next.
        every_ns: u64,
    },
}

/// How the messages of an open load follow each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Arrivals {
    /// Evenly.
    #[default]
    Constant,
    /// As many independent sources would send: with exponentially distributed gaps.
    Poisson,
}

impl LoadModel {
    /// Whether messages can be scheduled by it.
    ///
    /// # Errors
    /// [`ScheduleError::Impossible`] where a rate is not a number, is beyond
    /// [`RATE_PER_S_MAX`], or is below [`RATE_PER_S_MIN`] and not 0; where nothing would ever be
    /// sent; and where a time is 0.
    pub fn check(&self) -> Result<(), ScheduleError> {
        match self {
            Self::Open { rate_per_s, .. } => {
                rate("the rate of an open load", *rate_per_s)?;
                some("the rate of an open load", *rate_per_s > 0.0)
            }
            Self::Steps { rates_per_s, step_ns } => {
                if rates_per_s.len() > STEPS_MAX {
                    let found = rates_per_s.len().to_string();
                    let expected = format!("at most {STEPS_MAX}");
                    return Err(ScheduleError::Impossible { what: "steps", expected, found });
                }
                rates_per_s.iter().try_for_each(|&step| rate("the rate of a step", step))?;
                some("the rates of all steps", rates_per_s.iter().any(|&step| step > 0.0))?;
                time("the length of a step", *step_ns)
            }
            Self::Ramp { from_per_s, to_per_s, over_ns } => {
                rate("the rate at the beginning of a ramp", *from_per_s)?;
                rate("the rate at the end of a ramp", *to_per_s)?;
                some("the rates of a ramp", *from_per_s > 0.0 || *to_per_s > 0.0)?;
                time("the length of a ramp", *over_ns)
            }
            Self::Burst { rate_per_s, burst_messages, every_ns } => {
                rate("the rate between bursts", *rate_per_s)?;
                some("the messages of a burst", *burst_messages > 0)?;
                time("the time between bursts", *every_ns)
            }
        }
    }

    /// The rate that the load begins with, which is the warm-up's; between bursts where there are
    /// bursts.
    #[must_use]
    pub fn first_rate_per_s(&self) -> f64 {
        match self {
            Self::Open { rate_per_s, .. } | Self::Burst { rate_per_s, .. } => *rate_per_s,
            Self::Steps { rates_per_s, .. } => rates_per_s.first().copied().unwrap_or(0.0),
            Self::Ramp { from_per_s, .. } => *from_per_s,
        }
    }

    /// How many messages, over all publishers, fall within the first `duration_ns`: the integral
    /// of the rate. What a schedule makes of it differs by less than one; by a Poisson process it
    /// is the mean.
    #[must_use]
    pub fn messages_in(&self, duration_ns: u64) -> f64 {
        let duration_s = duration_ns as f64 / NS_PER_S;
        match self {
            Self::Open { rate_per_s, .. } => even(*rate_per_s, duration_ns),
            Self::Steps { rates_per_s, step_ns } => {
                let last = rates_per_s.len().saturating_sub(1);
                let step = |(index, &rate_per_s): (usize, &f64)| {
                    let begins_ns = step_ns.saturating_mul(index as u64);
                    let left_ns = duration_ns.saturating_sub(begins_ns);
                    let own_ns = if index == last { left_ns } else { left_ns.min(*step_ns) };
                    even(rate_per_s, own_ns)
                };
                rates_per_s.iter().enumerate().map(step).sum()
            }
            Self::Ramp { from_per_s, to_per_s, over_ns } => {
                let over_s = *over_ns as f64 / NS_PER_S;
                let ramp_s = duration_s.min(over_s);
                let gained_per_s = (to_per_s - from_per_s) * ramp_s / over_s;
                (from_per_s + gained_per_s / 2.0) * ramp_s
                    + even(*to_per_s, duration_ns.saturating_sub(*over_ns))
            }
            Self::Burst { rate_per_s, burst_messages, every_ns } => {
                let bursts = duration_ns.saturating_sub(1) / (*every_ns).max(1);
                even(*rate_per_s, duration_ns) + bursts as f64 * *burst_messages as f64
            }
        }
    }
}

fn even(rate_per_s: f64, duration_ns: u64) -> f64 {
    let rhythm = Rhythm::of(rate_per_s);
    rhythm.map_or(0.0, |rhythm| messages_of(rhythm.messages_in(duration_ns)))
}

fn rate(what: &'static str, rate_per_s: f64) -> Result<(), ScheduleError> {
    if rate_per_s == 0.0 || (RATE_PER_S_MIN..=RATE_PER_S_MAX).contains(&rate_per_s) {
        return Ok(());
    }
    let expected = format!("{RATE_PER_S_MIN} to {RATE_PER_S_MAX} messages per second, or 0");
    Err(ScheduleError::Impossible { what, expected, found: rate_per_s.to_string() })
}

fn some(what: &'static str, is_some: bool) -> Result<(), ScheduleError> {
    let (expected, found) = ("more than 0".to_owned(), "nothing to send".to_owned());
    if is_some { Ok(()) } else { Err(ScheduleError::Impossible { what, expected, found }) }
}

fn time(what: &'static str, time_ns: u64) -> Result<(), ScheduleError> {
    let (expected, found) = ("more than 0 ns".to_owned(), "0 ns".to_owned());
    if time_ns > 0 { Ok(()) } else { Err(ScheduleError::Impossible { what, expected, found }) }
}
