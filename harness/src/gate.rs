//! A starting gate: everyone arrives, then everyone goes; or it is called off.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// A barrier that can be called off, so that one thread's failure never leaves others waiting.
#[derive(Debug)]
pub struct Gate {
    participants: usize,
    state: Mutex<State>,
    opened: Condvar,
}

#[derive(Debug, Default)]
struct State {
    waiting: usize,
    openings: u64,
    called_off: bool,
}

/// The gate was called off: another participant failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CalledOff;

impl Gate {
    /// A gate that opens whenever `participants` threads wait at it.
    #[must_use]
    pub fn new(participants: usize) -> Self {
        Self { participants, state: Mutex::new(State::default()), opened: Condvar::new() }
    }

    /// Waits for everyone.
    ///
    /// # Errors
    /// [`CalledOff`] if someone called it off, before or while waiting.
    pub fn wait(&self) -> Result<(), CalledOff> {
        let mut state = self.lock();
        let opening = state.openings;
        state.waiting += 1;
        if state.waiting == self.participants && !state.called_off {
            state.waiting = 0;
            state.openings += 1;
            self.opened.notify_all();
        }
        while state.openings == opening && !state.called_off {
            state = self.opened.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if state.openings == opening { Err(CalledOff) } else { Ok(()) }
    }

    /// Calls it off, now and for all later openings.
    pub fn call_off(&self) {
        self.lock().called_off = true;
        self.opened.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // The state is whole between any two statements, so a panic elsewhere cannot have torn it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn nobody_passes_before_everyone_is_there_and_it_opens_again() {
        let (gate, arrived) = (Gate::new(4), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for round in 1..=3 {
                        arrived.fetch_add(1, Ordering::SeqCst);
                        gate.wait().unwrap();
                        assert!(arrived.load(Ordering::SeqCst) >= 4 * round);
                        gate.wait().unwrap();
                    }
                });
            }
        });
    }

    #[test]
    fn calling_it_off_frees_those_who_wait_and_those_who_come() {
        let gate = Gate::new(3);
        std::thread::scope(|scope| {
            let waiting = [scope.spawn(|| gate.wait()), scope.spawn(|| gate.wait())];
            gate.call_off();
            for thread in waiting {
                assert_eq!(thread.join().unwrap(), Err(CalledOff));
            }
        });
        assert_eq!(gate.wait(), Err(CalledOff));
    }
}
