//! Dead letters of groups that are pushed to.

use conformance::{
    BrokerProcess, Host, NativeClient, PUSH, Reply, Speaks, for_all_hosts, wait_until,
};
use protocol::{AckTerms, BatchBuilder, PublishTerms, StorageClass, TopicOptions, Verdict};

for_all_hosts! {
    what_a_consumer_died_with_too_often_is_a_dead_letter,
    a_dead_letter_keeps_its_own_headers,
    dead_letters_are_pushed_to_those_who_wait_for_them,
    a_dead_letter_topic_is_kept_like_the_one_that_it_serves,
    every_group_of_a_topic_has_its_own_dead_letters,
}

/// Whose messages are dead when they were delivered in vain once.
const ONCE: AckTerms<'static> = AckTerms {
    ack_timeout_ms: 3_600_000,
    in_flight_max: 1000,
    deliveries_max: 1,
    backoff_ms_min: 1,
    backoff_ms_max: 1,
    dead_letter: None,
};

const AT_ONCE: Verdict = Verdict::Nack { delay_ms: Some(0) };

fn with_topic(host: Host) -> (BrokerProcess, NativeClient) {
    let broker = host.start();
    let mut client = NativeClient::connect(&broker);
    client.create("t").expect("created");
    (broker, client)
}

/// The messages of `topic`, once there are `count`.
#[track_caller]
fn letters(client: &mut NativeClient, topic: &str, count: usize) -> Vec<Vec<u8>> {
    wait_until("the dead-letter topic", || client.subscribe(topic, "undertaker").is_ok());
    let (subscription, _) = client.attach(topic, "undertaker", PUSH);
    client.delivered_count(subscription, count).1
}

fn what_a_consumer_died_with_too_often_is_a_dead_letter(host: Host) {
    let (broker, mut client) = with_topic(host);
    client.publish_batch("t", &["a", "b", "c"]);
    let acks = AckTerms { deliveries_max: 2, ..ONCE };
    for deliveries in 1..3 {
        let mut consumer = NativeClient::connect(&broker);
        let subscription = consumer.attach_to_group("t", "g", PUSH, &acks);
        if deliveries == 1 {
            consumer.delivered_count(subscription, 3);
            consumer.settle_pushed(subscription, 1, 1, Verdict::Ack);
            assert_eq!(consumer.ping(), Ok(()));
        } else {
            assert_eq!(consumer.delivered_again(subscription).1.messages, [b"a"]);
            assert_eq!(consumer.delivered_again(subscription).1.messages, [b"c"]);
        }
        drop(consumer);
        wait_until("it to be gone", || client.info().expect("info").connections == 1);
    }
    assert_eq!(letters(&mut client, "t.dead-letter", 2), [b"a", b"c"]);
}

fn a_dead_letter_keeps_its_own_headers(host: Host) {
    let (_broker, mut client) = with_topic(host);
    let subscription = client.attach_to_group("t", "g", PUSH, &ONCE);
    let mut batch = BatchBuilder::new();
    batch.push_with_headers([("a", &b"1"[..]), ("b", b"\xFF")], b"m").expect("small");
    client.publish_on("t", &batch, PublishTerms::default()).expect("published");
    let delivered = client.delivered(subscription);
    let own = [("a".to_owned(), b"1".to_vec()), ("b".to_owned(), b"\xFF".to_vec())];
    assert_eq!((&delivered.messages[0][..], &delivered.headers[0][..]), (&b"m"[..], &own[..]));
    client.settle_pushed(subscription, 0, 1, AT_ONCE);
    wait_until("the dead-letter topic", || client.topics().expect("topics").len() == 2);
    let (letters, _) = client.attach("t.dead-letter", "s", PUSH);
    let letter = client.delivered(letters);
    assert_eq!(letter.messages, [b"m"]);
    assert_eq!(&letter.headers[0][..2], &own, "before those that tell the origin");
    assert_eq!(letter.headers[0].len(), 6);
}

fn dead_letters_are_pushed_to_those_who_wait_for_them(host: Host) {
    let (broker, mut client) = with_topic(host);
    client.create("t.dead-letter").expect("created");
    let mut undertaker = NativeClient::connect(&broker);
    let (letters, _) = undertaker.attach("t.dead-letter", "s", PUSH);
    let subscription = client.attach_to_group("t", "g", PUSH, &ONCE);
    for number in 0..5 {
        client.publish("t", number.to_string()).expect("published");
        assert_eq!(client.delivered_count(subscription, 1).0, number);
        client.settle_pushed(subscription, number, 1, AT_ONCE);
        let (offset, messages) = undertaker.delivered_count(letters, 1);
        assert_eq!((offset, messages.concat()), (number, number.to_string().into_bytes()));
    }
}

fn a_dead_letter_topic_is_kept_like_the_one_that_it_serves(host: Host) {
    let (broker, mut client) = with_topic(host);
    let options = TopicOptions { storage: Some(StorageClass::Memory), ..TopicOptions::default() };
    client.create_as("memory", options).expect("created");
    for topic in ["t", "memory"] {
        let subscription = client.attach_to_group(topic, "g", PUSH, &ONCE);
        client.publish(topic, "m").expect("published");
        client.delivered_count(subscription, 1);
        client.settle_pushed(subscription, 0, 1, AT_ONCE);
        assert_eq!(letters(&mut client, &format!("{topic}.dead-letter"), 1), [b"m"]);
    }
    if host.storage == StorageClass::Disk {
        let broker = broker.restart();
        let mut client = NativeClient::connect(&broker);
        assert_eq!(client.topics().expect("topics"), ["t", "t.dead-letter"]);
        assert_eq!(client.seek("t.dead-letter", "undertaker", protocol::Start::Earliest), Ok(0));
        assert_eq!(letters(&mut client, "t.dead-letter", 1), [b"m"]);
    }
}

fn every_group_of_a_topic_has_its_own_dead_letters(host: Host) {
    let (broker, mut client) = with_topic(host);
    let names = ["one", "two"];
    let groups = names.map(|name| {
        let acks = AckTerms { dead_letter: Some(format!("dead/{name}").into()), ..ONCE };
        client.attach_to_group("t", name, PUSH, &acks)
    });
    client.publish_batch("t", &["a", "b"]);
    let mut delivered = 0;
    while delivered < 4 {
        match client.read().reply {
            Reply::Deliver(more) => delivered += more.messages.len(),
            other => panic!("expected DELIVER, found {other:?}"),
        }
    }
    for (group, verdicts) in groups.into_iter().zip([[AT_ONCE, Verdict::Ack], [AT_ONCE; 2]]) {
        for (offset, verdict) in (0..).zip(verdicts) {
            client.settle_pushed(group, offset, 1, verdict);
        }
    }
    let mut reader = NativeClient::connect(&broker);
    assert_eq!(letters(&mut reader, "dead/one", 1), [b"a"]);
    assert_eq!(letters(&mut reader, "dead/two", 2), [b"a", b"b"]);
    assert_eq!(reader.pushed_before_pong(), []);
}
