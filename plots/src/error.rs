//! What can go wrong between a run record and its report.

use std::io;
use std::path::PathBuf;

use measure::MeasureError;

/// A failure to draw or to write.
#[derive(Debug, thiserror::Error)]
pub enum PlotsError {
    /// The output directory could not be made, or the results not be read: the environment's fault.
    #[error(transparent)]
    Directory(#[from] MeasureError),
    /// The comparison with another run, in the run's directory, could not be read: the
    /// environment's fault.
    #[error(
        "expected a comparison of two runs in {}, found: {reason}; remove the file, or compare the \
         runs again",
        path.display()
    )]
    Comparison {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A picture or the report could not be written: the environment's fault.
    #[error(
        "cannot write {}: {source}; check that you may write there and that the disk has room",
        path.display()
    )]
    Write {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// A picture could not be turned into pixels: our fault.
    #[error("cannot draw {picture} as PNG: {reason}; this is a bug in plots")]
    Raster {
        /// The picture's name.
        picture: String,
        /// What the rasteriser said.
        reason: String,
    },
}
