//! What MQTT sessions and retained messages a broker with a data directory knows again, after it
//! stopped in order and after it was killed.

use conformance::mqtt::{Connect, MqttClient, Property, Publish, Version};
use conformance::mqtt::{pubcomp, pubrec, pubrel};
use conformance::{Backend, BrokerProcess, DataDir, for_both_mqtt_versions, let_time_pass};
use std::time::Duration;

for_both_mqtt_versions! {
    subscriptions_are_there_again,
    what_was_unsubscribed_stays_away_over_a_restart,
    messages_that_waited_are_there_again,
    messages_published_at_qos_0_to_who_is_away_may_be_there_again,
    a_message_under_way_is_sent_again_after_a_restart,
    a_pubrel_under_way_is_sent_again_after_a_restart,
    a_qos_2_message_sent_again_after_a_restart_is_taken_once,
    a_pubrel_after_a_restart_is_answered,
    a_session_that_was_not_kept_is_gone_after_a_restart,
    a_session_that_was_ended_is_not_there_again,
    acknowledged_messages_do_not_come_again_after_a_stop,
    packet_ids_in_use_are_not_used_again_after_a_restart,
}

mod of_5 {
    use super::*;
    use conformance::for_both_backends;

    for_both_backends! {
        subscription_options_and_identifiers_are_there_again,
        a_session_expires_while_the_broker_is_away,
        properties_of_messages_are_there_again,
        a_message_expires_while_the_broker_is_away,
        shared_subscriptions_are_there_again,
    }

    fn subscription_options_and_identifiers_are_there_again(backend: Backend) {
        over_a_restart(
            backend,
            |broker| {
                let mut client = kept(broker, Version::V5, "s");
                // No local, and retain as published.
                let filters = [("t/#", 0x01 | 0x04 | 0x08)];
                client.subscribe_as(&filters, &[Property::SubscriptionId(77)]);
                client.expect_nothing();
            },
            |broker| {
                let mut client = kept(broker, Version::V5, "s");
                assert!(client.connack.session_present);
                client.publish_text("t/own", "unheard", 1);
                let mut publisher = MqttClient::connect(broker, Version::V5, "p");
                publisher.publish(Publish::new("t/other", "m").qos(2).retained());
                let publish = client.expect_message("t/other", "m");
                assert_eq!(publish.subscription_ids(), [77]);
                assert!(publish.retain && publish.qos == 1, "{publish:?}");
            },
        );
    }

    fn a_session_expires_while_the_broker_is_away(backend: Backend) {
        over_a_restart(
            backend,
            |broker| {
                let connect = Connect::persistent(Version::V5, "s").expiry(1);
                MqttClient::connect_as(broker, &connect).disconnect();
                kept(broker, Version::V5, "long").disconnect();
            },
            |broker| {
                let_time_pass(Duration::from_millis(1300));
                assert!(!kept(broker, Version::V5, "s").connack.session_present);
                assert!(kept(broker, Version::V5, "long").connack.session_present);
            },
        );
    }

    fn properties_of_messages_are_there_again(backend: Backend) {
        let properties = [
            Property::PayloadFormat(1),
            Property::ContentType("text/plain".into()),
            Property::ResponseTopic("answers".into()),
            Property::CorrelationData(vec![0, 0xFF]),
            Property::user("b", "1"),
            Property::user("a", "2"),
        ];
        over_a_restart(
            backend,
            |broker| {
                subscribe(broker, Version::V5).disconnect();
                let mut publish = Publish::new("t", "m").qos(1).retained();
                publish.properties = properties.to_vec();
                MqttClient::connect(broker, Version::V5, "p").publish(publish);
            },
            |broker| {
                let mut client = kept(broker, Version::V5, "s");
                let waited = client.expect_message("t", "m");
                client.subscribe("t", 1);
                let retained = client.expect_message("t", "m");
                for publish in [waited, retained] {
                    let mut found = publish.properties;
                    found.sort_by_key(Property::id);
                    assert_eq!(found, properties);
                }
            },
        );
    }

    fn a_message_expires_while_the_broker_is_away(backend: Backend) {
        over_a_restart(
            backend,
            |broker| {
                subscribe(broker, Version::V5).disconnect();
                let mut publisher = MqttClient::connect(broker, Version::V5, "p");
                for (topic, expiry_s) in [("t", 1), ("t", 60)] {
                    let publish = Publish::new(topic, format!("{expiry_s}")).qos(1);
                    publisher.publish(publish.property(Property::MessageExpiry(expiry_s)));
                }
            },
            |broker| {
                let_time_pass(Duration::from_millis(1300));
                let mut client = kept(broker, Version::V5, "s");
                let publish = client.expect_message("t", "60");
                assert!(publish.expiry_s().is_some_and(|left_s| left_s < 60), "{publish:?}");
                client.expect_nothing();
            },
        );
    }

