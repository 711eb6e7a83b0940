//! Topics: each a log and its subscriptions, behind a short lock of its own.

mod hold;
mod state;
mod subscriptions;

pub(crate) use subscriptions::Grip;

use crate::log::{FetchLimit, Fetched};
use crate::{Broker, Now, SessionKey, Wakes};
use hold::{Leave, ended};
use protocol::batch::{RECORD_HEADER_BYTES, too_large};
use protocol::{AckMode, Code, Lifetime, Messages, Push, Refusal, Retention};
use state::{Bounds, State};
use std::sync::{Arc, Mutex, MutexGuard};
use subscriptions::{SubscriptionKey, not_subscribed};

/// A topic.
#[derive(Debug)]
pub(crate) struct Topic {
    name: Arc<str>,
    state: Mutex<State>,
}

/// What became of a publication.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Appended {
    /// It is in the log.
    At { base_offset: u64, count: u32 },
    /// There is no room; the publisher is woken when there is, and asks again at `until` in any
    /// case.
    Held { until: Now },
}

/// What a pull took.
#[derive(Debug)]
pub(crate) struct Pulled {
    pub(crate) fetched: Fetched,
    /// Messages still unread.
    pub(crate) remaining: u64,
}

/// What a push read took.
#[derive(Debug)]
pub(crate) struct Pushed {
    pub(crate) fetched: Fetched,
    /// Whether there is more to read now; if not, the session is woken when there is.
    pub(crate) more: bool,
}

impl Topic {
    pub(crate) fn new(name: Arc<str>, retention: Retention, broker: &Broker) -> Self {
        let bounds = Bounds::new(retention, broker.limits());
        Self { name, state: Mutex::new(State::new(bounds)) }
    }

    pub(crate) fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Whether its messages go when they are old.
    pub(crate) fn ages(&self) -> bool {
        self.lock().bounds.age_ms_max.is_some()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no thread panics while it holds a topic's lock")
    }

    /// Locks the topic unless it is deleted, runs `act`, and counts the bytes that came or went.
    fn with<T>(
        &self,
        broker: &Broker,
        act: impl FnOnce(&mut State) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        let mut state = self.lock();
        if state.deleted {
            return Err(broker.unknown_topic(&self.name));
        }
        let before = state.log.bytes();
        let result = act(&mut state);
        broker.tally().log_bytes_moved(before, state.log.bytes());
        result
    }

    /// Appends `messages`, or has `publisher` wait for room.
    ///
    /// Nobody is woken yet: see [`wake_readers`](Self::wake_readers).
    pub(crate) fn append(
        &self,
        messages: &Messages<'_>,
        publisher: SessionKey,
        now: Now,
        broker: &Broker,
        wakes: &mut Wakes,
    ) -> Result<Appended, Refusal> {
        let (count, bytes) = match messages {
            Messages::One(payload) => (1, RECORD_HEADER_BYTES + payload.len()),
            Messages::Batch(batch) => (batch.count(), batch.bytes().len()),
        };
        self.with(broker, |state| {
            let incoming = Incoming { count, bytes };
            let leave = state.make_room(incoming, publisher, now, broker, wakes)?;
            if let Leave::Held { until } = leave {
                return Ok(Appended::Held { until });
            }
            let base_offset = match messages {
                Messages::One(payload) => state.log.append_one(payload, now),
                Messages::Batch(batch) => state.log.append(*batch, now),
            };
            // A batch may hold more messages than its topic.
            let kept = state.log.next_offset().saturating_sub(state.bounds.messages_max);
            state.log.trim_before(kept);
            Ok(Appended::At { base_offset, count })
        })
    }

    /// Wakes those who wait for messages, once for all that were appended since.
    pub(crate) fn wake_readers(&self, wakes: &mut Wakes) {
        self.lock().wake_waiting(wakes);
    }

    /// A publisher that may have waited for room is gone.
    pub(crate) fn forget_publisher(&self, publisher: SessionKey) {
        self.lock().forget_publisher(publisher);
    }

    /// Makes a subscription at the oldest message held, or keeps the one there is. Gives the
    /// offset that it reads next.
    pub(crate) fn subscribe(&self, id: &str, broker: &Broker) -> Result<u64, Refusal> {
        self.with(broker, |state| {
            let key = state.subscription(id, broker)?;
            Ok(state.subscriptions.at(key).cursor.offset())
        })
    }

