//! What a reader must know to trust the figures.

use measure::{BrokerKind, BrokerRun, MachineFacts};

/// The part of the processors that others may use before a run is called disturbed.
const BUSY_FRACTION_MAX: f64 = 0.25;

/// What is known before anything ran.
#[must_use]
pub fn before_run(machine: &MachineFacts) -> Vec<String> {
    let mut warnings = Vec::new();
    if cfg!(debug_assertions) {
        warnings.push(
            "the load generator is a debug build and measures itself; run it with --release"
                .to_owned(),
        );
    }
    let load_average = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    warnings.extend(busy_machine(&load_average, machine.logical_cores));
    warnings
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

fn busy_machine(load_average: &str, cores: u32) -> Option<String> {
    let load: f64 = load_average.split_whitespace().next()?.parse().ok()?;
    (load > BUSY_FRACTION_MAX * f64::from(cores)).then(|| {
        format!(
            "the machine was busy before the run: a load of {load} on {cores} cores in the last \
             minute; compare figures of this run with each other only, or run it again at rest"
        )
    })
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
        assert!(busy_machine("1.50 0.2 0.1 1/100 4242\n", 2).unwrap().contains("load of 1.5"));
        assert_eq!(busy_machine("0.40 0.2 0.1 1/100 4242\n", 2), None);
        assert_eq!(busy_machine("", 2), None);
    }
}
