//! A client library of others in both versions of MQTT: each quality of service, retained messages,
//! wills, sessions, shared subscriptions and large messages.
//!
//! That nothing comes is never waited for: a later message is, and it has to be the first.

use conformance::{Backend, BrokerProcess, DataDir, WAIT_MAX, for_both_backends};
use std::collections::VecDeque;
use std::fmt::Debug;
use std::sync::mpsc::{self, Sender};
use std::thread;

/// How long a session is kept whose client asks for it.
const SESSION_S: u32 = 3600;

/// Requests that a client may have waiting.
const REQUESTS_MAX: usize = 64;

/// The largest packet that a client takes.
const PACKET_BYTES_MAX: u32 = 2 << 20;

const MEBIBYTE: usize = 1 << 20;

/// Stamps all stories onto both backends for one version of the library.
macro_rules! for_both_rumqttc_backends {
    ($library:ty) => {
        for_both_rumqttc_backends! {
            $library:
            messages_of_each_quality_of_service_arrive,
            the_lower_quality_of_service_counts,
            messages_of_one_publisher_stay_in_order,
            a_retained_message_waits_until_it_is_cleared,
            a_will_is_told_of_who_vanishes_and_not_of_who_leaves,
            a_session_and_retained_messages_outlive_the_broker,
            a_shared_subscription_gives_each_message_to_one,
            a_payload_of_a_mebibyte_arrives_whole,
        }
    };
    ($library:ty: $($story:ident),* $(,)?) => {
        $(fn $story(backend: Backend) { super::$story::<$library>(backend); })*
        for_both_backends!($($story),*);
    };
}
mod v311 {
    use super::*;

    for_both_rumqttc_backends!(V311);
}

mod v5 {
    use super::*;

    for_both_rumqttc_backends!(V5);
}

/// A message as a subscriber has it.
#[derive(Clone, PartialEq, Eq)]
struct Message {
    topic: String,
    payload: Vec<u8>,
    qos: u8,
    retain: bool,
}

/// How a client comes.
#[derive(Clone, Copy, Default)]
struct Asked<'a> {
    /// Whoever has one has a session that is kept.
    kept_as: Option<&'a str>,
    /// Topic and payload of what is said if it vanishes.
    will: Option<(&'a str, &'a str)>,
}

/// What a client of the library hears.
enum Heard {
    Accepted,
    Subscribed,
    /// A publication left, or of quality of service 1 and 2: was confirmed.
    Published(u8),
    Message(Message),
    Left,
    Other,
}

