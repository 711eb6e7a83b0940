//! Tandem's brokers through the client library: what programs that use it get.
//!
//! Beside `tandem-native`, on the same broker, it shows what the library costs: requests are
//! encoded, answers matched and deliveries found by its session. What is read is copied once more
//! than by its own drivers, which read into the session's buffer themselves. A connection that ends
//! is something to report, not to mend, and time is the engine's affair: the session is told one
//! instant, and nothing is ever overdue.

use super::native::{DeliveryEncoder, append_records};
use super::{
    Confirmation, Conversation, Driver, EncodedBatch, Encoder, Heard, Native, Operator,
    Publications, Publisher, Request, StreamTerms,
};
use crate::drivers::DriverError;
use crate::message::BatchStamp;
use client_api::session::{Answer, Event, Session};
use client_api::{AckMode, Batch, Error, Lifetime, Options, PushTerms, SubscriberId};
use protocol::{Delivery, LagPolicy, Request as NativeRequest, Start, TopicOptions, batch};
use std::borrow::Cow;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// As much credit as `tandem-native` gives.
const WINDOW_BYTES: u32 = 16 * 1024 * 1024;

/// Requests without an answer that the session keeps.
const IN_FLIGHT_MAX: usize = 64 * 1024;

/// Longer than any run.
const REQUEST_TIMEOUT: Duration = Duration::from_hours(24 * 365);

/// Between the names of a stream and its topics.
const SEPARATOR: char = '/';

/// A broker that the client library speaks to.
#[derive(Debug)]
pub struct TandemClient {
    native: Native,
    opened_at: Instant,
}

impl TandemClient {
    /// At this address.
    #[must_use]
    pub fn new(address: SocketAddr) -> Self {
        Self { native: Native::new(address), opened_at: Instant::now() }
    }

    fn subscriber_on(
        &self,
        terms: &StreamTerms,
        subscriber: u32,
        push: PushTerms,
    ) -> Box<dyn Conversation> {
        Box::new(LibrarySubscriber {
            library: Library::new(self.opened_at),
            topics: terms.topic_names(SEPARATOR).collect(),
            subscriber: SubscriberId::from(format!("subscriber-{subscriber}")),
            push,
            attached: 0,
            failure: None,
        })
    }
}

/// A subscription that ends with its connection.
fn push(lag_policy: LagPolicy) -> PushTerms {
    let push = PushTerms::new().window_bytes(WINDOW_BYTES).lag_policy(lag_policy);
    push.lifetime(Lifetime::Connection)
}

impl Driver for TandemClient {
    fn address(&self) -> SocketAddr {
        self.native.address()
    }

    fn operator(&self, _client: u32) -> Box<dyn Operator> {
        Box::new(LibraryClient { library: Library::new(self.opened_at) })
    }

    fn publisher(&self, terms: &StreamTerms, _publisher: u32) -> Box<dyn Publisher> {
        Box::new(LibraryPublisher {
            library: Library::new(self.opened_at),
            topics: terms.topic_names(SEPARATOR).collect(),
            publications: Publications::new(RecordsEncoder, terms.payloads.clone()),
            confirmation: terms.confirmation,
            unwritten: Vec::new(),
            failure: None,
        })
    }

    fn subscriber(&self, terms: &StreamTerms, subscriber: u32) -> Box<dyn Conversation> {
        self.subscriber_on(terms, subscriber, push(terms.lag_policy))
    }

    /// A named subscription, whose place the broker keeps and moves as it is acknowledged.
    fn returning_subscriber(&self, terms: &StreamTerms, subscriber: u32) -> Box<dyn Conversation> {
        let push = push(terms.lag_policy).lifetime(Lifetime::Named).ack_mode(AckMode::Cumulative);
        self.subscriber_on(terms, subscriber, push)
    }

    fn passing_subscriber(&self, terms: &StreamTerms, subscriber: u32) -> Box<dyn Conversation> {
        self.subscriber_on(terms, subscriber, push(LagPolicy::Skip).start(Start::Latest))
    }

    fn idler(&self, _client: u32) -> Box<dyn Conversation> {
        Box::new(LibraryClient { library: Library::new(self.opened_at) })
    }

    fn preparation(&self, terms: &StreamTerms) -> Option<Box<dyn Conversation>> {
        self.native.preparation(terms)
    }

    fn removal(&self, terms: &StreamTerms) -> Option<Box<dyn Conversation>> {
        self.native.removal(terms)
    }

