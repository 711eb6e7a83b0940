//! STOMP 1.2, as RabbitMQ's plugin speaks it: the example of `docs/adding-a-broker.md`.
//!
//! A frame is a command, headers, an empty line, a body and a zero byte; what is to be answered
//! asks for a receipt. <https://stomp.github.io/stomp-specification-1.2.html>

use super::{
    Confirmation, Conversation, Driver, EncodedBatch, Encoder, Heard, Operator, Publications,
    Publisher, Request, Selection, StreamTerms, unacknowledged::Unacknowledged,
};
use crate::drivers::DriverError;
use crate::message::BatchStamp;
use memchr::{memchr, memmem};
use std::net::SocketAddr;

const CONNECT: &[u8] =
    b"CONNECT\naccept-version:1.2\nhost:/\nlogin:guest\npasscode:guest\nheart-beat:0,0\n\n\0";

/// Begin a transaction and abandon it: what is answered when all before it is taken in.
const END: &[u8] = b"BEGIN\ntransaction:t\nreceipt:end\n\n\0ABORT\ntransaction:t\n\n\0";
const ASK: &[u8] = b"BEGIN\ntransaction:t\nreceipt:asked\n\n\0ABORT\ntransaction:t\n\n\0";

/// A broker at this address that speaks STOMP, with RabbitMQ's account for the same machine.
#[derive(Debug)]
pub struct Stomp(pub SocketAddr);

impl Driver for Stomp {
    fn address(&self) -> SocketAddr {
        self.0
    }

    fn operator(&self, _client: u32) -> Box<dyn Operator> {
        Box::new(StompClient::new(&[], (), Confirmation::Unwanted))
    }

    fn publisher(&self, terms: &StreamTerms, _publisher: u32) -> Box<dyn Publisher> {
        let is_wanted = terms.confirmation == Confirmation::Wanted;
        let receipt = if is_wanted { "\nreceipt:sent" } else { "" };
        let encoder = SendEncoder { topics: terms.topic_names('.').collect(), receipt };
        let publications = Publications::new(encoder, terms.payloads.clone());
        Box::new(StompClient::new(&[], publications, terms.confirmation))
    }

    fn subscriber(&self, terms: &StreamTerms, _subscriber: u32) -> Box<dyn Conversation> {
        let topics = match terms.selection {
            Selection::Wildcard if terms.topics > 1 => vec![format!("{}.*", terms.root)],
            Selection::Names | Selection::Wildcard => terms.topic_names('.').collect(),
        };
        Box::new(StompClient::new(&topics, (), terms.confirmation))
    }

    fn idler(&self, _client: u32) -> Box<dyn Conversation> {
        Box::new(StompClient::new(&[], (), Confirmation::Unwanted))
    }
}

/// Command, headers and body.
type Frame<'a> = (&'a [u8], &'a [u8], &'a [u8]);

/// The frame that an input begins with, and its length; `None` if it is not whole.
fn next_frame(input: &[u8]) -> Result<Option<(usize, Frame<'_>)>, DriverError> {
    // Between frames line ends may stand.
    let start = input.iter().position(|&byte| byte != b'\n').unwrap_or(input.len());
    let Some(head_bytes) = memmem::find(&input[start..], b"\n\n") else { return Ok(None) };
    let head = &input[start..start + head_bytes];
    let (command, headers) = head.split_at(memchr(b'\n', head).unwrap_or(head.len()));
    let body = &input[start + head_bytes + 2..];
    let body_bytes = match header(headers, "\ncontent-length:") {
        Some(digits) => std::str::from_utf8(digits).ok().and_then(|text| text.parse().ok()),
        None => memchr(0, body),
    };
    let Some(body_bytes) = body_bytes else { return Ok(None) };
    let frame = |body| (start + head_bytes + 2 + body_bytes + 1, (command, headers, body));
    match body.get(body_bytes) {
        Some(0) => Ok(Some(frame(&body[..body_bytes]))),
        None => Ok(None),
        Some(byte) => Err(DriverError::unexpected("a zero byte behind a body", byte)),
    }
}

/// The value of a header, which is named with the line end before it and the colon behind it.
fn header<'a>(headers: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let value = &headers[memmem::find(headers, name.as_bytes())? + name.len()..];
    Some(&value[..memchr(b'\n', value).unwrap_or(value.len())])
}

