//! One who looks at the broker and changes nothing in it.

use super::World;
use crate::link::Link;
use crate::model::{Origin, Span, Topic};
use crate::wire::{Payload, Reply, Said, Tongue};
use broker_core::journal::Journal;
use broker_core::{Broker, Now, SessionKey};
use protocol::{AckMode, Delivery, LagPolicy, Lifetime, Push, Request, Start};
use std::sync::Arc;

/// The auditor's subscription, which ends with its look.
const AUDIT: &str = "audit";
const NUMBER: u32 = 1;

/// Other requests of the auditor.
pub(super) const QUESTION: u32 = 2;

/// Credit for all that there is.
const CREDIT_BYTES: u32 = 1 << 31;

const DEAD_LETTER: &str = ".dead-letter";

/// A connection for looking.
pub(super) fn auditor(broker: &Arc<Broker>) -> Link {
    let mut link = Link::new(broker, SessionKey(u64::MAX - 1), Tongue::Native, Now::default());
    link.write(usize::MAX);
    link
}

/// A message as it was read.
pub(super) struct Seen {
    pub(super) payload: Payload,
    pub(super) headers: Vec<(String, String)>,
}

impl World {
    /// Asks for what changes nothing and is answered at once.
    pub(super) fn look(&mut self, request: &Request<'_>, number: u32) -> Reply {
        let mut bytes = Vec::new();
        protocol::native::encode_request(request, number, &mut bytes);
        let now = self.now();
        let (taken, mut called) = self.auditor.feed_bytes(&bytes, now);
        assert_eq!(taken, bytes.len(), "{request:?} is taken");
        self.auditor.write(usize::MAX);
        match called.said.pop() {
            Some(Said::Reply { reply, .. }) => reply,
            other => panic!("{request:?} is answered at once, not by {other:?}"),
        }
    }

    fn begin_look(&mut self, topic: &str, start: Start, credit_bytes: u32) -> Option<u64> {
        let push = Push {
            credit_bytes,
            ack_mode: AckMode::OnSend,
            lag_policy: LagPolicy::Skip,
            lifetime: Lifetime::Connection,
        };
        let subscribe = Request::Subscribe {
            topic: topic.into(),
            subscriber: AUDIT.into(),
            delivery: Delivery::Push(push),
            start,
            acks: None,
        };
        match self.look(&subscribe, NUMBER) {
            Reply::Subscribed { next_offset } => Some(next_offset),
            _ => None,
        }
    }

    fn end_look(&mut self) {
        let reply = self.look(&Request::Detach { subscription: NUMBER }, QUESTION);
        assert_eq!(reply, Reply::Done);
    }

    /// Where a subscription would begin.
    pub(super) fn probe(&mut self, topic: &str, start: Start) -> Option<u64> {
        let offset = self.begin_look(topic, start, 0)?;
        self.end_look();
        Some(offset)
    }

    /// The oldest message that a topic holds, and the next.
    pub(super) fn probe_held(&mut self, topic: &str) -> Option<(u64, u64)> {
        Some((self.probe(topic, Start::Earliest)?, self.probe(topic, Start::Latest)?))
    }

    /// All that may be read of a topic, and the offset of the first of it.
    pub(super) fn read_all(&mut self, topic: &str) -> (u64, Vec<Seen>) {
        let first = self.begin_look(topic, Start::Earliest, CREDIT_BYTES);
        let first = first.expect("a topic that is there");
        let mut all = Vec::new();
        self.auditor.owes_poll = true;
        while self.auditor.owes_poll {
            let now = self.now();
            let called = self.auditor.poll(now);
            self.auditor.write(usize::MAX);
            for said in called.said {
                let Said::Deliver { given, .. } = said else { panic!("{said:?} of {topic}") };
                assert_eq!(given.base_offset, Some(first + all.len() as u64), "in order");
                let seen = given.payloads.into_iter().zip(given.headers);
                all.extend(seen.map(|(payload, headers)| Seen { payload, headers }));
            }
        }
        self.end_look();
        (first, all)
    }

    /// What is held of a topic is what the model says.
    pub(super) fn observe(&mut self, topic: &str, may_drop: bool) {
        let unix_ms = self.unix_ms();
        let Some(index) = self.model.find(topic) else { return };
        let (first, next) = self.probe_held(topic).expect("a topic that is there");
        self.model.topics[index].observe(first, next, unix_ms, may_drop);
    }

    pub(super) fn observe_all(&mut self, may_drop: bool) {
        self.model.names().iter().for_each(|name| self.observe(name, may_drop));
    }

    /// The names of all topics.
    pub(super) fn names(&mut self) -> Vec<String> {
        match self.look(&Request::ListTopics, QUESTION) {
            Reply::Names(names) => names,
            other => panic!("expected names, found {other:?}"),
        }
    }

    /// The broker published dead letters in a tick, and perhaps made topics for them.
    pub(super) fn find_dead_letters(&mut self, span: Span) {
        let (reached, unix_ms) = (self.disk.reached(), self.unix_ms());
        for name in self.names() {
            let Some(origin) = name.strip_suffix(DEAD_LETTER) else { continue };
            let (_, next) = self.probe_held(&name).expect("a topic that is there");
            let index = self.model.find(&name).unwrap_or_else(|| {
                let mut topic = Topic::new(&name, span, true, Origin::Broker);
                let origin = self.model.find(origin).map(|index| &self.model.topics[index]);
                let origin = origin.expect("a dead letter comes from a topic that is there");
                (topic.is_stored, topic.durability) = (origin.is_stored, origin.durability);
                self.model.topics.push(topic);
                self.model.topics.len() - 1
            });
            let topic = &mut self.model.topics[index];
            let new = next.checked_sub(topic.next()).expect("dead letters stay");
            topic.append_unread(new, span, unix_ms);
            topic.show(reached);
            if new > 0 {
                self.letters.push((span.after, span.by));
            }
        }
    }
}
