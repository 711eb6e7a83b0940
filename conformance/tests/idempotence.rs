//! Publishers that number their publications: what is sent again is stored once.

use conformance::{Answer, BrokerProcess, Host, NativeClient, Speaks, for_all_hosts};
use protocol::{
    BatchBuilder, Code, Messages, PublishAck, PublishTerms, PublisherId, PublisherSequence, Request,
};

for_all_hosts! {
    a_publication_that_is_sent_again_is_stored_once,
    it_is_recognised_on_another_connection,
    one_that_was_not_acknowledged_is_recognised_too,
    a_batch_is_recognised_whole,
    sequence_numbers_may_leave_some_out,
    each_publisher_counts_for_itself,
    each_topic_counts_for_itself,
    any_number_may_be_the_first,
    a_sequence_number_of_long_ago_is_stale,
    publications_without_a_number_are_stored_each_time,
    the_publisher_that_was_silent_longest_is_forgotten,
    a_publication_that_was_refused_was_not_stored,
    what_is_sent_again_is_not_delivered_again,
    what_retention_took_is_recognised_all_the_same,
    a_topic_made_again_knows_nobody,
}

const ALICE: PublisherId = PublisherId(0xA11CE);
const BOB: PublisherId = PublisherId(u128::MAX);

/// A broker with a topic `t`, and a client.
fn with_topic(host: Host) -> (BrokerProcess, NativeClient) {
    with_topic_and_flags(host, &[])
}

fn with_topic_and_flags(host: Host, flags: &[&str]) -> (BrokerProcess, NativeClient) {
    let broker = host.start_with(flags);
    let mut client = NativeClient::connect(&broker);
    client.create("t").expect("created");
    (broker, client)
}

fn numbered(publisher: PublisherId, sequence: u64) -> PublishTerms {
    let sequence = Some(PublisherSequence { publisher, sequence });
    PublishTerms { sequence, ..PublishTerms::default() }
}

/// Publishes messages under a number; gives the offset of the first and how many there are.
fn publish_batch(
    client: &mut NativeClient,
    terms: PublishTerms,
    messages: &[&str],
) -> Answer<(u64, u32)> {
    let mut batch = BatchBuilder::new();
    messages.iter().for_each(|message| batch.push(message.as_bytes()).expect("small"));
    client.publish_on("t", &batch, terms)
}

/// Publishes one message under a number, which it is; gives its offset.
fn publish(client: &mut NativeClient, publisher: PublisherId, sequence: u64) -> Answer<u64> {
    let message = sequence.to_string();
    let published = publish_batch(client, numbered(publisher, sequence), &[&message]);
    published.map(|(offset, count)| {
        assert_eq!(count, 1);
        offset
    })
}

/// All that `t` holds.
#[track_caller]
fn check_held(client: &mut NativeClient, expected: &[&str]) {
    client.subscribe("t", "reader").expect("subscribed");
    client.seek("t", "reader", protocol::Start::Earliest).expect("sought");
    assert_eq!(client.pull("t", "reader").expect("messages").texts(), expected);
}

fn a_publication_that_is_sent_again_is_stored_once(host: Host) {
    let (_broker, mut client) = with_topic(host);
    for sequence in 0..3 {
        for _ in 0..3 {
            assert_eq!(publish(&mut client, ALICE, sequence), Ok(sequence));
        }
    }
    assert_eq!(publish(&mut client, ALICE, 1), Ok(1), "though others came since");
    assert_eq!(publish(&mut client, ALICE, 3), Ok(3));
    check_held(&mut client, &["0", "1", "2", "3"]);
}

fn it_is_recognised_on_another_connection(host: Host) {
    let (broker, mut first) = with_topic(host);
    assert_eq!(publish(&mut first, ALICE, 1), Ok(0));
    let mut second = NativeClient::connect(&broker);
    assert_eq!(publish(&mut second, ALICE, 1), Ok(0));
    drop(first);
    let mut third = NativeClient::connect(&broker);
    assert_eq!(publish(&mut third, ALICE, 1), Ok(0));
    assert_eq!(publish(&mut third, ALICE, 2), Ok(1));
    check_held(&mut third, &["1", "2"]);
}

