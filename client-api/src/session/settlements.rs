//! What became of messages: told singly or in ranges, few frames for many.

use super::conversation::Conversation;
use super::in_flight::{Claim, Repeat};
use super::{Session, SubscriptionId, Ticket};
use crate::{Error, Operation};
use protocol::native::encode_request;
use protocol::{OffsetRange, Request, SettleAnswer, SettleTarget, Verdict};
use std::time::Instant;

/// Ranges of offsets in one frame, and ranges that wait to be told before they are put into one.
const RANGES_MAX: usize = 1024;

/// What became of messages of one subscription, by verdict.
#[derive(Debug, Default)]
pub(super) struct Settled {
    groups: Vec<(Verdict, Vec<OffsetRange>)>,
}

impl Settled {
    /// Adds a range; says whether there is enough to be told at once.
    fn add(&mut self, range: OffsetRange, verdict: Verdict) -> bool {
        let at = self.groups.iter().position(|(found, _)| *found == verdict);
        let at = at.unwrap_or_else(|| {
            self.groups.push((verdict, Vec::new()));
            self.groups.len() - 1
        });
        let ranges = &mut self.groups[at].1;
        join(ranges, range);
        ranges.len() >= RANGES_MAX
    }
}

impl Session {
    /// Acknowledges the message at `offset`, and, where acknowledgements are cumulative, all
    /// before it, with what is written next.
    pub fn handle_ack(&mut self, subscription: SubscriptionId, offset: u64) {
        let Some(attachment) = self.conversation.attachments.get_mut(&subscription.0) else {
            return;
        };
        if attachment.terms.acks.is_some() {
            return self.handle_settle(subscription, OffsetRange::one(offset), Verdict::Ack);
        }
        attachment.unsent_ack = attachment.unsent_ack.max(Some(offset));
        self.conversation.note_unsent(subscription.0);
    }

    /// Tells what became of messages that are acknowledged individually, with what is written
    /// next. Ranges of the same verdict share a frame.
    pub fn handle_settle(
        &mut self,
        subscription: SubscriptionId,
        range: OffsetRange,
        verdict: Verdict,
    ) {
        let Some(attachment) = self.conversation.attachments.get_mut(&subscription.0) else {
            return;
        };
        if range.count > 0 && attachment.unsent_settled.add(range, verdict) {
            self.conversation.put_unsent_acks(subscription.0);
        }
        self.conversation.note_unsent(subscription.0);
    }

    /// As [`handle_ack`](Self::handle_ack), to be answered when it is as durable as the topic.
    ///
    /// # Errors
    /// [`Error::InvalidRequest`]; nothing was sent then.
    pub fn handle_ack_confirmed(
        &mut self,
        subscription: SubscriptionId,
        offset: u64,
        now: Instant,
    ) -> Result<Ticket, Error> {
        let attachment = self.conversation.attachments.get(&subscription.0);
        if attachment.is_some_and(|attachment| attachment.terms.acks.is_some()) {
            let range = OffsetRange::one(offset);
            return self.handle_settle_confirmed(subscription, &[range], Verdict::Ack, now);
        }
        let (subscription, answer) = (subscription.0, SettleAnswer::Wanted);
        self.put_confirmed(subscription, &Request::Ack { subscription, offset, answer }, now)
    }

    /// As [`handle_settle`](Self::handle_settle), to be answered when it is as durable as the
    /// topic. An acknowledgement is asked again after a reconnect; a negative one is not, since
    /// the messages come again anyway.
    ///
    /// # Errors
    /// [`Error::InvalidRequest`]; nothing was sent then.
    pub fn handle_settle_confirmed(
        &mut self,
        subscription: SubscriptionId,
        ranges: &[OffsetRange],
        verdict: Verdict,
        now: Instant,
    ) -> Result<Ticket, Error> {
        let subscription = subscription.0;
        let request = Request::Settle {
            target: SettleTarget::Attached { subscription },
            ranges: checked_ranges(ranges)?,
            verdict,
            answer: SettleAnswer::Wanted,
        };
        self.put_confirmed(subscription, &request, now)
    }

