//! Tandem's brokers over the native wire.

use super::connection::Filled;
use super::native_wire::{NativeConnection, PublishFrames};
use super::{
    Driver, DriverError, Held, OperationClient, Received, StreamPublisher, StreamSpec,
    StreamSubscriber,
};
use crate::intake::Intake;
use crate::message::BatchStamp;
use protocol::batch::RECORD_HEADER_BYTES;
use protocol::native::decode_response;
use protocol::{
    AckMode, BatchBuilder, Delivery, Lifetime, Messages, PublishAck, PublishTerms, Push, Request,
    Response, Retention, Start, TopicOptions,
};
use std::borrow::Cow;
use std::net::SocketAddr;

/// Bytes that a broker may push before it needs more credit. Half of it is given back at a time,
/// so that credit costs one small write in tens of thousands of messages.
const CREDIT_BYTES: u32 = 16 * 1024 * 1024;

/// Bytes of messages in one frame when a topic is filled.
const FILL_FRAME_BYTES: usize = 256 * 1024;

/// What a topic that holds a backlog has room for, however small the backlog.
const RETENTION_BYTES_MIN: u64 = 64 * 1024 * 1024;

/// A broker that speaks the native wire.
#[derive(Debug)]
pub(super) struct TandemNative {
    address: SocketAddr,
}

impl TandemNative {
    pub(super) fn new(address: SocketAddr) -> Self {
        Self { address }
    }
}

impl Driver for TandemNative {
    fn check(&self) -> Result<(), DriverError> {
        let mut connection = NativeConnection::open(self.address)?;
        connection
            .ask(&Request::Ping, "PONG", |answer| matches!(answer, Response::Pong).then_some(()))
    }

    fn operation_client(&self) -> Result<Box<dyn OperationClient>, DriverError> {
        Ok(Box::new(NativeClient { connection: NativeConnection::open(self.address)? }))
    }

    fn prepare_stream(&self, spec: &StreamSpec) -> Result<(), DriverError> {
        let mut connection = NativeConnection::open(self.address)?;
        let topic = Cow::Borrowed(spec.topic.as_str());
        let options = TopicOptions { retention: retention(spec.held), ..TopicOptions::default() };
        let request = Request::Create { topic, options };
        connection.ask(&request, "OK", |answer| matches!(answer, Response::Done).then_some(()))
    }

    fn end_stream(&self, spec: &StreamSpec) -> Result<(), DriverError> {
        self.operation_client()?.delete(&spec.topic)
    }

    fn stream_publisher(
        &self,
        spec: &StreamSpec,
        producer: u16,
    ) -> Result<Box<dyn StreamPublisher>, DriverError> {
        let connection = NativeConnection::open(self.address)?;
        Ok(Box::new(NativePublisher { connection, frames: PublishFrames::new(spec), producer }))
    }

    fn stream_subscriber(
        &self,
        spec: &StreamSpec,
        index: u32,
    ) -> Result<Box<dyn StreamSubscriber>, DriverError> {
        let mut connection = NativeConnection::open(self.address)?;
        let push = Push {
            credit_bytes: CREDIT_BYTES,
            ack_mode: AckMode::OnSend,
            lag_policy: spec.lag_policy,
            lifetime: Lifetime::Connection,
        };
        let subscription = connection.send(&Request::Subscribe {
            topic: Cow::Borrowed(&spec.topic),
            subscriber: Cow::Owned(format!("subscriber-{index}")),
            delivery: Delivery::Push(push),
            start: Start::Earliest,
            acks: None,
        })?;
        connection.next_response("SUBSCRIBED", |response| match response {
            Response::Subscribed { .. } => Ok(()),
            Response::Refused(refusal) => Err(refusal.into()),
            other => Err(DriverError::unexpected("SUBSCRIBED", &other)),
        })?;
        connection.become_stream()?;
        Ok(Box::new(NativeSubscriber { connection, subscription, unreturned_bytes: 0 }))
    }
}

/// Twice what is to be held, so that what a broker keeps beside the payloads fits too.
fn retention(held: Option<Held>) -> Retention {
    let bytes_max = held.map(|held| {
        let records_bytes = held.payload_bytes + held.messages * RECORD_HEADER_BYTES as u64;
        2 * records_bytes + RETENTION_BYTES_MIN
    });
    Retention { bytes_max, ..Retention::default() }
}

struct NativeClient {
    connection: NativeConnection,
}

impl OperationClient for NativeClient {
    fn create(&mut self, topic: &str) -> Result<(), DriverError> {
        let topic = Cow::Borrowed(topic);
        self.done(&Request::Create { topic, options: TopicOptions::default() })
    }

    fn publish(&mut self, topic: &str, payload: &[u8]) -> Result<(), DriverError> {
        self.publish_acknowledged(topic, Messages::One(Cow::Borrowed(payload)))
    }

