//! The raw figures, carried inside the page as `data:` links.

use std::time::{Duration, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use measure::{HistogramSet, RunRecord, TABLES};
use serde::Serialize;

use crate::quantity::Quantity;

/// A file within the page.
#[derive(Debug, Serialize)]
pub(super) struct Download {
    file_name: &'static str,
    /// What is in it.
    what: String,
    size: String,
    url: String,
}

/// A timeline longer than this would make the page slow to open.
const TIMELINE_BYTES_MAX: usize = 2_000_000;

/// The record, the histograms, and every table that has rows.
pub(super) fn all(record: &RunRecord, histograms: &HistogramSet) -> Vec<Download> {
    let json = serde_json::to_vec(record).expect("a run record has no keys that JSON cannot hold");
    let started_at = UNIX_EPOCH + Duration::from_millis(record.started_at_unix_ms);
    let mut downloads = vec![Download::of(
        "run.json",
        "everything that was measured but histograms",
        "application/json",
        &json,
    )];
    if let Ok(log) = histograms.to_hlog(started_at) {
        let what = "every latency histogram, in HdrHistogram's interval log format";
        downloads.push(Download::of("histograms.hlog", what, "text/plain", &log));
    }
    let timeline = histograms.timeline();
    let log = (!timeline.is_empty()).then(|| timeline.to_hlog(started_at)).and_then(Result::ok);
    downloads.extend(log.map(|log| timeline_log(&log)));
    downloads.extend(TABLES.iter().filter_map(|table| {
        let csv = table.csv(record).expect("writing plain rows into memory cannot fail");
        let has_rows = csv.iter().filter(|byte| **byte == b'\n').count() > 1;
        let what = format!("a row for {}", table.row);
        has_rows.then(|| Download::of(table.file_name, what, "text/csv", &csv))
    }));
    downloads
}

/// Latency over time: within the page, or, where it is long, beside it.
fn timeline_log(log: &[u8]) -> Download {
    let (name, what) = ("timeline.hlog", "latency over time, in the same format");
    if log.len() <= TIMELINE_BYTES_MAX {
        return Download::of(name, what, "text/plain", log);
    }
    Download {
        file_name: name,
        what: format!("{what}; not within this page but beside it"),
        size: Quantity::Bytes.figure(log.len() as f64),
        url: name.to_owned(),
    }
}

impl Download {
    fn of(
        file_name: &'static str,
        what: impl Into<String>,
        media_type: &str,
        content: &[u8],
    ) -> Self {
        Self {
            file_name,
            what: what.into(),
            size: Quantity::Bytes.figure(content.len() as f64),
            url: format!("data:{media_type};base64,{}", BASE64.encode(content)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_timeline_is_a_link_to_the_file_beside_the_page() {
        assert!(timeline_log(&[0; 10]).url.starts_with("data:text/plain;base64,"));
        let long = timeline_log(&vec![0; TIMELINE_BYTES_MAX + 1]);
        assert_eq!((long.url.as_str(), long.size.as_str()), ("timeline.hlog", "2.00 MB"));
    }
}
