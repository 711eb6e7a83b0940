//! What a reader must know first: what was measured, where, and how far to believe it.

use measure::comparison::Comparison;
use measure::{BrokerKind, ObjectiveStanding, RunRecord, Standing};
use serde::Serialize;

use crate::judged::{Judged, faulty, judged};
use crate::promises::short;
use crate::quantity::{Quantity, grouped};
use crate::series::distinct;

/// The report's first section.
#[derive(Serialize)]
pub(super) struct VerdictSection<'a> {
    measured: String,
    machine: String,
    tally: Vec<Tally>,
    belief: String,
    doubts: Vec<Doubts>,
    deliveries: String,
    faults: Vec<Fault<'a>>,
    objectives: String,
    objectives_are_met: bool,
    warnings: &'a [String],
    skipped: String,
    comparison: Option<ComparisonLink>,
}

/// How many measurements have a standing.
#[derive(Serialize)]
struct Tally {
    name: &'static str,
    count: u64,
    meaning: &'static str,
    css_class: &'static str,
}

/// The measurements of one standing other than valid.
#[derive(Serialize)]
struct Doubts {
    summary: String,
    css_class: &'static str,
    rows: Vec<Doubt>,
}

#[derive(Serialize)]
struct Doubt {
    broker: String,
    label: String,
    reasons: Vec<String>,
}

#[derive(Serialize)]
struct Fault<'a> {
    broker: &'a str,
    label: String,
    faults: String,
    guarantee: &'static str,
}

/// A comparison with another run that lies beside the report.
#[derive(Serialize)]
struct ComparisonLink {
    heading: String,
    tally: String,
}

/// The standings, the best first.
const STANDINGS: [Standing; 4] =
    [Standing::Valid, Standing::Suspect, Standing::Unsustainable, Standing::Invalid];

impl<'a> VerdictSection<'a> {
    pub(super) fn of(record: &'a RunRecord, comparison: Option<&Comparison>) -> Self {
        let all: Vec<Judged<'_>> = judged(record).collect();
        let faults: Vec<Fault<'_>> = faulty(record)
            .into_iter()
            .map(|it| Fault {
                broker: &it.broker.name,
                label: it.label,
                faults: it.faults,
                guarantee: short(it.broker.guarantee),
            })
            .collect();
        let met = |it: &measure::ObjectiveOutcome| it.standing == ObjectiveStanding::Met;
        Self {
            measured: measured(record, all.len()),
            machine: machine(record),
            tally: STANDINGS.iter().map(|standing| Tally::of(*standing, &all)).collect(),
            belief: belief(&all),
            doubts: STANDINGS[1..].iter().filter_map(|it| Doubts::of(*it, &all)).collect(),
            deliveries: deliveries(record, &faults),
            faults,
            objectives: objectives(record),
            objectives_are_met: record.objectives.iter().all(met),
            warnings: &record.warnings,
            skipped: skipped(record),
            comparison: comparison.map(|comparison| ComparisonLink::of(comparison, record)),
        }
    }
}

/// `css_class` and meaning of a standing.
pub(super) fn standing_css(standing: Standing) -> &'static str {
    match standing {
        Standing::Valid => "valid",
        Standing::Suspect => "suspect",
        Standing::Unsustainable => "unsustainable",
        Standing::Invalid => "invalid",
    }
}