/// The library in one version of MQTT.
trait Library: Sized {
    fn open(broker: &BrokerProcess, name: &str, asked: Asked<'_>) -> Self;
    fn subscribe(&self, filter: &str, qos: u8);
    fn publish(&self, topic: &str, payload: &[u8], qos: u8, retain: bool);
    fn disconnect(&self);
    fn hear(&mut self) -> Heard;
}

/// A connected client. Dropped, it vanishes without a word.
struct Client<L> {
    library: L,
    messages: VecDeque<Message>,
}

fn messages_of_each_quality_of_service_arrive<L: Library>(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    for qos in 0..3 {
        let topic = format!("readings/{qos}");
        let mut subscriber = Client::<L>::subscribed(&broker, &topic, qos);
        Client::<L>::connect(&broker).publish(&topic, "21.5", qos);
        subscriber.expect(&topic, "21.5", qos);
    }
}

fn the_lower_quality_of_service_counts<L: Library>(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let mut publisher = Client::<L>::connect(&broker);
    for (published, subscribed) in [(2, 0), (2, 1), (1, 2), (0, 2)] {
        let mut subscriber = Client::<L>::subscribed(&broker, "readings/+", subscribed);
        publisher.publish("readings/hall", "20", published);
        subscriber.expect("readings/hall", "20", published.min(subscribed));
    }
}

fn messages_of_one_publisher_stay_in_order<L: Library>(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let mut subscriber = Client::<L>::subscribed(&broker, "#", 2);
    let mut publisher = Client::<L>::connect(&broker);
    for number in 0..20 {
        publisher.publish("queue", format!("message {number}"), number % 3);
    }
    for number in 0..20 {
        subscriber.expect("queue", format!("message {number}"), number % 3);
    }
}

fn a_retained_message_waits_until_it_is_cleared<L: Library>(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let mut publisher = Client::<L>::connect(&broker);
    publisher.publish_retained("state", "on");
    let mut late = Client::<L>::subscribed(&broker, "state", 1);
    late.expect_retained("state", "on");
    publisher.publish_retained("state", "");
    late.expect("state", "", 1);
    let mut later = Client::<L>::subscribed(&broker, "state", 1);
    publisher.publish("state", "off", 1);
    later.expect("state", "off", 1);
}

fn a_will_is_told_of_who_vanishes_and_not_of_who_leaves<L: Library>(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let mut heir = Client::<L>::subscribed(&broker, "gone", 1);
    let mourned = |name| Asked { will: Some(("gone", name)), ..Asked::default() };
    Client::<L>::connect_as(&broker, mourned("who left")).leave();
    drop(Client::<L>::connect_as(&broker, mourned("who vanished")));
    heir.expect("gone", "who vanished", 1);
}

fn a_session_and_retained_messages_outlive_the_broker<L: Library>(backend: Backend) {
    let data = DataDir::new();
    let broker = BrokerProcess::start_on(backend, &data, &[]).keep(data);
    let kept = Asked { kept_as: Some("keeper"), ..Asked::default() };
    let mut client = Client::<L>::connect_as(&broker, kept);
    client.subscribe("kept/#", 2);
    client.leave();
    let mut publisher = Client::<L>::connect(&broker);
    publisher.publish("kept/a", "while away", 1);
    publisher.publish_retained("other", "retained");
    publisher.leave();

    let broker = broker.restart();
    Client::<L>::connect(&broker).publish("kept/a", "after the restart", 2);
    let mut client = Client::<L>::connect_as(&broker, kept);
    client.expect("kept/a", "while away", 1);
    client.expect("kept/a", "after the restart", 2);
    Client::<L>::subscribed(&broker, "other", 1).expect_retained("other", "retained");
}

fn a_shared_subscription_gives_each_message_to_one<L: Library + Send>(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let (found, done) = mpsc::channel();
    let shared = || {
        let mut worker = Client::<L>::subscribed(&broker, "$share/workers/jobs", 1);
        worker.subscribe("end", 1);
        worker
    };
    let next = || done.recv_timeout(WAIT_MAX).expect("a worker has one in time");
    thread::scope(|scope| {
        for mut worker in [shared(), shared()] {
            let found = found.clone();
            scope.spawn(move || worker.pass_on_until("end", &found));
        }
        let mut publisher = Client::<L>::connect(&broker);
        let mut jobs: Vec<_> = (0..20).map(|number| format!("job {number}")).collect();
        jobs.iter().for_each(|job| publisher.publish("jobs", job, 1));
        let mut taken: Vec<_> = jobs.iter().map(|_| next()).collect();
        jobs.sort_unstable();
        taken.sort_unstable();
        assert_eq!(taken, jobs, "each once");
        publisher.publish("jobs", "the last", 1);
        assert_eq!(next(), "the last", "and none twice");
        publisher.publish("end", "", 1);
    });
}

fn a_payload_of_a_mebibyte_arrives_whole<L: Library>(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let payload: Vec<u8> = (0..MEBIBYTE).map(|at| (at % 251) as u8).collect();
    for qos in 0..3 {
        let mut subscriber = Client::<L>::subscribed(&broker, "large", qos);
        Client::<L>::connect(&broker).publish("large", &payload, qos);
        subscriber.expect("large", &payload, qos);
    }
}

impl Debug for Message {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { topic, payload, qos, retain } = self;
        let start = payload[..payload.len().min(40)].escape_ascii();
        let length = payload.len();
        write!(out, "{topic}: {length} bytes {start}, qos {qos}, retain {retain}")
    }
}

impl<L: Library> Client<L> {
    #[track_caller]
    fn connect(broker: &BrokerProcess) -> Self {
        Self::connect_as(broker, Asked::default())
    }

