//! Recovery: what the journal's records, in order, make of nothing.

use super::{Journal, Part, Place, Publication, Record, RecordError, TopicId};
use crate::log::{RunBounds, run_at};
use crate::mqtt::RecoveredClients;
use crate::topic::{RecoveredGroup, RecoveredSubscription, RecoveredTopic};
use crate::{Broker, Identity, Limits, Now, Settings, publishers};
use bytes::Bytes;
use protocol::{Durability, PublisherSequence};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Messages that the journal should hold and does not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// The topic's name.
    pub topic: String,
    /// Offset of the first.
    pub first_offset: u64,
    /// Offset after the last.
    pub end_offset: u64,
}

/// What recovery found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecoveryReport {
    /// Topics.
    pub topics: u64,
    /// Messages that they hold.
    pub messages: u64,
    /// Messages that are missing where the journal was damaged.
    pub missing: Vec<Missing>,
    /// Topics whose creation was lost with a damaged place. They have names of the form
    /// `recovered-N` now, and default terms.
    pub nameless: Vec<String>,
}

/// Applies records until there are no more, then gives the broker that they make.
#[derive(Debug)]
pub struct Recovery {
    topics: BTreeMap<TopicId, Topic>,
    clients: RecoveredClients,
    next_topic: u64,
    limits: Limits,
}

#[derive(Debug)]
struct Topic {
    /// `None`: no record told of its creation.
    name: Option<String>,
    /// Records before this position are in its snapshot.
    as_of: u64,
    /// A publication's records, until the last one comes.
    partial: Vec<(Place, PartialRecord)>,
    missing: Vec<(u64, u64)>,
    state: RecoveredTopic,
}

/// What of a publication's record has to be known when its last one comes.
#[derive(Clone, Copy, Debug)]
struct PartialRecord {
    base_offset: u64,
    unix_ms: u64,
    count: u32,
    records_bytes: usize,
}

impl Topic {
    fn nameless(publishers_max: usize) -> Self {
        let terms = super::TopicTerms {
            durability: Durability::Sync,
            bytes_max: u64::MAX,
            messages_max: u64::MAX,
            age_ms_max: u64::MAX,
        };
        Self {
            name: None,
            as_of: 0,
            partial: Vec::new(),
            missing: Vec::new(),
            state: RecoveredTopic::new(terms, publishers_max),
        }
    }
}

impl Recovery {
    /// Nothing recovered yet, of a broker with these limits.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            topics: BTreeMap::new(),
            clients: RecoveredClients::default(),
            next_topic: 0,
            limits,
        }
    }

    /// Applies a record of the snapshot.
    ///
    /// # Errors
    /// Where the record is none that a broker writes.
    pub fn apply_snapshot(&mut self, kind: u8, body: &[u8]) -> Result<(), RecordError> {
        self.apply_record(None, Record::decode(kind, body)?);
        Ok(())
    }

    /// Applies the record that lies at `place` of the journal.
    ///
    /// # Errors
    /// Where the record is none that a broker writes.
    pub fn apply(&mut self, place: Place, kind: u8, body: &[u8]) -> Result<(), RecordError> {
        self.apply_record(Some(place), Record::decode(kind, body)?);
        Ok(())
    }

    fn apply_record(&mut self, place: Option<Place>, record: Record<'_>) {
        let id = match record {
            Record::BrokerState { next_topic } => {
                self.next_topic = self.next_topic.max(next_topic);
                return;
            }
            Record::Client(record) => {
                self.clients.apply(place.map(|place| place.position), record);
                return;
            }
            _ => record.topic().expect("all others are of topics"),
        };
        if let Record::Messages(Publication { receipt: Some(receipt), part: Part::Last, .. }) =
            record
            && let Some(place) = place
        {
            self.clients.receive(place.position, receipt);
        }
        self.next_topic = self.next_topic.max(id.0 + 1);
        if let Record::TopicDeleted { .. } = record {
            self.topics.remove(&id);
            return;
        }
        let publishers_max = self.limits.publishers_per_topic_max;
        let topic = self.topics.entry(id).or_insert_with(|| Topic::nameless(publishers_max));
        if place.is_none_or(|place| place.position >= topic.as_of) {
            topic.apply(place, record);
        }
    }

    /// The broker that the records made, over `journal`, which all of them came from.
    ///
    /// The records of topics without a name are kept as topics `recovered-N`.
    pub fn finish(
        self,
        identity: Identity,
        settings: Settings,
        journal: Arc<dyn Journal>,
        now: Now,
    ) -> (Broker, RecoveryReport) {
        let broker = Broker::stored(identity, self.limits, settings, journal, self.next_topic);
        let mut report = RecoveryReport::default();
        let mut restored = BTreeMap::new();
        for (id, mut topic) in self.topics {
            topic.give_up_partial();
            let nameless = topic.name.is_none();
            let name = topic.name.unwrap_or_else(|| format!("recovered-{}", id.0));
            if nameless {
                report.nameless.push(name.clone());
            }
            let log = &topic.state.log;
            report.topics += 1;
            report.messages += log.next_offset - log.first_offset;
            let missing = topic.missing.into_iter().map(|(first_offset, end_offset)| Missing {
                topic: name.clone(),
                first_offset,
                end_offset,
            });
            report.missing.extend(missing.filter(|gap| gap.end_offset > log.first_offset));
            restored.insert(id, broker.restore(id, &name, topic.state, now));
        }
        self.clients.restore(&broker, &restored, now);
        (broker, report)
    }
}

