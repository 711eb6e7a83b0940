//! A topic keeps what its limits allow, its newest messages, and tells what it took.

use conformance::{Backend, BrokerProcess, Speaks, for_both_dialects, wait_until};
use protocol::{Code, Retention};

for_both_dialects! {
    a_topic_keeps_its_newest_messages_and_tells_what_was_lost,
    what_was_lost_is_told_once,
    what_was_read_is_not_lost,
    a_subscription_that_pulls_never_holds_publishers,
    a_topic_keeps_no_more_bytes_than_its_limit,
    old_messages_go_by_themselves,
    the_brokers_defaults_hold_where_the_creator_chose_none,
    a_pull_returns_no_more_bytes_than_its_limit_and_loses_nothing,
    all_topics_together_keep_within_the_memory_limit,
}

/// Payload bytes of the messages that are meant to fill something.
const MESSAGE_BYTES: usize = 1000;

/// Room that records and segments may take besides payloads.
const OVERHEAD_BYTES: u64 = 64 * 1024;

fn messages_max(count: u64) -> Retention {
    Retention { messages_max: Some(count), ..Retention::default() }
}

fn publish_numbers<C: Speaks>(client: &mut C, topic: &str, numbers: std::ops::Range<u64>) {
    for number in numbers {
        assert_eq!(client.publish(topic, number.to_string()), Ok(number));
    }
}

/// A message that begins with its number, and is [`MESSAGE_BYTES`] long.
fn numbered(number: usize) -> String {
    format!("{number:0>8}{:x>1$}", "", MESSAGE_BYTES - 8)
}

fn number_of(message: &[u8]) -> usize {
    let digits = std::str::from_utf8(&message[..8]).expect("digits");
    digits.parse().expect("a number")
}

fn a_topic_keeps_its_newest_messages_and_tells_what_was_lost<C: Speaks>(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let mut client = C::connect(&broker);
    assert_eq!(client.create_with("News", messages_max(3)), Ok(()));
    assert_eq!(client.subscribe("News", "early"), Ok(()));
    publish_numbers(&mut client, "News", 0..10);
    let early = client.pull("News", "early").expect("messages");
    assert_eq!((early.texts(), early.lost), (vec!["7", "8", "9"], 7));
    assert_eq!(client.subscribe("News", "late"), Ok(()));
    let late = client.pull("News", "late").expect("messages");
    assert_eq!((late.texts(), late.lost), (vec!["7", "8", "9"], 0));
}

fn what_was_lost_is_told_once<C: Speaks>(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let mut client = C::connect(&broker);
    assert_eq!(client.create_with("News", messages_max(2)), Ok(()));
    assert_eq!(client.subscribe("News", "s"), Ok(()));
    publish_numbers(&mut client, "News", 0..5);
    assert_eq!(client.pull_max("News", "s", Some(1)).expect("messages").lost, 3);
    assert_eq!(client.pull("News", "s").expect("messages").lost, 0);
    publish_numbers(&mut client, "News", 5..9);
    let pulled = client.pull("News", "s").expect("messages");
    assert_eq!((pulled.texts(), pulled.lost), (vec!["7", "8"], 2));
}

fn what_was_read_is_not_lost<C: Speaks>(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let mut client = C::connect(&broker);
    assert_eq!(client.create_with("News", messages_max(4)), Ok(()));
    assert_eq!(client.subscribe("News", "s"), Ok(()));
    for start in (0..20).step_by(4) {
        publish_numbers(&mut client, "News", start..start + 4);
        let pulled = client.pull("News", "s").expect("messages");
        assert_eq!((pulled.messages.len(), pulled.lost), (4, 0));
    }
}

fn a_subscription_that_pulls_never_holds_publishers<C: Speaks>(backend: Backend) {
    let broker = BrokerProcess::start_with(backend, &["--publisher-hold-ms-max", "3600000"]);
    let mut client = C::connect(&broker);
    assert_eq!(client.create_with("News", messages_max(2)), Ok(()));
    assert_eq!(client.subscribe("News", "idle"), Ok(()));
    publish_numbers(&mut client, "News", 0..50);
    assert_eq!(client.pull("News", "idle").expect("messages").lost, 48);
}

