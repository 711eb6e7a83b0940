//! What may be said of storage, and what it means for where messages are kept.

use std::path::PathBuf;

use clap::ValueEnum;
use protocol::{Durability, StorageClass};
use serde::Deserialize;

use crate::choices::{Choices, help_with_default};

/// Where messages are kept that nothing was said of.
const DATA_DEFAULT: &str = "tandem-data";

/// Where messages are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Storage {
    /// All in memory: they end with the broker.
    Memory,
    /// In a directory, but for those of topics in memory.
    Disk(DiskSettings),
}

impl Default for Storage {
    /// What holds where nothing was said.
    fn default() -> Self {
        Self::from_choices(&Choices::default())
    }
}

/// How messages are kept on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiskSettings {
    /// The data directory, made if it is not there.
    pub dir: PathBuf,
    /// When a publication is acknowledged, on topics that nobody chose otherwise for.
    pub durability: Durability,
    /// What becomes of a damaged journal.
    pub recover: Recover,
}

impl Storage {
    /// What `said` means. Memory and a directory at once is for the caller to refuse.
    pub(crate) fn from_choices(said: &Choices) -> Self {
        if said.memory == Some(true) {
            return Self::Memory;
        }
        Self::Disk(DiskSettings {
            dir: said.data.clone().unwrap_or_else(|| DATA_DEFAULT.into()),
            durability: said.durability.unwrap_or_default().into(),
            recover: said.recover.unwrap_or_default(),
        })
    }
}

/// Where the messages of some topics are kept.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum StorageClassChoice {
    /// In memory: they end with the broker.
    Memory,
    /// In the data directory.
    Disk,
}

impl From<StorageClassChoice> for StorageClass {
    fn from(choice: StorageClassChoice) -> Self {
        match choice {
            StorageClassChoice::Memory => Self::Memory,
            StorageClassChoice::Disk => Self::Disk,
        }
    }
}

/// When a publication to a topic on disk is acknowledged; the texts are for `--help`.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum DurabilityChoice {
    /// When it is on stable storage, after an fdatasync that all share who wait for one: it
    /// survives a loss of power
    #[default]
    Sync,
    /// When the operating system has it, after a write: it survives the end of the broker's
    /// process, and a loss of power once journal_sync_ms_max has passed
    Os,
}

impl From<DurabilityChoice> for Durability {
    fn from(choice: DurabilityChoice) -> Self {
        match choice {
            DurabilityChoice::Sync => Self::Sync,
            DurabilityChoice::Os => Self::Os,
        }
    }
}

/// What becomes of a damaged journal; the texts are for `--help`, too.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Recover {
    /// Do not start: exit with code 2, and name the segment, the offset in it and the topics
    /// concerned
    #[default]
    Refuse,
    /// Start without what is damaged: copy each damaged segment into DIR/quarantine first, and
    /// name in the log what was lost
    Quarantine,
}

pub(crate) fn data_help() -> String {
    help_with_default("Keep messages in this directory, made if it is not there", DATA_DEFAULT)
}

pub(crate) fn durability_help() -> String {
    let help = "When a publication to a topic on disk is acknowledged, unless the topic's creator, \
                a rule for the topic or the publication itself says otherwise";
    help_with_default(help, "sync")
}

pub(crate) fn recover_help() -> String {
    let help = "What becomes of a damaged journal. The incomplete end that a crash leaves is no \
                damage: it was never acknowledged, and is cut off";
    help_with_default(help, "refuse")
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTHING: &str = "";

    #[track_caller]
    fn check(typed: &str, file: &str, dir: &str, durability: Durability, recover: Recover) {
        let choices = |text| toml::from_str::<Choices>(text).expect("choices");
        let storage = Storage::from_choices(&choices(typed).over(choices(file)));
        let expected = DiskSettings { dir: dir.into(), durability, recover };
        assert_eq!(storage, Storage::Disk(expected));
    }

    #[test]
    fn nothing_said_of_a_disk_is_a_directory_here_that_loses_nothing() {
        check(NOTHING, NOTHING, "tandem-data", Durability::Sync, Recover::Refuse);
        check("memory = false", NOTHING, "tandem-data", Durability::Sync, Recover::Refuse);
    }

    #[test]
    fn a_directory_a_promise_and_what_becomes_of_damage_are_chosen_one_by_one() {
        let file = "data = 'd'\ndurability = 'os'\nrecover = 'quarantine'";
        check(NOTHING, file, "d", Durability::Os, Recover::Quarantine);
        check("data = 'e'\nrecover = 'refuse'", file, "e", Durability::Os, Recover::Refuse);
        check("durability = 'sync'", file, "d", Durability::Sync, Recover::Quarantine);
    }

    #[test]
    fn memory_typed_hides_a_directory_in_the_file() {
        let choices = |text| toml::from_str::<Choices>(text).expect("choices");
        let said = choices("memory = true").over(choices("data = 'd'\ndurability = 'os'"));
        assert_eq!(Storage::from_choices(&said), Storage::Memory);
    }
}
