//! Clients that wait, or that ask and wait.

use super::in_flight::InFlight;
use super::packets::{
    MqttPackets, PINGREQ, PacketIds, PublishEncoder, accepted, number, refusal_or,
};
use crate::drivers::{DriverError, MqttTerms};
use crate::wire::pieces::take_pieces;
use crate::wire::{Conversation, EncodedBatch, Encoder, Heard, Operator, Request};
use bytes::BytesMut;
use protocol::mqtt::{Packet, QoS};

/// Connects, and is at rest.
pub(super) struct MqttClient {
    packets: MqttPackets,
}

impl MqttClient {
    pub(super) fn new(terms: MqttTerms) -> Self {
        Self { packets: MqttPackets::new(terms.version) }
    }
}

impl Conversation for MqttClient {
    fn poll_opening(&mut self, output: &mut Vec<u8>) {
        self.packets.poll_opening(output);
    }

    fn handle_input(
        &mut self,
        input: &[u8],
        heard: &mut Heard<'_, '_>,
    ) -> Result<usize, DriverError> {
        take_pieces(input, |rest| {
            let Some((packet, bytes)) = self.packets.next(rest)? else { return Ok(0) };
            match packet {
                Packet::ConnAck(ack) => accepted(&ack).map(|_| heard.ready())?,
                other => return Err(refusal_or("CONNACK, and nothing after it", &other)),
            }
            Ok(bytes)
        })
    }
}

/// Publishes with QoS 1, or with 2 where that is asked. A topic is there as soon as someone names
/// it, so who creates or deletes one only hears that the broker is there.
pub(super) struct MqttOperator {
    packets: MqttPackets,
    packet_ids: PacketIds,
    in_flight: InFlight,
    qos: QoS,
}

impl MqttOperator {
    pub(super) fn new(terms: MqttTerms) -> Self {
        let qos = terms.qos.max(QoS::AtLeastOnce);
        Self {
            packets: MqttPackets::new(terms.version),
            packet_ids: PacketIds::new(),
            in_flight: InFlight::new(qos),
            qos,
        }
    }

    fn encode(&self, topic: &str, payloads: &[&[u8]], qos: QoS) -> EncodedBatch {
        let (version, head) = (self.packets.version(), BytesMut::new());
        let topics = vec![topic.to_owned()];
        let mut batch = EncodedBatch::default();
        PublishEncoder { topics, qos, version, end: b"", head }.encode(0, payloads, &mut batch);
        batch
    }
}

impl Conversation for MqttOperator {
    fn poll_opening(&mut self, output: &mut Vec<u8>) {
        self.packets.poll_opening(output);
    }

    fn handle_input(
        &mut self,
        input: &[u8],
        heard: &mut Heard<'_, '_>,
    ) -> Result<usize, DriverError> {
        take_pieces(input, |rest| {
            let Some((packet, bytes)) = self.packets.next(rest)? else { return Ok(0) };
            match packet {
                Packet::ConnAck(ack) => accepted(&ack).map(|_| heard.ready())?,
                Packet::PingResp => heard.answer(Ok(0)),
                Packet::Disconnect(_) => return Err(refusal_or("an answer", &packet)),
                _ => match self.in_flight.handle_packet(&packet, heard.reply()) {
                    Ok(0) => {}
                    Ok(_) => heard.answer(Ok(0)),
                    Err(error) if error.is_refusal() => heard.answer(Err(error)),
                    Err(error) => return Err(error),
                },
            }
            Ok(bytes)
        })
    }
}

impl Operator for MqttOperator {
    fn request(&mut self, request: &Request<'_>, output: &mut Vec<u8>) -> Result<(), DriverError> {
        match *request {
            Request::Publish { topic, payload } => {
                let mut batch = self.encode(topic, &[payload], self.qos);
                number(&mut batch, self.packets.version(), &mut self.packet_ids);
                output.extend_from_slice(batch.bytes());
                self.in_flight.add(1);
            }
            Request::Create { .. } | Request::Delete { .. } => {
                output.extend_from_slice(&PINGREQ);
            }
            Request::Subscribe { .. } | Request::Pull { .. } => {
                return Err(DriverError::no_such_request("MQTT"));
            }
        }
        Ok(())
    }

    /// With QoS 0, of which any number may be under way, and one question behind them.
    fn fill(
        &mut self,
        topic: &str,
        payload: &[u8],
        count: u32,
        output: &mut Vec<u8>,
    ) -> Result<u32, DriverError> {
        let batch = self.encode(topic, &vec![payload; count as usize], QoS::AtMostOnce);
        output.extend_from_slice(batch.bytes());
        output.extend_from_slice(&PINGREQ);
        Ok(1)
    }
}
