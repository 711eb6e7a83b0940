//! A process sampled over time, with marks where the phases of a run begin.

use super::ProcessError;
use super::proc_files::Usage;
use crate::clock::Clock;
use measure::{PhaseMark, ResourceSample};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// Time between two samples.
const SAMPLE_INTERVAL_MS: u64 = 100;

/// What was sampled of one broker, over all its processes in a run.
#[derive(Clone, Debug, Default)]
pub struct ProcessSamples {
    /// In order of time.
    pub resources: Vec<ResourceSample>,
    /// In order of time; at each there is a sample.
    pub marks: Vec<PhaseMark>,
}

/// Samples a process until it is dropped.
#[derive(Debug)]
pub struct Sampler {
    shared: Arc<Shared>,
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    process_id: u32,
    clock: Clock,
    /// What an earlier process of the same broker had used, so that time goes on from there.
    used_before: Usage,
    samples: Mutex<ProcessSamples>,
}

impl Sampler {
    /// Samples the process, going on from what was sampled before.
    ///
    /// # Errors
    /// [`ProcessError::Unreadable`] if the process cannot be read.
    pub fn start(
        process_id: u32,
        clock: Clock,
        before: ProcessSamples,
    ) -> Result<Self, ProcessError> {
        let used_before = before.resources.last().map_or_else(Usage::default, |last| Usage {
            cpu_user_ns: last.cpu_user_ns,
            cpu_system_ns: last.cpu_system_ns,
            ..Usage::default()
        });
        let samples = Mutex::new(before);
        let shared = Arc::new(Shared { process_id, clock, used_before, samples });
        shared.sample()?;
        let (stop, stopped) = channel();
        let sampled = Arc::clone(&shared);
        let thread = std::thread::spawn(move || {
            let interval = Duration::from_millis(SAMPLE_INTERVAL_MS);
            while stopped.recv_timeout(interval) == Err(RecvTimeoutError::Timeout) {
                // A process that has ended is noticed, and named, by whoever waits for its answers.
                if sampled.sample().is_err() {
                    return;
                }
            }
        });
        Ok(Self { shared, stop: Some(stop), thread: Some(thread) })
    }

    /// A phase begins now.
    pub fn mark(&self, label: impl Into<String>) {
        let t_ns = self.shared.sample().unwrap_or_else(|_| self.shared.clock.now_ns());
        self.shared.samples().marks.push(PhaseMark { t_ns, label: label.into() });
    }

    /// Samples now.
    pub fn sample_now(&self) -> Option<ResourceSample> {
        // A process that has ended is noticed, and named, by whoever waits for its answers.
        self.shared.sample().ok()?;
        self.shared.samples().resources.last().copied()
    }

    /// The most resident memory that was sampled since `t_ns`.
    pub fn resident_bytes_max_since(&self, t_ns: u64) -> Option<u64> {
        self.sample_now();
        let samples = self.shared.samples();
        let since = samples.resources.iter().rev().take_while(|sample| sample.t_ns >= t_ns);
        since.map(|sample| sample.resident_bytes).max()
    }

    /// Ends sampling; all samples so far.
    #[must_use]
    pub fn finish(mut self) -> ProcessSamples {
        self.stop_thread();
        std::mem::take(&mut self.shared.samples())
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
    /// Takes a sample; its time.
    fn sample(&self) -> Result<u64, ProcessError> {
        let usage = Usage::read(self.process_id)?;
        // The time is taken under the lock, so that the samples are in its order.
        let mut samples = self.samples();
        let t_ns = self.clock.now_ns();
        samples.resources.push(ResourceSample {
            t_ns,
            cpu_user_ns: self.used_before.cpu_user_ns + usage.cpu_user_ns,
            cpu_system_ns: self.used_before.cpu_system_ns + usage.cpu_system_ns,
            resident_bytes: usage.resident_bytes,
            threads: usage.threads,
        });
        Ok(t_ns)
    }

    fn samples(&self) -> MutexGuard<'_, ProcessSamples> {
        self.samples.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_has_a_sample_of_its_own_and_processor_time_goes_on() {
        let mut before = ProcessSamples::default();
        let cpu_user_ns = 1_000_000_000_000;
        before.resources.push(ResourceSample {
            t_ns: 0,
            cpu_user_ns,
            cpu_system_ns: 0,
            resident_bytes: 1,
            threads: 1,
        });
        let sampler = Sampler::start(std::process::id(), Clock::start(), before).unwrap();
        sampler.mark("publish, 1 client");
        let samples = sampler.finish();
        let mark = &samples.marks[0];
        assert_eq!(mark.label, "publish, 1 client");
        assert!(samples.resources.iter().any(|sample| sample.t_ns == mark.t_ns));
        assert!(samples.resources[1..].iter().all(|sample| sample.cpu_user_ns >= cpu_user_ns));
        assert!(samples.resources.is_sorted_by_key(|sample| sample.t_ns));
    }
}
