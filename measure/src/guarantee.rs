//! What an acknowledgement promises, as a class: brokers are ranked only within one.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What is true of a message once its publication is acknowledged; the weakest first.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
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

    /// Whether what is acknowledged is promised to survive the end of the broker's process, however
    /// it ends.
    #[must_use]
    pub fn outlives_process(self) -> bool {
        self >= Self::OperatingSystem
    }

    /// What an acknowledgement says, for people.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::AtMostOnce => "at most once",
            Self::InMemory => "acknowledged in memory",
            Self::OperatingSystem => "acknowledged to the OS",
            Self::Synced => "acknowledged after sync",
            Self::Replicated => "acknowledged by replicas",
        }
    }
}

impl fmt::Display for GuaranteeClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.label())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_ordered_and_named_as_in_json() {
        assert!(GuaranteeClass::ALL.is_sorted());
        for class in GuaranteeClass::ALL {
            assert_eq!(serde_json::to_value(class).unwrap(), class.name());
        }
    }
}
