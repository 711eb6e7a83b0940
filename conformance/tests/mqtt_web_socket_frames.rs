//! WebSockets themselves: the request that opens one, and frames that end it.

use conformance::mqtt::web_socket::unmasked_frame;
use conformance::mqtt::web_socket::{
    ACCEPT_KEY, BINARY, CLOSE, CONTINUATION, FIN, PING, PONG, TEXT,
};
use conformance::mqtt::web_socket::{HttpResponse, close_frame, frame, request, request_headers};
use conformance::mqtt::{Connect, MqttClient, Version, pingreq};
use conformance::{Backend, BrokerProcess, Connection};
use conformance::{for_both_backends, for_both_backends_at_once};

for_both_backends! {
    the_example_of_the_standard_is_accepted,
    mqtt_is_selected_wherever_it_is_among_the_offered,
    requests_that_are_refused_are_answered_with_a_status_and_a_sentence,
    a_head_that_is_too_long_is_refused_before_its_end,
    text_is_refused,
    frames_that_break_the_rules_are_refused,
    a_frame_beyond_the_limit_is_refused,
    a_ping_is_answered_with_its_own_payload,
    a_close_frame_is_answered_with_its_own_code,
    a_close_frame_that_is_wrong_is_told_so,
    what_came_before_a_close_frame_is_answered_before_it,
    a_client_beyond_the_limit_is_refused_as_over_tcp,
}

for_both_backends_at_once! {
    a_request_that_never_ends_is_let_go,
    a_frame_that_never_ends_is_let_go,
    a_packet_that_never_ends_is_let_go,
    a_client_beyond_the_limit_that_says_nothing_is_let_go,
}

/// The headers of a request, with those of this name changed; `None` takes them away.
fn headers_with(changed: &str, value: Option<&str>) -> Vec<(&'static str, String)> {
    let mut headers = request_headers();
    match value {
        None => headers.retain(|(name, _)| *name != changed),
        Some(value) => {
            let found = headers.iter_mut().find(|(name, _)| *name == changed);
            value.clone_into(&mut found.expect("a header that is there").1);
        }
    }
    headers
}

fn the_example_of_the_standard_is_accepted(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let mut connection = Connection::open(broker.address());
    let request = request("GET /chat HTTP/1.1", &request_headers());
    let response = HttpResponse::to(&mut connection, &request);
    assert_eq!(response.status_line, "HTTP/1.1 101 Switching Protocols");
    for (name, value) in [
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Accept", ACCEPT_KEY),
        ("Sec-WebSocket-Protocol", "mqtt"),
    ] {
        let found = response.header(name).unwrap_or_default();
        assert!(found.eq_ignore_ascii_case(value), "expected {name}: {value}, found {found:?}");
    }
    assert_eq!(response.header("Sec-WebSocket-Extensions"), None, "none was asked for");
}

fn mqtt_is_selected_wherever_it_is_among_the_offered(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    for offered in ["mqtt", "chat, mqtt", "mqttv3.1, mqtt", "mqtt,chat"] {
        let headers = headers_with("Sec-WebSocket-Protocol", Some(offered));
        let mut connection = Connection::open(broker.address());
        let response = HttpResponse::to(&mut connection, &request("GET / HTTP/1.1", &headers));
        assert_eq!(response.header("Sec-WebSocket-Protocol"), Some("mqtt"), "of {offered}");
    }
    let mut headers = request_headers();
    headers.insert(0, ("Sec-WebSocket-Protocol", "chat".to_owned()));
    headers.push(("Sec-WebSocket-Extensions", "permessage-deflate".to_owned()));
    let mut connection = Connection::open(broker.address());
    let response = HttpResponse::to(&mut connection, &request("GET / HTTP/1.1", &headers));
    assert_eq!(response.header("Sec-WebSocket-Protocol"), Some("mqtt"), "in two headers");
    assert_eq!(response.header("Sec-WebSocket-Extensions"), None, "none is agreed on");
}

/// Holds the answer against a status and a word of its sentence, and the connection must end.
#[track_caller]
fn check_refused(broker: &BrokerProcess, request: &str, status: u16, word: &str) -> HttpResponse {
    let mut connection = Connection::open(broker.address());
    let response = HttpResponse::to(&mut connection, request);
    let start = format!("HTTP/1.1 {status} ");
    assert!(response.status_line.starts_with(&start), "expected {status}, found {response:?}");
    let sentence = response.content.trim_end();
    assert!(sentence.ends_with('.') && sentence.contains(word), "{word:?} in {response:?}");
    let connection_header = response.header("Connection").unwrap_or_default();
    assert!(connection_header.contains("close"), "{response:?}");
    connection.assert_ended();
    response
}

