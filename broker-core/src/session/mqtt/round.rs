//! One read of a topic's log on its way to a client: which of its messages go out, how surely, and
//! what waits for the journal first.

use super::Link;
use super::confirming::add;
use super::writing::{ALIAS_BYTES_MAX, Sending, alias_for, put, put_head, spare_bytes};
use crate::journal::{ClientRecord, Delivery, Waits};
use crate::log::Fetched;
use crate::mqtt::{Message, Reading, Source, Stage, State, later};
use crate::topic::Topic;
use crate::{Broker, Output};
use bytes::{Bytes, BytesMut};
use protocol::batch::records;
use protocol::mqtt::{PacketId, Properties, Publish, QoS, encode_publish_head};
use protocol::{Durability, OffsetRange, Refusal};
use std::sync::Arc;

/// Longer payloads are sent by reference.
const COPY_BYTES_MAX: usize = 4096;

/// What one read of a topic gives, on its way out.
pub(super) struct Round<'a> {
    pub(super) link: &'a mut Link,
    pub(super) state: &'a mut State,
    pub(super) broker: &'a Broker,
    pub(super) topic: &'a Arc<Topic>,
    pub(super) number: u32,
    pub(super) reading: &'a Reading,
    /// The terms of messages before this offset.
    pub(super) before: Option<&'a (Reading, u64)>,
    pub(super) qos_max: QoS,
    pub(super) is_again: bool,
    pub(super) unix_ms: u64,
    /// Messages that are done with.
    pub(super) settled: Vec<OffsetRange>,
    /// Packets that have to wait for the journal, and those behind them.
    pub(super) queued: BytesMut,
    pub(super) waits: Option<Waits>,
    /// What comes before the payload of a plain message, and of which length.
    pub(super) head: BytesMut,
    pub(super) head_of: Option<(usize, bool)>,
    pub(super) sent: u32,
    pub(super) failed: Option<Refusal>,
}

impl Round<'_> {
    pub(super) fn send_all(&mut self, fetched: &Fetched, out: &mut Output) {
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
pub(super) fn record_sent(
    broker: &Broker,
    link: &Link,
    state: &State,
    (packet_id, qos): (PacketId, QoS),
    (topic, offset, share): (&Topic, u64, &str),
) -> Result<Option<Waits>, Refusal> {
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
