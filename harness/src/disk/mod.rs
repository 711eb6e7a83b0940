//! No broker: messages are written to a preallocated file, which is synced before they count as
//! acknowledged.
//!
//! Its figures are the ceiling of any broker that acknowledges after `fdatasync` on the same disk.
//! What the publishers have under way at once is what lies between two syncs. One sync serves all
//! who wait for one, as in any broker that commits in groups; there is no socket, no frame and no
//! checksum, and a thread for each publisher, since files block. A broker that writes while it still
//! receives can come out above it.

mod file;
mod publishing;

use crate::drivers::{DriverError, Operation};
use crate::engine::{
    BacklogRun, Built, Drained, LoadError, OperationLoad, OperationOutcome, Phase, StreamOutcome,
    StreamRun, Surroundings,
};
use crate::intake::{Intake, Recorder};
use crate::ledger::Ledger;
use file::{TopicFile, failed};
use publishing::{Written, publish};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Bytes that one read asks for, rounded down to whole messages.
const READ_BYTES: usize = 1024 * 1024;

/// A directory of files, one for each topic.
#[derive(Debug)]
pub struct Disk {
    directory: PathBuf,
    topics: BTreeMap<String, TopicFile>,
}

impl Disk {
    /// In this directory.
    #[must_use]
    pub fn new(directory: PathBuf) -> Self {
        Self { directory, topics: BTreeMap::new() }
    }

    /// Writes something, syncs and removes it.
    ///
    /// # Errors
    /// [`DriverError::Io`]: there is no room, or it may not be written.
    pub fn check(&mut self) -> Result<(), DriverError> {
        let file = self.create("check")?;
        let end = file.append(b"is there room?")?;
        file.wait_synced(end)?;
        self.remove("check")
    }

    /// Publishes by many at once, one message of each under way.
    ///
    /// # Errors
    /// [`LoadError`] if a file fails, or on an interrupt.
    pub fn run_operation(
        &mut self,
        load: &OperationLoad,
        surroundings: Surroundings<'_>,
    ) -> Result<OperationOutcome, LoadError> {
        debug_assert_eq!(load.operation, Operation::Publish);
        let stream = load.as_stream();
        let written = self.write(&stream, surroundings)?;
        self.remove(&stream.terms.root).map_err(LoadError::client("clearing up a file"))?;
        Ok(OperationOutcome {
            count: written.acknowledged,
            errors: BTreeMap::new(),
            duration_ns: written.acknowledged_ns,
            latencies: written.latencies,
            threads_cpu_ns: Vec::new(),
        })
    }

    /// Publishes a stream that nobody reads, with what each publisher has under way synced at once.
    ///
    /// # Errors
    /// [`LoadError`] if a file fails, or on an interrupt.
    pub fn run_stream(
        &mut self,
        stream: &StreamRun,
        surroundings: Surroundings<'_>,
    ) -> Result<StreamOutcome, LoadError> {
        let written = self.write(stream, surroundings)?;
        self.remove(&stream.terms.root).map_err(LoadError::client("ending a stream"))?;
        Ok(StreamOutcome::written(written.acknowledged, written.acknowledged_ns, written.latencies))
    }

    /// Writes a backlog.
    ///
    /// # Errors
    /// [`LoadError`] if a file fails, or on an interrupt.
    pub fn build_backlog(
        &mut self,
        backlog: &BacklogRun,
        surroundings: Surroundings<'_>,
    ) -> Result<Built, LoadError> {
        let written = self.write(&backlog.stream(), surroundings)?;
        Ok(Built { messages: written.acknowledged, duration_ns: written.acknowledged_ns })
    }

    /// Reads a backlog from its beginning to its end.
    ///
    /// # Errors
    /// [`LoadError`] if a file fails, or on an interrupt.
    pub fn drain_backlog(
        &self,
        backlog: &BacklogRun,
        surroundings: Surroundings<'_>,
    ) -> Result<Drained, LoadError> {
        let Surroundings { clock, interrupt, on_phase, .. } = surroundings;
        let reading = LoadError::client("reading a backlog");
        let Some(file) = self.topics.get(&backlog.topic) else {
            return Err(reading(DriverError::unexpected("a topic's file", &backlog.topic)));
        };
        let stream = backlog.stream();
        let payload_bytes = backlog.payload_bytes;
        let mut recorder = Recorder::new(clock, stream.terms.payloads, backlog.run_id, 1);
        let mut ledger = Ledger::new(backlog.publishers as usize);
        let mut room = vec![0; (READ_BYTES / payload_bytes).max(1) * payload_bytes];
        on_phase(Phase::Measured);
        let start_ns = clock.now_ns();
        recorder.begin_phase(1, start_ns, u64::MAX);
        file.will_be_read().map_err(LoadError::client("reading a backlog"))?;
        let mut next = 0;
        loop {
            if interrupt.is_raised() {
                return Err(LoadError::Interrupted);
            }
            let bytes =
                file.read(next, &mut room).map_err(LoadError::client("reading a backlog"))?;
            if bytes == 0 {
                break;
            }
            next += bytes as u64;
            recorder.begin();
            let mut intake = Intake::new(&mut recorder, &mut ledger, 0);
            room[..bytes].chunks(payload_bytes).for_each(|payload| intake.take(payload));
            recorder.end(0);
        }
        on_phase(Phase::Over);
        let recorded = &recorder.groups()[0];
        Ok(Drained {
            messages: recorded.received,
            duration_ns: recorded.last_received_ns.saturating_sub(start_ns),
            faults: ledger.faults(&backlog.sent()),
        })
    }

    /// Removes a backlog.
    ///
    /// # Errors
    /// [`LoadError`] if a file fails.
    pub fn end_backlog(&mut self, backlog: &BacklogRun) -> Result<(), LoadError> {
        self.remove(&backlog.topic).map_err(LoadError::client("ending a backlog"))
    }

    fn write(
        &mut self,
        stream: &StreamRun,
        surroundings: Surroundings<'_>,
    ) -> Result<Written, LoadError> {
        let file = self.create(&stream.terms.root);
        let file = file.map_err(LoadError::client("preparing a file"))?;
        publish(file, stream, surroundings)
    }

    fn create(&mut self, topic: &str) -> Result<&TopicFile, DriverError> {
        let file = TopicFile::create(&self.directory.join(topic))?;
        self.topics.remove(topic);
        Ok(self.topics.entry(topic.to_owned()).or_insert(file))
    }

    fn remove(&mut self, topic: &str) -> Result<(), DriverError> {
        self.topics.remove(topic);
        std::fs::remove_file(self.directory.join(topic)).map_err(failed("removing a file"))
    }
}
