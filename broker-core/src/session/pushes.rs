//! A session's push subscriptions: what they may still send, and which have something to send.

use super::Turn;
use crate::journal::Waits;
use crate::log::FetchLimit;
use crate::topic::{Grip, Named, Pushed, Topic};
use crate::{AttachmentId, Broker, Limits, Wakes};
use protocol::native::{
    RedeliverHead, encode_deliver_head, encode_redeliver_head, encode_response,
};
use protocol::{Code, OffsetRange, Refusal, Response, SettleAnswer, Verdict};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// The push subscriptions of one session, by number.
#[derive(Debug, Default)]
pub(super) struct Pushes {
    /// In order, so that what is done for all of them is done in the same order each time.
    by_number: BTreeMap<u32, Subscription>,
    /// Those that may have something to send, in turn.
    ready: VecDeque<u32>,
}

#[derive(Debug)]
struct Subscription {
    topic: Arc<Topic>,
    grip: Grip,
    /// What may be sent; below zero after a message that was larger than what was left.
    credit_bytes: i64,
    is_ready: bool,
    begun: Begun,
}

/// Whether a subscription was answered to stand. Before that, nothing of it is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Begun {
    Yes,
    NotYet,
}

impl Pushes {
    pub(super) fn check_free(&self, number: u32, limits: &Limits) -> Result<(), Refusal> {
        if self.by_number.contains_key(&number) {
            return Err(Refusal::new(
                Code::SubscriptionInUse,
                format!(
                    "expected a correlation id that no push subscription of this connection has, found {number}"
                ),
            ));
        }
        let max = limits.attachments_per_connection_max;
        if self.by_number.len() >= max {
            return Err(Refusal::new(
                Code::LimitReached,
                format!(
                    "the connection has {max} push subscriptions; detach one, or raise attachments_per_connection_max"
                ),
            ));
        }
        Ok(())
    }

    pub(super) fn insert(&mut self, number: u32, topic: Arc<Topic>, grip: Grip, credit_bytes: u32) {
        let subscription = Subscription {
            topic,
            grip,
            credit_bytes: i64::from(credit_bytes),
            is_ready: false,
            begun: Begun::NotYet,
        };
        self.by_number.insert(number, subscription);
    }

    /// The subscription was answered to stand.
    pub(super) fn begin(&mut self, number: u32) {
        if let Some(subscription) = self.by_number.get_mut(&number) {
            subscription.begun = Begun::Yes;
            self.handle_readable(number);
        }
    }

    pub(super) fn numbers(&self) -> impl Iterator<Item = u32> {
        self.by_number.keys().copied()
    }

    /// Forgets a subscription that another ended, unless its number belongs to a later one; gives
    /// whether it had begun.
    pub(super) fn remove(&mut self, number: u32, attachment: AttachmentId) -> Option<Begun> {
        let found = self.by_number.get(&number)?;
        if found.grip.attachment != attachment {
            return None;
        }
        self.take(number).map(|subscription| subscription.begun)
    }

    fn take(&mut self, number: u32) -> Option<Subscription> {
        self.ready.retain(|ready| *ready != number);
        self.by_number.remove(&number)
    }

    pub(super) fn detach(
        &mut self,
        number: u32,
        broker: &Broker,
        wakes: &mut Wakes,
    ) -> Result<(), Refusal> {
        let subscription = self.take(number).ok_or_else(|| unknown(number))?;
        subscription.topic.detach(subscription.grip, broker, wakes);
        Ok(())
    }

    /// A subscription is not to stand, unless its number belongs to a later one.
    pub(super) fn give_up(
        &mut self,
        number: u32,
        attachment: AttachmentId,
        broker: &Broker,
        wakes: &mut Wakes,
    ) {
        let found = self.by_number.get(&number);
        if found.is_some_and(|subscription| subscription.grip.attachment == attachment)
            && let Some(subscription) = self.take(number)
        {
            subscription.topic.detach(subscription.grip, broker, wakes);
        }
    }

    pub(super) fn credit(&mut self, number: u32, bytes: u32) -> Result<(), Refusal> {
        let subscription = self.by_number.get_mut(&number).ok_or_else(|| unknown(number))?;
        subscription.credit_bytes = subscription.credit_bytes.saturating_add(i64::from(bytes));
        self.handle_readable(number);
        Ok(())
    }

