//! Reading single messages again: those that a client was sent and did not acknowledge before its
//! connection ended.

use super::Topic;
use super::subscriptions::Grip;
use crate::journal::{Record, TopicId};
use crate::leases::{Holder, Offsets, Run};
use crate::log::{FetchLimit, Fetched};
use crate::{Broker, Now};
use protocol::Durability;

/// Whether a message is in its subscription's window still.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Leased {
    /// It is leased again, to the connection that is attached.
    Again,
    /// It was settled when it was sent.
    Settled,
}

impl Topic {
    /// What the journal calls the topic; `None`: it is in memory.
    pub(crate) fn stored_id(&self) -> Option<TopicId> {
        self.lock().log.stored().map(|stored| stored.terms().topic)
    }

    /// Reads the message of `offset`; `None` where the topic no longer has it, or it is to be
    /// leased again and is not to be had.
    pub(crate) fn reread(
        &self,
        grip: Option<Grip>,
        offset: u64,
        leased: Leased,
        now: Now,
        broker: &Broker,
    ) -> Option<Fetched> {
        let mut state = self.lock();
        let state = &mut *state;
        if state.deleted || offset < state.log.first_offset() {
            return None;
        }
        if leased == Leased::Again {
            let grip = grip?;
            let holder = Holder::Attachment(grip.attachment);
            let group = state.subscriptions.held_by(grip)?.group.as_mut()?;
            let deadline = now.plus_ms(u64::from(group.terms.ack_timeout_ms));
            group.leases.lease_due(Offsets::new(offset, offset + 1), holder, deadline)?;
        }
        let before = state.log.memory_bytes();
        let mut cursor = state.log.seek(offset);
        let fetched = state.log.fetch(&mut cursor, FetchLimit { bytes_max: 1, count_max: 1 });
        broker.tally().log_bytes_moved(before, state.log.memory_bytes());
        fetched.ok().filter(|fetched| fetched.count == 1 && fetched.base_offset == offset)
    }

    /// A client was sent the message before a crash, and it is to be sent again. Gives whether it
    /// was not settled.
    pub(crate) fn note_sent(&self, id: &str, offset: u64) -> bool {
        let mut state = self.lock();
        let Some(key) = state.subscriptions.find(id) else { return false };
        let Some(group) = &mut state.subscriptions.at(key).group else { return false };
        let one = Offsets::new(offset, offset + 1);
        group.leases.restore_delivered(Run { offsets: one, deliveries: 1 }, u32::MAX);
        group.leases.is_unsettled(offset)
    }

    /// A client was sent the message before a crash, which kept that it was settled from being
    /// told.
    pub(crate) fn settle_sent(&self, id: &str, offset: u64) {
        let mut state = self.lock();
        let Some(key) = state.subscriptions.find(id) else { return };
        let subscription = state.subscriptions.at(key);
        let (Some(group), Some(stored)) = (&mut subscription.group, subscription.stored) else {
            return;
        };
        let deliveries_max = group.terms.deliveries_max;
        group.leases.restore_settled(Offsets::new(offset, offset + 1), deliveries_max);
        let (subscription, ranges) = (stored.number, vec![(offset, 1)]);
        let record = |topic| Record::Settled { topic, subscription, ranges };
        // Where the journal has failed, nothing is sent either.
        let _ = state.record(record, Durability::Os);
    }
}
