//! A broker, its disk, two clients, and what happens between them.

use super::client::{Client, Kind, Publisher, Subscriber, TOPIC, number_of};
use super::link::Link;
use crate::disk::Disk;
use broker_core::journal::{Journal, Recovery};
use broker_core::{Broker, Identity, Limits, Now, SessionKey, Settings, Wakes};
use fastrand::Rng;
use protocol::mqtt::{
    Connect, Packet, PacketId, Properties, QoS, Subscribe, SubscribeFilters, SubscribeOptions,
    Version,
};
use std::sync::Arc;

const SEGMENT_BYTES: u64 = 1024;

/// Messages of a conversation.
const COUNT: u32 = 4;

/// Steps after which nothing goes wrong any more.
const STEPS: usize = 250;

/// Rounds in which all comes to its end then; it needs far fewer.
const ROUNDS_MAX: usize = 2000;

/// When the power is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    /// Before this step, with so many records more than are synced.
    At { step: usize, place: usize },
    /// Whenever chance has it.
    Often,
}

pub(super) struct World {
    rng: Rng,
    cut: Cut,
    /// At how many places the journal could be cut when it was.
    places: usize,
    disk: Arc<Disk>,
    broker: Arc<Broker>,
    now: Now,
    clients: [Client; 2],
    links: Vec<Link>,
    /// Connections that their clients have given up.
    left: Vec<Link>,
    keys: u64,
}

impl World {
    pub(super) fn new(seed: u64, cut: Cut) -> Self {
        let disk = Arc::new(Disk::new(SEGMENT_BYTES, 1 << 30));
        let publisher = Publisher::new(COUNT);
        let mut world = Self {
            rng: Rng::with_seed(seed),
            cut,
            places: 0,
            broker: recover(&disk),
            disk,
            now: Now::default(),
            clients: [
                Client::new("s", Kind::Subscriber(Subscriber::default())),
                Client::new("p", Kind::Publisher(publisher)),
            ],
            links: Vec::new(),
            left: Vec::new(),
            keys: 0,
        };
        world.connect_all();
        // Before anything is published.
        world.come_to_rest(|world| world.clients[0].is_done());
        world
    }

    /// Has all come to its end. Gives at how many places the journal could be cut.
    pub(super) fn live(mut self) -> usize {
        for step in 0..STEPS {
            match self.cut {
                Cut::At { step: at, place } if at == step => self.lose_power(place),
                Cut::Often if self.rng.u32(..60) == 0 => {
                    let place = self.rng.usize(..4);
                    self.lose_power(place);
                }
                _ => {}
            }
            self.step();
        }
        self.come_to_rest(Self::is_done);
        self.check();
        self.places
    }

    fn step(&mut self) {
        let index = self.rng.usize(..2);
        match self.rng.u32(..100) {
            0..20 => self.clients[index].act(&mut self.links[index]),
            20..40 => {
                let bytes = self.rng.usize(..=self.links[index].sent_bytes());
                let wakes = self.links[index].feed(bytes, self.now);
                self.carry(wakes);
            }
            40..50 => self.wake(index),
            50..60 => {
                let wakes = self.links[index].poll(self.now);
                self.carry(wakes);
            }
            60..76 => {
                let bytes = self.rng.usize(..=self.links[index].output_bytes());
                self.receive(index, bytes);
            }
            76..86 => {
                let cuts = self.disk.cuts(self.disk.reached().written);
                self.disk.write_to(cuts[self.rng.usize(..cuts.len())]);
                if self.rng.bool() {
                    self.disk.sync();
                }
            }
            86..94 => self.progress(),
            94..96 => self.snapshot(),
            96 => self.reconnect(index),
            _ => self.step_left(),
        }
    }

    /// Something happens on a connection that its client has given up.
    fn step_left(&mut self) {
        let Some(mut link) = self.left.pop() else { return };
        let bytes = link.sent_bytes();
        let mut wakes = link.feed(bytes, self.now);
        if self.rng.bool() {
            wakes.extend(link.close(self.now));
        } else {
            self.left.push(link);
        }
        self.carry(wakes);
    }

    /// A client gives its connection up, and makes another; not before it knows that the broker
    /// has the one, which might else come last.
    fn reconnect(&mut self, index: usize) {
        if !self.clients[index].is_connected {
            return;
        }
        self.keys += 1;
        let mut link = Link::new(&self.broker, SessionKey(self.keys), self.now);
        self.clients[index].connect(&mut link);
        self.left.push(std::mem::replace(&mut self.links[index], link));
    }

    fn connect_all(&mut self) {
        (self.links, self.left) = (Vec::new(), Vec::new());
        for client in &mut self.clients {
            self.keys += 1;
            let mut link = Link::new(&self.broker, SessionKey(self.keys), self.now);
            client.connect(&mut link);
            self.links.push(link);
        }
    }

    /// The machine is gone with all that was not synced, but for `place` records.
    fn lose_power(&mut self, place: usize) {
        let cuts = self.disk.cuts(self.disk.reached().synced);
        self.places = cuts.len();
        let cut = cuts[place.min(cuts.len() - 1)];
        self.disk = Arc::new(self.disk.crashed(cut));
        self.broker = recover(&self.disk);
        self.connect_all();
    }

