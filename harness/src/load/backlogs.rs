//! A backlog: published with nobody reading, and then read from the first message to the last.

use super::publisher::share;
use super::streams::{StreamRun, connect_publishers, run_connected};
use super::{Extent, LoadError, Phase, Surroundings};
use crate::config::LoadChoice;
use crate::drivers::{Driver, Held, Received, StreamSpec, StreamSubscriber};
use crate::intake::Intake;
use crate::ledger::Faults;
use protocol::{LagPolicy, PublishAck};

/// How long a reader waits for the next message of a backlog before the rest counts as lost.
const IDLE_MS_MAX: u64 = 10_000;

const NS_PER_MS: u64 = 1_000_000;

/// One backlog to build and to read.
#[derive(Clone, Debug)]
pub struct BacklogRun {
    /// The topic, used by this backlog alone.
    pub topic: String,
    /// Messages over all publishers.
    pub messages: u64,
    /// Size of each payload.
    pub payload_bytes: usize,
    /// Connections that publish.
    pub publishers: u32,
    /// Messages in one publication, at most.
    pub batch: u32,
    /// Publications of each publisher under way at once.
    pub acks: u32,
}

/// What came of building a backlog: every message was acknowledged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Built {
    /// Messages acknowledged.
    pub messages: u64,
    /// From the first message sent to the last acknowledgement.
    pub duration_ns: u64,
}

/// What came of reading a backlog.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Drained {
    /// Messages that came.
    pub messages: u64,
    /// From before the subscriber connects to the last message.
    pub duration_ns: u64,
    /// What was wrong with them.
    pub faults: Faults,
}

impl BacklogRun {
    fn spec(&self) -> StreamSpec {
        StreamSpec {
            topic: self.topic.clone(),
            payload_bytes: self.payload_bytes,
            batch: self.batch,
            ack: PublishAck::Wanted,
            held: Some(Held {
                messages: self.messages,
                payload_bytes: self.messages * self.payload_bytes as u64,
            }),
            lag_policy: LagPolicy::Hold,
            idle_subscriptions: 0,
        }
    }

    /// How many messages each publisher sends.
    fn sent(&self) -> Vec<u64> {
        let producers = 0..self.publishers;
        producers.map(|producer| share(self.messages, producer as u16, self.publishers)).collect()
    }
}

/// Makes the topic and publishes everything, with nobody subscribed.
///
/// # Errors
/// [`LoadError`] if any client fails, or on an interrupt.
pub fn build_backlog(
    driver: &dyn Driver,
    backlog: &BacklogRun,
    surroundings: Surroundings<'_>,
) -> Result<Built, LoadError> {
    let stream = StreamRun {
        spec: backlog.spec(),
        publishers: backlog.publishers,
        subscribers: 0,
        acks: Some(backlog.acks),
        load: LoadChoice::Saturating,
        extent: Extent::Count(backlog.messages),
        warmup_ns: 0,
    };
    driver.prepare_stream(&stream.spec).map_err(LoadError::client("preparing a backlog"))?;
    let publishers = connect_publishers(driver, &stream)?;
    let outcome = run_connected(&stream, publishers, Vec::new(), surroundings)?;
    let acknowledged = outcome.acknowledged.unwrap_or_default();
    Ok(Built { messages: acknowledged.messages, duration_ns: acknowledged.duration_ns })
}

/// Reads everything as a new subscriber. `reader` tells it from those before it.
///
/// # Errors
/// [`LoadError`] if the client fails, or on an interrupt.
pub fn drain_backlog(
    driver: &dyn Driver,
    backlog: &BacklogRun,
    reader: u32,
    surroundings: Surroundings<'_>,
) -> Result<Drained, LoadError> {
    let Surroundings { clock, interrupt, on_phase } = surroundings;
    let sent = backlog.sent();
    let mut intake = Intake::new(clock, sent.len(), backlog.payload_bytes);
    on_phase(Phase::Measured);
    let start_ns = clock.now_ns();
    let mut subscriber = driver
        .stream_subscriber(&backlog.spec(), reader)
        .map_err(LoadError::client("connecting a subscriber"))?;
    let mut last_ns = start_ns;
    loop {
        if interrupt.is_raised() {
            return Err(LoadError::Interrupted);
        }
        let received = receive(subscriber.as_mut(), &mut intake)?;
        let now_ns = clock.now_ns();
        if received == Received::Messages {
            last_ns = now_ns;
        } else if has_all(&intake, &sent) || now_ns - last_ns > IDLE_MS_MAX * NS_PER_MS {
            break;
        }
    }
    on_phase(Phase::Over);
    let faults = intake.ledger().faults(&sent);
    let span = intake.take_span();
    let duration_ns = span.last_received_ns.saturating_sub(start_ns);
    Ok(Drained { messages: span.received, duration_ns, faults })
}

/// Removes the topic.
///
/// # Errors
/// [`LoadError`] if the client fails.
pub fn end_backlog(driver: &dyn Driver, backlog: &BacklogRun) -> Result<(), LoadError> {
    driver.end_stream(&backlog.spec()).map_err(LoadError::client("ending a backlog"))
}

fn receive(
    subscriber: &mut dyn StreamSubscriber,
    intake: &mut Intake,
) -> Result<Received, LoadError> {
    subscriber.receive(intake).map_err(LoadError::client("reading a backlog"))
}

/// The count is cheap to compare; only when it is reached is the ledger asked.
fn has_all(intake: &Intake, sent: &[u64]) -> bool {
    intake.received() >= sent.iter().sum() && intake.ledger().lost(sent) == 0
}
