//! PUBLISH from a client (MQTT 5.0 §3.3, §4.3).
//!
//! Publications to one topic that follow each other wait in a batch, which is appended when
//! anything else comes, or all that was received is handled. What needs more of its own, a retained
//! message or one of quality of service 2, is a batch alone.

use super::{Link, Mqtt, Told, reason_of};
use crate::journal::Receipt;
use crate::log::{Incoming, Retain};
use crate::mqtt::{Origin, SYS_PREFIX, push};
use crate::session::answer::Answer;
use crate::session::{Held, Session, Target, Turn};
use crate::topic::Appended;
use bytes::BytesMut;
use protocol::batch::{BatchBuilder, too_large};
use protocol::mqtt::{
    Ack, Packet, PacketId, Properties, Property, Publish, QoS, ReasonCode, encode_packet,
};
use protocol::{Code, Messages, Refusal};
use std::sync::Arc;

/// A batch is appended when it is so large.
const BATCH_BYTES_MAX: usize = 64 * 1024;

/// Bytes of a confirmation around its reason in words, at most.
const ACK_BYTES_MAX: usize = 16;

/// Publications that are to be appended to one topic together.
#[derive(Debug)]
pub(super) struct Batch {
    builder: BatchBuilder,
    /// Those to be confirmed.
    packet_ids: Vec<PacketId>,
    qos: QoS,
    retain: Retain,
}

impl Default for Batch {
    fn default() -> Self {
        Self {
            builder: BatchBuilder::new(),
            packet_ids: Vec::new(),
            qos: QoS::AtMostOnce,
            retain: Retain::No,
        }
    }
}

impl Batch {
    pub(super) fn is_empty(&self) -> bool {
        self.builder.batch().count() == 0
    }

    pub(super) fn clear(&mut self) {
        self.builder.clear();
        self.packet_ids.clear();
        self.qos = QoS::AtMostOnce;
        self.retain = Retain::No;
    }

    /// Nothing may be appended with what is in it.
    fn is_alone(&self) -> bool {
        self.qos == QoS::ExactlyOnce || self.retain == Retain::Yes
    }
}

impl Session {
    /// Takes a publication; gives whether it did: else it waits for room.
    pub(super) fn handle_publish(
        &mut self,
        mqtt: &mut Mqtt,
        publish: &Publish<'_>,
        turn: &mut Turn<'_>,
    ) -> bool {
        let Some(link) = &mut mqtt.link else { return true };
        if publish.properties.subscription_identifier().is_some() {
            let message = "expected no subscription identifier from a client";
            self.fail(mqtt, ReasonCode::ProtocolError, message, turn);
            return true;
        }
        let is_alone = publish.qos == QoS::ExactlyOnce || publish.retain;
        let is_same = self.target.as_ref().is_some_and(|target| {
            // An alias alone has an empty name, which no topic has.
            let name: &str = target.topic.name();
            std::ptr::eq(name, publish.topic) || name == publish.topic
        });
        let fits = link.batch.builder.batch().bytes().len() < BATCH_BYTES_MAX;
        let joins = is_same && !is_alone && !link.batch.is_alone() && fits;
        if joins && publish.qos == QoS::AtMostOnce && publish.properties.is_empty() {
            return self.join(mqtt, publish, turn);
        }
        if !(joins || link.batch.is_empty() || self.flush(mqtt, turn)) {
            return false;
        }
        let Some(link) = &mut mqtt.link else { return true };
        let aliases_max = self.broker.limits().mqtt_topic_alias_max;
        let name: Option<Arc<str>> = match resolve_alias(link, publish, aliases_max) {
            Ok(name) => name,
            Err((reason, message)) => {
                self.fail(mqtt, reason, message, turn);
                return true;
            }
        };
        let publish = Publish { topic: name.as_deref().unwrap_or(publish.topic), ..*publish };
        if !self.admit(mqtt, &publish, turn) {
            return true;
        }
        if let Err(refusal) = self.aim(&publish, turn) {
            self.refuse_publish(mqtt, &publish, &refusal, turn);
            return true;
        }
        self.join(mqtt, &publish, turn);
        if is_alone && let Some(link) = &mut mqtt.link {
            link.batch.qos = publish.qos;
            link.batch.retain = if publish.retain { Retain::Yes } else { Retain::No };
            self.flush(mqtt, turn);
        }
        true
    }

