//! No broker: operations return at once, and streams stay in the process.
//!
//! Its figures are the load generator's own ceiling: loop, clock, stamps, ledger and histogram. A
//! stream still copies each batch once and hands it to another thread.

use super::connection::STREAM_READ_MS_MAX;
use super::{
    Driver, DriverError, OperationClient, Received, StreamPublisher, StreamSpec, StreamSubscriber,
};
use crate::intake::Intake;
use crate::message::{BatchStamp, StampedBatch, blank_payload};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Batches between a publisher and a subscriber.
const BATCHES_IN_FLIGHT_MAX: usize = 64;

/// Batches that are taken in after one look at the clock.
const BATCHES_PER_RECEIVE_MAX: usize = 32;

type Payloads = Arc<[u8]>;

/// No broker.
#[derive(Debug, Default)]
pub(super) struct Null {
    subscribers: Mutex<Vec<SyncSender<Payloads>>>,
}

impl Null {
    fn subscribers(&self) -> MutexGuard<'_, Vec<SyncSender<Payloads>>> {
        // Only pushes, clones and clears happen under the lock; none leaves it half done.
        self.subscribers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Driver for Null {
    fn check(&self) -> Result<(), DriverError> {
        Ok(())
    }

    fn operation_client(&self) -> Result<Box<dyn OperationClient>, DriverError> {
        Ok(Box::new(NullClient))
    }

    fn prepare_stream(&self, _spec: &StreamSpec) -> Result<(), DriverError> {
        self.subscribers().clear();
        Ok(())
    }

    fn end_stream(&self, _spec: &StreamSpec) -> Result<(), DriverError> {
        self.subscribers().clear();
        Ok(())
    }

    fn stream_publisher(
        &self,
        spec: &StreamSpec,
        producer: u16,
    ) -> Result<Box<dyn StreamPublisher>, DriverError> {
        let payload = blank_payload(spec.payload_bytes);
        let batch = batch_of(&payload, spec.batch);
        let subscribers = self.subscribers().clone();
        Ok(Box::new(NullPublisher { subscribers, payload, batch, producer }))
    }

    fn stream_subscriber(
        &self,
        spec: &StreamSpec,
        _index: u32,
    ) -> Result<Box<dyn StreamSubscriber>, DriverError> {
        let (sender, batches) = sync_channel(BATCHES_IN_FLIGHT_MAX);
        self.subscribers().push(sender);
        Ok(Box::new(NullSubscriber { batches, payload_bytes: spec.payload_bytes }))
    }
}

fn batch_of(payload: &[u8], count: u32) -> StampedBatch {
    StampedBatch::new(payload.repeat(count as usize), count, payload.len(), 0)
}

struct NullClient;

impl OperationClient for NullClient {
    fn create(&mut self, _topic: &str) -> Result<(), DriverError> {
        Ok(())
    }

    fn publish(&mut self, _topic: &str, _payload: &[u8]) -> Result<(), DriverError> {
        Ok(())
    }

    fn subscribe(&mut self, _topic: &str, _subscriber: &str) -> Result<(), DriverError> {
        Ok(())
    }

    fn pull_one(&mut self, _topic: &str, _subscriber: &str) -> Result<u32, DriverError> {
        Ok(1)
    }

    fn delete(&mut self, _topic: &str) -> Result<(), DriverError> {
        Ok(())
    }
}

struct NullPublisher {
    subscribers: Vec<SyncSender<Payloads>>,
    payload: Vec<u8>,
    batch: StampedBatch,
    producer: u16,
}

impl StreamPublisher for NullPublisher {
    fn publish(&mut self, stamp: BatchStamp) -> Result<(), DriverError> {
        if self.batch.count() != stamp.count {
            self.batch = batch_of(&self.payload, stamp.count);
        }
        self.batch.renew(self.producer, stamp);
        let payloads: Payloads = self.batch.bytes().into();
        for subscriber in &self.subscribers {
            let expected = "a subscriber to be there";
            subscriber.send(Arc::clone(&payloads)).map_err(|_| DriverError::Closed { expected })?;
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<(), DriverError> {
        Ok(())
    }
}

struct NullSubscriber {
    batches: Receiver<Payloads>,
    payload_bytes: usize,
}

impl StreamSubscriber for NullSubscriber {
    fn receive(&mut self, intake: &mut Intake) -> Result<Received, DriverError> {
        let first = match self.batches.recv_timeout(Duration::from_millis(STREAM_READ_MS_MAX)) {
            Ok(first) => first,
            Err(RecvTimeoutError::Timeout) => return Ok(Received::Nothing),
            Err(RecvTimeoutError::Disconnected) => {
                return Err(DriverError::Closed { expected: "deliveries" });
            }
        };
        intake.begin();
        let more = self.batches.try_iter().take(BATCHES_PER_RECEIVE_MAX - 1);
        for batch in std::iter::once(first).chain(more) {
            batch.chunks(self.payload_bytes).for_each(|payload| intake.take(payload));
        }
        intake.end();
        Ok(Received::Messages)
    }
}
