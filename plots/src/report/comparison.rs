//! A comparison of two runs as HTML: as a section of a page, and as a page of its own.

use measure::comparison::{Change, ComparedCell, ComparedMetric, ComparedRun, Comparison};
use minijinja::Environment;
use minijinja::value::Serde;
use serde::Serialize;

use super::calendar;
use crate::palette::scheme_css;
use crate::picture::Picture;

/// A `<section>` that shows a comparison with its picture, for a page with the report's style
/// sheet; its headings begin at the second level.
#[must_use]
pub fn comparison_section_html(comparison: &Comparison, picture: &Picture) -> String {
    rendered(
        "comparison_section.html",
        include_str!("templates/comparison_section.html"),
        &Section::of(comparison, picture),
    )
}

/// A self-contained page that shows a comparison with its picture: it loads nothing, and follows
/// the reader's preference for light or dark, which a button in it overrules.
#[must_use]
pub fn comparison_html(comparison: &Comparison, picture: &Picture) -> String {
    let page = Page {
        css: include_str!("report.css"),
        pictures_css: scheme_css(),
        script: include_str!("scheme.js"),
        a: Head::of(&comparison.a),
        b: Head::of(&comparison.b),
        section: comparison_section_html(comparison, picture),
    };
    rendered("comparison.html", include_str!("templates/comparison.html"), &page)
}

fn rendered(name: &str, template: &str, content: &impl Serialize) -> String {
    let mut templates = Environment::new();
    templates.add_template(name, template).expect("the template is part of the program and parses");
    templates
        .get_template(name)
        .and_then(|template| template.render(Serde(content)))
        .expect("the template uses only what its content has")
}

#[derive(Serialize)]
struct Page<'a> {
    css: &'static str,
    pictures_css: String,
    script: &'static str,
    a: Head<'a>,
    b: Head<'a>,
    section: String,
}

#[derive(Serialize)]
struct Head<'a> {
    run_id: &'a str,
    started_at: String,
    tandem_version: &'a str,
    config_name: &'a str,
    machine: String,
}

impl<'a> Head<'a> {
    fn of(run: &'a ComparedRun) -> Self {
        let machine = &run.machine;
        Self {
            run_id: &run.run_id,
            started_at: calendar::utc(run.started_at_unix_ms),
            tandem_version: &run.tandem_version,
            config_name: &run.config_name,
            machine: format!(
                "{} logical cores of {}, {}",
                machine.logical_cores, machine.cpu_model, machine.kernel
            ),
        }
    }
}

#[derive(Serialize)]
struct Section<'a> {
    a: &'a str,
    b: &'a str,
    tally: String,
    differences: Vec<String>,
    picture_title: &'a str,
    svg: String,
    cells: Vec<Cell>,
    left_out: Vec<String>,
    method: Vec<String>,
    notes: &'a [String],
}

impl<'a> Section<'a> {
    fn of(comparison: &'a Comparison, picture: &'a Picture) -> Self {
        let incomparable = comparison.cells.iter().filter_map(|cell| {
            let reason = cell.incomparable.as_ref()?;
            Some(format!("{}: {}: {reason}", cell.broker(), cell.label))
        });
        let unmatched = comparison
            .left_out
            .iter()
            .map(|left_out| format!("{}: {}", left_out.what, left_out.why));
        Self {
            a: &comparison.a.run_id,
            b: &comparison.b.run_id,
            tally: comparison.tally_in_words(),
            differences: comparison.cells.iter().flat_map(differences).collect(),
            picture_title: picture.title(),
            svg: picture.inline_svg(),
            cells: comparison
                .cells
                .iter()
                .filter(|cell| cell.incomparable.is_none())
                .enumerate()
                .map(|(index, cell)| Cell::of(index, cell))
                .collect(),
            left_out: incomparable.chain(unmatched).collect(),
            method: comparison.method_in_words(),
            notes: &comparison.notes,
        }
    }
}

/// What is better or worse in a cell, one sentence each.
fn differences(cell: &ComparedCell) -> impl Iterator<Item = String> {
    cell.metrics.iter().filter_map(|metric| {
        let verdict = match metric.verdict {
            Change::Better | Change::Worse => metric.verdict.label(),
            Change::WithinNoise | Change::Incomparable(_) => return None,
        };
        let label = metric.metric.label();
        let change = metric.change_in_words();
        Some(format!("{}: {}: {label} is {verdict}: {change}", cell.broker(), cell.label))
    })
}

#[derive(Serialize)]
struct Cell {
    id: String,
    heading: String,
    rows: Vec<Row>,
}

impl Cell {
    fn of(index: usize, cell: &ComparedCell) -> Self {
        Self {
            id: format!("compared-cell-{index}"),
            heading: cell.heading(),
            rows: cell.metrics.iter().map(Row::of).collect(),
        }
    }
}

#[derive(Serialize)]
struct Row {
    metric: &'static str,
    a: Figure,
    b: Figure,
    change: Figure,
    noise: String,
    p: String,
    effect: String,
    verdict: &'static str,
    is_better: bool,
    is_worse: bool,
    reason: Option<String>,
}

/// A figure, and below it its interval.
#[derive(Serialize)]
struct Figure {
    value: String,
    interval: String,
}

impl Figure {
    fn of(words: &str) -> Self {
        let (value, interval) = words.split_once(" [").unwrap_or((words, ""));
        let interval = if interval.is_empty() { String::new() } else { format!("[{interval}") };
        Self { value: value.to_owned(), interval }
    }
}

impl Row {
    fn of(metric: &ComparedMetric) -> Self {
        Self {
            metric: metric.metric.label(),
            a: Figure::of(&metric.estimate_in_words(metric.a)),
            b: Figure::of(&metric.estimate_in_words(metric.b)),
            change: Figure::of(&metric.change_in_words()),
            noise: metric.noise_in_words(),
            p: metric.p_in_words(),
            effect: metric.effect_in_words(),
            verdict: metric.verdict.label(),
            is_better: metric.verdict == Change::Better,
            is_worse: metric.verdict == Change::Worse,
            reason: match &metric.verdict {
                Change::Incomparable(reason) => Some(reason.to_string()),
                Change::Better | Change::Worse | Change::WithinNoise => None,
            },
        }
    }
}
