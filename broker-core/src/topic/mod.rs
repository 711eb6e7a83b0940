//! Topics: each a log and its subscriptions, behind a short lock of its own.

mod consumers;
mod hold;
mod plan;
mod reading;
mod recovered;
mod rereading;
mod retained;
mod room;
mod state;
mod subscriptions;

pub(crate) use crate::journal::LeaseTerms;
pub(crate) use consumers::{DeadLetter, Named};
pub(crate) use plan::Plan;
pub(crate) use reading::{Attached, Pulled, Pushed, Wanted};
pub(crate) use recovered::{RecoveredGroup, RecoveredSubscription, RecoveredTopic};
pub(crate) use rereading::Leased;
pub(crate) use retained::Retained;
pub(crate) use subscriptions::Grip;

use crate::journal::{Reached, Record, Waits};
use crate::log::{Incoming, Log, Retain, StoredLog};
use crate::publishers::{self, Check, Publishers};
use crate::{Broker, Now, SessionKey, Wakes};
use hold::{Leave, ended};
use protocol::{Code, Durability, PublishTerms, PublisherSequence, Refusal};
use state::{Bounds, State};
use std::sync::{Arc, Mutex, MutexGuard};

/// A publisher that the journal has no room for asks again after so long at the latest.
const CONGESTED_MS_MAX: u64 = 1000;

/// A topic.
#[derive(Debug)]
pub(crate) struct Topic {
    name: Arc<str>,
    state: Mutex<State>,
}

/// What became of a publication.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Appended {
    /// It is in the log, or was before.
    At {
        base_offset: u64,
        count: u32,
        /// When it may be acknowledged; `None`: now.
        waits: Option<Waits>,
        shown: Shown,
    },
    /// There is no room; the publisher is woken when there is, and asks again at `until` in any
    /// case.
    Held { until: Now },
}

/// Whether there is more for readers than before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shown {
    More,
    /// Not yet.
    Same,
}

impl Topic {
    /// An empty topic in memory.
    pub(crate) fn in_memory(name: Arc<str>, plan: Plan, broker: &Broker) -> Self {
        let bounds = Bounds::new(plan.terms);
        let log = Log::in_memory(bounds.bytes_max);
        let publishers = Publishers::new(broker.limits().publishers_per_topic_max);
        Self { name, state: Mutex::new(State::new(bounds, log, publishers)) }
    }

    pub(crate) fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Takes away what it may not hold.
    pub(crate) fn trim(&self, now: Now) {
        self.lock().trim_to_bounds(now);
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
        let before = state.log.memory_bytes();
        let result = act(&mut state);
        broker.tally().log_bytes_moved(before, state.log.memory_bytes());
        result
    }

    /// Appends `incoming`, or has `publisher` wait for room.
    ///
    /// Nobody is woken yet: see [`wake_readers`](Self::wake_readers).
    pub(crate) fn append(
        self: &Arc<Self>,
        incoming: Incoming<'_>,
        durability: Option<Durability>,
        publisher: SessionKey,
        now: Now,
        broker: &Broker,
        wakes: &mut Wakes,
    ) -> Result<Appended, Refusal> {
        self.with(broker, |state| {
            let durability = state.check_durability(durability)?;
            let (count, bytes) = incoming.size();
            if let Some(sequence) = incoming.sequence
                && let Some((base_offset, count)) = state.known(sequence)?
            {
                let waits = state.waits_for_all(durability);
                return Ok(Appended::At { base_offset, count, waits, shown: Shown::Same });
            }
            if state.is_congested(publisher, broker) {
                return Ok(Appended::Held { until: now.plus_ms(CONGESTED_MS_MAX) });
            }
            state.check_retained(&incoming, broker)?;
            let leave =
                state.make_room(room::Wanted { count, bytes }, publisher, now, broker, wakes)?;
            if let Leave::Held { until } = leave {
                return Ok(Appended::Held { until });
            }
            // Before the message, so that one that is known to have been taken is retained as well.
            state.retain(&incoming, durability, broker)?;
            let base_offset = state.log.append(incoming, now)?;
            if let Some(PublisherSequence { publisher, sequence }) = incoming.sequence {
                let publication = publishers::Publication { sequence, base_offset, count };
                state.publishers.note(publisher, publication);
            }
            // A batch may hold more messages than its topic.
            let kept = state.log.next_offset().saturating_sub(state.bounds.messages_max);
            state.log.trim_before(kept);
            let shown = self.commit_soon(state, broker);
            let waits = state.waits_for_all(durability);
            Ok(Appended::At { base_offset, count, waits, shown })
        })
    }

