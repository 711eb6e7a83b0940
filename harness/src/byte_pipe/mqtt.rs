//! The byte pipe's side of MQTT: CONNECT and SUBSCRIBE are answered, PUBLISH is passed on.

use super::framing::Framing;
use super::{Subscribers, invalid, serve_publisher, serve_subscriber};
use bytes::BytesMut;
use protocol::mqtt::{
    ConnAck, Packet, PacketDecoder, PacketStep, Properties, QoS, ReasonCode, SubAck, encode_packet,
};
use std::io::{self, Read, Write};
use std::net::TcpStream;

/// CONNECT's first byte, which no greeting begins with.
pub(super) const CONNECT_FIRST_BYTE: u8 = 0x10;

pub(super) const PINGREQ: [u8; 2] = [0xC0, 0];
pub(super) const PINGRESP: [u8; 2] = [0xD0, 0];

/// The longest packet until it is known what a connection becomes.
const FIRST_PACKET_BYTES_MAX: usize = 1024 * 1024;

/// Serves a connection whose first byte was read.
pub(super) fn serve_connection(mut socket: TcpStream, subscribers: &Subscribers) -> io::Result<()> {
    let mut decoder = PacketDecoder::new(FIRST_PACKET_BYTES_MAX);
    let connect = read_packet(&mut socket, &decoder, vec![CONNECT_FIRST_BYTE])?;
    let version = match decoder.next(&connect).map_err(invalid)? {
        PacketStep::Packet { packet: Packet::Connect(connect), .. } => connect.version,
        other => return Err(invalid(format!("expected CONNECT, found {other:?}"))),
    };
    decoder.set_version(version);
    let (reason, properties) = (ReasonCode::Success, Properties::default());
    let mut answer = BytesMut::new();
    let connack = ConnAck { session_present: false, reason, properties };
    encode_packet(&Packet::ConnAck(connack), version, &mut answer);
    socket.write_all(&answer)?;

    let first = read_packet(&mut socket, &decoder, Vec::new())?;
    match decoder.next(&first).map_err(invalid)? {
        PacketStep::Packet { packet: Packet::Subscribe(subscribe), .. } => {
            let reasons = vec![QoS::AtMostOnce.number(); subscribe.filters.iter().count()];
            let (packet_id, reasons) = (subscribe.packet_id, reasons.as_slice());
            answer.clear();
            let suback = Packet::SubAck(SubAck { packet_id, properties, reasons });
            encode_packet(&suback, version, &mut answer);
            serve_subscriber(socket, &answer, subscribers)
        }
        PacketStep::Packet { packet: Packet::PingReq, .. } => {
            socket.write_all(&PINGRESP)?;
            serve_publisher(&mut socket, subscribers, Framing::Mqtt, &[])
        }
        _ => serve_publisher(&mut socket, subscribers, Framing::Mqtt, &first),
    }
}

/// Reads to the end of a packet and no further; `packet` is what was read of it.
fn read_packet(
    socket: &mut TcpStream,
    decoder: &PacketDecoder,
    mut packet: Vec<u8>,
) -> io::Result<Vec<u8>> {
    while decoder.next(&packet).map_err(invalid)? == PacketStep::NeedMore {
        let mut byte = [0];
        socket.read_exact(&mut byte)?;
        packet.extend_from_slice(&byte);
    }
    Ok(packet)
}
