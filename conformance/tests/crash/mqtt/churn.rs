//! A client whose sessions and subscriptions come and go: what was confirmed to be gone does not
//! come back, and what was confirmed to be there is.

use super::wire::MqttWire;
use crate::pace::Pace;
use crate::wire::Gone;
use crate::worker::Worker;
use conformance::WAIT_MAX;
use conformance::mqtt::{Connect, Received, Version, puback, pubcomp, pubrec, subscribe};
use conformance::mqtt::{disconnect, unsubscribe};
use fastrand::Rng;
use protocol::mqtt::topics::matches;
use std::collections::BTreeSet;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

/// What it does on one connection, at most.
const STEPS_MAX: usize = 12;

/// Whether something is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Exists {
    Yes,
    No,
    /// A request was not answered that makes or ends it.
    Perhaps,
}

/// Subscribes and unsubscribes, and begins sessions anew.
#[derive(Debug)]
pub(crate) struct MqttChurn {
    kept: Connect,
    rng: Rng,
    session: Exists,
    filters: Vec<(String, Exists)>,
}

impl MqttChurn {
    /// One without a session.
    pub(crate) fn new(version: Version, prefix: &str, rng: Rng) -> Self {
        let filters = ["a/#", "b/1", "+/0", "a/2"].map(|end| format!("{prefix}/{end}"));
        Self {
            kept: Connect::persistent(version, &format!("{prefix}-churn-{version:?}"))
                .keep_alive(0),
            rng,
            session: Exists::No,
            filters: filters.map(|filter| (filter, Exists::No)).into(),
        }
    }

    pub(crate) fn connect(&self) -> &Connect {
        &self.kept
    }

    /// Whether it is subscribed to a topic.
    fn hears(&self, topic: &str) -> Exists {
        let matching = self.filters.iter().filter(|(filter, _)| matches(filter, topic));
        let mut best = Exists::No;
        for (_, exists) in matching {
            match exists {
                Exists::Yes => return Exists::Yes,
                Exists::Perhaps => best = Exists::Perhaps,
                Exists::No => {}
            }
        }
        best
    }

    /// Checks, on a broker that nobody else speaks to, that it hears of `topics` what it is
    /// subscribed to. `mark` publishes to all of them.
    #[track_caller]
    pub(crate) fn check(
        &mut self,
        address: SocketAddr,
        topics: &BTreeSet<Arc<str>>,
        mark: impl FnOnce(),
    ) {
        self.listen(address, topics, mark).expect("the broker stays");
    }

    fn listen(
        &mut self,
        address: SocketAddr,
        topics: &BTreeSet<Arc<str>>,
        mark: impl FnOnce(),
    ) -> Result<(), Gone> {
        let mut wire = self.open(address, &self.kept.clone())?;
        mark();
        let mut missing = topics.clone();
        missing.retain(|topic| self.hears(topic) == Exists::Yes);
        while !missing.is_empty() {
            let received = wire.read_within(WAIT_MAX)?;
            let received = received.unwrap_or_else(|| {
                panic!("expected messages of {missing:?}, subscribed to {:?}", self.filters)
            });
            if let Some(topic) = self.take(&mut wire, &received)? {
                missing.remove(&*topic);
            }
        }
        for received in wire.ping()? {
            self.take(&mut wire, &received)?;
        }
        Ok(())
    }

    fn open(&mut self, address: SocketAddr, connect: &Connect) -> Result<MqttWire, Gone> {
        let is_clean = connect.flags() & 0x02 != 0;
        // A clean session of 3.1.1 is not kept either.
        let is_kept = !is_clean || connect.version() == Version::V5;
        let before = self.session;
        if before == Exists::No {
            // What a session had that was not kept.
            self.forget_filters();
        }
        if is_clean {
            let goes_on = before == Exists::Yes && is_kept;
            self.session = if goes_on { Exists::Yes } else { Exists::Perhaps };
            self.doubt_filters();
        } else if before == Exists::No {
            self.session = Exists::Perhaps;
        }
        let (wire, connack) = MqttWire::open(address, connect)?;
        let present = connack.session_present;
        let is_true = match before {
            _ if is_clean => !present,
            Exists::Yes => present,
            Exists::No => !present,
            Exists::Perhaps => true,
        };
        assert!(is_true, "{before:?} before, clean {is_clean}: {connack:?}");
        if !present {
            self.forget_filters();
        }
        self.session = if is_kept { Exists::Yes } else { Exists::No };
        Ok(wire)
    }

    /// It is subscribed to nothing.
    fn forget_filters(&mut self) {
        self.filters.iter_mut().for_each(|(_, exists)| *exists = Exists::No);
    }

    /// What it is subscribed to may be gone.
    fn doubt_filters(&mut self) {
        for (_, exists) in &mut self.filters {
            if *exists == Exists::Yes {
                *exists = Exists::Perhaps;
            }
        }
    }

    /// Takes what comes besides answers, and acknowledges it. Gives the topic of a message.
    fn take(&self, wire: &mut MqttWire, received: &Received) -> Result<Option<String>, Gone> {
        match received.name() {
            "PUBLISH" => {
                let publish = received.publish(wire.version());
                let is_new = !publish.dup && !publish.retain;
                assert!(
                    !is_new || self.hears(&publish.topic) != Exists::No,
                    "nothing of it is subscribed to: {publish:?}, {:?}",
                    self.filters
                );
                let ack = if publish.qos == 1 { puback(publish.id) } else { pubrec(publish.id) };
                wire.send(&ack)?;
                Ok(Some(publish.topic).filter(|_| is_new))
            }
            "PUBREL" => {
                let id = received.ack(0x62, wire.version()).id;
                wire.send(&pubcomp(id))?;
                Ok(None)
            }
            other => panic!("{other} was not expected"),
        }
    }

    /// Subscribes, or unsubscribes.
    fn step(&mut self, wire: &mut MqttWire) -> Result<(), Gone> {
        let index = self.rng.usize(..self.filters.len());
        let (filter, exists) = self.filters[index].clone();
        let version = wire.version();
        let subscribes = exists == Exists::No || self.rng.bool();
        let (packet, answer, then) = match subscribes {
            true => {
                let qos = self.rng.u8(1..=2);
                (subscribe(version, 1, &[(&filter, qos)], &[]), "SUBACK", Exists::Yes)
            }
            false => (unsubscribe(version, 1, &[&filter]), "UNSUBACK", Exists::No),
        };
        self.filters[index].1 = Exists::Perhaps;
        wire.send(&packet)?;
        loop {
            let received = wire.read()?;
            if received.name() == answer {
                self.filters[index].1 = then;
                return Ok(());
            }
            self.take(wire, &received)?;
        }
    }
}

impl Worker for MqttChurn {
    fn work(&mut self, address: SocketAddr, pace: &Pace) -> Result<Infallible, Gone> {
        loop {
            let connect = match self.rng.u32(..4) {
                0 => self.kept.clone().clean(),
                _ => self.kept.clone(),
            };
            let mut wire = self.open(address, &connect)?;
            pace.confirm();
            for _ in 0..self.rng.usize(..=STEPS_MAX) {
                self.step(&mut wire)?;
                pace.confirm();
            }
            if self.rng.bool() {
                wire.send(&disconnect())?;
            }
        }
    }
}
