//! Any MQTT broker, by 3.1.1 or 5.0, with any quality of service.

mod client;
mod in_flight;
mod packets;
mod publisher;
mod subscriber;

use super::{Conversation, Driver, Encoder, Operator, Publisher, StreamTerms};
use crate::drivers::MqttTerms;
use bytes::BytesMut;
use client::{MqttClient, MqttOperator};
use packets::PublishEncoder;
use publisher::MqttPublisher;
use std::net::SocketAddr;
use subscriber::MqttSubscriber;

/// Between the levels of a topic's name (MQTT 5.0 §4.7.1.1).
const SEPARATOR: char = '/';

/// A broker that speaks MQTT.
#[derive(Debug)]
pub struct Mqtt {
    address: SocketAddr,
    terms: MqttTerms,
}

impl Mqtt {
    /// At this address, spoken to on these terms.
    #[must_use]
    pub fn new(address: SocketAddr, terms: MqttTerms) -> Self {
        Self { address, terms }
    }
}

impl Driver for Mqtt {
    fn address(&self) -> SocketAddr {
        self.address
    }

    fn operator(&self, _client: u32) -> Box<dyn Operator> {
        Box::new(MqttOperator::new(self.terms))
    }

    fn publisher(&self, terms: &StreamTerms, _publisher: u32) -> Box<dyn Publisher> {
        Box::new(MqttPublisher::new(self.terms, terms))
    }

    fn subscriber(&self, terms: &StreamTerms, _subscriber: u32) -> Box<dyn Conversation> {
        Box::new(MqttSubscriber::new(self.terms, terms))
    }

    /// A session that the broker keeps, with what was published meanwhile and not acknowledged.
    fn returning_subscriber(&self, terms: &StreamTerms, subscriber: u32) -> Box<dyn Conversation> {
        Box::new(MqttSubscriber::kept(self.terms, terms, subscriber))
    }

    fn idler(&self, _client: u32) -> Box<dyn Conversation> {
        Box::new(MqttClient::new(self.terms))
    }

    fn delivery_encoder(&self, terms: &StreamTerms) -> Option<Box<dyn Encoder>> {
        Some(Box::new(PublishEncoder {
            topics: terms.topic_names(SEPARATOR).collect(),
            qos: self.terms.qos,
            version: self.terms.version.on_wire(),
            end: b"",
            head: BytesMut::new(),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::packets::{PINGREQ, PacketIds};
    use super::*;
    use crate::drivers::MqttVersion;
    use crate::message::Stamp;
    use crate::wire::Confirmation;
    use crate::wire::testing::{batch_stamp, stream_terms};
    use protocol::mqtt::{Packet, PacketDecoder, PacketId, PacketStep, QoS};

    /// What a decoder reads of three publications: packet ids, and sequences of the stamps.
    fn check(qos: QoS, version: MqttVersion, ids: &[Option<u16>]) {
        let terms = stream_terms(20, Confirmation::Unwanted);
        let mut publisher = MqttPublisher::new(MqttTerms { version, qos }, &terms);
        let mut decoder = PacketDecoder::new(1000);
        decoder.set_version(version.on_wire());
        let mut found = Vec::new();
        for (first_sequence, count) in [(0, 2), (2, 2), (4, 1)] {
            let mut input = publisher.publish(&batch_stamp(first_sequence, count));
            while let PacketStep::Packet { consumed, packet: Packet::Publish(publish) } =
                decoder.next(input).unwrap()
            {
                assert_eq!((publish.topic, publish.qos), ("stream", qos));
                let stamp = Stamp::read(terms.payloads.layout(), publish.payload).unwrap();
                found.push((publish.packet_id.map(PacketId::get), stamp.sequence));
                input = &input[consumed..];
            }
            assert!(input.is_empty());
        }
        let expected: Vec<_> = ids.iter().copied().zip(0..).collect();
        assert_eq!(found, expected, "{qos:?} {version:?}");
    }

    #[test]
    fn publications_are_decoded_as_they_are_meant() {
        for version in [MqttVersion::V311, MqttVersion::V5] {
            check(QoS::AtMostOnce, version, &[None; 5]);
            check(QoS::AtLeastOnce, version, &[1, 2, 3, 4, 5].map(Some));
            check(QoS::ExactlyOnce, version, &[1, 2, 3, 4, 5].map(Some));
        }
    }

    #[test]
    fn after_a_quarter_of_a_mebibyte_the_broker_is_asked() {
        let terms = stream_terms(64 * 1024, Confirmation::Unwanted);
        let mut publisher = MqttPublisher::new(MqttTerms::default(), &terms);
        let mut ends_in_ping =
            |sequence| publisher.publish(&batch_stamp(sequence, 1)).ends_with(&PINGREQ);
        assert_eq!([0, 1, 2, 3].map(&mut ends_in_ping), [false, false, false, true]);
        assert_eq!(publisher.room(), u32::MAX);
        for sequence in 4..16 {
            publisher.publish(&batch_stamp(sequence, 1));
        }
        assert_eq!(publisher.room(), 0);
    }

    #[test]
    fn what_is_under_way_leaves_less_room() {
        let terms = stream_terms(20, Confirmation::Wanted);
        let mut publisher = MqttPublisher::new(MqttTerms::default(), &terms);
        publisher.publish(&batch_stamp(0, 5));
        assert_eq!(publisher.room(), u32::from(u16::MAX) - 5);
        assert_eq!(PacketIds::new().next().get(), 1);
    }
}
