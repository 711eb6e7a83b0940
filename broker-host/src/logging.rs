//! The log: what is written to standard error, and how.

use std::io::{self, IsTerminal};

use clap::ValueEnum;
use serde::Deserialize;
use tracing::level_filters::LevelFilter;

/// What is logged, and in which form.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogSettings {
    /// The least severe events that are logged.
    pub level: LogLevel,
    /// The form of each event.
    pub format: LogFormat,
}

/// How severe an event must be to be logged.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// Only what keeps the broker from doing its work.
    Error,
    /// Also what someone should look at.
    Warn,
    /// Also the broker's start and stop.
    #[default]
    Info,
    /// Also each connection.
    Debug,
    /// Also each request.
    Trace,
}

/// The form of a logged event.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// One line for people, in colour on a terminal.
    #[default]
    Text,
    /// One JSON object on a line.
    Json,
}

impl From<LogLevel> for LevelFilter {
    fn from(level: LogLevel) -> Self {
        match level {
            LogLevel::Error => Self::ERROR,
            LogLevel::Warn => Self::WARN,
            LogLevel::Info => Self::INFO,
            LogLevel::Debug => Self::DEBUG,
            LogLevel::Trace => Self::TRACE,
        }
    }
}

/// Starts logging to standard error, for the whole process and its lifetime.
/// A log that the process has started already is kept instead.
pub(crate) fn start(settings: LogSettings) {
    let colour = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let log = tracing_subscriber::fmt()
        .with_writer(io::stderr)
        .with_max_level(LevelFilter::from(settings.level))
        .with_ansi(colour)
        // It would tell of what it cannot write where it cannot write, and panic.
        .log_internal_errors(false);
    // Fails only if a log has been started, by a test that calls this in-process.
    let _ = match settings.format {
        LogFormat::Text => log.try_init(),
        LogFormat::Json => log.json().try_init(),
    };
}
