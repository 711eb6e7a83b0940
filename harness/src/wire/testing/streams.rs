//! Streams over real sockets: conversations held to their end, and every message accounted for.

use super::{Listener, batch_stamp};
use crate::drivers::DriverError;
use crate::ledger::Faults;
use crate::message::BatchStamp;
use crate::wire::blocking::ANSWER_MS_MAX;
use crate::wire::{Confirmation, Conversation, Driver, Publisher, StreamTerms, hold_conversation};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// How long anything is waited for; a broker of someone else's may be slow.
const WAIT: Duration = Duration::from_millis(3 * ANSWER_MS_MAX);

/// A conversation over a blocking socket.
pub(crate) struct Connected<C: ?Sized> {
    socket: TcpStream,
    input: Vec<u8>,
    pub(crate) listener: Listener,
    pub(crate) conversation: Box<C>,
}

impl<C: Conversation + ?Sized> Connected<C> {
    /// Connects, and waits until it is ready.
    pub(crate) fn open(
        address: SocketAddr,
        mut conversation: Box<C>,
        terms: &StreamTerms,
        producers: usize,
    ) -> Result<Self, DriverError> {
        let mut socket = TcpStream::connect(address).unwrap();
        socket.set_nodelay(true).unwrap();
        socket.set_read_timeout(Some(WAIT)).unwrap();
        socket.set_write_timeout(Some(WAIT)).unwrap();
        let mut opening = Vec::new();
        conversation.poll_opening(&mut opening);
        socket.write_all(&opening).unwrap();
        let listener = Listener::new(&terms.payloads, producers);
        let mut connected = Self { socket, input: Vec::new(), listener, conversation };
        connected.read_until(|heard| heard.tidings.ready)?;
        Ok(connected)
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), DriverError> {
        let written = self.socket.write_all(bytes);
        written.map_err(|source| DriverError::Io { doing: "writing", source })
    }

    /// Reads until what was heard is enough.
    pub(crate) fn read_until(
        &mut self,
        is_enough: impl Fn(&Listener) -> bool,
    ) -> Result<(), DriverError> {
        let mut read = vec![0; 64 * 1024];
        while !is_enough(&self.listener) {
            let bytes = match self.socket.read(&mut read) {
                Ok(0) => return Err(DriverError::Closed { expected: "more" }),
                Ok(bytes) => bytes,
                Err(source) => return Err(DriverError::Io { doing: "reading", source }),
            };
            self.input.extend_from_slice(&read[..bytes]);
            let used = self.listener.hear(&mut *self.conversation, &self.input)?;
            self.input.drain(..used);
            let replies = std::mem::take(&mut self.listener.output);
            self.write(&replies)?;
        }
        Ok(())
    }
}

impl Connected<dyn Publisher> {
    /// Publishes so many messages to each topic in batches of `terms.batch_max`, topics in turn,
    /// waits for every acknowledgement and asks for the end.
    pub(crate) fn publish_all(
        &mut self,
        terms: &StreamTerms,
        first_producer: u32,
        messages: u64,
    ) -> Result<(), DriverError> {
        let (mut publications, mut first_sequence) = (0, 0);
        while first_sequence < messages {
            let count = u64::from(terms.batch_max).min(messages - first_sequence) as u32;
            for topic in 0..terms.topics {
                let producer = first_producer + topic;
                self.publish(topic, producer, first_sequence, count)?;
                publications += 1;
            }
            first_sequence += u64::from(count);
        }
        if terms.confirmation == Confirmation::Wanted {
            self.read_until(|heard| heard.tidings.acknowledged >= publications)?;
        }
        let mut question = Vec::new();
        self.conversation.finish(&mut question);
        self.write(&question)?;
        self.read_until(|heard| heard.tidings.finished)?;
        let expected = match terms.confirmation {
            Confirmation::Wanted => publications,
            Confirmation::Unwanted => 0,
        };
        assert_eq!(self.listener.tidings.acknowledged, expected, "{terms:?}");
        Ok(())
    }

    fn publish(
        &mut self,
        topic: u32,
        producer: u32,
        first_sequence: u64,
        count: u32,
    ) -> Result<(), DriverError> {
        while self.conversation.room() < count {
            // Whatever comes next may make room.
            let heard = self.listener.inputs;
            self.read_until(|listener| listener.inputs > heard)?;
        }
        let stamp = BatchStamp { topic, producer, ..batch_stamp(first_sequence, count) };
        let bytes = self.conversation.publish(&stamp).to_vec();
        self.write(&bytes)
    }
}

/// Prepares a stream, publishes `messages` to each of its topics by each of two publishers, and
/// has two subscribers receive all of it without a fault; then removes it.
pub(crate) fn check_stream(driver: &dyn Driver, terms: &StreamTerms, messages: u64) {
    const PUBLISHERS: u32 = 2;
    const SUBSCRIBERS: u32 = 2;
    if let Some(mut preparation) = driver.preparation(terms) {
        hold_conversation(driver.address(), preparation.as_mut()).unwrap();
    }
    let producers = (PUBLISHERS * terms.topics) as usize;
    let expected = messages * producers as u64;
    std::thread::scope(|scope| {
        for subscriber in 0..SUBSCRIBERS {
            let conversation = driver.subscriber(terms, subscriber);
            let address = driver.address();
            let mut connected = Connected::open(address, conversation, terms, producers).unwrap();
            scope.spawn(move || {
                let read = connected.read_until(|heard| heard.received() >= expected);
                let received = connected.listener.received();
                assert!(read.is_ok(), "{}: {received} of {expected}: {read:?}", terms.root);
                let faults = connected.listener.ledger.faults(&vec![messages; producers]);
                assert_eq!((faults, received), (Faults::default(), expected), "{terms:?}");
            });
        }
        for publisher in 0..PUBLISHERS {
            let conversation = driver.publisher(terms, publisher);
            scope.spawn(move || {
                let address = driver.address();
                let mut connected = Connected::open(address, conversation, terms, 0).unwrap();
                connected.publish_all(terms, publisher * terms.topics, messages).unwrap();
            });
        }
    });
    if let Some(mut removal) = driver.removal(terms) {
        hold_conversation(driver.address(), removal.as_mut()).unwrap();
    }
}
