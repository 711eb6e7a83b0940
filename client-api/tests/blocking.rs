//! The blocking driver against a scripted broker.

mod peer;

use client_api::blocking::Client;
use client_api::{
    AckMode, Code, Error, Lifetime, Lost, Options, PushTerms, Pushed, Reconnect, Refusal,
    SubscriberId,
};
use peer::{Broker, LIMIT, MESSAGE_BYTES_MAX};
use protocol::{BatchBuilder, Response};
use std::sync::mpsc;
use std::time::Duration;

fn quick() -> Options {
    let (delay_min, delay_max) = (Duration::from_millis(1), Duration::from_millis(10));
    Options::new().request_timeout(LIMIT).connect_timeout(LIMIT).reconnect(Reconnect {
        attempts_max: 5,
        delay_min,
        delay_max,
    })
}

fn connect(broker: &Broker) -> Client {
    Client::connect_with(broker.address, quick()).expect("the broker accepts")
}

fn news() -> SubscriberId {
    SubscriberId::from("sid")
}

#[test]
fn each_request_gets_its_own_answer() {
    let broker = Broker::start(|listener| {
        let mut it = listener.accept();
        let create = it.expect("Create { topic: \"News\"");
        it.reply(create, &Response::Done);
        let (publish, payloads) = it.expect_publish();
        assert_eq!(payloads, [b"hello"]);
        it.reply(publish, &Response::Published { base_offset: 41, count: 1 });
        let subscribe = it.expect("Subscribe");
        it.reply(subscribe, &Response::Subscribed { next_offset: 7 });
        let pull = it.expect("Pull");
        let mut builder = BatchBuilder::new();
        builder.push(b"one").expect("small");
        builder.push(&[0xff; 5000]).expect("small");
        let batch = builder.batch();
        it.reply(pull, &Response::Messages { base_offset: 7, lost: 2, remaining: 3, batch });
        let list = it.expect("ListTopics");
        it.reply(list, &Response::Topics(vec!["News", "Sports"]));
        let subscribers = it.expect("Subscribers");
        it.reply(subscribers, &Response::Subscribers(vec!["sid"]));
        let ping = it.expect("Ping");
        it.reply(ping, &Response::Pong);
        let info = it.expect("Info");
        let json = serde_json::to_string(&client_api::Info::default()).expect("plain");
        it.reply(info, &Response::Info(&json));
        it.expect_end();
    });
    let mut client = connect(&broker);
    client.create_topic("News").expect("created");
    assert_eq!(client.publish("News", "hello").expect("published"), 41);
    assert_eq!(client.subscribe("News", &news()).expect("subscribed"), 7);
    let pulled = client.pull("News", &news()).expect("pulled");
    assert_eq!((pulled.lost, pulled.remaining), (2, 3));
    let found: Vec<_> = pulled.messages.into_iter().map(|m| (m.offset, m.payload.len())).collect();
    assert_eq!(found, [(7, 3), (8, 5000)]);
    assert_eq!(client.list_topics().expect("listed"), ["News", "Sports"]);
    assert_eq!(client.subscribers("News").expect("told"), [news()]);
    client.ping().expect("answered");
    assert_eq!(client.info().expect("told"), client_api::Info::default());
    drop(client);
    broker.join();
}

#[test]
fn pipelined_batches_are_answered_in_any_order_of_asking() {
    let broker = Broker::start(|listener| {
        let mut it = listener.accept();
        for base_offset in [0, 2, 4] {
            let (publish, payloads) = it.expect_publish();
            assert_eq!(payloads.len(), 2);
            it.reply(publish, &Response::Published { base_offset, count: 2 });
        }
    });
    let mut client = connect(&broker);
    let mut send = || client.send_batch("News", ["a", "b"]).expect("sent");
    let (first, second, third) = (send(), send(), send());
    assert_eq!(client.wait(second).expect("published").base_offset, 2);
    assert_eq!(client.wait(first).expect("published").base_offset, 0);
    client.wait_all().expect("published");
    let again = client.wait(third).expect_err("claimed before");
    assert!(matches!(again, Error::InvalidRequest { .. }), "{again}");
    broker.join();
}

