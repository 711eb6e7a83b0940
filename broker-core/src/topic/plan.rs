//! What a topic is made with, when its creator, the rules and the defaults were all asked.

use super::state::Bounds;
use crate::Broker;
use crate::journal::TopicTerms;
use protocol::{Code, Refusal, Retention, StorageClass, TopicOptions};

/// A topic to be made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) terms: TopicTerms,
    pub(crate) storage: StorageClass,
}

impl Plan {
    /// What `asked` means for a topic of this name.
    ///
    /// # Errors
    /// [`Code::StorageUnavailable`] where the broker has no journal, or memory is to be durable.
    pub(crate) fn new(name: &str, asked: TopicOptions, broker: &Broker) -> Result<Self, Refusal> {
        let options = broker.settings().rules.options_for(name, asked);
        let has_journal = broker.journal().is_some();
        let default = if has_journal { StorageClass::Disk } else { StorageClass::Memory };
        let storage = options.storage.unwrap_or(default);
        if storage == StorageClass::Disk && !has_journal {
            return Err(Refusal::new(
                Code::StorageUnavailable,
                "expected storage \"memory\", since the broker keeps all in memory; start it with --data to have topics on disk",
            ));
        }
        if storage == StorageClass::Memory && asked.durability.is_some() {
            return Err(Refusal::new(
                Code::StorageUnavailable,
                "expected no durability for a topic in memory; create it with storage \"disk\", or without durability",
            ));
        }
        let Retention { bytes_max, messages_max, age_ms_max } = options.retention;
        let limits = broker.limits();
        let bytes_default = match storage {
            StorageClass::Memory => limits.topic_bytes_max as u64,
            StorageClass::Disk => limits.disk_topic_bytes_max,
        };
        let or_none = |asked: Option<u64>, default: u64| {
            asked.or(Some(default).filter(|limit| *limit > 0)).unwrap_or(u64::MAX)
        };
        Ok(Self {
            terms: TopicTerms {
                durability: options.durability.unwrap_or(broker.settings().durability),
                bytes_max: or_none(bytes_max, bytes_default),
                messages_max: or_none(messages_max, limits.topic_messages_max),
                age_ms_max: or_none(age_ms_max, limits.topic_age_ms_max),
            },
            storage,
        })
    }
}

impl Bounds {
    pub(super) fn new(terms: TopicTerms) -> Self {
        Self {
            bytes_max: usize::try_from(terms.bytes_max).unwrap_or(usize::MAX),
            messages_max: terms.messages_max,
            age_ms_max: Some(terms.age_ms_max).filter(|ms| *ms < u64::MAX),
        }
    }

    /// The same in the journal's terms.
    pub(super) fn terms(self, durability: protocol::Durability) -> TopicTerms {
        TopicTerms {
            durability,
            bytes_max: if self.bytes_max == usize::MAX { u64::MAX } else { self.bytes_max as u64 },
            messages_max: self.messages_max,
            age_ms_max: self.age_ms_max.unwrap_or(u64::MAX),
        }
    }
}
