//! A results directory gives back what was written, and says what is wrong with one that cannot.

mod synthetic;

use std::fs;
use std::path::PathBuf;

use measure::{HistogramTag, OperationName, ResultsDir, TABLES};
use synthetic::synthetic_run;
use tempfile::TempDir;

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

fn csv(dir: &ResultsDir, file_name: &str) -> PathBuf {
    let table = TABLES.iter().find(|table| table.file_name == file_name).expect("a table");
    dir.table_csv(table)
}

#[test]
fn tables_have_a_header_and_a_full_row_for_each_result() {
    let (_temporary, dir) = written_run();
    for (path, column, value) in [
        (csv(&dir, "operations.csv"), "guarantee", "in-memory"),
        (csv(&dir, "operations.csv"), "p99_9_ns", ""),
        (csv(&dir, "streams.csv"), "ratio_to_ceiling", "0.30000000000000004"),
        (csv(&dir, "streams.csv"), "kind", "broker"),
        (csv(&dir, "streams.csv"), "standing", "invalid"),
        (csv(&dir, "streams.csv"), "cpu_us_per_delivery", "0.25"),
        (csv(&dir, "storms.csv"), "refused", "1"),
        (csv(&dir, "idles.csv"), "bytes_per_connection", "4096.5"),
        (csv(&dir, "outages.csv"), "recovered_ns", "1040000000"),
        (csv(&dir, "knees.csv"), "confirmed_to_per_s", "110000"),
        (csv(&dir, "objectives.csv"), "standing", "missed"),
        (csv(&dir, "generator.csv"), "busy", "0.97"),
        (csv(&dir, "faults.csv"), "subscriber", "7"),
        (csv(&dir, "streams.csv"), "acks_in_flight", "64"),
        (csv(&dir, "restarts.csv"), "ready_ns", "7000000"),
        (csv(&dir, "resources.csv"), "resident_bytes", "8"),
    ] {
        let mut reader = csv::Reader::from_path(&path).unwrap();
        let at = reader.headers().unwrap().iter().position(|name| name == column);
        let rows: Vec<_> = reader.records().map(Result::unwrap).collect();
        assert_eq!(rows.len(), 1);
        assert_eq!(&rows[0][at.unwrap()], value, "{column} in {}", path.display());
    }
}

#[test]
fn every_table_has_a_row_of_a_run_with_everything() {
    let (record, _) = synthetic_run();
    for table in &TABLES {
        let csv = table.csv(&record).unwrap();
        let mut reader = csv::Reader::from_reader(csv.as_slice());
        let rows: Vec<_> = reader.records().map(Result::unwrap).collect();
        assert!(!rows.is_empty(), "{} has no rows", table.file_name);
    }
}

#[test]
fn a_directory_without_a_timeline_is_read() {
    let (_temporary, dir) = written_run();
    fs::remove_file(dir.timeline_hlog()).unwrap();
    assert!(dir.read_histograms().unwrap().timeline().is_empty());
}

#[test]
fn a_backlog_has_a_row_for_each_pass() {
    let (_temporary, dir) = written_run();
    let text = fs::read_to_string(csv(&dir, "backlogs.csv")).unwrap();
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
