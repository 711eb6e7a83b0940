//! A synthetic run record: invented figures, shaped like real ones, to draw pictures from.

mod kept;
mod observed;
pub(crate) mod varied;

use std::time::Duration;

use measure::{
    Arrivals, BrokerKind, BrokerRun, FORMAT_VERSION, GeneratorFigures, GuaranteeClass,
    HistogramSet, HistogramTag, Latency, LatencyHistogram, LoggedHistogram, MachineFacts,
    OperationName, OperationResult, PhaseMark, ResourceSample, RunRecord, SkippedBroker,
    StreamLatencies, StreamLoad, StreamResult, StreamShape, Verdict,
};

const SECOND_NS: u64 = 1_000_000_000;
const SAMPLES: u64 = 200_000;

const OPERATIONS: [(OperationName, f64); 5] = [
    (OperationName::CREATE, 0.5),
    (OperationName::PUBLISH, 1.0),
    (OperationName::SUBSCRIBE, 0.4),
    (OperationName::PULL, 1.3),
    (OperationName::DELETE, 0.45),
];

const STREAMS: [(u32, u32, u64, StreamLoad); 6] = [
    (1, 1, 100, StreamLoad::Saturating),
    (1, 1, 1000, StreamLoad::Saturating),
    (1, 50, 100, StreamLoad::Saturating),
    (50, 1, 100, StreamLoad::Saturating),
    (1, 1, 100, StreamLoad::Open { rate_per_s: 10_000.0, arrivals: Arrivals::Constant }),
    (1, 1, 100, StreamLoad::Open { rate_per_s: 50_000.0, arrivals: Arrivals::Constant }),
];

/// An invented subject: its name, kind, and how fast it is in streams and operations.
struct Invented {
    name: &'static str,
    kind: BrokerKind,
    version: &'static str,
    streams_per_s: f64,
    operations_per_s: f64,
    memory_bytes: f64,
}

const INVENTED: [Invented; 7] = [
    Invented {
        name: "tandem-threaded",
        kind: BrokerKind::Broker,
        version: "0.1.0",
        streams_per_s: 10.2e6,
        operations_per_s: 41e3,
        memory_bytes: 9e6,
    },
    Invented {
        name: "tandem-mio",
        kind: BrokerKind::Broker,
        version: "0.1.0",
        streams_per_s: 9.4e6,
        operations_per_s: 44e3,
        memory_bytes: 5e6,
    },
    Invented {
        name: "nats-server",
        kind: BrokerKind::Broker,
        version: "2.9.10",
        streams_per_s: 2.3e6,
        operations_per_s: 28e3,
        memory_bytes: 19e6,
    },
    Invented {
        name: "mosquitto",
        kind: BrokerKind::Broker,
        version: "2.0.11",
        streams_per_s: 0.072e6,
        operations_per_s: 38e3,
        memory_bytes: 3e6,
    },
    Invented {
        name: "tandem-mio-disk",
        kind: BrokerKind::Broker,
        version: "0.1.0",
        streams_per_s: 5.1e6,
        operations_per_s: 2.1e3,
        memory_bytes: 8e6,
    },
    Invented {
        name: "byte-pipe",
        kind: BrokerKind::Ceiling,
        version: "0.1.0",
        streams_per_s: 9.1e6,
        operations_per_s: 0.0,
        memory_bytes: 2e6,
    },
    Invented {
        name: "null",
        kind: BrokerKind::Ceiling,
        version: "0.1.0",
        streams_per_s: 31e6,
        operations_per_s: 0.0,
        memory_bytes: 1.5e6,
    },
];

/// A whole synthetic run: five brokers, two ceilings, everything measured.
pub(crate) fn synthetic_run() -> (RunRecord, HistogramSet) {
    let mut histograms = HistogramSet::new();
    let brokers = INVENTED.iter().map(|invented| broker_run(invented, &mut histograms)).collect();
    let record = RunRecord {
        format_version: FORMAT_VERSION,
        run_id: "00000000-0000-4000-8000-000000000000".to_owned(),
        started_at_unix_ms: 1_700_000_000_000,
        tandem_version: "0.1.0".to_owned(),
        config_name: "synthetic".to_owned(),
        config_toml: "# An invented run: no broker was measured.\nclients = [1, 10, 50, 200]\n"
            .to_owned(),
        machine: MachineFacts {
            cpu_model: "Synthetic CPU".to_owned(),
            architecture: "x86_64".to_owned(),
            logical_cores: 2,
            memory_bytes: 8 << 30,
            kernel: "Linux 0.0".to_owned(),
            os: "Synthetic OS".to_owned(),
        },
        brokers,
        skipped: vec![SkippedBroker {
            name: "redis".to_owned(),
            reason: "redis-server is not installed; install it and run again".to_owned(),
        }],
        warnings: vec!["The load generator used 97% of a core at 1→50.".to_owned()],
        objectives: observed::objectives(),
        ceilings: observed::ceilings(),
    };
    (record, histograms)
}