    fn delivery_encoder(&self, _terms: &StreamTerms) -> Option<Box<dyn Encoder>> {
        // A session counts its requests from 1, and its first are those to subscribe.
        Some(Box::new(DeliveryEncoder { first_subscription: 1 }))
    }
}

impl From<Error> for DriverError {
    fn from(error: Error) -> Self {
        match error {
            Error::Refused(refusal) | Error::Ended(refusal) => refusal.into(),
            other => Self::Library { message: other.to_string() },
        }
    }
}

/// One session of the library, and its only connection.
struct Library {
    session: Session,
    now: Instant,
}

impl Library {
    fn new(now: Instant) -> Self {
        let options = Options::new().in_flight_max(IN_FLIGHT_MAX).request_timeout(REQUEST_TIMEOUT);
        Self { session: Session::new(&options), now }
    }

    fn poll_opening(&mut self, output: &mut Vec<u8>) {
        self.session.handle_connected(self.now);
        self.poll_output(output);
    }

    #[inline]
    fn poll_output(&mut self, output: &mut Vec<u8>) {
        let bytes = self.session.poll_output();
        output.extend_from_slice(bytes);
        let written = bytes.len();
        self.session.handle_written(written);
    }

    /// Hands over all input, and every event that comes of it; then gives what the session has to
    /// say to that.
    fn handle_input(
        &mut self,
        input: &[u8],
        heard: &mut Heard<'_, '_>,
        mut take: impl FnMut(&mut Session, Event, &mut Heard<'_, '_>) -> Result<(), DriverError>,
    ) -> Result<usize, DriverError> {
        let mut rest = input;
        while !rest.is_empty() {
            let space = self.session.input_space();
            let (now, later) = rest.split_at(rest.len().min(space.len()));
            space[..now.len()].copy_from_slice(now);
            self.session.handle_input(now.len());
            rest = later;
            while let Some(event) = self.session.poll_event()? {
                take(&mut self.session, event, heard)?;
            }
        }
        self.poll_output(heard.reply());
        Ok(input.len())
    }

    fn request(&mut self, request: &NativeRequest<'_>) -> Result<(), DriverError> {
        self.session.handle_request(request, self.now)?;
        Ok(())
    }
}

#[cold]
fn unexpected(expected: &'static str, event: &Event) -> DriverError {
    DriverError::unexpected(expected, event)
}

/// Asks and waits, or is at rest.
struct LibraryClient {
    library: Library,
}

impl Conversation for LibraryClient {
    fn poll_opening(&mut self, output: &mut Vec<u8>) {
        self.library.poll_opening(output);
    }

    fn handle_input(
        &mut self,
        input: &[u8],
        heard: &mut Heard<'_, '_>,
    ) -> Result<usize, DriverError> {
        self.library.handle_input(input, heard, |_, event, heard| {
            match event {
                Event::Greeted => heard.ready(),
                Event::Answered { result: Ok(Answer::Pulled(pulled)), .. } => {
                    heard.answer(Ok(pulled.messages.count()));
                }
                Event::Answered { result: Ok(_), .. } => heard.answer(Ok(0)),
                Event::Answered { result: Err(Error::Refused(refusal)), .. } => {
                    heard.answer(Err(refusal.into()));
                }
                Event::Answered { result: Err(error), .. } => return Err(error.into()),
                other => return Err(unexpected("an answer", &other)),
            }
            Ok(())
        })
    }
}

impl Operator for LibraryClient {
    fn request(&mut self, request: &Request<'_>, output: &mut Vec<u8>) -> Result<(), DriverError> {
        let native = match *request {
            Request::Publish { topic, payload } => {
                let now = self.library.now;
                self.library.session.handle_publish(topic, [payload], None, now)?;
                self.library.poll_output(output);
                return Ok(());
            }
            Request::Create { topic } => {
                let (topic, options) = (Cow::Borrowed(topic), TopicOptions::default());
                NativeRequest::Create { topic, options }
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
        };
        self.library.request(&native)?;
        self.library.poll_output(output);
        Ok(())
    }
}

/// The records of a batch, without a frame around them: the library makes that.
struct RecordsEncoder;

impl Encoder for RecordsEncoder {
    fn encode(&mut self, _topic: u32, payloads: &[&[u8]], batch: &mut EncodedBatch) {
        append_records(payloads, batch);
    }
}

struct LibraryPublisher {
    library: Library,
    topics: Vec<String>,
    publications: Publications<RecordsEncoder>,
    confirmation: Confirmation,
    unwritten: Vec<u8>,
    /// Of a publication that the library did not take; told with what is heard next.
    failure: Option<Error>,
}

impl LibraryPublisher {
    fn put(&mut self, stamp: &BatchStamp<'_>) -> Result<(), Error> {
        let topic = &self.topics[stamp.topic as usize];
        let records = Batch::trusted(self.publications.stamped(stamp).bytes(), stamp.count);
        let (session, now) = (&mut self.library.session, self.library.now);
        match self.confirmation {
            Confirmation::Wanted => {
                session.handle_publish_records(topic, records, None, now).map(|_| ())
            }
            Confirmation::Unwanted => session.handle_publish_records_unacked(topic, records),
        }
    }

