//! One append-only sequence of records in segment files.

mod committer;
mod error;
mod frame;
mod grouping;
pub mod inspect;
mod journal;
mod options;
mod position;
mod preparation;
mod reading;
mod recovery;
mod segment;
mod segments;
mod snapshot;
pub mod storage;
mod tail;
mod walk;

pub use error::{
    AppendError, Damage, JournalFailed, OpenError, ReadError, SegmentMissing, SnapshotError,
    VisitError,
};
pub use frame::{FRAME_ALIGNMENT, FRAME_HEADER_BYTES, KIND_MAX};
pub use journal::Journal;
pub use options::{JournalId, Options};
pub use position::{Level, Place, Position, Reached};
pub use recovery::{Cut, Lost, OpenReport, RecoverMode, Recovered, SnapshotSource};
pub use segment::{FORMAT_VERSION, SEGMENT_HEADER_BYTES};
pub use segments::SegmentState;
pub use snapshot::SnapshotSink;
