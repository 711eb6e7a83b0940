//! Properties of messages in MQTT 5.0 on their way through the broker, and message expiry.

use conformance::mqtt::{Connect, MqttClient, Property, Publish, Version, disconnect, packet};
use conformance::{
    Backend, BrokerProcess, for_both_backends, for_both_backends_at_once, let_time_pass,
};
use std::time::Duration;

for_both_backends! {
    all_properties_of_a_message_are_passed_on,
    user_properties_are_passed_on_in_their_order,
    a_message_without_properties_has_none,
    a_payload_that_is_not_what_its_format_says_does_not_upset_the_broker,
    properties_may_be_long,
    strings_may_hold_any_text,
    properties_do_not_reach_3_1_1,
    messages_of_3_1_1_have_no_properties,
    properties_of_messages_that_waited_are_passed_on,
    properties_of_messages_sent_again_are_the_same,
    an_expiry_is_passed_on,
    an_expiry_of_0_expires_at_once_or_reaches_who_is_there,
    no_reason_is_told_to_who_asked_for_none,
    response_information_may_be_asked_for,
}

for_both_backends_at_once! {
    an_expiry_is_counted_down_while_a_message_waits,
    a_message_that_expired_is_not_delivered,
    messages_that_expire_leave_the_others_in_order,
    a_message_that_expired_is_not_sent_after_the_window_was_full,
    a_message_under_way_is_sent_again_though_it_expired,
    a_qos_2_exchange_is_finished_though_its_message_expired,
    a_message_that_expires_for_3_1_1_is_not_delivered_either,
}

/// Longer than an expiry of a second.
const EXPIRED: Duration = Duration::from_millis(1300);

#[track_caller]
fn connect(broker: &BrokerProcess, id: &str) -> MqttClient {
    MqttClient::connect(broker, Version::V5, id)
}

#[track_caller]
fn subscriber(broker: &BrokerProcess) -> MqttClient {
    let mut client = MqttClient::connect_as(broker, &Connect::persistent(Version::V5, "s"));
    client.subscribe("t", 2);
    client
}

fn with(text: &str, properties: &[Property]) -> Publish {
    let mut publish = Publish::new("t", text).qos(1);
    publish.properties = properties.to_vec();
    publish
}

/// Every property that a message may have, in order of their identifiers.
fn all() -> Vec<Property> {
    vec![
        Property::PayloadFormat(1),
        Property::ContentType("application/json; charset=utf-8".into()),
        Property::ResponseTopic("answers/to/me".into()),
        Property::CorrelationData((0..=255).collect()),
        Property::user("a", "2"),
        Property::user("c", "3"),
    ]
}

/// They may come in any order, but for user properties among themselves.
#[track_caller]
fn check_properties(publish: &Publish, expected: &[Property]) {
    let mut found = publish.properties.clone();
    found.sort_by_key(Property::id);
    assert_eq!(found, expected);
}

fn all_properties_of_a_message_are_passed_on(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let mut client = subscriber(&broker);
    let mut publisher = connect(&broker, "p");
    for qos in 0..3 {
        publisher.publish(with("m", &all()).qos(qos));
        let publish = client.expect_message("t", "m");
        assert_eq!(publish.qos, qos);
        check_properties(&publish, &all());
    }
    for property in all() {
        publisher.publish(with("m", std::slice::from_ref(&property)));
        check_properties(&client.expect_message("t", "m"), &[property]);
    }
}

fn user_properties_are_passed_on_in_their_order(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let mut client = subscriber(&broker);
    let pairs = [("b", "1"), ("a", "2"), ("b", "0"), ("", ""), ("a", "2"), ("b", "1")];
    let properties: Vec<_> = pairs.iter().map(|(key, value)| Property::user(key, value)).collect();
    connect(&broker, "p").publish(with("m", &properties));
    assert_eq!(client.expect_message("t", "m").properties, properties);
}

fn a_message_without_properties_has_none(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let mut client = subscriber(&broker);
    connect(&broker, "p").publish(with("m", &[]));
    assert_eq!(client.expect_message("t", "m").properties, []);
}

