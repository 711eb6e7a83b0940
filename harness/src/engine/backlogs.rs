//! A backlog: published with nobody reading, and then read from the first message to the last.

use super::streams::{StreamRun, drain_prepared, run_prepared};
use super::{Extent, LoadError, Surroundings};
use crate::ledger::Faults;
use crate::message::Payloads;
use crate::wire::{Confirmation, Driver, Held, Selection, StreamTerms, hold_conversation};
use protocol::LagPolicy;
use std::sync::Arc;

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
    /// What its messages carry.
    pub run_id: u32,
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
    /// How many messages each publisher sends.
    #[must_use]
    pub fn sent(&self) -> Vec<u64> {
        self.stream().sent()
    }

    /// The stream that builds it.
    #[must_use]
    pub fn stream(&self) -> StreamRun {
        StreamRun {
            terms: StreamTerms {
                root: self.topic.clone(),
                topics: 1,
                selection: Selection::Names,
                payloads: Arc::new(Payloads::fixed(self.payload_bytes)),
                batch_max: self.batch,
                confirmation: Confirmation::Wanted,
                held: Some(Held {
                    messages: self.messages,
                    payload_bytes: self.messages * self.payload_bytes as u64,
                }),
                lag_policy: LagPolicy::Hold,
            },
            publishers: self.publishers,
            subscribers: 0,
            slow: None,
            churn: None,
            in_flight_max: Some(self.acks),
            model: None,
            seed: 0,
            topic_choice: None,
            extent: Extent::Count(self.messages),
            warmup_ns: 0,
            drain_idle_ns: IDLE_MS_MAX * NS_PER_MS,
            connect_ms_max: IDLE_MS_MAX,
            spin_ns: 0,
            run_id: self.run_id,
        }
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
    let stream = backlog.stream();
    if let Some(mut preparation) = driver.preparation(&stream.terms) {
        hold_conversation(driver.address(), preparation.as_mut())
            .map_err(LoadError::client("preparing a backlog"))?;
    }
    let outcome = run_prepared(driver, &stream, surroundings)?;
    Ok(Built { messages: outcome.acknowledged, duration_ns: outcome.acknowledged_ns })
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
    let outcome = drain_prepared(driver, &backlog.stream(), reader, surroundings)?;
    Ok(Drained {
        messages: outcome.received,
        duration_ns: outcome.duration_ns,
        faults: outcome.faults,
    })
}

/// Removes the topic.
///
/// # Errors
/// [`LoadError`] if the client fails.
pub fn end_backlog(driver: &dyn Driver, backlog: &BacklogRun) -> Result<(), LoadError> {
    let Some(mut removal) = driver.removal(&backlog.stream().terms) else { return Ok(()) };
    hold_conversation(driver.address(), removal.as_mut())
        .map_err(LoadError::client("ending a backlog"))
}
