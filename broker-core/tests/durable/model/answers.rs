//! What a request is to be answered with, and when.

use super::{Model, Span};
use crate::wire::{Given, Reply};
use broker_core::SessionKey;
use broker_core::journal::Reached;
use protocol::{Code, Durability};

/// An answer that a session owes.
#[derive(Clone, Debug)]
pub(crate) struct Expected {
    pub(crate) correlation: u32,
    pub(crate) promise: Promise,
    /// What it promises is stored so.
    pub(crate) stored: Span,
    /// `None`: it promises nothing that the journal has to keep.
    pub(crate) durability: Option<Durability>,
    /// Who published, if it is an idempotent publisher.
    pub(crate) publisher: Option<u128>,
    /// The step in which it was asked.
    pub(crate) step: u64,
}

#[derive(Clone, Debug)]
pub(crate) enum Promise {
    Done,
    Published {
        base_offset: u64,
    },
    Subscribed {
        /// `None`: the model does not know the group's place.
        next_offset: Option<u64>,
        attached: Option<(SessionKey, u32)>,
    },
    Pulled(Pull),
    Leased {
        topic: String,
        created: Span,
        subscriber: String,
        count: u64,
    },
    Names(Vec<String>),
    Refused(Code),
    /// Refused so, or done.
    DoneOrRefused(Code),
    /// The push subscription that it is about ended, perhaps with its topic.
    RefusedAsGone,
}

/// What a pull of a cursor's messages gives.
#[derive(Clone, Debug)]
pub(crate) struct Pull {
    pub(crate) topic: String,
    pub(crate) created: Span,
    pub(crate) base_offset: u64,
    pub(crate) count: u64,
    pub(crate) lost: u64,
    pub(crate) remaining: u64,
}

/// What was given to a consumer with an answer.
#[derive(Debug)]
pub(crate) struct Taken {
    pub(crate) topic: String,
    pub(crate) subscriber: String,
    pub(crate) given: Given,
}

impl Expected {
    pub(crate) fn now(correlation: u32, promise: Promise, step: u64) -> Self {
        let stored = Span::ALWAYS;
        Self { correlation, promise, stored, durability: None, publisher: None, step }
    }

    pub(crate) fn is_refused(&self) -> bool {
        matches!(self.promise, Promise::Refused(_))
    }

    /// Whether a connection was attached and is told that it is not.
    pub(crate) fn was_attached_in_vain(&self, reply: &Reply) -> bool {
        let attached = matches!(self.promise, Promise::Subscribed { attached: Some(_), .. });
        attached && matches!(reply, Reply::Refused(_))
    }

    fn is_kept(&self, reached: Reached) -> bool {
        self.durability.is_none_or(|durability| self.stored.by <= reached.by(durability))
    }
}

impl Model {
    /// Holds an answer against what was expected. Gives messages that are to be settled.
    pub(crate) fn check_answer(
        &mut self,
        expected: &Expected,
        reply: &Reply,
        reached: Reached,
        has_failed: bool,
    ) -> Option<Taken> {
        let is_kept = expected.is_kept(reached);
        if *reply == Reply::Refused(Code::StorageFailed) && has_failed && !is_kept {
            return None;
        }
        if !matches!(reply, Reply::Refused(_)) {
            assert!(is_kept, "{reply:?} to {expected:?} is told too early: {reached:?}");
        }
        match (&expected.promise, reply) {
            (Promise::Done | Promise::DoneOrRefused(_), Reply::Done) => {}
            (Promise::Published { base_offset }, Reply::Published { base_offset: found }) => {
                assert_eq!(base_offset, found, "the offset of a publication");
            }
            (
                Promise::Subscribed { next_offset, attached },
                Reply::Subscribed { next_offset: found },
            ) => {
                assert!(next_offset.is_none_or(|next| next == *found), "{reply:?} to {expected:?}");
                if let Some((session, number)) = *attached {
                    self.begin(session, number);
                }
            }
            (Promise::Pulled(pull), Reply::Pulled { given, lost, remaining }) => {
                assert_eq!((*lost, *remaining), (pull.lost, pull.remaining), "{pull:?}");
                self.check_pulled(pull, given);
            }
            (
                Promise::Leased { topic, created, subscriber, count },
                Reply::Pulled { given, .. },
            ) => {
                assert_eq!(given.payloads.len() as u64, *count, "{reply:?} to {expected:?}");
                return self.take_leased(topic, *created, subscriber, given, expected.step);
            }
            (Promise::Names(names), Reply::Names(found)) => assert_eq!(names, found),
            (Promise::Refused(code) | Promise::DoneOrRefused(code), Reply::Refused(found)) => {
                assert_eq!(code, found, "why {expected:?} is refused");
            }
            (Promise::RefusedAsGone, Reply::Refused(found)) => {
                let gone = [Code::UnknownSubscription, Code::UnknownTopic];
                assert!(gone.contains(found), "why {expected:?} is refused: {found}");
            }
            _ => panic!("{reply:?} is no answer to {expected:?}"),
        }
        None
    }

    fn begin(&mut self, session: SessionKey, number: u32) {
        if let Some((topic, index)) = self.attached(session, number) {
            let attachment = topic.subscriptions[index].attachment_mut(session, number);
            attachment.expect("it is attached").has_begun = true;
        }
    }

    fn check_pulled(&mut self, pull: &Pull, given: &Given) {
        assert_eq!(given.payloads.len() as u64, pull.count, "{pull:?}");
        assert!(given.base_offset.is_none_or(|found| found == pull.base_offset), "{pull:?}");
        // It may be deleted by now, or another of its name.
        let found = self.find(&pull.topic).map(|index| &mut self.topics[index]);
        if let Some(topic) = found.filter(|topic| topic.created == pull.created) {
            topic.check_read(pull.base_offset, &given.payloads);
        }
    }

    /// A consumer was given messages with an answer.
    fn take_leased(
        &mut self,
        name: &str,
        created: Span,
        subscriber: &str,
        given: &Given,
        step: u64,
    ) -> Option<Taken> {
        let index = self.find(name).filter(|index| self.topics[*index].created == created)?;
        let topic = &mut self.topics[index];
        let found = topic.find(subscriber)?;
        let deliveries = given.deliveries.expect("a group's messages tell it");
        let base_offset = given.base_offset.filter(|_| !given.payloads.is_empty())?;
        topic.check_read(base_offset, &given.payloads);
        let first = topic.gone_once;
        let group = topic.subscriptions[found].group.as_mut()?;
        for offset in base_offset..base_offset + given.payloads.len() as u64 {
            group.deliver(offset, deliveries, step, first);
        }
        let (topic, subscriber) = (name.to_owned(), subscriber.to_owned());
        Some(Taken { topic, subscriber, given: given.clone() })
    }
}
