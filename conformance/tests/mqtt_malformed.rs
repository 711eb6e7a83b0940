//! Packets that are malformed or out of place in both versions of MQTT: each ends its connection,
//! with the reason that the standard has for it, and nothing else.

use conformance::mqtt::{Connect, MqttClient, MustEnd, Packet, Publish, Version, Will};
use conformance::mqtt::{packet, puback, pubcomp, pubrec, pubrel, reason, subscribe, unsubscribe};
use conformance::{Backend, BrokerProcess, for_both_mqtt_versions};

for_both_mqtt_versions! {
    reserved_flags_end_the_connection,
    packets_that_only_a_broker_sends_end_the_connection,
    reserved_types_end_the_connection,
    malformed_publications_end_the_connection,
    malformed_topics_end_the_connection,
    malformed_subscribes_end_the_connection,
    malformed_unsubscribes_end_the_connection,
    malformed_acknowledgements_end_the_connection,
    a_length_of_five_bytes_ends_the_connection,
    packets_with_more_than_they_may_hold_end_the_connection,
    a_connect_that_is_cut_short_is_not_let_in,
    a_connect_with_bytes_behind_its_end_is_not_let_in,
    text_in_connect_that_is_not_utf_8_is_not_let_in,
    a_will_topic_that_is_no_topic_is_not_let_in,
    a_malformed_packet_hurts_no_other_connection,
    nothing_of_a_malformed_packet_is_done,
}

/// A packet that ends the connection, what is wrong with it, and the reasons that may be given.
type Case = (&'static str, Packet, &'static [u8]);

const MALFORMED: &[u8] = &[reason::MALFORMED];
/// Where the standard calls it a protocol error, or leaves open which of the two it is.
const EITHER: &[u8] = &[reason::PROTOCOL_ERROR, reason::MALFORMED];

/// Each of `cases` must end its connection, and leave the broker as it was.
#[track_caller]
fn check(backend: Backend, version: Version, cases: &[Case]) {
    let broker = BrokerProcess::start(backend);
    let mut table = MustEnd::new(&broker, version);
    for (what, packet, reasons) in cases {
        table.packet(what, packet, reasons);
    }
    table.check();
}

fn reserved_flags_end_the_connection(backend: Backend, version: Version) {
    let right = [
        puback(1),
        pubrec(1),
        pubrel(1),
        pubcomp(1),
        subscribe(version, 1, &[("t", 1)], &[]),
        unsubscribe(version, 1, &["t"]),
        packet(0xC0),
        packet(0xE0),
    ];
    let mut cases: Vec<Case> = Vec::new();
    for packet in right {
        let first = packet.bytes()[0];
        // Each bit by itself, and all of them.
        for wrong in [0x01, 0x02, 0x04, 0x08, 0x0F] {
            cases.push(("reserved flags", packet.clone().with_first(first ^ wrong), MALFORMED));
        }
    }
    check(backend, version, &cases);
}

fn packets_that_only_a_broker_sends_end_the_connection(backend: Backend, version: Version) {
    let properties = |packet: Packet| if version == Version::V5 { packet.u8(0) } else { packet };
    check(
        backend,
        version,
        &[
            ("CONNACK", properties(packet(0x20).u8(0).u8(0)), EITHER),
            ("SUBACK", properties(packet(0x90).u16(1)).u8(0), EITHER),
            ("UNSUBACK", properties(packet(0xB0).u16(1)), EITHER),
            ("PINGRESP", packet(0xD0), EITHER),
        ],
    );
}

fn reserved_types_end_the_connection(backend: Backend, version: Version) {
    let mut cases: Vec<Case> = vec![
        ("type 0", packet(0x00), EITHER),
        ("type 0 with flags", packet(0x0F), EITHER),
        ("type 0 with a body", packet(0x00).u16(1), EITHER),
    ];
    if version < Version::V5 {
        cases.push(("type 15", packet(0xF0), EITHER));
    }
    check(backend, version, &cases);
}

/// A PUBLISH behind its topic, with no properties where the version has them.
fn publish(version: Version, first: u8, topic: &[u8], id: Option<u16>) -> Packet {
    let start = packet(first).binary(topic);
    let start = id.map_or(start.clone(), |id| start.u16(id));
    let start = if version == Version::V5 { start.u8(0) } else { start };
    start.raw(b"message")
}

