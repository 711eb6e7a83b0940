//! A medium that takes no more: nothing more is acknowledged, what needs no medium goes on, and
//! when there is room again everything that was acknowledged is there.
//!
//! A limit on the size of files stands in for a full disk: it can be set on one process, while it
//! runs, by anybody.

use crate::settings::FLAGS;
use crate::topic_log::TopicLog;
use conformance::{Answer, Backend, BrokerProcess, DataDir, JsonClient, NativeClient, Speaks};
use protocol::{Code, Durability, StorageClass, TopicOptions};
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

/// Publications to each topic before the limit is set.
const BEFORE: u64 = 20;

/// Publications to each topic after it, at most: several segments full.
const AFTER_MAX: u64 = 5000;

/// The limit. A segment has 64 KiB, so what fits into its first part still goes there.
const FILE_BYTES_MAX: u64 = 40 << 10;

const DISK_TOPICS: [&str; 2] = ["sync", "os"];

pub(crate) fn a_full_disk_takes_nothing_that_was_acknowledged(backend: Backend) {
    check(backend, FILE_BYTES_MAX);
}

pub(crate) fn a_disk_that_takes_nothing_at_all_is_told_of_at_once(backend: Backend) {
    check(backend, 0);
}

pub(crate) fn a_log_that_cannot_be_written_keeps_nobody_from_an_answer(backend: Backend) {
    // The thread that had something to log ended, that of the journal among others.
    let data = DataDir::new();
    let mut child = Command::new(backend.binary())
        .args(["--listen", "127.0.0.1:0", "--log-level", "trace", "--data"])
        .arg(data.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the broker was built");
    drop(child.stderr.take());
    let mut broker = KilledAtEnd(child);
    let mut ready_line = String::new();
    let stdout = broker.0.stdout.as_mut().expect("standard output is piped");
    BufReader::new(stdout).read_line(&mut ready_line).expect("a ready line");
    let address = ready_line.trim_end().rsplit('=').next().expect("an address");
    let mut client = JsonClient::open(address.parse().expect("an address"));
    client.create("t").expect("created");
    client.subscribe("t", "s").expect("subscribed");
    client.publish("t", "m").expect("published");
    assert_eq!(client.pull("t", "s").expect("pulled").texts(), ["m"]);
}

struct KilledAtEnd(Child);

impl Drop for KilledAtEnd {
    fn drop(&mut self) {
        // Both fail for one that has ended already, and then there is nothing to do.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[track_caller]
fn check(backend: Backend, file_bytes_max: u64) {
    let data = DataDir::new();
    let mut broker = BrokerProcess::start_on(backend, &data, &FLAGS);
    let mut client = JsonClient::connect(&broker);
    for (topic, durability) in DISK_TOPICS.into_iter().zip([Durability::Sync, Durability::Os]) {
        let storage = Some(StorageClass::Disk);
        let options =
            TopicOptions { storage, durability: Some(durability), ..TopicOptions::default() };
        client.create_as(topic, options).expect("created");
        client.subscribe(topic, "s").expect("subscribed");
    }
    let in_memory = TopicOptions { storage: Some(StorageClass::Memory), ..TopicOptions::default() };
    client.create_as("memory", in_memory).expect("created");
    client.subscribe("memory", "s").expect("subscribed");
    for number in 0..BEFORE {
        for topic in DISK_TOPICS {
            publish(&mut client, topic, number).expect("published");
        }
    }

    broker.limit_files(file_bytes_max);
    let acknowledged = publish_until_refused(&mut client);
    for topic in DISK_TOPICS {
        assert_eq!(publish(&mut client, topic, 0), Err(Code::StorageFailed), "of {topic}");
    }
    assert_eq!(client.create("another"), Err(Code::StorageFailed));
    client.publish("memory", "m").expect("memory has room");
    assert_eq!(client.pull("memory", "s").expect("pulled").texts(), ["m"]);
    broker.wait_for_log_line(&["ERROR", "journal"]);
    assert_eq!(broker.terminate(), Some(1), "the code of a broker whose journal failed");

    let mut broker = BrokerProcess::start_on(backend, &data, &FLAGS);
    let mut client = NativeClient::connect(&broker);
    for topic in DISK_TOPICS {
        check_kept(&mut client, topic, acknowledged);
        client.publish(topic, "goes on").expect("there is room again");
    }
    assert_eq!(broker.terminate(), Some(0), "the code of a stop in order");
}

fn publish(client: &mut JsonClient, topic: &str, number: u64) -> Answer<u64> {
    client.publish(topic, message(number))
}

fn message(number: u64) -> String {
    format!("{number} of some length, so that a segment is full after a while")
}

/// Publishes to both topics in turn. Gives how many were acknowledged on each before the first
/// refusal.
#[track_caller]
fn publish_until_refused(client: &mut JsonClient) -> u64 {
    for number in BEFORE..AFTER_MAX {
        for topic in DISK_TOPICS {
            match publish(client, topic, number) {
                Ok(offset) => assert_eq!(offset, number, "the offset in {topic}"),
                Err(code) => {
                    assert_eq!(code, Code::StorageFailed, "of {topic}");
                    return number;
                }
            }
        }
    }
    panic!("expected the limit to be reached within {AFTER_MAX} publications");
}

/// All that was acknowledged is there, and behind it at most what was refused.
#[track_caller]
fn check_kept(client: &mut NativeClient, topic: &str, acknowledged: u64) {
    let log = TopicLog::read(client, topic);
    assert_eq!(log.first_offset, 0, "{topic} keeps all");
    assert!(log.next_offset() >= acknowledged, "{topic} has {}", log.next_offset());
    for (offset, found) in log.iter().take(acknowledged as usize) {
        assert_eq!(found, message(offset).as_bytes(), "in {topic} at {offset}");
    }
}
