//! What came of a stream, from what each generator thread found.

use super::worker::Findings;
use crate::intake::{Interval, Recorded};
use crate::ledger::{Faults, Ledger};
use measure::{Churned, LatencyHistogram, TimelinePoint};

/// Pairs of a producer and a subscriber that are named for their faults.
const FAULTY_PAIRS_MAX: usize = 100;

/// What came of a stream. Faults count the warm-up too; everything else does not.
#[derive(Clone, Debug)]
pub struct StreamOutcome {
    /// When the measured phase began, on the run's clock.
    pub measured_from_ns: u64,
    /// Messages sent.
    pub sent: u64,
    /// Messages sent a millisecond or more after they were due.
    pub late_sends: u64,
    /// Deliveries that would have been right.
    pub expected: u64,
    /// Deliveries that came.
    pub received: u64,
    /// What was wrong with them.
    pub faults: Faults,
    /// Deliveries that came after the drain was over, and are not among those lost.
    pub late: u64,
    /// Producers and subscribers between whom something was wrong.
    pub pairs: Vec<PairFaults>,
    /// How many more there are.
    pub pairs_left_off: u64,
    /// How long publishers were at it.
    pub sending_ns: u64,
    /// From the first message sent to the last delivery, or without subscribers to the last
    /// acknowledgement.
    pub duration_ns: u64,
    /// From when messages were due to sending; empty where they were due when they were sent.
    pub lateness: LatencyHistogram,
    /// Messages acknowledged.
    pub acknowledged: u64,
    /// From the first message sent to the last acknowledgement.
    pub acknowledged_ns: u64,
    /// From sending to the acknowledgement.
    pub acknowledgement: LatencyHistogram,
    /// From sending to delivery.
    pub service: LatencyHistogram,
    /// From when messages were due to delivery.
    pub response: LatencyHistogram,
    /// The same, of those subscribers that are not slow; `None` where none are.
    pub healthy_response: Option<LatencyHistogram>,
    /// Deliveries before they were sent or due, by the clock; they are in no histogram.
    pub clock_errors: u64,
    /// From beginning to connect to being ready.
    pub handshake: LatencyHistogram,
    /// The phase in its course.
    pub timeline: TimelineSum,
    /// Each generator thread.
    pub threads: Vec<ThreadShare>,
    /// Subscribers that came and went, if any were to.
    pub churned: Option<Churned>,
}

/// Faults between one producer and one subscriber.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PairFaults {
    /// Who published.
    pub producer: u32,
    /// Who received.
    pub subscriber: u32,
    /// What was wrong.
    pub faults: Faults,
}

/// What was sent and received in each interval of the measured phase.
#[derive(Clone, Debug, Default)]
pub struct TimelineSum {
    /// Length of each interval.
    pub interval_ns: u64,
    /// Messages sent.
    pub sent: Vec<u64>,
    /// Deliveries, and their response times.
    pub received: Vec<Interval>,
}

/// One generator thread in the measured phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ThreadShare {
    /// Processor time.
    pub cpu_ns: u64,
    /// Time that passed.
    pub wall_ns: u64,
}

/// When the measured phase was what.
#[derive(Clone, Copy, Debug)]
pub(super) struct PhaseTimes {
    pub(super) start_ns: u64,
    pub(super) sending_end_ns: u64,
}

impl StreamOutcome {
    /// What was sent and delivered over time.
    #[must_use]
    pub fn timeline_points(&self) -> Vec<TimelinePoint> {
        let TimelineSum { interval_ns, sent, received } = &self.timeline;
        let end_ns = self.duration_ns.max(self.sending_ns);
        let points = (0..sent.len().max(received.len())).map(|index| {
            let received = received.get(index);
            let percentile = |percent| received.and_then(|it| it.response.percentile_ns(percent));
            let t_ns = index as u64 * interval_ns;
            TimelinePoint {
                t_ns,
                // The last one ends before it is over.
                interval_ns: end_ns.saturating_sub(t_ns).clamp(1, *interval_ns),
                sent: sent.get(index).copied().unwrap_or(0),
                delivered: received.map_or(0, |interval| interval.received),
                errors: 0,
                response_p50_ns: percentile(50.0),
                response_p99_ns: percentile(99.0),
            }
        });
        points.collect()
    }

