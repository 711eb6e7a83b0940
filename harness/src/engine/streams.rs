//! A stream: publishers push, subscribers receive, and every message is accounted for.

use super::board::{Board, Ended, Patience, Stage};
use super::churn::{Churn, ChurnRun, ChurnSwitch};
use super::due::ThreadSchedule;
use super::in_process::run_stream_in_process;
use super::outcome::{PhaseTimes, StreamOutcome};
use super::publishing::{PublisherRole, Publishing, PublishingTerms, share};
use super::role::{Allowance, Role, SubscriberRole};
use super::worker::{Crew, Findings, Worker};
use super::{Extent, LoadError, Phase, Surroundings};
use crate::drivers::DriverError;
use crate::intake::Recorder;
use crate::ledger::Ledger;
use crate::schedule::{LoadModel, Share};
use crate::topic_choice::TopicChoice;
use crate::wire::{Confirmation, Driver, StreamTerms, hold_conversation};
use std::thread::ScopedJoinHandle;

/// How long nothing may move while messages are published.
const SILENCE_MS_MAX: u64 = 30_000;

/// How long everything that was sent is awaited, in all.
const DRAIN_MS_MAX: u64 = 60_000;

/// How long what was late for that is still counted.
const LATE_MS_MAX: u64 = 5_000;

const NS_PER_MS: u64 = 1_000_000;

/// Intervals that a phase of known length is parted into, and the shortest of them.
const INTERVALS: u64 = 60;
const INTERVAL_NS_MIN: u64 = 50 * NS_PER_MS;
const INTERVAL_NS_OF_COUNTS: u64 = 100 * NS_PER_MS;

/// One stream to run.
#[derive(Clone, Debug)]
pub struct StreamRun {
    /// Topics, payloads and batches.
    pub terms: StreamTerms,
    /// Connections that publish.
    pub publishers: u32,
    /// Connections that each receive everything.
    pub subscribers: u32,
    /// Those of the subscribers that read slowly.
    pub slow: Option<SlowConsumers>,
    /// Subscribers that come and go beside these, and are in no figure.
    pub churn: Option<ChurnRun>,
    /// Publications of each publisher under way at once, where they are acknowledged.
    pub in_flight_max: Option<u32>,
    /// When messages are due, over all publishers; `None`: as fast as the broker takes them.
    pub model: Option<LoadModel>,
    /// What arrivals, and choices of topics, are drawn from.
    pub seed: u64,
    /// Which topic each publication goes to; `None`: to the only one.
    pub topic_choice: Option<TopicChoice>,
    /// Messages over all publishers, or how long they go on.
    pub extent: Extent,
    /// How long to go on beforehand, unrecorded.
    pub warmup_ns: u64,
    /// How long nothing may come while everything that was sent is awaited.
    pub drain_idle_ns: u64,
    /// How long connecting may take.
    pub connect_ms_max: u64,
    /// So long before a message is due a generator thread stops sleeping.
    pub spin_ns: u64,
    /// What all its messages carry.
    pub run_id: u32,
}

/// Subscribers that read slowly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlowConsumers {
    /// How many of all subscribers.
    pub subscribers: u32,
    /// What each reads.
    pub bytes_per_s: u64,
}

impl StreamRun {
    fn interval_ns(&self) -> u64 {
        match self.extent {
            Extent::DurationNs(duration_ns) => (duration_ns / INTERVALS).max(INTERVAL_NS_MIN),
            Extent::Count(_) => INTERVAL_NS_OF_COUNTS,
        }
    }

    /// How many messages each publisher sends in all, where that is said.
    #[must_use]
    pub fn sent(&self) -> Vec<u64> {
        let messages = match self.extent {
            Extent::Count(messages) => messages,
            Extent::DurationNs(_) => 0,
        };
        let publishers = 0..self.publishers;
        publishers.map(|publisher| share(messages, publisher, self.publishers)).collect()
    }

    fn producers(&self) -> usize {
        self.publishers as usize * self.terms.topics as usize
    }
}

/// Runs a stream over connections of its own. `prepare_further` is called when its topics are made
/// and nobody is connected.
///
/// # Errors
/// [`LoadError`] if any client fails, or on an interrupt.
pub fn run_stream(
    driver: &dyn Driver,
    stream: &StreamRun,
    surroundings: Surroundings<'_>,
    prepare_further: impl FnOnce(&dyn Driver) -> Result<(), DriverError>,
) -> Result<StreamOutcome, LoadError> {
    if driver.is_in_process() {
        return run_stream_in_process(driver, stream, surroundings);
    }
    if let Some(mut preparation) = driver.preparation(&stream.terms) {
        hold_conversation(driver.address(), preparation.as_mut())
            .map_err(LoadError::client("preparing a stream"))?;
    }
    prepare_further(driver).map_err(LoadError::client("preparing a stream"))?;
    let outcome = run_prepared(driver, stream, surroundings)?;
    if let Some(mut removal) = driver.removal(&stream.terms) {
        hold_conversation(driver.address(), removal.as_mut())
            .map_err(LoadError::client("ending a stream"))?;
    }
    Ok(outcome)
}