    fn ping(&mut self) {
        let asked = self.library.session.handle_request(&NativeRequest::Ping, self.library.now);
        if let Err(error) = asked {
            self.failure.get_or_insert(error);
        }
    }
}

impl Conversation for LibraryPublisher {
    fn poll_opening(&mut self, output: &mut Vec<u8>) {
        self.library.poll_opening(output);
    }

    fn handle_input(
        &mut self,
        input: &[u8],
        heard: &mut Heard<'_, '_>,
    ) -> Result<usize, DriverError> {
        if let Some(error) = self.failure.take() {
            return Err(error.into());
        }
        self.library.handle_input(input, heard, |_, event, heard| {
            match event {
                Event::Greeted => heard.ready(),
                Event::Answered { result: Ok(Answer::Published(_)), .. } => heard.acknowledge(1),
                Event::Answered { result: Ok(Answer::Pong), .. } => heard.finished(),
                Event::Answered { result: Err(error), .. } => return Err(error.into()),
                Event::RefusedUnasked(refusal) => return Err(refusal.into()),
                other => return Err(unexpected("PUBLISHED", &other)),
            }
            Ok(())
        })
    }
}

impl Publisher for LibraryPublisher {
    /// One request is left for the question at the end.
    fn room(&self) -> u32 {
        if self.library.session.in_flight() + 1 < IN_FLIGHT_MAX { u32::MAX } else { 0 }
    }

    fn publish(&mut self, stamp: &BatchStamp<'_>) -> &[u8] {
        if let Err(error) = self.put(stamp) {
            self.failure.get_or_insert(error);
            // So that something is heard, with which it can be told.
            self.ping();
        }
        self.unwritten.clear();
        self.library.poll_output(&mut self.unwritten);
        &self.unwritten
    }

    fn finish(&mut self, output: &mut Vec<u8>) {
        self.ping();
        self.library.poll_output(output);
    }
}

struct LibrarySubscriber {
    library: Library,
    topics: Vec<String>,
    subscriber: SubscriberId,
    push: PushTerms,
    attached: usize,
    /// Of a subscription that the library did not take; told with what is heard next.
    failure: Option<Error>,
}

impl LibrarySubscriber {
    fn attach(&mut self) -> Result<(), Error> {
        for topic in &self.topics {
            let (push, now) = (self.push.clone(), self.library.now);
            self.library.session.handle_attach(topic, &self.subscriber, push, now)?;
        }
        Ok(())
    }
}

impl Conversation for LibrarySubscriber {
    fn poll_opening(&mut self, output: &mut Vec<u8>) {
        self.library.poll_opening(output);
        // The session sends these when the broker has let it in.
        self.failure = self.attach().err();
    }

    fn handle_input(
        &mut self,
        input: &[u8],
        heard: &mut Heard<'_, '_>,
    ) -> Result<usize, DriverError> {
        if let Some(error) = self.failure.take() {
            return Err(error.into());
        }
        let (attached, ack_mode) = (&mut self.attached, self.push.ack_mode);
        let used = self.library.handle_input(input, heard, |session, event, heard| {
            match event {
                Event::Delivered { subscription, run } => {
                    let records = session.records();
                    batch::payloads(records).for_each(|payload| heard.deliver(payload));
                    let bytes = records.len();
                    session.handle_consumed(subscription, bytes);
                    if ack_mode == AckMode::Cumulative {
                        session.handle_ack(subscription, run.next_offset().saturating_sub(1));
                    }
                }
                Event::Answered { result: Ok(Answer::Subscribed { .. }), .. } => *attached += 1,
                Event::Answered { result: Err(error), .. } | Event::Ended { error, .. } => {
                    return Err(error.into());
                }
                // The ledger finds what is lost by itself.
                Event::Greeted | Event::Lost { .. } => {}
                other => return Err(unexpected("DELIVER", &other)),
            }
            Ok(())
        })?;
        if self.attached == self.topics.len() {
            heard.ready();
        }
        Ok(used)
    }
}
