//! How long the test runs, from which seed, and the limits that its brokers get.

use std::env;
use std::time::Duration;

/// How much is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Length {
    /// So many lives of a broker.
    Cycles(u64),
    /// As many as there is time for.
    Time(Duration),
}

/// Lives of a broker where nothing else is asked for.
const CYCLES: u64 = 10;

/// The seed: `CRASH_SEED`, or another one each time.
pub(crate) fn seed() -> u64 {
    number_from("CRASH_SEED").unwrap_or_else(|| fastrand::u64(..1_000_000))
}

/// How long to run: `CRASH_CYCLES`, or `CRASH_SECONDS`.
pub(crate) fn length() -> Length {
    match (number_from("CRASH_SECONDS"), number_from("CRASH_CYCLES")) {
        (Some(seconds), _) => Length::Time(Duration::from_secs(seconds)),
        (None, cycles) => Length::Cycles(cycles.unwrap_or(CYCLES)),
    }
}

fn number_from(variable: &str) -> Option<u64> {
    let text = env::var(variable).ok()?;
    let number = text.parse();
    Some(number.unwrap_or_else(|_| panic!("{variable} must be a number, found {text:?}")))
}

/// Limits with which, within a few lives, there are snapshots, segments without anything live
/// that go, mostly dead ones that are moved, and messages that are only on disk.
pub(crate) const FLAGS: [&str; 14] = flags("256KiB");

/// The same for MQTT, whose publications are small.
pub(crate) const MQTT_FLAGS: [&str; 14] = flags("48KiB");

const fn flags(snapshot_bytes: &'static str) -> [&'static str; 14] {
    [
        "--journal-segment-bytes-max",
        "64KiB",
        "--journal-snapshot-bytes",
        snapshot_bytes,
        "--journal-bytes-max",
        "2GiB",
        "--topic-cache-bytes-max",
        "16KiB",
        "--journal-sync-ms-max",
        "50",
        "--connections-max",
        "1000",
        "--log-level",
        "warn",
    ]
}
