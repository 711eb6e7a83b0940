//! A directory of the operating system's.

use super::{Access, Lock, LockError, LockHolder, Storage, StorageFile};
use rustix::buffer::spare_capacity;
use rustix::fs::{FallocateFlags, FlockOperation, fallocate, fdatasync, flock, fsync};
use rustix::io::{Errno, pread, pwrite};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The file that is locked; it holds the id of the process that has it.
const LOCK_NAME: &str = "lock";

/// A process id in text is no longer than this.
const LOCK_TEXT_BYTES_MAX: u64 = 16;

/// A directory of the operating system's.
#[derive(Debug)]
pub struct Directory {
    path: PathBuf,
    handle: File,
}

impl Directory {
    /// Opens the directory at `path`, which is made, with those it is in, if it does not exist.
    pub fn create(path: impl Into<PathBuf>) -> io::Result<Self> {
        let path = path.into();
        make_durably(&path)?;
        Self::open(path)
    }

    /// Opens the directory at `path`, which must exist.
    pub fn open(path: impl Into<PathBuf>) -> io::Result<Self> {
        let path = path.into();
        let handle = File::open(&path)?;
        if !handle.metadata()?.is_dir() {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        Ok(Self { path, handle })
    }
}

impl Storage for Directory {
    fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                continue;
            }
            // A name that is not text is nothing of a journal's.
            if let Ok(name) = entry.file_name().into_string() {
                names.push(name);
            }
        }
        Ok(names)
    }

    fn open(&self, name: &str, access: Access) -> io::Result<Arc<dyn StorageFile>> {
        let mut options = OpenOptions::new();
        options.read(true).write(access == Access::Write);
        Ok(Arc::new(RealFile(options.open(self.path.join(name))?)))
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn StorageFile>> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(true);
        Ok(Arc::new(RealFile(options.open(self.path.join(name))?)))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.path.join(from), self.path.join(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.path.join(name))
    }

    fn sync_dir(&self) -> io::Result<()> {
        Ok(fsync(&self.handle)?)
    }

    fn folder(&self, name: &str) -> io::Result<Arc<dyn Storage>> {
        Ok(Arc::new(Self::create(self.path.join(name))?))
    }

    fn lock(&self) -> Result<Box<dyn Lock>, LockError> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let mut file = options.open(self.path.join(LOCK_NAME)).map_err(LockError::Io)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => return Err(LockError::Held(process_id(&file))),
            Err(error) => return Err(LockError::Io(error.into())),
        }
        file.set_len(0).map_err(LockError::Io)?;
        write!(file, "{}", std::process::id()).map_err(LockError::Io)?;
        Ok(Box::new(LockFile { _file: file }))
    }

    fn lock_holder(&self) -> io::Result<LockHolder> {
        let file = match File::open(self.path.join(LOCK_NAME)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(LockHolder::Nobody),
            Err(error) => return Err(error),
        };
        match flock(&file, FlockOperation::NonBlockingLockShared) {
            Ok(()) => Ok(LockHolder::Nobody),
            Err(Errno::WOULDBLOCK) => Ok(LockHolder::Process(process_id(&file))),
            Err(error) => Err(error.into()),
        }
    }

    fn describe(&self) -> String {
        self.path.display().to_string()
    }
}

/// The lock goes with the file's descriptor, however the process ends.
#[derive(Debug)]
struct LockFile {
    _file: File,
}

impl Lock for LockFile {}

fn process_id(file: &File) -> Option<u32> {
    let mut text = String::new();
    file.take(LOCK_TEXT_BYTES_MAX).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

/// Makes a directory and those it is in; each is durable before something is put into it.
fn make_durably(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    make_durably(parent)?;
    match fs::create_dir(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    Ok(fsync(File::open(parent)?)?)
}

/// A file of the operating system's.
#[derive(Debug)]
struct RealFile(File);

impl StorageFile for RealFile {
    fn bytes(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn read_at(&self, offset: u64, bytes: usize, into: &mut Vec<u8>) -> io::Result<usize> {
        let before = into.len();
        into.reserve(bytes);
        let read = pread(&self.0, spare_capacity(into), offset)?.min(bytes);
        // The vector may have had room for more than was asked.
        into.truncate(before + read);
        Ok(read)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<usize> {
        Ok(pwrite(&self.0, bytes, offset)?)
    }

    fn allocate(&self, bytes: u64) -> io::Result<()> {
        match fallocate(&self.0, FallocateFlags::empty(), 0, bytes) {
            Ok(()) => Ok(()),
            // A file system that cannot reserve room still keeps what is synced to it.
            Err(Errno::OPNOTSUPP) => self.0.set_len(bytes),
            Err(error) => Err(error.into()),
        }
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(fdatasync(&self.0)?)
    }

    fn sync_all(&self) -> io::Result<()> {
        Ok(fsync(&self.0)?)
    }
}
