//! Each wrong frame is refused with its own code under its own correlation id; the connection
//! goes on wherever the next frame can be found, and else is told why it is closed.

use conformance::{Backend, BrokerProcess, NativeClient, Reply, Speaks};
use conformance::{for_both_backends, frame_bytes};
use protocol::{Code, Request};

for_both_backends! {
    a_kind_that_is_not_known_is_named,
    a_body_that_its_kind_does_not_take_is_malformed,
    flags_that_a_kind_does_not_have_are_malformed,
    a_batch_that_is_not_what_it_says_is_malformed,
    text_that_is_not_utf8_is_told_so,
    a_lag_policy_that_is_not_known_is_told,
    a_frame_over_its_limit_is_refused_and_passed_over,
    a_frame_that_ends_before_its_header_closes_the_connection,
    reserved_bytes_of_a_frame_must_be_zero,
    what_was_asked_before_the_stream_broke_is_answered,
}

/// Each frame is refused with `expected`, and the connection answers what comes after it.
fn check(backend: Backend, expected: Code, frames: &[(u8, u8, &[u8])]) {
    let broker = BrokerProcess::start(backend);
    let mut client = NativeClient::connect(&broker);
    client.create("t").expect("created");
    for (correlation, (kind, flags, body)) in (9000..).zip(frames) {
        client.connection.send(&frame_bytes(*kind, *flags, correlation, body));
        let reply = client.answer_to(correlation);
        assert_eq!(reply, Reply::Refused(expected), "{kind:#04x} {flags} {body:02x?}");
        assert_eq!(client.ping(), Ok(()), "after {kind:#04x} {flags} {body:02x?}");
    }
    assert_eq!(client.topics().expect("topics"), ["t"], "nothing was done");
    let info = client.info().expect("info");
    assert_eq!((info.messages_in, info.subscriptions), (0, 0), "nothing was done");
}

/// The connection is told `expected` in an ERROR frame, and closed.
fn check_closed(backend: Backend, expected: Code, bytes: &[u8]) {
    let broker = BrokerProcess::start(backend);
    let mut client = NativeClient::connect(&broker);
    client.connection.send(bytes);
    assert_eq!(client.closing_refusal(), expected);
    assert_eq!(NativeClient::connect(&broker).ping(), Ok(()), "others go on");
}

fn a_kind_that_is_not_known_is_named(backend: Backend) {
    let frames: [(u8, u8, &[u8]); 5] =
        [(0x00, 0, b""), (0x11, 0, b""), (0x7F, 0, b"body"), (0x80, 0, b""), (0xFF, 0, b"")];
    check(backend, Code::UnknownCommand, &frames);
}

fn a_body_that_its_kind_does_not_take_is_malformed(backend: Backend) {
    let create = [&b"\x01\0u"[..], &[0; 26]].concat();
    let too_long = [&create[..], &[0]].concat();
    let frames: [(u8, u8, &[u8]); 19] = [
        (0x01, 1, b""),
        (0x01, 1, b"\x01\0t\x01\0"),
        (0x02, 0, &create[..create.len() - 1]),
        (0x02, 0, &too_long),
        (0x02, 0, b"\xFF\xFFt"),
        (0x03, 0, b"\x01"),
        (0x03, 0, b"\x01\0tx"),
        (0x04, 1, b"\x01\0t\x01\0s\0\0\0\0"),
        (0x05, 0, b"\x01\0t"),
        (0x06, 0, b"\0\0\0"),
        (0x07, 0, b"\0\0\0\0\0\0\0"),
        (0x08, 0, b"\0\0\0\0\0\0\0\0"),
        (0x09, 0, b"\x01\0t\x01\0s"),
        (0x0A, 0, b"x"),
        (0x0C, 0, b"x"),
        (0x0D, 0, b"x"),
        (0x0E, 0, b"\0\0\0\0\0\0\0\0\x01\0\0\0"),
        (0x0F, 0, b"\x01\0t\x01\0s\0\0\0\0"),
        (0x10, 0, b"\x01\0t\x01\0s\0"),
    ];
    check(backend, Code::MalformedFrame, &frames);
}

fn flags_that_a_kind_does_not_have_are_malformed(backend: Backend) {
    let subscribe = &[&b"\x01\0t\x01\0s"[..], &[0; 14]].concat();
    let frames: [(u8, u8, &[u8]); 8] = [
        (0x01, 16, b"\x01\0t\x01\0\0\0\0\0\0\0"),
        (0x01, 12, b"\x01\0t\x01\0\0\0\0\0\0\0"),
        (0x03, 1, b"\x01\0t"),
        (0x04, 2, subscribe),
        (0x04, 4, subscribe),
        (0x04, 16, subscribe),
        (0x08, 2, &[0; 12]),
        (0x0C, 1, b""),
    ];
    check(backend, Code::MalformedFrame, &frames);
}

