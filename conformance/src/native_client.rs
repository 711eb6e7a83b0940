//! A client that speaks the native wire with nothing but a socket and the wire's own codecs.

use crate::{Answer, Connection, Delivered, Received, Reply};
use protocol::native::{
    BROKER_GREETING_BYTES, BrokerGreeting, FrameDecoder, FrameStep, client_greeting,
    decode_response, encode_request,
};
use protocol::{
    AckMode, AckTerms, BatchBuilder, Code, Delivery, LagPolicy, Lifetime, Messages, OffsetRange,
    PublishAck, PublishTerms, Push, Request, SettleAnswer, SettleTarget, Start, Verdict,
};
use std::collections::VecDeque;

/// The largest frame that the client reads; no broker sends a larger one.
const FRAME_BYTES_MAX: usize = 1 << 30;

/// What every frame's `length` counts besides the body.
const LENGTH_BYTES_BEFORE_BODY: usize = 8;

/// A push delivery that nothing holds back, for a test to vary.
pub const PUSH: Push = Push {
    credit_bytes: 1 << 30,
    ack_mode: AckMode::OnSend,
    lag_policy: LagPolicy::Skip,
    lifetime: Lifetime::Named,
};

/// A client that speaks the native wire.
#[derive(Debug)]
pub struct NativeClient {
    /// The connection, for what no client would send.
    pub connection: Connection,
    decoder: FrameDecoder,
    correlation_next: u32,
    /// Pushed frames that came while an answer was awaited.
    pushed: VecDeque<Received>,
}

impl NativeClient {
    /// Greets on a connection that has sent nothing yet, and reads the broker's greeting.
    #[track_caller]
    pub fn greet(mut connection: Connection) -> (Self, BrokerGreeting) {
        connection.send(&client_greeting());
        Self::read_greeting(connection)
    }

    /// Reads the broker's greeting on a connection that has greeted, somehow.
    #[track_caller]
    pub fn read_greeting(mut connection: Connection) -> (Self, BrokerGreeting) {
        let greeting = loop {
            match BrokerGreeting::decode(connection.held()).expect("a Tandem broker's greeting") {
                Some(greeting) => break greeting,
                None => assert!(connection.receive("a greeting"), "the connection ended instead"),
            }
        };
        connection.consume(BROKER_GREETING_BYTES);
        let decoder = FrameDecoder::new(FRAME_BYTES_MAX);
        (Self { connection, decoder, correlation_next: 1, pushed: VecDeque::new() }, greeting)
    }

    /// Sends `request` and gives its correlation id, a new one.
    #[track_caller]
    pub fn send(&mut self, request: &Request<'_>) -> u32 {
        let correlation = self.correlation_next;
        self.correlation_next += 1;
        self.send_as(correlation, request);
        correlation
    }

    /// Sends `request` with a correlation id of the test's choice.
    #[track_caller]
    pub fn send_as(&mut self, correlation: u32, request: &Request<'_>) {
        let mut bytes = Vec::new();
        encode_request(request, correlation, &mut bytes);
        self.connection.send(&bytes);
    }

    /// The next frame, whatever it is; `None` where the connection ended in order.
    #[track_caller]
    pub fn read_or_end(&mut self) -> Option<Received> {
        if let Some(pushed) = self.pushed.pop_front() {
            return Some(pushed);
        }
        self.read_frame()
    }

    /// The next frame, whatever it is.
    #[track_caller]
    pub fn read(&mut self) -> Received {
        self.read_or_end().expect("a frame, not the end of the connection")
    }

    /// The answer to the request `correlation`. What is pushed before it is kept for later.
    #[track_caller]
    pub fn answer_to(&mut self, correlation: u32) -> Reply {
        loop {
            let received = self.read_frame().expect("an answer, not the end of the connection");
            if received.reply.is_pushed() {
                self.pushed.push_back(received);
                continue;
            }
            assert_eq!(received.correlation, correlation, "the answer's id: {received:?}");
            return received.reply;
        }
    }

    /// Publishes a batch on terms; gives the offset of its first message and how many it held.
    ///
    /// # Errors
    /// The code of the refusal.
    #[track_caller]
    pub fn publish_on(
        &mut self,
        topic: &str,
        batch: &BatchBuilder,
        terms: PublishTerms,
    ) -> Answer<(u64, u32)> {
        let messages = Messages::Batch(batch.batch());
        let ack = PublishAck::Wanted;
        match self.ask(&Request::Publish { topic: topic.into(), messages, ack, terms }) {
            Reply::Published { base_offset, count } => Ok((base_offset, count)),
            other => Err(refused(other)),
        }
    }

