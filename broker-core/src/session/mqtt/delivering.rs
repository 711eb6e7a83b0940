//! PUBLISH to a client: what its session's topics have for it, what is sent again, and retained
//! messages (MQTT 5.0 §3.3, §4.3, §4.4).

use super::round::{Round, record_sent};
use super::writing::{Sending, put, spare_bytes};
use super::{Link, Mqtt, Told, encoded};
use crate::Broker;
use crate::journal::{ClientRecord, Waits};
use crate::log::FetchLimit;
use crate::mqtt::{
    InFlight, Message, RETAINED_OFFSET, RetainedReading, Source, Stage, State, later,
};
use crate::session::answer::Answer;
use crate::session::dialect::Speech;
use crate::session::{Session, Turn};
use crate::topic::{Grip, Leased, Named, Pushed, Topic};
use bytes::{Bytes, BytesMut};
use protocol::batch::records;
use protocol::mqtt::{Ack, Packet, PacketId, Properties, QoS, ReasonCode};
use protocol::{Durability, OffsetRange, SettleAnswer, Verdict};
use std::sync::Arc;

/// Whether there is more to be sent now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Left {
    /// The output is full.
    More,
    /// As much waits for the journal as may.
    Waits,
    /// What is left waits for the client.
    Nothing,
}

impl Session {
    /// Sends what there is as long as the output has room; gives whether there is more.
    pub(in crate::session) fn poll_packets(&mut self, turn: &mut Turn<'_>) -> bool {
        let left = self.with_mqtt(|session, mqtt| session.send(mqtt, turn));
        self.release_answers(turn);
        self.settle_told(turn);
        match left {
            Some(Left::More) => true,
            // The journal has come so far meanwhile: nobody else tells that there is room again.
            Some(Left::Waits) => self.has_room_to_wait(),
            Some(Left::Nothing) | None => false,
        }
    }

    /// Whether more may be read that then waits for the journal.
    fn has_room_to_wait(&self) -> bool {
        self.waiting.has_room(usize::MAX, self.quantum_bytes())
    }

    /// How much is read of topics at once.
    fn quantum_bytes(&self) -> usize {
        (self.broker.limits().output_bytes_max / 2).max(1)
    }

    fn send(&mut self, mqtt: &mut Mqtt, turn: &mut Turn<'_>) -> Left {
        let Some(link) = &mut mqtt.link else { return Left::Nothing };
        if !link.is_accepted || mqtt.is_ending {
            return Left::Nothing;
        }
        let client = Arc::clone(&link.client);
        let mut state = client.lock();
        if state.owner != Some(self.key) {
            return Left::Nothing;
        }
        let quantum_bytes = self.quantum_bytes();
        while turn.out.len() < quantum_bytes {
            if !self.has_room_to_wait() {
                return Left::Waits;
            }
            let has_room = state.window.len() < link.receive_max;
            if let Some(packet_id) = state.next_resend(link.receive_max) {
                self.send_again(link, &mut state, packet_id, turn);
            } else if let Some(retained) = state.next_retained(has_room) {
                self.send_retained(link, &mut state, retained, turn);
            } else if let Some(number) = state.readers.next_ready() {
                self.send_new(link, &mut state, number, quantum_bytes, turn);
            } else {
                return Left::Nothing;
            }
        }
        Left::More
    }

    /// The client was let in: what was under way comes first, then what there is.
    pub(super) fn begin_deliveries(&mut self, mqtt: &mut Mqtt, turn: &mut Turn<'_>) {
        let key = self.key;
        let Some(link) = &mut mqtt.link else { return };
        let client = Arc::clone(&link.client);
        let Some(mut state) = link.state(key) else { return };
        for (_, reader) in state.readers.iter_mut() {
            reader.has_begun = true;
        }
        self.broker.resume_session(&client, &mut state, turn.wakes);
        for number in state.readers.numbers() {
            state.readers.handle_readable(number);
        }
    }

