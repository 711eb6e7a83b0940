//! Publishing: one by one, pipelined, or without acknowledgement.

use super::client::{Client, driver_is_gone};
use super::shared::State;
use crate::session::Answer;
use crate::{Batch, Durability, Error, IdempotentPublisher, Operation, Published, Refusal};
use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Instant;
use tokio::sync::oneshot;
use tokio::time::timeout;

/// Bytes waiting to be written past which publishing waits.
const OUTPUT_BYTES_MAX: usize = 1024 * 1024;

/// The acknowledgement of a batch that was sent: a future.
#[derive(Debug)]
#[must_use = "without it there is no telling whether the batch was taken"]
pub struct Receipt {
    answer: oneshot::Receiver<Result<Answer, Error>>,
}

impl Future for Receipt {
    type Output = Result<Published, Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.answer).poll(context).map(|answer| match answer {
            Ok(Ok(Answer::Published(published))) => Ok(published),
            Ok(Ok(other)) => unreachable!("the session checks answers, yet gave {other:?}"),
            Ok(Err(error)) => Err(error),
            Err(_dropped) => Err(driver_is_gone()),
        })
    }
}

impl Client {
    /// Publishes a message and waits until the broker has it. Returns its offset.
    ///
    /// # Errors
    /// [`Error::Refused`] with [`UnknownTopic`](crate::Code::UnknownTopic) or
    /// [`MessageTooLarge`](crate::Code::MessageTooLarge); [`Error::Indeterminate`] where the
    /// connection ended before the answer: it is not published again by itself.
    pub async fn publish(&self, topic: &str, payload: impl AsRef<[u8]>) -> Result<u64, Error> {
        self.publish_batch(topic, [payload]).await
    }

    /// Publishes messages in one batch, all of them or none, and waits until the broker has them.
    /// Returns the offset of the first.
    ///
    /// # Errors
    /// As [`publish`](Self::publish), and [`Error::InvalidRequest`] where there are none or they
    /// are more than one frame holds.
    pub async fn publish_batch<I>(&self, topic: &str, payloads: I) -> Result<u64, Error>
    where
        I: IntoIterator,
        I::Item: AsRef<[u8]>,
    {
        Ok(self.send_batch(topic, payloads).await?.await?.base_offset)
    }

    /// Publishes a batch, waiting only where too many requests are unanswered or too many bytes
    /// unwritten. The acknowledgement is the [`Receipt`]'s.
    ///
    /// # Errors
    /// As [`publish_batch`](Self::publish_batch).
    pub async fn send_batch<I>(&self, topic: &str, payloads: I) -> Result<Receipt, Error>
    where
        I: IntoIterator,
        I::Item: AsRef<[u8]>,
    {
        self.send(topic, payloads, None).await
    }

    /// As [`publish_batch`](Self::publish_batch), acknowledged as soon as it is as durable as
    /// `durability` says, which may be less than the topic says.
    ///
    /// # Errors
    /// As there, and [`Error::Refused`] with
    /// [`StorageUnavailable`](crate::Code::StorageUnavailable) where it is more than the topic
    /// says.
    pub async fn publish_durably<I>(
        &self,
        topic: &str,
        payloads: I,
        durability: Durability,
    ) -> Result<u64, Error>
    where
        I: IntoIterator,
        I::Item: AsRef<[u8]>,
    {
        let receipt = self.send(topic, payloads, Some(durability)).await?;
        Ok(receipt.await?.base_offset)
    }

    /// As [`send_batch`](Self::send_batch), acknowledged as
    /// [`publish_durably`](Self::publish_durably) says.
    ///
    /// # Errors
    /// As there.
    pub async fn send_durably<I>(
        &self,
        topic: &str,
        payloads: I,
        durability: Durability,
    ) -> Result<Receipt, Error>
    where
        I: IntoIterator,
        I::Item: AsRef<[u8]>,
    {
        self.send(topic, payloads, Some(durability)).await
    }

    async fn send<I>(
        &self,
        topic: &str,
        payloads: I,
        durability: Option<Durability>,
    ) -> Result<Receipt, Error>
    where
        I: IntoIterator,
        I::Item: AsRef<[u8]>,
    {
        self.wait_for_output_below(OUTPUT_BYTES_MAX).await?;
        let permit = self.room(Operation::Publish).await?;
        let now = Instant::now();
        let put =
            |state: &mut State| state.session.handle_publish(topic, payloads, durability, now);
        Ok(Receipt { answer: self.ask(permit, put)? })
    }

    /// As [`send_batch`](Self::send_batch), of records that were built before: the quickest way,
    /// and the way to publish messages with headers.
    ///
    /// # Errors
    /// As there.
    pub async fn send_records(&self, topic: &str, batch: Batch<'_>) -> Result<Receipt, Error> {
        self.wait_for_output_below(OUTPUT_BYTES_MAX).await?;
        let permit = self.room(Operation::Publish).await?;
        let now = Instant::now();
        let put = |state: &mut State| state.session.handle_publish_records(topic, batch, None, now);
        Ok(Receipt { answer: self.ask(permit, put)? })
    }

