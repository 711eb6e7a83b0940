//! MQTT's packets as a client reads and writes them, on the project's own codec, with any broker.
//!
//! The default is 3.1.1. Where nothing of 5.0 is used, its packets are those of 3.1.1 with an empty
//! list of properties in each, which every broker then parses and writes for nothing; and brokers
//! without 5.0 can be compared as well.

use crate::drivers::{DriverError, MqttVersion};
use crate::wire::{EncodedBatch, Encoder};
use bytes::BytesMut;
use protocol::mqtt::{
    ConnAck, Connect, Packet, PacketDecoder, PacketId, PacketStep, Properties, Property, Publish,
    QoS, ReasonCode, Version, encode_packet, encode_publish_head,
};
use std::sync::atomic::{AtomicU64, Ordering};

/// The largest packet that is read.
const PACKET_BYTES_MAX: usize = 64 * 1024 * 1024;

/// As long as there is: some brokers refuse clients without any.
const KEEP_ALIVE_S: u16 = u16::MAX;

/// Publications under way at once that a broker takes, unless it says otherwise (MQTT 5.0
/// §3.2.2.3.3); there are no more packet ids either.
pub(super) const RECEIVE_MAX_DEFAULT: u16 = u16::MAX;

pub(super) const PINGREQ: [u8; 2] = [0xC0, 0];

/// The first bytes of acknowledgements, whose bodies are a packet id (MQTT 3.1.1 §3.4 to §3.7); of
/// 5.0 that is the form for success.
pub(super) mod first_byte {
    pub(in super::super) const PUBACK: u8 = 0x40;
    pub(in super::super) const PUBREC: u8 = 0x50;
    pub(in super::super) const PUBREL: u8 = 0x62;
    pub(in super::super) const PUBCOMP: u8 = 0x70;
}

/// Clients of this process so far. Some brokers refuse clients that do not name themselves, and
/// two of one name would not live beside each other.
static CLIENTS: AtomicU64 = AtomicU64::new(0);

/// Packet ids in the order that publications have them.
#[derive(Clone, Copy, Debug)]
pub(super) struct PacketIds(u16);

impl PacketIds {
    /// From the first one on.
    pub(super) fn new() -> Self {
        Self(0)
    }

    #[inline]
    pub(super) fn next(&mut self) -> PacketId {
        self.0 = self.0.checked_add(1).unwrap_or(1);
        PacketId::new(self.0).expect("an id follows another, and 0 is left out")
    }
}

/// One client's packets.
pub(super) struct MqttPackets {
    decoder: PacketDecoder,
    version: Version,
    client_id: String,
    session: Session,
    input_bytes_wanted: usize,
}

/// What becomes of a session when its connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Session {
    /// It ends too.
    OfConnection,
    /// The broker keeps it, and it goes on when its client is back.
    Kept,
}

/// How long a kept session is kept; longer than any run (MQTT 5.0 §3.1.2.11.2).
const SESSION_EXPIRY_S: u32 = 24 * 60 * 60;

impl MqttPackets {
    pub(super) fn new(version: MqttVersion) -> Self {
        let version = version.on_wire();
        let mut decoder = PacketDecoder::new(PACKET_BYTES_MAX);
        decoder.set_version(version);
        let number = CLIENTS.fetch_add(1, Ordering::Relaxed);
        let client_id = format!("harness-{}-{number}", std::process::id());
        let session = Session::OfConnection;
        Self { decoder, version, client_id, session, input_bytes_wanted: 0 }
    }

    /// Of a client by this name, whose session the broker keeps.
    pub(super) fn kept(version: MqttVersion, name: &str) -> Self {
        let client_id = format!("harness-{}-{name}", std::process::id());
        Self { client_id, session: Session::Kept, ..Self::new(version) }
    }

    pub(super) fn version(&self) -> Version {
        self.version
    }

    pub(super) fn input_bytes_wanted(&self) -> usize {
        self.input_bytes_wanted
    }

    /// CONNECT.
    pub(super) fn poll_opening(&self, output: &mut Vec<u8>) {
        let mut properties = BytesMut::new();
        if (self.session, self.version) == (Session::Kept, Version::V5) {
            Property::SessionExpiryIntervalS(SESSION_EXPIRY_S).encode(&mut properties);
        }
        let connect = Connect {
            version: self.version,
            clean_start: self.session == Session::OfConnection,
            keep_alive_s: KEEP_ALIVE_S,
            client_id: &self.client_id,
            will: None,
            user_name: None,
            password: None,
            properties: Properties::trusted(&properties),
        };
        self.encode(&Packet::Connect(connect), output);
    }

    /// Appends a packet that is not of the hot path.
    pub(super) fn encode(&self, packet: &Packet<'_>, output: &mut Vec<u8>) {
        let mut bytes = BytesMut::new();
        encode_packet(packet, self.version, &mut bytes);
        output.extend_from_slice(&bytes);
    }

