//! The limits as they may be said: one table gives every limit its flag, its
//! config key, its unit and its line of help.

use broker_core::Limits;
use clap::Args;
use serde::Deserialize;

use crate::byte_size::ByteSize;
use crate::choices::help_with_default;

/// Declares [`LimitChoices`] from rows of `key: type in "UNIT", "help"`. A limit
/// that has no row does not compile: [`LimitChoices::limits`] would lack it.
macro_rules! limit_choices {
    ($($key:ident: $kind:ident in $unit:literal, $help:literal;)*) => {
        /// What was said of the limits in one place; `None` is what was not said.
        #[derive(Args, Clone, Debug, Default, Deserialize, PartialEq, Eq)]
        #[command(next_help_heading = "Limits (BYTES are plain or with KiB, MiB or GiB)")]
        #[serde(default, deny_unknown_fields)]
        pub(crate) struct LimitChoices {
            $(
                #[arg(
                    long,
                    value_name = $unit,
                    help = help_with_default($help, $kind::from(Limits::default().$key)),
                )]
                $key: Option<$kind>,
            )*
        }

        impl LimitChoices {
            /// These choices, and those of `below` where these say nothing.
            pub(crate) fn over(self, below: Self) -> Self {
                Self { $($key: self.$key.or(below.$key),)* }
            }

            /// The limits that these choices mean: the default where they say nothing.
            pub(crate) fn limits(self) -> Limits {
                let default = Limits::default();
                Limits { $($key: self.$key.map_or(default.$key, Into::into),)* }
            }

            /// Whether these choices say something of the limit named `key`.
            pub(crate) fn says(&self, key: &str) -> bool {
                match key {
                    $(stringify!($key) => self.$key.is_some(),)*
                    _ => false,
                }
            }
        }
    };
}

