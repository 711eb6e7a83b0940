//! Push subscriptions of one client, any number at once.

use super::client::Client;
use super::subscription::Subscription;
use crate::session::{Answer, Event, Session, SubscriptionId};
use crate::terms::nack;
use crate::{Error, Lost, Messages, MessagesRef, PushTerms, Pushed, Run, SubscriberId};
use protocol::{OffsetRange, Verdict};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// What came for one of a client's push subscriptions.
#[derive(Debug)]
pub struct Arrival<'a> {
    /// Which.
    pub subscription: SubscriptionId,
    /// Messages or a notice of loss; or why the subscription ended: [`Error::Ended`] by the
    /// broker, [`Error::Disconnected`] with the connection. Nothing comes after an error.
    pub result: Result<Pushed<MessagesRef<'a>>, Error>,
}

/// Something pushed that waits for its consumer. The credit windows bound how much that can be.
#[derive(Debug)]
struct Stashed {
    subscription: SubscriptionId,
    result: Result<Pushed<Messages>, Error>,
}

/// What push subscriptions were sent while something else was waited for, oldest first.
#[derive(Debug, Default)]
pub(super) struct Stash(VecDeque<Stashed>);

impl Stash {
    /// Keeps what a push subscription was sent; other events are not for here.
    pub(super) fn keep(&mut self, event: Event, session: &mut Session) {
        let (subscription, result) = match event {
            Event::Delivered { subscription, run } => {
                let messages = Messages::new(run, session.take_records());
                (subscription, Ok(Pushed::Delivered(messages)))
            }
            Event::Lost { subscription, lost } => (subscription, Ok(Pushed::Lost(lost))),
            Event::Ended { subscription, error } => (subscription, Err(error)),
            Event::Answered { .. } | Event::Greeted | Event::RefusedUnasked(_) => return,
        };
        self.0.push_back(Stashed { subscription, result });
    }

    /// The oldest, of one subscription or of any.
    #[inline]
    fn take(&mut self, only: Option<SubscriptionId>) -> Option<Stashed> {
        let wanted = |stashed: &Stashed| only.is_none_or(|only| only == stashed.subscription);
        let at = self.0.iter().position(wanted)?;
        self.0.remove(at)
    }

    /// Drops all of one subscription.
    fn forget(&mut self, subscription: SubscriptionId) {
        self.0.retain(|stashed| stashed.subscription != subscription);
    }
}

/// Where the next messages are.
enum Found {
    /// In the session's read buffer.
    InBuffer(Run),
    /// In the client's `handed_out`.
    HandedOut,
    /// There are none: some were lost.
    Lost(Lost),
    /// There will be none.
    Ended(Error),
}

