//! A connection that speaks MQTT 3.1.1 or 5.0.
//!
//! Publications to one topic that come together are appended together, and confirmed when the
//! journal has them; what is delivered is read from the topics' logs at the session's cursors.

mod confirming;
mod connecting;
mod delivering;
mod ending;
mod publishing;
mod round;
mod subscribing;
mod writing;

use super::answer::Answer;
use super::dialect::Speech;
use super::{Session, Turn};
use crate::mqtt::{Client, State};
use crate::topic::{Retained, Topic};
use crate::{Cause, Limits, Now};
use bytes::{Bytes, BytesMut};
use protocol::mqtt::topics::check_topic;
use protocol::mqtt::{
    Packet, PacketDecoder, PacketError, PacketStep, ReasonCode, Version, encode_packet,
};
use protocol::{Code, Refusal};
use publishing::Batch;
use std::collections::VecDeque;
use std::sync::{Arc, MutexGuard};

pub(super) use ending::Farewell;

/// What is special to a connection that speaks MQTT.
#[derive(Debug)]
pub(super) struct Mqtt {
    decoder: PacketDecoder,
    /// `None`: CONNECT has not come yet.
    link: Option<Link>,
    /// What was told that something has to follow.
    told: Vec<Told>,
    /// Nothing more is taken from the client: the last packets are on their way.
    is_ending: bool,
}

/// A connection whose CONNECT was accepted.
#[derive(Debug)]
struct Link {
    client: Arc<Client>,
    version: Version,
    /// CONNACK was written, so that other packets may follow.
    is_accepted: bool,
    /// The client said that it goes, so that its will is not published.
    farewell: Farewell,
    keep_alive_ms: u64,
    heard: Now,
    /// Messages of quality of service 1 and 2 that it takes at once.
    receive_max: usize,
    /// The largest packet that it takes.
    packet_bytes_max: usize,
    /// It wants reasons in words.
    wants_reasons: bool,
    batch: Batch,
    /// Its publications of quality of service 1 that were not confirmed yet.
    unconfirmed: usize,
    /// Its publications of quality of service 2 that it has not released yet.
    received: usize,
    /// As many of them came by connections before, and do not count against this one.
    received_before: usize,
    /// Topic aliases that it set.
    aliases: Vec<Option<Arc<str>>>,
    /// Topic aliases that it may be sent, and how many it was.
    aliases_max: u16,
    aliases_used: u16,
    /// Deliveries that wait for the journal, or for others that do.
    queued: usize,
    /// Confirmed messages of readers, to be settled together.
    settling: Vec<(u32, u64)>,
    /// Properties of the packet that is written.
    scratch: Vec<u8>,
    /// Retained messages that were asked for, and whose subscription is not answered yet.
    retained: VecDeque<RetainedWanted>,
}

#[derive(Debug)]
struct RetainedWanted {
    topic: Arc<Topic>,
    message: Retained,
    reading: crate::mqtt::Reading,
}

/// What follows when packets were written.
#[derive(Debug)]
pub(super) enum Told {
    /// CONNACK: others may follow.
    Accepted,
    /// So many publications are confirmed.
    Confirmed(usize),
    /// SUBACK: what the subscriptions give may follow: from these readers, and so many retained
    /// messages.
    Subscribed { readers: Vec<u32>, retained: usize },
    /// What was delivered late.
    Delivered,
    /// The connection ends.
    Last,
}

impl Mqtt {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            decoder: PacketDecoder::new(limits.mqtt_packet_bytes_max),
            link: None,
            told: Vec::new(),
            is_ending: false,
        }
    }

    /// Whether messages that were received have yet to be appended.
    pub(super) fn has_pending(&self) -> bool {
        self.link.as_ref().is_some_and(|link| !link.batch.is_empty())
    }

    /// When the client has been silent for too long (MQTT 5.0 §3.1.2.10).
    pub(super) fn silent_until(&self) -> Option<Now> {
        let is_heard = |link: &&Link| link.keep_alive_ms > 0 && !self.is_ending;
        let link = self.link.as_ref().filter(is_heard)?;
        Some(link.heard.plus_ms(link.keep_alive_ms))
    }
}

impl Link {
    /// The session, if it is still this connection's.
    fn state(&self, session: crate::SessionKey) -> Option<MutexGuard<'_, State>> {
        let state = self.client.lock();
        (state.owner == Some(session)).then_some(state)
    }
}

impl Session {
    /// Lends the MQTT side of the connection to `act`.
    fn with_mqtt<T>(&mut self, act: impl FnOnce(&mut Self, &mut Mqtt) -> T) -> Option<T> {
        match std::mem::replace(&mut self.speech, Speech::Lent) {
            Speech::Mqtt(mut mqtt) => {
                let result = act(self, &mut mqtt);
                mqtt.told.append(&mut self.told);
                self.speech = Speech::Mqtt(mqtt);
                Some(result)
            }
            other => {
                self.speech = other;
                None
            }
        }
    }

