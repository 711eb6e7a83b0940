//! The report: one HTML page that needs nothing but itself.

mod calendar;
mod downloads;
mod durable_tables;
mod tables;

use measure::{BrokerKind, BrokerRun, MachineFacts, RunRecord};
use minijinja::Environment;
use minijinja::value::Serde;
use serde::Serialize;

use crate::palette::dark_css;
use crate::picture::{Picture, PictureData};
use crate::quantity::{Quantity, grouped};
use crate::report::downloads::Download;
use crate::report::tables::{Detail, Matrix};

/// Writes the report of a run as one self-contained HTML page, with the given pictures in it.
///
/// The page loads nothing and runs no script, follows the reader's preference for light or dark,
/// and carries the raw figures as downloads.
#[must_use]
pub fn report_html(record: &RunRecord, pictures: &[Picture]) -> String {
    let mut templates = Environment::new();
    templates
        .add_template("report.html", include_str!("report.html"))
        .expect("the template is part of the program and parses");
    templates
        .get_template("report.html")
        .and_then(|template| template.render(Serde(Page::of(record, pictures))))
        .expect("the template uses only what a page has")
}

/// Everything the template shows, ready to print.
#[derive(Serialize)]
struct Page<'a> {
    css: &'static str,
    dark_pictures_css: String,
    config_name: &'a str,
    config_toml: &'a str,
    run_id: &'a str,
    tandem_version: &'a str,
    started_at: String,
    machine: Machine<'a>,
    warnings: &'a [String],
    skipped: Vec<Skipped<'a>>,
    full_load: Matrix,
    fixed_rate: Matrix,
    operations: Matrix,
    acknowledged: Matrix,
    backlogs: Matrix,
    restarts: Matrix,
    stream_details: Detail,
    operation_details: Detail,
    acknowledged_details: Detail,
    backlog_details: Detail,
    restart_details: Detail,
    brokers: Vec<Broker<'a>>,
    pictures: Vec<Shown<'a>>,
    missing: Vec<&'a str>,
    downloads: Vec<Download>,
}

impl<'a> Page<'a> {
    fn of(record: &'a RunRecord, pictures: &'a [Picture]) -> Self {
        let (shown, missing): (Vec<&Picture>, Vec<&Picture>) =
            pictures.iter().partition(|picture| picture.data() == PictureData::Shown);
        Self {
            css: include_str!("report.css"),
            dark_pictures_css: dark_css(),
            config_name: &record.config_name,
            config_toml: &record.config_toml,
            run_id: &record.run_id,
            tandem_version: &record.tandem_version,
            started_at: calendar::utc(record.started_at_unix_ms),
            machine: Machine::of(&record.machine),
            warnings: &record.warnings,
            skipped: record
                .skipped
                .iter()
                .map(|skipped| Skipped { name: &skipped.name, reason: &skipped.reason })
                .collect(),
            full_load: tables::full_load(record),
            fixed_rate: tables::fixed_rate(record),
            operations: tables::operations(record),
            acknowledged: durable_tables::acknowledged(record),
            backlogs: durable_tables::backlogs(record),
            restarts: durable_tables::restarts(record),
            stream_details: tables::stream_details(record),
            operation_details: tables::operation_details(record),
            acknowledged_details: durable_tables::acknowledged_details(record),
            backlog_details: durable_tables::backlog_details(record),
            restart_details: durable_tables::restart_details(record),
            brokers: record.brokers.iter().map(Broker::of).collect(),
            pictures: shown.into_iter().map(Shown::of).collect(),
            missing: missing.into_iter().map(Picture::title).collect(),
            downloads: downloads::all(record),
        }
    }
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
    svg: String,
}

impl<'a> Shown<'a> {
    fn of(picture: &'a Picture) -> Self {
        Self { name: picture.name(), title: picture.title(), svg: picture.inline_svg() }
    }
}
