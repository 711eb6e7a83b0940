//! One operation by many clients at once, each with one request outstanding.

use super::board::{Board, Ended, Patience, Stage};
use super::due::ThreadSchedule;
use super::in_process::run_operation_in_process;
use super::operating::{OperatorRole, Tally, warmup_items};
use super::publishing::{Publishing, PublishingTerms};
use super::role::Role;
use super::streams::StreamRun;
use super::worker::{Crew, Worker};
use super::{Extent, LoadError, Phase, Surroundings};
use crate::drivers::{DriverError, Operation};
use crate::intake::Recorder;
use crate::message::{MESSAGE_BYTES_MIN, Payloads};
use crate::wire::{
    Confirmation, Driver, Request, Selection, StreamTerms, hold_fill, hold_requests,
};
use measure::LatencyHistogram;
use protocol::LagPolicy;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Topics, subscriptions or waiting messages that the clients of one measurement use up together.
/// It ends early when they are used up: what is unbounded in a benchmark fills a broker's limits.
pub const ITEMS_PER_CELL_MAX: u64 = 20_000;

/// No client with one request outstanding uses up more in a millisecond. What a short measurement
/// cannot use up need not be made and removed, which takes long where each is on stable storage.
const ITEMS_PER_CLIENT_MS_MAX: u64 = 100;

/// How long connecting may take.
const CONNECT_MS_MAX: u64 = 30_000;

/// How long nothing may be answered.
const SILENCE_MS_MAX: u64 = 30_000;

const NS_PER_MS: u64 = 1_000_000;

/// One operation at one number of clients.
#[derive(Clone, Debug)]
pub struct OperationLoad {
    /// What is asked.
    pub operation: Operation,
    /// How many ask at the same time.
    pub clients: u32,
    /// Requests of each client, or how long they go on.
    pub extent: Extent,
    /// How long to go on beforehand, unrecorded.
    pub warmup_ns: u64,
    /// Size of a message.
    pub payload_bytes: usize,
    /// What the names of its topics begin with, unlike any other's on this broker.
    pub name: String,
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct OperationOutcome {
    /// Requests that succeeded.
    pub count: u64,
    /// Requests that did not, by code.
    pub errors: BTreeMap<String, u64>,
    /// From the first request to the last answer.
    pub duration_ns: u64,
    /// From sending a request to its answer.
    pub latencies: LatencyHistogram,
    /// Processor time of each generator thread.
    pub threads_cpu_ns: Vec<u64>,
}

impl OperationLoad {
    /// Publishing as a stream that nobody reads: each client with one message under way.
    #[must_use]
    pub fn as_stream(&self) -> StreamRun {
        StreamRun {
            terms: StreamTerms {
                root: self.name.clone(),
                topics: 1,
                selection: Selection::Names,
                payloads: Arc::new(Payloads::fixed(self.payload_bytes.max(MESSAGE_BYTES_MIN))),
                batch_max: 1,
                confirmation: Confirmation::Wanted,
                held: None,
                lag_policy: LagPolicy::Hold,
            },
            publishers: self.clients,
            subscribers: 0,
            slow: None,
            churn: None,
            in_flight_max: Some(1),
            model: None,
            seed: 0,
            topic_choice: None,
            extent: match self.extent {
                Extent::Count(count) => Extent::Count(count * u64::from(self.clients)),
                duration => duration,
            },
            warmup_ns: self.warmup_ns,
            drain_idle_ns: SILENCE_MS_MAX * NS_PER_MS,
            connect_ms_max: CONNECT_MS_MAX,
            spin_ns: 0,
            run_id: 0,
        }
    }

    pub(super) fn shares_topic(&self) -> bool {
        matches!(self.operation, Operation::Publish | Operation::Subscribe | Operation::Pull)
    }

    pub(super) fn shared_topic(&self) -> String {
        format!("{}-shared", self.name)
    }

