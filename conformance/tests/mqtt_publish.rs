//! PUBLISH and its acknowledgements, in both directions and at every quality of service.

use conformance::for_both_mqtt_versions;
use conformance::mqtt::{Connect, MqttClient, Publish, Version};
use conformance::mqtt::{packet, pubcomp, pubrec, pubrel, reason};
use conformance::{Backend, BrokerProcess};

for_both_mqtt_versions! {
    a_message_comes_at_the_lesser_of_the_two_qos,
    the_sender_receives_its_own_message,
    a_qos_1_message_is_answered_with_its_packet_id,
    a_qos_1_packet_id_is_free_again_after_puback,
    a_qos_2_message_is_taken_once_however_often_it_is_sent,
    a_qos_2_packet_id_is_free_again_after_pubcomp,
    a_qos_2_message_sent_again_after_a_reconnect_is_taken_once,
    pubrel_of_what_is_not_known_is_answered,
    dup_is_not_passed_on,
    packet_ids_of_the_two_directions_do_not_meet,
    several_messages_may_be_under_way,
    any_packet_id_but_0_is_taken,
    a_message_may_be_empty,
    a_message_is_passed_on_byte_for_byte,
    a_large_message_is_passed_on,
    many_messages_come_in_order,
    many_packets_may_come_in_one_write,
    messages_that_nobody_is_subscribed_to_are_answered,
    a_dollar_topic_that_is_the_brokers_own_may_not_upset_it,
    a_long_topic_name_is_passed_on,
    a_topic_name_may_be_any_text,
    acknowledgements_of_what_was_not_sent_end_nothing_that_works,
}

const TEXTS: [&str; 3] = ["qos 0", "qos 1", "qos 2"];

/// A subscriber to `t` at QoS 2 whose session outlives its connection.
#[track_caller]
fn subscriber(broker: &BrokerProcess, version: Version) -> MqttClient {
    let mut client = MqttClient::connect_as(broker, &Connect::persistent(version, "s"));
    assert_eq!(client.subscribe("t", 2), 2);
    client
}

#[track_caller]
fn publisher(broker: &BrokerProcess, version: Version) -> MqttClient {
    MqttClient::connect(broker, version, "p")
}

fn a_message_comes_at_the_lesser_of_the_two_qos(backend: Backend, version: Version) {
    let broker = BrokerProcess::start(backend);
    let mut publisher = publisher(&broker, version);
    for granted in 0..3 {
        let mut subscriber = MqttClient::connect(&broker, version, "s");
        assert_eq!(subscriber.subscribe("t", granted), granted);
        for published in 0..3 {
            let text = TEXTS[usize::from(published)];
            publisher.publish_text("t", text, published);
            let publish = subscriber.expect_message("t", text);
            assert_eq!(publish.qos, granted.min(published), "{published} to {granted}");
            assert!(!publish.dup && !publish.retain, "{publish:?}");
        }
        subscriber.expect_nothing();
    }
}

fn the_sender_receives_its_own_message(backend: Backend, version: Version) {
    let broker = BrokerProcess::start(backend);
    let mut client = MqttClient::connect(&broker, version, "a");
    client.subscribe("t", 2);
    for (qos, text) in (0..).zip(TEXTS) {
        client.publish_text("t", text, qos);
        assert_eq!(client.expect_message("t", text).qos, qos);
    }
    client.expect_nothing();
}

fn a_qos_1_message_is_answered_with_its_packet_id(backend: Backend, version: Version) {
    let broker = BrokerProcess::start(backend);
    let mut client = publisher(&broker, version);
    for id in [19, 7, 0xFFFF] {
        client.send_publish(&Publish::new("t", "m").qos(1).id(id));
        assert!(client.read_ack(0x40, id) < 0x80);
    }
    client.expect_nothing();
}

