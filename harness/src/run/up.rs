//! A broker that is up: started, watched, started again, ended.

use super::{BrokerError, Run, Standing};
use crate::clock::{Clock, duration_ns};
use crate::config::BrokerConfig;
use crate::disk::Disk;
use crate::drivers::{DriverError, DriverKind};
use crate::plan::BrokerPlan;
use crate::process::{
    BrokerProcess, DataDir, Launch, ProcessError, ProcessSamples, Sampler, Started, find_listener,
};
use crate::wire::{Driver, Request, hold_conversation, hold_requests};
use measure::StopKind;
use std::path::Path;

/// What speaks to a broker, what watches it, and where its files are.
pub(super) struct Up {
    pub(super) target: Target,
    pub(super) process: Option<BrokerProcess>,
    pub(super) sampler: Option<Sampler>,
    /// Outlives the process, since a broker that runs would miss it.
    data_dir: Option<DataDir>,
}

/// What load is put on.
pub(super) enum Target {
    /// Whatever is spoken to.
    Wire(Box<dyn Driver>),
    /// Files.
    Disk(Disk),
}

/// What a restart took.
#[derive(Clone, Copy, Debug)]
pub(super) struct RestartTimes {
    pub(super) stop_ns: u64,
    pub(super) ready_ns: u64,
    pub(super) stored_bytes: u64,
    pub(super) resident_bytes: u64,
}

/// What is left of a process that was stopped.
pub(super) struct Stopped {
    /// What was sampled of it; the next one goes on with it.
    samples: ProcessSamples,
    /// From the signal to its end.
    pub(super) stop_ns: u64,
}

impl Run<'_> {
    /// Starts a broker. `None`: its program is not installed.
    pub(super) fn start(&mut self, plan: &BrokerPlan<'_>) -> Result<Option<Up>, BrokerError> {
        let subject = &mut self.subjects[plan.index];
        let broker = plan.broker;
        let data_dir = match plan.has_data_dir() {
            true => Some(DataDir::create(self.config.data_root.as_deref())?),
            false => None,
        };
        let directory = data_dir.as_ref().map(DataDir::path);
        let process = match &broker.command {
            None => None,
            Some(command) => match BrokerProcess::start(launch(broker, command, directory))? {
                Started::Ready(process) => Some(process),
                Started::Missing(reason) => {
                    self.live.say(format!("{}: skipped: {reason}", broker.name));
                    subject.standing = Standing::Missing(reason);
                    return Ok(None);
                }
            },
        };
        let target = open_target(broker, process.as_ref(), directory)?;
        make_idle_topics(&target, broker.idle_topics)?;
        let clock = *subject.clock.get_or_insert_with(Clock::start);
        subject.measured.data_place = data_dir.as_ref().map(|data_dir| data_dir.place().clone());
        if let Some(process) = &process {
            subject.measured.command_line = process.command_line().to_vec();
            subject.measured.version = process.version().to_owned();
        }
        let watched = match (&process, broker.address) {
            (Some(process), _) => Some(process.id()),
            (None, Some(address)) => match find_listener(address) {
                Ok(id) => Some(id),
                Err(reason) => {
                    subject.measured.warn(reason);
                    None
                }
            },
            (None, None) => None,
        };
        let sampler = match watched {
            None => None,
            Some(id) => {
                let before: ProcessSamples = std::mem::take(&mut subject.measured.samples);
                let sampler = watch(id, clock, before, directory)?;
                sampler.warnings().into_iter().for_each(|warning| subject.measured.warn(warning));
                Some(sampler)
            }
        };
        Ok(Some(Up { target, process, sampler, data_dir }))
    }

    /// Stops the broker and starts it again on the same directory.
    pub(super) fn start_again(
        &mut self,
        plan: &BrokerPlan<'_>,
        up: &mut Up,
        stop: StopKind,
    ) -> Result<RestartTimes, BrokerError> {
        let stopped = up.stop(stop)?;
        let stop_ns = stopped.stop_ns;
        let stored_bytes = up.data_dir.as_ref().map_or(Ok(0), DataDir::stored_bytes)?;
        let ready_ns = self.start_after(plan, up, stopped)?;
        let resident_bytes = up.memory_mark().resident_bytes.unwrap_or(0);
        Ok(RestartTimes { stop_ns, ready_ns, stored_bytes, resident_bytes })
    }

    /// Starts a broker that was stopped, on the same directory if it has one; how long it took
    /// until it was ready.
    pub(super) fn start_after(
        &mut self,
        plan: &BrokerPlan<'_>,
        up: &mut Up,
        stopped: Stopped,
    ) -> Result<u64, BrokerError> {
        let Some(command) = &plan.broker.command else {
            unreachable!("the plan starts again only what was started");
        };
        let directory = up.data_dir.as_ref().map(DataDir::path);
        let process = match BrokerProcess::start(launch(plan.broker, command, directory))? {
            Started::Ready(process) => process,
            Started::Missing(reason) => return Err(BrokerError::Vanished(reason)),
        };
        let ready_ns = duration_ns(process.ready_after());
        let clock = *self.subjects[plan.index].clock.get_or_insert(self.clock);
        let sampler = watch(process.id(), clock, stopped.samples, directory)?;
        up.target = open_target(plan.broker, Some(&process), directory)?;
        up.process = Some(process);
        up.sampler = Some(sampler);
        Ok(ready_ns)
    }
}