    /// Adds a publication to the batch for the topic that is aimed at.
    #[inline]
    fn join(&mut self, mqtt: &mut Mqtt, publish: &Publish<'_>, turn: &mut Turn<'_>) -> bool {
        let any_no_local = self.broker.any_no_local();
        let Some(link) = &mut mqtt.link else { return true };
        let origin = Origin {
            publisher: any_no_local.then_some(link.client.number.0),
            unix_ms: self.broker.unix_ms(turn.now),
        };
        let max = self.broker.limits().message_bytes_max;
        // Properties become headers, which belong to the message for other protocols too.
        let pushed = match publish.payload.len() + publish.properties.bytes().len() {
            length if length > max => Err(too_large(length, max)),
            _ => push(publish, origin, &mut link.batch.builder),
        };
        if let Err(refusal) = pushed {
            self.refuse_publish(mqtt, publish, &refusal, turn);
            return true;
        }
        if let Some(packet_id) = publish.packet_id {
            link.batch.packet_ids.push(packet_id);
        }
        true
    }

    /// Counts a publication that is to be confirmed. Gives whether it is to be appended: not where
    /// it was before, or where there are too many.
    fn admit(&mut self, mqtt: &mut Mqtt, publish: &Publish<'_>, turn: &mut Turn<'_>) -> bool {
        let Some(packet_id) = publish.packet_id else { return true };
        let key = self.key;
        let Some(link) = &mut mqtt.link else { return false };
        if publish.qos == QoS::ExactlyOnce {
            let Some(state) = link.state(key) else { return false };
            let was_received = state.received.contains(&packet_id.get());
            let received = state.received.len();
            drop(state);
            link.received = received;
            if was_received {
                self.confirm(mqtt, QoS::ExactlyOnce, packet_id, turn);
                return false;
            }
        }
        // What a client may send is counted anew on each connection (MQTT 5.0 §4.9).
        let received = link.received.saturating_sub(link.received_before);
        let is_counted = publish.qos == QoS::AtLeastOnce;
        // Of quality of service 2, what was received says it.
        link.unconfirmed += usize::from(is_counted);
        let max = usize::from(self.broker.limits().mqtt_receive_max);
        if link.version.is_v5() && link.unconfirmed + received + usize::from(!is_counted) > max {
            let message = "expected no more publications under way than CONNACK allows";
            self.fail(mqtt, ReasonCode::ReceiveMaximumExceeded, message, turn);
            return false;
        }
        true
    }

    /// Makes the topic of a publication the one that is appended to.
    fn aim(&mut self, publish: &Publish<'_>, turn: &mut Turn<'_>) -> Result<(), Refusal> {
        let is_same =
            self.target.as_ref().is_some_and(|target| **target.topic.name() == *publish.topic);
        if is_same {
            return Ok(());
        }
        self.check_publication(publish.topic)?;
        self.wake_readers(turn.wakes);
        self.target = None;
        let topic = self.broker.topic_for_publication(publish.topic, turn.wakes)?;
        self.target = Some(Target { topic, readers_to_wake: false });
        Ok(())
    }

