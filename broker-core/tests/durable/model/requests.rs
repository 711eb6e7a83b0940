//! What a request does.

use super::answers::{Promise, Pull};
use super::group::Group;
use super::subscription::{Attachment, Subscription};
use super::topic::Publication;
use super::{Expected, Model, Origin, Span, Topic};
use crate::link::{CORRELATION_MIN, Pushing};
use crate::wire::{Ask, Payload, offsets};
use broker_core::SessionKey;
use broker_core::journal::Reached;
use protocol::batch::RECORD_HEADER_BYTES;
use protocol::{
    AckTerms, Code, Delivery, Durability, Lifetime, OffsetRange, PublishAck, PublishTerms, Push,
    Request, SettleAnswer, SettleTarget, StorageClass, TopicOptions, Verdict,
};

/// What is known of the moment in which a request was handled.
#[derive(Clone, Debug)]
pub(crate) struct Context {
    pub(crate) session: SessionKey,
    pub(crate) correlation: u32,
    /// Ends of the journal before and after.
    pub(crate) before: u64,
    pub(crate) after: u64,
    /// Messages that left.
    pub(crate) messages_out: u64,
    pub(crate) reached: Reached,
    pub(crate) has_failed: bool,
    pub(crate) unix_ms: u64,
    /// Where a subscription that begins so, begins.
    pub(crate) begins_at: Option<u64>,
    /// What is pushed to the session under the number that the request names.
    pub(crate) pushing: Option<Pushing>,
}

type Outcome = Result<Option<Expected>, Code>;

impl Model {
    /// Does what `ask` asks, and gives the answer that it is owed.
    pub(crate) fn handle(&mut self, ask: &Ask, at: &Context) -> Option<Expected> {
        self.steps += 1;
        let outcome = match ask {
            Ask::Greet => Ok(None),
            Ask::Publish { topic, payloads, ack, terms } => {
                self.publish(topic, payloads, *ack, *terms, at)
            }
            Ask::Request(request) => self.request(request, at),
        };
        outcome.unwrap_or_else(|code| Some(self.expected(Promise::Refused(code), at)))
    }

    fn expected(&self, promise: Promise, at: &Context) -> Expected {
        Expected::now(at.correlation, promise, self.steps)
    }

    /// Answered once the records that were just appended are as durable as this.
    fn stored(&self, promise: Promise, durability: Durability, at: &Context) -> Outcome {
        let expected = self.expected(promise, at);
        let durability = (at.after > at.before).then_some(durability);
        Ok(Some(Expected { stored: Span::at(at.after), durability, ..expected }))
    }

    fn existing(&mut self, name: &str) -> Result<&mut Topic, Code> {
        let index = self.find(name).ok_or(Code::UnknownTopic)?;
        Ok(&mut self.topics[index])
    }

    fn publish(
        &mut self,
        name: &str,
        payloads: &[Payload],
        ack: PublishAck,
        terms: PublishTerms,
        at: &Context,
    ) -> Outcome {
        let step = self.steps;
        let topic = self.existing(name)?;
        let own = topic.is_stored.then_some(topic.durability);
        if terms.durability.is_some_and(|asked| own.is_none_or(|own| asked > own)) {
            return Err(Code::StorageUnavailable);
        }
        let durability = terms.durability.or(own);
        let newest = topic.messages.last().map_or(Span::ALWAYS, |message| message.stored);
        let answer = |base_offset, stored: Span| {
            let expected = Expected::now(at.correlation, Promise::Published { base_offset }, step);
            let wanted = ack == PublishAck::Wanted;
            Ok(wanted.then_some(Expected { stored, durability, ..expected }))
        };
        if let Some(sequence) = terms.sequence {
            let known = topic.publications.iter();
            let mut own = known.filter(|p| p.sequence.publisher == sequence.publisher);
            if let Some(found) = own.clone().find(|p| p.sequence == sequence) {
                return answer(found.base_offset, newest);
            }
            if own.any(|p| p.sequence.sequence > sequence.sequence) {
                return Err(Code::StaleSequence);
            }
        }
        let bytes = payloads.iter().map(|payload| (RECORD_HEADER_BYTES + payload.len()) as u64);
        if bytes.sum::<u64>() > topic.bytes_max {
            return Err(Code::MessageTooLarge);
        }
        topic.make_room(payloads);
        if topic.is_stored && at.has_failed {
            return Err(Code::StorageFailed);
        }
        let base_offset = topic.next();
        let stored = if topic.is_stored { Span::at(at.after) } else { Span::ALWAYS };
        assert!(!topic.is_stored || at.after > at.before, "a publication is in the journal");
        topic.append(payloads, stored, at.unix_ms);
        topic.show(at.reached);
        if let Some(sequence) = terms.sequence {
            topic.publications.push(Publication { sequence, base_offset, stored });
        }
        answer(base_offset, stored)
    }