    /// How many topics, subscriptions or messages one client may use up.
    pub(super) fn items_of_one(&self) -> u64 {
        let share = match self.operation {
            // Every subscriber sees all messages.
            Operation::Pull => ITEMS_PER_CELL_MAX,
            _ => (ITEMS_PER_CELL_MAX / u64::from(self.clients)).max(1),
        };
        match self.extent {
            Extent::Count(count) => share.min(count + warmup_items(count)),
            Extent::DurationNs(duration_ns) => {
                let duration_ms = (duration_ns + self.warmup_ns).div_ceil(NS_PER_MS);
                share.min(duration_ms * ITEMS_PER_CLIENT_MS_MAX)
            }
        }
    }
}

/// Runs an operation over connections of its own, and removes what it made.
///
/// # Errors
/// [`LoadError`] if preparing or removing fails, or on an interrupt. Requests that fail while
/// measuring are counted in the outcome.
pub fn run_operation(
    driver: &dyn Driver,
    load: &OperationLoad,
    surroundings: Surroundings<'_>,
) -> Result<OperationOutcome, LoadError> {
    if driver.is_in_process() {
        return run_operation_in_process(driver, load, surroundings);
    }
    let payload = Arc::new(printable_payload(load.payload_bytes));
    prepare_shared(driver, load, &payload)
        .map_err(LoadError::client(format!("preparing {}", load.name)))?;
    let outcome = run_connected(driver, load, &payload, surroundings)?;
    if load.shares_topic() {
        let topic = load.shared_topic();
        let mut operator = driver.operator(u32::MAX);
        let request = Request::Delete { topic: &topic };
        hold_requests(driver.address(), operator.as_mut(), [request])
            .map_err(LoadError::client(format!("clearing up {}", load.name)))?;
    }
    Ok(outcome)
}

/// A payload that text-only dialects can carry too.
fn printable_payload(payload_bytes: usize) -> Vec<u8> {
    let blank = Payloads::fixed(payload_bytes.max(MESSAGE_BYTES_MIN)).blank(0);
    let printable = blank.into_iter().map(|byte| byte.max(b'.'));
    printable.take(payload_bytes).collect()
}

fn prepare_shared(
    driver: &dyn Driver,
    load: &OperationLoad,
    payload: &[u8],
) -> Result<(), DriverError> {
    if !load.shares_topic() {
        return Ok(());
    }
    let topic = load.shared_topic();
    let mut operator = driver.operator(u32::MAX);
    hold_requests(driver.address(), operator.as_mut(), [Request::Create { topic: &topic }])?;
    if load.operation == Operation::Pull {
        let mut operator = driver.operator(u32::MAX);
        let count = load.items_of_one() as u32;
        hold_fill(driver.address(), operator.as_mut(), &topic, payload, count)?;
    }
    Ok(())
}

fn run_connected(
    driver: &dyn Driver,
    load: &OperationLoad,
    payload: &Arc<Vec<u8>>,
    surroundings: Surroundings<'_>,
) -> Result<OperationOutcome, LoadError> {
    let Surroundings { clock, interrupt, threads, generator, live, on_phase } = surroundings;
    let mut writers = live.writers().into_iter();
    let threads = threads.min(load.clients as usize).max(1);
    let board = Board::new(clock, interrupt.clone(), threads, 0);
    let shared_load = Arc::new(load.clone());
    let tallies = std::thread::scope(|scope| {
        let mut workers = Vec::new();
        for thread in 0..threads {
            let clients = (0..load.clients).filter(|client| *client as usize % threads == thread);
            let others = clients.map(|client| {
                let conversation = driver.operator(client);
                Role::Operator(OperatorRole::new(conversation, &shared_load, payload, client))
            });
            let payloads = Arc::new(Payloads::fixed(MESSAGE_BYTES_MIN));
            let crew = Crew {
                thread,
                address: driver.address(),
                first_number: (thread as u32) << 24,
                first: Vec::new(),
                others: others.collect(),
                dialling: None,
                publishing: Publishing::new(no_publishing()),
                recorder: Recorder::new(clock, payloads, 0, 1),
                interval_ns: u64::MAX,
                spin_ns: 0,
            };
            workers.push(Worker::new(crew, &board)?);
        }
        let spawned: Vec<_> = workers
            .into_iter()
            .map(|worker| {
                let writer = writers.next();
                scope.spawn(move || worker.run(generator, writer))
            })
            .collect();
        let conducted = conduct(&board, on_phase);
        let found: Vec<_> = spawned.into_iter().map(super::streams::join).collect();
        conducted.map(|times| (found, times))
    });
    let (found, start_ns) = tallies?;
    Ok(outcome(found, start_ns))
}

/// Leads everyone through the stages; when the measured one began.
fn conduct(board: &Board, on_phase: &mut dyn FnMut(Phase)) -> Result<u64, LoadError> {
    let silence = Patience { total_ns: u64::MAX, idle_ns: SILENCE_MS_MAX * NS_PER_MS };
    let connecting = Patience { total_ns: CONNECT_MS_MAX * NS_PER_MS, idle_ns: u64::MAX };
    let go = |stage, patience, expected| match board.conduct(stage, patience)? {
        Ended::Done => Ok(()),
        Ended::TimedOut => {
            board.end();
            Err(LoadError::TimedOut { expected, waited_ms: SILENCE_MS_MAX })
        }
    };
    go(Stage::ConnectOthers, connecting, "every client to be connected")?;
    go(Stage::Prepare, silence, "an answer while preparing")?;
    on_phase(Phase::WarmUp);
    go(Stage::WarmUp, silence, "an answer while warming up")?;
    go(Stage::Set, silence, "every generator thread to be ready")?;
    on_phase(Phase::Measured);
    go(Stage::Measure, silence, "an answer")?;
    let start_ns = board.measure_start_ns();
    on_phase(Phase::Over);
    // What remains is not measured, and a client whose requests failed has nothing to remove.
    go(Stage::CleanUp, silence, "an answer while clearing up")?;
    board.end();
    Ok(start_ns)
}

fn outcome(found: Vec<super::worker::Findings>, start_ns: u64) -> OperationOutcome {
    let mut errors = BTreeMap::new();
    let mut latencies = LatencyHistogram::new();
    let (mut last_ns, mut threads_cpu_ns) = (start_ns, Vec::new());
    for findings in found {
        let Tally { last_ns: own_last_ns, errors: own_errors, latencies: own } = findings.tally;
        last_ns = last_ns.max(own_last_ns);
        latencies.merge(&own);
        for (code, count) in own_errors {
            *errors.entry(code).or_default() += count;
        }
        threads_cpu_ns.push(findings.cpu_ns);
    }
    let duration_ns = last_ns.saturating_sub(start_ns);
    OperationOutcome { count: latencies.count(), errors, duration_ns, latencies, threads_cpu_ns }
}

/// Whether an answer is what was asked for.
pub(super) fn judge(
    operation: Operation,
    answer: Result<u32, DriverError>,
) -> Result<(), DriverError> {
    match (operation, answer?) {
        (Operation::Pull, 1) => Ok(()),
        (Operation::Pull, other) => Err(DriverError::Refused {
            code: "nothing_pulled".to_owned(),
            message: format!("expected one message, found {other}"),
        }),
        _ => Ok(()),
    }
}

/// Publishing that does not take place.
pub(super) fn no_publishing() -> PublishingTerms {
    PublishingTerms {
        schedule: None::<ThreadSchedule>,
        batch_max: 1,
        in_flight_max: None,
        confirmed: false,
        extent: Extent::Count(0),
        warmup_ns: 0,
        topics: 1,
        topic_choice: None,
        run_id: 0,
        publishers: 1,
        interval_ns: u64::MAX,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(operation: Operation, clients: u32, extent: Extent) -> OperationLoad {
        let (warmup_ns, payload_bytes) = (0, 16);
        OperationLoad { operation, clients, extent, warmup_ns, payload_bytes, name: "t".to_owned() }
    }

    #[test]
    fn clients_share_the_items_but_each_pulls_every_message() {
        let for_a_second = Extent::DurationNs(1_000_000_000);
        let items = |operation, clients| load(operation, clients, for_a_second).items_of_one();
        assert_eq!(items(Operation::Create, 1), ITEMS_PER_CELL_MAX);
        assert_eq!(items(Operation::Create, 50), ITEMS_PER_CELL_MAX / 50);
        assert_eq!(items(Operation::Pull, 50), ITEMS_PER_CELL_MAX);
    }

    #[test]
    fn what_a_short_measurement_cannot_use_up_is_not_made() {
        let items = load(Operation::Delete, 1, Extent::DurationNs(30_000_000)).items_of_one();
        assert_eq!(items, 3000);
    }

    #[test]
    fn a_count_needs_its_warm_up_too() {
        assert_eq!(load(Operation::Delete, 1, Extent::Count(1000)).items_of_one(), 1100);
    }

    #[test]
    fn a_payload_is_printable() {
        let payload = printable_payload(40);
        assert_eq!(payload.len(), 40);
        assert!(payload.iter().all(u8::is_ascii_graphic));
    }
}
