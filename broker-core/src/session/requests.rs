//! What each request does.

use super::answer::Answer;
use super::{Session, Target, Turn};
use crate::log::FetchLimit;
use crate::topic::Appended;
use crate::{Broker, Now, SessionKey};
use protocol::batch::too_large;
use protocol::{
    Code, Delivery, Messages, PublishAck, Push, Refusal, Request, SettleAnswer, Start,
    StorageClass, check_subscriber_id,
};
use tracing::{debug, info};

/// What became of a request.
#[derive(Debug)]
pub(super) enum Outcome {
    Answered(Answer),
    /// It is done, and wants no answer.
    Silent,
    /// It waits for room, and is to be handled again.
    Held {
        until: Now,
    },
}

impl Session {
    /// Does what `request` asks.
    pub(super) fn handle_request(
        &mut self,
        request: Request<'_>,
        correlation: u32,
        turn: &mut Turn<'_>,
    ) -> Outcome {
        let outcome = match request {
            Request::Publish { topic, messages, ack, .. } => {
                self.publish(&topic, &messages, ack, turn)
            }
            Request::Credit { subscription, bytes } => {
                self.pushes.credit(subscription, bytes).map(|()| Outcome::Silent)
            }
            Request::Ack { subscription, offset, answer } => {
                let acked = self.pushes.ack(subscription, offset, turn.wakes);
                acked.map(|()| match answer {
                    SettleAnswer::Wanted => Outcome::Answered(Answer::Done),
                    SettleAnswer::Unwanted => Outcome::Silent,
                })
            }
            other => self.rare(other, correlation, turn).map(Outcome::Answered),
        };
        outcome.unwrap_or_else(|refusal| Outcome::Answered(Answer::Refused(refusal)))
    }

    fn publish(
        &mut self,
        topic: &str,
        messages: &Messages<'_>,
        ack: PublishAck,
        turn: &mut Turn<'_>,
    ) -> Result<Outcome, Refusal> {
        if let Messages::One(payload) = messages {
            let max = self.broker.limits().message_bytes_max;
            if payload.len() > max {
                return Err(too_large(payload.len(), max));
            }
        }
        match self.append(topic, messages, turn)? {
            Appended::Held { until } => Ok(Outcome::Held { until }),
            Appended::At { base_offset, count } => {
                self.broker.tally().messages_came(count);
                debug!(connection = self.key.0, topic, base_offset, count, "published");
                Ok(match ack {
                    PublishAck::Wanted => {
                        Outcome::Answered(Answer::Published { base_offset, count })
                    }
                    PublishAck::Unwanted => Outcome::Silent,
                })
            }
        }
    }

    /// Appends to the topic of this name, which is looked up only where it is not the last one.
    fn append(
        &mut self,
        name: &str,
        messages: &Messages<'_>,
        turn: &mut Turn<'_>,
    ) -> Result<Appended, Refusal> {
        if let Some(target) = self.target.as_mut().filter(|target| **target.topic.name() == *name) {
            let appended = target.append(messages, self.key, &self.broker, turn);
            // The topic may have been deleted, and another of its name made.
            if !appended.as_ref().is_err_and(|refusal| refusal.code == Code::UnknownTopic) {
                return appended;
            }
        }
        self.wake_readers(turn.wakes);
        self.target = None;
        let topic = self.broker.topic(name)?;
        let target = self.target.insert(Target { topic, readers_to_wake: false });
        target.append(messages, self.key, &self.broker, turn)
    }

