//! Each command does what it says, in every dialect.

use conformance::{Backend, BrokerProcess, Speaks, for_both_dialects};
use protocol::Code;

for_both_dialects! {
    a_created_topic_is_listed,
    topics_are_listed_by_name,
    a_topic_is_created_once_only,
    a_deleted_topic_is_gone,
    a_topic_made_again_is_empty_and_has_no_subscribers,
    each_publication_has_the_next_offset,
    an_empty_message_is_a_message,
    a_new_subscription_starts_at_the_oldest_message_held,
    a_pull_returns_each_message_once,
    each_subscriber_reads_at_its_own_pace,
    a_subscription_outlives_its_connection,
    a_pull_takes_no_more_than_asked_for_and_tells_what_remains,
    a_pull_of_a_topic_without_messages_is_empty,
    subscribing_again_keeps_the_cursor,
    an_unsubscribed_subscriber_starts_anew,
    subscribers_are_listed_by_id,
    topics_do_not_see_each_others_messages,
    names_may_be_any_printable_text,
    whatever_needs_a_topic_is_refused_without_one,
    whatever_needs_a_subscription_is_refused_without_one,
    info_tells_the_state_of_the_broker,
}

fn a_created_topic_is_listed<C: Speaks>(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let mut client = C::connect(&broker);
    assert_eq!(client.ping(), Ok(()));
    assert_eq!(client.topics(), Ok(vec![]));
    assert_eq!(client.create("News"), Ok(()));
    assert_eq!(client.topics(), Ok(vec!["News".to_owned()]));
}

fn topics_are_listed_by_name<C: Speaks>(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let mut client = C::connect(&broker);
    for topic in ["b", "a10", "Z", "é", "a9"] {
        assert_eq!(client.create(topic), Ok(()));
    }
    let topics = client.topics().expect("topics");
    assert_eq!(topics, ["Z", "a10", "a9", "b", "é"]);
}

fn a_topic_is_created_once_only<C: Speaks>(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let mut client = C::connect(&broker);
    assert_eq!(client.create("News"), Ok(()));
    assert_eq!(client.publish("News", "kept"), Ok(0));
    assert_eq!(client.create("News"), Err(Code::TopicExists));
    assert_eq!(C::connect(&broker).create("News"), Err(Code::TopicExists));
    assert_eq!(client.subscribe("News", "s"), Ok(()));
    assert_eq!(client.pull("News", "s").expect("messages").texts(), ["kept"]);
}

fn a_deleted_topic_is_gone<C: Speaks>(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let mut client = C::connect(&broker);
    assert_eq!(client.create("Health"), Ok(()));
    assert_eq!(client.create("News"), Ok(()));
    assert_eq!(client.publish("Health", "x"), Ok(0));
    assert_eq!(client.delete("Health"), Ok(()));
    assert_eq!(client.topics(), Ok(vec!["News".to_owned()]));
    assert_eq!(client.publish("Health", "y"), Err(Code::UnknownTopic));
    assert_eq!(client.delete("Health"), Err(Code::UnknownTopic));
}

fn a_topic_made_again_is_empty_and_has_no_subscribers<C: Speaks>(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let mut client = C::connect(&broker);
    assert_eq!(client.create("News"), Ok(()));
    assert_eq!(client.subscribe("News", "s"), Ok(()));
    assert_eq!(client.publish("News", "before"), Ok(0));
    assert_eq!(client.delete("News"), Ok(()));
    assert_eq!(client.create("News"), Ok(()));
    assert_eq!(client.subscribers("News"), Ok(vec![]));
    assert_eq!(client.pull("News", "s"), Err(Code::NotSubscribed));
    assert_eq!(client.subscribe("News", "s"), Ok(()));
    assert!(client.pull("News", "s").expect("messages").messages.is_empty());
    client.publish("News", "after").expect("published");
    assert_eq!(client.pull("News", "s").expect("messages").texts(), ["after"]);
}

fn each_publication_has_the_next_offset<C: Speaks>(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let (mut one, mut other) = (C::connect(&broker), C::connect(&broker));
    assert_eq!(one.create("News"), Ok(()));
    assert_eq!(one.publish("News", "a"), Ok(0));
    assert_eq!(other.publish("News", "b"), Ok(1));
    assert_eq!(one.publish("News", "c"), Ok(2));
}

fn an_empty_message_is_a_message<C: Speaks>(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let mut client = C::connect(&broker);
    assert_eq!(client.create("News"), Ok(()));
    assert_eq!(client.subscribe("News", "s"), Ok(()));
    assert_eq!(client.publish("News", ""), Ok(0));
    assert_eq!(client.publish("News", "after"), Ok(1));
    assert_eq!(client.pull("News", "s").expect("messages").texts(), ["", "after"]);
}

