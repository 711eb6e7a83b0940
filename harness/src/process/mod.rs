//! The processes that are measured: finding or building them, starting, watching, ending.

mod binary;
mod child;
mod proc_files;
mod sampler;

pub use binary::{Program, build_missing, locate};
pub use child::{BrokerProcess, Started};
pub use proc_files::{ns_to_ticks, own_cpu_ns};
pub use sampler::{ProcessSamples, Sampler};

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
        source: std::io::Error,
    },
    /// It started, and did not say that it is ready.
    #[error(
        "{program} was not ready within {waited_ms} ms; its last words:\n{last_words}\n\
         expected {expected} on its standard output"
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