    fn put_confirmed(
        &mut self,
        subscription: u32,
        request: &Request<'_>,
        now: Instant,
    ) -> Result<Ticket, Error> {
        self.check_in_flight()?;
        if !self.conversation.attachments.contains_key(&subscription) {
            return Err(Error::InvalidRequest {
                expected: "a push subscription that stands".into(),
                found: "one that has ended".into(),
                advice: "subscribe again; what was not acknowledged comes again",
            });
        }
        // What was told before comes first.
        self.conversation.put_unsent_acks(subscription);
        let correlation = self.conversation.next_correlation();
        let mut frame = Vec::new();
        encode_request(request, correlation, &mut frame);
        self.conversation.output.put_frames(&frame);
        let repeat = match request {
            Request::Settle { verdict: Verdict::Nack { .. }, .. } => Repeat::Never,
            _ => Repeat::Frame(frame.into_boxed_slice()),
        };
        let deadline = now + self.request_timeout;
        let (operation, claim) = (Operation::Settle, Claim::Caller);
        self.conversation.expect_answer(correlation, operation, claim, repeat, deadline);
        Ok(Ticket(correlation))
    }
}

impl Conversation {
    /// Puts the acknowledgements of a subscription that wait into the output.
    pub(super) fn put_unsent_acks(&mut self, subscription: u32) {
        let Some(attachment) = self.attachments.get_mut(&subscription) else { return };
        let answer = SettleAnswer::Unwanted;
        let ack = attachment.unsent_ack.take();
        let settled = std::mem::take(&mut attachment.unsent_settled);
        if let Some(offset) = ack {
            let correlation = self.next_correlation();
            self.output.put(&Request::Ack { subscription, offset, answer }, correlation);
        }
        for (verdict, ranges) in settled.groups {
            for ranges in merged(ranges).chunks(RANGES_MAX) {
                let target = SettleTarget::Attached { subscription };
                let ranges = ranges.to_vec();
                let correlation = self.next_correlation();
                let settle = Request::Settle { target, ranges, verdict, answer };
                self.output.put(&settle, correlation);
            }
        }
    }

    /// The subscription of this name is about to be moved.
    pub(super) fn forget_place_of(&mut self, topic: &str, subscriber: &str) {
        for attachment in self.attachments.values_mut() {
            if attachment.is_of(topic, subscriber) {
                attachment.forget_place();
            }
        }
    }
}

/// Ranges as the wire takes them: at least one, none empty.
pub(crate) fn checked_ranges(ranges: &[OffsetRange]) -> Result<Vec<OffsetRange>, Error> {
    let ranges = merged(ranges.iter().copied().filter(|range| range.count > 0).collect());
    if !ranges.is_empty() {
        return Ok(ranges);
    }
    Err(Error::InvalidRequest {
        expected: "at least one message to settle".into(),
        found: "none".into(),
        advice: "leave empty ranges out",
    })
}

/// The same offsets in as few ranges as there can be.
fn merged(mut ranges: Vec<OffsetRange>) -> Vec<OffsetRange> {
    ranges.sort_unstable();
    let mut merged = Vec::with_capacity(ranges.len());
    for range in ranges {
        join(&mut merged, range);
    }
    merged
}

/// Adds `range`, to the last of `ranges` where it begins within or behind that.
fn join(ranges: &mut Vec<OffsetRange>, range: OffsetRange) {
    if let Some(last) = ranges.last_mut()
        && (last.first..=last.end()).contains(&range.first)
        && let Ok(count) = u32::try_from(range.end().max(last.end()) - last.first)
    {
        last.count = count;
        return;
    }
    ranges.push(range);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn offsets(ranges: &[OffsetRange]) -> BTreeSet<u64> {
        ranges.iter().flat_map(|range| range.first..range.end()).collect()
    }

    proptest! {
        #[test]
        fn merging_keeps_each_offset_in_as_few_ranges_as_there_can_be(
            ranges in proptest::collection::vec((0u64..200, 1u32..9), 0..40),
        ) {
            let ranges: Vec<_> =
                ranges.into_iter().map(|(first, count)| OffsetRange { first, count }).collect();
            let merged = merged(ranges.clone());
            prop_assert_eq!(offsets(&merged), offsets(&ranges));
            let apart = |pair: &[OffsetRange]| pair[0].end() < pair[1].first;
            prop_assert!(merged.windows(2).all(apart), "{:?}", merged);
        }
    }

    #[test]
    fn a_range_does_not_grow_past_what_it_can_count() {
        let first = OffsetRange { first: 0, count: u32::MAX };
        let next = OffsetRange::one(first.end());
        assert_eq!(merged(vec![first, next]), [first, next]);
    }
}
