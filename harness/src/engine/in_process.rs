//! What the load generator does by itself: the bound of whatever it measures.
//!
//! One thread encodes and stamps publications, and walks deliveries that are encoded as a broker
//! would send them; no byte passes a socket. A driver that comes near this measures itself.

use super::operations::{OperationLoad, OperationOutcome};
use super::outcome::{StreamOutcome, ThreadShare};
use super::streams::StreamRun;
use super::{Extent, LoadError, Phase, Surroundings};
use crate::clock::Clock;
use crate::drivers::Operation;
use crate::intake::{Intake, Recorder};
use crate::ledger::Ledger;
use crate::message::{BatchStamp, Intended};
use crate::wire::{
    Conversation, Driver, Encoder, Heard, Publications, Publisher, Request, StreamTerms, Tidings,
    hold_conversation,
};
use measure::LatencyHistogram;
use std::collections::BTreeMap;
use std::hint::black_box;

/// How long a driver's ceiling is measured.
const CEILING_NS: u64 = 100_000_000;

/// What one generator thread can do with a driver, no broker and no socket in its way.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ceiling {
    /// To encode and stamp one message.
    pub publish_ns: f64,
    /// To take in one delivery: decoded, checked, entered, recorded.
    pub deliver_ns: f64,
}

impl Ceiling {
    /// Deliveries per second that the generator can bring about at most: as many messages as the
    /// busiest thread can send and receive, times subscribers; without subscribers, messages sent.
    #[must_use]
    pub fn deliveries_per_s(&self, publishers: u32, subscribers: u32, threads: usize) -> f64 {
        let clients = (publishers + subscribers) as usize;
        let threads = threads.min(clients).max(1) as u32;
        // As connections are dealt: publishers from the first thread on, subscribers from the last.
        let on_thread = |all: u32, thread: u32| all / threads + u32::from(thread < all % threads);
        let busy_ns = |thread: u32| {
            let own = on_thread(publishers, thread);
            let part = f64::from(own) / f64::from(publishers.max(1));
            let received = f64::from(on_thread(subscribers, threads - 1 - thread));
            part * self.publish_ns + received * self.deliver_ns
        };
        let busiest_ns = (0..threads).map(busy_ns).fold(0.0, f64::max);
        1e9 / busiest_ns * f64::from(subscribers.max(1))
    }
}

/// Measures the ceiling of a driver, which must have a delivery encoder; `None` if it has none.
/// The broker is asked only to let a publisher and a subscriber in.
///
/// # Errors
/// [`LoadError::Client`] if it does not.
pub fn measure_ceiling(
    driver: &dyn Driver,
    stream: &StreamRun,
    clock: Clock,
) -> Result<Option<Ceiling>, LoadError> {
    let mut terms = stream.terms.clone();
    terms.root = format!("{}-ceiling", terms.root);
    let Some(encoder) = driver.delivery_encoder(&terms) else { return Ok(None) };
    if let Some(mut preparation) = driver.preparation(&terms) {
        hold_conversation(driver.address(), preparation.as_mut())
            .map_err(LoadError::client("preparing to measure the generator"))?;
    }
    let stream = StreamRun {
        terms: terms.clone(),
        publishers: 1,
        subscribers: 1,
        extent: Extent::DurationNs(CEILING_NS),
        topic_choice: None,
        ..stream.clone()
    };
    let mut bench = Bench::open(driver, &stream, encoder, clock)?;
    bench.run(clock.now_ns(), &stream)?;
    if let Some(mut removal) = driver.removal(&terms) {
        hold_conversation(driver.address(), removal.as_mut())
            .map_err(LoadError::client("clearing up after measuring the generator"))?;
    }
    Ok(bench.ceiling())
}

