//! Every limit the broker keeps, named in one place and checked against each other.

use serde::Deserialize;
use thiserror::Error;

/// Bytes that a frame or a line needs around the message it carries.
pub const ENVELOPE_BYTES: usize = 64 * 1024;

/// The longest client identifier or shared filter of MQTT: topics call a subscription so, with a
/// word before it, and no name is longer than 65 535 bytes.
pub(crate) const MQTT_ID_BYTES_MAX: usize = 65_535 - 16;

/// The smallest that a segment of the journal may be: a page of memory or disk.
pub const SEGMENT_BYTES_MIN: u64 = 4096;

/// The largest that a segment of the journal may be.
pub const SEGMENT_BYTES_MAX: u64 = 4 << 30;

/// How many segments the whole journal has room for at least: the one that is written, the one
/// made ready after it, one that is moved forward, and one that is kept.
pub const SEGMENTS_MIN: u64 = 4;

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

    /// Bytes that a disk topic's log holds unless its creator chose otherwise; 0 means no limit.
    pub disk_topic_bytes_max: u64,
    /// Bytes of the journal's segments together; the oldest messages go first.
    pub journal_bytes_max: u64,
    /// Bytes of one segment of the journal.
    pub journal_segment_bytes_max: u64,
    /// Bytes that wait to be written to the journal; beyond them publishers are held.
    pub journal_buffer_bytes_max: usize,
    /// How long what was only written may wait until it is on stable storage.
    pub journal_sync_ms_max: u64,
    /// Bytes of journal between two snapshots: what a restart has to read.
    pub journal_snapshot_bytes: u64,
    /// Newest messages of a disk topic kept in memory, in bytes.
    pub topic_cache_bytes_max: usize,
    /// Requests of one connection that wait for stable storage; beyond them none of its requests is read.
    pub answers_waiting_max: usize,
    /// Publishers that a topic remembers the last sequence number of; the longest silent is forgotten first.
    pub publishers_per_topic_max: usize,

    /// How long an individually acknowledged message may stay unacknowledged, unless its subscriber chose otherwise.
    pub ack_timeout_ms: u32,
    /// Messages that an individually acknowledged subscription has given out and not yet settled, unless its subscriber chose otherwise.
    pub in_flight_max: u32,
    /// Times that a message is given out before it goes to the dead-letter topic, unless its subscriber chose otherwise.
    pub deliveries_max: u32,
    /// Wait before a message is given out a second time, unless its subscriber chose otherwise; it doubles with each further time.
    pub redelivery_backoff_ms_min: u32,
    /// Longest wait before a message is given out again, unless its subscriber chose otherwise.
    pub redelivery_backoff_ms_max: u32,

    /// Retained messages in all topics.
    pub retained_messages_max: usize,
    /// Bytes of the retained messages of all topics.
    pub retained_bytes_max: usize,
    /// MQTT: sessions held at once, of clients that are connected or will be again.
    pub mqtt_sessions_max: usize,
    /// MQTT: longest packet that is read; clients of 5.0 are told.
    pub mqtt_packet_bytes_max: usize,
    /// MQTT: longest client identifier.
    pub mqtt_client_id_bytes_max: usize,
    /// MQTT: subscriptions of one client.
    pub mqtt_subscriptions_per_client_max: usize,
    /// MQTT: levels of a topic name or filter.
    pub mqtt_topic_levels_max: usize,
    /// MQTT: messages of quality of service 1 and 2 under way to one client, unless it asks for fewer.
    pub mqtt_in_flight_max: u16,
    /// MQTT: publications of quality of service 1 and 2 under way from one client; clients of 5.0 are told.
    pub mqtt_receive_max: u16,
    /// MQTT: topic aliases of one connection, in each direction; clients of 5.0 are told.
    pub mqtt_topic_alias_max: u16,
    /// MQTT: longest keep-alive; clients of 5.0 that ask for more, or for none, are told; 0 means any.
    pub mqtt_keep_alive_s_max: u16,
    /// MQTT: longest that a session is kept for a client that is not connected; 0 means for ever.
    pub mqtt_session_expiry_s_max: u32,
    /// MQTT: how often `$SYS` topics are published once anyone subscribed to them; 0 means never.
    pub mqtt_sys_interval_s: u32,
}

