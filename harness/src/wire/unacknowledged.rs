//! Publications under way where a broker acknowledges each message by itself.

use super::Confirmation;
use crate::drivers::DriverError;
use std::collections::VecDeque;

/// Publications that are not acknowledged yet, oldest first. One is when all its messages are.
#[derive(Debug)]
pub(super) struct Unacknowledged {
    confirmation: Confirmation,
    /// Messages of each that are not acknowledged yet.
    publications: VecDeque<u32>,
    /// Of all of them.
    messages: u64,
}

impl Unacknowledged {
    /// None yet. Where none is wanted, and the broker sends none, there will be none.
    pub(super) fn new(confirmation: Confirmation) -> Self {
        Self { confirmation, publications: VecDeque::new(), messages: 0 }
    }

    /// The same, of a broker that acknowledges each message whether or not anyone wants it.
    pub(super) fn of_each() -> Self {
        Self::new(Confirmation::Wanted)
    }

    /// A publication of so many messages is under way.
    #[inline]
    pub(super) fn publish(&mut self, messages: u32) {
        if self.confirmation == Confirmation::Wanted && messages > 0 {
            self.publications.push_back(messages);
            self.messages += u64::from(messages);
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
        let Some(left) = self.messages.checked_sub(messages) else {
            let found = format!("{} acknowledgements too many", messages - self.messages);
            return Err(DriverError::unexpected("one for each message", &found));
        };
        self.messages = left;
        let (mut rest, mut completed) = (messages, 0);
        while let Some(oldest) = self.publications.front_mut() {
            if rest < u64::from(*oldest) {
                *oldest -= rest as u32;
                break;
            }
            rest -= u64::from(*oldest);
            self.publications.pop_front();
            completed += 1;
        }
        Ok(completed)
    }

    /// Messages that are not acknowledged yet.
    #[inline]
    pub(super) fn messages(&self) -> u64 {
        self.messages
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.messages == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_publication_is_acknowledged_with_its_last_message() {
        let mut unacknowledged = Unacknowledged::new(Confirmation::Wanted);
        [2, 1, 3].iter().for_each(|&messages| unacknowledged.publish(messages));
        assert_eq!(unacknowledged.messages(), 6);
        let completed = [1, 2, 2, 1].map(|messages| unacknowledged.acknowledge(messages).unwrap());
        assert_eq!(completed, [0, 2, 0, 1]);
        assert!(unacknowledged.is_empty());
    }

    #[test]
    fn an_acknowledgement_of_what_was_not_published_is_an_error() {
        let mut unacknowledged = Unacknowledged::of_each();
        unacknowledged.publish(1);
        let error = unacknowledged.acknowledge(2).unwrap_err();
        assert!(error.to_string().contains("1 acknowledgements too many"), "{error}");
        assert!(unacknowledged.acknowledge(1).is_ok());
    }

    #[test]
    fn where_none_is_wanted_none_is_awaited() {
        let mut unacknowledged = Unacknowledged::new(Confirmation::Unwanted);
        unacknowledged.publish(5);
        assert!(unacknowledged.is_empty());
        assert_eq!(unacknowledged.acknowledge(1).unwrap(), 0);
    }
}
