//! Deliveries per second at full load, beside the ceiling.

use measure::StreamLoad;

use super::{Subjects, listed};
use crate::bar_chart::{Bar, BarChart};
use crate::figure::{Chart, Figure, column_width_px};
use crate::quantity::Quantity;
use crate::series::{StreamKey, stream_faults, stream_keys};

/// Bars shorter than this cannot be compared by eye.
const BAR_WIDTH_MIN_PX: f64 = 120.0;

/// Bars longer than the longest of a process by this are cut there.
const CUT_RATIO: f64 = 1.25;

pub(super) fn figure(subjects: &Subjects<'_>) -> Figure {
    let mut streams = stream_keys(&subjects.record.brokers);
    // At a fixed rate every broker that keeps up has the same bar.
    streams.retain(|stream| stream.load == StreamLoad::Saturating);
    let charts: Vec<BarChart> = streams.iter().map(|stream| chart(subjects, stream)).collect();
    Figure {
        name: "streams",
        title: "Streams at full load".to_owned(),
        subtitle: "Deliveries per second, and their ratio to a pipe that only copies bytes. \
                   Longer is better; what is (cut) goes on."
            .to_owned(),
        description: format!(
            "Bars of deliveries per second. {}",
            charts.iter().map(in_words).collect::<Vec<_>>().join(" ")
        ),
        legend: vec![],
        columns: if fit_side_by_side(&charts) { 2 } else { 1 },
        charts: charts.into_iter().map(Chart::Bars).collect(),
        without_charts: "This run measured no streams at full load.",
    }
}

/// Long names and long lists of faults need the whole width.
fn fit_side_by_side(charts: &[BarChart]) -> bool {
    let width_px = column_width_px(2);
    charts.iter().all(|chart| chart.bar_width_max(width_px) >= BAR_WIDTH_MIN_PX)
}

fn chart(subjects: &Subjects<'_>, stream: &StreamKey) -> BarChart {
    let longest = longest_of_processes(subjects, stream);
    let bars = subjects.brokers().filter_map(|(broker, style)| {
        let result = stream.result_in(broker)?;
        let per_s = result.delivered_per_s;
        let is_cut = longest > 0.0 && per_s > longest * CUT_RATIO;
        let length = if is_cut { longest * CUT_RATIO } else { per_s };
        let cut = if is_cut { " (cut)" } else { "" };
        Some(Bar {
            series: style.clone(),
            length: if length.is_finite() { length } else { 0.0 },
            length_label: format!("{}/s{cut}", Quantity::Rate.figure(per_s)),
            ratio_label: result
                .ratio_to_ceiling
                .map_or_else(|| "–".to_owned(), |ratio| Quantity::Ratio.figure(ratio)),
            note: stream_faults(result),
        })
    });
    BarChart {
        title: stream.to_string(),
        length_name: "deliveries per second",
        ratio_name: "of ceiling",
        bars: bars.collect(),
    }
}

/// The most deliveries of those who run as a process. What the load generator does alone, with no
/// socket in between, may be many times that, and would leave no room to compare the others.
fn longest_of_processes(subjects: &Subjects<'_>, stream: &StreamKey) -> f64 {
    subjects
        .brokers()
        .filter(|(broker, _)| !broker.command_line.is_empty())
        .filter_map(|(broker, _)| stream.result_in(broker))
        .map(|result| result.delivered_per_s)
        .filter(|per_s| per_s.is_finite())
        .fold(0.0, f64::max)
}

fn in_words(chart: &BarChart) -> String {
    let bars = chart.bars.iter().map(|bar| {
        let Bar { series, length_label, ratio_label, .. } = bar;
        format!("{} {length_label} ({ratio_label})", series.name)
    });
    format!("{}: {}.", chart.title, listed(bars))
}
