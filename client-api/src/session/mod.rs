//! The client session: one conversation with a broker, without a socket and without a clock.
//!
//! A driver owns the socket. It reads into [`Session::input_space`] and tells
//! [`Session::handle_input`] how much came, asks [`Session::poll_event`] what that means until
//! there is nothing more, and writes what [`Session::poll_output`] gives. Time is an argument.
//!
//! The session outlives its connections: [`Session::handle_disconnected`] fails what must not be
//! done twice, and [`Session::handle_connected`] sends the rest again.

mod answer;
mod attachment;
mod conversation;
mod event;
mod greeting;
mod in_flight;
mod input;
mod output;
mod publications;
mod reconnection;
mod requests;
mod settlements;
mod text;

pub use event::{Answer, Event, SubscriptionId, Ticket};
pub(crate) use settlements::checked_ranges;

use crate::{Error, Messages, Options, Pulled};
use answer::violation;
use bytes::Bytes;
use conversation::Conversation;
use input::Input;
use output::SizeLimits;
use protocol::Response;
use protocol::native::{FrameDecoder, FrameStep, decode_response};
use std::time::{Duration, Instant};

/// One client's conversation with its broker.
#[derive(Debug)]
pub struct Session {
    phase: Phase,
    input: Input,
    decoder: FrameDecoder,
    conversation: Conversation,
    limits: SizeLimits,
    response_bytes_max: usize,
    in_flight_max: usize,
    request_timeout: Duration,
}

/// How far a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// There is none.
    Disconnected,
    /// The broker's greeting was not seen yet.
    Greeting,
    /// It was accepted.
    Open,
    /// It was not; the frame with the reason follows.
    Refused,
}

impl Session {
    /// A session without a connection. Requests may be made; they are sent when there is one.
    #[must_use]
    pub fn new(options: &Options) -> Self {
        Self {
            phase: Phase::Disconnected,
            input: Input::new(),
            decoder: FrameDecoder::new(options.response_bytes_max),
            conversation: Conversation::default(),
            limits: SizeLimits { frame_bytes_max: usize::MAX, message_bytes_max: usize::MAX },
            response_bytes_max: options.response_bytes_max,
            in_flight_max: options.in_flight_max,
            request_timeout: options.request_timeout,
        }
    }

    /// Takes note of a new connection, and prepares its first bytes: the greeting, the push
    /// subscriptions to attach again, the requests that may be repeated, and all that the last
    /// connection did not get whole.
    pub fn handle_connected(&mut self, now: Instant) {
        self.phase = Phase::Greeting;
        self.input.clear();
        self.decoder = FrameDecoder::new(self.response_bytes_max);
        self.conversation.handle_connected(now + self.request_timeout);
    }

    /// Takes note of the end of the connection. A request that reached the broker, and that
    /// would be done twice if it were sent again, fails with [`Error::Indeterminate`]; push
    /// subscriptions that end with the connection end. All else waits for the next connection.
    pub fn handle_disconnected(&mut self, reason: &str) {
        if self.phase != Phase::Disconnected {
            self.phase = Phase::Disconnected;
            self.input.clear();
            self.conversation.handle_disconnected(reason);
        }
    }

    /// Takes note that there will be no new connection: all that waits fails with
    /// [`Error::Disconnected`], all push subscriptions end, and publications that were not
    /// written are dropped.
    pub fn handle_gave_up(&mut self, reason: &str) {
        self.handle_disconnected(reason);
        self.conversation.handle_gave_up(reason);
    }

    /// Where the driver reads to: never empty. What records were not taken is overwritten.
    pub fn input_space(&mut self) -> &mut [u8] {
        self.input.space()
    }

    /// Takes in `bytes` that were read into the space.
    pub fn handle_input(&mut self, bytes: usize) {
        self.input.fill(bytes);
    }

    /// Fails the requests that are overdue.
    pub fn handle_time(&mut self, now: Instant) {
        self.conversation.handle_time(now, self.request_timeout);
    }

    /// When [`handle_time`](Self::handle_time) should be called at the latest.
    #[must_use]
    pub fn poll_deadline(&self) -> Option<Instant> {
        self.conversation.in_flight.deadline()
    }

    /// What is to be written. Tell [`handle_written`](Self::handle_written) how much of it was.
    /// Nothing but the greeting is before the broker accepted it, so that no request can be lost
    /// to a peer that turns out to be no broker.
    #[inline]
    pub fn poll_output(&mut self) -> &[u8] {
        match self.phase {
            Phase::Disconnected | Phase::Refused => &[],
            Phase::Greeting => self.conversation.output.unwritten_greeting(),
            Phase::Open => {
                self.conversation.put_unsent();
                self.conversation.output.unwritten()
            }
        }
    }

