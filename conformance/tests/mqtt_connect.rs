//! CONNECT and CONNACK: who is let in, under which name, and how a connection ends that is not.

use conformance::mqtt::{Connect, MqttClient, Property, Version, Will, disconnect, reason};
use conformance::mqtt::{Publish, Received, packet, pingreq};
use conformance::{Backend, BrokerProcess, for_both_backends};

mod in_each_version {
    use conformance::for_both_mqtt_versions;

    use super::*;

    for_both_mqtt_versions! {
        a_client_is_let_in_and_its_pings_are_answered,
        a_connect_with_every_flag_is_let_in,
        a_connect_may_come_a_byte_at_a_time,
        packets_may_follow_connect_at_once,
        the_first_packet_must_be_connect,
        a_second_connect_ends_the_connection,
        a_wrong_protocol_name_is_not_let_in,
        a_reserved_flag_in_connect_ends_the_connection,
        a_will_qos_of_3_ends_the_connection,
        will_flags_without_a_will_end_the_connection,
        a_client_with_an_empty_identifier_is_let_in,
        two_clients_with_empty_identifiers_do_not_meet,
        client_identifiers_are_not_cut,
        a_client_identifier_that_is_not_utf_8_is_not_let_in,
        who_connects_under_a_name_takes_it_over,
        a_connection_that_was_taken_over_does_not_end_the_one_that_took_it,
        disconnect_ends_the_connection,
        nothing_behind_disconnect_is_looked_at,
        nothing_behind_a_refused_connect_is_looked_at,
        a_client_that_vanishes_within_connect_hurts_nobody,
        a_broker_that_stops_says_so,
    }
}

for_both_backends! {
    versions_meet_on_one_broker,
    an_unknown_level_is_told_so,
    an_empty_identifier_with_a_session_to_keep_is_refused_before_5,
    an_empty_identifier_is_refused_in_3_1,
    a_password_needs_a_user_name_before_5,
    a_password_may_come_alone_in_5,
    the_broker_tells_the_identifier_that_it_assigned,
    a_client_with_an_assigned_identifier_finds_its_session_by_it,
    enhanced_authentication_is_refused,
    authentication_data_without_a_method_is_refused,
    auth_out_of_turn_is_a_protocol_error,
    what_the_broker_says_of_itself_is_within_the_standard,
    response_information_is_not_given_unasked,
}

/// The broker still serves others.
#[track_caller]
fn check_others_go_on(broker: &BrokerProcess) {
    MqttClient::connect(broker, Version::V311, "other").expect_nothing();
}

/// What was sent must not be answered with an acceptance: the connection is closed, after a refusal
/// with one of `codes` or a text if the broker has a word to say.
#[track_caller]
fn check_not_let_in(broker: &BrokerProcess, version: Version, sent: &[u8], codes: &[u8]) {
    let mut client = MqttClient::open(broker, version);
    client.connection.send(sent);
    if let Some(received) = client.read_or_end() {
        let code = refusal(&received);
        assert!(codes.contains(&code), "one of {codes:02x?}, not {received:?}");
        client.expect_closed();
    }
    check_others_go_on(broker);
}

/// The code of a CONNACK to a client whose version the broker may not know, in either format.
#[track_caller]
fn refusal(received: &Received) -> u8 {
    let version = if received.body.len() == 2 { Version::V311 } else { Version::V5 };
    received.connack(version).code
}

fn a_client_is_let_in_and_its_pings_are_answered(backend: Backend, version: Version) {
    let broker = BrokerProcess::start(backend);
    let mut client = MqttClient::connect(&broker, version, "a");
    assert!(!client.connack.session_present, "it is new");
    client.expect_nothing();
    client.expect_nothing();
}

fn a_connect_with_every_flag_is_let_in(backend: Backend, version: Version) {
    let broker = BrokerProcess::start(backend);
    for qos in 0..3 {
        let will = Will::new("last/words", "").qos(qos).retained();
        let connect = Connect::persistent(version, "a").will(will);
        let connect = connect.user_name("user").password([0x00, 0xFF]).keep_alive(0xFFFF);
        MqttClient::connect_as(&broker, &connect.clone().clean()).expect_nothing();
        MqttClient::connect_as(&broker, &connect).disconnect();
    }
    let empty = Connect::new(version, "a").user_name("").password("");
    MqttClient::connect_as(&broker, &empty).expect_nothing();
}

