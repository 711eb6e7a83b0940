//! Shared subscriptions of MQTT 5.0: each message to one member of a group.

use conformance::mqtt::{Connect, MqttClient, Property, Publish, Version};
use conformance::mqtt::{MustEnd, packet, puback, pubcomp, pubrec, reason, subscribe};
use conformance::{Backend, BrokerProcess, for_both_backends, wait_until};
use std::collections::BTreeSet;

for_both_backends! {
    each_message_goes_to_one_member,
    a_lone_member_has_all_messages,
    groups_of_different_names_each_have_every_message,
    groups_on_different_filters_are_different_groups,
    a_group_and_an_ordinary_subscription_each_have_the_message,
    a_group_may_share_a_wildcard,
    messages_come_at_the_qos_of_the_member,
    a_member_that_left_has_nothing,
    a_member_that_unsubscribed_has_nothing,
    unsubscribing_from_a_group_is_by_its_whole_name,
    what_a_member_did_not_acknowledge_goes_to_another_when_its_session_ends,
    what_a_kept_member_did_not_acknowledge_comes_to_it_again_or_to_another,
    a_qos_2_exchange_that_began_is_finished_by_the_member_it_began_with,
    a_qos_2_message_that_was_sent_goes_to_no_other_member,
    messages_wait_for_a_member_that_is_away,
    a_shared_subscription_brings_no_retained_messages,
    a_subscription_identifier_comes_with_shared_messages,
    no_local_on_a_shared_subscription_is_a_protocol_error,
    invalid_share_names_are_refused,
    nobody_publishes_to_a_shared_filter,
    a_member_with_a_full_window_leaves_messages_to_the_others,
    a_negative_acknowledgement_ends_the_message,
    members_of_3_1_1_may_share_or_are_refused,
}

#[track_caller]
fn member(broker: &BrokerProcess, id: &str, filter: &str) -> MqttClient {
    let mut client = MqttClient::connect(broker, Version::V5, id);
    assert_eq!(client.subscribe(filter, 1), 1, "{filter:?}");
    client
}

#[track_caller]
fn publisher(broker: &BrokerProcess) -> MqttClient {
    MqttClient::connect(broker, Version::V5, "p")
}

fn each_message_goes_to_one_member(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let mut members = ["a", "b", "c"].map(|id| member(&broker, id, "$share/g/t"));
    let mut publisher = publisher(&broker);
    let expected: BTreeSet<String> = (0..60).map(|at| format!("{at:02}")).collect();
    for text in &expected {
        publisher.publish_text("t", text, 1);
    }
    let mut heard: [Vec<String>; 3] = Default::default();
    wait_until("every message", || {
        for (client, texts) in members.iter_mut().zip(&mut heard) {
            texts.extend(client.receive_ready().iter().map(|publish| publish.text().to_owned()));
        }
        heard.iter().map(Vec::len).sum::<usize>() >= 60
    });
    for (client, texts) in members.iter_mut().zip(&heard) {
        client.expect_nothing();
        assert!(texts.is_sorted(), "in order for each: {texts:?}");
    }
    let all = heard.concat();
    assert_eq!(all.len(), 60, "no message twice: {all:?}");
    assert_eq!(all.into_iter().collect::<BTreeSet<_>>(), expected);
}

fn a_lone_member_has_all_messages(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let mut client = member(&broker, "a", "$share/g/t");
    let mut publisher = publisher(&broker);
    for text in ["1", "2", "3"] {
        publisher.publish_text("t", text, 1);
        client.expect_message("t", text);
    }
}

fn groups_of_different_names_each_have_every_message(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let mut one = member(&broker, "a", "$share/one/t");
    let mut other = member(&broker, "b", "$share/other/t");
    publisher(&broker).publish_text("t", "m", 1);
    one.expect_message("t", "m");
    other.expect_message("t", "m");
}

fn groups_on_different_filters_are_different_groups(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let mut one = member(&broker, "a", "$share/g/t");
    let mut other = member(&broker, "b", "$share/g/+");
    publisher(&broker).publish_text("t", "m", 1);
    one.expect_message("t", "m");
    other.expect_message("t", "m");
}

fn a_group_and_an_ordinary_subscription_each_have_the_message(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let mut shared = member(&broker, "a", "$share/g/t");
    let mut ordinary = member(&broker, "b", "t");
    let mut both = member(&broker, "c", "$share/other/t");
    both.subscribe("t", 1);
    publisher(&broker).publish_text("t", "m", 1);
    shared.expect_message("t", "m");
    ordinary.expect_message("t", "m");
    both.expect_message("t", "m");
    both.expect_message("t", "m");
    both.expect_nothing();
}

