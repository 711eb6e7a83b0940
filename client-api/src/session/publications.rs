//! What a caller publishes.

use super::in_flight::{Claim, Repeat};
use super::output::PublishHead;
use super::text::{check_payload, check_text};
use super::{Session, Ticket};
use crate::publisher::SEQUENCED_IN_FLIGHT_MAX;
use crate::{Durability, Error, IdempotentPublisher, Operation};
use protocol::{Batch, PublishAck, PublishTerms};
use std::time::Instant;

impl Session {
    /// Publishes a batch, all of it or nothing, to be acknowledged when `durability` says, or
    /// else the topic. Payloads are copied once.
    ///
    /// # Errors
    /// [`Error::InvalidRequest`], or [`Error::Refused`] where a message is larger than the broker
    /// takes; nothing was sent then.
    #[inline]
    pub fn handle_publish<I>(
        &mut self,
        topic: &str,
        payloads: I,
        durability: Option<Durability>,
        now: Instant,
    ) -> Result<Ticket, Error>
    where
        I: IntoIterator,
        I::Item: AsRef<[u8]>,
    {
        self.check_publish(topic)?;
        let correlation = self.conversation.next_correlation();
        let head = wanted(topic, durability);
        self.conversation.output.put_publish(head, payloads, correlation, self.limits)?;
        Ok(self.expect_published(correlation, Repeat::Never, now))
    }

    /// As [`handle_publish`](Self::handle_publish), of records that were built before.
    ///
    /// # Errors
    /// As there; the broker itself refuses messages that are too large.
    #[inline]
    pub fn handle_publish_records(
        &mut self,
        topic: &str,
        batch: Batch<'_>,
        durability: Option<Durability>,
        now: Instant,
    ) -> Result<Ticket, Error> {
        self.check_publish(topic)?;
        let correlation = self.conversation.next_correlation();
        let head = wanted(topic, durability);
        self.conversation.output.put_records(head, batch, correlation, self.limits)?;
        Ok(self.expect_published(correlation, Repeat::Never, now))
    }

    /// Publishes a batch of an idempotent publisher, all of it or nothing. It is repeated on each
    /// connection until it is answered, even when no one waits for the answer any more.
    ///
    /// # Errors
    /// As of [`handle_publish`](Self::handle_publish), and [`Error::InvalidRequest`] where the
    /// publisher [has no room](Self::has_room_for); nothing was sent and no number taken then.
    pub fn handle_publish_idempotent<I>(
        &mut self,
        publisher: &mut IdempotentPublisher,
        payloads: I,
        now: Instant,
    ) -> Result<Ticket, Error>
    where
        I: IntoIterator,
        I::Item: AsRef<[u8]>,
    {
        self.put_idempotent(publisher, now, |session, head, correlation| {
            let output = &mut session.conversation.output;
            output.put_publish(head, payloads, correlation, session.limits).map(drop)
        })
    }

    /// As [`handle_publish_idempotent`](Self::handle_publish_idempotent), of records that were
    /// built before.
    ///
    /// # Errors
    /// As there.
    pub fn handle_publish_records_idempotent(
        &mut self,
        publisher: &mut IdempotentPublisher,
        batch: Batch<'_>,
        now: Instant,
    ) -> Result<Ticket, Error> {
        self.put_idempotent(publisher, now, |session, head, correlation| {
            session.conversation.output.put_records(head, batch, correlation, session.limits)
        })
    }

    fn put_idempotent(
        &mut self,
        publisher: &mut IdempotentPublisher,
        now: Instant,
        put: impl FnOnce(&mut Self, PublishHead<'_>, u32) -> Result<(), Error>,
    ) -> Result<Ticket, Error> {
        self.check_publish(publisher.topic())?;
        if !self.has_room_for(publisher) {
            return Err(Error::InvalidRequest {
                expected: format!(
                    "at most {SEQUENCED_IN_FLIGHT_MAX} publications of an idempotent publisher without an answer"
                ),
                found: "one more".into(),
                advice: "wait for answers before publishing more",
            });
        }
        let correlation = self.conversation.next_correlation();
        let start = self.conversation.output.end();
        let terms = publisher.terms();
        let head = PublishHead { topic: publisher.topic(), ack: PublishAck::Wanted, terms };
        put(self, head, correlation)?;
        publisher.advance();
        let repeat = Repeat::Sequenced {
            publisher: publisher.id().on_the_wire(),
            frame: self.conversation.output.added_since(start).into(),
            handed_over: false,
        };
        Ok(self.expect_published(correlation, repeat, now))
    }

    /// Whether an idempotent publisher may send one more publication: the broker knows again only
    /// so many of its newest.
    #[must_use]
    pub fn has_room_for(&self, publisher: &IdempotentPublisher) -> bool {
        let id = publisher.id().on_the_wire();
        self.conversation.in_flight.sequenced_of(id) < SEQUENCED_IN_FLIGHT_MAX
    }

    /// Publishes one message without acknowledgement. Consecutive ones to one topic share a frame
    /// until they are written.
    ///
    /// # Errors
    /// As of [`handle_publish`](Self::handle_publish).
    #[inline]
    pub fn handle_publish_unacked(&mut self, topic: &str, payload: &[u8]) -> Result<(), Error> {
        check_payload(payload.len(), self.limits.message_bytes_max)?;
        if self.conversation.output.join_publish(topic, payload, self.limits.frame_bytes_max) {
            return Ok(());
        }
        self.handle_publish_batch_unacked(topic, [payload])
    }

    /// Publishes a batch without acknowledgement.
    ///
    /// # Errors
    /// As of [`handle_publish`](Self::handle_publish).
    #[inline]
    pub fn handle_publish_batch_unacked<I>(&mut self, topic: &str, payloads: I) -> Result<(), Error>
    where
        I: IntoIterator,
        I::Item: AsRef<[u8]>,
    {
        check_text("a topic name", topic)?;
        let correlation = self.conversation.next_correlation();
        let head = unwanted(topic);
        self.conversation.output.put_publish(head, payloads, correlation, self.limits).map(drop)
    }

    /// As [`handle_publish_batch_unacked`](Self::handle_publish_batch_unacked), of records that
    /// were built before.
    ///
    /// # Errors
    /// As of [`handle_publish_records`](Self::handle_publish_records).
    #[inline]
    pub fn handle_publish_records_unacked(
        &mut self,
        topic: &str,
        batch: Batch<'_>,
    ) -> Result<(), Error> {
        check_text("a topic name", topic)?;
        let correlation = self.conversation.next_correlation();
        self.conversation.output.put_records(unwanted(topic), batch, correlation, self.limits)
    }

    #[inline]
    fn check_publish(&self, topic: &str) -> Result<(), Error> {
        self.check_in_flight()?;
        check_text("a topic name", topic)
    }

    fn expect_published(&mut self, correlation: u32, repeat: Repeat, now: Instant) -> Ticket {
        let deadline = now + self.request_timeout;
        let claim = Claim::Caller;
        self.conversation.expect_answer(correlation, Operation::Publish, claim, repeat, deadline);
        Ticket(correlation)
    }
}

fn wanted(topic: &str, durability: Option<Durability>) -> PublishHead<'_> {
    let terms = PublishTerms { durability, sequence: None };
    PublishHead { topic, ack: PublishAck::Wanted, terms }
}

fn unwanted(topic: &str) -> PublishHead<'_> {
    PublishHead { topic, ack: PublishAck::Unwanted, terms: PublishTerms::default() }
}
