//! A publisher to an exchange.
//!
//! Where streams are on disk it has its messages confirmed even if nobody wants to know. RabbitMQ
//! drops what is still on its way to a quorum queue when the channel ends that it came by, and a
//! confirm is all that tells when nothing is any more.

use super::confirms::Confirms;
use super::frames::{ContentEncoder, FRAME_BYTES_MAX};
use super::methods::{Call, Mandatory, Method, publication, refused};
use super::session::{Event, Session, Setup};
use super::{Conversation, Heard, Publisher, SEPARATOR, StreamTerms};
use crate::config::AmqpQueue;
use crate::drivers::DriverError;
use crate::message::{BatchStamp, Payloads};
use crate::wire::unacknowledged::Unacknowledged;
use crate::wire::{Confirmation, Publications};
use std::sync::Arc;

pub(super) struct AmqpPublisher {
    session: Session,
    /// Frames, by topic.
    methods: Vec<Vec<u8>>,
    payloads: Arc<Payloads>,
    queues: AmqpQueue,
    confirms_selected: bool,
    publications: Publications<ContentEncoder>,
    /// What they are encoded for.
    frame_bytes_max: usize,
    confirms: Confirms,
    unacknowledged: Unacknowledged,
    end: End,
}

/// How far the question is whether all that was published is taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Open,
    /// All is with its queues, and perhaps not confirmed by them.
    Answered,
}

impl AmqpPublisher {
    pub(super) fn new(terms: &StreamTerms, queues: AmqpQueue) -> Self {
        let mut setup = Setup::with_channel();
        let confirms_selected =
            terms.confirmation == Confirmation::Wanted || queues == AmqpQueue::Quorum;
        let mandatory = match confirms_selected {
            true => Mandatory::Yes,
            false => Mandatory::No,
        };
        if confirms_selected {
            setup.ask(&Call::SelectConfirms);
        }
        let topics = terms.topic_names(SEPARATOR);
        let methods: Vec<_> = topics.map(|key| publication(&terms.root, &key, mandatory)).collect();
        let encoder = ContentEncoder::new(methods.clone(), queues, FRAME_BYTES_MAX);
        Self {
            session: Session::new(setup),
            methods,
            payloads: terms.payloads.clone(),
            queues,
            confirms_selected,
            publications: Publications::new(encoder, terms.payloads.clone()),
            frame_bytes_max: FRAME_BYTES_MAX,
            confirms: Confirms::new(),
            unacknowledged: Unacknowledged::new(terms.confirmation),
            end: End::Open,
        }
    }

    /// A broker may allow smaller frames than was thought.
    #[cold]
    fn encode_for(&mut self, frame_bytes_max: usize) {
        let encoder = ContentEncoder::new(self.methods.clone(), self.queues, frame_bytes_max);
        self.publications = Publications::new(encoder, self.payloads.clone());
        self.frame_bytes_max = frame_bytes_max;
    }
}

impl Conversation for AmqpPublisher {
    fn poll_opening(&mut self, output: &mut Vec<u8>) {
        self.session.poll_opening(output);
    }

    fn handle_input(
        &mut self,
        input: &[u8],
        heard: &mut Heard<'_, '_>,
    ) -> Result<usize, DriverError> {
        let (confirms, end, mut confirmed) = (&mut self.confirms, &mut self.end, 0);
        let used = self.session.handle_input(input, heard, |_, event| {
            match event {
                Event::Method(Method::Ack { tag, multiple }) => {
                    confirmed += confirms.handle_ack(tag, multiple)?;
                }
                Event::Method(Method::Granted) => *end = End::Answered,
                Event::Method(Method::Return { code, reason }) => {
                    return Err(refused(code, reason));
                }
                Event::Method(Method::Nack { tag }) => {
                    let reason = format!("the broker lost message {tag} (basic.nack)");
                    return Err(refused(0, reason.as_bytes()));
                }
                other => return Err(DriverError::unexpected("a confirm", &other)),
            }
            Ok(())
        })?;
        if confirmed > 0 {
            heard.acknowledge(self.unacknowledged.acknowledge(confirmed)?);
        }
        if self.end == End::Answered && self.confirms.are_complete() {
            self.end = End::Open;
            heard.finished();
        }
        Ok(used)
    }
}

impl Publisher for AmqpPublisher {
    fn publish(&mut self, stamp: &BatchStamp<'_>) -> &[u8] {
        if self.session.frame_bytes_max() != self.frame_bytes_max {
            self.encode_for(self.session.frame_bytes_max());
        }
        if self.confirms_selected {
            self.confirms.publish(stamp.count);
        }
        self.unacknowledged.publish(stamp.count);
        self.publications.stamped(stamp).bytes()
    }

    /// A channel does one thing after the other, so its answer comes when all that was published
    /// is with its queues; their confirms are waited for too.
    fn finish(&mut self, output: &mut Vec<u8>) {
        Call::Qos.encode(output);
    }
}

#[cfg(test)]
impl AmqpPublisher {
    /// So many publications of one message are under way.
    pub(super) fn expect_publications(&mut self, publications: u32) {
        self.confirms.publish(publications);
        (0..publications).for_each(|_| self.unacknowledged.publish(1));
    }
}
