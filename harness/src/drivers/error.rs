//! What can go wrong between a driver and the broker it speaks to.

use protocol::Refusal;
use protocol::mqtt::{PacketError, ReasonCode};
use std::io;
use std::net::SocketAddr;

/// A failure of one request or one connection.
///
/// `Refused` is the broker's answer, and the connection goes on; after any other the connection is
/// of no more use.
#[derive(Debug, thiserror::Error)]
pub enum DriverError {
    /// No connection could be made.
    #[error("cannot connect to {address}: {source}; check that a broker listens there")]
    Connect {
        /// Where to.
        address: SocketAddr,
        /// What the operating system said.
        source: io::Error,
    },
    /// The connection failed.
    #[error("the connection failed while {doing}: {source}; see whether the broker still runs")]
    Io {
        /// What was being done, e.g. "reading an answer".
        doing: &'static str,
        /// What the operating system said.
        source: io::Error,
    },
    /// The broker closed the connection.
    #[error("expected {expected}, found the connection closed by the broker; see its log")]
    Closed {
        /// What should have come.
        expected: &'static str,
    },
    /// The broker neither answered nor took anything for too long.
    #[error("expected {expected} within {waited_ms} ms, found nothing; the broker may be stuck")]
    TimedOut {
        /// What should have come.
        expected: &'static str,
        /// How long it was waited for.
        waited_ms: u64,
    },
    /// The broker answered with an error.
    #[error("the broker refused, {code}: {message}")]
    Refused {
        /// The broker's own code.
        code: String,
        /// The broker's own sentence.
        message: String,
    },
    /// The client library failed in another way.
    #[error("the client library: {message}")]
    Library {
        /// The library's own sentence.
        message: String,
    },
    /// The broker sent something that its protocol does not have in this place.
    #[error("expected {expected}, found {found}; the driver and the broker disagree")]
    Unexpected {
        /// What should have come.
        expected: &'static str,
        /// What came.
        found: String,
    },
}

impl DriverError {
    /// The name that errors are counted under.
    #[must_use]
    pub fn code(&self) -> &str {
        match self {
            Self::Connect { .. } => "connect_failed",
            Self::Io { .. } => "connection_failed",
            Self::Closed { .. } => "connection_closed",
            Self::TimedOut { .. } => "timed_out",
            Self::Refused { code, .. } => code,
            Self::Library { .. } => "client_library",
            Self::Unexpected { .. } => "unexpected_answer",
        }
    }

    /// Whether the connection can go on.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::Refused { .. })
    }

    /// An MQTT broker's refusal of what its message names.
    pub(crate) fn refused_with(reason: ReasonCode, message: impl Into<String>) -> Self {
        Self::Refused { code: format!("mqtt_{:#04x}", reason.number()), message: message.into() }
    }

    /// A request that only brokers with topics to create and to pull from have.
    pub(crate) fn no_such_request(protocol: &str) -> Self {
        Self::Unexpected {
            expected: "a request that the broker has",
            found: format!("one that {protocol} does not have"),
        }
    }

    /// What came in another's place, for the message.
    pub(crate) fn unexpected(expected: &'static str, found: &impl std::fmt::Debug) -> Self {
        const FOUND_CHARS_MAX: usize = 200;
        let found = format!("{found:?}").chars().take(FOUND_CHARS_MAX).collect();
        Self::Unexpected { expected, found }
    }
}

impl From<Refusal> for DriverError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused {
            code: refusal.code.name().to_owned(),
            message: refusal.message.into_owned(),
        }
    }
}

impl From<PacketError> for DriverError {
    fn from(error: PacketError) -> Self {
        Self::Unexpected {
            expected: "packets as MQTT has them",
            found: format!("one that is not: {error}"),
        }
    }
}
