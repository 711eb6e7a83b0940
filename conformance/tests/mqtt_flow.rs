//! What each side of MQTT 5.0 allows the other: messages under way, topic aliases, and the size of
//! packets.

use conformance::mqtt::{Connect, MqttClient, MustEnd, Property, Publish, Version};
use conformance::mqtt::{
    packet, pingreq, puback, pubcomp, pubrec, pubrel, reason, subscribe, unsubscribe,
};
use conformance::{Backend, BrokerProcess, for_both_backends};

for_both_backends! {
    no_more_messages_are_under_way_than_the_client_allows,
    the_window_counts_qos_2_until_pubcomp,
    a_refused_qos_2_message_makes_room,
    qos_0_may_pass_a_full_window_and_is_not_lost,
    the_window_holds_for_messages_that_waited,
    the_window_holds_for_messages_that_are_sent_again,
    a_client_without_receive_maximum_is_sent_many,
    more_than_the_broker_allows_is_told_so,
    what_is_acknowledged_does_not_count_against_the_client,
    what_came_by_a_connection_before_does_not_count_against_the_client,
    an_alias_stands_for_its_topic,
    an_alias_may_be_given_to_another_topic,
    aliases_belong_to_their_connection,
    an_alias_that_was_not_given_is_told_so,
    an_alias_beyond_the_maximum_is_told_so,
    a_client_without_topic_alias_maximum_is_sent_none,
    aliases_to_a_client_are_within_its_maximum_and_mean_what_they_say,
    a_packet_beyond_the_clients_maximum_is_dropped_and_the_next_one_comes,
    a_dropped_message_does_not_fill_the_window,
    a_packet_beyond_the_clients_maximum_is_dropped_from_those_that_wait,
    a_packet_beyond_the_clients_maximum_is_not_sent_again,
    an_alias_makes_no_packet_larger_than_the_client_allows,
    a_packet_beyond_the_brokers_maximum_is_told_so,
    nothing_that_is_sent_is_larger_than_the_client_allows,
    a_will_is_subject_to_the_clients_maximum_too,
}

#[track_caller]
fn connect(broker: &BrokerProcess, id: &str, property: Property) -> MqttClient {
    MqttClient::connect_as(broker, &Connect::new(Version::V5, id).property(property))
}

#[track_caller]
fn publisher(broker: &BrokerProcess) -> MqttClient {
    MqttClient::connect(broker, Version::V5, "p")
}

fn no_more_messages_are_under_way_than_the_client_allows(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    for maximum in [1, 2, 5] {
        let mut client = connect(&broker, "a", Property::ReceiveMaximum(maximum));
        client.subscribe("t", 1);
        let mut publisher = publisher(&broker);
        for at in 0..12 {
            publisher.publish_text("t", &format!("{at}"), 1);
        }
        let mut under_way: Vec<_> = (0..maximum).map(|_| client.read_publish()).collect();
        for at in 0..12 {
            client.expect_nothing();
            let next = under_way.remove(0);
            assert_eq!(next.text(), format!("{at}"));
            client.send(&puback(next.id));
            if at + maximum < 12 {
                under_way.push(client.read_publish());
            }
        }
        client.expect_nothing();
        client.disconnect();
    }
}

fn the_window_counts_qos_2_until_pubcomp(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let mut client = connect(&broker, "a", Property::ReceiveMaximum(1));
    client.subscribe("t", 2);
    let mut publisher = publisher(&broker);
    publisher.publish_text("t", "first", 2);
    publisher.publish_text("t", "second", 2);
    let first = client.read_publish();
    client.expect_nothing();
    client.send(&pubrec(first.id));
    assert_eq!(client.read_ack(0x62, first.id), 0);
    client.expect_nothing();
    client.send(&pubcomp(first.id));
    client.expect_message("t", "second");
}

fn a_refused_qos_2_message_makes_room(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let mut client = connect(&broker, "a", Property::ReceiveMaximum(1));
    client.subscribe("t", 2);
    let mut publisher = publisher(&broker);
    publisher.publish_text("t", "first", 2);
    publisher.publish_text("t", "second", 2);
    let first = client.read_publish();
    client.send(&pubrec(first.id).u8(reason::UNSPECIFIED));
    // There is nothing to release, and the identifier is free.
    client.expect_message("t", "second");
    client.expect_nothing();
}

