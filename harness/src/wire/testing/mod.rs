//! What tests of drivers need: other people's brokers as [processes](Peer), [streams](check_stream)
//! held with them over real sockets, and [any split](check_splits) of what a broker says.

mod peers;
mod streams;

pub(crate) use peers::{Peer, skipped};
pub(crate) use streams::{Connected, check_stream};

use super::{
    Confirmation, Conversation, Driver, EncodedBatch, Encoder, Heard, Publications, Selection,
    StreamTerms, Tidings,
};
use crate::clock::Clock;
use crate::drivers::DriverError;
use crate::intake::{Intake, Recorder};
use crate::ledger::{Faults, Ledger};
use crate::message::{BatchStamp, Intended, Payloads, Stamp};
use protocol::LagPolicy;
use std::sync::Arc;

const RUN_ID: u32 = 7;

/// The terms of a stream of these payloads, acknowledged.
pub(crate) fn terms(root: &str, topics: u32, payloads: Payloads) -> StreamTerms {
    StreamTerms {
        root: root.to_owned(),
        topics,
        selection: Selection::Names,
        payloads: Arc::new(payloads),
        batch_max: 10,
        confirmation: Confirmation::Wanted,
        held: None,
        lag_policy: LagPolicy::Hold,
    }
}

/// A stream of one topic.
pub(super) fn stream_terms(payload_bytes: usize, confirmation: Confirmation) -> StreamTerms {
    StreamTerms { confirmation, ..terms("stream", 1, Payloads::fixed(payload_bytes)) }
}

/// A message of producer 0, as a broker would deliver it.
pub(super) fn stamped(payloads: &Payloads, sequence: u64) -> Vec<u8> {
    let mut payload = payloads.blank(sequence);
    let stamp = Stamp {
        intended_ns: 1,
        sent_ns: 2,
        producer: 0,
        sequence,
        run_id: RUN_ID,
        phase: 0,
        payload_bytes: payload.len() as u32,
    };
    stamp.write(payloads.layout(), &mut payload);
    payload
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
pub(crate) struct Listener {
    recorder: Recorder,
    pub(crate) ledger: Ledger,
    pub(crate) tidings: Tidings,
    /// What is to be said to it.
    pub(crate) output: Vec<u8>,
    /// How often it was handed something.
    inputs: u64,
}

impl Listener {
    pub(super) fn new(payloads: &Arc<Payloads>, producers: usize) -> Self {
        Self {
            recorder: Recorder::new(Clock::start(), Arc::clone(payloads), RUN_ID, 1),
            ledger: Ledger::new(producers),
            tidings: Tidings::default(),
            output: Vec::new(),
            inputs: 0,
        }
    }

    /// Messages of the stream that came.
    pub(crate) fn received(&self) -> u64 {
        self.recorder.received()
    }

    /// Hands over input, and says how much of it was used.
    pub(super) fn hear(
        &mut self,
        conversation: &mut (impl Conversation + ?Sized),
        input: &[u8],
    ) -> Result<usize, DriverError> {
        self.inputs += 1;
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
    let answer = |answer: Result<u32, DriverError>| answer.map_err(|error| error.to_string());
    Outcome {
        received: listener.received(),
        said: listener.output,
        ready: listener.tidings.ready,
        acknowledged: listener.tidings.acknowledged,
        answers: listener.tidings.answers.into_iter().map(answer).collect(),
        finished: listener.tidings.finished,
        faults: listener.ledger.faults(&[messages]),
        left,
        error,
    }
}

/// Checks that a conversation makes the same of what it is told however that is split.
pub(super) fn check_splits<C: Conversation + ?Sized>(
    make: impl Fn() -> Box<C>,
    terms: &StreamTerms,
    told: &[u8],
    splits: &[usize],
) {
    let outcome = |cuts: &[usize]| converse(&mut *make(), terms, told, cuts, 0);
    let mut cuts: Vec<usize> = splits.iter().map(|split| split % (told.len() + 1)).collect();
    cuts.sort_unstable();
    let whole = outcome(&[]);
    assert_eq!(outcome(&cuts), whole, "split at {cuts:?}");
    let everywhere: Vec<usize> = (0..told.len()).collect();
    assert_eq!(outcome(&everywhere), whole, "split everywhere");
}

/// The stream's first messages, two by two, encoded like this.
pub(super) fn encoded(
    encoder: Box<dyn Encoder>,
    terms: &StreamTerms,
    messages: u64,
) -> Vec<EncodedBatch> {
    let mut publications = Publications::new(encoder, Arc::clone(&terms.payloads));
    let pair = |pair: u64| {
        let count = (messages - 2 * pair).min(2) as u32;
        publications.stamped(&batch_stamp(2 * pair, count)).clone()
    };
    (0..messages.div_ceil(2)).map(pair).collect()
}

/// Deliveries of the stream's first messages, as a broker sends them.
pub(super) fn deliveries(driver: &dyn Driver, terms: &StreamTerms, messages: u64) -> Vec<u8> {
    let encoder = driver.delivery_encoder(terms).unwrap();
    encoded(encoder, terms, messages).iter().flat_map(|batch| batch.bytes().to_vec()).collect()
}
