//! A disk in memory that knows what a loss of power would leave of it. For tests.

use super::{Access, Lock, LockError, LockHolder, Storage, StorageFile};
use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

/// What the medium writes in one go, at best.
const SECTOR_BYTES: u64 = 512;

/// One sector in so many is itself torn where sectors are torn from each other.
const TORN_SECTOR_ONE_IN: u64 = 16;

/// A disk in memory that knows what a loss of power would leave of it.
///
/// It keeps apart what is durable and what was done since the last sync of that file, or of the
/// directory. [`crash`](Self::crash) makes a disk as it may be found after the power came back.
#[derive(Clone, Debug)]
pub struct SimulatedDisk {
    state: Arc<Mutex<State>>,
    folder: String,
}

#[derive(Clone, Debug, Default)]
struct State {
    bytes_max: u64,
    inodes: Vec<Inode>,
    names: BTreeMap<String, usize>,
    durable_names: BTreeMap<String, usize>,
    name_changes: Vec<NameChange>,
    is_locked: bool,
    file_syncs: u64,
}

#[derive(Clone, Debug, Default)]
struct Inode {
    content: Vec<u8>,
    durable: Vec<u8>,
    changes: Vec<Change>,
}

#[derive(Clone, Debug)]
enum Change {
    Write { offset: u64, bytes: Vec<u8> },
    Length(u64),
}

#[derive(Clone, Debug)]
enum NameChange {
    Set { name: String, inode: usize },
    Move { from: String, to: String, inode: usize },
    Unset { name: String },
}

/// Picks a number below the one given, as a seeded generator does.
pub type Choose<'a> = &'a mut dyn FnMut(u64) -> u64;

impl SimulatedDisk {
    /// An empty disk that has room for `bytes_max` bytes.
    #[must_use]
    pub fn new(bytes_max: u64) -> Self {
        let state = State { bytes_max, ..State::default() };
        Self { state: Arc::new(Mutex::new(state)), folder: String::new() }
    }

    /// The disk as it may be found if the power failed now, each thing that was not synced being
    /// dropped, kept or torn, in any order, as `choose` wants it.
    #[must_use]
    pub fn crash(&self, choose: Choose<'_>) -> Self {
        let state = self.state();
        let mut names = state.durable_names.clone();
        for change in &state.name_changes {
            if choose(2) == 0 {
                change.apply(&mut names);
            }
        }
        let mut image = State { bytes_max: state.bytes_max, ..State::default() };
        for (name, inode) in names {
            let content = state.inodes[inode].crashed(choose);
            image.put(name, content);
        }
        Self { state: Arc::new(Mutex::new(image)), folder: self.folder.clone() }
    }

    /// The disk as it is found if the process was killed now: all that was done is there, and what
    /// was not synced still is not.
    #[must_use]
    pub fn killed(&self) -> Self {
        let image = State { is_locked: false, ..self.state().clone() };
        Self { state: Arc::new(Mutex::new(image)), folder: self.folder.clone() }
    }

    /// The disk with all on it as if it had been synced: what a copy of its files would be.
    #[must_use]
    pub fn copied(&self) -> Self {
        let state = self.state();
        let mut image = State { bytes_max: state.bytes_max, ..State::default() };
        for (name, inode) in &state.names {
            image.put(name.clone(), state.inodes[*inode].content.clone());
        }
        Self { state: Arc::new(Mutex::new(image)), folder: self.folder.clone() }
    }

    /// The names of all files, those in folders with the folder's before theirs.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.state().names.keys().cloned().collect()
    }

    /// What a file holds; `None` if there is none of this name.
    #[must_use]
    pub fn content(&self, name: &str) -> Option<Vec<u8>> {
        let state = self.state();
        state.names.get(name).map(|inode| state.inodes[*inode].content.clone())
    }

    /// Puts a file there, durably, as damage or a meddling hand would.
    pub fn put(&self, name: &str, content: Vec<u8>) {
        let mut state = self.state();
        if let Some(inode) = state.names.get(name).copied() {
            state.inodes[inode] = Inode { durable: content.clone(), content, changes: Vec::new() };
        } else {
            state.put(name.to_owned(), content);
        }
    }

    /// Takes a file away, durably.
    pub fn take(&self, name: &str) {
        let mut state = self.state();
        state.names.remove(name);
        state.durable_names.remove(name);
    }

    /// How often a file was synced.
    #[must_use]
    pub fn file_syncs(&self) -> u64 {
        self.state().file_syncs
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no test goes on after a panic within the disk")
    }

    fn path(&self, name: &str) -> String {
        format!("{}{name}", self.folder)
    }

    fn file(&self, inode: usize) -> Arc<dyn StorageFile> {
        Arc::new(SimulatedFile { state: Arc::clone(&self.state), inode })
    }

    /// Whether a name is of a file of this folder itself.
    fn holds(&self, path: &str) -> bool {
        path.strip_prefix(&self.folder).is_some_and(|name| !name.contains('/'))
    }
}

