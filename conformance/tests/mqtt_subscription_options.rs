//! What a SUBSCRIBE of MQTT 5.0 may ask for besides a QoS, and subscription identifiers.

use conformance::mqtt::{Connect, MqttClient, Property, Publish, Version, pubcomp, pubrec};
use conformance::{Backend, BrokerProcess, for_both_backends};

for_both_backends! {
    no_local_keeps_a_clients_own_messages_away,
    no_local_holds_for_the_client_and_not_for_the_connection,
    subscribing_again_changes_no_local,
    retain_as_published_keeps_the_flag,
    without_retain_as_published_the_flag_is_cleared,
    retain_handling_0_sends_retained_messages_each_time,
    retain_handling_1_sends_retained_messages_to_a_new_subscription_only,
    retain_handling_2_sends_no_retained_messages,
    a_subscription_identifier_comes_with_each_message,
    the_identifiers_of_all_matching_subscriptions_come,
    subscribing_again_replaces_the_identifier,
    subscribing_again_without_identifier_takes_it_away,
    one_identifier_may_belong_to_several_subscriptions,
    any_identifier_up_to_the_largest_is_given_back,
    a_subscription_identifier_comes_with_retained_messages,
    messages_of_3_1_1_come_with_identifiers_too,
    subscribing_again_at_qos_0_brings_nothing_a_second_time,
    user_properties_in_subscribe_and_unsubscribe_are_let_be,
}

const NO_LOCAL: u8 = 0x04;
const RETAIN_AS_PUBLISHED: u8 = 0x08;
/// Retain handling 1 and 2.
const IF_NEW: u8 = 0x10;
const NEVER: u8 = 0x20;

#[track_caller]
fn connect(broker: &BrokerProcess, client_id: &str) -> MqttClient {
    MqttClient::connect(broker, Version::V5, client_id)
}

/// Subscribes with an identifier, which the broker must grant.
#[track_caller]
fn subscribe_with_id(client: &mut MqttClient, filter: &str, qos: u8, id: u32) {
    let answer = client.subscribe_as(&[(filter, qos)], &[Property::SubscriptionId(id)]);
    assert_eq!(answer.codes, [qos], "{filter:?}");
}

fn no_local_keeps_a_clients_own_messages_away(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let mut first = connect(&broker, "a");
    let mut second = connect(&broker, "b");
    assert_eq!(first.subscribe("t", 2 | NO_LOCAL), 2);
    assert_eq!(second.subscribe("t", 2 | NO_LOCAL), 2);
    for qos in 0..3 {
        first.publish_text("t", "of the first", qos);
        second.expect_message("t", "of the first");
    }
    second.publish_text("t", "of the second", 1);
    first.expect_message("t", "of the second");
    first.expect_nothing();
    second.expect_nothing();
}

fn no_local_holds_for_the_client_and_not_for_the_connection(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let persistent = conformance::mqtt::Connect::persistent(Version::V5, "a");
    let mut client = MqttClient::connect_as(&broker, &persistent);
    client.subscribe("t", 1 | NO_LOCAL);
    client.vanish();
    let mut client = MqttClient::connect_as(&broker, &persistent);
    client.publish_text("t", "own", 1);
    connect(&broker, "b").publish_text("t", "other", 1);
    client.expect_message("t", "other");
    client.expect_nothing();
}

fn subscribing_again_changes_no_local(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let mut client = connect(&broker, "a");
    client.subscribe("t", 1 | NO_LOCAL);
    client.publish_text("t", "unheard", 1);
    client.subscribe("t", 1);
    client.publish_text("t", "heard", 1);
    client.expect_message("t", "heard");
    client.subscribe("t", 1 | NO_LOCAL);
    client.publish_text("t", "unheard", 1);
    client.expect_nothing();
}

fn retain_as_published_keeps_the_flag(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let mut client = connect(&broker, "a");
    client.subscribe("t", 2 | RETAIN_AS_PUBLISHED);
    for qos in 0..3 {
        client.publish(Publish::new("t", "plain").qos(qos));
        assert!(!client.expect_message("t", "plain").retain);
        client.publish(Publish::new("t", "retained").qos(qos).retained());
        assert!(client.expect_message("t", "retained").retain);
    }
}

fn without_retain_as_published_the_flag_is_cleared(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let mut client = connect(&broker, "a");
    client.subscribe("t", 1);
    client.publish(Publish::new("t", "retained").qos(1).retained());
    assert!(!client.expect_message("t", "retained").retain, "it comes as it is published");
    client.subscribe("t", 1);
    assert!(client.expect_message("t", "retained").retain, "it comes because it was retained");
}

/// Three topics with a retained message at each QoS.
#[track_caller]
fn retain_three(broker: &BrokerProcess) {
    let mut publisher = connect(broker, "p");
    for (topic, qos) in [("TopicA/B", 0), ("Topic/C", 1), ("TopicA/C", 2)] {
        publisher.publish(Publish::new(topic, topic).qos(qos).retained());
    }
}

/// The QoS of the three retained messages, in any order, and nothing else.
#[track_caller]
fn check_three(client: &mut MqttClient) {
    let mut qos: Vec<u8> = (0..3)
        .map(|_| {
            let publish = client.receive();
            assert!(publish.retain, "{publish:?}");
            publish.qos
        })
        .collect();
    qos.sort_unstable();
    assert_eq!(qos, [0, 1, 2]);
    client.expect_nothing();
}

fn retain_handling_0_sends_retained_messages_each_time(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    retain_three(&broker);
    let mut client = connect(&broker, "a");
    for _ in 0..2 {
        client.subscribe("+/+", 2);
        check_three(&mut client);
    }
}

