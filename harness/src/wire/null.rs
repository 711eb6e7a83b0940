//! No broker: what the load generator does by itself, with the least that a protocol can be.
//!
//! Each message is its length and its payload, and requests are answered as soon as they are made. See
//! [`engine::in_process`](crate::engine) for how it is driven.

use super::{
    Conversation, Driver, EncodedBatch, Encoder, Heard, Operator, Publications, Publisher, Request,
    StreamTerms,
};
use crate::drivers::DriverError;
use crate::message::BatchStamp;
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
        Box::new(NullPublisher(Publications::new(Prefixed, Arc::clone(&terms.payloads))))
    }

    fn subscriber(&self, _terms: &StreamTerms, _subscriber: u32) -> Box<dyn Conversation> {
        Box::new(NullSubscriber)
    }

    fn idler(&self, _client: u32) -> Box<dyn Conversation> {
        Box::new(NullOperator)
    }

    fn delivery_encoder(&self, _terms: &StreamTerms) -> Option<Box<dyn Encoder>> {
        Some(Box::new(Prefixed))
    }
}

/// Messages end to end, each behind its length in bytes, 32 bit big-endian.
struct Prefixed;

impl Encoder for Prefixed {
    fn encode(&mut self, _topic: u32, payloads: &[&[u8]], batch: &mut EncodedBatch) {
        for payload in payloads {
            batch.raw(&(payload.len() as u32).to_be_bytes());
            batch.payload(payload);
        }
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

struct NullPublisher(Publications<Prefixed>);

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

struct NullSubscriber;

impl Conversation for NullSubscriber {
    fn poll_opening(&mut self, _output: &mut Vec<u8>) {}

    fn handle_input(
        &mut self,
        input: &[u8],
        heard: &mut Heard<'_, '_>,
    ) -> Result<usize, DriverError> {
        heard.ready();
        let mut used = 0;
        while let Some((prefix, rest)) = input[used..].split_first_chunk() {
            let payload_bytes = u32::from_be_bytes(*prefix) as usize;
            let Some(payload) = rest.get(..payload_bytes) else { break };
            heard.deliver(payload);
            used += prefix.len() + payload_bytes;
        }
        Ok(used)
    }
}
