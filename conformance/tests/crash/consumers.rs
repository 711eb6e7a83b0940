//! The consumers of a group: they settle what they are given, or give it back, or vanish with it.

use crate::group::{GROUP, Group, TERMS};
use crate::pace::Pace;
use crate::wire::{Gone, JsonWire, NativeWire, leased};
use crate::worker::Worker;
use conformance::{Delivered, Leased, PUSH, Received, Reply};
use fastrand::Rng;
use protocol::{Code, Delivery, OffsetRange, Request, SettleAnswer, SettleTarget, Start, Verdict};
use serde_json::json;
use std::collections::HashMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

/// Messages that one pull asks for.
const PULL_COUNT_MAX: u32 = 40;

/// Longest delay that a consumer asks for what it gives back.
const DELAY_MS_MAX: u32 = 30;

/// What a consumer does with what it was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
    /// Acknowledges it, and is told when that is stable.
    Acknowledge,
    /// Acknowledges it, and is not told.
    AcknowledgeSilently,
    /// Gives it back.
    GiveBack,
    /// Forgets it.
    Ignore,
    /// Closes the connection.
    Vanish,
}

impl Act {
    fn draw(rng: &mut Rng) -> Self {
        match rng.u32(..100) {
            0..80 => Self::Acknowledge,
            80..88 => Self::AcknowledgeSilently,
            88..94 => Self::GiveBack,
            94..97 => Self::Ignore,
            _ => Self::Vanish,
        }
    }
}

/// Splits what was given into what may be acknowledged, and what is always given back.
fn split(offsets: &[u64]) -> (Vec<u64>, Vec<u64>) {
    offsets.iter().partition(|offset| !Group::is_poison(**offset))
}

fn ranges(offsets: &[u64]) -> Vec<OffsetRange> {
    let mut ranges = Vec::new();
    offsets.iter().for_each(|offset| OffsetRange::add(&mut ranges, *offset));
    ranges
}

fn nack(rng: &mut Rng) -> Verdict {
    Verdict::Nack { delay_ms: rng.bool().then(|| rng.u32(..DELAY_MS_MAX)) }
}

/// A consumer that pulls.
#[derive(Debug)]
pub(crate) struct PullingConsumer {
    group: Arc<Group>,
    dialect: Dialect,
    rng: Rng,
    /// What it was given and kept when its connection ended.
    kept: Vec<u64>,
}

/// What a pulling consumer speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// JSON lines.
    Json,
    /// The native wire.
    Native,
}

#[derive(Debug)]
enum Wire {
    Json(JsonWire),
    Native(NativeWire),
}

impl PullingConsumer {
    /// One that was given nothing yet.
    pub(crate) fn new(group: &Arc<Group>, dialect: Dialect, rng: Rng) -> Self {
        Self { group: Arc::clone(group), dialect, rng, kept: Vec::new() }
    }

    fn join(&self, address: SocketAddr) -> Result<Wire, Gone> {
        let topic = &*self.group.topic;
        match self.dialect {
            Dialect::Json => {
                let mut wire = JsonWire::open(address)?;
                let answer = wire.ask(&json!({
                    "command": "SUBSCRIBE", "topic": topic, "group": GROUP,
                    "acks": {
                        "timeout_ms": TERMS.ack_timeout_ms, "in_flight": TERMS.in_flight_max,
                        "deliveries": TERMS.deliveries_max, "backoff_ms": TERMS.backoff_ms_min,
                        "backoff_ms_max": TERMS.backoff_ms_max,
                    },
                }))?;
                assert_eq!(answer["status"], "ok", "joined: {answer}");
                Ok(Wire::Json(wire))
            }
            Dialect::Native => {
                let mut wire = NativeWire::open(address)?;
                let answer = wire.ask(&Request::Subscribe {
                    topic: topic.into(),
                    subscriber: GROUP.into(),
                    delivery: Delivery::Pull,
                    start: Start::Earliest,
                    acks: Some(TERMS),
                })?;
                assert!(matches!(answer, Reply::Subscribed { .. }), "joined: {answer:?}");
                Ok(Wire::Native(wire))
            }
        }
    }

