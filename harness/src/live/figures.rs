//! What generator threads tell of a measurement while it goes on.
//!
//! Each thread writes into a slot of its own, at most four times a second: counts as atomics, and
//! its latencies behind a lock that it only tries. Whoever shows them reads all slots; a thread that
//! finds its slot being read leaves it for the next time, so that showing never holds load up.

use measure::LatencyHistogram;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// From one write of a thread to its next.
pub const WRITE_INTERVAL_NS: u64 = 250_000_000;

/// The figures of one measurement, shared by the threads that make them and the one that shows them.
#[derive(Debug)]
pub struct LiveFigures {
    threads: Box<[Slot]>,
    broker_cpu_ns: AtomicU64,
    broker_resident_bytes: AtomicU64,
}

/// On cache lines of its own, so that threads do not slow one another.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Slot {
    sent: AtomicU64,
    delivered: AtomicU64,
    acknowledged: AtomicU64,
    errors: AtomicU64,
    latencies: Mutex<LatencyHistogram>,
}

/// What was counted since the measured phase began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LiveCounts {
    /// Messages sent, or requests made.
    pub sent: u64,
    /// Deliveries, or answers.
    pub delivered: u64,
    /// Messages acknowledged.
    pub acknowledged: u64,
    /// Errors and faults.
    pub errors: u64,
}

/// All threads' figures at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LiveSnapshot {
    /// What was counted.
    pub counts: LiveCounts,
    /// Percentiles of latency so far; `None` of too few samples.
    pub p50_ns: Option<u64>,
    /// The 90th percentile.
    pub p90_ns: Option<u64>,
    /// The 99th percentile.
    pub p99_ns: Option<u64>,
    /// The 99.9th percentile.
    pub p99_9_ns: Option<u64>,
    /// The largest.
    pub max_ns: Option<u64>,
    /// Processor time of the broker since it was started; 0 without a process.
    pub broker_cpu_ns: u64,
    /// Resident memory of the broker; 0 without a process.
    pub broker_resident_bytes: u64,
}

/// One generator thread's way to its slot.
#[derive(Debug)]
pub struct LiveWriter {
    figures: Arc<LiveFigures>,
    thread: usize,
    next_ns: u64,
}

impl LiveFigures {
    /// For so many generator threads.
    #[must_use]
    pub fn new(threads: usize) -> Arc<Self> {
        Arc::new(Self {
            threads: (0..threads).map(|_| Slot::default()).collect(),
            broker_cpu_ns: AtomicU64::new(0),
            broker_resident_bytes: AtomicU64::new(0),
        })
    }

    /// A writer for each thread.
    #[must_use]
    pub fn writers(self: &Arc<Self>) -> Vec<LiveWriter> {
        let writer = |thread| LiveWriter { figures: Arc::clone(self), thread, next_ns: 0 };
        (0..self.threads.len()).map(writer).collect()
    }

    /// What the broker process has used, from whoever watches it.
    pub fn set_broker(&self, cpu_ns: u64, resident_bytes: u64) {
        self.broker_cpu_ns.store(cpu_ns, Ordering::Relaxed);
        self.broker_resident_bytes.store(resident_bytes, Ordering::Relaxed);
    }

    /// All threads' figures as they are now. Not for generator threads.
    #[must_use]
    pub fn snapshot(&self) -> LiveSnapshot {
        let mut counts = LiveCounts::default();
        let mut latencies = LatencyHistogram::new();
        for slot in &self.threads {
            counts.sent += slot.sent.load(Ordering::Relaxed);
            counts.delivered += slot.delivered.load(Ordering::Relaxed);
            counts.acknowledged += slot.acknowledged.load(Ordering::Relaxed);
            counts.errors += slot.errors.load(Ordering::Relaxed);
            // A histogram is replaced whole, so a panic elsewhere cannot have torn it.
            latencies.merge(&slot.latencies.lock().unwrap_or_else(PoisonError::into_inner));
        }
        let summary = latencies.summary();
        LiveSnapshot {
            counts,
            p50_ns: summary.p50_ns,
            p90_ns: summary.p90_ns,
            p99_ns: summary.p99_ns,
            p99_9_ns: summary.p99_9_ns,
            max_ns: summary.max_ns,
            broker_cpu_ns: self.broker_cpu_ns.load(Ordering::Relaxed),
            broker_resident_bytes: self.broker_resident_bytes.load(Ordering::Relaxed),
        }
    }
}

impl LiveWriter {
    /// Whether it is time to write again.
    #[inline]
    #[must_use]
    pub fn is_due(&self, now_ns: u64) -> bool {
        now_ns >= self.next_ns
    }

    /// Writes the thread's counts, and the latencies that `add` puts into an empty histogram. Never
    /// waits: latencies that are being read stay as they are until the next time.
    pub fn write(
        &mut self,
        now_ns: u64,
        counts: LiveCounts,
        add: impl FnOnce(&mut LatencyHistogram),
    ) {
        self.next_ns = now_ns.saturating_add(WRITE_INTERVAL_NS);
        let slot = &self.figures.threads[self.thread];
        slot.sent.store(counts.sent, Ordering::Relaxed);
        slot.delivered.store(counts.delivered, Ordering::Relaxed);
        slot.acknowledged.store(counts.acknowledged, Ordering::Relaxed);
        slot.errors.store(counts.errors, Ordering::Relaxed);
        if let Ok(mut latencies) = slot.latencies.try_lock() {
            let mut all = LatencyHistogram::new();
            add(&mut all);
            *latencies = all;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(sent: u64) -> LiveCounts {
        LiveCounts { sent, delivered: 2 * sent, acknowledged: sent, errors: 1 }
    }

    #[test]
    fn threads_are_summed_and_their_latencies_merged() {
        let figures = LiveFigures::new(2);
        let mut writers = figures.writers();
        writers[0].write(0, counts(10), |latencies| latencies.record_ns_n(1_000, 9_000));
        writers[1].write(0, counts(5), |latencies| latencies.record_ns_n(1_000_000, 1_000));
        // What a thread writes again takes the place of what it wrote before.
        writers[1].write(0, counts(6), |latencies| latencies.record_ns_n(1_000_000, 1_000));
        figures.set_broker(7, 8);
        let snapshot = figures.snapshot();
        let expected = LiveCounts { sent: 16, delivered: 32, acknowledged: 16, errors: 2 };
        assert_eq!(snapshot.counts, expected);
        assert!(snapshot.p50_ns < Some(1_010) && snapshot.p99_ns > Some(990_000), "{snapshot:?}");
        assert_eq!((snapshot.broker_cpu_ns, snapshot.broker_resident_bytes), (7, 8));
    }

    #[test]
    fn a_thread_writes_four_times_a_second_at_most() {
        let figures = LiveFigures::new(1);
        let mut writer = figures.writers().remove(0);
        assert!(writer.is_due(0));
        writer.write(5, counts(1), |_| {});
        assert!(!writer.is_due(4 + WRITE_INTERVAL_NS) && writer.is_due(5 + WRITE_INTERVAL_NS));
    }

    #[test]
    fn a_thread_never_waits_for_who_reads() {
        let figures = LiveFigures::new(1);
        let mut writer = figures.writers().remove(0);
        let reading = figures.threads[0].latencies.lock().unwrap();
        // Were it to wait, this would not return.
        writer.write(0, counts(3), |_| panic!("latencies are left for the next time"));
        drop(reading);
        assert_eq!(figures.snapshot().counts.sent, 3);
        writer.write(1, counts(3), |latencies| latencies.record_ns_n(10, 100));
        assert_eq!(figures.snapshot().p50_ns, Some(10));
    }
}