    fn request(&mut self, request: &Request<'static>, at: &Context) -> Outcome {
        match request {
            Request::Create { topic, options } => self.create(topic, *options, at),
            Request::Delete { topic } => {
                let found = self.existing(topic)?;
                if found.is_stored && at.has_failed {
                    return Err(Code::StorageFailed);
                }
                found.deleted = Some(Span::at(at.after));
                self.stored(Promise::Done, Durability::Sync, at)
            }
            Request::Subscribe { topic, subscriber, delivery, acks, .. } => {
                self.subscribe(topic, subscriber, delivery, acks.as_ref(), at)
            }
            Request::Unsubscribe { topic, subscriber } => {
                let found = self.existing(topic)?;
                let durability = found.durability;
                let index = found.find(subscriber).ok_or(Code::NotSubscribed)?;
                if found.subscriptions[index].created.is_some() && at.has_failed {
                    return Err(Code::StorageFailed);
                }
                found.remove(index, Span::at(at.after));
                self.stored(Promise::Done, durability, at)
            }
            Request::Seek { topic, subscriber, .. } => self.seek(topic, subscriber, at),
            Request::Detach { subscription } => {
                at.pushing.ok_or(Code::UnknownSubscription)?;
                if at.pushing == Some(Pushing::On) {
                    let end = if at.has_failed { u64::MAX } else { at.after };
                    self.detach(at.session, *subscription, end);
                }
                Ok(Some(self.expected(Promise::Done, at)))
            }
            Request::Credit { subscription, bytes } => {
                at.pushing.ok_or(Code::UnknownSubscription)?;
                if let Some((topic, index)) = self.attached(at.session, *subscription) {
                    let subscription = &mut topic.subscriptions[index];
                    let number = number_of(request);
                    let attachment = subscription.attachment_mut(at.session, number);
                    attachment.expect("it is attached").credit_bytes += i64::from(*bytes);
                }
                Ok(None)
            }
            Request::Ack { subscription, offset, answer } => {
                self.ack(*subscription, *offset, *answer, at)
            }
            Request::Settle { target, ranges, verdict, answer } => {
                self.settle(target, ranges, *verdict, *answer, at)
            }
            Request::Pull { topic, subscriber, count_max } => {
                self.pull(topic, subscriber, *count_max, at)
            }
            Request::ListTopics => {
                let mut names = self.names();
                names.sort_unstable();
                Ok(Some(self.expected(Promise::Names(names), at)))
            }
            Request::Subscribers { topic } => {
                let found = self.existing(topic)?;
                let names = found.subscriptions.iter().map(|found| found.name.clone());
                let mut names: Vec<_> = names.collect();
                names.sort_unstable();
                Ok(Some(self.expected(Promise::Names(names), at)))
            }
            Request::Publish { .. } | Request::Ping | Request::Info => {
                panic!("no client asks {request:?}")
            }
        }
    }

    fn create(&mut self, name: &str, options: TopicOptions, at: &Context) -> Outcome {
        let is_stored = options.storage != Some(StorageClass::Memory);
        if self.find(name).is_some() {
            return Err(Code::TopicExists);
        }
        if is_stored && at.has_failed {
            return Err(Code::StorageFailed);
        }
        let mut topic = Topic::new(name, Span::at(at.after), is_stored, Origin::Clients);
        topic.durability = options.durability.unwrap_or(Durability::Sync);
        let bytes_default = match is_stored {
            true => u64::MAX,
            false => broker_core::Limits::default().topic_bytes_max as u64,
        };
        topic.bytes_max = options.retention.bytes_max.unwrap_or(bytes_default);
        topic.messages_max = options.retention.messages_max.unwrap_or(u64::MAX);
        topic.age_ms_max = options.retention.age_ms_max.unwrap_or(u64::MAX);
        self.topics.push(topic);
        self.stored(Promise::Done, Durability::Sync, at)
    }

