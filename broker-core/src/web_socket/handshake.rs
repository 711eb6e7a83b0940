//! The HTTP request that opens a WebSocket for MQTT, and its answer (RFC 6455 §4.2, MQTT 5.0 §6).

use bytes::BytesMut;
use httparse::{Request, Status};
use std::fmt::Write;
use tungstenite::handshake::derive_accept_key;

/// What came of the bytes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Handshake {
    /// The head is not whole yet.
    NeedMore,
    /// It was accepted; frames follow the head.
    Accepted { head_bytes: usize },
    /// It was refused; the answer says why, and is the last that is written.
    Refused,
}

/// Reads the request that `input` begins with, and writes the answer to `out`.
///
/// Any path is accepted, with any host and origin: who may do what is for MQTT to say.
pub(super) fn answer_request(input: &[u8], head_bytes_max: usize, out: &mut BytesMut) -> Handshake {
    let within_limit = &input[..input.len().min(head_bytes_max)];
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut request = Request::new(&mut headers);
    let accepted = match request.parse(within_limit) {
        Ok(Status::Partial) if input.len() <= head_bytes_max => return Handshake::NeedMore,
        Ok(Status::Partial) => Err(Refusal::too_large(head_bytes_max)),
        Err(httparse::Error::TooManyHeaders) => Err(Refusal::too_many_headers()),
        Err(error) => Err(Refusal::malformed(error)),
        Ok(Status::Complete(head_bytes)) => {
            accept(&request).map(|acceptance| (head_bytes, acceptance))
        }
    };
    match accepted {
        Ok((head_bytes, acceptance)) => {
            acceptance.encode(out);
            Handshake::Accepted { head_bytes }
        }
        Err(refusal) => {
            refusal.encode(out);
            Handshake::Refused
        }
    }
}

/// More than browsers send, with room for what proxies add.
const HEADERS_MAX: usize = 64;

/// How much of what was found a sentence repeats.
const FOUND_CHARS_MAX: usize = 100;

/// The name that MQTT 5.0 §6 gives, and the one from before it had one; the best comes first.
const SUBPROTOCOLS: [&str; 2] = ["mqtt", "mqttv3.1"];

/// The checks of RFC 6455 §4.2.1, in the order that leads a person with a wrong client onward.
fn accept(request: &Request<'_, '_>) -> Result<Acceptance, Refusal> {
    if request.method != Some("GET") {
        return Err(Refusal::wrong_method(request.method.unwrap_or_default()));
    }
    if request.version != Some(1) {
        return Err(Refusal::wrong_http_version());
    }
    if !offers(request, "Upgrade", "websocket") || !offers(request, "Connection", "upgrade") {
        return Err(Refusal::no_upgrade());
    }
    let version = first_token(request, "Sec-WebSocket-Version");
    if version != "13" {
        return Err(Refusal::wrong_version(version));
    }
    let key = first_token(request, "Sec-WebSocket-Key");
    if !is_key(key) {
        return Err(Refusal::wrong_key(key));
    }
    let is_offered =
        |wanted: &&str| tokens(request, "Sec-WebSocket-Protocol").any(|name| name == *wanted);
    let Some(subprotocol) = SUBPROTOCOLS.into_iter().find(is_offered) else {
        return Err(Refusal::no_subprotocol(tokens(request, "Sec-WebSocket-Protocol")));
    };
    Ok(Acceptance { accept_key: derive_accept_key(key.as_bytes()), subprotocol })
}

/// The comma-separated tokens of all headers with this name.
fn tokens<'a>(request: &'a Request<'_, '_>, name: &'a str) -> impl Iterator<Item = &'a str> {
    request
        .headers
        .iter()
        .filter(move |header| header.name.eq_ignore_ascii_case(name))
        .flat_map(|header| header.value.split(|byte| *byte == b','))
        .filter_map(|token| std::str::from_utf8(token).ok())
        .map(str::trim)
        .filter(|token| !token.is_empty())
}

