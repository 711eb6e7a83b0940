//! Topics on disk: what was acknowledged is there after the broker's process ended.

use conformance::{Backend, BrokerProcess, DataDir, JsonClient, Speaks};
use conformance::{for_both_backends, run_to_exit, wait_until};
use protocol::{Retention, StorageClass, TopicOptions};
use std::fs;
use std::io::Write;

for_both_backends! {
    what_was_acknowledged_outlives_a_kill,
    what_was_acknowledged_outlives_an_orderly_stop,
    a_damaged_journal_is_refused_and_quarantined_when_asked,
    a_full_journal_gives_up_the_oldest_messages,
    old_messages_outlive_the_segments_that_they_were_written_to,
    topics_in_memory_end_with_the_broker_and_those_on_disk_do_not,
}

/// Publishes `count` messages to `topic`, each acknowledged.
fn publish(broker: &BrokerProcess, topic: &str, messages: std::ops::Range<u32>) {
    let mut client = JsonClient::connect(broker);
    for number in messages {
        let offset = client.publish(topic, number.to_string());
        assert_eq!(offset, Ok(u64::from(number)));
    }
}

/// All messages of `topic` that `sid` has not read yet, and how many it lost.
fn pulled(broker: &BrokerProcess, topic: &str, sid: &str) -> (Vec<String>, u64) {
    let mut client = JsonClient::connect(broker);
    client.subscribe(topic, sid).expect("subscribed");
    let (mut messages, mut lost) = (Vec::new(), 0);
    loop {
        let pulled = client.pull(topic, sid).expect("pulled");
        lost += pulled.lost;
        if pulled.messages.is_empty() {
            return (messages, lost);
        }
        messages.extend(pulled.texts().into_iter().map(str::to_owned));
    }
}

fn numbers(range: std::ops::Range<u32>) -> Vec<String> {
    range.map(|number| number.to_string()).collect()
}

fn what_was_acknowledged_outlives_a_kill(backend: Backend) {
    let data = DataDir::new();
    for round in 0..3 {
        let mut broker = BrokerProcess::start_on(backend, &data, &[]);
        if round == 0 {
            JsonClient::connect(&broker).create("News").expect("created");
        }
        publish(&broker, "News", round * 100..(round + 1) * 100);
        broker.kill();
    }
    let broker = BrokerProcess::start_on(backend, &data, &[]);
    assert_eq!(pulled(&broker, "News", "me"), (numbers(0..300), 0));
}

fn what_was_acknowledged_outlives_an_orderly_stop(backend: Backend) {
    let data = DataDir::new();
    let mut broker = BrokerProcess::start_on(backend, &data, &[]);
    JsonClient::connect(&broker).create("News").expect("created");
    publish(&broker, "News", 0..100);
    assert_eq!(pulled(&broker, "News", "me"), (numbers(0..100), 0));
    publish(&broker, "News", 100..120);
    assert_eq!(broker.terminate(), Some(0));
    let broker = BrokerProcess::start_on(backend, &data, &[]);
    assert_eq!(pulled(&broker, "News", "me"), (numbers(100..120), 0));
}

fn a_damaged_journal_is_refused_and_quarantined_when_asked(backend: Backend) {
    let data = DataDir::new();
    let mut broker = BrokerProcess::start_on(backend, &data, &[]);
    JsonClient::connect(&broker).create("News").expect("created");
    publish(&broker, "News", 0..100);
    broker.kill();

    let segment = data.path().join(format!("{:020}.segment", 0));
    let mut bytes = fs::read(&segment).expect("the first segment");
    let needle = b"\x02\x00\x00\x0050";
    let at = bytes.windows(needle.len()).position(|found| found == needle).expect("message 50");
    bytes[at + 4] ^= 1;
    fs::write(&segment, &bytes).expect("written");

    let path = data.path().to_str().expect("a path in UTF-8");
    let exit = run_to_exit(backend, &["--listen", "127.0.0.1:0", "--data", path]);
    assert_eq!(exit.code, 2, "{}", exit.stderr);
    for part in [
        ".segment is damaged at offset",
        "\"News\" offsets 50 to 50",
        "--recover quarantine",
        "tandem journal verify",
    ] {
        assert!(exit.stderr.contains(part), "expected {part:?} in: {}", exit.stderr);
    }
    let broker = BrokerProcess::start_on(backend, &data, &["--recover", "quarantine"]);
    broker.wait_for_log_line(&["messages are missing", "News"]);
    let mut expected = numbers(0..100);
    expected.remove(50);
    assert_eq!(pulled(&broker, "News", "me"), (expected, 1));
}