fn a_batch_that_is_not_what_it_says_is_malformed(backend: Backend) {
    let frames: [(u8, u8, &[u8]); 5] = [
        (0x01, 1, b"\x01\0t\x02\0\0\0\x01\0\0\0a"),
        (0x01, 1, b"\x01\0t\0\0\0\0\x01\0\0\0a"),
        (0x01, 1, b"\x01\0t\x01\0\0\0\x02\0\0\0a"),
        (0x01, 0, b"\x01\0t\x01\0\0\0\x01\0\0\0ab"),
        (0x01, 0, b"\x01\0t\xFF\xFF\xFF\xFF\x01\0\0\0a"),
    ];
    check(backend, Code::MalformedFrame, &frames);
}

fn text_that_is_not_utf8_is_told_so(backend: Backend) {
    let frames: [(u8, u8, &[u8]); 3] = [
        (0x01, 1, b"\x01\0\xFF\x01\0\0\0\x01\0\0\0a"),
        (0x03, 0, b"\x02\0\xC3("),
        (0x09, 0, b"\x01\0t\x01\0\x80\0\0\0\0"),
    ];
    check(backend, Code::InvalidUtf8, &frames);
}

fn a_lag_policy_that_is_not_known_is_told(backend: Backend) {
    check(backend, Code::InvalidValue, &[(0x04, 1, b"\x01\0t\x01\0s\0\0\0\0\x03")]);
}

fn a_frame_over_its_limit_is_refused_and_passed_over(backend: Backend) {
    let limits = ["--message-bytes-max", "1024", "--frame-bytes-max", "131072"];
    let broker = BrokerProcess::start_with(backend, &limits);
    let mut client = NativeClient::connect(&broker);
    // A body of 131 064 bytes makes a length of exactly the limit; an unknown kind has no other.
    client.connection.send(&frame_bytes(0x7F, 0, 1, &vec![0; 131_064]));
    assert_eq!(client.answer_to(1), Reply::Refused(Code::UnknownCommand));
    for (correlation, body_bytes) in [(2, 131_065), (3, 200_000), (4, 3_000_000)] {
        client.connection.send(&frame_bytes(0x01, 0, correlation, &vec![0xAA; body_bytes]));
        assert_eq!(client.answer_to(correlation), Reply::Refused(Code::FrameTooLarge));
        assert_eq!(client.ping(), Ok(()), "after a body of {body_bytes} bytes");
    }
    // The refusal need not wait for the frame's end.
    let bytes = frame_bytes(0x01, 0, 5, &vec![0xAA; 200_000]);
    let (head, tail) = bytes.split_at(20);
    client.connection.send(head);
    assert_eq!(client.answer_to(5), Reply::Refused(Code::FrameTooLarge));
    client.connection.send(tail);
    assert_eq!(client.ping(), Ok(()));
}

fn a_frame_that_ends_before_its_header_closes_the_connection(backend: Backend) {
    for length in [0u8, 7] {
        let bytes = [length, 0, 0, 0, 0x0C, 0, 0, 0, 1, 0, 0, 0];
        check_closed(backend, Code::MalformedFrame, &bytes);
    }
}

fn reserved_bytes_of_a_frame_must_be_zero(backend: Backend) {
    for reserved in [6, 7] {
        let mut bytes = frame_bytes(0x0C, 0, 1, b"");
        bytes[reserved] = 1;
        check_closed(backend, Code::MalformedFrame, &bytes);
    }
    // What comes behind is not read any more, however much it is.
    let bytes = [vec![0; 12], vec![0xAA; 100_000]].concat();
    check_closed(backend, Code::MalformedFrame, &bytes);
}

fn what_was_asked_before_the_stream_broke_is_answered(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let mut client = NativeClient::connect(&broker);
    let mut bytes = frame_bytes(0x0C, 0, 8, b"");
    bytes.extend_from_slice(&[0; 12]);
    bytes.extend_from_slice(&frame_bytes(0x02, 0, 9, &[&b"\x01\0t"[..], &[0; 24]].concat()));
    client.connection.send(&bytes);
    assert_eq!(client.answer_to(8), Reply::Pong);
    assert_eq!(client.closing_refusal(), Code::MalformedFrame);
    let mut other = NativeClient::connect(&broker);
    assert_eq!(other.ask(&Request::ListTopics), Reply::Topics(vec![]), "what came behind is lost");
}
