//! What a caller asks of a session.

use super::attachment::Attachment;
use super::in_flight::{Claim, Repeat};
use super::text::{check_payload, check_request, check_text};
use super::{Session, SubscriptionId, Ticket};
use crate::{Error, Operation, PushTerms, SubscriberId};
use protocol::native::encode_request;
use protocol::{Batch, Delivery, PublishAck, Request, SettleAnswer};
use std::time::Instant;

impl Session {
    /// Asks something that has exactly one answer: all but publications, push subscriptions and
    /// what belongs to them, which have methods of their own.
    ///
    /// # Errors
    /// [`Error::InvalidRequest`]; nothing was sent then.
    pub fn handle_request(&mut self, request: &Request<'_>, now: Instant) -> Result<Ticket, Error> {
        check_request(request)?;
        self.check_in_flight()?;
        let (operation, repeats) = classify(request)?;
        let correlation = self.conversation.next_correlation();
        let repeat = match repeats {
            Repeats::Harmless => {
                let mut frame = Vec::new();
                encode_request(request, correlation, &mut frame);
                self.conversation.output.put_frames(&frame);
                Repeat::Frame(frame.into_boxed_slice())
            }
            Repeats::Twice => {
                self.conversation.output.put(request, correlation);
                Repeat::Never
            }
        };
        let deadline = now + self.request_timeout;
        self.conversation.expect_answer(correlation, operation, Claim::Caller, repeat, deadline);
        Ok(Ticket(correlation))
    }

    /// Publishes a batch, all of it or nothing, to be acknowledged. Payloads are copied once.
    ///
    /// # Errors
    /// [`Error::InvalidRequest`], or [`Error::Refused`] where a message is larger than the broker
    /// takes; nothing was sent then.
    #[inline]
    pub fn handle_publish<I>(
        &mut self,
        topic: &str,
        payloads: I,
        now: Instant,
    ) -> Result<Ticket, Error>
    where
        I: IntoIterator,
        I::Item: AsRef<[u8]>,
    {
        self.check_in_flight()?;
        check_text("a topic name", topic)?;
        let correlation = self.conversation.next_correlation();
        let wanted = PublishAck::Wanted;
        self.conversation.output.put_publish(topic, payloads, wanted, correlation, self.limits)?;
        Ok(self.expect_published(correlation, now))
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
        now: Instant,
    ) -> Result<Ticket, Error> {
        self.check_in_flight()?;
        check_text("a topic name", topic)?;
        let correlation = self.conversation.next_correlation();
        let wanted = PublishAck::Wanted;
        self.conversation.output.put_records(topic, batch, wanted, correlation, self.limits)?;
        Ok(self.expect_published(correlation, now))
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
        let ack = PublishAck::Unwanted;
        let output = &mut self.conversation.output;
        output.put_publish(topic, payloads, ack, correlation, self.limits).map(drop)
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
        let ack = PublishAck::Unwanted;
        self.conversation.output.put_records(topic, batch, ack, correlation, self.limits)
    }

    /// Makes a push subscription, or attaches to it.
    ///
    /// # Errors
    /// [`Error::InvalidRequest`]; nothing was sent then.
    pub fn handle_attach(
        &mut self,
        topic: &str,
        subscriber: &SubscriberId,
        terms: PushTerms,
        now: Instant,
    ) -> Result<(SubscriptionId, Ticket), Error> {
        self.check_in_flight()?;
        let attachment = Attachment::new(topic, subscriber.as_str(), terms);
        check_request(&attachment.subscribe_request())?;
        let correlation = self.conversation.next_correlation();
        self.conversation.output.put(&attachment.subscribe_request(), correlation);
        self.conversation.attachments.insert(correlation, attachment);
        self.conversation.expect_answer(
            correlation,
            Operation::Subscribe,
            Claim::Caller,
            Repeat::Attach,
            now + self.request_timeout,
        );
        Ok((SubscriptionId(correlation), Ticket(correlation)))
    }

