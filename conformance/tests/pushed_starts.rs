//! Seeking while the subscription is pushed to a connection, and push deliveries that begin
//! somewhere else than with the oldest message.

use conformance::{BrokerProcess, Host, NativeClient, PUSH, Speaks, for_all_hosts};
use protocol::{AckMode, AckTerms, Push, Start, Verdict};

for_all_hosts! {
    a_push_subscription_begins_where_it_is_told,
    an_attached_subscription_goes_back_and_forth,
    one_that_acknowledges_goes_back_to_where_it_was_sent,
    an_attached_group_goes_back,
    an_attached_group_goes_forth,
    a_group_that_another_moves_goes_on_for_all,
}

/// A broker with a topic `t` that holds ten messages, and a client.
fn published(host: Host) -> (BrokerProcess, NativeClient) {
    let broker = host.start();
    let mut client = NativeClient::connect(&broker);
    client.create("t").expect("created");
    client.publish_batch("t", &["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]);
    (broker, client)
}

#[track_caller]
fn check_delivered(client: &mut NativeClient, subscription: u32, offsets: std::ops::Range<u64>) {
    let count = usize::try_from(offsets.end - offsets.start).expect("a few");
    assert_eq!(client.delivered_count(subscription, count).0, offsets.start);
    assert_eq!(client.pushed_before_pong(), [], "no more than {offsets:?}");
}

fn a_push_subscription_begins_where_it_is_told(host: Host) {
    let (_broker, mut client) = published(host);
    let acks = AckTerms::default();
    for acks in [None, Some(&acks)] {
        let name = if acks.is_some() { "g" } else { "s" };
        let at = client.attach_as("t", name, PUSH, Start::Offset(7), acks);
        let (subscription, next_offset) = at.expect("attached");
        assert_eq!(next_offset, 7);
        check_delivered(&mut client, subscription, 7..10);
        let name = format!("latest {name}");
        let latest = client.attach_as("t", &name, PUSH, Start::Latest, acks);
        assert_eq!(latest.expect("attached").1, 10);
        assert_eq!(client.pushed_before_pong(), []);
    }
}

fn an_attached_subscription_goes_back_and_forth(host: Host) {
    let (broker, mut client) = published(host);
    let (subscription, _) = client.attach("t", "s", PUSH);
    check_delivered(&mut client, subscription, 0..10);
    assert_eq!(client.seek("t", "s", Start::Offset(4)), Ok(4));
    check_delivered(&mut client, subscription, 4..10);
    let mut other = NativeClient::connect(&broker);
    assert_eq!(other.seek("t", "s", Start::Earliest), Ok(0));
    assert_eq!(client.delivered_count(subscription, 10).0, 0, "told by another connection");
    assert_eq!(client.seek("t", "s", Start::Latest), Ok(10));
    assert_eq!(client.pushed_before_pong(), []);
    client.publish("t", "10").expect("published");
    assert_eq!(client.delivered_count(subscription, 1).0, 10);
}

fn one_that_acknowledges_goes_back_to_where_it_was_sent(host: Host) {
    let (broker, mut client) = published(host);
    let push = Push { ack_mode: AckMode::Cumulative, ..PUSH };
    let (subscription, _) = client.attach("t", "s", push);
    check_delivered(&mut client, subscription, 0..10);
    assert_eq!(client.ack_answered(subscription, 8), Ok(()));
    assert_eq!(client.seek("t", "s", Start::Offset(3)), Ok(3));
    check_delivered(&mut client, subscription, 3..10);
    assert_eq!(client.ack_answered(subscription, 4), Ok(()));
    let mut next = NativeClient::connect(&broker);
    let (subscription, next_offset) = next.attach("t", "s", push);
    assert_eq!(next_offset, 5, "behind what was acknowledged since");
    check_delivered(&mut next, subscription, 5..10);
}

fn an_attached_group_goes_back(host: Host) {
    let (_broker, mut client) = published(host);
    let subscription = client.attach_to_group("t", "g", PUSH, &AckTerms::default());
    check_delivered(&mut client, subscription, 0..10);
    assert_eq!(client.settle_pushed_answered(subscription, 0, 10, Verdict::Ack), Ok(()));
    assert_eq!(client.seek("t", "g", Start::Offset(6)), Ok(6));
    check_delivered(&mut client, subscription, 6..10);
    assert_eq!(client.seek("t", "g", Start::Earliest), Ok(0), "with messages in flight");
    check_delivered(&mut client, subscription, 0..10);
}

fn an_attached_group_goes_forth(host: Host) {
    let (_broker, mut client) = published(host);
    let acks = AckTerms { in_flight_max: 2, ..AckTerms::default() };
    let subscription = client.attach_to_group("t", "g", PUSH, &acks);
    check_delivered(&mut client, subscription, 0..2);
    assert_eq!(client.seek("t", "g", Start::Offset(5)), Ok(5));
    check_delivered(&mut client, subscription, 5..7);
    assert_eq!(client.settle_pushed_answered(subscription, 0, 7, Verdict::Ack), Ok(()));
    check_delivered(&mut client, subscription, 7..9);
}

fn a_group_that_another_moves_goes_on_for_all(host: Host) {
    let (broker, mut puller) = published(host);
    let mut client = NativeClient::connect(&broker);
    let acks = AckTerms { in_flight_max: 8, ..AckTerms::default() };
    let subscription = client.attach_to_group("t", "g", PUSH, &acks);
    check_delivered(&mut client, subscription, 0..8);
    assert_eq!(puller.seek("t", "g", Start::Offset(9)), Ok(9));
    assert_eq!(client.delivered_count(subscription, 1).0, 9);
    let again = Verdict::Nack { delay_ms: Some(0) };
    assert_eq!(client.settle_pushed_answered(subscription, 0, 10, again), Ok(()));
    let (deliveries, delivered) = client.delivered_again(subscription);
    assert_eq!((deliveries, delivered.base_offset, delivered.messages.len()), (2, 9, 1));
    assert_eq!(client.pushed_before_pong(), []);
}
