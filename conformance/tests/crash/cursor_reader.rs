//! A subscription that is pulled in JSON: once an answer told that the cursor moved, it never
//! goes back.

use crate::pace::Pace;
use crate::topic_log::Shown;
use crate::wire::{Gone, JsonWire, number, pulled};
use crate::worker::Worker;
use fastrand::Rng;
use serde_json::json;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

/// Messages that one pull asks for.
const PULL_COUNT_MAX: u64 = 300;

/// One pull in so many is a seek instead.
const PULLS_PER_SEEK: u32 = 200;

/// Reads one topic by PULL, through the lives of any number of brokers.
#[derive(Debug)]
pub(crate) struct CursorReader {
    topic: Arc<str>,
    shown: Arc<Shown>,
    retention: Retains,
    rng: Rng,
    /// Where the broker said that it is.
    position: u64,
    in_doubt: Option<Moves>,
}

/// Whether the topic keeps all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Retains {
    /// It does.
    All,
    /// The newest only.
    Newest,
}

/// A request that was not answered yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Moves {
    Pull { count_max: u64 },
    Seek { to: u64 },
}

impl CursorReader {
    /// One that has not read yet.
    pub(crate) fn new(topic: &Arc<str>, shown: &Arc<Shown>, retention: Retains, rng: Rng) -> Self {
        let (topic, shown) = (Arc::clone(topic), Arc::clone(shown));
        Self { topic, shown, retention, rng, position: 0, in_doubt: None }
    }

    fn name(&self) -> &'static str {
        "cursor reader"
    }

    /// Subscribes, and checks where the broker has it go on.
    fn subscribe(&mut self, wire: &mut JsonWire) -> Result<(), Gone> {
        let (topic, name) = (&*self.topic, self.name());
        let answer = wire.ask(&json!({"command": "SUBSCRIBE", "topic": topic, "sid": name}))?;
        let found = number(&answer, "next_offset");
        let (from, until) = match self.in_doubt.take() {
            None => (self.position, self.position),
            Some(Moves::Pull { count_max }) => (self.position, self.position + count_max),
            Some(Moves::Seek { to }) if found == to => (to, to),
            Some(Moves::Seek { .. }) => (self.position, self.position),
        };
        let is_trimmed = self.retention == Retains::Newest && found > from;
        assert!(
            (from..=until).contains(&found) || is_trimmed,
            "the cursor of {topic} was told to be at {from}, or up to {until}; found {found}"
        );
        self.position = found;
        Ok(())
    }

    fn pull(&mut self, wire: &mut JsonWire) -> Result<u64, Gone> {
        let (topic, name) = (&*self.topic, self.name());
        let count_max = self.rng.u64(1..PULL_COUNT_MAX);
        self.in_doubt = Some(Moves::Pull { count_max });
        let answer =
            wire.ask(&json!({"command": "PULL", "topic": topic, "sid": name, "max": count_max}))?;
        let pulled = pulled(&answer);
        self.in_doubt = None;
        assert!(
            pulled.lost == 0 || self.retention == Retains::Newest,
            "{} messages of {topic} were lost, which keeps all",
            pulled.lost
        );
        let base_offset = self.position + pulled.lost;
        self.shown.note(base_offset, &pulled.messages);
        let count = pulled.messages.len() as u64;
        self.position = base_offset + count;
        Ok(count)
    }

    fn seek(&mut self, wire: &mut JsonWire) -> Result<(), Gone> {
        let (topic, name) = (&*self.topic, self.name());
        let to = self.position.saturating_sub(self.rng.u64(..PULL_COUNT_MAX));
        self.in_doubt = Some(Moves::Seek { to });
        let request = json!({"command": "SEEK", "topic": topic, "sid": name, "to": {"offset": to}});
        let found = number(&wire.ask(&request)?, "next_offset");
        self.in_doubt = None;
        assert!(
            found == to || self.retention == Retains::Newest && found > to,
            "{topic} was sought at {to}, found {found}"
        );
        self.position = found;
        Ok(())
    }
}

impl Worker for CursorReader {
    fn work(&mut self, address: SocketAddr, pace: &Pace) -> Result<Infallible, Gone> {
        let mut wire = JsonWire::open(address)?;
        self.subscribe(&mut wire)?;
        loop {
            if self.rng.u32(..PULLS_PER_SEEK) == 0 {
                self.seek(&mut wire)?;
            } else if self.pull(&mut wire)? == 0 {
                pace.idle()?;
                continue;
            }
            pace.confirm();
        }
    }
}
