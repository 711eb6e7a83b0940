//! Unsettled messages as spans of equal state, found by offset, state, holder and moment.
//!
//! What lies between two spans is settled. Neighbours of equal state are always one span, so there
//! are never more spans than unsettled messages, and of those that came in long runs far fewer.

use super::{Holder, Offsets, Run};
use crate::Now;
use std::collections::{BTreeMap, BTreeSet};

/// What an unsettled message is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// A consumer has it, and is to acknowledge it before the deadline.
    InFlight { holder: Holder, deadline: Now, deliveries: u32 },
    /// It came back, and is to be delivered again, but not before the moment it is due.
    Returned { due: Now, deliveries: u32 },
    /// It is to be delivered again as soon as a consumer has room.
    Due { deliveries: u32 },
    /// It came back once too often, and waits to be dead-lettered.
    Dead { deliveries: u32 },
}

impl State {
    pub(super) fn deliveries(self) -> u32 {
        match self {
            Self::InFlight { deliveries, .. }
            | Self::Returned { deliveries, .. }
            | Self::Due { deliveries }
            | Self::Dead { deliveries } => deliveries,
        }
    }
}

/// The spans. Each index below holds the first offsets of those it speaks of.
#[derive(Debug, Default)]
pub(super) struct Spans {
    by_first: BTreeMap<u64, Span>,
    /// In flight.
    deadlines: BTreeSet<(Now, u64)>,
    /// In flight.
    holders: BTreeSet<(Holder, u64)>,
    /// Messages in flight that each consumer has, where it has any.
    held: BTreeMap<Holder, u64>,
    /// Returned.
    dues: BTreeSet<(Now, u64)>,
    due: BTreeSet<u64>,
    dead: BTreeSet<u64>,
    /// Messages in all spans.
    unsettled: u64,
    /// Messages in flight.
    in_flight: u64,
}

#[derive(Clone, Copy, Debug)]
struct Span {
    end: u64,
    state: State,
}

impl Spans {
    pub(super) fn unsettled(&self) -> u64 {
        self.unsettled
    }

    pub(super) fn in_flight(&self) -> u64 {
        self.in_flight
    }

    pub(super) fn held(&self, holder: Holder) -> u64 {
        self.held.get(&holder).copied().unwrap_or(0)
    }

    /// Offset of the oldest unsettled message.
    pub(super) fn first_offset(&self) -> Option<u64> {
        self.by_first.first_key_value().map(|(first, _)| *first)
    }

    /// Whether a span has this message.
    pub(super) fn is_in(&self, offset: u64) -> bool {
        self.first_overlapping(Offsets::new(offset, offset + 1)).is_some()
    }