fn a_qos_1_packet_id_is_free_again_after_puback(backend: Backend, version: Version) {
    let broker = BrokerProcess::start(backend);
    let mut subscriber = subscriber(&broker, version);
    let mut client = publisher(&broker, version);
    let publish = Publish::new("t", "m").qos(1).id(5);
    // Whether it says so or not: it is a new message.
    for publish in [publish.clone(), publish.clone(), publish.again()] {
        client.send_publish(&publish);
        assert!(client.read_ack(0x40, 5) < 0x80);
        subscriber.expect_message("t", "m");
    }
}

fn a_qos_2_message_is_taken_once_however_often_it_is_sent(backend: Backend, version: Version) {
    let broker = BrokerProcess::start(backend);
    let mut subscriber = subscriber(&broker, version);
    let mut client = publisher(&broker, version);
    let publish = Publish::new("t", "once").qos(2).id(5);
    client.send_publish(&publish);
    assert!(client.read_ack(0x50, 5) < 0x80);
    for _ in 0..2 {
        client.send_publish(&publish.clone().again());
        assert!(client.read_ack(0x50, 5) < 0x80);
    }
    client.release(5);
    // The answer to a release may be lost as well.
    client.send(&pubrel(5));
    client.read_ack(0x70, 5);
    subscriber.expect_message("t", "once");
    client.publish_text("t", "next", 1);
    subscriber.expect_message("t", "next");
}

fn a_qos_2_packet_id_is_free_again_after_pubcomp(backend: Backend, version: Version) {
    let broker = BrokerProcess::start(backend);
    let mut subscriber = subscriber(&broker, version);
    let mut client = publisher(&broker, version);
    for text in ["first", "second"] {
        client.send_publish(&Publish::new("t", text).qos(2).id(5));
        assert!(client.read_ack(0x50, 5) < 0x80);
        client.release(5);
        subscriber.expect_message("t", text);
    }
}

fn a_qos_2_message_sent_again_after_a_reconnect_is_taken_once(backend: Backend, version: Version) {
    let broker = BrokerProcess::start(backend);
    let mut subscriber = subscriber(&broker, version);
    let connect = Connect::persistent(version, "p");
    let publish = Publish::new("t", "once").qos(2).id(5);
    let mut client = MqttClient::connect_as(&broker, &connect);
    client.send_publish(&publish);
    assert!(client.read_ack(0x50, 5) < 0x80);
    client.vanish();
    let mut client = MqttClient::connect_as(&broker, &connect);
    assert!(client.connack.session_present);
    client.send_publish(&publish.again());
    assert!(client.read_ack(0x50, 5) < 0x80);
    client.vanish();
    let mut client = MqttClient::connect_as(&broker, &connect);
    client.release(5);
    subscriber.expect_message("t", "once");
    client.publish_text("t", "next", 1);
    subscriber.expect_message("t", "next");
}

fn pubrel_of_what_is_not_known_is_answered(backend: Backend, version: Version) {
    let broker = BrokerProcess::start(backend);
    let mut client = publisher(&broker, version);
    client.send(&pubrel(77));
    let code = client.read_ack(0x70, 77);
    let expected = if version == Version::V5 { reason::ID_NOT_FOUND } else { 0 };
    assert_eq!(code, expected);
    client.expect_nothing();
}

fn dup_is_not_passed_on(backend: Backend, version: Version) {
    let broker = BrokerProcess::start(backend);
    let mut subscriber = subscriber(&broker, version);
    let mut client = publisher(&broker, version);
    for qos in 1..3 {
        client.publish(Publish::new("t", "m").qos(qos).again());
        assert!(!subscriber.expect_message("t", "m").dup);
    }
}

fn packet_ids_of_the_two_directions_do_not_meet(backend: Backend, version: Version) {
    let broker = BrokerProcess::start(backend);
    let mut client = MqttClient::connect(&broker, version, "a");
    client.subscribe("t", 1);
    client.publish_text("t", "first", 1);
    let first = client.read_publish();
    // The broker's message is still under way when the client uses the same identifier.
    client.send_publish(&Publish::new("t", "second").qos(1).id(first.id));
    assert!(client.read_ack(0x40, first.id) < 0x80);
    client.acknowledge(&first);
    let second = client.receive();
    assert_eq!((second.text(), second.dup), ("second", false));
    client.expect_nothing();
}

