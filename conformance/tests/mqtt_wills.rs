//! Wills: when they are published, when they are not, and how long they may wait.

use conformance::mqtt::{Connect, MqttClient, Property, Publish, Version, Will};
use conformance::mqtt::{disconnect, packet, reason};
use conformance::{
    Backend, BrokerProcess, for_both_backends, for_both_backends_at_once, let_time_pass,
};
use std::time::{Duration, Instant};

mod in_each_version {
    use super::*;
    use conformance::for_both_mqtt_versions;

    for_both_mqtt_versions! {
        a_will_is_published_when_its_client_vanishes,
        a_will_is_not_published_after_disconnect,
        a_will_is_published_when_its_client_misbehaves,
        a_will_is_published_when_its_client_stays_silent,
        a_will_is_published_when_its_client_is_taken_over,
        a_will_is_published_at_its_qos,
        a_will_may_be_retained,
        a_will_that_is_not_retained_is_not_kept,
        a_retained_empty_will_clears_the_retained_message,
        a_will_may_be_empty,
        a_will_of_any_bytes_is_published,
        a_will_is_published_once,
        a_will_belongs_to_its_connection_and_not_to_its_session,
        a_will_is_queued_for_who_is_away,
        a_client_without_a_will_leaves_without_a_word,
        a_will_of_a_refused_client_is_not_published,
        a_will_that_could_not_be_published_is_not_let_in,
    }
}

for_both_backends! {
    a_will_is_not_published_of_a_client_that_is_back_at_once,
    a_will_is_published_when_disconnect_asks_for_it,
    a_will_is_published_when_disconnect_tells_of_an_error,
    a_takeover_that_goes_on_with_the_session_cancels_a_delayed_will,
    a_clean_start_within_the_delay_ends_the_session_and_publishes_the_will,
    a_delay_without_a_session_is_none,
    the_properties_of_a_will_are_those_of_its_message,
    a_will_with_no_local_does_not_come_back,
    a_will_of_one_version_reaches_the_other,
}

for_both_backends_at_once! {
    a_will_waits_for_its_delay,
    a_reconnect_within_the_delay_cancels_the_will,
    the_end_of_the_session_publishes_the_will_before_its_delay,
    the_expiry_of_a_will_counts_from_its_publication,
}

#[track_caller]
fn watcher(broker: &BrokerProcess, version: Version) -> MqttClient {
    let mut client = MqttClient::connect(broker, version, "watcher");
    assert_eq!(client.subscribe("last/words", 2), 2);
    client
}

fn with_will(version: Version) -> Connect {
    Connect::new(version, "a").will(Will::new("last/words", "farewell"))
}

#[track_caller]
fn mortal(broker: &BrokerProcess, version: Version) -> MqttClient {
    MqttClient::connect_as(broker, &with_will(version))
}

fn a_will_is_published_when_its_client_vanishes(backend: Backend, version: Version) {
    let broker = BrokerProcess::start(backend);
    let mut watcher = watcher(&broker, version);
    mortal(&broker, version).vanish();
    let publish = watcher.expect_message("last/words", "farewell");
    assert!(publish.qos == 0 && !publish.retain, "{publish:?}");
}

fn a_will_is_not_published_after_disconnect(backend: Backend, version: Version) {
    let broker = BrokerProcess::start(backend);
    let mut watcher = watcher(&broker, version);
    mortal(&broker, version).disconnect();
    // Nor when the next client of that name vanishes.
    MqttClient::connect(&broker, version, "a").vanish();
    MqttClient::connect(&broker, version, "a").publish_text("last/words", "alive", 1);
    watcher.expect_message("last/words", "alive");
}

/// DISCONNECT may be read when the next connection has the session already.
fn a_will_is_not_published_of_a_client_that_is_back_at_once(backend: Backend) {
    // In 5.0 the broker's own DISCONNECT may reset a connection that the client has closed already,
    // and take the client's with it.
    let version = Version::V311;
    let broker = BrokerProcess::start(backend);
    let mut watcher = watcher(&broker, version);
    for _ in 0..50 {
        let mut client = mortal(&broker, version);
        client.send(&disconnect());
        client.vanish();
        MqttClient::connect(&broker, version, "a").vanish();
    }
    MqttClient::connect(&broker, version, "b").publish_text("last/words", "alive", 1);
    watcher.expect_message("last/words", "alive");
}