    /// The packet that the input begins with, and how many bytes it takes.
    #[inline]
    pub(super) fn next<'a>(
        &mut self,
        input: &'a [u8],
    ) -> Result<Option<(Packet<'a>, usize)>, DriverError> {
        match self.decoder.next(input)? {
            PacketStep::Packet { consumed, packet } => Ok(Some((packet, consumed))),
            PacketStep::NeedMore => {
                self.input_bytes_wanted = packet_bytes(input);
                Ok(None)
            }
        }
    }
}

/// How long the packet is that the input begins with (MQTT 5.0 §2.1.4); 0 while it cannot be told.
fn packet_bytes(input: &[u8]) -> usize {
    const LENGTH_BYTES_MAX: usize = 4;
    let mut remaining_bytes = 0;
    for (index, byte) in input.iter().skip(1).take(LENGTH_BYTES_MAX).enumerate() {
        remaining_bytes |= usize::from(byte & 0x7F) << (7 * index);
        if byte & 0x80 == 0 {
            return 2 + index + remaining_bytes;
        }
    }
    0
}

/// Appends an acknowledgement that all went well.
#[inline]
pub(super) fn acknowledge(first_byte: u8, packet_id: PacketId, output: &mut Vec<u8>) {
    let [high, low] = packet_id.get().to_be_bytes();
    output.extend_from_slice(&[first_byte, 2, high, low]);
}

/// How many publications may be under way, if the client was let in.
pub(super) fn accepted(ack: &ConnAck<'_>) -> Result<u16, DriverError> {
    if ack.reason != ReasonCode::Success {
        let message = format!("CONNECT was answered with {:?}", ack.reason);
        return Err(DriverError::refused_with(ack.reason, message));
    }
    Ok(ack.properties.receive_maximum().unwrap_or(RECEIVE_MAX_DEFAULT))
}

/// The reason of a DISCONNECT, or that something else was expected.
#[cold]
pub(super) fn refusal_or(expected: &'static str, packet: &Packet<'_>) -> DriverError {
    match packet {
        Packet::Disconnect(disconnect) => {
            let message = format!("DISCONNECT with {:?}", disconnect.reason);
            DriverError::refused_with(disconnect.reason, message)
        }
        other => DriverError::unexpected(expected, other),
    }
}

/// PUBLISH packets, one for each message; from a client and to one they are the same.
pub(super) struct PublishEncoder {
    pub(super) topics: Vec<String>,
    pub(super) qos: QoS,
    pub(super) version: Version,
    /// What ends a publication.
    pub(super) end: &'static [u8],
    pub(super) head: BytesMut,
}

impl PublishEncoder {
    /// The same first id in every packet of QoS 1 and 2, in whose place the right one is put.
    fn publish(&self, topic: u32) -> Publish<'_> {
        Publish {
            dup: false,
            qos: self.qos,
            retain: false,
            topic: &self.topics[topic as usize],
            packet_id: (self.qos > QoS::AtMostOnce).then(|| PacketIds::new().next()),
            properties: Properties::default(),
            payload: &[],
        }
    }
}

impl Encoder for PublishEncoder {
    fn encode(&mut self, topic: u32, payloads: &[&[u8]], batch: &mut EncodedBatch) {
        let mut head = std::mem::take(&mut self.head);
        let publish = self.publish(topic);
        for payload in payloads {
            head.clear();
            encode_publish_head(&publish, payload.len(), self.version, &mut head);
            batch.raw(&head);
            batch.payload(payload);
        }
        batch.raw(self.end);
        self.head = head;
    }
}

/// Puts the next ids into packets of QoS 1 or 2.
#[inline]
pub(super) fn number(batch: &mut EncodedBatch, version: Version, packet_ids: &mut PacketIds) {
    // Where a message's packet id begins, counted back from its payload: only the length of its
    // properties, which are none, can be between the two (MQTT 5.0 §3.3.2).
    let from_end = if version.is_v5() { 3 } else { 2 };
    let (bytes, payloads_at) = batch.parts_mut();
    for payload_at in payloads_at {
        let id_at = payload_at - from_end;
        bytes[id_at..id_at + 2].copy_from_slice(&packet_ids.next().get().to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packet_ids_go_around_and_leave_zero_out() {
        let mut ids = PacketIds(u16::MAX - 1);
        assert_eq!([ids.next().get(), ids.next().get(), ids.next().get()], [u16::MAX, 1, 2]);
    }

    #[test]
    fn a_packet_tells_its_length_as_soon_as_its_header_is_there() {
        for (input, expected) in [
            (&[][..], 0),
            (&[0x30], 0),
            (&[0x30, 5], 7),
            (&[0x30, 0x80], 0),
            (&[0x30, 0x80, 1, 9], 3 + 128),
        ] {
            assert_eq!(packet_bytes(input), expected, "{input:?}");
        }
    }
}
