//! What a subscription is: how its messages come, where it begins, and when they count as read.

use std::borrow::Cow;

/// How a subscription's messages come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// When they are asked for.
    Pull,
    /// As they are published, on this connection.
    Push(Push),
}

/// The terms of a push delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Push {
    /// Bytes that may be sent before more credit is given.
    pub credit_bytes: u32,
    /// When a message counts as read. Says nothing where messages are acknowledged individually
    /// ([`AckTerms`]).
    pub ack_mode: AckMode,
    /// What happens when the subscriber falls behind what the topic holds.
    pub lag_policy: LagPolicy,
    /// What becomes of the subscription when the connection ends.
    pub lifetime: Lifetime,
}

/// When a pushed message counts as read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AckMode {
    /// As it is sent: at most once.
    OnSend,
    /// When it, or one behind it, is acknowledged: at least once. What was not is sent again
    /// after a reconnect.
    Cumulative,
}

/// What happens to a connected subscriber that a topic's retention is about to overtake, after
/// publishers were held for a bounded time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LagPolicy {
    /// It goes on with the oldest message held, and is told how many it lost.
    Skip,
    /// Its connection ends, with the reason.
    Disconnect,
    /// Publishers wait for as long as it takes. Publish to the topic from another connection than
    /// the one that so subscribes to it: a held connection reads no credit and no acknowledgements.
    Hold,
}

/// What becomes of a push subscription when its connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lifetime {
    /// It stays, and goes on where it was.
    Named,
    /// It is removed.
    Connection,
}

/// Where in its topic a subscription begins when it is made. One that exists goes on where it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Start {
    /// With the oldest message held.
    #[default]
    Earliest,
    /// With the next message published.
    Latest,
    /// With this offset; with the oldest message held where that is newer, with the next one
    /// published where the offset is beyond it.
    Offset(u64),
    /// With the first message published at this time or later.
    Time {
        /// Milliseconds since 1970-01-01T00:00:00Z.
        unix_ms: u64,
    },
}

/// The terms of individual acknowledgement: each message goes to one of the subscription's
/// consumers, any number of which may attach or pull, and again to one of them when it was not
/// acknowledged in time. What is 0 or `None` is the broker's default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AckTerms<'a> {
    /// How long a delivered message may stay unacknowledged before it is delivered again.
    pub ack_timeout_ms: u32,
    /// Messages that may be delivered and unacknowledged at once.
    pub in_flight_max: u32,
    /// Deliveries of one message, after which it goes to the dead-letter topic.
    pub deliveries_max: u32,
    /// Wait before the second delivery of a message; each further one waits longer.
    pub backoff_ms_min: u32,
    /// The longest such wait.
    pub backoff_ms_max: u32,
    /// Topic that takes what was delivered in vain; `None` is `<topic>.dead-letter`.
    pub dead_letter: Option<Cow<'a, str>>,
}
