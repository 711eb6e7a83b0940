use super::*;
use proptest::prelude::*;
use std::cell::RefCell;
use std::io::{self, ErrorKind, Read, Write};
use std::rc::Rc;
use tungstenite::client::IntoClientRequest;
use tungstenite::handshake::HandshakeError;
use tungstenite::protocol::WebSocketConfig;
use tungstenite::{Error, Message as ClientMessage};

const LIMITS: WebSocketLimits = WebSocketLimits { frame_bytes_max: 70_000, head_bytes_max: 8192 };

const REQUEST: &str = "GET /mqtt HTTP/1.1\r\n\
    Host: broker\r\n\
    Upgrade: websocket\r\n\
    Connection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Protocol: mqtt\r\n\
    Sec-WebSocket-Version: 13\r\n\r\n";

const FIN: u8 = 0x80;
const CONTINUE: u8 = 0;
const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

/// A frame as a client sends it.
fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    let mask = [0x37, 0xfa, 0x21, 0x3d];
    let mut frame = match payload.len() {
        0..126 => vec![first, 0x80 | payload.len() as u8],
        126..0x1_0000 => [&[first, 0x80 | 126][..], &(payload.len() as u16).to_be_bytes()].concat(),
        _ => [&[first, 0x80 | 127][..], &(payload.len() as u64).to_be_bytes()].concat(),
    };
    frame.extend_from_slice(&mask);
    frame.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    frame
}

/// A close frame as the broker sends it, without its reason.
fn close(code: u16) -> Vec<u8> {
    code.to_be_bytes().to_vec()
}

/// One connection, and the bytes that it could not take yet.
struct Connection {
    web_socket: WebSocket,
    kept: Vec<u8>,
    data: Vec<u8>,
    out: BytesMut,
}

impl Connection {
    fn new() -> Self {
        Self {
            web_socket: WebSocket::new(LIMITS),
            kept: Vec::new(),
            data: Vec::new(),
            out: BytesMut::new(),
        }
    }

    /// One whose request was accepted, and the answer taken away.
    fn open() -> Self {
        let mut connection = Self::new();
        assert_eq!(connection.receive(REQUEST.as_bytes()), Received::NeedMore);
        assert!(connection.out.starts_with(b"HTTP/1.1 101 "));
        connection.out.clear();
        connection
    }

    fn receive(&mut self, bytes: &[u8]) -> Received {
        self.kept.extend_from_slice(bytes);
        let before = self.data.len();
        let (taken, received) =
            self.web_socket.handle_input(&self.kept, &mut self.data, &mut self.out);
        self.kept.drain(..taken);
        match received {
            Received::Data => assert!(self.data.len() > before),
            Received::NeedMore => assert_eq!(self.data.len(), before),
            Received::Closed => {
                assert!(self.kept.is_empty());
                self.web_socket.encode_close(&mut self.out);
            }
        }
        received
    }
}

/// Sends `frames` to an open connection and holds the payload and the answer against these.
#[track_caller]
fn check(frames: &[Vec<u8>], received: Received, data: &[u8], out: &[u8]) {
    let mut connection = Connection::open();
    assert_eq!(connection.receive(&frames.concat()), received);
    assert_eq!(connection.data, data);
    assert_eq!(connection.out, out);
    assert!(connection.kept.is_empty(), "not taken: {:?}", connection.kept);
}

/// Sends `frames` to an open connection, and expects a close with this code and a reason.
#[track_caller]
fn check_closed(frames: &[Vec<u8>], code: u16) {
    let mut connection = Connection::open();
    assert_eq!(connection.receive(&frames.concat()), Received::Closed);
    let payload = &connection.out[2..];
    assert_eq!(connection.out[..2], [FIN | CLOSE, payload.len() as u8]);
    assert_eq!(payload[..2], code.to_be_bytes());
    assert!(std::str::from_utf8(&payload[2..]).is_ok_and(|reason| reason.ends_with('.')));
    assert_eq!(connection.receive(&masked(FIN | PING, b"")), Received::Closed);
    let written = connection.out.len();
    connection.web_socket.encode_close(&mut connection.out);
    assert_eq!(connection.out.len(), written, "closed once");
}

#[test]
fn a_web_socket_at_rest_is_small() {
    assert!(size_of::<WebSocket>() <= 48);
}

