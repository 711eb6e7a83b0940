//! What a client keeps over its connections, and how it goes on.

use super::link::Link;
use protocol::mqtt::{
    Ack, ConnAck, Connect, Packet, PacketId, Properties, Property, Publish, QoS, ReasonCode,
    Subscribe, SubscribeFilters, SubscribeOptions, Version,
};
use std::collections::{BTreeMap, VecDeque};

/// The only topic.
pub(super) const TOPIC: &str = "t";

/// Publications under way at once.
const IN_FLIGHT_MAX: usize = 3;

const EXPIRY_S: u32 = 3600;

/// A client of either kind.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) kind: Kind,
    id: &'static str,
    /// CONNACK came, on some connection.
    has_session: bool,
    /// CONNACK came, on this one.
    pub(super) is_connected: bool,
}

#[derive(Debug)]
pub(super) enum Kind {
    Publisher(Publisher),
    Subscriber(Subscriber),
}

/// Publishes numbers, retained, at quality of service 2.
#[derive(Debug, Default)]
pub(super) struct Publisher {
    /// How many it is to publish.
    count: u32,
    next: u32,
    in_flight: VecDeque<InFlight>,
}

#[derive(Clone, Copy, Debug)]
struct InFlight {
    packet_id: PacketId,
    number: u32,
    is_released: bool,
}

/// Receives them.
#[derive(Debug, Default)]
pub(super) struct Subscriber {
    pub(super) is_subscribed: bool,
    /// The numbers that came, in order.
    pub(super) came: Vec<u32>,
    /// What was received and is not released.
    received: BTreeMap<PacketId, u32>,
    /// What it has yet to say on this connection.
    unsent: VecDeque<(Answer, PacketId)>,
}

#[derive(Clone, Copy, Debug)]
enum Answer {
    Received,
    Completed,
}

impl Client {
    pub(super) fn new(id: &'static str, kind: Kind) -> Self {
        Self { kind, id, has_session: false, is_connected: false }
    }

    /// A new connection was made.
    pub(super) fn connect(&mut self, link: &mut Link) {
        self.is_connected = false;
        let mut properties = Vec::new();
        Property::SessionExpiryIntervalS(EXPIRY_S).encode(&mut properties);
        link.send(&Packet::Connect(Connect {
            version: Version::V5,
            clean_start: false,
            keep_alive_s: 0,
            client_id: self.id,
            will: None,
            user_name: None,
            password: None,
            properties: Properties::trusted(&properties),
        }));
    }

    /// Does the next thing of its own accord.
    pub(super) fn act(&mut self, link: &mut Link) {
        match &mut self.kind {
            _ if !self.is_connected => {}
            Kind::Publisher(publisher) => publisher.publish(link),
            Kind::Subscriber(subscriber) => subscriber.answer(link),
        }
    }

    /// Whether there is nothing that it would do or wait for.
    pub(super) fn is_done(&self) -> bool {
        match &self.kind {
            Kind::Publisher(publisher) => {
                publisher.next == publisher.count && publisher.in_flight.is_empty()
            }
            Kind::Subscriber(subscriber) => {
                subscriber.is_subscribed
                    && subscriber.received.is_empty()
                    && subscriber.unsent.is_empty()
            }
        }
    }

    /// Takes a packet; gives what it says to it at once.
    pub(super) fn take(&mut self, packet: Packet<'_>, link: &mut Vec<Reply>) {
        match (packet, &mut self.kind) {
            (Packet::ConnAck(ack), _) => self.take_connack(ack, link),
            (Packet::PubRec(ack), Kind::Publisher(publisher)) => publisher.take_pubrec(ack, link),
            (Packet::PubComp(ack), Kind::Publisher(publisher)) => publisher.take_pubcomp(ack),
            (Packet::SubAck(ack), Kind::Subscriber(subscriber)) => {
                assert_eq!(ack.reasons, [QoS::ExactlyOnce.number()], "granted");
                subscriber.is_subscribed = true;
            }
            (Packet::Publish(publish), Kind::Subscriber(subscriber)) => {
                subscriber.take_publish(&publish);
            }
            (Packet::PubRel(ack), Kind::Subscriber(subscriber)) => {
                subscriber.received.remove(&ack.packet_id);
                subscriber.unsent.push_back((Answer::Completed, ack.packet_id));
            }
            (other, _) => panic!("{}: {other:?} was not expected", self.id),
        }
    }