    pub(super) fn of(
        found: Vec<Findings>,
        sent: &[u64],
        subscribers: u32,
        interval_ns: u64,
        times: PhaseTimes,
    ) -> Self {
        let mut outcome = Self::empty(interval_ns, times);
        let mut last_received_ns = 0;
        let mut last_acknowledged_ns = 0;
        for findings in found {
            outcome.add_published(&findings);
            last_acknowledged_ns =
                last_acknowledged_ns.max(findings.published.last_acknowledged_ns);
            let groups = findings.recorder.groups();
            for (index, recorded) in groups.iter().enumerate() {
                last_received_ns = last_received_ns.max(recorded.last_received_ns);
                outcome.add_recorded(recorded, index == 0 && groups.len() > 1);
            }
            outcome.timeline.add(findings.recorder.timeline().intervals());
            let mut lost = 0;
            for (subscriber, ledger) in &findings.ledgers {
                lost += outcome.add_ledger(*subscriber, ledger, sent).lost;
            }
            outcome.late += findings.missing_at_drain.saturating_sub(lost);
            outcome.handshake.merge(&findings.handshake);
            let wall_ns = outcome.sending_ns;
            outcome.threads.push(ThreadShare { cpu_ns: findings.cpu_ns, wall_ns });
        }
        outcome.expected = outcome.sent * u64::from(subscribers);
        outcome.acknowledged_ns = last_acknowledged_ns.saturating_sub(times.start_ns);
        outcome.duration_ns = match subscribers {
            0 if outcome.acknowledged > 0 => outcome.acknowledged_ns,
            0 => outcome.sending_ns,
            _ => last_received_ns.saturating_sub(times.start_ns),
        };
        outcome
    }

    /// Of messages that were sent without a broker, and of which nothing is known yet.
    pub(super) fn alone(sent: u64, wall_ns: u64, subscribers: u32) -> Self {
        let times = PhaseTimes { start_ns: 0, sending_end_ns: wall_ns };
        let expected = sent * u64::from(subscribers);
        Self { sent, expected, duration_ns: wall_ns, ..Self::empty(u64::MAX, times) }
    }

    /// Of messages that were written and synced, and that nobody read.
    #[must_use]
    pub fn written(acknowledged: u64, acknowledged_ns: u64, latencies: LatencyHistogram) -> Self {
        Self {
            acknowledged,
            acknowledged_ns,
            acknowledgement: latencies,
            ..Self::alone(acknowledged, acknowledged_ns, 0)
        }
    }

    fn empty(interval_ns: u64, times: PhaseTimes) -> Self {
        let new = LatencyHistogram::new;
        Self {
            measured_from_ns: times.start_ns,
            sent: 0,
            late_sends: 0,
            expected: 0,
            received: 0,
            faults: Faults::default(),
            late: 0,
            pairs: Vec::new(),
            pairs_left_off: 0,
            sending_ns: times.sending_end_ns.saturating_sub(times.start_ns),
            duration_ns: 0,
            lateness: new(),
            acknowledged: 0,
            acknowledged_ns: 0,
            acknowledgement: new(),
            service: new(),
            response: new(),
            healthy_response: None,
            clock_errors: 0,
            handshake: new(),
            timeline: TimelineSum { interval_ns, ..TimelineSum::default() },
            threads: Vec::new(),
            churned: None,
        }
    }

    fn add_published(&mut self, findings: &Findings) {
        let published = &findings.published;
        self.sent += published.sent;
        self.late_sends += published.late;
        self.lateness.merge(&published.lateness);
        self.acknowledged += published.acknowledged;
        self.acknowledgement.merge(&published.acknowledgement);
        let sent = &mut self.timeline.sent;
        if sent.len() < published.sent_by_interval.len() {
            sent.resize(published.sent_by_interval.len(), 0);
        }
        for (sum, own) in sent.iter_mut().zip(&published.sent_by_interval) {
            *sum += own;
        }
    }

    pub(super) fn add_recorded(&mut self, recorded: &Recorded, is_healthy_beside_slow: bool) {
        self.received += recorded.received;
        self.service.merge(&recorded.service);
        self.response.merge(&recorded.response);
        self.clock_errors += recorded.clock_errors;
        if is_healthy_beside_slow {
            let healthy = self.healthy_response.get_or_insert_with(LatencyHistogram::new);
            healthy.merge(&recorded.response);
        }
    }

    pub(super) fn add_ledger(&mut self, subscriber: u32, ledger: &Ledger, sent: &[u64]) -> Faults {
        let faults = ledger.faults(sent);
        self.faults += faults;
        self.add_pairs(subscriber, ledger.faulty_producers(sent));
        faults
    }

    fn add_pairs(&mut self, subscriber: u32, faulty: impl Iterator<Item = (u32, Faults)>) {
        for (producer, faults) in faulty {
            match self.pairs.len() < FAULTY_PAIRS_MAX {
                true => self.pairs.push(PairFaults { producer, subscriber, faults }),
                false => self.pairs_left_off += 1,
            }
        }
    }
}

impl TimelineSum {
    fn add(&mut self, intervals: &[Interval]) {
        if self.received.len() < intervals.len() {
            self.received.resize_with(intervals.len(), Interval::default);
        }
        for (sum, own) in self.received.iter_mut().zip(intervals) {
            sum.received += own.received;
            sum.response.merge(&own.response);
        }
    }
}
