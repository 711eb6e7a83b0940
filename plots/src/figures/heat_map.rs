//! Latency over time: how the samples of each moment are spread.

use std::ops::Range;

use measure::{BrokerRun, HistogramTag, TimelineInterval};

use super::{Subjects, listed};
use crate::axis::Axis;
use crate::figure::{Chart, Figure};
use crate::line_chart::{Foot, HeatCell, LineChart};
use crate::palette::{Color, HEAT, Marker, SeriesStyle, Stroke};
use crate::quantity::Quantity;
use crate::series::{StreamKey, standing_label, stream_keys};

const PLOT_HEIGHT_PX: f64 = 150.0;

/// A chart is about 360 pixels wide: narrower columns would not show.
const COLUMNS_MAX: usize = 90;

/// Rows of equal height on the logarithmic axis.
const ROWS: usize = 40;

/// A run of many streams would make a picture of many screens; timeline.hlog has all of them.
const CHARTS_MAX: usize = 12;

/// The least share of a column's samples that each colour of [`HEAT`] stands for.
const SHARES: [(f64, &str); 8] = [
    (0.0, "below 0.1%"),
    (0.001, "0.1%"),
    (0.003, "0.3%"),
    (0.01, "1%"),
    (0.03, "3%"),
    (0.1, "10%"),
    (0.2, "20%"),
    (0.4, "40% and more"),
];

pub(super) fn figure(subjects: &Subjects<'_>) -> Figure {
    let mut streams = stream_keys(&subjects.record.brokers);
    // Latency at full load says how long queues are; it comes last.
    streams.sort_by_key(|stream| !stream.is_paced());
    let found: Vec<_> = streams.iter().flat_map(|stream| series_of(subjects, stream)).collect();
    let left_off = found.len().saturating_sub(CHARTS_MAX);
    let charts: Vec<LineChart> = found.into_iter().take(CHARTS_MAX).map(chart).collect();
    let legend = if charts.is_empty() { vec![] } else { legend() };
    let more = match left_off {
        0 => String::new(),
        more => format!(" {more} more are in timeline.hlog."),
    };
    Figure {
        name: "heat-map",
        title: "Latency over time".to_owned(),
        subtitle: format!(
            "Each column is a moment; the darker on light paper (brighter on dark), the more of \
             its deliveries took so long.{more}"
        ),
        description: format!(
            "Heat maps of latency, on a logarithmic axis, over time, for {}.",
            listed(charts.iter().map(|chart| format!("{}, {}", chart.title, chart.up_name)))
        ),
        finding: finding(&charts),
        legend,
        columns: 2,
        charts: charts.into_iter().map(|chart| Chart::lines(PLOT_HEIGHT_PX, chart)).collect(),
        without_charts: "This run recorded no latency over time.",
    }
}

fn legend() -> Vec<SeriesStyle> {
    SHARES
        .iter()
        .zip(HEAT)
        .map(|((_, name), color)| {
            SeriesStyle::explaining(name, color, Marker::Patch, Stroke::Solid)
        })
        .collect()
}

fn finding(charts: &[LineChart]) -> String {
    let highest = charts.iter().filter_map(|chart| {
        let cell = chart.cells.iter().max_by(|a, b| a.up.end.total_cmp(&b.up.end))?;
        Some((chart, cell))
    });
    let Some((chart, cell)) = highest.max_by(|a, b| a.1.up.end.total_cmp(&b.1.up.end)) else {
        return String::new();
    };
    let latency = Quantity::LatencyNs.figure(cell.up.end);
    let at = Quantity::Seconds.figure(cell.across.start);
    let LineChart { title, up_name, .. } = chart;
    format!("The longest shown is the {up_name} of {title}: up to {latency}, after {at}.")
}

/// What is drawn in one chart.
struct Series<'a> {
    broker: String,
    stream: String,
    intervals: &'a [TimelineInterval],
}

fn series_of<'a>(
    subjects: &'a Subjects<'_>,
    stream: &StreamKey,
) -> impl Iterator<Item = Series<'a>> {
    let tag_of = |broker: &'a BrokerRun| {
        let result = stream.result_in(broker)?;
        let title = match standing_label(result.verdict.standing) {
            Some(standing) => format!("{} · {standing}", broker.name),
            None => broker.name.clone(),
        };
        Some((title, &result.headline()?.histogram))
    };
    let stream = format!("{stream} · {}", stream.load_label());
    let timeline = subjects.histograms.timeline();
    let found: Vec<(String, &HistogramTag)> =
        subjects.record.brokers.iter().filter_map(tag_of).collect();
    let series = found.into_iter().map(move |(broker, tag)| Series {
        broker,
        stream: stream.clone(),
        intervals: timeline.intervals(tag),
    });
    series.filter(|series| series.intervals.iter().any(|interval| interval.count() > 0))
}

