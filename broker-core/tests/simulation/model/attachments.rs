//! Push subscriptions: who is attached to what, and what is delivered to them.

use super::ending::Ending;
use super::topic::{Attachment, Taken, Topic};
use super::{Model, Moment, Pushing};
use crate::payload::Payload;
use crate::said::Said;
use broker_core::{Now, SessionKey};
use protocol::batch::RECORD_HEADER_BYTES;
use protocol::{AckMode, Code, LagPolicy, Lifetime, Push};

impl Model {
    /// Attaches a connection to a subscription that is there; the one before it is told.
    pub(super) fn attach(
        &mut self,
        name: &str,
        id: &str,
        number: u32,
        push: Push,
        at: &mut Moment<'_>,
    ) {
        self.attachments_made += 1;
        let serial = self.attachments_made;
        let topic = self.topics.get_mut(name).expect("it was checked");
        let held_from = topic.held_from;
        let next_offset = topic.next_offset();
        let subscriber = topic.subscribers.get_mut(id).expect("it was made before");
        if let Some(before) = subscriber.detach() {
            at.endings.explain(before.ending(Code::TakenOver), before.serial);
        }
        let cursor = subscriber.position.map_or(next_offset, |position| position.cursor);
        let attached_from = held_from.max(cursor);
        let safe_from = attached_from;
        let (session, caught_up_at) = (at.key, at.now);
        subscriber.attachment = Some(Attachment {
            serial,
            session,
            number,
            push,
            attached_from,
            safe_from,
            caught_up_at,
        });
        let pushing = Pushing {
            serial,
            topic: name.to_owned(),
            subscriber: id.to_owned(),
            credit_bytes: i64::from(push.credit_bytes),
        };
        self.peers.get_mut(&at.key).expect("a connection").pushes.insert(number, pushing);
    }

    /// Whether a connection may have one more push subscription, of this number.
    pub(super) fn check_free(&self, key: SessionKey, number: u32) -> Result<(), Code> {
        let pushes = &self.peers[&key].pushes;
        if pushes.contains_key(&number) {
            return Err(Code::SubscriptionInUse);
        }
        match pushes.len() < self.limits.attachments_per_connection_max {
            true => Ok(()),
            false => Err(Code::LimitReached),
        }
    }

    fn pushing(&mut self, key: SessionKey, number: u32) -> Result<&mut Pushing, Code> {
        let peer = self.peers.get_mut(&key).expect("a connection");
        peer.pushes.get_mut(&number).ok_or(Code::UnknownSubscription)
    }

    pub(super) fn credit(&mut self, key: SessionKey, number: u32, bytes: u32) -> Result<(), Code> {
        self.pushing(key, number)?.credit_bytes += i64::from(bytes);
        Ok(())
    }

    pub(super) fn ack(
        &mut self,
        key: SessionKey,
        number: u32,
        offset: u64,
        now: Now,
    ) -> Result<(), Code> {
        let pushing = self.pushing(key, number)?.clone();
        let Some(topic) = self.topics.get_mut(&pushing.topic) else { return Ok(()) };
        let next_offset = topic.next_offset();
        let subscriber = topic.subscribers.get_mut(&pushing.subscriber);
        // One that ended meanwhile is told so; its acknowledgements are too late.
        let Some(subscriber) = subscriber else { return Ok(()) };
        if subscriber.attached_as(pushing.serial).is_none() {
            return Ok(());
        }
        let position = subscriber.position.as_mut().expect("SUBSCRIBE told where it is");
        if offset >= position.cursor {
            return Err(Code::InvalidValue);
        }
        position.committed = position.committed.max(offset + 1);
        subscriber.note_caught_up(next_offset, now);
        Ok(())
    }

    pub(super) fn detach(&mut self, key: SessionKey, number: u32) -> Result<(), Code> {
        let peer = self.peers.get_mut(&key).expect("a connection");
        let pushing = peer.pushes.remove(&number).ok_or(Code::UnknownSubscription)?;
        self.let_go(&pushing);
        Ok(())
    }

    fn let_go(&mut self, pushing: &Pushing) {
        let Some(topic) = self.topics.get_mut(&pushing.topic) else { return };
        let Some(subscriber) = topic.subscribers.get_mut(&pushing.subscriber) else { return };
        if subscriber.attached_as(pushing.serial).is_none() {
            return;
        }
        let attachment = subscriber.detach().expect("it was found attached");
        topic.forget_unless_named(&pushing.subscriber, &attachment);
    }

    pub(super) fn unsubscribe(
        &mut self,
        name: &str,
        id: &str,
        at: &mut Moment<'_>,
    ) -> Result<(), Code> {
        let removed = self.topic(name)?.subscribers.remove(id).ok_or(Code::NotSubscribed)?;
        if let Some(attachment) = removed.attachment {
            at.endings.explain(attachment.ending(Code::Unsubscribed), attachment.serial);
        }
        Ok(())
    }

    pub(super) fn delete(&mut self, name: &str, at: &mut Moment<'_>) -> Result<(), Code> {
        self.topic(name)?;
        let topic = self.topics.remove(name).expect("it was found");
        let attachments = || topic.subscribers.values().filter_map(|s| s.attachment.as_ref());
        for _ in attachments() {
            let next = at.endings.next();
            let ended = attachments().find(|a| Some(a.ending(Code::TopicDeleted)) == next);
            let ended = ended.unwrap_or_else(|| panic!("{next:?} is of nobody on {name:?}"));
            at.endings.explain(ended.ending(Code::TopicDeleted), ended.serial);
        }
        Ok(())
    }

