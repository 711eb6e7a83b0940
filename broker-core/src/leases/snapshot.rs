//! What of the leases outlives a restart: what is settled, and how often the rest was delivered.
//!
//! Who holds a message, until when, and how long it waits is not kept: a restart ends all
//! connections, so whatever was leased and not settled is due at once, or dead.

use super::{GivenBack, Leases, Offsets, Run, State};

impl Leases {
    /// Settled runs after the floor, oldest first. With the floor and [`Self::delivered`] they are
    /// all that there is to keep.
    pub(crate) fn settled(&self) -> impl Iterator<Item = Offsets> {
        let ends = self.spans.iter().map(|(span, _)| span.end);
        let firsts = self.spans.iter().map(|(span, _)| span.first).skip(1).chain([self.next]);
        ends.zip(firsts).map(|(end, first)| Offsets::new(end, first)).filter(|gap| !gap.is_empty())
    }

    /// Unsettled messages that were delivered, and how often, oldest first.
    pub(crate) fn delivered(&self) -> impl Iterator<Item = Run> {
        self.spans.iter().map(|(offsets, state)| Run { offsets, deliveries: state.deliveries() })
    }

    /// Restores that messages are settled. Unlike [`Self::settle`] it knows that they had been
    /// leased, and all before them too, even if nothing else tells so.
    ///
    /// After [`Self::new`] with the floor, it and [`Self::restore_delivered`] may be called in any
    /// order.
    pub(crate) fn restore_settled(&mut self, offsets: Offsets, deliveries_max: u32) {
        if offsets.is_empty() {
            return;
        }
        self.lease_up_to(offsets.first, deliveries_max);
        self.settle(offsets.before(self.next));
        self.next = self.next.max(offsets.end);
    }

    /// Restores how often messages were delivered, except for those that are settled.
    pub(crate) fn restore_delivered(&mut self, run: Run, deliveries_max: u32) {
        if run.offsets.is_empty() {
            return;
        }
        self.lease_up_to(run.offsets.first, deliveries_max);
        let mut rest = run.offsets;
        while let Some((known, _)) = self.spans.take_first(rest) {
            rest = rest.from(known.end);
            self.give_back_restored(known, run.deliveries, deliveries_max);
        }
        let new = run.offsets.from(self.next);
        self.give_back_restored(new, run.deliveries, deliveries_max);
        self.next = self.next.max(new.end);
    }

    /// Messages are leased in order, so all before one that was leased were leased as well.
    fn lease_up_to(&mut self, offset: u64, deliveries_max: u32) {
        let leased = Offsets::new(self.next, offset);
        self.give_back_restored(leased, 1, deliveries_max);
        self.next = leased.end;
    }

    fn give_back_restored(&mut self, run: Offsets, deliveries: u32, deliveries_max: u32) {
        let again = State::Due { deliveries };
        self.give_back(run, again, deliveries_max, &mut GivenBack::default());
    }
}
