//! What the standard forbids, and the reason that each is refused with.

use super::{Version, decode};
use protocol::mqtt::{PacketDecoder, PacketError, ReasonCode};

const MALFORMED: ReasonCode = ReasonCode::MalformedPacket;
const VIOLATION: ReasonCode = ReasonCode::ProtocolError;
const V3: Version = Version::V311;
const V5: Version = Version::V5;

/// A packet under 130 bytes.
fn packet(first: u8, body: &[u8]) -> Vec<u8> {
    [&[first, u8::try_from(body.len()).expect("under 256")], body].concat()
}

#[track_caller]
fn check(version: Version, first: u8, body: &[u8], reason: ReasonCode, why: &str) {
    let bytes = packet(first, body);
    let error = decode(&bytes, version).expect_err(why);
    assert_eq!(error.reason, reason, "{why}: {error}");
    assert!(error.message.starts_with("expected "), "{why}: {error}");
}

/// The error of a CONNECT with this body.
#[track_caller]
fn connect_error(body: &[u8], why: &str) -> PacketError {
    PacketDecoder::new(1024).next(&packet(0x10, body)).expect_err(why)
}

#[track_caller]
fn check_connect(body: &[u8], reason: ReasonCode, version: Option<Version>, why: &str) {
    let error = connect_error(body, why);
    assert_eq!((error.reason, error.version), (reason, version), "{why}: {error}");
}

#[test]
fn a_fixed_header_has_the_flags_of_its_type() {
    for (first, flags) in (1..16).flat_map(|kind| (0..16).map(move |flags| (kind << 4, flags))) {
        let expected = if [0x60, 0x80, 0xA0].contains(&first) { 2 } else { 0 };
        if first != 0x30 && flags != expected {
            check(V5, first | flags, &[], MALFORMED, "flags");
        }
    }
    check(V5, 0x00, &[], MALFORMED, "type 0");
    check(V3, 0xF0, &[], MALFORMED, "AUTH before 5.0");
    check(V5, 0x36, b"\0\x01a\0\x01\0", MALFORMED, "QoS 3");
    check(V5, 0x38, b"\0\x01a\0", VIOLATION, "DUP with QoS 0");
    check(V3, 0x38, b"\0\x01a", VIOLATION, "DUP with QoS 0");
}

#[test]
fn a_remaining_length_is_at_most_four_bytes() {
    let mut decoder = PacketDecoder::new(1024);
    decoder.set_version(V3);
    let long = decoder.next(&[0x30, 0x80, 0x80, 0x80, 0x80]).map_err(|error| error.reason);
    assert_eq!(long, Err(MALFORMED));
    assert!(decoder.next(&[0xC0, 0x80, 0]).is_ok(), "before 5.0 it may be longer than needed");
    decoder.set_version(V5);
    let padded = decoder.next(&[0xC0, 0x80, 0]).map_err(|error| error.reason);
    assert_eq!(padded, Err(MALFORMED));
}

#[test]
fn the_first_packet_is_connect() {
    for first in [0x30, 0x82, 0xC0, 0xE0, 0xF0] {
        let error = PacketDecoder::new(1024).next(&[first]).map(|_| ()).expect_err("not CONNECT");
        assert_eq!((error.reason, error.version), (VIOLATION, None), "first byte {first:#04x}");
    }
}

#[test]
fn connect_says_a_version_that_is_spoken() {
    let unsupported = ReasonCode::UnsupportedProtocolVersion;
    check_connect(b"\0\x04MQTX\x04\x02\0\0\0\0", unsupported, None, "name");
    check_connect(b"\0\x04MQTT\x03\x02\0\0\0\0", unsupported, Some(V3), "3.1 by another name");
    check_connect(b"\0\x06MQIsdp\x04\x02\0\0\0\0", unsupported, Some(V3), "3.1.1 by 3.1's name");
    check_connect(b"\0\x04MQTT\x06\x02\0\0\0\0", unsupported, Some(V5), "level 6");
    check_connect(b"\0\x04MQTT\x84\x02\0\0\0\0", unsupported, Some(V3), "a bridge's level");
    check_connect(b"\0\x04MQ\xFF\xFE\x04\x02\0\0\0\0", MALFORMED, None, "name not UTF-8");
    check_connect(b"\0\x04MQTT", MALFORMED, None, "no level");
}

