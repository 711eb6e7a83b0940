//! The push subscriptions of a session: their terms, their place, and their credit.

use super::settlements::Settled;
use crate::{AckTerms, Lost, PushTerms};
use protocol::{Delivery, Push, Request};
use std::borrow::Cow;

/// One push subscription.
#[derive(Debug)]
pub(super) struct Attachment {
    topic: Box<str>,
    subscriber: Box<str>,
    pub(super) terms: PushTerms,
    /// Whether the broker ever said that it stands.
    pub(super) confirmed: bool,
    /// Offset of the message that should come next, once it is known.
    next_offset: Option<u64>,
    /// Bytes delivered and not yet consumed.
    held_bytes: usize,
    /// Bytes consumed whose credit was not yet given back.
    owed_bytes: usize,
    /// The newest cumulative acknowledgement that was not sent yet.
    pub(super) unsent_ack: Option<u64>,
    /// What became of single messages and was not told yet.
    pub(super) unsent_settled: Settled,
}

impl Attachment {
    pub(super) fn new(topic: &str, subscriber: &str, terms: PushTerms) -> Self {
        Self {
            topic: topic.into(),
            subscriber: subscriber.into(),
            terms,
            confirmed: false,
            next_offset: None,
            held_bytes: 0,
            owed_bytes: 0,
            unsent_ack: None,
            unsent_settled: Settled::default(),
        }
    }

    /// Whether it is the subscription of this name.
    pub(super) fn is_of(&self, topic: &str, subscriber: &str) -> bool {
        *self.topic == *topic && *self.subscriber == *subscriber
    }

    /// The subscription is about to be moved: where it goes on tells nothing of a loss.
    pub(super) fn forget_place(&mut self) {
        self.next_offset = None;
    }

    /// The request that attaches to it, now or again.
    pub(super) fn subscribe_request(&self) -> Request<'_> {
        let window_left = (self.terms.window_bytes as usize).saturating_sub(self.held_bytes);
        Request::Subscribe {
            topic: Cow::Borrowed(&self.topic),
            subscriber: Cow::Borrowed(&self.subscriber),
            delivery: Delivery::Push(Push {
                credit_bytes: u32::try_from(window_left).unwrap_or(u32::MAX),
                ack_mode: self.terms.ack_mode,
                lag_policy: self.terms.lag_policy,
                lifetime: self.terms.lifetime,
            }),
            start: self.terms.start,
            acks: self.terms.acks.as_ref().map(AckTerms::borrowed),
        }
    }

    /// The connection ended: what is owed comes with the next SUBSCRIBE, and what was not
    /// acknowledged comes again.
    pub(super) fn handle_disconnected(&mut self) {
        self.owed_bytes = 0;
        self.unsent_ack = None;
        self.unsent_settled = Settled::default();
    }

    /// The broker goes on at `next_offset`. Returns what it passed over since the last delivery;
    /// where messages are acknowledged individually, that may be with another consumer.
    pub(super) fn handle_subscribed(&mut self, next_offset: u64) -> Option<Lost> {
        self.confirmed = true;
        if self.terms.acks.is_some() {
            return None;
        }
        let expected = self.next_offset.replace(next_offset)?;
        let count = next_offset.checked_sub(expected).filter(|count| *count > 0)?;
        Some(Lost { count, next_offset })
    }

    #[inline]
    pub(super) fn handle_delivered(&mut self, next_offset: u64, records_bytes: usize) {
        self.next_offset = Some(next_offset);
        self.held_bytes += records_bytes;
    }

    pub(super) fn handle_lost(&mut self, lost: Lost) {
        self.next_offset = Some(lost.next_offset);
    }

    /// Takes note that `bytes` were consumed. Says whether credit is to be given back.
    #[inline]
    pub(super) fn handle_consumed(&mut self, bytes: usize) -> bool {
        self.held_bytes = self.held_bytes.saturating_sub(bytes);
        self.owed_bytes += bytes;
        self.is_credit_due()
    }

    fn is_credit_due(&self) -> bool {
        self.owed_bytes >= (self.terms.window_bytes / 2).max(1) as usize
    }

    /// The credit to give back now.
    pub(super) fn poll_credit(&mut self) -> Option<u32> {
        if !self.is_credit_due() {
            return None;
        }
        let credit_bytes = u32::try_from(self.owed_bytes).unwrap_or(u32::MAX);
        self.owed_bytes -= credit_bytes as usize;
        Some(credit_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attachment(window_bytes: u32) -> Attachment {
        Attachment::new("News", "sid", PushTerms::new().window_bytes(window_bytes))
    }

    fn credit_bytes(attachment: &Attachment) -> u32 {
        match attachment.subscribe_request() {
            Request::Subscribe { delivery: Delivery::Push(push), .. } => push.credit_bytes,
            other => panic!("expected a push subscription, found {other:?}"),
        }
    }

    #[test]
    fn credit_comes_back_when_half_the_window_was_consumed() {
        let mut attachment = attachment(100);
        attachment.handle_delivered(1, 60);
        assert!(!attachment.handle_consumed(49));
        assert_eq!(attachment.poll_credit(), None);
        assert!(attachment.handle_consumed(11));
        assert_eq!(attachment.poll_credit(), Some(60));
        assert_eq!(attachment.poll_credit(), None);
    }

    #[test]
    fn a_new_connection_starts_with_the_window_less_what_is_still_held() {
        let mut attachment = attachment(100);
        attachment.handle_delivered(1, 60);
        attachment.handle_consumed(20);
        attachment.handle_disconnected();
        assert_eq!(credit_bytes(&attachment), 60);
        attachment.handle_delivered(2, 60);
        assert_eq!(credit_bytes(&attachment), 0);
        assert!(attachment.handle_consumed(100));
        assert_eq!(attachment.poll_credit(), Some(100));
    }

    #[test]
    fn what_another_consumer_of_a_group_took_is_not_lost() {
        let terms = PushTerms::new().acks(AckTerms::new());
        let mut attachment = Attachment::new("News", "group", terms);
        attachment.handle_subscribed(0);
        attachment.handle_delivered(3, 10);
        assert_eq!(attachment.handle_subscribed(9), None);
    }

    #[test]
    fn a_gap_after_a_reconnect_is_counted_as_lost() {
        let mut attachment = attachment(100);
        assert_eq!(attachment.handle_subscribed(5), None);
        attachment.handle_delivered(8, 10);
        assert_eq!(attachment.handle_subscribed(7), None, "it may come again");
        assert_eq!(attachment.handle_subscribed(9), Some(Lost { count: 2, next_offset: 9 }));
    }
}
