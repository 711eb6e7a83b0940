//! When the messages of one thread are due, counted from the beginning of a phase.

use super::NS_PER_S;
use super::rhythm::{MESSAGE, Moment, Rhythm, messages_of};
use super::share::{Between, Share, Turns};
use rand_distr::{Distribution as _, Exp1};
use rand_xoshiro::Xoshiro256PlusPlus;

/// Due times that never decrease.
pub(super) trait Source {
    /// When the next message is due; `u64::MAX`: never.
    fn due_ns(&self) -> u64;

    /// On to the message after it.
    fn advance(&mut self);

    /// Appends `start_ns` and each due time up to `until_ns`, but no more than `max` of them.
    #[inline]
    fn fill(&mut self, start_ns: u64, until_ns: u64, max: usize, times_ns: &mut Vec<u64>) {
        while times_ns.len() < max && self.due_ns() <= until_ns {
            times_ns.push(start_ns + self.due_ns());
            self.advance();
        }
    }
}

/// A rate that is given as a function of time: the load's message `i` is due when the integral of
/// the rate reaches `i`, and the thread has every message that falls to one of its publishers.
#[derive(Clone, Debug)]
pub(super) struct Profile {
    segments: Vec<Segment>,
    current: usize,
    turns: Turns,
    at: Moment,
    /// The steps of the current segment, where it is even.
    steps: [Moment; 2],
    due_ns: u64,
}

/// A part of a [`Profile`].
#[derive(Clone, Debug)]
struct Segment {
    begins_ns: u64,
    /// Messages before it, in fixed point.
    before: u128,
    /// The number of the first message after it.
    end: u64,
    shape: Shape,
}

#[derive(Clone, Copy, Debug)]
enum Shape {
    Even(Rhythm),
    Silent,
    Ramp { from_per_ns: f64, gained_per_ns2: f64, over_ns: u64 },
}

impl Profile {
    /// One even rate.
    pub(super) fn even(rate_per_s: f64, share: &Share) -> Self {
        Self::steps(&[rate_per_s], 0, share)
    }

    /// Even rates in turn, the last one for ever.
    pub(super) fn steps(rates_per_s: &[f64], step_ns: u64, share: &Share) -> Self {
        let (mut begins_ns, mut before) = (0u64, 0);
        let last = rates_per_s.len().saturating_sub(1);
        let mut segments = Vec::with_capacity(rates_per_s.len());
        for (index, &rate_per_s) in rates_per_s.iter().enumerate() {
            let rhythm = Rhythm::of(rate_per_s);
            let after = before + rhythm.map_or(0, |rhythm| rhythm.messages_in(step_ns));
            let end = if index == last { u64::MAX } else { first_index(after) };
            let shape = rhythm.map_or(Shape::Silent, Shape::Even);
            segments.push(Segment { begins_ns, before, end, shape });
            (begins_ns, before) = (begins_ns.saturating_add(step_ns), after);
        }
        Self::of(segments, share)
    }

    /// An even change from one rate to another, which then stays.
    pub(super) fn ramp(from_per_s: f64, to_per_s: f64, over_ns: u64, share: &Share) -> Self {
        let from_per_ns = from_per_s / NS_PER_S;
        let gained_per_ns2 = (to_per_s - from_per_s) / NS_PER_S / over_ns as f64;
        let messages = (from_per_s + to_per_s) / 2.0 * (over_ns as f64 / NS_PER_S);
        let after = (messages * MESSAGE as f64) as u128;
        let ramp = Shape::Ramp { from_per_ns, gained_per_ns2, over_ns };
        let then = Rhythm::of(to_per_s).map_or(Shape::Silent, Shape::Even);
        let segments = vec![
            Segment { begins_ns: 0, before: 0, end: first_index(after), shape: ramp },
            Segment { begins_ns: over_ns, before: after, end: u64::MAX, shape: then },
        ];
        Self::of(segments, share)
    }

    fn of(segments: Vec<Segment>, share: &Share) -> Self {
        let (at, steps) = (Moment::default(), [Moment::default(); 2]);
        let turns = Turns::new(share);
        let mut profile = Self { segments, current: 0, turns, at, steps, due_ns: u64::MAX };
        profile.enter();
        profile
    }

    /// Finds the segment of the current message, and its place there.
    #[cold]
    fn enter(&mut self) {
        let index = self.turns.index();
        while self.segments.get(self.current).is_some_and(|segment| index >= segment.end) {
            self.current += 1;
        }
        let Some(segment) = self.segments.get(self.current) else {
            self.due_ns = u64::MAX;
            return;
        };
        match segment.shape {
            Shape::Even(rhythm) => {
                self.at = rhythm.place(segment.after_beginning(index));
                self.at.ns = self.at.ns.saturating_add(segment.begins_ns);
                self.steps = self.turns.steps().map(|step| rhythm.step(step));
                self.due_ns = self.at.ns;
            }
            Shape::Silent => self.due_ns = u64::MAX,
            Shape::Ramp { .. } => self.due_ns = segment.ramp_due_ns(index),
        }
    }

