//! Where a subscription begins, and where it goes on when it is told to.

use conformance::{BrokerProcess, Host, Speaks, for_all_hosts_and_dialects, wait_until};
use protocol::{AckTerms, Code, Retention, Start};
use std::time::{SystemTime, UNIX_EPOCH};

for_all_hosts_and_dialects! {
    a_subscription_begins_with_the_oldest_message_unless_told,
    a_subscription_from_the_latest_on_gets_what_is_published_later,
    a_subscription_begins_at_an_offset,
    an_offset_that_is_gone_is_the_oldest_held,
    an_offset_that_is_not_yet_published_is_the_next,
    a_subscription_begins_at_a_time,
    a_time_before_all_messages_is_the_oldest_held,
    a_time_that_is_yet_to_come_is_the_next_published,
    a_subscription_that_exists_goes_on_where_it_is,
    a_subscription_goes_back_and_forth,
    what_was_lost_is_not_lost_twice_after_seeking,
    a_group_begins_where_it_is_told,
    a_group_that_goes_back_has_nothing_in_flight,
    a_group_that_goes_forth_leaves_what_it_passes_over,
    other_subscriptions_stay_where_they_are,
    what_cannot_be_sought_is_refused,
}

/// A broker with a topic `t` that holds `count` messages, each its offset, and a client.
fn published<C: Speaks>(host: Host, count: u64) -> (BrokerProcess, C) {
    let broker = host.start();
    let mut client = C::connect(&broker);
    client.create("t").expect("created");
    publish(&mut client, 0..count);
    (broker, client)
}

/// The same, of which the topic holds the last three.
fn overtaken<C: Speaks>(host: Host, count: u64) -> (BrokerProcess, C) {
    let broker = host.start();
    let mut client = C::connect(&broker);
    let retention = Retention { messages_max: Some(3), ..Retention::default() };
    client.create_with("t", retention).expect("created");
    publish(&mut client, 0..count);
    (broker, client)
}

fn publish<C: Speaks>(client: &mut C, offsets: std::ops::Range<u64>) {
    for offset in offsets {
        assert_eq!(client.publish("t", offset.to_string()), Ok(offset));
    }
}

/// What `subscriber` pulls is all messages from `first` up to `end`, and none was lost.
#[track_caller]
fn check_pulled<C: Speaks>(client: &mut C, subscriber: &str, messages: std::ops::Range<u64>) {
    let pulled = client.pull("t", subscriber).expect("messages");
    let expected: Vec<String> = messages.map(|offset| offset.to_string()).collect();
    assert_eq!((pulled.texts(), pulled.lost), (expected.iter().map(String::as_str).collect(), 0));
}

/// A new subscription that begins at `start` reads from `first` up to `end`.
#[track_caller]
fn check_start<C: Speaks>(client: &mut C, start: Start, messages: std::ops::Range<u64>) {
    let name = format!("{start:?}");
    assert_eq!(client.subscribe_at("t", &name, start), Ok(messages.start), "{name}");
    check_pulled(client, &name, messages);
    assert_eq!(client.unsubscribe("t", &name), Ok(()));
}

fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970");
    u64::try_from(since.as_millis()).expect("it is before the year 500 million")
}

/// Lets so much time go by that it can be told from before and after.
fn time_between() -> u64 {
    let before = unix_ms();
    wait_until("the clock to go on", || unix_ms() >= before + 60);
    before + 30
}

fn a_subscription_begins_with_the_oldest_message_unless_told<C: Speaks>(host: Host) {
    let (_broker, mut client) = published::<C>(host, 5);
    assert_eq!(client.subscribe("t", "s"), Ok(()));
    check_pulled(&mut client, "s", 0..5);
    check_start(&mut client, Start::Earliest, 0..5);
    let (_broker, mut client) = overtaken::<C>(host, 10);
    check_start(&mut client, Start::Earliest, 7..10);
}

fn a_subscription_from_the_latest_on_gets_what_is_published_later<C: Speaks>(host: Host) {
    let (_broker, mut client) = published::<C>(host, 5);
    check_start(&mut client, Start::Latest, 5..5);
    assert_eq!(client.subscribe_at("t", "s", Start::Latest), Ok(5));
    publish(&mut client, 5..8);
    check_pulled(&mut client, "s", 5..8);
}

