//! Publications whose messages are answered one by one.

use std::collections::VecDeque;

/// How many messages of each publication are not answered yet, oldest first.
#[derive(Debug, Default)]
pub(super) struct Unanswered {
    publications: VecDeque<u32>,
    messages: u32,
}

impl Unanswered {
    /// A publication of so many messages is under way.
    #[inline]
    pub(super) fn add(&mut self, messages: u32) {
        if messages > 0 {
            self.publications.push_back(messages);
            self.messages += messages;
        }
    }

    /// The oldest message was answered; whether that was its publication's last. `None`: there is
    /// none that waits for an answer.
    #[inline]
    pub(super) fn answer(&mut self) -> Option<bool> {
        let oldest = self.publications.front_mut()?;
        *oldest -= 1;
        let is_whole = *oldest == 0;
        if is_whole {
            self.publications.pop_front();
        }
        self.messages -= 1;
        Some(is_whole)
    }

    /// Messages without an answer.
    #[inline]
    pub(super) fn messages(&self) -> u32 {
        self.messages
    }

    pub(super) fn is_empty(&self) -> bool {
        self.messages == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_publication_is_whole_with_its_last_answer() {
        let mut unanswered = Unanswered::default();
        unanswered.add(2);
        unanswered.add(1);
        assert_eq!(unanswered.messages(), 3);
        let answers = [(); 4].map(|()| unanswered.answer());
        assert_eq!(answers, [Some(false), Some(true), Some(true), None]);
        assert!(unanswered.is_empty());
    }
}
