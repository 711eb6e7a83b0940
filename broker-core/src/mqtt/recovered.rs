//! Sessions on their way into the journal's snapshot, and back out of it.

use super::client::{
    CLIENT_PREFIX, Client, EXPIRY_NEVER_S, Reader, ReaderName, SHARE_PREFIX, State,
};
use super::filters::{Terms, options_byte, options_of};
use super::subscribing::place_of;
use super::window::{Source, Stage};
use crate::journal::{
    ClientNumber, ClientRecord, Delivery, FilterTerms, Receipt, Record, SnapshotSink, TopicId,
};
use crate::topic::Topic;
use crate::{Broker, Now, Wakes};
use protocol::mqtt::{PacketId, QoS};
use protocol::{Code, Start};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

/// The offset that stands for a topic's retained message.
pub(crate) const RETAINED_OFFSET: u64 = u64::MAX;

/// All sessions as the journal's records make them.
#[derive(Debug, Default)]
pub(crate) struct RecoveredClients {
    clients: BTreeMap<ClientNumber, RecoveredClient>,
}

#[derive(Debug, Default)]
struct RecoveredClient {
    id: String,
    expiry_s: u32,
    left_unix_ms: Option<u64>,
    filters: BTreeMap<String, FilterTerms>,
    /// By packet identifier.
    sent: BTreeMap<u16, Sent>,
    /// Counts what was sent, so that the order is known. Of quality of service 1 no record tells
    /// that a message is confirmed, so there may be one for each packet identifier.
    turns: u64,
    received: BTreeSet<u16>,
    /// Records before this position are in its snapshot.
    as_of: u64,
}

#[derive(Debug)]
struct Sent {
    turn: u64,
    delivery: Delivery,
    /// The filter of the shared subscription that gave it.
    share: Option<Arc<str>>,
    /// The record that settles it is there for certain.
    is_settled: bool,
    is_released: bool,
}

impl RecoveredClients {
    /// Applies a record; `None` is the position of one in the snapshot.
    pub(crate) fn apply(&mut self, position: Option<u64>, record: ClientRecord<'_>) {
        let number = record.client();
        if let ClientRecord::Ended { .. } = record {
            if self.concerns(number, position) {
                self.clients.remove(&number);
            }
            return;
        }
        if let ClientRecord::Begun { id, .. } = &record {
            let client = self.clients.entry(number).or_default();
            if client.id != **id {
                *client = RecoveredClient { id: (*id).to_owned(), ..Default::default() };
            }
        }
        if self.concerns(number, position)
            && let Some(client) = self.clients.get_mut(&number)
        {
            client.apply(position.is_none(), record);
        }
    }

    /// A publication of quality of service 2 was received.
    pub(crate) fn receive(&mut self, position: u64, receipt: Receipt) {
        if self.concerns(receipt.client, Some(position))
            && let Some(client) = self.clients.get_mut(&receipt.client)
        {
            client.received.insert(receipt.packet_id);
        }
    }

    fn concerns(&self, number: ClientNumber, position: Option<u64>) -> bool {
        let as_of = self.clients.get(&number).map_or(0, |client| client.as_of);
        position.is_none_or(|position| position >= as_of)
    }

    /// Puts the sessions into the broker whose topics were restored before.
    pub(crate) fn restore(self, broker: &Broker, topics: &BTreeMap<TopicId, Arc<Topic>>, now: Now) {
        let mut kept = HashSet::new();
        self.clients.keys().for_each(|number| broker.mqtt().clients.reserve(*number));
        for (number, found) in self.clients.into_iter().filter(|(_, found)| found.expiry_s > 0) {
            found.restore(number, broker, topics, &mut kept, now);
        }
        for topic in topics.values() {
            for id in topic.subscribers(broker).unwrap_or_default() {
                let is_ours = id.starts_with(CLIENT_PREFIX) || id.starts_with(SHARE_PREFIX);
                if is_ours && !kept.contains(&(Arc::clone(topic.name()), Arc::clone(&id))) {
                    // Its session is over, or was without end only until the crash.
                    let _ = topic.unsubscribe(&id, broker, &mut Wakes::new());
                }
            }
        }
    }
}

/// Subscriptions that sessions have, by topic and name.
type Kept = HashSet<(Arc<str>, Arc<str>)>;

