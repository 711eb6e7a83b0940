//! The topics of one era and all who work with them, through several lives of a broker; then they
//! are checked to the end, and deleted.

use crate::churn::Churn;
use crate::consumers::{Dialect, PullingConsumer, PushedConsumer};
use crate::cursor_reader::{CursorReader, Retains};
use crate::follower::Follower;
use crate::group::{GROUP, Group};
use crate::publications::Found;
use crate::publisher::{Publisher, Sizes, Style};
use crate::topic_log::{Shown, TopicLog};
use crate::worker::{Worker, work_together};
use conformance::{BrokerProcess, NativeClient, Speaks};
use fastrand::Rng;
use protocol::{Durability, Retention, StorageClass, TopicOptions};
use std::sync::Arc;

/// Messages that the topic keeps whose older ones go.
const NEWEST_MAX: u64 = 400;

/// What an era did, added up.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    /// Messages that were acknowledged.
    pub(crate) published: u64,
    /// Different messages that subscribers were shown.
    pub(crate) shown: u64,
    /// Messages that were settled for certain.
    pub(crate) settled: u64,
}

/// One topic, and what is known of it.
#[derive(Debug)]
struct Topic {
    name: Arc<str>,
    options: TopicOptions,
    shown: Arc<Shown>,
    group: Option<Arc<Group>>,
}

/// Topics and workers.
pub(crate) struct Era {
    topics: Vec<Topic>,
    publishers: Vec<Publisher>,
    churn: Churn,
    readers: Vec<Box<dyn Worker>>,
    rng: Rng,
    /// Lives of a broker that ended in this era without being asked to.
    crashes: u64,
}

impl Era {
    /// Makes the topics of an era on a broker, and all who will work with them.
    #[track_caller]
    pub(crate) fn begin(number: u64, broker: &BrokerProcess, mut rng: Rng) -> Self {
        let churn = Churn::new(&format!("churn-{number}"), rng.fork());
        let mut era = Self {
            topics: Vec::new(),
            publishers: Vec::new(),
            churn,
            readers: Vec::new(),
            rng: rng.fork(),
            crashes: 0,
        };
        for durability in [Durability::Sync, Durability::Os] {
            let options = TopicOptions {
                storage: Some(StorageClass::Disk),
                durability: Some(durability),
                ..TopicOptions::default()
            };
            era.add_lasting(&format!("{}-{number}", durability.name()), options, &mut rng);
        }
        era.add_newest(&format!("newest-{number}"), &mut rng);
        let mut client = NativeClient::connect(broker);
        for topic in &era.topics {
            client.create_as(&topic.name, topic.options).expect("created");
        }
        era
    }

    /// A topic that keeps all, with every kind of publisher and subscriber.
    fn add_lasting(&mut self, name: &str, options: TopicOptions, rng: &mut Rng) {
        let (name, shown) = (Arc::from(name), Arc::<Shown>::default());
        let group = Arc::new(Group::new(&name, &shown));
        for style in Style::ALL {
            self.add_publisher(&name, style, Sizes::Mixed, rng);
        }
        let follower = Follower::new(&name, &shown, rng.fork());
        let reader = CursorReader::new(&name, &shown, Retains::All, rng.fork());
        let json = PullingConsumer::new(&group, Dialect::Json, rng.fork());
        let native = PullingConsumer::new(&group, Dialect::Native, rng.fork());
        let pushed = PushedConsumer::new(&group, rng.fork());
        let readers: [Box<dyn Worker>; 5] = [
            Box::new(follower),
            Box::new(reader),
            Box::new(json),
            Box::new(native),
            Box::new(pushed),
        ];
        self.readers.extend(readers);
        self.topics.push(Topic { name, options, shown, group: Some(group) });
    }

    /// A topic that keeps the newest only: what it had before leaves segments mostly dead.
    fn add_newest(&mut self, name: &str, rng: &mut Rng) {
        let (name, shown) = (Arc::from(name), Arc::<Shown>::default());
        let retention = Retention { messages_max: Some(NEWEST_MAX), ..Retention::default() };
        let options = TopicOptions {
            storage: Some(StorageClass::Disk),
            durability: Some(Durability::Os),
            retention,
        };
        self.add_publisher(&name, Style::Batches, Sizes::Bulky, rng);
        self.add_publisher(&name, Style::Idempotent, Sizes::Bulky, rng);
        let reader = CursorReader::new(&name, &shown, Retains::Newest, rng.fork());
        self.readers.push(Box::new(reader));
        self.topics.push(Topic { name, options, shown, group: None });
    }

    fn add_publisher(&mut self, topic: &Arc<str>, style: Style, sizes: Sizes, rng: &mut Rng) {
        let id = u32::try_from(self.publishers.len()).expect("few publishers") + 1;
        self.publishers.push(Publisher::new(topic, style, sizes, id, rng.fork()));
    }

