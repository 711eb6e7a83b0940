//! The broker: its topics, its limits, and what it says of itself.

use crate::tally::Tally;
use crate::topic::Topic;
use crate::{Limits, Now, Wakes};
use protocol::{Code, Info, NameLimits, Refusal, Retention, check_topic_name};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, RwLock, Weak};

/// Which program the broker runs in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The I/O backend's name.
    pub backend: &'static str,
    /// The program's version.
    pub version: &'static str,
}

/// One broker. Sessions on any number of threads share it.
#[derive(Debug)]
pub struct Broker {
    identity: Identity,
    limits: Limits,
    topics: RwLock<HashMap<Arc<str>, Arc<Topic>>>,
    /// The topics whose messages grow too old.
    ageing: Mutex<Vec<Weak<Topic>>>,
    tally: Tally,
}

impl Broker {
    /// A broker without topics.
    #[must_use]
    pub fn new(identity: Identity, limits: Limits) -> Self {
        Self {
            identity,
            limits,
            topics: RwLock::default(),
            ageing: Mutex::default(),
            tally: Tally::default(),
        }
    }

    /// The limits it keeps.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// What the broker says of itself at `now`.
    #[must_use]
    pub fn info(&self, now: Now) -> Info {
        let topics = self.topics.read().expect(TOPICS_LOCK).len();
        Info {
            version: self.identity.version.to_owned(),
            backend: self.identity.backend.to_owned(),
            uptime_ms: now.millis(),
            connections: self.tally.connections() as u64,
            topics: topics as u64,
            subscriptions: self.tally.subscriptions(),
            messages_in: self.tally.messages_in(),
            messages_out: self.tally.messages_out(),
            log_bytes: self.tally.log_bytes() as u64,
        }
    }

    /// Does what time asks for: takes away messages that are too old. To be called about once a
    /// second, from any thread.
    pub fn handle_tick(&self, now: Now, wakes: &mut Wakes) {
        let mut ageing = self.ageing.lock().expect("no thread panics while it holds the list");
        ageing.retain(|topic| topic.strong_count() > 0);
        for topic in ageing.iter().filter_map(Weak::upgrade) {
            topic.handle_tick(now, self, wakes);
        }
    }

    pub(crate) fn tally(&self) -> &Tally {
        &self.tally
    }

    pub(crate) fn name_limits(&self) -> NameLimits {
        NameLimits {
            topic_bytes_max: self.limits.topic_name_bytes_max,
            subscriber_bytes_max: self.limits.subscriber_id_bytes_max,
        }
    }

    pub(crate) fn create(&self, name: &str, retention: Retention) -> Result<(), Refusal> {
        check_topic_name(name, self.name_limits())?;
        let mut topics = self.topics.write().expect(TOPICS_LOCK);
        let full = topics.len() >= self.limits.topics_max;
        match topics.entry(Arc::from(name)) {
            Entry::Occupied(_) => {
                return Err(Refusal::new(
                    Code::TopicExists,
                    format!(
                        "expected a new topic, but {name:?} exists; DELETE it first, or use it"
                    ),
                ));
            }
            Entry::Vacant(_) if full => {
                return Err(Refusal::new(
                    Code::LimitReached,
                    format!(
                        "the broker has {} topics; delete one, or raise topics_max",
                        self.limits.topics_max
                    ),
                ));
            }
            Entry::Vacant(vacant) => {
                let topic = Arc::new(Topic::new(Arc::clone(vacant.key()), retention, self));
                if topic.ages() {
                    let mut ageing = self.ageing.lock().expect("no thread panics holding it");
                    ageing.push(Arc::downgrade(&topic));
                }
                vacant.insert(topic);
            }
        }
        Ok(())
    }

    pub(crate) fn delete(&self, name: &str, wakes: &mut Wakes) -> Result<(), Refusal> {
        let removed = self.topics.write().expect(TOPICS_LOCK).remove(name);
        removed.ok_or_else(|| self.unknown_topic(name))?.delete(self, wakes);
        Ok(())
    }

    pub(crate) fn topic(&self, name: &str) -> Result<Arc<Topic>, Refusal> {
        let found = self.topics.read().expect(TOPICS_LOCK).get(name).cloned();
        found.ok_or_else(|| self.unknown_topic(name))
    }

    /// The names of all topics, in their order.
    pub(crate) fn topics(&self) -> Vec<Arc<str>> {
        let mut names: Vec<_> = self.topics.read().expect(TOPICS_LOCK).keys().cloned().collect();
        names.sort_unstable();
        names
    }

    /// Why there is no topic of this name: none can be, or none was made.
    pub(crate) fn unknown_topic(&self, name: &str) -> Refusal {
        if let Err(refusal) = check_topic_name(name, self.name_limits()) {
            return refusal;
        }
        Refusal::new(
            Code::UnknownTopic,
            format!("expected a topic that exists, found none named {name:?}; CREATE it first"),
        )
    }

    /// Bytes that logs may still grow by.
    pub(crate) fn memory_free(&self) -> usize {
        self.limits.memory_bytes_max.saturating_sub(self.tally.log_bytes())
    }

    pub(crate) fn memory_full(&self) -> Refusal {
        Refusal::new(
            Code::LimitReached,
            format!(
                "the logs of all topics hold {} bytes; delete a topic, or raise memory_bytes_max",
                self.limits.memory_bytes_max
            ),
        )
    }
}

const TOPICS_LOCK: &str = "no thread panics while it holds the lock of all topics";