    /// Makes or keeps a subscription and has it pushed to a connection. One that it was pushed to
    /// before is told.
    pub(crate) fn attach(
        &self,
        id: &str,
        session: SessionKey,
        number: u32,
        push: Push,
        broker: &Broker,
        wakes: &mut Wakes,
    ) -> Result<(Grip, u64), Refusal> {
        self.with(broker, |state| {
            let key = state.subscription(id, broker)?;
            let id = broker.tally().next_attachment();
            let (grip, before) = state.subscriptions.attach(key, id, session, number, push);
            wakes.extend(before.map(|attachment| ended(&attachment, Code::TakenOver)));
            let subscription = state.subscriptions.at(key);
            subscription.go_back(&state.log);
            let next_offset = subscription.cursor.offset();
            state.floor = state.floor.min(subscription.needed_offset());
            Ok((grip, next_offset))
        })
    }

    /// Reads for a connection that is attached; `None`: it no longer is.
    pub(crate) fn fetch(
        &self,
        grip: Grip,
        limit: FetchLimit,
        broker: &Broker,
        wakes: &mut Wakes,
    ) -> Option<Pushed> {
        let mut state = self.lock();
        let state = &mut *state;
        let subscription = state.subscriptions.held_by(grip)?;
        let overhead_before = state.log.bytes();
        let needed_before = subscription.needed_offset();
        let fetched = state.log.fetch(&mut subscription.cursor, limit);
        let more = subscription.cursor.offset() < state.log.next_offset();
        if subscription.attachment.as_ref().is_some_and(|a| a.push.ack_mode == AckMode::OnSend) {
            subscription.committed = subscription.cursor.offset();
        }
        let needed_after = subscription.needed_offset();
        if !more {
            state.wait(grip.key);
        }
        state.reader_moved(grip.key, needed_before, needed_after, wakes);
        broker.tally().log_bytes_moved(overhead_before, state.log.bytes());
        Some(Pushed { fetched, more })
    }

    /// Acknowledges all messages up to and with `offset`.
    pub(crate) fn ack(&self, grip: Grip, offset: u64, wakes: &mut Wakes) -> Result<(), Refusal> {
        let mut state = self.lock();
        let Some(subscription) = state.subscriptions.held_by(grip) else {
            return Ok(());
        };
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
        subscription.committed = subscription.committed.max(offset + 1);
        let after = subscription.needed_offset();
        state.reader_moved(grip.key, before, after, wakes);
        Ok(())
    }

    /// Ends a connection's attachment, and the subscription where its lifetime was the connection's.
    pub(crate) fn detach(&self, grip: Grip, broker: &Broker, wakes: &mut Wakes) {
        let mut state = self.lock();
        if state.subscriptions.held_by(grip).is_none() {
            return;
        }
        let state = &mut *state;
        let attachment = state.subscriptions.detach(grip.key);
        state.subscriptions.at(grip.key).go_back(&state.log);
        if attachment.is_some_and(|a| a.push.lifetime == Lifetime::Connection) {
            state.remove(grip.key, broker);
        }
        state.settle_hold(wakes);
    }

    /// Removes a subscription; a connection attached to it is told.
    pub(crate) fn unsubscribe(
        &self,
        id: &str,
        broker: &Broker,
        wakes: &mut Wakes,
    ) -> Result<(), Refusal> {
        self.with(broker, |state| {
            let key = state.subscriptions.find(id).ok_or_else(|| not_subscribed(&self.name, id))?;
            state.end_attachment(key, Code::Unsubscribed, wakes);
            state.remove(key, broker);
            state.settle_hold(wakes);
            Ok(())
        })
    }

    /// Takes unread messages of a subscription; they count as read.
    pub(crate) fn pull(
        &self,
        id: &str,
        limit: FetchLimit,
        now: Now,
        broker: &Broker,
        wakes: &mut Wakes,
    ) -> Result<Pulled, Refusal> {
        self.with(broker, |state| {
            let key = state.subscriptions.find(id).ok_or_else(|| not_subscribed(&self.name, id))?;
            state.trim_older(now, wakes);
            let subscription = state.subscriptions.at(key);
            let before = subscription.needed_offset();
            let fetched = state.log.fetch(&mut subscription.cursor, limit);
            subscription.committed = subscription.cursor.offset();
            let after = subscription.needed_offset();
            state.reader_moved(key, before, after, wakes);
            Ok(Pulled { fetched, remaining: state.log.next_offset() - after })
        })
    }

