//! What is said to a broker and heard from it: each protocol as conversations without sockets.
//!
//! A [`Driver`] makes [`Conversation`]s, one for each connection. A conversation is handed what
//! was read and hands back what is to be written; sockets, threads, clocks and pacing belong to
//! the [`engine`](crate::engine), which is the same for all. So all drivers do the same class of
//! work for each message: a publisher renews the stamps of an encoded batch, a subscriber walks
//! what was read where it lies, and what differs between two brokers' figures is the brokers.
//!
//! To add a broker, implement [`Driver`] and the three kinds of conversation, and give it a name
//! in [`DriverKind`](crate::drivers::DriverKind); `docs/adding-a-broker.md` does it step by step.
//!
//! ```text
//! engine                                  conversation
//!   connects                              poll_opening  -> bytes to write
//!   reads    -> bytes                     handle_input  -> heard.ready(), .deliver(), .acknowledge()
//!   it is due                             publish       -> bytes to write
//!   the phase ends                        finish        -> bytes to write, then heard.finished()
//! ```

mod amqp;
mod blocking;
#[cfg(test)]
mod brokers;
mod byte_pipe;
#[cfg(test)]
mod exchanges;
mod heard;
mod jetstream;
mod json;
mod library;
mod mqtt;
mod native;
mod nats;
mod null;
mod pieces;
mod publications;
mod redis;
mod stomp;
#[cfg(test)]
pub(crate) mod testing;
mod unacknowledged;

pub use amqp::Amqp;
pub use blocking::{hold_conversation, hold_fill, hold_requests};
pub use byte_pipe::BytePipe;
pub use heard::{Heard, Tidings};
pub use jetstream::JetStream;
pub use json::TandemJson;
pub use library::TandemClient;
pub use mqtt::Mqtt;
pub use native::Native;
pub use nats::Nats;
pub use null::Null;
pub use publications::{EncodedBatch, Encoder, Publications};
pub use redis::{Redis, RedisStreams};
pub use stomp::Stomp;

use crate::drivers::DriverError;
use crate::message::{BatchStamp, Payloads};
use protocol::LagPolicy;
use std::net::SocketAddr;
use std::sync::Arc;

/// What publishers and subscribers of a stream need to know.
#[derive(Clone, Debug)]
pub struct StreamTerms {
    /// The name of its only topic, or what the names of its topics begin with; used by it alone.
    pub root: String,
    /// Topics; at least one.
    pub topics: u32,
    /// How subscribers name them.
    pub selection: Selection,
    /// What is published.
    pub payloads: Arc<Payloads>,
    /// Messages in one publication, at most.
    pub batch_max: u32,
    /// Whether publications are acknowledged.
    pub confirmation: Confirmation,
    /// What the topics must be able to hold, payloads alone; `None`: the broker's default.
    pub held: Option<Held>,
    /// What the broker is to do when a subscriber falls behind, where it has a choice.
    pub lag_policy: LagPolicy,
}

impl StreamTerms {
    /// The name of a topic, with the protocol's own separator of levels.
    #[must_use]
    pub fn topic(&self, index: u32, separator: char) -> String {
        match self.topics {
            1 => self.root.clone(),
            _ => format!("{}{separator}{index}", self.root),
        }
    }

    /// The names of all topics.
    pub fn topic_names(&self, separator: char) -> impl Iterator<Item = String> + '_ {
        (0..self.topics).map(move |index| self.topic(index, separator))
    }
}

/// How subscribers name a stream's topics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Selection {
    /// Each by its name.
    Names,
    /// All by one pattern.
    Wildcard,
}

/// Whether publications are acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Confirmation {
    /// Each is, in order.
    Wanted,
    /// None is; at the end of a phase the broker is asked whether it has taken all in.
    Unwanted,
}

/// What topics hold when nobody reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// Messages.
    pub messages: u64,
    /// Bytes of payload in all of them.
    pub payload_bytes: u64,
}

/// A request that a client makes and waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request<'a> {
    /// Create a topic.
    Create {
        /// Which.
        topic: &'a str,
    },
    /// Publish one message, acknowledged.
    Publish {
        /// To which.
        topic: &'a str,
        /// What.
        payload: &'a [u8],
    },
    /// Subscribe, to pull later.
    Subscribe {
        /// To which.
        topic: &'a str,
        /// Under which name.
        subscriber: &'a str,
    },
    /// Pull the next message.
    Pull {
        /// From which.
        topic: &'a str,
        /// Under which name.
        subscriber: &'a str,
    },
    /// Delete a topic.
    Delete {
        /// Which.
        topic: &'a str,
    },
}

/// Makes conversations with one broker.
pub trait Driver: Send + Sync {
    /// Where the broker listens.
    fn address(&self) -> SocketAddr;