limit_choices! {
    connections_max: usize in "N",
        "Connections held at once; one more is refused and told so";
    topics_max: usize in "N",
        "Topics that may exist at once";
    subscriptions_per_topic_max: usize in "N",
        "Named subscriptions on one topic";
    attachments_per_connection_max: usize in "N",
        "Push subscriptions attached to one connection";
    topic_name_bytes_max: ByteSize in "BYTES",
        "Longest topic name, in UTF-8";
    subscriber_id_bytes_max: ByteSize in "BYTES",
        "Longest subscriber id, in UTF-8";
    message_bytes_max: ByteSize in "BYTES",
        "Largest payload of one message";
    line_bytes_max: ByteSize in "BYTES",
        "Longest JSON line, its newline not counted";
    frame_bytes_max: ByteSize in "BYTES",
        "Largest native frame, its length field not counted";
    topic_bytes_max: ByteSize in "BYTES",
        "Bytes that a topic's log holds in memory unless its creator chose otherwise";
    topic_messages_max: u64 in "N",
        "Messages that a topic's log holds unless its creator chose otherwise; 0 means no limit";
    topic_age_ms_max: u64 in "MS",
        "Age of the oldest message that a topic keeps unless its creator chose otherwise; \
         0 means no limit";
    memory_bytes_max: ByteSize in "BYTES",
        "Bytes that the logs of all topics hold together";
    pull_bytes_max: ByteSize in "BYTES",
        "Payload bytes that one PULL returns; the rest comes with the next";
    output_bytes_max: ByteSize in "BYTES",
        "Bytes waiting to be written to one connection, past which none of its requests is read";
    publisher_hold_ms_max: u64 in "MS",
        "How long publishers are held, in all, for a connected subscriber to read half of a \
         full log";
    request_ms_max: u64 in "MS",
        "How long a request may stay incomplete after its first byte; 0 means for ever";
    linger_ms_max: u64 in "MS",
        "How long a closing connection may take to receive what was written to it";
    shutdown_ms_max: u64 in "MS",
        "How long a stopping broker lets what is in flight leave";
    disk_topic_bytes_max: ByteSize in "BYTES",
        "Bytes that a disk topic's log holds unless its creator chose otherwise; 0 means no limit";
    journal_bytes_max: ByteSize in "BYTES",
        "Bytes of the journal's segments together; beyond them the oldest messages go, and \
         publishers are held where these do not go fast enough";
    journal_segment_bytes_max: ByteSize in "BYTES",
        "Bytes of one segment of the journal";
    journal_buffer_bytes_max: ByteSize in "BYTES",
        "Bytes that wait to be written to the journal; beyond them publishers are held";
    journal_sync_ms_max: u64 in "MS",
        "How long what was only written may wait until it is on stable storage";
    journal_snapshot_bytes: ByteSize in "BYTES",
        "Bytes of journal between two snapshots: what a restart has to read";
    topic_cache_bytes_max: ByteSize in "BYTES",
        "Newest messages of a disk topic kept in memory";
    answers_waiting_max: usize in "N",
        "Requests of one connection that wait for stable storage, past which none of its \
         requests is read";
    publishers_per_topic_max: usize in "N",
        "Publishers that a topic remembers the last sequence number of; the longest silent is \
         forgotten first";
    ack_timeout_ms: u32 in "MS",
        "How long an individually acknowledged message may stay unacknowledged, unless its \
         subscriber chose otherwise";
    in_flight_max: u32 in "N",
        "Messages that an individually acknowledged subscription has given out and not yet \
         settled, unless its subscriber chose otherwise";
    deliveries_max: u32 in "N",
        "Times that a message is given out before it goes to the dead-letter topic, unless its \
         subscriber chose otherwise";
    redelivery_backoff_ms_min: u32 in "MS",
        "Wait before a message is given out a second time, unless its subscriber chose \
         otherwise; it doubles with each further time";
    redelivery_backoff_ms_max: u32 in "MS",
        "Longest wait before a message is given out again, unless its subscriber chose otherwise";
    retained_messages_max: usize in "N",
        "Retained messages in all topics";
    retained_bytes_max: ByteSize in "BYTES",
        "Bytes of the retained messages of all topics";
    mqtt_sessions_max: usize in "N",
        "MQTT: sessions held at once, of clients that are connected or will be again";
    mqtt_packet_bytes_max: ByteSize in "BYTES",
        "MQTT: longest packet that is read; clients of 5.0 are told";
    mqtt_client_id_bytes_max: ByteSize in "BYTES",
        "MQTT: longest client identifier, in UTF-8";
    mqtt_subscriptions_per_client_max: usize in "N",
        "MQTT: subscriptions of one client";
    mqtt_topic_levels_max: usize in "N",
        "MQTT: levels of a topic name or filter";
    mqtt_in_flight_max: u16 in "N",
        "MQTT: messages of quality of service 1 and 2 under way to one client, unless it asks for \
         fewer";
    mqtt_receive_max: u16 in "N",
        "MQTT: publications of quality of service 1 and 2 under way from one client; clients of \
         5.0 are told";
    mqtt_topic_alias_max: u16 in "N",
        "MQTT: topic aliases of one connection, in each direction; clients of 5.0 are told";
    mqtt_keep_alive_s_max: u16 in "S",
        "MQTT: longest keep-alive; clients of 5.0 that ask for more, or for none, are told; 0 \
         means any";
    mqtt_session_expiry_s_max: u32 in "S",
        "MQTT: longest that a session is kept for a client that is not connected; 0 means for \
         ever";
    mqtt_sys_interval_s: u32 in "S",
        "MQTT: how often $SYS topics are published once anyone subscribed to them; 0 means never";
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::command_line::CommandLine;

    /// The names and values of all limits: what `Debug` prints of them, a line each.
    fn default_limits() -> Vec<(String, String)> {
        let printed = format!("{:#?}", Limits::default());
        let fields = printed.lines().filter_map(|line| line.trim().strip_suffix(','));
        fields
            .map(|field| field.split_once(": ").expect("a name and a value"))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect()
    }

    fn choices(config: &str) -> LimitChoices {
        toml::from_str(config).expect("limits")
    }

    #[test]
    fn every_limit_has_a_flag_whose_help_tells_its_default() {
        let command = CommandLine::command();
        let limits = default_limits();
        assert!(limits.len() >= 33, "{limits:?}");
        for (key, value) in limits {
            let flag = key.replace('_', "-");
            let argument = command.get_arguments().find(|arg| arg.get_long() == Some(&flag));
            let argument = argument.unwrap_or_else(|| panic!("--{flag} is missing"));
            let help = argument.get_help().expect("help").to_string();
            let shown = help.rsplit_once("[default: ").expect("a default").1.trim_end_matches(']');
            let shown: ByteSize = shown.parse().expect("a number");
            assert_eq!(u64::from(shown).to_string(), value, "--{flag}");
        }
    }

    #[test]
    fn every_limit_has_a_config_key_that_sets_it_and_no_other() {
        for (key, _) in default_limits() {
            let said = choices(&format!("{key} = 12347"));
            assert!(said.says(&key), "{key}");
            let limits = format!("{:#?}", said.limits());
            assert!(limits.contains(&format!("{key}: 12347,")), "{limits}");
            assert_eq!(limits.matches("12347").count(), 1, "{limits}");
        }
    }

    #[test]
    fn nothing_said_means_the_defaults() {
        assert_eq!(LimitChoices::default().limits(), Limits::default());
        assert!(!LimitChoices::default().says("topics_max"));
    }

    #[test]
    fn what_is_said_above_wins_and_what_is_said_below_stays() {
        let above = choices("topics_max = 1\nrequest_ms_max = 2");
        let below = choices("topics_max = 3\ntopic_bytes_max = '32MiB'");
        let limits = above.over(below).limits();
        let expected = Limits {
            topics_max: 1,
            request_ms_max: 2,
            topic_bytes_max: 32 << 20,
            ..Limits::default()
        };
        assert_eq!(limits, expected);
    }
}
