//! What a client may ask of a broker, in whichever dialect.

use crate::{
    AckTerms, Delivery, Messages, OffsetRange, PublishAck, PublishTerms, SettleAnswer,
    SettleTarget, Start, TopicOptions, Verdict,
};
use std::borrow::Cow;

/// One request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request<'a> {
    /// Make a topic.
    Create {
        /// Its name.
        topic: Cow<'a, str>,
        /// Where its messages are kept, and how many.
        options: TopicOptions,
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
        /// How it is taken.
        terms: PublishTerms,
    },
    /// Make a named subscription; keep it, with its place and terms, if it exists.
    Subscribe {
        /// The topic's name.
        topic: Cow<'a, str>,
        /// Who subscribes.
        subscriber: Cow<'a, str>,
        /// How messages come.
        delivery: Delivery,
        /// Where it begins if it is made.
        start: Start,
        /// Whether each message is acknowledged by itself, and how; `None` where the subscription
        /// is a cursor.
        acks: Option<AckTerms<'a>>,
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
        /// Whether success is answered.
        answer: SettleAnswer,
    },
    /// Tell what became of messages that are acknowledged individually. Offsets that are not with
    /// a consumer, such as those settled before, are passed over.
    Settle {
        /// Of which subscription.
        target: SettleTarget<'a>,
        /// Of which messages.
        ranges: Vec<OffsetRange>,
        /// What became of them.
        verdict: Verdict,
        /// Whether success is answered; where the target is named it always is.
        answer: SettleAnswer,
    },
    /// Move a subscription to another place in its topic.
    Seek {
        /// The topic's name.
        topic: Cow<'a, str>,
        /// Who subscribed.
        subscriber: Cow<'a, str>,
        /// Where to.
        to: Start,
    },
    /// Take unread messages of a subscription; each is returned once, or, where messages are
    /// acknowledged individually, until it is acknowledged.
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
