//! The world: one broker after another over what the crash before left of the journal, their
//! connections, time, and chance.

mod asks;
mod audit;
mod crash;
mod rest;
mod turns;

use crate::disk::Disk;
use crate::link::Link;
use crate::model::{Model, Span};
use crate::scenario::Scenario;
use crate::story::Story;
use crate::wire::{Ask, Tongue};
use broker_core::journal::Journal;
use broker_core::{Broker, Now, SessionKey, Wakes};
use fastrand::Rng;
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

/// The first life begins at this Unix time.
const BEGUN_UNIX_MS: u64 = 1_000_000;

/// Connections at once.
const LINKS_MAX: usize = 6;

/// How often the world comes to rest.
const RESTS: usize = 2;

pub(crate) struct World {
    rng: Rng,
    scenario: Scenario,
    story: Story,
    disk: Arc<Disk>,
    broker: Arc<Broker>,
    model: Model,
    links: BTreeMap<SessionKey, Link>,
    /// One who looks and changes nothing.
    auditor: Link,
    connections_made: u64,
    messages_made: u64,
    /// The last sequence number of each idempotent publisher.
    sequences: BTreeMap<u128, u64>,
    /// What each of them publishes until it is answered.
    unanswered: BTreeMap<u128, Ask>,
    /// Topics that were deleted.
    deletions: u64,
    now_us: u64,
    /// When this life began.
    begun_unix_ms: u64,
    /// Parts of the journal that hold the records of one thing that happened, of which the model
    /// cannot tell them apart.
    whole: Vec<(u64, u64)>,
    /// Parts of the journal that hold dead letters: how many are shown when a part of them is
    /// written, the model cannot tell.
    letters: Vec<(u64, u64)>,
    /// What is about to be a snapshot calls back; nothing else of that kind happens then.
    is_in_snapshot: bool,
    trace: DefaultHasher,
}

impl World {
    pub(crate) fn new(seed: u64, story: Story) -> Self {
        let mut rng = Rng::with_seed(seed);
        let scenario = Scenario::draw(&mut rng);
        story.tell(|| format!("{scenario:?}"));
        let disk = Arc::new(Disk::new(scenario.segment_bytes_max, scenario.buffer_bytes_max));
        let broker = crash::recover(&disk, &scenario, BEGUN_UNIX_MS);
        let auditor = audit::auditor(&broker);
        Self {
            rng,
            scenario,
            story,
            disk,
            broker,
            model: Model::default(),
            links: BTreeMap::new(),
            auditor,
            connections_made: 0,
            messages_made: 0,
            sequences: BTreeMap::new(),
            unanswered: BTreeMap::new(),
            deletions: 0,
            now_us: 0,
            begun_unix_ms: BEGUN_UNIX_MS,
            whole: Vec::new(),
            letters: Vec::new(),
            is_in_snapshot: false,
            trace: DefaultHasher::new(),
        }
    }

    /// Lets things happen, with rests between; gives the hash of all that was said.
    pub(crate) fn live(mut self) -> u64 {
        for _ in 0..RESTS {
            for _ in 0..self.scenario.steps / RESTS {
                self.step();
            }
            self.rest();
        }
        self.end();
        self.trace_now()
    }

    fn now(&self) -> Now {
        Now::from_micros(self.now_us)
    }

    fn unix_ms(&self) -> u64 {
        self.begun_unix_ms + self.now().millis()
    }

    fn has_failed(&self) -> bool {
        self.disk.failure().is_some()
    }

    /// What comes now lies before this in the journal; after a failure it does not lie there.
    fn mark(&self) -> u64 {
        if self.has_failed() { u64::MAX } else { self.disk.end() }
    }

    fn one_in(&mut self, times: u32) -> bool {
        self.rng.u32(0..times) == 0
    }

    fn step(&mut self) {
        if self.one_in(self.scenario.steps_per_commit) {
            self.commit();
        }
        if !self.is_in_snapshot && self.one_in(self.scenario.steps_per_upkeep) {
            self.keep_short();
        }
        if !self.is_in_snapshot && self.one_in(self.scenario.steps_per_crash) {
            return self.end_life();
        }
        let index = self.rng.usize(0..LINKS_MAX);
        let Some(key) = self.links.keys().nth(index).copied() else { return self.connect() };
        match self.rng.u16(0..1000) {
            0..300 => self.ask(key),
            300..550 => self.feed(key),
            550..700 => self.wake(key),
            700..800 => self.poll(key),
            800..900 => self.write(key),
            900..930 => self.pass_time(),
            930..950 => self.fire_timer(key),
            950..970 => self.tick(),
            970..990 => self.link(key).is_stalled ^= true,
            990..994 => self.close(key),
            _ => {}
        }
    }

    fn connect(&mut self) {
        let tongue = if self.one_in(4) { Tongue::Json } else { Tongue::Native };
        self.connect_as(tongue);
    }

    fn connect_as(&mut self, tongue: Tongue) -> SessionKey {
        self.connections_made += 1;
        let key = SessionKey(self.connections_made);
        self.story.tell(|| format!("{} connects: {tongue:?}", key.0));
        self.links.insert(key, Link::new(&self.broker, key, tongue, self.now()));
        key
    }

    fn keys(&self) -> Vec<SessionKey> {
        self.links.keys().copied().collect()
    }

    fn link(&mut self, key: SessionKey) -> &mut Link {
        self.links.get_mut(&key).expect("a connection that is there")
    }

    fn pass_time(&mut self) {
        self.keys().into_iter().for_each(|key| self.fire_timer(key));
        self.now_us += self.rng.u64(0..self.scenario.pause_us_max);
        self.story.tell(|| format!("it is {} µs", self.now_us));
    }

    fn tick(&mut self) {
        let before = self.disk.end();
        let mut wakes = Wakes::new();
        self.broker.handle_tick(self.now(), &mut wakes);
        let span = Span { after: before, by: self.disk.end() };
        self.story.tell(|| format!("a tick: {span:?}, wakes {wakes:?}"));
        if !self.has_failed() {
            self.model.handle_tick(span);
        }
        self.find_dead_letters(span);
        self.observe_all(false);
        self.handle_endings(&wakes);
        self.carry(wakes);
    }

    /// The journal makes progress, and perhaps the broker is told.
    fn commit(&mut self) {
        if self.one_in(self.scenario.commits_per_failure) {
            self.story.tell(|| "the journal fails".to_owned());
            self.disk.fail();
        }
        let cuts = self.disk.cuts(self.disk.reached().written);
        let index = if self.rng.bool() { cuts.len() - 1 } else { self.rng.usize(0..cuts.len()) };
        let letters = self
            .letters
            .iter()
            .find(|(before, after)| (*before + 1..*after).contains(&cuts[index]));
        self.disk.write_to(letters.map_or(cuts[index], |(_, after)| *after));
        if self.rng.u8(0..3) > 0 {
            self.disk.sync();
        }
        self.story.tell(|| format!("the journal reached {:?}", self.disk.reached()));
        if self.rng.u8(0..4) > 0 {
            self.tell_progress();
        }
    }

    fn tell_progress(&mut self) {
        let mut wakes = Wakes::new();
        self.broker.handle_progress(&mut wakes);
        self.model.handle_progress(self.disk.reached());
        self.story.tell(|| format!("the broker is told of the journal: {wakes:?}"));
        self.carry(wakes);
    }

    fn trace_now(&self) -> u64 {
        self.trace.finish()
    }

    fn note(&mut self, what: impl Hash) {
        what.hash(&mut self.trace);
    }
}
