//! What the drivers' tests share: streams, exchanges in pieces, and brokers.

use super::{
    Confirmation, Conversation, Driver, Heard, Publications, Selection, StreamTerms, Tidings,
};
use crate::clock::Clock;
use crate::intake::{Intake, Recorder};
use crate::ledger::{Faults, Ledger};
use crate::message::{BatchStamp, Intended, Payloads};
use protocol::LagPolicy;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

pub(super) const RUN_ID: u32 = 7;

/// A stream of one topic.
pub(super) fn stream_terms(payload_bytes: usize, confirmation: Confirmation) -> StreamTerms {
    StreamTerms {
        root: "stream".to_owned(),
        topics: 1,
        selection: Selection::Names,
        payloads: Arc::new(Payloads::fixed(payload_bytes)),
        batch_max: 64,
        confirmation,
        held: None,
        lag_policy: LagPolicy::Hold,
    }
}

/// So many messages of the first producer to the first topic.
pub(super) fn batch_stamp(first_sequence: u64, count: u32) -> BatchStamp<'static> {
    BatchStamp {
        count,
        topic: 0,
        producer: 0,
        first_sequence,
        intended: Intended::Together(1),
        sent_ns: 2,
        run_id: RUN_ID,
        phase: 0,
    }
}

/// Listens to one conversation.
pub(super) struct Listener {
    pub(super) recorder: Recorder,
    pub(super) ledger: Ledger,
    pub(super) tidings: Tidings,
    pub(super) output: Vec<u8>,
}

impl Listener {
    pub(super) fn new(payloads: &Arc<Payloads>, producers: usize) -> Self {
        Self {
            recorder: Recorder::new(Clock::start(), Arc::clone(payloads), RUN_ID, 1),
            ledger: Ledger::new(producers),
            tidings: Tidings::default(),
            output: Vec::new(),
        }
    }

    /// Hands over input, and says how much of it was used.
    pub(super) fn hear(
        &mut self,
        conversation: &mut (impl Conversation + ?Sized),
        input: &[u8],
    ) -> Result<usize, crate::drivers::DriverError> {
        self.recorder.begin();
        let mut intake = Intake::new(&mut self.recorder, &mut self.ledger, 0);
        let mut heard = Heard::new(&mut intake, &mut self.output, &mut self.tidings);
        let used = conversation.handle_input(input, &mut heard);
        self.recorder.end(0);
        used
    }
}

/// What came of an exchange.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Outcome {
    pub(super) said: Vec<u8>,
    pub(super) ready: bool,
    pub(super) acknowledged: u32,
    pub(super) answers: Vec<Result<u32, String>>,
    pub(super) finished: bool,
    pub(super) received: u64,
    pub(super) faults: Faults,
    pub(super) left: usize,
    pub(super) error: Option<String>,
}

/// Holds a conversation whose other side says `input`, cut at these places.
pub(super) fn converse(
    conversation: &mut (impl Conversation + ?Sized),
    terms: &StreamTerms,
    input: &[u8],
    cuts: &[usize],
    messages: u64,
) -> Outcome {
    let mut listener = Listener::new(&terms.payloads, 1);
    // Names of clients differ from one to the next.
    conversation.poll_opening(&mut Vec::new());
    let (mut held, mut start, mut error) = (Vec::new(), 0, None);
    for &end in cuts.iter().chain([&input.len()]) {
        held.extend_from_slice(&input[start..end]);
        start = end;
        match listener.hear(conversation, &held) {
            Ok(used) => drop(held.drain(..used)),
            Err(found) => {
                error = Some(found.to_string());
                break;
            }
        }
    }
    let left = if error.is_some() { 0 } else { held.len() };
    let answer =
        |answer: Result<u32, crate::drivers::DriverError>| answer.map_err(|e| e.to_string());
    Outcome {
        said: listener.output,
        ready: listener.tidings.ready,
        acknowledged: listener.tidings.acknowledged,
        answers: listener.tidings.answers.into_iter().map(answer).collect(),
        finished: listener.tidings.finished,
        received: listener.recorder.received(),
        faults: listener.ledger.faults(&[messages]),
        left,
        error,
    }
}

/// Deliveries of the stream's first messages, as a broker sends them.
pub(super) fn deliveries(driver: &dyn Driver, terms: &StreamTerms, messages: u64) -> Vec<u8> {
    let encoder = driver.delivery_encoder(terms).unwrap();
    let mut publications = Publications::new(encoder, Arc::clone(&terms.payloads));
    (0..messages.div_ceil(2))
        .flat_map(|pair| {
            let count = (messages - 2 * pair).min(2) as u32;
            publications.stamped(&batch_stamp(2 * pair, count)).bytes().to_vec()
        })
        .collect()
}

/// A conversation over a blocking socket.
pub(super) struct Peer<C: ?Sized> {
    socket: TcpStream,
    held: Vec<u8>,
    pub(super) listener: Listener,
    pub(super) conversation: Box<C>,
}

impl<C: Conversation + ?Sized> Peer<C> {
    /// Connects, and waits until the conversation is open.
    pub(super) fn open(
        address: SocketAddr,
        conversation: Box<C>,
        terms: &StreamTerms,
        producers: u32,
    ) -> Self {
        let wait = Some(Duration::from_millis(super::blocking::ANSWER_MS_MAX));
        let socket = TcpStream::connect(address).unwrap();
        socket.set_nodelay(true).unwrap();
        socket.set_read_timeout(wait).unwrap();
        socket.set_write_timeout(wait).unwrap();
        let listener = Listener::new(&terms.payloads, producers as usize);
        let mut peer = Self { socket, held: Vec::new(), listener, conversation };
        let mut opening = Vec::new();
        peer.conversation.poll_opening(&mut opening);
        peer.write(&opening);
        peer.read_until("to be let in", |heard| heard.tidings.ready);
        peer
    }

    pub(super) fn write(&mut self, bytes: &[u8]) {
        self.socket.write_all(bytes).unwrap();
    }

    /// Reads once.
    pub(super) fn read(&mut self, expected: &str) {
        let mut read = [0; 16 * 1024];
        let bytes =
            self.socket.read(&mut read).unwrap_or_else(|error| panic!("{expected}: {error}"));
        assert!(bytes > 0, "expected {expected}, found the connection closed");
        self.held.extend_from_slice(&read[..bytes]);
        let used = self.listener.hear(&mut *self.conversation, &self.held);
        self.held.drain(..used.unwrap_or_else(|error| panic!("{expected}: {error}")));
        let replies = std::mem::take(&mut self.listener.output);
        self.write(&replies);
    }

    pub(super) fn read_until(&mut self, expected: &str, is_there: impl Fn(&Listener) -> bool) {
        while !is_there(&self.listener) {
            self.read(expected);
        }
    }
}