    fn shared_subscriptions_are_there_again(backend: Backend) {
        over_a_restart(
            backend,
            |broker| {
                let mut client = kept(broker, Version::V5, "s");
                client.subscribe("$share/g/t", 1);
                client.disconnect();
                publish(broker, Version::V5, "waits", 1);
            },
            |broker| {
                publish(broker, Version::V5, "new", 1);
                let mut client = kept(broker, Version::V5, "s");
                assert_eq!(client.receive_texts(2), ["waits", "new"]);
                client.expect_nothing();
            },
        );
    }
}

/// How the first broker ended, told where what follows fails.
struct Ending(&'static str);

impl Drop for Ending {
    #[expect(clippy::print_stderr, reason = "the test harness shows what a failed test printed")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the broker before: {}", self.0);
        }
    }
}

/// Does `before` with one broker and `after` with the next on the same directory, once where the
/// first stopped in order and once where it was killed.
#[track_caller]
fn over_a_restart(
    backend: Backend,
    before: impl Fn(&BrokerProcess),
    after: impl Fn(&BrokerProcess),
) {
    for killed in [false, true] {
        let _ending = Ending(if killed { "it was killed" } else { "it stopped in order" });
        let data = DataDir::new();
        let mut broker = BrokerProcess::start_on(backend, &data, &[]);
        before(&broker);
        if killed {
            broker.kill();
        } else {
            assert_eq!(broker.terminate(), Some(0));
        }
        after(&BrokerProcess::start_on(backend, &data, &[]));
    }
}

/// A client whose session is kept.
#[track_caller]
fn kept(broker: &BrokerProcess, version: Version, id: &str) -> MqttClient {
    MqttClient::connect_as(broker, &Connect::persistent(version, id))
}

/// The client `s`, subscribed to `t` at QoS 2.
#[track_caller]
fn subscribe(broker: &BrokerProcess, version: Version) -> MqttClient {
    let mut client = kept(broker, version, "s");
    assert_eq!(client.subscribe("t", 2), 2);
    client
}

#[track_caller]
fn publish(broker: &BrokerProcess, version: Version, text: &str, qos: u8) {
    MqttClient::connect(broker, version, "p").publish_text("t", text, qos);
}

fn subscriptions_are_there_again(backend: Backend, version: Version) {
    over_a_restart(
        backend,
        |broker| {
            let mut client = kept(broker, version, "s");
            client.subscribe_as(&[("t", 1), ("a/+/#", 2)], &[]);
            client.expect_nothing();
        },
        |broker| {
            let mut client = kept(broker, version, "s");
            assert!(client.connack.session_present);
            let mut publisher = MqttClient::connect(broker, version, "p");
            publisher.publish_text("u", "unheard", 2);
            for (topic, qos) in [("t", 1), ("a/b/c", 2)] {
                publisher.publish_text(topic, "m", 2);
                assert_eq!(client.expect_message(topic, "m").qos, qos);
            }
            client.expect_nothing();
        },
    );
}

fn what_was_unsubscribed_stays_away_over_a_restart(backend: Backend, version: Version) {
    over_a_restart(
        backend,
        |broker| {
            let mut client = subscribe(broker, version);
            client.subscribe("u", 1);
            client.unsubscribe(&["t"]);
        },
        |broker| {
            publish(broker, version, "unheard", 1);
            let mut client = kept(broker, version, "s");
            client.publish_text("u", "m", 1);
            client.expect_message("u", "m");
        },
    );
}

fn messages_that_waited_are_there_again(backend: Backend, version: Version) {
    over_a_restart(
        backend,
        |broker| {
            subscribe(broker, version).disconnect();
            for (text, qos) in [("1", 1), ("2", 2), ("3", 1), ("4", 2)] {
                publish(broker, version, text, qos);
            }
        },
        |broker| {
            publish(broker, version, "5", 1);
            let mut client = kept(broker, version, "s");
            assert!(client.connack.session_present);
            for (text, qos) in [("1", 1), ("2", 2), ("3", 1), ("4", 2), ("5", 1)] {
                let publish = client.expect_message("t", text);
                assert!(publish.qos == qos && !publish.dup, "{publish:?}");
            }
            client.expect_nothing();
        },
    );
}

fn messages_published_at_qos_0_to_who_is_away_may_be_there_again(
    backend: Backend,
    version: Version,
) {
    over_a_restart(
        backend,
        |broker| {
            subscribe(broker, version).disconnect();
            publish(broker, version, "qos 0", 0);
            publish(broker, version, "qos 1", 1);
        },
        |broker| {
            let mut client = kept(broker, version, "s");
            let first = client.receive();
            if first.text() == "qos 0" {
                client.expect_message("t", "qos 1");
            } else {
                assert_eq!(first.text(), "qos 1");
            }
        },
    );
}

fn a_message_under_way_is_sent_again_after_a_restart(backend: Backend, version: Version) {
    for qos in [1, 2] {
        let first = std::cell::Cell::new(0);
        over_a_restart(
            backend,
            |broker| {
                let mut client = subscribe(broker, version);
                publish(broker, version, "m", qos);
                first.set(client.read_publish().id);
                // What was sent need not be stored before it is sent; what is stored behind it
                // takes it along.
                let mut other = MqttClient::connect(broker, version, "other");
                other.publish_text("u", "stored", 1);
            },
            |broker| {
                let mut client = kept(broker, version, "s");
                assert!(client.connack.session_present);
                let again = client.expect_message("t", "m");
                assert_eq!(again.qos, qos);
                // Of quality of service 1 a broker that was killed may not know that it was sent.
                assert!(qos == 1 || (again.id == first.get() && again.dup), "{again:?}");
                client.expect_nothing();
            },
        );
    }
}

