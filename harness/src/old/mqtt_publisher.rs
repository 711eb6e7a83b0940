//! Publishers of MQTT: batches of PUBLISH packets, and what is not acknowledged of them.

use super::mqtt_wire::{Came, MqttConnection, PacketIds, check_acknowledged, message, refusal_or};
use super::{DriverError, StreamPublisher, StreamSpec};
use crate::message::{BatchStamp, StampedBatch, blank_payload};
use bytes::BytesMut;
use protocol::PublishAck;
use protocol::mqtt::{Packet, QoS, Version, encode_publish};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Publications of QoS 1 whose acknowledgements are not read yet, in batches, where nobody counts
/// them.
const BATCHES_IN_FLIGHT_MAX: usize = 8;

/// After so many bytes of QoS 0 the broker is asked whether it has taken them in.
const PING_BYTES: usize = 256 * 1024;

/// Questions without an answer, at first and at most. What waits in sockets would take a slow broker
/// longer to read than the stream goes on, and a fast one must never wait for more.
const PINGS_IN_FLIGHT_MIN: usize = 4;
const PINGS_IN_FLIGHT_MAX: usize = 64;

/// For each answer within this time there may be one question more.
const PROMPT_ANSWER_MS_MAX: u64 = 50;

/// Publishes to one topic.
pub(super) struct MqttPublisher {
    connection: MqttConnection,
    topic: String,
    publications: Publications,
    producer: u16,
    ack: PublishAck,
    unacknowledged: Unacknowledged,
    /// Batches that were acknowledged since it was last asked.
    completed: u32,
    /// Sent since the last PINGREQ.
    unasked_bytes: usize,
}

impl MqttPublisher {
    /// With QoS 1 at least, where acknowledgements are wanted.
    pub(super) fn new(
        connection: MqttConnection,
        spec: &StreamSpec,
        producer: u16,
        qos: QoS,
    ) -> Self {
        let qos = match spec.ack {
            PublishAck::Wanted => qos.max(QoS::AtLeastOnce),
            PublishAck::Unwanted => qos,
        };
        Self {
            publications: Publications::new(spec, qos, connection.version()),
            connection,
            topic: spec.topic.clone(),
            producer,
            ack: spec.ack,
            unacknowledged: Unacknowledged::new(),
            completed: 0,
            unasked_bytes: 0,
        }
    }

    fn read_acks(&mut self) -> Result<(), DriverError> {
        self.connection.fill("acknowledgements")?;
        let (unacknowledged, completed) = (&mut self.unacknowledged, &mut self.completed);
        self.connection.take_packets(None, |came| match came {
            Came::Packet(packet) => {
                *completed += unacknowledged.handle_packet(&packet)?;
                Ok(())
            }
            Came::Payload(_) => unreachable!("no head was given"),
        })
    }

    fn publish_unconfirmed(&mut self, stamp: BatchStamp) -> Result<(), DriverError> {
        let packets = self.publications.stamped(&self.topic, self.producer, stamp);
        self.unasked_bytes += packets.len();
        self.connection.send_bytes(packets)?;
        if self.unasked_bytes < PING_BYTES {
            return Ok(());
        }
        self.unasked_bytes = 0;
        self.unacknowledged.pings.add(Instant::now());
        self.connection.send_packet(&Packet::PingReq)?;
        while self.unacknowledged.pings.is_full() {
            self.read_acks()?;
        }
        Ok(())
    }

    fn publish_confirmed(&mut self, stamp: BatchStamp) -> Result<(), DriverError> {
        self.make_room(stamp.count)?;
        let packets = self.publications.stamped(&self.topic, self.producer, stamp);
        self.connection.send_bytes(packets)?;
        self.unacknowledged.add(stamp.count);
        if self.ack == PublishAck::Unwanted {
            while self.unacknowledged.batches.len() > BATCHES_IN_FLIGHT_MAX {
                self.read_acks()?;
            }
        }
        Ok(())
    }

    /// Waits until so many messages more may be under way.
    fn make_room(&mut self, count: u32) -> Result<(), DriverError> {
        let receive_max = self.connection.receive_max();
        let count = count as usize;
        if count > receive_max {
            return Err(DriverError::Unexpected {
                expected: "a broker that lets a whole batch be under way",
                found: format!("one that lets {receive_max} messages; lower `batch`, now {count}"),
            });
        }
        while self.unacknowledged.messages + count > receive_max {
            self.read_acks()?;
        }
        Ok(())
    }
}

