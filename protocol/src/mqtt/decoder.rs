//! Finds the packets in a stream of bytes.

use super::header::{First, kind, remaining_length};
use super::{
    Ack, Auth, ConnAck, Connect, Disconnect, Packet, PacketError, Publish, ReasonCode, SubAck,
    Subscribe, UnsubAck, Unsubscribe, Version,
};
use super::{error::malformed, reason::allowed};

/// Finds the packets in a stream of bytes.
///
/// It serves both sides: what only a client or only a server may send is for its owner to tell.
#[derive(Clone, Debug)]
pub struct PacketDecoder {
    /// Unknown until CONNECT says it.
    version: Option<Version>,
    packet_bytes_max: usize,
}

/// What a decoder found at the start of its input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PacketStep<'a> {
    /// Not a whole packet yet.
    NeedMore,
    /// A packet, and how much of the input it took.
    Packet {
        /// Bytes to take off the input.
        consumed: usize,
        /// The packet.
        packet: Packet<'a>,
    },
}

impl PacketDecoder {
    /// A decoder that refuses packets over `packet_bytes_max`, fixed header included, and expects
    /// CONNECT first.
    #[must_use]
    pub fn new(packet_bytes_max: usize) -> Self {
        Self { version: None, packet_bytes_max }
    }

    /// Sets what packets are read as from now on: by a server after CONNECT, by a client before
    /// anything came.
    pub fn set_version(&mut self, version: Version) {
        self.version = Some(version);
    }

    /// What `input`, all bytes received and not yet consumed, starts with.
    ///
    /// # Errors
    /// [`PacketError`] for what the standard does not allow, as soon as it can be seen: a packet
    /// over the limit when its fixed header is there. Where the next packet begins is unknown
    /// then, and the connection must close.
    #[inline]
    pub fn next<'a>(&self, input: &'a [u8]) -> Result<PacketStep<'a>, PacketError> {
        self.next_to(input, "")
    }

    /// As [`next`](Self::next), faster for a PUBLISH to `known_topic`, a valid topic name: the
    /// topic that it then has is `known_topic` itself.
    ///
    /// # Errors
    /// As [`next`](Self::next).
    #[inline]
    pub fn next_to<'a>(
        &self,
        input: &'a [u8],
        known_topic: &'a str,
    ) -> Result<PacketStep<'a>, PacketError> {
        let Some((first, after)) = input.split_first() else {
            return Ok(PacketStep::NeedMore);
        };
        let first = First::check(*first, self.version)?;
        let Some((body_bytes, length_bytes)) = remaining_length(after, self.version)? else {
            return Ok(PacketStep::NeedMore);
        };
        let consumed = 1 + length_bytes + body_bytes;
        if consumed > self.packet_bytes_max {
            return Err(too_large(consumed, self.packet_bytes_max));
        }
        let Some(body) = after.get(length_bytes..length_bytes + body_bytes) else {
            return Ok(PacketStep::NeedMore);
        };
        let packet = match self.version {
            Some(version) if first.kind == kind::PUBLISH => {
                Packet::Publish(Publish::decode(first.flags, body, version, known_topic)?)
            }
            Some(version) => decode_rare(first.kind, body, version)?,
            None => Packet::Connect(Connect::decode(body)?),
        };
        Ok(PacketStep::Packet { consumed, packet })
    }
}

#[inline(never)]
fn decode_rare(kind: u8, body: &[u8], version: Version) -> Result<Packet<'_>, PacketError> {
    Ok(match kind {
        kind::CONNECT => Packet::Connect(Connect::decode(body)?),
        kind::CONNACK => Packet::ConnAck(ConnAck::decode(body, version)?),
        kind::PUBACK => {
            Packet::PubAck(Ack::decode(body, version, "PUBACK", allowed::PUBACK_AND_PUBREC)?)
        }
        kind::PUBREC => {
            Packet::PubRec(Ack::decode(body, version, "PUBREC", allowed::PUBACK_AND_PUBREC)?)
        }
        kind::PUBREL => {
            Packet::PubRel(Ack::decode(body, version, "PUBREL", allowed::PUBREL_AND_PUBCOMP)?)
        }
        kind::PUBCOMP => {
            Packet::PubComp(Ack::decode(body, version, "PUBCOMP", allowed::PUBREL_AND_PUBCOMP)?)
        }
        kind::SUBSCRIBE => Packet::Subscribe(Subscribe::decode(body, version)?),
        kind::SUBACK => Packet::SubAck(SubAck::decode(body, version)?),
        kind::UNSUBSCRIBE => Packet::Unsubscribe(Unsubscribe::decode(body, version)?),
        kind::UNSUBACK => Packet::UnsubAck(UnsubAck::decode(body, version)?),
        kind::PINGREQ => bodyless(Packet::PingReq, body)?,
        kind::PINGRESP => bodyless(Packet::PingResp, body)?,
        kind::DISCONNECT => Packet::Disconnect(Disconnect::decode(body, version)?),
        kind::AUTH => Packet::Auth(Auth::decode(body)?),
        other => return Err(malformed(format!("expected a packet's type, found {other}"))),
    })
}

fn bodyless<'a>(packet: Packet<'a>, body: &[u8]) -> Result<Packet<'a>, PacketError> {
    match body.len() {
        0 => Ok(packet),
        found => Err(malformed(format!("expected a packet without body, found {found} bytes"))),
    }
}

#[cold]
fn too_large(found: usize, packet_bytes_max: usize) -> PacketError {
    PacketError::new(
        ReasonCode::PacketTooLarge,
        format!("expected a packet of at most {packet_bytes_max} bytes, found {found}"),
    )
}
