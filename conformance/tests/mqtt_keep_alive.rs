//! Keep-alive: a client that is silent for one and a half times what it promised is let go.

use conformance::mqtt::{Connect, MqttClient, Property, Publish, Version, pingreq, reason};
use conformance::{Backend, BrokerProcess, for_both_mqtt_versions_at_once, let_time_pass};
use std::time::{Duration, Instant};

for_both_mqtt_versions_at_once! {
    a_silent_client_is_let_go_after_one_and_a_half_times_its_keep_alive,
    pings_keep_a_client,
    any_packet_keeps_a_client,
    a_client_without_keep_alive_is_let_be,
    what_the_broker_sends_does_not_keep_a_client,
    the_longest_keep_alive_is_taken,
    a_connection_that_never_says_connect_in_full_is_let_go,
    a_packet_that_never_ends_is_let_go_long_before_the_keep_alive,
}

const BEAT: Duration = Duration::from_millis(600);

/// The keep-alive that holds on a connection which asked for `asked_s`.
fn keep_alive_s(client: &MqttClient, asked_s: u16) -> u16 {
    let told = client.connack.properties.iter().find_map(|property| match property {
        Property::ServerKeepAlive(told_s) => Some(*told_s),
        _ => None,
    });
    told.unwrap_or(asked_s)
}

fn a_silent_client_is_let_go_after_one_and_a_half_times_its_keep_alive(
    backend: Backend,
    version: Version,
) {
    let broker = BrokerProcess::start(backend);
    let start = Instant::now();
    let connect = Connect::new(version, "a").keep_alive(1);
    let mut client = MqttClient::connect_as(&broker, &connect);
    assert_eq!(keep_alive_s(&client, 1), 1, "the broker has no other wish");
    client.expect_disconnect(&[reason::KEEP_ALIVE_TIMEOUT]);
    let passed = start.elapsed();
    assert!(passed >= Duration::from_millis(1500), "not before its time: {passed:?}");
    assert!(passed < Duration::from_secs(8), "not long after its time: {passed:?}");
}

fn pings_keep_a_client(backend: Backend, version: Version) {
    let broker = BrokerProcess::start(backend);
    let connect = Connect::new(version, "a").keep_alive(1);
    let mut client = MqttClient::connect_as(&broker, &connect);
    for _ in 0..4 {
        let_time_pass(BEAT);
        client.expect_nothing();
    }
}

fn any_packet_keeps_a_client(backend: Backend, version: Version) {
    let broker = BrokerProcess::start(backend);
    let connect = Connect::new(version, "a").keep_alive(1);
    let mut client = MqttClient::connect_as(&broker, &connect);
    for _ in 0..4 {
        let_time_pass(BEAT);
        client.send_publish(&Publish::new("t", "m"));
    }
    client.expect_nothing();
}

fn a_client_without_keep_alive_is_let_be(backend: Backend, version: Version) {
    let broker = BrokerProcess::start(backend);
    let connect = Connect::new(version, "a").keep_alive(0);
    let mut silent = MqttClient::connect_as(&broker, &connect);
    let connect = Connect::new(version, "b").keep_alive(1);
    let mut other = MqttClient::connect_as(&broker, &connect);
    // By the time that this one is let go, the other has been silent for longer.
    other.expect_disconnect(&[reason::KEEP_ALIVE_TIMEOUT]);
    silent.expect_nothing();
}

fn what_the_broker_sends_does_not_keep_a_client(backend: Backend, version: Version) {
    let broker = BrokerProcess::start(backend);
    let connect = Connect::new(version, "a").keep_alive(1);
    let mut client = MqttClient::connect_as(&broker, &connect);
    client.subscribe("t", 0);
    let mut publisher = MqttClient::connect(&broker, version, "p");
    let deadline = Instant::now() + conformance::WAIT_MAX;
    loop {
        assert!(Instant::now() < deadline, "it is let go though it receives");
        publisher.send_publish(&Publish::new("t", "m"));
        publisher.expect_nothing();
        match client.read_or_end() {
            Some(received) if received.is_publish() => let_time_pass(Duration::from_millis(50)),
            Some(received) => {
                assert_eq!(received.disconnect().code, reason::KEEP_ALIVE_TIMEOUT);
                return client.expect_closed();
            }
            None => return assert!(version < Version::V5, "DISCONNECT says why"),
        }
    }
}

fn the_longest_keep_alive_is_taken(backend: Backend, version: Version) {
    let broker = BrokerProcess::start(backend);
    let connect = Connect::new(version, "a").keep_alive(u16::MAX);
    MqttClient::connect_as(&broker, &connect).expect_nothing();
}

fn a_connection_that_never_says_connect_in_full_is_let_go(backend: Backend, version: Version) {
    let broker = BrokerProcess::start_with(backend, &["--request-ms-max", "300"]);
    let connect = Connect::new(version, "a").packet().bytes();
    let mut client = MqttClient::open(&broker, version);
    client.connection.send(&connect[..connect.len() - 1]);
    client.read_to_end();
    let mut other = MqttClient::connect(&broker, version, "b");
    other.send(&pingreq());
    assert_eq!(other.read().name(), "PINGRESP");
}

/// One backend waited for the end of the keep-alive, since that was the deadline it knew first.
fn a_packet_that_never_ends_is_let_go_long_before_the_keep_alive(
    backend: Backend,
    version: Version,
) {
    let broker = BrokerProcess::start_with(backend, &["--request-ms-max", "300"]);
    let mut client = MqttClient::connect(&broker, version, "a");
    let publish = Publish::new("t", "m").packet(version).bytes();
    client.connection.send(&publish[..publish.len() - 1]);
    client.expect_disconnect(&[reason::UNSPECIFIED]);
}
