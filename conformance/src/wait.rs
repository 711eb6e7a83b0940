//! How long anything may take, and waiting for what no event tells.

use std::thread;
use std::time::{Duration, Instant};

/// How long a test waits for anything before it fails. No broker needs a tenth of it; a loaded
/// machine might.
pub const WAIT_MAX: Duration = Duration::from_secs(10);

/// Pause between two looks at a condition.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Waits until `condition` holds, and fails with `expected` if it does not in [`WAIT_MAX`].
#[track_caller]
pub fn wait_until(expected: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + WAIT_MAX;
    while !condition() {
        assert!(Instant::now() < deadline, "expected within {WAIT_MAX:?}: {expected}");
        thread::sleep(LOOK_EVERY);
    }
}

/// Lets time pass, for what nothing but the clock brings about and no event tells, such as the end
/// of a session that nobody is connected to. Never to wait for the broker to do something.
pub fn let_time_pass(duration: Duration) {
    thread::sleep(duration);
}

/// Runs stories that mostly wait for the clock, each in a thread of its own, and fails with the
/// names of those that failed.
#[track_caller]
pub fn at_once(stories: &[(&str, fn())]) {
    let mut threads = Vec::new();
    for (name, story) in stories {
        let thread = thread::Builder::new().name((*name).to_owned());
        threads.push((*name, thread.spawn(*story).expect("a thread can be started")));
    }
    let mut failed = Vec::new();
    for (name, thread) in threads {
        if thread.join().is_err() {
            failed.push(name);
        }
    }
    assert!(failed.is_empty(), "expected all stories to hold, these did not: {failed:?}");
}