fn first_token<'a>(request: &'a Request<'_, '_>, name: &'a str) -> &'a str {
    tokens(request, name).next().unwrap_or_default()
}

fn offers(request: &Request<'_, '_>, name: &str, wanted: &str) -> bool {
    tokens(request, name).any(|token| token.eq_ignore_ascii_case(wanted))
}

/// Whether this is 16 bytes in base64.
fn is_key(key: &str) -> bool {
    let is_digit = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/';
    key.strip_suffix("==").is_some_and(|key| key.len() == 22 && key.bytes().all(is_digit))
}

struct Acceptance {
    accept_key: String,
    subprotocol: &'static str,
}

impl Acceptance {
    fn encode(&self, out: &mut BytesMut) {
        let Self { accept_key, subprotocol } = self;
        encode_text(
            out,
            format_args!(
                "HTTP/1.1 101 Switching Protocols\r\n\
                 Upgrade: websocket\r\n\
                 Connection: Upgrade\r\n\
                 Sec-WebSocket-Accept: {accept_key}\r\n\
                 Sec-WebSocket-Protocol: {subprotocol}\r\n\r\n"
            ),
        );
    }
}

/// Why a request is not accepted: always the peer's fault.
struct Refusal {
    status: &'static str,
    /// Whole lines, for what a client may try instead.
    headers: &'static str,
    /// For the person who reads the answer.
    sentence: String,
}

impl Refusal {
    fn new(status: &'static str, headers: &'static str, sentence: impl Into<String>) -> Self {
        Self { status, headers, sentence: sentence.into() }
    }

    fn too_large(head_bytes_max: usize) -> Self {
        let sentence = format!(
            "The head of the request is longer than the {head_bytes_max} bytes allowed; \
             send fewer or shorter headers, such as cookies."
        );
        Self::new("431 Request Header Fields Too Large", "", sentence)
    }

    fn too_many_headers() -> Self {
        let sentence = format!("The request has more than the {HEADERS_MAX} headers allowed.");
        Self::new("431 Request Header Fields Too Large", "", sentence)
    }

    fn malformed(error: httparse::Error) -> Self {
        Self::new("400 Bad Request", "", format!("This is no HTTP/1.1 request: {error}."))
    }

    fn wrong_method(found: &str) -> Self {
        let sentence = format!(
            "Expected GET, found {}: only WebSockets for MQTT are served here.",
            shown(found)
        );
        Self::new("405 Method Not Allowed", "Allow: GET\r\n", sentence)
    }

    fn wrong_http_version() -> Self {
        let sentence = "Expected HTTP/1.1, found HTTP/1.0, which has no WebSockets.";
        Self::new("505 HTTP Version Not Supported", "", sentence)
    }

    fn no_upgrade() -> Self {
        let sentence = "Only WebSockets for MQTT are served here: expected the headers \
                        Upgrade: websocket and Connection: Upgrade, and found them not.";
        Self::new("426 Upgrade Required", "Upgrade: websocket\r\n", sentence)
    }

    fn wrong_version(found: &str) -> Self {
        let sentence = format!("Expected Sec-WebSocket-Version 13, found {}.", shown(found));
        let headers = "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n";
        Self::new("426 Upgrade Required", headers, sentence)
    }

    fn wrong_key(found: &str) -> Self {
        let sentence =
            format!("Expected 16 bytes in base64 as Sec-WebSocket-Key, found {}.", shown(found));
        Self::new("400 Bad Request", "", sentence)
    }

