//! A broker as a child process: started, waited for, and killed when it is no longer wanted.

use super::{ProcessError, Program, locate};
use crate::drivers::DriverKind;
use measure::StopKind;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};
use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long a broker may take until it is ready.
const READY_MS_MAX: u64 = 20_000;

/// Lines of standard error that are kept.
const LAST_LINES_MAX: usize = 20;

/// How long one of them may be.
const LINE_BYTES_MAX: u64 = 4096;

/// How long the last words of a broker that has ended are waited for.
const LAST_WORDS_MS_MAX: u64 = 1_000;

/// How long a broker that was told to end may take.
const STOP_MS_MAX: u64 = 60_000;

/// Stands in a command for the directory that the broker keeps its messages in.
pub const DATA_DIR_PLACEHOLDER: &str = "{data_dir}";

/// Stands in a command for a free port, for programs that cannot choose one themselves.
const PORT_PLACEHOLDER: &str = "{port}";

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
    /// Hears that the last line was read; nothing is ever sent.
    stderr_ended: Option<Receiver<()>>,
}

/// What a broker said when it was ready.
#[derive(Clone, Debug, PartialEq, Eq)]
struct ReadySign {
    address: SocketAddr,
    version: String,
}

type LastLines = Arc<Mutex<VecDeque<String>>>;

