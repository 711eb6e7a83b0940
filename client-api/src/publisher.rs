//! A publisher whose publications the broker knows again, so that each is appended once.

use crate::PublisherId;
use protocol::{Durability, PublishTerms, PublisherSequence};

/// Publications of one publisher that may be unanswered at once: the broker knows again as many
/// of each publisher's newest.
pub(crate) const SEQUENCED_IN_FLIGHT_MAX: usize = 64;

/// An idempotent publisher: it numbers its publications to one topic, and the broker appends
/// each number once. A client repeats its publications by itself when the connection was lost,
/// and none is appended twice or left out.
///
/// It is a plain value that a client's `publish_idempotent` and `send_idempotent` borrow. A
/// program that must not publish twice across its own restarts keeps, with each message that it
/// is going to publish, the publisher's [`id`](Self::id) and
/// [`next_sequence`](Self::next_sequence), and [resumes](Self::resume) with what was not
/// acknowledged.
///
/// ```no_run
/// use client_api::{IdempotentPublisher, blocking::Client};
///
/// # fn main() -> Result<(), client_api::Error> {
/// let mut client = Client::connect("localhost:8080")?;
/// let mut orders = IdempotentPublisher::new("Orders");
/// for number in 0..1000 {
///     client.send_idempotent(&mut orders, [format!("order {number}")])?;
/// }
/// client.wait_all()?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct IdempotentPublisher {
    topic: Box<str>,
    id: PublisherId,
    next_sequence: u64,
    durability: Option<Durability>,
}

impl IdempotentPublisher {
    /// A new one, under an id that no other has.
    #[must_use]
    pub fn new(topic: &str) -> Self {
        Self::resume(topic, PublisherId::random(), 0)
    }

    /// Goes on under the id of one that was before. The next publication gets the number
    /// `next_sequence`: if the broker has one of this number, it is the same publication to it,
    /// whatever it holds, and is not appended again.
    #[must_use]
    pub fn resume(topic: &str, id: PublisherId, next_sequence: u64) -> Self {
        Self { topic: topic.into(), id, next_sequence, durability: None }
    }

    /// Sets when its publications are acknowledged; otherwise the topic says it.
    #[must_use]
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = Some(durability);
        self
    }

    /// Where it publishes.
    #[must_use]
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// Under which id.
    #[must_use]
    pub fn id(&self) -> PublisherId {
        self.id
    }

    /// The number of its next publication.
    #[must_use]
    pub fn next_sequence(&self) -> u64 {
        self.next_sequence
    }

    /// The terms of its next publication.
    pub(crate) fn terms(&self) -> PublishTerms {
        let sequence =
            PublisherSequence { publisher: self.id.on_the_wire(), sequence: self.next_sequence };
        PublishTerms { durability: self.durability, sequence: Some(sequence) }
    }

    /// Takes note that a publication with the next number is on its way.
    pub(crate) fn advance(&mut self) {
        self.next_sequence += 1;
    }
}