#[test]
fn unacknowledged_messages_of_one_topic_share_a_frame() {
    let broker = Broker::start(|listener| {
        let mut it = listener.accept();
        let (_, payloads) = it.expect_publish();
        assert_eq!(payloads, [b"a", b"b"]);
        let (refused, payloads) = it.expect_publish();
        assert_eq!(payloads, [b"c"]);
        it.reply(refused, &Response::Refused(Refusal::new(Code::UnknownTopic, "no Sports")));
        let ping = it.expect("Ping");
        it.reply(ping, &Response::Pong);
    });
    let mut client = connect(&broker);
    for (topic, payload) in [("News", b"a"), ("News", b"b"), ("Sports", b"c")] {
        client.publish_unacked(topic, payload).expect("buffered");
    }
    client.flush().expect("written");
    client.ping().expect("answered");
    let codes: Vec<_> = client.take_refusals().into_iter().map(|refusal| refusal.code).collect();
    assert_eq!(codes, [Code::UnknownTopic]);
    broker.join();
}

#[test]
fn a_dropped_client_writes_what_it_had_buffered() {
    let broker = Broker::start(|listener| {
        let mut it = listener.accept();
        assert_eq!(it.expect_publish().1, [b"last"]);
        it.expect_end();
    });
    connect(&broker).publish_unacked("News", b"last").expect("buffered");
    broker.join();
}

#[test]
fn what_is_too_large_is_refused_before_it_is_sent() {
    let broker = Broker::start(|listener| listener.accept().expect_end());
    let mut client = connect(&broker);
    let large = vec![0; MESSAGE_BYTES_MAX as usize + 1];
    let error = client.publish("News", &large).expect_err("too large");
    assert_eq!(error.code(), Some(Code::MessageTooLarge));
    let nothing: [&str; 0] = [];
    assert!(client.publish_batch("News", nothing).is_err(), "an empty batch says nothing");
    let many = vec![&large[1..]; 5];
    assert!(client.publish_batch("News", many).is_err(), "more than a frame holds");
    drop(client);
    broker.join();
}

#[test]
fn a_question_is_asked_again_after_a_reconnect_and_a_publication_is_not() {
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
    let mut client = connect(&broker);
    client.ping().expect("answered on the second connection");
    let error = client.publish("News", "once").expect_err("unknown");
    assert!(matches!(error, Error::Indeterminate { .. }), "{error}");
    client.ping().expect("answered on the third connection");
    broker.join();
}

#[test]
fn a_lost_broker_is_given_up_after_so_many_attempts() {
    let broker = Broker::start(|listener| {
        listener.accept().expect("Ping");
    });
    let mut client = connect(&broker);
    let error = client.ping().expect_err("the broker is gone");
    broker.join();
    assert!(matches!(error, Error::Disconnected { .. }), "{error}");
    let error = client.flush().expect_err("the broker is gone");
    assert!(matches!(error, Error::Disconnected { .. }), "{error}");
}

#[test]
fn no_answer_in_time_is_a_timeout_and_the_late_answer_is_passed_over() {
    let (go_on, wait) = mpsc::channel();
    let broker = Broker::start(move |listener| {
        let mut it = listener.accept();
        let ping = it.expect("Ping");
        wait.recv_timeout(LIMIT).expect("the client goes on");
        it.reply(ping, &Response::Pong);
        let list = it.expect("ListTopics");
        it.reply(list, &Response::Topics(vec![]));
    });
    let options = quick().request_timeout(Duration::from_millis(30));
    let mut client = Client::connect_with(broker.address, options).expect("connected");
    let error = client.ping().expect_err("no answer");
    assert!(matches!(error, Error::Timeout { .. }), "{error}");
    go_on.send(()).expect("the broker waits");
    assert_eq!(client.list_topics().expect("answered"), [""; 0]);
    broker.join();
}

