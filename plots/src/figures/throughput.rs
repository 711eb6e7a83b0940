//! Operations per second against the number of clients.

use measure::{BrokerRun, OperationName, Standing};

use super::{Better, Subjects, columns_for, listed, listed_series};
use crate::axis::Axis;
use crate::figure::{Chart, Figure};
use crate::line_chart::{Foot, Line, LineChart};
use crate::palette::{INK, Marker, SeriesStyle, Stroke};
use crate::quantity::Quantity;
use crate::series::operation_in;

const PLOT_HEIGHT_PX: f64 = 175.0;

/// A line that is everywhere this many times above all others would press them to the ground.
const OFF_SCALE_RATIO: f64 = 3.0;

pub(super) fn figure(subjects: &Subjects<'_>) -> Figure {
    let operations = subjects.operations();
    let shown = subjects.legend(|broker| !broker.operations.is_empty());
    let mut legend = shown.clone();
    if subjects.operation_results().any(|result| !result.verdict.standing.may_be_ranked()) {
        let unranked = "invalid or unsustainable";
        legend.push(SeriesStyle::explaining(unranked, INK, Marker::Cross, Stroke::Solid));
    }
    Figure {
        name: "throughput",
        title: "Throughput of acknowledged operations".to_owned(),
        subtitle: "Successful requests per second; each client waits for every answer. \
                   Higher is better. What is far above all others is told, not drawn."
            .to_owned(),
        description: format!(
            "Lines of requests per second against the number of clients, for {}, of {}.",
            listed(operations.iter().map(ToString::to_string)),
            listed_series(&shown)
        ),
        finding: highest_throughput(subjects),
        legend,
        columns: columns_for(operations.len()),
        charts: operations
            .iter()
            .map(|operation| Chart::lines(PLOT_HEIGHT_PX, chart(subjects, operation)))
            .collect(),
        without_charts: "This run measured no operations.",
    }
}

/// Whose throughput is the highest at the most clients, for the first operation.
fn highest_throughput(subjects: &Subjects<'_>) -> String {
    let Some(operation) = subjects.operations().into_iter().next() else { return String::new() };
    let Some(clients) = subjects.client_counts(&operation).last().copied() else {
        return String::new();
    };
    subjects.leading(
        &format!("{operation} at {clients} clients"),
        Better::Longer,
        |broker| {
            let result = operation_in(broker, &operation, clients)?;
            Some((result.throughput_per_s, result.verdict.standing))
        },
        |per_s| format!("{}/s", Quantity::Rate.figure(per_s)),
    )
}

fn chart(subjects: &Subjects<'_>, operation: &OperationName) -> LineChart {
    let mut lines: Vec<Line> = subjects
        .brokers()
        .map(|(broker, style)| {
            let points = points(broker, operation, Standing::may_be_ranked);
            Line { marked: points.clone(), points, series: style.clone() }
        })
        .collect();
    let left_out = leave_out_highest(&mut lines);
    lines.extend(subjects.brokers().map(|(broker, style)| Line {
        points: vec![],
        marked: points(broker, operation, |standing| !standing.may_be_ranked()),
        series: SeriesStyle { marker: Marker::Cross, ..style.clone() },
    }));
    let fastest = lines.iter().map(highest).fold(0.0, f64::max);
    LineChart {
        title: operation.to_string(),
        across: Axis::counts(&subjects.client_counts(operation)),
        across_name: "clients",
        up: Axis::from_zero(fastest, Quantity::Rate),
        up_name: match left_out {
            Some(words) => format!("requests per second ({words})"),
            None => "requests per second".to_owned(),
        },
        bands: vec![],
        areas: vec![],
        cells: vec![],
        uprights: vec![],
        foot: Foot::Labelled,
        lines,
        without_lines: "no finished requests",
    }
}

/// Clients and requests per second of those results whose standing is wanted.
fn points(
    broker: &BrokerRun,
    operation: &OperationName,
    is_wanted: impl Fn(Standing) -> bool,
) -> Vec<(f64, f64)> {
    let results = broker.operations.iter().filter(|result| {
        result.operation == *operation
            && result.throughput_per_s.is_finite()
            && is_wanted(result.verdict.standing)
    });
    let points = results.map(|result| (f64::from(result.clients), result.throughput_per_s));
    let mut points: Vec<_> = points.collect();
    points.sort_by(|a, b| a.0.total_cmp(&b.0));
    points
}

fn highest(line: &Line) -> f64 {
    line.points.iter().chain(&line.marked).map(|(_, per_s)| *per_s).fold(0.0, f64::max)
}

/// Leaves the highest line out where it is far above all others, as the load generator alone is
/// above any broker, and says where it is.
fn leave_out_highest(lines: &mut Vec<Line>) -> Option<String> {
    let top =
        (0..lines.len()).max_by(|a, b| highest(&lines[*a]).total_cmp(&highest(&lines[*b])))?;
    let lowest = lines[top].points.iter().map(|(_, per_s)| *per_s).fold(f64::INFINITY, f64::min);
    let others = lines.iter().enumerate().filter(|(index, _)| *index != top);
    let next = others.map(|(_, line)| highest(line)).fold(0.0, f64::max);
    if next <= 0.0 || lowest < next * OFF_SCALE_RATIO {
        return None;
    }
    let line = lines.remove(top);
    let [from, to] = [lowest, highest(&line)].map(|per_s| Quantity::Rate.figure(per_s));
    Some(format!("{}: {from} to {to}", line.series.name))
}
