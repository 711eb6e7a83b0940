//! What `/proc/PID` tells of one process: processor time, memory, threads, switches, writes.

use super::ProcessError;
use procfs::ProcError;
use procfs::process::Process;
use std::collections::HashMap;
use std::fs::File;
use std::io::Read;

const NS_PER_S: u64 = 1_000_000_000;

/// Which process, for ids are used again: two with one id differ in when they started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) process_id: i32,
    /// Kernel ticks since the machine started.
    pub(super) started_ticks: u64,
}

/// Processor time in the two modes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct CpuTime {
    pub(super) user_ns: u64,
    pub(super) system_ns: u64,
}

impl CpuTime {
    /// Each mode by itself, and at least 0.
    pub(super) fn less(self, other: Self) -> Self {
        Self {
            user_ns: self.user_ns.saturating_sub(other.user_ns),
            system_ns: self.system_ns.saturating_sub(other.system_ns),
        }
    }
}

impl std::ops::AddAssign for CpuTime {
    fn add_assign(&mut self, other: Self) {
        self.user_ns += other.user_ns;
        self.system_ns += other.system_ns;
    }
}

/// What `/proc/PID/stat` has of a process and its place among the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Kin {
    pub(super) identity: Identity,
    pub(super) parent_id: i32,
    pub(super) group_id: i32,
    /// Of all its threads, also those that have ended.
    pub(super) own: CpuTime,
    /// Of its children that have ended and that it waited for, and of theirs.
    pub(super) reaped: CpuTime,
}

/// The memory and threads of a process at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) resident_bytes: u64,
    /// Since it started.
    pub(super) resident_bytes_max: u64,
    pub(super) threads: u32,
}

/// How often a thread gave up its core, and how often it was taken away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Switches {
    pub(super) voluntary: u64,
    pub(super) involuntary: u64,
}

impl std::ops::AddAssign for Switches {
    fn add_assign(&mut self, other: Self) {
        self.voluntary += other.voluntary;
        self.involuntary += other.involuntary;
    }
}

/// Reads `/proc/PID/stat`, fields 4, 5, 14 to 17 and 22 (proc_pid_stat(5)).
pub(super) fn kin(process: &Process) -> Result<Kin, ProcError> {
    let stat = process.stat()?;
    let waited_for = |ticks: i64| cpu_ns(u64::try_from(ticks).unwrap_or(0));
    Ok(Kin {
        identity: Identity { process_id: stat.pid, started_ticks: stat.starttime },
        parent_id: stat.ppid,
        group_id: stat.pgrp,
        own: CpuTime { user_ns: cpu_ns(stat.utime), system_ns: cpu_ns(stat.stime) },
        reaped: CpuTime { user_ns: waited_for(stat.cutime), system_ns: waited_for(stat.cstime) },
    })
}

/// Reads `/proc/PID/status`.
pub(super) fn size(process: &Process) -> Result<Size, ProcError> {
    let status = process.status()?;
    // A process that has just ended has no memory any more, and no line that says so.
    let bytes = |kibibytes: Option<u64>| kibibytes.unwrap_or(0) * 1024;
    Ok(Size {
        resident_bytes: bytes(status.vmrss),
        resident_bytes_max: bytes(status.vmhwm),
        threads: u32::try_from(status.threads).unwrap_or(u32::MAX),
    })
}

/// Reads `/proc/PID/task/TID/status` of each thread. A broker may have thousands, so no more of it
/// is taken apart than the two lines at its end.
pub(super) fn switches(process_id: i32) -> std::io::Result<HashMap<i32, Switches>> {
    let mut switches = HashMap::new();
    let mut status = String::new();
    for entry in std::fs::read_dir(format!("/proc/{process_id}/task"))? {
        let entry = entry?;
        let thread_id = entry.file_name().to_str().and_then(|name| name.parse().ok());
        status.clear();
        // A thread that ends meanwhile is left out, and its last count is kept.
        let read = File::open(entry.path().join("status"))
            .and_then(|mut file| file.read_to_string(&mut status));
        if let (Ok(_), Some(thread_id)) = (read, thread_id) {
            switches.insert(thread_id, parse_switches(&status));
        }
    }
    Ok(switches)
}

/// The two counts, 0 where the kernel does not tell (proc_pid_status(5)).
fn parse_switches(status: &str) -> Switches {
    let mut switches = Switches::default();
    for line in status.lines().rev() {
        let Some((key, count)) = line.split_once(':') else { continue };
        let count = count.trim().parse().unwrap_or(0);
        match key {
            "nonvoluntary_ctxt_switches" => switches.involuntary = count,
            "voluntary_ctxt_switches" => {
                switches.voluntary = count;
                break;
            }
            _ => {}
        }
    }
    switches
}

/// Opens `/proc/PID`.
pub(super) fn open(process_id: i32) -> Result<Process, ProcError> {
    Process::new(process_id)
}

/// As an error that says which process.
pub(super) fn unreadable(process_id: u32, error: &ProcError) -> ProcessError {
    ProcessError::Unreadable {
        what: format!("/proc/{process_id}"),
        expected: "a running process",
        found: error.to_string(),
    }
}

/// Processor time of this process; 0 where it cannot be read.
#[must_use]
pub fn own_cpu_ns() -> u64 {
    let own = Process::myself().and_then(|process| kin(&process)).map(|kin| kin.own);
    own.map_or(0, |own| own.user_ns + own.system_ns)
}

/// Processor time in the kernel's own unit, as `/proc/stat` has it.
#[must_use]
pub fn ns_to_ticks(cpu_ns: u64) -> u64 {
    cpu_ns / tick_ns().max(1)
}

/// Kernel ticks as nanoseconds.
#[must_use]
pub fn cpu_ns(ticks: u64) -> u64 {
    ticks.saturating_mul(tick_ns())
}

fn tick_ns() -> u64 {
    NS_PER_S / rustix::param::clock_ticks_per_second().max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_become_nanoseconds_and_ticks_again() {
        assert_eq!(ns_to_ticks(cpu_ns(3)), 3);
        assert_eq!(cpu_ns(u64::MAX), u64::MAX);
    }

    #[test]
    fn this_process_can_be_read() {
        let process = Process::myself().unwrap();
        let size = size(&process).unwrap();
        assert!(size.resident_bytes > 0 && size.threads > 0);
        assert!(size.resident_bytes_max >= size.resident_bytes / 2);
        let kin = kin(&process).unwrap();
        assert_eq!(kin.identity.process_id as u32, std::process::id());
        assert!(kin.parent_id > 0 && kin.group_id > 0);
    }

    #[test]
    fn switches_are_the_lines_at_the_end() {
        let status = "Name:\tvoluntary_ctxt_switches: 9\nThreads:\t1\n\
                      voluntary_ctxt_switches:\t12\nnonvoluntary_ctxt_switches:\t3\n";
        assert_eq!(parse_switches(status), Switches { voluntary: 12, involuntary: 3 });
        assert_eq!(parse_switches("Threads:\t1\n"), Switches::default());
        let process_id = i32::try_from(std::process::id()).unwrap();
        assert!(switches(process_id).unwrap().contains_key(&process_id));
    }

    #[test]
    fn time_that_went_back_is_no_time() {
        let (less, more) =
            (CpuTime { user_ns: 1, system_ns: 9 }, CpuTime { user_ns: 5, system_ns: 2 });
        assert_eq!(less.less(more), CpuTime { user_ns: 0, system_ns: 7 });
    }
}
