//! What a backend does for a connection, one thing at a time, and what the model makes of it.

use super::World;
use crate::ask::{Ask, Sent};
use crate::link::Called;
use crate::model::{Endings, Moment};
use crate::said::Said;
use broker_core::{Cause, SessionKey, Wakes};
use protocol::Code;
use protocol::batch::RECORD_HEADER_BYTES;
use std::collections::VecDeque;

/// A publication that waits for as long as it takes asks again after so long, or a hold.
const RETRY_MS: u64 = 100;

/// Bytes of any answer that holds no messages, and of what stands around messages.
const ANSWER_BYTES_MAX: usize = 2000;

/// How many bytes one call may write.
#[derive(Clone, Copy, Debug)]
enum Growth {
    /// So many that the output is over its limit by no more than this.
    OverLimit(usize),
    /// This many, however many there are.
    InAnyCase(usize),
}

impl World {
    /// Reads some of what a client sent, or offers what was read before.
    pub(super) fn read(&mut self, key: SessionKey) {
        let now = self.now();
        let bytes_max = if self.rng.bool() { self.rng.usize(1..40) } else { 1 << 16 };
        let scratch_bytes = if self.rng.bool() { self.rng.usize(1..200) } else { 1 << 12 };
        let offers = self.rng.bool();
        let link = self.link(key);
        if !link.wants_input() {
            return;
        }
        let called = match link.outbound_bytes() {
            _ if link.has_kept_input() && offers => link.offer(now),
            0 => return,
            _ => return self.receive(key, bytes_max, scratch_bytes),
        };
        self.handle_taken(key, called);
    }

    pub(super) fn receive(&mut self, key: SessionKey, bytes_max: usize, scratch_bytes: usize) {
        let now = self.now();
        let one_by_one = self.scenario.disconnects_laggards;
        let link = self.link(key);
        let bytes_max = match one_by_one {
            true => bytes_max.min(link.bytes_to_publication()),
            false => bytes_max,
        };
        let called = link.receive(bytes_max, scratch_bytes, now);
        self.handle_taken(key, called);
    }

    /// A session was offered input: holds its answers against the model's.
    pub(super) fn handle_taken(&mut self, key: SessionKey, called: Called) {
        let answer_bytes_max = 3 * self.message_room_bytes(self.scenario.limits.pull_bytes_max);
        let Called { mut said, wakes, .. } =
            self.note(key, called, Growth::OverLimit(answer_bytes_max));
        let now = self.now();
        let link = self.links.get_mut(&key).expect("it was called");
        let mut endings = Endings::of(&wakes);
        let tongue = link.client.tongue;
        let mut at = Moment { key, tongue, now, said: &mut said, endings: &mut endings };
        while let Some(sent) = link.sent.front().filter(|sent| sent.start < link.taken_bytes) {
            self.model.handle_taken(sent, &mut at);
            let is_last = is_fatal(sent) || !self.model.is_admitted(key);
            link.patience = None;
            link.sent.pop_front();
            if is_last {
                assert!(link.session.is_closing(), "the connection was to end");
                link.sent.clear();
            }
        }
        if link.is_held() {
            self.model.handle_held(link.sent.front(), &mut at);
            let sent = link.sent.front().expect("it was found held");
            let hold_ms_max = match self.model.may_be_held_for_ever(sent) {
                true => self.scenario.limits.publisher_hold_ms_max.max(RETRY_MS),
                false => self.scenario.limits.publisher_hold_ms_max,
            };
            let until = link.session.poll_timeout().expect("what is held asks again");
            assert!(until <= now.plus_ms(hold_ms_max), "held until {until:?}, too long");
        }
        assert!(said.is_empty(), "said without being asked: {said:?}");
        self.carry(&wakes, endings.explained());
    }

    fn message_room_bytes(&self, bytes: usize) -> usize {
        bytes.max(self.scenario.limits.message_bytes_max + RECORD_HEADER_BYTES) + ANSWER_BYTES_MAX
    }