    /// The ids of its subscribers, in their order.
    pub(crate) fn subscribers(&self, broker: &Broker) -> Result<Vec<Arc<str>>, Refusal> {
        let mut ids: Vec<_> =
            self.with(broker, |state| Ok(state.subscriptions.ids().cloned().collect()))?;
        ids.sort_unstable();
        Ok(ids)
    }

    /// Takes away what is too old.
    pub(crate) fn handle_tick(&self, now: Now, broker: &Broker, wakes: &mut Wakes) {
        let mut state = self.lock();
        if state.deleted {
            return;
        }
        let before = state.log.bytes();
        state.trim_older(now, wakes);
        broker.tally().log_bytes_moved(before, state.log.bytes());
    }

    /// Empties it for good. Everyone attached to it is told.
    pub(crate) fn delete(&self, broker: &Broker, wakes: &mut Wakes) {
        let mut state = self.lock();
        if std::mem::replace(&mut state.deleted, true) {
            return;
        }
        wakes.extend(state.subscriptions.attached().map(|(.., a)| ended(a, Code::TopicDeleted)));
        state.release(wakes);
        broker.tally().log_bytes_moved(state.log.bytes(), 0);
        broker.tally().subscriptions_moved(-(state.subscriptions.len() as i64));
        let bounds = state.bounds;
        *state = State::new(bounds);
        state.deleted = true;
    }
}

/// What is about to be appended.
#[derive(Clone, Copy)]
struct Incoming {
    count: u32,
    bytes: usize,
}

impl State {
    /// Takes away the oldest messages until `incoming` fits, as far as connected subscribers
    /// leave them.
    fn make_room(
        &mut self,
        incoming: Incoming,
        publisher: SessionKey,
        now: Now,
        broker: &Broker,
        wakes: &mut Wakes,
    ) -> Result<Leave, Refusal> {
        if incoming.bytes > self.bounds.bytes_max {
            return Err(too_large(incoming.bytes, self.bounds.bytes_max));
        }
        // Before anything goes, since all logs' sum does not know yet of what goes here.
        let memory = self.log.bytes().saturating_add(broker.memory_free());
        let bytes_max = self.bounds.bytes_max.min(memory);
        self.trim_older(now, wakes);
        if incoming.bytes > bytes_max {
            return Err(broker.memory_full());
        }
        loop {
            let held = self.log.count();
            let over_bytes = self.log.bytes() + incoming.bytes > bytes_max;
            let over_count =
                (held + u64::from(incoming.count)).saturating_sub(self.bounds.messages_max);
            let offset = match (over_bytes, over_count) {
                (false, 0) => return Ok(self.grant(publisher)),
                _ if held == 0 => return Ok(self.grant(publisher)),
                (true, _) => self.log.first_piece_end(),
                (false, over) => self.log.first_offset() + over.min(held),
            };
            let leave = self.ask_leave(offset, publisher, now, broker, wakes);
            if leave != Leave::Granted {
                return Ok(leave);
            }
            self.log.trim_before(offset);
        }
    }

    /// The subscription of `id`, made where there is none.
    fn subscription(&mut self, id: &str, broker: &Broker) -> Result<SubscriptionKey, Refusal> {
        if let Some(key) = self.subscriptions.find(id) {
            return Ok(key);
        }
        let max = broker.limits().subscriptions_per_topic_max;
        if self.subscriptions.len() >= max {
            return Err(Refusal::new(
                Code::LimitReached,
                format!(
                    "the topic has {max} subscriptions; remove one, or raise subscriptions_per_topic_max"
                ),
            ));
        }
        broker.tally().subscriptions_moved(1);
        Ok(self.subscriptions.insert(id, self.log.earliest()))
    }

    /// Removes a subscription that nobody is attached to.
    fn remove(&mut self, key: SubscriptionKey, broker: &Broker) {
        self.subscriptions.remove(key);
        broker.tally().subscriptions_moved(-1);
    }

    /// Takes away what is too old; publishers that waited for room may have it.
    fn trim_older(&mut self, now: Now, wakes: &mut Wakes) {
        let Some(age_ms_max) = self.bounds.age_ms_max else { return };
        let before = self.log.first_offset();
        self.log.trim_older(age_ms_max, now);
        if self.log.first_offset() > before {
            self.wake_held(wakes);
        }
    }
}