    /// Sends PUBLISH of a batch and gives its correlation id.
    #[track_caller]
    pub fn send_batch<M: AsRef<[u8]>>(
        &mut self,
        topic: &str,
        messages: &[M],
        ack: PublishAck,
    ) -> u32 {
        let mut batch = BatchBuilder::new();
        for message in messages {
            batch.push(message.as_ref()).expect("a record can say its length");
        }
        let messages = Messages::Batch(batch.batch());
        self.send(&Request::Publish {
            topic: topic.into(),
            messages,
            ack,
            terms: PublishTerms::default(),
        })
    }

    /// Publishes a batch and gives the offset of its first message.
    #[track_caller]
    pub fn publish_batch<M: AsRef<[u8]>>(&mut self, topic: &str, messages: &[M]) -> u64 {
        let correlation = self.send_batch(topic, messages, PublishAck::Wanted);
        match self.answer_to(correlation) {
            Reply::Published { base_offset, count } => {
                assert_eq!(count as usize, messages.len(), "the batch was taken whole");
                base_offset
            }
            other => panic!("expected PUBLISHED, found {other:?}"),
        }
    }

    /// Sends `request` and reads its answer.
    #[track_caller]
    pub fn ask(&mut self, request: &Request<'_>) -> Reply {
        let correlation = self.send(request);
        self.answer_to(correlation)
    }

    /// Sends SUBSCRIBE with push delivery; gives the subscription's number and its next offset.
    #[track_caller]
    pub fn attach(&mut self, topic: &str, subscriber: &str, push: Push) -> (u32, u64) {
        self.attach_as(topic, subscriber, push, Start::Earliest, None).expect("attached")
    }

    /// Sends SUBSCRIBE with push delivery and individual acknowledgements; gives the
    /// subscription's number.
    #[track_caller]
    pub fn attach_to_group(
        &mut self,
        topic: &str,
        group: &str,
        push: Push,
        acks: &AckTerms<'_>,
    ) -> u32 {
        self.attach_as(topic, group, push, Start::Earliest, Some(acks)).expect("attached").0
    }

    /// Sends SUBSCRIBE with push delivery; gives the subscription's number and its next offset.
    ///
    /// # Errors
    /// The code of the refusal.
    #[track_caller]
    pub fn attach_as(
        &mut self,
        topic: &str,
        subscriber: &str,
        push: Push,
        start: Start,
        acks: Option<&AckTerms<'_>>,
    ) -> Answer<(u32, u64)> {
        let request = Request::Subscribe {
            topic: topic.into(),
            subscriber: subscriber.into(),
            delivery: Delivery::Push(push),
            start,
            acks: acks.cloned(),
        };
        let subscription = self.send(&request);
        match self.answer_to(subscription) {
            Reply::Subscribed { next_offset } => Ok((subscription, next_offset)),
            other => Err(refused(other)),
        }
    }

    /// Sends CREDIT, which is not answered.
    #[track_caller]
    pub fn credit(&mut self, subscription: u32, bytes: u32) {
        self.send(&Request::Credit { subscription, bytes });
    }

    /// Sends ACK, which is not answered.
    #[track_caller]
    pub fn ack(&mut self, subscription: u32, offset: u64) {
        self.send(&Request::Ack { subscription, offset, answer: SettleAnswer::Unwanted });
    }

    /// Sends ACK that is to be answered once it is stable.
    ///
    /// # Errors
    /// The code of the refusal.
    #[track_caller]
    pub fn ack_answered(&mut self, subscription: u32, offset: u64) -> Answer<()> {
        self.do_it(&Request::Ack { subscription, offset, answer: SettleAnswer::Wanted })
    }

    /// Sends SETTLE of `count` messages from `first` on, which is not answered.
    #[track_caller]
    pub fn settle_pushed(&mut self, subscription: u32, first: u64, count: u32, verdict: Verdict) {
        self.send(&settle(subscription, first, count, verdict, SettleAnswer::Unwanted));
    }

    /// Sends SETTLE of `count` messages from `first` on that is to be answered once it is stable.
    ///
    /// # Errors
    /// The code of the refusal.
    #[track_caller]
    pub fn settle_pushed_answered(
        &mut self,
        subscription: u32,
        first: u64,
        count: u32,
        verdict: Verdict,
    ) -> Answer<()> {
        self.do_it(&settle(subscription, first, count, verdict, SettleAnswer::Wanted))
    }

