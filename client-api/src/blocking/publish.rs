//! Publishing: one by one, pipelined, or without acknowledgement.

use super::client::Client;
use crate::session::{Answer, Ticket};
use crate::{Durability, Error, IdempotentPublisher, Published, Refusal};
use protocol::Batch;
use std::time::Instant;

impl Client {
    /// Publishes a message and waits until the broker has it. Returns its offset.
    ///
    /// # Errors
    /// [`Error::Refused`] with [`UnknownTopic`](crate::Code::UnknownTopic) or
    /// [`MessageTooLarge`](crate::Code::MessageTooLarge); [`Error::Indeterminate`] where the
    /// connection ended before the answer: it is not published again by itself.
    #[inline]
    pub fn publish(&mut self, topic: &str, payload: impl AsRef<[u8]>) -> Result<u64, Error> {
        self.publish_batch(topic, [payload])
    }

    /// Publishes messages in one batch, all of them or none, and waits until the broker has them.
    /// Returns the offset of the first.
    ///
    /// # Errors
    /// As [`publish`](Self::publish), and [`Error::InvalidRequest`] where there are none or they
    /// are more than one frame holds.
    #[inline]
    pub fn publish_batch<I>(&mut self, topic: &str, payloads: I) -> Result<u64, Error>
    where
        I: IntoIterator,
        I::Item: AsRef<[u8]>,
    {
        let ticket = self.send_batch(topic, payloads)?;
        self.published(ticket).map(|published| published.base_offset)
    }

    /// As [`publish_batch`](Self::publish_batch), acknowledged as soon as it is as durable as
    /// `durability` says, which may be less than the topic says.
    ///
    /// # Errors
    /// As there, and [`Error::Refused`] with
    /// [`StorageUnavailable`](crate::Code::StorageUnavailable) where it is more than the topic
    /// says.
    pub fn publish_durably<I>(
        &mut self,
        topic: &str,
        payloads: I,
        durability: Durability,
    ) -> Result<u64, Error>
    where
        I: IntoIterator,
        I::Item: AsRef<[u8]>,
    {
        let ticket = self.send_durably(topic, payloads, durability)?;
        self.published(ticket).map(|published| published.base_offset)
    }

    /// Publishes a batch without waiting: it is buffered, and written with what is written next,
    /// or when [`Options::flush_bytes`](crate::Options::flush_bytes) are buffered. Claim the
    /// answer with [`wait`](Self::wait), or all answers with [`wait_all`](Self::wait_all).
    ///
    /// Waits only where [`Options::in_flight_max`](crate::Options::in_flight_max) requests are
    /// unanswered.
    ///
    /// # Errors
    /// As [`publish_batch`](Self::publish_batch).
    #[inline]
    pub fn send_batch<I>(&mut self, topic: &str, payloads: I) -> Result<Ticket, Error>
    where
        I: IntoIterator,
        I::Item: AsRef<[u8]>,
    {
        self.wait_for_room()?;
        let ticket = self.session.handle_publish(topic, payloads, None, Instant::now())?;
        self.flush_if_large()?;
        Ok(ticket)
    }

    /// As [`send_batch`](Self::send_batch), acknowledged as
    /// [`publish_durably`](Self::publish_durably) says.
    ///
    /// # Errors
    /// As there.
    pub fn send_durably<I>(
        &mut self,
        topic: &str,
        payloads: I,
        durability: Durability,
    ) -> Result<Ticket, Error>
    where
        I: IntoIterator,
        I::Item: AsRef<[u8]>,
    {
        self.wait_for_room()?;
        let (durability, now) = (Some(durability), Instant::now());
        let ticket = self.session.handle_publish(topic, payloads, durability, now)?;
        self.flush_if_large()?;
        Ok(ticket)
    }

    /// As [`send_batch`](Self::send_batch), of records that were built before: the quickest way,
    /// and the way to publish messages with headers.
    ///
    /// # Errors
    /// As there.
    #[inline]
    pub fn send_records(&mut self, topic: &str, batch: Batch<'_>) -> Result<Ticket, Error> {
        self.wait_for_room()?;
        let ticket = self.session.handle_publish_records(topic, batch, None, Instant::now())?;
        self.flush_if_large()?;
        Ok(ticket)
    }

