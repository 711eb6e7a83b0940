//! MQTT as a load generator speaks it, on the project's own codec, with any broker.
//!
//! The default is 3.1.1. Where nothing of 5.0 is used, its packets are those of 3.1.1 with an empty
//! list of properties in each, which every broker then parses and writes for nothing; and brokers
//! without 5.0 can be compared as well.

use super::DriverError;
use super::connection::{Connection, Filled, Patience};
use bytes::BytesMut;
use protocol::mqtt::{
    Ack, ConnAck, Connect, Packet, PacketDecoder, PacketId, PacketStep, Properties, Publish, QoS,
    ReasonCode, Subscribe, SubscribeFilters, SubscribeOptions, Version, encode_packet,
};
use serde::{Deserialize, Serialize, Serializer};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};

/// The largest packet that is read.
const PACKET_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Publications under way at once that a broker takes, unless it says otherwise (MQTT 5.0
/// §3.2.2.3.3); there are no more packet ids either.
const RECEIVE_MAX_DEFAULT: u16 = u16::MAX;

/// How an MQTT broker is spoken to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct MqttTerms {
    /// Which version of the standard.
    #[serde(rename = "mqtt_version")]
    pub version: MqttVersion,
    /// With what quality of service streams are published and delivered; whoever wants
    /// acknowledgements publishes with 1 all the same.
    #[serde(serialize_with = "as_number")]
    pub qos: QoS,
}

/// A version of the standard, as configurations name it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum MqttVersion {
    /// MQTT 3.1.1.
    #[default]
    #[serde(rename = "3.1.1")]
    V311,
    /// MQTT 5.0.
    #[serde(rename = "5.0")]
    V5,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands it a reference")]
fn as_number<S: Serializer>(qos: &QoS, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u8(qos.number())
}

impl MqttVersion {
    pub(super) fn on_wire(self) -> Version {
        match self {
            Self::V311 => Version::V311,
            Self::V5 => Version::V5,
        }
    }
}

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

/// A connection that was let in, with a session that ends with it.
pub(super) struct MqttConnection {
    connection: Connection,
    decoder: PacketDecoder,
    version: Version,
    /// Publications of QoS 1 that may be under way at once.
    receive_max: u16,
    output: BytesMut,
}

/// As long as there is: some brokers refuse clients without any.
const KEEP_ALIVE_S: u16 = u16::MAX;

/// Connections of this process so far. Some brokers refuse clients that do not name themselves, and
/// two of one name would not live beside each other.
static CONNECTIONS: AtomicU64 = AtomicU64::new(0);

impl MqttConnection {
    pub(super) fn open(address: SocketAddr, version: MqttVersion) -> Result<Self, DriverError> {
        let version = version.on_wire();
        let mut decoder = PacketDecoder::new(PACKET_BYTES_MAX);
        decoder.set_version(version);
        let number = CONNECTIONS.fetch_add(1, Ordering::Relaxed);
        let client_id = format!("harness-{}-{number}", std::process::id());
        let mut opened = Self {
            connection: Connection::open(address)?,
            decoder,
            version,
            receive_max: RECEIVE_MAX_DEFAULT,
            output: BytesMut::new(),
        };
        opened.send_packet(&Packet::Connect(Connect {
            version,
            clean_start: true,
            keep_alive_s: KEEP_ALIVE_S,
            client_id: &client_id,
            will: None,
            user_name: None,
            password: None,
            properties: Properties::default(),
        }))?;
        opened.receive_max = opened.next_packet("CONNACK", |packet| match packet {
            Packet::ConnAck(ack) => accepted(&ack),
            other => Err(DriverError::unexpected("CONNACK", &other)),
        })?;
        Ok(opened)
    }

    pub(super) fn version(&self) -> Version {
        self.version
    }

    pub(super) fn receive_max(&self) -> usize {
        usize::from(self.receive_max)
    }

    /// Sends a packet without waiting.
    pub(super) fn send_packet(&mut self, packet: &Packet<'_>) -> Result<(), DriverError> {
        self.output.clear();
        encode_packet(packet, self.version, &mut self.output);
        self.connection.send(&self.output)
    }

    pub(super) fn send_bytes(&mut self, bytes: &[u8]) -> Result<(), DriverError> {
        self.connection.send(bytes)
    }

    /// Subscribes to one topic, and waits until it is so.
    pub(super) fn subscribe(&mut self, topic: &str, qos: QoS) -> Result<(), DriverError> {
        let mut filters = BytesMut::new();
        SubscribeFilters::encode(topic, SubscribeOptions::of_qos(qos), &mut filters);
        let packet_id = PacketIds::new().next();
        self.send_packet(&Packet::Subscribe(Subscribe {
            packet_id,
            properties: Properties::default(),
            filters: SubscribeFilters::trusted(&filters),
        }))?;
        self.next_packet("SUBACK", |packet| match packet {
            Packet::SubAck(ack) if ack.reasons == [qos.number()] => Ok(()),
            other => Err(DriverError::unexpected("SUBACK with the QoS that was asked", &other)),
        })
    }

