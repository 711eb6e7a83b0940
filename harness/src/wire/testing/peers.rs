//! Brokers as processes, where they are installed.

use crate::drivers::DriverKind;
use crate::process::{BrokerProcess, Launch, Started};
use std::collections::BTreeMap;
use std::io::Write as _;
use std::net::SocketAddr;
use tempfile::TempDir;

/// A broker with a directory of its own. Dropping it kills it and removes its files.
pub(crate) struct Peer {
    process: BrokerProcess,
    _files: TempDir,
}

impl Peer {
    /// Starts it; `None`, and a line on standard error, if its program is not installed. In words
    /// and configuration `{port}`, `{data_dir}` and `{config_file}` are replaced.
    pub(crate) fn start(
        driver: DriverKind,
        command: &[&str],
        config: Option<&str>,
    ) -> Option<Self> {
        Self::start_in(driver, command, config, &[])
    }

    /// RabbitMQ with these plugins, as `docs/adding-a-broker.md` has it started: by itself, and
    /// without the daemon by which Erlang's nodes find each other.
    pub(crate) fn start_rabbitmq(driver: DriverKind, plugins: &str, config: &str) -> Option<Self> {
        let environment = [
            ("HOME", "{data_dir}"),
            ("RUNNING_UNDER_SYSTEMD", "true"),
            ("RABBITMQ_NODENAME", "harness@localhost"),
            ("RABBITMQ_CONF_ENV_FILE", "/dev/null"),
            ("RABBITMQ_CONFIG_FILE", "{config_file}"),
            ("RABBITMQ_MNESIA_BASE", "{data_dir}/mnesia"),
            ("RABBITMQ_ENABLED_PLUGINS_FILE", "{data_dir}/enabled_plugins"),
            ("RABBITMQ_ENABLED_PLUGINS", plugins),
            ("RABBITMQ_LOGS", "-"),
            // For Erlang's helpers too.
            ("ERL_FLAGS", "-dist_listen false -start_epmd false -erl_epmd_port {port}"),
            ("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", "-sname harness@localhost"),
        ];
        let command = ["/usr/lib/rabbitmq/bin/rabbitmq-server"];
        Self::start_in(driver, &command, Some(config), &environment)
    }

    fn start_in(
        driver: DriverKind,
        command: &[&str],
        config_file: Option<&str>,
        environment: &[(&str, &str)],
    ) -> Option<Self> {
        let files = tempfile::tempdir().unwrap();
        let command: Vec<_> = command.iter().map(|word| (*word).to_owned()).collect();
        let environment: BTreeMap<_, _> = environment
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let launch = Launch {
            driver,
            command: &command,
            config_file,
            data_dir: Some(files.path()),
            environment: &environment,
        };
        match BrokerProcess::start(launch).unwrap() {
            Started::Ready(process) => Some(Self { process, _files: files }),
            Started::Missing(advice) => skipped(&advice),
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.process.address()
    }
}

/// Says that a test is skipped; not through its own output, which is shown for failures alone.
pub(crate) fn skipped<T>(advice: &str) -> Option<T> {
    writeln!(std::io::stderr(), "skipped: {advice}").unwrap();
    None
}
