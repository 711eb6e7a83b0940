//! What a client may ask of a broker, in whichever dialect.

use crate::Batch;
use std::borrow::Cow;

/// One request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request<'a> {
    /// Make a topic.
    Create {
        /// Its name.
        topic: Cow<'a, str>,
        /// How much it keeps.
        retention: Retention,
    },
    /// Remove a topic, its messages and its subscriptions.
    Delete {
        /// Its name.
        topic: Cow<'a, str>,
    },
    /// Append messages to a topic.
    Publish {
        /// The topic's name.
        topic: Cow<'a, str>,
        /// What to append, all of it or nothing.
        messages: Messages<'a>,
        /// Whether success is answered.
        ack: PublishAck,
    },
    /// Make a named subscription that begins with the oldest message held; keep it if it exists.
    Subscribe {
        /// The topic's name.
        topic: Cow<'a, str>,
        /// Who subscribes.
        subscriber: Cow<'a, str>,
        /// How messages come.
        delivery: Delivery,
    },
    /// Remove a subscription.
    Unsubscribe {
        /// The topic's name.
        topic: Cow<'a, str>,
        /// Who subscribed.
        subscriber: Cow<'a, str>,
    },
    /// Stop a push delivery on this connection; the subscription stays.
    Detach {
        /// The correlation id of the SUBSCRIBE that began it.
        subscription: u32,
    },
    /// Allow a push delivery more bytes.
    Credit {
        /// The correlation id of the SUBSCRIBE that began it.
        subscription: u32,
        /// How many more, records' headers included.
        bytes: u32,
    },
    /// Acknowledge pushed messages, this one and all before it.
    Ack {
        /// The correlation id of the SUBSCRIBE that began it.
        subscription: u32,
        /// Offset of the last message done with.
        offset: u64,
    },
    /// Take unread messages of a subscription; each is returned once.
    Pull {
        /// The topic's name.
        topic: Cow<'a, str>,
        /// Who subscribed.
        subscriber: Cow<'a, str>,
        /// At most so many messages; all unread ones where it is not given.
        count_max: Option<u32>,
    },
    /// The names of all topics.
    ListTopics,
    /// The ids of a topic's subscribers.
    Subscribers {
        /// The topic's name.
        topic: Cow<'a, str>,
    },
    /// Is anyone there?
    Ping,
    /// What the broker says of itself.
    Info,
}

/// How much a topic keeps; what is `None` is the broker's default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// Bytes held in its log.
    pub bytes_max: Option<u64>,
    /// Messages held in its log.
    pub messages_max: Option<u64>,
    /// Age of the oldest message held.
    pub age_ms_max: Option<u64>,
}

/// What a publication appends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Messages<'a> {
    /// One message, as JSON lines give it.
    One(Cow<'a, [u8]>),
    /// Many at once, in the bytes of the log.
    Batch(Batch<'a>),
}

/// Whether a successful publication is answered. A refused one always is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PublishAck {
    /// One acknowledgement for the whole batch.
    Wanted,
    /// None.
    Unwanted,
}

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
    /// When a message counts as read.
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
    /// When it is acknowledged: at least once. What was not is sent again after a reconnect.
    Explicit,
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
