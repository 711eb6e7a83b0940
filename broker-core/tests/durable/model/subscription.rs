//! A subscription: a cursor or a group, and the connections that it is pushed to.

use super::Span;
use super::group::Group;
use broker_core::SessionKey;
use protocol::{AckMode, Lifetime, Push};

#[derive(Clone, Debug)]
pub(crate) struct Subscription {
    pub(crate) name: String,
    /// `None`: the journal does not know of it.
    pub(crate) created: Option<Span>,
    pub(crate) removed: Option<Span>,
    /// What is sent next.
    pub(crate) cursor: u64,
    /// All before is done with.
    pub(crate) committed: u64,
    /// What the journal knows of that, oldest first.
    saves: Vec<(Span, u64)>,
    pub(crate) group: Option<Group>,
    pub(crate) attachments: Vec<Attachment>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Attachment {
    pub(crate) session: SessionKey,
    pub(crate) number: u32,
    pub(crate) push: Push,
    /// Whether its SUBSCRIBE was answered.
    pub(crate) has_begun: bool,
    pub(crate) credit_bytes: i64,
}

impl Subscription {
    pub(crate) fn new(name: &str, offset: u64, group: Option<Group>) -> Self {
        Self {
            name: name.to_owned(),
            created: None,
            removed: None,
            cursor: offset,
            committed: offset,
            saves: Vec::new(),
            group,
            attachments: Vec::new(),
        }
    }

    /// The journal knows of it from now on.
    pub(crate) fn store(&mut self, created: Span) {
        self.created = Some(created);
        self.saves = vec![(created, self.committed)];
        if let Some(group) = &mut self.group {
            group.store();
        }
    }

    /// Where a record of it is that ends at `end`.
    pub(crate) fn span(&self, end: u64) -> Span {
        if self.created.is_some() { Span::at(end) } else { Span::ALWAYS }
    }

    /// It goes on at `offset`, which the journal knows.
    pub(crate) fn save(&mut self, offset: u64, stored: Span) {
        self.committed = offset;
        if self.created.is_some() {
            self.saves.push((stored, offset));
        }
    }

    /// The journal was told how far it is, if it did not know.
    pub(crate) fn save_if_moved(&mut self, span: Span) {
        let mut known = self.saves.iter().rev().filter(|(span, _)| *span != span.maybe());
        let known = known.next().map(|(_, offset)| *offset);
        if self.group.is_none() && known.is_some_and(|known| known != self.committed) {
            self.saves.push((span, self.committed));
        }
    }

    pub(crate) fn attachment(&self, session: SessionKey, number: u32) -> Option<&Attachment> {
        self.attachments.iter().find(|found| found.session == session && found.number == number)
    }

    pub(crate) fn attachment_mut(
        &mut self,
        session: SessionKey,
        number: u32,
    ) -> Option<&mut Attachment> {
        self.attachments.iter_mut().find(|found| found.session == session && found.number == number)
    }

    /// Gives the lifetime that the attachment was made with.
    pub(crate) fn detach(&mut self, session: SessionKey, number: u32) -> Lifetime {
        let is_it = |found: &Attachment| found.session == session && found.number == number;
        let index = self.attachments.iter().position(is_it).expect("it was found attached");
        let attachment = self.attachments.remove(index);
        self.go_back();
        attachment.push.lifetime
    }

    pub(crate) fn go_back(&mut self) {
        if self.group.is_none() {
            self.cursor = self.committed;
        }
    }

    /// Messages up to `end` were pushed.
    pub(crate) fn advance(&mut self, end: u64) {
        self.cursor = end;
        let ack_mode = self.attachments.first().map(|found| found.push.ack_mode);
        if ack_mode == Some(AckMode::OnSend) {
            self.committed = end;
        }
    }

    pub(crate) fn survives(&self, cut: u64) -> bool {
        let is_in = |span: Span| span.is_in(cut).expect("a record is whole");
        self.created.is_some_and(is_in) && !self.removed.is_some_and(is_in)
    }

    pub(crate) fn crash(&mut self, cut: u64) {
        self.removed = None;
        self.created = Some(Span::ALWAYS);
        self.attachments.clear();
        self.saves.retain(|(span, _)| span.is_in(cut) != Some(false));
        if let Some(group) = &mut self.group {
            group.crash(cut);
        }
    }

    /// It is found to go on at `offset` after a crash.
    pub(crate) fn observe_recovered(&mut self, offset: u64, cut: u64) {
        if self.group.is_none() {
            let certain = self.saves.iter().rposition(|(span, _)| span.by <= cut);
            let possible = &self.saves[certain.expect("where it began is certain")..];
            let is_possible = possible.iter().any(|(_, possible)| *possible == offset);
            let name = &self.name;
            assert!(is_possible, "{name} goes on at {offset}, expected one of {possible:?}");
        }
        (self.cursor, self.committed) = (offset, offset);
        self.saves = vec![(Span::ALWAYS, offset)];
    }
}
