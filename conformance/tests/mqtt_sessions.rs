//! Sessions: what outlives a connection, for how long, and what waits in it.

use conformance::mqtt::{Connect, MqttClient, Property, Publish, Version};
use conformance::mqtt::{disconnect, pubcomp, pubrec, pubrel, reason};
use conformance::{
    Backend, BrokerProcess, Host, for_all_hosts, for_both_backends, for_both_backends_at_once,
    let_time_pass,
};
use std::time::Duration;

mod in_each_version {
    use super::*;
    use conformance::for_both_mqtt_versions;

    for_both_mqtt_versions! {
        a_clean_start_finds_no_session,
        a_clean_start_ends_the_session_before_it,
        a_session_that_is_not_kept_is_gone,
        a_kept_session_is_found_with_its_subscriptions,
        subscriptions_are_kept_however_the_connection_ended,
        what_was_unsubscribed_stays_away,
        messages_wait_for_who_is_away,
        messages_of_a_session_that_ended_do_not_come,
        many_messages_wait_in_their_order,
        messages_that_wait_come_at_the_lesser_qos,
        a_session_may_be_kept_over_many_connections,
        sessions_of_different_clients_do_not_meet,
        messages_that_were_under_way_come_before_those_that_waited,
    }

    fn a_clean_start_finds_no_session(backend: Backend, version: Version) {
        let broker = BrokerProcess::start(backend);
        for _ in 0..2 {
            let client = MqttClient::connect(&broker, version, "s");
            assert!(!client.connack.session_present);
            client.disconnect();
        }
    }

    fn a_clean_start_ends_the_session_before_it(backend: Backend, version: Version) {
        let broker = BrokerProcess::start(backend);
        kept(&broker, version).disconnect();
        publish(&broker, version, "waits", 1);
        let mut client = MqttClient::connect(&broker, version, "s");
        assert!(!client.connack.session_present);
        publish(&broker, version, "unheard", 1);
        client.expect_nothing();
        client.disconnect();
        let mut client = back(&broker, version);
        assert!(!client.connack.session_present, "nothing was left of the first");
        client.expect_nothing();
    }

    fn a_session_that_is_not_kept_is_gone(backend: Backend, version: Version) {
        let broker = BrokerProcess::start(backend);
        let mut client = MqttClient::connect(&broker, version, "s");
        client.subscribe("t", 1);
        client.disconnect();
        publish(&broker, version, "unheard", 1);
        let mut client = back(&broker, version);
        assert!(!client.connack.session_present);
        publish(&broker, version, "unheard", 1);
        client.expect_nothing();
    }

    fn a_kept_session_is_found_with_its_subscriptions(backend: Backend, version: Version) {
        let broker = BrokerProcess::start(backend);
        kept(&broker, version).disconnect();
        let mut client = back(&broker, version);
        assert!(client.connack.session_present);
        publish(&broker, version, "m", 2);
        assert_eq!(client.expect_message("t", "m").qos, 2);
    }

    fn subscriptions_are_kept_however_the_connection_ended(backend: Backend, version: Version) {
        let broker = BrokerProcess::start(backend);
        kept(&broker, version).vanish();
        let taken = back(&broker, version);
        let mut client = back(&broker, version);
        drop(taken);
        assert!(client.connack.session_present);
        client.send(&conformance::mqtt::packet(0x00));
        client.expect_disconnect(&[reason::MALFORMED, reason::PROTOCOL_ERROR]);
        let mut client = back(&broker, version);
        assert!(client.connack.session_present);
        publish(&broker, version, "m", 1);
        client.expect_message("t", "m");
    }

    fn what_was_unsubscribed_stays_away(backend: Backend, version: Version) {
        let broker = BrokerProcess::start(backend);
        let mut client = kept(&broker, version);
        client.subscribe("u", 1);
        client.unsubscribe(&["t"]);
        client.disconnect();
        publish(&broker, version, "unheard", 1);
        let mut client = back(&broker, version);
        assert!(client.connack.session_present);
        publish(&broker, version, "unheard", 1);
        client.publish_text("u", "m", 1);
        client.expect_message("u", "m");
    }

