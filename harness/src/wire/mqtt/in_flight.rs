//! Publications of QoS 1 and 2 until they are acknowledged, and questions whether those of QoS 0
//! were taken in.

use super::packets::{PacketIds, acknowledge, first_byte, refusal_or};
use crate::drivers::DriverError;
use crate::wire::unacknowledged::Unacknowledged;
use protocol::mqtt::{Ack, Packet, PacketId, QoS};
use std::collections::VecDeque;

/// Publications that are not acknowledged yet.
///
/// A message of QoS 1 is acknowledged by PUBACK, one of QoS 2 by PUBCOMP, the end of its handshake
/// (MQTT 5.0 §4.3). Each kind of acknowledgement comes in the order of the publications
/// [MQTT-4.6.0-2 and after].
#[derive(Debug)]
pub(super) struct InFlight {
    qos: QoS,
    unacknowledged: Unacknowledged,
    /// Of the PUBACKs or PUBRECs that came.
    received: PacketIds,
    /// Of the PUBCOMPs that came.
    completed: PacketIds,
}

impl InFlight {
    pub(super) fn new(qos: QoS) -> Self {
        let (received, completed) = (PacketIds::new(), PacketIds::new());
        Self { qos, unacknowledged: Unacknowledged::of_each(), received, completed }
    }

    #[inline]
    pub(super) fn add(&mut self, messages: u32) {
        self.unacknowledged.publish(messages);
    }

    #[inline]
    pub(super) fn messages(&self) -> u64 {
        self.unacknowledged.messages()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.unacknowledged.is_empty()
    }

    /// Takes in an acknowledgement, and appends what it is answered with; how many publications
    /// are whole with it. A refused message is under way no more.
    #[inline]
    pub(super) fn handle_packet(
        &mut self,
        packet: &Packet<'_>,
        output: &mut Vec<u8>,
    ) -> Result<u32, DriverError> {
        match (packet, self.qos) {
            (Packet::PubAck(ack), QoS::AtLeastOnce) => {
                check_id("PUBACK of the oldest publication", ack, self.received.next())?;
                let whole = self.answer(packet)?;
                refusal("PUBACK", ack).map_or(Ok(whole), Err)
            }
            (Packet::PubRec(ack), QoS::ExactlyOnce) => {
                check_id("PUBREC of the oldest publication", ack, self.received.next())?;
                if let Some(refusal) = refusal("PUBREC", ack) {
                    self.completed.next();
                    self.answer(packet)?;
                    return Err(refusal);
                }
                acknowledge(first_byte::PUBREL, ack.packet_id, output);
                Ok(0)
            }
            (Packet::PubComp(ack), QoS::ExactlyOnce) => {
                check_id("PUBCOMP of the oldest publication", ack, self.completed.next())?;
                let whole = self.answer(packet)?;
                refusal("PUBCOMP", ack).map_or(Ok(whole), Err)
            }
            _ => Err(refusal_or("an acknowledgement of a publication", packet)),
        }
    }

    #[inline]
    fn answer(&mut self, packet: &Packet<'_>) -> Result<u32, DriverError> {
        if self.unacknowledged.is_empty() {
            return Err(refusal_or("nothing, since all was acknowledged", packet));
        }
        self.unacknowledged.acknowledge(1)
    }
}

#[inline]
fn check_id(expected: &'static str, ack: &Ack<'_>, packet_id: PacketId) -> Result<(), DriverError> {
    if ack.packet_id == packet_id { Ok(()) } else { Err(DriverError::unexpected(expected, ack)) }
}

#[inline]
fn refusal(packet: &'static str, ack: &Ack<'_>) -> Option<DriverError> {
    let reason = ack.reason;
    let refused = || DriverError::refused_with(reason, format!("{packet} with {reason:?}"));
    reason.is_failure().then(refused)
}

/// After so many bytes of QoS 0 the broker is asked whether it has taken them in.
const PING_BYTES: usize = 256 * 1024;

/// Questions without an answer, at first and at most. What waits in sockets would take a slow broker
/// longer to read than the stream goes on, and a fast one must never wait for more.
const PINGS_IN_FLIGHT_MIN: usize = 4;
const PINGS_IN_FLIGHT_MAX: usize = 64;

/// For each answer within this time there may be one question more.
const PROMPT_ANSWER_NS_MAX: u64 = 50_000_000;

/// Questions whether all was taken in.
///
/// There is no clock here: a question was asked when the messages before it were sent, and its
/// answer was there at the latest when the next were.
#[derive(Debug)]
pub(super) struct Pings {
    /// When those were asked that have no answer, or one that was not timed; oldest first.
    asked_ns: VecDeque<u64>,
    /// Of these, answered and not timed.
    answered: usize,
    in_flight_max: usize,
    /// Sent since the last one.
    unasked_bytes: usize,
}

