//! MQTT sessions over a journal that loses power: a conversation of quality of service 2 in both
//! directions, which comes to the same whenever the power is cut.
//!
//! One publisher and one subscriber, each with what the standard has a client keep
//! (MQTT 5.0 §4.1), and every step between them and the disk drawn from a seed: how far bytes come,
//! how far the journal is, when who is woken, when a connection breaks, and when the power is cut,
//! and where that cuts the journal.

mod client;
mod link;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};
use world::{Cut, World};

/// Conversations that are cut at every step, at every place of the journal.
const CUT_EVERYWHERE_SEEDS: u64 = 3;

/// Conversations that are cut at random, over and over.
const SEEDS: u64 = 600;

#[test]
fn a_message_is_taken_once_and_comes_once_wherever_the_power_is_cut() {
    for seed in 0..CUT_EVERYWHERE_SEEDS {
        let mut step = 0;
        loop {
            let cuts = live(seed, Cut::At { step, place: 0 });
            for place in 1..cuts {
                live(seed, Cut::At { step, place });
            }
            step += 1;
            if cuts == 0 {
                break;
            }
        }
    }
}

#[test]
fn a_message_is_taken_once_and_comes_once_however_often_the_power_is_cut() {
    for seed in 0..SEEDS {
        live(seed, Cut::Often);
    }
}

/// Has a conversation come to its end. Gives at how many places the journal could be cut; 0 where
/// it was over before.
fn live(seed: u64, cut: Cut) -> usize {
    let world = catch_unwind(AssertUnwindSafe(|| World::new(seed, cut).live()));
    world.unwrap_or_else(|_| panic!("seed {seed}, {cut:?}: see above"))
}