    /// The next REDELIVER of `subscription`, with how often its messages were delivered; whatever
    /// else comes first fails the test.
    #[track_caller]
    pub fn delivered_again(&mut self, subscription: u32) -> (u32, Delivered) {
        match self.read() {
            Received { correlation, reply: Reply::Redeliver { deliveries, delivered } } => {
                assert_eq!(correlation, subscription, "the subscription delivered to");
                (deliveries, delivered)
            }
            other => panic!("expected REDELIVER of {subscription}, found {other:?}"),
        }
    }

    /// The next DELIVER of `subscription`; whatever else comes first fails the test.
    #[track_caller]
    pub fn delivered(&mut self, subscription: u32) -> Delivered {
        match self.read() {
            Received { correlation, reply: Reply::Deliver(delivered) } => {
                assert_eq!(correlation, subscription, "the subscription delivered to");
                delivered
            }
            other => panic!("expected DELIVER of {subscription}, found {other:?}"),
        }
    }

    /// The next `count` messages of `subscription`, in however many frames; their offsets must
    /// follow each other. Gives the offset of the first and the messages.
    #[track_caller]
    pub fn delivered_count(&mut self, subscription: u32, count: usize) -> (u64, Vec<Vec<u8>>) {
        let Delivered { base_offset, mut messages, .. } = self.delivered(subscription);
        while messages.len() < count {
            let next = self.delivered(subscription);
            assert_eq!(next.base_offset, base_offset + messages.len() as u64, "no gap, no repeat");
            messages.extend(next.messages);
        }
        assert_eq!(messages.len(), count, "messages delivered");
        (base_offset, messages)
    }

    /// What has been pushed and not yet read, as told by a PING whose answer comes behind it.
    #[track_caller]
    pub fn pushed_before_pong(&mut self) -> Vec<Received> {
        assert_eq!(self.ask(&Request::Ping), Reply::Pong);
        self.pushed.drain(..).collect()
    }

    #[track_caller]
    fn read_frame(&mut self) -> Option<Received> {
        loop {
            match self.decoder.next(self.connection.held()) {
                FrameStep::Frame { consumed, frame } => {
                    let correlation = frame.correlation;
                    let response = decode_response(frame).expect("a response of the wire");
                    let reply = Reply::from_response(&response);
                    self.connection.consume(consumed);
                    return Some(Received { correlation, reply });
                }
                FrameStep::NeedMore { .. } => {}
                other => panic!("expected a frame, found {other:?}"),
            }
            if !self.connection.receive("a frame") {
                assert_eq!(self.connection.held(), b"", "the connection ended within a frame");
                return None;
            }
        }
    }

    /// Sends SUBSCRIBE or SEEK, and gives the next offset.
    #[track_caller]
    pub(crate) fn go_on(&mut self, request: &Request<'_>) -> Answer<u64> {
        match self.ask(request) {
            Reply::Subscribed { next_offset } => Ok(next_offset),
            other => Err(refused(other)),
        }
    }

    #[track_caller]
    pub(crate) fn do_it(&mut self, request: &Request<'_>) -> Answer<()> {
        match self.ask(request) {
            Reply::Done => Ok(()),
            other => Err(refused(other)),
        }
    }
}

/// A frame as it travels, of any kind and with any body.
#[must_use]
pub fn frame_bytes(kind: u8, flags: u8, correlation: u32, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(LENGTH_BYTES_BEFORE_BODY + body.len()).expect("a test's frame");
    let mut bytes = length.to_le_bytes().to_vec();
    bytes.extend_from_slice(&[kind, flags, 0, 0]);
    bytes.extend_from_slice(&correlation.to_le_bytes());
    bytes.extend_from_slice(body);
    bytes
}

fn settle(
    subscription: u32,
    first: u64,
    count: u32,
    verdict: Verdict,
    answer: SettleAnswer,
) -> Request<'static> {
    let target = SettleTarget::Attached { subscription };
    Request::Settle { target, ranges: vec![OffsetRange { first, count }], verdict, answer }
}

/// The code of a refusal, which `reply` must be.
#[track_caller]
pub(crate) fn refused(reply: Reply) -> Code {
    match reply {
        Reply::Refused(code) => code,
        other => panic!("expected the request's answer or a refusal, found {other:?}"),
    }
}
