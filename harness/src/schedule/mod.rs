//! When the messages of an open load are due: what is intended, whatever becomes of it.
//!
//! A [`LoadModel`] is the aggregate over all publishers. Each generator thread has a [`Share`] of
//! the publishers, and a [`Schedule`] of that share of the messages; the schedules of all threads
//! together are the load, and nothing is multiplied by their number. What is not sent in time is
//! sent late, counted, and never skipped, since latencies that count from the intended time must
//! show the wait (Gil Tene's coordinated omission; wrk2 does likewise).
//!
//! Times are exact: at an even rate, message `i` is due at `i / rate` after the beginning, rounded
//! to the nearest nanosecond, after hours as in the first second. A schedule reads no clock; its
//! owner tells it the time.
//!
//! ```
//! use harness::schedule::{Arrivals, Extent, LoadModel, Phase, Schedule, Share, Terms};
//!
//! let terms = Terms {
//!     model: LoadModel::Open { rate_per_s: 3000.0, arrivals: Arrivals::Constant },
//!     warmup_ns: 0,
//!     extent: Extent::DurationNs(1_000_000_000),
//! };
//! // The second of two threads that share five publishers: it has numbers 1 and 3.
//! let mut schedule = Schedule::new(&terms, Share::interleaved(1, 2, 5)?, 0, 42)?;
//! assert_eq!(schedule.next_due_ns(), Some(333_333));
//! assert!(schedule.take_due(333_332, 64).is_none());
//!
//! // The thread comes a little late: what is due by now goes to one publisher, as one batch.
//! let due = schedule.take_due(1_000_000, 64).ok_or("two are due")?;
//! assert_eq!((due.publisher, due.phase), (1, Phase::Measured));
//! assert_eq!(due.times_ns, [333_333, 1_000_000]);
//!
//! // The next batch is its other publisher's.
//! assert_eq!(schedule.next_due_ns(), Some(2_000_000));
//! assert_eq!(schedule.take_due(2_000_000, 64).map(|due| due.publisher), Some(3));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod load_model;
mod rhythm;
mod share;
mod sources;
#[cfg(test)]
mod tests;

pub use load_model::{Arrivals, LoadModel, RATE_PER_S_MAX, RATE_PER_S_MIN, STEPS_MAX};
pub use share::Share;

use crate::random;
use sources::{Bursts, Poisson, Profile, Source as _};

const NS_PER_S: f64 = 1e9;

/// Messages that are sent later than this after they were due are counted as late.
pub const LATE_NS: u64 = 1_000_000;

/// Messages of one batch, at most: a schedule keeps room for their times.
pub const BATCH_MAX: u32 = 1 << 16;

/// What cannot be scheduled.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    /// A number that cannot be.
    #[error("{what}: expected {expected}, found {found}")]
    Impossible {
        /// What the number is.
        what: &'static str,
        /// What it may be.
        expected: String,
        /// What it is.
        found: String,
    },
}

/// What is to be sent, over all publishers and threads.
///
/// ```
/// use harness::schedule::{Extent, LoadModel, Schedule, Share, Terms};
///
/// // A second at 1000 per second to warm up, then 10 000 messages as the rate doubles and stays.
/// let terms = Terms {
///     model: LoadModel::Ramp { from_per_s: 1000.0, to_per_s: 2000.0, over_ns: 5_000_000_000 },
///     warmup_ns: 1_000_000_000,
///     extent: Extent::Messages(10_000),
/// };
/// let mut schedule = Schedule::new(&terms, Share::whole(1)?, 0, 42)?;
/// assert_eq!(schedule.measured_from_ns(), 1_000_000_000);
/// while schedule.take_due(u64::MAX, 64).is_some() {}
/// assert_eq!((schedule.taken().warm_up, schedule.taken().measured), (1000, 10_000));
/// # Ok::<(), harness::schedule::ScheduleError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Terms {
    /// How hard the publishers push in the measured phase.
    pub model: LoadModel,
    /// How long they push before it, at the rate that it begins with, which may be none; 0: not at
    /// all.
    pub warmup_ns: u64,
    /// How long the measured phase goes on.
    pub extent: Extent,
}

/// How long a measured phase goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// So long: what is due before its end is sent.
    DurationNs(u64),
    /// Until so many messages are sent, over all publishers.
    Messages(u64),
}

/// Which part of a measurement a message belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Before: sent, and not recorded.
    WarmUp,
    /// Recorded.
    Measured,
}

