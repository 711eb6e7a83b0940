//! Two run records compared: what is taken from them, and what belongs together.

use measure::comparison::{
    Change, CompareOptions, Comparison, Incomparable, Metric, Side, compare,
};
use measure::{
    Acknowledged, BrokerKind, BrokerRun, FORMAT_VERSION, GeneratorFigures, GuaranteeClass,
    HistogramTag, LatencySummary, MachineFacts, OperationName, OperationResult, OperationRound,
    Round, RunRecord, Standing, StreamLatencies, StreamLoad, StreamResult, StreamShape, Verdict,
};

/// Factors of six repeats, within ±1 %.
const NOISE: [f64; 6] = [1.0, 1.008, 0.993, 1.004, 0.996, 1.001];

fn round(factor: f64) -> Round {
    Round {
        delivered_per_s: Some(400e3 * factor),
        sent_per_s: Some(8e3 * factor),
        acknowledged_per_s: Some(8e3 * factor),
        service_p50_ns: Some(180e3 / factor),
        service_p99_ns: Some(900e3 / factor),
        response_p50_ns: Some(200e3 / factor),
        response_p99_ns: Some(1e6 / factor),
        acknowledgement_p50_ns: Some(90e3 / factor),
        acknowledgement_p99_ns: Some(300e3 / factor),
        cpu_us_per_delivery: Some(1.4 / factor),
        resident_bytes_max: Some(20e6 / factor),
        verdict: Standing::Valid,
    }
}

fn stream(speed: f64) -> StreamResult {
    StreamResult {
        label: "stream 1→50, 100 B, saturating".to_owned(),
        shape: StreamShape::new(1, 50),
        topics: 1,
        wildcard: false,
        slow_subscribers: 0,
        churn: None,
        payload_bytes: 100,
        load: StreamLoad::Saturating,
        offered_per_s: None,
        messages_sent: 1,
        late_sends: 0,
        messages_expected: 50,
        messages_received: 50,
        lost: 0,
        duplicated: 0,
        reordered: 0,
        corrupted: 0,
        late: 0,
        pairs: vec![],
        pairs_left_off: 0,
        duration_ns: 1,
        sent_per_s: 1.0,
        delivered_per_s: 50.0,
        delivered_bytes_per_s: 5000.0,
        latencies: StreamLatencies::default(),
        ratio_to_ceiling: None,
        acknowledged: Some(Acknowledged {
            in_flight: 64,
            messages: 1,
            duration_ns: 1,
            per_s: 1.0,
            bytes_per_s: 100.0,
            ratio_to_disk: None,
        }),
        verdict: Verdict::default(),
        resources: None,
        generator: GeneratorFigures::default(),
        timeline: vec![],
        rounds: NOISE.map(|noise| round(noise * speed)).to_vec(),
    }
}

fn operation(speed: f64) -> OperationResult {
    let rounds = NOISE.map(|noise| OperationRound {
        throughput_per_s: Some(40e3 * noise * speed),
        p50_ns: Some(24e3 / noise / speed),
        p99_ns: Some(90e3 / noise / speed),
        cpu_us_per_operation: Some(9.0 / noise / speed),
        verdict: Standing::Valid,
    });
    OperationResult {
        operation: OperationName::PUBLISH,
        clients: 50,
        count: 1,
        errors: 0,
        duration_ns: 1,
        throughput_per_s: 1.0,
        latency: LatencySummary::default(),
        histogram: HistogramTag::new("t"),
        verdict: Verdict::default(),
        resources: None,
        rounds: rounds.to_vec(),
    }
}

fn record(run_id: &str, streams: Vec<StreamResult>) -> RunRecord {
    let broker = BrokerRun {
        name: "tandem-mio".to_owned(),
        kind: BrokerKind::Broker,
        version: "0.1.0".to_owned(),
        command_line: vec![],
        driver: "native".to_owned(),
        guarantee: GuaranteeClass::InMemory,
        config_text: None,
        data_place: None,
        operations: vec![],
        streams,
        backlogs: vec![],
        restarts: vec![],
        storms: vec![],
        idles: vec![],
        outages: vec![],
        knees: vec![],
        resources: vec![],
        marks: vec![],
    };
    RunRecord {
        format_version: FORMAT_VERSION,
        run_id: run_id.to_owned(),
        started_at_unix_ms: 0,
        tandem_version: "0.1.0".to_owned(),
        config_name: "c".to_owned(),
        config_toml: String::new(),
        machine: MachineFacts {
            cpu_model: "Example CPU".to_owned(),
            architecture: "x86_64".to_owned(),
            logical_cores: 2,
            memory_bytes: 8 << 30,
            kernel: "Linux 6.1.0".to_owned(),
            os: "Example OS".to_owned(),
        },
        brokers: vec![broker],
        skipped: vec![],
        warnings: vec![],
        objectives: vec![],
        ceilings: vec![],
    }
}

fn of_streams(a: StreamResult, b: StreamResult) -> Comparison {
    compare(&record("a", vec![a]), &record("b", vec![b]), &CompareOptions::default())
}

fn verdict(comparison: &Comparison, metric: Metric) -> &Change {
    let mut metrics = comparison.cells.iter().flat_map(|cell| &cell.metrics);
    &metrics.find(|it| it.metric == metric).expect("the metric was compared").verdict
}