fn a_connect_may_come_a_byte_at_a_time(backend: Backend, version: Version) {
    let broker = BrokerProcess::start(backend);
    let mut client = MqttClient::open(&broker, version);
    for byte in Connect::new(version, "a").packet().bytes() {
        client.connection.send(&[byte]);
    }
    assert_eq!(client.read().connack(version).code, reason::SUCCESS);
    client.expect_nothing();
}

fn packets_may_follow_connect_at_once(backend: Backend, version: Version) {
    let broker = BrokerProcess::start(backend);
    let mut client = MqttClient::open(&broker, version);
    let connect = Connect::new(version, "a").packet().bytes();
    client.connection.send(&[connect, pingreq().bytes(), pingreq().bytes()].concat());
    assert_eq!(client.read().connack(version).code, reason::SUCCESS);
    assert_eq!(client.read().name(), "PINGRESP");
    assert_eq!(client.read().name(), "PINGRESP");
}

fn the_first_packet_must_be_connect(backend: Backend, version: Version) {
    let broker = BrokerProcess::start(backend);
    for first in [0x30, 0x40, 0x50, 0x62, 0x70, 0x82, 0xA2, 0xC0, 0xE0, 0xF0] {
        let mut client = MqttClient::open(&broker, version);
        client.connection.send(&packet(first).u16(1).bytes());
        // What does not begin with CONNECT is not MQTT, and may be told so in another language.
        let said = client.read_to_end();
        assert!(!said.starts_with(&[0x20]), "{first:#04x} is not accepted");
    }
    check_others_go_on(&broker);
}

fn a_second_connect_ends_the_connection(backend: Backend, version: Version) {
    let broker = BrokerProcess::start(backend);
    let mut client = MqttClient::connect(&broker, version, "a");
    client.send(&Connect::new(version, "a").packet());
    client.expect_disconnect(&[reason::PROTOCOL_ERROR]);
    check_others_go_on(&broker);
}

fn a_wrong_protocol_name_is_not_let_in(backend: Backend, version: Version) {
    let broker = BrokerProcess::start(backend);
    let connect = Connect::new(version, "a");
    for name in ["", "hj", "MQTt", "MQTTT", "mqtt"] {
        let sent = connect.packet_with(name, version.level(), connect.flags()).bytes();
        let codes = [0x01, reason::UNSUPPORTED_VERSION, reason::MALFORMED, reason::PROTOCOL_ERROR];
        check_not_let_in(&broker, version, &sent, &codes);
    }
}

fn a_reserved_flag_in_connect_ends_the_connection(backend: Backend, version: Version) {
    let broker = BrokerProcess::start(backend);
    let connect = Connect::new(version, "a");
    let sent = connect.packet_with("MQTT", version.level(), connect.flags() | 1).bytes();
    check_not_let_in(&broker, version, &sent, &[reason::MALFORMED, reason::PROTOCOL_ERROR]);
}

fn a_will_qos_of_3_ends_the_connection(backend: Backend, version: Version) {
    let broker = BrokerProcess::start(backend);
    let connect = Connect::new(version, "a").will(Will::new("t", "m").qos(3));
    let codes = [reason::MALFORMED, reason::PROTOCOL_ERROR];
    check_not_let_in(&broker, version, &connect.packet().bytes(), &codes);
}

fn will_flags_without_a_will_end_the_connection(backend: Backend, version: Version) {
    let broker = BrokerProcess::start(backend);
    let connect = Connect::new(version, "a");
    for flags in [0x08, 0x10, 0x20] {
        let sent = connect.packet_with("MQTT", version.level(), connect.flags() | flags).bytes();
        check_not_let_in(&broker, version, &sent, &[reason::MALFORMED, reason::PROTOCOL_ERROR]);
    }
}

