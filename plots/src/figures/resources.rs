//! Processor time and memory of each broker's process over its run.

use measure::{BrokerRun, PhaseMark, ResourceSample, Standing};

use super::{Better, Subjects, listed};
use crate::axis::Axis;
use crate::figure::{Chart, Figure};
use crate::line_chart::{Area, Band, Foot, Line, LineChart};
use crate::palette::{SeriesStyle, Stroke};
use crate::quantity::Quantity;

const PLOT_HEIGHT_PX: f64 = 130.0;

/// The kernel counts processor time in ticks of 10 ms.
const STRETCH_NS_MIN: u64 = 80_000_000;

/// A chart is about this many pixels wide; more points would not show.
const POINTS_MAX: usize = 400;

pub(super) fn figure(subjects: &Subjects<'_>) -> Figure {
    let sampled: Vec<_> = subjects
        .brokers()
        .filter(|(broker, _)| broker.resources.len() > 1)
        .map(|(broker, style)| (broker, style, usage(&broker.resources)))
        .collect();
    let scales = Scales::around(sampled.iter().map(|(_, _, usage)| usage));
    Figure {
        name: "resources",
        title: "Processor and memory over time".to_owned(),
        subtitle: "One row for each process, all on the same scales. The filled part of the \
                   processor time is spent in the kernel."
            .to_owned(),
        description: format!(
            "Lines of processor cores in use and of resident memory over time, with the phases \
             of the run, of {}.",
            listed(sampled.iter().map(|(broker, ..)| broker.name.clone()))
        ),
        finding: largest_memory(subjects),
        // Every chart's title names its process.
        legend: vec![],
        columns: 2,
        charts: sampled
            .iter()
            .flat_map(|(broker, style, usage)| {
                [
                    cores_chart(broker, style, usage, &scales),
                    memory_chart(broker, style, usage, &scales),
                ]
            })
            .map(|chart| Chart::lines(PLOT_HEIGHT_PX, chart))
            .collect(),
        without_charts: "This run sampled no processes.",
    }
}

/// Who needed the least and the most memory.
fn largest_memory(subjects: &Subjects<'_>) -> String {
    subjects.leading(
        "most resident memory, the least of it",
        Better::Shorter,
        |broker| {
            let most = broker.resources.iter().map(|sample| sample.resident_bytes).max()?;
            Some((most as f64, Standing::Valid))
        },
        |bytes| Quantity::Bytes.figure(bytes),
    )
}

/// A process over time, in (seconds, value) points few enough to draw.
struct Usage {
    cores: Vec<(f64, f64)>,
    kernel_cores: Vec<(f64, f64)>,
    resident_bytes: Vec<(f64, f64)>,
    end_s: f64,
}

/// Joins samples to stretches, and takes each stretch's mean processor use and largest memory.
fn usage(samples: &[ResourceSample]) -> Usage {
    let ends = stretch_ends(samples);
    let mut usage = Usage {
        cores: vec![],
        kernel_cores: vec![],
        resident_bytes: vec![],
        end_s: seconds(samples[samples.len() - 1].t_ns),
    };
    for pair in ends.windows(2) {
        let (from, to) = (&samples[pair[0]], &samples[pair[1]]);
        let elapsed_ns = to.t_ns.saturating_sub(from.t_ns);
        if elapsed_ns == 0 {
            continue;
        }
        let cores = |spent_ns: u64| spent_ns as f64 / elapsed_ns as f64;
        let user = cores(to.cpu_user_ns.saturating_sub(from.cpu_user_ns));
        let kernel = cores(to.cpu_system_ns.saturating_sub(from.cpu_system_ns));
        let at_s = seconds(to.t_ns);
        usage.cores.push((at_s, user + kernel));
        usage.kernel_cores.push((at_s, kernel));
        let largest = samples[pair[0]..=pair[1]]
            .iter()
            .map(|sample| sample.resident_bytes)
            .max()
            .unwrap_or_default();
        usage.resident_bytes.push((at_s, largest as f64));
    }
    usage.resident_bytes.retain(|(_, bytes)| *bytes > 0.0);
    usage
}

/// Where stretches begin and end: each is long enough that the kernel's coarse count of processor
/// time says something of it, and they are few enough to draw.
fn stretch_ends(samples: &[ResourceSample]) -> Vec<usize> {
    let samples_min = samples.len().div_ceil(POINTS_MAX);
    let is_long = |from: usize, to: usize| {
        to - from >= samples_min
            && samples[to].t_ns.saturating_sub(samples[from].t_ns) >= STRETCH_NS_MIN
    };
    let mut ends = vec![0];
    for index in 1..samples.len() {
        if is_long(ends[ends.len() - 1], index) {
            ends.push(index);
        }
    }
    // What is left over belongs to the last stretch.
    if ends.len() > 1 {
        ends.pop();
    }
    ends.push(samples.len() - 1);
    ends
}

fn seconds(t_ns: u64) -> f64 {
    t_ns as f64 / 1e9
}

/// The axes that all processes share.
struct Scales {
    time: Axis,
    cores: Axis,
    memory: Axis,
}

impl Scales {
    fn around<'a>(usages: impl Iterator<Item = &'a Usage> + Clone) -> Self {
        let end_s = usages.clone().map(|usage| usage.end_s).fold(0.0, f64::max);
        let cores = usages.clone().flat_map(|usage| &usage.cores).map(|point| point.1);
        let bytes = usages.flat_map(|usage| &usage.resident_bytes).map(|point| point.1);
        Self {
            time: Axis::until(end_s, Quantity::Seconds),
            cores: Axis::from_zero(cores.fold(0.0, f64::max), Quantity::Cores),
            memory: Axis::logarithmic(bytes, Quantity::Bytes),
        }
    }
}

