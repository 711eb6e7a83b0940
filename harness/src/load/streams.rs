//! A stream: publishers push, subscribers receive, and every message is accounted for.

use super::{Extent, Guard, LoadError, Phase, Surroundings, Together, join, merged};
use crate::clock::Clock;
use crate::drivers::{
    Driver, DriverError, Received, StreamPublisher, StreamSpec, StreamSubscriber,
};
use crate::intake::{Intake, Span};
use crate::ledger::Faults;
use crate::message::BatchStamp;
use crate::pace::Pace;
use measure::{LatencyHistogram, StreamLoad};
use std::num::NonZeroU64;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

/// How long a subscriber waits for the next message after everything was sent.
const DRAIN_IDLE_MS_MAX: u64 = 3_000;

/// How long a subscriber goes on receiving after everything was sent.
const DRAIN_MS_MAX: u64 = 60_000;

/// Longest sleep of a paced publisher before it looks whether to stop.
const PACE_SLEEP_MS_MAX: u64 = 50;

/// How exactly a paced publisher asks to be woken; the kernel's default is 50 µs late.
const TIMER_SLACK_NS: u64 = 1_000;

const NS_PER_MS: u64 = 1_000_000;

/// One stream to run.
#[derive(Clone, Debug)]
pub struct StreamRun {
    /// Topic, payload and batch.
    pub spec: StreamSpec,
    /// Connections that publish.
    pub publishers: u32,
    /// Connections that each receive everything.
    pub subscribers: u32,
    /// How hard the publishers push.
    pub load: StreamLoad,
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
    /// From the first message sent to the last delivery.
    pub duration_ns: u64,
    /// From sending, or being due, to delivery.
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
    let publishers = (0..stream.publishers)
        .map(|producer| driver.stream_publisher(spec, producer as u16))
        .collect::<Result<Vec<_>, _>>()
        .map_err(LoadError::client("connecting a publisher"))?;
    let outcome = run_connected(stream, publishers, subscribers, surroundings)?;
    driver.end_stream(spec).map_err(LoadError::client("ending a stream"))?;
    Ok(outcome)
}

/// What publishers tell subscribers.
struct Sending {
    /// Messages that each producer has sent, set when it has finished a phase.
    sent: Vec<AtomicU64>,
    /// Publishers that have not finished the phase.
    unfinished: AtomicUsize,
}

impl Sending {
    fn sent(&self) -> Vec<u64> {
        self.sent.iter().map(|sent| sent.load(Ordering::Acquire)).collect()
    }
}

fn run_connected(
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
    Ok(outcome(&published, received))
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

fn outcome(published: &[Published], received: Vec<(Faults, Span)>) -> StreamOutcome {
    let sent = published.iter().map(|publisher| publisher.sent).sum();
    let first_sent_ns = published.iter().map(|publisher| publisher.first_sent_ns).min();
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
    StreamOutcome {
        sent,
        expected: sent * subscribers,
        received: received_count,
        faults,
        duration_ns: last_received_ns.saturating_sub(first_sent_ns.unwrap_or(0)),
        latencies: merged(histograms),
    }
}

/// What one publisher did in the measured phase.
struct Published {
    sent: u64,
    first_sent_ns: u64,
}

struct Publisher<'a> {
    stream: &'a StreamRun,
    producer: u16,
    clock: Clock,
    together: &'a Together<'a>,
    sending: &'a Sending,
}