/// The same, where the topics are there, and stay.
pub(super) fn run_prepared(
    driver: &dyn Driver,
    stream: &StreamRun,
    surroundings: Surroundings<'_>,
) -> Result<StreamOutcome, LoadError> {
    let Surroundings { clock, interrupt, threads, generator, live, on_phase } = surroundings;
    let mut writers = live.writers().into_iter();
    let clients = (stream.publishers + stream.subscribers) as usize;
    let threads = threads.min(clients).max(1);
    let board = Board::new(clock, interrupt.clone(), threads, stream.producers());
    let switch = ChurnSwitch::default();
    let (found, times, churned) = std::thread::scope(|scope| {
        let mut workers = Vec::new();
        for thread in 0..threads {
            workers.push(Worker::new(crew(driver, stream, thread, threads, clock), &board)?);
        }
        let spawned: Vec<_> = workers
            .into_iter()
            .map(|worker| {
                let writer = writers.next();
                scope.spawn(move || worker.run(generator, writer))
            })
            .collect();
        let churn = Churn::spawn(scope, driver, stream, &switch, clock, generator);
        let conducted = conduct(&board, stream, &mut |phase| {
            match phase {
                Phase::WarmUp => {}
                Phase::Measured => switch.begin(),
                Phase::Over => switch.end(),
            }
            on_phase(phase);
        });
        board.end();
        switch.end();
        let churned = churn.join();
        let found: Vec<Findings> = spawned.into_iter().map(join).collect();
        conducted.map(|times| (found, times, churned))
    })?;
    let interval_ns = stream.interval_ns();
    let sent = board.sent();
    let outcome = StreamOutcome::of(found, &sent, stream.subscribers, interval_ns, times);
    Ok(StreamOutcome { churned, ..outcome })
}

/// Reads what the topics hold, as one subscriber that is new: everything that the stream's
/// publishers would have sent. The duration is from before it connects.
pub(super) fn drain_prepared(
    driver: &dyn Driver,
    stream: &StreamRun,
    reader: u32,
    surroundings: Surroundings<'_>,
) -> Result<StreamOutcome, LoadError> {
    let Surroundings { clock, interrupt, generator, live, on_phase, .. } = surroundings;
    let board = Board::new(clock, interrupt.clone(), 1, stream.producers());
    for (publisher, sent) in (0u32..).zip(stream.sent()) {
        board.set_sent(publisher, sent);
    }
    let nobody = StreamRun { publishers: 0, ..stream.clone() };
    let mut crew = crew(driver, &nobody, 0, 1, clock);
    crew.first.push(Role::Subscriber(SubscriberRole {
        subscriber: reader,
        conversation: driver.subscriber(&stream.terms, reader),
        ledger: Ledger::new(stream.producers()),
        group: 0,
        allowance: None,
    }));
    let worker = Worker::new(crew, &board)?;
    let silence = Patience { total_ns: u64::MAX, idle_ns: stream.drain_idle_ns };
    let (findings, start_ns) = std::thread::scope(|scope| {
        let spawned = scope.spawn(|| worker.run(generator, live.writers().into_iter().next()));
        on_phase(Phase::Measured);
        let conducted = (|| {
            board.conduct(Stage::Set, silence)?;
            let start_ns = board.clock.now_ns();
            board.conduct(Stage::ConnectFirst, silence)?;
            board.conduct(Stage::MeasureDrain, silence)?;
            Ok::<_, LoadError>(start_ns)
        })();
        board.end();
        on_phase(Phase::Over);
        let findings = join(spawned);
        conducted.map(|start_ns| (findings, start_ns))
    })?;
    let times = PhaseTimes { start_ns, sending_end_ns: start_ns };
    Ok(StreamOutcome::of(vec![findings], &board.sent(), 1, u64::MAX, times))
}

