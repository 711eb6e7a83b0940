//! PUBACK, PUBREC, PUBREL and PUBCOMP from a client (MQTT 5.0 §4.3.2, §4.3.3).

use super::{Mqtt, Told, encoded, reason_of};
use crate::journal::{ClientRecord, Waits};
use crate::mqtt::{InFlight, Source, Stage, State};
use crate::session::answer::Answer;
use crate::session::{Session, Turn};
use crate::topic::Named;
use protocol::mqtt::{Ack, Packet, Properties, ReasonCode};
use protocol::{Durability, OffsetRange, Refusal, SettleAnswer, Verdict};
use std::collections::BTreeMap;

/// A reason from here on says that the packet before was refused (MQTT 5.0 §2.4).
const FAILURE_MIN: u8 = 0x80;

impl Session {
    /// The client has a message of quality of service 1.
    pub(super) fn handle_puback(&mut self, mqtt: &mut Mqtt, ack: &Ack<'_>, turn: &mut Turn<'_>) {
        let key = self.key;
        let Some(link) = &mut mqtt.link else { return };
        let Some(mut state) = link.state(key) else { return };
        match state.window.get(ack.packet_id).map(|found| found.stage) {
            Some(Stage::Published) => {
                let found = state.close(ack.packet_id);
                drop(state);
                if let Some(InFlight { source: Source::Log { reader, offset, .. }, .. }) = found {
                    link.settling.push((reader, offset));
                }
            }
            // It may be of a message that its session has forgotten.
            None => {}
            Some(Stage::PublishedOnce | Stage::Released) => {
                drop(state);
                let message = "expected PUBREC or PUBCOMP for a message of quality of service 2, found PUBACK";
                self.fail(mqtt, ReasonCode::ProtocolError, message, turn);
            }
        }
    }

    /// The client has a message of quality of service 2, or refuses it.
    pub(super) fn handle_pubrec(&mut self, mqtt: &mut Mqtt, ack: &Ack<'_>, turn: &mut Turn<'_>) {
        let key = self.key;
        let packet_id = ack.packet_id;
        let Some(link) = &mut mqtt.link else { return };
        let Some(mut state) = link.state(key) else { return };
        let stage = state.window.get(packet_id).map(|found| found.stage);
        let is_refused = ack.reason.number() >= FAILURE_MIN;
        let recorded = match stage {
            Some(Stage::PublishedOnce) if is_refused => {
                state.close(packet_id);
                let client = link.client.number;
                let record = ClientRecord::Completed { client, packet_id: packet_id.get() };
                let recorded = self.record_of(&state, record, Durability::Os);
                drop(state);
                return self.or_fail(mqtt, recorded, turn);
            }
            Some(Stage::PublishedOnce) => {
                state.window.release(packet_id);
                let client = link.client.number;
                let record = ClientRecord::Released { client, packet_id: packet_id.get() };
                // PUBREL has the client forget it, so nothing may bring the message back.
                self.record_of(&state, record, Durability::Sync)
            }
            Some(Stage::Released) | None => Ok(None),
            Some(Stage::Published) => {
                drop(state);
                let message = "expected PUBACK for a message of quality of service 1, found PUBREC";
                return self.fail(mqtt, ReasonCode::ProtocolError, message, turn);
            }
        };
        drop(state);
        let waits = match recorded {
            Ok(waits) => waits,
            Err(refusal) => return self.fail(mqtt, reason_of(&refusal), &refusal.message, turn),
        };
        let reason = match stage {
            None => ReasonCode::PacketIdentifierNotFound,
            Some(_) => ReasonCode::Success,
        };
        let release = Ack { packet_id, reason, properties: Properties::default() };
        self.tell_stored(mqtt, &Packet::PubRel(release), waits, turn);
    }

