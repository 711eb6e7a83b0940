//! The session alone: bytes in, events out, and what becomes of requests between connections.

use client_api::session::{Event, Session};
use client_api::{
    AckTerms, Code, Error, IdempotentPublisher, OffsetRange, Options, PushTerms, Refusal,
    SubscriberId, SubscriptionId, Verdict,
};
use proptest::collection::vec;
use proptest::prelude::*;
use protocol::native::{
    BrokerGreeting, CLIENT_GREETING_BYTES, FrameDecoder, FrameStep, VERSION, client_greeting,
    decode_request, encode_broker_greeting, encode_response,
};
use protocol::{BatchBuilder, Messages, PublishAck, Request, Response};
use std::time::{Duration, Instant};

fn greeting_bytes() -> Vec<u8> {
    let mut bytes = Vec::new();
    let greeting = BrokerGreeting {
        version: VERSION,
        accepted: true,
        frame_bytes_max: 1 << 24,
        message_bytes_max: 1 << 20,
    };
    encode_broker_greeting(greeting, &mut bytes);
    bytes
}

/// Hands `bytes` to the session as reads of any size would.
fn receive(session: &mut Session, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        let space = session.input_space();
        let taken = space.len().min(bytes.len());
        space[..taken].copy_from_slice(&bytes[..taken]);
        session.handle_input(taken);
        bytes = &bytes[taken..];
    }
}

/// Whether delivered records are looked at where they are or taken out of the buffer.
#[derive(Clone, Copy, Debug)]
enum Records {
    Borrowed,
    Taken,
}

/// All events there are, in the words of `Debug`; the end of the connection is one.
fn events(session: &mut Session, records: Records) -> Vec<String> {
    let mut found = Vec::new();
    loop {
        match session.poll_event() {
            Ok(None) => return found,
            Ok(Some(event)) => {
                let delivered = matches!(event, Event::Delivered { .. });
                found.push(format!("{event:?}"));
                if delivered {
                    found.push(match records {
                        Records::Borrowed => format!("{:?}", session.records()),
                        Records::Taken => format!("{:?}", &session.take_records()[..]),
                    });
                }
            }
            Err(error) => {
                found.push(format!("{error:?}"));
                session.handle_disconnected("broken");
            }
        }
    }
}

fn open_session(now: Instant) -> Session {
    let mut session = Session::new(&Options::default());
    session.handle_connected(now);
    receive(&mut session, &greeting_bytes());
    assert_eq!(events(&mut session, Records::Borrowed), ["Greeted"]);
    session
}

/// One thing that the broker says to a session that asked as [`asked_session`] does.
#[derive(Clone, Debug)]
enum Said {
    Deliver(Vec<Vec<u8>>),
    Lost(u64),
    Answer,
}

fn said() -> impl Strategy<Value = Said> {
    prop_oneof![
        4 => vec(vec(any::<u8>(), 0..900), 0..20).prop_map(Said::Deliver),
        1 => any::<u64>().prop_map(Said::Lost),
        3 => Just(Said::Answer),
    ]
}

/// A session with a push subscription under number 1, and a publication, a pull, a ping and a
/// doubtful request waiting under the numbers that follow.
fn asked_session(now: Instant) -> Session {
    let mut session = open_session(now);
    let (topic, subscriber) = ("News", SubscriberId::from("sid"));
    session.handle_attach(topic, &subscriber, PushTerms::default(), now).expect("asked");
    session.handle_publish(topic, ["hello"], None, now).expect("asked");
    let pull = Request::Pull { topic: topic.into(), subscriber: "sid".into(), count_max: None };
    for request in [pull, Request::Ping, Request::Delete { topic: topic.into() }] {
        session.handle_request(&request, now).expect("asked");
    }
    session
}

fn encode(said: &[Said]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut pulled = BatchBuilder::new();
    pulled.push(&[7; 4000]).expect("small");
    let refusal = Refusal::new(Code::UnknownTopic, "no News");
    let answers = [
        Response::Subscribed { next_offset: 3 },
        Response::Published { base_offset: 8, count: 1 },
        Response::Messages { base_offset: 0, lost: 1, remaining: 2, batch: pulled.batch() },
        Response::Pong,
        Response::Refused(refusal),
    ];
    let mut answers = (1u32..).zip(&answers);
    for one in said {
        match one {
            Said::Deliver(payloads) => {
                let mut builder = BatchBuilder::new();
                for payload in payloads {
                    builder.push(payload).expect("small");
                }
                let deliver = Response::Deliver { base_offset: 5, batch: builder.batch() };
                encode_response(&deliver, 1, &mut bytes);
            }
            Said::Lost(count) => {
                encode_response(&Response::Lost { count: *count, next_offset: 9 }, 1, &mut bytes);
            }
            Said::Answer => {
                if let Some((correlation, answer)) = answers.next() {
                    encode_response(answer, correlation, &mut bytes);
                }
            }
        }
    }
    bytes
}

