//! No broker: what the load generator does by itself, with the least that a protocol can be.
//!
//! Payloads stand end to end, and requests are answered as soon as they are made. See
//! [`engine::in_process`](crate::engine) for how it is driven.

use super::{
    Conversation, Driver, EncodedBatch, Encoder, Heard, Operator, Publications, Publisher, Request,
    StreamTerms,
};
use crate::drivers::DriverError;
use crate::message::{BatchStamp, Payloads};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

/// No broker.
#[derive(Clone, Copy, Debug, Default)]
pub struct Null;

impl Driver for Null {
    fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0))
    }

    fn is_in_process(&self) -> bool {
        true
    }

    fn operator(&self, _client: u32) -> Box<dyn Operator> {
        Box::new(NullOperator)
    }

    fn publisher(&self, terms: &StreamTerms, _publisher: u32) -> Box<dyn Publisher> {
        Box::new(NullPublisher(Publications::new(EndToEnd, Arc::clone(&terms.payloads))))
    }

    fn subscriber(&self, terms: &StreamTerms, _subscriber: u32) -> Box<dyn Conversation> {
        Box::new(NullSubscriber { payloads: Arc::clone(&terms.payloads), received: 0 })
    }

    fn idler(&self, _client: u32) -> Box<dyn Conversation> {
        Box::new(NullOperator)
    }

    fn delivery_encoder(&self, _terms: &StreamTerms) -> Option<Box<dyn Encoder>> {
        Some(Box::new(EndToEnd))
    }
}

/// Payloads end to end.
struct EndToEnd;

impl Encoder for EndToEnd {
    fn encode(&mut self, _topic: u32, payloads: &[&[u8]], batch: &mut EncodedBatch) {
        payloads.iter().for_each(|payload| batch.payload(payload));
    }
}

struct NullOperator;

impl Conversation for NullOperator {
    fn poll_opening(&mut self, _output: &mut Vec<u8>) {}

    fn handle_input(
        &mut self,
        input: &[u8],
        heard: &mut Heard<'_, '_>,
    ) -> Result<usize, DriverError> {
        heard.ready();
        Ok(input.len())
    }
}

impl Operator for NullOperator {
    fn request(&mut self, _: &Request<'_>, _output: &mut Vec<u8>) -> Result<(), DriverError> {
        Ok(())
    }
}

struct NullPublisher(Publications<EndToEnd>);

impl Conversation for NullPublisher {
    fn poll_opening(&mut self, _output: &mut Vec<u8>) {}

    fn handle_input(
        &mut self,
        input: &[u8],
        heard: &mut Heard<'_, '_>,
    ) -> Result<usize, DriverError> {
        heard.ready();
        Ok(input.len())
    }
}

impl Publisher for NullPublisher {
    fn publish(&mut self, stamp: &BatchStamp<'_>) -> &[u8] {
        self.0.stamped(stamp).bytes()
    }

    fn finish(&mut self, _output: &mut Vec<u8>) {}
}

struct NullSubscriber {
    payloads: Arc<Payloads>,
    received: u64,
}

impl Conversation for NullSubscriber {
    fn poll_opening(&mut self, _output: &mut Vec<u8>) {}

    fn handle_input(
        &mut self,
        input: &[u8],
        heard: &mut Heard<'_, '_>,
    ) -> Result<usize, DriverError> {
        heard.ready();
        let mut used = 0;
        loop {
            let payload_bytes = self.payloads.bytes_of(self.received);
            let Some(payload) = input[used..].get(..payload_bytes) else { return Ok(used) };
            if payload.is_empty() {
                return Ok(used);
            }
            heard.deliver(payload);
            used += payload_bytes;
            self.received += 1;
        }
    }
}
