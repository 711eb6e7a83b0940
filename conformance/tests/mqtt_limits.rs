//! The broker's own limits on MQTT: how a client of 5.0 is told of them, and what happens beyond.

use conformance::mqtt::{Connect, MqttClient, MustEnd, Property, Publish, Version, reason};
use conformance::{Backend, BrokerProcess, for_both_backends, for_both_backends_at_once};
use conformance::{JsonClient, Speaks, let_time_pass, wait_until};
use std::time::Duration;

for_both_backends! {
    a_receive_maximum_of_the_broker_is_told_and_holds,
    a_topic_alias_maximum_of_0_is_told_and_holds,
    a_maximum_packet_size_is_told_and_holds,
    client_identifiers_have_a_longest,
    subscriptions_of_a_client_have_a_limit,
    a_filter_that_is_refused_for_one_topic_is_read_for_none,
    topics_have_a_most_of_levels,
    sessions_have_a_limit,
    messages_under_way_to_a_client_have_a_limit,
    a_topic_that_may_not_be_made_is_refused,
}

for_both_backends_at_once! {
    a_keep_alive_beyond_the_brokers_is_told_and_the_brokers_holds,
    a_session_expiry_beyond_the_brokers_is_told_and_the_brokers_holds,
    the_broker_tells_of_itself_to_who_asks,
}

#[track_caller]
fn connect(broker: &BrokerProcess) -> MqttClient {
    MqttClient::connect(broker, Version::V5, "a")
}

/// The broker must have told of this when it accepted the connection.
#[track_caller]
fn check_told(client: &MqttClient, property: &Property) {
    let told = &client.connack.properties;
    assert!(told.contains(property), "expected {property:?} in {told:?}");
}

fn a_receive_maximum_of_the_broker_is_told_and_holds(backend: Backend) {
    let broker = BrokerProcess::start_with(backend, &["--mqtt-receive-max", "2"]);
    let mut client = connect(&broker);
    check_told(&client, &Property::ReceiveMaximum(2));
    for round in 0..3 {
        for id in [1, 2] {
            client.send_publish(&Publish::new("t", format!("{round}")).qos(2).id(id));
            assert!(client.read_ack(0x50, id) < 0x80);
        }
        client.release(1);
        client.release(2);
    }
    for id in [1, 2] {
        client.send_publish(&Publish::new("t", "m").qos(2).id(id));
        assert!(client.read_ack(0x50, id) < 0x80);
    }
    client.send_publish(&Publish::new("t", "m").qos(2).id(3));
    client.expect_disconnect(&[reason::RECEIVE_MAXIMUM_EXCEEDED]);
}

fn a_topic_alias_maximum_of_0_is_told_and_holds(backend: Backend) {
    let broker = BrokerProcess::start_with(backend, &["--mqtt-topic-alias-max", "0"]);
    let client = connect(&broker);
    let maximum = client.connack.properties.iter().find_map(|property| match property {
        Property::TopicAliasMaximum(maximum) => Some(*maximum),
        _ => None,
    });
    assert_eq!(maximum.unwrap_or(0), 0, "saying nothing says 0");
    let mut table = MustEnd::new(&broker, Version::V5);
    let publish = Publish::new("t", "m").property(Property::TopicAlias(1));
    table.packet("an alias", &publish.packet(Version::V5), &[reason::TOPIC_ALIAS_INVALID]);
    table.check();
}

fn a_maximum_packet_size_is_told_and_holds(backend: Backend) {
    let limits = ["--mqtt-packet-bytes-max", "1024"];
    let broker = BrokerProcess::start_with(backend, &limits);
    let mut client = connect(&broker);
    check_told(&client, &Property::MaximumPacketSize(1024));
    // A fixed header of 3, a topic of 3, an empty list of properties, and this: exactly 1024.
    let most = vec![b'x'; 1024 - 3 - 3 - 1];
    client.publish(Publish::new("t", most.clone()));
    client.send_publish(&Publish::new("t", [most, vec![b'x']].concat()));
    client.expect_disconnect(&[reason::PACKET_TOO_LARGE]);
    let mut old = MqttClient::connect(&broker, Version::V311, "old");
    old.send_publish(&Publish::new("t", vec![b'x'; 2000]));
    old.expect_closed();
}

