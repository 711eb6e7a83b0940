//! The byte pipe: publishers' PUBLISH frames come out at every subscriber as they went in.
//!
//! Its clients are those of the native wire: the same frames are encoded, and walked record by
//! record when they arrive. See [`crate::byte_pipe`] for the process.

use super::native::{NativeEncoder, NativeFrames, encode};
use super::{
    Conversation, Driver, Encoder, Heard, Operator, Publications, Publisher, Request, StreamTerms,
};
use crate::drivers::DriverError;
use crate::message::BatchStamp;
use protocol::batch::PAYLOAD_BYTES_MAX;
use protocol::native::{decode_request, decode_response};
use protocol::{
    Delivery, Messages, PublishAck, PublishTerms, Request as NativeRequest, Response, Start,
};
use std::borrow::Cow;
use std::net::SocketAddr;

/// Between the names of a stream and its topics, which the pipe does not look at.
const SEPARATOR: char = '/';

/// A byte pipe.
#[derive(Debug)]
pub struct BytePipe {
    address: SocketAddr,
}

impl BytePipe {
    /// At this address.
    #[must_use]
    pub fn new(address: SocketAddr) -> Self {
        Self { address }
    }
}

impl Driver for BytePipe {
    fn address(&self) -> SocketAddr {
        self.address
    }

    fn operator(&self, _client: u32) -> Box<dyn Operator> {
        Box::new(PipeEcho { frames: NativeFrames::new(), is_open: false })
    }

    fn publisher(&self, terms: &StreamTerms, _publisher: u32) -> Box<dyn Publisher> {
        Box::new(PipePublisher {
            frames: NativeFrames::new(),
            is_open: false,
            publications: Publications::new(publish_encoder(terms), terms.payloads.clone()),
        })
    }

    fn subscriber(&self, terms: &StreamTerms, subscriber: u32) -> Box<dyn Conversation> {
        Box::new(PipeSubscriber {
            frames: NativeFrames::new(),
            topic: terms.root.clone(),
            subscriber: format!("subscriber-{subscriber}"),
        })
    }

    fn idler(&self, _client: u32) -> Box<dyn Conversation> {
        Box::new(PipeEcho { frames: NativeFrames::new(), is_open: false })
    }

    fn delivery_encoder(&self, terms: &StreamTerms) -> Option<Box<dyn Encoder>> {
        Some(Box::new(publish_encoder(terms)))
    }
}

fn publish_encoder(terms: &StreamTerms) -> NativeEncoder {
    let topics = terms.topic_names(SEPARATOR).collect();
    NativeEncoder { topics, ack: PublishAck::Unwanted }
}

/// A client whose every byte comes back.
struct PipeEcho {
    frames: NativeFrames,
    is_open: bool,
}

impl Conversation for PipeEcho {
    fn poll_opening(&mut self, output: &mut Vec<u8>) {
        self.frames.poll_opening(output);
        encode(&NativeRequest::Info, 0, output);
    }

    fn handle_input(
        &mut self,
        input: &[u8],
        heard: &mut Heard<'_, '_>,
    ) -> Result<usize, DriverError> {
        let is_open = &mut self.is_open;
        self.frames.handle_input(input, |frame| {
            decode_request(frame, PAYLOAD_BYTES_MAX)?;
            if std::mem::replace(is_open, true) {
                heard.answer(Ok(0));
            } else {
                heard.ready();
            }
            Ok(())
        })
    }

    fn input_bytes_wanted(&self) -> usize {
        self.frames.input_bytes_wanted()
    }
}

impl Operator for PipeEcho {
    fn request(&mut self, request: &Request<'_>, output: &mut Vec<u8>) -> Result<(), DriverError> {
        match *request {
            Request::Publish { topic, payload } => {
                let publish = NativeRequest::Publish {
                    topic: Cow::Borrowed(topic),
                    messages: Messages::One(Cow::Borrowed(payload)),
                    ack: PublishAck::Wanted,
                    terms: PublishTerms::default(),
                };
                encode(&publish, 0, output);
            }
            // An echo needs no topic, so who makes one for it hears its own question.
            Request::Create { .. } | Request::Delete { .. } => {
                encode(&NativeRequest::Info, 0, output);
            }
            Request::Subscribe { .. } | Request::Pull { .. } => {
                return Err(DriverError::no_such_request("a byte pipe"));
            }
        }
        Ok(())
    }
}

struct PipePublisher {
    frames: NativeFrames,
    is_open: bool,
    publications: Publications<NativeEncoder>,
}

impl Conversation for PipePublisher {
    fn poll_opening(&mut self, output: &mut Vec<u8>) {
        self.frames.poll_opening(output);
        encode(&NativeRequest::Ping, 0, output);
    }

    fn handle_input(
        &mut self,
        input: &[u8],
        heard: &mut Heard<'_, '_>,
    ) -> Result<usize, DriverError> {
        let is_open = &mut self.is_open;
        self.frames.handle_input(input, |frame| match decode_response(frame)? {
            // The first makes it a publisher, any other is answered in its place in the stream.
            Response::Pong if std::mem::replace(is_open, true) => {
                heard.finished();
                Ok(())
            }
            Response::Pong => {
                heard.ready();
                Ok(())
            }
            other => Err(DriverError::unexpected("PONG", &other)),
        })
    }
}

impl Publisher for PipePublisher {
    fn publish(&mut self, stamp: &BatchStamp<'_>) -> &[u8] {
        self.publications.stamped(stamp).bytes()
    }

    fn finish(&mut self, output: &mut Vec<u8>) {
        encode(&NativeRequest::Ping, 0, output);
    }
}

/// Receives what all publishers send, whatever it asks for.
struct PipeSubscriber {
    frames: NativeFrames,
    topic: String,
    subscriber: String,
}

impl Conversation for PipeSubscriber {
    fn poll_opening(&mut self, output: &mut Vec<u8>) {
        self.frames.poll_opening(output);
        let subscribe = NativeRequest::Subscribe {
            topic: Cow::Borrowed(&self.topic),
            subscriber: Cow::Borrowed(&self.subscriber),
            delivery: Delivery::Pull,
            start: Start::Earliest,
            acks: None,
        };
        encode(&subscribe, 0, output);
    }

    fn handle_input(
        &mut self,
        input: &[u8],
        heard: &mut Heard<'_, '_>,
    ) -> Result<usize, DriverError> {
        self.frames.handle_input(input, |frame| {
            // No kind of a frame is both a request's and a response's.
            match decode_request(frame, PAYLOAD_BYTES_MAX) {
                Ok(NativeRequest::Publish { messages: Messages::Batch(batch), .. }) => {
                    batch.payloads().for_each(|payload| heard.deliver(payload));
                    Ok(())
                }
                _ => match decode_response(frame)? {
                    Response::Subscribed { .. } => {
                        heard.ready();
                        Ok(())
                    }
                    other => Err(DriverError::unexpected("PUBLISH", &other)),
                },
            }
        })
    }

    fn input_bytes_wanted(&self) -> usize {
        self.frames.input_bytes_wanted()
    }
}
