//! Tandem's native wire.
//!
//! It is spoken here directly and not through the client library, for two reasons. The byte pipe
//! and the brokers must be driven by the same instructions, or their ratio would show the library
//! too. And a batch is encoded once, its stamps alone change from one write to the next, and
//! deliveries are walked where they were read. The driver `tandem-client` goes through the
//! library, for whoever wants to see what that costs.

mod frames;

pub(super) use frames::{DeliveryEncoder, NativeEncoder, NativeFrames, append_records, encode};

use super::{
    Confirmation, Conversation, Driver, Encoder, Heard, Held, Operator, Publications, Publisher,
    Request, StreamTerms,
};
use crate::drivers::DriverError;
use crate::message::BatchStamp;
use protocol::batch::RECORD_HEADER_BYTES;
use protocol::native::decode_response;
use protocol::{
    AckMode, BatchBuilder, Delivery, LagPolicy, Lifetime, Messages, PublishAck, PublishTerms, Push,
    Request as NativeRequest, Response, Retention, SettleAnswer, Start, TopicOptions,
};
use std::borrow::Cow;
use std::net::SocketAddr;

/// Bytes that a broker may push before it needs more credit. Half of it is given back at a time,
/// so that credit costs one small write in tens of thousands of messages.
const CREDIT_BYTES: u32 = 16 * 1024 * 1024;

/// Bytes of messages in one frame when a topic is filled.
const FILL_FRAME_BYTES: usize = 256 * 1024;

/// What a topic that holds a backlog has room for, however small the backlog.
const RETENTION_BYTES_MIN: u64 = 64 * 1024 * 1024;

/// Between the names of a stream and its topics.
const SEPARATOR: char = '/';

/// A broker that speaks the native wire.
#[derive(Debug)]
pub struct Native {
    address: SocketAddr,
}

impl Native {
    /// At this address.
    #[must_use]
    pub fn new(address: SocketAddr) -> Self {
        Self { address }
    }
}

impl Driver for Native {
    fn address(&self) -> SocketAddr {
        self.address
    }

    fn operator(&self, _client: u32) -> Box<dyn Operator> {
        Box::new(NativeOperator { frames: NativeFrames::new() })
    }

    fn publisher(&self, terms: &StreamTerms, _publisher: u32) -> Box<dyn Publisher> {
        Box::new(NativePublisher::new(terms))
    }

    fn subscriber(&self, terms: &StreamTerms, subscriber: u32) -> Box<dyn Conversation> {
        Box::new(NativeSubscriber::new(terms, subscriber, push(terms.lag_policy), Start::Earliest))
    }

    /// A named subscription, whose place the broker keeps and moves as it is acknowledged.
    fn returning_subscriber(&self, terms: &StreamTerms, subscriber: u32) -> Box<dyn Conversation> {
        let (ack_mode, lifetime) = (AckMode::Cumulative, Lifetime::Named);
        let push = Push { ack_mode, lifetime, ..push(terms.lag_policy) };
        Box::new(NativeSubscriber::new(terms, subscriber, push, Start::Earliest))
    }

    fn passing_subscriber(&self, terms: &StreamTerms, subscriber: u32) -> Box<dyn Conversation> {
        Box::new(NativeSubscriber::new(terms, subscriber, push(LagPolicy::Skip), Start::Latest))
    }

    fn idler(&self, _client: u32) -> Box<dyn Conversation> {
        Box::new(NativeAsking::new(Vec::new()))
    }

    fn preparation(&self, terms: &StreamTerms) -> Option<Box<dyn Conversation>> {
        let retention = retention(terms.held, terms.topics);
        let create = |topic: String| {
            let options = TopicOptions { retention, ..TopicOptions::default() };
            NativeRequest::Create { topic: Cow::Owned(topic), options }
        };
        let requests = terms.topic_names(SEPARATOR).map(create).collect();
        Some(Box::new(NativeAsking::new(requests)))
    }

    fn removal(&self, terms: &StreamTerms) -> Option<Box<dyn Conversation>> {
        let delete = |topic: String| NativeRequest::Delete { topic: Cow::Owned(topic) };
        let requests = terms.topic_names(SEPARATOR).map(delete).collect();
        Some(Box::new(NativeAsking::new(requests)))
    }

    fn delivery_encoder(&self, _terms: &StreamTerms) -> Option<Box<dyn Encoder>> {
        Some(Box::new(DeliveryEncoder { first_subscription: 0 }))
    }
}

/// Twice what is to be held, so that what a broker keeps beside the payloads fits too.
fn retention(held: Option<Held>, topics: u32) -> Retention {
    let bytes_max = held.map(|held| {
        let records_bytes = held.payload_bytes + held.messages * RECORD_HEADER_BYTES as u64;
        2 * records_bytes / u64::from(topics) + RETENTION_BYTES_MIN
    });
    Retention { bytes_max, ..Retention::default() }
}

