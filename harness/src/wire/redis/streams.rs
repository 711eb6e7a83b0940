//! Redis's streams: XADD, and XREAD from the beginning, again as soon as the answer is there.
//!
//! With `appendfsync always` Redis answers XADD after its log is synced, once for all the commands
//! that it had read by then.
//!
//! A reader asks for what comes after the last entry that it has, and the answer comes when there
//! is any. So a delivery costs a round trip more than one that is pushed, and many entries share it
//! under load: that is how Redis streams are read, and what is measured.

use super::SEPARATOR;
use super::client::{FIELD, Kept, RedisAsking, RedisOperator, RedisPublisher};
use super::resp::{Cursor, Cut, append_array, append_bulk, append_command, command_head, whole};
use crate::drivers::DriverError;
use crate::wire::pieces::{TextEncoder, take_pieces};
use crate::wire::{
    Conversation, Driver, EncodedBatch, Encoder, Heard, Operator, Publisher, StreamTerms,
};
use std::net::SocketAddr;

/// Entries that one XREAD asks for, of each stream.
const ENTRIES_MAX: usize = 1024;

/// Payloads that one XREAD asks for, of each stream.
const ANSWER_BYTES_MAX: usize = 1024 * 1024;

/// Before any entry.
const FIRST_ID: &[u8] = b"0-0";

/// After all entries that there are when it is asked.
const NEXT_ID: &[u8] = b"$";

/// An entry's id: milliseconds since 1970, which have 13 digits until 2286, and a number.
const SAMPLE_ID: &[u8] = b"1700000000000-0";

/// A Redis server.
#[derive(Debug)]
pub struct RedisStreams {
    address: SocketAddr,
}

impl RedisStreams {
    /// At this address.
    #[must_use]
    pub fn new(address: SocketAddr) -> Self {
        Self { address }
    }
}

impl Driver for RedisStreams {
    fn address(&self) -> SocketAddr {
        self.address
    }

    fn operator(&self, _client: u32) -> Box<dyn Operator> {
        Box::new(RedisOperator::new(Kept::InStream))
    }

    fn publisher(&self, terms: &StreamTerms, _publisher: u32) -> Box<dyn Publisher> {
        let head = |topic: String| command_head(&Kept::InStream.publish_words(&topic));
        let heads = terms.topic_names(SEPARATOR).map(head).collect();
        Box::new(RedisPublisher::new(Kept::InStream, heads, terms))
    }

    /// Streams have no patterns: each is named.
    fn subscriber(&self, terms: &StreamTerms, _subscriber: u32) -> Box<dyn Conversation> {
        Box::new(StreamReader::new(terms, FIRST_ID, Place::Answer))
    }

    /// The server knows nothing of its readers: the conversation keeps its place itself.
    fn returning_subscriber(&self, terms: &StreamTerms, _subscriber: u32) -> Box<dyn Conversation> {
        Box::new(StreamReader::new(terms, FIRST_ID, Place::Entry))
    }

    fn passing_subscriber(&self, terms: &StreamTerms, _subscriber: u32) -> Box<dyn Conversation> {
        Box::new(StreamReader::new(terms, NEXT_ID, Place::Answer))
    }

    fn idler(&self, _client: u32) -> Box<dyn Conversation> {
        Box::new(RedisAsking::new(&[]))
    }

    /// A stream is there as soon as someone adds to it, so there is nothing to prepare.
    fn removal(&self, terms: &StreamTerms) -> Option<Box<dyn Conversation>> {
        let names: Vec<_> = terms.topic_names(SEPARATOR).collect();
        let mut words = vec![&b"DEL"[..]];
        words.extend(names.iter().map(String::as_bytes));
        Some(Box::new(RedisAsking::new(&[&words])))
    }

    fn delivery_encoder(&self, terms: &StreamTerms) -> Option<Box<dyn Encoder>> {
        let names = terms.topic_names(SEPARATOR).collect();
        let mut entry_head = Vec::new();
        append_array(2, &mut entry_head);
        append_bulk(SAMPLE_ID, &mut entry_head);
        append_array(2, &mut entry_head);
        append_bulk(FIELD, &mut entry_head);
        entry_head.push(b'$');
        Some(Box::new(AnswerEncoder { names, entries: TextEncoder::new(vec![entry_head]) }))
    }
}

