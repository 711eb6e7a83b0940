//! The drivers against the brokers themselves, where these are installed.

use super::testing::{self, Connected, Peer, check_stream, skipped};
use super::{
    BytePipe, Confirmation, Driver, Held, Mqtt, Native, Nats, Redis, RedisStreams, Request,
    Selection, StreamTerms, TandemClient, TandemJson, hold_conversation, hold_requests,
};
use crate::drivers::{DriverError, DriverKind, MqttTerms, MqttVersion};
use crate::message::Payloads;
use crate::process::{Program, locate};
use protocol::mqtt::QoS;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

/// Of each publisher to each topic.
const MESSAGES: u64 = 200;

/// A broker of this workspace, of the release or else of this build.
fn tandem(program: &str) -> Option<Peer> {
    let of_this_build = || {
        let own = std::env::current_exe().unwrap();
        let path = own.ancestors().nth(2).map(|dir| dir.join(program));
        path.filter(|path| path.is_file())
    };
    let path: Option<PathBuf> = match locate(program) {
        Program::Found(path) => Some(path),
        Program::Unbuilt { .. } | Program::Missing { .. } => of_this_build(),
    };
    let Some(path) = path else {
        return skipped(&format!(
            "{program} is not built; `cargo build --package {program}` does it"
        ));
    };
    let command = [&path.to_string_lossy(), "--memory", "--listen", "127.0.0.1:0"];
    Peer::start(DriverKind::TandemNative, &command, None)
}

fn tandems() -> impl Iterator<Item = Peer> {
    ["broker-threaded", "broker-mio"].into_iter().filter_map(tandem)
}

fn mosquitto() -> Option<Peer> {
    let config = "listener {port} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 0\n\
                  set_tcp_nodelay true\n\
                  log_dest stderr\nlog_type information\n";
    Peer::start(DriverKind::Mqtt, &["mosquitto", "-c", "{config_file}"], Some(config))
}

fn redis() -> Option<Peer> {
    let command = [
        "redis-server",
        "--port",
        "{port}",
        "--bind",
        "127.0.0.1",
        "--save",
        "",
        "--appendonly",
        "no",
    ];
    Peer::start(DriverKind::Redis, &command, None)
}

fn byte_pipe() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || crate::byte_pipe::serve(&listener));
    address
}

/// A stream whose name nothing else has.
fn terms(
    topics: u32,
    selection: Selection,
    confirmation: Confirmation,
    payloads: Payloads,
) -> StreamTerms {
    static STREAMS: AtomicU32 = AtomicU32::new(0);
    let root = format!("stream-{}", STREAMS.fetch_add(1, Ordering::Relaxed));
    StreamTerms { selection, confirmation, ..testing::terms(&root, topics, payloads) }
}

/// Streams of every kind that the driver has.
fn check_streams(driver: &dyn Driver, selections: &[Selection], confirmations: &[Confirmation]) {
    for &confirmation in confirmations {
        for &selection in selections {
            for topics in [1, 3] {
                let payloads = Payloads::fixed(40);
                check_stream(driver, &terms(topics, selection, confirmation, payloads), MESSAGES);
            }
        }
        let sizes = Payloads::cycle(vec![32, 2000, 100]);
        check_stream(driver, &terms(1, Selection::Names, confirmation, sizes), MESSAGES);
    }
}

/// Requests are granted, one after the other, and the connection of one at rest comes about.
fn check_operations(driver: &dyn Driver, with_subscriptions: bool) {
    let (topic, subscriber) = ("operations", "subscriber");
    let publish = Request::Publish { topic, payload: b"one message, as text" };
    let mut requests = vec![Request::Create { topic }, publish];
    if with_subscriptions {
        requests.push(Request::Subscribe { topic, subscriber });
        requests.push(Request::Pull { topic, subscriber });
    }
    requests.extend([publish, Request::Delete { topic }]);
    hold_requests(driver.address(), &mut *driver.operator(0), requests).unwrap();
    hold_conversation(driver.address(), &mut *driver.idler(1)).unwrap();

    let terms = terms(1, Selection::Names, Confirmation::Wanted, Payloads::fixed(16));
    let mut client = Connected::open(driver.address(), driver.operator(2), &terms, 0).unwrap();
    let mut output = Vec::new();
    let mut filled = 0;
    client.conversation.request(&Request::Create { topic: "filled" }, &mut output).unwrap();
    filled += 1 + client.conversation.fill("filled", b"payload", 100, &mut output).unwrap();
    client.write(&output).unwrap();
    client.read_until(|heard| heard.tidings.answers.len() >= filled as usize).unwrap();
    assert!(client.listener.tidings.answers.iter().all(Result::is_ok));
}

const BOTH: [Confirmation; 2] = [Confirmation::Unwanted, Confirmation::Wanted];
const BY_NAMES: [Selection; 1] = [Selection::Names];
const BY_ANY: [Selection; 2] = [Selection::Names, Selection::Wildcard];

fn check_mqtt(address: SocketAddr) {
    for version in [MqttVersion::V311, MqttVersion::V5] {
        for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
            let driver = Mqtt::new(address, MqttTerms { version, qos });
            check_streams(&driver, &BY_ANY, &BOTH);
            check_operations(&driver, false);
        }
    }
}

#[test]
fn mqtt_streams_and_operations_go_through_mosquitto() {
    let Some(broker) = mosquitto() else { return };
    check_mqtt(broker.address());
}

#[test]
fn mqtt_streams_and_operations_go_through_both_tandem_brokers() {
    tandems().for_each(|broker| check_mqtt(broker.address()));
}

