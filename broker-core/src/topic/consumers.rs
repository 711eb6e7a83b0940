//! Groups: subscriptions whose messages go to one consumer each, are acknowledged one by one, and
//! are delivered again where they are not.

use super::Topic;
use super::reading::{Pulled, Pushed, mismatch, no_longer_held};
use super::state::State;
use super::subscriptions::{Grip, Group, SubscriptionKey, not_subscribed};
use crate::journal::{LeaseTerms, Record, Waits};
use crate::leases::{Backoff, Delay, Holder, Offsets, Redelivery};
use crate::log::{FetchLimit, Fetched, Log};
use crate::{Broker, Cause, Now, SessionKey, Wake, Wakes};
use protocol::{Code, Durability, OffsetRange, Refusal, SettleAnswer, Verdict};

/// A message that was delivered in vain, on its way to the dead-letter topic.
#[derive(Debug)]
pub(crate) struct DeadLetter {
    key: SubscriptionKey,
    pub(crate) subscriber: std::sync::Arc<str>,
    pub(crate) dead_letter_topic: String,
    pub(crate) offset: u64,
    pub(crate) deliveries: u32,
    /// Its record; `None`: the topic no longer has it.
    pub(crate) record: Option<Fetched>,
    pub(crate) durability: Option<Durability>,
}

/// Which subscription a consumer speaks of.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Named<'a> {
    Held(Grip),
    Id(&'a str),
}

impl LeaseTerms {
    /// Messages come back when their consumer is gone, and never by themselves.
    pub(crate) fn until_acknowledged() -> Self {
        Self {
            ack_timeout_ms: u32::MAX,
            in_flight_max: u32::MAX,
            deliveries_max: u32::MAX,
            backoff_ms_min: 0,
            backoff_ms_max: 0,
            dead_letter: String::new(),
        }
    }

    /// Whether messages come back by themselves.
    pub(crate) fn expires(&self) -> bool {
        self.ack_timeout_ms < u32::MAX
    }

    pub(crate) fn redelivery(&self) -> Redelivery {
        Redelivery {
            deliveries_max: self.deliveries_max,
            backoff: Backoff { ms_min: self.backoff_ms_min, ms_max: self.backoff_ms_max },
        }
    }
}

impl Group {
    /// How many more messages one of so many consumers may be given, which have equal parts of the
    /// window: so one that does not acknowledge leaves the others theirs.
    fn part(&self, holder: Holder, consumers: u64) -> u64 {
        let part = u64::from(self.terms.in_flight_max).div_ceil(consumers.max(1));
        part.saturating_sub(self.leases.held(holder))
    }

    /// How many more messages one of so many consumers is given until all have equally many, when
    /// what there is to lease is leased.
    fn level(&self, holder: Holder, consumers: u64, visible: u64) -> u64 {
        let room = self.leases.room(self.terms.in_flight_max);
        let fresh = visible.saturating_sub(self.leases.next()).min(room);
        let level = (self.leases.unsettled() + fresh).div_ceil(consumers.max(1));
        level.saturating_sub(self.leases.held(holder))
    }
}

impl Topic {
    /// Takes a consumer's word on messages that it was given.
    #[expect(clippy::too_many_arguments, reason = "each is another part of what the consumer says")]
    pub(crate) fn settle(
        &self,
        which: Named<'_>,
        ranges: &[OffsetRange],
        verdict: Verdict,
        answer: SettleAnswer,
        now: Now,
        broker: &Broker,
        wakes: &mut Wakes,
    ) -> Result<Option<Waits>, Refusal> {
        self.with(broker, |state| {
            let key = match which {
                Named::Id(id) => {
                    state.subscriptions.find(id).ok_or_else(|| not_subscribed(&self.name, id))?
                }
                Named::Held(grip) => match state.subscriptions.held_by(grip) {
                    Some(_) => grip.key,
                    None => return no_longer_held(answer),
                },
            };
            state.check_leased(key, ranges)?;
            match verdict {
                Verdict::Ack => state.settle(key, ranges, answer, wakes),
                Verdict::Nack { delay_ms } => {
                    let delay = delay_ms.map_or(Delay::Backoff, Delay::Ms);
                    state.nack(key, ranges, delay, now, wakes);
                    Ok(None)
                }
            }
        })
    }

