//! A hundred clients at once: every message reaches every subscriber once, in its publisher's
//! order.

use conformance::{Backend, BrokerProcess, Speaks, for_both_dialects};
use std::collections::HashMap;
use std::sync::Barrier;
use std::thread;

for_both_dialects! {
    a_hundred_clients_publish_to_one_topic_and_pull_it,
    a_hundred_clients_have_a_topic_each,
    a_subscription_that_many_clients_pull_gives_each_message_to_one,
    of_many_clients_that_create_a_topic_one_does,
}

const CLIENTS: usize = 100;
const MESSAGES_EACH: usize = 10;

/// Runs `client`, given its number and a connection, for each of [`CLIENTS`] at the same time, and
/// gives what each gave.
fn crowd<C: Speaks + Send, T: Send>(
    broker: &BrokerProcess,
    client: impl Fn(usize, C) -> T + Sync,
) -> Vec<T> {
    let connected: Vec<C> = (0..CLIENTS).map(|_| C::connect(broker)).collect();
    let (start, client) = (&Barrier::new(CLIENTS), &client);
    thread::scope(|scope| {
        let run = |(number, connection)| {
            scope.spawn(move || {
                start.wait();
                client(number, connection)
            })
        };
        let running: Vec<_> = connected.into_iter().enumerate().map(run).collect();
        running.into_iter().map(|client| client.join().expect("a client that is done")).collect()
    })
}

/// Each publisher's messages are there once, in order. Messages read `publisher message`.
#[track_caller]
fn check_complete(messages: &[Vec<u8>]) {
    let mut next: HashMap<usize, usize> = HashMap::new();
    for message in messages {
        let text = std::str::from_utf8(message).expect("text");
        let (publisher, number) = text.split_once(' ').expect("two numbers");
        let publisher = publisher.parse().expect("a number");
        let expected = next.entry(publisher).or_default();
        assert_eq!(number, expected.to_string(), "the next message of {publisher}");
        *expected += 1;
    }
    assert_eq!(next.len(), CLIENTS);
    assert!(next.values().all(|count| *count == MESSAGES_EACH), "{next:?}");
}

fn a_hundred_clients_publish_to_one_topic_and_pull_it<C: Speaks + Send>(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    C::connect(&broker).create("t").expect("created");
    let clients = crowd(&broker, |number, mut client: C| {
        let subscriber = number.to_string();
        client.subscribe("t", &subscriber).expect("subscribed");
        let mut messages = Vec::new();
        for message in 0..MESSAGES_EACH {
            client.publish("t", format!("{number} {message}")).expect("published");
            messages.extend(client.pull("t", &subscriber).expect("messages").messages);
        }
        (client, subscriber, messages)
    });
    for (mut client, subscriber, mut messages) in clients {
        messages.extend(client.pull("t", &subscriber).expect("messages").messages);
        check_complete(&messages);
    }
    let info = C::connect(&broker).info().expect("info");
    let messages = (CLIENTS * MESSAGES_EACH) as u64;
    assert_eq!((info.messages_in, info.messages_out), (messages, messages * CLIENTS as u64));
}

fn a_hundred_clients_have_a_topic_each<C: Speaks + Send>(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    crowd(&broker, |number, mut client: C| {
        let topic = format!("topic {number:0>3}");
        client.create(&topic).expect("created");
        client.subscribe(&topic, "s").expect("subscribed");
        for message in 0..MESSAGES_EACH {
            assert_eq!(client.publish(&topic, message.to_string()), Ok(message as u64));
        }
        let pulled = client.pull(&topic, "s").expect("messages");
        assert_eq!(pulled.texts(), ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]);
        if number % 2 == 0 {
            client.delete(&topic).expect("deleted");
        }
    });
    let topics = C::connect(&broker).topics().expect("topics");
    let expected: Vec<_> =
        (1..CLIENTS).step_by(2).map(|number| format!("topic {number:0>3}")).collect();
    assert_eq!(topics, expected);
}

fn a_subscription_that_many_clients_pull_gives_each_message_to_one<C: Speaks + Send>(
    backend: Backend,
) {
    let broker = BrokerProcess::start(backend);
    let mut owner = C::connect(&broker);
    owner.create("t").expect("created");
    owner.subscribe("t", "shared").expect("subscribed");
    let pulled = crowd(&broker, |number, mut client: C| {
        let mut messages = Vec::new();
        for message in 0..MESSAGES_EACH {
            client.publish("t", format!("{number} {message}")).expect("published");
            messages.extend(client.pull_max("t", "shared", Some(3)).expect("messages").messages);
        }
        messages
    });
    let mut pulled = pulled.concat();
    pulled.extend(owner.pull("t", "shared").expect("messages").messages);
    // Who pulled first need not have noted it first, so there is no order to check.
    pulled.sort_unstable();
    check_complete(&pulled);
}

fn of_many_clients_that_create_a_topic_one_does<C: Speaks + Send>(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let created = crowd(&broker, |_, mut client: C| {
        let created = client.create("t").is_ok();
        client.publish("t", "m").expect("the topic is there, whoever made it");
        created
    });
    assert_eq!(created.into_iter().filter(|created| *created).count(), 1);
    assert_eq!(C::connect(&broker).info().expect("info").messages_in, CLIENTS as u64);
}
