//! The medium: a directory of files, behind a trait so that tests can cut its power.

mod directory;
mod faulty;
mod simulated;

pub use directory::Directory;
pub use faulty::{Fault, FaultyStorage, Operation};
pub use simulated::{Choose, SimulatedDisk};

use std::fmt::Debug;
use std::io;
use std::sync::Arc;

/// What a file is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Reading only.
    Read,
    /// Reading and writing.
    Write,
}

/// A directory of files.
///
/// What [`create`](Self::create), [`rename`](Self::rename) and [`remove`](Self::remove) have done
/// is only sure to outlive a loss of power after [`sync_dir`](Self::sync_dir), and what was written
/// to a file only after one of the file's own syncs. Until then, any part of it may be lost or kept.
pub trait Storage: Debug + Send + Sync {
    /// The names of the files in it, in any order. Directories are not among them.
    fn list(&self) -> io::Result<Vec<String>>;

    /// Opens a file that exists; [`io::ErrorKind::NotFound`] if it does not.
    fn open(&self, name: &str, access: Access) -> io::Result<Arc<dyn StorageFile>>;

    /// Makes an empty file, in the place of one that had its name.
    fn create(&self, name: &str) -> io::Result<Arc<dyn StorageFile>>;

    /// Gives a file another name, in one step, in the place of one that had it.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Makes all names durable.
    fn sync_dir(&self) -> io::Result<()>;

    /// The directory of this name within this one; made, and made durable, if there is none.
    fn folder(&self, name: &str) -> io::Result<Arc<dyn Storage>>;

    /// Keeps others from opening the journal here for as long as the lock lives.
    fn lock(&self) -> Result<Box<dyn Lock>, LockError>;

    /// Whether somebody holds the lock, and who, where it is known.
    fn lock_holder(&self) -> io::Result<LockHolder>;

    /// What to call it in messages.
    fn describe(&self) -> String;
}

/// A file of a [`Storage`].
pub trait StorageFile: Debug + Send + Sync {
    /// The file's length.
    fn bytes(&self) -> io::Result<u64>;

    /// Reads up to `bytes` from `offset` on, and appends them to `into`. Gives how many there
    /// were: 0 at the file's end only.
    fn read_at(&self, offset: u64, bytes: usize, into: &mut Vec<u8>) -> io::Result<usize>;

    /// Writes a part of `bytes`, from its start, at `offset`. Gives how much, as write(2) does.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<usize>;

    /// Gives the file this length, with room on the medium for all of it; new bytes are zero.
    fn allocate(&self, bytes: u64) -> io::Result<()>;

    /// Makes the file's content durable.
    fn sync_data(&self) -> io::Result<()>;

    /// Makes the file's content, length and room durable.
    fn sync_all(&self) -> io::Result<()>;
}

/// Holds a [`Storage`]'s lock until it is dropped.
pub trait Lock: Debug + Send + Sync {}

/// Who has a [`Storage`]'s lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockHolder {
    /// Nobody.
    Nobody,
    /// Somebody: the process of this id, where it has said so.
    Process(Option<u32>),
}

/// Why a lock was not given.
#[derive(Debug)]
pub enum LockError {
    /// Somebody else has it: the process of this id, where it has said so.
    Held(Option<u32>),
    /// The medium failed.
    Io(io::Error),
}

/// Writes all of `bytes` at `offset`.
pub(crate) fn write_all_at(
    file: &dyn StorageFile,
    mut offset: u64,
    mut bytes: &[u8],
) -> io::Result<()> {
    while !bytes.is_empty() {
        match file.write_at(offset, bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => {
                offset += written as u64;
                bytes = &bytes[written..];
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Appends `bytes` from `offset` on to `into`, or fewer where the file ends before.
pub(crate) fn read_up_to(
    file: &dyn StorageFile,
    mut offset: u64,
    mut bytes: usize,
    into: &mut Vec<u8>,
) -> io::Result<()> {
    while bytes > 0 {
        match file.read_at(offset, bytes, into) {
            Ok(0) => break,
            Ok(read) => {
                offset += read as u64;
                bytes -= read;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
