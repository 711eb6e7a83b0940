//! Who may touch a connection's session, one thread at a time, and what others leave for it.
//!
//! A thread that has a cause for a session leaves it here. If nobody holds the session, that
//! thread holds it from then on and handles the cause; else whoever does will: a holder can only
//! let go by finding that nothing was left.

use broker_core::Cause;
use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::Duration;

#[derive(Debug, Default)]
pub(crate) struct Post {
    state: Mutex<State>,
    /// For those who wait to hold the session.
    freed: Condvar,
    /// For the reader: causes were left, or something changed.
    changed: Condvar,
    /// For the writer: there is output that blocks, or the connection is over.
    called: Condvar,
}

#[derive(Debug, Default)]
struct State {
    held: bool,
    waiting_to_hold: u32,
    causes: Vec<Cause>,
    /// Counts what the reader may wait for: room for input, or all being written.
    changes: u64,
    reader_waits: bool,
    writer_called: bool,
    over: bool,
}

impl Post {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect(POST_LOCK)
    }

    /// Leaves a cause. Gives whether the caller holds the session now, and is to handle it.
    pub(crate) fn leave(&self, cause: Cause) -> bool {
        let mut state = self.lock();
        state.causes.push(cause);
        !std::mem::replace(&mut state.held, true)
    }

    /// Waits until nobody holds the session, and holds it.
    pub(crate) fn hold(&self) {
        let mut state = self.lock();
        state.waiting_to_hold += 1;
        state = self.freed.wait_while(state, |state| state.held).expect(POST_LOCK);
        state.waiting_to_hold -= 1;
        state.held = true;
    }

    /// What was left, for a holder that is about to let go; `None`: nothing, and it has let go.
    pub(crate) fn causes_or_let_go(&self) -> Option<Vec<Cause>> {
        let mut state = self.lock();
        if !state.causes.is_empty() {
            return Some(std::mem::take(&mut state.causes));
        }
        state.held = false;
        if state.waiting_to_hold > 0 {
            self.freed.notify_one();
        }
        None
    }

    /// Tells the reader that something changed that it may wait for.
    pub(crate) fn note_change(&self) {
        let mut state = self.lock();
        state.changes += 1;
        if state.reader_waits {
            self.changed.notify_one();
        }
    }

    /// What [`wait_for_change`](Self::wait_for_change) compares with; to be taken before that is
    /// looked at which might change.
    pub(crate) fn changes(&self) -> u64 {
        self.lock().changes
    }

    /// Waits until something changed since `seen` was taken, or `limit` has passed.
    pub(crate) fn wait_for_change(&self, seen: u64, limit: Option<Duration>) {
        let mut state = self.lock();
        state.reader_waits = true;
        let waits = |state: &mut State| state.changes == seen;
        let mut state = match limit {
            Some(limit) => self.changed.wait_timeout_while(state, limit, waits).expect(POST_LOCK).0,
            None => self.changed.wait_while(state, waits).expect(POST_LOCK),
        };
        state.reader_waits = false;
    }

    /// Calls the writer to output that blocks.
    pub(crate) fn call_writer(&self) {
        self.lock().writer_called = true;
        self.called.notify_one();
    }

    /// Waits for a call to the writer. Gives whether there is one; if not, the connection is over.
    pub(crate) fn wait_for_call(&self) -> bool {
        let waits = |state: &mut State| !state.writer_called && !state.over;
        let mut state = self.called.wait_while(self.lock(), waits).expect(POST_LOCK);
        state.writer_called = false;
        !state.over
    }

    /// The connection is over.
    pub(crate) fn end(&self) {
        self.lock().over = true;
        self.called.notify_one();
    }
}

const POST_LOCK: &str = "no thread panics while it holds a connection's post";