    /// Notes what came of a call, and that it wrote no more than it may.
    fn note(&mut self, key: SessionKey, called: Called, growth: Growth) -> Called {
        self.trace.note_bytes(key, &called.bytes);
        self.trace.note_wakes(&called.wakes);
        let Called { said, wakes, .. } = &called;
        if !said.is_empty() || !wakes.is_empty() {
            self.story.tell(|| format!("{} says {said:?}, wakes {wakes:?}", key.0));
        }
        let (before, after) = called.output_bytes;
        let most = match growth {
            Growth::OverLimit(bytes) => before.max(self.scenario.limits.output_bytes_max + bytes),
            Growth::InAnyCase(bytes) => before + bytes,
        };
        assert!(after <= most, "{key:?} has {after} bytes to write, more than {most}");
        called
    }

    /// Puts wakes on their way, with the attachments that ended.
    pub(super) fn carry(&mut self, wakes: &Wakes, mut ended: VecDeque<u64>) {
        for wake in wakes {
            let serial = match wake.cause {
                Cause::Ended { .. } => Some(ended.pop_front().expect("an ending for each")),
                Cause::Readable { .. }
                | Cause::Room
                | Cause::Stored
                | Cause::Matched
                | Cause::Displaced => None,
            };
            if let Some(link) = self.links.get_mut(&wake.session) {
                link.wakes.push_back((wake.cause, serial));
            }
        }
    }

    /// A wake arrives.
    pub(super) fn wake(&mut self, key: SessionKey) {
        let now = self.now();
        let link = self.link(key);
        let Some((cause, serial)) = link.wakes.pop_front() else { return };
        let called = link.call(now, |session, turn| session.handle_wake(cause, turn));
        self.story.tell(|| format!("{} was woken: {cause:?}", key.0));
        let Called { said, wakes, .. } =
            self.note(key, called, Growth::InAnyCase(ANSWER_BYTES_MAX));
        let expected = match cause {
            Cause::Ended { subscription, code, .. } => {
                self.model.handle_ended(key, subscription, serial, code)
            }
            Cause::Readable { .. }
            | Cause::Room
            | Cause::Stored
            | Cause::Matched
            | Cause::Displaced => None,
        };
        let lags = matches!(&expected, Some(Said::Ended { code: Code::Lagging, .. }));
        assert!(said.iter().eq(&expected), "expected {expected:?}, found {said:?}");
        assert!(!lags || self.link(key).session.is_closing(), "one that lags is disconnected");
        self.carry(&wakes, [].into());
    }

    /// Delivers, if there may be something.
    pub(super) fn poll(&mut self, key: SessionKey) {
        let now = self.now();
        let was_closing = self.link(key).session.is_closing();
        let called = self.link(key).poll(now);
        let over_bytes_max = self.message_room_bytes(0);
        let Called { said, wakes, .. } = self.note(key, called, Growth::OverLimit(over_bytes_max));
        assert!(
            said.is_empty() || !was_closing,
            "a connection that ends is told no more: {said:?}"
        );
        for one in &said {
            self.model.handle_pushed(key, one, now);
        }
        self.carry(&wakes, [].into());
    }

    /// Some of the output leaves, if the client reads.
    pub(super) fn write(&mut self, key: SessionKey) {
        let bytes_max = [60, 6000, 1 << 17][self.rng.usize(0..3)];
        let bytes_max = self.rng.usize(1..bytes_max);
        if !self.link(key).is_stalled {
            self.write_at_most(key, bytes_max);
        }
    }

    pub(super) fn write_at_most(&mut self, key: SessionKey, bytes_max: usize) {
        let link = self.links.get_mut(&key).expect("a connection that is there");
        for said in link.write(bytes_max) {
            let asks = link.client.hear(&said, self.zeal, &mut self.rng);
            asks.into_iter().for_each(|(ask, correlation)| link.send(ask, correlation));
        }
    }

