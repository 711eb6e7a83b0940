//! A push subscription with cumulative acknowledgements: what was confirmed to be acknowledged
//! does not come again, and what was not does.

use crate::pace::Pace;
use crate::topic_log::Shown;
use crate::wire::{Gone, NativeWire};
use crate::worker::Worker;
use conformance::{Delivered, PUSH, Received, Reply};
use fastrand::Rng;
use protocol::{AckMode, Delivery, Push, Request, SettleAnswer, Start};
use std::collections::VecDeque;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

/// Follows one topic, through the lives of any number of brokers.
#[derive(Debug)]
pub(crate) struct Follower {
    topic: Arc<str>,
    shown: Arc<Shown>,
    rng: Rng,
    /// All before it was acknowledged, and that was confirmed.
    confirmed: u64,
    /// All before it was acknowledged, perhaps in vain.
    acknowledged: u64,
}

/// What it knows of one connection.
#[derive(Debug)]
struct Attached {
    wire: NativeWire,
    subscription: u32,
    next_offset: u64,
    /// Acknowledgements that are to be confirmed: their correlation ids, and where they end.
    unconfirmed: VecDeque<(u32, u64)>,
}

impl Follower {
    /// One that has read nothing yet.
    pub(crate) fn new(topic: &Arc<str>, shown: &Arc<Shown>, rng: Rng) -> Self {
        let (topic, shown) = (Arc::clone(topic), Arc::clone(shown));
        Self { topic, shown, rng, confirmed: 0, acknowledged: 0 }
    }

    /// Attaches, and checks where the broker has it go on.
    fn attach(&mut self, address: SocketAddr) -> Result<Attached, Gone> {
        let mut wire = NativeWire::open(address)?;
        let subscription = wire.send(&Request::Subscribe {
            topic: (&*self.topic).into(),
            subscriber: "follower".into(),
            delivery: Delivery::Push(Push { ack_mode: AckMode::Cumulative, ..PUSH }),
            start: Start::Earliest,
            acks: None,
        })?;
        let Received { correlation, reply: Reply::Subscribed { next_offset } } = wire.read()?
        else {
            panic!("expected SUBSCRIBED first");
        };
        assert_eq!(correlation, subscription, "the answer's id");
        let (from, until) = (self.confirmed, self.acknowledged);
        assert!(
            (from..=until).contains(&next_offset),
            "{} was acknowledged up to {from}, and perhaps to {until}; found {next_offset}",
            self.topic
        );
        self.confirmed = next_offset;
        Ok(Attached { wire, subscription, next_offset, unconfirmed: VecDeque::new() })
    }

    fn take(&mut self, attached: &mut Attached, delivered: &Delivered) -> Result<(), Gone> {
        let Delivered { base_offset, messages, .. } = delivered;
        assert_eq!(*base_offset, attached.next_offset, "no gap in {}, no repeat", self.topic);
        self.shown.note(*base_offset, messages);
        attached.next_offset += messages.len() as u64;
        // Some frames are acknowledged in part, and some with those behind them.
        let acknowledged = base_offset + self.rng.u64(0..=messages.len() as u64);
        if acknowledged <= self.acknowledged.max(*base_offset) {
            return Ok(());
        }
        self.acknowledged = acknowledged;
        let answer = if self.rng.bool() { SettleAnswer::Wanted } else { SettleAnswer::Unwanted };
        let subscription = attached.subscription;
        let ack = Request::Ack { subscription, offset: acknowledged - 1, answer };
        let correlation = attached.wire.send(&ack)?;
        if answer == SettleAnswer::Wanted {
            attached.unconfirmed.push_back((correlation, acknowledged));
        }
        Ok(())
    }
}

impl Worker for Follower {
    fn work(&mut self, address: SocketAddr, pace: &Pace) -> Result<Infallible, Gone> {
        let mut attached = self.attach(address)?;
        loop {
            let Received { correlation, reply } = attached.wire.read()?;
            match reply {
                Reply::Deliver(delivered) => {
                    assert_eq!(correlation, attached.subscription, "the only subscription");
                    self.take(&mut attached, &delivered)?;
                }
                Reply::Done => {
                    let asked = attached.unconfirmed.pop_front().expect("an answer was awaited");
                    assert_eq!(asked.0, correlation, "answers come in order");
                    self.confirmed = asked.1;
                    pace.confirm();
                }
                other => panic!("expected DELIVER or OK, found {other:?}"),
            }
        }
    }
}
