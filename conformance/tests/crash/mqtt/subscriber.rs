//! Subscribers that speak MQTT: they know across connections which messages of quality of service
//! 2 they have and the broker has not released, and acknowledge when they please.

use super::audience::Audience;
use super::wire::MqttWire;
use crate::message::Message;
use crate::pace::Pace;
use crate::wire::Gone;
use crate::worker::Worker;
use conformance::WAIT_MAX;
use conformance::mqtt::{
    Connect, Packet, Property, Publish, Received, Version, puback, pubcomp, pubrec, subscribe,
};
use fastrand::Rng;
use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How long it waits for more before it acknowledges what it has, at most.
const SILENCE_MS_MAX: u64 = 3;

/// A connection is dropped after so many packets, on average.
const PACKETS_MEAN: u32 = 400;

/// How long a subscriber with nothing to acknowledge listens before it looks up.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// So many PINGREQs are answered with nothing before them when nothing more comes: the answer to
/// the first may overtake what a connection begins with.
const SILENT_PINGS: u32 = 2;

/// One filter of a subscriber's, and who gets its messages. Subscribers of 3.1.1, which are not
/// told by which filter a message comes, have filters of one audience only.
#[derive(Clone, Debug)]
pub(crate) struct Subscription {
    pub(crate) filter: String,
    pub(crate) audience: Arc<Audience>,
}

/// Receives messages, through the lives of any number of brokers.
#[derive(Debug)]
pub(crate) struct MqttSubscriber {
    name: String,
    connect: Connect,
    subscriptions: Vec<Subscription>,
    clock: Arc<AtomicU64>,
    rng: Rng,
    has_session: bool,
    /// How many of its SUBSCRIBEs were acknowledged.
    subscribed: usize,
    /// What was received at quality of service 2 and is not released, by packet identifier.
    received: HashMap<u16, Publish>,
    /// Acknowledgements that it has not sent yet on this connection.
    unsent: VecDeque<Packet>,
}

impl MqttSubscriber {
    /// One that has not subscribed yet.
    pub(crate) fn new(
        (prefix, name): (&str, &str),
        version: Version,
        subscriptions: Vec<Subscription>,
        clock: &Arc<AtomicU64>,
        mut rng: Rng,
    ) -> Self {
        let mut connect = Connect::persistent(version, &format!("{prefix}-{name}")).keep_alive(0);
        if version == Version::V5 {
            connect = connect.property(Property::ReceiveMaximum(rng.u16(1..40)));
        }
        Self {
            name: name.to_owned(),
            connect,
            subscriptions,
            clock: Arc::clone(clock),
            rng,
            has_session: false,
            subscribed: 0,
            received: HashMap::new(),
            unsent: VecDeque::new(),
        }
    }

    pub(crate) fn connect(&self) -> &Connect {
        &self.connect
    }

    /// Has it be known to have subscribed, on a broker that stays.
    #[track_caller]
    pub(crate) fn be_subscribed(&mut self, address: SocketAddr) {
        let mut subscribe = || {
            let mut wire = self.open(address)?;
            while self.subscribed < self.subscriptions.len() {
                let received = wire.read()?;
                self.take(&mut wire, &received)?;
            }
            Ok::<_, Gone>(())
        };
        subscribe().expect("the broker stays");
    }

    /// Has all come that has to, on a broker that stays, and acknowledges all.
    #[track_caller]
    pub(crate) fn finish(&mut self, address: SocketAddr) {
        let mut finish = || {
            let mut wire = self.open(address)?;
            let mut silent = 0;
            while silent < SILENT_PINGS {
                self.wait(&mut wire)?;
                let came = wire.ping()?;
                silent = if came.is_empty() { silent + 1 } else { 0 };
                for received in came {
                    self.take(&mut wire, &received)?;
                }
                self.send_all(&mut wire)?;
            }
            Ok::<_, Gone>(())
        };
        finish().expect("the broker stays");
    }

    fn wait(&mut self, wire: &mut MqttWire) -> Result<(), Gone> {
        let mut deadline = Instant::now() + WAIT_MAX;
        while self.is_waiting() {
            match wire.read_within(LOOK_EVERY)? {
                Some(received) => {
                    deadline = Instant::now() + WAIT_MAX;
                    self.take(wire, &received)?;
                }
                None => assert!(Instant::now() < deadline, "expected {}", self.waited_for()),
            }
            self.send_all(wire)?;
        }
        Ok(())
    }

    /// Checks that nothing comes any more.
    #[track_caller]
    pub(crate) fn expect_nothing(&mut self, address: SocketAddr) {
        let mut listen = || {
            let mut wire = self.open(address)?;
            let mut left = wire.ping()?;
            left.extend(wire.read_within(LOOK_EVERY)?);
            Ok::<_, Gone>(left)
        };
        let left = listen().expect("the broker stays");
        assert!(left.is_empty(), "{}: all was acknowledged, found {left:?}", self.name);
    }

    fn is_waiting(&self) -> bool {
        let mut all = self.subscriptions.iter();
        !self.received.is_empty() || !all.all(|one| one.audience.is_complete())
    }

    fn waited_for(&self) -> String {
        let missing = self.subscriptions.iter().map(|one| one.audience.missing());
        let (missing, unreleased) = (missing.collect::<Vec<_>>().join(", "), &self.received);
        format!("{}: {missing}; PUBREL of {:?}", self.name, unreleased.keys())
    }

