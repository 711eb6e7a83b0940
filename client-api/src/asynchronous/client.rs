//! The client: connecting, and the requests that have one answer each.

use super::driver::Driver;
use super::shared::{Handle, Shared, State};
use super::subscription::Subscription;
use crate::session::{Answer, Ticket, checked_ranges};
use crate::{
    AckTerms, Error, OffsetRange, Operation, Options, PublisherId, PullTerms, Pulled, PushTerms,
    Start, SubscriberId, TopicOptions, Verdict,
};
use protocol::{Delivery, Info, Request, SettleAnswer, SettleTarget};
use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::ToSocketAddrs;
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tokio::time::timeout;

/// A handle to a connection. Clones share it; with the last clone and subscription it closes.
///
/// Every operation waits at most [`Options::request_timeout`] for its turn and as long again for
/// its answer. The errors that any of them may return are those of [`Error`]; each method names
/// only what is its own. Methods must be called within a tokio runtime with time and I/O enabled.
#[derive(Clone, Debug)]
pub struct Client {
    pub(super) handle: Arc<Handle>,
}

impl Client {
    /// Connects with the default [`Options`].
    ///
    /// # Errors
    /// As [`connect_with`](Self::connect_with).
    pub async fn connect(address: impl ToSocketAddrs) -> Result<Self, Error> {
        Self::connect_with(address, Options::default()).await
    }

