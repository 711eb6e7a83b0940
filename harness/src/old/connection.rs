//! A blocking socket and the bytes read from it that are not consumed yet.

use super::DriverError;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// How long an answer, and room to write, is waited for.
pub(super) const ANSWER_MS_MAX: u64 = 10_000;

/// How long a stream's subscriber waits in one read before it looks around.
pub(super) const STREAM_READ_MS_MAX: u64 = 20;

/// Room that a read finds at least.
const READ_BYTES_MIN: usize = 256 * 1024;

/// Room for what was read, unless one frame needs more.
const INPUT_BYTES: usize = 2 * READ_BYTES_MIN;

/// What one read brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Filled {
    Bytes,
    Nothing,
}

/// How long a read waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Patience {
    /// As long as an answer may take; then it is an error.
    Answer,
    /// A moment; then there is nothing.
    Stream,
}

pub(super) struct Connection {
    socket: TcpStream,
    patience: Patience,
    input: Vec<u8>,
    start: usize,
    end: usize,
}

impl Connection {
    pub(super) fn open(address: SocketAddr) -> Result<Self, DriverError> {
        let wait = Duration::from_millis(ANSWER_MS_MAX);
        let connect = || {
            let socket = TcpStream::connect_timeout(&address, wait)?;
            socket.set_nodelay(true)?;
            socket.set_read_timeout(Some(wait))?;
            socket.set_write_timeout(Some(wait))?;
            Ok(socket)
        };
        let socket = connect().map_err(|source| DriverError::Connect { address, source })?;
        let input = vec![0; INPUT_BYTES];
        Ok(Self { socket, patience: Patience::Answer, input, start: 0, end: 0 })
    }

    pub(super) fn set_patience(&mut self, patience: Patience) -> Result<(), DriverError> {
        let wait_ms = match patience {
            Patience::Answer => ANSWER_MS_MAX,
            Patience::Stream => STREAM_READ_MS_MAX,
        };
        self.patience = patience;
        self.socket
            .set_read_timeout(Some(Duration::from_millis(wait_ms)))
            .map_err(|source| DriverError::Io { doing: "setting a timeout", source })
    }

    /// Bytes read and not consumed.
    #[inline]
    pub(super) fn input(&self) -> &[u8] {
        &self.input[self.start..self.end]
    }

    #[inline]
    pub(super) fn consume(&mut self, bytes: usize) {
        self.start += bytes;
        debug_assert!(self.start <= self.end);
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
    }

    /// Reads once. `input_bytes_min`: how long the input must become to be of use.
    pub(super) fn fill(
        &mut self,
        expected: &'static str,
        input_bytes_min: usize,
    ) -> Result<Filled, DriverError> {
        self.make_room(input_bytes_min);
        match self.socket.read(&mut self.input[self.end..]) {
            Ok(0) => Err(DriverError::Closed { expected }),
            Ok(bytes) => {
                self.end += bytes;
                Ok(Filled::Bytes)
            }
            Err(error) if is_timeout(&error) => match self.patience {
                Patience::Stream => Ok(Filled::Nothing),
                Patience::Answer => {
                    Err(DriverError::TimedOut { expected, waited_ms: ANSWER_MS_MAX })
                }
            },
            Err(source) if source.kind() == ErrorKind::Interrupted => Ok(Filled::Nothing),
            Err(source) => Err(DriverError::Io { doing: "reading", source }),
        }
    }

    pub(super) fn send(&mut self, bytes: &[u8]) -> Result<(), DriverError> {
        self.socket.write_all(bytes).map_err(|source| {
            if is_timeout(&source) {
                let expected = "the broker to take what was sent";
                return DriverError::TimedOut { expected, waited_ms: ANSWER_MS_MAX };
            }
            DriverError::Io { doing: "writing", source }
        })
    }

    fn make_room(&mut self, input_bytes_min: usize) {
        let room_bytes = READ_BYTES_MIN.max(input_bytes_min.saturating_sub(self.input().len()));
        if self.input.len() - self.end >= room_bytes {
            return;
        }
        self.input.copy_within(self.start..self.end, 0);
        (self.start, self.end) = (0, self.end - self.start);
        if self.input.len() < self.end + room_bytes {
            self.input.resize(self.end + room_bytes, 0);
        }
    }
}

fn is_timeout(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}
