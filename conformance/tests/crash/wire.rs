//! Both dialects, said to a broker that may be gone at any moment.

use conformance::{Connection, Leased, Pulled, Received, Reply};
use protocol::native::{
    BROKER_GREETING_BYTES, BrokerGreeting, FrameDecoder, FrameStep, client_greeting,
    decode_response, encode_request,
};
use protocol::{Code, Request};
use serde_json::Value;
use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;

/// The largest frame that is read; no broker sends a larger one.
const FRAME_BYTES_MAX: usize = 1 << 30;

/// How often a silence as long as the suite's limit is borne: a subscriber may have nothing to
/// hear while others keep the broker busy.
const SILENCES_MAX: u32 = 6;

/// The broker is gone, or about to be: nothing more is to be had from this connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Gone;

impl From<io::Error> for Gone {
    fn from(_: io::Error) -> Self {
        Self
    }
}

/// Receives more bytes.
pub(crate) fn receive(connection: &mut Connection) -> Result<(), Gone> {
    for _ in 0..SILENCES_MAX {
        match connection.try_receive() {
            Ok(0) => return Err(Gone),
            Ok(_) => return Ok(()),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(_) => return Err(Gone),
        }
    }
    panic!("expected the broker to say something, or to be gone, found silence");
}

/// A connection that speaks the native wire.
#[derive(Debug)]
pub(crate) struct NativeWire {
    connection: Connection,
    decoder: FrameDecoder,
    correlation_next: u32,
    /// Pushed frames that came while an answer was awaited.
    pushed: VecDeque<Received>,
}

impl NativeWire {
    /// Connects and greets.
    pub(crate) fn open(address: SocketAddr) -> Result<Self, Gone> {
        let mut connection = Connection::try_open(address)?;
        connection.try_send(&client_greeting())?;
        let greeting = loop {
            match BrokerGreeting::decode(connection.held()).expect("a Tandem broker's greeting") {
                Some(greeting) => break greeting,
                None => receive(&mut connection)?,
            }
        };
        connection.consume(BROKER_GREETING_BYTES);
        if !greeting.accepted {
            return Err(Gone);
        }
        let decoder = FrameDecoder::new(FRAME_BYTES_MAX);
        Ok(Self { connection, decoder, correlation_next: 1, pushed: VecDeque::new() })
    }

    /// Sends `request` and gives its correlation id, a new one.
    pub(crate) fn send(&mut self, request: &Request<'_>) -> Result<u32, Gone> {
        let correlation = self.correlation_next;
        self.correlation_next += 1;
        let mut bytes = Vec::new();
        encode_request(request, correlation, &mut bytes);
        self.connection.try_send(&bytes)?;
        Ok(correlation)
    }

    /// The next frame, whatever it is, unless it says that the broker stops.
    pub(crate) fn read(&mut self) -> Result<Received, Gone> {
        match self.pushed.pop_front() {
            Some(pushed) => Ok(pushed),
            None => self.read_frame(),
        }
    }

    /// Sends `request` and reads its answer; what is pushed before it is kept for later.
    pub(crate) fn ask(&mut self, request: &Request<'_>) -> Result<Reply, Gone> {
        let correlation = self.send(request)?;
        loop {
            let received = self.read_frame()?;
            if received.correlation == correlation
                && !matches!(received.reply, Reply::Deliver(_) | Reply::Redeliver { .. })
            {
                return Ok(received.reply);
            }
            self.pushed.push_back(received);
        }
    }

    fn read_frame(&mut self) -> Result<Received, Gone> {
        loop {
            match self.decoder.next(self.connection.held()) {
                FrameStep::Frame { consumed, frame } => {
                    let correlation = frame.correlation;
                    let response = decode_response(frame).expect("a response of the wire");
                    let reply = Reply::from_response(&response);
                    self.connection.consume(consumed);
                    return match reply {
                        Reply::Refused(Code::ShuttingDown) | Reply::Ended(Code::ShuttingDown) => {
                            Err(Gone)
                        }
                        reply => Ok(Received { correlation, reply }),
                    };
                }
                FrameStep::NeedMore { .. } => receive(&mut self.connection)?,
                other => panic!("expected a frame, found {other:?}"),
            }
        }
    }
}

/// A connection that speaks JSON lines.
#[derive(Debug)]
pub(crate) struct JsonWire {
    connection: Connection,
}

impl JsonWire {
    /// Connects.
    pub(crate) fn open(address: SocketAddr) -> Result<Self, Gone> {
        Ok(Self { connection: Connection::try_open(address)? })
    }

    /// Sends `request` as one line.
    pub(crate) fn send(&mut self, request: &Value) -> Result<(), Gone> {
        Ok(self.connection.try_send(format!("{request}\n").as_bytes())?)
    }

    /// Reads one answer, unless it says that the broker stops.
    pub(crate) fn read(&mut self) -> Result<Value, Gone> {
        let length = loop {
            match self.connection.held().iter().position(|byte| *byte == b'\n') {
                Some(length) => break length,
                None => receive(&mut self.connection)?,
            }
        };
        let line = &self.connection.held()[..length];
        let answer: Value = serde_json::from_slice(line).unwrap_or_else(|error| {
            panic!("expected JSON, found {:?}: {error}", String::from_utf8_lossy(line))
        });
        self.connection.consume(length + 1);
        match answer["error"]["code"].as_str() {
            Some("shutting_down") => Err(Gone),
            _ => Ok(answer),
        }
    }

    /// Sends `request` and reads its answer.
    pub(crate) fn ask(&mut self, request: &Value) -> Result<Value, Gone> {
        self.send(request)?;
        self.read()
    }
}

/// A number in an answer that must have it.
#[track_caller]
pub(crate) fn number(answer: &Value, key: &str) -> u64 {
    answer[key].as_u64().unwrap_or_else(|| panic!("expected {key:?}, found {answer}"))
}

/// What a PULL in JSON took of a subscription.
#[track_caller]
pub(crate) fn pulled(answer: &Value) -> Pulled {
    let messages = answer["messages"].as_array();
    let messages = messages.unwrap_or_else(|| panic!("expected messages, found {answer}"));
    let text = |message: &Value| message.as_str().expect("the test publishes text").to_owned();
    Pulled {
        messages: messages.iter().map(|message| text(message).into_bytes()).collect(),
        headers: Vec::new(),
        lost: answer["lost"].as_u64().unwrap_or(0),
        remaining: answer["remaining"].as_u64().unwrap_or(0),
    }
}

/// What a PULL in JSON took of a group.
#[track_caller]
pub(crate) fn leased(answer: &Value) -> Leased {
    let offsets = answer["offsets"].as_array();
    let offsets = offsets.unwrap_or_else(|| panic!("expected offsets, found {answer}"));
    Leased {
        pulled: pulled(answer),
        offsets: offsets.iter().map(|offset| offset.as_u64().expect("an offset")).collect(),
        deliveries: u32::try_from(number(answer, "deliveries")).expect("few deliveries"),
    }
}
