//! Which publications of idempotent publishers a topic has, so that one sent twice is stored once.
//!
//! Each publisher numbers its publications; the numbers only grow, and may leave some out. A topic
//! remembers of each publisher the last [`PUBLICATIONS_MAX`], and of all publishers the
//! `publishers_max` that were the last to publish. So a publication that is sent again is
//! recognised if no more than `PUBLICATIONS_MAX - 1` of its publisher were stored after it, and
//! if fewer than `publishers_max` other publishers were heard of since. Of a publisher that was
//! forgotten everything is new.

use protocol::PublisherId;
use std::collections::{BTreeMap, HashMap, VecDeque};

/// Publications remembered of each publisher.
pub(crate) const PUBLICATIONS_MAX: usize = 64;

/// A publication of one publisher, and where in the log it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Publication {
    pub(crate) sequence: u64,
    pub(crate) base_offset: u64,
    /// Messages in it.
    pub(crate) count: u32,
}

/// What a sequence number says of the publication that bears it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Check {
    /// It is to be stored.
    New,
    /// It is stored, and to be acknowledged once more.
    Duplicate { base_offset: u64, count: u32 },
    /// It is older than the publisher's newest and not among those remembered, so whether it is
    /// stored cannot be told, and it cannot be stored in its turn.
    Stale { oldest: u64, newest: u64 },
}

/// The publishers of one topic.
#[derive(Debug)]
pub(crate) struct Publishers {
    publishers_max: usize,
    by_id: HashMap<PublisherId, Publisher>,
    /// Publishers in the order of their last publications.
    by_turn: BTreeMap<u64, PublisherId>,
    /// The turn of the next publication; it differs for each that this topic ever had.
    turn_next: u64,
}

#[derive(Debug)]
struct Publisher {
    /// When it published last.
    turn: u64,
    /// Oldest first, at least one, their sequence numbers growing. It is no larger than what it
    /// holds asks for, since most publishers of a topic with many publish little.
    publications: VecDeque<Publication>,
}

impl Publishers {
    /// Nobody has published yet.
    pub(crate) fn new(publishers_max: usize) -> Self {
        Self { publishers_max, by_id: HashMap::new(), by_turn: BTreeMap::new(), turn_next: 0 }
    }

    /// Whether a publication is stored already.
    ///
    /// It does not count as hearing of the publisher: what is remembered follows from what is
    /// stored alone, and so is the same after a recovery.
    pub(crate) fn check(&self, id: PublisherId, sequence: u64) -> Check {
        self.by_id.get(&id).map_or(Check::New, |publisher| publisher.check(sequence))
    }

    /// Remembers a publication that was stored.
    ///
    /// One whose sequence number does not grow can only follow after the publisher was forgotten;
    /// so if a recovery with other limits comes to one, it forgets the publisher in its turn.
    pub(crate) fn note(&mut self, id: PublisherId, publication: Publication) {
        let turn = self.turn_next;
        self.turn_next += 1;
        let publisher = self
            .by_id
            .entry(id)
            .or_insert_with(|| Publisher { turn, publications: VecDeque::with_capacity(1) });
        publisher.note(publication);
        self.by_turn.remove(&publisher.turn);
        publisher.turn = turn;
        self.by_turn.insert(turn, id);
        if self.by_id.len() > self.publishers_max {
            self.forget_one();
        }
    }

    /// All that is remembered. Noting it in this order in a new `Publishers` restores it.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (PublisherId, Publication)> {
        self.by_turn.values().flat_map(|id| {
            let publisher = self.by_id.get(id).expect("who has a turn is known");
            publisher.publications.iter().map(|publication| (*id, *publication))
        })
    }

    /// Forgets the publisher that published least recently.
    fn forget_one(&mut self) {
        let (_, id) = self.by_turn.pop_first().expect("who is known has a turn");
        self.by_id.remove(&id);
    }
}

impl Publisher {
    fn check(&self, sequence: u64) -> Check {
        let oldest = self.publications.front().expect("a known publisher has published").sequence;
        let newest = self.publications.back().expect("a known publisher has published").sequence;
        if sequence > newest {
            return Check::New;
        }
        match self.publications.binary_search_by_key(&sequence, |known| known.sequence) {
            Ok(index) => {
                let Publication { base_offset, count, .. } = self.publications[index];
                Check::Duplicate { base_offset, count }
            }
            Err(_) => Check::Stale { oldest, newest },
        }
    }

