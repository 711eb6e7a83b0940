//! A broker as a child process: started, waited for, and killed when it is no longer wanted.

use super::output::{keep_last_lines, send_lines};
use super::ready::{ReadySign, expected_sign, says_it_on_stderr};
use super::{ProcessError, Program, locate};
use crate::drivers::DriverKind;
use measure::StopKind;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};
use std::collections::{BTreeMap, VecDeque};
use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tempfile::NamedTempFile;

/// How long a broker may take until it is ready.
const READY_MS_MAX: u64 = 20_000;

/// How long the last words of a broker that has ended are waited for.
const LAST_WORDS_MS_MAX: u64 = 1_000;

/// How long a broker that was told to end may take.
const STOP_MS_MAX: u64 = 60_000;

/// Stands in a command, a configuration file and a variable's value for the directory that the broker
/// keeps its messages in.
pub const DATA_DIR_PLACEHOLDER: &str = "{data_dir}";

/// Stands in a command and a variable's value for a file with the text of the configuration's
/// `config_file`.
pub const CONFIG_FILE_PLACEHOLDER: &str = "{config_file}";

/// Stands in the same places for a free port, for programs that cannot choose one themselves.
const PORT_PLACEHOLDER: &str = "{port}";

/// How to start a broker.
#[derive(Clone, Copy, Debug)]
pub struct Launch<'a> {
    /// Who will speak to it, which tells how it says that it is ready.
    pub driver: DriverKind,
    /// The program and its arguments.
    pub command: &'a [String],
    /// What is in the configuration file that its command names.
    pub config_file: Option<&'a str>,
    /// Where its messages are kept, if it asks for a directory.
    pub data_dir: Option<&'a Path>,
    /// Variables of its environment, beside the harness's own.
    pub environment: &'a BTreeMap<String, String>,
}

/// What came of starting a broker.
#[derive(Debug)]
pub enum Started {
    /// It is ready.
    Ready(BrokerProcess),
    /// Its program is not installed, and how to get it.
    Missing(String),
}

/// A running broker. Dropping it kills it.
#[derive(Debug)]
pub struct BrokerProcess {
    child: Child,
    program: String,
    command_line: Vec<String>,
    ready: ReadySign,
    /// From its start to its word that it is ready.
    ready_after: Duration,
    last_lines: LastLines,
    /// Some read it again on a signal.
    _config_file: Option<NamedTempFile>,
    /// Hears that the last line was read; nothing is ever sent.
    stderr_ended: Option<Receiver<()>>,
}

type LastLines = Arc<Mutex<VecDeque<String>>>;

impl BrokerProcess {
    /// Starts a broker, and waits until it says that it is ready.
    ///
    /// # Errors
    /// Any [`ProcessError`]. A program of someone else's that is not installed is no error.
    pub fn start(launch: Launch<'_>) -> Result<Started, ProcessError> {
        let Launch { driver, command, config_file, data_dir, environment } = launch;
        let Some((name, arguments)) = command.split_first() else {
            return Ok(Started::Missing("the command is empty".to_owned()));
        };
        let path = match locate(name) {
            Program::Found(path) => path,
            Program::Missing { advice } => return Ok(Started::Missing(advice)),
            Program::Unbuilt { path, .. } => {
                return Err(ProcessError::Build {
                    program: name.clone(),
                    reason: format!("{} is not there any more", path.display()),
                });
            }
        };
        let failed = |source| ProcessError::Start { program: name.clone(), source };
        let port = free_port().map_err(failed)?;
        let with_port = |text: &str| text.replace(PORT_PLACEHOLDER, &port.to_string());
        let directory = data_dir.unwrap_or(Path::new("")).to_string_lossy();
        let in_file = |text| with_port(text).replace(DATA_DIR_PLACEHOLDER, &directory);
        let config_file = config_file.map(|text| config_file_of(&in_file(text))).transpose();
        let config_file = config_file.map_err(failed)?;
        let arguments: Vec<String> = arguments.iter().map(|text| with_port(text)).collect();
        let config_path = config_file.as_ref().map_or(Path::new(""), NamedTempFile::path);
        let config_path = config_path.to_string_lossy();
        let with_paths = |text: &String| {
            text.replace(DATA_DIR_PLACEHOLDER, &directory)
                .replace(CONFIG_FILE_PLACEHOLDER, &config_path)
        };
        let started_at = Instant::now();
        let child = Command::new(path)
            .args(arguments.iter().map(with_paths))
            .envs(environment.iter().map(|(name, value)| (name, with_paths(&with_port(value)))))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // Ctrl-C is for the harness, which then ends its children itself.
            .process_group(0)
            .spawn()
            .map_err(failed)?;
        let ready = ReadySign::presumed(([127, 0, 0, 1], port).into());
        let command_line = std::iter::once(name.clone()).chain(arguments).collect();
        let last_lines = LastLines::default();
        let program = name.clone();
        let (ready_after, stderr_ended) = (Duration::ZERO, None);
        let mut process = Self {
            child,
            program,
            command_line,
            ready,
            ready_after,
            last_lines,
            _config_file: config_file,
            stderr_ended,
        };
        process.wait_until_ready(driver)?;
        process.ready_after = started_at.elapsed();
        Ok(Started::Ready(process))
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.ready.address
    }

