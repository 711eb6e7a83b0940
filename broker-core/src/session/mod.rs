//! A session: the state of one connection. Bytes and time go in, bytes and deadlines come out.
//!
//! A backend drives it so:
//! - bytes received: [`Session::handle_input`], until it takes no more, and again as soon as it
//!   wants input where some was not taken, or [`Session::owes_input`];
//! - a wake from another session: [`Session::handle_wake`];
//! - whenever there is room to write: [`Session::poll_deliveries`];
//! - at the time that [`Session::poll_timeout`] gives: [`Session::handle_timeout`];
//! - when [`Session::is_closing`]: write what is left, then close;
//! - when the connection is gone: [`Session::handle_close`].
//!
//! After [`handle_wake`](Session::handle_wake) and [`handle_timeout`](Session::handle_timeout)
//! bytes that were not taken before may be taken.

mod answer;
mod dialect;
mod mqtt;
mod pushes;
mod requests;
mod waiting;
mod web;

use crate::topic::Topic;
use crate::{Broker, Cause, Now, Output, SessionKey, Wakes};
use dialect::Speech;
use mqtt::Told;
use protocol::mqtt::ReasonCode;
use protocol::{Code, Refusal};
use pushes::{Begun, Pushes};
use std::sync::Arc;
use waiting::Waiting;
use web::Web;

/// Who is on the other end, and what was agreed so far.
#[derive(Debug)]
pub struct Session {
    broker: Arc<Broker>,
    key: SessionKey,
    speech: Speech,
    /// The WebSocket around it.
    web: Option<Box<Web>>,
    /// The topic last published to, and whether its readers have yet to be woken.
    target: Option<Target>,
    pushes: Pushes,
    /// What is to be told when the journal has come so far.
    waiting: Waiting,
    /// MQTT packets were written that something has to follow.
    told: Vec<Told>,
    /// A publication waits for room.
    held: Option<Held>,
    /// Since when the input has ended in an incomplete request.
    incomplete_since: Option<Now>,
    /// No more room for this connection: refused as soon as it says which dialect it speaks.
    refused: Option<Refusal>,
    /// Nothing more is read; what was written leaves, and the connection ends.
    closing: bool,
}

#[derive(Debug)]
struct Target {
    topic: Arc<Topic>,
    readers_to_wake: bool,
}

#[derive(Clone, Copy, Debug)]
struct Held {
    /// When it is handled again, if it is not woken before.
    until: Now,
}

/// What goes with every call into a session: where its answers and wakes go, and the time.
#[derive(Debug)]
pub struct Turn<'a> {
    /// Where answers and deliveries are written.
    pub out: &'a mut Output,
    /// Whom the backend is to wake afterwards.
    pub wakes: &'a mut Wakes,
    /// The time.
    pub now: Now,
}

impl Session {
    /// A connection that was just accepted. `key` is the backend's name for it.
    #[must_use]
    pub fn new(broker: Arc<Broker>, key: SessionKey, now: Now) -> Self {
        let max = broker.limits().connections_max;
        let refused = (!broker.tally().connection_opened(max)).then(|| {
            Refusal::new(
                Code::LimitReached,
                format!("the broker holds {max} connections; close one, or raise connections_max"),
            )
        });
        Self {
            broker,
            key,
            speech: Speech::Unheard,
            web: None,
            target: None,
            pushes: Pushes::default(),
            waiting: Waiting::default(),
            told: Vec::new(),
            held: None,
            incomplete_since: refused.is_some().then_some(now),
            refused,
            closing: false,
        }
    }

    /// Takes requests from the start of `input`, all bytes received and not yet taken, and gives
    /// how many bytes it took.
    ///
    /// It takes none while a publication is held, and stops when the output is over its limit.
    pub fn handle_input(&mut self, input: &[u8], turn: &mut Turn<'_>) -> usize {
        self.begin_web(input);
        if self.web.is_some() {
            return self.handle_web_input(input, turn);
        }
        self.handle_bytes(input, turn)
    }