/// Whether QoS 0 waits for the window as well is left to the broker.
fn qos_0_may_pass_a_full_window_and_is_not_lost(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let mut client = connect(&broker, "a", Property::ReceiveMaximum(1));
    client.subscribe("one", 1);
    client.subscribe("nought", 0);
    let mut publisher = publisher(&broker);
    publisher.publish_text("one", "held", 1);
    let held = client.read_publish();
    publisher.publish_text("nought", "may pass", 1);
    publisher.publish_text("one", "waits", 1);
    client.send(&pingreq());
    let mut before = 0;
    while client.read().is_publish() {
        before += 1;
    }
    assert!(before <= 1, "no more than QoS 0 passes");
    client.send(&puback(held.id));
    let mut texts: Vec<String> = client.receive_texts(2 - before);
    texts.sort();
    assert_eq!(texts, ["may pass", "waits"][before..]);
    client.expect_nothing();
}

fn the_window_holds_for_messages_that_waited(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let kept = Connect::persistent(Version::V5, "a").property(Property::ReceiveMaximum(2));
    let mut client = MqttClient::connect_as(&broker, &kept);
    client.subscribe("t", 1);
    client.disconnect();
    let mut publisher = publisher(&broker);
    for text in ["1", "2", "3", "4"] {
        publisher.publish_text("t", text, 1);
    }
    let mut client = MqttClient::connect_as(&broker, &kept);
    let first = client.read_publish();
    let second = client.read_publish();
    client.expect_nothing();
    client.vanish();
    let mut client = MqttClient::connect_as(&broker, &kept);
    assert_eq!(client.read_publish(), first.again());
    assert_eq!(client.read_publish(), second.clone().again());
    client.expect_nothing();
    client.send(&puback(second.id));
    client.expect_message("t", "3");
    client.expect_message("t", "4");
}

/// All that was under way came at once, however few a client took that came back.
fn the_window_holds_for_messages_that_are_sent_again(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let mut client = MqttClient::connect_as(&broker, &Connect::persistent(Version::V5, "a"));
    client.subscribe("t", 1);
    let mut publisher = publisher(&broker);
    for at in 0..6 {
        publisher.publish_text("t", &format!("{at}"), 1);
        client.read_publish();
    }
    client.vanish();
    let fewer = Connect::persistent(Version::V5, "a").property(Property::ReceiveMaximum(2));
    let mut client = MqttClient::connect_as(&broker, &fewer);
    publisher.publish_text("t", "6", 1);
    let mut under_way = vec![client.read_publish(), client.read_publish()];
    for at in 0..7 {
        client.expect_nothing();
        let next = under_way.remove(0);
        assert_eq!((next.text(), next.dup), (&*format!("{at}"), at < 6));
        client.send(&puback(next.id));
        if at + 2 < 7 {
            under_way.push(client.read_publish());
        }
    }
    client.expect_nothing();
}

fn a_client_without_receive_maximum_is_sent_many(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let mut client = MqttClient::connect(&broker, Version::V5, "a");
    client.subscribe("t", 1);
    let mut publisher = publisher(&broker);
    for at in 0..20 {
        publisher.publish_text("t", &format!("{at}"), 1);
    }
    let got: Vec<_> = (0..20).map(|_| client.read_publish()).collect();
    for publish in &got {
        client.send(&puback(publish.id));
    }
    client.expect_nothing();
}

/// How many messages the broker takes that are not yet released.
#[track_caller]
fn receive_maximum(client: &MqttClient) -> u16 {
    let maximum = client.connack.properties.iter().find_map(|property| match property {
        Property::ReceiveMaximum(maximum) => Some(*maximum),
        _ => None,
    });
    maximum.unwrap_or(u16::MAX)
}

fn more_than_the_broker_allows_is_told_so(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let mut client = publisher(&broker);
    let maximum = receive_maximum(&client);
    if maximum == u16::MAX {
        // There are no more identifiers than it allows.
        return;
    }
    for id in 1..=maximum {
        client.send_publish(&Publish::new("t", "m").qos(2).id(id));
        assert!(client.read_ack(0x50, id) < 0x80);
    }
    client.send_publish(&Publish::new("t", "m").qos(2).id(maximum + 1));
    client.expect_disconnect(&[reason::RECEIVE_MAXIMUM_EXCEEDED]);
    publisher(&broker).expect_nothing();
}