    fn subscribe(
        &mut self,
        topic: &str,
        subscriber: &str,
        delivery: &Delivery,
        acks: Option<&AckTerms<'static>>,
        at: &Context,
    ) -> Outcome {
        let push = match delivery {
            Delivery::Pull => None,
            Delivery::Push(_) if at.pushing.is_some() => return Err(Code::SubscriptionInUse),
            Delivery::Push(push) => Some(*push),
        };
        let step = self.steps;
        let topic = self.existing(topic)?;
        let durability = topic.is_stored.then_some(topic.durability);
        let found = topic.find(subscriber);
        if let Some(index) = found
            && topic.subscriptions[index].group.is_some() != acks.is_some()
        {
            return Err(Code::SubscriptionMismatch);
        }
        let lifetime = push.map_or(Lifetime::Named, |push| push.lifetime);
        let is_known = found.is_some_and(|index| topic.subscriptions[index].created.is_some());
        let stores = topic.is_stored && !is_known && lifetime == Lifetime::Named;
        if stores && at.has_failed {
            return Err(Code::StorageFailed);
        }
        let index = found.unwrap_or_else(|| {
            let offset = at.begins_at.expect("it was asked before");
            let group = acks.map(|acks| Group::new(acks.clone(), offset, step));
            topic.subscriptions.push(Subscription::new(subscriber, offset, group));
            topic.subscriptions.len() - 1
        });
        let subscription = &mut topic.subscriptions[index];
        assert_eq!(at.after > at.before, stores, "a subscription is stored once");
        if stores {
            subscription.store(Span::at(at.after));
        }
        if let Some(push) = push {
            subscription.attach(at, push);
        }
        let stored = subscription.created.unwrap_or(Span::ALWAYS);
        let next_offset = subscription.group.is_none().then_some(subscription.cursor);
        let attached = push.map(|_| (at.session, at.correlation));
        let expected = self.expected(Promise::Subscribed { next_offset, attached }, at);
        Ok(Some(Expected { stored, durability, ..expected }))
    }

    fn seek(&mut self, topic: &str, subscriber: &str, at: &Context) -> Outcome {
        let step = self.steps;
        let topic = self.existing(topic)?;
        let durability = topic.durability;
        let index = topic.find(subscriber).ok_or(Code::NotSubscribed)?;
        let subscription = &mut topic.subscriptions[index];
        if subscription.created.is_some() && at.has_failed {
            return Err(Code::StorageFailed);
        }
        let offset = at.begins_at.expect("it was asked before");
        let stored = subscription.span(at.after);
        subscription.cursor = offset;
        subscription.save(offset, stored);
        if let Some(group) = &mut subscription.group {
            group.seek(offset, stored, step);
        }
        let promise = Promise::Subscribed { next_offset: Some(offset), attached: None };
        self.stored(promise, durability, at)
    }

    /// Where nothing is pushed any more, and the session does not know it yet.
    fn ended(answer: SettleAnswer) -> Outcome {
        match answer {
            SettleAnswer::Wanted => Err(Code::UnknownSubscription),
            SettleAnswer::Unwanted => Ok(None),
        }
    }

    fn ack(&mut self, number: u32, offset: u64, answer: SettleAnswer, at: &Context) -> Outcome {
        at.pushing.ok_or(Code::UnknownSubscription)?;
        let Some((topic, index)) = self.attached(at.session, number) else {
            return Self::ended(answer);
        };
        let durability = topic.durability;
        let subscription = &mut topic.subscriptions[index];
        if subscription.group.is_some() {
            return Err(Code::SubscriptionMismatch);
        }
        if offset >= subscription.cursor {
            return Err(Code::InvalidValue);
        }
        let committed = subscription.committed.max(offset + 1);
        if answer == SettleAnswer::Unwanted {
            subscription.committed = committed;
            return Ok(None);
        }
        if subscription.created.is_some() && at.has_failed {
            return Err(Code::StorageFailed);
        }
        let stored = subscription.span(at.after);
        subscription.save(committed, stored);
        self.stored(Promise::Done, durability, at)
    }

