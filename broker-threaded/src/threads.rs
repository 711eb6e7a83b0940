//! Threads of connections, no more at once than the process may have memory maps for.
//!
//! A thread that cannot be had is an error, and its connection is not served. But one that the
//! system starts and that then finds no memory map left for its signal stack takes the whole process
//! with it, before any of its own code runs. So it is not started.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// Virtual memory of a connection's thread; only what it touches is real.
const STACK_BYTES: usize = 256 * 1024;

/// Its stack and its signal stack, each with a page before it that may not be touched.
const MAPS_PER_THREAD: usize = 4;

/// Maps for everything else: programs, libraries, the heap, files.
const MAPS_RESERVED: usize = 4096;

/// Linux's default, where the file cannot be read.
const MAPS_DEFAULT: usize = 65_530;

const MAPS_FILE: &str = "/proc/sys/vm/max_map_count";

/// Starts threads while there is room for them.
#[derive(Debug)]
pub(crate) struct Threads {
    live: Arc<AtomicUsize>,
    max: usize,
}

impl Threads {
    /// As many as this machine lets a process have.
    pub(crate) fn of_this_machine() -> Self {
        let text = std::fs::read_to_string(MAPS_FILE).unwrap_or_default();
        Self::with_max(threads_max(text.trim().parse().unwrap_or(MAPS_DEFAULT)))
    }

    fn with_max(max: usize) -> Self {
        Self { live: Arc::new(AtomicUsize::new(0)), max }
    }

    /// Starts a thread.
    ///
    /// # Errors
    /// The operating system's, or that there is no room for one more.
    pub(crate) fn spawn(&self, name: &str, run: impl FnOnce() + Send + 'static) -> io::Result<()> {
        let place = Place(Arc::clone(&self.live));
        if self.live.fetch_add(1, Ordering::Relaxed) >= self.max {
            return Err(io::Error::other(format!(
                "expected at most {} threads for connections, by {MAPS_FILE}; raise it for more",
                self.max
            )));
        }
        let run = move || {
            let _place = place;
            run();
        };
        thread::Builder::new().name(name.into()).stack_size(STACK_BYTES).spawn(run).map(drop)
    }
}

/// A thread's place among the live ones, given back when it ends or could not be started.
#[derive(Debug)]
struct Place(Arc<AtomicUsize>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn threads_max(maps_max: usize) -> usize {
    (maps_max.saturating_sub(MAPS_RESERVED) / MAPS_PER_THREAD).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[test]
    fn one_thread_too_many_is_an_error_and_a_place_is_given_back() {
        let threads = Threads::with_max(1);
        let (end, ended) = mpsc::channel::<()>();
        let (gone, is_gone) = mpsc::channel::<()>();
        let run = move || {
            assert!(ended.recv().is_err());
            drop(gone);
        };
        threads.spawn("first", run).unwrap();
        let error = threads.spawn("second", || ()).unwrap_err().to_string();
        assert!(error.contains("at most 1 threads") && error.contains("max_map_count"), "{error}");
        drop(end);
        assert!(is_gone.recv().is_err());
        // The place is given back just after its thread let go of everything else.
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
        while threads.spawn("third", || ()).is_err() {
            assert!(std::time::Instant::now() < deadline, "the place was never given back");
            thread::yield_now();
        }
    }

    #[test]
    fn linux_by_default_has_maps_for_fifteen_thousand_threads() {
        assert_eq!(threads_max(MAPS_DEFAULT), 15_358);
        assert_eq!(threads_max(0), 1);
    }
}
