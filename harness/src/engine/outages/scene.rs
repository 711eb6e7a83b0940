//! What the clients of an outage and their conductor know of one another: where the broker is, how
//! far everyone is, and what was counted.

use crate::clock::Clock;
use crate::drivers::DriverError;
use crate::engine::LoadError;
use crate::interrupt::Interrupt;
use crate::live::LiveCounts;
use crate::wire::Driver;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long anyone waits before looking whether all is over.
pub(super) const SLICE_NS: u64 = 20_000_000;

/// From one attempt to connect to the next, at first and at most; each doubles the last.
const BACK_OFF_NS_MIN: u64 = 1_000_000;
const BACK_OFF_NS_MAX: u64 = 100_000_000;

/// Intervals of a timeline; what comes later is in the last.
pub(super) const INTERVALS_MAX: usize = 600;

/// Where the clients stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// They connect.
    Connecting,
    /// Messages are due from this time on.
    Sending { start_ns: u64 },
    /// Nothing is published any more.
    Draining,
    /// They are to end.
    Over,
}

/// One process of the broker: the first one, or the one after it.
#[derive(Clone)]
pub(super) struct Broker {
    pub(super) driver: Arc<dyn Driver>,
    pub(super) life: Life,
}

/// Which of its processes a connection was made to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Life {
    Before,
    After,
}

/// Shared by all clients and their conductor.
pub(super) struct Scene {
    pub(super) clock: Clock,
    pub(super) interrupt: Interrupt,
    interval_ns: u64,
    state: Mutex<State>,
    changed: Condvar,
    pub(super) counts: Counts,
}

struct State {
    stage: Stage,
    /// When the first message was due.
    start_ns: Option<u64>,
    /// `None` while it is down.
    broker: Option<Broker>,
    /// Whether connections may end.
    may_end: bool,
    ready: u32,
    done: u32,
    failure: Option<LoadError>,
    complaint: Option<String>,
    errors: Vec<u64>,
}

/// What was counted.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) sent: AtomicU64,
    pub(super) resent: AtomicU64,
    pub(super) delivered: AtomicU64,
    pub(super) errors: AtomicU64,
    /// By publisher, messages.
    pub(super) acknowledged: Box<[AtomicU64]>,
    /// When the first delivery over a later connection came; [`u64::MAX`]: none did.
    pub(super) first_delivery_ns: AtomicU64,
}

impl Counts {
    pub(super) fn acknowledged(&self) -> Vec<u64> {
        self.acknowledged.iter().map(|count| count.load(Ordering::Relaxed)).collect()
    }

    pub(super) fn live(&self) -> LiveCounts {
        LiveCounts {
            sent: self.sent.load(Ordering::Relaxed),
            delivered: self.delivered.load(Ordering::Relaxed),
            acknowledged: self.acknowledged().iter().sum(),
            errors: self.errors.load(Ordering::Relaxed),
        }
    }
}

impl Scene {
    pub(super) fn new(
        clock: Clock,
        interrupt: Interrupt,
        driver: Arc<dyn Driver>,
        publishers: u32,
        interval_ns: u64,
    ) -> Self {
        let counts = Counts {
            acknowledged: (0..publishers).map(|_| AtomicU64::new(0)).collect(),
            first_delivery_ns: AtomicU64::new(u64::MAX),
            ..Counts::default()
        };
        let state = State {
            stage: Stage::Connecting,
            start_ns: None,
            broker: Some(Broker { driver, life: Life::Before }),
            may_end: false,
            ready: 0,
            done: 0,
            failure: None,
            complaint: None,
            errors: Vec::new(),
        };
        let (state, changed) = (Mutex::new(state), Condvar::new());
        Self { clock, interrupt, interval_ns, state, changed, counts }
    }

    pub(super) fn stage(&self) -> Stage {
        self.state().stage
    }

    pub(super) fn enter(&self, stage: Stage) {
        let mut state = self.state();
        state.stage = stage;
        if let Stage::Sending { start_ns } = stage {
            state.start_ns = Some(start_ns);
        }
        drop(state);
        self.changed.notify_all();
    }