proptest! {
    #[test]
    fn the_events_are_the_same_however_the_bytes_are_cut(
        said in vec(said(), 0..24),
        cuts in vec(0usize..1_000_000, 0..16),
    ) {
        let now = Instant::now();
        let bytes = encode(&said);
        let mut session = asked_session(now);
        receive(&mut session, &bytes);
        let whole = events(&mut session, Records::Borrowed);

        let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut % (bytes.len() + 1)).collect();
        cuts.sort_unstable();
        for records in [Records::Borrowed, Records::Taken] {
            let mut session = asked_session(now);
            let (mut found, mut start) = (Vec::new(), 0);
            for end in cuts.iter().copied().chain([bytes.len()]) {
                receive(&mut session, &bytes[start..end]);
                found.extend(events(&mut session, records));
                start = end;
            }
            prop_assert_eq!(&found, &whole);
        }
    }

    #[test]
    fn no_bytes_make_a_session_panic(
        greeted: bool,
        bytes in vec(prop_oneof![3 => 0u8..16, 1 => any::<u8>()], 0..300),
    ) {
        let now = Instant::now();
        let mut session = Session::new(&Options::default());
        session.handle_connected(now);
        if greeted {
            session = asked_session(now);
        }
        receive(&mut session, &bytes);
        events(&mut session, Records::Taken);
    }

    #[test]
    fn no_publication_is_repeated_or_forgotten_wherever_the_connection_ends(
        sizes in vec((0usize..600, any::<bool>(), any::<bool>()), 1..30),
        written_parts in vec(1usize..2500, 0..6),
    ) {
        let now = Instant::now();
        let mut session = open_session(now);
        let mut wanted = 0;
        for (index, (size, acked, ping)) in sizes.iter().enumerate() {
            let payload = [&(index as u32).to_le_bytes()[..], &vec![0; *size]].concat();
            if *acked {
                session.handle_publish("News", [&payload], None, now).expect("asked");
                wanted += 1;
            } else {
                session.handle_publish_unacked("News", &payload).expect("asked");
            }
            if *ping {
                session.handle_request(&Request::Ping, now).expect("asked");
            }
        }
        let first = write(&mut session, &written_parts);
        session.handle_disconnected("cut");
        let failed = events(&mut session, Records::Taken);
        session.handle_connected(now);
        receive(&mut session, &greeting_bytes());
        events(&mut session, Records::Taken);
        let second = write(&mut session, &[]);

        let (sent_first, sent_second) = (published(&first), published(&second));
        let numbers: Vec<_> = sent_first.iter().chain(&sent_second).map(|sent| sent.0).collect();
        prop_assert_eq!(numbers, (0..sizes.len() as u32).collect::<Vec<_>>());
        let unknown = sent_first.iter().filter(|sent| sent.1 == PublishAck::Wanted).count();
        prop_assert_eq!(failed.len(), unknown);
        prop_assert!(failed.iter().all(|event| event.contains("Indeterminate")));
        let again = sent_second.iter().filter(|sent| sent.1 == PublishAck::Wanted).count();
        prop_assert_eq!(again, wanted - unknown);
        let pings = sizes.iter().filter(|(_, _, ping)| *ping).count();
        prop_assert_eq!(session.in_flight(), again + pings, "each ping is asked again");
    }
}

proptest! {
    #[test]
    fn an_idempotent_publisher_repeats_what_was_not_answered_wherever_the_connection_ends(
        sizes in vec(0usize..600, 1..40),
        written_parts in vec(1usize..2500, 0..6),
        answered in 0usize..40,
    ) {
        let now = Instant::now();
        let mut session = open_session(now);
        let mut publisher = IdempotentPublisher::new("News");
        for (index, size) in sizes.iter().enumerate() {
            let payload = [&(index as u32).to_le_bytes()[..], &vec![0; *size]].concat();
            session.handle_publish_idempotent(&mut publisher, [&payload], now).expect("asked");
        }
        let sent_first = sequenced(&write(&mut session, &written_parts));
        let answered = answered.min(sent_first.len());
        for (correlation, _) in &sent_first[..answered] {
            let mut bytes = Vec::new();
            let published = Response::Published { base_offset: 0, count: 1 };
            encode_response(&published, *correlation, &mut bytes);
            receive(&mut session, &bytes);
        }
        prop_assert_eq!(events(&mut session, Records::Taken).len(), answered);
        session.handle_disconnected("cut");
        prop_assert_eq!(events(&mut session, Records::Taken).len(), 0, "nothing is in doubt");
        session.handle_connected(now);
        receive(&mut session, &greeting_bytes());
        events(&mut session, Records::Taken);
        let sent_second = sequenced(&write(&mut session, &[]));
        let numbers: Vec<u64> = sent_second.iter().map(|sent| sent.1).collect();
        prop_assert_eq!(numbers, (answered as u64..sizes.len() as u64).collect::<Vec<_>>());
    }
}