    fn messages_wait_for_who_is_away(backend: Backend, version: Version) {
        let broker = BrokerProcess::start(backend);
        kept(&broker, version).disconnect();
        publish(&broker, version, "qos 0", 0);
        publish(&broker, version, "qos 1", 1);
        publish(&broker, version, "qos 2", 2);
        let mut client = back(&broker, version);
        // Those of QoS 0 may wait as well.
        let mut next = client.receive();
        if next.qos == 0 {
            assert_eq!(next.text(), "qos 0");
            next = client.receive();
        }
        assert_eq!((next.text(), next.qos, next.dup), ("qos 1", 1, false));
        let next = client.receive();
        assert_eq!((next.text(), next.qos, next.dup), ("qos 2", 2, false));
        client.expect_nothing();
        client.disconnect();
        back(&broker, version).expect_nothing();
    }

    fn messages_of_a_session_that_ended_do_not_come(backend: Backend, version: Version) {
        let broker = BrokerProcess::start(backend);
        kept(&broker, version).disconnect();
        publish(&broker, version, "waits", 1);
        MqttClient::connect(&broker, version, "s").disconnect();
        let mut client = kept(&broker, version);
        assert!(!client.connack.session_present);
        client.expect_nothing();
    }

    fn many_messages_wait_in_their_order(backend: Backend, version: Version) {
        let broker = BrokerProcess::start(backend);
        kept(&broker, version).disconnect();
        let mut publisher = MqttClient::connect(&broker, version, "p");
        let expected: Vec<String> = (0..90).map(|at| format!("{at}")).collect();
        for text in &expected {
            publisher.publish_text("t", text, 1);
        }
        assert_eq!(back(&broker, version).receive_texts(90), expected);
    }

    fn messages_that_wait_come_at_the_lesser_qos(backend: Backend, version: Version) {
        let broker = BrokerProcess::start(backend);
        let mut client = kept(&broker, version);
        client.subscribe("t", 1);
        client.disconnect();
        publish(&broker, version, "m", 2);
        let mut client = back(&broker, version);
        assert_eq!(client.expect_message("t", "m").qos, 1);
    }

    fn a_session_may_be_kept_over_many_connections(backend: Backend, version: Version) {
        let broker = BrokerProcess::start(backend);
        kept(&broker, version).disconnect();
        for at in 0..20 {
            publish(&broker, version, &format!("{at}"), 1);
            let mut client = back(&broker, version);
            assert!(client.connack.session_present);
            client.expect_message("t", &format!("{at}"));
            client.expect_nothing();
            if at % 2 == 0 { client.disconnect() } else { client.vanish() }
        }
    }

    fn sessions_of_different_clients_do_not_meet(backend: Backend, version: Version) {
        let broker = BrokerProcess::start(backend);
        for id in ["a", "A", "a ", "b"] {
            let mut client = MqttClient::connect_as(&broker, &Connect::persistent(version, id));
            assert!(!client.connack.session_present, "{id:?}");
            client.subscribe(&format!("t/{id}"), 1);
            client.disconnect();
        }
        let mut publisher = MqttClient::connect(&broker, version, "p");
        for id in ["a", "A", "a ", "b"] {
            publisher.publish_text(&format!("t/{id}"), id, 1);
        }
        for id in ["a", "A", "a ", "b"] {
            let mut client = MqttClient::connect_as(&broker, &Connect::persistent(version, id));
            client.expect_message(&format!("t/{id}"), id);
            client.expect_nothing();
        }
    }

    fn messages_that_were_under_way_come_before_those_that_waited(
        backend: Backend,
        version: Version,
    ) {
        let broker = BrokerProcess::start(backend);
        let mut client = kept(&broker, version);
        publish(&broker, version, "first", 1);
        publish(&broker, version, "second", 2);
        let under_way = [client.read_publish(), client.read_publish()];
        client.vanish();
        publish(&broker, version, "third", 1);
        let mut client = back(&broker, version);
        for publish in under_way {
            assert_eq!(client.receive(), publish.again());
        }
        // It may have been sent to the connection that had just vanished.
        client.expect_message("t", "third");
    }
}

