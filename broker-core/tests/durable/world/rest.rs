//! The world at rest: all is stored, told, delivered and settled. And its end.

use super::World;
use crate::model::{Origin, Topic};
use crate::wire::{Ask, Tongue};
use broker_core::SessionKey;
use broker_core::journal::Journal;
use broker_core::origin;
use protocol::{
    AckMode, AckTerms, Delivery, LagPolicy, Lifetime, Push, Request, SettleAnswer, Start, Verdict,
};
use std::collections::BTreeSet;

/// Rounds in which something still moves; a world that needs more is going in circles.
const ROUNDS_MAX: usize = 2000;

/// Time that passes in a round.
const ROUND_MS: u64 = 50;

/// Requests of one connection that are taken in a round.
const ASKS_PER_ROUND: usize = 10;

/// Rounds without anything moving after which nothing will: what is held for room, or waits for
/// its next delivery, has had it by then.
const QUIET_ROUNDS: usize = 30;

/// A message, by topic, subscription and offset.
type Letter = (String, String, u64);

impl World {
    /// Has everything done that is under way.
    pub(super) fn rest(&mut self) {
        self.story.tell(|| "all come to rest".to_owned());
        if self.has_failed() {
            self.end_life();
        }
        let (mut rounds, mut quiet) = (0, 0);
        while quiet < QUIET_ROUNDS {
            let moved = self.round();
            quiet = if moved { 0 } else { quiet + 1 };
            rounds += 1;
            assert!(rounds < ROUNDS_MAX, "it never comes to rest");
        }
        for link in self.links.values() {
            let key = link.key;
            assert!(link.asked.is_empty(), "{key:?} is not heard: {:?}", link.asked);
            assert!(link.expected.is_empty(), "{key:?} is owed {:?}", link.expected);
        }
        self.check_pushed();
        self.check_memory();
        self.check_all_there(None);
    }

    /// Each connection has its turn, and the journal. Gives whether anything moved.
    fn round(&mut self) -> bool {
        let before = (self.trace_now(), self.disk.end());
        self.disk.sync_all();
        self.tell_progress();
        let mut moved = false;
        for key in self.keys() {
            let link = self.link(key);
            link.is_stalled = false;
            moved |= !link.wakes.is_empty() || !link.asked.is_empty();
            while !self.link(key).wakes.is_empty() {
                self.wake(key);
            }
            self.link(key).write(usize::MAX);
            for _ in 0..ASKS_PER_ROUND {
                self.feed(key);
                self.link(key).write(usize::MAX);
            }
            self.settle_all(key);
            self.credit_all(key);
            while self.link(key).owes_poll {
                self.poll(key);
                self.link(key).write(usize::MAX);
            }
            if self.link(key).session.is_closing() {
                self.close(key);
                moved = true;
            }
        }
        self.now_us += ROUND_MS * 1000;
        self.keys().into_iter().for_each(|key| self.fire_timer(key));
        self.tick();
        moved || before != (self.trace_now(), self.disk.end())
    }

    /// Settles what a consumer was given.
    fn settle_all(&mut self, key: SessionKey) {
        for held in std::mem::take(&mut self.link(key).held) {
            if held.is_group {
                let request = self.word_on(held, Verdict::Ack, SettleAnswer::Wanted);
                self.link(key).ask(Ask::Request(request));
            }
        }
    }

    /// Lets all pushes through.
    fn credit_all(&mut self, key: SessionKey) {
        let subscriptions = self.model.living().flat_map(|topic| &topic.subscriptions);
        let attachments = subscriptions.flat_map(|found| &found.attachments);
        let poor = attachments.filter(|found| found.session == key && found.credit_bytes < 1 << 20);
        let numbers: Vec<u32> = poor.map(|found| found.number).collect();
        for subscription in numbers {
            let credit = Request::Credit { subscription, bytes: 1 << 24 };
            let link = self.link(key);
            let asked = |ask: &Ask| matches!(ask, Ask::Request(asked) if *asked == credit);
            if !link.asked.iter().any(|(ask, _)| asked(ask)) {
                link.ask(Ask::Request(credit));
            }
        }
    }

    /// Whoever is pushed to was sent all that there is.
    fn check_pushed(&self) {
        for topic in self.model.living() {
            let cursors = topic.subscriptions.iter().filter(|found| found.group.is_none());
            for found in cursors.filter(|found| !found.attachments.is_empty()) {
                let (name, cursor) = (&found.name, found.cursor);
                assert!(cursor >= topic.visible, "{name} was sent {cursor} of {}", topic.visible);
            }
        }
    }

