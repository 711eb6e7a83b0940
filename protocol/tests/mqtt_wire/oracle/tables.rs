//! The two codecs have the same tables of what each packet may say.

use super::super::decode;
use super::agreement::Oracle;
use protocol::mqtt::{Property, Version};

/// A packet's name and first byte, what comes before that which is tried and what after it, and
/// how many are taken of all that are tried.
type Probe<'a> = (&'a str, u8, &'a [u8], &'a [u8], usize);

/// Whether both codecs take `body` behind the first byte `first`, or both do not.
#[track_caller]
fn check(packet: &str, first: u8, body: &[u8], what: &str) -> bool {
    let bytes = [&[first, u8::try_from(body.len()).expect("under 128")], body].concat();
    let here = decode(&bytes, Version::V5);
    let there = Oracle::read(&bytes, Version::V5).is_some();
    assert_eq!(here.is_ok(), there, "{packet} with {what}: {here:?}");
    there
}

#[test]
fn each_packet_gives_the_same_reasons() {
    let packets: [Probe<'_>; 8] = [
        ("CONNACK", 0x20, &[0], &[0], 22),
        ("PUBACK", 0x40, &[0, 1], &[0], 9),
        ("PUBREC", 0x50, &[0, 1], &[0], 9),
        ("PUBREL", 0x62, &[0, 1], &[0], 2),
        ("PUBCOMP", 0x70, &[0, 1], &[0], 2),
        ("SUBACK", 0x90, &[0, 1, 0], &[], 12),
        ("UNSUBACK", 0xB0, &[0, 1, 0], &[], 7),
        ("DISCONNECT", 0xE0, &[], &[0], 29),
    ];
    for (packet, first, before, after, count) in packets {
        let taken = (0..=u8::MAX).filter(|reason| {
            // The table of DISCONNECT has no bad authentication method, that of all reasons does.
            let is_disputed = packet == "DISCONNECT" && *reason == 0x8C;
            let body = [before, &[*reason], after].concat();
            !is_disputed && check(packet, first, &body, &format!("reason {reason:#04x}"))
        });
        assert_eq!(taken.count(), count, "{packet}");
    }
}

#[test]
fn each_packet_has_the_same_properties() {
    let connect = b"\0\x04MQTT\x05\x02\0\0";
    let will = b"\0\x04MQTT\x05\x06\0\0\0\0\x01c";
    let packets: [Probe<'_>; 13] = [
        ("CONNECT", 0x10, connect, b"\0\x01c", 9),
        ("a will", 0x10, will, b"\0\x01w\0\0", 7),
        ("CONNACK", 0x20, &[0, 0], &[], 17),
        ("PUBLISH", 0x30, b"\0\x01a", &[], 8),
        ("PUBACK", 0x40, &[0, 1, 0], &[], 2),
        ("PUBREC", 0x50, &[0, 1, 0], &[], 2),
        ("PUBREL", 0x62, &[0, 1, 0], &[], 2),
        ("PUBCOMP", 0x70, &[0, 1, 0], &[], 2),
        ("SUBSCRIBE", 0x82, &[0, 1], b"\0\x01a\0", 2),
        ("SUBACK", 0x90, &[0, 1], &[0], 2),
        ("UNSUBSCRIBE", 0xA2, &[0, 1], b"\0\x01a", 1),
        ("UNSUBACK", 0xB0, &[0, 1], &[0], 2),
        ("DISCONNECT", 0xE0, &[0], &[], 4),
    ];
    for (packet, first, before, after, count) in packets {
        let taken = one_of_each().into_iter().filter(|(property, run)| {
            let length = u8::try_from(run.len()).expect("under 128");
            let body = [before, &[length], &run[..], after].concat();
            check(packet, first, &body, &format!("{property:?}"))
        });
        assert_eq!(taken.count(), count, "{packet}");
    }
}

/// Every property, encoded; authentication data behind its method.
fn one_of_each() -> Vec<(Property<'static>, Vec<u8>)> {
    let method = Property::AuthenticationMethod("m");
    let properties = [
        Property::PayloadFormatIndicator(1),
        Property::MessageExpiryIntervalS(1),
        Property::ContentType("a"),
        Property::ResponseTopic("a"),
        Property::CorrelationData(b"a"),
        Property::SubscriptionIdentifier(1),
        Property::SessionExpiryIntervalS(1),
        Property::AssignedClientIdentifier("a"),
        Property::ServerKeepAliveS(1),
        method,
        Property::AuthenticationData(b"a"),
        Property::RequestProblemInformation(true),
        Property::WillDelayIntervalS(1),
        Property::RequestResponseInformation(true),
        Property::ResponseInformation("a"),
        Property::ServerReference("a"),
        Property::ReasonString("a"),
        Property::ReceiveMaximum(1),
        Property::TopicAliasMaximum(1),
        Property::TopicAlias(1),
        Property::MaximumQoS(1),
        Property::RetainAvailable(true),
        Property::UserProperty("a", "b"),
        Property::MaximumPacketSize(1),
        Property::WildcardSubscriptionAvailable(true),
        Property::SubscriptionIdentifiersAvailable(true),
        Property::SharedSubscriptionAvailable(true),
    ];
    let encoded = |property: Property<'static>| {
        let mut run = Vec::new();
        if matches!(property, Property::AuthenticationData(_)) {
            method.encode(&mut run);
        }
        property.encode(&mut run);
        (property, run)
    };
    properties.map(encoded).into()
}
