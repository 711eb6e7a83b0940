//! Clients that leave in the middle of something: what was whole is done, the rest is not, and
//! nobody else notices.

use conformance::{Backend, BrokerProcess, JsonClient, NativeClient, PUSH, Speaks};
use conformance::{for_both_backends, frame_bytes, wait_until};
use protocol::native::encode_request;
use protocol::{Messages, PublishAck, PublishTerms, Request};
use std::thread;

for_both_backends! {
    a_line_without_its_end_is_not_applied,
    a_frame_without_its_end_is_not_applied,
    what_was_whole_before_a_client_left_is_applied,
    a_client_that_leaves_without_reading_its_answers_hurts_nobody,
    a_subscriber_that_leaves_in_the_middle_of_a_delivery_hurts_nobody,
    clients_that_come_and_go_leave_nothing_behind,
}

/// Waits until `watcher` is the only client.
#[track_caller]
fn wait_until_alone(watcher: &mut impl Speaks) {
    wait_until("all other connections to be gone", || {
        watcher.info().expect("info").connections == 1
    });
}

/// A broker with a topic `t` and a subscription `s`, and a client that watches.
fn watched(backend: Backend) -> (BrokerProcess, JsonClient) {
    let broker = BrokerProcess::start(backend);
    let mut watcher = JsonClient::connect(&broker);
    watcher.create("t").expect("created");
    watcher.subscribe("t", "s").expect("subscribed");
    (broker, watcher)
}

fn publish_frame(message: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let messages = Messages::One(message.into());
    let ack = PublishAck::Wanted;
    encode_request(
        &Request::Publish { topic: "t".into(), messages, ack, terms: PublishTerms::default() },
        1,
        &mut bytes,
    );
    bytes
}

/// A client that the broker has accepted, so that it is missed when it goes.
fn accepted<C: Speaks>(broker: &BrokerProcess) -> C {
    let mut client = C::connect(broker);
    assert_eq!(client.ping(), Ok(()));
    client
}

fn a_line_without_its_end_is_not_applied(backend: Backend) {
    let (broker, mut watcher) = watched(backend);
    let line = b"{\"command\":\"PUBLISH\",\"topic\":\"t\",\"message\":\"partial\"}";
    for end in [1, 10, 30, line.len() - 1, line.len()] {
        let mut client: JsonClient = accepted(&broker);
        client.connection.send(&line[..end]);
        drop(client);
        let mut client: JsonClient = accepted(&broker);
        client.connection.send(&line[..end]);
        client.connection.finish_sending();
        client.connection.assert_ended();
    }
    wait_until_alone(&mut watcher);
    assert_eq!(watcher.pull("t", "s").expect("messages").messages.len(), 0);
}

fn a_frame_without_its_end_is_not_applied(backend: Backend) {
    let (broker, mut watcher) = watched(backend);
    let frame = publish_frame(b"partial");
    for end in [1, 11, 12, 20, frame.len() - 1] {
        let mut client: NativeClient = accepted(&broker);
        client.connection.send(&frame[..end]);
        drop(client);
        let mut client: NativeClient = accepted(&broker);
        client.connection.send(&frame[..end]);
        client.connection.finish_sending();
        client.connection.assert_ended();
    }
    wait_until_alone(&mut watcher);
    assert_eq!(watcher.pull("t", "s").expect("messages").messages.len(), 0);
}

fn what_was_whole_before_a_client_left_is_applied(backend: Backend) {
    let (broker, mut watcher) = watched(backend);
    let mut client: JsonClient = accepted(&broker);
    client.connection.send(
        b"{\"command\":\"PUBLISH\",\"topic\":\"t\",\"message\":\"one\"}\n\
          {\"command\":\"PUBLISH\",\"topic\":\"t\",\"message\":\"two\"}\n\
          {\"command\":\"PUBLISH\",\"topic\":\"t\",\"mess",
    );
    drop(client);
    wait_until_alone(&mut watcher);
    assert_eq!(watcher.pull("t", "s").expect("messages").texts(), ["one", "two"]);
    let mut client: NativeClient = accepted(&broker);
    let half = publish_frame(b"four");
    client.connection.send(&[&publish_frame(b"three"), &half[..half.len() / 2]].concat());
    drop(client);
    wait_until_alone(&mut watcher);
    assert_eq!(watcher.pull("t", "s").expect("messages").texts(), ["three"]);
}

fn a_client_that_leaves_without_reading_its_answers_hurts_nobody(backend: Backend) {
    let (broker, mut watcher) = watched(backend);
    for _ in 0..10 {
        let mut json: JsonClient = accepted(&broker);
        json.connection.send("{\"command\":\"INFO\"}\n".repeat(200).as_bytes());
        let mut native: NativeClient = accepted(&broker);
        native.connection.send(&frame_bytes(0x0D, 0, 1, b"").repeat(200));
    }
    assert_eq!(watcher.ping(), Ok(()));
    wait_until_alone(&mut watcher);
}

fn a_subscriber_that_leaves_in_the_middle_of_a_delivery_hurts_nobody(backend: Backend) {
    let (broker, mut watcher) = watched(backend);
    let mut staying = NativeClient::connect(&broker);
    let (subscription, _) = staying.attach("t", "staying", PUSH);
    let mut publisher = NativeClient::connect(&broker);
    let messages: Vec<Vec<u8>> = (0..64).map(|number| vec![number; 200_000]).collect();
    for (number, batch) in messages.chunks(8).enumerate() {
        let mut leaving = NativeClient::connect(&broker);
        leaving.attach("t", &format!("leaving {number}"), PUSH);
        publisher.publish_batch("t", batch);
        // A part of what is on its way was received, and is never read.
        assert!(leaving.connection.receive("a delivery"));
    }
    let (_, found) = staying.delivered_count(subscription, messages.len());
    assert!(found == messages, "the messages are others");
    drop((staying, publisher));
    wait_until_alone(&mut watcher);
}

fn clients_that_come_and_go_leave_nothing_behind(backend: Backend) {
    let (broker, mut watcher) = watched(backend);
    thread::scope(|scope| {
        for worker in 0..4 {
            let broker = &broker;
            scope.spawn(move || {
                for round in 0..100 {
                    let mut client = NativeClient::connect(broker);
                    let push = protocol::Push { lifetime: protocol::Lifetime::Connection, ..PUSH };
                    client.attach("t", &format!("{worker} {round}"), push);
                    let mut client = JsonClient::connect(broker);
                    assert_eq!(client.ping(), Ok(()));
                }
            });
        }
    });
    wait_until_alone(&mut watcher);
    assert_eq!(watcher.subscribers("t").expect("subscribers"), ["s"]);
    assert_eq!(watcher.info().expect("info").subscriptions, 1);
}