    /// The client forgets that it published this message.
    pub(super) fn handle_pubrel(&mut self, mqtt: &mut Mqtt, ack: &Ack<'_>, turn: &mut Turn<'_>) {
        let key = self.key;
        let packet_id = ack.packet_id;
        let Some(link) = &mut mqtt.link else { return };
        let Some(mut state) = link.state(key) else { return };
        let was_received = state.received.remove(&packet_id.get());
        let received = state.received.len();
        let recorded = match was_received {
            true => {
                let client = link.client.number;
                let record = ClientRecord::Forgotten { client, packet_id: packet_id.get() };
                self.record_of(&state, record, Durability::Sync)
            }
            false => Ok(None),
        };
        drop(state);
        link.received = received;
        link.received_before = link.received_before.min(received);
        let waits = match recorded {
            Ok(waits) => waits,
            Err(refusal) => return self.fail(mqtt, reason_of(&refusal), &refusal.message, turn),
        };
        let reason = match was_received {
            true => ReasonCode::Success,
            false => ReasonCode::PacketIdentifierNotFound,
        };
        let complete = Ack { packet_id, reason, properties: Properties::default() };
        self.tell_stored(mqtt, &Packet::PubComp(complete), waits, turn);
    }

    /// The client is done with a message of quality of service 2.
    pub(super) fn handle_pubcomp(&mut self, mqtt: &mut Mqtt, ack: &Ack<'_>, turn: &mut Turn<'_>) {
        let key = self.key;
        let packet_id = ack.packet_id;
        let Some(link) = &mut mqtt.link else { return };
        let Some(mut state) = link.state(key) else { return };
        match state.window.get(packet_id).map(|found| found.stage) {
            Some(Stage::Released) => {
                state.close(packet_id);
                let client = link.client.number;
                let record = ClientRecord::Completed { client, packet_id: packet_id.get() };
                let recorded = self.record_of(&state, record, Durability::Os);
                drop(state);
                self.or_fail(mqtt, recorded, turn);
            }
            None => {}
            Some(Stage::Published | Stage::PublishedOnce) => {
                drop(state);
                let message = "expected PUBCOMP for a message that PUBREL was sent for";
                self.fail(mqtt, ReasonCode::ProtocolError, message, turn);
            }
        }
    }

    /// Settles what was confirmed, all at once.
    pub(super) fn settle_confirmed(&mut self, mqtt: &mut Mqtt, turn: &mut Turn<'_>) {
        let key = self.key;
        let Some(link) = &mut mqtt.link else { return };
        if link.settling.is_empty() {
            return;
        }
        let settling = std::mem::take(&mut link.settling);
        let Some(state) = link.state(key) else { return };
        let mut by_reader: BTreeMap<u32, Vec<OffsetRange>> = BTreeMap::new();
        for (reader, offset) in settling {
            add(by_reader.entry(reader).or_default(), offset);
        }
        for (number, ranges) in by_reader {
            let Some(reader) = state.readers.get(number) else { continue };
            let Some(grip) = reader.grip else { continue };
            let settled = reader.topic.settle(
                Named::Held(grip),
                &ranges,
                Verdict::Ack,
                SettleAnswer::Unwanted,
                turn.now,
                &self.broker,
                turn.wakes,
            );
            if let Err(refusal) = settled {
                tracing::debug!(connection = self.key.0, %refusal, "not settled");
            }
        }
    }

    /// Writes a record of a session that the journal knows of.
    pub(super) fn record_of(
        &self,
        state: &State,
        record: ClientRecord<'_>,
        durability: Durability,
    ) -> Result<Option<Waits>, Refusal> {
        if !state.is_stored {
            return Ok(None);
        }
        self.broker.mqtt_record(record, durability)
    }

    fn or_fail(
        &mut self,
        mqtt: &mut Mqtt,
        recorded: Result<Option<Waits>, Refusal>,
        turn: &mut Turn<'_>,
    ) {
        if let Err(refusal) = recorded {
            self.fail(mqtt, reason_of(&refusal), &refusal.message, turn);
        }
    }

    /// Writes a packet once `waits` is over.
    pub(super) fn tell_stored(
        &mut self,
        mqtt: &Mqtt,
        packet: &Packet<'_>,
        waits: Option<Waits>,
        turn: &mut Turn<'_>,
    ) {
        let (Some(_), Some(link)) = (waits, &mqtt.link) else {
            return self.tell_packet(mqtt, packet, None::<Told>, turn);
        };
        let packets = encoded(packet, link.version);
        self.answer(Answer::Packets { packets, then: None }, waits, 0, turn);
    }
}

/// Adds an offset to ranges that grow at their ends.
pub(super) fn add(ranges: &mut Vec<OffsetRange>, offset: u64) {
    match ranges.last_mut() {
        Some(last) if last.end() == offset && last.count < u32::MAX => last.count += 1,
        _ => ranges.push(OffsetRange::one(offset)),
    }
}
