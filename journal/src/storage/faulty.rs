//! A storage whose operations fail when a test wants them to.

use super::{Access, Lock, LockError, LockHolder, Storage, StorageFile};
use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex};

/// What can be made to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// Reading from a file.
    Read,
    /// Writing to a file.
    Write,
    /// Either sync of a file.
    Sync,
    /// Making room for a file.
    Allocate,
    /// Making a file.
    Create,
    /// Renaming a file.
    Rename,
    /// Removing a file.
    Remove,
    /// Syncing a directory.
    SyncDir,
}

/// How an operation fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It fails so and does nothing, and so does each one after it.
    Error(io::ErrorKind),
    /// It fails so and does nothing; those after it succeed.
    ErrorOnce(io::ErrorKind),
    /// A write does half of what was asked, once.
    ShortWrite,
}

/// A storage whose operations fail when a test wants them to.
#[derive(Clone, Debug)]
pub struct FaultyStorage {
    inner: Arc<dyn Storage>,
    plan: Arc<Plan>,
}

#[derive(Debug, Default)]
struct Plan {
    state: Mutex<PlanState>,
}

#[derive(Debug, Default)]
struct PlanState {
    counts: HashMap<Operation, u64>,
    faults: Vec<(Operation, u64, Fault)>,
}

impl FaultyStorage {
    /// A storage that does as `inner` does until [`inject`](Self::inject) is called.
    #[must_use]
    pub fn new(inner: Arc<dyn Storage>) -> Self {
        Self { inner, plan: Arc::default() }
    }

    /// Lets `after` operations of this sort succeed from now on, and the next one fail.
    pub fn inject(&self, operation: Operation, after: u64, fault: Fault) {
        let mut state = self.plan.state.lock().expect("no test goes on after a panic in here");
        let at = state.counts.get(&operation).copied().unwrap_or(0) + after;
        state.faults.push((operation, at, fault));
    }

    /// How many operations of this sort were asked for.
    #[must_use]
    pub fn count(&self, operation: Operation) -> u64 {
        let state = self.plan.state.lock().expect("no test goes on after a panic in here");
        state.counts.get(&operation).copied().unwrap_or(0)
    }
}

impl Plan {
    /// Counts an operation, and says whether it does less than was asked, or fails.
    fn strike(&self, operation: Operation) -> io::Result<Option<Fault>> {
        let mut state = self.state.lock().expect("no test goes on after a panic in here");
        let count = state.counts.entry(operation).or_default();
        let at = *count;
        *count += 1;
        for (faulty, from, fault) in &state.faults {
            match fault {
                Fault::Error(kind) if *faulty == operation && at >= *from => {
                    return Err((*kind).into());
                }
                Fault::ErrorOnce(kind) if *faulty == operation && at == *from => {
                    return Err((*kind).into());
                }
                Fault::ShortWrite if *faulty == operation && at == *from => {
                    return Ok(Some(*fault));
                }
                _ => {}
            }
        }
        Ok(None)
    }
}

impl Storage for FaultyStorage {
    fn list(&self) -> io::Result<Vec<String>> {
        self.inner.list()
    }

    fn open(&self, name: &str, access: Access) -> io::Result<Arc<dyn StorageFile>> {
        let inner = self.inner.open(name, access)?;
        Ok(Arc::new(FaultyFile { inner, plan: Arc::clone(&self.plan) }))
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn StorageFile>> {
        self.plan.strike(Operation::Create)?;
        let inner = self.inner.create(name)?;
        Ok(Arc::new(FaultyFile { inner, plan: Arc::clone(&self.plan) }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.plan.strike(Operation::Rename)?;
        self.inner.rename(from, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.plan.strike(Operation::Remove)?;
        self.inner.remove(name)
    }

    fn sync_dir(&self) -> io::Result<()> {
        self.plan.strike(Operation::SyncDir)?;
        self.inner.sync_dir()
    }

    fn folder(&self, name: &str) -> io::Result<Arc<dyn Storage>> {
        let inner = self.inner.folder(name)?;
        Ok(Arc::new(Self { inner, plan: Arc::clone(&self.plan) }))
    }

    fn lock(&self) -> Result<Box<dyn Lock>, LockError> {
        self.inner.lock()
    }

    fn lock_holder(&self) -> io::Result<LockHolder> {
        self.inner.lock_holder()
    }

    fn describe(&self) -> String {
        self.inner.describe()
    }
}

#[derive(Debug)]
struct FaultyFile {
    inner: Arc<dyn StorageFile>,
    plan: Arc<Plan>,
}

impl StorageFile for FaultyFile {
    fn bytes(&self) -> io::Result<u64> {
        self.inner.bytes()
    }

    fn read_at(&self, offset: u64, bytes: usize, into: &mut Vec<u8>) -> io::Result<usize> {
        self.plan.strike(Operation::Read)?;
        self.inner.read_at(offset, bytes, into)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<usize> {
        let bytes = match self.plan.strike(Operation::Write)? {
            Some(_) => &bytes[..bytes.len().div_ceil(2)],
            None => bytes,
        };
        self.inner.write_at(offset, bytes)
    }

    fn allocate(&self, bytes: u64) -> io::Result<()> {
        self.plan.strike(Operation::Allocate)?;
        self.inner.allocate(bytes)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.plan.strike(Operation::Sync)?;
        self.inner.sync_data()
    }

    fn sync_all(&self) -> io::Result<()> {
        self.plan.strike(Operation::Sync)?;
        self.inner.sync_all()
    }
}
