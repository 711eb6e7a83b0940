//! A stream: publishers push, subscribers receive, and every message is accounted for.

use super::publisher::{Published, Publisher};
use super::subscriber::Subscriber;
use super::{Extent, Guard, LoadError, Phase, Surroundings, Together, join, merged};
use crate::config::LoadChoice;
use crate::drivers::{Driver, DriverError, StreamPublisher, StreamSpec, StreamSubscriber};
use crate::intake::{Intake, Span};
use crate::ledger::Faults;
use measure::LatencyHistogram;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// One stream to run.
#[derive(Clone, Debug)]
pub struct StreamRun {
    /// Topic, payload and batch.
    pub spec: StreamSpec,
    /// Connections that publish.
    pub publishers: u32,
    /// Connections that each receive everything.
    pub subscribers: u32,
    /// Publications of each publisher under way at once; `None`: none are acknowledged.
    pub acks: Option<u32>,
    /// How hard the publishers push.
    pub load: LoadChoice,
    /// Messages over all publishers, or how long they go on.
    pub extent: Extent,
    /// How long to go on beforehand, unrecorded.
    pub warmup_ns: u64,
}

/// What came of a stream. Faults count the warm-up too; everything else does not.
#[derive(Clone, Debug)]
pub struct StreamOutcome {
    /// Messages sent.
    pub sent: u64,
    /// Deliveries that would have been right.
    pub expected: u64,
    /// Deliveries that came.
    pub received: u64,
    /// What was wrong with them.
    pub faults: Faults,
    /// From the first message sent to the last delivery, or without subscribers to the last
    /// acknowledgement.
    pub duration_ns: u64,
    /// From sending, or being due, to delivery.
    pub latencies: LatencyHistogram,
    /// What publishers were told, where they asked.
    pub acknowledged: Option<AckOutcome>,
}

/// What came of the acknowledgements of a stream.
#[derive(Clone, Debug, Default)]
pub struct AckOutcome {
    /// Messages acknowledged.
    pub messages: u64,
    /// From the first message sent to the last acknowledgement.
    pub duration_ns: u64,
    /// From sending to the acknowledgement.
    pub latencies: LatencyHistogram,
}

/// Runs a stream over connections of its own.
///
/// # Errors
/// [`LoadError`] if any client fails, or on an interrupt.
pub fn run_stream(
    driver: &dyn Driver,
    stream: &StreamRun,
    surroundings: Surroundings<'_>,
) -> Result<StreamOutcome, LoadError> {
    let spec = &stream.spec;
    driver.prepare_stream(spec).map_err(LoadError::client("preparing a stream"))?;
    make_idle_subscriptions(driver, spec).map_err(LoadError::client("subscribing idly"))?;
    let subscribers = (0..stream.subscribers)
        .map(|index| driver.stream_subscriber(spec, index))
        .collect::<Result<Vec<_>, _>>()
        .map_err(LoadError::client("connecting a subscriber"))?;
    let publishers = connect_publishers(driver, stream)?;
    let outcome = run_connected(stream, publishers, subscribers, surroundings)?;
    driver.end_stream(spec).map_err(LoadError::client("ending a stream"))?;
    Ok(outcome)
}

/// What publishers tell subscribers.
pub(super) struct Sending {
    /// Messages that each producer has sent, set when it has finished a phase.
    pub(super) sent: Vec<AtomicU64>,
    /// Publishers that have not finished the phase.
    pub(super) unfinished: AtomicUsize,
}

impl Sending {
    pub(super) fn sent(&self) -> Vec<u64> {
        self.sent.iter().map(|sent| sent.load(Ordering::Acquire)).collect()
    }
}

pub(super) fn connect_publishers(
    driver: &dyn Driver,
    stream: &StreamRun,
) -> Result<Vec<Box<dyn StreamPublisher>>, LoadError> {
    (0..stream.publishers)
        .map(|producer| driver.stream_publisher(&stream.spec, producer as u16))
        .collect::<Result<Vec<_>, _>>()
        .map_err(LoadError::client("connecting a publisher"))
}

