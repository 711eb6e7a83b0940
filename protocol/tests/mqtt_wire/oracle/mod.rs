//! Another codec, that of `rumqttc`, reads what is written here, and the other way round.

mod agreement;
mod tables;

use super::encode;
use super::parts::parts;
use agreement::{Facts, Oracle};
use proptest::prelude::*;
use protocol::mqtt::{Packet, PacketStep, Version};

/// What the other codec does not read or does not write as the standard has it.
fn is_known_gap(packet: &Packet<'_>, version: Version) -> bool {
    match packet {
        Packet::Auth(_) => true,
        // It writes an empty user name as none, and then a password without one.
        Packet::Connect(connect) => !version.is_v5() && connect.user_name == Some(""),
        // It takes DISCONNECT to have its property length always.
        Packet::Disconnect(disconnect) => version.is_v5() && disconnect.properties.is_empty(),
        _ => false,
    }
}

proptest! {
    #[test]
    fn another_codec_reads_what_is_written_here(parts in parts()) {
        for version in [Version::V311, Version::V5] {
            let runs = parts.runs(version);
            for packet in parts.packets(&runs, version) {
                if is_known_gap(&packet, version) {
                    continue;
                }
                let read = Oracle::read(&encode(&packet, version), version)
                    .unwrap_or_else(|| panic!("expected {packet:?} to be read"));
                prop_assert_eq!(read.facts(), Facts::of(&packet, version));
            }
        }
    }

    #[test]
    fn what_another_codec_writes_is_read_here(parts in parts()) {
        for version in [Version::V311, Version::V5] {
            let runs = parts.runs(version);
            for packet in parts.packets(&runs, version) {
                if is_known_gap(&packet, version) {
                    continue;
                }
                let read = Oracle::read(&encode(&packet, version), version)
                    .unwrap_or_else(|| panic!("expected {packet:?} to be read"));
                let written = read.write();
                let step = super::decoder(version).next(&written);
                let Ok(PacketStep::Packet { consumed, packet: again }) = step else {
                    panic!("expected {written:02x?} of {packet:?} to be read, found {step:?}");
                };
                prop_assert_eq!(consumed, written.len());
                prop_assert_eq!(Facts::of(&again, version), Facts::of(&packet, version));
            }
        }
    }
}
