//! The world at rest: all bytes moved, all wakes delivered, credit for everything, nothing left to
//! wait for. And its end, where nothing may be left at all.

use super::World;
use crate::ask::Ask;
use crate::client::{Role, Zeal};
use crate::invariants;
use crate::said::Tongue;
use broker_core::SessionKey;
use protocol::{Delivery, Request, Start};

/// Rounds in which something still moves; a world that needs more is going in circles.
const ROUNDS_MAX: usize = 2000;

const AUDITOR: &str = "audit";

impl World {
    /// Has everything done that is under way. Then nobody waits for anything.
    pub(super) fn rest(&mut self) {
        self.story.tell(|| "all come to rest".to_owned());
        self.zeal = Zeal::Eager;
        for link in self.links.values_mut() {
            link.is_stalled = false;
            let asks = link.client.release_all();
            asks.into_iter().for_each(|(ask, correlation)| link.send(ask, correlation));
        }
        let mut rounds = 0;
        while self.take_round() || self.wait_for_room() {
            rounds += 1;
            assert!(rounds < ROUNDS_MAX, "it never comes to rest");
            invariants::check(&self.broker, &self.model, self.links.values(), self.now());
        }
        invariants::check_rest(self.links.values());
        self.model.check_all_delivered();
        self.zeal = Zeal::Moody;
    }

    /// Gives each connection a turn, and says whether anything moved.
    fn take_round(&mut self) -> bool {
        let mut keys: Vec<SessionKey> = self.links.keys().copied().collect();
        self.rng.shuffle(&mut keys);
        let before = self.trace.hash();
        let turns: Vec<bool> = keys.into_iter().map(|key| self.take_turn(key)).collect();
        turns.contains(&true) || self.trace.hash() != before
    }

    fn take_turn(&mut self, key: SessionKey) -> bool {
        let now = self.now();
        let has_wakes = !self.link(key).wakes.is_empty();
        while !self.link(key).wakes.is_empty() {
            self.wake(key);
        }
        let link = self.link(key);
        let (outbound_bytes, taken_bytes) = (link.outbound_bytes(), link.taken_bytes);
        if link.wants_input() && link.has_kept_input() {
            let called = link.offer(now);
            self.handle_taken(key, called);
        }
        let link = self.link(key);
        if link.wants_input() && outbound_bytes > 0 {
            self.receive(key, usize::MAX, 1 << 16);
        }
        if self.link(key).owes_poll {
            self.poll(key);
        }
        let has_output = !self.link(key).output.is_empty();
        self.write_at_most(key, usize::MAX);
        let link = self.link(key);
        let moved = (link.outbound_bytes(), link.taken_bytes) != (outbound_bytes, taken_bytes);
        if link.session.is_closing() && link.output.is_empty() {
            self.close(key);
            return true;
        }
        has_wakes || has_output || moved
    }

    /// Lets time pass until the next publication has waited long enough.
    fn wait_for_room(&mut self) -> bool {
        let held = self.links.values().filter(|link| link.is_held());
        let Some(due) = held.filter_map(|link| link.session.poll_timeout()).min() else {
            return false;
        };
        let wait_us = self.now().until(due).as_micros();
        self.now_us += u64::try_from(wait_us).expect("a hold is short");
        self.fire_timers();
        true
    }

    /// Ends the world, and gives the hash of its trace.
    pub(crate) fn end(mut self) -> u64 {
        let keys: Vec<SessionKey> = self.links.keys().copied().collect();
        for key in &keys {
            self.last_call(*key);
        }
        for key in keys {
            self.shut_down(key);
            self.close(key);
        }
        self.audit();
        let info = self.broker.info(self.now());
        assert_eq!((info.log_bytes, info.topics, info.subscriptions), (0, 0, 0), "all is gone");
        self.trace.hash()
    }

    /// Delivers all that there is credit for, whichever wakes are on their way.
    fn last_call(&mut self, key: SessionKey) {
        if self.link(key).session.is_closing() {
            return;
        }
        let link = self.link(key);
        link.session.handle_last_call();
        link.owes_poll = true;
        while self.link(key).owes_poll {
            self.poll(key);
            self.write_at_most(key, usize::MAX);
        }
        assert_eq!(
            self.model.undelivered(key).next(),
            None,
            "{key:?} was called for the last time"
        );
    }

    /// One last connection reads all that topics hold, and deletes them.
    fn audit(&mut self) {
        let auditor = self.admit(Tongue::Native, Role::Reader);
        let mut correlation = 0;
        let topics: Vec<String> = self.model.topics().cloned().collect();
        self.link(auditor).send(Ask::Greet, 0);
        let mut ask = |world: &mut Self, request: Request<'static>| {
            correlation += 1;
            world.link(auditor).send(Ask::Request(request), correlation);
            world.rest();
        };
        for topic in topics {
            let subscriber = AUDITOR;
            let delivery = Delivery::Pull;
            ask(
                self,
                Request::Subscribe {
                    topic: topic.clone().into(),
                    subscriber: subscriber.into(),
                    delivery,
                    start: Start::Earliest,
                    acks: None,
                },
            );
            while self.model.has_unread(&topic, subscriber) {
                ask(
                    self,
                    Request::Pull {
                        topic: topic.clone().into(),
                        subscriber: subscriber.into(),
                        count_max: None,
                    },
                );
            }
            ask(self, Request::Delete { topic: topic.into() });
        }
        ask(self, Request::Info);
        self.close(auditor);
    }
}
