//! The processes that are measured: finding or building them, starting, watching, ending.

mod binary;
mod child;
mod data_dir;
mod flushes;
mod listener;
mod moment;
mod output;
mod proc_files;
mod ready;
mod sampler;
mod tree;

pub use binary::{Program, build_missing, locate};
pub use child::{BrokerProcess, CONFIG_FILE_PLACEHOLDER, DATA_DIR_PLACEHOLDER, Launch, Started};
pub use data_dir::DataDir;
pub use listener::find_listener;
pub use moment::Moment;
pub use proc_files::{cpu_ns, ns_to_ticks, own_cpu_ns};
pub use sampler::{ProcessSamples, Sampler};

use std::io;
use std::path::PathBuf;

/// Why a broker could not be started, or did not go on.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// The program could not be built.
    #[error("cannot build {program}: {reason}; run the build by hand to see what is wrong")]
    Build {
        /// The program.
        program: String,
        /// What happened.
        reason: String,
    },
    /// The program could not be started.
    #[error("cannot start {program}: {source}; check the broker's `command`")]
    Start {
        /// The program.
        program: String,
        /// What the operating system said.
        source: io::Error,
    },
    /// It started, and did not say that it is ready.
    #[error(
        "{program} was not ready within {waited_ms} ms; its last words:\n{last_words}\n\
         expected it to say {expected}"
    )]
    NotReady {
        /// The program.
        program: String,
        /// How long it was waited for.
        waited_ms: u64,
        /// What it should have said.
        expected: &'static str,
        /// The end of its standard error.
        last_words: String,
    },
    /// It ended by itself.
    #[error("{program} ended by itself, {status}; its last words:\n{last_words}")]
    Died {
        /// The program.
        program: String,
        /// How.
        status: String,
        /// The end of its standard error.
        last_words: String,
    },
    /// It was told to end, and did not.
    #[error("{program} did not end within {waited_ms} ms of its signal; it was killed")]
    NotStopped {
        /// The program.
        program: String,
        /// How long it was waited for.
        waited_ms: u64,
    },
    /// It could not be told to end.
    #[error("cannot stop {program}: {source}; see whether it still runs")]
    Stop {
        /// The program.
        program: String,
        /// What the operating system said.
        source: io::Error,
    },
    /// There is no place for its files, or they cannot be reached.
    #[error("cannot use {} for a broker's files: {source}; name another `data_root`", root.display())]
    DataDir {
        /// The directory.
        root: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// Something about it cannot be read.
    #[error(
        "cannot read {what}: expected {expected}, found {found}; run on Linux with /proc mounted"
    )]
    Unreadable {
        /// The file.
        what: String,
        /// What should be in it.
        expected: &'static str,
        /// What is.
        found: String,
    },
}
