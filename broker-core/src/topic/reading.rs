//! Reading a topic: subscriptions are made, attached, read, acknowledged and removed.

use super::Topic;
use super::hold::ended;
use super::state::State;
use super::subscriptions::{Attachment, Grip, Group, SubscriptionKey, not_subscribed};
use crate::journal::{LeaseTerms, Record, Waits};
use crate::leases::Leases;
use crate::log::{Cursor, FetchLimit, Fetched, Since};
use crate::{Broker, Now, SessionKey, Wakes};
use protocol::{AckMode, Code, Durability, Lifetime, Push, Refusal, SettleAnswer, Start};
use std::sync::Arc;

/// What a pull took.
#[derive(Debug)]
pub(crate) struct Pulled {
    pub(crate) fetched: Fetched,
    /// Messages still unread.
    pub(crate) remaining: u64,
    /// How often the messages were delivered, this time counted, where they are to be
    /// acknowledged one by one.
    pub(crate) deliveries: Option<u32>,
    /// When they may be given out.
    pub(crate) waits: Option<Waits>,
}

/// What a push read took.
#[derive(Debug)]
pub(crate) struct Pushed {
    pub(crate) fetched: Fetched,
    /// How often the messages were delivered, this time counted.
    pub(crate) deliveries: u32,
    /// Whether there is more to read now; if not, the session is woken when there is.
    pub(crate) more: bool,
}

/// What a subscription is to be, where it has to be made.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub(crate) start: Start,
    pub(crate) leases: Option<LeaseTerms>,
    pub(crate) lifetime: Lifetime,
}

/// A connection that a subscription is now pushed to.
#[derive(Debug)]
pub(crate) struct Attached {
    pub(crate) grip: Grip,
    pub(crate) next_offset: u64,
    pub(crate) waits: Option<Waits>,
}

impl Topic {
    /// Makes a subscription, or keeps the one there is. Gives the offset that it reads next.
    pub(crate) fn subscribe(
        self: &Arc<Self>,
        id: &str,
        wanted: &Wanted,
        broker: &Broker,
    ) -> Result<(u64, Option<Waits>), Refusal> {
        self.with(broker, |state| {
            let (key, waits) = self.subscription(state, id, wanted, broker)?;
            Ok((state.subscriptions.at(key).cursor.offset(), waits))
        })
    }

    /// Makes or keeps a subscription and has it pushed to a connection. Unless it is a group's,
    /// one that it was pushed to before is told.
    #[expect(clippy::too_many_arguments, reason = "each names another thing of the attachment")]
    pub(crate) fn attach(
        self: &Arc<Self>,
        id: &str,
        wanted: &Wanted,
        session: SessionKey,
        number: u32,
        push: Push,
        broker: &Broker,
        wakes: &mut Wakes,
    ) -> Result<Attached, Refusal> {
        self.with(broker, |state| {
            let (key, waits) = self.subscription(state, id, wanted, broker)?;
            if state.subscriptions.at(key).group.is_none() {
                for grip in state.subscriptions.grips(key) {
                    let before = state.subscriptions.detach(grip);
                    wakes.extend(before.map(|attachment| ended(&attachment, Code::TakenOver)));
                }
            }
            let id = broker.tally().next_attachment();
            let attachment = Attachment {
                id,
                session,
                number,
                push,
                waiting: false,
                overrun: false,
                gave_way: false,
                served: 0,
            };
            let grip = state.subscriptions.attach(key, attachment);
            let subscription = state.subscriptions.at(key);
            subscription.go_back(&state.log);
            let next_offset = subscription.cursor.offset();
            state.floor = state.floor.min(subscription.needed_offset());
            Ok(Attached { grip, next_offset, waits })
        })
    }

