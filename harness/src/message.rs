//! The messages of a stream: who sent them, which one each is, when, and filler.
//!
//! ```text
//! 0              8                                    16              payload_bytes
//! +--------------+------------------------------------+---------------+
//! | sent at, ns  | sequence (48 bits) | producer (16) | filler        |
//! +--------------+------------------------------------+---------------+
//! ```
//!
//! Integers are little-endian. The filler is the same printable text in every message, so that
//! text-only dialects can carry it and a changed byte shows.

use std::ops::Range;

/// The smallest payload: a message's time and identity, and no filler.
pub const MESSAGE_BYTES_MIN: usize = 16;

/// Producers that the layout tells apart.
pub const PRODUCERS_MAX: usize = 1 << PRODUCER_BITS;

/// Messages of one producer that the layout tells apart.
pub const SEQUENCE_MAX: u64 = (1 << SEQUENCE_BITS) - 1;

const PRODUCER_BITS: u32 = 16;
const SEQUENCE_BITS: u32 = 48;
const SENT_AT: Range<usize> = 0..8;
const IDENTITY_AT: Range<usize> = 8..16;

/// What a message says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// When it was sent, or was due where the load has a rate.
    pub sent_ns: u64,
    /// Which of the stream's publishers sent it.
    pub producer: u16,
    /// Which of that publisher's messages it is, from 0.
    pub sequence: u64,
}

impl Stamp {
    /// Reads the stamp of a payload; `None` if it is too short to have one.
    #[inline]
    #[must_use]
    pub fn read(payload: &[u8]) -> Option<Self> {
        let (sent, rest) = payload.split_first_chunk::<8>()?;
        let (identity, _) = rest.split_first_chunk::<8>()?;
        let identity = u64::from_le_bytes(*identity);
        Some(Self {
            sent_ns: u64::from_le_bytes(*sent),
            producer: (identity >> SEQUENCE_BITS) as u16,
            sequence: identity & SEQUENCE_MAX,
        })
    }

    #[inline]
    fn write(self, payload: &mut [u8]) {
        let identity = u64::from(self.producer) << SEQUENCE_BITS | self.sequence & SEQUENCE_MAX;
        payload[SENT_AT].copy_from_slice(&self.sent_ns.to_le_bytes());
        payload[IDENTITY_AT].copy_from_slice(&identity.to_le_bytes());
    }
}

/// Consecutive messages of one producer that are written together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchStamp {
    /// How many messages.
    pub count: u32,
    /// The sequence of the first.
    pub first_sequence: u64,
    /// When the first was sent, or due.
    pub sent_ns: u64,
    /// How much later each next one was due; 0 where all were sent at once.
    pub spacing_ns: u64,
}

/// The text that fills a payload of `payload_bytes` behind its stamp.
#[must_use]
pub fn filler(payload_bytes: usize) -> Vec<u8> {
    const ALPHABET: &[u8] = b"abcdefghijklmnopqrstuvwxyz0123456789";
    let filler_bytes = payload_bytes.saturating_sub(MESSAGE_BYTES_MIN);
    ALPHABET.iter().copied().cycle().take(filler_bytes).collect()
}

/// A payload with an empty stamp and its filler.
#[must_use]
pub fn blank_payload(payload_bytes: usize) -> Vec<u8> {
    let mut payload = vec![0; MESSAGE_BYTES_MIN];
    payload.extend_from_slice(&filler(payload_bytes));
    payload
}

/// Encoded messages, a fixed distance apart, whose stamps are renewed in place: a batch is encoded
/// once, and each time it is sent only 16 bytes a message change.
#[derive(Clone, Debug)]
pub struct StampedBatch {
    bytes: Vec<u8>,
    first_payload_at: usize,
    /// Bytes of each message before its payload.
    payload_at: usize,
    stride_bytes: usize,
    count: u32,
}

impl StampedBatch {
    /// Takes `bytes` that end in `count` encoded messages of `stride_bytes` each, whose payload
    /// begins `payload_at` bytes into each.
    ///
    /// # Panics
    /// If the bytes cannot hold so many messages.
    #[must_use]
    pub fn new(bytes: Vec<u8>, count: u32, stride_bytes: usize, payload_at: usize) -> Self {
        let messages_bytes = stride_bytes * count as usize;
        assert!(
            bytes.len() >= messages_bytes && stride_bytes >= payload_at + MESSAGE_BYTES_MIN,
            "a batch of {count} messages of {stride_bytes} bytes in {} bytes",
            bytes.len()
        );
        let first_payload_at = bytes.len() - messages_bytes + payload_at;
        Self { bytes, first_payload_at, payload_at, stride_bytes, count }
    }

