//! Where subscribers' messages go: checked, entered in the ledger, their latencies recorded.

use crate::clock::Clock;
use crate::ledger::Ledger;
use crate::message::{Payloads, StampLayout};
use measure::LatencyHistogram;
use std::sync::Arc;

/// What all subscribers of one generator thread record into.
///
/// [`begin`](Self::begin) is called when a read returned, then every payload that it completed is
/// taken by an [`Intake`], then [`end`](Self::end) is called. So the clock is read once for each
/// read, and messages that were sent together are recorded together.
#[derive(Debug)]
pub struct Recorder {
    clock: Clock,
    payloads: Arc<Payloads>,
    run_id: u32,
    phase: u8,
    received_ns: u64,
    /// In all phases.
    taken: u64,
    /// Messages with the same times, not in the histograms yet.
    run: Run,
    groups: Vec<Recorded>,
    timeline: Timeline,
}

#[derive(Clone, Copy, Debug, Default)]
struct Run {
    intended_ns: u64,
    sent_ns: u64,
    count: u64,
}

/// What the subscribers of one group received in one phase.
#[derive(Clone, Debug, Default)]
pub struct Recorded {
    /// Messages, faulty ones included.
    pub received: u64,
    /// When the last came; 0 if none did.
    pub last_received_ns: u64,
    /// From sending to receiving.
    pub service: LatencyHistogram,
    /// From when they were due to receiving.
    pub response: LatencyHistogram,
    /// Messages that came before they were sent or due, by their own account: neither of their times
    /// can be told, so they are in no histogram.
    pub clock_errors: u64,
}

impl Recorded {
    /// Adds what others received.
    pub fn merge(&mut self, other: &Self) {
        self.received += other.received;
        self.last_received_ns = self.last_received_ns.max(other.last_received_ns);
        self.service.merge(&other.service);
        self.response.merge(&other.response);
        self.clock_errors += other.clock_errors;
    }

    /// Their response time; `None` where it cannot be told.
    fn record(&mut self, run: Run, received_ns: u64) -> Option<u64> {
        let service_ns = received_ns.checked_sub(run.sent_ns);
        let response_ns = received_ns.checked_sub(run.intended_ns);
        let Some((service_ns, response_ns)) = service_ns.zip(response_ns) else {
            self.clock_errors += run.count;
            return None;
        };
        self.service.record_ns_n(service_ns, run.count);
        self.response.record_ns_n(response_ns, run.count);
        Some(response_ns)
    }
}

/// What was received in the course of a phase, interval by interval.
#[derive(Clone, Debug)]
pub struct Timeline {
    start_ns: u64,
    interval_ns: u64,
    intervals: Vec<Interval>,
}

/// One interval of a [`Timeline`].
#[derive(Clone, Debug, Default)]
pub struct Interval {
    /// Messages received.
    pub received: u64,
    /// From when they were due to receiving.
    pub response: LatencyHistogram,
}

/// Intervals that a timeline has at most; what comes later is in the last.
const INTERVALS_MAX: usize = 600;

impl Timeline {
    fn new(start_ns: u64, interval_ns: u64) -> Self {
        Self { start_ns, interval_ns, intervals: Vec::new() }
    }

    /// The intervals so far, from the phase's start.
    #[must_use]
    pub fn intervals(&self) -> &[Interval] {
        &self.intervals
    }

    fn record(&mut self, received_ns: u64, response_ns: Option<u64>, count: u64) {
        let index = received_ns.saturating_sub(self.start_ns) / self.interval_ns.max(1);
        let index = usize::try_from(index).unwrap_or(usize::MAX).min(INTERVALS_MAX - 1);
        if self.intervals.len() <= index {
            self.intervals.resize_with(index + 1, Interval::default);
        }
        let interval = &mut self.intervals[index];
        interval.received += count;
        if let Some(response_ns) = response_ns {
            interval.response.record_ns_n(response_ns, count);
        }
    }
}

impl Recorder {
    /// For messages of this run, received by subscribers of so many groups.
    #[must_use]
    pub fn new(clock: Clock, payloads: Arc<Payloads>, run_id: u32, groups: usize) -> Self {
        Self {
            clock,
            payloads,
            run_id,
            phase: 0,
            received_ns: 0,
            taken: 0,
            run: Run::default(),
            groups: vec![Recorded::default(); groups],
            timeline: Timeline::new(0, u64::MAX),
        }
    }

    /// A phase begins: what is recorded from now on is its own.
    pub fn begin_phase(&mut self, phase: u8, start_ns: u64, interval_ns: u64) {
        self.phase = phase;
        self.groups.fill_with(Recorded::default);
        self.timeline = Timeline::new(start_ns, interval_ns);
    }

    /// A read has returned: everything taken until [`end`](Self::end) was received now.
    #[inline]
    pub fn begin(&mut self) {
        self.received_ns = self.clock.now_ns();
    }

    /// Everything that the read completed was taken, by a subscriber of this group.
    #[inline]
    pub fn end(&mut self, group: usize) {
        self.record_run(group);
    }

    /// Messages taken in all phases, faulty ones included.
    #[must_use]
    pub fn taken(&self) -> u64 {
        self.taken
    }

    /// Messages received in this phase by all groups.
    #[must_use]
    pub fn received(&self) -> u64 {
        self.groups.iter().map(|group| group.received).sum()
    }

    /// What each group received in this phase.
    #[must_use]
    pub fn groups(&self) -> &[Recorded] {
        &self.groups
    }

    /// The phase in its course.
    #[must_use]
    pub fn timeline(&self) -> &Timeline {
        &self.timeline
    }