impl Topic {
    fn apply(&mut self, place: Option<Place>, record: Record<'_>) {
        match record {
            Record::TopicCreated { terms, name, .. } => {
                self.name = Some(name.to_owned());
                self.state.terms = terms;
            }
            Record::Messages(publication) => {
                let place = place.expect("only the journal holds messages");
                self.publish(place, &publication);
            }
            Record::Moved(publication) => {
                let place = place.expect("only the journal holds messages");
                self.move_run(place, &publication);
            }
            Record::TopicState {
                as_of,
                first_offset,
                next_offset,
                next_subscription,
                newest_unix_ms,
                ..
            } => {
                self.as_of = as_of;
                let log = &mut self.state.log;
                (log.first_offset, log.next_offset) = (first_offset, next_offset);
                log.newest_unix_ms = newest_unix_ms;
                self.state.next_subscription = next_subscription;
            }
            Record::Runs { runs, .. } => {
                self.state.log.runs.extend(runs);
                // What lies behind them before the snapshot is not known.
                self.state.log.is_closed = true;
            }
            Record::Publisher { publisher, publications, .. } => {
                let state = &mut self.state;
                publications
                    .into_iter()
                    .for_each(|publication| state.publishers.note(publisher, publication));
            }
            Record::Retained { record, .. } => {
                let record = Some(record).filter(|record| !record.is_empty());
                self.state.retained = record.map(Bytes::copy_from_slice);
            }
            other => self.subscribe(other),
        }
    }

    /// What concerns a subscription.
    fn subscribe(&mut self, record: Record<'_>) {
        let subscriptions = &mut self.state.subscriptions;
        match record {
            Record::Subscribed { subscription, next_offset, leases, name, .. } => {
                let group = leases.map(|terms| RecoveredGroup::new(terms, next_offset));
                let found = RecoveredSubscription { name: name.to_owned(), next_offset, group };
                subscriptions.insert(subscription, found);
                self.state.next_subscription = self.state.next_subscription.max(subscription + 1);
            }
            Record::Unsubscribed { subscription, .. } => {
                subscriptions.remove(&subscription);
            }
            Record::Cursor { subscription, next_offset, .. } => {
                if let Some(found) = subscriptions.get_mut(&subscription) {
                    found.next_offset = next_offset;
                    if let Some(group) = &mut found.group {
                        group.leases.seek(next_offset);
                    }
                }
            }
            Record::Settled { subscription, ranges, .. } => {
                let found = subscriptions.get_mut(&subscription);
                if let Some(group) = found.and_then(|found| found.group.as_mut()) {
                    ranges.into_iter().for_each(|(first, count)| group.settle(first, count));
                }
            }
            Record::Delivered { subscription, first, count, deliveries, .. } => {
                let found = subscriptions.get_mut(&subscription);
                if let Some(group) = found.and_then(|found| found.group.as_mut()) {
                    group.deliver(first, count, deliveries);
                }
            }
            _ => unreachable!("the others are applied before"),
        }
    }

    /// Takes a publication in once its last record is there.
    fn publish(&mut self, place: Place, publication: &Publication<'_>) {
        let follows = self.partial.last().is_some_and(|(_, last)| {
            last.base_offset + u64::from(last.count) == publication.base_offset
        });
        if !follows {
            self.give_up_partial();
        }
        let record = PartialRecord {
            base_offset: publication.base_offset,
            unix_ms: publication.unix_ms,
            count: publication.count,
            records_bytes: publication.records.len(),
        };
        self.partial.push((place, record));
        if publication.part == Part::More {
            return;
        }
        let parts = std::mem::take(&mut self.partial);
        let base_offset = parts[0].1.base_offset;
        let bounds = RunBounds::of(&self.state.terms);
        let log = &mut self.state.log;
        if base_offset < log.next_offset {
            return;
        }
        if base_offset > log.next_offset {
            self.missing.push((log.next_offset, base_offset));
        }
        for (place, part) in parts {
            let publication = Publication {
                base_offset: part.base_offset,
                unix_ms: part.unix_ms,
                count: part.count,
                ..*publication
            };
            log.add(&publication, part.records_bytes, place, bounds);
        }
        log.next_offset = publication.end_offset();
        log.newest_unix_ms = publication.unix_ms;
        if let Some(PublisherSequence { publisher, sequence }) = publication.sequence {
            let count = (publication.end_offset() - base_offset) as u32;
            let remembered = publishers::Publication { sequence, base_offset, count };
            self.state.publishers.note(publisher, remembered);
        }
    }

    /// A publication was cut off by the end of a broker, and never acknowledged.
    fn give_up_partial(&mut self) {
        self.state.log.is_closed |= !self.partial.is_empty();
        self.partial.clear();
    }

    /// Messages lie elsewhere from now on.
    fn move_run(&mut self, place: Place, publication: &Publication<'_>) {
        let records_bytes = publication.records.len() as u32;
        self.state.log.replace(run_at(publication, records_bytes, place));
    }
}