fn broker_run(invented: &Invented, histograms: &mut HistogramSet) -> BrokerRun {
    let operations: Vec<OperationResult> = OPERATIONS
        .iter()
        .filter(|_| invented.operations_per_s > 0.0)
        .flat_map(|(operation, ease)| {
            [1, 10, 50, 200].map(|clients| {
                let rate = invented.operations_per_s * ease * (1.0 + f64::from(clients).ln() / 3.0);
                (operation.clone(), clients, rate)
            })
        })
        .map(|(operation, clients, rate)| {
            operation_result(invented, operation, clients, rate, histograms)
        })
        .collect();
    let mut streams: Vec<StreamResult> = STREAMS
        .iter()
        .map(|(publishers, subscribers, payload_bytes, load)| {
            let shape = StreamShape::new(*publishers, *subscribers);
            stream_result(invented, shape, *payload_bytes, load, histograms)
        })
        .collect();
    let (mut backlogs, mut restarts) = (vec![], vec![]);
    if invented.name.starts_with("tandem") {
        streams.push(kept::unread(&streams[0], invented.streams_per_s / 8.0));
        backlogs.push(kept::backlog(invented.streams_per_s / 30.0, invented.memory_bytes as u64));
        restarts = kept::restarts((invented.operations_per_s * 1e3) as u64);
    }
    let is_broker = invented.kind == BrokerKind::Broker;
    BrokerRun {
        name: invented.name.to_owned(),
        kind: invented.kind,
        version: invented.version.to_owned(),
        command_line: vec![invented.name.to_owned(), "--port".to_owned(), "0".to_owned()],
        driver: "native".to_owned(),
        guarantee: match (invented.kind, invented.name) {
            (BrokerKind::Ceiling, _) => GuaranteeClass::AtMostOnce,
            (_, "tandem-mio-disk") => GuaranteeClass::Synced,
            _ => GuaranteeClass::InMemory,
        },
        config_text: (invented.name == "mosquitto")
            .then(|| "listener 1883 127.0.0.1\nallow_anonymous true\n".to_owned()),
        data_place: None,
        marks: marks(operations.is_empty()),
        operations,
        streams,
        backlogs,
        restarts,
        storms: if is_broker { observed::storms(invented, histograms) } else { vec![] },
        idles: if is_broker { observed::idles(invented) } else { vec![] },
        outages: if is_broker { observed::outages(invented) } else { vec![] },
        knees: if is_broker { vec![observed::knee(invented)] } else { vec![] },
        resources: resources(invented),
    }
}

fn operation_result(
    invented: &Invented,
    operation: OperationName,
    clients: u32,
    throughput_per_s: f64,
    histograms: &mut HistogramSet,
) -> OperationResult {
    let tag = HistogramTag::for_operation(invented.name, &operation, clients);
    let typical_ns = f64::from(clients) * 1e9 / throughput_per_s;
    let latencies = latencies(typical_ns, (1.0 + invented.memory_bytes / 30e6).min(2.2));
    let result = OperationResult {
        operation,
        clients,
        count: SAMPLES,
        errors: 0,
        duration_ns: (SAMPLES as f64 * 1e9 / throughput_per_s) as u64,
        throughput_per_s,
        latency: latencies.summary(),
        histogram: tag.clone(),
        verdict: Verdict::default(),
        resources: None,
        rounds: vec![],
    };
    histograms.add(tag, logged(latencies));
    result
}

fn stream_result(
    invented: &Invented,
    shape: StreamShape,
    payload_bytes: u64,
    load: &StreamLoad,
    histograms: &mut HistogramSet,
) -> StreamResult {
    let pipe_per_s = 9.1e6;
    let ease = f64::from(shape.subscribers).powf(0.25) * (100.0 / payload_bytes as f64).powf(0.4);
    let (sent_per_s, typical_ns) = match load {
        StreamLoad::Saturating => (invented.streams_per_s * ease, 3e6),
        other => (other.offered_per_s().unwrap_or_default(), 60e3 + 5e11 / invented.streams_per_s),
    };
    let delivered_per_s = sent_per_s;
    let lost = if shape.publishers > 1 && invented.name == "nats-server" { 116_000 } else { 0 };
    let tag = HistogramTag::for_stream(invented.name, shape, payload_bytes, load);
    let latencies = latencies(typical_ns, 1.5);
    let timed = Latency { summary: latencies.summary(), histogram: tag.clone() };
    let result = StreamResult {
        label: format!("stream {shape}, {payload_bytes} B, {load}"),
        shape,
        topics: 1,
        wildcard: false,
        slow_subscribers: 0,
        churn: None,
        payload_bytes,
        load: load.clone(),
        offered_per_s: load.offered_per_s(),
        late_sends: 0,
        messages_sent: SAMPLES,
        messages_expected: SAMPLES * u64::from(shape.subscribers),
        messages_received: SAMPLES * u64::from(shape.subscribers) - lost,
        lost,
        duplicated: 0,
        reordered: 0,
        corrupted: 0,
        late: 0,
        pairs: vec![],
        pairs_left_off: 0,
        duration_ns: SECOND_NS,
        sent_per_s,
        delivered_per_s,
        delivered_bytes_per_s: delivered_per_s * payload_bytes as f64,
        latencies: stream_latencies(load, timed, histograms),
        ratio_to_ceiling: Some(match load {
            StreamLoad::Saturating => invented.streams_per_s / pipe_per_s,
            _ => 1.0,
        }),
        acknowledged: None,
        verdict: Verdict::default(),
        resources: None,
        generator: GeneratorFigures::default(),
        timeline: vec![],
        rounds: vec![],
    };
    histograms.add(tag, logged(latencies));
    let mut result = result;
    observed::observe(&mut result, invented);
    if shape == StreamShape::new(1, 1) && payload_bytes == 100 {
        observed::add_intervals(&result, histograms);
    }
    result
}

