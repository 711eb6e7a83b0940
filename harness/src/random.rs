//! Seeds: the same seed gives the same load, on every machine and in every version.

use rand_xoshiro::rand_core::{Rng as _, SeedableRng as _};
use rand_xoshiro::{SplitMix64, Xoshiro256PlusPlus};

/// A generator for one of many independent uses of a run's seed: a thread, or a message.
///
/// The generator is xoshiro256++ (Blackman and Vigna, "Scrambled linear pseudorandom number
/// generators", 2021), seeded by SplitMix64 as its authors recommend. Both numbers go through
/// SplitMix64 before they meet, so that neighbouring streams do not overlap.
///
/// ```
/// use harness::random::stream;
/// use rand::Rng as _;
///
/// assert_eq!(stream(7, 0).next_u64(), stream(7, 0).next_u64());
/// assert_ne!(stream(7, 0).next_u64(), stream(7, 1).next_u64());
/// ```
#[must_use]
pub fn stream(seed: u64, stream: u64) -> Xoshiro256PlusPlus {
    let seed = SplitMix64::seed_from_u64(seed).next_u64();
    let stream = SplitMix64::seed_from_u64(!stream).next_u64();
    Xoshiro256PlusPlus::seed_from_u64(seed ^ stream.rotate_left(32))
}
