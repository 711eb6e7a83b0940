//! NATS without its store: PUB and SUB; an acknowledged publication is PUB with PING, which is
//! answered when the server has taken it in.

pub(super) mod lines;
mod said;

use super::pieces::{LINE_END, RepeatedHead, TextEncoder, take_pieces};
use super::{
    Confirmation, Conversation, Driver, Encoder, Heard, Operator, Publications, Publisher, Request,
    Selection, StreamTerms,
};
use crate::drivers::DriverError;
use crate::message::BatchStamp;
use said::{CONNECT, PING, PONG, Said, Server};
use std::net::SocketAddr;

/// Between the parts of a subject.
const SEPARATOR: char = '.';

/// A NATS server.
#[derive(Debug)]
pub struct Nats {
    address: SocketAddr,
}

impl Nats {
    /// At this address.
    #[must_use]
    pub fn new(address: SocketAddr) -> Self {
        Self { address }
    }
}

impl Driver for Nats {
    fn address(&self) -> SocketAddr {
        self.address
    }

    fn operator(&self, _client: u32) -> Box<dyn Operator> {
        Box::new(NatsOperator { server: Server::default(), is_open: false })
    }

    fn publisher(&self, terms: &StreamTerms, _publisher: u32) -> Box<dyn Publisher> {
        let heads = terms.topic_names(SEPARATOR).map(|topic| publish_head(&topic)).collect();
        let end = match terms.confirmation {
            Confirmation::Wanted => PING,
            Confirmation::Unwanted => b"",
        };
        let encoder = TextEncoder::new(heads).ending_in(end);
        Box::new(NatsPublisher {
            server: Server::default(),
            is_open: false,
            publications: Publications::new(encoder, terms.payloads.clone()),
            confirmation: terms.confirmation,
            unacknowledged: 0,
        })
    }

    fn subscriber(&self, terms: &StreamTerms, _subscriber: u32) -> Box<dyn Conversation> {
        let subjects = match (terms.selection, terms.topics) {
            // One subject has no level that a wildcard could stand for.
            (Selection::Names, _) | (Selection::Wildcard, 1) => {
                terms.topic_names(SEPARATOR).collect()
            }
            (Selection::Wildcard, _) => vec![format!("{}{SEPARATOR}*", terms.root)],
        };
        Box::new(NatsSubscriber::new(subjects))
    }

    fn idler(&self, _client: u32) -> Box<dyn Conversation> {
        Box::new(NatsSubscriber::new(Vec::new()))
    }

    fn delivery_encoder(&self, terms: &StreamTerms) -> Option<Box<dyn Encoder>> {
        let head = |(index, topic)| {
            let subscription = match terms.selection {
                Selection::Names => index,
                Selection::Wildcard => 1,
            };
            format!("MSG {topic} {subscription} ").into_bytes()
        };
        let heads = (1..).zip(terms.topic_names(SEPARATOR)).map(head).collect();
        Some(Box::new(TextEncoder::new(heads)))
    }
}

fn publish_head(topic: &str) -> Vec<u8> {
    format!("PUB {topic} ").into_bytes()
}

/// Publishes; a subject is there as soon as someone names it, so who creates or deletes one only
/// hears that the server is there.
struct NatsOperator {
    server: Server,
    is_open: bool,
}

impl Conversation for NatsOperator {
    fn poll_opening(&mut self, output: &mut Vec<u8>) {
        output.extend_from_slice(CONNECT);
        output.extend_from_slice(PING);
    }

    fn handle_input(
        &mut self,
        input: &[u8],
        heard: &mut Heard<'_, '_>,
    ) -> Result<usize, DriverError> {
        take_pieces(input, |rest| {
            let Some((said, bytes)) = self.server.next(rest)? else { return Ok(0) };
            match said {
                Said::Pong if self.is_open => heard.answer(Ok(0)),
                Said::Pong => {
                    self.is_open = true;
                    heard.ready();
                }
                Said::Ping => heard.reply().extend_from_slice(PONG),
                Said::News => {}
                Said::Message(_) => return Err(said.unexpected("PONG")),
            }
            Ok(bytes)
        })
    }
}

