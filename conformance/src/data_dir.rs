//! A directory that a broker keeps its messages in.

use std::fs;
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

    /// Bytes that the journal's segments take in it.
    ///
    /// A segment that goes while they are counted does not count.
    #[must_use]
    pub fn segment_bytes(&self) -> u64 {
        let entries = fs::read_dir(self.path()).expect("the directory is there");
        let files = entries.map(|entry| entry.expect("an entry"));
        let segments = files.filter(|file| file.path().extension() == Some("segment".as_ref()));
        segments.filter_map(|file| file.metadata().ok()).map(|metadata| metadata.len()).sum()
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.dir.path()
    }
}