/// Answers to XREAD, each with entries of one stream.
struct AnswerEncoder {
    names: Vec<String>,
    entries: TextEncoder,
}

impl Encoder for AnswerEncoder {
    fn encode(&mut self, topic: u32, payloads: &[&[u8]], batch: &mut EncodedBatch) {
        let mut head = Vec::new();
        append_array(1, &mut head);
        append_array(2, &mut head);
        append_bulk(self.names[topic as usize].as_bytes(), &mut head);
        append_array(payloads.len(), &mut head);
        batch.raw(&head);
        self.entries.encode(0, payloads, batch);
    }
}

/// Reads streams from their beginning.
struct StreamReader {
    streams: Vec<Stream>,
    count: Vec<u8>,
    place: Place,
    answer: Answer,
    input_bytes_wanted: usize,
}

struct Stream {
    name: String,
    /// Of the last entry that was read.
    last_id: Vec<u8>,
}

/// After what the place of a reader is noted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// After the last entry of each answer, which the next question needs.
    Answer,
    /// After every entry, so that none comes twice if the connection ends within an answer.
    Entry,
}

/// How far an answer to XREAD was read.
#[derive(Clone, Copy, Debug, Default)]
struct Answer {
    /// Whose entries are not begun.
    streams_left: usize,
    /// Entries of `stream` that are to come.
    entries_left: usize,
    stream: usize,
}

impl StreamReader {
    fn new(terms: &StreamTerms, from_id: &[u8], place: Place) -> Self {
        let stream = |name| Stream { name, last_id: from_id.to_vec() };
        let count = (ANSWER_BYTES_MAX / terms.payloads.bytes_max().max(1)).clamp(1, ENTRIES_MAX);
        Self {
            streams: terms.topic_names(SEPARATOR).map(stream).collect(),
            count: count.to_string().into_bytes(),
            place,
            answer: Answer::default(),
            input_bytes_wanted: 0,
        }
    }

    /// `XREAD COUNT n BLOCK 0 STREAMS name… id…`: no limit to the wait, and so no question asked
    /// in vain.
    fn ask(&self, output: &mut Vec<u8>) {
        let mut words: Vec<&[u8]> =
            vec![b"XREAD", b"COUNT", &self.count, b"BLOCK", b"0", b"STREAMS"];
        words.extend(self.streams.iter().map(|stream| stream.name.as_bytes()));
        words.extend(self.streams.iter().map(|stream| stream.last_id.as_slice()));
        append_command(&words, output);
    }

    /// Takes in the next piece of an answer, if it is all there.
    #[inline]
    fn take_piece(
        &mut self,
        cursor: &mut Cursor<'_>,
        heard: &mut Heard<'_, '_>,
    ) -> Result<(), Cut> {
        if self.answer.entries_left > 0 {
            // *2 id *2 field payload
            cursor.array_of(2)?;
            let id = cursor.bulk()?;
            cursor.array_of(2)?;
            cursor.bulk()?;
            heard.deliver(cursor.bulk()?);
            self.answer.entries_left -= 1;
            if self.answer.entries_left == 0 || self.place == Place::Entry {
                let last_id = &mut self.streams[self.answer.stream].last_id;
                last_id.clear();
                last_id.extend_from_slice(id);
            }
        } else if self.answer.streams_left > 0 {
            // *2 name *entries
            cursor.array_of(2)?;
            let name = cursor.bulk()?;
            let entries = cursor.array()?;
            self.answer.stream = self.stream_named(name).map_err(Cut::Wrong)?;
            self.answer.entries_left = entries.unwrap_or(0);
            self.answer.streams_left -= 1;
        } else {
            self.answer.streams_left = cursor.array()?.unwrap_or(0);
        }
        if self.answer.entries_left == 0 && self.answer.streams_left == 0 {
            self.ask(heard.reply());
        }
        Ok(())
    }