/// A client that had lost its memory was let in and thrown out again each time.
fn what_came_by_a_connection_before_does_not_count_against_the_client(backend: Backend) {
    let broker = BrokerProcess::start_with(backend, &["--mqtt-receive-max", "2"]);
    let kept = Connect::persistent(Version::V5, "a");
    for first in [1, 3, 5] {
        let mut client = MqttClient::connect_as(&broker, &kept);
        for id in [first, first + 1] {
            client.send_publish(&Publish::new("t", "m").qos(2).id(id));
            assert_eq!(client.read_ack(0x50, id), 0);
        }
        client.vanish();
    }
    let mut client = MqttClient::connect_as(&broker, &kept);
    for id in [7, 8] {
        client.send_publish(&Publish::new("t", "m").qos(2).id(id));
        assert_eq!(client.read_ack(0x50, id), 0);
    }
    client.send_publish(&Publish::new("t", "m").qos(2).id(9));
    client.expect_disconnect(&[reason::RECEIVE_MAXIMUM_EXCEEDED]);
}

fn what_is_acknowledged_does_not_count_against_the_client(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let mut client = publisher(&broker);
    let count = receive_maximum(&client).min(500);
    for qos in [1, 2] {
        for _ in 0..=count {
            client.publish(Publish::new("t", "m").qos(qos));
        }
    }
    for id in 1..=count {
        client.send_publish(&Publish::new("t", "m").qos(2).id(id));
        assert!(client.read_ack(0x50, id) < 0x80);
    }
    // QoS 0 is not counted, and what is sent again is counted once.
    client.send_publish(&Publish::new("t", "m"));
    client.send_publish(&Publish::new("t", "m").qos(2).id(count).again());
    assert!(client.read_ack(0x50, count) < 0x80);
    client.expect_nothing();
}

#[track_caller]
fn alias_maximum(client: &MqttClient) -> u16 {
    let maximum = client.connack.properties.iter().find_map(|property| match property {
        Property::TopicAliasMaximum(maximum) => Some(*maximum),
        _ => None,
    });
    maximum.unwrap_or(0)
}

fn aliased(topic: &str, text: &str, alias: u16) -> Publish {
    Publish::new(topic, text).qos(1).property(Property::TopicAlias(alias))
}

fn an_alias_stands_for_its_topic(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let mut subscriber = MqttClient::connect(&broker, Version::V5, "s");
    subscriber.subscribe("#", 1);
    let mut client = publisher(&broker);
    assert!(alias_maximum(&client) >= 2, "it takes aliases: {:?}", client.connack);
    let published = [
        (aliased("a", "1", 1), "a"),
        (aliased("b", "2", 2), "b"),
        (aliased("", "3", 1), "a"),
        (aliased("", "4", 2), "b"),
        (Publish::new("c", "5").qos(1), "c"),
    ];
    for (publish, topic) in published {
        client.publish(publish.clone());
        let publish = subscriber.expect_message(topic, publish.text());
        assert_eq!(publish.alias(), None, "it is not passed on");
    }
}

fn an_alias_may_be_given_to_another_topic(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let mut subscriber = MqttClient::connect(&broker, Version::V5, "s");
    subscriber.subscribe("#", 1);
    let mut client = publisher(&broker);
    for (said, text, meant) in [("a", "1", "a"), ("b", "2", "b"), ("", "3", "b")] {
        client.publish(aliased(said, text, 1));
        subscriber.expect_message(meant, text);
    }
}

fn aliases_belong_to_their_connection(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let kept = Connect::persistent(Version::V5, "p");
    let mut client = MqttClient::connect_as(&broker, &kept);
    client.publish(aliased("a", "1", 1));
    client.vanish();
    let mut client = MqttClient::connect_as(&broker, &kept);
    assert!(client.connack.session_present);
    client.send_publish(&aliased("", "2", 1));
    client.expect_disconnect(NO_ALIAS);
    let mut first = publisher(&broker);
    first.publish(aliased("a", "1", 1));
    let mut second = MqttClient::connect(&broker, Version::V5, "q");
    second.send_publish(&aliased("", "2", 1));
    second.expect_disconnect(NO_ALIAS);
    first.expect_nothing();
}

/// An empty topic without an alias that says which is a protocol error.
const NO_ALIAS: &[u8] = &[reason::PROTOCOL_ERROR, reason::TOPIC_ALIAS_INVALID];

