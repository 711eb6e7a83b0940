//! One connection, shared by the threads that read it, write it and wake it.
//!
//! One thread at a time holds the session (see [`Post`]), and only a holder writes to the socket,
//! as long as that takes what there is at once. Else the connection's writer takes all output
//! with it, lets go of the session, and blocks. Nobody blocks on the socket while it holds.

use crate::post::Post;
use crate::server::Server;
use crate::writer;
use broker_core::{Broker, Cause, Now, Output, Session, SessionKey, Turn, Wakes};
use rustix::net::{SendAncillaryBuffer, SendFlags, sendmsg};
use std::io::{self, IoSlice};
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};

/// Pieces gathered into one write; the operating system takes up to 1024.
pub(crate) const SLICES_PER_WRITE_MAX: usize = 64;

#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) socket: TcpStream,
    pub(crate) post: Post,
    key: SessionKey,
    /// Only who holds the session by the post's word locks it, so nobody waits for this lock.
    inner: Mutex<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) session: Session,
    pub(crate) output: Output,
    writer: Writer,
    /// The broker is stopping: when all is delivered, the connection ends.
    parting: bool,
    /// The peer was told that nothing more comes.
    half_closed: bool,
    /// The connection's time to end is bounded.
    bounded: bool,
    /// The socket takes no more.
    pub(crate) broken: bool,
}

/// What the connection's writer does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Writer {
    /// There is none.
    None,
    /// It waits to be called, or was called and has yet to come.
    Idle,
    /// It blocks on the socket, and no one else may write.
    Writing,
}

/// How a thread that holds the session may write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Write {
    /// Only what the socket takes at once.
    AtOnce,
    /// It is the writer, and will block.
    Blocking,
}

impl Connection {
    pub(crate) fn new(socket: TcpStream, key: SessionKey, broker: &Arc<Broker>, now: Now) -> Self {
        let inner = Inner {
            session: Session::new(Arc::clone(broker), key, now),
            output: Output::new(),
            writer: Writer::None,
            parting: false,
            half_closed: false,
            bounded: false,
            broken: false,
        };
        Self { socket, post: Post::default(), key, inner: Mutex::new(inner) }
    }

    pub(crate) fn key(&self) -> SessionKey {
        self.key
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().expect("no thread panics while it holds a session")
    }

    /// Holds the session, has `act` do something with it, and writes what came of it.
    pub(crate) fn with<T>(
        self: &Arc<Self>,
        server: &Arc<Server>,
        wakes: &mut Wakes,
        act: impl FnOnce(&mut Inner, &mut Wakes) -> T,
    ) -> T {
        self.post.hold();
        let mut inner = self.lock();
        let result = act(&mut inner, wakes);
        self.write(&mut inner, Write::AtOnce, server, wakes);
        self.let_go(inner, Write::AtOnce, server, wakes);
        result
    }

    /// Holds the session to look at it.
    pub(crate) fn look<T>(
        self: &Arc<Self>,
        server: &Arc<Server>,
        wakes: &mut Wakes,
        look: impl FnOnce(&Inner) -> T,
    ) -> T {
        self.post.hold();
        let inner = self.lock();
        let result = look(&inner);
        self.let_go(inner, Write::AtOnce, server, wakes);
        result
    }

    /// Has the session handle `cause`, by this thread or by the one that holds it.
    pub(crate) fn wake(self: &Arc<Self>, cause: Cause, server: &Arc<Server>, wakes: &mut Wakes) {
        if self.post.leave(cause) {
            self.let_go(self.lock(), Write::AtOnce, server, wakes);
        }
    }

    /// Handles what others left, until there is nothing, and lets go of the session.
    fn let_go(
        self: &Arc<Self>,
        mut inner: MutexGuard<'_, Inner>,
        write: Write,
        server: &Arc<Server>,
        wakes: &mut Wakes,
    ) {
        while let Some(causes) = self.post.causes_or_let_go() {
            let now = server.clock.now();
            let Inner { session, output, .. } = &mut *inner;
            for cause in causes {
                session.handle_wake(cause, &mut Turn { out: output, wakes, now });
            }
            self.write(&mut inner, write, server, wakes);
        }
    }

    /// Delivers and writes as far as `write` allows. What is left is the writer's.
    fn write(
        self: &Arc<Self>,
        inner: &mut Inner,
        write: Write,
        server: &Arc<Server>,
        wakes: &mut Wakes,
    ) {
        if inner.writer != Writer::Writing {
            self.deliver(inner, write, server, wakes);
        }
        if inner.session.is_closing() && !std::mem::replace(&mut inner.bounded, true) {
            server.bound_ending(self);
        }
        self.post.note_change();
    }