fn a_payload_that_is_not_what_its_format_says_does_not_upset_the_broker(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let mut client = subscriber(&broker);
    let mut publisher = connect(&broker, "p");
    // The broker may look and refuse, or pass it on as it is.
    let publish = Publish { payload: vec![0xFF, 0xFE], ..with("", &[Property::PayloadFormat(1)]) };
    let code = publisher.publish(publish);
    if code < 0x80 {
        assert_eq!(client.receive().payload, [0xFF, 0xFE]);
    } else {
        assert_eq!(code, 0x99, "payload format invalid");
    }
    let publish = Publish { payload: vec![0xFF, 0xFE], ..with("", &[Property::PayloadFormat(0)]) };
    assert_eq!(publisher.publish(publish), 0);
    assert_eq!(client.receive().payload, [0xFF, 0xFE]);
}

fn properties_may_be_long(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let mut client = subscriber(&broker);
    let mut publisher = connect(&broker, "p");
    // About where their length takes a byte more, and a value as long as one can be.
    for length in [110, 120, 125, 130, 16_370, 16_380, 16_390, 65_535] {
        let properties = [Property::CorrelationData(vec![7; length])];
        publisher.publish(with("m", &properties));
        assert!(client.expect_message("t", "m").properties == properties, "{length} bytes");
    }
}

fn strings_may_hold_any_text(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let mut client = subscriber(&broker);
    let mut publisher = connect(&broker, "p");
    for text in ["", " ", "\u{feff}bom", "ümlaut \u{1f980}", "{\"json\":\"\\\"\"}"] {
        let properties = [Property::ContentType(text.into()), Property::user(text, text)];
        publisher.publish(with("m", &properties));
        check_properties(&client.expect_message("t", "m"), &properties);
    }
}

fn properties_do_not_reach_3_1_1(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let mut old = MqttClient::connect(&broker, Version::V311, "old");
    old.subscribe("t", 2);
    for qos in 0..3 {
        connect(&broker, "p").publish(with("plain", &all()).qos(qos));
        assert_eq!(old.expect_message("t", "plain").qos, qos);
    }
    old.expect_nothing();
}

fn messages_of_3_1_1_have_no_properties(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let mut client = subscriber(&broker);
    MqttClient::connect(&broker, Version::V311, "old").publish_text("t", "m", 1);
    assert_eq!(client.expect_message("t", "m").properties, []);
}

fn properties_of_messages_that_waited_are_passed_on(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    subscriber(&broker).disconnect();
    connect(&broker, "p").publish(with("m", &all()));
    let mut client = MqttClient::connect_as(&broker, &Connect::persistent(Version::V5, "s"));
    check_properties(&client.expect_message("t", "m"), &all());
}

fn properties_of_messages_sent_again_are_the_same(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let mut client = subscriber(&broker);
    connect(&broker, "p").publish(with("m", &all()));
    let first = client.read_publish();
    client.vanish();
    let mut client = MqttClient::connect_as(&broker, &Connect::persistent(Version::V5, "s"));
    assert_eq!(client.receive(), first.again());
}

fn an_expiry_is_passed_on(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let mut client = subscriber(&broker);
    let mut publisher = connect(&broker, "p");
    for expiry_s in [60, 3600, u32::MAX] {
        publisher.publish(with("m", &[Property::MessageExpiry(expiry_s)]));
        let found = client.expect_message("t", "m").expiry_s().expect("it expires");
        assert!(found <= expiry_s && expiry_s - found < 10, "{found} of {expiry_s}");
    }
}

fn an_expiry_is_counted_down_while_a_message_waits(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    subscriber(&broker).disconnect();
    connect(&broker, "p").publish(with("m", &[Property::MessageExpiry(60)]));
    let_time_pass(Duration::from_millis(1100));
    let mut client = MqttClient::connect_as(&broker, &Connect::persistent(Version::V5, "s"));
    let found = client.expect_message("t", "m").expiry_s().expect("it expires");
    assert!((50..60).contains(&found), "about a second less than 60, not {found}");
}

fn a_message_that_expired_is_not_delivered(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    subscriber(&broker).disconnect();
    let mut publisher = connect(&broker, "p");
    for qos in 0..3 {
        publisher.publish(with("expires", &[Property::MessageExpiry(1)]).qos(qos));
    }
    publisher.publish(with("stays", &[Property::MessageExpiry(60)]));
    let_time_pass(EXPIRED);
    let mut client = MqttClient::connect_as(&broker, &Connect::persistent(Version::V5, "s"));
    client.expect_message("t", "stays");
    client.expect_nothing();
}