    fn no_subprotocol<'a>(found: impl Iterator<Item = &'a str>) -> Self {
        let found = found.collect::<Vec<_>>().join(", ");
        let sentence = format!(
            "Expected the subprotocol {} in Sec-WebSocket-Protocol, found {}.",
            SUBPROTOCOLS.join(" or "),
            shown(&found)
        );
        Self::new("400 Bad Request", "", sentence)
    }

    fn encode(&self, out: &mut BytesMut) {
        let Self { status, headers, sentence } = self;
        // Upgrade says of itself that it is for this connection only (RFC 9110 §7.8).
        let connection = if headers.contains("Upgrade:") { "close, Upgrade" } else { "close" };
        let content_bytes = sentence.len() + 1;
        encode_text(
            out,
            format_args!(
                "HTTP/1.1 {status}\r\n\
                 {headers}\
                 Connection: {connection}\r\n\
                 Content-Type: text/plain; charset=utf-8\r\n\
                 Content-Length: {content_bytes}\r\n\r\n\
                 {sentence}\n"
            ),
        );
    }
}

/// What was found, short and harmless enough to be repeated.
fn shown(found: &str) -> String {
    if found.is_empty() {
        return "none".to_owned();
    }
    let shown: String = found.chars().take(FOUND_CHARS_MAX).collect();
    format!("{:?}{}", shown, if shown.len() < found.len() { "…" } else { "" })
}

