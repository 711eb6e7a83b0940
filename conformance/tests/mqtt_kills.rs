//! What MQTT sessions of a broker that is killed could lose or get twice, one case each.

use conformance::mqtt::{Connect, MqttClient, Property, Version};
use conformance::{Backend, BrokerProcess, DataDir, for_both_backends};

for_both_backends! {
    what_a_shared_subscription_gave_is_not_taken_from_the_clients_own,
    a_session_that_ended_with_the_broker_does_not_come_back_with_the_next_but_one,
}

/// Another broker on the data of one that was killed.
#[track_caller]
fn kill(mut broker: BrokerProcess, backend: Backend, data: &DataDir) -> BrokerProcess {
    broker.kill();
    BrokerProcess::start_on(backend, data, &[])
}

fn what_a_shared_subscription_gave_is_not_taken_from_the_clients_own(backend: Backend) {
    // What had been sent from the one was settled in the other by the recovery.
    let data = DataDir::new();
    let broker = BrokerProcess::start_on(backend, &data, &[]);
    let mut publisher = MqttClient::connect(&broker, Version::V5, "p");
    publisher.publish_text("t", "before", 1);
    let connect = Connect::persistent(Version::V5, "s").property(Property::ReceiveMaximum(1));
    let mut client = MqttClient::connect_as(&broker, &connect);
    // The shared one is served first, and there is room for one message.
    client.subscribe_as(&[("$share/g/t", 2)], &[Property::SubscriptionId(1)]);
    client.subscribe_as(&[("t", 2)], &[Property::SubscriptionId(2)]);
    publisher.publish_text("t", "m", 2);
    assert_eq!(client.read_publish().subscription_ids(), [1]);
    let broker = kill(broker, backend, &data);
    let mut client = MqttClient::connect_as(&broker, &connect);
    for subscription in [1, 2] {
        let publish = client.expect_message("t", "m");
        assert_eq!(publish.subscription_ids(), [subscription], "{publish:?}");
    }
    client.expect_nothing();
}

fn a_session_that_ended_with_the_broker_does_not_come_back_with_the_next_but_one(backend: Backend) {
    // Its number was given to the client's next session, which then had its subscriptions.
    let data = DataDir::new();
    let broker = BrokerProcess::start_on(backend, &data, &[]);
    let connect = Connect::persistent(Version::V5, "s");
    let mut client = MqttClient::connect_as(&broker, &connect);
    client.subscribe("t", 1);
    client.vanish();
    let _last = MqttClient::connect_as(&broker, &connect.clone().expiry(0));
    let broker = kill(broker, backend, &data);
    let client = MqttClient::connect_as(&broker, &connect);
    assert!(!client.connack.session_present, "it was to end with its connection");
    let broker = kill(broker, backend, &data);
    let mut client = MqttClient::connect_as(&broker, &connect);
    assert!(client.connack.session_present);
    MqttClient::connect(&broker, Version::V5, "p").publish_text("t", "m", 1);
    client.expect_nothing();
}