    /// Has what was appended shown when the journal has it. Gives whether there is more to see.
    fn commit_soon(self: &Arc<Self>, state: &mut State, broker: &Broker) -> Shown {
        let Some(journal) = state.log.stored().map(|stored| Arc::clone(&stored.terms().journal))
        else {
            return Shown::More;
        };
        if !std::mem::replace(&mut state.committing, true) {
            broker.commits().tell_topic(self);
        }
        // The journal may have come so far before it was asked to tell.
        let shown = state.log.commit(journal.reached());
        state.log.shrink(broker.memory_free());
        if shown { Shown::More } else { Shown::Same }
    }

    /// The journal has reached more: shows it, and wakes those who wait for it. Gives whether
    /// there is still more to wait for.
    pub(crate) fn handle_progress(
        &self,
        reached: Reached,
        broker: &Broker,
        wakes: &mut Wakes,
    ) -> bool {
        let mut state = self.lock();
        let before = state.log.memory_bytes();
        if state.log.commit(reached) {
            state.wake_waiting(wakes);
        }
        state.log.shrink(broker.memory_free());
        broker.tally().log_bytes_moved(before, state.log.memory_bytes());
        state.committing = state.log.stored().is_some_and(StoredLog::waits_for_progress);
        state.committing
    }

    /// Wakes those who wait for messages, once for all that were appended since.
    pub(crate) fn wake_readers(&self, wakes: &mut Wakes) {
        self.lock().wake_waiting(wakes);
    }

    /// A publisher that may have waited for room is gone.
    pub(crate) fn forget_publisher(&self, publisher: SessionKey) {
        self.lock().forget_publisher(publisher);
    }

    /// The offset that the next message gets.
    pub(crate) fn next_offset(&self) -> u64 {
        self.lock().log.next_offset()
    }

    /// The ids of its subscribers, in their order.
    pub(crate) fn subscribers(&self, broker: &Broker) -> Result<Vec<Arc<str>>, Refusal> {
        let mut ids: Vec<_> =
            self.with(broker, |state| Ok(state.subscriptions.ids().cloned().collect()))?;
        ids.sort_unstable();
        Ok(ids)
    }