fn malformed_publications_end_the_connection(backend: Backend, version: Version) {
    check(
        backend,
        version,
        &[
            ("QoS 3", publish(version, 0x36, b"t", Some(1)), EITHER),
            ("QoS 3 with all flags", publish(version, 0x3F, b"t", Some(1)), EITHER),
            ("DUP at QoS 0", publish(version, 0x38, b"t", None), EITHER),
            ("packet id 0 at QoS 1", publish(version, 0x32, b"t", Some(0)), EITHER),
            ("packet id 0 at QoS 2", publish(version, 0x34, b"t", Some(0)), EITHER),
            ("no body", packet(0x30), EITHER),
            ("half a topic length", packet(0x30).u8(0), EITHER),
            ("a topic longer than the packet", packet(0x30).u16(5).raw(b"t"), EITHER),
            ("a topic far longer than the packet", packet(0x30).u16(0xFFFF).raw(b"t"), EITHER),
            ("no packet id", packet(0x32).text("t"), EITHER),
            ("half a packet id", packet(0x34).text("t").u8(1), EITHER),
        ],
    );
}

fn malformed_topics_end_the_connection(backend: Backend, version: Version) {
    // Where the topic's text is fine but it is none, the reason may also be Topic Name invalid.
    const NAME: &[u8] = &[reason::TOPIC_NAME_INVALID, reason::PROTOCOL_ERROR, reason::MALFORMED];
    let mut cases: Vec<Case> = Vec::new();
    for topic in [&b"+"[..], b"#", b"a/+", b"a/#", b"a+b", b"a#", b"a/+/b", b"/#"] {
        cases.push(("a wildcard", publish(version, 0x30, topic, None), NAME));
        cases.push(("a wildcard at QoS 1", publish(version, 0x32, topic, Some(1)), NAME));
    }
    cases.push(("an empty topic", publish(version, 0x30, b"", None), NAME));
    cases.push(("an empty topic at QoS 2", publish(version, 0x34, b"", Some(1)), NAME));
    for topic in NOT_UTF_8 {
        cases.push(("not UTF-8", publish(version, 0x30, topic, None), EITHER));
        cases.push(("not UTF-8 at QoS 1", publish(version, 0x32, topic, Some(1)), EITHER));
    }
    check(backend, version, &cases);
}

/// Text that is none: U+0000, a byte that begins nothing, a lone continuation, one that is missing,
/// a surrogate, a number with too many bytes, and one past the last code point.
const NOT_UTF_8: [&[u8]; 7] =
    [b"a\0b", b"a\xFFb", b"\x80", b"a\xE2\x82", b"\xED\xA0\x80", b"\xC0\xAF", b"\xF4\x90\x80\x80"];

fn malformed_subscribes_end_the_connection(backend: Backend, version: Version) {
    let start = |id: u16| {
        let start = packet(0x82).u16(id);
        if version == Version::V5 { start.u8(0) } else { start }
    };
    let mut cases: Vec<Case> = vec![
        ("no body", packet(0x82), EITHER),
        ("half a packet id", packet(0x82).u8(1), EITHER),
        ("packet id 0", start(0).text("t").u8(1), EITHER),
        ("no filter", start(1), EITHER),
        ("half a filter length", start(1).u8(0), EITHER),
        ("a filter longer than the packet", start(1).u16(9).raw(b"t"), EITHER),
        ("no options", start(1).text("t"), EITHER),
        ("no options of the second", start(1).text("t").u8(1).text("u"), EITHER),
        ("QoS 3", start(1).text("t").u8(3), EITHER),
        ("a reserved bit in the options", start(1).text("t").u8(0x40), EITHER),
        ("the other reserved bit", start(1).text("t").u8(0x81), EITHER),
        ("QoS 3 in the second", start(1).text("t").u8(1).text("u").u8(3), EITHER),
    ];
    if version < Version::V5 {
        for options in [0x04, 0x08, 0x10, 0x20] {
            cases.push(("an option of MQTT 5.0", start(1).text("t").u8(options), EITHER));
        }
    }
    for filter in NOT_UTF_8 {
        cases.push(("not UTF-8", start(1).binary(filter).u8(1), EITHER));
    }
    check(backend, version, &cases);
}

fn malformed_unsubscribes_end_the_connection(backend: Backend, version: Version) {
    let start = |id: u16| {
        let start = packet(0xA2).u16(id);
        if version == Version::V5 { start.u8(0) } else { start }
    };
    let mut cases: Vec<Case> = vec![
        ("no body", packet(0xA2), EITHER),
        ("half a packet id", packet(0xA2).u8(1), EITHER),
        ("packet id 0", start(0).text("t"), EITHER),
        ("no filter", start(1), EITHER),
        ("half a filter length", start(1).u8(0), EITHER),
        ("a filter longer than the packet", start(1).u16(9).raw(b"t"), EITHER),
        ("a second filter cut short", start(1).text("t").u16(2).raw(b"u"), EITHER),
    ];
    for filter in NOT_UTF_8 {
        cases.push(("not UTF-8", start(1).binary(filter), EITHER));
    }
    check(backend, version, &cases);
}

