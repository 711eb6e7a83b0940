//! Who publishes and who subscribes.

use crate::Error;
use std::fmt;
use std::str::FromStr;
use uuid::Uuid;

/// Names a publisher: in its own program's records, and to the broker where it is an
/// [`IdempotentPublisher`](crate::IdempotentPublisher)'s. Kept as text by a program that goes on
/// under the same id after a restart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PublisherId(Uuid);

impl PublisherId {
    /// A new one: a UUID of version 4.
    #[must_use]
    pub fn random() -> Self {
        Self(Uuid::new_v4())
    }

    /// The id as the broker knows it.
    pub(crate) fn on_the_wire(self) -> protocol::PublisherId {
        protocol::PublisherId(self.0.as_u128())
    }
}

impl FromStr for PublisherId {
    type Err = Error;

    /// Reads the text that [`Display`](fmt::Display) gives, or any other of a UUID.
    fn from_str(text: &str) -> Result<Self, Error> {
        Uuid::try_parse(text).map(Self).map_err(|_| Error::InvalidRequest {
            expected: "a UUID for the id of a publisher".into(),
            found: format!("{text:?}"),
            advice: "pass the text that PublisherId gives",
        })
    }
}

impl fmt::Display for PublisherId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Names a subscriber to the broker, which keeps a place in each topic under it.
///
/// Any text without control characters will do; [`random`](Self::random) makes one that no other
/// has. A program that wants to go on where it was must come back with the same id.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SubscriberId(Box<str>);

impl SubscriberId {
    /// A new one: a UUID of version 4.
    #[must_use]
    pub fn random() -> Self {
        Self(Uuid::new_v4().to_string().into())
    }

    /// Its text, as the broker knows it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for SubscriberId {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl From<String> for SubscriberId {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for SubscriberId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_registered_ids_are_the_same() {
        assert_ne!(SubscriberId::random(), SubscriberId::random());
        assert_ne!(PublisherId::random(), PublisherId::random());
    }

    #[test]
    fn a_publishers_id_survives_as_text() {
        let id = PublisherId::random();
        assert_eq!(id.to_string().parse::<PublisherId>().expect("its own text"), id);
        assert!("publisher".parse::<PublisherId>().is_err());
    }
}
