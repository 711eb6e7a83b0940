//! A push subscriber that falls behind what its topic holds: publishers are held for a while,
//! then its lag policy decides.

use conformance::{Backend, BrokerProcess, JsonClient, NativeClient, PUSH, Received, Reply};
use conformance::{Speaks, for_both_backends, wait_until};
use protocol::{AckMode, Code, LagPolicy, Messages, PublishAck, PublishTerms, Push, Request};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

for_both_backends! {
    skip_goes_on_with_the_oldest_message_held_and_tells_what_was_lost,
    skip_is_waited_for_again_when_it_has_caught_up,
    skip_after_a_reconnect_tells_what_was_lost_meanwhile,
    disconnect_tells_the_reason_and_ends_the_connection,
    disconnect_keeps_the_subscription,
    hold_has_publishers_wait_and_loses_nothing,
    hold_has_publishers_of_json_wait_too,
    hold_waits_for_acknowledgements_where_they_are_explicit,
    a_short_burst_loses_nothing_under_any_policy,
    a_held_publisher_goes_on_when_the_subscriber_leaves,
    a_held_publisher_goes_on_when_the_subscriber_is_removed,
    a_held_publisher_is_told_when_the_topic_is_deleted,
    a_held_publisher_that_leaves_hurts_nobody,
    holding_one_topic_holds_no_other,
    a_topic_limited_in_messages_follows_the_policy_too,
}

/// The smallest topic there can be: it holds fewer than [`HELD_MAX`] messages of [`message`].
const SMALL: [&str; 4] = ["--message-bytes-max", "1024", "--topic-bytes-max", "66560"];

/// Payload bytes of a [`message`], 1000 with its record's header.
const MESSAGE_BYTES: usize = 996;

/// More messages than a small topic can hold.
const HELD_MAX: usize = 67;

/// Far more messages than a small topic can hold.
const MANY: usize = 300;

fn message(number: usize) -> Vec<u8> {
    format!("{number:0>MESSAGE_BYTES$}").into_bytes()
}

fn number_of(message: &[u8]) -> usize {
    std::str::from_utf8(message).expect("digits").parse().expect("a number")
}

fn policy(lag_policy: LagPolicy) -> Push {
    Push { lag_policy, credit_bytes: 1, ..PUSH }
}

/// A broker with a small topic `t` that holds publishers for `hold_ms` at most, and a client.
fn small_topic(backend: Backend, hold_ms: &str) -> (BrokerProcess, NativeClient) {
    let flags = [&SMALL[..], &["--publisher-hold-ms-max", hold_ms]].concat();
    let broker = BrokerProcess::start_with(backend, &flags);
    let mut client = NativeClient::connect(&broker);
    client.create("t").expect("created");
    (broker, client)
}

/// Attaches `s` with credit for one message, and reads it.
fn attach_and_read_one(
    broker: &BrokerProcess,
    publisher: &mut NativeClient,
    lag_policy: LagPolicy,
) -> (NativeClient, u32) {
    let mut subscriber = NativeClient::connect(broker);
    let (subscription, _) = subscriber.attach("t", "s", policy(lag_policy));
    publisher.publish("t", message(0)).expect("published");
    assert_eq!(subscriber.delivered_count(subscription, 1).1, [message(0)]);
    (subscriber, subscription)
}

fn publish_all(publisher: &mut NativeClient, numbers: std::ops::Range<usize>) {
    for number in numbers {
        assert_eq!(publisher.publish("t", message(number)), Ok(number as u64));
    }
}

/// Sends publications of `numbers` to `topic` without waiting for their answers.
fn send_all(
    publisher: &mut NativeClient,
    topic: &str,
    numbers: std::ops::Range<usize>,
) -> Vec<u32> {
    let send = |number| {
        let messages = Messages::One(message(number).into());
        let ack = PublishAck::Wanted;
        publisher.send(&Request::Publish {
            topic: topic.into(),
            messages,
            ack,
            terms: PublishTerms::default(),
        })
    };
    numbers.map(send).collect()
}

/// Reads what is delivered from `number` on, up to message `end`; each at its own offset.
#[track_caller]
fn check_delivered(client: &mut NativeClient, subscription: u32, number: usize, end: usize) {
    let (base_offset, messages) = client.delivered_count(subscription, end - number);
    assert_eq!(base_offset, number as u64);
    let numbers: Vec<_> = messages.iter().map(|message| number_of(message)).collect();
    assert_eq!(numbers, (number..end).collect::<Vec<_>>());
}

