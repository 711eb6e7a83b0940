//! What an acknowledgement promises, as a class: brokers are ranked only within one.

use serde::{Deserialize, Serialize};
use std::fmt;

/// What is true of a message once its publication is acknowledged; the weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GuaranteeClass {
    /// Nothing: it may be lost at any time.
    AtMostOnce,
    /// It is in the broker's memory, and ends with the broker's process.
    InMemory,
    /// The operating system has it: it survives the end of the process, and a loss of power only
    /// once the system has written it.
    OperatingSystem,
    /// It is on stable storage: it survives a loss of power.
    Synced,
    /// More than one machine has it.
    Replicated,
}

impl GuaranteeClass {
    /// Every class, the weakest first.
    pub const ALL: [Self; 5] =
        [Self::AtMostOnce, Self::InMemory, Self::OperatingSystem, Self::Synced, Self::Replicated];

    /// The name in configurations and records.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::AtMostOnce => "at-most-once",
            Self::InMemory => "in-memory",
            Self::OperatingSystem => "operating-system",
            Self::Synced => "synced",
            Self::Replicated => "replicated",
        }
    }

    /// What an acknowledgement says, for people.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::AtMostOnce => "none",
            Self::InMemory => "in memory",
            Self::OperatingSystem => "with the operating system",
            Self::Synced => "after fdatasync",
            Self::Replicated => "on several machines",
        }
    }

    /// The texts that configurations had before there were classes.
    pub(super) const FORMER_TEXTS: [(&str, Self); 4] = [
        ("none", Self::AtMostOnce),
        ("in memory", Self::InMemory),
        ("synced within 1 s", Self::OperatingSystem),
        ("after fdatasync", Self::Synced),
    ];

    /// The class of that name, or of the text that stood for it before there were classes.
    #[must_use]
    pub fn of_text(text: &str) -> Option<Self> {
        let classes = Self::ALL.map(|class| (class.name(), class));
        let known = classes.into_iter().chain(Self::FORMER_TEXTS);
        known.into_iter().find(|(name, _)| *name == text).map(|(_, class)| class)
    }
}

impl fmt::Display for GuaranteeClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.label())
    }
}
