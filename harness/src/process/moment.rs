//! What a broker uses between two moments.

use super::proc_files::Identity;
use super::sampler::Shared;
use super::tree::Totals;
use measure::CellResources;
use std::fmt;
use std::sync::Arc;

/// A broker with its children at one moment, as [`Sampler::moment`](super::Sampler::moment) saw it.
#[derive(Clone)]
pub struct Moment {
    pub(super) shared: Arc<Shared>,
    /// On the sampler's clock.
    pub(super) t_ns: u64,
    pub(super) totals: Totals,
    /// Of the disks beneath its data directory.
    pub(super) disk_flushes: Option<u64>,
    /// Where it is one process: which, and the most memory since it started.
    pub(super) peak: Option<(Identity, u64)>,
}

impl Moment {
    /// What the broker used from this moment to a later one of the same sampler, or of the one that
    /// went on from it after a restart.
    ///
    /// Processor time has the resolution of kernel ticks, mostly 10 ms. Memory, threads and open
    /// files are the most that was seen at once, every 100 ms or as often as it costs no more than
    /// 1 % of a core to look; memory is exact where the broker is one process and grew beyond its
    /// earlier peak. Bytes count where they were handed to the page cache to be written
    /// (proc_pid_io(5)), flushes are the disk's, whoever caused them.
    ///
    /// ```
    /// use harness::clock::Clock;
    /// use harness::process::{ProcessSamples, Sampler};
    ///
    /// let before = ProcessSamples::default();
    /// let sampler = Sampler::start(std::process::id(), Clock::start(), before)?;
    /// let start = sampler.moment();
    /// let work: u64 = (0..1_000_000).sum();
    /// let used = start.until(&sampler.moment());
    /// assert!(work > 0 && used.resident_bytes_max > 0 && used.threads_max >= 1);
    /// # Ok::<(), harness::process::ProcessError>(())
    /// ```
    #[must_use]
    pub fn until(&self, later: &Self) -> CellResources {
        let cpu = later.totals.cpu.less(self.totals.cpu);
        let (from, to) = (self.totals.switches, later.totals.switches);
        let seen = later.shared.most_between(self.t_ns, later.t_ns);
        let written = later.totals.disk_written_bytes.zip(self.totals.disk_written_bytes);
        let flushes = later.disk_flushes.zip(self.disk_flushes);
        CellResources {
            cpu_user_ns: cpu.user_ns,
            cpu_system_ns: cpu.system_ns,
            cpu_us_per_delivery: None,
            resident_bytes_max: seen.resident_bytes.max(self.grown_peak(later)),
            threads_max: seen.threads,
            file_descriptors_max: seen.file_descriptors,
            context_switches_voluntary: to.voluntary.saturating_sub(from.voluntary),
            context_switches_involuntary: to.involuntary.saturating_sub(from.involuntary),
            disk_written_bytes: written.map(|(to, from)| to.saturating_sub(from)),
            disk_flushes: flushes.map(|(to, from)| to.saturating_sub(from)),
        }
    }

    /// The same, with the processor time for each of so many deliveries.
    #[must_use]
    pub fn until_delivered(&self, later: &Self, deliveries: u64) -> CellResources {
        let used = self.until(later);
        let per_delivery = used.cpu_ns() as f64 / 1e3 / deliveries as f64;
        let cpu_us_per_delivery = (deliveries > 0).then_some(per_delivery);
        CellResources { cpu_us_per_delivery, ..used }
    }

    /// The peak of its memory, if it was reached since; else 0.
    fn grown_peak(&self, later: &Self) -> u64 {
        match (self.peak, later.peak) {
            (Some((process, before)), Some((same, now))) if process == same && now > before => now,
            _ => 0,
        }
    }
}

impl fmt::Debug for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { t_ns, totals, .. } = self;
        f.debug_struct("Moment").field("t_ns", t_ns).field("totals", totals).finish_non_exhaustive()
    }
}