#[test]
fn a_masked_frame_is_unmasked() {
    // RFC 6455 §5.7, as binary.
    let frame = vec![0x82, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];
    check(&[frame], Received::Data, b"Hello", b"");
}

#[test]
fn frames_that_come_with_the_request_are_taken() {
    let mut connection = Connection::new();
    let input = [REQUEST.as_bytes(), &masked(FIN | BINARY, b"early")].concat();
    assert_eq!(connection.receive(&input), Received::Data);
    assert_eq!(connection.data, b"early");
}

#[test]
fn a_message_may_be_of_many_frames_some_of_them_empty() {
    let frames = [
        masked(BINARY, b"He"),
        masked(CONTINUE, b""),
        masked(CONTINUE, b"ll"),
        masked(FIN | CONTINUE, b"o"),
        masked(FIN | BINARY, b""),
        masked(FIN | BINARY, b"!"),
    ];
    check(&frames, Received::Data, b"Hello!", b"");
}

#[test]
fn a_ping_is_answered_even_within_a_message() {
    let frames = [
        masked(BINARY, b"Hel"),
        masked(FIN | PING, b"still there?"),
        masked(FIN | PONG, b"unasked"),
        masked(FIN | CONTINUE, b"lo"),
    ];
    check(&frames, Received::Data, b"Hello", b"\x8a\x0cstill there?");
    check(&[masked(FIN | PING, &[7; 125])], Received::NeedMore, b"", &{
        let mut pong = vec![0x8a, 125];
        pong.extend_from_slice(&[7; 125]);
        pong
    });
}

#[test]
fn payload_is_handed_on_before_its_frame_is_whole() {
    let mut connection = Connection::open();
    let frame = masked(FIN | BINARY, &[b'x'; 60_000]);
    assert_eq!(connection.receive(&frame[..10_000]), Received::Data);
    assert_eq!(connection.data.len(), 10_000 - 8);
    assert!(connection.kept.is_empty());
    assert_eq!(connection.receive(&frame[10_000..]), Received::Data);
    assert_eq!(connection.data, [b'x'; 60_000]);
}

#[test]
fn a_text_frame_is_not_supported() {
    check_closed(&[masked(FIN | TEXT, b"hello")], 1003);
}

#[test]
fn an_unmasked_frame_breaks_the_protocol() {
    check_closed(&[b"\x82\x05Hello".to_vec()], 1002);
}

#[test]
fn reserved_bits_and_opcodes_break_the_protocol() {
    for bit in [0x10, 0x20, 0x40] {
        check_closed(&[masked(FIN | bit | BINARY, b"")], 1002);
    }
    for opcode in (3..8).chain(11..16) {
        check_closed(&[masked(FIN | opcode, b"")], 1002);
    }
}

#[test]
fn fragmented_or_large_control_frames_break_the_protocol() {
    for opcode in [CLOSE, PING, PONG] {
        check_closed(&[masked(opcode, b"")], 1002);
        check_closed(&[masked(FIN | opcode, &[0; 126])], 1002);
    }
}

#[test]
fn messages_that_do_not_follow_each_other_break_the_protocol() {
    check_closed(&[masked(FIN | CONTINUE, b"a")], 1002);
    check_closed(&[masked(BINARY, b"a"), masked(FIN | BINARY, b"b")], 1002);
}

#[test]
fn a_length_longer_than_needed_breaks_the_protocol() {
    check_closed(&[vec![FIN | BINARY, 0x80 | 126, 0, 1, 0, 0, 0, 0, b'a']], 1002);
}

#[test]
fn a_frame_may_be_as_large_as_the_limit_and_no_larger() {
    let largest = vec![1; LIMITS.frame_bytes_max];
    check(&[masked(FIN | BINARY, &largest)], Received::Data, &largest, b"");
    check_closed(&[masked(FIN | BINARY, &[1; LIMITS.frame_bytes_max + 1])], 1009);
    let head = [&[FIN | BINARY, 0x80 | 127][..], &[0xff; 8], &[0; 4]].concat();
    check_closed(&[head], 1009);
}

#[test]
fn a_message_may_be_larger_than_a_frame() {
    let half = vec![1; LIMITS.frame_bytes_max];
    let frames = [masked(BINARY, &half), masked(FIN | CONTINUE, &half)];
    check(&frames, Received::Data, &half.repeat(2), b"");
}