/// Hands over every whole frame but ERROR; how many bytes were used.
fn take_frames(
    input: &[u8],
    mut take: impl FnMut(Frame<'_>) -> Result<(), DriverError>,
) -> Result<usize, DriverError> {
    let mut used = 0;
    while let Some((bytes, frame)) = next_frame(&input[used..])? {
        if let (b"ERROR", _, reason) = frame {
            let message = String::from_utf8_lossy(reason).into_owned();
            return Err(DriverError::Refused { code: "stomp_error".to_owned(), message });
        }
        take(frame)?;
        used += bytes;
    }
    Ok(used)
}

struct SendEncoder {
    topics: Vec<String>,
    receipt: &'static str,
}

impl Encoder for SendEncoder {
    fn encode(&mut self, topic: u32, payloads: &[&[u8]], batch: &mut EncodedBatch) {
        let topic = &self.topics[topic as usize];
        for payload in payloads {
            batch.raw(&send_head(topic, self.receipt, payload.len()));
            batch.payload(payload);
            batch.raw(b"\0");
        }
    }
}

fn send_head(topic: &str, receipt: &str, bytes: usize) -> Vec<u8> {
    format!("SEND\ndestination:/topic/{topic}{receipt}\ncontent-length:{bytes}\n\n").into_bytes()
}

/// One side of a connection; `publications` are a publisher's, and nothing for the others.
struct StompClient<P> {
    /// SUBSCRIBE frames, and how many of their receipts are still to come.
    subscribe: String,
    outstanding: usize,
    publications: P,
    unacknowledged: Unacknowledged,
}

impl<P> StompClient<P> {
    fn new(topics: &[String], publications: P, confirmation: Confirmation) -> Self {
        let subscribe = |(id, topic): (usize, &String)| {
            format!("SUBSCRIBE\nid:{id}\ndestination:/topic/{topic}\nreceipt:ready\n\n\0")
        };
        let subscribe = topics.iter().enumerate().map(subscribe).collect();
        let (outstanding, unacknowledged) = (topics.len(), Unacknowledged::new(confirmation));
        Self { subscribe, outstanding, publications, unacknowledged }
    }
}

impl<P: Send> Conversation for StompClient<P> {
    fn poll_opening(&mut self, output: &mut Vec<u8>) {
        output.extend_from_slice(CONNECT);
    }

    fn handle_input(
        &mut self,
        input: &[u8],
        heard: &mut Heard<'_, '_>,
    ) -> Result<usize, DriverError> {
        take_frames(input, |(command, headers, body)| {
            match (command, header(headers, "\nreceipt-id:")) {
                (b"MESSAGE", _) => heard.deliver(body),
                (b"RECEIPT", Some(b"sent")) => {
                    heard.acknowledge(self.unacknowledged.acknowledge(1)?);
                }
                (b"RECEIPT", Some(b"asked")) => heard.answer(Ok(0)),
                (b"RECEIPT", Some(b"end")) => heard.finished(),
                (b"RECEIPT", _) => self.outstanding = self.outstanding.saturating_sub(1),
                _ => heard.reply().extend_from_slice(self.subscribe.as_bytes()),
            }
            if self.outstanding == 0 {
                heard.ready();
            }
            Ok(())
        })
    }
}

impl Publisher for StompClient<Publications<SendEncoder>> {
    fn publish(&mut self, stamp: &BatchStamp<'_>) -> &[u8] {
        self.unacknowledged.publish(stamp.count);
        self.publications.stamped(stamp).bytes()
    }

    fn finish(&mut self, output: &mut Vec<u8>) {
        output.extend_from_slice(END);
    }
}

impl Operator for StompClient<()> {
    fn request(&mut self, request: &Request<'_>, output: &mut Vec<u8>) -> Result<(), DriverError> {
        match *request {
            Request::Publish { topic, payload } => {
                output.extend_from_slice(&send_head(topic, "\nreceipt:asked", payload.len()));
                output.extend_from_slice(&[payload, b"\0"].concat());
            }
            // Destinations are there when they are named.
            Request::Create { .. } | Request::Delete { .. } => output.extend_from_slice(ASK),
            _ => return Err(DriverError::unexpected("an operation that STOMP has", request)),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
