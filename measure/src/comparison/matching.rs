//! Which cells of two runs belong together.

use super::cell::{Cell, LABEL, Run};
use super::outcome::{Fact, LeftOut, differences};
use super::reason::{FactDifference, Incomparable};

/// Two cells that belong together, and what speaks against comparing them.
pub(super) struct Matched<'a> {
    pub(super) a: &'a Cell,
    pub(super) b: &'a Cell,
    pub(super) incomparable: Option<Incomparable>,
}

/// Two runs, and the brokers of other names that are to meet.
pub(super) struct Matching<'a> {
    pub(super) a: &'a Run,
    pub(super) b: &'a Run,
    pub(super) pairs: &'a [(String, String)],
}

impl<'a> Matching<'a> {
    /// Pairs cells: first those that are the same, then those that are as nearly the same as can
    /// be, which tells how they differ. What is left has no counterpart.
    pub(super) fn cells(&self) -> (Vec<Matched<'a>>, Vec<LeftOut>) {
        let in_a: Vec<&Cell> =
            self.a.cells.iter().filter(|it| self.is_wanted(it, |p| &p.0)).collect();
        let mut free: Vec<&Cell> =
            self.b.cells.iter().filter(|it| self.is_wanted(it, |p| &p.1)).collect();
        let mut found: Vec<Option<Matched<'a>>> = Vec::with_capacity(in_a.len());
        for a in &in_a {
            let same = self.take(&mut free, a, |b| (b.facts == a.facts).then_some(0));
            found.push(same.map(|b| Matched { a, b, incomparable: None }));
        }
        for (a, found) in in_a.iter().zip(&mut found).filter(|(_, found)| found.is_none()) {
            let near = self.take(&mut free, a, |b| {
                b.is_alike(a).then(|| differences(&a.facts, &b.facts).len())
            });
            *found = near.map(|b| {
                let differences = told_apart(&a.facts, &b.facts);
                Matched { a, b, incomparable: Some(Incomparable::Configuration { differences }) }
            });
        }
        let without = in_a.iter().zip(&found).filter(|(_, found)| found.is_none());
        let mut left_out: Vec<LeftOut> =
            without.map(|(cell, _)| cell.left_out("only A has it")).collect();
        left_out.extend(free.iter().map(|cell| cell.left_out("only B has it")));
        (found.into_iter().flatten().collect(), left_out)
    }

    /// Within one run only brokers that are paired are compared: any other would meet itself.
    fn is_wanted(&self, cell: &Cell, name: impl Fn(&(String, String)) -> &String) -> bool {
        let all = self.pairs.is_empty() || !self.a.is_same_run(self.b);
        all || self.pairs.iter().any(|pair| *name(pair) == cell.broker)
    }

    /// Takes the cell of the same broker for which the distance is smallest, of those that have
    /// one.
    fn take(
        &self,
        free: &mut Vec<&'a Cell>,
        a: &Cell,
        distance: impl Fn(&Cell) -> Option<usize>,
    ) -> Option<&'a Cell> {
        let pair = self.pairs.iter().find(|(in_a, _)| *in_a == a.broker);
        let name = pair.map_or(&a.broker, |(_, in_b)| in_b);
        let same_broker = free.iter().enumerate().filter(|(_, cell)| cell.broker == *name);
        let nearest = same_broker.filter_map(|(index, cell)| Some((distance(cell)?, index))).min();
        nearest.map(|(_, index)| free.remove(index))
    }
}

/// How the facts of two cells differ; labels repeat what other facts say, and are told only if those
/// are the same.
fn told_apart(a: &[Fact], b: &[Fact]) -> Vec<FactDifference> {
    let mut all = differences(a, b);
    if all.iter().any(|difference| difference.fact != LABEL) {
        all.retain(|difference| difference.fact != LABEL);
    }
    all
}

impl Cell {
    fn left_out(&self, why: &str) -> LeftOut {
        LeftOut { what: format!("{}: {}", self.broker, self.label), why: why.to_owned() }
    }
}