    fn settle(
        &mut self,
        target: &SettleTarget<'static>,
        ranges: &[OffsetRange],
        verdict: Verdict,
        answer: SettleAnswer,
        at: &Context,
    ) -> Outcome {
        let step = self.steps;
        let (topic, index, answer) = match target {
            SettleTarget::Attached { subscription } => {
                at.pushing.ok_or(Code::UnknownSubscription)?;
                if at.pushing != Some(Pushing::On) {
                    return Ok(Some(self.expected(Promise::RefusedAsGone, at)));
                }
                let Some((topic, index)) = self.attached(at.session, *subscription) else {
                    panic!("{subscription} is pushed")
                };
                (topic, index, answer)
            }
            SettleTarget::Named { topic, subscriber } => {
                let topic = self.existing(topic)?;
                let index = topic.find(subscriber).ok_or(Code::NotSubscribed)?;
                (topic, index, SettleAnswer::Wanted)
            }
        };
        let durability = topic.durability;
        let subscription = &mut topic.subscriptions[index];
        let is_stored = subscription.created.is_some();
        let stored = subscription.span(at.after);
        let Some(group) = &mut subscription.group else { return Err(Code::SubscriptionMismatch) };
        let offsets: Vec<u64> = offsets(ranges).collect();
        let is_certain = group.knows(&offsets);
        if verdict == Verdict::Ack {
            let is_accepted = if is_stored { at.after > at.before } else { is_certain };
            match (is_accepted, is_certain) {
                (true, _) => group.settle(&offsets, stored, step),
                (false, true) if at.has_failed => return Err(Code::StorageFailed),
                (false, true) => panic!("an ack is stored"),
                (false, false) => return Err(Code::InvalidValue),
            }
        }
        let promise = match verdict == Verdict::Ack || is_certain {
            true => Promise::Done,
            false => Promise::DoneOrRefused(Code::InvalidValue),
        };
        let is_silent = answer == SettleAnswer::Unwanted;
        let outcome = self.stored(promise, durability, at)?;
        Ok(outcome.filter(|_| !is_silent))
    }

    fn pull(
        &mut self,
        name: &str,
        subscriber: &str,
        count_max: Option<u32>,
        at: &Context,
    ) -> Outcome {
        let topic = self.existing(name)?;
        let (durability, created) = (topic.durability, topic.created);
        let (first, visible) = (topic.first, topic.visible);
        let index = topic.find(subscriber).ok_or(Code::NotSubscribed)?;
        let subscription = &mut topic.subscriptions[index];
        let count = at.messages_out;
        if subscription.group.is_some() {
            let (topic, subscriber) = (name.to_owned(), subscriber.to_owned());
            let promise = Promise::Leased { topic, created, subscriber, count };
            return Ok(Some(self.expected(promise, at)));
        }
        let base_offset = subscription.cursor.max(first);
        let lost = base_offset - subscription.cursor;
        let has_more = visible > base_offset;
        let moves = has_more || lost > 0;
        if moves && subscription.created.is_some() && at.has_failed {
            return Err(Code::StorageFailed);
        }
        assert_eq!(has_more, count > 0, "{subscriber} pulls {count} of {base_offset} to {visible}");
        assert!(count <= u64::from(count_max.unwrap_or(u32::MAX)), "{count} were not asked for");
        let stored = subscription.span(at.after);
        subscription.cursor = base_offset + count;
        if moves {
            subscription.save(base_offset + count, stored);
        }
        if has_more {
            topic.check_fresh(base_offset, at.unix_ms);
        }
        let remaining = visible.saturating_sub(base_offset + count);
        let topic = name.to_owned();
        let pull = Pull { topic, created, base_offset, count, lost, remaining };
        self.stored(Promise::Pulled(pull), durability, at)
    }
}

impl Subscription {
    fn attach(&mut self, at: &Context, push: Push) {
        self.go_back();
        self.attachments.push(Attachment {
            session: at.session,
            number: at.correlation,
            push,
            has_begun: false,
            credit_bytes: i64::from(push.credit_bytes),
        });
    }
}

/// The number of the push subscription that a request is about.
pub(crate) fn number_of(request: &Request<'_>) -> u32 {
    match request {
        Request::Detach { subscription }
        | Request::Credit { subscription, .. }
        | Request::Ack { subscription, .. }
        | Request::Settle { target: SettleTarget::Attached { subscription }, .. } => *subscription,
        _ => CORRELATION_MIN,
    }
}
