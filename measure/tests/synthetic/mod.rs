//! A synthetic run with a result of every kind.

use std::time::Duration;

use measure::{
    Acknowledged, BacklogDrain, BacklogPass, BacklogResult, BrokerKind, BrokerRun, CellResources,
    DataPlace, DeliveryFaults, DriverCeiling, FORMAT_VERSION, GeneratorFigures, GeneratorThread,
    GuaranteeClass, HistogramSet, HistogramTag, IdleResult, KneeAttempt, KneePhase, KneeResult,
    Latency, LatencyHistogram, LoggedHistogram, MachineFacts, ObjectiveOutcome, ObjectiveStanding,
    OperationName, OperationResult, OperationRound, OutageResult, PageCache, PairFaults, PhaseMark,
    ResourceSample, RestartResult, Round, RunRecord, SkippedBroker, Standing, StopKind,
    StormResult, StreamLatencies, StreamLoad, StreamResult, StreamShape, TimelineInterval,
    TimelinePoint, Verdict, rate_per_s,
};

const SECOND_NS: u64 = 1_000_000_000;

fn histogram(samples: u64) -> LatencyHistogram {
    let mut histogram = LatencyHistogram::new();
    for sample in 1..=samples {
        histogram.record_ns(sample * 1000);
    }
    histogram
}

fn publish_result(histograms: &mut HistogramSet) -> OperationResult {
    let latencies = histogram(2000);
    let tag = HistogramTag::for_operation("tandem-mio", &OperationName::PUBLISH, 50);
    let result = OperationResult {
        operation: OperationName::PUBLISH,
        clients: 50,
        count: 2000,
        errors: 0,
        duration_ns: SECOND_NS,
        throughput_per_s: rate_per_s(2000, SECOND_NS),
        latency: latencies.summary(),
        histogram: tag.clone(),
        verdict: Verdict::default(),
        resources: Some(resources()),
        rounds: vec![OperationRound {
            throughput_per_s: Some(2000.0),
            ..OperationRound::default()
        }],
    };
    let logged = LoggedHistogram {
        start: Duration::ZERO,
        interval: Duration::from_secs(1),
        histogram: latencies,
    };
    histograms.add(tag, logged);
    result
}

fn latency(histogram: HistogramTag) -> Latency {
    Latency { summary: LatencyHistogram::new().summary(), histogram }
}

fn stream_result() -> StreamResult {
    let shape = StreamShape::new(1, 50);
    let tag = HistogramTag::for_stream("tandem-mio", shape, 100, &StreamLoad::Saturating);
    StreamResult {
        label: "stream 1→50, 100 B, saturating".to_owned(),
        shape,
        topics: 1,
        wildcard: false,
        slow_subscribers: 0,
        churn: None,
        payload_bytes: 100,
        load: StreamLoad::Saturating,
        offered_per_s: None,
        messages_sent: 1000,
        late_sends: 0,
        messages_expected: 50_000,
        messages_received: 49_999,
        lost: 1,
        duplicated: 0,
        reordered: 0,
        corrupted: 0,
        late: 0,
        pairs: vec![PairFaults { producer: 0, subscriber: 7, lost: 1, ..PairFaults::default() }],
        pairs_left_off: 0,
        duration_ns: SECOND_NS,
        sent_per_s: 1000.0,
        delivered_per_s: 24_589.743_640_521_41,
        delivered_bytes_per_s: 4_999_900.0,
        latencies: StreamLatencies {
            service: Some(latency(tag.clone())),
            acknowledgement: Some(latency(tag.part("acks"))),
            ..StreamLatencies::default()
        },
        ratio_to_ceiling: Some(0.1 + 0.2),
        acknowledged: Some(Acknowledged {
            in_flight: 64,
            messages: 1000,
            duration_ns: SECOND_NS,
            per_s: 1000.0,
            bytes_per_s: 100_000.0,
            ratio_to_disk: Some(0.5),
        }),
        verdict: Verdict {
            standing: Standing::Invalid,
            reasons: vec!["expected a generator below 80 %, found 97 %".to_owned()],
        },
        resources: Some(resources()),
        generator: GeneratorFigures {
            threads: vec![GeneratorThread {
                name: "publisher-0".to_owned(),
                cpu_ns: 970_000_000,
                busy: 0.97,
            }],
            steal: 0.01,
            ceiling_per_s: Some(3e7),
        },
        timeline: vec![point()],
        rounds: vec![Round { delivered_per_s: Some(24_589.0), ..Round::default() }],
    }
}

fn backlog_pass(messages: u64) -> BacklogPass {
    BacklogPass {
        messages,
        duration_ns: SECOND_NS,
        per_s: rate_per_s(messages, SECOND_NS),
        bytes_per_s: 100.0 * rate_per_s(messages, SECOND_NS),
        resident_bytes_max: Some(9 << 20),
        ratio_to_disk: None,
    }
}

fn backlog_result() -> BacklogResult {
    let faults = DeliveryFaults { lost: 1, ..DeliveryFaults::default() };
    BacklogResult {
        publishers: 1,
        payload_bytes: 100,
        messages: 1000,
        resident_bytes_before: Some(8 << 20),
        build: backlog_pass(1000),
        drains: vec![BacklogDrain { cache: PageCache::Cold, pass: backlog_pass(999), faults }],
    }
}

fn restart_result() -> RestartResult {
    RestartResult {
        stop: StopKind::Crash,
        payload_bytes: 100,
        messages: 1000,
        stop_ns: vec![5],
        ready_ns: vec![7_000_000],
        stored_bytes: 1 << 20,
        resident_bytes_max: 8 << 20,
        faults: DeliveryFaults::default(),
    }
}

