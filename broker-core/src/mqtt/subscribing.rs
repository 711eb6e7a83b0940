//! Subscribing and unsubscribing: the cursors that a filter has in the topics it matches.

use super::client::{Client, NewTopic, Reader, ReaderName, State};
use super::filters::{Reading, Terms, options_byte};
use super::subscribers::{Matched, Member, Place};
use crate::journal::{ClientRecord, FilterTerms, Waits};
use crate::topic::Topic;
use crate::{Broker, Wakes};
use protocol::mqtt::topics::Filter;
use protocol::mqtt::{QoS, RetainHandling};
use protocol::{Code, Durability, Refusal, Start};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// What became of a SUBSCRIBE's filter.
#[derive(Debug, Default)]
pub(crate) struct Subscription {
    pub(crate) waits: Option<Waits>,
    /// The readers of the topics that it matches, which may begin once it is answered.
    pub(crate) readers: Vec<u32>,
    /// Topics whose retained messages are to be sent, if any.
    pub(crate) retained: Vec<(Arc<Topic>, Reading)>,
}

impl Broker {
    /// Subscribes a connected client to a filter that is well formed.
    pub(crate) fn subscribe_client(
        &self,
        client: &Arc<Client>,
        state: &mut State,
        filter: &str,
        terms: Terms,
        wakes: &mut Wakes,
    ) -> Result<Subscription, Refusal> {
        let max = self.limits().mqtt_subscriptions_per_client_max;
        let is_new = state.filters.get(filter).is_none();
        if is_new && state.filters.len() >= max {
            return Err(Refusal::new(
                Code::LimitReached,
                format!(
                    "the client has {max} subscriptions; remove one, or raise mqtt_subscriptions_per_client_max"
                ),
            ));
        }
        let filter: Arc<str> = Arc::from(filter);
        let made = self.read_filter(client, state, &filter, terms, wakes);
        if made.is_err() && is_new {
            // What is refused may not be read in part either.
            self.forget_filter(client, state, &filter, wakes);
            self.read_without(client, state, &filter, wakes);
        }
        made
    }

    fn read_filter(
        &self,
        client: &Arc<Client>,
        state: &mut State,
        filter: &Arc<str>,
        terms: Terms,
        wakes: &mut Wakes,
    ) -> Result<Subscription, Refusal> {
        let before = state.filters.insert(filter, terms);
        let is_new = before.is_none();
        self.count_no_local(before, Some(terms));
        let member = Member { client: Arc::clone(client), qos: terms.options.qos };
        let place = place_of(filter);
        // Before the topics are looked at, so that one made meanwhile is not missed.
        self.mqtt().subscribers.insert(place, member);
        let mut made = Subscription::default();
        for topic in self.matching_topics(place.levels) {
            let share = place.share.cloned();
            let waits = self.read_topic(client, state, &topic, share, &mut made, wakes)?;
            made.waits = later(made.waits, waits);
            let wants_retained = match terms.options.retain_handling {
                RetainHandling::SendAtSubscribe => true,
                RetainHandling::SendIfNew => is_new,
                RetainHandling::DoNotSend => false,
            };
            if wants_retained && place.share.is_none() {
                made.retained.push((topic, Reading::from(terms)));
            }
        }
        if state.is_stored {
            let options = options_byte(terms.options);
            let identifier = terms.identifier.unwrap_or(0);
            let terms = FilterTerms { options, identifier };
            let record = ClientRecord::Subscribed { client: client.number, terms, filter };
            made.waits = later(made.waits, self.mqtt_record(record, Durability::Sync)?);
        }
        Ok(made)
    }

    /// Has a topic read, or read on the terms that hold now.
    fn read_topic(
        &self,
        client: &Arc<Client>,
        state: &mut State,
        topic: &Arc<Topic>,
        share: Option<Arc<str>>,
        made: &mut Subscription,
        wakes: &mut Wakes,
    ) -> Result<Option<Waits>, Refusal> {
        let Some(reading) = state.reading(topic.name(), share.as_ref()) else { return Ok(None) };
        let name = ReaderName { topic: Arc::clone(topic.name()), share: share.clone() };
        let known = state.readers.find(&name);
        if let Some(number) = known
            && let Some(reader) = state.readers.get_mut(number)
            && Arc::ptr_eq(&reader.topic, topic)
        {
            reader.change(reading);
            return self.reshape_reader(client, state, number);
        }
        if let Some(number) = known {
            state.readers.remove(number);
        }
        let number = state.readers.insert(Reader::new(Arc::clone(topic), share, reading));
        match self.attach_reader(client, state, number, wakes) {
            Ok(waits) => {
                made.readers.push(number);
                Ok(waits)
            }
            Err(refusal) => {
                state.readers.remove(number);
                // A topic that was deleted meanwhile is read when it is made again.
                if refusal.code == Code::UnknownTopic { Ok(None) } else { Err(refusal) }
            }
        }
    }

