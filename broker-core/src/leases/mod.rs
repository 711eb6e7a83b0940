//! The in-flight window of one individually acknowledged subscription, whose consumers share it.
//!
//! A message is leased to a consumer until a deadline. If it is acknowledged before, it is settled
//! and done with; if it is given back, or the deadline passes, or the consumer dies, it is leased
//! again later, and after so many deliveries it is dead, and goes to the dead-letter topic:
//!
//! ```text
//!                                        ┌──────────── lease_again ────────────┐
//!              lease_new                 ▼     nack, expire          due       │
//! never leased ─────────▶ InFlight ──────┴───────────────▶ Returned ───▶ Due ──┘
//!                            │ │                release                  ▲
//!                            │ └─────────────────────────────────────────┘
//!                            └─ any of these, the last allowed delivery ─▶ Dead
//! ```
//!
//! From each of these a message may be settled. All before the `floor` is settled, nothing from
//! `next` on was ever leased. Messages are leased, settled and returned in runs: a call costs as
//! much as the spans of messages in equal state that it touches (times the logarithm of all), and
//! nothing that depends on the number of messages in them.

mod offsets;
mod redelivery;
mod snapshot;
mod spans;
#[cfg(test)]
mod tests;

pub(crate) use offsets::{Offsets, Run};
pub(crate) use redelivery::{Backoff, Delay, Redelivery};

use crate::{AttachmentId, Now, SessionKey};
use spans::{Spans, State};

/// Who has messages in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Holder {
    /// A connection that the subscription is pushed to.
    Attachment(AttachmentId),
    /// A connection that pulls.
    Puller(SessionKey),
}

/// What is leased of a topic's log, and what became of it.
#[derive(Debug)]
pub(crate) struct Leases {
    /// All unsettled messages that were leased.
    spans: Spans,
    /// The first message that was never leased.
    next: u64,
}

/// What an acknowledgement did. The three add up to the messages it named.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Settled {
    /// Messages settled by it.
    pub(crate) settled: u64,
    /// Messages that were settled, skipped or overtaken before.
    pub(crate) already: u64,
    /// Messages that nobody was given yet. They stay so.
    pub(crate) never_leased: u64,
}

/// What came back from consumers. The messages named that were not in flight are in neither.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct GivenBack {
    /// Messages to be delivered again.
    pub(crate) again: u64,
    /// Messages that are now dead.
    pub(crate) dead: u64,
}

/// Unsettled messages that the topic no longer has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Overtaken {
    /// A consumer has them, and may yet be done with them.
    pub(crate) in_flight: u64,
    /// They waited to be delivered again, or to be dead-lettered.
    pub(crate) waiting: u64,
    /// Nobody was ever given them.
    pub(crate) never_leased: u64,
}

impl Leases {
    /// Nothing is leased, and all before `floor` is settled.
    pub(crate) fn new(floor: u64) -> Self {
        Self { spans: Spans::default(), next: floor }
    }

    /// The oldest unsettled message; it grows, except by [`Self::seek`].
    pub(crate) fn floor(&self) -> u64 {
        self.spans.first_offset().unwrap_or(self.next)
    }

    /// The first message that was never leased.
    pub(crate) fn next(&self) -> u64 {
        self.next
    }

    /// Messages that were leased and are not settled: in flight, to be delivered again, or dead.
    pub(crate) fn unsettled(&self) -> u64 {
        self.spans.unsettled()
    }

    /// Whether this message was leased and is not settled.
    pub(crate) fn is_unsettled(&self, offset: u64) -> bool {
        self.spans.is_in(offset)
    }

    /// Messages that consumers have.
    pub(crate) fn in_flight(&self) -> u64 {
        self.spans.in_flight()
    }

    /// Messages that a consumer has.
    pub(crate) fn held(&self, holder: Holder) -> u64 {
        self.spans.held(holder)
    }

    /// How many more messages may be leased for the first time where `in_flight_max` may be
    /// unsettled. Leasing again needs no room.
    pub(crate) fn room(&self, in_flight_max: u32) -> u64 {
        u64::from(in_flight_max).saturating_sub(self.unsettled())
    }

    /// Leases the next `count` messages for the first time. The caller keeps to [`Self::room`].
    pub(crate) fn lease_new(&mut self, count: u64, holder: Holder, deadline: Now) -> Offsets {
        let offsets = Offsets::counted(self.next, count);
        self.next = offsets.end;
        self.spans.put(offsets, State::InFlight { holder, deadline, deliveries: 1 });
        offsets
    }

    /// The oldest messages that are due to be delivered again, and how often they were so far.
    pub(crate) fn due(&mut self, now: Now) -> Option<Run> {
        self.ripen(now);
        self.spans.first_due()
    }

    /// Leases messages again that [`Self::due`] gave: all of that run, or its first ones. Gives the
    /// number of their deliveries, this one counted.
    pub(crate) fn lease_again(&mut self, offsets: Offsets, holder: Holder, deadline: Now) -> u32 {
        let (taken, state) = self.spans.take_first(offsets).expect("the run was given as due");
        let State::Due { deliveries } = state else {
            panic!("{offsets:?} is to be leased again but is not due: {state:?}");
        };
        assert_eq!(taken, offsets, "what is leased again is a part of one run that is due");
        let deliveries = deliveries.saturating_add(1);
        self.spans.put(offsets, State::InFlight { holder, deadline, deliveries });
        deliveries
    }

