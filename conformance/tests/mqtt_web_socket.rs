//! MQTT within WebSockets: whatever the frames, it is the MQTT that is spoken without them.

use conformance::mqtt::web_socket::{BINARY, CONTINUATION, FIN, PING, PONG, frame};
use conformance::mqtt::web_socket::{close_frame, request, request_headers};
use conformance::mqtt::{Connect, MqttClient, Publish, Version, Will};
use conformance::mqtt::{disconnect, pingreq, reason, subscribe};
use conformance::{Backend, BrokerProcess, Connection};
use conformance::{for_both_mqtt_versions, for_both_mqtt_versions_at_once};
use rustix::process::Signal;

for_both_mqtt_versions! {
    messages_of_each_qos_pass_both_ways,
    a_packet_may_span_frames_and_messages,
    many_packets_may_come_in_one_frame,
    frames_may_be_cut_at_every_byte,
    a_client_may_speak_before_it_was_answered,
    large_messages_pass_both_ways,
    a_subscriber_that_reads_late_gets_everything_in_order,
    a_will_is_published_when_the_socket_vanishes,
    a_will_is_published_when_only_the_web_socket_is_closed,
    a_will_is_not_published_after_disconnect,
    a_session_moves_between_tcp_and_web_socket,
    a_client_is_taken_over_from_tcp_and_back,
    a_fault_is_told_before_the_close_frame,
    the_broker_tells_that_it_stops,
}

for_both_mqtt_versions_at_once! {
    a_silent_client_is_let_go,
    pings_of_the_web_socket_are_no_packets,
}

#[track_caller]
fn web(broker: &BrokerProcess, version: Version, client_id: &str) -> MqttClient {
    MqttClient::connect_web(broker, &Connect::new(version, client_id))
}

fn messages_of_each_qos_pass_both_ways(backend: Backend, version: Version) {
    let broker = BrokerProcess::start(backend);
    let mut within = web(&broker, version, "within");
    let mut without = MqttClient::connect(&broker, version, "without");
    for qos in 0..3 {
        let (up, down) = (format!("up/{qos}"), format!("down/{qos}"));
        assert_eq!(without.subscribe(&up, qos), qos);
        assert_eq!(within.subscribe(&down, qos), qos);
        within.publish_text(&up, "from within", qos);
        assert_eq!(without.expect_message(&up, "from within").qos, qos);
        without.publish_text(&down, "from without", qos);
        assert_eq!(within.expect_message(&down, "from without").qos, qos);
    }
    assert!(within.unsubscribe(&["down/0"]).codes.iter().all(|code| *code == 0));
    within.expect_nothing();
    within.send(&disconnect());
    within.expect_close_frame(1000);
}

/// CONNECT, SUBSCRIBE to "t", and a message on it.
fn conversation(version: Version) -> Vec<u8> {
    [
        Connect::new(version, "a").packet().bytes(),
        subscribe(version, 1, &[("t", 1)], &[]).bytes(),
        Publish::new("t", "m").qos(1).id(2).packet(version).bytes(),
    ]
    .concat()
}

/// What comes back of that, and what it gives rise to.
#[track_caller]
fn expect_conversation(client: &mut MqttClient) {
    let version = client.version();
    assert_eq!(client.read().connack(version).code, 0);
    assert_eq!(client.read().suback(version).codes, [1]);
    assert_eq!(client.read_ack(0x40, 2), 0);
    client.expect_message("t", "m");
}

fn a_packet_may_span_frames_and_messages(backend: Backend, version: Version) {
    let broker = BrokerProcess::start(backend);
    let packets = conversation(version);
    for bytes in [1, 2, 3, 7, 20] {
        let mut client = MqttClient::open_web(&broker, version);
        for part in packets.chunks(bytes) {
            client.connection.send(&frame(FIN | BINARY, part));
        }
        expect_conversation(&mut client);
    }
    // All in one message, with frames that have nothing and pings between them.
    let mut client = MqttClient::open_web(&broker, version);
    client.connection.send(&frame(BINARY, b""));
    for part in packets.chunks(5) {
        client.connection.send(&frame(CONTINUATION, part));
        client.connection.send(&frame(FIN | PING, part));
        client.connection.send(&frame(FIN | PONG, b"unasked"));
    }
    client.connection.send(&frame(FIN | CONTINUATION, b""));
    expect_conversation(&mut client);
    for part in packets.chunks(5) {
        assert_eq!(client.read_control(), (FIN | PONG, part.to_vec()));
    }
    client.expect_nothing();
}

