//! What a topic's lock guards.

use super::hold::Hold;
use super::subscriptions::{Grip, SubscriptionKey, Subscriptions};
use crate::journal::{Record, TopicId, Waits};
use crate::log::Log;
use crate::publishers::Publishers;
use crate::{Cause, Wake, Wakes};
use bytes::Bytes;
use protocol::{Durability, Refusal};

/// How much a topic keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bounds {
    pub(super) bytes_max: usize,
    pub(super) messages_max: u64,
    /// `None`: messages do not grow too old.
    pub(super) age_ms_max: Option<u64>,
}

/// A topic's log, subscriptions, and who waits for what.
#[derive(Debug)]
pub(super) struct State {
    pub(super) log: Log,
    pub(super) bounds: Bounds,
    pub(super) subscriptions: Subscriptions,
    /// Those to wake when a message comes. Entries may be stale; `waiting` of the attachment tells.
    waiting: Vec<Grip>,
    pub(super) hold: Option<Hold>,
    /// No connected subscriber is waited for with a message before this offset. It may be lower
    /// than it could be, and is worked out anew when that matters.
    pub(super) floor: u64,
    /// Publications that may be sent again.
    pub(super) publishers: Publishers,
    /// It is to be told of the journal's next progress.
    pub(super) committing: bool,
    /// A cursor moved that the journal does not know of.
    pub(super) unsaved: bool,
    pub(super) deleted: bool,
    /// The message that new MQTT subscribers are given first, as a record of a batch.
    pub(super) retained: Option<Bytes>,
}

impl State {
    pub(super) fn new(bounds: Bounds, log: Log, publishers: Publishers) -> Self {
        Self {
            log,
            bounds,
            publishers,
            committing: false,
            unsaved: false,
            subscriptions: Subscriptions::default(),
            waiting: Vec::new(),
            hold: None,
            floor: u64::MAX,
            deleted: false,
            retained: None,
        }
    }

    /// Notes that a subscription has read all there is, and is to be woken.
    pub(super) fn wait(&mut self, grip: Grip) {
        let Some(attachment) = self.subscriptions.attachment(grip) else { return };
        if !std::mem::replace(&mut attachment.waiting, true) {
            self.waiting.push(grip);
        }
        if self.waiting.len() > 2 * self.subscriptions.attached_len() + 16 {
            self.forget_stale_waiters();
        }
    }

    fn forget_stale_waiters(&mut self) {
        let subscriptions = &self.subscriptions;
        self.waiting.clear();
        let waiting = subscriptions.attached().filter(|(.., attachment)| attachment.waiting);
        self.waiting.extend(waiting.map(|(grip, ..)| grip));
    }

    /// Wakes all that wait for messages.
    ///
    /// Of a group, those first who were given something longest ago, so that messages that come one
    /// by one go round.
    pub(super) fn wake_waiting(&mut self, wakes: &mut Wakes) {
        if self.subscriptions.any_served() {
            let subscriptions = &self.subscriptions;
            self.waiting.sort_by_key(|grip| subscriptions.served(*grip));
        }
        for grip in self.waiting.drain(..) {
            wake(&mut self.subscriptions, grip, wakes);
        }
    }

    /// Wakes those of a subscription's consumers that wait.
    pub(super) fn wake_consumers(&mut self, key: SubscriptionKey, wakes: &mut Wakes) {
        for grip in self.subscriptions.grips(key) {
            wake(&mut self.subscriptions, grip, wakes);
        }
    }

    /// Writes a record of the topic to the journal, if it is there. Gives what an answer waits
    /// for that promises it.
    pub(super) fn record<'r>(
        &self,
        record: impl FnOnce(TopicId) -> Record<'r>,
        durability: Durability,
    ) -> Result<Option<Waits>, Refusal> {
        let own = self.log.stored().map_or(durability, |stored| stored.terms().durability);
        self.record_at(record, durability.min(own))
    }

    /// As [`record`](Self::record), but as durable as is asked even where the topic is less.
    pub(super) fn record_at<'r>(
        &self,
        record: impl FnOnce(TopicId) -> Record<'r>,
        durability: Durability,
    ) -> Result<Option<Waits>, Refusal> {
        let Some(stored) = self.log.stored() else { return Ok(None) };
        let terms = stored.terms();
        let mut body = Vec::new();
        let kind = record(terms.topic).encode(&mut body);
        let place = terms.journal.append(kind, &[&body], durability)?;
        Ok(Some(Waits { position: place.end(), durability }))
    }
}

/// Wakes an attached connection if it waits.
fn wake(subscriptions: &mut Subscriptions, grip: Grip, wakes: &mut Wakes) {
    let Some(attachment) = subscriptions.attachment(grip) else { return };
    if std::mem::replace(&mut attachment.waiting, false) {
        let cause = Cause::Readable { subscription: attachment.number };
        wakes.push(Wake { session: attachment.session, cause });
    }
}
