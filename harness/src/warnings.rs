//! What a reader must know to trust the figures.

use measure::{BrokerKind, BrokerRun};
use std::time::Duration;

/// The part of the processors that others may use before a run is called disturbed.
const BUSY_FRACTION_MAX: f64 = 0.1;

/// How long the processors are watched for it.
const BUSY_WATCH_MS: u64 = 300;

/// What is known before anything is measured. Watches the machine for a moment.
#[must_use]
pub fn before_run() -> Vec<String> {
    let mut warnings = Vec::new();
    if cfg!(debug_assertions) {
        warnings.push(
            "the load generator is a debug build and measures itself; run it with --release"
                .to_owned(),
        );
    }
    let earlier = CpuTicks::now();
    std::thread::sleep(Duration::from_millis(BUSY_WATCH_MS));
    warnings.extend(earlier.zip(CpuTicks::now()).and_then(|(from, to)| busy_machine(from, to)));
    warnings
}

/// Processor time of the whole machine since it started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct CpuTicks {
    idle: u64,
    all: u64,
}

impl CpuTicks {
    fn now() -> Option<Self> {
        Self::parse(&std::fs::read_to_string("/proc/stat").ok()?)
    }

    /// The first line of `/proc/stat`: user, nice, system, idle, iowait, … (proc_stat(5)).
    fn parse(stat: &str) -> Option<Self> {
        const IDLE: usize = 3;
        const IOWAIT: usize = 4;
        let line = stat.lines().next()?.strip_prefix("cpu ")?;
        let ticks: Vec<u64> = line.split_whitespace().filter_map(|n| n.parse().ok()).collect();
        Some(Self { idle: ticks.get(IDLE)? + ticks.get(IOWAIT)?, all: ticks.iter().sum() })
    }
}

fn busy_machine(from: CpuTicks, to: CpuTicks) -> Option<String> {
    let all = to.all.saturating_sub(from.all);
    let busy = all.saturating_sub(to.idle.saturating_sub(from.idle));
    let fraction = busy as f64 / all.max(1) as f64;
    (fraction > BUSY_FRACTION_MAX).then(|| {
        format!(
            "the machine was {:.0} % busy before anything was measured; compare figures of this \
             run with each other only, or run it again at rest",
            fraction * 100.0
        )
    })
}

/// What the figures themselves tell.
#[must_use]
pub fn after_run(brokers: &[BrokerRun]) -> Vec<String> {
    brokers
        .iter()
        .filter(|broker| broker.kind == BrokerKind::Broker)
        .filter_map(at_ceiling)
        .collect()
}

fn at_ceiling(broker: &BrokerRun) -> Option<String> {
    let streams: Vec<String> = broker
        .streams
        .iter()
        .filter(|stream| stream.ratio_to_ceiling.is_some_and(|ratio| ratio >= 1.0))
        .filter(|stream| stream.load == measure::StreamLoad::Saturating)
        .map(|stream| format!("{} at {} B", stream.shape, stream.payload_bytes))
        .collect();
    (!streams.is_empty()).then(|| {
        format!(
            "{}: as fast as the byte pipe or faster with {}: there the load generator or the \
             kernel may be the limit, and the broker faster than it shows",
            broker.name,
            streams.join(", ")
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_busy_machine_is_named() {
        let ticks = |idle, all| CpuTicks { idle, all };
        assert!(busy_machine(ticks(0, 0), ticks(45, 60)).unwrap().contains("25 % busy"));
        assert_eq!(busy_machine(ticks(100, 200), ticks(159, 260)), None);
        assert_eq!(busy_machine(ticks(1, 1), ticks(1, 1)), None);
    }

    #[test]
    fn the_kernel_counts_idle_time_in_two_columns() {
        let stat = "cpu  10 1 5 70 4 0 2 0 0 0\ncpu0 1 1 1 1 1 1 1 0 0 0\n";
        assert_eq!(CpuTicks::parse(stat), Some(CpuTicks { idle: 74, all: 92 }));
        assert_eq!(CpuTicks::parse("cpu  1 2"), None);
        assert!(CpuTicks::now().is_some());
    }
}