    /// Connects, waits until the broker accepted the greeting, and spawns the task that owns the
    /// connection. One attempt is made; the reconnect policy is for connections that stood once.
    ///
    /// # Errors
    /// [`Error::Connect`] when no one answers there, [`Error::ProtocolViolation`] when the one who
    /// answers is no Tandem broker, [`Error::Refused`] when the broker takes no more connections,
    /// [`Error::Timeout`] when it does not greet.
    pub async fn connect_with(
        address: impl ToSocketAddrs,
        options: Options,
    ) -> Result<Self, Error> {
        let addresses = tokio::net::lookup_host(address)
            .await
            .map_err(|source| Error::Io { action: "look up the broker's address", source })?
            .collect();
        let shared = Arc::new(Shared::new(options));
        let mut driver = Driver::new(Arc::clone(&shared), addresses);
        let stream = driver.open().await?;
        tokio::spawn(driver.run(stream));
        Ok(Self { handle: Arc::new(Handle { shared }) })
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
    pub async fn create_topic(&self, topic: &str) -> Result<(), Error> {
        self.create_topic_with(topic, TopicOptions::default()).await
    }

    /// Makes a topic with `options`: a [`TopicOptions`], or a [`Retention`](crate::Retention) alone.
    ///
    /// # Errors
    /// As [`create_topic`](Self::create_topic), and [`Error::Refused`] with
    /// [`StorageUnavailable`](crate::Code::StorageUnavailable) where the broker keeps nothing on
    /// disk.
    pub async fn create_topic_with(
        &self,
        topic: &str,
        options: impl Into<TopicOptions>,
    ) -> Result<(), Error> {
        let (topic, options) = (topic.into(), options.into());
        self.call(&Request::Create { topic, options }).await.map(drop)
    }

    /// Removes a topic, its messages and its subscriptions.
    ///
    /// # Errors
    /// [`Error::Refused`] with [`UnknownTopic`](crate::Code::UnknownTopic).
    pub async fn delete_topic(&self, topic: &str) -> Result<(), Error> {
        self.call(&Request::Delete { topic: topic.into() }).await.map(drop)
    }

    /// Makes a named subscription that begins with the oldest message held, to be pulled from;
    /// keeps it if it exists. Returns the offset of the message that it reads next.
    ///
    /// # Errors
    /// [`Error::Refused`] with [`UnknownTopic`](crate::Code::UnknownTopic) or
    /// [`InvalidSubscriber`](crate::Code::InvalidSubscriber).
    pub async fn subscribe(&self, topic: &str, subscriber: &SubscriberId) -> Result<u64, Error> {
        self.subscribe_with(topic, subscriber, &PullTerms::default()).await
    }

    /// Makes a named subscription to be pulled from, on terms; keeps it, with its place and its
    /// own terms, if it exists. Returns the offset of the message that it reads next.
    ///
    /// # Errors
    /// As [`subscribe`](Self::subscribe), and [`Error::Refused`] with
    /// [`SubscriptionMismatch`](crate::Code::SubscriptionMismatch) where one of this name exists
    /// and its messages are acknowledged in another way.
    pub async fn subscribe_with(
        &self,
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
        .await
    }

    /// Moves a subscription to another place in its topic. Returns the offset of the message that
    /// it reads next.
    ///
    /// # Errors
    /// [`Error::Refused`] with [`NotSubscribed`](crate::Code::NotSubscribed) or
    /// [`UnknownTopic`](crate::Code::UnknownTopic).
    pub async fn seek(
        &self,
        topic: &str,
        subscriber: &SubscriberId,
        to: Start,
    ) -> Result<u64, Error> {
        let (topic, subscriber) = (Cow::Borrowed(topic), Cow::Borrowed(subscriber.as_str()));
        self.call_for_place(&Request::Seek { topic, subscriber, to }).await
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
    pub async fn settle_pulled(
        &self,
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
        self.call(&request).await.map(drop)
    }

    /// Makes a push subscription, or attaches to it if it exists.
    ///
    /// # Errors
    /// [`Error::Refused`] with [`UnknownTopic`](crate::Code::UnknownTopic),
    /// [`InvalidSubscriber`](crate::Code::InvalidSubscriber) or
    /// [`LimitReached`](crate::Code::LimitReached).
    pub async fn subscribe_push(
        &self,
        topic: &str,
        subscriber: &SubscriberId,
        terms: PushTerms,
    ) -> Result<Subscription, Error> {
        let permit = self.room(Operation::Subscribe).await?;
        let (subscription, answer) = {
            let mut state = self.handle.shared.lock();
            let (id, ticket) =
                state.session.handle_attach(topic, subscriber, terms, Instant::now())?;
            state.open_inbox(id);
            let answer = state.expect_answer(ticket, permit);
            state.wake_driver();
            // From here on a dropped future detaches.
            (Subscription::new(Arc::clone(&self.handle), id), answer)
        };
        answered(answer).await?;
        Ok(subscription)
    }

    /// Removes a subscription.
    ///
    /// # Errors
    /// [`Error::Refused`] with [`NotSubscribed`](crate::Code::NotSubscribed) or
    /// [`UnknownTopic`](crate::Code::UnknownTopic).
    pub async fn unsubscribe(&self, topic: &str, subscriber: &SubscriberId) -> Result<(), Error> {
        let (topic, subscriber) = (Cow::Borrowed(topic), Cow::Borrowed(subscriber.as_str()));
        self.call(&Request::Unsubscribe { topic, subscriber }).await.map(drop)
    }

    /// Takes all unread messages of a subscription, as far as they fit into the broker's largest
    /// answer; [`Pulled::remaining`] tells what did not. Messages of a pull whose future was
    /// dropped are lost.
    ///
    /// # Errors
    /// [`Error::Refused`] with [`NotSubscribed`](crate::Code::NotSubscribed) or
    /// [`UnknownTopic`](crate::Code::UnknownTopic).
    pub async fn pull(&self, topic: &str, subscriber: &SubscriberId) -> Result<Pulled, Error> {
        self.pull_request(topic, subscriber, None).await
    }

    /// Takes at most `count_max` unread messages of a subscription; of 0, none are asked for.
    ///
    /// # Errors
    /// As [`pull`](Self::pull).
    pub async fn pull_max(
        &self,
        topic: &str,
        subscriber: &SubscriberId,
        count_max: u32,
    ) -> Result<Pulled, Error> {
        if count_max == 0 {
            return Ok(Pulled::default());
        }
        self.pull_request(topic, subscriber, Some(count_max)).await
    }

    async fn pull_request(
        &self,
        topic: &str,
        subscriber: &SubscriberId,
        count_max: Option<u32>,
    ) -> Result<Pulled, Error> {
        let (topic, subscriber) = (Cow::Borrowed(topic), Cow::Borrowed(subscriber.as_str()));
        match self.call(&Request::Pull { topic, subscriber, count_max }).await? {
            Answer::Pulled(pulled) => Ok(pulled),
            other => unreachable!("the session checks answers, yet gave {other:?}"),
        }
    }

    /// The topics, in the order of their names.
    ///
    /// # Errors
    /// None of its own.
    pub async fn list_topics(&self) -> Result<Vec<String>, Error> {
        match self.call(&Request::ListTopics).await? {
            Answer::Topics(names) => Ok(names),
            other => unreachable!("the session checks answers, yet gave {other:?}"),
        }
    }

    /// A topic's subscribers, in the order of their ids.
    ///
    /// # Errors
    /// [`Error::Refused`] with [`UnknownTopic`](crate::Code::UnknownTopic).
    pub async fn subscribers(&self, topic: &str) -> Result<Vec<SubscriberId>, Error> {
        match self.call(&Request::Subscribers { topic: topic.into() }).await? {
            Answer::Subscribers(ids) => Ok(ids),
            other => unreachable!("the session checks answers, yet gave {other:?}"),
        }
    }

    /// Asks whether the broker is there; returns how long its answer took.
    ///
    /// # Errors
    /// None of its own.
    pub async fn ping(&self) -> Result<Duration, Error> {
        let asked = Instant::now();
        self.call(&Request::Ping).await?;
        Ok(asked.elapsed())
    }

    /// What the broker says of itself.
    ///
    /// # Errors
    /// None of its own.
    pub async fn info(&self) -> Result<Info, Error> {
        match self.call(&Request::Info).await? {
            Answer::Info(info) => Ok(*info),
            other => unreachable!("the session checks answers, yet gave {other:?}"),
        }
    }

    async fn call_for_place(&self, request: &Request<'_>) -> Result<u64, Error> {
        match self.call(request).await? {
            Answer::Subscribed { next_offset } => Ok(next_offset),
            other => unreachable!("the session checks answers, yet gave {other:?}"),
        }
    }

    async fn call(&self, request: &Request<'_>) -> Result<Answer, Error> {
        let permit = self.room(Operation::Ping).await?;
        let now = Instant::now();
        answered(self.ask(permit, |state| state.session.handle_request(request, now))?).await
    }

    /// Waits until one more request may be in flight.
    pub(super) async fn room(&self, operation: Operation) -> Result<OwnedSemaphorePermit, Error> {
        let room = Arc::clone(&self.handle.shared.room);
        if let Ok(permit) = Arc::clone(&room).try_acquire_owned() {
            return Ok(permit);
        }
        let limit = self.handle.shared.options.request_timeout;
        match timeout(limit, room.acquire_owned()).await {
            Ok(permit) => Ok(permit.expect("the semaphore is never closed")),
            Err(_elapsed) => Err(Error::Timeout { operation, limit }),
        }
    }

    /// Puts a request and has it sent.
    pub(super) fn ask(
        &self,
        permit: OwnedSemaphorePermit,
        put: impl FnOnce(&mut State) -> Result<Ticket, Error>,
    ) -> Result<oneshot::Receiver<Result<Answer, Error>>, Error> {
        let mut state = self.handle.shared.lock();
        let ticket = put(&mut state)?;
        let answer = state.expect_answer(ticket, permit);
        state.wake_driver();
        Ok(answer)
    }
}

pub(super) async fn answered(
    answer: oneshot::Receiver<Result<Answer, Error>>,
) -> Result<Answer, Error> {
    answer.await.unwrap_or_else(|_dropped| Err(driver_is_gone()))
}

/// The runtime dropped the task, as it does when it shuts down.
pub(super) fn driver_is_gone() -> Error {
    Error::Disconnected { reason: "the runtime that the client was made in has ended".to_owned() }
}