/// Reads LOST, which must begin behind message `read`, and gives the offset of what comes next.
#[track_caller]
fn lost_after(client: &mut NativeClient, subscription: u32, read: usize) -> usize {
    match client.read() {
        Received { correlation, reply: Reply::Lost { count, next_offset } } => {
            assert_eq!(correlation, subscription);
            assert_eq!(next_offset, read as u64 + 1 + count, "what was lost lies between");
            next_offset as usize
        }
        other => panic!("expected LOST, found {other:?}"),
    }
}

fn skip_goes_on_with_the_oldest_message_held_and_tells_what_was_lost(backend: Backend) {
    let (broker, mut publisher) = small_topic(backend, "200");
    let (mut subscriber, subscription) =
        attach_and_read_one(&broker, &mut publisher, LagPolicy::Skip);
    publish_all(&mut publisher, 1..MANY);
    assert_eq!(subscriber.pushed_before_pong(), [], "nothing is sent without credit");
    subscriber.credit(subscription, 1 << 20);
    let next = lost_after(&mut subscriber, subscription, 0);
    assert!(next > MANY - HELD_MAX && next < MANY, "the newest messages are kept, from {next}");
    check_delivered(&mut subscriber, subscription, next, MANY);
    publish_all(&mut publisher, MANY..MANY + 1);
    check_delivered(&mut subscriber, subscription, MANY, MANY + 1);
}

fn skip_is_waited_for_again_when_it_has_caught_up(backend: Backend) {
    let (broker, mut publisher) = small_topic(backend, "1000");
    let (mut subscriber, subscription) =
        attach_and_read_one(&broker, &mut publisher, LagPolicy::Skip);
    publish_all(&mut publisher, 1..MANY);
    subscriber.credit(subscription, 1 << 30);
    let next = lost_after(&mut subscriber, subscription, 0);
    check_delivered(&mut subscriber, subscription, next, MANY);
    thread::scope(|scope| {
        scope.spawn(|| check_delivered(&mut subscriber, subscription, MANY, 6 * MANY));
        let sent = send_all(&mut publisher, "t", MANY..6 * MANY);
        check_all_published(&mut publisher, &sent);
    });
}

fn skip_after_a_reconnect_tells_what_was_lost_meanwhile(backend: Backend) {
    let (broker, mut publisher) = small_topic(backend, "3600000");
    let (subscriber, _) = attach_and_read_one(&broker, &mut publisher, LagPolicy::Skip);
    drop(subscriber);
    wait_until("the subscriber to be gone", || publisher.info().expect("info").connections == 1);
    publish_all(&mut publisher, 1..MANY);
    let mut subscriber = NativeClient::connect(&broker);
    let (subscription, _) = subscriber.attach("t", "s", PUSH);
    let next = lost_after(&mut subscriber, subscription, 0);
    check_delivered(&mut subscriber, subscription, next, MANY);
}

fn disconnect_tells_the_reason_and_ends_the_connection(backend: Backend) {
    let (broker, mut publisher) = small_topic(backend, "200");
    let (mut subscriber, subscription) =
        attach_and_read_one(&broker, &mut publisher, LagPolicy::Disconnect);
    publish_all(&mut publisher, 1..MANY);
    let expected = Received { correlation: subscription, reply: Reply::Ended(Code::Lagging) };
    assert_eq!(subscriber.read(), expected);
    subscriber.connection.assert_ended();
    assert_eq!(publisher.ping(), Ok(()));
}

fn disconnect_keeps_the_subscription(backend: Backend) {
    let (broker, mut publisher) = small_topic(backend, "100");
    let (mut subscriber, subscription) =
        attach_and_read_one(&broker, &mut publisher, LagPolicy::Disconnect);
    publish_all(&mut publisher, 1..MANY);
    let expected = Received { correlation: subscription, reply: Reply::Ended(Code::Lagging) };
    assert_eq!(subscriber.read(), expected);
    assert_eq!(publisher.subscribers("t").expect("subscribers"), ["s"]);
    let pulled = publisher.pull("t", "s").expect("messages");
    assert_eq!(pulled.lost + pulled.messages.len() as u64, MANY as u64 - 1);
    assert_eq!(number_of(pulled.messages.last().expect("a message")), MANY - 1);
}