#[test]
fn native_streams_and_operations_go_through_both_tandem_brokers() {
    for broker in tandems() {
        let driver = Native::new(broker.address());
        check_streams(&driver, &BY_NAMES, &BOTH);
        check_operations(&driver, true);
    }
}

#[test]
fn streams_and_operations_go_through_both_tandem_brokers_by_the_client_library() {
    for broker in tandems() {
        let driver = TandemClient::new(broker.address());
        check_streams(&driver, &BY_NAMES, &BOTH);
        check_operations(&driver, true);
    }
}

#[test]
fn streams_and_operations_go_through_both_tandem_brokers_in_json_lines() {
    for broker in tandems() {
        let driver = TandemJson::new(broker.address());
        check_streams(&driver, &BY_NAMES, &BOTH);
        check_operations(&driver, true);
    }
}

#[test]
fn nats_streams_and_operations_go_through_a_nats_server() {
    let command = ["nats-server", "-a", "127.0.0.1", "-p", "{port}"];
    let Some(broker) = Peer::start(DriverKind::Nats, &command, None) else { return };
    let driver = Nats::new(broker.address());
    check_streams(&driver, &BY_ANY, &BOTH);
    check_operations(&driver, false);
}

#[test]
fn channels_and_streams_go_through_a_redis_server() {
    let Some(broker) = redis() else { return };
    let channels = Redis::new(broker.address());
    check_streams(&channels, &BY_ANY, &BOTH);
    check_operations(&channels, false);
    let streams = RedisStreams::new(broker.address());
    check_streams(&streams, &BY_NAMES, &BOTH);
    check_operations(&streams, false);
}

#[test]
fn streams_go_through_the_byte_pipe_by_both_its_protocols() {
    // Each stream a pipe of its own: it sends everything to everyone.
    for topics in [1, 3] {
        let terms = terms(topics, Selection::Names, Confirmation::Unwanted, Payloads::fixed(40));
        check_stream(&BytePipe::new(byte_pipe()), &terms, MESSAGES);
        check_stream(&Mqtt::new(byte_pipe(), MqttTerms::default()), &terms, MESSAGES);
    }
    check_operations(&BytePipe::new(byte_pipe()), false);
}

/// What was published before anyone subscribed is received from its beginning.
fn check_backlog(driver: &dyn Driver) {
    let mut terms = terms(2, Selection::Names, Confirmation::Wanted, Payloads::fixed(100));
    terms.held = Some(Held { messages: 1000, payload_bytes: 100_000 });
    if let Some(mut preparation) = driver.preparation(&terms) {
        hold_conversation(driver.address(), &mut *preparation).unwrap();
    }
    let publisher = driver.publisher(&terms, 0);
    let mut publisher = Connected::open(driver.address(), publisher, &terms, 0).unwrap();
    publisher.publish_all(&terms, 0, MESSAGES).unwrap();
    let reader = driver.subscriber(&terms, 0);
    let mut reader = Connected::open(driver.address(), reader, &terms, 2).unwrap();
    reader.read_until(|heard| heard.received() >= 2 * MESSAGES).unwrap();
    assert!(reader.listener.ledger.faults(&[MESSAGES; 2]).is_none());
}

#[test]
fn backlogs_are_read_from_their_beginning() {
    if let Some(broker) = redis() {
        check_backlog(&RedisStreams::new(broker.address()));
    }
    for broker in tandems() {
        check_backlog(&Native::new(broker.address()));
        check_backlog(&TandemClient::new(broker.address()));
        check_backlog(&TandemJson::new(broker.address()));
    }
}

fn refusal(driver: &dyn Driver, requests: &[Request<'_>]) -> DriverError {
    let requests = requests.iter().copied();
    hold_requests(driver.address(), &mut *driver.operator(0), requests).unwrap_err()
}

#[test]
fn what_a_broker_refuses_is_told_in_its_own_words() {
    if let Some(broker) = redis() {
        let topic = "kept";
        let publish = Request::Publish { topic, payload: b"payload" };
        let channel = Redis::new(broker.address());
        let mut words = Vec::new();
        words.extend_from_slice(b"*3\r\n$3\r\nSET\r\n$4\r\nkept\r\n$1\r\nx\r\n");
        let terms = terms(1, Selection::Names, Confirmation::Wanted, Payloads::fixed(16));
        let mut client = Connected::open(broker.address(), channel.operator(0), &terms, 0).unwrap();
        client.write(&words).unwrap();
        client.read_until(|heard| !heard.tidings.answers.is_empty()).unwrap();
        let error = refusal(&RedisStreams::new(broker.address()), &[publish]);
        assert_eq!((error.code(), error.is_refusal()), ("WRONGTYPE", true), "{error}");
    }
    let config = "listen: \"127.0.0.1:{port}\"\nmax_payload: 8\n";
    let command = ["nats-server", "-c", "{config_file}"];
    if let Some(broker) = Peer::start(DriverKind::Nats, &command, Some(config)) {
        let publish = Request::Publish { topic: "t", payload: b"longer than eight" };
        let error = refusal(&Nats::new(broker.address()), &[publish]);
        assert!(error.to_string().contains("Maximum Payload Violation"), "{error}");
    }
    for broker in tandems() {
        let create = Request::Create { topic: "twice" };
        let delete = [Request::Delete { topic: "twice" }];
        let drivers: [Box<dyn Driver>; 3] = [
            Box::new(Native::new(broker.address())),
            Box::new(TandemClient::new(broker.address())),
            Box::new(TandemJson::new(broker.address())),
        ];
        for driver in &drivers {
            let error = refusal(&**driver, &[create, create]);
            assert_eq!(error.code(), "topic_exists", "{error}");
            hold_requests(broker.address(), &mut *driver.operator(0), delete).unwrap();
        }
    }
}
