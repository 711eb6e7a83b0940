//! Push delivery: messages come as they are published, within the credit that was given.

use conformance::{Backend, BrokerProcess, NativeClient, PUSH, Received, Reply, Speaks};
use conformance::{for_both_backends, wait_until};
use protocol::batch::RECORD_HEADER_BYTES;
use protocol::{Code, Push, Request, SettleAnswer, Start};

for_both_backends! {
    what_the_topic_holds_is_delivered_at_once,
    what_is_published_later_is_delivered_as_it_comes,
    a_subscription_goes_on_where_its_cursor_is,
    deliveries_bear_the_number_of_their_subscription,
    many_topics_are_delivered_on_one_connection,
    many_subscribers_each_get_every_message,
    a_publisher_may_subscribe_on_its_own_connection,
    deliveries_keep_within_the_credit,
    a_message_larger_than_what_is_left_is_sent_and_owed,
    no_message_is_too_large_for_the_smallest_credit,
    no_credit_means_no_delivery,
    credit_may_be_given_in_many_small_steps,
    credit_beyond_any_number_is_no_error,
    a_detached_subscription_keeps_its_cursor,
    a_detached_number_may_be_used_again,
    a_number_in_use_is_refused,
    an_unknown_number_is_refused,
    a_connection_attaches_up_to_its_limit,
    a_subscription_for_the_connection_ends_with_it,
    a_named_subscription_stays_when_its_connection_ends,
    requests_are_answered_while_messages_are_delivered,
}

fn with_credit(credit_bytes: u32) -> Push {
    Push { credit_bytes, ..PUSH }
}

/// A broker with a topic `t`, and a client that made it.
fn with_topic(backend: Backend) -> (BrokerProcess, NativeClient) {
    let broker = BrokerProcess::start(backend);
    let mut client = NativeClient::connect(&broker);
    client.create("t").expect("created");
    (broker, client)
}

/// Messages of 96 bytes, 100 with their record's header.
fn hundreds(count: usize) -> Vec<Vec<u8>> {
    assert_eq!(RECORD_HEADER_BYTES, 4);
    (0..count).map(|number| format!("{number:0>96}").into_bytes()).collect()
}

/// Record bytes of what was delivered, which must be DELIVER frames of `subscription` only.
#[track_caller]
fn record_bytes(received: &[Received], subscription: u32) -> usize {
    let bytes = received.iter().map(|received| match &received.reply {
        Reply::Deliver(delivered) if received.correlation == subscription => {
            delivered.records_bytes
        }
        other => panic!("expected DELIVER of {subscription}, found {other:?}"),
    });
    bytes.sum()
}

fn what_the_topic_holds_is_delivered_at_once(backend: Backend) {
    let (broker, mut publisher) = with_topic(backend);
    publisher.publish_batch("t", &["one", "two"]);
    publisher.publish("t", "three").expect("published");
    let mut subscriber = NativeClient::connect(&broker);
    let (subscription, next_offset) = subscriber.attach("t", "s", PUSH);
    assert_eq!(next_offset, 0);
    let (base_offset, messages) = subscriber.delivered_count(subscription, 3);
    assert_eq!((base_offset, messages.concat()), (0, b"onetwothree".to_vec()));
}

fn what_is_published_later_is_delivered_as_it_comes(backend: Backend) {
    let (broker, mut publisher) = with_topic(backend);
    let mut subscriber = NativeClient::connect(&broker);
    let (subscription, _) = subscriber.attach("t", "s", PUSH);
    for number in 0..100 {
        let message = number.to_string();
        publisher.publish("t", &message).expect("published");
        let (offset, messages) = subscriber.delivered_count(subscription, 1);
        assert_eq!((offset, &messages[0][..]), (number, message.as_bytes()));
    }
}

fn a_subscription_goes_on_where_its_cursor_is(backend: Backend) {
    let (broker, mut publisher) = with_topic(backend);
    publisher.publish_batch("t", &["a", "b", "c", "d"]);
    publisher.subscribe("t", "s").expect("subscribed");
    publisher.pull_max("t", "s", Some(3)).expect("messages");
    let mut subscriber = NativeClient::connect(&broker);
    let (subscription, next_offset) = subscriber.attach("t", "s", PUSH);
    assert_eq!(next_offset, 3);
    let (base_offset, messages) = subscriber.delivered_count(subscription, 1);
    assert_eq!((base_offset, messages.concat()), (3, b"d".to_vec()));
}