    /// Reads for a connection that is attached; `None`: it no longer is.
    pub(crate) fn fetch(
        self: &Arc<Self>,
        grip: Grip,
        limit: FetchLimit,
        now: Now,
        broker: &Broker,
        wakes: &mut Wakes,
    ) -> Option<Pushed> {
        let mut state = self.lock();
        let state = &mut *state;
        let memory_before = state.log.memory_bytes();
        let subscription = state.subscriptions.held_by(grip)?;
        let committed = subscription.committed;
        let fetched = match subscription.group {
            Some(_) => state.fetch_leased(grip, limit, now, wakes),
            None => state.fetch_next(grip, limit, wakes),
        };
        broker.tally().log_bytes_moved(memory_before, state.log.memory_bytes());
        if state.subscriptions.at(grip.key).committed != committed {
            self.save_later(state, broker);
        }
        match fetched {
            Ok(pushed) => Some(pushed),
            Err(refusal) => {
                tracing::error!(topic = &*self.name, %refusal, "a push subscription ends");
                state.end_attachment(grip, Code::StorageDamaged, wakes);
                None
            }
        }
    }

    /// Acknowledges all messages up to and with `offset`.
    pub(crate) fn ack(
        self: &Arc<Self>,
        grip: Grip,
        offset: u64,
        answer: SettleAnswer,
        broker: &Broker,
        wakes: &mut Wakes,
    ) -> Result<Option<Waits>, Refusal> {
        let mut state = self.lock();
        let Some(subscription) = state.subscriptions.held_by(grip) else {
            return no_longer_held(answer);
        };
        if subscription.group.is_some() {
            return Err(mismatch("one that is acknowledged cumulatively", "individually"));
        }
        if offset >= subscription.cursor.offset() {
            return Err(Refusal::new(
                Code::InvalidValue,
                format!(
                    "expected the offset of a message that was sent, below {}, found {offset}",
                    subscription.cursor.offset()
                ),
            ));
        }
        let before = subscription.needed_offset();
        let committed = subscription.committed.max(offset + 1);
        let waits = match answer {
            SettleAnswer::Wanted => state.save_cursor(grip.key, committed)?,
            SettleAnswer::Unwanted => None,
        };
        let subscription = state.subscriptions.at(grip.key);
        subscription.committed = committed;
        let after = subscription.needed_offset();
        state.reader_moved(grip.key, before, after, wakes);
        self.save_later(&mut state, broker);
        Ok(waits)
    }

    /// Ends a connection's attachment, and the subscription where its lifetime was the connection's.
    pub(crate) fn detach(&self, grip: Grip, broker: &Broker, wakes: &mut Wakes) {
        let mut state = self.lock();
        let Some(attachment) = state.subscriptions.detach(grip) else { return };
        state.give_back(grip, wakes);
        state.remove_with(Some(attachment.push.lifetime), grip.key, broker);
        state.settle_hold(wakes);
    }

    /// Removes a subscription; a connection attached to it is told.
    pub(crate) fn unsubscribe(
        &self,
        id: &str,
        broker: &Broker,
        wakes: &mut Wakes,
    ) -> Result<Option<Waits>, Refusal> {
        self.with(broker, |state| {
            let key = state.subscriptions.find(id).ok_or_else(|| not_subscribed(&self.name, id))?;
            for grip in state.subscriptions.grips(key) {
                state.end_attachment(grip, Code::Unsubscribed, wakes);
            }
            let waits = state.remove(key, broker)?;
            state.settle_hold(wakes);
            Ok(waits)
        })
    }

    /// Removes a subscription, unless there is none, or a connection is attached to it.
    pub(crate) fn abandon(&self, id: &str, broker: &Broker, wakes: &mut Wakes) {
        let mut state = self.lock();
        let Some(key) = state.subscriptions.find(id) else { return };
        if state.subscriptions.at(key).attachments.is_empty() {
            // Where the journal has failed, the subscription is there again after a restart.
            let _ = state.remove(key, broker);
            state.settle_hold(wakes);
        }
    }

    /// Takes unread messages of a subscription. They count as read, or are leased to the
    /// connection where they are to be acknowledged one by one.
    pub(crate) fn pull(
        &self,
        id: &str,
        puller: SessionKey,
        limit: FetchLimit,
        now: Now,
        broker: &Broker,
        wakes: &mut Wakes,
    ) -> Result<Pulled, Refusal> {
        self.with(broker, |state| {
            let key = state.subscriptions.find(id).ok_or_else(|| not_subscribed(&self.name, id))?;
            state.trim_older(now, wakes);
            match state.subscriptions.at(key).group {
                Some(_) => state.pull_leased(key, puller, limit, now, wakes),
                None => state.pull_next(key, limit, wakes),
            }
        })
    }