/// Messages that are due, for one publisher to send at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due<'a> {
    /// Who sends them: a number among all of the load's publishers.
    pub publisher: u32,
    /// What they belong to; never to both.
    pub phase: Phase,
    /// When each was due, on the clock of the schedule's beginning; never decreasing, never none.
    pub times_ns: &'a [u64],
}

/// What has been taken from a schedule.
///
/// ```
/// use harness::schedule::{Arrivals, Extent, LoadModel, Schedule, Share, Taken, Terms};
///
/// let model = LoadModel::Open { rate_per_s: 1000.0, arrivals: Arrivals::Constant };
/// let terms = Terms { model, warmup_ns: 0, extent: Extent::Messages(100) };
/// let mut schedule = Schedule::new(&terms, Share::whole(1)?, 0, 42)?;
/// // Due at 0, 1, 2 and 3 ms; the first two more than a millisecond ago.
/// assert_eq!(schedule.take_due(3_000_000, 64).map(|due| due.count()), Some(4));
/// assert_eq!(schedule.taken(), Taken { warm_up: 0, measured: 4, late: 2 });
/// # Ok::<(), harness::schedule::ScheduleError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// Messages of the warm-up.
    pub warm_up: u64,
    /// Messages of the measured phase.
    pub measured: u64,
    /// Messages of the measured phase that were taken more than [`LATE_NS`] after they were due.
    pub late: u64,
}

/// The messages of one generator thread, in the order in which they are due.
#[derive(Clone, Debug)]
pub struct Schedule {
    share: Share,
    /// Whose turn it is among the thread's publishers.
    place: u32,
    current: Running,
    then: Option<Running>,
    times_ns: Vec<u64>,
    taken: Taken,
}

/// A phase, from its beginning on.
#[derive(Clone, Debug)]
struct Running {
    phase: Phase,
    source: Source,
    start_ns: u64,
    /// What is due so long after its start, or later, is not part of it.
    duration_ns: u64,
    messages_left: u64,
}

#[derive(Clone, Debug)]
enum Source {
    Profile(Profile),
    Poisson(Poisson),
    Bursts(Bursts),
}

impl Schedule {
    /// The part of a load that falls to the publishers of `share`, from `start_ns` on, which is
    /// when the warm-up begins if there is one. The same `seed` gives the same arrivals.
    ///
    /// # Errors
    /// What [`LoadModel::check`] says.
    pub fn new(
        terms: &Terms,
        share: Share,
        start_ns: u64,
        seed: u64,
    ) -> Result<Self, ScheduleError> {
        terms.model.check()?;
        let (duration_ns, messages_left) = match terms.extent {
            Extent::DurationNs(duration_ns) => (duration_ns, u64::MAX),
            Extent::Messages(messages) => (u64::MAX, share.messages_of(messages)),
        };
        let measured = Running {
            phase: Phase::Measured,
            source: Source::new(&terms.model, &share, seed, Phase::Measured),
            start_ns: start_ns.saturating_add(terms.warmup_ns),
            duration_ns,
            messages_left,
        };
        let (current, then) = match warm_up(terms, &share, seed) {
            Some(source) => {
                let (phase, duration_ns) = (Phase::WarmUp, terms.warmup_ns);
                let messages_left = u64::MAX;
                let warm_up = Running { phase, source, start_ns, duration_ns, messages_left };
                (warm_up, Some(measured))
            }
            None => (measured, None),
        };
        let (times_ns, taken) = (Vec::new(), Taken::default());
        let mut schedule = Self { share, place: 0, current, then, times_ns, taken };
        schedule.end_phase();
        Ok(schedule)
    }

    /// When the next message is due; `None` after the last one.
    #[inline]
    #[must_use]
    pub fn next_due_ns(&self) -> Option<u64> {
        self.current.next_due_ns()
    }

    /// When the measured phase begins.
    #[must_use]
    pub fn measured_from_ns(&self) -> u64 {
        self.then.as_ref().unwrap_or(&self.current).start_ns
    }