    /// Connects, and subscribes where that was not acknowledged before.
    fn open(&mut self, address: SocketAddr) -> Result<MqttWire, Gone> {
        self.unsent.clear();
        let (mut wire, connack) = MqttWire::open(address, &self.connect)?;
        let present = connack.session_present;
        assert!(present || !self.has_session, "{}: no session: {connack:?}", self.name);
        self.has_session = true;
        for index in self.subscribed..self.subscriptions.len() {
            self.subscribe(&mut wire, index)?;
        }
        Ok(wire)
    }

    fn subscribe(&self, wire: &mut MqttWire, index: usize) -> Result<(), Gone> {
        let Subscription { filter, audience } = &self.subscriptions[index];
        let number = u16::try_from(index + 1).expect("few subscriptions");
        let identifier = [Property::SubscriptionId(number.into())];
        let properties = if wire.version() == Version::V5 { &identifier[..] } else { &[] };
        let filters = [(filter.as_str(), audience.qos())];
        wire.send(&subscribe(wire.version(), number, &filters, properties))
    }

    /// Takes a packet. Gives whether it brought something new.
    #[track_caller]
    fn take(&mut self, wire: &mut MqttWire, received: &Received) -> Result<bool, Gone> {
        let version = wire.version();
        match received.name() {
            "PUBLISH" => Ok(self.take_publish(received.publish(version))),
            "PUBREL" => {
                let release = received.ack(0x62, version);
                self.received.remove(&release.id);
                self.unsent.push_back(pubcomp(release.id));
                Ok(false)
            }
            "SUBACK" => {
                let answer = received.suback(version);
                assert_eq!(usize::from(answer.id), self.subscribed + 1, "in order: {answer:?}");
                let Subscription { audience, .. } = &self.subscriptions[self.subscribed];
                assert_eq!(answer.codes, [audience.qos()], "{}: granted", self.name);
                self.subscribed += 1;
                let mut left = self.subscriptions[self.subscribed..].iter();
                // It stands once all of its filters do.
                if !left.any(|left| Arc::ptr_eq(&left.audience, audience)) {
                    audience.note_subscribed(self.clock.fetch_add(1, Ordering::Relaxed));
                }
                Ok(false)
            }
            other => panic!("{}: {other} was not expected", self.name),
        }
    }

    #[track_caller]
    fn take_publish(&mut self, publish: Publish) -> bool {
        match publish.qos {
            0 => panic!("{}: nothing is published at QoS 0: {publish:?}", self.name),
            1 => {
                self.unsent.push_back(puback(publish.id));
                self.note(&publish)
            }
            _ => {
                self.unsent.push_back(pubrec(publish.id));
                if let Some(before) = self.received.get(&publish.id) {
                    let is_same = publish.payload == before.payload || before.retain;
                    assert!(
                        publish.dup && is_same,
                        "{}: {publish:?} under the identifier of {before:?}",
                        self.name
                    );
                    return false;
                }
                let is_new = self.note(&publish);
                self.received.insert(publish.id, publish);
                is_new
            }
        }
    }

    #[track_caller]
    fn note(&self, publish: &Publish) -> bool {
        let message = Message::of(&publish.payload);
        let message = message.unwrap_or_else(|| panic!("{}: whose is {publish:?}", self.name));
        if publish.retain {
            // What the topic retained when it was subscribed to comes besides.
            return false;
        }
        let audience = self.audience(publish);
        audience.note(&publish.topic.as_str().into(), message)
    }

    /// Whom a message is for.
    #[track_caller]
    fn audience(&self, publish: &Publish) -> &Audience {
        let ids = publish.subscription_ids();
        let by_id = |id: &u32| &self.subscriptions[*id as usize - 1].audience;
        let is_told = self.connect.version() == Version::V5;
        let audience = match ids.first() {
            Some(id) => by_id(id),
            None if is_told => panic!("{}: no subscription identifier: {publish:?}", self.name),
            None => &self.subscriptions[0].audience,
        };
        let is_one = ids.iter().all(|id| Arc::ptr_eq(by_id(id), audience));
        assert!(is_one, "{}: of two subscriptions: {publish:?}", self.name);
        audience
    }

    fn send_all(&mut self, wire: &mut MqttWire) -> Result<(), Gone> {
        self.send_some(self.unsent.len(), wire)
    }

    fn send_some(&mut self, count: usize, wire: &mut MqttWire) -> Result<(), Gone> {
        self.unsent.drain(..count).try_for_each(|packet| wire.send(&packet))
    }
}

impl Worker for MqttSubscriber {
    fn work(&mut self, address: SocketAddr, pace: &Pace) -> Result<Infallible, Gone> {
        loop {
            let mut wire = self.open(address)?;
            while self.rng.u32(..PACKETS_MEAN) > 0 {
                let received = match self.unsent.is_empty() {
                    true => Some(wire.read()?),
                    false => {
                        let silence_ms = self.rng.u64(1..=SILENCE_MS_MAX);
                        wire.read_within(Duration::from_millis(silence_ms))?
                    }
                };
                let Some(received) = received else {
                    self.send_all(&mut wire)?;
                    continue;
                };
                if self.take(&mut wire, &received)? {
                    pace.confirm();
                }
                if self.rng.u32(..3) == 0 {
                    let count = self.rng.usize(..=self.unsent.len());
                    self.send_some(count, &mut wire)?;
                }
            }
        }
    }
}