impl RecoveredClient {
    fn apply(&mut self, is_snapshot: bool, record: ClientRecord<'_>) {
        match record {
            ClientRecord::Begun { expiry_s, .. } => {
                self.expiry_s = expiry_s;
                self.left_unix_ms = None;
            }
            ClientRecord::Left { unix_ms, .. } => self.left_unix_ms = Some(unix_ms),
            ClientRecord::Ended { .. } => unreachable!("it is applied before"),
            ClientRecord::Subscribed { terms, filter, .. } => {
                self.filters.insert(filter.to_owned(), terms);
            }
            ClientRecord::Unsubscribed { filter, .. } => {
                self.filters.remove(filter);
            }
            ClientRecord::Sent { packet_id, delivery, share, .. } => {
                self.turns += 1;
                let share = Some(share).filter(|share| !share.is_empty()).map(Arc::from);
                let (turn, is_settled) = (self.turns, is_snapshot);
                let sent = Sent { turn, delivery, share, is_settled, is_released: false };
                self.sent.insert(packet_id, sent);
            }
            ClientRecord::Released { packet_id, .. } => {
                if let Some(sent) = self.sent.get_mut(&packet_id) {
                    sent.is_released = true;
                }
            }
            ClientRecord::Completed { packet_id, .. } => {
                self.sent.remove(&packet_id);
            }
            ClientRecord::Forgotten { packet_id, .. } => {
                self.received.remove(&packet_id);
            }
            ClientRecord::State { as_of, received, .. } => {
                self.as_of = as_of;
                self.received.extend(received);
            }
        }
    }

    fn restore(
        self,
        number: ClientNumber,
        broker: &Broker,
        topics: &BTreeMap<TopicId, Arc<Topic>>,
        kept: &mut Kept,
        now: Now,
    ) {
        let client = Arc::new(Client::new(number, &self.id));
        client.set_persistent(true);
        broker.mqtt().clients.restore(&client);
        let mut state = client.lock();
        (state.exists, state.is_stored) = (true, true);
        state.expiry_s = self.expiry_s;
        state.received = self.received;
        for (filter, terms) in &self.filters {
            let identifier = Some(terms.identifier).filter(|identifier| *identifier > 0);
            let terms = Terms { options: options_of(terms.options), identifier };
            broker.restore_filter(&client, &mut state, filter, terms);
        }
        let filters: Vec<_> = state.filters.iter().map(|(filter, _)| Arc::clone(filter)).collect();
        for filter in &filters {
            let place = place_of(filter);
            for topic in broker.matching_topics(place.levels) {
                restore_reader(broker, &client, &mut state, &topic, place.share.cloned(), kept);
            }
        }
        restore_window(&client, &mut state, self.sent, topics);
        if self.expiry_s != EXPIRY_NEVER_S {
            let left_ms = self.left_unix_ms.unwrap_or(broker.unix_ms(now));
            let gone_ms = broker.unix_ms(now).saturating_sub(left_ms);
            let expiry_ms = u64::from(self.expiry_s) * 1000;
            let at = now.plus_ms(expiry_ms.saturating_sub(gone_ms));
            (state.expires_at, state.looked_at) = (Some(at), Some(at));
            broker.mqtt().clients.look_at(&client, at);
        }
    }
}

fn restore_reader(
    broker: &Broker,
    client: &Arc<Client>,
    state: &mut State,
    topic: &Arc<Topic>,
    share: Option<Arc<str>>,
    kept: &mut Kept,
) {
    let Some(reading) = state.reading(topic.name(), share.as_ref()) else { return };
    let mut reader = Reader::new(Arc::clone(topic), share, reading);
    let id = reader.subscription(client);
    if !kept.insert((Arc::clone(topic.name()), Arc::clone(&id))) && reader.share.is_none() {
        return;
    }
    // A topic whose making was the last thing before a crash has no cursor of the session's yet.
    let wanted = reader.wanted_unattached(client, Start::Earliest);
    if let Err(refusal) = topic.subscribe(&id, &wanted, broker) {
        tracing::debug!(client = &*client.id, topic = &**topic.name(), %refusal, "not as it was");
        // It was asked for before, or is to be when the client comes.
        reader.is_leased |= refusal.code == Code::SubscriptionMismatch;
    }
    state.readers.insert(reader);
}