/// Publishes [`MANY`] messages with `publish` while `s` gives credit for one after the other.
/// Publishers are never further ahead of it than the topic can hold.
fn check_hold(
    broker: &BrokerProcess,
    mut subscriber: NativeClient,
    subscription: u32,
    mut publish: impl FnMut(usize) + Send,
) {
    let (broker_address, acked) = (broker.address(), AtomicUsize::new(1));
    thread::scope(|scope| {
        scope.spawn(|| {
            for number in 1..MANY {
                publish(number);
                acked.fetch_add(1, Ordering::SeqCst);
            }
        });
        wait_until("a topic that fills up", || acked.load(Ordering::SeqCst) > HELD_MAX / 2);
        let mut other = NativeClient::open(broker_address);
        for number in 1..MANY {
            let ahead = acked.load(Ordering::SeqCst).saturating_sub(number);
            assert!(ahead <= HELD_MAX, "publishers are {ahead} messages ahead of {number}");
            assert_eq!(other.ping(), Ok(()), "nobody else is held");
            subscriber.credit(subscription, MESSAGE_BYTES as u32 + 4);
            check_delivered(&mut subscriber, subscription, number, number + 1);
        }
    });
    assert_eq!(acked.into_inner(), MANY, "every publication was answered");
}

fn hold_has_publishers_wait_and_loses_nothing(backend: Backend) {
    let (broker, mut publisher) = small_topic(backend, "1");
    let (mut subscriber, subscription) =
        attach_and_read_one(&broker, &mut publisher, LagPolicy::Hold);
    // What one message overdrew, so that each further credit is one message's.
    subscriber.credit(subscription, MESSAGE_BYTES as u32 + 3);
    check_hold(&broker, subscriber, subscription, |number| {
        assert_eq!(publisher.publish("t", message(number)), Ok(number as u64));
    });
}

fn hold_has_publishers_of_json_wait_too(backend: Backend) {
    let (broker, mut publisher) = small_topic(backend, "1");
    let (mut subscriber, subscription) =
        attach_and_read_one(&broker, &mut publisher, LagPolicy::Hold);
    subscriber.credit(subscription, MESSAGE_BYTES as u32 + 3);
    let mut publisher = JsonClient::connect(&broker);
    check_hold(&broker, subscriber, subscription, |number| {
        assert_eq!(publisher.publish("t", message(number)), Ok(number as u64));
    });
}

fn hold_waits_for_acknowledgements_where_they_are_explicit(backend: Backend) {
    let (broker, mut publisher) = small_topic(backend, "1");
    let push = Push { lag_policy: LagPolicy::Hold, ack_mode: AckMode::Cumulative, ..PUSH };
    let mut subscriber = NativeClient::connect(&broker);
    let (mut subscription, _) = subscriber.attach("t", "s", push);
    let answered = AtomicUsize::new(0);
    thread::scope(|scope| {
        scope.spawn(|| {
            for number in 0..MANY {
                assert_eq!(publisher.publish("t", message(number)), Ok(number as u64));
                answered.fetch_add(1, Ordering::SeqCst);
            }
        });
        let mut received = 0;
        for number in 0..MANY {
            while received <= number {
                let delivered = subscriber.delivered(subscription);
                assert_eq!(delivered.base_offset, received as u64, "no gap");
                received += delivered.messages.len();
            }
            let ahead = answered.load(Ordering::SeqCst).saturating_sub(number);
            assert!(ahead <= HELD_MAX, "publishers are {ahead} messages ahead of {number}");
            subscriber.ack(subscription, number as u64);
            if number % 100 == 50 {
                assert_eq!(subscriber.ping(), Ok(()), "the acknowledgement was read");
                // The former connection stays until then: nobody is waited for while away.
                let mut next = NativeClient::connect(&broker);
                let (again, next_offset) = next.attach("t", "s", push);
                assert_eq!(next_offset, number as u64 + 1, "the rest comes again");
                (subscriber, subscription, received) = (next, again, number + 1);
            }
        }
    });
    assert_eq!(answered.into_inner(), MANY, "every publication was answered");
}