    /// Sends what a reader's topic has.
    fn send_new(
        &mut self,
        link: &mut Link,
        state: &mut State,
        number: u32,
        quantum_bytes: usize,
        turn: &mut Turn<'_>,
    ) {
        let Some(reader) = state.readers.get(number) else { return };
        let Some(grip) = reader.grip else { return };
        let is_shared = reader.share.is_some();
        let (topic, reading) = (Arc::clone(&reader.topic), reader.reading.clone());
        let is_leased = reader.is_leased;
        let room = match reader.needs_window() {
            false => usize::MAX,
            true => link.receive_max.saturating_sub(state.window.len()),
        };
        if room == 0 {
            return state.readers.block(number);
        }
        let count_max = u32::try_from(room).unwrap_or(u32::MAX);
        let limit = FetchLimit { bytes_max: quantum_bytes, count_max };
        let fetched = topic.fetch(grip, limit, turn.now, &self.broker, turn.wakes);
        // Where it is no longer attached, the wake that tells why is on its way.
        let Some(Pushed { fetched, deliveries, more }) = fetched else { return };
        if more {
            state.readers.handle_readable(number);
        }
        let reader = state.readers.get_mut(number);
        let before = reader.and_then(|reader| reader.reading_before(fetched.base_offset));
        let mut round = Round {
            link,
            state,
            broker: &self.broker,
            topic: &topic,
            number,
            reading: &reading,
            before: before.as_ref(),
            qos_max: if is_leased { QoS::ExactlyOnce } else { QoS::AtMostOnce },
            // What another member of a share was sent is new to this one.
            is_again: deliveries > 1 && !is_shared,
            unix_ms: self.broker.unix_ms(turn.now),
            settled: Vec::new(),
            queued: BytesMut::new(),
            waits: None,
            head: BytesMut::new(),
            head_of: None,
            sent: 0,
            failed: None,
        };
        round.send_all(&fetched, turn.out);
        let Round { settled, queued, waits, sent, failed, .. } = round;
        self.broker.tally().messages_left(sent);
        if is_leased {
            settle(&topic, grip, &settled, &self.broker, turn);
        }
        if !queued.is_empty() {
            let packets = queued.freeze();
            self.tell_later(link, packets, waits, turn);
        }
        if let Some(refusal) = failed {
            tracing::error!(connection = self.key.0, %refusal, "messages cannot be sent");
        }
    }

    /// Sends again what was under way when the last connection ended.
    fn send_again(
        &mut self,
        link: &mut Link,
        state: &mut State,
        packet_id: PacketId,
        turn: &mut Turn<'_>,
    ) {
        let Some(InFlight { source, stage, .. }) = state.window.get(packet_id).cloned() else {
            return;
        };
        if stage == Stage::Released {
            return self.send_release(link, packet_id, None, turn);
        }
        let fetched = match &source {
            Source::Gone => None,
            Source::Retained { record, .. } => Some(vec![record.clone()]),
            Source::Log { topic, reader, offset } => {
                let grip = state.readers.get(*reader).and_then(|reader| reader.grip);
                let leased = match (stage, grip) {
                    (Stage::Published, Some(_)) => Leased::Again,
                    // Its subscription is gone, if it is of quality of service 1: what was begun
                    // is completed nevertheless ([MQTT-3.10.4-3]).
                    _ => Leased::Settled,
                };
                let fetched = topic.reread(grip, *offset, leased, turn.now, &self.broker);
                fetched.map(|fetched| fetched.spans)
            }
        };
        let (topic, reading) = match &source {
            Source::Log { topic, reader, .. } => {
                let reading = state.readers.get(*reader).map(|reader| reader.reading.clone());
                (topic, reading)
            }
            Source::Retained { topic, .. } => (topic, None),
            Source::Gone => return self.give_up_packet(link, state, packet_id, stage, turn),
        };
        let spans = fetched.unwrap_or_default().concat();
        let Some(record) = records(&spans).next() else {
            return self.give_up_packet(link, state, packet_id, stage, turn);
        };
        let message = Message::of(record);
        let was_retained = matches!(source, Source::Retained { .. });
        let keeps = reading.as_ref().is_some_and(|reading| reading.retain_as_published);
        let sending = Sending {
            message,
            topic: topic.name(),
            packet_id: Some(packet_id),
            qos: if stage == Stage::Published { QoS::AtLeastOnce } else { QoS::ExactlyOnce },
            dup: true,
            retain: was_retained || (keeps && message.retain()),
            identifiers: reading.as_ref().map_or(&[], |reading| &reading.identifiers),
        };
        let unix_ms = self.broker.unix_ms(turn.now);
        if spare_bytes(link, &sending, unix_ms).is_none() {
            if let (Stage::Published, Source::Log { reader, offset, .. }) = (stage, &source) {
                link.settling.push((*reader, *offset));
            }
            return self.give_up_packet(link, state, packet_id, stage, turn);
        }
        turn.out.put(|out| put(link, &sending, None, unix_ms, out));
    }

