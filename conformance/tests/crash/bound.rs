//! A full journal: however much is published, its directory stays within its bound, and what has
//! to go is what is old or what nobody needs.

use crate::topic_log::TopicLog;
use conformance::{Backend, BrokerProcess, DataDir, NativeClient, Reply, Speaks};
use protocol::{PublishAck, Retention, StorageClass, TopicOptions};
use std::fs;
use std::path::Path;

const KIB: u64 = 1024;

/// `--journal-segment-bytes-max`.
const SEGMENT_BYTES: u64 = 64 * KIB;

/// `--journal-bytes-max`.
const JOURNAL_BYTES_MAX: u64 = 2048 * KIB;

/// Segments beyond the bound: two that are begun before publishers are held, and two that take
/// what is moved meanwhile.
const SEGMENTS_BEYOND: u64 = 4;

/// Publications of one batch each.
const BATCHES: u64 = 600;

/// Messages in a batch.
const BATCH_COUNT: u64 = 20;

/// Payload of each.
const MESSAGE_BYTES: usize = 1024;

/// A quiet topic gets a message for so many batches.
const BATCHES_PER_QUIET_MESSAGE: u64 = 10;

/// Batches in flight.
const BATCHES_IN_FLIGHT: u64 = 8;

const FLAGS: [&str; 16] = [
    "--message-bytes-max",
    "64KiB",
    "--journal-segment-bytes-max",
    "64KiB",
    "--journal-bytes-max",
    "2MiB",
    "--journal-buffer-bytes-max",
    "256KiB",
    "--journal-snapshot-bytes",
    "256KiB",
    "--topic-cache-bytes-max",
    "16KiB",
    "--connections-max",
    "1000",
    "--log-level",
    "error",
];

/// Several times as much as the journal may hold is published to a busy topic that keeps little;
/// a quiet one between keeps all.
pub(crate) fn quiet_topics_outlive_the_segments_that_busy_ones_fill(backend: Backend) {
    let data = DataDir::new();
    let mut broker = BrokerProcess::start_on(backend, &data, &FLAGS);
    let retention = Retention { bytes_max: Some(JOURNAL_BYTES_MAX / 8), ..Retention::default() };
    let quiet = publish_much(&broker, &data, retention);
    for end in [End::Kill, End::Stop] {
        check_quiet(&broker, &quiet);
        let busy = TopicLog::read(&mut NativeClient::connect(&broker), "busy");
        assert_eq!(busy.next_offset(), BATCHES * BATCH_COUNT, "the newest are there");
        broker = end.bring(broker, backend, &data);
    }
    check_quiet(&broker, &quiet);
}

/// Where topics would keep more than there is room for, the oldest messages of all go.
pub(crate) fn the_oldest_messages_go_when_the_journal_is_full(backend: Backend) {
    let data = DataDir::new();
    let mut broker = BrokerProcess::start_on(backend, &data, &FLAGS);
    publish_much(&broker, &data, Retention::default());
    let mut before = TopicLog::default();
    for end in [End::Kill, End::Stop] {
        let busy = TopicLog::read(&mut NativeClient::connect(&broker), "busy");
        assert_eq!(busy.next_offset(), BATCHES * BATCH_COUNT, "the newest are there");
        let kept_bytes = busy.messages.len() * MESSAGE_BYTES;
        assert!(kept_bytes as u64 > JOURNAL_BYTES_MAX / 4, "no more go than have to: {kept_bytes}");
        assert!(busy.first_offset >= before.first_offset, "what went is gone");
        broker = end.bring(broker, backend, &data);
        before = busy;
    }
}

enum End {
    Kill,
    Stop,
}

impl End {
    /// Ends the broker and starts another one on its directory.
    #[track_caller]
    fn bring(&self, mut broker: BrokerProcess, backend: Backend, data: &DataDir) -> BrokerProcess {
        match self {
            Self::Kill => broker.kill(),
            Self::Stop => assert_eq!(broker.terminate(), Some(0)),
        }
        let broker = BrokerProcess::start_on(backend, data, &FLAGS);
        check_size(data);
        broker
    }
}

/// Publishes to two topics, and checks after each acknowledgement how large the directory is.
/// Gives what the quiet topic has to hold.
#[track_caller]
fn publish_much(broker: &BrokerProcess, data: &DataDir, retention: Retention) -> Vec<Vec<u8>> {
    let mut client = NativeClient::connect(broker);
    let storage = Some(StorageClass::Disk);
    let options = TopicOptions { storage, retention, ..TopicOptions::default() };
    client.create_as("busy", options).expect("created");
    client.create("quiet").expect("created");
    let mut quiet = Vec::new();
    let batch = vec![[b'b'; MESSAGE_BYTES]; BATCH_COUNT as usize];
    for number in 0..BATCHES {
        client.send_batch("busy", &batch, PublishAck::Wanted);
        if number % BATCHES_PER_QUIET_MESSAGE == 0 {
            let mut message = format!("{number} ").into_bytes();
            message.resize(MESSAGE_BYTES, b'q');
            client.send_batch("quiet", &[&message], PublishAck::Unwanted);
            quiet.push(message);
        }
        if number >= BATCHES_IN_FLIGHT {
            check_published(&mut client);
            check_size(data);
        }
    }
    (0..BATCHES_IN_FLIGHT).for_each(|_| check_published(&mut client));
    quiet
}

#[track_caller]
fn check_published(client: &mut NativeClient) {
    let received = client.read();
    assert!(matches!(received.reply, Reply::Published { .. }), "found {received:?}");
}

#[track_caller]
fn check_quiet(broker: &BrokerProcess, expected: &[Vec<u8>]) {
    let log = TopicLog::read(&mut NativeClient::connect(broker), "quiet");
    assert_eq!(log.first_offset, 0, "nothing of a quiet topic goes");
    assert!(log.messages == expected, "{} messages of {}", log.messages.len(), expected.len());
}

/// Fails where the segments take more than they may.
#[track_caller]
fn check_size(data: &DataDir) {
    let bytes = segment_bytes(data.path());
    let bytes_max = JOURNAL_BYTES_MAX + SEGMENTS_BEYOND * SEGMENT_BYTES;
    assert!(bytes <= bytes_max, "{bytes} bytes of segments, of at most {bytes_max}");
}

fn segment_bytes(dir: &Path) -> u64 {
    let files = fs::read_dir(dir).expect("the data directory");
    let files = files.map(|file| file.expect("a file of the data directory"));
    let segments =
        files.filter(|file| file.path().extension().is_some_and(|name| name == "segment"));
    // One that goes in the meantime takes nothing.
    segments.filter_map(|file| Some(file.metadata().ok()?.len())).sum()
}