fn an_alias_that_was_not_given_is_told_so(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let mut table = MustEnd::new(&broker, Version::V5);
    let publish = aliased("", "m", 1).packet(Version::V5);
    table.packet("an alias of nothing", &publish, NO_ALIAS);
    table.packet("no topic and no alias", &packet(0x30).text("").u8(0), NO_ALIAS);
    table.check();
}

fn an_alias_beyond_the_maximum_is_told_so(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let maximum = alias_maximum(&publisher(&broker));
    let mut table = MustEnd::new(&broker, Version::V5);
    for alias in [maximum.saturating_add(1), u16::MAX] {
        if alias > maximum {
            let publish = aliased("t", "m", alias).packet(Version::V5);
            table.packet("beyond the maximum", &publish, &[reason::TOPIC_ALIAS_INVALID]);
        }
    }
    table.check();
    publisher(&broker).publish(aliased("t", "m", maximum));
}

fn a_client_without_topic_alias_maximum_is_sent_none(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    for maximum in [None, Some(0)] {
        let connect = Connect::new(Version::V5, "a");
        let connect = match maximum {
            None => connect,
            Some(maximum) => connect.property(Property::TopicAliasMaximum(maximum)),
        };
        let mut client = MqttClient::connect_as(&broker, &connect);
        client.subscribe("t", 1);
        for _ in 0..5 {
            client.publish_text("t", "m", 1);
            assert_eq!(client.expect_message("t", "m").alias(), None);
        }
    }
}

fn aliases_to_a_client_are_within_its_maximum_and_mean_what_they_say(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let mut client = connect(&broker, "a", Property::TopicAliasMaximum(2));
    client.subscribe("#", 1);
    let mut publisher = publisher(&broker);
    let mut given: [Option<String>; 2] = [None, None];
    for at in 0..20 {
        let topic = format!("topic/{}", at % 4);
        publisher.publish_text(&topic, "m", 1);
        let publish = client.receive();
        let Some(alias) = publish.alias() else {
            assert_eq!(publish.topic, topic);
            continue;
        };
        assert!((1..=2).contains(&alias), "{publish:?}");
        let meaning = &mut given[usize::from(alias) - 1];
        if !publish.topic.is_empty() {
            *meaning = Some(publish.topic);
        }
        assert_eq!(*meaning, Some(topic));
    }
}

fn a_packet_beyond_the_clients_maximum_is_dropped_and_the_next_one_comes(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let mut client = connect(&broker, "a", Property::MaximumPacketSize(40));
    client.subscribe("t", 2);
    let mut publisher = publisher(&broker);
    for qos in 0..3 {
        publisher.publish_text("t", &"x".repeat(100), qos);
        // A fixed header of 2, a topic of 3, an identifier of 2 but at QoS 0, an empty list of
        // properties, and this: exactly 40 bytes.
        let fits = "y".repeat(40 - 2 - 3 - 1 - if qos > 0 { 2 } else { 0 });
        publisher.publish_text("t", &format!("{fits}z"), qos);
        publisher.publish_text("t", &fits, qos);
        client.expect_message("t", &fits);
    }
    client.expect_nothing();
}

fn a_dropped_message_does_not_fill_the_window(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let connect = Connect::new(Version::V5, "a").property(Property::MaximumPacketSize(40));
    let connect = connect.property(Property::ReceiveMaximum(1));
    let mut client = MqttClient::connect_as(&broker, &connect);
    client.subscribe("t", 2);
    let mut publisher = publisher(&broker);
    for qos in [1, 2, 1, 2] {
        publisher.publish_text("t", &"x".repeat(100), qos);
        publisher.publish_text("t", "small", qos);
        client.expect_message("t", "small");
    }
    client.expect_nothing();
}

fn a_packet_beyond_the_clients_maximum_is_dropped_from_those_that_wait(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let kept = Connect::persistent(Version::V5, "a");
    let mut client = MqttClient::connect_as(&broker, &kept);
    client.subscribe("t", 1);
    client.disconnect();
    let mut publisher = publisher(&broker);
    publisher.publish_text("t", &"x".repeat(100), 1);
    publisher.publish_text("t", "small", 1);
    let narrow = kept.property(Property::MaximumPacketSize(40));
    let mut client = MqttClient::connect_as(&broker, &narrow);
    client.expect_message("t", "small");
    client.expect_nothing();
}

