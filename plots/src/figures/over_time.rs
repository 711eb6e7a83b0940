//! Throughput, latency, processor time and memory of a stream, on one time axis.

use measure::{BrokerRun, ResourceSample, StreamResult, TimelinePoint, rate_per_s};

use super::{Subjects, listed, listed_series, standings_in_words};
use crate::axis::Axis;
use crate::figure::{Chart, Figure};
use crate::line_chart::{Foot, Line, LineChart};
use crate::palette::SeriesStyle;
use crate::quantity::Quantity;
use crate::series::{StreamKey, stream_keys};

const PLOT_HEIGHT_PX: f64 = 105.0;
const COLUMNS: usize = 2;

/// Panels on one time axis.
const PANELS: usize = 4;

/// A run of many streams would make a picture of many screens; timeline.csv has all of them.
const STREAMS_MAX: usize = 6;

/// Markers every so often, so that lines can be told apart without colour.
const MARKERS: usize = 6;

/// Processor time is counted in ticks of 10 ms: shorter stretches would show the ticks.
const STRETCH_NS_MIN: u64 = 200_000_000;

pub(super) fn figure(subjects: &Subjects<'_>) -> Figure {
    let mut streams = stream_keys(&subjects.record.brokers);
    streams.retain(|stream| {
        let mut results = subjects.brokers().filter_map(|(broker, _)| stream.result_in(broker));
        results.any(|result| result.timeline.len() > 1)
    });
    let left_off = streams.len().saturating_sub(STREAMS_MAX);
    streams.truncate(STREAMS_MAX);
    let is_shown = |broker: &BrokerRun| broker.streams.iter().any(|it| it.timeline.len() > 1);
    let legend = subjects.legend(is_shown);
    let more = match left_off {
        0 => String::new(),
        more => format!(" {more} more streams are in timeline.csv."),
    };
    Figure {
        name: "over-time",
        title: "Streams over time".to_owned(),
        subtitle: format!(
            "Deliveries, 99th percentile of latency, processor cores and memory of the broker, on \
             one time axis.{more}"
        ),
        description: format!(
            "Four stacked panels of lines over time for each of {}, of {}.",
            listed(streams.iter().map(title)),
            listed_series(&legend)
        ),
        finding: finding(subjects, &streams),
        legend,
        columns: COLUMNS,
        charts: streams
            .chunks(COLUMNS)
            .flat_map(|streams| rows_of(subjects, streams))
            .map(|chart| Chart::lines(PLOT_HEIGHT_PX, chart))
            .collect(),
        without_charts: "This run recorded no progress over time.",
    }
}

fn title(stream: &StreamKey) -> String {
    format!("{stream} · {}", stream.load_label())
}

/// Which deliveries were the least steady: the longest fall below the median.
fn finding(subjects: &Subjects<'_>, streams: &[StreamKey]) -> String {
    let stalls = streams.iter().flat_map(|stream| {
        subjects.brokers().filter_map(move |(broker, style)| {
            let mut per_interval: Vec<u64> =
                stream.result_in(broker)?.timeline.iter().map(|point| point.delivered).collect();
            per_interval.sort_unstable();
            let median = *per_interval.get(per_interval.len() / 2)?;
            let share = *per_interval.first()? as f64 / median.max(1) as f64;
            Some((share, stream, style))
        })
    });
    let Some((share, stream, style)) = stalls.min_by(|a, b| a.0.total_cmp(&b.0)) else {
        return String::new();
    };
    format!(
        "The deepest fall is that of {} at {}: to {:.0} % of its median rate.",
        style.name,
        title(stream),
        share * 100.0
    )
}

/// The panels of streams that stand beside each other, row by row.
fn rows_of(subjects: &Subjects<'_>, streams: &[StreamKey]) -> Vec<LineChart> {
    let columns: Vec<[LineChart; PANELS]> =
        streams.iter().map(|stream| panels(subjects, stream)).collect();
    let mut rows = Vec::with_capacity(columns.len() * PANELS);
    for panel in 0..PANELS {
        rows.extend(columns.iter().map(|column| column[panel].clone()));
        // An odd stream at the end has nobody beside it.
        let empty = LineChart { lines: vec![], without_lines: "", ..columns[0][panel].clone() };
        let missing = COLUMNS - columns.len();
        rows.extend((0..missing).map(|_| LineChart {
            title: String::new(),
            up_name: String::new(),
            ..empty.clone()
        }));
    }
    rows
}

/// The lines of one panel.
type Lines = Vec<Line>;

