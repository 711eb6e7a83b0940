//! Groups, individual acknowledgements and idempotent publishers, in both drivers, against a
//! scripted broker.

#![cfg(feature = "tokio")]

mod peer;

use client_api::{
    AckTerms, Code, Durability, Error, IdempotentPublisher, OffsetRange, Options, PublisherId,
    PullTerms, PushTerms, Pushed, Reconnect, Refusal, Retention, Start, StorageClass, SubscriberId,
    TopicOptions, Verdict, asynchronous, blocking,
};
use peer::{Broker, Connection, LIMIT};
use protocol::{BatchBuilder, Response};
use std::future::Future;
use std::time::Duration;

fn quick() -> Options {
    let (delay_min, delay_max) = (Duration::from_millis(1), Duration::from_millis(10));
    let reconnect = Reconnect { attempts_max: 5, delay_min, delay_max };
    Options::new().request_timeout(LIMIT).connect_timeout(LIMIT).reconnect(reconnect)
}

fn connect(broker: &Broker) -> blocking::Client {
    blocking::Client::connect_with(broker.address, quick()).expect("the broker accepts")
}

/// Runs `story` with an asynchronous client.
fn with_tokio<F: Future<Output = ()>>(
    broker: &Broker,
    story: impl FnOnce(asynchronous::Client) -> F,
) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let client = asynchronous::Client::connect_with(broker.address, quick()).await;
        let story = story(client.expect("the broker accepts"));
        tokio::time::timeout(LIMIT, story).await.expect("in time");
    });
}

fn workers() -> SubscriberId {
    SubscriberId::from("workers")
}

fn group() -> AckTerms {
    AckTerms::new()
        .ack_timeout(Duration::from_secs(30))
        .in_flight_max(16)
        .deliveries_max(5)
        .backoff(Duration::from_millis(100), Duration::from_secs(10))
        .dead_letter("Failed")
}

/// What the terms of [`group`] are on the wire.
const GROUP: &str = "acks: Some(AckTerms { ack_timeout_ms: 30000, in_flight_max: 16, \
                     deliveries_max: 5, backoff_ms_min: 100, backoff_ms_max: 10000, \
                     dead_letter: Some(\"Failed\") })";

fn redeliver(it: &mut Connection, subscription: u32, base_offset: u64, deliveries: u32) {
    let mut builder = BatchBuilder::new();
    builder.push(b"again").expect("small");
    let batch = builder.batch();
    it.reply(subscription, &Response::Redeliver { base_offset, deliveries, batch });
}

#[test]
fn a_pushed_group_tells_what_became_of_each_message_and_how_often_it_came() {
    let broker = Broker::start(|listener| {
        let mut it = listener.accept();
        let subscription = it.expect(GROUP);
        it.reply(subscription, &Response::Subscribed { next_offset: 0 });
        it.deliver(subscription, 0, &["a", "b", "c"]);
        redeliver(&mut it, subscription, 1, 2);
        it.expect("ranges: [OffsetRange { first: 0, count: 1 }, OffsetRange { first: 2, count: 1 }], verdict: Ack, answer: Unwanted");
        it.expect("count: 1 }], verdict: Nack { delay_ms: Some(250) }, answer: Unwanted");
        let settle = it.expect("first: 1, count: 1 }], verdict: Ack, answer: Wanted");
        it.reply(settle, &Response::Done);
        it.expect("Detach");
    });
    let mut client = connect(&broker);
    let terms = PushTerms::new().acks(group());
    let mut work = client.subscribe_push("Work", &workers(), terms).expect("subscribed");
    let mut deliveries = Vec::new();
    for _ in 0..4 {
        let Pushed::Delivered(message) = work.next().expect("more").expect("no end") else {
            panic!("expected a message");
        };
        deliveries.push((message.offset, message.deliveries));
    }
    assert_eq!(deliveries, [(0, 1), (1, 1), (2, 1), (1, 2)]);
    work.ack(0);
    work.nack(1, Some(Duration::from_millis(250)));
    work.ack(2);
    work.settle_confirmed(&[OffsetRange::one(1)], Verdict::Ack).expect("told");
    drop(work);
    broker.join();
}

#[test]
fn a_group_is_attached_to_again_and_what_was_not_acknowledged_comes_again() {
    let broker = Broker::start(|listener| {
        let mut it = listener.accept();
        let subscription = it.expect(GROUP);
        it.reply(subscription, &Response::Subscribed { next_offset: 0 });
        it.deliver(subscription, 0, &["again"]);
        drop(it);
        let mut it = listener.accept();
        let subscription = it.expect(GROUP);
        // Others of the group took what is between.
        it.reply(subscription, &Response::Subscribed { next_offset: 7 });
        redeliver(&mut it, subscription, 0, 2);
        it.expect("first: 0, count: 1 }], verdict: Ack");
        it.expect("Detach");
    });
    let mut client = connect(&broker);
    let terms = PushTerms::new().acks(group());
    let mut work = client.subscribe_push("Work", &workers(), terms).expect("subscribed");
    for expected in [1, 2] {
        match work.next_batch_within(LIMIT).expect("no end") {
            Some(Pushed::Delivered(batch)) => {
                assert_eq!((batch.base_offset(), batch.deliveries()), (0, expected));
            }
            other => panic!("expected messages, found {other:?}"),
        }
    }
    work.ack(0);
    drop(work);
    broker.join();
}