    /// Bytes of it that are in memory.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.lock().log.memory_bytes()
    }

    /// Gives up the older half of its messages, but for those that a connected subscriber has yet
    /// to read.
    pub(crate) fn give_up_half(&self, broker: &Broker, wakes: &mut Wakes) {
        let mut state = self.lock();
        let before = state.log.memory_bytes();
        state.give_up_half(wakes);
        broker.tally().log_bytes_moved(before, state.log.memory_bytes());
    }

    /// Takes away what is too old.
    pub(crate) fn handle_tick(&self, now: Now, broker: &Broker, wakes: &mut Wakes) {
        let mut state = self.lock();
        if state.deleted {
            return;
        }
        let before = state.log.memory_bytes();
        state.trim_older(now, wakes);
        broker.tally().log_bytes_moved(before, state.log.memory_bytes());
    }

    /// Gives up what lies before `position` in the journal. Gives how many messages those were.
    pub(crate) fn drop_stored_before(
        &self,
        position: u64,
        broker: &Broker,
        wakes: &mut Wakes,
    ) -> u64 {
        let mut state = self.lock();
        let before = state.log.memory_bytes();
        let dropped = state.drop_stored_before(position, wakes);
        broker.tally().log_bytes_moved(before, state.log.memory_bytes());
        dropped
    }

    /// Moves what lies in the segment at `segment` to the end of the journal. Gives how many
    /// bytes those were.
    pub(crate) fn move_stored(
        self: &Arc<Self>,
        segment: u64,
        broker: &Broker,
    ) -> Result<u64, Refusal> {
        let mut state = self.lock();
        if !state.log.stored().is_some_and(|stored| stored.is_in(segment)) {
            return Ok(0);
        }
        // Before anything is moved, since the journal may reach it at once.
        if !std::mem::replace(&mut state.committing, true) {
            broker.commits().tell_topic(self);
        }
        state.log.stored_mut().map_or(Ok(0), |stored| stored.move_runs(segment))
    }

    /// Empties it for good. Everyone attached to it is told. Gives what an answer waits for that
    /// says so.
    pub(crate) fn delete(
        &self,
        broker: &Broker,
        wakes: &mut Wakes,
    ) -> Result<Option<Waits>, Refusal> {
        let mut state = self.lock();
        // Under the topic's lock, so that none of its records follows this one.
        let waits = state.record_at(|topic| Record::TopicDeleted { topic }, Durability::Sync)?;
        state.deleted = true;
        wakes.extend(state.subscriptions.attached().map(|(.., a)| ended(a, Code::TopicDeleted)));
        state.release(wakes);
        broker.tally().log_bytes_moved(state.log.memory_bytes(), 0);
        broker.tally().subscriptions_moved(-(state.subscriptions.len() as i64));
        state.forget_retained(broker);
        state.log.clear();
        let bounds = state.bounds;
        *state = State::new(bounds, Log::in_memory(bounds.bytes_max), Publishers::new(1));
        state.deleted = true;
        Ok(waits)
    }
}

impl State {
    /// When a publication that asks for `asked` is acknowledged.
    fn check_durability(&self, asked: Option<Durability>) -> Result<Option<Durability>, Refusal> {
        let own = self.log.stored().map(|stored| stored.terms().durability);
        match (asked, own) {
            (None, own) => Ok(own),
            (Some(asked), Some(own)) if asked <= own => Ok(Some(asked)),
            (Some(asked), own) => Err(Refusal::new(
                Code::StorageUnavailable,
                format!(
                    "expected a durability of at most {}, as the topic has, found {:?}; leave it out, or create the topic with it",
                    own.map_or("\"none\"", Durability::name),
                    asked.name()
                ),
            )),
        }
    }

    /// What waits for the newest message to be so durable.
    fn waits_for_all(&self, durability: Option<Durability>) -> Option<Waits> {
        let position = self.log.stored()?.pending_position()?;
        Some(Waits { position, durability: durability? })
    }

    /// Where a publication is that came before.
    fn known(&mut self, sequence: PublisherSequence) -> Result<Option<(u64, u32)>, Refusal> {
        match self.publishers.check(sequence.publisher, sequence.sequence) {
            Check::New => Ok(None),
            Check::Duplicate { base_offset, count } => Ok(Some((base_offset, count))),
            Check::Stale { oldest, newest } => Err(Refusal::new(
                Code::StaleSequence,
                format!(
                    "expected a sequence number above {newest}, or one of the last {} that were used, from {oldest} on, found {}; keep no more than these in flight",
                    publishers::PUBLICATIONS_MAX,
                    sequence.sequence
                ),
            )),
        }
    }

    /// Whether the journal has no room for more; the publisher is woken when it has.
    fn is_congested(&self, publisher: SessionKey, broker: &Broker) -> bool {
        let Some(stored) = self.log.stored() else { return false };
        let journal = &stored.terms().journal;
        // Of one that failed nobody waits for room.
        if journal.has_room() || journal.failure().is_some() {
            return false;
        }
        broker.commits().hold(publisher);
        // It may have had room, or failed, before it was asked to tell.
        !journal.has_room() && journal.failure().is_none()
    }
}

/// What a publication asks for beside its messages.
pub(crate) fn incoming<'a>(
    messages: &'a protocol::Messages<'a>,
    terms: PublishTerms,
) -> Incoming<'a> {
    Incoming { messages, sequence: terms.sequence, receipt: None, retain: Retain::No }
}