    /// Whether there is no broker to connect to: requests answer themselves, and deliveries are
    /// made by its [`delivery_encoder`](Self::delivery_encoder).
    fn is_in_process(&self) -> bool {
        false
    }

    /// A client that asks and waits. `client` tells it from others in names that must be unique.
    fn operator(&self, client: u32) -> Box<dyn Operator>;

    /// A publisher of a stream. All subscribers are ready before the first publisher connects.
    fn publisher(&self, terms: &StreamTerms, publisher: u32) -> Box<dyn Publisher>;

    /// A subscriber: once it is ready, whatever is published reaches it, and before that whatever
    /// the topics hold.
    fn subscriber(&self, terms: &StreamTerms, subscriber: u32) -> Box<dyn Conversation>;

    /// A subscriber that takes up where the one of the same number before it was, on this broker or
    /// on the one that was started from its files, where the broker or the conversation keeps that
    /// place. Where neither does, it begins anew.
    fn returning_subscriber(&self, terms: &StreamTerms, subscriber: u32) -> Box<dyn Conversation> {
        self.subscriber(terms, subscriber)
    }

    /// A subscriber that comes while a stream goes on, and goes again: what is published while it
    /// is there reaches it, or some of it, and it holds nobody up. No two have the same number.
    fn passing_subscriber(&self, terms: &StreamTerms, subscriber: u32) -> Box<dyn Conversation> {
        self.subscriber(terms, subscriber)
    }

    /// A connection that is ready and then at rest, as one of an application that waits; also
    /// what a connect storm makes.
    fn idler(&self, client: u32) -> Box<dyn Conversation>;

    /// Makes what a stream needs before anyone connects, such as its topics; ready when done.
    /// `None`: nothing.
    fn preparation(&self, terms: &StreamTerms) -> Option<Box<dyn Conversation>> {
        let _ = terms;
        None
    }

    /// Removes what [`preparation`](Self::preparation) made; ready when done.
    fn removal(&self, terms: &StreamTerms) -> Option<Box<dyn Conversation>> {
        let _ = terms;
        None
    }

    /// How a delivery of the stream reaches a subscriber, encoded as a broker would: what the
    /// generator's own ceiling with this driver is measured with. `None`: it is not measured.
    fn delivery_encoder(&self, terms: &StreamTerms) -> Option<Box<dyn Encoder>> {
        let _ = terms;
        None
    }
}

/// One connection's side of a protocol.
pub trait Conversation: Send {
    /// Appends what is said before anything was heard.
    fn poll_opening(&mut self, output: &mut Vec<u8>);

    /// Takes in what was read, and returns how many bytes of it were used: whole frames alone.
    /// What is left comes again with what was read next.
    ///
    /// # Errors
    /// Any [`DriverError`]; a refusal of a publication shows here. After an error the connection
    /// is closed.
    fn handle_input(
        &mut self,
        input: &[u8],
        heard: &mut Heard<'_, '_>,
    ) -> Result<usize, DriverError>;

    /// How long the input must become to be of use, as of the last
    /// [`handle_input`](Self::handle_input): where large frames come, room is made for them.
    fn input_bytes_wanted(&self) -> usize {
        0
    }

    /// The connection is lost. Whether this conversation goes on with another opening on another
    /// connection, where it keeps the place that it had come to; if not, a new one takes its place.
    fn handle_lost(&mut self) -> bool {
        false
    }
}

/// A client that asks and waits for its answer, which [`Heard::answer`] tells.
pub trait Operator: Conversation {
    /// Encodes a request; none is outstanding.
    ///
    /// # Errors
    /// [`DriverError::Unexpected`] for a request that the broker does not have.
    fn request(&mut self, request: &Request<'_>, output: &mut Vec<u8>) -> Result<(), DriverError>;

    /// Encodes `count` publications of the same message in any way, and returns how many answers
    /// they will have; never measured.
    ///
    /// # Errors
    /// As for [`request`](Self::request).
    fn fill(
        &mut self,
        topic: &str,
        payload: &[u8],
        count: u32,
        output: &mut Vec<u8>,
    ) -> Result<u32, DriverError> {
        for _ in 0..count {
            self.request(&Request::Publish { topic, payload }, output)?;
        }
        Ok(count)
    }
}

/// A publisher of a stream. Its acknowledged publications are told by [`Heard::acknowledge`].
pub trait Publisher: Conversation {
    /// Messages that it may publish at this moment, where the protocol bounds what is under way.
    fn room(&self) -> u32 {
        u32::MAX
    }

    /// Encodes one publication of `stamp.count` messages: the bytes to write, which are
    /// written whole before it is asked for anything else.
    fn publish(&mut self, stamp: &BatchStamp<'_>) -> &[u8];

    /// Appends the question whether all that was published is taken in; [`Heard::finished`] tells
    /// the answer.
    fn finish(&mut self, output: &mut Vec<u8>);
}
