//! Which answer belongs to which request, and which delivery to which push subscription.

use super::answer::{expected_answer, response_name, violation};
use super::attachment::Attachment;
use super::event::{Answer, Event, SubscriptionId, Ticket};
use super::in_flight::{Claim, InFlight, Pending, Repeat};
use super::output::Output;
use crate::{Error, Lost, Operation, Run};
use protocol::{Request, Response};
use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

/// Everything about a session but the bytes that come in.
#[derive(Debug, Default)]
pub(super) struct Conversation {
    pub(super) output: Output,
    pub(super) in_flight: InFlight,
    pub(super) attachments: BTreeMap<u32, Attachment>,
    /// Subscriptions with an acknowledgement or credit that was not put into the output yet.
    pub(super) unsent_of: Vec<u32>,
    /// What happened without a frame from the broker.
    pub(super) events: VecDeque<Event>,
    last_correlation: u32,
}

impl Conversation {
    /// A number that no request in flight has. 0 is never one: the broker uses it for what
    /// concerns the whole connection.
    pub(super) fn next_correlation(&mut self) -> u32 {
        loop {
            self.last_correlation = self.last_correlation.wrapping_add(1);
            let taken = self.attachments.contains_key(&self.last_correlation);
            if self.last_correlation != 0 && !taken {
                return self.last_correlation;
            }
        }
    }

    /// Takes note of a request whose frame was put last.
    pub(super) fn expect_answer(
        &mut self,
        correlation: u32,
        operation: Operation,
        claim: Claim,
        repeat: Repeat,
        deadline: Instant,
    ) {
        let end = self.output.end();
        self.in_flight.push(Pending { correlation, operation, claim, repeat, deadline, end });
    }

    /// Sorts one response: to a request, or to a push subscription. The records of messages stay
    /// where they are.
    #[inline]
    pub(super) fn handle_response(
        &mut self,
        correlation: u32,
        response: Response<'_>,
    ) -> Result<Option<Event>, Error> {
        let subscription = SubscriptionId(correlation);
        match response {
            Response::Deliver { base_offset, batch } => {
                let run = Run { base_offset, count: batch.count(), deliveries: 1 };
                Ok(self.handle_delivered(subscription, run, batch.bytes().len()))
            }
            Response::Redeliver { base_offset, deliveries, batch } => {
                let run = Run { base_offset, count: batch.count(), deliveries };
                Ok(self.handle_delivered(subscription, run, batch.bytes().len()))
            }
            Response::Lost { count, next_offset } => {
                let lost = Lost { count, next_offset };
                Ok(self.attachments.get_mut(&correlation).map(|attachment| {
                    attachment.handle_lost(lost);
                    Event::Lost { subscription, lost }
                }))
            }
            Response::Ended(refusal) => Ok(self
                .attachments
                .remove(&correlation)
                .map(|_| Event::Ended { subscription, error: Error::Ended(refusal) })),
            answer => self.handle_answer(correlation, answer),
        }
    }

    #[inline]
    fn handle_delivered(
        &mut self,
        subscription: SubscriptionId,
        run: Run,
        records_bytes: usize,
    ) -> Option<Event> {
        // What is under way when a subscription is detached still comes.
        let attachment = self.attachments.get_mut(&subscription.0)?;
        attachment.handle_delivered(run.next_offset(), records_bytes);
        Some(Event::Delivered { subscription, run })
    }

    #[inline]
    fn handle_answer(
        &mut self,
        correlation: u32,
        response: Response<'_>,
    ) -> Result<Option<Event>, Error> {
        let Some(pending) = self.in_flight.pop_if(correlation) else {
            return self.handle_unasked(correlation, response);
        };
        let result = match response {
            Response::Refused(refusal) => Err(Error::Refused(refusal)),
            response => Ok(expected_answer(pending.operation, response)?),
        };
        let lost = match pending.repeat {
            Repeat::Attach => self.handle_attached(correlation, &result),
            Repeat::Never | Repeat::Frame(_) | Repeat::Sequenced { .. } => None,
        };
        Ok(match (pending.claim, result) {
            (Claim::Caller, result) => {
                Some(Event::Answered { ticket: Ticket(correlation), result })
            }
            (Claim::Session, Err(error)) => {
                Some(Event::Ended { subscription: SubscriptionId(correlation), error })
            }
            (Claim::Session, Ok(_)) => lost,
            (Claim::Abandoned, _) => None,
        })
    }

    /// A SUBSCRIBE for a push delivery was answered.
    fn handle_attached(
        &mut self,
        correlation: u32,
        result: &Result<Answer, Error>,
    ) -> Option<Event> {
        if let Ok(Answer::Subscribed { next_offset }) = result {
            let lost = self.attachments.get_mut(&correlation)?.handle_subscribed(*next_offset)?;
            return Some(Event::Lost { subscription: SubscriptionId(correlation), lost });
        }
        self.attachments.remove(&correlation);
        None
    }

    #[cold]
    fn handle_unasked(
        &mut self,
        correlation: u32,
        response: Response<'_>,
    ) -> Result<Option<Event>, Error> {
        match response {
            Response::Refused(refusal) if correlation == 0 => Err(Error::Refused(refusal)),
            Response::Refused(refusal) if !self.in_flight.contains(correlation) => {
                Ok(Some(Event::RefusedUnasked(refusal)))
            }
            other => Err(violation(format!(
                "expected the answer to the oldest request, found {} for {correlation}",
                response_name(&other)
            ))),
        }
    }

    /// Requests that are overdue fail; a subscription whose answer is overdue is let go.
    pub(super) fn handle_time(&mut self, now: Instant, limit: Duration) {
        while let Some((correlation, operation, claim)) = self.in_flight.expire(now) {
            if self.attachments.remove(&correlation).is_some() {
                self.put_detach(correlation, Claim::Abandoned, now + limit);
            }
            let error = Error::Timeout { operation, limit };
            self.events.push_back(match claim {
                Claim::Session => Event::Ended { subscription: SubscriptionId(correlation), error },
                Claim::Caller | Claim::Abandoned => {
                    Event::Answered { ticket: Ticket(correlation), result: Err(error) }
                }
            });
        }
    }

    /// A subscription has an acknowledgement or credit to send.
    #[inline]
    pub(super) fn note_unsent(&mut self, subscription: u32) {
        if !self.unsent_of.contains(&subscription) {
            self.unsent_of.push(subscription);
        }
    }

    /// Puts the acknowledgements and credits that wait into the output. Acknowledgements go
    /// first: credit may bring what they make room for.
    pub(super) fn put_unsent(&mut self) {
        while let Some(subscription) = self.unsent_of.pop() {
            self.put_unsent_acks(subscription);
            let Some(attachment) = self.attachments.get_mut(&subscription) else { continue };
            let credit = attachment.poll_credit();
            if let Some(bytes) = credit {
                let correlation = self.next_correlation();
                self.output.put(&Request::Credit { subscription, bytes }, correlation);
            }
        }
    }

    /// Asks for the end of a push delivery.
    pub(super) fn put_detach(
        &mut self,
        subscription: u32,
        claim: Claim,
        deadline: Instant,
    ) -> Ticket {
        let correlation = self.next_correlation();
        self.output.put(&Request::Detach { subscription }, correlation);
        self.expect_answer(correlation, Operation::Detach, claim, Repeat::Never, deadline);
        Ticket(correlation)
    }
}
