//! From what was measured, round by round, to the record that is kept.

mod ceilings;
mod crowds;
mod operations;
mod outages;
mod piles;
mod streams;

pub use ceilings::{relate_to_ceiling, relate_to_disk};
pub use crowds::{IdleRound, StormRound};
pub use operations::{OperationRound, OperationSum};
pub use outages::OutageRound;
pub use piles::{BacklogRound, PassRound, RestartRound};
pub use streams::{StreamRound, StreamSum};

use crate::config::LagPolicyChoice;
use crate::ledger::Faults;
use crate::plan::BrokerPlan;
use crate::process::ProcessSamples;
use measure::{
    BrokerRun, CellResources, DataPlace, DriverCeiling, HistogramSet, HistogramTag,
    LatencyHistogram, LoggedHistogram, Verdict,
};
use piles::{BacklogSum, RestartSum};
use std::time::Duration;

/// Everything measured of one broker so far.
#[derive(Debug, Default)]
pub struct Measured {
    /// How it was started.
    pub command_line: Vec<String>,
    /// Its own version.
    pub version: String,
    /// Where its files were; `None` if it had no directory.
    pub data_place: Option<DataPlace>,
    /// Its process over time.
    pub samples: ProcessSamples,
    operations: Vec<Option<OperationSum>>,
    streams: Vec<StreamSum>,
    backlogs: Vec<Option<BacklogSum>>,
    restarts: Vec<Option<RestartSum>>,
    storms: Vec<Vec<StormRound>>,
    idles: Vec<Vec<IdleRound>>,
    outages: Vec<Vec<OutageRound>>,
}

impl Measured {
    /// Room for what the plan will measure.
    #[must_use]
    pub fn of(plan: &BrokerPlan<'_>) -> Self {
        Self {
            operations: plan.operations.iter().map(|_| None).collect(),
            streams: plan.streams.iter().map(|_| StreamSum::default()).collect(),
            backlogs: plan.backlogs.iter().map(|_| None).collect(),
            restarts: plan.restarts.iter().map(|_| None).collect(),
            storms: vec![Vec::new(); plan.storms.len()],
            idles: vec![Vec::new(); plan.idles.len()],
            outages: vec![Vec::new(); plan.outages.len()],
            ..Self::default()
        }
    }

    /// Adds a round of an operation.
    pub fn add_operation(&mut self, cell: usize, round: OperationRound, times: [Duration; 2]) {
        match &mut self.operations[cell] {
            Some(sum) => sum.add(round, times),
            empty => *empty = Some(OperationSum::new(round, times)),
        }
    }

    /// Adds a round of a stream.
    pub fn add_stream(&mut self, cell: usize, round: StreamRound) {
        self.streams[cell].add(round);
    }

    /// Adds a round of a storm.
    pub fn add_storm(&mut self, cell: usize, round: StormRound) {
        self.storms[cell].push(round);
    }

    /// Adds a round of a crowd at rest.
    pub fn add_idle(&mut self, cell: usize, round: IdleRound) {
        self.idles[cell].push(round);
    }

    /// Adds a round of an outage.
    pub fn add_outage(&mut self, cell: usize, round: OutageRound) {
        self.outages[cell].push(round);
    }

    /// Whether anything was measured.
    #[must_use]
    pub fn has_any(&self) -> bool {
        self.operations.iter().any(Option::is_some)
            || self.streams.iter().any(|sum| !sum.is_empty())
            || self.backlogs.iter().any(Option::is_some)
            || self.restarts.iter().any(Option::is_some)
            || self.storms.iter().any(|rounds| !rounds.is_empty())
            || self.idles.iter().any(|rounds| !rounds.is_empty())
            || self.outages.iter().any(|rounds| !rounds.is_empty())
    }

    /// The record of the broker; its histograms are added to `histograms`.
    #[must_use]
    pub fn record(self, plan: &BrokerPlan<'_>, histograms: &mut HistogramSet) -> BrokerRun {
        let broker = plan.broker;
        let name = broker.name.as_str();
        let operations = plan.operations.iter().zip(self.operations);
        let operations = operations
            .filter_map(|(cell, sum)| Some(sum?.result(cell, name, histograms)))
            .collect();
        let streams = plan.streams.iter().zip(self.streams);
        let streams = streams
            .filter(|(_, sum)| !sum.is_empty())
            .map(|(cell, sum)| sum.result(cell, name, histograms))
            .collect();
        let storms = plan.storms.iter().zip(&self.storms);
        let storms = storms
            .filter_map(|(cell, rounds)| crowds::storm_result(rounds, cell, name, histograms))
            .collect();
        let idles = plan.idles.iter().zip(&self.idles);
        let idles = idles.filter_map(|(cell, rounds)| crowds::idle_result(rounds, cell)).collect();
        let outages = plan.outages.iter().zip(&self.outages);
        let outages = outages
            .filter_map(|(cell, rounds)| outages::result(rounds, cell, name, histograms))
            .collect();
        let backlogs = plan.backlogs.iter().zip(self.backlogs);
        let restarts = plan.restarts.iter().zip(self.restarts);
        BrokerRun {
            name: broker.name.clone(),
            kind: broker.driver.broker_kind(),
            version: self.version,
            command_line: self.command_line,
            driver: broker.driver.name().to_owned(),
            guarantee: broker.guarantee,
            config_text: broker.config_file.clone(),
            data_place: self.data_place,
            operations,
            streams,
            backlogs: backlogs.filter_map(|(cell, sum)| Some(sum?.result(cell))).collect(),
            restarts: restarts.filter_map(|(cell, sum)| Some(sum?.result(cell))).collect(),
            storms,
            idles,
            outages,
            knees: Vec::new(),
            resources: self.samples.resources,
            marks: self.samples.marks,
        }
    }