fn a_subscription_begins_at_an_offset<C: Speaks>(host: Host) {
    let (_broker, mut client) = published::<C>(host, 10);
    for offset in 0..10 {
        check_start(&mut client, Start::Offset(offset), offset..10);
    }
}

fn an_offset_that_is_gone_is_the_oldest_held<C: Speaks>(host: Host) {
    let (_broker, mut client) = overtaken::<C>(host, 10);
    check_start(&mut client, Start::Offset(0), 7..10);
    check_start(&mut client, Start::Offset(6), 7..10);
    check_start(&mut client, Start::Offset(8), 8..10);
}

fn an_offset_that_is_not_yet_published_is_the_next<C: Speaks>(host: Host) {
    let (_broker, mut client) = published::<C>(host, 5);
    for offset in [5, 6, 1000, u64::MAX] {
        check_start(&mut client, Start::Offset(offset), 5..5);
    }
}

fn a_subscription_begins_at_a_time<C: Speaks>(host: Host) {
    let (_broker, mut client) = published::<C>(host, 3);
    let first = time_between();
    publish(&mut client, 3..4);
    let second = time_between();
    publish(&mut client, 4..6);
    let third = time_between();
    check_start(&mut client, Start::Time { unix_ms: first }, 3..6);
    check_start(&mut client, Start::Time { unix_ms: second }, 4..6);
    check_start(&mut client, Start::Time { unix_ms: third }, 6..6);
}

fn a_time_before_all_messages_is_the_oldest_held<C: Speaks>(host: Host) {
    let before = unix_ms();
    let (_broker, mut client) = published::<C>(host, 3);
    check_start(&mut client, Start::Time { unix_ms: 0 }, 0..3);
    check_start(&mut client, Start::Time { unix_ms: before - 1000 }, 0..3);
    let (_broker, mut client) = overtaken::<C>(host, 10);
    check_start(&mut client, Start::Time { unix_ms: before - 1000 }, 7..10);
}

fn a_time_that_is_yet_to_come_is_the_next_published<C: Speaks>(host: Host) {
    let (_broker, mut client) = published::<C>(host, 3);
    check_start(&mut client, Start::Time { unix_ms: unix_ms() + 3_600_000 }, 3..3);
    check_start(&mut client, Start::Time { unix_ms: u64::MAX }, 3..3);
}

fn a_subscription_that_exists_goes_on_where_it_is<C: Speaks>(host: Host) {
    let (_broker, mut client) = published::<C>(host, 5);
    assert_eq!(client.subscribe_at("t", "s", Start::Offset(2)), Ok(2));
    for start in [Start::Earliest, Start::Latest, Start::Offset(4), Start::Time { unix_ms: 0 }] {
        assert_eq!(client.subscribe_at("t", "s", start), Ok(2), "{start:?}");
    }
    check_pulled(&mut client, "s", 2..5);
    assert_eq!(client.subscribe_at("t", "s", Start::Earliest), Ok(5));
}

fn a_subscription_goes_back_and_forth<C: Speaks>(host: Host) {
    let (_broker, mut client) = published::<C>(host, 5);
    assert_eq!(client.subscribe("t", "s"), Ok(()));
    check_pulled(&mut client, "s", 0..5);
    let now = time_between();
    for (to, next) in [
        (Start::Earliest, 0),
        (Start::Offset(3), 3),
        (Start::Latest, 5),
        (Start::Offset(1), 1),
        (Start::Time { unix_ms: now }, 5),
        (Start::Time { unix_ms: 0 }, 0),
        (Start::Offset(99), 5),
    ] {
        assert_eq!(client.seek("t", "s", to), Ok(next), "{to:?}");
        check_pulled(&mut client, "s", next..5);
    }
    assert_eq!(client.seek("t", "s", Start::Earliest), Ok(0));
    assert_eq!(client.pull_max("t", "s", Some(2)).expect("messages").remaining, 3);
    publish(&mut client, 5..6);
    check_pulled(&mut client, "s", 2..6);
}

