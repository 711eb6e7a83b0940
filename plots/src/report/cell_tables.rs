//! The report's tables of what measurements used: the broker's resources, and the load generator's.

use measure::{CellResources, RunRecord, StreamResult};
use serde::Serialize;

use super::tables::{Detail, dash};
use crate::judged::judged;
use crate::quantity::{Quantity, grouped};

/// What the broker used within each measurement.
pub(super) fn resources(record: &RunRecord) -> Detail {
    let rows = judged(record).filter_map(|it| {
        let subject = [it.label, it.broker.name.clone()];
        Some(subject.into_iter().chain(resource_figures(it.resources?)).collect())
    });
    Detail {
        id: "cell-resources",
        caption: "Resources of the broker with its children in each measurement",
        words: 2,
        columns: &[
            "measurement",
            "broker",
            "CPU user",
            "CPU system",
            "CPU each delivery",
            "resident",
            "threads",
            "open files",
            "switches, waiting",
            "switches, preempted",
            "disk written",
            "disk flushes",
        ],
        rows: rows.collect(),
    }
}

fn resource_figures(used: &CellResources) -> [String; 10] {
    let or_dash = |count: Option<u64>| count.map_or_else(dash, grouped);
    let each_ns = used.cpu_us_per_delivery.map(|each_us| each_us * 1e3);
    [
        Quantity::LatencyNs.figure(used.cpu_user_ns as f64),
        Quantity::LatencyNs.figure(used.cpu_system_ns as f64),
        Quantity::LatencyNs.figure_or_dash(each_ns),
        Quantity::Bytes.figure(used.resident_bytes_max as f64),
        grouped(u64::from(used.threads_max)),
        or_dash(used.file_descriptors_max.map(u64::from)),
        grouped(used.context_switches_voluntary),
        grouped(used.context_switches_involuntary),
        Quantity::Bytes.figure_or_dash(used.disk_written_bytes.map(|bytes| bytes as f64)),
        or_dash(used.disk_flushes),
    ]
}

/// How near the load generator was to its own limits in each stream.
pub(super) fn generator(record: &RunRecord) -> Detail {
    let rows = record.brokers.iter().flat_map(|broker| {
        let streams = broker.streams.iter();
        let watched = streams.filter(|result| !result.generator.threads.is_empty());
        watched.map(|result| {
            let subject = [result.label.clone(), broker.name.clone()];
            subject.into_iter().chain(generator_figures(result)).collect()
        })
    });
    Detail {
        id: "generator",
        caption: "The load generator in each stream: near its own limits it measures itself",
        words: 3,
        columns: &[
            "measurement",
            "broker",
            "busiest thread",
            "of a core",
            "stolen from the machine",
            "ceiling of the driver",
            "sent late",
        ],
        rows: rows.collect(),
    }
}

fn generator_figures(result: &StreamResult) -> [String; 5] {
    let generator = &result.generator;
    let busiest = generator.busiest();
    let percent = |share: f64| format!("{:.0} %", share * 100.0);
    [
        busiest.map_or_else(dash, |thread| thread.name.clone()),
        busiest.map_or_else(dash, |thread| percent(thread.busy)),
        percent(generator.steal),
        generator
            .ceiling_per_s
            .map_or_else(dash, |per_s| format!("{}/s", Quantity::Rate.figure(per_s))),
        grouped(result.late_sends),
    ]
}

/// What the configuration asserts, and what came of it.
#[derive(Serialize)]
pub(super) struct Objective<'a> {
    broker: &'a str,
    cell: &'a str,
    assertion: &'a str,
    found: &'a str,
    standing: String,
    css_class: &'static str,
}

/// Every objective; those that are not met first.
pub(super) fn objectives(record: &RunRecord) -> Vec<Objective<'_>> {
    use measure::ObjectiveStanding::{Met, Missed, NotMeasured};
    let mut objectives: Vec<_> = record.objectives.iter().collect();
    objectives.sort_by_key(|it| match it.standing {
        Missed => 0,
        NotMeasured => 1,
        Met => 2,
    });
    let objectives = objectives.into_iter().map(|it| Objective {
        broker: &it.broker,
        cell: &it.cell,
        assertion: &it.assertion,
        found: &it.found,
        standing: it.standing.to_string(),
        css_class: match it.standing {
            Met => "valid",
            Missed => "invalid",
            NotMeasured => "suspect",
        },
    });
    objectives.collect()
}