fn a_new_subscription_starts_at_the_oldest_message_held<C: Speaks>(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let mut publisher = C::connect(&broker);
    assert_eq!(publisher.create("News"), Ok(()));
    for message in ["one", "two", "three"] {
        publisher.publish("News", message).expect("published");
    }
    drop(publisher);
    let mut subscriber = C::connect(&broker);
    assert_eq!(subscriber.subscribe("News", "late"), Ok(()));
    assert_eq!(subscriber.pull("News", "late").expect("messages").texts(), ["one", "two", "three"]);
}

fn a_pull_returns_each_message_once<C: Speaks>(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let mut client = C::connect(&broker);
    assert_eq!(client.create("News"), Ok(()));
    assert_eq!(client.subscribe("News", "s"), Ok(()));
    client.publish("News", "one").expect("published");
    assert_eq!(client.pull("News", "s").expect("messages").texts(), ["one"]);
    assert!(client.pull("News", "s").expect("messages").messages.is_empty());
    client.publish("News", "two").expect("published");
    client.publish("News", "three").expect("published");
    assert_eq!(client.pull("News", "s").expect("messages").texts(), ["two", "three"]);
}

fn each_subscriber_reads_at_its_own_pace<C: Speaks>(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let mut client = C::connect(&broker);
    assert_eq!(client.create("News"), Ok(()));
    for subscriber in ["early", "late"] {
        assert_eq!(client.subscribe("News", subscriber), Ok(()));
    }
    client.publish("News", "one").expect("published");
    assert_eq!(client.pull("News", "early").expect("messages").texts(), ["one"]);
    client.publish("News", "two").expect("published");
    assert_eq!(client.pull("News", "late").expect("messages").texts(), ["one", "two"]);
    assert_eq!(client.pull("News", "early").expect("messages").texts(), ["two"]);
}

fn a_subscription_outlives_its_connection<C: Speaks>(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let mut first = C::connect(&broker);
    assert_eq!(first.create("News"), Ok(()));
    assert_eq!(first.subscribe("News", "s"), Ok(()));
    first.publish("News", "one").expect("published");
    assert_eq!(first.pull("News", "s").expect("messages").texts(), ["one"]);
    first.publish("News", "two").expect("published");
    drop(first);
    let mut second = C::connect(&broker);
    assert_eq!(second.pull("News", "s").expect("messages").texts(), ["two"]);
}

fn a_pull_takes_no_more_than_asked_for_and_tells_what_remains<C: Speaks>(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let mut client = C::connect(&broker);
    assert_eq!(client.create("News"), Ok(()));
    assert_eq!(client.subscribe("News", "s"), Ok(()));
    for message in ["a", "b", "c", "d", "e"] {
        client.publish("News", message).expect("published");
    }
    let mut next = |count_max| {
        let pulled = client.pull_max("News", "s", Some(count_max)).expect("messages");
        assert_eq!(pulled.lost, 0);
        (pulled.texts().concat(), pulled.remaining)
    };
    assert_eq!(next(2), ("ab".to_owned(), 3));
    assert_eq!(next(2), ("cd".to_owned(), 1));
    assert_eq!(next(2), ("e".to_owned(), 0));
    assert_eq!(next(2), (String::new(), 0));
}

fn a_pull_of_a_topic_without_messages_is_empty<C: Speaks>(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let mut client = C::connect(&broker);
    assert_eq!(client.create("News"), Ok(()));
    assert_eq!(client.subscribe("News", "s"), Ok(()));
    let pulled = client.pull("News", "s").expect("messages");
    assert_eq!((pulled.messages.len(), pulled.lost, pulled.remaining), (0, 0, 0));
}

fn subscribing_again_keeps_the_cursor<C: Speaks>(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let mut client = C::connect(&broker);
    assert_eq!(client.create("News"), Ok(()));
    assert_eq!(client.subscribe("News", "s"), Ok(()));
    client.publish("News", "one").expect("published");
    client.publish("News", "two").expect("published");
    assert_eq!(client.pull_max("News", "s", Some(1)).expect("messages").texts(), ["one"]);
    assert_eq!(client.subscribe("News", "s"), Ok(()));
    assert_eq!(client.pull("News", "s").expect("messages").texts(), ["two"]);
    assert_eq!(client.subscribers("News"), Ok(vec!["s".to_owned()]));
}

fn an_unsubscribed_subscriber_starts_anew<C: Speaks>(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let mut client = C::connect(&broker);
    assert_eq!(client.create("News"), Ok(()));
    assert_eq!(client.subscribe("News", "s"), Ok(()));
    client.publish("News", "one").expect("published");
    assert_eq!(client.pull("News", "s").expect("messages").texts(), ["one"]);
    assert_eq!(client.unsubscribe("News", "s"), Ok(()));
    assert_eq!(client.subscribers("News"), Ok(vec![]));
    assert_eq!(client.pull("News", "s"), Err(Code::NotSubscribed));
    assert_eq!(client.subscribe("News", "s"), Ok(()));
    assert_eq!(client.pull("News", "s").expect("messages").texts(), ["one"]);
}