fn requests_that_are_refused_are_answered_with_a_status_and_a_sentence(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let check = |name: &str, value: Option<&str>, status, word: &str| {
        let request = request("GET /mqtt HTTP/1.1", &headers_with(name, value));
        check_refused(&broker, &request, status, word)
    };
    check("Sec-WebSocket-Protocol", None, 400, "subprotocol mqtt");
    check("Sec-WebSocket-Protocol", Some("chat"), 400, "\"chat\"");
    check("Sec-WebSocket-Key", None, 400, "Sec-WebSocket-Key");
    check("Sec-WebSocket-Key", Some("c2hvcnQ="), 400, "\"c2hvcnQ=\"");
    let upgrade = check("Upgrade", None, 426, "Upgrade: websocket");
    assert_eq!(upgrade.header("Upgrade"), Some("websocket"));
    check("Upgrade", Some("h2c"), 426, "Upgrade: websocket");
    check("Connection", Some("keep-alive"), 426, "Connection: Upgrade");
    for version in [None, Some("8")] {
        let response = check("Sec-WebSocket-Version", version, 426, "Sec-WebSocket-Version 13");
        assert_eq!(response.header("Sec-WebSocket-Version"), Some("13"));
    }
    let headers = request_headers();
    check_refused(&broker, &request("GET / HTTP/1.0", &headers), 505, "HTTP/1.1");
    check_refused(&broker, &request("GET / nonsense", &headers), 400, "HTTP/1.1");
    // A page asked for by a browser.
    check_refused(&broker, "GET / HTTP/1.1\r\nHost: broker\r\n\r\n", 426, "WebSockets for MQTT");
}

fn a_head_that_is_too_long_is_refused_before_its_end(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let cookie = format!("GET / HTTP/1.1\r\nCookie: {}", "x".repeat(8192));
    check_refused(&broker, &cookie, 431, "8192 bytes");
    let mut headers = request_headers();
    headers.extend((0..100).map(|at| ("Cookie", format!("{at}"))));
    check_refused(&broker, &request("GET / HTTP/1.1", &headers), 431, "headers");
}

/// A connected client that sends `bytes` must be told this code and a sentence.
#[track_caller]
fn check_closed(broker: &BrokerProcess, bytes: &[u8], code: u16) {
    let mut client = MqttClient::connect_web(broker, &Connect::new(Version::V5, "a"));
    client.connection.send(bytes);
    let reason = client.expect_close_frame(code);
    assert!(reason.ends_with('.'), "expected a sentence, found {reason:?}");
}

fn text_is_refused(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    check_closed(&broker, &frame(FIN | TEXT, &pingreq().bytes()), 1003);
    check_closed(&broker, &frame(TEXT, b""), 1003);
}

fn frames_that_break_the_rules_are_refused(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let ping = pingreq().bytes();
    let lengthy = {
        let mut frame = frame(FIN | BINARY, &ping);
        frame.splice(1..2, [0x80 | 126, 0, 2]);
        frame
    };
    let begun = [frame(BINARY, b""), frame(FIN | BINARY, b"")].concat();
    for broken in [
        unmasked_frame(FIN | BINARY, &ping),
        unmasked_frame(FIN | PING, b"p"),
        frame(FIN | CONTINUATION, &ping),
        frame(FIN | 0x3, &ping),
        frame(FIN | 0xB, b""),
        frame(FIN | 0x40 | BINARY, &ping),
        frame(FIN | 0x10 | BINARY, &ping),
        frame(PING, b"a control frame in parts"),
        frame(FIN | PING, &[b'p'; 126]),
        lengthy,
        begun,
    ] {
        check_closed(&broker, &broken, 1002);
    }
}

fn a_frame_beyond_the_limit_is_refused(backend: Backend) {
    let flags = ["--message-bytes-max", "4KiB", "--mqtt-packet-bytes-max", "8KiB"];
    let broker = BrokerProcess::start_with(backend, &flags);
    let head = &frame(FIN | BINARY, &[0; 70_000])[..14];
    check_closed(&broker, head, 1009);
}

