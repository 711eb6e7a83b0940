//! What every client of the suite can say, in whichever dialect.

use crate::BrokerProcess;
use protocol::{Code, Info, Refusal, Retention};
use std::net::SocketAddr;

/// What was answered, or the stable code of the refusal.
pub type Answer<T> = Result<T, Code>;

/// What a pull returned.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pulled {
    /// The messages, oldest first.
    pub messages: Vec<Vec<u8>>,
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

    /// CREATE with a retention of its own.
    ///
    /// # Errors
    /// The code of the refusal, here and below.
    fn create_with(&mut self, topic: &str, retention: Retention) -> Answer<()>;

    /// CREATE.
    ///
    /// # Errors
    /// The code of the refusal.
    fn create(&mut self, topic: &str) -> Answer<()> {
        self.create_with(topic, Retention::default())
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
    fn publish(&mut self, topic: &str, message: impl AsRef<[u8]>) -> Answer<u64>;

    /// SUBSCRIBE of a subscription that is pulled.
    ///
    /// # Errors
    /// The code of the refusal.
    fn subscribe(&mut self, topic: &str, subscriber: &str) -> Answer<()>;

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
