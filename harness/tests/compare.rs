//! The compare command, from results directories to exit code and files.

use harness::compare::{
    Arguments, Baseline, CompareError, EXIT_NOTHING_COMPARED, EXIT_REGRESSION, Format,
    THRESHOLD_PERCENT, carry_out,
};
use measure::comparison::{Change, Metric};
use measure::{
    BrokerKind, BrokerRun, FORMAT_VERSION, GuaranteeClass, HistogramSet, HistogramTag,
    LatencySummary, MachineFacts, OperationName, OperationResult, OperationRound, ResultsDir,
    RunRecord, Standing, Verdict,
};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// Factors of six repeats, within ±1 %.
const NOISE: [f64; 6] = [1.0, 1.008, 0.993, 1.004, 0.996, 1.001];

fn broker(name: &str, speed: f64) -> BrokerRun {
    let rounds = NOISE.map(|noise| OperationRound {
        throughput_per_s: Some(40e3 * noise * speed),
        p50_ns: None,
        p99_ns: Some(90e3 / noise / speed),
        cpu_us_per_operation: None,
        verdict: Standing::Valid,
    });
    let publish = OperationResult {
        operation: OperationName::PUBLISH,
        clients: 1,
        count: 1,
        errors: 0,
        duration_ns: 1,
        throughput_per_s: 1.0,
        latency: LatencySummary::default(),
        histogram: HistogramTag::new("t"),
        verdict: Verdict::default(),
        resources: None,
        rounds: rounds.to_vec(),
    };
    BrokerRun {
        name: name.to_owned(),
        kind: BrokerKind::Broker,
        version: "0.1.0".to_owned(),
        command_line: vec![],
        driver: "native".to_owned(),
        guarantee: GuaranteeClass::InMemory,
        config_text: None,
        data_place: None,
        operations: vec![publish],
        streams: vec![],
        backlogs: vec![],
        restarts: vec![],
        storms: vec![],
        idles: vec![],
        outages: vec![],
        knees: vec![],
        resources: vec![],
        marks: vec![],
    }
}

fn record(run_id: &str, brokers: Vec<BrokerRun>) -> RunRecord {
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
        brokers,
        skipped: vec![],
        warnings: vec![],
        objectives: vec![],
        ceilings: vec![],
    }
}

fn write(dir: &Path, record: &RunRecord) {
    let written =
        ResultsDir::create(dir).and_then(|results| results.write(record, &HistogramSet::new()));
    written.expect("a temporary directory can be written to");
}

/// Results of a run of one broker at this speed.
fn results(root: &Path, name: &str, speed: f64) -> PathBuf {
    let dir = root.join(name);
    write(&dir, &record(name, vec![broker("tandem-mio", speed)]));
    dir
}

fn arguments(a: PathBuf, b: PathBuf) -> Arguments {
    Arguments {
        a,
        b,
        noise: None,
        format: Format::Table,
        metrics: vec![],
        pairs: vec![],
        threshold_percent: THRESHOLD_PERCENT,
        out: None,
    }
}

#[test]
fn a_slowdown_is_a_regression_and_a_speedup_is_not() {
    let root = TempDir::new().unwrap();
    let [fast, slow] =
        [("fast", 1.0), ("slow", 0.8)].map(|(name, speed)| results(root.path(), name, speed));
    let code = |a: &PathBuf, b: &PathBuf| carry_out(&arguments(a.clone(), b.clone())).unwrap();
    assert_eq!(code(&fast, &slow), EXIT_REGRESSION);
    assert_eq!(code(&slow, &fast), 0);
    let lenient = Arguments { threshold_percent: 30.0, ..arguments(fast.clone(), slow.clone()) };
    assert_eq!(carry_out(&lenient).unwrap(), 0);
}

