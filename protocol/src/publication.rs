//! What a publication says besides its topic.

use crate::{Batch, Durability};
use std::borrow::Cow;

/// What a publication appends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Messages<'a> {
    /// One message without headers, as JSON lines give it.
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

/// How a publication is taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PublishTerms {
    /// When it is acknowledged; `None` is what the topic says. More than the topic says is
    /// refused.
    pub durability: Option<Durability>,
    /// Which of its publisher's publications it is, so that the broker knows one that is sent
    /// again and appends it once.
    pub sequence: Option<PublisherSequence>,
}

/// A publication's place among those of its publisher to one topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PublisherSequence {
    /// Who publishes.
    pub publisher: PublisherId,
    /// One more for each publication, and the same when it is sent again.
    pub sequence: u64,
}

/// Who publishes, across connections: 128 random bits, such as a UUID of version 4.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PublisherId(pub u128);
