//! Latency against the percentile, with equal room for every nine.

use measure::{HistogramTag, LatencyHistogram, OperationName, SAMPLES_BEYOND_MIN};

use super::{Subjects, listed, listed_series};
use crate::axis::Axis;
use crate::figure::{Chart, Figure};
use crate::line_chart::{Line, LineChart};
use crate::palette::SeriesStyle;
use crate::quantity::Quantity;
use crate::series::{StreamKey, operation_in, stream_keys};

const PLOT_HEIGHT_PX: f64 = 190.0;

/// Spectra go no deeper than this, however many samples there are.
const QUANTILE_MAX: f64 = 0.999_999;

/// Two columns leave room for the labels of many nines.
const COLUMNS: usize = 2;

/// Where a spectrum's line gets markers, so that lines can be told apart without colour.
const MARKED_QUANTILES: [f64; 7] = [0.5, 0.9, 0.99, 0.999, 0.9999, 0.999_99, 0.999_999];

pub(super) fn operations_figure(subjects: &Subjects<'_>) -> Figure {
    let operations = subjects.operations();
    let legend = subjects.legend(|broker| !broker.operations.is_empty());
    Figure {
        name: "operation-spectra",
        title: "Latency spectra of operations, at the most clients".to_owned(),
        subtitle: "Latency against percentile; a line ends where fewer than ten samples lie \
                   beyond. Lower and flatter is better."
            .to_owned(),
        description: format!(
            "Lines of latency against percentile at the largest number of clients, for {}, of {}.",
            listed(operations.iter().map(ToString::to_string)),
            listed_series(&legend)
        ),
        legend,
        columns: COLUMNS,
        charts: operations
            .iter()
            .map(|operation| Chart::lines(PLOT_HEIGHT_PX, operation_chart(subjects, operation)))
            .collect(),
        without_charts: "This run measured no operations.",
    }
}

pub(super) fn streams_figure(subjects: &Subjects<'_>) -> Figure {
    let streams = stream_keys(&subjects.record.brokers);
    let legend = subjects.legend(|broker| !broker.streams.is_empty());
    Figure {
        name: "stream-spectra",
        title: "Latency spectra of streams".to_owned(),
        subtitle: "From publisher to subscriber, against percentile. At full load this is \
                   mostly time spent in queues."
            .to_owned(),
        description: format!(
            "Lines of end-to-end latency against percentile for {} streams, of {}.",
            streams.len(),
            listed_series(&legend)
        ),
        legend,
        columns: COLUMNS,
        charts: streams
            .iter()
            .map(|stream| Chart::lines(PLOT_HEIGHT_PX, stream_chart(subjects, stream)))
            .collect(),
        without_charts: "This run measured no streams.",
    }
}

fn operation_chart(subjects: &Subjects<'_>, operation: &OperationName) -> LineChart {
    let counts = subjects.client_counts(operation);
    let clients = counts.last().copied().unwrap_or_default();
    let noun = if clients == 1 { "client" } else { "clients" };
    let title = format!("{operation} · {clients} {noun}");
    chart(title, subjects, |broker| {
        operation_in(broker, operation, clients).map(|result| &result.histogram)
    })
}

fn stream_chart(subjects: &Subjects<'_>, stream: &StreamKey) -> LineChart {
    let title = format!("{stream} · {}", stream.load_label());
    chart(title, subjects, |broker| {
        let delivery = stream.result_in(broker)?.latencies.delivery()?;
        Some(&delivery.histogram)
    })
}

fn chart(
    title: String,
    subjects: &Subjects<'_>,
    tag_of: impl Fn(&measure::BrokerRun) -> Option<&HistogramTag>,
) -> LineChart {
    let lines: Vec<Line> = subjects
        .brokers()
        .filter_map(|(broker, style)| {
            let histogram = subjects.histograms.histogram(tag_of(broker)?)?;
            Some(line(histogram, style))
        })
        .collect();
    let points = || lines.iter().flat_map(|line| &line.points);
    let quantile_max = points().map(|point| point.0).fold(0.0, f64::max);
    let up = Axis::logarithmic(points().map(|point| point.1), Quantity::LatencyNs);
    LineChart {
        title,
        across: Axis::nines(quantile_max),
        across_name: "percentile",
        up,
        up_name: "latency".to_owned(),
        bands: vec![],
        areas: vec![],
        without_lines: "no histogram, or too few samples",
        lines,
    }
}

/// The spectrum as far as the samples support it.
fn line(histogram: &LatencyHistogram, style: &SeriesStyle) -> Line {
    let count = histogram.count().max(1) as f64;
    let quantile_max = (1.0 - SAMPLES_BEYOND_MIN as f64 / count).min(QUANTILE_MAX);
    let at = |quantile: f64| Some((quantile, histogram.quantile_ns(quantile)? as f64));
    let supported = |(quantile, latency_ns): &(f64, f64)| {
        // A logarithmic axis has no place for zero.
        *quantile <= quantile_max && *latency_ns > 0.0
    };
    let marked: Vec<_> = MARKED_QUANTILES.into_iter().filter_map(at).filter(supported).collect();
    let spectrum = histogram.spectrum();
    let mut points: Vec<_> = spectrum
        .iter()
        .map(|point| (point.quantile, point.latency_ns as f64))
        .chain(at(quantile_max.max(0.0)))
        .filter(supported)
        // Markers lie on the line only if it passes through them.
        .chain(marked.iter().copied())
        .collect();
    points.sort_by(|a, b| a.0.total_cmp(&b.0));
    Line { points, marked, series: style.clone() }
}
