//! The request to stop, shared by everyone who must hear of it.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

type Callback = Box<dyn FnOnce() + Send>;

/// Tells all parts of a broker that it shall stop. Clones share one request,
/// which is made once and never taken back.
#[derive(Clone, Default)]
pub struct Stop {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    requested: AtomicBool,
    /// Those waiting to be told; the lock also orders them against the request.
    waiting: Mutex<Vec<Callback>>,
}

impl Stop {
    /// A stop that nobody has requested yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether the broker shall stop. Cheap enough to ask in every loop.
    pub fn is_requested(&self) -> bool {
        self.shared.requested.load(Ordering::Acquire)
    }

    /// Requests the stop and calls everyone who waits for it, on this thread.
    /// Requesting again does nothing.
    pub fn request(&self) {
        let told = {
            let mut waiting = self.lock_waiting();
            self.shared.requested.store(true, Ordering::Release);
            std::mem::take(&mut *waiting)
        };
        for callback in told {
            callback();
        }
    }

    /// Has `callback` called once when the stop is requested: by the thread
    /// that requests it, or by this one, now, if that has happened already.
    ///
    /// It should only wake others: those told after it wait for it to return.
    pub fn on_request(&self, callback: impl FnOnce() + Send + 'static) {
        {
            let mut waiting = self.lock_waiting();
            if !self.is_requested() {
                waiting.push(Box::new(callback));
                return;
            }
        }
        callback();
    }

    fn lock_waiting(&self) -> std::sync::MutexGuard<'_, Vec<Callback>> {
        self.shared.waiting.lock().expect("no callback runs under the lock, so no holder panics")
    }
}

impl fmt::Debug for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stop").field("requested", &self.is_requested()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;
    use std::thread;

    use super::*;

    /// A stop, and how often the callback that it was given has been called.
    fn counted(stop: &Stop) -> Arc<AtomicUsize> {
        let calls = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&calls);
        stop.on_request(move || {
            counted.fetch_add(1, Ordering::SeqCst);
        });
        calls
    }

    #[test]
    fn every_clone_sees_the_request() {
        let stop = Stop::new();
        let clone = stop.clone();
        assert!(!clone.is_requested());
        stop.request();
        assert!(clone.is_requested());
    }

    #[test]
    fn a_callback_is_called_once_however_often_the_stop_is_requested() {
        let stop = Stop::new();
        let calls = counted(&stop);
        assert_eq!(calls.load(Ordering::SeqCst), 0);
        stop.request();
        stop.clone().request();
        assert_eq!(calls.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn a_callback_given_after_the_request_is_called_at_once() {
        let stop = Stop::new();
        stop.request();
        assert_eq!(counted(&stop).load(Ordering::SeqCst), 1);
    }

    #[test]
    fn a_callback_may_use_the_stop_that_calls_it() {
        let stop = Stop::new();
        let inner = stop.clone();
        stop.on_request(move || {
            inner.request();
            inner.on_request(|| ());
            assert!(inner.is_requested());
        });
        stop.request();
    }

    #[test]
    fn no_callback_is_lost_or_doubled_when_many_threads_race_the_request() {
        for _ in 0..200 {
            let stop = Stop::new();
            let calls: Vec<_> = thread::scope(|scope| {
                let threads: Vec<_> = (0..4).map(|_| scope.spawn(|| counted(&stop))).collect();
                stop.request();
                threads.into_iter().map(|thread| thread.join().expect("counted")).collect()
            });
            for calls in calls {
                assert_eq!(calls.load(Ordering::SeqCst), 1);
            }
        }
    }
}
