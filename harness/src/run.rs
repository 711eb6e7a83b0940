//! A run: every broker of a configuration in turn, measured and recorded.

use crate::clock::{Clock, duration_ns};
use crate::config::{BrokerConfig, Config, LagPolicyChoice, OperationsExtent, StreamExtent};
use crate::drivers::{Driver, DriverError, DriverKind, Endpoint, StreamSpec};
use crate::interrupt::Interrupt;
use crate::load::{
    Extent, LoadError, OperationLoad, Phase, StreamRun, Surroundings, run_operation, run_stream,
};
use crate::plan::{BrokerPlan, OperationCell, Plan, StreamCell};
use crate::process::{self, BrokerProcess, ProcessError, ProcessSamples, Sampler, Started};
use crate::progress::Progress;
use crate::record::{Measured, relate_to_ceiling};
use crate::utc;
use crate::warnings::{self, ProcessorWatch};
use measure::{FORMAT_VERSION, HistogramSet, MachineFacts, MeasureError, RunRecord, SkippedBroker};
use protocol::LagPolicy;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

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
pub fn run(
    config: &Config,
    interrupt: &Interrupt,
    progress: &mut Progress,
) -> Result<Finished, RunError> {
    let started_at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let started_at_unix_ms = duration_ns(started_at) / NS_PER_MS;
    let machine = MachineFacts::read()?;
    let plan = Plan::of(config);
    let mut run = Run {
        clock: Clock::start(),
        interrupt,
        progress,
        subjects: plan.brokers.iter().map(Subject::of).collect(),
    };
    run.build_missing(&plan)?;
    let mut warnings: Vec<String> = warnings::before_run().into_iter().collect();
    let watch = ProcessorWatch::start();
    for _ in 0..plan.rounds {
        for broker in &plan.brokers {
            run.round(broker)?;
        }
    }
    let brokers_cpu_ns = run.subjects.iter().map(Subject::cpu_ns).sum();
    warnings.extend(watch.finish(brokers_cpu_ns));
    let mut parts = Parts::default();
    for (subject, broker) in run.subjects.into_iter().zip(&plan.brokers) {
        parts.add(subject, broker);
    }
    relate_to_ceiling(&mut parts.record_brokers, DriverKind::BytePipe.name());
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
        self.warnings.extend(subject.measured.error_warnings(plan));
        self.breaches.extend(subject.measured.breaches(plan));
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
        Self { standing: Standing::Good, clock: None, measured: Measured::of(plan) }
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
    #[error("{label}: {source}")]
    Load { label: String, source: LoadError },
}

struct Run<'a> {
    clock: Clock,
    interrupt: &'a Interrupt,
    progress: &'a mut Progress,
    /// In the order of the plan.
    subjects: Vec<Subject>,
}

/// A broker that is up: what speaks to it, and what watches it.
struct Up {
    driver: Box<dyn Driver>,
    process: Option<BrokerProcess>,
    sampler: Option<Sampler>,
}

