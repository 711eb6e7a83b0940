//! Redis's streams: XADD, acknowledged one by one or pipelined, and XREAD from the beginning.
//!
//! With `appendfsync always` Redis answers XADD after its log is synced, once for all the commands
//! that it had read by then.

use super::connection::Connection;
use super::resp::{
    EncodeOne, LINE_END, Reply, RespPublisher, check_reply, command, first_line, length, read_reply,
};
use super::{
    Driver, DriverError, OperationClient, Received, StreamPublisher, StreamSpec, StreamSubscriber,
};
use crate::intake::Intake;
use std::net::SocketAddr;

/// Entries that one XREAD asks for, as text.
const ENTRIES_MAX: &[u8] = b"1024";

/// How long one XREAD waits for the first entry, as text.
const BLOCK_MS_MAX: &[u8] = b"20";

/// The name of the only field of an entry.
const FIELD: &[u8] = b"m";

/// A Redis server.
#[derive(Debug)]
pub(super) struct RedisStreams {
    address: SocketAddr,
}

impl RedisStreams {
    pub(super) fn new(address: SocketAddr) -> Self {
        Self { address }
    }

    fn client(&self) -> Result<StreamsClient, DriverError> {
        Ok(StreamsClient { connection: Connection::open(self.address)? })
    }
}

impl Driver for RedisStreams {
    fn check(&self) -> Result<(), DriverError> {
        self.client()?.ask(&[b"PING"], Reply::Status)
    }

    fn operation_client(&self) -> Result<Box<dyn OperationClient>, DriverError> {
        Ok(Box::new(self.client()?))
    }

    fn prepare_stream(&self, _spec: &StreamSpec) -> Result<(), DriverError> {
        // A stream is there as soon as someone adds to it.
        Ok(())
    }

    fn end_stream(&self, spec: &StreamSpec) -> Result<(), DriverError> {
        self.client()?.delete(&spec.topic)
    }

    fn stream_publisher(
        &self,
        spec: &StreamSpec,
        producer: u16,
    ) -> Result<Box<dyn StreamPublisher>, DriverError> {
        let connection = Connection::open(self.address)?;
        let encode: EncodeOne = |topic, payload| command(&add_words(topic, payload));
        Ok(Box::new(RespPublisher::new(connection, spec, producer, encode, Reply::Bulk)))
    }

    fn stream_subscriber(
        &self,
        spec: &StreamSpec,
        _index: u32,
    ) -> Result<Box<dyn StreamSubscriber>, DriverError> {
        let connection = Connection::open(self.address)?;
        let topic = spec.topic.clone();
        Ok(Box::new(StreamsSubscriber { connection, topic, last_id: b"0-0".to_vec() }))
    }
}

/// The words of a publication, its payload last.
fn add_words<'a>(topic: &'a str, payload: &'a [u8]) -> [&'a [u8]; 5] {
    [b"XADD", topic.as_bytes(), b"*", FIELD, payload]
}

struct StreamsClient {
    connection: Connection,
}

impl StreamsClient {
    fn ask(&mut self, words: &[&[u8]], kind: Reply) -> Result<(), DriverError> {
        self.connection.send(&command(words))?;
        read_reply(&mut self.connection, kind)
    }

    fn meaningless<T>() -> Result<T, DriverError> {
        Err(DriverError::Unexpected {
            expected: "an operation that Redis streams have",
            found: "one that only topics have".to_owned(),
        })
    }
}

impl OperationClient for StreamsClient {
    fn create(&mut self, _topic: &str) -> Result<(), DriverError> {
        Ok(())
    }

    fn publish(&mut self, topic: &str, payload: &[u8]) -> Result<(), DriverError> {
        self.ask(&add_words(topic, payload), Reply::Bulk)
    }

    fn subscribe(&mut self, _topic: &str, _subscriber: &str) -> Result<(), DriverError> {
        Self::meaningless()
    }

    fn pull_one(&mut self, _topic: &str, _subscriber: &str) -> Result<u32, DriverError> {
        Self::meaningless()
    }

    fn delete(&mut self, topic: &str) -> Result<(), DriverError> {
        self.ask(&[b"DEL", topic.as_bytes()], Reply::Integer)
    }
}

/// Asks for the next entries again and again.
struct StreamsSubscriber {
    connection: Connection,
    topic: String,
    last_id: Vec<u8>,
}

