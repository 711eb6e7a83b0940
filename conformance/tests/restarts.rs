//! What a broker knows again after its process was killed, and after it stopped in order.

use conformance::{Backend, BrokerProcess, DataDir, NativeClient, PUSH, Speaks};
use conformance::{for_both_backends, wait_until};
use protocol::{
    AckMode, AckTerms, BatchBuilder, Code, Durability, Push, Retention, StorageClass, Verdict,
};
use protocol::{PublishTerms, PublisherId, PublisherSequence, Start, TopicOptions};
use std::cell::Cell;
use std::time::{SystemTime, UNIX_EPOCH};

for_both_backends! {
    topics_and_messages_are_there_again,
    what_was_deleted_stays_away,
    offsets_go_on_where_they_were,
    what_was_pulled_is_not_given_again,
    what_was_acknowledged_cumulatively_is_not_given_again,
    where_a_subscription_was_told_to_go_on_it_does,
    a_group_knows_what_was_acknowledged,
    a_group_keeps_its_terms,
    dead_letters_are_there_again_and_their_origin_is_done_with,
    a_publication_that_is_sent_again_is_recognised,
    what_was_published_with_less_durability_outlives_the_process,
    headers_are_there_again,
    a_topic_keeps_its_retention,
    old_messages_go_by_their_age,
    a_time_before_the_restart_is_found,
    topics_and_subscriptions_in_memory_are_gone,
}

/// How a broker's process ends.
#[derive(Clone, Copy, Debug)]
enum End {
    Killed,
    InOrder,
}

fn end(mut broker: BrokerProcess, end: End) {
    match end {
        End::Killed => broker.kill(),
        End::InOrder => assert_eq!(broker.terminate(), Some(0)),
    }
}

/// Does `before` with one broker and `after` with the next on the same directory, for each way
/// that the first may end.
fn outlives(
    backend: Backend,
    before: impl Fn(&mut NativeClient),
    after: impl Fn(&mut NativeClient),
) {
    for how in [End::Killed, End::InOrder] {
        let data = DataDir::new();
        let broker = BrokerProcess::start_on(backend, &data, &[]);
        let mut client = NativeClient::connect(&broker);
        client.create("t").expect("created");
        before(&mut client);
        drop(client);
        end(broker, how);
        let broker = BrokerProcess::start_on(backend, &data, &[]);
        after(&mut NativeClient::connect(&broker));
        end(broker, how);
    }
}

/// Whose messages come back only when a consumer gives them back.
const PATIENT: AckTerms<'static> = AckTerms {
    ack_timeout_ms: 3_600_000,
    in_flight_max: 1000,
    deliveries_max: 1000,
    backoff_ms_min: 3_600_000,
    backoff_ms_max: 3_600_000,
    dead_letter: None,
};

const CUMULATIVE: Push = Push { ack_mode: AckMode::Cumulative, ..PUSH };

/// What a new subscription reads of `topic` from its oldest message on.
#[track_caller]
fn check_held(client: &mut NativeClient, topic: &str, expected: &[&str]) {
    client.subscribe(topic, "reader").expect("subscribed");
    client.seek(topic, "reader", Start::Earliest).expect("sought");
    let pulled = client.pull(topic, "reader").expect("messages");
    assert_eq!((pulled.texts(), pulled.lost), (expected.to_vec(), 0), "{topic}");
}

fn topics_and_messages_are_there_again(backend: Backend) {
    let before = |client: &mut NativeClient| {
        client.create("é/ü").expect("created");
        client.publish("é/ü", "").expect("published");
        client.publish_batch("t", &["a", "b", "c"]);
        client.publish("t", "d").expect("published");
    };
    outlives(backend, before, |client| {
        assert_eq!(client.topics().expect("topics"), ["t", "é/ü"]);
        assert_eq!(client.create("t"), Err(Code::TopicExists));
        check_held(client, "t", &["a", "b", "c", "d"]);
        check_held(client, "é/ü", &[""]);
    });
}