impl StreamPublisher for MqttPublisher {
    fn publish(&mut self, stamp: BatchStamp) -> Result<(), DriverError> {
        match self.publications.qos {
            QoS::AtMostOnce => self.publish_unconfirmed(stamp),
            QoS::AtLeastOnce | QoS::ExactlyOnce => self.publish_confirmed(stamp),
        }
    }

    fn receive_acks(&mut self) -> Result<u32, DriverError> {
        while self.completed == 0 {
            self.read_acks()?;
        }
        Ok(std::mem::take(&mut self.completed))
    }

    fn finish(&mut self) -> Result<(), DriverError> {
        while self.unacknowledged.messages > 0 || !self.unacknowledged.pings.is_empty() {
            self.read_acks()?;
        }
        self.connection.ping()
    }
}

/// PUBLISH packets of one topic, encoded once for each number of messages in a row.
struct Publications {
    payload: Vec<u8>,
    qos: QoS,
    version: Version,
    batch: StampedBatch,
    packet_ids: PacketIds,
}

impl Publications {
    fn new(spec: &StreamSpec, qos: QoS, version: Version) -> Self {
        let payload = blank_payload(spec.payload_bytes);
        let batch = publish_batch(&spec.topic, &payload, qos, version, spec.batch);
        Self { payload, qos, version, batch, packet_ids: PacketIds::new() }
    }

    /// The packets with these stamps, and with the next ids where they have any.
    #[inline]
    fn stamped(&mut self, topic: &str, producer: u16, stamp: BatchStamp) -> &[u8] {
        if self.batch.count() != stamp.count {
            self.batch = publish_batch(topic, &self.payload, self.qos, self.version, stamp.count);
        }
        self.batch.renew(producer, stamp);
        if self.qos > QoS::AtMostOnce {
            let from_end = packet_id_from_end(self.version);
            for head in self.batch.heads_mut() {
                let id_at = head.len() - from_end;
                let packet_id = self.packet_ids.next().get().to_be_bytes();
                head[id_at..id_at + packet_id.len()].copy_from_slice(&packet_id);
            }
        }
        self.batch.bytes()
    }
}

/// Where a message's packet id begins, counted back from its payload: only the length of its
/// properties, which are none, can be between the two (MQTT 5.0 §3.3.2).
fn packet_id_from_end(version: Version) -> usize {
    if version.is_v5() { 3 } else { 2 }
}

fn publish_batch(
    topic: &str,
    payload: &[u8],
    qos: QoS,
    version: Version,
    count: u32,
) -> StampedBatch {
    let packet_id = (qos > QoS::AtMostOnce).then(|| PacketIds::new().next());
    let mut one = BytesMut::new();
    encode_publish(&message(topic, payload, packet_id), version, &mut one);
    let payload_at = one.len() - payload.len();
    StampedBatch::new(one.repeat(count as usize), count, one.len(), payload_at)
}

/// What the broker has not answered yet.
struct Unacknowledged {
    /// Messages of each batch that are not acknowledged, oldest first.
    batches: VecDeque<u32>,
    messages: usize,
    packet_ids: PacketIds,
    pings: Pings,
}

impl Unacknowledged {
    fn new() -> Self {
        Self {
            batches: VecDeque::new(),
            messages: 0,
            packet_ids: PacketIds::new(),
            pings: Pings::new(),
        }
    }

    fn add(&mut self, count: u32) {
        self.batches.push_back(count);
        self.messages += count as usize;
    }

    /// Takes in what should be PINGRESP, or the acknowledgement of the oldest message; how many
    /// batches it completes.
    #[inline]
    fn handle_packet(&mut self, packet: &Packet<'_>) -> Result<u32, DriverError> {
        if *packet == Packet::PingResp && !self.pings.is_empty() {
            self.pings.handle_answer(Instant::now());
            return Ok(0);
        }
        let Some(oldest) = self.batches.front_mut() else {
            return Err(refusal_or("nothing, since all was acknowledged", packet));
        };
        check_acknowledged(packet, self.packet_ids.next())?;
        self.messages -= 1;
        *oldest -= 1;
        if *oldest > 0 {
            return Ok(0);
        }
        self.batches.pop_front();
        Ok(1)
    }
}

