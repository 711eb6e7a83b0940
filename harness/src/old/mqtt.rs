//! Any MQTT broker: publications with QoS 0, or with 1 where acknowledgements are wanted.

use super::connection::Filled;
use super::mqtt_publisher::MqttPublisher;
use super::mqtt_wire::{
    Came, MqttConnection, MqttTerms, PacketIds, check_acknowledged, message, refusal_or,
};
use super::{
    Driver, DriverError, OperationClient, Received, StreamPublisher, StreamSpec, StreamSubscriber,
};
use crate::intake::Intake;
use bytes::BytesMut;
use protocol::mqtt::{Ack, Packet, encode_packet, encode_publish, encode_publish_head};
use std::net::SocketAddr;

/// A broker that speaks MQTT.
#[derive(Debug)]
pub(super) struct Mqtt {
    address: SocketAddr,
    terms: MqttTerms,
}

impl Mqtt {
    pub(super) fn new(address: SocketAddr, terms: MqttTerms) -> Self {
        Self { address, terms }
    }

    fn connect(&self) -> Result<MqttConnection, DriverError> {
        MqttConnection::open(self.address, self.terms.version)
    }
}

impl Driver for Mqtt {
    fn check(&self) -> Result<(), DriverError> {
        self.connect()?.ping()
    }

    fn operation_client(&self) -> Result<Box<dyn OperationClient>, DriverError> {
        Ok(Box::new(MqttClient {
            connection: self.connect()?,
            packet_ids: PacketIds::new(),
            output: BytesMut::new(),
        }))
    }

    fn prepare_stream(&self, _spec: &StreamSpec) -> Result<(), DriverError> {
        Ok(())
    }

    fn end_stream(&self, _spec: &StreamSpec) -> Result<(), DriverError> {
        Ok(())
    }

    fn stream_publisher(
        &self,
        spec: &StreamSpec,
        producer: u16,
    ) -> Result<Box<dyn StreamPublisher>, DriverError> {
        let connection = self.connect()?;
        Ok(Box::new(MqttPublisher::new(connection, spec, producer, self.terms.qos)))
    }

    fn stream_subscriber(
        &self,
        spec: &StreamSpec,
        _index: u32,
    ) -> Result<Box<dyn StreamSubscriber>, DriverError> {
        let mut connection = self.connect()?;
        connection.subscribe(&spec.topic, self.terms.qos)?;
        connection.become_stream()?;
        let (version, payload_bytes) = (connection.version(), spec.payload_bytes);
        let mut head = BytesMut::new();
        let publish = message(&spec.topic, &[], None);
        encode_publish_head(&publish, payload_bytes, version, &mut head);
        let acks = BytesMut::new();
        Ok(Box::new(MqttSubscriber { connection, head: head.to_vec(), payload_bytes, acks }))
    }
}

struct MqttClient {
    connection: MqttConnection,
    packet_ids: PacketIds,
    output: BytesMut,
}

impl MqttClient {
    fn meaningless<T>() -> Result<T, DriverError> {
        Err(DriverError::Unexpected {
            expected: "an operation that MQTT has",
            found: "one that only topics to pull from have".to_owned(),
        })
    }
}

impl OperationClient for MqttClient {
    fn create(&mut self, _topic: &str) -> Result<(), DriverError> {
        // A topic is there as soon as someone names it.
        Ok(())
    }

    fn publish(&mut self, topic: &str, payload: &[u8]) -> Result<(), DriverError> {
        let packet_id = self.packet_ids.next();
        self.output.clear();
        let publish = message(topic, payload, Some(packet_id));
        encode_publish(&publish, self.connection.version(), &mut self.output);
        self.connection.send_bytes(&self.output)?;
        self.connection.next_packet("PUBACK", |packet| check_acknowledged(&packet, packet_id))
    }

    fn subscribe(&mut self, _topic: &str, _subscriber: &str) -> Result<(), DriverError> {
        Self::meaningless()
    }

    fn pull_one(&mut self, _topic: &str, _subscriber: &str) -> Result<u32, DriverError> {
        Self::meaningless()
    }

    fn delete(&mut self, _topic: &str) -> Result<(), DriverError> {
        Ok(())
    }
}

struct MqttSubscriber {
    connection: MqttConnection,
    /// Of every message of QoS 0, since all payloads have one size.
    head: Vec<u8>,
    payload_bytes: usize,
    acks: BytesMut,
}

impl StreamSubscriber for MqttSubscriber {
    fn receive(&mut self, intake: &mut Intake) -> Result<Received, DriverError> {
        if self.connection.fill("deliveries")? == Filled::Nothing {
            return Ok(Received::Nothing);
        }
        let (version, acks) = (self.connection.version(), &mut self.acks);
        acks.clear();
        intake.begin();
        self.connection.take_packets(Some((&self.head, self.payload_bytes)), |came| {
            let publish = match came {
                Came::Payload(payload) => {
                    intake.take(payload);
                    return Ok(());
                }
                Came::Packet(Packet::Publish(publish)) => publish,
                Came::Packet(other) => return Err(refusal_or("PUBLISH", &other)),
            };
            intake.take(publish.payload);
            if let Some(packet_id) = publish.packet_id {
                encode_packet(&Packet::PubAck(Ack::success(packet_id)), version, acks);
            }
            Ok(())
        })?;
        intake.end();
        if !self.acks.is_empty() {
            self.connection.send_bytes(&self.acks)?;
        }
        Ok(Received::Messages)
    }
}
