//! Where topics are kept and how durable what is published to them is: what can be chosen, and
//! what is refused.

use conformance::{Backend, BrokerProcess, DataDir, Speaks, for_both_dialects};
use protocol::{Code, Durability, StorageClass, TopicOptions};

for_both_dialects! {
    disk_is_refused_without_a_data_directory,
    topics_are_in_memory_without_a_data_directory,
    topics_are_on_disk_with_a_data_directory,
    a_topic_in_memory_has_no_durability,
    a_publication_asks_for_no_more_durability_than_its_topic_has,
    the_brokers_durability_holds_where_the_topic_chose_none,
    a_topic_that_was_refused_is_not_made,
}

fn options(storage: Option<StorageClass>, durability: Option<Durability>) -> TopicOptions {
    TopicOptions { storage, durability, ..TopicOptions::default() }
}

const MEMORY: Option<StorageClass> = Some(StorageClass::Memory);
const DISK: Option<StorageClass> = Some(StorageClass::Disk);
const DURABILITIES: [Option<Durability>; 3] = [None, Some(Durability::Os), Some(Durability::Sync)];

/// Publications to `topic` are taken where they ask for no more than `most`.
#[track_caller]
fn check_publications<C: Speaks>(client: &mut C, topic: &str, most: Option<Durability>) {
    let mut offset = 0;
    for asked in DURABILITIES {
        let expected = if asked <= most { Ok(offset) } else { Err(Code::StorageUnavailable) };
        offset += u64::from(expected.is_ok());
        assert_eq!(client.publish_as(topic, "m", asked), expected, "{topic} {asked:?}");
    }
    assert_eq!(client.publish(topic, "after"), Ok(offset), "{topic}: nothing refused is kept");
}

fn disk_is_refused_without_a_data_directory<C: Speaks>(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let mut client = C::connect(&broker);
    for durability in DURABILITIES {
        let created = client.create_as("t", options(DISK, durability));
        assert_eq!(created, Err(Code::StorageUnavailable), "{durability:?}");
    }
    assert_eq!(client.create_as("t", options(MEMORY, None)), Ok(()));
    check_publications(&mut client, "t", None);
}

fn topics_are_in_memory_without_a_data_directory<C: Speaks>(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let mut client = C::connect(&broker);
    client.create("t").expect("created");
    check_publications(&mut client, "t", None);
    for durability in [Durability::Os, Durability::Sync] {
        let created = client.create_as("u", options(None, Some(durability)));
        assert_eq!(created, Err(Code::StorageUnavailable), "{durability:?}");
    }
}

fn topics_are_on_disk_with_a_data_directory<C: Speaks>(backend: Backend) {
    let data = DataDir::new();
    let mut broker = BrokerProcess::start_on(backend, &data, &[]);
    let mut client = C::connect(&broker);
    client.create("default").expect("created");
    client.create_as("disk", options(DISK, None)).expect("created");
    client.create_as("memory", options(MEMORY, None)).expect("created");
    check_publications(&mut client, "default", Some(Durability::Sync));
    check_publications(&mut client, "disk", Some(Durability::Sync));
    check_publications(&mut client, "memory", None);
    assert_eq!(broker.terminate(), Some(0));
    let broker = BrokerProcess::start_on(backend, &data, &[]);
    assert_eq!(C::connect(&broker).topics().expect("topics"), ["default", "disk"]);
}

fn a_topic_in_memory_has_no_durability<C: Speaks>(backend: Backend) {
    let data = DataDir::new();
    let broker = BrokerProcess::start_on(backend, &data, &[]);
    let mut client = C::connect(&broker);
    for durability in [Durability::Os, Durability::Sync] {
        let created = client.create_as("t", options(MEMORY, Some(durability)));
        assert_eq!(created, Err(Code::StorageUnavailable), "{durability:?}");
    }
    assert_eq!(client.create_as("t", options(MEMORY, None)), Ok(()));
    check_publications(&mut client, "t", None);
}

fn a_publication_asks_for_no_more_durability_than_its_topic_has<C: Speaks>(backend: Backend) {
    let data = DataDir::new();
    let broker = BrokerProcess::start_on(backend, &data, &[]);
    let mut client = C::connect(&broker);
    for durability in [Durability::Os, Durability::Sync] {
        let topic = durability.name();
        client.create_as(topic, options(None, Some(durability))).expect("created");
        check_publications(&mut client, topic, Some(durability));
    }
}

fn the_brokers_durability_holds_where_the_topic_chose_none<C: Speaks>(backend: Backend) {
    let data = DataDir::new();
    let broker = BrokerProcess::start_on(backend, &data, &["--durability", "os"]);
    let mut client = C::connect(&broker);
    client.create("default").expect("created");
    check_publications(&mut client, "default", Some(Durability::Os));
    client.create_as("own", options(None, Some(Durability::Sync))).expect("created");
    check_publications(&mut client, "own", Some(Durability::Sync));
}

fn a_topic_that_was_refused_is_not_made<C: Speaks>(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let mut client = C::connect(&broker);
    let created = client.create_as("t", options(DISK, None));
    assert_eq!(created, Err(Code::StorageUnavailable));
    assert_eq!(client.topics(), Ok(vec![]));
    assert_eq!(client.publish("t", "m"), Err(Code::UnknownTopic));
    assert_eq!(client.create("t"), Ok(()), "its name is free");
}