fn deliveries_bear_the_number_of_their_subscription(backend: Backend) {
    let (_broker, mut client) = with_topic(backend);
    client.publish("t", "m").expect("published");
    for (number, subscriber) in [(0, "zero"), (u32::MAX, "last"), (77, "some")] {
        let delivery = protocol::Delivery::Push(PUSH);
        let subscribe = Request::Subscribe {
            topic: "t".into(),
            subscriber: subscriber.into(),
            delivery,
            start: Start::Earliest,
            acks: None,
        };
        client.send_as(number, &subscribe);
        assert_eq!(client.answer_to(number), Reply::Subscribed { next_offset: 0 });
        assert_eq!(client.delivered(number).messages, [b"m"]);
    }
}

fn many_topics_are_delivered_on_one_connection(backend: Backend) {
    let (broker, mut publisher) = with_topic(backend);
    let mut subscriber = NativeClient::connect(&broker);
    let (topics, rounds) = (20, 50);
    let mut subscriptions = Vec::new();
    for topic in 0..topics {
        let topic = topic.to_string();
        publisher.create(&topic).expect("created");
        subscriptions.push(subscriber.attach(&topic, "s", PUSH).0);
    }
    for round in 0..rounds {
        for topic in 0..topics {
            publisher.publish(&topic.to_string(), format!("{topic} {round}")).expect("published");
        }
    }
    let mut rounds_seen = vec![0; topics];
    while rounds_seen.iter().sum::<usize>() < topics * rounds {
        let Received { correlation, reply: Reply::Deliver(delivered) } = subscriber.read() else {
            panic!("expected DELIVER");
        };
        let topic = subscriptions.iter().position(|number| *number == correlation);
        let topic = topic.expect("a subscription of this connection");
        for message in delivered.messages {
            assert_eq!(message, format!("{topic} {}", rounds_seen[topic]).into_bytes());
            rounds_seen[topic] += 1;
        }
    }
}

fn many_subscribers_each_get_every_message(backend: Backend) {
    let (broker, mut publisher) = with_topic(backend);
    let mut subscribers: Vec<_> = (0..20)
        .map(|number| {
            let mut client = NativeClient::connect(&broker);
            let (subscription, _) = client.attach("t", &number.to_string(), PUSH);
            (client, subscription)
        })
        .collect();
    let messages = hundreds(500);
    for batch in messages.chunks(25) {
        publisher.publish_batch("t", batch);
    }
    for (client, subscription) in &mut subscribers {
        let (base_offset, found) = client.delivered_count(*subscription, messages.len());
        assert!(base_offset == 0 && found == messages, "the messages are others");
    }
}

fn a_publisher_may_subscribe_on_its_own_connection(backend: Backend) {
    let (_broker, mut client) = with_topic(backend);
    let (subscription, _) = client.attach("t", "s", PUSH);
    for message in ["a", "b", "c"] {
        client.publish("t", message).expect("published");
        assert_eq!(client.delivered(subscription).messages, [message.as_bytes()]);
    }
}

fn deliveries_keep_within_the_credit(backend: Backend) {
    let (broker, mut publisher) = with_topic(backend);
    publisher.publish_batch("t", &hundreds(100));
    let mut subscriber = NativeClient::connect(&broker);
    let (subscription, _) = subscriber.attach("t", "s", with_credit(1000));
    let (_, messages) = subscriber.delivered_count(subscription, 10);
    assert_eq!(messages, hundreds(10));
    publisher.publish_batch("t", &hundreds(100));
    assert_eq!(subscriber.pushed_before_pong(), [], "no more than the credit");
    subscriber.credit(subscription, 500);
    let (base_offset, messages) = subscriber.delivered_count(subscription, 5);
    assert_eq!((base_offset, messages.len()), (10, 5));
    assert_eq!(subscriber.pushed_before_pong(), [], "no more than the credit");
    subscriber.credit(subscription, 1 << 20);
    let (base_offset, messages) = subscriber.delivered_count(subscription, 185);
    assert_eq!((base_offset, messages.len()), (15, 185));
}

fn a_message_larger_than_what_is_left_is_sent_and_owed(backend: Backend) {
    let (broker, mut publisher) = with_topic(backend);
    publisher.publish_batch("t", &hundreds(10));
    let mut subscriber = NativeClient::connect(&broker);
    // Two records and a half: the third is sent, and 50 bytes are owed.
    let (subscription, _) = subscriber.attach("t", "s", with_credit(250));
    assert_eq!(subscriber.delivered_count(subscription, 3).1.len(), 3);
    assert_eq!(subscriber.pushed_before_pong(), []);
    subscriber.credit(subscription, 50);
    assert_eq!(subscriber.pushed_before_pong(), [], "the debt counts");
    subscriber.credit(subscription, 100);
    assert_eq!(subscriber.delivered_count(subscription, 1).0, 3);
    assert_eq!(subscriber.pushed_before_pong(), []);
    subscriber.credit(subscription, 1);
    assert_eq!(subscriber.delivered_count(subscription, 1).0, 4);
    assert_eq!(subscriber.pushed_before_pong(), []);
}

