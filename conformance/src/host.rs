//! A backend, and where its broker keeps messages: what a story that holds everywhere is told of.

use crate::{Backend, BrokerProcess, DataDir};
use protocol::StorageClass;

/// What a story runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Host {
    /// The backend.
    pub backend: Backend,
    /// Where its topics are unless a story says otherwise.
    pub storage: StorageClass,
}

impl Host {
    /// Threads, and topics in memory.
    pub const THREADED_MEMORY: Self =
        Self { backend: Backend::Threaded, storage: StorageClass::Memory };

    /// Threads, and topics on disk.
    pub const THREADED_DISK: Self =
        Self { backend: Backend::Threaded, storage: StorageClass::Disk };

    /// Event loops, and topics in memory.
    pub const MIO_MEMORY: Self = Self { backend: Backend::Mio, storage: StorageClass::Memory };

    /// Event loops, and topics on disk.
    pub const MIO_DISK: Self = Self { backend: Backend::Mio, storage: StorageClass::Disk };

    /// Starts a broker whose topics are there, on a free port.
    #[track_caller]
    #[must_use]
    pub fn start(self) -> BrokerProcess {
        self.start_with(&[])
    }

    /// Starts a broker whose topics are there, on a free port, with further flags.
    #[track_caller]
    #[must_use]
    pub fn start_with(self, flags: &[&str]) -> BrokerProcess {
        match self.storage {
            StorageClass::Memory => BrokerProcess::start_with(self.backend, flags),
            StorageClass::Disk => {
                let data = DataDir::new();
                BrokerProcess::start_on(self.backend, &data, flags).keep(data)
            }
        }
    }
}