fn cores_chart(
    broker: &BrokerRun,
    style: &SeriesStyle,
    usage: &Usage,
    scales: &Scales,
) -> LineChart {
    LineChart {
        title: broker.name.clone(),
        up_name: "processor cores in use".to_owned(),
        up: scales.cores.clone(),
        areas: vec![Area { points: usage.kernel_cores.clone(), color: style.color, opacity: 0.3 }],
        lines: vec![unmarked_line(&usage.cores, style)],
        ..time_chart(broker, usage, scales)
    }
}

fn memory_chart(
    broker: &BrokerRun,
    style: &SeriesStyle,
    usage: &Usage,
    scales: &Scales,
) -> LineChart {
    LineChart {
        title: broker.name.clone(),
        up_name: "resident memory".to_owned(),
        up: scales.memory.clone(),
        lines: vec![unmarked_line(&usage.resident_bytes, style)],
        ..time_chart(broker, usage, scales)
    }
}

fn time_chart(broker: &BrokerRun, usage: &Usage, scales: &Scales) -> LineChart {
    LineChart {
        title: String::new(),
        across: scales.time.clone(),
        across_name: "time since its start",
        up: scales.cores.clone(),
        up_name: String::new(),
        bands: bands(&broker.marks, usage.end_s),
        areas: vec![],
        cells: vec![],
        uprights: vec![],
        foot: Foot::Labelled,
        lines: vec![],
        without_lines: "no samples",
    }
}

fn unmarked_line(points: &[(f64, f64)], style: &SeriesStyle) -> Line {
    // Alone in its chart, it need not differ from others; dashes would hide its course.
    let series = SeriesStyle { stroke: Stroke::Solid, ..style.clone() };
    Line { points: points.to_vec(), marked: vec![], series }
}

/// Phases that differ only in what follows the first comma or colon make one band.
fn bands(marks: &[PhaseMark], end_s: f64) -> Vec<Band> {
    let mut bands: Vec<Band> = Vec::new();
    for mark in marks {
        let start = seconds(mark.t_ns);
        let label = mark.label.split([',', ':']).next().unwrap_or_default().trim();
        match bands.last_mut() {
            Some(band) if band.label == label => {}
            Some(band) => {
                band.end = start;
                bands.push(Band { start, end: end_s, label: label.to_owned() });
            }
            None => bands.push(Band { start, end: end_s, label: label.to_owned() }),
        }
    }
    bands
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(t_s: u64, label: &str) -> PhaseMark {
        PhaseMark { t_ns: t_s * 1_000_000_000, label: label.to_owned() }
    }

    #[test]
    fn phases_of_one_kind_share_a_band() {
        let marks =
            [mark(0, "publish, 1 client"), mark(5, "publish, 50 clients"), mark(9, "stream 1→1")];
        let found = bands(&marks, 20.0);
        let spans: Vec<_> =
            found.iter().map(|band| (band.label.as_str(), band.start, band.end)).collect();
        assert_eq!(spans, [("publish", 0.0, 9.0), ("stream 1→1", 9.0, 20.0)]);
    }

    #[test]
    fn processor_time_becomes_cores_and_memory_its_peak() {
        let sample = |t_s: u64, user_s: u64, system_s: u64, resident_bytes| ResourceSample {
            t_ns: t_s * 1_000_000_000,
            cpu_user_ns: user_s * 1_000_000_000,
            cpu_system_ns: system_s * 1_000_000_000,
            resident_bytes,
            threads: 1,
        };
        let found = usage(&[sample(0, 0, 0, 9), sample(2, 1, 2, 5), sample(4, 1, 2, 5)]);
        assert_eq!(found.cores, [(2.0, 1.5), (4.0, 0.0)]);
        assert_eq!(found.kernel_cores, [(2.0, 1.0), (4.0, 0.0)]);
        assert_eq!(found.resident_bytes, [(2.0, 9.0), (4.0, 5.0)]);
    }

    #[test]
    fn samples_close_together_do_not_make_a_peak() {
        let sample = |t_ms: u64, ticks: u64| ResourceSample {
            t_ns: t_ms * 1_000_000,
            cpu_user_ns: ticks * 10_000_000,
            cpu_system_ns: 0,
            resident_bytes: 1,
            threads: 1,
        };
        // The second tick was counted within a millisecond of the mark before it.
        let found = usage(&[sample(0, 0), sample(100, 5), sample(101, 6), sample(200, 10)]);
        assert!(found.cores.iter().all(|point| point.1 < 0.6), "{:?}", found.cores);
    }

    #[test]
    fn a_long_run_is_thinned_without_losing_its_peak() {
        let samples: Vec<_> = (0..10_000_u64)
            .map(|index| ResourceSample {
                t_ns: index * 100_000_000,
                cpu_user_ns: index * 50_000_000,
                cpu_system_ns: 0,
                resident_bytes: if index == 777 { 99 } else { 1 },
                threads: 1,
            })
            .collect();
        let found = usage(&samples);
        assert!(found.cores.len() <= POINTS_MAX + 1);
        assert!(found.resident_bytes.iter().any(|point| point.1 == 99.0));
        assert!(found.cores.iter().all(|point| (point.1 - 0.5).abs() < 1e-9));
    }
}