fn a_short_burst_loses_nothing_under_any_policy(backend: Backend) {
    let (broker, mut publisher) = small_topic(backend, "10000");
    let policies = [LagPolicy::Skip, LagPolicy::Disconnect, LagPolicy::Hold];
    thread::scope(|scope| {
        for (subscriber, lag_policy) in policies.into_iter().enumerate() {
            let mut client = NativeClient::connect(&broker);
            let push = Push { lag_policy, ..PUSH };
            let (subscription, _) = client.attach("t", &subscriber.to_string(), push);
            scope.spawn(move || check_delivered(&mut client, subscription, 0, 5 * MANY));
        }
        let sent = send_all(&mut publisher, "t", 0..5 * MANY);
        check_all_published(&mut publisher, &sent);
    });
}

/// A publisher that waits for a subscriber that does not read: what it sent, and who it waits for.
fn held_publisher(backend: Backend) -> (BrokerProcess, NativeClient, Vec<u32>, NativeClient) {
    let (broker, mut publisher) = small_topic(backend, "1");
    let (subscriber, _) = attach_and_read_one(&broker, &mut publisher, LagPolicy::Hold);
    let sent = send_all(&mut publisher, "t", 1..MANY);
    let mut watcher = NativeClient::connect(&broker);
    wait_until("a topic that fills up", || {
        watcher.info().expect("info").messages_in > HELD_MAX as u64 / 2
    });
    (broker, publisher, sent, subscriber)
}

#[track_caller]
fn check_all_published(publisher: &mut NativeClient, sent: &[u32]) {
    for correlation in sent {
        match publisher.answer_to(*correlation) {
            Reply::Published { count: 1, .. } => {}
            other => panic!("expected PUBLISHED, found {other:?}"),
        }
    }
}

fn a_held_publisher_goes_on_when_the_subscriber_leaves(backend: Backend) {
    let (_broker, mut publisher, sent, subscriber) = held_publisher(backend);
    drop(subscriber);
    check_all_published(&mut publisher, &sent);
}

fn a_held_publisher_goes_on_when_the_subscriber_is_removed(backend: Backend) {
    let (broker, mut publisher, sent, _subscriber) = held_publisher(backend);
    NativeClient::connect(&broker).unsubscribe("t", "s").expect("unsubscribed");
    check_all_published(&mut publisher, &sent);
}

fn a_held_publisher_is_told_when_the_topic_is_deleted(backend: Backend) {
    let (broker, mut publisher, sent, _subscriber) = held_publisher(backend);
    NativeClient::connect(&broker).delete("t").expect("deleted");
    let replies: Vec<_> = sent.iter().map(|sent| publisher.answer_to(*sent)).collect();
    let published = |reply: &Reply| matches!(reply, Reply::Published { .. });
    let (before, after) = replies.split_at(replies.partition_point(published));
    assert!(before.len() <= HELD_MAX, "{} were published before it was held", before.len());
    assert!(after.iter().all(|reply| *reply == Reply::Refused(Code::UnknownTopic)), "{after:?}");
}

fn a_held_publisher_that_leaves_hurts_nobody(backend: Backend) {
    let (broker, publisher, _, mut subscriber) = held_publisher(backend);
    drop(publisher);
    let mut other = NativeClient::connect(&broker);
    assert_eq!(other.ping(), Ok(()));
    subscriber.unsubscribe("t", "s").expect("unsubscribed");
    // What it had sent is published, as after any client that stops sending; then it is gone.
    wait_until("the publisher to be gone", || other.info().expect("info").connections == 2);
    other.publish("t", "after").expect("published");
}

fn holding_one_topic_holds_no_other(backend: Backend) {
    let (broker, _publisher, ..) = held_publisher(backend);
    let mut other = NativeClient::connect(&broker);
    other.create("u").expect("created");
    let (subscription, _) = other.attach("u", "s", PUSH);
    let sent = send_all(&mut other, "u", 0..MANY);
    check_all_published(&mut other, &sent);
    check_delivered(&mut other, subscription, 0, MANY);
}

fn a_topic_limited_in_messages_follows_the_policy_too(backend: Backend) {
    let flags = ["--topic-messages-max", "10", "--publisher-hold-ms-max", "100"];
    let broker = BrokerProcess::start_with(backend, &flags);
    let mut publisher = NativeClient::connect(&broker);
    publisher.create("t").expect("created");
    let (mut skipping, subscription) =
        attach_and_read_one(&broker, &mut publisher, LagPolicy::Skip);
    publish_all(&mut publisher, 1..100);
    skipping.credit(subscription, 1 << 20);
    assert_eq!(lost_after(&mut skipping, subscription, 0), 90);
    check_delivered(&mut skipping, subscription, 90, 100);
}
