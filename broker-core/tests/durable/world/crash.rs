//! How a broker ends and the next one begins, and how the journal is kept short.

use super::World;
use super::audit::{QUESTION, auditor};
use crate::disk::{Crash, Disk};
use crate::model::Span;
use crate::scenario::Scenario;
use crate::wire::Reply;
use broker_core::journal::{Journal, Recovery};
use broker_core::{Broker, Identity, Now, Settings, Wakes};
use protocol::{Code, Delivery, Request, Start};
use std::sync::Arc;

/// Steps taken while a snapshot is.
const STEPS_IN_SNAPSHOT_MAX: usize = 20;

/// The broker that the journal's records make.
pub(super) fn recover(disk: &Arc<Disk>, scenario: &Scenario, begun_unix_ms: u64) -> Arc<Broker> {
    let mut recovery = Recovery::new(scenario.limits.clone());
    disk.recover(&mut recovery);
    let identity = Identity { backend: "durable simulation", version: "0" };
    let settings = Settings { started_unix_ms: begun_unix_ms, ..Settings::default() };
    let journal = Arc::clone(disk) as Arc<dyn Journal>;
    let (broker, report) = recovery.finish(identity, settings, journal, Now::default());
    assert_eq!(report.missing, [], "nothing is missing where nothing is damaged");
    assert_eq!(report.nameless, [""; 0], "each topic has its name");
    Arc::new(broker)
}

impl World {
    /// The broker ends somehow, and another takes its place.
    pub(super) fn end_life(&mut self) {
        let cut = match self.rng.u8(0..5) {
            0 if !self.has_failed() => self.stop(),
            1..3 => self.cut(Crash::PowerCut),
            _ => self.cut(Crash::Kill),
        };
        self.begin_life(cut);
    }

    /// The broker is stopped; it leaves nothing undone.
    pub(super) fn stop(&mut self) -> u64 {
        let before = self.disk.end();
        self.broker.handle_close();
        let cut = self.disk.end();
        self.disk.sync_all();
        self.model.handle_tick(Span { after: before, by: cut });
        self.story.tell(|| format!("the broker is stopped at {cut}"));
        cut
    }

    fn cut(&mut self, crash: Crash) -> u64 {
        let reached = self.disk.reached();
        let from = match crash {
            Crash::Kill => reached.written,
            Crash::PowerCut => reached.synced,
        };
        let cuts = self.disk.cuts(from);
        let cut = match self.rng.u8(0..3) {
            0 => from,
            _ => cuts[self.rng.usize(0..cuts.len())],
        };
        let whole = self.whole.iter().find(|(before, after)| (*before + 1..*after).contains(&cut));
        let cut = whole.map_or(cut, |(_, after)| *after);
        self.story
            .tell(|| format!("{crash:?}, the journal is cut at {cut} of {}", self.disk.end()));
        cut
    }

    fn begin_life(&mut self, cut: u64) {
        self.begun_unix_ms = self.unix_ms() + self.rng.u64(0..50);
        self.now_us = 0;
        self.links.clear();
        self.whole.clear();
        self.letters.clear();
        self.disk = Arc::new(self.disk.crashed(cut));
        self.broker = recover(&self.disk, &self.scenario, self.begun_unix_ms);
        self.auditor = auditor(&self.broker);
        self.model.crash(cut);
        self.check_topics(cut);
        self.check_all_there(Some(cut));
    }

    /// The topics and subscriptions are those of the model.
    fn check_topics(&mut self, cut: u64) {
        let names = self.names();
        // Whether dead letters had their topic yet is not always known.
        self.model.topics.retain(|topic| {
            let is_there = names.contains(&topic.name);
            assert!(is_there || topic.created.is_in(cut) != Some(true), "{} is gone", topic.name);
            is_there
        });
        let mut expected = self.model.names();
        expected.sort_unstable();
        assert_eq!(names, expected, "the topics after a crash");
        for name in names {
            let index = self.model.find(&name).expect("all are known");
            self.model.topics[index].created = Span::ALWAYS;
            let subscribers = Request::Subscribers { topic: name.as_str().into() };
            let found = self.look(&subscribers, QUESTION);
            let subscriptions = &self.model.topics[index].subscriptions;
            let names = subscriptions.iter().map(|found| found.name.clone());
            let mut expected: Vec<_> = names.collect();
            expected.sort_unstable();
            assert_eq!(found, Reply::Names(expected.clone()), "subscriptions to {name}");
            for subscriber in expected {
                self.check_cursor(&name, &subscriber, cut);
            }
        }
    }