impl Default for Limits {
    fn default() -> Self {
        const MIB: usize = 1 << 20;
        const MIB_ON_DISK: u64 = 1 << 20;
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
            disk_topic_bytes_max: 0,
            journal_bytes_max: 16 * 1024 * MIB_ON_DISK,
            journal_segment_bytes_max: 64 * MIB_ON_DISK,
            journal_buffer_bytes_max: 32 * MIB,
            journal_sync_ms_max: 1000,
            journal_snapshot_bytes: 256 * MIB_ON_DISK,
            topic_cache_bytes_max: 4 * MIB,
            answers_waiting_max: 16_384,
            publishers_per_topic_max: 1024,
            ack_timeout_ms: 30_000,
            in_flight_max: 1000,
            deliveries_max: 5,
            redelivery_backoff_ms_min: 1000,
            redelivery_backoff_ms_max: 60_000,
            retained_messages_max: 1_000_000,
            retained_bytes_max: 1024 * MIB,
            mqtt_sessions_max: 1_000_000,
            mqtt_packet_bytes_max: 16 * MIB,
            mqtt_client_id_bytes_max: 1024,
            mqtt_subscriptions_per_client_max: 100_000,
            mqtt_topic_levels_max: 128,
            mqtt_in_flight_max: 1000,
            mqtt_receive_max: 1000,
            mqtt_topic_alias_max: 32,
            mqtt_keep_alive_s_max: 0,
            mqtt_session_expiry_s_max: 0,
            mqtt_sys_interval_s: 10,
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
        self.check_rooms()?;
        self.check_journal()?;
        self.check_backoff()?;
        self.check_wire_widths()
    }

    fn check_positive(&self) -> Result<(), LimitError> {
        let counts = [
            ("connections_max", self.connections_max as u64),
            ("topics_max", self.topics_max as u64),
            ("subscriptions_per_topic_max", self.subscriptions_per_topic_max as u64),
            ("attachments_per_connection_max", self.attachments_per_connection_max as u64),
            ("topic_name_bytes_max", self.topic_name_bytes_max as u64),
            ("subscriber_id_bytes_max", self.subscriber_id_bytes_max as u64),
            ("message_bytes_max", self.message_bytes_max as u64),
            ("output_bytes_max", self.output_bytes_max as u64),
            ("journal_sync_ms_max", self.journal_sync_ms_max),
            ("journal_snapshot_bytes", self.journal_snapshot_bytes),
            ("answers_waiting_max", self.answers_waiting_max as u64),
            ("publishers_per_topic_max", self.publishers_per_topic_max as u64),
            ("ack_timeout_ms", self.ack_timeout_ms.into()),
            ("in_flight_max", self.in_flight_max.into()),
            ("deliveries_max", self.deliveries_max.into()),
            ("retained_messages_max", self.retained_messages_max as u64),
            ("mqtt_sessions_max", self.mqtt_sessions_max as u64),
            ("mqtt_client_id_bytes_max", self.mqtt_client_id_bytes_max as u64),
            ("mqtt_subscriptions_per_client_max", self.mqtt_subscriptions_per_client_max as u64),
            ("mqtt_topic_levels_max", self.mqtt_topic_levels_max as u64),
            ("mqtt_in_flight_max", self.mqtt_in_flight_max.into()),
            ("mqtt_receive_max", self.mqtt_receive_max.into()),
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

    /// What holds a message has room for the largest, and what holds many has room for each.
    fn check_rooms(&self) -> Result<(), LimitError> {
        let message_room = self.message_bytes_max + ENVELOPE_BYTES;
        let rooms = [
            ("frame_bytes_max", self.frame_bytes_max, message_room),
            ("line_bytes_max", self.line_bytes_max, message_room),
            ("topic_bytes_max", self.topic_bytes_max, message_room),
            ("memory_bytes_max", self.memory_bytes_max, self.topic_bytes_max),
            ("pull_bytes_max", self.pull_bytes_max, self.message_bytes_max),
            ("journal_buffer_bytes_max", self.journal_buffer_bytes_max, message_room),
        ];
        for (key, value, least) in rooms {
            let advice = "raise it, or lower message_bytes_max or topic_bytes_max";
            check_least_bytes(key, value as u64, least as u64, advice)?;
        }
        match self.disk_topic_bytes_max {
            0 => Ok(()),
            bytes => check_least_bytes(
                "disk_topic_bytes_max",
                bytes,
                message_room as u64,
                "raise it, lower message_bytes_max, or give 0 for no limit",
            ),
        }
    }

    /// The journal can let go of old segments while it writes new ones.
    fn check_journal(&self) -> Result<(), LimitError> {
        check_least_bytes(
            "journal_segment_bytes_max",
            self.journal_segment_bytes_max,
            SEGMENT_BYTES_MIN,
            "raise it, or leave it out to have the default",
        )?;
        if self.journal_segment_bytes_max > SEGMENT_BYTES_MAX {
            return Err(LimitError {
                key: "journal_segment_bytes_max",
                expected: format!("at most {SEGMENT_BYTES_MAX} bytes"),
                found: self.journal_segment_bytes_max.to_string(),
                advice: "lower it, or leave it out to have the default",
            });
        }
        check_least_bytes(
            "journal_bytes_max",
            self.journal_bytes_max,
            self.journal_segment_bytes_max * SEGMENTS_MIN,
            "raise it, or lower journal_segment_bytes_max to a quarter of it",
        )?;
        check_least_bytes(
            "journal_bytes_max",
            self.journal_bytes_max,
            self.journal_snapshot_bytes,
            "raise it, or lower journal_snapshot_bytes",
        )
    }

    fn check_backoff(&self) -> Result<(), LimitError> {
        let (least, most) = (self.redelivery_backoff_ms_min, self.redelivery_backoff_ms_max);
        if least <= most {
            return Ok(());
        }
        Err(LimitError {
            key: "redelivery_backoff_ms_max",
            expected: format!("at least redelivery_backoff_ms_min, which is {least}"),
            found: most.to_string(),
            advice: "raise it, or lower redelivery_backoff_ms_min",
        })
    }

    /// What the fields of the native wire and of the journal can carry: 16-bit names, 32-bit
    /// frames.
    fn check_wire_widths(&self) -> Result<(), LimitError> {
        let widths = [
            ("mqtt_client_id_bytes_max", self.mqtt_client_id_bytes_max, MQTT_ID_BYTES_MAX),
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
                advice: "lower it: the wire and the journal have no room for more",
            }),
        }
    }
}

