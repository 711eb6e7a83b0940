//! A hundred publishers and push subscribers at once, on several topics.

use conformance::for_both_backends;
use conformance::{Backend, BrokerProcess, NativeClient, PUSH, Received, Reply, Speaks};
use protocol::Push;
use std::thread;

for_both_backends! {
    fifty_publishers_reach_fifty_subscribers,
    subscribers_that_join_and_leave_in_full_traffic_see_no_gap,
}

const PUBLISHERS: usize = 50;
const SUBSCRIBERS: usize = 50;
const TOPICS: usize = 5;
const BATCHES_EACH: usize = 20;
const BATCH_LEN: usize = 5;

/// What publisher `publisher` says, batch by batch; each message names it and its own number.
fn batches(publisher: usize) -> Vec<Vec<String>> {
    let message = |number| format!("{publisher} {number}");
    let batch = |batch| (batch * BATCH_LEN..(batch + 1) * BATCH_LEN).map(message).collect();
    (0..BATCHES_EACH).map(batch).collect()
}

fn fifty_publishers_reach_fifty_subscribers(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let mut owner = NativeClient::connect(&broker);
    for topic in 0..TOPICS {
        owner.create(&topic.to_string()).expect("created");
    }
    thread::scope(|scope| {
        for subscriber in 0..SUBSCRIBERS {
            let mut client = NativeClient::connect(&broker);
            let numbers: Vec<u32> = (0..TOPICS)
                .map(|topic| client.attach(&topic.to_string(), &subscriber.to_string(), PUSH).0)
                .collect();
            scope.spawn(move || read_everything(client, &numbers));
        }
        for publisher in 0..PUBLISHERS {
            let mut client = NativeClient::connect(&broker);
            scope.spawn(move || {
                for batch in batches(publisher) {
                    client.publish_batch(&(publisher % TOPICS).to_string(), &batch);
                }
            });
        }
    });
}

/// Reads until every message of every publisher came, on the right subscription and in order.
fn read_everything(mut client: NativeClient, numbers: &[u32]) {
    let mut next_of_publisher = [0; PUBLISHERS];
    let mut next_offsets = [0; TOPICS];
    let mut left = PUBLISHERS * BATCHES_EACH * BATCH_LEN;
    while left > 0 {
        let Received { correlation, reply: Reply::Deliver(delivered) } = client.read() else {
            panic!("expected DELIVER");
        };
        let topic = numbers.iter().position(|number| *number == correlation).expect("a number");
        assert_eq!(delivered.base_offset, next_offsets[topic], "no gap, no repeat");
        next_offsets[topic] += delivered.messages.len() as u64;
        for message in &delivered.messages {
            let text = std::str::from_utf8(message).expect("text");
            let (publisher, number) = text.split_once(' ').expect("two numbers");
            let publisher: usize = publisher.parse().expect("a number");
            assert_eq!(publisher % TOPICS, topic, "the topic of publisher {publisher}");
            assert_eq!(number, next_of_publisher[publisher].to_string());
            next_of_publisher[publisher] += 1;
            left -= 1;
        }
    }
}

fn subscribers_that_join_and_leave_in_full_traffic_see_no_gap(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let mut publisher = NativeClient::connect(&broker);
    publisher.create("t").expect("created");
    let count = 20_000u64;
    thread::scope(|scope| {
        scope.spawn(move || {
            let numbers: Vec<String> = (0..count).map(|number| number.to_string()).collect();
            for batch in numbers.chunks(20) {
                publisher.publish_batch("t", batch);
            }
        });
        for subscriber in 0..8 {
            let (broker, subscriber) = (&broker, subscriber.to_string());
            scope.spawn(move || read_in_turns(broker, &subscriber, count));
        }
    });
}

/// Reads all `count` messages of `t`, leaving and coming back again and again. What was on its way
/// when it left counts as sent, so the next turn may begin later, and never earlier.
fn read_in_turns(broker: &BrokerProcess, subscriber: &str, count: u64) {
    let mut next = 0;
    while next < count {
        let mut client = NativeClient::connect(broker);
        let push = Push { credit_bytes: 10_000, ..PUSH };
        let (subscription, next_offset) = client.attach("t", subscriber, push);
        assert!(next_offset >= next, "offset {next_offset} comes again after {next}");
        next = next_offset;
        let turn_end = count.min(next + 500);
        while next < turn_end {
            let delivered = client.delivered(subscription);
            assert_eq!(delivered.base_offset, next, "no gap within a turn");
            for (offset, message) in (next..).zip(&delivered.messages) {
                assert_eq!(message, &offset.to_string().into_bytes(), "at its own offset");
            }
            next += delivered.messages.len() as u64;
            client.credit(subscription, delivered.records_bytes as u32);
        }
    }
}
