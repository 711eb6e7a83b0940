//! The native wire: greetings, correlation ids, pipelining and batches.

use conformance::{Backend, BrokerProcess, Connection, NativeClient, Received, Reply, Speaks};
use conformance::{for_both_backends, frame_bytes};
use protocol::native::{VERSION, client_greeting, encode_request};
use protocol::{Code, PublishAck, PublishTerms, Request, TopicOptions};

for_both_backends! {
    the_greeting_tells_version_and_limits,
    requests_may_follow_the_greeting_without_waiting,
    a_frame_may_come_a_byte_at_a_time,
    hundreds_of_requests_in_one_write_are_answered_in_order,
    requests_whose_answers_pass_the_output_limit_are_all_answered,
    any_correlation_id_may_be_chosen_and_chosen_again,
    a_publication_without_acknowledgement_is_not_answered,
    a_refused_publication_is_always_answered,
    a_batch_is_acknowledged_once,
    a_batch_is_published_whole_or_not_at_all,
    batches_of_several_publishers_do_not_mix,
    a_pull_tells_the_offset_of_its_first_message,
    a_large_batch_comes_back_whole,
    what_was_sent_before_the_client_stopped_sending_is_answered,
}

fn the_greeting_tells_version_and_limits(backend: Backend) {
    let limits = ["--message-bytes-max", "2048", "--frame-bytes-max", "131072"];
    let broker = BrokerProcess::start_with(backend, &limits);
    let (mut client, greeting) = NativeClient::greet(Connection::open(broker.address()));
    assert!(greeting.accepted);
    assert_eq!(greeting.version, VERSION);
    assert_eq!((greeting.frame_bytes_max, greeting.message_bytes_max), (131_072, 2048));
    assert_eq!(client.ping(), Ok(()));
}

fn requests_may_follow_the_greeting_without_waiting(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let mut bytes = client_greeting().to_vec();
    encode_request(&Request::Ping, 11, &mut bytes);
    encode_request(&Request::ListTopics, 12, &mut bytes);
    let mut connection = Connection::open(broker.address());
    connection.send(&bytes);
    let (mut client, greeting) = NativeClient::read_greeting(connection);
    assert!(greeting.accepted);
    assert_eq!(client.answer_to(11), Reply::Pong);
    assert_eq!(client.answer_to(12), Reply::Topics(vec![]));
}

fn a_frame_may_come_a_byte_at_a_time(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let mut client = NativeClient::connect(&broker);
    let mut bytes = Vec::new();
    let create = Request::Create { topic: "t".into(), options: TopicOptions::default() };
    encode_request(&create, 5, &mut bytes);
    encode_request(&Request::ListTopics, 6, &mut bytes);
    for byte in bytes {
        client.connection.send(&[byte]);
    }
    assert_eq!(client.answer_to(5), Reply::Done);
    assert_eq!(client.answer_to(6), Reply::Topics(vec!["t".to_owned()]));
}

fn hundreds_of_requests_in_one_write_are_answered_in_order(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let mut client = NativeClient::connect(&broker);
    client.create("t").expect("created");
    client.subscribe("t", "s").expect("subscribed");
    let count = 500u32;
    let mut bytes = Vec::new();
    for number in 0..count {
        let payload = number.to_le_bytes();
        let messages = protocol::Messages::One((&payload[..]).into());
        let ack = PublishAck::Wanted;
        let publish =
            Request::Publish { topic: "t".into(), messages, ack, terms: PublishTerms::default() };
        encode_request(&publish, 1000 + 2 * number, &mut bytes);
        let pull = Request::Pull { topic: "t".into(), subscriber: "s".into(), count_max: None };
        encode_request(&pull, 1001 + 2 * number, &mut bytes);
    }
    client.connection.send(&bytes);
    for number in 0..count {
        let base_offset = u64::from(number);
        let published = Reply::Published { base_offset, count: 1 };
        assert_eq!(client.answer_to(1000 + 2 * number), published);
        match client.answer_to(1001 + 2 * number) {
            Reply::Messages { base_offset: found, pulled } => {
                assert_eq!(found, base_offset);
                assert_eq!(pulled.messages, [number.to_le_bytes()]);
            }
            other => panic!("expected MESSAGES, found {other:?}"),
        }
    }
}

/// A broker that had stopped for its output limit once forgot what it had read and not handled.
fn requests_whose_answers_pass_the_output_limit_are_all_answered(backend: Backend) {
    let broker = BrokerProcess::start_with(backend, &["--output-bytes-max", "1024"]);
    let mut client = NativeClient::connect(&broker);
    let count = 2000u32;
    let mut bytes = Vec::new();
    for number in 0..count {
        encode_request(&Request::Ping, number, &mut bytes);
    }
    client.connection.send(&bytes);
    for number in 0..count {
        assert_eq!(client.answer_to(number), Reply::Pong);
    }
}

fn any_correlation_id_may_be_chosen_and_chosen_again(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let mut client = NativeClient::connect(&broker);
    for correlation in [0, u32::MAX, 7, 7, 0] {
        client.send_as(correlation, &Request::Ping);
        assert_eq!(client.answer_to(correlation), Reply::Pong);
    }
}

