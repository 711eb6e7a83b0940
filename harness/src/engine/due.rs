//! When the messages of one generator thread are due, phase by phase.

use super::Extent;
use crate::schedule::{self, Arrivals, LoadModel, Schedule, Share, Terms};

/// The part of a load that one thread has.
#[derive(Clone, Debug)]
pub(super) struct ThreadSchedule {
    model: LoadModel,
    share: Share,
    seed: u64,
    current: Option<Schedule>,
}

/// Which phase a schedule is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pushing {
    /// At the rate that the load begins with.
    WarmUp,
    /// As the load says.
    Measured,
}

impl ThreadSchedule {
    pub(super) fn new(model: LoadModel, share: Share, seed: u64) -> Self {
        Self { model, share, seed, current: None }
    }

    /// A phase begins.
    pub(super) fn begin(&mut self, pushing: Pushing, start_ns: u64, extent: Extent) {
        let model = match pushing {
            Pushing::Measured => self.model.clone(),
            Pushing::WarmUp => LoadModel::Open {
                rate_per_s: self.model.first_rate_per_s(),
                arrivals: Arrivals::Constant,
            },
        };
        let extent = match extent {
            Extent::Count(messages) => schedule::Extent::Messages(messages),
            Extent::DurationNs(duration_ns) => schedule::Extent::DurationNs(duration_ns),
        };
        let terms = Terms { model, warmup_ns: 0, extent };
        // A load that begins with nothing has a warm-up of nothing, which cannot be scheduled; any
        // other was checked where it was read.
        self.current = Schedule::new(&terms, self.share, start_ns, self.seed).ok();
    }

    /// When the next message is due; `None`: none is left.
    #[inline]
    pub(super) fn next_due_ns(&self) -> Option<u64> {
        self.current.as_ref()?.next_due_ns()
    }

    /// Takes what is due by now, `count_max` at most: their times.
    #[inline]
    pub(super) fn take_due(&mut self, now_ns: u64, count_max: u32, due: &mut Vec<u64>) {
        let schedule = self.current.as_mut();
        if let Some(taken) = schedule.and_then(|schedule| schedule.take_due(now_ns, count_max)) {
            due.extend_from_slice(taken.times_ns);
        }
    }

    /// Whether none is left.
    pub(super) fn is_exhausted(&self) -> bool {
        self.next_due_ns().is_none()
    }
}
