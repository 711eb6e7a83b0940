//! Brokers in order, within each guarantee class and never across; ceilings stand apart.

use measure::{BrokerKind, BrokerRun, GuaranteeClass, RunRecord, Standing};
use serde::Serialize;

use super::headline::{Headline, Score};
use super::tables::Detail;
use crate::quantity::Quantity;
use crate::series::standing_label;

/// The brokers that promise the same.
#[derive(Serialize)]
pub(super) struct ClassRanking {
    label: String,
    promise: &'static str,
    /// The only member, where there is nobody to be ordered with.
    alone: Option<String>,
    cells: Vec<RankedCell>,
}

/// One headline measurement and who did how well.
#[derive(Serialize)]
struct RankedCell {
    caption: String,
    entries: Vec<Entry>,
}

#[derive(Serialize)]
struct Entry {
    /// `None`: not ranked.
    place: Option<usize>,
    broker: String,
    figure: String,
    note: String,
    fault: Option<String>,
    /// Its share of the best, in percent, to draw a bar; 0 of what is not ranked.
    share_percent: u32,
}

/// A ranking for each guarantee class that a broker of the run has.
pub(super) fn classes(record: &RunRecord) -> Vec<ClassRanking> {
    let headlines = Headline::all(record);
    let classes = GuaranteeClass::ALL.into_iter();
    classes.filter_map(|class| class_ranking(record, class, &headlines)).collect()
}

fn class_ranking(
    record: &RunRecord,
    class: GuaranteeClass,
    headlines: &[Headline],
) -> Option<ClassRanking> {
    let is_member =
        |broker: &&BrokerRun| broker.kind == BrokerKind::Broker && broker.guarantee == class;
    let members: Vec<&BrokerRun> = record.brokers.iter().filter(is_member).collect();
    let cells = headlines.iter().filter_map(|headline| ranked_cell(headline, &members));
    (!members.is_empty()).then(|| ClassRanking {
        label: capitalised(class.label()),
        promise: promise(class),
        alone: match &members[..] {
            [only] => Some(only.name.clone()),
            _ => None,
        },
        cells: cells.collect(),
    })
}

/// For a heading: `Acknowledged to the OS`.
fn capitalised(label: &str) -> String {
    let mut letters = label.chars();
    let first = letters.next().map(|letter| letter.to_uppercase().to_string());
    first.unwrap_or_default() + letters.as_str()
}

/// What is true of a message once its publication is acknowledged.
fn promise(class: GuaranteeClass) -> &'static str {
    match class {
        GuaranteeClass::AtMostOnce => "Nothing is promised: a message may be lost at any time.",
        GuaranteeClass::InMemory => "What is acknowledged ends with the broker's process.",
        GuaranteeClass::OperatingSystem => {
            "What is acknowledged survives the end of the process, and a loss of power only once \
             the system has written it."
        }
        GuaranteeClass::Synced => "What is acknowledged survives a loss of power.",
        GuaranteeClass::Replicated => "What is acknowledged is on more than one machine.",
    }
}

fn ranked_cell(headline: &Headline, members: &[&BrokerRun]) -> Option<RankedCell> {
    let scores: Vec<(&BrokerRun, Option<Score>)> =
        members.iter().map(|broker| (*broker, headline.score(broker))).collect();
    if scores.iter().all(|(_, score)| score.is_none()) {
        return None;
    }
    let (mut ranked, mut unranked) = (Vec::new(), Vec::new());
    for (broker, score) in scores {
        match score {
            Some(score) if may_be_ranked(&score) => ranked.push((broker, score)),
            other => unranked.push(unranked_entry(broker, other)),
        }
    }
    ranked.sort_by(|a, b| b.1.rank.total_cmp(&a.1.rank));
    let best = ranked.first().map_or(0.0, |(_, score)| score.rank);
    let entries = ranked.iter().enumerate().map(|(index, (broker, score))| Entry {
        place: Some(index + 1),
        broker: broker.name.clone(),
        figure: score.figure.clone(),
        note: score.note.clone(),
        fault: standing_label(score.standing).map(str::to_owned),
        share_percent: share_percent(score.rank, best),
    });
    Some(RankedCell { caption: headline.caption(), entries: entries.chain(unranked).collect() })
}

fn may_be_ranked(score: &Score) -> bool {
    score.standing.may_be_ranked() && score.fault.is_none() && score.rank.is_finite()
}

/// Ranks of latencies are negative: there the best has the smallest.
fn share_percent(rank: f64, best: f64) -> u32 {
    let share = if best < 0.0 { best / rank } else { rank / best };
    if share.is_finite() { (share * 100.0).round().clamp(0.0, 100.0) as u32 } else { 0 }
}

fn unranked_entry(broker: &BrokerRun, score: Option<Score>) -> Entry {
    let entry = |figure: String, fault: Option<String>| Entry {
        place: None,
        broker: broker.name.clone(),
        figure,
        note: String::new(),
        fault,
        share_percent: 0,
    };
    let Some(score) = score else { return entry("not measured".to_owned(), None) };
    match (score.standing, score.fault) {
        (Standing::Invalid, _) => entry("INVALID".to_owned(), None),
        (Standing::Unsustainable, fault) => entry("UNSUSTAINABLE".to_owned(), fault),
        (_, fault) => entry(score.figure, fault),
    }
}

/// What the ceilings reached at the headline measurements.
pub(super) fn ceilings(record: &RunRecord) -> Detail {
    let headlines = Headline::all(record);
    let ceilings = record.brokers.iter().filter(|broker| broker.kind == BrokerKind::Ceiling);
    let rows = ceilings.flat_map(|ceiling| {
        headlines.iter().filter_map(move |headline| {
            let score = headline.score(ceiling)?;
            let figure = match standing_label(score.standing) {
                Some(standing) if !score.standing.may_be_ranked() => standing.to_owned(),
                _ => score.figure,
            };
            Some(vec![ceiling.name.clone(), headline.caption(), figure])
        })
    });
    Detail {
        id: "ceilings",
        caption: "Bounds to compare brokers with; they are no brokers, and in no ranking",
        words: 2,
        columns: &["ceiling", "measurement", "reached"],
        rows: rows.collect(),
    }
}

/// How fast the load generator's drivers are against nothing.
pub(super) fn driver_ceilings(record: &RunRecord) -> Detail {
    let rows = record.ceilings.iter().map(|ceiling| {
        let per_s = Quantity::Rate.figure(ceiling.deliveries_per_s);
        vec![ceiling.driver.clone(), ceiling.cell.clone(), format!("{per_s}/s")]
    });
    Detail {
        id: "driver-ceilings",
        caption: "Each driver of the load generator against nothing: no broker can be seen to be \
                  faster",
        words: 2,
        columns: &["driver", "measurement", "deliveries"],
        rows: rows.collect(),
    }
}
