//! What each picture shows: from the run record to charts.

mod acknowledged;
mod backlogs;
mod bars;
mod comparison;
mod latency;
mod resources;
mod restarts;
mod spectrum;
mod streams;
mod throughput;

use measure::{BrokerRun, HistogramSet, OperationName, OperationResult, RunRecord};

pub(crate) use comparison::figure as comparison_figure;

use bars::{bar_columns, in_words, listed_words, longest_of_processes};

use crate::figure::Figure;
use crate::palette::{SeriesStyle, series_styles};
use crate::series::distinct;

/// A run with the look of each broker.
pub(crate) struct Subjects<'a> {
    record: &'a RunRecord,
    histograms: &'a HistogramSet,
    styles: Vec<SeriesStyle>,
}

impl<'a> Subjects<'a> {
    pub(crate) fn new(record: &'a RunRecord, histograms: &'a HistogramSet) -> Self {
        Self { record, histograms, styles: series_styles(record) }
    }

    fn brokers(&self) -> impl Iterator<Item = (&'a BrokerRun, &SeriesStyle)> {
        self.record.brokers.iter().zip(&self.styles)
    }

    /// The looks of those brokers that `shown` picks, for a legend.
    fn legend(&self, shown: impl Fn(&BrokerRun) -> bool) -> Vec<SeriesStyle> {
        self.brokers().filter(|(broker, _)| shown(broker)).map(|(_, style)| style.clone()).collect()
    }

    /// Every operation that any broker was measured at, in order of appearance.
    fn operations(&self) -> Vec<OperationName> {
        distinct(self.operation_results().map(|result| result.operation.clone()))
    }

    fn operation_results(&self) -> impl Iterator<Item = &'a OperationResult> {
        self.record.brokers.iter().flat_map(|broker| &broker.operations)
    }

    /// The numbers of clients at which any broker did this operation.
    fn client_counts(&self, operation: &OperationName) -> Vec<u32> {
        let mut counts: Vec<u32> = self
            .operation_results()
            .filter(|result| result.operation == *operation)
            .map(|result| result.clients)
            .collect();
        counts.sort_unstable();
        counts.dedup();
        counts
    }
}

/// Makes one figure of a run.
pub(crate) type FigureOf = fn(&Subjects<'_>) -> Figure;

/// Every picture of a run, in the order of the report.
pub(crate) const FIGURES: [FigureOf; 9] = [
    streams::figure,
    throughput::figure,
    latency::figure,
    acknowledged::figure,
    backlogs::figure,
    restarts::figure,
    spectrum::operations_figure,
    spectrum::streams_figure,
    resources::figure,
];

/// Names in a sentence: "a, b and c".
fn listed(names: impl IntoIterator<Item = String>) -> String {
    let names: Vec<String> = names.into_iter().collect();
    match names.split_last() {
        None => "nothing".to_owned(),
        Some((only, [])) => only.clone(),
        Some((last, others)) => format!("{} and {last}", others.join(", ")),
    }
}

/// The names of a legend's series in a sentence.
fn listed_series(legend: &[SeriesStyle]) -> String {
    listed(legend.iter().map(|series| series.name.clone()))
}

/// Three charts fit beside each other, but a few look better with more room.
fn columns_for(charts: usize) -> usize {
    match charts {
        0..=2 | 4 => 2,
        _ => 3,
    }
}
