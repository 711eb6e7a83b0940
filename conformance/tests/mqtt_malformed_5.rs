//! What is malformed or out of place in MQTT 5.0 alone: properties, reason codes and options.

use conformance::mqtt::{Connect, MqttClient, MustEnd, Packet, Property, Publish, Version, Will};
use conformance::mqtt::{packet, puback, pubcomp, pubrec, pubrel, reason};
use conformance::{Backend, BrokerProcess, for_both_backends};

for_both_backends! {
    a_length_that_is_not_the_shortest_ends_the_connection,
    malformed_properties_end_the_connection,
    unknown_properties_end_the_connection,
    properties_in_the_wrong_packet_end_the_connection,
    a_property_given_twice_ends_the_connection,
    property_values_out_of_range_end_the_connection,
    property_text_that_is_not_utf_8_ends_the_connection,
    a_response_topic_with_a_wildcard_ends_the_connection,
    a_publication_with_a_subscription_identifier_ends_the_connection,
    retain_handling_3_ends_the_connection,
    unknown_reason_codes_end_the_connection,
    a_disconnect_that_is_malformed_ends_the_connection,
    connect_properties_that_are_wrong_are_not_let_in,
    will_properties_that_are_wrong_are_not_let_in,
    user_properties_may_be_given_as_often_as_wanted,
}

const EITHER: &[u8] = &[reason::PROTOCOL_ERROR, reason::MALFORMED];

/// One property of each kind, with a value that is fine.
fn one_of_each() -> [Property; 27] {
    [
        Property::PayloadFormat(1),
        Property::MessageExpiry(60),
        Property::ContentType("text".into()),
        Property::ResponseTopic("answers".into()),
        Property::CorrelationData(vec![1]),
        Property::SubscriptionId(1),
        Property::SessionExpiry(60),
        Property::AssignedClientId("b".into()),
        Property::ServerKeepAlive(60),
        Property::AuthenticationMethod("method".into()),
        Property::AuthenticationData(vec![1]),
        Property::RequestProblemInformation(1),
        Property::WillDelay(1),
        Property::RequestResponseInformation(1),
        Property::ResponseInformation("answers".into()),
        Property::ServerReference("elsewhere".into()),
        Property::ReasonString("because".into()),
        Property::ReceiveMaximum(10),
        Property::TopicAliasMaximum(10),
        Property::TopicAlias(1),
        Property::MaximumQos(1),
        Property::RetainAvailable(1),
        Property::user("key", "value"),
        Property::MaximumPacketSize(1000),
        Property::WildcardAvailable(1),
        Property::SubscriptionIdAvailable(1),
        Property::SharedAvailable(1),
    ]
}

/// A packet type with properties: its name, those that it may have, and how it is made with some.
type Carrier = (&'static str, &'static [u8], fn(&[Property]) -> Packet);

const CARRIERS: [Carrier; 7] = [
    ("PUBLISH", &[0x01, 0x02, 0x03, 0x08, 0x09, 0x23, 0x26], |properties| {
        packet(0x30).text("t").properties(properties).raw(b"m")
    }),
    ("PUBACK", &[0x1F, 0x26], |properties| puback(1).u8(0).properties(properties)),
    ("PUBREC", &[0x1F, 0x26], |properties| pubrec(1).u8(0).properties(properties)),
    ("PUBREL", &[0x1F, 0x26], |properties| pubrel(1).u8(0).properties(properties)),
    ("PUBCOMP", &[0x1F, 0x26], |properties| pubcomp(1).u8(0).properties(properties)),
    ("SUBSCRIBE", &[0x0B, 0x26], |properties| {
        packet(0x82).u16(1).properties(properties).text("t").u8(1)
    }),
    ("UNSUBSCRIBE", &[0x26], |properties| packet(0xA2).u16(1).properties(properties).text("t")),
];

