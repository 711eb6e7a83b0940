//! The raw figures, carried inside the page as `data:` links.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use measure::{
    MeasureError, RunRecord, write_backlogs_csv, write_operations_csv, write_resources_csv,
    write_restarts_csv, write_streams_csv,
};
use serde::Serialize;

use crate::quantity::Quantity;

/// A file within the page.
#[derive(Debug, Serialize)]
pub(super) struct Download {
    file_name: &'static str,
    size: String,
    url: String,
}

type WriteCsv = fn(&RunRecord, &mut Vec<u8>) -> Result<(), MeasureError>;

const TABLES: [(&str, WriteCsv); 5] = [
    ("streams.csv", |record, out| write_streams_csv(record, out)),
    ("operations.csv", |record, out| write_operations_csv(record, out)),
    ("backlogs.csv", |record, out| write_backlogs_csv(record, out)),
    ("restarts.csv", |record, out| write_restarts_csv(record, out)),
    ("resources.csv", |record, out| write_resources_csv(record, out)),
];

pub(super) fn all(record: &RunRecord) -> Vec<Download> {
    let json = serde_json::to_vec(record).expect("a run record has no keys that JSON cannot hold");
    let record_json = Download::of("run.json", "application/json", &json);
    let tables = TABLES.iter().map(|(file_name, write_csv)| {
        let mut csv = Vec::new();
        write_csv(record, &mut csv).expect("writing plain rows into memory cannot fail");
        Download::of(file_name, "text/csv", &csv)
    });
    std::iter::once(record_json).chain(tables).collect()
}

impl Download {
    fn of(file_name: &'static str, media_type: &str, content: &[u8]) -> Self {
        Self {
            file_name,
            size: Quantity::Bytes.figure(content.len() as f64),
            url: format!("data:{media_type};base64,{}", BASE64.encode(content)),
        }
    }
}