    fn subscribe(&mut self, topic: &str, subscriber: &str) -> Result<(), DriverError> {
        let (topic, subscriber) = (Cow::Borrowed(topic), Cow::Borrowed(subscriber));
        let request = Request::Subscribe {
            topic,
            subscriber,
            delivery: Delivery::Pull,
            start: Start::Earliest,
            acks: None,
        };
        self.connection.ask(&request, "SUBSCRIBED", |answer| {
            matches!(answer, Response::Subscribed { .. }).then_some(())
        })
    }

    fn pull_one(&mut self, topic: &str, subscriber: &str) -> Result<u32, DriverError> {
        let (topic, subscriber) = (Cow::Borrowed(topic), Cow::Borrowed(subscriber));
        let request = Request::Pull { topic, subscriber, count_max: Some(1) };
        self.connection.ask(&request, "MESSAGES", |answer| match answer {
            Response::Messages { batch, .. } => Some(batch.count()),
            _ => None,
        })
    }

    fn delete(&mut self, topic: &str) -> Result<(), DriverError> {
        self.done(&Request::Delete { topic: Cow::Borrowed(topic) })
    }

    fn fill(&mut self, topic: &str, payload: &[u8], count: u32) -> Result<(), DriverError> {
        let mut records = BatchBuilder::new();
        for index in 1..=count {
            records.push(payload)?;
            if index == count || records.batch().bytes().len() >= FILL_FRAME_BYTES {
                self.publish_acknowledged(topic, Messages::Batch(records.batch()))?;
                records.clear();
            }
        }
        Ok(())
    }
}

impl NativeClient {
    fn done(&mut self, request: &Request<'_>) -> Result<(), DriverError> {
        self.connection.ask(request, "OK", |answer| matches!(answer, Response::Done).then_some(()))
    }

    fn publish_acknowledged(
        &mut self,
        topic: &str,
        messages: Messages<'_>,
    ) -> Result<(), DriverError> {
        let topic = Cow::Borrowed(topic);
        let request = Request::Publish {
            topic,
            messages,
            ack: PublishAck::Wanted,
            terms: PublishTerms::default(),
        };
        self.connection.ask(&request, "PUBLISHED", |answer| {
            matches!(answer, Response::Published { .. }).then_some(())
        })
    }
}

struct NativePublisher {
    connection: NativeConnection,
    frames: PublishFrames,
    producer: u16,
}

impl StreamPublisher for NativePublisher {
    fn publish(&mut self, stamp: BatchStamp) -> Result<(), DriverError> {
        self.connection.send_bytes(self.frames.stamped(self.producer, stamp))
    }

    fn receive_acks(&mut self) -> Result<u32, DriverError> {
        let mut acknowledged = 0;
        while acknowledged == 0 {
            self.connection.read()?;
            self.connection.take_frames(|frame| match decode_response(frame)? {
                Response::Published { .. } => {
                    acknowledged += 1;
                    Ok(())
                }
                Response::Refused(refusal) => Err(refusal.into()),
                other => Err(DriverError::unexpected("PUBLISHED", &other)),
            })?;
        }
        Ok(acknowledged)
    }

    /// A refused publication is answered even if no acknowledgement was wanted, and the answer
    /// comes before PONG.
    fn finish(&mut self) -> Result<(), DriverError> {
        self.connection
            .ask(&Request::Ping, "PONG", |answer| matches!(answer, Response::Pong).then_some(()))
    }
}

struct NativeSubscriber {
    connection: NativeConnection,
    subscription: u32,
    unreturned_bytes: u32,
}

impl StreamSubscriber for NativeSubscriber {
    fn receive(&mut self, intake: &mut Intake) -> Result<Received, DriverError> {
        if self.connection.read()? == Filled::Nothing {
            return Ok(Received::Nothing);
        }
        let mut records_bytes = 0;
        intake.begin();
        self.connection.take_frames(|frame| match decode_response(frame)? {
            Response::Deliver { batch, .. } => {
                records_bytes += batch.bytes().len();
                batch.payloads().for_each(|payload| intake.take(payload));
                Ok(())
            }
            // The ledger finds what is lost by itself.
            Response::Lost { .. } => Ok(()),
            Response::Ended(refusal) | Response::Refused(refusal) => Err(refusal.into()),
            other => Err(DriverError::unexpected("DELIVER", &other)),
        })?;
        intake.end();
        self.return_credit(records_bytes)?;
        Ok(Received::Messages)
    }
}

impl NativeSubscriber {
    fn return_credit(&mut self, records_bytes: usize) -> Result<(), DriverError> {
        let records_bytes = u32::try_from(records_bytes).unwrap_or(u32::MAX);
        self.unreturned_bytes = self.unreturned_bytes.saturating_add(records_bytes);
        if self.unreturned_bytes >= CREDIT_BYTES / 2 {
            let (subscription, bytes) = (self.subscription, self.unreturned_bytes);
            self.connection.send(&Request::Credit { subscription, bytes })?;
            self.unreturned_bytes = 0;
        }
        Ok(())
    }
}
