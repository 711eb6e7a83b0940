//! The report: one HTML page that needs nothing but itself.

mod calendar;
mod cell_tables;
mod comparison;
mod downloads;
mod durable_tables;
mod event_tables;
mod headline;
mod ranking;
mod tables;
mod verdict;

pub use comparison::{comparison_html, comparison_section_html};

use measure::comparison::Comparison;
use measure::{BrokerKind, BrokerRun, HistogramSet, MachineFacts, RunRecord};
use minijinja::Environment;
use minijinja::value::Serde;
use serde::Serialize;

use crate::palette::scheme_css;
use crate::picture::{Picture, PictureData};
use crate::quantity::{Quantity, grouped};
use crate::report::cell_tables::Objective;
use crate::report::downloads::Download;
use crate::report::ranking::ClassRanking;
use crate::report::tables::{Detail, Matrix};
use crate::report::verdict::VerdictSection;

/// The templates by name; the first includes the others.
const TEMPLATES: [(&str, &str); 6] = [
    ("report.html", include_str!("templates/report.html")),
    ("macros.html", include_str!("templates/macros.html")),
    ("verdict.html", include_str!("templates/verdict.html")),
    ("ranking.html", include_str!("templates/ranking.html")),
    ("results.html", include_str!("templates/results.html")),
    ("brokers.html", include_str!("templates/brokers.html")),
];

/// Writes the report of a run as one self-contained HTML page, with the given pictures in it.
///
/// The page loads nothing, follows the reader's preference for light or dark, which a button in it
/// overrules, and carries the raw figures as downloads. Where the run was compared with another, it
/// sums that `comparison` up and links to `comparison.html` beside it; of its own files only a long
/// `timeline.hlog` is a link to the one beside it.
#[must_use]
pub fn report_html(
    record: &RunRecord,
    histograms: &HistogramSet,
    pictures: &[Picture],
    comparison: Option<&Comparison>,
) -> String {
    let mut templates = Environment::new();
    for (name, template) in TEMPLATES {
        templates
            .add_template(name, template)
            .expect("the template is part of the program and parses");
    }
    templates
        .get_template(TEMPLATES[0].0)
        .and_then(|template| {
            template.render(Serde(Page::of(record, histograms, pictures, comparison)))
        })
        .expect("the template uses only what a page has")
}

/// Everything the template shows, ready to print.
#[derive(Serialize)]
struct Page<'a> {
    css: &'static str,
    pictures_css: String,
    script: &'static str,
    config_name: &'a str,
    config_toml: &'a str,
    run_id: &'a str,
    tandem_version: &'a str,
    started_at: String,
    machine: Machine<'a>,
    verdict: VerdictSection<'a>,
    classes: Vec<ClassRanking>,
    ceilings: Detail,
    driver_ceilings: Detail,
    skipped: Vec<Skipped<'a>>,
    objectives: Vec<Objective<'a>>,
    full_load: Matrix,
    fixed_rate: Matrix,
    operations: Matrix,
    acknowledged: Matrix,
    backlogs: Matrix,
    restarts: Matrix,
    events: Vec<Event>,
    details: Vec<Detail>,
    brokers: Vec<Broker<'a>>,
    pictures: Vec<Shown<'a>>,
    missing: Vec<&'a str>,
    downloads: Vec<Download>,
}

impl<'a> Page<'a> {
    fn of(
        record: &'a RunRecord,
        histograms: &HistogramSet,
        pictures: &'a [Picture],
        comparison: Option<&Comparison>,
    ) -> Self {
        let (shown, missing): (Vec<&Picture>, Vec<&Picture>) =
            pictures.iter().partition(|picture| picture.data() == PictureData::Shown);
        Self {
            css: include_str!("report.css"),
            pictures_css: scheme_css(),
            script: include_str!("scheme.js"),
            config_name: &record.config_name,
            config_toml: &record.config_toml,
            run_id: &record.run_id,
            tandem_version: &record.tandem_version,
            started_at: calendar::utc(record.started_at_unix_ms),
            machine: Machine::of(&record.machine),
            verdict: VerdictSection::of(record, comparison),
            classes: ranking::classes(record),
            ceilings: ranking::ceilings(record),
            driver_ceilings: ranking::driver_ceilings(record),
            skipped: record
                .skipped
                .iter()
                .map(|skipped| Skipped { name: &skipped.name, reason: &skipped.reason })
                .collect(),
            objectives: cell_tables::objectives(record),
            full_load: tables::full_load(record),
            fixed_rate: tables::fixed_rate(record),
            operations: tables::operations(record),
            acknowledged: durable_tables::acknowledged(record),
            backlogs: durable_tables::backlogs(record),
            restarts: durable_tables::restarts(record),
            events: events(record),
            details: details(record),
            brokers: record.brokers.iter().map(Broker::of).collect(),
            pictures: shown.into_iter().map(Shown::of).collect(),
            missing: missing.into_iter().map(Picture::title).collect(),
            downloads: downloads::all(record, histograms),
        }
    }
}

