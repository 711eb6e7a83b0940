//! What each kind of conversation hears, cut into pieces in any way: it must hear the same.

use super::testing::{Outcome, batch_stamp, converse, deliveries, encoded, stream_terms};
use super::{
    BytePipe, Confirmation, Conversation, Driver, EncodedBatch, Mqtt, Native, Nats, Null, Redis,
    RedisStreams, Request, StreamTerms, TandemClient, TandemJson,
};
use crate::drivers::{MqttTerms, MqttVersion};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::BytesMut;
use proptest::prelude::*;
use protocol::mqtt::{
    Ack, ConnAck, Packet, PacketId, Properties, QoS, ReasonCode, SubAck, Version, encode_packet,
};
use protocol::native::{BrokerGreeting, VERSION, encode_broker_greeting, encode_response};
use protocol::{BatchBuilder, Code, Refusal, Response};
use std::net::{Ipv4Addr, SocketAddr};

const NOWHERE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 1);
const PAYLOAD_BYTES: usize = 40;
const MESSAGES: u64 = 5;

/// A conversation to be, what its broker says, and what must come of it.
struct Exchange {
    name: &'static str,
    conversation: Box<dyn Fn() -> Box<dyn Conversation>>,
    input: Vec<u8>,
    expected: Expected,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Expected {
    received: u64,
    acknowledged: u32,
    answers: u32,
    refusals: u32,
    finished: bool,
}

fn terms(confirmation: Confirmation) -> StreamTerms {
    stream_terms(PAYLOAD_BYTES, confirmation)
}

fn subscriber(
    name: &'static str,
    driver: &'static dyn Driver,
    opening: &[u8],
    at_end: &[u8],
) -> Exchange {
    let terms = terms(Confirmation::Unwanted);
    let deliveries = deliveries(driver, &terms, MESSAGES);
    Exchange {
        name,
        conversation: Box::new(move || driver.subscriber(&terms, 0)),
        input: [opening, &deliveries, at_end].concat(),
        expected: Expected { received: MESSAGES, ..Expected::default() },
    }
}

/// Publishes two messages, then three, and finishes; acknowledged where that is wanted.
fn publisher(
    name: &'static str,
    driver: &'static dyn Driver,
    confirmation: Confirmation,
    input: Vec<u8>,
) -> Exchange {
    let publisher = move || {
        let mut publisher = driver.publisher(&terms(confirmation), 0);
        publisher.publish(&batch_stamp(0, 2));
        publisher.publish(&batch_stamp(2, 3));
        publisher.finish(&mut Vec::new());
        Box::new(Held(publisher)) as Box<dyn Conversation>
    };
    let acknowledged = if confirmation == Confirmation::Wanted { 2 } else { 0 };
    let expected = Expected { acknowledged, finished: true, ..Expected::default() };
    Exchange { name, conversation: Box::new(publisher), input, expected }
}

/// Publishes twice, and creates; the second publication is refused where `refusals` is 1.
fn operator(
    name: &'static str,
    driver: &'static dyn Driver,
    input: Vec<u8>,
    refusals: u32,
) -> Exchange {
    let operator = move || {
        let mut operator = driver.operator(0);
        let publish = Request::Publish { topic: "t", payload: b"payload" };
        for request in [publish, publish, Request::Create { topic: "t" }] {
            operator.request(&request, &mut Vec::new()).unwrap();
        }
        Box::new(Held(operator)) as Box<dyn Conversation>
    };
    let expected = Expected { answers: 3 - refusals, refusals, ..Expected::default() };
    Exchange { name, conversation: Box::new(operator), input, expected }
}

/// A publisher or operator as the conversation that it is.
struct Held<T: ?Sized>(Box<T>);

impl<T: Conversation + ?Sized> Conversation for Held<T> {
    fn poll_opening(&mut self, output: &mut Vec<u8>) {
        self.0.poll_opening(output);
    }