fn a_will_is_published_when_its_client_misbehaves(backend: Backend, version: Version) {
    let broker = BrokerProcess::start(backend);
    let mut watcher = watcher(&broker, version);
    for wrong in [packet(0x00), packet(0x36).text("t").raw(b"\0\x01m"), packet(0x10)] {
        let mut client = mortal(&broker, version);
        client.send(&wrong);
        watcher.expect_message("last/words", "farewell");
    }
}

fn a_will_is_published_when_its_client_stays_silent(backend: Backend, version: Version) {
    let broker = BrokerProcess::start(backend);
    let mut watcher = watcher(&broker, version);
    let silent = MqttClient::connect_as(&broker, &with_will(version).keep_alive(1));
    watcher.expect_message("last/words", "farewell");
    drop(silent);
}

fn a_will_is_published_when_its_client_is_taken_over(backend: Backend, version: Version) {
    let broker = BrokerProcess::start(backend);
    let mut watcher = watcher(&broker, version);
    let taken = mortal(&broker, version);
    let mut next = MqttClient::connect(&broker, version, "a");
    watcher.expect_message("last/words", "farewell");
    drop(taken);
    next.expect_nothing();
}

fn a_will_is_published_at_its_qos(backend: Backend, version: Version) {
    let broker = BrokerProcess::start(backend);
    let mut watcher = watcher(&broker, version);
    for qos in 0..3 {
        let will = Will::new("last/words", "farewell").qos(qos);
        MqttClient::connect_as(&broker, &Connect::new(version, "a").will(will)).vanish();
        assert_eq!(watcher.expect_message("last/words", "farewell").qos, qos);
    }
}

fn a_will_may_be_retained(backend: Backend, version: Version) {
    let broker = BrokerProcess::start(backend);
    let mut first = watcher(&broker, version);
    let will = Will::new("last/words", "farewell").qos(1).retained();
    MqttClient::connect_as(&broker, &Connect::new(version, "a").will(will)).vanish();
    assert!(!first.expect_message("last/words", "farewell").retain);
    let mut late = watcher(&broker, version);
    assert!(late.expect_message("last/words", "farewell").retain);
}

fn a_will_that_is_not_retained_is_not_kept(backend: Backend, version: Version) {
    let broker = BrokerProcess::start(backend);
    let mut first = watcher(&broker, version);
    mortal(&broker, version).vanish();
    first.expect_message("last/words", "farewell");
    watcher(&broker, version).expect_nothing();
}

fn a_retained_empty_will_clears_the_retained_message(backend: Backend, version: Version) {
    let broker = BrokerProcess::start(backend);
    let mut publisher = MqttClient::connect(&broker, version, "p");
    publisher.publish(Publish::new("last/words", "alive").qos(1).retained());
    let mut first = watcher(&broker, version);
    assert!(first.expect_message("last/words", "alive").retain);
    let will = Will::new("last/words", "").qos(1).retained();
    MqttClient::connect_as(&broker, &Connect::new(version, "a").will(will)).vanish();
    first.expect_message("last/words", "");
    watcher(&broker, version).expect_nothing();
}

fn a_will_may_be_empty(backend: Backend, version: Version) {
    let broker = BrokerProcess::start(backend);
    let mut watcher = watcher(&broker, version);
    let connect = Connect::new(version, "a").will(Will::new("last/words", ""));
    MqttClient::connect_as(&broker, &connect).vanish();
    watcher.expect_message("last/words", "");
}

fn a_will_of_any_bytes_is_published(backend: Backend, version: Version) {
    let broker = BrokerProcess::start(backend);
    let mut watcher = watcher(&broker, version);
    let payload: Vec<u8> = (0..=255).cycle().take(60_000).collect();
    let connect = Connect::new(version, "a").will(Will::new("last/words", payload.clone()));
    MqttClient::connect_as(&broker, &connect).vanish();
    assert!(watcher.receive().payload == payload, "as it was in CONNECT");
}

fn a_will_is_published_once(backend: Backend, version: Version) {
    let broker = BrokerProcess::start(backend);
    let mut watcher = watcher(&broker, version);
    mortal(&broker, version).vanish();
    watcher.expect_message("last/words", "farewell");
    MqttClient::connect(&broker, version, "a").vanish();
    MqttClient::connect(&broker, version, "b").publish_text("last/words", "alive", 1);
    watcher.expect_message("last/words", "alive");
}