    /// As [`send_records`](Self::send_records), acknowledged as
    /// [`publish_durably`](Self::publish_durably) says.
    ///
    /// # Errors
    /// As there.
    pub fn send_records_durably(
        &mut self,
        topic: &str,
        batch: Batch<'_>,
        durability: Durability,
    ) -> Result<Ticket, Error> {
        self.wait_for_room()?;
        let (durability, now) = (Some(durability), Instant::now());
        let ticket = self.session.handle_publish_records(topic, batch, durability, now)?;
        self.flush_if_large()?;
        Ok(ticket)
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
    pub fn publish_idempotent(
        &mut self,
        publisher: &mut IdempotentPublisher,
        payload: impl AsRef<[u8]>,
    ) -> Result<u64, Error> {
        let ticket = self.send_idempotent(publisher, [payload])?;
        self.published(ticket).map(|published| published.base_offset)
    }

    /// Publishes a batch of an idempotent publisher without waiting, as
    /// [`send_batch`](Self::send_batch) does. Waits only where 64 of its publications are
    /// unanswered: so many of each publisher the broker knows again.
    ///
    /// # Errors
    /// As of [`publish_idempotent`](Self::publish_idempotent).
    pub fn send_idempotent<I>(
        &mut self,
        publisher: &mut IdempotentPublisher,
        payloads: I,
    ) -> Result<Ticket, Error>
    where
        I: IntoIterator,
        I::Item: AsRef<[u8]>,
    {
        self.wait_for_room_of(publisher)?;
        let ticket = self.session.handle_publish_idempotent(publisher, payloads, Instant::now())?;
        self.flush_if_large()?;
        Ok(ticket)
    }

    /// As [`send_idempotent`](Self::send_idempotent), of records that were built before.
    ///
    /// # Errors
    /// As there.
    pub fn send_records_idempotent(
        &mut self,
        publisher: &mut IdempotentPublisher,
        batch: Batch<'_>,
    ) -> Result<Ticket, Error> {
        self.wait_for_room_of(publisher)?;
        let now = Instant::now();
        let ticket = self.session.handle_publish_records_idempotent(publisher, batch, now)?;
        self.flush_if_large()?;
        Ok(ticket)
    }

    /// Waits until a batch that was sent is acknowledged.
    ///
    /// # Errors
    /// As [`publish`](Self::publish); [`Error::InvalidRequest`] where its answer was claimed
    /// before.
    pub fn wait(&mut self, ticket: Ticket) -> Result<Published, Error> {
        let kept = self.answers.iter().any(|(kept, _)| *kept == ticket);
        if !kept && !self.session.is_in_flight(ticket) {
            return Err(Error::InvalidRequest {
                expected: "a ticket whose answer was not claimed yet".into(),
                found: "another".into(),
                advice: "wait for each ticket once",
            });
        }
        self.published(ticket)
    }

    /// Waits until everything that was sent is answered, and claims all answers.
    ///
    /// # Errors
    /// The first that one of the answers is, after all have come.
    pub fn wait_all(&mut self) -> Result<(), Error> {
        let mut outcome = Ok(());
        let mut limit = self.options.request_timeout;
        loop {
            self.keep_all();
            while let Some((_, result)) = self.answers.pop_front() {
                outcome = outcome.and(result.map(drop));
            }
            if self.session.poll_deadline().is_none() {
                return outcome;
            }
            self.advance(Some(limit));
            self.keep_all();
            limit = self.check_deadlines();
        }
    }

    #[inline]
    fn published(&mut self, ticket: Ticket) -> Result<Published, Error> {
        match self.wait_for(ticket)? {
            Answer::Published(published) => Ok(published),
            other => unreachable!("the session checks answers, yet gave {other:?}"),
        }
    }

    /// Publishes a message that is not acknowledged: it is buffered, and written when
    /// [`Options::flush_bytes`](crate::Options::flush_bytes) are, with [`flush`](Self::flush), or
    /// before the next answer is waited for. Consecutive messages to one topic travel as one
    /// batch.
    ///
    /// What was written when a connection ended may be lost. Refusals, such as of an unknown
    /// topic, come later: see [`take_refusals`](Self::take_refusals).
    ///
    /// # Errors
    /// [`Error::Refused`] where the message is larger than the broker takes;
    /// [`Error::Disconnected`] where writing found no broker, and then all that was buffered is
    /// dropped.
    #[inline]
    pub fn publish_unacked(&mut self, topic: &str, payload: &[u8]) -> Result<(), Error> {
        self.session.handle_publish_unacked(topic, payload)?;
        self.flush_if_large()
    }

    /// As [`publish_unacked`](Self::publish_unacked), of a batch in a frame of its own.
    ///
    /// # Errors
    /// As there.
    #[inline]
    pub fn publish_batch_unacked<I>(&mut self, topic: &str, payloads: I) -> Result<(), Error>
    where
        I: IntoIterator,
        I::Item: AsRef<[u8]>,
    {
        self.session.handle_publish_batch_unacked(topic, payloads)?;
        self.flush_if_large()
    }

    /// As [`publish_batch_unacked`](Self::publish_batch_unacked), of records that were built
    /// before.
    ///
    /// # Errors
    /// As there.
    #[inline]
    pub fn publish_records_unacked(&mut self, topic: &str, batch: Batch<'_>) -> Result<(), Error> {
        self.session.handle_publish_records_unacked(topic, batch)?;
        self.flush_if_large()
    }

    /// Hands all that is buffered to the operating system.
    ///
    /// # Errors
    /// [`Error::Disconnected`] where there is no broker to write to within the reconnect policy;
    /// then all that was buffered is dropped.
    pub fn flush(&mut self) -> Result<(), Error> {
        loop {
            if self.socket.is_some() {
                match self.write_output() {
                    Ok(()) => return Ok(()),
                    Err(error) => self.lose(&error.to_string()),
                }
            }
            if self.session.output_bytes() == 0 && self.reconnecting.is_none() {
                return Err(Error::Disconnected { reason: "the connection was lost".into() });
            }
            self.advance(None);
        }
    }

    #[inline]
    fn flush_if_large(&mut self) -> Result<(), Error> {
        if self.session.output_bytes() < self.options.flush_bytes {
            return Ok(());
        }
        self.flush()
    }

    /// What the broker refused of what it does not answer when it succeeds, since the last call.
    /// Such refusals are seen when an answer is waited for: after a [`ping`](Self::ping), all
    /// that concern earlier publications are here. Only the newest 64 are kept.
    pub fn take_refusals(&mut self) -> Vec<Refusal> {
        self.keep_all();
        self.refusals.drain(..).collect()
    }
}
