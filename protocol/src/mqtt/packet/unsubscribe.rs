//! UNSUBSCRIBE (MQTT 5.0 §3.10).
//!
//! ```text
//! 0           2
//! +-----------+- - - - - - - - -+- - - - - - +-------------+---
//! | packet id | property length | properties | filter text | …
//! +-----------+- - - - - - - - -+- - - - - - +-------------+---
//!               5.0 only                       one or more
//! ```

use super::super::error::violation;
use super::super::fields::{Fields, properties_bytes, put_properties, put_text};
use super::super::property::PropertySet;
use super::super::{PacketError, PacketId, Properties, Version};
use super::Body;
use super::subscribe::empty_filter;
use bytes::{BufMut, BytesMut};

/// A client wants no more of some messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unsubscribe<'a> {
    /// What UNSUBACK names.
    pub packet_id: PacketId,
    /// More about it.
    pub properties: Properties<'a>,
    /// What it subscribed to.
    pub filters: UnsubscribeFilters<'a>,
}

/// Topic filters. In what a decoder gives there is at least one, and none is empty; whether each
/// is a filter is for [`check_filter`](crate::mqtt::topics::check_filter) to say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UnsubscribeFilters<'a> {
    bytes: &'a [u8],
}

impl<'a> UnsubscribeFilters<'a> {
    /// Filters in bytes that [`UnsubscribeFilters::encode`] wrote.
    ///
    /// Where they are no filters after all, [`UnsubscribeFilters::iter`] ends early.
    #[must_use]
    pub fn trusted(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    /// Writes a filter behind those that `out` holds.
    pub fn encode(filter: &str, out: &mut impl BufMut) {
        put_text(out, filter);
    }

    /// Each filter, in order.
    pub fn iter(self) -> impl Iterator<Item = &'a str> {
        let mut fields = Fields::new(self.bytes);
        std::iter::from_fn(move || fields.text("topic filter").ok())
    }

    fn decode(fields: Fields<'a>) -> Result<Self, PacketError> {
        // [MQTT-3.10.3-2].
        if fields.is_empty() {
            return Err(violation("expected UNSUBSCRIBE with at least one filter, found none"));
        }
        let bytes = fields.rest();
        let mut fields = fields;
        while !fields.is_empty() {
            if fields.text("topic filter")?.is_empty() {
                return Err(empty_filter());
            }
        }
        Ok(Self { bytes })
    }
}

impl<'a> Unsubscribe<'a> {
    pub(in super::super) fn decode(body: &'a [u8], version: Version) -> Result<Self, PacketError> {
        let mut fields = Fields::new(body);
        Ok(Self {
            packet_id: fields.packet_id()?,
            properties: fields.properties(version, PropertySet::UNSUBSCRIBE)?,
            filters: UnsubscribeFilters::decode(fields)?,
        })
    }
}

impl Body for Unsubscribe<'_> {
    fn body_bytes(&self, version: Version) -> usize {
        2 + properties_bytes(version, self.properties) + self.filters.bytes.len()
    }

    fn put_body(&self, version: Version, out: &mut BytesMut) {
        out.put_u16(self.packet_id.get());
        put_properties(out, version, self.properties);
        out.put_slice(self.filters.bytes);
    }
}