    #[cfg(test)]
    pub(super) fn skip_turns(&mut self, turns: u64, publishers: u32) {
        self.turns.skip_turns(turns, publishers);
        self.enter();
    }
}

impl Source for Profile {
    #[inline]
    fn due_ns(&self) -> u64 {
        self.due_ns
    }

    #[inline]
    fn advance(&mut self) {
        let between = self.turns.advance();
        match self.segments.get(self.current) {
            Some(segment) if self.turns.index() < segment.end => match segment.shape {
                Shape::Even(rhythm) => {
                    self.at = rhythm.add(self.at, self.steps[between as usize]);
                    self.due_ns = self.at.ns;
                }
                Shape::Silent => self.due_ns = u64::MAX,
                Shape::Ramp { .. } => self.due_ns = segment.ramp_due_ns(self.turns.index()),
            },
            _ => self.enter(),
        }
    }
}

impl Segment {
    /// How far message `index` is behind the segment's beginning, in fixed point.
    fn after_beginning(&self, index: u64) -> u128 {
        (u128::from(index) * MESSAGE).saturating_sub(self.before)
    }

    /// Where the integral of a rate that changes evenly, `from * t + gained / 2 * t²`, reaches the
    /// message; the root is written so that nothing cancels.
    fn ramp_due_ns(&self, index: u64) -> u64 {
        let Shape::Ramp { from_per_ns, gained_per_ns2, over_ns } = self.shape else {
            return u64::MAX;
        };
        let messages = messages_of(self.after_beginning(index));
        if messages == 0.0 {
            return self.begins_ns;
        }
        let square = from_per_ns * from_per_ns + 2.0 * gained_per_ns2 * messages;
        let after_ns = 2.0 * messages / (from_per_ns + square.max(0.0).sqrt());
        self.begins_ns.saturating_add((after_ns.round() as u64).min(over_ns))
    }
}

/// The number of the first message that is not among the first `messages`, in fixed point.
fn first_index(messages: u128) -> u64 {
    u64::try_from(messages.div_ceil(MESSAGE)).unwrap_or(u64::MAX)
}

/// A thread's part of a Poisson process: one itself, at its share of the rate.
#[derive(Clone, Debug)]
pub(super) struct Poisson {
    random: Xoshiro256PlusPlus,
    mean_gap_ns: f64,
    due_ns: u64,
    /// Of a nanosecond, beyond `due_ns`: without it the gaps would be too short on average.
    fraction_ns: f64,
}

impl Poisson {
    pub(super) fn new(rate_per_s: f64, share: &Share, random: Xoshiro256PlusPlus) -> Self {
        let mean_gap_ns = NS_PER_S / (rate_per_s * share.fraction());
        let mut source = Self { random, mean_gap_ns, due_ns: 0, fraction_ns: 0.0 };
        source.advance();
        source
    }
}

impl Source for Poisson {
    #[inline]
    fn due_ns(&self) -> u64 {
        self.due_ns
    }

    #[inline]
    fn advance(&mut self) {
        let gap: f64 = Exp1.sample(&mut self.random);
        let after_ns = self.fraction_ns + gap * self.mean_gap_ns;
        // A conversion to an integer cuts off, and stays within u64.
        let whole_ns = after_ns as u64;
        self.fraction_ns = after_ns - whole_ns as f64;
        self.due_ns = self.due_ns.saturating_add(whole_ns);
    }
}

/// An even rate, and bursts beside it.
#[derive(Clone, Debug)]
pub(super) struct Bursts {
    even: Profile,
    turns: Turns,
    burst_messages: u64,
    every_ns: u64,
    /// The number of the first message, among those of bursts, that comes after this burst.
    burst_end: u64,
    burst_due_ns: u64,
}

impl Bursts {
    pub(super) fn new(rate_per_s: f64, burst_messages: u64, every_ns: u64, share: &Share) -> Self {
        let (even, turns) = (Profile::even(rate_per_s, share), Turns::new(share));
        let (burst_end, burst_due_ns) = (0, 0);
        let mut bursts = Self { even, turns, burst_messages, every_ns, burst_end, burst_due_ns };
        bursts.find_burst();
        bursts
    }

    fn find_burst(&mut self) {
        let burst = self.turns.index() / self.burst_messages + 1;
        self.burst_end = burst.saturating_mul(self.burst_messages);
        self.burst_due_ns = burst.saturating_mul(self.every_ns);
    }
}

impl Source for Bursts {
    #[inline]
    fn due_ns(&self) -> u64 {
        self.even.due_ns().min(self.burst_due_ns)
    }

    #[inline]
    fn advance(&mut self) {
        if self.even.due_ns() <= self.burst_due_ns {
            return self.even.advance();
        }
        let _between: Between = self.turns.advance();
        if self.turns.index() >= self.burst_end {
            self.find_burst();
        }
    }
}
