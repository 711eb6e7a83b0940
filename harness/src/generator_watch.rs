//! How busy the load generator itself was, thread by thread, and what the machine did meanwhile.
//!
//! A generator that has no processor time left measures itself: its threads send late and receive
//! late, and the broker is blamed for it. Each of its threads [enters](GeneratorThreads::enter)
//! itself under a name; a [`GeneratorWatch`] over the measured phase says how much of it each ran,
//! and how much it waited for a core.

use crate::clock::Clock;
use crate::machine_time::{MachineTicks, clock_mhz};
use crate::process::{cpu_ns, ns_to_ticks, own_cpu_ns};
use measure::{GeneratorFigures, GeneratorThread};
use procfs::process::Process;
use rustix::time::{ClockId, clock_gettime};
use std::collections::HashMap;
use std::marker::PhantomData;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Threads that nobody entered are named if they were at least so busy.
const UNNAMED_BUSY_MIN: f64 = 0.01;

/// The threads of the generator, as they come and go.
#[derive(Clone, Debug)]
pub struct GeneratorThreads {
    clock: Clock,
    entries: Arc<Mutex<Vec<Entry>>>,
}

#[derive(Clone, Debug)]
struct Entry {
    name: String,
    thread_id: i32,
    entered_ns: u64,
    at_entry: ThreadTimes,
    at_end: Option<ThreadTimes>,
}

/// A thread's times since it started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct ThreadTimes {
    ran_ns: u64,
    /// Ready to run, and without a core; `None` where the kernel does not count it.
    waited_ns: Option<u64>,
}

/// A thread's presence among the generator's; what it used is kept when this is dropped.
#[derive(Debug)]
pub struct Entered {
    entries: Arc<Mutex<Vec<Entry>>>,
    thread_id: i32,
    /// It belongs to the thread that entered.
    not_send: PhantomData<*const ()>,
}

impl GeneratorThreads {
    /// None yet.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        Self { clock, entries: Arc::default() }
    }

    /// Enters the calling thread, until what is returned is dropped.
    pub fn enter(&self, name: impl Into<String>) -> Entered {
        let thread_id = rustix::thread::gettid().as_raw_nonzero().get();
        self.lock().push(Entry {
            name: name.into(),
            thread_id,
            entered_ns: self.clock.now_ns(),
            at_entry: own_times(thread_id),
            at_end: None,
        });
        Entered { entries: Arc::clone(&self.entries), thread_id, not_send: PhantomData }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        let times = own_times(self.thread_id);
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let is_own =
            |entry: &&mut Entry| entry.thread_id == self.thread_id && entry.at_end.is_none();
        if let Some(entry) = entries.iter_mut().rev().find(is_own) {
            entry.at_end = Some(times);
        }
    }
}

/// Watches the generator and the machine over a phase.
///
/// ```
/// use harness::clock::Clock;
/// use harness::generator_watch::{GeneratorThreads, GeneratorWatch};
///
/// let threads = GeneratorThreads::new(Clock::start());
/// let _entered = threads.enter("load 0");
/// let watch = GeneratorWatch::start(&threads);
/// let work: u64 = (0..1_000_000).sum();
/// let used = watch.finish();
/// assert!(work > 0 && used.threads[0].name == "load 0" && used.threads[0].cpu_ns > 0);
/// ```
#[derive(Debug)]
pub struct GeneratorWatch {
    threads: GeneratorThreads,
    started_ns: u64,
    before: HashMap<i32, (String, ThreadTimes)>,
    machine: Option<MachineTicks>,
    own_cpu_ns: u64,
    clock_mhz: Option<f64>,
}

/// What the generator and the machine did over a phase.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GeneratorUse {
    /// First those that entered, in that order, then others of this process that were busy.
    pub threads: Vec<ThreadUse>,
    /// The part of the machine's time that other machines on the same host took, in 0..=1; `None`
    /// where the kernel does not tell.
    pub steal: Option<f64>,
    /// The part of the machine's time that processes used, of any kind, in 0..=1.
    pub machine_busy: Option<f64>,
    /// The mean clock of the processors at the start and at the end.
    pub clock_mhz: Option<[f64; 2]>,
    machine: Option<MachineTicks>,
    own_cpu_ns: u64,
}

