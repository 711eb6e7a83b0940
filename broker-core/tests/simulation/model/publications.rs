//! Publications: taken, refused, or held until there is room.

use super::topic::{Attachment, Subscriber, Topic, batch_bytes};
use super::{Model, Moment, Pushing};
use crate::ask::{Ask, Sent};
use crate::payload::Payload;
use crate::said::Reply;
use broker_core::{Now, SessionKey};
use protocol::{Code, LagPolicy, PublishAck};

/// How a publication waits while nobody else has the room that it waits for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// The offset that it would get.
    pub(crate) next_offset: u64,
    /// Attachments that were made before any that it may be waiting for.
    attachments_before: u64,
    /// How often its deadline has passed.
    pub(crate) expiries: u64,
}

impl Model {
    pub(super) fn publish(
        &mut self,
        name: &str,
        payloads: &[Payload],
        ack: PublishAck,
        correlation: u32,
        at: &mut Moment<'_>,
    ) {
        if let Some(topic) = self.topics.get_mut(name) {
            topic.handle_age();
            topic.forget_held(at.key, at.now);
        }
        if let Err(code) = self.check_publish(name, payloads) {
            at.expect(correlation, &Reply::Refused(code));
            return;
        }
        let count = payloads.len() as u32;
        let base_offset = self.topics[name].next_offset();
        let answer = (ack == PublishAck::Wanted || at.is_refused(correlation))
            .then(|| at.reply(correlation));
        match answer {
            None => {}
            Some(Reply::Refused(Code::LimitReached)) => {
                self.check_memory_full(name, batch_bytes(payloads));
                self.end_laggards(name, at);
                return;
            }
            Some(answer) => {
                assert_eq!(answer, Reply::Published { base_offset, count }, "to {correlation}");
            }
        }
        self.messages_in += u64::from(count);
        self.topics.get_mut(name).expect("it was checked").append(payloads, at.now);
        self.end_laggards(name, at);
    }

    fn check_publish(&mut self, name: &str, payloads: &[Payload]) -> Result<(), Code> {
        let message_bytes_max = self.limits.message_bytes_max;
        if payloads.iter().any(|payload| payload.len() > message_bytes_max) {
            return Err(Code::MessageTooLarge);
        }
        match batch_bytes(payloads) > self.topic(name)?.bytes_max {
            true => Err(Code::MessageTooLarge),
            false => Ok(()),
        }
    }

    /// A publication was refused for want of memory: what other topics hold leaves no room.
    fn check_memory_full(&self, name: &str, batch_bytes: u64) {
        let others = self.topics.iter().filter(|(other, _)| *other != name);
        let others_bytes: u64 = others.map(|(_, topic)| topic.log_bytes_max()).sum();
        let memory_bytes_max = self.limits.memory_bytes_max as u64;
        assert!(
            others_bytes + batch_bytes > memory_bytes_max,
            "{batch_bytes} bytes were refused where others hold {others_bytes} of {memory_bytes_max}"
        );
    }

    /// What a session took nothing of is a publication that waits.
    pub(crate) fn handle_held(&mut self, sent: Option<&Sent>, at: &mut Moment<'_>) {
        let Some(Sent { ask: Ask::Publish { topic, payloads, .. }, .. }) = sent else {
            panic!("expected a publication to be held, found {sent:?}");
        };
        assert_eq!(self.check_publish(topic, payloads), Ok(()), "held, not refused");
        let found = self.topics.get_mut(topic).expect("it was checked");
        found.make_room(payloads);
        found.held_first.get_or_insert(at.now);
        found.held_last = Some(at.now);
        found.held.insert(at.key);
        assert!(
            found.subscribers.values().any(|subscriber| found.may_wait_for(subscriber)),
            "a publication is held, and there is nobody to wait for: {:#?}",
            found.subscribers
        );
        self.end_laggards(topic, at);
    }

    /// Attachments end of those who lag behind, and wanted to be disconnected then.
    fn end_laggards(&mut self, name: &str, at: &mut Moment<'_>) {
        let hold_ms_max = self.limits.publisher_hold_ms_max;
        let topic = self.topics.get_mut(name).expect("it was published to");
        while let Some(ending) = at.endings.next().filter(|ending| ending.code == Code::Lagging) {
            let next_offset = topic.next_offset();
            let ended = topic.subscribers.iter_mut().find_map(|(id, subscriber)| {
                let attachment = subscriber.attachment.as_ref()?;
                let is_it =
                    (attachment.session, attachment.number) == (ending.session, ending.number);
                is_it.then_some((id.clone(), subscriber))
            });
            let Some((id, subscriber)) = ended else { return };
            assert!(subscriber.needed_offset() < next_offset, "{id} has read all there is");
            let attachment = subscriber.detach().expect("it was found by it");
            assert_eq!(attachment.push.lag_policy, LagPolicy::Disconnect, "the policy of {id}");
            at.endings.explain(ending, attachment.serial);
            let caught_up_at = attachment.caught_up_at;
            let had_time = topic.was_held_for(hold_ms_max, caught_up_at, at.now);
            assert!(had_time, "{id} had no time to read");
            topic.forget_unless_named(&id, &attachment);
        }
    }

