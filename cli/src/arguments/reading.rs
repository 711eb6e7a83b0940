//! How messages are read: following, pulling, and the subscriptions for it.

use clap::{ArgGroup, Args, ValueEnum};
use client_api::{AckMode, AckTerms, LagPolicy, Start};
use jiff::Timestamp;
use std::time::Duration;

/// What to follow.
#[derive(Args, Debug)]
pub(crate) struct Following {
    /// The topic's name
    pub(crate) topic: String,
    /// Go on with the named subscription of this subscriber, making it where there is none; it
    /// stays when this ends. Without it, and without --group, the subscription ends with this
    #[arg(long, value_name = "SUBSCRIBER")]
    pub(crate) id: Option<String>,
    /// Join this group, making it where there is none: each message goes to one of those who
    /// joined, and to one of them again unless it was acknowledged, as it is when it was printed
    #[arg(long, value_name = "NAME", conflicts_with = "id")]
    pub(crate) group: Option<String>,
    #[command(flatten)]
    pub(crate) terms: Terms,
    /// End after so many messages. With --ack on-send, what the broker sent beyond them counts as
    /// read too
    #[arg(long, value_name = "MESSAGES", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) count: Option<u64>,
    /// When a message counts as read: explicit, when it was printed, so that none is lost; or
    /// on-send, when the broker sent it, so that none is printed twice
    #[arg(long, value_enum, default_value_t = Ack::Explicit, conflicts_with = "group")]
    pub(crate) ack: Ack,
    /// What happens when this is too slow for what the topic holds: skip ahead and tell how many
    /// messages were lost, be disconnected, or hold the publishers
    #[arg(long, value_enum, default_value_t = Lag::Skip)]
    pub(crate) lag_policy: Lag,
    #[command(flatten)]
    pub(crate) showing: Showing,
}

/// When a message counts as read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Ack {
    Explicit,
    OnSend,
}

impl From<Ack> for AckMode {
    fn from(ack: Ack) -> Self {
        match ack {
            Ack::Explicit => Self::Cumulative,
            Ack::OnSend => Self::OnSend,
        }
    }
}

/// What happens to who is too slow.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Lag {
    Skip,
    Disconnect,
    Hold,
}

impl From<Lag> for LagPolicy {
    fn from(lag: Lag) -> Self {
        match lag {
            Lag::Skip => Self::Skip,
            Lag::Disconnect => Self::Disconnect,
            Lag::Hold => Self::Hold,
        }
    }
}

/// What to pull.
#[derive(Args, Debug)]
pub(crate) struct Pull {
    #[command(flatten)]
    pub(crate) of: Subscription,
    /// Take at most so many messages [default: all]
    #[arg(long, value_name = "MESSAGES", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) max: Option<u32>,
    /// Make the subscription first, where there is none; --start and what is said of a group's
    /// acknowledgements are for this
    #[arg(long)]
    pub(crate) subscribe: bool,
    #[command(flatten)]
    pub(crate) terms: Terms,
    #[command(flatten)]
    pub(crate) showing: Showing,
}

/// A subscription to make.
#[derive(Args, Debug)]
pub(crate) struct Making {
    #[command(flatten)]
    pub(crate) of: Subscription,
    #[command(flatten)]
    pub(crate) terms: Terms,
}

/// Where a subscription is to go on.
#[derive(Args, Debug)]
pub(crate) struct Seek {
    #[command(flatten)]
    pub(crate) of: Subscription,
    /// Where it goes on: as --start of subscribe
    #[arg(long, value_name = "PLACE", value_parser = parse_start)]
    pub(crate) to: Start,
}

/// One named subscription.
#[derive(Args, Debug)]
#[command(group = ArgGroup::new("name").required(true).multiple(false))]
pub(crate) struct Subscription {
    /// The topic's name
    pub(crate) topic: String,
    /// The subscriber
    #[arg(long, value_name = "SUBSCRIBER", group = "name")]
    id: Option<String>,
    /// The group: each of its messages goes to one of those who pull or follow under its name,
    /// and to one of them again unless it was acknowledged, as it is when it was printed
    #[arg(long, value_name = "NAME", group = "name")]
    group: Option<String>,
}

impl Subscription {
    /// What it is called.
    pub(crate) fn name(&self) -> &str {
        let name = self.id.as_deref().or(self.group.as_deref());
        name.expect("the command line has one of the two, or is refused")
    }

    /// Whether it is a group's.
    pub(crate) fn is_group(&self) -> bool {
        self.group.is_some()
    }
}

