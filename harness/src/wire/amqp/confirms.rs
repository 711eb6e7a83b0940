//! Confirms, which RabbitMQ gives in any order.

use crate::drivers::DriverError;
use std::collections::BTreeSet;

/// Which messages are confirmed. Tags count from 1.
#[derive(Debug)]
pub(super) struct Confirms {
    /// The tag of the last message that was published.
    published: u64,
    /// All below are confirmed, this one is not.
    next: u64,
    /// Confirmed, and not all before them.
    ahead: BTreeSet<u64>,
}

impl Confirms {
    pub(super) fn new() -> Self {
        Self { published: 0, next: 1, ahead: BTreeSet::new() }
    }

    /// So many messages more are published.
    #[inline]
    pub(super) fn publish(&mut self, messages: u32) {
        self.published += u64::from(messages);
    }

    /// Whether nothing is left to be confirmed.
    pub(super) fn are_complete(&self) -> bool {
        self.next > self.published
    }

    /// Takes in a confirm, of all messages up to `tag` with `multiple`, and returns how many
    /// messages are confirmed now with all before them.
    ///
    /// # Errors
    /// [`DriverError::Unexpected`] for a message that was not published.
    #[inline]
    pub(super) fn handle_ack(&mut self, tag: u64, multiple: bool) -> Result<u64, DriverError> {
        if tag > self.published {
            return Err(DriverError::unexpected("a confirm of what was published", &tag));
        }
        let before = self.next;
        if multiple && tag >= self.next {
            self.next = tag + 1;
            if !self.ahead.is_empty() {
                self.ahead = self.ahead.split_off(&self.next);
            }
        } else if tag == self.next {
            self.next += 1;
        } else if tag > self.next {
            self.ahead.insert(tag);
        }
        while self.ahead.first() == Some(&self.next) {
            self.ahead.pop_first();
            self.next += 1;
        }
        Ok(self.next - before)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_confirmed_ahead_counts_when_all_before_it_is() {
        let mut confirms = Confirms::new();
        confirms.publish(9);
        let acks =
            [(2, false), (3, false), (1, false), (6, false), (5, true), (5, true), (9, true)];
        let confirmed = acks.map(|(tag, multiple)| confirms.handle_ack(tag, multiple).unwrap());
        assert_eq!(confirmed, [0, 0, 3, 0, 3, 0, 3]);
        assert!(confirms.are_complete());
        assert!(confirms.handle_ack(10, true).is_err());
    }
}
