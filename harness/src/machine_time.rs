//! What the machine's processors did, as the kernel counts it, and how fast they ran.

/// Processor time of the whole machine since it started, as `/proc/stat` counts it, in ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MachineTicks {
    /// Of processes.
    pub(crate) processes: u64,
    /// Taken by other machines on the same host.
    pub(crate) steal: u64,
    /// Of everything, idle time included.
    pub(crate) all: u64,
}

impl MachineTicks {
    pub(crate) fn now() -> Option<Self> {
        Self::parse(&std::fs::read_to_string("/proc/stat").ok()?)
    }

    /// What came since.
    pub(crate) fn since(self, before: Self) -> Self {
        Self {
            processes: self.processes.saturating_sub(before.processes),
            steal: self.steal.saturating_sub(before.steal),
            all: self.all.saturating_sub(before.all),
        }
    }

    /// So many ticks as a part of all, in 0..=1.
    pub(crate) fn fraction(self, ticks: u64) -> f64 {
        ticks as f64 / self.all.max(1) as f64
    }

    /// The first line: user, nice, system, idle, iowait, irq, softirq, steal, … (proc_stat(5)).
    fn parse(stat: &str) -> Option<Self> {
        let line = stat.lines().next()?.strip_prefix("cpu ")?;
        let ticks: Vec<u64> = line.split_whitespace().filter_map(|n| n.parse().ok()).collect();
        let [user, nice, system, idle, iowait, irq, softirq, steal, ..] = ticks[..] else {
            return None;
        };
        let processes = user + nice + system;
        Some(Self { processes, steal, all: processes + idle + iowait + irq + softirq + steal })
    }
}

/// The mean clock of the processors now; `None` where the kernel does not tell it.
pub(crate) fn clock_mhz() -> Option<f64> {
    mean_mhz(&std::fs::read_to_string("/proc/cpuinfo").ok()?)
}

fn mean_mhz(cpuinfo: &str) -> Option<f64> {
    let clocks: Vec<f64> = cpuinfo
        .lines()
        .filter(|line| line.starts_with("cpu MHz"))
        .filter_map(|line| line.split_once(':')?.1.trim().parse().ok())
        .collect();
    (!clocks.is_empty()).then(|| clocks.iter().sum::<f64>() / clocks.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processes_and_stolen_time_are_told_apart_and_interrupts_are_neither() {
        let stat = "cpu  10 1 5 70 4 3 2 6 0 0\ncpu0 1 1 1 1 1 1 1 0 0 0\n";
        let expected = MachineTicks { processes: 16, steal: 6, all: 101 };
        assert_eq!(MachineTicks::parse(stat), Some(expected));
        assert_eq!(MachineTicks::parse("cpu  1 2"), None);
        assert!(MachineTicks::now().is_some());
    }

    #[test]
    fn the_clock_is_the_mean_over_processors() {
        assert_eq!(mean_mhz("cpu MHz\t\t: 2000.0\nflags : x\ncpu MHz\t\t: 3000.0\n"), Some(2500.0));
        assert_eq!(mean_mhz("processor : 0\n"), None);
    }
}
