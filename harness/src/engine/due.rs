//! When the messages of one generator thread are due.

use super::Extent;

/// The schedule of one thread's part of an aggregate load.
#[derive(Clone, Debug)]
pub(super) struct ThreadSchedule {
    rate_per_s: f64,
    /// The thread's part of all publishers.
    part: Part,
    start_ns: u64,
    sent: u64,
    messages: u64,
}

/// Which part of an aggregate load one thread has: every `of`th message, from the `first`th on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Part {
    /// The first that is its own.
    pub(super) first: u64,
    /// How many threads share the load.
    pub(super) of: u64,
}

const NS_PER_S: f64 = 1e9;

impl ThreadSchedule {
    /// A thread's part of a constant rate.
    #[must_use]
    pub(super) fn constant(rate_per_s: f64, part: Part) -> Self {
        Self { rate_per_s, part, start_ns: 0, sent: 0, messages: 0 }
    }

    /// A phase begins.
    pub(super) fn begin(&mut self, start_ns: u64, extent: Extent) {
        self.start_ns = start_ns;
        self.sent = 0;
        let all = match extent {
            Extent::Count(messages) => messages,
            Extent::DurationNs(duration_ns) => {
                (duration_ns as f64 / NS_PER_S * self.rate_per_s) as u64
            }
        };
        self.messages = all.saturating_sub(self.part.first).div_ceil(self.part.of);
    }

    /// When the next message is due; `None`: none is left.
    #[must_use]
    pub(super) fn next_due_ns(&self) -> Option<u64> {
        (self.sent < self.messages).then(|| self.due_ns(self.sent))
    }

    /// Takes what is due by now, `count_max` at most: their times.
    pub(super) fn take_due(&mut self, now_ns: u64, count_max: u32, due: &mut Vec<u64>) {
        while self.sent < self.messages && due.len() < count_max as usize {
            let due_ns = self.due_ns(self.sent);
            if due_ns > now_ns {
                break;
            }
            due.push(due_ns);
            self.sent += 1;
        }
    }

    /// Whether none is left.
    #[must_use]
    pub(super) fn is_exhausted(&self) -> bool {
        self.sent >= self.messages
    }

    fn due_ns(&self, index: u64) -> u64 {
        let place = self.part.first + index * self.part.of;
        self.start_ns + (place as f64 / self.rate_per_s * NS_PER_S) as u64
    }
}
