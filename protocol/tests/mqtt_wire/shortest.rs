//! Packets are written in the shortest form that says the same.

use super::{decode, encode};
use bytes::BytesMut;
use protocol::mqtt::{
    Ack, ConnAck, Disconnect, Packet, PacketId, Properties, Property, Publish, QoS, ReasonCode,
    SubAck, UnsubAck, Version, encode_publish,
};

fn id(number: u16) -> PacketId {
    PacketId::new(number).expect("not zero")
}

fn ack(reason: ReasonCode, properties: &[u8]) -> Ack<'_> {
    Ack { packet_id: id(0x0102), reason, properties: Properties::trusted(properties) }
}

#[track_caller]
fn check(packet: Packet<'_>, version: Version, expected: &[u8]) {
    assert_eq!(&encode(&packet, version)[..], expected, "{version:?} {packet:?}");
}

#[test]
fn an_acknowledgement_leaves_out_what_says_nothing() {
    let mut reason = Vec::new();
    Property::ReasonString("no").encode(&mut reason);
    let (v3, v5) = (Version::V311, Version::V5);
    check(Packet::PubAck(ack(ReasonCode::Success, &[])), v5, &[0x40, 2, 1, 2]);
    check(Packet::PubRec(ack(ReasonCode::NotAuthorized, &[])), v5, &[0x50, 3, 1, 2, 0x87]);
    check(
        Packet::PubRel(ack(ReasonCode::Success, &reason)),
        v5,
        &[0x62, 9, 1, 2, 0, 5, 31, 0, 2, b'n', b'o'],
    );
    check(
        Packet::PubComp(ack(ReasonCode::PacketIdentifierNotFound, &reason)),
        v3,
        &[0x70, 2, 1, 2],
    );
}

#[test]
fn a_disconnection_leaves_out_what_says_nothing() {
    let disconnect =
        |reason| Packet::Disconnect(Disconnect { reason, properties: Properties::default() });
    check(disconnect(ReasonCode::Success), Version::V5, &[0xE0, 0]);
    check(disconnect(ReasonCode::ServerBusy), Version::V5, &[0xE0, 1, 0x89]);
    check(disconnect(ReasonCode::ServerBusy), Version::V311, &[0xE0, 0]);
}

#[test]
fn before_v5_failures_are_the_nearest_that_there_was() {
    let properties = Properties::default();
    let connack = |reason| Packet::ConnAck(ConnAck { session_present: false, reason, properties });
    let codes = [
        (ReasonCode::Success, 0),
        (ReasonCode::UnsupportedProtocolVersion, 1),
        (ReasonCode::ClientIdentifierNotValid, 2),
        (ReasonCode::ServerBusy, 3),
        (ReasonCode::BadUserNameOrPassword, 4),
        (ReasonCode::Banned, 5),
    ];
    for (reason, code) in codes {
        check(connack(reason), Version::V311, &[0x20, 2, 0, code]);
        check(connack(reason), Version::V5, &[0x20, 3, 0, reason.number(), 0]);
    }
    let reasons = &[1, 0x97];
    let suback = Packet::SubAck(SubAck { packet_id: id(1), properties, reasons });
    check(suback, Version::V311, &[0x90, 4, 0, 1, 1, 0x80]);
    check(suback, Version::V5, &[0x90, 5, 0, 1, 0, 1, 0x97]);
    let unsuback = Packet::UnsubAck(UnsubAck { packet_id: id(1), properties, reasons: &[0x11] });
    check(unsuback, Version::V311, &[0xB0, 2, 0, 1]);
    check(unsuback, Version::V5, &[0xB0, 4, 0, 1, 0, 0x11]);
}

#[test]
fn what_may_be_left_out_may_also_be_there() {
    let long = [
        (&[0x40, 4, 1, 2, 0, 0][..], Packet::PubAck(ack(ReasonCode::Success, &[]))),
        (&[0x40, 3, 1, 2, 0], Packet::PubAck(ack(ReasonCode::Success, &[]))),
        (
            &[0xE0, 2, 0, 0],
            Packet::Disconnect(Disconnect {
                reason: ReasonCode::Success,
                properties: Properties::default(),
            }),
        ),
    ];
    for (bytes, packet) in long {
        assert_eq!(decode(bytes, Version::V5), Ok(packet));
    }
}

#[test]
fn a_publication_is_written_as_the_standard_has_it() {
    let mut alias = Vec::new();
    Property::TopicAlias(7).encode(&mut alias);
    let publish = Publish {
        dup: true,
        qos: QoS::ExactlyOnce,
        retain: true,
        topic: "a/b",
        packet_id: PacketId::new(10),
        properties: Properties::trusted(&alias),
        payload: b"hi",
    };
    let mut out = BytesMut::from(&b"before"[..]);
    encode_publish(&publish, Version::V5, &mut out);
    assert_eq!(&out[..], b"before\x3d\x0d\0\x03a/b\0\x0a\x03\x23\0\x07hi");
    out.clear();
    encode_publish(&Publish { qos: QoS::AtMostOnce, ..publish }, Version::V311, &mut out);
    assert_eq!(&out[..], b"\x31\x07\0\x03a/bhi", "no DUP, no packet id and no properties");
}

#[test]
fn a_topic_alias_may_stand_for_the_name() {
    let bytes = b"\x30\x06\0\0\x03\x23\0\x07";
    let Ok(Packet::Publish(publish)) = decode(bytes, Version::V5) else {
        panic!("expected a publication");
    };
    assert_eq!((publish.topic, publish.properties.topic_alias()), ("", Some(7)));
}

#[test]
fn a_text_over_its_length_field_is_cut_at_a_character() {
    let long = "é".repeat(40_000);
    let property = Property::ReasonString(&long);
    let mut run = Vec::new();
    property.encode(&mut run);
    assert_eq!(run.len(), property.encoded_bytes());
    let text = Properties::trusted(&run).reason_string().unwrap();
    assert_eq!(text.len(), 65534, "the last character would be cut in two");
}