fn a_pubrel_under_way_is_sent_again_after_a_restart(backend: Backend, version: Version) {
    let id = std::cell::Cell::new(0);
    over_a_restart(
        backend,
        |broker| {
            let mut client = subscribe(broker, version);
            publish(broker, version, "m", 2);
            id.set(client.read_publish().id);
            client.send(&pubrec(id.get()));
            assert_eq!(client.read_ack(0x62, id.get()), 0);
        },
        |broker| {
            let mut client = kept(broker, version, "s");
            assert_eq!(client.read_ack(0x62, id.get()), 0, "PUBREL and not PUBLISH");
            client.send(&pubcomp(id.get()));
            client.expect_nothing();
        },
    );
}

fn a_qos_2_message_sent_again_after_a_restart_is_taken_once(backend: Backend, version: Version) {
    let once = Publish::new("t", "once").qos(2).id(9);
    over_a_restart(
        backend,
        |broker| {
            subscribe(broker, version).disconnect();
            let mut client = kept(broker, version, "publisher");
            client.send_publish(&once);
            assert!(client.read_ack(0x50, 9) < 0x80);
        },
        |broker| {
            let mut client = kept(broker, version, "publisher");
            assert!(client.connack.session_present);
            client.send_publish(&once.clone().again());
            assert!(client.read_ack(0x50, 9) < 0x80);
            client.release(9);
            client.publish_text("t", "next", 1);
            let mut subscriber = kept(broker, version, "s");
            assert_eq!(subscriber.receive_texts(2), ["once", "next"]);
        },
    );
}

fn a_pubrel_after_a_restart_is_answered(backend: Backend, version: Version) {
    over_a_restart(
        backend,
        |broker| {
            subscribe(broker, version).disconnect();
            let mut client = kept(broker, version, "publisher");
            client.send_publish(&Publish::new("t", "once").qos(2).id(9));
            assert!(client.read_ack(0x50, 9) < 0x80);
        },
        |broker| {
            let mut client = kept(broker, version, "publisher");
            client.send(&pubrel(9));
            assert_eq!(client.read_ack(0x70, 9), 0);
            let mut subscriber = kept(broker, version, "s");
            subscriber.expect_message("t", "once");
            subscriber.expect_nothing();
        },
    );
}

fn a_session_that_was_not_kept_is_gone_after_a_restart(backend: Backend, version: Version) {
    over_a_restart(
        backend,
        |broker| {
            let mut client = MqttClient::connect(broker, version, "s");
            client.subscribe("t", 1);
        },
        |broker| {
            let mut client = kept(broker, version, "s");
            assert!(!client.connack.session_present);
            publish(broker, version, "unheard", 1);
            client.expect_nothing();
        },
    );
}

fn a_session_that_was_ended_is_not_there_again(backend: Backend, version: Version) {
    over_a_restart(
        backend,
        |broker| {
            subscribe(broker, version).disconnect();
            publish(broker, version, "unheard", 1);
            MqttClient::connect(broker, version, "s").disconnect();
        },
        |broker| {
            let mut client = kept(broker, version, "s");
            assert!(!client.connack.session_present);
            client.expect_nothing();
        },
    );
}

fn acknowledged_messages_do_not_come_again_after_a_stop(backend: Backend, version: Version) {
    let data = DataDir::new();
    let mut broker = BrokerProcess::start_on(backend, &data, &[]);
    let mut client = subscribe(&broker, version);
    for (text, qos) in [("0", 0), ("1", 1), ("2", 2)] {
        publish(&broker, version, text, qos);
        client.expect_message("t", text);
    }
    client.expect_nothing();
    client.disconnect();
    assert_eq!(broker.terminate(), Some(0));
    let broker = BrokerProcess::start_on(backend, &data, &[]);
    let mut client = kept(&broker, version, "s");
    assert!(client.connack.session_present);
    client.expect_nothing();
}

fn packet_ids_in_use_are_not_used_again_after_a_restart(backend: Backend, version: Version) {
    over_a_restart(
        backend,
        |broker| {
            let mut client = subscribe(broker, version);
            for text in ["1", "2"] {
                publish(broker, version, text, 1);
            }
            client.read_publish();
            client.read_publish();
        },
        |broker| {
            let mut client = kept(broker, version, "s");
            for text in ["3", "4"] {
                publish(broker, version, text, 1);
            }
            let mut ids: Vec<_> = (0..4).map(|_| client.read_publish().id).collect();
            ids.sort_unstable();
            ids.dedup();
            assert_eq!(ids.len(), 4, "an identifier for each: {ids:?}");
        },
    );
}