impl Client {
    /// Makes a push subscription, or attaches to it if it exists, and borrows the client for it.
    ///
    /// # Errors
    /// [`Error::Refused`] with [`UnknownTopic`](crate::Code::UnknownTopic),
    /// [`InvalidSubscriber`](crate::Code::InvalidSubscriber) or
    /// [`LimitReached`](crate::Code::LimitReached).
    pub fn subscribe_push(
        &mut self,
        topic: &str,
        subscriber: &SubscriberId,
        terms: PushTerms,
    ) -> Result<Subscription<'_>, Error> {
        let subscription = self.attach(topic, subscriber, terms)?;
        Ok(Subscription::new(self, subscription))
    }

    /// As [`subscribe_push`](Self::subscribe_push), for a client that has several: what comes is
    /// given by [`next_pushed`](Self::next_pushed).
    ///
    /// # Errors
    /// As there.
    pub fn attach(
        &mut self,
        topic: &str,
        subscriber: &SubscriberId,
        terms: PushTerms,
    ) -> Result<SubscriptionId, Error> {
        self.wait_for_room()?;
        let now = Instant::now();
        let (subscription, ticket) = self.session.handle_attach(topic, subscriber, terms, now)?;
        match self.wait_for(ticket)? {
            Answer::Subscribed { .. } => Ok(subscription),
            other => unreachable!("the session checks answers, yet gave {other:?}"),
        }
    }

    /// Stops a push delivery; a named subscription stays and may be attached to again. What was
    /// sent and not consumed is dropped, and without acknowledgements it is lost.
    ///
    /// # Errors
    /// None of its own.
    pub fn detach(&mut self, subscription: SubscriptionId) -> Result<(), Error> {
        self.stash.forget(subscription);
        let ticket = self.session.handle_detach(subscription, Instant::now());
        ticket.map_or(Ok(()), |ticket| self.wait_for(ticket).map(drop))
    }

    /// Acknowledges the message at `offset`, and, where acknowledgements are cumulative, all
    /// before it. It is sent with what is written next: before the next wait, or with
    /// [`flush`](Self::flush).
    pub fn ack(&mut self, subscription: SubscriptionId, offset: u64) {
        self.session.handle_ack(subscription, offset);
    }

    /// As [`ack`](Self::ack), and waits until the broker has it as durably as the topic's
    /// messages: none of what was acknowledged comes again.
    ///
    /// # Errors
    /// [`Error::InvalidRequest`] where the subscription has ended.
    pub fn ack_confirmed(
        &mut self,
        subscription: SubscriptionId,
        offset: u64,
    ) -> Result<(), Error> {
        self.wait_for_room()?;
        let now = Instant::now();
        let ticket = self.session.handle_ack_confirmed(subscription, offset, now)?;
        self.wait_for(ticket).map(drop)
    }

    /// Has the message at `offset`, of those that are acknowledged individually, delivered again
    /// after `delay`, or without one after the subscription's backoff. It is sent as an
    /// acknowledgement is.
    pub fn nack(&mut self, subscription: SubscriptionId, offset: u64, delay: Option<Duration>) {
        self.settle(subscription, OffsetRange::one(offset), nack(delay));
    }

    /// Tells what became of a range of messages that are acknowledged individually. It is sent as
    /// an acknowledgement is, and shares a frame with others of the same verdict.
    pub fn settle(&mut self, subscription: SubscriptionId, range: OffsetRange, verdict: Verdict) {
        self.session.handle_settle(subscription, range, verdict);
    }

    /// As [`settle`](Self::settle), and waits until the broker has it as durably as the topic's
    /// messages.
    ///
    /// # Errors
    /// [`Error::InvalidRequest`] where there is no offset in `ranges` or the subscription has
    /// ended; [`Error::Refused`] with
    /// [`SubscriptionMismatch`](crate::Code::SubscriptionMismatch) where its messages are not
    /// acknowledged individually; of a negative verdict [`Error::Indeterminate`] where the
    /// connection ended before the answer, and the messages come again then in any case.
    pub fn settle_confirmed(
        &mut self,
        subscription: SubscriptionId,
        ranges: &[OffsetRange],
        verdict: Verdict,
    ) -> Result<(), Error> {
        self.wait_for_room()?;
        let now = Instant::now();
        let ticket = self.session.handle_settle_confirmed(subscription, ranges, verdict, now)?;
        self.wait_for(ticket).map(drop)
    }

    /// Waits for something pushed, for at most `limit`, or without one for as long as it takes.
    /// `Ok(None)`: nothing came in time. The messages are borrowed from the read buffer.
    ///
    /// # Errors
    /// [`Error::InvalidRequest`] where there is no push subscription, so that nothing can come.
    pub fn next_pushed(&mut self, limit: Option<Duration>) -> Result<Option<Arrival<'_>>, Error> {
        self.next_pushed_of(None, limit)
    }

    pub(super) fn next_pushed_of(
        &mut self,
        only: Option<SubscriptionId>,
        limit: Option<Duration>,
    ) -> Result<Option<Arrival<'_>>, Error> {
        let Some((subscription, found)) = self.wait_for_pushed(only, limit)? else {
            return Ok(None);
        };
        let result = match found {
            Found::InBuffer(run) => {
                Ok(Pushed::Delivered(MessagesRef::new(run, self.session.records())))
            }
            Found::HandedOut => Ok(Pushed::Delivered(self.handed_out.borrowed())),
            Found::Lost(lost) => Ok(Pushed::Lost(lost)),
            Found::Ended(error) => Err(error),
        };
        Ok(Some(Arrival { subscription, result }))
    }

    /// As [`next_pushed`](Self::next_pushed), of one subscription, with messages that own their
    /// bytes.
    pub(super) fn next_pushed_owned(
        &mut self,
        subscription: SubscriptionId,
        limit: Option<Duration>,
    ) -> Result<Option<Pushed<Messages>>, Error> {
        let Some((_, found)) = self.wait_for_pushed(Some(subscription), limit)? else {
            return Ok(None);
        };
        match found {
            Found::InBuffer(run) => {
                let messages = Messages::new(run, self.session.take_records());
                Ok(Some(Pushed::Delivered(messages)))
            }
            Found::HandedOut => Ok(Some(Pushed::Delivered(std::mem::take(&mut self.handed_out)))),
            Found::Lost(lost) => Ok(Some(Pushed::Lost(lost))),
            Found::Ended(error) => Err(error),
        }
    }

    /// Stops a push delivery without waiting for the answer.
    pub(super) fn let_go(&mut self, subscription: SubscriptionId) {
        self.stash.forget(subscription);
        let Some(ticket) = self.session.handle_detach(subscription, Instant::now()) else {
            return;
        };
        self.session.handle_abandoned(ticket);
        if let Err(error) = self.write_output() {
            self.lose(&error.to_string());
        }
    }

    #[inline]
    fn wait_for_pushed(
        &mut self,
        only: Option<SubscriptionId>,
        limit: Option<Duration>,
    ) -> Result<Option<(SubscriptionId, Found)>, Error> {
        if let Some(found) = self.find_pushed(only) {
            return Ok(Some(found));
        }
        let deadline = limit.map(|limit| Instant::now() + limit);
        let mut left = limit;
        loop {
            self.check_attached(only)?;
            // Only a subscription that attaches again after a reconnect has a deadline of its own.
            if self.session.poll_deadline().is_some() {
                let overdue_in = self.check_deadlines();
                left = Some(left.map_or(overdue_in, |left| left.min(overdue_in)));
            }
            self.advance(left);
            if let Some(found) = self.find_pushed(only) {
                return Ok(Some(found));
            }
            left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                return Ok(None);
            }
        }
    }

    /// The next that was pushed and is here already. Its credit is given back: what is handed
    /// out is gone from the buffer when the next is asked for.
    #[inline]
    fn find_pushed(&mut self, only: Option<SubscriptionId>) -> Option<(SubscriptionId, Found)> {
        loop {
            if let Some(Stashed { subscription, result }) = self.stash.take(only) {
                let found = match result {
                    Ok(Pushed::Delivered(messages)) => {
                        self.session.handle_consumed(subscription, messages.records_bytes());
                        self.handed_out = messages;
                        Found::HandedOut
                    }
                    Ok(Pushed::Lost(lost)) => Found::Lost(lost),
                    Err(error) => Found::Ended(error),
                };
                return Some((subscription, found));
            }
            match self.poll()? {
                Event::Delivered { subscription, run }
                    if only.is_none_or(|only| only == subscription) =>
                {
                    let records_bytes = self.session.records().len();
                    self.session.handle_consumed(subscription, records_bytes);
                    return Some((subscription, Found::InBuffer(run)));
                }
                other => self.keep(other),
            }
        }
    }

    fn check_attached(&self, only: Option<SubscriptionId>) -> Result<(), Error> {
        let attached = match only {
            Some(subscription) => self.session.is_attached(subscription),
            None => self.session.has_attachments(),
        };
        if attached {
            return Ok(());
        }
        Err(Error::InvalidRequest {
            expected: "a push subscription to wait for".into(),
            found: "none, or one that has ended".into(),
            advice: "subscribe again",
        })
    }
}