    /// The topic no longer has what was under way.
    fn give_up_packet(
        &mut self,
        link: &mut Link,
        state: &mut State,
        packet_id: PacketId,
        stage: Stage,
        turn: &mut Turn<'_>,
    ) {
        if stage == Stage::Published {
            state.close(packet_id);
            return;
        }
        // The client may have it, and then waits for PUBREL.
        state.window.release(packet_id);
        let client = link.client.number;
        let record = ClientRecord::Released { client, packet_id: packet_id.get() };
        match self.record_of(state, record, Durability::Sync) {
            Ok(waits) => self.send_release(link, packet_id, waits, turn),
            Err(refusal) => tracing::error!(%refusal, "a message is not released"),
        }
    }

    fn send_release(
        &mut self,
        link: &Link,
        packet_id: PacketId,
        waits: Option<Waits>,
        turn: &mut Turn<'_>,
    ) {
        let (reason, properties) = (ReasonCode::Success, Properties::default());
        let packet = Packet::PubRel(Ack { packet_id, reason, properties });
        let packets = encoded(&packet, link.version);
        self.answer(Answer::Packets { packets, then: None::<Told> }, waits, 0, turn);
    }

    /// Sends a retained message to a new subscription.
    fn send_retained(
        &mut self,
        link: &mut Link,
        state: &mut State,
        retained: RetainedReading,
        turn: &mut Turn<'_>,
    ) {
        let RetainedReading { topic, message: stored, reading } = retained;
        let Some(record) = records(&stored.record).next() else { return };
        let message = Message::of(record);
        let unix_ms = self.broker.unix_ms(turn.now);
        if message.is_expired(unix_ms) {
            return;
        }
        let qos = message.qos().min(reading.qos);
        let mut sending = Sending {
            message,
            topic: topic.name(),
            packet_id: None,
            qos,
            dup: false,
            retain: true,
            identifiers: &reading.identifiers,
        };
        if spare_bytes(link, &sending, unix_ms).is_none() {
            return;
        }
        let mut waits = stored.waits;
        if qos > QoS::AtMostOnce {
            let record = stored.record.clone();
            let source = Source::Retained { topic: Arc::clone(&topic), record };
            let packet_id = state.window.open(source, Stage::of(qos));
            sending.packet_id = Some(packet_id);
            if qos == QoS::ExactlyOnce {
                let from = (&*topic, RETAINED_OFFSET, "");
                match record_sent(&self.broker, link, state, (packet_id, qos), from) {
                    Ok(recorded) => waits = later(waits, recorded),
                    Err(_) => {
                        state.window.close(packet_id);
                        return;
                    }
                }
            }
        }
        self.broker.tally().messages_left(1);
        let mut packets = BytesMut::new();
        put(link, &sending, None, unix_ms, &mut packets);
        self.tell_later(link, packets.freeze(), waits, turn);
    }

    /// Writes packets once `waits` is over, and all that were to be sent before.
    fn tell_later(
        &mut self,
        link: &mut Link,
        packets: Bytes,
        waits: Option<Waits>,
        turn: &mut Turn<'_>,
    ) {
        if waits.is_none() && link.queued == 0 {
            return turn.out.push(packets);
        }
        link.queued += 1;
        let then = Some(Told::Delivered);
        self.answer(Answer::Packets { packets, then }, waits, 0, turn);
    }

    /// Whether messages that were received have yet to be appended.
    pub(in crate::session) fn has_pending_batch(&self) -> bool {
        matches!(&self.speech, Speech::Mqtt(mqtt) if mqtt.has_pending())
    }
}

/// Settles what is done with.
fn settle(
    topic: &Topic,
    grip: Grip,
    settled: &[OffsetRange],
    broker: &Broker,
    turn: &mut Turn<'_>,
) {
    if settled.is_empty() {
        return;
    }
    let (verdict, answer) = (Verdict::Ack, SettleAnswer::Unwanted);
    let held = Named::Held(grip);
    if let Err(refusal) = topic.settle(held, settled, verdict, answer, turn.now, broker, turn.wakes)
    {
        tracing::debug!(topic = &**topic.name(), %refusal, "not settled");
    }
}
