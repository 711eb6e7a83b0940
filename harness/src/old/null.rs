//! No broker: operations return at once, and streams stay in the process.
//!
//! Its figures are the load generator's own ceiling: loop, clock, stamps, ledger and histogram. A
//! stream's bytes are still copied once for each subscriber, into memory that both threads share,
//! where a socket would have the kernel copy them. With many subscribers the publisher's thread does
//! all of that copying alone, so its fan-out can fall behind that of a process with threads of its
//! own.

use super::connection::{ANSWER_MS_MAX, STREAM_READ_MS_MAX};
use super::{
    Driver, DriverError, OperationClient, Received, StreamPublisher, StreamSpec, StreamSubscriber,
};
use crate::intake::Intake;
use crate::message::{BatchStamp, StampedBatch, blank_payload};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Bytes between the publishers and one subscriber; about what a loopback socket holds.
const PIPE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Bytes that a saturating publisher gathers before it hands them over: as sockets do, so that a
/// subscriber is not woken for each batch.
const GATHERED_BYTES: usize = 64 * 1024;

/// No broker.
#[derive(Debug, Default)]
pub(super) struct Null {
    subscribers: Mutex<Vec<Arc<Pipe>>>,
}

/// Payloads on their way to one subscriber, end to end.
#[derive(Debug, Default)]
struct Pipe {
    bytes: Mutex<Vec<u8>>,
    filled: Condvar,
    emptied: Condvar,
}

impl Pipe {
    /// Waits until there is room.
    fn write(&self, payloads: &[u8]) -> Result<(), DriverError> {
        let wait = Duration::from_millis(ANSWER_MS_MAX);
        let is_full = |bytes: &mut Vec<u8>| bytes.len() > PIPE_BYTES_MAX;
        let (mut bytes, waited) = self
            .emptied
            .wait_timeout_while(lock(&self.bytes), wait, is_full)
            .unwrap_or_else(PoisonError::into_inner);
        if waited.timed_out() {
            let expected = "a subscriber to take what was sent";
            return Err(DriverError::TimedOut { expected, waited_ms: ANSWER_MS_MAX });
        }
        if bytes.is_empty() {
            self.filled.notify_one();
        }
        bytes.extend_from_slice(payloads);
        Ok(())
    }

    /// Takes all there is, for `taken`, which is empty; waits a moment for it.
    fn read(&self, taken: &mut Vec<u8>) {
        let wait = Duration::from_millis(STREAM_READ_MS_MAX);
        let (mut bytes, _) = self
            .filled
            .wait_timeout_while(lock(&self.bytes), wait, |bytes| bytes.is_empty())
            .unwrap_or_else(PoisonError::into_inner);
        std::mem::swap(&mut *bytes, taken);
        self.emptied.notify_all();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is locked here is whole between any two statements.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Driver for Null {
    fn check(&self) -> Result<(), DriverError> {
        Ok(())
    }

    fn operation_client(&self) -> Result<Box<dyn OperationClient>, DriverError> {
        Ok(Box::new(NullClient))
    }

    fn prepare_stream(&self, _spec: &StreamSpec) -> Result<(), DriverError> {
        lock(&self.subscribers).clear();
        Ok(())
    }

    fn end_stream(&self, _spec: &StreamSpec) -> Result<(), DriverError> {
        lock(&self.subscribers).clear();
        Ok(())
    }

    fn stream_publisher(
        &self,
        spec: &StreamSpec,
        producer: u16,
    ) -> Result<Box<dyn StreamPublisher>, DriverError> {
        let payload = blank_payload(spec.payload_bytes);
        let batch = batch_of(&payload, spec.batch);
        let subscribers = lock(&self.subscribers).clone();
        let gathered = Vec::new();
        let unacknowledged = 0;
        Ok(Box::new(NullPublisher {
            subscribers,
            payload,
            batch,
            producer,
            gathered,
            unacknowledged,
        }))
    }

    fn stream_subscriber(
        &self,
        spec: &StreamSpec,
        _index: u32,
    ) -> Result<Box<dyn StreamSubscriber>, DriverError> {
        let pipe = Arc::new(Pipe::default());
        lock(&self.subscribers).push(Arc::clone(&pipe));
        let payload_bytes = spec.payload_bytes;
        Ok(Box::new(NullSubscriber { pipe, payload_bytes, taken: Vec::new() }))
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
    subscribers: Vec<Arc<Pipe>>,
    payload: Vec<u8>,
    batch: StampedBatch,
    producer: u16,
    gathered: Vec<u8>,
    unacknowledged: u32,
}

impl StreamPublisher for NullPublisher {
    fn publish(&mut self, stamp: BatchStamp) -> Result<(), DriverError> {
        if self.batch.count() != stamp.count {
            self.batch = batch_of(&self.payload, stamp.count);
        }
        self.batch.renew(self.producer, stamp);
        self.unacknowledged = self.unacknowledged.saturating_add(1);
        self.gathered.extend_from_slice(self.batch.bytes());
        let is_paced = stamp.spacing_ns > 0;
        if is_paced || self.gathered.len() >= GATHERED_BYTES {
            return self.finish();
        }
        Ok(())
    }

    fn receive_acks(&mut self) -> Result<u32, DriverError> {
        Ok(std::mem::take(&mut self.unacknowledged))
    }

    fn finish(&mut self) -> Result<(), DriverError> {
        let handed = self.subscribers.iter().try_for_each(|pipe| pipe.write(&self.gathered));
        self.gathered.clear();
        handed
    }
}

struct NullSubscriber {
    pipe: Arc<Pipe>,
    payload_bytes: usize,
    taken: Vec<u8>,
}

impl StreamSubscriber for NullSubscriber {
    fn receive(&mut self, intake: &mut Intake) -> Result<Received, DriverError> {
        self.taken.clear();
        self.pipe.read(&mut self.taken);
        if self.taken.is_empty() {
            return Ok(Received::Nothing);
        }
        intake.begin();
        self.taken.chunks(self.payload_bytes).for_each(|payload| intake.take(payload));
        intake.end();
        Ok(Received::Messages)
    }
}