    /// Takes back what was not acknowledged in time.
    pub(crate) fn expire_leases(&self, now: Now, wakes: &mut Wakes) {
        let mut state = self.lock();
        for key in state.subscriptions.groups() {
            let Some(group) = &mut state.subscriptions.at(key).group else { continue };
            if group.leases.next_due().is_some_and(|due| due <= now) {
                let redelivery = group.redelivery();
                group.leases.expire(now, redelivery);
                state.wake_consumers(key, wakes);
            }
        }
    }

    /// A message that was delivered in vain. It is given again until it is
    /// [buried](Self::bury).
    pub(crate) fn poll_dead(&self) -> Option<DeadLetter> {
        let mut state = self.lock();
        let state = &mut *state;
        for key in state.subscriptions.groups() {
            let subscription = state.subscriptions.at(key);
            let Some(group) = &subscription.group else { continue };
            let Some(run) = group.leases.poll_dead() else { continue };
            let offset = run.offsets.first;
            let record = read_one(&mut state.log, offset);
            return Some(DeadLetter {
                key,
                subscriber: std::sync::Arc::clone(&subscription.id),
                dead_letter_topic: group.terms.dead_letter.clone(),
                offset,
                deliveries: run.deliveries,
                record,
                durability: state.log.stored().map(|stored| stored.terms().durability),
            });
        }
        None
    }

    /// A dead message is in the dead-letter topic.
    pub(crate) fn bury(&self, dead: &DeadLetter, wakes: &mut Wakes) -> Result<(), Refusal> {
        let mut state = self.lock();
        let Some(id) = state.subscriptions.find(&dead.subscriber) else { return Ok(()) };
        if id != dead.key || state.deleted {
            return Ok(());
        }
        let one = [OffsetRange::one(dead.offset)];
        state.settle(id, &one, SettleAnswer::Unwanted, wakes).map(drop)
    }
}

impl State {
    /// Only what was delivered can be acknowledged.
    fn check_leased(
        &mut self,
        key: SubscriptionKey,
        ranges: &[OffsetRange],
    ) -> Result<(), Refusal> {
        let Some(group) = &self.subscriptions.at(key).group else {
            return Err(mismatch("a subscription that is acknowledged individually", "not"));
        };
        let next = group.leases.next();
        match ranges.iter().find(|range| range.end() > next) {
            None => Ok(()),
            Some(range) => Err(Refusal::new(
                Code::InvalidValue,
                format!(
                    "expected offsets of messages that were delivered, below {next}, found {} from {}",
                    range.count, range.first
                ),
            )),
        }
    }

    fn settle(
        &mut self,
        key: SubscriptionKey,
        ranges: &[OffsetRange],
        answer: SettleAnswer,
        wakes: &mut Wakes,
    ) -> Result<Option<Waits>, Refusal> {
        let durability = match answer {
            SettleAnswer::Wanted => Durability::Sync,
            SettleAnswer::Unwanted => Durability::Os,
        };
        let mut waits = None;
        if let Some(stored) = self.subscriptions.at(key).stored {
            let ranges = ranges.iter().map(|range| (range.first, range.count)).collect();
            let subscription = stored.number;
            let record = |topic| Record::Settled { topic, subscription, ranges };
            waits = self.record(record, durability)?;
        }
        let Some(group) = &mut self.subscriptions.at(key).group else { return Ok(waits) };
        let before = group.leases.floor();
        for range in ranges {
            group.leases.settle(Offsets::new(range.first, range.end()));
        }
        let after = group.leases.floor();
        self.reader_moved(key, before, after, wakes);
        // There may be room for more in flight.
        self.wake_consumers(key, wakes);
        Ok(waits)
    }