fn client_identifiers_have_a_longest(backend: Backend) {
    let limits = ["--mqtt-client-id-bytes-max", "30"];
    let broker = BrokerProcess::start_with(backend, &limits);
    for (version, code) in [(Version::V311, 0x02), (Version::V5, reason::CLIENT_ID_INVALID)] {
        MqttClient::connect(&broker, version, &"x".repeat(30)).expect_nothing();
        let connect = Connect::new(version, &"x".repeat(31));
        assert_eq!(MqttClient::refused(&broker, &connect), code, "{version:?}");
    }
}

fn subscriptions_of_a_client_have_a_limit(backend: Backend) {
    let limits = ["--mqtt-subscriptions-per-client-max", "2"];
    let broker = BrokerProcess::start_with(backend, &limits);
    for (version, code) in [(Version::V311, 0x80), (Version::V5, 0x97)] {
        let mut client = MqttClient::connect(&broker, version, "a");
        let filters = [("a", 1), ("b", 1), ("c", 1), ("a", 2)];
        assert_eq!(client.subscribe_as(&filters, &[]).codes, [1, 1, code, 2], "{version:?}");
        client.unsubscribe(&["b"]);
        assert_eq!(client.subscribe("c", 1), 1, "there is room again");
    }
}

fn a_filter_that_is_refused_for_one_topic_is_read_for_none(backend: Backend) {
    let broker = BrokerProcess::start_with(backend, &["--subscriptions-per-topic-max", "1"]);
    let mut other = MqttClient::connect(&broker, Version::V5, "b");
    for topic in ["t/0", "t/1", "t/2"] {
        assert_eq!(other.publish(Publish::new(topic, "makes it").qos(1)), 0);
    }
    assert_eq!(other.subscribe("t/1", 1), 1);
    let mut client = connect(&broker);
    assert_eq!(client.subscribe("t/+", 1), 0x97);
    for topic in ["t/0", "t/2", "t/3"] {
        assert_eq!(other.publish(Publish::new(topic, "m").qos(1)), 0);
    }
    client.expect_nothing();
    assert_eq!(client.subscribe("t/2", 1), 1);
    other.publish_text("t/2", "read", 1);
    client.expect_message("t/2", "read");
}

fn topics_have_a_most_of_levels(backend: Backend) {
    let limits = ["--mqtt-topic-levels-max", "3"];
    let broker = BrokerProcess::start_with(backend, &limits);
    for version in [Version::V311, Version::V5] {
        let mut client = MqttClient::connect(&broker, version, "a");
        assert_eq!(client.subscribe("a/+/c", 1), 1);
        assert!(client.subscribe("a/+/c/d", 1) >= 0x80);
        client.publish_text("a/b/c", "m", 1);
        client.expect_message("a/b/c", "m");
    }
    let mut client = connect(&broker);
    let code = client.publish(Publish::new("a/b/c/d", "m").qos(1));
    assert!(code >= 0x80, "expected a refusal, found {code:#04x}");
    client.expect_nothing();
}

fn sessions_have_a_limit(backend: Backend) {
    let broker = BrokerProcess::start_with(backend, &["--mqtt-sessions-max", "1"]);
    let first = connect(&broker);
    for version in [Version::V311, Version::V5] {
        let code = MqttClient::refused(&broker, &Connect::new(version, "b"));
        let least = if version == Version::V5 { 0x80 } else { 0x01 };
        assert!(code >= least, "expected a refusal, found {code:#04x}");
    }
    // Its own session it may have, and leave to another.
    drop(first);
    connect(&broker).disconnect();
    wait_until("room for another session", || {
        let mut client = MqttClient::open(&broker, Version::V311);
        client.send(&Connect::new(Version::V311, "b").packet());
        client.read().connack(Version::V311).code == 0
    });
}

