//! Dead letters: messages that a group was given in vain go to another topic, with their origin.

use crate::log::Fetched;
use crate::topic::{Appended, DeadLetter, Topic, incoming};
use crate::{Broker, Now, SessionKey, Wakes};
use protocol::batch::{self, BatchBuilder};
use protocol::{Code, Messages, PublishTerms, Refusal, StorageClass, TopicOptions};
use std::sync::Arc;

/// Dead letters of one topic that are brought away at once.
const LETTERS_PER_TICK_MAX: usize = 1000;

/// Who publishes dead letters: no connection.
const UNDERTAKER: SessionKey = SessionKey(u64::MAX);

/// Headers of a dead letter that tell where it comes from.
pub mod origin {
    /// The topic that it was published to.
    pub const TOPIC: &str = "tandem.origin.topic";
    /// Its offset there, in decimal digits.
    pub const OFFSET: &str = "tandem.origin.offset";
    /// The subscription that it was delivered to in vain.
    pub const SUBSCRIPTION: &str = "tandem.origin.subscription";
    /// How often it was delivered, in decimal digits.
    pub const DELIVERIES: &str = "tandem.origin.deliveries";
}

impl Broker {
    /// Brings messages that were delivered in vain to their dead-letter topics. What cannot go
    /// there yet stays, and is tried again with the next tick.
    pub(crate) fn bury_dead(&self, topic: &Arc<Topic>, now: Now, wakes: &mut Wakes) {
        for _ in 0..LETTERS_PER_TICK_MAX {
            let Some(dead) = topic.poll_dead() else { return };
            let buried = match &dead.record {
                None => topic.bury(&dead, wakes).map(|()| true),
                Some(record) => self
                    .publish_dead(topic.name(), &dead, record, now, wakes)
                    .and_then(|published| match published {
                        true => topic.bury(&dead, wakes).map(|()| true),
                        false => Ok(false),
                    }),
            };
            match buried {
                Ok(true) => {}
                Ok(false) => return,
                Err(refusal) => {
                    tracing::warn!(
                        topic = &**topic.name(),
                        offset = dead.offset,
                        dead_letter_topic = dead.dead_letter_topic,
                        %refusal,
                        "a dead letter stays where it is"
                    );
                    return;
                }
            }
        }
    }

    /// Publishes a dead letter; gives whether it is published, or has to wait for room.
    fn publish_dead(
        &self,
        origin: &str,
        dead: &DeadLetter,
        record: &Fetched,
        now: Now,
        wakes: &mut Wakes,
    ) -> Result<bool, Refusal> {
        let record = record.spans.concat();
        let Some(record) = batch::records(&record).next() else { return Ok(true) };
        let (offset, deliveries) = (dead.offset.to_string(), dead.deliveries.to_string());
        let origin = [
            (origin::TOPIC, origin.as_bytes()),
            (origin::OFFSET, offset.as_bytes()),
            (origin::SUBSCRIPTION, dead.subscriber.as_bytes()),
            (origin::DELIVERIES, deliveries.as_bytes()),
        ];
        let mut builder = BatchBuilder::new();
        let headers = record.headers.chain(origin);
        builder.push_with_headers(headers, record.payload)?;
        let messages = Messages::Batch(builder.batch());
        let topic = self.dead_letter_topic(dead, wakes)?;
        let incoming = incoming(&messages, PublishTerms::default());
        let appended = topic.append(incoming, None, UNDERTAKER, now, self, wakes)?;
        topic.wake_readers(wakes);
        Ok(matches!(appended, Appended::At { .. }))
    }

    /// The topic for a dead letter, made like the one that it comes from where there is none.
    fn dead_letter_topic(
        &self,
        dead: &DeadLetter,
        wakes: &mut Wakes,
    ) -> Result<Arc<Topic>, Refusal> {
        let name = &dead.dead_letter_topic;
        if let Ok(topic) = self.topic(name) {
            return Ok(topic);
        }
        let storage =
            if dead.durability.is_some() { StorageClass::Disk } else { StorageClass::Memory };
        let options = TopicOptions {
            storage: Some(storage),
            durability: dead.durability,
            ..TopicOptions::default()
        };
        match self.create(name, options, wakes) {
            Err(refusal) if refusal.code != Code::TopicExists => Err(refusal),
            _ => self.topic(name),
        }
    }
}