#[test]
fn a_close_is_answered_with_its_code() {
    check(&[masked(FIN | CLOSE, b"")], Received::Closed, b"", b"\x88\x00");
    for code in [1000, 1001, 3000, 4999] {
        let reasoned = [&close(code)[..], "à bientôt".as_bytes()].concat();
        let expected = [&b"\x88\x02"[..], &close(code)].concat();
        check(&[masked(FIN | CLOSE, &reasoned)], Received::Closed, b"", &expected);
    }
}

#[test]
fn payload_from_before_a_close_is_given() {
    let frames = [masked(FIN | BINARY, b"last"), masked(FIN | CLOSE, b"")];
    check(&frames, Received::Closed, b"last", b"\x88\x00");
}

#[test]
fn a_close_that_is_wrong_is_answered_with_what_is_wrong_with_it() {
    check_closed(&[masked(FIN | CLOSE, b"\x03")], 1002);
    for code in [0, 999, 1005, 1006, 1015, 5000] {
        check_closed(&[masked(FIN | CLOSE, &close(code))], 1002);
    }
    check_closed(&[masked(FIN | CLOSE, b"\x03\xe8\xff")], 1007);
}

#[test]
fn the_broker_closes_with_a_frame_only_after_the_handshake() {
    let mut connection = Connection::new();
    connection.web_socket.encode_close(&mut connection.out);
    assert!(connection.out.is_empty());
    let mut connection = Connection::open();
    connection.web_socket.encode_close(&mut connection.out);
    assert_eq!(connection.out, b"\x88\x02\x03\xe8"[..]);
}

#[test]
fn after_a_refusal_nothing_is_taken_for_frames() {
    let mut connection = Connection::new();
    let request = REQUEST.replace("GET", "PUT");
    assert_eq!(connection.receive(request.as_bytes()), Received::Closed);
    let written = connection.out.len();
    assert_eq!(connection.receive(&masked(FIN | BINARY, b"x")), Received::Closed);
    connection.web_socket.encode_close(&mut connection.out);
    assert_eq!((connection.data.len(), connection.out.len()), (0, written));
}

/// Frames of which most are as they should be.
fn frame() -> impl Strategy<Value = Vec<u8>> {
    let payload = prop_oneof![
        4 => prop::collection::vec(any::<u8>(), 0..30),
        1 => prop::collection::vec(any::<u8>(), 120..300),
    ];
    let first = prop_oneof![
        20 => prop::sample::select(vec![
            FIN | BINARY, FIN | BINARY, BINARY, CONTINUE, FIN | CONTINUE, FIN | PING, FIN | PONG,
        ]),
        1 => any::<u8>(),
    ];
    prop_oneof![
        30 => (first, payload).prop_map(|(first, payload)| masked(first, &payload)),
        1 => prop::collection::vec(any::<u8>(), 0..20),
    ]
}

fn request() -> impl Strategy<Value = String> {
    let broken = (0..REQUEST.len(), any::<char>())
        .prop_map(|(at, found)| format!("{}{found}{}", &REQUEST[..at], &REQUEST[at + 1..]));
    let long = (7900usize..8300).prop_map(|bytes| {
        REQUEST.replace("Host:", &format!("Cookie: {}\r\nHost:", "x".repeat(bytes - REQUEST.len())))
    });
    prop_oneof![4 => Just(REQUEST.to_owned()), 1 => broken, 1 => long]
}