#[test]
fn every_metric_of_a_stream_is_compared_in_its_own_direction() {
    let compared = of_streams(stream(1.0), stream(0.5));
    assert_eq!(compared.cells[0].metrics.len(), 10);
    assert!(compared.cells[0].metrics.iter().all(|it| it.verdict == Change::Worse), "{compared:?}");
    let compared = of_streams(stream(1.0), stream(1.0));
    assert_eq!(compared.tally().within_noise, 10);
}

#[test]
fn every_metric_of_an_operation_is_compared() {
    let [mut a, mut b] = ["a", "b"].map(|run_id| record(run_id, vec![]));
    a.brokers[0].operations = vec![operation(1.0)];
    b.brokers[0].operations = vec![operation(1.5)];
    let compared = compare(&a, &b, &CompareOptions::default());
    assert_eq!(compared.cells[0].label, "publish, 50 clients");
    assert_eq!((compared.cells[0].metrics.len(), compared.tally().better), (4, 4));
}

/// A fact's name, and how to change it.
type FactChange = (&'static str, fn(&mut StreamResult));

#[test]
fn each_fact_of_a_stream_keeps_others_from_being_compared_with_it() {
    let changes: [FactChange; 6] = [
        ("payload", |stream| stream.payload_bytes = 1000),
        ("load", |stream| stream.load = StreamLoad::at_rate(1000.0)),
        ("acknowledgements in flight", |stream| stream.acknowledged = None),
        ("topics", |stream| stream.topics = 8),
        ("wildcard", |stream| stream.wildcard = true),
        ("slow subscribers", |stream| stream.slow_subscribers = 1),
    ];
    for (fact, change) in changes {
        let mut other = stream(1.0);
        change(&mut other);
        other.label = "another".to_owned();
        let compared = of_streams(stream(1.0), other);
        let Some(Incomparable::Configuration { differences }) = &compared.cells[0].incomparable
        else {
            panic!("{compared:?}")
        };
        let [difference] = &differences[..] else { panic!("{differences:?}") };
        assert_eq!(difference.fact, fact);
    }
}

#[test]
fn cells_are_matched_whatever_their_order() {
    let mut small = stream(1.0);
    small.payload_bytes = 16;
    let a = record("a", vec![stream(1.0), small.clone()]);
    let b = record("b", vec![small, stream(1.0)]);
    let compared = compare(&a, &b, &CompareOptions::default());
    assert_eq!(compared.tally().within_noise, 20);
}

#[test]
fn other_guarantees_drivers_and_machines_are_told() {
    let reason = |change: fn(&mut RunRecord)| {
        let mut b = record("b", vec![stream(1.0)]);
        change(&mut b);
        let compared = compare(&record("a", vec![stream(1.0)]), &b, &CompareOptions::default());
        compared.cells[0].incomparable.clone().unwrap().to_string()
    };
    let guarantee = reason(|b| b.brokers[0].guarantee = GuaranteeClass::Synced);
    assert!(guarantee.contains("acknowledged in memory in A and acknowledged after sync in B"));
    assert!(reason(|b| b.brokers[0].driver = "mqtt5".to_owned()).contains("driver is native in A"));
    assert!(reason(|b| b.machine.logical_cores = 4).contains("logical cores is 2 in A and 4 in B"));
    assert!(reason(|b| b.machine.memory_bytes = 4 << 30).contains("memory is 8.0 GiB in A"));
}

#[test]
fn rounds_bring_their_verdicts() {
    let mut invalid = stream(1.0);
    for round in &mut invalid.rounds {
        round.verdict = Standing::Invalid;
    }
    invalid.verdict.degrade(Standing::Invalid, "the generator was the bottleneck");
    let compared = of_streams(stream(1.0), invalid);
    let reason = compared.cells[0].incomparable.as_ref().unwrap().to_string();
    assert!(reason.contains("B is invalid: the generator was the bottleneck"), "{reason}");

    let mut behind = stream(1.0);
    for round in &mut behind.rounds {
        round.verdict = Standing::Unsustainable;
    }
    let compared = of_streams(behind, stream(1.0));
    let reason = Incomparable::Unsustainable { side: Side::A };
    assert_eq!(*verdict(&compared, Metric::ResponseP99), Change::Incomparable(reason));
    assert_eq!(*verdict(&compared, Metric::DeliveredPerS), Change::WithinNoise);
}

#[test]
fn a_record_without_rounds_has_too_few_to_tell() {
    let mut bare = stream(1.0);
    bare.rounds.clear();
    let compared = of_streams(stream(1.0), bare);
    let reason = Incomparable::TooFewRepeats { a: 6, b: 0, needed: 5 };
    assert_eq!(compared.cells[0].incomparable, Some(reason));
}

#[test]
fn other_configuration_texts_are_noted() {
    let mut b = record("b", vec![stream(1.0)]);
    b.config_toml = "repeat = 6".to_owned();
    let compared = compare(&record("a", vec![stream(1.0)]), &b, &CompareOptions::default());
    assert!(compared.notes[0].contains("not the same text"), "{:?}", compared.notes);
}
