//! What a caller asks of a session.

use super::attachment::Attachment;
use super::in_flight::{Claim, Repeat};
use super::text::check_request;
use super::{Session, SubscriptionId, Ticket};
use crate::{Error, Operation, PushTerms, SubscriberId};
use protocol::native::encode_request;
use protocol::{Delivery, Request, SettleTarget, Verdict};
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
        if let Request::Seek { topic, subscriber, .. } = request {
            self.conversation.forget_place_of(topic, subscriber);
        }
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
        self.conversation.put_unsent_acks(subscription.0);
        self.conversation.attachments.remove(&subscription.0)?;
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

    /// No one waits for this answer any more.
    pub fn handle_abandoned(&mut self, ticket: Ticket) {
        self.conversation.in_flight.abandon(ticket.0);
    }

    #[inline]
    pub(super) fn check_in_flight(&self) -> Result<(), Error> {
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
        Request::Settle { target: SettleTarget::Named { .. }, verdict, .. } => {
            let repeats = match verdict {
                Verdict::Ack => Repeats::Harmless,
                // It may be with another consumer by then.
                Verdict::Nack { .. } => Repeats::Twice,
            };
            (Operation::Settle, repeats)
        }
        Request::Seek { .. } => (Operation::Seek, Repeats::Twice),
        Request::ListTopics => (Operation::ListTopics, Repeats::Harmless),
        Request::Subscribers { .. } => (Operation::Subscribers, Repeats::Harmless),
        Request::Ping => (Operation::Ping, Repeats::Harmless),
        Request::Info => (Operation::Info, Repeats::Harmless),
        Request::Publish { .. }
        | Request::Subscribe { .. }
        | Request::Detach { .. }
        | Request::Credit { .. }
        | Request::Ack { .. }
        | Request::Settle { .. } => {
            return Err(Error::InvalidRequest {
                expected: "a request with one answer".into(),
                found: "one that belongs to a publication or a push subscription".into(),
                advice: "use the session's method for it",
            });
        }
    })
}