fn a_will_belongs_to_its_connection_and_not_to_its_session(backend: Backend, version: Version) {
    let broker = BrokerProcess::start(backend);
    let mut watcher = watcher(&broker, version);
    let persistent = Connect::persistent(version, "a");
    let will = Will::new("last/words", "of the first");
    MqttClient::connect_as(&broker, &persistent.clone().will(will)).disconnect();
    let client = MqttClient::connect_as(&broker, &persistent);
    assert!(client.connack.session_present);
    client.vanish();
    let will = Will::new("last/words", "of the third");
    MqttClient::connect_as(&broker, &persistent.will(will)).vanish();
    watcher.expect_message("last/words", "of the third");
}

fn a_will_is_queued_for_who_is_away(backend: Backend, version: Version) {
    let broker = BrokerProcess::start(backend);
    let persistent = Connect::persistent(version, "s");
    let mut subscriber = MqttClient::connect_as(&broker, &persistent);
    subscriber.subscribe("last/words", 1);
    subscriber.disconnect();
    let mut watcher = watcher(&broker, version);
    let will = Will::new("last/words", "farewell").qos(1);
    MqttClient::connect_as(&broker, &Connect::new(version, "a").will(will)).vanish();
    watcher.expect_message("last/words", "farewell");
    let mut subscriber = MqttClient::connect_as(&broker, &persistent);
    subscriber.expect_message("last/words", "farewell");
}

fn a_client_without_a_will_leaves_without_a_word(backend: Backend, version: Version) {
    let broker = BrokerProcess::start(backend);
    let mut watcher = MqttClient::connect(&broker, version, "watcher");
    watcher.subscribe("#", 0);
    MqttClient::connect(&broker, version, "a").vanish();
    MqttClient::connect(&broker, version, "b").publish_text("end", "m", 1);
    watcher.expect_message("end", "m");
}

fn a_will_of_a_refused_client_is_not_published(backend: Backend, version: Version) {
    let broker = BrokerProcess::start(backend);
    let mut watcher = watcher(&broker, version);
    let connect = with_will(version);
    let mut client = MqttClient::open(&broker, version);
    // A reserved flag is set.
    client.send(&connect.packet_with("MQTT", version.level(), connect.flags() | 1));
    while client.read_or_end().is_some() {}
    drop(client);
    MqttClient::connect(&broker, version, "b").publish_text("last/words", "alive", 1);
    watcher.expect_message("last/words", "alive");
}

/// Such a will was let in, and then not published.
fn a_will_that_could_not_be_published_is_not_let_in(backend: Backend, version: Version) {
    let broker = BrokerProcess::start_with(backend, &["--message-bytes-max", "8"]);
    let code = if version == Version::V5 { reason::PACKET_TOO_LARGE } else { 0x03 };
    let connect = |text| Connect::new(version, "a").will(Will::new("last/words", text));
    assert_eq!(MqttClient::refused(&broker, &connect("farewell!")), code, "a byte too many");
    MqttClient::connect_as(&broker, &connect("farewell")).expect_nothing();
}

fn a_will_is_published_when_disconnect_asks_for_it(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let mut watcher = watcher(&broker, Version::V5);
    let client = mortal(&broker, Version::V5);
    client.disconnect_as(&disconnect().u8(reason::DISCONNECT_WITH_WILL));
    watcher.expect_message("last/words", "farewell");
}

fn a_will_is_published_when_disconnect_tells_of_an_error(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let mut watcher = watcher(&broker, Version::V5);
    for code in [reason::UNSPECIFIED, reason::PROTOCOL_ERROR, reason::PACKET_TOO_LARGE] {
        mortal(&broker, Version::V5).disconnect_as(&disconnect().u8(code));
        watcher.expect_message("last/words", "farewell");
    }
    mortal(&broker, Version::V5).disconnect_as(&disconnect().u8(reason::SUCCESS));
    watcher.expect_nothing();
}

/// A client whose will waits for a second, and whose session outlives it by `expiry_s`.
#[track_caller]
fn with_delay(broker: &BrokerProcess, delay_s: u32, expiry_s: u32) -> MqttClient {
    let will = Will::new("last/words", "farewell").property(Property::WillDelay(delay_s));
    MqttClient::connect_as(broker, &Connect::new(Version::V5, "a").expiry(expiry_s).will(will))
}

fn a_will_waits_for_its_delay(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let mut watcher = watcher(&broker, Version::V5);
    let client = with_delay(&broker, 1, 60);
    let vanished = Instant::now();
    client.vanish();
    watcher.expect_nothing();
    watcher.expect_message("last/words", "farewell");
    // Whole seconds may be counted from the last tick of a coarse clock.
    assert!(vanished.elapsed() > Duration::from_millis(500), "it waited");
}

