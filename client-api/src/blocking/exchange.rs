//! Writing, reading and waiting: how the session meets the socket.

use super::client::Client;
use super::socket::{ReadStep, Socket};
use crate::backoff::Backoff;
use crate::session::{Answer, Event, Session, Ticket};
use crate::{Error, IdempotentPublisher, Operation};
use std::io;
use std::thread;
use std::time::{Duration, Instant};

/// Refusals of unacknowledged publications that are kept; the oldest are dropped.
const REFUSALS_MAX: usize = 64;

/// Reads in a row before a write is tried again.
const DRAIN_READS_MAX: usize = 64;

/// Attempts to make a lost connection again.
#[derive(Debug)]
pub(super) struct Reconnecting {
    backoff: Backoff,
    attempt_at: Instant,
}

impl Client {
    /// Makes a connection and exchanges greetings.
    pub(super) fn open(&mut self) -> Result<(), Error> {
        let limit = self.options.connect_timeout;
        let deadline = Instant::now() + limit;
        self.socket = Some(Socket::connect(&self.addresses, limit)?);
        self.session.handle_connected(Instant::now());
        let greeted = self.greet(deadline);
        if let Err(error) = &greeted {
            self.socket = None;
            self.session.handle_disconnected(&error.to_string());
        }
        greeted
    }

    fn greet(&mut self, deadline: Instant) -> Result<(), Error> {
        let io_error = |source| Error::Io { action: "exchange greetings", source };
        self.write_all(deadline).map_err(io_error)?;
        loop {
            match self.session.poll_event()? {
                Some(Event::Greeted) => return Ok(()),
                Some(event) => {
                    self.keep(event);
                    continue;
                }
                None => {}
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let limit = self.options.connect_timeout;
                return Err(Error::Timeout { operation: Operation::Greet, limit });
            }
            self.read_once(Some(left)).map_err(io_error)?;
        }
    }

    /// Waits for the answer to `ticket`, which must be in flight or among the kept answers.
    #[inline]
    pub(super) fn wait_for(&mut self, ticket: Ticket) -> Result<Answer, Error> {
        let mut limit = self.options.request_timeout;
        loop {
            if let Some(result) = self.find_answer(ticket) {
                return result;
            }
            self.advance(Some(limit));
            if let Some(result) = self.find_answer(ticket) {
                return result;
            }
            limit = self.check_deadlines();
        }
    }

    /// Waits until one more request may be in flight.
    #[inline]
    pub(super) fn wait_for_room(&mut self) -> Result<(), Error> {
        let in_flight_max = self.options.in_flight_max;
        if self.session.in_flight() < in_flight_max && self.answers.len() < in_flight_max {
            return Ok(());
        }
        self.wait_for_less_in_flight(|session| session.in_flight() < in_flight_max)
    }

    /// Waits until one more publication of an idempotent publisher may be in flight.
    pub(super) fn wait_for_room_of(
        &mut self,
        publisher: &IdempotentPublisher,
    ) -> Result<(), Error> {
        if self.session.has_room_for(publisher) {
            return self.wait_for_room();
        }
        let in_flight_max = self.options.in_flight_max;
        self.wait_for_less_in_flight(|session| {
            session.has_room_for(publisher) && session.in_flight() < in_flight_max
        })
    }

