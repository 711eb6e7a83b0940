//! A run: every broker of a configuration in turn, measured and recorded.

mod cells;
mod crowds;
mod memory;
mod outages;
mod pass;
mod piles;
mod search;
mod up;
mod verdicts;

use crate::clock::{Clock, duration_ns};
use crate::config::Config;
use crate::drivers::{DriverError, DriverKind};
use crate::engine::{LoadError, Phase};
use crate::find_max;
use crate::generator_watch::GeneratorThreads;
use crate::interrupt::Interrupt;
use crate::live::{CellEnd, CellStanding, Live};
use crate::open_files;
use crate::plan::{BrokerPlan, Plan};
use crate::process::{self, ProcessError};
use crate::record::{Measured, evaluate_objectives, relate_to_ceiling, relate_to_disk};
use crate::utc;
use crate::warnings::{self, ProcessorWatch};
use measure::{
    DriverCeiling, FORMAT_VERSION, HistogramSet, MachineFacts, MeasureError, RunRecord,
    SkippedBroker,
};
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};
use up::Up;

const NS_PER_MS: u64 = 1_000_000;

/// What came of a run.
#[derive(Debug)]
pub struct Finished {
    /// What was measured.
    pub record: RunRecord,
    /// Every latency.
    pub histograms: HistogramSet,
    /// Streams that lost, doubled, reordered or damaged what they must not.
    pub breaches: Vec<String>,
    /// Brokers that could not be measured to the end.
    pub failures: Vec<String>,
}

/// Why a run came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Someone wanted it to end.
    #[error("interrupted; the brokers were stopped, and nothing was written")]
    Interrupted,
    /// The machine could not be described.
    #[error(transparent)]
    Machine(#[from] MeasureError),
}

/// Runs a configuration. A broker that fails is left out from there on; the others go on.
///
/// # Errors
/// [`RunError`]; brokers that fail are in [`Finished::failures`].
pub fn run(config: &Config, interrupt: &Interrupt, live: &mut Live) -> Result<Finished, RunError> {
    let started_at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let started_at_unix_ms = duration_ns(started_at) / NS_PER_MS;
    let machine = MachineFacts::read()?;
    open_files::raise();
    let plan = Plan::of(config);
    let clock = Clock::start();
    let mut run = Run {
        clock,
        run_id: started_at_unix_ms as u32,
        threads: config.generator.threads_or_cores(),
        generator: GeneratorThreads::new(clock),
        interrupt,
        live,
        config,
        subjects: plan.brokers.iter().map(Subject::of).collect(),
    };
    run.build_missing(&plan)?;
    let mut warnings: Vec<String> = warnings::before_run().into_iter().collect();
    let watch = ProcessorWatch::start();
    for round in &plan.rounds {
        for &broker in round {
            run.round(&plan.brokers[broker])?;
        }
    }
    run.subjects.iter_mut().for_each(Subject::end);
    let brokers_cpu_ns = run.subjects.iter().map(Subject::cpu_ns).sum();
    warnings.extend(watch.finish(brokers_cpu_ns));
    let mut parts = Parts::default();
    for (subject, broker) in run.subjects.into_iter().zip(&plan.brokers) {
        parts.add(subject, broker);
    }
    relate_to_ceiling(&mut parts.record_brokers, DriverKind::BytePipe.name());
    relate_to_disk(&mut parts.record_brokers, DriverKind::Disk.name());
    let objectives = evaluate_objectives(config, &parts.record_brokers, &parts.histograms);
    warnings.extend(parts.warnings);
    warnings.extend(warnings::after_run(&parts.record_brokers));
    let record = RunRecord {
        format_version: FORMAT_VERSION,
        run_id: format!("{}-{}", config.name, utc::basic_format(started_at_unix_ms)),
        started_at_unix_ms,
        tandem_version: env!("CARGO_PKG_VERSION").to_owned(),
        config_name: config.name.clone(),
        config_toml: config.to_toml(),
        machine,
        brokers: parts.record_brokers,
        skipped: parts.skipped,
        warnings,
        objectives,
        ceilings: parts.ceilings,
    };
    let Parts { histograms, breaches, failures, .. } = parts;
    Ok(Finished { record, histograms, breaches, failures })
}

/// What the subjects come to together.
#[derive(Default)]
struct Parts {
    record_brokers: Vec<measure::BrokerRun>,
    skipped: Vec<SkippedBroker>,
    histograms: HistogramSet,
    ceilings: Vec<DriverCeiling>,
    warnings: Vec<String>,
    breaches: Vec<String>,
    failures: Vec<String>,
}

impl Parts {
    fn add(&mut self, subject: Subject, plan: &BrokerPlan<'_>) {
        let name = &plan.broker.name;
        match subject.standing {
            Standing::Missing(reason) => {
                self.skipped.push(SkippedBroker { name: name.clone(), reason });
                return;
            }
            Standing::Failed(failure) => self.failures.push(format!("{name}: {failure}")),
            Standing::Good => {}
        }
        self.skipped.extend(plan.skipped.iter().cloned());
        self.warnings.extend(subject.measured.warnings(plan));
        self.breaches.extend(subject.measured.breaches(plan));
        self.ceilings.extend(subject.measured.ceilings(plan));
        if subject.measured.has_any() {
            self.record_brokers.push(subject.measured.record(plan, &mut self.histograms));
        }
    }
}

/// A broker of the configuration, in the course of a run.
struct Subject {
    standing: Standing,
    /// Begins when it is first started.
    clock: Option<Clock>,
    /// Where one process of it serves all rounds: that process.
    kept: Option<Up>,
    measured: Measured,
}

enum Standing {
    Good,
    /// Not installed, and how to get it.
    Missing(String),
    Failed(String),
}