    /// Its version, as it says itself; empty if it does not.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.ready.version
    }

    /// How long it took from its start until it said that it was ready.
    #[must_use]
    pub fn ready_after(&self) -> Duration {
        self.ready_after
    }

    /// How it was started; directory and configuration file are left as their placeholders.
    #[must_use]
    pub fn command_line(&self) -> &[String] {
        &self.command_line
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Whether it still runs.
    ///
    /// # Errors
    /// [`ProcessError::Died`] with its last words if it does not.
    pub fn check_alive(&mut self) -> Result<(), ProcessError> {
        match self.child.try_wait() {
            Ok(Some(status)) => Err(self.died(status)),
            // If it cannot be asked, the next request shows it.
            Ok(None) | Err(_) => Ok(()),
        }
    }

    /// Ends it, and says how long that took.
    ///
    /// # Errors
    /// [`ProcessError::Died`] if it ended before, [`ProcessError::NotStopped`] if it takes too long.
    pub fn stop(mut self, kind: StopKind) -> Result<Duration, ProcessError> {
        self.check_alive()?;
        let signal = match kind {
            StopKind::Clean => Signal::TERM,
            StopKind::Crash => Signal::KILL,
        };
        let id = Pid::from_child(&self.child);
        let (program, stop_ms_max) = (self.program.clone(), STOP_MS_MAX as i64);
        let signalled_at = Instant::now();
        let ended = pidfd_open(id, PidfdFlags::empty()).and_then(|process| {
            kill_process(id, signal)?;
            let timeout = Timespec { tv_sec: stop_ms_max / 1000, tv_nsec: 0 };
            poll(&mut [PollFd::new(&process, PollFlags::IN)], Some(&timeout))
        });
        match ended {
            Ok(0) => Err(ProcessError::NotStopped { program, waited_ms: STOP_MS_MAX }),
            // Dropping it collects its status.
            Ok(_) => Ok(signalled_at.elapsed()),
            Err(error) => Err(ProcessError::Stop { program, source: error.into() }),
        }
    }

    fn wait_until_ready(&mut self, driver: DriverKind) -> Result<(), ProcessError> {
        let (lines, said) = channel();
        if let Some(stderr) = self.child.stderr.take() {
            let last_lines = Arc::clone(&self.last_lines);
            let (ended, stderr_ended) = channel::<()>();
            self.stderr_ended = Some(stderr_ended);
            let lines = says_it_on_stderr(driver).then(|| lines.clone());
            std::thread::spawn(move || {
                keep_last_lines(stderr, &last_lines, lines.as_ref());
                drop(ended);
            });
        }
        if let Some(stdout) = self.child.stdout.take() {
            std::thread::spawn(move || send_lines(stdout, &lines));
        }
        let deadline = Instant::now() + Duration::from_millis(READY_MS_MAX);
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match said.recv_timeout(left) {
                Ok(line) => {
                    if self.ready.hear(driver, &line) {
                        return Ok(());
                    }
                }
                Err(RecvTimeoutError::Timeout) => {
                    return Err(ProcessError::NotReady {
                        program: self.program.clone(),
                        waited_ms: READY_MS_MAX,
                        expected: expected_sign(driver),
                        last_words: self.last_words(),
                    });
                }
                Err(RecvTimeoutError::Disconnected) => {
                    // One that ended has its status already; one that only closed its output ends.
                    let _ = self.child.kill();
                    return Err(match self.child.wait() {
                        Ok(status) => self.died(status),
                        Err(source) => {
                            ProcessError::Start { program: self.program.clone(), source }
                        }
                    });
                }
            }
        }
    }

    fn died(&self, status: ExitStatus) -> ProcessError {
        if let Some(ended) = &self.stderr_ended {
            // A grandchild may hold the pipe open, so the wait is bounded.
            let _ended = ended.recv_timeout(Duration::from_millis(LAST_WORDS_MS_MAX));
        }
        ProcessError::Died {
            program: self.program.clone(),
            status: status.to_string(),
            last_words: self.last_words(),
        }
    }

    fn last_words(&self) -> String {
        let lines = self.last_lines.lock().unwrap_or_else(PoisonError::into_inner);
        match lines.is_empty() {
            true => "  (nothing on standard error)".to_owned(),
            false => lines.iter().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n"),
        }
    }
}