#[test]
fn connect_flags_are_consistent() {
    for (level, version) in [(4, V3), (5, V5)] {
        let check = |flags: u8, rest: &[u8], reason, why: &str| {
            let properties: &[u8] = if level == 5 { &[0] } else { &[] };
            let head = [b'M', b'Q', b'T', b'T', level, flags, 0, 60];
            let body = [&[0, 4], &head[..], properties, b"\0\x01c", rest].concat();
            check_connect(&body, reason, Some(version), why);
        };
        check(0b0000_0001, &[], MALFORMED, "reserved bit");
        check(0b0000_1000, &[], VIOLATION, "will QoS without will");
        check(0b0010_0000, &[], VIOLATION, "will retain without will");
        check(0b1000_0000, &[], MALFORMED, "user name is missing");
        check(0b1000_0000, b"\0\x02\xC3\x28", MALFORMED, "user name not UTF-8");
        check(0b0000_0010, b"more", MALFORMED, "left over");
        let will: &[u8] = if level == 5 { b"\0\0\x01w\0\x01p" } else { b"\0\x01w\0\x01p" };
        check(0b0001_1100, will, MALFORMED, "will QoS 3");
        check(0b0000_0100, &will[..will.len() - 1], MALFORMED, "will is short");
        let reason = if level == 5 { ReasonCode::TopicNameInvalid } else { VIOLATION };
        let will: &[u8] = if level == 5 { b"\0\0\x01#\0\x01p" } else { b"\0\x01#\0\x01p" };
        check(0b0000_0100, will, reason, "will topic with wildcard");
        let will: &[u8] = if level == 5 { b"\0\0\0\0\x01p" } else { b"\0\0\0\x01p" };
        check(0b0000_0100, will, VIOLATION, "will topic empty");
    }
    let password = b"\0\x04MQTT\x04\x40\0\0\0\x01c\0\x01p";
    check_connect(password, VIOLATION, Some(V3), "password without user name");
    let password = b"\0\x04MQTT\x05\x40\0\0\0\0\x01c\0\x01p";
    assert!(decode(&packet(0x10, password), V5).is_ok(), "5.0 allows a password alone");
}

#[test]
fn text_is_utf8_without_zero_and_surrogates() {
    let texts: [&[u8]; 5] =
        [b"a\0b", b"\xED\xA0\x80", b"\xC0\x80", b"\xF4\x90\x80\x80", b"\xE2\x82"];
    for text in texts {
        let length = u8::try_from(text.len()).unwrap();
        let text = [&[0, length], text].concat();
        check(V3, 0x30, &text, MALFORMED, "topic");
        check(V3, 0x82, &[&[0, 1], &text[..], &[0]].concat(), MALFORMED, "filter");
        check(V5, 0xA2, &[&[0, 1, 0], &text[..]].concat(), MALFORMED, "filter");
        let connect = [b"\0\x04MQTT\x04\x02\0\0", &text[..]].concat();
        check_connect(&connect, MALFORMED, Some(V3), "client id");
    }
}

#[test]
fn a_publication_has_a_topic_and_an_id_if_it_is_acknowledged() {
    check(V5, 0x30, b"\0\x03a/#\0", ReasonCode::TopicNameInvalid, "wildcard");
    check(V3, 0x30, b"\0\x03a/+", VIOLATION, "wildcard");
    check(V5, 0x30, b"\0\x02a\0\0", MALFORMED, "U+0000");
    check(V5, 0x30, b"\0\0\0", VIOLATION, "no topic and no alias");
    check(V3, 0x30, b"\0\0payload", VIOLATION, "no topic");
    check(V5, 0x30, b"\0\x05a", MALFORMED, "topic is short");
    check(V5, 0x30, b"\0\x01a", MALFORMED, "no property length");
    check(V5, 0x30, b"\0\x01a\x05\x01", MALFORMED, "properties are short");
    check(V3, 0x32, b"\0\x01a\0\0", VIOLATION, "packet id 0");
    check(V5, 0x34, b"\0\x01a\0", MALFORMED, "no packet id");
}