    /// Whether clients may publish to a topic of this name.
    pub(super) fn check_publication(&self, topic: &str) -> Result<(), Refusal> {
        if topic.starts_with(SYS_PREFIX) {
            return Err(Refusal::new(
                Code::UnknownTopic,
                "expected a topic that is not below $SYS/, where the broker alone publishes",
            ));
        }
        let max = self.broker.limits().mqtt_topic_levels_max;
        let levels = topic.split('/').count();
        if levels > max {
            return Err(Refusal::new(
                Code::TopicNameTooLong,
                format!(
                    "expected a topic of at most {max} levels, found {levels}; shorten it, or raise mqtt_topic_levels_max"
                ),
            ));
        }
        Ok(())
    }

    /// Appends what is in the batch. Gives whether it did: else it is held.
    pub(super) fn flush(&mut self, mqtt: &mut Mqtt, turn: &mut Turn<'_>) -> bool {
        let key = self.key;
        let Some(link) = &mut mqtt.link else { return true };
        if link.batch.is_empty() {
            return true;
        }
        // What is in it counts only with what the session then knows of it: nobody may take the
        // session over in between, nor tell a snapshot of it.
        let client = Arc::clone(&link.client);
        let mut state = link.batch.is_alone().then(|| client.lock());
        if state.as_ref().is_some_and(|state| state.owner != Some(key)) {
            link.batch.clear();
            return true;
        }
        let appended = match self.append_batch(link, turn) {
            // The topic was deleted in the meantime.
            Err(refusal) if refusal.code == Code::UnknownTopic => self.append_anew(link, turn),
            other => other,
        };
        match appended {
            Ok(Appended::Held { until }) => {
                self.held = Some(Held { until });
                return false;
            }
            Ok(Appended::At { count, waits, .. }) => {
                self.broker.tally().messages_came(count);
                let Batch { qos, packet_ids, .. } = &link.batch;
                let mut received = link.received;
                if *qos == QoS::ExactlyOnce
                    && let Some(state) = &mut state
                {
                    state.received.extend(packet_ids.iter().map(|packet_id| packet_id.get()));
                    received = state.received.len();
                }
                drop(state);
                let (qos, count) = (*qos, packet_ids.len());
                let packets = confirmations(link, qos, ReasonCode::Success, "");
                link.received = received;
                link.batch.clear();
                if count > 0 {
                    let then = (qos < QoS::ExactlyOnce).then_some(Told::Confirmed(count));
                    self.answer(Answer::Packets { packets, then }, waits, 0, turn);
                }
            }
            Err(refusal) => {
                drop(state);
                self.refuse_batch(mqtt, &refusal, turn);
            }
        }
        true
    }

    fn append_batch(&mut self, link: &Link, turn: &mut Turn<'_>) -> Result<Appended, Refusal> {
        let target = self.target.as_mut().expect("a batch has a target");
        let Batch { builder, packet_ids, qos, retain } = &link.batch;
        let receipt = match (qos, packet_ids.first()) {
            (QoS::ExactlyOnce, Some(packet_id)) if link.client.is_persistent() => {
                Some(Receipt { client: link.client.number, packet_id: packet_id.get() })
            }
            _ => None,
        };
        let messages = Messages::Batch(builder.batch());
        let incoming = Incoming { messages: &messages, sequence: None, receipt, retain: *retain };
        target.append(incoming, None, self.key, &self.broker, turn)
    }

    fn append_anew(&mut self, link: &Link, turn: &mut Turn<'_>) -> Result<Appended, Refusal> {
        let target = self.target.take().expect("a batch has a target");
        let topic = self.broker.topic_for_publication(target.topic.name(), turn.wakes)?;
        self.target = Some(Target { topic, readers_to_wake: false });
        self.append_batch(link, turn)
    }

    /// What is in the batch is not published.
    fn refuse_batch(&mut self, mqtt: &mut Mqtt, refusal: &Refusal, turn: &mut Turn<'_>) {
        let Some(link) = &mut mqtt.link else { return };
        tracing::warn!(connection = self.key.0, %refusal, "not published");
        let count = link.batch.packet_ids.len();
        let qos = link.batch.qos;
        let reason = reason_of(refusal);
        let packets = confirmations(link, qos, reason, &refusal.message);
        link.batch.clear();
        if count == 0 {
            return;
        }
        if !link.version.is_v5() {
            // It cannot be told, and must not take it for published.
            return self.fail(mqtt, reason, &refusal.message, turn);
        }
        let then = (qos < QoS::ExactlyOnce).then_some(Told::Confirmed(count));
        self.answer(Answer::Packets { packets, then }, None, 0, turn);
    }

