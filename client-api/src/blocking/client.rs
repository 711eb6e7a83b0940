//! The client: connecting, and the requests that have one answer each.

use super::exchange::Reconnecting;
use super::pushed::Stash;
use super::socket::Socket;
use crate::session::{Answer, Session, Ticket, checked_ranges};
use crate::{
    AckTerms, Error, Messages, OffsetRange, Options, PublisherId, PullTerms, Pulled, Start,
    SubscriberId, TopicOptions, Verdict,
};
use protocol::{Delivery, Info, Refusal, Request, SettleAnswer, SettleTarget};
use std::borrow::Cow;
use std::collections::VecDeque;
use std::net::{SocketAddr, ToSocketAddrs};
use std::time::{Duration, Instant};

/// A connection to a broker.
///
/// Every operation waits at most [`Options::request_timeout`] for its answer, and at most
/// [`Options::connect_timeout`] more where the connection must be made again. The errors that any
/// of them may return are those of [`Error`]; each method names only what is its own.
#[derive(Debug)]
pub struct Client {
    pub(super) addresses: Vec<SocketAddr>,
    pub(super) options: Options,
    pub(super) session: Session,
    pub(super) socket: Option<Socket>,
    /// How far the attempts to make a lost connection again are.
    pub(super) reconnecting: Option<Reconnecting>,
    /// Answers that no one asked for yet, in the order they came.
    pub(super) answers: VecDeque<(Ticket, Result<Answer, Error>)>,
    /// What push subscriptions were sent while something else was waited for.
    pub(super) stash: Stash,
    /// The messages handed out last, where they were not in the read buffer.
    pub(super) handed_out: Messages,
    /// Refusals of what is not answered when it succeeds, oldest first.
    pub(super) refusals: VecDeque<Refusal>,
}

impl Client {
    /// Connects with the default [`Options`].
    ///
    /// # Errors
    /// As [`connect_with`](Self::connect_with).
    pub fn connect(address: impl ToSocketAddrs) -> Result<Self, Error> {
        Self::connect_with(address, Options::default())
    }

    /// Connects, and waits until the broker accepted the greeting. One attempt is made; the
    /// reconnect policy is for connections that stood once.
    ///
    /// # Errors
    /// [`Error::Connect`] when no one answers there, [`Error::ProtocolViolation`] when the one who
    /// answers is no Tandem broker, [`Error::Refused`] when the broker takes no more connections,
    /// [`Error::Timeout`] when it does not greet.
    pub fn connect_with(address: impl ToSocketAddrs, options: Options) -> Result<Self, Error> {
        let addresses = address
            .to_socket_addrs()
            .map_err(|source| Error::Io { action: "look up the broker's address", source })?
            .collect();
        let mut client = Self {
            addresses,
            session: Session::new(&options),
            options,
            socket: None,
            reconnecting: None,
            answers: VecDeque::new(),
            stash: Stash::default(),
            handed_out: Messages::default(),
            refusals: VecDeque::new(),
        };
        client.open()?;
        Ok(client)
    }

    /// A new publisher's id. Made here; nothing is sent.
    #[must_use]
    pub fn register_publisher(&self) -> PublisherId {
        PublisherId::random()
    }

    /// A new subscriber's id. Made here; nothing is sent.
    #[must_use]
    pub fn register_subscriber(&self) -> SubscriberId {
        SubscriberId::random()
    }

    /// Makes a topic as the broker's defaults say.
    ///
    /// # Errors
    /// [`Error::Refused`] with [`TopicExists`](crate::Code::TopicExists), or a code that tells
    /// what is wrong with the name.
    pub fn create_topic(&mut self, topic: &str) -> Result<(), Error> {
        self.create_topic_with(topic, TopicOptions::default())
    }

    /// Makes a topic with `options`: a [`TopicOptions`], or a [`Retention`](crate::Retention) alone.
    ///
    /// # Errors
    /// As [`create_topic`](Self::create_topic), and [`Error::Refused`] with
    /// [`StorageUnavailable`](crate::Code::StorageUnavailable) where the broker keeps nothing on
    /// disk.
    pub fn create_topic_with(
        &mut self,
        topic: &str,
        options: impl Into<TopicOptions>,
    ) -> Result<(), Error> {
        let (topic, options) = (topic.into(), options.into());
        self.call(&Request::Create { topic, options }).map(drop)
    }

