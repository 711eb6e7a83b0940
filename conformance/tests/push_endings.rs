//! A push delivery that another ends is told why, and its connection goes on.

use conformance::{Backend, BrokerProcess, NativeClient, PUSH, Received, Reply, Speaks};
use conformance::{for_both_backends, wait_until};
use protocol::{Code, Lifetime, Push, Request, Start};

for_both_backends! {
    a_subscriber_that_stops_sending_is_let_go_without_a_false_reason,
    another_connection_takes_a_subscription_over,
    a_connection_may_take_over_from_itself,
    taking_over_and_back_loses_and_repeats_nothing,
    a_deleted_topic_ends_its_deliveries,
    a_removed_subscription_ends_its_delivery,
    an_ended_number_is_unknown_and_free,
    the_end_of_a_former_delivery_is_not_taken_for_the_next_ones,
    a_delivery_without_credit_is_told_of_its_end,
    a_deleted_topic_releases_what_was_held,
}

/// A broker with a topic `t`, a client that made it, and one with a subscription `s` pushed to it.
fn attached(backend: Backend) -> (BrokerProcess, NativeClient, NativeClient, u32) {
    let broker = BrokerProcess::start(backend);
    let mut client = NativeClient::connect(&broker);
    client.create("t").expect("created");
    let mut subscriber = NativeClient::connect(&broker);
    let (subscription, _) = subscriber.attach("t", "s", PUSH);
    (broker, client, subscriber, subscription)
}

/// The next frame says that `subscription` ended with `code`, and the connection lives.
#[track_caller]
fn check_ended(client: &mut NativeClient, subscription: u32, code: Code) {
    let expected = Received { correlation: subscription, reply: Reply::Ended(code) };
    assert_eq!(client.read(), expected);
    assert_eq!(client.ping(), Ok(()), "the connection goes on");
}

fn another_connection_takes_a_subscription_over(backend: Backend) {
    let (broker, mut client, mut first, subscription) = attached(backend);
    client.publish("t", "one").expect("published");
    assert_eq!(first.delivered(subscription).messages, [b"one"]);
    let mut second = NativeClient::connect(&broker);
    let (number, next_offset) = second.attach("t", "s", PUSH);
    assert_eq!(next_offset, 1, "it goes on where the first was");
    check_ended(&mut first, subscription, Code::TakenOver);
    client.publish("t", "two").expect("published");
    assert_eq!(second.delivered(number).messages, [b"two"]);
    assert_eq!(first.pushed_before_pong(), [], "the first gets no more of it");
    assert_eq!(client.subscribers("t").expect("subscribers"), ["s"]);
}

fn a_connection_may_take_over_from_itself(backend: Backend) {
    let (_broker, mut client, mut subscriber, first) = attached(backend);
    let (second, _) = subscriber.attach("t", "s", PUSH);
    check_ended(&mut subscriber, first, Code::TakenOver);
    client.publish("t", "m").expect("published");
    assert_eq!(subscriber.delivered(second).messages, [b"m"]);
}

fn taking_over_and_back_loses_and_repeats_nothing(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let mut client = NativeClient::connect(&broker);
    client.create("t").expect("created");
    let messages = 2000;
    let publisher = std::thread::spawn(move || {
        for number in 0..messages {
            client.publish("t", number.to_string()).expect("published");
        }
    });
    // Each reads on until the next has taken over, so that none of what it was sent is missed.
    let mut clients = [NativeClient::connect(&broker), NativeClient::connect(&broker)];
    let (mut numbers, mut found) = ([None; 2], Vec::new());
    for turn in 0.. {
        let (this, other) = (turn % 2, (turn + 1) % 2);
        let (number, next_offset) = clients[this].attach("t", "s", PUSH);
        if let Some(before) = numbers[other].take() {
            let more = read_to_end_of(&mut clients[other], before);
            found.extend(more);
        }
        assert_eq!(next_offset, found.len() as u64, "it begins where the other ended");
        if found.len() == messages {
            break;
        }
        numbers[this] = Some(number);
    }
    publisher.join().expect("published");
    let expected: Vec<_> = (0..messages).map(|number| number.to_string().into_bytes()).collect();
    assert!(found == expected, "a message was lost, repeated or out of order");
}

/// What is delivered to `subscription` until it is taken over.
fn read_to_end_of(client: &mut NativeClient, subscription: u32) -> Vec<Vec<u8>> {
    let mut messages = Vec::new();
    loop {
        let Received { correlation, reply } = client.read();
        assert_eq!(correlation, subscription);
        match reply {
            Reply::Deliver(delivered) => messages.extend(delivered.messages),
            Reply::Ended(Code::TakenOver) => return messages,
            other => panic!("expected DELIVER or ENDED, found {other:?}"),
        }
    }
}

