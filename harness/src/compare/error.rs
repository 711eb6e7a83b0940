//! What can be wrong with what is to be compared.

use measure::MeasureError;
use plots::PlotsError;
use std::io;
use std::path::PathBuf;

/// Nothing could be compared, or the comparison could not be written.
#[derive(Debug, thiserror::Error)]
pub enum CompareError {
    /// A run's results cannot be read, or a directory cannot be made.
    #[error(transparent)]
    Results(#[from] MeasureError),
    /// The pictures or the page could not be written.
    #[error(transparent)]
    Plots(#[from] PlotsError),
    /// The directory given for noise holds no comparison.
    #[error(
        "cannot read {}: {source}; expected a comparison of two runs of the same thing, as \
         `harness compare A1 A2 --out DIR` writes it",
        path.display()
    )]
    Noise {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The file for noise is no comparison that this version reads.
    #[error(
        "{}: expected a comparison of format_version {expected}, found {found}; write it again \
         with `harness compare A1 A2 --out DIR`",
        path.display()
    )]
    NoiseMalformed {
        /// The file.
        path: PathBuf,
        /// The version this build reads.
        expected: u32,
        /// What is wrong, or the version in the file.
        found: String,
    },
    /// Noise of another machine says nothing of this one.
    #[error(
        "{}: expected noise of the machine that A ran on ({expected}), found {found}; measure the \
         noise on the machine that is compared",
        path.display()
    )]
    NoiseOfAnotherMachine {
        /// The file.
        path: PathBuf,
        /// A fact of A's machine.
        expected: String,
        /// The same fact of the noise's machine.
        found: String,
    },
    /// A file or the standard output could not be written.
    #[error("cannot write {what}: {source}; check that you may, and that there is room")]
    Write {
        /// Where to.
        what: String,
        /// What the operating system said.
        source: io::Error,
    },
    /// The comparison could not be put into its format.
    #[error("cannot write the comparison as {format}: {reason}; this is a bug in the harness")]
    Encode {
        /// Which.
        format: &'static str,
        /// What the encoder said.
        reason: String,
    },
}
