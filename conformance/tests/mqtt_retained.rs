//! Retained messages: set, replaced, cleared, given to new subscriptions, and kept.

use conformance::mqtt::{Connect, MqttClient, Property, Publish, Version};
use conformance::{
    Backend, BrokerProcess, DataDir, for_both_backends, for_both_backends_at_once, let_time_pass,
};
use std::time::Duration;

mod in_each_version {
    use super::*;
    use conformance::for_both_mqtt_versions;

    for_both_mqtt_versions! {
        a_new_subscription_is_given_the_retained_message,
        a_later_message_replaces_the_retained_one,
        a_message_that_is_not_retained_leaves_the_retained_one,
        an_empty_message_clears_the_retained_one,
        an_empty_retained_message_reaches_who_is_subscribed,
        clearing_what_is_not_there_is_nothing,
        a_wildcard_finds_all_retained_messages,
        a_wildcard_finds_no_retained_messages_of_dollar_topics,
        the_flag_tells_old_from_new,
        retained_messages_come_at_the_lesser_qos,
        subscribing_again_brings_retained_messages_again,
        each_filter_of_a_subscribe_brings_its_retained_messages,
        a_retained_message_outlives_its_publisher,
        a_retained_message_is_no_part_of_a_session,
        retained_messages_are_there_again_after_a_restart,
        a_retained_message_waits_for_its_acknowledgement_as_any_other,
        a_retained_message_is_published_to_the_rest_at_once,
        a_retained_message_of_qos_0_is_kept,
        many_retained_messages_all_come,
    }
}

for_both_backends! {
    the_properties_of_a_retained_message_are_kept,
    retained_messages_of_one_version_reach_the_other,
}

for_both_backends_at_once! {
    a_retained_message_expires,
    the_expiry_of_a_retained_message_is_counted_down,
}

#[track_caller]
fn retain(broker: &BrokerProcess, version: Version, topic: &str, text: &str, qos: u8) {
    let mut client = MqttClient::connect(broker, version, "p");
    let code = client.publish(Publish::new(topic, text).qos(qos).retained());
    assert!(code < 0x80, "retained: {code:#04x}");
}

/// What a new subscription to `filter` is given at once: topics and texts, in order of topic.
#[track_caller]
fn check_held(broker: &BrokerProcess, version: Version, filter: &str, held: &[(&str, &str)]) {
    let mut client = MqttClient::connect(broker, version, "reader");
    client.subscribe(filter, 2);
    let mut found: Vec<_> = held.iter().map(|_| client.receive()).collect();
    found.sort_by(|one, other| one.topic.cmp(&other.topic));
    for (publish, expected) in found.iter().zip(held) {
        assert_eq!((publish.topic.as_str(), publish.text()), *expected);
        assert!(publish.retain && !publish.dup, "{publish:?}");
    }
    client.expect_nothing();
}

fn a_new_subscription_is_given_the_retained_message(backend: Backend, version: Version) {
    let broker = BrokerProcess::start(backend);
    for qos in 0..3 {
        retain(&broker, version, "t", TEXTS[usize::from(qos)], qos);
        check_held(&broker, version, "t", &[("t", TEXTS[usize::from(qos)])]);
    }
}

const TEXTS: [&str; 3] = ["qos 0", "qos 1", "qos 2"];

fn a_later_message_replaces_the_retained_one(backend: Backend, version: Version) {
    let broker = BrokerProcess::start(backend);
    for (qos, text) in [(2, "first"), (0, "second"), (1, "third")] {
        retain(&broker, version, "t", text, qos);
    }
    check_held(&broker, version, "t", &[("t", "third")]);
}

fn a_message_that_is_not_retained_leaves_the_retained_one(backend: Backend, version: Version) {
    let broker = BrokerProcess::start(backend);
    retain(&broker, version, "t", "kept", 1);
    MqttClient::connect(&broker, version, "p").publish_text("t", "passing", 1);
    MqttClient::connect(&broker, version, "p").publish_text("t", "", 1);
    check_held(&broker, version, "t", &[("t", "kept")]);
}

fn an_empty_message_clears_the_retained_one(backend: Backend, version: Version) {
    let broker = BrokerProcess::start(backend);
    for qos in 0..3 {
        retain(&broker, version, "t", "kept", 1);
        retain(&broker, version, "other", "kept", 1);
        retain(&broker, version, "t", "", qos);
        check_held(&broker, version, "#", &[("other", "kept")]);
    }
}

fn an_empty_retained_message_reaches_who_is_subscribed(backend: Backend, version: Version) {
    let broker = BrokerProcess::start(backend);
    retain(&broker, version, "t", "kept", 1);
    let mut client = MqttClient::connect(&broker, version, "s");
    client.subscribe("t", 1);
    client.expect_message("t", "kept");
    retain(&broker, version, "t", "", 1);
    assert!(!client.expect_message("t", "").retain, "it is a new message to it");
    client.expect_nothing();
}

