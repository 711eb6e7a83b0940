//! How the loops stop together: no connection is closed before every loop has stopped reading,
//! so that what a publisher was acknowledged on one loop still reaches a subscriber on another.

use std::sync::atomic::{AtomicUsize, Ordering};

/// How many loops have yet to stop reading.
#[derive(Debug)]
pub(crate) struct Stopping {
    reading: AtomicUsize,
}

impl Stopping {
    pub(crate) fn new(loops: usize) -> Self {
        Self { reading: AtomicUsize::new(loops) }
    }

    /// A loop has stopped reading. Gives whether it was the last.
    pub(crate) fn loop_stopped(&self) -> bool {
        self.reading.fetch_sub(1, Ordering::AcqRel) == 1
    }

    /// Whether all loops have stopped reading.
    pub(crate) fn all_stopped(&self) -> bool {
        self.reading.load(Ordering::Acquire) == 0
    }
}