fn what_was_lost_is_not_lost_twice_after_seeking<C: Speaks>(host: Host) {
    let (_broker, mut client) = published::<C>(host, 0);
    assert_eq!(client.delete("t"), Ok(()));
    let retention = Retention { messages_max: Some(3), ..Retention::default() };
    client.create_with("t", retention).expect("created");
    assert_eq!(client.subscribe("t", "s"), Ok(()));
    publish(&mut client, 0..10);
    assert_eq!(client.pull("t", "s").expect("messages").lost, 7);
    assert_eq!(client.seek("t", "s", Start::Offset(2)), Ok(7));
    check_pulled(&mut client, "s", 7..10);
}

fn a_group_begins_where_it_is_told<C: Speaks>(host: Host) {
    let (_broker, mut client) = published::<C>(host, 5);
    let acks = AckTerms::default();
    let starts = [
        (Start::Earliest, 0),
        (Start::Latest, 5),
        (Start::Offset(3), 3),
        (Start::Offset(9), 5),
        (Start::Time { unix_ms: 0 }, 0),
    ];
    for (start, next) in starts {
        assert_eq!(client.subscribe_as("t", "g", start, Some(&acks)), Ok(next), "{start:?}");
        let leased = client.lease("t", "g", None).expect("a lease");
        assert_eq!(leased.offsets, (next..5).collect::<Vec<_>>(), "{start:?}");
        assert_eq!(client.unsubscribe("t", "g"), Ok(()));
    }
}

fn a_group_that_goes_back_has_nothing_in_flight<C: Speaks>(host: Host) {
    let (_broker, mut client) = published::<C>(host, 5);
    let acks = AckTerms { in_flight_max: 3, ..AckTerms::default() };
    assert_eq!(client.join("t", "g", &acks), Ok(0));
    assert_eq!(client.lease("t", "g", None).expect("a lease").offsets, [0, 1, 2]);
    assert_eq!(client.ack_offsets("t", "g", &[0, 2]), Ok(()));
    assert_eq!(client.nack_offsets("t", "g", &[1], Some(0)), Ok(()));
    assert_eq!(client.seek("t", "g", Start::Offset(1)), Ok(1));
    assert_eq!(client.ack_offsets("t", "g", &[1]), Err(Code::InvalidValue), "not delivered since");
    let leased = client.lease("t", "g", None).expect("a lease");
    assert_eq!((&leased.offsets[..], leased.deliveries), (&[1, 2, 3][..], 1), "anew");
    assert_eq!(leased.pulled.remaining, 1);
}

fn a_group_that_goes_forth_leaves_what_it_passes_over<C: Speaks>(host: Host) {
    let (_broker, mut client) = published::<C>(host, 5);
    assert_eq!(client.join("t", "g", &AckTerms::default()), Ok(0));
    assert_eq!(client.lease("t", "g", Some(2)).expect("a lease").offsets, [0, 1]);
    assert_eq!(client.seek("t", "g", Start::Offset(4)), Ok(4));
    assert_eq!(client.nack_offsets("t", "g", &[0, 1, 2], Some(0)), Ok(()), "all done with");
    let leased = client.lease("t", "g", None).expect("a lease");
    assert_eq!((&leased.offsets[..], leased.pulled.lost), (&[4][..], 0));
}

fn other_subscriptions_stay_where_they_are<C: Speaks>(host: Host) {
    let (_broker, mut client) = published::<C>(host, 5);
    for subscriber in ["a", "b"] {
        assert_eq!(client.subscribe_at("t", subscriber, Start::Offset(2)), Ok(2));
    }
    assert_eq!(client.seek("t", "a", Start::Earliest), Ok(0));
    check_pulled(&mut client, "b", 2..5);
    check_pulled(&mut client, "a", 0..5);
}

fn what_cannot_be_sought_is_refused<C: Speaks>(host: Host) {
    let (_broker, mut client) = published::<C>(host, 1);
    assert_eq!(client.seek("t", "s", Start::Earliest), Err(Code::NotSubscribed));
    assert_eq!(client.seek("u", "s", Start::Earliest), Err(Code::UnknownTopic));
    assert_eq!(client.seek("", "s", Start::Earliest), Err(Code::TopicNameEmpty));
    assert_eq!(client.subscribers("t"), Ok(vec![]), "nothing was made by being asked for");
}