fn one_that_was_not_acknowledged_is_recognised_too(host: Host) {
    let (broker, mut client) = with_topic(host);
    client.send(&Request::Publish {
        topic: "t".into(),
        messages: Messages::One(b"7"[..].into()),
        ack: PublishAck::Unwanted,
        terms: numbered(ALICE, 7),
    });
    assert_eq!(client.ping(), Ok(()), "it was read");
    drop(client);
    let mut client = NativeClient::connect(&broker);
    assert_eq!(publish(&mut client, ALICE, 7), Ok(0));
    check_held(&mut client, &["7"]);
}

fn a_batch_is_recognised_whole(host: Host) {
    let (_broker, mut client) = with_topic(host);
    client.publish("t", "before").expect("published");
    let terms = numbered(ALICE, 1);
    assert_eq!(publish_batch(&mut client, terms, &["a", "b", "c"]), Ok((1, 3)));
    client.publish("t", "between").expect("published");
    assert_eq!(publish_batch(&mut client, terms, &["a", "b", "c"]), Ok((1, 3)));
    // It is the number that tells, not what the publication holds.
    assert_eq!(publish_batch(&mut client, terms, &["other"]), Ok((1, 3)));
    check_held(&mut client, &["before", "a", "b", "c", "between"]);
}

fn sequence_numbers_may_leave_some_out(host: Host) {
    let (_broker, mut client) = with_topic(host);
    assert_eq!(publish(&mut client, ALICE, 5), Ok(0));
    assert_eq!(publish(&mut client, ALICE, 9), Ok(1));
    for sequence in [0, 4, 6, 8] {
        assert_eq!(publish(&mut client, ALICE, sequence), Err(Code::StaleSequence), "{sequence}");
    }
    assert_eq!(publish(&mut client, ALICE, 5), Ok(0));
    assert_eq!(publish(&mut client, ALICE, 9), Ok(1));
    check_held(&mut client, &["5", "9"]);
}

fn each_publisher_counts_for_itself(host: Host) {
    let (_broker, mut client) = with_topic(host);
    assert_eq!(publish(&mut client, ALICE, 1), Ok(0));
    assert_eq!(publish(&mut client, BOB, 1), Ok(1));
    assert_eq!(publish(&mut client, ALICE, 1), Ok(0));
    assert_eq!(publish(&mut client, BOB, 1), Ok(1));
    check_held(&mut client, &["1", "1"]);
}

fn each_topic_counts_for_itself(host: Host) {
    let (_broker, mut client) = with_topic(host);
    client.create("u").expect("created");
    let mut batch = BatchBuilder::new();
    batch.push(b"m").expect("small");
    for topic in ["t", "u", "t", "u"] {
        let published = client.publish_on(topic, &batch, numbered(ALICE, 1));
        assert_eq!(published, Ok((0, 1)), "{topic}");
    }
}

fn any_number_may_be_the_first(host: Host) {
    let (_broker, mut client) = with_topic(host);
    assert_eq!(publish(&mut client, ALICE, u64::MAX), Ok(0));
    assert_eq!(publish(&mut client, ALICE, u64::MAX), Ok(0));
    assert_eq!(publish(&mut client, ALICE, 0), Err(Code::StaleSequence));
    assert_eq!(publish(&mut client, PublisherId(0), 0), Ok(1));
    assert_eq!(publish(&mut client, PublisherId(0), 0), Ok(1));
}