/// Asks a list of requests, and is ready when every one was granted.
struct NativeAsking {
    frames: NativeFrames,
    requests: Vec<NativeRequest<'static>>,
    answered: usize,
}

impl NativeAsking {
    fn new(requests: Vec<NativeRequest<'static>>) -> Self {
        Self { frames: NativeFrames::new(), requests, answered: 0 }
    }
}

impl Conversation for NativeAsking {
    fn poll_opening(&mut self, output: &mut Vec<u8>) {
        self.frames.poll_opening(output);
        self.requests.iter().for_each(|request| encode(request, 0, output));
    }

    fn handle_input(
        &mut self,
        input: &[u8],
        heard: &mut Heard<'_, '_>,
    ) -> Result<usize, DriverError> {
        let answered = &mut self.answered;
        let used = self.frames.handle_input(input, |frame| match decode_response(frame)? {
            Response::Done | Response::Subscribed { .. } => {
                *answered += 1;
                Ok(())
            }
            Response::Refused(refusal) => Err(refusal.into()),
            other => Err(DriverError::unexpected("OK", &other)),
        })?;
        if self.frames.is_greeted() && self.answered == self.requests.len() {
            heard.ready();
        }
        Ok(used)
    }
}

struct NativeOperator {
    frames: NativeFrames,
}

impl Conversation for NativeOperator {
    fn poll_opening(&mut self, output: &mut Vec<u8>) {
        self.frames.poll_opening(output);
    }

    fn handle_input(
        &mut self,
        input: &[u8],
        heard: &mut Heard<'_, '_>,
    ) -> Result<usize, DriverError> {
        let used = self.frames.handle_input(input, |frame| {
            match decode_response(frame)? {
                Response::Done | Response::Published { .. } | Response::Subscribed { .. } => {
                    heard.answer(Ok(0));
                }
                Response::Messages { batch, .. } => heard.answer(Ok(batch.count())),
                Response::Refused(refusal) => heard.answer(Err(refusal.into())),
                other => return Err(DriverError::unexpected("an answer", &other)),
            }
            Ok(())
        })?;
        if self.frames.is_greeted() {
            heard.ready();
        }
        Ok(used)
    }
}

impl Operator for NativeOperator {
    fn request(&mut self, request: &Request<'_>, output: &mut Vec<u8>) -> Result<(), DriverError> {
        encode(&native_request(request), 0, output);
        Ok(())
    }

    fn fill(
        &mut self,
        topic: &str,
        payload: &[u8],
        count: u32,
        output: &mut Vec<u8>,
    ) -> Result<u32, DriverError> {
        let (mut records, mut answers) = (BatchBuilder::new(), 0);
        for index in 1..=count {
            records.push(payload)?;
            if index == count || records.batch().bytes().len() >= FILL_FRAME_BYTES {
                let messages = Messages::Batch(records.batch());
                encode(&publish(topic, messages, PublishAck::Wanted), 0, output);
                records.clear();
                answers += 1;
            }
        }
        Ok(answers)
    }
}

fn native_request<'a>(request: &Request<'a>) -> NativeRequest<'a> {
    match *request {
        Request::Create { topic } => {
            NativeRequest::Create { topic: Cow::Borrowed(topic), options: TopicOptions::default() }
        }
        Request::Publish { topic, payload } => {
            publish(topic, Messages::One(Cow::Borrowed(payload)), PublishAck::Wanted)
        }
        Request::Subscribe { topic, subscriber } => NativeRequest::Subscribe {
            topic: Cow::Borrowed(topic),
            subscriber: Cow::Borrowed(subscriber),
            delivery: Delivery::Pull,
            start: Start::Earliest,
            acks: None,
        },
        Request::Pull { topic, subscriber } => NativeRequest::Pull {
            topic: Cow::Borrowed(topic),
            subscriber: Cow::Borrowed(subscriber),
            count_max: Some(1),
        },
        Request::Delete { topic } => NativeRequest::Delete { topic: Cow::Borrowed(topic) },
    }
}

fn publish<'a>(topic: &'a str, messages: Messages<'a>, ack: PublishAck) -> NativeRequest<'a> {
    let (topic, terms) = (Cow::Borrowed(topic), PublishTerms::default());
    NativeRequest::Publish { topic, messages, ack, terms }
}

/// A publisher of a stream.
pub(super) struct NativePublisher {
    frames: NativeFrames,
    publications: Publications<NativeEncoder>,
}

impl NativePublisher {
    pub(super) fn new(terms: &StreamTerms) -> Self {
        let ack = match terms.confirmation {
            Confirmation::Wanted => PublishAck::Wanted,
            Confirmation::Unwanted => PublishAck::Unwanted,
        };
        let topics = terms.topic_names(SEPARATOR).collect();
        let publications = Publications::new(NativeEncoder { topics, ack }, terms.payloads.clone());
        Self { frames: NativeFrames::new(), publications }
    }
}

