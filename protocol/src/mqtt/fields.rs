//! The fields of a packet's body: a reader that rejects what is short and what is left over, and
//! the writers that match it. All integers are big-endian.

use super::error::{malformed, violation};
use super::property::{PropertySet, check_properties};
use super::varint::{Varint, put_varint, varint_bytes};
use super::{PacketError, PacketId, Properties, ReasonCode, Version};
use bytes::BufMut;

/// Reads a body's fields in order.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    #[inline]
    pub(super) fn new(body: &'a [u8]) -> Self {
        Self { rest: body }
    }

    #[inline]
    fn take<const N: usize>(&mut self, name: &'static str) -> Result<[u8; N], PacketError> {
        let Some((head, tail)) = self.rest.split_first_chunk::<N>() else {
            return Err(short(N, name, self.rest.len()));
        };
        self.rest = tail;
        Ok(*head)
    }

    fn take_slice(&mut self, bytes: usize, name: &'static str) -> Result<&'a [u8], PacketError> {
        let Some((head, tail)) = self.rest.split_at_checked(bytes) else {
            return Err(short(bytes, name, self.rest.len()));
        };
        self.rest = tail;
        Ok(head)
    }

    #[inline]
    pub(super) fn u8(&mut self, name: &'static str) -> Result<u8, PacketError> {
        self.take::<1>(name).map(|[byte]| byte)
    }

    #[inline]
    pub(super) fn u16(&mut self, name: &'static str) -> Result<u16, PacketError> {
        self.take(name).map(u16::from_be_bytes)
    }

    pub(super) fn u32(&mut self, name: &'static str) -> Result<u32, PacketError> {
        self.take(name).map(u32::from_be_bytes)
    }

    /// A variable byte integer, in as few bytes as it needs ([MQTT-1.5.5-1]).
    #[inline]
    pub(super) fn varint(&mut self, name: &'static str) -> Result<u32, PacketError> {
        match Varint::read(self.rest) {
            Varint::Number { value, bytes } if bytes == varint_bytes(value) => {
                self.rest = &self.rest[bytes..];
                Ok(value)
            }
            other => Err(bad_varint(other, name)),
        }
    }

    /// Binary data (MQTT 5.0 §1.5.6).
    #[inline]
    pub(super) fn binary(&mut self, name: &'static str) -> Result<&'a [u8], PacketError> {
        let bytes = usize::from(self.u16(name)?);
        self.take_slice(bytes, name)
    }

    /// A UTF-8 encoded string (MQTT 5.0 §1.5.4), which has no U+0000.
    pub(super) fn text(&mut self, name: &'static str) -> Result<&'a str, PacketError> {
        let text = utf8(self.binary(name)?, name)?;
        match memchr::memchr(0, text.as_bytes()) {
            None => Ok(text),
            Some(_) => Err(zero_character(name)),
        }
    }

    #[inline]
    pub(super) fn packet_id(&mut self) -> Result<PacketId, PacketError> {
        PacketId::new(self.u16("packet id")?).ok_or_else(no_packet_id)
    }

    /// A reason code, one of those in `allowed`.
    pub(super) fn reason(
        &mut self,
        packet: &'static str,
        allowed: &[u8],
    ) -> Result<ReasonCode, PacketError> {
        let number = self.u8("reason code")?;
        match ReasonCode::from_number(number) {
            Some(reason) if allowed.contains(&number) => Ok(reason),
            _ => Err(bad_reason(packet, number)),
        }
    }

    /// Properties behind their length (MQTT 5.0 §2.2.2), all of them in `allowed`. Before 5.0
    /// there are none.
    #[inline]
    pub(super) fn properties(
        &mut self,
        version: Version,
        allowed: PropertySet,
    ) -> Result<Properties<'a>, PacketError> {
        if !version.is_v5() {
            return Ok(Properties::default());
        }
        match self.varint("property length")? {
            0 => Ok(Properties::default()),
            bytes => check_properties(self.take_slice(bytes as usize, "properties")?, allowed),
        }
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// All that is left, without taking it.
    #[inline]
    pub(super) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Nothing may be left.
    #[inline]
    pub(super) fn end(self) -> Result<(), PacketError> {
        match self.rest.len() {
            0 => Ok(()),
            left => Err(left_over(left)),
        }
    }
}

/// `bytes` as text; surrogates and overlong forms are none ([MQTT-1.5.4-1]).
#[inline]
pub(super) fn utf8<'a>(bytes: &'a [u8], name: &'static str) -> Result<&'a str, PacketError> {
    std::str::from_utf8(bytes).map_err(|error| {
        malformed(format!(
            "expected {name} in UTF-8, found another byte at {}",
            error.valid_up_to()
        ))
    })
}

#[cold]
fn short(expected: usize, name: &'static str, found: usize) -> PacketError {
    malformed(format!("expected {expected} bytes of {name}, found {found}"))
}

#[cold]
fn left_over(left: usize) -> PacketError {
    malformed(format!("expected the packet to end, found {left} bytes more"))
}

#[cold]
fn bad_varint(found: Varint, name: &'static str) -> PacketError {
    malformed(match found {
        Varint::Number { value, bytes } => {
            format!("expected {name} {value} in as few bytes as it needs, found {bytes}")
        }
        Varint::Short => format!("expected {name}, found the packet's end"),
        Varint::Long => format!("expected {name} of at most 4 bytes, found more"),
    })
}

/// [MQTT-1.5.4-2].
#[cold]
pub(super) fn zero_character(name: &'static str) -> PacketError {
    malformed(format!("expected {name} without U+0000, found one"))
}

/// [MQTT-2.2.1-3].
#[cold]
fn no_packet_id() -> PacketError {
    violation("expected a packet id from 1 to 65535, found 0")
}

#[cold]
pub(super) fn bad_reason(packet: &'static str, number: u8) -> PacketError {
    violation(format!("expected a reason code that {packet} may give, found {number:#04x}"))
}

/// `text`, cut at a character's boundary where it is longer than its length field can say.
#[inline]
pub(super) fn fitting_text(text: &str) -> &str {
    &text[..text.floor_char_boundary(usize::from(u16::MAX))]
}

/// `bytes`, cut where they are more than their length field can say.
fn fitting_binary(bytes: &[u8]) -> &[u8] {
    &bytes[..bytes.len().min(usize::from(u16::MAX))]
}

pub(super) fn put_text(out: &mut impl BufMut, text: &str) {
    put_binary(out, fitting_text(text).as_bytes());
}

pub(super) fn text_bytes(text: &str) -> usize {
    2 + fitting_text(text).len()
}

pub(super) fn put_binary(out: &mut impl BufMut, bytes: &[u8]) {
    let bytes = fitting_binary(bytes);
    out.put_u16(bytes.len() as u16);
    out.put_slice(bytes);
}

pub(super) fn binary_bytes(bytes: &[u8]) -> usize {
    2 + fitting_binary(bytes).len()
}

/// Writes properties behind their length; nothing before 5.0.
#[inline]
pub(super) fn put_properties(out: &mut impl BufMut, version: Version, properties: Properties<'_>) {
    if version.is_v5() {
        put_varint(out, properties.bytes().len() as u32);
        out.put_slice(properties.bytes());
    }
}

#[inline]
pub(super) fn properties_bytes(version: Version, properties: Properties<'_>) -> usize {
    match version {
        Version::V31 | Version::V311 => 0,
        Version::V5 => {
            let bytes = properties.bytes().len();
            varint_bytes(bytes as u32) + bytes
        }
    }
}
