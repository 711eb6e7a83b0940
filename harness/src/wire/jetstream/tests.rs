use super::*;
use crate::drivers::DriverKind;
use crate::message::Payloads;
use crate::wire::testing::{Connected, Peer, check_splits, check_stream, stamped, terms};
use crate::wire::{Confirmation, Request, Selection, hold_requests};
use proptest::prelude::*;

fn nats_server() -> Option<Peer> {
    let config = "listen: \"127.0.0.1:{port}\"\njetstream { store_dir: \"{data_dir}\" }\n";
    Peer::start(DriverKind::JetStream, &["nats-server", "-c", "{config_file}"], Some(config))
}

#[test]
fn nats_delivers_what_its_streams_hold_whole_and_in_order() {
    let Some(peer) = nats_server() else { return };
    let mut number = 0;
    for storage in [Storage::Memory, Storage::File] {
        let driver = JetStream::new(peer.address(), storage);
        for confirmation in [Confirmation::Wanted, Confirmation::Unwanted] {
            for (topics, selection) in
                [(1, Selection::Names), (3, Selection::Names), (3, Selection::Wildcard)]
            {
                number += 1;
                let terms = terms(&format!("stream-{number}"), topics, Payloads::fixed(100));
                let terms = StreamTerms { confirmation, selection, ..terms };
                // More than a window, so that more is asked for.
                check_stream(&driver, &terms, 3000);
            }
        }
    }
}

#[test]
fn nats_carries_large_payloads_and_such_of_many_sizes() {
    let Some(peer) = nats_server() else { return };
    let driver = JetStream::new(peer.address(), Storage::Memory);
    check_stream(&driver, &terms("large", 1, Payloads::fixed(500_000)), 20);
    check_stream(&driver, &terms("cycle", 1, Payloads::cycle(vec![32, 9000, 100])), 500);
}

#[test]
fn nats_grants_every_operation() {
    let Some(peer) = nats_server() else { return };
    let driver = JetStream::new(peer.address(), Storage::Memory);
    let (topic, subscriber) = ("topic", "subscriber");
    let requests = [
        Request::Create { topic },
        Request::Publish { topic, payload: b"x" },
        Request::Subscribe { topic, subscriber },
        Request::Pull { topic, subscriber },
        Request::Pull { topic, subscriber },
        Request::Delete { topic },
    ];
    hold_requests(peer.address(), driver.operator(0).as_mut(), requests).unwrap();
    let requests = [Request::Publish { topic, payload: b"x" }];
    let error = hold_requests(peer.address(), driver.operator(0).as_mut(), requests).unwrap_err();
    assert_eq!(error.code(), "nats_503");
}

#[test]
fn a_publication_that_the_stream_has_no_room_for_is_a_refusal() {
    let Some(peer) = nats_server() else { return };
    let driver = JetStream::new(peer.address(), Storage::Memory);
    // Nothing holds what is published to it.
    let terms = terms("nowhere", 1, Payloads::fixed(100));
    let publisher = driver.publisher(&terms, 0);
    let mut connected = Connected::open(peer.address(), publisher, &terms, 0).unwrap();
    let error = connected.publish_all(&terms, 0, 1).unwrap_err();
    assert!(error.is_refusal() && error.code() == "nats_503", "{error}");
}

#[test]
fn a_server_without_jetstream_is_told_apart() {
    let config = "listen: \"127.0.0.1:{port}\"\n";
    let Some(peer) =
        Peer::start(DriverKind::JetStream, &["nats-server", "-c", "{config_file}"], Some(config))
    else {
        return;
    };
    let driver = JetStream::new(peer.address(), Storage::Memory);
    let terms = terms("stream", 1, Payloads::fixed(100));
    let publisher = driver.publisher(&terms, 0);
    let error = Connected::open(peer.address(), publisher, &terms, 0).map(|_| ()).unwrap_err();
    assert!(error.to_string().contains("JetStream"), "{error}");
}

const INFO: &str = "INFO {\"headers\":true,\"jetstream\":true} \r\n";

fn line(subscription: u32, payload: &str) -> String {
    format!("MSG _INBOX.x {subscription}  {}\r\n{payload}\r\n", payload.len())
}

/// What a subscriber is told: its consumer is there, and five messages.
fn told_subscriber(payloads: &Payloads) -> Vec<u8> {
    let mut told = INFO.as_bytes().to_vec();
    told.extend_from_slice(line(ANSWERS, "{\"type\":\"created\"}").as_bytes());
    for sequence in 0..5 {
        let payload = stamped(payloads, sequence);
        let head = format!("MSG t 2 $JS.ACK.s.c.1.1.1.1.0 {}\r\n", payload.len());
        told.extend_from_slice(head.as_bytes());
        told.extend_from_slice(&payload);
        told.extend_from_slice(b"\r\nPING\r\n");
    }
    told
}

/// What a publisher of three publications of one message is told.
fn told_publisher() -> Vec<u8> {
    let refusal = "{\"error\":{\"code\":400,\"err_code\":10060},\"stream\":\"s\",\"seq\":0}";
    let ack = line(ANSWERS, "{\"stream\":\"s\", \"seq\":1}");
    [INFO, "PONG\r\n", &ack.repeat(3), &line(2, refusal)].concat().into_bytes()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn any_split_of_what_a_server_says_comes_to_the_same(
        splits in prop::collection::vec(any::<usize>(), 0..8),
    ) {
        let driver = JetStream::new("127.0.0.1:1".parse().unwrap(), Storage::Memory);
        let payloads = Payloads::fixed(40);
        let terms = terms("stream", 1, payloads.clone());
        let subscriber = || driver.subscriber(&terms, 0);
        check_splits(subscriber, &terms, &told_subscriber(&payloads), &splits);
        let publisher = || {
            let mut publisher = JetStreamPublisher::new(&terms, 0);
            publisher.expect_publications(3);
            Box::new(publisher)
        };
        check_splits(publisher, &terms, &told_publisher(), &splits);
    }

    #[test]
    fn nothing_that_a_server_may_say_panics(told in prop::collection::vec(any::<u8>(), 0..200)) {
        let driver = JetStream::new("127.0.0.1:1".parse().unwrap(), Storage::Memory);
        let payloads = Payloads::fixed(40);
        let terms = terms("stream", 1, payloads.clone());
        check_splits(|| driver.subscriber(&terms, 0), &terms, &told, &[]);
    }
}
