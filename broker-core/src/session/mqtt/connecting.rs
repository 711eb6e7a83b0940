//! CONNECT: who the client is, and what goes on of its session (MQTT 5.0 §3.1, §3.2).

use super::ending::Farewell;
use super::publishing::Batch;
use super::{Link, Mqtt, Told, encoded, reason_of};
use crate::mqtt::{Begin, CleanStart, EXPIRY_NEVER_S};
use crate::session::answer::Answer;
use crate::session::{Session, Turn};
use protocol::mqtt::{
    ConnAck, Connect, Packet, Properties, Property, ReasonCode, Version, topics::check_topic,
};
use std::collections::VecDeque;

/// A client is given up on when it was silent for one and a half times its keep-alive
/// ([MQTT-3.1.2-22]).
const KEEP_ALIVE_PATIENCE_PER_S_MS: u64 = 1500;

/// Why a client is not let in.
struct NotAccepted {
    reason: ReasonCode,
    message: String,
}

impl Session {
    pub(super) fn handle_connect(
        &mut self,
        mqtt: &mut Mqtt,
        connect: &Connect<'_>,
        turn: &mut Turn<'_>,
    ) {
        if mqtt.link.is_some() {
            let message = "expected one CONNECT on a connection, found a second";
            return self.fail(mqtt, ReasonCode::ProtocolError, message, turn);
        }
        if let Some(refusal) = self.refused.take() {
            self.refused = Some(refusal.clone());
            let reason = ReasonCode::ServerBusy;
            return self.refuse_connect(
                mqtt,
                Some(connect.version),
                reason,
                &refusal.message,
                turn,
            );
        }
        if let Err(NotAccepted { reason, message }) = self.check_connect(connect) {
            return self.refuse_connect(mqtt, Some(connect.version), reason, &message, turn);
        }
        mqtt.decoder.set_version(connect.version);
        self.accept_client(mqtt, connect, turn);
    }

    fn check_connect(&self, connect: &Connect<'_>) -> Result<(), NotAccepted> {
        let limits = self.broker.limits();
        let refused = |reason, message: String| Err(NotAccepted { reason, message });
        if connect.properties.authentication_method().is_some() {
            let message = "expected no authentication method, since the broker has none";
            return refused(ReasonCode::BadAuthenticationMethod, message.to_owned());
        }
        if connect.client_id.is_empty() && !connect.version.is_v5() && !connect.clean_start {
            let message = "expected a client identifier for a session that is kept, found none";
            return refused(ReasonCode::ClientIdentifierNotValid, message.to_owned());
        }
        if connect.client_id.is_empty() && connect.version == Version::V31 {
            // MQTT 3.1 §3.1: from 1 to 23 characters. Longer ones do no harm.
            let message = "expected a client identifier of at least one character, found none";
            return refused(ReasonCode::ClientIdentifierNotValid, message.to_owned());
        }
        let max = limits.mqtt_client_id_bytes_max;
        if connect.client_id.len() > max {
            let found = connect.client_id.len();
            return refused(
                ReasonCode::ClientIdentifierNotValid,
                format!(
                    "expected a client identifier of at most {max} bytes, found {found}; shorten it, or raise mqtt_client_id_bytes_max"
                ),
            );
        }
        let Some(will) = &connect.will else { return Ok(()) };
        if let Err(error) = check_topic(will.topic) {
            return refused(ReasonCode::TopicNameInvalid, format!("the will's topic: {error}"));
        }
        if let Err(refusal) = self.check_publication(will.topic) {
            return refused(reason_of(&refusal), format!("the will's topic: {}", refusal.message));
        }
        let found = will.payload.len() + will.properties.bytes().len();
        let max = limits.message_bytes_max;
        if found > max {
            return refused(
                ReasonCode::PacketTooLarge,
                format!(
                    "expected a will of at most {max} bytes, found {found}; shorten it, or raise message_bytes_max"
                ),
            );
        }
        Ok(())
    }