    fn handle_bytes(&mut self, input: &[u8], turn: &mut Turn<'_>) -> usize {
        if self.closing {
            self.look_for_farewell(input);
            return input.len();
        }
        let mut taken = 0;
        loop {
            while self.wants_input(turn.out) {
                match self.handle_next(&input[taken..], turn) {
                    0 => break,
                    bytes => taken += bytes,
                }
            }
            let was_full = !self.wants_input(turn.out);
            self.wake_readers(turn.wakes);
            self.release_answers(turn);
            self.settle_told(turn);
            // Nobody else tells that there is room again.
            if !(was_full && self.wants_input(turn.out)) {
                break;
            }
        }
        if self.closing {
            taken = input.len();
        }
        let incomplete = taken < input.len() && self.wants_input(turn.out);
        self.incomplete_since = match (incomplete, taken) {
            (true, 0) => self.incomplete_since.or(Some(turn.now)),
            (true, _) => Some(turn.now),
            (false, _) if self.refused.is_some() => self.incomplete_since,
            (false, _) => None,
        };
        taken
    }

    /// Whether it would take more input, with `out` still to be written.
    #[must_use]
    pub fn wants_input(&self, out: &Output) -> bool {
        let limits = self.broker.limits();
        !self.closing
            && self.held.is_none()
            && out.len() < limits.output_bytes_max
            && self.waiting.has_room(limits.answers_waiting_max, limits.output_bytes_max)
    }

    /// Whether [`handle_input`](Self::handle_input) is to be called as soon as the session wants
    /// input, even with nothing: it has taken bytes that it has yet to handle.
    #[must_use]
    pub fn owes_input(&self) -> bool {
        !self.closing && self.owes_unframed()
    }

    /// Takes what another session caused.
    pub fn handle_wake(&mut self, cause: Cause, turn: &mut Turn<'_>) {
        self.framed(turn, |session, turn| session.handle_cause(cause, turn));
    }

    fn handle_cause(&mut self, cause: Cause, turn: &mut Turn<'_>) {
        match cause {
            cause if cause != Cause::Stored && self.speech.is_mqtt() => {
                self.handle_mqtt_wake(cause, turn);
            }
            Cause::Readable { subscription } => self.pushes.handle_readable(subscription),
            Cause::Ended { subscription, attachment, code } => {
                match self.pushes.remove(subscription, attachment) {
                    None => {}
                    Some(Begun::Yes) => self.tell_ended(subscription, code, turn),
                    Some(Begun::NotYet) => self.answer_ended(subscription, code),
                }
            }
            Cause::Room => self.held = None,
            Cause::Stored => self.handle_stored(turn),
            // They concern MQTT alone.
            Cause::Matched | Cause::Displaced => {}
        }
        self.settle_told(turn);
    }