fn clearing_what_is_not_there_is_nothing(backend: Backend, version: Version) {
    let broker = BrokerProcess::start(backend);
    for _ in 0..2 {
        retain(&broker, version, "t", "", 1);
        check_held(&broker, version, "#", &[]);
    }
}

fn a_wildcard_finds_all_retained_messages(backend: Backend, version: Version) {
    let broker = BrokerProcess::start(backend);
    let topics = ["/TopicA", "Topic/C", "TopicA", "TopicA/B", "TopicA/C"];
    for topic in topics {
        retain(&broker, version, topic, topic, 1);
    }
    let cases: [(&str, &[&str]); 7] = [
        ("#", &topics),
        ("+/+", &["/TopicA", "Topic/C", "TopicA/B", "TopicA/C"]),
        ("TopicA/+", &["TopicA/B", "TopicA/C"]),
        ("+/C", &["Topic/C", "TopicA/C"]),
        ("/#", &["/TopicA"]),
        ("TopicA/#", &["TopicA", "TopicA/B", "TopicA/C"]),
        ("+", &["TopicA"]),
    ];
    for (filter, matching) in cases {
        let held: Vec<(&str, &str)> = matching.iter().map(|topic| (*topic, *topic)).collect();
        check_held(&broker, version, filter, &held);
    }
}

fn a_wildcard_finds_no_retained_messages_of_dollar_topics(backend: Backend, version: Version) {
    let broker = BrokerProcess::start(backend);
    let mut client = MqttClient::connect(&broker, version, "p");
    // A broker need not take it.
    client.send_publish(&Publish::new("$TopicA/B", "hidden").retained());
    retain(&broker, version, "TopicA/B", "plain", 1);
    check_held(&broker, version, "#", &[("TopicA/B", "plain")]);
    check_held(&broker, version, "+/B", &[("TopicA/B", "plain")]);
}

fn the_flag_tells_old_from_new(backend: Backend, version: Version) {
    let broker = BrokerProcess::start(backend);
    retain(&broker, version, "t", "old", 1);
    let mut client = MqttClient::connect(&broker, version, "s");
    client.subscribe("t", 1);
    assert!(client.expect_message("t", "old").retain);
    retain(&broker, version, "t", "new", 1);
    assert!(!client.expect_message("t", "new").retain);
    client.expect_nothing();
}

fn retained_messages_come_at_the_lesser_qos(backend: Backend, version: Version) {
    let broker = BrokerProcess::start(backend);
    for published in 0..3 {
        retain(&broker, version, "t", "m", published);
        for granted in 0..3 {
            let mut client = MqttClient::connect(&broker, version, "s");
            client.subscribe("t", granted);
            let qos = client.expect_message("t", "m").qos;
            assert_eq!(qos, published.min(granted), "{published} to {granted}");
        }
    }
}

fn subscribing_again_brings_retained_messages_again(backend: Backend, version: Version) {
    let broker = BrokerProcess::start(backend);
    retain(&broker, version, "t", "m", 1);
    let mut client = MqttClient::connect(&broker, version, "s");
    for qos in [0, 1, 1, 0] {
        client.subscribe("t", qos);
        let publish = client.expect_message("t", "m");
        assert!(publish.retain && publish.qos == qos, "{publish:?}");
        client.expect_nothing();
    }
}

fn each_filter_of_a_subscribe_brings_its_retained_messages(backend: Backend, version: Version) {
    let broker = BrokerProcess::start(backend);
    for topic in ["a", "b", "c"] {
        retain(&broker, version, topic, "m", 1);
    }
    let mut client = MqttClient::connect(&broker, version, "s");
    client.subscribe_as(&[("a", 0), ("none", 1), ("c", 1)], &[]);
    let mut found =
        [client.receive(), client.receive()].map(|publish| (publish.topic, publish.qos));
    found.sort();
    assert_eq!(found, [("a".to_owned(), 0), ("c".to_owned(), 1)]);
    client.expect_nothing();
}

fn a_retained_message_outlives_its_publisher(backend: Backend, version: Version) {
    let broker = BrokerProcess::start(backend);
    let mut publisher = MqttClient::connect(&broker, version, "p");
    publisher.publish(Publish::new("t", "m").qos(1).retained());
    publisher.vanish();
    MqttClient::connect(&broker, version, "p").disconnect();
    check_held(&broker, version, "t", &[("t", "m")]);
}

fn a_retained_message_is_no_part_of_a_session(backend: Backend, version: Version) {
    let broker = BrokerProcess::start(backend);
    let persistent = Connect::persistent(version, "s");
    let mut client = MqttClient::connect_as(&broker, &persistent);
    retain(&broker, version, "t", "m", 1);
    client.subscribe("t", 1);
    client.expect_message("t", "m");
    client.disconnect();
    // Going on with a session is not subscribing.
    MqttClient::connect_as(&broker, &persistent).expect_nothing();
    MqttClient::connect(&broker, version, "s").disconnect();
    check_held(&broker, version, "t", &[("t", "m")]);
}

