//! What the machine was that a run took place on.

use std::fs;
use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::MeasureError;

/// Facts about the machine that explain a result, and none that identify its owner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MachineFacts {
    /// The processor's name, or "unknown" where the kernel does not tell it.
    pub cpu_model: String,
    /// The processor architecture, e.g. `x86_64`.
    pub architecture: String,
    /// Logical processors that the kernel runs.
    pub logical_cores: u32,
    /// Physical memory.
    pub memory_bytes: u64,
    /// The kernel's name and release, e.g. `Linux 6.1.0`.
    pub kernel: String,
    /// The operating system's name, e.g. `Debian GNU/Linux 12 (bookworm)`, or "unknown".
    pub os: String,
}

impl MachineFacts {
    /// Reads the facts of this machine from `/proc` and `/etc/os-release`.
    ///
    /// # Errors
    /// [`MeasureError::Io`] if `/proc` cannot be read, and [`MeasureError::Malformed`] if it does
    /// not tell the processors or the memory.
    pub fn read() -> Result<Self, MeasureError> {
        let cpuinfo = read_text("/proc/cpuinfo")?;
        let meminfo = read_text("/proc/meminfo")?;
        let release = read_text("/proc/sys/kernel/osrelease")?;
        // A container may come without this file; the run is worth recording all the same.
        let os_release = fs::read_to_string("/etc/os-release").unwrap_or_default();
        Ok(Self {
            cpu_model: cpu_model(&cpuinfo).unwrap_or_else(unknown),
            architecture: std::env::consts::ARCH.to_owned(),
            logical_cores: logical_cores(&cpuinfo)?,
            memory_bytes: memory_bytes(&meminfo)?,
            kernel: format!("Linux {}", release.trim()),
            os: os_name(&os_release).unwrap_or_else(unknown),
        })
    }
}

fn read_text(path: &str) -> Result<String, MeasureError> {
    fs::read_to_string(path).map_err(|source| MeasureError::Io {
        action: "read",
        path: Path::new(path).to_owned(),
        source,
        advice: "run on Linux with /proc mounted",
    })
}

fn unknown() -> String {
    "unknown".to_owned()
}

fn cpu_model(cpuinfo: &str) -> Option<String> {
    cpuinfo.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        matches!(key.trim(), "model name" | "Model" | "cpu model").then(|| value.trim().to_owned())
    })
}

fn logical_cores(cpuinfo: &str) -> Result<u32, MeasureError> {
    let processors = cpuinfo
        .lines()
        .filter_map(|line| line.split_once(':'))
        .filter(|(key, _)| key.trim() == "processor")
        .count();
    match u32::try_from(processors) {
        Ok(cores) if cores > 0 => Ok(cores),
        _ => Err(MeasureError::Malformed {
            place: "/proc/cpuinfo".to_owned(),
            expected: "a line `processor : N` for each logical processor",
            found: format!("{processors} such lines"),
            advice: "run on Linux with /proc mounted",
        }),
    }
}

fn memory_bytes(meminfo: &str) -> Result<u64, MeasureError> {
    let total = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:")).map(str::trim);
    total
        .and_then(|value| value.strip_suffix(" kB"))
        .and_then(|kibibytes| kibibytes.trim().parse::<u64>().ok())
        .map(|kibibytes| kibibytes * 1024)
        .ok_or_else(|| MeasureError::Malformed {
            place: "/proc/meminfo".to_owned(),
            expected: "a line `MemTotal: N kB`",
            found: total.unwrap_or("no such line").to_owned(),
            advice: "run on Linux with /proc mounted",
        })
}

fn os_name(os_release: &str) -> Option<String> {
    os_release
        .lines()
        .find_map(|line| line.strip_prefix("PRETTY_NAME="))
        .map(|name| name.trim_matches('"').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const CPUINFO: &str = "processor\t: 0\nmodel name\t: Example CPU @ 3.0GHz\n\n\
                           processor\t: 1\nmodel name\t: Example CPU @ 3.0GHz\n";

    #[test]
    fn cpuinfo_tells_model_and_cores() {
        assert_eq!(cpu_model(CPUINFO).unwrap(), "Example CPU @ 3.0GHz");
        assert_eq!(logical_cores(CPUINFO).unwrap(), 2);
        assert_eq!(cpu_model("processor : 0\n"), None);
    }

    #[test]
    fn meminfo_tells_bytes() {
        let bytes = memory_bytes("MemTotal:       16384 kB\nMemFree: 1 kB\n").unwrap();
        assert_eq!(bytes, 16 * 1024 * 1024);
    }

    #[test]
    fn unreadable_facts_say_what_was_expected() {
        let error = memory_bytes("MemFree: 1 kB\n").unwrap_err().to_string();
        assert!(error.contains("MemTotal: N kB"), "{error}");
        let error = logical_cores("").unwrap_err().to_string();
        assert!(error.contains("0 such lines"), "{error}");
    }

    #[test]
    fn os_release_tells_the_name() {
        let name = os_name("ID=debian\nPRETTY_NAME=\"Debian GNU/Linux 12\"\n");
        assert_eq!(name.unwrap(), "Debian GNU/Linux 12");
    }

    #[test]
    fn this_machine_can_be_read() {
        let facts = MachineFacts::read().unwrap();
        assert!(facts.logical_cores > 0 && facts.memory_bytes > 0);
    }
}