/// Runs a stream without a broker, on this thread.
///
/// # Errors
/// [`LoadError::Interrupted`].
pub(super) fn run_stream_in_process(
    driver: &dyn Driver,
    stream: &StreamRun,
    surroundings: Surroundings<'_>,
) -> Result<StreamOutcome, LoadError> {
    let Surroundings { clock, interrupt, on_phase, .. } = surroundings;
    let Some(encoder) = driver.delivery_encoder(&stream.terms) else {
        unreachable!("a driver within this process has deliveries");
    };
    let mut bench = Bench::open(driver, stream, encoder, clock)?;
    on_phase(Phase::Measured);
    let start_ns = clock.now_ns();
    bench.run(start_ns, stream)?;
    on_phase(Phase::Over);
    if interrupt.is_raised() {
        return Err(LoadError::Interrupted);
    }
    Ok(bench.outcome(start_ns, clock.now_ns(), stream.subscribers))
}

/// Answers an operation's requests by itself, on this thread.
pub(super) fn run_operation_in_process(
    driver: &dyn Driver,
    load: &OperationLoad,
    surroundings: Surroundings<'_>,
) -> Result<OperationOutcome, LoadError> {
    let Surroundings { clock, on_phase, .. } = surroundings;
    let mut operators: Vec<_> = (0..load.clients).map(|client| driver.operator(client)).collect();
    let (topic, subscriber) = (load.shared_topic(), "subscriber".to_owned());
    let payload = vec![b'.'; load.payload_bytes];
    let request = match load.operation {
        Operation::Create => Request::Create { topic: &topic },
        Operation::Publish => Request::Publish { topic: &topic, payload: &payload },
        Operation::Subscribe => Request::Subscribe { topic: &topic, subscriber: &subscriber },
        Operation::Pull => Request::Pull { topic: &topic, subscriber: &subscriber },
        Operation::Delete => Request::Delete { topic: &topic },
    };
    on_phase(Phase::Measured);
    let (mut latencies, mut output) = (LatencyHistogram::new(), Vec::new());
    let (start_ns, mut now_ns, mut asked) = (clock.now_ns(), clock.now_ns(), 0);
    let is_over = |asked: u64, now_ns: u64| match load.extent {
        Extent::Count(count) => asked >= count * u64::from(load.clients),
        Extent::DurationNs(duration_ns) => now_ns - start_ns >= duration_ns,
    };
    while !is_over(asked, now_ns) {
        let operator = &mut operators[(asked % u64::from(load.clients)) as usize];
        output.clear();
        operator.request(&request, &mut output).map_err(LoadError::client("asking"))?;
        let answered_ns = clock.now_ns();
        latencies.record_ns(answered_ns - now_ns);
        (now_ns, asked) = (answered_ns, asked + 1);
    }
    on_phase(Phase::Over);
    let duration_ns = now_ns - start_ns;
    let (count, errors) = (asked, BTreeMap::new());
    Ok(OperationOutcome {
        count,
        errors,
        duration_ns,
        latencies,
        threads_cpu_ns: vec![duration_ns],
    })
}

fn let_in(driver: &dyn Driver, conversation: &mut dyn Conversation) -> Result<(), LoadError> {
    match driver.is_in_process() {
        true => Ok(()),
        false => hold_conversation(driver.address(), conversation)
            .map_err(LoadError::client("being let in to measure the generator")),
    }
}

fn publisher_let_in(
    driver: &dyn Driver,
    terms: &StreamTerms,
    publisher: u32,
) -> Result<Box<dyn Publisher>, LoadError> {
    let mut conversation = driver.publisher(terms, publisher);
    let_in(driver, conversation.as_mut())?;
    Ok(conversation)
}

/// Publishers and subscribers face to face.
struct Bench<'a> {
    driver: &'a dyn Driver,
    terms: &'a StreamTerms,
    clock: Clock,
    publishers: Vec<Box<dyn Publisher>>,
    sequences: Vec<u64>,
    subscribers: Vec<(Box<dyn Conversation>, Ledger)>,
    deliveries: Publications<Box<dyn Encoder>>,
    recorder: Recorder,
    sent: u64,
    publishing_ns: u64,
    delivering_ns: u64,
}