/// A journal of small segments, which is kept short often.
const SMALL: [&str; 6] = [
    "--journal-segment-bytes-max",
    "64KiB",
    "--journal-bytes-max",
    "1MiB",
    "--journal-snapshot-bytes",
    "128KiB",
];

/// Publishes so many messages of 10 000 bytes to `topic` that begin with their numbers.
fn publish_large(broker: &BrokerProcess, topic: &str, count: u32) {
    let mut client = JsonClient::connect(broker);
    for number in 0..count {
        client.publish(topic, format!("{number:<10000}")).expect("published");
    }
}

fn a_full_journal_gives_up_the_oldest_messages(backend: Backend) {
    let data = DataDir::new();
    let mut broker = BrokerProcess::start_on(backend, &data, &SMALL);
    JsonClient::connect(&broker).create("News").expect("created");
    publish_large(&broker, "News", 400);
    wait_until("segments of at most 1 MiB", || data.segment_bytes() <= 1 << 20);
    broker.wait_for_log_line(&["gave up the oldest messages", "journal_bytes_max"]);
    broker.kill();

    let broker = BrokerProcess::start_on(backend, &data, &SMALL);
    let (messages, _) = pulled(&broker, "News", "me");
    assert!(messages.len() >= 10, "{}", messages.len());
    let first = 400 - messages.len() as u32;
    let found: Vec<_> = messages.iter().map(|message| message.trim_end().to_owned()).collect();
    assert_eq!(found, numbers(first..400), "the newest, without a gap");
}

fn old_messages_outlive_the_segments_that_they_were_written_to(backend: Backend) {
    let data = DataDir::new();
    let mut broker = BrokerProcess::start_on(backend, &data, &SMALL);
    let mut client = JsonClient::connect(&broker);
    client.create("rare").expect("created");
    let retention = Retention { messages_max: Some(5), ..Retention::default() };
    client.create_with("busy", retention).expect("created");
    for round in 0..10 {
        publish(&broker, "rare", round * 10..(round + 1) * 10);
        publish_large(&broker, "busy", 40);
    }
    let first = data.path().join(format!("{:020}.segment", 0));
    wait_until("the first segment to go", || !first.exists());
    broker.kill();

    let broker = BrokerProcess::start_on(backend, &data, &SMALL);
    assert_eq!(pulled(&broker, "rare", "me"), (numbers(0..100), 0));
    assert!(!broker.log().contains("missing"), "{}", broker.log());
}

fn topics_in_memory_end_with_the_broker_and_those_on_disk_do_not(backend: Backend) {
    let data = DataDir::new();
    let mut config = tempfile::NamedTempFile::new().expect("a file");
    let rule = "[[topics]]\npattern = 'metrics/*'\nstorage = 'memory'\n";
    config.write_all(rule.as_bytes()).expect("written");
    let flags = ["--config", config.path().to_str().expect("a path in UTF-8")];
    let mut broker = BrokerProcess::start_on(backend, &data, &flags);
    let mut client = JsonClient::connect(&broker);
    client.create("metrics/cpu").expect("created");
    client.create("News").expect("created");
    let storage = Some(StorageClass::Disk);
    client.create_as("metrics/kept", TopicOptions { storage, ..Default::default() }).expect("made");
    assert_eq!(broker.terminate(), Some(0));
    let broker = BrokerProcess::start_on(backend, &data, &flags);
    let topics = JsonClient::connect(&broker).topics().expect("topics");
    assert_eq!(topics, ["News", "metrics/kept"]);
}
