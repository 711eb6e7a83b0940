//! Greeting, frames and publications of the native wire; shared by the brokers that speak it and
//! the byte pipe, so that their figures differ by the broker alone.

use crate::drivers::DriverError;
use crate::wire::{EncodedBatch, Encoder};
use protocol::batch::RECORD_HEADER_BYTES;
use protocol::native::{
    BROKER_GREETING_BYTES, BrokerGreeting, Frame, FrameDecoder, FrameStep, client_greeting,
    decode_response, encode_request, encode_response,
};
use protocol::{BatchBuilder, Messages, PublishAck, PublishTerms, Request, Response};
use std::borrow::Cow;

/// The largest frame that is read. A broker gathers at most this much for one subscriber.
const FRAME_BYTES_MAX: usize = 64 * 1024 * 1024;

/// What is read on the native wire: a greeting, then frames.
pub(in crate::wire) struct NativeFrames {
    decoder: FrameDecoder,
    greeting: Greeting,
    input_bytes_wanted: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Greeting {
    Awaited,
    Accepted,
    /// The reason follows in a frame.
    Refused,
}

impl NativeFrames {
    pub(in crate::wire) fn new() -> Self {
        let decoder = FrameDecoder::new(FRAME_BYTES_MAX);
        Self { decoder, greeting: Greeting::Awaited, input_bytes_wanted: 0 }
    }

    pub(in crate::wire) fn poll_opening(&mut self, output: &mut Vec<u8>) {
        output.extend_from_slice(&client_greeting());
    }

    pub(in crate::wire) fn is_greeted(&self) -> bool {
        self.greeting == Greeting::Accepted
    }

    pub(in crate::wire) fn input_bytes_wanted(&self) -> usize {
        self.input_bytes_wanted
    }

    /// Hands over every whole frame, where it lies; how many bytes were used.
    #[inline]
    pub(in crate::wire) fn handle_input(
        &mut self,
        input: &[u8],
        mut take: impl FnMut(Frame<'_>) -> Result<(), DriverError>,
    ) -> Result<usize, DriverError> {
        let mut used = 0;
        if self.greeting != Greeting::Accepted {
            used = self.handle_greeting(input)?;
            if self.greeting == Greeting::Awaited {
                return Ok(0);
            }
        }
        loop {
            match self.decoder.next(&input[used..]) {
                FrameStep::Frame { consumed, frame } => {
                    if self.greeting == Greeting::Refused {
                        return Err(reason_of_refusal(frame));
                    }
                    take(frame)?;
                    used += consumed;
                }
                FrameStep::NeedMore { input_bytes } => {
                    self.input_bytes_wanted = input_bytes;
                    return Ok(used);
                }
                step => return Err(out_of_step(step)),
            }
        }
    }

    #[cold]
    fn handle_greeting(&mut self, input: &[u8]) -> Result<usize, DriverError> {
        if self.greeting == Greeting::Refused {
            return Ok(0);
        }
        let Some(greeting) = BrokerGreeting::decode(input)? else { return Ok(0) };
        self.greeting = if greeting.accepted { Greeting::Accepted } else { Greeting::Refused };
        Ok(BROKER_GREETING_BYTES)
    }
}

fn reason_of_refusal(frame: Frame<'_>) -> DriverError {
    match decode_response(frame) {
        Ok(Response::Refused(refusal)) | Err(refusal) => refusal.into(),
        Ok(other) => DriverError::unexpected("the reason of the refusal", &other),
    }
}

#[cold]
fn out_of_step(step: FrameStep<'_>) -> DriverError {
    match step {
        FrameStep::OutOfStep { refusal } | FrameStep::TooLarge { refusal, .. } => refusal.into(),
        other => DriverError::unexpected("a frame", &other),
    }
}

/// Appends a request.
pub(in crate::wire) fn encode(request: &Request<'_>, correlation: u32, output: &mut Vec<u8>) {
    encode_request(request, correlation, output);
}

/// PUBLISH frames.
pub(in crate::wire) struct NativeEncoder {
    pub(in crate::wire) topics: Vec<String>,
    pub(in crate::wire) ack: PublishAck,
}

impl Encoder for NativeEncoder {
    fn encode(&mut self, topic: u32, payloads: &[&[u8]], batch: &mut EncodedBatch) {
        let records = records(payloads);
        let request = Request::Publish {
            topic: Cow::Borrowed(&self.topics[topic as usize]),
            messages: Messages::Batch(records.batch()),
            ack: self.ack,
            terms: PublishTerms::default(),
        };
        let mut bytes = Vec::new();
        encode_request(&request, 0, &mut bytes);
        append_records_frame(&bytes, payloads, batch);
    }
}

/// DELIVER frames, as a broker would send them.
pub(in crate::wire) struct DeliveryEncoder;

impl Encoder for DeliveryEncoder {
    fn encode(&mut self, topic: u32, payloads: &[&[u8]], batch: &mut EncodedBatch) {
        let records = records(payloads);
        let response = Response::Deliver { base_offset: 0, batch: records.batch() };
        let mut bytes = Vec::new();
        encode_response(&response, topic, &mut bytes);
        append_records_frame(&bytes, payloads, batch);
    }
}

/// Appends the records of these payloads.
pub(in crate::wire) fn append_records(payloads: &[&[u8]], batch: &mut EncodedBatch) {
    append_records_frame(records(payloads).batch().bytes(), payloads, batch);
}

fn records(payloads: &[&[u8]]) -> BatchBuilder {
    let mut records = BatchBuilder::new();
    for payload in payloads {
        records.push(payload).expect("the configuration's payloads fit a record");
    }
    records
}

/// A frame that ends in the records of these payloads.
fn append_records_frame(frame: &[u8], payloads: &[&[u8]], batch: &mut EncodedBatch) {
    let record_bytes = |payload: &&[u8]| RECORD_HEADER_BYTES + payload.len();
    let records_bytes: usize = payloads.iter().map(record_bytes).sum();
    let mut at = frame.len() - records_bytes;
    let places = payloads.iter().map(|payload| {
        let place = at + RECORD_HEADER_BYTES;
        at += record_bytes(payload);
        place
    });
    batch.with_payloads_at(frame, places.collect::<Vec<_>>());
}