impl Up {
    /// Stops the broker, which must have been started.
    pub(super) fn stop(&mut self, stop: StopKind) -> Result<Stopped, BrokerError> {
        let Some(process) = self.process.take() else {
            unreachable!("the plan stops only what was started");
        };
        let samples = self.sampler.take().map(Sampler::finish).unwrap_or_default();
        let stop_ns = duration_ns(process.stop(stop)?);
        Ok(Stopped { samples, stop_ns })
    }

    /// Marks where something begins, in what is sampled.
    pub(super) fn mark(&self, label: String) {
        if let Some(sampler) = &self.sampler {
            sampler.mark(label);
        }
    }

    /// When the sampler is asked later, how much memory there was since now.
    pub(super) fn memory_mark(&self) -> MemoryMark {
        let sample = self.sampler.as_ref().and_then(Sampler::sample_now);
        MemoryMark {
            t_ns: sample.map_or(0, |sample| sample.t_ns),
            resident_bytes: sample.map(|sample| sample.resident_bytes),
        }
    }

    /// The most resident memory since the mark.
    pub(super) fn resident_bytes_max(&self, since: MemoryMark) -> Option<u64> {
        self.sampler.as_ref()?.resident_bytes_max_since(since.t_ns)
    }

    /// Has the kernel forget what it has in memory of the broker's files.
    pub(super) fn evict_page_cache(&self) -> Result<(), ProcessError> {
        self.data_dir.as_ref().map_or(Ok(()), DataDir::evict_page_cache)
    }

    /// Ends the broker; what was sampled of it.
    pub(super) fn finish(self) -> ProcessSamples {
        self.sampler.map(Sampler::finish).unwrap_or_default()
    }
}

/// A moment, and the memory at it.
#[derive(Clone, Copy, Debug)]
pub(super) struct MemoryMark {
    t_ns: u64,
    pub(super) resident_bytes: Option<u64>,
}

/// Samples a broker's processes, and the disk beneath its directory.
fn watch(
    process_id: u32,
    clock: Clock,
    before: ProcessSamples,
    directory: Option<&Path>,
) -> Result<Sampler, ProcessError> {
    let sampler = Sampler::start(process_id, clock, before)?;
    Ok(match directory {
        Some(directory) => sampler.with_data_dir(directory),
        None => sampler,
    })
}

fn launch<'a>(
    broker: &'a BrokerConfig,
    command: &'a [String],
    data_dir: Option<&'a Path>,
) -> Launch<'a> {
    let config_file = broker.config_file.as_deref();
    Launch {
        driver: broker.driver,
        command,
        config_file,
        data_dir,
        environment: &broker.environment,
    }
}

fn open_target(
    broker: &BrokerConfig,
    process: Option<&BrokerProcess>,
    directory: Option<&Path>,
) -> Result<Target, DriverError> {
    if let (DriverKind::Disk, Some(directory)) = (broker.driver, directory) {
        let mut disk = Disk::new(directory.to_owned());
        disk.check()?;
        return Ok(Target::Disk(disk));
    }
    let address = process.map(BrokerProcess::address).or(broker.address);
    let driver = broker.driver.open(address, broker)?;
    if !driver.is_in_process() {
        hold_conversation(driver.address(), driver.idler(u32::MAX).as_mut())?;
    }
    Ok(Target::Wire(driver))
}

/// Makes topics that nobody uses. A broker that runs on may have them from a round before.
fn make_idle_topics(target: &Target, count: u32) -> Result<(), DriverError> {
    let Target::Wire(driver) = target else { return Ok(()) };
    for index in 0..count {
        let topic = format!("idle-{index}");
        let mut operator = driver.operator(u32::MAX);
        let request = Request::Create { topic: &topic };
        match hold_requests(driver.address(), operator.as_mut(), [request]) {
            Ok(()) | Err(DriverError::Refused { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
