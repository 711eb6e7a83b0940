//! Latency against the percentile, with equal room for every nine.

use measure::{
    BrokerRun, HistogramTag, LatencyHistogram, OperationName, SAMPLES_BEYOND_MIN, Standing,
    StormResult,
};

use super::{Better, Subjects, listed, listed_series, standings_in_words};
use crate::axis::Axis;
use crate::figure::{Chart, Figure};
use crate::line_chart::{Foot, Line, LineChart};
use crate::palette::{INK, Marker, SeriesStyle, Stroke};
use crate::quantity::{Quantity, grouped};
use crate::series::{StreamKey, distinct, operation_in, stream_keys};

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
        finding: operation_finding(subjects, operations.first()),
        legend,
        columns: COLUMNS,
        charts: operations
            .iter()
            .map(|operation| Chart::lines(PLOT_HEIGHT_PX, operation_chart(subjects, operation)))
            .collect(),
        without_charts: "This run measured no operations.",
    }
}

/// Whose tail is the shortest at the most clients.
fn operation_finding(subjects: &Subjects<'_>, operation: Option<&OperationName>) -> String {
    let Some(operation) = operation else { return String::new() };
    let clients = subjects.client_counts(operation).last().copied().unwrap_or_default();
    subjects.leading(
        &format!("{operation} at {clients} clients, p99.9"),
        Better::Shorter,
        |broker| {
            let result = operation_in(broker, operation, clients)?;
            Some((result.latency.p99_9_ns? as f64, result.verdict.standing))
        },
        |latency_ns| Quantity::LatencyNs.figure(latency_ns),
    )
}

pub(super) fn streams_figure(subjects: &Subjects<'_>) -> Figure {
    let streams = stream_keys(&subjects.record.brokers);
    let mut legend = subjects.legend(|broker| !broker.streams.is_empty());
    let description = format!(
        "Lines of latency against percentile for {} streams, of {}; where messages are due at a \
         rate, response time (from when a message was due) and, dotted, service time (from when it \
         was sent).",
        streams.len(),
        listed_series(&legend)
    );
    if streams.iter().any(StreamKey::is_paced) {
        let response = "marked line: response, from when due";
        legend.push(SeriesStyle::explaining(response, INK, Marker::Circle, Stroke::Solid));
        let service = "dotted: service, from when sent";
        legend.push(SeriesStyle::explaining(service, INK, Marker::None, Stroke::Dotted));
    }
    Figure {
        name: "stream-spectra",
        title: "Latency spectra of streams".to_owned(),
        subtitle: "From publisher to subscriber, against percentile. At full load this is \
                   mostly time spent in queues."
            .to_owned(),
        description,
        finding: finding(subjects, &streams),
        legend,
        columns: COLUMNS,
        charts: streams
            .iter()
            .map(|stream| Chart::lines(PLOT_HEIGHT_PX, stream_chart(subjects, stream)))
            .collect(),
        without_charts: "This run measured no streams.",
    }
}

pub(super) fn storms_figure(subjects: &Subjects<'_>) -> Figure {
    let storms = subjects.record.brokers.iter().flat_map(|broker| &broker.storms);
    let keys: Vec<StormKey> = distinct(storms.map(|it| (it.connections, it.offered_per_s)));
    let legend = subjects.legend(|broker| !broker.storms.is_empty());
    let fastest = keys.first().map(|key| {
        let what = format!("{}, p99", storm_title(*key));
        subjects.leading(
            &what,
            Better::Shorter,
            |broker| {
                let storm = storm_in(broker, *key)?;
                Some((storm.handshake.summary.p99_ns? as f64, storm.verdict.standing))
            },
            |latency_ns| Quantity::LatencyNs.figure(latency_ns),
        )
    });
    Figure {
        name: "handshakes",
        title: "Handshakes in storms of connections".to_owned(),
        subtitle: "From opening a connection to the broker's greeting, against percentile. Lower \
                   and flatter is better."
            .to_owned(),
        description: format!(
            "Lines of handshake latency against percentile for {} storms, of {}.",
            keys.len(),
            listed_series(&legend)
        ),
        finding: fastest.unwrap_or_default(),
        legend,
        columns: COLUMNS,
        charts: keys
            .iter()
            .map(|key| Chart::lines(PLOT_HEIGHT_PX, storm_chart(subjects, *key)))
            .collect(),
        without_charts: "This run made no storms of connections.",
    }
}

/// How many connections, and at which rate.
type StormKey = (u32, Option<f64>);

fn storm_in(broker: &BrokerRun, key: StormKey) -> Option<&StormResult> {
    broker.storms.iter().find(|storm| (storm.connections, storm.offered_per_s) == key)
}