for_both_backends! {
    a_session_without_expiry_ends_with_its_connection,
    a_session_may_be_kept_for_ever,
    disconnect_may_end_the_session,
    disconnect_may_not_make_a_session_to_keep_of_one_that_is_not,
    a_session_of_3_1_1_is_found_by_5_and_the_other_way_round,
    a_clean_start_may_leave_a_session_behind,
    resuming_with_no_expiry_ends_the_session_at_the_end,
    takeover_with_a_clean_start_ends_the_session,
}

for_both_backends_at_once! {
    a_session_expires_after_its_interval,
    a_session_is_there_until_its_interval_is_over,
    disconnect_may_change_the_expiry,
}

/// A client `s` that is subscribed to `t` at QoS 2 and whose session is kept.
#[track_caller]
fn kept(broker: &BrokerProcess, version: Version) -> MqttClient {
    let mut client = back(broker, version);
    assert_eq!(client.subscribe("t", 2), 2);
    client
}

/// The client `s`, going on with its session.
#[track_caller]
fn back(broker: &BrokerProcess, version: Version) -> MqttClient {
    MqttClient::connect_as(broker, &Connect::persistent(version, "s"))
}

#[track_caller]
fn publish(broker: &BrokerProcess, version: Version, text: &str, qos: u8) {
    MqttClient::connect(broker, version, "p").publish_text("t", text, qos);
}

/// Connects `s` as told in MQTT 5.0.
#[track_caller]
fn five(host: &BrokerProcess, how: impl Fn(Connect) -> Connect) -> MqttClient {
    MqttClient::connect_as(host, &how(Connect::new(Version::V5, "s").resuming()))
}

fn a_session_without_expiry_ends_with_its_connection(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    for expiry in [None, Some(0)] {
        let with = |connect: Connect| expiry.map_or(connect.clone(), |s| connect.expiry(s));
        let mut client = five(&broker, with);
        client.subscribe("t", 1);
        client.disconnect();
        let client = five(&broker, with);
        assert!(!client.connack.session_present, "{expiry:?}");
        client.disconnect();
    }
}

fn a_session_expires_after_its_interval(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let mut client = five(&broker, |connect| connect.expiry(1));
    client.subscribe("t", 1);
    client.disconnect();
    publish(&broker, Version::V5, "waits", 1);
    let_time_pass(Duration::from_millis(1500));
    let mut client = five(&broker, |connect| connect);
    assert!(!client.connack.session_present);
    publish(&broker, Version::V5, "unheard", 1);
    client.expect_nothing();
}

fn a_session_is_there_until_its_interval_is_over(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let mut client = five(&broker, |connect| connect.expiry(1));
    client.subscribe("t", 1);
    // The interval begins when the connection ends.
    let_time_pass(Duration::from_millis(1200));
    client.expect_nothing();
    client.vanish();
    assert!(five(&broker, |connect| connect.expiry(1)).connack.session_present);
}

fn a_session_may_be_kept_for_ever(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    five(&broker, |connect| connect.expiry(u32::MAX)).disconnect();
    assert!(five(&broker, |connect| connect.expiry(u32::MAX)).connack.session_present);
}

fn disconnect_may_change_the_expiry(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let longer = disconnect().u8(0).properties(&[Property::SessionExpiry(60)]);
    five(&broker, |connect| connect.expiry(1)).disconnect_as(&longer);
    let_time_pass(Duration::from_millis(1500));
    let client = five(&broker, |connect| connect.expiry(60));
    assert!(client.connack.session_present, "it was made longer");
    let shorter = disconnect().u8(0).properties(&[Property::SessionExpiry(1)]);
    client.disconnect_as(&shorter);
    let_time_pass(Duration::from_millis(1500));
    let client = five(&broker, |connect| connect.expiry(60));
    assert!(!client.connack.session_present, "it was made shorter");
}

fn disconnect_may_end_the_session(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let end = disconnect().u8(0).properties(&[Property::SessionExpiry(0)]);
    five(&broker, |connect| connect.expiry(60)).disconnect_as(&end);
    assert!(!five(&broker, |connect| connect).connack.session_present);
}

