//! A results directory gives back what was written, and says what is wrong with one that cannot.

use std::fs;
use std::time::Duration;

use measure::{
    Acknowledged, BacklogDrain, BacklogPass, BacklogResult, BrokerKind, BrokerRun, DataPlace,
    DeliveryFaults, FORMAT_VERSION, GeneratorFigures, GuaranteeClass, HistogramSet, HistogramTag,
    Latency, LatencyHistogram, LoggedHistogram, MachineFacts, OperationName, OperationResult,
    PageCache, PhaseMark, ResourceSample, RestartResult, ResultsDir, RunRecord, SkippedBroker,
    StopKind, StreamLatencies, StreamLoad, StreamResult, StreamShape, Verdict, rate_per_s,
};
use tempfile::TempDir;

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
        resources: None,
        rounds: vec![],
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
        pairs: vec![],
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
        verdict: Verdict::default(),
        resources: None,
        generator: GeneratorFigures::default(),
        timeline: vec![],
        rounds: vec![],
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

fn synthetic_run() -> (RunRecord, HistogramSet) {
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
        storms: vec![],
        idles: vec![],
        outages: vec![],
        knees: vec![],
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
        objectives: vec![],
        ceilings: vec![],
    };
    (record, histograms)
}

fn written_run() -> (TempDir, ResultsDir) {
    let temporary = TempDir::new().expect("a temporary directory");
    let dir = ResultsDir::create(temporary.path().join("run")).expect("a fresh directory");
    let (record, histograms) = synthetic_run();
    dir.write(&record, &histograms).expect("the synthetic run");
    (temporary, dir)
}

#[test]
fn a_run_reads_back_as_it_was_written() {
    let (_temporary, dir) = written_run();
    let dir = ResultsDir::open(dir.root()).unwrap();
    let (record, histograms) = synthetic_run();
    assert_eq!(dir.read_record().unwrap(), record);
    assert_eq!(dir.read_histograms().unwrap(), histograms);
}

#[test]
fn every_result_finds_its_histogram_by_tag() {
    let (_temporary, dir) = written_run();
    let histograms = dir.read_histograms().unwrap();
    let result = &dir.read_record().unwrap().brokers[0].operations[0];
    let found = histograms.histogram(&result.histogram).unwrap();
    assert_eq!(found.summary(), result.latency);
}

#[test]
fn tables_have_a_header_and_a_full_row_for_each_result() {
    let (_temporary, dir) = written_run();
    for (path, column, value) in [
        (dir.operations_csv(), "guarantee", "in-memory"),
        (dir.operations_csv(), "p99_9_ns", ""),
        (dir.streams_csv(), "ratio_to_ceiling", "0.30000000000000004"),
        (dir.streams_csv(), "kind", "broker"),
        (dir.streams_csv(), "acks_in_flight", "64"),
        (dir.restarts_csv(), "ready_ns", "7000000"),
        (dir.resources_csv(), "resident_bytes", "8"),
    ] {
        let mut reader = csv::Reader::from_path(&path).unwrap();
        let at = reader.headers().unwrap().iter().position(|name| name == column);
        let rows: Vec<_> = reader.records().map(Result::unwrap).collect();
        assert_eq!(rows.len(), 1);
        assert_eq!(&rows[0][at.unwrap()], value, "{column} in {}", path.display());
    }
}

#[test]
fn a_backlog_has_a_row_for_each_pass() {
    let (_temporary, dir) = written_run();
    let text = fs::read_to_string(dir.backlogs_csv()).unwrap();
    let [_, build, drain] = text.lines().collect::<Vec<_>>()[..] else {
        panic!("expected a header and two rows, found {text}");
    };
    assert!(build.contains(",build,,1000,") && build.ends_with(",,,,"), "{build}");
    assert!(drain.contains(",drain,cold,999,") && drain.ends_with(",1,0,0,0"), "{drain}");
}

#[test]
fn spectra_are_named_after_their_tags() {
    let (_temporary, dir) = written_run();
    let tag = HistogramTag::for_operation("tandem-mio", &OperationName::PUBLISH, 50);
    let text = fs::read_to_string(dir.spectrum_hgrm(&tag)).unwrap();
    assert!(text.contains("Total count    =         2000]"));
}

#[test]
fn a_record_of_another_version_is_refused_by_number() {
    let (_temporary, dir) = written_run();
    fs::write(dir.run_json(), r#"{"format_version": 7, "new": true}"#).unwrap();
    let message = dir.read_record().unwrap_err().to_string();
    assert!(message.contains("expected format_version 2, found 7"), "{message}");
    assert!(message.contains("run.json"), "{message}");
}

#[test]
fn a_damaged_record_says_where_and_what_to_do() {
    let (_temporary, dir) = written_run();
    for damaged in ["", "[]", "{\"format_version\": 2}", "{\"format_version\": 2, "] {
        fs::write(dir.run_json(), damaged).unwrap();
        let message = dir.read_record().unwrap_err().to_string();
        assert!(message.contains("run.json"), "{message}");
        assert!(message.contains("run the benchmark again"), "{message}");
    }
}

#[test]
fn a_damaged_log_names_its_file() {
    let (_temporary, dir) = written_run();
    fs::write(dir.histograms_hlog(), "nonsense\n").unwrap();
    let message = dir.read_histograms().unwrap_err().to_string();
    assert!(message.contains("histograms.hlog"), "{message}");
}

#[test]
fn a_directory_without_a_run_is_refused_with_advice() {
    let temporary = TempDir::new().unwrap();
    let message = ResultsDir::open(temporary.path()).unwrap_err().to_string();
    assert!(message.contains("a directory without run.json"), "{message}");
    let message = ResultsDir::open(temporary.path().join("none")).unwrap_err().to_string();
    assert!(message.contains("nothing of that name"), "{message}");
}
