//! What every client of the suite can say, in whichever dialect.

use crate::BrokerProcess;
use protocol::{
    AckTerms, Code, Durability, Info, Refusal, Retention, Start, TopicOptions, Verdict,
};
use std::net::SocketAddr;

/// What was answered, or the stable code of the refusal.
pub type Answer<T> = Result<T, Code>;

/// The headers of one message. JSON lines order them by key, and have the last of those with
/// the same key.
pub type Headers = Vec<(String, Vec<u8>)>;

/// What a pull returned.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pulled {
    /// The messages, oldest first.
    pub messages: Vec<Vec<u8>>,
    /// The headers of each.
    pub headers: Vec<Headers>,
    /// How many messages retention took before they were read.
    pub lost: u64,
    /// How many are still unread.
    pub remaining: u64,
}

impl Pulled {
    /// The messages as text.
    #[must_use]
    pub fn texts(&self) -> Vec<&str> {
        let texts = self.messages.iter().map(|message| std::str::from_utf8(message));
        texts.collect::<Result<_, _>>().expect("the test published text")
    }
}

/// What a pull of a subscription with individual acknowledgements returned.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Leased {
    /// The messages, and what was said of them.
    pub pulled: Pulled,
    /// The offset of each.
    pub offsets: Vec<u64>,
    /// How often each of them was delivered, this time included.
    pub deliveries: u32,
}

impl Leased {
    /// The messages as text.
    #[must_use]
    pub fn texts(&self) -> Vec<&str> {
        self.pulled.texts()
    }
}

/// A client for the stories that are the same in every dialect. Each call sends one request and
/// waits for its answer.
pub trait Speaks: Sized {
    /// Connects to an address.
    fn open(address: SocketAddr) -> Self;

    /// Connects to a broker's first address.
    #[must_use]
    fn connect(broker: &BrokerProcess) -> Self {
        Self::open(broker.address())
    }

    /// Connects to a broker that refuses the connection, speaks all the same, and gives the code
    /// that it is refused with before the broker closes it.
    fn refused_at_once(address: SocketAddr) -> Code;

    /// CREATE of a topic with options.
    ///
    /// # Errors
    /// The code of the refusal, here and below.
    fn create_as(&mut self, topic: &str, options: TopicOptions) -> Answer<()>;

    /// CREATE with a retention of its own.
    ///
    /// # Errors
    /// The code of the refusal.
    fn create_with(&mut self, topic: &str, retention: Retention) -> Answer<()> {
        self.create_as(topic, TopicOptions { retention, ..TopicOptions::default() })
    }

    /// CREATE.
    ///
    /// # Errors
    /// The code of the refusal.
    fn create(&mut self, topic: &str) -> Answer<()> {
        self.create_as(topic, TopicOptions::default())
    }

    /// DELETE.
    ///
    /// # Errors
    /// The code of the refusal.
    fn delete(&mut self, topic: &str) -> Answer<()>;

    /// PUBLISH of one message, giving its offset.
    ///
    /// # Errors
    /// The code of the refusal.
    fn publish(&mut self, topic: &str, message: impl AsRef<[u8]>) -> Answer<u64> {
        self.publish_as(topic, message, None)
    }

    /// PUBLISH of one message that says when it is acknowledged, giving its offset.
    ///
    /// # Errors
    /// The code of the refusal.
    fn publish_as(
        &mut self,
        topic: &str,
        message: impl AsRef<[u8]>,
        durability: Option<Durability>,
    ) -> Answer<u64>;

    /// SUBSCRIBE of a subscription that is pulled.
    ///
    /// # Errors
    /// The code of the refusal.
    fn subscribe(&mut self, topic: &str, subscriber: &str) -> Answer<()> {
        self.subscribe_as(topic, subscriber, Start::Earliest, None).map(drop)
    }

    /// SUBSCRIBE of a subscription that is pulled and begins at `start`, giving the offset that
    /// it reads next.
    ///
    /// # Errors
    /// The code of the refusal.
    fn subscribe_at(&mut self, topic: &str, subscriber: &str, start: Start) -> Answer<u64> {
        self.subscribe_as(topic, subscriber, start, None)
    }

