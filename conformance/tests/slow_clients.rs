//! Slow clients: they cost the broker no more than its limits say, and their neighbours nothing.

use conformance::{Backend, BrokerProcess, Connection, JsonClient, NativeClient, PUSH, Reply};
use conformance::{Speaks, for_both_backends, frame_bytes};
use protocol::native::client_greeting;
use protocol::{Code, LagPolicy, Push};
use std::thread;
use std::time::{Duration, Instant};

for_both_backends! {
    a_subscriber_that_stops_reading_costs_no_more_memory_than_its_topic,
    a_client_that_never_reads_its_answers_costs_bounded_memory,
    a_line_that_trickles_in_is_cut_off_and_told,
    a_frame_that_trickles_in_is_cut_off_and_told,
    a_greeting_that_trickles_in_is_cut_off_and_told,
    a_slow_client_that_finishes_each_request_in_time_stays,
    without_a_limit_a_request_may_take_its_time,
}

/// What the broker's memory may grow by besides what its topics hold: the buffers of a few
/// connections, and what the allocator keeps.
const ALLOWANCE_BYTES: u64 = 16 << 20;

/// The kind of frame that asks for the topics.
const LIST_TOPICS: u8 = 0x0A;

/// How long a trickling client waits for an answer before it sends its next byte.
const TRICKLE_EVERY: Duration = Duration::from_millis(10);

fn a_subscriber_that_stops_reading_costs_no_more_memory_than_its_topic(backend: Backend) {
    let (topic_bytes_max, published_bytes, message_bytes) = (8 << 20, 96 << 20, 64 << 10);
    let flags = ["--message-bytes-max", "1MiB", "--topic-bytes-max", "8MiB"];
    let flags = [&flags[..], &["--publisher-hold-ms-max", "100"]].concat();
    let broker = BrokerProcess::start_with(backend, &flags);
    let mut publisher = NativeClient::connect(&broker);
    publisher.create("t").expect("created");
    let mut stopped = NativeClient::connect(&broker);
    stopped.attach("t", "stopped", PUSH);
    let mut reading = NativeClient::connect(&broker);
    let push = Push { lag_policy: LagPolicy::Hold, ..PUSH };
    let (subscription, _) = reading.attach("t", "reading", push);
    let before = broker.resident_bytes();
    let count = published_bytes / message_bytes;
    thread::scope(|scope| {
        scope.spawn(|| {
            let batch = vec![vec![b'x'; message_bytes]; 8];
            for _ in 0..count / batch.len() {
                publisher.publish_batch("t", &batch);
            }
        });
        let mut read = 0;
        while read < count {
            read += reading.delivered(subscription).messages.len();
        }
        assert_eq!(read, count, "the other subscriber gets every message");
    });
    let grown = broker.resident_bytes().saturating_sub(before);
    assert!(
        grown <= topic_bytes_max + ALLOWANCE_BYTES,
        "expected at most {topic_bytes_max} bytes and an allowance of {ALLOWANCE_BYTES}, found {grown}"
    );
    assert_eq!(reading.ping(), Ok(()));
    drop(stopped);
}

fn a_client_that_never_reads_its_answers_costs_bounded_memory(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let mut other = JsonClient::connect(&broker);
    for topic in 0..200 {
        other.create(&format!("{topic:0>1000}")).expect("created");
    }
    let mut silent = NativeClient::connect(&broker);
    let before = broker.resident_bytes();
    // Few enough bytes to be on their way at once, and answered with 200 KB each.
    silent.connection.send(&frame_bytes(LIST_TOPICS, 0, 7, b"").repeat(2000));
    let started = Instant::now();
    while started.elapsed() < Duration::from_millis(500) {
        assert_eq!(other.ping(), Ok(()), "others are served meanwhile");
        let grown = broker.resident_bytes().saturating_sub(before);
        assert!(grown <= ALLOWANCE_BYTES, "expected at most {ALLOWANCE_BYTES}, found {grown}");
    }
    assert!(matches!(silent.answer_to(7), Reply::Topics(topics) if topics.len() == 200));
}

/// Sends `bytes` one after the other until something is answered, while another client is served.
/// Its time is up before the bytes are.
#[track_caller]
fn trickle(broker: &BrokerProcess, connection: &mut Connection, bytes: &[u8]) {
    let mut other = JsonClient::connect(broker);
    for byte in bytes {
        // Fails when the broker has told and closed already.
        let _ = connection.try_send(&[*byte]);
        assert_eq!(other.ping(), Ok(()), "others are served meanwhile");
        if connection.receive_within(TRICKLE_EVERY) {
            return;
        }
    }
    panic!("expected an answer before the last of {} bytes", bytes.len());
}

fn a_line_that_trickles_in_is_cut_off_and_told(backend: Backend) {
    let broker = BrokerProcess::start_with(backend, &["--request-ms-max", "200"]);
    let mut client = JsonClient::connect(&broker);
    assert_eq!(client.ping(), Ok(()));
    let line = format!("{{\"command\":\"PING\",\"pad\":\"{}\"", "x".repeat(2000));
    trickle(&broker, &mut client.connection, line.as_bytes());
    assert_eq!(client.closing_refusal(), Code::RequestTimeout);
}

fn a_frame_that_trickles_in_is_cut_off_and_told(backend: Backend) {
    let broker = BrokerProcess::start_with(backend, &["--request-ms-max", "200"]);
    let mut client = NativeClient::connect(&broker);
    assert_eq!(client.ping(), Ok(()));
    let frame = frame_bytes(0x01, 1, 7, &[b'x'; 2000]);
    trickle(&broker, &mut client.connection, &frame);
    assert_eq!(client.closing_refusal(), Code::RequestTimeout);
}

fn a_greeting_that_trickles_in_is_cut_off_and_told(backend: Backend) {
    let broker = BrokerProcess::start_with(backend, &["--request-ms-max", "50"]);
    let mut connection = Connection::open(broker.address());
    connection.send(&client_greeting()[..4]);
    let (mut client, greeting) = NativeClient::read_greeting(connection);
    assert!(!greeting.accepted);
    assert_eq!(client.closing_refusal(), Code::RequestTimeout);
}

fn a_slow_client_that_finishes_each_request_in_time_stays(backend: Backend) {
    let broker = BrokerProcess::start_with(backend, &["--request-ms-max", "1000"]);
    let mut client = JsonClient::connect(&broker);
    let started = Instant::now();
    let (head, tail) = b"{\"command\":\"PING\"}\n".split_at(7);
    // Each request takes a small part of its time; all of them take longer than one may.
    while started.elapsed() < Duration::from_millis(1500) {
        client.connection.send(head);
        assert!(!client.connection.receive_within(TRICKLE_EVERY), "an answer to half a request");
        client.connection.send(tail);
        client.read_answer().expect("an answer to each");
    }
}

fn without_a_limit_a_request_may_take_its_time(backend: Backend) {
    let broker = BrokerProcess::start_with(backend, &["--request-ms-max", "0"]);
    let mut client = JsonClient::connect(&broker);
    for byte in b"{\"command\":\"PING\"}" {
        client.connection.send(&[*byte]);
        assert!(!client.connection.receive_within(TRICKLE_EVERY));
    }
    client.connection.send(b"\n");
    client.read_answer().expect("an answer");
}