    fn deliver(
        self: &Arc<Self>,
        inner: &mut Inner,
        write: Write,
        server: &Arc<Server>,
        wakes: &mut Wakes,
    ) {
        let now = server.clock.now();
        while !inner.broken {
            let mut turn = Turn { out: &mut inner.output, wakes, now };
            let more = inner.session.poll_deliveries(&mut turn);
            if inner.output.is_empty() {
                let has_more_to_say = inner.session.is_closing() || inner.session.owes_answers();
                if !inner.parting || has_more_to_say {
                    break;
                }
                let mut turn = Turn { out: &mut inner.output, wakes, now };
                inner.session.handle_shutdown(&mut turn);
            } else if write == Write::Blocking {
                return self.post.call_writer();
            } else {
                match self.send_at_once(&mut inner.output) {
                    Ok(()) if more || inner.parting => {}
                    Ok(()) => break,
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        return self.call_writer(inner, server);
                    }
                    Err(error) => self.broke(inner, &error),
                }
            }
        }
        inner.output.rest();
        if inner.session.is_closing() && !std::mem::replace(&mut inner.half_closed, true) {
            // It fails where the peer is gone, which the reader learns too.
            let _ = self.socket.shutdown(Shutdown::Write);
        }
    }

    /// Writes all of `output` without blocking.
    fn send_at_once(&self, output: &mut Output) -> io::Result<()> {
        while !output.is_empty() {
            let mut slices = [IoSlice::new(&[]); SLICES_PER_WRITE_MAX];
            let taken = output.slices(&mut slices);
            let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
            let mut nothing = SendAncillaryBuffer::default();
            match sendmsg(&self.socket, &slices[..taken], &mut nothing, flags) {
                Ok(written) => output.advance(written),
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Has the writer, started where there is none, write what blocks.
    fn call_writer(self: &Arc<Self>, inner: &mut Inner, server: &Arc<Server>) {
        if inner.writer == Writer::None {
            if let Err(error) = writer::spawn(server, self) {
                return self.broke(inner, &error);
            }
            inner.writer = Writer::Idle;
        }
        self.post.call_writer();
    }

    /// For the writer: takes all output, and with it the right to write.
    pub(crate) fn take_output(self: &Arc<Self>, server: &Arc<Server>, wakes: &mut Wakes) -> Output {
        self.post.hold();
        let mut inner = self.lock();
        inner.writer = Writer::Writing;
        let output = std::mem::take(&mut inner.output);
        self.let_go(inner, Write::Blocking, server, wakes);
        output
    }

    /// For the writer: gives the right to write back.
    pub(crate) fn wrote(
        self: &Arc<Self>,
        result: io::Result<()>,
        server: &Arc<Server>,
        wakes: &mut Wakes,
    ) {
        self.post.hold();
        let mut inner = self.lock();
        inner.writer = Writer::Idle;
        if let Err(error) = result {
            self.broke(&mut inner, &error);
        }
        self.write(&mut inner, Write::Blocking, server, wakes);
        self.let_go(inner, Write::Blocking, server, wakes);
    }

    /// Ends the connection of a socket that takes no more; its reader learns of it.
    fn broke(&self, inner: &mut Inner, error: &io::Error) {
        tracing::debug!(connection = self.key.0, %error, "connection broken");
        inner.broken = true;
        inner.output = Output::new();
        self.break_off();
    }

    /// Ends the connection, whatever its threads are blocked in.
    pub(crate) fn break_off(&self) {
        // It fails where the connection has ended already.
        let _ = self.socket.shutdown(Shutdown::Both);
    }

    /// Ends the connection when all is delivered.
    pub(crate) fn part(self: &Arc<Self>, server: &Arc<Server>, wakes: &mut Wakes) {
        self.with(server, wakes, |inner, _| {
            inner.session.handle_last_call();
            inner.parting = true;
        });
    }

    /// The connection is over: its session lets go of everything, and its writer ends.
    pub(crate) fn end(self: &Arc<Self>, server: &Arc<Server>, wakes: &mut Wakes) {
        self.with(server, wakes, |inner, wakes| {
            inner.session.handle_close(wakes, server.clock.now());
            inner.broken = true;
        });
        self.post.end();
        self.break_off();
    }
}

impl Inner {
    /// Whether all that there was to write is with the operating system.
    pub(crate) fn is_flushed(&self) -> bool {
        let is_written = self.output.is_empty() && self.writer != Writer::Writing;
        self.broken || (is_written && !self.session.owes_answers())
    }
}
