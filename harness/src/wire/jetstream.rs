//! NATS JetStream: streams that a NATS server keeps, over the NATS text protocol.
//!
//! A publication is PUB with a reply subject, which the server answers with a PubAck as JSON when
//! the message is in its stream; without one where no acknowledgement is wanted. What a PubAck
//! promises is the server's business. On file storage it writes, and syncs on a timer
//! (`sync_interval`, two minutes by default): acknowledged to the operating system. With
//! `sync_interval: always`, which nats-server has since 2.10, it is acknowledged after sync. See
//! <https://docs.nats.io/running-a-nats-service/configuration#jetstream>.
//!
//! Subscribers are pull consumers that need no acknowledgements, and have two requests open at a
//! time, each for half of a window; when one is used up the next is made. It is what NATS's own
//! clients do: `Consume` and ordered consumers of nats.go's `jetstream` package, and of the other
//! clients since 2023, pull, and ask again when half of 500 messages are left
//! (<https://github.com/nats-io/nats.go/blob/main/jetstream/README.md>); push consumers are kept
//! there for old code. The window here is larger, so that no subscriber waits for its next request.
//! Their requests expire so that a client notices when a server has forgotten it; here none does,
//! since whoever is delivered nothing has failed the run anyway.
//!
//! API: <https://docs.nats.io/reference/reference-protocols/nats_api_reference>.

mod api;
mod operator;
mod publisher;
mod subscriber;

use super::nats::lines::{CONNECT, LINE_END, LineStep, NatsMessage, PING, PONG, Said, next_said};
use super::{Conversation, Driver, Encoder, Heard, Operator, Publisher, StreamTerms};
use crate::config::JetStreamStorage as Storage;
use crate::drivers::DriverError;
use api::{ConsumerTerms, check_answer, create_stream, delete_stream};
use operator::JetStreamOperator;
use publisher::JetStreamPublisher;
use std::net::SocketAddr;
use subscriber::{DeliveryEncoder, JetStreamSubscriber};

/// Between the levels of a subject.
const SEPARATOR: char = '.';

/// The subscription that answers of the API and PubAcks come by.
const ANSWERS: u32 = 1;

/// A NATS server with JetStream.
#[derive(Debug)]
pub struct JetStream {
    address: SocketAddr,
    storage: Storage,
}

impl JetStream {
    /// At this address; its streams are kept in memory or in files.
    #[must_use]
    pub fn new(address: SocketAddr, storage: Storage) -> Self {
        Self { address, storage }
    }
}

impl Driver for JetStream {
    fn address(&self) -> SocketAddr {
        self.address
    }

    fn operator(&self, client: u32) -> Box<dyn Operator> {
        Box::new(JetStreamOperator::new(client, self.storage))
    }

    fn publisher(&self, terms: &StreamTerms, publisher: u32) -> Box<dyn Publisher> {
        Box::new(JetStreamPublisher::new(terms, publisher))
    }

    fn subscriber(&self, terms: &StreamTerms, subscriber: u32) -> Box<dyn Conversation> {
        Box::new(JetStreamSubscriber::new(terms, subscriber))
    }

    fn idler(&self, _client: u32) -> Box<dyn Conversation> {
        Box::new(Asking { inbox: String::new(), request: Vec::new() })
    }

    fn preparation(&self, terms: &StreamTerms) -> Option<Box<dyn Conversation>> {
        let inbox = format!("_INBOX.{}.preparation", terms.root);
        let mut request = Vec::new();
        create_stream(&terms.root, &subjects(terms), self.storage, &inbox, &mut request);
        Some(Box::new(Asking { inbox, request }))
    }

    fn removal(&self, terms: &StreamTerms) -> Option<Box<dyn Conversation>> {
        let inbox = format!("_INBOX.{}.removal", terms.root);
        let mut request = Vec::new();
        delete_stream(&terms.root, &inbox, &mut request);
        Some(Box::new(Asking { inbox, request }))
    }

    fn delivery_encoder(&self, terms: &StreamTerms) -> Option<Box<dyn Encoder>> {
        Some(Box::new(DeliveryEncoder::new(terms)))
    }
}

/// All topics of a stream.
fn subjects(terms: &StreamTerms) -> String {
    match terms.topics {
        1 => terms.root.clone(),
        _ => format!("{}{SEPARATOR}*", terms.root),
    }
}

/// Makes one request, if any, and is ready when it is granted.
struct Asking {
    inbox: String,
    request: Vec<u8>,
}

impl Conversation for Asking {
    fn poll_opening(&mut self, output: &mut Vec<u8>) {
        output.extend_from_slice(CONNECT);
        if self.request.is_empty() {
            output.extend_from_slice(PING);
        } else {
            subscribe(&self.inbox, ANSWERS, output);
            output.extend_from_slice(&self.request);
        }
    }

    fn handle_input(
        &mut self,
        input: &[u8],
        heard: &mut Heard<'_, '_>,
    ) -> Result<usize, DriverError> {
        let lines = take_lines(input, heard, |heard, heard_of| {
            match heard_of {
                HeardOf::Message(message) => check_answer(&message)?,
                HeardOf::Pong => {}
            }
            heard.ready();
            Ok(())
        })?;
        Ok(lines.used)
    }
}

/// What conversations are told of what a server says.
enum HeardOf<'a> {
    Message(NatsMessage<'a>),
    Pong,
}

/// How far an input was used.
struct Lines {
    used: usize,
    /// How long the rest must become to be of use.
    input_bytes_wanted: usize,
}

/// Hands over every whole message and PONG, and answers every PING.
#[inline]
fn take_lines<'h, 'a, 'b>(
    input: &[u8],
    heard: &'h mut Heard<'a, 'b>,
    mut take: impl FnMut(&mut Heard<'a, 'b>, HeardOf<'_>) -> Result<(), DriverError>,
) -> Result<Lines, DriverError> {
    let mut used = 0;
    loop {
        match next_said(&input[used..])? {
            LineStep::Said { used: bytes, said } => {
                match said {
                    Said::Message(message) => take(heard, HeardOf::Message(message))?,
                    Said::Pong => take(heard, HeardOf::Pong)?,
                    Said::Ping => heard.reply().extend_from_slice(PONG),
                    Said::Info(info) => api::check_info(info)?,
                    Said::News => {}
                }
                used += bytes;
            }
            LineStep::NeedMore { input_bytes } => {
                return Ok(Lines { used, input_bytes_wanted: input_bytes });
            }
        }
    }
}

/// Appends SUB.
fn subscribe(subject: &str, subscription: u32, output: &mut Vec<u8>) {
    output.extend_from_slice(format!("SUB {subject} {subscription}\r\n").as_bytes());
}

/// Appends PUB, answered to `reply`.
fn publish(subject: &str, reply: &str, payload: &[u8], output: &mut Vec<u8>) {
    output.extend_from_slice(format!("PUB {subject} {reply} {}\r\n", payload.len()).as_bytes());
    output.extend_from_slice(payload);
    output.extend_from_slice(LINE_END);
}

#[cfg(test)]
mod tests;
