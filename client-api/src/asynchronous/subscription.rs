//! A push subscription as a stream.

use super::client::{Client, answered};
use super::shared::{Handle, State};
use crate::messages::MessageIter;
use crate::session::SubscriptionId;
use crate::terms::nack;
use crate::{Error, Message, Messages, OffsetRange, Operation, Pushed, Verdict};
use futures_core::Stream;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

/// A push subscription: a stream of messages and of notices of loss between them, that ends after
/// an error. [`next_batch`](Self::next_batch) gives whole batches.
///
/// Dropped, it detaches: a named subscription stays with the broker, one that ends with the
/// connection stays until then. Messages that were sent and not consumed are then lost unless
/// they are acknowledged. Waiting may be given up and begun again; nothing is missed.
#[derive(Debug)]
pub struct Subscription {
    handle: Arc<Handle>,
    id: SubscriptionId,
    /// What is left of the batch that single messages are taken from.
    current: MessageIter,
}

impl Subscription {
    pub(super) fn new(handle: Arc<Handle>, id: SubscriptionId) -> Self {
        Self { handle, id, current: MessageIter::default() }
    }

    /// Waits for the next message, or the notice that some were lost before it.
    /// `None`: it has ended, and the reason was given.
    ///
    /// # Errors
    /// [`Error::Ended`] where the broker ended it, [`Error::Disconnected`] where the connection
    /// could not be made again or the subscription ended with it. Nothing comes after an error.
    pub async fn next(&mut self) -> Option<Result<Pushed<Message>, Error>> {
        poll_fn(|context| self.poll_message(context)).await
    }

    /// Waits for the next batch, or the notice that messages were lost before it. The messages
    /// share the bytes they came in: no copy, no allocation for each.
    ///
    /// # Errors
    /// As [`next`](Self::next).
    pub async fn next_batch(&mut self) -> Option<Result<Pushed<Messages>, Error>> {
        let rest = std::mem::take(&mut self.current).into_messages();
        if !rest.is_empty() {
            return Some(Ok(Pushed::Delivered(rest)));
        }
        poll_fn(|context| self.handle.shared.lock().poll_inbox(self.id, context)).await
    }

    /// Acknowledges the message at `offset`, and, where acknowledgements are cumulative, all
    /// before it.
    pub fn ack(&self, offset: u64) {
        let mut state = self.handle.shared.lock();
        state.session.handle_ack(self.id, offset);
        state.wake_driver();
    }

    /// As [`ack`](Self::ack), and waits until the broker has it as durably as the topic's
    /// messages: none of what was acknowledged comes again.
    ///
    /// # Errors
    /// [`Error::InvalidRequest`] where the subscription has ended.
    pub async fn ack_confirmed(&self, offset: u64) -> Result<(), Error> {
        let (client, now) = (self.client(), Instant::now());
        let permit = client.room(Operation::Settle).await?;
        let put = |state: &mut State| state.session.handle_ack_confirmed(self.id, offset, now);
        answered(client.ask(permit, put)?).await.map(drop)
    }

    /// Has the message at `offset`, of those that are acknowledged individually, delivered again
    /// after `delay`, or without one after the subscription's backoff.
    pub fn nack(&self, offset: u64, delay: Option<Duration>) {
        self.settle(OffsetRange::one(offset), nack(delay));
    }

    /// Tells what became of a range of messages that are acknowledged individually. Ranges of the
    /// same verdict share a frame.
    pub fn settle(&self, range: OffsetRange, verdict: Verdict) {
        let mut state = self.handle.shared.lock();
        state.session.handle_settle(self.id, range, verdict);
        state.wake_driver();
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
    pub async fn settle_confirmed(
        &self,
        ranges: &[OffsetRange],
        verdict: Verdict,
    ) -> Result<(), Error> {
        let (client, now) = (self.client(), Instant::now());
        let permit = client.room(Operation::Settle).await?;
        let put = |state: &mut State| {
            state.session.handle_settle_confirmed(self.id, ranges, verdict, now)
        };
        answered(client.ask(permit, put)?).await.map(drop)
    }

    fn client(&self) -> Client {
        Client { handle: Arc::clone(&self.handle) }
    }

    fn poll_message(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Pushed<Message>, Error>>> {
        loop {
            if let Some(message) = self.current.next() {
                return Poll::Ready(Some(Ok(Pushed::Delivered(message))));
            }
            let arrival = self.handle.shared.lock().poll_inbox(self.id, context);
            match std::task::ready!(arrival) {
                Some(Ok(Pushed::Delivered(messages))) => self.current = messages.into_iter(),
                Some(Ok(Pushed::Lost(lost))) => {
                    return Poll::Ready(Some(Ok(Pushed::Lost(lost))));
                }
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => return Poll::Ready(None),
            }
        }
    }
}

impl Stream for Subscription {
    type Item = Result<Pushed<Message>, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_message(context)
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let mut state = self.handle.shared.lock();
        state.close_inbox(self.id);
        if let Some(ticket) = state.session.handle_detach(self.id, Instant::now()) {
            state.session.handle_abandoned(ticket);
            state.wake_driver();
        }
    }
}
