//! What a group was given in vain goes to a dead-letter topic, and tells where it comes from.

use conformance::{BrokerProcess, Headers, Host, Leased, Pulled, Speaks};
use conformance::{for_all_hosts_and_dialects, wait_until};
use protocol::{AckTerms, Code, Retention};

for_all_hosts_and_dialects! {
    what_is_given_back_too_often_goes_to_the_dead_letter_topic,
    what_is_never_acknowledged_goes_there_too,
    a_dead_letter_is_told_its_origin,
    a_group_names_its_dead_letter_topic,
    a_dead_letter_topic_that_exists_is_used_as_it_is,
    dead_letters_make_room_in_the_window,
    what_is_acknowledged_at_last_is_no_dead_letter,
    dead_letters_are_delivered_like_any_messages,
    dead_letters_of_dead_letters_tell_both_origins,
    a_name_that_no_topic_can_have_is_refused,
}

/// As many milliseconds as no test waits.
const NEVER_MS: u32 = 3_600_000;

/// Whose messages are dead when they were given back twice.
const TWICE: AckTerms<'static> = AckTerms {
    ack_timeout_ms: NEVER_MS,
    in_flight_max: 1000,
    deliveries_max: 2,
    backoff_ms_min: NEVER_MS,
    backoff_ms_max: NEVER_MS,
    dead_letter: None,
};

/// A broker with a topic `t` that holds `messages` and has a group `g`, and a client.
fn with_group<C: Speaks>(host: Host, acks: &AckTerms<'_>, messages: &[&str]) -> (BrokerProcess, C) {
    let broker = host.start();
    let mut client = C::connect(&broker);
    client.create("t").expect("created");
    assert_eq!(client.join("t", "g", acks), Ok(0));
    for message in messages {
        client.publish("t", message).expect("published");
    }
    (broker, client)
}

fn lease<C: Speaks>(client: &mut C) -> Leased {
    client.lease("t", "g", None).expect("a lease")
}

/// Takes messages that must be delivered for the time `deliveries`, and gives them back at once.
#[track_caller]
fn give_back<C: Speaks>(client: &mut C, offsets: &[u64], deliveries: u32) {
    let leased = lease(client);
    assert_eq!((&leased.offsets[..], leased.deliveries), (offsets, deliveries));
    assert_eq!(client.nack_offsets("t", "g", offsets, Some(0)), Ok(()));
}

/// Waits for `count` messages of `topic`, which may have to be made yet.
#[track_caller]
fn letters<C: Speaks>(client: &mut C, topic: &str, count: usize) -> Pulled {
    let mut all = Pulled::default();
    wait_until("dead letters", || {
        if client.subscribe(topic, "undertaker") == Err(Code::UnknownTopic) {
            return false;
        }
        let pulled = client.pull(topic, "undertaker").expect("messages");
        all.messages.extend(pulled.messages);
        all.headers.extend(pulled.headers);
        all.messages.len() >= count
    });
    all
}

fn header<'a>(headers: &'a Headers, key: &str) -> Vec<&'a str> {
    let found = headers.iter().filter(|(found, _)| found == key);
    found.map(|(_, value)| std::str::from_utf8(value).expect("text")).collect()
}

fn what_is_given_back_too_often_goes_to_the_dead_letter_topic<C: Speaks>(host: Host) {
    let (_broker, mut client) = with_group::<C>(host, &TWICE, &["a", "b", "c"]);
    give_back(&mut client, &[0, 1, 2], 1);
    assert_eq!(lease(&mut client).offsets, [0, 1, 2]);
    assert_eq!(client.nack_offsets("t", "g", &[0, 2], Some(0)), Ok(()));
    assert_eq!(letters(&mut client, "t.dead-letter", 2).texts(), ["a", "c"]);
    assert_eq!(client.nack_offsets("t", "g", &[0, 1, 2], Some(0)), Ok(()));
    assert_eq!(letters(&mut client, "t.dead-letter", 1).texts(), ["b"]);
    let leased = lease(&mut client);
    assert_eq!((leased.offsets.len(), leased.pulled.remaining), (0, 0), "all are done with");
}

fn what_is_never_acknowledged_goes_there_too<C: Speaks>(host: Host) {
    let acks = AckTerms { ack_timeout_ms: 50, deliveries_max: 1, ..TWICE };
    let (_broker, mut client) = with_group::<C>(host, &acks, &["a", "b"]);
    assert_eq!(lease(&mut client).offsets, [0, 1]);
    assert_eq!(letters(&mut client, "t.dead-letter", 2).texts(), ["a", "b"]);
}

fn a_dead_letter_is_told_its_origin<C: Speaks>(host: Host) {
    let (_broker, mut client) = with_group::<C>(host, &TWICE, &["a", "b"]);
    assert_eq!(lease(&mut client).offsets, [0, 1]);
    assert_eq!(client.ack_offsets("t", "g", &[0]), Ok(()));
    assert_eq!(client.nack_offsets("t", "g", &[1], Some(0)), Ok(()));
    give_back(&mut client, &[1], 2);
    let letters = letters(&mut client, "t.dead-letter", 1);
    assert_eq!(letters.texts(), ["b"]);
    for (key, expected) in [
        ("tandem.origin.topic", "t"),
        ("tandem.origin.offset", "1"),
        ("tandem.origin.subscription", "g"),
        ("tandem.origin.deliveries", "2"),
    ] {
        assert_eq!(header(&letters.headers[0], key), [expected], "{key}");
    }
    assert_eq!(letters.headers[0].len(), 4);
}

