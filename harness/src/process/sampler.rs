//! A broker with its children sampled over time, with marks where the phases of a run begin.

use super::ProcessError;
use super::flushes::FlushCounter;
use super::moment::Moment;
use super::proc_files::unreadable;
use super::tree::{ProcessTree, Totals, Unreadable};
use crate::clock::Clock;
use measure::{PhaseMark, ResourceSample};
use std::path::Path;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// Time between two samples.
const SAMPLE_INTERVAL_MS: u64 = 100;

/// A survey reads a file for every thread of the broker and every process of the machine. This many
/// times as long as one took there is none, so that they cost at most 1 % of a core.
const SURVEY_REST_FACTOR: u64 = 99;

/// What was sampled of one broker, over all its processes in a run.
#[derive(Clone, Debug, Default)]
pub struct ProcessSamples {
    /// In order of time.
    pub resources: Vec<ResourceSample>,
    /// In order of time; at each there is a sample.
    pub marks: Vec<PhaseMark>,
    /// Open files, in order of time.
    file_descriptors: Vec<(u64, u32)>,
    /// What it had used in all.
    totals: Option<Totals>,
}

/// Samples a process and its descendants until it is dropped.
#[derive(Debug)]
pub struct Sampler {
    shared: Arc<Shared>,
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
pub(super) struct Shared {
    process_id: u32,
    clock: Clock,
    /// What earlier processes of the same broker had used, so that figures go on from there.
    used_before: Totals,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    tree: ProcessTree,
    samples: ProcessSamples,
    next_survey_ns: u64,
    flushes: Option<FlushCounter>,
    no_flushes: Option<String>,
}

/// The most that was seen at once in some time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Most {
    pub(super) resident_bytes: u64,
    pub(super) threads: u32,
    /// `None`: it may not be read.
    pub(super) file_descriptors: Option<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Depth {
    /// A survey if one is due.
    Regular,
    Survey,
}

impl Sampler {
    /// Samples the process with its descendants, going on from what was sampled before.
    ///
    /// # Errors
    /// [`ProcessError::Unreadable`] if the process cannot be read.
    pub fn start(
        process_id: u32,
        clock: Clock,
        before: ProcessSamples,
    ) -> Result<Self, ProcessError> {
        let tree = ProcessTree::new(process_id).map_err(|error| unreadable(process_id, &error))?;
        let used_before = before.totals.unwrap_or(Totals::NONE);
        let state =
            State { tree, samples: before, next_survey_ns: 0, flushes: None, no_flushes: None };
        let shared = Arc::new(Shared { process_id, clock, used_before, state: Mutex::new(state) });
        shared.sample(&mut shared.state(), Depth::Regular)?;
        let (stop, stopped) = channel();
        let sampled = Arc::clone(&shared);
        let thread = std::thread::spawn(move || {
            let interval = Duration::from_millis(SAMPLE_INTERVAL_MS);
            while stopped.recv_timeout(interval) == Err(RecvTimeoutError::Timeout) {
                // A process that has ended is noticed, and named, by whoever waits for its answers.
                if sampled.sample(&mut sampled.state(), Depth::Regular).is_err() {
                    return;
                }
            }
        });
        Ok(Self { shared, stop: Some(stop), thread: Some(thread) })
    }

    /// Counts the flushes of the disks beneath this directory too.
    #[must_use]
    pub fn with_data_dir(self, directory: &Path) -> Self {
        let mut state = self.shared.state();
        match FlushCounter::of(directory) {
            Ok(counter) => state.flushes = Some(counter),
            Err(reason) => state.no_flushes = Some(reason),
        }
        drop(state);
        self
    }

    /// A phase begins now.
    pub fn mark(&self, label: impl Into<String>) {
        let mut state = self.shared.state();
        let sampled = self.shared.sample(&mut state, Depth::Regular);
        let t_ns = sampled.unwrap_or_else(|_| self.shared.clock.now_ns());
        state.samples.marks.push(PhaseMark { t_ns, label: label.into() });
    }

    /// Everything used so far; with a later one, [`Moment::until`] gives what was used between.
    ///
    /// Takes as long as it takes to read a file for each thread of the broker, about 35 µs each
    /// where cores are busy: 0.3 s of 8,000 threads. Of a broker that has ended it is what was last
    /// seen.
    #[must_use]
    pub fn moment(&self) -> Moment {
        let shared = Arc::clone(&self.shared);
        let mut state = shared.state();
        // A process that has ended is noticed, and named, by whoever waits for its answers.
        let sampled = shared.sample(&mut state, Depth::Survey);
        let t_ns = sampled.unwrap_or_else(|_| shared.clock.now_ns());
        let size = state.tree.size();
        let moment = Moment {
            shared: Arc::clone(&self.shared),
            t_ns,
            totals: shared.totals(&state.tree),
            disk_flushes: state.flushes.as_ref().and_then(FlushCounter::read),
            peak: state.tree.only_member().map(|only| (only, size.resident_bytes_max)),
        };
        drop(state);
        moment
    }