    /// All spans, oldest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Offsets, State)> {
        self.by_first.iter().map(|(first, span)| (Offsets::new(*first, span.end), span.state))
    }

    /// The earliest moment at which a span in flight or returned has waited enough.
    pub(super) fn next_moment(&self) -> Option<Now> {
        let firsts = [self.deadlines.first(), self.dues.first()];
        firsts.into_iter().flatten().map(|(moment, _)| *moment).min()
    }

    pub(super) fn first_due(&self) -> Option<Run> {
        self.due.first().map(|first| self.run_at(*first))
    }

    pub(super) fn first_dead(&self) -> Option<Run> {
        self.dead.first().map(|first| self.run_at(*first))
    }

    /// Adds messages that are in no span.
    pub(super) fn put(&mut self, mut offsets: Offsets, state: State) {
        if offsets.is_empty() {
            return;
        }
        let before = self.by_first.range(..offsets.first).next_back();
        if let Some((&first, span)) = before
            && span.end == offsets.first
            && span.state == state
        {
            self.remove(first);
            offsets.first = first;
        }
        let after = self.by_first.get(&offsets.end);
        if after.is_some_and(|span| span.state == state) {
            offsets.end = self.remove(offsets.end).0.end;
        }
        self.insert(offsets, state);
    }

    /// Takes the oldest messages of one span that are `within`.
    pub(super) fn take_first(&mut self, within: Offsets) -> Option<(Offsets, State)> {
        let first = self.first_overlapping(within)?;
        let (span, state) = self.remove(first);
        let taken = span.from(within.first).before(within.end);
        for rest in [span.before(taken.first), span.from(taken.end)] {
            if !rest.is_empty() {
                self.insert(rest, state);
            }
        }
        Some((taken, state))
    }

    /// Takes the span in flight whose deadline is the earliest, if that is not after `now`.
    pub(super) fn take_expired(&mut self, now: Now) -> Option<(Offsets, State)> {
        let (_, first) = *self.deadlines.first().filter(|(deadline, _)| *deadline <= now)?;
        Some(self.remove(first))
    }

    /// Takes the returned span that is due first, if that is not after `now`.
    pub(super) fn take_overdue(&mut self, now: Now) -> Option<(Offsets, State)> {
        let (_, first) = *self.dues.first().filter(|(due, _)| *due <= now)?;
        Some(self.remove(first))
    }

    /// Takes the oldest span that a consumer holds.
    pub(super) fn take_held(&mut self, holder: Holder) -> Option<(Offsets, State)> {
        let (_, first) = *self.holders.range((holder, 0)..=(holder, u64::MAX)).next()?;
        Some(self.remove(first))
    }

    fn run_at(&self, first: u64) -> Run {
        let span = self.by_first.get(&first).expect("an index names spans that exist");
        Run { offsets: Offsets::new(first, span.end), deliveries: span.state.deliveries() }
    }

    fn first_overlapping(&self, within: Offsets) -> Option<u64> {
        if within.is_empty() {
            return None;
        }
        let before = self.by_first.range(..within.first).next_back();
        if let Some((first, _)) = before.filter(|(_, span)| span.end > within.first) {
            return Some(*first);
        }
        self.by_first.range(within.first..within.end).next().map(|(first, _)| *first)
    }

    fn insert(&mut self, offsets: Offsets, state: State) {
        let Offsets { first, end } = offsets;
        self.by_first.insert(first, Span { end, state });
        self.unsettled += offsets.count();
        match state {
            State::InFlight { holder, deadline, .. } => {
                self.deadlines.insert((deadline, first));
                self.holders.insert((holder, first));
                *self.held.entry(holder).or_default() += offsets.count();
                self.in_flight += offsets.count();
            }
            State::Returned { due, .. } => {
                self.dues.insert((due, first));
            }
            State::Due { .. } => {
                self.due.insert(first);
            }
            State::Dead { .. } => {
                self.dead.insert(first);
            }
        }
    }

    fn remove(&mut self, first: u64) -> (Offsets, State) {
        let Span { end, state } = self.by_first.remove(&first).expect("the span was just found");
        let offsets = Offsets::new(first, end);
        self.unsettled -= offsets.count();
        let indexed = match state {
            State::InFlight { holder, deadline, .. } => {
                self.in_flight -= offsets.count();
                self.let_go(holder, offsets.count());
                self.holders.remove(&(holder, first)) & self.deadlines.remove(&(deadline, first))
            }
            State::Returned { due, .. } => self.dues.remove(&(due, first)),
            State::Due { .. } => self.due.remove(&first),
            State::Dead { .. } => self.dead.remove(&first),
        };
        assert!(indexed, "the span at {first} is missing from an index");
        (offsets, state)
    }

    /// A consumer has so many messages less.
    fn let_go(&mut self, holder: Holder, count: u64) {
        let held = self.held.get_mut(&holder).expect("who has a span has its messages");
        *held -= count;
        if *held == 0 {
            self.held.remove(&holder);
        }
    }

    /// Panics where neighbours of equal state are two spans, or an index holds more than it should.
    #[cfg(test)]
    pub(super) fn assert_tidy(&self) {
        let spans: Vec<_> = self.iter().collect();
        for pair in spans.windows(2) {
            let [(left, left_state), (right, right_state)] = pair else { unreachable!() };
            assert!(left.end <= right.first, "spans overlap: {left:?} {right:?}");
            assert!(left.end < right.first || left_state != right_state, "unmerged at {right:?}");
        }
        let indexed = self.deadlines.len() + self.dues.len() + self.due.len() + self.dead.len();
        assert_eq!(indexed, spans.len());
        assert_eq!(self.holders.len(), self.deadlines.len());
        assert_eq!(self.held.values().sum::<u64>(), self.in_flight);
    }
}