pub(super) fn run_connected(
    stream: &StreamRun,
    publishers: Vec<Box<dyn StreamPublisher>>,
    subscribers: Vec<Box<dyn StreamSubscriber>>,
    surroundings: Surroundings<'_>,
) -> Result<StreamOutcome, LoadError> {
    let Surroundings { clock, interrupt, on_phase } = surroundings;
    let together = Together::new(publishers.len() + subscribers.len() + 1, interrupt);
    let sending = Sending {
        sent: publishers.iter().map(|_| AtomicU64::new(0)).collect(),
        unfinished: AtomicUsize::new(publishers.len()),
    };
    let (published, received) = std::thread::scope(|scope| {
        let (together, sending) = (&together, &sending);
        let publishing: Vec<_> = (0u16..)
            .zip(publishers)
            .map(|(producer, client)| {
                let publisher = Publisher { stream, producer, clock, together, sending };
                scope.spawn(move || {
                    let _guard = Guard(together);
                    publisher.run(client)
                })
            })
            .collect();
        let receiving: Vec<_> = subscribers
            .into_iter()
            .map(|client| {
                let intake = Intake::new(clock, sending.sent.len(), stream.spec.payload_bytes);
                let subscriber = Subscriber { clock, together, sending, intake };
                scope.spawn(move || {
                    let _guard = Guard(together);
                    subscriber.run(client)
                })
            })
            .collect();
        conduct(together, sending, on_phase);
        let published: Vec<_> = publishing.into_iter().filter_map(join).collect();
        let received: Vec<_> = receiving.into_iter().filter_map(join).collect();
        (published, received)
    });
    together.conclude()?;
    Ok(outcome(published, received))
}

/// Leads everyone through the phases. `None`: someone failed.
fn conduct(
    together: &Together<'_>,
    sending: &Sending,
    on_phase: &mut dyn FnMut(Phase),
) -> Option<()> {
    for phase in [Phase::WarmUp, Phase::Measured] {
        sending.unfinished.store(sending.sent.len(), Ordering::Release);
        together.wait()?;
        on_phase(phase);
        together.wait()?;
    }
    on_phase(Phase::Over);
    Some(())
}

fn outcome(published: Vec<Published>, received: Vec<(Faults, Span)>) -> StreamOutcome {
    let sent = published.iter().map(|publisher| publisher.sent).sum();
    let first_sent_ns = published.iter().map(|publisher| publisher.first_sent_ns).min();
    let first_sent_ns = first_sent_ns.unwrap_or(0);
    let acknowledged = acknowledged(published, first_sent_ns);
    let mut faults = Faults::default();
    let (mut received_count, mut last_received_ns) = (0, 0);
    let subscribers = received.len() as u64;
    let mut histograms = Vec::with_capacity(received.len());
    for (subscriber_faults, span) in received {
        faults += subscriber_faults;
        received_count += span.received;
        last_received_ns = last_received_ns.max(span.last_received_ns);
        histograms.push(span.latencies);
    }
    let duration_ns = match (&acknowledged, subscribers) {
        (Some(acknowledged), 0) => acknowledged.duration_ns,
        _ => last_received_ns.saturating_sub(first_sent_ns),
    };
    StreamOutcome {
        sent,
        expected: sent * subscribers,
        received: received_count,
        faults,
        duration_ns,
        latencies: merged(histograms),
        acknowledged,
    }
}

fn acknowledged(published: Vec<Published>, first_sent_ns: u64) -> Option<AckOutcome> {
    let acked: Vec<_> = published.into_iter().filter_map(|publisher| publisher.acked).collect();
    let last_ns = acked.iter().map(|acked| acked.last_ns).max()?;
    Some(AckOutcome {
        messages: acked.iter().map(|acked| acked.messages).sum(),
        duration_ns: last_ns.saturating_sub(first_sent_ns),
        latencies: merged(acked.into_iter().map(|acked| acked.latencies).collect()),
    })
}

/// Makes subscriptions to a stream's topic that never read.
fn make_idle_subscriptions(driver: &dyn Driver, spec: &StreamSpec) -> Result<(), DriverError> {
    if spec.idle_subscriptions == 0 {
        return Ok(());
    }
    let mut client = driver.operation_client()?;
    (0..spec.idle_subscriptions)
        .try_for_each(|index| client.subscribe(&spec.topic, &format!("idle-{index}")))
}