fn a_client_with_an_empty_identifier_is_let_in(backend: Backend, version: Version) {
    let broker = BrokerProcess::start(backend);
    MqttClient::connect(&broker, version, "").expect_nothing();
    if version == Version::V5 {
        let connect = Connect::new(version, "").resuming();
        let mut client = MqttClient::connect_as(&broker, &connect);
        assert!(!client.connack.session_present, "nobody was there before");
        client.expect_nothing();
    }
}

fn two_clients_with_empty_identifiers_do_not_meet(backend: Backend, version: Version) {
    let broker = BrokerProcess::start(backend);
    let mut first = MqttClient::connect(&broker, version, "");
    let mut second = MqttClient::connect(&broker, version, "");
    assert_eq!(first.subscribe("t", 1), 1);
    second.publish_text("t", "m", 1);
    first.expect_message("t", "m");
    second.expect_nothing();
}

fn client_identifiers_are_not_cut(backend: Backend, version: Version) {
    let broker = BrokerProcess::start(backend);
    let alphabet = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    let mut first = MqttClient::connect(&broker, version, &format!("{alphabet}1"));
    let mut second = MqttClient::connect(&broker, version, &format!("{alphabet}2"));
    let mut third = MqttClient::connect(&broker, version, "\u{feff}ümlaut/#+$ \u{1f980}");
    let mut fourth = MqttClient::connect(&broker, version, "ümlaut/#+$ \u{1f980}");
    for client in [&mut first, &mut second, &mut third, &mut fourth] {
        client.expect_nothing();
    }
}

fn a_client_identifier_that_is_not_utf_8_is_not_let_in(backend: Backend, version: Version) {
    let broker = BrokerProcess::start(backend);
    for id in [&b"a\xFF"[..], b"a\0", b"\xED\xA0\x80", b"\xC0\xAF", b"\xE2\x82"] {
        let sent = Connect::new(version, "").raw_client_id(id).packet().bytes();
        let codes = [0x02, reason::MALFORMED, reason::PROTOCOL_ERROR, reason::CLIENT_ID_INVALID];
        check_not_let_in(&broker, version, &sent, &codes);
    }
}

fn who_connects_under_a_name_takes_it_over(backend: Backend, version: Version) {
    let broker = BrokerProcess::start(backend);
    let mut first = MqttClient::connect(&broker, version, "a");
    let mut second = MqttClient::connect(&broker, version, "a");
    first.expect_disconnect(&[reason::SESSION_TAKEN_OVER]);
    second.expect_nothing();
    let mut third = MqttClient::connect(&broker, version, "a");
    second.expect_disconnect(&[reason::SESSION_TAKEN_OVER]);
    third.expect_nothing();
}

fn a_connection_that_was_taken_over_does_not_end_the_one_that_took_it(
    backend: Backend,
    version: Version,
) {
    let broker = BrokerProcess::start(backend);
    let mut first = MqttClient::connect_as(&broker, &Connect::persistent(version, "a"));
    first.subscribe("t", 1);
    let mut second = MqttClient::connect_as(&broker, &Connect::persistent(version, "a"));
    assert!(second.connack.session_present, "it goes on with the other's session");
    first.expect_disconnect(&[reason::SESSION_TAKEN_OVER]);
    first.vanish();
    let mut publisher = MqttClient::connect(&broker, version, "p");
    publisher.publish_text("t", "m", 1);
    second.expect_message("t", "m");
}

fn disconnect_ends_the_connection(backend: Backend, version: Version) {
    let broker = BrokerProcess::start(backend);
    MqttClient::connect(&broker, version, "a").disconnect();
    let spelled = disconnect().u8(reason::SUCCESS);
    if version == Version::V5 {
        MqttClient::connect(&broker, version, "a").disconnect_as(&spelled);
        MqttClient::connect(&broker, version, "a").disconnect_as(&spelled.properties(&[]));
    }
}

fn nothing_behind_disconnect_is_looked_at(backend: Backend, version: Version) {
    let broker = BrokerProcess::start(backend);
    let mut subscriber = MqttClient::connect(&broker, version, "s");
    subscriber.subscribe("t", 0);
    let mut client = MqttClient::connect(&broker, version, "a");
    let publish = Publish::new("t", "late").packet(version).bytes();
    client.connection.send(&[disconnect().bytes(), pingreq().bytes(), publish].concat());
    client.expect_closed();
    subscriber.expect_nothing();
}

