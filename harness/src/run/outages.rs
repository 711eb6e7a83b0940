//! Outages of one broker: it is stopped under a stream, stays away, and is started again.

use super::up::{Target, Up};
use super::{BrokerError, NS_PER_MS, Run, phase_label};
use crate::config::OutageConfig;
use crate::engine::{LoadError, OutageRun, Phase, Restored, Surroundings, run_outage};
use crate::interrupt::Interrupt;
use crate::live::{LiveFigures, LivePhase};
use crate::message::Payloads;
use crate::plan::BrokerPlan;
use crate::record::OutageRound;
use crate::wire::{Confirmation, Driver, Held, Selection, StreamTerms};
use measure::Verdict;
use protocol::LagPolicy;
use std::sync::Arc;
use std::time::Duration;

/// Messages in one publication, at most: what has become due meanwhile goes together.
const BATCH_MAX: u32 = 64;

/// How long an interrupt may go unnoticed while the broker is down.
const LOOK_MS: u64 = 20;

impl Run<'_> {
    /// Stops the broker under a stream, and starts it again.
    pub(super) fn outage(
        &mut self,
        plan: &BrokerPlan<'_>,
        up: &mut Up,
        index: usize,
        cell: &OutageConfig,
    ) -> Result<(), BrokerError> {
        let label = cell.label();
        let failed = |source| BrokerError::Load { label: label.clone(), source };
        self.begin(plan, &label, cell.duration_ms);
        let run = self.outage_run(index, cell);
        let driver = open_driver(plan, up)?;
        let (clock, interrupt, generator) = (self.clock, self.interrupt, self.generator.clone());
        let figures = LiveFigures::new(1);
        self.live.figures(Arc::clone(&figures));
        self.live.phase(LivePhase::Measured, cell.duration_ms);
        up.mark(phase_label(&label, Phase::Measured));
        let surroundings = Surroundings {
            clock,
            interrupt,
            threads: 1,
            generator: &generator,
            live: &figures,
            on_phase: &mut |_| {},
        };
        let start = Duration::from_nanos(clock.now_ns());
        let ran = run_outage(driver, &run, &surroundings, || {
            self.stop_and_start(plan, up, cell).map_err(Failure::Broker)
        });
        let end = Duration::from_nanos(clock.now_ns());
        let outcome = ran.map_err(|failure| match failure {
            Failure::Broker(error) => error,
            Failure::Load(source) => failed(source),
        })?;
        up.mark(phase_label(&label, Phase::Over));
        if let Some(process) = &mut up.process {
            process.check_alive()?;
        }
        self.end_cell(&Verdict::default());
        let round = OutageRound { outcome, times: [start, end] };
        self.subjects[plan.index].measured.add_outage(index, round);
        Ok(())
    }

    fn stop_and_start(
        &mut self,
        plan: &BrokerPlan<'_>,
        up: &mut Up,
        cell: &OutageConfig,
    ) -> Result<Restored, BrokerError> {
        let clock = self.clock;
        let stopped = up.stop(cell.stop)?;
        let ended_ns = clock.now_ns();
        let signal_ns = ended_ns.saturating_sub(stopped.stop_ns);
        wait_until(signal_ns + cell.down_ms * NS_PER_MS, || clock.now_ns(), self.interrupt);
        let started_ns = clock.now_ns();
        let ready_ns = started_ns + self.start_after(plan, up, stopped)?;
        let driver = open_driver(plan, up)?;
        Ok(Restored { driver, signal_ns, ended_ns, started_ns, ready_ns })
    }

    fn outage_run(&self, index: usize, cell: &OutageConfig) -> OutageRun {
        // Rounded up, and what was sent twice is held twice.
        let messages = 2 * (cell.rate_per_s * cell.duration_ms as f64 / 1000.0).ceil() as u64;
        let payload_bytes = messages * cell.payload_bytes as u64;
        OutageRun {
            terms: StreamTerms {
                root: format!("outage-{index}"),
                topics: 1,
                selection: Selection::Names,
                payloads: Arc::new(Payloads::fixed(cell.payload_bytes)),
                batch_max: BATCH_MAX,
                confirmation: Confirmation::Wanted,
                held: Some(Held { messages, payload_bytes }),
                lag_policy: LagPolicy::Hold,
            },
            publishers: cell.publishers,
            subscribers: cell.subscribers,
            rate_per_s: cell.rate_per_s,
            acks: cell.acks,
            kill_after_ns: cell.kill_after_ms * NS_PER_MS,
            duration_ns: cell.duration_ms * NS_PER_MS,
            drain_idle_ns: self.config.phases.drain_ms_max * NS_PER_MS,
            connect_ms_max: self.config.phases.connect_ms_max,
            run_id: self.run_id,
        }
    }
}

/// Either's error, on its way through the engine.
enum Failure {
    Broker(BrokerError),
    Load(LoadError),
}

impl From<LoadError> for Failure {
    fn from(source: LoadError) -> Self {
        Self::Load(source)
    }
}

/// A driver of its own for the process that is up: clients keep it for longer than a target lasts.
fn open_driver(plan: &BrokerPlan<'_>, up: &Up) -> Result<Arc<dyn Driver>, BrokerError> {
    let Target::Wire(driver) = &up.target else {
        unreachable!("the plan has outages only of what is spoken to");
    };
    Ok(plan.broker.driver.open(Some(driver.address()), plan.broker)?.into())
}

/// Waits for a time; an interrupt ends it.
fn wait_until(until_ns: u64, now_ns: impl Fn() -> u64, interrupt: &Interrupt) {
    while !interrupt.is_raised() {
        let left_ns = until_ns.saturating_sub(now_ns());
        if left_ns == 0 {
            return;
        }
        std::thread::sleep(Duration::from_nanos(left_ns.min(LOOK_MS * NS_PER_MS)));
    }
}
