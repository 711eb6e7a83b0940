//! Streams, over rounds.

use super::{Knee, Logged, breach};
use crate::config::BrokerConfig;
use crate::engine::{StreamOutcome, TimelineSum};
use crate::generator_watch::GeneratorUse;
use crate::ledger::Faults;
use crate::plan::StreamCell;
use measure::{
    Acknowledged, CellResources, Churned, GeneratorFigures, GeneratorThread, HistogramSet,
    HistogramTag, Latency, LatencyHistogram, PairFaults, Round, StreamLatencies, StreamResult,
    Timeline, TimelineInterval, Verdict, rate_per_s,
};
use std::time::Duration;

/// One round of a stream, judged.
#[derive(Clone, Debug)]
pub struct StreamRound {
    /// What came of it.
    pub outcome: StreamOutcome,
    /// When it began and ended, since the run began.
    pub times: [Duration; 2],
    /// What the broker used in the measured phase.
    pub resources: Option<CellResources>,
    /// What the generator used in it.
    pub generator: GeneratorUse,
    /// Deliveries per second that the generator can bring about with this driver.
    pub ceiling_per_s: Option<f64>,
    /// Whether it may be believed.
    pub verdict: Verdict,
    /// The rate at which it ran, where that was searched for.
    pub rate_per_s: Option<f64>,
}

/// A stream's rounds.
#[derive(Debug, Default)]
pub struct StreamSum {
    rounds: Vec<StreamRound>,
    knee: Option<Knee>,
}

impl StreamSum {
    /// What the search for its rate came to.
    pub fn set_knee(&mut self, knee: Knee) {
        self.knee = Some(knee);
    }

    /// What the search for its rate came to, where there was one.
    #[must_use]
    pub fn knee(&self) -> Option<&Knee> {
        self.knee.as_ref()
    }

    /// Adds a round.
    pub fn add(&mut self, round: StreamRound) {
        self.rounds.push(round);
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rounds.is_empty()
    }

    /// Faults of all rounds.
    #[must_use]
    pub fn faults(&self) -> Faults {
        let mut sum = Faults::default();
        self.rounds.iter().for_each(|round| sum += round.outcome.faults);
        sum
    }

    /// The generator's ceiling, the highest that was measured.
    #[must_use]
    pub fn ceiling_per_s(&self) -> Option<f64> {
        self.rounds.iter().filter_map(|round| round.ceiling_per_s).reduce(f64::max)
    }

    /// The sentence that says what was broken, if anything.
    pub(super) fn breach(&self, cell: &StreamCell, broker: &BrokerConfig) -> Option<String> {
        breach(self.faults(), cell.loss(broker)).map(|breach| format!("{}: {breach}", cell.label()))
    }