fn a_sequence_number_of_long_ago_is_stale(host: Host) {
    let (_broker, mut client) = with_topic(host);
    for sequence in 0..200 {
        assert_eq!(publish(&mut client, ALICE, sequence), Ok(sequence));
    }
    assert_eq!(publish(&mut client, ALICE, 0), Err(Code::StaleSequence));
    assert_eq!(publish(&mut client, ALICE, 199 - 64), Err(Code::StaleSequence));
    assert_eq!(publish(&mut client, ALICE, 199 - 63), Ok(199 - 63), "the last 64 are known");
    assert_eq!(publish(&mut client, ALICE, 200), Ok(200));
}

fn publications_without_a_number_are_stored_each_time(host: Host) {
    let (_broker, mut client) = with_topic(host);
    assert_eq!(publish(&mut client, ALICE, 1), Ok(0));
    for offset in 1..4 {
        assert_eq!(client.publish("t", "1"), Ok(offset));
    }
    assert_eq!(publish(&mut client, ALICE, 1), Ok(0));
}

fn the_publisher_that_was_silent_longest_is_forgotten(host: Host) {
    let (_broker, mut client) = with_topic_and_flags(host, &["--publishers-per-topic-max", "10"]);
    for publisher in 0..10 {
        assert_eq!(publish(&mut client, PublisherId(publisher), 5), Ok(publisher as u64));
    }
    assert_eq!(publish(&mut client, PublisherId(0), 6), Ok(10), "it is heard of again");
    assert_eq!(publish(&mut client, PublisherId(10), 5), Ok(11), "one too many");
    assert_eq!(publish(&mut client, PublisherId(0), 5), Ok(0));
    assert_eq!(publish(&mut client, PublisherId(2), 5), Ok(2));
    assert_eq!(publish(&mut client, PublisherId(1), 5), Ok(12), "who is forgotten begins anew");
    for publisher in 100..1100 {
        let published = publish(&mut client, PublisherId(publisher), 1);
        assert_eq!(published, Ok(13 + publisher as u64 - 100));
    }
    assert_eq!(publish(&mut client, PublisherId(1099), 1), Ok(13 + 999));
}

fn a_publication_that_was_refused_was_not_stored(host: Host) {
    let (_broker, mut client) = with_topic_and_flags(host, &["--message-bytes-max", "100"]);
    let terms = numbered(ALICE, 1);
    let refused = publish_batch(&mut client, terms, &["a", &"x".repeat(101)]);
    assert_eq!(refused, Err(Code::MessageTooLarge));
    assert_eq!(publish_batch(&mut client, terms, &["a", "b"]), Ok((0, 2)));
    check_held(&mut client, &["a", "b"]);
}

fn what_is_sent_again_is_not_delivered_again(host: Host) {
    let (broker, mut client) = with_topic(host);
    let mut subscriber = NativeClient::connect(&broker);
    let (subscription, _) = subscriber.attach("t", "s", conformance::PUSH);
    for sequence in 1..4 {
        for _ in 0..2 {
            assert_eq!(publish(&mut client, ALICE, sequence), Ok(sequence - 1));
        }
    }
    assert_eq!(subscriber.delivered_count(subscription, 3).1, [b"1", b"2", b"3"]);
    assert_eq!(subscriber.pushed_before_pong(), []);
}

fn what_retention_took_is_recognised_all_the_same(host: Host) {
    let (_broker, mut client) = with_topic_and_flags(host, &["--topic-messages-max", "2"]);
    for sequence in 0..10 {
        assert_eq!(publish(&mut client, ALICE, sequence), Ok(sequence));
    }
    assert_eq!(publish(&mut client, ALICE, 3), Ok(3));
    check_held(&mut client, &["8", "9"]);
}

fn a_topic_made_again_knows_nobody(host: Host) {
    let (_broker, mut client) = with_topic(host);
    client.publish("t", "before").expect("published");
    assert_eq!(publish(&mut client, ALICE, 1), Ok(1));
    client.delete("t").expect("deleted");
    client.create("t").expect("created");
    assert_eq!(publish(&mut client, ALICE, 1), Ok(0));
    check_held(&mut client, &["1"]);
}