#[test]
fn a_pulled_group_leases_messages_until_they_are_settled() {
    let broker = Broker::start(|listener| {
        let mut it = listener.accept();
        let subscribe = it.expect("delivery: Pull, start: Latest, acks: Some");
        it.reply(subscribe, &Response::Subscribed { next_offset: 4 });
        let pull = it.expect("Pull");
        let mut builder = BatchBuilder::new();
        builder.push(b"plain").expect("small");
        builder.push_with_headers([("kind", &b"urgent"[..])], b"rich").expect("small");
        let (lost, remaining, batch) = (0, 3, builder.batch());
        let leased = Response::Leased { base_offset: 4, lost, remaining, deliveries: 3, batch };
        it.reply(pull, &leased);
        let settle = it.expect("Named { topic: \"Work\", subscriber: \"workers\" }, ranges: [OffsetRange { first: 4, count: 2 }], verdict: Ack");
        drop((it, settle));
        // An acknowledgement changes nothing more the second time.
        let mut it = listener.accept();
        let settle = it.expect("first: 4, count: 2 }], verdict: Ack");
        it.reply(settle, &Response::Done);
        let seek = it.expect("Seek { topic: \"Work\", subscriber: \"workers\", to: Offset(2) }");
        it.reply(seek, &Response::Subscribed { next_offset: 2 });
    });
    let mut client = connect(&broker);
    let terms = PullTerms::new().start(Start::Latest).acks(group());
    assert_eq!(client.subscribe_with("Work", &workers(), &terms).expect("subscribed"), 4);
    let pulled = client.pull("Work", &workers()).expect("pulled");
    assert_eq!((pulled.messages.deliveries(), pulled.remaining), (3, 3));
    assert!(pulled.is_leased);
    let offsets = pulled.messages.offsets();
    let messages: Vec<_> = pulled.messages.into_iter().collect();
    assert!(messages[0].headers().is_empty());
    assert_eq!(messages[1].headers().value_of("kind"), Some(&b"urgent"[..]));
    assert_eq!((messages[1].offset, messages[1].deliveries), (5, 3));
    client.settle_pulled("Work", &workers(), &[offsets], Verdict::Ack).expect("settled");
    assert_eq!(client.seek("Work", &workers(), Start::Offset(2)).expect("moved"), 2);
    let nothing = OffsetRange { first: 4, count: 0 };
    let error = client.settle_pulled("Work", &workers(), &[nothing], Verdict::Ack);
    assert!(matches!(error, Err(Error::InvalidRequest { .. })), "{error:?}");
    broker.join();
}

#[test]
fn a_topic_and_a_publication_say_how_durable_they_are() {
    let broker = Broker::start(|listener| {
        let mut it = listener.accept();
        let create = it.expect("storage: Some(Disk), durability: Some(Sync)");
        it.reply(create, &Response::Done);
        let create = it.expect("messages_max: Some(7), age_ms_max: None }, storage: None");
        it.reply(create, &Response::Done);
        let publish = it.expect("PublishTerms { durability: Some(Os), sequence: None }");
        it.reply(publish, &Response::Published { base_offset: 3, count: 1 });
    });
    let mut client = connect(&broker);
    let options = TopicOptions {
        storage: Some(StorageClass::Disk),
        durability: Some(Durability::Sync),
        ..TopicOptions::default()
    };
    client.create_topic_with("Orders", options).expect("created");
    let retention = Retention { messages_max: Some(7), ..Retention::default() };
    client.create_topic_with("News", retention).expect("created");
    let offset = client.publish_durably("Orders", ["one"], Durability::Os).expect("published");
    assert_eq!(offset, 3);
    broker.join();
}

/// Answers `count` publications of one publisher, whose numbers begin with `first`.
fn take(it: &mut Connection, first: u64, count: u64) {
    for sequence in first..first + count {
        let publish = it.expect(&format!("sequence: {sequence} }})"));
        it.reply(publish, &Response::Published { base_offset: sequence, count: 1 });
    }
}

/// A broker that loses the connection with three publications in flight, one of which it
/// answered before; the numbers begin with `first`.
fn broker_that_breaks_off(first: u64) -> Broker {
    Broker::start(move |listener| {
        let mut it = listener.accept();
        take(&mut it, first, 1);
        it.expect(&format!("sequence: {} }})", first + 1));
        drop(it);
        let mut it = listener.accept();
        take(&mut it, first + 1, 2);
    })
}

