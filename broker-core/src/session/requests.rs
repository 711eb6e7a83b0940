//! What each request does.

use super::answer::Answer;
use super::{Session, Target, Turn};
use crate::journal::{LeaseTerms, Waits};
use crate::log::{FetchLimit, Incoming};
use crate::mqtt;
use crate::topic::{Appended, Attached, Named, Shown, Wanted, incoming};
use crate::{Broker, Now, SessionKey};
use protocol::batch::too_large;
use protocol::{
    AckTerms, Code, Delivery, Durability, Lifetime, Messages, OffsetRange, PublishAck,
    PublishTerms, Push, Refusal, Request, SettleAnswer, SettleTarget, Verdict, check_subscriber_id,
    check_topic_name,
};
use tracing::{debug, info};

/// What became of a request.
#[derive(Debug)]
pub(super) enum Outcome {
    /// It is answered so, when what the answer waits for is over.
    Answered(Answer, Option<Waits>),
    /// It is done, and wants no answer.
    Silent,
    /// It waits for room, and is to be handled again.
    Held { until: Now },
}

impl Outcome {
    pub(super) fn refused(refusal: Refusal) -> Self {
        Self::Answered(Answer::Refused(refusal), None)
    }

    /// Done, and answered where that is wanted.
    fn done(answer: SettleAnswer, waits: Option<Waits>) -> Self {
        match answer {
            SettleAnswer::Wanted => Self::Answered(Answer::Done, waits),
            SettleAnswer::Unwanted => Self::Silent,
        }
    }
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
            Request::Publish { topic, messages, ack, terms } => {
                self.publish(&topic, &messages, ack, terms, turn)
            }
            Request::Credit { subscription, bytes } => {
                self.pushes.credit(subscription, bytes).map(|()| Outcome::Silent)
            }
            Request::Ack { subscription, offset, answer } => {
                let acked = self.pushes.ack(subscription, offset, answer, &self.broker, turn.wakes);
                acked.map(|waits| Outcome::done(answer, waits))
            }
            Request::Settle { target, ranges, verdict, answer } => {
                let settled = self.settle(&target, &ranges, verdict, answer, turn);
                settled.map(|waits| Outcome::done(answer, waits))
            }
            other => self
                .rare(other, correlation, turn)
                .map(|(answer, waits)| Outcome::Answered(answer, waits)),
        };
        outcome.unwrap_or_else(Outcome::refused)
    }

    fn publish(
        &mut self,
        topic: &str,
        messages: &Messages<'_>,
        ack: PublishAck,
        terms: PublishTerms,
        turn: &mut Turn<'_>,
    ) -> Result<Outcome, Refusal> {
        if let Messages::One(payload) = messages {
            let max = self.broker.limits().message_bytes_max;
            if payload.len() > max {
                return Err(too_large(payload.len(), max));
            }
        }
        match self.append(topic, messages, terms, turn)? {
            Appended::Held { until } => Ok(Outcome::Held { until }),
            Appended::At { base_offset, count, waits, .. } => {
                self.broker.tally().messages_came(count);
                debug!(connection = self.key.0, topic, base_offset, count, "published");
                Ok(match ack {
                    PublishAck::Wanted => {
                        Outcome::Answered(Answer::Published { base_offset, count }, waits)
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
        terms: PublishTerms,
        turn: &mut Turn<'_>,
    ) -> Result<Appended, Refusal> {
        if let Some(target) = self.target.as_mut().filter(|target| **target.topic.name() == *name) {
            let appended = target.append_terms(messages, terms, self.key, &self.broker, turn);
            // The topic may have been deleted, and another of its name made.
            if !appended.as_ref().is_err_and(|refusal| refusal.code == Code::UnknownTopic) {
                return appended;
            }
        }
        self.wake_readers(turn.wakes);
        self.target = None;
        let topic = self.broker.topic(name)?;
        let target = self.target.insert(Target { topic, readers_to_wake: false });
        target.append_terms(messages, terms, self.key, &self.broker, turn)
    }

    fn rare(
        &mut self,
        request: Request<'_>,
        correlation: u32,
        turn: &mut Turn<'_>,
    ) -> Result<(Answer, Option<Waits>), Refusal> {
        let connection = self.key.0;
        Ok(match request {
            Request::Create { topic, options } => {
                let waits = self.broker.create(&topic, options, turn.wakes)?;
                info!(connection, topic = &*topic, "topic created");
                (Answer::Done, waits)
            }
            Request::Delete { topic } => {
                let waits = self.broker.delete(&topic, turn.wakes)?;
                info!(connection, topic = &*topic, "topic deleted");
                (Answer::Done, waits)
            }
            Request::Subscribe { topic, subscriber, delivery, start, acks } => {
                let lifetime = match &delivery {
                    Delivery::Pull => Lifetime::Named,
                    Delivery::Push(push) => push.lifetime,
                };
                let leases = acks.map(|acks| self.lease_terms(&topic, acks)).transpose()?;
                let wanted = Wanted { start, leases, lifetime };
                let (answer, waits) = match delivery {
                    Delivery::Pull => self.subscribe(&topic, &subscriber, &wanted)?,
                    Delivery::Push(push) => {
                        self.attach(&topic, &subscriber, &wanted, correlation, push, turn)?
                    }
                };
                info!(connection, topic = &*topic, subscriber = &*subscriber, "subscribed");
                (answer, waits)
            }
            Request::Unsubscribe { topic, subscriber } => {
                let found = self.broker.topic(&topic)?;
                let waits = found.unsubscribe(&subscriber, &self.broker, turn.wakes)?;
                info!(connection, topic = &*topic, subscriber = &*subscriber, "unsubscribed");
                (Answer::Done, waits)
            }
            Request::Seek { topic, subscriber, to } => {
                let found = self.broker.topic(&topic)?;
                let (next_offset, waits) = found.seek(&subscriber, to, &self.broker, turn.wakes)?;
                info!(connection, topic = &*topic, subscriber = &*subscriber, next_offset, "moved");
                (Answer::Subscribed { next_offset }, waits)
            }
            Request::Detach { subscription } => {
                self.pushes.detach(subscription, &self.broker, turn.wakes)?;
                (Answer::Done, None)
            }
            Request::Pull { topic, subscriber, count_max } => {
                self.pull(&topic, &subscriber, count_max.unwrap_or(u32::MAX), turn)?
            }
            Request::ListTopics => (Answer::Topics(self.broker.topics()), None),
            Request::Subscribers { topic } => {
                let ids = self.broker.topic(&topic)?.subscribers(&self.broker)?;
                (Answer::Subscribers(ids), None)
            }
            Request::Ping => (Answer::Pong, None),
            Request::Info => (Answer::Info(self.broker.info(turn.now)), None),
            Request::Publish { .. }
            | Request::Credit { .. }
            | Request::Ack { .. }
            | Request::Settle { .. } => unreachable!("these are handled before"),
        })
    }

    /// Names of MQTT's sessions are for them alone: they would take over what is not theirs, and
    /// no other subscription of such a name stands a restart.
    fn check_subscriber(&self, id: &str) -> Result<(), Refusal> {
        check_subscriber_id(id, self.broker.name_limits())?;
        match mqtt::OWN_PREFIXES.iter().find(|prefix| id.starts_with(**prefix)) {
            None => Ok(()),
            Some(prefix) => Err(Refusal::new(
                Code::InvalidSubscriber,
                format!(
                    "expected a subscriber id that does not begin with {prefix:?}, as those of MQTT sessions do; use another"
                ),
            )),
        }
    }

    fn subscribe(
        &self,
        topic: &str,
        subscriber: &str,
        wanted: &Wanted,
    ) -> Result<(Answer, Option<Waits>), Refusal> {
        self.check_subscriber(subscriber)?;
        let topic = self.broker.topic(topic)?;
        let (next_offset, waits) = topic.subscribe(subscriber, wanted, &self.broker)?;
        Ok((Answer::Subscribed { next_offset }, waits))
    }

    fn attach(
        &mut self,
        topic: &str,
        subscriber: &str,
        wanted: &Wanted,
        number: u32,
        push: Push,
        turn: &mut Turn<'_>,
    ) -> Result<(Answer, Option<Waits>), Refusal> {
        self.check_subscriber(subscriber)?;
        self.pushes.check_free(number, self.broker.limits())?;
        let topic = self.broker.topic(topic)?;
        let Attached { grip, next_offset, waits } =
            topic.attach(subscriber, wanted, self.key, number, push, &self.broker, turn.wakes)?;
        self.pushes.insert(number, topic, grip, push.credit_bytes);
        let attachment = grip.attachment;
        Ok((Answer::Attached { number, attachment, next_offset }, waits))
    }

    fn pull(
        &self,
        topic: &str,
        subscriber: &str,
        count_max: u32,
        turn: &mut Turn<'_>,
    ) -> Result<(Answer, Option<Waits>), Refusal> {
        let topic = self.broker.topic(topic)?;
        let limit = FetchLimit { bytes_max: self.broker.limits().pull_bytes_max, count_max };
        let pulled = topic.pull(subscriber, self.key, limit, turn.now, &self.broker, turn.wakes)?;
        self.broker.tally().messages_left(pulled.fetched.count);
        let waits = pulled.waits;
        Ok((Answer::Messages(pulled), waits))
    }

    fn settle(
        &mut self,
        target: &SettleTarget<'_>,
        ranges: &[OffsetRange],
        verdict: Verdict,
        answer: SettleAnswer,
        turn: &mut Turn<'_>,
    ) -> Result<Option<Waits>, Refusal> {
        match target {
            SettleTarget::Attached { subscription } => {
                self.pushes.settle(*subscription, ranges, verdict, answer, &self.broker, turn)
            }
            SettleTarget::Named { topic, subscriber } => {
                let topic = self.broker.topic(topic)?;
                let named = Named::Id(subscriber);
                topic.settle(named, ranges, verdict, answer, turn.now, &self.broker, turn.wakes)
            }
        }
    }

    /// The terms of a group, with what was left open filled in.
    fn lease_terms(&self, topic: &str, asked: AckTerms<'_>) -> Result<LeaseTerms, Refusal> {
        let limits = self.broker.limits();
        let or = |asked: u32, default: u32| if asked == 0 { default } else { asked };
        let dead_letter = match asked.dead_letter {
            Some(name) => name.into_owned(),
            None => format!("{topic}.dead-letter"),
        };
        check_topic_name(&dead_letter, self.broker.name_limits())?;
        let backoff_ms_min = or(asked.backoff_ms_min, limits.redelivery_backoff_ms_min);
        let backoff_ms_max = or(asked.backoff_ms_max, limits.redelivery_backoff_ms_max);
        Ok(LeaseTerms {
            ack_timeout_ms: or(asked.ack_timeout_ms, limits.ack_timeout_ms),
            in_flight_max: or(asked.in_flight_max, limits.in_flight_max),
            deliveries_max: or(asked.deliveries_max, limits.deliveries_max),
            backoff_ms_min,
            backoff_ms_max: backoff_ms_max.max(backoff_ms_min),
            dead_letter,
        })
    }
}

impl Target {
    fn append_terms(
        &mut self,
        messages: &Messages<'_>,
        terms: PublishTerms,
        publisher: SessionKey,
        broker: &Broker,
        turn: &mut Turn<'_>,
    ) -> Result<Appended, Refusal> {
        self.append(incoming(messages, terms), terms.durability, publisher, broker, turn)
    }

    /// Appends, and notes whether there are readers to be woken.
    pub(super) fn append(
        &mut self,
        incoming: Incoming<'_>,
        durability: Option<Durability>,
        publisher: SessionKey,
        broker: &Broker,
        turn: &mut Turn<'_>,
    ) -> Result<Appended, Refusal> {
        let topic = &self.topic;
        let appended =
            topic.append(incoming, durability, publisher, turn.now, broker, turn.wakes)?;
        self.readers_to_wake |= matches!(appended, Appended::At { shown: Shown::More, .. });
        Ok(appended)
    }
}
