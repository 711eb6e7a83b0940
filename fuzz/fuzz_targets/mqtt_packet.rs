//! Any bytes, in any version, give packets that survive their own encoding, and no packet is
//! taken for whole before it is.

#![no_main]

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use protocol::mqtt::{
    Packet, PacketDecoder, PacketStep, Version, encode_packet, publish_bytes, topics,
};

/// Small, so that a short input reaches past it.
const PACKET_BYTES_MAX: usize = 512;

fuzz_target!(|stream: &[u8]| {
    let mut decoder = PacketDecoder::new(PACKET_BYTES_MAX);
    check_stream(&decoder, None, stream);
    for version in [Version::V31, Version::V311, Version::V5] {
        decoder.set_version(version);
        check_stream(&decoder, Some(version), stream);
    }
});

/// Reads packet after packet, up to the first that is none.
fn check_stream(decoder: &PacketDecoder, version: Option<Version>, stream: &[u8]) {
    let mut rest = stream;
    loop {
        let (consumed, packet) = match decoder.next(rest) {
            Ok(PacketStep::Packet { consumed, packet }) => (consumed, packet),
            Ok(PacketStep::NeedMore) => return,
            Err(error) => {
                assert!(error.reason.is_failure() && error.message.starts_with("expected "));
                return;
            }
        };
        assert!((2..=PACKET_BYTES_MAX).contains(&consumed) && consumed <= rest.len());
        for end in 0..consumed {
            assert_eq!(decoder.next(&rest[..end]), Ok(PacketStep::NeedMore), "{end} of {packet:?}");
        }
        check_packet(&packet, version, consumed);
        rest = &rest[consumed..];
    }
}

/// There may be a longer way to write a packet, but none that is shorter.
fn check_packet(packet: &Packet<'_>, version: Option<Version>, came_bytes: usize) {
    let version = match packet {
        Packet::Connect(connect) => connect.version,
        _ => version.expect("CONNECT is the first packet"),
    };
    let mut written = BytesMut::new();
    encode_packet(packet, version, &mut written);
    assert!(written.len() <= came_bytes, "{packet:?} is written in the shortest form");
    let mut decoder = PacketDecoder::new(PACKET_BYTES_MAX);
    decoder.set_version(version);
    let again = PacketStep::Packet { consumed: written.len(), packet: *packet };
    assert_eq!(decoder.next(&written), Ok(again), "a packet survives its own encoding");
    match packet {
        Packet::Publish(publish) => {
            assert_eq!(publish_bytes(publish, version), written.len());
            assert!(publish.topic.is_empty() || topics::check_topic(publish.topic).is_ok());
        }
        Packet::Subscribe(subscribe) => {
            subscribe.filters.iter().for_each(|(filter, _)| check_filter(filter));
        }
        Packet::Unsubscribe(unsubscribe) => unsubscribe.filters.iter().for_each(check_filter),
        _ => {}
    }
}

/// A filter that has no wildcards is a topic, and matches itself.
fn check_filter(text: &str) {
    let Ok(filter) = topics::Filter::parse(text) else { return };
    if !filter.has_wildcards() {
        assert_eq!(topics::check_topic(filter.levels), Ok(()));
        assert!(topics::matches(filter.levels, filter.levels));
    }
}