#[test]
fn acknowledgements_name_a_packet_and_a_reason_of_theirs() {
    for first in [0x40, 0x50, 0x62, 0x70] {
        check(V3, first, &[0, 0], VIOLATION, "packet id 0");
        check(V3, first, &[1], MALFORMED, "packet id is short");
        check(V3, first, &[0, 1, 0], MALFORMED, "a reason before 5.0");
        check(V5, first, &[0, 1, 0x19], VIOLATION, "reason of another packet");
        check(V5, first, &[0, 1, 0x05], VIOLATION, "unknown reason");
        check(V5, first, &[0, 1, 0, 0, 0], MALFORMED, "left over");
    }
    check(V5, 0x62, &[0, 1, 0x10], VIOLATION, "PUBREL has two reasons only");
    check(V5, 0x40, &[0, 1, 0x92], VIOLATION, "PUBACK of an unknown id");
    check(V3, 0x90, &[0, 1], VIOLATION, "SUBACK without reasons");
    check(V3, 0x90, &[0, 1, 0x87], VIOLATION, "SUBACK with a reason of 5.0");
    check(V5, 0x90, &[0, 1, 0, 0x11], VIOLATION, "SUBACK with UNSUBACK's reason");
    check(V3, 0xB0, &[0, 1, 0], MALFORMED, "UNSUBACK with reasons before 5.0");
    check(V5, 0xB0, &[0, 1, 0, 1], VIOLATION, "UNSUBACK with SUBACK's reason");
    check(V5, 0xB0, &[0, 1, 0], VIOLATION, "UNSUBACK without reasons");
}

#[test]
fn connack_gives_a_session_or_a_reason() {
    check(V3, 0x20, &[2, 0], MALFORMED, "reserved flags");
    check(V3, 0x20, &[0, 6], VIOLATION, "return code 6");
    check(V3, 0x20, &[1, 5], VIOLATION, "session present and refused");
    check(V5, 0x20, &[1, 0x87, 0], VIOLATION, "session present and refused");
    check(V5, 0x20, &[0, 0x8B, 0], VIOLATION, "reason of DISCONNECT");
    check(V5, 0x20, &[0, 0], MALFORMED, "no property length");
    check(V3, 0x20, &[0, 0, 0], MALFORMED, "left over");
}

#[test]
fn subscriptions_have_filters_and_options() {
    check(V3, 0x82, &[0, 0, 0, 1, b'a', 0], VIOLATION, "packet id 0");
    check(V3, 0x82, &[0, 1], VIOLATION, "no filter");
    check(V5, 0x82, &[0, 1, 0], VIOLATION, "no filter");
    check(V3, 0xA2, &[0, 1], VIOLATION, "no filter");
    check(V5, 0xA2, &[0, 1, 0], VIOLATION, "no filter");
    check(V3, 0x82, &[0, 1, 0, 0, 0], VIOLATION, "empty filter");
    check(V3, 0xA2, &[0, 1, 0, 0], VIOLATION, "empty filter");
    check(V3, 0x82, &[0, 1, 0, 1, b'a'], MALFORMED, "no options");
    check(V3, 0x82, &[0, 1, 0, 1, b'a', 4], MALFORMED, "no_local before 5.0");
    check(V3, 0x82, &[0, 1, 0, 1, b'a', 3], VIOLATION, "QoS 3");
    check(V5, 0x82, &[0, 1, 0, 0, 1, b'a', 3], VIOLATION, "QoS 3");
    check(V5, 0x82, &[0, 1, 0, 0, 1, b'a', 0x30], VIOLATION, "retain handling 3");
    check(V5, 0x82, &[0, 1, 0, 0, 1, b'a', 0x40], MALFORMED, "reserved bit 6");
    check(V5, 0x82, &[0, 1, 0, 0, 1, b'a', 0x80], MALFORMED, "reserved bit 7");
    let shared = b"\0\x01\0\0\x0a$share/g/a\x04";
    check(V5, 0x82, shared, VIOLATION, "no_local of a shared subscription");
    check(V5, 0xA2, &[0, 1, 0, 0, 2, b'a'], MALFORMED, "filter is short");
}

#[test]
fn packets_without_body_have_none() {
    for first in [0xC0, 0xD0] {
        check(V5, first, &[0], MALFORMED, "a body");
    }
    check(V3, 0xE0, &[0], MALFORMED, "a reason before 5.0");
    check(V5, 0xE0, &[0x84], VIOLATION, "DISCONNECT with CONNACK's reason");
    check(V5, 0xE0, &[0, 0, 0], MALFORMED, "left over");
    check(V5, 0xF0, &[0x80], VIOLATION, "AUTH with a failure");
    check(V5, 0xF0, &[0x18], VIOLATION, "AUTH without a method");
    check(V5, 0xF0, &[0x18, 4, 22, 0, 1, 9], VIOLATION, "AUTH with data only");
}

/// Where each property of `packet` is read: first byte, and body before the properties.
const PUBLISH: (u8, &[u8]) = (0x30, b"\0\x01a");
const SUBSCRIBE: (u8, &[u8]) = (0x82, b"\0\x01");
const CONNACK: (u8, &[u8]) = (0x20, b"\0\0");
const DISCONNECT: (u8, &[u8]) = (0xE0, b"\0");

