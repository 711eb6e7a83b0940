//! Latency percentiles of operations against the number of clients.

use measure::{LatencySummary, OperationName};

use super::{Better, Subjects, listed, listed_series};
use crate::axis::Axis;
use crate::figure::{Chart, Figure};
use crate::line_chart::{Foot, Line, LineChart};
use crate::palette::SeriesStyle;
use crate::quantity::Quantity;
use crate::series::operation_in;

const PLOT_HEIGHT_PX: f64 = 140.0;

type PercentileOf = fn(&LatencySummary) -> Option<u64>;

const PERCENTILES: [(&str, PercentileOf); 3] = [
    ("p50", |latency| latency.p50_ns),
    ("p99", |latency| latency.p99_ns),
    ("p99.9", |latency| latency.p99_9_ns),
];

pub(super) fn figure(subjects: &Subjects<'_>) -> Figure {
    let operations = subjects.operations();
    let legend = subjects.legend(|broker| !broker.operations.is_empty());
    Figure {
        name: "latency",
        title: "Latency of acknowledged operations".to_owned(),
        subtitle: "From request to answer, on a logarithmic scale; a point needs ten samples \
                   beyond it. Invalid and unsustainable results are left out. Lower is better."
            .to_owned(),
        description: format!(
            "Lines of median, 99th and 99.9th percentile latency against the number of clients, \
             for {}, of {}.",
            listed(operations.iter().map(ToString::to_string)),
            listed_series(&legend)
        ),
        finding: fastest_operation(subjects),
        legend,
        columns: PERCENTILES.len(),
        charts: operations
            .iter()
            .flat_map(|operation| charts(subjects, operation))
            .map(|chart| Chart::lines(PLOT_HEIGHT_PX, chart))
            .collect(),
        without_charts: "This run measured no operations.",
    }
}

/// Whose median is the shortest at the most clients, for the first operation.
fn fastest_operation(subjects: &Subjects<'_>) -> String {
    let Some(operation) = subjects.operations().into_iter().next() else { return String::new() };
    let Some(clients) = subjects.client_counts(&operation).last().copied() else {
        return String::new();
    };
    subjects.leading(
        &format!("{operation} at {clients} clients, p99"),
        Better::Shorter,
        |broker| {
            let result = operation_in(broker, &operation, clients)?;
            Some((result.latency.p99_ns? as f64, result.verdict.standing))
        },
        |latency_ns| Quantity::LatencyNs.figure(latency_ns),
    )
}

/// One chart for each percentile, all on one vertical scale.
fn charts(subjects: &Subjects<'_>, operation: &OperationName) -> Vec<LineChart> {
    let lines: Vec<Vec<Line>> = PERCENTILES
        .iter()
        .map(|(_, percentile)| {
            subjects
                .brokers()
                .map(|(broker, style)| {
                    let results = broker.operations.iter().filter(|result| {
                        result.operation == *operation && result.verdict.standing.may_be_ranked()
                    });
                    let points = results.filter_map(|result| {
                        let latency_ns = percentile(&result.latency)?;
                        Some((f64::from(result.clients), latency_ns as f64))
                    });
                    line(points.collect(), style)
                })
                .collect()
        })
        .collect();
    let latencies = lines.iter().flatten().flat_map(|line| &line.points);
    let up = Axis::logarithmic(latencies.map(|(_, ns)| *ns), Quantity::LatencyNs);
    let across = Axis::counts(&subjects.client_counts(operation));
    PERCENTILES
        .iter()
        .zip(lines)
        .map(|((percentile, _), lines)| LineChart {
            title: format!("{operation} · {percentile}"),
            across: across.clone(),
            across_name: "clients",
            up: up.clone(),
            up_name: "latency".to_owned(),
            bands: vec![],
            areas: vec![],
            cells: vec![],
            uprights: vec![],
            foot: Foot::Labelled,
            lines,
            without_lines: "too few samples",
        })
        .collect()
}

fn line(mut points: Vec<(f64, f64)>, style: &SeriesStyle) -> Line {
    // A logarithmic axis has no place for zero.
    points.retain(|(_, latency_ns)| *latency_ns > 0.0);
    points.sort_by(|a, b| a.0.total_cmp(&b.0));
    Line { marked: points.clone(), points, series: style.clone() }
}