/// The correlation ids and sequence numbers of the publications in whole frames, each of which
/// holds the message that its number says.
fn sequenced(bytes: &[u8]) -> Vec<(u32, u64)> {
    let mut found = Vec::new();
    for_each_request(bytes, |correlation, request| {
        let Request::Publish { messages: Messages::Batch(batch), terms, .. } = request else {
            panic!("expected publications only, found {request:?}");
        };
        let sequence = terms.sequence.expect("a number").sequence;
        let payload = batch.payloads().next().expect("a message");
        let number = payload.first_chunk::<4>().expect("numbered");
        assert_eq!(u64::from(u32::from_le_bytes(*number)), sequence, "a number is one message's");
        found.push((correlation, sequence));
    });
    found
}

#[test]
fn an_idempotent_publisher_has_no_more_in_flight_than_the_broker_knows_again() {
    let now = Instant::now();
    let mut session = open_session(now);
    let mut publisher = IdempotentPublisher::new("News");
    for _ in 0..64 {
        session.handle_publish_idempotent(&mut publisher, ["m"], now).expect("asked");
    }
    assert!(!session.has_room_for(&publisher));
    let error = session.handle_publish_idempotent(&mut publisher, ["m"], now);
    assert!(matches!(error, Err(Error::InvalidRequest { .. })), "{error:?}");
    assert_eq!(publisher.next_sequence(), 64, "no number is taken");
    let mut other = IdempotentPublisher::new("News");
    session.handle_publish_idempotent(&mut other, ["m"], now).expect("another has room");
}

#[test]
fn a_publication_that_no_one_waits_for_any_more_is_repeated_all_the_same() {
    let now = Instant::now();
    let mut session = open_session(now);
    let mut publisher = IdempotentPublisher::new("News");
    for number in 0u32..2 {
        let payload = number.to_le_bytes();
        session.handle_publish_idempotent(&mut publisher, [payload], now).expect("asked");
    }
    write(&mut session, &[]);
    session.handle_time(now + Duration::from_secs(3600));
    assert!(events(&mut session, Records::Taken).iter().all(|event| event.contains("Timeout")));
    session.handle_disconnected("cut");
    session.handle_connected(now);
    receive(&mut session, &greeting_bytes());
    events(&mut session, Records::Taken);
    assert_eq!(sequenced(&write(&mut session, &[])).len(), 2);
    session.handle_gave_up("gone");
    assert_eq!(events(&mut session, Records::Taken), [""; 0], "they were told before");
}

#[test]
fn a_publication_that_may_have_been_done_is_in_doubt_when_the_session_gives_up() {
    let now = Instant::now();
    let mut session = open_session(now);
    let mut publisher = IdempotentPublisher::new("News");
    session.handle_publish_idempotent(&mut publisher, ["written"], now).expect("asked");
    write(&mut session, &[]);
    session.handle_publish_idempotent(&mut publisher, ["not written"], now).expect("asked");
    session.handle_gave_up("gone");
    let found = events(&mut session, Records::Taken);
    assert!(found[0].contains("Indeterminate") && found[1].contains("Disconnected"), "{found:?}");
}

/// A session with a push subscription under number 1 whose messages are acknowledged individually.
fn group_session(now: Instant) -> (Session, SubscriptionId) {
    let mut session = open_session(now);
    let terms = PushTerms::new().acks(AckTerms::new());
    let subscriber = SubscriberId::from("group");
    let (subscription, _) = session.handle_attach("News", &subscriber, terms, now).expect("asked");
    let mut bytes = Vec::new();
    encode_response(&Response::Subscribed { next_offset: 0 }, 1, &mut bytes);
    receive(&mut session, &bytes);
    events(&mut session, Records::Taken);
    write(&mut session, &[]);
    (session, subscription)
}

