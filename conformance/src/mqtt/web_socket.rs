//! WebSockets from bytes put together by hand (RFC 6455): the request that opens one, frames as a
//! client sends them, and frames as a broker does, read strictly.

use super::shown;
use crate::Connection;
use std::collections::VecDeque;

/// The bit of a frame's first byte that says that its message ends with it.
pub const FIN: u8 = 0x80;
/// A frame that goes on with a message.
pub const CONTINUATION: u8 = 0x0;
/// A frame of text.
pub const TEXT: u8 = 0x1;
/// A frame of bytes.
pub const BINARY: u8 = 0x2;
/// A frame that ends the WebSocket.
pub const CLOSE: u8 = 0x8;
/// A frame that asks for a pong.
pub const PING: u8 = 0x9;
/// A frame that answers a ping.
pub const PONG: u8 = 0xA;

/// The key of RFC 6455's example.
pub const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

/// What a broker makes of [`KEY`] (RFC 6455 §1.3).
pub const ACCEPT_KEY: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// The headers that every request for MQTT has, for a test to vary.
#[must_use]
pub fn request_headers() -> Vec<(&'static str, String)> {
    [
        ("Host", "broker"),
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Key", KEY),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Protocol", "mqtt"),
    ]
    .map(|(name, value)| (name, value.to_owned()))
    .to_vec()
}

/// A request with these headers.
#[must_use]
pub fn request(first_line: &str, headers: &[(&str, String)]) -> String {
    let headers: Vec<_> =
        headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    format!("{first_line}\r\n{}\r\n", headers.concat())
}

/// A frame as a client sends it. `first` is its FIN bit and its opcode.
#[must_use]
pub fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    // Not the same byte four times, and not the same as in other frames.
    let length = payload.len().to_le_bytes();
    let mask = [0x5A ^ length[0], 0xC3 ^ length[1], first, 0x17];
    let mut frame = frame_head(first, payload.len(), 0x80);
    frame.extend_from_slice(&mask);
    frame.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    frame
}

/// A frame as no client may send it.
#[must_use]
pub fn unmasked_frame(first: u8, payload: &[u8]) -> Vec<u8> {
    [&frame_head(first, payload.len(), 0)[..], payload].concat()
}

/// A close frame with a code.
#[must_use]
pub fn close_frame(code: u16) -> Vec<u8> {
    frame(FIN | CLOSE, &code.to_be_bytes())
}

fn frame_head(first: u8, payload_bytes: usize, mask_bit: u8) -> Vec<u8> {
    let byte = |value: usize| u8::try_from(value).expect("a length of seven bits");
    match payload_bytes {
        0..=125 => vec![first, mask_bit | byte(payload_bytes)],
        126..=0xFFFF => {
            let length = u16::try_from(payload_bytes).expect("two bytes");
            [&[first, mask_bit | 126][..], &length.to_be_bytes()].concat()
        }
        _ => [&[first, mask_bit | 127][..], &(payload_bytes as u64).to_be_bytes()].concat(),
    }
}

/// The answer to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpResponse {
    /// Its first line.
    pub status_line: String,
    /// Its headers, in order.
    pub headers: Vec<(String, String)>,
    /// What follows, where it told how long that is.
    pub content: String,
}

impl HttpResponse {
    /// Sends a request and reads its answer.
    #[track_caller]
    #[must_use]
    pub fn to(connection: &mut Connection, request: &str) -> Self {
        // A broker may answer before it has read all.
        let _ = connection.try_send(request.as_bytes());
        Self::read(connection)
    }

    /// Reads an answer.
    #[track_caller]
    #[must_use]
    pub fn read(connection: &mut Connection) -> Self {
        let status_line = header_line(connection);
        let mut headers = Vec::new();
        loop {
            let line = header_line(connection);
            if line.is_empty() {
                break;
            }
            let (name, value) = line.split_once(": ").expect("a name and a value");
            headers.push((name.to_owned(), value.to_owned()));
        }
        let mut response = Self { status_line, headers, content: String::new() };
        if let Some(length) = response.header("Content-Length") {
            let length = length.parse().expect("a number");
            while connection.held().len() < length {
                assert!(connection.receive("the content"), "the connection ended within it");
            }
            let content = connection.held()[..length].to_vec();
            connection.consume(length);
            response.content = String::from_utf8(content).expect("text");
        }
        response
    }

    /// The value of a header that it has at most once.
    #[track_caller]
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut found = self.headers.iter().filter(|(has, _)| has.eq_ignore_ascii_case(name));
        let (first, second) = (found.next(), found.next());
        assert!(second.is_none(), "expected {name} once: {self:?}");
        first.map(|(_, value)| value.as_str())
    }
}

#[track_caller]
fn header_line(connection: &mut Connection) -> String {
    let line = connection.take_line().expect("an answer, not the end of the connection");
    let line = String::from_utf8(line).expect("text");
    line.strip_suffix('\r').expect("a line of HTTP").to_owned()
}

/// The client's side of an open WebSocket: what was received in frames, without them.
#[derive(Debug, Default)]
pub(crate) struct Unframed {
    /// Payload of data frames that was not taken yet.
    pub(crate) data: Vec<u8>,
    /// Frames that were no data, in order: the first byte, and the payload.
    pub(crate) controls: VecDeque<(u8, Vec<u8>)>,
}

impl Unframed {
    /// Reads that a WebSocket for MQTT was accepted.
    #[track_caller]
    pub(crate) fn accepted(connection: &mut Connection) -> Self {
        let response = HttpResponse::read(connection);
        assert_eq!(response.status_line, "HTTP/1.1 101 Switching Protocols", "{response:?}");
        assert_eq!(response.header("Sec-WebSocket-Accept"), Some(ACCEPT_KEY));
        assert_eq!(response.header("Sec-WebSocket-Protocol"), Some("mqtt"));
        Self::default()
    }

    /// Takes all whole frames off a connection.
    #[track_caller]
    pub(crate) fn take_frames(&mut self, connection: &mut Connection) {
        while let Some((first, payload, length)) = decode(connection.held()) {
            let closed = self.controls.back().is_some_and(|(first, _)| *first == FIN | CLOSE);
            assert!(!closed, "nothing follows a close frame, found {first:02x}: {payload:02x?}");
            if first == FIN | BINARY {
                self.data.extend_from_slice(payload);
            } else {
                assert!([CLOSE, PING, PONG].contains(&(first & !FIN)), "opcode of {first:02x}");
                assert!(payload.len() <= 125, "a control frame of {}", payload.len());
                self.controls.push_back((first, payload.to_vec()));
            }
            connection.consume(length);
        }
    }
}

/// The frame that `bytes` begin with: its first byte, its payload and its length.
#[track_caller]
fn decode(bytes: &[u8]) -> Option<(u8, &[u8], usize)> {
    let [first, second, rest @ ..] = bytes else { return None };
    assert!(second & 0x80 == 0, "a server masks nothing: {}", shown(bytes));
    assert!(first & 0xF0 == FIN, "a whole message without reserved bits: {}", shown(bytes));
    let (length, head_bytes) = match second {
        126 => (u64::from(u16::from_be_bytes(*rest.first_chunk()?)), 4),
        127 => (u64::from_be_bytes(*rest.first_chunk()?), 10),
        short => (u64::from(*short), 2),
    };
    let shortest = frame_head(*first, usize::try_from(length).expect("a length"), 0).len();
    assert_eq!(head_bytes, shortest, "the shortest length: {}", shown(bytes));
    let end = head_bytes + usize::try_from(length).expect("a length");
    Some((*first, bytes.get(head_bytes..end)?, end))
}
