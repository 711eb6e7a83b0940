//! In which order brokers take their turns, so that no order favours one of them.

use fastrand::Rng;

/// The order of the brokers in each round: for each round, every broker's index once.
///
/// Brokers that always run in one order are not compared fairly: the machine warms up, slows down
/// and fills its caches, and who comes first or after whom gains or loses by it. So:
///
/// - Two rounds in a row mirror each other (A B C, then C B A): what changes steadily over both
///   changes as much for every broker.
/// - Over a whole block of rounds (as many as there are brokers if that number is even, and twice
///   as many if it is odd) every broker stands in each place equally often, and follows each other
///   broker equally often: Williams's balanced Latin squares ("Experimental designs balanced for
///   the estimation of residual effects of treatments", Australian Journal of Scientific Research
///   A 2, 1949).
/// - Which broker takes which part, which pair of rounds comes first, and which of its rounds, is
///   drawn anew for each block from `seed`.
///
/// The last block is cut where the rounds end. One seed gives one order.
#[must_use]
pub fn rounds_order(repeat: u32, brokers: usize, seed: u64) -> Vec<Vec<usize>> {
    let random = &mut Rng::with_seed(seed);
    let rounds = repeat as usize;
    let mut order: Vec<Vec<usize>> = Vec::with_capacity(rounds);
    while order.len() < rounds {
        order.extend(block(brokers, random));
    }
    order.truncate(rounds);
    order
}

/// One block: mirrored pairs of rounds.
fn block(brokers: usize, random: &mut Rng) -> Vec<Vec<usize>> {
    let mut parts: Vec<usize> = (0..brokers).collect();
    random.shuffle(&mut parts);
    let mut starts: Vec<usize> = (0..pairs(brokers)).collect();
    random.shuffle(&mut starts);
    let mut rounds = Vec::with_capacity(2 * starts.len());
    for start in starts {
        let round: Vec<usize> = row(brokers, start).map(|part| parts[part]).collect();
        let mirrored: Vec<usize> = round.iter().rev().copied().collect();
        let pair = if random.bool() { [round, mirrored] } else { [mirrored, round] };
        rounds.extend(pair);
    }
    rounds
}

/// How many pairs of rounds a block has. In a square of an even size the mirror of each row is
/// another of its rows; of an odd one it is not, and the mirrored square is needed too.
fn pairs(brokers: usize) -> usize {
    match brokers {
        0 => 1,
        even if even % 2 == 0 => even / 2,
        odd => odd,
    }
}

/// A row of Williams's square: 0, 1, n−1, 2, n−2, …, each `start` further, around n.
fn row(brokers: usize, start: usize) -> impl Iterator<Item = usize> {
    let zigzag = (0..brokers).map(move |place| match place % 2 {
        1 => place.div_ceil(2),
        _ => (brokers - place / 2) % brokers,
    });
    zigzag.map(move |part| (part + start) % brokers)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    /// Rounds in a whole block.
    fn whole(brokers: usize) -> usize {
        2 * pairs(brokers)
    }

    fn check_balanced(brokers: usize, seed: u64) {
        let order = rounds_order(whole(brokers) as u32, brokers, seed);
        let (mut places, mut followers) = (BTreeMap::new(), BTreeMap::new());
        for round in &order {
            for (place, broker) in round.iter().enumerate() {
                *places.entry((*broker, place)).or_insert(0) += 1;
            }
            for pair in round.windows(2) {
                *followers.entry((pair[0], pair[1])).or_insert(0) += 1;
            }
        }
        let all_equal = |counts: Vec<i32>| counts.windows(2).all(|pair| pair[0] == pair[1]);
        assert_eq!(places.len(), brokers * brokers, "{order:?}");
        assert_eq!(followers.len(), brokers * (brokers - 1), "{order:?}");
        assert!(all_equal(places.into_values().collect()), "{order:?}");
        assert!(all_equal(followers.into_values().collect()), "{order:?}");
    }

    #[test]
    fn a_whole_block_is_balanced_in_places_and_in_followers() {
        for brokers in 1..=9 {
            for seed in 0..20 {
                check_balanced(brokers, seed);
            }
        }
    }

    #[test]
    fn every_broker_runs_once_in_each_round() {
        for brokers in 0..=7 {
            let order = rounds_order(13, brokers, 5);
            assert_eq!(order.len(), 13);
            for mut round in order {
                round.sort_unstable();
                assert_eq!(round, (0..brokers).collect::<Vec<_>>());
            }
        }
    }

    #[test]
    fn two_rounds_in_a_row_mirror_each_other() {
        for brokers in 1..=7 {
            for pair in rounds_order(12, brokers, 9).chunks(2) {
                assert!(pair[0].iter().eq(pair[1].iter().rev()), "{pair:?}");
            }
        }
    }

    #[test]
    fn two_brokers_alternate_by_abba_and_not_always_from_the_same_one() {
        let firsts: Vec<usize> = (0..40).map(|seed| rounds_order(2, 2, seed)[0][0]).collect();
        assert!(firsts.contains(&0) && firsts.contains(&1));
        let order = rounds_order(4, 2, 3);
        assert_ne!(order[0], order[1]);
        assert_ne!(order[2], order[3]);
    }

    #[test]
    fn a_steady_drift_hits_all_brokers_alike_over_each_pair_of_rounds() {
        for brokers in 2..=6 {
            let order = rounds_order(2, brokers, 1);
            let mut turns = vec![0; brokers];
            for (turn, broker) in order.concat().into_iter().enumerate() {
                turns[broker] += turn;
            }
            assert!(turns.windows(2).all(|pair| pair[0] == pair[1]), "{order:?}");
        }
    }

    #[test]
    fn one_seed_gives_one_order_and_another_seed_another() {
        assert_eq!(rounds_order(10, 5, 1), rounds_order(10, 5, 1));
        assert_ne!(rounds_order(10, 5, 1), rounds_order(10, 5, 2));
    }

    #[test]
    fn no_rounds_and_no_brokers_have_no_order() {
        assert!(rounds_order(0, 3, 1).is_empty());
        assert_eq!(rounds_order(2, 0, 1), [[0_usize; 0], []]);
    }

    #[test]
    fn more_rounds_begin_as_fewer_do() {
        assert_eq!(rounds_order(20, 4, 8)[..7], rounds_order(7, 4, 8));
    }
}