#[test]
fn two_brokers_of_one_run_can_be_compared() {
    let root = TempDir::new().unwrap();
    let dir = root.path().join("one");
    let both = record("one", vec![broker("old", 1.0), broker("new", 0.8)]);
    write(&dir, &both);
    let pairs = vec![("old".to_owned(), "new".to_owned())];
    let paired = Arguments { pairs, ..arguments(dir.clone(), dir) };
    assert_eq!(carry_out(&paired).unwrap(), EXIT_REGRESSION);
}

#[test]
fn runs_that_have_nothing_in_common_are_no_success() {
    let root = TempDir::new().unwrap();
    let a = results(root.path(), "a", 1.0);
    let empty = root.path().join("empty");
    write(&empty, &record("empty", vec![]));
    assert_eq!(carry_out(&arguments(a, empty)).unwrap(), EXIT_NOTHING_COMPARED);
}

#[test]
fn what_is_written_with_out_serves_as_noise() {
    let root = TempDir::new().unwrap();
    let [a, alike, slow] = [("a", 1.0), ("alike", 0.75), ("slow", 0.8)]
        .map(|(name, speed)| results(root.path(), name, speed));
    let noise = root.path().join("noise");
    let measured = Arguments { out: Some(noise.clone()), ..arguments(a.clone(), alike) };
    carry_out(&measured).unwrap();
    for file in ["comparison.json", "comparison.html", "comparison.svg", "comparison.png"] {
        assert!(noise.join(file).is_file(), "{file}");
    }
    let compared = Arguments { noise: Some(noise), ..arguments(a, slow) };
    assert_eq!(carry_out(&compared).unwrap(), 0);
}

#[test]
fn what_is_no_noise_is_refused_with_the_way_to_make_some() {
    let root = TempDir::new().unwrap();
    let a = results(root.path(), "a", 1.0);
    let refused = |dir: &Path| {
        let noise = Some(dir.to_owned());
        carry_out(&Arguments { noise, ..arguments(a.clone(), a.clone()) }).unwrap_err()
    };
    let missing = refused(&root.path().join("none"));
    assert!(matches!(missing, CompareError::Noise { .. }));
    assert!(missing.to_string().contains("harness compare A1 A2 --out DIR"), "{missing}");
    std::fs::write(a.join("comparison.json"), "{}").unwrap();
    assert!(matches!(refused(&a), CompareError::NoiseMalformed { .. }));
}

#[test]
fn noise_of_another_machine_is_refused() {
    let root = TempDir::new().unwrap();
    let a = results(root.path(), "a", 1.0);
    let noise = root.path().join("noise");
    let measured = Arguments { out: Some(noise.clone()), ..arguments(a.clone(), a.clone()) };
    carry_out(&measured).unwrap();
    let path = noise.join("comparison.json");
    let text = std::fs::read_to_string(&path).unwrap().replace("Linux 6.1.0", "Linux 6.2.0");
    std::fs::write(&path, text).unwrap();
    let error =
        carry_out(&Arguments { noise: Some(noise), ..arguments(a.clone(), a) }).unwrap_err();
    let words = error.to_string();
    assert!(words.contains("kernel Linux 6.1.0") && words.contains("Linux 6.2.0"), "{words}");
}

#[test]
fn what_is_no_results_directory_is_refused() {
    let root = TempDir::new().unwrap();
    let a = results(root.path(), "a", 1.0);
    let error = carry_out(&arguments(a, root.path().join("none"))).unwrap_err();
    assert!(matches!(error, CompareError::Results(_)), "{error}");
}

#[test]
fn a_run_is_compared_with_its_baseline() {
    let root = TempDir::new().unwrap();
    let baseline = results(root.path(), "baseline", 1.0);
    let now = record("now", vec![broker("tandem-mio", 0.8)]);
    let compared = Baseline::read(&baseline).unwrap().compare(&now);
    let throughput = &compared.cells[0].metrics[0];
    assert_eq!((throughput.metric, &throughput.verdict), (Metric::ThroughputPerS, &Change::Worse));
    assert_eq!(compared.b.run_id, "now");
    assert!(Baseline::read(&root.path().join("none")).is_err());
}
