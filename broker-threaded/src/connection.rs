//! One connection, shared by the threads that read it, write it and wake it.
//!
//! Any thread may write to the socket, one at a time: whoever has the lock, as long as the socket
//! takes what there is at once; else the connection's writer, which takes all output with it,
//! lets go of the lock, and blocks. Nobody blocks on the socket with the lock held.
//!
//! A thread that wakes the session leaves the cause in the mailbox and tries the lock. Where
//! another thread has it, that one looks into the mailbox after it let go.

use crate::server::Server;
use crate::writer;
use broker_core::{Broker, Cause, Now, Output, Session, SessionKey, Turn, Wakes};
use rustix::net::{SendAncillaryBuffer, SendFlags, sendmsg};
use std::io::{self, IoSlice};
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

/// Pieces gathered into one write; the operating system takes up to 1024.
pub(crate) const SLICES_PER_WRITE_MAX: usize = 64;

#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) socket: TcpStream,
    key: SessionKey,
    inner: Mutex<Inner>,
    /// For the reader, with the mail's lock: there is mail, or something changed.
    changed: Condvar,
    /// For the writer: there is output that blocks, or the connection is gone.
    pub(crate) work: Condvar,
    mail: Mutex<Mail>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) session: Session,
    pub(crate) output: Output,
    pub(crate) writer: Writer,
    /// The broker is stopping: when all is delivered, the connection ends.
    parting: bool,
    /// The peer was told that nothing more comes.
    half_closed: bool,
    /// The connection's time to end is bounded.
    bounded: bool,
    /// The socket takes no more.
    pub(crate) broken: bool,
    pub(crate) gone: bool,
}

/// What is left for a connection by threads that do not have its lock.
#[derive(Debug, Default)]
struct Mail {
    causes: Vec<Cause>,
    /// Counts what the reader may wait for: room for input, or all being written.
    changes: u64,
    reader_waits: bool,
}

/// What the connection's writer does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Writer {
    /// There is none.
    None,
    /// It waits for work.
    Idle,
    /// There is work for it.
    Wanted,
    /// It blocks on the socket, and no one else may write.
    Writing,
}

/// How a thread that has the lock may write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Write {
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
            gone: false,
        };
        Self {
            socket,
            key,
            inner: Mutex::new(inner),
            changed: Condvar::new(),
            work: Condvar::new(),
            mail: Mutex::default(),
        }
    }

    pub(crate) fn key(&self) -> SessionKey {
        self.key
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().expect(CONNECTION_LOCK)
    }

    /// Leaves a cause for whoever drives the session next.
    pub(crate) fn post(&self, cause: Cause) {
        let mut mail = self.mail();
        mail.causes.push(cause);
        self.call_reader(&mail);
    }

    fn mail(&self) -> MutexGuard<'_, Mail> {
        self.mail.lock().expect(MAIL_LOCK)
    }

    fn has_mail(&self) -> bool {
        !self.mail().causes.is_empty()
    }

    /// Has the reader look again, if it waits.
    fn call_reader(&self, mail: &Mail) {
        if mail.reader_waits {
            self.changed.notify_one();
        }
    }

    /// Tells the reader that something changed that it may wait for.
    fn note_change(&self) {
        let mut mail = self.mail();
        mail.changes += 1;
        self.call_reader(&mail);
    }

    /// What [`wait_for_change`](Self::wait_for_change) compares with; to be taken before that is
    /// looked at which might change.
    pub(crate) fn changes(&self) -> u64 {
        self.mail().changes
    }

    /// Handles the mail and writes what there is, unless another thread is at it and will.
    pub(crate) fn drive(self: &Arc<Self>, server: &Arc<Server>, wakes: &mut Wakes) {
        while self.has_mail() {
            let Ok(mut inner) = self.inner.try_lock() else { return };
            self.pump(&mut inner, Write::AtOnce, server, wakes);
        }
    }

    /// Handles the mail, and delivers and writes as far as `write` allows. What is left is the
    /// writer's.
    pub(crate) fn pump(
        self: &Arc<Self>,
        inner: &mut Inner,
        write: Write,
        server: &Arc<Server>,
        wakes: &mut Wakes,
    ) {
        let now = server.clock.now();
        let causes = std::mem::take(&mut self.mail().causes);
        for cause in causes {
            let mut turn = Turn { out: &mut inner.output, wakes, now };
            inner.session.handle_wake(cause, &mut turn);
        }
        if inner.writer != Writer::Writing && !inner.gone {
            self.deliver(inner, write, server, wakes);
        }
        if inner.session.is_closing() && !std::mem::replace(&mut inner.bounded, true) {
            server.bound_ending(self);
        }
        self.note_change();
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
                if inner.parting && !inner.session.is_closing() {
                    let mut turn = Turn { out: &mut inner.output, wakes, now };
                    inner.session.handle_shutdown(&mut turn);
                    continue;
                }
                break;
            }
            if write == Write::Blocking {
                inner.writer = Writer::Wanted;
                return;
            }
            match self.send_at_once(&mut inner.output) {
                Ok(()) if more => {}
                Ok(()) if inner.parting => {}
                Ok(()) => break,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return self.call_writer(server, inner);
                }
                Err(error) => self.broke(inner, &error),
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
    fn call_writer(self: &Arc<Self>, server: &Arc<Server>, inner: &mut Inner) {
        let before = std::mem::replace(&mut inner.writer, Writer::Wanted);
        if before != Writer::None {
            self.work.notify_one();
        } else if let Err(error) = writer::spawn(server, self) {
            inner.writer = Writer::None;
            self.broke(inner, &error);
        }
    }

    /// Ends the connection of a socket that takes no more; its reader learns of it.
    pub(crate) fn broke(&self, inner: &mut Inner, error: &io::Error) {
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

    /// Waits until there is mail, or something changed since `seen` was taken.
    pub(crate) fn wait_for_change(&self, seen: u64, limit: Option<Duration>) {
        let mut mail = self.mail();
        mail.reader_waits = true;
        let waits = |mail: &mut Mail| mail.causes.is_empty() && mail.changes == seen;
        let mut mail = match limit {
            Some(limit) => self.changed.wait_timeout_while(mail, limit, waits).expect(MAIL_LOCK).0,
            None => self.changed.wait_while(mail, waits).expect(MAIL_LOCK),
        };
        mail.reader_waits = false;
    }

    /// Has a reader that waits notice that the broker is stopping.
    pub(crate) fn stop_reading(&self) {
        // Whoever is handling input finishes before the lock is had.
        drop(self.lock());
        self.note_change();
    }

    /// Ends the connection when all is delivered.
    pub(crate) fn part(self: &Arc<Self>, server: &Arc<Server>, wakes: &mut Wakes) {
        let mut inner = self.lock();
        inner.parting = true;
        self.pump(&mut inner, Write::AtOnce, server, wakes);
        drop(inner);
        self.drive(server, wakes);
    }

    /// The connection is over: its session lets go of everything, and its writer ends.
    pub(crate) fn end(&self, wakes: &mut Wakes) {
        let mut inner = self.lock();
        inner.session.handle_close(wakes);
        inner.gone = true;
        self.work.notify_one();
        self.break_off();
    }
}

impl Inner {
    /// Whether all that there was to write is with the operating system.
    pub(crate) fn is_flushed(&self) -> bool {
        self.broken || (self.output.is_empty() && self.writer != Writer::Writing)
    }
}

pub(crate) const CONNECTION_LOCK: &str = "no thread panics while it holds a connection";
const MAIL_LOCK: &str = "no thread panics while it holds a connection's mail";