fn restore_window(
    client: &Client,
    state: &mut State,
    sent: BTreeMap<u16, Sent>,
    topics: &BTreeMap<TopicId, Arc<Topic>>,
) {
    let mut sent: Vec<_> = sent.into_iter().collect();
    sent.sort_unstable_by_key(|(_, sent)| sent.turn);
    for (packet_id, Sent { delivery, share, is_settled, is_released, .. }) in sent {
        let Some(packet_id) = PacketId::new(packet_id) else { continue };
        let source = match topics.get(&delivery.topic) {
            None => Source::Gone,
            Some(topic) if delivery.offset == RETAINED_OFFSET => match topic.retained() {
                None => Source::Gone,
                Some(message) => {
                    Source::Retained { topic: Arc::clone(topic), record: message.record }
                }
            },
            Some(topic) if delivery.qos < QoS::ExactlyOnce.number() => {
                let name = ReaderName { topic: Arc::clone(topic.name()), share };
                let Some(number) = state.readers.find(&name) else { continue };
                let Some(reader) = state.readers.get(number) else { continue };
                if !topic.note_sent(&reader.subscription(client), delivery.offset) {
                    continue;
                }
                let reader = number;
                Source::Log { topic: Arc::clone(topic), reader, offset: delivery.offset }
            }
            Some(topic) => {
                let name = ReaderName { topic: Arc::clone(topic.name()), share };
                let found = state.readers.find(&name);
                if let Some(reader) = found.and_then(|number| state.readers.get(number))
                    && !is_settled
                {
                    topic.settle_sent(&reader.subscription(client), delivery.offset);
                }
                let reader = found.unwrap_or(u32::MAX);
                Source::Log { topic: Arc::clone(topic), reader, offset: delivery.offset }
            }
        };
        let stage = match delivery.qos {
            _ if is_released => Stage::Released,
            2 if matches!(source, Source::Gone) => Stage::Released,
            2 => Stage::PublishedOnce,
            _ if matches!(source, Source::Log { .. }) => Stage::Published,
            _ => continue,
        };
        state.window.restore(packet_id, source, stage);
    }
}

impl Broker {
    /// Tells `sink` of all that the journal has to know of sessions.
    pub(crate) fn snapshot_clients(&self, sink: &mut SnapshotSink<'_>) {
        let Some(journal) = self.journal() else { return };
        for client in self.mqtt().clients.all() {
            let state = client.lock();
            if state.is_stored && !state.is_over {
                snapshot(self, &client, &state, journal.end(), sink);
            }
        }
    }
}

fn snapshot(
    broker: &Broker,
    client: &Client,
    state: &State,
    as_of: u64,
    sink: &mut SnapshotSink<'_>,
) {
    let number = client.number;
    let mut put = |record: ClientRecord<'_>| sink.put(&Record::Client(record));
    put(ClientRecord::Begun { client: number, expiry_s: state.expiry_s, id: &client.id });
    let received = state.received.iter().copied().collect();
    put(ClientRecord::State { client: number, as_of, received });
    if let Some(expires) = state.expires_at {
        let expiry_ms = u64::from(state.expiry_s) * 1000;
        let unix_ms = broker.unix_ms(expires).saturating_sub(expiry_ms);
        put(ClientRecord::Left { client: number, unix_ms });
    }
    for (filter, terms) in state.filters.iter() {
        let options = options_byte(terms.options);
        let terms = FilterTerms { options, identifier: terms.identifier.unwrap_or(0) };
        put(ClientRecord::Subscribed { client: number, terms, filter });
    }
    for packet_id in state.window.in_order() {
        let Some(in_flight) = state.window.get(packet_id) else { continue };
        let topic_id = |topic: &Topic| topic.stored_id().unwrap_or(TopicId(u64::MAX));
        let qos = if in_flight.stage == Stage::Published { 1 } else { 2 };
        let share = match &in_flight.source {
            Source::Log { reader, .. } => state.readers.share(*reader),
            Source::Retained { .. } | Source::Gone => "",
        };
        let delivery = match &in_flight.source {
            Source::Log { topic, offset, .. } => {
                Delivery { topic: topic_id(topic), offset: *offset, qos }
            }
            Source::Retained { topic, .. } => {
                Delivery { topic: topic_id(topic), offset: RETAINED_OFFSET, qos }
            }
            Source::Gone => Delivery { topic: TopicId(u64::MAX), offset: 0, qos },
        };
        let packet_id = packet_id.get();
        put(ClientRecord::Sent { client: number, packet_id, delivery, share });
        if in_flight.stage == Stage::Released {
            put(ClientRecord::Released { client: number, packet_id });
        }
    }
}