    /// Has most of the workers work until they had `confirmations`; then `end` ends the broker,
    /// and they notice.
    #[track_caller]
    pub(crate) fn work(
        &mut self,
        broker: &mut BrokerProcess,
        confirmations: u64,
        end: impl FnOnce(&mut BrokerProcess),
    ) {
        let rng = &mut self.rng;
        let publishers = self.publishers.iter_mut().map(|worker| worker as &mut dyn Worker);
        let readers = self.readers.iter_mut().map(|worker| &mut **worker as &mut dyn Worker);
        let churn: &mut dyn Worker = &mut self.churn;
        let workers = std::iter::once(churn).chain(publishers).chain(readers);
        let mut chosen: Vec<_> = workers.filter(|_| rng.u32(..4) > 0).collect();
        rng.shuffle(&mut chosen);
        work_together(chosen, broker, confirmations, end);
    }

    /// The broker's end was a crash.
    pub(crate) fn note_crash(&mut self) {
        self.crashes += 1;
    }

    /// Checks, on a broker that nobody else speaks to, which topics there are, and all of one of
    /// them.
    #[track_caller]
    pub(crate) fn check_some(&mut self, broker: &BrokerProcess) {
        let mut client = NativeClient::connect(broker);
        self.churn.check(&mut client);
        self.check_names(&mut client);
        let index = self.rng.usize(..self.topics.len());
        self.check_topic(&self.topics[index], &mut client);
    }

    /// Checks all topics, on a broker that nobody else speaks to. Gives what they hold.
    #[track_caller]
    pub(crate) fn check_all(&mut self, broker: &BrokerProcess) -> Vec<TopicLog> {
        let mut client = NativeClient::connect(broker);
        self.churn.check(&mut client);
        self.check_names(&mut client);
        self.topics.iter().map(|topic| self.check_topic(topic, &mut client)).collect()
    }

    /// Has the groups' messages come that are not settled, and checks that all of them do.
    #[track_caller]
    pub(crate) fn drain_groups(&self, broker: &BrokerProcess, logs: &[TopicLog]) {
        let mut client = NativeClient::connect(broker);
        for (topic, log) in self.topics.iter().zip(logs) {
            let Some(group) = &topic.group else { continue };
            group.drain(&mut client, log);
            group.check_dead_letters(&mut client, log, self.crashes);
        }
    }

    /// Checks that nothing comes to groups that were drained.
    #[track_caller]
    pub(crate) fn check_drained(&self, broker: &BrokerProcess) {
        let mut client = NativeClient::connect(broker);
        for topic in self.topics.iter().filter(|topic| topic.group.is_some()) {
            let leased = client.lease(&topic.name, GROUP, None).expect("leased");
            assert!(leased.offsets.is_empty(), "{} was settled: {:?}", topic.name, leased.offsets);
        }
    }

    /// Deletes the topics of this era. Gives what it did.
    #[track_caller]
    pub(crate) fn finish(self, broker: &BrokerProcess) -> Tally {
        let mut client = NativeClient::connect(broker);
        for name in client.topics().expect("topics") {
            client.delete(&name).expect("deleted");
        }
        let published = self.publishers.iter().map(|p| p.publications().acknowledged_count());
        let groups = self.topics.iter().filter_map(|topic| topic.group.as_ref());
        Tally {
            published: published.sum::<u64>() + self.churn.acknowledged_count(),
            shown: self.topics.iter().map(|topic| topic.shown.count()).sum(),
            settled: groups.map(|group| group.confirmed_count()).sum(),
        }
    }

    #[track_caller]
    fn check_names(&self, client: &mut NativeClient) {
        let names = client.topics().expect("topics");
        for topic in &self.topics {
            assert!(
                names.iter().any(|name| **name == *topic.name),
                "{} is missing: {names:?}",
                topic.name
            );
        }
        let strange = names.iter().find(|name| name.starts_with("recovered-"));
        assert_eq!(strange, None, "a topic that nobody made");
    }

    #[track_caller]
    fn check_topic(&self, topic: &Topic, client: &mut NativeClient) -> TopicLog {
        let log = TopicLog::read(client, &topic.name);
        let found = Found::new(&log);
        let publishers = || self.publishers.iter().filter(|p| *p.topic() == *topic.name);
        for publisher in publishers() {
            publisher.publications().check(&log, &found);
        }
        let known = |id| publishers().any(|publisher| publisher.publications().publisher == id);
        let stranger = found.publishers().find(|id| !known(*id));
        assert_eq!(stranger, None, "a publisher of {} that is none of it", topic.name);
        if topic.options.retention.messages_max.is_some() {
            let expected = NEWEST_MAX.min(log.next_offset());
            assert_eq!(log.messages.len() as u64, expected, "messages that {} keeps", topic.name);
        } else {
            assert_eq!(log.first_offset, 0, "{} keeps all", topic.name);
        }
        topic.shown.check(&log);
        log
    }
}

impl std::ops::AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.published += other.published;
        self.shown += other.shown;
        self.settled += other.settled;
    }
}
