//! Publishers: each numbers its messages, and knows which of them the broker acknowledged.

use crate::message::Message;
use crate::pace::Pace;
use crate::publications::{Publications, Sent};
use crate::wire::{Gone, JsonWire, NativeWire, number};
use crate::worker::Worker;
use conformance::Reply;
use fastrand::Rng;
use protocol::{
    BatchBuilder, Durability, Messages, PublishAck, PublishTerms, PublisherId, PublisherSequence,
    Request,
};
use serde_json::json;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

/// Publications that may wait for their acknowledgement at once. An idempotent publisher has no
/// more than this in doubt after a crash, which is less than what a broker remembers of it.
const IN_FLIGHT_MAX: u64 = 16;

/// Messages of one batch.
const BATCH_COUNT_MAX: u32 = 50;

/// How a publisher publishes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// One message at a time on the native wire, each acknowledged before the next.
    Single,
    /// Batches on the native wire, several in flight.
    Batches,
    /// JSON lines, several in flight.
    Json,
    /// Numbered publications on the native wire, several in flight. What was in doubt is sent
    /// again with the same number.
    Idempotent,
}

impl Style {
    /// Every style there is.
    pub(crate) const ALL: [Self; 4] = [Self::Single, Self::Batches, Self::Json, Self::Idempotent];
}

/// Publishes to one topic, through the lives of any number of brokers.
#[derive(Debug)]
pub(crate) struct Publisher {
    topic: Arc<str>,
    style: Style,
    sizes: Sizes,
    rng: Rng,
    run: u32,
    number_next: u64,
    publications: Publications,
    /// Indices of what was sent and not yet acknowledged, in the order of sending.
    in_doubt: VecDeque<usize>,
    in_flight_max: u64,
}

/// How large messages are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sizes {
    /// Most are small, and few larger than a segment of the journal.
    Mixed,
    /// A few KiB: the topic keeps the newest of them only.
    Bulky,
}

impl Sizes {
    /// Letters of padding in each of `count` messages.
    fn padding_bytes(self, count: u32, rng: &mut Rng) -> u32 {
        match (self, rng.u32(..1000)) {
            (Self::Mixed, 0..3) => 70_000 / count + 100,
            (Self::Mixed, 3..30) => rng.u32(1000..4000),
            (Self::Mixed, _) => rng.u32(..60),
            (Self::Bulky, _) => rng.u32(..500),
        }
    }
}

enum Wire {
    Native(NativeWire),
    Json(JsonWire),
}

impl Publisher {
    /// One that has not published yet; `id` is its own.
    pub(crate) fn new(topic: &Arc<str>, style: Style, sizes: Sizes, id: u32, mut rng: Rng) -> Self {
        let in_flight_max = match style {
            Style::Single => 1,
            _ => rng.u64(2..=IN_FLIGHT_MAX),
        };
        Self {
            topic: Arc::clone(topic),
            style,
            sizes,
            rng,
            run: 0,
            number_next: 0,
            publications: Publications { publisher: id, sent: Vec::new() },
            in_doubt: VecDeque::new(),
            in_flight_max,
        }
    }

    /// The topic that it publishes to.
    pub(crate) fn topic(&self) -> &str {
        &self.topic
    }

    /// What it sent and heard.
    pub(crate) fn publications(&self) -> &Publications {
        &self.publications
    }

    fn connect(&self, address: SocketAddr) -> Result<Wire, Gone> {
        Ok(match self.style {
            Style::Json => Wire::Json(JsonWire::open(address)?),
            _ => Wire::Native(NativeWire::open(address)?),
        })
    }