/// What one thread did over a phase.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ThreadUse {
    /// What it does, e.g. `load 0`.
    pub name: String,
    /// Processor time.
    pub cpu_ns: u64,
    /// The part of the phase that it ran, in 0..=1.
    pub busy: f64,
    /// The part of the phase that it was ready to run and had no core; `None` where the kernel does
    /// not count it.
    pub waiting: Option<f64>,
}

impl GeneratorWatch {
    /// The phase begins now. Threads that have ended are forgotten.
    #[must_use]
    pub fn start(threads: &GeneratorThreads) -> Self {
        threads.lock().retain(|entry| entry.at_end.is_none());
        Self {
            threads: threads.clone(),
            before: all_times(),
            machine: MachineTicks::now(),
            own_cpu_ns: own_cpu_ns(),
            clock_mhz: clock_mhz(),
            // Last, so that what it takes to look is not of the phase.
            started_ns: threads.clock.now_ns(),
        }
    }

    /// The phase ends now.
    #[must_use]
    pub fn finish(self) -> GeneratorUse {
        let wall_ns = self.threads.clock.now_ns().saturating_sub(self.started_ns).max(1);
        let machine = self.machine.zip(MachineTicks::now()).map(|(from, to)| to.since(from));
        let own_cpu_ns = own_cpu_ns().saturating_sub(self.own_cpu_ns);
        let mut now = all_times();
        let mut threads = Vec::new();
        for entry in self.threads.lock().iter() {
            let seen = now.remove(&entry.thread_id).map(|(_, times)| times);
            let before = match self.before.get(&entry.thread_id) {
                Some((_, times)) if entry.entered_ns <= self.started_ns => *times,
                _ => entry.at_entry,
            };
            let after = entry.at_end.or(seen).unwrap_or(before);
            threads.push(thread_use(entry.name.clone(), before, after, wall_ns));
        }
        let mut others: Vec<ThreadUse> = now
            .into_iter()
            .map(|(id, (name, after))| {
                let before =
                    self.before.get(&id).map_or_else(Default::default, |(_, times)| *times);
                thread_use(name, before, after, wall_ns)
            })
            .filter(|thread| thread.busy >= UNNAMED_BUSY_MIN)
            .collect();
        others.sort_by(|left, right| left.name.cmp(&right.name));
        threads.extend(others);
        GeneratorUse {
            threads,
            steal: machine.map(|machine| machine.fraction(machine.steal)),
            machine_busy: machine.map(|machine| machine.fraction(machine.processes)),
            clock_mhz: self.clock_mhz.zip(clock_mhz()).map(|(from, to)| [from, to]),
            machine,
            own_cpu_ns,
        }
    }
}

impl GeneratorUse {
    /// As the run record has it; time that the kernel does not tell of counts as not stolen.
    #[must_use]
    pub fn figures(&self, ceiling_per_s: Option<f64>) -> GeneratorFigures {
        let figure = |thread: &ThreadUse| GeneratorThread {
            name: thread.name.clone(),
            cpu_ns: thread.cpu_ns,
            busy: thread.busy,
        };
        GeneratorFigures {
            threads: self.threads.iter().map(figure).collect(),
            steal: self.steal.unwrap_or(0.0),
            ceiling_per_s,
        }
    }

    /// The part of the machine's time that processes other than the broker, which used
    /// `broker_cpu_ns`, and the generator used, in 0..=1; `None` where the kernel does not tell.
    #[must_use]
    pub fn others(&self, broker_cpu_ns: u64) -> Option<f64> {
        let machine = self.machine?;
        let ours = ns_to_ticks(self.own_cpu_ns + broker_cpu_ns);
        Some(machine.fraction(machine.processes.saturating_sub(ours)))
    }
}

fn thread_use(name: String, before: ThreadTimes, after: ThreadTimes, wall_ns: u64) -> ThreadUse {
    let part = |ns: u64| (ns as f64 / wall_ns as f64).min(1.0);
    let ran_ns = after.ran_ns.saturating_sub(before.ran_ns);
    let waited_ns = after.waited_ns.zip(before.waited_ns).map(|(to, from)| to.saturating_sub(from));
    ThreadUse { name, cpu_ns: ran_ns, busy: part(ran_ns), waiting: waited_ns.map(part) }
}