fn what_was_deleted_stays_away(backend: Backend) {
    let before = |client: &mut NativeClient| {
        client.publish("t", "old").expect("published");
        client.subscribe("t", "s").expect("subscribed");
        client.create("gone").expect("created");
        client.publish("gone", "m").expect("published");
        client.delete("gone").expect("deleted");
        client.create("again").expect("created");
        client.publish("again", "old").expect("published");
        client.subscribe("again", "s").expect("subscribed");
        client.delete("again").expect("deleted");
        client.create("again").expect("created");
        client.publish("again", "new").expect("published");
        client.unsubscribe("t", "s").expect("unsubscribed");
    };
    outlives(backend, before, |client| {
        assert_eq!(client.topics().expect("topics"), ["again", "t"]);
        assert_eq!(client.subscribers("t"), Ok(vec![]));
        assert_eq!(client.subscribers("again"), Ok(vec![]));
        check_held(client, "again", &["new"]);
    });
}

fn offsets_go_on_where_they_were(backend: Backend) {
    let before = |client: &mut NativeClient| assert_eq!(client.publish_batch("t", &["m"; 7]), 0);
    outlives(backend, before, |client| {
        assert_eq!(client.subscribe_at("t", "s", Start::Latest), Ok(7));
        assert_eq!(client.publish("t", "n"), Ok(7));
        assert_eq!(client.pull("t", "s").expect("messages").texts(), ["n"]);
    });
}

fn what_was_pulled_is_not_given_again(backend: Backend) {
    let before = |client: &mut NativeClient| {
        client.subscribe("t", "s").expect("subscribed");
        client.subscribe_at("t", "idle", Start::Latest).expect("subscribed");
        client.publish_batch("t", &["a", "b", "c"]);
        assert_eq!(client.pull_max("t", "s", Some(2)).expect("messages").texts(), ["a", "b"]);
    };
    outlives(backend, before, |client| {
        assert_eq!(client.subscribers("t").expect("subscribers"), ["idle", "s"]);
        assert_eq!(client.pull("t", "s").expect("messages").texts(), ["c"]);
        assert_eq!(client.pull("t", "idle").expect("messages").texts(), ["a", "b", "c"]);
    });
}

fn what_was_acknowledged_cumulatively_is_not_given_again(backend: Backend) {
    let before = |client: &mut NativeClient| {
        client.publish_batch("t", &["a", "b", "c", "d"]);
        let (subscription, _) = client.attach("t", "s", CUMULATIVE);
        client.delivered_count(subscription, 4);
        assert_eq!(client.ack_answered(subscription, 1), Ok(()));
    };
    outlives(backend, before, |client| {
        let (subscription, next_offset) = client.attach("t", "s", CUMULATIVE);
        assert_eq!(next_offset, 2);
        assert_eq!(client.delivered_count(subscription, 2).1, [b"c", b"d"]);
    });
}

fn where_a_subscription_was_told_to_go_on_it_does(backend: Backend) {
    let before = |client: &mut NativeClient| {
        client.publish_batch("t", &["a", "b", "c"]);
        client.subscribe_at("t", "began", Start::Offset(1)).expect("subscribed");
        client.subscribe("t", "back").expect("subscribed");
        client.pull("t", "back").expect("messages");
        assert_eq!(client.seek("t", "back", Start::Offset(2)), Ok(2));
        assert_eq!(client.join("t", "group", &PATIENT), Ok(0));
        assert_eq!(client.lease("t", "group", None).expect("a lease").offsets, [0, 1, 2]);
        assert_eq!(client.ack_offsets("t", "group", &[0, 1, 2]), Ok(()));
        assert_eq!(client.seek("t", "group", Start::Offset(1)), Ok(1));
    };
    outlives(backend, before, |client| {
        assert_eq!(client.pull("t", "began").expect("messages").texts(), ["b", "c"]);
        assert_eq!(client.pull("t", "back").expect("messages").texts(), ["c"]);
        assert_eq!(client.lease("t", "group", None).expect("a lease").texts(), ["b", "c"]);
    });
}

fn a_group_knows_what_was_acknowledged(backend: Backend) {
    let before = |client: &mut NativeClient| {
        client.publish_batch("t", &["0", "1", "2", "3", "4", "5", "6", "7"]);
        let subscription = client.attach_to_group("t", "g", PUSH, &PATIENT);
        client.delivered_count(subscription, 8);
        let ack = Verdict::Ack;
        assert_eq!(client.settle_pushed_answered(subscription, 0, 2, ack), Ok(()));
        assert_eq!(client.settle_pushed_answered(subscription, 4, 1, ack), Ok(()));
        assert_eq!(client.ack_offsets("t", "g", &[7]), Ok(()));
        let nack = Verdict::Nack { delay_ms: None };
        assert_eq!(client.settle_pushed_answered(subscription, 5, 1, nack), Ok(()));
    };
    outlives(backend, before, |client| {
        let mut texts = Vec::new();
        while texts.len() < 4 {
            let leased = client.lease("t", "g", None).expect("a lease");
            assert_ne!(leased.offsets.len(), 0, "after {texts:?}");
            texts.extend(leased.texts().into_iter().map(str::to_owned));
        }
        texts.sort_unstable();
        assert_eq!(texts, ["2", "3", "5", "6"], "neither twice nor never");
    });
}