    /// Does what is due.
    pub(super) fn fire_timer(&mut self, key: SessionKey) {
        self.count_expiry(key);
        let now = self.now();
        let link = self.link(key);
        if link.session.poll_timeout().is_none_or(|due| due > now) {
            return;
        }
        let wanted_input = link.wants_input();
        let has_begun = link.has_kept_input();
        let called = link.call(now, |session, turn| session.handle_timeout(turn));
        self.story.tell(|| format!("{} has its timer fired", key.0));
        let Called { mut said, wakes, .. } =
            self.note(key, called, Growth::InAnyCase(ANSWER_BYTES_MAX));
        assert!(wakes.is_empty(), "time alone wakes nobody, but {wakes:?}");
        if said.is_empty() {
            return;
        }
        let tongue = self.link(key).client.tongue;
        let mut endings = Endings::default();
        let mut at = Moment { key, tongue, now, said: &mut said, endings: &mut endings };
        let code = match self.model.is_admitted(key) {
            true => Code::RequestTimeout,
            false => Code::LimitReached,
        };
        self.model.expect_farewell(code, &mut at);
        assert!(said.is_empty() && self.link(key).session.is_closing());
        if code == Code::RequestTimeout {
            assert!(wanted_input, "the peer is told to be slow, and nobody reads it");
            assert!(has_begun, "the peer is told to be slow, and has nothing begun");
        }
        self.link(key).sent.clear();
    }

    /// Counts the times that a publication was held to the end, and not for as long as it takes.
    fn count_expiry(&mut self, key: SessionKey) {
        let now = self.now();
        let link = self.links.get_mut(&key).expect("a connection that is there");
        let is_due = link.session.poll_timeout().is_some_and(|due| due <= now);
        let sent = link.sent.front().filter(|sent| link.is_held() && self.model.has_topic(sent));
        if let Some(sent) = sent.filter(|_| is_due) {
            let now_waits = self.model.patience(sent);
            let before = link.patience.filter(|p| p.next_offset == now_waits.next_offset);
            let mut patience = before.unwrap_or(now_waits);
            patience.expiries += u64::from(!self.model.may_be_held_for_ever(sent));
            link.patience = Some(patience);
        }
    }

    /// A connection that is closing ends when all is written.
    pub(super) fn end_if_closing(&mut self, key: SessionKey) {
        let link = self.link(key);
        if link.session.is_closing() && link.output.is_empty() {
            self.close(key);
        }
    }

    /// A connection is gone, whatever it was at.
    pub(super) fn close(&mut self, key: SessionKey) {
        self.story.tell(|| format!("{} is gone", key.0));
        let mut link = self.links.remove(&key).expect("a connection that is there");
        let mut wakes = Wakes::new();
        link.session.handle_close(&mut wakes, self.now());
        self.trace.note_wakes(&wakes);
        self.model.handle_close(key, self.now());
        self.carry(&wakes, [].into());
    }

    /// The broker stops, as far as a connection is concerned.
    pub(super) fn shut_down(&mut self, key: SessionKey) {
        let now = self.now();
        let link = self.link(key);
        let was_closing = link.session.is_closing();
        let called = link.call(now, |session, turn| session.handle_shutdown(turn));
        let numbers = if was_closing { Vec::new() } else { self.model.numbers(key) };
        let farewells = numbers.len() * ANSWER_BYTES_MAX;
        let Called { said, .. } = self.note(key, called, Growth::InAnyCase(farewells));
        let told = |number| Said::Ended { number, code: Code::ShuttingDown };
        assert!(said.into_iter().eq(numbers.into_iter().map(told)), "all are told, in order");
        assert!(self.link(key).session.is_closing());
    }
}

fn is_fatal(sent: &Sent) -> bool {
    matches!(sent.ask, Ask::Wrong { is_fatal: true, .. })
}
