//! What a session tells its driver.

use crate::{Error, Lost, Published, Pulled, Run, SubscriberId};
use protocol::{Info, Refusal};

/// Names one request of a session until it is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub(crate) u32);

/// Names one push subscription of a session, across reconnects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SubscriptionId(pub(crate) u32);

/// What the broker answered to a request.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// It was done; there is nothing to tell.
    Done,
    /// Where a publication is.
    Published(Published),
    /// The subscription stands.
    Subscribed {
        /// Offset of the message that it reads next.
        next_offset: u64,
    },
    /// What a pull took.
    Pulled(Pulled),
    /// The topics, in the order of their names.
    Topics(Vec<String>),
    /// A topic's subscribers, in the order of their ids.
    Subscribers(Vec<SubscriberId>),
    /// An answer to a ping.
    Pong,
    /// What the broker says of itself.
    Info(Box<Info>),
}

/// One thing that happened.
#[derive(Debug)]
pub enum Event {
    /// The broker took the greeting: the connection stands.
    Greeted,
    /// A request has its answer, or will have none.
    Answered {
        /// Which.
        ticket: Ticket,
        /// The answer.
        result: Result<Answer, Error>,
    },
    /// Messages were pushed. They are in the session's read buffer until the next read:
    /// [`Session::records`](super::Session::records),
    /// [`Session::take_records`](super::Session::take_records).
    Delivered {
        /// To which subscription.
        subscription: SubscriptionId,
        /// Where they are, and how often they were delivered.
        run: Run,
    },
    /// A push subscription lost messages.
    Lost {
        /// Which.
        subscription: SubscriptionId,
        /// How many, and where it goes on.
        lost: Lost,
    },
    /// A push subscription ended.
    Ended {
        /// Which.
        subscription: SubscriptionId,
        /// Why.
        error: Error,
    },
    /// The broker refused something that is not answered when it succeeds: an unacknowledged
    /// publication, or an acknowledgement.
    RefusedUnasked(Refusal),
}
