//! AMQP 0-9-1, as RabbitMQ speaks it.
//!
//! A stream is an exchange, and each subscriber has a queue of its own bound to it: a fanout
//! exchange where there is one topic, else a direct one whose keys are the topics, or a topic
//! exchange for subscribers that name all by a wildcard. Queues are consumed without
//! acknowledgements, as the other drivers' subscriptions are.
//!
//! What a confirm (`basic.ack` to a publisher) promises, by RabbitMQ's own words
//! (<https://www.rabbitmq.com/docs/confirms#when-publishes-are-confirmed>): all queues have
//! accepted the message, and for persistent messages in durable queues that it is persisted to
//! disk; for quorum queues, that a quorum of replicas has accepted it.
//!
//! - [`AmqpQueue::Classic`]: transient messages in exclusive queues. Acknowledged in memory.
//! - [`AmqpQueue::Quorum`]: persistent messages in durable quorum queues. A member has accepted a
//!   message when it is in its write-ahead log, which is synced once for all that came meanwhile
//!   (<https://www.rabbitmq.com/docs/quorum-queues#behaviour>): acknowledged after sync. Not
//!   durable classic queues: these confirm a persistent message that a consumer took at once
//!   without having written it ("persisted to disk, or when it is consumed on every queue",
//!   <https://www.rabbitmq.com/blog/2011/02/10/introducing-publisher-confirms>), so that with
//!   subscribers that keep up nothing would be synced at all.
//!
//! A message that no queue takes is confirmed as well; so publications that are to be acknowledged
//! are mandatory, and one without a queue is a refusal.
//!
//! The frames are written here and not by a library's codec: that of `amq-protocol`, the one in
//! use, copies each body into a vector of its own. It is what the tests compare with.

mod confirms;
mod fields;
mod frames;
mod methods;
mod operator;
mod publisher;
mod session;
mod subscriber;

use super::{Conversation, Driver, Encoder, Heard, Operator, Publisher, Selection, StreamTerms};
use crate::config::AmqpQueue;
use crate::drivers::DriverError;
use frames::ContentEncoder;
use methods::{Call, QueueKind};
use operator::AmqpOperator;
use publisher::AmqpPublisher;
use session::{Session, Setup};
use std::net::SocketAddr;
use subscriber::AmqpSubscriber;

/// Between the words of a routing key.
const SEPARATOR: char = '.';

/// A broker that speaks AMQP 0-9-1, with the account that RabbitMQ begins with.
#[derive(Debug)]
pub struct Amqp {
    address: SocketAddr,
    queues: AmqpQueue,
}

impl Amqp {
    /// At this address; its queues are kept in memory or on disk.
    #[must_use]
    pub fn new(address: SocketAddr, queues: AmqpQueue) -> Self {
        Self { address, queues }
    }
}

impl Driver for Amqp {
    fn address(&self) -> SocketAddr {
        self.address
    }

    fn operator(&self, _client: u32) -> Box<dyn Operator> {
        Box::new(AmqpOperator::new(self.queues))
    }

    fn publisher(&self, terms: &StreamTerms, _publisher: u32) -> Box<dyn Publisher> {
        Box::new(AmqpPublisher::new(terms, self.queues))
    }

    fn subscriber(&self, terms: &StreamTerms, subscriber: u32) -> Box<dyn Conversation> {
        let queue = format!("{}{SEPARATOR}subscriber-{subscriber}", terms.root);
        let queue = queue.as_str();
        let mut setup = Setup::with_channel();
        setup.ask(&Call::DeclareQueue { queue, kind: QueueKind::of_subscriber(self.queues) });
        for key in binding_keys(terms) {
            setup.ask(&Call::BindQueue { queue, exchange: &terms.root, key: &key });
        }
        setup.ask(&Call::Consume { queue });
        Box::new(AmqpSubscriber::new(setup))
    }

    fn idler(&self, _client: u32) -> Box<dyn Conversation> {
        Box::new(Asking { session: Session::new(Setup::default()) })
    }

    fn preparation(&self, terms: &StreamTerms) -> Option<Box<dyn Conversation>> {
        let kind = match (terms.topics, terms.selection) {
            (1, _) => "fanout",
            (_, Selection::Names) => "direct",
            (_, Selection::Wildcard) => "topic",
        };
        let mut setup = Setup::with_channel();
        let exchange = &terms.root;
        setup.ask(&Call::DeclareExchange { exchange, kind, queues: self.queues });
        Some(Box::new(Asking { session: Session::new(setup) }))
    }

    /// Queues go with their subscribers, or `QUEUE_UNUSED_MS_MAX`
    /// after them.
    fn removal(&self, terms: &StreamTerms) -> Option<Box<dyn Conversation>> {
        let mut setup = Setup::with_channel();
        setup.ask(&Call::DeleteExchange { exchange: &terms.root });
        Some(Box::new(Asking { session: Session::new(setup) }))
    }

    fn delivery_encoder(&self, terms: &StreamTerms) -> Option<Box<dyn Encoder>> {
        let topics = terms.topic_names(SEPARATOR);
        let methods = topics.map(|key| methods::delivery(&terms.root, &key)).collect();
        Some(Box::new(ContentEncoder::new(methods, self.queues, frames::FRAME_BYTES_MAX)))
    }
}

/// What a subscriber binds its queue with.
fn binding_keys(terms: &StreamTerms) -> Vec<String> {
    match terms.selection {
        Selection::Names => terms.topic_names(SEPARATOR).collect(),
        Selection::Wildcard if terms.topics == 1 => vec![terms.root.clone()],
        Selection::Wildcard => vec![format!("{}{SEPARATOR}*", terms.root)],
    }
}

/// Opens a connection, asks what its setup has, and is ready when all of it is granted.
struct Asking {
    session: Session,
}

impl Conversation for Asking {
    fn poll_opening(&mut self, output: &mut Vec<u8>) {
        self.session.poll_opening(output);
    }

    fn handle_input(
        &mut self,
        input: &[u8],
        heard: &mut Heard<'_, '_>,
    ) -> Result<usize, DriverError> {
        self.session.handle_input(input, heard, |_, event| {
            Err(DriverError::unexpected("nothing that was not asked for", &event))
        })
    }
}

#[cfg(test)]
mod tests;
