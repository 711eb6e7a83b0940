//! The text protocol of NATS, as far as publishing and subscribing need it.
//!
//! Protocol: <https://docs.nats.io/reference/reference-protocols/nats-protocol>. PING is the one
//! request that is always answered, and it is answered in order: PONG says that the server has
//! taken in all that was sent before.

use super::connection::{Connection, Filled, Patience};
use super::resp::first_line;
use super::{DriverError, StreamPublisher, StreamSpec};
use crate::message::{BatchStamp, StampedBatch, blank_payload};
use protocol::PublishAck;
use std::net::SocketAddr;

pub(super) const LINE_END: &[u8] = b"\r\n";
pub(super) const PING: &[u8] = b"PING\r\n";
const PONG: &[u8] = b"PONG\r\n";

/// Who connects, and that nothing but PING is to be answered.
const CONNECT: &[u8] = b"CONNECT {\"verbose\":false,\"pedantic\":false,\"tls_required\":false,\
    \"lang\":\"rust\",\"version\":\"0\",\"name\":\"harness\",\"protocol\":1}\r\n";

/// What a line of a server says, deliveries aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// What was sent before PING is taken in.
    Pong,
    /// It wants PONG.
    Ping,
    /// News that nobody here needs.
    News,
}

pub(super) struct NatsConnection {
    connection: Connection,
}

impl NatsConnection {
    pub(super) fn open(address: SocketAddr) -> Result<Self, DriverError> {
        let mut opened = Self { connection: Connection::open(address)? };
        opened.send(&[CONNECT, PING].concat())?;
        // Its INFO comes first.
        opened.wait_for_pong()?;
        Ok(opened)
    }

    pub(super) fn send(&mut self, bytes: &[u8]) -> Result<(), DriverError> {
        self.connection.send(bytes)
    }

    /// Waits until all that was sent is taken in.
    pub(super) fn ping(&mut self) -> Result<(), DriverError> {
        self.send(PING)?;
        self.wait_for_pong()
    }

    pub(super) fn wait_for_pong(&mut self) -> Result<(), DriverError> {
        while self.next_said()? != Said::Pong {}
        Ok(())
    }

    /// Waits for a line.
    fn next_said(&mut self) -> Result<Said, DriverError> {
        loop {
            if let Some((said, line_bytes)) = first_said(self.connection.input())? {
                self.connection.consume(line_bytes);
                if said == Said::Ping {
                    self.send(PONG)?;
                }
                return Ok(said);
            }
            self.fill("PONG", 1)?;
        }
    }

    /// From now on reads end after a moment, with nothing where nothing came.
    pub(super) fn become_stream(&mut self) -> Result<(), DriverError> {
        self.connection.set_patience(Patience::Stream)
    }

    /// Reads once, until there is room for so many bytes at least.
    #[inline]
    pub(super) fn fill(
        &mut self,
        expected: &'static str,
        bytes_min: usize,
    ) -> Result<Filled, DriverError> {
        let input_bytes = self.connection.input().len() + bytes_min;
        self.connection.fill(expected, input_bytes)
    }

    /// Hands over every whole message that was read: the payload of `payload_bytes` that follows
    /// `head`. Whatever else the server says in between is answered.
    #[inline]
    pub(super) fn take_messages(
        &mut self,
        head: &[u8],
        payload_bytes: usize,
        mut take: impl FnMut(&[u8]),
    ) -> Result<(), DriverError> {
        let message_bytes = head.len() + payload_bytes + LINE_END.len();
        let (mut consumed_bytes, mut pings) = (0, 0);
        loop {
            let input = &self.connection.input()[consumed_bytes..];
            if let Some(rest) = input.strip_prefix(head) {
                if input.len() < message_bytes {
                    break;
                }
                take(&rest[..payload_bytes]);
                consumed_bytes += message_bytes;
                continue;
            }
            if head.starts_with(input) {
                break;
            }
            let Some((said, line_bytes)) = first_said(input)? else { break };
            pings += usize::from(said == Said::Ping);
            consumed_bytes += line_bytes;
        }
        self.connection.consume(consumed_bytes);
        if pings > 0 {
            self.send(&PONG.repeat(pings))?;
        }
        Ok(())
    }
}

