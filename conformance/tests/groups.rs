//! Groups over push delivery: each message goes to one of the consumers that are attached.

use conformance::{BrokerProcess, Delivered, Host, NativeClient, PUSH, Received, Reply, Speaks};
use conformance::{for_all_hosts, wait_until};
use protocol::{AckTerms, Code, Lifetime, Push, Request, Verdict};

for_all_hosts! {
    each_message_goes_to_one_consumer,
    idle_consumers_share_what_comes_at_once,
    a_consumer_that_does_not_acknowledge_leaves_the_others_their_part,
    a_consumer_that_leaves_leaves_its_part_of_the_window_too,
    one_connection_may_be_several_consumers,
    an_in_flight_window_stops_deliveries_until_there_are_acknowledgements,
    what_is_not_acknowledged_in_time_is_delivered_again,
    what_is_given_back_without_delay_is_delivered_at_once,
    what_is_given_back_with_a_delay_is_delivered_later,
    a_consumer_that_disconnects_leaves_its_messages_to_another_at_once,
    a_consumer_that_detaches_leaves_its_messages_to_another_at_once,
    a_consumer_that_comes_alone_gets_what_another_left,
    what_a_consumer_leaves_others_get_though_it_went_first,
    a_consumer_without_credit_keeps_nothing_from_the_others,
    consumers_that_pull_and_consumers_that_are_pushed_to_share,
    what_one_that_pulls_leaves_is_pushed_to_others,
    a_group_of_its_connections_ends_with_the_last,
    every_consumer_is_told_when_the_subscription_is_removed,
    every_consumer_is_told_when_the_topic_is_deleted,
    only_individual_acknowledgements_are_taken,
    an_acknowledgement_that_wants_an_answer_has_one,
}

const NEVER_MS: u32 = 3_600_000;

/// Whose messages come back only when a consumer gives them back.
const PATIENT: AckTerms<'static> = AckTerms {
    ack_timeout_ms: NEVER_MS,
    in_flight_max: 1000,
    deliveries_max: 1000,
    backoff_ms_min: NEVER_MS,
    backoff_ms_max: NEVER_MS,
    dead_letter: None,
};

const AT_ONCE: Verdict = Verdict::Nack { delay_ms: Some(0) };

/// A broker with a topic `t`, and a client that publishes.
fn with_topic(host: Host) -> (BrokerProcess, NativeClient) {
    let broker = host.start();
    let mut publisher = NativeClient::connect(&broker);
    publisher.create("t").expect("created");
    (broker, publisher)
}

/// A consumer of the group `g`, and the number that it is attached under.
fn consumer(broker: &BrokerProcess, acks: &AckTerms<'_>) -> (NativeClient, u32) {
    let mut client = NativeClient::connect(broker);
    let subscription = client.attach_to_group("t", "g", PUSH, acks);
    (client, subscription)
}

fn numbers(count: usize) -> Vec<String> {
    (0..count).map(|number| number.to_string()).collect()
}

/// The offsets of what came first, which must be new, or delivered for the second time.
#[track_caller]
fn offsets(received: &[Received]) -> Vec<u64> {
    let offsets = received.iter().map(|received| match &received.reply {
        Reply::Deliver(delivered) | Reply::Redeliver { delivered, deliveries: 2 } => {
            delivered.base_offset..delivered.base_offset + delivered.messages.len() as u64
        }
        other => panic!("expected DELIVER or REDELIVER, found {other:?}"),
    });
    offsets.flatten().collect()
}

/// What each consumer was given by the time that all of `count` messages were.
#[track_caller]
fn shares(consumers: &mut [(NativeClient, u32)], count: usize) -> Vec<Vec<u64>> {
    let mut shares = vec![Vec::new(); consumers.len()];
    wait_until("every message to be given to a consumer", || {
        for ((client, _), share) in consumers.iter_mut().zip(&mut shares) {
            share.extend(offsets(&client.pushed_before_pong()));
        }
        shares.iter().map(Vec::len).sum::<usize>() >= count
    });
    let mut all = shares.concat();
    all.sort_unstable();
    assert_eq!(all, (0..count as u64).collect::<Vec<_>>(), "each message went to one");
    shares
}

