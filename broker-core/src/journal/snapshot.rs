//! Snapshots: the records that make today's state of nothing, so that recovery need not go back
//! further.

use super::{JournalFailed, Record};
use crate::Broker;

/// Takes a snapshot's records, one by one: a kind and a body.
pub struct SnapshotSink<'a> {
    take: &'a mut dyn FnMut(u8, &[u8]),
    body: Vec<u8>,
}

impl SnapshotSink<'_> {
    pub(crate) fn put(&mut self, record: &Record<'_>) {
        self.body.clear();
        let kind = record.encode(&mut self.body);
        (self.take)(kind, &self.body);
    }
}

impl std::fmt::Debug for SnapshotSink<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SnapshotSink").finish_non_exhaustive()
    }
}

impl Broker {
    /// Gives the records of a snapshot to `take`, and the position that they stand for: with them,
    /// recovery needs the journal's records from there on only.
    ///
    /// Topics are told one after another, each as it is when its turn comes. So the snapshot may
    /// be used only once the journal has synced all that was appended before this returned.
    ///
    /// # Errors
    /// Where the journal failed.
    pub fn snapshot(&self, take: &mut dyn FnMut(u8, &[u8])) -> Result<u64, JournalFailed> {
        let mut sink = SnapshotSink { take, body: Vec::new() };
        let (position, topics) = self.topics_at_position()?;
        sink.put(&self.state());
        for topic in topics {
            topic.snapshot(&mut sink);
        }
        self.snapshot_clients(&mut sink);
        Ok(position)
    }
}
