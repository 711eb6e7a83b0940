//! What properties may be: in their packet, once, and in range.

use super::super::error::{malformed, violation};
use super::super::fields::Fields;
use super::super::{PacketError, ReasonCode};
use super::{Properties, Property, PropertySet, id};

/// Checks a run of properties, all of which must be in `allowed`.
///
/// # Errors
/// [`ReasonCode::MalformedPacket`] for what is no property, or none of this packet;
/// [`ReasonCode::ProtocolError`] for one that comes twice, or has a value that it may not have.
pub(in super::super) fn check_properties(
    bytes: &[u8],
    allowed: PropertySet,
) -> Result<Properties<'_>, PacketError> {
    let repeated = match allowed {
        PropertySet::PUBLISH => PropertySet::REPEATED_IN_PUBLISH,
        _ => PropertySet::REPEATED,
    };
    let mut seen = PropertySet::EMPTY;
    let mut fields = Fields::new(bytes);
    while !fields.is_empty() {
        let id = fields.u8("property identifier")?;
        if !allowed.contains(id) {
            return Err(misplaced(id, allowed));
        }
        if seen.contains(id) && !repeated.contains(id) {
            return Err(violation(format!("expected property {id} once, found it twice")));
        }
        seen.insert(id);
        check_value(Property::read(id, &mut fields)?)?;
    }
    if seen.contains(id::AUTHENTICATION_DATA) && !seen.contains(id::AUTHENTICATION_METHOD) {
        return Err(violation("expected authentication data with its method, found it without"));
    }
    Ok(Properties::trusted(bytes))
}

fn check_value(property: Property<'_>) -> Result<(), PacketError> {
    match property {
        Property::PayloadFormatIndicator(number @ 2..) => {
            Err(out_of_range("payload format indicator", "0 or 1", number.into()))
        }
        Property::MaximumQoS(number @ 2..) => {
            Err(out_of_range("maximum QoS", "0 or 1", number.into()))
        }
        Property::ReceiveMaximum(0) => Err(out_of_range("receive maximum", "at least 1", 0)),
        Property::MaximumPacketSize(0) => Err(out_of_range("maximum packet size", "at least 1", 0)),
        Property::SubscriptionIdentifier(0) => {
            Err(out_of_range("subscription identifier", "at least 1", 0))
        }
        // The standard forbids it without naming a reason ([MQTT-3.3.2-8]); this one is nearest.
        Property::TopicAlias(0) => Err(PacketError::new(
            ReasonCode::TopicAliasInvalid,
            "expected a topic alias of at least 1, found 0",
        )),
        Property::ResponseTopic(topic) => check_response_topic(topic),
        _ => Ok(()),
    }
}

/// [MQTT-3.3.2-14], and [MQTT-4.7.3-1].
fn check_response_topic(topic: &str) -> Result<(), PacketError> {
    if topic.is_empty() {
        return Err(violation("expected a response topic of at least one character, found none"));
    }
    match memchr::memchr2(b'+', b'#', topic.as_bytes()) {
        None => Ok(()),
        Some(at) => Err(violation(format!(
            "expected a response topic without wildcards, found one at byte {at}"
        ))),
    }
}

pub(super) fn out_of_range(name: &'static str, range: &'static str, found: u32) -> PacketError {
    violation(format!("expected {name} to be {range}, found {found}"))
}

fn misplaced(id: u8, allowed: PropertySet) -> PacketError {
    malformed(format!("expected a property of {}, found identifier {id}", allowed.packet))
}