    fn wake(&mut self, index: usize) {
        let wakes = self.links[index].wake(self.now);
        self.carry(wakes);
    }

    fn progress(&mut self) {
        let mut wakes = Wakes::new();
        self.broker.handle_progress(&mut wakes);
        self.carry(wakes);
    }

    fn carry(&mut self, wakes: Wakes) {
        for wake in wakes {
            let mut all = self.links.iter_mut().chain(&mut self.left);
            if let Some(link) = all.find(|link| link.key == wake.session) {
                link.wakes.push_back(wake.cause);
            }
        }
    }

    fn snapshot(&mut self) {
        let dead = self.disk.dead_segments();
        let mut records = Vec::new();
        let position = self.broker.snapshot(&mut |kind, body| records.push((kind, body.to_vec())));
        self.disk.keep_snapshot(position.expect("the disk works"), records, dead);
    }

    fn receive(&mut self, index: usize, bytes: usize) {
        let (client, link) = (&mut self.clients[index], &mut self.links[index]);
        link.receive(bytes);
        let mut replies = Vec::new();
        while link.read(|packet| client.take(packet, &mut replies)) {}
        replies.into_iter().for_each(|reply| reply.send(link));
    }

    /// Lets everything go on until `is_done`, and nothing go wrong.
    fn come_to_rest(&mut self, is_done: impl Fn(&Self) -> bool) {
        for _ in 0..ROUNDS_MAX {
            if is_done(self) {
                return;
            }
            for index in 0..self.links.len() {
                self.serve(index);
            }
            while !self.left.is_empty() {
                self.step_left();
            }
            self.disk.sync_all();
            self.progress();
            self.now = self.now.plus_ms(1);
        }
        let came = self.clients.iter().map(|client| format!("{client:?}\n")).collect::<String>();
        panic!("expected the end within {ROUNDS_MAX} rounds:\n{came}");
    }

    fn serve(&mut self, index: usize) {
        if let Some(client) = self.clients.get_mut(index) {
            client.act(&mut self.links[index]);
        }
        let (now, link) = (self.now, &mut self.links[index]);
        let mut wakes = link.feed(link.sent_bytes(), now);
        wakes.extend(link.time_out(now));
        wakes.extend(link.wake(now));
        wakes.extend(link.poll(now));
        let bytes = link.output_bytes();
        self.carry(wakes);
        if index < self.clients.len() {
            self.receive(index, bytes);
        }
    }

    fn is_done(&self) -> bool {
        let Kind::Subscriber(subscriber) = &self.clients[0].kind else { unreachable!("it is") };
        self.clients.iter().all(Client::is_done) && subscriber.came.len() >= COUNT as usize
    }

    /// All came once, in order, nothing comes any more, and the last of it is retained.
    fn check(&mut self) {
        let rounds = std::cell::Cell::new(0);
        self.come_to_rest(|_| rounds.replace(rounds.get() + 1) == 10);
        let Kind::Subscriber(subscriber) = &self.clients[0].kind else { unreachable!("it is") };
        assert_eq!(subscriber.came, (0..COUNT).collect::<Vec<_>>(), "what came");
        assert_eq!(self.retained(), Some(COUNT - 1), "what is retained");
    }

    /// What the topic retains.
    fn retained(&mut self) -> Option<u32> {
        let mut link = Link::new(&self.broker, SessionKey(u64::MAX / 2), self.now);
        link.send(&Packet::Connect(Connect {
            version: Version::V5,
            clean_start: true,
            keep_alive_s: 0,
            client_id: "retained",
            will: None,
            user_name: None,
            password: None,
            properties: Properties::default(),
        }));
        let mut filters = Vec::new();
        let options = SubscribeOptions::of_qos(QoS::AtMostOnce);
        SubscribeFilters::encode(TOPIC, options, &mut filters);
        link.send(&Packet::Subscribe(Subscribe {
            packet_id: PacketId::new(1).expect("not zero"),
            properties: Properties::default(),
            filters: SubscribeFilters::trusted(&filters),
        }));
        self.links.push(link);
        let rounds = std::cell::Cell::new(0);
        self.come_to_rest(|_| rounds.replace(rounds.get() + 1) == 10);
        let mut link = self.links.pop().expect("it was just pushed");
        link.receive(link.output_bytes());
        let mut retained = None;
        let mut take = |packet: Packet<'_>| {
            if let Packet::Publish(publish) = packet {
                retained = Some(number_of(&publish));
            }
        };
        while link.read(&mut take) {}
        retained
    }
}

/// The broker that the journal's records make.
fn recover(disk: &Arc<Disk>) -> Arc<Broker> {
    let limits = Limits { topic_cache_bytes_max: 0, ..Limits::default() };
    let mut recovery = Recovery::new(limits);
    disk.recover(&mut recovery);
    let identity = Identity { backend: "stories", version: "0" };
    let journal = Arc::clone(disk) as Arc<dyn Journal>;
    let (broker, report) = recovery.finish(identity, Settings::default(), journal, Now::default());
    assert_eq!((report.missing.len(), report.nameless.len()), (0, 0), "{report:?}");
    Arc::new(broker)
}
