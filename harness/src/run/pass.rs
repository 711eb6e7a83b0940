//! One piece of load, with everything that is watched while it goes on.

use super::up::{Target, Up};
use super::{BrokerError, Run, phase_label};
use crate::engine::{LoadError, Phase, Surroundings};
use crate::generator_watch::{GeneratorUse, GeneratorWatch};
use crate::live::{LiveFigures, LivePhase};
use measure::CellResources;
use std::time::Duration;

/// What came of a piece of load, and what was seen in its measured phase.
pub(super) struct Passed<T> {
    pub(super) outcome: T,
    /// When it began and ended, since the run began.
    pub(super) times: [Duration; 2],
    /// What the broker used; `None` where it has no process that can be looked into.
    pub(super) resources: Option<CellResources>,
    pub(super) generator: GeneratorUse,
}

impl Run<'_> {
    /// One piece of load, with its marks, its times, and a look at whether the broker lived.
    pub(super) fn pass<T>(
        &mut self,
        up: &mut Up,
        label: &str,
        load: impl FnOnce(&mut Target, Surroundings<'_>) -> Result<T, LoadError>,
    ) -> Result<Passed<T>, BrokerError> {
        let (mut before, mut watch) = (None, None);
        let (mut resources, mut generator) = (None, GeneratorUse::default());
        let sampler = up.sampler.as_ref();
        let threads = &self.generator;
        let figures = LiveFigures::new(self.threads);
        self.live.phase(LivePhase::Connecting, 0);
        let live = &mut *self.live;
        live.figures(std::sync::Arc::clone(&figures));
        let mut on_phase = |phase| {
            live.phase(live_phase(phase), 0);
            if let Some(sampler) = sampler {
                sampler.mark(phase_label(label, phase));
            }
            match phase {
                Phase::WarmUp => {}
                Phase::Measured => {
                    before = sampler.map(|sampler| sampler.moment());
                    watch = Some(GeneratorWatch::start(threads));
                }
                Phase::Over => {
                    generator = watch.take().map(GeneratorWatch::finish).unwrap_or_default();
                    let after = sampler.map(|sampler| sampler.moment());
                    resources = before.as_ref().zip(after).map(|(from, to)| from.until(&to));
                }
            }
        };
        let start = Duration::from_nanos(self.clock.now_ns());
        let surroundings = Surroundings {
            clock: self.clock,
            interrupt: self.interrupt,
            threads: self.threads,
            generator: &self.generator,
            live: &figures,
            on_phase: &mut on_phase,
        };
        let outcome = load(&mut up.target, surroundings);
        let end = Duration::from_nanos(self.clock.now_ns());
        if let (Some(process), false) = (&mut up.process, self.interrupt.is_raised()) {
            process.check_alive()?;
        }
        match outcome {
            Ok(outcome) => Ok(Passed { outcome, times: [start, end], resources, generator }),
            Err(source) => Err(BrokerError::Load { label: label.to_owned(), source }),
        }
    }
}

fn live_phase(phase: Phase) -> LivePhase {
    match phase {
        Phase::WarmUp => LivePhase::WarmUp,
        Phase::Measured => LivePhase::Measured,
        Phase::Over => LivePhase::Draining,
    }
}
