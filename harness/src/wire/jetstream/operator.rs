//! A client of JetStream that asks and waits. A topic is a stream of its own, and a subscriber a
//! pull consumer of it.

use super::api::{
    ConsumerTerms, check_answer, check_pub_ack, create_consumer, create_stream, delete_stream,
    pull, refused_with_status, stream_name,
};
use super::{ANSWERS, CONNECT, Conversation, HeardOf, PING, publish, subscribe, take_lines};
use crate::config::JetStreamStorage as Storage;
use crate::drivers::DriverError;
use crate::wire::nats::lines::NatsMessage;
use crate::wire::{Heard, Operator, Request};

pub(super) struct JetStreamOperator {
    inbox: String,
    storage: Storage,
    asked: Asked,
}

/// What the next answer is to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    Publication,
    Message,
    Other,
}

impl JetStreamOperator {
    pub(super) fn new(client: u32, storage: Storage) -> Self {
        Self { inbox: format!("_INBOX.operator.{client}"), storage, asked: Asked::Other }
    }
}

impl Conversation for JetStreamOperator {
    fn poll_opening(&mut self, output: &mut Vec<u8>) {
        output.extend_from_slice(CONNECT);
        subscribe(&self.inbox, ANSWERS, output);
        output.extend_from_slice(PING);
    }

    fn handle_input(
        &mut self,
        input: &[u8],
        heard: &mut Heard<'_, '_>,
    ) -> Result<usize, DriverError> {
        let asked = self.asked;
        let lines = take_lines(input, heard, |heard, heard_of| {
            match heard_of {
                HeardOf::Pong => heard.ready(),
                HeardOf::Message(message) => match answer(asked, &message) {
                    Err(error) if !error.is_refusal() => return Err(error),
                    answer => heard.answer(answer),
                },
            }
            Ok(())
        })?;
        Ok(lines.used)
    }
}

fn answer(asked: Asked, message: &NatsMessage<'_>) -> Result<u32, DriverError> {
    match asked {
        Asked::Publication => check_pub_ack(message).map(|()| 0),
        Asked::Other => check_answer(message).map(|()| 0),
        Asked::Message => match message.status() {
            None => Ok(1),
            Some(status) if status.starts_with("404") => Ok(0),
            Some(status) => Err(refused_with_status(status)),
        },
    }
}

impl Operator for JetStreamOperator {
    fn request(&mut self, request: &Request<'_>, output: &mut Vec<u8>) -> Result<(), DriverError> {
        let (inbox, storage) = (self.inbox.as_str(), self.storage);
        self.asked = match *request {
            Request::Create { topic } => {
                create_stream(topic, topic, storage, inbox, output);
                Asked::Other
            }
            Request::Publish { topic, payload } => {
                publish(topic, inbox, payload, output);
                Asked::Publication
            }
            Request::Subscribe { topic, subscriber } => {
                let consumer = &stream_name(subscriber);
                let terms = ConsumerTerms { root: topic, consumer, filter: None };
                create_consumer(&terms, inbox, output);
                Asked::Other
            }
            Request::Pull { topic, subscriber } => {
                let consumer = &stream_name(subscriber);
                let terms = ConsumerTerms { root: topic, consumer, filter: None };
                pull(&terms, 1, true, inbox, output);
                Asked::Message
            }
            Request::Delete { topic } => {
                delete_stream(topic, inbox, output);
                Asked::Other
            }
        };
        Ok(())
    }
}
