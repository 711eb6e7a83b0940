//! Operations per second against the number of clients.

use measure::OperationName;

use super::{Subjects, columns_for, listed, listed_series};
use crate::axis::Axis;
use crate::figure::{Chart, Figure};
use crate::line_chart::{Line, LineChart};
use crate::quantity::Quantity;

const PLOT_HEIGHT_PX: f64 = 175.0;

pub(super) fn figure(subjects: &Subjects<'_>) -> Figure {
    let operations = subjects.operations();
    let legend = subjects.legend(|broker| !broker.operations.is_empty());
    Figure {
        name: "throughput",
        title: "Throughput of acknowledged operations".to_owned(),
        subtitle: "Successful requests per second; each client waits for every answer. \
                   Higher is better."
            .to_owned(),
        description: format!(
            "Lines of requests per second against the number of clients, for {}, of {}.",
            listed(operations.iter().map(ToString::to_string)),
            listed_series(&legend)
        ),
        legend,
        columns: columns_for(operations.len()),
        charts: operations
            .iter()
            .map(|operation| Chart::lines(PLOT_HEIGHT_PX, chart(subjects, operation)))
            .collect(),
        without_charts: "This run measured no operations.",
    }
}

fn chart(subjects: &Subjects<'_>, operation: &OperationName) -> LineChart {
    let lines: Vec<Line> = subjects
        .brokers()
        .map(|(broker, style)| {
            let mut points: Vec<_> = broker
                .operations
                .iter()
                .filter(|result| result.operation == *operation)
                .filter(|result| result.throughput_per_s.is_finite())
                .map(|result| (f64::from(result.clients), result.throughput_per_s))
                .collect();
            points.sort_by(|a, b| a.0.total_cmp(&b.0));
            Line { marked: points.clone(), points, series: style.clone() }
        })
        .collect();
    let fastest = lines
        .iter()
        .flat_map(|line| &line.points)
        .map(|(_, throughput_per_s)| *throughput_per_s)
        .fold(0.0, f64::max);
    LineChart {
        title: operation.to_string(),
        across: Axis::counts(&subjects.client_counts(operation)),
        across_name: "clients",
        up: Axis::from_zero(fastest, Quantity::Rate),
        up_name: "requests per second",
        bands: vec![],
        areas: vec![],
        lines,
        without_lines: "no finished requests",
    }
}
