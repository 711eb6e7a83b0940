//! MQTT beside the other protocols: the same topics, whoever publishes and whoever reads.

use conformance::mqtt::{Connect, MqttClient, Publish, Version};
use conformance::{BrokerProcess, Host, NativeClient, PUSH, Speaks};
use conformance::{for_all_hosts, for_all_hosts_and_dialects};

for_all_hosts_and_dialects! {
    what_mqtt_publishes_is_pulled,
    what_is_published_reaches_mqtt,
    bytes_that_are_no_text_pass_both_ways,
    a_topic_that_mqtt_made_is_a_topic_as_any,
    a_wildcard_hears_topics_made_later,
    subscriptions_of_mqtt_outlive_the_topic,
    messages_wait_for_mqtt_whoever_published,
    order_is_the_same_for_all,
    properties_do_not_hinder_other_readers,
}

mod pushed {
    use super::*;

    for_all_hosts! {
        what_mqtt_publishes_is_pushed,
    }

    fn what_mqtt_publishes_is_pushed(host: Host) {
        let broker = host.start();
        let mut native = NativeClient::connect(&broker);
        native.create("t").expect("created");
        let (subscription, _) = native.attach("t", "s", PUSH);
        let mut publisher = mqtt(&broker, "p");
        for qos in 0..3 {
            publisher.publish_text("t", "m", qos);
            assert_eq!(native.delivered(subscription).messages, [b"m"]);
        }
    }
}

#[track_caller]
fn mqtt(broker: &BrokerProcess, id: &str) -> MqttClient {
    MqttClient::connect(broker, Version::V5, id)
}

fn what_mqtt_publishes_is_pulled<C: Speaks>(host: Host) {
    let broker = host.start();
    let mut other = C::connect(&broker);
    other.create("t").expect("created");
    other.subscribe("t", "s").expect("subscribed");
    for version in Version::ALL {
        let mut publisher = MqttClient::connect(&broker, version, "p");
        for (qos, text) in (0..).zip(["qos 0", "qos 1", "qos 2"]) {
            publisher.publish_text("t", text, qos);
        }
        let pulled = other.pull("t", "s").expect("pulled");
        assert_eq!(pulled.texts(), ["qos 0", "qos 1", "qos 2"], "by {version:?}");
    }
}

fn what_is_published_reaches_mqtt<C: Speaks>(host: Host) {
    let broker = host.start();
    let mut other = C::connect(&broker);
    other.create("t").expect("created");
    for version in Version::ALL {
        for qos in 0..3 {
            let mut client = MqttClient::connect(&broker, version, "s");
            assert_eq!(client.subscribe("t", qos), qos);
            other.publish("t", "m").expect("published");
            let publish = client.expect_message("t", "m");
            assert!(publish.qos <= qos && !publish.retain, "{publish:?}");
            client.expect_nothing();
        }
    }
}

fn bytes_that_are_no_text_pass_both_ways<C: Speaks>(host: Host) {
    let broker = host.start();
    let mut other = C::connect(&broker);
    other.create("t").expect("created");
    other.subscribe("t", "s").expect("subscribed");
    let mut client = mqtt(&broker, "a");
    client.subscribe("t", 1);
    let bytes = [0x00, 0xFF, 0x80, b'a'];
    client.publish(Publish::new("t", bytes).qos(1));
    assert_eq!(client.receive().payload, bytes);
    other.publish("t", bytes).expect("published");
    assert_eq!(client.receive().payload, bytes);
    assert_eq!(other.pull("t", "s").expect("pulled").messages, [bytes, bytes]);
}

fn a_topic_that_mqtt_made_is_a_topic_as_any<C: Speaks>(host: Host) {
    let broker = host.start();
    mqtt(&broker, "p").publish_text("made/by/mqtt", "first", 1);
    let mut other = C::connect(&broker);
    let topics = other.topics().expect("topics");
    assert!(topics.iter().any(|topic| topic == "made/by/mqtt"), "{topics:?}");
    other.subscribe("made/by/mqtt", "s").expect("subscribed");
    other.publish("made/by/mqtt", "second").expect("published");
    let pulled = other.pull("made/by/mqtt", "s").expect("pulled");
    assert_eq!(pulled.texts().last(), Some(&"second"));
}

fn a_wildcard_hears_topics_made_later<C: Speaks>(host: Host) {
    let broker = host.start();
    let mut client = mqtt(&broker, "a");
    client.subscribe("later/+", 1);
    client.subscribe("exactly", 1);
    let mut other = C::connect(&broker);
    for topic in ["later/made", "exactly", "unheard"] {
        other.create(topic).expect("created");
        other.publish(topic, "m").expect("published");
        if topic != "unheard" {
            client.expect_message(topic, "m");
        }
    }
    client.expect_nothing();
}

fn subscriptions_of_mqtt_outlive_the_topic<C: Speaks>(host: Host) {
    let broker = host.start();
    let mut other = C::connect(&broker);
    let mut client = mqtt(&broker, "a");
    client.subscribe("t", 1);
    client.subscribe("u/#", 1);
    for round in ["first", "second", "third"] {
        for topic in ["t", "u/v"] {
            mqtt(&broker, "p").publish_text(topic, round, 1);
            client.expect_message(topic, round);
            other.delete(topic).expect("deleted");
        }
    }
    client.expect_nothing();
    assert_eq!(client.unsubscribe(&["t"]).codes, [0], "it was there all along");
}

fn messages_wait_for_mqtt_whoever_published<C: Speaks>(host: Host) {
    let broker = host.start();
    let kept = Connect::persistent(Version::V5, "a");
    let mut client = MqttClient::connect_as(&broker, &kept);
    client.subscribe("t", 1);
    client.disconnect();
    let mut other = C::connect(&broker);
    other.create("t").expect("created");
    for text in ["1", "2", "3"] {
        other.publish("t", text).expect("published");
    }
    let mut client = MqttClient::connect_as(&broker, &kept);
    assert!(client.connack.session_present);
    assert_eq!(client.receive_texts(3), ["1", "2", "3"]);
    client.expect_nothing();
}

fn order_is_the_same_for_all<C: Speaks>(host: Host) {
    let broker = host.start();
    let mut other = C::connect(&broker);
    other.create("t").expect("created");
    other.subscribe("t", "s").expect("subscribed");
    let mut client = mqtt(&broker, "a");
    client.subscribe("t", 1);
    let mut publisher = mqtt(&broker, "p");
    let expected: Vec<String> = (0..20).map(|at| format!("{at}")).collect();
    for (at, text) in expected.iter().enumerate() {
        if at % 2 == 0 {
            publisher.publish_text("t", text, 1);
        } else {
            other.publish("t", text).expect("published");
        }
    }
    assert_eq!(client.receive_texts(20), expected);
    assert_eq!(other.pull("t", "s").expect("pulled").texts(), expected);
}

fn properties_do_not_hinder_other_readers<C: Speaks>(host: Host) {
    use conformance::mqtt::Property;
    let broker = host.start();
    let mut other = C::connect(&broker);
    other.create("t").expect("created");
    other.subscribe("t", "s").expect("subscribed");
    let publish = Publish::new("t", "m").qos(2).retained();
    let publish = publish.property(Property::user("key", "value"));
    let publish = publish.property(Property::CorrelationData(vec![0xFF]));
    mqtt(&broker, "p").publish(publish.property(Property::MessageExpiry(60)));
    assert_eq!(other.pull("t", "s").expect("pulled").texts(), ["m"]);
}
