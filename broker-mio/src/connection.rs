//! One connection: its socket, its session, and the bytes between them.

use broker_core::{Cause, Input, Now, Output, Session, Turn, Wakes};
use mio::net::TcpStream;
use std::io::{self, IoSlice, Read, Write};
use std::net::Shutdown;

/// Pieces gathered into one write; the operating system takes up to 1024.
const SLICES_PER_WRITE_MAX: usize = 64;

/// What a loop lends each connection whose turn it is.
pub(crate) struct Lent<'a> {
    pub(crate) scratch: &'a mut [u8],
    pub(crate) wakes: &'a mut Wakes,
    pub(crate) now: Now,
}

/// What a connection wants after its turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum After {
    /// Another turn: it has more to do.
    Again,
    /// To wait for its socket, a wake or its deadline.
    Wait,
    /// To be taken away.
    Gone,
}

/// Whether the broker is stopping, as far as one connection is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Serving,
    /// Nothing more is read.
    Draining,
    /// Nothing more is read, by any loop: who has all that was published may go.
    Parting,
}

#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) socket: TcpStream,
    session: Session,
    input: Input,
    output: Output,
    readable: bool,
    writable: bool,
    /// The peer has sent all it will; no more than what is there needs to be read.
    peer_done: bool,
    eof: bool,
    /// The session stopped taking input, for a held publication or too much output, and has to be
    /// offered what is kept when it wants input again.
    stalled: bool,
    /// All was written, and the peer told so; what it still sends is dropped until it closes.
    lingering: bool,
    /// The session was told that nothing more is published.
    parting: bool,
    /// By when a connection that is closing is gone.
    gone_by: Option<Now>,
    linger_ms_max: u64,
    /// Whether it stands in the run queue.
    pub(crate) queued: bool,
    /// The earliest of its entries among the loop's timers.
    pub(crate) timer: Option<Now>,
}

impl Connection {
    pub(crate) fn new(socket: TcpStream, session: Session, linger_ms_max: u64) -> Self {
        Self {
            socket,
            session,
            input: Input::new(),
            output: Output::new(),
            readable: true,
            writable: true,
            peer_done: false,
            eof: false,
            stalled: false,
            lingering: false,
            parting: false,
            gone_by: None,
            linger_ms_max,
            queued: false,
            timer: None,
        }
    }

    pub(crate) fn handle_event(&mut self, event: &mio::event::Event) {
        self.readable |= event.is_readable() || event.is_read_closed();
        self.writable |= event.is_writable() || event.is_write_closed();
        self.peer_done |= event.is_read_closed() || event.is_error();
    }

    pub(crate) fn handle_wake(&mut self, cause: Cause, wakes: &mut Wakes, now: Now) {
        self.session.handle_wake(cause, &mut Turn { out: &mut self.output, wakes, now });
    }

    pub(crate) fn handle_timeout(&mut self, wakes: &mut Wakes, now: Now) {
        self.session.handle_timeout(&mut Turn { out: &mut self.output, wakes, now });
    }

    pub(crate) fn handle_close(&mut self, wakes: &mut Wakes, now: Now) {
        self.session.handle_close(wakes, now);
    }

    pub(crate) fn poll_timeout(&self) -> Option<Now> {
        self.session.poll_timeout().into_iter().chain(self.gone_by).min()
    }

    /// Takes one bounded turn: reads once, handles what came, delivers and writes what fits.
    pub(crate) fn turn(&mut self, lent: &mut Lent<'_>, phase: Phase) -> After {
        if self.gone_by.is_some_and(|gone_by| gone_by <= lent.now) {
            return After::Gone;
        }
        if self.lingering {
            return self.linger(lent);
        }
        match self.serve(lent, phase) {
            Ok(after) => after,
            Err(error) => {
                tracing::debug!(connection = self.session.key().0, %error, "connection broken");
                After::Gone
            }
        }
    }

    fn serve(&mut self, lent: &mut Lent<'_>, phase: Phase) -> io::Result<After> {
        if phase == Phase::Serving {
            self.offer_kept(lent);
            self.read(lent)?;
        }
        if phase == Phase::Parting && !std::mem::replace(&mut self.parting, true) {
            self.session.handle_last_call();
        }
        let more_to_deliver = self.deliver(lent)?;
        if self.output.is_empty() && !self.session.is_closing() {
            if self.eof && !self.owes_input() && !self.session.owes_answers() {
                return Ok(After::Gone);
            }
            if phase == Phase::Parting && !more_to_deliver && !self.session.owes_answers() {
                self.part(lent);
                self.write()?;
            }
        }
        if self.session.is_closing() {
            return Ok(self.close(lent));
        }
        let takes_input = phase == Phase::Serving && self.session.wants_input(&self.output);
        let has_input = takes_input && (self.readable || self.owes_input());
        let has_output = more_to_deliver && self.writable;
        Ok(if has_input || has_output { After::Again } else { After::Wait })
    }