    fn accept_client(&mut self, mqtt: &mut Mqtt, connect: &Connect<'_>, turn: &mut Turn<'_>) {
        let version = connect.version;
        let assigned = connect.client_id.is_empty().then(|| self.broker.mqtt_new_identifier());
        let id = assigned.as_deref().unwrap_or(connect.client_id);
        let asked_expiry_s = match version.is_v5() {
            true => connect.properties.session_expiry_interval_s().unwrap_or(0),
            false if connect.clean_start => 0,
            false => EXPIRY_NEVER_S,
        };
        let (client, begun, expiry_s) = loop {
            let Some(client) = self.broker.mqtt_client(id) else {
                let max = self.broker.limits().mqtt_sessions_max;
                let message = format!(
                    "the broker holds {max} sessions; end some, or raise mqtt_sessions_max"
                );
                let reason = ReasonCode::QuotaExceeded;
                return self.refuse_connect(mqtt, Some(version), reason, &message, turn);
            };
            let mut state = client.lock();
            // It expired between being found and being held.
            if state.is_over {
                continue;
            }
            let begin = Begin {
                session: self.key,
                start: if connect.clean_start { CleanStart::Yes } else { CleanStart::No },
                expiry_s: asked_expiry_s,
                will: connect.will.map(Into::into),
            };
            let begun = self.broker.begin_session(&client, &mut state, begin, turn.now, turn.wakes);
            match begun {
                Ok(begun) => {
                    let expiry_s = state.expiry_s;
                    drop(state);
                    break (client, begun, expiry_s);
                }
                Err(refusal) => {
                    drop(state);
                    let reason = reason_of(&refusal);
                    let message = refusal.message;
                    return self.refuse_connect(mqtt, Some(version), reason, &message, turn);
                }
            }
        };
        tracing::info!(
            connection = self.key.0,
            client = &*client.id,
            version = version.level(),
            resumed = begun.present,
            "MQTT client accepted"
        );
        self.broker.tally().mqtt_connections_moved(1);
        let limits = self.broker.limits();
        let keep_alive_s = match (limits.mqtt_keep_alive_s_max, connect.keep_alive_s) {
            (0, asked) => asked,
            (max, 0) if version.is_v5() => max,
            // Clients before 5.0 cannot be told.
            (max, asked) if version.is_v5() => asked.min(max),
            (_, asked) => asked,
        };
        let properties = connect.properties;
        let receive_max = properties.receive_maximum().unwrap_or(u16::MAX);
        let link = Link {
            client,
            version,
            is_accepted: false,
            farewell: Farewell::None,
            keep_alive_ms: u64::from(keep_alive_s) * KEEP_ALIVE_PATIENCE_PER_S_MS,
            heard: turn.now,
            receive_max: usize::from(receive_max.min(limits.mqtt_in_flight_max)),
            packet_bytes_max: properties
                .maximum_packet_size()
                .map_or(usize::MAX, |bytes| bytes as usize),
            wants_reasons: version.is_v5()
                && properties.request_problem_information().unwrap_or(true),
            batch: Batch::default(),
            unconfirmed: 0,
            received: begun.received,
            received_before: begun.received,
            aliases: Vec::new(),
            aliases_max: properties
                .topic_alias_maximum()
                .unwrap_or(0)
                .min(limits.mqtt_topic_alias_max),
            aliases_used: 0,
            queued: 0,
            settling: Vec::new(),
            scratch: Vec::new(),
            retained: VecDeque::new(),
        };
        let mut told = Vec::new();
        if version.is_v5() {
            if expiry_s != asked_expiry_s {
                Property::SessionExpiryIntervalS(expiry_s).encode(&mut told);
            }
            Property::ReceiveMaximum(limits.mqtt_receive_max).encode(&mut told);
            let packet_bytes_max = u32::try_from(limits.mqtt_packet_bytes_max).unwrap_or(u32::MAX);
            Property::MaximumPacketSize(packet_bytes_max).encode(&mut told);
            if let Some(id) = &assigned {
                Property::AssignedClientIdentifier(id).encode(&mut told);
            }
            Property::TopicAliasMaximum(limits.mqtt_topic_alias_max).encode(&mut told);
            if keep_alive_s != connect.keep_alive_s {
                Property::ServerKeepAliveS(keep_alive_s).encode(&mut told);
            }
        }
        mqtt.link = Some(link);
        let accepted = ConnAck {
            // Clients of 3.1 know no such flag.
            session_present: begun.present && version != Version::V31,
            reason: ReasonCode::Success,
            properties: Properties::trusted(&told),
        };
        let packets = encoded(&Packet::ConnAck(accepted), version);
        if mqtt.link.as_ref().is_some_and(|link| packets.len() > link.packet_bytes_max) {
            // [MQTT-3.1.2-24]: nor would anything shorter tell it what it has to know.
            let message =
                "expected a client that takes a CONNACK, found a maximum packet size below it";
            return self.fail(mqtt, ReasonCode::PacketTooLarge, message, turn);
        }
        let answer = Answer::Packets { packets, then: Some(Told::Accepted) };
        self.answer(answer, begun.waits, 0, turn);
    }

    /// Tells why a client is not let in, as far as its version can say that, and ends the
    /// connection.
    pub(super) fn refuse_connect(
        &mut self,
        mqtt: &mut Mqtt,
        version: Option<Version>,
        reason: ReasonCode,
        message: &str,
        turn: &mut Turn<'_>,
    ) {
        tracing::info!(connection = self.key.0, %message, "MQTT client refused");
        mqtt.is_ending = true;
        let Some(version) = version else {
            // Nothing tells what it would understand.
            self.closing = true;
            return;
        };
        let is_malformed =
            matches!(reason, ReasonCode::MalformedPacket | ReasonCode::ProtocolError);
        if !version.is_v5() && is_malformed {
            // [MQTT-3.1.4-1] of 3.1.1: closed without CONNACK.
            self.closing = true;
            return;
        }
        let mut told = Vec::new();
        // One of another version yet may not know what properties are.
        if version.is_v5() && reason != ReasonCode::UnsupportedProtocolVersion {
            Property::ReasonString(message).encode(&mut told);
        }
        let refused =
            ConnAck { session_present: false, reason, properties: Properties::trusted(&told) };
        let packets = encoded(&Packet::ConnAck(refused), version);
        let answer = Answer::Packets { packets, then: Some(Told::Last) };
        self.answer(answer, None, 0, turn);
    }
}
