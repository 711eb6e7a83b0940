//! Memory that is at hand when a measurement begins.
//!
//! The host of a virtual machine may take back what nobody in the machine has used for a while,
//! and gives it again page by page as it is touched: on a machine with two cores at 0.5 GB/s, where
//! memory that was in use a moment before is touched at 2.6 GB/s. Whoever writes to files takes
//! new memory for the page cache all the time, so without care the figures show who was measured
//! after something large was let go of. There, one stream to one broker's disk came to
//! 0.46 GB/s, and to 0.6 to 1.2 GB/s with its memory at hand.

use std::hint::black_box;
use std::num::NonZeroU64;

/// The part of what is available that is taken at most, so that nobody else is pushed out.
const AVAILABLE_FRACTION: u64 = 2;

/// Pages are no smaller.
const PAGE_BYTES: usize = 4096;

/// Takes so many bytes, touches each page, and gives all back: the next who need memory are given
/// that.
pub(super) fn have_at_hand(bytes: NonZeroU64) {
    let Some(available_bytes) =
        std::fs::read_to_string("/proc/meminfo").ok().as_deref().and_then(available_bytes)
    else {
        return;
    };
    let bytes = bytes.get().min(available_bytes / AVAILABLE_FRACTION);
    let mut memory = vec![0u8; usize::try_from(bytes).unwrap_or(0)];
    memory.chunks_mut(PAGE_BYTES).for_each(|page| page[0] = 1);
    // Else the compiler may see that nobody reads it, and take none.
    black_box(memory);
}

/// What can be taken without anything being pushed out to disk (proc_meminfo(5)).
fn available_bytes(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_available_is_read_in_bytes() {
        let meminfo = "MemTotal:       16384 kB\nMemAvailable:      12 kB\n";
        assert_eq!(available_bytes(meminfo), Some(12 * 1024));
        assert_eq!(available_bytes("MemTotal: 1 kB\n"), None);
    }
}