    /// Takes packets from the start of `input`.
    pub(super) fn handle_packets(&mut self, input: &[u8], turn: &mut Turn<'_>) -> usize {
        let taken = self.with_mqtt(|session, mqtt| {
            let taken = session.take_packets(mqtt, input, turn);
            if session.held.is_none() {
                session.flush(mqtt, turn);
            }
            session.settle_confirmed(mqtt, turn);
            taken
        });
        taken.unwrap_or(0)
    }

    fn take_packets(&mut self, mqtt: &mut Mqtt, input: &[u8], turn: &mut Turn<'_>) -> usize {
        let mut taken = 0;
        let mut known = self.target_name();
        while self.wants_input(turn.out) && !mqtt.is_ending {
            let topic = known.as_deref().unwrap_or_default();
            match mqtt.decoder.next_to(&input[taken..], topic) {
                Ok(PacketStep::NeedMore) => break,
                Ok(PacketStep::Packet { consumed, packet }) => {
                    if !self.handle_packet(mqtt, packet, turn) {
                        break;
                    }
                    taken += consumed;
                    if !self.is_target(known.as_ref()) {
                        known = self.target_name();
                    }
                }
                Err(error) => {
                    self.refuse_packet(mqtt, &error, turn);
                    break;
                }
            }
        }
        if mqtt.is_ending {
            return input.len();
        }
        if taken > 0
            && let Some(link) = &mut mqtt.link
        {
            link.heard = turn.now;
        }
        taken
    }

    /// The name of the topic last published to, if it may be published to by MQTT.
    fn target_name(&self) -> Option<Arc<str>> {
        let name = self.target.as_ref().map(|target| target.topic.name());
        name.filter(|name| check_topic(name).is_ok()).cloned()
    }

    fn is_target(&self, name: Option<&Arc<str>>) -> bool {
        match (&self.target, name) {
            (Some(target), Some(name)) => Arc::ptr_eq(target.topic.name(), name),
            (None, None) => true,
            _ => false,
        }
    }

    /// Handles a packet; gives whether it was taken.
    fn handle_packet(&mut self, mqtt: &mut Mqtt, packet: Packet<'_>, turn: &mut Turn<'_>) -> bool {
        if let Packet::Publish(publish) = packet {
            return self.handle_publish(mqtt, &publish, turn);
        }
        // What was published before is answered before.
        if !self.flush(mqtt, turn) {
            return false;
        }
        match packet {
            Packet::Connect(connect) => self.handle_connect(mqtt, &connect, turn),
            Packet::PubAck(ack) => self.handle_puback(mqtt, &ack, turn),
            Packet::PubRec(ack) => self.handle_pubrec(mqtt, &ack, turn),
            Packet::PubRel(ack) => self.handle_pubrel(mqtt, &ack, turn),
            Packet::PubComp(ack) => self.handle_pubcomp(mqtt, &ack, turn),
            Packet::Subscribe(subscribe) => self.handle_subscribe(mqtt, &subscribe, turn),
            Packet::Unsubscribe(unsubscribe) => self.handle_unsubscribe(mqtt, &unsubscribe, turn),
            Packet::PingReq => self.tell_packet(mqtt, &Packet::PingResp, None, turn),
            Packet::Disconnect(disconnect) => self.handle_disconnect(mqtt, &disconnect, turn),
            Packet::Auth(_) => self.fail(
                mqtt,
                ReasonCode::ProtocolError,
                "expected no AUTH, since CONNECT chose no authentication method",
                turn,
            ),
            Packet::Publish(_) => unreachable!("it was handled before"),
            Packet::ConnAck(_) | Packet::SubAck(_) | Packet::UnsubAck(_) | Packet::PingResp => self
                .fail(
                    mqtt,
                    ReasonCode::ProtocolError,
                    "expected a packet that a client sends, found one that only a server does",
                    turn,
                ),
        }
        true
    }

    /// Bytes that are no packet end the connection.
    fn refuse_packet(&mut self, mqtt: &mut Mqtt, error: &PacketError, turn: &mut Turn<'_>) {
        tracing::info!(connection = self.key.0, %error, "not a packet");
        if mqtt.link.is_none() {
            return self.refuse_connect(mqtt, error.version, error.reason, &error.message, turn);
        }
        self.fail(mqtt, error.reason, &error.message, turn);
    }

    /// Writes a packet, behind all that wait before it.
    fn tell_packet(
        &mut self,
        mqtt: &Mqtt,
        packet: &Packet<'_>,
        then: Option<Told>,
        turn: &mut Turn<'_>,
    ) {
        let version = mqtt.link.as_ref().map_or(Version::V311, |link| link.version);
        if then.is_none() && self.waiting.is_empty() {
            turn.out.put(|out| encode_packet(packet, version, out));
            return;
        }
        let packets = encoded(packet, version);
        self.answer(Answer::Packets { packets, then }, None, 0, turn);
    }

