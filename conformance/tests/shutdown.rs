//! SIGTERM and SIGINT: the broker lets what is in flight leave, and ends with code 0 in time.

use conformance::{Backend, BrokerProcess, Connection, JsonClient, NativeClient, PUSH, Reply};
use conformance::{Speaks, WAIT_MAX, for_both_backends, wait_until};
use protocol::{Code, LagPolicy, Messages, PublishAck, PublishTerms, Push, Request};
use rustix::process::Signal;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

for_both_backends! {
    a_broker_without_connections_ends_at_once,
    a_stop_is_heard_however_early_it_comes,
    an_interrupt_ends_it_as_well,
    connections_at_rest_are_closed_in_order,
    a_push_subscriber_is_told_that_the_broker_stops,
    what_was_acknowledged_just_before_the_stop_is_delivered,
    what_was_acknowledged_under_load_reaches_the_subscribers,
    a_subscriber_that_does_not_read_keeps_it_no_longer_than_the_limit,
    a_held_publisher_does_not_keep_it,
    an_incomplete_request_does_not_keep_it,
    nobody_is_served_afterwards,
}

fn a_broker_without_connections_ends_at_once(backend: Backend) {
    let mut broker = BrokerProcess::start(backend);
    assert_eq!(broker.terminate(), Some(0));
}

fn a_stop_is_heard_however_early_it_comes(backend: Backend) {
    // The stop races the start of what serves, so one start shows little.
    for _ in 0..20 {
        assert_eq!(BrokerProcess::start(backend).terminate(), Some(0));
    }
}

fn an_interrupt_ends_it_as_well(backend: Backend) {
    let mut broker = BrokerProcess::start(backend);
    let mut client = JsonClient::connect(&broker);
    assert_eq!(client.ping(), Ok(()));
    broker.signal(Signal::INT);
    assert_eq!(broker.wait_for_exit(), Some(0));
}

fn connections_at_rest_are_closed_in_order(backend: Backend) {
    let mut broker = BrokerProcess::start(backend);
    let silent = Connection::open(broker.address());
    let mut json = JsonClient::connect(&broker);
    let mut native = NativeClient::connect(&broker);
    assert_eq!(json.ping(), Ok(()));
    assert_eq!(native.ping(), Ok(()));
    assert_eq!(broker.terminate(), Some(0));
    for mut connection in [silent, json.connection, native.connection] {
        connection.assert_ended();
    }
}

fn a_push_subscriber_is_told_that_the_broker_stops(backend: Backend) {
    let mut broker = BrokerProcess::start(backend);
    let mut client = NativeClient::connect(&broker);
    client.create("t").expect("created");
    let (subscription, _) = client.attach("t", "s", PUSH);
    broker.signal(Signal::TERM);
    let ended = client.read();
    assert_eq!((ended.correlation, ended.reply), (subscription, Reply::Ended(Code::ShuttingDown)));
    client.connection.assert_ended();
    assert_eq!(broker.wait_for_exit(), Some(0));
}

fn what_was_acknowledged_just_before_the_stop_is_delivered(backend: Backend) {
    // The stop races what the publication set off, so one start shows little.
    for _ in 0..20 {
        let broker = BrokerProcess::start(backend);
        let mut publisher = NativeClient::connect(&broker);
        publisher.create("t").expect("created");
        let mut subscriber = NativeClient::connect(&broker);
        let (subscription, _) = subscriber.attach("t", "s", PUSH);
        let (own, _) = publisher.attach("t", "own", PUSH);
        publisher.publish("t", "m").expect("published");
        broker.signal(Signal::TERM);
        assert_eq!(subscriber.delivered(subscription).messages, [b"m"]);
        assert_eq!(publisher.delivered(own).messages, [b"m"]);
    }
}

/// Publishes numbered messages, each acknowledged before the next, until the connection ends.
/// Gives those that were acknowledged.
fn publish_until_the_end(mut client: NativeClient, name: &str, acked: &AtomicUsize) -> Vec<String> {
    let mut messages = Vec::new();
    loop {
        let message = format!("{name} {}", messages.len());
        let request = Request::Publish {
            topic: "t".into(),
            messages: Messages::One(message.as_bytes().into()),
            ack: PublishAck::Wanted,
            terms: PublishTerms::default(),
        };
        let mut bytes = Vec::new();
        protocol::native::encode_request(&request, 1, &mut bytes);
        // Fails where the broker has closed already, and then there is nothing more to read.
        let _ = client.connection.try_send(&bytes);
        match client.read_or_end().map(|received| received.reply) {
            Some(Reply::Published { .. }) => messages.push(message),
            None | Some(Reply::Refused(Code::ShuttingDown)) => return messages,
            other => panic!("expected PUBLISHED or the end, found {other:?}"),
        }
        acked.fetch_add(1, Ordering::SeqCst);
    }
}

