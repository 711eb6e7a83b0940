//! What can go wrong between a program and its broker, and whose doing it is.

use protocol::{Code, Refusal};
use std::fmt;
use std::io;
use std::time::Duration;

/// Why an operation has no result.
///
/// `Refused`, `Ended` and `ProtocolViolation` are the broker's word or its fault;
/// `InvalidRequest` is the caller's; the rest is the network between them.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The broker understood the request and did not do it. Nothing has changed.
    #[error("the broker refused: {0}")]
    Refused(Refusal),

    /// The broker ended a push subscription; nothing more comes of it.
    #[error("the broker ended the subscription: {0}")]
    Ended(Refusal),

    /// What came is not what a Tandem broker says. The connection was closed.
    #[error(
        "the peer broke the native wire: {0}; check that the address is a Tandem broker's and that both sides are of one version"
    )]
    ProtocolViolation(Refusal),

    /// The request cannot be sent as it is. Nothing was sent.
    #[error("expected {expected}, found {found}; {advice}")]
    InvalidRequest {
        /// What the request may be.
        expected: String,
        /// What it is.
        found: String,
        /// What to do about it.
        advice: &'static str,
    },

    /// No connection came about. Nothing was sent.
    #[error("cannot connect to {address}: {source}; check that the broker runs and listens there")]
    Connect {
        /// Where to.
        address: String,
        /// What the operating system said.
        source: io::Error,
    },

    /// The broker did not answer in time. Whether it did what was asked is not known.
    #[error(
        "expected an answer to {operation} within {limit:?}, found none; raise the request timeout, or see what keeps the broker busy"
    )]
    Timeout {
        /// What was asked.
        operation: Operation,
        /// How long the answer was waited for.
        limit: Duration,
    },

    /// The connection ended before the answer came, and asking again could do the thing twice.
    /// Whether the broker did it is not known; find out before repeating it.
    #[error(
        "the connection ended before {operation} was answered ({reason}); whether it was done is unknown: look before you repeat it"
    )]
    Indeterminate {
        /// What was asked.
        operation: Operation,
        /// How the connection ended.
        reason: String,
    },

    /// There is no connection, and none could be made again. What this operation asked for was
    /// not done; it may be repeated.
    #[error("not connected: {reason}; repeat the operation when the broker is back")]
    Disconnected {
        /// How the connection ended, or why no new one came about.
        reason: String,
    },

    /// The operating system refused to set up a socket.
    #[error("cannot {action}: {source}; see the system's limits on sockets and open files")]
    Io {
        /// What was tried, as a verb with its object.
        action: &'static str,
        /// What the operating system said.
        source: io::Error,
    },
}

impl Error {
    /// The broker's code, where the broker gave the reason.
    #[must_use]
    pub fn code(&self) -> Option<Code> {
        match self {
            Self::Refused(refusal) | Self::Ended(refusal) => Some(refusal.code),
            _ => None,
        }
    }
}

/// What was asked of the broker, for messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Operation {
    /// The exchange of greetings.
    Greet,
    /// Make a topic.
    CreateTopic,
    /// Remove a topic.
    DeleteTopic,
    /// Append messages.
    Publish,
    /// Tell what became of messages.
    Settle,
    /// Move a subscription.
    Seek,
    /// Make a subscription, or attach to one.
    Subscribe,
    /// Remove a subscription.
    Unsubscribe,
    /// Stop a push delivery.
    Detach,
    /// Take unread messages.
    Pull,
    /// The names of all topics.
    ListTopics,
    /// The ids of a topic's subscribers.
    Subscribers,
    /// Is anyone there?
    Ping,
    /// What the broker says of itself.
    Info,
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Greet => "the greeting",
            Self::CreateTopic => "create topic",
            Self::DeleteTopic => "delete topic",
            Self::Publish => "publish",
            Self::Settle => "acknowledge",
            Self::Seek => "seek",
            Self::Subscribe => "subscribe",
            Self::Unsubscribe => "unsubscribe",
            Self::Detach => "detach",
            Self::Pull => "pull",
            Self::ListTopics => "list topics",
            Self::Subscribers => "subscribers",
            Self::Ping => "ping",
            Self::Info => "info",
        })
    }
}