/// The next REDELIVER: its deliveries and offsets.
#[track_caller]
fn again(client: &mut NativeClient, subscription: u32) -> (u32, u64, usize) {
    let (deliveries, Delivered { base_offset, messages, .. }) =
        client.delivered_again(subscription);
    (deliveries, base_offset, messages.len())
}

fn each_message_goes_to_one_consumer(host: Host) {
    let (broker, mut publisher) = with_topic(host);
    let mut consumers = [(); 3].map(|()| consumer(&broker, &PATIENT));
    for number in numbers(300) {
        publisher.publish("t", number).expect("published");
    }
    shares(&mut consumers, 300);
    for (client, _) in &mut consumers {
        assert_eq!(client.pushed_before_pong(), [], "no consumer was ended by another");
    }
}

fn idle_consumers_share_what_comes_at_once(host: Host) {
    let (broker, mut publisher) = with_topic(host);
    let acks = AckTerms { in_flight_max: 400, ..PATIENT };
    let mut consumers = [(); 4].map(|()| consumer(&broker, &acks));
    publisher.publish_batch("t", &numbers(400));
    for share in shares(&mut consumers, 400) {
        assert_eq!(share.len(), 100, "each has its part of the window");
    }
}

fn a_consumer_that_does_not_acknowledge_leaves_the_others_their_part(host: Host) {
    let (broker, mut publisher) = with_topic(host);
    let acks = AckTerms { in_flight_max: 10, ..PATIENT };
    let (mut idle, _) = consumer(&broker, &acks);
    let (mut busy, subscription) = consumer(&broker, &acks);
    publisher.publish_batch("t", &numbers(100));
    let (mut done, mut kept) = (0, 0);
    wait_until("all to be given out", || {
        for offset in offsets(&busy.pushed_before_pong()) {
            busy.settle_pushed(subscription, offset, 1, Verdict::Ack);
            done += 1;
        }
        kept += offsets(&idle.pushed_before_pong()).len();
        done + kept == 100
    });
    assert!(kept <= 5, "one of two consumers kept {kept} of a window of 10");
}

fn a_consumer_that_leaves_leaves_its_part_of_the_window_too(host: Host) {
    let (broker, mut publisher) = with_topic(host);
    let acks = AckTerms { in_flight_max: 10, ..PATIENT };
    let mut leaving = NativeClient::connect(&broker);
    leaving.attach_to_group("t", "g", Push { credit_bytes: 0, ..PUSH }, &acks);
    let (mut staying, subscription) = consumer(&broker, &acks);
    publisher.publish_batch("t", &numbers(20));
    assert_eq!(staying.delivered_count(subscription, 5).0, 0);
    assert_eq!(staying.pushed_before_pong(), [], "half of the window is its part");
    drop(leaving);
    assert_eq!(staying.delivered_count(subscription, 5).0, 5);
}

fn one_connection_may_be_several_consumers(host: Host) {
    let (broker, mut publisher) = with_topic(host);
    let (mut client, first) = consumer(&broker, &PATIENT);
    let second = client.attach_to_group("t", "g", PUSH, &PATIENT);
    publisher.publish("t", "a").expect("published");
    let Received { correlation, reply: Reply::Deliver(delivered) } = client.read() else {
        panic!("expected DELIVER");
    };
    assert_eq!(delivered.messages, [b"a"]);
    let other = if correlation == first { second } else { first };
    assert_eq!(client.ask(&Request::Detach { subscription: correlation }), Reply::Done);
    assert_eq!(again(&mut client, other), (2, 0, 1));
}

fn an_in_flight_window_stops_deliveries_until_there_are_acknowledgements(host: Host) {
    let (broker, mut publisher) = with_topic(host);
    let acks = AckTerms { in_flight_max: 3, ..PATIENT };
    let (mut client, subscription) = consumer(&broker, &acks);
    publisher.publish_batch("t", &numbers(9));
    assert_eq!(client.delivered_count(subscription, 3).0, 0);
    assert_eq!(client.pushed_before_pong(), []);
    client.settle_pushed(subscription, 1, 2, Verdict::Ack);
    assert_eq!(client.delivered_count(subscription, 2).0, 3);
    assert_eq!(client.pushed_before_pong(), []);
    client.settle_pushed(subscription, 0, 1, Verdict::Ack);
    assert_eq!(client.delivered_count(subscription, 1).0, 5);
    client.settle_pushed(subscription, 0, 6, Verdict::Ack);
    assert_eq!(client.delivered_count(subscription, 3).0, 6);
}