/// Everything that is delivered until the broker ends the delivery and the connection.
fn read_until_the_end(mut client: NativeClient) -> BTreeSet<String> {
    let mut messages = BTreeSet::new();
    loop {
        match client.read_or_end().map(|received| received.reply) {
            Some(Reply::Deliver(delivered)) => {
                let texts = delivered.messages.into_iter().map(String::from_utf8);
                messages.extend(texts.map(|text| text.expect("text")));
            }
            Some(Reply::Ended(Code::ShuttingDown)) => {}
            None => return messages,
            other => panic!("expected DELIVER or the end, found {other:?}"),
        }
    }
}

fn what_was_acknowledged_under_load_reaches_the_subscribers(backend: Backend) {
    let mut broker = BrokerProcess::start(backend);
    NativeClient::connect(&broker).create("t").expect("created");
    let acked = &AtomicUsize::new(0);
    thread::scope(|scope| {
        let attach = |name: &str| {
            let mut client = NativeClient::connect(&broker);
            client.attach("t", name, PUSH);
            scope.spawn(move || read_until_the_end(client))
        };
        let subscribers = [attach("a"), attach("b"), attach("c")];
        let publish = |name: usize| {
            let client = NativeClient::connect(&broker);
            scope.spawn(move || publish_until_the_end(client, &name.to_string(), acked))
        };
        let publishers: Vec<_> = (0..6).map(publish).collect();
        wait_until("publishers under way", || acked.load(Ordering::SeqCst) > 500);
        assert_eq!(broker.terminate(), Some(0));
        let acked: BTreeSet<String> =
            publishers.into_iter().flat_map(|each| each.join().expect("published")).collect();
        assert!(acked.len() > 500);
        for subscriber in subscribers {
            let delivered = subscriber.join().expect("delivered");
            let missing: Vec<_> = acked.difference(&delivered).collect();
            assert!(missing.is_empty(), "acknowledged, but not delivered: {missing:?}");
        }
    });
}

fn a_subscriber_that_does_not_read_keeps_it_no_longer_than_the_limit(backend: Backend) {
    let flags = ["--shutdown-ms-max", "300", "--publisher-hold-ms-max", "50"];
    let mut broker = BrokerProcess::start_with(backend, &flags);
    let mut client = NativeClient::connect(&broker);
    client.create("t").expect("created");
    let mut stopped = NativeClient::connect(&broker);
    stopped.attach("t", "s", PUSH);
    let batch = vec![vec![b'x'; 1 << 20]; 4];
    for _ in 0..8 {
        client.publish_batch("t", &batch);
    }
    let started = std::time::Instant::now();
    assert_eq!(broker.terminate(), Some(0));
    // Far below the default limit, which this broker was told not to take.
    assert!(started.elapsed() < WAIT_MAX / 3, "it took {:?}", started.elapsed());
    drop(stopped);
}

fn a_held_publisher_does_not_keep_it(backend: Backend) {
    let flags = ["--topic-messages-max", "4"];
    let mut broker = BrokerProcess::start_with(backend, &flags);
    let mut client = NativeClient::connect(&broker);
    client.create("t").expect("created");
    let mut subscriber = NativeClient::connect(&broker);
    let push = Push { credit_bytes: 0, lag_policy: LagPolicy::Hold, ..PUSH };
    subscriber.attach("t", "s", push);
    for number in 0..100u8 {
        client.send_batch("t", &[[number]], PublishAck::Wanted);
    }
    let mut watcher = NativeClient::connect(&broker);
    wait_until("a topic that fills up", || watcher.info().expect("info").messages_in >= 4);
    assert_eq!(broker.terminate(), Some(0));
}

fn an_incomplete_request_does_not_keep_it(backend: Backend) {
    let mut broker = BrokerProcess::start(backend);
    let mut json = JsonClient::connect(&broker);
    let mut native = NativeClient::connect(&broker);
    json.connection.send(b"{\"command\":");
    native.connection.send(&[9, 0, 0]);
    assert_eq!(JsonClient::connect(&broker).ping(), Ok(()));
    assert_eq!(broker.terminate(), Some(0));
}

fn nobody_is_served_afterwards(backend: Backend) {
    let mut broker = BrokerProcess::start(backend);
    let address = broker.address();
    assert_eq!(broker.terminate(), Some(0));
    assert!(std::net::TcpStream::connect(address).is_err(), "the port is free again");
}