    /// Whether requests that were received have yet to be handled.
    fn owes_input(&self) -> bool {
        self.session.owes_input() || (self.stalled && !self.input.is_empty())
    }

    /// Offers the session what it did not take before.
    fn offer_kept(&mut self, lent: &mut Lent<'_>) {
        let Self { session, input, output, .. } = self;
        let has_kept = session.owes_input() || !input.is_empty();
        if !has_kept || !session.wants_input(output) {
            return;
        }
        let mut turn = Turn { out: output, wakes: lent.wakes, now: lent.now };
        input.offer(|bytes| session.handle_input(bytes, &mut turn));
        self.stalled = !self.session.wants_input(&self.output);
    }

    fn read(&mut self, lent: &mut Lent<'_>) -> io::Result<()> {
        let Self { socket, session, input, output, .. } = self;
        if !self.readable || !session.wants_input(output) {
            return Ok(());
        }
        let mut turn = Turn { out: output, wakes: lent.wakes, now: lent.now };
        let received = input.receive(
            lent.scratch,
            |room| read_once(socket, room),
            |bytes| session.handle_input(bytes, &mut turn),
        );
        match received {
            Ok(received) => {
                self.stalled = !self.session.wants_input(&self.output);
                self.eof = received.bytes == 0;
                // A short read emptied the socket: its next byte is an event of its own.
                self.readable =
                    !self.eof && (self.peer_done || received.bytes == received.room_bytes);
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.readable = false;
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Writes answers and deliveries until there are none or the socket is full; gives whether
    /// there are more deliveries.
    fn deliver(&mut self, lent: &mut Lent<'_>) -> io::Result<bool> {
        let Self { session, output, .. } = self;
        let mut turn = Turn { out: output, wakes: lent.wakes, now: lent.now };
        let more = session.poll_deliveries(&mut turn);
        self.write()?;
        Ok(more)
    }

    fn write(&mut self) -> io::Result<()> {
        while self.writable && !self.output.is_empty() {
            let mut slices = [IoSlice::new(&[]); SLICES_PER_WRITE_MAX];
            let taken = self.output.slices(&mut slices);
            match self.socket.write_vectored(&slices[..taken]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => {
                    let offered: usize = slices[..taken].iter().map(|slice| slice.len()).sum();
                    self.writable = written == offered;
                    self.output.advance(written);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.writable = false,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.output.rest();
        Ok(())
    }

    fn part(&mut self, lent: &mut Lent<'_>) {
        let mut turn = Turn { out: &mut self.output, wakes: lent.wakes, now: lent.now };
        self.session.handle_shutdown(&mut turn);
    }

    /// Ends the stream once all is written. The socket itself closes when the peer has closed
    /// it, or its time is up: closing it with bytes unread would reset the connection, and the
    /// peer might never see what it was told last.
    fn close(&mut self, lent: &mut Lent<'_>) -> After {
        self.gone_by.get_or_insert(lent.now.plus_ms(self.linger_ms_max));
        if !self.output.is_empty() {
            return After::Wait;
        }
        if self.eof || self.socket.shutdown(Shutdown::Write).is_err() {
            return After::Gone;
        }
        self.lingering = true;
        self.readable = true;
        self.linger(lent)
    }

    fn linger(&mut self, lent: &mut Lent<'_>) -> After {
        if !self.readable {
            return After::Wait;
        }
        match read_once(&mut self.socket, lent.scratch) {
            Ok(0) => After::Gone,
            Ok(bytes) => {
                // Nothing comes of it but what the session has to know.
                let mut turn = Turn { out: &mut self.output, wakes: lent.wakes, now: lent.now };
                self.session.handle_input(&lent.scratch[..bytes], &mut turn);
                After::Again
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.readable = false;
                After::Wait
            }
            Err(_) => After::Gone,
        }
    }
}

fn read_once(socket: &mut TcpStream, room: &mut [u8]) -> io::Result<usize> {
    loop {
        match socket.read(room) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}
