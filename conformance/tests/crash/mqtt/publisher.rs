//! Publishers that speak MQTT: what was not acknowledged is sent again, under the same packet
//! identifier.

use super::wire::MqttWire;
use crate::message::Message;
use crate::pace::Pace;
use crate::wire::Gone;
use crate::worker::Worker;
use conformance::mqtt::{Connect, Packet, Publish, Received, Version, pubrel};
use fastrand::Rng;
use std::collections::{BTreeSet, VecDeque};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Publications under way at once, at most.
const IN_FLIGHT_MAX: usize = 16;

/// Topics that a publisher publishes to, at most.
const TOPICS_MAX: usize = 12;

/// A connection is dropped after so many packets, on average.
const PACKETS_MEAN: u32 = 300;

/// Where a publisher publishes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Aim {
    /// To topics that others publish to as well, of which there are more and more.
    Shared,
    /// To one of its own, where each message is retained.
    Retained,
}

/// Publishes at one quality of service, through the lives of any number of brokers.
#[derive(Debug)]
pub(crate) struct MqttPublisher {
    id: u32,
    connect: Connect,
    qos: u8,
    aim: Aim,
    /// What the names of its topics begin with.
    prefix: String,
    clock: Arc<AtomicU64>,
    rng: Rng,
    topics: usize,
    has_session: bool,
    publications: Vec<Publication>,
    in_flight: VecDeque<InFlight>,
    in_flight_max: usize,
}

/// What it published.
#[derive(Debug)]
pub(crate) struct Publication {
    pub(crate) topic: Arc<str>,
    pub(crate) message: Message,
    /// When it was first sent.
    pub(crate) sent_at: u64,
    pub(crate) is_acknowledged: bool,
}

/// A publication that is not acknowledged to the end.
#[derive(Clone, Copy, Debug)]
struct InFlight {
    packet_id: u16,
    index: usize,
    /// PUBREC came: PUBREL is sent, and nothing of the message any more.
    is_released: bool,
}

impl MqttPublisher {
    /// One that has not published yet; `id` is its own.
    pub(crate) fn new(
        id: u32,
        (version, qos, aim): (Version, u8, Aim),
        prefix: &str,
        clock: &Arc<AtomicU64>,
        mut rng: Rng,
    ) -> Self {
        Self {
            id,
            connect: Connect::persistent(version, &format!("{prefix}-publisher-{id}"))
                .keep_alive(0),
            qos,
            aim,
            prefix: prefix.to_owned(),
            clock: Arc::clone(clock),
            topics: 4,
            has_session: false,
            publications: Vec::new(),
            in_flight: VecDeque::new(),
            in_flight_max: rng.usize(1..=IN_FLIGHT_MAX),
            rng,
        }
    }

    pub(crate) fn id(&self) -> u32 {
        self.id
    }

    pub(crate) fn qos(&self) -> u8 {
        self.qos
    }

    pub(crate) fn connect(&self) -> &Connect {
        &self.connect
    }

    /// All that it published, by their numbers.
    pub(crate) fn publications(&self) -> &[Publication] {
        &self.publications
    }

    /// The topic that retains its messages.
    pub(crate) fn retained_topic(&self) -> Option<String> {
        (self.aim == Aim::Retained).then(|| format!("{}/r/{}", self.prefix, self.id))
    }

    /// Brings what is under way to its end, on a broker that stays, with one more message to each
    /// of `topics`.
    #[track_caller]
    pub(crate) fn finish(&mut self, address: SocketAddr, topics: &BTreeSet<Arc<str>>) {
        let mut finish = || {
            let mut wire = self.open(address)?;
            for topic in topics {
                let packet = self.publish_to(Arc::clone(topic), wire.version());
                wire.send(&packet)?;
            }
            while !self.in_flight.is_empty() {
                let received = wire.read()?;
                self.take(&mut wire, &received)?;
            }
            wire.ping()
        };
        let left = finish().expect("the broker stays");
        assert!(left.is_empty(), "expected nothing more, found {left:?}");
    }