    fn check_cursor(&mut self, topic: &str, subscriber: &str, cut: u64) {
        let index = self.model.find(topic).expect("it is there");
        let found = self.model.topics[index].find(subscriber).expect("it is there");
        let group = self.model.topics[index].subscriptions[found].group.as_ref();
        let subscribe = Request::Subscribe {
            topic: topic.to_owned().into(),
            subscriber: subscriber.to_owned().into(),
            delivery: Delivery::Pull,
            start: Start::Earliest,
            acks: group.map(|group| group.terms.clone()),
        };
        let end = self.disk.end();
        let Reply::Subscribed { next_offset } = self.look(&subscribe, QUESTION) else {
            panic!("{subscriber} is there")
        };
        assert_eq!(self.disk.end(), end, "what is there is not stored again");
        self.model.topics[index].subscriptions[found].observe_recovered(next_offset, cut);
    }

    /// All messages are there; after a crash, those that it left.
    pub(super) fn check_all_there(&mut self, cut: Option<u64>) {
        let mut needed_bytes = 0;
        for name in self.model.names() {
            let index = self.model.find(&name).expect("it is there");
            if let Some(cut) = cut {
                let (_, next) = self.probe_held(&name).expect("a topic that is there");
                self.model.topics[index].observe_recovered(next, cut);
            }
            self.observe(&name, cut.is_some());
            let (first, all) = self.read_all(&name);
            let topic = &mut self.model.topics[index];
            assert_eq!(first + all.len() as u64, topic.visible, "{name} shows all that it may");
            let payloads: Vec<_> = all.into_iter().map(|seen| seen.payload).collect();
            topic.check_read(first, &payloads);
            if topic.is_stored {
                needed_bytes += topic.bytes_from(first);
            }
        }
        let found = self.disk.live_bytes();
        assert!(found >= needed_bytes, "{found} bytes are live, {needed_bytes} are of messages");
    }

    /// The journal is kept short, in one way or another.
    pub(super) fn keep_short(&mut self) {
        match self.rng.u8(0..4) {
            0 => self.move_some(),
            1 if self.scenario.gives_up => self.give_up_some(),
            _ => self.snapshot(),
        }
    }

    fn snapshot(&mut self) {
        let (dead, before) = (self.disk.dead_segments(), self.disk.end());
        let broker = Arc::clone(&self.broker);
        let mut records = Vec::new();
        self.is_in_snapshot = true;
        let position = broker.snapshot(&mut |kind, body| {
            records.push((kind, body.to_vec()));
            // No topic is told of yet: anything may happen in between.
            if records.len() == 1 {
                for _ in 0..self.rng.usize(0..STEPS_IN_SNAPSHOT_MAX) {
                    self.step();
                }
            }
        });
        self.is_in_snapshot = false;
        let Ok(position) = position else {
            assert!(self.has_failed(), "a snapshot is taken");
            return;
        };
        self.story.tell(|| format!("a snapshot at {position} of {}", self.disk.end()));
        // It tells of cursors as they are, but may never be used.
        self.model.handle_tick(Span { after: before, by: before }.maybe());
        self.disk.keep_snapshot(position, records, dead);
    }

    fn move_some(&mut self) {
        let segments = self.disk.full_segments();
        let Some(segment) = self.rng.choice(&segments).copied() else { return };
        let moved = self.broker.move_stored(segment);
        self.story.tell(|| format!("moves what lies in the segment at {segment}: {moved:?}"));
        if let Err(refusal) = moved {
            assert!(self.has_failed() && refusal.code == Code::StorageFailed, "{refusal}");
        }
    }

    fn give_up_some(&mut self) {
        let segments = self.disk.full_segments();
        let Some(position) = self.rng.choice(&segments).copied() else { return };
        let mut wakes = Wakes::new();
        let dropped = self.broker.drop_stored_before(position, &mut wakes);
        self.story.tell(|| format!("gives up {dropped} messages before {position}"));
        self.observe_all(true);
        self.carry(wakes);
    }
}