    /// Moves a subscription to `to`. Gives the offset that it reads next.
    pub(crate) fn seek(
        &self,
        id: &str,
        to: Start,
        broker: &Broker,
        wakes: &mut Wakes,
    ) -> Result<(u64, Option<Waits>), Refusal> {
        self.with(broker, |state| {
            let key = state.subscriptions.find(id).ok_or_else(|| not_subscribed(&self.name, id))?;
            let offset = state.offset_of(to, broker);
            let waits = state.save_cursor(key, offset)?;
            let cursor = state.log.seek(offset);
            let subscription = state.subscriptions.at(key);
            let before = subscription.needed_offset();
            subscription.cursor = cursor;
            subscription.committed = offset;
            if let Some(group) = &mut subscription.group {
                group.leases.seek(offset);
            }
            state.reader_moved(key, before, offset, wakes);
            state.floor = state.floor.min(offset);
            state.wake_consumers(key, wakes);
            Ok((offset, waits))
        })
    }

    /// Makes a subscription one whose messages are acknowledged one by one, or one where they are
    /// not. What was sent and not acknowledged is sent again.
    pub(crate) fn reshape(
        &self,
        id: &str,
        leases: Option<LeaseTerms>,
        broker: &Broker,
    ) -> Result<Option<Waits>, Refusal> {
        self.with(broker, |state| {
            let key = state.subscriptions.find(id).ok_or_else(|| not_subscribed(&self.name, id))?;
            let subscription = state.subscriptions.at(key);
            if subscription.group.is_some() == leases.is_some() {
                return Ok(subscription.stored.and_then(|stored| stored.waits));
            }
            let offset = match &subscription.group {
                Some(group) => group.leases.floor(),
                None => subscription.committed,
            };
            let cursor = state.log.seek(offset);
            state.subscriptions.reshape(key, cursor, leases);
            state.record_again(key)
        })
    }

    /// Writes cursors that moved to the journal.
    pub(crate) fn save_cursors(&self) {
        let mut state = self.lock();
        if std::mem::take(&mut state.unsaved) && !state.deleted {
            state.save_cursors();
        }
    }

    /// Has cursors that moved written to the journal before long.
    fn save_later(self: &Arc<Self>, state: &mut State, broker: &Broker) {
        if state.log.is_stored() && !std::mem::replace(&mut state.unsaved, true) {
            broker.save_later(self);
        }
    }

    /// The subscription of `id`, made where there is none, and what an answer waits for that says
    /// so.
    fn subscription(
        self: &Arc<Self>,
        state: &mut State,
        id: &str,
        wanted: &Wanted,
        broker: &Broker,
    ) -> Result<(SubscriptionKey, Option<Waits>), Refusal> {
        if let Some(key) = state.subscriptions.find(id) {
            let subscription = state.subscriptions.at(key);
            match (&wanted.leases, &subscription.group) {
                (Some(_), None) => {
                    return Err(mismatch(
                        "a subscription that is acknowledged individually",
                        "not",
                    ));
                }
                (None, Some(_)) => {
                    return Err(mismatch(
                        "a subscription that is not acknowledged individually",
                        "individually",
                    ));
                }
                _ => {}
            }
            let waits = state.record_subscription(key, wanted.lifetime)?;
            return Ok((key, waits));
        }
        let max = broker.limits().subscriptions_per_topic_max;
        if state.subscriptions.len() >= max {
            return Err(Refusal::new(
                Code::LimitReached,
                format!(
                    "the topic has {max} subscriptions; remove one, or raise subscriptions_per_topic_max"
                ),
            ));
        }
        let offset = state.offset_of(wanted.start, broker);
        let cursor = state.log.seek(offset);
        let group = wanted.leases.clone().map(|terms| {
            if terms.expires() {
                broker.has_groups(self);
            }
            Box::new(Group { leases: Leases::new(offset), terms })
        });
        let key = state.subscriptions.insert(id, None, cursor, group);
        match state.record_subscription(key, wanted.lifetime) {
            Ok(waits) => {
                broker.tally().subscriptions_moved(1);
                Ok((key, waits))
            }
            Err(refusal) => {
                state.subscriptions.remove(key);
                Err(refusal)
            }
        }
    }
}

