//! The model: what a broker is to answer and to deliver, without logs, locks, limits on output or
//! wakes.
//!
//! It is told of each request as the session takes it, with what the session said at once, and of
//! each delivery as it is written. What is left to the broker, such as how much of a topic
//! retention takes at a time, the model learns from what the broker says, and holds it to that.

mod answers;
mod attachments;
mod ending;
mod publications;
mod topic;

pub(crate) use ending::Endings;
pub(crate) use publications::Patience;

use crate::said::{Reply, Said, Tongue};
use broker_core::{Limits, Now, SessionKey};
use protocol::{Code, Info, NameLimits, check_topic_name};
use std::collections::{BTreeMap, VecDeque};
use topic::Topic;

/// What an open piece of a log costs beside its records, over which a topic may be over its limit.
const PIECE_OVERHEAD_BYTES: u64 = 64;

/// What the broker is expected to hold.
#[derive(Debug)]
pub(crate) struct Model {
    limits: Limits,
    memory_is_tight: bool,
    topics: BTreeMap<String, Topic>,
    peers: BTreeMap<SessionKey, Peer>,
    attachments_made: u64,
    messages_in: u64,
    messages_out: u64,
}

/// An open connection.
#[derive(Debug)]
struct Peer {
    /// Whether there was room for it.
    is_admitted: bool,
    /// Its push subscriptions, by number. Some may have ended without it knowing yet.
    pushes: BTreeMap<u32, Pushing>,
}

/// What a session knows of a push subscription.
#[derive(Clone, Debug)]
struct Pushing {
    /// Tells the attachment from all others.
    serial: u64,
    topic: String,
    subscriber: String,
    credit_bytes: i64,
}

/// Who is answered, when, and what there is of answers and of ended attachments.
#[derive(Debug)]
pub(crate) struct Moment<'a> {
    pub(crate) key: SessionKey,
    pub(crate) tongue: Tongue,
    pub(crate) now: Now,
    pub(crate) said: &'a mut VecDeque<Said>,
    pub(crate) endings: &'a mut Endings,
}

impl Moment<'_> {
    /// The next answer, which is to the request of this correlation id.
    fn reply(&mut self, expected: u32) -> Reply {
        match self.said.pop_front() {
            Some(Said::Reply { correlation, reply }) if correlation == expected => reply,
            other => panic!("expected an answer to {expected}, found {other:?}"),
        }
    }

    fn is_refused(&self, refused: u32) -> bool {
        matches!(self.said.front(), Some(Said::Reply { correlation, .. }) if *correlation == refused)
    }

    fn expect(&mut self, correlation: u32, expected: &Reply) {
        assert_eq!(self.reply(correlation), *expected, "the answer to {correlation}");
    }
}

impl Model {
    pub(crate) fn new(limits: Limits, memory_is_tight: bool) -> Self {
        Self {
            limits,
            memory_is_tight,
            topics: BTreeMap::new(),
            peers: BTreeMap::new(),
            attachments_made: 0,
            messages_in: 0,
            messages_out: 0,
        }
    }

    pub(crate) fn handle_connection(&mut self, key: SessionKey) {
        let is_admitted = self.connections() < self.limits.connections_max;
        self.peers.insert(key, Peer { is_admitted, pushes: BTreeMap::new() });
    }

    pub(crate) fn is_admitted(&self, key: SessionKey) -> bool {
        self.peers[&key].is_admitted
    }

    fn connections(&self) -> usize {
        self.peers.values().filter(|peer| peer.is_admitted).count()
    }

    /// The names of all topics.
    pub(crate) fn topics(&self) -> impl Iterator<Item = &String> {
        self.topics.keys()
    }

    fn name_limits(&self) -> NameLimits {
        NameLimits {
            topic_bytes_max: self.limits.topic_name_bytes_max,
            subscriber_bytes_max: self.limits.subscriber_id_bytes_max,
        }
    }

    fn topic(&mut self, name: &str) -> Result<&mut Topic, Code> {
        let limits = self.name_limits();
        self.topics.get_mut(name).ok_or_else(|| match check_topic_name(name, limits) {
            Err(refusal) => refusal.code,
            Ok(()) => Code::UnknownTopic,
        })
    }

    /// What messages are too old may be gone.
    pub(crate) fn handle_tick(&mut self) {
        self.topics.values_mut().for_each(Topic::handle_age);
    }

    /// Holds what the broker says of itself against what it is.
    pub(crate) fn check_info(&self, info: &Info, now: Now) {
        let subscriptions: usize = self.topics.values().map(|topic| topic.subscribers.len()).sum();
        let expected = Info {
            uptime_ms: now.millis(),
            connections: self.connections() as u64,
            topics: self.topics.len() as u64,
            subscriptions: subscriptions as u64,
            messages_in: self.messages_in,
            messages_out: self.messages_out,
            ..info.clone()
        };
        assert_eq!(*info, expected);
        let least: u64 = self.topics.values().map(Topic::log_bytes_min).sum();
        let most: u64 = self.topics.values().map(Topic::log_bytes_max).sum();
        let found = info.log_bytes;
        assert!(
            (least..=most).contains(&found),
            "logs hold {least} to {most} bytes, not {found}: {:#?}",
            self.topics
        );
        let overhead = PIECE_OVERHEAD_BYTES * (self.topics.len() as u64 + 1);
        let memory_bytes_max = self.limits.memory_bytes_max as u64 + overhead;
        assert!(found <= memory_bytes_max, "all logs hold {found} bytes of {memory_bytes_max}");
    }
}