fn a_reconnect_within_the_delay_cancels_the_will(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let mut watcher = watcher(&broker, Version::V5);
    with_delay(&broker, 1, 60).vanish();
    let mut back = MqttClient::connect_as(&broker, &Connect::persistent(Version::V5, "a"));
    assert!(back.connack.session_present);
    let_time_pass(Duration::from_millis(1600));
    back.publish_text("last/words", "alive", 1);
    watcher.expect_message("last/words", "alive");
}

fn a_takeover_that_goes_on_with_the_session_cancels_a_delayed_will(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let mut watcher = watcher(&broker, Version::V5);
    let taken = with_delay(&broker, 60, 60);
    let mut next = MqttClient::connect_as(&broker, &Connect::persistent(Version::V5, "a"));
    assert!(next.connack.session_present);
    drop(taken);
    next.publish_text("last/words", "alive", 1);
    watcher.expect_message("last/words", "alive");
    // Without a delay it is published, though the session goes on.
    let taken = with_delay(&broker, 0, 60);
    next.expect_disconnect(&[reason::SESSION_TAKEN_OVER]);
    let next = MqttClient::connect_as(&broker, &Connect::persistent(Version::V5, "a"));
    watcher.expect_message("last/words", "farewell");
    drop((taken, next));
}

fn a_clean_start_within_the_delay_ends_the_session_and_publishes_the_will(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let mut watcher = watcher(&broker, Version::V5);
    with_delay(&broker, 60, 60).vanish();
    let next = MqttClient::connect(&broker, Version::V5, "a");
    assert!(!next.connack.session_present);
    watcher.expect_message("last/words", "farewell");
}

fn the_end_of_the_session_publishes_the_will_before_its_delay(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let mut watcher = watcher(&broker, Version::V5);
    with_delay(&broker, 60, 1).vanish();
    watcher.expect_nothing();
    watcher.expect_message("last/words", "farewell");
}

fn a_delay_without_a_session_is_none(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let mut watcher = watcher(&broker, Version::V5);
    with_delay(&broker, 60, 0).vanish();
    watcher.expect_message("last/words", "farewell");
}

fn the_properties_of_a_will_are_those_of_its_message(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let mut watcher = watcher(&broker, Version::V5);
    let properties = [
        Property::PayloadFormat(1),
        Property::ContentType("text/plain".into()),
        Property::ResponseTopic("answers".into()),
        Property::CorrelationData(vec![0, 1, 0xFF]),
        Property::user("a", "2"),
        Property::user("a", "1"),
    ];
    let will = Will::new("last/words", "farewell").property(Property::WillDelay(0));
    let will = properties.iter().fold(will, |will, property| will.property(property.clone()));
    MqttClient::connect_as(&broker, &Connect::new(Version::V5, "a").will(will)).vanish();
    let mut found = watcher.expect_message("last/words", "farewell").properties;
    found.sort_by_key(Property::id);
    assert_eq!(found, properties, "and not the delay");
}

fn the_expiry_of_a_will_counts_from_its_publication(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let mut watcher = watcher(&broker, Version::V5);
    let will = Will::new("last/words", "farewell");
    let will = will.property(Property::WillDelay(1)).property(Property::MessageExpiry(30));
    let connect = Connect::new(Version::V5, "a").expiry(60).will(will);
    MqttClient::connect_as(&broker, &connect).vanish();
    let expiry_s = watcher.expect_message("last/words", "farewell").expiry_s();
    assert!(matches!(expiry_s, Some(29..=30)), "about 30, not {expiry_s:?}");
}

fn a_will_with_no_local_does_not_come_back(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let mut watcher = watcher(&broker, Version::V5);
    let will = Will::new("last/words", "farewell").qos(1);
    let connect = Connect::new(Version::V5, "a").expiry(60).will(will);
    let mut client = MqttClient::connect_as(&broker, &connect);
    client.subscribe("last/words", 1 | 0x04);
    client.vanish();
    watcher.expect_message("last/words", "farewell");
    let mut back = MqttClient::connect_as(&broker, &Connect::persistent(Version::V5, "a"));
    assert!(back.connack.session_present);
    back.expect_nothing();
}

fn a_will_of_one_version_reaches_the_other(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    for watching in Version::ALL {
        let mut watcher = watcher(&broker, watching);
        for dying in Version::ALL {
            mortal(&broker, dying).vanish();
            watcher.expect_message("last/words", "farewell");
        }
    }
}