    fn nack(
        &mut self,
        key: SubscriptionKey,
        ranges: &[OffsetRange],
        delay: Delay,
        now: Now,
        wakes: &mut Wakes,
    ) {
        let Some(group) = &mut self.subscriptions.at(key).group else { return };
        let redelivery = group.redelivery();
        for range in ranges {
            let offsets = Offsets::new(range.first, range.end());
            group.leases.nack(offsets, now, delay, redelivery);
        }
        if group.leases.due(now).is_some() {
            self.wake_consumers(key, wakes);
        }
    }

    /// A consumer is gone: others get what it had, and its part of the window.
    pub(super) fn release_leases(&mut self, grip: Grip, wakes: &mut Wakes) {
        let Some(group) = &mut self.subscriptions.at(grip.key).group else { return };
        let deliveries_max = group.terms.deliveries_max;
        group.leases.release(Holder::Attachment(grip.attachment), deliveries_max);
        self.wake_consumers(grip.key, wakes);
    }

    /// Leases messages to a consumer that is pushed to. It has its part of the window at most; and
    /// where there are others it takes as much as makes all have equally many, and the rest only
    /// when they had their turn.
    pub(super) fn fetch_leased(
        &mut self,
        grip: Grip,
        limit: FetchLimit,
        now: Now,
        wakes: &mut Wakes,
    ) -> Result<Pushed, Refusal> {
        let holder = Holder::Attachment(grip.attachment);
        let visible = self.log.visible_offset();
        let subscription = self.subscriptions.at(grip.key);
        let consumers = subscription.attachments.len() as u64;
        let attachment = subscription.attachment(grip.attachment);
        let gave_way = attachment.is_some_and(|found| std::mem::take(&mut found.gave_way));
        let group = subscription.group.as_ref().expect("the caller looked for it");
        let part = group.part(holder, consumers);
        let wanted =
            if gave_way { part } else { part.min(group.level(holder, consumers, visible)) };
        let count_max = limit.count_max.min(u32::try_from(wanted).unwrap_or(u32::MAX));
        let leased = self.lease(grip.key, holder, FetchLimit { count_max, ..limit }, now, wakes)?;
        if leased.fetched.count > 0 && consumers > 1 {
            self.subscriptions.note_served(grip);
        }
        let more = leased.more && part > u64::from(leased.fetched.count);
        if !more {
            self.wait(grip);
        } else if consumers > 1 {
            self.give_way(grip, wakes);
        }
        Ok(Pushed { more: more && consumers == 1, ..leased })
    }

    /// Has a consumer go on when all that were woken before it had their turn.
    fn give_way(&mut self, grip: Grip, wakes: &mut Wakes) {
        let Some(attachment) = self.subscriptions.attachment(grip) else { return };
        attachment.gave_way = true;
        let cause = Cause::Readable { subscription: attachment.number };
        wakes.push(Wake { session: attachment.session, cause });
    }

    pub(super) fn pull_leased(
        &mut self,
        key: SubscriptionKey,
        puller: SessionKey,
        limit: FetchLimit,
        now: Now,
        wakes: &mut Wakes,
    ) -> Result<Pulled, Refusal> {
        let leased = self.lease(key, Holder::Puller(puller), limit, now, wakes)?;
        let visible = self.log.visible_offset();
        let subscription = self.subscriptions.at(key);
        let unread = visible.saturating_sub(subscription.cursor.offset());
        let returned = subscription
            .group
            .as_ref()
            .map_or(0, |group| group.leases.unsettled() - group.leases.in_flight());
        Ok(Pulled {
            fetched: leased.fetched,
            remaining: unread + returned,
            deliveries: Some(leased.deliveries),
            waits: None,
        })
    }

