//! What can go wrong with a journal, and whose fault it is.

use crate::Position;
use std::io;
use std::sync::Arc;

/// What a caller's visitor may say to stop a recovery.
pub type VisitError = Box<dyn std::error::Error + Send + Sync>;

/// Why a journal could not be opened.
///
/// `Options` is our fault, `Visit` the caller's; all others are the environment's.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Somebody else has it open.
    #[error(
        "the journal in {directory} is in use by {}; stop that one, or name another directory",
        holder(*.process_id)
    )]
    Locked {
        /// Where the journal is.
        directory: String,
        /// Who has it, where it is known.
        process_id: Option<u32>,
    },
    /// The operating system refused.
    #[error(
        "cannot {action} {file}: {source}; check that the directory exists, that you may \
         write to it, and that the disk has room"
    )]
    Io {
        /// What was tried: "read", "write", "create".
        action: &'static str,
        /// The file.
        file: String,
        /// What the operating system said.
        source: io::Error,
    },
    /// Something that was durable is not as it was written.
    #[error(
        "{0}; restore the journal from a copy, or open it in quarantine mode, which sets the \
         damaged range aside and starts with what is left"
    )]
    Damaged(Damage),
    /// The file is of a format that this version does not read.
    #[error(
        "{file}: expected format version {expected}, found {found}; open it with the version \
         that wrote it"
    )]
    Version {
        /// The file.
        file: String,
        /// What this version reads.
        expected: u32,
        /// What the file says.
        found: u32,
    },
    /// The options contradict each other.
    #[error("{0}")]
    Options(String),
    /// The caller's visitor refused a record.
    #[error("the record at position {position} was refused: {source}")]
    Visit {
        /// Where the record is; for a record of the snapshot, the snapshot's position.
        position: Position,
        /// What the visitor said.
        source: VisitError,
    },
}

fn holder(process_id: Option<u32>) -> String {
    match process_id {
        Some(id) => format!("process {id}"),
        None => "another process".to_owned(),
    }
}

/// Something that was durable is not as it was written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file} is damaged at offset {offset} (position {position}): {reason}")]
pub struct Damage {
    /// The file, by its name in the journal's directory.
    pub file: String,
    /// Where in the file.
    pub offset: u64,
    /// Where in the journal.
    pub position: Position,
    /// What was expected, and what shows that it had been there.
    pub reason: String,
}

/// A journal has failed, for good: what could not be written or synced may or may not be on the
/// medium, and only opening it again tells.
#[derive(Clone, Debug, thiserror::Error)]
#[error(
    "the journal cannot {action} {file}: {source}; it takes no more records: mend the cause, \
     then open it again"
)]
pub struct JournalFailed {
    /// What was tried: "write", "sync", "create".
    pub action: &'static str,
    /// The file.
    pub file: String,
    /// What the operating system said.
    pub source: Arc<io::Error>,
}

/// Why a record was not appended. Nothing of it is in the journal.
#[derive(Clone, Debug, thiserror::Error)]
pub enum AppendError {
    /// The journal has failed; the environment's fault.
    #[error(transparent)]
    Failed(#[from] JournalFailed),
    /// The journal was closed; the caller's fault.
    #[error("the journal is closed; append before closing it")]
    Closed,
    /// The record is over the limit; the caller's fault.
    #[error(
        "expected a record of at most {limit} bytes, found {bytes}; split it, or raise \
         record_bytes_max"
    )]
    TooLarge {
        /// Bytes of the body.
        bytes: u64,
        /// What `record_bytes_max` allows.
        limit: u32,
    },
    /// The kind is not the caller's to use; the caller's fault.
    #[error("expected a kind from 1 to 127, found {0}; the others are the journal's own")]
    Kind(u8),
}

/// Why records could not be read back.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The operating system refused; the environment's fault.
    #[error("cannot read {file} at offset {offset}: {source}; check the medium")]
    Io {
        /// The file.
        file: String,
        /// Where in the file.
        offset: u64,
        /// What the operating system said.
        source: io::Error,
    },
    /// The records are not as they were written; the environment's fault.
    #[error("{0}; restore the journal from a copy, or open it in quarantine mode")]
    Damaged(Damage),
    /// The range reaches past what is written; the caller's fault.
    #[error("expected a range before position {written}, which is written, found one to {end}")]
    NotWritten {
        /// Where the range ends.
        end: Position,
        /// All before this can be read.
        written: Position,
    },
    /// No segment holds this position: it was removed, or never was; the caller's fault.
    #[error(transparent)]
    Missing(#[from] SegmentMissing),
}

/// No segment holds a position.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no segment holds position {0}: it was removed as dead, or lost")]
pub struct SegmentMissing(
    /// The position.
    pub Position,
);

/// Why a snapshot was not written. The one before it still holds.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// The operating system refused; the environment's fault.
    #[error("cannot {action} {file}: {source}; the snapshot before it still holds")]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file.
        file: String,
        /// What the operating system said.
        source: io::Error,
    },
    /// The journal has failed; the environment's fault.
    #[error(transparent)]
    Failed(#[from] JournalFailed),
    /// A record that a snapshot cannot take; the caller's fault.
    #[error(transparent)]
    Record(#[from] AppendError),
    /// The position is none that a snapshot may have; the caller's fault.
    #[error(
        "expected a position from {earliest} to {end}, found {position}; use what end() gave \
         when the state was taken"
    )]
    Position {
        /// What was asked.
        position: Position,
        /// The position of the snapshot before it.
        earliest: Position,
        /// The journal's end.
        end: Position,
    },
    /// The caller could not give its records.
    #[error("the records for the snapshot could not be had: {0}")]
    Caller(VisitError),
}
