//! The tokio driver against a scripted broker.

#![cfg(feature = "tokio")]

mod peer;

use client_api::asynchronous::{Client, Subscription};
use client_api::{
    AckMode, Code, Error, Lost, Message, Options, PushTerms, Pushed, Reconnect, Refusal,
    SubscriberId,
};
use futures_core::Stream;
use peer::{Broker, LIMIT};
use protocol::Response;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::mpsc;
use std::time::Duration;
use tokio::time::timeout;

fn quick() -> Options {
    let (delay_min, delay_max) = (Duration::from_millis(1), Duration::from_millis(10));
    Options::new().request_timeout(LIMIT).connect_timeout(LIMIT).reconnect(Reconnect {
        attempts_max: 5,
        delay_min,
        delay_max,
    })
}

async fn within<T>(future: impl Future<Output = T>) -> T {
    timeout(LIMIT, future).await.expect("done within the limit of the test")
}

async fn connect(broker: &Broker) -> Client {
    within(Client::connect_with(broker.address, quick())).await.expect("the broker accepts")
}

/// Waits for the end of the script while the client's task goes on.
async fn finish(broker: Broker) {
    let joined = tokio::task::spawn_blocking(|| broker.join());
    within(joined).await.expect("the broker's script went as expected");
}

fn news() -> SubscriberId {
    SubscriberId::from("sid")
}

async fn stream_next(subscription: &mut Subscription) -> Option<Result<Pushed<Message>, Error>> {
    within(poll_fn(|context| Pin::new(&mut *subscription).poll_next(context))).await
}

#[tokio::test]
async fn clones_share_one_connection() {
    let broker = Broker::start(|listener| {
        let mut it = listener.accept();
        for base_offset in 0..10 {
            let (publish, _) = it.expect_publish();
            it.reply(publish, &Response::Published { base_offset, count: 1 });
        }
        it.expect_end();
    });
    let client = connect(&broker).await;
    let tasks: Vec<_> = (0..10)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move { client.publish("News", "hello").await.expect("published") })
        })
        .collect();
    let mut offsets = Vec::new();
    for task in tasks {
        offsets.push(within(task).await.expect("no panic"));
    }
    offsets.sort_unstable();
    assert_eq!(offsets, (0..10).collect::<Vec<_>>());
    drop(client);
    finish(broker).await;
}

#[tokio::test]
async fn receipts_come_while_more_is_sent() {
    let broker = Broker::start(|listener| {
        let mut it = listener.accept();
        let (first, _) = it.expect_publish();
        let (second, _) = it.expect_publish();
        it.reply(first, &Response::Published { base_offset: 0, count: 2 });
        it.reply(second, &Response::Refused(Refusal::new(Code::UnknownTopic, "no Sports")));
    });
    let client = connect(&broker).await;
    let first = within(client.send_batch("News", ["a", "b"])).await.expect("sent");
    let second = within(client.send_batch("Sports", ["c"])).await.expect("sent");
    assert_eq!(within(second).await.expect_err("refused").code(), Some(Code::UnknownTopic));
    assert_eq!(within(first).await.expect("published").count, 2);
    finish(broker).await;
}

#[tokio::test]
async fn unacknowledged_messages_are_written_with_a_flush() {
    let broker = Broker::start(|listener| {
        let mut it = listener.accept();
        let (refused, payloads) = it.expect_publish();
        assert_eq!(payloads, [b"a", b"b"]);
        it.reply(refused, &Response::Refused(Refusal::new(Code::UnknownTopic, "no News")));
        let ping = it.expect("Ping");
        it.reply(ping, &Response::Pong);
    });
    let client = connect(&broker).await;
    for payload in [b"a", b"b"] {
        within(client.publish_unacked("News", payload)).await.expect("buffered");
    }
    within(client.flush()).await.expect("written");
    within(client.ping()).await.expect("answered");
    let codes: Vec<_> = client.take_refusals().into_iter().map(|refusal| refusal.code).collect();
    assert_eq!(codes, [Code::UnknownTopic]);
    finish(broker).await;
}

#[tokio::test]
async fn a_dropped_future_gives_its_answer_up_and_nothing_else() {
    let (go_on, wait) = mpsc::channel();
    let broker = Broker::start(move |listener| {
        let mut it = listener.accept();
        let (publish, _) = it.expect_publish();
        wait.recv_timeout(LIMIT).expect("the client goes on");
        it.reply(publish, &Response::Published { base_offset: 0, count: 1 });
        let ping = it.expect("Ping");
        it.reply(ping, &Response::Pong);
    });
    let client = connect(&broker).await;
    let given_up = timeout(Duration::from_millis(20), client.publish("News", "once")).await;
    assert!(given_up.is_err(), "no answer was sent yet");
    go_on.send(()).expect("the broker waits");
    within(client.ping()).await.expect("answered");
    finish(broker).await;
}

#[tokio::test]
async fn no_answer_in_time_is_a_timeout() {
    let broker = Broker::start(|listener| {
        let mut it = listener.accept();
        it.expect("Ping");
        it.expect_end();
    });
    let options = quick().request_timeout(Duration::from_millis(30));
    let client = within(Client::connect_with(broker.address, options)).await.expect("connected");
    let error = within(client.ping()).await.expect_err("no answer");
    assert!(matches!(error, Error::Timeout { .. }), "{error}");
    drop(client);
    finish(broker).await;
}