    fn rare(
        &mut self,
        request: Request<'_>,
        correlation: u32,
        turn: &mut Turn<'_>,
    ) -> Result<Answer, Refusal> {
        let connection = self.key.0;
        Ok(match request {
            Request::Create { topic, options } => {
                if options.storage == Some(StorageClass::Disk) {
                    return Err(Refusal::new(
                        Code::StorageUnavailable,
                        "expected a topic in memory; this broker keeps nothing on disk",
                    ));
                }
                self.broker.create(&topic, options.retention)?;
                info!(connection, topic = &*topic, "topic created");
                Answer::Done
            }
            Request::Delete { topic } => {
                self.broker.delete(&topic, turn.wakes)?;
                info!(connection, topic = &*topic, "topic deleted");
                Answer::Done
            }
            Request::Settle { .. }
            | Request::Seek { .. }
            | Request::Subscribe { acks: Some(_), .. }
            | Request::Subscribe {
                start: Start::Latest | Start::Offset(_) | Start::Time { .. },
                ..
            } => {
                return Err(Refusal::new(
                    Code::UnknownCommand,
                    "expected a subscription that is a cursor and begins with the oldest message",
                ));
            }
            Request::Subscribe { topic, subscriber, delivery, .. } => {
                let next_offset = match delivery {
                    Delivery::Pull => self.subscribe(&topic, &subscriber)?,
                    Delivery::Push(push) => {
                        self.attach(&topic, &subscriber, correlation, push, turn)?
                    }
                };
                info!(
                    connection,
                    topic = &*topic,
                    subscriber = &*subscriber,
                    next_offset,
                    "subscribed"
                );
                Answer::Subscribed { next_offset }
            }
            Request::Unsubscribe { topic, subscriber } => {
                let found = self.broker.topic(&topic)?;
                found.unsubscribe(&subscriber, &self.broker, turn.wakes)?;
                info!(connection, topic = &*topic, subscriber = &*subscriber, "unsubscribed");
                Answer::Done
            }
            Request::Detach { subscription } => {
                self.pushes.detach(subscription, &self.broker, turn.wakes)?;
                Answer::Done
            }
            Request::Pull { topic, subscriber, count_max } => {
                self.pull(&topic, &subscriber, count_max.unwrap_or(u32::MAX), turn)?
            }
            Request::ListTopics => Answer::Topics(self.broker.topics()),
            Request::Subscribers { topic } => {
                Answer::Subscribers(self.broker.topic(&topic)?.subscribers(&self.broker)?)
            }
            Request::Ping => Answer::Pong,
            Request::Info => Answer::Info(self.broker.info(turn.now)),
            Request::Publish { .. } | Request::Credit { .. } | Request::Ack { .. } => {
                unreachable!("these are handled before")
            }
        })
    }

    fn subscribe(&self, topic: &str, subscriber: &str) -> Result<u64, Refusal> {
        check_subscriber_id(subscriber, self.broker.name_limits())?;
        self.broker.topic(topic)?.subscribe(subscriber, &self.broker)
    }

    fn attach(
        &mut self,
        topic: &str,
        subscriber: &str,
        number: u32,
        push: Push,
        turn: &mut Turn<'_>,
    ) -> Result<u64, Refusal> {
        check_subscriber_id(subscriber, self.broker.name_limits())?;
        self.pushes.check_free(number, self.broker.limits())?;
        let topic = self.broker.topic(topic)?;
        let (grip, next_offset) =
            topic.attach(subscriber, self.key, number, push, &self.broker, turn.wakes)?;
        self.pushes.insert(number, topic, grip, push.credit_bytes);
        Ok(next_offset)
    }

    fn pull(
        &self,
        topic: &str,
        subscriber: &str,
        count_max: u32,
        turn: &mut Turn<'_>,
    ) -> Result<Answer, Refusal> {
        let topic = self.broker.topic(topic)?;
        let limit = FetchLimit { bytes_max: self.broker.limits().pull_bytes_max, count_max };
        let pulled = topic.pull(subscriber, limit, turn.now, &self.broker, turn.wakes)?;
        self.broker.tally().messages_left(pulled.fetched.count);
        Ok(Answer::Messages(pulled))
    }
}

impl Target {
    fn append(
        &mut self,
        messages: &Messages<'_>,
        publisher: SessionKey,
        broker: &Broker,
        turn: &mut Turn<'_>,
    ) -> Result<Appended, Refusal> {
        let appended = self.topic.append(messages, publisher, turn.now, broker, turn.wakes)?;
        self.readers_to_wake |= matches!(appended, Appended::At { .. });
        Ok(appended)
    }
}
