//! What a comparison comes to: the file format of `comparison.json`.

use serde::{Deserialize, Serialize};
use std::fmt;

use super::metric::{Direction, Metric};
use super::reason::{FactDifference, Incomparable, Side};
use crate::statistics::{Bootstrap, Drift, Estimate, PMethod};
use crate::{BrokerKind, MachineFacts};

/// The version of the comparison's format that this crate writes and reads.
pub const COMPARISON_FORMAT_VERSION: u32 = 1;

/// Two runs, compared cell by cell and metric by metric.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// Always [`COMPARISON_FORMAT_VERSION`] in a comparison that this crate read.
    pub format_version: u32,
    /// What is compared with: the baseline.
    pub a: ComparedRun,
    /// What is compared: the candidate.
    pub b: ComparedRun,
    /// How it was compared.
    pub method: Method,
    /// What both runs measured, in A's order.
    pub cells: Vec<ComparedCell>,
    /// What is not compared at all, and why.
    pub left_out: Vec<LeftOut>,
    /// What a reader must know beside.
    pub notes: Vec<String>,
}

/// One side's run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ComparedRun {
    /// Its unique name.
    pub run_id: String,
    /// When it started, in milliseconds since the Unix epoch.
    pub started_at_unix_ms: u64,
    /// The Tandem version that measured.
    pub tandem_version: String,
    /// The name of its configuration.
    pub config_name: String,
    /// The machine it ran on.
    pub machine: MachineFacts,
}

/// How two runs were compared; with the records it gives the same figures again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Method {
    /// How intervals were found.
    pub bootstrap: Bootstrap,
    /// The fraction of comparisons of like with like in which anything may be called a difference.
    pub significance: f64,
    /// The seed of all randomness.
    pub seed: u64,
    /// Valid repeats that each side needs.
    pub repeats_min: u32,
    /// Whether the sides took turns in one run; if not, how much neighbouring repeats are alike,
    /// over all metrics.
    pub drift: Drift,
    /// How many tests the p values are corrected for, by Holm's procedure.
    pub tests: u32,
    /// The comparison of like with like that noise was taken from too, as `A against B`.
    pub noise_of: Option<String>,
}

/// One cell that both runs measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ComparedCell {
    /// The broker's name in A.
    pub broker_a: String,
    /// The broker's name in B; the same unless other names were paired.
    pub broker_b: String,
    /// Broker, or a ceiling: what changes in a ceiling is the machine.
    pub kind: BrokerKind,
    /// What is measured, for people.
    pub label: String,
    /// What makes the cell what it is in A: what another must have in common to be compared.
    pub facts: Vec<Fact>,
    /// How many repeats A has.
    pub repeats_a: Repeats,
    /// How many repeats B has.
    pub repeats_b: Repeats,
    /// Why no metric is compared; `None` if they are.
    pub incomparable: Option<Incomparable>,
    /// Every metric that either side measured; empty if the cell is incomparable.
    pub metrics: Vec<ComparedMetric>,
}

/// One fact of what was measured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fact {
    /// What it is a fact of, e.g. `payload`.
    pub name: String,
    /// Its value, e.g. `100 B`.
    pub value: String,
}

/// How many repeats a side has of a cell.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repeats {
    /// Those that are compared.
    pub valid: u32,
    /// Those that the run found invalid, and that are left out.
    pub invalid: u32,
    /// Those of the valid ones that the run found suspect.
    pub suspect: u32,
    /// Those of the valid ones in which the broker did not keep up with the offered rate; their
    /// latencies are left out.
    pub unsustainable: u32,
}

/// One metric of a cell.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ComparedMetric {
    /// Which.
    pub metric: Metric,
    /// The median over A's repeats; `None` if A did not measure it.
    pub a: Option<Estimate>,
    /// The median over B's repeats; `None` if B did not measure it.
    pub b: Option<Estimate>,
    /// How they differ; `None` if they could not be tested.
    pub difference: Option<Difference>,
    /// What that comes to.
    pub verdict: Change,
}

/// How B differs from A.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Difference {
    /// The median of B over that of A.
    pub ratio: Estimate,
    /// The two-sided p value of the Mann-Whitney U test, for repeats as much like their neighbours as
    /// [`Method::drift`] says.
    pub p: f64,
    /// `p` corrected for all tests of the comparison.
    pub p_adjusted: f64,
    /// The smallest `p` that so many repeats could have reached.
    pub p_min: f64,
    /// How `p` was found.
    pub p_method: PMethod,
    /// Cliff's delta: how much more often a value of B is larger than one of A than smaller.
    pub cliffs_delta: f64,
    /// At least 1: a ratio between this and its inverse is noise.
    pub noise_floor_ratio: f64,
    /// Where the floor comes from.
    pub noise_source: NoiseSource,
}

/// Where a noise floor comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NoiseSource {
    /// From the spread of the repeats themselves.
    Repeats,
    /// From a comparison of like with like, in which the same metric lay further apart.
    StoredComparison,
}