/// What the first line says, and its length; `None` if it is not all there yet.
fn first_said(input: &[u8]) -> Result<Option<(Said, usize)>, DriverError> {
    let Some((line, line_bytes)) = first_line(input) else { return Ok(None) };
    let said = match line {
        b"PONG" => Said::Pong,
        b"PING" => Said::Ping,
        b"+OK" => Said::News,
        _ if line.starts_with(b"INFO ") => Said::News,
        _ if line.starts_with(b"-ERR") => {
            let message = String::from_utf8_lossy(&line[4..]).trim().to_owned();
            return Err(DriverError::Refused { code: "nats_error".to_owned(), message });
        }
        _ => {
            let found = String::from_utf8_lossy(line);
            return Err(DriverError::unexpected("PONG, or a message of the stream", &found));
        }
    };
    Ok(Some((said, line_bytes)))
}

/// The publication of one message.
pub(super) fn publication(topic: &str, payload: &[u8]) -> Vec<u8> {
    let head = format!("PUB {topic} {}\r\n", payload.len());
    [head.as_bytes(), payload, LINE_END].concat()
}

/// Publishes batches of PUB, with a PING behind each where acknowledgements are wanted.
pub(super) struct NatsPublisher {
    connection: NatsConnection,
    topic: String,
    payload: Vec<u8>,
    batch: StampedBatch,
    producer: u16,
    ack: PublishAck,
}

impl NatsPublisher {
    pub(super) fn new(connection: NatsConnection, spec: &StreamSpec, producer: u16) -> Self {
        let payload = blank_payload(spec.payload_bytes);
        let batch = publish_batch(&spec.topic, &payload, spec.batch, spec.ack);
        let topic = spec.topic.clone();
        Self { connection, topic, payload, batch, producer, ack: spec.ack }
    }
}

fn publish_batch(topic: &str, payload: &[u8], count: u32, ack: PublishAck) -> StampedBatch {
    let one = publication(topic, payload);
    let payload_at = one.len() - LINE_END.len() - payload.len();
    let batch = StampedBatch::new(one.repeat(count as usize), count, one.len(), payload_at);
    match ack {
        PublishAck::Wanted => batch.with_tail(PING),
        PublishAck::Unwanted => batch,
    }
}

impl StreamPublisher for NatsPublisher {
    fn publish(&mut self, stamp: BatchStamp) -> Result<(), DriverError> {
        if self.batch.count() != stamp.count {
            self.batch = publish_batch(&self.topic, &self.payload, stamp.count, self.ack);
        }
        self.batch.renew(self.producer, stamp);
        self.connection.send(self.batch.bytes())
    }

    fn receive_acks(&mut self) -> Result<u32, DriverError> {
        self.connection.wait_for_pong()?;
        Ok(1)
    }

    fn finish(&mut self) -> Result<(), DriverError> {
        self.connection.ping()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Stamp;

    fn check(input: &[u8], expected: Option<(Said, usize)>) {
        assert_eq!(first_said(input).unwrap(), expected, "{}", String::from_utf8_lossy(input));
    }

    #[test]
    fn what_a_server_says_is_told_line_by_line() {
        check(b"PONG\r\nPING\r\n", Some((Said::Pong, 6)));
        check(b"PING\r\n", Some((Said::Ping, 6)));
        check(b"INFO {\"version\":\"2.9.10\"}\r\n", Some((Said::News, 27)));
        check(b"+OK\r\n", Some((Said::News, 5)));
        check(b"PON", None);
        let error = first_said(b"-ERR 'Slow Consumer'\r\n").unwrap_err();
        assert_eq!(error.code(), "nats_error");
        assert!(error.to_string().contains("'Slow Consumer'"), "{error}");
        assert!(first_said(b"MSG other 1 3\r\n").is_err());
    }

    #[test]
    fn a_batch_that_is_acknowledged_ends_in_a_ping() {
        let payload = blank_payload(20);
        for (ack, end) in [(PublishAck::Unwanted, &b""[..]), (PublishAck::Wanted, PING)] {
            let mut batch = publish_batch("t", &payload, 2, ack);
            batch.renew(3, BatchStamp { count: 2, first_sequence: 5, sent_ns: 9, spacing_ns: 0 });
            let one = batch.bytes().strip_suffix(end).unwrap().len() / 2;
            assert!(batch.bytes()[one..].starts_with(b"PUB t 20\r\n"));
            let second = Stamp::read(&batch.bytes()[one + 10..]).unwrap();
            assert_eq!(second, Stamp { sent_ns: 9, producer: 3, sequence: 6 });
        }
    }
}