fn subscribers_are_listed_by_id<C: Speaks>(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let mut client = C::connect(&broker);
    assert_eq!(client.create("News"), Ok(()));
    assert_eq!(client.create("Other"), Ok(()));
    for subscriber in ["c", "a", "b"] {
        assert_eq!(client.subscribe("News", subscriber), Ok(()));
    }
    assert_eq!(client.subscribe("Other", "z"), Ok(()));
    assert_eq!(client.subscribers("News").expect("subscribers"), ["a", "b", "c"]);
}

fn topics_do_not_see_each_others_messages<C: Speaks>(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let mut client = C::connect(&broker);
    for topic in ["News", "Sports"] {
        assert_eq!(client.create(topic), Ok(()));
        assert_eq!(client.subscribe(topic, "s"), Ok(()));
    }
    client.publish("Sports", "goal").expect("published");
    client.publish("News", "rain").expect("published");
    assert_eq!(client.pull("News", "s").expect("messages").texts(), ["rain"]);
    assert_eq!(client.pull("Sports", "s").expect("messages").texts(), ["goal"]);
}

fn names_may_be_any_printable_text<C: Speaks>(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let mut client = C::connect(&broker);
    let longest = "é".repeat(512);
    for topic in ["a b/c+#$", "\"quoted\\\"", "新闻", " ", longest.as_str()] {
        assert_eq!(client.create(topic), Ok(()), "{topic:?}");
        assert_eq!(client.subscribe(topic, "sub \"é\""), Ok(()), "{topic:?}");
        assert_eq!(client.publish(topic, "m"), Ok(0), "{topic:?}");
        assert_eq!(client.pull(topic, "sub \"é\"").expect("messages").texts(), ["m"]);
        assert_eq!(client.subscribers(topic), Ok(vec!["sub \"é\"".to_owned()]), "{topic:?}");
        assert_eq!(client.topics(), Ok(vec![topic.to_owned()]));
        assert_eq!(client.delete(topic), Ok(()), "{topic:?}");
    }
}

fn whatever_needs_a_topic_is_refused_without_one<C: Speaks>(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let mut client = C::connect(&broker);
    assert_eq!(client.publish("News", "m"), Err(Code::UnknownTopic));
    assert_eq!(client.subscribe("News", "s"), Err(Code::UnknownTopic));
    assert_eq!(client.unsubscribe("News", "s"), Err(Code::UnknownTopic));
    assert_eq!(client.pull("News", "s"), Err(Code::UnknownTopic));
    assert_eq!(client.subscribers("News"), Err(Code::UnknownTopic));
    assert_eq!(client.delete("News"), Err(Code::UnknownTopic));
    assert_eq!(client.topics(), Ok(vec![]), "nothing was made by being asked for");
}

fn whatever_needs_a_subscription_is_refused_without_one<C: Speaks>(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let mut client = C::connect(&broker);
    assert_eq!(client.create("News"), Ok(()));
    assert_eq!(client.subscribe("News", "other"), Ok(()));
    assert_eq!(client.pull("News", "s"), Err(Code::NotSubscribed));
    assert_eq!(client.unsubscribe("News", "s"), Err(Code::NotSubscribed));
    assert_eq!(client.subscribers("News").expect("subscribers"), ["other"]);
}

fn info_tells_the_state_of_the_broker<C: Speaks>(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let (mut client, mut idle) = (C::connect(&broker), C::connect(&broker));
    assert_eq!(idle.ping(), Ok(()));
    for topic in ["News", "Sports"] {
        assert_eq!(client.create(topic), Ok(()));
    }
    for subscriber in ["a", "b", "c"] {
        assert_eq!(client.subscribe("News", subscriber), Ok(()));
    }
    let before = client.info().expect("info");
    for _ in 0..5 {
        client.publish("News", [b'm'; 100]).expect("published");
    }
    client.pull("News", "a").expect("messages");
    client.pull_max("News", "b", Some(2)).expect("messages");
    let after = client.info().expect("info");
    assert_eq!(after.backend, backend.name());
    assert!(broker.ready_line().contains(&format!("version={} ", after.version)));
    assert_eq!((after.connections, after.topics, after.subscriptions), (2, 2, 3));
    assert_eq!((before.messages_in, before.messages_out), (0, 0));
    assert_eq!((after.messages_in, after.messages_out), (5, 7));
    assert!(after.uptime_ms >= before.uptime_ms, "{after:?}");
    assert!(after.log_bytes >= before.log_bytes + 500, "{after:?}");
    assert_eq!(client.delete("News"), Ok(()));
    let emptied = client.info().expect("info");
    assert_eq!((emptied.topics, emptied.subscriptions), (1, 0));
    assert!(emptied.log_bytes <= before.log_bytes, "{emptied:?}");
}