    /// Has a reader's subscription be of the kind that its quality of service asks for.
    fn reshape_reader(
        &self,
        client: &Client,
        state: &mut State,
        number: u32,
    ) -> Result<Option<Waits>, Refusal> {
        let Some(reader) = state.readers.get(number) else { return Ok(None) };
        let wanted = reader.wanted_unattached(client, Start::Latest);
        match reader.topic.reshape(&reader.subscription(client), wanted.leases, self) {
            Err(refusal) if refusal.code != Code::StorageFailed => Ok(None),
            other => {
                state.readers.handle_readable(number);
                other
            }
        }
    }

    /// Unsubscribes a client from a filter; `None`: it was not subscribed to it.
    pub(crate) fn unsubscribe_client(
        &self,
        client: &Arc<Client>,
        state: &mut State,
        filter: &str,
        wakes: &mut Wakes,
    ) -> Option<Result<Option<Waits>, Refusal>> {
        state.filters.get(filter)?;
        let filter: Arc<str> = Arc::from(filter);
        let mut waits = None;
        if state.is_stored {
            let record = ClientRecord::Unsubscribed { client: client.number, filter: &filter };
            match self.mqtt_record(record, Durability::Sync) {
                Ok(recorded) => waits = recorded,
                Err(refusal) => return Some(Err(refusal)),
            }
        }
        self.forget_filter(client, state, &filter, wakes);
        self.read_without(client, state, &filter, wakes);
        Some(Ok(waits))
    }

    /// Has topics read without a filter that is gone.
    fn read_without(
        &self,
        client: &Client,
        state: &mut State,
        filter: &Arc<str>,
        wakes: &mut Wakes,
    ) {
        let place = place_of(filter);
        let concerned = self.matching_topics(place.levels).into_iter().filter_map(|topic| {
            let name = ReaderName { topic: Arc::clone(topic.name()), share: place.share.cloned() };
            state.readers.find(&name)
        });
        let concerned: Vec<u32> = concerned.collect();
        for number in concerned {
            self.read_less(client, state, number, wakes);
        }
    }

    /// A filter of a reader's is gone.
    fn read_less(&self, client: &Client, state: &mut State, number: u32, wakes: &mut Wakes) {
        let Some(reader) = state.readers.get(number) else { return };
        match state.reading(reader.topic.name(), reader.share.as_ref()) {
            None => self.remove_reader(client, state, number, wakes),
            Some(reading) => {
                if let Some(reader) = state.readers.get_mut(number) {
                    reader.change(reading);
                }
                let _ = self.reshape_reader(client, state, number);
            }
        }
    }

    /// A topic is no longer read by a session.
    pub(super) fn remove_reader(
        &self,
        client: &Client,
        state: &mut State,
        number: u32,
        wakes: &mut Wakes,
    ) {
        let Some(reader) = state.readers.remove(number) else { return };
        if let Some(grip) = reader.grip {
            reader.topic.detach(grip, self, wakes);
        }
        if reader.share.is_none() {
            // It may be gone with its connection.
            let _ = reader.topic.unsubscribe(&client.subscription, self, wakes);
        }
    }

    /// Takes a filter from a client, and a shared subscription that was its last member's from all
    /// topics.
    pub(super) fn forget_filter(
        &self,
        client: &Client,
        state: &mut State,
        filter: &Arc<str>,
        wakes: &mut Wakes,
    ) {
        self.count_no_local(state.filters.remove(filter), None);
        let place = place_of(filter);
        if self.mqtt().subscribers.remove(place, client) {
            let id = super::share_subscription(filter);
            for topic in self.matching_topics(place.levels) {
                let share = place.share.cloned();
                let name = ReaderName { topic: Arc::clone(topic.name()), share };
                if let Some(number) = state.readers.find(&name) {
                    self.remove_reader(client, state, number, wakes);
                }
                // Whoever shares the subscription since has it pushed to its connection.
                topic.abandon(&id, self, wakes);
            }
        }
    }

