//! What one subscriber received of each producer: what is missing, came twice, or came late.

use std::collections::BTreeMap;

/// Gaps in one producer's sequence that are remembered at once. Past it the oldest gap is given
/// up: its messages count as lost, and one that comes all the same counts as a duplicate.
pub const GAPS_PER_PRODUCER_MAX: usize = 65_536;

/// Faults of delivery, summed over producers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// Messages that were sent and never came.
    pub lost: u64,
    /// Messages that had come before.
    pub duplicated: u64,
    /// Messages that came after a later one of the same producer.
    pub reordered: u64,
    /// Payloads that are not what was sent.
    pub corrupted: u64,
}

impl Faults {
    /// Whether there are none.
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

impl std::ops::AddAssign for Faults {
    fn add_assign(&mut self, other: Self) {
        self.lost += other.lost;
        self.duplicated += other.duplicated;
        self.reordered += other.reordered;
        self.corrupted += other.corrupted;
    }
}

/// One subscriber's account of what came.
#[derive(Clone, Debug)]
pub struct Ledger {
    producers: Vec<Account>,
    /// Of no producer that can be named.
    corrupted: u64,
}

/// One producer's messages: all below `next` came, but for the gaps.
#[derive(Clone, Debug, Default)]
struct Account {
    next: u64,
    /// Start and end of each run of messages that were passed over.
    gaps: BTreeMap<u64, u64>,
    given_up: u64,
    duplicated: u64,
    reordered: u64,
}

impl Ledger {
    /// An account of `producers` producers, each beginning with sequence 0.
    #[must_use]
    pub fn new(producers: usize) -> Self {
        let producers = vec![Account::default(); producers];
        Self { producers, corrupted: 0 }
    }

    /// Enters a message. `false`: no such producer, which counts as corrupted.
    #[inline]
    pub fn enter(&mut self, producer: u32, sequence: u64) -> bool {
        let Some(account) = self.producers.get_mut(producer as usize) else {
            self.corrupted += 1;
            return false;
        };
        if sequence == account.next {
            account.next += 1;
        } else {
            self.enter_out_of_turn(producer, sequence);
        }
        true
    }

    /// Enters a payload that is not what any producer sent.
    pub fn enter_corrupted(&mut self) {
        self.corrupted += 1;
    }

    /// Messages that never came, of `sent` by each producer.
    ///
    /// # Panics
    /// If `sent` is not one figure for each producer.
    #[must_use]
    pub fn lost(&self, sent: &[u64]) -> u64 {
        self.pairs(sent).map(|(account, sent)| account.missing_below(sent)).sum()
    }

    /// The verdict, when `sent` messages were sent by each producer and no more will come.
    ///
    /// # Panics
    /// If `sent` is not one figure for each producer.
    #[must_use]
    pub fn faults(&self, sent: &[u64]) -> Faults {
        let mut sum = Faults { corrupted: self.corrupted, ..Faults::default() };
        self.pairs(sent).for_each(|(account, sent)| sum += account.faults(sent));
        sum
    }

    /// The verdict on each producer that has any faults, when `sent` messages were sent by each and
    /// no more will come. Payloads that name no producer are not among them.
    ///
    /// # Panics
    /// If `sent` is not one figure for each producer.
    pub fn faulty_producers<'a>(
        &'a self,
        sent: &'a [u64],
    ) -> impl Iterator<Item = (u32, Faults)> + 'a {
        let judged = self.pairs(sent).map(|(account, sent)| account.faults(sent));
        (0u32..).zip(judged).filter(|(_, faults)| !faults.is_none())
    }

    fn pairs<'a>(&'a self, sent: &'a [u64]) -> impl Iterator<Item = (&'a Account, u64)> {
        assert_eq!(sent.len(), self.producers.len(), "one figure for each producer");
        self.producers.iter().zip(sent.iter().copied())
    }

    #[cold]
    fn enter_out_of_turn(&mut self, producer: u32, sequence: u64) {
        let account = &mut self.producers[producer as usize];
        if sequence > account.next {
            account.open_gap(sequence);
        } else if account.fill_gap(sequence) {
            account.reordered += 1;
        } else {
            account.duplicated += 1;
        }
    }
}

impl Account {
    fn open_gap(&mut self, sequence: u64) {
        self.gaps.insert(self.next, sequence);
        self.next = sequence + 1;
        if self.gaps.len() > GAPS_PER_PRODUCER_MAX
            && let Some((start, end)) = self.gaps.pop_first()
        {
            self.given_up += end - start;
        }
    }