fn a_deleted_topic_ends_its_deliveries(backend: Backend) {
    let (broker, mut client, mut first, subscription) = attached(backend);
    let mut second = NativeClient::connect(&broker);
    let push = Push { lifetime: Lifetime::Connection, ..PUSH };
    let (number, _) = second.attach("t", "other", push);
    client.publish("t", "last").expect("published");
    assert_eq!(first.delivered(subscription).messages, [b"last"]);
    assert_eq!(second.delivered(number).messages, [b"last"]);
    assert_eq!(client.delete("t"), Ok(()));
    check_ended(&mut first, subscription, Code::TopicDeleted);
    check_ended(&mut second, number, Code::TopicDeleted);
    assert_eq!(client.create("t"), Ok(()));
    client.publish("t", "anew").expect("published");
    assert_eq!(first.pushed_before_pong(), [], "the new topic is another");
    assert_eq!(client.info().expect("info").subscriptions, 0);
}

fn a_removed_subscription_ends_its_delivery(backend: Backend) {
    let (_broker, mut client, mut subscriber, subscription) = attached(backend);
    assert_eq!(client.unsubscribe("t", "s"), Ok(()));
    check_ended(&mut subscriber, subscription, Code::Unsubscribed);
    client.publish("t", "m").expect("published");
    assert_eq!(subscriber.pushed_before_pong(), []);
    assert_eq!(client.subscribers("t"), Ok(vec![]));
}

fn an_ended_number_is_unknown_and_free(backend: Backend) {
    let (_broker, mut client, mut subscriber, subscription) = attached(backend);
    assert_eq!(client.delete("t"), Ok(()));
    check_ended(&mut subscriber, subscription, Code::TopicDeleted);
    let credit = Request::Credit { subscription, bytes: 1 };
    assert_eq!(subscriber.ask(&credit), Reply::Refused(Code::UnknownSubscription));
    assert_eq!(client.create("t"), Ok(()));
    let delivery = protocol::Delivery::Push(PUSH);
    let again = Request::Subscribe {
        topic: "t".into(),
        subscriber: "s".into(),
        delivery,
        start: Start::Earliest,
        acks: None,
    };
    subscriber.send_as(subscription, &again);
    assert_eq!(subscriber.answer_to(subscription), Reply::Subscribed { next_offset: 0 });
    client.publish("t", "m").expect("published");
    assert_eq!(subscriber.delivered(subscription).messages, [b"m"]);
}

fn the_end_of_a_former_delivery_is_not_taken_for_the_next_ones(backend: Backend) {
    let (broker, mut client, mut first, _) = attached(backend);
    client.create("next").expect("created");
    let mut second = NativeClient::connect(&broker);
    let delivery = protocol::Delivery::Push(PUSH);
    let subscribe = |topic: &'static str, subscriber: &'static str| Request::Subscribe {
        topic: topic.into(),
        subscriber: subscriber.into(),
        delivery,
        start: Start::Earliest,
        acks: None,
    };
    let number = 9000;
    for round in 0..100 {
        first.send_as(number, &subscribe("t", "s"));
        assert!(matches!(first.answer_to(number), Reply::Subscribed { .. }));
        // One end of the delivery races the other, and then its number is used again.
        let taking_over = second.send(&subscribe("t", "s"));
        let detaching = first.send(&Request::Detach { subscription: number });
        first.send_as(number, &subscribe("next", "s"));
        assert!(matches!(second.answer_to(taking_over), Reply::Subscribed { .. }));
        match first.answer_to(detaching) {
            Reply::Done | Reply::Refused(Code::UnknownSubscription) => {}
            other => panic!("expected OK or unknown_subscription, found {other:?}"),
        }
        assert_eq!(first.answer_to(number), Reply::Subscribed { next_offset: round });
        // What ended before is told before.
        first.pushed_before_pong();
        client.publish("next", "m").expect("published");
        assert_eq!(first.delivered(number).messages, [b"m"], "round {round}");
        assert_eq!(first.ask(&Request::Detach { subscription: number }), Reply::Done);
        let subscription = taking_over;
        assert_eq!(second.ask(&Request::Detach { subscription }), Reply::Done);
    }
}

fn a_delivery_without_credit_is_told_of_its_end(backend: Backend) {
    let (broker, mut client, ..) = attached(backend);
    client.publish("t", "m").expect("published");
    let mut subscriber = NativeClient::connect(&broker);
    let push = Push { credit_bytes: 0, ..PUSH };
    let (subscription, _) = subscriber.attach("t", "idle", push);
    assert_eq!(client.unsubscribe("t", "idle"), Ok(()));
    check_ended(&mut subscriber, subscription, Code::Unsubscribed);
}

fn a_deleted_topic_releases_what_was_held(backend: Backend) {
    let (_broker, mut client, mut subscriber, subscription) = attached(backend);
    let message = vec![b'x'; 1 << 20];
    for _ in 0..16 {
        client.publish("t", &message).expect("published");
    }
    subscriber.delivered_count(subscription, 16);
    assert!(client.info().expect("info").log_bytes >= 16 << 20);
    assert_eq!(client.delete("t"), Ok(()));
    check_ended(&mut subscriber, subscription, Code::TopicDeleted);
    wait_until("the topic's bytes to be given back", || {
        client.info().expect("info").log_bytes == 0
    });
}

/// It was once told that the broker is stopping.
fn a_subscriber_that_stops_sending_is_let_go_without_a_false_reason(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let mut client = NativeClient::connect(&broker);
    client.create("t").expect("created");
    client.attach("t", "s", PUSH);
    client.connection.finish_sending();
    client.connection.assert_ended();
}
