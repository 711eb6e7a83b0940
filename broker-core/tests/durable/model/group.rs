//! A group: what its consumers were given, and what they settled.

use super::Span;
use protocol::AckTerms;
use std::collections::BTreeMap;

#[derive(Clone, Debug)]
pub(crate) struct Group {
    pub(crate) terms: AckTerms<'static>,
    /// Nothing before is wanted.
    pub(crate) from: u64,
    /// Settled messages from there on, and in which step.
    settled: BTreeMap<u64, u64>,
    /// How often messages were delivered since the broker runs and the group was last moved, and
    /// in which step.
    deliveries: BTreeMap<u64, (u32, u64)>,
    /// How it came to this.
    events: Vec<(Span, Event)>,
    /// It was made or moved in this step; what was delivered before says nothing of what is now.
    moved_in: u64,
}

#[derive(Clone, Debug)]
enum Event {
    Settled(Vec<u64>),
    Moved(u64),
}

impl Group {
    pub(crate) fn new(terms: AckTerms<'static>, from: u64, step: u64) -> Self {
        Self {
            terms,
            from,
            settled: BTreeMap::new(),
            deliveries: BTreeMap::new(),
            events: vec![(Span::ALWAYS, Event::Moved(from))],
            moved_in: step,
        }
    }

    pub(crate) fn is_settled(&self, offset: u64) -> bool {
        offset < self.from || self.settled.contains_key(&offset)
    }

    /// A message was given to a consumer in `step`.
    pub(crate) fn deliver(&mut self, offset: u64, deliveries: u32, step: u64, first: u64) {
        if step < self.moved_in {
            return;
        }
        let settled_in = self.settled.get(&offset).copied();
        assert!(offset >= self.from, "{offset} was given again, all before {} is done", self.from);
        assert!(settled_in.is_none_or(|at| at >= step), "{offset} was given again after its ack");
        // An answer that waited may be heard after a later delivery.
        let (before, before_step) = self.deliveries.get(&offset).copied().unwrap_or_default();
        let grows = (before < deliveries) == (before_step <= step) && before != deliveries;
        assert!(grows, "delivery {deliveries} of {offset} comes after {before}");
        if before_step <= step {
            self.deliveries.insert(offset, (deliveries, step));
        }
        let most = self.terms.deliveries_max;
        assert!(deliveries <= most, "delivery {deliveries} of {offset}, at most {most}");
        let unsettled = self.deliveries.iter().filter(|(offset, (count, _))| {
            **offset >= first && *count < most && !self.is_settled(**offset)
        });
        let (unsettled, most) = (unsettled.count(), self.terms.in_flight_max as usize);
        assert!(unsettled <= most, "{unsettled} are unsettled, at most {most}");
    }

    /// Whether all of `offsets` were delivered, so that they may be settled.
    pub(crate) fn knows(&self, offsets: &[u64]) -> bool {
        offsets.iter().all(|offset| self.deliveries.contains_key(offset))
    }

    pub(crate) fn settle(&mut self, offsets: &[u64], stored: Span, step: u64) {
        for offset in offsets {
            self.settled.entry(*offset).or_insert(step);
        }
        self.events.push((stored, Event::Settled(offsets.to_vec())));
    }

    pub(crate) fn seek(&mut self, to: u64, stored: Span, step: u64) {
        self.events.push((stored, Event::Moved(to)));
        self.move_to(to);
        self.moved_in = step;
    }

    fn move_to(&mut self, to: u64) {
        self.from = to;
        self.settled.clear();
        self.deliveries.clear();
    }

    /// It is stored from now on, and all that happened to it.
    pub(crate) fn store(&mut self) {
        self.events.iter_mut().for_each(|(stored, _)| *stored = Span::ALWAYS);
    }

    pub(crate) fn crash(&mut self, cut: u64) {
        let events = std::mem::take(&mut self.events);
        self.move_to(0);
        self.moved_in = 0;
        for (stored, event) in events {
            if !stored.is_in(cut).expect("a record is whole") {
                continue;
            }
            match &event {
                Event::Settled(offsets) => self.settled.extend(offsets.iter().map(|at| (*at, 0))),
                Event::Moved(to) => self.move_to(*to),
            }
            self.events.push((Span::ALWAYS, event));
        }
    }
}
