//! Who is to be woken, and why: what the core asks its backend to carry to other sessions.

use protocol::Code;

/// A connection's session, in numbers that its backend chose and alone understands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionKey(pub u64);

/// A connection's attachment to a subscription, told from all others that the broker ever had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AttachmentId(pub u64);

/// Why a session is woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// There is something to read for the push subscription of this number.
    Readable {
        /// The correlation id of its SUBSCRIBE.
        subscription: u32,
    },
    /// The push subscription of this number is over.
    Ended {
        /// The correlation id of its SUBSCRIBE.
        subscription: u32,
        /// Which attachment, since the number may be in use again when the wake arrives.
        attachment: AttachmentId,
        /// Why.
        code: Code,
    },
    /// The topic that held its publication back has room, or the journal has.
    Room,
    /// A topic was made that a filter of its MQTT client matches.
    Matched,
    /// Another connection has its MQTT client's session.
    Displaced,
    /// The journal has reached more: answers that waited for it may be told.
    Stored,
}

/// One session to wake. Waking one that is gone, or for nothing, does no harm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wake {
    /// Whom.
    pub session: SessionKey,
    /// Why.
    pub cause: Cause,
}

/// Wakes on their way to the backend.
pub type Wakes = Vec<Wake>;