    #[track_caller]
    fn connect_as(broker: &BrokerProcess, asked: Asked<'_>) -> Self {
        let name = match asked.kept_as {
            Some(name) => name.to_owned(),
            None => format!("client-{:x}", fastrand::u64(..)),
        };
        let library = L::open(broker, &name, asked);
        let mut client = Self { library, messages: VecDeque::new() };
        client.hear_until(|heard| matches!(heard, Heard::Accepted));
        client
    }

    #[track_caller]
    fn subscribed(broker: &BrokerProcess, filter: &str, qos: u8) -> Self {
        let mut client = Self::connect(broker);
        client.subscribe(filter, qos);
        client
    }

    #[track_caller]
    fn subscribe(&mut self, filter: &str, qos: u8) {
        self.library.subscribe(filter, qos);
        self.hear_until(|heard| matches!(heard, Heard::Subscribed));
    }

    #[track_caller]
    fn publish(&mut self, topic: &str, payload: impl AsRef<[u8]>, qos: u8) {
        self.library.publish(topic, payload.as_ref(), qos, false);
        self.hear_until(|heard| matches!(heard, Heard::Published(found) if *found == qos));
    }

    #[track_caller]
    fn publish_retained(&mut self, topic: &str, payload: &str) {
        self.library.publish(topic, payload.as_bytes(), 1, true);
        self.hear_until(|heard| matches!(heard, Heard::Published(1)));
    }

    #[track_caller]
    fn leave(mut self) {
        self.library.disconnect();
        self.hear_until(|heard| matches!(heard, Heard::Left));
    }

    /// Waits for what is looked for; messages that come meanwhile are kept.
    #[track_caller]
    fn hear_until(&mut self, is_it: impl Fn(&Heard) -> bool) {
        loop {
            match self.library.hear() {
                Heard::Message(message) => self.messages.push_back(message),
                heard if is_it(&heard) => return,
                _ => {}
            }
        }
    }

    #[track_caller]
    fn next(&mut self) -> Message {
        while self.messages.is_empty() {
            if let Heard::Message(message) = self.library.hear() {
                self.messages.push_back(message);
            }
        }
        self.messages.pop_front().expect("it is not empty")
    }

    #[track_caller]
    fn expect(&mut self, topic: &str, payload: impl AsRef<[u8]>, qos: u8) {
        let (topic, payload) = (topic.to_owned(), payload.as_ref().to_vec());
        assert_eq!(self.next(), Message { topic, payload, qos, retain: false });
    }

    #[track_caller]
    fn expect_retained(&mut self, topic: &str, payload: &str) {
        let (topic, payload) = (topic.to_owned(), payload.as_bytes().to_vec());
        assert_eq!(self.next(), Message { topic, payload, qos: 1, retain: true });
    }

    /// Passes the payloads of what comes on, until a message of `topic` comes.
    #[track_caller]
    fn pass_on_until(&mut self, topic: &str, found: &Sender<String>) {
        loop {
            let message = self.next();
            if message.topic == topic {
                return;
            }
            let payload = String::from_utf8(message.payload).expect("text");
            found.send(payload).expect("the story still looks");
        }
    }
}

/// What a client's event loop gives next, for a library whose two versions only look alike.
macro_rules! next_event {
    ($connection:expr) => {
        match $connection.recv_timeout(WAIT_MAX) {
            Ok(Ok(event)) => event,
            Ok(Err(error)) => panic!("expected a connection that holds, found {error}"),
            Err(error) => panic!("expected an event within {WAIT_MAX:?}, found {error:?}"),
        }
    };
}

/// MQTT 3.1.1.
struct V311 {
    client: rumqttc::Client,
    connection: rumqttc::Connection,
}

impl Library for V311 {
    fn open(broker: &BrokerProcess, name: &str, asked: Asked<'_>) -> Self {
        let address = broker.address();
        let mut options = rumqttc::MqttOptions::new(name, address.ip().to_string(), address.port());
        options.set_clean_session(asked.kept_as.is_none());
        options.set_max_packet_size(PACKET_BYTES_MAX as usize, PACKET_BYTES_MAX as usize);
        if let Some((topic, payload)) = asked.will {
            let qos = rumqttc::QoS::AtLeastOnce;
            options.set_last_will(rumqttc::LastWill::new(topic, payload, qos, false));
        }
        let (client, connection) = rumqttc::Client::new(options, REQUESTS_MAX);
        Self { client, connection }
    }