    /// Removes a topic, its messages and its subscriptions.
    ///
    /// # Errors
    /// [`Error::Refused`] with [`UnknownTopic`](crate::Code::UnknownTopic).
    pub fn delete_topic(&mut self, topic: &str) -> Result<(), Error> {
        self.call(&Request::Delete { topic: topic.into() }).map(drop)
    }

    /// Makes a named subscription that begins with the oldest message held, to be pulled from;
    /// keeps it if it exists. Returns the offset of the message that it reads next.
    ///
    /// # Errors
    /// [`Error::Refused`] with [`UnknownTopic`](crate::Code::UnknownTopic) or
    /// [`InvalidSubscriber`](crate::Code::InvalidSubscriber).
    pub fn subscribe(&mut self, topic: &str, subscriber: &SubscriberId) -> Result<u64, Error> {
        self.subscribe_with(topic, subscriber, &PullTerms::default())
    }

    /// Makes a named subscription to be pulled from, on terms; keeps it, with its place and its
    /// own terms, if it exists. Returns the offset of the message that it reads next.
    ///
    /// # Errors
    /// As [`subscribe`](Self::subscribe), and [`Error::Refused`] with
    /// [`SubscriptionMismatch`](crate::Code::SubscriptionMismatch) where one of this name exists
    /// and its messages are acknowledged in another way.
    pub fn subscribe_with(
        &mut self,
        topic: &str,
        subscriber: &SubscriberId,
        terms: &PullTerms,
    ) -> Result<u64, Error> {
        self.call_for_place(&Request::Subscribe {
            topic: Cow::Borrowed(topic),
            subscriber: Cow::Borrowed(subscriber.as_str()),
            delivery: Delivery::Pull,
            start: terms.start,
            acks: terms.acks.as_ref().map(AckTerms::borrowed),
        })
    }

    /// Moves a subscription to another place in its topic. Returns the offset of the message that
    /// it reads next.
    ///
    /// # Errors
    /// [`Error::Refused`] with [`NotSubscribed`](crate::Code::NotSubscribed) or
    /// [`UnknownTopic`](crate::Code::UnknownTopic).
    pub fn seek(
        &mut self,
        topic: &str,
        subscriber: &SubscriberId,
        to: Start,
    ) -> Result<u64, Error> {
        let (topic, subscriber) = (Cow::Borrowed(topic), Cow::Borrowed(subscriber.as_str()));
        self.call_for_place(&Request::Seek { topic, subscriber, to })
    }

    /// Tells what became of messages that were pulled and are acknowledged individually; waits
    /// until the broker has it as durably as the topic's messages. Offsets that are with no
    /// consumer any more are passed over.
    ///
    /// # Errors
    /// [`Error::InvalidRequest`] where there is no offset in `ranges`; [`Error::Refused`] with
    /// [`NotSubscribed`](crate::Code::NotSubscribed),
    /// [`UnknownTopic`](crate::Code::UnknownTopic) or
    /// [`SubscriptionMismatch`](crate::Code::SubscriptionMismatch).
    pub fn settle_pulled(
        &mut self,
        topic: &str,
        subscriber: &SubscriberId,
        ranges: &[OffsetRange],
        verdict: Verdict,
    ) -> Result<(), Error> {
        let request = Request::Settle {
            target: SettleTarget::Named {
                topic: Cow::Borrowed(topic),
                subscriber: Cow::Borrowed(subscriber.as_str()),
            },
            ranges: checked_ranges(ranges)?,
            verdict,
            answer: SettleAnswer::Wanted,
        };
        self.call(&request).map(drop)
    }

