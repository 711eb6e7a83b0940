//! A connection's first bytes say what it speaks; what nobody speaks here is told, then closed.

use conformance::{Backend, BrokerProcess, Connection, JsonClient, NativeClient, Speaks};
use conformance::{Reply, for_both_backends};
use protocol::native::{VERSION, client_greeting};
use protocol::{Code, Request};

for_both_backends! {
    the_first_byte_chooses_the_dialect,
    text_that_is_no_json_is_answered_in_text,
    a_connection_that_never_speaks_is_let_be,
    a_silent_connection_over_the_limit_is_told_and_closed,
    tls_is_told_that_it_is_not_spoken,
    a_first_byte_that_nothing_begins_with_is_told_in_text,
    a_native_greeting_may_come_a_byte_at_a_time,
    a_wrong_magic_is_told_on_the_native_wire,
    another_version_is_told_on_the_native_wire,
    reserved_bytes_of_the_greeting_must_be_zero,
    a_client_that_leaves_within_its_greeting_hurts_nobody,
}

/// What is refused in a line of JSON, before the connection is closed.
fn refused_in_text(backend: Backend, first: &[u8]) -> Code {
    let broker = BrokerProcess::start(backend);
    let mut connection = Connection::open(broker.address());
    connection.send(first);
    let code = JsonClient { connection }.closing_refusal();
    assert_eq!(JsonClient::connect(&broker).ping(), Ok(()), "others go on");
    code
}

/// What is refused in an ERROR frame behind a greeting that says so, before the connection is
/// closed.
fn refused_greeting(backend: Backend, first: &[u8]) -> Code {
    let broker = BrokerProcess::start(backend);
    let mut connection = Connection::open(broker.address());
    connection.send(first);
    let (mut client, greeting) = NativeClient::read_greeting(connection);
    assert!(!greeting.accepted);
    assert_eq!(greeting.version, VERSION, "it tells what it speaks");
    let code = client.closing_refusal();
    assert_eq!(NativeClient::connect(&broker).ping(), Ok(()), "others go on");
    code
}

fn the_first_byte_chooses_the_dialect(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let mut json = JsonClient::connect(&broker);
    let mut native = NativeClient::connect(&broker);
    assert_eq!(json.ping(), Ok(()));
    assert_eq!(native.ping(), Ok(()));
    let mut json = JsonClient::connect(&broker);
    json.connection.send(b"\r\n {\"command\":\"PING\"}\n");
    json.read_answer().expect("white space may come before the first line");
}

fn text_that_is_no_json_is_answered_in_text(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let mut client = JsonClient::connect(&broker);
    assert_eq!(client.refusal_of("PUT / HTTP/1.1\r"), Code::InvalidJson);
    assert_eq!(client.ping(), Ok(()));
}

fn a_connection_that_never_speaks_is_let_be(backend: Backend) {
    let broker = BrokerProcess::start_with(backend, &["--request-ms-max", "100"]);
    let silent = Connection::open(broker.address());
    let mut incomplete = JsonClient::connect(&broker);
    incomplete.connection.send(b"{");
    // By the time that this one is closed, the other has been silent for longer.
    assert_eq!(incomplete.closing_refusal(), Code::RequestTimeout);
    let mut late = JsonClient { connection: silent };
    assert_eq!(late.ping(), Ok(()));
}

fn a_silent_connection_over_the_limit_is_told_and_closed(backend: Backend) {
    let limits = ["--connections-max", "1", "--linger-ms-max", "100"];
    let broker = BrokerProcess::start_with(backend, &limits);
    let mut first = JsonClient::connect(&broker);
    assert_eq!(first.ping(), Ok(()));
    let mut silent = JsonClient { connection: Connection::open(broker.address()) };
    assert_eq!(silent.closing_refusal(), Code::LimitReached);
    assert_eq!(first.ping(), Ok(()));
}

fn tls_is_told_that_it_is_not_spoken(backend: Backend) {
    let hello = [&b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..], &[7; 600]].concat();
    assert_eq!(refused_in_text(backend, &hello), Code::UnsupportedProtocol);
}

fn a_first_byte_that_nothing_begins_with_is_told_in_text(backend: Backend) {
    for first in [0x00, 0x01, 0x7F, 0x80, 0xFF] {
        assert_eq!(refused_in_text(backend, &[first]), Code::WrongMagic, "{first:#04x}");
    }
    assert_eq!(refused_in_text(backend, &[0; 4000]), Code::WrongMagic, "and more behind it");
}

fn a_native_greeting_may_come_a_byte_at_a_time(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let mut connection = Connection::open(broker.address());
    for byte in client_greeting() {
        connection.send(&[byte]);
    }
    let (mut client, greeting) = NativeClient::read_greeting(connection);
    assert!(greeting.accepted);
    assert_eq!(client.ask(&Request::Ping), Reply::Pong);
}

fn a_wrong_magic_is_told_on_the_native_wire(backend: Backend) {
    assert_eq!(refused_greeting(backend, b"\xF7XYZ\x01\0\0\0"), Code::WrongMagic);
    assert_eq!(refused_greeting(backend, b"\xF7TNX"), Code::WrongMagic, "as early as it shows");
    let garbage = [&[0xF7][..], &[0xAA; 4000]].concat();
    assert_eq!(refused_greeting(backend, &garbage), Code::WrongMagic);
}

fn another_version_is_told_on_the_native_wire(backend: Backend) {
    for version in [0, VERSION + 1, 0xFF] {
        let greeting = [0xF7, b'T', b'N', b'D', version, 0, 0, 0];
        assert_eq!(refused_greeting(backend, &greeting), Code::UnsupportedVersion, "{version}");
    }
}

fn reserved_bytes_of_the_greeting_must_be_zero(backend: Backend) {
    for reserved in 5..8 {
        let mut greeting = client_greeting();
        greeting[reserved] = 1;
        assert_eq!(refused_greeting(backend, &greeting), Code::MalformedFrame, "byte {reserved}");
    }
}

fn a_client_that_leaves_within_its_greeting_hurts_nobody(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let mut other = NativeClient::connect(&broker);
    for end in 0..8 {
        let mut connection = Connection::open(broker.address());
        connection.send(&client_greeting()[..end]);
    }
    conformance::wait_until("the connections to be gone", || {
        other.info().expect("info").connections == 1
    });
}
