//! The world: one broker, its connections, time, and chance.

mod rest;
mod trace;
mod turns;

use crate::ask::Ask;
use crate::client::{Client, Role, Zeal};
use crate::invariants;
use crate::link::Link;
use crate::model::Model;
use crate::said::Tongue;
use crate::scenario::Scenario;
use crate::story::Story;
use broker_core::{Broker, Identity, Now, SessionKey, Wakes};
use fastrand::Rng;
use protocol::Request;
use std::collections::BTreeMap;
use std::sync::Arc;
use trace::Trace;

/// Bytes on their way from a client, past which it asks no more.
const OUTBOUND_BYTES_MAX: usize = 50_000;

/// How often in a life the world comes to rest.
const RESTS: usize = 3;

/// Steps after the last rest.
const UNFINISHED_STEPS_MAX: usize = 100;

#[derive(Debug)]
pub(crate) struct World {
    rng: Rng,
    scenario: Scenario,
    story: Story,
    broker: Arc<Broker>,
    model: Model,
    links: BTreeMap<SessionKey, Link>,
    connections_made: u64,
    now_us: u64,
    zeal: Zeal,
    trace: Trace,
}

impl World {
    pub(crate) fn new(seed: u64, story: Story) -> Self {
        let mut rng = Rng::with_seed(seed);
        let scenario = Scenario::draw(&mut rng);
        story.tell(|| format!("{scenario:?}"));
        let identity = Identity { backend: "simulation", version: "0" };
        let broker =
            Broker::in_memory(identity, scenario.limits.clone(), broker_core::Settings::default());
        Self {
            model: Model::new(scenario.limits.clone(), scenario.memory_is_tight),
            broker: Arc::new(broker),
            rng,
            scenario,
            story,
            links: BTreeMap::new(),
            connections_made: 0,
            now_us: 0,
            zeal: Zeal::Moody,
            trace: Trace::default(),
        }
    }

    /// Lets things happen, with rests between; what happened last may stay unfinished.
    pub(crate) fn live(&mut self) {
        self.begin();
        for _ in 0..RESTS {
            self.take_steps(self.scenario.steps / RESTS);
            self.rest();
        }
        let steps = self.rng.usize(0..UNFINISHED_STEPS_MAX);
        self.take_steps(steps);
    }

    fn take_steps(&mut self, steps: usize) {
        for _ in 0..steps {
            self.step();
            invariants::check(&self.broker, &self.model, self.links.values(), self.now());
        }
    }

    /// Someone makes the first topics.
    fn begin(&mut self) {
        let key = self.admit(Tongue::Json, Role::Anyone);
        for _ in 0..self.rng.usize(1..4) {
            let topic = self.scenario.new_topic(&mut self.rng).into();
            let options = self.scenario.options(&mut self.rng);
            self.link(key).send(Ask::Request(Request::Create { topic, options }), 0);
        }
    }

    fn now(&self) -> Now {
        Now::from_micros(self.now_us)
    }

    fn step(&mut self) {
        if self.rng.u32(0..self.scenario.steps_per_arrival) == 0 || self.links.is_empty() {
            return self.arrive_or_leave();
        }
        let index = self.rng.usize(0..self.links.len());
        let key = *self.links.keys().nth(index).expect("one of the connections");
        match self.rng.u8(0..100) {
            0..22 => self.ask(key),
            22..46 => self.read(key),
            46..60 => self.wake(key),
            60..70 => self.poll(key),
            70..88 => self.write(key),
            88..93 => self.pass_time(),
            93..95 => self.fire_timer(key),
            95..97 => self.tick(),
            97..99 => self.stall(key),
            _ => self.end_if_closing(key),
        }
    }

    fn arrive_or_leave(&mut self) {
        let wanted = self.broker.limits().connections_max;
        let index = self.rng.usize(0..wanted + 1);
        match self.links.keys().nth(index).copied() {
            Some(key) if self.rng.bool() => self.close(key),
            _ => self.connect(),
        }
    }

    fn connect(&mut self) {
        let tongue = if self.rng.u8(0..3) == 0 { Tongue::Json } else { Tongue::Native };
        let role = match self.rng.u8(0..20) {
            0 => Role::Silent,
            1 => Role::Stranger,
            2..8 => Role::Reader,
            _ => Role::Anyone,
        };
        // A stranger is told what is wrong in text.
        let tongue = if role == Role::Stranger { Tongue::Json } else { tongue };
        self.admit(tongue, role);
    }

    fn admit(&mut self, tongue: Tongue, role: Role) -> SessionKey {
        self.connections_made += 1;
        let key = SessionKey(self.connections_made);
        self.story.tell(|| format!("{} connects: {tongue:?}, {role:?}", key.0));
        self.model.handle_connection(key);
        let client = Client::new(key.0, tongue, role);
        self.links.insert(key, Link::new(&self.broker, key, client, self.now()));
        key
    }

    fn link(&mut self, key: SessionKey) -> &mut Link {
        self.links.get_mut(&key).expect("a connection that is there")
    }

    /// A client asks for something, and perhaps for more without waiting.
    fn ask(&mut self, key: SessionKey) {
        self.scenario.topics = self.model.topics().cloned().collect();
        for _ in 0..self.rng.usize(1..5) {
            let link = self.links.get_mut(&key).expect("a connection that is there");
            if link.outbound_bytes() > OUTBOUND_BYTES_MAX || link.session.is_closing() {
                return;
            }
            let Some((ask, correlation)) = link.client.ask(&self.scenario, &mut self.rng) else {
                return;
            };
            self.story.tell(|| format!("{} asks {correlation}: {ask:?}", key.0));
            link.send(ask, correlation);
        }
    }

    /// Time passes; what was due before has happened by then.
    fn pass_time(&mut self) {
        self.fire_timers();
        self.now_us += self.rng.u64(0..self.scenario.pause_us_max);
        self.story.tell(|| format!("it is {} µs", self.now_us));
    }

    fn fire_timers(&mut self) {
        let mut keys: Vec<SessionKey> = self.links.keys().copied().collect();
        self.rng.shuffle(&mut keys);
        keys.into_iter().for_each(|key| self.fire_timer(key));
    }

    fn tick(&mut self) {
        let mut wakes = Wakes::new();
        self.broker.handle_tick(self.now(), &mut wakes);
        self.model.handle_tick();
        self.trace.note_wakes(&wakes);
        self.carry(&wakes, [].into());
    }

    fn stall(&mut self, key: SessionKey) {
        let link = self.link(key);
        link.is_stalled = !link.is_stalled;
    }
}
