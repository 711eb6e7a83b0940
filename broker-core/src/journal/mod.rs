//! Where durable state is kept: one sequence of records, behind a trait that the host implements.
//!
//! The core changes durable state only by appending a record and applying it; [`Recovery`] applies
//! the same records after a restart. Nothing here waits for a medium: a record has a place at once,
//! and later the journal has reached it.

mod client_record;
mod commits;
mod description;
mod fields;
mod record;
mod recovery;
mod rewriting;
mod snapshot;

pub(crate) use client_record::{ClientNumber, ClientRecord, Delivery, FilterTerms};
pub(crate) use commits::Commits;
pub use description::{Description, describe};
pub use record::RecordError;
pub(crate) use record::{
    LeaseTerms, PUBLICATION_HEAD_BYTES_MAX, Part, Publication, Receipt, Record, Run, TopicId,
    TopicTerms,
};
pub use recovery::{Missing, Recovery, RecoveryReport};
pub use snapshot::SnapshotSink;

use bytes::Bytes;
use protocol::{Code, Durability, Refusal};
use std::fmt;
use thiserror::Error;

/// An append-only sequence of records on a medium.
pub trait Journal: fmt::Debug + Send + Sync {
    /// Appends a record of `kind` whose body is the concatenation of `body`, and asks that it
    /// become as durable as `durability` says. Does not wait for that.
    ///
    /// # Errors
    /// Where the journal has failed.
    fn append(
        &self,
        kind: u8,
        body: &[&[u8]],
        durability: Durability,
    ) -> Result<Place, JournalFailed>;

    /// How far the records are with the operating system, and how far on the medium.
    fn reached(&self) -> Reached;

    /// Why nothing more is reached, once that is so.
    fn failure(&self) -> Option<JournalFailed>;

    /// Whether more is appended than written, by more than there is room to keep.
    fn is_congested(&self) -> bool;

    /// Whether publishers may go on. They are held where it is congested, and may be where it
    /// keeps more than it should, until messages were given up or moved, which goes on meanwhile.
    fn has_room(&self) -> bool {
        !self.is_congested()
    }

    /// Reads the records that lie in `bytes` bytes from `position` on.
    ///
    /// # Errors
    /// Where they cannot be read, or are not what was written.
    fn read(
        &self,
        position: u64,
        bytes: usize,
        visit: &mut dyn FnMut(Stored),
    ) -> Result<(), ReadFailed>;

    /// Position after the last record appended.
    fn end(&self) -> u64;

    /// Counts so many bytes of the segment at `segment` as needed.
    fn retain(&self, segment: u64, bytes: u64);

    /// Counts so many bytes of the segment at `segment` as no longer needed.
    fn release(&self, segment: u64, bytes: u64);
}

/// Where a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Position of the segment that it is in.
    pub segment: u64,
    /// Its own position.
    pub position: u64,
    /// How much of the journal it takes.
    pub bytes: u32,
}

impl Place {
    /// Position after it.
    #[must_use]
    pub fn end(self) -> u64 {
        self.position + u64::from(self.bytes)
    }
}

/// A record read back.
#[derive(Clone, Debug)]
pub struct Stored {
    /// Its position.
    pub position: u64,
    /// Its kind.
    pub kind: u8,
    /// Its body.
    pub body: Bytes,
}

/// Positions that all records before have reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reached {
    /// They are with the operating system.
    pub written: u64,
    /// They are on the medium.
    pub synced: u64,
}

impl Reached {
    /// The position that all records before are as durable as `durability` says.
    #[must_use]
    pub fn by(self, durability: Durability) -> u64 {
        match durability {
            Durability::Os => self.written,
            Durability::Sync => self.synced,
        }
    }
}

/// What an answer waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Waits {
    pub(crate) position: u64,
    pub(crate) durability: Durability,
}

impl Waits {
    pub(crate) fn is_over(self, reached: Reached) -> bool {
        self.position <= reached.by(self.durability)
    }
}

/// The journal failed, and is not used any more until a restart.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("the journal failed: {reason}")]
pub struct JournalFailed {
    /// What the medium said.
    pub reason: String,
}

impl From<JournalFailed> for Refusal {
    fn from(failed: JournalFailed) -> Self {
        Self::new(
            Code::StorageFailed,
            format!(
                "expected to store it, but {failed}; nothing more is stored until the broker is started again"
            ),
        )
    }
}

/// Records could not be read back.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{reason}")]
pub struct ReadFailed {
    /// Which place, and what is wrong with it.
    pub reason: String,
}

impl From<ReadFailed> for Refusal {
    fn from(failed: ReadFailed) -> Self {
        Self::new(
            Code::StorageDamaged,
            format!(
                "expected to read stored messages back, but {failed}; stop the broker, see `tandem journal verify`"
            ),
        )
    }
}
