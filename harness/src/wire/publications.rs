//! Publications of a stream, encoded once for each number of messages in a row where all payloads
//! have one size, so that each time only stamps change; anew each time where sizes differ.

use crate::message::{BatchStamp, Payloads, Stamp, StampLayout};
use std::sync::Arc;

/// Encodes messages of a stream as one protocol has them.
pub trait Encoder: Send {
    /// Appends one publication to topic number `topic`, its messages with these payloads in
    /// order. Each payload is appended with [`EncodedBatch::payload`], where its stamp will be.
    fn encode(&mut self, topic: u32, payloads: &[&[u8]], batch: &mut EncodedBatch);
}

impl Encoder for Box<dyn Encoder> {
    fn encode(&mut self, topic: u32, payloads: &[&[u8]], batch: &mut EncodedBatch) {
        self.as_mut().encode(topic, payloads, batch);
    }
}

/// Encoded messages, and where their payloads are.
#[derive(Clone, Debug, Default)]
pub struct EncodedBatch {
    bytes: Vec<u8>,
    payloads_at: Vec<usize>,
}

impl EncodedBatch {
    /// Appends bytes that are the same each time.
    pub fn raw(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Appends one message's payload, or the part of it that comes first, its stamp included.
    pub fn payload(&mut self, payload: &[u8]) {
        self.payloads_at.push(self.bytes.len());
        self.bytes.extend_from_slice(payload);
    }

    /// Appends bytes within which payloads begin at these places.
    pub fn with_payloads_at(&mut self, bytes: &[u8], places: impl IntoIterator<Item = usize>) {
        let start = self.bytes.len();
        self.payloads_at.extend(places.into_iter().map(|place| start + place));
        self.bytes.extend_from_slice(bytes);
    }

    /// The encoded messages.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The encoded messages, for what else differs from one time to the next, such as packet ids;
    /// and where each message's payload begins.
    pub fn parts_mut(&mut self) -> (&mut [u8], &[usize]) {
        (&mut self.bytes, &self.payloads_at)
    }

    /// Where each message's payload begins.
    #[must_use]
    pub fn payloads_at(&self) -> &[usize] {
        &self.payloads_at
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.payloads_at.clear();
    }

    #[inline]
    fn stamp(&mut self, stamp: &BatchStamp<'_>, layout: StampLayout, sizes: impl Fn(u64) -> usize) {
        for (index, &at) in (0u64..).zip(&self.payloads_at) {
            let sequence = stamp.first_sequence + index;
            let own = Stamp {
                intended_ns: stamp.intended.ns(index),
                sent_ns: stamp.sent_ns,
                producer: stamp.producer,
                sequence,
                run_id: stamp.run_id,
                phase: stamp.phase,
                payload_bytes: sizes(sequence) as u32,
            };
            own.write(layout, &mut self.bytes[at..]);
        }
    }
}

/// The publications of one publisher.
pub struct Publications<E> {
    encoder: E,
    payloads: Arc<Payloads>,
    /// What `batch` holds: so many messages to this topic.
    held: Option<(u32, u32)>,
    batch: EncodedBatch,
    blank: Vec<u8>,
}

impl<E: Encoder> Publications<E> {
    /// None encoded yet.
    pub fn new(encoder: E, payloads: Arc<Payloads>) -> Self {
        Self { encoder, payloads, held: None, batch: EncodedBatch::default(), blank: Vec::new() }
    }

    /// One publication with these stamps.
    #[inline]
    pub fn stamped(&mut self, stamp: &BatchStamp<'_>) -> &mut EncodedBatch {
        match self.payloads.fixed_bytes() {
            Some(payload_bytes) => {
                if self.held != Some((stamp.topic, stamp.count)) {
                    self.encode_alike(stamp, payload_bytes);
                }
                self.batch.stamp(stamp, self.payloads.layout(), |_| payload_bytes);
            }
            None => {
                self.encode_each(stamp);
                let payloads = &self.payloads;
                self.batch.stamp(stamp, payloads.layout(), |sequence| payloads.bytes_of(sequence));
            }
        }
        &mut self.batch
    }

    #[cold]
    fn encode_alike(&mut self, stamp: &BatchStamp<'_>, payload_bytes: usize) {
        self.blank.clear();
        self.payloads.append_blank(0, &mut self.blank);
        debug_assert_eq!(self.blank.len(), payload_bytes);
        let payloads = vec![self.blank.as_slice(); stamp.count as usize];
        self.batch.clear();
        self.encoder.encode(stamp.topic, &payloads, &mut self.batch);
        self.held = Some((stamp.topic, stamp.count));
    }

    fn encode_each(&mut self, stamp: &BatchStamp<'_>) {
        self.blank.clear();
        let sequences = stamp.first_sequence..stamp.first_sequence + u64::from(stamp.count);
        let mut ends = Vec::with_capacity(stamp.count as usize);
        for sequence in sequences {
            self.payloads.append_blank(sequence, &mut self.blank);
            ends.push(self.blank.len());
        }
        let mut start = 0;
        let mut payloads = Vec::with_capacity(ends.len());
        for end in ends {
            payloads.push(&self.blank[start..end]);
            start = end;
        }
        self.batch.clear();
        self.encoder.encode(stamp.topic, &payloads, &mut self.batch);
    }
}