fn what_is_not_acknowledged_in_time_is_delivered_again(host: Host) {
    let (broker, mut publisher) = with_topic(host);
    let acks = AckTerms { ack_timeout_ms: 100, backoff_ms_min: 1, backoff_ms_max: 1, ..PATIENT };
    let (mut client, subscription) = consumer(&broker, &acks);
    publisher.publish_batch("t", &["a", "b", "c"]);
    client.delivered_count(subscription, 3);
    client.settle_pushed(subscription, 0, 1, Verdict::Ack);
    client.settle_pushed(subscription, 2, 1, Verdict::Ack);
    assert_eq!(again(&mut client, subscription), (2, 1, 1));
    assert_eq!(again(&mut client, subscription), (3, 1, 1));
}

fn what_is_given_back_without_delay_is_delivered_at_once(host: Host) {
    let (broker, mut publisher) = with_topic(host);
    let (mut client, subscription) = consumer(&broker, &PATIENT);
    publisher.publish_batch("t", &["a", "b", "c"]);
    client.delivered_count(subscription, 3);
    for deliveries in 2..20 {
        client.settle_pushed(subscription, 1, 2, AT_ONCE);
        assert_eq!(again(&mut client, subscription), (deliveries, 1, 2));
    }
}

fn what_is_given_back_with_a_delay_is_delivered_later(host: Host) {
    let (broker, mut publisher) = with_topic(host);
    let (mut client, subscription) = consumer(&broker, &PATIENT);
    publisher.publish_batch("t", &["a", "b", "c"]);
    client.delivered_count(subscription, 3);
    let later = |delay_ms| Verdict::Nack { delay_ms: Some(delay_ms) };
    client.settle_pushed(subscription, 0, 1, later(NEVER_MS));
    client.settle_pushed(subscription, 1, 1, later(300));
    client.settle_pushed(subscription, 2, 1, Verdict::Nack { delay_ms: None });
    assert_eq!(again(&mut client, subscription), (2, 1, 1), "the only one that is due");
}

fn a_consumer_that_disconnects_leaves_its_messages_to_another_at_once(host: Host) {
    let (broker, mut publisher) = with_topic(host);
    let (mut first, subscription) = consumer(&broker, &PATIENT);
    publisher.publish_batch("t", &numbers(10));
    first.delivered_count(subscription, 10);
    first.settle_pushed(subscription, 3, 1, Verdict::Ack);
    assert_eq!(first.ping(), Ok(()), "the acknowledgement was read");
    let (mut second, subscription) = consumer(&broker, &PATIENT);
    assert_eq!(second.pushed_before_pong(), [], "all is in flight");
    drop(first);
    assert_eq!(again(&mut second, subscription), (2, 0, 3));
    assert_eq!(again(&mut second, subscription), (2, 4, 6));
}

fn a_consumer_that_detaches_leaves_its_messages_to_another_at_once(host: Host) {
    let (broker, mut publisher) = with_topic(host);
    let (mut first, subscription) = consumer(&broker, &PATIENT);
    publisher.publish_batch("t", &numbers(10));
    first.delivered_count(subscription, 10);
    let (mut second, second_subscription) = consumer(&broker, &PATIENT);
    assert_eq!(first.ask(&Request::Detach { subscription }), Reply::Done);
    assert_eq!(again(&mut second, second_subscription), (2, 0, 10));
}

fn a_consumer_that_comes_alone_gets_what_another_left(host: Host) {
    let (broker, mut publisher) = with_topic(host);
    let (mut first, subscription) = consumer(&broker, &PATIENT);
    publisher.publish_batch("t", &numbers(4));
    first.delivered_count(subscription, 4);
    drop(first);
    wait_until("it to be gone", || publisher.info().expect("info").connections == 1);
    publisher.publish("t", "new").expect("published");
    let (mut second, subscription) = consumer(&broker, &PATIENT);
    assert_eq!(again(&mut second, subscription), (2, 0, 4));
    assert_eq!(second.delivered_count(subscription, 1), (4, vec![b"new".to_vec()]));
}