fn a_group_keeps_its_terms(backend: Backend) {
    let before = |client: &mut NativeClient| {
        client.publish_batch("t", &["a", "b", "c"]);
        let dead_letter = Some("graves".into());
        let acks = AckTerms { in_flight_max: 2, deliveries_max: 1, dead_letter, ..PATIENT };
        assert_eq!(client.join("t", "g", &acks), Ok(0));
    };
    outlives(backend, before, |client| {
        assert_eq!(client.subscribe("t", "g"), Err(Code::SubscriptionMismatch));
        assert_eq!(client.lease("t", "g", None).expect("a lease").offsets, [0, 1]);
        assert_eq!(client.nack_offsets("t", "g", &[0, 1], Some(0)), Ok(()));
        wait_until("dead letters", || client.topics().expect("topics") == ["graves", "t"]);
    });
}

fn dead_letters_are_there_again_and_their_origin_is_done_with(backend: Backend) {
    let before = |client: &mut NativeClient| {
        client.publish_batch("t", &["a", "b"]);
        let acks = AckTerms { deliveries_max: 2, ..PATIENT };
        assert_eq!(client.join("t", "g", &acks), Ok(0));
        assert_eq!(client.lease("t", "g", None).expect("a lease").offsets, [0, 1]);
        assert_eq!(client.nack_offsets("t", "g", &[0], Some(0)), Ok(()));
        assert_eq!(client.lease("t", "g", None).expect("a lease").offsets, [0]);
        assert_eq!(client.nack_offsets("t", "g", &[0], Some(0)), Ok(()));
        wait_until("the dead letter", || {
            client.subscribe("t.dead-letter", "s").is_ok()
                && !client.pull("t.dead-letter", "s").expect("messages").messages.is_empty()
        });
        // Confirmed behind what the broker wrote of the dead letter's origin.
        assert_eq!(client.publish("t", "c"), Ok(2));
    };
    outlives(backend, before, |client| {
        check_held(client, "t.dead-letter", &["a"]);
        let mut texts = Vec::new();
        while texts.len() < 2 {
            let leased = client.lease("t", "g", None).expect("a lease");
            assert_ne!(leased.offsets.len(), 0, "after {texts:?}");
            texts.extend(leased.texts().into_iter().map(str::to_owned));
        }
        assert_eq!(texts, ["b", "c"]);
    });
}

fn a_publication_that_is_sent_again_is_recognised(backend: Backend) {
    let publish = |client: &mut NativeClient, publisher: u128, sequence: u64| {
        let mut batch = BatchBuilder::new();
        batch.push(b"one").expect("small");
        batch.push(b"two").expect("small");
        let publisher = PublisherId(publisher);
        let sequence = Some(PublisherSequence { publisher, sequence });
        client.publish_on("t", &batch, PublishTerms { sequence, ..PublishTerms::default() })
    };
    let before = |client: &mut NativeClient| {
        assert_eq!(publish(client, 1, 1), Ok((0, 2)));
        assert_eq!(publish(client, 2, 1), Ok((2, 2)));
        assert_eq!(publish(client, 1, 9), Ok((4, 2)));
    };
    outlives(backend, before, |client| {
        assert_eq!(publish(client, 1, 1), Ok((0, 2)));
        assert_eq!(publish(client, 2, 1), Ok((2, 2)));
        assert_eq!(publish(client, 1, 9), Ok((4, 2)));
        assert_eq!(publish(client, 1, 5), Err(Code::StaleSequence));
        assert_eq!(publish(client, 2, 2), Ok((6, 2)));
        assert_eq!(publish(client, 3, 1), Ok((8, 2)));
    });
}

