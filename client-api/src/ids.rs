//! Who publishes and who subscribes.

use std::fmt;
use uuid::Uuid;

/// Names a publisher in its own program's records. Made on the client's side; the broker does
/// not know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PublisherId(Uuid);

impl PublisherId {
    /// A new one: a UUID of version 4.
    #[must_use]
    pub fn random() -> Self {
        Self(Uuid::new_v4())
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
}
