//! The attachments that a call into a session ended, as the wakes tell that it gives.

use broker_core::{Cause, SessionKey, Wake};
use protocol::Code;
use std::collections::VecDeque;

/// Ended attachments in the order of their wakes.
#[derive(Debug, Default)]
pub(crate) struct Endings {
    unexplained: VecDeque<Ending>,
    /// Which attachments those ended were that the model could explain.
    serials: VecDeque<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ending {
    pub(super) session: SessionKey,
    pub(super) number: u32,
    pub(super) code: Code,
}

impl Endings {
    pub(crate) fn of(wakes: &[Wake]) -> Self {
        let ending = |wake: &Wake| match wake.cause {
            Cause::Ended { subscription, code, .. } => {
                Some(Ending { session: wake.session, number: subscription, code })
            }
            Cause::Readable { .. }
            | Cause::Room
            | Cause::Stored
            | Cause::Matched
            | Cause::Displaced => None,
        };
        let unexplained = wakes.iter().filter_map(ending).collect();
        Self { unexplained, serials: VecDeque::new() }
    }

    pub(super) fn next(&self) -> Option<Ending> {
        self.unexplained.front().copied()
    }

    /// The next one is that of the attachment `serial`.
    pub(super) fn explain(&mut self, expected: Ending, serial: u64) {
        assert_eq!(self.unexplained.pop_front(), Some(expected), "who is told of an ending");
        self.serials.push_back(serial);
    }

    /// Which attachments they were, in order.
    pub(crate) fn explained(self) -> VecDeque<u64> {
        assert!(self.unexplained.is_empty(), "ended without a cause: {:?}", self.unexplained);
        self.serials
    }
}
