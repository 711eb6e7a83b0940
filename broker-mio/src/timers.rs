//! The times at which connections want to be looked at.

use broker_core::Now;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Deadlines of one loop's connections. An entry may be stale: whoever is looked at too early or
/// for nothing says when it wants to be looked at next.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    heap: BinaryHeap<Reverse<(Now, u64)>>,
}

impl Timers {
    pub(crate) fn set(&mut self, at: Now, key: u64) {
        self.heap.push(Reverse((at, key)));
    }

    pub(crate) fn next(&self) -> Option<Now> {
        self.heap.peek().map(|Reverse((at, _))| *at)
    }

    /// Takes one whose time has come.
    pub(crate) fn pop_due(&mut self, now: Now) -> Option<u64> {
        if self.next()? > now {
            return None;
        }
        self.heap.pop().map(|Reverse((_, key))| key)
    }
}
