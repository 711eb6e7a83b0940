//! A subscriber of a JetStream stream: one pull consumer, or one for each topic by its name.

use super::api::{check_answer, create_consumer, pull, refused_with_status, stream_name};
use super::{
    ANSWERS, CONNECT, ConsumerTerms, Conversation, HeardOf, LINE_END, SEPARATOR, StreamTerms,
    subscribe, take_lines,
};
use crate::drivers::DriverError;
use crate::wire::{EncodedBatch, Encoder, Heard, Selection};

/// Messages that are asked for at a time, half in each of two requests; 8 times what nats.go
/// asks for.
const WINDOW_MESSAGES_MAX: u32 = 4096;

/// Payload in a window, so that large messages do not fill the server's `max_pending` of a
/// connection, which is 64 MB, and at which it hangs up.
const WINDOW_BYTES_MAX: usize = 16 * 1024 * 1024;

/// The subscription of the first consumer's deliveries; the others follow.
const FIRST_DELIVERIES: u32 = ANSWERS + 1;

pub(super) struct JetStreamSubscriber {
    root: String,
    inbox: String,
    consumers: Vec<Consumer>,
    created: usize,
    /// Messages in one request.
    request_messages: u32,
    input_bytes_wanted: usize,
}

struct Consumer {
    name: String,
    filter: Option<String>,
    inbox: String,
    /// Messages since the last request was made.
    received: u32,
}

impl Consumer {
    fn terms<'a>(&'a self, root: &'a str) -> ConsumerTerms<'a> {
        ConsumerTerms { root, consumer: &self.name, filter: self.filter.as_deref() }
    }

    /// Asks for the next messages, `requests` times.
    fn ask(&self, root: &str, messages: u32, requests: u32, output: &mut Vec<u8>) {
        for _ in 0..requests {
            pull(&self.terms(root), messages, false, &self.inbox, output);
        }
    }
}

impl JetStreamSubscriber {
    pub(super) fn new(terms: &StreamTerms, subscriber: u32) -> Self {
        let inbox = format!("_INBOX.{}.subscriber.{subscriber}", terms.root);
        let filters: Vec<Option<String>> = match terms.selection {
            Selection::Names if terms.topics > 1 => {
                terms.topic_names(SEPARATOR).map(Some).collect()
            }
            Selection::Names | Selection::Wildcard => vec![None],
        };
        let consumer = |(index, filter)| Consumer {
            name: format!("subscriber-{subscriber}-{index}"),
            filter,
            inbox: format!("{inbox}.{index}"),
            received: 0,
        };
        let consumers = filters.into_iter().enumerate().map(consumer).collect();
        let window_messages = WINDOW_BYTES_MAX / terms.payloads.bytes_max().max(1);
        let window_messages = u32::try_from(window_messages).unwrap_or(WINDOW_MESSAGES_MAX);
        let request_messages = (window_messages.min(WINDOW_MESSAGES_MAX) / 2).max(1);
        let (root, created, input_bytes_wanted) = (terms.root.clone(), 0, 0);
        Self { root, inbox, consumers, created, request_messages, input_bytes_wanted }
    }
}

impl Conversation for JetStreamSubscriber {
    fn poll_opening(&mut self, output: &mut Vec<u8>) {
        output.extend_from_slice(CONNECT);
        subscribe(&self.inbox, ANSWERS, output);
        for (subscription, consumer) in (FIRST_DELIVERIES..).zip(&self.consumers) {
            subscribe(&consumer.inbox, subscription, output);
        }
        for consumer in &self.consumers {
            create_consumer(&consumer.terms(&self.root), &self.inbox, output);
        }
    }

    fn handle_input(
        &mut self,
        input: &[u8],
        heard: &mut Heard<'_, '_>,
    ) -> Result<usize, DriverError> {
        let Self { root, consumers, created, request_messages, .. } = self;
        let lines = take_lines(input, heard, |heard, heard_of| {
            let HeardOf::Message(message) = heard_of else { return Ok(()) };
            if message.subscription == ANSWERS {
                check_answer(&message)?;
                *created += 1;
                if *created == consumers.len() {
                    let ask = |each: &Consumer| each.ask(root, *request_messages, 2, heard.reply());
                    consumers.iter().for_each(ask);
                    heard.ready();
                }
                return Ok(());
            }
            if let Some(status) = message.status() {
                return Err(refused_with_status(status));
            }
            heard.deliver(message.payload);
            let index = (message.subscription - FIRST_DELIVERIES) as usize;
            let Some(consumer) = consumers.get_mut(index) else {
                return Err(DriverError::unexpected("a subscription of its own", &index));
            };
            consumer.received += 1;
            if consumer.received == *request_messages {
                consumer.received = 0;
                consumer.ask(root, *request_messages, 1, heard.reply());
            }
            Ok(())
        })?;
        self.input_bytes_wanted = lines.input_bytes_wanted;
        Ok(lines.used)
    }

    fn input_bytes_wanted(&self) -> usize {
        self.input_bytes_wanted
    }
}

/// MSG, as the server answers a pull: the reply subject says where in stream and consumer it is.
pub(super) struct DeliveryEncoder {
    /// What stands before the length, by topic.
    heads: Vec<String>,
}

impl DeliveryEncoder {
    pub(super) fn new(terms: &StreamTerms) -> Self {
        let stream = stream_name(&terms.root);
        let head = |(index, topic): (usize, String)| {
            let consumer = match terms.selection {
                Selection::Names => index,
                Selection::Wildcard => 0,
            };
            let subscription = FIRST_DELIVERIES as usize + consumer;
            let place = "1.1000000.1000000.1700000000000000000.0";
            let reply = format!("$JS.ACK.{stream}.subscriber-0-{consumer}.{place}");
            format!("MSG {topic} {subscription} {reply} ")
        };
        Self { heads: terms.topic_names(SEPARATOR).enumerate().map(head).collect() }
    }
}

impl Encoder for DeliveryEncoder {
    fn encode(&mut self, topic: u32, payloads: &[&[u8]], batch: &mut EncodedBatch) {
        let head = &self.heads[topic as usize];
        for payload in payloads {
            batch.raw(format!("{head}{}\r\n", payload.len()).as_bytes());
            batch.payload(payload);
            batch.raw(LINE_END);
        }
    }
}