impl Conversation for NativePublisher {
    /// A refused publication is answered even if no acknowledgement was wanted.
    fn poll_opening(&mut self, output: &mut Vec<u8>) {
        self.frames.poll_opening(output);
    }

    fn handle_input(
        &mut self,
        input: &[u8],
        heard: &mut Heard<'_, '_>,
    ) -> Result<usize, DriverError> {
        let used = self.frames.handle_input(input, |frame| {
            match decode_response(frame)? {
                Response::Published { .. } => heard.acknowledge(1),
                Response::Pong => heard.finished(),
                Response::Refused(refusal) => return Err(refusal.into()),
                other => return Err(DriverError::unexpected("PUBLISHED", &other)),
            }
            Ok(())
        })?;
        if self.frames.is_greeted() {
            heard.ready();
        }
        Ok(used)
    }
}

impl Publisher for NativePublisher {
    fn publish(&mut self, stamp: &BatchStamp<'_>) -> &[u8] {
        self.publications.stamped(stamp).bytes()
    }

    /// PONG comes behind the refusals of all that was published before.
    fn finish(&mut self, output: &mut Vec<u8>) {
        encode(&NativeRequest::Ping, 0, output);
    }
}

/// A subscription that ends with its connection.
fn push(lag_policy: LagPolicy) -> Push {
    Push {
        credit_bytes: CREDIT_BYTES,
        ack_mode: AckMode::OnSend,
        lag_policy,
        lifetime: Lifetime::Connection,
    }
}

struct NativeSubscriber {
    frames: NativeFrames,
    /// Their places here are their subscriptions' correlation ids.
    topics: Vec<String>,
    subscriber: String,
    push: Push,
    start: Start,
    subscribed: usize,
    /// By subscription.
    unreturned_bytes: Vec<u32>,
}

impl NativeSubscriber {
    fn new(terms: &StreamTerms, subscriber: u32, push: Push, start: Start) -> Self {
        let topics: Vec<_> = terms.topic_names(SEPARATOR).collect();
        Self {
            frames: NativeFrames::new(),
            subscriber: format!("subscriber-{subscriber}"),
            push,
            start,
            subscribed: 0,
            unreturned_bytes: vec![0; topics.len()],
            topics,
        }
    }
}

impl Conversation for NativeSubscriber {
    fn poll_opening(&mut self, output: &mut Vec<u8>) {
        self.frames.poll_opening(output);
        for (correlation, topic) in (0u32..).zip(&self.topics) {
            let subscribe = NativeRequest::Subscribe {
                topic: Cow::Borrowed(topic),
                subscriber: Cow::Borrowed(&self.subscriber),
                delivery: Delivery::Push(self.push),
                start: self.start,
                acks: None,
            };
            encode(&subscribe, correlation, output);
        }
    }

    fn handle_input(
        &mut self,
        input: &[u8],
        heard: &mut Heard<'_, '_>,
    ) -> Result<usize, DriverError> {
        let Self { frames, subscribed, unreturned_bytes, push, .. } = self;
        let used = frames.handle_input(input, |frame| {
            let subscription = frame.correlation;
            match decode_response(frame)? {
                Response::Deliver { base_offset, batch } => {
                    batch.payloads().for_each(|payload| heard.deliver(payload));
                    if push.ack_mode == AckMode::Cumulative {
                        let offset = base_offset + u64::from(batch.count().saturating_sub(1));
                        let answer = SettleAnswer::Unwanted;
                        let ack = NativeRequest::Ack { subscription, offset, answer };
                        encode(&ack, 0, heard.reply());
                    }
                    let bytes = u32::try_from(batch.bytes().len()).unwrap_or(u32::MAX);
                    return_credit(unreturned_bytes, subscription, bytes, heard.reply());
                }
                Response::Subscribed { .. } => *subscribed += 1,
                // The ledger finds what is lost by itself.
                Response::Lost { .. } => {}
                Response::Ended(refusal) | Response::Refused(refusal) => {
                    return Err(refusal.into());
                }
                other => return Err(DriverError::unexpected("DELIVER", &other)),
            }
            Ok(())
        })?;
        if self.subscribed == self.topics.len() {
            heard.ready();
        }
        Ok(used)
    }

    fn input_bytes_wanted(&self) -> usize {
        self.frames.input_bytes_wanted()
    }
}

#[inline]
fn return_credit(unreturned: &mut [u32], subscription: u32, bytes: u32, output: &mut Vec<u8>) {
    let Some(unreturned) = unreturned.get_mut(subscription as usize) else { return };
    *unreturned = unreturned.saturating_add(bytes);
    if *unreturned >= CREDIT_BYTES / 2 {
        encode(&NativeRequest::Credit { subscription, bytes: *unreturned }, 0, output);
        *unreturned = 0;
    }
}