fn several_messages_may_be_under_way(backend: Backend, version: Version) {
    let broker = BrokerProcess::start(backend);
    let mut subscriber = subscriber(&broker, version);
    let mut client = publisher(&broker, version);
    for id in 1..=4 {
        client.send_publish(&Publish::new("t", format!("{id}")).qos(2).id(id));
    }
    for id in 1..=4 {
        assert!(client.read_ack(0x50, id) < 0x80, "acknowledged in order");
    }
    for id in 1..=4 {
        client.send(&pubrel(id));
    }
    for id in 1..=4 {
        assert_eq!(client.read_ack(0x70, id), 0, "released in order");
    }
    let got: Vec<_> = (0..4).map(|_| subscriber.read_publish()).collect();
    let texts: Vec<_> = got.iter().map(Publish::text).collect();
    assert_eq!(texts, ["1", "2", "3", "4"]);
    let mut ids: Vec<_> = got.iter().map(|publish| publish.id).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 4, "an identifier for each: {got:?}");
    for publish in &got {
        subscriber.send(&pubrec(publish.id));
    }
    for publish in &got {
        assert_eq!(subscriber.read_ack(0x62, publish.id), 0);
        subscriber.send(&pubcomp(publish.id));
    }
    subscriber.expect_nothing();
}

fn any_packet_id_but_0_is_taken(backend: Backend, version: Version) {
    let broker = BrokerProcess::start(backend);
    let mut client = publisher(&broker, version);
    for id in [1, 0x00FF, 0x0100, 0x7FFF, 0x8000, 0xFFFF] {
        client.send_publish(&Publish::new("t", "m").qos(2).id(id));
        assert!(client.read_ack(0x50, id) < 0x80);
        client.release(id);
    }
}

fn a_message_may_be_empty(backend: Backend, version: Version) {
    let broker = BrokerProcess::start(backend);
    let mut subscriber = subscriber(&broker, version);
    let mut client = publisher(&broker, version);
    for qos in 0..3 {
        client.publish_text("t", "", qos);
        assert_eq!(subscriber.expect_message("t", "").qos, qos);
    }
}

fn a_message_is_passed_on_byte_for_byte(backend: Backend, version: Version) {
    let broker = BrokerProcess::start(backend);
    let mut subscriber = subscriber(&broker, version);
    let mut client = publisher(&broker, version);
    let payload: Vec<u8> = (0..=255).chain((0..=255).rev()).collect();
    client.publish(Publish::new("t", payload.clone()).qos(1));
    assert_eq!(subscriber.receive().payload, payload);
}

fn a_large_message_is_passed_on(backend: Backend, version: Version) {
    let broker = BrokerProcess::start(backend);
    let mut subscriber = subscriber(&broker, version);
    let mut client = publisher(&broker, version);
    // About where the length takes a byte more, and one well past a socket's buffer.
    for length in [100, 110, 120, 130, 16_300, 16_400, 900_000] {
        let payload: Vec<u8> = (0..length).map(|at| (at % 251) as u8).collect();
        client.publish(Publish::new("t", payload.clone()).qos(1));
        assert!(subscriber.receive().payload == payload, "{length} bytes come as they were sent");
    }
}

fn many_messages_come_in_order(backend: Backend, version: Version) {
    let broker = BrokerProcess::start(backend);
    let mut subscriber = subscriber(&broker, version);
    let mut client = publisher(&broker, version);
    for qos in 0..3 {
        for at in 0..50 {
            client.publish_text("t", &format!("{at}"), qos);
        }
        let expected: Vec<_> = (0..50).map(|at| format!("{at}")).collect();
        assert_eq!(subscriber.receive_texts(50), expected, "at QoS {qos}");
    }
}