#[test]
fn a_push_subscription_gives_batches_notices_of_loss_and_its_end() {
    let broker = Broker::start(|listener| {
        let mut it = listener.accept();
        let subscription = it.expect("credit_bytes: 40, ack_mode: Cumulative");
        it.reply(subscription, &Response::Subscribed { next_offset: 0 });
        it.deliver(subscription, 0, &["one", "two", "three"]);
        it.reply(subscription, &Response::Lost { count: 2, next_offset: 5 });
        it.expect(&format!("Ack {{ subscription: {subscription}, offset: 2,"));
        it.expect(&format!("Credit {{ subscription: {subscription}, bytes: 23 }}"));
        it.deliver(subscription, 5, &["six"]);
        let refusal = Refusal::new(Code::TopicDeleted, "News was deleted");
        it.reply(subscription, &Response::Ended(refusal));
        it.expect_end();
    });
    let mut client = connect(&broker);
    let terms = PushTerms::new().window_bytes(40).ack_mode(AckMode::Cumulative);
    let mut subscription = client.subscribe_push("News", &news(), terms).expect("subscribed");
    let Pushed::Delivered(messages) = subscription.next_batch().expect("a batch") else {
        panic!("expected messages");
    };
    assert_eq!(messages.base_offset(), 0);
    let payloads: Vec<_> = messages.payloads().collect();
    assert_eq!(payloads, [&b"one"[..], b"two", b"three"]);
    subscription.ack(1);
    subscription.ack(2);
    let lost = subscription.next_within(LIMIT).expect("a notice");
    assert_eq!(lost, Some(Pushed::Lost(Lost { count: 2, next_offset: 5 })));
    let rest: Vec<_> = subscription.by_ref().map(|next| next.map_err(|e| e.code())).collect();
    let [Ok(Pushed::Delivered(six)), Err(Some(Code::TopicDeleted))] = &rest[..] else {
        panic!("expected a message and the end, found {rest:?}");
    };
    assert_eq!((six.offset, &six.payload[..]), (5, &b"six"[..]));
    drop(subscription);
    drop(client);
    broker.join();
}

#[test]
fn nothing_pushed_in_time_is_not_an_error() {
    let broker = Broker::start(|listener| {
        let mut it = listener.accept();
        let subscription = it.expect("Subscribe");
        it.reply(subscription, &Response::Subscribed { next_offset: 0 });
        it.expect("Detach");
        it.expect_end();
    });
    let mut client = connect(&broker);
    let terms = PushTerms::new();
    let mut subscription = client.subscribe_push("News", &news(), terms).expect("subscribed");
    let nothing = subscription.next_batch_within(Duration::from_millis(20));
    assert_eq!(nothing.expect("no error"), None);
    drop(subscription);
    drop(client);
    broker.join();
}

#[test]
fn a_named_push_subscription_goes_on_after_a_reconnect_and_counts_the_gap() {
    let broker = Broker::start(|listener| {
        let mut it = listener.accept();
        let subscription = it.expect("lifetime: Named");
        it.reply(subscription, &Response::Subscribed { next_offset: 0 });
        it.deliver(subscription, 0, &["one"]);
        drop(it);
        let mut it = listener.accept();
        let subscription = it.expect("lifetime: Named");
        it.reply(subscription, &Response::Subscribed { next_offset: 3 });
        it.deliver(subscription, 3, &["four"]);
        it.expect("Detach");
    });
    let mut client = connect(&broker);
    let terms = PushTerms::new();
    let subscription = client.subscribe_push("News", &news(), terms).expect("subscribed");
    let found: Vec<_> = subscription
        .take(3)
        .map(|next| match next.expect("goes on") {
            Pushed::Delivered(message) => (message.offset, 0),
            Pushed::Lost(lost) => (lost.next_offset, lost.count),
        })
        .collect();
    assert_eq!(found, [(0, 0), (3, 2), (3, 0)]);
    broker.join();
}

#[test]
fn a_push_subscription_of_the_connection_ends_with_it() {
    let broker = Broker::start(|listener| {
        let mut it = listener.accept();
        let subscription = it.expect("lifetime: Connection");
        it.reply(subscription, &Response::Subscribed { next_offset: 0 });
    });
    let mut client = connect(&broker);
    let terms = PushTerms::new().lifetime(Lifetime::Connection);
    let mut subscription = client.subscribe_push("News", &news(), terms).expect("subscribed");
    let error = subscription.next_batch().expect_err("ended");
    assert!(matches!(error, Error::Disconnected { .. }), "{error}");
    assert!(subscription.next().is_none(), "nothing comes after the end");
    drop(subscription);
    broker.join();
}