proptest! {
    #[test]
    fn however_input_is_split_the_result_is_the_same(
        request in request(),
        frames in prop::collection::vec(frame(), 0..12),
        splits in prop::collection::vec(1usize..40, 1..20),
    ) {
        let stream = [request.as_bytes(), &frames.concat()].concat();
        let mut whole = Connection::new();
        let whole_closed = whole.receive(&stream) == Received::Closed;
        let mut split = Connection::new();
        let (mut rest, mut splits) = (&stream[..], splits.iter().cycle());
        let mut split_closed = false;
        while !rest.is_empty() {
            let bytes = rest.len().min(*splits.next().expect("a cycle"));
            split_closed = split.receive(&rest[..bytes]) == Received::Closed;
            rest = &rest[bytes..];
        }
        prop_assert_eq!(split_closed, whole_closed);
        prop_assert_eq!(split.data, whole.data);
        prop_assert_eq!(split.out, whole.out);
        prop_assert_eq!(split.kept, whole.kept);
    }

    #[test]
    fn no_bytes_of_a_peer_panic(stream in prop::collection::vec(any::<u8>(), 0..300)) {
        Connection::new().receive(&stream);
        Connection::open().receive(&stream);
    }

    #[test]
    fn another_implementation_is_understood_and_understands(
        messages in prop::collection::vec((0usize..3, 0usize..70_000), 0..6),
        // The client takes shorter reads of a handshake for an attack.
        step in 150usize..5000,
    ) {
        let mut client = Client::connect(step);
        let (mut sent, mut expected) = (Vec::new(), Vec::new());
        for (kind, bytes) in messages {
            let payload: Vec<u8> = (0..bytes).map(|index| (index * 7 + bytes) as u8).collect();
            match kind {
                0 => {
                    sent.extend_from_slice(&payload);
                    client.send(ClientMessage::Binary(payload.into()));
                }
                1 => {
                    let payload = payload[..bytes.min(CONTROL_BYTES_MAX)].to_vec();
                    expected.push(ClientMessage::Pong(payload.clone().into()));
                    client.send(ClientMessage::Ping(payload.into()));
                }
                _ => {
                    client.pipe.borrow_mut().push_frame(&payload);
                    expected.push(ClientMessage::Binary(payload.into()));
                }
            }
        }
        let received = client.receive(expected.len());
        prop_assert_eq!(received, expected);
        prop_assert_eq!(&client.pipe.borrow().connection.data, &sent);
        client.close();
        prop_assert_eq!(client.pipe.borrow().received, Received::Closed);
    }
}

/// A connection as the other implementation's stream, which reads a few bytes at a time.
struct Pipe {
    connection: Connection,
    received: Received,
    step: usize,
}

impl Pipe {
    fn push_frame(&mut self, payload: &[u8]) {
        WebSocket::encode_frame_head(payload.len(), &mut self.connection.out);
        self.connection.out.extend_from_slice(payload);
    }
}

struct Stream(Rc<RefCell<Pipe>>);

impl Read for Stream {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let mut pipe = self.0.borrow_mut();
        let bytes = room.len().min(pipe.step).min(pipe.connection.out.len());
        if bytes == 0 && pipe.received != Received::Closed {
            return Err(ErrorKind::WouldBlock.into());
        }
        room[..bytes].copy_from_slice(&pipe.connection.out.split_to(bytes));
        Ok(bytes)
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut pipe = self.0.borrow_mut();
        let bytes = &bytes[..bytes.len().min(pipe.step)];
        pipe.received = pipe.connection.receive(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The other implementation's client.
struct Client {
    socket: tungstenite::WebSocket<Stream>,
    pipe: Rc<RefCell<Pipe>>,
}

impl Client {
    fn connect(step: usize) -> Self {
        let connection = Connection::new();
        let pipe = Pipe { connection, received: Received::NeedMore, step };
        let pipe = Rc::new(RefCell::new(pipe));
        let mut request = "ws://broker/mqtt".into_client_request().expect("a request");
        let offered = "mqtt".parse().expect("a header");
        request.headers_mut().insert("Sec-WebSocket-Protocol", offered);
        let config = Some(WebSocketConfig::default());
        let mut result =
            tungstenite::client::client_with_config(request, Stream(Rc::clone(&pipe)), config);
        loop {
            match result {
                Ok((socket, response)) => {
                    assert_eq!(response.headers()["Sec-WebSocket-Protocol"], "mqtt");
                    return Self { socket, pipe };
                }
                Err(HandshakeError::Interrupted(handshake)) => result = handshake.handshake(),
                Err(error) => panic!("{error}"),
            }
        }
    }

    fn send(&mut self, message: ClientMessage) {
        self.socket.send(message).expect("sent");
    }

    fn receive(&mut self, count: usize) -> Vec<ClientMessage> {
        (0..count).map(|_| self.socket.read().expect("a message")).collect()
    }

    fn close(&mut self) {
        self.socket.close(None).expect("closed");
        assert!(matches!(self.socket.read(), Ok(ClientMessage::Close(None))));
        assert!(matches!(self.socket.read(), Err(Error::ConnectionClosed)));
    }
}
