//! What keeps messages, and the threads that work for it while a backend serves.

mod adapter;
mod damage;
mod keeper;
mod recovery;
mod room;

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use broker_core::{Broker, Identity, Settings as CoreSettings, Wakes};
use journal::{Damage, JournalFailed, OpenError, SnapshotError};
use protocol::Durability;
use thiserror::Error;

use crate::{Clock, Settings, Storage};
use adapter::FileJournal;
use damage::TopicsConcerned;
use keeper::Keeper;
use recovery::Parts;

/// How a thread that is not a backend's brings wakes to the backend's sessions, any
/// number of them, at any time until it is let go of. It empties what it is given
/// and does not wait for a client.
pub type Carry = Arc<dyn Fn(&mut Wakes) + Send + Sync>;

/// Why what keeps messages cannot be used.
#[derive(Debug, Error)]
pub(crate) enum StorageError {
    /// The directory cannot be made or opened.
    #[error(
        "expected a data directory at {}, but found: {source}; give another with --data, or the \
         right to make and to write it",
        dir.display()
    )]
    Directory { dir: PathBuf, source: io::Error },
    /// It is in use, cannot be read or written, or is of another version.
    #[error("data directory {}: {source}", dir.display())]
    Open { dir: PathBuf, source: OpenError },
    /// It is damaged.
    #[error(
        "data directory {}: {damage}; {topics}; nothing was changed: see `tandem journal verify \
         {}`, restore the directory from a copy, or start with --recover quarantine to go on \
         without what is damaged",
        dir.display(),
        dir.display()
    )]
    Damaged { dir: PathBuf, damage: Damage, topics: TopicsConcerned },
    /// The system gave no random bytes.
    #[error("expected random bytes to tell journals apart, but found: {0}; start the broker again")]
    Random(#[source] io::Error),
    /// It failed while the broker served, or when it stopped.
    #[error("{0}")]
    Failed(#[from] JournalFailed),
}

/// What keeps messages. Clones are the same one.
#[derive(Clone, Debug)]
pub struct Store {
    kind: Kind,
}

#[derive(Clone, Debug)]
enum Kind {
    /// The broker's own memory, which asks for nothing.
    Memory,
    /// A journal in files.
    Disk(Arc<Disk>),
}

#[derive(Debug)]
struct Disk {
    broker: Arc<Broker>,
    store: Arc<FileJournal>,
    keeper: Arc<Keeper>,
    threads: Mutex<Threads>,
}

/// Its threads, once they are started.
#[derive(Debug, Default)]
struct Threads {
    keeper: Option<JoinHandle<()>>,
    committer: Option<JoinHandle<()>>,
}

/// Opens what keeps messages, and gives the broker that is found there.
///
/// # Errors
/// When the data directory cannot be used, is in use, or is damaged and shall not be started on.
pub(crate) fn open(
    identity: Identity,
    settings: &Settings,
    clock: Clock,
) -> Result<(Arc<Broker>, Store), StorageError> {
    let durability = match &settings.storage {
        Storage::Memory => Durability::Sync,
        Storage::Disk(disk) => disk.durability,
    };
    let core_settings = CoreSettings {
        durability,
        rules: settings.topic_rules.clone(),
        started_unix_ms: clock.started_unix_ms(),
        mqtt_creates_topics: settings.mqtt_creates_topics,
    };
    let limits = settings.limits.clone();
    match &settings.storage {
        Storage::Memory => {
            let broker = Broker::in_memory(identity, limits, core_settings);
            Ok((Arc::new(broker), Store { kind: Kind::Memory }))
        }
        Storage::Disk(disk) => {
            let parts = Parts { identity, limits, settings: core_settings, clock };
            let (broker, store) = recovery::open(disk, parts)?;
            let keeper =
                Keeper::new(Arc::clone(&broker), Arc::clone(&store), clock, &settings.limits);
            let disk = Disk {
                broker: Arc::clone(&broker),
                store,
                keeper: Arc::new(keeper),
                threads: Mutex::default(),
            };
            Ok((broker, Store { kind: Kind::Disk(Arc::new(disk)) }))
        }
    }
}

impl Store {
    /// Starts its threads; `carry` wakes the sessions that wait for stable storage. A
    /// backend calls this once, before it serves the first connection.
    ///
    /// # Errors
    /// When the system refuses a thread.
    pub fn start(&self, carry: Carry) -> io::Result<()> {
        match &self.kind {
            Kind::Memory => {
                drop(carry);
                Ok(())
            }
            Kind::Disk(disk) => disk.start(carry),
        }
    }

    /// Brings everything to where it is kept, ends the threads and lets go of `carry`.
    /// No session is served any more.
    ///
    /// # Errors
    /// When the journal failed before or fails now: what was acknowledged is safe, but more may
    /// have been taken in than is kept.
    pub(crate) fn finish(&self) -> Result<(), StorageError> {
        match &self.kind {
            Kind::Memory => Ok(()),
            Kind::Disk(disk) => disk.finish(),
        }
    }
}

impl Disk {
    fn start(&self, carry: Carry) -> io::Result<()> {
        let mut threads = self.threads.lock().expect(THREADS_LOCK);
        let (broker, store) = (Arc::clone(&self.broker), Arc::clone(&self.store));
        let tell = Arc::clone(&carry);
        let commit = move || {
            let mut wakes = Wakes::new();
            store.journal.run(|_, _| {
                broker.handle_progress(&mut wakes);
                tell(&mut wakes);
            });
        };
        threads.committer = Some(thread::Builder::new().name("journal".into()).spawn(commit)?);
        let keeper = Arc::clone(&self.keeper);
        let keep = move || keeper.run(&carry);
        threads.keeper = Some(thread::Builder::new().name("keeper".into()).spawn(keep)?);
        Ok(())
    }

    fn finish(&self) -> Result<(), StorageError> {
        let mut threads = self.threads.lock().expect(THREADS_LOCK);
        // What it is at takes a snapshot, or appends, so it ends before the journal does.
        self.keeper.stop();
        join(threads.keeper.take());
        self.broker.handle_close();
        let kept = match self.keeper.snapshot() {
            Ok(_removed) => Ok(()),
            Err(SnapshotError::Failed(failed)) => Err(failed),
            // A restart reads more of the journal then, which has all that the snapshot would.
            Err(error) => {
                tracing::warn!(%error, "no snapshot was taken at the end");
                Ok(())
            }
        };
        let closed = self.store.journal.close();
        join(threads.committer.take());
        kept.and(closed.map(drop)).map_err(StorageError::Failed)
    }
}

/// Waits for the end of a thread, if it was started.
fn join(thread: Option<JoinHandle<()>>) {
    if let Some(Err(panic)) = thread.map(JoinHandle::join) {
        std::panic::resume_unwind(panic);
    }
}

const THREADS_LOCK: &str = "no thread panics while it starts or ends the threads";