fn messages_that_expire_leave_the_others_in_order(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    subscriber(&broker).disconnect();
    let mut publisher = connect(&broker, "p");
    for at in 0..10 {
        let short = [Property::MessageExpiry(1)];
        publisher.publish(with(&format!("{at}"), if at % 3 == 0 { &short } else { &[] }));
    }
    let_time_pass(EXPIRED);
    let mut client = MqttClient::connect_as(&broker, &Connect::persistent(Version::V5, "s"));
    assert_eq!(client.receive_texts(6), ["1", "2", "4", "5", "7", "8"]);
    client.expect_nothing();
}

fn a_message_that_expired_is_not_sent_after_the_window_was_full(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let narrow = Connect::new(Version::V5, "s").property(Property::ReceiveMaximum(1));
    let mut client = MqttClient::connect_as(&broker, &narrow);
    client.subscribe("t", 1);
    let mut publisher = connect(&broker, "p");
    publisher.publish(with("held", &[]));
    publisher.publish(with("expires", &[Property::MessageExpiry(1)]));
    publisher.publish(with("stays", &[]));
    let held = client.read_publish();
    let_time_pass(EXPIRED);
    client.acknowledge(&held);
    client.expect_message("t", "stays");
    client.expect_nothing();
}

fn a_message_under_way_is_sent_again_though_it_expired(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let mut client = subscriber(&broker);
    let mut publisher = connect(&broker, "p");
    publisher.publish(with("1", &[Property::MessageExpiry(1)]));
    publisher.publish(with("2", &[Property::MessageExpiry(1)]).qos(2));
    let under_way = [client.read_publish(), client.read_publish()];
    client.vanish();
    let_time_pass(EXPIRED);
    let mut client = MqttClient::connect_as(&broker, &Connect::persistent(Version::V5, "s"));
    for publish in under_way {
        let again = client.receive();
        assert_eq!((again.text(), again.id, again.dup), (publish.text(), publish.id, true));
    }
    client.expect_nothing();
}

fn a_qos_2_exchange_is_finished_though_its_message_expired(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let mut client = connect(&broker, "p");
    client.send_publish(&with("m", &[Property::MessageExpiry(1)]).qos(2).id(7));
    assert!(client.read_ack(0x50, 7) < 0x80);
    let_time_pass(EXPIRED);
    client.release(7);
}

fn an_expiry_of_0_expires_at_once_or_reaches_who_is_there(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let mut client = subscriber(&broker);
    let mut publisher = connect(&broker, "p");
    publisher.publish(with("at once", &[Property::MessageExpiry(0)]));
    publisher.publish(with("next", &[]));
    let first = client.receive();
    if first.text() == "at once" {
        assert_eq!(first.expiry_s().unwrap_or(0), 0);
        client.expect_message("t", "next");
    } else {
        assert_eq!(first.text(), "next");
    }
}

fn a_message_that_expires_for_3_1_1_is_not_delivered_either(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let kept = Connect::persistent(Version::V311, "old");
    let mut old = MqttClient::connect_as(&broker, &kept);
    old.subscribe("t", 1);
    old.disconnect();
    let mut publisher = connect(&broker, "p");
    publisher.publish(with("expires", &[Property::MessageExpiry(1)]));
    publisher.publish(with("stays", &[]));
    let_time_pass(EXPIRED);
    let mut old = MqttClient::connect_as(&broker, &kept);
    old.expect_message("t", "stays");
    old.expect_nothing();
}

/// Whether properties tell of a problem.
fn tells(properties: &[Property]) -> bool {
    let telling =
        |property: &Property| matches!(property, Property::ReasonString(_) | Property::User(..));
    properties.iter().any(telling)
}

fn no_reason_is_told_to_who_asked_for_none(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let mute = Connect::new(Version::V5, "a").property(Property::RequestProblemInformation(0));
    let mut client = MqttClient::connect_as(&broker, &mute);
    assert!(!tells(&client.subscribe_as(&[("t", 1)], &[]).properties));
    assert!(!tells(&client.unsubscribe(&["none"]).properties));
    let id = client.new_id();
    client.send(&Publish::new("nobody", "m").qos(2).id(id).packet(Version::V5));
    assert!(!tells(&client.read().ack(0x50, Version::V5).properties));
    client.send(&packet(0x62).u16(id + 1));
    assert!(!tells(&client.read().ack(0x70, Version::V5).properties));
    // CONNACK and DISCONNECT may tell all the same.
    client.disconnect_as(&disconnect());
}

fn response_information_may_be_asked_for(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let asking = Connect::new(Version::V5, "a").property(Property::RequestResponseInformation(1));
    let mut client = MqttClient::connect_as(&broker, &asking);
    client.expect_nothing();
}
