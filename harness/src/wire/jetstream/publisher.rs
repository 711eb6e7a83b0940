//! A publisher of a JetStream stream.

use super::api::{check_pub_ack, check_refused, publish_refused};
use super::{
    ANSWERS, CONNECT, Conversation, HeardOf, LINE_END, PING, SEPARATOR, StreamTerms, subscribe,
    take_lines,
};
use crate::drivers::DriverError;
use crate::message::BatchStamp;
use crate::wire::unacknowledged::Unacknowledged;
use crate::wire::{Confirmation, EncodedBatch, Encoder, Heard, Publications, Publisher};

/// The subscription that the last answer comes by.
const END: u32 = 2;

pub(super) struct JetStreamPublisher {
    inbox: String,
    end_inbox: String,
    first_topic: String,
    publications: Publications<PubEncoder>,
    unacknowledged: Unacknowledged,
}

impl JetStreamPublisher {
    pub(super) fn new(terms: &StreamTerms, publisher: u32) -> Self {
        let inbox = format!("_INBOX.{}.publisher.{publisher}", terms.root);
        let topics = terms.topic_names(SEPARATOR);
        let reply = match terms.confirmation {
            Confirmation::Wanted => format!(" {inbox}"),
            Confirmation::Unwanted => String::new(),
        };
        let heads = topics.map(|topic| format!("PUB {topic}{reply} ")).collect();
        Self {
            end_inbox: format!("{inbox}.end"),
            inbox,
            first_topic: terms.topic(0, SEPARATOR),
            publications: Publications::new(PubEncoder { heads }, terms.payloads.clone()),
            unacknowledged: Unacknowledged::new(terms.confirmation),
        }
    }
}

/// PUB, one for each message.
struct PubEncoder {
    /// What stands before the length, by topic.
    heads: Vec<String>,
}

impl Encoder for PubEncoder {
    fn encode(&mut self, topic: u32, payloads: &[&[u8]], batch: &mut EncodedBatch) {
        let head = &self.heads[topic as usize];
        for payload in payloads {
            batch.raw(format!("{head}{}\r\n", payload.len()).as_bytes());
            batch.payload(payload);
            batch.raw(LINE_END);
        }
    }
}

impl Conversation for JetStreamPublisher {
    fn poll_opening(&mut self, output: &mut Vec<u8>) {
        output.extend_from_slice(CONNECT);
        subscribe(&self.inbox, ANSWERS, output);
        subscribe(&self.end_inbox, END, output);
        output.extend_from_slice(PING);
    }

    fn handle_input(
        &mut self,
        input: &[u8],
        heard: &mut Heard<'_, '_>,
    ) -> Result<usize, DriverError> {
        let unacknowledged = &mut self.unacknowledged;
        let mut acks = 0;
        let lines = take_lines(input, heard, |heard, heard_of| {
            match heard_of {
                HeardOf::Message(message) if message.subscription == ANSWERS => {
                    check_pub_ack(&message)?;
                    acks += 1;
                }
                HeardOf::Message(message) => {
                    check_refused(&message)?;
                    heard.finished();
                }
                HeardOf::Pong => heard.ready(),
            }
            Ok(())
        })?;
        if acks > 0 {
            heard.acknowledge(unacknowledged.acknowledge(acks)?);
        }
        Ok(lines.used)
    }
}

impl Publisher for JetStreamPublisher {
    fn publish(&mut self, stamp: &BatchStamp<'_>) -> &[u8] {
        self.unacknowledged.publish(stamp.count);
        self.publications.stamped(stamp).bytes()
    }

    /// PONG would say that the server has read everything, and not that the stream has it. A
    /// stream takes its messages in one after the other, so what it refuses last comes behind all.
    fn finish(&mut self, output: &mut Vec<u8>) {
        publish_refused(&self.first_topic, &self.end_inbox, output);
    }
}

#[cfg(test)]
impl JetStreamPublisher {
    /// So many publications of one message are under way.
    pub(super) fn expect_publications(&mut self, publications: u32) {
        (0..publications).for_each(|_| self.unacknowledged.publish(1));
    }
}