fn retained_messages_are_there_again_after_a_restart(backend: Backend, version: Version) {
    let data = DataDir::new();
    let mut broker = BrokerProcess::start_on(backend, &data, &[]);
    retain(&broker, version, "a", "first", 1);
    retain(&broker, version, "a", "second", 2);
    retain(&broker, version, "b/c", "kept", 1);
    retain(&broker, version, "gone", "cleared", 1);
    retain(&broker, version, "gone", "", 1);
    assert_eq!(broker.terminate(), Some(0));
    let broker = BrokerProcess::start_on(backend, &data, &[]);
    check_held(&broker, version, "#", &[("a", "second"), ("b/c", "kept")]);
    drop(broker);
}

fn a_retained_message_waits_for_its_acknowledgement_as_any_other(
    backend: Backend,
    version: Version,
) {
    let broker = BrokerProcess::start(backend);
    retain(&broker, version, "t", "m", 2);
    let persistent = Connect::persistent(version, "s");
    let mut client = MqttClient::connect_as(&broker, &persistent);
    client.subscribe("t", 2);
    let first = client.read_publish();
    assert!(first.retain);
    client.vanish();
    let mut client = MqttClient::connect_as(&broker, &persistent);
    assert_eq!(client.receive(), first.again());
    client.expect_nothing();
}

fn a_retained_message_is_published_to_the_rest_at_once(backend: Backend, version: Version) {
    let broker = BrokerProcess::start(backend);
    let mut client = MqttClient::connect(&broker, version, "s");
    client.subscribe("t/#", 2);
    for (qos, text) in (0..).zip(TEXTS) {
        retain(&broker, version, "t/1", text, qos);
        let publish = client.expect_message("t/1", text);
        assert!(!publish.retain && publish.qos == qos, "{publish:?}");
    }
}

fn a_retained_message_of_qos_0_is_kept(backend: Backend, version: Version) {
    let broker = BrokerProcess::start(backend);
    let mut publisher = MqttClient::connect(&broker, version, "p");
    // A broker may forget one of QoS 0; this one does not while it runs.
    publisher.send_publish(&Publish::new("t", "m").retained());
    publisher.expect_nothing();
    check_held(&broker, version, "t", &[("t", "m")]);
}

fn many_retained_messages_all_come(backend: Backend, version: Version) {
    let broker = BrokerProcess::start(backend);
    let mut publisher = MqttClient::connect(&broker, version, "p");
    let topics: Vec<String> = (0..200).map(|at| format!("t/{at:03}")).collect();
    for topic in &topics {
        publisher.send_publish(&Publish::new(topic, topic.as_str()).retained());
    }
    publisher.expect_nothing();
    let held: Vec<(&str, &str)> = topics.iter().map(|topic| (&topic[..], &topic[..])).collect();
    check_held(&broker, version, "t/+", &held);
}

fn the_properties_of_a_retained_message_are_kept(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let properties = vec![
        Property::PayloadFormat(1),
        Property::ContentType("text/plain".into()),
        Property::ResponseTopic("answers".into()),
        Property::CorrelationData(vec![0, 1, 0xFF]),
        Property::user("a", "2"),
        Property::user("c", "3"),
        Property::user("a", "1"),
    ];
    let mut publish = Publish::new("t", "m").qos(1).retained();
    publish.properties = properties.clone();
    MqttClient::connect(&broker, Version::V5, "p").publish(publish);
    let mut client = MqttClient::connect(&broker, Version::V5, "s");
    client.subscribe("t", 1);
    let mut found = client.expect_message("t", "m").properties;
    found.sort_by_key(Property::id);
    assert_eq!(found, properties, "the order of user properties among them");
}

fn a_retained_message_expires(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let mut publisher = MqttClient::connect(&broker, Version::V5, "p");
    let retained = |topic| Publish::new(topic, "m").qos(1).retained();
    publisher.publish(retained("short").property(Property::MessageExpiry(1)));
    publisher.publish(retained("long").property(Property::MessageExpiry(60)));
    publisher.publish(retained("never"));
    let_time_pass(Duration::from_millis(1300));
    check_held(&broker, Version::V5, "#", &[("long", "m"), ("never", "m")]);
    check_held(&broker, Version::V5, "short", &[]);
}

fn the_expiry_of_a_retained_message_is_counted_down(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let mut publisher = MqttClient::connect(&broker, Version::V5, "p");
    let retained = Publish::new("t", "m").qos(1).retained();
    publisher.publish(retained.property(Property::MessageExpiry(60)));
    let_time_pass(Duration::from_millis(1100));
    let mut client = MqttClient::connect(&broker, Version::V5, "s");
    client.subscribe("t", 1);
    let expiry_s = client.expect_message("t", "m").expiry_s().expect("it expires");
    assert!((50..60).contains(&expiry_s), "about a second less than 60, not {expiry_s}");
}

fn retained_messages_of_one_version_reach_the_other(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    for publisher in Version::ALL {
        let mut client = MqttClient::connect(&broker, publisher, "p");
        client.publish(Publish::new("t", publisher.name()).qos(1).retained());
        for subscriber in Version::ALL {
            check_held(&broker, subscriber, "t", &[("t", publisher.name())]);
        }
    }
}