    /// Leases these messages again if all of them are due and in one span. Gives the number of
    /// their deliveries, this one counted.
    pub(crate) fn lease_due(
        &mut self,
        offsets: Offsets,
        holder: Holder,
        deadline: Now,
    ) -> Option<u32> {
        let (taken, state) = self.spans.take_first(offsets)?;
        let State::Due { deliveries } = state else {
            self.spans.put(taken, state);
            return None;
        };
        let deliveries = deliveries.saturating_add(1);
        self.spans.put(taken, State::InFlight { holder, deadline, deliveries });
        (taken == offsets).then_some(deliveries)
    }

    /// A consumer is done with the messages, or the broker with dead ones. Whose they are does not
    /// matter: who finished after the deadline has finished as well.
    pub(crate) fn settle(&mut self, offsets: Offsets) -> Settled {
        let leased = offsets.before(self.next).count();
        let unsettled = self.unsettled();
        while self.spans.take_first(offsets).is_some() {}
        let settled = unsettled - self.unsettled();
        Settled { settled, already: leased - settled, never_leased: offsets.count() - leased }
    }

    /// A consumer gives messages back: those of them in flight return after `delay`.
    pub(crate) fn nack(
        &mut self,
        offsets: Offsets,
        now: Now,
        delay: Delay,
        redelivery: Redelivery,
    ) -> GivenBack {
        let mut given_back = GivenBack::default();
        let mut rest = offsets;
        while let Some((run, state)) = self.spans.take_first(rest) {
            rest = rest.from(run.end);
            match state {
                State::InFlight { deliveries, .. } => {
                    let due = now.plus_ms(delay.ms(deliveries, redelivery.backoff));
                    let again = State::Returned { due, deliveries };
                    self.give_back(run, again, redelivery.deliveries_max, &mut given_back);
                }
                State::Returned { .. } | State::Due { .. } | State::Dead { .. } => {
                    self.spans.put(run, state);
                }
            }
        }
        given_back
    }

    /// A consumer is gone: its messages are due at once.
    pub(crate) fn release(&mut self, holder: Holder, deliveries_max: u32) -> GivenBack {
        let mut given_back = GivenBack::default();
        while let Some((run, state)) = self.spans.take_held(holder) {
            let again = State::Due { deliveries: state.deliveries() };
            self.give_back(run, again, deliveries_max, &mut given_back);
        }
        given_back
    }

    /// Takes back messages whose deadline is past, to return by backoff. Afterwards
    /// [`Self::next_due`] is later than `now`.
    pub(crate) fn expire(&mut self, now: Now, redelivery: Redelivery) -> GivenBack {
        let mut given_back = GivenBack::default();
        while let Some((run, state)) = self.spans.take_expired(now) {
            let deliveries = state.deliveries();
            let due = now.plus_ms(Delay::Backoff.ms(deliveries, redelivery.backoff));
            let again = State::Returned { due, deliveries };
            self.give_back(run, again, redelivery.deliveries_max, &mut given_back);
        }
        self.ripen(now);
        given_back
    }

    /// When to call [`Self::expire`] next: the earliest deadline, or the earliest moment at which
    /// returned messages are due. What was found to be due waits for a consumer and no longer for
    /// a moment, so it is not counted.
    pub(crate) fn next_due(&self) -> Option<Now> {
        self.spans.next_moment()
    }

    /// The oldest dead messages. They are given again until they are settled, so the caller first
    /// appends them to the dead-letter topic and then settles them.
    pub(crate) fn poll_dead(&self) -> Option<Run> {
        self.spans.first_dead()
    }

    /// The topic has no messages before `offset` any more.
    pub(crate) fn drop_before(&mut self, offset: u64) -> Overtaken {
        let never_leased = offset.saturating_sub(self.next);
        let mut overtaken = Overtaken { never_leased, ..Overtaken::default() };
        while let Some((run, state)) = self.spans.take_first(Offsets::new(0, offset)) {
            match state {
                State::InFlight { .. } => overtaken.in_flight += run.count(),
                State::Returned { .. } | State::Due { .. } | State::Dead { .. } => {
                    overtaken.waiting += run.count();
                }
            }
        }
        self.next = self.next.max(offset);
        overtaken
    }

    /// Forgets all, and goes on at `offset`.
    pub(crate) fn seek(&mut self, offset: u64) {
        *self = Self::new(offset);
    }

    /// Makes what has waited enough due.
    fn ripen(&mut self, now: Now) {
        while let Some((run, state)) = self.spans.take_overdue(now) {
            self.spans.put(run, State::Due { deliveries: state.deliveries() });
        }
    }

    /// Puts a run that is in no span `again`, unless it was delivered too often.
    fn give_back(
        &mut self,
        run: Offsets,
        again: State,
        deliveries_max: u32,
        given_back: &mut GivenBack,
    ) {
        let deliveries = again.deliveries();
        if deliveries < deliveries_max {
            given_back.again += run.count();
            self.spans.put(run, again);
        } else {
            given_back.dead += run.count();
            self.spans.put(run, State::Dead { deliveries });
        }
    }
}