    /// In memory are what is kept of each topic's newest messages, and topics in memory.
    fn check_memory(&self) {
        let is_unknown = |topic: &Topic| !topic.is_stored && topic.origin == Origin::Broker;
        if self.model.living().any(is_unknown) {
            return;
        }
        let found = self.broker.info(self.now()).log_bytes;
        let most = self.model.living().map(|topic| match topic.is_stored {
            true => self.scenario.limits.topic_cache_bytes_max as u64,
            false => topic.bytes_from(0) + 64 * topic.next(),
        });
        let most: u64 = most.sum();
        assert!(found <= most, "{found} bytes are in memory, at most {most} are expected");
    }

    /// Everything is settled or a dead letter; then nothing is left.
    pub(super) fn end(&mut self) {
        self.end_life();
        self.consume_all();
        self.rest();
        assert_eq!(self.undone(), [], "each message of a group is settled or a dead letter");
        self.delete_all();
    }

    /// One consumer for all groups settles all that it is given.
    fn consume_all(&mut self) {
        let key = self.connect_as(Tongue::Native);
        for (number, (topic, subscriber, terms)) in (1..).zip(self.groups()) {
            let push = Push {
                credit_bytes: 1 << 24,
                ack_mode: AckMode::OnSend,
                lag_policy: LagPolicy::Skip,
                lifetime: Lifetime::Named,
            };
            let request = Request::Subscribe {
                topic: topic.into(),
                subscriber: subscriber.into(),
                delivery: Delivery::Push(push),
                start: Start::Earliest,
                acks: Some(terms),
            };
            self.link(key).asked.push_back((Ask::Request(request), number));
        }
        for _ in 0..ROUNDS_MAX {
            self.round();
            if self.link(key).asked.is_empty() && self.undone().is_empty() {
                return;
            }
        }
        panic!("not all that a group wants is given to it: {:?}", self.undone());
    }

    fn groups(&self) -> Vec<(String, String, AckTerms<'static>)> {
        let mut groups = Vec::new();
        for topic in self.model.living() {
            for found in &topic.subscriptions {
                let terms = found.group.as_ref().map(|group| group.terms.clone());
                groups.extend(terms.map(|terms| (topic.name.clone(), found.name.clone(), terms)));
            }
        }
        groups
    }

    /// What groups have not settled and is not a dead letter.
    fn undone(&mut self) -> Vec<Letter> {
        let topics = self.model.living().flat_map(|topic| {
            let undone = topic.undone();
            undone.map(|(found, offset)| (topic.name.clone(), found.name.clone(), offset))
        });
        let undone: Vec<Letter> = topics.collect();
        if undone.is_empty() {
            return undone;
        }
        let dead = self.dead_letters();
        let is_known = |topic: &str| {
            // Dead letters may be given up as well.
            let letters = self.model.find(&format!("{topic}.dead-letter"));
            letters.is_none_or(|index| self.model.topics[index].first == 0)
        };
        let undone = undone.into_iter().filter(|letter| !dead.contains(letter));
        undone.filter(|(topic, ..)| is_known(topic)).collect()
    }

    /// Where dead letters come from.
    fn dead_letters(&mut self) -> BTreeSet<Letter> {
        let mut all = BTreeSet::new();
        for name in self.model.names().iter().filter(|name| name.ends_with(".dead-letter")) {
            for seen in self.read_all(name).1 {
                let find = |key: &str| {
                    let found = seen.headers.iter().rev().find(|(found, _)| found == key);
                    found.map(|(_, value)| value.clone()).expect("dead letters tell their origin")
                };
                let offset = find(origin::OFFSET).parse().expect("a number");
                let letter = (find(origin::TOPIC), find(origin::SUBSCRIPTION), offset);
                self.check_letter(&letter, &seen.payload);
                all.insert(letter);
            }
        }
        all
    }

    /// A dead letter is the message that it says it is.
    fn check_letter(&self, letter: &Letter, payload: &[u8]) {
        let (topic, _, offset) = letter;
        let Some(index) = self.model.find(topic) else { return };
        let message = self.model.topics[index].messages.get(*offset as usize);
        let known = message.and_then(|message| message.payload.as_ref());
        let is_other = known.is_some_and(|known| **known != *payload);
        // A topic of this name may have been there before, or messages that a crash took.
        assert!(!is_other || self.deletions > 0, "the dead letter of {offset} of {topic}");
    }

    /// When nothing is there any more, nothing is needed.
    fn delete_all(&mut self) {
        let key = self.connect_as(Tongue::Native);
        for topic in self.model.names() {
            self.link(key).ask(Ask::Request(Request::Delete { topic: topic.into() }));
        }
        self.rest();
        assert_eq!(self.disk.live_bytes(), 0, "nothing is needed");
        assert_eq!(self.broker.info(self.now()).log_bytes, 0, "nothing is kept");
    }
}
