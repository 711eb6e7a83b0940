//! Tandem's brokers through the client library: what programs that use it get.
//!
//! Beside `tandem-native`, on the same broker, it shows what the library costs. Reconnecting is
//! off: a connection that ends is something to report, not to mend.

use super::connection::{ANSWER_MS_MAX, STREAM_READ_MS_MAX};
use super::{
    Driver, DriverError, OperationClient, Received, StreamPublisher, StreamSpec, StreamSubscriber,
};
use crate::intake::Intake;
use crate::message::{BatchStamp, StampedBatch, blank_payload};
use client_api::blocking::Client;
use client_api::{
    Batch, BatchBuilder, Error, Lifetime, Options, PushTerms, Pushed, Reconnect, SubscriberId,
};
use protocol::batch::RECORD_HEADER_BYTES;
use std::net::SocketAddr;
use std::time::Duration;

/// As much credit as `tandem-native` gives.
const WINDOW_BYTES: u32 = 16 * 1024 * 1024;

/// A broker that the client library speaks to.
#[derive(Debug)]
pub(super) struct TandemClient {
    address: SocketAddr,
}

impl TandemClient {
    pub(super) fn new(address: SocketAddr) -> Self {
        Self { address }
    }

    fn connect(&self) -> Result<Client, DriverError> {
        let wait = Duration::from_millis(ANSWER_MS_MAX);
        let options = Options::new()
            .connect_timeout(wait)
            .request_timeout(wait)
            .reconnect(Reconnect::never());
        Ok(Client::connect_with(self.address, options)?)
    }
}

impl Driver for TandemClient {
    fn check(&self) -> Result<(), DriverError> {
        self.connect()?.ping()?;
        Ok(())
    }

    fn operation_client(&self) -> Result<Box<dyn OperationClient>, DriverError> {
        Ok(Box::new(LibraryClient { client: self.connect()? }))
    }

    fn prepare_stream(&self, spec: &StreamSpec) -> Result<(), DriverError> {
        Ok(self.connect()?.create_topic(&spec.topic)?)
    }

    fn end_stream(&self, spec: &StreamSpec) -> Result<(), DriverError> {
        Ok(self.connect()?.delete_topic(&spec.topic)?)
    }

    fn stream_publisher(
        &self,
        spec: &StreamSpec,
        producer: u16,
    ) -> Result<Box<dyn StreamPublisher>, DriverError> {
        let payload = blank_payload(spec.payload_bytes);
        Ok(Box::new(LibraryPublisher {
            client: self.connect()?,
            topic: spec.topic.clone(),
            batch: records(&payload, spec.batch)?,
            payload,
            producer,
        }))
    }

    fn stream_subscriber(
        &self,
        spec: &StreamSpec,
        index: u32,
    ) -> Result<Box<dyn StreamSubscriber>, DriverError> {
        let mut client = self.connect()?;
        let terms = PushTerms::new()
            .window_bytes(WINDOW_BYTES)
            .lag_policy(spec.lag_policy)
            .lifetime(Lifetime::Connection);
        let subscriber = SubscriberId::from(format!("subscriber-{index}"));
        client.attach(&spec.topic, &subscriber, terms)?;
        Ok(Box::new(LibrarySubscriber { client }))
    }
}

impl From<Error> for DriverError {
    fn from(error: Error) -> Self {
        match error {
            Error::Refused(refusal) => refusal.into(),
            Error::Timeout { .. } => {
                Self::TimedOut { expected: "an answer", waited_ms: ANSWER_MS_MAX }
            }
            other => Self::Library { message: other.to_string() },
        }
    }
}

struct LibraryClient {
    client: Client,
}

impl OperationClient for LibraryClient {
    fn create(&mut self, topic: &str) -> Result<(), DriverError> {
        Ok(self.client.create_topic(topic)?)
    }

    fn publish(&mut self, topic: &str, payload: &[u8]) -> Result<(), DriverError> {
        self.client.publish(topic, payload)?;
        Ok(())
    }

    fn subscribe(&mut self, topic: &str, subscriber: &str) -> Result<(), DriverError> {
        self.client.subscribe(topic, &SubscriberId::from(subscriber))?;
        Ok(())
    }

    fn pull_one(&mut self, topic: &str, subscriber: &str) -> Result<u32, DriverError> {
        let pulled = self.client.pull_max(topic, &SubscriberId::from(subscriber), 1)?;
        Ok(pulled.messages.count())
    }

    fn delete(&mut self, topic: &str) -> Result<(), DriverError> {
        Ok(self.client.delete_topic(topic)?)
    }
}

/// The records of a batch, without a frame around them: the library makes that.
fn records(payload: &[u8], count: u32) -> Result<StampedBatch, DriverError> {
    let mut builder = BatchBuilder::new();
    for _ in 0..count {
        builder.push(payload)?;
    }
    let bytes = builder.batch().bytes().to_vec();
    let stride_bytes = RECORD_HEADER_BYTES + payload.len();
    Ok(StampedBatch::new(bytes, count, stride_bytes, RECORD_HEADER_BYTES))
}

struct LibraryPublisher {
    client: Client,
    topic: String,
    payload: Vec<u8>,
    batch: StampedBatch,
    producer: u16,
}

impl StreamPublisher for LibraryPublisher {
    fn publish(&mut self, stamp: BatchStamp) -> Result<(), DriverError> {
        if self.batch.count() != stamp.count {
            self.batch = records(&self.payload, stamp.count)?;
        }
        self.batch.renew(self.producer, stamp);
        let batch = Batch::trusted(self.batch.bytes(), stamp.count);
        self.client.publish_records_unacked(&self.topic, batch)?;
        // One write for each batch, as with every other driver.
        Ok(self.client.flush()?)
    }

    fn finish(&mut self) -> Result<(), DriverError> {
        self.client.ping()?;
        match self.client.take_refusals().into_iter().next() {
            Some(refusal) => Err(refusal.into()),
            None => Ok(()),
        }
    }
}

struct LibrarySubscriber {
    client: Client,
}

impl StreamSubscriber for LibrarySubscriber {
    fn receive(&mut self, intake: &mut Intake) -> Result<Received, DriverError> {
        let wait = Duration::from_millis(STREAM_READ_MS_MAX);
        let Some(arrival) = self.client.next_pushed(Some(wait))? else {
            return Ok(Received::Nothing);
        };
        // The ledger finds what is lost by itself.
        if let Pushed::Delivered(messages) = arrival.result? {
            intake.begin();
            messages.payloads().for_each(|payload| intake.take(payload));
            intake.end();
        }
        Ok(Received::Messages)
    }
}