fn a_packet_beyond_the_clients_maximum_is_not_sent_again(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let kept = Connect::persistent(Version::V5, "a");
    let mut client = MqttClient::connect_as(&broker, &kept);
    client.subscribe("t", 1);
    let mut publisher = publisher(&broker);
    publisher.publish_text("t", &"x".repeat(100), 1);
    publisher.publish_text("t", "small", 1);
    client.read_publish();
    let small = client.read_publish();
    client.vanish();
    let narrow = kept.property(Property::MaximumPacketSize(40));
    let mut client = MqttClient::connect_as(&broker, &narrow);
    assert_eq!(client.read_publish(), small.again());
    client.expect_nothing();
}

/// The alias was not counted where a packet just fit.
fn an_alias_makes_no_packet_larger_than_the_client_allows(backend: Backend) {
    const BYTES_MAX: usize = 40;
    let broker = BrokerProcess::start(backend);
    let narrow = Connect::new(Version::V5, "a")
        .property(Property::MaximumPacketSize(BYTES_MAX as u32))
        .property(Property::TopicAliasMaximum(8));
    let mut client = MqttClient::connect_as(&broker, &narrow);
    client.subscribe("+", 0);
    let mut publisher = publisher(&broker);
    for bytes in 30..40 {
        let topic = format!("{bytes}");
        // A head of two bytes, the topic with its length, and the length of properties.
        let payload = "x".repeat(bytes - 7);
        for _ in 0..2 {
            publisher.publish_text(&topic, &payload, 0);
            let received = client.read();
            assert!(received.body.len() + 2 <= BYTES_MAX, "{bytes}: {received:?}");
        }
    }
}

fn a_packet_beyond_the_brokers_maximum_is_told_so(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let mut client = publisher(&broker);
    let maximum = client.connack.properties.iter().find_map(|property| match property {
        Property::MaximumPacketSize(bytes) => Some(*bytes),
        _ => None,
    });
    // Without a limit of its own, the protocol's is the only one.
    let Some(maximum) = maximum else { return };
    let too_much = usize::try_from(maximum).expect("64 bits");
    let mut packet = Publish::new("t", vec![0; too_much]).packet(Version::V5).bytes();
    packet.truncate(64 * 1024);
    // It is known from the length that the packet begins with.
    client.connection.send(&packet);
    client.expect_disconnect(&[reason::PACKET_TOO_LARGE]);
    publisher(&broker).expect_nothing();
}

fn nothing_that_is_sent_is_larger_than_the_client_allows(backend: Backend) {
    const BYTES_MAX: usize = 24;
    let broker = BrokerProcess::start(backend);
    // What CONNACK must tell may not fit; what it may tell has to.
    let property = Property::MaximumPacketSize(BYTES_MAX as u32);
    let mut client = MqttClient::open(&broker, Version::V5);
    client.send(&Connect::new(Version::V5, "a").property(property).packet());
    let connack = client.read().connack(Version::V5);
    let spoken =
        |property: &Property| matches!(property, Property::ReasonString(_) | Property::User(..));
    assert!(!connack.properties.iter().any(spoken), "{connack:?}");
    client.send(&subscribe(Version::V5, 1, &[("a/very/long/filter/indeed#", 1)], &[]));
    client.send(&unsubscribe(Version::V5, 2, &["a/very/long/filter/indeed"]));
    client.send_publish(&Publish::new("nobody/has/subscribed/to/this", "m").qos(1).id(3));
    client.send(&pubrel(4));
    client.send(&packet(0x00));
    while let Some(received) = client.read_or_end() {
        assert!(received.body.len() + 2 <= BYTES_MAX, "{received:?}");
    }
}

fn a_will_is_subject_to_the_clients_maximum_too(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let mut client = connect(&broker, "a", Property::MaximumPacketSize(40));
    client.subscribe("t", 1);
    let mut watcher = MqttClient::connect(&broker, Version::V5, "watcher");
    watcher.subscribe("t", 1);
    let will = conformance::mqtt::Will::new("t", "x".repeat(100));
    MqttClient::connect_as(&broker, &Connect::new(Version::V5, "b").will(will)).vanish();
    assert_eq!(watcher.receive().payload.len(), 100);
    publisher(&broker).publish_text("t", "small", 1);
    client.expect_message("t", "small");
}
