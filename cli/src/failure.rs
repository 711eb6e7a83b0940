//! Why a command did not do what it was asked, and the exit code that says so.

use client_api::Error;
use std::io::{self, ErrorKind};
use std::path::PathBuf;
use std::process::ExitCode;

/// A failure; its text is the one sentence that the user sees.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The broker, or the way to it.
    #[error(transparent)]
    Client(#[from] Error),
    /// A file that was named.
    #[error("cannot read {}: {source}; name a file that exists and may be read", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// A data directory that cannot be read.
    #[error("cannot read a journal in {}: {reason}; name a broker's data directory", dir.display())]
    Journal {
        /// Which.
        dir: PathBuf,
        /// Why not.
        reason: String,
    },
    /// A journal that is not as it was written.
    #[error(
        "the journal in {} is damaged in {places} places; restore it from a copy, or start the \
         broker with --recover quarantine", dir.display()
    )]
    JournalDamaged {
        /// Which.
        dir: PathBuf,
        /// In how many places.
        places: usize,
    },
    /// Standard input.
    #[error("cannot read standard input: {0}")]
    Input(io::Error),
    /// Standard output.
    #[error("cannot write to standard output: {0}")]
    Output(#[from] io::Error),
}

impl Failure {
    /// Whether whoever read the output has enough, as `head` does: no failure at all.
    pub(crate) fn is_broken_pipe(&self) -> bool {
        matches!(self, Self::Output(error) if error.kind() == ErrorKind::BrokenPipe)
    }

    /// See the exit codes in the help.
    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Client(Error::Refused(_) | Error::Ended(_)) => 1,
            Self::Client(Error::InvalidRequest { .. })
            | Self::File { .. }
            | Self::Journal { .. }
            | Self::Input(_)
            | Self::Output(_) => 2,
            Self::Client(_) => 3,
            Self::JournalDamaged { .. } => 4,
        })
    }
}
