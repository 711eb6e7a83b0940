//! CONNECT (MQTT 5.0 §3.1).
//!
//! ```text
//! +---------------+-------+-------+------------+------------+- - - - - -+- - - - - -+- - - - - -+
//! | protocol name | level | flags | keep-alive | client id  | will      | user name | password  |
//! | text          | u8    | u8    | u16, in s  | text       |           | text      | binary    |
//! +---------------+-------+-------+------------+------------+- - - - - -+- - - - - -+- - - - - -+
//!                                              ^ in 5.0, properties behind their length
//! will   topic text, payload binary; in 5.0, properties behind their length before both
//!
//! flags    7           6          5             4   3      2      1             0
//!          user name | password | will retain | will QoS | will | clean start | reserved
//! ```

use super::super::error::{malformed, violation};
use super::super::fields::{
    Fields, binary_bytes, properties_bytes, put_binary, put_properties, put_text, text_bytes,
};
use super::super::property::PropertySet;
use super::super::{PacketError, Properties, QoS, ReasonCode, Version};
use super::Body;
use super::publish::check_topic_name;
use bytes::{BufMut, BytesMut};

/// A client introduces itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connect<'a> {
    /// What it speaks.
    pub version: Version,
    /// Whether a session it had is to be forgotten; before 5.0, this one as well when it ends.
    pub clean_start: bool,
    /// The longest that it will be silent, in seconds; 0 is for ever.
    pub keep_alive_s: u16,
    /// Who it is; empty where the server is to choose. How long it may be is not looked at.
    pub client_id: &'a str,
    /// What to publish when it is lost.
    pub will: Option<Will<'a>>,
    /// Who it says it is.
    pub user_name: Option<&'a str>,
    /// What proves it.
    pub password: Option<&'a [u8]>,
    /// Its terms.
    pub properties: Properties<'a>,
}

/// What to publish when a client is lost (MQTT 5.0 §3.1.2.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Will<'a> {
    /// How surely it is delivered.
    pub qos: QoS,
    /// Whether it is retained.
    pub retain: bool,
    /// Where it is published.
    pub topic: &'a str,
    /// The message.
    pub payload: &'a [u8],
    /// More about it, and how long it waits.
    pub properties: Properties<'a>,
}

mod flag {
    pub(super) const RESERVED: u8 = 1;
    pub(super) const CLEAN_START: u8 = 1 << 1;
    pub(super) const WILL: u8 = 1 << 2;
    pub(super) const WILL_QOS_SHIFT: u8 = 3;
    pub(super) const WILL_RETAIN: u8 = 1 << 5;
    pub(super) const PASSWORD: u8 = 1 << 6;
    pub(super) const USER_NAME: u8 = 1 << 7;
    /// What has no meaning without [`WILL`].
    pub(super) const OF_WILL: u8 = WILL_RETAIN | 0b11 << WILL_QOS_SHIFT;
}

impl<'a> Connect<'a> {
    #[inline(never)]
    pub(in super::super) fn decode(body: &'a [u8]) -> Result<Self, PacketError> {
        let mut fields = Fields::new(body);
        let version = decode_version(&mut fields)?;
        Self::decode_rest(version, fields).map_err(|error| error.of_version(version))
    }

    fn decode_rest(version: Version, mut fields: Fields<'a>) -> Result<Self, PacketError> {
        let flags = fields.u8("connect flags")?;
        check_flags(flags, version)?;
        let keep_alive_s = fields.u16("keep-alive")?;
        let properties = fields.properties(version, PropertySet::CONNECT)?;
        let client_id = fields.text("client id")?;
        let will = match flags & flag::WILL {
            0 => None,
            _ => Some(Will::decode(flags, version, &mut fields)?),
        };
        let user_name = match flags & flag::USER_NAME {
            0 => None,
            _ => Some(fields.text("user name")?),
        };
        let password = match flags & flag::PASSWORD {
            0 => None,
            _ => Some(fields.binary("password")?),
        };
        fields.end()?;
        let clean_start = flags & flag::CLEAN_START != 0;
        Ok(Self {
            version,
            clean_start,
            keep_alive_s,
            client_id,
            will,
            user_name,
            password,
            properties,
        })
    }