#[test]
fn an_idempotent_publication_is_repeated_after_a_reconnect() {
    let broker = broker_that_breaks_off(5);
    let mut client = connect(&broker);
    let mut orders = IdempotentPublisher::resume("Orders", PublisherId::random(), 5);
    let sent: Vec<_> = (0..3)
        .map(|number: u8| client.send_idempotent(&mut orders, [[number]]).expect("sent"))
        .collect();
    let offsets = sent.into_iter().map(|ticket| client.wait(ticket).expect("taken").base_offset);
    assert_eq!(offsets.collect::<Vec<_>>(), [5, 6, 7]);
    assert_eq!(orders.next_sequence(), 8);
    broker.join();
}

#[test]
fn an_idempotent_publication_is_repeated_after_a_reconnect_in_the_asynchronous_driver_too() {
    let broker = broker_that_breaks_off(0);
    with_tokio(&broker, async |client| {
        let mut orders = IdempotentPublisher::new("Orders");
        let mut receipts = Vec::new();
        for number in 0u8..3 {
            let sent = client.send_idempotent(&mut orders, [[number]]).await;
            receipts.push(sent.expect("sent"));
        }
        for (offset, receipt) in (0..).zip(receipts) {
            assert_eq!(receipt.await.expect("taken").base_offset, offset);
        }
    });
    broker.join();
}

#[test]
fn an_idempotent_publisher_waits_where_the_broker_would_not_know_more_again() {
    let broker = Broker::start(|listener| {
        for _ in 0..2 {
            let mut it = listener.accept();
            take(&mut it, 0, 200);
            it.expect_end();
        }
    });
    let mut client = connect(&broker);
    let mut orders = IdempotentPublisher::new("Orders");
    for _ in 0..200 {
        client.send_idempotent(&mut orders, ["order"]).expect("sent");
    }
    client.wait_all().expect("taken");
    drop(client);
    with_tokio(&broker, async |client| {
        let mut orders = IdempotentPublisher::new("Orders");
        let mut last = None;
        for _ in 0..200 {
            last = Some(client.send_idempotent(&mut orders, ["order"]).await.expect("sent"));
        }
        assert_eq!(last.expect("many").await.expect("taken").base_offset, 199);
    });
    broker.join();
}

#[test]
fn a_number_that_the_broker_has_forgotten_is_told() {
    let broker = Broker::start(|listener| {
        let mut it = listener.accept();
        let publish = it.expect("sequence: 1 })");
        let refusal = Refusal::new(Code::StaleSequence, "expected 70 or more, found 1");
        it.reply(publish, &Response::Refused(refusal));
    });
    let mut client = connect(&broker);
    let mut orders = IdempotentPublisher::resume("Orders", PublisherId::random(), 1);
    let error = client.publish_idempotent(&mut orders, "late").expect_err("refused");
    assert_eq!(error.code(), Some(Code::StaleSequence));
    broker.join();
}

#[test]
fn a_group_of_the_asynchronous_driver_settles_and_seeks() {
    let broker = Broker::start(|listener| {
        let mut it = listener.accept();
        let subscription = it.expect(GROUP);
        it.reply(subscription, &Response::Subscribed { next_offset: 0 });
        redeliver(&mut it, subscription, 8, 4);
        it.expect("first: 8, count: 1 }], verdict: Nack { delay_ms: None }, answer: Unwanted");
        let ack = it.expect("first: 9, count: 1 }], verdict: Ack, answer: Wanted");
        it.reply(ack, &Response::Done);
        let seek = it.expect("to: Time { unix_ms: 12 }");
        it.reply(seek, &Response::Subscribed { next_offset: 6 });
        let subscribe = it.expect("subscriber: \"plain\", delivery: Pull, start: Offset(3)");
        it.reply(subscribe, &Response::Subscribed { next_offset: 3 });
        let settle = it.expect("subscriber: \"workers\" }, ranges: [OffsetRange { first: 1, count: 2 }], verdict: Nack");
        let code = Code::SubscriptionMismatch;
        it.reply(settle, &Response::Refused(Refusal::new(code, "it is a cursor")));
    });
    with_tokio(&broker, async |client| {
        let terms = PushTerms::new().acks(group());
        let subscribed = client.subscribe_push("Work", &workers(), terms).await;
        let mut work = subscribed.expect("subscribed");
        let Some(Ok(Pushed::Delivered(message))) = work.next().await else {
            panic!("expected a message");
        };
        assert_eq!((message.offset, message.deliveries), (8, 4));
        work.nack(8, None);
        work.ack_confirmed(9).await.expect("told");
        let start = Start::Time { unix_ms: 12 };
        assert_eq!(client.seek("Work", &workers(), start).await.expect("moved"), 6);
        let (plain, terms) =
            (SubscriberId::from("plain"), PullTerms::new().start(Start::Offset(3)));
        let next_offset = client.subscribe_with("Work", &plain, &terms).await;
        assert_eq!(next_offset.expect("subscribed"), 3);
        let (ranges, nack) =
            ([OffsetRange { first: 1, count: 2 }], Verdict::Nack { delay_ms: None });
        let refused = client.settle_pulled("Work", &workers(), &ranges, nack).await;
        assert_eq!(refused.expect_err("refused").code(), Some(Code::SubscriptionMismatch));
    });
    broker.join();
}
