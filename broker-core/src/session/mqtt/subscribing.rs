//! SUBSCRIBE and UNSUBSCRIBE (MQTT 5.0 §3.8–§3.11).

use super::{Mqtt, RetainedWanted, Told, encoded, reason_of};
use crate::journal::Waits;
use crate::limits::MQTT_ID_BYTES_MAX;
use crate::mqtt::{SYS_PREFIX, Subscription, Terms, later};
use crate::session::answer::Answer;
use crate::session::{Session, Turn};
use protocol::Refusal;
use protocol::mqtt::topics::Filter;
use protocol::mqtt::{Packet, Properties, ReasonCode, SubAck, Subscribe, UnsubAck, Unsubscribe};

/// What becomes of one filter.
enum Granted {
    Yes(Subscription),
    No(ReasonCode),
    /// The connection ends.
    Fatal(ReasonCode, &'static str),
}

impl Session {
    pub(super) fn handle_subscribe(
        &mut self,
        mqtt: &mut Mqtt,
        subscribe: &Subscribe<'_>,
        turn: &mut Turn<'_>,
    ) {
        let identifier = subscribe.properties.subscription_identifier();
        let mut reasons = Vec::new();
        let (mut waits, mut readers, mut retained) = (None, Vec::new(), 0);
        for (filter, options) in subscribe.filters.iter() {
            match self.subscribe_one(mqtt, filter, Terms { options, identifier }, turn) {
                Granted::Yes(made) => {
                    reasons.push(options.qos.number());
                    waits = later(waits, made.waits);
                    readers.extend(made.readers);
                    retained += self.want_retained(mqtt, made.retained);
                }
                Granted::No(reason) => reasons.push(reason.number()),
                Granted::Fatal(reason, message) => return self.fail(mqtt, reason, message, turn),
            }
        }
        let Some(link) = &mqtt.link else { return };
        let answer = SubAck {
            packet_id: subscribe.packet_id,
            properties: Properties::default(),
            reasons: &reasons,
        };
        let packets = encoded(&Packet::SubAck(answer), link.version);
        let then = Some(Told::Subscribed { readers, retained });
        self.answer(Answer::Packets { packets, then }, waits, 0, turn);
    }

    fn subscribe_one(
        &mut self,
        mqtt: &mut Mqtt,
        filter: &str,
        terms: Terms,
        turn: &mut Turn<'_>,
    ) -> Granted {
        let key = self.key;
        let Some(link) = &mqtt.link else { return Granted::No(ReasonCode::UnspecifiedError) };
        let parsed = match Filter::parse(filter) {
            Ok(parsed) => parsed,
            Err(error) => {
                tracing::info!(connection = key.0, filter, %error, "not subscribed");
                return Granted::No(ReasonCode::TopicFilterInvalid);
            }
        };
        if filter == "$share" {
            return Granted::No(ReasonCode::TopicFilterInvalid);
        }
        if parsed.share.is_some() && terms.options.no_local {
            // [MQTT-3.8.3-4]
            let message = "expected no No Local option with a shared subscription";
            return Granted::Fatal(ReasonCode::ProtocolError, message);
        }
        if let Err(reason) = self.check_filter(filter, &parsed) {
            return Granted::No(reason);
        }
        if parsed.levels.starts_with(SYS_PREFIX) {
            self.broker.want_sys(turn.now, turn.wakes);
        }
        let Some(mut state) = link.state(key) else {
            return Granted::No(ReasonCode::UnspecifiedError);
        };
        let retained = link.retained.len() + state.retained.len();
        if retained > self.broker.limits().retained_messages_max {
            // A client that does not read them may ask for all again and again.
            tracing::info!(
                connection = key.0,
                filter,
                retained,
                "not subscribed: reads too little"
            );
            return Granted::No(ReasonCode::QuotaExceeded);
        }
        let made =
            self.broker.subscribe_client(&link.client, &mut state, filter, terms, turn.wakes);
        match made {
            Ok(made) => {
                tracing::info!(connection = key.0, filter, "subscribed");
                Granted::Yes(made)
            }
            Err(refusal) => {
                tracing::info!(connection = key.0, filter, %refusal, "not subscribed");
                Granted::No(reason_of(&refusal))
            }
        }
    }

    fn check_filter(&self, filter: &str, parsed: &Filter<'_>) -> Result<(), ReasonCode> {
        let limits = self.broker.limits();
        let is_too_deep = parsed.levels.split('/').count() > limits.mqtt_topic_levels_max;
        let bytes_max = limits.topic_name_bytes_max.min(MQTT_ID_BYTES_MAX);
        if is_too_deep || filter.len() > bytes_max {
            return Err(ReasonCode::TopicFilterInvalid);
        }
        Ok(())
    }

    /// Notes the retained messages that follow when the subscription is answered. Gives how many.
    fn want_retained(
        &self,
        mqtt: &mut Mqtt,
        topics: Vec<(std::sync::Arc<crate::topic::Topic>, crate::mqtt::Reading)>,
    ) -> usize {
        let Some(link) = &mut mqtt.link else { return 0 };
        let before = link.retained.len();
        let wanted = topics.into_iter().filter_map(|(topic, reading)| {
            let message = topic.retained()?;
            Some(RetainedWanted { topic, message, reading })
        });
        link.retained.extend(wanted);
        link.retained.len() - before
    }

    pub(super) fn handle_unsubscribe(
        &mut self,
        mqtt: &mut Mqtt,
        unsubscribe: &Unsubscribe<'_>,
        turn: &mut Turn<'_>,
    ) {
        let mut reasons = Vec::new();
        let mut waits = None;
        for filter in unsubscribe.filters.iter() {
            match self.unsubscribe_one(mqtt, filter, turn) {
                Some(Ok(over)) => {
                    reasons.push(ReasonCode::Success.number());
                    waits = later(waits, over);
                }
                Some(Err(refusal)) => {
                    return self.fail(mqtt, reason_of(&refusal), &refusal.message, turn);
                }
                None => {
                    let reason = match Filter::parse(filter) {
                        Ok(_) => ReasonCode::NoSubscriptionExisted,
                        Err(_) => ReasonCode::TopicFilterInvalid,
                    };
                    reasons.push(reason.number());
                }
            }
        }
        let answer = UnsubAck {
            packet_id: unsubscribe.packet_id,
            properties: Properties::default(),
            reasons: &reasons,
        };
        self.tell_stored(mqtt, &Packet::UnsubAck(answer), waits, turn);
    }

    fn unsubscribe_one(
        &mut self,
        mqtt: &mut Mqtt,
        filter: &str,
        turn: &mut Turn<'_>,
    ) -> Option<Result<Option<Waits>, Refusal>> {
        let key = self.key;
        let link = mqtt.link.as_ref()?;
        let mut state = link.state(key)?;
        self.broker.unsubscribe_client(&link.client, &mut state, filter, turn.wakes)
    }
}
