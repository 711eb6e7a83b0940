//! What a topic is made with: where its messages are kept, and how many.

/// The choices of a topic; what is `None` is the broker's default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TopicOptions {
    /// How much it keeps.
    pub retention: Retention,
    /// Where its messages are kept.
    pub storage: Option<StorageClass>,
    /// When a publication to it is acknowledged, unless the publication asks for less. Of a
    /// topic on disk only.
    pub durability: Option<Durability>,
}

impl From<Retention> for TopicOptions {
    fn from(retention: Retention) -> Self {
        Self { retention, ..Self::default() }
    }
}

/// How much a topic keeps; what is `None` is the broker's default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// Bytes held in its log.
    pub bytes_max: Option<u64>,
    /// Messages held in its log.
    pub messages_max: Option<u64>,
    /// Age of the oldest message held.
    pub age_ms_max: Option<u64>,
}

/// Where a topic's messages are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StorageClass {
    /// In memory: gone with the broker's process.
    Memory,
    /// In the broker's journal.
    Disk,
}

impl StorageClass {
    /// Its name in JSON lines, in flags and in config files.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Disk => "disk",
        }
    }
}

/// What holds of a message on disk when its publication is acknowledged, weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Durability {
    /// The operating system has it, after `write(2)`: it survives the broker's process, and not
    /// the machine.
    Os,
    /// It is on stable storage, after `fdatasync(2)`: it survives the machine's loss of power.
    Sync,
}

impl Durability {
    /// Its name in JSON lines, in flags and in config files.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Os => "os",
            Self::Sync => "sync",
        }
    }
}