    pub(super) fn ack(
        &mut self,
        number: u32,
        offset: u64,
        answer: SettleAnswer,
        broker: &Broker,
        wakes: &mut Wakes,
    ) -> Result<Option<Waits>, Refusal> {
        let subscription = self.by_number.get(&number).ok_or_else(|| unknown(number))?;
        subscription.topic.ack(subscription.grip, offset, answer, broker, wakes)
    }

    pub(super) fn settle(
        &mut self,
        number: u32,
        ranges: &[OffsetRange],
        verdict: Verdict,
        answer: SettleAnswer,
        broker: &Broker,
        turn: &mut Turn<'_>,
    ) -> Result<Option<Waits>, Refusal> {
        let Subscription { topic, grip, .. } =
            self.by_number.get(&number).ok_or_else(|| unknown(number))?;
        let held = Named::Held(*grip);
        topic.settle(held, ranges, verdict, answer, turn.now, broker, turn.wakes)
    }

    /// There may be something to send.
    pub(super) fn handle_readable(&mut self, number: u32) {
        if let Some(subscription) = self.by_number.get_mut(&number)
            && subscription.credit_bytes > 0
            && subscription.begun == Begun::Yes
            && !std::mem::replace(&mut subscription.is_ready, true)
        {
            self.ready.push_back(number);
        }
    }

    pub(super) fn handle_all_readable(&mut self) {
        let numbers: Vec<u32> = self.numbers().collect();
        numbers.into_iter().for_each(|number| self.handle_readable(number));
    }

    pub(super) fn handle_close(&mut self, broker: &Broker, wakes: &mut Wakes) {
        for subscription in self.by_number.values() {
            subscription.topic.detach(subscription.grip, broker, wakes);
        }
        *self = Self::default();
    }

    /// Sends in turn until all is sent or the output is over its limit; gives whether more is left.
    pub(super) fn poll_deliveries(&mut self, broker: &Broker, turn: &mut Turn<'_>) -> bool {
        // Half of the output at a time: what is read from the log is then large, and others of
        // the connection have their turn.
        let quantum_bytes = (broker.limits().output_bytes_max / 2).max(1);
        while let Some(number) = self.ready.pop_front() {
            if turn.out.len() >= quantum_bytes {
                self.ready.push_front(number);
                return true;
            }
            let Some(subscription) = self.by_number.get_mut(&number) else { continue };
            subscription.is_ready = false;
            if subscription.deliver(number, quantum_bytes, broker, turn) {
                self.handle_readable(number);
            }
        }
        false
    }
}

impl Subscription {
    /// Sends what one turn allows, and gives whether there is more to read.
    fn deliver(
        &mut self,
        number: u32,
        quantum_bytes: usize,
        broker: &Broker,
        turn: &mut Turn<'_>,
    ) -> bool {
        let credit_bytes = usize::try_from(self.credit_bytes).unwrap_or(0);
        let limit = FetchLimit { bytes_max: quantum_bytes.min(credit_bytes), count_max: u32::MAX };
        let pushed = self.topic.fetch(self.grip, limit, turn.now, broker, turn.wakes);
        // Where it is no longer attached, the wake that tells why is on its way.
        let Some(Pushed { fetched, deliveries, more }) = pushed else { return false };
        let out = &mut *turn.out;
        if fetched.lost > 0 {
            let lost = Response::Lost { count: fetched.lost, next_offset: fetched.base_offset };
            out.put(|out| encode_response(&lost, number, out));
        }
        if fetched.count > 0 {
            let (base_offset, count, records_bytes) =
                (fetched.base_offset, fetched.count, fetched.bytes);
            out.put(|out| match deliveries {
                1 => encode_deliver_head(number, base_offset, count, records_bytes, out),
                _ => {
                    let head = RedeliverHead { base_offset, deliveries, count, records_bytes };
                    encode_redeliver_head(head, number, out);
                }
            });
            for span in fetched.spans {
                out.push(span);
            }
            self.credit_bytes -= fetched.bytes as i64;
            broker.tally().messages_left(fetched.count);
        }
        more
    }
}

fn unknown(number: u32) -> Refusal {
    Refusal::new(
        Code::UnknownSubscription,
        format!("expected the number of a push subscription of this connection, found {number}"),
    )
}
