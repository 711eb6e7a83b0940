//! Cuts the power at every step of a journal's life, and recovers what is left.
//!
//! Everything is drawn from a seed: what is appended and committed, where the power is cut, which
//! of the writes that were not synced are on the disk, and which sectors of them. Each recovery has
//! to give exactly a prefix of what was appended, with all that was synced.
//!
//! A failure names its seed, tells its last steps, and says how to run it alone:
//!
//! | environment variable | meaning | default |
//! |---|---|---|
//! | `JOURNAL_SEED` | the first seed | 0 |
//! | `JOURNAL_SEEDS` | how many seeds | 400 |

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests to clippy only inside them")]

mod story;
mod watched;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};
use story::Story;
use world::World;

const SEEDS: u64 = 400;

#[test]
fn a_power_cut_takes_nothing_that_was_synced() {
    let first = number_from("JOURNAL_SEED").unwrap_or(0);
    for seed in first..first + number_from("JOURNAL_SEEDS").unwrap_or(SEEDS) {
        if catch_unwind(|| World::new(seed, Story::untold()).live()).is_err() {
            retell(seed);
        }
    }
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
        Ok(()) => "it did not fail when it was run again: something is not drawn from the seed",
    };
    panic!(
        "{story}\n{verdict}; seed {seed}: JOURNAL_SEED={seed} JOURNAL_SEEDS=1 cargo test -p journal --test power_cut"
    );
}
