//! MQTT packets survive their own encoding, no bytes make the decoder panic, and what the
//! standard forbids is refused with the reason that it names.

mod malformed;
mod oracle;
mod parts;
mod shortest;

use bytes::BytesMut;
use parts::parts;
use proptest::collection::vec;
use proptest::prelude::*;
use protocol::mqtt::{
    Packet, PacketDecoder, PacketError, PacketStep, ReasonCode, Version, encode_packet,
    encode_publish_head, publish_bytes,
};

const VERSIONS: [Version; 3] = [Version::V31, Version::V311, Version::V5];

fn decoder(version: Version) -> PacketDecoder {
    let mut decoder = PacketDecoder::new(1 << 20);
    decoder.set_version(version);
    decoder
}

fn encode(packet: &Packet<'_>, version: Version) -> BytesMut {
    let mut bytes = BytesMut::new();
    encode_packet(packet, version, &mut bytes);
    bytes
}

/// The packet that `bytes` are, all of them.
fn decode(bytes: &[u8], version: Version) -> Result<Packet<'_>, PacketError> {
    match decoder(version).next(bytes)? {
        PacketStep::Packet { consumed, packet } => {
            assert_eq!(consumed, bytes.len(), "a packet is the whole of {bytes:02x?}");
            Ok(packet)
        }
        PacketStep::NeedMore => panic!("expected {bytes:02x?} to be whole"),
    }
}

proptest! {
    #[test]
    fn every_packet_survives_its_own_encoding(parts in parts()) {
        for version in VERSIONS {
            let runs = parts.runs(version);
            for packet in parts.packets(&runs, version) {
                let bytes = encode(&packet, version);
                prop_assert_eq!(decode(&bytes, version), Ok(packet), "{:?}", version);
            }
        }
    }

    #[test]
    fn a_topic_that_is_known_changes_nothing(parts in parts(), other in "[a-z/]{1,4}") {
        for version in VERSIONS {
            let runs = parts.runs(version);
            for packet in parts.packets(&runs, version) {
                let bytes = encode(&packet, version);
                let known = match &packet {
                    Packet::Publish(publish) if !publish.topic.is_empty() => publish.topic,
                    _ => other.as_str(),
                };
                let expected = decoder(version).next(&bytes);
                prop_assert_eq!(&decoder(version).next_to(&bytes, known), &expected);
                prop_assert_eq!(&decoder(version).next_to(&bytes, &other), &expected);
            }
        }
    }

    #[test]
    fn a_packet_is_whole_at_its_last_byte_and_not_before(parts in parts()) {
        for version in VERSIONS {
            let runs = parts.runs(version);
            for packet in parts.packets(&runs, version) {
                let bytes = encode(&packet, version);
                for end in 0..bytes.len() {
                    let step = decoder(version).next(&bytes[..end]);
                    prop_assert_eq!(step, Ok(PacketStep::NeedMore), "{} of {:?}", end, packet);
                }
                let mut followed = bytes.to_vec();
                followed.push(0xC0);
                let step = decoder(version).next(&followed);
                let consumed = bytes.len();
                prop_assert_eq!(step, Ok(PacketStep::Packet { consumed, packet }));
            }
        }
    }

    #[test]
    fn connect_needs_no_version_to_be_read(parts in parts()) {
        for version in VERSIONS {
            let runs = parts.runs(version);
            let packet = parts.packets(&runs, version)[0];
            let bytes = encode(&packet, version);
            let step = PacketDecoder::new(1 << 20).next(&bytes);
            prop_assert_eq!(step, Ok(PacketStep::Packet { consumed: bytes.len(), packet }));
        }
    }

    #[test]
    fn a_publication_is_as_long_as_was_said(parts in parts()) {
        for version in VERSIONS {
            let runs = parts.runs(version);
            let packets = parts.packets(&runs, version);
            let Packet::Publish(publish) = &packets[2] else { panic!("PUBLISH is type 3") };
            let bytes = encode(&packets[2], version);
            prop_assert_eq!(publish_bytes(publish, version), bytes.len());
            let mut head = BytesMut::new();
            encode_publish_head(publish, publish.payload.len(), version, &mut head);
            prop_assert_eq!(&bytes[..], &[&head[..], publish.payload].concat());
        }
    }

    #[test]
    fn properties_are_as_long_as_was_said(parts in parts()) {
        let runs = parts.runs(Version::V5);
        for packet in parts.packets(&runs, Version::V5) {
            let Packet::ConnAck(ack) = packet else { continue };
            let bytes: usize = ack.properties.iter().map(|one| one.encoded_bytes()).sum();
            prop_assert_eq!(bytes, ack.properties.bytes().len());
        }
    }

    #[test]
    fn no_bytes_make_the_decoder_panic(bytes in vec(any::<u8>(), 0..200)) {
        for version in VERSIONS {
            let _ = decoder(version).next(&bytes);
        }
        let _ = PacketDecoder::new(64).next(&bytes);
    }

    #[test]
    fn no_body_makes_the_decoder_panic(first in any::<u8>(), body in vec(any::<u8>(), 0..100)) {
        check_whatever_is_read(&[&[first, body.len() as u8], &body[..]].concat());
    }

    #[test]
    fn no_damage_makes_the_decoder_panic(
        parts in parts(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        for version in VERSIONS {
            let runs = parts.runs(version);
            for packet in parts.packets(&runs, version) {
                let mut bytes = encode(&packet, version);
                let at = at.index(bytes.len());
                bytes[at] = byte;
                check_whatever_is_read(&bytes);
            }
        }
    }
}

/// What any bytes are read as survives its own encoding.
fn check_whatever_is_read(bytes: &[u8]) {
    for version in VERSIONS {
        let Ok(PacketStep::Packet { packet, .. }) = decoder(version).next(bytes) else { continue };
        let version = match &packet {
            Packet::Connect(connect) => connect.version,
            _ => version,
        };
        assert_eq!(decode(&encode(&packet, version), version), Ok(packet), "{version:?}");
    }
}

#[test]
fn a_packet_over_the_limit_is_refused_when_its_header_is_there() {
    let mut decoder = PacketDecoder::new(100);
    decoder.set_version(Version::V311);
    assert_eq!(decoder.next(&[0x30, 98]), Ok(PacketStep::NeedMore), "100 bytes in all");
    let refused = decoder.next(&[0x30, 99]).map_err(|error| error.reason);
    assert_eq!(refused, Err(ReasonCode::PacketTooLarge));
    let refused = decoder.next(&[0x30, 0xFF, 0xFF, 0xFF, 0x7F]).map_err(|error| error.reason);
    assert_eq!(refused, Err(ReasonCode::PacketTooLarge));
}
