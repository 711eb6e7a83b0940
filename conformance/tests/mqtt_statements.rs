//! `docs/mqtt.md` names a test for each statement of the standards: that test must exist, and run.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// What the document must hold at least: a row for each statement that binds a server.
const ROWS_MIN: usize = 280;

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The cells of each row of each table, without the rows that head them.
fn rows(document: &str) -> Vec<Vec<&str>> {
    let rows = document.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"));
    let rows = rows.map(|row| row.split(" | ").map(str::trim).collect::<Vec<_>>());
    rows.filter(|row| !["statement", "question", "area"].contains(&row[0])).collect()
}

/// Every `file::test` in a text.
fn tests_named(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let quoted = text.split('`').skip(1).step_by(2);
    quoted.filter_map(|quoted| quoted.split_once("::"))
}

#[test]
fn every_test_that_the_document_names_exists() {
    let document = read("../docs/mqtt.md");
    let mut sources = BTreeMap::new();
    let mut missing = Vec::new();
    for (file, test) in tests_named(&document).filter(|(file, _)| *file != "file") {
        let source = sources.entry(file).or_insert_with(|| read(&format!("tests/{file}.rs")));
        // It is written, and stamped onto the backends.
        let written = [format!("fn {test}("), format!("fn {test}<")];
        let written = written.iter().any(|head| source.contains(head));
        let stamped = source.lines().any(|line| line.trim() == format!("{test},"));
        if !(written && stamped) {
            missing.push(format!("{file}::{test}"));
        }
    }
    assert!(missing.is_empty(), "docs/mqtt.md names tests that are not there: {missing:#?}");
}

#[test]
fn every_statement_has_a_test_or_a_reason() {
    let document = read("../docs/mqtt.md");
    let rows = rows(&document);
    assert!(rows.len() >= ROWS_MIN, "expected {ROWS_MIN} rows, found {}", rows.len());
    for row in rows.iter().filter(|row| row[0].starts_with("MQTT-")) {
        let [statement, says, shown] = row[..] else { panic!("expected three cells: {row:?}") };
        assert!(!says.is_empty() && !shown.is_empty(), "expected no empty cell: {statement}");
    }
}

#[test]
fn no_statement_is_told_twice() {
    let document = read("../docs/mqtt.md");
    let (five, before) = document.split_once("\n## MQTT 3.1.1\n").expect("a part for each version");
    for part in [five, before] {
        let mut told = BTreeSet::new();
        for row in rows(part).iter().filter(|row| row[0].starts_with("MQTT-")) {
            assert!(told.insert(row[0].to_owned()), "expected one row for {}", row[0]);
        }
    }
}
