//! What is sampled of real processes: shells that fork, burn processor time, open and write files.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests to clippy only inside them")]

use harness::clock::Clock;
use harness::process::{Moment, ProcessSamples, Sampler};
use measure::CellResources;
use rustix::process::{Pid, Signal};
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;
use tempfile::TempDir;

/// Burns some tenths of a second of processor time in a shell.
const BURN: &str = "i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done";

/// A burn comes to more than this.
const BURN_NS_MIN: u64 = 50_000_000;

/// How long anything is waited for.
const WAIT_MAX: Duration = Duration::from_secs(30);

/// A shell, in a group of its own as a broker is, that does what it is told line by line. In its
/// directory are two pipes: whoever reads `go` waits for [`Shell::release`], and whoever has `held`
/// open is waited for by reading it to its end.
struct Shell {
    child: Child,
    said: Receiver<String>,
    dir: TempDir,
}

impl Shell {
    fn start() -> Self {
        // On a disk, which the system's place for temporary files may not be.
        let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let pipes = Command::new("mkfifo").args(["go", "held"]).current_dir(dir.path()).status();
        assert!(pipes.unwrap().success());
        let mut child = Command::new("sh")
            .current_dir(dir.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .process_group(0)
            .spawn()
            .unwrap();
        let (lines, said) = channel();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || {
            // Nobody listens any more once the test has failed.
            stdout.lines().map_while(Result::ok).try_for_each(|line| lines.send(line))
        });
        Self { child, said, dir }
    }

    fn sampler(&self) -> Sampler {
        let before = ProcessSamples::default();
        Sampler::start(self.child.id(), Clock::start(), before).unwrap()
    }

    /// Has it run something that says `done` at its end, in whatever process.
    fn run(&mut self, line: &str) {
        writeln!(self.child.stdin.as_mut().unwrap(), "{line}").unwrap();
        let said = self.said.recv_timeout(WAIT_MAX);
        assert_eq!(said.as_deref(), Ok("done"), "after {line}");
    }

    fn release(&self) {
        let go = self.dir.path().join("go");
        in_time(move || File::create(go).unwrap().write_all(b"go\n").unwrap());
    }

    fn open_held(&self) -> File {
        let held = self.dir.path().join("held");
        in_time(move || File::open(held).unwrap())
    }
}

/// Runs something that may wait for someone else, who may fail to come.
fn in_time<T: Send + 'static>(wait: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, is_done) = channel();
    std::thread::spawn(move || done.send(wait()));
    is_done.recv_timeout(WAIT_MAX).unwrap()
}

impl Drop for Shell {
    fn drop(&mut self) {
        // Either fails only if it has ended already.
        let group = Pid::from_child(&self.child);
        let _ended = rustix::process::kill_process_group(group, Signal::KILL);
        let _ended = self.child.wait();
    }
}

/// What was used at a moment when a child had burnt its share is the same, but for an exit, after.
fn check_kept_once(start: &Moment, burnt: &Moment, ended: &Moment) {
    let seen = start.until(burnt);
    assert!(seen.cpu_ns() >= BURN_NS_MIN, "{seen:?}");
    let later = start.until(ended);
    assert!(later.cpu_ns() >= seen.cpu_ns(), "lost: {seen:?}, {later:?}");
    assert!(later.cpu_ns() < seen.cpu_ns() * 3 / 2, "twice: {seen:?}, {later:?}");
    let switches = |used: &CellResources| used.context_switches_voluntary;
    assert!(switches(&later) >= switches(&seen), "{seen:?}, {later:?}");
}

#[test]
fn a_child_that_was_waited_for_keeps_its_share_exactly_once() {
    let mut shell = Shell::start();
    let sampler = shell.sampler();
    let start = sampler.moment();
    shell.run(&format!("({BURN}; echo done; read go <go) &"));
    let burnt = sampler.moment();
    shell.release();
    shell.run("wait; echo done");
    check_kept_once(&start, &burnt, &sampler.moment());
}