    /// What the generator can do with the broker's driver, where that was measured.
    #[must_use]
    pub fn ceilings(&self, plan: &BrokerPlan<'_>) -> Vec<DriverCeiling> {
        let streams = plan.streams.iter().zip(&self.streams);
        let ceilings = streams.filter_map(|(cell, sum)| {
            Some(DriverCeiling {
                driver: plan.broker.driver.name().to_owned(),
                cell: cell.label(),
                deliveries_per_s: sum.ceiling_per_s()?,
            })
        });
        ceilings.collect()
    }

    /// Errors that were counted, one sentence for each cell that had any.
    #[must_use]
    pub fn error_warnings(&self, plan: &BrokerPlan<'_>) -> Vec<String> {
        let cells = plan.operations.iter().zip(&self.operations);
        cells
            .filter_map(|(cell, sum)| {
                let errors = sum.as_ref()?.errors();
                let counted: Vec<_> =
                    errors.iter().map(|(code, count)| format!("{count} × {code}")).collect();
                let label = cell.label();
                (!counted.is_empty()).then(|| {
                    format!("{}: {label}: errors: {}", plan.broker.name, counted.join(", "))
                })
            })
            .collect()
    }

    /// Measurements in which messages did not come as promised, one sentence each.
    #[must_use]
    pub fn breaches(&self, plan: &BrokerPlan<'_>) -> Vec<String> {
        let streams = plan.streams.iter().zip(&self.streams);
        let streams = streams.filter_map(|(cell, sum)| sum.breach(cell));
        let found = streams.chain(self.pile_breaches(plan)).chain(self.outage_breaches(plan));
        found.map(|breach| format!("{}: {breach}", plan.broker.name)).collect()
    }
}

/// Where histograms go, and when they were recorded.
struct Logged<'a> {
    histograms: &'a mut HistogramSet,
    times: [Duration; 2],
}

impl Logged<'_> {
    /// Adds one; the tag that it was given.
    fn add(&mut self, tag: HistogramTag, histogram: LatencyHistogram) -> HistogramTag {
        let [start, end] = self.times;
        let interval = end.saturating_sub(start);
        self.histograms.add(tag.clone(), LoggedHistogram { start, interval, histogram });
        tag
    }
}

/// Which promise was broken; a stream that may skip may lose.
fn breach(faults: Faults, lag_policy: LagPolicyChoice) -> Option<String> {
    let allowed = match lag_policy {
        LagPolicyChoice::Hold => Faults::default(),
        LagPolicyChoice::Skip => Faults { lost: faults.lost, ..Faults::default() },
    };
    let Faults { lost, duplicated, reordered, corrupted } = faults;
    (faults != allowed).then(|| {
        format!(
            "expected every message once, whole and in order; found {lost} lost, \
             {duplicated} duplicated, {reordered} reordered, {corrupted} corrupted"
        )
    })
}

/// The verdict on all rounds: the worst, with every reason once.
fn verdict<'a>(rounds: impl Iterator<Item = &'a Verdict>) -> Verdict {
    let mut all = Verdict::default();
    for round in rounds {
        all.standing = all.standing.max(round.standing);
        for reason in &round.reasons {
            if !all.reasons.contains(reason) {
                all.reasons.push(reason.clone());
            }
        }
    }
    all
}

/// What all rounds used: times and counts are summed, of sizes the most is taken. `units`: messages
/// delivered or acknowledged, or requests answered, in all rounds.
fn resources<'a>(
    rounds: impl Iterator<Item = Option<&'a CellResources>>,
    units: u64,
) -> Option<CellResources> {
    let mut sum: Option<CellResources> = None;
    for used in rounds.flatten() {
        let sum = sum.get_or_insert_default();
        sum.cpu_user_ns += used.cpu_user_ns;
        sum.cpu_system_ns += used.cpu_system_ns;
        sum.resident_bytes_max = sum.resident_bytes_max.max(used.resident_bytes_max);
        sum.threads_max = sum.threads_max.max(used.threads_max);
        sum.file_descriptors_max = sum.file_descriptors_max.max(used.file_descriptors_max);
        sum.context_switches_voluntary += used.context_switches_voluntary;
        sum.context_switches_involuntary += used.context_switches_involuntary;
        add(&mut sum.disk_written_bytes, used.disk_written_bytes);
        add(&mut sum.disk_flushes, used.disk_flushes);
    }
    if let (Some(sum), true) = (&mut sum, units > 0) {
        sum.cpu_us_per_delivery = Some(sum.cpu_ns() as f64 / 1e3 / units as f64);
    }
    sum
}

fn add(sum: &mut Option<u64>, more: Option<u64>) {
    if let Some(more) = more {
        *sum.get_or_insert(0) += more;
    }
}