impl Publisher<'_> {
    fn run(self, mut client: Box<dyn StreamPublisher>) -> Option<Published> {
        if self.stream.load != StreamLoad::Saturating {
            // Where the kernel refuses, messages are later, which the latencies show.
            let _refused = rustix::thread::set_current_timer_slack(NonZeroU64::new(TIMER_SLACK_NS));
        }
        let warmed_up =
            self.run_phase(client.as_mut(), Extent::DurationNs(self.stream.warmup_ns), 0)?;
        let measured = self.run_phase(client.as_mut(), self.own_extent(), warmed_up.sent)?;
        Some(measured)
    }

    /// A share of the messages; the first publishers take what does not divide.
    fn own_extent(&self) -> Extent {
        match self.stream.extent {
            Extent::Count(messages) => {
                let publishers = u64::from(self.stream.publishers);
                let extra = u64::from(u64::from(self.producer) < messages % publishers);
                Extent::Count(messages / publishers + extra)
            }
            duration => duration,
        }
    }

    fn run_phase(
        &self,
        client: &mut dyn StreamPublisher,
        extent: Extent,
        first_sequence: u64,
    ) -> Option<Published> {
        self.together.wait()?;
        let start_ns = self.clock.now_ns();
        let published = match self.stream.load {
            StreamLoad::Saturating => self.saturate(client, extent, first_sequence, start_ns),
            StreamLoad::RatePerS(rate_per_s) => {
                let publishers = self.stream.publishers;
                let pace = Pace::new(rate_per_s, self.producer, publishers, start_ns);
                self.keep_pace(client, extent, first_sequence, pace)
            }
        };
        let finished = published.and_then(|sent| match self.together.must_stop() {
            // Nobody may be there any more to make room for what is on its way.
            true => Ok(sent),
            false => client.finish().map(|()| sent),
        });
        if let Ok(sent) = finished {
            let sequence = first_sequence + sent;
            self.sending.sent[usize::from(self.producer)].store(sequence, Ordering::Release);
        }
        self.sending.unfinished.fetch_sub(1, Ordering::AcqRel);
        match finished {
            Ok(sent) => {
                self.together.wait()?;
                Some(Published { sent, first_sent_ns: start_ns })
            }
            Err(source) => {
                let doing = format!("publishing to the stream {}", self.stream.spec.topic);
                self.together.fail(LoadError::Client { doing, source });
                None
            }
        }
    }

    fn saturate(
        &self,
        client: &mut dyn StreamPublisher,
        extent: Extent,
        first_sequence: u64,
        start_ns: u64,
    ) -> Result<u64, DriverError> {
        let batch = self.stream.spec.batch;
        let mut sent = 0;
        while !self.together.must_stop() {
            let now_ns = self.clock.now_ns();
            let count = match extent {
                Extent::Count(messages) => (messages - sent).min(u64::from(batch)) as u32,
                Extent::DurationNs(duration_ns) if now_ns - start_ns >= duration_ns => 0,
                Extent::DurationNs(_) => batch,
            };
            if count == 0 {
                break;
            }
            let first_sequence = first_sequence + sent;
            client.publish(BatchStamp { count, first_sequence, sent_ns: now_ns, spacing_ns: 0 })?;
            sent += u64::from(count);
        }
        Ok(sent)
    }

    /// Each message carries the time when it was due, so that lateness of any cause counts.
    fn keep_pace(
        &self,
        client: &mut dyn StreamPublisher,
        extent: Extent,
        first_sequence: u64,
        pace: Pace,
    ) -> Result<u64, DriverError> {
        let messages = pace.messages_in(extent);
        let mut sent = 0;
        while sent < messages && !self.together.must_stop() {
            let now_ns = self.clock.now_ns();
            let left = u32::try_from(messages - sent).unwrap_or(u32::MAX);
            let count = pace.due_count(sent, now_ns, self.stream.spec.batch.min(left));
            let sent_ns = pace.due_ns(sent);
            if count == 0 {
                let sleep_ns = sent_ns.saturating_sub(now_ns).min(PACE_SLEEP_MS_MAX * NS_PER_MS);
                std::thread::sleep(Duration::from_nanos(sleep_ns));
                continue;
            }
            let (first_sequence, spacing_ns) = (first_sequence + sent, pace.spacing_ns());
            client.publish(BatchStamp { count, first_sequence, sent_ns, spacing_ns })?;
            sent += u64::from(count);
        }
        Ok(sent)
    }
}

struct Subscriber<'a> {
    clock: Clock,
    together: &'a Together<'a>,
    sending: &'a Sending,
    intake: Intake,
}

impl Subscriber<'_> {
    fn run(mut self, mut client: Box<dyn StreamSubscriber>) -> Option<(Faults, Span)> {
        let mut received_before = 0;
        for _ in [Phase::WarmUp, Phase::Measured] {
            received_before += self.intake.take_span().received;
            self.together.wait()?;
            if let Err(source) = self.receive_phase(client.as_mut(), received_before) {
                let doing = "receiving a stream".to_owned();
                self.together.fail(LoadError::Client { doing, source });
                return None;
            }
            self.together.wait()?;
        }
        let faults = self.intake.ledger().faults(&self.sending.sent());
        Some((faults, self.intake.take_span()))
    }

    /// Receives until everything sent is there, or nothing comes any more.
    fn receive_phase(
        &mut self,
        client: &mut dyn StreamSubscriber,
        received_before: u64,
    ) -> Result<(), DriverError> {
        let mut drain = None;
        loop {
            let received = client.receive(&mut self.intake)?;
            // Even if all is to stop, publishers must not be left blocked.
            if self.sending.unfinished.load(Ordering::Acquire) > 0 {
                continue;
            }
            if self.together.must_stop() {
                return Ok(());
            }
            let now_ns = self.clock.now_ns();
            let drain = drain.get_or_insert_with(|| Drain::begin(now_ns));
            if received == Received::Messages {
                drain.idle_since_ns = now_ns;
            }
            let all = self.has_all(received_before);
            if all && received == Received::Nothing || drain.is_over(now_ns) {
                return Ok(());
            }
        }
    }

    /// The count is cheap to compare; only when it is reached is the ledger asked.
    fn has_all(&self, received_before: u64) -> bool {
        let sent = self.sending.sent();
        received_before + self.intake.received() >= sent.iter().sum()
            && self.intake.ledger().lost(&sent) == 0
    }
}

/// How long a subscriber has been waiting for what was sent.
struct Drain {
    since_ns: u64,
    idle_since_ns: u64,
}

impl Drain {
    fn begin(now_ns: u64) -> Self {
        Self { since_ns: now_ns, idle_since_ns: now_ns }
    }

    fn is_over(&self, now_ns: u64) -> bool {
        now_ns - self.idle_since_ns > DRAIN_IDLE_MS_MAX * NS_PER_MS
            || now_ns - self.since_ns > DRAIN_MS_MAX * NS_PER_MS
    }
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