fn no_message_is_too_large_for_the_smallest_credit(backend: Backend) {
    let (broker, mut publisher) = with_topic(backend);
    let large = vec![b'x'; 2 << 20];
    publisher.publish_batch("t", &[large.clone(), b"small".to_vec()]);
    let mut subscriber = NativeClient::connect(&broker);
    let (subscription, _) = subscriber.attach("t", "s", with_credit(1));
    assert!(subscriber.delivered_count(subscription, 1).1 == [large], "the message is another");
    assert_eq!(subscriber.pushed_before_pong(), []);
    subscriber.credit(subscription, 3 << 20);
    assert_eq!(subscriber.delivered_count(subscription, 1).1, [b"small"]);
}

fn no_credit_means_no_delivery(backend: Backend) {
    let (broker, mut publisher) = with_topic(backend);
    publisher.publish("t", "before").expect("published");
    let mut subscriber = NativeClient::connect(&broker);
    let (subscription, _) = subscriber.attach("t", "s", with_credit(0));
    publisher.publish("t", "after").expect("published");
    assert_eq!(subscriber.pushed_before_pong(), []);
    subscriber.credit(subscription, 1 << 20);
    assert_eq!(subscriber.delivered_count(subscription, 2).1.concat(), b"beforeafter");
}

fn credit_may_be_given_in_many_small_steps(backend: Backend) {
    let (broker, mut publisher) = with_topic(backend);
    let messages = hundreds(50);
    let mut subscriber = NativeClient::connect(&broker);
    let (subscription, _) = subscriber.attach("t", "s", with_credit(1));
    publisher.publish_batch("t", &messages);
    let (mut granted, mut sent, mut found) = (1, 0, 0);
    while found < messages.len() {
        let pushed = subscriber.pushed_before_pong();
        sent += record_bytes(&pushed, subscription);
        assert!(sent < granted + 100, "{sent} bytes sent of {granted} granted");
        found = sent / 100;
        subscriber.credit(subscription, 7);
        granted += 7;
        assert!(granted <= 100 * messages.len() + 1000, "{found} messages for {granted} bytes");
    }
}

fn credit_beyond_any_number_is_no_error(backend: Backend) {
    let (broker, mut publisher) = with_topic(backend);
    let mut subscriber = NativeClient::connect(&broker);
    let (subscription, _) = subscriber.attach("t", "s", with_credit(u32::MAX));
    for _ in 0..5 {
        subscriber.credit(subscription, u32::MAX);
    }
    publisher.publish("t", "m").expect("published");
    assert_eq!(subscriber.delivered(subscription).messages, [b"m"]);
    assert_eq!(subscriber.ping(), Ok(()));
}

fn a_detached_subscription_keeps_its_cursor(backend: Backend) {
    let (broker, mut publisher) = with_topic(backend);
    let mut subscriber = NativeClient::connect(&broker);
    let (subscription, _) = subscriber.attach("t", "s", PUSH);
    publisher.publish("t", "one").expect("published");
    assert_eq!(subscriber.delivered(subscription).messages, [b"one"]);
    assert_eq!(subscriber.ask(&Request::Detach { subscription }), Reply::Done);
    publisher.publish("t", "two").expect("published");
    assert_eq!(subscriber.pushed_before_pong(), [], "nothing comes any more");
    assert_eq!(subscriber.subscribers("t").expect("subscribers"), ["s"]);
    assert_eq!(subscriber.pull("t", "s").expect("messages").texts(), ["two"]);
}

fn a_detached_number_may_be_used_again(backend: Backend) {
    let (_broker, mut client) = with_topic(backend);
    let (subscription, _) = client.attach("t", "s", PUSH);
    assert_eq!(client.ask(&Request::Detach { subscription }), Reply::Done);
    let delivery = protocol::Delivery::Push(PUSH);
    let again = Request::Subscribe {
        topic: "t".into(),
        subscriber: "s".into(),
        delivery,
        start: Start::Earliest,
        acks: None,
    };
    client.send_as(subscription, &again);
    assert_eq!(client.answer_to(subscription), Reply::Subscribed { next_offset: 0 });
    client.publish("t", "m").expect("published");
    assert_eq!(client.delivered(subscription).messages, [b"m"]);
}

