//! The report holds the figures, needs nothing but itself, and can be used by everyone.

mod synthetic;

use measure::{GuaranteeClass, HistogramSet, RunRecord};
use plots::{pictures, report_html};
use synthetic::synthetic_run;
use synthetic::varied::varied_run;

fn report(record: &RunRecord, histograms: &HistogramSet) -> String {
    report_html(record, histograms, &pictures(record, histograms), None)
}

fn synthetic_report() -> String {
    let (record, histograms) = synthetic_run();
    report(&record, &histograms)
}

/// What stands between two texts.
fn between<'a>(html: &'a str, start: &str, end: &str) -> &'a str {
    let (_, after) = html.split_once(start).unwrap_or_else(|| panic!("no {start}"));
    after.split_once(end).unwrap_or_else(|| panic!("no {end} after {start}")).0
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
    let tables = between(&html, "<!-- tables -->", "<!-- end of tables -->");
    insta::assert_snapshot!("tables", tables);
}

#[test]
fn the_best_is_found_among_those_who_promise_the_same() {
    let (mut record, histograms) = small_run();
    let best =
        |record: &RunRecord| report(record, &histograms).matches("<strong class=\"best\">").count();
    let alike = best(&record);
    record.brokers[0].guarantee = GuaranteeClass::Replicated;
    assert!(best(&record) > alike, "of two promises each has a best");
    let html = report(&record, &histograms);
    assert!(html.contains("tandem-threaded<small>by replicas</small>"));
}

#[test]
fn the_page_loads_nothing_and_may_not() {
    let html = synthetic_report();
    for forbidden in ["<link", "<img", "@import", "url(", "javascript:", "src="] {
        assert!(!html.contains(forbidden), "the page contains {forbidden}");
    }
    assert_eq!(html.matches("<script").count(), 1, "that of the button");
    assert!(html.contains("content=\"default-src 'none';"), "the browser is told so, too");
    for (at, _) in html.match_indices("href=\"") {
        let target = &html[at + "href=\"".len()..][..6];
        assert!(target.starts_with('#') || target.starts_with("data:"), "a link leads to {target}");
    }
    for (at, _) in html.match_indices("http:").chain(html.match_indices("https:")) {
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
    let html = report_html(&record, &histograms, &drawn, None);
    assert_eq!(html.matches("<svg ").count(), drawn.len());
    for picture in &drawn {
        assert!(html.contains(&format!("<title id=\"{}-title\">", picture.name())));
    }
}

#[test]
fn the_verdict_comes_first_and_says_what_to_believe() {
    let (record, histograms) = varied_run();
    let html = report(&record, &histograms);
    let verdict = between(&html, "<section id=\"verdict\"", "<section id=\"ranking\"");
    assert!(html.find("<section").unwrap() == html.find("<section id=\"verdict\"").unwrap());
    for wanted in [
        "9 brokers of 5 guarantee classes and 3 ceilings in 269 measurements",
        "2 logical cores of Synthetic CPU",
        "<strong>261</strong> <span>VALID",
        "Take the 2 SUSPECT with caution",
        "The 3 INVALID are in no ranking.",
        "In 19 measurements messages were lost",
        "2 met, 1 missed, 1 not measured.",
        "The load generator used 97% of a core",
        "redis, emqx-open-source-single-node",
        "found that it ended by itself after 1.2 s",
    ] {
        assert!(verdict.contains(wanted), "{wanted} is not in {verdict}");
    }
}

#[test]
fn a_run_that_may_be_believed_says_so() {
    let (mut record, histograms) = synthetic_run();
    record.brokers.truncate(1);
    record.brokers[0].outages.clear();
    (record.warnings, record.skipped, record.objectives) = (vec![], vec![], vec![]);
    let html = report(&record, &histograms);
    let verdict = between(&html, "<section id=\"verdict\"", "<section id=\"ranking\"");
    for wanted in
        ["all may be believed", "Every message came once", "The configuration asserts none"]
    {
        assert!(verdict.contains(wanted), "{wanted} is not in {verdict}");
    }
    assert!(!verdict.contains("<details"));
}

#[test]
fn brokers_are_ranked_within_their_class_and_only_where_they_may_be() {
    let (record, histograms) = varied_run();
    let html = report(&record, &histograms);
    let ranking = between(&html, "<section id=\"ranking\"", "<section id=\"pictures\"");
    let in_memory = between(ranking, "Acknowledged in memory", "Acknowledged to the OS");
    for wanted in [
        "<td>1</td><th scope=\"row\">tandem-mio",
        "<tr class=\"unranked\"><td>–</td><th scope=\"row\">nats-server</th><td>INVALID</td>",
        "<tr class=\"unranked\"><td>–</td><th scope=\"row\">mosquitto</th><td>UNSUSTAINABLE</td>",
        "<th scope=\"row\">nats-server</th><td>not measured</td>",
    ] {
        assert!(in_memory.contains(wanted), "{wanted} is not in {in_memory}");
    }
    for other_class in ["tandem-mio-disk", "rabbitmq", "byte-pipe"] {
        assert!(!in_memory.contains(other_class), "{other_class} competes with other promises");
    }
    assert!(ranking.contains("Only redpanda-three-brokers-acks-all promises this"));
    assert!(ranking.contains("redis-server is not installed; install it and run again"));
    let ceilings = between(ranking, "<h3>Ceilings</h3>", "</section>");
    assert!(ceilings.contains("byte-pipe") && ceilings.contains("<th scope=\"row\">disk"));
}

#[test]
fn what_happened_beside_steady_load_has_its_tables() {
    let (record, histograms) = varied_run();
    let html = report(&record, &histograms);
    let tables = between(&html, "<!-- tables -->", "<!-- end of tables -->");
    for id in [
        "objectives",
        "highest-rates",
        "storms",
        "idles",
        "outages-ledger",
        "knee-attempts",
        "cell-resources",
        "generator",
    ] {
        assert!(tables.contains(&format!("id=\"{id}\"")), "{id}");
    }
    assert!(html.contains("quorum_queue.property_equivalence"), "the whole configuration file");
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
    assert_eq!(html.matches("href=\"data:text/csv;base64,").count(), measure::TABLES.len() - 1);
}

#[test]
fn text_from_the_run_cannot_become_markup() {
    let (mut record, histograms) = synthetic_run();
    record.config_toml = "<script>alert(1)</script>".to_owned();
    record.brokers[0].name = "</svg><script>".to_owned();
    record.warnings = vec!["<script>".to_owned()];
    let html = report(&record, &histograms);
    assert_eq!(html.matches("<script").count(), 1, "that of the button");
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
    assert!(html.contains("No broker was measured."));
    assert!(!html.contains("<h3>Restarts</h3>"));
    assert!(html.contains("Not drawn, for want of measurements: Streams at full load;"));
    assert!(!html.contains("<dt>Warnings</dt>"));
    assert!(html.trim_end().ends_with("</html>"));
}