fn many_packets_may_come_in_one_write(backend: Backend, version: Version) {
    let broker = BrokerProcess::start(backend);
    let mut subscriber = subscriber(&broker, version);
    let mut client = publisher(&broker, version);
    let mut bytes = Vec::new();
    for id in 1..=10 {
        let publish = Publish::new("t", format!("{id}")).qos(1).id(id);
        bytes.extend(publish.packet(version).bytes());
    }
    let (head, tail) = bytes.split_at(bytes.len() / 2 + 1);
    client.connection.send(head);
    client.connection.send(tail);
    for id in 1..=10 {
        assert!(client.read_ack(0x40, id) < 0x80);
        subscriber.expect_message("t", &format!("{id}"));
    }
}

fn messages_that_nobody_is_subscribed_to_are_answered(backend: Backend, version: Version) {
    let broker = BrokerProcess::start(backend);
    let mut client = publisher(&broker, version);
    for qos in 0..3 {
        let code = client.publish(Publish::new("nobody", "m").qos(qos));
        let none = version == Version::V5 && code == reason::NO_MATCHING_SUBSCRIBERS;
        assert!(code == 0 || none, "success, or that nobody has it: {code:#04x}");
    }
}

fn a_dollar_topic_that_is_the_brokers_own_may_not_upset_it(backend: Backend, version: Version) {
    let broker = BrokerProcess::start(backend);
    for topic in ["$SYS/broker/uptime", "$SYS", "$", "$share", "$share/g/t"] {
        for qos in 0..3 {
            let mut client = publisher(&broker, version);
            client.send_publish(&Publish::new(topic, "forged").qos(qos));
            client.connection.finish_sending();
            // Whether it is refused, dropped or taken is the broker's own business.
            while client.read_or_end().is_some() {}
        }
    }
    let mut subscriber = MqttClient::connect(&broker, version, "s");
    subscriber.subscribe("#", 0);
    publisher(&broker, version).publish_text("t", "m", 1);
    subscriber.expect_message("t", "m");
}

fn a_long_topic_name_is_passed_on(backend: Backend, version: Version) {
    let broker = BrokerProcess::start(backend);
    let mut subscriber = MqttClient::connect(&broker, version, "s");
    let mut client = publisher(&broker, version);
    for length in [127, 128, 200] {
        let topic = "t".repeat(length);
        subscriber.subscribe(&topic, 1);
        client.publish_text(&topic, "m", 1);
        subscriber.expect_message(&topic, "m");
    }
}

fn a_topic_name_may_be_any_text(backend: Backend, version: Version) {
    let broker = BrokerProcess::start(backend);
    let mut subscriber = MqttClient::connect(&broker, version, "s");
    let mut client = publisher(&broker, version);
    let names = ["/", "//", "a b", " ", "/a/", "\u{feff}a", "a", "A", "ümlaut/\u{1f980}", "a/$b"];
    for name in names {
        assert_eq!(subscriber.subscribe(name, 1), 1, "{name:?}");
        client.publish_text(name, name, 1);
        subscriber.expect_message(name, name);
    }
    subscriber.expect_nothing();
}

fn acknowledgements_of_what_was_not_sent_end_nothing_that_works(
    backend: Backend,
    version: Version,
) {
    let broker = BrokerProcess::start(backend);
    for first in [0x40, 0x50, 0x70] {
        let mut client = MqttClient::connect(&broker, version, "a");
        client.send(&packet(first).u16(99));
        client.connection.finish_sending();
        // Neither is named by the standards; PUBREC may be answered with PUBREL.
        while client.read_or_end().is_some() {}
    }
    let mut subscriber = subscriber(&broker, version);
    publisher(&broker, version).publish_text("t", "m", 2);
    subscriber.expect_message("t", "m");
}
