//! The stub broker as a process of a configuration.

use super::STUB_BROKER;
use std::path::Path;
use std::process::{Command, Output};

const HARNESS: &str = env!("CARGO_BIN_EXE_harness");

/// Runs a stream through a broker that was told this.
fn ran(dir: &Path, told: &[&str]) -> Output {
    let words: String = told.iter().map(|word| format!(", \"{word}\"")).collect();
    let text = format!(
        "name = \"stub\"\n[phases]\ndrain_ms_max = 200\n\
         [[brokers]]\nname = \"stub\"\ndriver = \"tandem-native\"\n\
         command = [\"{STUB_BROKER}\"{words}]\n\
         [[streams]]\npublishers = 1\nsubscribers = 2\npayload_bytes = [100]\n\
         messages = 2000\nwarmup_ms = 0\n"
    );
    let (config, out) = (dir.join("stub.toml"), dir.join("out"));
    std::fs::write(&config, text).unwrap();
    Command::new(HARNESS).arg("run").arg(&config).arg("--out").arg(&out).output().unwrap()
}

#[test]
fn a_breach_of_a_broker_that_is_a_process_is_exit_code_3() {
    let dir = tempfile::tempdir().unwrap();
    // The last message is dropped, and so not delivered twice.
    let output = ran(dir.path(), &["--drop-every", "500", "--duplicate-every", "400"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{said}");
    let breach = said.lines().find(|line| line.starts_with("delivery breach: stub: stream 1→2"));
    let found = "found 8 lost, 8 duplicated, 0 reordered, 0 corrupted";
    assert!(breach.is_some_and(|breach| breach.ends_with(found)), "{said}");
}

#[test]
fn a_stub_broker_that_does_nothing_wrong_breaks_no_promise() {
    let dir = tempfile::tempdir().unwrap();
    let output = ran(dir.path(), &["--service-us", "50"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
}

#[test]
fn an_option_that_cannot_be_is_refused() {
    for told in [&["--drop-every", "x"][..], &["--stall-after", "5"], &["--listen", "nowhere"]] {
        let output = Command::new(STUB_BROKER).args(told).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{told:?}");
    }
}
