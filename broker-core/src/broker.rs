//! The broker: its topics, its limits, and what it says of itself.

use crate::journal::{Commits, Journal, JournalFailed, Record, TopicId, TopicTerms, Waits};
use crate::level_tree::LevelTree;
use crate::log::{RunBounds, StoredTerms};
use crate::mqtt::{Mqtt, SYS_PREFIX};
use crate::tally::Tally;
use crate::topic::{Plan, RecoveredTopic, Topic};
use crate::{Limits, Now, TopicRules, Wakes};
use protocol::{
    Code, Durability, Info, NameLimits, Refusal, Retention, StorageClass, TopicOptions,
    check_topic_name,
};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, RwLock, Weak};

/// Which program the broker runs in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The I/O backend's name.
    pub backend: &'static str,
    /// The program's version.
    pub version: &'static str,
}

/// What a broker was told beside its limits.
#[derive(Clone, Debug)]
pub struct Settings {
    /// When a publication to a topic on disk is acknowledged, unless the topic says otherwise.
    pub durability: Durability,
    /// What topics are made with that their creators do not say.
    pub rules: TopicRules,
    /// Unix time at [`Now`] 0, in milliseconds.
    pub started_unix_ms: u64,
    /// Whether a publication by MQTT makes the topic that is not there.
    pub mqtt_creates_topics: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            durability: Durability::Sync,
            rules: TopicRules::default(),
            started_unix_ms: 0,
            mqtt_creates_topics: true,
        }
    }
}

/// One broker. Sessions on any number of threads share it.
#[derive(Debug)]
pub struct Broker {
    identity: Identity,
    limits: Limits,
    settings: Settings,
    /// `None`: all topics are in memory.
    journal: Option<Arc<dyn Journal>>,
    commits: Commits,
    topics: RwLock<Topics>,
    /// What the journal calls the next topic.
    next_topic: AtomicU64,
    /// The topics whose messages grow too old.
    ageing: Mutex<Vec<Weak<Topic>>>,
    /// The topics with groups, whose messages come back when they are not acknowledged.
    grouped: Mutex<Vec<Weak<Topic>>>,
    /// The topics in memory that publications made: nobody was promised how much they keep.
    unpromised: Mutex<Vec<Weak<Topic>>>,
    /// The topics with cursors that the journal does not know of.
    unsaved: Mutex<Vec<Weak<Topic>>>,
    mqtt: Mqtt,
    tally: Tally,
}

/// All topics.
#[derive(Debug, Default)]
struct Topics {
    by_name: HashMap<Arc<str>, Arc<Topic>>,
    /// Those whose names MQTT knows as such.
    by_level: LevelTree<Arc<Topic>>,
}

impl Broker {
    /// A broker without topics that keeps all in memory.
    #[must_use]
    pub fn in_memory(identity: Identity, limits: Limits, settings: Settings) -> Self {
        Self::with_journal(identity, limits, settings, None, 0)
    }

    /// A broker over `journal`, to which what was found there is restored.
    pub(crate) fn stored(
        identity: Identity,
        limits: Limits,
        settings: Settings,
        journal: Arc<dyn Journal>,
        next_topic: u64,
    ) -> Self {
        Self::with_journal(identity, limits, settings, Some(journal), next_topic)
    }