fn a_group_may_share_a_wildcard(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let mut client = member(&broker, "a", "$share/g/t/#");
    let mut plus = member(&broker, "b", "$share/g/+/x");
    let mut publisher = publisher(&broker);
    publisher.publish_text("t", "1", 1);
    client.expect_message("t", "1");
    publisher.publish_text("t/x", "2", 1);
    client.expect_message("t/x", "2");
    plus.expect_message("t/x", "2");
    publisher.publish_text("u/y", "3", 1);
    client.expect_nothing();
    plus.expect_nothing();
    let mut all = member(&broker, "c", "$share/g//#");
    publisher.publish_text("/z", "4", 1);
    all.expect_message("/z", "4");
}

fn messages_come_at_the_qos_of_the_member(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let mut publisher = publisher(&broker);
    for qos in 0..3 {
        let mut client = MqttClient::connect(&broker, Version::V5, "a");
        assert_eq!(client.subscribe("$share/g/t", qos), qos);
        publisher.publish_text("t", "m", 2);
        assert_eq!(client.expect_message("t", "m").qos, qos);
    }
}

fn a_member_that_left_has_nothing(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let gone = member(&broker, "a", "$share/g/t");
    let mut left = member(&broker, "b", "$share/g/t");
    gone.disconnect();
    let mut publisher = publisher(&broker);
    for at in 0..10 {
        publisher.publish_text("t", &format!("{at}"), 1);
        left.expect_message("t", &format!("{at}"));
    }
}

fn a_member_that_unsubscribed_has_nothing(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let mut gone = member(&broker, "a", "$share/g/t");
    let mut left = member(&broker, "b", "$share/g/t");
    assert_eq!(gone.unsubscribe(&["$share/g/t"]).codes, [0]);
    let mut publisher = publisher(&broker);
    for at in 0..10 {
        publisher.publish_text("t", &format!("{at}"), 1);
        left.expect_message("t", &format!("{at}"));
    }
    gone.expect_nothing();
}

fn unsubscribing_from_a_group_is_by_its_whole_name(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let mut client = member(&broker, "a", "$share/g/t");
    let answer = client.unsubscribe(&["t", "$share/other/t"]);
    assert_eq!(answer.codes, [reason::NO_SUBSCRIPTION_EXISTED; 2]);
    publisher(&broker).publish_text("t", "m", 1);
    client.expect_message("t", "m");
}

fn what_a_member_did_not_acknowledge_goes_to_another_when_its_session_ends(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    for leaving in [true, false] {
        let mut first = member(&broker, "a", "$share/g/t");
        let mut publisher = publisher(&broker);
        publisher.publish_text("t", "m", 1);
        first.read_publish();
        let mut second = member(&broker, "b", "$share/g/t");
        if leaving {
            first.disconnect();
        } else {
            first.vanish();
        }
        second.expect_message("t", "m");
        second.expect_nothing();
    }
}

fn what_a_kept_member_did_not_acknowledge_comes_to_it_again_or_to_another(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let kept = Connect::persistent(Version::V5, "a");
    let mut first = MqttClient::connect_as(&broker, &kept);
    first.subscribe("$share/g/t", 1);
    publisher(&broker).publish_text("t", "m", 1);
    first.read_publish();
    let mut second = member(&broker, "b", "$share/g/t");
    first.vanish();
    let mut first = MqttClient::connect_as(&broker, &kept);
    // The standard leaves open which; one of them must have it.
    wait_until("the message, at one of them", || {
        let ready = [first.receive_ready(), second.receive_ready()].concat();
        assert!(ready.iter().all(|publish| publish.text() == "m"), "{ready:?}");
        !ready.is_empty()
    });
}

fn a_qos_2_exchange_that_began_is_finished_by_the_member_it_began_with(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let kept = Connect::persistent(Version::V5, "a");
    let mut first = MqttClient::connect_as(&broker, &kept);
    first.subscribe("$share/g/t", 2);
    publisher(&broker).publish_text("t", "m", 2);
    let publish = first.read_publish();
    let mut second = member(&broker, "b", "$share/g/t");
    first.send(&pubrec(publish.id));
    assert_eq!(first.read_ack(0x62, publish.id), 0);
    first.vanish();
    let mut first = MqttClient::connect_as(&broker, &kept);
    assert_eq!(first.read_ack(0x62, publish.id), 0, "PUBREL again");
    first.send(&pubcomp(publish.id));
    first.expect_nothing();
    second.expect_nothing();
}

fn a_qos_2_message_that_was_sent_goes_to_no_other_member(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let mut publisher = publisher(&broker);
    for answered in [false, true] {
        let mut first = MqttClient::connect(&broker, Version::V5, "a");
        first.subscribe("$share/g/t", 2);
        publisher.publish_text("t", "lost with its session", 2);
        let publish = first.read_publish();
        if answered {
            first.send(&pubrec(publish.id));
            assert_eq!(first.read_ack(0x62, publish.id), 0);
        }
        let mut second = member(&broker, "b", "$share/g/t");
        first.disconnect();
        publisher.publish_text("t", "next", 1);
        second.expect_message("t", "next");
        second.disconnect();
    }
}

