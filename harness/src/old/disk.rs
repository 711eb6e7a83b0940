//! No broker: messages are written to a preallocated file, which is synced before they count as
//! acknowledged.
//!
//! As in a log that grows, its blocks are written for the first time, all but the first few MiB:
//! a stream leaves these behind in its first moment, and only small writes stay within them.
//!
//! Its figures are the ceiling of any broker that acknowledges after `fdatasync` on the same disk.
//! What the publishers have under way at once is what lies between two syncs. One sync serves all
//! who wait for one, as in any broker that commits in groups; there is no socket, no frame and no
//! checksum. A broker that writes while it still receives can come out above it.

use super::{
    Driver, DriverError, OperationClient, Received, StreamPublisher, StreamSpec, StreamSubscriber,
};
use crate::intake::Intake;
use crate::message::{BatchStamp, StampedBatch, blank_payload};
use rustix::fs::{Advice, FallocateFlags, fadvise, fallocate};
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// The file grows by so much at a time, ahead of what is written.
const ALLOCATION_BYTES: u64 = 64 * 1024 * 1024;

/// So much of a new file holds zeros on the disk already: where a block was written before, syncing a
/// small write has no metadata to write.
const ZEROED_BYTES: usize = 8 * 1024 * 1024;

const ALLOCATING: &str = "allocating room in a file";

/// Bytes that one read asks for, rounded down to whole messages.
const READ_BYTES: usize = 1024 * 1024;

/// A directory of files, one for each topic.
#[derive(Debug)]
pub(super) struct Disk {
    topics: Arc<Topics>,
}

#[derive(Debug)]
struct Topics {
    directory: PathBuf,
    by_name: Mutex<BTreeMap<String, Arc<TopicFile>>>,
}

impl Disk {
    pub(super) fn new(directory: PathBuf) -> Self {
        Self { topics: Arc::new(Topics { directory, by_name: Mutex::default() }) }
    }
}

impl Driver for Disk {
    fn check(&self) -> Result<(), DriverError> {
        let mut client = DiskClient { topics: Arc::clone(&self.topics) };
        client.create("check")?;
        client.publish("check", b"is there room?")?;
        client.delete("check")
    }

    fn operation_client(&self) -> Result<Box<dyn OperationClient>, DriverError> {
        Ok(Box::new(DiskClient { topics: Arc::clone(&self.topics) }))
    }

    fn prepare_stream(&self, spec: &StreamSpec) -> Result<(), DriverError> {
        self.topics.create(&spec.topic)
    }

    fn end_stream(&self, spec: &StreamSpec) -> Result<(), DriverError> {
        self.topics.delete(&spec.topic)
    }

    fn stream_publisher(
        &self,
        spec: &StreamSpec,
        producer: u16,
    ) -> Result<Box<dyn StreamPublisher>, DriverError> {
        let payload = blank_payload(spec.payload_bytes);
        Ok(Box::new(DiskPublisher {
            file: self.topics.find(&spec.topic)?,
            batch: batch_of(&payload, spec.batch),
            payload,
            producer,
            unacknowledged: 0,
            end: 0,
        }))
    }

    fn stream_subscriber(
        &self,
        spec: &StreamSpec,
        _index: u32,
    ) -> Result<Box<dyn StreamSubscriber>, DriverError> {
        let messages = (READ_BYTES / spec.payload_bytes).max(1);
        let file = self.topics.find(&spec.topic)?;
        // So the kernel reads further ahead.
        fadvise(&file.file, 0, None, Advice::Sequential).map_err(failed("advising on a file"))?;
        Ok(Box::new(DiskSubscriber {
            file,
            payload_bytes: spec.payload_bytes,
            input: vec![0; messages * spec.payload_bytes],
            next: 0,
        }))
    }
}

impl Topics {
    fn create(&self, topic: &str) -> Result<(), DriverError> {
        let file = TopicFile::create(&self.path(topic))?;
        lock(&self.by_name).insert(topic.to_owned(), Arc::new(file));
        Ok(())
    }

    fn find(&self, topic: &str) -> Result<Arc<TopicFile>, DriverError> {
        let found = lock(&self.by_name).get(topic).map(Arc::clone);
        found.ok_or_else(|| DriverError::unexpected("a topic's file", &topic))
    }

    fn delete(&self, topic: &str) -> Result<(), DriverError> {
        lock(&self.by_name).remove(topic);
        std::fs::remove_file(self.path(topic)).map_err(failed("removing a file"))
    }