    /// Leases messages to `holder`: those that came back first, then new ones. Gives whether
    /// there is more to lease, of which consumers that wait are told.
    fn lease(
        &mut self,
        key: SubscriptionKey,
        holder: Holder,
        limit: FetchLimit,
        now: Now,
        wakes: &mut Wakes,
    ) -> Result<Pushed, Refusal> {
        let Self { log, subscriptions, .. } = self;
        let subscription = subscriptions.at(key);
        let cursor = &mut subscription.cursor;
        let group = subscription.group.as_mut().expect("the caller looked for it");
        let before = group.leases.floor();
        let is_due = group.leases.next_due().is_some_and(|due| due <= now);
        if is_due {
            let redelivery = group.redelivery();
            group.leases.expire(now, redelivery);
        }
        let lost = overtake(group, log);
        let deadline = now.plus_ms(u64::from(group.terms.ack_timeout_ms));
        let (mut fetched, deliveries) = match group.leases.due(now) {
            _ if limit.count_max == 0 => {
                (Fetched { base_offset: group.leases.next(), ..Fetched::default() }, 1)
            }
            Some(run) => {
                let count_max = u32::try_from(run.offsets.count()).unwrap_or(u32::MAX);
                let limit = FetchLimit { count_max: limit.count_max.min(count_max), ..limit };
                lease_again(group, log, run.offsets, limit, holder, deadline)?
            }
            None => {
                if cursor.offset() != group.leases.next() {
                    *cursor = log.seek(group.leases.next());
                }
                let room = group.leases.room(group.terms.in_flight_max);
                let room = u32::try_from(room).unwrap_or(u32::MAX);
                let limit = FetchLimit { count_max: limit.count_max.min(room), ..limit };
                let fetched = log.fetch(cursor, limit)?;
                // What is missing between was never there to be leased.
                let missing = group.leases.lease_new(fetched.lost, holder, deadline);
                group.leases.settle(missing);
                group.leases.lease_new(u64::from(fetched.count), holder, deadline);
                (fetched, 1)
            }
        };
        fetched.lost += lost;
        let has_room = group.leases.room(group.terms.in_flight_max) > 0;
        let more = group.leases.due(now).is_some()
            || (has_room && group.leases.next() < log.visible_offset());
        let after = group.leases.floor();
        self.reader_moved(key, before, after, wakes);
        // Others may wait since all there was had been leased, or was not due.
        if more && (is_due || before < after || fetched.count > 0) {
            self.wake_consumers(key, wakes);
        }
        Ok(Pushed { fetched, deliveries, more })
    }
}

/// Gives up what the topic no longer holds; gives how many messages that were.
fn overtake(group: &mut Group, log: &Log) -> u64 {
    if group.leases.floor() >= log.first_offset() {
        return 0;
    }
    let overtaken = group.leases.drop_before(log.first_offset());
    overtaken.waiting + overtaken.never_leased
}

/// Leases messages again that came back.
fn lease_again(
    group: &mut Group,
    log: &mut Log,
    run: Offsets,
    limit: FetchLimit,
    holder: Holder,
    deadline: Now,
) -> Result<(Fetched, u32), Refusal> {
    let mut cursor = log.seek(run.first);
    let mut fetched = log.fetch(&mut cursor, limit)?;
    let found = Offsets::counted(fetched.base_offset, u64::from(fetched.count)).before(run.end);
    if found.first > run.first || fetched.count == 0 {
        // It was taken out of the journal as damaged.
        let missing = run.before(fetched.base_offset.max(run.first + 1));
        group.leases.settle(missing);
        fetched = Fetched { base_offset: missing.end, lost: missing.count(), ..Fetched::default() };
        return Ok((fetched, 1));
    }
    let deliveries = group.leases.lease_again(found, holder, deadline);
    Ok((fetched, deliveries))
}

/// Reads the record of one message.
fn read_one(log: &mut Log, offset: u64) -> Option<Fetched> {
    if offset < log.first_offset() {
        return None;
    }
    let mut cursor = log.seek(offset);
    let fetched = log.fetch(&mut cursor, FetchLimit { bytes_max: 1, count_max: 1 }).ok()?;
    (fetched.count == 1 && fetched.base_offset == offset).then_some(fetched)
}