fn nothing_behind_a_refused_connect_is_looked_at(backend: Backend, version: Version) {
    let broker = BrokerProcess::start(backend);
    let mut subscriber = MqttClient::connect(&broker, version, "s");
    subscriber.subscribe("t", 0);
    let connect = if version == Version::V5 {
        let method = Property::AuthenticationMethod("SCRAM-SHA-1".into());
        Connect::new(version, "a").property(method)
    } else {
        Connect::new(version, "").resuming()
    };
    let publish = Publish::new("t", "early").packet(version).bytes();
    let mut client = MqttClient::open(&broker, version);
    client.connection.send(&[connect.packet().bytes(), publish].concat());
    assert_ne!(client.read().connack(version).code, reason::SUCCESS);
    client.expect_closed();
    MqttClient::connect(&broker, version, "p").publish_text("t", "next", 1);
    subscriber.expect_message("t", "next");
}

fn a_client_that_vanishes_within_connect_hurts_nobody(backend: Backend, version: Version) {
    let broker = BrokerProcess::start(backend);
    let connect = Connect::new(version, "a").user_name("user").packet().bytes();
    for end in 1..connect.len() {
        let mut client = MqttClient::open(&broker, version);
        client.connection.send(&connect[..end]);
        client.vanish();
    }
    check_others_go_on(&broker);
}

fn a_broker_that_stops_says_so(backend: Backend, version: Version) {
    let mut broker = BrokerProcess::start(backend);
    let mut client = MqttClient::connect(&broker, version, "a");
    assert_eq!(broker.terminate(), Some(0));
    client.expect_disconnect(&[reason::SHUTTING_DOWN]);
}

fn versions_meet_on_one_broker(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let ids = ["a", "b", "c"];
    let mut clients: Vec<_> = Version::ALL
        .into_iter()
        .zip(ids)
        .map(|(version, id)| MqttClient::connect(&broker, version, id))
        .collect();
    for client in &mut clients {
        assert_eq!(client.subscribe("t", 2), 2);
    }
    for publisher in 0..clients.len() {
        let text = format!("from {publisher}");
        clients[publisher].publish_text("t", &text, 2);
        for client in &mut clients {
            assert_eq!(client.expect_message("t", &text).qos, 2);
        }
    }
}

fn an_unknown_level_is_told_so(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    for level in [0, 1, 2, 6, 7, 0x7F] {
        let connect = Connect::new(Version::V311, "a");
        let mut client = MqttClient::open(&broker, Version::V311);
        client.send(&connect.packet_with("MQTT", level, connect.flags()));
        let received = client.read();
        let expected = if received.body.len() == 2 { 0x01 } else { reason::UNSUPPORTED_VERSION };
        assert_eq!(refusal(&received), expected, "of level {level}: {received:?}");
        client.expect_closed();
    }
    check_others_go_on(&broker);
}

fn an_empty_identifier_with_a_session_to_keep_is_refused_before_5(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let connect = Connect::new(Version::V311, "").resuming();
    assert_eq!(MqttClient::refused(&broker, &connect), 0x02, "identifier rejected");
    check_others_go_on(&broker);
}

fn an_empty_identifier_is_refused_in_3_1(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let connect = Connect::new(Version::V31, "");
    assert_eq!(MqttClient::refused(&broker, &connect), 0x02, "identifier rejected");
    check_others_go_on(&broker);
}

fn a_password_needs_a_user_name_before_5(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let connect = Connect::new(Version::V311, "a").password("secret");
    check_not_let_in(&broker, Version::V311, &connect.packet().bytes(), &[]);
}

fn a_password_may_come_alone_in_5(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let connect = Connect::new(Version::V5, "a").password("secret");
    MqttClient::connect_as(&broker, &connect).expect_nothing();
}