    /// Connects, and sends what is under way again (MQTT 5.0 §4.4).
    fn open(&mut self, address: SocketAddr) -> Result<MqttWire, Gone> {
        let (mut wire, connack) = MqttWire::open(address, &self.connect)?;
        let present = connack.session_present;
        assert!(present || !self.has_session, "publisher {}: no session: {connack:?}", self.id);
        self.has_session = true;
        for in_flight in self.in_flight.clone() {
            let packet = match in_flight.is_released {
                true => pubrel(in_flight.packet_id),
                false => {
                    let dup = true;
                    let publish = Publish { dup, ..self.publish(in_flight) };
                    publish.packet(wire.version())
                }
            };
            wire.send(&packet)?;
        }
        Ok(wire)
    }

    fn publish(&self, in_flight: InFlight) -> Publish {
        let Publication { topic, message, .. } = &self.publications[in_flight.index];
        let publish = Publish::new(topic, message.payload()).qos(self.qos).id(in_flight.packet_id);
        Publish { retain: self.aim == Aim::Retained, ..publish }
    }

    /// The PUBLISH of its next message.
    fn publish_to(&mut self, topic: Arc<str>, version: Version) -> Packet {
        let number = self.publications.len() as u64;
        let padding_bytes = match self.rng.u32(..100) {
            0..5 => self.rng.u32(1000..4000),
            _ => self.rng.u32(..60),
        };
        let (publisher, run, first, count) = (self.id, 0, number, 1);
        let message = Message { publisher, run, number, first, count, padding_bytes };
        let sent_at = self.clock.fetch_add(1, Ordering::Relaxed);
        let index = self.publications.len();
        let publication = Publication { topic, message, sent_at, is_acknowledged: false };
        self.publications.push(publication);
        // The lowest that is free, so that identifiers are soon used again.
        let is_free = |id: &u16| self.in_flight.iter().all(|found| found.packet_id != *id);
        let packet_id = (1..).find(is_free).expect("few are in use");
        let in_flight = InFlight { packet_id, index, is_released: false };
        self.in_flight.push_back(in_flight);
        self.publish(in_flight).packet(version)
    }

    fn next_topic(&mut self) -> Arc<str> {
        if let Some(topic) = self.retained_topic() {
            return topic.into();
        }
        if self.topics < TOPICS_MAX && self.rng.u32(..40) == 0 {
            self.topics += 1;
        }
        let branch = if self.rng.bool() { "a" } else { "b" };
        format!("{}/{branch}/{}", self.prefix, self.rng.usize(..self.topics)).into()
    }

    /// Takes what the broker says. Gives whether a publication was acknowledged.
    fn take(&mut self, wire: &mut MqttWire, received: &Received) -> Result<bool, Gone> {
        let name = received.name();
        let ack = match name {
            "PUBACK" | "PUBREC" | "PUBCOMP" => received.ack(received.first, wire.version()),
            _ => panic!("publisher {}: expected an acknowledgement, found {received:?}", self.id),
        };
        assert!(name == "PUBCOMP" || ack.code < 0x80, "publisher {}: refused: {ack:?}", self.id);
        let found = self.in_flight.iter().position(|found| found.packet_id == ack.id);
        let at = found.unwrap_or_else(|| panic!("{} acknowledges nothing: {ack:?}", self.id));
        let in_flight = &mut self.in_flight[at];
        let is_expected = match name {
            "PUBACK" => self.qos == 1,
            "PUBREC" => self.qos == 2,
            _ => in_flight.is_released,
        };
        assert!(is_expected, "publisher {}: {name} of {in_flight:?}", self.id);
        let publication = &mut self.publications[in_flight.index];
        let is_first = !std::mem::replace(&mut publication.is_acknowledged, true);
        if name == "PUBREC" {
            in_flight.is_released = true;
            wire.send(&pubrel(ack.id))?;
        } else {
            self.in_flight.remove(at);
        }
        Ok(is_first)
    }
}

impl Worker for MqttPublisher {
    fn work(&mut self, address: SocketAddr, pace: &Pace) -> Result<Infallible, Gone> {
        loop {
            let mut wire = self.open(address)?;
            while self.rng.u32(..PACKETS_MEAN) > 0 {
                while self.in_flight.len() < self.in_flight_max {
                    let topic = self.next_topic();
                    let packet = self.publish_to(topic, wire.version());
                    wire.send(&packet)?;
                }
                let received = wire.read()?;
                if self.take(&mut wire, &received)? {
                    pace.confirm();
                }
            }
        }
    }
}