fn a_length_that_is_not_the_shortest_ends_the_connection(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let mut table = MustEnd::new(&broker, Version::V5);
    table.bytes("remaining length", &[0xC0, 0x80, 0x00], EITHER);
    table.bytes("remaining length", &[0x40, 0x82, 0x80, 0x00, 0, 1], EITHER);
    let properties = packet(0x30).text("t").raw(&[0x80, 0x00]).raw(b"m");
    table.packet("property length", &properties, EITHER);
    let subscription = packet(0x82).u16(1).raw_properties(&[0x0B, 0x81, 0x00]).text("t").u8(1);
    table.packet("subscription identifier", &subscription, EITHER);
    table.check();
}

fn malformed_properties_end_the_connection(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let mut table = MustEnd::new(&broker, Version::V5);
    let publish = |encoded: &[u8]| packet(0x30).text("t").raw_properties(encoded).raw(b"m");
    table.packet("no property length", &packet(0x30).text("t"), EITHER);
    table.packet("longer than the packet", &packet(0x30).text("t").raw(&[9, 0x01, 1]), EITHER);
    let five = packet(0x30).text("t").raw(&[0xFF, 0xFF, 0xFF, 0xFF, 0x01]);
    table.packet("a length of five bytes", &five, EITHER);
    table.packet("a byte that is missing", &publish(&[0x01]), EITHER);
    table.packet("a number cut short", &publish(&[0x02, 0, 0, 1]), EITHER);
    table.packet("text cut short", &publish(&[0x03, 0, 5, b'a']), EITHER);
    table.packet("a value that is missing", &publish(&[0x26, 0, 1, b'k']), EITHER);
    table.packet("a length cut short", &publish(&[0x09, 0]), EITHER);
    table.packet("no properties in SUBSCRIBE", &packet(0x82).u16(1), EITHER);
    table.packet("no properties in UNSUBSCRIBE", &packet(0xA2).u16(1), EITHER);
    table.packet("too short for PUBACK", &puback(1).u8(0).raw(&[5, 0x1F]), EITHER);
    table.packet("bytes behind them in PUBACK", &puback(1).u8(0).u8(0).u8(0), EITHER);
    table.check();
}

fn unknown_properties_end_the_connection(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let mut table = MustEnd::new(&broker, Version::V5);
    // One that takes two bytes as well, though none has to yet.
    for unknown in [&[0x00, 0][..], &[0x04, 0], &[0x2B, 0], &[0x7F, 0], &[0x80, 0x01, 0]] {
        let publish = packet(0x30).text("t").raw_properties(unknown).raw(b"m");
        table.packet("in PUBLISH", &publish, EITHER);
        let subscribe = packet(0x82).u16(1).raw_properties(unknown).text("t").u8(1);
        table.packet("in SUBSCRIBE", &subscribe, EITHER);
        table.packet("in PUBACK", &puback(1).u8(0).raw_properties(unknown), EITHER);
    }
    table.check();
}

fn properties_in_the_wrong_packet_end_the_connection(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let mut table = MustEnd::new(&broker, Version::V5);
    for (name, allowed, make) in CARRIERS {
        for property in one_of_each() {
            if !allowed.contains(&property.id()) {
                let what = format!("{property:?} in {name}");
                table.packet(&what, &make(&[property]), EITHER);
            }
        }
    }
    table.check();
}

fn a_property_given_twice_ends_the_connection(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let mut table = MustEnd::new(&broker, Version::V5);
    for (name, allowed, make) in CARRIERS {
        for property in one_of_each() {
            if allowed.contains(&property.id()) && property.id() != 0x26 {
                let what = format!("{property:?} twice in {name}");
                table.packet(&what, &make(&[property.clone(), property]), EITHER);
            }
        }
    }
    table.check();
}

