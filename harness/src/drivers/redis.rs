//! Redis over RESP 2: PUBLISH, acknowledged one by one or pipelined, and SUBSCRIBE.
//!
//! Protocol: <https://redis.io/docs/latest/develop/reference/protocol-spec/>.

use super::connection::{Connection, Filled, Patience};
use super::{
    Driver, DriverError, OperationClient, Received, StreamPublisher, StreamSpec, StreamSubscriber,
};
use crate::intake::Intake;
use crate::message::{BatchStamp, StampedBatch, blank_payload};
use std::net::SocketAddr;

/// Publications whose answers are not read yet, in batches. Redis answers each, and keeps what is
/// not read in memory.
const BATCHES_IN_FLIGHT_MAX: u64 = 32;

const LINE_END: &[u8] = b"\r\n";

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
        read_reply(&mut connection, b'+')
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
        Ok(Box::new(RedisPublisher {
            connection: Connection::open(self.address)?,
            topic: spec.topic.clone(),
            payload: blank_payload(spec.payload_bytes),
            batch: publish_batch(&spec.topic, &blank_payload(spec.payload_bytes), spec.batch),
            producer,
            unanswered: 0,
            unanswered_max: BATCHES_IN_FLIGHT_MAX * u64::from(spec.batch),
        }))
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

/// A command as an array of bulk strings.
fn command(words: &[&[u8]]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        bytes.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        bytes.extend_from_slice(word);
        bytes.extend_from_slice(LINE_END);
    }
    bytes
}

/// What a delivery looks like before its payload.
fn message_head(topic: &[u8], payload_bytes: usize) -> Vec<u8> {
    let mut head = command(&[b"message", topic]);
    head[1] = b'3';
    head.extend_from_slice(format!("${payload_bytes}\r\n").as_bytes());
    head
}

fn publish_batch(topic: &str, payload: &[u8], count: u32) -> StampedBatch {
    let one = command(&[b"PUBLISH", topic.as_bytes(), payload]);
    let payload_at = one.len() - LINE_END.len() - payload.len();
    StampedBatch::new(one.repeat(count as usize), count, one.len(), payload_at)
}

/// Reads one reply line of the kind that begins with `kind`.
fn read_reply(connection: &mut Connection, kind: u8) -> Result<(), DriverError> {
    loop {
        if let Some((line, consumed)) = first_line(connection.input()) {
            let read = check_reply(line, kind);
            connection.consume(consumed);
            return read;
        }
        let input_bytes = connection.input().len() + 1;
        connection.fill("a reply", input_bytes)?;
    }
}

fn first_line(input: &[u8]) -> Option<(&[u8], usize)> {
    let end = input.iter().position(|&byte| byte == b'\n')?;
    Some((input[..end].strip_suffix(b"\r").unwrap_or(&input[..end]), end + 1))
}

fn check_reply(line: &[u8], kind: u8) -> Result<(), DriverError> {
    match line.first() {
        Some(&first) if first == kind => Ok(()),
        Some(b'-') => {
            let text = String::from_utf8_lossy(&line[1..]);
            let (code, message) = text.split_once(' ').unwrap_or((&text, ""));
            Err(DriverError::Refused { code: code.to_owned(), message: message.to_owned() })
        }
        _ => Err(DriverError::unexpected("a reply", &String::from_utf8_lossy(line))),
    }
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
        self.connection.send(&command(&[b"PUBLISH", topic.as_bytes(), payload]))?;
        read_reply(&mut self.connection, b':')
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

struct RedisPublisher {
    connection: Connection,
    topic: String,
    payload: Vec<u8>,
    batch: StampedBatch,
    producer: u16,
    unanswered: u64,
    unanswered_max: u64,
}

impl RedisPublisher {
    /// Reads answers until at most `unanswered_max` are outstanding.
    fn read_answers(&mut self, unanswered_max: u64) -> Result<(), DriverError> {
        while self.unanswered > unanswered_max {
            let mut consumed_bytes = 0;
            while let Some((line, bytes)) = first_line(&self.connection.input()[consumed_bytes..]) {
                check_reply(line, b':')?;
                self.unanswered -= 1;
                consumed_bytes += bytes;
            }
            self.connection.consume(consumed_bytes);
            if self.unanswered > unanswered_max {
                let input_bytes = self.connection.input().len() + 1;
                self.connection.fill("answers to PUBLISH", input_bytes)?;
            }
        }
        Ok(())
    }
}

impl StreamPublisher for RedisPublisher {
    fn publish(&mut self, stamp: BatchStamp) -> Result<(), DriverError> {
        if self.batch.count() != stamp.count {
            self.batch = publish_batch(&self.topic, &self.payload, stamp.count);
        }
        self.batch.renew(self.producer, stamp);
        self.connection.send(self.batch.bytes())?;
        self.unanswered += u64::from(stamp.count);
        self.read_answers(self.unanswered_max)
    }

    fn finish(&mut self) -> Result<(), DriverError> {
        self.read_answers(0)
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
    use crate::message::Stamp;

    #[test]
    fn a_command_is_an_array_of_bulk_strings() {
        assert_eq!(command(&[b"PUBLISH", b"t"]), b"*2\r\n$7\r\nPUBLISH\r\n$1\r\nt\r\n");
        assert_eq!(message_head(b"t", 16), b"*3\r\n$7\r\nmessage\r\n$1\r\nt\r\n$16\r\n");
    }

    #[test]
    fn the_stamps_of_a_batch_are_where_the_payloads_are() {
        let mut batch = publish_batch("t", &blank_payload(20), 2);
        batch.renew(3, BatchStamp { count: 2, first_sequence: 5, sent_ns: 9, spacing_ns: 0 });
        let one = batch.bytes().len() / 2;
        let payload_at = one - 22;
        let second = Stamp::read(&batch.bytes()[one + payload_at..]).unwrap();
        assert_eq!(second, Stamp { sent_ns: 9, producer: 3, sequence: 6 });
        assert!(batch.bytes().ends_with(b"abcd\r\n"));
    }

    #[test]
    fn an_error_reply_is_a_refusal_with_its_code() {
        let error = check_reply(b"-NOAUTH Authentication required.", b':').unwrap_err();
        assert_eq!(error.code(), "NOAUTH");
        assert!(check_reply(b":1", b':').is_ok());
        assert_eq!(check_reply(b"+OK", b':').unwrap_err().code(), "unexpected_answer");
    }
}