    fn note(&mut self, publication: Publication) {
        let newest = self.publications.back();
        if newest.is_some_and(|newest| newest.sequence >= publication.sequence) {
            self.publications.clear();
        }
        if self.publications.len() == PUBLICATIONS_MAX {
            self.publications.pop_front();
        }
        self.publications.push_back(publication);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ID: PublisherId = PublisherId(7);

    /// The publication of a sequence number in these tests.
    fn publication(sequence: u64) -> Publication {
        Publication { sequence, base_offset: sequence * 10, count: 3 }
    }

    fn duplicate(sequence: u64) -> Check {
        let Publication { base_offset, count, .. } = publication(sequence);
        Check::Duplicate { base_offset, count }
    }

    fn noted(sequences: impl IntoIterator<Item = u64>) -> Publishers {
        let mut publishers = Publishers::new(2);
        sequences.into_iter().for_each(|sequence| publishers.note(ID, publication(sequence)));
        publishers
    }

    #[test]
    fn a_publication_sent_again_is_told_where_it_is() {
        let publishers = noted([1, 2]);
        assert_eq!(publishers.check(ID, 1), duplicate(1));
        assert_eq!(publishers.check(ID, 2), duplicate(2));
        assert_eq!(publishers.check(ID, 3), Check::New);
        assert_eq!(publishers.check(PublisherId(8), 1), Check::New);
    }

    #[test]
    fn a_publication_is_stale_once_as_many_came_after_it_as_are_remembered() {
        let publications_max = PUBLICATIONS_MAX as u64;
        assert_eq!(noted(0..publications_max).check(ID, 0), duplicate(0));
        let publishers = noted(0..=publications_max);
        let stale = Check::Stale { oldest: 1, newest: publications_max };
        assert_eq!(publishers.check(ID, 0), stale);
        assert_eq!(publishers.check(ID, 1), duplicate(1));
    }

    #[test]
    fn a_sequence_number_that_was_left_out_is_stale_later() {
        let publishers = noted([5, 9]);
        assert_eq!(publishers.check(ID, 7), Check::Stale { oldest: 5, newest: 9 });
        assert_eq!(publishers.check(ID, 4), Check::Stale { oldest: 5, newest: 9 });
        assert_eq!(publishers.check(ID, u64::MAX), Check::New);
    }

    #[test]
    fn the_publisher_that_published_least_recently_is_forgotten_first() {
        let mut publishers = noted([1]);
        publishers.note(PublisherId(1), publication(1));
        publishers.note(ID, publication(2));
        publishers.note(PublisherId(2), publication(1));
        assert_eq!(publishers.check(PublisherId(1), 1), Check::New, "it is forgotten");
        assert_eq!(publishers.check(ID, 1), duplicate(1));
        assert_eq!(publishers.check(PublisherId(2), 1), duplicate(1));
    }

    #[test]
    fn where_nobody_may_be_remembered_everything_is_new() {
        let mut publishers = Publishers::new(0);
        publishers.note(ID, publication(1));
        assert_eq!(publishers.check(ID, 1), Check::New);
    }

    #[test]
    fn a_sequence_that_starts_anew_is_remembered_in_place_of_the_one_before() {
        let publishers = noted([8, 9, 1]);
        assert_eq!(publishers.check(ID, 1), duplicate(1));
        assert_eq!(publishers.check(ID, 8), Check::New);
    }

    #[test]
    fn a_publisher_of_one_publication_has_room_for_one() {
        let publishers = noted([1]);
        assert_eq!(publishers.by_id[&ID].publications.capacity(), 1);
        let publishers = noted(0..1000);
        assert_eq!(publishers.by_id[&ID].publications.capacity(), PUBLICATIONS_MAX);
    }

    /// All that was ever noted, in order.
    #[derive(Debug, Default)]
    struct Model {
        noted: Vec<(PublisherId, Publication)>,
    }

    impl Model {
        /// What is remembered of a publisher where so many are.
        fn remembered(&self, id: PublisherId, publishers_max: usize) -> Vec<Publication> {
            let mut remembered = Vec::new();
            let mut others = Vec::new();
            for (whose, publication) in self.noted.iter().rev() {
                if *whose == id {
                    others.clear();
                    remembered.push(*publication);
                } else if !others.contains(whose) {
                    others.push(*whose);
                }
                if others.len() == publishers_max {
                    break;
                }
            }
            remembered.truncate(PUBLICATIONS_MAX);
            remembered
        }

        fn check(&self, id: PublisherId, sequence: u64, publishers_max: usize) -> Check {
            let remembered = self.remembered(id, publishers_max);
            let (Some(newest), Some(oldest)) = (remembered.first(), remembered.last()) else {
                return Check::New;
            };
            match remembered.iter().find(|known| known.sequence == sequence) {
                Some(known) => {
                    Check::Duplicate { base_offset: known.base_offset, count: known.count }
                }
                None if sequence > newest.sequence => Check::New,
                None => Check::Stale { oldest: oldest.sequence, newest: newest.sequence },
            }
        }
    }

    /// One publisher that publishes most, so that some of its publications are forgotten.
    fn id_number() -> impl Strategy<Value = u128> {
        prop_oneof![8 => Just(0u128), 1 => 0u128..6]
    }

    proptest! {
        #[test]
        fn the_publishers_agree_with_the_list_of_all_publications(
            publishers_max in 1usize..5,
            steps in proptest::collection::vec((id_number(), 0u64..4, any::<bool>()), 0..600),
        ) {
            let mut publishers = Publishers::new(publishers_max);
            let mut model = Model::default();
            let mut newest = [100u64; 6];
            for (offset, (number, ahead, retries)) in (0..).zip(steps) {
                let id = PublisherId(number);
                let newest = &mut newest[number as usize];
                let sequence = if retries { *newest - 20 * ahead } else { *newest + 1 + ahead };
                let check = publishers.check(id, sequence);
                prop_assert_eq!(check, model.check(id, sequence, publishers_max));
                if check == Check::New {
                    *newest = sequence.max(*newest);
                    let publication = Publication { sequence, base_offset: offset, count: 1 };
                    publishers.note(id, publication);
                    model.noted.push((id, publication));
                }
                prop_assert!(publishers.by_id.len() <= publishers_max);
                prop_assert_eq!(publishers.by_turn.len(), publishers.by_id.len());
            }
            let mut restored = Publishers::new(publishers_max);
            publishers.iter().for_each(|(id, publication)| restored.note(id, publication));
            prop_assert!(restored.iter().eq(publishers.iter()), "restored in the same order");
        }
    }
}
