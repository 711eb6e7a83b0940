//! What a connection of the load generator is there for.

use super::operating::OperatorRole;
use super::publishing::PublisherRole;
use crate::ledger::Ledger;
use crate::wire::Conversation;

pub(super) enum Role {
    Publisher(PublisherRole),
    Subscriber(SubscriberRole),
    Operator(OperatorRole),
    /// One that connects, and is then at rest.
    Idler(Box<dyn Conversation>),
}

impl Role {
    pub(super) fn conversation(&mut self) -> &mut dyn Conversation {
        match self {
            Self::Publisher(role) => role.conversation.as_mut(),
            Self::Subscriber(role) => role.conversation.as_mut(),
            Self::Operator(role) => role.conversation.as_mut(),
            Self::Idler(conversation) => conversation.as_mut(),
        }
    }

    /// What it does, for errors.
    pub(super) fn doing(&self) -> &'static str {
        match self {
            Self::Publisher(_) => "publishing",
            Self::Subscriber(_) => "receiving",
            Self::Operator(_) => "asking",
            Self::Idler(_) => "connecting",
        }
    }
}

/// A subscriber of a stream.
pub(super) struct SubscriberRole {
    pub(super) subscriber: u32,
    pub(super) conversation: Box<dyn Conversation>,
    pub(super) ledger: Ledger,
    /// Whose histograms it records in.
    pub(super) group: usize,
    pub(super) allowance: Option<Allowance>,
}

/// How much a slow consumer may have read by now.
#[derive(Clone, Copy, Debug)]
pub(super) struct Allowance {
    pub(super) bytes_per_s: u64,
    /// When it began to count; `None` until its first read.
    since_ns: Option<u64>,
    read_bytes: u64,
}

const NS_PER_S: u128 = 1_000_000_000;

/// A slow consumer reads so much at a time, or a hundredth of a second's worth if that is less.
const SLOW_READ_BYTES: u64 = 4096;

impl Allowance {
    pub(super) fn new(bytes_per_s: u64) -> Self {
        Self { bytes_per_s, since_ns: None, read_bytes: 0 }
    }

    /// Bytes that may be read now; fewer than a read's worth are none.
    pub(super) fn bytes_now(&mut self, now_ns: u64) -> usize {
        let since_ns = *self.since_ns.get_or_insert(now_ns);
        let elapsed_ns = u128::from(now_ns.saturating_sub(since_ns));
        let earned = u128::from(self.bytes_per_s) * elapsed_ns / NS_PER_S;
        let left = u64::try_from(earned).unwrap_or(u64::MAX).saturating_sub(self.read_bytes);
        match left >= self.read_worth() {
            true => usize::try_from(left).unwrap_or(usize::MAX),
            false => 0,
        }
    }

    pub(super) fn spend(&mut self, bytes: usize) {
        self.read_bytes += bytes as u64;
    }

    /// How long it takes to earn a read's worth.
    pub(super) fn wait_ns(&self) -> u64 {
        let ns = u128::from(self.read_worth()) * NS_PER_S / u128::from(self.bytes_per_s.max(1));
        u64::try_from(ns).unwrap_or(u64::MAX)
    }

    fn read_worth(&self) -> u64 {
        SLOW_READ_BYTES.min(self.bytes_per_s / 100).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_consumer_reads_what_it_earned_and_no_more() {
        let mut allowance = Allowance::new(1_000_000);
        assert_eq!(allowance.bytes_now(5), 0);
        assert_eq!(allowance.wait_ns(), 4_096_000);
        assert_eq!(allowance.bytes_now(5 + 10_000_000), 10_000);
        allowance.spend(9_000);
        assert_eq!(allowance.bytes_now(5 + 10_000_000), 0, "less than a read's worth");
        assert_eq!(allowance.bytes_now(5 + 20_000_000), 11_000);
    }
}
