//! What can go wrong with measurements and their files, and whose fault it is.

use std::io;
use std::path::{Path, PathBuf};

/// A failure to read, write, encode or decode measurements.
///
/// `Io` is the environment's fault; `Malformed` and `UnsupportedVersion` are the fault of the file
/// that was given; `Encode` is ours.
#[derive(Debug, thiserror::Error)]
pub enum MeasureError {
    /// The operating system refused to read or write a file.
    #[error("cannot {action} {}: {source}; {advice}", path.display())]
    Io {
        /// What was tried, as a verb: "read", "write", "create".
        action: &'static str,
        /// The file or directory it was tried on.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
        /// What the reader of the message can do about it.
        advice: &'static str,
    },
    /// A file or an encoded histogram does not hold what it should.
    #[error("{place}: expected {expected}, found {found}; {advice}")]
    Malformed {
        /// The file, or the kind of text, that is wrong.
        place: String,
        /// What should have been there.
        expected: &'static str,
        /// What was there instead.
        found: String,
        /// What the reader of the message can do about it.
        advice: &'static str,
    },
    /// The run record was written in a format that this version does not read.
    #[error(
        "{}: expected format_version {expected}, found {found}; \
         read it with the Tandem version that wrote it, or run the benchmark again",
        path.display()
    )]
    UnsupportedVersion {
        /// The run record.
        path: PathBuf,
        /// The version this build reads.
        expected: u32,
        /// The version in the file.
        found: u64,
    },
    /// A value in memory could not be put into its format.
    #[error("cannot encode {what}: {reason}; this is a bug in whoever filled the record")]
    Encode {
        /// What was being encoded.
        what: String,
        /// What the encoder said.
        reason: String,
    },
}

impl MeasureError {
    pub(crate) fn read(path: &Path, source: io::Error) -> Self {
        Self::Io {
            action: "read",
            path: path.to_owned(),
            source,
            advice: "name a results directory that a benchmark run has written, \
                     and check that you may read it",
        }
    }

    pub(crate) fn write(path: &Path, source: io::Error) -> Self {
        Self::Io {
            action: "write",
            path: path.to_owned(),
            source,
            advice: "check that the directory exists, that you may write to it, \
                     and that the disk has room",
        }
    }

    pub(crate) fn encode(what: impl Into<String>, reason: &impl ToString) -> Self {
        Self::Encode { what: what.into(), reason: reason.to_string() }
    }
}