    fn handle_input(
        &mut self,
        input: &[u8],
        heard: &mut super::Heard<'_, '_>,
    ) -> Result<usize, crate::drivers::DriverError> {
        self.0.handle_input(input, heard)
    }
}

fn leaked(driver: impl Driver + 'static) -> &'static dyn Driver {
    Box::leak(Box::new(driver))
}

fn mqtt_packets(version: Version, packets: &[Packet<'_>]) -> Vec<u8> {
    let mut bytes = BytesMut::new();
    packets.iter().for_each(|packet| encode_packet(packet, version, &mut bytes));
    bytes.to_vec()
}

fn mqtt_exchanges(version: MqttVersion, qos: QoS) -> Vec<Exchange> {
    let driver = leaked(Mqtt::new(NOWHERE, MqttTerms { version, qos }));
    let properties = Properties::default();
    let ack = |id| Ack::success(PacketId::new(id).unwrap());
    let reason = ReasonCode::Success;
    let connack = Packet::ConnAck(ConnAck { session_present: false, reason, properties });
    let reasons = [qos.number()];
    let suback = Packet::SubAck(SubAck {
        packet_id: PacketId::new(1).unwrap(),
        properties,
        reasons: &reasons,
    });
    let packets = |packets: &[Packet<'_>]| mqtt_packets(version.on_wire(), packets);
    let publish_acks = |count: u16, qos: QoS| match qos {
        QoS::AtMostOnce | QoS::AtLeastOnce => {
            (1..=count).map(|id| Packet::PubAck(ack(id))).collect()
        }
        QoS::ExactlyOnce => {
            let received = (1..=count).map(|id| Packet::PubRec(ack(id)));
            received.chain((1..=count).map(|id| Packet::PubComp(ack(id)))).collect::<Vec<_>>()
        }
    };
    let wanted = [vec![connack], publish_acks(5, qos), vec![Packet::PingResp]].concat();
    let uncounted = match qos {
        QoS::AtMostOnce => vec![connack, Packet::PingResp],
        // Here PINGRESP comes before the acknowledgements.
        _ => [vec![connack, Packet::PingResp], publish_acks(5, qos)].concat(),
    };
    let refused = match qos {
        QoS::AtMostOnce | QoS::AtLeastOnce if version == MqttVersion::V5 => 1,
        _ => 0,
    };
    let mut answers = [vec![connack], publish_acks(2, qos), vec![Packet::PingResp]].concat();
    if refused == 1 {
        answers[2] = Packet::PubAck(Ack { reason: ReasonCode::NotAuthorized, ..ack(2) });
    }
    let releases: Vec<_> = (1..=2).map(|id| Packet::PubRel(ack(id))).collect();
    let at_end = if qos == QoS::ExactlyOnce { packets(&releases) } else { Vec::new() };
    vec![
        subscriber("mqtt subscriber", driver, &packets(&[connack, suback]), &at_end),
        publisher("mqtt publisher", driver, Confirmation::Wanted, packets(&wanted)),
        publisher("mqtt publisher", driver, Confirmation::Unwanted, packets(&uncounted)),
        operator("mqtt operator", driver, packets(&answers), refused),
    ]
}

fn nats_exchanges() -> Vec<Exchange> {
    let driver = leaked(Nats::new(NOWHERE));
    let opening: &[u8] = b"INFO {\"server_id\":\"x\"}\r\nPONG\r\n";
    let wanted = [opening, b"PONG\r\nPING\r\nPONG\r\nPONG\r\n"].concat();
    vec![
        subscriber("nats subscriber", driver, opening, b"PING\r\n"),
        publisher("nats publisher", driver, Confirmation::Wanted, wanted.clone()),
        publisher(
            "nats publisher",
            driver,
            Confirmation::Unwanted,
            [opening, b"PONG\r\n"].concat(),
        ),
        operator("nats operator", driver, wanted, 0),
    ]
}

fn redis_exchanges() -> Vec<Exchange> {
    let channels = leaked(Redis::new(NOWHERE));
    let streams = leaked(RedisStreams::new(NOWHERE));
    let subscribed = b"*3\r\n$9\r\nsubscribe\r\n$6\r\nstream\r\n:1\r\n";
    let replies = |replies: &[&[u8]]| [&[&b"+PONG\r\n"[..]], replies].concat().concat();
    let integers = replies(&[&b":1\r\n".repeat(5), b"+PONG\r\n"]);
    let ids = replies(&[&b"$3\r\n7-0\r\n".repeat(5), b"+PONG\r\n"]);
    let refusal = &b"-OOM command not allowed when used memory > 'maxmemory'.\r\n"[..];
    vec![
        subscriber("redis subscriber", channels, subscribed, b""),
        subscriber("redis-streams subscriber", streams, b"+PONG\r\n", b"*-1\r\n"),
        publisher("redis publisher", channels, Confirmation::Wanted, integers.clone()),
        publisher("redis publisher", channels, Confirmation::Unwanted, integers),
        publisher("redis-streams publisher", streams, Confirmation::Wanted, ids),
        operator("redis operator", channels, replies(&[b":0\r\n", refusal, b"+PONG\r\n"]), 1),
        operator(
            "redis-streams operator",
            streams,
            replies(&[b"$3\r\n7-0\r\n", refusal, b"+PONG\r\n"]),
            1,
        ),
    ]
}

fn broker_greeting() -> Vec<u8> {
    let mut greeting = Vec::new();
    let (frame_bytes_max, message_bytes_max) = (1 << 20, 1 << 20);
    let accepted =
        BrokerGreeting { version: VERSION, accepted: true, frame_bytes_max, message_bytes_max };
    encode_broker_greeting(accepted, &mut greeting);
    greeting
}

fn native_exchanges() -> Vec<Exchange> {
    let (native, pipe) = (leaked(Native::new(NOWHERE)), leaked(BytePipe::new(NOWHERE)));
    let said = |responses: &[Response<'_>]| {
        let mut said = broker_greeting();
        responses.iter().for_each(|response| encode_response(response, 0, &mut said));
        said
    };
    let published = Response::Published { base_offset: 0, count: 1 };
    let refused = || Response::Refused(Refusal::new(Code::TopicExists, "it is there"));
    let subscribed = said(&[Response::Subscribed { next_offset: 0 }]);
    let empty = BatchBuilder::new();
    let other = Response::Messages { base_offset: 0, lost: 0, remaining: 0, batch: empty.batch() };
    let mut echoes = broker_greeting();
    (0..4).for_each(|_| super::native::encode(&protocol::Request::Info, 0, &mut echoes));
    vec![
        subscriber("native subscriber", native, &subscribed, b""),
        publisher(
            "native publisher",
            native,
            Confirmation::Wanted,
            said(&[published.clone(), published.clone(), Response::Pong]),
        ),
        operator("native operator", native, said(&[published, other, refused()]), 1),
        subscriber("byte-pipe subscriber", pipe, &subscribed, b""),
        publisher(
            "byte-pipe publisher",
            pipe,
            Confirmation::Unwanted,
            said(&[Response::Pong, Response::Pong]),
        ),
        operator("byte-pipe operator", pipe, echoes, 0),
    ]
}

/// As on the native wire, but that the library numbers its requests.
fn library_exchanges() -> Vec<Exchange> {
    let driver = leaked(TandemClient::new(NOWHERE));
    let said = |responses: &[(u32, Response<'_>)]| {
        let mut said = broker_greeting();
        for (correlation, response) in responses {
            encode_response(response, *correlation, &mut said);
        }
        said
    };
    let published = Response::Published { base_offset: 0, count: 1 };
    let refused = Response::Refused(Refusal::new(Code::TopicExists, "it is there"));
    let subscribed = said(&[(1, Response::Subscribed { next_offset: 0 })]);
    vec![
        subscriber("library subscriber", driver, &subscribed, b""),
        publisher(
            "library publisher",
            driver,
            Confirmation::Wanted,
            said(&[(1, published.clone()), (2, published.clone()), (3, Response::Pong)]),
        ),
        // Only the question is numbered in vain.
        publisher(
            "library publisher",
            driver,
            Confirmation::Unwanted,
            said(&[(3, Response::Pong)]),
        ),
        operator(
            "library operator",
            driver,
            said(&[(1, published.clone()), (2, published), (3, refused)]),
            1,
        ),
    ]
}

fn json_exchanges() -> Vec<Exchange> {
    let driver = leaked(TandemJson::new(NOWHERE));
    let ok: &[u8] = b"{\"status\":\"ok\"}\n";
    let published: &[u8] = b"{\"status\":\"ok\",\"offset\":7}\r\n";
    let refused: &[u8] =
        b"{\"status\":\"error\",\"error\":{\"code\":\"topic_exists\",\"message\":\"it is\"}}\n";
    let stream = terms(Confirmation::Unwanted);
    let pulled = |batch: &EncodedBatch| {
        let places = batch.payloads_at().iter();
        let payloads = places.map(|&at| &batch.bytes()[at..at + PAYLOAD_BYTES]);
        let message = |payload| format!("{{\"base64\":\"{}\"}}", STANDARD.encode(payload));
        let messages: Vec<_> = payloads.map(message).collect();
        format!("{{\"status\":\"ok\",\"messages\":[{}]}}\n", messages.join(",")).into_bytes()
    };
    let null = Null.delivery_encoder(&stream).unwrap();
    let answers: Vec<u8> = encoded(null, &stream, MESSAGES).iter().flat_map(pulled).collect();
    let nothing = b"{\"status\":\"ok\",\"messages\":[]}\n";
    let published = [ok, &published.repeat(5), ok].concat();
    vec![
        Exchange {
            name: "json subscriber",
            conversation: Box::new(move || driver.subscriber(&terms(Confirmation::Unwanted), 0)),
            input: [ok, &answers, nothing].concat(),
            expected: Expected { received: MESSAGES, ..Expected::default() },
        },
        publisher("json publisher", driver, Confirmation::Wanted, published.clone()),
        publisher("json publisher", driver, Confirmation::Unwanted, published),
        operator("json operator", driver, [ok, ok, ok, refused].concat(), 1),
    ]
}

fn exchanges() -> Vec<Exchange> {
    let mut exchanges: Vec<_> = [
        nats_exchanges(),
        redis_exchanges(),
        native_exchanges(),
        library_exchanges(),
        json_exchanges(),
    ]
    .into_iter()
    .flatten()
    .collect();
    for version in [MqttVersion::V311, MqttVersion::V5] {
        for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
            exchanges.extend(mqtt_exchanges(version, qos));
        }
    }
    exchanges
}

impl Exchange {
    fn hold(&self, cuts: &[usize]) -> Outcome {
        let terms = terms(Confirmation::Unwanted);
        let messages = self.expected.received;
        converse(&mut *(self.conversation)(), &terms, &self.input, cuts, messages)
    }

    fn check_expected(&self, outcome: &Outcome) {
        assert_eq!(outcome.error, None, "{}", self.name);
        assert!(outcome.ready, "{}: {outcome:?}", self.name);
        assert!(outcome.faults.is_none(), "{}: {outcome:?}", self.name);
        assert_eq!(outcome.left, 0, "{}", self.name);
        let refusals = outcome.answers.iter().filter(|answer| answer.is_err()).count() as u32;
        let found = Expected {
            received: outcome.received,
            acknowledged: outcome.acknowledged,
            answers: outcome.answers.len() as u32 - refusals,
            refusals,
            finished: outcome.finished,
        };
        assert_eq!(found, self.expected, "{}", self.name);
    }
}

#[test]
fn every_exchange_comes_to_what_it_should_and_so_does_any_cut_of_it_in_two() {
    for exchange in exchanges() {
        let whole = exchange.hold(&[]);
        exchange.check_expected(&whole);
        for cut in 0..=exchange.input.len() {
            assert_eq!(exchange.hold(&[cut]), whole, "{} cut at {cut}", exchange.name);
        }
        let everywhere: Vec<_> = (0..exchange.input.len()).collect();
        assert_eq!(exchange.hold(&everywhere), whole, "{} byte by byte", exchange.name);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_pieces_of_an_exchange_come_to_the_same(
        cuts in proptest::collection::vec(0.0..1.0f64, 0..20),
    ) {
        for exchange in exchanges() {
            let place = |cut: &f64| (cut * exchange.input.len() as f64) as usize;
            let mut cuts: Vec<_> = cuts.iter().map(place).collect();
            cuts.sort_unstable();
            prop_assert_eq!(exchange.hold(&cuts), exchange.hold(&[]), "{}", exchange.name);
        }
    }
}