impl<'a> Bench<'a> {
    fn open(
        driver: &'a dyn Driver,
        stream: &'a StreamRun,
        encoder: Box<dyn Encoder>,
        clock: Clock,
    ) -> Result<Self, LoadError> {
        let terms = &stream.terms;
        let mut subscribers = Vec::new();
        for subscriber in 0..stream.subscribers {
            let mut conversation = driver.subscriber(terms, subscriber);
            let_in(driver, conversation.as_mut())?;
            subscribers.push((conversation, Ledger::new(stream.publishers as usize)));
        }
        let mut publishers = Vec::new();
        for publisher in 0..stream.publishers {
            publishers.push(publisher_let_in(driver, terms, publisher)?);
        }
        let payloads = terms.payloads.clone();
        let mut recorder = Recorder::new(clock, payloads.clone(), stream.run_id, 1);
        recorder.begin_phase(0, clock.now_ns(), u64::MAX);
        Ok(Self {
            driver,
            terms,
            clock,
            sequences: vec![0; publishers.len()],
            publishers,
            subscribers,
            deliveries: Publications::new(encoder, payloads),
            recorder,
            sent: 0,
            publishing_ns: 0,
            delivering_ns: 0,
        })
    }

    fn run(&mut self, start_ns: u64, stream: &StreamRun) -> Result<(), LoadError> {
        loop {
            for publisher in 0..self.publishers.len() {
                let now_ns = self.clock.now_ns();
                let count = match stream.extent {
                    Extent::Count(messages) => messages.saturating_sub(self.sent),
                    Extent::DurationNs(duration_ns) if now_ns - start_ns >= duration_ns => 0,
                    Extent::DurationNs(_) => u64::MAX,
                };
                let count = count.min(u64::from(stream.terms.batch_max)) as u32;
                if count == 0 {
                    return Ok(());
                }
                if self.publishers[publisher].room() < count {
                    // Nothing that it sent is ever answered; a new one has room again.
                    self.publishers[publisher] =
                        publisher_let_in(self.driver, self.terms, publisher as u32)?;
                }
                let count = count.min(self.publishers[publisher].room());
                if count == 0 {
                    return Ok(());
                }
                self.pass(publisher, count, now_ns, stream.run_id)?;
            }
        }
    }

    /// One publication to all subscribers.
    fn pass(
        &mut self,
        publisher: usize,
        count: u32,
        now_ns: u64,
        run_id: u32,
    ) -> Result<(), LoadError> {
        let stamp = BatchStamp {
            count,
            topic: 0,
            producer: publisher as u32,
            first_sequence: self.sequences[publisher],
            intended: Intended::Together(now_ns),
            sent_ns: now_ns,
            run_id,
            phase: 0,
        };
        black_box(self.publishers[publisher].publish(&stamp));
        self.publishing_ns += self.clock.now_ns() - now_ns;
        self.sequences[publisher] += u64::from(count);
        self.sent += u64::from(count);
        // What a broker would do is not counted.
        let delivery = self.deliveries.stamped(&stamp).bytes();
        let begin_ns = self.clock.now_ns();
        for (conversation, ledger) in &mut self.subscribers {
            let (mut replies, mut tidings) = (Vec::new(), Tidings::default());
            self.recorder.begin();
            let mut intake = Intake::new(&mut self.recorder, ledger, 0);
            let mut heard = Heard::new(&mut intake, &mut replies, &mut tidings);
            conversation
                .handle_input(delivery, &mut heard)
                .map_err(LoadError::client("receiving from the generator itself"))?;
            self.recorder.end(0);
            black_box(&replies);
        }
        self.delivering_ns += self.clock.now_ns() - begin_ns;
        Ok(())
    }

    fn ceiling(&self) -> Option<Ceiling> {
        let received = self.recorder.received();
        (self.sent > 0 && received > 0).then(|| Ceiling {
            publish_ns: self.publishing_ns as f64 / self.sent as f64,
            deliver_ns: self.delivering_ns as f64 / received as f64,
        })
    }

    fn outcome(self, start_ns: u64, end_ns: u64, subscribers: u32) -> StreamOutcome {
        let wall_ns = end_ns - start_ns;
        let mut outcome = StreamOutcome::alone(self.sent, wall_ns, subscribers);
        for (index, (_, ledger)) in (0u32..).zip(&self.subscribers) {
            outcome.add_ledger(index, ledger, &self.sequences);
        }
        outcome.add_recorded(&self.recorder.groups()[0], false);
        outcome.threads.push(ThreadShare { cpu_ns: wall_ns, wall_ns });
        outcome
    }
}
