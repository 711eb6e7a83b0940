//! The fixed header (MQTT 5.0 §2.1): a packet's type, its flags, and how many bytes remain.

use super::error::{malformed, violation};
use super::varint::{Varint, varint, varint_bytes};
use super::{PacketError, Version};
use bytes::BufMut;

/// Packet types (MQTT 5.0 §2.1.2).
pub(super) mod kind {
    pub(in super::super) const CONNECT: u8 = 1;
    pub(in super::super) const CONNACK: u8 = 2;
    pub(in super::super) const PUBLISH: u8 = 3;
    pub(in super::super) const PUBACK: u8 = 4;
    pub(in super::super) const PUBREC: u8 = 5;
    pub(in super::super) const PUBREL: u8 = 6;
    pub(in super::super) const PUBCOMP: u8 = 7;
    pub(in super::super) const SUBSCRIBE: u8 = 8;
    pub(in super::super) const SUBACK: u8 = 9;
    pub(in super::super) const UNSUBSCRIBE: u8 = 10;
    pub(in super::super) const UNSUBACK: u8 = 11;
    pub(in super::super) const PINGREQ: u8 = 12;
    pub(in super::super) const PINGRESP: u8 = 13;
    pub(in super::super) const DISCONNECT: u8 = 14;
    pub(in super::super) const AUTH: u8 = 15;
}

/// Says of a PUBLISH that it is sent again.
const DUP: u8 = 0b1000;

/// The flags that packets of a type always have (MQTT 5.0 §2.1.3); PUBLISH chooses its own.
pub(super) fn fixed_flags(kind: u8) -> u8 {
    match kind {
        kind::PUBREL | kind::SUBSCRIBE | kind::UNSUBSCRIBE => 0b0010,
        _ => 0,
    }
}

/// A packet's first byte.
#[derive(Clone, Copy, Debug)]
pub(super) struct First {
    pub(super) kind: u8,
    pub(super) flags: u8,
}

impl First {
    /// Checks that `byte` may begin a packet; before CONNECT, that it begins one.
    #[inline]
    pub(super) fn check(byte: u8, version: Option<Version>) -> Result<Self, PacketError> {
        let first = Self { kind: byte >> 4, flags: byte & 0x0F };
        if first.kind == kind::PUBLISH && version.is_some() {
            return Ok(first);
        }
        first.check_rare(version)
    }

    fn check_rare(self, version: Option<Version>) -> Result<Self, PacketError> {
        let Self { kind, flags } = self;
        if kind == 0 || kind == kind::AUTH && version.is_some_and(|version| !version.is_v5()) {
            return Err(malformed(format!("expected a packet's type, found {kind}")));
        }
        if version.is_none() && kind != kind::CONNECT {
            return Err(violation(format!(
                "expected CONNECT as a connection's first packet, found type {kind}"
            )));
        }
        // [MQTT-2.1.3-1].
        let expected = fixed_flags(kind);
        // Before 3.1.1 what was sent again could say so in any of them.
        let reserved = if version == Some(Version::V31) { !DUP } else { !0 };
        if flags & reserved != expected & reserved {
            return Err(malformed(format!(
                "expected flags {expected:#06b} of packet type {kind}, found {flags:#06b}"
            )));
        }
        Ok(self)
    }
}

/// The remaining length at the start of `input`, and its own bytes; none while there is more to
/// come.
///
/// That it takes as few bytes as it needs ([MQTT-1.5.5-1]) was not yet said before 5.0.
#[inline]
pub(super) fn remaining_length(
    input: &[u8],
    version: Option<Version>,
) -> Result<Option<(usize, usize)>, PacketError> {
    match Varint::read(input) {
        Varint::Number { value, bytes } => {
            if bytes != varint_bytes(value) && version.is_some_and(Version::is_v5) {
                return Err(malformed(format!(
                    "expected remaining length {value} in as few bytes as it needs, found {bytes}"
                )));
            }
            Ok(Some((value as usize, bytes)))
        }
        Varint::Short => Ok(None),
        Varint::Long => {
            Err(malformed("expected a remaining length of at most 4 bytes, found more"))
        }
    }
}

/// Writes a fixed header whose first byte is of `kind`, with its fixed flags.
///
/// # Panics
/// If more than 268 435 455 bytes remain.
pub(super) fn put_header(out: &mut impl BufMut, kind: u8, remaining_bytes: usize) {
    let (length, length_bytes) = remaining_varint(remaining_bytes);
    out.put_u8(kind << 4 | fixed_flags(kind));
    out.put_slice(&length[..length_bytes]);
}

/// The bytes of a remaining length, and how many of them count.
#[inline]
pub(super) fn remaining_varint(remaining_bytes: usize) -> ([u8; 4], usize) {
    varint(u32::try_from(remaining_bytes).unwrap_or(u32::MAX))
}

/// Bytes of a fixed header.
#[inline]
pub(super) fn header_bytes(remaining_bytes: usize) -> usize {
    1 + varint_bytes(u32::try_from(remaining_bytes).unwrap_or(u32::MAX))
}
