//! What `/proc/PID` tells of a process: processor time, memory, threads.

use super::ProcessError;

/// A process at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Usage {
    pub(super) cpu_user_ns: u64,
    pub(super) cpu_system_ns: u64,
    pub(super) resident_bytes: u64,
    pub(super) threads: u32,
}

impl Usage {
    pub(super) fn read(process_id: u32) -> Result<Self, ProcessError> {
        let ticks_per_s = rustix::param::clock_ticks_per_second();
        let (user, system) = parse_cpu_ticks(&read_file(process_id, "stat")?)?;
        let status = read_file(process_id, "status")?;
        Ok(Self {
            cpu_user_ns: ticks_ns(user, ticks_per_s),
            cpu_system_ns: ticks_ns(system, ticks_per_s),
            // A process that has just ended has no memory any more, and no line that says so.
            resident_bytes: parse_status(&status, "VmRSS:").unwrap_or(0) * 1024,
            threads: u32::try_from(parse_status(&status, "Threads:")?).unwrap_or(u32::MAX),
        })
    }
}

/// Processor time of this process; 0 where it cannot be read.
#[must_use]
pub fn own_cpu_ns() -> u64 {
    Usage::read(std::process::id()).map_or(0, |usage| usage.cpu_user_ns + usage.cpu_system_ns)
}

/// Processor time in the kernel's own unit, as `/proc/stat` has it.
#[must_use]
pub fn ns_to_ticks(cpu_ns: u64) -> u64 {
    cpu_ns / ticks_ns(1, rustix::param::clock_ticks_per_second()).max(1)
}

fn read_file(process_id: u32, name: &str) -> Result<String, ProcessError> {
    let what = format!("/proc/{process_id}/{name}");
    std::fs::read_to_string(&what).map_err(|error| ProcessError::Unreadable {
        what,
        expected: "a running process",
        found: error.to_string(),
    })
}

fn ticks_ns(ticks: u64, ticks_per_s: u64) -> u64 {
    const NS_PER_S: u64 = 1_000_000_000;
    ticks.saturating_mul(NS_PER_S / ticks_per_s.max(1))
}

/// User and system time of `/proc/PID/stat`, its fields 14 and 15 (proc_pid_stat(5)).
fn parse_cpu_ticks(stat: &str) -> Result<(u64, u64), ProcessError> {
    const FIELDS_FROM_STATE_TO_USER: usize = 11;
    let unreadable = || ProcessError::Unreadable {
        what: "/proc/PID/stat".to_owned(),
        expected: "user and system time as fields 14 and 15",
        found: stat.trim().to_owned(),
    };
    // The second field is the program's name in brackets, and may hold spaces and brackets itself.
    let (_, after_name) = stat.rsplit_once(')').ok_or_else(unreadable)?;
    let mut fields = after_name.split_whitespace().skip(FIELDS_FROM_STATE_TO_USER);
    let mut ticks = || fields.next().and_then(|field| field.parse().ok()).ok_or_else(unreadable);
    Ok((ticks()?, ticks()?))
}

/// The number behind `key` in `/proc/PID/status`.
fn parse_status(status: &str, key: &str) -> Result<u64, ProcessError> {
    status
        .lines()
        .find_map(|line| line.strip_prefix(key))
        .and_then(|value| value.split_whitespace().next()?.parse().ok())
        .ok_or_else(|| ProcessError::Unreadable {
            what: "/proc/PID/status".to_owned(),
            expected: "VmRSS and Threads",
            found: format!("no number behind {key}"),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_is_found_behind_any_name() {
        let stat = "42 (a (b) c) S 1 42 42 0 -1 4194304 100 0 0 0 123 45 6 7 20 0 3 0 99 1 2";
        assert_eq!(parse_cpu_ticks(stat).unwrap(), (123, 45));
        assert!(parse_cpu_ticks("42 (cut) S 1").is_err());
        assert!(parse_cpu_ticks("").is_err());
    }

    #[test]
    fn ticks_become_nanoseconds() {
        assert_eq!(ticks_ns(3, 100), 30_000_000);
        assert_eq!(ticks_ns(u64::MAX, 100), u64::MAX);
    }

    #[test]
    fn memory_and_threads_are_found_by_name() {
        let status = "Name:\tx\nVmRSS:\t    2048 kB\nThreads:\t7\n";
        assert_eq!(parse_status(status, "VmRSS:").unwrap(), 2048);
        assert_eq!(parse_status(status, "Threads:").unwrap(), 7);
        let error = parse_status("Name:\tx\n", "Threads:").unwrap_err().to_string();
        assert!(error.contains("Threads:"), "{error}");
    }

    #[test]
    fn this_process_can_be_read() {
        let usage = Usage::read(std::process::id()).unwrap();
        assert!(usage.resident_bytes > 0 && usage.threads > 0);
    }
}
