//! Publishers and subscribers of one era, through several lives of a broker; then they are checked
//! to the end, and their sessions and topics go.

use super::audience::Audience;
use super::churn::MqttChurn;
use super::publisher::{Aim, MqttPublisher};
use super::subscriber::{MqttSubscriber, Subscription};
use crate::message::Message;
use crate::worker::{Worker, work_together};
use conformance::mqtt::{MqttClient, Version};
use conformance::{BrokerProcess, NativeClient, Speaks, wait_until};
use fastrand::Rng;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::thread;

/// Which publisher has the last word in all topics: one of quality of service 2, whose messages
/// come last.
const LAST: usize = 3;

/// What an era did, added up.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct MqttTally {
    /// Publications that were acknowledged.
    published: u64,
    /// Different messages that each subscription was given.
    received: u64,
}

/// Publishers and subscribers.
#[derive(Debug)]
pub(crate) struct MqttEra {
    prefix: String,
    publishers: Vec<MqttPublisher>,
    subscribers: Vec<MqttSubscriber>,
    churns: Vec<MqttChurn>,
    audiences: Vec<Arc<Audience>>,
    rng: Rng,
}

impl MqttEra {
    /// All who will work in an era.
    pub(crate) fn new(number: u64, mut rng: Rng) -> Self {
        let clock = Arc::default();
        let mut era = Self {
            prefix: format!("m{number}"),
            publishers: Vec::new(),
            subscribers: Vec::new(),
            churns: Vec::new(),
            audiences: Vec::new(),
            rng: rng.fork(),
        };
        era.add_publishers(&clock, &mut rng);
        era.add_subscribers(&clock, &mut rng);
        for version in [Version::V311, Version::V5] {
            era.churns.push(MqttChurn::new(version, &era.prefix, rng.fork()));
        }
        era
    }

    fn add_publishers(&mut self, clock: &Arc<AtomicU64>, rng: &mut Rng) {
        let kinds = [
            (Version::V5, 1, Aim::Shared),
            (Version::V311, 1, Aim::Shared),
            (Version::V5, 2, Aim::Shared),
            (Version::V311, 2, Aim::Shared),
            (Version::V5, 1, Aim::Retained),
            (Version::V311, 2, Aim::Retained),
        ];
        let publishers = (1..)
            .zip(kinds)
            .map(|(id, kind)| MqttPublisher::new(id, kind, &self.prefix, clock, rng.fork()));
        self.publishers.extend(publishers);
    }

    fn add_subscribers(&mut self, clock: &Arc<AtomicU64>, rng: &mut Rng) {
        let exact = self.add_audience("exact", &["a/0", "b/1", "b/2"], 2, false);
        let wild = self.add_audience("wild", &["#"], 2, false);
        let overlapping = self.add_audience("overlapping", &["a/+", "+/0", "a/#"], 2, false);
        let once = self.add_audience("once", &["+/+"], 1, false);
        let branch = self.add_audience("branch", &["b/#"], 1, false);
        let shared = self.add_audience("shared", &["a/#"], 2, true);
        let both = self.add_audience("both", &["a/1"], 2, false);
        let shared_once = self.add_audience("shared-once", &["#"], 1, true);
        let of_both: Vec<_> = both.iter().chain(&shared).cloned().collect();
        let subscribers = [
            ("exact", Version::V5, exact),
            ("wild", Version::V311, wild),
            ("overlapping", Version::V5, overlapping),
            ("once", Version::V5, once),
            ("branch", Version::V311, branch),
            ("shared-1", Version::V5, shared.clone()),
            ("shared-2", Version::V311, shared),
            ("shared-3", Version::V5, of_both),
            ("shared-once-1", Version::V5, shared_once.clone()),
            ("shared-once-2", Version::V311, shared_once),
        ];
        for (name, version, subscriptions) in subscribers {
            let names = (&*self.prefix, name);
            let subscriber = MqttSubscriber::new(names, version, subscriptions, clock, rng.fork());
            self.subscribers.push(subscriber);
        }
    }

    /// An audience of filters below the era's prefix. Gives its subscriptions.
    fn add_audience(
        &mut self,
        name: &str,
        filters: &[&str],
        qos: u8,
        is_shared: bool,
    ) -> Vec<Subscription> {
        let filters: Vec<_> = filters.iter().map(|end| format!("{}/{end}", self.prefix)).collect();
        let audience = Arc::new(Audience::new(name, &filters, qos, is_shared));
        self.audiences.push(Arc::clone(&audience));
        let share = if is_shared { format!("$share/{name}/") } else { String::new() };
        let subscriptions = filters.iter().map(|filter| Subscription {
            filter: format!("{share}{filter}"),
            audience: Arc::clone(&audience),
        });
        subscriptions.collect()
    }