    /// Takes what is due at `now_ns`, at most `max` messages and [`BATCH_MAX`], for the publisher
    /// whose turn it is; `None` if nothing is due. They must be sent: they do not come again.
    ///
    /// A thread that keeps up takes single messages, and its publishers send in turn; one that
    /// comes late takes a batch, which is one turn.
    #[inline]
    pub fn take_due(&mut self, now_ns: u64, max: u32) -> Option<Due<'_>> {
        self.times_ns.clear();
        self.current.fill(now_ns, max.min(BATCH_MAX), &mut self.times_ns);
        if self.times_ns.is_empty() {
            return None;
        }
        let (phase, publisher) = (self.current.phase, self.share.publisher(self.place));
        self.place = if self.place + 1 == self.share.count() { 0 } else { self.place + 1 };
        self.count(phase, now_ns);
        if self.current.next_due_ns().is_none() {
            self.end_phase();
        }
        Some(Due { publisher, phase, times_ns: &self.times_ns })
    }

    /// What has been taken up to now.
    #[must_use]
    pub fn taken(&self) -> Taken {
        self.taken
    }

    fn count(&mut self, phase: Phase, now_ns: u64) {
        let messages = self.times_ns.len() as u64;
        match phase {
            Phase::WarmUp => self.taken.warm_up += messages,
            Phase::Measured => {
                let late = |due_ns: &u64| now_ns - due_ns > LATE_NS;
                self.taken.measured += messages;
                self.taken.late += self.times_ns.partition_point(late) as u64;
            }
        }
    }

    fn end_phase(&mut self) {
        if self.current.next_due_ns().is_none()
            && let Some(then) = self.then.take()
        {
            self.current = then;
        }
    }
}

impl Due<'_> {
    /// How many messages there are; at least one.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.times_ns.len() as u32
    }

    /// When the first one was due.
    #[must_use]
    pub fn first_due_ns(&self) -> u64 {
        self.times_ns[0]
    }
}

fn warm_up(terms: &Terms, share: &Share, seed: u64) -> Option<Source> {
    let rate_per_s = terms.model.first_rate_per_s();
    if terms.warmup_ns == 0 || rate_per_s == 0.0 {
        return None;
    }
    let arrivals = match terms.model {
        LoadModel::Open { arrivals, .. } => arrivals,
        _ => Arrivals::Constant,
    };
    let model = LoadModel::Open { rate_per_s, arrivals };
    Some(Source::new(&model, share, seed, Phase::WarmUp))
}

impl Source {
    fn new(model: &LoadModel, share: &Share, seed: u64, phase: Phase) -> Self {
        match model {
            LoadModel::Open { rate_per_s, arrivals: Arrivals::Constant } => {
                Self::Profile(Profile::even(*rate_per_s, share))
            }
            LoadModel::Open { rate_per_s, arrivals: Arrivals::Poisson } => {
                let of_phase = u64::from(phase == Phase::WarmUp) << 32;
                let random = random::stream(seed, of_phase | u64::from(share.publisher(0)));
                Self::Poisson(Poisson::new(*rate_per_s, share, random))
            }
            LoadModel::Steps { rates_per_s, step_ns } => {
                Self::Profile(Profile::steps(rates_per_s, *step_ns, share))
            }
            LoadModel::Ramp { from_per_s, to_per_s, over_ns } => {
                Self::Profile(Profile::ramp(*from_per_s, *to_per_s, *over_ns, share))
            }
            LoadModel::Burst { rate_per_s, burst_messages, every_ns } => {
                Self::Bursts(Bursts::new(*rate_per_s, *burst_messages, *every_ns, share))
            }
        }
    }

    #[inline]
    fn due_ns(&self) -> u64 {
        match self {
            Self::Profile(source) => source.due_ns(),
            Self::Poisson(source) => source.due_ns(),
            Self::Bursts(source) => source.due_ns(),
        }
    }
}

impl Running {
    #[inline]
    fn next_due_ns(&self) -> Option<u64> {
        let due_ns = self.source.due_ns();
        let is_within = due_ns < self.duration_ns && self.messages_left > 0;
        // Beyond the end of the clock is never.
        if is_within { self.start_ns.checked_add(due_ns) } else { None }
    }

    #[inline]
    fn fill(&mut self, now_ns: u64, max: u32, times_ns: &mut Vec<u64>) {
        let Some(elapsed_ns) = now_ns.checked_sub(self.start_ns) else { return };
        let Some(last_ns) = self.duration_ns.checked_sub(1) else { return };
        let (start_ns, until_ns) = (self.start_ns, elapsed_ns.min(last_ns));
        let max = usize::try_from(self.messages_left).unwrap_or(usize::MAX).min(max as usize);
        match &mut self.source {
            Source::Profile(source) => source.fill(start_ns, until_ns, max, times_ns),
            Source::Poisson(source) => source.fill(start_ns, until_ns, max, times_ns),
            Source::Bursts(source) => source.fill(start_ns, until_ns, max, times_ns),
        }
        self.messages_left -= times_ns.len() as u64;
    }
}
