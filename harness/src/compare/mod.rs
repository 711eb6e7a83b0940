//! Comparing a run with an earlier one: `harness compare A B`, and a run with its baseline.
//!
//! The comparison itself is [`measure::comparison`]; here it is read from disk, shown as a
//! [table](Format::Table), JSON, Markdown or JUnit, and turned into an exit code.

mod command;
mod error;
mod junit;
mod markdown;
mod table;

#[cfg(test)]
mod tests;

pub use command::{
    Arguments, EXIT_NOTHING_COMPARED, EXIT_REGRESSION, Format, carry_out, exit_code,
};
pub use error::CompareError;

use measure::comparison::{CompareOptions, Comparison, compare};
use measure::{MeasureError, ResultsDir, RunRecord};
use std::path::Path;

/// The file of a comparison in the directory that `harness compare --out` fills.
pub const COMPARISON_JSON: &str = "comparison.json";

/// Changes for the worse by less than so many percent fail no command, unless told otherwise.
pub const THRESHOLD_PERCENT: f64 = 1.0;

/// Compares what was just measured with the results that an earlier run left in `baseline`.
///
/// # Errors
/// Any [`MeasureError`] of reading them.
pub fn against_baseline(record: &RunRecord, baseline: &Path) -> Result<Comparison, MeasureError> {
    let baseline = ResultsDir::open(baseline)?.read_record()?;
    Ok(compare(&baseline, record, &CompareOptions::default()))
}
