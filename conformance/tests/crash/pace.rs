//! How far the workers of one broker's life have come, and when it ends.

use crate::wire::Gone;
use conformance::WAIT_MAX;
use std::sync::{Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

/// How long one who found nothing to do waits for others before it looks again.
const IDLE_MAX: Duration = Duration::from_millis(20);

/// Counts what was confirmed while one broker lives.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    confirmed: u64,
    /// The broker was told to end.
    is_over: bool,
    /// A worker found a broken promise.
    has_failed: bool,
}

/// Why nothing more is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Came {
    /// So many were confirmed.
    SoFar,
    /// A worker failed.
    Failed,
    /// Nothing was confirmed for [`WAIT_MAX`].
    Stuck,
}

impl Pace {
    /// Something was confirmed.
    pub(crate) fn confirm(&self) {
        self.lock().confirmed += 1;
        self.changed.notify_all();
    }

    /// How much was confirmed.
    pub(crate) fn confirmed(&self) -> u64 {
        self.lock().confirmed
    }

    /// Waits until `count` were confirmed.
    pub(crate) fn wait_for(&self, count: u64) -> Came {
        let mut state = self.lock();
        loop {
            let before = state.confirmed;
            if state.has_failed {
                return Came::Failed;
            }
            if before >= count {
                return Came::SoFar;
            }
            let (now, waited) = self
                .changed
                .wait_timeout_while(state, WAIT_MAX, |state| {
                    state.confirmed == before && !state.has_failed
                })
                .expect(LOCK);
            if waited.timed_out() {
                return Came::Stuck;
            }
            state = now;
        }
    }

    /// The broker was told to end.
    pub(crate) fn end(&self) {
        self.lock().is_over = true;
        self.changed.notify_all();
    }

    /// Lets others go on for a moment, for who found nothing to do.
    pub(crate) fn idle(&self) -> Result<(), Gone> {
        let state = self.lock();
        let before = state.confirmed;
        let idle = |state: &mut State| state.confirmed == before && !state.is_over;
        let (state, _) = self.changed.wait_timeout_while(state, IDLE_MAX, idle).expect(LOCK);
        if state.is_over { Err(Gone) } else { Ok(()) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect(LOCK)
    }
}

/// Tells the others when the thread that holds it fails.
#[derive(Debug)]
pub(crate) struct Witness<'a>(pub(crate) &'a Pace);

impl Drop for Witness<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.lock().has_failed = true;
            self.0.changed.notify_all();
        }
    }
}

const LOCK: &str = "no thread panics while it counts";