impl State {
    /// Tells the journal of a subscription, unless it knows, or the subscription ends with its
    /// connection. Gives what an answer waits for that says that it stands.
    fn record_subscription(
        &mut self,
        key: SubscriptionKey,
        lifetime: Lifetime,
    ) -> Result<Option<Waits>, Refusal> {
        let number = self.subscriptions.next_number();
        let subscription = self.subscriptions.at(key);
        if subscription.stored.is_some() || lifetime == Lifetime::Connection {
            return Ok(subscription.stored.and_then(|stored| stored.waits));
        }
        let name = Arc::clone(&subscription.id);
        let group = subscription.group.as_ref();
        let leases = group.map(|group| group.terms.clone());
        let next_offset = group.map_or(subscription.committed, |group| group.leases.floor());
        // It may have been there before, and settled messages, for connections alone.
        let settled = group.map_or(Vec::new(), |group| group.settled_ranges());
        let record = |topic| Record::Subscribed {
            topic,
            subscription: number,
            next_offset,
            leases,
            name: &name,
        };
        let mut waits = self.record(record, Durability::Sync)?;
        if !settled.is_empty() {
            let record = |topic| Record::Settled { topic, subscription: number, ranges: settled };
            waits = self.record(record, Durability::Sync)?;
        }
        self.subscriptions.note_stored(key, number, waits);
        Ok(waits)
    }

    /// Tells the journal what a subscription that it knows is now.
    fn record_again(&mut self, key: SubscriptionKey) -> Result<Option<Waits>, Refusal> {
        let subscription = self.subscriptions.at(key);
        let Some(stored) = subscription.stored else { return Ok(None) };
        let (name, next_offset) = (Arc::clone(&subscription.id), subscription.committed);
        let leases = subscription.group.as_ref().map(|group| group.terms.clone());
        let record = |topic| Record::Subscribed {
            topic,
            subscription: stored.number,
            next_offset,
            leases,
            name: &name,
        };
        let waits = self.record(record, Durability::Sync)?;
        self.subscriptions.note_stored(key, stored.number, waits);
        Ok(waits)
    }

    /// The offset that a subscription begins at.
    fn offset_of(&self, start: Start, broker: &Broker) -> u64 {
        let (first, next) = (self.log.first_offset(), self.log.next_offset());
        let offset = match start {
            Start::Earliest => first,
            Start::Latest => next,
            Start::Offset(offset) => offset,
            Start::Time { unix_ms } => {
                let started = broker.settings().started_unix_ms;
                let now = Now::default().plus_ms(unix_ms.saturating_sub(started));
                self.log.offset_at(Since { now, unix_ms })
            }
        };
        offset.clamp(first, next)
    }

    fn fetch_next(
        &mut self,
        grip: Grip,
        limit: FetchLimit,
        wakes: &mut Wakes,
    ) -> Result<Pushed, Refusal> {
        let subscription = self.subscriptions.at(grip.key);
        let needed_before = subscription.needed_offset();
        let fetched = self.log.fetch(&mut subscription.cursor, limit)?;
        let more = subscription.cursor.offset() < self.log.visible_offset();
        let on_send =
            subscription.attachments.first().is_some_and(|a| a.push.ack_mode == AckMode::OnSend);
        if on_send {
            subscription.committed = subscription.cursor.offset();
        }
        let needed_after = subscription.needed_offset();
        if !more {
            self.wait(grip);
        }
        self.reader_moved(grip.key, needed_before, needed_after, wakes);
        Ok(Pushed { fetched, deliveries: 1, more })
    }