/// At full load only the time since sending counts; at a rate, both that and the time since due.
fn stream_latencies(
    load: &StreamLoad,
    timed: Latency,
    histograms: &mut HistogramSet,
) -> StreamLatencies {
    if load.offered_per_s().is_none() {
        return StreamLatencies { service: Some(timed), ..StreamLatencies::default() };
    }
    let part = |name: &str, typical_ns: f64, histograms: &mut HistogramSet| {
        let (tag, latencies) = (timed.histogram.part(name), latencies(typical_ns, 1.2));
        let part = Latency { summary: latencies.summary(), histogram: tag.clone() };
        histograms.add(tag, logged(latencies));
        Some(part)
    };
    let typical_ns = timed.summary.p50_ns.unwrap_or_default() as f64;
    StreamLatencies {
        lateness: part("lateness", typical_ns / 30.0, histograms),
        service: part("service", typical_ns * 0.8, histograms),
        response: Some(timed),
        ..StreamLatencies::default()
    }
}

fn logged(histogram: LatencyHistogram) -> LoggedHistogram {
    LoggedHistogram { start: Duration::ZERO, interval: Duration::from_secs(1), histogram }
}

/// A long-tailed distribution around `typical_ns`, the same in every run.
fn latencies(typical_ns: f64, spread: f64) -> LatencyHistogram {
    let mut histogram = LatencyHistogram::new();
    let steps = 4000;
    for step in 0..steps {
        let quantile = (f64::from(step) + 0.5) / f64::from(steps);
        let tail = (1.0 / (1.0 - quantile)).ln() / std::f64::consts::LN_2;
        let latency_ns = typical_ns * (0.6 + 0.4 * tail.powf(spread));
        histogram.record_ns_n(latency_ns as u64, SAMPLES / u64::from(steps as u32));
    }
    histogram
}

fn marks(ceiling: bool) -> Vec<PhaseMark> {
    let phases: &[(u64, &str)] = if ceiling {
        &[
            (0, "stream 1→1, 100 B, saturating"),
            (12, "stream 1→50, 100 B, saturating"),
            (24, "stream 50→1, 100 B, saturating"),
        ]
    } else {
        &[
            (0, "create, 1 client"),
            (2, "create, 50 clients"),
            (4, "publish, 1 client"),
            (6, "publish, 10 clients"),
            (8, "publish, 50 clients"),
            (10, "subscribe, 50 clients"),
            (11, "pull, 50 clients"),
            (13, "delete, 50 clients"),
            (15, "stream 1→1, 100 B, saturating"),
            (18, "stream 1→1, 1000 B, saturating"),
            (21, "stream 1→1, 100 B, 10000 msgs/s"),
            (27, "stream 1→1, 100 B, 50000 msgs/s"),
            (33, "stream 1→50, 100 B, saturating"),
            (38, "stream 50→1, 100 B, saturating"),
        ]
    };
    phases
        .iter()
        .map(|(t_s, label)| PhaseMark { t_ns: t_s * SECOND_NS, label: (*label).to_owned() })
        .collect()
}

fn resources(invented: &Invented) -> Vec<ResourceSample> {
    let seconds: u64 = if invented.operations_per_s > 0.0 { 42 } else { 36 };
    let (mut user_ns, mut system_ns) = (0, 0);
    (0..seconds * 10)
        .map(|tenth| {
            let busy = 0.9 + 0.5 * (tenth as f64 / 17.0).sin() + 0.1 * (tenth as f64 * 1.7).sin();
            let t_ns = tenth * SECOND_NS / 10;
            let sample = ResourceSample {
                t_ns,
                cpu_user_ns: user_ns,
                cpu_system_ns: system_ns,
                resident_bytes: (invented.memory_bytes * (1.0 + tenth as f64 / 300.0)) as u64,
                threads: 4,
            };
            user_ns += (busy * 0.35 * 1e8) as u64;
            system_ns += (busy * 0.65 * 1e8) as u64;
            sample
        })
        .collect()
}