#[test]
fn an_orphan_is_found_in_the_group_and_keeps_its_share() {
    let mut shell = Shell::start();
    let sampler = shell.sampler();
    let start = sampler.moment();
    shell.run(&format!("( (exec 3<>held; {BURN}; echo done; read go <go) & )"));
    let burnt = sampler.moment();
    let mut held = shell.open_held();
    shell.release();
    in_time(move || held.read_to_end(&mut Vec::new()).unwrap());
    check_kept_once(&start, &burnt, &sampler.moment());
}

#[test]
fn children_that_come_and_go_while_it_looks_count_once() {
    let mut shell = Shell::start();
    let sampler = shell.sampler();
    let work = "j=0; while [ $j -lt 3000 ]; do j=$((j+1)); done";
    let round = format!("({work}) & ({work}; ({work}) & wait) & wait");
    let all = format!("n=0; while [ $n -lt 150 ]; do n=$((n+1)); {round}; done; echo done");
    std::thread::scope(|scope| {
        let worked = scope.spawn(|| shell.run(&all));
        while !worked.is_finished() {
            let _moment = sampler.moment();
        }
        worked.join().unwrap();
    });
    // One who looks only now sees them all in the shell's account, and nowhere else.
    let truth = shell.sampler().sample_now().unwrap();
    let seen = sampler.sample_now().unwrap();
    let difference_ns =
        (seen.cpu_user_ns + seen.cpu_system_ns).abs_diff(truth.cpu_user_ns + truth.cpu_system_ns);
    assert!(difference_ns <= 20_000_000, "{difference_ns} ns: {seen:?}, {truth:?}");
}

#[test]
fn open_files_and_switches_are_counted() {
    let mut shell = Shell::start();
    let sampler = shell.sampler();
    let start = sampler.moment();
    let before = start.until(&start);
    shell.run("exec 5>a 6>b 7>c; echo done");
    shell.run("echo done");
    let used = start.until(&sampler.moment());
    let open = before.file_descriptors_max.unwrap();
    assert!(used.file_descriptors_max.unwrap() >= open + 3, "{before:?}, {used:?}");
    assert!(used.context_switches_voluntary > 0, "{used:?}");
    assert!(used.threads_max >= 1, "{used:?}");
}

#[test]
fn what_a_short_child_wrote_and_synced_is_counted() {
    const WRITTEN_BYTES: u64 = 1 << 20;
    let mut shell = Shell::start();
    let sampler = shell.sampler().with_data_dir(shell.dir.path());
    let start = sampler.moment();
    shell.run("dd if=/dev/zero of=file bs=64k count=16 conv=fsync 2>/dev/null; echo done");
    let used = start.until(&sampler.moment());
    // Whoever runs a shell may see what it writes.
    assert!(used.disk_written_bytes.unwrap() >= WRITTEN_BYTES, "{used:?}");
    assert_eq!(used.disk_flushes.is_some(), sampler.warnings().is_empty(), "{used:?}");
    let each = start.until_delivered(&sampler.moment(), 1_000).cpu_us_per_delivery.unwrap();
    assert!(each <= used.cpu_ns() as f64 / 1e6 + 1e3, "{each} µs, {used:?}");
    assert_eq!(start.until_delivered(&start, 0).cpu_us_per_delivery, None);
    assert!(used.disk_flushes.is_none_or(|flushes| flushes >= 1), "{used:?}");
}

#[test]
fn a_peak_between_two_samples_is_seen() {
    const PEAK_BYTES: u64 = 20_000_000;
    let mut shell = Shell::start();
    let sampler = shell.sampler();
    let start = sampler.moment();
    shell.run(&format!("x=$(head -c {PEAK_BYTES} /dev/zero | tr '\\0' x); x=; echo done"));
    let used = start.until(&sampler.moment());
    assert!(used.resident_bytes_max >= PEAK_BYTES, "{used:?}");
}

#[test]
fn a_broker_that_has_ended_is_as_it_was_last_seen() {
    let mut shell = Shell::start();
    let sampler = shell.sampler();
    let start = sampler.moment();
    shell.run(&format!("{BURN}; echo done"));
    let burnt = sampler.moment();
    drop(shell);
    let used = start.until(&sampler.moment());
    assert_eq!(used.cpu_ns(), start.until(&burnt).cpu_ns());
}
