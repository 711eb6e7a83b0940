//! What a reader must know to trust the figures.

use crate::machine_time::MachineTicks;
use crate::process;
use measure::{BrokerKind, BrokerRun, StreamLoad};
use std::collections::BTreeMap;

/// The part of the processors that others may use during a run before it is called disturbed.
pub(crate) const OTHERS_FRACTION_MAX: f64 = 0.1;

/// What is known before anything is measured.
#[must_use]
pub fn before_run() -> Option<String> {
    cfg!(debug_assertions).then(|| {
        "the load generator is a debug build and measures itself; run it with --release".to_owned()
    })
}

/// Watches who uses the processors while a run goes on.
#[derive(Clone, Copy, Debug)]
pub struct ProcessorWatch {
    machine: Option<MachineTicks>,
    own_cpu_ns: u64,
}

impl ProcessorWatch {
    /// Begins now.
    #[must_use]
    pub fn start() -> Self {
        Self { machine: MachineTicks::now(), own_cpu_ns: process::own_cpu_ns() }
    }

    /// What others did meanwhile, if it was much. `brokers_cpu_ns` is what the brokers used.
    #[must_use]
    pub fn finish(self, brokers_cpu_ns: u64) -> Option<String> {
        let (from, to) = self.machine.zip(MachineTicks::now())?;
        let own_cpu_ns = process::own_cpu_ns().saturating_sub(self.own_cpu_ns);
        let ours = process::ns_to_ticks(own_cpu_ns + brokers_cpu_ns);
        disturbed(from, to, ours)
    }
}

fn disturbed(from: MachineTicks, to: MachineTicks, ours: u64) -> Option<String> {
    let between = to.since(from);
    let fraction = between.fraction((between.processes + between.steal).saturating_sub(ours));
    (fraction > OTHERS_FRACTION_MAX).then(|| {
        format!(
            "others used {:.0} % of the machine during the run; compare figures of this run with \
             each other only, or run it again at rest",
            fraction * 100.0
        )
    })
}

/// What the figures themselves tell.
#[must_use]
pub fn after_run(brokers: &[BrokerRun]) -> Vec<String> {
    let measured = brokers.iter().filter(|broker| broker.kind == BrokerKind::Broker);
    measured.filter_map(at_ceiling).chain(on_no_disk(brokers)).collect()
}

/// File systems whose files are memory.
const MEMORY_FILE_SYSTEMS: [&str; 2] = ["tmpfs", "ramfs"];

fn on_no_disk(brokers: &[BrokerRun]) -> Option<String> {
    let place = brokers
        .iter()
        .filter_map(|broker| broker.data_place.as_ref())
        .find(|place| MEMORY_FILE_SYSTEMS.contains(&place.file_system.as_str()))?;
    Some(format!(
        "messages were kept in {}, a {}, which is memory: nothing was written to a disk; set \
         data_root to a directory on one",
        place.root, place.file_system
    ))
}

fn at_ceiling(broker: &BrokerRun) -> Option<String> {
    let mut sizes: BTreeMap<_, Vec<String>> = BTreeMap::new();
    for stream in &broker.streams {
        let at_ceiling = stream.ratio_to_ceiling.is_some_and(|ratio| ratio >= 1.0);
        if at_ceiling && stream.load == StreamLoad::Saturating {
            sizes.entry(stream.shape).or_default().push(stream.payload_bytes.to_string());
        }
    }
    let streams: Vec<_> =
        sizes.iter().map(|(shape, sizes)| format!("{shape} ({} B)", sizes.join(", "))).collect();
    (!streams.is_empty()).then(|| {
        format!(
            "{} reached the byte pipe in {}: there the load generator or the kernel may be the \
             limit, and the broker faster than it shows",
            broker.name,
            streams.join(", ")
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_used_is_named() {
        let ticks = |processes, all| MachineTicks { processes, steal: 0, all };
        let warning = disturbed(ticks(0, 0), ticks(150, 200), 100).unwrap();
        assert!(warning.contains("others used 25 %"), "{warning}");
        assert_eq!(disturbed(ticks(100, 200), ticks(300, 400), 190), None);
        assert_eq!(disturbed(ticks(1, 1), ticks(1, 1), 5), None);
    }
}