fn messages_wait_for_a_member_that_is_away(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let kept = Connect::persistent(Version::V5, "a");
    let mut client = MqttClient::connect_as(&broker, &kept);
    client.subscribe("$share/g/t", 1);
    client.disconnect();
    let mut publisher = publisher(&broker);
    for text in ["1", "2", "3"] {
        publisher.publish_text("t", text, 1);
    }
    let mut client = MqttClient::connect_as(&broker, &kept);
    assert_eq!(client.receive_texts(3), ["1", "2", "3"]);
}

fn a_shared_subscription_brings_no_retained_messages(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    publisher(&broker).publish(Publish::new("t", "retained").qos(1).retained());
    for _ in 0..2 {
        let mut client = member(&broker, "a", "$share/g/t");
        client.expect_nothing();
        client.subscribe("$share/g/t", 1);
        client.expect_nothing();
        client.disconnect();
    }
}

fn a_subscription_identifier_comes_with_shared_messages(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let mut client = MqttClient::connect(&broker, Version::V5, "a");
    client.subscribe_as(&[("$share/g/t", 1)], &[Property::SubscriptionId(7)]);
    publisher(&broker).publish_text("t", "m", 1);
    assert_eq!(client.expect_message("t", "m").subscription_ids(), [7]);
}

fn no_local_on_a_shared_subscription_is_a_protocol_error(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let mut table = MustEnd::new(&broker, Version::V5);
    for options in [0x04, 0x05, 0x06] {
        let packet = subscribe(Version::V5, 1, &[("$share/g/t", options)], &[]);
        table.packet("no local", &packet, &[reason::PROTOCOL_ERROR]);
    }
    table.check();
}

fn invalid_share_names_are_refused(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let invalid = [
        "$share/",
        "$share//t",
        "$share/g",
        "$share/g/",
        "$share/+/t",
        "$share/#/t",
        "$share/g+/t",
        "$share/g#/t",
        "$share/g/a#",
        "$share/g/#/a",
    ];
    for filter in invalid {
        let mut client = MqttClient::connect(&broker, Version::V5, "a");
        client.send(&subscribe(Version::V5, 1, &[(filter, 1)], &[]));
        let received = client.read();
        if received.name() == "SUBACK" {
            let codes = received.suback(Version::V5).codes;
            assert_eq!(codes, [reason::FILTER_INVALID], "{filter:?}");
            client.expect_nothing();
        } else {
            let codes = [reason::FILTER_INVALID, reason::PROTOCOL_ERROR, reason::MALFORMED];
            assert!(codes.contains(&received.disconnect().code), "{filter:?}: {received:?}");
            client.expect_closed();
        }
    }
}

fn nobody_publishes_to_a_shared_filter(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let mut client = member(&broker, "a", "$share/g/t");
    let mut wrong = publisher(&broker);
    wrong.send_publish(&Publish::new("$share/g/t", "m"));
    wrong.connection.finish_sending();
    while wrong.read_or_end().is_some() {}
    publisher(&broker).publish_text("t", "next", 1);
    client.expect_message("t", "next");
}

fn a_member_with_a_full_window_leaves_messages_to_the_others(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let narrow = Connect::new(Version::V5, "a").property(Property::ReceiveMaximum(1));
    let mut narrow = MqttClient::connect_as(&broker, &narrow);
    narrow.subscribe("$share/g/t", 1);
    let mut publisher = publisher(&broker);
    publisher.publish_text("t", "0", 1);
    let held = narrow.read_publish();
    let mut wide = member(&broker, "b", "$share/g/t");
    for at in 1..=10 {
        publisher.publish_text("t", &format!("{at}"), 1);
    }
    // Those that the narrow one was picked for before its window was known to be full may wait.
    let first = wide.receive();
    assert_eq!(first.topic, "t");
    narrow.expect_nothing();
    narrow.send(&puback(held.id));
}

fn a_negative_acknowledgement_ends_the_message(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let mut client = member(&broker, "a", "$share/g/t");
    let mut publisher = publisher(&broker);
    publisher.publish_text("t", "refused", 1);
    let publish = client.read_publish();
    client.send(&packet(0x40).u16(publish.id).u8(reason::UNSPECIFIED));
    let other = member(&broker, "b", "$share/g/t");
    client.disconnect();
    let mut other = other;
    publisher.publish_text("t", "next", 1);
    other.expect_message("t", "next");
}

fn members_of_3_1_1_may_share_or_are_refused(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let mut client = MqttClient::connect(&broker, Version::V311, "a");
    let code = client.subscribe("$share/g/t", 1);
    publisher(&broker).publish_text("t", "m", 1);
    if code < 0x80 {
        client.expect_message("t", "m");
    } else {
        client.expect_nothing();
    }
}