/// What a subscription is made with.
#[derive(Args, Debug)]
pub(crate) struct Terms {
    /// Where the subscription begins if it is made: earliest, the oldest message held; latest, the
    /// next one published; offset:N; or time:T, the first message published at T or later, such
    /// as time:2026-08-01T12:00:00Z or milliseconds since 1970
    #[arg(long, value_name = "PLACE", value_parser = parse_start, default_value = "earliest")]
    pub(crate) start: Start,
    /// How long a message may stay unacknowledged before it goes to one of the group again
    /// [default: the broker's, here and below]
    #[arg(long, value_name = "MS", requires = "group", conflicts_with = "id")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..))]
    ack_timeout_ms: Option<u32>,
    /// Messages that the group may have unacknowledged at once
    #[arg(long, value_name = "MESSAGES", requires = "group", conflicts_with = "id")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..))]
    in_flight_max: Option<u32>,
    /// Deliveries of one message, after which it goes to the dead-letter topic
    #[arg(long, value_name = "COUNT", requires = "group", conflicts_with = "id")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..))]
    deliveries_max: Option<u32>,
    /// Wait before the second delivery of a message; each further one waits longer
    #[arg(long, value_name = "MS", requires_all = ["group", "backoff_ms_max"], conflicts_with = "id")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..))]
    backoff_ms_min: Option<u32>,
    /// The longest such wait
    #[arg(long, value_name = "MS", requires_all = ["group", "backoff_ms_min"], conflicts_with = "id")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..))]
    backoff_ms_max: Option<u32>,
    /// Topic that takes what was delivered in vain [default: TOPIC.dead-letter]
    #[arg(long, value_name = "TOPIC", requires = "group", conflicts_with = "id")]
    dead_letter: Option<String>,
}

impl Terms {
    /// How a group's messages are acknowledged.
    pub(crate) fn acks(&self) -> AckTerms {
        let ms = |ms: u32| Duration::from_millis(u64::from(ms));
        let mut acks = AckTerms::new();
        if let Some(timeout_ms) = self.ack_timeout_ms {
            acks = acks.ack_timeout(ms(timeout_ms));
        }
        if let Some(messages) = self.in_flight_max {
            acks = acks.in_flight_max(messages);
        }
        if let Some(deliveries) = self.deliveries_max {
            acks = acks.deliveries_max(deliveries);
        }
        if let (Some(min_ms), Some(max_ms)) = (self.backoff_ms_min, self.backoff_ms_max) {
            acks = acks.backoff(ms(min_ms), ms(max_ms));
        }
        match &self.dead_letter {
            Some(topic) => acks.dead_letter(topic),
            None => acks,
        }
    }
}

/// What is printed of messages besides their payloads.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct Showing {
    /// Print the headers of each message: before it, as a JSON object and a tab; with --json under
    /// "headers"
    #[arg(long)]
    pub(crate) headers: bool,
}

/// A place in a topic.
fn parse_start(text: &str) -> Result<Start, String> {
    let expected = || {
        "expected earliest, latest, offset:N or time:T, such as offset:17, time:1785585600000 or time:2026-08-01T12:00:00Z".to_owned()
    };
    match text {
        "earliest" => return Ok(Start::Earliest),
        "latest" => return Ok(Start::Latest),
        _ => {}
    }
    if let Some(offset) = text.strip_prefix("offset:") {
        return offset.parse().map(Start::Offset).map_err(|_| expected());
    }
    let time = text.strip_prefix("time:").ok_or_else(expected)?;
    if let Ok(unix_ms) = time.parse() {
        return Ok(Start::Time { unix_ms });
    }
    let timestamp: Timestamp = time.parse().map_err(|error| format!("{}: {error}", expected()))?;
    let unix_ms = u64::try_from(timestamp.as_millisecond());
    unix_ms.map(|unix_ms| Start::Time { unix_ms }).map_err(|_| "expected a time after 1970".into())
}

#[cfg(test)]
mod tests {
    use super::super::Arguments;
    use super::*;
    use clap::Parser;

    #[test]
    fn a_place_in_a_topic_has_four_ways_to_be_named() {
        let places = [
            ("earliest", Start::Earliest),
            ("latest", Start::Latest),
            ("offset:17", Start::Offset(17)),
            ("time:1785585600000", Start::Time { unix_ms: 1_785_585_600_000 }),
            ("time:2026-08-01T12:00:00Z", Start::Time { unix_ms: 1_785_585_600_000 }),
            ("time:2026-08-01T14:00:00.5+02:00", Start::Time { unix_ms: 1_785_585_600_500 }),
        ];
        for (text, place) in places {
            assert_eq!(parse_start(text), Ok(place), "{text}");
        }
        for wrong in ["", "newest", "offset:", "offset:-1", "time:", "time:noon", "17"] {
            assert!(parse_start(wrong).is_err(), "{wrong:?}");
        }
        assert!(parse_start("time:1969-12-31T23:59:59Z").is_err());
    }

    #[test]
    fn how_to_acknowledge_is_said_of_groups_only() {
        let parse =
            |arguments: &[&str]| Arguments::try_parse_from([&["tandem"], arguments].concat());
        assert!(parse(&["sub", "t", "--group", "g", "--ack-timeout-ms", "10"]).is_ok());
        assert!(parse(&["sub", "t", "--id", "s", "--ack-timeout-ms", "10"]).is_err());
        assert!(parse(&["sub", "t", "--id", "s", "--group", "g"]).is_err());
        assert!(parse(&["sub", "t", "--group", "g", "--ack", "on-send"]).is_err());
        assert!(parse(&["pull", "t", "--group", "g", "--dead-letter", "d"]).is_ok());
        assert!(parse(&["subscribe", "t", "--group", "g", "--backoff-ms-min", "1"]).is_err());
        assert!(parse(&["seek", "t", "--id", "s", "--to", "latest"]).is_ok());
        assert!(parse(&["seek", "t", "--id", "s"]).is_err());
        assert!(parse(&["seek", "t", "--to", "latest"]).is_err());
    }
}