    /// The result, and its histograms among the others.
    pub(super) fn result(
        self,
        cell: &StreamCell,
        broker: &str,
        histograms: &mut HistogramSet,
    ) -> StreamResult {
        let sum = Sum::of(&self.rounds);
        let tag = cell.tag(broker);
        let config = &cell.config;
        if let Some(first) = self.rounds.first() {
            add_over_time(&tag.part("response"), first, histograms.timeline_mut());
        }
        let mut log = Logged { histograms, times: span(&self.rounds) };
        let mut latency = |name: &str, histogram: &LatencyHistogram| {
            (histogram.count() > 0).then(|| Latency {
                summary: histogram.summary(),
                histogram: log.add(tag.part(name), histogram.clone()),
            })
        };
        let latencies = StreamLatencies {
            lateness: latency("lateness", &sum.lateness),
            acknowledgement: latency("acknowledgement", &sum.acknowledgement),
            service: latency("service", &sum.service),
            response: latency("response", &sum.response),
            healthy_response: sum
                .healthy_response
                .as_ref()
                .and_then(|healthy| latency("healthy-response", healthy)),
            clock_errors: sum.clock_errors,
        };
        let delivered_per_s = rate_per_s(sum.received, sum.duration_ns);
        let payload_bytes = payload_bytes(cell);
        let load = cell.load_at(self.rounds.last().and_then(|round| round.rate_per_s));
        let acknowledged = config.in_flight().map(|in_flight| {
            let per_s = rate_per_s(sum.acknowledged, sum.acknowledged_ns);
            Acknowledged {
                in_flight,
                messages: sum.acknowledged,
                duration_ns: sum.acknowledged_ns,
                per_s,
                bytes_per_s: per_s * payload_bytes,
                ratio_to_disk: None,
            }
        });
        StreamResult {
            label: cell.label(),
            shape: cell.shape(),
            topics: config.topics,
            wildcard: config.wildcard,
            slow_subscribers: config.slow.map_or(0, |slow| slow.subscribers),
            churn: sum.churned,
            payload_bytes: payload_bytes.round() as u64,
            offered_per_s: load.offered_per_s(),
            load,
            messages_sent: sum.sent,
            late_sends: sum.late_sends,
            messages_expected: sum.expected,
            messages_received: sum.received,
            lost: sum.faults.lost,
            duplicated: sum.faults.duplicated,
            reordered: sum.faults.reordered,
            corrupted: sum.faults.corrupted,
            late: sum.late,
            pairs: sum.pairs,
            pairs_left_off: sum.pairs_left_off,
            duration_ns: sum.duration_ns,
            sent_per_s: rate_per_s(sum.sent, sum.sending_ns),
            delivered_per_s,
            delivered_bytes_per_s: delivered_per_s * payload_bytes,
            latencies,
            ratio_to_ceiling: None,
            acknowledged,
            verdict: super::verdict(self.rounds.iter().map(|round| &round.verdict)),
            resources: super::resources(
                self.rounds.iter().map(|round| round.resources.as_ref()),
                sum.received.max(sum.acknowledged),
            ),
            generator: generator(&self.rounds),
            timeline: self
                .rounds
                .first()
                .map(|round| round.outcome.timeline_points())
                .unwrap_or_default(),
            rounds: self.rounds.iter().map(round_figures).collect(),
        }
    }
}

/// The response over time, of one round.
fn add_over_time(tag: &HistogramTag, round: &StreamRound, timeline: &mut Timeline) {
    let TimelineSum { interval_ns, received, .. } = &round.outcome.timeline;
    let interval = Duration::from_nanos(*interval_ns);
    let began = Duration::from_nanos(round.outcome.measured_from_ns);
    for (index, observed) in (0u32..).zip(received) {
        let start = began + interval * index;
        let interval = TimelineInterval::of(start, interval, &observed.response);
        timeline.add(tag.clone(), interval);
    }
}

fn span(rounds: &[StreamRound]) -> [Duration; 2] {
    let start = rounds.first().map_or(Duration::ZERO, |round| round.times[0]);
    [start, rounds.last().map_or(start, |round| round.times[1])]
}

/// The mean where sizes differ.
fn payload_bytes(cell: &StreamCell) -> f64 {
    cell.config.payload.bytes_mean().unwrap_or(0.0)
}

/// All rounds in one.
#[derive(Default)]
struct Sum {
    sent: u64,
    late_sends: u64,
    expected: u64,
    received: u64,
    faults: Faults,
    late: u64,
    pairs: Vec<PairFaults>,
    pairs_left_off: u64,
    sending_ns: u64,
    duration_ns: u64,
    acknowledged: u64,
    acknowledged_ns: u64,
    clock_errors: u64,
    lateness: LatencyHistogram,
    acknowledgement: LatencyHistogram,
    service: LatencyHistogram,
    response: LatencyHistogram,
    healthy_response: Option<LatencyHistogram>,
    churned: Option<Churned>,
}

impl Sum {
    fn of(rounds: &[StreamRound]) -> Self {
        let mut sum = Self::default();
        rounds.iter().for_each(|round| sum.add(&round.outcome));
        sum
    }

