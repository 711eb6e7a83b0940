//! How a connection ends: DISCONNECT from either side, faults, take-over, silence
//! (MQTT 5.0 §3.14, §4.13).

use super::{Link, Mqtt, Told, encoded};
use crate::mqtt::Leaving;
use crate::session::answer::Answer;
use crate::session::dialect::Speech;
use crate::session::{Session, Turn};
use crate::{Now, Wakes};
use protocol::mqtt::{Disconnect, Packet, PacketStep, Properties, Property, ReasonCode};

/// DISCONNECT, in words where the client wants them and takes a packet as long as that
/// ([MQTT-3.14.2-3]).
fn farewell(link: &Link, reason: ReasonCode, message: &str) -> bytes::Bytes {
    let mut told = Vec::new();
    if link.wants_reasons {
        Property::ReasonString(message).encode(&mut told);
    }
    let written =
        |properties| encoded(&Packet::Disconnect(Disconnect { reason, properties }), link.version);
    let in_words = written(Properties::trusted(&told));
    match in_words.len() > link.packet_bytes_max {
        true => written(Properties::default()),
        false => in_words,
    }
}

/// What a client said when it went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::session) enum Farewell {
    None,
    /// DISCONNECT: its will is not published.
    Properly,
    /// Another connection has its session: there is nothing to leave.
    Displaced,
}

impl Session {
    pub(super) fn handle_disconnect(
        &mut self,
        mqtt: &mut Mqtt,
        disconnect: &Disconnect<'_>,
        turn: &mut Turn<'_>,
    ) {
        let key = self.key;
        let Some(link) = &mut mqtt.link else { return };
        if let Some(expiry_s) = disconnect.properties.session_expiry_interval_s() {
            let Some(mut state) = link.state(key) else { return };
            if state.expiry_s == 0 && expiry_s > 0 {
                drop(state);
                // [MQTT-3.14.2-2] and §3.14.2.2.2.
                let message = "expected no session expiry in DISCONNECT, since CONNECT had none";
                return self.fail(mqtt, ReasonCode::ProtocolError, message, turn);
            }
            let max = self.broker.limits().mqtt_session_expiry_s_max;
            let expiry_s = if max == 0 { expiry_s } else { expiry_s.min(max) };
            self.broker.change_expiry(&link.client, &mut state, expiry_s);
        }
        if disconnect.reason == ReasonCode::Success {
            // [MQTT-3.14.4-3]
            link.farewell = Farewell::Properly;
            if let Some(mut state) = link.state(key) {
                state.will = None;
            }
        }
        mqtt.is_ending = true;
        let nothing = Answer::Packets { packets: bytes::Bytes::new(), then: Some(Told::Last) };
        self.answer(nothing, None, 0, turn);
    }

    /// Ends the connection for a reason that a client of MQTT 5.0 is told.
    pub(super) fn fail(
        &mut self,
        mqtt: &mut Mqtt,
        reason: ReasonCode,
        message: &str,
        turn: &mut Turn<'_>,
    ) {
        if mqtt.is_ending {
            return;
        }
        mqtt.is_ending = true;
        tracing::info!(connection = self.key.0, ?reason, message, "MQTT client disconnected");
        let packets = match &mqtt.link {
            Some(link) if link.version.is_v5() => farewell(link, reason, message),
            _ => bytes::Bytes::new(),
        };
        self.answer(Answer::Packets { packets, then: Some(Told::Last) }, None, 0, turn);
    }

    /// Another connection has the client's session now.
    pub(super) fn handle_displaced(&mut self, mqtt: &mut Mqtt, turn: &mut Turn<'_>) {
        self.held = None;
        if let Some(link) = &mut mqtt.link {
            link.batch.clear();
            if link.farewell == Farewell::None {
                link.farewell = Farewell::Displaced;
            }
        }
        let message = "another connection took the session over";
        self.fail(mqtt, ReasonCode::SessionTakenOver, message, turn);
    }

    /// Looks for a DISCONNECT in what a client sent before it knew that its session is another
    /// connection's: its will is not published then ([MQTT-3.14.4-3]).
    pub(in crate::session) fn look_for_farewell(&mut self, input: &[u8]) {
        let Speech::Mqtt(mqtt) = &mut self.speech else { return };
        let Some(link) = mqtt.link.as_mut().filter(|link| link.farewell == Farewell::Displaced)
        else {
            return;
        };
        let mut rest = input;
        while let Ok(PacketStep::Packet { consumed, packet }) = mqtt.decoder.next(rest) {
            rest = &rest[consumed..];
            if let Packet::Disconnect(Disconnect { reason: ReasonCode::Success, .. }) = packet {
                link.farewell = Farewell::Properly;
                return;
            }
        }
    }

    /// The client was silent for too long, or the broker stops, or the journal failed.
    pub(in crate::session) fn end_mqtt(
        &mut self,
        reason: ReasonCode,
        message: &str,
        turn: &mut Turn<'_>,
    ) {
        self.with_mqtt(|session, mqtt| session.fail(mqtt, reason, message, turn));
        self.release_answers(turn);
        self.settle_told(turn);
    }

    /// The connection is gone.
    pub(in crate::session) fn leave_mqtt(&mut self, now: Now, wakes: &mut Wakes) {
        self.with_mqtt(|session, mqtt| session.leave(mqtt, now, wakes));
    }

    /// Leaves the session, as soon as nothing more is taken from the client.
    pub(super) fn leave(&mut self, mqtt: &mut Mqtt, now: Now, wakes: &mut Wakes) {
        let Some(link) = mqtt.link.take() else { return };
        self.broker.tally().mqtt_connections_moved(-1);
        let leaving = match link.farewell {
            Farewell::Properly => Leaving::Properly,
            Farewell::None | Farewell::Displaced => Leaving::WithWill,
        };
        if let Some(mut state) = link.state(self.key) {
            self.broker.leave_session(&link.client, &mut state, leaving, now, wakes);
            return;
        }
        // Looked for last, since the session may be taken over until then.
        if let Some((will, client)) = self.broker.take_displaced_will(self.key)
            && leaving == Leaving::WithWill
        {
            self.broker.execute(will, client, now, wakes);
        }
    }

    /// What a client is told where the journal failed before it was answered.
    pub(in crate::session) fn storage_failed(&self) -> bytes::Bytes {
        let version = match &self.speech {
            Speech::Mqtt(mqtt) => mqtt.link.as_ref().map(|link| link.version),
            _ => None,
        };
        match version {
            Some(version) if version.is_v5() => {
                let reason = ReasonCode::ImplementationSpecificError;
                let properties = Properties::default();
                encoded(&Packet::Disconnect(Disconnect { reason, properties }), version)
            }
            _ => bytes::Bytes::new(),
        }
    }
}
