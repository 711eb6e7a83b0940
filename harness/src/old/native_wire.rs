//! The native wire as a load generator speaks it; shared by the brokers that speak it and the
//! byte pipe, so that their figures differ by the broker alone.
//!
//! It is driven here directly and not through the client library, for two reasons. The byte pipe
//! and the brokers must be driven by the same instructions, or their ratio would show the library
//! too. And a batch is encoded once, its stamps alone change from one write to the next, and
//! deliveries are walked where they were read. The driver `tandem-client` goes through the
//! library, for whoever wants to see what that costs.

use super::connection::{Connection, Filled, Patience};
use super::{DriverError, StreamSpec};
use crate::message::{BatchStamp, StampedBatch, blank_payload};
use protocol::batch::RECORD_HEADER_BYTES;
use protocol::native::{
    BROKER_GREETING_BYTES, BrokerGreeting, Frame, FrameDecoder, FrameStep, client_greeting,
    decode_response, encode_request,
};
use protocol::{BatchBuilder, Messages, PublishAck, PublishTerms, Request, Response};
use std::borrow::Cow;
use std::net::SocketAddr;

/// The largest frame that is read. A broker gathers at most this much for one subscriber.
const FRAME_BYTES_MAX: usize = 64 * 1024 * 1024;

/// A connection that has exchanged greetings.
pub(super) struct NativeConnection {
    connection: Connection,
    decoder: FrameDecoder,
    output: Vec<u8>,
    correlation: u32,
}

impl NativeConnection {
    pub(super) fn open(address: SocketAddr) -> Result<Self, DriverError> {
        let mut connection = Connection::open(address)?;
        connection.send(&client_greeting())?;
        let greeting = loop {
            match BrokerGreeting::decode(connection.input())? {
                Some(greeting) => break greeting,
                None => connection.fill("a greeting", BROKER_GREETING_BYTES)?,
            };
        };
        connection.consume(BROKER_GREETING_BYTES);
        let decoder = FrameDecoder::new(FRAME_BYTES_MAX);
        let mut opened = Self { connection, decoder, output: Vec::new(), correlation: 0 };
        if !greeting.accepted {
            return Err(opened.refusal_of_greeting());
        }
        Ok(opened)
    }

    fn refusal_of_greeting(&mut self) -> DriverError {
        let refused = self.next_response("the reason of the refusal", |response| match response {
            Response::Refused(refusal) => Ok(DriverError::from(refusal)),
            other => Err(DriverError::unexpected("the reason of the refusal", &other)),
        });
        refused.unwrap_or_else(|error| error)
    }

    /// Sends a request without waiting; the correlation id that it was given.
    pub(super) fn send(&mut self, request: &Request<'_>) -> Result<u32, DriverError> {
        self.correlation = self.correlation.wrapping_add(1);
        self.output.clear();
        encode_request(request, self.correlation, &mut self.output);
        self.connection.send(&self.output)?;
        Ok(self.correlation)
    }

    pub(super) fn send_bytes(&mut self, bytes: &[u8]) -> Result<(), DriverError> {
        self.connection.send(bytes)
    }

