//! What each picture shows: from the run record to charts.

mod acknowledged;
mod backlogs;
mod bars;
mod comparison;
mod heat_map;
mod idles;
mod knees;
mod latency;
mod outages;
mod over_time;
mod resources;
mod restarts;
mod spectrum;
mod streams;
mod throughput;

use measure::{BrokerRun, HistogramSet, OperationName, OperationResult, RunRecord, Standing};

pub(crate) use comparison::figure as comparison_figure;

use bars::{Better, in_words, lay_out, leaders, listed_words, longest_of_processes};

use crate::bar_chart::{Bar, BarChart, Names};
use crate::figure::Figure;
use crate::palette::{SeriesStyle, series_styles};
use crate::series::{distinct, standing_label};

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

    /// Who leads, of those that may be ranked with each other: of the guarantee that most of those
    /// have whom `figure_of` gives a finite figure.
    fn leading(
        &self,
        what: &str,
        better: Better,
        figure_of: impl Fn(&BrokerRun) -> Option<(f64, Standing)>,
        written: impl Fn(f64) -> String,
    ) -> String {
        let bars = self.brokers().filter_map(|(broker, style)| {
            let (length, standing) = figure_of(broker).filter(|(length, _)| length.is_finite())?;
            let (length_label, ratio_label) = (written(length), String::new());
            Some(Bar {
                series: style.clone(),
                length,
                length_label,
                ratio_label,
                note: None,
                standing,
            })
        });
        let chart = BarChart {
            title: what.to_owned(),
            length_name: "",
            ratio_name: "",
            bars: bars.collect(),
            names: Names::Beside,
        };
        leaders(&[chart], better)
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
pub(crate) const FIGURES: [FigureOf; 15] = [
    streams::figure,
    knees::figure,
    spectrum::streams_figure,
    heat_map::figure,
    over_time::figure,
    acknowledged::figure,
    throughput::figure,
    latency::figure,
    spectrum::operations_figure,
    backlogs::figure,
    restarts::figure,
    outages::figure,
    spectrum::storms_figure,
    idles::figure,
    resources::figure,
];

/// Whose results may not be believed without more ado, the worst first, e.g.
/// `INVALID: nats-server; SUSPECT: tandem-mio, mosquitto`, or `all SUSPECT`.
fn standings_in_words(standings: &[(&BrokerRun, Standing)]) -> Option<String> {
    let worst_first = [Standing::Invalid, Standing::Unsustainable, Standing::Suspect];
    let groups = worst_first.into_iter().filter_map(|standing| {
        let label = standing_label(standing)?;
        let of_it = standings.iter().filter(|(_, other)| *other == standing);
        let names: Vec<&str> = of_it.map(|(broker, _)| broker.name.as_str()).collect();
        match names.len() {
            0 => None,
            count if count > 1 && count == standings.len() => Some(format!("all {label}")),
            _ => Some(format!("{label}: {}", names.join(", "))),
        }
    });
    let groups: Vec<String> = groups.collect();
    (!groups.is_empty()).then(|| groups.join("; "))
}

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
