//! What the broker should be: topics, messages and subscriptions, each with the position of the
//! journal that it is stored before, so that what a crash leaves is known exactly.

mod answers;
mod group;
mod requests;
mod subscription;
mod topic;

pub(crate) use answers::Expected;
pub(crate) use requests::{Context, number_of};
pub(crate) use topic::{Origin, Topic};

use broker_core::SessionKey;
use broker_core::journal::Reached;

/// Where in the journal something was stored: certainly not before `after`, certainly before `by`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) after: u64,
    pub(crate) by: u64,
}

impl Span {
    /// It is there however much of the journal is lost.
    pub(crate) const ALWAYS: Self = Self { after: 0, by: 0 };

    /// One record, which ends there.
    pub(crate) fn at(end: u64) -> Self {
        Self { after: end.saturating_sub(1), by: end }
    }

    /// What was noted then, but perhaps not where it lasts.
    pub(crate) fn maybe(self) -> Self {
        Self { by: u64::MAX, ..self }
    }

    /// Whether a journal that was cut has it; `None`: it cannot be told.
    pub(crate) fn is_in(self, cut: u64) -> Option<bool> {
        match (self.by <= cut, self.after >= cut) {
            (true, _) => Some(true),
            (false, true) => Some(false),
            (false, false) => None,
        }
    }
}

#[derive(Debug, Default)]
pub(crate) struct Model {
    /// All topics that there are or that a crash may bring back, in the order of their creation.
    pub(crate) topics: Vec<Topic>,
    /// Counts what happens.
    pub(crate) steps: u64,
}

impl Model {
    /// The topic that has this name now.
    pub(crate) fn find(&self, name: &str) -> Option<usize> {
        self.topics.iter().position(|topic| topic.name == name && topic.deleted.is_none())
    }

    pub(crate) fn living(&self) -> impl Iterator<Item = &Topic> {
        self.topics.iter().filter(|topic| topic.deleted.is_none())
    }

    pub(crate) fn living_mut(&mut self) -> impl Iterator<Item = &mut Topic> {
        self.topics.iter_mut().filter(|topic| topic.deleted.is_none())
    }

    pub(crate) fn names(&self) -> Vec<String> {
        self.living().map(|topic| topic.name.clone()).collect()
    }

    /// The journal reached more, and the broker was told.
    pub(crate) fn handle_progress(&mut self, reached: Reached) {
        self.living_mut().for_each(|topic| topic.show(reached));
    }

    /// A push subscription ended; the subscription stays, whatever its lifetime.
    pub(crate) fn end_push(&mut self, session: SessionKey, number: u32) {
        if let Some((topic, index)) = self.attached(session, number) {
            topic.subscriptions[index].detach(session, number);
        }
    }

    /// A push subscription ended, and the subscription where its lifetime was the connection's.
    pub(crate) fn detach(&mut self, session: SessionKey, number: u32, end: u64) {
        self.living_mut().for_each(|topic| topic.detach(session, number, end));
    }

    /// A connection is gone.
    pub(crate) fn detach_all(&mut self, session: SessionKey, end: u64) {
        for topic in self.living_mut() {
            let numbers = topic.numbers_of(session);
            numbers.into_iter().for_each(|number| topic.detach(session, number, end));
        }
    }

    /// What a number of a session's pushes.
    pub(crate) fn attached(
        &mut self,
        session: SessionKey,
        number: u32,
    ) -> Option<(&mut Topic, usize)> {
        self.living_mut().find_map(|topic| {
            let index = topic.attached(session, number)?;
            Some((topic, index))
        })
    }

    /// Cursors that moved were stored.
    pub(crate) fn handle_tick(&mut self, span: Span) {
        for topic in self.living_mut().filter(|topic| topic.is_stored) {
            topic.subscriptions.iter_mut().for_each(|found| found.save_if_moved(span));
        }
    }

    /// The broker is gone, and the journal was cut.
    pub(crate) fn crash(&mut self, cut: u64) {
        self.topics.retain_mut(|topic| {
            let survives = topic.survives(cut);
            if survives {
                topic.crash(cut);
            }
            survives
        });
    }
}
