//! What is compared, apart from how a run record lays it out: cells, and the figures of their
//! repeats.

use super::metric::Metric;
use super::outcome::{ComparedRun, Fact};
use crate::BrokerKind;

/// The fact that says what sort of measurement a cell is.
pub(super) const KIND: &str = "measurement";

/// The fact that says who sends to whom.
pub(super) const SHAPE: &str = "shape";

/// The fact that says what was asked of the broker.
pub(super) const OPERATION: &str = "operation";

/// The fact that says what the configuration or the harness calls the cell.
pub(super) const LABEL: &str = "label";

/// One side of a comparison.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Run {
    pub(super) facts: ComparedRun,
    /// What must be the same for any figures to compare.
    pub(super) machine: Vec<Fact>,
    pub(super) config_toml: String,
    pub(super) cells: Vec<Cell>,
}

/// One measurement of one broker.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Cell {
    pub(super) broker: String,
    pub(super) kind: BrokerKind,
    pub(super) guarantee: String,
    pub(super) label: String,
    /// What makes it what it is.
    pub(super) facts: Vec<Fact>,
    /// Of the cell as a whole.
    pub(super) validity: Validity,
    /// What the run found wrong with it.
    pub(super) reasons: Vec<String>,
    /// In the order they ran.
    pub(super) repeats: Vec<Repeat>,
}

/// Whether figures may be relied on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Validity {
    Valid,
    /// Compared, and told.
    Suspect,
    /// Compared but for its latencies.
    Unsustainable,
    /// Not compared.
    Invalid,
}

/// The figures of one repeat.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Repeat {
    pub(super) validity: Validity,
    pub(super) values: Vec<(Metric, f64)>,
}

impl Run {
    pub(super) fn is_same_run(&self, other: &Self) -> bool {
        self.facts.run_id == other.facts.run_id
    }
}

impl Repeat {
    /// Leaves out what was not measured.
    pub(super) fn new(
        validity: Validity,
        values: impl IntoIterator<Item = (Metric, Option<f64>)>,
    ) -> Self {
        let measured = values.into_iter().filter_map(|(metric, value)| Some((metric, value?)));
        Self { validity, values: measured.filter(|(_, value)| value.is_finite()).collect() }
    }

    pub(super) fn value(&self, metric: Metric) -> Option<f64> {
        self.values.iter().find(|(known, _)| *known == metric).map(|(_, value)| *value)
    }
}

impl Cell {
    /// Whether the other measures so nearly the same that the rest is worth telling apart.
    pub(super) fn is_alike(&self, other: &Self) -> bool {
        [KIND, SHAPE, OPERATION].iter().all(|name| self.fact(name) == other.fact(name))
    }

    fn fact(&self, name: &str) -> Option<&str> {
        let fact = self.facts.iter().find(|fact| fact.name == name);
        fact.map(|fact| fact.value.as_str())
    }
}

impl Fact {
    pub(super) fn new(name: &str, value: &(impl ToString + ?Sized)) -> Self {
        Self { name: name.to_owned(), value: value.to_string() }
    }
}