fn property_values_out_of_range_end_the_connection(backend: Backend) {
    const ALIAS: &[u8] = &[reason::TOPIC_ALIAS_INVALID, reason::PROTOCOL_ERROR, reason::MALFORMED];
    let broker = BrokerProcess::start(backend);
    let mut table = MustEnd::new(&broker, Version::V5);
    let publish = |property| packet(0x30).text("t").properties(&[property]).raw(b"m");
    table.packet("payload format 2", &publish(Property::PayloadFormat(2)), EITHER);
    table.packet("payload format 255", &publish(Property::PayloadFormat(255)), EITHER);
    table.packet("topic alias 0", &publish(Property::TopicAlias(0)), ALIAS);
    let zero = [Property::SubscriptionId(0)];
    let subscribe = packet(0x82).u16(1).properties(&zero).text("t").u8(1);
    table.packet("subscription identifier 0", &subscribe, EITHER);
    let five = [0x0B, 0x80, 0x80, 0x80, 0x80, 0x01];
    let subscribe = packet(0x82).u16(1).raw_properties(&five).text("t").u8(1);
    table.packet("a subscription identifier of five bytes", &subscribe, EITHER);
    table.check();
}

fn property_text_that_is_not_utf_8_ends_the_connection(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let mut table = MustEnd::new(&broker, Version::V5);
    for text in [&b"a\0"[..], b"\xFF", b"\xED\xA0\x80", b"\xC0\xAF"] {
        for id in [0x03, 0x08, 0x26] {
            let encoded = packet(0).u8(id).binary(text).binary(b"value");
            let length = encoded.body().len() - if id == 0x26 { 0 } else { 7 };
            let publish = packet(0x30).text("t").raw_properties(&encoded.body()[..length]);
            table.packet(&format!("{text:02x?} in {id:#04x}"), &publish, EITHER);
        }
        let encoded = packet(0).u8(0x26).binary(b"key").binary(text);
        let publish = packet(0x30).text("t").raw_properties(encoded.body());
        table.packet("the value of a user property", &publish, EITHER);
        let encoded = packet(0).u8(0x1F).binary(text);
        let puback = puback(1).u8(0).raw_properties(encoded.body());
        table.packet("a reason string", &puback, EITHER);
    }
    table.check();
}

fn a_response_topic_with_a_wildcard_ends_the_connection(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let mut table = MustEnd::new(&broker, Version::V5);
    let reasons = [reason::PROTOCOL_ERROR, reason::MALFORMED, reason::TOPIC_NAME_INVALID];
    for topic in ["#", "a/+"] {
        let property = Property::ResponseTopic(topic.into());
        let publish = Publish::new("t", "m").property(property).packet(Version::V5);
        table.packet(topic, &publish, &reasons);
    }
    table.check();
}

fn a_publication_with_a_subscription_identifier_ends_the_connection(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let mut table = MustEnd::new(&broker, Version::V5);
    for qos in 0..3 {
        let publish = Publish::new("t", "m").qos(qos).property(Property::SubscriptionId(1));
        table.packet("PUBLISH", &publish.packet(Version::V5), EITHER);
    }
    table.check();
}

fn retain_handling_3_ends_the_connection(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let mut table = MustEnd::new(&broker, Version::V5);
    for options in [0x30, 0x31, 0x3E] {
        let subscribe = packet(0x82).u16(1).u8(0).text("t").u8(options);
        table.packet("retain handling 3", &subscribe, EITHER);
    }
    table.check();
}

fn unknown_reason_codes_end_the_connection(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let mut table = MustEnd::new(&broker, Version::V5);
    for first in [0x40, 0x50, 0x62, 0x70] {
        for code in [0x01, 0x04, 0x7F, 0xFF] {
            let what = format!("{code:#04x} in {first:#04x}");
            table.packet(&what, &packet(first).u16(1).u8(code), EITHER);
        }
    }
    table.check();
}