fn malformed_acknowledgements_end_the_connection(backend: Backend, version: Version) {
    let mut cases: Vec<Case> = Vec::new();
    for first in [0x40, 0x50, 0x62, 0x70] {
        cases.push(("an acknowledgement without a body", packet(first), EITHER));
        cases.push(("half a packet id", packet(first).u8(1), EITHER));
        cases.push(("packet id 0", packet(first).u16(0), EITHER));
    }
    check(backend, version, &cases);
}

fn a_length_of_five_bytes_ends_the_connection(backend: Backend, version: Version) {
    let broker = BrokerProcess::start(backend);
    let mut table = MustEnd::new(&broker, version);
    for first in [0x30, 0x82, 0xC0] {
        let bytes = [first, 0xFF, 0xFF, 0xFF, 0xFF, 0x01];
        table.bytes("five bytes", &bytes, MALFORMED);
        // Four that go on say so already.
        table.bytes("a fifth to come", &bytes[..5], MALFORMED);
    }
    table.check();
}

fn packets_with_more_than_they_may_hold_end_the_connection(backend: Backend, version: Version) {
    let mut cases: Vec<Case> = vec![("PINGREQ", packet(0xC0).u8(0), EITHER)];
    if version < Version::V5 {
        for first in [0x40, 0x50, 0x62, 0x70] {
            cases.push((
                "an acknowledgement with a third byte",
                packet(first).u16(1).u8(0),
                EITHER,
            ));
        }
        cases.push(("DISCONNECT", packet(0xE0).u8(0), EITHER));
    }
    check(backend, version, &cases);
}

fn a_connect_that_is_cut_short_is_not_let_in(backend: Backend, version: Version) {
    let broker = BrokerProcess::start(backend);
    let mut table = MustEnd::new(&broker, version);
    let connect = Connect::new(version, "a").will(Will::new("w", "m"));
    let whole = connect.user_name("user").password("pass").packet();
    for length in 0..whole.body().len() {
        let cut = packet(0x10).raw(&whole.body()[..length]);
        table.connect(&format!("cut to {length} bytes"), &cut);
    }
    table.check();
}

fn a_connect_with_bytes_behind_its_end_is_not_let_in(backend: Backend, version: Version) {
    let broker = BrokerProcess::start(backend);
    let mut table = MustEnd::new(&broker, version);
    let connect = Connect::new(version, "a").packet();
    table.connect("a byte more", &connect.clone().u8(0));
    table.connect("a string more", &connect.text("user"));
    table.check();
}

fn text_in_connect_that_is_not_utf_8_is_not_let_in(backend: Backend, version: Version) {
    let broker = BrokerProcess::start(backend);
    let mut table = MustEnd::new(&broker, version);
    for text in NOT_UTF_8 {
        let connect = Connect::new(version, "a");
        let client_id = connect.clone().raw_client_id(text).packet();
        table.connect("the client identifier", &client_id);
        let user_name = connect.clone().user_name(text).packet();
        table.connect("the user name", &user_name);
        let will = connect.will(Will::new("", "m").raw_topic(text)).packet();
        table.connect("the will's topic", &will);
    }
    table.check();
}

fn a_will_topic_that_is_no_topic_is_not_let_in(backend: Backend, version: Version) {
    let broker = BrokerProcess::start(backend);
    let mut table = MustEnd::new(&broker, version);
    for topic in ["", "#", "a/+", "a/#"] {
        let connect = Connect::new(version, "a").will(Will::new(topic, "m"));
        table.connect(topic, &connect.packet());
    }
    table.check();
}

fn a_malformed_packet_hurts_no_other_connection(backend: Backend, version: Version) {
    let broker = BrokerProcess::start(backend);
    let mut other = MqttClient::connect(&broker, version, "other");
    other.subscribe("t", 1);
    for first in (0..=255).step_by(5) {
        let mut client = MqttClient::connect(&broker, version, "a");
        client.connection.send(&packet(first).raw(&[0xFF; 40]).bytes());
        client.connection.finish_sending();
        while client.read_or_end().is_some() {}
    }
    other.publish_text("t", "m", 1);
    other.expect_message("t", "m");
}

fn nothing_of_a_malformed_packet_is_done(backend: Backend, version: Version) {
    let broker = BrokerProcess::start(backend);
    let mut watcher = MqttClient::connect(&broker, version, "watcher");
    watcher.subscribe("#", 0);
    let mut client = MqttClient::connect_as(&broker, &Connect::persistent(version, "a"));
    let good = Publish::new("good", "m").packet(version).bytes();
    let bad = publish(version, 0x36, b"bad", Some(1)).bytes();
    let late = Publish::new("late", "m").packet(version).bytes();
    client.connection.send(&[good, bad, late].concat());
    client.expect_disconnect(EITHER);
    watcher.expect_message("good", "m");
    MqttClient::connect(&broker, version, "b").publish_text("end", "m", 1);
    watcher.expect_message("end", "m");
}
