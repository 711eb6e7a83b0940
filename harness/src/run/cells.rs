//! Operations and streams of one broker, one measurement after the other.

use super::up::Up;
use super::{BrokerError, NS_PER_MS, Run, memory, phase_label};
use crate::config::{BrokerConfig, LagPolicyChoice, OperationsExtent, StreamExtent};
use crate::drivers::{Driver, StreamSpec};
use crate::load::{
    Extent, LoadError, OperationLoad, StreamRun, Surroundings, run_operation, run_stream,
};
use crate::plan::{BrokerPlan, OperationCell, StreamCell};
use protocol::{LagPolicy, PublishAck};
use std::time::Duration;

impl Run<'_> {
    pub(super) fn operations_and_streams(
        &mut self,
        plan: &BrokerPlan<'_>,
        up: &mut Up,
    ) -> Result<(), BrokerError> {
        for (index, cell) in plan.operations.iter().enumerate() {
            let (label, load) = (cell.label(), operation_load(index, cell));
            self.begin(plan, &label);
            let (outcome, times) = self.pass(up, &label, |driver, surroundings| {
                run_operation(driver, &load, surroundings)
            })?;
            self.subjects[plan.index].measured.add_operation(index, outcome, times);
        }
        for (index, cell) in plan.streams.iter().enumerate() {
            let (label, stream) = (cell.label(), stream_run(index, cell, plan.broker));
            self.begin(plan, &label);
            let (outcome, times) = self.pass(up, &label, |driver, surroundings| {
                run_stream(driver, &stream, surroundings)
            })?;
            self.subjects[plan.index].measured.add_stream(index, outcome, times);
        }
        Ok(())
    }

    /// Tells whoever watches that a measurement begins, and has memory at hand for it.
    pub(super) fn begin(&mut self, plan: &BrokerPlan<'_>, label: &str) {
        self.progress.begin(&format!("{}: {label}", plan.broker.name));
        if let Some(bytes) = self.memory_at_hand_bytes {
            memory::have_at_hand(bytes);
        }
    }

    /// One piece of load, with its marks, its times, and a look at whether the broker lived.
    pub(super) fn pass<T>(
        &mut self,
        up: &mut Up,
        label: &str,
        load: impl FnOnce(&dyn Driver, Surroundings<'_>) -> Result<T, LoadError>,
    ) -> Result<(T, [Duration; 2]), BrokerError> {
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
            ack: match cell.acks {
                Some(_) => PublishAck::Wanted,
                None => PublishAck::Unwanted,
            },
            held: None,
            lag_policy: match cell.lag_policy {
                LagPolicyChoice::Hold => LagPolicy::Hold,
                LagPolicyChoice::Skip => LagPolicy::Skip,
            },
            idle_subscriptions: broker.idle_subscriptions,
        },
        publishers: cell.shape.publishers,
        subscribers: cell.shape.subscribers,
        acks: cell.acks,
        load: cell.load,
        extent: match cell.extent {
            StreamExtent::DurationMs(duration_ms) => Extent::DurationNs(duration_ms * NS_PER_MS),
            StreamExtent::Messages(messages) => Extent::Count(messages),
        },
        warmup_ns: cell.warmup_ms * NS_PER_MS,
    }
}