fn many_packets_may_come_in_one_frame(backend: Backend, version: Version) {
    let broker = BrokerProcess::start(backend);
    let mut client = MqttClient::open_web(&broker, version);
    let mut packets = conversation(version);
    let texts: Vec<_> = (0..2000).map(|at| format!("{at}")).collect();
    for text in &texts {
        packets.extend(Publish::new("u", text.as_bytes()).packet(version).bytes());
    }
    let mut other = MqttClient::connect(&broker, version, "other");
    other.subscribe("u", 0);
    client.connection.send(&frame(FIN | BINARY, &packets));
    expect_conversation(&mut client);
    assert_eq!(other.receive_texts(texts.len()), texts);
}

fn frames_may_be_cut_at_every_byte(backend: Backend, version: Version) {
    let broker = BrokerProcess::start(backend);
    let connect = Connect::new(version, "a").packet().bytes();
    let (first, second) = connect.split_at(9);
    let stream = [
        frame(BINARY, first),
        frame(FIN | PING, b"between"),
        frame(FIN | CONTINUATION, second),
        frame(FIN | BINARY, &pingreq().bytes()),
    ]
    .concat();
    let expect_answers = |client: &mut MqttClient| {
        assert_eq!(client.read().connack(version).code, 0);
        assert_eq!(client.read().name(), "PINGRESP");
        assert_eq!(client.read_control(), (FIN | PONG, b"between".to_vec()));
    };
    for cut in 1..stream.len() {
        let mut client = MqttClient::open_web(&broker, version);
        client.connection.send(&stream[..cut]);
        client.connection.send(&stream[cut..]);
        expect_answers(&mut client);
    }
    let mut client = MqttClient::open_web(&broker, version);
    for byte in &stream {
        client.connection.send(&[*byte]);
    }
    expect_answers(&mut client);
}

fn a_client_may_speak_before_it_was_answered(backend: Backend, version: Version) {
    let broker = BrokerProcess::start(backend);
    let mut early = request("GET / HTTP/1.1", &request_headers()).into_bytes();
    early.extend(frame(FIN | BINARY, &conversation(version)));
    let mut connection = Connection::open(broker.address());
    for byte in &early {
        connection.send(&[*byte]);
    }
    let mut client = MqttClient::open_web_on(connection, version);
    expect_conversation(&mut client);
}

fn large_messages_pass_both_ways(backend: Backend, version: Version) {
    let broker = BrokerProcess::start(backend);
    let payload: Vec<u8> =
        (0u32..1 << 18).flat_map(|at| at.wrapping_mul(7919).to_le_bytes()).collect();
    let mut within = web(&broker, version, "within");
    let mut without = MqttClient::connect(&broker, version, "without");
    for qos in 0..3 {
        without.subscribe("up", qos);
        assert!(within.publish(Publish::new("up", payload.clone()).qos(qos)) < 0x80);
        assert!(without.receive().payload == payload, "the same bytes, at QoS {qos}");
        within.subscribe("down", qos);
        assert!(without.publish(Publish::new("down", payload.clone()).qos(qos)) < 0x80);
        assert!(within.receive().payload == payload, "the same bytes, at QoS {qos}");
    }
    let packet = Publish::new("up", payload.clone()).packet(version).bytes();
    for bytes in [999, 65_535, 65_536] {
        for part in packet.chunks(bytes) {
            within.connection.send(&frame(FIN | BINARY, part));
        }
        assert!(without.receive().payload == payload, "the same bytes, in frames of {bytes}");
    }
}

fn a_subscriber_that_reads_late_gets_everything_in_order(backend: Backend, version: Version) {
    const MESSAGE_BYTES: usize = 64 << 10;
    let broker = BrokerProcess::start(backend);
    for qos in [0, 1] {
        let mut late = web(&broker, version, "late");
        late.subscribe("t", qos);
        let mut publisher = MqttClient::connect(&broker, version, "p");
        let count = (20 << 20) / MESSAGE_BYTES;
        for at in 0..count {
            let mut payload = vec![b'x'; MESSAGE_BYTES];
            payload[..8].copy_from_slice(&at.to_be_bytes());
            publisher.publish(Publish::new("t", payload).qos(1));
        }
        // By now the broker has long had to stop writing.
        for at in 0..count {
            let publish = late.receive();
            assert_eq!(publish.payload.len(), MESSAGE_BYTES);
            assert_eq!(publish.payload[..8], at.to_be_bytes(), "in order, at QoS {qos}");
        }
        late.expect_nothing();
        late.send(&disconnect());
        late.expect_close_frame(1000);
    }
}

/// One with a will, and one that hears of it.
#[track_caller]
fn mortal_and_heir(broker: &BrokerProcess, version: Version) -> (MqttClient, MqttClient) {
    let mut heir = MqttClient::connect(broker, version, "heir");
    heir.subscribe("will", 1);
    let connect = Connect::new(version, "mortal").will(Will::new("will", "gone").qos(1));
    (MqttClient::connect_web(broker, &connect), heir)
}

