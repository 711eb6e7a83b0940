//! Drivers: how the load generator speaks to what it measures.
//!
//! A [`Driver`] makes clients. All of them use blocking sockets, one connection each, and do the
//! same class of work for each message: an [`OperationClient`] encodes a request, writes it, waits
//! and decodes the answer; a [`StreamPublisher`] renews the stamps of an encoded batch and writes
//! it; a [`StreamSubscriber`] reads large pieces and walks the messages where they lie. So what
//! differs between two brokers' figures is the brokers.
//!
//! To add a broker: implement the three traits, and give the driver a name and a line in each
//! `match` of [`DriverKind`].

mod byte_pipe;
mod connection;
mod disk;
mod error;
mod kind;
mod mqtt;
mod mqtt_publisher;
mod mqtt_wire;
mod native_wire;
mod nats;
mod nats_wire;
mod null;
mod redis;
mod redis_streams;
mod resp;
mod tandem_client;
mod tandem_json;
mod tandem_native;

pub use error::DriverError;
pub use kind::{DriverKind, Endpoint, Operation, StreamDemand, Support};
pub use mqtt_wire::{MqttTerms, MqttVersion};

use crate::intake::Intake;
use crate::message::BatchStamp;
use protocol::{LagPolicy, PublishAck};

/// What a stream's publishers and subscribers need to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamSpec {
    /// The topic, used by this stream alone.
    pub topic: String,
    /// Size of each payload, at least [`MESSAGE_BYTES_MIN`](crate::message::MESSAGE_BYTES_MIN).
    pub payload_bytes: usize,
    /// Messages in one write, at most.
    pub batch: u32,
    /// Whether publications are acknowledged.
    pub ack: PublishAck,
    /// What the topic must be able to hold, payloads alone; `None`: whatever the broker's default is.
    pub held: Option<Held>,
    /// What the broker is to do when a subscriber falls behind.
    pub lag_policy: LagPolicy,
    /// Subscriptions to the topic that never read.
    pub idle_subscriptions: u32,
}

/// What a topic holds when nobody reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// Messages.
    pub messages: u64,
    /// Bytes of payload in all of them.
    pub payload_bytes: u64,
}

/// Makes clients of one broker.
pub trait Driver: Send + Sync {
    /// Asks the broker for an answer on a connection of its own.
    ///
    /// # Errors
    /// Any [`DriverError`]: the broker is not there, or not what the driver speaks to.
    fn check(&self) -> Result<(), DriverError>;

    /// A client for operations, connected.
    ///
    /// # Errors
    /// Any [`DriverError`] of connecting.
    fn operation_client(&self) -> Result<Box<dyn OperationClient>, DriverError>;

    /// Makes what a stream needs before anyone connects, such as its topic.
    ///
    /// # Errors
    /// Any [`DriverError`].
    fn prepare_stream(&self, spec: &StreamSpec) -> Result<(), DriverError>;

    /// Removes what [`prepare_stream`](Self::prepare_stream) made.
    ///
    /// # Errors
    /// Any [`DriverError`].
    fn end_stream(&self, spec: &StreamSpec) -> Result<(), DriverError>;

    /// A publisher, connected. All subscribers are connected before the first publisher.
    ///
    /// # Errors
    /// Any [`DriverError`].
    fn stream_publisher(
        &self,
        spec: &StreamSpec,
        producer: u16,
    ) -> Result<Box<dyn StreamPublisher>, DriverError>;

    /// A subscriber, connected and subscribed: whatever is published from now on reaches it, and
    /// before that whatever the topic holds.
    ///
    /// # Errors
    /// Any [`DriverError`].
    fn stream_subscriber(
        &self,
        spec: &StreamSpec,
        index: u32,
    ) -> Result<Box<dyn StreamSubscriber>, DriverError>;
}

/// One client with one request outstanding.
///
/// Each method sends one request and returns when its answer is there. Errors: any
/// [`DriverError`]; after a refusal the client goes on, after any other it is of no more use.
#[expect(clippy::missing_errors_doc, reason = "the trait says it once for all its methods")]
pub trait OperationClient: Send {
    /// Creates a topic.
    fn create(&mut self, topic: &str) -> Result<(), DriverError>;

    /// Publishes one message and waits for its acknowledgement.
    fn publish(&mut self, topic: &str, payload: &[u8]) -> Result<(), DriverError>;

    /// Subscribes, to pull later.
    fn subscribe(&mut self, topic: &str, subscriber: &str) -> Result<(), DriverError>;

    /// Pulls the next message; how many came, 0 or 1.
    fn pull_one(&mut self, topic: &str, subscriber: &str) -> Result<u32, DriverError>;

    /// Deletes a topic.
    fn delete(&mut self, topic: &str) -> Result<(), DriverError>;

    /// Publishes the same message `count` times; never measured, so any way will do.
    fn fill(&mut self, topic: &str, payload: &[u8], count: u32) -> Result<(), DriverError> {
        (0..count).try_for_each(|_| self.publish(topic, payload))
    }
}

/// One publisher of a stream.
pub trait StreamPublisher: Send {
    /// Writes one batch; blocks while the broker takes none.
    ///
    /// # Errors
    /// Any [`DriverError`].
    fn publish(&mut self, stamp: BatchStamp) -> Result<(), DriverError>;

    /// Waits until at least one more publication is acknowledged; how many were since the last
    /// call, in the order of publishing. Only where the stream wants acknowledgements, and only
    /// while one is outstanding.
    ///
    /// # Errors
    /// Any [`DriverError`]; a refusal of a publication shows here.
    fn receive_acks(&mut self) -> Result<u32, DriverError> {
        Err(DriverError::Unexpected {
            expected: "a driver that has acknowledged streams",
            found: "one that has not".to_owned(),
        })
    }

    /// Makes sure that the broker has taken everything, where it can tell.
    ///
    /// # Errors
    /// Any [`DriverError`]; a refusal of an earlier publication shows here.
    fn finish(&mut self) -> Result<(), DriverError>;
}

/// What one call of [`StreamSubscriber::receive`] brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// Bytes, of which every whole message was taken in.
    Messages,
    /// Nothing came for a moment.
    Nothing,
}

/// One subscriber of a stream.
pub trait StreamSubscriber: Send {
    /// Reads once, for a moment at most, and hands every whole message to `intake`.
    ///
    /// # Errors
    /// Any [`DriverError`].
    fn receive(&mut self, intake: &mut Intake) -> Result<Received, DriverError>;
}