    /// One publication is not taken.
    fn refuse_publish(
        &mut self,
        mqtt: &mut Mqtt,
        publish: &Publish<'_>,
        refusal: &Refusal,
        turn: &mut Turn<'_>,
    ) {
        if !self.flush(mqtt, turn) {
            // It would be answered before those that came before it.
            let message = &refusal.message;
            return self.fail(mqtt, reason_of(refusal), message, turn);
        }
        if let Some(link) = &mut mqtt.link {
            link.batch.clear();
            link.batch.packet_ids.extend(publish.packet_id);
            link.batch.qos = publish.qos;
        }
        self.refuse_batch(mqtt, refusal, turn);
    }

    /// Confirms a publication that was received before.
    fn confirm(&mut self, mqtt: &mut Mqtt, qos: QoS, packet_id: PacketId, turn: &mut Turn<'_>) {
        let (reason, properties) = (ReasonCode::Success, Properties::default());
        let ack = Ack { packet_id, reason, properties };
        let packet =
            if qos == QoS::ExactlyOnce { Packet::PubRec(ack) } else { Packet::PubAck(ack) };
        self.tell_packet(mqtt, &packet, None, turn);
    }
}

/// PUBACK or PUBREC for all that is in the batch.
fn confirmations(link: &mut Link, qos: QoS, reason: ReasonCode, message: &str) -> bytes::Bytes {
    link.scratch.clear();
    // [MQTT-3.4.2-2]
    let fits = message.len() + ACK_BYTES_MAX <= link.packet_bytes_max;
    if reason != ReasonCode::Success && link.wants_reasons && fits {
        Property::ReasonString(message).encode(&mut link.scratch);
    }
    let properties = Properties::trusted(&link.scratch);
    let mut out = BytesMut::with_capacity(4 * link.batch.packet_ids.len());
    for packet_id in &link.batch.packet_ids {
        let ack = Ack { packet_id: *packet_id, reason, properties };
        let packet = match qos {
            QoS::ExactlyOnce => Packet::PubRec(ack),
            QoS::AtMostOnce | QoS::AtLeastOnce => Packet::PubAck(ack),
        };
        encode_packet(&packet, link.version, &mut out);
    }
    out.freeze()
}

/// The topic that an alias stands for (MQTT 5.0 §3.3.2.3.4); `None`: the packet says it itself.
fn resolve_alias(
    link: &mut Link,
    publish: &Publish<'_>,
    max: u16,
) -> Result<Option<Arc<str>>, (ReasonCode, &'static str)> {
    let Some(alias) = publish.properties.topic_alias() else {
        if publish.topic.is_empty() {
            return Err((
                ReasonCode::ProtocolError,
                "expected a topic name or an alias, found neither",
            ));
        }
        return Ok(None);
    };
    if alias > max {
        return Err((
            ReasonCode::TopicAliasInvalid,
            "expected a topic alias of at most the topic alias maximum of CONNACK",
        ));
    }
    let index = usize::from(alias);
    if publish.topic.is_empty() {
        let known = link.aliases.get(index).cloned().flatten();
        return known.map(Some).ok_or((
            ReasonCode::TopicAliasInvalid,
            "expected a topic alias that was given a topic before, found another",
        ));
    }
    if link.aliases.len() <= index {
        link.aliases.resize(index + 1, None);
    }
    let name: Arc<str> = Arc::from(publish.topic);
    link.aliases[index] = Some(Arc::clone(&name));
    Ok(Some(name))
}
