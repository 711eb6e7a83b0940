//! A topic: its messages and what retention may take of them.

use super::Span;
use super::subscription::Subscription;
use crate::wire::Payload;
use broker_core::SessionKey;
use broker_core::journal::Reached;
use protocol::batch::RECORD_HEADER_BYTES;
use protocol::{Durability, Lifetime, PublisherSequence};

/// A run of a stored log, or a piece of one in memory, takes up to so much, or an eighth of what
/// the topic may hold.
const RUN_BYTES_MIN: u64 = 512;
const RUN_BYTES_MAX: u64 = 256 * 1024;
const RUNS_MIN: u64 = 8;

/// What a record costs beside its bytes.
const OVERHEAD_BYTES: u64 = 80;

#[derive(Debug)]
pub(crate) struct Topic {
    pub(crate) name: String,
    pub(crate) created: Span,
    pub(crate) deleted: Option<Span>,
    pub(crate) is_stored: bool,
    pub(crate) durability: Durability,
    pub(crate) bytes_max: u64,
    pub(crate) messages_max: u64,
    pub(crate) age_ms_max: u64,
    pub(crate) origin: Origin,
    pub(crate) messages: Vec<Message>,
    /// Offset of the oldest message held.
    pub(crate) first: u64,
    /// Messages before were gone once; a crash may have brought some back.
    pub(crate) gone_once: u64,
    /// Offset of the first message that may not be shown.
    pub(crate) visible: u64,
    largest_batch_bytes: u64,
    largest_batch_count: u64,
    pub(crate) publications: Vec<Publication>,
    pub(crate) subscriptions: Vec<Subscription>,
    /// Those that are gone, and may come back.
    removed: Vec<Subscription>,
}

/// Who publishes to a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    Clients,
    /// The broker: dead letters, which the model learns of by reading.
    Broker,
}

#[derive(Clone, Debug)]
pub(crate) struct Message {
    /// `None`: it was not read yet.
    pub(crate) payload: Option<Payload>,
    pub(crate) stored: Span,
    pub(crate) unix_ms: u64,
    /// Bytes of all records up to and with this one.
    end_bytes: u64,
}

/// A publication of an idempotent publisher.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Publication {
    pub(crate) sequence: PublisherSequence,
    pub(crate) base_offset: u64,
    pub(crate) stored: Span,
}

impl Topic {
    pub(crate) fn new(name: &str, created: Span, is_stored: bool, origin: Origin) -> Self {
        Self {
            name: name.to_owned(),
            created,
            deleted: None,
            is_stored,
            durability: Durability::Sync,
            bytes_max: u64::MAX,
            messages_max: u64::MAX,
            age_ms_max: u64::MAX,
            origin,
            messages: Vec::new(),
            first: 0,
            gone_once: 0,
            visible: 0,
            largest_batch_bytes: 0,
            largest_batch_count: 0,
            publications: Vec::new(),
            subscriptions: Vec::new(),
            removed: Vec::new(),
        }
    }

    pub(crate) fn next(&self) -> u64 {
        self.messages.len() as u64
    }

    /// Bytes of records from `offset` on.
    pub(crate) fn bytes_from(&self, offset: u64) -> u64 {
        let before = |offset: u64| match offset {
            0 => 0,
            _ => self.messages[offset as usize - 1].end_bytes,
        };
        before(self.next()) - before(offset)
    }

    pub(crate) fn append(&mut self, payloads: &[Payload], stored: Span, unix_ms: u64) {
        for payload in payloads {
            self.push(Some(payload.clone()), payload.len(), stored, unix_ms);
        }
    }

    /// The broker published so many messages by itself.
    pub(crate) fn append_unread(&mut self, count: u64, stored: Span, unix_ms: u64) {
        (0..count).for_each(|_| self.push(None, 0, stored, unix_ms));
    }

    fn push(&mut self, payload: Option<Payload>, length: usize, stored: Span, unix_ms: u64) {
        let end_bytes = self.bytes_from(0) + (RECORD_HEADER_BYTES + length) as u64;
        self.messages.push(Message { payload, stored, unix_ms, end_bytes });
    }

    /// A publication was tried that may have made room for itself.
    pub(crate) fn make_room(&mut self, payloads: &[Payload]) {
        let bytes = payloads.iter().map(|payload| (RECORD_HEADER_BYTES + payload.len()) as u64);
        self.largest_batch_bytes = self.largest_batch_bytes.max(bytes.sum());
        self.largest_batch_count = self.largest_batch_count.max(payloads.len() as u64);
    }

    /// Shows what the journal has reached.
    pub(crate) fn show(&mut self, reached: Reached) {
        let position = if self.is_stored { reached.by(self.durability) } else { u64::MAX };
        let hidden = self.messages[self.visible as usize..].iter();
        let shown = hidden.take_while(|message| message.stored.by <= position);
        self.visible += shown.count() as u64;
    }

    /// The oldest message held is found to be `first`, of `next` there ever were.
    pub(crate) fn observe(&mut self, first: u64, next: u64, unix_ms: u64, may_drop: bool) {
        let name = &self.name;
        assert_eq!(next, self.next(), "messages that {name} ever had");
        assert!(first >= self.first, "{first} of {name} came back after {}", self.first);
        if first > self.first && !may_drop {
            self.check_gone(first - 1, unix_ms);
        }
        assert!(next - first <= self.messages_max, "{first} to {next} of {name} are held");
        let (bytes, most) = (self.bytes_from(first), self.bytes_max);
        assert!(bytes <= most, "{name} holds {bytes} bytes of {most}");
        self.first = first;
        self.gone_once = self.gone_once.max(first);
    }

