//! Operations and streams of one broker, one measurement after the other.

use super::pass::Passed;
use super::up::{Target, Up};
use super::{BrokerError, NS_PER_MS, Run, memory, verdicts};
use crate::config::{
    self, BrokerConfig, Drive, LagPolicyChoice, OperationsExtent, Payload, StreamExtent, Variation,
};
use crate::drivers::DriverError;
use crate::engine::{
    Ceiling, ChurnRun, Extent, OperationLoad, SlowConsumers, StreamOutcome, StreamRun,
    measure_ceiling, run_operation, run_stream,
};
use crate::live::{CellEnd, CellStanding, LiveCell};
use crate::message::Payloads;
use crate::payloads::{PayloadDraw, PayloadModel, WeightedSize};
use crate::plan::{BrokerPlan, OperationCell, StreamCell};
use crate::record::{OperationRound, StreamRound};
use crate::schedule::LoadModel;
use crate::topic_choice::TopicChoice;
use crate::wire::{Confirmation, Request, Selection, StreamTerms, hold_requests};
use measure::{Standing, Verdict};
use protocol::LagPolicy;
use std::sync::Arc;

/// Sizes that are drawn before a stream begins, and taken in turn.
const SIZES_DRAWN: u32 = 4096;

impl Run<'_> {
    pub(super) fn operations_and_streams(
        &mut self,
        plan: &BrokerPlan<'_>,
        up: &mut Up,
    ) -> Result<(), BrokerError> {
        for (index, cell) in plan.operations.iter().enumerate() {
            self.operation(plan, up, index, cell)?;
        }
        for (index, cell) in plan.streams.iter().enumerate() {
            match &cell.config.drive {
                Drive::Load(_) => self.stream(plan, up, index, cell)?,
                Drive::FindMax(search) => self.search(plan, up, index, cell, search)?,
            }
        }
        Ok(())
    }

    fn operation(
        &mut self,
        plan: &BrokerPlan<'_>,
        up: &mut Up,
        index: usize,
        cell: &OperationCell,
    ) -> Result<(), BrokerError> {
        let (label, load) = (cell.label(), operation_load(index, cell));
        self.begin(plan, &label, cell.estimated_ms());
        let passed = self.pass(up, &label, |target, surroundings| match target {
            Target::Wire(driver) => run_operation(driver.as_ref(), &load, surroundings),
            Target::Disk(disk) => disk.run_operation(&load, surroundings),
        })?;
        let verdict = verdicts::of_operation(plan.broker, &passed);
        self.end_cell(&verdict);
        let Passed { outcome, times, resources, .. } = passed;
        let round = OperationRound { outcome, resources, verdict };
        self.subjects[plan.index].measured.add_operation(index, round, times);
        Ok(())
    }

    fn stream(
        &mut self,
        plan: &BrokerPlan<'_>,
        up: &mut Up,
        index: usize,
        cell: &StreamCell,
    ) -> Result<(), BrokerError> {
        let label = cell.label();
        self.begin(plan, &label, cell.estimated_ms());
        let run = self.stream_run(cell, cell.model())?;
        let ceiling = self.ceiling(up, &run, cell)?;
        let passed = self.measure_stream(plan, up, &label, &run)?;
        let ceiling_per_s = ceiling
            .map(|ceiling| ceiling.deliveries_per_s(run.publishers, run.subscribers, self.threads));
        let round = stream_round(plan.broker, cell, passed, ceiling_per_s, run.model.as_ref());
        self.end_cell(&round.verdict);
        self.subjects[plan.index].measured.add_stream(index, round);
        Ok(())
    }

    /// One stream over connections of its own.
    pub(super) fn measure_stream(
        &mut self,
        plan: &BrokerPlan<'_>,
        up: &mut Up,
        label: &str,
        run: &StreamRun,
    ) -> Result<Passed<StreamOutcome>, BrokerError> {
        let idle_subscriptions = plan.broker.idle_subscriptions;
        self.pass(up, label, |target, surroundings| match target {
            Target::Wire(driver) => run_stream(driver.as_ref(), run, surroundings, |driver| {
                make_idle_subscriptions(driver, &run.terms.root, idle_subscriptions)
            }),
            Target::Disk(disk) => disk.run_stream(run, surroundings),
        })
    }

    /// What the generator can do with this driver, measured once for each kind of stream.
    pub(super) fn ceiling(
        &mut self,
        up: &Up,
        run: &StreamRun,
        cell: &StreamCell,
    ) -> Result<Option<Ceiling>, BrokerError> {
        let Target::Wire(driver) = &up.target else { return Ok(None) };
        if driver.is_in_process() || run.subscribers == 0 || run.terms.topics > 1 {
            return Ok(None);
        }
        let measured = measure_ceiling(driver.as_ref(), run, self.clock);
        let label = format!("{}, the generator alone", cell.label());
        measured.map_err(|source| BrokerError::Load { label, source })
    }

    /// Tells whoever watches that a measurement begins, and has memory at hand for it.
    pub(super) fn begin(&mut self, plan: &BrokerPlan<'_>, label: &str, estimated_ms: u64) {
        let (broker, label) = (plan.broker.name.clone(), label.to_owned());
        self.live.begin(LiveCell { broker, label, estimated_ms });
        if let Some(bytes) = self.config.memory_at_hand_bytes {
            memory::have_at_hand(bytes);
        }
    }

    /// Tells whoever watches how a measurement ended.
    pub(super) fn end_cell(&mut self, verdict: &Verdict) {
        let standing = match verdict.standing {
            Standing::Valid => CellStanding::Valid,
            Standing::Suspect => CellStanding::Suspect,
            Standing::Unsustainable => CellStanding::Unsustainable,
            Standing::Invalid => CellStanding::Invalid,
        };
        self.live.end(CellEnd { standing, reason: verdict.reasons.join("; ") });
    }

    /// A stream as the engine runs it.
    pub(super) fn stream_run(
        &self,
        cell: &StreamCell,
        model: Option<LoadModel>,
    ) -> Result<StreamRun, BrokerError> {
        let stream = &cell.config;
        let (seed, phases) = (self.config.seed, self.config.phases);
        let name = format!("stream-{}", cell.index);
        let in_flight_max = stream.in_flight();
        let topic_choice = topic_choice(stream, seed);
        Ok(StreamRun {
            terms: StreamTerms {
                root: name,
                topics: stream.topics,
                selection: if stream.wildcard { Selection::Wildcard } else { Selection::Names },
                payloads: Arc::new(payloads(&stream.payload, seed)?),
                batch_max: stream.batch,
                confirmation: match in_flight_max {
                    Some(_) => Confirmation::Wanted,
                    None => Confirmation::Unwanted,
                },
                held: None,
                lag_policy: match stream.lag_policy {
                    LagPolicyChoice::Hold => LagPolicy::Hold,
                    LagPolicyChoice::Skip => LagPolicy::Skip,
                },
            },
            publishers: stream.publishers,
            subscribers: stream.subscribers,
            slow: stream.slow.map(|slow| SlowConsumers {
                subscribers: slow.subscribers,
                bytes_per_s: slow.bytes_per_s,
            }),
            churn: stream.churn.map(|churn| ChurnRun {
                every_ns: churn.every_ms * NS_PER_MS,
                subscribers: churn.subscribers,
            }),
            in_flight_max,
            model,
            seed,
            topic_choice,
            extent: match stream.extent {
                StreamExtent::DurationMs(duration_ms) => {
                    Extent::DurationNs(duration_ms * NS_PER_MS)
                }
                StreamExtent::Messages(messages) => Extent::Count(messages),
            },
            warmup_ns: stream.warmup_ms * NS_PER_MS,
            drain_idle_ns: phases.drain_ms_max * NS_PER_MS,
            connect_ms_max: phases.connect_ms_max,
            spin_ns: u64::from(self.config.generator.spin_us) * 1000,
            run_id: self.run_id,
        })
    }
}