    /// Sends a request and reads its answer.
    pub(super) fn ask<T>(
        &mut self,
        request: &Request<'_>,
        expected: &'static str,
        read: impl FnOnce(&Response<'_>) -> Option<T>,
    ) -> Result<T, DriverError> {
        self.send(request)?;
        self.next_response(expected, |response| match response {
            Response::Refused(refusal) => Err(refusal.into()),
            other => read(&other).ok_or_else(|| DriverError::unexpected(expected, &other)),
        })
    }

    pub(super) fn next_response<T>(
        &mut self,
        expected: &'static str,
        read: impl FnOnce(Response<'_>) -> Result<T, DriverError>,
    ) -> Result<T, DriverError> {
        self.next_frame(expected, |frame| read(decode_response(frame)?))
    }

    /// Waits for a whole frame and reads it.
    pub(super) fn next_frame<T>(
        &mut self,
        expected: &'static str,
        read: impl FnOnce(Frame<'_>) -> Result<T, DriverError>,
    ) -> Result<T, DriverError> {
        loop {
            let input_bytes = match self.decoder.next(self.connection.input()) {
                FrameStep::Frame { consumed, frame } => {
                    let answer = read(frame);
                    self.connection.consume(consumed);
                    return answer;
                }
                FrameStep::NeedMore { input_bytes } => input_bytes,
                step => return Err(out_of_step(step)),
            };
            self.connection.fill(expected, input_bytes)?;
        }
    }

    /// From now on reads end after a moment, with nothing where nothing came.
    pub(super) fn become_stream(&mut self) -> Result<(), DriverError> {
        self.connection.set_patience(Patience::Stream)
    }

    /// Reads once, for [`take_frames`](Self::take_frames).
    #[inline]
    pub(super) fn read(&mut self) -> Result<Filled, DriverError> {
        // What was left over is less than a frame; the decoder tells how much is wanted.
        let input_bytes = match self.decoder.next(self.connection.input()) {
            FrameStep::NeedMore { input_bytes } => input_bytes,
            _ => 0,
        };
        self.connection.fill("deliveries", input_bytes)
    }

    /// Hands over every whole frame that was read, where it lies.
    #[inline]
    pub(super) fn take_frames(
        &mut self,
        mut take: impl FnMut(Frame<'_>) -> Result<(), DriverError>,
    ) -> Result<(), DriverError> {
        let mut consumed_bytes = 0;
        loop {
            match self.decoder.next(&self.connection.input()[consumed_bytes..]) {
                FrameStep::Frame { consumed, frame } => {
                    take(frame)?;
                    consumed_bytes += consumed;
                }
                FrameStep::NeedMore { .. } => break,
                step => return Err(out_of_step(step)),
            }
        }
        self.connection.consume(consumed_bytes);
        Ok(())
    }
}

#[cold]
fn out_of_step(step: FrameStep<'_>) -> DriverError {
    match step {
        FrameStep::OutOfStep { refusal } | FrameStep::TooLarge { refusal, .. } => refusal.into(),
        other => DriverError::unexpected("a frame", &other),
    }
}

/// PUBLISH frames of one topic, encoded once for each number of messages in a row.
pub(super) struct PublishFrames {
    topic: String,
    payload: Vec<u8>,
    ack: PublishAck,
    batch: StampedBatch,
}

impl PublishFrames {
    pub(super) fn new(spec: &StreamSpec) -> Self {
        let payload = blank_payload(spec.payload_bytes);
        let batch = encode_publish(&spec.topic, &payload, spec.batch, spec.ack);
        Self { topic: spec.topic.clone(), payload, ack: spec.ack, batch }
    }

    /// The frame with these stamps.
    #[inline]
    pub(super) fn stamped(&mut self, producer: u16, stamp: BatchStamp) -> &[u8] {
        if self.batch.count() != stamp.count {
            self.batch = encode_publish(&self.topic, &self.payload, stamp.count, self.ack);
        }
        self.batch.renew(producer, stamp);
        self.batch.bytes()
    }
}

fn encode_publish(topic: &str, payload: &[u8], count: u32, ack: PublishAck) -> StampedBatch {
    let mut records = BatchBuilder::new();
    for _ in 0..count {
        records.push(payload).expect("the configuration's payloads fit a record");
    }
    let request = Request::Publish {
        topic: Cow::Borrowed(topic),
        messages: Messages::Batch(records.batch()),
        ack,
        terms: PublishTerms::default(),
    };
    let mut bytes = Vec::new();
    encode_request(&request, 0, &mut bytes);
    StampedBatch::new(bytes, count, RECORD_HEADER_BYTES + payload.len(), RECORD_HEADER_BYTES)
}