fn encode_text(out: &mut BytesMut, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("memory can always be written to");
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD_BYTES_MAX: usize = 8192;

    /// A request that is accepted.
    const REQUEST: &str = "GET /chat HTTP/1.1\r\n\
        Host: server.example.com\r\n\
        Upgrade: websocket\r\n\
        Connection: Upgrade\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
        Origin: http://example.com\r\n\
        Sec-WebSocket-Protocol: chat, mqtt\r\n\
        Sec-WebSocket-Version: 13\r\n\r\n";

    fn answer(request: &str) -> (Handshake, String) {
        let mut out = BytesMut::new();
        let result = answer_request(request.as_bytes(), HEAD_BYTES_MAX, &mut out);
        (result, String::from_utf8(out.to_vec()).expect("UTF-8"))
    }

    #[track_caller]
    fn check_accepted(request: &str, expected: &str) {
        let (result, answer) = answer(request);
        assert_eq!(result, Handshake::Accepted { head_bytes: request.len() }, "{answer}");
        assert_eq!(answer, expected);
    }

    /// Holds the answer to `request` against its status and what else must be in it.
    #[track_caller]
    fn check_refused(request: &str, status: &str, expected: &[&str]) {
        let (result, answer) = answer(request);
        assert_eq!(result, Handshake::Refused, "{answer}");
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
        let (head, content) = answer.split_once("\r\n\r\n").expect("a head");
        assert!(head.contains(&format!("Content-Length: {}", content.len())), "{answer}");
        assert!(head.contains("Connection: close"), "{answer}");
        for expected in expected {
            assert!(answer.contains(expected), "{expected:?} in {answer}");
        }
    }

    #[test]
    fn the_example_of_the_standard_is_answered_with_its_key_and_mqtt() {
        check_accepted(
            REQUEST,
            "HTTP/1.1 101 Switching Protocols\r\n\
             Upgrade: websocket\r\n\
             Connection: Upgrade\r\n\
             Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\
             Sec-WebSocket-Protocol: mqtt\r\n\r\n",
        );
    }

    #[test]
    fn names_of_headers_and_tokens_are_found_in_any_case_and_list() {
        let request = REQUEST
            .replace("Upgrade: websocket", "UPGRADE: h2c, WebSocket")
            .replace("Connection: Upgrade", "connection: keep-alive , upgrade");
        let (result, _) = answer(&request);
        assert_eq!(result, Handshake::Accepted { head_bytes: request.len() });
    }

    #[test]
    fn the_older_subprotocol_is_taken_only_where_the_newer_is_not_offered() {
        for (offered, selected) in [
            ("mqttv3.1", "mqttv3.1"),
            ("mqttv3.1, mqtt", "mqtt"),
            ("mqttv3.1\r\nSec-WebSocket-Protocol: mqtt", "mqtt"),
        ] {
            let (_, answer) = answer(&REQUEST.replace("chat, mqtt", offered));
            let line = format!("Sec-WebSocket-Protocol: {selected}\r\n");
            assert!(answer.contains(&line), "{answer}");
        }
    }

    #[test]
    fn any_path_is_accepted() {
        for path in ["/", "/mqtt?token=1", "http://server.example.com/ws"] {
            let (result, answer) = answer(&REQUEST.replace("/chat", path));
            assert!(matches!(result, Handshake::Accepted { .. }), "{answer}");
        }
    }

    #[test]
    fn another_method_is_told_which_is_allowed() {
        let request = REQUEST.replace("GET", "POST");
        check_refused(&request, "405", &["Allow: GET\r\n", "found \"POST\""]);
    }

    #[test]
    fn a_page_request_is_told_to_upgrade() {
        for missing in ["Upgrade: websocket\r\n", "Connection: Upgrade\r\n"] {
            let request = REQUEST.replace(missing, "");
            let expected = ["\r\nUpgrade: websocket\r\n", "Connection: close, Upgrade\r\n"];
            check_refused(&request, "426", &expected);
        }
    }

    #[test]
    fn another_version_is_told_the_right_one() {
        let line = "\r\nSec-WebSocket-Version: 13\r\n";
        let request = REQUEST.replace("Version: 13", "Version: 8");
        check_refused(&request, "426", &[line, "found \"8\""]);
        let request = REQUEST.replace("Sec-WebSocket-Version: 13\r\n", "");
        check_refused(&request, "426", &[line, "found none"]);
        check_refused(&REQUEST.replace("HTTP/1.1", "HTTP/1.0"), "505", &[]);
    }

    #[test]
    fn a_key_that_is_not_16_bytes_is_refused() {
        let request = REQUEST.replace("Sec-WebSocket-Key", "Other");
        check_refused(&request, "400", &["Sec-WebSocket-Key", "found none"]);
        for key in ["dGhlIHNhbXBsZSBub25jZQ", "dGhlIHNhbXBsZSBub25jZ?==", "AAAA=="] {
            check_refused(&REQUEST.replace("dGhlIHNhbXBsZSBub25jZQ==", key), "400", &[key]);
        }
    }

    #[test]
    fn a_client_of_another_subprotocol_is_told_what_was_expected_and_found() {
        let request = REQUEST.replace("chat, mqtt", "chat, \"MQTT");
        check_refused(&request, "400", &["subprotocol mqtt or mqttv3.1", r#""chat, \"MQTT""#]);
        let request = REQUEST.replace("Sec-WebSocket-Protocol", "Other");
        check_refused(&request, "400", &["found none"]);
        let (_, answer) = answer(&REQUEST.replace("chat, mqtt", &"x".repeat(5000)));
        assert!(answer.len() < 500, "{answer}");
    }

    #[test]
    fn a_head_may_be_as_long_as_the_limit_and_no_longer() {
        let padded = |bytes: usize| {
            let padding = "x".repeat(bytes - REQUEST.len() - "Cookie: \r\n".len());
            REQUEST.replace("Origin:", &format!("Cookie: {padding}\r\nOrigin:"))
        };
        let longest = padded(HEAD_BYTES_MAX);
        assert_eq!(answer(&longest).0, Handshake::Accepted { head_bytes: HEAD_BYTES_MAX });
        assert_eq!(answer(&longest[..HEAD_BYTES_MAX - 1]).0, Handshake::NeedMore);
        let longer = padded(HEAD_BYTES_MAX + 1);
        assert_eq!(answer(&longer[..HEAD_BYTES_MAX]).0, Handshake::NeedMore);
        check_refused(&longer, "431", &["8192 bytes"]);
        let headers = "A: b\r\n".repeat(HEADERS_MAX);
        check_refused(&REQUEST.replace("Origin:", &format!("{headers}Origin:")), "431", &["64"]);
    }

    #[test]
    fn what_is_no_http_is_refused() {
        check_refused("GET \0 HTTP/1.1\r\n\r\n", "400", &["no HTTP/1.1 request"]);
        check_refused("PRI * HTTP/2.0\r\n\r\n", "400", &["no HTTP/1.1 request"]);
    }
}