fn check_least_bytes(
    key: &'static str,
    value: u64,
    least: u64,
    advice: &'static str,
) -> Result<(), LimitError> {
    if value >= least {
        return Ok(());
    }
    let expected = format!("at least {least} bytes");
    Err(LimitError { key, expected, found: value.to_string(), advice })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_hold_together() {
        assert_eq!(Limits::default().check(), Ok(()));
    }

    #[track_caller]
    fn check_at_fault(limits: &Limits, key: &str, expected: &str) {
        let error = limits.check().expect_err("they contradict each other");
        assert_eq!((error.key, error.expected.as_str()), (key, expected), "{error}");
    }

    #[test]
    fn a_topic_smaller_than_a_message_is_named() {
        let room = "at least 8454144 bytes";
        let limits = Limits { topic_bytes_max: 10, ..Limits::default() };
        check_at_fault(&limits, "topic_bytes_max", room);
        let limits = Limits { disk_topic_bytes_max: 10, ..Limits::default() };
        check_at_fault(&limits, "disk_topic_bytes_max", room);
        let limits = Limits { journal_buffer_bytes_max: 10, ..Limits::default() };
        check_at_fault(&limits, "journal_buffer_bytes_max", room);
    }

    #[test]
    fn a_zero_count_is_named() {
        let limits = Limits { topics_max: 0, ..Limits::default() };
        check_at_fault(&limits, "topics_max", "at least 1");
        let limits = Limits { deliveries_max: 0, ..Limits::default() };
        check_at_fault(&limits, "deliveries_max", "at least 1");
    }

    #[test]
    fn a_client_identifier_that_no_subscription_can_be_called_by_is_named() {
        let limits = Limits { mqtt_client_id_bytes_max: 65_535, ..Limits::default() };
        check_at_fault(&limits, "mqtt_client_id_bytes_max", "at most 65519");
    }

    #[test]
    fn a_journal_without_room_for_its_segments_is_named() {
        let limits = Limits { journal_segment_bytes_max: 4095, ..Limits::default() };
        check_at_fault(&limits, "journal_segment_bytes_max", "at least 4096 bytes");
        let limits = Limits { journal_bytes_max: (256 << 20) - 1, ..Limits::default() };
        check_at_fault(&limits, "journal_bytes_max", "at least 268435456 bytes");
        let limits = Limits { journal_snapshot_bytes: 1 << 35, ..Limits::default() };
        check_at_fault(&limits, "journal_bytes_max", "at least 34359738368 bytes");
        let limits = Limits { journal_segment_bytes_max: u64::MAX, ..Limits::default() };
        check_at_fault(&limits, "journal_segment_bytes_max", "at most 4294967296 bytes");
    }

    #[test]
    fn a_backoff_that_begins_beyond_its_end_is_named() {
        let limits = Limits { redelivery_backoff_ms_min: 60_001, ..Limits::default() };
        let expected = "at least redelivery_backoff_ms_min, which is 60001";
        check_at_fault(&limits, "redelivery_backoff_ms_max", expected);
    }
}