    fn with_journal(
        identity: Identity,
        limits: Limits,
        settings: Settings,
        journal: Option<Arc<dyn Journal>>,
        next_topic: u64,
    ) -> Self {
        Self {
            identity,
            limits,
            settings,
            journal,
            commits: Commits::default(),
            topics: RwLock::default(),
            next_topic: AtomicU64::new(next_topic),
            ageing: Mutex::default(),
            grouped: Mutex::default(),
            unpromised: Mutex::default(),
            unsaved: Mutex::default(),
            mqtt: Mqtt::default(),
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
        let topics = self.topics.read().expect(TOPICS_LOCK).by_name.len();
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

    /// Does what time asks for: takes away messages that are too old, takes back those that were
    /// not acknowledged in time, and tells the journal how far readers are. To be called about
    /// four times a second, from any thread.
    pub fn handle_tick(&self, now: Now, wakes: &mut Wakes) {
        for topic in living(&self.ageing) {
            topic.handle_tick(now, self, wakes);
        }
        for topic in living(&self.grouped) {
            topic.expire_leases(now, wakes);
            self.bury_dead(&topic, now, wakes);
        }
        self.handle_mqtt_tick(now, wakes);
        self.relieve_memory(wakes);
        let unsaved = std::mem::take(&mut *self.unsaved.lock().expect(LISTS_LOCK));
        for topic in unsaved.iter().filter_map(Weak::upgrade) {
            topic.save_cursors();
        }
    }

    /// The journal has reached more, or has failed: shows and acknowledges what waited for it.
    pub fn handle_progress(&self, wakes: &mut Wakes) {
        if let Some(journal) = &self.journal {
            self.commits.handle_progress(&**journal, self, wakes);
        }
    }

    /// Writes what readers are done with to the journal.
    pub fn handle_close(&self) {
        for topic in self.all_topics() {
            topic.save_cursors();
        }
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    pub(crate) fn journal(&self) -> Option<&Arc<dyn Journal>> {
        self.journal.as_ref()
    }

    pub(crate) fn commits(&self) -> &Commits {
        &self.commits
    }

    /// Has a topic's cursors written to the journal before long.
    pub(crate) fn save_later(&self, topic: &Arc<Topic>) {
        self.unsaved.lock().expect(LISTS_LOCK).push(Arc::downgrade(topic));
    }

    /// A topic has a group.
    pub(crate) fn has_groups(&self, topic: &Arc<Topic>) {
        let mut grouped = self.grouped.lock().expect(LISTS_LOCK);
        if !grouped.iter().any(|known| std::ptr::eq(known.as_ptr(), Arc::as_ptr(topic))) {
            grouped.push(Arc::downgrade(topic));
        }
    }

    pub(crate) fn mqtt(&self) -> &Mqtt {
        &self.mqtt
    }

    /// Unix time at `now`, in milliseconds.
    pub(crate) fn unix_ms(&self, now: Now) -> u64 {
        self.settings.started_unix_ms + now.millis()
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

    /// Makes a topic. Gives what an answer waits for that says so.
    pub(crate) fn create(
        &self,
        name: &str,
        options: TopicOptions,
        wakes: &mut Wakes,
    ) -> Result<Option<Waits>, Refusal> {
        check_topic_name(name, self.name_limits())?;
        let plan = Plan::new(name, options, self)?;
        let mut topics = self.topics.write().expect(TOPICS_LOCK);
        if topics.by_name.contains_key(name) {
            return Err(Refusal::new(
                Code::TopicExists,
                format!("expected a new topic, but {name:?} exists; DELETE it first, or use it"),
            ));
        }
        if topics.by_name.len() >= self.limits.topics_max {
            return Err(Refusal::new(
                Code::LimitReached,
                format!(
                    "the broker has {} topics; delete one, or raise topics_max",
                    self.limits.topics_max
                ),
            ));
        }
        let name: Arc<str> = Arc::from(name);
        let (topic, waits) = match (plan.storage, &self.journal) {
            (StorageClass::Disk, Some(journal)) => {
                let id = TopicId(self.next_topic.fetch_add(1, Ordering::Relaxed));
                let created = Record::TopicCreated { topic: id, terms: plan.terms, name: &name };
                let waits = record(&**journal, &created)?;
                let found = RecoveredTopic::new(plan.terms, self.limits.publishers_per_topic_max);
                let terms = self.stored_terms(id, plan.terms, journal);
                (Topic::in_journal(Arc::clone(&name), terms, found, self), Some(waits))
            }
            _ => (Topic::in_memory(Arc::clone(&name), plan, self), None),
        };
        let topic = self.insert(&mut topics, name, topic);
        // Before anyone can publish to it.
        if is_mqtt_topic(topic.name()) {
            self.tell_subscribers(&topic, wakes);
        }
        Ok(waits)
    }

    fn insert(&self, topics: &mut Topics, name: Arc<str>, topic: Topic) -> Arc<Topic> {
        let topic = Arc::new(topic);
        if topic.ages() {
            self.ageing.lock().expect(LISTS_LOCK).push(Arc::downgrade(&topic));
        }
        if topic.has_groups() {
            self.has_groups(&topic);
        }
        if is_mqtt_topic(&name) {
            topics.by_level.insert(&name, Arc::clone(&topic));
        }
        topics.by_name.insert(name, Arc::clone(&topic));
        topic
    }

    /// Puts a topic back that was found in the journal.
    pub(crate) fn restore(
        &self,
        id: TopicId,
        name: &str,
        found: RecoveredTopic,
        now: Now,
    ) -> Arc<Topic> {
        let journal = self.journal.as_ref().expect("what is restored comes from the journal");
        let name: Arc<str> = Arc::from(name);
        let terms = self.stored_terms(id, found.terms, journal);
        let topic = Topic::in_journal(Arc::clone(&name), terms, found, self);
        let mut topics = self.topics.write().expect(TOPICS_LOCK);
        let topic = self.insert(&mut topics, name, topic);
        topic.trim(now);
        topic
    }

    fn stored_terms(
        &self,
        topic: TopicId,
        terms: TopicTerms,
        journal: &Arc<dyn Journal>,
    ) -> StoredTerms {
        StoredTerms {
            topic,
            journal: Arc::clone(journal),
            durability: terms.durability,
            runs: RunBounds::of(&terms),
            cache_bytes_max: self.limits.topic_cache_bytes_max,
            started_unix_ms: self.settings.started_unix_ms,
        }
    }

    /// Removes a topic. Gives what an answer waits for that says so.
    pub(crate) fn delete(&self, name: &str, wakes: &mut Wakes) -> Result<Option<Waits>, Refusal> {
        let mut topics = self.topics.write().expect(TOPICS_LOCK);
        let topic = topics.by_name.get(name).ok_or_else(|| self.unknown_topic(name))?;
        let waits = topic.delete(self, wakes)?;
        topics.by_name.remove(name);
        topics.by_level.remove(name);
        Ok(waits)
    }

    /// All topics in the order of their names, so that what is done for all of them is done in
    /// the same order each time.
    pub(crate) fn all_topics(&self) -> Vec<Arc<Topic>> {
        let topics = self.topics.read().expect(TOPICS_LOCK);
        let mut topics: Vec<_> = topics.by_name.values().cloned().collect();
        topics.sort_unstable_by(|one, other| one.name().cmp(other.name()));
        topics
    }

    /// All topics, and a position of the journal at which they were there. It is behind all that
    /// any of them released before.
    pub(crate) fn topics_at_position(&self) -> Result<(u64, Vec<Arc<Topic>>), JournalFailed> {
        let topics = self.topics.read().expect(TOPICS_LOCK);
        let Some(journal) = &self.journal else { return Ok((0, Vec::new())) };
        let mut body = Vec::new();
        let kind = self.state().encode(&mut body);
        let position = journal.append(kind, &[&body], Durability::Os)?.end();
        Ok((position, topics.by_name.values().cloned().collect()))
    }

    /// What the journal has to know of the broker itself.
    pub(crate) fn state(&self) -> Record<'static> {
        Record::BrokerState { next_topic: self.next_topic.load(Ordering::Relaxed) }
    }

    pub(crate) fn topic(&self, name: &str) -> Result<Arc<Topic>, Refusal> {
        let found = self.topics.read().expect(TOPICS_LOCK).by_name.get(name).cloned();
        found.ok_or_else(|| self.unknown_topic(name))
    }

    /// The names of all topics, in their order.
    pub(crate) fn topics(&self) -> Vec<Arc<str>> {
        let topics = self.topics.read().expect(TOPICS_LOCK);
        let names = topics.by_name.keys().filter(|name| !name.starts_with(SYS_PREFIX));
        let mut names: Vec<_> = names.cloned().collect();
        names.sort_unstable();
        names
    }

    /// The topic for a publication by MQTT, made where there is none and that is allowed.
    pub(crate) fn topic_for_publication(
        &self,
        name: &str,
        wakes: &mut Wakes,
    ) -> Result<Arc<Topic>, Refusal> {
        let found = self.topic(name);
        if found.is_ok() || !self.settings.mqtt_creates_topics {
            return found;
        }
        let options = match name.starts_with(SYS_PREFIX) {
            true => sys_options(),
            false => TopicOptions::default(),
        };
        match self.create(name, options, wakes) {
            Err(refusal) if refusal.code != Code::TopicExists => return Err(refusal),
            _ => {}
        }
        let topic = self.topic(name)?;
        if topic.stored_id().is_none() {
            let mut unpromised = self.unpromised.lock().expect(LISTS_LOCK);
            if unpromised.len() == unpromised.capacity() {
                unpromised.retain(|topic| topic.strong_count() > 0);
                let living = unpromised.len();
                unpromised.reserve(living);
            }
            unpromised.push(Arc::downgrade(&topic));
        }
        Ok(topic)
    }

    /// Where the logs in memory come near their bound, topics that publications made give up the
    /// older half of what they hold, the largest first, so that there is room for new ones.
    fn relieve_memory(&self, wakes: &mut Wakes) {
        let max = self.limits.memory_bytes_max;
        if self.tally.log_bytes() <= max / MEMORY_PARTS * (MEMORY_PARTS - 1) {
            return;
        }
        let topics = living(&self.unpromised).into_iter();
        let mut topics: Vec<_> = topics.map(|topic| (topic.memory_bytes(), topic)).collect();
        topics.sort_unstable_by_key(|(bytes, _)| std::cmp::Reverse(*bytes));
        for (_, topic) in topics {
            if self.tally.log_bytes() <= max / MEMORY_PARTS * (MEMORY_PARTS - 2) {
                return;
            }
            topic.give_up_half(self, wakes);
        }
    }

    /// The topics that a filter of MQTT matches.
    pub(crate) fn matching_topics(&self, levels: &str) -> Vec<Arc<Topic>> {
        let topics = self.topics.read().expect(TOPICS_LOCK);
        let mut matching = Vec::new();
        topics.by_level.for_each_matching_path(levels, &mut |topic| {
            matching.push(Arc::clone(topic));
        });
        matching
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

/// Writes a record of the broker's own to the journal.
fn record(journal: &dyn Journal, record: &Record<'_>) -> Result<Waits, Refusal> {
    let mut body = Vec::new();
    let kind = record.encode(&mut body);
    let place = journal.append(kind, &[&body], Durability::Sync)?;
    Ok(Waits { position: place.end(), durability: Durability::Sync })
}

/// Whether MQTT clients can speak of a topic of this name.
fn is_mqtt_topic(name: &str) -> bool {
    protocol::mqtt::topics::check_topic(name).is_ok()
}

/// What the broker tells of itself is worth keeping until it tells it again.
fn sys_options() -> TopicOptions {
    let retention = Retention { messages_max: Some(1), ..Retention::default() };
    TopicOptions { storage: Some(StorageClass::Memory), retention, durability: None }
}

/// The topics of a list that still are.
fn living(list: &Mutex<Vec<Weak<Topic>>>) -> Vec<Arc<Topic>> {
    let mut list = list.lock().expect(LISTS_LOCK);
    list.retain(|topic| topic.strong_count() > 0);
    list.iter().filter_map(Weak::upgrade).collect()
}

/// Memory is relieved where it is full but for one of so many parts, down to one part less.
const MEMORY_PARTS: usize = 4;

const LISTS_LOCK: &str = "no thread panics while it holds a list of topics";
const TOPICS_LOCK: &str = "no thread panics while it holds the lock of all topics";