    /// Whether there is someone with something to read, for whom a publication may wait.
    pub(crate) fn has_cause_to_hold(&self, sent: &Sent) -> bool {
        let Ask::Publish { topic, .. } = &sent.ask else { return false };
        let Some(topic) = self.topics.get(topic) else { return false };
        topic.subscribers.values().any(|subscriber| topic.may_wait_for(subscriber))
    }

    /// Whether a publication may wait for as long as it takes: there is someone whose policy that
    /// is, and who has something to read.
    pub(crate) fn may_be_held_for_ever(&self, sent: &Sent) -> bool {
        let Ask::Publish { topic, .. } = &sent.ask else { return false };
        let Some(topic) = self.topics.get(topic) else { return false };
        topic.subscribers.values().any(|subscriber| {
            let holds = |a: &Attachment| a.push.lag_policy == LagPolicy::Hold;
            subscriber.attachment.as_ref().is_some_and(holds)
                && subscriber.needed_offset() < topic.next_offset()
        })
    }

    /// Whether there is the topic that a publication is for; it may have been deleted meanwhile.
    pub(crate) fn has_topic(&self, sent: &Sent) -> bool {
        matches!(&sent.ask, Ask::Publish { topic, .. } if self.topics.contains_key(topic))
    }

    /// Whom a publication that is held may be waiting for.
    pub(crate) fn patience(&self, sent: &Sent) -> Patience {
        let Ask::Publish { topic, .. } = &sent.ask else { panic!("only publications are held") };
        let topic = &self.topics[topic];
        let attached = topic.subscribers.values().filter(|s| s.attachment.is_some()).count();
        Patience {
            next_offset: topic.next_offset(),
            attachments_before: self.attachments_made - attached as u64,
            expiries: 0,
        }
    }

    /// How often time may pass in vain: once for each that was attached, or did so since.
    pub(crate) fn expiries_max(&self, patience: &Patience) -> u64 {
        self.attachments_made - patience.attachments_before
    }

    /// The numbers of a connection's subscriptions that have credit, and messages to read.
    pub(crate) fn undelivered(&self, session: SessionKey) -> impl Iterator<Item = u32> {
        let pushes = self.peers[&session].pushes.iter();
        pushes.filter(|(_, pushing)| self.has_undelivered(pushing)).map(|(number, _)| *number)
    }

    fn has_undelivered(&self, pushing: &Pushing) -> bool {
        let Some(topic) = self.topics.get(&pushing.topic) else { return false };
        let Some(subscriber) = topic.subscribers.get(&pushing.subscriber) else { return false };
        subscriber.attached_as(pushing.serial).is_some()
            && subscriber.position.is_some_and(|at| at.cursor < topic.next_offset())
            && pushing.credit_bytes > 0
    }
}

impl Topic {
    /// Whether publishers may be held for a subscriber: it is connected, has something to read,
    /// and was not overtaken since it is.
    fn may_wait_for(&self, subscriber: &Subscriber) -> bool {
        let Some(attachment) = &subscriber.attachment else { return false };
        let needed_offset = subscriber.needed_offset();
        let was_given_up = self.is_gone(needed_offset.max(attachment.attached_from));
        let goes_by_itself = self.age_ms_max.is_some() || self.was_overfilled;
        needed_offset < self.next_offset() && (goes_by_itself || !was_given_up)
    }

    /// Whether publishers may have been held for so long, and some were after `caught_up_at`.
    pub(super) fn was_held_for(&self, ms: u64, caught_up_at: Now, now: Now) -> bool {
        let was_held = self.held_last.is_some_and(|last| last >= caught_up_at);
        let long_enough = self.held_first.is_some_and(|first| now.ms_since(first) >= ms);
        ms == 0 || (long_enough && (was_held || !self.held.is_empty()))
    }

    /// What was held of a session's is no longer.
    pub(super) fn forget_held(&mut self, session: SessionKey, now: Now) {
        if self.held.remove(&session) {
            self.held_last = Some(now);
        }
    }
}