fn disconnect_may_not_make_a_session_to_keep_of_one_that_is_not(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let longer = disconnect().u8(0).properties(&[Property::SessionExpiry(60)]);
    let mut client = five(&broker, |connect| connect);
    client.send(&longer);
    client.expect_disconnect(&[reason::PROTOCOL_ERROR]);
    assert!(!five(&broker, |connect| connect).connack.session_present);
}

fn a_session_of_3_1_1_is_found_by_5_and_the_other_way_round(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    kept(&broker, Version::V311).disconnect();
    publish(&broker, Version::V311, "first", 1);
    let mut client = back(&broker, Version::V5);
    assert!(client.connack.session_present);
    client.expect_message("t", "first");
    client.disconnect();
    publish(&broker, Version::V5, "second", 1);
    let mut client = back(&broker, Version::V311);
    assert!(client.connack.session_present);
    client.expect_message("t", "second");
}

fn a_clean_start_may_leave_a_session_behind(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let mut client = five(&broker, |connect| connect.clean().expiry(60));
    client.subscribe("t", 1);
    client.disconnect();
    publish(&broker, Version::V5, "m", 1);
    let mut client = five(&broker, |connect| connect);
    assert!(client.connack.session_present);
    client.expect_message("t", "m");
}

fn resuming_with_no_expiry_ends_the_session_at_the_end(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    kept(&broker, Version::V5).disconnect();
    let client = five(&broker, |connect| connect);
    assert!(client.connack.session_present);
    client.disconnect();
    assert!(!five(&broker, |connect| connect).connack.session_present);
}

fn takeover_with_a_clean_start_ends_the_session(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let first = kept(&broker, Version::V5);
    let mut second = five(&broker, |connect| connect.clean().expiry(60));
    assert!(!second.connack.session_present);
    drop(first);
    publish(&broker, Version::V5, "unheard", 1);
    second.expect_nothing();
}

mod wherever_topics_are {
    use super::*;

    for_all_hosts! {
        a_publisher_is_not_told_twice_of_what_it_released,
        exchanges_of_a_session_end_as_they_began,
    }

    /// What holds within one broker holds wherever its topics are.
    fn a_publisher_is_not_told_twice_of_what_it_released(host: Host) {
        let broker = host.start();
        let mut subscriber = kept(&broker, Version::V311);
        let connect = Connect::persistent(Version::V311, "p");
        let mut client = MqttClient::connect_as(&broker, &connect);
        client.send_publish(&Publish::new("t", "once").qos(2).id(3));
        assert_eq!(client.read_ack(0x50, 3), 0);
        client.send(&pubrel(3));
        client.vanish();
        let mut client = MqttClient::connect_as(&broker, &connect);
        client.release(3);
        subscriber.expect_message("t", "once");
        client.publish_text("t", "next", 1);
        subscriber.expect_message("t", "next");
    }

    fn exchanges_of_a_session_end_as_they_began(host: Host) {
        let broker = host.start();
        let mut client = kept(&broker, Version::V311);
        for text in ["released", "received", "sent"] {
            publish(&broker, Version::V311, text, 2);
        }
        let got = [client.read_publish(), client.read_publish(), client.read_publish()];
        for publish in &got[..2] {
            client.send(&pubrec(publish.id));
            assert_eq!(client.read_ack(0x62, publish.id), 0);
        }
        client.send(&pubcomp(got[0].id));
        client.expect_nothing();
        client.vanish();
        let mut client = back(&broker, Version::V311);
        // PUBREL and PUBLISH may come in either order.
        let mut again = Vec::new();
        for _ in 0..2 {
            let received = client.read();
            if received.is_publish() {
                assert_eq!(received.publish(Version::V311), got[2].clone().again());
                again.push("PUBLISH");
            } else {
                assert_eq!(received.ack(0x62, Version::V311).id, got[1].id);
                client.send(&pubcomp(got[1].id));
                again.push("PUBREL");
            }
        }
        again.sort_unstable();
        assert_eq!(again, ["PUBLISH", "PUBREL"]);
        client.acknowledge(&got[2]);
        client.expect_nothing();
    }
}