#[test]
fn what_became_of_many_messages_is_told_in_few_ranges() {
    let now = Instant::now();
    let (mut session, subscription) = group_session(now);
    for offset in [0, 1, 2, 5, 4, 9] {
        session.handle_ack(subscription, offset);
    }
    let later = Verdict::Nack { delay_ms: Some(10) };
    session.handle_settle(subscription, OffsetRange::one(3), later);
    session.handle_settle(subscription, OffsetRange { first: 6, count: 2 }, later);
    session.handle_settle(subscription, OffsetRange { first: 7, count: 0 }, Verdict::Ack);
    let mut told = Vec::new();
    for_each_request(&write(&mut session, &[]), |_, request| match request {
        Request::Settle { ranges, verdict, .. } => {
            let ranges: Vec<_> = ranges.iter().map(|range| (range.first, range.count)).collect();
            told.push((ranges, verdict));
        }
        other => panic!("expected what was settled, found {other:?}"),
    });
    let acked = vec![(0, 3), (4, 2), (9, 1)];
    assert_eq!(told, [(acked, Verdict::Ack), (vec![(3, 1), (6, 2)], later)]);
}

#[test]
fn a_confirmed_acknowledgement_is_asked_again_and_a_negative_one_is_not() {
    let now = Instant::now();
    let (mut session, subscription) = group_session(now);
    let nack = Verdict::Nack { delay_ms: None };
    for verdict in [Verdict::Ack, nack] {
        let range = [OffsetRange::one(7)];
        session.handle_settle_confirmed(subscription, &range, verdict, now).expect("asked");
    }
    session.handle_ack(subscription, 8);
    write(&mut session, &[]);
    session.handle_ack(subscription, 9);
    session.handle_disconnected("cut");
    let failed = events(&mut session, Records::Taken);
    assert!(failed.len() == 1 && failed[0].contains("Indeterminate"), "{failed:?}");
    session.handle_connected(now);
    receive(&mut session, &greeting_bytes());
    events(&mut session, Records::Taken);
    let mut asked = Vec::new();
    let sent = write(&mut session, &[]);
    for_each_request(&sent, |_, request| asked.push(format!("{request:?}")));
    assert_eq!(asked.len(), 2, "{asked:?}");
    assert!(asked[0].starts_with("Subscribe") && asked[1].contains("first: 7"), "{asked:?}");
}

/// Takes output as a socket with little room would; all of it where `parts` is empty.
fn write(session: &mut Session, parts: &[usize]) -> Vec<u8> {
    let mut written = Vec::new();
    let all = [usize::MAX];
    for part in if parts.is_empty() { &all[..] } else { parts } {
        loop {
            let output = session.poll_output();
            let taken = output.len().min(*part);
            written.extend_from_slice(&output[..taken]);
            session.handle_written(taken);
            // After the greeting there is more.
            if *part != usize::MAX || taken == 0 {
                break;
            }
        }
    }
    written
}

/// The numbers of the messages published in whole frames, and how.
fn published(bytes: &[u8]) -> Vec<(u32, PublishAck)> {
    let mut found = Vec::new();
    for_each_request(bytes, |_, request| {
        if let Request::Publish { messages: Messages::Batch(batch), ack, .. } = request {
            for payload in batch.payloads() {
                let number = payload.first_chunk::<4>().expect("numbered");
                found.push((u32::from_le_bytes(*number), ack));
            }
        }
    });
    found
}

/// Shows the requests in whole frames, after the greeting where there is one.
fn for_each_request(bytes: &[u8], mut look: impl FnMut(u32, Request<'_>)) {
    let mut rest = bytes.strip_prefix(&client_greeting()).unwrap_or(bytes);
    let mut decoder = FrameDecoder::new(1 << 24);
    while let FrameStep::Frame { consumed, frame } = decoder.next(rest) {
        let request = decode_request(frame, 1 << 20).expect("a session encodes what decodes");
        look(frame.correlation, request);
        rest = &rest[consumed..];
    }
}

#[test]
fn a_broker_that_refuses_before_it_heard_anything_is_quoted() {
    let mut session = Session::new(&Options::default());
    session.handle_connected(Instant::now());
    let refusal = Refusal::new(Code::LimitReached, "expected fewer connections");
    let mut line = Vec::new();
    protocol::json::encode_refusal(&refusal, &mut line);
    receive(&mut session, &line[..5]);
    assert!(session.poll_event().expect("not known yet").is_none());
    receive(&mut session, &line[5..]);
    let error = session.poll_event().expect_err("refused");
    assert_eq!(error.code(), Some(Code::LimitReached), "{error}");
}

#[test]
fn only_the_greeting_is_written_before_the_broker_accepts() {
    let now = Instant::now();
    let mut session = Session::new(&Options::default());
    session.handle_request(&Request::Ping, now).expect("asked");
    session.handle_connected(now);
    assert_eq!(session.poll_output().len(), CLIENT_GREETING_BYTES);
    session.handle_written(CLIENT_GREETING_BYTES);
    assert!(session.poll_output().is_empty());
    receive(&mut session, &greeting_bytes());
    events(&mut session, Records::Borrowed);
    assert_eq!(session.poll_output().len(), protocol::native::FRAME_HEADER_BYTES);
}
