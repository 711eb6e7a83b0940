//! One push subscription that borrows its client.

use super::client::Client;
use crate::messages::MessageIter;
use crate::session::SubscriptionId;
use crate::{Error, Message, MessagesRef, OffsetRange, Pushed, Verdict};
use std::time::{Duration, Instant};

/// A push subscription. As an iterator it gives messages one by one and notices of loss between
/// them, waiting as long as it takes, and ends after an error; [`next_batch`](Self::next_batch)
/// gives whole batches without a copy or an allocation for each message.
///
/// Dropped, it detaches: a named subscription stays with the broker, one that ends with the
/// connection stays until then. Messages that were sent and not consumed are then lost unless
/// they are acknowledged.
#[derive(Debug)]
pub struct Subscription<'c> {
    client: &'c mut Client,
    id: SubscriptionId,
    /// What is left of the batch that single messages are taken from.
    current: MessageIter,
    ended: bool,
}

impl<'c> Subscription<'c> {
    pub(super) fn new(client: &'c mut Client, id: SubscriptionId) -> Self {
        Self { client, id, current: MessageIter::default(), ended: false }
    }

    /// Waits for the next batch, or the notice that messages were lost before it, for as long as
    /// it takes. The messages are borrowed from the client's read buffer, and their credit is
    /// given back with the next wait.
    ///
    /// # Errors
    /// [`Error::Ended`] where the broker ended it, [`Error::Disconnected`] where the connection
    /// could not be made again or the subscription ended with it, [`Error::InvalidRequest`] after
    /// one of these.
    #[inline]
    pub fn next_batch(&mut self) -> Result<Pushed<MessagesRef<'_>>, Error> {
        match self.wait_for_batch(None) {
            Ok(Some(pushed)) => Ok(pushed),
            Ok(None) => unreachable!("a wait without a limit ends with something"),
            Err(error) => Err(error),
        }
    }

    /// As [`next_batch`](Self::next_batch), for at most `limit`. `Ok(None)`: nothing came in time.
    ///
    /// # Errors
    /// As there.
    #[inline]
    pub fn next_batch_within(
        &mut self,
        limit: Duration,
    ) -> Result<Option<Pushed<MessagesRef<'_>>>, Error> {
        self.wait_for_batch(Some(limit))
    }

    /// Waits for the next message, or the notice that some were lost before it, for at most
    /// `limit`. `Ok(None)`: nothing came in time.
    ///
    /// # Errors
    /// As [`next_batch`](Self::next_batch).
    pub fn next_within(&mut self, limit: Duration) -> Result<Option<Pushed<Message>>, Error> {
        self.next_message(Some(limit))
    }

    /// Acknowledges the message at `offset`, and, where acknowledgements are cumulative, all
    /// before it. It is sent before the next wait, or with [`Client::flush`].
    pub fn ack(&mut self, offset: u64) {
        self.client.ack(self.id, offset);
    }

    /// As [`ack`](Self::ack), and waits until the broker has it; see [`Client::ack_confirmed`].
    ///
    /// # Errors
    /// As there.
    pub fn ack_confirmed(&mut self, offset: u64) -> Result<(), Error> {
        self.client.ack_confirmed(self.id, offset)
    }

    /// Has the message at `offset` delivered again; see [`Client::nack`].
    pub fn nack(&mut self, offset: u64, delay: Option<Duration>) {
        self.client.nack(self.id, offset, delay);
    }

    /// Tells what became of a range of messages; see [`Client::settle`].
    pub fn settle(&mut self, range: OffsetRange, verdict: Verdict) {
        self.client.settle(self.id, range, verdict);
    }

    /// As [`settle`](Self::settle), and waits until the broker has it; see
    /// [`Client::settle_confirmed`].
    ///
    /// # Errors
    /// As there.
    pub fn settle_confirmed(
        &mut self,
        ranges: &[OffsetRange],
        verdict: Verdict,
    ) -> Result<(), Error> {
        self.client.settle_confirmed(self.id, ranges, verdict)
    }

    /// Sends what was acknowledged, detaches, and waits until the broker has done it: another
    /// connection that attaches or pulls then finds all that was not acknowledged.
    ///
    /// # Errors
    /// None of its own.
    pub fn detach(self) -> Result<(), Error> {
        self.client.detach(self.id)
    }

    /// The client, for other requests between messages.
    pub fn client(&mut self) -> &mut Client {
        self.client
    }

    /// Its name among the push subscriptions of its client.
    #[must_use]
    pub fn id(&self) -> SubscriptionId {
        self.id
    }

    #[inline]
    fn wait_for_batch(
        &mut self,
        limit: Option<Duration>,
    ) -> Result<Option<Pushed<MessagesRef<'_>>>, Error> {
        let rest = std::mem::take(&mut self.current).into_messages();
        if !rest.is_empty() {
            self.client.handed_out = rest;
            return Ok(Some(Pushed::Delivered(self.client.handed_out.borrowed())));
        }
        match self.client.next_pushed_of(Some(self.id), limit)? {
            None => Ok(None),
            Some(arrival) => {
                self.ended = arrival.result.is_err();
                arrival.result.map(Some)
            }
        }
    }

    fn next_message(&mut self, limit: Option<Duration>) -> Result<Option<Pushed<Message>>, Error> {
        if let Some(message) = self.current.next() {
            return Ok(Some(Pushed::Delivered(message)));
        }
        let deadline = limit.map(|limit| Instant::now() + limit);
        loop {
            let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
            match self.client.next_pushed_owned(self.id, left) {
                Ok(Some(Pushed::Delivered(messages))) => {
                    self.current = messages.into_iter();
                    if let Some(message) = self.current.next() {
                        return Ok(Some(Pushed::Delivered(message)));
                    }
                }
                Ok(Some(Pushed::Lost(lost))) => return Ok(Some(Pushed::Lost(lost))),
                Ok(None) => return Ok(None),
                Err(error) => {
                    self.ended = true;
                    return Err(error);
                }
            }
        }
    }
}

impl Iterator for Subscription<'_> {
    type Item = Result<Pushed<Message>, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        self.next_message(None).transpose()
    }
}

impl Drop for Subscription<'_> {
    fn drop(&mut self) {
        self.client.let_go(self.id);
    }
}