    /// Publishes a message of an idempotent publisher, and waits until the broker has it: once,
    /// however often the connection was lost in between. Returns its offset.
    ///
    /// # Errors
    /// [`Error::Refused`] as of [`publish`](Self::publish), or with
    /// [`StaleSequence`](crate::Code::StaleSequence) where the publisher was resumed with a number
    /// older than what the broker remembers. After [`Error::Timeout`] the client goes on repeating
    /// it. [`Error::Indeterminate`] where the connection could not be made again: publish it again
    /// with a publisher that is [resumed](IdempotentPublisher::resume) under the same number.
    pub async fn publish_idempotent(
        &self,
        publisher: &mut IdempotentPublisher,
        payload: impl AsRef<[u8]>,
    ) -> Result<u64, Error> {
        Ok(self.send_idempotent(publisher, [payload]).await?.await?.base_offset)
    }

    /// Publishes a batch of an idempotent publisher, as [`send_batch`](Self::send_batch) does.
    /// Waits also where 64 of its publications are unanswered: so many of each publisher the
    /// broker knows again. Given up while it waits, it takes no number.
    ///
    /// # Errors
    /// As of [`publish_idempotent`](Self::publish_idempotent).
    pub async fn send_idempotent<I>(
        &self,
        publisher: &mut IdempotentPublisher,
        payloads: I,
    ) -> Result<Receipt, Error>
    where
        I: IntoIterator,
        I::Item: AsRef<[u8]>,
    {
        self.wait_for_output_below(OUTPUT_BYTES_MAX).await?;
        let permit = self.room(Operation::Publish).await?;
        self.wait_for_room_of(publisher).await?;
        let now = Instant::now();
        let put =
            |state: &mut State| state.session.handle_publish_idempotent(publisher, payloads, now);
        Ok(Receipt { answer: self.ask(permit, put)? })
    }

    /// An idempotent publisher is borrowed by the one who waits, so that no one else takes the
    /// room that was found.
    async fn wait_for_room_of(&self, publisher: &IdempotentPublisher) -> Result<(), Error> {
        let shared = &self.handle.shared;
        let limit = shared.options.request_timeout;
        loop {
            let mut answered = pin!(shared.answered.notified());
            // Registered before looking: what is answered in between is not missed.
            answered.as_mut().enable();
            if shared.lock().session.has_room_for(publisher) {
                return Ok(());
            }
            if timeout(limit, answered).await.is_err() {
                return Err(Error::Timeout { operation: Operation::Publish, limit });
            }
        }
    }

    /// Publishes a message that is not acknowledged: it is buffered, and written when
    /// [`Options::flush_bytes`](crate::Options::flush_bytes) are, with [`flush`](Self::flush), or
    /// with the next request. Consecutive messages to one topic travel as one batch.
    ///
    /// What was written when a connection ended may be lost. Refusals, such as of an unknown
    /// topic, come later: see [`take_refusals`](Self::take_refusals).
    ///
    /// # Errors
    /// [`Error::Refused`] where the message is larger than the broker takes; [`Error::Timeout`]
    /// where nothing could be written for so long.
    pub async fn publish_unacked(&self, topic: &str, payload: &[u8]) -> Result<(), Error> {
        self.wait_for_output_below(OUTPUT_BYTES_MAX).await?;
        self.buffer(|state| state.session.handle_publish_unacked(topic, payload))
    }

    /// As [`publish_unacked`](Self::publish_unacked), of a batch in a frame of its own.
    ///
    /// # Errors
    /// As there.
    pub async fn publish_batch_unacked<I>(&self, topic: &str, payloads: I) -> Result<(), Error>
    where
        I: IntoIterator,
        I::Item: AsRef<[u8]>,
    {
        self.wait_for_output_below(OUTPUT_BYTES_MAX).await?;
        self.buffer(|state| state.session.handle_publish_batch_unacked(topic, payloads))
    }

    fn buffer(&self, put: impl FnOnce(&mut State) -> Result<(), Error>) -> Result<(), Error> {
        let mut state = self.handle.shared.lock();
        put(&mut state)?;
        if state.session.output_bytes() >= self.handle.shared.options.flush_bytes {
            state.wake_driver();
        }
        Ok(())
    }

    /// Waits until all that is buffered was handed to the operating system.
    ///
    /// # Errors
    /// [`Error::Disconnected`] where there is no broker to write to within the reconnect policy,
    /// and then what was buffered is dropped; [`Error::Timeout`] where nothing could be written
    /// for so long.
    pub async fn flush(&self) -> Result<(), Error> {
        let given_up = {
            let mut state = self.handle.shared.lock();
            state.wake_driver();
            state.given_up
        };
        self.wait_for_output_below(1).await?;
        if self.handle.shared.lock().given_up == given_up {
            return Ok(());
        }
        Err(Error::Disconnected { reason: "the connection was lost".to_owned() })
    }

    async fn wait_for_output_below(&self, bytes: usize) -> Result<(), Error> {
        let shared = &self.handle.shared;
        let limit = shared.options.request_timeout;
        loop {
            let mut written = pin!(shared.written.notified());
            // Registered before looking: what is written in between is not missed.
            written.as_mut().enable();
            {
                let mut state = shared.lock();
                if state.session.output_bytes() < bytes {
                    return Ok(());
                }
                state.wake_driver();
            }
            if timeout(limit, written).await.is_err() {
                return Err(Error::Timeout { operation: Operation::Publish, limit });
            }
        }
    }

    /// What the broker refused of what it does not answer when it succeeds, since the last call.
    /// After a [`ping`](Self::ping), all that concern earlier publications are here. Only the
    /// newest 64 are kept.
    #[must_use]
    pub fn take_refusals(&self) -> Vec<Refusal> {
        self.handle.shared.lock().take_refusals()
    }
}