    #[cold]
    fn wait_for_less_in_flight(
        &mut self,
        has_room: impl Fn(&Session) -> bool,
    ) -> Result<(), Error> {
        let in_flight_max = self.options.in_flight_max;
        let limit = self.options.request_timeout;
        let deadline = Instant::now() + limit;
        loop {
            self.keep_all();
            if self.answers.len() >= in_flight_max {
                return Err(Error::InvalidRequest {
                    expected: format!("less than {in_flight_max} answers that no one waited for"),
                    found: self.answers.len().to_string(),
                    advice: "wait for tickets, or for all of them, before sending more",
                });
            }
            if has_room(&self.session) {
                return Ok(());
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Error::Timeout { operation: Operation::Publish, limit });
            }
            self.advance(Some(left));
            self.check_deadlines();
        }
    }

    /// Fails what is overdue; returns how long the next read may wait for the rest.
    pub(super) fn check_deadlines(&mut self) -> Duration {
        let now = Instant::now();
        self.session.handle_time(now);
        match self.session.poll_deadline() {
            Some(deadline) => deadline.saturating_duration_since(now),
            None => self.options.request_timeout,
        }
    }

    #[inline]
    fn find_answer(&mut self, wanted: Ticket) -> Option<Result<Answer, Error>> {
        if let Some(result) = self.kept_answer(wanted) {
            return Some(result);
        }
        while let Some(event) = self.poll() {
            match event {
                Event::Answered { ticket, result } if ticket == wanted => return Some(result),
                other => self.keep(other),
            }
        }
        self.kept_answer(wanted)
    }

    fn kept_answer(&mut self, wanted: Ticket) -> Option<Result<Answer, Error>> {
        let at = self.answers.iter().position(|(ticket, _)| *ticket == wanted)?;
        self.answers.remove(at).map(|(_, result)| result)
    }

    /// The next event. A connection that turns out to be of no use is dropped.
    #[inline]
    pub(super) fn poll(&mut self) -> Option<Event> {
        match self.session.poll_event() {
            Ok(event) => event,
            Err(error) => {
                self.lose(&error.to_string());
                self.session.poll_event().unwrap_or_default()
            }
        }
    }

    pub(super) fn keep_all(&mut self) {
        while let Some(event) = self.poll() {
            self.keep(event);
        }
    }

    /// Keeps an event for whoever asks for it later.
    pub(super) fn keep(&mut self, event: Event) {
        match event {
            Event::Answered { ticket, result } => self.answers.push_back((ticket, result)),
            Event::RefusedUnasked(refusal) => {
                if self.refusals.len() == REFUSALS_MAX {
                    self.refusals.pop_front();
                }
                self.refusals.push_back(refusal);
            }
            Event::Greeted => {}
            Event::Delivered { .. } | Event::Lost { .. } | Event::Ended { .. } => {
                self.stash.keep(event, &mut self.session);
            }
        }
    }

    /// Makes progress: connects again if there is no connection, else writes all there is to
    /// write and reads once, waiting at most `limit`. What comes of it are the session's events.
    #[inline]
    pub(super) fn advance(&mut self, limit: Option<Duration>) {
        if self.socket.is_none() {
            self.reconnect(limit);
        } else if let Err(error) = self.write_and_read(limit) {
            self.lose(&error.to_string());
        }
    }

    #[inline]
    fn write_and_read(&mut self, limit: Option<Duration>) -> io::Result<()> {
        self.write_output()?;
        self.read_once(limit)
    }

    /// Writes all there is to write, for at most the request timeout.
    #[inline]
    pub(super) fn write_output(&mut self) -> io::Result<()> {
        // In most cases one call writes all, and no clock is needed.
        if self.write_once()? {
            return Ok(());
        }
        self.write_all(Instant::now() + self.options.request_timeout)
    }

    /// Says whether all was written.
    #[inline]
    fn write_once(&mut self) -> io::Result<bool> {
        let Some(socket) = &mut self.socket else { return Ok(true) };
        let output = self.session.poll_output();
        if output.is_empty() {
            return Ok(true);
        }
        let output_bytes = output.len();
        match socket.write(output)? {
            Some(written) => {
                self.session.handle_written(written);
                Ok(written == output_bytes)
            }
            None => self.read_all_there_is().map(|()| false),
        }
    }

    fn write_all(&mut self, deadline: Instant) -> io::Result<()> {
        while !self.write_once()? {
            if Instant::now() >= deadline {
                let message = "the broker took nothing for the length of the timeout";
                return Err(io::Error::new(io::ErrorKind::TimedOut, message));
            }
        }
        Ok(())
    }

    #[inline]
    fn read_once(&mut self, limit: Option<Duration>) -> io::Result<()> {
        let Some(socket) = &mut self.socket else { return Ok(()) };
        if let ReadStep::Bytes(bytes) = socket.read(self.session.input_space(), limit)? {
            self.session.handle_input(bytes);
        }
        Ok(())
    }

    /// A broker whose answers are not read stops reading, and then nothing can be written.
    fn read_all_there_is(&mut self) -> io::Result<()> {
        let Some(socket) = &mut self.socket else { return Ok(()) };
        for _ in 0..DRAIN_READS_MAX {
            let Some(bytes) = socket.read_now(self.session.input_space())? else { break };
            self.session.handle_input(bytes);
        }
        Ok(())
    }

    /// Drops the connection, after taking in what the broker said last.
    pub(super) fn lose(&mut self, reason: &str) {
        let mut reason = reason.to_owned();
        // The broker's own reason, if there is one, is the better one. A broken stream has none.
        let _ended = self.read_all_there_is();
        loop {
            match self.session.poll_event() {
                Ok(Some(event)) => self.keep(event),
                Ok(None) => break,
                Err(error) => {
                    reason = error.to_string();
                    break;
                }
            }
        }
        self.socket = None;
        self.session.handle_disconnected(&reason);
        let mut backoff = Backoff::new(self.options.reconnect);
        match backoff.next_delay(fastrand::f64()) {
            None => self.session.handle_gave_up(&reason),
            Some(delay) => {
                let attempt_at = Instant::now() + delay;
                self.reconnecting = Some(Reconnecting { backoff, attempt_at });
            }
        }
    }

    /// Makes at most one attempt to connect, when it is time for it and not past `limit`.
    fn reconnect(&mut self, limit: Option<Duration>) {
        let now = Instant::now();
        let policy = self.options.reconnect;
        if policy.attempts_max == 0 {
            self.session.handle_gave_up("the connection was lost, and is not made again");
            return;
        }
        let reconnecting = self
            .reconnecting
            .get_or_insert_with(|| Reconnecting { backoff: Backoff::new(policy), attempt_at: now });
        let delay = reconnecting.attempt_at.saturating_duration_since(now);
        if let Some(limit) = limit.filter(|limit| *limit < delay) {
            thread::sleep(limit);
            return;
        }
        thread::sleep(delay);
        let Err(error) = self.open() else {
            self.reconnecting = None;
            return;
        };
        let Some(reconnecting) = &mut self.reconnecting else { return };
        match reconnecting.backoff.next_delay(fastrand::f64()) {
            Some(delay) => reconnecting.attempt_at = Instant::now() + delay,
            None => {
                self.reconnecting = None;
                self.session.handle_gave_up(&error.to_string());
            }
        }
    }
}