    /// Bytes that wait to be written, now or when there is a connection. An acknowledgement or
    /// credit that is not encoded yet counts as one.
    #[must_use]
    #[inline]
    pub fn output_bytes(&self) -> usize {
        self.conversation.output.unwritten().len() + self.conversation.unsent_of.len()
    }

    /// Whether the broker accepted the greeting of this connection.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.phase == Phase::Open
    }

    /// Whether this ticket still waits for its answer.
    #[must_use]
    pub fn is_in_flight(&self, ticket: Ticket) -> bool {
        self.conversation.in_flight.contains(ticket.0)
    }

    /// Whether this push subscription has not ended.
    #[must_use]
    pub fn is_attached(&self, subscription: SubscriptionId) -> bool {
        self.conversation.attachments.contains_key(&subscription.0)
    }

    /// Takes note that the first `bytes` of the output were written.
    pub fn handle_written(&mut self, bytes: usize) {
        self.conversation.output.handle_written(bytes);
    }

    /// Whether nothing waits: no request, no push subscription, no output, no event.
    #[must_use]
    pub fn is_at_rest(&self) -> bool {
        let conversation = &self.conversation;
        conversation.in_flight.len() == 0
            && conversation.attachments.is_empty()
            && conversation.output.unwritten().is_empty()
            && conversation.events.is_empty()
    }

    /// Requests that wait for their answers.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.conversation.in_flight.len()
    }

    /// Whether there is any push subscription.
    #[must_use]
    pub fn has_attachments(&self) -> bool {
        !self.conversation.attachments.is_empty()
    }

    /// The next thing that happened, `None` when more input is needed.
    ///
    /// # Errors
    /// The connection is of no more use: drop it and call
    /// [`handle_disconnected`](Self::handle_disconnected). [`Error::ProtocolViolation`] when the
    /// peer is no broker of this version, [`Error::Refused`] when the broker gave its reason to
    /// close.
    #[inline]
    pub fn poll_event(&mut self) -> Result<Option<Event>, Error> {
        if let Some(event) = self.conversation.events.pop_front() {
            return Ok(Some(event));
        }
        match self.phase {
            Phase::Open => self.poll_frame(),
            Phase::Disconnected => Ok(None),
            Phase::Greeting | Phase::Refused => self.poll_greeting(),
        }
    }

    #[inline]
    fn poll_frame(&mut self) -> Result<Option<Event>, Error> {
        loop {
            let (consumed, frame) = match self.decoder.next(self.input.received()) {
                FrameStep::Frame { consumed, frame } => (consumed, frame),
                FrameStep::NeedMore { input_bytes } => {
                    self.input.want(input_bytes);
                    return Ok(None);
                }
                FrameStep::TooLarge { refusal, .. } | FrameStep::OutOfStep { refusal } => {
                    return Err(Error::ProtocolViolation(refusal));
                }
                FrameStep::Discarded { .. } => {
                    return Err(violation("expected a frame, found the rest of one".to_owned()));
                }
            };
            let response = decode_response(frame).map_err(Error::ProtocolViolation)?;
            let records_bytes = match &response {
                Response::Deliver { batch, .. }
                | Response::Redeliver { batch, .. }
                | Response::Messages { batch, .. }
                | Response::Leased { batch, .. } => batch.bytes().len(),
                _ => 0,
            };
            let event = self.conversation.handle_response(frame.correlation, response)?;
            self.input.consume(consumed, records_bytes);
            match event {
                Some(Event::Answered { ticket, result: Ok(Answer::Pulled(pulled)) }) => {
                    let result = Ok(Answer::Pulled(self.take_pulled(pulled)));
                    return Ok(Some(Event::Answered { ticket, result }));
                }
                Some(event) => return Ok(Some(event)),
                None => {}
            }
        }
    }

    fn take_pulled(&mut self, mut pulled: Pulled) -> Pulled {
        pulled.messages = Messages::new(pulled.messages.run(), self.input.take_records());
        pulled
    }

    /// The records of the delivery that [`poll_event`](Self::poll_event) gave last, borrowed.
    #[must_use]
    pub fn records(&self) -> &[u8] {
        self.input.records()
    }

    /// The records of the delivery that [`poll_event`](Self::poll_event) gave last, without a
    /// copy unless they are small. They can be taken once.
    pub fn take_records(&mut self) -> Bytes {
        self.input.take_records()
    }
}