    fn pull_next(
        &mut self,
        key: SubscriptionKey,
        limit: FetchLimit,
        wakes: &mut Wakes,
    ) -> Result<Pulled, Refusal> {
        let subscription = self.subscriptions.at(key);
        let before = subscription.needed_offset();
        let mut cursor: Cursor = subscription.cursor;
        let was_at = cursor.offset();
        let fetched = self.log.fetch(&mut cursor, limit)?;
        let moved = cursor.offset() > was_at;
        let waits = if moved { self.save_cursor(key, cursor.offset())? } else { None };
        let subscription = self.subscriptions.at(key);
        subscription.cursor = cursor;
        if moved {
            subscription.committed = cursor.offset();
        }
        let after = subscription.needed_offset();
        self.reader_moved(key, before, after, wakes);
        let remaining = self.log.visible_offset().saturating_sub(cursor.offset());
        Ok(Pulled { fetched, remaining, deliveries: None, waits })
    }

    /// Tells the journal that a subscription is done with all before `offset`.
    fn save_cursor(&mut self, key: SubscriptionKey, offset: u64) -> Result<Option<Waits>, Refusal> {
        let Some(stored) = self.subscriptions.at(key).stored else { return Ok(None) };
        let record =
            |topic| Record::Cursor { topic, subscription: stored.number, next_offset: offset };
        let waits = self.record(record, Durability::Sync)?;
        self.subscriptions.note_saved(key, offset);
        Ok(waits)
    }

    fn save_cursors(&mut self) {
        for key in self.subscriptions.unsaved() {
            let offset = self.subscriptions.at(key).committed;
            let Some(stored) = self.subscriptions.at(key).stored else { continue };
            let record =
                |topic| Record::Cursor { topic, subscription: stored.number, next_offset: offset };
            // Where the journal has failed, whoever waits for it is told.
            if self.record(record, Durability::Os).is_ok() {
                self.subscriptions.note_saved(key, offset);
            }
        }
    }

    /// Takes back what an attachment that is over had not acknowledged.
    pub(super) fn give_back(&mut self, grip: Grip, wakes: &mut Wakes) {
        let subscription = self.subscriptions.at(grip.key);
        match &subscription.group {
            None => subscription.go_back(&self.log),
            Some(_) => self.release_leases(grip, wakes),
        }
    }

    /// Removes a subscription that nobody is attached to.
    fn remove(&mut self, key: SubscriptionKey, broker: &Broker) -> Result<Option<Waits>, Refusal> {
        let waits = match self.subscriptions.at(key).stored {
            None => None,
            Some(stored) => {
                let subscription = stored.number;
                let record = |topic| Record::Unsubscribed { topic, subscription };
                self.record(record, Durability::Sync)?
            }
        };
        self.subscriptions.remove(key);
        broker.tally().subscriptions_moved(-1);
        Ok(waits)
    }

    /// Removes a subscription whose last connection is gone, where its lifetime was that.
    pub(super) fn remove_with(
        &mut self,
        lifetime: Option<Lifetime>,
        key: SubscriptionKey,
        broker: &Broker,
    ) {
        let is_over = lifetime == Some(Lifetime::Connection)
            && self.subscriptions.at(key).attachments.is_empty();
        // Where the journal has failed, the subscription is there again after a restart.
        if is_over && self.remove(key, broker).is_err() {
            self.subscriptions.remove(key);
            broker.tally().subscriptions_moved(-1);
        }
    }
}

/// A connection speaks of messages of a push subscription that is over, and has yet to be told.
/// Where it wants to know that they are done with, it must not be told so.
pub(super) fn no_longer_held(answer: SettleAnswer) -> Result<Option<Waits>, Refusal> {
    match answer {
        SettleAnswer::Unwanted => Ok(None),
        SettleAnswer::Wanted => Err(Refusal::new(
            Code::UnknownSubscription,
            "expected a push subscription that is still attached, but this one ended; subscribe again",
        )),
    }
}

pub(super) fn mismatch(expected: &'static str, found: &'static str) -> Refusal {
    Refusal::new(
        Code::SubscriptionMismatch,
        format!(
            "expected {expected}, found one that is {found} acknowledged; use another name, or UNSUBSCRIBE it first"
        ),
    )
}