fn a_topic_keeps_no_more_bytes_than_its_limit<C: Speaks>(backend: Backend) {
    let limits = ["--message-bytes-max", "1024"];
    let broker = BrokerProcess::start_with(backend, &limits);
    let mut client = C::connect(&broker);
    let bytes_max = 200_000;
    let retention = Retention { bytes_max: Some(bytes_max), ..Retention::default() };
    assert_eq!(client.create_with("News", retention), Ok(()));
    assert_eq!(client.subscribe("News", "s"), Ok(()));
    for number in 0..1000 {
        client.publish("News", numbered(number)).expect("published");
        let log_bytes = client.info().expect("info").log_bytes;
        assert!(log_bytes <= bytes_max + OVERHEAD_BYTES, "{log_bytes} bytes after {number}");
    }
    let pulled = client.pull("News", "s").expect("messages");
    let numbers: Vec<_> = pulled.messages.iter().map(|message| number_of(message)).collect();
    let expected: Vec<_> = (1000 - numbers.len()..1000).collect();
    assert_eq!(numbers, expected, "the newest messages are kept");
    assert_eq!(pulled.lost + numbers.len() as u64, 1000, "all others are told as lost");
    assert!(numbers.len() >= 100, "at least half of the limit is used: {}", numbers.len());
}

fn old_messages_go_by_themselves<C: Speaks>(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let mut client = C::connect(&broker);
    let retention = Retention { age_ms_max: Some(50), ..Retention::default() };
    assert_eq!(client.create_with("News", retention), Ok(()));
    assert_eq!(client.subscribe("News", "s"), Ok(()));
    client.publish("News", "old").expect("published");
    client.publish("News", "as old").expect("published");
    let mut subscribers = 0;
    wait_until("a topic whose messages are gone", || {
        subscribers += 1;
        let late = format!("late {subscribers}");
        assert_eq!(client.subscribe("News", &late), Ok(()));
        client.pull("News", &late).expect("messages").messages.is_empty()
    });
    let pulled = client.pull("News", "s").expect("messages");
    assert_eq!((pulled.messages.len(), pulled.lost), (0, 2));
}

fn the_brokers_defaults_hold_where_the_creator_chose_none<C: Speaks>(backend: Backend) {
    let broker = BrokerProcess::start_with(backend, &["--topic-messages-max", "3"]);
    let mut client = C::connect(&broker);
    assert_eq!(client.create("default"), Ok(()));
    assert_eq!(client.create_with("own", messages_max(5)), Ok(()));
    for (topic, kept) in [("default", 3), ("own", 5)] {
        assert_eq!(client.subscribe(topic, "s"), Ok(()));
        publish_numbers(&mut client, topic, 0..10);
        assert_eq!(client.pull(topic, "s").expect("messages").messages.len(), kept, "{topic}");
    }
}

fn a_pull_returns_no_more_bytes_than_its_limit_and_loses_nothing<C: Speaks>(backend: Backend) {
    let limits = ["--message-bytes-max", "1024", "--pull-bytes-max", "10000"];
    let broker = BrokerProcess::start_with(backend, &limits);
    let mut client = C::connect(&broker);
    assert_eq!(client.create("News"), Ok(()));
    assert_eq!(client.subscribe("News", "s"), Ok(()));
    for number in 0..25 {
        client.publish("News", numbered(number)).expect("published");
    }
    let mut numbers: Vec<usize> = Vec::new();
    while numbers.len() < 25 {
        let pulled = client.pull("News", "s").expect("messages");
        let bytes: usize = pulled.messages.iter().map(Vec::len).sum();
        assert!(bytes > 0 && bytes <= 10_000, "{bytes} bytes in one pull");
        numbers.extend(pulled.messages.iter().map(|message| number_of(message)));
        assert_eq!(pulled.remaining, 25 - numbers.len() as u64);
        assert_eq!(pulled.lost, 0);
    }
    assert_eq!(numbers, (0..25).collect::<Vec<_>>());
}

fn all_topics_together_keep_within_the_memory_limit<C: Speaks>(backend: Backend) {
    let limits = ["--message-bytes-max", "1024", "--topic-bytes-max", "200000"];
    let memory_bytes_max = 500_000;
    let limits = [&limits[..], &["--memory-bytes-max", "500000"]].concat();
    let broker = BrokerProcess::start_with(backend, &limits);
    let mut client = C::connect(&broker);
    for topic in 0..10 {
        let topic = topic.to_string();
        assert_eq!(client.create(&topic), Ok(()));
        for number in 0..100 {
            match client.publish(&topic, numbered(number)) {
                Ok(_) | Err(Code::LimitReached) => {}
                Err(other) => panic!("expected an offset or limit_reached, found {other}"),
            }
        }
        let log_bytes = client.info().expect("info").log_bytes;
        assert!(log_bytes <= memory_bytes_max + OVERHEAD_BYTES, "{log_bytes} bytes");
    }
    assert_eq!(client.delete("0"), Ok(()));
    assert_eq!(client.ping(), Ok(()));
}