fn messages_under_way_to_a_client_have_a_limit(backend: Backend) {
    let broker = BrokerProcess::start_with(backend, &["--mqtt-in-flight-max", "2"]);
    for version in [Version::V311, Version::V5] {
        let mut client = MqttClient::connect(&broker, version, "a");
        client.subscribe("t", 1);
        for text in ["1", "2", "3", "4"] {
            client.publish_text("t", text, 1);
        }
        let first = client.read_publish();
        let second = client.read_publish();
        client.expect_nothing();
        client.acknowledge(&first);
        client.expect_message("t", "3");
        client.expect_message("t", "4");
        client.acknowledge(&second);
        client.expect_nothing();
    }
}

fn a_topic_that_may_not_be_made_is_refused(backend: Backend) {
    let flags = ["--mqtt-creates-topics", "false"];
    let broker = BrokerProcess::start_with(backend, &flags);
    let mut client = connect(&broker);
    client.subscribe("#", 1);
    for qos in [1, 2] {
        let code = client.publish(Publish::new("t", "m").qos(qos));
        assert!(code >= 0x80, "expected a refusal, found {code:#04x}");
    }
    // Before 5.0 there is no way to say so: it is acknowledged, or the connection ends.
    let mut old = MqttClient::connect(&broker, Version::V311, "old");
    old.send_publish(&Publish::new("t", "m").qos(1).id(1));
    if let Some(received) = old.read_or_end() {
        assert_eq!(received.ack(0x40, Version::V311).id, 1);
    }
    // It has not been accepted, so its identifier is free.
    client.send_publish(&Publish::new("t", "m").qos(2).id(9));
    assert!(client.read_ack(0x50, 9) >= 0x80);
    JsonClient::connect(&broker).create("t").expect("created");
    client.send_publish(&Publish::new("t", "taken").qos(2).id(9));
    assert!(client.read_ack(0x50, 9) < 0x80);
    client.release(9);
    client.expect_message("t", "taken");
    client.expect_nothing();
}

fn a_keep_alive_beyond_the_brokers_is_told_and_the_brokers_holds(backend: Backend) {
    let limits = ["--mqtt-keep-alive-s-max", "1"];
    let broker = BrokerProcess::start_with(backend, &limits);
    let mut clients = Vec::new();
    for (id, asked_s) in [("a", 0), ("b", 2), ("c", u16::MAX)] {
        let connect = Connect::new(Version::V5, id).keep_alive(asked_s);
        let client = MqttClient::connect_as(&broker, &connect);
        check_told(&client, &Property::ServerKeepAlive(1));
        clients.push(client);
    }
    for mut client in clients {
        client.expect_disconnect(&[reason::KEEP_ALIVE_TIMEOUT]);
    }
}

fn a_session_expiry_beyond_the_brokers_is_told_and_the_brokers_holds(backend: Backend) {
    let limits = ["--mqtt-session-expiry-s-max", "1"];
    let broker = BrokerProcess::start_with(backend, &limits);
    for (id, asked_s) in [("a", 2), ("b", u32::MAX)] {
        let connect = Connect::new(Version::V5, id).expiry(asked_s);
        let client = MqttClient::connect_as(&broker, &connect);
        check_told(&client, &Property::SessionExpiry(1));
        client.disconnect();
    }
    let_time_pass(Duration::from_millis(1500));
    for id in ["a", "b"] {
        let client = MqttClient::connect_as(&broker, &Connect::new(Version::V5, id).resuming());
        assert!(!client.connack.session_present, "{id}");
    }
}

fn the_broker_tells_of_itself_to_who_asks(backend: Backend) {
    let broker = BrokerProcess::start_with(backend, &["--mqtt-sys-interval-s", "1"]);
    let mut other = MqttClient::connect(&broker, Version::V311, "other");
    other.subscribe("#", 0);
    let mut client = connect(&broker);
    client.subscribe("$SYS/#", 0);
    assert!(client.receive().topic.starts_with("$SYS/"));
    other.expect_nothing();
}