impl Run<'_> {
    /// Builds what is not built yet, before anything is measured.
    fn build_missing(&mut self, plan: &Plan<'_>) -> Result<(), RunError> {
        for (subject, plan) in self.subjects.iter_mut().zip(&plan.brokers) {
            let command = plan.broker.command.as_deref().unwrap_or_default();
            let built = process::build_missing(command, &mut |line| self.progress.say(line));
            if self.interrupt.is_raised() {
                return Err(RunError::Interrupted);
            }
            if let Err(error) = built {
                self.progress.say(&format!("{}: {error}", plan.broker.name));
                subject.standing = Standing::Failed(error.to_string());
            }
        }
        Ok(())
    }

    /// One round of one broker.
    fn round(&mut self, plan: &BrokerPlan<'_>) -> Result<(), RunError> {
        let index = plan.index;
        let cells = (plan.operations.len() + plan.streams.len()) as u64;
        if !matches!(self.subjects[index].standing, Standing::Good) || cells == 0 {
            self.progress.pass_over(cells);
            return Ok(());
        }
        let measured = self.start(plan).and_then(|up| match up {
            Some(mut up) => {
                let measured = self.measure(plan, &mut up);
                let samples = up.sampler.map(Sampler::finish);
                self.subjects[index].measured.samples = samples.unwrap_or_default();
                measured
            }
            None => Ok(()),
        });
        if self.interrupt.is_raised() {
            return Err(RunError::Interrupted);
        }
        if let Err(error) = measured {
            self.progress.say(&format!("{}: {error}", plan.broker.name));
            self.subjects[index].standing = Standing::Failed(error.to_string());
        }
        Ok(())
    }

    /// Starts a broker. `None`: its program is not installed.
    fn start(&mut self, plan: &BrokerPlan<'_>) -> Result<Option<Up>, BrokerError> {
        let subject = &mut self.subjects[plan.index];
        let broker = plan.broker;
        let process = match &broker.command {
            None => None,
            Some(command) => match BrokerProcess::start(broker.driver, command)? {
                Started::Ready(process) => Some(process),
                Started::Missing(reason) => {
                    self.progress.say(&format!("{}: skipped: {reason}", broker.name));
                    subject.standing = Standing::Missing(reason);
                    return Ok(None);
                }
            },
        };
        let address = process.as_ref().map(BrokerProcess::address).or(broker.address);
        let driver = broker.driver.open(address.map_or(Endpoint::InProcess, Endpoint::Address))?;
        driver.check()?;
        make_idle_topics(driver.as_ref(), broker.idle_topics)?;
        let clock = *subject.clock.get_or_insert_with(Clock::start);
        let sampler = match &process {
            None => None,
            Some(process) => {
                subject.measured.command_line = process.command_line().to_vec();
                subject.measured.version = process.version().to_owned();
                let before: ProcessSamples = std::mem::take(&mut subject.measured.samples);
                Some(Sampler::start(process.id(), clock, before)?)
            }
        };
        Ok(Some(Up { driver, process, sampler }))
    }

    fn measure(&mut self, plan: &BrokerPlan<'_>, up: &mut Up) -> Result<(), BrokerError> {
        for (index, cell) in plan.operations.iter().enumerate() {
            let (label, load) = (cell.label(), operation_load(index, cell));
            let (outcome, times) = self.cell(plan, up, &label, |driver, surroundings| {
                run_operation(driver, &load, surroundings)
            })?;
            self.subjects[plan.index].measured.add_operation(index, outcome, times);
        }
        for (index, cell) in plan.streams.iter().enumerate() {
            let (label, stream) = (cell.label(), stream_run(index, cell, plan.broker));
            let (outcome, times) = self.cell(plan, up, &label, |driver, surroundings| {
                run_stream(driver, &stream, surroundings)
            })?;
            self.subjects[plan.index].measured.add_stream(index, outcome, times);
        }
        Ok(())
    }

    /// One measurement, with its marks, its times, and a look at whether the broker lived.
    fn cell<T>(
        &mut self,
        plan: &BrokerPlan<'_>,
        up: &mut Up,
        label: &str,
        load: impl FnOnce(&dyn Driver, Surroundings<'_>) -> Result<T, LoadError>,
    ) -> Result<(T, [Duration; 2]), BrokerError> {
        self.progress.begin(&format!("{}: {label}", plan.broker.name));
        let mut on_phase = |phase| {
            if let Some(sampler) = &up.sampler {
                sampler.mark(phase_label(label, phase));
            }
        };
        let start = Duration::from_nanos(self.clock.now_ns());
        let (clock, interrupt) = (self.clock, self.interrupt);
        let outcome =
            load(up.driver.as_ref(), Surroundings { clock, interrupt, on_phase: &mut on_phase });
        let end = Duration::from_nanos(self.clock.now_ns());
        if let (Some(process), false) = (&mut up.process, self.interrupt.is_raised()) {
            process.check_alive()?;
        }
        match outcome {
            Ok(outcome) => Ok((outcome, [start, end])),
            Err(source) => Err(BrokerError::Load { label: label.to_owned(), source }),
        }
    }
}

/// Makes topics that nobody uses. A broker that runs on may have them from a round before.
fn make_idle_topics(driver: &dyn Driver, count: u32) -> Result<(), DriverError> {
    if count == 0 {
        return Ok(());
    }
    let mut client = driver.operation_client()?;
    for index in 0..count {
        match client.create(&format!("idle-{index}")) {
            Ok(()) | Err(DriverError::Refused { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
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

fn operation_load(index: usize, cell: &OperationCell) -> OperationLoad {
    OperationLoad {
        operation: cell.operation,
        clients: cell.clients,
        extent: match cell.extent {
            OperationsExtent::DurationMs(duration_ms) => {
                Extent::DurationNs(duration_ms * NS_PER_MS)
            }
            OperationsExtent::Count(count) => Extent::Count(count),
        },
        warmup_ns: cell.warmup_ms * NS_PER_MS,
        payload_bytes: cell.payload_bytes,
        name: format!("{}-{index}", cell.operation.name()),
    }
}

fn stream_run(index: usize, cell: &StreamCell, broker: &BrokerConfig) -> StreamRun {
    StreamRun {
        spec: StreamSpec {
            topic: format!("stream-{index}"),
            payload_bytes: cell.payload_bytes,
            batch: cell.batch,
            lag_policy: match cell.lag_policy {
                LagPolicyChoice::Hold => LagPolicy::Hold,
                LagPolicyChoice::Skip => LagPolicy::Skip,
            },
            idle_subscriptions: broker.idle_subscriptions,
        },
        publishers: cell.shape.publishers,
        subscribers: cell.shape.subscribers,
        load: cell.load,
        extent: match cell.extent {
            StreamExtent::DurationMs(duration_ms) => Extent::DurationNs(duration_ms * NS_PER_MS),
            StreamExtent::Messages(messages) => Extent::Count(messages),
        },
        warmup_ns: cell.warmup_ms * NS_PER_MS,
    }
}