fn count(all: &[Judged<'_>], standing: Standing) -> u64 {
    all.iter().filter(|it| it.verdict.standing == standing).count() as u64
}

impl Tally {
    fn of(standing: Standing, all: &[Judged<'_>]) -> Self {
        let (name, meaning) = match standing {
            Standing::Valid => ("VALID", "nothing speaks against them"),
            Standing::Suspect => ("SUSPECT", "something may have distorted them"),
            Standing::Unsustainable => ("UNSUSTAINABLE", "the broker did not keep up"),
            Standing::Invalid => ("INVALID", "they say nothing about the broker"),
        };
        Self { name, count: count(all, standing), meaning, css_class: standing_css(standing) }
    }
}

impl Doubts {
    fn of(standing: Standing, all: &[Judged<'_>]) -> Option<Self> {
        let rows: Vec<Doubt> = all
            .iter()
            .filter(|it| it.verdict.standing == standing)
            .map(|it| Doubt {
                broker: it.broker.name.clone(),
                label: it.label.clone(),
                reasons: it.verdict.reasons.clone(),
            })
            .collect();
        let name = standing.to_string().to_uppercase();
        let summary = format!("{}, and why", counted(rows.len(), &format!("{name} measurement")));
        (!rows.is_empty()).then(|| Self { summary, css_class: standing_css(standing), rows })
    }
}

impl ComparisonLink {
    fn of(comparison: &Comparison, record: &RunRecord) -> Self {
        let other = match comparison.b.run_id == record.run_id {
            true => &comparison.a,
            false => &comparison.b,
        };
        Self {
            heading: format!("Compared with {}", other.run_id),
            tally: comparison.tally_in_words(),
        }
    }
}

/// `1 broker`, `7 brokers`.
fn counted(count: usize, thing: &str) -> String {
    let ending = if count == 1 { "" } else { "s" };
    format!("{} {thing}{ending}", grouped(count as u64))
}

fn measured(record: &RunRecord, cells: usize) -> String {
    let of_kind = |kind| record.brokers.iter().filter(move |broker| broker.kind == kind);
    let brokers = of_kind(BrokerKind::Broker);
    let classes = distinct(brokers.clone().map(|broker| broker.guarantee)).len();
    let classes = match classes {
        0 | 1 => String::new(),
        classes => format!(" of {classes} guarantee classes"),
    };
    let ceilings = match of_kind(BrokerKind::Ceiling).count() {
        0 => String::new(),
        ceilings => format!(" and {}", counted(ceilings, "ceiling")),
    };
    format!(
        "{}{classes}{ceilings} in {}, with the configuration “{}”.",
        counted(brokers.count(), "broker"),
        counted(cells, "measurement"),
        record.config_name
    )
}

fn machine(record: &RunRecord) -> String {
    let machine = &record.machine;
    format!(
        "One machine for brokers and load generator alike: {} of {} ({}), {} of memory, {}, {}. \
         Absolute figures drift between machines and hours: compare within this run.",
        counted(machine.logical_cores as usize, "logical core"),
        machine.cpu_model,
        machine.architecture,
        Quantity::Bytes.figure(machine.memory_bytes as f64),
        machine.kernel,
        machine.os
    )
}

/// What to make of the standings, in a sentence for each that occurs.
fn belief(all: &[Judged<'_>]) -> String {
    let [valid, suspect, unsustainable, invalid] = STANDINGS.map(|standing| count(all, standing));
    if all.is_empty() {
        return "Nothing was measured that could be believed.".to_owned();
    }
    if valid as usize == all.len() {
        return "Nothing speaks against any measurement: all may be believed.".to_owned();
    }
    let mut sentences = vec![match valid {
        0 => "No measurement is free of doubt.".to_owned(),
        valid => format!("Believe the {} VALID.", grouped(valid)),
    }];
    let mut add = |count: u64, words: &str| {
        if count > 0 {
            sentences.push(words.replace('#', &grouped(count)));
        }
    };
    add(suspect, "Take the # SUSPECT with caution: they are ranked, and marked.");
    add(
        unsustainable,
        "Of the # UNSUSTAINABLE believe that the broker did not keep up; they have no percentiles.",
    );
    add(invalid, "The # INVALID are in no ranking.");
    sentences.join(" ")
}

fn deliveries(record: &RunRecord, faults: &[Fault<'_>]) -> String {
    if record.brokers.is_empty() {
        return "Nothing was delivered.".to_owned();
    }
    match faults.len() {
        0 => "Every message came once, whole and in order.".to_owned(),
        _ => format!(
            "In {} messages were lost, duplicated, reordered or corrupted.",
            counted(faults.len(), "measurement")
        ),
    }
}

fn objectives(record: &RunRecord) -> String {
    let of = |standing| record.objectives.iter().filter(|it| it.standing == standing).count();
    if record.objectives.is_empty() {
        return "The configuration asserts none.".to_owned();
    }
    let met = of(ObjectiveStanding::Met);
    let missed = of(ObjectiveStanding::Missed);
    let not_measured = of(ObjectiveStanding::NotMeasured);
    format!("{met} met, {missed} missed, {not_measured} not measured.")
}

fn skipped(record: &RunRecord) -> String {
    let names: Vec<&str> = record.skipped.iter().map(|skipped| skipped.name.as_str()).collect();
    names.join(", ")
}
