//! What becomes of requests and push subscriptions when their connection ends, and when there
//! is a new one. Nothing is done twice, and nothing that was not handed over is lost.

use super::conversation::Conversation;
use super::event::{Answer, Event, SubscriptionId, Ticket};
use super::in_flight::{Claim, Pending, Repeat};
use super::output::frames;
use crate::{Error, Operation};
use protocol::native::{FrameDecoder, FrameStep, decode_request};
use protocol::{Delivery, Lifetime, Request, SettleAnswer, SettleTarget};
use std::time::Instant;

impl Conversation {
    /// The connection ended: what would be done twice fails, what may be repeated waits.
    pub(super) fn handle_disconnected(&mut self, reason: &str) {
        let written_end = self.output.written_end();
        for mut pending in self.in_flight.take() {
            if let Repeat::Sequenced { handed_over, .. } = &mut pending.repeat {
                *handed_over |= pending.end <= written_end;
            }
            match fate(&pending, written_end) {
                Fate::Waits => self.in_flight.push(pending),
                Fate::Forgotten => {}
                Fate::Done => self.answer(&pending, Ok(Answer::Done)),
                Fate::Unknown => {
                    let operation = pending.operation;
                    let reason = reason.to_owned();
                    self.answer(&pending, Err(Error::Indeterminate { operation, reason }));
                }
            }
        }
        let events = &mut self.events;
        self.attachments.retain(|correlation, attachment| {
            attachment.handle_disconnected();
            let stays = !attachment.confirmed || attachment.terms.lifetime == Lifetime::Named;
            if !stays {
                let error = Error::Disconnected { reason: reason.to_owned() };
                let subscription = SubscriptionId(*correlation);
                events.push_back(Event::Ended { subscription, error });
            }
            stays
        });
        self.unsent_of.clear();
    }

    fn answer(&mut self, pending: &Pending, result: Result<Answer, Error>) {
        if pending.claim == Claim::Caller {
            let ticket = Ticket(pending.correlation);
            self.events.push_back(Event::Answered { ticket, result });
        }
    }

    /// A new connection: attaches again, then repeats what may be repeated, then goes on with
    /// what the last connection did not get whole.
    pub(super) fn handle_connected(&mut self, deadline: Instant) {
        let written_end = self.output.written_end();
        let (unsent, kept) = (self.output.restart(), self.in_flight.take());
        self.attach_again(deadline);
        let mut waiting = kept.into_iter().peekable();
        while let Some(pending) = waiting.next_if(|pending| pending.end <= written_end) {
            match &pending.repeat {
                Repeat::Never => {}
                Repeat::Frame(frame) | Repeat::Sequenced { frame, .. } => {
                    self.output.put_frames(frame);
                }
                Repeat::Attach => {
                    let Some(attachment) = self.attachments.get(&pending.correlation) else {
                        continue;
                    };
                    self.output.put(&attachment.subscribe_request(), pending.correlation);
                }
            }
            self.in_flight.push(Pending { end: self.output.end(), ..pending });
        }
        for frame in frames(&unsent) {
            if let Some(correlation) = self.still_meant(frame) {
                self.output.put_frames(frame);
                if let Some(pending) = waiting.next_if(|next| next.correlation == correlation) {
                    self.in_flight.push(Pending { end: self.output.end(), ..pending });
                }
            }
        }
    }

    fn attach_again(&mut self, deadline: Instant) {
        for (correlation, attachment) in &self.attachments {
            if attachment.confirmed {
                self.output.put(&attachment.subscribe_request(), *correlation);
                self.in_flight.push(Pending {
                    correlation: *correlation,
                    operation: Operation::Subscribe,
                    claim: Claim::Session,
                    repeat: Repeat::Attach,
                    deadline,
                    end: self.output.end(),
                });
            }
        }
    }

    /// The correlation id of an unsent frame, unless it was about the state of the connection
    /// that ended.
    fn still_meant(&self, frame: &[u8]) -> Option<u32> {
        let FrameStep::Frame { frame, .. } = FrameDecoder::new(usize::MAX).next(frame) else {
            return None;
        };
        let means_something = match decode_request(frame, usize::MAX).ok()? {
            Request::Detach { .. } | Request::Credit { .. } => false,
            Request::Ack { answer, .. }
            | Request::Settle { target: SettleTarget::Attached { .. }, answer, .. } => {
                answer == SettleAnswer::Wanted
            }
            Request::Subscribe { delivery: Delivery::Push(_), .. } => {
                self.attachments.get(&frame.correlation).is_some_and(|it| !it.confirmed)
            }
            _ => true,
        };
        means_something.then_some(frame.correlation)
    }

    /// There will be no new connection: all that waits fails.
    pub(super) fn handle_gave_up(&mut self, reason: &str) {
        let error = || Error::Disconnected { reason: reason.to_owned() };
        for pending in self.in_flight.take() {
            if matches!((pending.claim, &pending.repeat), (Claim::Caller, Repeat::Attach)) {
                self.attachments.remove(&pending.correlation);
            }
            let error = match pending.repeat {
                Repeat::Sequenced { handed_over: true, .. } => {
                    let operation = pending.operation;
                    Error::Indeterminate { operation, reason: reason.to_owned() }
                }
                _ => error(),
            };
            self.answer(&pending, Err(error));
        }
        while let Some((correlation, _)) = self.attachments.pop_first() {
            let subscription = SubscriptionId(correlation);
            self.events.push_back(Event::Ended { subscription, error: error() });
        }
        self.unsent_of.clear();
        self.output.clear();
    }
}

/// What becomes of a request when its connection ends.
enum Fate {
    /// It is sent on the next connection.
    Waits,
    /// No one waits for it, or it is made anew.
    Forgotten,
    /// The end of the connection did it.
    Done,
    /// It may have been done.
    Unknown,
}

fn fate(pending: &Pending, written_end: u64) -> Fate {
    let handed_over = pending.end <= written_end;
    match (pending.claim, &pending.repeat) {
        _ if pending.operation == Operation::Detach => Fate::Done,
        (Claim::Session, _) => Fate::Forgotten,
        (_, Repeat::Sequenced { .. }) => Fate::Waits,
        (Claim::Abandoned, _) if handed_over => Fate::Forgotten,
        (_, Repeat::Never) if handed_over => Fate::Unknown,
        (Claim::Abandoned, Repeat::Attach) => Fate::Forgotten,
        _ => Fate::Waits,
    }
}