    /// Writes what subscriptions have to deliver, as long as `out` is not over its limit. Gives
    /// whether more is left than it took.
    pub fn poll_deliveries(&mut self, turn: &mut Turn<'_>) -> bool {
        if self.closing {
            return false;
        }
        if self.speech.is_mqtt() {
            // What is framed is not counted until it is.
            if turn.out.len() >= self.broker.limits().output_bytes_max {
                return true;
            }
            return self.framed(turn, Self::poll_packets);
        }
        self.pushes.poll_deliveries(&self.broker, turn)
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called, if nothing happens before.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Now> {
        if self.closing {
            return None;
        }
        let held = self.held.map(|held| held.until);
        let incomplete = self.incomplete_since.and_then(|since| self.incomplete_until(since));
        let silent = self.speech.silent_until().filter(|_| self.held.is_none());
        held.into_iter().chain(incomplete).chain(silent).min()
    }

    fn incomplete_until(&self, since: Now) -> Option<Now> {
        let limits = self.broker.limits();
        let ms_max =
            if self.refused.is_some() { limits.linger_ms_max } else { limits.request_ms_max };
        (ms_max > 0).then(|| since.plus_ms(ms_max))
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, turn: &mut Turn<'_>) {
        self.framed(turn, Self::do_what_is_due);
    }

    fn do_what_is_due(&mut self, turn: &mut Turn<'_>) {
        if self.closing {
            return;
        }
        let now = turn.now;
        let is_due = |deadline: Option<Now>| deadline.is_some_and(|deadline| deadline <= now);
        if is_due(self.held.map(|held| held.until)) {
            self.held = None;
            self.retry_held(turn);
            self.settle_told(turn);
        }
        if is_due(self.speech.silent_until()) && self.held.is_none() {
            let message = "expected a packet within one and a half times the keep-alive";
            self.end_mqtt(ReasonCode::KeepAliveTimeout, message, turn);
        }
        if is_due(self.incomplete_since.and_then(|since| self.incomplete_until(since))) {
            if !self.wants_input(turn.out) {
                // It is the broker that does not read on.
                self.incomplete_since = Some(turn.now);
                return;
            }
            self.incomplete_since = None;
            if self.speech.is_mqtt() {
                let message = "expected the rest of a packet in time";
                self.end_mqtt(ReasonCode::UnspecifiedError, message, turn);
                self.closing = true;
                return;
            }
            let refusal = self.refused.clone().unwrap_or_else(|| {
                let ms = self.broker.limits().request_ms_max;
                Refusal::new(
                    Code::RequestTimeout,
                    format!(
                        "expected a whole request within {ms} ms of its first byte, found a part"
                    ),
                )
            });
            self.refuse_and_close(refusal, turn.out);
        }
    }

    /// Nothing more is published: what the logs hold by now is all that there is to deliver, and
    /// is delivered even if a wake is still on its way.
    pub fn handle_last_call(&mut self) {
        self.pushes.handle_all_readable();
    }

    /// The broker is stopping: what is written leaves, then the connection ends.
    pub fn handle_shutdown(&mut self, turn: &mut Turn<'_>) {
        if self.closing {
            return;
        }
        if self.speech.is_mqtt() {
            let message = "the broker is stopping; connect again later";
            self.framed(turn, |session, turn| {
                session.end_mqtt(ReasonCode::ServerShuttingDown, message, turn);
                session.closing = true;
            });
            return;
        }
        let refusal =
            Refusal::new(Code::ShuttingDown, "the broker is stopping; connect again later");
        for subscription in self.pushes.numbers() {
            self.speech.tell_ended(subscription, &refusal, turn.out);
        }
        self.closing = true;
    }

    /// Whether the connection is to be closed when all is written.
    #[must_use]
    pub fn is_closing(&self) -> bool {
        self.closing
    }

    /// The connection is gone.
    pub fn handle_close(&mut self, wakes: &mut Wakes, now: Now) {
        self.wake_readers(wakes);
        self.leave_mqtt(now, wakes);
        self.pushes.handle_close(&self.broker, wakes);
        if let Some(target) = &self.target {
            target.topic.forget_publisher(self.key);
        }
        if self.refused.is_none() {
            self.broker.tally().connection_closed();
        }
    }

    pub(super) fn tell_ended(&mut self, subscription: u32, code: Code, turn: &mut Turn<'_>) {
        self.speech.tell_ended(subscription, &Refusal::new(code, why_ended(code)), turn.out);
        self.closing |= code == Code::Lagging;
    }

    /// Wakes the readers of the topic last published to, once for all that was published.
    fn wake_readers(&mut self, wakes: &mut Wakes) {
        if let Some(target) = &mut self.target
            && std::mem::take(&mut target.readers_to_wake)
        {
            target.topic.wake_readers(wakes);
        }
    }

    /// Closes the connection once all requests are answered, and tells why.
    fn refuse_and_close(&mut self, refusal: Refusal, out: &mut Output) {
        if self.waiting.is_empty() {
            self.close_with(&refusal, out);
        } else {
            self.answer_last(refusal);
        }
    }

    fn close_with(&mut self, refusal: &Refusal, out: &mut Output) {
        self.speech.tell_last(refusal, out, self.broker.limits());
        self.closing = true;
    }

    /// The backend's name for the connection.
    #[must_use]
    pub fn key(&self) -> SessionKey {
        self.key
    }
}

fn why_ended(code: Code) -> &'static str {
    match code {
        Code::TakenOver => "another connection attached to the subscription",
        Code::TopicDeleted => "the topic was deleted",
        Code::Unsubscribed => "the subscription was removed",
        Code::Lagging => {
            "retention was about to overtake the subscriber; read faster, or choose another lag policy"
        }
        Code::StorageDamaged => {
            "stored messages cannot be read back; stop the broker, see `tandem journal verify`"
        }
        _ => "the subscription is over",
    }
}
