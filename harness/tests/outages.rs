//! Brokers that are killed under load and started again, and subscribers that come and go, through
//! brokers that really run. Those that are not built or not installed are passed over, and said so.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests to clippy only inside them")]

use harness::config::Config;
use harness::interrupt::Interrupt;
use harness::live::Live;
use harness::process::{Program, locate};
use harness::run::{Finished, run};
use measure::{OutageResult, StopKind};
use std::io::Write as _;
use std::path::PathBuf;

const OUTAGE: &str = "[[outages]]\npublishers = 2\nsubscribers = 2\nrate_per_s = 2000\n\
    payload_bytes = 100\nacks = 8\nkill_after_ms = 300\ndown_ms = 100\nduration_ms = 800\n";

/// What is still under way comes within this, or not at all.
const PHASES: &str = "[phases]\ndrain_ms_max = 2000\n";

const REDIS_STREAMS: &str = "driver = \"redis-streams\"\nguarantee = \"operating-system\"\n\
    command = [\"redis-server\", \"--port\", \"{port}\", \"--bind\", \"127.0.0.1\", \"--save\", \
    \"\", \"--dir\", \"{data_dir}\", \"--appendonly\", \"yes\", \"--appendfsync\", \"everysec\"]\n";

const REDIS_CHANNELS: &str = "driver = \"redis\"\nguarantee = \"in-memory\"\ncommand = \
    [\"redis-server\", \"--port\", \"{port}\", \"--bind\", \"127.0.0.1\", \"--save\", \"\"]\n";

const NATS: &str = "driver = \"nats\"\nguarantee = \"at-most-once\"\n\
    command = [\"nats-server\", \"-a\", \"127.0.0.1\", \"-p\", \"{port}\"]\n";

fn finished(broker: &str, load: &str) -> Finished {
    let text =
        format!("name = \"outages\"\n{PHASES}[[brokers]]\nname = \"broker\"\n{broker}{load}");
    let config = Config::parse(&text).unwrap();
    run(&config, &Interrupt::default(), &mut Live::silent()).unwrap()
}

/// Not through the test's own output, which is shown for failures alone.
fn skipped<T>(advice: &str) -> Option<T> {
    let _told = writeln!(std::io::stderr(), "skipped: {advice}");
    None
}

/// A broker of this workspace, of the release or else of this build.
fn tandem(program: &str, driver: &str, guarantee: &str, arguments: &str) -> Option<String> {
    let of_this_build = || {
        let own = std::env::current_exe().unwrap();
        let path = own.ancestors().nth(2).map(|dir| dir.join(program));
        path.filter(|path| path.is_file())
    };
    let path: Option<PathBuf> = match locate(program) {
        Program::Found(path) => Some(path),
        Program::Unbuilt { .. } | Program::Missing { .. } => of_this_build(),
    };
    let Some(path) = path else {
        return skipped(&format!("{program} is not built; `cargo build -p {program}` does it"));
    };
    Some(format!(
        "driver = \"{driver}\"\nguarantee = \"{guarantee}\"\ncommand = [\"{}\", {arguments}, \
         \"--listen\", \"127.0.0.1:0\", \"--log-level\", \"warn\"]\n",
        path.display()
    ))
}

/// Both backends, synced before they acknowledge.
fn synced(driver: &str) -> impl Iterator<Item = String> {
    let arguments = "\"--data\", \"{data_dir}\", \"--durability\", \"sync\"";
    let broker = move |program| tandem(program, driver, "synced", arguments);
    ["broker-threaded", "broker-mio"].into_iter().filter_map(broker)
}

fn in_memory(driver: &str) -> impl Iterator<Item = String> {
    let broker = move |program| tandem(program, driver, "in-memory", "\"--memory\"");
    ["broker-threaded", "broker-mio"].into_iter().filter_map(broker)
}

/// The outage, if the broker is installed, which recovered and broke no promise.
fn outage(broker: &str, load: &str) -> Option<OutageResult> {
    let finished = finished(broker, load);
    if let [missing] = finished.record.skipped.as_slice() {
        return skipped(&missing.reason);
    }
    assert_eq!((&finished.failures[..], &finished.breaches[..]), (&[][..], &[][..]), "{broker}");
    let mut measured = finished.record.brokers.into_iter().next().unwrap();
    let outage = measured.outages.remove(0);
    check_times(&outage);
    // Of the process before it and of the one after.
    let samples: Vec<u64> = measured.resources.iter().map(|sample| sample.t_ns).collect();
    assert!(samples.is_sorted() && samples.len() > 2, "{samples:?}");
    let response = outage.response.as_ref().unwrap();
    assert!(finished.histograms.histogram(&response.histogram).is_some());
    Some(outage)
}

