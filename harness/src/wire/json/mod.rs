//! Tandem's brokers over JSON lines: one request line, one answer line.
//!
//! There is no push: a subscriber asks for what there is, and again as soon as the answer is there,
//! even if that was nothing. So a delivery waits for a question, and questions cost the broker
//! something while nothing is published: that is how this wire is read, and what is measured.
//! Stamps are not text, so payloads go as base64, as the wire has it for such bytes.

mod answer;
mod client;
mod stream;

use super::{Conversation, Driver, Native, Operator, Publisher, StreamTerms};
use client::{JsonClient, JsonOperator};
use std::net::SocketAddr;
use stream::{JsonPublisher, JsonSubscriber};

/// Between the names of a stream and its topics.
const SEPARATOR: char = '/';

/// A broker that speaks JSON lines.
#[derive(Debug)]
pub struct TandemJson {
    /// It speaks the native wire too, at the same address.
    native: Native,
}

impl TandemJson {
    /// At this address.
    #[must_use]
    pub fn new(address: SocketAddr) -> Self {
        Self { native: Native::new(address) }
    }
}

impl Driver for TandemJson {
    fn address(&self) -> SocketAddr {
        self.native.address()
    }

    fn operator(&self, _client: u32) -> Box<dyn Operator> {
        Box::new(JsonOperator::new())
    }

    fn publisher(&self, terms: &StreamTerms, _publisher: u32) -> Box<dyn Publisher> {
        Box::new(JsonPublisher::new(terms))
    }

    fn subscriber(&self, terms: &StreamTerms, subscriber: u32) -> Box<dyn Conversation> {
        Box::new(JsonSubscriber::new(terms, subscriber, "earliest"))
    }

    /// It stays subscribed when it has gone, under a name of its own, and holds nobody up then.
    fn passing_subscriber(&self, terms: &StreamTerms, subscriber: u32) -> Box<dyn Conversation> {
        Box::new(JsonSubscriber::new(terms, subscriber, "latest"))
    }

    fn idler(&self, _client: u32) -> Box<dyn Conversation> {
        Box::new(JsonClient::new())
    }

    fn preparation(&self, terms: &StreamTerms) -> Option<Box<dyn Conversation>> {
        self.native.preparation(terms)
    }

    fn removal(&self, terms: &StreamTerms) -> Option<Box<dyn Conversation>> {
        self.native.removal(terms)
    }
}