impl Subject {
    fn of(plan: &BrokerPlan<'_>) -> Self {
        Self { standing: Standing::Good, clock: None, kept: None, measured: Measured::of(plan) }
    }

    /// Ends the process that served all rounds, if there is one.
    fn end(&mut self) {
        if let Some(up) = self.kept.take() {
            self.measured.samples = up.finish();
        }
    }

    /// Processor time of its processes.
    fn cpu_ns(&self) -> u64 {
        let last = self.measured.samples.resources.last();
        last.map_or(0, |sample| sample.cpu_user_ns + sample.cpu_system_ns)
    }
}

/// Why a broker could not be measured to the end.
#[derive(Debug, thiserror::Error)]
enum BrokerError {
    #[error(transparent)]
    Process(#[from] ProcessError),
    #[error("{0}")]
    Driver(#[from] DriverError),
    #[error("it cannot be started again: {0}")]
    Vanished(String),
    #[error("{label}: {source}")]
    Load { label: String, source: LoadError },
    #[error("expected payloads in {}, found: {source}; see `payload = {{ file = … }}`", path.display())]
    Payloads { path: PathBuf, source: std::io::Error },
    #[error(transparent)]
    Search(find_max::TermsError),
}

struct Run<'a> {
    clock: Clock,
    /// What all messages of this run carry.
    run_id: u32,
    /// Generator threads of each piece of load.
    threads: usize,
    generator: GeneratorThreads,
    interrupt: &'a Interrupt,
    live: &'a mut Live,
    config: &'a Config,
    /// In the order of the plan.
    subjects: Vec<Subject>,
}

impl Run<'_> {
    /// Builds what is not built yet, before anything is measured.
    fn build_missing(&mut self, plan: &Plan<'_>) -> Result<(), RunError> {
        for (subject, plan) in self.subjects.iter_mut().zip(&plan.brokers) {
            let command = plan.broker.command.as_deref().unwrap_or_default();
            let built = process::build_missing(command, &mut |line| self.live.say(line));
            if self.interrupt.is_raised() {
                return Err(RunError::Interrupted);
            }
            if let Err(error) = built {
                self.live.say(format!("{}: {error}", plan.broker.name));
                subject.standing = Standing::Failed(error.to_string());
            }
        }
        Ok(())
    }

    /// One round of one broker.
    fn round(&mut self, plan: &BrokerPlan<'_>) -> Result<(), RunError> {
        let cells = plan.cells();
        if !matches!(self.subjects[plan.index].standing, Standing::Good) || cells == 0 {
            self.live.pass_over(cells, plan.estimated_ms());
            return Ok(());
        }
        let measured = self.measure(plan);
        if self.interrupt.is_raised() {
            return Err(RunError::Interrupted);
        }
        if let Err(error) = measured {
            let reason = error.to_string();
            self.live.end(CellEnd { standing: CellStanding::Failed, reason });
            self.live.say(format!("{}: {error}", plan.broker.name));
            self.subjects[plan.index].standing = Standing::Failed(error.to_string());
        }
        Ok(())
    }

    /// Everything that is measured in a round: operations and streams in one process, then each
    /// backlog and each restart in its own.
    fn measure(&mut self, plan: &BrokerPlan<'_>) -> Result<(), BrokerError> {
        if !plan.operations.is_empty() || !plan.streams.is_empty() {
            match plan.broker.fresh_each_round {
                true => self.while_up(plan, |run, up| run.operations_and_streams(plan, up))?,
                false => self.while_kept_up(plan)?,
            }
        }
        for (index, cell) in plan.backlogs.iter().enumerate() {
            self.while_up(plan, |run, up| run.backlog(plan, up, index, cell))?;
        }
        for (index, cell) in plan.restarts.iter().enumerate() {
            self.while_up(plan, |run, up| run.restart(plan, up, index, cell))?;
        }
        for (index, cell) in plan.storms.iter().enumerate() {
            self.while_up(plan, |run, up| run.storm(plan, up, index, cell))?;
        }
        for (index, cell) in plan.idles.iter().enumerate() {
            self.while_up(plan, |run, up| run.idle(plan, up, index, cell))?;
        }
        for (index, cell) in plan.outages.iter().enumerate() {
            self.while_up(plan, |run, up| run.outage(plan, up, index, cell))?;
        }
        Ok(())
    }

    /// Starts a broker, has it measured, and ends it. Does nothing if it is not installed.
    fn while_up(
        &mut self,
        plan: &BrokerPlan<'_>,
        measure: impl FnOnce(&mut Self, &mut Up) -> Result<(), BrokerError>,
    ) -> Result<(), BrokerError> {
        if matches!(self.subjects[plan.index].standing, Standing::Missing(_)) {
            return Ok(());
        }
        let Some(mut up) = self.start(plan)? else { return Ok(()) };
        let measured = measure(self, &mut up);
        self.subjects[plan.index].measured.samples = up.finish();
        measured
    }
}

impl Run<'_> {
    /// Operations and streams in a process that stays for the rounds that follow.
    fn while_kept_up(&mut self, plan: &BrokerPlan<'_>) -> Result<(), BrokerError> {
        let mut up = match self.subjects[plan.index].kept.take() {
            Some(up) => up,
            None => match self.start(plan)? {
                Some(up) => up,
                None => return Ok(()),
            },
        };
        let measured = self.operations_and_streams(plan, &mut up);
        self.subjects[plan.index].kept = Some(up);
        measured
    }
}

/// The mark of a phase; what follows the label's own commas tells phases of one cell apart.
#[must_use]
pub fn phase_label(label: &str, phase: Phase) -> String {
    match phase {
        Phase::WarmUp => format!("{label}, warm-up"),
        Phase::Measured => label.to_owned(),
        Phase::Over => format!("{label}, over"),
    }
}
