//! A topic's subscriptions: named cursors, and the connections attached to some of them.

use crate::journal::{LeaseTerms, Waits};
use crate::leases::{Leases, Redelivery};
use crate::log::{Cursor, Log};
use crate::{AttachmentId, SessionKey};
use protocol::{AckMode, Code, Push, Refusal};
use slab::Slab;
use std::collections::HashMap;
use std::sync::Arc;

/// Which of a topic's subscriptions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SubscriptionKey(usize);

/// A connection's hold on a subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Grip {
    pub(crate) key: SubscriptionKey,
    /// Tells this attachment from all others, of this and other subscriptions.
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
    /// Whether it left the other consumers of its group time to take their part of what there is,
    /// and may take what they left.
    pub(super) gave_way: bool,
    /// When it was last given something, counted over its topic's consumers.
    pub(super) served: u64,
}

/// What makes a subscription one whose messages are acknowledged one by one.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) leases: Leases,
    pub(super) terms: LeaseTerms,
}

impl Group {
    pub(super) fn redelivery(&self) -> Redelivery {
        self.terms.redelivery()
    }
}

/// What the journal knows of a subscription.
#[derive(Clone, Copy, Debug)]
pub(super) struct StoredSubscription {
    /// What it calls it.
    pub(super) number: u64,
    /// When it is certain that the subscription stands.
    pub(super) waits: Option<Waits>,
    /// All before this offset is done with, as far as it knows.
    pub(super) saved: u64,
}

/// A named cursor.
#[derive(Debug)]
pub(super) struct Subscription {
    pub(super) id: Arc<str>,
    /// What the journal knows of it.
    pub(super) stored: Option<StoredSubscription>,
    /// What is sent next, for the first time.
    pub(super) cursor: Cursor,
    /// The message that comes after the last one done with. A group's leases say that of it.
    pub(super) committed: u64,
    pub(super) group: Option<Box<Group>>,
    /// Connections that it is pushed to: any number of a group, else one at most.
    pub(super) attachments: Vec<Attachment>,
}

impl Subscription {
    /// Offset of the oldest message that may still be asked for.
    pub(super) fn needed_offset(&self) -> u64 {
        if let Some(group) = &self.group {
            return group.leases.floor();
        }
        match self.attachments.first() {
            Some(Attachment { push: Push { ack_mode: AckMode::Cumulative, .. }, .. }) => {
                self.committed
            }
            _ => self.cursor.offset(),
        }
    }

    /// Goes back to what was sent and not acknowledged.
    pub(super) fn go_back(&mut self, log: &Log) {
        if self.group.is_none() && self.committed < self.cursor.offset() {
            self.cursor = log.seek(self.committed);
        }
    }

    /// Its attachment of this name, if it is attached there.
    pub(super) fn attachment(&mut self, id: AttachmentId) -> Option<&mut Attachment> {
        self.attachments.iter_mut().find(|attachment| attachment.id == id)
    }
}

/// All subscriptions of a topic.
#[derive(Debug, Default)]
pub(super) struct Subscriptions {
    slots: Slab<Subscription>,
    by_id: HashMap<Arc<str>, SubscriptionKey>,
    /// All attachments, by their names.
    attached: Vec<Grip>,
    /// Those with groups.
    groups: Vec<SubscriptionKey>,
    /// How often consumers were given something.
    served: u64,
    /// What the journal will call the next one.
    next_number: u64,
}

impl Subscriptions {
    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(super) fn attached_len(&self) -> usize {
        self.attached.len()
    }

    pub(super) fn next_number(&self) -> u64 {
        self.next_number
    }

    pub(super) fn number_from(&mut self, next_number: u64) {
        self.next_number = self.next_number.max(next_number);
    }