fn what_was_published_with_less_durability_outlives_the_process(backend: Backend) {
    let before = |client: &mut NativeClient| {
        let durability = Some(Durability::Os);
        client.publish_as("t", "os", durability).expect("published");
        let options = TopicOptions { durability, ..TopicOptions::default() };
        client.create_as("os", options).expect("created");
        client.publish("os", "os").expect("published");
    };
    outlives(backend, before, |client| {
        check_held(client, "t", &["os"]);
        check_held(client, "os", &["os"]);
        let asked = client.publish_as("os", "sync", Some(Durability::Sync));
        assert_eq!(asked, Err(Code::StorageUnavailable), "it is what it was");
    });
}

fn headers_are_there_again(backend: Backend) {
    let before = |client: &mut NativeClient| {
        let mut batch = BatchBuilder::new();
        batch.push_with_headers([("k", &b"\xFF"[..]), ("k", b"v")], b"m").expect("small");
        client.publish_on("t", &batch, PublishTerms::default()).expect("published");
    };
    outlives(backend, before, |client| {
        client.subscribe("t", "s").expect("subscribed");
        let pulled = client.pull("t", "s").expect("messages");
        let headers = [("k".to_owned(), b"\xFF".to_vec()), ("k".to_owned(), b"v".to_vec())];
        assert_eq!((pulled.texts(), &pulled.headers[0][..]), (vec!["m"], &headers[..]));
    });
}

fn a_topic_keeps_its_retention(backend: Backend) {
    let before = |client: &mut NativeClient| {
        let retention = Retention { messages_max: Some(3), ..Retention::default() };
        client.create_with("three", retention).expect("created");
        client.subscribe("three", "s").expect("subscribed");
        for message in ["a", "b", "c", "d", "e"] {
            client.publish("three", message).expect("published");
        }
    };
    outlives(backend, before, |client| {
        check_held(client, "three", &["c", "d", "e"]);
        assert_eq!(client.publish("three", "f"), Ok(5));
        let pulled = client.pull("three", "s").expect("messages");
        assert_eq!((pulled.texts(), pulled.lost), (vec!["d", "e", "f"], 3));
    });
}

fn old_messages_go_by_their_age(backend: Backend) {
    let before = |client: &mut NativeClient| {
        let retention = Retention { age_ms_max: Some(200), ..Retention::default() };
        client.create_with("short", retention).expect("created");
        client.subscribe("short", "s").expect("subscribed");
        client.publish_batch("short", &["a", "b"]);
    };
    outlives(backend, before, |client| {
        let mut readers = 0;
        wait_until("the messages to be gone", || {
            readers += 1;
            let reader = readers.to_string();
            client.subscribe("short", &reader).expect("subscribed");
            client.pull("short", &reader).expect("messages").messages.is_empty()
        });
        assert_eq!(client.pull("short", "s").expect("messages").lost, 2);
        assert_eq!(client.publish("short", "c"), Ok(2));
    });
}

fn a_time_before_the_restart_is_found(backend: Backend) {
    let unix_ms = || {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970");
        u64::try_from(since.as_millis()).expect("a date of this age")
    };
    let between = Cell::new(0);
    let before = |client: &mut NativeClient| {
        client.publish_batch("t", &["a", "b"]);
        let now = unix_ms();
        wait_until("the clock to go on", || unix_ms() >= now + 60);
        between.set(now + 30);
        client.publish("t", "c").expect("published");
    };
    outlives(backend, before, |client| {
        let at = |unix_ms| Start::Time { unix_ms };
        assert_eq!(client.subscribe_at("t", "s", at(between.get())), Ok(2));
        assert_eq!(client.seek("t", "s", at(between.get() - 3_600_000)), Ok(0));
        assert_eq!(client.seek("t", "s", at(unix_ms() + 3_600_000)), Ok(3));
    });
}

fn topics_and_subscriptions_in_memory_are_gone(backend: Backend) {
    let memory = TopicOptions { storage: Some(StorageClass::Memory), ..TopicOptions::default() };
    let before = |client: &mut NativeClient| {
        client.create_as("memory", memory).expect("created");
        client.subscribe("memory", "s").expect("subscribed");
        client.publish("memory", "m").expect("published");
    };
    outlives(backend, before, |client| {
        assert_eq!(client.topics().expect("topics"), ["t"]);
        client.create_as("memory", memory).expect("its name is free");
        assert_eq!(client.subscribers("memory"), Ok(vec![]));
        assert_eq!(client.publish("memory", "m"), Ok(0));
    });
}
