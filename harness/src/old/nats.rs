//! NATS without its store: PUB and SUB; an acknowledged publication is PUB with PING, which is
//! answered when the server has taken it in.

use super::connection::Filled;
use super::nats_wire::{LINE_END, NatsConnection, NatsPublisher, PING, publication};
use super::{
    Driver, DriverError, OperationClient, Received, StreamPublisher, StreamSpec, StreamSubscriber,
};
use crate::intake::Intake;
use std::net::SocketAddr;

/// What a subscriber calls its only subscription.
const SUBSCRIPTION: u32 = 1;

/// A NATS server.
#[derive(Debug)]
pub(super) struct Nats {
    address: SocketAddr,
}

impl Nats {
    pub(super) fn new(address: SocketAddr) -> Self {
        Self { address }
    }
}

impl Driver for Nats {
    fn check(&self) -> Result<(), DriverError> {
        NatsConnection::open(self.address).map(|_| ())
    }

    fn operation_client(&self) -> Result<Box<dyn OperationClient>, DriverError> {
        Ok(Box::new(NatsClient { connection: NatsConnection::open(self.address)? }))
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
        let connection = NatsConnection::open(self.address)?;
        Ok(Box::new(NatsPublisher::new(connection, spec, producer)))
    }

    fn stream_subscriber(
        &self,
        spec: &StreamSpec,
        _index: u32,
    ) -> Result<Box<dyn StreamSubscriber>, DriverError> {
        let mut connection = NatsConnection::open(self.address)?;
        connection.send(format!("SUB {} {SUBSCRIPTION}\r\n", spec.topic).as_bytes())?;
        connection.ping()?;
        connection.become_stream()?;
        let payload_bytes = spec.payload_bytes;
        let head = message_head(&spec.topic, payload_bytes);
        Ok(Box::new(NatsSubscriber { connection, head, payload_bytes }))
    }
}

/// What a delivery looks like before its payload.
fn message_head(topic: &str, payload_bytes: usize) -> Vec<u8> {
    format!("MSG {topic} {SUBSCRIPTION} {payload_bytes}\r\n").into_bytes()
}

struct NatsClient {
    connection: NatsConnection,
}

impl NatsClient {
    fn meaningless<T>() -> Result<T, DriverError> {
        Err(DriverError::Unexpected {
            expected: "an operation that NATS has",
            found: "one that only topics have".to_owned(),
        })
    }
}

impl OperationClient for NatsClient {
    fn create(&mut self, _topic: &str) -> Result<(), DriverError> {
        // A subject is there as soon as someone names it.
        Ok(())
    }

    fn publish(&mut self, topic: &str, payload: &[u8]) -> Result<(), DriverError> {
        let mut request = publication(topic, payload);
        request.extend_from_slice(PING);
        self.connection.send(&request)?;
        self.connection.wait_for_pong()
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

struct NatsSubscriber {
    connection: NatsConnection,
    /// Of every message, since all payloads have one size.
    head: Vec<u8>,
    payload_bytes: usize,
}

impl StreamSubscriber for NatsSubscriber {
    fn receive(&mut self, intake: &mut Intake) -> Result<Received, DriverError> {
        let message_bytes = self.head.len() + self.payload_bytes + LINE_END.len();
        if self.connection.fill("deliveries", message_bytes)? == Filled::Nothing {
            return Ok(Received::Nothing);
        }
        intake.begin();
        let (head, payload_bytes) = (&self.head, self.payload_bytes);
        self.connection.take_messages(head, payload_bytes, |payload| intake.take(payload))?;
        intake.end();
        Ok(Received::Messages)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delivery_names_topic_subscription_and_length() {
        assert_eq!(message_head("t", 16), b"MSG t 1 16\r\n");
    }
}