impl StreamSubscriber for StreamsSubscriber {
    fn receive(&mut self, intake: &mut Intake) -> Result<Received, DriverError> {
        let topic = self.topic.as_bytes();
        let words: [&[u8]; 8] = [
            b"XREAD",
            b"COUNT",
            ENTRIES_MAX,
            b"BLOCK",
            BLOCK_MS_MAX,
            b"STREAMS",
            topic,
            &self.last_id,
        ];
        self.connection.send(&command(&words))?;
        loop {
            match parse_entries(self.connection.input())? {
                Some(Parsed { consumed_bytes, entries }) => {
                    let received = match entries.last() {
                        None => Received::Nothing,
                        Some((last_id, _)) => {
                            self.last_id = last_id.to_vec();
                            intake.begin();
                            entries.iter().for_each(|(_, payload)| intake.take(payload));
                            intake.end();
                            Received::Messages
                        }
                    };
                    self.connection.consume(consumed_bytes);
                    return Ok(received);
                }
                None => {
                    let input_bytes = self.connection.input().len() + 1;
                    self.connection.fill("entries of a stream", input_bytes)?;
                }
            }
        }
    }
}

/// A whole answer to XREAD of one stream.
struct Parsed<'a> {
    consumed_bytes: usize,
    entries: Vec<Entry<'a>>,
}

/// Id and payload.
type Entry<'a> = (&'a [u8], &'a [u8]);

/// `None`: the answer is not all there yet.
fn parse_entries(input: &[u8]) -> Result<Option<Parsed<'_>>, DriverError> {
    let mut cursor = Cursor { input, at: 0 };
    match cursor.entries() {
        Ok(entries) => Ok(Some(Parsed { consumed_bytes: cursor.at, entries })),
        Err(Cut::Short) => Ok(None),
        Err(Cut::Wrong(error)) => Err(error),
    }
}

/// Why reading stopped.
enum Cut {
    Short,
    Wrong(DriverError),
}

struct Cursor<'a> {
    input: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    /// `*-1`, or `*1 *2 name *N (*2 id *2 field payload)…`.
    fn entries(&mut self) -> Result<Vec<Entry<'a>>, Cut> {
        let line = self.line()?;
        if line == b"*-1" {
            return Ok(Vec::new());
        }
        expect(line, b"*1")?;
        expect(self.line()?, b"*2")?;
        self.bulk()?;
        let line = self.line()?;
        let count = match line.first() {
            Some(b'*') => length(line).map_err(Cut::Wrong)?,
            _ => return Err(wrong(line)),
        };
        let mut entries = Vec::new();
        for _ in 0..count {
            expect(self.line()?, b"*2")?;
            let id = self.bulk()?;
            expect(self.line()?, b"*2")?;
            self.bulk()?;
            entries.push((id, self.bulk()?));
        }
        Ok(entries)
    }

    fn line(&mut self) -> Result<&'a [u8], Cut> {
        let (line, bytes) = first_line(&self.input[self.at..]).ok_or(Cut::Short)?;
        self.at += bytes;
        Ok(line)
    }

    fn bulk(&mut self) -> Result<&'a [u8], Cut> {
        let line = self.line()?;
        check_reply(line, Reply::Bulk).map_err(Cut::Wrong)?;
        let bytes = length(line).map_err(Cut::Wrong)?;
        let content = self.input.get(self.at..self.at + bytes + LINE_END.len());
        let content = content.ok_or(Cut::Short)?;
        self.at += content.len();
        Ok(&content[..bytes])
    }
}

fn expect(line: &[u8], wanted: &[u8]) -> Result<(), Cut> {
    if line == wanted { Ok(()) } else { Err(wrong(line)) }
}

/// An error reply is told as what it is.
fn wrong(line: &[u8]) -> Cut {
    let unexpected =
        || DriverError::unexpected("an answer to XREAD", &String::from_utf8_lossy(line));
    Cut::Wrong(check_reply(line, Reply::Status).err().unwrap_or_else(unexpected))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWER: &[u8] = b"*1\r\n*2\r\n$1\r\nt\r\n*2\r\n\
        *2\r\n$3\r\n7-0\r\n*2\r\n$1\r\nm\r\n$2\r\nab\r\n\
        *2\r\n$3\r\n7-1\r\n*2\r\n$1\r\nm\r\n$4\r\nc\r\nd\r\n";

    #[test]
    fn entries_are_read_when_all_are_there() {
        for cut in 0..ANSWER.len() {
            assert!(parse_entries(&ANSWER[..cut]).unwrap().is_none(), "{cut} bytes");
        }
        let parsed = parse_entries(ANSWER).unwrap().unwrap();
        assert_eq!(parsed.consumed_bytes, ANSWER.len());
        assert_eq!(parsed.entries, [(&b"7-0"[..], &b"ab"[..]), (b"7-1", b"c\r\nd")]);
    }

    #[test]
    fn nothing_new_and_an_error_are_told_apart() {
        assert!(parse_entries(b"*-1\r\n").unwrap().unwrap().entries.is_empty());
        let error = parse_entries(b"-WRONGTYPE no stream\r\n").err().unwrap();
        assert_eq!(error.code(), "WRONGTYPE");
    }
}