pub(crate) fn synthetic_run() -> (RunRecord, HistogramSet) {
    let mut histograms = HistogramSet::new();
    let broker = BrokerRun {
        name: "tandem-mio".to_owned(),
        kind: BrokerKind::Broker,
        version: "0.1.0".to_owned(),
        command_line: vec!["tandem-mio".to_owned(), "--port".to_owned(), "0".to_owned()],
        driver: "native".to_owned(),
        guarantee: GuaranteeClass::InMemory,
        config_text: Some("port = 1\n".to_owned()),
        data_place: Some(DataPlace {
            root: "/data".to_owned(),
            file_system: "ext4".to_owned(),
            device: "/dev/vda".to_owned(),
        }),
        operations: vec![publish_result(&mut histograms)],
        streams: vec![stream_result()],
        backlogs: vec![backlog_result()],
        restarts: vec![restart_result()],
        storms: vec![storm_result()],
        idles: vec![idle_result()],
        outages: vec![outage_result()],
        knees: vec![knee_result()],
        resources: vec![ResourceSample {
            t_ns: 5,
            cpu_user_ns: 6,
            cpu_system_ns: 7,
            resident_bytes: 8,
            threads: 9,
        }],
        marks: vec![PhaseMark { t_ns: 1, label: "publish".to_owned() }],
    };
    let record = RunRecord {
        format_version: FORMAT_VERSION,
        run_id: "synthetic".to_owned(),
        started_at_unix_ms: 1_700_000_000_000,
        tandem_version: "0.1.0".to_owned(),
        config_name: "synthetic".to_owned(),
        config_toml: "clients = [50]\n".to_owned(),
        machine: MachineFacts {
            cpu_model: "Synthetic CPU".to_owned(),
            architecture: "x86_64".to_owned(),
            logical_cores: 2,
            memory_bytes: 1 << 30,
            kernel: "Linux 0.0".to_owned(),
            os: "unknown".to_owned(),
        },
        brokers: vec![broker],
        skipped: vec![SkippedBroker {
            name: "nats".to_owned(),
            reason: "nats-server is not installed".to_owned(),
        }],
        warnings: vec![],
        objectives: vec![ObjectiveOutcome {
            broker: "tandem-mio".to_owned(),
            cell: "stream 1→50, 100 B, saturating".to_owned(),
            assertion: "lost == 0".to_owned(),
            observed: Some(1.0),
            found: "1".to_owned(),
            standing: ObjectiveStanding::Missed,
        }],
        ceilings: vec![DriverCeiling {
            driver: "native".to_owned(),
            cell: "stream 1→50, 100 B, saturating".to_owned(),
            deliveries_per_s: 3e7,
        }],
    };
    let interval = TimelineInterval::of(Duration::ZERO, Duration::from_millis(100), &histogram(50));
    histograms.timeline_mut().add(HistogramTag::new("tandem-mio/stream"), interval);
    (record, histograms)
}

fn resources() -> CellResources {
    CellResources {
        cpu_user_ns: 1,
        cpu_system_ns: 2,
        cpu_us_per_delivery: Some(0.25),
        disk_written_bytes: Some(4096),
        ..CellResources::default()
    }
}

fn point() -> TimelinePoint {
    TimelinePoint { interval_ns: 100_000_000, delivered: 50, ..TimelinePoint::default() }
}

fn storm_result() -> StormResult {
    StormResult {
        connections: 1000,
        offered_per_s: Some(500.0),
        accepted: 999,
        refused: 1,
        duration_ns: 2 * SECOND_NS,
        handshake: latency(HistogramTag::new("tandem-mio/storm/1000")),
        verdict: Verdict::default(),
        resources: Some(resources()),
    }
}

fn idle_result() -> IdleResult {
    IdleResult {
        connections: 1000,
        held_ms: 5000,
        bytes_per_connection: 4096.5,
        resident_before_bytes: 1 << 20,
        resident_after_bytes: 5 << 20,
        dropped: 0,
    }
}

fn outage_result() -> OutageResult {
    OutageResult {
        label: "crash outage, 1→1, 100 B, 1000 msgs/s, 1000 ms down".to_owned(),
        stop: StopKind::Crash,
        stop_ns: 2_000_000,
        down_ns: SECOND_NS,
        ready_ns: 30_000_000,
        recovered_ns: Some(SECOND_NS + 40_000_000),
        acknowledged_again_ns: Some(SECOND_NS + 41_000_000),
        unavailable_ns: Some(SECOND_NS + 42_000_000),
        recoveries_ns: vec![Some(SECOND_NS + 40_000_000), None],
        sent: 10,
        acknowledged: 9,
        resent: 1,
        lost: 0,
        duplicated: 1,
        reordered: 0,
        corrupted: 0,
        response: None,
        timeline: vec![point()],
    }
}

fn knee_result() -> KneeResult {
    KneeResult {
        label: "stream 1→1, 100 B".to_owned(),
        objective: "response p99 < 10 ms".to_owned(),
        attempts: vec![KneeAttempt {
            rate_per_s: 1e5,
            met: true,
            response_p99_ns: Some(900_000),
            delivered_per_s: 1e5,
            standing: Standing::Valid,
            phase: KneePhase::Climb,
        }],
        rate_per_s: Some(1e5),
        confirmed: Some([1e5, 1.1e5]),
        answer: "100000 per second; 110000 is missed".to_owned(),
    }
}