impl BrokerProcess {
    /// Starts `command`, whose messages are kept in `data_dir` if it asks for a directory, and waits
    /// until it says that it is ready.
    ///
    /// # Errors
    /// Any [`ProcessError`]. A program of someone else's that is not installed is no error.
    pub fn start(
        driver: DriverKind,
        command: &[String],
        data_dir: Option<&Path>,
    ) -> Result<Started, ProcessError> {
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
        let arguments: Vec<String> = arguments
            .iter()
            .map(|argument| argument.replace(PORT_PLACEHOLDER, &port.to_string()))
            .collect();
        let directory = data_dir.unwrap_or(Path::new("")).to_string_lossy();
        let started_at = Instant::now();
        let child = Command::new(path)
            .args(arguments.iter().map(|text| text.replace(DATA_DIR_PLACEHOLDER, &directory)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // Ctrl-C is for the harness, which then ends its children itself.
            .process_group(0)
            .spawn()
            .map_err(failed)?;
        let ready = ReadySign { address: ([127, 0, 0, 1], port).into(), version: String::new() };
        let command_line = std::iter::once(name.clone()).chain(arguments).collect();
        let last_lines = LastLines::default();
        let program = name.clone();
        let (ready_after, stderr_ended) = (Duration::ZERO, None);
        let mut process =
            Self { child, program, command_line, ready, ready_after, last_lines, stderr_ended };
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

    /// How it was started; the directory is left as its placeholder.
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
        if let Some(stderr) = self.child.stderr.take() {
            let last_lines = Arc::clone(&self.last_lines);
            let (ended, stderr_ended) = channel::<()>();
            self.stderr_ended = Some(stderr_ended);
            std::thread::spawn(move || {
                keep_last_lines(stderr, &last_lines);
                drop(ended);
            });
        }
        let (lines, said) = channel();
        if let Some(stdout) = self.child.stdout.take() {
            std::thread::spawn(move || send_lines(stdout, &lines));
        }
        let deadline = Instant::now() + Duration::from_millis(READY_MS_MAX);
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match said.recv_timeout(left) {
                Ok(line) => {
                    if let Some(ready) = ready_sign(driver, &line, &self.ready) {
                        self.ready = ready;
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

fn expected_sign(driver: DriverKind) -> &'static str {
    match driver {
        DriverKind::Redis | DriverKind::RedisStreams => "\"Ready to accept connections\"",
        _ => "a line with \"ready\" and \"listen=ADDRESS\"",
    }
}

/// What a line of standard output says about being ready; `presumed` is what it may leave unsaid.
fn ready_sign(driver: DriverKind, line: &str, presumed: &ReadySign) -> Option<ReadySign> {
    if matches!(driver, DriverKind::Redis | DriverKind::RedisStreams) {
        return line.contains("Ready to accept connections").then(|| presumed.clone());
    }
    let mut words = line.split_whitespace();
    words.by_ref().find(|word| *word == "ready")?;
    let value = |key: &str| {
        let mut fields = line.split_whitespace().filter_map(|word| word.split_once('='));
        fields.find(|(name, _)| *name == key).map(|(_, value)| value)
    };
    Some(ReadySign {
        // A broker may listen in several places; any of them will do.
        address: value("listen")?.split(',').next()?.parse().ok()?,
        version: value("version").unwrap_or_default().to_owned(),
    })
}

/// A port that was free a moment ago. Whoever takes it in between makes the start fail, visibly.
fn free_port() -> std::io::Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

/// Reads to the end, so that the process never blocks on a full pipe.
fn send_lines(stdout: impl Read, lines: &Sender<String>) {
    for_each_line(stdout, |line| {
        // Once it is ready nobody listens any more.
        let _unheard = lines.send(line);
    });
}

fn keep_last_lines(stderr: impl Read, last_lines: &Mutex<VecDeque<String>>) {
    for_each_line(stderr, |line| {
        let mut kept = last_lines.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() == LAST_LINES_MAX {
            kept.pop_front();
        }
        kept.push_back(line);
    });
}

fn for_each_line(input: impl Read, mut take: impl FnMut(String)) {
    let mut input = BufReader::new(input);
    let mut line = Vec::new();
    loop {
        line.clear();
        match input.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return,
            Ok(_) => take(String::from_utf8_lossy(&line).trim_end().to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn presumed() -> ReadySign {
        ReadySign { address: "127.0.0.1:9".parse().unwrap(), version: String::new() }
    }

    #[test]
    fn a_brokers_ready_line_gives_its_address_and_version() {
        let line = "tandem ready backend=mio version=0.1.0 listen=127.0.0.1:41235,[::1]:9";
        let sign = ready_sign(DriverKind::TandemNative, line, &presumed()).unwrap();
        assert_eq!(sign.address, "127.0.0.1:41235".parse().unwrap());
        assert_eq!(sign.version, "0.1.0");
        assert_eq!(ready_sign(DriverKind::TandemNative, "tandem starts", &presumed()), None);
    }

    #[test]
    fn redis_is_ready_when_it_says_so() {
        let line = "1:M 01 Jan 2026 00:00:00.000 * Ready to accept connections tcp";
        assert_eq!(ready_sign(DriverKind::Redis, line, &presumed()), Some(presumed()));
    }

    #[test]
    fn a_program_that_ends_at_once_is_an_error_with_its_last_words() {
        let command = ["sh", "-c", "echo 'no such option' >&2; exit 3"].map(str::to_owned);
        let error = BrokerProcess::start(DriverKind::TandemNative, &command, None);
        let message = error.unwrap_err().to_string();
        assert!(message.contains("sh ended by itself, exit status: 3"), "{message}");
        assert!(message.contains("no such option"), "{message}");
    }

    #[test]
    fn a_broker_that_dies_later_is_an_error_with_its_last_words() {
        let script = "echo x ready listen=127.0.0.1:9; echo out of luck >&2; exit 7";
        let command = ["sh", "-c", script].map(str::to_owned);
        let started = BrokerProcess::start(DriverKind::TandemNative, &command, None).unwrap();
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
            let driver = DriverKind::TandemNative;
            let started = BrokerProcess::start(driver, &command, Some(dir.path())).unwrap();
            let Started::Ready(process) = started else { panic!("sh is everywhere") };
            assert!(dir.path().join("here").exists());
            assert_eq!(process.command_line()[4], "{data_dir}");
            assert!(process.ready_after() > Duration::ZERO);
            process.stop(kind).unwrap();
        }
    }

    #[test]
    fn a_program_that_is_not_there_is_missing_and_no_error() {
        let command = ["no-such-broker".to_owned()];
        let started = BrokerProcess::start(DriverKind::Redis, &command, None).unwrap();
        assert!(matches!(started, Started::Missing(advice) if advice.contains("no-such-broker")));
    }

    #[test]
    fn only_the_last_lines_are_kept() {
        let text: String = (0..100).map(|n| format!("line {n}\n")).collect();
        let kept = Mutex::new(VecDeque::new());
        keep_last_lines(text.as_bytes(), &kept);
        let kept = kept.into_inner().unwrap();
        assert_eq!(kept.len(), LAST_LINES_MAX);
        assert_eq!(kept.back().unwrap(), "line 99");
    }
}
