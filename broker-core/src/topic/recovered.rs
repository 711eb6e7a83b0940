//! A topic's durable state on its way into the journal's snapshot, and back out of it.

use super::Topic;
use super::state::{Bounds, State};
use super::subscriptions::{Group, StoredSubscription, Subscription};
use crate::Broker;
use crate::journal::{LeaseTerms, Record, SnapshotSink, TopicId, TopicTerms};
use crate::leases::{Leases, Offsets, Run};
use crate::log::{Log, RecoveredLog, StoredTerms};
use crate::publishers::{Publication, Publishers};
use bytes::Bytes;
use protocol::PublisherId;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// Runs in one record of a snapshot.
const RUNS_PER_RECORD_MAX: usize = 1024;

/// A topic as the journal's records make it.
#[derive(Debug)]
pub(crate) struct RecoveredTopic {
    pub(crate) terms: TopicTerms,
    pub(crate) log: RecoveredLog,
    pub(crate) subscriptions: BTreeMap<u64, RecoveredSubscription>,
    pub(crate) next_subscription: u64,
    pub(crate) publishers: Publishers,
    pub(crate) retained: Option<Bytes>,
}

/// A subscription as the journal's records make it.
#[derive(Debug)]
pub(crate) struct RecoveredSubscription {
    pub(crate) name: String,
    pub(crate) next_offset: u64,
    pub(crate) group: Option<RecoveredGroup>,
}

/// What a group had settled, and how often it was given the rest.
#[derive(Debug)]
pub(crate) struct RecoveredGroup {
    pub(crate) terms: LeaseTerms,
    pub(crate) leases: Leases,
}

impl RecoveredGroup {
    pub(crate) fn new(terms: LeaseTerms, floor: u64) -> Self {
        Self { terms, leases: Leases::new(floor) }
    }

    pub(crate) fn settle(&mut self, first: u64, count: u32) {
        let offsets = Offsets::counted(first, u64::from(count));
        self.leases.restore_settled(offsets, self.terms.deliveries_max);
    }

    pub(crate) fn deliver(&mut self, first: u64, count: u32, deliveries: u32) {
        let offsets = Offsets::counted(first, u64::from(count));
        self.leases.restore_delivered(Run { offsets, deliveries }, self.terms.deliveries_max);
    }
}

impl Topic {
    /// A topic in the journal, as it was found there; a new one where nothing was.
    pub(crate) fn in_journal(
        name: Arc<str>,
        terms: StoredTerms,
        found: RecoveredTopic,
        broker: &Broker,
    ) -> Self {
        let bounds = Bounds::new(found.terms);
        let log = Log::in_journal(terms, found.log);
        let mut state = State::new(bounds, log, found.publishers);
        if let Some(record) = found.retained {
            broker.tally().retained_moved(1, record.len() as i64);
            state.retained = Some(record);
        }
        state.subscriptions.number_from(found.next_subscription);
        broker.tally().subscriptions_moved(found.subscriptions.len() as i64);
        for (number, subscription) in found.subscriptions {
            state.restore(number, subscription);
        }
        Self { name, state: Mutex::new(state) }
    }

    /// Whether any of its subscriptions has messages that come back by themselves.
    pub(crate) fn has_groups(&self) -> bool {
        let state = self.lock();
        state
            .subscriptions
            .iter()
            .any(|found| found.group.as_ref().is_some_and(|group| group.terms.expires()))
    }

    /// Tells `sink` of all that the journal has to know of the topic. A topic in memory has
    /// nothing to tell.
    pub(crate) fn snapshot(&self, sink: &mut SnapshotSink<'_>) {
        let state = self.lock();
        if state.deleted {
            return;
        }
        let Some(stored) = state.log.stored() else { return };
        let (topic, journal) = (stored.terms().topic, &stored.terms().journal);
        let terms = state.bounds.terms(stored.terms().durability);
        sink.put(&Record::TopicCreated { topic, terms, name: &self.name });
        sink.put(&Record::TopicState {
            topic,
            as_of: journal.end(),
            first_offset: state.log.first_offset(),
            next_offset: state.log.next_offset(),
            next_subscription: state.subscriptions.next_number(),
            newest_unix_ms: stored.newest_unix_ms(),
        });
        let runs: Vec<_> = stored.runs().iter().copied().collect();
        for runs in runs.chunks(RUNS_PER_RECORD_MAX) {
            sink.put(&Record::Runs { topic, runs: runs.to_vec() });
        }
        for (publisher, publications) in by_publisher(&state.publishers) {
            sink.put(&Record::Publisher { topic, publisher, publications });
        }
        if let Some(record) = &state.retained {
            sink.put(&Record::Retained { topic, record });
        }
        for subscription in state.subscriptions.iter() {
            subscription.snapshot(topic, sink);
        }
    }
}

impl State {
    fn restore(&mut self, number: u64, found: RecoveredSubscription) {
        let next = self.log.next_offset();
        let group = found.group.map(|RecoveredGroup { terms, leases }| Group { leases, terms });
        let offset = match &group {
            None => found.next_offset.min(next),
            Some(group) => group.leases.next().min(next),
        };
        let cursor = self.log.seek(offset);
        let stored = StoredSubscription { number, waits: None, saved: offset };
        self.subscriptions.insert(&found.name, Some(stored), cursor, group.map(Box::new));
        self.subscriptions.number_from(number + 1);
    }
}

impl Subscription {
    fn snapshot(&self, topic: TopicId, sink: &mut SnapshotSink<'_>) {
        let Some(StoredSubscription { number: subscription, .. }) = self.stored else { return };
        let next_offset = match &self.group {
            None => self.committed,
            Some(group) => group.leases.floor(),
        };
        let leases = self.group.as_ref().map(|group| group.terms.clone());
        sink.put(&Record::Subscribed { topic, subscription, next_offset, leases, name: &self.id });
        let Some(group) = &self.group else { return };
        let ranges = group.settled_ranges();
        sink.put(&Record::Settled { topic, subscription, ranges });
        for Run { offsets, deliveries } in group.leases.delivered() {
            let (first, count) = (offsets.first, narrow(offsets));
            sink.put(&Record::Delivered { topic, subscription, first, count, deliveries });
        }
    }
}

impl Group {
    /// What is settled behind the oldest message that is not, as the journal tells it.
    pub(super) fn settled_ranges(&self) -> Vec<(u64, u32)> {
        self.leases.settled().map(|run| (run.first, narrow(run))).collect()
    }
}

fn narrow(offsets: Offsets) -> u32 {
    u32::try_from(offsets.count()).unwrap_or(u32::MAX)
}

impl RecoveredTopic {
    /// A topic that nothing is in yet.
    pub(crate) fn new(terms: TopicTerms, publishers_max: usize) -> Self {
        Self {
            terms,
            log: RecoveredLog::default(),
            subscriptions: BTreeMap::new(),
            next_subscription: 0,
            publishers: Publishers::new(publishers_max),
            retained: None,
        }
    }
}

/// What is remembered of each publisher, in the order of their last publications.
fn by_publisher(publishers: &Publishers) -> Vec<(PublisherId, Vec<Publication>)> {
    let mut all: Vec<(PublisherId, Vec<Publication>)> = Vec::new();
    for (publisher, publication) in publishers.iter() {
        match all.last_mut() {
            Some((last, publications)) if *last == publisher => publications.push(publication),
            _ => all.push((publisher, vec![publication])),
        }
    }
    all
}
