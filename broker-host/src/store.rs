//! What keeps messages, and the threads that work for it while a backend serves.

use std::io;
use std::sync::Arc;

use broker_core::Wakes;

use crate::Storage;

/// How a thread that is not a backend's brings wakes to the backend's sessions, any
/// number of them, at any time until it is let go of. It empties what it is given
/// and does not wait for a client.
pub type Carry = Arc<dyn Fn(&mut Wakes) + Send + Sync>;

/// What keeps messages. Clones are the same one.
#[derive(Clone, Debug)]
pub struct Store {
    kind: Kind,
}

#[derive(Clone, Debug)]
enum Kind {
    /// The broker's own memory, which asks for nothing.
    Memory,
}

impl Store {
    pub(crate) fn open(storage: &Storage) -> Self {
        match storage {
            Storage::Memory => Self { kind: Kind::Memory },
            Storage::Disk(_) => unreachable!("the settings refuse a directory"),
        }
    }

    /// Starts its threads; `carry` wakes the sessions that wait for stable storage. A
    /// backend calls this once, before it serves the first connection.
    ///
    /// # Errors
    /// When the system refuses a thread.
    pub fn start(&self, carry: Carry) -> io::Result<()> {
        match self.kind {
            Kind::Memory => drop(carry),
        }
        Ok(())
    }

    /// Brings everything to where it is kept, ends the threads and lets go of `carry`.
    /// No session is served any more.
    pub(crate) fn finish(&self) {
        match self.kind {
            Kind::Memory => {}
        }
    }
}