/// Of every thread of this process. One that runs is up to date as of the kernel's last tick.
fn all_times() -> HashMap<i32, (String, ThreadTimes)> {
    let tasks = Process::myself().and_then(|process| process.tasks());
    tasks
        .into_iter()
        .flatten()
        .filter_map(|task| {
            let task = task.ok()?;
            let times = match scheduler_times(task.tid) {
                Some(times) => times,
                None => {
                    let stat = task.stat().ok()?;
                    ThreadTimes { ran_ns: cpu_ns(stat.utime + stat.stime), waited_ns: None }
                }
            };
            let name = std::fs::read_to_string(format!("/proc/self/task/{}/comm", task.tid));
            Some((task.tid, (name.ok()?.trim().to_owned(), times)))
        })
        .collect()
}

/// Of the calling thread, exact.
fn own_times(thread_id: i32) -> ThreadTimes {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    let ran_ns = now.tv_sec.cast_unsigned() * 1_000_000_000 + now.tv_nsec.cast_unsigned();
    ThreadTimes { ran_ns, waited_ns: scheduler_times(thread_id).and_then(|times| times.waited_ns) }
}

/// `/proc/self/task/TID/schedstat`: time run, time waited, times run (the kernel's
/// Documentation/scheduler/sched-stats.rst). All 0 where the kernel does not count.
fn scheduler_times(thread_id: i32) -> Option<ThreadTimes> {
    let text = std::fs::read_to_string(format!("/proc/self/task/{thread_id}/schedstat")).ok()?;
    parse_schedstat(&text)
}

fn parse_schedstat(text: &str) -> Option<ThreadTimes> {
    let numbers: Vec<u64> = text.split_whitespace().filter_map(|n| n.parse().ok()).collect();
    match numbers[..] {
        [ran_ns, waited_ns, runs] if runs > 0 => {
            Some(ThreadTimes { ran_ns, waited_ns: Some(waited_ns) })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;
    use std::time::Duration;

    /// Until the calling thread has run so long.
    fn burn(burn_ns: u64) {
        let from = own_times(0).ran_ns;
        while own_times(0).ran_ns - from < burn_ns {
            std::hint::spin_loop();
        }
    }

    #[test]
    fn threads_that_go_on_and_that_ended_are_told_what_they_ran() {
        const BURN_NS: u64 = 50_000_000;
        let threads = GeneratorThreads::new(Clock::start());
        let (begin, begun) = channel::<()>();
        let (burnt, all_burnt) = channel();
        let (end, ended) = channel::<()>();
        let used = std::thread::scope(|scope| {
            let (threads, stays) = (&threads, burnt.clone());
            scope.spawn(move || {
                let _entered = threads.enter("stays");
                stays.send(()).unwrap();
                begun.recv_timeout(Duration::from_secs(30)).unwrap();
                burn(BURN_NS);
                stays.send(()).unwrap();
                let _ended = ended.recv_timeout(Duration::from_secs(30));
            });
            all_burnt.recv_timeout(Duration::from_secs(30)).unwrap();
            let watch = GeneratorWatch::start(threads);
            begin.send(()).unwrap();
            let ends = scope.spawn(|| {
                let _entered = threads.enter("ends");
                burn(BURN_NS);
            });
            ends.join().unwrap();
            all_burnt.recv_timeout(Duration::from_secs(30)).unwrap();
            let used = watch.finish();
            drop(end);
            used
        });
        for name in ["stays", "ends"] {
            let thread = used.threads.iter().find(|thread| thread.name == name).unwrap();
            // One that runs may be a tick of at most 10 ms behind.
            assert!(thread.cpu_ns >= BURN_NS - 10_000_000, "{thread:?}");
            assert!(thread.busy > 0.0 && thread.busy <= 1.0, "{thread:?}");
        }
        assert!(used.steal.is_some_and(|steal| (0.0..=1.0).contains(&steal)));
        assert!(used.others(u64::MAX / 2).is_some_and(|others| others == 0.0));
        assert!(used.others(0) <= used.machine_busy);
        let figures = used.figures(Some(5.0));
        assert_eq!((figures.threads.len(), figures.ceiling_per_s), (used.threads.len(), Some(5.0)));
    }

    #[test]
    fn the_schedulers_times_are_read_where_it_counts() {
        let expected = ThreadTimes { ran_ns: 5, waited_ns: Some(7) };
        assert_eq!(parse_schedstat("5 7 2\n"), Some(expected));
        assert_eq!(parse_schedstat("0 0 0\n"), None);
        assert_eq!(parse_schedstat(""), None);
    }
}
