//! Where `protocol` and `rumqttc` both take bytes for an MQTT packet, they take them for the same
//! one, and what `rumqttc` writes of it is read as such.
//!
//! What only one of them takes for a packet is not looked at: `rumqttc` lets pass much that the
//! standard forbids, and does not read AUTH, a DISCONNECT of 5.0 without property length, MQTT
//! 3.1, nor a password that is not text. Where it is known to misread or miswrite,
//! [`is_misread`] and [`is_miswritten`] say so.

#![no_main]

#[path = "../../protocol/tests/mqtt_wire/oracle/agreement/mod.rs"]
mod agreement;

use agreement::{Facts, Oracle};
use libfuzzer_sys::fuzz_target;
use protocol::mqtt::{Packet, PacketDecoder, PacketStep, Property, Version};

const PACKET_BYTES_MAX: usize = 1 << 16;

fuzz_target!(|bytes: &[u8]| {
    for version in [Version::V311, Version::V5] {
        let mut decoder = PacketDecoder::new(PACKET_BYTES_MAX);
        decoder.set_version(version);
        if let Ok(PacketStep::Packet { consumed, packet }) = decoder.next(bytes) {
            check(&packet, &bytes[..consumed], version);
        }
    }
});

fn check(packet: &Packet<'_>, bytes: &[u8], version: Version) {
    let version = match packet {
        Packet::Connect(connect) => connect.version,
        _ => version,
    };
    if is_misread(packet) {
        return;
    }
    let Some(oracle) = Oracle::read(bytes, version) else { return };
    let facts = Facts::of(packet, version);
    assert_eq!(oracle.facts(), facts, "both read the same");
    if is_miswritten(packet, version) {
        return;
    }
    let written = oracle.write();
    let mut decoder = PacketDecoder::new(PACKET_BYTES_MAX);
    decoder.set_version(version);
    match decoder.next(&written) {
        Ok(PacketStep::Packet { packet, .. }) => assert_eq!(Facts::of(&packet, version), facts),
        other => panic!("expected {written:02x?} to be {packet:?}, found {other:?}"),
    }
}

/// It counts a subscription identifier one byte longer than it is, and so may take what follows
/// two of them for the payload.
fn is_misread(packet: &Packet<'_>) -> bool {
    let Packet::Publish(publish) = packet else { return false };
    let is_subscription =
        |property: &Property<'_>| matches!(property, Property::SubscriptionIdentifier(_));
    publish.properties.iter().filter(is_subscription).count() > 1
}

/// It writes an empty user name as none, and then in 3.1.1 a password without one; and it writes
/// a DISCONNECT without properties longer than it says.
fn is_miswritten(packet: &Packet<'_>, version: Version) -> bool {
    match packet {
        Packet::Connect(connect) => !version.is_v5() && connect.user_name == Some(""),
        Packet::Disconnect(disconnect) => version.is_v5() && disconnect.properties.is_empty(),
        _ => false,
    }
}
