//! The record's tables, flat, in CSV: for spreadsheets and data frames.

mod durable;
mod events;
mod progress;
mod results;

use std::io::Write;

use crate::{BrokerRun, MeasureError, RunRecord};

/// One table of a run.
#[derive(Debug, Clone, Copy)]
pub struct Table {
    /// The file's name, e.g. `streams.csv`.
    pub file_name: &'static str,
    /// What a row is, for people.
    pub row: &'static str,
    write: fn(&RunRecord, &mut Vec<u8>) -> Result<(), MeasureError>,
}

/// Every table of a run.
///
/// Each has a header, also above no rows, so that an empty table still says what it would hold. A
/// field is empty where nothing was measured.
pub const TABLES: [Table; 16] = [
    results::STREAMS,
    results::OPERATIONS,
    results::LATENCIES,
    durable::BACKLOGS,
    durable::RESTARTS,
    events::OUTAGES,
    events::STORMS,
    events::IDLES,
    events::KNEES,
    events::OBJECTIVES,
    events::CEILINGS,
    progress::ROUNDS,
    progress::TIMELINE,
    progress::RESOURCES,
    progress::GENERATOR,
    progress::PAIR_FAULTS,
];

impl Table {
    /// The table of a run, as CSV with a header.
    ///
    /// # Errors
    /// [`MeasureError::Encode`] if the writer fails.
    pub fn csv(&self, record: &RunRecord) -> Result<Vec<u8>, MeasureError> {
        let mut csv = Vec::new();
        (self.write)(record, &mut csv)?;
        Ok(csv)
    }
}

/// A broker and something that was measured of it.
struct Of<'a, T> {
    broker: &'a BrokerRun,
    result: &'a T,
}

impl<'a, T> Of<'a, T> {
    fn each(
        record: &'a RunRecord,
        results: fn(&'a BrokerRun) -> &'a [T],
    ) -> impl Iterator<Item = Of<'a, T>> {
        record
            .brokers
            .iter()
            .flat_map(move |broker| results(broker).iter().map(move |result| Of { broker, result }))
    }

    /// The subject's columns; see [`SUBJECT_COLUMNS`].
    fn subject(&self) -> [String; 4] {
        [
            self.broker.name.clone(),
            kind_name(self.broker).to_owned(),
            self.broker.driver.clone(),
            self.broker.guarantee.name().to_owned(),
        ]
    }
}

/// The columns that say whose a row is.
const SUBJECT_COLUMNS: [&str; 4] = ["broker", "kind", "driver", "guarantee"];

fn kind_name(broker: &BrokerRun) -> &'static str {
    match broker.kind {
        crate::BrokerKind::Broker => "broker",
        crate::BrokerKind::Ceiling => "ceiling",
    }
}

/// A column: its name, and what stands in it.
type Column<R> = (&'static str, fn(&R) -> String);

/// Writes the subject's columns and `columns` for each of `rows`.
fn write_results<'a, T>(
    table: &str,
    columns: &[Column<T>],
    rows: impl Iterator<Item = Of<'a, T>>,
    out: impl Write,
) -> Result<(), MeasureError>
where
    T: 'a,
{
    let names = SUBJECT_COLUMNS.into_iter().chain(columns.iter().map(|(name, _)| *name));
    let rows = rows.map(|row| {
        let fields = columns.iter().map(|(_, field)| field(row.result));
        row.subject().into_iter().chain(fields).collect()
    });
    write_rows(table, names, rows, out)
}

/// Writes the header even above no rows.
fn write_rows<'a>(
    table: &str,
    names: impl Iterator<Item = &'a str>,
    rows: impl Iterator<Item = Vec<String>>,
    out: impl Write,
) -> Result<(), MeasureError> {
    let failed = |error: &dyn ToString| MeasureError::encode(table, &error.to_string());
    let mut writer = csv::Writer::from_writer(out);
    writer.write_record(names).map_err(|error| failed(&error))?;
    for row in rows {
        writer.write_record(row).map_err(|error| failed(&error))?;
    }
    writer.flush().map_err(|error| failed(&error))
}

#[expect(clippy::needless_pass_by_value, reason = "most values are numbers")]
fn text(value: impl ToString) -> String {
    value.to_string()
}

fn maybe<T: ToString>(value: Option<T>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}
