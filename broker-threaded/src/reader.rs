//! The thread that reads a connection, and with it the connection's life.

use crate::connection::{Connection, Inner, Write};
use crate::server::Server;
use broker_core::{Input, Received, Turn, Wakes};
use std::io::{self, Read};
use std::net::TcpStream;
use std::sync::{Arc, MutexGuard};
use std::time::Duration;

/// The read buffer of a connection at rest.
const READ_BYTES_MIN: usize = 4 * 1024;

/// The read buffer of a connection under load.
const READ_BYTES_MAX: usize = 256 * 1024;

/// So many reads in a row that would have fitted into a quarter of the buffer halve it.
const SMALL_READS_MAX: u32 = 16;

/// Reads a connection until its end.
pub(crate) fn run(server: &Arc<Server>, connection: &Arc<Connection>) {
    let mut reader =
        Reader { server, connection, input: Input::new(), wakes: Wakes::new(), timed: false };
    if let Err(error) = reader.read_all() {
        tracing::debug!(connection = connection.key().0, %error, "connection broken");
    }
    server.remove(connection);
    tracing::info!(connection = connection.key().0, "disconnected");
}

struct Reader<'a> {
    server: &'a Arc<Server>,
    connection: &'a Arc<Connection>,
    input: Input,
    wakes: Wakes,
    /// Whether a blocking read ends when the session's deadline may have come.
    timed: bool,
}

impl Reader<'_> {
    /// Reads and handles until the peer has sent all, then until all is written.
    fn read_all(&mut self) -> io::Result<()> {
        let mut scratch = Scratch::new();
        loop {
            match self.read_once(&mut scratch.buffer) {
                Ok(Received { bytes: 0, .. }) => break,
                Ok(received) => scratch.fit(received),
                Err(error) if is_timeout(&error) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
            self.settle()?;
        }
        self.flush();
        Ok(())
    }

    /// Reads once and has the session handle what came.
    fn read_once(&mut self, scratch: &mut [u8]) -> io::Result<Received> {
        let Self { server, connection, input, wakes, .. } = self;
        let mut socket: &TcpStream = &connection.socket;
        input.receive(
            scratch,
            |room| socket.read(room),
            |bytes| handle(server, connection, bytes, wakes),
        )
    }

    /// Carries what the session caused, and waits until it wants input again.
    fn settle(&mut self) -> io::Result<()> {
        self.server.carry(&mut self.wakes);
        loop {
            // Others may have left mail while this thread had the lock.
            self.connection.drive(self.server, &mut self.wakes);
            self.server.carry(&mut self.wakes);
            let seen = self.connection.changes();
            let inner = self.connection.lock();
            let deadline = inner.session.poll_timeout();
            let now = self.server.clock.now();
            if deadline.is_some_and(|deadline| deadline <= now) {
                self.handle_timeout(inner);
                continue;
            }
            let limit = deadline.map(|deadline| now.until(deadline));
            let done = inner.session.is_closing() || inner.broken || self.server.is_draining();
            if done || inner.session.wants_input(&inner.output) {
                drop(inner);
                if done || self.input.is_empty() || !self.offer_again() {
                    return self.set_time_limit(limit);
                }
                continue;
            }
            drop(inner);
            self.connection.wait_for_change(seen, limit);
        }
    }

    fn handle_timeout(&mut self, mut inner: MutexGuard<'_, Inner>) {
        let Inner { session, output, .. } = &mut *inner;
        let now = self.server.clock.now();
        session.handle_timeout(&mut Turn { out: output, wakes: &mut self.wakes, now });
        self.connection.pump(&mut inner, Write::AtOnce, self.server, &mut self.wakes);
    }

    /// Offers the session what it did not take before. Gives whether it is to be looked at again:
    /// it took some, or it will once it wants input again. Else the rest needs more bytes.
    fn offer_again(&mut self) -> bool {
        let Self { server, connection, input, wakes, .. } = self;
        let mut taken = 0;
        input.offer(|bytes| {
            taken = handle(server, connection, bytes, wakes);
            taken
        });
        server.carry(wakes);
        let inner = connection.lock();
        taken > 0 || !inner.session.wants_input(&inner.output)
    }

    /// Has the next read end when the session's deadline comes. A limit once set stays until a
    /// read ends by it, so that a busy connection does not set it anew for each read.
    fn set_time_limit(&mut self, limit: Option<Duration>) -> io::Result<()> {
        if limit.is_some() == self.timed {
            return Ok(());
        }
        self.timed = limit.is_some();
        let limit = limit.map(|limit| limit.max(Duration::from_millis(1)));
        self.connection.socket.set_read_timeout(limit)
    }

    /// Waits until what was answered is written.
    fn flush(&mut self) {
        self.server.carry(&mut self.wakes);
        self.connection.drive(self.server, &mut self.wakes);
        self.server.carry(&mut self.wakes);
        let mut seen = self.connection.changes();
        if self.connection.lock().is_flushed() {
            return;
        }
        self.server.bound_ending(self.connection);
        while !self.connection.lock().is_flushed() {
            self.connection.wait_for_change(seen, None);
            self.connection.drive(self.server, &mut self.wakes);
            seen = self.connection.changes();
        }
    }
}

/// Has the session handle `bytes`, and writes its answers; gives how many it took.
fn handle(
    server: &Arc<Server>,
    connection: &Arc<Connection>,
    bytes: &[u8],
    wakes: &mut Wakes,
) -> usize {
    let mut inner = connection.lock();
    if server.is_draining() {
        return bytes.len();
    }
    let Inner { session, output, .. } = &mut *inner;
    let mut turn = Turn { out: output, wakes, now: server.clock.now() };
    let taken = session.handle_input(bytes, &mut turn);
    connection.pump(&mut inner, Write::AtOnce, server, wakes);
    taken
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

/// A read buffer that grows under load and shrinks at rest.
struct Scratch {
    buffer: Vec<u8>,
    small_reads: u32,
}

impl Scratch {
    fn new() -> Self {
        Self { buffer: vec![0; READ_BYTES_MIN], small_reads: 0 }
    }

    fn fit(&mut self, received: Received) {
        let length = self.buffer.len();
        if received.bytes == received.room_bytes && length < READ_BYTES_MAX {
            self.buffer = vec![0; (length * 4).min(READ_BYTES_MAX)];
        }
        if received.bytes >= length / 4 {
            self.small_reads = 0;
            return;
        }
        self.small_reads += 1;
        if self.small_reads >= SMALL_READS_MAX && length > READ_BYTES_MIN {
            self.buffer = vec![0; length / 2];
            self.small_reads = 0;
        }
    }
}
