//! What tells one run from another: all that sessions wrote, and whom they had woken.

use broker_core::{Cause, SessionKey, Wake};
use std::hash::{DefaultHasher, Hash, Hasher};

#[derive(Debug, Default)]
pub(super) struct Trace {
    hasher: DefaultHasher,
}

impl Trace {
    pub(super) fn note_bytes(&mut self, key: SessionKey, bytes: &[u8]) {
        (key, bytes).hash(&mut self.hasher);
    }

    pub(super) fn note_wakes(&mut self, wakes: &[Wake]) {
        for wake in wakes {
            let cause = match wake.cause {
                Cause::Readable { subscription } => (0, subscription, 0),
                Cause::Ended { subscription, code, .. } => (1, subscription, code.number()),
                Cause::Room => (2, 0, 0),
                Cause::Stored => (3, 0, 0),
                Cause::Matched => (4, 0, 0),
                Cause::Displaced => (5, 0, 0),
            };
            (wake.session, cause).hash(&mut self.hasher);
        }
    }

    pub(super) fn hash(&self) -> u64 {
        self.hasher.finish()
    }
}
