//! Conversations held to a point over a blocking socket: for what is prepared and removed, and
//! never measured.

use super::{Conversation, Heard, Operator, Request, Tidings};
use crate::clock::Clock;
use crate::drivers::DriverError;
use crate::intake::{Intake, Recorder};
use crate::ledger::Ledger;
use crate::message::{MESSAGE_BYTES_MIN, Payloads};
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

/// How long an answer, and room to write, is waited for.
pub(super) const ANSWER_MS_MAX: u64 = 10_000;

const READ_BYTES: usize = 64 * 1024;

/// Connects and holds a conversation until it is ready, then hangs up.
///
/// # Errors
/// Any [`DriverError`].
pub fn hold_conversation(
    address: SocketAddr,
    conversation: &mut dyn Conversation,
) -> Result<(), DriverError> {
    Line::open(address, conversation)?;
    Ok(())
}

/// Connects an operator and has it make requests, one after the other; every one must be granted.
///
/// # Errors
/// Any [`DriverError`]; a refusal is one.
pub fn hold_requests<'a>(
    address: SocketAddr,
    operator: &mut dyn Operator,
    requests: impl IntoIterator<Item = Request<'a>>,
) -> Result<(), DriverError> {
    let mut line = Line::open(address, operator)?;
    for request in requests {
        let mut output = Vec::new();
        operator.request(&request, &mut output)?;
        line.write(&output)?;
        line.read_until(operator, "an answer", |tidings| !tidings.answers.is_empty())?;
        line.tidings.answers.drain(..).try_for_each(|answer| answer.map(|_| ()))?;
    }
    Ok(())
}

/// Connects an operator and has it publish the same message `count` times, in any way.
///
/// # Errors
/// As for [`hold_requests`].
pub fn hold_fill(
    address: SocketAddr,
    operator: &mut dyn Operator,
    topic: &str,
    payload: &[u8],
    count: u32,
) -> Result<(), DriverError> {
    /// So many publications are written before their answers are read: what both sides hold of
    /// these is small enough that neither waits for the other.
    const FILL_MESSAGES: u32 = 1000;
    let mut line = Line::open(address, operator)?;
    let mut left = count;
    while left > 0 {
        let some = left.min(FILL_MESSAGES);
        let mut output = Vec::new();
        let answers = operator.fill(topic, payload, some, &mut output)? as usize;
        line.write(&output)?;
        line.read_until(operator, "an answer", |tidings| tidings.answers.len() >= answers)?;
        line.tidings.answers.drain(..).try_for_each(|answer| answer.map(|_| ()))?;
        left -= some;
    }
    Ok(())
}

/// A blocking socket, and what was read from it and not used.
struct Line {
    socket: TcpStream,
    input: Vec<u8>,
    tidings: Tidings,
    recorder: Recorder,
    ledger: Ledger,
}

impl Line {
    fn open(address: SocketAddr, conversation: &mut dyn Conversation) -> Result<Self, DriverError> {
        let wait = Duration::from_millis(ANSWER_MS_MAX);
        let connect = || {
            let socket = TcpStream::connect_timeout(&address, wait)?;
            socket.set_nodelay(true)?;
            socket.set_read_timeout(Some(wait))?;
            socket.set_write_timeout(Some(wait))?;
            Ok(socket)
        };
        let socket = connect().map_err(|source| DriverError::Connect { address, source })?;
        // What is delivered here is not looked at.
        let payloads = Arc::new(Payloads::fixed(MESSAGE_BYTES_MIN));
        let recorder = Recorder::new(Clock::start(), payloads, 0, 1);
        let (input, tidings, ledger) = (Vec::new(), Tidings::default(), Ledger::new(0));
        let mut line = Self { socket, input, tidings, recorder, ledger };
        let mut opening = Vec::new();
        conversation.poll_opening(&mut opening);
        line.write(&opening)?;
        line.read_until(conversation, "to be let in", |tidings| tidings.ready)?;
        Ok(line)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), DriverError> {
        self.socket.write_all(bytes).map_err(|source| failed("writing", source))
    }

    fn read_until(
        &mut self,
        conversation: &mut (impl Conversation + ?Sized),
        expected: &'static str,
        is_there: impl Fn(&Tidings) -> bool,
    ) -> Result<(), DriverError> {
        let mut read = vec![0; READ_BYTES];
        while !is_there(&self.tidings) {
            let bytes = match self.socket.read(&mut read) {
                Ok(0) => return Err(DriverError::Closed { expected }),
                Ok(bytes) => bytes,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(source) => return Err(failed(expected, source)),
            };
            self.input.extend_from_slice(&read[..bytes]);
            let mut replies = Vec::new();
            let mut intake = Intake::new(&mut self.recorder, &mut self.ledger, 0);
            let mut heard = Heard::new(&mut intake, &mut replies, &mut self.tidings);
            let used = conversation.handle_input(&self.input, &mut heard)?;
            self.input.drain(..used);
            self.write(&replies)?;
        }
        Ok(())
    }
}

fn failed(expected: &'static str, source: std::io::Error) -> DriverError {
    match source.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => {
            DriverError::TimedOut { expected, waited_ms: ANSWER_MS_MAX }
        }
        _ => DriverError::Io { doing: expected, source },
    }
}
