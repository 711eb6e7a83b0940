//! Every limit the broker keeps, named in one place and checked against each other.

use serde::Deserialize;
use thiserror::Error;

/// Bytes that a frame or a line needs around the message it carries.
pub const ENVELOPE_BYTES: usize = 64 * 1024;

/// The limits of one broker. All keys may be given in its configuration file
/// under `[limits]` and, with dashes, on its command line.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Connections held at once; one more is refused and told so.
    pub connections_max: usize,
    /// Topics that may exist at once.
    pub topics_max: usize,
    /// Named subscriptions on one topic.
    pub subscriptions_per_topic_max: usize,
    /// Push subscriptions attached to one connection.
    pub attachments_per_connection_max: usize,

    /// Longest topic name, in bytes of UTF-8.
    pub topic_name_bytes_max: usize,
    /// Longest subscriber id, in bytes of UTF-8.
    pub subscriber_id_bytes_max: usize,
    /// Largest payload of one message.
    pub message_bytes_max: usize,
    /// Longest JSON line, its newline not counted.
    pub line_bytes_max: usize,
    /// Largest native frame, its length field not counted.
    pub frame_bytes_max: usize,

    /// Bytes that a topic's log holds in memory unless its creator chose otherwise.
    pub topic_bytes_max: usize,
    /// Messages that a topic's log holds unless its creator chose otherwise; 0 means no limit.
    pub topic_messages_max: u64,
    /// Age of the oldest message that a topic keeps unless its creator chose otherwise; 0 means no limit.
    pub topic_age_ms_max: u64,
    /// Bytes that the logs of all topics hold together.
    pub memory_bytes_max: usize,

    /// Payload bytes that one PULL returns; what is left is told and comes with the next.
    pub pull_bytes_max: usize,
    /// Bytes waiting to be written to one connection, past which none of its requests is read.
    pub output_bytes_max: usize,
    /// How long publishers are held, in all, for a connected subscriber to read half of a full log.
    pub publisher_hold_ms_max: u64,
    /// How long a request may stay incomplete after its first byte; 0 means for ever.
    pub request_ms_max: u64,
    /// How long a closing connection may take to receive what was written to it.
    pub linger_ms_max: u64,
    /// How long a stopping broker lets what is in flight leave.
    pub shutdown_ms_max: u64,
}

impl Default for Limits {
    fn default() -> Self {
        const MIB: usize = 1 << 20;
        Self {
            connections_max: 100_000,
            topics_max: 1_000_000,
            subscriptions_per_topic_max: 1_000_000,
            attachments_per_connection_max: 10_000,
            topic_name_bytes_max: 1024,
            subscriber_id_bytes_max: 256,
            message_bytes_max: 8 * MIB,
            line_bytes_max: 16 * MIB,
            frame_bytes_max: 16 * MIB,
            topic_bytes_max: 64 * MIB,
            topic_messages_max: 0,
            topic_age_ms_max: 0,
            memory_bytes_max: 1024 * MIB,
            pull_bytes_max: 64 * MIB,
            output_bytes_max: 256 * 1024,
            publisher_hold_ms_max: 1000,
            request_ms_max: 60_000,
            linger_ms_max: 1000,
            shutdown_ms_max: 5000,
        }
    }
}

/// Two limits that cannot both hold.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("{key} must be {expected}, but it is {found}; {advice}")]
pub struct LimitError {
    /// The key at fault.
    pub key: &'static str,
    /// What it must be.
    pub expected: String,
    /// What it is.
    pub found: String,
    /// What to do about it.
    pub advice: &'static str,
}

impl Limits {
    /// Checks the limits against each other.
    ///
    /// # Errors
    /// The first limit that is zero where it may not be, or that leaves no room for another.
    pub fn check(&self) -> Result<(), LimitError> {
        self.check_positive()?;
        let message_room = self.message_bytes_max + ENVELOPE_BYTES;
        let rooms = [
            ("frame_bytes_max", self.frame_bytes_max, message_room),
            ("line_bytes_max", self.line_bytes_max, message_room),
            ("topic_bytes_max", self.topic_bytes_max, message_room),
            ("memory_bytes_max", self.memory_bytes_max, self.topic_bytes_max),
            ("pull_bytes_max", self.pull_bytes_max, self.message_bytes_max),
        ];
        for (key, value, least) in rooms {
            if value < least {
                return Err(LimitError {
                    key,
                    expected: format!("at least {least} bytes"),
                    found: value.to_string(),
                    advice: "raise it, or lower message_bytes_max or topic_bytes_max",
                });
            }
        }
        self.check_wire_widths()
    }

    fn check_positive(&self) -> Result<(), LimitError> {
        let counts = [
            ("connections_max", self.connections_max),
            ("topics_max", self.topics_max),
            ("subscriptions_per_topic_max", self.subscriptions_per_topic_max),
            ("attachments_per_connection_max", self.attachments_per_connection_max),
            ("topic_name_bytes_max", self.topic_name_bytes_max),
            ("subscriber_id_bytes_max", self.subscriber_id_bytes_max),
            ("message_bytes_max", self.message_bytes_max),
            ("output_bytes_max", self.output_bytes_max),
        ];
        match counts.iter().find(|(_, value)| *value == 0) {
            None => Ok(()),
            Some((key, _)) => Err(LimitError {
                key,
                expected: "at least 1".into(),
                found: "0".into(),
                advice: "leave it out to have the default",
            }),
        }
    }

    /// What the native wire's fields can carry: 16-bit names, 32-bit frames.
    fn check_wire_widths(&self) -> Result<(), LimitError> {
        let widths = [
            ("topic_name_bytes_max", self.topic_name_bytes_max, usize::from(u16::MAX)),
            ("subscriber_id_bytes_max", self.subscriber_id_bytes_max, usize::from(u16::MAX)),
            ("message_bytes_max", self.message_bytes_max, 1 << 30),
            ("frame_bytes_max", self.frame_bytes_max, 1 << 31),
        ];
        match widths.iter().find(|(_, value, most)| value > most) {
            None => Ok(()),
            Some((key, value, most)) => Err(LimitError {
                key,
                expected: format!("at most {most}"),
                found: value.to_string(),
                advice: "lower it: the native wire has no room for more",
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_hold_together() {
        assert_eq!(Limits::default().check(), Ok(()));
    }

    #[test]
    fn a_topic_smaller_than_a_message_is_named() {
        let limits = Limits { topic_bytes_max: 10, ..Limits::default() };
        assert_eq!(limits.check().expect_err("too small").key, "topic_bytes_max");
    }

    #[test]
    fn a_zero_count_is_named() {
        let limits = Limits { topics_max: 0, ..Limits::default() };
        assert_eq!(limits.check().expect_err("zero").key, "topics_max");
    }
}