fn the_broker_tells_the_identifier_that_it_assigned(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let first = MqttClient::connect(&broker, Version::V5, "");
    let second = MqttClient::connect(&broker, Version::V5, "");
    assert_ne!(first.assigned_client_id(), second.assigned_client_id());
    assert!(!first.assigned_client_id().is_empty());
    let named = MqttClient::connect(&broker, Version::V5, "a");
    let assigned = |property: &Property| matches!(property, Property::AssignedClientId(_));
    assert!(!named.connack.properties.iter().any(assigned), "it has a name: {:?}", named.connack);
}

fn a_client_with_an_assigned_identifier_finds_its_session_by_it(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let connect = Connect::new(Version::V5, "").expiry(3600);
    let client = MqttClient::connect_as(&broker, &connect);
    let id = client.assigned_client_id().to_owned();
    client.disconnect();
    let client = MqttClient::connect_as(&broker, &Connect::persistent(Version::V5, &id));
    assert!(client.connack.session_present);
}

fn enhanced_authentication_is_refused(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let method = Property::AuthenticationMethod("SCRAM-SHA-1".into());
    let data = Property::AuthenticationData(b"client-first".to_vec());
    let connect = Connect::new(Version::V5, "a").property(method);
    assert_eq!(MqttClient::refused(&broker, &connect), reason::BAD_AUTHENTICATION_METHOD);
    let connect = connect.property(data);
    assert_eq!(MqttClient::refused(&broker, &connect), reason::BAD_AUTHENTICATION_METHOD);
    check_others_go_on(&broker);
}

fn authentication_data_without_a_method_is_refused(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let data = Property::AuthenticationData(b"data".to_vec());
    let sent = Connect::new(Version::V5, "a").property(data).packet().bytes();
    let codes = [reason::PROTOCOL_ERROR, reason::BAD_AUTHENTICATION_METHOD];
    check_not_let_in(&broker, Version::V5, &sent, &codes);
}

fn auth_out_of_turn_is_a_protocol_error(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let method = [Property::AuthenticationMethod("SCRAM-SHA-1".into())];
    for code in [0x18, 0x19] {
        let mut client = MqttClient::connect(&broker, Version::V5, "a");
        client.send(&packet(0xF0).u8(code).properties(&method));
        client.expect_disconnect(&[reason::PROTOCOL_ERROR, reason::BAD_AUTHENTICATION_METHOD]);
    }
    check_others_go_on(&broker);
}

fn what_the_broker_says_of_itself_is_within_the_standard(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let client = MqttClient::connect_as(&broker, &Connect::new(Version::V5, "a").expiry(3600));
    let mut ids: Vec<u8> = client.connack.properties.iter().map(Property::id).collect();
    for property in &client.connack.properties {
        match property {
            Property::ReceiveMaximum(count) => assert!(*count > 0),
            Property::MaximumPacketSize(bytes) => assert!(*bytes > 0),
            Property::MaximumQos(qos) => assert!(*qos < 2, "2 is said by saying nothing"),
            Property::RetainAvailable(flag)
            | Property::WildcardAvailable(flag)
            | Property::SubscriptionIdAvailable(flag)
            | Property::SharedAvailable(flag) => assert_eq!(*flag, 1, "{property:?}"),
            Property::SessionExpiry(_)
            | Property::ServerKeepAlive(_)
            | Property::TopicAliasMaximum(_)
            | Property::ReasonString(_)
            | Property::User(..) => {}
            other => panic!("expected a property that was called for, found {other:?}"),
        }
    }
    ids.retain(|id| *id != Property::user("", "").id());
    ids.sort_unstable();
    let all = ids.len();
    ids.dedup();
    assert_eq!(all, ids.len(), "no property twice: {:?}", client.connack);
}

fn response_information_is_not_given_unasked(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    for asked in [None, Some(0)] {
        let mut connect = Connect::new(Version::V5, "a");
        if let Some(asked) = asked {
            connect = connect.property(Property::RequestResponseInformation(asked));
        }
        let client = MqttClient::connect_as(&broker, &connect);
        let given = |property: &Property| matches!(property, Property::ResponseInformation(_));
        assert!(!client.connack.properties.iter().any(given), "{:?}", client.connack);
    }
}