    /// What to send first on a new connection: what is in doubt, or some of it.
    fn send_again(&mut self, wire: &mut Wire) -> Result<(), Gone> {
        let in_doubt = std::mem::take(&mut self.in_doubt);
        if self.style == Style::Idempotent {
            // One that was acknowledged before is known as well.
            let newest =
                self.publications.sent.iter().rposition(|sent| sent.acknowledged.is_some());
            let known = newest.filter(|_| self.rng.bool());
            self.in_doubt = known.into_iter().chain(in_doubt).collect();
            for index in self.in_doubt.clone() {
                self.send(wire, index)?;
            }
            return Ok(());
        }
        self.run += 1;
        for index in in_doubt {
            // Who gives up on one leaves a gap in its numbers, or had it taken.
            if self.rng.u32(..4) > 0 {
                let sent = Sent { run: self.run, ..self.publications.sent[index] };
                self.send_new(wire, sent)?;
            }
        }
        Ok(())
    }

    fn send_next(&mut self, wire: &mut Wire) -> Result<(), Gone> {
        let count = match self.style {
            Style::Single | Style::Json => 1,
            Style::Batches | Style::Idempotent => self.rng.u32(1..=BATCH_COUNT_MAX),
        };
        let padding_bytes = self.sizes.padding_bytes(count, &mut self.rng);
        let first = self.number_next;
        self.number_next += u64::from(count);
        let sent = Sent { run: self.run, first, count, padding_bytes, acknowledged: None };
        self.send_new(wire, sent)
    }

    fn send_new(&mut self, wire: &mut Wire, sent: Sent) -> Result<(), Gone> {
        let index = self.publications.sent.len();
        self.publications.sent.push(sent);
        self.in_doubt.push_back(index);
        self.send(wire, index)
    }

    fn send(&mut self, wire: &mut Wire, index: usize) -> Result<(), Gone> {
        let sent = self.publications.sent[index];
        let publisher = self.publications.publisher;
        let durability = self.rng.bool().then_some(Durability::Os);
        let payloads = sent.messages(publisher).map(|message: Message| message.payload());
        match wire {
            Wire::Json(wire) => {
                let message: String = payloads.collect();
                let topic = &*self.topic;
                let mut request = json!({"command": "PUBLISH", "topic": topic, "message": message});
                if let Some(durability) = durability {
                    request["durability"] = durability.name().into();
                }
                wire.send(&request)
            }
            Wire::Native(wire) => {
                let mut batch = BatchBuilder::new();
                for payload in payloads {
                    batch.push(payload.as_bytes()).expect("a record can say its length");
                }
                let publisher = PublisherId(publisher.into());
                let sequence = PublisherSequence { publisher, sequence: index as u64 };
                let sequence = (self.style == Style::Idempotent).then_some(sequence);
                wire.send(&Request::Publish {
                    topic: (&*self.topic).into(),
                    messages: Messages::Batch(batch.batch()),
                    ack: PublishAck::Wanted,
                    terms: PublishTerms { durability, sequence },
                })?;
                Ok(())
            }
        }
    }

    /// Reads the acknowledgement of the oldest publication in doubt.
    fn read_acknowledgement(&mut self, wire: &mut Wire) -> Result<(), Gone> {
        let index = *self.in_doubt.front().expect("one is in doubt");
        let sent = self.publications.sent[index];
        let base_offset = match wire {
            Wire::Json(wire) => number(&wire.read()?, "offset"),
            Wire::Native(wire) => match wire.read()?.reply {
                Reply::Published { base_offset, count } => {
                    assert_eq!(count, sent.count, "the count of {sent:?}, acknowledged");
                    base_offset
                }
                other => panic!("expected PUBLISHED of {sent:?}, found {other:?}"),
            },
        };
        self.publications.acknowledge(index, base_offset);
        self.in_doubt.pop_front();
        Ok(())
    }
}

impl Worker for Publisher {
    fn work(&mut self, address: SocketAddr, pace: &Pace) -> Result<Infallible, Gone> {
        let mut wire = self.connect(address)?;
        self.send_again(&mut wire)?;
        loop {
            while (self.in_doubt.len() as u64) < self.in_flight_max {
                self.send_next(&mut wire)?;
            }
            self.read_acknowledgement(&mut wire)?;
            pace.confirm();
        }
    }
}