    /// The connection is gone.
    pub(crate) fn handle_close(&mut self, key: SessionKey, now: Now) {
        self.topics.values_mut().for_each(|topic| topic.forget_held(key, now));
        let peer = self.peers.remove(&key).expect("a connection");
        peer.pushes.values().for_each(|pushing| self.let_go(pushing));
    }

    /// An attachment ended, and its session learns of it: gives what it is to say.
    pub(crate) fn handle_ended(
        &mut self,
        key: SessionKey,
        number: u32,
        serial: Option<u64>,
        code: Code,
    ) -> Option<Said> {
        let pushes = &mut self.peers.get_mut(&key).expect("a connection").pushes;
        let is_known = pushes.get(&number).is_some_and(|push| Some(push.serial) == serial);
        is_known.then(|| {
            pushes.remove(&number);
            Said::Ended { number, code }
        })
    }

    /// The numbers of a connection's push subscriptions.
    pub(crate) fn numbers(&self, key: SessionKey) -> Vec<u32> {
        self.peers[&key].pushes.keys().copied().collect()
    }

    /// Holds one thing that was written for a push subscription against what it has to be.
    pub(crate) fn handle_pushed(&mut self, key: SessionKey, said: &Said, now: Now) {
        let (number, taken) = match said {
            Said::Lost { number, count, next_offset } => {
                assert!(*count > 0, "none were lost");
                let base_offset = Some(*next_offset);
                (*number, Taken { base_offset, lost: *count, payloads: &[] })
            }
            Said::Deliver { number, base_offset, payloads } => {
                assert!(!payloads.is_empty(), "nothing is delivered");
                (*number, Taken { base_offset: Some(*base_offset), lost: 0, payloads })
            }
            other => panic!("expected a delivery, found {other:?}"),
        };
        self.messages_out += taken.payloads.len() as u64;
        self.spend_credit(key, number, taken.payloads);
        let hold_ms_max = self.limits.publisher_hold_ms_max;
        let pushing = self.pushing(key, number).expect("a delivery has a subscription").clone();
        let topic = self.topics.get_mut(&pushing.topic).expect("a delivery has a topic");
        let attachment = topic.subscribers.get(&pushing.subscriber);
        let attachment = attachment.and_then(|subscriber| subscriber.attached_as(pushing.serial));
        let attachment = attachment.expect("no delivery after the attachment ended").clone();
        let base_offset = topic.read(&pushing.subscriber, &taken, now);
        if taken.lost > 0 {
            topic.check_loss(&attachment, base_offset, hold_ms_max, now);
        }
        topic.note_fetch(&pushing.subscriber, base_offset, now);
    }

    fn spend_credit(&mut self, key: SessionKey, number: u32, payloads: &[Payload]) {
        let bytes: usize = payloads.iter().map(|payload| RECORD_HEADER_BYTES + payload.len()).sum();
        let bytes = bytes as i64;
        let output_bytes_max = self.limits.output_bytes_max as i64;
        let pushing = self.pushing(key, number).expect("a delivery has a subscription");
        let credit_bytes = pushing.credit_bytes;
        assert!(credit_bytes > 0, "a delivery of {bytes} bytes without credit");
        assert!(
            payloads.len() <= 1 || bytes <= credit_bytes.min(output_bytes_max),
            "{} messages of {bytes} bytes with credit for {credit_bytes}",
            payloads.len()
        );
        pushing.credit_bytes -= bytes;
    }

    /// All that is attached has read all there is.
    pub(crate) fn check_all_delivered(&self) {
        for (name, topic) in &self.topics {
            for (id, subscriber) in &topic.subscribers {
                if subscriber.attachment.is_some() {
                    let cursor = subscriber.position.map(|position| position.cursor);
                    assert_eq!(cursor, Some(topic.next_offset()), "{id} of {name:?} at rest");
                }
            }
        }
    }
}

impl Topic {
    /// Where messages were lost, they were gone before it attached, or it had its time.
    fn check_loss(&self, attachment: &Attachment, base_offset: u64, hold_ms_max: u64, now: Now) {
        if base_offset <= attachment.safe_from || self.age_ms_max.is_some() || self.was_overfilled {
            return;
        }
        let Attachment { push, safe_from, caught_up_at, .. } = attachment;
        assert_eq!(push.lag_policy, LagPolicy::Skip, "lost {safe_from} to {base_offset}");
        assert!(
            self.was_held_for(hold_ms_max, *caught_up_at, now),
            "lost {safe_from} to {base_offset}, and no publisher was held for it"
        );
    }

    /// What was sent counts as read, unless it is to be acknowledged.
    fn note_fetch(&mut self, id: &str, base_offset: u64, now: Now) {
        let next_offset = self.next_offset();
        let subscriber = self.subscribers.get_mut(id).expect("it has just read");
        let position = subscriber.position.as_mut().expect("it has just read");
        let Some(attachment) = &mut subscriber.attachment else { return };
        attachment.safe_from = attachment.safe_from.min(base_offset);
        if attachment.push.ack_mode == AckMode::OnSend {
            position.committed = position.cursor;
        }
        subscriber.note_caught_up(next_offset, now);
    }

    /// A subscription that was its connection's goes with it.
    pub(super) fn forget_unless_named(&mut self, id: &str, attachment: &Attachment) {
        if attachment.push.lifetime == Lifetime::Connection {
            self.subscribers.remove(id);
        }
    }
}

impl Attachment {
    fn ending(&self, code: Code) -> Ending {
        Ending { session: self.session, number: self.number, code }
    }
}
