//! A file that many append to, and that is synced for all who wait at once.
//!
//! As in a log that grows, its blocks are written for the first time, all but the first few MiB:
//! a stream leaves these behind in its first moment, and only small writes stay within them.

use crate::drivers::DriverError;
use rustix::fs::{Advice, FallocateFlags, fadvise, fallocate};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// The file grows by so much at a time, ahead of what is written.
const ALLOCATION_BYTES: u64 = 64 * 1024 * 1024;

/// So much of a new file holds zeros on the disk already: where a block was written before, syncing a
/// small write has no metadata to write.
const ZEROED_BYTES: usize = 8 * 1024 * 1024;

const ALLOCATING: &str = "allocating room in a file";

/// One topic's file.
#[derive(Debug)]
pub(super) struct TopicFile {
    file: File,
    ends: Mutex<Ends>,
    synced: Condvar,
}

#[derive(Debug, Default)]
struct Ends {
    allocated: u64,
    written: u64,
    synced: u64,
    /// Somebody is at it.
    syncing: bool,
}

impl TopicFile {
    pub(super) fn create(path: &Path) -> Result<Self, DriverError> {
        let mut options = File::options();
        let file = options.read(true).write(true).create(true).truncate(true).open(path);
        let file = file.map_err(failed("creating a file"))?;
        fallocate(&file, FallocateFlags::empty(), 0, ALLOCATION_BYTES)
            .map_err(failed(ALLOCATING))?;
        file.write_all_at(&vec![0; ZEROED_BYTES], 0).map_err(failed("writing a file"))?;
        file.sync_all().map_err(failed("syncing a file"))?;
        let ends = Ends { allocated: ALLOCATION_BYTES, ..Ends::default() };
        Ok(Self { file, ends: Mutex::new(ends), synced: Condvar::new() })
    }

    /// Appends; where the appended bytes end.
    pub(super) fn append(&self, bytes: &[u8]) -> Result<u64, DriverError> {
        let mut ends = lock(&self.ends);
        let end = ends.written + bytes.len() as u64;
        while ends.allocated < end {
            fallocate(&self.file, FallocateFlags::empty(), ends.allocated, ALLOCATION_BYTES)
                .map_err(failed(ALLOCATING))?;
            ends.allocated += ALLOCATION_BYTES;
        }
        self.file.write_all_at(bytes, ends.written).map_err(failed("writing a file"))?;
        ends.written = end;
        Ok(end)
    }

    /// Returns when all up to `end` is on stable storage. The first who waits syncs for all.
    pub(super) fn wait_synced(&self, end: u64) -> Result<(), DriverError> {
        let mut ends = lock(&self.ends);
        while ends.synced < end {
            if ends.syncing {
                ends = self.synced.wait(ends).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            ends.syncing = true;
            let written = ends.written;
            drop(ends);
            let synced = self.file.sync_data();
            ends = lock(&self.ends);
            ends.syncing = false;
            if synced.is_ok() {
                ends.synced = written;
            }
            self.synced.notify_all();
            synced.map_err(failed("syncing a file"))?;
        }
        Ok(())
    }

    /// Reads what is synced from `next` on, as much as there is room for; how much that was.
    pub(super) fn read(&self, next: u64, room: &mut [u8]) -> Result<usize, DriverError> {
        let left_bytes = lock(&self.ends).synced.saturating_sub(next);
        let bytes = usize::try_from(left_bytes).unwrap_or(usize::MAX).min(room.len());
        let read = self.file.read_exact_at(&mut room[..bytes], next);
        read.map(|()| bytes).map_err(failed("reading a file"))
    }

    /// Has the kernel read further ahead.
    pub(super) fn will_be_read(&self) -> Result<(), DriverError> {
        fadvise(&self.file, 0, None, Advice::Sequential).map_err(failed("advising on a file"))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is locked here is whole between any two statements.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(super) fn failed<E: Into<io::Error>>(doing: &'static str) -> impl FnOnce(E) -> DriverError {
    move |error| DriverError::Io { doing, source: error.into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering};

    #[test]
    fn everyone_who_waits_finds_all_of_theirs_synced() {
        let dir = tempfile::tempdir().unwrap();
        let file = TopicFile::create(&dir.path().join("t")).unwrap();
        let appended = AtomicU64::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..10 {
                        let end = file.append(b"0123456789").unwrap();
                        appended.fetch_add(10, Ordering::SeqCst);
                        file.wait_synced(end).unwrap();
                        assert!(lock(&file.ends).synced >= end);
                    }
                });
            }
        });
        let ends = lock(&file.ends);
        assert_eq!((ends.written, ends.synced), (400, 400));
        assert_eq!(appended.into_inner(), 400);
    }
}
