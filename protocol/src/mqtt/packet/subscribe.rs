//! SUBSCRIBE (MQTT 5.0 §3.8).
//!
//! ```text
//! 0           2
//! +-----------+- - - - - - - - -+- - - - - - +-------------+---------+---
//! | packet id | property length | properties | filter text | options | …
//! +-----------+- - - - - - - - -+- - - - - - +-------------+---------+---
//!               5.0 only                       one or more
//!
//! options    7   6      5   4             3                     2          1   0
//!            reserved | retain handling | retain as published | no local | QoS
//! ```
//!
//! Before 5.0, all options but the QoS are reserved.

use super::super::error::{malformed, violation};
use super::super::fields::{Fields, properties_bytes, put_properties, put_text, text_bytes};
use super::super::property::PropertySet;
use super::super::{PacketError, PacketId, Properties, QoS, Version};
use super::Body;
use bytes::{BufMut, BytesMut};

/// A client wants messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subscribe<'a> {
    /// What SUBACK names.
    pub packet_id: PacketId,
    /// The subscription's number, and more.
    pub properties: Properties<'a>,
    /// Which messages, and how.
    pub filters: SubscribeFilters<'a>,
}

/// Topic filters, each with its options. In what a decoder gives there is at least one, and none
/// is empty; whether each is a filter is for [`check_filter`](crate::mqtt::topics::check_filter)
/// to say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SubscribeFilters<'a> {
    bytes: &'a [u8],
}

/// How a subscription's messages come (MQTT 5.0 §3.8.3.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SubscribeOptions {
    /// The highest QoS of what is delivered.
    pub qos: QoS,
    /// Whether what the client itself published is left out.
    pub no_local: bool,
    /// Whether the retain flag stays as it was published.
    pub retain_as_published: bool,
    /// What of the retained messages comes first.
    pub retain_handling: RetainHandling,
}

/// When retained messages are sent (MQTT 5.0 §3.8.3.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RetainHandling {
    /// Whenever the client subscribes.
    #[default]
    SendAtSubscribe = 0,
    /// If there was no such subscription.
    SendIfNew = 1,
    /// Never.
    DoNotSend = 2,
}

mod option {
    pub(super) const QOS: u8 = 0b11;
    pub(super) const NO_LOCAL: u8 = 1 << 2;
    pub(super) const RETAIN_AS_PUBLISHED: u8 = 1 << 3;
    pub(super) const RETAIN_HANDLING_SHIFT: u8 = 4;
    pub(super) const RESERVED: u8 = 0b1100_0000;
}

impl SubscribeOptions {
    /// Options that ask for no more than a QoS, as all did before 5.0.
    #[must_use]
    pub fn of_qos(qos: QoS) -> Self {
        Self { qos, ..Self::default() }
    }

    fn decode(byte: u8, version: Version) -> Result<Self, PacketError> {
        let reserved = match version {
            Version::V31 | Version::V311 => !option::QOS,
            Version::V5 => option::RESERVED,
        };
        // [MQTT-3.8.3-5].
        if byte & reserved != 0 {
            return Err(malformed(format!(
                "expected zero in the reserved bits {reserved:#010b} of subscription options, found {byte:#010b}"
            )));
        }
        let qos = QoS::from_number(byte & option::QOS)
            .ok_or_else(|| violation("expected a subscription's QoS from 0 to 2, found 3"))?;
        let retain_handling = match byte >> option::RETAIN_HANDLING_SHIFT & 0b11 {
            0 => RetainHandling::SendAtSubscribe,
            1 => RetainHandling::SendIfNew,
            2 => RetainHandling::DoNotSend,
            _ => return Err(violation("expected retain handling from 0 to 2, found 3")),
        };
        Ok(Self {
            qos,
            no_local: byte & option::NO_LOCAL != 0,
            retain_as_published: byte & option::RETAIN_AS_PUBLISHED != 0,
            retain_handling,
        })
    }

    fn number(self, version: Version) -> u8 {
        let qos = self.qos.number();
        if !version.is_v5() {
            return qos;
        }
        let no_local = if self.no_local { option::NO_LOCAL } else { 0 };
        let retain_as_published =
            if self.retain_as_published { option::RETAIN_AS_PUBLISHED } else { 0 };
        let retain_handling = (self.retain_handling as u8) << option::RETAIN_HANDLING_SHIFT;
        qos | no_local | retain_as_published | retain_handling
    }
}

impl<'a> SubscribeFilters<'a> {
    /// Filters in bytes that [`SubscribeFilters::encode`] wrote.
    ///
    /// Where they are no filters after all, [`SubscribeFilters::iter`] ends early.
    #[must_use]
    pub fn trusted(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    /// Writes a filter and its options behind those that `out` holds.
    pub fn encode(filter: &str, options: SubscribeOptions, out: &mut impl BufMut) {
        put_text(out, filter);
        out.put_u8(options.number(Version::V5));
    }

    /// Each filter, in order.
    pub fn iter(self) -> impl Iterator<Item = (&'a str, SubscribeOptions)> {
        let mut fields = Fields::new(self.bytes);
        // What options there were before 5.0 mean the same in it.
        std::iter::from_fn(move || next_filter(&mut fields, Version::V5).ok())
    }

    fn decode(fields: Fields<'a>, version: Version) -> Result<Self, PacketError> {
        // [MQTT-3.8.3-2].
        if fields.is_empty() {
            return Err(violation("expected SUBSCRIBE with at least one filter, found none"));
        }
        let bytes = fields.rest();
        let mut fields = fields;
        while !fields.is_empty() {
            let (filter, options) = next_filter(&mut fields, version)?;
            if filter.is_empty() {
                return Err(empty_filter());
            }
            // [MQTT-3.8.3-4].
            if options.no_local && filter.starts_with("$share/") {
                return Err(violation(
                    "expected no_local of no shared subscription, found it of one",
                ));
            }
        }
        Ok(Self { bytes })
    }
}

fn next_filter<'a>(
    fields: &mut Fields<'a>,
    version: Version,
) -> Result<(&'a str, SubscribeOptions), PacketError> {
    let filter = fields.text("topic filter")?;
    let options = SubscribeOptions::decode(fields.u8("subscription options")?, version)?;
    Ok((filter, options))
}

/// [MQTT-4.7.3-1].
pub(super) fn empty_filter() -> PacketError {
    violation("expected a topic filter of at least one character, found none")
}

impl<'a> Subscribe<'a> {
    pub(in super::super) fn decode(body: &'a [u8], version: Version) -> Result<Self, PacketError> {
        let mut fields = Fields::new(body);
        Ok(Self {
            packet_id: fields.packet_id()?,
            properties: fields.properties(version, PropertySet::SUBSCRIBE)?,
            filters: SubscribeFilters::decode(fields, version)?,
        })
    }
}

impl Body for Subscribe<'_> {
    fn body_bytes(&self, version: Version) -> usize {
        let filters = self.filters.iter().map(|(filter, _)| text_bytes(filter) + 1);
        2 + properties_bytes(version, self.properties) + filters.sum::<usize>()
    }

    fn put_body(&self, version: Version, out: &mut BytesMut) {
        out.put_u16(self.packet_id.get());
        put_properties(out, version, self.properties);
        for (filter, options) in self.filters.iter() {
            put_text(out, filter);
            out.put_u8(options.number(version));
        }
    }
}