    fn path(&self, topic: &str) -> PathBuf {
        self.directory.join(topic)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is locked here is whole between any two statements.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn failed<E: Into<io::Error>>(doing: &'static str) -> impl FnOnce(E) -> DriverError {
    move |error| DriverError::Io { doing, source: error.into() }
}

/// A file that many append to, and that is synced for all of them at once.
#[derive(Debug)]
struct TopicFile {
    file: File,
    ends: Mutex<Ends>,
    synced: Condvar,
}

#[derive(Debug, Default)]
struct Ends {
    allocated: u64,
    written: u64,
    synced: u64,
    /// Somebody is at it.
    syncing: bool,
}

impl TopicFile {
    fn create(path: &Path) -> Result<Self, DriverError> {
        let mut options = File::options();
        let file = options.read(true).write(true).create(true).truncate(true).open(path);
        let file = file.map_err(failed("creating a file"))?;
        fallocate(&file, FallocateFlags::empty(), 0, ALLOCATION_BYTES)
            .map_err(failed(ALLOCATING))?;
        file.write_all_at(&vec![0; ZEROED_BYTES], 0).map_err(failed("writing a file"))?;
        file.sync_all().map_err(failed("syncing a file"))?;
        let ends = Ends { allocated: ALLOCATION_BYTES, ..Ends::default() };
        Ok(Self { file, ends: Mutex::new(ends), synced: Condvar::new() })
    }

    /// Appends; where the appended bytes end.
    fn append(&self, bytes: &[u8]) -> Result<u64, DriverError> {
        let mut ends = lock(&self.ends);
        let end = ends.written + bytes.len() as u64;
        while ends.allocated < end {
            fallocate(&self.file, FallocateFlags::empty(), ends.allocated, ALLOCATION_BYTES)
                .map_err(failed(ALLOCATING))?;
            ends.allocated += ALLOCATION_BYTES;
        }
        self.file.write_all_at(bytes, ends.written).map_err(failed("writing a file"))?;
        ends.written = end;
        Ok(end)
    }

    /// Returns when all up to `end` is on stable storage. The first who waits syncs for all.
    fn wait_synced(&self, end: u64) -> Result<(), DriverError> {
        let mut ends = lock(&self.ends);
        while ends.synced < end {
            if ends.syncing {
                ends = self.synced.wait(ends).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            ends.syncing = true;
            let written = ends.written;
            drop(ends);
            let synced = self.file.sync_data();
            ends = lock(&self.ends);
            ends.syncing = false;
            if synced.is_ok() {
                ends.synced = written;
            }
            self.synced.notify_all();
            synced.map_err(failed("syncing a file"))?;
        }
        Ok(())
    }
}

fn batch_of(payload: &[u8], count: u32) -> StampedBatch {
    StampedBatch::new(payload.repeat(count as usize), count, payload.len(), 0)
}

struct DiskClient {
    topics: Arc<Topics>,
}

impl DiskClient {
    fn meaningless<T>() -> Result<T, DriverError> {
        Err(DriverError::Unexpected {
            expected: "an operation that a file has",
            found: "one that only topics have".to_owned(),
        })
    }
}

impl OperationClient for DiskClient {
    fn create(&mut self, topic: &str) -> Result<(), DriverError> {
        self.topics.create(topic)
    }

    fn publish(&mut self, topic: &str, payload: &[u8]) -> Result<(), DriverError> {
        let file = self.topics.find(topic)?;
        let end = file.append(payload)?;
        file.wait_synced(end)
    }

    fn subscribe(&mut self, _topic: &str, _subscriber: &str) -> Result<(), DriverError> {
        Self::meaningless()
    }

    fn pull_one(&mut self, _topic: &str, _subscriber: &str) -> Result<u32, DriverError> {
        Self::meaningless()
    }

    fn delete(&mut self, topic: &str) -> Result<(), DriverError> {
        self.topics.delete(topic)
    }
}

struct DiskPublisher {
    file: Arc<TopicFile>,
    payload: Vec<u8>,
    batch: StampedBatch,
    producer: u16,
    unacknowledged: u32,
    /// Where its last publication ends.
    end: u64,
}

impl StreamPublisher for DiskPublisher {
    fn publish(&mut self, stamp: BatchStamp) -> Result<(), DriverError> {
        if self.batch.count() != stamp.count {
            self.batch = batch_of(&self.payload, stamp.count);
        }
        self.batch.renew(self.producer, stamp);
        self.end = self.file.append(self.batch.bytes())?;
        self.unacknowledged += 1;
        Ok(())
    }

    fn receive_acks(&mut self) -> Result<u32, DriverError> {
        self.file.wait_synced(self.end)?;
        Ok(std::mem::take(&mut self.unacknowledged))
    }

    fn finish(&mut self) -> Result<(), DriverError> {
        self.file.wait_synced(self.end)
    }
}

/// Reads a file from its beginning to what is synced.
struct DiskSubscriber {
    file: Arc<TopicFile>,
    payload_bytes: usize,
    input: Vec<u8>,
    next: u64,
}

impl StreamSubscriber for DiskSubscriber {
    fn receive(&mut self, intake: &mut Intake) -> Result<Received, DriverError> {
        let left_bytes = lock(&self.file.ends).synced - self.next;
        let room_bytes = self.input.len() as u64;
        let input = &mut self.input[..left_bytes.min(room_bytes) as usize];
        if input.is_empty() {
            return Ok(Received::Nothing);
        }
        self.file.file.read_exact_at(input, self.next).map_err(failed("reading a file"))?;
        self.next += input.len() as u64;
        intake.begin();
        input.chunks(self.payload_bytes).for_each(|payload| intake.take(payload));
        intake.end();
        Ok(Received::Messages)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering};

    #[test]
    fn everyone_who_waits_finds_all_of_theirs_synced() {
        let dir = tempfile::tempdir().unwrap();
        let file = TopicFile::create(&dir.path().join("t")).unwrap();
        let appended = AtomicU64::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..10 {
                        let end = file.append(b"0123456789").unwrap();
                        appended.fetch_add(10, Ordering::SeqCst);
                        file.wait_synced(end).unwrap();
                        assert!(lock(&file.ends).synced >= end);
                    }
                });
            }
        });
        let ends = lock(&file.ends);
        assert_eq!((ends.written, ends.synced), (400, 400));
        assert_eq!(appended.into_inner(), 400);
    }
}
