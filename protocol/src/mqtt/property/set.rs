//! Which properties each packet may have (MQTT 5.0 §2.2.2.2, table 2-4).

use super::id::*;

/// A set of property identifiers, one bit for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct PropertySet {
    /// What it is for, such as `PUBLISH`.
    pub(super) packet: &'static str,
    bits: u64,
}

impl PropertySet {
    const fn new(packet: &'static str, ids: &[u8]) -> Self {
        let (mut bits, mut index) = (0, 0);
        while index < ids.len() {
            bits |= 1 << ids[index];
            index += 1;
        }
        Self { packet, bits }
    }

    pub(super) fn contains(self, id: u8) -> bool {
        id < 64 && self.bits & (1 << id) != 0
    }

    pub(super) fn insert(&mut self, id: u8) {
        self.bits |= 1 << (id & 63);
    }

    pub(super) const EMPTY: Self = Self::new("nothing", &[]);

    /// Those that may come more than once: user properties, and in a server's PUBLISH the
    /// identifiers of all subscriptions that matched (§3.3.2.3.8).
    pub(super) const REPEATED: Self = Self::new("anything", &[USER_PROPERTY]);
    pub(super) const REPEATED_IN_PUBLISH: Self =
        Self::new("PUBLISH", &[USER_PROPERTY, SUBSCRIPTION_IDENTIFIER]);

    pub(in super::super) const CONNECT: Self = Self::new(
        "CONNECT",
        &[
            SESSION_EXPIRY_INTERVAL,
            AUTHENTICATION_METHOD,
            AUTHENTICATION_DATA,
            REQUEST_PROBLEM_INFORMATION,
            REQUEST_RESPONSE_INFORMATION,
            RECEIVE_MAXIMUM,
            TOPIC_ALIAS_MAXIMUM,
            USER_PROPERTY,
            MAXIMUM_PACKET_SIZE,
        ],
    );

    pub(in super::super) const WILL: Self = Self::new(
        "a will",
        &[
            PAYLOAD_FORMAT_INDICATOR,
            MESSAGE_EXPIRY_INTERVAL,
            CONTENT_TYPE,
            RESPONSE_TOPIC,
            CORRELATION_DATA,
            WILL_DELAY_INTERVAL,
            USER_PROPERTY,
        ],
    );

    pub(in super::super) const CONNACK: Self = Self::new(
        "CONNACK",
        &[
            SESSION_EXPIRY_INTERVAL,
            ASSIGNED_CLIENT_IDENTIFIER,
            SERVER_KEEP_ALIVE,
            AUTHENTICATION_METHOD,
            AUTHENTICATION_DATA,
            RESPONSE_INFORMATION,
            SERVER_REFERENCE,
            REASON_STRING,
            RECEIVE_MAXIMUM,
            TOPIC_ALIAS_MAXIMUM,
            MAXIMUM_QOS,
            RETAIN_AVAILABLE,
            USER_PROPERTY,
            MAXIMUM_PACKET_SIZE,
            WILDCARD_SUBSCRIPTION_AVAILABLE,
            SUBSCRIPTION_IDENTIFIERS_AVAILABLE,
            SHARED_SUBSCRIPTION_AVAILABLE,
        ],
    );

    pub(in super::super) const PUBLISH: Self = Self::new(
        "PUBLISH",
        &[
            PAYLOAD_FORMAT_INDICATOR,
            MESSAGE_EXPIRY_INTERVAL,
            CONTENT_TYPE,
            RESPONSE_TOPIC,
            CORRELATION_DATA,
            SUBSCRIPTION_IDENTIFIER,
            TOPIC_ALIAS,
            USER_PROPERTY,
        ],
    );

    /// PUBACK, PUBREC, PUBREL, PUBCOMP, SUBACK and UNSUBACK.
    pub(in super::super) const ACK: Self =
        Self::new("an acknowledgement", &[REASON_STRING, USER_PROPERTY]);

    pub(in super::super) const SUBSCRIBE: Self =
        Self::new("SUBSCRIBE", &[SUBSCRIPTION_IDENTIFIER, USER_PROPERTY]);

    pub(in super::super) const UNSUBSCRIBE: Self = Self::new("UNSUBSCRIBE", &[USER_PROPERTY]);

    pub(in super::super) const DISCONNECT: Self = Self::new(
        "DISCONNECT",
        &[SESSION_EXPIRY_INTERVAL, SERVER_REFERENCE, REASON_STRING, USER_PROPERTY],
    );

    pub(in super::super) const AUTH: Self = Self::new(
        "AUTH",
        &[AUTHENTICATION_METHOD, AUTHENTICATION_DATA, REASON_STRING, USER_PROPERTY],
    );
}