    /// Removes a subscription.
    ///
    /// # Errors
    /// [`Error::Refused`] with [`NotSubscribed`](crate::Code::NotSubscribed) or
    /// [`UnknownTopic`](crate::Code::UnknownTopic).
    pub fn unsubscribe(&mut self, topic: &str, subscriber: &SubscriberId) -> Result<(), Error> {
        let (topic, subscriber) = (Cow::Borrowed(topic), Cow::Borrowed(subscriber.as_str()));
        self.call(&Request::Unsubscribe { topic, subscriber }).map(drop)
    }

    /// Takes all unread messages of a subscription, as far as they fit into the broker's largest
    /// answer; [`Pulled::remaining`] tells what did not.
    ///
    /// # Errors
    /// [`Error::Refused`] with [`NotSubscribed`](crate::Code::NotSubscribed) or
    /// [`UnknownTopic`](crate::Code::UnknownTopic).
    pub fn pull(&mut self, topic: &str, subscriber: &SubscriberId) -> Result<Pulled, Error> {
        self.pull_request(topic, subscriber, None)
    }

    /// Takes at most `count_max` unread messages of a subscription; of 0, none are asked for.
    ///
    /// # Errors
    /// As [`pull`](Self::pull).
    pub fn pull_max(
        &mut self,
        topic: &str,
        subscriber: &SubscriberId,
        count_max: u32,
    ) -> Result<Pulled, Error> {
        if count_max == 0 {
            return Ok(Pulled::default());
        }
        self.pull_request(topic, subscriber, Some(count_max))
    }

    fn pull_request(
        &mut self,
        topic: &str,
        subscriber: &SubscriberId,
        count_max: Option<u32>,
    ) -> Result<Pulled, Error> {
        let (topic, subscriber) = (Cow::Borrowed(topic), Cow::Borrowed(subscriber.as_str()));
        match self.call(&Request::Pull { topic, subscriber, count_max })? {
            Answer::Pulled(pulled) => Ok(pulled),
            other => unreachable!("the session checks answers, yet gave {other:?}"),
        }
    }

    /// The topics, in the order of their names.
    ///
    /// # Errors
    /// None of its own.
    pub fn list_topics(&mut self) -> Result<Vec<String>, Error> {
        match self.call(&Request::ListTopics)? {
            Answer::Topics(names) => Ok(names),
            other => unreachable!("the session checks answers, yet gave {other:?}"),
        }
    }

    /// A topic's subscribers, in the order of their ids.
    ///
    /// # Errors
    /// [`Error::Refused`] with [`UnknownTopic`](crate::Code::UnknownTopic).
    pub fn subscribers(&mut self, topic: &str) -> Result<Vec<SubscriberId>, Error> {
        match self.call(&Request::Subscribers { topic: topic.into() })? {
            Answer::Subscribers(ids) => Ok(ids),
            other => unreachable!("the session checks answers, yet gave {other:?}"),
        }
    }

    /// Asks whether the broker is there; returns how long its answer took.
    ///
    /// # Errors
    /// None of its own.
    pub fn ping(&mut self) -> Result<Duration, Error> {
        let asked = Instant::now();
        self.call(&Request::Ping)?;
        Ok(asked.elapsed())
    }

    /// What the broker says of itself.
    ///
    /// # Errors
    /// None of its own.
    pub fn info(&mut self) -> Result<Info, Error> {
        match self.call(&Request::Info)? {
            Answer::Info(info) => Ok(*info),
            other => unreachable!("the session checks answers, yet gave {other:?}"),
        }
    }

    fn call_for_place(&mut self, request: &Request<'_>) -> Result<u64, Error> {
        match self.call(request)? {
            Answer::Subscribed { next_offset } => Ok(next_offset),
            other => unreachable!("the session checks answers, yet gave {other:?}"),
        }
    }

    fn call(&mut self, request: &Request<'_>) -> Result<Answer, Error> {
        self.wait_for_room()?;
        let ticket = self.session.handle_request(request, Instant::now())?;
        self.wait_for(ticket)
    }
}

impl Drop for Client {
    /// Hands what is buffered to the operating system, if there is a connection. Call
    /// [`flush`](Self::flush) before to learn whether that went well.
    fn drop(&mut self) {
        // There is no one to tell.
        let _unwritten = self.write_output();
    }
}
