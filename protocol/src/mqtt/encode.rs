//! Packets as bytes.

use super::header::{header_bytes, kind, put_header};
use super::packet::Body;
use super::{Packet, Version, encode_publish};
use bytes::BytesMut;

/// Writes `packet` behind what `out` holds, in the shortest form that says it; CONNECT in the
/// version that it names.
///
/// What a version has no place for is left out: properties, reasons and UNSUBACK's codes before
/// 5.0. Before 5.0 there is no AUTH either, and nothing is written for it. Texts over 65535
/// bytes are cut at a character's boundary.
///
/// # Panics
/// If more than 268 435 455 bytes would follow the fixed header (MQTT 5.0 §2.1.4).
pub fn encode_packet(packet: &Packet<'_>, version: Version, out: &mut BytesMut) {
    match packet {
        Packet::Connect(connect) => put(kind::CONNECT, connect, connect.version, out),
        Packet::ConnAck(ack) => put(kind::CONNACK, ack, version, out),
        Packet::Publish(publish) => encode_publish(publish, version, out),
        Packet::PubAck(ack) => put(kind::PUBACK, ack, version, out),
        Packet::PubRec(ack) => put(kind::PUBREC, ack, version, out),
        Packet::PubRel(ack) => put(kind::PUBREL, ack, version, out),
        Packet::PubComp(ack) => put(kind::PUBCOMP, ack, version, out),
        Packet::Subscribe(subscribe) => put(kind::SUBSCRIBE, subscribe, version, out),
        Packet::SubAck(ack) => put(kind::SUBACK, ack, version, out),
        Packet::Unsubscribe(unsubscribe) => put(kind::UNSUBSCRIBE, unsubscribe, version, out),
        Packet::UnsubAck(ack) => put(kind::UNSUBACK, ack, version, out),
        Packet::PingReq => put_header(out, kind::PINGREQ, 0),
        Packet::PingResp => put_header(out, kind::PINGRESP, 0),
        Packet::Disconnect(disconnect) => put(kind::DISCONNECT, disconnect, version, out),
        Packet::Auth(auth) if version.is_v5() => put(kind::AUTH, auth, version, out),
        Packet::Auth(_) => {}
    }
}

fn put(kind: u8, body: &impl Body, version: Version, out: &mut BytesMut) {
    let bytes = body.body_bytes(version);
    out.reserve(header_bytes(bytes) + bytes);
    put_header(out, kind, bytes);
    body.put_body(version, out);
}