#[test]
fn properties_are_of_their_packet_once_and_in_range() {
    let check = |(first, before): (u8, &[u8]), run: &[u8], reason, why: &str| {
        let length = u8::try_from(run.len()).unwrap();
        let after: &[u8] = if first == SUBSCRIBE.0 { b"\0\x01a\0" } else { b"" };
        check(V5, first, &[before, &[length], run, after].concat(), reason, why);
    };
    check(PUBLISH, &[17, 0, 0, 0, 1], MALFORMED, "a property of CONNECT");
    check(PUBLISH, &[33, 0, 1], MALFORMED, "a property of CONNECT");
    check(SUBSCRIBE, &[31, 0, 0], MALFORMED, "a property of SUBACK");
    check(DISCONNECT, &[33, 0, 1], MALFORMED, "a property of CONNECT");
    check(CONNACK, &[23, 1], MALFORMED, "a property of CONNECT");
    for unknown in [0, 4, 20, 43, 63, 64, 127, 128, 255] {
        check(PUBLISH, &[unknown, 0, 0, 0, 0], MALFORMED, "no property");
    }
    check(PUBLISH, &[1, 0, 1, 0], VIOLATION, "twice");
    check(SUBSCRIBE, &[11, 1, 11, 2], VIOLATION, "twice");
    check(CONNACK, &[31, 0, 0, 31, 0, 0], VIOLATION, "twice");
    check(PUBLISH, &[1, 2], VIOLATION, "payload format indicator 2");
    check(PUBLISH, &[35, 0, 0], ReasonCode::TopicAliasInvalid, "topic alias 0");
    check(PUBLISH, &[11, 0], VIOLATION, "subscription identifier 0");
    check(PUBLISH, &[11, 0x80, 0x80, 0x80, 0x80], MALFORMED, "subscription identifier too long");
    check(PUBLISH, &[11, 0x81, 0], MALFORMED, "subscription identifier padded");
    check(PUBLISH, &[2, 0, 0, 0], MALFORMED, "message expiry is short");
    check(PUBLISH, &[3, 0, 2, b'a'], MALFORMED, "content type is short");
    check(PUBLISH, &[3, 0, 1, 0xFF], MALFORMED, "content type not UTF-8");
    check(PUBLISH, &[8, 0, 1, b'#'], VIOLATION, "response topic with wildcard");
    check(PUBLISH, &[8, 0, 0], VIOLATION, "response topic empty");
    check(PUBLISH, &[38, 0, 1, b'a'], MALFORMED, "user property without value");
    check(PUBLISH, &[38, 0, 1, 0, 0, 0], MALFORMED, "user property with U+0000");
    check(CONNACK, &[33, 0, 0], VIOLATION, "receive maximum 0");
    check(CONNACK, &[39, 0, 0, 0, 0], VIOLATION, "maximum packet size 0");
    check(CONNACK, &[36, 2], VIOLATION, "maximum QoS 2");
    for flag in [37, 40, 41, 42] {
        check(CONNACK, &[flag, 2], VIOLATION, "a flag that is 2");
    }
    check(CONNACK, &[22, 0, 1, 9], VIOLATION, "authentication data without method");
}

#[test]
fn properties_of_connect_and_its_will_are_checked() {
    let connect = |run: &[u8], will: &[u8]| {
        let (run_bytes, will_bytes) = (run.len() as u8, will.len() as u8);
        let head: &[u8] = b"\0\x04MQTT\x05\x06\0\0";
        let (client, topic): (&[u8], &[u8]) = (b"\0\x01c", b"\0\x01w\0\0");
        [head, &[run_bytes], run, client, &[will_bytes], will, topic].concat()
    };
    assert!(decode(&packet(0x10, &connect(&[], &[24, 0, 0, 0, 5])), V5).is_ok());
    let cases: [(&[u8], &[u8], ReasonCode); 9] = [
        (&[23, 2], &[], VIOLATION),
        (&[25, 9], &[], VIOLATION),
        (&[33, 0, 0], &[], VIOLATION),
        (&[22, 0, 0], &[], VIOLATION),
        (&[24, 0, 0, 0, 5], &[], MALFORMED),
        (&[], &[17, 0, 0, 0, 5], MALFORMED),
        (&[], &[35, 0, 1], MALFORMED),
        (&[], &[1, 2], VIOLATION),
        (&[], &[24, 0, 0, 0, 5, 24, 0, 0, 0, 5], VIOLATION),
    ];
    for (run, will, reason) in cases {
        check_connect(&connect(run, will), reason, Some(V5), &format!("{run:?} {will:?}"));
    }
}
