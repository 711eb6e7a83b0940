//! A directory that a broker keeps its messages in.

use std::path::Path;
use tempfile::TempDir;

/// A data directory of a test's own. It outlives the brokers that are started on it one after the
/// other, and goes when it is dropped.
#[derive(Debug)]
pub struct DataDir {
    dir: TempDir,
}

impl DataDir {
    /// An empty one.
    #[expect(clippy::new_without_default, reason = "making a directory is an act, not a default")]
    #[must_use]
    pub fn new() -> Self {
        Self { dir: tempfile::tempdir().expect("a directory can be made") }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.dir.path()
    }
}
