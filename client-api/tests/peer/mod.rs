//! A scripted broker: each test says what it expects to be asked and what it answers.

#![allow(dead_code, reason = "each test binary uses its own part of this")]

use protocol::native::{
    BrokerGreeting, CLIENT_GREETING_BYTES, FrameDecoder, FrameStep, VERSION, check_client_greeting,
    decode_request, encode_broker_greeting, encode_response,
};
use protocol::{BatchBuilder, Messages, Request, Response};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// No test waits longer than this for anything.
pub(crate) const LIMIT: Duration = Duration::from_secs(10);

pub(crate) const MESSAGE_BYTES_MAX: u32 = 1 << 20;

/// A broker's end of the test.
pub(crate) struct Broker {
    pub(crate) address: SocketAddr,
    script: JoinHandle<()>,
}

impl Broker {
    /// Starts a broker that does what `script` says.
    pub(crate) fn start(script: impl FnOnce(&Listener) + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("bound");
        let script = thread::spawn(move || script(&Listener(listener)));
        Self { address, script }
    }

    /// Waits for the end of the script; what it did not find as expected fails the test.
    pub(crate) fn join(self) {
        self.script.join().expect("the broker's script went as expected");
    }
}

/// Where clients come to.
pub(crate) struct Listener(TcpListener);

impl Listener {
    /// Takes the next client and exchanges greetings.
    pub(crate) fn accept(&self) -> Connection {
        let mut connection = self.accept_silent();
        connection.read_greeting();
        connection.greet();
        connection
    }

    /// Takes the next client and says nothing.
    pub(crate) fn accept_silent(&self) -> Connection {
        let (stream, _) = self.0.accept().expect("a client");
        stream.set_read_timeout(Some(LIMIT)).expect("a socket option");
        stream.set_nodelay(true).expect("a socket option");
        Connection { stream, received: Vec::new() }
    }
}

/// One client, seen from the broker.
pub(crate) struct Connection {
    stream: TcpStream,
    received: Vec<u8>,
}

impl Connection {
    pub(crate) fn read_greeting(&mut self) {
        while check_client_greeting(&self.received).expect("a greeting").is_none() {
            self.read();
        }
        self.received.drain(..CLIENT_GREETING_BYTES);
    }

    pub(crate) fn greet(&mut self) {
        self.greet_with(true);
    }

    pub(crate) fn greet_with(&mut self, accepted: bool) {
        let greeting = BrokerGreeting {
            version: VERSION,
            accepted,
            frame_bytes_max: 4 * MESSAGE_BYTES_MAX,
            message_bytes_max: MESSAGE_BYTES_MAX,
        };
        let mut bytes = Vec::new();
        encode_broker_greeting(greeting, &mut bytes);
        self.send_bytes(&bytes);
    }

    fn read(&mut self) -> usize {
        let mut space = vec![0; 1 << 16];
        let bytes = self.stream.read(&mut space).expect("more from the client in time");
        self.received.extend_from_slice(&space[..bytes]);
        bytes
    }

    /// The next request, as it is seen by `look`.
    pub(crate) fn next<T>(&mut self, look: impl FnOnce(u32, Request<'_>) -> T) -> T {
        loop {
            let mut decoder = FrameDecoder::new(1 << 26);
            if let FrameStep::Frame { consumed, frame } = decoder.next(&self.received) {
                let correlation = frame.correlation;
                let request = decode_request(frame, 1 << 26).expect("a request");
                let seen = look(correlation, request);
                self.received.drain(..consumed);
                return seen;
            }
            assert!(self.read() > 0, "expected a request, found the end of the connection");
        }
    }

    /// The next request in the words of `Debug`, and its correlation id.
    pub(crate) fn next_words(&mut self) -> (u32, String) {
        self.next(|correlation, request| (correlation, format!("{request:?}")))
    }

    /// Expects a request whose words hold `part`; returns its correlation id.
    pub(crate) fn expect(&mut self, part: &str) -> u32 {
        let (correlation, words) = self.next_words();
        assert!(words.contains(part), "expected {part}, found {words}");
        correlation
    }

    /// Expects a publication; returns its correlation id and payloads.
    pub(crate) fn expect_publish(&mut self) -> (u32, Vec<Vec<u8>>) {
        self.next(|correlation, request| match request {
            Request::Publish { messages: Messages::Batch(batch), .. } => {
                (correlation, batch.payloads().map(<[u8]>::to_vec).collect())
            }
            other => panic!("expected a publication, found {other:?}"),
        })
    }

    /// Expects the client to close the connection without another request.
    pub(crate) fn expect_end(&mut self) {
        assert_eq!(self.received, b"", "expected the end of the connection");
        assert_eq!(self.read(), 0, "expected the end of the connection");
    }

    pub(crate) fn reply(&mut self, correlation: u32, response: &Response<'_>) {
        let mut bytes = Vec::new();
        encode_response(response, correlation, &mut bytes);
        self.send_bytes(&bytes);
    }

    pub(crate) fn deliver(&mut self, subscription: u32, base_offset: u64, payloads: &[&str]) {
        let mut builder = BatchBuilder::new();
        for payload in payloads {
            builder.push(payload.as_bytes()).expect("small");
        }
        self.reply(subscription, &Response::Deliver { base_offset, batch: builder.batch() });
    }

    pub(crate) fn send_bytes(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("the client reads");
    }
}
