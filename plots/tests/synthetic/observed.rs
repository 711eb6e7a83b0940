//! Invented progress, verdicts and events.

use std::time::Duration;

use measure::{
    CellResources, DriverCeiling, GeneratorFigures, GeneratorThread, HistogramSet, HistogramTag,
    IdleResult, KneeAttempt, KneePhase, KneeResult, Latency, LatencyHistogram, ObjectiveOutcome,
    ObjectiveStanding, OutageResult, Round, Standing, StopKind, StormResult, StreamResult,
    TimelineInterval, TimelinePoint, Verdict,
};

use super::{Invented, SECOND_NS, latencies, logged};

const INTERVAL_MS: u64 = 100;
const INTERVALS: u64 = 60;

/// Adds what is observed of a stream while it runs, and what that makes of it.
pub(crate) fn observe(stream: &mut StreamResult, invented: &Invented) {
    stream.verdict = verdict(stream, invented);
    stream.resources = Some(CellResources {
        cpu_user_ns: SECOND_NS / 3,
        cpu_system_ns: SECOND_NS,
        cpu_us_per_delivery: Some(1.4e6 / stream.delivered_per_s),
        resident_bytes_max: (invented.memory_bytes * 1.4) as u64,
        threads_max: 4,
        file_descriptors_max: Some(60),
        context_switches_voluntary: 12_000,
        context_switches_involuntary: 800,
        disk_written_bytes: None,
        disk_flushes: None,
    });
    stream.generator = GeneratorFigures {
        threads: vec![
            GeneratorThread { name: "publisher-0".to_owned(), cpu_ns: SECOND_NS, busy: 0.61 },
            GeneratorThread { name: "subscriber-0".to_owned(), cpu_ns: SECOND_NS, busy: 0.44 },
        ],
        steal: 0.01,
        ceiling_per_s: Some(31e6),
    };
    stream.timeline = timeline(stream);
    stream.rounds = [0.97, 1.0, 1.04]
        .map(|factor| Round {
            delivered_per_s: Some(stream.delivered_per_s * factor),
            ..Round::default()
        })
        .to_vec();
}

fn verdict(stream: &StreamResult, invented: &Invented) -> Verdict {
    let mut verdict = Verdict::default();
    let rate = stream.offered_per_s.unwrap_or_default();
    match invented.name {
        "mosquitto" if rate > 40_000.0 => verdict.degrade(
            Standing::Unsustainable,
            "expected at least 99 % of 50 000 deliveries/s, found 71 % and a growing backlog",
        ),
        "nats-server" if stream.payload_bytes == 1000 => verdict.degrade(
            Standing::Invalid,
            "expected every thread of the load generator below 90 % of a core, found publisher-0 \
             at 99 %",
        ),
        "tandem-mio" if stream.shape.publishers > 1 => {
            verdict.degrade(Standing::Suspect, "expected less than 2 % of steal time, found 4 %");
        }
        _ => {}
    }
    verdict
}

fn timeline(stream: &StreamResult) -> Vec<TimelinePoint> {
    let typical_ns = stream.headline().and_then(|it| it.summary.p50_ns).unwrap_or(1_000_000) as f64;
    (0..INTERVALS)
        .map(|index| {
            let wave = wave(index);
            let delivered = (stream.delivered_per_s / 10.0 / wave.sqrt()) as u64;
            TimelinePoint {
                t_ns: index * INTERVAL_MS * 1_000_000,
                interval_ns: INTERVAL_MS * 1_000_000,
                sent: delivered,
                delivered,
                errors: 0,
                response_p50_ns: Some((typical_ns * wave) as u64),
                response_p99_ns: Some((typical_ns * wave * 4.0) as u64),
            }
        })
        .collect()
}

/// A slow wave with a stall in it.
fn wave(index: u64) -> f64 {
    let stall = if (38..42).contains(&index) { 6.0 } else { 1.0 };
    stall * (1.2 + 0.2 * (index as f64 / 4.0).sin())
}

/// The interval histograms behind a heat map.
pub(crate) fn add_intervals(stream: &StreamResult, histograms: &mut HistogramSet) {
    let Some(latency) = stream.headline() else { return };
    let typical_ns = latency.summary.p50_ns.unwrap_or(1_000_000) as f64;
    for index in 0..INTERVALS {
        let mut histogram = LatencyHistogram::new();
        for step in 0..200_u32 {
            let quantile = (f64::from(step) + 0.5) / 200.0;
            let tail = (1.0 / (1.0 - quantile)).ln();
            histogram.record_ns_n((typical_ns * wave(index) * (0.5 + 0.7 * tail)) as u64, 20);
        }
        let start = Duration::from_millis(2000 + index * INTERVAL_MS);
        let interval = TimelineInterval::of(start, Duration::from_millis(INTERVAL_MS), &histogram);
        histograms.timeline_mut().add(latency.histogram.clone(), interval);
    }
}

pub(crate) fn storms(invented: &Invented, histograms: &mut HistogramSet) -> Vec<StormResult> {
    [(1000_u32, None), (10_000, Some(2000.0))]
        .map(|(connections, offered_per_s)| {
            let tag = HistogramTag::new(&format!("{}/storm/{connections}", invented.name));
            let latencies = latencies(2e10 / invented.operations_per_s, 1.2);
            let handshake = Latency { summary: latencies.summary(), histogram: tag.clone() };
            histograms.add(tag, logged(latencies));
            let refused = if invented.name == "mosquitto" { connections / 50 } else { 0 };
            StormResult {
                connections,
                offered_per_s,
                accepted: connections - refused,
                refused,
                duration_ns: u64::from(connections) * 100_000,
                handshake,
                verdict: Verdict::default(),
                resources: None,
            }
        })
        .to_vec()
}