    /// What follows when packets were written.
    pub(super) fn settle_told(&mut self, turn: &mut Turn<'_>) {
        let Speech::Mqtt(mqtt) = &mut self.speech else { return };
        mqtt.told.append(&mut self.told);
        if mqtt.told.is_empty() {
            return;
        }
        self.with_mqtt(|session, mqtt| {
            for told in std::mem::take(&mut mqtt.told) {
                session.handle_told(mqtt, told, turn);
            }
        });
    }

    fn handle_told(&mut self, mqtt: &mut Mqtt, told: Told, turn: &mut Turn<'_>) {
        if matches!(told, Told::Last) {
            self.closing = true;
            // What its client said last may yet come.
            if !mqtt.link.as_ref().is_some_and(|link| link.farewell == Farewell::Displaced) {
                self.leave(mqtt, turn.now, turn.wakes);
            }
            return;
        }
        let key = self.key;
        let Some(link) = &mut mqtt.link else { return };
        match told {
            Told::Accepted => {
                link.is_accepted = true;
                self.begin_deliveries(mqtt, turn);
            }
            Told::Confirmed(count) => link.unconfirmed -= count,
            Told::Delivered => link.queued -= 1,
            Told::Subscribed { readers, retained } => {
                let wanted: Vec<_> = link.retained.drain(..retained).collect();
                let Some(mut state) = link.state(key) else { return };
                for number in readers {
                    if let Some(reader) = state.readers.get_mut(number) {
                        reader.has_begun = true;
                    }
                    state.readers.handle_readable(number);
                }
                let wanted =
                    wanted.into_iter().map(|RetainedWanted { topic, message, reading }| {
                        crate::mqtt::RetainedReading { topic, message, reading }
                    });
                state.retained.extend(wanted);
            }
            Told::Last => unreachable!("it was handled before"),
        }
    }

    /// A publication is held no longer. It was the broker that did not read on: the client was not
    /// silent.
    fn let_go(&mut self, mqtt: &mut Mqtt, turn: &mut Turn<'_>) {
        self.held = None;
        if let Some(link) = &mut mqtt.link {
            link.heard = turn.now;
        }
        self.flush(mqtt, turn);
    }

    /// Takes what another session caused.
    pub(super) fn handle_mqtt_wake(&mut self, cause: Cause, turn: &mut Turn<'_>) {
        self.with_mqtt(|session, mqtt| match cause {
            Cause::Room => session.let_go(mqtt, turn),
            Cause::Displaced => session.handle_displaced(mqtt, turn),
            Cause::Readable { .. } | Cause::Ended { .. } | Cause::Matched => {
                session.handle_reader_wake(mqtt, cause, turn);
            }
            Cause::Stored => unreachable!("it concerns all sessions alike"),
        });
        self.wake_readers(turn.wakes);
        self.release_answers(turn);
    }

    /// A publication waited for its time.
    pub(super) fn retry_held(&mut self, turn: &mut Turn<'_>) {
        self.with_mqtt(|session, mqtt| session.let_go(mqtt, turn));
        self.wake_readers(turn.wakes);
        self.release_answers(turn);
    }

    fn handle_reader_wake(&mut self, mqtt: &mut Mqtt, cause: Cause, turn: &mut Turn<'_>) {
        let Some(link) = &mqtt.link else { return };
        let Some(mut state) = link.state(self.key) else { return };
        match cause {
            Cause::Readable { subscription } => state.readers.handle_readable(subscription),
            Cause::Matched => {
                self.broker.take_new_topics(&link.client, &mut state, turn.wakes);
            }
            Cause::Ended { subscription, attachment, code } => {
                let grip = state.readers.get(subscription).and_then(|reader| reader.grip);
                if grip.is_some_and(|grip| grip.attachment == attachment) {
                    tracing::debug!(connection = self.key.0, %code, "a topic is no longer read");
                    state.readers.remove(subscription);
                }
            }
            _ => {}
        }
    }
}

fn encoded(packet: &Packet<'_>, version: Version) -> Bytes {
    let mut out = BytesMut::new();
    encode_packet(packet, version, &mut out);
    out.freeze()
}

/// The reason that stands for a refusal.
fn reason_of(refusal: &Refusal) -> ReasonCode {
    match refusal.code {
        Code::LimitReached => ReasonCode::QuotaExceeded,
        Code::UnknownTopic => ReasonCode::NotAuthorized,
        Code::TopicNameEmpty | Code::TopicNameTooLong | Code::TopicNameControlCharacter => {
            ReasonCode::TopicNameInvalid
        }
        Code::StorageFailed | Code::StorageDamaged | Code::StorageUnavailable => {
            ReasonCode::ImplementationSpecificError
        }
        Code::MessageTooLarge => ReasonCode::QuotaExceeded,
        _ => ReasonCode::UnspecifiedError,
    }
}