    /// Takes one message out of the gap that it is in. `false`: it is in none.
    fn fill_gap(&mut self, sequence: u64) -> bool {
        let Some((&start, &end)) = self.gaps.range(..=sequence).next_back() else {
            return false;
        };
        if sequence >= end {
            return false;
        }
        self.gaps.remove(&start);
        if start < sequence {
            self.gaps.insert(start, sequence);
        }
        if sequence + 1 < end {
            self.gaps.insert(sequence + 1, end);
        }
        true
    }

    fn faults(&self, sent: u64) -> Faults {
        Faults {
            lost: self.missing_below(sent),
            duplicated: self.duplicated,
            reordered: self.reordered,
            // A sequence past the last one sent is no message at all.
            corrupted: self.came_from(sent),
        }
    }

    fn missing_below(&self, sent: u64) -> u64 {
        let in_gaps: u64 =
            self.gaps.iter().map(|(&start, &end)| end.min(sent).saturating_sub(start)).sum();
        in_gaps + self.given_up + sent.saturating_sub(self.next)
    }

    /// How many messages from `sent` on came.
    fn came_from(&self, sent: u64) -> u64 {
        let in_gaps: u64 =
            self.gaps.iter().map(|(&start, &end)| end.saturating_sub(start.max(sent))).sum();
        self.next.saturating_sub(sent).saturating_sub(in_gaps)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn entered(sequences: &[u64]) -> Ledger {
        let mut ledger = Ledger::new(1);
        for &sequence in sequences {
            assert!(ledger.enter(0, sequence));
        }
        ledger
    }

    fn check(sequences: &[u64], sent: u64, expected: Faults) {
        assert_eq!(entered(sequences).faults(&[sent]), expected, "{sequences:?} of {sent}");
    }

    #[test]
    fn each_fault_is_told_apart() {
        let none = Faults::default();
        check(&[0, 1, 2], 3, none);
        check(&[0, 2], 3, Faults { lost: 1, ..none });
        check(&[0, 1], 3, Faults { lost: 1, ..none });
        check(&[], 3, Faults { lost: 3, ..none });
        check(&[0, 1, 1, 2], 3, Faults { duplicated: 1, ..none });
        check(&[0, 2, 1], 3, Faults { reordered: 1, ..none });
        check(&[0, 2, 1, 1], 3, Faults { reordered: 1, duplicated: 1, ..none });
        check(&[0, 1, 2, 3], 3, Faults { corrupted: 1, ..none });
        check(&[0, 1, 2, 9], 3, Faults { corrupted: 1, ..none });
    }

    #[test]
    fn an_unknown_producer_is_corruption() {
        let mut ledger = Ledger::new(2);
        assert!(!ledger.enter(2, 0));
        ledger.enter_corrupted();
        assert_eq!(ledger.faults(&[0, 0]).corrupted, 2);
    }

    #[test]
    fn gaps_past_the_limit_are_given_up_as_lost() {
        let mut ledger = Ledger::new(1);
        let gaps = GAPS_PER_PRODUCER_MAX as u64 + 10;
        for gap in 0..gaps {
            ledger.enter(0, 2 * gap + 1);
        }
        assert_eq!(ledger.lost(&[2 * gaps]), gaps);
        assert_eq!(ledger.producers[0].gaps.len(), GAPS_PER_PRODUCER_MAX);
    }

    proptest! {
        /// The model: a set of all that came, and the highest so far.
        #[test]
        fn any_order_is_judged_as_the_model_judges_it(
            sequences in proptest::collection::vec(0u64..40, 0..120), sent in 0u64..40,
        ) {
            let (mut seen, mut highest) = (BTreeSet::new(), None);
            let mut expected = Faults::default();
            for &sequence in &sequences {
                if !seen.insert(sequence) {
                    expected.duplicated += 1;
                } else if highest > Some(sequence) {
                    expected.reordered += 1;
                }
                highest = highest.max(Some(sequence));
            }
            expected.lost = (0..sent).filter(|sequence| !seen.contains(sequence)).count() as u64;
            expected.corrupted = seen.range(sent..).count() as u64;
            prop_assert_eq!(entered(&sequences).faults(&[sent]), expected);
        }

        #[test]
        fn in_order_from_many_producers_is_faultless(counts in proptest::collection::vec(0u64..50, 1..8)) {
            let mut ledger = Ledger::new(counts.len());
            let last = counts.iter().copied().max().unwrap_or(0);
            for sequence in 0..last {
                for (producer, &count) in (0u32..).zip(&counts) {
                    if sequence < count {
                        ledger.enter(producer, sequence);
                    }
                }
            }
            prop_assert!(ledger.faults(&counts).is_none());
        }
    }
}