    fn add(&mut self, round: &StreamOutcome) {
        self.sent += round.sent;
        self.late_sends += round.late_sends;
        self.expected += round.expected;
        self.received += round.received;
        self.faults += round.faults;
        self.late += round.late;
        self.sending_ns += round.sending_ns;
        self.duration_ns += round.duration_ns;
        self.acknowledged += round.acknowledged;
        self.acknowledged_ns += round.acknowledged_ns;
        self.clock_errors += round.clock_errors;
        self.lateness.merge(&round.lateness);
        self.acknowledgement.merge(&round.acknowledgement);
        self.service.merge(&round.service);
        self.response.merge(&round.response);
        if let Some(healthy) = &round.healthy_response {
            self.healthy_response.get_or_insert_default().merge(healthy);
        }
        if let Some(churned) = round.churned {
            let sum = self.churned.get_or_insert_default();
            sum.comings += churned.comings;
            sum.failures += churned.failures;
        }
        self.pairs_left_off += round.pairs_left_off;
        for pair in &round.pairs {
            match self.pairs.len() < measure::FAULTY_PAIRS_MAX {
                true => self.pairs.push(pair_faults(pair)),
                false => self.pairs_left_off += 1,
            }
        }
    }
}

fn pair_faults(pair: &crate::engine::PairFaults) -> PairFaults {
    let Faults { lost, duplicated, reordered, corrupted } = pair.faults;
    let (producer, subscriber) = (pair.producer, pair.subscriber);
    PairFaults { producer, subscriber, lost, duplicated, reordered, corrupted, late: 0 }
}

/// The busiest of each thread's rounds.
fn generator(rounds: &[StreamRound]) -> GeneratorFigures {
    let mut threads: Vec<GeneratorThread> = Vec::new();
    for used in rounds.iter().flat_map(|round| &round.generator.threads) {
        match threads.iter_mut().find(|thread| thread.name == used.name) {
            Some(thread) => {
                thread.cpu_ns += used.cpu_ns;
                thread.busy = thread.busy.max(used.busy);
            }
            None => threads.push(GeneratorThread {
                name: used.name.clone(),
                cpu_ns: used.cpu_ns,
                busy: used.busy,
            }),
        }
    }
    let steal = rounds.iter().filter_map(|round| round.generator.steal).fold(0.0, f64::max);
    let ceiling_per_s = rounds.iter().filter_map(|round| round.ceiling_per_s).reduce(f64::max);
    GeneratorFigures { threads, steal, ceiling_per_s }
}

fn round_figures(round: &StreamRound) -> Round {
    let outcome = &round.outcome;
    let percentile = |histogram: &LatencyHistogram, percent| {
        histogram.percentile_ns(percent).map(|ns| ns as f64)
    };
    let delivered =
        (outcome.expected > 0).then(|| rate_per_s(outcome.received, outcome.duration_ns));
    let units = outcome.received.max(outcome.acknowledged);
    let resources = super::resources([round.resources.as_ref()].into_iter(), units);
    Round {
        delivered_per_s: delivered,
        sent_per_s: Some(rate_per_s(outcome.sent, outcome.sending_ns)),
        acknowledged_per_s: (outcome.acknowledged > 0)
            .then(|| rate_per_s(outcome.acknowledged, outcome.acknowledged_ns)),
        service_p50_ns: percentile(&outcome.service, 50.0),
        service_p99_ns: percentile(&outcome.service, 99.0),
        response_p50_ns: percentile(&outcome.response, 50.0),
        response_p99_ns: percentile(&outcome.response, 99.0),
        acknowledgement_p50_ns: percentile(&outcome.acknowledgement, 50.0),
        acknowledgement_p99_ns: percentile(&outcome.acknowledgement, 99.0),
        cpu_us_per_delivery: resources.as_ref().and_then(|used| used.cpu_us_per_delivery),
        resident_bytes_max: resources.map(|used| used.resident_bytes_max as f64),
        verdict: round.verdict.standing,
    }
}