fn a_ping_is_answered_with_its_own_payload(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let mut client = MqttClient::open_web(&broker, Version::V5);
    for payload in [&b""[..], b"p", &[0xFF; 125]] {
        client.connection.send(&frame(FIN | PING, payload));
        assert_eq!(client.read_control(), (FIN | PONG, payload.to_vec()));
    }
}

fn a_close_frame_is_answered_with_its_own_code(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    for code in [1000, 1001, 3000, 4999] {
        let mut client = MqttClient::open_web(&broker, Version::V5);
        client.connection.send(&close_frame(code));
        // What follows it is nobody's.
        let _ = client.connection.try_send(&frame(FIN | PING, b"p"));
        assert_eq!(client.expect_close_frame(code), "");
    }
    let mut client = MqttClient::open_web(&broker, Version::V5);
    client.connection.send(&frame(FIN | CLOSE, b""));
    assert_eq!(client.read_control(), (FIN | CLOSE, Vec::new()));
    client.expect_closed();
}

fn a_close_frame_that_is_wrong_is_told_so(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    for payload in [&b"x"[..], &999u16.to_be_bytes(), &1005u16.to_be_bytes()] {
        check_closed(&broker, &frame(FIN | CLOSE, payload), 1002);
    }
    check_closed(&broker, &frame(FIN | CLOSE, b"\x03\xE8\xFF"), 1007);
}

/// A close frame is the last that is sent (RFC 6455 §5.5.1).
fn what_came_before_a_close_frame_is_answered_before_it(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    for end in [close_frame(1000), unmasked_frame(FIN | PING, b"")] {
        let mut client = MqttClient::connect_web(&broker, &Connect::new(Version::V311, "a"));
        let ping = frame(FIN | BINARY, &pingreq().bytes());
        client.connection.send(&[ping, end].concat());
        assert_eq!(client.read().name(), "PINGRESP");
        assert_eq!(client.read_control().0, FIN | CLOSE);
        client.expect_closed();
    }
}

fn a_client_beyond_the_limit_is_refused_as_over_tcp(backend: Backend) {
    let broker = BrokerProcess::start_with(backend, &["--connections-max", "1"]);
    let first = MqttClient::connect_web(&broker, &Connect::new(Version::V5, "a"));
    for version in [Version::V311, Version::V5] {
        let connect = Connect::new(version, "b");
        let over_tcp = MqttClient::refused(&broker, &connect);
        let mut client = MqttClient::open_web(&broker, version);
        client.send(&connect.packet());
        assert_eq!(client.read().connack(version).code, over_tcp);
        client.expect_close_frame(1000);
    }
    drop(first);
}

const SOON: [&str; 2] = ["--request-ms-max", "300"];

fn a_request_that_never_ends_is_let_go(backend: Backend) {
    let broker = BrokerProcess::start_with(backend, &SOON);
    let request = request("GET / HTTP/1.1", &request_headers());
    let mut connection = Connection::open(broker.address());
    connection.send(&request.as_bytes()[..request.len() - 1]);
    while connection.receive("the end of the connection") {}
}

fn a_frame_that_never_ends_is_let_go(backend: Backend) {
    let broker = BrokerProcess::start_with(backend, &SOON);
    let mut client = MqttClient::connect_web(&broker, &Connect::new(Version::V311, "a"));
    client.connection.send(&frame(FIN | PING, b"a part of it")[..8]);
    client.expect_close_frame(1000);
}

fn a_packet_that_never_ends_is_let_go(backend: Backend) {
    let broker = BrokerProcess::start_with(backend, &SOON);
    let mut client = MqttClient::open_web(&broker, Version::V311);
    let connect = Connect::new(Version::V311, "a").packet().bytes();
    client.connection.send(&frame(FIN | BINARY, &connect[..connect.len() - 1]));
    client.expect_close_frame(1000);
}

fn a_client_beyond_the_limit_that_says_nothing_is_let_go(backend: Backend) {
    let flags = ["--connections-max", "1", "--linger-ms-max", "300"];
    let broker = BrokerProcess::start_with(backend, &flags);
    let first = MqttClient::connect_web(&broker, &Connect::new(Version::V5, "a"));
    let mut second = MqttClient::open_web(&broker, Version::V5);
    second.expect_close_frame(1000);
    drop(first);
}