fn what_a_consumer_leaves_others_get_though_it_went_first(host: Host) {
    let (broker, mut publisher) = with_topic(host);
    let (mut leaving, subscription) = consumer(&broker, &PATIENT);
    publisher.publish_batch("t", &[[b'x'; 96]; 10]);
    leaving.delivered_count(subscription, 10);
    let mut poor = NativeClient::connect(&broker);
    poor.attach_to_group("t", "g", Push { credit_bytes: 1, ..PUSH }, &PATIENT);
    let (mut rich, _) = consumer(&broker, &PATIENT);
    drop(leaving);
    let mut given = Vec::new();
    wait_until("all to be given out again", || {
        given.extend(offsets(&poor.pushed_before_pong()));
        given.extend(offsets(&rich.pushed_before_pong()));
        given.len() == 10
    });
}

fn a_consumer_without_credit_keeps_nothing_from_the_others(host: Host) {
    let (broker, mut publisher) = with_topic(host);
    let mut poor = NativeClient::connect(&broker);
    poor.attach_to_group("t", "g", Push { credit_bytes: 0, ..PUSH }, &PATIENT);
    let (mut rich, subscription) = consumer(&broker, &PATIENT);
    for batch in 0..10 {
        publisher.publish_batch("t", &numbers(300));
        assert_eq!(rich.delivered_count(subscription, 300).0, 300 * batch);
        rich.settle_pushed(subscription, 300 * batch, 300, Verdict::Ack);
    }
    assert_eq!(poor.pushed_before_pong(), []);
}

fn consumers_that_pull_and_consumers_that_are_pushed_to_share(host: Host) {
    let (broker, mut puller) = with_topic(host);
    puller.publish_batch("t", &numbers(10));
    assert_eq!(puller.join("t", "g", &PATIENT), Ok(0));
    assert_eq!(puller.lease("t", "g", Some(4)).expect("a lease").offsets, [0, 1, 2, 3]);
    let (mut pushed_to, subscription) = consumer(&broker, &PATIENT);
    assert_eq!(pushed_to.delivered_count(subscription, 6).0, 4);
    assert!(puller.lease("t", "g", None).expect("a lease").offsets.is_empty());
    assert_eq!(puller.ack_offsets("t", "g", &[5, 9]), Ok(()), "another's, by name");
    pushed_to.settle_pushed(subscription, 0, 2, Verdict::Ack);
    drop(pushed_to);
    let mut leased = Vec::new();
    wait_until("what the other left", || {
        leased.extend(puller.lease("t", "g", None).expect("a lease").offsets);
        leased == [4, 6, 7, 8]
    });
    puller.publish("t", "new").expect("published");
    assert_eq!(puller.lease("t", "g", None).expect("a lease").offsets, [10]);
}

fn what_one_that_pulls_leaves_is_pushed_to_others(host: Host) {
    let (broker, mut puller) = with_topic(host);
    let (mut pushed_to, subscription) = consumer(&broker, &PATIENT);
    puller.publish_batch("t", &numbers(20));
    pushed_to.delivered_count(subscription, 20);
    let later = Verdict::Nack { delay_ms: Some(200) };
    assert_eq!(pushed_to.settle_pushed_answered(subscription, 0, 20, later), Ok(()));
    // It pulls so often that it is often the first to see what is due.
    let mut leased = Vec::new();
    wait_until("messages that come again", || {
        leased = puller.lease("t", "g", Some(1)).expect("a lease").offsets;
        !leased.is_empty() || !pushed_to.pushed_before_pong().is_empty()
    });
    if leased == [0] {
        assert_eq!(again(&mut pushed_to, subscription), (2, 1, 19));
    }
}

