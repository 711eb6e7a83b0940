//! A deterministic simulation of the broker over a journal that loses power.
//!
//! Real sessions, in both dialects, over a [`disk`] whose progress is drawn from the seed: when
//! records are written and synced, when the broker is told, when the journal is congested, when
//! it fails, and where it is cut when the process or the machine is gone. What a crash leaves is
//! known exactly, since the [`model`] knows for each thing that happened the position of the
//! journal that it is stored before. So two things are held against it: that nothing is answered
//! or shown before it is as durable as it promises, and that the next broker has what the cut
//! journal has, no more and no less. MQTT sessions have a simulation of their own, [`mqtt`].
//!
//! A failure names its seed, tells its last steps, and says how to run it alone:
//!
//! | environment variable | meaning | default |
//! |---|---|---|
//! | `DURABLE_SEED` | the first seed | 0 |
//! | `DURABLE_SEEDS` | how many seeds | 300 |

mod disk;
mod link;
mod model;
mod mqtt;
mod scenario;
mod stories;
mod story;
mod wire;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};
use story::Story;
use world::World;

const SEEDS: u64 = 300;

/// Every so many seeds one is run twice.
const SEEDS_PER_REPEAT: u64 = 20;

#[test]
fn what_is_acknowledged_or_shown_survives_every_crash() {
    for seed in seeds() {
        if catch_unwind(|| World::new(seed, Story::untold()).live()).is_err() {
            retell(seed);
        }
    }
}

#[test]
fn the_same_seed_says_the_same() {
    for seed in seeds().step_by(SEEDS_PER_REPEAT as usize) {
        let traces = catch_unwind(|| [(); 2].map(|()| World::new(seed, Story::untold()).live()));
        // One that fails by itself is told of by the other test.
        let Ok([first, second]) = traces else { continue };
        assert_eq!(first, second, "the trace of {}", how_to_run(seed));
    }
}

fn seeds() -> std::ops::Range<u64> {
    let first = number_from("DURABLE_SEED").unwrap_or(0);
    first..first + number_from("DURABLE_SEEDS").unwrap_or(SEEDS)
}

fn number_from(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("expected a number in {variable}, found {text:?}")))
}

/// Runs a seed that failed once more, to tell what happened.
fn retell(seed: u64) -> ! {
    let story = Story::told();
    let again = catch_unwind(AssertUnwindSafe(|| World::new(seed, story.clone()).live()));
    let verdict = match again {
        Err(_) => "it failed as told above",
        Ok(_) => "it did not fail when it was run again: the core is not deterministic",
    };
    panic!("{story}\n{verdict}; {}", how_to_run(seed));
}

fn how_to_run(seed: u64) -> String {
    format!(
        "seed {seed}: DURABLE_SEED={seed} DURABLE_SEEDS=1 cargo test -p broker-core --test durable"
    )
}
