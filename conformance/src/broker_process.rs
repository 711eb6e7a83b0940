//! A broker as users run it: a process, its ready line, its log and its exit code.

use crate::{Backend, DataDir, WAIT_MAX, wait_until};
use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process, prlimit};
use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex};
use std::thread;

/// How much of a broker's log is kept; what follows is read and dropped.
const LOG_BYTES_MAX: usize = 4 << 20;

/// How much of the log a failed test shows, from its end.
const LOG_BYTES_SHOWN: usize = 4 << 10;

/// A running broker, killed when it is dropped.
#[derive(Debug)]
pub struct BrokerProcess {
    backend: Backend,
    child: Child,
    ready_line: String,
    addresses: Vec<SocketAddr>,
    log: Arc<Mutex<String>>,
    /// Its data directory, where no other broker is started on that.
    data: Option<DataDir>,
}

/// How a process that ended by itself did so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exit {
    /// Its exit code.
    pub code: i32,
    /// What it wrote on standard output.
    pub stdout: String,
    /// What it wrote on standard error.
    pub stderr: String,
}

impl BrokerProcess {
    /// Starts a broker that keeps all in memory, on a free port.
    #[track_caller]
    #[must_use]
    pub fn start(backend: Backend) -> Self {
        Self::start_with(backend, &[])
    }

    /// Starts a broker that keeps all in memory, on a free port, with further flags.
    #[track_caller]
    #[must_use]
    pub fn start_with(backend: Backend, flags: &[&str]) -> Self {
        Self::spawn(backend, &[OsStr::new("--memory")], flags)
    }

    /// Starts a broker on `data`, on a free port, with further flags. Where a broker ran on it
    /// before, which must have ended, this one goes on with what that one stored.
    #[track_caller]
    #[must_use]
    pub fn start_on(backend: Backend, data: &DataDir, flags: &[&str]) -> Self {
        Self::spawn(backend, &[OsStr::new("--data"), data.path().as_os_str()], flags)
    }

    #[track_caller]
    fn spawn(backend: Backend, storage: &[&OsStr], flags: &[&str]) -> Self {
        let mut child = Command::new(backend.binary())
            .args(["--listen", "127.0.0.1:0"])
            .args(storage)
            .args(flags)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the broker was built");
        let log = keep_log(child.stderr.take().expect("standard error is piped"));
        let lines = first_line(child.stdout.take().expect("standard output is piped"));
        let (ready_line, unheard) = (String::new(), Vec::new());
        let mut broker = Self { backend, child, ready_line, addresses: unheard, log, data: None };
        match lines.recv_timeout(WAIT_MAX) {
            Ok(line) if !line.is_empty() => broker.ready_line = line,
            Ok(_) => panic!("expected a ready line, found the end of standard output"),
            Err(_) => panic!("expected a ready line within {WAIT_MAX:?}, found none"),
        }
        broker.addresses = addresses(&broker.ready_line);
        broker
    }

    /// Has its data directory go with it.
    #[must_use]
    pub fn keep(mut self, data: DataDir) -> Self {
        self.data = Some(data);
        self
    }

    /// Stops it and starts another on the data directory that it keeps.
    #[track_caller]
    #[must_use]
    pub fn restart(mut self) -> Self {
        assert_eq!(self.terminate(), Some(0), "it stopped in order");
        let data = self.data.take().expect("it keeps a data directory");
        Self::start_on(self.backend, &data, &[]).keep(data)
    }

