//! What a broker answers, as a client reads it from the native wire.

use crate::{Batch, Refusal};

/// One frame from the broker. What comes unasked names the subscription that it belongs to:
/// the correlation id of the SUBSCRIBE that began it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Response<'a> {
    /// Done; there is nothing to tell.
    Done,
    /// The batch is in the log.
    Published {
        /// Offset of its first message.
        base_offset: u64,
        /// How many it held.
        count: u32,
    },
    /// The subscription stands.
    Subscribed {
        /// Offset of the message that it reads next.
        next_offset: u64,
    },
    /// What a pull took.
    Messages {
        /// Offset of the first.
        base_offset: u64,
        /// How many messages retention took before they were read, since the last pull.
        lost: u64,
        /// How many are still unread.
        remaining: u64,
        /// The messages.
        batch: Batch<'a>,
    },
    /// What a pull took of a subscription whose messages are acknowledged individually.
    Leased {
        /// Offset of the first; the others follow it without a gap.
        base_offset: u64,
        /// How many messages retention took before they were read, since the last pull.
        lost: u64,
        /// How many are still to be delivered.
        remaining: u64,
        /// How often each of them was delivered, this time included.
        deliveries: u32,
        /// The messages.
        batch: Batch<'a>,
    },
    /// The topics, in the order of their names.
    Topics(Vec<&'a str>),
    /// A topic's subscribers, in the order of their ids.
    Subscribers(Vec<&'a str>),
    /// An answer to PING.
    Pong,
    /// [`Info`](crate::Info) as JSON text.
    Info(&'a str),
    /// The request was refused.
    Refused(Refusal),
    /// Pushed messages.
    Deliver {
        /// Offset of the first.
        base_offset: u64,
        /// The messages.
        batch: Batch<'a>,
    },
    /// Messages that are acknowledged individually, pushed again.
    Redeliver {
        /// Offset of the first; the others follow it without a gap.
        base_offset: u64,
        /// How often each of them was delivered, this time included.
        deliveries: u32,
        /// The messages.
        batch: Batch<'a>,
    },
    /// Retention took messages before they could be pushed.
    Lost {
        /// How many.
        count: u64,
        /// Offset of the message that comes next.
        next_offset: u64,
    },
    /// The push delivery ended, and why.
    Ended(Refusal),
}