    fn lease(&mut self, wire: &mut Wire) -> Result<Vec<u64>, Gone> {
        let topic = &*self.group.topic;
        let count_max = self.rng.u32(1..PULL_COUNT_MAX);
        let asked = Instant::now();
        let Leased { pulled, offsets, deliveries } = match wire {
            Wire::Json(wire) => leased(&wire.ask(&json!({
                "command": "PULL", "topic": topic, "group": GROUP, "max": count_max,
            }))?),
            Wire::Native(wire) => {
                let (topic, subscriber) = (topic.into(), GROUP.into());
                let pull = Request::Pull { topic, subscriber, count_max: Some(count_max) };
                match wire.ask(&pull)? {
                    Reply::Leased { base_offset, deliveries, pulled } => {
                        let offsets = (base_offset..).take(pulled.messages.len()).collect();
                        Leased { pulled, offsets, deliveries }
                    }
                    other => panic!("expected LEASED, found {other:?}"),
                }
            }
        };
        assert_eq!(pulled.lost, 0, "{topic} keeps all");
        if let Some(base_offset) = offsets.first() {
            self.group.note_given(*base_offset, &pulled.messages, deliveries, asked);
        }
        Ok(offsets)
    }

    /// Tells the broker what became of messages. Gives whether it took that.
    fn settle(&mut self, wire: &mut Wire, offsets: &[u64], verdict: Verdict) -> Result<bool, Gone> {
        let topic = &*self.group.topic;
        let invalid = Code::InvalidValue;
        match wire {
            Wire::Json(wire) => {
                let mut request = json!({"topic": topic, "group": GROUP, "offsets": offsets});
                request["command"] = match verdict {
                    Verdict::Ack => "ACK".into(),
                    Verdict::Nack { .. } => "NACK".into(),
                };
                if let Verdict::Nack { delay_ms: Some(delay_ms) } = verdict {
                    request["delay_ms"] = delay_ms.into();
                }
                let answer = wire.ask(&request)?;
                let is_refused = answer["error"]["code"] == invalid.name();
                assert!(answer["status"] == "ok" || is_refused, "settled: {answer}");
                Ok(!is_refused)
            }
            Wire::Native(wire) => {
                let target = SettleTarget::Named { topic: topic.into(), subscriber: GROUP.into() };
                let (ranges, answer) = (ranges(offsets), SettleAnswer::Wanted);
                match wire.ask(&Request::Settle { target, ranges, verdict, answer })? {
                    Reply::Done => Ok(true),
                    Reply::Refused(code) if code == invalid => Ok(false),
                    other => panic!("expected OK, found {other:?}"),
                }
            }
        }
    }

    /// Acknowledges, of messages that this broker gave out, or one before it. The latter may know
    /// nothing of having given them.
    fn acknowledge(&mut self, wire: &mut Wire, offsets: &[u64], whose: Whose) -> Result<(), Gone> {
        if offsets.is_empty() {
            return Ok(());
        }
        self.group.note_acknowledged(offsets);
        let taken = self.settle(wire, offsets, Verdict::Ack)?;
        assert!(taken || whose == Whose::Earlier, "{offsets:?} were given, and are refused");
        if taken {
            self.group.note_confirmed(offsets);
        }
        Ok(())
    }

    fn act(&mut self, wire: &mut Wire, offsets: &[u64], pace: &Pace) -> Result<After, Gone> {
        let (good, poison) = split(offsets);
        if !poison.is_empty() {
            let verdict = nack(&mut self.rng);
            assert!(self.settle(wire, &poison, verdict)?, "{poison:?} were given");
        }
        match Act::draw(&mut self.rng) {
            Act::Acknowledge | Act::AcknowledgeSilently => {
                self.kept.extend(&good);
                self.acknowledge(wire, &good, Whose::This)?;
                self.kept.clear();
                pace.confirm();
            }
            Act::GiveBack if !good.is_empty() => {
                let verdict = nack(&mut self.rng);
                assert!(self.settle(wire, &good, verdict)?, "{good:?} were given");
            }
            Act::GiveBack | Act::Ignore => {}
            Act::Vanish => {
                self.kept = good;
                return Ok(After::Vanish);
            }
        }
        Ok(After::GoOn)
    }
}

/// Which broker gave messages out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Whose {
    This,
    Earlier,
}

/// What follows an act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum After {
    GoOn,
    Vanish,
}