    /// The first address that it listens on.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.addresses[0]
    }

    /// All addresses that it listens on, as it told them.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// The line that it wrote when it was ready, its newline taken off.
    #[must_use]
    pub fn ready_line(&self) -> &str {
        &self.ready_line
    }

    /// What it has logged so far.
    #[must_use]
    pub fn log(&self) -> String {
        self.log.lock().expect("no holder of the log panics").clone()
    }

    /// Waits until the log holds all of `parts`, on one line.
    #[track_caller]
    pub fn wait_for_log_line(&self, parts: &[&str]) {
        let holds_all = |line: &str| parts.iter().all(|part| line.contains(part));
        let expected = format!("a line with {parts:?} in the log");
        wait_until(&expected, || self.log().lines().any(holds_all));
    }

    /// Its process's id.
    #[must_use]
    pub fn process_id(&self) -> u32 {
        self.child.id()
    }

    /// Memory that it holds, in bytes.
    #[must_use]
    pub fn resident_bytes(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()));
        let status = status.expect("the broker runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.trim().strip_suffix(" kB")).expect("VmRSS in kB");
        1024 * kib.parse::<u64>().expect("a number")
    }

    /// What each of its threads waits for, a line each: for a test that waits in vain.
    #[must_use]
    pub fn threads(&self) -> String {
        let mut threads = String::new();
        let tasks = fs::read_dir(format!("/proc/{}/task", self.child.id()));
        for task in tasks.into_iter().flatten().flatten() {
            // One that ends meanwhile has nothing to tell.
            let tell = |file| fs::read_to_string(task.path().join(file)).unwrap_or_default();
            let (name, stat) = (tell("comm"), tell("stat"));
            let state = stat.rsplit(") ").next().and_then(|fields| fields.chars().next());
            let (waits, call) = (tell("wchan"), tell("syscall"));
            let state = state.unwrap_or('?');
            threads += &format!("{}: {state} {waits} {}\n", name.trim(), call.trim());
        }
        threads
    }

    /// Forbids it to write to files, of those it has open as well, beyond so many bytes.
    pub fn limit_files(&self, file_bytes_max: u64) {
        let limit = Rlimit { current: Some(file_bytes_max), maximum: Some(file_bytes_max) };
        prlimit(Some(self.id()), Resource::Fsize, limit).expect("the broker runs");
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        kill_process(self.id(), signal).expect("the broker is not waited for yet");
    }

    fn id(&self) -> Pid {
        let id = i32::try_from(self.child.id()).expect("process ids are positive i32");
        Pid::from_raw(id).expect("process ids are not zero")
    }

    /// Waits for its end and gives its exit code; a process that a signal ended has none.
    #[track_caller]
    pub fn wait_for_exit(&mut self) -> Option<i32> {
        wait_for_exit(&mut self.child)
    }

    /// Ends it at once with SIGKILL, as a crash would, and waits until it is gone: what it had
    /// not given to the operating system is lost.
    #[track_caller]
    pub fn kill(&mut self) {
        self.signal(Signal::KILL);
        assert_eq!(self.wait_for_exit(), None, "a killed process has no exit code");
    }

    /// Asks it to stop with SIGTERM, waits for its end and gives its exit code.
    #[track_caller]
    pub fn terminate(&mut self) -> Option<i32> {
        self.signal(Signal::TERM);
        self.wait_for_exit()
    }
}

impl Drop for BrokerProcess {
    fn drop(&mut self) {
        // Both fail for a broker that has ended already, and then there is nothing to do.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            show(&self.log());
        }
    }
}

/// Runs a broker binary that is expected to end by itself, and says how it did.
#[track_caller]
#[must_use]
pub fn run_to_exit<S: AsRef<OsStr>>(backend: Backend, arguments: &[S]) -> Exit {
    let mut child = Command::new(backend.binary())
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the broker was built");
    let stdout = keep_log(child.stdout.take().expect("standard output is piped"));
    let stderr = keep_log(child.stderr.take().expect("standard error is piped"));
    let code = wait_for_exit(&mut child).expect("an exit code, not a signal");
    // Each is whole when its reader has let go of it, which follows the process's end.
    wait_until("the end of the process's output", || {
        Arc::strong_count(&stdout) == 1 && Arc::strong_count(&stderr) == 1
    });
    let text = |kept: &Mutex<String>| kept.lock().expect("no holder panics").clone();
    Exit { code, stdout: text(&stdout), stderr: text(&stderr) }
}

#[track_caller]
fn wait_for_exit(child: &mut Child) -> Option<i32> {
    let mut status = None;
    wait_until("the end of the broker's process", || {
        status = child.try_wait().expect("a child of this process");
        status.is_some()
    });
    status.and_then(|status| status.code())
}

/// The first line of `output`, or an empty one at its end; the rest is read and dropped.
fn first_line(output: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut lines = BufReader::new(output);
        let mut line = String::new();
        // What cannot be read is as good as the end.
        let _ = lines.read_line(&mut line);
        let _ = sender.send(line.trim_end().to_owned());
        let _ = std::io::copy(&mut lines, &mut std::io::sink());
    });
    receiver
}

fn keep_log(output: impl Read + Send + 'static) -> Arc<Mutex<String>> {
    let log = Arc::new(Mutex::new(String::new()));
    let kept = Arc::clone(&log);
    thread::spawn(move || {
        let mut lines = BufReader::new(output);
        let mut line = Vec::new();
        while lines.read_until(b'\n', &mut line).is_ok_and(|count| count > 0) {
            let mut kept = kept.lock().expect("no holder of the log panics");
            if kept.len() < LOG_BYTES_MAX {
                kept.push_str(&String::from_utf8_lossy(&line));
            }
            line.clear();
        }
    });
    log
}

#[track_caller]
fn addresses(ready_line: &str) -> Vec<SocketAddr> {
    let list = ready_line.split(' ').find_map(|word| word.strip_prefix("listen="));
    let list = list.unwrap_or_else(|| panic!("expected listen= in the ready line {ready_line:?}"));
    let addresses = list.split(',').map(|address| address.parse().expect("an address"));
    addresses.collect()
}

#[expect(clippy::print_stderr, reason = "the test harness shows what a failed test printed")]
fn show(log: &str) {
    let start = log.ceil_char_boundary(log.len().saturating_sub(LOG_BYTES_SHOWN));
    eprintln!("the end of the broker's log:\n{}", &log[start..]);
}
