//! PUBLISH to a client: what its session's topics have for it, what is sent again, and retained
//! messages (MQTT 5.0 §3.3, §4.3, §4.4).

use super::confirming::add;
use super::{Link, Mqtt, Told, encoded};
use crate::journal::{ClientRecord, Delivery, Waits};
use crate::log::{FetchLimit, Fetched};
use crate::mqtt::{
    InFlight, Message, RETAINED_OFFSET, Reading, RetainedReading, Source, Stage, State, later,
};
use crate::session::answer::Answer;
use crate::session::dialect::Speech;
use crate::session::{Session, Turn};
use crate::topic::{Grip, Leased, Named, Pushed, Topic};
use crate::{Broker, Output};
use bytes::{Bytes, BytesMut};
use protocol::batch::records;
use protocol::mqtt::{
    Ack, Packet, PacketId, Properties, Property, Publish, QoS, ReasonCode, encode_publish,
    encode_publish_head, publish_bytes,
};
use protocol::{Durability, OffsetRange, SettleAnswer, Verdict};
use std::sync::Arc;

/// Longer payloads are sent by reference.
const COPY_BYTES_MAX: usize = 4096;

/// How much longer an alias makes a packet, at most: the property, and the lengths around it.
const ALIAS_BYTES_MAX: usize = 5;

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

/// A message and how it goes out.
struct Sending<'a> {
    message: Message<'a>,
    topic: &'a Arc<str>,
    packet_id: Option<PacketId>,
    qos: QoS,
    dup: bool,
    retain: bool,
    identifiers: &'a [u32],
}

impl<'a> Sending<'a> {
    #[inline]
    fn publish(&self, topic: &'a str, properties: Properties<'a>) -> Publish<'a> {
        Publish {
            dup: self.dup,
            qos: self.qos,
            retain: self.retain,
            topic,
            packet_id: self.packet_id,
            properties,
            payload: self.message.payload,
        }
    }
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
            is_again: deliveries > 1,
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
}

/// What one read of a topic gives, on its way out.
struct Round<'a> {
    link: &'a mut Link,
    state: &'a mut State,
    broker: &'a Broker,
    topic: &'a Arc<Topic>,
    number: u32,
    reading: &'a Reading,
    /// The terms of messages before this offset.
    before: Option<&'a (Reading, u64)>,
    qos_max: QoS,
    is_again: bool,
    unix_ms: u64,
    /// Messages that are done with.
    settled: Vec<OffsetRange>,
    /// Packets that have to wait for the journal, and those behind them.
    queued: BytesMut,
    waits: Option<Waits>,
    /// What comes before the payload of a plain message, and of which length.
    head: BytesMut,
    head_of: Option<(usize, bool)>,
    sent: u32,
    failed: Option<protocol::Refusal>,
}

impl Round<'_> {
    fn send_all(&mut self, fetched: &Fetched, out: &mut Output) {
        let mut offset = fetched.base_offset;
        let takes_plain = self.takes_plain();
        for span in &fetched.spans {
            for record in records(span) {
                let message = Message::of(record);
                if !(takes_plain && self.send_plain(message, offset, out)) {
                    self.send_one(message, offset, span, out);
                }
                offset += 1;
            }
        }
    }

    /// Whether all that is sent of a message without properties, at quality of service 0, depends
    /// on its length alone.
    fn takes_plain(&self) -> bool {
        let says_nothing = !self.link.version.is_v5()
            || (self.reading.identifiers.is_empty() && self.link.aliases_max == 0);
        says_nothing
            && self.before.is_none()
            && self.link.queued == 0
            && self.link.packet_bytes_max == usize::MAX
    }

    /// Sends such a message behind the head that the last one of its length had. Gives whether it
    /// is one.
    #[inline]
    fn send_plain(&mut self, message: Message<'_>, offset: u64, out: &mut Output) -> bool {
        let payload = message.payload;
        let qos = message.qos().min(self.reading.qos).min(self.qos_max);
        let is_such = qos == QoS::AtMostOnce
            && message.is_plain()
            && payload.len() <= COPY_BYTES_MAX
            && self.waits.is_none();
        if !is_such {
            return false;
        }
        let retain = self.reading.retain_as_published && message.retain();
        if self.head_of != Some((payload.len(), retain)) {
            self.head_of = Some((payload.len(), retain));
            self.head.clear();
            let publish = Publish {
                dup: false,
                qos,
                retain,
                topic: self.topic.name(),
                packet_id: None,
                properties: Properties::default(),
                payload,
            };
            encode_publish_head(&publish, payload.len(), self.link.version, &mut self.head);
        }
        out.put(|out| {
            out.reserve(self.head.len() + payload.len());
            out.extend_from_slice(&self.head);
            out.extend_from_slice(payload);
        });
        if self.qos_max > QoS::AtMostOnce {
            add(&mut self.settled, offset);
        }
        self.sent += 1;
        true
    }

    fn send_one(&mut self, message: Message<'_>, offset: u64, span: &Bytes, out: &mut Output) {
        let reading = match self.before {
            Some((before, end)) if offset < *end => before,
            _ => self.reading,
        };
        let is_own = reading.no_local && message.is_from(self.link.client.number.0);
        if is_own || message.is_expired(self.unix_ms) {
            add(&mut self.settled, offset);
            return;
        }
        let qos = message.qos().min(reading.qos).min(self.qos_max);
        let mut sending = Sending {
            message,
            topic: self.topic.name(),
            packet_id: None,
            qos,
            dup: self.is_again && qos > QoS::AtMostOnce,
            retain: reading.retain_as_published && message.retain(),
            identifiers: &reading.identifiers,
        };
        let Some(spare_bytes) = spare_bytes(self.link, &sending, self.unix_ms) else {
            add(&mut self.settled, offset);
            return;
        };
        if qos == QoS::AtMostOnce {
            if self.qos_max > QoS::AtMostOnce {
                add(&mut self.settled, offset);
            }
        } else {
            let topic = Arc::clone(self.topic);
            let source = Source::Log { topic, reader: self.number, offset };
            sending.packet_id = Some(self.state.window.open(source, Stage::of(qos)));
        }
        self.sent += 1;
        let alias = match spare_bytes < ALIAS_BYTES_MAX {
            true => None,
            false => alias_for(self.link, self.state, self.number),
        };
        if let Some(packet_id) = sending.packet_id {
            let share = self.state.readers.share(self.number);
            let from = (&**self.topic, offset, share);
            match record_sent(self.broker, self.link, self.state, (packet_id, qos), from) {
                Ok(waits) => self.waits = later(self.waits, waits),
                Err(refusal) => {
                    self.failed = Some(refusal);
                    return;
                }
            }
            if qos == QoS::ExactlyOnce {
                // The session has it from now on, by its packet identifier.
                add(&mut self.settled, offset);
            }
        }
        let queues = self.waits.is_some() || self.link.queued > 0;
        match message.payload.len() {
            _ if queues => put(self.link, &sending, alias, self.unix_ms, &mut self.queued),
            length if length > COPY_BYTES_MAX => {
                out.put(|out| {
                    put_head(self.link, &sending, alias, self.unix_ms, out);
                });
                out.push(span.slice_ref(message.payload));
            }
            _ => out.put(|out| put(self.link, &sending, alias, self.unix_ms, out)),
        }
    }
}