impl Pings {
    pub(super) fn new() -> Self {
        Self {
            asked_ns: VecDeque::new(),
            answered: 0,
            in_flight_max: PINGS_IN_FLIGHT_MIN,
            unasked_bytes: 0,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.asked_ns.len() == self.answered
    }

    #[inline]
    pub(super) fn is_full(&self) -> bool {
        self.asked_ns.len() - self.answered >= self.in_flight_max
    }

    /// So many bytes are sent now; whether a question is to follow them.
    #[inline]
    pub(super) fn is_due_after(&mut self, bytes: usize, sent_ns: u64) -> bool {
        self.time_answers(sent_ns);
        self.unasked_bytes += bytes;
        if self.unasked_bytes < PING_BYTES {
            return false;
        }
        self.unasked_bytes = 0;
        self.asked_ns.push_back(sent_ns);
        true
    }

    /// One is asked that is not timed.
    pub(super) fn add_untimed(&mut self) {
        self.asked_ns.push_back(0);
    }

    /// The oldest was answered; `false`: there was none.
    pub(super) fn handle_answer(&mut self) -> bool {
        if self.is_empty() {
            return false;
        }
        self.answered += 1;
        true
    }

    #[inline]
    fn time_answers(&mut self, now_ns: u64) {
        while self.answered > 0 {
            self.answered -= 1;
            let asked_ns = self.asked_ns.pop_front().unwrap_or_default();
            if now_ns.saturating_sub(asked_ns) <= PROMPT_ANSWER_NS_MAX {
                self.in_flight_max = (self.in_flight_max + 1).min(PINGS_IN_FLIGHT_MAX);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::mqtt::ReasonCode;

    fn id(number: u16) -> PacketId {
        PacketId::new(number).unwrap()
    }

    #[test]
    fn an_acknowledgement_is_of_the_oldest_and_a_failure_is_a_refusal() {
        let mut output = Vec::new();
        let mut in_flight = InFlight::new(QoS::AtLeastOnce);
        in_flight.add(3);
        let ack = |number| Ack::success(id(number));
        assert_eq!(in_flight.handle_packet(&Packet::PubAck(ack(1)), &mut output).unwrap(), 0);
        let failed = Ack { reason: ReasonCode::QuotaExceeded, ..ack(2) };
        let error = in_flight.handle_packet(&Packet::PubAck(failed), &mut output).unwrap_err();
        assert_eq!((error.code(), error.is_refusal()), ("mqtt_0x97", true));
        assert_eq!(in_flight.messages(), 1);
        let error = in_flight.handle_packet(&Packet::PubAck(ack(9)), &mut output).unwrap_err();
        assert_eq!(error.code(), "unexpected_answer");
        assert!(output.is_empty());
    }

    #[test]
    fn exactly_once_is_acknowledged_when_its_handshake_ends() {
        let mut output = Vec::new();
        let mut in_flight = InFlight::new(QoS::ExactlyOnce);
        in_flight.add(2);
        let mut whole = |packet| in_flight.handle_packet(&packet, &mut output).unwrap();
        let ack = |number| Ack::success(id(number));
        assert_eq!(whole(Packet::PubRec(ack(1))), 0);
        assert_eq!(whole(Packet::PubRec(ack(2))), 0);
        assert_eq!(whole(Packet::PubComp(ack(1))), 0);
        assert_eq!(whole(Packet::PubComp(ack(2))), 1);
        assert!(in_flight.is_empty());
        assert_eq!(output, [0x62, 2, 0, 1, 0x62, 2, 0, 2]);
    }

    #[test]
    fn who_answers_promptly_is_sent_more_ahead() {
        for (answer_ns, in_flight_max) in [
            (PROMPT_ANSWER_NS_MAX, PINGS_IN_FLIGHT_MAX),
            (PROMPT_ANSWER_NS_MAX + 1, PINGS_IN_FLIGHT_MIN),
        ] {
            let (mut pings, mut now_ns) = (Pings::new(), 1);
            for _ in 0..100 {
                assert!(pings.is_due_after(PING_BYTES, now_ns));
                assert!(pings.handle_answer());
                now_ns += answer_ns;
            }
            pings.time_answers(now_ns);
            assert!(pings.is_empty() && !pings.handle_answer());
            let sent = (1..).find(|_| pings.is_due_after(PING_BYTES, now_ns) && pings.is_full());
            assert_eq!(sent, Some(in_flight_max), "{answer_ns} ns");
        }
    }
}