    /// SUBSCRIBE of a subscription that is pulled, with individual acknowledgements, giving the
    /// offset that it reads next.
    ///
    /// # Errors
    /// The code of the refusal.
    fn join(&mut self, topic: &str, group: &str, acks: &AckTerms<'_>) -> Answer<u64> {
        self.subscribe_as(topic, group, Start::Earliest, Some(acks))
    }

    /// SUBSCRIBE of a subscription that is pulled, giving the offset that it reads next.
    ///
    /// # Errors
    /// The code of the refusal.
    fn subscribe_as(
        &mut self,
        topic: &str,
        subscriber: &str,
        start: Start,
        acks: Option<&AckTerms<'_>>,
    ) -> Answer<u64>;

    /// SEEK, giving the offset that the subscription reads next.
    ///
    /// # Errors
    /// The code of the refusal.
    fn seek(&mut self, topic: &str, subscriber: &str, to: Start) -> Answer<u64>;

    /// UNSUBSCRIBE.
    ///
    /// # Errors
    /// The code of the refusal.
    fn unsubscribe(&mut self, topic: &str, subscriber: &str) -> Answer<()>;

    /// PULL of at most `count_max` messages.
    ///
    /// # Errors
    /// The code of the refusal.
    fn pull_max(&mut self, topic: &str, subscriber: &str, count_max: Option<u32>)
    -> Answer<Pulled>;

    /// PULL of all that is unread.
    ///
    /// # Errors
    /// The code of the refusal.
    fn pull(&mut self, topic: &str, subscriber: &str) -> Answer<Pulled> {
        self.pull_max(topic, subscriber, None)
    }

    /// PULL of at most `count_max` messages of a subscription with individual acknowledgements.
    ///
    /// # Errors
    /// The code of the refusal.
    fn lease(&mut self, topic: &str, group: &str, count_max: Option<u32>) -> Answer<Leased>;

    /// ACK or NACK of messages by their offsets, naming the subscription.
    ///
    /// # Errors
    /// The code of the refusal.
    fn settle(&mut self, topic: &str, group: &str, offsets: &[u64], verdict: Verdict)
    -> Answer<()>;

    /// ACK of messages by their offsets, naming the subscription.
    ///
    /// # Errors
    /// The code of the refusal.
    fn ack_offsets(&mut self, topic: &str, group: &str, offsets: &[u64]) -> Answer<()> {
        self.settle(topic, group, offsets, Verdict::Ack)
    }

    /// NACK of messages by their offsets, naming the subscription; without `delay_ms` they come
    /// again after its backoff.
    ///
    /// # Errors
    /// The code of the refusal.
    fn nack_offsets(
        &mut self,
        topic: &str,
        group: &str,
        offsets: &[u64],
        delay_ms: Option<u32>,
    ) -> Answer<()> {
        self.settle(topic, group, offsets, Verdict::Nack { delay_ms })
    }

    /// LIST_TOPICS.
    ///
    /// # Errors
    /// The code of the refusal.
    fn topics(&mut self) -> Answer<Vec<String>>;

    /// GET_SUBSCRIBERS.
    ///
    /// # Errors
    /// The code of the refusal.
    fn subscribers(&mut self, topic: &str) -> Answer<Vec<String>>;

    /// PING.
    ///
    /// # Errors
    /// The code of the refusal.
    fn ping(&mut self) -> Answer<()>;

    /// INFO.
    ///
    /// # Errors
    /// The code of the refusal.
    fn info(&mut self) -> Answer<Info>;

    /// Reads the refusal that comes before the broker closes the connection, and the close.
    fn closing_refusal(&mut self) -> Code;
}

/// The code of a refusal whose sentence is fit to be read: not empty, on one line.
#[track_caller]
pub(crate) fn code_of(refusal: &Refusal) -> Code {
    let message = refusal.message.as_ref();
    assert!(!message.trim().is_empty(), "{}: expected a sentence, found none", refusal.code);
    assert!(!message.contains('\n'), "{}: expected one line, found {message:?}", refusal.code);
    refusal.code
}