fn retain_handling_1_sends_retained_messages_to_a_new_subscription_only(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    retain_three(&broker);
    let mut client = connect(&broker, "a");
    client.subscribe("+/+", 2 | IF_NEW);
    check_three(&mut client);
    client.subscribe("+/+", 2 | IF_NEW);
    client.expect_nothing();
    client.unsubscribe(&["+/+"]);
    client.subscribe("+/+", 2 | IF_NEW);
    check_three(&mut client);
}

fn retain_handling_2_sends_no_retained_messages(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    retain_three(&broker);
    let mut client = connect(&broker, "a");
    for _ in 0..2 {
        client.subscribe("+/+", 2 | NEVER);
        client.expect_nothing();
    }
    connect(&broker, "p").publish(Publish::new("TopicA/B", "new").qos(1).retained());
    assert!(!client.expect_message("TopicA/B", "new").retain);
}

fn a_subscription_identifier_comes_with_each_message(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let mut client = connect(&broker, "a");
    subscribe_with_id(&mut client, "a", 2, 17);
    client.subscribe("b", 2);
    for qos in 0..3 {
        client.publish_text("a", "m", qos);
        assert_eq!(client.expect_message("a", "m").subscription_ids(), [17]);
        client.publish_text("b", "m", qos);
        assert!(client.expect_message("b", "m").subscription_ids().is_empty());
    }
}

fn the_identifiers_of_all_matching_subscriptions_come(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let mut client = connect(&broker, "a");
    subscribe_with_id(&mut client, "a/+", 1, 1);
    subscribe_with_id(&mut client, "a/#", 1, 2);
    subscribe_with_id(&mut client, "+/b", 1, 3);
    client.subscribe("#", 1);
    subscribe_with_id(&mut client, "b", 1, 4);
    client.publish_text("a/b", "m", 1);
    let mut ids = client.expect_message("a/b", "m").subscription_ids();
    for publish in client.receive_ready() {
        ids.extend(publish.subscription_ids());
    }
    ids.sort_unstable();
    assert_eq!(ids, [1, 2, 3], "in one copy or in several");
}

fn subscribing_again_replaces_the_identifier(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let mut client = connect(&broker, "a");
    for id in [5, 6] {
        subscribe_with_id(&mut client, "t", 1, id);
        client.publish_text("t", "m", 1);
        assert_eq!(client.expect_message("t", "m").subscription_ids(), [id]);
    }
}

fn subscribing_again_without_identifier_takes_it_away(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let mut client = connect(&broker, "a");
    subscribe_with_id(&mut client, "t", 1, 5);
    client.subscribe("t", 1);
    client.publish_text("t", "m", 1);
    assert!(client.expect_message("t", "m").subscription_ids().is_empty());
}

fn one_identifier_may_belong_to_several_subscriptions(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let mut client = connect(&broker, "a");
    let filters = [("a", 1), ("b/#", 1)];
    client.subscribe_as(&filters, &[Property::SubscriptionId(9)]);
    for topic in ["a", "b/c"] {
        client.publish_text(topic, "m", 1);
        assert_eq!(client.expect_message(topic, "m").subscription_ids(), [9]);
    }
}

fn any_identifier_up_to_the_largest_is_given_back(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let mut client = connect(&broker, "a");
    for id in [1, 127, 128, 16_383, 16_384, 2_097_151, 2_097_152, 268_435_455] {
        subscribe_with_id(&mut client, "t", 1, id);
        client.publish_text("t", "m", 1);
        assert_eq!(client.expect_message("t", "m").subscription_ids(), [id]);
    }
}

fn a_subscription_identifier_comes_with_retained_messages(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    connect(&broker, "p").publish(Publish::new("t", "m").qos(1).retained());
    let mut client = connect(&broker, "a");
    subscribe_with_id(&mut client, "t", 1, 8);
    let publish = client.expect_message("t", "m");
    assert_eq!((publish.subscription_ids(), publish.retain), (vec![8], true));
}

fn messages_of_3_1_1_come_with_identifiers_too(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let mut client = connect(&broker, "a");
    subscribe_with_id(&mut client, "t", 1, 8);
    MqttClient::connect(&broker, Version::V311, "p").publish_text("t", "m", 1);
    assert_eq!(client.expect_message("t", "m").subscription_ids(), [8]);
}

/// A message of QoS 2 was delivered twice where one of QoS 1 before it was under way still.
fn subscribing_again_at_qos_0_brings_nothing_a_second_time(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let kept = Connect::persistent(Version::V5, "a");
    let mut client = MqttClient::connect_as(&broker, &kept);
    client.subscribe("t", 2);
    let mut publisher = connect(&broker, "p");
    publisher.publish_text("t", "under way", 1);
    publisher.publish_text("t", "once", 2);
    let under_way = client.read_publish();
    let once = client.read_publish();
    client.send(&pubrec(once.id));
    assert_eq!(client.read_ack(0x62, once.id), 0);
    client.send(&pubcomp(once.id));
    client.subscribe("t", 0);
    client.expect_nothing();
    publisher.publish_text("t", "new", 2);
    client.expect_message("t", "new");
    client.vanish();
    let mut client = MqttClient::connect_as(&broker, &kept);
    assert_eq!(client.read_publish(), under_way.again());
    client.expect_nothing();
}

fn user_properties_in_subscribe_and_unsubscribe_are_let_be(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let mut client = connect(&broker, "a");
    let properties = [Property::user("k", "v"), Property::user("k", "")];
    assert_eq!(client.subscribe_as(&[("t", 1)], &properties).codes, [1]);
    let id = client.new_id();
    let unsubscribe = conformance::mqtt::packet(0xA2).u16(id).properties(&properties).text("t");
    client.send(&unsubscribe);
    assert_eq!(client.read().unsuback(Version::V5).codes, [0]);
}