fn a_disconnect_that_is_malformed_ends_the_connection(backend: Backend) {
    // A client may not send a Server Reference, though it is a property of DISCONNECT.
    const ALLOWED: [u8; 3] = [0x11, 0x1F, 0x26];
    let broker = BrokerProcess::start(backend);
    let mut table = MustEnd::new(&broker, Version::V5);
    let start = || packet(0xE0).u8(0);
    table.farewell("an unknown reason", &packet(0xE0).u8(0x01), EITHER);
    table.farewell("another one", &packet(0xE0).u8(0xFF), EITHER);
    table.farewell("too short", &start().raw(&[9, 0x1F]), EITHER);
    table.farewell("bytes behind its end", &start().u8(0).u8(0), EITHER);
    for property in one_of_each() {
        let what = format!("{property:?}");
        if !ALLOWED.contains(&property.id()) {
            table.farewell(&what, &start().properties(&[property]), EITHER);
        } else if property.id() != 0x26 {
            let twice = start().properties(&[property.clone(), property]);
            table.farewell(&format!("{what} twice"), &twice, EITHER);
        }
    }
    table.check();
}

fn connect_properties_that_are_wrong_are_not_let_in(backend: Backend) {
    const ALLOWED: [u8; 9] = [0x11, 0x21, 0x27, 0x22, 0x19, 0x17, 0x26, 0x15, 0x16];
    let broker = BrokerProcess::start(backend);
    let mut table = MustEnd::new(&broker, Version::V5);
    let connect = || Connect::new(Version::V5, "a");
    for property in one_of_each() {
        let once = connect().property(property.clone());
        if !ALLOWED.contains(&property.id()) {
            table.connect(&format!("{property:?}"), &once.packet());
        } else if property.id() != 0x26 {
            let twice = once.property(property.clone());
            table.connect(&format!("{property:?} twice"), &twice.packet());
        }
    }
    let out_of_range = [
        Property::ReceiveMaximum(0),
        Property::MaximumPacketSize(0),
        Property::RequestProblemInformation(2),
        Property::RequestResponseInformation(2),
    ];
    for property in out_of_range {
        let what = format!("{property:?}");
        table.connect(&what, &connect().property(property).packet());
    }
    table.check();
}

fn will_properties_that_are_wrong_are_not_let_in(backend: Backend) {
    const ALLOWED: [u8; 7] = [0x18, 0x01, 0x02, 0x03, 0x08, 0x09, 0x26];
    let broker = BrokerProcess::start(backend);
    let mut table = MustEnd::new(&broker, Version::V5);
    let mut check = |what: &str, will: Will| {
        let connect = Connect::new(Version::V5, "a").will(will);
        table.connect(what, &connect.packet());
    };
    for property in one_of_each() {
        let once = Will::new("w", "m").property(property.clone());
        if !ALLOWED.contains(&property.id()) {
            check(&format!("{property:?}"), once);
        } else if property.id() != 0x26 {
            check(&format!("{property:?} twice"), once.property(property.clone()));
        }
    }
    check("payload format 2", Will::new("w", "m").property(Property::PayloadFormat(2)));
    let wildcard = Property::ResponseTopic("#".into());
    check("a wildcard in the response topic", Will::new("w", "m").property(wildcard));
    table.check();
}

fn user_properties_may_be_given_as_often_as_wanted(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let twice = [Property::user("key", "value"), Property::user("key", "value")];
    let will = twice.iter().fold(Will::new("w", "m"), |will, user| will.property(user.clone()));
    let connect = Connect::new(Version::V5, "a").will(will);
    let connect = twice.iter().fold(connect, |connect, user| connect.property(user.clone()));
    let mut client = MqttClient::connect_as(&broker, &connect);
    client.subscribe_as(&[("t", 2)], &twice);
    client.publish_text("t", "m", 2);
    let id = client.read_publish().id;
    client.send(&pubrec(id).u8(0).properties(&twice));
    assert_eq!(client.read_ack(0x62, id), 0);
    client.send(&pubcomp(id).u8(0).properties(&twice));
    client.expect_nothing();
    client.disconnect_as(&packet(0xE0).u8(0).properties(&twice));
}