    fn stream_named(&self, name: &[u8]) -> Result<usize, DriverError> {
        let is_it = |stream: &Stream| stream.name.as_bytes() == name;
        self.streams.iter().position(is_it).ok_or_else(|| {
            let found = String::from_utf8_lossy(name);
            DriverError::unexpected("entries of a stream that was asked for", &found)
        })
    }
}

impl Conversation for StreamReader {
    fn poll_opening(&mut self, output: &mut Vec<u8>) {
        append_command(&[b"PING"], output);
        self.ask(output);
    }

    fn handle_input(
        &mut self,
        input: &[u8],
        heard: &mut Heard<'_, '_>,
    ) -> Result<usize, DriverError> {
        take_pieces(input, |rest| {
            if rest.starts_with(b"+") {
                let Some((_, bytes)) = crate::wire::pieces::first_line(rest) else { return Ok(0) };
                heard.ready();
                return Ok(bytes);
            }
            let mut cursor = Cursor::new(rest);
            let taken = self.take_piece(&mut cursor, heard);
            let taken = whole(taken, &mut self.input_bytes_wanted)?;
            Ok(taken.map_or(0, |()| cursor.at()))
        })
    }

    fn input_bytes_wanted(&self) -> usize {
        self.input_bytes_wanted
    }

    fn handle_lost(&mut self) -> bool {
        self.answer = Answer::default();
        self.place == Place::Entry
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::testing::{Listener, stream_terms};
    use crate::wire::{Confirmation, StreamTerms};

    #[test]
    fn the_next_question_follows_the_last_entries_of_all_streams() {
        let terms = StreamTerms { topics: 2, ..stream_terms(16, Confirmation::Wanted) };
        let mut reader = StreamReader::new(&terms, FIRST_ID, Place::Answer);
        let mut listener = Listener::new(&terms.payloads, 1);
        reader.poll_opening(&mut listener.output);
        listener.output.clear();
        let input = b"*1\r\n*2\r\n$8\r\nstream:1\r\n*2\r\n\
            *2\r\n$3\r\n7-0\r\n*2\r\n$1\r\nm\r\n$2\r\nab\r\n\
            *2\r\n$3\r\n7-1\r\n*2\r\n$1\r\nm\r\n$4\r\nc\r\nd\r\n";
        assert_eq!(listener.hear(&mut reader, input).unwrap(), input.len());
        assert_eq!(listener.received(), 2);
        let asked = String::from_utf8(listener.output).unwrap();
        assert!(asked.ends_with("$8\r\nstream:0\r\n$8\r\nstream:1\r\n$3\r\n0-0\r\n$3\r\n7-1\r\n"));
    }

    #[test]
    fn what_is_no_stream_is_a_refusal() {
        let terms = stream_terms(16, Confirmation::Wanted);
        let mut reader = StreamReader::new(&terms, FIRST_ID, Place::Answer);
        let mut listener = Listener::new(&terms.payloads, 1);
        let error = listener.hear(&mut reader, b"-WRONGTYPE no stream\r\n").unwrap_err();
        assert_eq!(error.code(), "WRONGTYPE");
    }

    #[test]
    fn a_reader_that_returns_asks_for_what_follows_the_last_entry_it_has() {
        let terms = stream_terms(16, Confirmation::Wanted);
        let mut reader = StreamReader::new(&terms, FIRST_ID, Place::Entry);
        let mut listener = Listener::new(&terms.payloads, 1);
        let cut =
            b"*1\r\n*2\r\n$6\r\nstream\r\n*2\r\n*2\r\n$3\r\n7-0\r\n*2\r\n$1\r\nm\r\n$1\r\na\r\n";
        assert_eq!(listener.hear(&mut reader, cut).unwrap(), cut.len());
        assert!(reader.handle_lost());
        let mut again = Vec::new();
        reader.poll_opening(&mut again);
        assert!(String::from_utf8(again).unwrap().ends_with("$6\r\nstream\r\n$3\r\n7-0\r\n"));
        assert!(!StreamReader::new(&terms, FIRST_ID, Place::Answer).handle_lost());
    }
}
