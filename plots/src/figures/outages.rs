//! What subscribers saw while a broker was stopped and started again.

use measure::{BrokerRun, OutageResult, Standing, StopKind};

use super::{Better, Subjects, leaders, listed_series};
use crate::axis::Axis;
use crate::bar_chart::{Bar, BarChart, Names};
use crate::figure::{Chart, Figure};
use crate::line_chart::{Foot, Line, LineChart};
use crate::palette::SeriesStyle;
use crate::quantity::Quantity;
use crate::series::{distinct, faults_in_words};

const PLOT_HEIGHT_PX: f64 = 170.0;

pub(super) fn figure(subjects: &Subjects<'_>) -> Figure {
    let outages = subjects.record.brokers.iter().flat_map(|broker| &broker.outages);
    let stops = distinct(outages.map(|outage| outage.stop));
    let legend = subjects.legend(|broker| !broker.outages.is_empty());
    let bars: Vec<BarChart> = stops.iter().map(|stop| bar_chart(subjects, *stop)).collect();
    let finding = leaders(&bars, Better::Shorter);
    let charts = stops.iter().zip(bars).flat_map(|(stop, bars)| {
        [Chart::lines(PLOT_HEIGHT_PX, line_chart(subjects, *stop)), Chart::Bars(bars)]
    });
    Figure {
        name: "outages",
        title: "Outages under load".to_owned(),
        subtitle: "Deliveries while the broker is told to end (clean) or killed (crash) and \
                   started again, and the time from the signal to the first delivery after it."
            .to_owned(),
        description: format!(
            "Lines of deliveries per second over time and bars of the time to recover, of {}.",
            listed_series(&legend)
        ),
        finding,
        legend,
        columns: 1,
        charts: charts.collect(),
        without_charts: "This run stopped no broker under load.",
    }
}

fn outage_in(broker: &BrokerRun, stop: StopKind) -> Option<&OutageResult> {
    broker.outages.iter().find(|outage| outage.stop == stop)
}

fn line_chart(subjects: &Subjects<'_>, stop: StopKind) -> LineChart {
    let lines: Vec<Line> = subjects
        .brokers()
        .filter_map(|(broker, style)| Some(line(outage_in(broker, stop)?, style)))
        .collect();
    let points = || lines.iter().flat_map(|line| &line.points);
    let end_s = points().map(|point| point.0).fold(0.0, f64::max);
    let most_per_s = points().map(|point| point.1).fold(0.0, f64::max);
    LineChart {
        title: format!("{stop}: deliveries"),
        across: Axis::until(end_s, Quantity::Seconds),
        across_name: "time",
        up: Axis::from_zero(most_per_s, Quantity::Rate),
        up_name: "deliveries per second".to_owned(),
        bands: vec![],
        areas: vec![],
        cells: vec![],
        uprights: vec![],
        foot: Foot::Labelled,
        lines,
        without_lines: "no progress was recorded",
    }
}

/// Markers every so often, so that lines can be told apart without colour.
const MARKED_EVERY: usize = 10;

fn line(outage: &OutageResult, style: &SeriesStyle) -> Line {
    let points: Vec<(f64, f64)> = outage
        .timeline
        .iter()
        .filter(|point| point.interval_ns > 0)
        .map(|point| {
            let middle_ns = point.t_ns as f64 + point.interval_ns as f64 / 2.0;
            (middle_ns / 1e9, measure::rate_per_s(point.delivered, point.interval_ns))
        })
        .collect();
    let marked = points.iter().step_by(MARKED_EVERY).copied().collect();
    Line { points, marked, series: style.clone() }
}

fn bar_chart(subjects: &Subjects<'_>, stop: StopKind) -> BarChart {
    let bars = subjects.brokers().filter_map(|(broker, style)| {
        let outage = outage_in(broker, stop)?;
        let time = |ns: u64| Quantity::LatencyNs.figure(ns as f64);
        let faults = [outage.corrupted, outage.lost, outage.duplicated, outage.reordered];
        let never = outage.recovered_ns.is_none().then(|| "NEVER RECOVERED".to_owned());
        let words = never.into_iter().chain(faults_in_words(faults, outage.acknowledged));
        let note = words.collect::<Vec<_>>().join(", ");
        Some(Bar {
            series: style.clone(),
            length: outage.recovered_ns.unwrap_or_default() as f64,
            length_label: outage.recovered_ns.map_or_else(|| "–".to_owned(), time),
            ratio_label: time(outage.ready_ns),
            note: (!note.is_empty()).then_some(note),
            standing: Standing::Valid,
        })
    });
    BarChart {
        title: format!("{stop}: recovery"),
        length_name: "from the signal to the first delivery after it",
        ratio_name: "start to ready",
        bars: bars.collect(),
        names: Names::Beside,
    }
}
