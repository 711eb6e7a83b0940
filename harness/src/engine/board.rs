//! What the conductor of a piece of load and its generator threads tell each other.

use super::LoadError;
use crate::clock::Clock;
use crate::interrupt::Interrupt;
use mio::Waker;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How often the conductor looks whether it is to stop.
const LOOK_MS: u64 = 20;

/// What all threads are at. Every thread enters each stage, and arrives when its part is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(usize)]
pub(super) enum Stage {
    /// Not begun.
    Waiting,
    /// Those who are to be there first connect: subscribers.
    ConnectFirst,
    /// All others connect.
    ConnectOthers,
    /// Clients make what they will use up.
    Prepare,
    /// Load is applied, and not measured.
    WarmUp,
    /// Everything that was sent is awaited.
    WarmUpDrain,
    /// Connections are at rest; nobody arrives, and time is up in time.
    Hold,
    /// Everyone makes ready to record, before anyone sends what is recorded.
    Set,
    /// Load is applied, and measured.
    Measure,
    /// Everything that was sent is awaited.
    MeasureDrain,
    /// What was late for that is still counted, for a moment.
    Late,
    /// Clients remove what they made.
    CleanUp,
    /// It is over.
    Over,
}

impl Stage {
    pub(super) const ALL: [Self; 13] = [
        Self::Waiting,
        Self::ConnectFirst,
        Self::ConnectOthers,
        Self::Prepare,
        Self::WarmUp,
        Self::WarmUpDrain,
        Self::Hold,
        Self::Set,
        Self::Measure,
        Self::MeasureDrain,
        Self::Late,
        Self::CleanUp,
        Self::Over,
    ];

    /// The number that messages sent in it carry.
    pub(super) fn phase(self) -> u8 {
        u8::from(self > Self::WarmUpDrain)
    }
}

/// How a stage ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// Every thread arrived.
    Done,
    /// Time was up.
    TimedOut,
}

/// How long a stage may go on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// In all.
    pub(super) total_ns: u64,
    /// Without anything being received.
    pub(super) idle_ns: u64,
}

pub(super) struct Board {
    stage: AtomicUsize,
    /// When the stage began.
    stage_start_ns: AtomicU64,
    measure_start_ns: AtomicU64,
    /// Messages that each producer has sent, set when it has finished a phase.
    sent: Vec<AtomicU64>,
    /// Messages that each thread has received, in all.
    received: Vec<AtomicU64>,
    state: Mutex<State>,
    changed: Condvar,
    pub(super) clock: Clock,
    pub(super) interrupt: Interrupt,
}

#[derive(Default)]
struct State {
    arrived: usize,
    wakers: Vec<Arc<Waker>>,
    first_error: Option<LoadError>,
}

impl Board {
    pub(super) fn new(
        clock: Clock,
        interrupt: Interrupt,
        threads: usize,
        producers: usize,
    ) -> Self {
        Self {
            stage: AtomicUsize::new(Stage::Waiting as usize),
            stage_start_ns: AtomicU64::new(0),
            measure_start_ns: AtomicU64::new(0),
            sent: (0..producers).map(|_| AtomicU64::new(0)).collect(),
            received: (0..threads).map(|_| AtomicU64::new(0)).collect(),
            state: Mutex::default(),
            changed: Condvar::new(),
            clock,
            interrupt,
        }
    }

    #[inline]
    pub(super) fn stage(&self) -> Stage {
        Stage::ALL[self.stage.load(Ordering::Acquire)]
    }

    pub(super) fn stage_start_ns(&self) -> u64 {
        self.stage_start_ns.load(Ordering::Acquire)
    }

    pub(super) fn set_sent(&self, producer: u32, messages: u64) {
        self.sent[producer as usize].store(messages, Ordering::Release);
    }

    pub(super) fn sent(&self) -> Vec<u64> {
        self.sent.iter().map(|sent| sent.load(Ordering::Acquire)).collect()
    }

    pub(super) fn set_received(&self, thread: usize, messages: u64) {
        self.received[thread].store(messages, Ordering::Relaxed);
    }

    pub(super) fn received(&self) -> u64 {
        self.received.iter().map(|received| received.load(Ordering::Relaxed)).sum()
    }

    /// A thread can be woken from now on.
    pub(super) fn join(&self, waker: Arc<Waker>) {
        self.lock().wakers.push(waker);
    }

    /// A thread has done its part of a stage. Where time was up, it is late, and it is nothing.
    pub(super) fn arrive(&self, stage: Stage) {
        let mut state = self.lock();
        if self.stage() == stage {
            state.arrived += 1;
            self.changed.notify_all();
        }
    }

    /// A thread cannot go on.
    pub(super) fn fail(&self, error: LoadError) {
        let mut state = self.lock();
        state.first_error.get_or_insert(error);
        self.set_stage(Stage::Over, &mut state);
        self.changed.notify_all();
    }

    /// Has all threads enter a stage, and waits until it is done or time is up. Errors: a thread
    /// failed, or someone wants it to end; then everyone is at the last stage.
    pub(super) fn conduct(&self, stage: Stage, patience: Patience) -> Result<Ended, LoadError> {
        self.set_stage(stage, &mut self.lock());
        let begin_ns = self.clock.now_ns();
        let (mut received, mut changed_ns) = (self.received(), begin_ns);
        loop {
            let mut state = self.lock();
            if let Some(error) = state.first_error.take() {
                return Err(error);
            }
            if state.arrived >= self.received.len() {
                return Ok(Ended::Done);
            }
            let wait = Duration::from_millis(LOOK_MS);
            let waited = self.changed.wait_timeout(state, wait);
            drop(waited.unwrap_or_else(PoisonError::into_inner));
            if self.interrupt.is_raised() {
                self.set_stage(Stage::Over, &mut self.lock());
                return Err(LoadError::Interrupted);
            }
            let now_ns = self.clock.now_ns();
            if self.received() != received {
                (received, changed_ns) = (self.received(), now_ns);
            }
            if now_ns - begin_ns > patience.total_ns || now_ns - changed_ns > patience.idle_ns {
                return Ok(Ended::TimedOut);
            }
        }
    }

    /// When the measured stage began.
    pub(super) fn measure_start_ns(&self) -> u64 {
        self.measure_start_ns.load(Ordering::Acquire)
    }

    /// Has all threads end.
    pub(super) fn end(&self) {
        self.set_stage(Stage::Over, &mut self.lock());
    }

    fn set_stage(&self, stage: Stage, state: &mut State) {
        state.arrived = 0;
        let now_ns = self.clock.now_ns();
        self.stage_start_ns.store(now_ns, Ordering::Release);
        if stage == Stage::Measure {
            self.measure_start_ns.store(now_ns, Ordering::Release);
        }
        self.stage.store(stage as usize, Ordering::Release);
        for waker in &state.wakers {
            // A thread that cannot be woken looks by itself, a little later.
            let _unwoken = waker.wake();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // The state is whole between any two statements, so a panic elsewhere cannot have torn it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
