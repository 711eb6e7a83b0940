//! A disk whose power is cut in the middle of operations: it takes pictures of what would be left, and
//! now and then of what would be there if only the process had been killed.

use journal::storage::{Access, Lock, LockError, LockHolder, SimulatedDisk, Storage, StorageFile};
use std::io;
use std::sync::{Arc, Mutex};

/// A disk that takes pictures.
#[derive(Clone, Debug)]
pub(crate) struct Watched {
    inner: Arc<dyn Storage>,
    camera: Arc<Camera>,
}

#[derive(Debug)]
struct Camera {
    disk: SimulatedDisk,
    roll: Mutex<Roll>,
}

#[derive(Debug)]
struct Roll {
    random: fastrand::Rng,
    /// One operation in so many is followed by a picture; none is if it is 0.
    one_in: u32,
    pictures: Vec<SimulatedDisk>,
}

impl Watched {
    pub(crate) fn new(disk: SimulatedDisk, random: fastrand::Rng, one_in: u32) -> Self {
        let roll = Mutex::new(Roll { random, one_in, pictures: Vec::new() });
        Self { inner: Arc::new(disk.clone()), camera: Arc::new(Camera { disk, roll }) }
    }

    /// What was taken since the last time.
    pub(crate) fn pictures(&self) -> Vec<SimulatedDisk> {
        std::mem::take(&mut self.camera.roll.lock().unwrap().pictures)
    }

    /// What would be left now.
    pub(crate) fn picture(&self) -> SimulatedDisk {
        let mut roll = self.camera.roll.lock().unwrap();
        self.camera.disk.crash(&mut |below| roll.random.u64(..below))
    }
}

impl Camera {
    fn look(&self) {
        let mut roll = self.roll.lock().unwrap();
        if roll.one_in > 0 && roll.pictures.len() < 40 {
            let one_in = roll.one_in;
            if roll.random.u32(..one_in) == 0 {
                let picture = if roll.random.u32(..4) == 0 {
                    self.disk.killed()
                } else {
                    self.disk.crash(&mut |below| roll.random.u64(..below))
                };
                roll.pictures.push(picture);
            }
        }
    }

    fn after<T>(&self, done: T) -> T {
        self.look();
        done
    }
}

impl Storage for Watched {
    fn list(&self) -> io::Result<Vec<String>> {
        self.inner.list()
    }

    fn open(&self, name: &str, access: Access) -> io::Result<Arc<dyn StorageFile>> {
        let inner = self.inner.open(name, access)?;
        Ok(Arc::new(WatchedFile { inner, camera: Arc::clone(&self.camera) }))
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn StorageFile>> {
        let inner = self.camera.after(self.inner.create(name))?;
        Ok(Arc::new(WatchedFile { inner, camera: Arc::clone(&self.camera) }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.camera.after(self.inner.rename(from, to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.camera.after(self.inner.remove(name))
    }

    fn sync_dir(&self) -> io::Result<()> {
        self.camera.after(self.inner.sync_dir())
    }

    fn folder(&self, name: &str) -> io::Result<Arc<dyn Storage>> {
        let inner = self.inner.folder(name)?;
        Ok(Arc::new(Self { inner, camera: Arc::clone(&self.camera) }))
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
struct WatchedFile {
    inner: Arc<dyn StorageFile>,
    camera: Arc<Camera>,
}

impl StorageFile for WatchedFile {
    fn bytes(&self) -> io::Result<u64> {
        self.inner.bytes()
    }

    fn read_at(&self, offset: u64, bytes: usize, into: &mut Vec<u8>) -> io::Result<usize> {
        self.inner.read_at(offset, bytes, into)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<usize> {
        self.camera.after(self.inner.write_at(offset, bytes))
    }

    fn allocate(&self, bytes: u64) -> io::Result<()> {
        self.camera.after(self.inner.allocate(bytes))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.camera.after(self.inner.sync_data())
    }

    fn sync_all(&self) -> io::Result<()> {
        self.camera.after(self.inner.sync_all())
    }
}
