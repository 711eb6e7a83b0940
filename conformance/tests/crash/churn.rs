//! Topics that come and go: one that was confirmed to be made is there, with what was
//! acknowledged in it; one that was confirmed to be deleted is not, and nothing of it comes back
//! under its name.

use crate::message::Message;
use crate::pace::Pace;
use crate::publications::{Found, Publications, Sent};
use crate::topic_log::TopicLog;
use crate::wire::{Gone, NativeWire};
use crate::worker::Worker;
use conformance::{NativeClient, Reply, Speaks};
use fastrand::Rng;
use protocol::{
    Delivery, Durability, Messages, PublishAck, PublishTerms, Request, Start, StorageClass,
    TopicOptions,
};
use std::convert::Infallible;
use std::net::SocketAddr;

/// Topics that come and go.
const NAMES: usize = 4;

/// Messages that a topic gets before it goes.
const PUBLICATIONS_MAX: usize = 20;

/// Who publishes in such topics.
const PUBLISHER: u32 = 0;

/// Makes topics, publishes to them and deletes them.
#[derive(Debug)]
pub(crate) struct Churn {
    rng: Rng,
    topics: Vec<Fleeting>,
    /// Counts topics made and connections: messages of another topic of the same name, or sent on
    /// another connection, say another number.
    run: u32,
}

#[derive(Debug)]
struct Fleeting {
    name: String,
    /// The run that it was made in.
    made: u32,
    exists: Exists,
    publications: Publications,
}

/// Whether a topic exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Exists {
    Yes,
    No,
    /// A request was not answered that makes or deletes it.
    Perhaps,
}

impl Churn {
    /// One that has made nothing yet; all its topics' names begin with `prefix`.
    pub(crate) fn new(prefix: &str, rng: Rng) -> Self {
        let topics = (0..NAMES).map(|index| Fleeting {
            name: format!("{prefix}-{index}"),
            made: 0,
            exists: Exists::No,
            publications: Publications { publisher: PUBLISHER, sent: Vec::new() },
        });
        Self { rng, topics: topics.collect(), run: 0 }
    }

    /// Checks the topics that there are, on a broker that nobody else speaks to.
    #[track_caller]
    pub(crate) fn check(&mut self, client: &mut NativeClient) {
        let names = client.topics().expect("topics");
        for topic in &mut self.topics {
            let is_there = names.contains(&topic.name);
            match topic.exists {
                Exists::Yes => assert!(is_there, "{} was made, and is missing", topic.name),
                Exists::No => assert!(!is_there, "{} was deleted, and is there", topic.name),
                Exists::Perhaps if is_there => topic.exists = Exists::Yes,
                Exists::Perhaps => topic.exists = Exists::No,
            }
            if is_there {
                let log = TopicLog::read(client, &topic.name);
                topic.publications.check(&log, &Found::new(&log));
                let subscribers = client.subscribers(&topic.name).expect("subscribers");
                assert!(
                    subscribers.iter().all(|id| *id == topic.subscriber()),
                    "{}: a subscriber of an earlier topic: {subscribers:?}",
                    topic.name
                );
            }
        }
    }

    /// Messages that were acknowledged in topics that are there.
    pub(crate) fn acknowledged_count(&self) -> u64 {
        self.topics.iter().map(|topic| topic.publications.acknowledged_count()).sum()
    }

    /// Brings one topic a step on.
    fn step(&mut self, wire: &mut NativeWire) -> Result<(), Gone> {
        let topic = &mut self.topics[self.rng.usize(..NAMES)];
        let ends = self.rng.usize(..PUBLICATIONS_MAX) < topic.publications.sent.len();
        match topic.exists {
            Exists::Yes if ends => topic.delete(wire),
            Exists::Yes if self.rng.usize(..PUBLICATIONS_MAX) == 0 => topic.subscribe(wire),
            Exists::Yes => topic.publish(wire, self.run, self.rng.u32(..200)),
            Exists::No | Exists::Perhaps => {
                self.run += 1;
                let durability = if self.rng.bool() { Durability::Sync } else { Durability::Os };
                topic.create(wire, self.run, durability)
            }
        }
    }
}

impl Fleeting {
    /// A subscriber's name, another one in each topic of this name.
    fn subscriber(&self) -> String {
        format!("of {}", self.made)
    }

    fn create(
        &mut self,
        wire: &mut NativeWire,
        run: u32,
        durability: Durability,
    ) -> Result<(), Gone> {
        self.exists = Exists::Perhaps;
        self.made = run;
        self.publications.sent.clear();
        let options = TopicOptions {
            storage: Some(StorageClass::Disk),
            durability: Some(durability),
            ..TopicOptions::default()
        };
        let topic = self.name.as_str().into();
        let reply = wire.ask(&Request::Create { topic, options })?;
        assert_eq!(reply, Reply::Done, "{} is made", self.name);
        self.exists = Exists::Yes;
        Ok(())
    }

    fn publish(&mut self, wire: &mut NativeWire, run: u32, padding_bytes: u32) -> Result<(), Gone> {
        let index = self.publications.sent.len();
        let first = index as u64;
        let sent = Sent { run, first, count: 1, padding_bytes, acknowledged: None };
        self.publications.sent.push(sent);
        let message: Message = sent.messages(PUBLISHER).next().expect("one message");
        let reply = wire.ask(&Request::Publish {
            topic: self.name.as_str().into(),
            messages: Messages::One(message.payload().into_bytes().into()),
            ack: PublishAck::Wanted,
            terms: PublishTerms::default(),
        })?;
        let Reply::Published { base_offset, count: 1 } = reply else {
            panic!("expected PUBLISHED, found {reply:?}");
        };
        self.publications.acknowledge(index, base_offset);
        Ok(())
    }

    fn subscribe(&mut self, wire: &mut NativeWire) -> Result<(), Gone> {
        let reply = wire.ask(&Request::Subscribe {
            topic: self.name.as_str().into(),
            subscriber: self.subscriber().into(),
            delivery: Delivery::Pull,
            start: Start::Latest,
            acks: None,
        })?;
        assert!(matches!(reply, Reply::Subscribed { .. }), "subscribed: {reply:?}");
        Ok(())
    }

    fn delete(&mut self, wire: &mut NativeWire) -> Result<(), Gone> {
        self.exists = Exists::Perhaps;
        let reply = wire.ask(&Request::Delete { topic: self.name.as_str().into() })?;
        assert_eq!(reply, Reply::Done, "{} is deleted", self.name);
        self.exists = Exists::No;
        Ok(())
    }
}

impl Worker for Churn {
    fn work(&mut self, address: SocketAddr, pace: &Pace) -> Result<Infallible, Gone> {
        let mut wire = NativeWire::open(address)?;
        self.run += 1;
        loop {
            self.step(&mut wire)?;
            pace.confirm();
        }
    }
}