    /// The message at `offset` is gone: it was too old, or there was no room for it.
    fn check_gone(&self, offset: u64, unix_ms: u64) {
        let message = &self.messages[offset as usize];
        let count = self.next() - offset;
        let run_bytes = (self.bytes_max / RUNS_MIN).clamp(RUN_BYTES_MIN, RUN_BYTES_MAX);
        let at_once_bytes = 2 * run_bytes.max(self.largest_batch_bytes);
        let bytes = self.bytes_from(offset) + count * OVERHEAD_BYTES;
        let too_old = unix_ms - message.unix_ms >= self.age_ms_max;
        let too_many = count + self.largest_batch_count > self.messages_max;
        let too_large = bytes + at_once_bytes > self.bytes_max;
        assert!(
            too_old || too_many || too_large,
            "message {offset} of {} was taken away with {bytes} bytes of {} and {count} messages from it on",
            self.name,
            self.bytes_max
        );
    }

    /// Messages that are pulled are not too old.
    pub(crate) fn check_fresh(&self, offset: u64, unix_ms: u64) {
        if self.age_ms_max == u64::MAX {
            return;
        }
        let age_ms = unix_ms - self.messages[offset as usize].unix_ms;
        let age_ms_max = self.age_ms_max + self.age_ms_max / 8 + 2;
        assert!(age_ms <= age_ms_max, "message {offset} is {age_ms} ms old of {age_ms_max}");
    }

    /// Messages were read.
    pub(crate) fn check_read(&mut self, base_offset: u64, payloads: &[Payload]) {
        let end = base_offset + payloads.len() as u64;
        let may_be_shown = end <= self.visible || payloads.is_empty();
        let visible = self.visible;
        assert!(may_be_shown, "{end} messages of {} were shown, {visible} may be", self.name);
        for (offset, payload) in (base_offset..).zip(payloads) {
            let message = &mut self.messages[offset as usize];
            let known = message.payload.get_or_insert_with(|| payload.clone());
            assert!(known == payload, "another message is at {offset} of {}", self.name);
        }
    }

    pub(crate) fn find(&self, subscriber: &str) -> Option<usize> {
        self.subscriptions.iter().position(|found| found.name == subscriber)
    }

    /// In the order in which they end with their connection.
    pub(crate) fn numbers_of(&self, session: SessionKey) -> Vec<u32> {
        let attachments = self.subscriptions.iter().flat_map(|found| &found.attachments);
        let own = attachments.filter(|attachment| attachment.session == session);
        let mut numbers: Vec<u32> = own.map(|attachment| attachment.number).collect();
        numbers.sort_unstable();
        numbers
    }

    pub(crate) fn attached(&self, session: SessionKey, number: u32) -> Option<usize> {
        self.subscriptions.iter().position(|found| found.attachment(session, number).is_some())
    }

    /// A push subscription is over; the subscription too, where its lifetime was the connection's.
    pub(crate) fn detach(&mut self, session: SessionKey, number: u32, end: u64) {
        let Some(index) = self.attached(session, number) else { return };
        let lifetime = self.subscriptions[index].detach(session, number);
        let is_over = self.subscriptions[index].attachments.is_empty();
        if lifetime == Lifetime::Connection && is_over {
            self.remove(index, Span::at(end));
        }
    }

    pub(crate) fn remove(&mut self, index: usize, removed: Span) {
        let mut subscription = self.subscriptions.remove(index);
        subscription.attachments.clear();
        subscription.removed = Some(removed);
        self.removed.push(subscription);
    }

    /// Whether it is there after a crash.
    pub(crate) fn survives(&self, cut: u64) -> bool {
        let is_deleted =
            self.deleted.is_some_and(|deleted| deleted.is_in(cut).expect("a record is whole"));
        self.is_stored && self.created.is_in(cut) != Some(false) && !is_deleted
    }

    /// What a crash leaves of it.
    pub(crate) fn crash(&mut self, cut: u64) {
        self.deleted = None;
        self.first = 0;
        self.messages.retain(|message| message.stored.is_in(cut) != Some(false));
        self.visible = self.next();
        self.publications.retain(|found| found.stored.by <= cut);
        self.publications.iter_mut().for_each(|found| found.stored = Span::ALWAYS);
        let mut all = std::mem::take(&mut self.subscriptions);
        all.append(&mut self.removed);
        for mut subscription in all {
            if subscription.survives(cut) {
                subscription.crash(cut);
                self.subscriptions.push(subscription);
            }
        }
    }

    /// So many messages are there after a crash, as far as that was not known.
    pub(crate) fn observe_recovered(&mut self, next: u64, cut: u64) {
        let certain = self.messages.iter().filter(|found| found.stored.by <= cut).count() as u64;
        let (name, most) = (&self.name, self.next());
        assert!(
            (certain..=most).contains(&next),
            "{name} has {next} messages after a crash, expected {certain} to {most}"
        );
        self.messages.truncate(next as usize);
        self.messages.iter_mut().for_each(|message| message.stored = Span::ALWAYS);
        self.visible = next;
        self.gone_once = self.gone_once.min(next);
    }

    /// What its groups have not settled.
    pub(crate) fn undone(&self) -> impl Iterator<Item = (&Subscription, u64)> {
        self.subscriptions.iter().flat_map(move |subscription| {
            let group = subscription.group.as_ref();
            group.into_iter().flat_map(move |group| {
                let held = group.from.max(self.gone_once)..self.visible;
                let undone = held.filter(|offset| !group.is_settled(*offset));
                undone.map(move |offset| (subscription, offset))
            })
        })
    }
}