    /// A topic was made: those whose filters match it have their cursors in it before anything is
    /// published to it.
    pub(crate) fn tell_subscribers(&self, topic: &Arc<Topic>, wakes: &mut Wakes) {
        let Matched { members, shares } = self.mqtt().subscribers.matching(topic.name());
        let mut clients: BTreeMap<u64, Member> = BTreeMap::new();
        for member in members {
            let known = clients.entry(member.client.number.0).or_insert_with(|| member.clone());
            known.qos = known.qos.max(member.qos);
        }
        for Member { client, qos } in clients.into_values() {
            self.welcome(topic, &client, None, qos, wakes);
        }
        for share in shares {
            for Member { client, qos } in share.members {
                self.welcome(topic, &client, Some(&share.filter), qos, wakes);
            }
        }
    }

    fn welcome(
        &self,
        topic: &Arc<Topic>,
        client: &Arc<Client>,
        share: Option<&Arc<str>>,
        qos: QoS,
        wakes: &mut Wakes,
    ) {
        let mut reading = Reading::nothing();
        reading.qos = qos;
        let reader = Reader::new(Arc::clone(topic), share.cloned(), reading);
        let wanted = reader.wanted_unattached(client, Start::Earliest);
        if let Err(refusal) = topic.subscribe(&reader.subscription(client), &wanted, self) {
            tracing::warn!(client = &*client.id, topic = &**topic.name(), %refusal, "not subscribed");
            return;
        }
        let new = NewTopic { topic: Arc::downgrade(topic), share: share.cloned() };
        if !client.tell_new_topic(new, wakes) && share.is_none() {
            // The session ended while the topic was made.
            topic.abandon(&client.subscription, self, wakes);
        }
    }

    /// Has the topics read that were made since.
    pub(crate) fn take_new_topics(
        &self,
        client: &Arc<Client>,
        state: &mut State,
        wakes: &mut Wakes,
    ) {
        for NewTopic { topic, share } in client.take_new_topics() {
            let Some(topic) = topic.upgrade() else { continue };
            let is_private = share.is_none();
            let mut made = Subscription::default();
            let read = self.read_topic(client, state, &topic, share, &mut made, wakes);
            if let Err(refusal) = read {
                tracing::warn!(client = &*client.id, topic = &**topic.name(), %refusal, "not read");
            }
            if is_private && state.reading(topic.name(), None).is_none() {
                // It unsubscribed in the meantime.
                let _ = topic.unsubscribe(&client.subscription, self, wakes);
            }
            for number in made.readers {
                if let Some(reader) = state.readers.get_mut(number) {
                    reader.has_begun = true;
                }
                state.readers.handle_readable(number);
            }
        }
    }

    /// Whether anyone asks not to be given what it published itself.
    pub(crate) fn any_no_local(&self) -> bool {
        self.mqtt().no_local.load(Ordering::Relaxed) > 0
    }

    fn count_no_local(&self, before: Option<Terms>, after: Option<Terms>) {
        let no_local = |terms: Option<Terms>| terms.is_some_and(|terms| terms.options.no_local);
        match (no_local(before), no_local(after)) {
            (false, true) => self.mqtt().no_local.fetch_add(1, Ordering::Relaxed),
            (true, false) => self.mqtt().no_local.fetch_sub(1, Ordering::Relaxed),
            _ => 0,
        };
    }

    /// Puts a client's filter back that was found in the journal.
    pub(super) fn restore_filter(
        &self,
        client: &Arc<Client>,
        state: &mut State,
        filter: &str,
        terms: Terms,
    ) {
        let filter: Arc<str> = Arc::from(filter);
        self.count_no_local(state.filters.insert(&filter, terms), Some(terms));
        let member = Member { client: Arc::clone(client), qos: terms.options.qos };
        self.mqtt().subscribers.insert(place_of(&filter), member);
    }
}

impl State {
    /// The terms on which a topic is read; `None`: no filter matches it.
    pub(super) fn reading(&self, topic: &str, share: Option<&Arc<str>>) -> Option<Reading> {
        match share {
            None => self.filters.reading(topic),
            Some(filter) => self.filters.get(filter).map(Reading::from),
        }
    }
}

/// Where a filter is among all.
pub(super) fn place_of(filter: &Arc<str>) -> Place<'_> {
    match Filter::parse(filter) {
        Ok(Filter { share: Some(_), levels }) => Place { levels, share: Some(filter) },
        _ => Place { levels: filter, share: None },
    }
}

/// Whichever is over later.
pub(crate) fn later(one: Option<Waits>, other: Option<Waits>) -> Option<Waits> {
    match (one, other) {
        (Some(one), Some(other)) => Some(if one.position < other.position { other } else { one }),
        (one, other) => one.or(other),
    }
}