fn a_will_is_published_when_the_socket_vanishes(backend: Backend, version: Version) {
    let broker = BrokerProcess::start(backend);
    let (mortal, mut heir) = mortal_and_heir(&broker, version);
    mortal.vanish();
    heir.expect_message("will", "gone");
}

/// The end of the WebSocket is that of the connection, and no DISCONNECT came.
fn a_will_is_published_when_only_the_web_socket_is_closed(backend: Backend, version: Version) {
    let broker = BrokerProcess::start(backend);
    let (mut mortal, mut heir) = mortal_and_heir(&broker, version);
    mortal.connection.send(&close_frame(1001));
    mortal.expect_close_frame(1001);
    heir.expect_message("will", "gone");
}

fn a_will_is_not_published_after_disconnect(backend: Backend, version: Version) {
    let broker = BrokerProcess::start(backend);
    let (mut mortal, mut heir) = mortal_and_heir(&broker, version);
    // As browsers do: both at once.
    let farewell = frame(FIN | BINARY, &disconnect().bytes());
    mortal.connection.send(&[farewell, close_frame(1000)].concat());
    mortal.expect_close_frame(1000);
    heir.expect_nothing();
}

fn a_session_moves_between_tcp_and_web_socket(backend: Backend, version: Version) {
    let broker = BrokerProcess::start(backend);
    let kept = Connect::persistent(version, "a");
    let mut client = MqttClient::connect_web(&broker, &kept);
    client.subscribe("t", 2);
    client.vanish();
    let mut publisher = MqttClient::connect(&broker, version, "p");
    for (round, text) in ["first", "second", "third", "fourth"].into_iter().enumerate() {
        publisher.publish_text("t", text, 2);
        let mut client = match round % 2 {
            0 => MqttClient::connect_as(&broker, &kept),
            _ => MqttClient::connect_web(&broker, &kept),
        };
        assert!(client.connack.session_present);
        client.expect_message("t", text);
        client.vanish();
    }
}

fn a_client_is_taken_over_from_tcp_and_back(backend: Backend, version: Version) {
    let broker = BrokerProcess::start(backend);
    let mut tcp = MqttClient::connect(&broker, version, "a");
    let mut within = web(&broker, version, "a");
    tcp.expect_disconnect(&[reason::SESSION_TAKEN_OVER]);
    within.expect_nothing();
    let mut tcp = MqttClient::connect(&broker, version, "a");
    expect_ended(&mut within, reason::SESSION_TAKEN_OVER);
    tcp.expect_nothing();
}

/// Fails unless the client is told why, where its version can, and then its WebSocket is closed.
#[track_caller]
fn expect_ended(client: &mut MqttClient, reason: u8) {
    if client.version() == Version::V5 {
        assert_eq!(client.read().disconnect().code, reason);
    }
    client.expect_close_frame(1000);
}

fn a_fault_is_told_before_the_close_frame(backend: Backend, version: Version) {
    let broker = BrokerProcess::start(backend);
    let mut client = web(&broker, version, "a");
    client.send(&Connect::new(version, "a").packet());
    expect_ended(&mut client, reason::PROTOCOL_ERROR);
}

fn the_broker_tells_that_it_stops(backend: Backend, version: Version) {
    let mut broker = BrokerProcess::start(backend);
    let mut client = web(&broker, version, "a");
    let mut unheard = MqttClient::open_web(&broker, version);
    broker.signal(Signal::TERM);
    expect_ended(&mut client, reason::SHUTTING_DOWN);
    unheard.expect_close_frame(1000);
    assert_eq!(broker.wait_for_exit(), Some(0));
}

fn a_silent_client_is_let_go(backend: Backend, version: Version) {
    let broker = BrokerProcess::start(backend);
    let connect = Connect::new(version, "a").keep_alive(1);
    let mut client = MqttClient::connect_web(&broker, &connect);
    expect_ended(&mut client, reason::KEEP_ALIVE_TIMEOUT);
}

/// Keep-alive is between two of MQTT's own packets (MQTT 5.0 §3.1.2.10).
fn pings_of_the_web_socket_are_no_packets(backend: Backend, version: Version) {
    let broker = BrokerProcess::start(backend);
    let connect = Connect::new(version, "a").keep_alive(1);
    let mut client = MqttClient::connect_web(&broker, &connect);
    loop {
        if client.connection.try_send(&frame(FIN | PING, b"p")).is_err() {
            return;
        }
        let (first, payload) = client.read_control();
        if first != FIN | PONG {
            return assert_eq!(payload, 1000u16.to_be_bytes(), "it is closed in order");
        }
        conformance::let_time_pass(std::time::Duration::from_millis(50));
    }
}
