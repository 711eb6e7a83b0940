//! What the broker refuses in every dialect: impossible names, and more than its limits.

use conformance::{Backend, BrokerProcess, Speaks, for_both_dialects, wait_until};
use protocol::Code;

for_both_dialects! {
    a_topic_name_that_cannot_be_is_refused,
    the_longest_topic_name_is_a_limit,
    a_subscriber_id_that_cannot_be_is_refused,
    the_longest_subscriber_id_is_a_limit,
    a_message_over_its_limit_is_refused,
    topics_are_made_up_to_their_limit,
    subscriptions_are_made_up_to_their_limit,
    a_connection_over_the_limit_is_told_and_the_others_go_on,
    a_connection_that_is_gone_makes_room_for_another,
}

fn a_topic_name_that_cannot_be_is_refused<C: Speaks>(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let mut client = C::connect(&broker);
    assert_eq!(client.create(""), Err(Code::TopicNameEmpty));
    for name in ["a\nb", "\t", "a\0", "\u{7f}", "a\u{85}"] {
        assert_eq!(client.create(name), Err(Code::TopicNameControlCharacter), "{name:?}");
    }
    assert_eq!(client.create(&"x".repeat(1025)), Err(Code::TopicNameTooLong));
    assert_eq!(client.create(&"é".repeat(513)), Err(Code::TopicNameTooLong), "bytes count");
    assert_eq!(client.topics(), Ok(vec![]));
}

fn the_longest_topic_name_is_a_limit<C: Speaks>(backend: Backend) {
    let broker = BrokerProcess::start_with(backend, &["--topic-name-bytes-max", "8"]);
    let mut client = C::connect(&broker);
    assert_eq!(client.create("12345678"), Ok(()));
    assert_eq!(client.create("123456789"), Err(Code::TopicNameTooLong));
}

fn a_subscriber_id_that_cannot_be_is_refused<C: Speaks>(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let mut client = C::connect(&broker);
    assert_eq!(client.create("t"), Ok(()));
    for id in ["", "a\nb", "\u{7f}", "mqtt:a", "mqtt-share:$share/g/t", &"x".repeat(257)] {
        assert_eq!(client.subscribe("t", id), Err(Code::InvalidSubscriber), "{id:?}");
    }
    assert_eq!(client.subscribe("t", &"x".repeat(256)), Ok(()));
    assert_eq!(client.subscribers("t").map(|ids| ids.len()), Ok(1));
}

fn the_longest_subscriber_id_is_a_limit<C: Speaks>(backend: Backend) {
    let broker = BrokerProcess::start_with(backend, &["--subscriber-id-bytes-max", "4"]);
    let mut client = C::connect(&broker);
    assert_eq!(client.create("t"), Ok(()));
    assert_eq!(client.subscribe("t", "1234"), Ok(()));
    assert_eq!(client.subscribe("t", "12345"), Err(Code::InvalidSubscriber));
}

fn a_message_over_its_limit_is_refused<C: Speaks>(backend: Backend) {
    let broker = BrokerProcess::start_with(backend, &["--message-bytes-max", "1024"]);
    let mut client = C::connect(&broker);
    assert_eq!(client.create("t"), Ok(()));
    assert_eq!(client.subscribe("t", "s"), Ok(()));
    assert_eq!(client.publish("t", [b'x'; 1025]), Err(Code::MessageTooLarge));
    assert_eq!(client.publish("t", [b'x'; 1024]), Ok(0));
    assert_eq!(client.publish("t", [0xFF; 1025]), Err(Code::MessageTooLarge));
    assert_eq!(client.publish("t", [0xFF; 1024]), Ok(1));
    let pulled = client.pull("t", "s").expect("messages");
    assert_eq!(pulled.messages, [[b'x'; 1024], [0xFF; 1024]]);
}

fn topics_are_made_up_to_their_limit<C: Speaks>(backend: Backend) {
    let broker = BrokerProcess::start_with(backend, &["--topics-max", "1"]);
    let mut client = C::connect(&broker);
    assert_eq!(client.create("one"), Ok(()));
    assert_eq!(client.create("two"), Err(Code::LimitReached));
    assert_eq!(client.create("one"), Err(Code::TopicExists), "the nearer reason is told");
    assert_eq!(client.delete("one"), Ok(()));
    assert_eq!(client.create("two"), Ok(()));
}

fn subscriptions_are_made_up_to_their_limit<C: Speaks>(backend: Backend) {
    let broker = BrokerProcess::start_with(backend, &["--subscriptions-per-topic-max", "2"]);
    let mut client = C::connect(&broker);
    for topic in ["t", "u"] {
        assert_eq!(client.create(topic), Ok(()));
        assert_eq!(client.subscribe(topic, "a"), Ok(()));
        assert_eq!(client.subscribe(topic, "b"), Ok(()));
    }
    assert_eq!(client.subscribe("t", "c"), Err(Code::LimitReached));
    assert_eq!(client.subscribe("t", "b"), Ok(()), "one that there is takes no more room");
    assert_eq!(client.unsubscribe("t", "a"), Ok(()));
    assert_eq!(client.subscribe("t", "c"), Ok(()));
    assert_eq!(client.subscribers("t").expect("subscribers"), ["b", "c"]);
}

fn a_connection_over_the_limit_is_told_and_the_others_go_on<C: Speaks>(backend: Backend) {
    let broker = BrokerProcess::start_with(backend, &["--connections-max", "1"]);
    let mut first = C::connect(&broker);
    assert_eq!(first.ping(), Ok(()));
    for _ in 0..3 {
        assert_eq!(C::refused_at_once(broker.address()), Code::LimitReached);
        assert_eq!(first.ping(), Ok(()));
    }
    assert_eq!(first.info().expect("info").connections, 1);
}

fn a_connection_that_is_gone_makes_room_for_another<C: Speaks>(backend: Backend) {
    let broker = BrokerProcess::start_with(backend, &["--connections-max", "2"]);
    let mut watcher = C::connect(&broker);
    for _ in 0..3 {
        let mut second = C::connect(&broker);
        assert_eq!(second.ping(), Ok(()));
        drop(second);
        wait_until("the second connection to be gone", || {
            watcher.info().expect("info").connections == 1
        });
    }
}
