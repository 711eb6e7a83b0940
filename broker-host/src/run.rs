//! From the command line to a broker that serves, and from its end to an exit code.

use std::error::Error;
use std::ffi::OsString;
use std::fmt::Display;
use std::io::{self, Write};
use std::net::TcpListener;
use std::process::ExitCode;
use std::sync::Arc;

use broker_core::{Broker, Identity};
use thiserror::Error;

use crate::command_line::{self, CommandLine};
use crate::config_file::{ConfigError, ConfigFile};
use crate::listen::{BindError, bind, print_ready_line, ready_line};
use crate::listen_name::ListenName;
use crate::settings::SettingsError;
use crate::storage::{self, StorageError, Store};
use crate::{Clock, Settings, Stop, logging, open_files, signals};

/// Failed while serving.
const EXIT_SERVE_FAILED: u8 = 1;
/// Could not start: bad flag, bad config, or an address that cannot be listened on.
const EXIT_START_FAILED: u8 = 2;

/// What tells one broker binary from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backend {
    /// Its name, one word: `mio`.
    pub name: &'static str,
    /// What it is, in one sentence for `--help`.
    pub summary: &'static str,
    /// Its version: `env!("CARGO_PKG_VERSION")`.
    pub version: &'static str,
    /// Whether it runs event loops, whose number `--loops` chooses.
    pub takes_loops: bool,
}

/// What a backend is given to serve with.
#[derive(Debug)]
pub struct Host {
    /// The backend itself, to name it where the broker presents itself.
    pub backend: Backend,
    /// What the broker was told.
    pub settings: Settings,
    /// The broker to serve.
    pub broker: Arc<Broker>,
    /// What keeps its messages, to be started before the first connection is served.
    pub store: Store,
    /// A blocking listener for each of `settings.listen`, in the same order.
    pub listeners: Vec<TcpListener>,
    /// Requested by SIGTERM or SIGINT.
    pub stop: Stop,
    /// Started when the process did.
    pub clock: Clock,
}

/// Runs a broker binary: reads the command line and the config file, starts the
/// log, binds the listeners, prints the ready line, and has `serve` do the rest.
///
/// `serve` returns when [`Host::stop`] has been requested and the connections are
/// closed, or when it cannot go on. The exit code is 0 in the first case and 1 in
/// the second; it is 2, and `serve` is not called, if the broker cannot start.
/// What keeps the messages is finished after `serve` has returned, so that every
/// answer that waits for it can still come.
/// Every failure is told in one sentence on standard error.
pub fn run<E: Error>(backend: Backend, serve: impl FnOnce(Host) -> Result<(), E>) -> ExitCode {
    let host = match start(backend, std::env::args_os()) {
        Ok(host) => host,
        Err(StartError::CommandLine(error)) => return print_clap(&error),
        Err(error) => return fail(&error, EXIT_START_FAILED),
    };
    let store = host.store.clone();
    let served = serve(host);
    let finished = store.finish();
    match (served, finished) {
        (Ok(()), Ok(())) => {
            tracing::info!("stopped");
            ExitCode::SUCCESS
        }
        (Err(error), _) => fail(&error, EXIT_SERVE_FAILED),
        (Ok(()), Err(error)) => fail(&error, EXIT_SERVE_FAILED),
    }
}

/// Why a broker did not start.
#[derive(Debug, Error)]
enum StartError {
    /// A bad flag, or none at all: `--help` and `--version` come here too.
    #[error(transparent)]
    CommandLine(#[from] clap::Error),
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Settings(#[from] SettingsError),
    #[error(transparent)]
    Storage(#[from] StorageError),
    #[error(transparent)]
    Bind(#[from] BindError),
    #[error(
        "expected to handle SIGTERM and SIGINT, but found: {0}; allow the process more threads"
    )]
    Signals(#[source] io::Error),
    #[error("expected a listener to tell its address, but found: {0}; start the broker again")]
    Address(#[source] io::Error),
}

fn start(
    backend: Backend,
    arguments: impl IntoIterator<Item = OsString>,
) -> Result<Host, StartError> {
    let clock = Clock::new();
    let CommandLine { config, choices } = command_line::parse(&backend, arguments)?;
    let file = config.as_deref().map(ConfigFile::read).transpose()?;
    let settings = Settings::from_choices(&backend, choices, file.as_ref(), &ListenName::resolve)?;

    logging::start(settings.log);
    open_files::raise_limit_for(settings.limits.connections_max);
    let stop = Stop::new();
    signals::request_stop_on_signals(stop.clone()).map_err(StartError::Signals)?;
    signals::survive_file_size_limit().map_err(StartError::Signals)?;

    let identity = Identity { backend: backend.name, version: backend.version };
    let (broker, store) = storage::open(identity, &settings, clock)?;

    let listeners = bind(&settings.listen)?;
    let ready = ready_line(&backend, &listeners).map_err(StartError::Address)?;
    tracing::info!("{ready}");
    if let Err(error) = print_ready_line(&ready) {
        tracing::warn!(%error, "nobody reads standard output, where the ready line belongs");
    }
    Ok(Host { backend, settings, broker, store, listeners, stop, clock })
}

/// Prints what clap has to say, help and version to standard output.
fn print_clap(error: &clap::Error) -> ExitCode {
    // Whoever closed the stream does not want to be told.
    let _ = error.print();
    ExitCode::from(if error.use_stderr() { EXIT_START_FAILED } else { 0 })
}

fn fail(error: &dyn Display, exit_code: u8) -> ExitCode {
    // With standard error closed, the exit code alone has to tell.
    let _ = writeln!(io::stderr(), "error: {error}");
    ExitCode::from(exit_code)
}
