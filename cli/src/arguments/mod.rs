//! What may be typed.

mod reading;

pub(crate) use reading::{Ack, Following, Making, Pull, Seek, Showing, Subscription, Terms};

use crate::output::Format;
use clap::{ArgGroup, Args, Parser, Subcommand, ValueEnum};
use client_api::{Durability, Options, Reconnect, Retention, StorageClass, TopicOptions};
use std::path::PathBuf;
use std::time::Duration;

/// What comes after the list of options.
const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  the broker refused, or ended the subscription
  2  the command line, or a file it names, cannot be used
  3  the broker cannot be reached, does not answer in time, or is no Tandem broker
  4  the journal is damaged

Messages and answers go to standard output, remarks and errors to standard error.";

/// Talks to a Tandem broker: makes topics, publishes, follows and pulls.
#[derive(Debug, Parser)]
#[command(name = "tandem", version, after_help = EXIT_CODES, max_term_width = 100)]
pub(crate) struct Arguments {
    /// Where the broker listens
    #[arg(long, global = true, value_name = "HOST:PORT", default_value = "localhost:8080")]
    #[arg(value_parser = parse_address)]
    pub(crate) broker: String,

    /// How long to wait for a connection, and then for each answer
    #[arg(long, global = true, value_name = "MS", default_value_t = 5000)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..))]
    timeout_ms: u64,

    /// Print one JSON object a line, for programs; bytes that are not UTF-8 as {"base64":"…"}
    #[arg(long, global = true)]
    json: bool,

    #[command(subcommand)]
    pub(crate) command: Command,
}

impl Arguments {
    pub(crate) fn format(&self) -> Format {
        if self.json { Format::Json } else { Format::Plain }
    }

    /// For a command that asks once.
    pub(crate) fn options_once(&self) -> Options {
        self.options().reconnect(Reconnect::never())
    }

    /// For a command that goes on until it is stopped.
    pub(crate) fn options(&self) -> Options {
        let timeout = Duration::from_millis(self.timeout_ms);
        Options::new().connect_timeout(timeout).request_timeout(timeout)
    }
}

fn parse_address(text: &str) -> Result<String, String> {
    match text.rsplit_once(':') {
        Some((host, port)) if !host.is_empty() && port.parse::<u16>().is_ok() => {
            Ok(text.to_owned())
        }
        _ => Err("expected a host and a port, such as localhost:8080".to_owned()),
    }
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make, remove or list topics
    #[command(subcommand)]
    Topic(TopicCommand),
    /// Publish messages, and wait until the broker has them
    Pub(Publication),
    /// Follow a topic: print its messages as they come, until stopped
    Sub(Following),
    /// Take and print the unread messages of a subscription
    Pull(Pull),
    /// Make a named subscription, or a group's
    Subscribe(Making),
    /// Remove a named subscription, or a group's
    Unsubscribe(Subscription),
    /// Move a named subscription, or a group's, to another place in its topic
    Seek(Seek),
    /// List the subscribers of a topic
    Subscribers {
        /// The topic's name
        topic: String,
    },
    /// Print what the broker says of itself
    Info,
    /// Read a broker's data directory where no broker runs on it
    #[command(subcommand)]
    Journal(JournalCommand),
    /// Ask whether the broker is there, and how long its answer takes
    Ping,
}

/// What to read of a data directory. Nothing in it is changed.
#[derive(Debug, Subcommand)]
pub(crate) enum JournalCommand {
    /// Check every byte; say what is damaged, and which messages of which topics are missing
    Verify {
        /// The data directory
        dir: PathBuf,
    },
    /// Print what is in it: snapshots, segments and topics
    Stat {
        /// The data directory
        dir: PathBuf,
    },
    /// Print every record in a line
    Dump {
        /// The data directory
        dir: PathBuf,
    },
}

/// What to do with topics.
#[derive(Debug, Subcommand)]
pub(crate) enum TopicCommand {
    /// Make a topic
    Create(Creation),
    /// Remove a topic, its messages and its subscriptions
    Delete {
        /// The topic's name
        topic: String,
    },
    /// List the topics
    List,
}

/// A topic to make.
#[derive(Args, Debug)]
pub(crate) struct Creation {
    /// The topic's name
    pub(crate) topic: String,
    /// Bytes that the topic holds, such as 1000000 or 64MiB [default: the broker's]
    #[arg(long, value_name = "BYTES", value_parser = parse_bytes)]
    retention_bytes: Option<u64>,
    /// Messages that the topic holds [default: the broker's]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
    retention_messages: Option<u64>,
    /// Age of the oldest message that the topic keeps [default: the broker's]
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(u64).range(1..))]
    retention_age_ms: Option<u64>,
    /// Where its messages are kept: in memory, where they end with the broker, or on disk
    /// [default: the broker's]
    #[arg(long, value_enum)]
    storage: Option<Storage>,
    /// When a publication to it is acknowledged, on disk: sync, when it is on stable storage, and
    /// survives a loss of power; or os, when the operating system has it, and survives the broker
    /// alone [default: the broker's]
    #[arg(long, value_enum)]
    durability: Option<Durable>,
}

