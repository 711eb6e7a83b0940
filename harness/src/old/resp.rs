//! RESP 2, as far as Redis's channels and streams need it.
//!
//! Protocol: <https://redis.io/docs/latest/develop/reference/protocol-spec/>.

use super::connection::Connection;
use super::{DriverError, StreamPublisher, StreamSpec};
use crate::message::{BatchStamp, StampedBatch, blank_payload};
use protocol::PublishAck;
use std::collections::VecDeque;

/// Publications whose answers are not read yet, in batches, where nobody counts them. Redis answers
/// each, and keeps what is not read in memory.
const BATCHES_IN_FLIGHT_MAX: usize = 32;

pub(super) const LINE_END: &[u8] = b"\r\n";

/// What a reply is, if it is no error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reply {
    /// `+OK`
    Status,
    /// `:1`
    Integer,
    /// `$3`, and so many bytes on a line of their own.
    Bulk,
}

impl Reply {
    fn sign(self) -> u8 {
        match self {
            Self::Status => b'+',
            Self::Integer => b':',
            Self::Bulk => b'$',
        }
    }
}

/// A command as an array of bulk strings.
pub(super) fn command(words: &[&[u8]]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        bytes.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        bytes.extend_from_slice(word);
        bytes.extend_from_slice(LINE_END);
    }
    bytes
}

/// Reads one reply of this kind.
pub(super) fn read_reply(connection: &mut Connection, kind: Reply) -> Result<(), DriverError> {
    loop {
        if let Some(consumed_bytes) = first_reply(connection.input(), kind)? {
            connection.consume(consumed_bytes);
            return Ok(());
        }
        let input_bytes = connection.input().len() + 1;
        connection.fill("a reply", input_bytes)?;
    }
}

/// The length of the first reply; `None` if it is not all there yet.
fn first_reply(input: &[u8], kind: Reply) -> Result<Option<usize>, DriverError> {
    let Some((line, line_bytes)) = first_line(input) else { return Ok(None) };
    check_reply(line, kind)?;
    if kind != Reply::Bulk {
        return Ok(Some(line_bytes));
    }
    let reply_bytes = line_bytes + length(line)? + LINE_END.len();
    Ok((input.len() >= reply_bytes).then_some(reply_bytes))
}

/// The first line without its end, and how many bytes it takes with it.
pub(super) fn first_line(input: &[u8]) -> Option<(&[u8], usize)> {
    let end = input.iter().position(|&byte| byte == b'\n')?;
    Some((input[..end].strip_suffix(b"\r").unwrap_or(&input[..end]), end + 1))
}

/// The number behind the sign of a line, which says how long or how many.
pub(super) fn length(line: &[u8]) -> Result<usize, DriverError> {
    line.get(1..)
        .and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok())
        .ok_or_else(|| DriverError::unexpected("a length", &String::from_utf8_lossy(line)))
}

/// Whether the line is one of an error, or of another kind.
pub(super) fn check_reply(line: &[u8], kind: Reply) -> Result<(), DriverError> {
    match line.first() {
        Some(&first) if first == kind.sign() => Ok(()),
        Some(b'-') => {
            let text = String::from_utf8_lossy(&line[1..]);
            let (code, message) = text.split_once(' ').unwrap_or((&text, ""));
            Err(DriverError::Refused { code: code.to_owned(), message: message.to_owned() })
        }
        _ => Err(DriverError::unexpected("a reply", &String::from_utf8_lossy(line))),
    }
}

/// Encodes the publication of one message to a topic; the payload comes last.
pub(super) type EncodeOne = fn(topic: &str, payload: &[u8]) -> Vec<u8>;

/// Publishes batches of commands, one for each message, and counts their answers.
pub(super) struct RespPublisher {
    connection: Connection,
    topic: String,
    payload: Vec<u8>,
    batch: StampedBatch,
    producer: u16,
    ack: PublishAck,
    encode: EncodeOne,
    reply: Reply,
    /// Messages without an answer in each publication, oldest first.
    unanswered: VecDeque<u32>,
}

impl RespPublisher {
    pub(super) fn new(
        connection: Connection,
        spec: &StreamSpec,
        producer: u16,
        encode: EncodeOne,
        reply: Reply,
    ) -> Self {
        let payload = blank_payload(spec.payload_bytes);
        let batch = publish_batch(encode, &spec.topic, &payload, spec.batch);
        let (topic, ack, unanswered) = (spec.topic.clone(), spec.ack, VecDeque::new());
        Self { connection, topic, payload, batch, producer, ack, encode, reply, unanswered }
    }