fn a_group_names_its_dead_letter_topic<C: Speaks>(host: Host) {
    let acks = AckTerms { dead_letter: Some("graves/é".into()), deliveries_max: 1, ..TWICE };
    let (_broker, mut client) = with_group::<C>(host, &acks, &["a"]);
    assert_eq!(client.topics().expect("topics"), ["t"], "it is made when it is needed");
    give_back(&mut client, &[0], 1);
    assert_eq!(letters(&mut client, "graves/é", 1).texts(), ["a"]);
    assert_eq!(client.topics().expect("topics"), ["graves/é", "t"]);
}

fn a_dead_letter_topic_that_exists_is_used_as_it_is<C: Speaks>(host: Host) {
    let acks = AckTerms { deliveries_max: 1, ..TWICE };
    let (_broker, mut client) = with_group::<C>(host, &acks, &["a", "b", "c"]);
    let retention = Retention { messages_max: Some(2), ..Retention::default() };
    client.create_with("t.dead-letter", retention).expect("created");
    assert_eq!(client.publish("t.dead-letter", "old"), Ok(0));
    assert_eq!(client.subscribe("t.dead-letter", "s"), Ok(()));
    give_back(&mut client, &[0, 1, 2], 1);
    let mut offset = 0;
    wait_until("three dead letters", || {
        let at = client.seek("t.dead-letter", "s", protocol::Start::Latest);
        offset = at.expect("an offset");
        offset == 4
    });
    assert_eq!(letters(&mut client, "t.dead-letter", 2).texts(), ["b", "c"], "the newest two");
}

fn dead_letters_make_room_in_the_window<C: Speaks>(host: Host) {
    let acks = AckTerms { deliveries_max: 1, in_flight_max: 2, ..TWICE };
    let (_broker, mut client) = with_group::<C>(host, &acks, &["a", "b", "c", "d"]);
    give_back(&mut client, &[0, 1], 1);
    let mut leased = Leased::default();
    wait_until("room in the window", || {
        leased = lease(&mut client);
        !leased.offsets.is_empty()
    });
    assert_eq!(leased.deliveries, 1);
    assert_eq!(leased.offsets[0], 2, "{leased:?}");
}

fn what_is_acknowledged_at_last_is_no_dead_letter<C: Speaks>(host: Host) {
    let (_broker, mut client) = with_group::<C>(host, &TWICE, &["a", "b"]);
    give_back(&mut client, &[0, 1], 1);
    assert_eq!(lease(&mut client).deliveries, 2);
    assert_eq!(client.ack_offsets("t", "g", &[0]), Ok(()));
    assert_eq!(client.nack_offsets("t", "g", &[0, 1], Some(0)), Ok(()));
    assert_eq!(letters(&mut client, "t.dead-letter", 1).texts(), ["b"]);
}

fn dead_letters_are_delivered_like_any_messages<C: Speaks>(host: Host) {
    let acks = AckTerms { deliveries_max: 1, ..TWICE };
    let (_broker, mut client) = with_group::<C>(host, &acks, &["a"]);
    client.create("t.dead-letter").expect("created");
    assert_eq!(client.join("t.dead-letter", "mourners", &TWICE), Ok(0));
    give_back(&mut client, &[0], 1);
    let mut leased = Leased::default();
    wait_until("the dead letter", || {
        leased = client.lease("t.dead-letter", "mourners", None).expect("a lease");
        !leased.offsets.is_empty()
    });
    assert_eq!((leased.texts(), leased.deliveries), (vec!["a"], 1));
    assert_eq!(header(&leased.pulled.headers[0], "tandem.origin.topic"), ["t"]);
    assert_eq!(client.ack_offsets("t.dead-letter", "mourners", &[0]), Ok(()));
}

fn dead_letters_of_dead_letters_tell_both_origins<C: Speaks>(host: Host) {
    let acks = AckTerms { deliveries_max: 1, ..TWICE };
    let (_broker, mut client) = with_group::<C>(host, &acks, &["a"]);
    client.create("t.dead-letter").expect("created");
    assert_eq!(client.join("t.dead-letter", "g", &acks), Ok(0));
    give_back(&mut client, &[0], 1);
    wait_until("the dead letter", || {
        let leased = client.lease("t.dead-letter", "g", None).expect("a lease");
        !leased.offsets.is_empty()
    });
    assert_eq!(client.nack_offsets("t.dead-letter", "g", &[0], Some(0)), Ok(()));
    let letters = letters(&mut client, "t.dead-letter.dead-letter", 1);
    let origins = header(&letters.headers[0], "tandem.origin.topic");
    // A JSON object has one value for a key: the last.
    assert!([&["t", "t.dead-letter"][..], &["t.dead-letter"]].contains(&&origins[..]));
}

fn a_name_that_no_topic_can_have_is_refused<C: Speaks>(host: Host) {
    let broker = host.start();
    let mut client = C::connect(&broker);
    client.create("t").expect("created");
    for (name, expected) in [
        ("a\u{7}b".to_owned(), Code::TopicNameControlCharacter),
        ("x".repeat(1025), Code::TopicNameTooLong),
    ] {
        let acks = AckTerms { dead_letter: Some(name.into()), ..TWICE };
        assert_eq!(client.join("t", "g", &acks), Err(expected));
    }
    assert_eq!(client.subscribers("t"), Ok(vec![]));
    // The name that is made of the topic's may be too long as well.
    let long = "x".repeat(1020);
    client.create(&long).expect("created");
    assert_eq!(client.join(&long, "g", &TWICE), Err(Code::TopicNameTooLong));
    let acks = AckTerms { dead_letter: Some("short".into()), ..TWICE };
    assert_eq!(client.join(&long, "g", &acks), Ok(0));
}