fn check_times(outage: &OutageResult) {
    let (recovered_ns, again_ns) = (outage.recovered_ns, outage.acknowledged_again_ns);
    let up_ns = outage.down_ns + outage.ready_ns;
    assert!(outage.down_ns >= 100_000_000 && outage.ready_ns > 0, "{outage:?}");
    assert!(outage.stop_ns > 0 && outage.stop_ns <= outage.down_ns, "{outage:?}");
    assert!(recovered_ns >= Some(up_ns) && again_ns >= Some(up_ns), "{outage:?}");
    // One that is told to end may acknowledge until it does.
    let unavailable_ns = outage.unavailable_ns.unwrap();
    assert!(unavailable_ns + outage.stop_ns >= up_ns, "{outage:?}");
    assert_eq!(outage.recoveries_ns, [recovered_ns]);
    // Every message that was due was sent, and acknowledged in the end.
    assert_eq!((outage.sent, outage.acknowledged), (1600, 1600), "{outage:?}");
    assert_eq!((outage.reordered, outage.corrupted), (0, 0), "{outage:?}");
    let sum = |of: fn(&measure::TimelinePoint) -> u64| outage.timeline.iter().map(of).sum::<u64>();
    assert_eq!(sum(|point| point.sent), 1600);
    assert_eq!(sum(|point| point.delivered), 2 * 1600 - outage.lost + outage.duplicated);
    assert!(sum(|point| point.errors) >= 4, "four connections were lost: {outage:?}");
    let longest_ns = outage.response.as_ref().unwrap().summary.max_ns.unwrap();
    // Where nobody was subscribed yet, what waited for the broker came to nobody.
    assert!(longest_ns >= 100_000_000 || outage.lost > 0, "{longest_ns}: {outage:?}");
}

#[test]
fn a_crash_loses_nothing_that_was_acknowledged_after_sync() {
    for driver in ["tandem-native", "tandem-client"] {
        for broker in synced(driver) {
            let Some(outage) = outage(&broker, OUTAGE) else { continue };
            assert_eq!((outage.stop, outage.lost), (StopKind::Crash, 0), "{driver}: {outage:?}");
        }
    }
}

#[test]
fn sessions_of_mqtt_go_on_after_a_crash() {
    for keys in ["qos = 1\n", "qos = 1\nmqtt_version = \"5.0\"\n"] {
        for broker in synced("mqtt") {
            let Some(outage) = outage(&(broker + keys), OUTAGE) else { continue };
            assert_eq!(outage.lost, 0, "{keys}: {outage:?}");
        }
    }
}

#[test]
fn a_clean_stop_loses_nothing_either() {
    for broker in synced("tandem-native") {
        let Some(outage) = outage(&broker, &format!("{OUTAGE}stop = \"clean\"\n")) else {
            continue;
        };
        assert_eq!((outage.stop, outage.lost), (StopKind::Clean, 0), "{outage:?}");
    }
}

#[test]
fn what_a_broker_has_in_memory_may_be_lost_with_it() {
    for broker in in_memory("tandem-native").chain(in_memory("tandem-json")) {
        let _outage = outage(&broker, OUTAGE);
    }
}

#[test]
fn redis_streams_are_read_on_from_where_they_were() {
    if let Some(outage) = outage(REDIS_STREAMS, OUTAGE) {
        // Its readers keep their place themselves, so only what was sent again comes again.
        assert!(outage.lost == 0 && outage.duplicated <= 2 * outage.resent, "{outage:?}");
    }
}

#[test]
fn channels_and_subjects_lose_what_nobody_was_there_for_and_promise_no_more() {
    for broker in [REDIS_CHANNELS, NATS] {
        let _outage = outage(broker, OUTAGE);
    }
}

#[test]
fn what_cannot_be_stopped_or_cannot_keep_its_promise_is_skipped_with_the_reason() {
    let check = |broker: &str, words: &str| {
        let finished = finished(broker, OUTAGE);
        let skipped = &finished.record.skipped;
        assert!(skipped.iter().any(|it| it.reason.contains(words)), "{broker}: {skipped:?}");
        assert!(finished.record.brokers.is_empty(), "{broker}");
    };
    check("driver = \"null\"\n", "no process");
    check("driver = \"disk\"\n", "no process");
    check("driver = \"byte-pipe\"\ncommand = [\"byte-pipe\"]\n", "acknowledges nothing");
    check("driver = \"tandem-native\"\naddress = \"127.0.0.1:1\"\n", "only what it has started");
    let without = REDIS_STREAMS.replace("{data_dir}", "/nowhere");
    check(&without, "without {data_dir}");
    check(&NATS.replace("at-most-once", "synced"), "not kept");
}

const CHURN: &str = "[[streams]]\npublishers = 1\nsubscribers = 2\npayload_bytes = 100\n\
    duration_ms = 600\nwarmup_ms = 20\nload = { rate_per_s = 3000 }\n\
    churn = { every_ms = 50, subscribers = 3 }\n";

/// Those that stay get everything, whoever comes and goes.
fn check_churn(broker: &str) {
    let finished = finished(broker, CHURN);
    if let [missing] = finished.record.skipped.as_slice() {
        return skipped(&missing.reason).unwrap_or_default();
    }
    assert_eq!((&finished.failures[..], &finished.breaches[..]), (&[][..], &[][..]), "{broker}");
    let stream = &finished.record.brokers[0].streams[0];
    assert!(stream.is_faultless() && stream.messages_received == 2 * 1800, "{stream:?}");
    let churned = stream.churn.unwrap();
    // On a busy machine some may have to leave before they are let in.
    assert!(churned.comings >= 6 && churned.failures < churned.comings, "{broker}: {churned:?}");
}

#[test]
fn subscribers_that_come_and_go_cost_the_others_nothing() {
    for driver in ["tandem-native", "tandem-client", "tandem-json", "mqtt"] {
        in_memory(driver).for_each(|broker| check_churn(&broker));
    }
    [REDIS_STREAMS, REDIS_CHANNELS, NATS].into_iter().for_each(check_churn);
}

#[test]
fn nobody_comes_and_goes_where_nobody_connects() {
    let finished = finished("driver = \"null\"\n", CHURN);
    let skipped = &finished.record.skipped[0];
    assert!(skipped.reason.contains("nobody comes"), "{skipped:?}");
}