    /// Has most of them work until they had `confirmations`; then `end` ends the broker, and they
    /// notice.
    #[track_caller]
    pub(crate) fn work(
        &mut self,
        broker: &mut BrokerProcess,
        confirmations: u64,
        end: impl FnOnce(&mut BrokerProcess),
    ) {
        let rng = &mut self.rng;
        let publishers = self.publishers.iter_mut().map(|worker| worker as &mut dyn Worker);
        let subscribers = self.subscribers.iter_mut().map(|worker| worker as &mut dyn Worker);
        // Without any publisher, nothing would ever be confirmed.
        let busy = rng.usize(..publishers.len());
        let churns = self.churns.iter_mut().map(|worker| worker as &mut dyn Worker);
        let workers = publishers.chain(subscribers).chain(churns).enumerate();
        let chosen = workers.filter(|(index, _)| *index == busy || rng.u32(..4) > 0);
        let mut chosen: Vec<_> = chosen.map(|(_, worker)| worker).collect();
        rng.shuffle(&mut chosen);
        work_together(chosen, broker, confirmations, end);
    }

    /// Checks what the topics retain, on a broker that nobody else speaks to.
    #[track_caller]
    pub(crate) fn check_retained(&self, broker: &BrokerProcess) {
        let mut expected = HashMap::new();
        for publisher in &self.publishers {
            let Some(topic) = publisher.retained_topic() else { continue };
            let mut all = publisher.publications().iter().rev();
            if let Some(last) = all.find(|one| one.is_acknowledged) {
                expected.insert(topic, last.message.number);
            }
        }
        let mut client = MqttClient::connect(broker, Version::V5, "retained");
        assert_eq!(client.subscribe(&format!("{}/r/+", self.prefix), 1), 1, "granted");
        while !expected.is_empty() {
            let publish = client.receive();
            let message = Message::of(&publish.payload).expect("a message of this test");
            assert!(publish.retain, "it was retained: {publish:?}");
            if let Some(last) = expected.remove(&publish.topic) {
                assert!(message.number >= last, "{last} was acknowledged: {publish:?}");
            }
        }
        client.disconnect();
    }

    /// Brings all to its end, and checks what came; then that it is so after a crash, and that
    /// nothing is left after a stop in order. `restart` ends a broker and starts the next.
    #[track_caller]
    pub(crate) fn finish(
        &mut self,
        mut broker: BrokerProcess,
        mut restart: impl FnMut(BrokerProcess, Restart) -> BrokerProcess,
    ) -> (BrokerProcess, MqttTally) {
        let nothing = BTreeSet::new();
        for publisher in &mut self.publishers {
            publisher.finish(broker.address(), &nothing);
        }
        for subscriber in &mut self.subscribers {
            subscriber.be_subscribed(broker.address());
        }
        for how in [Restart::Killed, Restart::Stopped] {
            self.drain(&broker);
            broker = restart(broker, how);
            self.check_retained(&broker);
        }
        for subscriber in &mut self.subscribers {
            subscriber.expect_nothing(broker.address());
        }
        for audience in &self.audiences {
            audience.check(&self.publishers);
            audience.check_order(&self.publishers);
        }
        let topics = self.topics();
        for churn in &mut self.churns {
            let last = &mut self.publishers[LAST];
            churn.check(broker.address(), &topics, || last.finish(broker.address(), &topics));
        }
        self.forget(&broker);
        let publications = self.publishers.iter().flat_map(MqttPublisher::publications);
        let tally = MqttTally {
            published: publications.filter(|one| one.is_acknowledged).count() as u64,
            received: self.audiences.iter().map(|audience| audience.count()).sum(),
        };
        (broker, tally)
    }

    /// Has all come to all: up to a last message in each topic, behind which there is nothing.
    #[track_caller]
    fn drain(&mut self, broker: &BrokerProcess) {
        let address = broker.address();
        let topics = self.topics();
        self.publishers[LAST].finish(address, &topics);
        for audience in &self.audiences {
            audience.expect(&self.publishers);
        }
        thread::scope(|scope| {
            for subscriber in &mut self.subscribers {
                scope.spawn(move || subscriber.finish(address));
            }
        });
    }

    /// All topics that anything was published to.
    fn topics(&self) -> BTreeSet<Arc<str>> {
        let publications = self.publishers.iter().flat_map(MqttPublisher::publications);
        publications.map(|publication| Arc::clone(&publication.topic)).collect()
    }

    /// Ends the sessions, which leaves nothing of them in any topic, and deletes the topics.
    #[track_caller]
    fn forget(&self, broker: &BrokerProcess) {
        let publishers = self.publishers.iter().map(MqttPublisher::connect);
        let subscribers = self.subscribers.iter().map(MqttSubscriber::connect);
        let churns = self.churns.iter().map(MqttChurn::connect);
        for connect in publishers.chain(subscribers).chain(churns) {
            let clean = connect.clone().clean();
            let clean = match clean.version() {
                Version::V5 => clean.expiry(0),
                _ => clean,
            };
            MqttClient::connect_as(broker, &clean).disconnect();
        }
        let mut client = NativeClient::connect(broker);
        for topic in client.topics().expect("topics") {
            wait_until("a topic without subscribers", || {
                client.subscribers(&topic).expect("subscribers").is_empty()
            });
            client.delete(&topic).expect("deleted");
        }
    }
}

/// How a broker makes way for the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Restart {
    Killed,
    Stopped,
}

impl std::ops::AddAssign for MqttTally {
    fn add_assign(&mut self, other: Self) {
        self.published += other.published;
        self.received += other.received;
    }
}
