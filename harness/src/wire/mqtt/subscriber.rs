//! Subscribers of MQTT: deliveries are walked where they lie, and acknowledged where they are to be.

use super::SEPARATOR;
use super::packets::{MqttPackets, PacketIds, accepted, acknowledge, first_byte, refusal_or};
use crate::drivers::{DriverError, MqttTerms};
use crate::wire::pieces::{RepeatedHead, take_pieces};
use crate::wire::{Conversation, Heard, Selection, StreamTerms};
use bytes::BytesMut;
use protocol::mqtt::{
    Packet, Properties, QoS, ReasonCode, SubAck, Subscribe, SubscribeFilters, SubscribeOptions,
};

/// Receives a stream.
pub(super) struct MqttSubscriber {
    packets: MqttPackets,
    filters: Vec<String>,
    qos: QoS,
    /// Of the last delivery of QoS 0; those of the others differ in their packet ids.
    repeated: RepeatedHead,
}

impl MqttSubscriber {
    pub(super) fn new(mqtt: MqttTerms, terms: &StreamTerms) -> Self {
        Self::with(MqttPackets::new(mqtt.version), mqtt, terms)
    }

    /// One whose session the broker keeps. Subscribing again leaves the session as it is.
    pub(super) fn kept(mqtt: MqttTerms, terms: &StreamTerms, subscriber: u32) -> Self {
        let name = format!("{}-{subscriber}", terms.root);
        Self::with(MqttPackets::kept(mqtt.version, &name), mqtt, terms)
    }

    fn with(packets: MqttPackets, mqtt: MqttTerms, terms: &StreamTerms) -> Self {
        let filters = match (terms.selection, terms.topics) {
            (Selection::Names, _) => terms.topic_names(SEPARATOR).collect(),
            // It matches the level above as well (MQTT 5.0 §4.7.1.2).
            (Selection::Wildcard, 1) => vec![format!("{}{SEPARATOR}#", terms.root)],
            (Selection::Wildcard, _) => vec![format!("{}{SEPARATOR}+", terms.root)],
        };
        Self { packets, filters, qos: mqtt.qos, repeated: RepeatedHead::new(0) }
    }

    fn subscribe(&self, output: &mut Vec<u8>) {
        let mut filters = BytesMut::new();
        for filter in &self.filters {
            SubscribeFilters::encode(filter, SubscribeOptions::of_qos(self.qos), &mut filters);
        }
        let subscribe = Subscribe {
            packet_id: PacketIds::new().next(),
            properties: Properties::default(),
            filters: SubscribeFilters::trusted(&filters),
        };
        self.packets.encode(&Packet::Subscribe(subscribe), output);
    }

    fn check_subscribed(&self, ack: &SubAck<'_>) -> Result<(), DriverError> {
        const FAILURE: u8 = 0x80;
        if let Some(&reason) = ack.reasons.iter().find(|reason| **reason >= FAILURE) {
            let reason = ReasonCode::from_number(reason).unwrap_or(ReasonCode::UnspecifiedError);
            let message = format!("SUBSCRIBE was answered with {reason:?}");
            return Err(DriverError::refused_with(reason, message));
        }
        let granted = ack.reasons.iter().all(|qos| *qos == self.qos.number());
        if granted && ack.reasons.len() == self.filters.len() {
            return Ok(());
        }
        Err(DriverError::unexpected("SUBACK with the QoS that was asked for each topic", ack))
    }
}

impl Conversation for MqttSubscriber {
    fn poll_opening(&mut self, output: &mut Vec<u8>) {
        self.packets.poll_opening(output);
    }

    fn handle_input(
        &mut self,
        input: &[u8],
        heard: &mut Heard<'_, '_>,
    ) -> Result<usize, DriverError> {
        take_pieces(input, |rest| {
            if let Some((payload, bytes)) = self.repeated.next(rest) {
                heard.deliver(payload);
                return Ok(bytes);
            }
            let Some((packet, bytes)) = self.packets.next(rest)? else { return Ok(0) };
            match packet {
                Packet::Publish(publish) => {
                    heard.deliver(publish.payload);
                    match (publish.qos, publish.packet_id) {
                        (QoS::AtLeastOnce, Some(id)) => {
                            acknowledge(first_byte::PUBACK, id, heard.reply());
                        }
                        (QoS::ExactlyOnce, Some(id)) => {
                            acknowledge(first_byte::PUBREC, id, heard.reply());
                        }
                        _ => {
                            let payload_bytes = publish.payload.len();
                            self.repeated.remember(&rest[..bytes - payload_bytes], payload_bytes);
                        }
                    }
                }
                Packet::PubRel(ack) => {
                    acknowledge(first_byte::PUBCOMP, ack.packet_id, heard.reply());
                }
                Packet::ConnAck(ack) => {
                    accepted(&ack)?;
                    self.subscribe(heard.reply());
                }
                Packet::SubAck(ack) => {
                    self.check_subscribed(&ack)?;
                    heard.ready();
                }
                other => return Err(refusal_or("PUBLISH", &other)),
            }
            Ok(bytes)
        })
    }

    fn input_bytes_wanted(&self) -> usize {
        self.packets.input_bytes_wanted()
    }
}