fn chart(Series { broker, stream, intervals }: Series<'_>) -> LineChart {
    let columns = columns(intervals);
    let end_s = columns.last().map_or(0.0, |column| column.across.end);
    let latencies = || columns.iter().flat_map(|column| column.counts.iter());
    let bounds = latencies().map(|(latency_ns, _)| (*latency_ns).max(1) as f64);
    let (low, high) = bounds.fold((f64::INFINITY, 0.0), |(low, high): (f64, f64), latency_ns| {
        (low.min(latency_ns), high.max(latency_ns))
    });
    let rows = Rows { from: low.log10(), height: ((high / low).log10() / ROWS as f64).max(1e-3) };
    LineChart {
        title: broker,
        across: Axis::until(end_s, Quantity::Seconds),
        across_name: "measured time",
        up: Axis::logarithmic([low, high], Quantity::LatencyNs),
        up_name: format!("latency at {stream}"),
        bands: vec![],
        areas: vec![],
        cells: columns.iter().flat_map(|column| cells(column, &rows)).collect(),
        uprights: vec![],
        foot: Foot::Labelled,
        lines: vec![],
        without_lines: "no samples",
    }
}

/// The samples of a stretch of measured time.
struct Column {
    across: Range<f64>,
    counts: Vec<(u64, u64)>,
}

/// Joins neighbouring intervals until they are few enough to draw. Time in which nothing was
/// measured, as between rounds, is left out.
fn columns(intervals: &[TimelineInterval]) -> Vec<Column> {
    let joined = intervals.len().div_ceil(COLUMNS_MAX).max(1);
    let mut end_s = 0.0;
    intervals
        .chunks(joined)
        .map(|chunk| {
            let start_s = end_s;
            end_s += chunk.iter().map(|interval| interval.interval.as_secs_f64()).sum::<f64>();
            let counts = chunk.iter().flat_map(|interval| interval.counts().iter().copied());
            Column { across: start_s..end_s, counts: counts.collect() }
        })
        .collect()
}

/// Rows of equal height in decades.
struct Rows {
    from: f64,
    height: f64,
}

impl Rows {
    fn of(&self, latency_ns: u64) -> usize {
        let row = ((latency_ns.max(1) as f64).log10() - self.from) / self.height;
        (row.max(0.0) as usize).min(ROWS - 1)
    }

    fn edge_ns(&self, row: usize) -> f64 {
        10_f64.powf(self.from + self.height * row as f64)
    }
}

/// A column's cells; neighbours of one colour are one.
fn cells(column: &Column, rows: &Rows) -> Vec<HeatCell> {
    let mut samples = [0_u64; ROWS];
    for (latency_ns, count) in &column.counts {
        samples[rows.of(*latency_ns)] += count;
    }
    let all = samples.iter().sum::<u64>().max(1) as f64;
    let mut cells: Vec<HeatCell> = Vec::new();
    for (row, count) in samples.iter().enumerate().filter(|(_, count)| **count > 0) {
        let color = color_of(*count as f64 / all);
        let (low, high) = (rows.edge_ns(row), rows.edge_ns(row + 1));
        match cells.last_mut() {
            Some(below) if below.color == color && below.up.end == low => below.up.end = high,
            _ => cells.push(HeatCell { across: column.across.clone(), up: low..high, color }),
        }
    }
    cells
}

fn color_of(share: f64) -> Color {
    let reached = SHARES.iter().rposition(|(least, _)| share >= *least);
    HEAT[reached.unwrap_or_default()]
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use measure::LatencyHistogram;

    use super::*;

    fn interval(samples: &[(u64, u64)]) -> TimelineInterval {
        let mut histogram = LatencyHistogram::new();
        samples.iter().for_each(|(latency_ns, count)| histogram.record_ns_n(*latency_ns, *count));
        TimelineInterval::of(Duration::ZERO, Duration::from_millis(100), &histogram)
    }

    #[test]
    fn many_intervals_are_joined_and_none_is_lost() {
        let intervals: Vec<_> = (0..1000).map(|_| interval(&[(1000, 3)])).collect();
        let found = columns(&intervals);
        assert!(found.len() <= COLUMNS_MAX, "{}", found.len());
        assert!((found[found.len() - 1].across.end - 100.0).abs() < 1e-6);
        let samples: u64 = found.iter().flat_map(|column| &column.counts).map(|it| it.1).sum();
        assert_eq!(samples, 3000);
    }

    #[test]
    fn the_colour_says_what_share_of_a_moment_took_so_long() {
        let heat = chart(Series {
            broker: String::new(),
            stream: String::new(),
            intervals: &[interval(&[(1000, 990), (1_000_000, 10)])],
        });
        let colors: Vec<_> = heat.cells.iter().map(|cell| cell.color).collect();
        assert_eq!(colors, [HEAT[7], HEAT[3]]);
    }
}
