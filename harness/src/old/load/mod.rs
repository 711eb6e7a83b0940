//! Load: many clients at the same time, each on its own connection and its own thread.

mod backlogs;
mod operations;
mod publisher;
mod streams;
mod subscriber;

pub use backlogs::{BacklogRun, Built, Drained, build_backlog, drain_backlog, end_backlog};
pub use operations::{ITEMS_PER_CELL_MAX, OperationLoad, OperationOutcome, run_operation};
pub use streams::{AckOutcome, StreamOutcome, StreamRun, run_stream};

use crate::clock::Clock;
use crate::drivers::DriverError;
use crate::gate::Gate;
use crate::interrupt::Interrupt;
use measure::LatencyHistogram;
use rayon::iter::{IntoParallelIterator, ParallelIterator};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread::ScopedJoinHandle;

/// Where the clients stand, as whoever watches is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// They are at work, and nothing is recorded.
    WarmUp,
    /// They are at work, and recorded.
    Measured,
    /// They have finished what is recorded.
    Over,
}

/// How long clients go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// Until so much is done.
    Count(u64),
    /// Until so much time has passed.
    DurationNs(u64),
}

/// What load needs of its surroundings.
pub struct Surroundings<'a> {
    /// The run's clock.
    pub clock: Clock,
    /// Whether to stop early.
    pub interrupt: &'a Interrupt,
    /// Told of each phase as it begins.
    pub on_phase: &'a mut dyn FnMut(Phase),
}

/// Why load could not be applied to its end.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// A client failed where nothing may.
    #[error("{doing}: {source}")]
    Client {
        /// What was being done.
        doing: String,
        /// What went wrong.
        source: DriverError,
    },
    /// Someone wants the run to end.
    #[error("interrupted")]
    Interrupted,
}

impl LoadError {
    fn client(doing: impl Into<String>) -> impl FnOnce(DriverError) -> Self {
        move |source| Self::Client { doing: doing.into(), source }
    }
}

/// What the threads of one piece of load share: they start together, and fail together.
struct Together<'a> {
    gate: Gate,
    failed: AtomicBool,
    first_error: Mutex<Option<LoadError>>,
    interrupt: &'a Interrupt,
}

impl<'a> Together<'a> {
    fn new(participants: usize, interrupt: &'a Interrupt) -> Self {
        Self {
            gate: Gate::new(participants),
            failed: AtomicBool::new(false),
            first_error: Mutex::new(None),
            interrupt,
        }
    }

    /// Waits for everyone. `None`: someone failed, and it is over.
    fn wait(&self) -> Option<()> {
        self.gate.wait().ok()
    }

    #[inline]
    fn must_stop(&self) -> bool {
        self.failed.load(Ordering::Relaxed) || self.interrupt.is_raised()
    }

    fn fail(&self, error: LoadError) {
        let mut first = self.first_error.lock().unwrap_or_else(PoisonError::into_inner);
        first.get_or_insert(error);
        self.failed.store(true, Ordering::Relaxed);
        self.gate.call_off();
    }

    /// The verdict when every thread has ended.
    fn conclude(self) -> Result<(), LoadError> {
        if self.interrupt.is_raised() {
            return Err(LoadError::Interrupted);
        }
        match self.first_error.into_inner().unwrap_or_else(PoisonError::into_inner) {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }
}

/// Calls everything off if its thread panics, so that nobody waits for it.
struct Guard<'a>(&'a Together<'a>);

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.failed.store(true, Ordering::Relaxed);
            self.0.gate.call_off();
        }
    }
}

/// Waits for a thread; its panic, a broken invariant, goes on here.
fn join<T>(thread: ScopedJoinHandle<'_, T>) -> T {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// All histograms in one.
fn merged(histograms: Vec<LatencyHistogram>) -> LatencyHistogram {
    histograms
        .into_par_iter()
        .reduce_with(|mut left, right| {
            left.merge(&right);
            left
        })
        .unwrap_or_default()
}