fn a_number_in_use_is_refused(backend: Backend) {
    let (_broker, mut client) = with_topic(backend);
    let (subscription, _) = client.attach("t", "s", PUSH);
    for subscriber in ["s", "other"] {
        let delivery = protocol::Delivery::Push(PUSH);
        let again = Request::Subscribe {
            topic: "t".into(),
            subscriber: subscriber.into(),
            delivery,
            start: Start::Earliest,
            acks: None,
        };
        client.send_as(subscription, &again);
        assert_eq!(client.answer_to(subscription), Reply::Refused(Code::SubscriptionInUse));
    }
    assert_eq!(client.subscribers("t").expect("subscribers"), ["s"], "nothing was made");
    client.publish("t", "m").expect("published");
    assert_eq!(client.delivered(subscription).messages, [b"m"], "the first goes on");
}

fn an_unknown_number_is_refused(backend: Backend) {
    let (_broker, mut client) = with_topic(backend);
    let (subscription, _) = client.attach("t", "s", PUSH);
    for subscription in [subscription + 1000, 0, u32::MAX] {
        let requests = [
            Request::Credit { subscription, bytes: 1 },
            Request::Ack { subscription, offset: 0, answer: SettleAnswer::Unwanted },
            Request::Detach { subscription },
        ];
        for request in requests {
            let reply = client.ask(&request);
            assert_eq!(reply, Reply::Refused(Code::UnknownSubscription), "{request:?}");
        }
    }
    assert_eq!(client.ping(), Ok(()));
}

fn a_connection_attaches_up_to_its_limit(backend: Backend) {
    let limits = ["--attachments-per-connection-max", "2"];
    let broker = BrokerProcess::start_with(backend, &limits);
    let mut client = NativeClient::connect(&broker);
    client.create("t").expect("created");
    let (first, _) = client.attach("t", "a", PUSH);
    client.attach("t", "b", PUSH);
    let delivery = protocol::Delivery::Push(PUSH);
    let third = Request::Subscribe {
        topic: "t".into(),
        subscriber: "c".into(),
        delivery,
        start: Start::Earliest,
        acks: None,
    };
    assert_eq!(client.ask(&third), Reply::Refused(Code::LimitReached));
    assert_eq!(client.ask(&Request::Detach { subscription: first }), Reply::Done);
    assert_eq!(client.ask(&third), Reply::Subscribed { next_offset: 0 });
    let mut other = NativeClient::connect(&broker);
    other.attach("t", "d", PUSH);
}

fn a_subscription_for_the_connection_ends_with_it(backend: Backend) {
    let (broker, mut watcher) = with_topic(backend);
    let mut subscriber = NativeClient::connect(&broker);
    let push = Push { lifetime: protocol::Lifetime::Connection, ..PUSH };
    let (subscription, _) = subscriber.attach("t", "passing", push);
    watcher.publish("t", "m").expect("published");
    assert_eq!(subscriber.delivered(subscription).messages, [b"m"]);
    assert_eq!(watcher.subscribers("t").expect("subscribers"), ["passing"]);
    drop(subscriber);
    wait_until("the subscription to be gone", || {
        watcher.subscribers("t").expect("subscribers").is_empty()
    });
    assert_eq!(watcher.info().expect("info").subscriptions, 0);
}

fn a_named_subscription_stays_when_its_connection_ends(backend: Backend) {
    let (broker, mut watcher) = with_topic(backend);
    let mut subscriber = NativeClient::connect(&broker);
    let (subscription, _) = subscriber.attach("t", "s", PUSH);
    watcher.publish("t", "one").expect("published");
    assert_eq!(subscriber.delivered(subscription).messages, [b"one"]);
    drop(subscriber);
    wait_until("the connection to be gone", || watcher.info().expect("info").connections == 1);
    watcher.publish("t", "two").expect("published");
    assert_eq!(watcher.subscribers("t").expect("subscribers"), ["s"]);
    let mut subscriber = NativeClient::connect(&broker);
    let (subscription, next_offset) = subscriber.attach("t", "s", PUSH);
    assert_eq!(next_offset, 1);
    assert_eq!(subscriber.delivered(subscription).messages, [b"two"]);
}

fn requests_are_answered_while_messages_are_delivered(backend: Backend) {
    let (broker, mut publisher) = with_topic(backend);
    let mut subscriber = NativeClient::connect(&broker);
    let (subscription, _) = subscriber.attach("t", "s", PUSH);
    let messages = hundreds(2000);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for batch in messages.chunks(10) {
                publisher.publish_batch("t", batch);
            }
        });
        let mut found = 0;
        while found < messages.len() {
            found += record_bytes(&subscriber.pushed_before_pong(), subscription) / 100;
        }
        assert_eq!(found, messages.len());
    });
}
