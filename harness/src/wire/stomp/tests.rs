use super::*;
use crate::config::Config;
use crate::drivers::DriverKind;
use crate::message::Payloads;
use crate::wire::hold_requests;
use crate::wire::testing::{Peer, check_splits, check_stream, stamped, terms};
use proptest::prelude::*;

/// The driver is an example of how little one takes.
const LINES_MAX: usize = 200;

#[test]
fn rabbitmq_delivers_what_is_sent_to_it_by_stomp() {
    let config = "listeners.tcp = none\nstomp.listeners.tcp.1 = 127.0.0.1:{port}\n";
    let Some(peer) = Peer::start_rabbitmq(DriverKind::Stomp, "rabbitmq_stomp", config) else {
        return;
    };
    let driver = Stomp(peer.address());
    let mut number = 0;
    for confirmation in [Confirmation::Wanted, Confirmation::Unwanted] {
        for (topics, selection) in
            [(1, Selection::Names), (3, Selection::Names), (3, Selection::Wildcard)]
        {
            number += 1;
            let terms = terms(&format!("stream-{number}"), topics, Payloads::fixed(100));
            check_stream(&driver, &StreamTerms { confirmation, selection, ..terms }, 500);
        }
    }
    let topic = "topic";
    let publish = Request::Publish { topic, payload: b"x" };
    let publish = [Request::Create { topic }, publish, Request::Delete { topic }];
    hold_requests(peer.address(), driver.operator(0).as_mut(), publish).unwrap();
    let publish = [Request::Publish { topic: "/", payload: b"x" }];
    let error = hold_requests(peer.address(), driver.operator(0).as_mut(), publish).unwrap_err();
    assert_eq!(error.code(), "stomp_error");
}

/// What a subscriber and publisher in one would be told.
fn told(payloads: &Payloads) -> Vec<u8> {
    let mut told = b"CONNECTED\nversion:1.2\n\n\0\nRECEIPT\nreceipt-id:ready\n\n\0\n".to_vec();
    for sequence in 0..5 {
        let payload = stamped(payloads, sequence);
        told.extend_from_slice(b"MESSAGE\nsubscription:0\nreceipt:sent\ncontent-length:");
        told.extend_from_slice(format!("{}\n\n", payload.len()).as_bytes());
        told.extend_from_slice(&payload);
        told.extend_from_slice(b"\0\nRECEIPT\nreceipt-id:end\n\n\0");
    }
    told.extend_from_slice(b"\n\nERROR\nmessage:m\n\nit is full\0");
    told
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn any_split_of_what_a_broker_says_comes_to_the_same(
        splits in prop::collection::vec(any::<usize>(), 0..8),
    ) {
        let driver = Stomp("127.0.0.1:1".parse().unwrap());
        let payloads = Payloads::fixed(40);
        let terms = terms("stream", 1, payloads.clone());
        check_splits(|| driver.subscriber(&terms, 0), &terms, &told(&payloads), &splits);
    }

    #[test]
    fn nothing_that_a_broker_may_say_panics(told in "(A|MESSAGE|content-length|:|\n|\0|9|-){0,40}") {
        let driver = Stomp("127.0.0.1:1".parse().unwrap());
        let payloads = Payloads::fixed(40);
        let terms = terms("stream", 1, payloads.clone());
        check_splits(|| driver.subscriber(&terms, 0), &terms, told.as_bytes(), &[]);
    }
}

const GUIDE: &str = include_str!("../../../../docs/adding-a-broker.md");

/// The blocks of the guide in this language.
fn blocks(language: &str) -> Vec<&'static str> {
    let begin = format!("```{language}\n");
    GUIDE.split(begin.as_str()).skip(1).map(|rest| rest.split("```").next().unwrap()).collect()
}

#[test]
fn the_brokers_that_the_guide_configures_can_be_configured() {
    let stream =
        "[[streams]]\npublishers = 1\nsubscribers = 1\npayload_bytes = 100\nmessages = 1\n";
    for block in blocks("toml") {
        let parsed = Config::parse(&format!("name = \"guide\"\n{stream}{block}"));
        assert!(parsed.is_ok(), "{}\n{block}", parsed.unwrap_err());
    }
    assert!(!blocks("toml").is_empty());
}

/// The lines that the guide shows are lines of the driver.
#[test]
fn the_guide_shows_the_driver_as_it_is_and_it_is_short() {
    let source = include_str!("../stomp.rs");
    assert!(source.lines().count() < LINES_MAX, "{}", source.lines().count());
    for block in blocks("rust") {
        assert!(source.contains(block), "the guide shows what the driver does not have:\n{block}");
    }
    assert!(blocks("rust").len() >= 4, "{} blocks", blocks("rust").len());
}
