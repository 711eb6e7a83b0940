//! The thread that reads a connection, and with it the connection's life.

use crate::connection::{Connection, Inner};
use crate::server::Server;
use broker_core::{Input, Now, Received, Turn, Wakes};
use std::io::{self, Read};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

/// The read buffer of a connection at rest.
const READ_BYTES_MIN: usize = 4 * 1024;

/// The read buffer of a connection under load.
const READ_BYTES_MAX: usize = 256 * 1024;

/// So many reads in a row that would have fitted into a quarter of the buffer halve it.
const SMALL_READS_MAX: u32 = 16;

/// Reads a connection until its end.
pub(crate) fn run(server: &Arc<Server>, connection: &Arc<Connection>) {
    let (input, wakes) = (Input::new(), Wakes::new());
    let mut reader = Reader { server, connection, input, wakes, limit: None, has_lapsed: false };
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
    /// How long a read may block, so that it ends when the session's deadline may have come.
    limit: Option<Duration>,
    /// A read has ended by that.
    has_lapsed: bool,
}

impl Reader<'_> {
    /// Reads and handles until the peer has sent all, then until all is written.
    fn read_all(&mut self) -> io::Result<()> {
        let mut scratch = Scratch::new();
        // A connection that is refused has a deadline before its first byte.
        self.settle()?;
        loop {
            match self.read_once(&mut scratch.buffer) {
                Ok(Received { bytes: 0, .. }) => break,
                Ok(received) => scratch.fit(received),
                Err(error) if is_timeout(&error) => self.has_lapsed = true,
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
        loop {
            self.server.carry(&mut self.wakes);
            let seen = self.connection.post.changes();
            let state = self.look();
            let now = self.server.clock.now();
            if state.deadline.is_some_and(|deadline| deadline <= now) {
                self.handle_timeout(now);
                continue;
            }
            let limit = state.deadline.map(|deadline| now.until(deadline));
            if state.over || (state.wants_input && !self.offer_again(state.owes_input)) {
                return self.set_time_limit(limit);
            }
            if !state.wants_input {
                self.connection.post.wait_for_change(seen, limit);
            }
        }
    }

    fn look(&mut self) -> State {
        let draining = self.server.is_draining();
        self.connection.look(self.server, &mut self.wakes, |inner| State {
            deadline: inner.session.poll_timeout(),
            wants_input: inner.session.wants_input(&inner.output),
            owes_input: inner.session.owes_input(),
            over: inner.session.is_closing() || inner.broken || draining,
        })
    }

    fn handle_timeout(&mut self, now: Now) {
        self.connection.with(self.server, &mut self.wakes, |inner, wakes| {
            let Inner { session, output, .. } = inner;
            session.handle_timeout(&mut Turn { out: output, wakes, now });
        });
    }

    /// Offers the session what it did not take, or did not handle, before. Gives whether it is to be looked at again:
    /// it took some, or it will once it wants input again. Else the rest needs more bytes.
    fn offer_again(&mut self, owes_input: bool) -> bool {
        if self.input.is_empty() && !owes_input {
            return false;
        }
        let Self { server, connection, input, wakes, .. } = self;
        let mut taken = 0;
        input.offer(|bytes| {
            taken = handle(server, connection, bytes, wakes);
            taken
        });
        taken > 0 || owes_input || !self.look().wants_input
    }

    /// Has the next read end when the session's deadline comes. A limit once set stays until a
    /// read ends by it, so that a busy connection does not set it anew for each read; unless it is
    /// so long that the deadline would be missed by as long again as is left until then.
    fn set_time_limit(&mut self, limit: Option<Duration>) -> io::Result<()> {
        let limit = limit.map(|limit| limit.max(Duration::from_millis(1)));
        let stays = match (self.limit, limit) {
            (None, None) => true,
            (Some(set), Some(wanted)) => !self.has_lapsed && wanted >= set / 2,
            _ => false,
        };
        if stays {
            return Ok(());
        }
        (self.limit, self.has_lapsed) = (limit, false);
        self.connection.socket.set_read_timeout(limit)
    }

    /// Waits until what was answered is written.
    fn flush(&mut self) {
        let mut bounded = false;
        loop {
            self.server.carry(&mut self.wakes);
            let seen = self.connection.post.changes();
            if self.connection.look(self.server, &mut self.wakes, Inner::is_flushed) {
                return;
            }
            if !std::mem::replace(&mut bounded, true) {
                self.server.bound_ending(self.connection);
            }
            self.connection.post.wait_for_change(seen, None);
        }
    }
}

/// What a reader has to know of its session.
struct State {
    deadline: Option<Now>,
    wants_input: bool,
    /// It has bytes itself that it has yet to handle.
    owes_input: bool,
    over: bool,
}

/// Has the session handle `bytes`, and writes its answers; gives how many it took.
fn handle(
    server: &Arc<Server>,
    connection: &Arc<Connection>,
    bytes: &[u8],
    wakes: &mut Wakes,
) -> usize {
    connection.with(server, wakes, |inner, wakes| {
        if server.is_draining() {
            return bytes.len();
        }
        let Inner { session, output, .. } = inner;
        session.handle_input(bytes, &mut Turn { out: output, wakes, now: server.clock.now() })
    })
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
