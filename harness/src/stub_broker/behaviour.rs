//! What a stub broker is told to do.

use crate::message::{Stamp, StampLayout};
use std::time::Duration;

/// What a broker does besides delivering everything. By default nothing.
#[derive(Clone, Debug, Default)]
pub struct Behaviour {
    /// What happens to which messages. Of several for one message and subscriber the first counts.
    pub faults: Vec<PlannedFault>,
    /// Each delivery is written so much later than its message came. It takes nothing from the
    /// throughput.
    pub latency: Duration,
    /// Each message takes so long to be taken in, one after the other over all connections, as by
    /// one server: what bounds the throughput to its inverse.
    pub service_time: Duration,
    /// When everything stops for once.
    pub stall: Option<Stall>,
}

/// What happens to one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is acknowledged, and not delivered.
    Drop,
    /// It is delivered twice.
    Duplicate,
    /// It is delivered after the next message to its topic; if none follows, not at all.
    SwapWithNext,
    /// It is delivered with its last byte changed.
    Corrupt,
    /// It is delivered so much later, and so is all that comes behind it on the same connection.
    Delay(Duration),
    /// It is delivered as if it had been due, and sent, so much later than it was: as by a clock
    /// that goes wrong. Its stamp must be a full one.
    Postdate(Duration),
    /// The publication that it is part of is refused, and none of it delivered.
    Refuse,
    /// The connection that it came by is closed, and nothing of its publication is delivered.
    ClosePublisher,
    /// The connections of its topic's subscribers are closed, and it is not delivered.
    CloseSubscribers,
}

/// A fault, and where it happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedFault {
    pub(super) fault: Fault,
    which: Which,
    /// The only subscriber that sees it; `None`: all do.
    subscriber: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Which {
    At(u64),
    Every(u64),
    Of { producer: u32, sequence: u64 },
}

impl Fault {
    /// Of the message of this number, from 0, in the order in which the broker reads them.
    #[must_use]
    pub fn at(self, number: u64) -> PlannedFault {
        self.planned(Which::At(number))
    }

    /// Of the last of each so many messages, in the order in which the broker reads them; of none
    /// for 0.
    #[must_use]
    pub fn every(self, messages: u64) -> PlannedFault {
        self.planned(Which::Every(messages))
    }

    /// Of the message whose [stamp](Stamp), a full one, names this producer and sequence.
    #[must_use]
    pub fn of(self, producer: u32, sequence: u64) -> PlannedFault {
        self.planned(Which::Of { producer, sequence })
    }

    fn planned(self, which: Which) -> PlannedFault {
        PlannedFault { fault: self, which, subscriber: None }
    }
}

impl PlannedFault {
    /// Only this subscriber, by the name that it subscribes under, sees it. What befalls a whole
    /// publication befalls it all the same.
    #[must_use]
    pub fn toward(self, subscriber: impl Into<String>) -> Self {
        Self { subscriber: Some(subscriber.into()), ..self }
    }

    pub(super) fn is_of(&self, number: u64, payload: &[u8]) -> bool {
        match self.which {
            Which::At(at) => number == at,
            Which::Every(messages) => (number + 1).is_multiple_of(messages),
            Which::Of { producer, sequence } => Stamp::read(StampLayout::Full, payload)
                .is_some_and(|stamp| (stamp.producer, stamp.sequence) == (producer, sequence)),
        }
    }

    pub(super) fn is_seen_by(&self, subscriber: &str) -> bool {
        self.subscriber.as_deref().is_none_or(|only| only == subscriber)
    }
}

/// A time in which nothing is read or written. What others write waits in their sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stall {
    /// It begins before the message of this number is delivered or acknowledged.
    pub after_messages: u64,
    /// How long it lasts.
    pub lasts: Duration,
}
