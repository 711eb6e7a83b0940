//! A deterministic simulation of the broker: many connections, driven as a backend would drive
//! them, against a model of topics and cursors.
//!
//! Everything that is left to chance in a running broker is drawn from a seed: what clients ask,
//! where bytes are cut, how much of the output leaves, when a wake arrives, when a timer fires,
//! who disconnects in mid-request, and how small the limits are. Each byte that a session writes
//! is held against the [`model`] as it is written; [`invariants`] that bind at all times are
//! checked after every step; and every so often the world is run to rest, where nobody may be
//! waiting any more.
//!
//! A failure names its seed, tells its last steps, and says how to run it alone:
//!
//! | environment variable | meaning | default |
//! |---|---|---|
//! | `SIMULATION_SEED` | the first seed | 0 |
//! | `SIMULATION_SEEDS` | how many seeds | 400 |

mod ask;
mod client;
mod invariants;
mod link;
mod model;
mod payload;
mod said;
mod scenario;
mod story;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};
use story::Story;
use world::World;

const SEEDS: u64 = 400;

/// Every so many seeds one is run twice.
const SEEDS_PER_REPEAT: u64 = 10;

#[test]
fn the_broker_keeps_its_promises_whatever_the_world_does() {
    for seed in seeds() {
        if catch_unwind(|| run(seed, &Story::untold())).is_err() {
            retell(seed);
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    for seed in seeds().step_by(SEEDS_PER_REPEAT as usize) {
        let traces = catch_unwind(|| [(); 2].map(|()| run(seed, &Story::untold())));
        // One that fails by itself is told of by the other test.
        let Ok([first, second]) = traces else { continue };
        assert_eq!(first, second, "the trace of {}", how_to_run(seed));
    }
}

fn seeds() -> std::ops::Range<u64> {
    let first = number_from("SIMULATION_SEED").unwrap_or(0);
    first..first + number_from("SIMULATION_SEEDS").unwrap_or(SEEDS)
}

fn number_from(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("expected a number in {variable}, found {text:?}")))
}

/// Runs the world of one seed, and gives the hash of all that its sessions did.
fn run(seed: u64, story: &Story) -> u64 {
    let mut world = World::new(seed, story.clone());
    world.live();
    world.end()
}

/// Runs a seed that failed once more, to tell what happened.
fn retell(seed: u64) -> ! {
    let story = Story::told();
    let again = catch_unwind(AssertUnwindSafe(|| run(seed, &story)));
    let verdict = match again {
        Err(_) => "it failed as told above",
        Ok(_) => "it did not fail when it was run again: the core is not deterministic",
    };
    panic!("{story}\n{verdict}; {}", how_to_run(seed));
}

fn how_to_run(seed: u64) -> String {
    format!(
        "seed {seed}: SIMULATION_SEED={seed} SIMULATION_SEEDS=1 cargo test -p broker-core --test simulation"
    )
}
