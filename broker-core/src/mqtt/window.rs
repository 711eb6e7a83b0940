//! What a client was sent and has not confirmed: its packet identifiers in use (MQTT 5.0 §4.3, §4.4).

use crate::topic::Topic;
use bytes::Bytes;
use protocol::mqtt::{PacketId, QoS};
use std::collections::HashMap;
use std::sync::Arc;

/// A message under way to the client.
#[derive(Clone, Debug)]
pub(crate) struct InFlight {
    /// Counts what was sent, so that it is sent again in the same order.
    turn: u64,
    pub(crate) source: Source,
    pub(crate) stage: Stage,
}

/// Where a message under way is to be had again.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    /// It is in a topic's log; a reader of this number was sent it.
    Log { topic: Arc<Topic>, reader: u32, offset: u64 },
    /// It was sent as the topic's retained message.
    Retained { topic: Arc<Topic>, record: Bytes },
    /// The topic is gone. Nothing is sent again but PUBREL.
    Gone,
}

/// What the client has yet to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// PUBACK.
    Published,
    /// PUBREC.
    PublishedOnce,
    /// PUBCOMP.
    Released,
}

impl Stage {
    pub(crate) fn of(qos: QoS) -> Self {
        if qos == QoS::ExactlyOnce { Self::PublishedOnce } else { Self::Published }
    }
}

/// The packet identifiers that are in use.
#[derive(Debug, Default)]
pub(crate) struct Window {
    by_id: HashMap<PacketId, InFlight>,
    last_id: u16,
    turns: u64,
}

impl Window {
    /// Messages under way.
    pub(crate) fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Gives a message a packet identifier that is free. The caller keeps to the client's receive
    /// maximum, so that there is one.
    pub(crate) fn open(&mut self, source: Source, stage: Stage) -> PacketId {
        let packet_id = loop {
            self.last_id = self.last_id.wrapping_add(1);
            if let Some(id) = PacketId::new(self.last_id).filter(|id| !self.by_id.contains_key(id))
            {
                break id;
            }
        };
        self.restore(packet_id, source, stage);
        packet_id
    }

    /// Puts a message that was under way back.
    pub(crate) fn restore(&mut self, packet_id: PacketId, source: Source, stage: Stage) {
        self.turns += 1;
        self.by_id.insert(packet_id, InFlight { turn: self.turns, source, stage });
    }

    pub(crate) fn get(&self, packet_id: PacketId) -> Option<&InFlight> {
        self.by_id.get(&packet_id)
    }

    /// The client has the message: nothing but PUBREL is sent of it any more.
    pub(crate) fn release(&mut self, packet_id: PacketId) {
        if let Some(in_flight) = self.by_id.get_mut(&packet_id) {
            in_flight.stage = Stage::Released;
        }
    }

    /// The message is no longer under way.
    pub(crate) fn close(&mut self, packet_id: PacketId) -> Option<InFlight> {
        self.by_id.remove(&packet_id)
    }

    /// What is under way, in the order in which it was sent.
    pub(crate) fn in_order(&self) -> Vec<PacketId> {
        let mut ids: Vec<_> = self.by_id.iter().map(|(id, found)| (found.turn, *id)).collect();
        ids.sort_unstable();
        ids.into_iter().map(|(_, id)| id).collect()
    }

    /// Forgets what is under way that `keep` says no to.
    pub(crate) fn retain(&mut self, mut keep: impl FnMut(&InFlight) -> bool) {
        self.by_id.retain(|_, in_flight| keep(in_flight));
    }
}