#[test]
fn what_is_pushed_while_something_else_is_waited_for_is_kept() {
    let broker = Broker::start(|listener| {
        let mut it = listener.accept();
        for next_offset in [0, 0] {
            let subscription = it.expect("Subscribe");
            it.reply(subscription, &Response::Subscribed { next_offset });
            it.deliver(subscription, 0, &["early"]);
        }
        let ping = it.expect("Ping");
        it.reply(ping, &Response::Pong);
    });
    let mut client = connect(&broker);
    let news = client.attach("News", &news(), PushTerms::new()).expect("attached");
    let sports = client.attach("Sports", &self::news(), PushTerms::new()).expect("attached");
    client.ping().expect("answered");
    for expected in [news, sports] {
        let arrival = client.next_pushed(Some(LIMIT)).expect("no error").expect("in time");
        assert_eq!(arrival.subscription, expected);
        let Ok(Pushed::Delivered(messages)) = arrival.result else { panic!("expected messages") };
        assert_eq!(messages.payloads().collect::<Vec<_>>(), [b"early"]);
    }
    broker.join();
}

#[test]
fn a_broker_that_waits_for_its_answers_to_be_read_does_not_block_a_writer() {
    const BATCHES: usize = 200;
    let payload = vec![7u8; MESSAGE_BYTES_MAX as usize / 4];
    let broker = Broker::start(|listener| {
        let mut it = listener.accept();
        let subscription = it.expect("Subscribe");
        it.reply(subscription, &Response::Subscribed { next_offset: 0 });
        // More than both sockets hold, before the first publication is read.
        let large = "x".repeat(MESSAGE_BYTES_MAX as usize);
        for offset in 0..64 {
            it.deliver(subscription, offset, &[&large]);
        }
        for _ in 0..BATCHES {
            it.expect_publish();
        }
        let ping = it.expect("Ping");
        it.reply(ping, &Response::Pong);
    });
    let mut client = connect(&broker);
    let terms = PushTerms::new().window_bytes(1 << 30);
    let id = client.attach("News", &news(), terms).expect("attached");
    for _ in 0..BATCHES {
        client.publish_unacked("News", &payload).expect("written");
    }
    client.ping().expect("answered");
    for offset in 0..64 {
        let arrival = client.next_pushed(Some(LIMIT)).expect("no error").expect("in time");
        assert_eq!(arrival.subscription, id);
        let Ok(Pushed::Delivered(messages)) = arrival.result else { panic!("expected messages") };
        assert_eq!(messages.base_offset(), offset);
    }
    broker.join();
}

#[test]
fn a_broker_that_takes_no_more_connections_is_quoted() {
    let broker = Broker::start(|listener| {
        let mut it = listener.accept_silent();
        it.read_greeting();
        it.greet_with(false);
        it.reply(0, &Response::Refused(Refusal::new(Code::LimitReached, "too many")));
    });
    let error = Client::connect(broker.address).expect_err("refused");
    assert_eq!(error.code(), Some(Code::LimitReached), "{error}");
    broker.join();
}

#[test]
fn a_peer_that_is_no_broker_is_named_so() {
    let broker = Broker::start(|listener| {
        let mut it = listener.accept_silent();
        it.send_bytes(b"HTTP/1.1 400 Bad Request\r\n");
        it.read_greeting();
    });
    let error = Client::connect(broker.address).expect_err("no broker");
    assert!(matches!(error, Error::ProtocolViolation(_)), "{error}");
    broker.join();
}

#[test]
fn a_peer_that_says_nothing_is_given_up() {
    let broker = Broker::start(|listener| {
        let mut it = listener.accept_silent();
        it.read_greeting();
        it.expect_end();
    });
    let options = quick().connect_timeout(Duration::from_millis(30));
    let error = Client::connect_with(broker.address, options).expect_err("silent");
    assert!(matches!(error, Error::Timeout { .. }), "{error}");
    broker.join();
}
