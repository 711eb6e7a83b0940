//! The requests that wait for their answers, in the order they were sent in.

use crate::Operation;
use protocol::PublisherId;
use std::collections::VecDeque;
use std::time::Instant;

/// What becomes of a request whose answer the connection took with it.
#[derive(Debug)]
pub(super) enum Repeat {
    /// It may have been done, and doing it twice is not the same: it fails.
    Never,
    /// It changes nothing, or nothing more the second time: this frame is sent again.
    Frame(Box<[u8]>),
    /// The broker knows this publication again by its number: its frame is sent again, whether
    /// anyone waits for the answer or not, since those behind it rely on their order.
    Sequenced {
        publisher: PublisherId,
        frame: Box<[u8]>,
        /// Whether a connection has had it whole, so that it may have been done.
        handed_over: bool,
    },
    /// It attaches to a push subscription, which the session does again by itself.
    Attach,
}

/// Who waits for the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Claim {
    /// The caller.
    Caller,
    /// The session itself: it attached again after a reconnect.
    Session,
    /// No one any more.
    Abandoned,
}

/// One request.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) correlation: u32,
    pub(super) operation: Operation,
    pub(super) claim: Claim,
    pub(super) repeat: Repeat,
    pub(super) deadline: Instant,
    /// Where on the connection its frame ends.
    pub(super) end: u64,
}

/// All of them, oldest first.
#[derive(Debug, Default)]
pub(super) struct InFlight {
    requests: VecDeque<Pending>,
    /// How many at the front are known to be abandoned.
    abandoned: usize,
}

impl InFlight {
    pub(super) fn len(&self) -> usize {
        self.requests.len()
    }

    pub(super) fn push(&mut self, pending: Pending) {
        self.requests.push_back(pending);
    }

    /// The oldest, if `correlation` is its own.
    #[inline]
    pub(super) fn pop_if(&mut self, correlation: u32) -> Option<Pending> {
        if self.requests.front()?.correlation != correlation {
            return None;
        }
        self.abandoned = self.abandoned.saturating_sub(1);
        self.requests.pop_front()
    }

    /// How many are publications of `publisher`.
    pub(super) fn sequenced_of(&self, publisher: PublisherId) -> usize {
        let is_of = |pending: &&Pending| matches!(&pending.repeat, Repeat::Sequenced { publisher: found, .. } if *found == publisher);
        self.requests.iter().filter(is_of).count()
    }

    pub(super) fn contains(&self, correlation: u32) -> bool {
        self.requests.iter().any(|pending| pending.correlation == correlation)
    }

    /// All of them, leaving none.
    pub(super) fn take(&mut self) -> VecDeque<Pending> {
        self.abandoned = 0;
        std::mem::take(&mut self.requests)
    }

    /// No one waits for the answer any more; it is passed over when it comes.
    pub(super) fn abandon(&mut self, correlation: u32) {
        for pending in &mut self.requests {
            if pending.correlation == correlation {
                pending.claim = Claim::Abandoned;
            }
        }
    }

    /// When the first of them is overdue.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.requests
            .iter()
            .skip(self.abandoned)
            .find(|pending| pending.claim != Claim::Abandoned)
            .map(|pending| pending.deadline)
    }

    /// Abandons the oldest that is overdue at `now`.
    pub(super) fn expire(&mut self, now: Instant) -> Option<(u32, Operation, Claim)> {
        while let Some(pending) = self.requests.get_mut(self.abandoned) {
            if pending.claim != Claim::Abandoned {
                if pending.deadline > now {
                    return None;
                }
                let claim = std::mem::replace(&mut pending.claim, Claim::Abandoned);
                return Some((pending.correlation, pending.operation, claim));
            }
            self.abandoned += 1;
        }
        None
    }
}
