//! The byte pipe: publishers' PUBLISH frames come out at every subscriber as they went in.
//!
//! Its clients are those of the native wire: the same frames are encoded, and walked record by
//! record when they arrive. See [`crate::byte_pipe`] for the process.

use super::connection::Filled;
use super::native_wire::{NativeConnection, PublishFrames};
use super::{
    Driver, DriverError, OperationClient, Received, StreamPublisher, StreamSpec, StreamSubscriber,
};
use crate::intake::Intake;
use crate::message::BatchStamp;
use protocol::batch::PAYLOAD_BYTES_MAX;
use protocol::native::decode_request;
use protocol::{Delivery, Messages, PublishAck, PublishTerms, Request, Response, Start};
use std::borrow::Cow;
use std::net::SocketAddr;

/// A byte pipe.
#[derive(Debug)]
pub(super) struct BytePipe {
    address: SocketAddr,
}

impl BytePipe {
    pub(super) fn new(address: SocketAddr) -> Self {
        Self { address }
    }
}

impl Driver for BytePipe {
    fn check(&self) -> Result<(), DriverError> {
        EchoClient::open(self.address).map(|_| ())
    }

    fn operation_client(&self) -> Result<Box<dyn OperationClient>, DriverError> {
        Ok(Box::new(EchoClient::open(self.address)?))
    }

    fn prepare_stream(&self, _spec: &StreamSpec) -> Result<(), DriverError> {
        Ok(())
    }

    fn end_stream(&self, _spec: &StreamSpec) -> Result<(), DriverError> {
        Ok(())
    }

    fn stream_publisher(
        &self,
        spec: &StreamSpec,
        producer: u16,
    ) -> Result<Box<dyn StreamPublisher>, DriverError> {
        let mut connection = NativeConnection::open(self.address)?;
        connection
            .ask(&Request::Ping, "PONG", |answer| matches!(answer, Response::Pong).then_some(()))?;
        Ok(Box::new(PipePublisher { connection, frames: PublishFrames::new(spec), producer }))
    }

    fn stream_subscriber(
        &self,
        spec: &StreamSpec,
        index: u32,
    ) -> Result<Box<dyn StreamSubscriber>, DriverError> {
        let mut connection = NativeConnection::open(self.address)?;
        let request = Request::Subscribe {
            topic: Cow::Borrowed(&spec.topic),
            subscriber: Cow::Owned(format!("subscriber-{index}")),
            delivery: Delivery::Pull,
            start: Start::Earliest,
            acks: None,
        };
        connection.ask(&request, "SUBSCRIBED", |answer| {
            matches!(answer, Response::Subscribed { .. }).then_some(())
        })?;
        connection.become_stream()?;
        Ok(Box::new(PipeSubscriber { connection }))
    }
}

/// A client whose every byte comes back.
struct EchoClient {
    connection: NativeConnection,
}

impl EchoClient {
    fn open(address: SocketAddr) -> Result<Self, DriverError> {
        let mut client = Self { connection: NativeConnection::open(address)? };
        client.echo(&Request::Info)?;
        Ok(client)
    }

    fn echo(&mut self, request: &Request<'_>) -> Result<(), DriverError> {
        self.connection.send(request)?;
        self.connection.next_frame("the request to come back", |frame| {
            decode_request(frame, PAYLOAD_BYTES_MAX)?;
            Ok(())
        })
    }

    fn meaningless<T>() -> Result<T, DriverError> {
        Err(DriverError::Unexpected {
            expected: "an operation that a byte pipe has",
            found: "one that only brokers have".to_owned(),
        })
    }
}

impl OperationClient for EchoClient {
    fn create(&mut self, _topic: &str) -> Result<(), DriverError> {
        // An echo needs no topic, so making one for it succeeds.
        Ok(())
    }

    fn publish(&mut self, topic: &str, payload: &[u8]) -> Result<(), DriverError> {
        self.echo(&Request::Publish {
            topic: Cow::Borrowed(topic),
            messages: Messages::One(Cow::Borrowed(payload)),
            ack: PublishAck::Wanted,
            terms: PublishTerms::default(),
        })
    }

    fn subscribe(&mut self, _topic: &str, _subscriber: &str) -> Result<(), DriverError> {
        Self::meaningless()
    }

    fn pull_one(&mut self, _topic: &str, _subscriber: &str) -> Result<u32, DriverError> {
        Self::meaningless()
    }

    fn delete(&mut self, _topic: &str) -> Result<(), DriverError> {
        Ok(())
    }
}

struct PipePublisher {
    connection: NativeConnection,
    frames: PublishFrames,
    producer: u16,
}

impl StreamPublisher for PipePublisher {
    fn publish(&mut self, stamp: BatchStamp) -> Result<(), DriverError> {
        self.connection.send_bytes(self.frames.stamped(self.producer, stamp))
    }

    fn finish(&mut self) -> Result<(), DriverError> {
        Ok(())
    }
}

struct PipeSubscriber {
    connection: NativeConnection,
}

impl StreamSubscriber for PipeSubscriber {
    fn receive(&mut self, intake: &mut Intake) -> Result<Received, DriverError> {
        if self.connection.read()? == Filled::Nothing {
            return Ok(Received::Nothing);
        }
        intake.begin();
        self.connection.take_frames(|frame| match decode_request(frame, PAYLOAD_BYTES_MAX)? {
            Request::Publish { messages: Messages::Batch(batch), .. } => {
                batch.payloads().for_each(|payload| intake.take(payload));
                Ok(())
            }
            other => Err(DriverError::unexpected("PUBLISH", &other)),
        })?;
        intake.end();
        Ok(Received::Messages)
    }
}
