//! A topic's subscriptions: named cursors, and the connections attached to some of them.

use crate::log::{Cursor, Log};
use crate::{AttachmentId, SessionKey};
use protocol::{AckMode, Code, Push, Refusal};
use slab::Slab;
use std::collections::HashMap;
use std::sync::Arc;

/// Which of a topic's subscriptions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SubscriptionKey(usize);

/// A connection's hold on a subscription. It is let go by whoever attaches next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Grip {
    pub(crate) key: SubscriptionKey,
    /// Tells this attachment from earlier and later ones of the same subscription.
    pub(crate) attachment: AttachmentId,
}

/// A connection that a subscription is pushed to.
#[derive(Debug)]
pub(super) struct Attachment {
    pub(super) id: AttachmentId,
    pub(super) session: SessionKey,
    /// The number that the connection knows the subscription by.
    pub(super) number: u32,
    pub(super) push: Push,
    /// Whether it has read all there is and wants to be woken.
    pub(super) waiting: bool,
    /// Whether publishers were held for it in vain; they are not held again until it caught up.
    pub(super) overrun: bool,
}

/// A named cursor.
#[derive(Debug)]
pub(super) struct Subscription {
    pub(super) id: Arc<str>,
    /// What is sent next.
    pub(super) cursor: Cursor,
    /// The message that comes after the last one done with.
    pub(super) committed: u64,
    pub(super) attachment: Option<Attachment>,
}

impl Subscription {
    /// Offset of the oldest message that may still be asked for.
    pub(super) fn needed_offset(&self) -> u64 {
        match &self.attachment {
            Some(Attachment { push: Push { ack_mode: AckMode::Cumulative, .. }, .. }) => {
                self.committed
            }
            _ => self.cursor.offset(),
        }
    }

    /// Goes back to what was sent and not acknowledged.
    pub(super) fn go_back(&mut self, log: &Log) {
        if self.committed < self.cursor.offset() {
            self.cursor = log.seek(self.committed);
        }
    }
}

/// All subscriptions of a topic.
#[derive(Debug, Default)]
pub(super) struct Subscriptions {
    slots: Slab<Subscription>,
    by_id: HashMap<Arc<str>, SubscriptionKey>,
    /// Those with a connection attached.
    attached: Vec<SubscriptionKey>,
}

impl Subscriptions {
    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(super) fn attached_len(&self) -> usize {
        self.attached.len()
    }

    pub(super) fn find(&self, id: &str) -> Option<SubscriptionKey> {
        self.by_id.get(id).copied()
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = &Arc<str>> {
        self.by_id.keys()
    }

    pub(super) fn insert(&mut self, id: &str, cursor: Cursor) -> SubscriptionKey {
        let id: Arc<str> = Arc::from(id);
        let committed = cursor.offset();
        let subscription =
            Subscription { id: Arc::clone(&id), cursor, committed, attachment: None };
        let key = SubscriptionKey(self.slots.insert(subscription));
        self.by_id.insert(id, key);
        key
    }

    pub(super) fn remove(&mut self, key: SubscriptionKey) -> Subscription {
        let subscription = self.slots.remove(key.0);
        self.by_id.remove(&subscription.id);
        self.attached.retain(|attached| *attached != key);
        subscription
    }

    /// The subscription of a key that [`find`](Self::find) or [`insert`](Self::insert) just gave.
    pub(super) fn at(&mut self, key: SubscriptionKey) -> &mut Subscription {
        &mut self.slots[key.0]
    }

    pub(super) fn get(&mut self, key: SubscriptionKey) -> Option<&mut Subscription> {
        self.slots.get_mut(key.0)
    }

    /// The subscription that `grip` holds, if it still does.
    pub(super) fn held_by(&mut self, grip: Grip) -> Option<&mut Subscription> {
        let subscription = self.slots.get_mut(grip.key.0)?;
        let attachment = subscription.attachment.as_ref()?.id;
        (attachment == grip.attachment).then_some(subscription)
    }

    /// Attaches a connection, and gives the one that was attached before.
    pub(super) fn attach(
        &mut self,
        key: SubscriptionKey,
        id: AttachmentId,
        session: SessionKey,
        number: u32,
        push: Push,
    ) -> (Grip, Option<Attachment>) {
        let before = self.detach(key);
        self.slots[key.0].attachment =
            Some(Attachment { id, session, number, push, waiting: false, overrun: false });
        self.attached.push(key);
        (Grip { key, attachment: id }, before)
    }

    pub(super) fn detach(&mut self, key: SubscriptionKey) -> Option<Attachment> {
        let before = self.slots.get_mut(key.0)?.attachment.take();
        if before.is_some() {
            self.attached.retain(|attached| *attached != key);
        }
        before
    }

    /// The attached subscriptions.
    pub(super) fn attached(
        &self,
    ) -> impl Iterator<Item = (SubscriptionKey, &Subscription, &Attachment)> {
        self.attached.iter().filter_map(|key| {
            let subscription = &self.slots[key.0];
            subscription.attachment.as_ref().map(|attachment| (*key, subscription, attachment))
        })
    }
}

pub(super) fn not_subscribed(topic: &str, id: &str) -> Refusal {
    Refusal::new(
        Code::NotSubscribed,
        format!("expected a subscription of {id:?} to {topic:?}, found none; SUBSCRIBE first"),
    )
}
