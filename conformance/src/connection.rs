//! A socket to the broker, its received bytes, and a limit on every wait.

use crate::WAIT_MAX;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

/// Room made for each read.
const READ_BYTES: usize = 64 * 1024;

/// A connection that knows nothing of what it carries.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    /// What was received; taken from the front up to `taken`.
    received: Vec<u8>,
    taken: usize,
}

impl Connection {
    /// Connects to a broker.
    #[track_caller]
    pub fn open(address: SocketAddr) -> Self {
        Self::try_open(address).expect("the broker listens")
    }

    /// Connects to a broker that may be gone.
    ///
    /// # Errors
    /// When nobody listens there.
    pub fn try_open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, WAIT_MAX)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(WAIT_MAX))?;
        stream.set_write_timeout(Some(WAIT_MAX))?;
        Ok(Self { stream, received: Vec::new(), taken: 0 })
    }

    /// Sends all of `bytes`.
    #[track_caller]
    pub fn send(&mut self, bytes: &[u8]) {
        self.try_send(bytes).expect("the broker reads within the limit");
    }

    /// Sends all of `bytes` to a broker that may have closed the connection.
    ///
    /// # Errors
    /// When the connection is closed, or the broker reads too slowly.
    pub fn try_send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// Says that nothing more will be sent; receiving goes on.
    pub fn finish_sending(&mut self) {
        self.stream.shutdown(Shutdown::Write).expect("an open socket");
    }

    /// Takes a line, its newline taken off; `None` where the connection ended before any.
    #[track_caller]
    pub fn take_line(&mut self) -> Option<Vec<u8>> {
        let mut searched = 0;
        loop {
            let found = self.held()[searched..].iter().position(|byte| *byte == b'\n');
            if let Some(found) = found {
                let line = self.held()[..searched + found].to_vec();
                self.consume(line.len() + 1);
                return Some(line);
            }
            searched = self.held().len();
            if !self.receive("a line") {
                assert_eq!(self.held(), b"", "the connection ended within a line");
                return None;
            }
        }
    }

    /// What was received and not yet taken.
    #[must_use]
    pub fn held(&self) -> &[u8] {
        &self.received[self.taken..]
    }

    /// Takes `count` bytes of what is held.
    pub fn consume(&mut self, count: usize) {
        assert!(count <= self.held().len(), "only what was received can be taken");
        self.taken += count;
    }

    /// Receives more bytes, waiting for them; false where the connection ended instead. `awaited`
    /// is what the test waits for, to be told if it does not come.
    #[track_caller]
    pub fn receive(&mut self, awaited: &str) -> bool {
        match self.try_receive() {
            Ok(count) => count > 0,
            Err(error) => panic!("expected {awaited} within {WAIT_MAX:?}, found {error}"),
        }
    }

    /// Receives what comes within `patience`; false if nothing does. For a test that keeps
    /// something else going while it waits.
    #[track_caller]
    pub fn receive_within(&mut self, patience: Duration) -> bool {
        match self.try_receive_within(patience) {
            Ok(count) => count > 0,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                false
            }
            Err(error) => panic!("expected bytes or silence, found {error}"),
        }
    }

    /// Fails unless the broker closes the connection in order, with nothing more to say.
    #[track_caller]
    pub fn assert_ended(&mut self) {
        let more = self.receive("the end of the connection");
        let shown = String::from_utf8_lossy(self.held());
        assert!(!more && shown.is_empty(), "expected the end of the connection, found {shown:?}");
    }

    /// Receives what comes within `patience` from a broker that may be gone; 0 where the connection
    /// ended in order.
    ///
    /// # Errors
    /// When the connection broke, or nothing came in that time.
    pub fn try_receive_within(&mut self, patience: Duration) -> io::Result<usize> {
        self.stream.set_read_timeout(Some(patience))?;
        let read = self.try_receive();
        self.stream.set_read_timeout(Some(WAIT_MAX))?;
        read
    }

    /// Receives more bytes from a broker that may be gone; 0 where the connection ended in order.
    ///
    /// # Errors
    /// When the connection broke, or nothing came within the limit.
    pub fn try_receive(&mut self) -> io::Result<usize> {
        self.received.drain(..self.taken);
        self.taken = 0;
        let start = self.received.len();
        self.received.resize(start + READ_BYTES, 0);
        let read = loop {
            match self.stream.read(&mut self.received[start..]) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                read => break read,
            }
        };
        self.received.truncate(start + *read.as_ref().unwrap_or(&0));
        read
    }
}