fn storm_title((connections, offered_per_s): StormKey) -> String {
    let connections = grouped(u64::from(connections));
    match offered_per_s {
        Some(rate) => format!("{connections} connections · {}/s", Quantity::Rate.tick(rate)),
        None => format!("{connections} connections · at once"),
    }
}

fn storm_chart(subjects: &Subjects<'_>, key: StormKey) -> LineChart {
    let mut refused = Vec::new();
    for (broker, style) in subjects.brokers() {
        if let Some(storm) = storm_in(broker, key).filter(|storm| storm.refused > 0) {
            refused.push(format!("{}: {} refused", style.name, grouped(u64::from(storm.refused))));
        }
    }
    chart(storm_title(key), &refused, subjects, |broker| {
        let storm = storm_in(broker, key)?;
        Some(Spectra::one(&storm.handshake.histogram, storm.verdict.standing))
    })
}

/// Whose tail is the shortest at the first rate.
fn finding(subjects: &Subjects<'_>, streams: &[StreamKey]) -> String {
    let paced = streams.iter().find(|stream| stream.is_paced());
    let Some(stream) = paced.or(streams.first()) else { return String::new() };
    let what = format!("{stream} · {}, p99", stream.load_label());
    subjects.leading(
        &what,
        Better::Shorter,
        |broker| {
            let result = stream.result_in(broker)?;
            let latency_ns = result.headline()?.summary.p99_ns?;
            Some((latency_ns as f64, result.verdict.standing))
        },
        |latency_ns| Quantity::LatencyNs.figure(latency_ns),
    )
}

fn operation_chart(subjects: &Subjects<'_>, operation: &OperationName) -> LineChart {
    let counts = subjects.client_counts(operation);
    let clients = counts.last().copied().unwrap_or_default();
    let noun = if clients == 1 { "client" } else { "clients" };
    let title = format!("{operation} · {clients} {noun}");
    chart(title, &[], subjects, |broker| {
        let result = operation_in(broker, operation, clients)?;
        Some(Spectra::one(&result.histogram, result.verdict.standing))
    })
}

fn stream_chart(subjects: &Subjects<'_>, stream: &StreamKey) -> LineChart {
    let title = format!("{stream} · {}", stream.load_label());
    chart(title, &[], subjects, |broker| {
        let result = stream.result_in(broker)?;
        let standing = result.verdict.standing;
        let spectra = Spectra::one(&result.headline()?.histogram, standing);
        let service = result.latencies.service.as_ref().map(|latency| &latency.histogram);
        let beside = service.filter(|_| result.latencies.response.is_some());
        Some(Spectra { beside, ..spectra })
    })
}

/// What is drawn of one broker.
struct Spectra<'a> {
    main: &'a HistogramTag,
    /// Drawn dotted.
    beside: Option<&'a HistogramTag>,
    standing: Standing,
}

impl<'a> Spectra<'a> {
    fn one(main: &'a HistogramTag, standing: Standing) -> Self {
        Self { main, beside: None, standing }
    }
}

fn chart<'a>(
    title: String,
    remarks: &[String],
    subjects: &Subjects<'a>,
    spectra_of: impl Fn(&'a BrokerRun) -> Option<Spectra<'a>>,
) -> LineChart {
    let (mut lines, mut standings) = (Vec::new(), Vec::new());
    for (broker, style) in subjects.brokers() {
        let Some(spectra) = spectra_of(broker) else { continue };
        standings.push((broker, spectra.standing));
        // Crosses, as everywhere where something does not count.
        let marker = if spectra.standing.may_be_ranked() { style.marker } else { Marker::Cross };
        let main = SeriesStyle { marker, ..style.clone() };
        lines.extend(subjects.histograms.histogram(spectra.main).map(|it| line(it, &main)));
        let beside = spectra.beside.and_then(|tag| subjects.histograms.histogram(tag));
        let dotted = SeriesStyle { marker: Marker::None, stroke: Stroke::Dotted, ..style.clone() };
        lines.extend(beside.map(|histogram| line(histogram, &dotted)));
    }
    let points = || lines.iter().flat_map(|line: &Line| &line.points);
    let quantile_max = points().map(|point| point.0).fold(0.0, f64::max);
    let up = Axis::logarithmic(points().map(|point| point.1), Quantity::LatencyNs);
    let remarks: Vec<String> =
        remarks.iter().cloned().chain(standings_in_words(&standings)).collect();
    let up_name = match remarks.is_empty() {
        true => "latency".to_owned(),
        false => format!("latency ({})", remarks.join("; ")),
    };
    LineChart {
        title,
        across: Axis::nines(quantile_max),
        across_name: "percentile",
        up,
        up_name,
        bands: vec![],
        areas: vec![],
        cells: vec![],
        uprights: vec![],
        foot: Foot::Labelled,
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