    /// Takes in the answers that are here; how many publications they complete.
    fn take_answers(&mut self) -> Result<u32, DriverError> {
        let (mut consumed_bytes, mut completed) = (0, 0);
        while let Some(oldest) = self.unanswered.front_mut() {
            let input = &self.connection.input()[consumed_bytes..];
            let Some(reply_bytes) = first_reply(input, self.reply)? else { break };
            consumed_bytes += reply_bytes;
            *oldest -= 1;
            if *oldest == 0 {
                self.unanswered.pop_front();
                completed += 1;
            }
        }
        self.connection.consume(consumed_bytes);
        Ok(completed)
    }

    /// Reads answers until at most so many publications have not all of theirs.
    fn read_answers(&mut self, unanswered_max: usize) -> Result<(), DriverError> {
        while self.unanswered.len() > unanswered_max {
            if self.take_answers()? == 0 {
                let input_bytes = self.connection.input().len() + 1;
                self.connection.fill("answers to publications", input_bytes)?;
            }
        }
        Ok(())
    }
}

fn publish_batch(encode: EncodeOne, topic: &str, payload: &[u8], count: u32) -> StampedBatch {
    let one = encode(topic, payload);
    let payload_at = one.len() - LINE_END.len() - payload.len();
    StampedBatch::new(one.repeat(count as usize), count, one.len(), payload_at)
}

impl StreamPublisher for RespPublisher {
    fn publish(&mut self, stamp: BatchStamp) -> Result<(), DriverError> {
        if self.batch.count() != stamp.count {
            self.batch = publish_batch(self.encode, &self.topic, &self.payload, stamp.count);
        }
        self.batch.renew(self.producer, stamp);
        self.connection.send(self.batch.bytes())?;
        self.unanswered.push_back(stamp.count);
        match self.ack {
            PublishAck::Unwanted => self.read_answers(BATCHES_IN_FLIGHT_MAX),
            PublishAck::Wanted => Ok(()),
        }
    }

    fn receive_acks(&mut self) -> Result<u32, DriverError> {
        loop {
            let completed = self.take_answers()?;
            if completed > 0 || self.unanswered.is_empty() {
                return Ok(completed);
            }
            let input_bytes = self.connection.input().len() + 1;
            self.connection.fill("answers to publications", input_bytes)?;
        }
    }

    fn finish(&mut self) -> Result<(), DriverError> {
        self.read_answers(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Stamp;

    #[test]
    fn a_command_is_an_array_of_bulk_strings() {
        assert_eq!(command(&[b"PUBLISH", b"t"]), b"*2\r\n$7\r\nPUBLISH\r\n$1\r\nt\r\n");
    }

    #[test]
    fn the_stamps_of_a_batch_are_where_the_payloads_are() {
        let encode: EncodeOne = |topic, payload| command(&[b"X", topic.as_bytes(), payload]);
        let mut batch = publish_batch(encode, "t", &blank_payload(20), 2);
        batch.renew(3, BatchStamp { count: 2, first_sequence: 5, sent_ns: 9, spacing_ns: 0 });
        let one = batch.bytes().len() / 2;
        let payload_at = one - 22;
        let second = Stamp::read(&batch.bytes()[one + payload_at..]).unwrap();
        assert_eq!(second, Stamp { sent_ns: 9, producer: 3, sequence: 6 });
        assert!(batch.bytes().ends_with(b"abcd\r\n"));
    }

    #[test]
    fn an_error_reply_is_a_refusal_with_its_code() {
        let error = check_reply(b"-NOAUTH Authentication required.", Reply::Integer).unwrap_err();
        assert_eq!(error.code(), "NOAUTH");
        assert!(check_reply(b":1", Reply::Integer).is_ok());
        assert_eq!(check_reply(b"+OK", Reply::Integer).unwrap_err().code(), "unexpected_answer");
    }

    #[test]
    fn a_bulk_reply_is_there_when_its_last_byte_is() {
        let reply = b"$3\r\n1-0\r\n$3";
        for cut in 0..9 {
            assert_eq!(first_reply(&reply[..cut], Reply::Bulk).unwrap(), None, "{cut} bytes");
        }
        assert_eq!(first_reply(reply, Reply::Bulk).unwrap(), Some(9));
        assert!(first_reply(b"$x\r\n", Reply::Bulk).is_err());
    }
}