/// Questions whether all was taken in.
struct Pings {
    /// When those without an answer were sent, oldest first.
    sent: VecDeque<Instant>,
    in_flight_max: usize,
}

impl Pings {
    fn new() -> Self {
        Self { sent: VecDeque::new(), in_flight_max: PINGS_IN_FLIGHT_MIN }
    }

    fn is_empty(&self) -> bool {
        self.sent.is_empty()
    }

    fn is_full(&self) -> bool {
        self.sent.len() >= self.in_flight_max
    }

    fn add(&mut self, now: Instant) {
        self.sent.push_back(now);
    }

    fn handle_answer(&mut self, now: Instant) {
        let prompt = Duration::from_millis(PROMPT_ANSWER_MS_MAX);
        let sent = self.sent.pop_front();
        if sent.is_some_and(|sent| now.saturating_duration_since(sent) <= prompt) {
            self.in_flight_max = (self.in_flight_max + 1).min(PINGS_IN_FLIGHT_MAX);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Stamp;
    use protocol::LagPolicy;
    use protocol::mqtt::{Ack, PacketDecoder, PacketId, PacketStep};

    fn spec() -> StreamSpec {
        StreamSpec {
            topic: "t".to_owned(),
            payload_bytes: 20,
            batch: 2,
            ack: PublishAck::Wanted,
            held: None,
            lag_policy: LagPolicy::Hold,
            idle_subscriptions: 0,
        }
    }

    /// What a decoder reads of three batches: packet ids, and sequences of the stamps.
    fn check(qos: QoS, version: Version, ids: &[Option<u16>]) {
        let mut publications = Publications::new(&spec(), qos, version);
        let mut found = Vec::new();
        for (first_sequence, count) in [(0, 2), (2, 2), (4, 1)] {
            let stamp = BatchStamp { count, first_sequence, sent_ns: 9, spacing_ns: 0 };
            let mut input = publications.stamped("t", 3, stamp);
            let mut decoder = PacketDecoder::new(1000);
            decoder.set_version(version);
            while let PacketStep::Packet { consumed, packet: Packet::Publish(publish) } =
                decoder.next(input).unwrap()
            {
                assert_eq!((publish.topic, publish.qos), ("t", qos));
                assert_eq!(publish.payload[16..], *b"abcd");
                let stamp = Stamp::read(publish.payload).unwrap();
                found.push((publish.packet_id.map(PacketId::get), stamp.sequence));
                input = &input[consumed..];
            }
            assert!(input.is_empty());
        }
        let expected: Vec<_> = ids.iter().copied().zip(0..).collect();
        assert_eq!(found, expected, "{qos:?} {version:?}");
    }

    #[test]
    fn batches_are_decoded_as_they_are_meant() {
        for version in [Version::V311, Version::V5] {
            check(QoS::AtMostOnce, version, &[None; 5]);
            check(QoS::AtLeastOnce, version, &[1, 2, 3, 4, 5].map(Some));
        }
    }

    #[test]
    fn a_batch_is_complete_with_its_last_acknowledgement() {
        let mut unacknowledged = Unacknowledged::new();
        unacknowledged.add(2);
        unacknowledged.add(1);
        let mut ids = PacketIds::new();
        let mut acknowledge =
            || unacknowledged.handle_packet(&Packet::PubAck(Ack::success(ids.next())));
        let completed = [(); 3].map(|()| acknowledge().unwrap());
        assert_eq!(completed, [0, 1, 1]);
        assert!(acknowledge().is_err());
    }

    #[test]
    fn who_answers_promptly_is_sent_more_ahead() {
        let start = Instant::now();
        let after = |ms| start + Duration::from_millis(ms);
        for (answer_ms, in_flight_max) in [
            (PROMPT_ANSWER_MS_MAX, PINGS_IN_FLIGHT_MAX),
            (PROMPT_ANSWER_MS_MAX + 1, PINGS_IN_FLIGHT_MIN),
        ] {
            let mut pings = Pings::new();
            for _ in 0..100 {
                pings.add(start);
                pings.handle_answer(after(answer_ms));
            }
            let sent = (0..).take_while(|_| {
                pings.add(start);
                !pings.is_full()
            });
            assert_eq!(sent.count() + 1, in_flight_max, "{answer_ms} ms");
        }
    }
}
