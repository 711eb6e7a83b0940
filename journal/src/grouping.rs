//! How long a commit waits for company.
//!
//! Those who append and wait for their records to be synced come again once they were told. If
//! each sync began with the first that came, it would serve a few and keep the others waiting
//! until it is over. So a commit waits until about half of those have come who did in the last two
//! commits: one half is being served while the other is being synced. A record that comes alone
//! is synced at once.

use std::time::Duration;

/// A commit waits no longer than this, and no longer than a sync takes.
const WAIT_MAX: Duration = Duration::from_millis(1);

/// Fewer are not waited for.
const GROUP_MIN: u32 = 4;

/// What the commits before were like.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Grouping {
    /// Records that asked to be synced in the last two commits.
    sizes: [u32; 2],
    /// How long a sync takes, on average; the newest counts for an eighth.
    sync: Duration,
}

impl Grouping {
    /// A commit synced so many records, and its sync took so long.
    pub(crate) fn note(&mut self, size: u32, sync: Duration) {
        self.sizes = [self.sizes[1], size];
        self.sync = if self.sync.is_zero() { sync } else { (self.sync * 7 + sync) / 8 };
    }

    /// How many records the next commit waits for.
    pub(crate) fn size_awaited(&self) -> u32 {
        let [older, newer] = self.sizes;
        let half = older.saturating_add(newer) / 2;
        if half < GROUP_MIN { 1 } else { half }
    }

    /// How long it waits for them.
    pub(crate) fn wait_max(&self) -> Duration {
        self.sync.min(WAIT_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grouping(sizes: &[u32]) -> Grouping {
        let mut grouping = Grouping::default();
        sizes.iter().for_each(|size| grouping.note(*size, Duration::from_micros(100)));
        grouping
    }

    #[test]
    fn whoever_comes_alone_does_not_wait() {
        assert_eq!(grouping(&[]).size_awaited(), 1);
        assert_eq!(grouping(&[1, 1]).size_awaited(), 1);
        assert_eq!(grouping(&[3, 4]).size_awaited(), 1);
    }

    #[test]
    fn half_of_those_who_came_before_are_waited_for() {
        assert_eq!(grouping(&[1, 49]).size_awaited(), 25);
        assert_eq!(grouping(&[1, 49, 25]).size_awaited(), 37);
        assert_eq!(grouping(&[25, 25]).size_awaited(), 25);
    }

    #[test]
    fn nobody_is_waited_for_longer_than_a_sync_or_the_limit() {
        assert_eq!(grouping(&[9]).wait_max(), Duration::from_micros(100));
        let mut slow = Grouping::default();
        slow.note(9, Duration::from_secs(1));
        assert_eq!(slow.wait_max(), WAIT_MAX);
    }
}