/// A table that is shown at once, under its own heading.
#[derive(Serialize)]
struct Event {
    heading: &'static str,
    table: Detail,
}

/// Of what happened beside steady load, the tables that have rows.
fn events(record: &RunRecord) -> Vec<Event> {
    let events = [
        ("Highest sustained rates", event_tables::knees(record)),
        ("Storms of connections", event_tables::storms(record)),
        ("Idle connections", event_tables::idles(record)),
        ("Outages", event_tables::outages(record)),
    ];
    let shown = events.into_iter().filter(|(_, table)| !table.rows.is_empty());
    shown.map(|(heading, table)| Event { heading, table }).collect()
}

/// The tables of every figure that have rows.
fn details(record: &RunRecord) -> Vec<Detail> {
    let mut details = vec![
        tables::stream_details(record),
        tables::operation_details(record),
        durable_tables::acknowledged_details(record),
        durable_tables::backlog_details(record),
        durable_tables::restart_details(record),
        event_tables::knee_attempts(record),
        cell_tables::resources(record),
        cell_tables::generator(record),
    ];
    details.retain(|table| !table.rows.is_empty());
    details
}

#[derive(Serialize)]
struct Machine<'a> {
    cpu_model: &'a str,
    architecture: &'a str,
    logical_cores: u32,
    memory: String,
    kernel: &'a str,
    os: &'a str,
}

impl<'a> Machine<'a> {
    fn of(facts: &'a MachineFacts) -> Self {
        Self {
            cpu_model: &facts.cpu_model,
            architecture: &facts.architecture,
            logical_cores: facts.logical_cores,
            memory: Quantity::Bytes.figure(facts.memory_bytes as f64),
            kernel: &facts.kernel,
            os: &facts.os,
        }
    }
}

#[derive(Serialize)]
struct Skipped<'a> {
    name: &'a str,
    reason: &'a str,
}

#[derive(Serialize)]
struct Broker<'a> {
    name: &'a str,
    kind: &'static str,
    version: &'a str,
    driver: &'a str,
    guarantee: &'static str,
    /// What file system its messages were on.
    data_place: Option<String>,
    command_line: String,
    config_text: Option<&'a str>,
    processor_time: String,
    memory_peak: String,
    threads_max: String,
}

impl<'a> Broker<'a> {
    fn of(broker: &'a BrokerRun) -> Self {
        let samples = &broker.resources;
        let or_dash = |figure: Option<String>| figure.unwrap_or_else(|| "–".to_owned());
        Self {
            name: &broker.name,
            kind: match broker.kind {
                BrokerKind::Broker => "broker",
                BrokerKind::Ceiling => "ceiling",
            },
            version: &broker.version,
            driver: &broker.driver,
            guarantee: broker.guarantee.label(),
            data_place: broker.data_place.as_ref().map(ToString::to_string),
            command_line: broker.command_line.join(" "),
            config_text: broker.config_text.as_deref(),
            processor_time: or_dash(samples.last().map(|sample| {
                let spent_ns = sample.cpu_user_ns.saturating_add(sample.cpu_system_ns);
                Quantity::Seconds.figure(spent_ns as f64 / 1e9)
            })),
            memory_peak: or_dash(
                samples
                    .iter()
                    .map(|sample| sample.resident_bytes)
                    .max()
                    .map(|bytes| Quantity::Bytes.figure(bytes as f64)),
            ),
            threads_max: or_dash(
                samples
                    .iter()
                    .map(|sample| sample.threads)
                    .max()
                    .map(|threads| grouped(u64::from(threads))),
            ),
        }
    }
}

#[derive(Serialize)]
struct Shown<'a> {
    name: &'a str,
    title: &'a str,
    finding: &'a str,
    svg: String,
}

impl<'a> Shown<'a> {
    fn of(picture: &'a Picture) -> Self {
        Self {
            name: picture.name(),
            title: picture.title(),
            finding: picture.finding(),
            svg: picture.inline_svg(),
        }
    }
}