pub(crate) fn idles(invented: &Invented) -> Vec<IdleResult> {
    [1000_u32, 10_000]
        .map(|connections| {
            let bytes_per_connection = 900.0 + invented.memory_bytes / 1000.0;
            let before = invented.memory_bytes as u64;
            IdleResult {
                connections,
                held_ms: 5000,
                bytes_per_connection,
                resident_before_bytes: before,
                resident_after_bytes: before
                    + (bytes_per_connection * f64::from(connections)) as u64,
                dropped: if invented.name == "nats-server" { 12 } else { 0 },
            }
        })
        .to_vec()
}

pub(crate) fn outages(invented: &Invented) -> Vec<OutageResult> {
    let down_intervals = (3 + (invented.memory_bytes / 2e6) as u64).min(30);
    [StopKind::Clean, StopKind::Crash]
        .map(|stop| {
            let per_interval = (invented.operations_per_s / 10.0) as u64;
            let down = 15..15 + down_intervals;
            let point = |index: u64| {
                let delivered = match index {
                    index if down.contains(&index) => 0,
                    index if index == down.end => per_interval * 3,
                    _ => per_interval,
                };
                TimelinePoint {
                    t_ns: index * INTERVAL_MS * 1_000_000,
                    interval_ns: INTERVAL_MS * 1_000_000,
                    sent: per_interval,
                    delivered,
                    errors: u64::from(delivered == 0) * 5,
                    response_p50_ns: (delivered > 0).then_some(800_000),
                    response_p99_ns: (delivered > 0).then_some(4_000_000),
                }
            };
            OutageResult {
                label: format!("{stop} outage"),
                stop,
                stop_ns: 1_000_000,
                down_ns: 300_000_000,
                ready_ns: down_intervals * INTERVAL_MS * 1_000_000 - 300_000_000,
                recovered_ns: (invented.name != "mosquitto" || stop == StopKind::Clean)
                    .then_some(down_intervals * INTERVAL_MS * 1_000_000 + 20_000_000),
                acknowledged_again_ns: None,
                unavailable_ns: None,
                recoveries_ns: vec![],
                sent: per_interval * INTERVALS,
                resent: 64,
                acknowledged: per_interval * (INTERVALS - down_intervals),
                lost: if invented.name == "nats-server" { 4711 } else { 0 },
                duplicated: 3,
                reordered: 0,
                corrupted: 0,
                response: None,
                timeline: (0..INTERVALS).map(point).collect(),
            }
        })
        .to_vec()
}

pub(crate) fn knee(invented: &Invented) -> KneeResult {
    let capacity_per_s = invented.streams_per_s / 8.0;
    let attempt = |share: f64, phase| {
        let rate_per_s = capacity_per_s * share;
        let met = share < 0.82;
        let latency_ns = 90e3 / (1.0 - share.min(0.97)).powf(1.4) * if met { 1.0 } else { 9.0 };
        KneeAttempt {
            rate_per_s,
            met,
            response_p99_ns: Some(latency_ns as u64),
            delivered_per_s: capacity_per_s * share.min(0.95),
            standing: if share > 0.95 { Standing::Unsustainable } else { Standing::Valid },
            phase,
        }
    };
    let (climb, bisect) = (KneePhase::Climb, KneePhase::Bisect);
    let tried = [(0.125, climb), (0.25, climb), (0.5, climb), (1.0, climb), (0.75, bisect)];
    let more = [(0.87, bisect), (0.81, bisect), (0.81, KneePhase::Confirm)];
    KneeResult {
        label: "stream 1→1, 100 B".to_owned(),
        objective: "response p99 < 2 ms".to_owned(),
        attempts: tried.into_iter().chain(more).map(|(at, phase)| attempt(at, phase)).collect(),
        rate_per_s: Some(capacity_per_s * 0.81),
        confirmed: Some([capacity_per_s * 0.81, capacity_per_s * 0.87]),
        answer: format!("{:.0} per second, confirmed", capacity_per_s * 0.81),
    }
}

pub(crate) fn objectives() -> Vec<ObjectiveOutcome> {
    let outcome = |broker: &str, assertion: &str, observed, standing| ObjectiveOutcome {
        broker: broker.to_owned(),
        cell: "stream 1→1, 100 B, 50000 msgs/s".to_owned(),
        assertion: assertion.to_owned(),
        observed,
        found: observed.map_or("too few samples".to_owned(), |ms: f64| format!("{ms}ms")),
        standing,
    };
    vec![
        outcome("tandem-mio", "response_p99_ms < 10", Some(0.51), ObjectiveStanding::Met),
        outcome("nats-server", "response_p99_ms < 1", Some(2.25), ObjectiveStanding::Missed),
        outcome("mosquitto", "response_p99_ms < 10", None, ObjectiveStanding::NotMeasured),
    ]
}

pub(crate) fn ceilings() -> Vec<DriverCeiling> {
    vec![DriverCeiling {
        driver: "native".to_owned(),
        cell: "stream 1→1, 100 B".to_owned(),
        deliveries_per_s: 31e6,
    }]
}