/// A round of a stream, judged.
pub(super) fn stream_round(
    broker: &BrokerConfig,
    cell: &StreamCell,
    passed: Passed<StreamOutcome>,
    ceiling_per_s: Option<f64>,
    model: Option<&LoadModel>,
) -> StreamRound {
    let verdict = verdicts::of_stream(broker, cell, &passed, ceiling_per_s, model);
    let Passed { outcome, times, resources, generator } = passed;
    StreamRound { outcome, times, resources, generator, ceiling_per_s, verdict, rate_per_s: None }
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

fn topic_choice(stream: &config::StreamConfig, seed: u64) -> Option<TopicChoice> {
    let drawn = match stream.topic_choice {
        _ if stream.topics == 1 => return None,
        config::TopicChoice::Uniform => TopicChoice::uniform(stream.topics, seed),
        config::TopicChoice::Zipf(exponent) => TopicChoice::zipf(stream.topics, exponent, seed),
    };
    Some(drawn.expect("the configuration's topics and their popularity were checked"))
}

/// A stream's payloads: sizes are drawn once, and taken in turn.
fn payloads(payload: &Payload, seed: u64) -> Result<Payloads, BrokerError> {
    match payload {
        Payload::Fixed(payload_bytes) => Ok(Payloads::fixed(*payload_bytes)),
        Payload::Varied(Variation::File(path)) => {
            let unreadable = |source| BrokerError::Payloads { path: path.clone(), source };
            let text = std::fs::read(path).map_err(unreadable)?;
            let lines = crate::payloads::parse_lines(&text)
                .map_err(|error| unreadable(std::io::Error::other(error)))?;
            Ok(Payloads::texts(lines))
        }
        Payload::Varied(varied) => {
            let draw = PayloadDraw::new(model(varied), seed)
                .expect("the configuration's sizes of payloads were checked");
            Ok(Payloads::cycle(draw.first_sizes(SIZES_DRAWN)))
        }
    }
}

/// What sizes are drawn from; a file's lines are taken in turn, and not drawn.
fn model(varied: &Variation) -> PayloadModel {
    match varied {
        Variation::Uniform(min_bytes, max_bytes) => {
            PayloadModel::Uniform { min_bytes: *min_bytes, max_bytes: *max_bytes }
        }
        Variation::Normal(bell) => PayloadModel::Normal {
            mean_bytes: bell.mean,
            std_dev_bytes: bell.sd,
            min_bytes: bell.min,
            max_bytes: bell.max,
        },
        Variation::Lognormal(bell) => {
            let (median_bytes, sigma) = bell.log_median_and_sigma();
            let (min_bytes, max_bytes) = (bell.min, bell.max);
            PayloadModel::LogNormal { median_bytes, sigma, min_bytes, max_bytes }
        }
        Variation::Weights(weights) => {
            let sizes = weights.iter().map(|(&bytes, &weight)| WeightedSize { bytes, weight });
            PayloadModel::List(sizes.collect())
        }
        Variation::File(_) => PayloadModel::Lines(Vec::new()),
    }
}

/// Makes subscriptions to a stream's topic that never read.
fn make_idle_subscriptions(
    driver: &dyn crate::wire::Driver,
    topic: &str,
    count: u32,
) -> Result<(), DriverError> {
    if count == 0 {
        return Ok(());
    }
    let names: Vec<String> = (0..count).map(|index| format!("idle-{index}")).collect();
    let requests = names.iter().map(|subscriber| Request::Subscribe { topic, subscriber });
    let mut operator = driver.operator(u32::MAX);
    hold_requests(driver.address(), operator.as_mut(), requests)
}