/// What became of a metric from A to B.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// B is better, by more than noise.
    Better,
    /// B is worse, by more than noise.
    Worse,
    /// No difference that could be told from noise.
    WithinNoise,
    /// It cannot be told, and why.
    Incomparable(Incomparable),
}

/// What is in one run only, or was not to be compared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    /// The broker, and the cell if it is one cell.
    pub what: String,
    /// Why it is left out.
    pub why: String,
}

/// A metric that is worse, and where.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Regression<'a> {
    /// Where.
    pub cell: &'a ComparedCell,
    /// Which.
    pub metric: &'a ComparedMetric,
    /// How it differs.
    pub difference: &'a Difference,
}

impl fmt::Display for Regression<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cell, metric, .. } = self;
        let (broker, label) = (cell.broker(), &cell.label);
        write!(f, "{broker}: {label}: {} {}", metric.metric.label(), metric.change_in_words())
    }
}

/// How many metrics came to what.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Better ones.
    pub better: u32,
    /// Worse ones.
    pub worse: u32,
    /// Those within noise.
    pub within_noise: u32,
    /// Incomparable ones, each incomparable cell counted once.
    pub incomparable: u32,
}

impl Tally {
    /// How many metrics could be compared.
    #[must_use]
    pub fn compared(&self) -> u32 {
        self.better + self.worse + self.within_noise
    }
}

impl Comparison {
    /// What is worse in B by at least so many percent of A. Ceilings are no brokers, and do not
    /// count.
    pub fn regressions(&self, threshold_percent: f64) -> impl Iterator<Item = Regression<'_>> {
        let brokers = self.cells.iter().filter(|cell| cell.kind == BrokerKind::Broker);
        let metrics = brokers.flat_map(|cell| {
            cell.metrics.iter().filter_map(move |metric| {
                let difference = metric.difference.as_ref()?;
                (metric.verdict == Change::Worse).then_some(Regression { cell, metric, difference })
            })
        });
        metrics.filter(move |found| found.difference.change_percent().abs() >= threshold_percent)
    }

    /// How many metrics came to what.
    #[must_use]
    pub fn tally(&self) -> Tally {
        let mut tally = Tally::default();
        for cell in &self.cells {
            tally.incomparable += u32::from(cell.incomparable.is_some());
            for metric in &cell.metrics {
                match metric.verdict {
                    Change::Better => tally.better += 1,
                    Change::Worse => tally.worse += 1,
                    Change::WithinNoise => tally.within_noise += 1,
                    Change::Incomparable(_) => tally.incomparable += 1,
                }
            }
        }
        tally
    }
}

impl ComparedCell {
    /// The broker's name, or both where they differ: `old → new`.
    #[must_use]
    pub fn broker(&self) -> String {
        match self.broker_a == self.broker_b {
            true => self.broker_a.clone(),
            false => format!("{} → {}", self.broker_a, self.broker_b),
        }
    }
}

impl Difference {
    /// How much more B is than A, in percent of A; negative if less.
    #[must_use]
    pub fn change_percent(&self) -> f64 {
        percent_of_ratio(self.ratio.value)
    }

    /// Whether the ratio lies within the noise floor.
    #[must_use]
    pub fn is_within_noise(&self) -> bool {
        self.ratio.value.ln().abs() <= self.noise_floor_ratio.ln()
    }

    pub(super) fn change(&self, metric: Metric) -> Change {
        let is_more = self.ratio.value > 1.0;
        match (metric.direction(), is_more) {
            (Direction::HigherIsBetter, true) | (Direction::LowerIsBetter, false) => Change::Better,
            (Direction::HigherIsBetter, false) | (Direction::LowerIsBetter, true) => Change::Worse,
        }
    }
}

/// A ratio as a change in percent.
#[must_use]
pub fn percent_of_ratio(ratio: f64) -> f64 {
    (ratio - 1.0) * 100.0
}

impl Change {
    /// The verdict in words, without its reason.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Self::Better => "better",
            Self::Worse => "worse",
            Self::WithinNoise => "within noise",
            Self::Incomparable(_) => "incomparable",
        }
    }
}

/// Facts that are not the same, or are there on one side only.
pub(super) fn differences(a: &[Fact], b: &[Fact]) -> Vec<FactDifference> {
    let value = |facts: &[Fact], name: &str| {
        let fact = facts.iter().find(|fact| fact.name == name);
        fact.map_or_else(|| "absent".to_owned(), |fact| fact.value.clone())
    };
    let only_b = b.iter().filter(|in_b| a.iter().all(|in_a| in_a.name != in_b.name));
    let differing = a.iter().chain(only_b).map(|fact| FactDifference {
        fact: fact.name.clone(),
        a: value(a, &fact.name),
        b: value(b, &fact.name),
    });
    differing.filter(|difference| difference.a != difference.b).collect()
}

impl Side {
    /// Both sides, with what each has.
    pub(super) fn each<T>(a: T, b: T) -> [(Self, T); 2] {
        [(Self::A, a), (Self::B, b)]
    }
}
