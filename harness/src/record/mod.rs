//! From what was measured, round by round, to the record that is kept.

mod ceilings;
mod crowds;
mod figures;
mod knees;
mod objectives;
mod operations;
mod outages;
mod piles;
mod streams;

pub use ceilings::{relate_to_ceiling, relate_to_disk};
pub use crowds::{IdleRound, StormRound};
pub use knees::{Knee, stream_meets};
pub use objectives::evaluate as evaluate_objectives;
pub use operations::{OperationRound, OperationSum};
pub use outages::OutageRound;
pub use piles::{BacklogRound, PassRound, RestartRound};
pub use streams::{StreamRound, StreamSum};

use crate::ledger::Faults;
use crate::plan::BrokerPlan;
use crate::process::ProcessSamples;
use crate::validity::Loss;
use measure::{
    BrokerRun, CellResources, DataPlace, DriverCeiling, HistogramSet, HistogramTag,
    LatencyHistogram, LoggedHistogram, Verdict,
};
use piles::{BacklogSum, RestartSum};
use std::collections::BTreeSet;
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
    warnings: BTreeSet<String>,
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

    /// Something that its figures lack, said once however often it is found.
    pub fn warn(&mut self, warning: String) {
        self.warnings.insert(warning);
    }

    /// What the search of a stream came to.
    pub fn set_knee(&mut self, cell: usize, knee: Knee) {
        self.streams[cell].set_knee(knee);
    }

    /// What the search of a stream came to, once it is over.
    #[must_use]
    pub fn knee(&self, cell: usize) -> Option<&Knee> {
        self.streams[cell].knee()
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
            || self.streams.iter().any(|sum| !sum.is_empty() || sum.knee().is_some())
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
        let knees = plan.streams.iter().zip(&self.streams);
        let knees = knees.filter_map(|(cell, sum)| Some(sum.knee()?.clone().result(cell)));
        let knees = knees.collect();
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
            knees,
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

    /// What its figures lack, and errors that were counted, a sentence each.
    #[must_use]
    pub fn warnings(&self, plan: &BrokerPlan<'_>) -> Vec<String> {
        let name = &plan.broker.name;
        let lacking = self.warnings.iter().map(|warning| format!("{name}: {warning}"));
        lacking.chain(self.error_warnings(plan)).collect()
    }

    fn error_warnings(&self, plan: &BrokerPlan<'_>) -> Vec<String> {
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
        let streams = streams.filter_map(|(cell, sum)| sum.breach(cell, plan.broker));
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

/// Which promise was broken.
fn breach(faults: Faults, loss: Loss) -> Option<String> {
    let allowed = match loss {
        Loss::Forbidden => Faults::default(),
        Loss::Allowed => Faults { lost: faults.lost, ..Faults::default() },
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
    // Less than a tick of the kernel's is told as nothing.
    if let Some(sum) = sum.as_mut().filter(|sum| units > 0 && sum.cpu_ns() > 0) {
        sum.cpu_us_per_delivery = Some(sum.cpu_ns() as f64 / 1e3 / units as f64);
    }
    sum
}

fn add(sum: &mut Option<u64>, more: Option<u64>) {
    if let Some(more) = more {
        *sum.get_or_insert(0) += more;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::engine::{OperationOutcome, StreamOutcome};
    use crate::generator_watch::GeneratorUse;
    use crate::plan::Plan;
    use measure::Standing;

    fn config(lag_policy: &str) -> Config {
        Config::parse(&format!(
            "name = \"r\"\n[[brokers]]\nname = \"n\"\ndriver = \"null\"\n\
             [operations]\nlist = [\"publish\"]\nclients = [1]\ncount = 1\n\
             [[streams]]\npublishers = 1\nsubscribers = 1\npayload_bytes = [16]\n\
             messages = 1\nlag_policy = \"{lag_policy}\"\n"
        ))
        .unwrap()
    }

    const TIMES: [Duration; 2] = [Duration::ZERO, Duration::from_secs(1)];

    fn verdict(standing: Standing, reason: &str) -> Verdict {
        Verdict { standing, reasons: vec![reason.to_owned()] }
    }

    fn operation(count: u64, errors: &[(&str, u64)], verdict: Verdict) -> OperationRound {
        let mut latencies = LatencyHistogram::new();
        latencies.record_ns_n(1000, count);
        let errors = errors.iter().map(|(code, count)| ((*code).to_owned(), *count)).collect();
        let (duration_ns, threads_cpu_ns) = (1_000_000_000, Vec::new());
        let outcome = OperationOutcome { count, errors, duration_ns, latencies, threads_cpu_ns };
        OperationRound { outcome, resources: None, verdict }
    }

    fn stream(received: u64, faults: Faults) -> StreamRound {
        let duration_ns = 1_000_000_000;
        let nobody_read = StreamOutcome::written(0, duration_ns, LatencyHistogram::new());
        StreamRound {
            outcome: StreamOutcome { sent: 10, expected: 10, received, faults, ..nobody_read },
            times: TIMES,
            resources: None,
            generator: GeneratorUse::default(),
            ceiling_per_s: Some(received as f64 * 2.0),
            verdict: Verdict::default(),
            rate_per_s: None,
        }
    }

    fn measured(config: &Config, streams: impl IntoIterator<Item = StreamRound>) -> BrokerRun {
        let plan = Plan::of(config).brokers.remove(0);
        let mut measured = Measured::of(&plan);
        streams.into_iter().for_each(|round| measured.add_stream(0, round));
        measured.record(&plan, &mut HistogramSet::new())
    }

    #[test]
    fn rounds_are_summed_and_errors_named() {
        let config = config("hold");
        let plan = Plan::of(&config).brokers.remove(0);
        let mut measured = Measured::of(&plan);
        let suspect = || verdict(Standing::Suspect, "one");
        measured.add_operation(0, operation(100, &[("topic_exists", 2)], suspect()), TIMES);
        let unsustainable = verdict(Standing::Unsustainable, "two");
        measured.add_operation(0, operation(50, &[("topic_exists", 1)], unsustainable), TIMES);
        measured.add_operation(0, operation(0, &[], suspect()), TIMES);
        let warnings = measured.error_warnings(&plan);
        assert_eq!(warnings, ["n: publish, 1 client: errors: 3 × topic_exists"]);
        let mut histograms = HistogramSet::new();
        let record = measured.record(&plan, &mut histograms);
        let result = &record.operations[0];
        assert_eq!((result.count, result.errors, result.throughput_per_s), (150, 3, 50.0));
        assert_eq!(result.rounds.len(), 3);
        assert_eq!(histograms.histogram(&result.histogram).unwrap().count(), 150);
        // The worst of the rounds, and each reason once.
        assert_eq!(result.verdict.standing, Standing::Unsustainable);
        assert_eq!(result.verdict.reasons, ["one", "two"]);
        assert!(record.streams.is_empty(), "what did not run is not there");
    }

    #[test]
    fn only_a_stream_that_may_skip_may_lose() {
        let lost = Faults { lost: 1, ..Faults::default() };
        let doubled = Faults { duplicated: 1, ..Faults::default() };
        for (lag_policy, faults, breaches) in
            [("hold", lost, 1), ("skip", lost, 0), ("skip", doubled, 1), ("hold", doubled, 1)]
        {
            let config = config(lag_policy);
            let plan = Plan::of(&config).brokers.remove(0);
            let mut measured = Measured::of(&plan);
            measured.add_stream(0, stream(10, faults));
            assert_eq!(measured.breaches(&plan).len(), breaches, "{lag_policy}, {faults:?}");
        }
    }

    #[test]
    fn streams_are_related_to_the_same_stream_of_the_ceiling() {
        let config = config("hold");
        let run = |received| measured(&config, [stream(received, Faults::default())]);
        let mut brokers = [run(20), run(10)];
        brokers[1].driver = "broker".to_owned();
        relate_to_ceiling(&mut brokers, "null");
        assert_eq!(brokers[1].streams[0].ratio_to_ceiling, Some(0.5));
    }

    #[test]
    fn what_rounds_used_is_summed_and_told_for_each_delivery() {
        let used = |cpu_user_ns, resident_bytes_max| CellResources {
            cpu_user_ns,
            cpu_system_ns: 1000,
            resident_bytes_max,
            ..CellResources::default()
        };
        let rounds = [(3000, 7), (5000, 5)].map(|(cpu_ns, bytes)| StreamRound {
            resources: Some(used(cpu_ns, bytes)),
            ..stream(10, Faults::default())
        });
        let result = &measured(&config("hold"), rounds).streams[0];
        let sum = result.resources.as_ref().unwrap();
        assert_eq!((sum.cpu_ns(), sum.resident_bytes_max), (10_000, 7));
        assert_eq!(sum.cpu_us_per_delivery, Some(0.5));
        let each: Vec<_> = result.rounds.iter().map(|round| round.cpu_us_per_delivery).collect();
        assert_eq!(each, [Some(0.4), Some(0.6)]);
    }
}
