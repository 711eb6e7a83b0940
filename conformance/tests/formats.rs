//! Data directories that earlier versions made: every later version opens them.
//!
//! `fixtures/journal-N` was made by the first broker whose journal has format version N, with
//! `cargo test -p conformance --test formats -- --ignored`, which is also what says what is in it.

use conformance::{Answer, for_both_backends};
use conformance::{Backend, BrokerProcess, DataDir, JsonClient, NativeClient, Speaks};
use protocol::batch::BatchBuilder;
use protocol::{
    AckTerms, Code, Durability, PublishTerms, PublisherId, PublisherSequence, Retention, Start,
    TopicOptions,
};
use std::fs;
use std::path::{Path, PathBuf};

for_both_backends! {
    the_first_format_is_opened_and_gone_on_with,
}

const PUBLISHER: PublisherId = PublisherId(0x0123_4567_89AB_CDEF_0011_2233_4455_6677);

/// Larger than one record of the journal.
const LARGE_BATCH: u32 = 70;

fn fixture(format: u32) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("fixtures/journal-{format}"))
}

/// Copies the files of a directory, but no lock.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a directory");
    for entry in fs::read_dir(from).expect("a directory") {
        let entry = entry.expect("an entry");
        if entry.file_name() != "lock" && entry.file_type().expect("a type").is_file() {
            fs::copy(entry.path(), to.join(entry.file_name())).expect("copied");
        }
    }
}

fn publish_in_turn(broker: &BrokerProcess, sequence: u64) -> Answer<(u64, u32)> {
    let mut batch = BatchBuilder::new();
    batch.push(format!("in turn {sequence}").as_bytes()).expect("small");
    let sequence = Some(PublisherSequence { publisher: PUBLISHER, sequence });
    let terms = PublishTerms { sequence, ..PublishTerms::default() };
    NativeClient::connect(broker).publish_on("turns", &batch, terms)
}

fn large_batch() -> Vec<Vec<u8>> {
    (0..LARGE_BATCH).map(|index| vec![b'a' + (index % 26) as u8; 1000]).collect()
}

fn the_first_format_is_opened_and_gone_on_with(backend: Backend) {
    let data = DataDir::new();
    copy(&fixture(1), data.path());
    let mut broker = BrokerProcess::start_on(backend, &data, &[]);
    let mut client = JsonClient::connect(&broker);

    let pulled = client.pull("News", "reader").expect("pulled");
    assert_eq!(pulled.texts(), ["3", "4", "5", "6"], "what was not read before");
    assert_eq!(client.publish("News", "7"), Ok(7));

    let kept = client.subscribe_at("short", "new", Start::Earliest).expect("subscribed");
    assert_eq!(kept, 4, "a topic of 3 messages that had 7");
    assert_eq!(client.pull("gone", "reader").expect_err("deleted"), Code::UnknownTopic);

    let leased = client.lease("Jobs", "workers", None).expect("leased");
    assert_eq!(leased.texts(), ["job 0"], "delivered and not acknowledged");
    assert_eq!((leased.offsets, leased.deliveries), (vec![0], 2));
    let leased = client.lease("Jobs", "workers", None).expect("leased");
    assert_eq!(leased.texts(), ["job 3", "job 4"], "neither delivered nor acknowledged");

    client.subscribe("large", "all").expect("subscribed");
    let large = client.pull("large", "all").expect("pulled");
    assert_eq!(large.messages, large_batch());

    assert_eq!(publish_in_turn(&broker, 8), Ok((1, 1)), "it was published before");
    assert_eq!(publish_in_turn(&broker, 9), Ok((2, 1)));
    assert_eq!(broker.terminate(), Some(0));

    let broker = BrokerProcess::start_on(backend, &data, &[]);
    let mut client = JsonClient::connect(&broker);
    assert_eq!(client.pull("News", "reader").expect("pulled").texts(), ["7"]);
}

/// Makes the fixture of the present format. One part is told by a snapshot, one by the journal
/// behind it, up to a kill.
#[test]
#[ignore = "it makes the fixture anew, which is only for a new version of the format"]
fn make_the_fixture() {
    let data = DataDir::new();
    let flags = ["--journal-segment-bytes-max", "16KiB"];
    let mut broker = BrokerProcess::start_on(Backend::Mio, &data, &flags);
    let mut client = JsonClient::connect(&broker);
    client.create("News").expect("created");
    client.create("Jobs").expect("created");
    client.create("turns").expect("created");
    let retention = Retention { messages_max: Some(3), ..Retention::default() };
    let options =
        TopicOptions { retention, durability: Some(Durability::Os), ..TopicOptions::default() };
    client.create_as("short", options).expect("created");
    for number in 0..5 {
        client.publish("News", number.to_string()).expect("published");
        client.publish("Jobs", format!("job {number}")).expect("published");
        client.publish("short", number.to_string()).expect("published");
    }
    client.subscribe("News", "reader").expect("subscribed");
    client.pull_max("News", "reader", Some(2)).expect("pulled");
    client.join("Jobs", "workers", &AckTerms::default()).expect("joined");
    client.lease("Jobs", "workers", Some(2)).expect("leased");
    publish_in_turn(&broker, 5).expect("published");
    assert_eq!(broker.terminate(), Some(0));

    let mut broker = BrokerProcess::start_on(Backend::Threaded, &data, &flags);
    let mut client = JsonClient::connect(&broker);
    client.create("gone").expect("created");
    client.publish("gone", "with its topic").expect("published");
    client.delete("gone").expect("deleted");
    for number in 5..7 {
        client.publish("News", number.to_string()).expect("published");
        client.publish("short", number.to_string()).expect("published");
    }
    client.pull_max("News", "reader", Some(1)).expect("pulled");
    client.ack_offsets("Jobs", "workers", &[1]).expect("acknowledged");
    client.lease("Jobs", "workers", Some(1)).expect("leased");
    let leased = client.lease("Jobs", "workers", Some(1)).expect("leased");
    client.ack_offsets("Jobs", "workers", &leased.offsets).expect("acknowledged");
    publish_in_turn(&broker, 8).expect("published");
    client.create("large").expect("created");
    NativeClient::connect(&broker).publish_batch("large", &large_batch());
    broker.kill();
    copy(data.path(), &fixture(1));
}