    /// Waits until the broker has taken in all that was sent: it handles packets in order.
    pub(super) fn ping(&mut self) -> Result<(), DriverError> {
        self.send_packet(&Packet::PingReq)?;
        self.next_packet("PINGRESP", |packet| match packet {
            Packet::PingResp => Ok(()),
            other => Err(refusal_or("PINGRESP", &other)),
        })
    }

    /// Waits for a whole packet and reads it.
    pub(super) fn next_packet<T>(
        &mut self,
        expected: &'static str,
        read: impl FnOnce(Packet<'_>) -> Result<T, DriverError>,
    ) -> Result<T, DriverError> {
        loop {
            if let PacketStep::Packet { consumed, packet } =
                self.decoder.next(self.connection.input())?
            {
                let answer = read(packet);
                self.connection.consume(consumed);
                return answer;
            }
            self.fill(expected)?;
        }
    }

    /// From now on reads end after a moment, with nothing where nothing came.
    pub(super) fn become_stream(&mut self) -> Result<(), DriverError> {
        self.connection.set_patience(Patience::Stream)
    }

    /// Reads once, for [`take_packets`](Self::take_packets).
    #[inline]
    pub(super) fn fill(&mut self, expected: &'static str) -> Result<Filled, DriverError> {
        let input_bytes = self.connection.input().len() + 1;
        self.connection.fill(expected, input_bytes)
    }

    /// Hands over every whole packet that was read, where it lies.
    ///
    /// What begins with `head`, all that one message has before its payload of `payload_bytes`,
    /// is that message and is not decoded again: a subscriber of a stream is sent the same head
    /// over and over.
    #[inline]
    pub(super) fn take_packets(
        &mut self,
        head: Option<(&[u8], usize)>,
        mut take: impl FnMut(Came<'_>) -> Result<(), DriverError>,
    ) -> Result<(), DriverError> {
        let mut consumed_bytes = 0;
        loop {
            let input = &self.connection.input()[consumed_bytes..];
            if let Some((head, payload_bytes)) = head
                && let Some(payload) = input.strip_prefix(head)
                && let Some(payload) = payload.get(..payload_bytes)
            {
                take(Came::Payload(payload))?;
                consumed_bytes += head.len() + payload_bytes;
                continue;
            }
            let PacketStep::Packet { consumed, packet } = self.decoder.next(input)? else { break };
            take(Came::Packet(packet))?;
            consumed_bytes += consumed;
        }
        self.connection.consume(consumed_bytes);
        Ok(())
    }
}

/// What [`MqttConnection::take_packets`] finds.
pub(super) enum Came<'a> {
    /// The payload of a message with the expected head.
    Payload(&'a [u8]),
    /// Anything else.
    Packet(Packet<'a>),
}

/// A publication: of QoS 1 if it has an id, of QoS 0 if not.
pub(super) fn message<'a>(
    topic: &'a str,
    payload: &'a [u8],
    packet_id: Option<PacketId>,
) -> Publish<'a> {
    let qos = if packet_id.is_some() { QoS::AtLeastOnce } else { QoS::AtMostOnce };
    let properties = Properties::default();
    Publish { dup: false, qos, retain: false, topic, packet_id, properties, payload }
}

/// How many publications may be under way, if the client was let in.
fn accepted(ack: &ConnAck<'_>) -> Result<u16, DriverError> {
    if ack.reason != ReasonCode::Success {
        let message = format!("CONNECT was answered with {:?}", ack.reason);
        return Err(DriverError::refused_with(ack.reason, message));
    }
    Ok(ack.properties.receive_maximum().unwrap_or(RECEIVE_MAX_DEFAULT))
}

/// Checks that this packet acknowledges the publication of this id.
pub(super) fn check_acknowledged(
    packet: &Packet<'_>,
    packet_id: PacketId,
) -> Result<(), DriverError> {
    match packet {
        Packet::PubAck(Ack { reason, .. }) if reason.is_failure() => {
            Err(DriverError::refused_with(*reason, format!("PUBACK with {reason:?}")))
        }
        // [MQTT-4.6.0-2]: in the order of the publications.
        Packet::PubAck(ack) if ack.packet_id == packet_id => Ok(()),
        other => Err(refusal_or("PUBACK of the oldest publication", other)),
    }
}

/// The reason of a DISCONNECT, or that something else was expected.
pub(super) fn refusal_or(expected: &'static str, packet: &Packet<'_>) -> DriverError {
    match packet {
        Packet::Disconnect(disconnect) => {
            let message = format!("DISCONNECT with {:?}", disconnect.reason);
            DriverError::refused_with(disconnect.reason, message)
        }
        other => DriverError::unexpected(expected, other),
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
    fn an_acknowledgement_is_of_the_oldest_and_a_failure_is_a_refusal() {
        let id = |number| PacketId::new(number).unwrap();
        let ack = Ack::success(id(7));
        assert!(check_acknowledged(&Packet::PubAck(ack), id(7)).is_ok());
        let error = check_acknowledged(&Packet::PubAck(ack), id(6)).unwrap_err();
        assert_eq!(error.code(), "unexpected_answer");
        let failed = Ack { reason: ReasonCode::QuotaExceeded, ..ack };
        let error = check_acknowledged(&Packet::PubAck(failed), id(7)).unwrap_err();
        assert_eq!((error.code(), error.is_refusal()), ("mqtt_0x97", true));
    }
}
