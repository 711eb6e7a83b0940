//! Clients of Redis that wait, that ask and wait, and that publish; for channels and streams alike.

use super::resp::{Cursor, Reply, append_command, whole};
use crate::drivers::DriverError;
use crate::message::BatchStamp;
use crate::wire::pieces::{TextEncoder, take_pieces};
use crate::wire::unacknowledged::Unacknowledged;
use crate::wire::{
    Confirmation, Conversation, Heard, Operator, Publications, Publisher, Request, StreamTerms,
};

/// Messages without an answer where nobody counts them. Redis answers each, and keeps what is not
/// read in memory.
const UNCOUNTED_MAX: u64 = 2048;

/// What a publication is in Redis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kept {
    /// Nowhere: it goes to a channel.
    Nowhere,
    /// In a stream.
    InStream,
}

/// The name of the only field of a stream's entry.
pub(super) const FIELD: &[u8] = b"m";

impl Kept {
    /// The words of a publication but its payload.
    pub(super) fn publish_words(self, topic: &str) -> Vec<&[u8]> {
        match self {
            Self::Nowhere => vec![b"PUBLISH", topic.as_bytes()],
            Self::InStream => vec![b"XADD", topic.as_bytes(), b"*", FIELD],
        }
    }
}

fn append_ping(output: &mut Vec<u8>) {
    append_command(&[b"PING"], output);
}

/// Asks a list of commands, and is ready when every one was granted; with none it is at rest.
pub(super) struct RedisAsking {
    commands: Vec<u8>,
    /// Commands and PING.
    unanswered: usize,
    input_bytes_wanted: usize,
}

impl RedisAsking {
    pub(super) fn new(commands: &[&[&[u8]]]) -> Self {
        let mut bytes = Vec::new();
        append_ping(&mut bytes);
        commands.iter().for_each(|words| append_command(words, &mut bytes));
        Self { commands: bytes, unanswered: 1 + commands.len(), input_bytes_wanted: 0 }
    }
}

impl Conversation for RedisAsking {
    fn poll_opening(&mut self, output: &mut Vec<u8>) {
        output.append(&mut self.commands);
    }

    fn handle_input(
        &mut self,
        input: &[u8],
        heard: &mut Heard<'_, '_>,
    ) -> Result<usize, DriverError> {
        take_pieces(input, |rest| {
            let mut cursor = Cursor::new(rest);
            let Some(reply) = whole(cursor.reply(), &mut self.input_bytes_wanted)? else {
                return Ok(0);
            };
            match (reply, self.unanswered) {
                (Reply::Refusal(refusal), _) => return Err(refusal),
                (reply, 0) => return Err(DriverError::unexpected("nothing more", &reply)),
                (_, 1) => heard.ready(),
                _ => {}
            }
            self.unanswered -= 1;
            Ok(cursor.at())
        })
    }
}

/// Publishes, and deletes streams. What is published to is there as soon as someone names it, so
/// who creates it, or deletes a channel, only hears that the server is there.
pub(super) struct RedisOperator {
    kept: Kept,
    is_open: bool,
    input_bytes_wanted: usize,
}

impl RedisOperator {
    pub(super) fn new(kept: Kept) -> Self {
        Self { kept, is_open: false, input_bytes_wanted: 0 }
    }
}

impl Conversation for RedisOperator {
    fn poll_opening(&mut self, output: &mut Vec<u8>) {
        append_ping(output);
    }

    fn handle_input(
        &mut self,
        input: &[u8],
        heard: &mut Heard<'_, '_>,
    ) -> Result<usize, DriverError> {
        take_pieces(input, |rest| {
            let mut cursor = Cursor::new(rest);
            let Some(reply) = whole(cursor.reply(), &mut self.input_bytes_wanted)? else {
                return Ok(0);
            };
            match reply {
                Reply::Refusal(refusal) if !self.is_open => return Err(refusal),
                Reply::Refusal(refusal) => heard.answer(Err(refusal)),
                _ if self.is_open => heard.answer(Ok(0)),
                _ => {
                    self.is_open = true;
                    heard.ready();
                }
            }
            Ok(cursor.at())
        })
    }
}

impl Operator for RedisOperator {
    fn request(&mut self, request: &Request<'_>, output: &mut Vec<u8>) -> Result<(), DriverError> {
        match (*request, self.kept) {
            (Request::Publish { topic, payload }, kept) => {
                let mut words = kept.publish_words(topic);
                words.push(payload);
                append_command(&words, output);
            }
            (Request::Delete { topic }, Kept::InStream) => {
                append_command(&[b"DEL", topic.as_bytes()], output);
            }
            (Request::Create { .. } | Request::Delete { .. }, _) => append_ping(output),
            (Request::Subscribe { .. } | Request::Pull { .. }, _) => {
                return Err(DriverError::no_such_request("Redis"));
            }
        }
        Ok(())
    }
}

/// Publishes batches of commands, one for each message, and counts their answers.
pub(super) struct RedisPublisher {
    kept: Kept,
    publications: Publications<TextEncoder>,
    confirmation: Confirmation,
    unacknowledged: Unacknowledged,
    is_open: bool,
    input_bytes_wanted: usize,
}

impl RedisPublisher {
    pub(super) fn new(kept: Kept, heads: Vec<Vec<u8>>, terms: &StreamTerms) -> Self {
        Self {
            kept,
            publications: Publications::new(TextEncoder::new(heads), terms.payloads.clone()),
            confirmation: terms.confirmation,
            unacknowledged: Unacknowledged::of_each(),
            is_open: false,
            input_bytes_wanted: 0,
        }
    }

    #[inline]
    fn handle_answer(&mut self, heard: &mut Heard<'_, '_>) -> Result<(), DriverError> {
        let publications = self.unacknowledged.acknowledge(1)?;
        if self.confirmation == Confirmation::Wanted {
            heard.acknowledge(publications);
        }
        Ok(())
    }
}

impl Conversation for RedisPublisher {
    fn poll_opening(&mut self, output: &mut Vec<u8>) {
        append_ping(output);
    }

    fn handle_input(
        &mut self,
        input: &[u8],
        heard: &mut Heard<'_, '_>,
    ) -> Result<usize, DriverError> {
        take_pieces(input, |rest| {
            let mut cursor = Cursor::new(rest);
            let Some(reply) = whole(cursor.reply(), &mut self.input_bytes_wanted)? else {
                return Ok(0);
            };
            match (reply, self.kept) {
                (Reply::Integer, Kept::Nowhere) | (Reply::Bulk, Kept::InStream) => {
                    self.handle_answer(heard)?;
                }
                // Commands are answered in order: the first PING opens, any other finishes.
                (Reply::Status, _) if self.is_open => heard.finished(),
                (Reply::Status, _) => {
                    self.is_open = true;
                    heard.ready();
                }
                (Reply::Refusal(refusal), _) => return Err(refusal),
                (other, _) => {
                    return Err(DriverError::unexpected("an answer to a publication", &other));
                }
            }
            Ok(cursor.at())
        })
    }
}

impl Publisher for RedisPublisher {
    fn room(&self) -> u32 {
        match self.confirmation {
            Confirmation::Unwanted if self.unacknowledged.messages() >= UNCOUNTED_MAX => 0,
            Confirmation::Unwanted | Confirmation::Wanted => u32::MAX,
        }
    }

    fn publish(&mut self, stamp: &BatchStamp<'_>) -> &[u8] {
        self.unacknowledged.publish(stamp.count);
        self.publications.stamped(stamp).bytes()
    }

    fn finish(&mut self, output: &mut Vec<u8>) {
        append_ping(output);
    }
}