    /// Where the broker is; `None` if it is nowhere for a slice.
    pub(super) fn broker(&self) -> Option<Broker> {
        let slice = Duration::from_nanos(SLICE_NS);
        let is_down = |state: &mut State| state.broker.is_none() && state.stage != Stage::Over;
        let (state, _) = self
            .changed
            .wait_timeout_while(self.state(), slice, is_down)
            .unwrap_or_else(PoisonError::into_inner);
        state.broker.clone()
    }

    /// From now on connections may end, and nobody connects.
    pub(super) fn take_down(&self) {
        let mut state = self.state();
        (state.broker, state.may_end) = (None, true);
    }

    /// It is there again.
    pub(super) fn bring_up(&self, driver: Arc<dyn Driver>) {
        self.state().broker = Some(Broker { driver, life: Life::After });
        self.changed.notify_all();
    }

    /// One more client has connected for the first time.
    pub(super) fn count_ready(&self) {
        self.state().ready += 1;
        self.changed.notify_all();
    }

    /// One more client has done all it had to.
    pub(super) fn count_done(&self) {
        self.state().done += 1;
        self.changed.notify_all();
    }

    /// How many clients are ready, and how many are done; after a slice, or at once when that
    /// changes.
    pub(super) fn progress(&self) -> Result<[u32; 2], LoadError> {
        if self.interrupt.is_raised() {
            return Err(LoadError::Interrupted);
        }
        let mut state = self.state();
        if let Some(failure) = state.failure.take() {
            return Err(failure);
        }
        let before = [state.ready, state.done];
        let slice = Duration::from_nanos(SLICE_NS);
        let is_same =
            |state: &mut State| [state.ready, state.done] == before && state.failure.is_none();
        let (state, _) = self
            .changed
            .wait_timeout_while(state, slice, is_same)
            .unwrap_or_else(PoisonError::into_inner);
        Ok([state.ready, state.done])
    }

    /// A connection ended, or was not made: whether its client may make another.
    pub(super) fn handle_lost(&self, doing: String, error: DriverError) -> bool {
        let mut state = self.state();
        if !state.may_end {
            let failure = LoadError::Client { doing, source: error };
            state.failure.get_or_insert(failure);
            self.changed.notify_all();
            return false;
        }
        self.counts.errors.fetch_add(1, Ordering::Relaxed);
        if let Some(start_ns) = state.start_ns {
            let index = self.interval(start_ns, self.clock.now_ns());
            let errors = &mut state.errors;
            errors.resize(errors.len().max(index + 1), 0);
            errors[index] += 1;
        }
        if state.broker.is_some() {
            state.complaint = Some(format!("{doing}: {error}"));
        }
        true
    }

    /// Which interval of the timeline a time is in.
    pub(super) fn interval(&self, start_ns: u64, now_ns: u64) -> usize {
        let index = now_ns.saturating_sub(start_ns) / self.interval_ns.max(1);
        usize::try_from(index).unwrap_or(usize::MAX).min(INTERVALS_MAX - 1)
    }

    /// Errors in each interval.
    pub(super) fn errors(&self) -> Vec<u64> {
        self.state().errors.clone()
    }

    /// What kept a client from coming back, last.
    pub(super) fn complaint(&self) -> Option<String> {
        self.state().complaint.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // The state is whole between any two statements, so a panic elsewhere cannot have torn it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits as long as told, or until the stage is another.
    fn pause(&self, wait_ns: u64) {
        let state = self.state();
        let stage = state.stage;
        let wait = Duration::from_nanos(wait_ns);
        let is_same = |state: &mut State| state.stage == stage;
        let _waited = self.changed.wait_timeout_while(state, wait, is_same);
    }
}

/// How long to wait until the next attempt to connect.
#[derive(Debug)]
pub(super) struct BackOff {
    next_ns: u64,
}

impl BackOff {
    pub(super) fn new() -> Self {
        Self { next_ns: BACK_OFF_NS_MIN }
    }

    pub(super) fn wait(&mut self, scene: &Scene) {
        scene.pause(self.next_ns);
        self.next_ns = (2 * self.next_ns).min(BACK_OFF_NS_MAX);
    }

    pub(super) fn reset(&mut self) {
        self.next_ns = BACK_OFF_NS_MIN;
    }
}
