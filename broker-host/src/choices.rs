//! What may be said of a broker, in the same words on the command line and in
//! the config file.

use std::fmt::Display;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::Args;
use serde::Deserialize;

use crate::limit_choices::LimitChoices;
use crate::listen_name::ListenName;
use crate::logging::{LogFormat, LogLevel, LogSettings};
use crate::storage_choices::{DurabilityChoice, Recover, data_help, durability_help, recover_help};
use crate::topic_rule_choices::TopicRuleChoices;

/// Where a broker listens that was told nothing: on this machine only, at its own port and at
/// MQTT's. Each serves every protocol.
pub(crate) const LISTEN_DEFAULT: [SocketAddr; 2] = [
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 8080),
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 1883),
];

/// The same in words.
pub(crate) fn listen_default() -> String {
    let [first, second] = LISTEN_DEFAULT;
    format!("{first} and {second}")
}

/// What was said in one place, the command line or the config file. A flag
/// `--log-level` is the key `log_level`; `None` is what was not said there.
#[derive(Args, Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Choices {
    #[arg(
        long,
        value_name = "HOST:PORT",
        help = help_with_default(
            "Listen on this address; may be given several times. Port 0 takes any free port. A \
             name stands for its first IPv4 address, or else its first IPv6 address. [::] takes \
             IPv6 only",
            listen_default(),
        ),
    )]
    pub(crate) listen: Option<Vec<ListenName>>,

    #[arg(
        long,
        num_args = 0,
        default_missing_value = "true",
        conflicts_with = "data",
        help = "Keep all messages in memory: they end with the broker"
    )]
    pub(crate) memory: Option<bool>,

    #[arg(long, value_name = "DIR", help = data_help())]
    pub(crate) data: Option<PathBuf>,

    #[arg(long, value_name = "PROMISE", conflicts_with = "memory", help = durability_help())]
    pub(crate) durability: Option<DurabilityChoice>,

    #[arg(long, value_name = "ACTION", conflicts_with = "memory", help = recover_help())]
    pub(crate) recover: Option<Recover>,

    #[arg(
        long,
        value_name = "BOOL",
        help = help_with_default(
            "Whether a publication by MQTT makes the topic that is not there",
            true,
        ),
    )]
    pub(crate) mqtt_creates_topics: Option<bool>,

    /// Rules for topics are said in the config file only.
    #[arg(skip)]
    pub(crate) topics: Option<Vec<TopicRuleChoices>>,

    /// Comes from [`LoopChoices`], where the backend has event loops.
    #[arg(skip)]
    pub(crate) loops: Option<NonZeroUsize>,

    #[arg(
        long,
        value_name = "LEVEL",
        help = help_with_default("Least severe events to log", "info"),
    )]
    pub(crate) log_level: Option<LogLevel>,

    #[arg(
        long,
        value_name = "FORMAT",
        help = help_with_default("Form of the log on standard error", "text"),
    )]
    pub(crate) log_format: Option<LogFormat>,

    #[command(flatten)]
    pub(crate) limits: LimitChoices,
}

/// What may be said besides to a backend with event loops.
#[derive(Args, Debug)]
pub(crate) struct LoopChoices {
    /// Event loops to run, a thread each [default: as many as there are cores]
    #[arg(long, value_name = "N", help_heading = None)]
    pub(crate) loops: Option<NonZeroUsize>,
}

impl Choices {
    /// These choices, and those of `below` where these say nothing. Memory or a
    /// directory is one choice: saying either here hides both below.
    pub(crate) fn over(self, below: Self) -> Self {
        let storage_said = self.memory.is_some() || self.data.is_some();
        let storage =
            if storage_said { (self.memory, self.data) } else { (below.memory, below.data) };
        Self {
            listen: self.listen.or(below.listen),
            memory: storage.0,
            data: storage.1,
            durability: self.durability.or(below.durability),
            recover: self.recover.or(below.recover),
            mqtt_creates_topics: self.mqtt_creates_topics.or(below.mqtt_creates_topics),
            topics: self.topics.or(below.topics),
            loops: self.loops.or(below.loops),
            log_level: self.log_level.or(below.log_level),
            log_format: self.log_format.or(below.log_format),
            limits: self.limits.over(below.limits),
        }
    }

    /// What these choices mean for the log.
    pub(crate) fn log(&self) -> LogSettings {
        LogSettings {
            level: self.log_level.unwrap_or_default(),
            format: self.log_format.unwrap_or_default(),
        }
    }
}

/// A line of help that ends with the default, as clap writes it for required values.
pub(crate) fn help_with_default(help: &str, default: impl Display) -> String {
    format!("{help} [default: {default}]")
}
