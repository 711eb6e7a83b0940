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
    Arguments, EXIT_NOTHING_COMPARED, EXIT_REGRESSION, Format, carry_out, exit_code, write,
};
pub use error::CompareError;

use measure::comparison::{CompareOptions, Comparison, compare};
use measure::{MeasureError, ResultsDir, RunRecord};
use std::path::Path;

/// The file of a comparison in the directory that `harness compare --out` fills.
pub const COMPARISON_JSON: &str = "comparison.json";

/// Changes for the worse by less than so many percent fail no command, unless told otherwise.
pub const THRESHOLD_PERCENT: f64 = 1.0;

/// The results of an earlier run, which a new one is compared with. They are read before the new one
/// begins, so that a mistake is seen at once.
#[derive(Clone, Debug)]
pub struct Baseline(RunRecord);

impl Baseline {
    /// Reads what an earlier run left in a results directory.
    ///
    /// # Errors
    /// Any [`MeasureError`] of reading them.
    pub fn read(results: &Path) -> Result<Self, MeasureError> {
        Ok(Self(ResultsDir::open(results)?.read_record()?))
    }

    /// Compares a run with it.
    #[must_use]
    pub fn compare(&self, record: &RunRecord) -> Comparison {
        compare(&self.0, record, &CompareOptions::default())
    }
}
