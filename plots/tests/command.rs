//! The command draws where it is told to, and says what is wrong when it cannot.

mod synthetic;

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use measure::ResultsDir;
use measure::comparison::Comparison;
use synthetic::synthetic_run;
use tempfile::TempDir;

fn plots(arguments: &[&Path]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_plots")).args(arguments).output().expect("the built command")
}

fn results() -> (TempDir, ResultsDir) {
    let (mut record, histograms) = synthetic_run();
    record.brokers.truncate(2);
    let temporary = TempDir::new().expect("a temporary directory");
    let dir = ResultsDir::create(temporary.path().join("run")).expect("a fresh directory");
    dir.write(&record, &histograms).expect("the synthetic run");
    (temporary, dir)
}

fn check_refused(output: &Output, message: &str) {
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{told}");
    assert!(told.contains(message), "{told}");
}

#[test]
fn results_are_drawn_where_they_are() {
    let (_temporary, dir) = results();
    let output = plots(&[dir.root()]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let told = String::from_utf8(output.stdout).unwrap();
    assert_eq!(told.lines().count(), 15 * 3 + 1, "{told}");
    for line in told.lines() {
        assert!(Path::new(line).is_file(), "{line} was announced but is not there");
    }
}

#[test]
fn another_place_can_be_named() {
    let (temporary, dir) = results();
    let out = temporary.path().join("drawn/here");
    assert!(plots(&[dir.root(), Path::new("--out"), &out]).status.success());
    assert!(out.join("report.html").is_file());
    assert!(out.join("plots/throughput.png").is_file());
    assert!(!dir.report_html().exists());
}

/// A comparison of the run with an earlier one, as it lies beside it.
fn compare(dir: &ResultsDir) {
    let sample = include_str!("../../measure/tests/data/comparison.json");
    let mut comparison: Comparison = serde_json::from_str(sample).expect("the sample");
    comparison.b.run_id = dir.read_record().expect("the record").run_id;
    let json = serde_json::to_vec(&comparison).expect("a comparison in JSON");
    fs::write(dir.root().join("comparison.json"), json).expect("a fresh file");
}

#[test]
fn a_comparison_is_drawn_again_and_summed_up_in_the_report() {
    let (_temporary, dir) = results();
    compare(&dir);
    let output = plots(&[dir.root()]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for name in ["comparison.html", "comparison.svg", "comparison.png", "comparison-dark.png"] {
        assert!(dir.root().join(name).is_file(), "{name}");
    }
    let report = fs::read_to_string(dir.report_html()).unwrap();
    assert!(report.contains("<a href=\"comparison.html\">Compared with "), "a link");
    assert!(report.contains("6 worse, 6 better, 6 within noise, 3 incomparable"), "what it says");
}

#[test]
fn a_damaged_comparison_is_refused_with_what_to_do() {
    let (_temporary, dir) = results();
    fs::write(dir.root().join("comparison.json"), "{").unwrap();
    let advice = "remove the file, or compare the runs again";
    check_refused(&plots(&[dir.root()]), advice);
}

#[test]
fn a_directory_without_a_run_is_refused() {
    let temporary = TempDir::new().unwrap();
    check_refused(&plots(&[temporary.path()]), "expected a results directory with run.json in it");
}

#[test]
fn missing_histograms_are_refused_by_name() {
    let (_temporary, dir) = results();
    fs::remove_file(dir.histograms_hlog()).unwrap();
    check_refused(&plots(&[dir.root()]), "histograms.hlog");
}

#[test]
fn no_arguments_are_bad_usage() {
    check_refused(&plots(&[]), "Usage: plots");
}

#[test]
fn help_tells_the_exit_codes() {
    let output = plots(&[Path::new("--help")]);
    assert!(String::from_utf8(output.stdout).unwrap().contains("Exit codes:"));
}