    pub(super) fn find(&self, id: &str) -> Option<SubscriptionKey> {
        self.by_id.get(id).copied()
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = &Arc<str>> {
        self.by_id.keys()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Subscription> {
        self.slots.iter().map(|(_, subscription)| subscription)
    }

    /// Those that are done with more than the journal knows.
    pub(super) fn unsaved(&self) -> Vec<SubscriptionKey> {
        let is_unsaved = |found: &Subscription| {
            found.group.is_none()
                && found.stored.is_some_and(|stored| stored.saved != found.committed)
        };
        let unsaved = self.slots.iter().filter(|(_, found)| is_unsaved(found));
        unsaved.map(|(slot, _)| SubscriptionKey(slot)).collect()
    }

    /// The journal knows of a subscription.
    pub(super) fn note_stored(&mut self, key: SubscriptionKey, number: u64, waits: Option<Waits>) {
        let subscription = &mut self.slots[key.0];
        let saved = subscription.committed;
        // A topic in memory has no journal to know of it.
        subscription.stored = waits.map(|_| StoredSubscription { number, waits, saved });
        self.next_number = self.next_number.max(number + 1);
    }

    /// The journal knows that a subscription is done with all before `offset`.
    pub(super) fn note_saved(&mut self, key: SubscriptionKey, offset: u64) {
        if let Some(stored) = &mut self.slots[key.0].stored {
            stored.saved = offset;
        }
    }

    /// Whether any of several consumers was ever given something.
    pub(super) fn any_served(&self) -> bool {
        self.served > 0
    }

    /// A consumer was given something.
    pub(super) fn note_served(&mut self, grip: Grip) {
        self.served += 1;
        let served = self.served;
        if let Some(attachment) = self.attachment(grip) {
            attachment.served = served;
        }
    }

    /// When a consumer was last given something.
    pub(super) fn served(&self, grip: Grip) -> u64 {
        let found = self.slots.get(grip.key.0);
        let mut attachments = found.iter().flat_map(|found| &found.attachments);
        let found = attachments.find(|attachment| attachment.id == grip.attachment);
        found.map_or(0, |attachment| attachment.served)
    }

    /// Those whose messages are acknowledged one by one.
    pub(super) fn groups(&self) -> Vec<SubscriptionKey> {
        self.groups.clone()
    }

    pub(super) fn insert(
        &mut self,
        id: &str,
        stored: Option<StoredSubscription>,
        cursor: Cursor,
        group: Option<Box<Group>>,
    ) -> SubscriptionKey {
        let id: Arc<str> = Arc::from(id);
        let is_group = group.is_some();
        let committed = cursor.offset();
        let subscription = Subscription {
            id: Arc::clone(&id),
            stored,
            cursor,
            committed,
            group,
            attachments: Vec::new(),
        };
        if self.slots.is_empty() {
            // Most topics have one subscription, or none.
            self.slots.reserve_exact(1);
        }
        let key = SubscriptionKey(self.slots.insert(subscription));
        self.by_id.insert(id, key);
        if is_group {
            self.groups.push(key);
        }
        key
    }

    /// Has a subscription begin anew at `cursor`, with or without a group.
    pub(super) fn reshape(
        &mut self,
        key: SubscriptionKey,
        cursor: Cursor,
        terms: Option<LeaseTerms>,
    ) {
        let subscription = &mut self.slots[key.0];
        subscription.cursor = cursor;
        subscription.committed = cursor.offset();
        self.groups.retain(|group| *group != key);
        subscription.group = terms.map(|terms| {
            self.groups.push(key);
            Box::new(Group { leases: Leases::new(cursor.offset()), terms })
        });
    }

    pub(super) fn remove(&mut self, key: SubscriptionKey) -> Subscription {
        let subscription = self.slots.remove(key.0);
        self.by_id.remove(&subscription.id);
        for attachment in &subscription.attachments {
            self.forget_attached(attachment.id);
        }
        if subscription.group.is_some() {
            self.groups.retain(|group| *group != key);
        }
        subscription
    }

    /// The subscription of a key that [`find`](Self::find) or [`insert`](Self::insert) just gave.
    pub(super) fn at(&mut self, key: SubscriptionKey) -> &mut Subscription {
        &mut self.slots[key.0]
    }

    /// The subscription that `grip` holds, if it still does.
    pub(super) fn held_by(&mut self, grip: Grip) -> Option<&mut Subscription> {
        let subscription = self.slots.get_mut(grip.key.0)?;
        subscription.attachment(grip.attachment)?;
        Some(subscription)
    }

    /// The attachment that `grip` is, if it still is one.
    pub(super) fn attachment(&mut self, grip: Grip) -> Option<&mut Attachment> {
        self.slots.get_mut(grip.key.0)?.attachment(grip.attachment)
    }

    /// Attaches a connection.
    pub(super) fn attach(&mut self, key: SubscriptionKey, attachment: Attachment) -> Grip {
        let grip = Grip { key, attachment: attachment.id };
        let attachments = &mut self.slots[key.0].attachments;
        if attachments.is_empty() {
            attachments.reserve_exact(1);
        }
        attachments.push(attachment);
        self.attached.push(grip);
        grip
    }

    pub(super) fn detach(&mut self, grip: Grip) -> Option<Attachment> {
        let attachments = &mut self.slots.get_mut(grip.key.0)?.attachments;
        let index = attachments.iter().position(|found| found.id == grip.attachment)?;
        let attachment = attachments.remove(index);
        self.forget_attached(grip.attachment);
        Some(attachment)
    }

    /// Attachments are named in their order, so that one is found among many without a look at each.
    fn forget_attached(&mut self, id: AttachmentId) {
        if let Ok(index) = self.attached.binary_search_by_key(&id, |grip| grip.attachment) {
            self.attached.remove(index);
        }
    }

    /// The attachments of a subscription.
    pub(super) fn grips(&self, key: SubscriptionKey) -> Vec<Grip> {
        let attachments = self.slots.get(key.0).map_or(&[][..], |found| &found.attachments);
        attachments.iter().map(|found| Grip { key, attachment: found.id }).collect()
    }

    /// All attachments.
    pub(super) fn attached(&self) -> impl Iterator<Item = (Grip, &Subscription, &Attachment)> {
        self.attached.iter().filter_map(|grip| {
            let subscription = &self.slots[grip.key.0];
            let found = subscription.attachments.iter().find(|found| found.id == grip.attachment);
            found.map(|attachment| (*grip, subscription, attachment))
        })
    }
}

pub(super) fn not_subscribed(topic: &str, id: &str) -> Refusal {
    Refusal::new(
        Code::NotSubscribed,
        format!("expected a subscription of {id:?} to {topic:?}, found none; SUBSCRIBE first"),
    )
}
