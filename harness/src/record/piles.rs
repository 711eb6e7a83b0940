//! Backlogs and restarts, summed over rounds.

use super::{Measured, breach};
use crate::ledger::Faults;
use crate::plan::{BacklogCell, BrokerPlan, RestartCell};
use crate::validity::Loss;
use measure::{
    BacklogDrain, BacklogPass, BacklogResult, DeliveryFaults, RestartResult, rate_per_s,
};

/// One round of a backlog.
#[derive(Clone, Debug)]
pub struct BacklogRound {
    /// Resident memory before the first message.
    pub resident_bytes_before: Option<u64>,
    /// Publishing.
    pub build: PassRound,
    /// Each reading, in the order of the plan, and what was wrong with it.
    pub drains: Vec<(PassRound, Faults)>,
}

/// One way through a backlog, from end to end.
#[derive(Clone, Copy, Debug)]
pub struct PassRound {
    /// Messages acknowledged, or delivered.
    pub messages: u64,
    /// From the first to the last.
    pub duration_ns: u64,
    /// The most resident memory meanwhile.
    pub resident_bytes_max: Option<u64>,
}

/// One round of a restart.
#[derive(Clone, Copy, Debug)]
pub struct RestartRound {
    /// From the signal to the end of the process.
    pub stop_ns: u64,
    /// From the start to the word that it is ready.
    pub ready_ns: u64,
    /// What its files occupied in between.
    pub stored_bytes: u64,
    /// Resident memory when it was ready.
    pub resident_bytes: u64,
    /// What was wrong with what was read afterwards.
    pub faults: Faults,
}

/// A backlog's rounds, summed; memory is the most of any.
#[derive(Debug)]
pub(super) struct BacklogSum(BacklogRound);

/// A restart's rounds.
#[derive(Debug, Default)]
pub(super) struct RestartSum {
    stop_ns: Vec<u64>,
    ready_ns: Vec<u64>,
    stored_bytes: u64,
    resident_bytes_max: u64,
    faults: Faults,
}

impl Measured {
    /// Adds a round of a backlog.
    pub fn add_backlog(&mut self, cell: usize, round: BacklogRound) {
        match &mut self.backlogs[cell] {
            Some(sum) => sum.add(&round),
            empty => *empty = Some(BacklogSum(round)),
        }
    }

    /// Adds a round of a restart.
    pub fn add_restart(&mut self, cell: usize, round: &RestartRound) {
        self.restarts[cell].get_or_insert_default().add(round);
    }

    /// Backlogs and restarts in which anything was lost, doubled, reordered or damaged.
    pub(super) fn pile_breaches(&self, plan: &BrokerPlan<'_>) -> Vec<String> {
        let mut found = Vec::new();
        for (cell, sum) in plan.backlogs.iter().zip(&self.backlogs) {
            let drains = sum.iter().flat_map(|BacklogSum(round)| &round.drains);
            for (cache, (_, faults)) in cell.drains.iter().zip(drains) {
                let breach = breach(*faults, Loss::Forbidden);
                found.extend(breach.map(|it| format!("{}, {cache} drain: {it}", cell.label())));
            }
        }
        for (cell, sum) in plan.restarts.iter().zip(&self.restarts) {
            let faults = sum.as_ref().map(|sum| sum.faults).unwrap_or_default();
            let breach = breach(faults, Loss::Forbidden);
            found.extend(breach.map(|breach| format!("{}: {breach}", cell.label())));
        }
        found
    }
}

impl BacklogSum {
    fn add(&mut self, round: &BacklogRound) {
        let Self(sum) = self;
        sum.build.add(&round.build);
        for ((sum, sum_faults), (round, round_faults)) in sum.drains.iter_mut().zip(&round.drains) {
            sum.add(round);
            *sum_faults += *round_faults;
        }
        sum.resident_bytes_before = sum.resident_bytes_before.max(round.resident_bytes_before);
    }

    pub(super) fn result(&self, cell: &BacklogCell) -> BacklogResult {
        let (Self(sum), pile) = (self, &cell.pile);
        let drains = cell.drains.iter().zip(&sum.drains);
        BacklogResult {
            publishers: pile.publishers,
            payload_bytes: pile.payload_bytes as u64,
            messages: pile.messages,
            resident_bytes_before: sum.resident_bytes_before,
            build: sum.build.result(pile.payload_bytes),
            drains: drains
                .map(|(&cache, (pass, faults))| BacklogDrain {
                    cache,
                    pass: pass.result(pile.payload_bytes),
                    faults: delivery_faults(*faults),
                })
                .collect(),
        }
    }
}

impl PassRound {
    fn add(&mut self, round: &Self) {
        self.messages += round.messages;
        self.duration_ns += round.duration_ns;
        self.resident_bytes_max = self.resident_bytes_max.max(round.resident_bytes_max);
    }

    fn result(&self, payload_bytes: usize) -> BacklogPass {
        let per_s = rate_per_s(self.messages, self.duration_ns);
        BacklogPass {
            messages: self.messages,
            duration_ns: self.duration_ns,
            per_s,
            bytes_per_s: per_s * payload_bytes as f64,
            resident_bytes_max: self.resident_bytes_max,
            ratio_to_disk: None,
        }
    }
}

impl RestartSum {
    fn add(&mut self, round: &RestartRound) {
        self.stop_ns.push(round.stop_ns);
        self.ready_ns.push(round.ready_ns);
        self.stored_bytes = self.stored_bytes.max(round.stored_bytes);
        self.resident_bytes_max = self.resident_bytes_max.max(round.resident_bytes);
        self.faults += round.faults;
    }

    pub(super) fn result(self, cell: &RestartCell) -> RestartResult {
        RestartResult {
            stop: cell.stop,
            payload_bytes: cell.pile.payload_bytes as u64,
            messages: cell.pile.messages,
            stop_ns: self.stop_ns,
            ready_ns: self.ready_ns,
            stored_bytes: self.stored_bytes,
            resident_bytes_max: self.resident_bytes_max,
            faults: delivery_faults(self.faults),
        }
    }
}

fn delivery_faults(faults: Faults) -> DeliveryFaults {
    let Faults { lost, duplicated, reordered, corrupted } = faults;
    DeliveryFaults { lost, duplicated, reordered, corrupted }
}