    fn take_connack(&mut self, ack: ConnAck<'_>, link: &mut Vec<Reply>) {
        assert_eq!(ack.reason, ReasonCode::Success, "{}", self.id);
        assert!(ack.session_present || !self.has_session, "{}: its session is gone", self.id);
        (self.has_session, self.is_connected) = (true, true);
        match &mut self.kind {
            Kind::Publisher(publisher) => {
                let again =
                    publisher.in_flight.iter().map(|in_flight| match in_flight.is_released {
                        true => Reply::Release(in_flight.packet_id),
                        false => Reply::Publish(in_flight.packet_id, in_flight.number),
                    });
                link.extend(again);
            }
            Kind::Subscriber(subscriber) => {
                subscriber.unsent.clear();
                if !subscriber.is_subscribed {
                    link.push(Reply::Subscribe);
                }
            }
        }
    }
}

/// What a client says at once.
#[derive(Clone, Copy, Debug)]
pub(super) enum Reply {
    /// A PUBLISH that may have been sent before.
    Publish(PacketId, u32),
    Release(PacketId),
    Subscribe,
}

impl Reply {
    pub(super) fn send(self, link: &mut Link) {
        match self {
            Self::Publish(packet_id, number) => publish(link, packet_id, number, true),
            Self::Release(packet_id) => link.send(&Packet::PubRel(Ack::success(packet_id))),
            Self::Subscribe => {
                let mut filters = Vec::new();
                let options = SubscribeOptions {
                    retain_handling: protocol::mqtt::RetainHandling::DoNotSend,
                    ..SubscribeOptions::of_qos(QoS::ExactlyOnce)
                };
                SubscribeFilters::encode(TOPIC, options, &mut filters);
                link.send(&Packet::Subscribe(Subscribe {
                    packet_id: PacketId::new(1).expect("not zero"),
                    properties: Properties::default(),
                    filters: SubscribeFilters::trusted(&filters),
                }));
            }
        }
    }
}

impl Publisher {
    /// One that is to publish so many.
    pub(super) fn new(count: u32) -> Self {
        Self { count, ..Self::default() }
    }

    fn publish(&mut self, link: &mut Link) {
        if self.in_flight.len() == IN_FLIGHT_MAX || self.next == self.count {
            return;
        }
        let is_free = |id: &PacketId| self.in_flight.iter().all(|found| found.packet_id != *id);
        let packet_id = (1..).filter_map(PacketId::new).find(is_free).expect("few are in use");
        let number = self.next;
        self.next += 1;
        self.in_flight.push_back(InFlight { packet_id, number, is_released: false });
        publish(link, packet_id, number, false);
    }

    fn take_pubrec(&mut self, ack: Ack<'_>, link: &mut Vec<Reply>) {
        assert_eq!(ack.reason, ReasonCode::Success, "{ack:?}");
        let mut in_flight = self.in_flight.iter_mut();
        let found = in_flight.find(|found| found.packet_id == ack.packet_id);
        let found = found.expect("PUBREC of what is under way");
        found.is_released = true;
        link.push(Reply::Release(ack.packet_id));
    }

    fn take_pubcomp(&mut self, ack: Ack<'_>) {
        self.in_flight.retain(|found| found.packet_id != ack.packet_id);
    }
}

fn publish(link: &mut Link, packet_id: PacketId, number: u32, dup: bool) {
    link.send(&Packet::Publish(Publish {
        dup,
        qos: QoS::ExactlyOnce,
        retain: true,
        topic: TOPIC,
        packet_id: Some(packet_id),
        properties: Properties::default(),
        payload: number.to_string().as_bytes(),
    }));
}

/// The number that a message is.
pub(super) fn number_of(publish: &Publish<'_>) -> u32 {
    let text = std::str::from_utf8(publish.payload).expect("text");
    text.parse().expect("a number")
}

impl Subscriber {
    fn take_publish(&mut self, publish: &Publish<'_>) {
        let packet_id = publish.packet_id.expect("quality of service 2");
        assert_eq!(publish.qos, QoS::ExactlyOnce, "{publish:?}");
        self.unsent.push_back((Answer::Received, packet_id));
        let number = number_of(publish);
        match self.received.insert(packet_id, number) {
            Some(before) => assert!(publish.dup && before == number, "{before}, now {publish:?}"),
            None => self.came.push(number),
        }
    }

    fn answer(&mut self, link: &mut Link) {
        let Some((answer, packet_id)) = self.unsent.pop_front() else { return };
        let ack = Ack::success(packet_id);
        link.send(&match answer {
            Answer::Received => Packet::PubRec(ack),
            Answer::Completed => Packet::PubComp(ack),
        });
    }
}