/// The connections of one thread. Publishers are dealt from the first thread on and subscribers
/// from the last, so that one of each is on two threads.
fn crew(
    driver: &dyn Driver,
    stream: &StreamRun,
    thread: usize,
    threads: usize,
    clock: crate::clock::Clock,
) -> Crew {
    let terms = &stream.terms;
    let own_publishers: Vec<u32> =
        (0..stream.publishers).filter(|index| *index as usize % threads == thread).collect();
    let own_subscribers =
        (0..stream.subscribers).filter(|index| threads - 1 - *index as usize % threads == thread);
    let groups = if stream.slow.is_some() { 2 } else { 1 };
    let first = own_subscribers.map(|subscriber| {
        // The last ones are slow.
        let slow = stream.slow.filter(|slow| stream.subscribers - subscriber <= slow.subscribers);
        Role::Subscriber(SubscriberRole {
            subscriber,
            conversation: driver.subscriber(terms, subscriber),
            ledger: Ledger::new(stream.producers()),
            group: usize::from(slow.is_some()),
            allowance: slow.map(|slow| Allowance::new(slow.bytes_per_s)),
        })
    });
    let others = own_publishers.iter().map(|&publisher| {
        let conversation = driver.publisher(terms, publisher);
        Role::Publisher(PublisherRole::new(publisher, conversation, terms.topics))
    });
    // Threads that publish share the load: as many as there are publishers, at most.
    let publishing_threads = threads.min(stream.publishers as usize) as u32;
    let share = Share::interleaved(thread as u32, publishing_threads, stream.publishers).ok();
    let schedule = stream.model.clone().zip(share);
    let publishing = Publishing::new(PublishingTerms {
        schedule: schedule.map(|(model, share)| ThreadSchedule::new(model, share, stream.seed)),
        batch_max: terms.batch_max,
        in_flight_max: stream.in_flight_max,
        confirmed: terms.confirmation == Confirmation::Wanted,
        extent: stream.extent,
        warmup_ns: stream.warmup_ns,
        topics: terms.topics,
        topic_choice: stream.topic_choice.clone(),
        run_id: stream.run_id,
        publishers: stream.publishers,
        interval_ns: stream.interval_ns(),
    });
    Crew {
        thread,
        address: driver.address(),
        first_number: (thread as u32) << 24,
        first: first.collect(),
        others: others.collect(),
        dialling: None,
        publishing,
        recorder: Recorder::new(clock, terms.payloads.clone(), stream.run_id, groups),
        interval_ns: stream.interval_ns(),
        spin_ns: stream.spin_ns,
    }
}

/// Leads everyone through the stages.
fn conduct(
    board: &Board,
    stream: &StreamRun,
    on_phase: &mut dyn FnMut(Phase),
) -> Result<PhaseTimes, LoadError> {
    let connecting = Patience { total_ns: stream.connect_ms_max * NS_PER_MS, idle_ns: u64::MAX };
    let silence = Patience { total_ns: u64::MAX, idle_ns: SILENCE_MS_MAX * NS_PER_MS };
    let draining = Patience { total_ns: DRAIN_MS_MAX * NS_PER_MS, idle_ns: stream.drain_idle_ns };
    let late = Patience {
        total_ns: LATE_MS_MAX * NS_PER_MS,
        idle_ns: stream.drain_idle_ns.min(LATE_MS_MAX * NS_PER_MS),
    };
    let go = |stage, patience: Patience, expected| match board.conduct(stage, patience)? {
        Ended::Done => Ok(()),
        Ended::TimedOut => {
            let waited_ms = patience.total_ns.min(patience.idle_ns) / NS_PER_MS;
            Err(LoadError::TimedOut { expected, waited_ms })
        }
    };
    go(Stage::ConnectFirst, connecting, "every subscriber to be ready")?;
    go(Stage::ConnectOthers, connecting, "every publisher to be ready")?;
    on_phase(Phase::WarmUp);
    if stream.warmup_ns > 0 {
        go(Stage::WarmUp, silence, "publishers to get on while warming up")?;
        board.conduct(Stage::WarmUpDrain, draining)?;
    }
    go(Stage::Set, silence, "every generator thread to be ready")?;
    on_phase(Phase::Measured);
    go(Stage::Measure, silence, "publishers to get on")?;
    let start_ns = board.measure_start_ns();
    let times = PhaseTimes { start_ns, sending_end_ns: board.clock.now_ns() };
    on_phase(Phase::Over);
    if board.conduct(Stage::MeasureDrain, draining)? == Ended::TimedOut {
        board.conduct(Stage::Late, late)?;
    }
    Ok(times)
}

/// Waits for a thread; its panic, a broken invariant, goes on here.
pub(super) fn join<T>(thread: ScopedJoinHandle<'_, T>) -> T {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}
