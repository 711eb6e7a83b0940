//! Explicit acknowledgements: what was not acknowledged is delivered again, what was is not.

use conformance::wait_until;
use conformance::{Backend, BrokerProcess, NativeClient, PUSH, Reply, Speaks, for_both_backends};
use protocol::{AckMode, Push, Request};

for_both_backends! {
    what_was_not_acknowledged_is_delivered_again,
    what_was_acknowledged_is_not_delivered_again,
    an_acknowledgement_counts_for_all_before_it,
    an_older_acknowledgement_takes_nothing_back,
    what_counts_as_read_when_sent_is_not_repeated,
    a_detached_subscription_repeats_what_was_not_acknowledged,
    one_that_takes_over_gets_what_was_not_acknowledged,
    every_subscription_acknowledges_for_itself,
    an_acknowledgement_in_pieces_of_a_batch_counts,
}

const EXPLICIT: Push = Push { ack_mode: AckMode::Cumulative, ..PUSH };

/// A broker whose topic `t` holds `messages`, and a client that published them.
fn published(backend: Backend, messages: &[&str]) -> (BrokerProcess, NativeClient) {
    let broker = BrokerProcess::start(backend);
    let mut client = NativeClient::connect(&broker);
    client.create("t").expect("created");
    client.publish_batch("t", messages);
    (broker, client)
}

/// Attaches `s` on a new connection, reads the `count` messages that must come, acknowledges as
/// told, and leaves. Gives the offset of the first message.
#[track_caller]
fn read_and_leave(broker: &BrokerProcess, push: Push, count: usize, acks: &[u64]) -> u64 {
    let mut client = NativeClient::connect(broker);
    let (subscription, next_offset) = client.attach("t", "s", push);
    if count > 0 {
        assert_eq!(client.delivered_count(subscription, count).0, next_offset);
    }
    for offset in acks {
        client.ack(subscription, *offset);
    }
    assert_eq!(client.pushed_before_pong(), [], "no more than {count} messages");
    drop(client);
    let mut watcher = NativeClient::connect(broker);
    wait_until("the subscriber to be gone", || watcher.info().expect("info").connections == 2);
    next_offset
}

fn what_was_not_acknowledged_is_delivered_again(backend: Backend) {
    let (broker, _publisher) = published(backend, &["a", "b", "c"]);
    for _ in 0..3 {
        assert_eq!(read_and_leave(&broker, EXPLICIT, 3, &[]), 0);
    }
}

fn what_was_acknowledged_is_not_delivered_again(backend: Backend) {
    let (broker, mut publisher) = published(backend, &["a", "b", "c"]);
    assert_eq!(read_and_leave(&broker, EXPLICIT, 3, &[0]), 0);
    assert_eq!(read_and_leave(&broker, EXPLICIT, 2, &[1, 2]), 1);
    assert_eq!(read_and_leave(&broker, EXPLICIT, 0, &[]), 3);
    publisher.publish("t", "d").expect("published");
    assert_eq!(read_and_leave(&broker, EXPLICIT, 1, &[3]), 3);
}

fn an_acknowledgement_counts_for_all_before_it(backend: Backend) {
    let (broker, _publisher) = published(backend, &["a", "b", "c", "d"]);
    assert_eq!(read_and_leave(&broker, EXPLICIT, 4, &[2]), 0);
    assert_eq!(read_and_leave(&broker, EXPLICIT, 1, &[]), 3);
}

fn an_older_acknowledgement_takes_nothing_back(backend: Backend) {
    let (broker, _publisher) = published(backend, &["a", "b", "c", "d"]);
    assert_eq!(read_and_leave(&broker, EXPLICIT, 4, &[2, 0, 2, 1]), 0);
    assert_eq!(read_and_leave(&broker, EXPLICIT, 1, &[]), 3);
}

fn what_counts_as_read_when_sent_is_not_repeated(backend: Backend) {
    let (broker, mut publisher) = published(backend, &["a", "b", "c"]);
    assert_eq!(read_and_leave(&broker, PUSH, 3, &[]), 0);
    assert_eq!(read_and_leave(&broker, PUSH, 0, &[]), 3);
    publisher.publish("t", "d").expect("published");
    assert_eq!(read_and_leave(&broker, PUSH, 1, &[]), 3);
}

fn a_detached_subscription_repeats_what_was_not_acknowledged(backend: Backend) {
    let (_broker, mut client) = published(backend, &["a", "b", "c"]);
    let (subscription, _) = client.attach("t", "s", EXPLICIT);
    client.delivered_count(subscription, 3);
    client.ack(subscription, 0);
    assert_eq!(client.ask(&Request::Detach { subscription }), Reply::Done);
    let (subscription, next_offset) = client.attach("t", "s", EXPLICIT);
    assert_eq!(next_offset, 1);
    assert_eq!(client.delivered_count(subscription, 2).1.concat(), b"bc");
}

fn one_that_takes_over_gets_what_was_not_acknowledged(backend: Backend) {
    let (broker, mut first) = published(backend, &["a", "b", "c"]);
    let (subscription, _) = first.attach("t", "s", EXPLICIT);
    first.delivered_count(subscription, 3);
    first.ack(subscription, 1);
    assert_eq!(first.ping(), Ok(()), "the acknowledgement was read");
    let mut second = NativeClient::connect(&broker);
    let (subscription, next_offset) = second.attach("t", "s", EXPLICIT);
    assert_eq!(next_offset, 2);
    assert_eq!(second.delivered_count(subscription, 1).1.concat(), b"c");
}

fn every_subscription_acknowledges_for_itself(backend: Backend) {
    let (_broker, mut client) = published(backend, &["a", "b", "c"]);
    let (one, _) = client.attach("t", "one", EXPLICIT);
    client.delivered_count(one, 3);
    let (two, _) = client.attach("t", "two", EXPLICIT);
    client.delivered_count(two, 3);
    client.ack(one, 2);
    client.ack(two, 0);
    for subscription in [one, two] {
        assert_eq!(client.ask(&Request::Detach { subscription }), Reply::Done);
    }
    assert_eq!(client.attach("t", "one", EXPLICIT).1, 3);
    assert_eq!(client.attach("t", "two", EXPLICIT).1, 1);
}

fn an_acknowledgement_in_pieces_of_a_batch_counts(backend: Backend) {
    let messages: Vec<String> = (0..1000).map(|number| number.to_string()).collect();
    let messages: Vec<&str> = messages.iter().map(String::as_str).collect();
    let (_broker, mut client) = published(backend, &messages);
    let mut expected = 0;
    for acked in [0, 1, 333, 334, 998, 999] {
        let (subscription, next_offset) = client.attach("t", "s", EXPLICIT);
        assert_eq!(next_offset, expected);
        let left = messages.len() - next_offset as usize;
        client.delivered_count(subscription, left);
        client.ack(subscription, acked);
        assert_eq!(client.ask(&Request::Detach { subscription }), Reply::Done);
        expected = acked + 1;
    }
    assert_eq!(client.attach("t", "s", EXPLICIT).1, 1000);
    assert_eq!(client.pushed_before_pong(), []);
}