    fn subscribe(&self, filter: &str, qos: u8) {
        let qos = rumqttc::qos(qos).expect("it exists");
        self.client.subscribe(filter, qos).expect("there is room");
    }

    fn publish(&self, topic: &str, payload: &[u8], qos: u8, retain: bool) {
        let qos = rumqttc::qos(qos).expect("it exists");
        self.client.publish(topic, qos, retain, payload).expect("there is room");
    }

    fn disconnect(&self) {
        self.client.disconnect().expect("there is room");
    }

    fn hear(&mut self) -> Heard {
        use rumqttc::{Event, Outgoing, Packet};
        match next_event!(self.connection) {
            Event::Incoming(Packet::ConnAck(_)) => Heard::Accepted,
            Event::Incoming(Packet::SubAck(_)) => Heard::Subscribed,
            Event::Incoming(Packet::PubAck(_)) => Heard::Published(1),
            Event::Incoming(Packet::PubComp(_)) => Heard::Published(2),
            Event::Incoming(Packet::Publish(publish)) => Heard::Message(Message {
                topic: publish.topic,
                payload: publish.payload.to_vec(),
                qos: publish.qos as u8,
                retain: publish.retain,
            }),
            // Only those of quality of service 0 have no packet id.
            Event::Outgoing(Outgoing::Publish(0)) => Heard::Published(0),
            Event::Outgoing(Outgoing::Disconnect) => Heard::Left,
            _ => Heard::Other,
        }
    }
}

/// MQTT 5.0.
struct V5 {
    client: rumqttc::v5::Client,
    connection: rumqttc::v5::Connection,
}

impl Library for V5 {
    fn open(broker: &BrokerProcess, name: &str, asked: Asked<'_>) -> Self {
        let address = broker.address();
        let mut options =
            rumqttc::v5::MqttOptions::new(name, address.ip().to_string(), address.port());
        options.set_clean_start(asked.kept_as.is_none());
        options.set_session_expiry_interval(asked.kept_as.map(|_| SESSION_S));
        options.set_max_packet_size(Some(PACKET_BYTES_MAX));
        if let Some((topic, payload)) = asked.will {
            let qos = rumqttc::v5::mqttbytes::QoS::AtLeastOnce;
            let will = rumqttc::v5::mqttbytes::v5::LastWill::new(topic, payload, qos, false, None);
            options.set_last_will(will);
        }
        let (client, connection) = rumqttc::v5::Client::new(options, REQUESTS_MAX);
        Self { client, connection }
    }

    fn subscribe(&self, filter: &str, qos: u8) {
        let qos = rumqttc::v5::mqttbytes::qos(qos).expect("it exists");
        self.client.subscribe(filter, qos).expect("there is room");
    }

    fn publish(&self, topic: &str, payload: &[u8], qos: u8, retain: bool) {
        let qos = rumqttc::v5::mqttbytes::qos(qos).expect("it exists");
        self.client.publish(topic, qos, retain, payload.to_vec()).expect("there is room");
    }

    fn disconnect(&self) {
        self.client.disconnect().expect("there is room");
    }

    fn hear(&mut self) -> Heard {
        use rumqttc::Outgoing;
        use rumqttc::v5::{Event, mqttbytes::v5::Packet};
        match next_event!(self.connection) {
            Event::Incoming(Packet::ConnAck(_)) => Heard::Accepted,
            Event::Incoming(Packet::SubAck(_)) => Heard::Subscribed,
            Event::Incoming(Packet::PubAck(_)) => Heard::Published(1),
            Event::Incoming(Packet::PubComp(_)) => Heard::Published(2),
            Event::Incoming(Packet::Publish(publish)) => Heard::Message(Message {
                topic: String::from_utf8(publish.topic.to_vec()).expect("UTF-8"),
                payload: publish.payload.to_vec(),
                qos: publish.qos as u8,
                retain: publish.retain,
            }),
            // Only those of quality of service 0 have no packet id.
            Event::Outgoing(Outgoing::Publish(0)) => Heard::Published(0),
            Event::Outgoing(Outgoing::Disconnect) => Heard::Left,
            _ => Heard::Other,
        }
    }
}
