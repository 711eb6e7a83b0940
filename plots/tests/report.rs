//! The report holds the figures, needs nothing but itself, and can be used by everyone.

mod synthetic;

use measure::{GuaranteeClass, HistogramSet, RunRecord};
use plots::{pictures, report_html};
use synthetic::synthetic_run;

fn report(record: &RunRecord, histograms: &HistogramSet) -> String {
    report_html(record, &pictures(record, histograms))
}

fn synthetic_report() -> String {
    let (record, histograms) = synthetic_run();
    report(&record, &histograms)
}

/// A run small enough to read its tables.
fn small_run() -> (RunRecord, HistogramSet) {
    let (mut record, histograms) = synthetic_run();
    record.brokers.retain(|broker| !matches!(broker.name.as_str(), "mosquitto" | "null"));
    for broker in &mut record.brokers {
        broker.operations.retain(|result| {
            result.operation.as_str() == "publish" && matches!(result.clients, 1 | 50)
        });
        broker.streams.retain(|result| result.payload_bytes == 100);
    }
    record.brokers[0].operations[1].errors = 12;
    (record, histograms)
}

#[test]
fn tables_compare_brokers_side_by_side() {
    let (record, histograms) = small_run();
    let html = report(&record, &histograms);
    let (_, after) = html.split_once("<!-- tables -->").unwrap();
    let (tables, _) = after.split_once("<!-- end of tables -->").unwrap();
    insta::assert_snapshot!("tables", tables);
}

#[test]
fn the_best_is_found_among_those_who_promise_the_same() {
    let (mut record, histograms) = small_run();
    let best =
        |record: &RunRecord| report(record, &histograms).matches("<strong class=\"best\">").count();
    let alike = best(&record);
    record.brokers[0].guarantee = GuaranteeClass::Synced;
    assert!(best(&record) > alike, "of two promises each has a best");
    let html = report(&record, &histograms);
    assert!(html.contains("tandem-threaded<small>acknowledged after sync</small>"));
}

#[test]
fn the_page_loads_nothing_and_runs_no_script() {
    let html = synthetic_report();
    for forbidden in ["<script", "<link", "<img", "@import", "url(", "javascript:", "src="] {
        assert!(!html.contains(forbidden), "the page contains {forbidden}");
    }
    for (at, _) in html.match_indices("href=\"") {
        let target = &html[at + "href=\"".len()..][..6];
        assert!(target.starts_with('#') || target.starts_with("data:"), "a link leads to {target}");
    }
    for (at, _) in html.match_indices("http") {
        let rest = &html[at..];
        let namespace = rest.starts_with("http://www.w3.org/2000/svg");
        assert!(namespace, "an address: {}", &rest[..40]);
    }
}

#[test]
fn every_section_that_is_linked_exists_once() {
    let html = synthetic_report();
    for (at, _) in html.match_indices("href=\"#") {
        let id = html[at + "href=\"#".len()..].split('"').next().unwrap();
        assert_eq!(html.matches(&format!("id=\"{id}\"")).count(), 1, "{id}");
    }
}

#[test]
fn every_picture_is_inside_with_its_words() {
    let (record, histograms) = synthetic_run();
    let drawn = pictures(&record, &histograms);
    let html = report_html(&record, &drawn);
    assert_eq!(html.matches("<svg ").count(), drawn.len());
    for picture in &drawn {
        assert!(html.contains(&format!("<title id=\"{}-title\">", picture.name())));
    }
}

#[test]
fn warnings_and_skipped_brokers_come_before_the_results() {
    let html = synthetic_report();
    let warning = html.find("The load generator used 97% of a core").unwrap();
    let skipped = html.find("redis-server is not installed").unwrap();
    let results = html.find("id=\"results\"").unwrap();
    assert!(warning < results && skipped < results);
}

#[test]
fn the_raw_record_can_be_downloaded_from_the_page() {
    use base64::Engine as _;
    let (record, histograms) = synthetic_run();
    let html = report(&record, &histograms);
    let (_, after) = html.split_once("data:application/json;base64,").unwrap();
    let encoded = after.split('"').next().unwrap();
    let json = base64::engine::general_purpose::STANDARD.decode(encoded).unwrap();
    assert_eq!(serde_json::from_slice::<RunRecord>(&json).unwrap(), record);
    assert_eq!(html.matches("href=\"data:text/csv;base64,").count(), 5);
}

#[test]
fn text_from_the_run_cannot_become_markup() {
    let (mut record, histograms) = synthetic_run();
    record.config_toml = "<script>alert(1)</script>".to_owned();
    record.brokers[0].name = "</svg><script>".to_owned();
    record.warnings = vec!["<script>".to_owned()];
    assert!(!report(&record, &histograms).contains("<script"));
}

#[test]
fn a_run_without_results_is_still_a_whole_page() {
    let (mut record, _) = synthetic_run();
    record.brokers.clear();
    record.warnings.clear();
    record.skipped.clear();
    let html = report(&record, &HistogramSet::new());
    assert!(html.contains("This run measured no streams at full load."));
    assert!(html.contains("This run measured no operations."));
    assert!(!html.contains("<h3>Restarts</h3>"));
    assert!(html.contains("Not drawn, for want of measurements: Streams at full load;"));
    assert!(!html.contains("Read this first"));
    assert!(html.trim_end().ends_with("</html>"));
}
