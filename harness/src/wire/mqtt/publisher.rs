//! Publishers of MQTT: batches of PUBLISH packets, and how many may be under way.

use super::SEPARATOR;
use super::in_flight::{InFlight, Pings};
use super::packets::{
    MqttPackets, PINGREQ, PacketIds, PublishEncoder, RECEIVE_MAX_DEFAULT, accepted, number,
    refusal_or,
};
use crate::drivers::{DriverError, MqttTerms, MqttVersion};
use crate::message::BatchStamp;
use crate::wire::pieces::take_pieces;
use crate::wire::{Confirmation, Conversation, Heard, Publications, Publisher, StreamTerms};
use bytes::BytesMut;
use protocol::mqtt::{Packet, QoS};

/// Messages of QoS 1 and 2 under way where nobody counts their acknowledgements: what waits in
/// sockets would take a slow broker longer to read than the stream goes on.
const UNCOUNTED_IN_FLIGHT_MAX: u16 = 1024;

/// Messages of QoS 2 under way where a broker has no way to say how many it takes, which is before
/// 5.0. A broker must remember each until its handshake ends; by 5.0 mosquitto says that it takes so
/// many unless it is configured otherwise.
const EXACTLY_ONCE_IN_FLIGHT_MAX: u16 = 20;

/// Publishes a stream.
pub(super) struct MqttPublisher {
    packets: MqttPackets,
    publications: Publications<PublishEncoder>,
    qos: QoS,
    confirmation: Confirmation,
    packet_ids: PacketIds,
    in_flight: InFlight,
    pings: Pings,
    /// Messages of QoS 1 and 2 that may be under way at once.
    in_flight_max: u16,
    is_finishing: bool,
}

impl MqttPublisher {
    /// With QoS 1 at least, where acknowledgements are wanted.
    pub(super) fn new(mqtt: MqttTerms, terms: &StreamTerms) -> Self {
        let qos = match terms.confirmation {
            Confirmation::Wanted => mqtt.qos.max(QoS::AtLeastOnce),
            Confirmation::Unwanted => mqtt.qos,
        };
        let encoder = PublishEncoder {
            topics: terms.topic_names(SEPARATOR).collect(),
            qos,
            version: mqtt.version.on_wire(),
            end: if qos == QoS::AtMostOnce { &PINGREQ } else { b"" },
            head: BytesMut::new(),
        };
        let in_flight_max = match (mqtt.version, qos, terms.confirmation) {
            (MqttVersion::V311, QoS::ExactlyOnce, _) => EXACTLY_ONCE_IN_FLIGHT_MAX,
            (_, _, Confirmation::Unwanted) => UNCOUNTED_IN_FLIGHT_MAX,
            (_, _, Confirmation::Wanted) => RECEIVE_MAX_DEFAULT,
        };
        Self {
            packets: MqttPackets::new(mqtt.version),
            publications: Publications::new(encoder, terms.payloads.clone()),
            qos,
            confirmation: terms.confirmation,
            packet_ids: PacketIds::new(),
            in_flight: InFlight::new(qos),
            pings: Pings::new(),
            in_flight_max,
            is_finishing: false,
        }
    }

    #[inline]
    fn handle_packet(
        &mut self,
        packet: &Packet<'_>,
        heard: &mut Heard<'_, '_>,
    ) -> Result<(), DriverError> {
        match packet {
            Packet::PingResp if self.pings.handle_answer() => {}
            Packet::ConnAck(ack) => {
                self.in_flight_max = self.in_flight_max.min(accepted(ack)?);
                heard.ready();
            }
            _ if self.qos == QoS::AtMostOnce => return Err(refusal_or("PINGRESP", packet)),
            _ => {
                let whole = self.in_flight.handle_packet(packet, heard.reply())?;
                if self.confirmation == Confirmation::Wanted {
                    heard.acknowledge(whole);
                }
            }
        }
        Ok(())
    }
}

impl Conversation for MqttPublisher {
    fn poll_opening(&mut self, output: &mut Vec<u8>) {
        self.packets.poll_opening(output);
    }

    fn handle_input(
        &mut self,
        input: &[u8],
        heard: &mut Heard<'_, '_>,
    ) -> Result<usize, DriverError> {
        let used = take_pieces(input, |rest| {
            let Some((packet, bytes)) = self.packets.next(rest)? else { return Ok(0) };
            self.handle_packet(&packet, heard)?;
            Ok(bytes)
        })?;
        if self.is_finishing && self.in_flight.is_empty() && self.pings.is_empty() {
            self.is_finishing = false;
            heard.finished();
        }
        Ok(used)
    }
}

impl Publisher for MqttPublisher {
    /// Of QoS 0 any number, as long as the broker's answers keep up; of the others what may be
    /// under way.
    fn room(&self) -> u32 {
        match self.qos {
            QoS::AtMostOnce if self.pings.is_full() => 0,
            QoS::AtMostOnce => u32::MAX,
            QoS::AtLeastOnce | QoS::ExactlyOnce => {
                let room = u64::from(self.in_flight_max).saturating_sub(self.in_flight.messages());
                u32::try_from(room).unwrap_or(u32::MAX)
            }
        }
    }

    fn publish(&mut self, stamp: &BatchStamp<'_>) -> &[u8] {
        let batch = self.publications.stamped(stamp);
        if self.qos > QoS::AtMostOnce {
            number(batch, self.packets.version(), &mut self.packet_ids);
            self.in_flight.add(stamp.count);
            return batch.bytes();
        }
        let packets_bytes = batch.bytes().len() - PINGREQ.len();
        if self.pings.is_due_after(packets_bytes, stamp.sent_ns) {
            return batch.bytes();
        }
        &batch.bytes()[..packets_bytes]
    }

    /// A broker handles packets in order, so PINGRESP says that what came before is taken in; but
    /// it may come before acknowledgements that wait for a disk.
    fn finish(&mut self, output: &mut Vec<u8>) {
        output.extend_from_slice(&PINGREQ);
        self.pings.add_untimed();
        self.is_finishing = true;
    }
}
