//! One connection over a blocking socket, each wait of which has a limit: for clients of which there
//! are few, and that may lose their connection and make another.

use crate::drivers::DriverError;
use crate::intake::{Intake, Recorder};
use crate::ledger::Ledger;
use crate::wire::{Conversation, Heard, Tidings};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// How long connecting, being let in, and room to write may each take.
const OPEN_MS_MAX: u64 = 5_000;

const READ_BYTES: usize = 64 * 1024;

const NS_PER_S: u64 = 1_000_000_000;

/// A socket, what was read from it and not used, and what was heard.
pub(super) struct Line {
    socket: TcpStream,
    input: Vec<u8>,
    read: Box<[u8]>,
    replies: Vec<u8>,
    opened_at: Instant,
    pub(super) tidings: Tidings,
}

impl Line {
    /// Connects, and says what is said first. It is open when `tidings.ready` is.
    pub(super) fn connect(
        address: SocketAddr,
        conversation: &mut (impl Conversation + ?Sized),
    ) -> Result<Self, DriverError> {
        let wait = Duration::from_millis(OPEN_MS_MAX);
        let connect = || {
            let socket = TcpStream::connect_timeout(&address, wait)?;
            socket.set_nodelay(true)?;
            socket.set_write_timeout(Some(wait))?;
            Ok(socket)
        };
        let socket = connect().map_err(|source| DriverError::Connect { address, source })?;
        let mut line = Self {
            socket,
            input: Vec::new(),
            read: vec![0; READ_BYTES].into_boxed_slice(),
            replies: Vec::new(),
            opened_at: Instant::now(),
            tidings: Tidings::default(),
        };
        let mut opening = Vec::new();
        conversation.poll_opening(&mut opening);
        line.write(&opening)?;
        Ok(line)
    }

    /// To wait for, beside others.
    pub(super) fn socket(&self) -> &TcpStream {
        &self.socket
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), DriverError> {
        self.socket.write_all(bytes).map_err(|source| failed("writing", source))
    }

    /// Reads what there is, waiting for it at most so long; whether anything came.
    pub(super) fn read_within(&mut self, wait_ns: u64) -> Result<bool, DriverError> {
        let timeout =
            Timespec { tv_sec: (wait_ns / NS_PER_S) as i64, tv_nsec: (wait_ns % NS_PER_S) as i64 };
        let mut sockets = [PollFd::new(&self.socket, PollFlags::IN)];
        match poll(&mut sockets, Some(&timeout)) {
            Ok(0) | Err(rustix::io::Errno::INTR) => return self.check_opening().map(|()| false),
            Ok(_) => {}
            Err(error) => return Err(failed("waiting to read", error.into())),
        }
        match self.socket.read(&mut self.read) {
            Ok(0) => Err(DriverError::Closed { expected: "the connection to stay" }),
            Ok(bytes) => {
                self.input.extend_from_slice(&self.read[..bytes]);
                Ok(true)
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => Ok(false),
            Err(source) => Err(failed("reading", source)),
        }
    }

    /// Hands over what was read, and writes what is to be said to it.
    pub(super) fn hear(
        &mut self,
        conversation: &mut (impl Conversation + ?Sized),
        recorder: &mut Recorder,
        ledger: &mut Ledger,
    ) -> Result<(), DriverError> {
        recorder.begin();
        let mut intake = Intake::new(recorder, ledger, 0);
        let mut heard = Heard::new(&mut intake, &mut self.replies, &mut self.tidings);
        let used = conversation.handle_input(&self.input, &mut heard);
        recorder.end(0);
        self.input.drain(..used?);
        let replies = std::mem::take(&mut self.replies);
        self.write(&replies)?;
        self.replies = replies;
        self.replies.clear();
        Ok(())
    }

    fn check_opening(&self) -> Result<(), DriverError> {
        let waited = self.opened_at.elapsed();
        match !self.tidings.ready && waited > Duration::from_millis(OPEN_MS_MAX) {
            true => {
                let (expected, waited_ms) = ("to be let in", OPEN_MS_MAX);
                Err(DriverError::TimedOut { expected, waited_ms })
            }
            false => Ok(()),
        }
    }
}

fn failed(doing: &'static str, source: io::Error) -> DriverError {
    match source.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => {
            DriverError::TimedOut { expected: doing, waited_ms: OPEN_MS_MAX }
        }
        _ => DriverError::Io { doing, source },
    }
}
