//! What was under way when a connection ended: sent again on the next one, and at no other time.

use conformance::for_both_mqtt_versions;
use conformance::mqtt::{Connect, MqttClient, Publish, Version, puback, pubcomp, pubrec, reason};
use conformance::{Backend, BrokerProcess, for_both_backends};

mod in_each_version {
    use super::*;

    for_both_mqtt_versions! {
        an_unacknowledged_qos_1_message_is_sent_again_on_reconnect,
        an_unacknowledged_qos_2_message_is_sent_again_on_reconnect,
        an_unanswered_pubrel_is_sent_again_on_reconnect,
        messages_are_sent_again_in_their_order,
        messages_are_not_sent_again_within_a_connection,
        what_was_acknowledged_is_not_sent_again,
        what_was_begun_is_completed_although_its_subscription_is_gone,
    }
}

for_both_backends! {
    what_was_refused_is_not_sent_again,
}

/// A subscriber to `t` at QoS 2 whose session outlives its connection.
#[track_caller]
fn subscriber(broker: &BrokerProcess, version: Version) -> MqttClient {
    let mut client = again(broker, version);
    assert_eq!(client.subscribe("t", 2), 2);
    client
}

/// The subscriber, connected once more.
#[track_caller]
fn again(broker: &BrokerProcess, version: Version) -> MqttClient {
    MqttClient::connect_as(broker, &Connect::persistent(version, "s"))
}

#[track_caller]
fn publisher(broker: &BrokerProcess, version: Version) -> MqttClient {
    MqttClient::connect(broker, version, "p")
}

fn an_unacknowledged_qos_1_message_is_sent_again_on_reconnect(backend: Backend, version: Version) {
    let broker = BrokerProcess::start(backend);
    let mut client = subscriber(&broker, version);
    publisher(&broker, version).publish_text("t", "m", 1);
    let first = client.read_publish();
    assert!(!first.dup);
    for _ in 0..2 {
        client.vanish();
        client = again(&broker, version);
        assert!(client.connack.session_present);
        assert_eq!(client.read_publish(), first.clone().again(), "the same, and marked");
    }
    client.send(&puback(first.id));
    client.expect_nothing();
}

fn an_unacknowledged_qos_2_message_is_sent_again_on_reconnect(backend: Backend, version: Version) {
    let broker = BrokerProcess::start(backend);
    let mut client = subscriber(&broker, version);
    publisher(&broker, version).publish_text("t", "m", 2);
    let first = client.read_publish();
    client.vanish();
    let mut client = again(&broker, version);
    let second = client.receive();
    assert_eq!(second, first.again(), "the same, and marked");
    client.expect_nothing();
}

fn an_unanswered_pubrel_is_sent_again_on_reconnect(backend: Backend, version: Version) {
    let broker = BrokerProcess::start(backend);
    let mut client = subscriber(&broker, version);
    publisher(&broker, version).publish_text("t", "m", 2);
    let id = client.read_publish().id;
    client.send(&pubrec(id));
    assert_eq!(client.read_ack(0x62, id), 0);
    for _ in 0..2 {
        client.vanish();
        client = again(&broker, version);
        assert_eq!(client.read_ack(0x62, id), 0, "PUBREL, and not PUBLISH");
    }
    client.send(&pubcomp(id));
    client.expect_nothing();
    client.vanish();
    again(&broker, version).expect_nothing();
}

fn messages_are_sent_again_in_their_order(backend: Backend, version: Version) {
    let broker = BrokerProcess::start(backend);
    let mut client = subscriber(&broker, version);
    let mut publisher = publisher(&broker, version);
    for (at, text) in ["1", "2", "3", "4", "5"].into_iter().enumerate() {
        publisher.publish_text("t", text, 1 + at as u8 % 2);
    }
    let first: Vec<_> = (0..5).map(|_| client.read_publish()).collect();
    client.vanish();
    let mut client = again(&broker, version);
    publisher.publish_text("t", "6", 1);
    let second: Vec<_> = (0..5).map(|_| client.read_publish()).collect();
    let marked: Vec<_> = first.into_iter().map(Publish::again).collect();
    assert_eq!(second, marked);
    for publish in &second {
        client.acknowledge(publish);
    }
    let new = client.expect_message("t", "6");
    assert!(!new.dup, "{new:?}");
}

fn messages_are_not_sent_again_within_a_connection(backend: Backend, version: Version) {
    let broker = BrokerProcess::start(backend);
    let mut client = subscriber(&broker, version);
    publisher(&broker, version).publish_text("t", "m", 1);
    let publish = client.read_publish();
    for _ in 0..3 {
        client.expect_nothing();
    }
    client.acknowledge(&publish);
    client.expect_nothing();
}

fn what_was_acknowledged_is_not_sent_again(backend: Backend, version: Version) {
    let broker = BrokerProcess::start(backend);
    let mut client = subscriber(&broker, version);
    let mut publisher = publisher(&broker, version);
    for qos in 0..3 {
        publisher.publish_text("t", "m", qos);
        client.expect_message("t", "m");
    }
    client.expect_nothing();
    client.vanish();
    again(&broker, version).expect_nothing();
}

/// [MQTT-3.10.4-3].
fn what_was_begun_is_completed_although_its_subscription_is_gone(
    backend: Backend,
    version: Version,
) {
    let broker = BrokerProcess::start(backend);
    let mut client = subscriber(&broker, version);
    let mut publisher = publisher(&broker, version);
    publisher.publish_text("t", "at least once", 1);
    publisher.publish_text("t", "exactly once", 2);
    let (one, two) = (client.read_publish(), client.read_publish());
    client.unsubscribe(&["t"]);
    publisher.publish_text("t", "not subscribed to", 1);
    client.vanish();
    let mut client = again(&broker, version);
    assert_eq!(client.read_publish(), one.clone().again());
    assert_eq!(client.read_publish(), two.clone().again());
    client.send(&puback(one.id));
    client.send(&pubrec(two.id));
    assert_eq!(client.read_ack(0x62, two.id), 0);
    client.send(&pubcomp(two.id));
    client.expect_nothing();
    client.vanish();
    again(&broker, version).expect_nothing();
}

fn what_was_refused_is_not_sent_again(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let mut client = subscriber(&broker, Version::V5);
    let mut publisher = publisher(&broker, Version::V5);
    publisher.publish_text("t", "1", 1);
    publisher.publish_text("t", "2", 2);
    let first = client.read_publish();
    let second = client.read_publish();
    client.send(&puback(first.id).u8(reason::UNSPECIFIED));
    client.send(&pubrec(second.id).u8(reason::UNSPECIFIED));
    client.expect_nothing();
    client.vanish();
    let mut client = again(&broker, Version::V5);
    assert!(client.connack.session_present);
    client.expect_nothing();
}