fn panels(subjects: &Subjects<'_>, stream: &StreamKey) -> [LineChart; PANELS] {
    let [mut delivered, mut latency, mut cores, mut memory]: [Lines; PANELS] = Default::default();
    let mut median = Lines::new();
    let (mut end_s, mut standings) = (0.0_f64, Vec::new());
    for (broker, style) in subjects.brokers() {
        let Some(result) = stream.result_in(broker).filter(|it| it.timeline.len() > 1) else {
            continue;
        };
        end_s = end_s.max(result.timeline.iter().map(end_of).fold(0.0, f64::max));
        delivered.push(line(style, whole_intervals(&result.timeline).map(deliveries)));
        latency.push(line(style, result.timeline.iter().filter_map(tail)));
        median.push(line(style, result.timeline.iter().filter_map(middle)));
        let samples = samples_of(broker, result);
        cores.push(line(style, cores_of(&samples).into_iter()));
        memory.push(line(style, memory_of(&samples).into_iter()));
        standings.push((broker, result.verdict.standing));
    }
    let across = Axis::until(end_s, Quantity::Seconds);
    let most =
        |lines: &Lines| lines.iter().flat_map(|it| &it.points).map(|it| it.1).fold(0.0, f64::max);
    let heights = |lines: &Lines| -> Vec<f64> {
        lines.iter().flat_map(|it| &it.points).map(|it| it.1).collect()
    };
    let rates = Axis::from_zero(most(&delivered), Quantity::Rate);
    let busy = Axis::from_zero(most(&cores), Quantity::Cores);
    let bytes = Axis::logarithmic(heights(&memory), Quantity::Bytes);
    let panel = |title: String, up_name: String, up, lines, foot| LineChart {
        title,
        across: across.clone(),
        across_name: "time since the measured phase began",
        up,
        up_name,
        bands: vec![],
        areas: vec![],
        cells: vec![],
        uprights: vec![],
        foot,
        lines,
        without_lines: "not recorded",
    };
    let deliveries = match standings_in_words(&standings) {
        Some(standings) => format!("deliveries per second ({standings})"),
        None => "deliveries per second".to_owned(),
    };
    let (none, p99) = (String::new(), "99th percentile of response time".to_owned());
    let has_tail = latency.iter().any(|line| !line.points.is_empty());
    let (latency_name, latency) = match has_tail {
        true => (p99, latency),
        false => ("median response time; too few in an interval for its tail".to_owned(), median),
    };
    let latencies = Axis::logarithmic(heights(&latency), Quantity::LatencyNs);
    [
        panel(title(stream), deliveries, rates, delivered, Foot::Shared),
        panel(none.clone(), latency_name, latencies, latency, Foot::Shared),
        panel(none.clone(), "processor cores in use".to_owned(), busy, cores, Foot::Shared),
        panel(none, "resident memory".to_owned(), bytes, memory, Foot::Labelled),
    ]
}

fn line(style: &SeriesStyle, points: impl Iterator<Item = (f64, f64)>) -> Line {
    let points: Vec<(f64, f64)> = points.filter(|point| point.1.is_finite()).collect();
    let every = points.len().div_ceil(MARKERS).max(1);
    let marked = points.iter().skip(every / 2).step_by(every).copied().collect();
    Line { points, marked, series: style.clone() }
}

fn end_of(point: &TimelinePoint) -> f64 {
    (point.t_ns + point.interval_ns) as f64 / 1e9
}

fn middle_of(point: &TimelinePoint) -> f64 {
    (point.t_ns as f64 + point.interval_ns as f64 / 2.0) / 1e9
}

fn deliveries(point: &TimelinePoint) -> (f64, f64) {
    (middle_of(point), rate_per_s(point.delivered, point.interval_ns))
}

/// Without a last one that was too short to tell a rate.
fn whole_intervals(timeline: &[TimelinePoint]) -> impl Iterator<Item = &TimelinePoint> {
    let longest_ns = timeline.iter().map(|point| point.interval_ns).max().unwrap_or(0);
    timeline.iter().filter(move |point| point.interval_ns >= longest_ns / 2)
}

fn middle(point: &TimelinePoint) -> Option<(f64, f64)> {
    let latency_ns = point.response_p50_ns.filter(|latency_ns| *latency_ns > 0)?;
    Some((middle_of(point), latency_ns as f64))
}

fn tail(point: &TimelinePoint) -> Option<(f64, f64)> {
    let latency_ns = point.response_p99_ns.filter(|latency_ns| *latency_ns > 0)?;
    Some((middle_of(point), latency_ns as f64))
}

/// The samples of the broker's process while the stream was measured, with times from its start.
/// None where the run's marks do not tell when that was.
fn samples_of(broker: &BrokerRun, result: &StreamResult) -> Vec<ResourceSample> {
    let Some(mark) = broker.marks.iter().find(|mark| mark.label == result.label) else {
        return vec![];
    };
    let end_ns = result.timeline.iter().map(|it| it.t_ns + it.interval_ns).max().unwrap_or(0);
    let during = mark.t_ns..=mark.t_ns.saturating_add(end_ns);
    let samples = broker.resources.iter().filter(|sample| during.contains(&sample.t_ns));
    samples.map(|sample| ResourceSample { t_ns: sample.t_ns - mark.t_ns, ..*sample }).collect()
}

fn cores_of(samples: &[ResourceSample]) -> Vec<(f64, f64)> {
    let mut points = Vec::new();
    let Some(mut from) = samples.first() else { return points };
    for to in samples {
        let elapsed_ns = to.t_ns.saturating_sub(from.t_ns);
        if elapsed_ns < STRETCH_NS_MIN {
            continue;
        }
        let spent_ns = |it: &ResourceSample| it.cpu_user_ns + it.cpu_system_ns;
        let cores = spent_ns(to).saturating_sub(spent_ns(from)) as f64 / elapsed_ns as f64;
        points.push(((from.t_ns + elapsed_ns / 2) as f64 / 1e9, cores));
        from = to;
    }
    points
}

fn memory_of(samples: &[ResourceSample]) -> Vec<(f64, f64)> {
    let resident = samples.iter().filter(|sample| sample.resident_bytes > 0);
    resident.map(|it| (it.t_ns as f64 / 1e9, it.resident_bytes as f64)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_is_taken_over_stretches_longer_than_a_tick() {
        let samples: Vec<_> = (0..=10_u64)
            .map(|index| ResourceSample {
                t_ns: index * 50_000_000,
                cpu_user_ns: index * 25_000_000,
                cpu_system_ns: 0,
                resident_bytes: 1,
                threads: 1,
            })
            .collect();
        assert_eq!(cores_of(&samples), [(0.1, 0.5), (0.3, 0.5)]);
        assert_eq!(cores_of(&[]), []);
    }
}