/// Has a message that is sent known by its packet identifier after a crash. One of quality of
/// service 2 has to wait for that; one of 1 may be sent again under another.
fn record_sent(
    broker: &Broker,
    link: &Link,
    state: &State,
    (packet_id, qos): (PacketId, QoS),
    (topic, offset, share): (&Topic, u64, &str),
) -> Result<Option<Waits>, protocol::Refusal> {
    if !state.is_stored {
        return Ok(None);
    }
    let Some(topic) = topic.stored_id() else { return Ok(None) };
    let delivery = Delivery { topic, offset, qos: qos.number() };
    let client = link.client.number;
    let record = ClientRecord::Sent { client, packet_id: packet_id.get(), delivery, share };
    match qos {
        QoS::ExactlyOnce => broker.mqtt_record(record, Durability::Sync),
        _ => broker.mqtt_record(record, Durability::Os).map(|_| None),
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

/// The alias that stands for a reader's topic, and whether the client knows it
/// (MQTT 5.0 §3.3.2.3.4).
fn alias_for(link: &mut Link, state: &mut State, number: u32) -> Option<(u16, bool)> {
    if link.aliases_max == 0 {
        return None;
    }
    let reader = state.readers.get_mut(number)?;
    if let Some(alias) = reader.alias {
        return Some((alias, true));
    }
    if link.aliases_used == link.aliases_max {
        return None;
    }
    link.aliases_used += 1;
    reader.alias = Some(link.aliases_used);
    Some((link.aliases_used, false))
}

/// How much larger a packet without an alias may be for the client to take it; `None`: it is too
/// large ([MQTT-3.1.2-24]).
fn spare_bytes(link: &mut Link, sending: &Sending<'_>, unix_ms: u64) -> Option<usize> {
    if link.packet_bytes_max == usize::MAX {
        return Some(usize::MAX);
    }
    with_publish(link, sending, None, unix_ms, |publish, link| {
        link.packet_bytes_max.checked_sub(publish_bytes(publish, link.version))
    })
}

fn put(
    link: &mut Link,
    sending: &Sending<'_>,
    alias: Option<(u16, bool)>,
    unix_ms: u64,
    out: &mut BytesMut,
) {
    with_publish(link, sending, alias, unix_ms, |publish, link| {
        encode_publish(publish, link.version, out);
    });
}

fn put_head(
    link: &mut Link,
    sending: &Sending<'_>,
    alias: Option<(u16, bool)>,
    unix_ms: u64,
    out: &mut BytesMut,
) {
    with_publish(link, sending, alias, unix_ms, |publish, link| {
        encode_publish_head(publish, publish.payload.len(), link.version, out);
    });
}

fn with_publish<T>(
    link: &mut Link,
    sending: &Sending<'_>,
    alias: Option<(u16, bool)>,
    unix_ms: u64,
    act: impl FnOnce(&Publish<'_>, &Link) -> T,
) -> T {
    let is_plain = !link.version.is_v5()
        || (alias.is_none() && sending.identifiers.is_empty() && !sending.message.has_properties());
    if is_plain {
        return act(&sending.publish(sending.topic, Properties::default()), link);
    }
    let mut properties = std::mem::take(&mut link.scratch);
    properties.clear();
    let mut topic = &**sending.topic;
    if let Some((alias, is_known)) = alias {
        Property::TopicAlias(alias).encode(&mut properties);
        if is_known {
            topic = "";
        }
    }
    for identifier in sending.identifiers {
        Property::SubscriptionIdentifier(*identifier).encode(&mut properties);
    }
    sending.message.put_properties(unix_ms, &mut properties);
    let publish = sending.publish(topic, Properties::trusted(&properties));
    let result = act(&publish, link);
    link.scratch = properties;
    result
}

impl Session {
    /// Whether messages that were received have yet to be appended.
    pub(in crate::session) fn has_pending_batch(&self) -> bool {
        matches!(&self.speech, Speech::Mqtt(mqtt) if mqtt.has_pending())
    }
}
