//! Answers that wait for the journal, and all that has to be told after them.

use super::answer::Answer;
use super::mqtt::Told;
use super::{Session, Turn};
use crate::journal::Waits;
use protocol::{Code, Refusal};
use std::collections::VecDeque;

/// What a session has yet to tell, in order.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    entries: VecDeque<Entry>,
    /// Bytes of messages in them.
    bytes: usize,
    /// The session is woken at the journal's next progress.
    is_told: bool,
    /// The connection is over with the last of them.
    has_last: bool,
}

#[derive(Debug)]
enum Entry {
    Answer {
        answer: Answer,
        correlation: u32,
        waits: Option<Waits>,
    },
    /// A push subscription is over that was not yet answered to stand.
    Ended {
        subscription: u32,
        code: Code,
    },
    /// The connection is to be closed.
    Last(Refusal),
}

impl Waiting {
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether there is room for more answers that wait.
    pub(super) fn has_room(&self, answers_max: usize, bytes_max: usize) -> bool {
        self.entries.len() < answers_max && self.bytes < bytes_max && !self.has_last
    }

    fn push(&mut self, entry: Entry) {
        self.bytes += entry.bytes();
        self.has_last |= entry.is_last();
        self.entries.push_back(entry);
    }

    fn pop(&mut self) -> Option<Entry> {
        let entry = self.entries.pop_front()?;
        self.bytes -= entry.bytes();
        Some(entry)
    }

    /// What the first entry waits for.
    fn first_waits(&self) -> Option<Waits> {
        match self.entries.front() {
            Some(Entry::Answer { waits, .. }) => *waits,
            _ => None,
        }
    }
}

impl Entry {
    /// Whether the connection is over with it.
    fn is_last(&self) -> bool {
        match self {
            Self::Last(_) => true,
            Self::Answer { answer: Answer::Packets { then, .. }, .. } => {
                matches!(then, Some(Told::Last))
            }
            Self::Answer { .. } | Self::Ended { .. } => false,
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Answer { answer, .. } => answer.messages_bytes(),
            Self::Ended { .. } | Self::Last(_) => 0,
        }
    }
}

impl Session {
    /// Whether there are answers that wait for the journal.
    #[must_use]
    pub fn owes_answers(&self) -> bool {
        (!self.waiting.is_empty() || self.has_pending_batch()) && !self.closing
    }

    /// Answers a request, once `waits` is over and all before it are answered.
    pub(super) fn answer(
        &mut self,
        answer: Answer,
        waits: Option<Waits>,
        correlation: u32,
        turn: &mut Turn<'_>,
    ) {
        if self.waiting.is_empty() && waits.is_none_or(|waits| self.is_over(waits)) {
            self.tell(answer, correlation, turn);
        } else {
            self.waiting.push(Entry::Answer { answer, correlation, waits });
        }
    }

    /// Tells that a push subscription is over, behind its answer.
    pub(super) fn answer_ended(&mut self, subscription: u32, code: Code) {
        self.waiting.push(Entry::Ended { subscription, code });
    }

    /// Tells why the connection is about to be closed, behind all answers.
    pub(super) fn answer_last(&mut self, refusal: Refusal) {
        self.waiting.push(Entry::Last(refusal));
    }

    /// Tells what waits no longer, and has the session woken for the rest.
    pub(super) fn release_answers(&mut self, turn: &mut Turn<'_>) {
        self.release(turn);
        if self.waiting.is_empty() || std::mem::replace(&mut self.waiting.is_told, true) {
            return;
        }
        self.broker.commits().tell_session(self.key);
        // The journal may have come so far before it was asked to tell.
        self.release(turn);
    }

    /// The journal has reached more, or has failed.
    pub(super) fn handle_stored(&mut self, turn: &mut Turn<'_>) {
        self.waiting.is_told = false;
        self.release_answers(turn);
    }

    fn release(&mut self, turn: &mut Turn<'_>) {
        while !self.waiting.is_empty() {
            let waits = self.waiting.first_waits().filter(|waits| !self.is_over(*waits));
            let failure = self.broker.journal().and_then(|journal| journal.failure());
            let refused = match (waits, failure) {
                (None, _) => None,
                (Some(_), Some(failure)) => Some(Refusal::from(failure)),
                (Some(_), None) => return,
            };
            match self.waiting.pop().expect("it is not empty") {
                Entry::Answer { answer, correlation, .. } => {
                    if refused.is_some() {
                        self.give_up(&answer, turn);
                    }
                    let answer = match (answer, &refused) {
                        // What was to be said is not true, and what else to say, the standard
                        // has no packet for.
                        (Answer::Packets { .. }, Some(_)) => Answer::Packets {
                            packets: self.storage_failed(),
                            then: Some(Told::Last),
                        },
                        (answer, None) => answer,
                        (_, Some(refusal)) => Answer::Refused(refusal.clone()),
                    };
                    self.tell(answer, correlation, turn);
                    if self.waiting.has_last && self.closing {
                        return;
                    }
                }
                Entry::Ended { subscription, code } => self.tell_ended(subscription, code, turn),
                Entry::Last(refusal) => self.close_with(&refusal, turn.out),
            }
        }
    }

    fn is_over(&self, waits: Waits) -> bool {
        self.broker.journal().is_none_or(|journal| waits.is_over(journal.reached()))
    }

    /// What was done will not be told so.
    fn give_up(&mut self, answer: &Answer, turn: &mut Turn<'_>) {
        if let Answer::Attached { number, attachment, .. } = answer {
            self.pushes.give_up(*number, *attachment, &self.broker, turn.wakes);
        }
    }

    fn tell(&mut self, answer: Answer, correlation: u32, turn: &mut Turn<'_>) {
        if let Answer::Attached { number, .. } = &answer {
            self.pushes.begin(*number);
        }
        match answer {
            Answer::Packets { packets, then } => {
                turn.out.push(packets);
                self.told.extend(then);
            }
            answer => self.speech.tell(answer, correlation, turn.out),
        }
    }
}