    /// The same with `tail` behind the last message.
    #[must_use]
    pub fn with_tail(mut self, tail: &[u8]) -> Self {
        self.bytes.extend_from_slice(tail);
        self
    }

    /// How many messages it holds.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.count
    }

    /// Renews every stamp. `stamp.count` must be the batch's own.
    #[inline]
    pub fn renew(&mut self, producer: u16, stamp: BatchStamp) {
        debug_assert_eq!(stamp.count, self.count);
        let Self { first_payload_at, stride_bytes, .. } = *self;
        let messages = self.bytes[first_payload_at..].chunks_mut(stride_bytes);
        // A tail may come after as many chunks as there are messages.
        for (index, payload) in (0..u64::from(self.count)).zip(messages) {
            let sent_ns = stamp.sent_ns + index * stamp.spacing_ns;
            let sequence = stamp.first_sequence + index;
            Stamp { sent_ns, producer, sequence }.write(payload);
        }
    }

    /// What stands before each payload, for what else differs from one message to the next.
    #[inline]
    pub fn heads_mut(&mut self) -> impl Iterator<Item = &mut [u8]> {
        let Self { first_payload_at, payload_at, stride_bytes, count, .. } = *self;
        let messages = self.bytes[first_payload_at - payload_at..].chunks_mut(stride_bytes);
        messages.take(count as usize).map(move |message| &mut message[..payload_at])
    }

    /// The encoded messages.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_renewed_batch_reads_back_message_by_message() {
        let payload = blank_payload(20);
        let mut bytes = b"head".to_vec();
        for _ in 0..3 {
            bytes.extend_from_slice(b"len:");
            bytes.extend_from_slice(&payload);
        }
        let mut batch = StampedBatch::new(bytes, 3, 24, 4);
        batch.renew(7, BatchStamp { count: 3, first_sequence: 40, sent_ns: 1000, spacing_ns: 5 });
        let found: Vec<_> = batch.bytes()[4..]
            .chunks(24)
            .map(|message| (Stamp::read(&message[4..]).unwrap(), &message[20..]))
            .collect();
        let stamp = |sent_ns, sequence| Stamp { sent_ns, producer: 7, sequence };
        assert_eq!(
            found,
            [
                (stamp(1000, 40), &b"abcd"[..]),
                (stamp(1005, 41), b"abcd"),
                (stamp(1010, 42), b"abcd")
            ]
        );
    }

    #[test]
    fn a_tail_is_left_alone_and_heads_are_what_stands_before_payloads() {
        let messages = [b"h:".as_slice(), &blank_payload(16)].concat().repeat(2);
        let mut batch = StampedBatch::new(messages, 2, 18, 2).with_tail(&[b'!'; 40]);
        batch.renew(1, BatchStamp { count: 2, first_sequence: 0, sent_ns: 1, spacing_ns: 1 });
        let heads: Vec<_> = batch.heads_mut().map(|head| head.to_vec()).collect();
        assert_eq!(heads, [b"h:", b"h:"]);
        assert_eq!(Stamp::read(&batch.bytes()[20..]).unwrap().sequence, 1);
        assert_eq!(batch.bytes()[36..], [b'!'; 40]);
    }

    #[test]
    fn the_smallest_payload_is_all_stamp() {
        assert_eq!(blank_payload(MESSAGE_BYTES_MIN).len(), MESSAGE_BYTES_MIN);
        assert_eq!(Stamp::read(&[0; MESSAGE_BYTES_MIN - 1]), None);
    }

    #[test]
    fn the_highest_producer_and_sequence_survive() {
        let stamp = Stamp { sent_ns: u64::MAX, producer: u16::MAX, sequence: SEQUENCE_MAX };
        let mut payload = [0; MESSAGE_BYTES_MIN];
        stamp.write(&mut payload);
        assert_eq!(Stamp::read(&payload), Some(stamp));
    }
}