impl Creation {
    pub(crate) fn options(&self) -> TopicOptions {
        let retention = Retention {
            bytes_max: self.retention_bytes,
            messages_max: self.retention_messages,
            age_ms_max: self.retention_age_ms,
        };
        TopicOptions {
            retention,
            storage: self.storage.map(StorageClass::from),
            durability: self.durability.map(Durability::from),
        }
    }
}

/// Where messages are kept.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Storage {
    Memory,
    Disk,
}

impl From<Storage> for StorageClass {
    fn from(storage: Storage) -> Self {
        match storage {
            Storage::Memory => Self::Memory,
            Storage::Disk => Self::Disk,
        }
    }
}

/// When a publication is acknowledged.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Durable {
    Os,
    Sync,
}

impl From<Durable> for Durability {
    fn from(durable: Durable) -> Self {
        match durable {
            Durable::Os => Self::Os,
            Durable::Sync => Self::Sync,
        }
    }
}

/// A count of bytes, with or without one of KiB, MiB and GiB.
fn parse_bytes(text: &str) -> Result<u64, String> {
    let units = [("KiB", 1u64 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];
    let with_unit = units.iter().find_map(|(unit, bytes)| Some((text.strip_suffix(unit)?, *bytes)));
    let (number, unit) = with_unit.unwrap_or((text, 1));
    let bytes = number.trim_end().parse::<u64>().ok().and_then(|count| count.checked_mul(unit));
    bytes
        .filter(|bytes| *bytes > 0)
        .ok_or_else(|| "expected bytes of at least 1, such as 1000000, 512KiB or 64MiB".to_owned())
}

/// What to publish.
#[derive(Args, Debug)]
#[command(group = ArgGroup::new("source").multiple(false))]
pub(crate) struct Publication {
    /// The topic's name
    pub(crate) topic: String,
    /// The messages
    #[arg(group = "source")]
    pub(crate) messages: Vec<String>,
    /// Publish each line of standard input, without its line ending [default where no message is
    /// given]
    #[arg(long, group = "source")]
    stdin_lines: bool,
    /// Publish a file as one message
    #[arg(long, group = "source", value_name = "PATH")]
    pub(crate) file: Option<PathBuf>,
    /// Give each message this header; may be given several times
    #[arg(long = "header", value_name = "KEY=VALUE", value_parser = parse_header)]
    pub(crate) headers: Vec<(String, String)>,
    /// When the broker acknowledges: os or sync, at most what the topic was made with [default:
    /// the topic's]
    #[arg(long, value_enum)]
    durability: Option<Durable>,
    /// Number the messages, and repeat what was not acknowledged when the connection was lost and
    /// made again: the broker appends each number once. Without it, a lost connection leaves in
    /// doubt what was published last
    #[arg(long)]
    pub(crate) idempotent: bool,
}

impl Publication {
    pub(crate) fn durability(&self) -> Option<Durability> {
        self.durability.map(Durability::from)
    }
}

/// The longest key or value of a header.
const HEADER_BYTES_MAX: usize = u16::MAX as usize;

fn parse_header(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if key.len().max(value.len()) > HEADER_BYTES_MAX => {
            Err(format!("expected a key and a value of at most {HEADER_BYTES_MAX} bytes"))
        }
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("expected a key and a value, such as colour=red".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definition_holds_together() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn bytes_may_have_a_unit() {
        assert_eq!(parse_bytes("1000"), Ok(1000));
        assert_eq!(parse_bytes("64MiB"), Ok(64 << 20));
        assert_eq!(parse_bytes("2 GiB"), Ok(2 << 30));
        for wrong in ["", "0", "-1", "1.5MiB", "MiB", "99999999999999GiB"] {
            assert!(parse_bytes(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn an_address_has_a_host_and_a_port() {
        for right in ["localhost:8080", "[::1]:1", "10.0.0.1:65535"] {
            assert!(parse_address(right).is_ok(), "{right}");
        }
        for wrong in ["localhost", ":8080", "localhost:", "localhost:99999"] {
            assert!(parse_address(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn messages_come_from_one_place_only() {
        let parse = |arguments: &[&str]| {
            Arguments::try_parse_from([&["tandem", "pub", "News"], arguments].concat())
        };
        assert!(parse(&[]).is_ok());
        assert!(parse(&["one", "two"]).is_ok());
        assert!(parse(&["--stdin-lines"]).is_ok());
        assert!(parse(&["--file", "path", "one"]).is_err());
        assert!(parse(&["--file", "path", "--stdin-lines"]).is_err());
        assert!(parse(&["one", "--header", "a=b=c", "--header", "d="]).is_ok());
        assert!(parse(&["one", "--header", "=b"]).is_err());
    }
}
