//! Rules for topics, as the config file says them.

use broker_core::TopicRule;
use protocol::{Retention, TopicOptions};
use serde::Deserialize;
use thiserror::Error;

use crate::byte_size::ByteSize;
use crate::storage_choices::{DurabilityChoice, StorageClassChoice};

/// One table `[[topics]]`.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub(crate) struct TopicRuleChoices {
    pattern: String,
    storage: Option<StorageClassChoice>,
    durability: Option<DurabilityChoice>,
    #[serde(default)]
    retention: RetentionChoices,
}

/// How much a topic keeps, as CREATE has it.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(default, deny_unknown_fields)]
struct RetentionChoices {
    bytes: Option<ByteSize>,
    messages: Option<u64>,
    age_ms: Option<u64>,
}

/// A rule that cannot be followed.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("expected {expected}, but found {found}; {advice}")]
pub(crate) struct TopicRuleError {
    /// The key at fault, within the table.
    pub(crate) key: &'static str,
    expected: &'static str,
    found: &'static str,
    advice: &'static str,
}

impl TopicRuleChoices {
    /// Whether the rule asks for storage on disk in so many words.
    pub(crate) fn is_on_disk(&self) -> bool {
        self.storage == Some(StorageClassChoice::Disk)
    }

    /// The rule that these choices mean.
    ///
    /// # Errors
    /// The first choice that cannot be followed, or not beside another.
    pub(crate) fn rule(&self) -> Result<TopicRule, TopicRuleError> {
        if self.pattern.is_empty() {
            return Err(TopicRuleError {
                key: "pattern",
                expected: "a pattern of names",
                found: "an empty one, which no name matches",
                advice: "write metrics/*, for example, or * for all topics",
            });
        }
        if self.storage == Some(StorageClassChoice::Memory) && self.durability.is_some() {
            return Err(TopicRuleError {
                key: "durability",
                expected: "no durability for topics in memory",
                found: "one",
                advice: "remove the line, or keep the topics on disk",
            });
        }
        let retention = self.retention.retention()?;
        let storage = self.storage.map(Into::into);
        let durability = self.durability.map(Into::into);
        Ok(TopicRule::new(&self.pattern, TopicOptions { retention, storage, durability }))
    }
}

impl RetentionChoices {
    fn retention(self) -> Result<Retention, TopicRuleError> {
        let bytes_max = self.bytes.map(u64::from);
        let limits = [
            ("retention.bytes", bytes_max),
            ("retention.messages", self.messages),
            ("retention.age_ms", self.age_ms),
        ];
        match limits.iter().find(|(_, limit)| *limit == Some(0)) {
            None => {
                Ok(Retention { bytes_max, messages_max: self.messages, age_ms_max: self.age_ms })
            }
            Some((key, _)) => Err(TopicRuleError {
                key,
                expected: "at least 1",
                found: "0",
                advice: "leave it out to have the broker's default",
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use protocol::{Durability, StorageClass};

    use super::*;

    fn choices(text: &str) -> TopicRuleChoices {
        toml::from_str(text).expect("a table of a rule")
    }

    #[test]
    fn a_rule_says_what_its_table_says_and_no_more() {
        let options = TopicOptions {
            retention: Retention {
                bytes_max: Some(1 << 20),
                messages_max: Some(7),
                age_ms_max: Some(9),
            },
            storage: Some(StorageClass::Disk),
            durability: Some(Durability::Os),
        };
        let text = "pattern = 'a*'\nstorage = 'disk'\ndurability = 'os'\n\
                    retention = { bytes = '1MiB', messages = 7, age_ms = 9 }";
        assert_eq!(choices(text).rule(), Ok(TopicRule::new("a*", options)));
        assert!(choices(text).is_on_disk());
        let nothing = TopicRule::new("a*", TopicOptions::default());
        assert_eq!(choices("pattern = 'a*'").rule(), Ok(nothing));
    }

    #[track_caller]
    fn check_refused(text: &str, key: &str, part: &str) {
        let error = choices(text).rule().expect_err(text);
        assert_eq!(error.key, key, "{error}");
        assert!(error.to_string().contains(part), "{error}");
    }

    #[test]
    fn a_rule_that_cannot_be_followed_is_named_by_its_key() {
        check_refused("pattern = ''", "pattern", "write metrics/*");
        let text = "pattern = '*'\nstorage = 'memory'\ndurability = 'sync'";
        check_refused(text, "durability", "no durability for topics in memory");
        for key in ["bytes", "messages", "age_ms"] {
            let text = format!("pattern = '*'\nretention.{key} = 0");
            check_refused(&text, &format!("retention.{key}"), "at least 1, but found 0");
        }
    }
}
