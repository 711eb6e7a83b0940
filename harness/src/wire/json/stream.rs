//! Publishers and subscribers of a stream.

use super::SEPARATOR;
use super::answer::{Answers, Line};
use crate::drivers::DriverError;
use crate::message::BatchStamp;
use crate::wire::pieces::take_pieces;
use crate::wire::unacknowledged::Unacknowledged;
use crate::wire::{
    Confirmation, Conversation, EncodedBatch, Encoder, Heard, Publications, Publisher, StreamTerms,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Messages without an answer where nobody counts them. The broker answers each.
const UNCOUNTED_MAX: u64 = 2048;

/// Payloads that one PULL asks for.
const ANSWER_BYTES_MAX: usize = 1024 * 1024;

/// Messages that one PULL asks for.
const MESSAGES_MAX: usize = 1024;

/// Payloads without anything around them.
struct PayloadEncoder;

impl Encoder for PayloadEncoder {
    fn encode(&mut self, _topic: u32, payloads: &[&[u8]], batch: &mut EncodedBatch) {
        payloads.iter().for_each(|payload| batch.payload(payload));
    }
}

/// Publishes lines, one for each message, and counts their answers.
pub(super) struct JsonPublisher {
    answers: Answers,
    publications: Publications<PayloadEncoder>,
    /// By topic: a line up to its message's first character.
    heads: Vec<Vec<u8>>,
    lines: Vec<u8>,
    confirmation: Confirmation,
    unacknowledged: Unacknowledged,
    /// Whether the opening question was answered, which comes before all else.
    is_open: bool,
    is_finishing: bool,
}

const TAIL: &[u8] = b"\"}}\n";

impl JsonPublisher {
    pub(super) fn new(terms: &StreamTerms) -> Self {
        let head = |topic: String| {
            let mut head = Vec::new();
            Line { command: "PUBLISH", topic: Some(&topic), ..Line::default() }.append(&mut head);
            // The message is the last key, where the line was closed.
            head.truncate(head.len() - b"}\n".len());
            head.extend_from_slice(b",\"message\":{\"base64\":\"");
            head
        };
        Self {
            answers: Answers::new(),
            publications: Publications::new(PayloadEncoder, terms.payloads.clone()),
            heads: terms.topic_names(SEPARATOR).map(head).collect(),
            lines: Vec::new(),
            confirmation: terms.confirmation,
            unacknowledged: Unacknowledged::of_each(),
            is_open: false,
            is_finishing: false,
        }
    }

    fn handle_answer(&mut self, heard: &mut Heard<'_, '_>) -> Result<(), DriverError> {
        // Lines are answered in order, and the one that finishes is the last.
        if self.is_finishing && self.unacknowledged.is_empty() {
            self.is_finishing = false;
            heard.finished();
            return Ok(());
        }
        let publications = self.unacknowledged.acknowledge(1)?;
        if self.confirmation == Confirmation::Wanted {
            heard.acknowledge(publications);
        }
        Ok(())
    }
}

impl Conversation for JsonPublisher {
    fn poll_opening(&mut self, output: &mut Vec<u8>) {
        Line { command: "PING", ..Line::default() }.append(output);
    }

    fn handle_input(
        &mut self,
        input: &[u8],
        heard: &mut Heard<'_, '_>,
    ) -> Result<usize, DriverError> {
        take_pieces(input, |rest| {
            let Some((line, bytes)) = self.answers.next_line(rest)? else { return Ok(0) };
            self.answers.check(line)?;
            if self.is_open {
                self.handle_answer(heard)?;
            } else {
                self.is_open = true;
                heard.ready();
            }
            Ok(bytes)
        })
    }
}

impl Publisher for JsonPublisher {
    fn room(&self) -> u32 {
        match self.confirmation {
            Confirmation::Unwanted if self.unacknowledged.messages() >= UNCOUNTED_MAX => 0,
            Confirmation::Unwanted | Confirmation::Wanted => u32::MAX,
        }
    }

    fn publish(&mut self, stamp: &BatchStamp<'_>) -> &[u8] {
        self.unacknowledged.publish(stamp.count);
        let batch = self.publications.stamped(stamp);
        let (payloads, places) = (batch.bytes(), batch.payloads_at());
        let head = &self.heads[stamp.topic as usize];
        self.lines.clear();
        for (index, &start) in places.iter().enumerate() {
            let end = places.get(index + 1).copied().unwrap_or(payloads.len());
            self.lines.extend_from_slice(head);
            append_base64(&payloads[start..end], &mut self.lines);
            self.lines.extend_from_slice(TAIL);
        }
        &self.lines
    }

    fn finish(&mut self, output: &mut Vec<u8>) {
        Line { command: "PING", ..Line::default() }.append(output);
        self.is_finishing = true;
    }
}

/// Without a string of its own.
#[inline]
fn append_base64(payload: &[u8], output: &mut Vec<u8>) {
    let start = output.len();
    output.resize(start + 4 * payload.len().div_ceil(3), 0);
    let written = STANDARD.encode_slice(payload, &mut output[start..]);
    output.truncate(start + written.expect("base64 has four characters for three bytes"));
}

/// Pulls again and again, from one topic after the other.
pub(super) struct JsonSubscriber {
    answers: Answers,
    opening: Vec<u8>,
    /// By topic.
    pulls: Vec<Vec<u8>>,
    unsubscribed: usize,
    /// Whose answer comes next.
    next: usize,
}

impl JsonSubscriber {
    /// `start`: where its subscriptions begin.
    pub(super) fn new(terms: &StreamTerms, subscriber: u32, start: &str) -> Self {
        let sid = format!("subscriber-{subscriber}");
        let max = (ANSWER_BYTES_MAX / terms.payloads.bytes_max().max(1)).clamp(1, MESSAGES_MAX);
        let (mut opening, mut pulls) = (Vec::new(), Vec::new());
        for topic in terms.topic_names(SEPARATOR) {
            let (topic, sid) = (Some(topic.as_str()), Some(sid.as_str()));
            let start = Some(start);
            Line { command: "SUBSCRIBE", topic, sid, start, ..Line::default() }
                .append(&mut opening);
            let mut pull = Vec::new();
            let max = Some(max);
            Line { command: "PULL", topic, sid, max, ..Line::default() }.append(&mut pull);
            pulls.push(pull);
        }
        Self { answers: Answers::new(), opening, unsubscribed: pulls.len(), pulls, next: 0 }
    }
}

impl Conversation for JsonSubscriber {
    fn poll_opening(&mut self, output: &mut Vec<u8>) {
        output.append(&mut self.opening);
    }

    fn handle_input(
        &mut self,
        input: &[u8],
        heard: &mut Heard<'_, '_>,
    ) -> Result<usize, DriverError> {
        take_pieces(input, |rest| {
            let Some((line, bytes)) = self.answers.next_line(rest)? else { return Ok(0) };
            if self.unsubscribed > 0 {
                self.answers.check(line)?;
                self.unsubscribed -= 1;
                if self.unsubscribed == 0 {
                    heard.ready();
                    self.pulls.iter().for_each(|pull| heard.reply().extend_from_slice(pull));
                }
                return Ok(bytes);
            }
            self.answers.take(line, |payload| heard.deliver(payload))?;
            heard.reply().extend_from_slice(&self.pulls[self.next]);
            self.next = (self.next + 1) % self.pulls.len();
            Ok(bytes)
        })
    }
}