    /// What is missing in the figures and why, a sentence each.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let state = self.shared.state();
        let told = state.tree.unreadable().iter().map(|what| {
            let what = match what {
                Unreadable::DiskWrites => "bytes that the broker wrote to disk",
                Unreadable::FileDescriptors => "files that the broker had open",
            };
            format!(
                "the {what} are not known: process {} or one of its children may not be looked \
                 into; run the harness as the broker's user, or as root",
                self.shared.process_id
            )
        });
        told.chain(state.no_flushes.clone()).collect()
    }

    /// Samples now.
    pub fn sample_now(&self) -> Option<ResourceSample> {
        let mut state = self.shared.state();
        // A process that has ended is noticed, and named, by whoever waits for its answers.
        self.shared.sample(&mut state, Depth::Regular).ok()?;
        state.samples.resources.last().copied()
    }

    /// The most resident memory that was sampled since `t_ns`.
    pub fn resident_bytes_max_since(&self, t_ns: u64) -> Option<u64> {
        self.sample_now();
        let state = self.shared.state();
        let since = state.samples.resources.iter().rev().take_while(|sample| sample.t_ns >= t_ns);
        since.map(|sample| sample.resident_bytes).max()
    }

    /// Ends sampling; all samples so far.
    #[must_use]
    pub fn finish(mut self) -> ProcessSamples {
        self.stop_thread();
        let mut state = self.shared.state();
        let totals = self.shared.totals(&state.tree);
        // They are copied, since moments may still ask what there was between them.
        state.samples.totals = Some(totals);
        state.samples.clone()
    }

    fn stop_thread(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // It panics only if this very lock is poisoned, and then the samples are moot.
            let _panicked = thread.join();
        }
    }
}

impl Drop for Sampler {
    fn drop(&mut self) {
        self.stop_thread();
    }
}

impl Shared {
    /// Takes a sample; its time. That is taken under the lock, so that the samples are in its order.
    fn sample(&self, state: &mut State, depth: Depth) -> Result<u64, ProcessError> {
        let from_ns = self.clock.now_ns();
        let is_survey = depth == Depth::Survey || from_ns >= state.next_survey_ns;
        let read = if is_survey { state.tree.survey() } else { state.tree.look() };
        read.map_err(|error| unreadable(self.process_id, &error))?;
        let t_ns = self.clock.now_ns();
        if is_survey {
            let cost_ns = t_ns.saturating_sub(from_ns);
            state.next_survey_ns = t_ns + cost_ns.saturating_mul(SURVEY_REST_FACTOR);
            let open = state.tree.file_descriptors();
            state.samples.file_descriptors.extend(open.map(|open| (t_ns, open)));
        }
        let (size, totals) = (state.tree.size(), self.totals(&state.tree));
        state.samples.resources.push(ResourceSample {
            t_ns,
            cpu_user_ns: totals.cpu.user_ns,
            cpu_system_ns: totals.cpu.system_ns,
            resident_bytes: size.resident_bytes,
            threads: size.threads,
        });
        Ok(t_ns)
    }

    /// Of all its processes in the run.
    fn totals(&self, tree: &ProcessTree) -> Totals {
        self.used_before.plus(tree.totals())
    }

    /// The most that was seen at once from one time to another, both included.
    pub(super) fn most_between(&self, from_ns: u64, to_ns: u64) -> Most {
        let state = self.state();
        let samples = &state.samples;
        let within = |t_ns: u64| (from_ns..=to_ns).contains(&t_ns);
        let open = samples.file_descriptors.iter().filter(|(t_ns, _)| within(*t_ns));
        let resources = samples.resources.iter().filter(|sample| within(sample.t_ns));
        let most = Most { file_descriptors: open.map(|(_, open)| *open).max(), ..Most::default() };
        resources.fold(most, |most, sample| Most {
            resident_bytes: most.resident_bytes.max(sample.resident_bytes),
            threads: most.threads.max(sample.threads),
            ..most
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::super::proc_files::CpuTime;
    use super::*;

    #[test]
    fn a_mark_has_a_sample_of_its_own_and_processor_time_goes_on() {
        let cpu_user_ns = 1_000_000_000_000;
        let cpu = CpuTime { user_ns: cpu_user_ns, system_ns: 0 };
        let totals = Some(Totals { cpu, ..Totals::NONE });
        let before = ProcessSamples { totals, ..ProcessSamples::default() };
        let sampler = Sampler::start(std::process::id(), Clock::start(), before).unwrap();
        sampler.mark("publish, 1 client");
        let samples = sampler.finish();
        let mark = &samples.marks[0];
        assert_eq!(mark.label, "publish, 1 client");
        assert!(samples.resources.iter().any(|sample| sample.t_ns == mark.t_ns));
        assert!(samples.resources.iter().all(|sample| sample.cpu_user_ns >= cpu_user_ns));
        assert!(samples.resources.is_sorted_by_key(|sample| sample.t_ns));
    }

    #[test]
    fn what_is_asked_of_a_directory_without_a_disk_is_warned_of() {
        let (id, clock) = (std::process::id(), Clock::start());
        let sampler = Sampler::start(id, clock, ProcessSamples::default()).unwrap();
        let sampler = sampler.with_data_dir(Path::new("/proc"));
        let start = sampler.moment();
        assert_eq!(start.until(&sampler.moment()).disk_flushes, None);
        let warnings = sampler.warnings();
        assert!(warnings.iter().any(|warning| warning.contains("disk flushes")), "{warnings:?}");
    }
}