    #[inline]
    fn record_run(&mut self, group: usize) {
        if self.run.count == 0 {
            return;
        }
        let response_ns = self.groups[group].record(self.run, self.received_ns);
        self.timeline.record(self.received_ns, response_ns, self.run.count);
        self.run.count = 0;
    }
}

/// Takes in what one subscriber reads.
pub struct Intake<'a> {
    recorder: &'a mut Recorder,
    ledger: &'a mut Ledger,
    group: usize,
}

impl<'a> Intake<'a> {
    /// For a subscriber of this group.
    pub fn new(recorder: &'a mut Recorder, ledger: &'a mut Ledger, group: usize) -> Self {
        Self { recorder, ledger, group }
    }

    /// Takes one payload.
    #[inline]
    pub fn take(&mut self, payload: &[u8]) {
        let recorder = &mut *self.recorder;
        let recorded = &mut recorder.groups[self.group];
        recorder.taken += 1;
        recorded.received += 1;
        recorded.last_received_ns = recorder.received_ns;
        let Some(stamp) = recorder.payloads.check(payload) else {
            return self.ledger.enter_corrupted();
        };
        let is_full = recorder.payloads.layout() == StampLayout::Full;
        if is_full && stamp.run_id != recorder.run_id {
            return self.ledger.enter_corrupted();
        }
        if !self.ledger.enter(stamp.producer, stamp.sequence) {
            return;
        }
        if is_full && stamp.phase != recorder.phase {
            // Of the phase before: it is accounted for, and not measured.
            recorded.received -= 1;
            return;
        }
        let run = &mut recorder.run;
        if stamp.intended_ns != run.intended_ns || stamp.sent_ns != run.sent_ns {
            recorder.record_run(self.group);
            let run = &mut recorder.run;
            (run.intended_ns, run.sent_ns) = (stamp.intended_ns, stamp.sent_ns);
        }
        recorder.run.count += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::Faults;
    use crate::message::Stamp;

    const RUN_ID: u32 = 7;

    fn stamped(payloads: &Payloads, sequence: u64, run_id: u32, phase: u8) -> Vec<u8> {
        let mut payload = payloads.blank(sequence);
        let payload_bytes = payload.len() as u32;
        let (intended_ns, sent_ns, producer) = (1, 2, 0);
        let stamp =
            Stamp { intended_ns, sent_ns, producer, sequence, run_id, phase, payload_bytes };
        stamp.write(payloads.layout(), &mut payload);
        payload
    }

    fn taken(payloads: &[Vec<u8>], payload_bytes: usize) -> (Recorder, Ledger) {
        let all = Arc::new(Payloads::fixed(payload_bytes));
        let mut recorder = Recorder::new(Clock::start(), all, RUN_ID, 1);
        recorder.begin_phase(1, 0, u64::MAX);
        let mut ledger = Ledger::new(1);
        recorder.begin();
        let mut intake = Intake::new(&mut recorder, &mut ledger, 0);
        payloads.iter().for_each(|payload| intake.take(payload));
        recorder.end(0);
        (recorder, ledger)
    }

    #[test]
    fn whole_messages_are_counted_and_timed_from_both_times() {
        let fixed = Payloads::fixed(100);
        let payloads: Vec<_> = (0..10).map(|at| stamped(&fixed, at, RUN_ID, 1)).collect();
        let (recorder, ledger) = taken(&payloads, 100);
        assert!(ledger.faults(&[10]).is_none());
        let recorded = &recorder.groups()[0];
        assert_eq!((recorded.received, recorded.service.count()), (10, 10));
        let (service, response) = (recorded.service.max_ns(), recorded.response.max_ns());
        assert!(service <= response, "{service:?} {response:?}");
        assert_eq!(recorder.timeline().intervals()[0].received, 10);
    }

    #[test]
    fn a_changed_cut_lengthened_or_foreign_payload_is_corrupted() {
        let fixed = Payloads::fixed(100);
        let mut damaged: Vec<_> = (0..4).map(|at| stamped(&fixed, at, RUN_ID, 1)).collect();
        damaged[0][99] ^= 1;
        damaged[1].truncate(15);
        damaged[2].push(b'x');
        damaged.push(stamped(&fixed, 4, RUN_ID + 1, 1));
        let (_, ledger) = taken(&damaged, 100);
        let expected = Faults { lost: 4, corrupted: 4, ..Faults::default() };
        assert_eq!(ledger.faults(&[5]), expected);
    }

    #[test]
    fn a_straggler_of_the_warm_up_is_accounted_for_and_not_measured() {
        let fixed = Payloads::fixed(100);
        let payloads = [stamped(&fixed, 0, RUN_ID, 0), stamped(&fixed, 1, RUN_ID, 1)];
        let (recorder, ledger) = taken(&payloads, 100);
        assert!(ledger.faults(&[2]).is_none());
        assert_eq!((recorder.received(), recorder.groups()[0].response.count()), (1, 1));
    }

    #[test]
    fn a_message_from_the_future_is_a_clock_error_and_in_no_histogram() {
        for (intended_ns, sent_ns) in [(10, 20), (20, 10), (20, 20)] {
            let mut recorded = Recorded::default();
            let run = Run { intended_ns, sent_ns, count: 3 };
            assert_eq!(recorded.record(run, 15), None);
            let counts = [recorded.service.count(), recorded.response.count()];
            assert_eq!((recorded.clock_errors, counts), (3, [0, 0]));
        }
        let mut recorded = Recorded::default();
        let run = Run { intended_ns: 10, sent_ns: 20, count: 3 };
        assert_eq!((recorded.record(run, 20), recorded.clock_errors), (Some(10), 0));
    }
}
