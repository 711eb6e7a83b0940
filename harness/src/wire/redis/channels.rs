//! Redis's channels: PUBLISH, and SUBSCRIBE or PSUBSCRIBE.

use super::SEPARATOR;
use super::client::{Kept, RedisAsking, RedisOperator, RedisPublisher};
use super::resp::{Cursor, Cut, append_array, append_bulk, append_command, command_head, whole};
use crate::drivers::DriverError;
use crate::wire::pieces::{LINE_END, RepeatedHead, TextEncoder, take_pieces};
use crate::wire::{
    Conversation, Driver, Encoder, Heard, Operator, Publisher, Selection, StreamTerms,
};
use std::net::SocketAddr;

/// A Redis server.
#[derive(Debug)]
pub struct Redis {
    address: SocketAddr,
}

impl Redis {
    /// At this address.
    #[must_use]
    pub fn new(address: SocketAddr) -> Self {
        Self { address }
    }
}

impl Driver for Redis {
    fn address(&self) -> SocketAddr {
        self.address
    }

    fn operator(&self, _client: u32) -> Box<dyn Operator> {
        Box::new(RedisOperator::new(Kept::Nowhere))
    }

    fn publisher(&self, terms: &StreamTerms, _publisher: u32) -> Box<dyn Publisher> {
        let head = |topic: String| command_head(&Kept::Nowhere.publish_words(&topic));
        let heads = terms.topic_names(SEPARATOR).map(head).collect();
        Box::new(RedisPublisher::new(Kept::Nowhere, heads, terms))
    }

    fn subscriber(&self, terms: &StreamTerms, _subscriber: u32) -> Box<dyn Conversation> {
        let mut words = vec![subscribe_command(terms.selection).to_vec()];
        match pattern(terms) {
            Some(pattern) => words.push(pattern.into_bytes()),
            None => words.extend(terms.topic_names(SEPARATOR).map(String::into_bytes)),
        }
        let words: Vec<_> = words.iter().map(Vec::as_slice).collect();
        let mut opening = Vec::new();
        append_command(&words, &mut opening);
        Box::new(RedisSubscriber {
            opening,
            subscriptions: words.len() - 1,
            repeated: RepeatedHead::new(LINE_END.len()),
            input_bytes_wanted: 0,
        })
    }

    fn idler(&self, _client: u32) -> Box<dyn Conversation> {
        Box::new(RedisAsking::new(&[]))
    }

    fn delivery_encoder(&self, terms: &StreamTerms) -> Option<Box<dyn Encoder>> {
        let pattern = pattern(terms);
        let head = |topic: String| {
            let mut head = Vec::new();
            match &pattern {
                Some(pattern) => {
                    append_array(4, &mut head);
                    append_bulk(b"pmessage", &mut head);
                    append_bulk(pattern.as_bytes(), &mut head);
                }
                None => {
                    append_array(3, &mut head);
                    append_bulk(b"message", &mut head);
                }
            }
            append_bulk(topic.as_bytes(), &mut head);
            head.push(b'$');
            head
        };
        let heads = terms.topic_names(SEPARATOR).map(head).collect();
        Some(Box::new(TextEncoder::new(heads)))
    }
}

fn subscribe_command(selection: Selection) -> &'static [u8] {
    match selection {
        Selection::Names => b"SUBSCRIBE",
        Selection::Wildcard => b"PSUBSCRIBE",
    }
}

/// What selects the topics, where a pattern does.
fn pattern(terms: &StreamTerms) -> Option<String> {
    match (terms.selection, terms.topics) {
        (Selection::Names, _) => None,
        (Selection::Wildcard, 1) => Some(terms.root.clone()),
        (Selection::Wildcard, _) => Some(format!("{}{SEPARATOR}*", terms.root)),
    }
}

struct RedisSubscriber {
    opening: Vec<u8>,
    subscriptions: usize,
    repeated: RepeatedHead,
    input_bytes_wanted: usize,
}

/// What comes to a subscriber.
enum Came<'a> {
    Message(&'a [u8]),
    /// How many subscriptions there are now.
    Subscribed(usize),
    Other(&'a [u8]),
}

/// `message channel payload`, `pmessage pattern channel payload`, or `subscribe channel :1`.
#[inline]
fn came<'a>(cursor: &mut Cursor<'a>) -> Result<Came<'a>, Cut> {
    cursor.array()?;
    let kind = cursor.bulk()?;
    cursor.bulk()?;
    match kind {
        b"message" => cursor.bulk().map(Came::Message),
        b"pmessage" => {
            cursor.bulk()?;
            cursor.bulk().map(Came::Message)
        }
        b"subscribe" | b"psubscribe" => cursor.integer().map(Came::Subscribed),
        other => Ok(Came::Other(other)),
    }
}

impl Conversation for RedisSubscriber {
    fn poll_opening(&mut self, output: &mut Vec<u8>) {
        output.append(&mut self.opening);
    }

    fn handle_input(
        &mut self,
        input: &[u8],
        heard: &mut Heard<'_, '_>,
    ) -> Result<usize, DriverError> {
        take_pieces(input, |rest| {
            if let Some((payload, bytes)) = self.repeated.next(rest) {
                heard.deliver(payload);
                return Ok(bytes);
            }
            let mut cursor = Cursor::new(rest);
            let Some(came) = whole(came(&mut cursor), &mut self.input_bytes_wanted)? else {
                return Ok(0);
            };
            match came {
                Came::Message(payload) => {
                    let head_bytes = cursor.at() - payload.len() - LINE_END.len();
                    self.repeated.remember(&rest[..head_bytes], payload.len());
                    heard.deliver(payload);
                }
                Came::Subscribed(count) if count == self.subscriptions => heard.ready(),
                Came::Subscribed(_) => {}
                Came::Other(kind) => {
                    let found = String::from_utf8_lossy(kind);
                    return Err(DriverError::unexpected("a message of the stream", &found));
                }
            }
            Ok(cursor.at())
        })
    }

    fn input_bytes_wanted(&self) -> usize {
        self.input_bytes_wanted
    }
}
