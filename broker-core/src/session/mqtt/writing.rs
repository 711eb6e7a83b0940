//! How a PUBLISH to a client is written, on the terms that its connection has (MQTT 5.0 §3.3.2).

use super::Link;
use crate::mqtt::{Message, State};
use bytes::BytesMut;
use protocol::mqtt::{
    PacketId, Properties, Property, Publish, QoS, encode_publish, encode_publish_head,
    publish_bytes,
};
use std::sync::Arc;

/// How much longer an alias makes a packet, at most: the property, and the lengths around it.
pub(super) const ALIAS_BYTES_MAX: usize = 5;

/// A message and how it goes out.
pub(super) struct Sending<'a> {
    pub(super) message: Message<'a>,
    pub(super) topic: &'a Arc<str>,
    pub(super) packet_id: Option<PacketId>,
    pub(super) qos: QoS,
    pub(super) dup: bool,
    pub(super) retain: bool,
    pub(super) identifiers: &'a [u32],
}

impl<'a> Sending<'a> {
    #[inline]
    pub(super) fn publish(&self, topic: &'a str, properties: Properties<'a>) -> Publish<'a> {
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

/// The alias that stands for a reader's topic, and whether the client knows it
/// (MQTT 5.0 §3.3.2.3.4).
pub(super) fn alias_for(link: &mut Link, state: &mut State, number: u32) -> Option<(u16, bool)> {
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
pub(super) fn spare_bytes(link: &mut Link, sending: &Sending<'_>, unix_ms: u64) -> Option<usize> {
    if link.packet_bytes_max == usize::MAX {
        return Some(usize::MAX);
    }
    with_publish(link, sending, None, unix_ms, |publish, link| {
        link.packet_bytes_max.checked_sub(publish_bytes(publish, link.version))
    })
}

pub(super) fn put(
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

pub(super) fn put_head(
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