impl Drop for BrokerProcess {
    fn drop(&mut self) {
        // Either fails only if it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A file with this text, gone when it is dropped.
fn config_file_of(text: &str) -> std::io::Result<NamedTempFile> {
    let mut file = NamedTempFile::with_suffix(".conf")?;
    file.write_all(text.as_bytes())?;
    Ok(file)
}

/// A port that was free a moment ago. Whoever takes it in between makes the start fail, visibly.
fn free_port() -> std::io::Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NO_VARIABLES: &BTreeMap<String, String> = &BTreeMap::new();

    fn launch(driver: DriverKind, command: &[String]) -> Launch<'_> {
        Launch { driver, command, config_file: None, data_dir: None, environment: NO_VARIABLES }
    }

    #[test]
    fn a_brokers_variables_and_its_file_have_their_placeholders_filled_in() {
        let dir = tempfile::tempdir().unwrap();
        let script = "read line < $1; test \"$PLACE\" = \"$line\" || exit 9; touch \"$line/in-file\"; \
                      echo x ready listen=$LISTEN; exec sleep 60";
        let command = ["sh", "-c", script, "sh", "{config_file}"].map(str::to_owned);
        let environment = [("PLACE", "{data_dir}"), ("LISTEN", "127.0.0.1:{port}")];
        let environment =
            environment.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let launch = Launch {
            config_file: Some("{data_dir}\n"),
            data_dir: Some(dir.path()),
            environment: &environment,
            ..launch(DriverKind::TandemNative, &command)
        };
        let Started::Ready(process) = BrokerProcess::start(launch).unwrap() else {
            panic!("sh is everywhere")
        };
        assert_ne!(process.address().port(), 0);
        assert!(dir.path().join("in-file").exists());
    }

    #[test]
    fn a_program_that_ends_at_once_is_an_error_with_its_last_words() {
        let command = ["sh", "-c", "echo 'no such option' >&2; exit 3"].map(str::to_owned);
        let error = BrokerProcess::start(launch(DriverKind::TandemNative, &command));
        let message = error.unwrap_err().to_string();
        assert!(message.contains("sh ended by itself, exit status: 3"), "{message}");
        assert!(message.contains("no such option"), "{message}");
    }

    #[test]
    fn a_broker_that_dies_later_is_an_error_with_its_last_words() {
        let script = "echo x ready listen=127.0.0.1:9; echo out of luck >&2; exit 7";
        let command = ["sh", "-c", script].map(str::to_owned);
        let started = BrokerProcess::start(launch(DriverKind::TandemNative, &command)).unwrap();
        let Started::Ready(mut process) = started else { panic!("sh is everywhere") };
        let error = loop {
            match process.check_alive() {
                Ok(()) => std::thread::yield_now(),
                Err(error) => break error.to_string(),
            }
        };
        assert!(error.contains("exit status: 7") && error.contains("out of luck"), "{error}");
    }

    #[test]
    fn a_broker_is_given_its_directory_and_ends_when_told() {
        let dir = tempfile::tempdir().unwrap();
        let script = "touch \"$1/here\"; echo x ready listen=127.0.0.1:9; exec sleep 60";
        let command = ["sh", "-c", script, "sh", "{data_dir}"].map(str::to_owned);
        for kind in [StopKind::Clean, StopKind::Crash] {
            let launch = launch(DriverKind::TandemNative, &command);
            let launch = Launch { data_dir: Some(dir.path()), ..launch };
            let started = BrokerProcess::start(launch).unwrap();
            let Started::Ready(process) = started else { panic!("sh is everywhere") };
            assert!(dir.path().join("here").exists());
            assert_eq!(process.command_line()[4], "{data_dir}");
            assert!(process.ready_after() > Duration::ZERO);
            process.stop(kind).unwrap();
        }
    }

    #[test]
    fn a_configuration_file_is_there_with_its_port_for_as_long_as_the_broker_is() {
        let script = "read line < $1; echo $line $1 ready listen=$line; exec sleep 60";
        let command = ["sh", "-c", script, "sh", "{config_file}"].map(str::to_owned);
        let launch = Launch {
            config_file: Some("127.0.0.1:{port}\n"),
            ..launch(DriverKind::TandemNative, &command)
        };
        let Started::Ready(process) = BrokerProcess::start(launch).unwrap() else {
            panic!("sh is everywhere")
        };
        assert_ne!(process.address().port(), 0);
        assert_eq!(process.command_line()[4], "{config_file}");
        let path = process._config_file.as_ref().unwrap().path().to_owned();
        assert!(path.exists());
        drop(process);
        assert!(!path.exists());
    }

    #[test]
    fn a_program_that_is_not_there_is_missing_and_no_error() {
        let command = ["no-such-broker".to_owned()];
        let started = BrokerProcess::start(launch(DriverKind::Redis, &command)).unwrap();
        assert!(matches!(started, Started::Missing(advice) if advice.contains("no-such-broker")));
    }
}