impl Operator for NatsOperator {
    fn request(&mut self, request: &Request<'_>, output: &mut Vec<u8>) -> Result<(), DriverError> {
        match *request {
            Request::Publish { topic, payload } => append_publication(topic, payload, output),
            Request::Create { .. } | Request::Delete { .. } => {}
            Request::Subscribe { .. } | Request::Pull { .. } => {
                return Err(DriverError::no_such_request("NATS"));
            }
        }
        output.extend_from_slice(PING);
        Ok(())
    }

    fn fill(
        &mut self,
        topic: &str,
        payload: &[u8],
        count: u32,
        output: &mut Vec<u8>,
    ) -> Result<u32, DriverError> {
        (0..count).for_each(|_| append_publication(topic, payload, output));
        output.extend_from_slice(PING);
        Ok(1)
    }
}

fn append_publication(topic: &str, payload: &[u8], output: &mut Vec<u8>) {
    let mut batch = super::EncodedBatch::default();
    TextEncoder::new(vec![publish_head(topic)]).encode(0, &[payload], &mut batch);
    output.extend_from_slice(batch.bytes());
}

/// Publishes batches of PUB, with a PING behind each where acknowledgements are wanted.
struct NatsPublisher {
    server: Server,
    is_open: bool,
    publications: Publications<TextEncoder>,
    confirmation: Confirmation,
    unacknowledged: u32,
}

impl Conversation for NatsPublisher {
    fn poll_opening(&mut self, output: &mut Vec<u8>) {
        output.extend_from_slice(CONNECT);
        output.extend_from_slice(PING);
    }

    fn handle_input(
        &mut self,
        input: &[u8],
        heard: &mut Heard<'_, '_>,
    ) -> Result<usize, DriverError> {
        take_pieces(input, |rest| {
            let Some((said, bytes)) = self.server.next(rest)? else { return Ok(0) };
            match said {
                // PING is answered in order: first the one behind CONNECT, then those behind
                // publications, last the one that finishes.
                Said::Pong if !self.is_open => {
                    self.is_open = true;
                    heard.ready();
                }
                Said::Pong if self.unacknowledged > 0 => {
                    self.unacknowledged -= 1;
                    heard.acknowledge(1);
                }
                Said::Pong => heard.finished(),
                Said::Ping => heard.reply().extend_from_slice(PONG),
                Said::News => {}
                Said::Message(_) => return Err(said.unexpected("PONG")),
            }
            Ok(bytes)
        })
    }
}

impl Publisher for NatsPublisher {
    fn publish(&mut self, stamp: &BatchStamp<'_>) -> &[u8] {
        if self.confirmation == Confirmation::Wanted {
            self.unacknowledged += 1;
        }
        self.publications.stamped(stamp).bytes()
    }

    fn finish(&mut self, output: &mut Vec<u8>) {
        output.extend_from_slice(PING);
    }
}

/// Receives what is published to its subjects; without any it is at rest.
struct NatsSubscriber {
    server: Server,
    subjects: Vec<String>,
    repeated: RepeatedHead,
}

impl NatsSubscriber {
    fn new(subjects: Vec<String>) -> Self {
        Self { server: Server::default(), subjects, repeated: RepeatedHead::new(LINE_END.len()) }
    }
}

impl Conversation for NatsSubscriber {
    fn poll_opening(&mut self, output: &mut Vec<u8>) {
        output.extend_from_slice(CONNECT);
        for (subscription, subject) in (1..).zip(&self.subjects) {
            output.extend_from_slice(format!("SUB {subject} {subscription}\r\n").as_bytes());
        }
        output.extend_from_slice(PING);
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
            let Some((said, bytes)) = self.server.next(rest)? else { return Ok(0) };
            match said {
                Said::Message(payload) => {
                    let head_bytes = bytes - payload.len() - LINE_END.len();
                    self.repeated.remember(&rest[..head_bytes], payload.len());
                    heard.deliver(payload);
                }
                // Its one PING is behind the subscriptions.
                Said::Pong => heard.ready(),
                Said::Ping => heard.reply().extend_from_slice(PONG),
                Said::News => {}
            }
            Ok(bytes)
        })
    }

    fn input_bytes_wanted(&self) -> usize {
        self.server.input_bytes_wanted()
    }
}