fn a_publication_without_acknowledgement_is_not_answered(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let mut client = NativeClient::connect(&broker);
    client.create("t").expect("created");
    client.subscribe("t", "s").expect("subscribed");
    client.send_batch("t", &["a", "b"], PublishAck::Unwanted);
    client.send_batch("t", &["c"], PublishAck::Unwanted);
    assert_eq!(client.ask(&Request::Ping), Reply::Pong, "nothing else was answered");
    assert_eq!(client.pull("t", "s").expect("messages").texts(), ["a", "b", "c"]);
}

fn a_refused_publication_is_always_answered(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let mut client = NativeClient::connect(&broker);
    let correlation = client.send_batch("nowhere", &["a"], PublishAck::Unwanted);
    assert_eq!(client.answer_to(correlation), Reply::Refused(Code::UnknownTopic));
}

fn a_batch_is_acknowledged_once(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let mut client = NativeClient::connect(&broker);
    client.create("t").expect("created");
    let correlation = client.send_batch("t", &["a", "b", "c"], PublishAck::Wanted);
    let reply = Reply::Published { base_offset: 0, count: 3 };
    assert_eq!(client.read(), Received { correlation, reply });
    assert_eq!(client.publish("t", "d"), Ok(3), "each message has an offset of its own");
    assert_eq!(client.info().expect("info").messages_in, 4);
}

fn a_batch_is_published_whole_or_not_at_all(backend: Backend) {
    let broker = BrokerProcess::start_with(backend, &["--message-bytes-max", "1024"]);
    let mut client = NativeClient::connect(&broker);
    client.create("t").expect("created");
    client.subscribe("t", "s").expect("subscribed");
    let messages = [vec![b'a'; 10], vec![b'b'; 1025], vec![b'c'; 10]];
    let correlation = client.send_batch("t", &messages, PublishAck::Wanted);
    assert_eq!(client.answer_to(correlation), Reply::Refused(Code::MessageTooLarge));
    // Two good records, and a third that claims more than there is.
    let body = b"\x01\0t\x03\0\0\0\x01\0\0\0a\x01\0\0\0b\x05\0\0\0c";
    client.connection.send(&frame_bytes(0x01, 1, 77, body));
    assert_eq!(client.answer_to(77), Reply::Refused(Code::MalformedFrame));
    assert_eq!(client.pull("t", "s").expect("messages").messages.len(), 0);
    assert_eq!(client.publish("t", "next"), Ok(0), "no offset was used up");
}

fn batches_of_several_publishers_do_not_mix(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let (topic, publishers, batches, batch_len) = ("t", 4, 50, 20);
    let mut client = NativeClient::connect(&broker);
    client.create(topic).expect("created");
    client.subscribe(topic, "s").expect("subscribed");
    std::thread::scope(|scope| {
        for publisher in 0..publishers {
            let mut client = NativeClient::connect(&broker);
            scope.spawn(move || {
                for batch in 0..batches {
                    let message = format!("{publisher} {batch}");
                    client.publish_batch(topic, &vec![message; batch_len]);
                }
            });
        }
    });
    let pulled = client.pull(topic, "s").expect("messages");
    assert_eq!(pulled.messages.len(), publishers * batches * batch_len);
    for batch in pulled.texts().chunks(batch_len) {
        assert!(batch.iter().all(|message| *message == batch[0]), "a mixed batch: {batch:?}");
    }
}

fn a_pull_tells_the_offset_of_its_first_message(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let mut client = NativeClient::connect(&broker);
    client.create("t").expect("created");
    client.subscribe("t", "s").expect("subscribed");
    client.publish_batch("t", &["a", "b", "c", "d", "e"]);
    for (expected, count) in [(0, 2), (2, 2), (4, 1)] {
        let request =
            Request::Pull { topic: "t".into(), subscriber: "s".into(), count_max: Some(2) };
        match client.ask(&request) {
            Reply::Messages { base_offset, pulled } => {
                assert_eq!((base_offset, pulled.messages.len()), (expected, count));
            }
            other => panic!("expected MESSAGES, found {other:?}"),
        }
    }
}

fn a_large_batch_comes_back_whole(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let mut client = NativeClient::connect(&broker);
    client.create("t").expect("created");
    client.subscribe("t", "s").expect("subscribed");
    let messages: Vec<Vec<u8>> = (0..40).map(|number| vec![number; 200_000]).collect();
    assert_eq!(client.publish_batch("t", &messages), 0);
    let pulled = client.pull("t", "s").expect("messages");
    assert!(pulled.messages == messages, "the messages are others");
}

fn what_was_sent_before_the_client_stopped_sending_is_answered(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let mut client = NativeClient::connect(&broker);
    let (first, second) = (client.send(&Request::Ping), client.send(&Request::ListTopics));
    client.connection.finish_sending();
    assert_eq!(client.answer_to(first), Reply::Pong);
    assert_eq!(client.answer_to(second), Reply::Topics(vec![]));
    client.connection.assert_ended();
}
