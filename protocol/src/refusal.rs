//! Why a request was refused: a stable code and a sentence.

use std::borrow::Cow;
use std::fmt;

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $number:literal $name:literal,)*) => {
        /// The stable code of a refusal: a number on the native wire, a name in JSON lines.
        /// Numbers and names are never reused.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u16)]
        #[non_exhaustive]
        pub enum Code { $($(#[$doc])* $variant = $number,)* }

        impl Code {
            /// Every code there is.
            pub const ALL: &'static [Code] = &[$(Code::$variant,)*];

            /// The name that JSON lines give it.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Code::$variant => $name,)* }
            }

            /// The code of a number of the native wire.
            #[must_use]
            pub fn from_number(number: u16) -> Option<Self> {
                match number { $($number => Some(Code::$variant),)* _ => None }
            }
        }
    };
}

codes! {
    /// The command, or the frame's kind, is none that the broker knows.
    UnknownCommand = 1 "unknown_command",
    /// A key that the command needs is not there.
    MissingKey = 2 "missing_key",
    /// A key's value is of another type than the command takes.
    MistypedKey = 3 "mistyped_key",
    /// A key or field is of the right type, and its value impossible.
    InvalidValue = 4 "invalid_value",
    /// The line is not one JSON object.
    InvalidJson = 5 "invalid_json",
    /// Text that is not UTF-8.
    InvalidUtf8 = 6 "invalid_utf8",
    /// The line is longer than the broker reads.
    LineTooLong = 7 "line_too_long",
    /// The first bytes are of no protocol that the broker speaks.
    WrongMagic = 8 "wrong_magic",
    /// The native wire's version is none that the broker speaks.
    UnsupportedVersion = 9 "unsupported_version",
    /// The frame is longer than the broker reads.
    FrameTooLarge = 10 "frame_too_large",
    /// The frame's body is not what its kind takes.
    MalformedFrame = 11 "malformed_frame",
    /// No topic of this name exists.
    UnknownTopic = 12 "unknown_topic",
    /// A topic of this name exists already.
    TopicExists = 13 "topic_exists",
    /// The topic's name is empty.
    TopicNameEmpty = 14 "topic_name_empty",
    /// The topic's name is longer than the broker keeps.
    TopicNameTooLong = 15 "topic_name_too_long",
    /// The topic's name holds a control character.
    TopicNameControlCharacter = 16 "topic_name_control_character",
    /// The subscriber id is empty, too long, or holds a control character.
    InvalidSubscriber = 17 "invalid_subscriber",
    /// This subscriber has no subscription to this topic.
    NotSubscribed = 18 "not_subscribed",
    /// The message is larger than the broker takes.
    MessageTooLarge = 19 "message_too_large",
    /// One of the broker's limits is reached.
    LimitReached = 20 "limit_reached",
    /// The connection has a push subscription under this number already.
    SubscriptionInUse = 21 "subscription_in_use",
    /// The connection has no push subscription under this number.
    UnknownSubscription = 22 "unknown_subscription",
    /// Another connection attached to the subscription; this one gets no more of it.
    TakenOver = 23 "taken_over",
    /// The topic was deleted.
    TopicDeleted = 24 "topic_deleted",
    /// The subscription was removed.
    Unsubscribed = 25 "unsubscribed",
    /// The subscriber fell behind what the topic holds, and had asked to be cut off then.
    Lagging = 26 "lagging",
    /// The request stayed incomplete for too long.
    RequestTimeout = 27 "request_timeout",
    /// The broker is stopping.
    ShuttingDown = 28 "shutting_down",
    /// The first bytes are of a protocol that this version does not speak.
    UnsupportedProtocol = 29 "unsupported_protocol",
    /// The journal failed: nothing is acknowledged any more until the broker is started again.
    StorageFailed = 30 "storage_failed",
    /// A stored message cannot be read back.
    StorageDamaged = 31 "storage_damaged",
    /// The subscription is of the other kind: its messages are, or are not, acknowledged
    /// individually.
    SubscriptionMismatch = 32 "subscription_mismatch",
    /// The publisher's sequence number is older than what the broker remembers.
    StaleSequence = 33 "stale_sequence",
    /// Disk is asked of a broker without a data directory, or more durability than the topic has.
    StorageUnavailable = 34 "storage_unavailable",
}

impl Code {
    /// The number that the native wire gives it.
    #[must_use]
    pub fn number(self) -> u16 {
        self as u16
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A refusal: its code, and a sentence that says what was expected, what was found and what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct Refusal {
    /// For programs.
    pub code: Code,
    /// For people.
    pub message: Cow<'static, str>,
}

impl Refusal {
    /// A refusal with its sentence.
    pub fn new(code: Code, message: impl Into<Cow<'static, str>>) -> Self {
        Self { code, message: message.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_code_has_a_number_and_a_name_of_its_own() {
        let names: HashSet<_> = Code::ALL.iter().map(|code| code.name()).collect();
        assert_eq!(names.len(), Code::ALL.len());
        for code in Code::ALL {
            assert_eq!(Code::from_number(code.number()), Some(*code));
        }
        assert_eq!(Code::from_number(0), None);
    }
}
