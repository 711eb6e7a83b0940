//! Those who receive the messages of one subscription: one client, or all who share it.

use super::publisher::{MqttPublisher, Publication};
use crate::message::Message;
use protocol::mqtt::topics::matches;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard};

/// A publisher, and the number of one of its messages.
type Key = (u32, u64);

/// What one subscription, with all its filters, was given.
#[derive(Debug)]
pub(crate) struct Audience {
    name: String,
    /// Without what makes a subscription a shared one.
    filters: Vec<String>,
    qos: u8,
    /// Messages come to any of several clients, and so in no order.
    is_shared: bool,
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    /// When a SUBSCRIBE was first known to be acknowledged.
    subscribed_at: Option<u64>,
    messages: HashMap<Key, Came>,
    /// What has still to come. Told once nothing more is published.
    missing: HashSet<Key>,
}

/// How a message came.
#[derive(Debug)]
struct Came {
    topic: Arc<str>,
    message: Message,
    /// How many others came before.
    turn: usize,
    times: u32,
}

impl Audience {
    pub(crate) fn new(name: &str, filters: &[String], qos: u8, is_shared: bool) -> Self {
        let (name, filters) = (name.to_owned(), filters.to_vec());
        Self { name, filters, qos, is_shared, seen: Mutex::default() }
    }

    pub(crate) fn qos(&self) -> u8 {
        self.qos
    }

    /// A SUBSCRIBE was acknowledged.
    pub(crate) fn note_subscribed(&self, at: u64) {
        self.seen().subscribed_at.get_or_insert(at);
    }

    /// Takes a message that came, and not as one that came before. Gives whether it is the first
    /// time.
    #[track_caller]
    pub(crate) fn note(&self, topic: &Arc<str>, message: Message) -> bool {
        let is_matching = self.filters.iter().any(|filter| matches(filter, topic));
        assert!(is_matching, "{}: a message of {topic}: {message:?}", self.name);
        let (publisher, number) = (message.publisher, message.number);
        let mut seen = self.seen();
        seen.missing.remove(&(publisher, number));
        if let Some(came) = seen.messages.get_mut(&(publisher, number)) {
            came.times += 1;
            return false;
        }
        let turn = seen.messages.len();
        let came = Came { topic: Arc::clone(topic), message, turn, times: 1 };
        seen.messages.insert((publisher, number), came);
        true
    }

    /// Has what the publishers got acknowledged be waited for, nothing more being published.
    pub(crate) fn expect(&self, publishers: &[MqttPublisher]) {
        let mut seen = self.seen();
        let Some(subscribed_at) = seen.subscribed_at else { return };
        for publisher in publishers {
            let is_wanted = |publication: &&Publication| {
                publication.is_acknowledged
                    && publication.sent_at > subscribed_at
                    && self.filters.iter().any(|filter| matches(filter, &publication.topic))
            };
            let wanted = publisher.publications().iter().filter(is_wanted);
            let keys = wanted.map(|wanted| (publisher.id(), wanted.message.number));
            let missing: Vec<_> = keys.filter(|key| !seen.messages.contains_key(key)).collect();
            seen.missing.extend(missing);
        }
    }

    /// Whether nothing is waited for.
    pub(crate) fn is_complete(&self) -> bool {
        self.seen().missing.is_empty()
    }

    /// Some of what is waited for.
    pub(crate) fn missing(&self) -> String {
        let seen = self.seen();
        let mut missing: Vec<_> = seen.missing.iter().copied().collect();
        missing.sort_unstable();
        let first: Vec<_> = missing.iter().take(10).collect();
        format!("{}: {} messages (publisher, number), {first:?}", self.name, missing.len())
    }

    /// Checks that each publisher's messages came in their order, topic by topic. Of those that
    /// were sent before the subscription was known to stand, it may have seen the second coming
    /// only.
    #[track_caller]
    pub(crate) fn check_order(&self, publishers: &[MqttPublisher]) {
        let seen = self.seen();
        let Some(subscribed_at) = seen.subscribed_at.filter(|_| !self.is_shared) else { return };
        for publisher in publishers {
            let mut newest: HashMap<&str, &Came> = HashMap::new();
            for published in publisher.publications() {
                let key = (publisher.id(), published.message.number);
                let came = seen.messages.get(&key);
                let came = came.filter(|_| published.sent_at > subscribed_at);
                let Some(came) = came else { continue };
                let before = newest.insert(&published.topic, came);
                assert!(
                    before.is_none_or(|before| before.turn < came.turn),
                    "{}: {came:?} came before {before:?}",
                    self.name
                );
            }
        }
    }

    /// Checks that nothing came twice that may not, and nothing that was not published.
    #[track_caller]
    pub(crate) fn check(&self, publishers: &[MqttPublisher]) {
        for ((publisher, number), came) in &self.seen().messages {
            let known = publishers.iter().find(|known| known.id() == *publisher);
            let known = known.unwrap_or_else(|| panic!("{}: whose is {came:?}", self.name));
            let published = known.publications().get(*number as usize);
            let is_true = published.is_some_and(|published| {
                published.message == came.message && published.topic == came.topic
            });
            assert!(is_true, "{}: {came:?} is not {published:?}", self.name);
            let is_once = known.qos() == 2 && self.qos == 2;
            assert!(!is_once || came.times == 1, "{}: {came:?} of {published:?}", self.name);
        }
    }

    /// Different messages that came.
    pub(crate) fn count(&self) -> u64 {
        self.seen().messages.len() as u64
    }

    #[track_caller]
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().expect("no one who receives messages fails")
    }
}