fn a_group_of_its_connections_ends_with_the_last(host: Host) {
    let (broker, mut publisher) = with_topic(host);
    let push = Push { lifetime: Lifetime::Connection, ..PUSH };
    let mut consumers = [(); 2].map(|()| {
        let mut client = NativeClient::connect(&broker);
        client.attach_to_group("t", "g", push, &PATIENT);
        Some(client)
    });
    drop(consumers[0].take());
    wait_until("it to be gone", || publisher.info().expect("info").connections == 2);
    assert_eq!(publisher.subscribers("t").expect("subscribers"), ["g"]);
    drop(consumers[1].take());
    wait_until("the subscription to be gone", || {
        publisher.subscribers("t").expect("subscribers").is_empty()
    });
}

/// All consumers are told `code`, with messages in flight, when `end` is done.
fn check_ended(host: Host, code: Code, end: impl FnOnce(&mut NativeClient)) {
    let (broker, mut publisher) = with_topic(host);
    let mut consumers = [(); 3].map(|()| consumer(&broker, &PATIENT));
    publisher.publish_batch("t", &numbers(3));
    shares(&mut consumers, 3);
    end(&mut publisher);
    for (client, subscription) in &mut consumers {
        let ended = Received { correlation: *subscription, reply: Reply::Ended(code) };
        assert_eq!(client.read(), ended);
        let settled = client.settle_pushed_answered(*subscription, 0, 1, Verdict::Ack);
        assert_eq!(settled, Err(Code::UnknownSubscription));
    }
}

fn every_consumer_is_told_when_the_subscription_is_removed(host: Host) {
    check_ended(host, Code::Unsubscribed, |client| {
        assert_eq!(client.unsubscribe("t", "g"), Ok(()));
        assert_eq!(client.ack_offsets("t", "g", &[0]), Err(Code::NotSubscribed));
        assert_eq!(client.join("t", "g", &PATIENT), Ok(0));
        let leased = client.lease("t", "g", None).expect("a lease");
        assert_eq!((leased.offsets, leased.deliveries), (vec![0, 1, 2], 1), "anew");
    });
}

fn every_consumer_is_told_when_the_topic_is_deleted(host: Host) {
    check_ended(host, Code::TopicDeleted, |client| {
        assert_eq!(client.delete("t"), Ok(()));
        assert_eq!(client.ack_offsets("t", "g", &[0]), Err(Code::UnknownTopic));
    });
}

fn only_individual_acknowledgements_are_taken(host: Host) {
    let (broker, mut publisher) = with_topic(host);
    let (mut client, group) = consumer(&broker, &PATIENT);
    publisher.publish("t", "a").expect("published");
    client.delivered_count(group, 1);
    assert_eq!(client.ack_answered(group, 0), Err(Code::SubscriptionMismatch));
    let (cursor, _) = client.attach("t", "s", PUSH);
    client.delivered_count(cursor, 1);
    let settled = client.settle_pushed_answered(cursor, 0, 1, Verdict::Ack);
    assert_eq!(settled, Err(Code::SubscriptionMismatch));
    assert_eq!(client.settle_pushed_answered(9999, 0, 1, AT_ONCE), Err(Code::UnknownSubscription));
    assert_eq!(client.settle_pushed_answered(group, 0, 1, Verdict::Ack), Ok(()));
}

fn an_acknowledgement_that_wants_an_answer_has_one(host: Host) {
    let (broker, mut publisher) = with_topic(host);
    let (mut client, subscription) = consumer(&broker, &PATIENT);
    publisher.publish_batch("t", &numbers(3));
    client.delivered_count(subscription, 3);
    assert_eq!(client.settle_pushed_answered(subscription, 0, 2, Verdict::Ack), Ok(()));
    assert_eq!(client.settle_pushed_answered(subscription, 0, 3, AT_ONCE), Ok(()));
    assert_eq!(again(&mut client, subscription), (2, 2, 1));
    let refused = client.settle_pushed_answered(subscription, 3, 1, Verdict::Ack);
    assert_eq!(refused, Err(Code::InvalidValue));
    // One that wants no answer is told nothing but that it was refused.
    client.settle_pushed(subscription, 2, 1, Verdict::Ack);
    client.settle_pushed(subscription, 0, 4, Verdict::Ack);
    assert_eq!(client.read().reply, Reply::Refused(Code::InvalidValue));
    assert_eq!(client.pushed_before_pong(), []);
}