    fn flags(&self, version: Version) -> u8 {
        let mut flags = 0;
        if self.clean_start {
            flags |= flag::CLEAN_START;
        }
        if let Some(will) = &self.will {
            flags |= flag::WILL | will.qos.number() << flag::WILL_QOS_SHIFT;
            if will.retain {
                flags |= flag::WILL_RETAIN;
            }
        }
        if self.user_name.is_some() {
            flags |= flag::USER_NAME;
        }
        if self.sent_password(version).is_some() {
            flags |= flag::PASSWORD;
        }
        flags
    }

    /// The password, which before 5.0 needs a user name beside it.
    fn sent_password(&self, version: Version) -> Option<&'a [u8]> {
        self.password.filter(|_| version.is_v5() || self.user_name.is_some())
    }
}

impl<'a> Will<'a> {
    fn decode(flags: u8, version: Version, fields: &mut Fields<'a>) -> Result<Self, PacketError> {
        let number = flags >> flag::WILL_QOS_SHIFT & 0b11;
        // [MQTT-3.1.2-12].
        let qos = QoS::from_number(number)
            .ok_or_else(|| malformed(format!("expected a will QoS from 0 to 2, found {number}")))?;
        let properties = fields.properties(version, PropertySet::WILL)?;
        let topic = fields.text("will topic")?;
        check_topic_name(topic, version)?;
        let payload = fields.binary("will payload")?;
        Ok(Self { qos, retain: flags & flag::WILL_RETAIN != 0, topic, payload, properties })
    }
}

fn decode_version(fields: &mut Fields<'_>) -> Result<Version, PacketError> {
    let name = fields.text("protocol name")?;
    if name != Version::V5.protocol_name() && name != Version::V31.protocol_name() {
        return Err(PacketError::new(
            ReasonCode::UnsupportedProtocolVersion,
            format!(
                "expected protocol name MQTT, found {:?}",
                &name[..name.floor_char_boundary(32)]
            ),
        ));
    }
    let level = fields.u8("protocol level")?;
    Version::named(name, level).ok_or_else(|| {
        PacketError::new(
            ReasonCode::UnsupportedProtocolVersion,
            format!("expected protocol level 4 or 5, or 3 of MQIsdp, found {level} of {name}"),
        )
        .of_version(nearest(level))
    })
}

/// The version whose CONNACK a client of this level reads. The highest bit is how bridges of
/// some brokers mark themselves.
fn nearest(level: u8) -> Version {
    if level & 0x7F < Version::V5.level() { Version::V311 } else { Version::V5 }
}

fn check_flags(flags: u8, version: Version) -> Result<(), PacketError> {
    // [MQTT-3.1.2-3].
    if flags & flag::RESERVED != 0 {
        return Err(malformed("expected bit 0 of the connect flags to be 0, found 1"));
    }
    // [MQTT-3.1.2-11] and [MQTT-3.1.2-13].
    if flags & flag::WILL == 0 && flags & flag::OF_WILL != 0 {
        return Err(violation(format!(
            "expected neither will QoS nor will retain without a will, found flags {flags:#010b}"
        )));
    }
    // MQTT 3.1.1 [MQTT-3.1.2-22].
    if !version.is_v5() && flags & flag::PASSWORD != 0 && flags & flag::USER_NAME == 0 {
        return Err(violation("expected a user name with the password, found none"));
    }
    Ok(())
}

impl Body for Connect<'_> {
    fn body_bytes(&self, version: Version) -> usize {
        let will = self.will.map_or(0, |will| {
            properties_bytes(version, will.properties)
                + text_bytes(will.topic)
                + binary_bytes(will.payload)
        });
        text_bytes(version.protocol_name())
            + 4
            + properties_bytes(version, self.properties)
            + text_bytes(self.client_id)
            + will
            + self.user_name.map_or(0, text_bytes)
            + self.sent_password(version).map_or(0, binary_bytes)
    }

    fn put_body(&self, version: Version, out: &mut BytesMut) {
        put_text(out, version.protocol_name());
        out.put_slice(&[version.level(), self.flags(version)]);
        out.put_u16(self.keep_alive_s);
        put_properties(out, version, self.properties);
        put_text(out, self.client_id);
        if let Some(will) = &self.will {
            put_properties(out, version, will.properties);
            put_text(out, will.topic);
            put_binary(out, will.payload);
        }
        if let Some(user_name) = self.user_name {
            put_text(out, user_name);
        }
        if let Some(password) = self.sent_password(version) {
            put_binary(out, password);
        }
    }
}
