//! Redis's channels: PUBLISH, acknowledged one by one or pipelined, and SUBSCRIBE.

use super::connection::{Connection, Filled, Patience};
use super::resp::{EncodeOne, LINE_END, Reply, RespPublisher, command, read_reply};
use super::{
    Driver, DriverError, OperationClient, Received, StreamPublisher, StreamSpec, StreamSubscriber,
};
use crate::intake::Intake;
use std::net::SocketAddr;

/// A Redis server.
#[derive(Debug)]
pub(super) struct Redis {
    address: SocketAddr,
}

impl Redis {
    pub(super) fn new(address: SocketAddr) -> Self {
        Self { address }
    }
}

impl Driver for Redis {
    fn check(&self) -> Result<(), DriverError> {
        let mut connection = Connection::open(self.address)?;
        connection.send(&command(&[b"PING"]))?;
        read_reply(&mut connection, Reply::Status)
    }

    fn operation_client(&self) -> Result<Box<dyn OperationClient>, DriverError> {
        Ok(Box::new(RedisClient { connection: Connection::open(self.address)? }))
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
        let connection = Connection::open(self.address)?;
        let encode: EncodeOne = |topic, payload| command(&publish_words(topic, payload));
        Ok(Box::new(RespPublisher::new(connection, spec, producer, encode, Reply::Integer)))
    }

    fn stream_subscriber(
        &self,
        spec: &StreamSpec,
        _index: u32,
    ) -> Result<Box<dyn StreamSubscriber>, DriverError> {
        let mut connection = Connection::open(self.address)?;
        let topic = spec.topic.as_bytes();
        connection.send(&command(&[b"SUBSCRIBE", topic]))?;
        // The answer is *3, "subscribe", the channel, and how many channels there are now.
        let mut answer = command(&[b"subscribe", topic]);
        answer[1] = b'3';
        answer.extend_from_slice(b":1\r\n");
        while connection.input().len() < answer.len() {
            connection.fill("an answer to SUBSCRIBE", answer.len())?;
        }
        if !connection.input().starts_with(&answer) {
            let found = String::from_utf8_lossy(connection.input());
            return Err(DriverError::unexpected("an answer to SUBSCRIBE", &found));
        }
        connection.consume(answer.len());
        connection.set_patience(Patience::Stream)?;
        let payload_bytes = spec.payload_bytes;
        Ok(Box::new(RedisSubscriber {
            connection,
            head: message_head(topic, payload_bytes),
            payload_bytes,
        }))
    }
}

/// What a delivery looks like before its payload.
fn message_head(topic: &[u8], payload_bytes: usize) -> Vec<u8> {
    let mut head = command(&[b"message", topic]);
    head[1] = b'3';
    head.extend_from_slice(format!("${payload_bytes}\r\n").as_bytes());
    head
}

/// The words of a publication, its payload last.
fn publish_words<'a>(topic: &'a str, payload: &'a [u8]) -> [&'a [u8]; 3] {
    [b"PUBLISH", topic.as_bytes(), payload]
}

struct RedisClient {
    connection: Connection,
}

impl RedisClient {
    fn meaningless<T>() -> Result<T, DriverError> {
        Err(DriverError::Unexpected {
            expected: "an operation that Redis channels have",
            found: "one that only topics have".to_owned(),
        })
    }
}

impl OperationClient for RedisClient {
    fn create(&mut self, _topic: &str) -> Result<(), DriverError> {
        // A channel is there as soon as someone names it.
        Ok(())
    }

    fn publish(&mut self, topic: &str, payload: &[u8]) -> Result<(), DriverError> {
        self.connection.send(&command(&publish_words(topic, payload)))?;
        read_reply(&mut self.connection, Reply::Integer)
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

struct RedisSubscriber {
    connection: Connection,
    head: Vec<u8>,
    payload_bytes: usize,
}

impl StreamSubscriber for RedisSubscriber {
    fn receive(&mut self, intake: &mut Intake) -> Result<Received, DriverError> {
        let message_bytes = self.head.len() + self.payload_bytes + LINE_END.len();
        if self.connection.fill("deliveries", message_bytes)? == Filled::Nothing {
            return Ok(Received::Nothing);
        }
        intake.begin();
        let messages = self.connection.input().chunks_exact(message_bytes);
        let consumed_bytes = messages.len() * message_bytes;
        for message in messages {
            // Every payload has one size, so every delivery begins with the same bytes.
            let Some(rest) = message.strip_prefix(self.head.as_slice()) else {
                let found = String::from_utf8_lossy(message);
                return Err(DriverError::unexpected("a message of the stream", &found));
            };
            intake.take(&rest[..self.payload_bytes]);
        }
        intake.end();
        self.connection.consume(consumed_bytes);
        Ok(Received::Messages)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_an_array_of_bulk_strings() {
        assert_eq!(command(&[b"PUBLISH", b"t"]), b"*2\r\n$7\r\nPUBLISH\r\n$1\r\nt\r\n");
        assert_eq!(message_head(b"t", 16), b"*3\r\n$7\r\nmessage\r\n$1\r\nt\r\n$16\r\n");
    }
}
