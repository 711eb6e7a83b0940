//! Two runs compared: what became better or worse, what is noise, and what cannot be told.
//!
//! [`compare`] takes two run records and gives a [`Comparison`]. It is pure: the same records and
//! the same [`CompareOptions`] give the same comparison, to the last digit.

mod cell;
mod compare;
mod matching;
mod metric;
mod outcome;
mod reason;
mod record_cells;
mod stored_noise;
mod words;

#[cfg(test)]
mod tests;

pub use compare::{CompareOptions, REPEATS_MIN, compare};
pub use metric::{Direction, Metric, Unit, UnknownMetric};
pub use outcome::{
    COMPARISON_FORMAT_VERSION, Change, ComparedCell, ComparedMetric, ComparedRun, Comparison,
    Difference, Fact, LeftOut, Method, NoiseSource, Regression, Repeats, Tally, percent_of_ratio,
};
pub use reason::{FactDifference, Incomparable, Side, show_p};
pub use record_cells::machine_differences;
pub use words::NOTHING;
