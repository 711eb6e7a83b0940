//! Publications under way where a broker acknowledges each message by itself.

use super::Confirmation;
use crate::drivers::DriverError;
use std::collections::VecDeque;

/// Publications that are not acknowledged yet, oldest first. One is when all its messages are.
#[derive(Debug)]
pub(super) struct Unacknowledged {
    confirmation: Confirmation,
    messages: VecDeque<u32>,
    /// Messages of the oldest that are acknowledged already.
    of_oldest: u64,
}

impl Unacknowledged {
    /// None yet. Where none is wanted, there will be none.
    pub(super) fn new(confirmation: Confirmation) -> Self {
        Self { confirmation, messages: VecDeque::new(), of_oldest: 0 }
    }

    /// A publication of so many messages is under way.
    #[inline]
    pub(super) fn publish(&mut self, messages: u32) {
        if self.confirmation == Confirmation::Wanted {
            self.messages.push_back(messages);
        }
    }

    /// Takes in that the oldest so many messages are acknowledged, and returns how many
    /// publications that completes.
    ///
    /// # Errors
    /// [`DriverError::Unexpected`] if so many are not under way.
    #[inline]
    pub(super) fn acknowledge(&mut self, messages: u64) -> Result<u32, DriverError> {
        if self.confirmation == Confirmation::Unwanted {
            return Ok(0);
        }
        self.of_oldest += messages;
        let mut publications = 0;
        while let Some(&oldest) = self.messages.front() {
            let Some(rest) = self.of_oldest.checked_sub(u64::from(oldest)) else { break };
            self.of_oldest = rest;
            self.messages.pop_front();
            publications += 1;
        }
        if self.messages.is_empty() && self.of_oldest > 0 {
            let found = format!("{} acknowledgements too many", self.of_oldest);
            return Err(DriverError::unexpected("one for each message", &found));
        }
        Ok(publications)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_publication_is_acknowledged_with_its_last_message() {
        let mut unacknowledged = Unacknowledged::new(Confirmation::Wanted);
        [2, 1, 3].iter().for_each(|&messages| unacknowledged.publish(messages));
        let completed = [1, 2, 2, 1].map(|messages| unacknowledged.acknowledge(messages).unwrap());
        assert_eq!(completed, [0, 2, 0, 1]);
    }

    #[test]
    fn an_acknowledgement_of_what_was_not_published_is_an_error() {
        let mut unacknowledged = Unacknowledged::new(Confirmation::Wanted);
        unacknowledged.publish(1);
        assert!(unacknowledged.acknowledge(2).is_err());
    }
}