impl Worker for PullingConsumer {
    fn work(&mut self, address: SocketAddr, pace: &Pace) -> Result<Infallible, Gone> {
        loop {
            let mut wire = self.join(address)?;
            let kept = std::mem::take(&mut self.kept);
            if self.rng.bool() {
                self.acknowledge(&mut wire, &kept, Whose::Earlier)?;
            }
            loop {
                let offsets = self.lease(&mut wire)?;
                if offsets.is_empty() {
                    pace.idle()?;
                } else if self.act(&mut wire, &offsets, pace)? == After::Vanish {
                    break;
                }
            }
        }
    }
}

/// A consumer that messages are pushed to.
#[derive(Debug)]
pub(crate) struct PushedConsumer {
    group: Arc<Group>,
    rng: Rng,
}

impl PushedConsumer {
    /// One that was given nothing yet.
    pub(crate) fn new(group: &Arc<Group>, rng: Rng) -> Self {
        Self { group: Arc::clone(group), rng }
    }

    fn act(&mut self, attached: &mut Attached, given: &Delivered) -> Result<After, Gone> {
        let offsets: Vec<u64> = (given.base_offset..).take(given.messages.len()).collect();
        let (good, poison) = split(&offsets);
        let verdict = nack(&mut self.rng);
        attached.settle(&poison, verdict, SettleAnswer::Unwanted)?;
        match Act::draw(&mut self.rng) {
            Act::Acknowledge => {
                self.group.note_acknowledged(&good);
                attached.settle(&good, Verdict::Ack, SettleAnswer::Wanted)?;
            }
            Act::AcknowledgeSilently => {
                self.group.note_acknowledged(&good);
                attached.settle(&good, Verdict::Ack, SettleAnswer::Unwanted)?;
            }
            Act::GiveBack => {
                let verdict = nack(&mut self.rng);
                attached.settle(&good, verdict, SettleAnswer::Unwanted)?;
            }
            Act::Ignore => {}
            Act::Vanish => return Ok(After::Vanish),
        }
        Ok(After::GoOn)
    }
}

/// What a pushed consumer knows of one connection.
#[derive(Debug)]
struct Attached {
    wire: NativeWire,
    subscription: u32,
    since: Instant,
    /// What is to be confirmed, by the correlation id that it was asked with.
    unconfirmed: HashMap<u32, Vec<u64>>,
}

impl Attached {
    fn open(address: SocketAddr, topic: &str) -> Result<Self, Gone> {
        let mut wire = NativeWire::open(address)?;
        let since = Instant::now();
        let subscription = wire.send(&Request::Subscribe {
            topic: topic.into(),
            subscriber: GROUP.into(),
            delivery: Delivery::Push(PUSH),
            start: Start::Earliest,
            acks: Some(TERMS),
        })?;
        let answer = wire.read()?;
        assert!(matches!(answer.reply, Reply::Subscribed { .. }), "attached: {answer:?}");
        Ok(Self { wire, subscription, since, unconfirmed: HashMap::new() })
    }

    fn settle(
        &mut self,
        offsets: &[u64],
        verdict: Verdict,
        answer: SettleAnswer,
    ) -> Result<(), Gone> {
        if offsets.is_empty() {
            return Ok(());
        }
        let target = SettleTarget::Attached { subscription: self.subscription };
        let ranges = ranges(offsets);
        let correlation = self.wire.send(&Request::Settle { target, ranges, verdict, answer })?;
        if answer == SettleAnswer::Wanted {
            self.unconfirmed.insert(correlation, offsets.to_vec());
        }
        Ok(())
    }
}

impl Worker for PushedConsumer {
    fn work(&mut self, address: SocketAddr, pace: &Pace) -> Result<Infallible, Gone> {
        loop {
            let mut attached = Attached::open(address, &self.group.topic)?;
            loop {
                let Received { correlation, reply } = attached.wire.read()?;
                let (deliveries, given) = match reply {
                    Reply::Deliver(given) => (1, given),
                    Reply::Redeliver { deliveries, delivered } => (deliveries, delivered),
                    Reply::Done => {
                        let offsets = attached.unconfirmed.remove(&correlation);
                        self.group.note_confirmed(&offsets.expect("an answer was awaited"));
                        pace.confirm();
                        continue;
                    }
                    other => panic!("expected messages or OK, found {other:?}"),
                };
                self.group.note_given(
                    given.base_offset,
                    &given.messages,
                    deliveries,
                    attached.since,
                );
                if self.act(&mut attached, &given)? == After::Vanish {
                    break;
                }
            }
        }
    }
}