#[tokio::test]
async fn a_question_is_asked_again_after_a_reconnect_and_a_publication_is_not() {
    let broker = Broker::start(|listener| {
        let mut it = listener.accept();
        it.expect("Ping");
        drop(it);
        let mut it = listener.accept();
        let ping = it.expect("Ping");
        it.reply(ping, &Response::Pong);
        it.expect_publish();
        drop(it);
        let mut it = listener.accept();
        let ping = it.expect("Ping");
        it.reply(ping, &Response::Pong);
    });
    let client = connect(&broker).await;
    within(client.ping()).await.expect("answered on the second connection");
    let error = within(client.publish("News", "once")).await.expect_err("unknown");
    assert!(matches!(error, Error::Indeterminate { .. }), "{error}");
    within(client.ping()).await.expect("answered on the third connection");
    finish(broker).await;
}

#[tokio::test]
async fn a_lost_broker_is_given_up_and_tried_again_when_something_is_asked() {
    let broker = Broker::start(|listener| {
        listener.accept().expect("Ping");
    });
    let client = connect(&broker).await;
    let error = within(client.ping()).await.expect_err("the broker is gone");
    assert!(matches!(error, Error::Disconnected { .. }), "{error}");
    finish(broker).await;
    let error = within(client.publish("News", "late")).await.expect_err("the broker is gone");
    assert!(matches!(error, Error::Disconnected { .. }), "{error}");
}

#[tokio::test]
async fn a_push_subscription_is_a_stream_that_gives_credit_back_and_goes_on_after_a_reconnect() {
    let broker = Broker::start(|listener| {
        let mut it = listener.accept();
        let subscription = it.expect("credit_bytes: 40, ack_mode: Cumulative");
        it.reply(subscription, &Response::Subscribed { next_offset: 0 });
        it.deliver(subscription, 0, &["one", "two", "three"]);
        it.expect(&format!("Ack {{ subscription: {subscription}, offset: 2,"));
        it.expect(&format!("Credit {{ subscription: {subscription}, bytes: 23 }}"));
        drop(it);
        let mut it = listener.accept();
        let subscription = it.expect("credit_bytes: 40, ack_mode: Cumulative");
        it.reply(subscription, &Response::Subscribed { next_offset: 3 });
        it.deliver(subscription, 3, &["four"]);
        it.reply(subscription, &Response::Lost { count: 2, next_offset: 6 });
        let refusal = Refusal::new(Code::TopicDeleted, "News was deleted");
        it.reply(subscription, &Response::Ended(refusal));
        it.expect_end();
    });
    let client = connect(&broker).await;
    let terms = PushTerms::new().window_bytes(40).ack_mode(AckMode::Cumulative);
    let mut subscription =
        within(client.subscribe_push("News", &news(), terms)).await.expect("subscribed");
    for (offset, payload) in (0..).zip(["one", "two", "three"]) {
        let Some(Ok(Pushed::Delivered(message))) = stream_next(&mut subscription).await else {
            panic!("expected a message");
        };
        assert_eq!((message.offset, &message.payload[..]), (offset, payload.as_bytes()));
    }
    subscription.ack(2);
    let Some(Ok(Pushed::Delivered(batch))) = within(subscription.next_batch()).await else {
        panic!("expected a batch");
    };
    assert_eq!((batch.base_offset(), batch.count()), (3, 1));
    let Some(Ok(Pushed::Lost(lost))) = stream_next(&mut subscription).await else {
        panic!("expected a notice");
    };
    assert_eq!(lost, Lost { count: 2, next_offset: 6 });
    let Some(Err(error)) = stream_next(&mut subscription).await else {
        panic!("expected the end");
    };
    assert_eq!(error.code(), Some(Code::TopicDeleted));
    assert!(stream_next(&mut subscription).await.is_none(), "nothing comes after the end");
    drop(subscription);
    drop(client);
    finish(broker).await;
}

#[tokio::test]
async fn a_dropped_subscription_detaches() {
    let broker = Broker::start(|listener| {
        let mut it = listener.accept();
        let subscription = it.expect("Subscribe");
        it.reply(subscription, &Response::Subscribed { next_offset: 0 });
        let detach = it.expect(&format!("Detach {{ subscription: {subscription} }}"));
        it.deliver(subscription, 0, &["late"]);
        it.reply(detach, &Response::Done);
        let ping = it.expect("Ping");
        it.reply(ping, &Response::Pong);
    });
    let client = connect(&broker).await;
    let terms = PushTerms::new();
    let subscription =
        within(client.subscribe_push("News", &news(), terms)).await.expect("subscribed");
    drop(subscription);
    within(client.ping()).await.expect("answered");
    finish(broker).await;
}

#[tokio::test]
async fn a_peer_that_is_no_broker_is_named_so() {
    let broker = Broker::start(|listener| {
        let mut it = listener.accept_silent();
        it.send_bytes(b"HTTP/1.1 400 Bad Request\r\n");
        it.read_greeting();
    });
    let error = within(Client::connect(broker.address)).await.expect_err("no broker");
    assert!(matches!(error, Error::ProtocolViolation(_)), "{error}");
    finish(broker).await;
}

#[test]
fn a_client_that_outlives_its_runtime_is_told() {
    let broker = Broker::start(|listener| listener.accept().expect_end());
    let runtime = || tokio::runtime::Runtime::new().expect("a runtime");
    let first = runtime();
    let client = first.block_on(connect(&broker));
    drop(first);
    let error = runtime().block_on(within(client.ping())).expect_err("no one drives it");
    assert!(matches!(error, Error::Disconnected { .. }), "{error}");
    broker.join();
}