    /// Stops a push delivery, after its last acknowledgement; what of it is under way is passed
    /// over. `None` where it has ended already.
    pub fn handle_detach(&mut self, subscription: SubscriptionId, now: Instant) -> Option<Ticket> {
        let attachment = self.conversation.attachments.remove(&subscription.0)?;
        if let Some(offset) = attachment.unsent_ack {
            let correlation = self.conversation.next_correlation();
            let ack = Request::Ack {
                subscription: subscription.0,
                offset,
                answer: SettleAnswer::Unwanted,
            };
            self.conversation.output.put(&ack, correlation);
        }
        let deadline = now + self.request_timeout;
        Some(self.conversation.put_detach(subscription.0, Claim::Caller, deadline))
    }

    /// Takes note that `bytes` of a subscription's records were consumed. When that is half its
    /// window, credit is given back with what is written next; says whether it is to be.
    #[inline]
    pub fn handle_consumed(&mut self, subscription: SubscriptionId, bytes: usize) -> bool {
        let Some(attachment) = self.conversation.attachments.get_mut(&subscription.0) else {
            return false;
        };
        let credit_due = attachment.handle_consumed(bytes);
        if credit_due {
            self.conversation.note_unsent(subscription.0);
        }
        credit_due
    }

    /// Acknowledges the message at `offset` and all before it, with what is written next. Of
    /// several acknowledgements only the newest is sent.
    pub fn handle_ack(&mut self, subscription: SubscriptionId, offset: u64) {
        if let Some(attachment) = self.conversation.attachments.get_mut(&subscription.0) {
            attachment.unsent_ack = attachment.unsent_ack.max(Some(offset));
            self.conversation.note_unsent(subscription.0);
        }
    }

    /// No one waits for this answer any more.
    pub fn handle_abandoned(&mut self, ticket: Ticket) {
        self.conversation.in_flight.abandon(ticket.0);
    }

    fn expect_published(&mut self, correlation: u32, now: Instant) -> Ticket {
        let deadline = now + self.request_timeout;
        let (claim, repeat) = (Claim::Caller, Repeat::Never);
        self.conversation.expect_answer(correlation, Operation::Publish, claim, repeat, deadline);
        Ticket(correlation)
    }

    #[inline]
    fn check_in_flight(&self) -> Result<(), Error> {
        if self.conversation.in_flight.len() < self.in_flight_max {
            return Ok(());
        }
        Err(Error::InvalidRequest {
            expected: format!("at most {} requests without an answer", self.in_flight_max),
            found: "one more".into(),
            advice: "wait for answers before asking more, or raise in_flight_max",
        })
    }
}

/// What doing a request a second time would do.
enum Repeats {
    /// Nothing.
    Harmless,
    /// Something else than the first.
    Twice,
}

fn classify(request: &Request<'_>) -> Result<(Operation, Repeats), Error> {
    Ok(match request {
        Request::Create { .. } => (Operation::CreateTopic, Repeats::Twice),
        Request::Delete { .. } => (Operation::DeleteTopic, Repeats::Twice),
        Request::Unsubscribe { .. } => (Operation::Unsubscribe, Repeats::Twice),
        Request::Pull { .. } => (Operation::Pull, Repeats::Twice),
        Request::Subscribe { delivery: Delivery::Pull, .. } => {
            (Operation::Subscribe, Repeats::Harmless)
        }
        Request::ListTopics => (Operation::ListTopics, Repeats::Harmless),
        Request::Subscribers { .. } => (Operation::Subscribers, Repeats::Harmless),
        Request::Ping => (Operation::Ping, Repeats::Harmless),
        Request::Info => (Operation::Info, Repeats::Harmless),
        Request::Publish { .. }
        | Request::Subscribe { .. }
        | Request::Detach { .. }
        | Request::Credit { .. }
        | Request::Ack { .. }
        | Request::Settle { .. }
        | Request::Seek { .. } => {
            return Err(Error::InvalidRequest {
                expected: "a request with one answer".into(),
                found: "one that belongs to a publication or a push subscription".into(),
                advice: "use the session's method for it",
            });
        }
    })
}