impl State {
    fn put(&mut self, name: String, content: Vec<u8>) {
        let inode = self.inodes.len();
        self.inodes.push(Inode { durable: content.clone(), content, changes: Vec::new() });
        self.names.insert(name.clone(), inode);
        self.durable_names.insert(name, inode);
    }

    fn change_names(&mut self, change: NameChange) {
        change.apply(&mut self.names);
        self.name_changes.push(change);
    }

    fn inode_of(&self, path: &str) -> io::Result<usize> {
        self.names.get(path).copied().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// Gives a file a length, if the disk has room for it.
    fn resize(&mut self, inode: usize, bytes: u64) -> io::Result<()> {
        let in_use: u64 =
            self.names.values().map(|inode| self.inodes[*inode].content.len() as u64).sum();
        let before = self.inodes[inode].content.len() as u64;
        if (in_use - before.min(in_use)).saturating_add(bytes) > self.bytes_max {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.inodes[inode].content.resize(bytes as usize, 0);
        Ok(())
    }
}

impl NameChange {
    fn apply(&self, names: &mut BTreeMap<String, usize>) {
        match self {
            Self::Set { name, inode } => {
                names.insert(name.clone(), *inode);
            }
            Self::Move { from, to, inode } => {
                names.remove(from);
                names.insert(to.clone(), *inode);
            }
            Self::Unset { name } => {
                names.remove(name);
            }
        }
    }

    fn names(&self) -> [&str; 2] {
        match self {
            Self::Set { name, .. } | Self::Unset { name } => [name, name],
            Self::Move { from, to, .. } => [from, to],
        }
    }
}

impl Inode {
    /// The content that a loss of power may leave.
    fn crashed(&self, choose: Choose<'_>) -> Vec<u8> {
        let mut content = self.durable.clone();
        // All lost and all kept are likely ends of a batch, and would be rare sector by sector.
        let fate = choose(4);
        if fate == 0 {
            return content;
        }
        if fate == 1 {
            return self.content.clone();
        }
        let mut writes = Vec::new();
        for change in &self.changes {
            match change {
                Change::Length(bytes) if choose(2) == 0 => content.resize(*bytes as usize, 0),
                Change::Length(_) => {}
                Change::Write { offset, bytes } => writes.push((*offset, bytes.as_slice())),
            }
        }
        while !writes.is_empty() {
            let (offset, bytes) = writes.swap_remove(choose(writes.len() as u64) as usize);
            if choose(4) > 0 {
                tear(&mut content, offset, bytes, choose);
            }
        }
        content
    }
}

/// Applies a write sector by sector, each of them kept, dropped or, now and then, cut.
fn tear(content: &mut Vec<u8>, mut offset: u64, mut bytes: &[u8], choose: Choose<'_>) {
    // Most tears are at one place: what precedes it is there, or what follows it.
    let chance = [1, 2, 8][choose(3) as usize];
    while !bytes.is_empty() {
        let sector_left = SECTOR_BYTES - offset % SECTOR_BYTES;
        let (sector, rest) = bytes.split_at(bytes.len().min(sector_left as usize));
        if choose(chance + 1) > 0 {
            let is_torn = choose(TORN_SECTOR_ONE_IN) == 0;
            let kept = if is_torn { choose(sector.len() as u64) as usize } else { sector.len() };
            put_at(content, offset, &sector[..kept]);
        }
        offset += sector.len() as u64;
        bytes = rest;
    }
}

fn put_at(content: &mut Vec<u8>, offset: u64, bytes: &[u8]) {
    let (start, end) = (offset as usize, offset as usize + bytes.len());
    if content.len() < end {
        content.resize(end, 0);
    }
    content[start..end].copy_from_slice(bytes);
}

impl Storage for SimulatedDisk {
    fn list(&self) -> io::Result<Vec<String>> {
        let state = self.state();
        let paths = state.names.keys().filter(|path| self.holds(path));
        Ok(paths.map(|path| path[self.folder.len()..].to_owned()).collect())
    }

    fn open(&self, name: &str, _access: Access) -> io::Result<Arc<dyn StorageFile>> {
        let inode = self.state().inode_of(&self.path(name))?;
        Ok(self.file(inode))
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn StorageFile>> {
        let mut state = self.state();
        let inode = state.inodes.len();
        state.inodes.push(Inode::default());
        state.change_names(NameChange::Set { name: self.path(name), inode });
        Ok(self.file(inode))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let (from, to) = (self.path(from), self.path(to));
        let mut state = self.state();
        let inode = state.inode_of(&from)?;
        state.change_names(NameChange::Move { from, to, inode });
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let name = self.path(name);
        let mut state = self.state();
        state.inode_of(&name)?;
        state.change_names(NameChange::Unset { name });
        Ok(())
    }

    fn sync_dir(&self) -> io::Result<()> {
        let mut guard = self.state();
        let State { name_changes, durable_names, .. } = &mut *guard;
        name_changes.retain(|change| {
            let is_here = change.names().iter().any(|name| self.holds(name));
            if is_here {
                change.apply(durable_names);
            }
            !is_here
        });
        Ok(())
    }

    fn folder(&self, name: &str) -> io::Result<Arc<dyn Storage>> {
        let folder = format!("{}{name}/", self.folder);
        Ok(Arc::new(Self { state: Arc::clone(&self.state), folder }))
    }

    fn lock(&self) -> Result<Box<dyn Lock>, LockError> {
        let mut state = self.state();
        if state.is_locked {
            return Err(LockError::Held(Some(std::process::id())));
        }
        state.is_locked = true;
        Ok(Box::new(SimulatedLock { state: Arc::clone(&self.state) }))
    }

    fn lock_holder(&self) -> io::Result<LockHolder> {
        Ok(match self.state().is_locked {
            true => LockHolder::Process(Some(std::process::id())),
            false => LockHolder::Nobody,
        })
    }

    fn describe(&self) -> String {
        "a simulated disk".to_owned()
    }
}

#[derive(Debug)]
struct SimulatedLock {
    state: Arc<Mutex<State>>,
}

impl Lock for SimulatedLock {}

impl Drop for SimulatedLock {
    fn drop(&mut self) {
        if let Ok(mut state) = self.state.lock() {
            state.is_locked = false;
        }
    }
}

#[derive(Debug)]
struct SimulatedFile {
    state: Arc<Mutex<State>>,
    inode: usize,
}

impl SimulatedFile {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no test goes on after a panic within the disk")
    }
}

impl StorageFile for SimulatedFile {
    fn bytes(&self) -> io::Result<u64> {
        Ok(self.state().inodes[self.inode].content.len() as u64)
    }

    fn read_at(&self, offset: u64, bytes: usize, into: &mut Vec<u8>) -> io::Result<usize> {
        let state = self.state();
        let content = &state.inodes[self.inode].content;
        let start = offset.min(content.len() as u64) as usize;
        let end = start.saturating_add(bytes).min(content.len());
        into.extend_from_slice(&content[start..end]);
        Ok(end - start)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<usize> {
        let mut state = self.state();
        let end = offset + bytes.len() as u64;
        if end > state.inodes[self.inode].content.len() as u64 {
            state.resize(self.inode, end)?;
        }
        let inode = &mut state.inodes[self.inode];
        put_at(&mut inode.content, offset, bytes);
        inode.changes.push(Change::Write { offset, bytes: bytes.to_vec() });
        Ok(bytes.len())
    }

    fn allocate(&self, bytes: u64) -> io::Result<()> {
        let mut state = self.state();
        let bytes = bytes.max(state.inodes[self.inode].content.len() as u64);
        state.resize(self.inode, bytes)?;
        state.inodes[self.inode].changes.push(Change::Length(bytes));
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.state();
        state.file_syncs += 1;
        let inode = &mut state.inodes[self.inode];
        for change in std::mem::take(&mut inode.changes) {
            match change {
                Change::Length(bytes) => inode.durable.resize(bytes as usize, 0),
                Change::Write { offset, bytes } => put_at(&mut inode.durable, offset, &bytes),
            }
        }
        Ok(())
    }

    fn sync_all(&self) -> io::Result<()> {
        self.sync_data()
    }
}
